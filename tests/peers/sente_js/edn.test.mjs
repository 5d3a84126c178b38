// The EDN of `sente.js` against what Clojure makes of the same texts.
//
//   node --test tests/peers/sente_js/edn.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  Char, EdnError, EdnSymbol, Keyword, List, Tagged, Uuid,
  char, equal, get, json, keyword, readEdn, symbol, toPlain, uuid, writeEdn,
} from "../../../adapters/server/assets/sente.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), "utf8"));

const read = (text) => {
  try {
    return { value: readEdn(text) };
  } catch (error) {
    assert.ok(error instanceof EdnError, `${text}: ${error.stack}`);
    return { error };
  }
};

test("every captured text reads as clojure.edn reads it", () => {
  const rows = vectors("edn/clojure-edn.json");
  const wrong = [];
  for (const { name, input, clojure_reads: reads } of rows) {
    const ours = read(input);
    const same = reads === undefined
      // What has no value is refused there.
      ? ours.error !== undefined || ours.value === null
      : ours.error === undefined && equal(ours.value, readEdn(reads));
    if (!same) wrong.push(`${name} ${JSON.stringify(input)}: ${ours.error ?? writeEdn(ours.value)}, not ${reads}`);
  }
  assert.ok(rows.length > 4000);
  assert.deepEqual(wrong, []);
});

test("what is written of a captured text reads as it did", () => {
  let count = 0;
  for (const { input, clojure_reads: reads } of vectors("edn/clojure-edn.json")) {
    // A name as wide as Clojure reads it, and a NaN, which equals nothing: see below.
    if (reads === undefined || /NaN/u.test(reads)) continue;
    const { value } = read(input);
    assert.ok(equal(readEdn(writeEdn(value)), value), `${input} became ${writeEdn(value)}`);
    count += 1;
  }
  assert.ok(count > 2000, `${count}`);
});

// Where Sente's reader, tools.reader.edn, differs from clojure.edn, after which ours is made, and
// why ours differs.
const DIFFERENCES = new Map([
  ["#!shebang\n1", "clojure.edn knows no comment of this kind"],
  ["#::foo{:a 1}", "clojure.edn refuses it"],
  [":a/b/c", "clojure.edn takes it"],
  [":a//b", "clojure.edn takes it"],
  ["[:a/b/c nil]", "clojure.edn takes it"],
  [":a/1", "clojure.edn refuses it"],
  ["[:a/1 nil]", "clojure.edn refuses it"],
  ["a/1", "clojure.edn refuses it"],
  ["a::b", "clojure.edn refuses it"],
  ["# inst \"2020\"", "clojure.edn refuses it"],
  ["{1 :a 1.0 :b}", "the two keys are one number in JavaScript, as in ClojureScript"],
]);

test("every text of Sente's packer reads as its reader reads it, but for differences with a reason", () => {
  const wrong = [];
  const met = new Set();
  for (const row of [...vectors("sente/unpack-edn.json"), ...vectors("sente/packer-edn.json")]) {
    const { payload, unpacked_edn: reads, unpack_error: refused } = row;
    // A bare string is written without escapes there, which no peer ever sends.
    if (payload === undefined || row.wrapped === false || row.unstable_text) continue;
    const ours = read(payload);
    const same = reads === undefined
      ? ours.error !== undefined || ours.value === null || /No reader function for tag/u.test(refused)
      : ours.error === undefined && equal(ours.value, readEdn(reads));
    if (DIFFERENCES.has(payload)) met.add(payload);
    if (same === DIFFERENCES.has(payload)) {
      wrong.push(`${JSON.stringify(payload)}: ${ours.error ?? writeEdn(ours.value)}, not ${reads ?? refused}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.equal(met.size, DIFFERENCES.size);
});

test("values are JavaScript's own where it has such", () => {
  const value = readEdn(String.raw`[nil true -7 9007199254740993 1.5 1/4 2.50M "a\n\u00e9" \a :a/b x (1 2) #{1}
    {:k [1]} #inst "2026-01-02T03:04:05.678+01:00" #uuid "F81D4FAE-7dec-11d0-a765-00a0c91e6bf6" #my/tag 1 ##-Inf]`);
  const [nil, yes, int, big, float, ratio, decimal, text, c, k, s, list, set, map, inst, id, tagged, inf] = value;
  assert.deepEqual([nil, yes, int, big, float, ratio, decimal, text], [null, true, -7, 9007199254740993n, 1.5, 0.25, 2.5, "a\né"]);
  assert.ok(c instanceof Char && k instanceof Keyword && s instanceof EdnSymbol && list instanceof List);
  assert.ok(id instanceof Uuid && tagged instanceof Tagged && set.has(1) && inf === -Infinity);
  assert.equal(k, keyword("a/b"));
  assert.equal(s, symbol("x"));
  assert.equal(c, char("a"));
  assert.deepEqual([k.name, k.namespace, s.namespace], ["a/b", "a", null]);
  assert.deepEqual(map.get(keyword(":k")), [1]);
  assert.equal(inst.toJSON(), "2026-01-02T02:04:05.678Z");
  assert.equal(String(id), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
  assert.ok(equal(id, uuid(String(id))) && !equal(id, uuid()));
});

test("plain objects are written as maps with keywords, and what is written is one line", () => {
  const text = writeEdn({ a: 1, "b/c": undefined, "two words": [null, -0, 1e21, 5n, 2n ** 80n, NaN], ":d": new Date(0) });
  assert.equal(text, String.raw`{:a 1, "two words" [nil -0.0 1e+21 5 1208925819614629174706176N ##NaN], :d #inst "1970-01-01T00:00:00.000-00:00"}`);
  assert.equal(writeEdn(1e20), "100000000000000000000.0");
  assert.equal(writeEdn(['"\\\n\r\t\b\f', char("\n"), char(","), List.from([symbol("a")]), new Set([1])]),
    String.raw`["\"\\\n\r\t\b\f" \newline \, (a) #{1}]`);
});

test("what EDN has no form for is refused when it is written", () => {
  const cycle = [];
  cycle.push(cycle);
  for (const value of [() => 1, Symbol("a"), new WeakMap(), new Date(NaN), new Date(1e15), cycle, new Tagged("no tag", 1)]) {
    assert.throws(() => writeEdn(value), EdnError);
  }
  for (const name of ["a b", "", "a:", "a\"", "1/2/", "::a", "a@b"]) assert.throws(() => keyword(name), EdnError);
  for (const name of ["nil", "1a", ":a", "#a", "-1"]) assert.throws(() => symbol(name), EdnError);
});

test("equal is Clojure's equality, and get finds keys by it", () => {
  const same = [["[1 2]", "(1 2)"], ["{:a 1 :b #{[1] 2}}", "{:b #{2 (1)} :a 1}"], ["#inst \"2020\"", "#inst \"2020-01-01T01:00:00+01:00\""], ["#a 1", "#a 1"]];
  for (const [a, b] of same) assert.ok(equal(readEdn(a), readEdn(b)), `${a} ${b}`);
  const other = [["[1 2]", "[2 1]"], ["\"a\"", ":a"], ["a", ":a"], ["\\a", "\"a\""], ["#a 1", "#b 1"], ["#{1}", "[1]"], ["nil", "\"null\""], ["1", "\"1\""], ["{}", "#{}"]];
  for (const [a, b] of other) assert.ok(!equal(readEdn(a), readEdn(b)), `${a} ${b}`);
  const map = readEdn("{[1 {:a 2}] :found, #inst \"2020\" :then}");
  assert.equal(get(map, [1, { a: 2 }]), undefined);
  assert.equal(get(map, readEdn("(1 {:a 2})")), keyword("found"));
  assert.equal(get(map, new Date(Date.UTC(2020, 0))), keyword("then"));
});

test("toPlain gives JSON's types and cannot be led to a prototype", () => {
  const plain = toPlain(readEdn('{:a/b [:x y \\c #{1} (2)], "__proto__" {:polluted true}, [1] #t 2, :at #inst "2020"}'));
  assert.equal(JSON.stringify(plain), '{"a/b":["x","y","c",[1],[2]],"__proto__":{"polluted":true},"[1]":2,"at":"2020-01-01T00:00:00.000Z"}');
  assert.equal({}.polluted, undefined);
  assert.equal(Object.getPrototypeOf(plain), null);
});

test("the JSON packer loses what JSON has no form for, and reads only so deep", () => {
  assert.equal(json.pack([keyword("a/b"), new Map([[keyword("n"), 1n]]), new Set([undefined])]), '["a/b",{"n":1},[null]]');
  assert.deepEqual(json.unpack('["a/b",{"x":"[[{\\""}]'), ["a/b", { x: '[[{"' }]);
  assert.deepEqual([":a/b", "a/b", "a", "/", "a b/c", 1].map(json.idOf), ["a/b", "a/b", null, null, null, null]);
  assert.equal(json.field(JSON.parse('{"__proto__":1,":a":2}'), "a"), 2);
  assert.equal(json.field({}, "constructor"), undefined);
  for (const text of ["", "[", "nope", "[".repeat(600), `${"[".repeat(600)}${"]".repeat(600)}`]) {
    assert.throws(() => json.unpack(text), EdnError);
  }
});

test("depth, length and digits have limits", () => {
  const deep = (count) => `${"[".repeat(count)}${"]".repeat(count)}`;
  assert.ok(Array.isArray(readEdn(deep(512))));
  for (const text of [deep(513), "#_".repeat(600), "^:a ".repeat(600), "#a ".repeat(600), "1".repeat(10_001)]) {
    assert.throws(() => readEdn(text), EdnError);
  }
  assert.equal(writeEdn(readEdn(deep(512))), deep(512));
  assert.throws(() => readEdn('"abc"', { maxChars: 4 }), EdnError);
  // A prefix is not copied without end.
  assert.throws(() => readEdn(`#:${"n".repeat(4_000_000)}{:a 1 :b 2 :c 3}`), EdnError);
});

// Each would take hours if its cost grew with the square of its length.
test("texts made to be slow are read or refused", () => {
  const size = 1_000_000;
  const nested = (inner, depth) => `${"{".repeat(depth)}${inner}${" 1}".repeat(depth)}`;
  const texts = [
    `[${'"a" '.repeat(size)}]`, `"${"\\n".repeat(size)}"`, `[${'"\\"" '.repeat(size / 2)}"`,
    `[${"a/".repeat(size)}]`, `:${"/".repeat(size)}`, `a${":".repeat(size)}`, ";\n".repeat(size), `#{${Array.from({ length: size / 4 }, (_, i) => `[${i}]`).join(" ")}}`,
    nested(`[${"1 ".repeat(size)}]`, 500), "#_1 ".repeat(size / 2), `[${"\\a ".repeat(size)}]`, `[${"9".repeat(9_000)} ]`,
  ];
  for (const text of texts) read(text);
});

// A generator of its own, so that every run is the same.
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("no text makes the reader throw anything else", () => {
  const below = numbers(7);
  const pieces = ["[", "]", "(", ")", "{", "}", "#{", "#_", "#:a{", "##", "#inst", "#uuid", "\"", "\\", "\\u00", "^", ":", ":a/b", "/", "nil", "1", "-", "1/0", "2r1", "0x", "M", "e", ".", " ", ",", ";", "\n", "é", "\ud83d", "🙂", "#a", "\"2020\"", "\0"];
  for (let i = 0; i < 50_000; i += 1) {
    const text = Array.from({ length: below(12) }, () => pieces[below(pieces.length)]).join("");
    const { value, error } = read(text);
    if (!error) writeEdn(value);
  }
});
