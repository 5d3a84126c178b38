#!/usr/bin/env node
// What JavaScript makes of JSON texts: of each it says how it would write the value again.
//
// Each line on standard input is a text, itself written as a JSON string, so that it may hold line
// breaks. Each is answered with one line: `=` and what JSON.stringify makes of the value, or `!`
// if JSON.parse refuses the text.

import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const text = JSON.parse(line);
  let answer;
  try {
    answer = `=${JSON.stringify(JSON.parse(text))}`;
  } catch {
    answer = "!";
  }
  process.stdout.write(`${answer}\n`);
}
