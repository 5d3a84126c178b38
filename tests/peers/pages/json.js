// A Sente client in plain JSON, with nothing but the browser: event ids are strings.
async (url) => {
  const socket = new WebSocket(`${url}?client-id=a-page`);
  const heard = [];
  return await new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`${what} after ${JSON.stringify(heard)}`));
    setTimeout(() => fail("nothing more came"), 20000);
    socket.onerror = () => fail("the socket failed");
    socket.onclose = (event) => fail(`closed with ${event.code}`);
    socket.onmessage = ({ data }) => {
      heard.push(JSON.parse(data));
      if (heard.length === 1) {
        socket.send(JSON.stringify([["test/echo", { n: 1.5, text: "grüße 🙂" }], "cb1"]));
        socket.send(JSON.stringify([["test/push", [1, null, true, { "a b": [] }]], null]));
      }
      if (heard.length === 3) resolve(heard);
    };
  });
}
