// A Sente client in Transit: sends a call and an event by `transit-js`, which is `required`, and gives back all it heard
// until the echo of the event, each as the text that came and whether it means what is expected.
async (url) => {
  const transit = required;
  const reader = transit.reader("json");
  const writer = transit.writer("json");
  const keyword = transit.keyword;
  const data = transit.map([
    keyword("text"), "grüße 🙂",
    keyword("kinds"), transit.set([keyword("a"), 1]),
    keyword("at"), new Date(1767323045678),
    [1, 2], transit.uuid("5a2cbea3-e8c6-428b-b525-21239370dd55"),
  ]);
  const event = [keyword("test/push"), [data, data]];
  const socket = new WebSocket(`${url}?client-id=a-page`);
  const heard = [];
  return await new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`${what} after ${JSON.stringify(heard)}`));
    setTimeout(() => fail("nothing more came"), 20000);
    socket.onerror = () => fail("the socket failed");
    socket.onclose = (event) => fail(`closed with ${event.code}`);
    socket.onmessage = ({ data: text }) => {
      if (typeof text !== "string") return fail("a binary frame came");
      heard.push(reader.read(text));
      if (heard.length === 1) {
        socket.send(writer.write([[keyword("test/echo"), data], "cb1"]));
        socket.send(writer.write([event, null]));
      }
      if (heard.length === 3) {
        const [handshake, reply, push] = heard;
        resolve({
          handshake: handshake[0][0].toString(),
          reply: transit.equals(reply, [data, "cb1"]),
          push: transit.equals(push, [[event], null]),
        });
      }
    };
  });
}
