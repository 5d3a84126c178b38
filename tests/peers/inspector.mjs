// Drives the inspector page in a headless Chromium and prints what it saw as one line of JSON.
//
//   node inspector.mjs URL [DIRECTORY]
//
// With a directory it leaves screenshots there, light and dark, wide and narrow. The page must show
// at least the users `olga` and one whose name is markup, and a channel. SENTE_TEST_CHROMIUM names the
// browser, SENTE_TEST_NODE_PATH where playwright-core is.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [url, directory] = process.argv.slice(2);
const modules = process.env.SENTE_TEST_NODE_PATH;
const { chromium } = createRequire(join(modules, "here.js"))("playwright-core");
if (directory) mkdirSync(directory, { recursive: true });

/** Of each visible text, how far it stands out; what is below 4.5, or 3 if large, is given back. */
const weakTexts = () => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colors) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) {
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const weak = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("noscript, .skip")) continue;
    const backgrounds = [];
    for (let at = element; at; at = at.parentElement) backgrounds.unshift(getComputedStyle(at).backgroundColor);
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const [a, b] = [light(over(backgrounds)), light(over([...backgrounds, color]))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700);
    if (contrast < (large ? 3 : 4.5)) weak.push(`${texts.currentNode.textContent.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
  }
  return weak;
};

/** What has no name to those who cannot see it, and what cannot be found. */
const structure = () => ({
  nameless: [...document.querySelectorAll("input, select, textarea, button")]
    .filter((it) => !(it.labels?.length || it.textContent.trim() || it.getAttribute("aria-label")))
    .map((it) => it.id),
  landmarks: ["header", "main", "footer"].filter((name) => document.querySelectorAll(name).length === 1).length,
  unlabelled: [...document.querySelectorAll("section, [role=region]")]
    .filter((it) => !document.getElementById(it.getAttribute("aria-labelledby"))?.textContent.trim()).length,
  ids: document.querySelectorAll("[id]").length === new Set([...document.querySelectorAll("[id]")].map((it) => it.id)).size,
  headings: [...document.querySelectorAll("h1, h2, h3")].map((it) => it.tagName).join(" "),
  lang: document.documentElement.lang,
});

const browser = await chromium.launch({ executablePath: process.env.SENTE_TEST_CHROMIUM, headless: true, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
const seen = { weak: [], overflow: [], problems: [] };
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.problems.push(message.text()));
  page.on("pageerror", (error) => seen.problems.push(String(error)));
  page.on("dialog", (dialog) => {
    seen.problems.push("a dialog");
    dialog.dismiss();
  });
  await page.goto(url);
  await page.locator("#status[data-phase=open]").waitFor();
  await page.locator("#connection-rows th", { hasText: "olga" }).first().waitFor();
  await page.locator("#event-rows td", { hasText: ":chat/say" }).first().waitFor();
  // Two snapshots, so that rates are there.
  const uptime = await page.locator("#uptime").textContent();
  await page.waitForFunction((before) => document.getElementById("uptime").textContent !== before, uptime);

  seen.structure = await page.evaluate(structure);
  seen.users = await page.locator("#user-rows th").allTextContents();
  seen.channels = await page.locator("#channel-rows th").allTextContents();
  seen.images = await page.locator("img").count();
  seen.data = await page.locator("#event-rows tr", { hasText: ":chat/say" }).first().locator("td").last().textContent();

  // By keyboard alone: past the first link, pause, and go on.
  await page.keyboard.press("Tab");
  seen.firstStop = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  seen.paused = await page.locator("#pause").getAttribute("aria-pressed");
  await page.keyboard.press("Enter");

  await page.getByLabel("Filter").first().fill("olga ws");
  seen.filtered = await page.locator("#connection-rows th").allTextContents();
  await page.getByLabel("Filter").first().fill("nobody at all");
  seen.none = await page.locator("#no-connections").textContent();
  await page.getByLabel("Filter").first().fill("");

  const send = async (event) => {
    await page.getByLabel("Event, as EDN").fill(event);
    await page.locator("#send-result").evaluate((it) => (it.textContent = ""));
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.locator("#send-result:not(:empty)").waitFor();
    return page.locator("#send-result").textContent();
  };
  await page.getByLabel("To", { exact: true }).selectOption("user");
  await page.getByLabel("User id").fill("olga");
  seen.sent = [await send('[:chat/notice {:text "hello"}]'), await send("[:plain]"), await send("[:chat/notice"), await send("[:chsk/close]")];

  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390, 360]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: width > 600 ? 900 : 844 });
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wider > 0) seen.overflow.push(`${wider} at ${width}`);
      seen.weak.push(...(await page.evaluate(weakTexts)));
      if (directory && width !== 360) await page.screenshot({ path: join(directory, `${colorScheme}-${width}.png`), fullPage: true });
    }
  }
  await page.setViewportSize({ width: 360, height: 640 });
  const stop = page.locator("#pause");
  seen.target = await stop.evaluate((it) => it.getBoundingClientRect().height >= 44);
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(String(error), JSON.stringify(seen));
  process.exitCode = 1;
} finally {
  await browser.close();
}
