// Runs one function in a page of a headless Chromium and prints what it gives, as one line of JSON.
//
//   node browser.mjs [--script MODULE/FILE.js] FUNCTION.js [ARGUMENT ..]
//
// FUNCTION.js holds one function expression; the arguments are passed as strings. The script, a
// file of an installed package, is loaded into the page first; what one made for Node puts into its
// `module.exports` is the global `required`. What the page
// writes to its console goes to standard error. Exit status 1: the function threw, or the browser
// did not start. SENTE_TEST_CHROMIUM names the browser, SENTE_TEST_NODE_PATH where playwright-core
// is.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const modules = process.env.SENTE_TEST_NODE_PATH;
const executablePath = process.env.SENTE_TEST_CHROMIUM;
const words = process.argv.slice(2);
const script = words[0] === "--script" ? words.splice(0, 2)[1] : undefined;
const [file, ...args] = words;
if (!modules || !executablePath || !file) {
  console.error("usage: node browser.mjs [--script MODULE/FILE.js] FUNCTION.js [ARGUMENT ..], with SENTE_TEST_CHROMIUM and SENTE_TEST_NODE_PATH set");
  process.exit(2);
}
const { chromium } = createRequire(join(modules, "here.js"))("playwright-core");
const profile = mkdtempSync(join(tmpdir(), "sente-browser-"));
let status = 0;
let browser;
try {
  browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
    ],
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.on("console", (message) => console.error(message.text()));
  page.on("pageerror", (error) => console.error(String(error)));
  if (script) {
    await page.evaluate("globalThis.module = { exports: {} }; globalThis.exports = module.exports;");
    await page.addScriptTag({ path: join(modules, script) });
    await page.evaluate("globalThis.required = module.exports; delete globalThis.module; delete globalThis.exports;");
  }
  const text = readFileSync(file, "utf8");
  const result = await page.evaluate(`(${text})(...${JSON.stringify(args)})`);
  console.log(JSON.stringify(result));
} catch (error) {
  console.error(String(error));
  status = 1;
} finally {
  await browser?.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(status);
