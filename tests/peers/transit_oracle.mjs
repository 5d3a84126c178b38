#!/usr/bin/env node
// What the npm package `transit-js` makes of Transit, and writes.
//
// Each line on standard input is a JSON object, and is answered with one.
//
// - `{"text": T}`: T is read as Transit. The answer has `is`, the value in plain JSON as below, and
//   `json` and `verbose`, what transit-js writes for it; or `error`.
// - `{"is": V}`: the value is made and written; the answer has `json` and `verbose`, or `error`.
//
// A value in plain JSON is an array that begins with what it is: ["nil"], ["bool", true],
// ["int", "5"], ["float", "1.5"] (also "NaN", "Infinity", "-Infinity"), ["string", "a"],
// ["keyword", "a/b"], ["symbol", "a"], ["inst", "0"] in milliseconds, ["uuid", "..."],
// ["uri", "..."], ["bytes", "base64"], ["vector", [..]], ["list", [..]], ["set", [..]],
// ["map", [[key, value], ..]], ["tagged", "tag", value].

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// `import` does not look where the tests install the package, so it is required from there.
const here = fileURLToPath(new URL(".", import.meta.url));
const require = createRequire(join(process.env.SENTE_TEST_NODE_PATH ?? here, "peers.js"));
const transit = require("transit-js");

const reader = transit.reader("json");
const writers = { json: transit.writer("json"), verbose: transit.writer("json-verbose") };

function describe(value) {
  if (value === null) return ["nil"];
  if (typeof value === "boolean") return ["bool", value];
  if (typeof value === "string") return ["string", value];
  if (typeof value === "number") {
    return Number.isSafeInteger(value) ? ["int", String(value)] : ["float", String(value)];
  }
  if (transit.isInteger(value)) return ["int", value.toString()];
  if (transit.isKeyword(value)) return ["keyword", value.toString().slice(1)];
  if (transit.isSymbol(value)) return ["symbol", value.toString()];
  if (transit.isUUID(value)) return ["uuid", value.toString()];
  if (value instanceof Date) return ["inst", String(value.valueOf())];
  if (transit.isURI(value)) return ["uri", value.rep];
  if (transit.isBinary(value)) return ["bytes", Buffer.from(value).toString("base64")];
  if (transit.isList(value)) return ["list", value.rep.map(describe)];
  if (Array.isArray(value)) return ["vector", value.map(describe)];
  if (transit.isSet(value)) {
    const items = [];
    value.forEach((item) => items.push(describe(item)));
    return ["set", items];
  }
  if (transit.isMap(value)) {
    const entries = [];
    value.forEach((item, key) => entries.push([describe(key), describe(item)]));
    return ["map", entries];
  }
  if (transit.isTaggedValue(value)) return ["tagged", value.tag, describe(value.rep)];
  throw new Error(`what is ${value}?`);
}

function make([kind, value, rep]) {
  switch (kind) {
    case "nil": return null;
    case "bool": case "string": return value;
    case "int": return transit.integer(value);
    case "float": return Number(value);
    case "keyword": return transit.keyword(value);
    case "symbol": return transit.symbol(value);
    case "uuid": return transit.uuid(value);
    case "inst": return new Date(Number(value));
    case "uri": return transit.uri(value);
    case "bytes": return transit.binary(value);
    case "vector": return value.map(make);
    case "list": return transit.list(value.map(make));
    case "set": return transit.set(value.map(make));
    case "map": return transit.map(value.flatMap(([key, item]) => [make(key), make(item)]));
    case "tagged": return transit.tagged(value, make(rep));
    default: throw new Error(`what is ${kind}?`);
  }
}

function answer(question) {
  try {
    const value = "text" in question ? reader.read(question.text) : make(question.is);
    const is = "text" in question ? describe(value) : undefined;
    return { is, json: writers.json.write(value), verbose: writers.verbose.write(value) };
  } catch (error) {
    return { error: String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`);
}
