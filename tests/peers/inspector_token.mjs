// Opens the inspector page of a server that asks for a token: without one, with one typed in, and with
// one given behind the # of its address. Prints what it saw as one line of JSON.
//
//   node inspector_token.mjs URL TOKEN
//
// SENTE_TEST_CHROMIUM names the browser, SENTE_TEST_NODE_PATH where playwright-core is.
import { createRequire } from "node:module";
import { join } from "node:path";

const [url, token] = process.argv.slice(2);
const { chromium } = createRequire(join(process.env.SENTE_TEST_NODE_PATH, "here.js"))("playwright-core");
const browser = await chromium.launch({ executablePath: process.env.SENTE_TEST_CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
const path = (page) => page.evaluate(() => location.href.slice(location.origin.length));
const connections = async (page) => {
  await page.locator("#status[data-phase=open]").waitFor();
  await page.locator("#connection-rows tr").first().waitFor();
  return page.locator("#connections-count").textContent();
};
try {
  const page = await browser.newPage();
  await page.goto(url);
  const seen = { at: await path(page) };
  await page.locator("#notice", { hasText: "token" }).waitFor();
  seen.without = [await page.locator("#notice").isVisible(), await page.locator("#token").isVisible()];
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Connect" }).click();
  seen.typed = await connections(page);
  await page.close();
  const other = await browser.newPage();
  await other.goto(`${url}/#${new URLSearchParams({ token })}`);
  seen.given = await connections(other);
  seen.address = await path(other);
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
} finally {
  await browser.close();
}
