// Talks sente-lite over a WebSocket that may compress: sends one event twice and gives back what both
// sides agreed on and what came.
async (url, length) => {
  const socket = new WebSocket(url);
  const event = `[:test/push "${"grüße 🙂 ".repeat(Number(length) / 9)}"]`;
  let echoes = 0;
  return await new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`${what} after ${echoes} echoes`));
    setTimeout(() => fail("nothing more came"), 20000);
    socket.onerror = () => fail("the socket failed");
    socket.onclose = (event) => fail(`closed with ${event.code}`);
    socket.onmessage = ({ data }) => {
      if (data.startsWith("[:chsk/handshake")) {
        socket.send(event);
        socket.send(event);
      } else if (data !== event) {
        fail(`another event came: ${data.slice(0, 100)}`);
      } else if (++echoes === 2) {
        resolve({ extensions: socket.extensions, echoes, length: event.length });
      }
    };
  });
}
