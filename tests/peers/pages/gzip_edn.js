// A Sente client in gzipped EDN, by the browser's own streams: sends a call and an event of `length`
// characters, both compressed, and gives back the flags, the sizes and the texts of all it heard.
async (url, length) => {
  const through = async (stream, bytes) => {
    const piped = new Blob([bytes]).stream().pipeThrough(stream);
    return new Uint8Array(await new Response(piped).arrayBuffer());
  };
  const send = async (text) => {
    const bytes = await through(new CompressionStream("gzip"), text);
    socket.send(new Uint8Array([1, ...bytes]));
  };
  const open = async (bytes) => {
    const message = bytes.subarray(1);
    const plain = bytes[0] === 1
      ? await through(new DecompressionStream("gzip"), message)
      : message;
    return new TextDecoder().decode(plain);
  };
  const text = "grüße 🙂 ".repeat(Number(length) / 9);
  const socket = new WebSocket(`${url}?client-id=a-page`);
  socket.binaryType = "arraybuffer";
  const frames = [];
  return await new Promise((resolve, reject) => {
    const fail = (what) => reject(new Error(`${what} after ${frames.length} frames`));
    setTimeout(() => fail("nothing more came"), 20000);
    socket.onerror = () => fail("the socket failed");
    socket.onclose = (event) => fail(`closed with ${event.code}`);
    socket.onmessage = async ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return fail("a text frame came");
      frames.push(new Uint8Array(data));
      if (frames.length === 1) {
        await send('[[:test/echo {:n 1}] "cb1"]');
        await send(`[[:test/push "${text}"] nil]`);
      }
      if (frames.length === 3) {
        const texts = await Promise.all(frames.map(open));
        const echoed = texts[2] === `[[[:test/push "${text}"]] nil]`;
        resolve({
          flags: frames.map((frame) => frame[0]),
          heard: texts.slice(0, 2),
          echoed,
          smaller: frames[2].length < texts[2].length / 10,
        });
      }
    };
  });
}
