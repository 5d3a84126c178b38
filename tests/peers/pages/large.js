// Sends a string of SIZE characters in sente-lite's dialect and gives back the length of its echo.
async (url, size) => {
  const socket = new WebSocket(url);
  return await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("nothing came in time")), 20000);
    socket.onerror = () => reject(new Error("the socket failed"));
    socket.onclose = (event) => reject(new Error(`closed with ${event.code}`));
    socket.onmessage = ({ data }) => {
      if (data.startsWith("[:chsk/handshake")) {
        socket.send(`[:test/push "${"x".repeat(Number(size))}"]`);
      } else {
        socket.onclose = () => resolve({ length: data.length, start: data.slice(0, 20) });
        socket.close(1000);
      }
    };
  });
}
