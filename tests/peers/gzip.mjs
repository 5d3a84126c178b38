#!/usr/bin/env node
// Gzip as browsers have it: the npm package `pako`, and the platform's own streams.
//
// Reads lines `VERB BASE64` and prints the outcome of each in base64, or `#failed WHY`. The verbs:
// `pako-gzip`, `pako-ungzip`, `stream-gzip` (CompressionStream), `stream-ungzip`
// (DecompressionStream).

import { createRequire } from "node:module";
import { join } from "node:path";

import { lines } from "./echo.mjs";

const require = createRequire(join(process.env.SENTE_TEST_NODE_PATH, "peers.js"));
const pako = require("pako");

async function through(stream, bytes) {
  const piped = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

const verbs = {
  "pako-gzip": pako.gzip,
  "pako-ungzip": pako.ungzip,
  "stream-gzip": (bytes) => through(new CompressionStream("gzip"), bytes),
  "stream-ungzip": (bytes) => through(new DecompressionStream("gzip"), bytes),
};

for await (const line of lines(process.stdin)) {
  const [verb, text = ""] = line.split(" ");
  try {
    const outcome = await verbs[verb](new Uint8Array(Buffer.from(text, "base64")));
    process.stdout.write(`${Buffer.from(outcome).toString("base64")}\n`);
  } catch (error) {
    process.stdout.write(`#failed ${error.message ?? error}\n`);
  }
}
