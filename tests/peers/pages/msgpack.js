// A Sente client in MessagePack: sends a call and an event in binary frames, and gives back as text all
// it heard until the echo of the event. `required` is `@msgpack/msgpack`, with Sente's extension
// types for keywords and sets registered.
async (url) => {
  const MessagePack = required;
  class Keyword {
    constructor(name) {
      this.name = name;
    }
  }
  const extensionCodec = new MessagePack.ExtensionCodec();
  const options = { extensionCodec, mapKeyConverter: show };
  extensionCodec.register({
    type: 0,
    encode: (value) => (value instanceof Keyword ? new TextEncoder().encode(value.name) : null),
    decode: (bytes) => new Keyword(new TextDecoder().decode(bytes)),
  });
  extensionCodec.register({
    type: 4,
    encode: (value) => (value instanceof Set ? MessagePack.encode([...value], options) : null),
    decode: (bytes) => new Set(MessagePack.decode(bytes, options)),
  });
  function show(value) {
    if (value === null) return "nil";
    if (value instanceof Keyword) return `:${value.name}`;
    if (value instanceof Set) return `#{${[...value].map(show).join(" ")}}`;
    if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
    if (typeof value !== "object") return JSON.stringify(value);
    return `{${Object.entries(value).map(([key, item]) => `${key} ${show(item)}`).join(", ")}}`;
  }
  const keyword = (name) => new Keyword(name);
  const call = [keyword("test/echo"), { text: "grüße 🙂", kinds: new Set([keyword("a"), 1]) }];
  const event = [keyword("test/push"), [1, 2.5, null, true]];
  const socket = new WebSocket(`${url}?client-id=a-page`);
  socket.binaryType = "arraybuffer";
  const heard = [];
  return await new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`${what} after ${JSON.stringify(heard)}`));
    setTimeout(() => fail("nothing more came"), 20000);
    socket.onerror = () => fail("the socket failed");
    socket.onclose = (event) => fail(`closed with ${event.code}`);
    socket.onmessage = ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return fail("a text frame came");
      heard.push(show(MessagePack.decode(data, options)));
      if (heard.length === 1) {
        socket.send(MessagePack.encode([call, "cb1"], options));
        socket.send(MessagePack.encode([event, null], options));
      }
      if (heard.length === 3) resolve(heard);
    };
  });
}
