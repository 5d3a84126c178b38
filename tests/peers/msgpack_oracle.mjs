#!/usr/bin/env node
// What the npm package `@msgpack/msgpack` makes of MessagePack with Sente's extension types.
//
// Each line on standard input is a packed value in base64. It is answered with one line: what was
// read from it, as EDN, a blank, and what the package writes for that, in base64; or `!` and why it
// cannot be read. In the EDN dates are `#date/ms 0` and characters `#char "a"`. In what is written the
// keys of maps are strings, because JavaScript's objects have no others: each is the key in EDN.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// `import` does not look where the tests install the package, so it is required from there.
const here = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(join(process.env.SENTE_TEST_NODE_PATH ?? here, "peers.js"));
const { ExtData, ExtensionCodec, decode, encode } = require("@msgpack/msgpack");

class Named {
  constructor(name) {
    this.name = name;
  }
}
class Keyword extends Named {}
class Symbol extends Named {}
class Char extends Named {}
class Uuid extends Named {}
class Ratio {
  constructor(above, below) {
    Object.assign(this, { above, below });
  }
}
class Items {
  constructor(items) {
    this.items = items;
  }
}

const extensionCodec = new ExtensionCodec();
const options = { extensionCodec, useBigInt64: true, mapKeyConverter: show };

function register(type, kind, pack, unpack) {
  extensionCodec.register({
    type,
    encode: (value) => (value instanceof kind ? pack(value) : null),
    decode: unpack,
  });
}

// A name may begin with U+FEFF.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
for (const [type, kind] of [[0, Keyword], [1, Symbol], [2, Char], [9, Uuid]]) {
  const pack = (value) => new TextEncoder().encode(value.name);
  register(type, kind, pack, (bytes) => new kind(decoder.decode(bytes)));
}

register(
  3,
  Ratio,
  ({ above, below }) => Buffer.concat([encode(above, options), encode(below, options)]),
  (bytes) => {
    // Two values, of which `decode` takes but one: as an array they are one.
    const [above, below] = decode(Buffer.concat([Buffer.of(0x92), bytes]), options);
    return new Ratio(above, below);
  },
);

register(
  4,
  Items,
  ({ items }) => encode(items, options),
  (bytes) => new Items(decode(bytes, options)),
);

// In Java's order of bytes.
function typedArray(type, kind, get, set) {
  const size = kind.BYTES_PER_ELEMENT;
  register(
    type,
    kind,
    (items) => {
      const view = new DataView(new ArrayBuffer(items.length * size));
      items.forEach((item, index) => view[set](index * size, item));
      return new Uint8Array(view.buffer);
    },
    (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return kind.from({ length: bytes.length / size }, (_, index) => view[get](index * size));
    },
  );
}

typedArray(5, Int32Array, "getInt32", "setInt32");
typedArray(6, Float32Array, "getFloat32", "setFloat32");
typedArray(7, Float64Array, "getFloat64", "setFloat64");

function base64(bytes) {
  return Buffer.from(bytes).toString("base64");
}

function number(value) {
  if (Number.isNaN(value)) return "##NaN";
  if (!Number.isFinite(value)) return value > 0 ? "##Inf" : "##-Inf";
  return String(value);
}

function all(items) {
  return Array.from(items, show).join(" ");
}

// A value as EDN.
function show(value) {
  if (value === null) return "nil";
  if (typeof value === "number") return number(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${all(value)}]`;
  if (value instanceof Keyword) return `:${value.name}`;
  if (value instanceof Symbol) return value.name;
  if (value instanceof Char) return `#char ${show(value.name)}`;
  if (value instanceof Uuid) return `#uuid ${show(value.name)}`;
  if (value instanceof Ratio) return `${value.above}/${value.below}`;
  if (value instanceof Items) return `#{${all(value.items)}}`;
  if (value instanceof Date) return `#date/ms ${value.getTime()}`;
  if (value instanceof Int32Array) return `#array/int [${all(value)}]`;
  if (value instanceof Float32Array) return `#array/float [${all(value)}]`;
  if (value instanceof Float64Array) return `#array/double [${all(value)}]`;
  if (value instanceof Uint8Array) return `#bytes/b64 "${base64(value)}"`;
  if (value instanceof ExtData) return `#msgpack/ext [${value.type} "${base64(value.data)}"]`;
  return `{${Object.entries(value).map(([key, item]) => `${key} ${show(item)}`).join(", ")}}`;
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const value = decode(Buffer.from(line, "base64"), options);
    answer = `${show(value)} ${base64(encode(value, options))}`;
  } catch (error) {
    answer = `! ${String(error.message).replaceAll("\n", " ")}`;
  }
  process.stdout.write(`${answer}\n`);
}
