// A client for servers of Sente-style events: ours, and the stock ones of Sente and sente-lite.
//
// One ES module without dependencies and without a build step, for browsers and for Node.
//
//   import { connect, keyword } from "./sente.js";
//
//   const client = connect("/chsk");
//   client.on("chat/message", (data) => console.log(String(data.get(keyword("text")))));
//   client.send("chat/message", { text: "hello" });
//   const reply = await client.call("chat/history", { last: 10 });
//   const room = await client.subscribe("room-1", (data) => console.log(data));
//
// EDN is read into JavaScript's own types where there are such: nil is null, a vector an Array, a
// map a Map, a set a Set, `#inst` a Date. The others are classes of this module. Numbers are as in
// ClojureScript: integers beyond 2^53 are a BigInt, ratios and decimals become the nearest number.
// What is written may also be plain objects, whose keys become keywords where they can.
//
// No input of a peer throws out of this module: what cannot be read is reported to `onProblem`.

/** What a text, or a value that is written, may cost. */
const LIMITS = { maxChars: 8 * 1024 * 1024, maxDepth: 512, maxDigits: 10_000 };

// --- Values -------------------------------------------------------------------------------------

/** As Clojure matches the names of symbols and keywords. */
const NAME = /^:?([^0-9/].*\/)?(\/|[^0-9/][^/]*)$/su;
const DELIMITER = /[\t-\r\x1c-\x20",;^()[\]{}\\\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]/;

const isName = (token) => {
  const match = NAME.exec(token);
  return match !== null && !/[@`~]/u.test(token) && !match[1]?.endsWith(":/") && !token.endsWith(":") &&
    !token.includes("::", 1) && !token.startsWith("::");
};

/** Holds one object for each text, as long as anybody else holds it. */
class Interned {
  #made = new Map();
  #gone = new FinalizationRegistry((text) => {
    if (this.#made.get(text)?.deref() === undefined) this.#made.delete(text);
  });

  get(text, make) {
    let value = this.#made.get(text)?.deref();
    if (value === undefined) {
      value = make();
      this.#made.set(text, new WeakRef(value));
      this.#gone.register(value, text);
    }
    return value;
  }
}

/** What keywords and symbols have in common: a name, perhaps with a namespace before a slash. */
class Named {
  /** @param {string} name all of it, without a colon */
  constructor(name) {
    /** @type {string} */
    this.name = name;
    Object.freeze(this);
  }

  /** @returns {string | null} what stands before the first slash */
  get namespace() {
    const slash = this.name.indexOf("/");
    return slash > 0 ? this.name.slice(0, slash) : null;
  }
}

/** A keyword, `:a/b`. Two of one name are the same object: they can be compared by `===` and found
 * in a `Map`. Made by {@link keyword}. */
export class Keyword extends Named {
  toString() {
    return `:${this.name}`;
  }
}

/** A symbol, `a/b`. Two of one name are the same object. Made by {@link symbol}. */
export class EdnSymbol extends Named {
  toString() {
    return this.name;
  }
}

/** A character, `\a`: one UTF-16 unit. Two of one are the same object. Made by {@link char}. */
export class Char {
  /** @param {string} text */
  constructor(text) {
    /** @type {string} */
    this.text = text;
    Object.freeze(this);
  }

  toString() {
    return this.text;
  }
}

/** A list, `(1 2)`: an array that is written in parentheses. */
export class List extends Array {}

/** A UUID. Made by {@link uuid}. */
export class Uuid {
  /** @param {string} text 36 characters, lower case */
  constructor(text) {
    /** @type {string} */
    this.text = text;
    Object.freeze(this);
  }

  toString() {
    return this.text;
  }
}

/** A value under a tag that this module knows nothing of: `#tag value`. */
export class Tagged {
  /** @param {string} tag without the `#` @param {unknown} value */
  constructor(tag, value) {
    /** @type {string} */
    this.tag = tag;
    /** @type {unknown} */
    this.value = value;
  }
}

/** EDN, or an event, that cannot be read, or a value that cannot be written. */
export class EdnError extends Error {
  name = "EdnError";
}

const keywords = new Interned();
const symbols = new Interned();
const chars = new Interned();
const keywordOf = (name) => keywords.get(name, () => new Keyword(name));
const symbolOf = (name) => symbols.get(name, () => new EdnSymbol(name));
const charOf = (text) => chars.get(text, () => new Char(text));

/** The keyword of a name, with or without a colon before it.
 * @param {string} name @returns {Keyword}
 * @throws {EdnError} if it would not be read as one keyword */
export function keyword(name) {
  const text = String(name).replace(/^:/u, "");
  if (DELIMITER.test(text) || !isName(`:${text}`)) throw new EdnError(`no keyword: ${name}`);
  return keywordOf(text);
}

/** The symbol of a name.
 * @param {string} name @returns {EdnSymbol}
 * @throws {EdnError} if it would not be read as one symbol */
export function symbol(name) {
  const text = String(name);
  const other = /^[:#]|^[-+]?[0-9]|^(nil|true|false)$/u.test(text);
  if (other || DELIMITER.test(text) || !isName(text)) throw new EdnError(`no symbol: ${name}`);
  return symbolOf(text);
}

/** The character that a text of one UTF-16 unit is.
 * @param {string} text @returns {Char} @throws {EdnError} if it is longer, or half a character */
export function char(text) {
  if (text.length !== 1 || /[\ud800-\udfff]/u.test(text)) throw new EdnError(`no char: ${text}`);
  return charOf(text);
}

/** A UUID, from its text or a new random one.
 * @param {string} [text] @returns {Uuid} @throws {EdnError} if it is none */
export function uuid(text = randomUuid()) {
  const lower = String(text).toLowerCase();
  const parts = /^([0-9a-f]{1,8})-([0-9a-f]{1,4})-([0-9a-f]{1,4})-([0-9a-f]{1,4})-([0-9a-f]{1,12})$/u;
  const match = parts.exec(lower);
  if (!match) throw new EdnError(`no UUID: ${text.slice(0, 50)}`);
  return new Uuid([8, 4, 4, 4, 12].map((width, i) => match[i + 1].padStart(width, "0")).join("-"));
}

/** `crypto.randomUUID` is not there on pages that came by plain HTTP. */
function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/u, "$1-$2-$3-$4-");
}

const isPlainObject = (value) => {
  const above = Object.getPrototypeOf(value);
  return above === null || above === Object.prototype;
};

/** Numbers values so that equal ones, as Clojure has it, get the same number. Work and memory grow
 * with the size of what is numbered, since a part that was numbered once counts as one. */
class Numbering {
  #numbers = new Map();
  #seen = new WeakMap();

  /** The number of a value; with `learn` false, undefined if no equal value has one. */
  of(value, learn = true, depth = 0) {
    if (depth > LIMITS.maxDepth) throw new EdnError("nested too deep");
    const object = typeof value === "object" && value !== null;
    const known = object ? this.#seen.get(value) : undefined;
    if (known !== undefined) return known;
    const shape = this.#shape(value, learn, depth + 1);
    if (shape === undefined) return undefined;
    let number = this.#numbers.get(shape);
    if (number === undefined && learn) {
      number = this.#numbers.size;
      this.#numbers.set(shape, number);
    }
    if (number !== undefined && object) this.#seen.set(value, number);
    return number;
  }

  #shape(value, learn, depth) {
    const parts = [];
    let unknown = false;
    const number = (part) => {
      const found = this.of(part, learn, depth);
      unknown ||= found === undefined;
      return found;
    };
    const ordered = (open, all) => (unknown ? undefined : open + all.join(" "));
    if (Array.isArray(value)) return ordered("[", Array.from(value, number));
    if (value instanceof Set) return ordered("#", Array.from(value, number).sort((a, b) => a - b));
    if (value instanceof Tagged) return ordered(`#${value.tag} `, [number(value.value)]);
    if (value instanceof Keyword || value instanceof EdnSymbol) return `'${value}`;
    if (value instanceof Char) return `\\${value}`;
    if (value instanceof Uuid) return `u${value}`;
    if (value instanceof Date) return `d${value.getTime()}`;
    if (typeof value === "string") return `"${value}`;
    if (typeof value !== "object" || value === null) return `${value ?? null}`;
    const entries = value instanceof Map ? value : Object.entries(value);
    for (const [key, item] of entries) parts.push(`${number(key)} ${number(item)}`);
    return ordered("{", parts.sort());
  }
}

/** Whether two values are equal as Clojure has it: a list equals a vector, order counts in neither
 * maps nor sets.
 * @param {unknown} a @param {unknown} b @returns {boolean} */
export function equal(a, b) {
  const numbering = new Numbering();
  return numbering.of(a) === numbering.of(b);
}

/** What a map holds under a key that is equal, also where it is a collection, a date or a UUID, which
 * `Map.prototype.get` finds only as the same object.
 * @param {Map<unknown, unknown>} map @param {unknown} key @returns {unknown} undefined if nothing */
export function get(map, key) {
  if (map.has(key) || typeof key !== "object" || key === null) return map.get(key);
  const numbering = new Numbering();
  const wanted = numbering.of(key);
  for (const [other, value] of map) if (numbering.of(other, false) === wanted) return value;
  return undefined;
}

/** The value in the types of JSON, as far as they go: maps as objects without a prototype, keywords,
 * symbols, characters and UUIDs as strings, sets and lists as arrays. Keys become strings. What is
 * under a tag loses it.
 * @param {unknown} value @returns {any} */
export function toPlain(value, depth = 0) {
  if (depth > LIMITS.maxDepth) throw new EdnError("nested too deep");
  if (Array.isArray(value) || value instanceof Set) {
    return Array.from(value, (item) => toPlain(item, depth + 1));
  }
  if (value instanceof Tagged) return toPlain(value.value, depth + 1);
  if (value instanceof Keyword) return value.name;
  if (value instanceof EdnSymbol || value instanceof Char || value instanceof Uuid) return `${value}`;
  if (value instanceof Date || typeof value !== "object" || value === null) return value ?? null;
  const object = Object.create(null);
  const entries = value instanceof Map ? value : Object.entries(value);
  for (const [key, item] of entries) object[keyText(key)] = toPlain(item, depth + 1);
  return object;
}

/** A key as JSON has it. */
function keyText(key) {
  if (typeof key === "string") return key;
  if (key instanceof Keyword) return key.name;
  if (key instanceof Date) return key.toJSON();
  return key instanceof Uuid || key instanceof Char ? String(key) : writeEdn(key);
}

// --- Reading EDN --------------------------------------------------------------------------------

const BLANK = /(?:[\t-\r\x1c-\x20,\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]+|;[^\n\r]*)+/y;
const TOKEN = /[^\t-\r\x1c-\x20",;^()[\]{}\\\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]*/y;
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|([1-9][0-9]?)[rR]([0-9a-zA-Z]+)|(0|[1-9][0-9]*))N?$/u;
const FLOAT = /^([-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)M?$/u;
const RATIO = /^([-+]?[0-9]+)\/([0-9]+)$/u;
const INSTANT = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?)?)?)?(?:Z|([-+])(\d\d):(\d\d))?$/u;
const ESCAPES = { t: "\t", r: "\r", n: "\n", b: "\b", f: "\f", "\\": "\\", '"': '"' };
const CHARS = { newline: "\n", space: " ", tab: "\t", return: "\r", backspace: "\b", formfeed: "\f" };
const CLOSING = { "(": ")", "[": "]", "{": "}" };

/** Reads the first value of an EDN text; what follows it is not looked at.
 * @param {string} text
 * @param {{maxChars?: number, maxDepth?: number, maxDigits?: number}} [limits] default 8 Mi
 *   characters, 512 levels, 10,000 digits of one integer
 * @returns {unknown} null for a text without a value
 * @throws {EdnError} and nothing else */
export function readEdn(text, limits) {
  return new Reader(text, { ...LIMITS, ...limits }).read();
}

/** Reads with a stack of its own, of what is open: collections, and what waits for its value. */
class Reader {
  #text;
  #at = 0;
  #limits;
  #open = [];
  #numbering = new Numbering();
  /** Where the next backslash is, looked for once. */
  #backslash = -1;
  /** What the prefixes of maps add to the text. */
  #added = 0;

  constructor(text, limits) {
    this.#text = text;
    this.#limits = limits;
  }

  read() {
    if (this.#text.length > this.#limits.maxChars) this.#fail("too long");
    for (;;) {
      BLANK.lastIndex = this.#at;
      if (BLANK.test(this.#text)) this.#at = BLANK.lastIndex;
      if (this.#at >= this.#text.length) {
        if (this.#open.length > 0) this.#fail("unexpected end");
        return null;
      }
      const value = this.#form();
      if (value === undefined) continue;
      const done = this.#deliver(value);
      if (done !== undefined) return done;
    }
  }

  /** Reads up to the next value: undefined where something was only opened. */
  #form() {
    const start = this.#at;
    const first = this.#text[this.#at];
    switch (first) {
      case "(": case "[": case "{":
        this.#at += 1;
        return this.#push({ kind: first, items: [] });
      case ")": case "]": case "}":
        this.#at += 1;
        return this.#close(first);
      case '"':
        return this.#string();
      case "\\":
        return this.#char();
      case "^":
        this.#at += 1;
        return this.#push({ kind: "meta" });
      case "#":
        return this.#dispatch();
      default: {
        const token = this.#token();
        return this.#atom(token, start);
      }
    }
  }

  #push(frame) {
    if (this.#open.push(frame) > this.#limits.maxDepth) this.#fail("nested too deep");
    return undefined;
  }

  #token() {
    TOKEN.lastIndex = this.#at;
    TOKEN.test(this.#text);
    const token = this.#text.slice(this.#at, TOKEN.lastIndex);
    this.#at = TOKEN.lastIndex;
    return token;
  }

  /** Hands a value to what is open, or gives it back if nothing is. */
  #deliver(value) {
    for (;;) {
      const top = this.#open.at(-1);
      switch (top?.kind) {
        case undefined:
          return value;
        case "discard":
          this.#open.pop();
          return undefined;
        case "meta":
          if (!top.had) {
            const named = value instanceof Named || typeof value === "string";
            if (!named && !(value instanceof Map)) this.#fail("metadata of no such kind");
            top.had = true;
            return undefined;
          }
          if (!(value instanceof EdnSymbol || value instanceof Map || value instanceof Set || Array.isArray(value))) {
            this.#fail("metadata of what has none");
          }
          this.#open.pop();
          break;
        case "tag":
          this.#open.pop();
          value = this.#tagged(top.tag, value);
          break;
        default:
          top.items.push(value);
          return undefined;
      }
    }
  }

  #close(closing) {
    const top = this.#open.pop();
    if (top === undefined) this.#fail(`unmatched ${closing}`);
    const { kind, items } = top;
    if (kind === "#{" ? closing !== "}" : CLOSING[kind] !== closing) this.#fail(`unmatched ${closing}`);
    if (kind === "[") return items;
    if (kind === "(") return List.from(items);
    if (kind === "#{") {
      const set = new Set();
      for (const item of items) this.#unique(set, item, (value) => set.add(value), top);
      return set;
    }
    if (items.length % 2 === 1) this.#fail("a map with a key without a value");
    const map = new Map();
    for (let i = 0; i < items.length; i += 2) {
      const key = top.prefix === undefined ? items[i] : this.#prefixed(top.prefix, items[i]);
      this.#unique(map, key, (value) => map.set(value, items[i + 1]), top);
    }
    return map;
  }

  /** Adds a key or an element that must not be there already. */
  #unique(into, value, add, frame) {
    const lookedUp = typeof value !== "object" || value === null || value instanceof Named ||
      value instanceof Char;
    if (lookedUp) {
      if (into.has(value) && !Number.isNaN(value)) this.#fail("a key twice");
    } else {
      frame.numbers ??= new Set();
      const number = this.#numbering.of(value);
      if (frame.numbers.has(number)) this.#fail("a key twice");
      frame.numbers.add(number);
    }
    add(value);
  }

  #prefixed(prefix, key) {
    if (!(key instanceof Named)) return key;
    const namespace = key.namespace;
    const make = key instanceof Keyword ? keywordOf : symbolOf;
    if (namespace === "_") return make(key.name.slice(2));
    if (namespace !== null) return key;
    this.#added += prefix.length;
    if (this.#added > this.#limits.maxChars) this.#fail("too long");
    return make(`${prefix}/${key.name}`);
  }

  #dispatch() {
    const next = this.#text[this.#at + 1];
    this.#at += 2;
    switch (next) {
      case "{":
        return this.#push({ kind: "#{", items: [] });
      case "_":
        return this.#push({ kind: "discard" });
      case "^":
        return this.#push({ kind: "meta" });
      case "#": {
        const name = this.#token();
        const special = { Inf: Infinity, "-Inf": -Infinity, NaN };
        return Object.hasOwn(special, name) ? special[name] : this.#fail(`unknown ##${name}`);
      }
      case ":": {
        const prefix = this.#token();
        if (prefix.includes("/") || !isName(prefix) || /^[:#]/u.test(prefix)) this.#fail("bad prefix");
        BLANK.lastIndex = this.#at;
        if (BLANK.test(this.#text)) this.#at = BLANK.lastIndex;
        if (this.#text[this.#at] !== "{") this.#fail("a prefix of no map");
        this.#at += 1;
        return this.#push({ kind: "{", items: [], prefix });
      }
      default: {
        if (next === undefined || !/[a-zA-Z\xaa\xb5\xba\xc0-\xd6\xd8-\xf6\xf8-\xff]/u.test(next)) this.#fail(`no form begins with #${next ?? ""}`);
        this.#at -= 1;
        const tag = this.#token();
        if (!isName(tag) || ["nil", "true", "false"].includes(tag)) this.#fail(`bad tag #${tag}`);
        return this.#push({ kind: "tag", tag });
      }
    }
  }

  #tagged(tag, value) {
    if (tag === "inst") return this.#instant(value);
    if (tag === "uuid") {
      if (typeof value !== "string") this.#fail("#uuid of no string");
      return uuid(value);
    }
    return new Tagged(tag, value);
  }

  #instant(text) {
    const match = typeof text === "string" ? INSTANT.exec(text) : null;
    if (!match) this.#fail("bad #inst");
    const number = (index, missing) => (match[index] === undefined ? missing : Number(match[index]));
    const [year, month, day] = [number(1), number(2, 1), number(3, 1)];
    const [hour, minute, second] = [number(4, 0), number(5, 0), number(6, 0)];
    const milli = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
    const [offsetHours, offsetMinutes] = [number(9, 0), number(10, 0)];
    const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
    const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
    const lastSecond = minute === 59 ? 60 : 59;
    if (day < 1 || day > days || hour > 23 || minute > 59 || second > lastSecond ||
      offsetHours > 23 || offsetMinutes > 59) this.#fail("bad #inst");
    const offset = (offsetHours * 60 + offsetMinutes) * (match[8] === "-" ? -1 : 1);
    const date = new Date(0);
    date.setUTCFullYear(year, month - 1, day);
    date.setUTCHours(hour, minute - offset, second, milli);
    return date;
  }

  #string() {
    const text = this.#text;
    const parts = [];
    let from = this.#at + 1;
    const end = () => {
      const at = text.indexOf('"', from);
      return at < 0 ? this.#fail("a string without an end") : at;
    };
    let quote = end();
    for (;;) {
      if (this.#backslash < from) {
        const found = text.indexOf("\\", from);
        this.#backslash = found < 0 ? Infinity : found;
      }
      if (this.#backslash > quote) break;
      parts.push(text.slice(from, this.#backslash));
      this.#at = this.#backslash + 1;
      parts.push(this.#escape());
      from = this.#at;
      if (quote < from) quote = end();
    }
    parts.push(text.slice(from, quote));
    this.#at = quote + 1;
    return parts.join("");
  }

  #escape() {
    const next = this.#text[this.#at] ?? "";
    if (Object.hasOwn(ESCAPES, next)) {
      this.#at += 1;
      return ESCAPES[next];
    }
    const code = /^(?:u([0-9a-fA-F]{4})|([0-7]{1,3}))/u.exec(this.#text.slice(this.#at, this.#at + 5));
    const unit = code?.[1] ? parseInt(code[1], 16) : parseInt(code?.[2] ?? "x", 8);
    if (Number.isNaN(unit) || (code[2] && unit > 0o377)) this.#fail("bad escape in a string");
    this.#at += code[0].length;
    // What is no octal digit makes the escape a wrong one, not a shorter one.
    const more = this.#text[this.#at] ?? " ";
    if (code[2] && code[2].length < 3 && more !== "#" && !DELIMITER.test(more)) {
      this.#fail("bad escape in a string");
    }
    return String.fromCharCode(unit);
  }

  #char() {
    this.#at += 1;
    const first = this.#text[this.#at];
    if (first === undefined) this.#fail("unexpected end");
    this.#at += 1;
    const token = first + this.#token();
    if (token.length === 1) return charOf(token);
    if (Object.hasOwn(CHARS, token)) return charOf(CHARS[token]);
    const code = /^(?:u([0-9a-fA-F]{4})|o([0-7]{1,3}))$/u.exec(token);
    const unit = code?.[1] ? parseInt(code[1], 16) : parseInt(code?.[2] ?? "x", 8);
    const surrogate = unit >= 0xd800 && unit <= 0xdfff;
    if (Number.isNaN(unit) || surrogate || (code[2] && unit > 0o377)) this.#fail("unknown character");
    return charOf(String.fromCharCode(unit));
  }

  #atom(token, start) {
    if (/^[-+]?[0-9]/u.test(token)) {
      // Unlike a symbol, a number ends where a form with # begins.
      const digits = token.split("#", 1)[0];
      this.#at = start + digits.length;
      return this.#number(digits);
    }
    if (token === "nil") return null;
    if (token === "true" || token === "false") return token === "true";
    if (token === "" || !isName(token)) {
      this.#fail(`bad token ${token.slice(0, 30) || this.#text[start]}`);
    }
    return token[0] === ":" ? keywordOf(token.slice(1)) : symbolOf(token);
  }

  #number(token) {
    if (token.length > this.#limits.maxDigits) this.#fail("a number too long");
    const integer = INTEGER.exec(token);
    if (integer) {
      const [, sign, hex, octal, radix, digits, decimal] = integer;
      const size = radix === undefined
        ? BigInt(hex ? `0x${hex}` : octal ? `0o${octal}` : decimal)
        : this.#inRadix(Number(radix), digits);
      return smallest(sign === "-" ? -size : size);
    }
    const float = FLOAT.exec(token);
    if (float && !/^[-+]?0[0-9]+$/u.test(float[1])) return Number(float[1]);
    const ratio = RATIO.exec(token);
    if (!ratio) this.#fail(`bad number ${token.slice(0, 30)}`);
    const [over, under] = [BigInt(ratio[1].replace("+", "")), BigInt(ratio[2])];
    if (under === 0n) this.#fail("division by zero");
    return over % under === 0n ? smallest(over / under) : Number(over) / Number(under);
  }

  #inRadix(radix, digits) {
    let value = 0n;
    for (const digit of digits) {
      const worth = parseInt(digit, 36);
      if (radix > 36 || worth >= radix) this.#fail("a digit beyond the radix");
      value = value * BigInt(radix) + BigInt(worth);
    }
    return value;
  }

  #fail(why) {
    throw new EdnError(`${why} at ${this.#at}`);
  }
}

const smallest = (value) => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

// --- Writing ------------------------------------------------------------------------------------

const QUOTED = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f" };
const CHAR_NAMES = new Map(Object.entries(CHARS).map(([name, text]) => [text, name]));

/** Writes a value as EDN, in one line.
 * @param {unknown} value what {@link readEdn} gives, and plain objects, of which a key becomes a
 *   keyword where it reads as one and stays a string where not; undefined is nil
 * @returns {string}
 * @throws {EdnError} for what EDN has no form for, and what nests deeper than 512 levels */
export function writeEdn(value) {
  const out = [];
  writeInto(out, value, 0);
  return out.join("");
}

function writeInto(out, value, depth) {
  if (depth > LIMITS.maxDepth) throw new EdnError("nested too deep");
  const all = (open, items, close) => {
    out.push(open);
    let first = true;
    for (const item of items) {
      if (!first) out.push(" ");
      first = false;
      writeInto(out, item, depth + 1);
    }
    out.push(close);
  };
  if (value instanceof List) return all("(", value, ")");
  if (Array.isArray(value)) return all("[", value, "]");
  if (value instanceof Set) return all("#{", value, "}");
  if (value instanceof Tagged) return all(`#${symbol(value.tag)} `, [value.value], "");
  if (value instanceof Map || isRecord(value)) {
    const entries = value instanceof Map ? value : recordEntries(value);
    let separator = "{";
    for (const [key, item] of entries) {
      out.push(separator);
      writeInto(out, key, depth + 1);
      out.push(" ");
      writeInto(out, item, depth + 1);
      separator = ", ";
    }
    out.push(separator === "{" ? "{}" : "}");
    return undefined;
  }
  out.push(scalarText(value));
  return undefined;
}

const isRecord = (value) => typeof value === "object" && value !== null && isPlainObject(value);

function* recordEntries(object) {
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    const text = key.replace(/^:/u, "");
    yield [!DELIMITER.test(text) && isName(`:${text}`) ? keywordOf(text) : key, value];
  }
}

function scalarText(value) {
  switch (typeof value) {
    case "undefined":
      return "nil";
    case "string":
      return `"${value.replace(/["\\\n\r\t\b\f]/gu, (unit) => QUOTED[unit])}"`;
    case "boolean":
      return String(value);
    case "number":
      return numberText(value);
    case "bigint":
      return BigInt.asIntN(64, value) === value ? String(value) : `${value}N`;
    case "object":
      if (value === null) return "nil";
      if (value instanceof Named) return String(value);
      if (value instanceof Char) return `\\${CHAR_NAMES.get(value.text) ?? value.text}`;
      if (value instanceof Uuid) return `#uuid "${value}"`;
      if (value instanceof Date) return `#inst "${instantText(value)}"`;
  }
  throw new EdnError(`EDN has no form for ${Object.prototype.toString.call(value)}`);
}

function numberText(value) {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? "-0.0" : String(value);
  if (Number.isNaN(value)) return "##NaN";
  if (!Number.isFinite(value)) return value > 0 ? "##Inf" : "##-Inf";
  // Without a point or an exponent it would be read as an integer.
  const text = String(value);
  return /[.e]/u.test(text) ? text : `${text}.0`;
}

function instantText(date) {
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) throw new EdnError(`EDN has no form for the date ${date}`);
  return date.toISOString().replace("Z", "-00:00");
}

// --- Packers ------------------------------------------------------------------------------------

/** How messages are written. `idOf` gives the name of the event id that a value is, or null; `field`
 * what a map of the protocol holds.
 * @typedef {object} Packer
 * @property {string} name
 * @property {(value: unknown) => string} pack throws what cannot be packed
 * @property {(text: string) => unknown} unpack throws what cannot be read
 * @property {(value: unknown) => string | null} idOf
 * @property {(map: unknown, name: string) => unknown} field */

/** EDN, the default of every server. @type {Packer} */
export const edn = {
  name: "edn",
  pack: writeEdn,
  unpack: readEdn,
  idOf: (value) => (value instanceof Keyword && value.namespace !== null ? value.name : null),
  field: (map, name) => (map instanceof Map ? map.get(keywordOf(name)) : undefined),
};

/** JSON, where the server has it (ours does). Keywords, and so the ids of events, are strings; what
 * is packed may be EDN's types, which lose what JSON has no form for. @type {Packer} */
export const json = {
  name: "json",
  pack: (value) => JSON.stringify(toPlain(value), (_, item) => {
    if (typeof item !== "bigint") return item;
    const rounded = Number(item);
    if (Number.isSafeInteger(rounded)) return rounded;
    // Not everywhere yet.
    const { rawJSON } = /** @type {any} */ (JSON);
    if (rawJSON) return rawJSON(String(item));
    throw new EdnError("JSON has no form for integers of this size here");
  }),
  unpack: readJson,
  idOf: (value) => {
    const name = typeof value === "string" ? value.replace(/^:/u, "") : "";
    return name.indexOf("/") > 0 && !DELIMITER.test(name) && isName(`:${name}`) ? name : null;
  },
  field: (map, name) => {
    if (typeof map !== "object" || map === null || Array.isArray(map)) return undefined;
    return Object.hasOwn(map, name) ? map[name] : Object.hasOwn(map, `:${name}`) ? map[`:${name}`] : undefined;
  },
};

function readJson(text) {
  if (text.length > LIMITS.maxChars) throw new EdnError("too long");
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text[i];
    if (quoted && unit === "\\") i += 1;
    else if (unit === '"') quoted = !quoted;
    else if (!quoted && (unit === "[" || unit === "{")) depth += 1;
    else if (!quoted && (unit === "]" || unit === "}")) depth -= 1;
    if (depth > LIMITS.maxDepth) throw new EdnError("nested too deep");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EdnError(String(error.message));
  }
}

// --- Dialects -----------------------------------------------------------------------------------

/** What a frame of the server comes to.
 * @typedef {(
 *   {is: "handshake", uid: unknown, token: unknown, data: unknown} | {is: "ping"} | {is: "pong"} |
 *   {is: "reply", id: unknown, data: unknown} |
 *   {is: "event", id: string, data: unknown, call?: unknown} | {is: "bad", value: unknown}
 * )} Came */

/** @returns {Came} */
const bad = (value) => ({ is: "bad", value });

/** An event of the application, or what is none. @returns {Came} */
function eventOf(packer, value, call = undefined) {
  const id = Array.isArray(value) && value.length > 0 ? packer.idOf(value[0]) : null;
  if (id === null || id.startsWith("chsk/")) return bad(value);
  return { is: "event", id, data: value[1], call };
}

/** @returns {Came} */
const handshakeOf = (data) => {
  const [uid, token, rest] = Array.isArray(data) ? data : [];
  return { is: "handshake", uid, token, data: rest };
};

/** Sente's own: every message is `[payload callback-id]`. */
const SENTE = {
  name: "sente",
  keepalive: { interval: 10_000, timeout: 5_000 },
  event: (_, event) => [event, null],
  call: (_, event, id) => [event, id],
  ping: (id, callId) => [[id("chsk/ws-ping")], callId],
  pong: (id) => [[id("chsk/ws-pong")], null],
  /** A stock client cannot be called, so that nothing is ever answered. */
  reply: () => null,
  /** @returns {Came[]} */
  read(packer, frame) {
    if (!Array.isArray(frame)) return [bad(frame)];
    const [payload, callId] = frame;
    if (packer.idOf(payload) === "chsk/ws-ping") return [{ is: "ping" }];
    if (callId !== null && callId !== undefined) return [{ is: "reply", id: callId, data: payload }];
    if (!Array.isArray(payload)) return [bad(frame)];
    if (packer.idOf(payload[0]) === "chsk/handshake") return [handshakeOf(payload[1])];
    return payload.map((event) => eventOf(packer, event));
  },
};

/** sente-lite's: every message is an event. */
const SENTE_LITE = {
  name: "sente-lite",
  keepalive: { interval: 30_000, timeout: 30_000 },
  event: (_, event) => event,
  call: (_, event, id) => [event, id],
  ping: (id) => [id("chsk/ws-ping")],
  pong: (id) => [id("chsk/ws-pong")],
  reply: (id, callId, data) => [id("chsk/reply"), new Map([[id("cb-uuid"), callId], [id("data"), data]])],
  /** @returns {Came[]} */
  read(packer, frame) {
    if (!Array.isArray(frame)) return [bad(frame)];
    const [first, data] = frame;
    if (Array.isArray(first)) return [data === null || data === undefined ? bad(frame) : eventOf(packer, first, data)];
    switch (packer.idOf(first)) {
      case "chsk/handshake":
        return [handshakeOf(data)];
      case "chsk/ws-ping":
        return [{ is: "ping" }];
      case "chsk/ws-pong":
        return [{ is: "pong" }];
      case "chsk/recv":
        return [eventOf(packer, data)];
      case "chsk/reply": {
        const id = packer.field(data, "cb-uuid");
        return [id === undefined ? bad(frame) : { is: "reply", id, data: packer.field(data, "data") ?? null }];
      }
      case "batch/events":
        return Array.isArray(data) ? data.map((event) => eventOf(packer, event)) : [bad(frame)];
      default:
        return [eventOf(packer, frame)];
    }
  },
};

// --- The client ---------------------------------------------------------------------------------

/** Why a call got no reply. `reason` is `"timeout"`, `"closed"` (the link was lost behind it, or the
 * client closed), `"error"` (the other side says it failed), `"refused"` (no room) or `"aborted"`. */
export class CallError extends Error {
  name = "CallError";

  /** @param {"timeout" | "closed" | "error" | "refused" | "aborted"} reason @param {string} about */
  constructor(reason, about) {
    super(`${about}: ${reason}`);
    /** @type {string} */
    this.reason = reason;
  }
}

/** @typedef {object} Options
 * @property {"sente" | "sente-lite"} [dialect] Default: Sente's where the path ends in `/chsk` or there
 *   is a `client-id`, as our server has it; else sente-lite's.
 * @property {Packer} [packer] Default {@link edn}.
 * @property {Record<string, string>} [params] More parameters of the URL.
 * @property {string} [clientId] Default a random UUID. Sent in Sente's dialect.
 * @property {string | (() => string | Promise<string>)} [csrfToken] Asked for before each attempt.
 * @property {number} [callTimeout] Milliseconds until a call fails. Default 5,000.
 * @property {number} [connectTimeout] Milliseconds from an attempt to its handshake. Default 10,000.
 * @property {{min?: number, max?: number, stableFor?: number} | false} [reconnect] Waits in
 *   milliseconds: none after the first failure, after the second a random time of up to `min` (500),
 *   then up to twice that and so on up to `max` (30,000). Failures are forgotten when a link was
 *   open for `stableFor` (5,000). False: never.
 * @property {{interval?: number, timeout?: number} | false} [keepalive] Milliseconds of silence until
 *   a ping, and from there until the link is given up. Default 10,000 and 5,000 in Sente's dialect,
 *   30,000 each in sente-lite's. False: no pings.
 * @property {{messages?: number, chars?: number}} [queue] What may wait while there is no link.
 *   Default 1,000 messages and 1 Mi characters; beyond that sending is refused.
 * @property {number} [maxBuffered] Bytes that the socket may hold unsent before sending is refused.
 *   Default 4 Mi.
 * @property {typeof WebSocket} [WebSocket] Default the global one; Node before 22 needs that of `ws`.
 */

/** What a client is at. `phase` is `"connecting"` (until the handshake came), `"open"`, `"waiting"`
 * (for the next attempt) or `"closed"` (for good). `uid`, `token` and `handshake` are those of the
 * last handshake; `why` says how the last link or attempt ended.
 * @typedef {object} State
 * @property {"connecting" | "open" | "waiting" | "closed"} phase
 * @property {unknown} uid
 * @property {unknown} token sente-lite's CSRF token
 * @property {unknown} handshake the application's data
 * @property {number} failures in a row
 * @property {number | null} retryAt when the next attempt is due, in milliseconds since 1970
 * @property {{why: string, code?: number, reason?: string} | null} ended */

/** Connects to a server and stays connected.
 * @param {string | URL} url `ws:`, `wss:`, `http:` or `https:`; in a page also relative to it
 * @param {Options} [options]
 * @returns {Client}
 * @throws {TypeError} if the URL is none or there is no WebSocket */
export function connect(url, options) {
  return new Client(url, options);
}

/** One logical connection to a server, over one link after the other. Made by {@link connect}.
 *
 * What was handed to a link that is lost may or may not have arrived; it is not sent again. */
export class Client {
  #url;
  #dialect;
  #packer;
  #options;
  #WebSocket;
  #socket = null;
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  #timers = { connect: null, ping: null, retry: null };
  #queue = [];
  #queued = 0;
  #calls = new Map();
  #nextCall = Math.floor(Math.random() * 0xffffff);
  #handlers = new Map();
  #listeners = { state: new Set(), problem: new Set() };
  #channels = new Numbering();
  #rooms = new Map();
  /** @type {State} */
  #state = { phase: "waiting", uid: null, token: null, handshake: null, failures: 0, retryAt: null, ended: null };

  /** Use {@link connect}. @param {string | URL} url @param {Options} [options] */
  constructor(url, options = {}) {
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (typeof this.#WebSocket !== "function") throw new TypeError("there is no WebSocket: pass one as an option");
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#url.hash = "";
    for (const [name, value] of Object.entries(options.params ?? {})) this.#url.searchParams.set(name, value);
    const sente = this.#url.pathname.endsWith("/chsk") || this.#url.searchParams.has("client-id");
    this.#dialect = (options.dialect ?? (sente ? "sente" : "sente-lite")) === "sente" ? SENTE : SENTE_LITE;
    if (this.#dialect === SENTE && !this.#url.searchParams.has("client-id")) {
      this.#url.searchParams.set("client-id", options.clientId ?? randomUuid());
    }
    this.#packer = options.packer ?? edn;
    const or = (given, defaults) => (given === false ? false : { ...defaults, ...given });
    this.#options = {
      callTimeout: options.callTimeout ?? 5_000,
      connectTimeout: options.connectTimeout ?? 10_000,
      csrfToken: options.csrfToken,
      reconnect: or(options.reconnect, { min: 500, max: 30_000, stableFor: 5_000 }),
      keepalive: or(options.keepalive, this.#dialect.keepalive),
      queue: { messages: 1_000, chars: 1024 * 1024, ...options.queue },
      maxBuffered: options.maxBuffered ?? 4 * 1024 * 1024,
    };
    globalThis.addEventListener?.("online", this.#online);
    this.#connect();
  }

  #online = () => {
    if (this.#state.phase === "waiting") this.reconnect();
  };

  /** What the client is at. A new object at each change. @returns {State} */
  get state() {
    return this.#state;
  }

  /** Hears of every change of {@link Client#state}.
   * @param {(state: State, before: State) => void} listener
   * @returns {() => void} ends it */
  onState(listener) {
    return added(this.#listeners.state, listener);
  }

  /** Hears of what came and could not be used: unreadable messages, no events, replies nobody waits
   * for, subscriptions not renewed; and of what handlers threw.
   * @param {(problem: {kind: "unreadable" | "no-event" | "unknown-reply" | "channel" | "handler", message: string}) => void} listener
   * @returns {() => void} ends it */
  onProblem(listener) {
    return added(this.#listeners.problem, listener);
  }

  /** Handles the events of an id, or with `"*"` all those that no other handler is for.
   *
   * The handler gets the data of the event (undefined for `[id]`) and the event. Where the server
   * made it a call, which only sente-lite's dialect can, it has a `reply`.
   * @param {string} id `"namespace/name"` or `"*"`
   * @param {(data: any, event: {id: string, data: any, reply?: (data: unknown) => void}) => void} handler
   * @returns {() => void} ends it */
  on(id, handler) {
    const name = id.replace(/^:/u, "");
    if (!this.#handlers.has(name)) this.#handlers.set(name, new Set());
    return added(this.#handlers.get(name), handler);
  }

  /** Sends an event, or lets it wait for a link.
   * @param {string} id `"namespace/name"`
   * @param {unknown} [data] undefined is none
   * @returns {"sent" | "queued" | "refused"} refused: there is no room, or the client is closed
   * @throws {EdnError} if the id is no keyword with a namespace, or the data cannot be packed */
  send(id, data) {
    return this.#say(this.#packer.pack(this.#dialect.event(null, this.#event(id, data))));
  }

  /** Sends an event that asks for a reply.
   *
   * A call that waits for a link counts its time already. Once it was sent, it fails with
   * `"closed"` as soon as its link is lost.
   * @param {string} id @param {unknown} [data]
   * @param {{timeout?: number, signal?: AbortSignal}} [options] timeout in milliseconds
   * @returns {Promise<any>} the data of the reply
   * @throws {EdnError} as {@link Client#send}; the promise fails with a {@link CallError} */
  call(id, data, { timeout = this.#options.callTimeout, signal } = {}) {
    const callId = this.#callId();
    const text = this.#packer.pack(this.#dialect.call(null, this.#event(id, data), callId));
    return new Promise((resolve, reject) => {
      const settle = (how, value) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        this.#calls.delete(callId);
        const waits = this.#queue.findIndex((message) => message.callId === callId);
        if (waits >= 0) this.#queued -= this.#queue.splice(waits, 1)[0].text.length;
        how(value);
      };
      const fail = (reason) => settle(reject, new CallError(reason, id));
      const aborted = () => fail("aborted");
      const timer = setTimeout(() => fail("timeout"), timeout);
      this.#calls.set(callId, { resolve: (value) => settle(resolve, value), fail, sent: false });
      signal?.addEventListener("abort", aborted);
      if (signal?.aborted) aborted();
      else if (this.#say(text, callId) === "refused") fail(this.#state.phase === "closed" ? "closed" : "refused");
    });
  }

  /** Subscribes to a channel, and again after each reconnect until the subscription is ended.
   * @param {unknown} channel its id: any value
   * @param {(data: any, from: any) => void} handler what is published, and by which connection
   * @returns {Promise<{channel: unknown, unsubscribe: () => void}>} when the server has said yes
   * @throws the promise fails with a {@link CallError}: `"error"` where the server says no, its
   *   word in the message */
  subscribe(channel, handler) {
    // As it will come back: what was a plain object will be a map.
    const key = this.#channels.of(this.#packer.unpack(this.#packer.pack(channel)));
    const room = this.#rooms.get(key) ?? { key, channel, handlers: new Set(), waiting: [], asked: [], has: false };
    this.#rooms.set(key, room);
    const off = added(room.handlers, handler);
    const unsubscribe = () => {
      off();
      if (room.handlers.size > 0) return;
      const subscribed = room.asked.length > 0 ? room.asked.at(-1) === "subscribe" : room.has;
      if (this.#state.phase === "open" && subscribed) this.#ask(room, "unsubscribe");
      if (room.asked.length === 0) this.#rooms.delete(key);
    };
    return new Promise((resolve, reject) => {
      const done = (reason, word) => {
        clearTimeout(timer);
        room.waiting = room.waiting.filter((other) => other !== done);
        if (reason === undefined) return resolve({ channel, unsubscribe });
        unsubscribe();
        return reject(new CallError(reason, `subscribing${word ? ` (${word})` : ""}`));
      };
      const timer = setTimeout(() => done("timeout"), this.#options.callTimeout);
      room.waiting.push(done);
      if (this.#state.phase === "closed") done("closed");
      else if (room.has && room.asked.length === 0) done();
      else if (this.#state.phase === "open" && room.asked.at(-1) !== "subscribe") this.#ask(room, "subscribe");
    });
  }

  #ask(room, verb) {
    // Both are acknowledged alike: what an answer is to, only their order says.
    if (this.#sayChannel(verb, room.channel) !== "refused") room.asked.push(verb);
  }

  #sayChannel(verb, channel) {
    return this.send(`sente-lite/${verb}`, new Map([[this.#id("channel-id"), channel]]));
  }

  /** Publishes on a channel. Nothing says whether anybody heard it.
   * @param {unknown} channel @param {unknown} data
   * @param {{excludeSender?: boolean}} [options] whether this client's own subscription gets it not
   * @returns {"sent" | "queued" | "refused"} @throws {EdnError} as {@link Client#send} */
  publish(channel, data, { excludeSender = false } = {}) {
    return this.send("sente-lite/publish", new Map([
      [this.#id("channel-id"), channel],
      [this.#id("data"), data],
      [this.#id("exclude-sender?"), excludeSender],
    ]));
  }

  /** Ends the link, if there is one, and connects anew without waiting; also when closed. */
  reconnect() {
    if (this.#state.phase === "closed") globalThis.addEventListener?.("online", this.#online);
    this.#unlink(1000, "");
    this.#failSent();
    this.#connect();
  }

  /** Closes for good: nothing is sent any more, all calls fail.
   * @param {number} [code] @param {string} [reason] */
  close(code = 1000, reason = "") {
    if (this.#state.phase === "closed") return;
    globalThis.removeEventListener?.("online", this.#online);
    this.#unlink(code, reason);
    this.#end({ why: "requested" });
  }

  // What follows is not for the application.

  #id(name) {
    return this.#packer === json ? name : keywordOf(name);
  }

  #event(id, data) {
    const name = keyword(id);
    if (name.namespace === null) throw new EdnError(`no event id: ${id} has no namespace`);
    return data === undefined ? [name] : [name, data];
  }

  #callId() {
    do {
      this.#nextCall = (this.#nextCall + 1) % 0x1000000;
    } while (this.#calls.has(this.#nextCall.toString(16).padStart(6, "0")));
    return this.#nextCall.toString(16).padStart(6, "0");
  }

  #say(text, callId) {
    if (this.#state.phase === "closed") return "refused";
    if (this.#state.phase === "open" && this.#queue.length === 0) {
      if (this.#socket.bufferedAmount > this.#options.maxBuffered) return "refused";
      this.#write(text, callId);
      return "sent";
    }
    const { messages, chars } = this.#options.queue;
    if (this.#queue.length >= messages || this.#queued + text.length > chars) return "refused";
    this.#queue.push({ text, callId });
    this.#queued += text.length;
    return "queued";
  }

  #write(text, callId) {
    const call = this.#calls.get(callId);
    if (call) call.sent = true;
    // A socket that is closing takes what it is given and drops it: the link ends soon.
    this.#socket.send(text);
  }

  #flush() {
    const waiting = this.#queue;
    this.#queue = [];
    this.#queued = 0;
    for (const { text, callId } of waiting) this.#write(text, callId);
  }

  async #connect() {
    const attempt = (this.#attempt += 1);
    const current = () => attempt === this.#attempt;
    this.#set({ phase: "connecting", retryAt: null });
    this.#timers.connect = setTimeout(() => current() && this.#lost({ why: "connect-timeout" }), this.#options.connectTimeout);
    try {
      const token = await (typeof this.#options.csrfToken === "function" ? this.#options.csrfToken() : this.#options.csrfToken);
      if (!current()) return;
      if (token) this.#url.searchParams.set("csrf-token", token);
      this.#url.search = this.#url.search.replaceAll("+", "%20");
      const socket = new this.#WebSocket(this.#url.href);
      this.#socket = socket;
      socket.onmessage = ({ data }) => current() && this.#take(data);
      socket.onclose = ({ code, reason }) => current() && this.#lost({ why: "closed", code, reason });
      // What went wrong is not said; the close that follows ends the link.
      socket.onerror = () => {};
    } catch (error) {
      if (current()) this.#lost({ why: String(error) });
    }
  }

  /** Lets go of the link. What it still has to say is not listened to. */
  #unlink(code, reason) {
    this.#attempt += 1;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    try {
      socket?.close(code, reason);
    } catch {
      socket?.close();
    }
  }

  #lost(ended) {
    const { reconnect } = this.#options;
    this.#unlink(1000, "");
    if (!reconnect) return this.#end(ended);
    const stable = this.#state.phase === "open" && Date.now() - this.#openedAt >= reconnect.stableFor;
    const failures = (stable ? 0 : this.#state.failures) + 1;
    const longest = Math.min(reconnect.max, reconnect.min * 2 ** Math.min(failures - 2, 40));
    const wait = failures === 1 ? 0 : Math.random() * longest;
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
    this.#set({ phase: "waiting", failures, retryAt: Date.now() + wait, ended });
    this.#failSent();
    return undefined;
  }

  #end(ended) {
    this.#queue = [];
    this.#queued = 0;
    this.#set({ phase: "closed", retryAt: null, ended });
    for (const call of [...this.#calls.values()]) call.fail("closed");
    for (const room of [...this.#rooms.values()]) for (const done of room.waiting) done("closed");
  }

  /** Replies come on the link of their call. */
  #failSent() {
    for (const call of [...this.#calls.values()]) if (call.sent) call.fail("closed");
    for (const room of [...this.#rooms.values()]) {
      Object.assign(room, { has: false, asked: [] });
      if (room.handlers.size === 0) this.#rooms.delete(room.key);
    }
  }

  #set(change) {
    const before = this.#state;
    this.#state = Object.freeze({ ...before, ...change });
    for (const listener of [...this.#listeners.state]) this.#guarded(() => listener(this.#state, before));
  }

  /** A fault of the application's own code is its own; the next handler still runs. */
  #guarded(run) {
    try {
      const ran = run();
      if (typeof ran?.then === "function") ran.then(undefined, (error) => this.#problem("handler", error));
    } catch (error) {
      this.#problem("handler", error);
    }
  }

  #problem(kind, error) {
    if (this.#listeners.problem.size === 0) console.warn(`sente: ${kind}:`, error);
    const message = String(error?.message ?? error).slice(0, 300);
    for (const listener of [...this.#listeners.problem]) {
      try {
        listener({ kind, message });
      } catch (fault) {
        console.error(fault);
      }
    }
  }

  #take(data) {
    this.#heardAt = Date.now();
    let all;
    try {
      if (typeof data !== "string") throw new EdnError("a binary message");
      all = this.#dialect.read(this.#packer, this.#packer.unpack(data));
    } catch (error) {
      this.#problem("unreadable", error);
      return;
    }
    const attempt = this.#attempt;
    for (const came of all) {
      // A handler may have closed the link.
      if (attempt !== this.#attempt) return;
      this.#react(came);
    }
  }

  /** @param {Came} came */
  #react(came) {
    switch (came.is) {
      case "handshake":
        this.#opened(came);
        break;
      case "ping":
        this.#write(this.#packer.pack(this.#dialect.pong((name) => this.#id(name))));
        break;
      case "pong":
        break;
      case "reply":
        this.#settle(came);
        break;
      case "event":
        if (!this.#channelEvent(came)) this.#dispatch(came);
        break;
      default:
        this.#problem("no-event", excerpt(came.value));
    }
  }

  #opened({ uid, token, data }) {
    clearTimeout(this.#timers.connect);
    if (this.#state.phase !== "open") {
      this.#openedAt = Date.now();
      this.#watch();
    }
    this.#set({ phase: "open", uid: uid ?? null, token: token ?? null, handshake: data ?? null });
    if (this.#state.phase !== "open") return;
    for (const room of this.#rooms.values()) {
      if (!room.has && room.asked.length === 0 && room.handlers.size > 0) this.#ask(room, "subscribe");
    }
    this.#flush();
  }

  /** Pings a server that is silent, and gives up one that stays so. */
  #watch() {
    const { keepalive } = this.#options;
    if (!keepalive) return;
    const later = (ms, then) => {
      clearTimeout(this.#timers.ping);
      this.#timers.ping = setTimeout(then, ms);
    };
    const check = () => {
      const quiet = Date.now() - this.#heardAt;
      if (quiet < keepalive.interval) return later(keepalive.interval - quiet, check);
      const asked = this.#heardAt;
      this.#write(this.#packer.pack(this.#dialect.ping((name) => this.#id(name), this.#callId())));
      return later(keepalive.timeout, () => (this.#heardAt === asked ? this.#lost({ why: "ping-timeout" }) : check()));
    };
    later(keepalive.interval, check);
  }

  #settle({ id, data }) {
    const call = this.#calls.get(id);
    // A pong comes as the reply to nobody's call.
    if (data === "pong" && !call) return;
    if (!call) this.#problem("unknown-reply", excerpt(id));
    else if (this.#packer.idOf(data) === "chsk/error") call.fail("error");
    else call.resolve(data);
  }

  /** Takes what the server says of channels; says whether it was that. */
  #channelEvent({ id, data }) {
    if (id !== "sente-lite/subscribed" && id !== "sente-lite/channel-msg") return false;
    const field = (name) => this.#packer.field(data, name);
    const room = this.#rooms.get(this.#channels.of(field("channel-id") ?? null, false));
    if (room === undefined) return false;
    if (id === "sente-lite/channel-msg") {
      for (const handler of [...room.handlers]) this.#guarded(() => handler(field("data"), field("from")));
      return true;
    }
    const asked = room.asked.shift();
    if (asked === "subscribe") {
      room.has = field("success") === true;
      const error = field("error") ?? "no";
      const word = error instanceof Keyword ? error.name : String(error);
      if (!room.has && room.waiting.length === 0) this.#problem("channel", `subscribing again: ${word}`);
      for (const done of [...room.waiting]) room.has ? done() : done("error", word);
    } else if (asked === "unsubscribe") {
      room.has = false;
    }
    if (room.handlers.size === 0 && room.asked.length === 0) {
      this.#rooms.delete(room.key);
    }
    return true;
  }

  #dispatch({ id, data, call = undefined }) {
    /** @type {{id: string, data: any, reply?: (data: unknown) => void}} */
    const event = { id, data };
    if (call !== undefined) {
      event.reply = (answer) => {
        const frame = this.#dialect.reply((name) => this.#id(name), call, answer);
        if (frame) this.#say(this.#packer.pack(frame));
      };
    }
    const own = this.#handlers.get(id);
    const handlers = own?.size > 0 ? own : this.#handlers.get("*");
    for (const handler of [...(handlers ?? [])]) this.#guarded(() => handler(data, event));
  }
}

function added(set, item) {
  // The same function may be added twice, and is ended once for each.
  const entry = (...all) => item(...all);
  set.add(entry);
  return () => {
    set.delete(entry);
  };
}

function excerpt(value) {
  try {
    return writeEdn(value).slice(0, 200);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
