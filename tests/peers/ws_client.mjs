#!/usr/bin/env node
// A WebSocket client on the standard streams, on the npm package `ws`.
//
//     ws_client.mjs URL [--header 'Name: value']... [--expect N] [--deflate JSON]
//
// See README.md beside it for the lines it reads and writes. At the end of its input it waits until
// N messages have come in all (none by default) and closes.

import { parseArgs } from "node:util";

import { WebSocket, act, show, showClose, showMessage, stdinLines } from "./ws_lines.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    header: { type: "string", multiple: true, default: [] },
    expect: { type: "string", default: "0" },
    deflate: { type: "string" }, // the package's options of permessage-deflate
  },
});
const headers = {};
for (const header of values.header) {
  const colon = header.indexOf(":");
  headers[header.slice(0, colon).trim()] = header.slice(colon + 1).trim();
}
const expected = Number(values.expect);
const options = { headers };
if (values.deflate) options.perMessageDeflate = JSON.parse(values.deflate);
const socket = new WebSocket(positionals[0], options);
let received = 0;
let inputEnded = false;

function closeWhenDone() {
  if (inputEnded && received >= expected) socket.close(1000);
}

socket.on("unexpected-response", (_request, response) => {
  show(`#refused ${response.statusCode}`);
  process.exit(1);
});
socket.on("error", (error) => {
  if (socket.readyState === WebSocket.CONNECTING || !socket.wasOpen) {
    show(`#failed ${error.code ?? error.name}: ${error.message}`);
    process.exit(1);
  }
});
socket.on("upgrade", (response) => {
  if (values.deflate) show(`#extensions ${response.headers["sec-websocket-extensions"] ?? ""}`.trimEnd());
});
socket.on("open", async () => {
  socket.wasOpen = true;
  show("#open");
  for await (const line of stdinLines()) act(line, [socket]);
  inputEnded = true;
  closeWhenDone();
});
socket.on("message", (data, isBinary) => {
  showMessage(data, isBinary);
  received += 1;
  closeWhenDone();
});
socket.on("pong", (data) => show(`#pong ${data}`.trimEnd()));
socket.on("close", (code, reason) => {
  showClose(code, reason);
  process.exit(0);
});
