// ws on Node: node ws.js PORT. Messages come back as they were.
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  perMessageDeflate: false,
  backlog: 4096,
});
server.on('connection', (socket) => {
  socket._socket.setNoDelay(true);
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
process.stdin.on('end', () => process.exit()).resume();
