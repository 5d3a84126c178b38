#!/usr/bin/env node
// Echoes sente-lite events over standard input and output, one EDN form per line.
//
// A full peer for a parent that speaks first: events come back as they are, calls are answered
// with their own data, pings with a pong. Lines are held as latin1 strings, one character per
// byte, so that data is copied byte for byte whatever it contains.

import { once } from "node:events";
import { realpathSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

// What an EDN token may not contain, and the tokens this script tells apart.
const ENDS = String.raw`\t-\r ,;"\\\[\](){}`;
const TOKEN = new RegExp(
  [
    String.raw`(?<blank>[\t-\r ,]+)`,
    String.raw`(?<open>#?\{|[\[(])`,
    String.raw`(?<close>[\])}])`,
    String.raw`(?<skip>#_)`, // the next form is not there
    String.raw`(?<meta>#?\^)`, // two forms make one
    String.raw`(?<tag>#[A-Za-z:][^${ENDS}]*)`, // #inst, #foo/bar, #:ns before a map
    String.raw`(?<atom>"[^"\\]*(?:\\.[^"\\]*)*"` + // a string
      String.raw`|\\.[^${ENDS}]*` + // a character: \a \newline \" \]
      String.raw`|##[^${ENDS}]+` + // ##NaN
      String.raw`|[^${ENDS}#^][^${ENDS}]*)`, // a number, keyword or symbol
  ].join("|"),
  "sy",
);
const CLOSES = { "[": "]", "(": ")", "{": "}", "#{": "}" };

/** Why a line is not one frame. */
export class Unreadable extends Error {}

/** The elements of the vector in `text`, each as it is written there. */
export function items(text) {
  const found = [];
  const closers = [];
  let start = -1; // where the element that is being read began
  let owed = 0;
  let skipped = false;
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text);
    if (!token) throw new Unreadable(`no EDN token at byte ${at}`);
    const kind = Object.keys(token.groups).find((name) => token.groups[name] !== undefined);
    const begin = at;
    at = TOKEN.lastIndex;
    if (kind === "blank") continue;
    if (closers.length === 0 && token[0] !== "[") throw new Unreadable("not a vector");
    if (closers.length === 1 && kind !== "close") {
      if (start < 0) {
        start = begin;
        owed = kind === "meta" ? 2 : 1;
        skipped = kind === "skip";
      } else if (kind === "skip" || kind === "meta") {
        owed += 1;
      }
    }
    if (kind === "open") {
      closers.push(CLOSES[token[0]]);
    } else if (kind === "close" && token[0] !== closers.pop()) {
      throw new Unreadable(`wrong bracket at byte ${begin}`);
    }
    if (closers.length === 0) break;
    if (closers.length === 1 && (kind === "atom" || kind === "close")) {
      owed -= 1;
      if (owed === 0) {
        if (!skipped) found.push(text.slice(start, at));
        start = -1;
      }
    }
  }
  if (closers.length > 0 || text === "") throw new Unreadable("the line ends too early");
  if (start >= 0) throw new Unreadable("a tag without its form");
  if (/[^\t-\r ,]/.test(text.slice(at))) throw new Unreadable("more than one form on the line");
  return found;
}

/** What to send back for one received line, or null. */
export function answer(line) {
  const frame = items(line);
  if (frame.length === 0) throw new Unreadable("an empty vector");
  const [head, callback] = frame;
  if (head.startsWith("[")) {
    const event = items(head);
    if (frame.length !== 2 || callback === "nil" || event.length === 0) {
      throw new Unreadable("neither an event nor a call");
    }
    return `[:chsk/reply {:cb-uuid ${callback} :data ${event[1] ?? "nil"}}]`;
  }
  if (head === ":chsk/ws-ping") return "[:chsk/ws-pong]";
  // Two peers that echo each other's echoes would never stop.
  if (head.startsWith(":chsk/") || head === ":sente-lite/echo") return null;
  if (!head.startsWith(":")) throw new Unreadable("the event id is not a keyword");
  return line;
}

/** The lines of a stream without their ends, empty ones left out, as latin1 strings. */
export async function* lines(stream) {
  // Not `readline`: it also breaks lines at U+2028, which EDN strings may hold.
  let pieces = [];
  for await (const chunk of stream) {
    let from = 0;
    for (let end; (end = chunk.indexOf(10, from)) >= 0; from = end + 1) {
      pieces.push(chunk.subarray(from, end));
      const line = trimmed(pieces);
      pieces = [];
      if (line) yield line;
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from));
  }
  const last = trimmed(pieces);
  if (last) yield last;
}

function trimmed(pieces) {
  const line = (pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)).latin1Slice();
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

async function send(line) {
  if (!process.stdout.write(line + "\n", "latin1")) await once(process.stdout, "drain");
}

async function main() {
  const name = basename(process.argv[1]);
  process.stdout.on("error", (error) => {
    if (error.code === "EPIPE") process.exit(0); // the parent is gone
    throw error;
  });
  for await (const line of lines(process.stdin)) {
    try {
      const back = answer(line);
      if (back !== null) await send(back);
    } catch (why) {
      if (!(why instanceof Unreadable)) throw why;
      const shown = Buffer.from(line.slice(0, 200), "latin1").toString();
      console.error(`${name}: unreadable line (${why.message}): ${shown}`);
    }
  }
}

const isMain = process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
if (isMain) await main();
