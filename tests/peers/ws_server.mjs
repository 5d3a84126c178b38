#!/usr/bin/env node
// A WebSocket server that speaks sente-lite, or Sente with --sente, on the npm package `ws`.
//
//     ws_server.mjs [--sente] [--port N] [--handshake TEXT] [--refuse STATUS] [--until-eof]
//               [--deflate JSON]
//
// See README.md beside it for what it prints, what it answers, and the lines it reads.

import { parseArgs } from "node:util";

import { Unreadable, items } from "./echo.mjs";
import { WebSocketServer, act, say, show, showClose, showMessage, stdinLines } from "./ws_lines.mjs";

const LITE_HANDSHAKE = '[:chsk/handshake ["uid-1" nil {:sente-lite-version "2.0.0"} true]]';
const SENTE_HANDSHAKE = '[[:chsk/handshake ["uid-1" nil nil]] nil]';
const SHOWN_HEADERS = ["origin", "cookie", "authorization", "referer", "sec-websocket-protocol"];

const { values } = parseArgs({
  options: {
    sente: { type: "boolean", default: false },
    port: { type: "string", default: "0" },
    handshake: { type: "string" }, // the first frame instead of the usual one, "" for none
    refuse: { type: "string" }, // answer upgrades with this status
    "until-eof": { type: "boolean", default: false }, // stop at the end of the input
    deflate: { type: "string" }, // the package's options of permessage-deflate
  },
});
const handshake = values.handshake ?? (values.sente ? SENTE_HANDSHAKE : LITE_HANDSHAKE);
let opened = 0;

function senteAnswers(text) {
  const [head = "", callback = "nil"] = items(text);
  const event = items(head);
  const [name, data = "nil"] = event;
  if (callback !== "nil") {
    if (name === ":chsk/ws-ping" && event.length === 1) return [`["pong" ${callback}]`];
    return name === ":test/echo" ? [`[${data} ${callback}]`] : [];
  }
  if (name === ":test/push") return [`[${data} nil]`];
  return name === ":test/ping" ? ["[:chsk/ws-ping nil]"] : [];
}

function liteAnswers(text, connId) {
  let event = items(text);
  if (event.length === 0) throw new Unreadable("an empty vector");
  if (event[0].startsWith("[")) event = items(event[0]); // a callback id is dropped, as the stock server does
  const [name, data = "nil"] = event;
  switch (name) {
    case ":test/push":
      return items(data);
    case ":test/ping":
      return ["[:chsk/ws-ping]"];
    case ":chsk/ws-ping":
      return ["[:chsk/ws-pong]"];
    case ":chsk/ws-pong":
    case ":chsk/handshake":
    case ":sente-lite/echo":
      return [];
    default: {
      const about = `:original-event-id ${name}, :original-data ${data}`;
      return [`[:sente-lite/echo {${about}, :conn-id "${connId}", :timestamp ${Date.now()}}]`];
    }
  }
}

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(values.port),
  perMessageDeflate: values.deflate ? JSON.parse(values.deflate) : false,
  verifyClient({ req }, done) {
    show(`#open ${req.url}`);
    for (const [name, value] of Object.entries(req.headers)) {
      if (SHOWN_HEADERS.includes(name) || name.startsWith("x-")) show(`#header ${name}: ${value}`);
    }
    if (values.refuse) done(false, Number(values.refuse), `refused with ${values.refuse}\n`);
    else done(true);
  },
});
server.on("headers", (headers) => {
  const line = headers.find((header) => /^sec-websocket-extensions:/i.test(header));
  if (values.deflate) show(`#extensions ${line?.replace(/^[^:]*: */, "") ?? ""}`.trimEnd());
});
server.on("connection", (socket) => {
  opened += 1;
  const connId = `conn-${Date.now()}-${opened}`;
  if (handshake) socket.send(handshake);
  socket.on("message", (data, isBinary) => {
    showMessage(data, isBinary);
    if (isBinary) return;
    try {
      const text = data.toString();
      for (const frame of values.sente ? senteAnswers(text) : liteAnswers(text, connId)) {
        socket.send(frame);
      }
    } catch (why) {
      if (!(why instanceof Unreadable)) throw why;
      say(`unreadable message: ${why.message}`);
    }
  });
  socket.on("pong", (data) => show(`#pong ${data}`.trimEnd()));
  socket.on("error", (error) => say(error.message));
  socket.on("close", showClose);
});
server.on("listening", async () => {
  show(`listening ws://127.0.0.1:${server.address().port}/`);
  for await (const line of stdinLines()) act(line, server.clients);
  if (values["until-eof"]) process.exit(0);
});
