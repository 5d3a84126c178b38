// A Sente client in a browser's page, as small as it can be: waits for the handshake, sends a call
// and an event, and gives back all it heard until the echo of the event.
async (url) => {
  const socket = new WebSocket(`${url}?client-id=a-page`);
  const heard = [];
  return await new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`${what} after ${JSON.stringify(heard)}`));
    setTimeout(() => fail("nothing more came"), 20000);
    socket.onerror = () => fail("the socket failed");
    socket.onclose = (event) => fail(`closed with ${event.code}`);
    socket.onmessage = ({ data }) => {
      heard.push(data);
      if (heard.length === 1) {
        socket.send('[[:test/echo {:n 1, :text "grüße 🙂"}] "cb1"]');
        socket.send("[[:test/push [1 2 3]] nil]");
      }
      if (heard.length === 3) {
        socket.onclose = (event) => resolve({ heard, code: event.code, clean: event.wasClean });
        socket.close(1000);
      }
    };
  });
}
