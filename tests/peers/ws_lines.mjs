// What ws_client.mjs and ws_server.mjs share: the package `ws`, and WebSocket messages as lines on
// the standard streams.

import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { lines } from "./echo.mjs";

// `import` does not look where the tests install `ws`, so it is required from there.
const here = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(join(process.env.SENTE_TEST_NODE_PATH ?? here, "peers.js"));
export const { WebSocket, WebSocketServer } = require("ws");

export function show(line) {
  process.stdout.write(line + "\n");
}

export function say(text) {
  console.error(`${basename(process.argv[1])}: ${text}`);
}

export function showMessage(data, isBinary) {
  if (isBinary) show(`#b64 ${data.toString("base64")}`);
  else if (data.includes(10)) show(`#json ${JSON.stringify(data.toString())}`);
  else show(data.toString());
}

export function showClose(code, reason) {
  show(`#close ${code} ${reason}`.trimEnd());
}

/** Does what one line of standard input asks for, on each of the sockets. */
export function act(line, sockets) {
  const [verb, ...words] = line.split(" ");
  const rest = words.join(" ");
  for (const socket of sockets) {
    if (verb === "#b64") socket.send(Buffer.from(rest, "base64"));
    else if (verb === "#json") socket.send(JSON.parse(rest));
    else if (verb === "#ping") socket.ping(rest);
    else if (verb === "#close") socket.close(Number(words[0] ?? 1000), words.slice(1).join(" "));
    else socket.send(line);
  }
}

export async function* stdinLines() {
  for await (const line of lines(process.stdin)) yield Buffer.from(line, "latin1").toString();
}
