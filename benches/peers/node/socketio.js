// socket.io on Node: node socketio.js PORT. It does what socketioxide's server does.
const http = require('node:http').createServer();
const { Server } = require('socket.io');
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false });
io.on('connection', (socket) => {
  socket.join('room');
  socket.on('chat/msg', (data, acknowledge) => acknowledge(data));
  socket.on('pub', (data) => io.to('room').emit('ev', data));
});
http.listen(Number(process.argv[2]), '127.0.0.1', 4096);
process.stdin.on('end', () => process.exit()).resume();
