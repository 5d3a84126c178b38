// Runs one function in a page of a headless Chromium and prints what it gives, as one line of JSON.
//
//   node browser.mjs FUNCTION.js [ARGUMENT ..]
//
// FUNCTION.js holds one function expression; the arguments are passed as strings. What the page
// writes to its console goes to standard error. Exit status 1: the function threw, or the browser
// did not start. SENTE_TEST_CHROMIUM names the browser, SENTE_TEST_NODE_PATH where playwright-core
// is.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const modules = process.env.SENTE_TEST_NODE_PATH;
const executablePath = process.env.SENTE_TEST_CHROMIUM;
const [file, ...args] = process.argv.slice(2);
if (!modules || !executablePath || !file) {
  console.error("usage: node browser.mjs FUNCTION.js [ARGUMENT ..], with SENTE_TEST_CHROMIUM and SENTE_TEST_NODE_PATH set");
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
