// Runs the function of a page of `../pages` in Node, with the WebSocket of `ws`, and prints what it
// gives as one line of JSON.
//
//   node live.mjs FUNCTION.js [ARGUMENT ..]
//
// SENTE_TEST_NODE_PATH says where `ws` is.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { runInThisContext, constants } from "node:vm";

const [file, ...args] = process.argv.slice(2);
const modules = process.env.SENTE_TEST_NODE_PATH;
globalThis.WebSocket = createRequire(join(modules, "here.js"))("ws");
const run = runInThisContext(`(${readFileSync(file, "utf8")})`, {
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
console.log(JSON.stringify(await run(...args)));
process.exit(0);
