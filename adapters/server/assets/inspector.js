// The inspector page: shows what the server says of itself, and nothing of it as markup.
import { CallError, EdnError, Keyword, connect, keyword, readEdn, writeEdn } from "./sente.js";

const $ = (id) => document.getElementById(id);
/** How many events the page keeps, and how many points its curves have. */
const KEPT_EVENTS = 500;
const POINTS = 60;

/** What a map of the server holds under a keyword. */
const at = (map, name) => (map instanceof Map ? map.get(keyword(name)) : undefined);
const number = (map, name) => {
  const value = at(map, name);
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
};
const list = (map, name) => {
  const value = at(map, name);
  return Array.isArray(value) ? value : [];
};

/** A value of the server as text: strings as they are, the rest as EDN. */
function text(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (value instanceof Keyword) return value.name;
  try {
    return writeEdn(value);
  } catch {
    return "?";
  }
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rate = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const UNITS = ["B", "kB", "MB", "GB", "TB"];

function bytes(count) {
  let unit = 0;
  let size = count;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return [unit === 0 ? whole.format(size) : rate.format(size), UNITS[unit]];
}

function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [size, unit] = parts[first];
  const whole = `${Math.floor(seconds / size)} ${unit}`;
  const next = parts[first + 1];
  const rest = next && Math.floor((seconds % size) / next[0]);
  return rest && first < 2 ? `${whole} ${rest} ${next[1]}` : whole;
}

/** Sets text only where it is another, so that a selection survives. */
function put(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// --- Numbers ------------------------------------------------------------------------------------

const TILES = [
  { label: "Connections", value: (s) => [whole.format(number(at(s, "totals"), "connections"))] },
  { label: "Users", value: (s) => [whole.format(number(at(s, "totals"), "users"))] },
  { label: "Channels", value: (s) => [whole.format(number(at(s, "totals"), "channels"))] },
  { label: "Events in", curve: "events-in", value: (s) => [rate.format(number(at(s, "rates"), "events-in")), "/s"] },
  { label: "Events out", curve: "events-out", value: (s) => [rate.format(number(at(s, "rates"), "events-out")), "/s"] },
  { label: "Bytes in", curve: "bytes-in", value: (s) => perSecond(number(at(s, "rates"), "bytes-in")) },
  { label: "Bytes out", curve: "bytes-out", value: (s) => perSecond(number(at(s, "rates"), "bytes-out")) },
  { label: "Waiting", value: (s) => bytes(number(at(s, "totals"), "waiting-bytes")), alarm: (s) => number(at(s, "totals"), "waiting-bytes") > 1_000_000 },
  { label: "Drops", curve: "drops", value: (s) => [rate.format(number(at(s, "rates"), "drops")), "/s"], alarm: (s) => number(at(s, "rates"), "drops") > 0 },
  { label: "Refused", value: (s) => [whole.format(number(at(s, "totals"), "refused"))] },
];

function perSecond(count) {
  const [value, unit] = bytes(count);
  return [value, `${unit}/s`];
}

const SVG = "http://www.w3.org/2000/svg";
const tiles = TILES.map((tile) => {
  const value = make("span", {}, "–");
  const unit = make("span", { class: "unit" });
  const box = make("div", {}, make("dt", {}, tile.label), make("dd", {}, value, unit));
  const line = document.createElementNS(SVG, "polyline");
  if (tile.curve) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${POINTS - 1} 20`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(line);
    box.append(svg);
  }
  $("tiles").append(box);
  return { ...tile, box, value, unit, line, points: [], show: tile.value };
});

function showTiles(snapshot) {
  for (const tile of tiles) {
    const [value, unit = ""] = tile.show(snapshot);
    put(tile.value, value);
    put(tile.unit, unit);
    tile.box.dataset.alarm = String(Boolean(tile.alarm?.(snapshot)));
    if (!tile.curve) continue;
    tile.points.push(number(at(snapshot, "rates"), tile.curve));
    if (tile.points.length > POINTS) tile.points.shift();
    const most = Math.max(...tile.points, 1);
    const from = POINTS - tile.points.length;
    tile.line.setAttribute("points", tile.points.map((point, i) => `${from + i},${(19 - (18 * point) / most).toFixed(1)}`).join(" "));
  }
}

// --- Tables -------------------------------------------------------------------------------------

/** Shows items as rows, one for each key, and keeps the rows of those that stay. */
class Rows {
  #body;
  #rows = new Map();
  #make;

  /** `make` gives the elements of a row and how to fill them. */
  constructor(body, makeRow) {
    this.#body = body;
    this.#make = makeRow;
  }

  show(items, keyOf) {
    const gone = new Set(this.#rows.keys());
    let next = this.#body.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      let row = this.#rows.get(key);
      if (!row) {
        const { cells, fill } = this.#make();
        row = { element: make("tr", {}, ...cells), fill };
        this.#rows.set(key, row);
      } else if (!gone.has(key)) continue;
      gone.delete(key);
      row.fill(item);
      if (row.element === next) next = next.nextElementSibling;
      else this.#body.insertBefore(row.element, next);
    }
    for (const key of gone) {
      this.#rows.get(key).element.remove();
      this.#rows.delete(key);
    }
  }
}

const cell = (label, attributes = {}, ...children) => make("td", label ? { "data-label": label, ...attributes } : attributes, ...children);
const TONES = { open: "good", closing: "warn", closed: "bad", away: "warn" };

const connections = new Rows($("connection-rows"), () => {
  const user = make("th", { scope: "row", "data-wide": "" });
  const peer = make("span");
  const id = make("span", { class: "mono quiet" });
  const speaks = cell("", { "data-wide": "" });
  const tag = make("span", { class: "tag" });
  const numbers = ["In/s", "Out/s", "Waiting", "Drops", "Age"].map((label) => cell(label, { class: "number" }));
  const [eventsIn, eventsOut, waiting, drops, since] = numbers;
  return {
    cells: [user, cell("", { "data-wide": "" }, peer, " ", id), speaks, cell("", {}, tag), ...numbers],
    fill(c) {
      put(user, text(at(c, "user")));
      put(peer, text(at(c, "peer")));
      put(id, shortId(text(at(c, "id"))));
      id.title = text(at(c, "id"));
      put(speaks, [text(at(c, "transport")), text(at(c, "dialect")), text(at(c, "packer"))].filter(Boolean).join(" · "));
      const state = at(c, "slow") === true ? "slow" : text(at(c, "state"));
      put(tag, state);
      tag.dataset.tone = TONES[state] ?? (state === "slow" ? "bad" : "");
      put(eventsIn, rate.format(number(c, "in")));
      put(eventsOut, rate.format(number(c, "out")));
      const messages = number(c, "waiting-messages");
      put(waiting, messages === 0 ? "0" : `${whole.format(messages)} · ${bytes(number(c, "waiting-bytes")).join(" ")}`);
      waiting.classList.toggle("alarm", number(c, "waiting-bytes") > 100_000);
      put(drops, whole.format(number(c, "drops")));
      drops.classList.toggle("alarm", number(c, "drops") > 0);
      put(since, age(number(c, "age-ms")));
    },
  };
});

/** Ids that begin with the time differ at their end. */
const shortId = (id) => (id.length > 14 ? `…${id.slice(-8)}` : id);

const pairs = (body, names) => new Rows($(body), () => {
  const head = make("th", { scope: "row" });
  const cells = names.map(() => make("td", { class: "number" }));
  return {
    cells: [head, ...cells],
    fill(item) {
      put(head, text(at(item, names.head)));
      names.forEach((name, i) => put(cells[i], whole.format(number(item, name))));
    },
  };
});
const users = pairs("user-rows", Object.assign(["connections"], { head: "user" }));
const channels = pairs("channel-rows", Object.assign(["subscribers", "published", "retained"], { head: "channel" }));

function count(id, shown, all) {
  put($(id), shown < all ? `${whole.format(shown)} of ${whole.format(all)}` : whole.format(all));
}

const matches = (words, ...values) => {
  const all = values.join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
};
const wordsOf = (input) => input.value.toLowerCase().split(/\s+/u).filter(Boolean);

let snapshot = new Map();

function showTables() {
  const totals = at(snapshot, "totals");
  const words = wordsOf($("filter"));
  const found = list(snapshot, "connections").filter((c) => words.length === 0 ||
    matches(words, ...["user", "peer", "id", "transport", "dialect", "packer", "state"].map((name) => text(at(c, name)))));
  connections.show(found, (c) => text(at(c, "id")));
  count("connections-count", found.length, number(totals, "connections"));
  put($("no-connections"), words.length > 0 ? "No connection matches." : "Nobody is connected.");
  $("no-connections").hidden = found.length > 0;
  for (const [name, rows, key] of [["users", users, "user"], ["channels", channels, "channel"]]) {
    const items = list(snapshot, name);
    rows.show(items, (item) => writeEdn(at(item, key)));
    count(`${name}-count`, items.length, number(totals, name));
    $(`no-${name}`).hidden = items.length > 0;
  }
}

// --- Events -------------------------------------------------------------------------------------

const EVENT_TONES = { received: "", sent: "", joined: "good", left: "warn", refused: "bad", "turned-away": "bad", "bad-event": "bad", slow: "bad", dropped: "bad", undelivered: "warn" };
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
let events = [];
let missed = 0;

const eventRows = new Rows($("event-rows"), () => {
  const time = cell("", { class: "time mono quiet" });
  const tag = make("span", { class: "tag" });
  const id = cell("", { class: "mono", "data-wide": "" });
  const whose = cell("", { "data-wide": "" });
  const size = cell("Bytes", { class: "number" });
  const data = cell("", { class: "mono", "data-wide": "" });
  return {
    cells: [time, cell("", {}, tag), id, whose, size, data],
    fill(event) {
      put(time, clock.format(new Date(number(event, "at"))));
      const kind = text(at(event, "kind"));
      put(tag, at(event, "call") === true ? `${kind} call` : kind);
      tag.dataset.tone = EVENT_TONES[kind] ?? "";
      put(id, text(at(event, "event")));
      put(whose, [text(at(event, "user")), shortId(text(at(event, "connection"))), text(at(event, "about"))].filter(Boolean).join(" · "));
      put(size, at(event, "bytes") === undefined ? "" : whole.format(number(event, "bytes")));
      const hidden = at(event, "hidden") === true;
      put(data, hidden ? "hidden" : text(at(event, "data")));
      data.classList.toggle("hidden-data", hidden);
    },
  };
});

function showEvents() {
  const words = wordsOf($("event-filter"));
  const found = events.filter((event) => words.length === 0 ||
    matches(words, ...["kind", "event", "user", "connection", "about", "data"].map((name) => text(at(event, name)))));
  eventRows.show(found, (event) => number(event, "seq"));
  put($("events-count"), missed > 0 ? `${whole.format(missed)} more were not shown` : "");
  put($("no-events"), events.length > 0 ? "No event matches." : "Nothing has happened yet.");
  $("no-events").hidden = found.length > 0;
}

function takeEvents(data) {
  missed += number(data, "missed");
  events = [...list(data, "events")].reverse().concat(events).slice(0, KEPT_EVENTS);
}

// --- The link -----------------------------------------------------------------------------------

let client = null;
let paused = false;

function say(problem) {
  put($("notice"), problem);
  $("notice").hidden = problem === "";
}

function showState({ phase, ended, retryAt, failures, uid }) {
  if (phase === "waiting" && failures === 2 && uid === null) {
    say("The server does not let this page in. If it asks for a token, type it below, under Link.");
    $("link").open = true;
  }
  const why = ended?.code ? ` (${ended.code}${ended.reason ? ` ${ended.reason}` : ""})` : "";
  const wait = retryAt ? Math.max(0, Math.ceil((retryAt - Date.now()) / 1000)) : 0;
  const words = { connecting: "Connecting …", open: "Connected", waiting: `Disconnected${why}`, closed: `Closed${why}` };
  put($("status"), words[phase]);
  // Beside what is read out, since it changes every second.
  if (phase !== "open") put($("uptime"), wait > 0 ? `next try in ${wait} s` : "");
  $("status").dataset.phase = phase;
}

async function subscribe(to) {
  try {
    const terms = await to.call("inspector/subscribe", { events: true });
    if (to !== client) return;
    say("");
    $("send").hidden = at(terms, "can-send") !== true;
    events = [];
    missed = 0;
  } catch (error) {
    if (to !== client || !(error instanceof CallError) || error.reason === "closed") return;
    say(error.reason === "error"
      ? "The server does not let you look inside. Log in as somebody who may, and load the page again."
      : "The server does not answer as an inspector's would. Is the inspector switched on?");
  }
}

/** What a `meta` element of the page says. */
const said = (name) => document.querySelector(`meta[name="${name}"]`)?.content;

/** The CSRF token that the server gives this visitor, where the page says where. */
async function tokenOfServer() {
  const path = said("sente-csrf-tokens");
  if (!path) return "";
  const response = await fetch(path, { cache: "no-store" });
  // The server may ask for none.
  if (response.status === 404) return "";
  if (!response.ok) throw new Error(`no CSRF token: ${response.status}`);
  return (await response.json())["csrf-token"];
}

function open() {
  client?.close();
  say("");
  const token = $("token").value;
  const parameter = said("sente-token-parameter");
  const params = token && parameter ? { [parameter]: token } : {};
  try {
    client = connect($("endpoint").value, { dialect: "sente", params, csrfToken: token && !parameter ? token : tokenOfServer });
  } catch (error) {
    client = null;
    say(String(error.message));
    return;
  }
  const mine = client;
  mine.onState((state, before) => {
    if (mine !== client) return;
    showState(state);
    if (state.phase === "open" && before.phase !== "open") subscribe(mine);
  });
  mine.on("inspector/snapshot", (data) => {
    if (mine !== client || paused) return;
    snapshot = data;
    put($("uptime"), `up ${age(number(data, "uptime-ms"))}`);
    showTiles(data);
    showTables();
  });
  mine.on("inspector/events", (data) => {
    if (mine !== client) return;
    takeEvents(data);
    if (!paused) showEvents();
  });
  mine.onProblem(({ kind, message }) => console.warn(kind, message));
  showState(mine.state);
}

// --- What the reader does -----------------------------------------------------------------------

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  put($("pause"), paused ? "Paused" : "Pause");
  if (!paused) showEvents();
});
$("filter").addEventListener("input", showTables);
$("event-filter").addEventListener("input", showEvents);
$("clear").addEventListener("click", () => {
  events = [];
  missed = 0;
  showEvents();
});
$("link-form").addEventListener("submit", (event) => {
  event.preventDefault();
  open();
});

const WHOM = { user: "User id, as EDN or text", connection: "Connection id", channel: "Channel id, as EDN or text" };
$("send-target").addEventListener("change", () => {
  const what = WHOM[$("send-target").value];
  $("send-whom-field").hidden = what === undefined;
  $("send-whom").required = what !== undefined;
  put($("send-whom-label"), what ?? "");
});

/** What stands in the field of a target: EDN where it is a form of its own, plain words as text. */
function whom(kind) {
  const said = $("send-whom").value.trim();
  if (kind === "connection") return said;
  return /^["[{(#:\d]/u.test(said) ? readEdn(said) : said;
}

$("send-form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const result = $("send-result");
  const tell = (tone, words) => {
    result.dataset.tone = tone;
    put(result, words);
  };
  const kind = $("send-target").value;
  try {
    const event = readEdn($("send-event").value);
    if (!Array.isArray(event) || !(event[0] instanceof Keyword) || event[0].namespace === null || event.length > 2) {
      return tell("bad", "This is no event: it has to be [:namespace/name data].");
    }
    const to = kind === "all" ? keyword("all") : new Map([[keyword(kind), whom(kind)]]);
    if (!client) return tell("bad", "There is no link.");
    const sent = await client.call("inspector/send", new Map([[keyword("to"), to], [keyword("event"), event]]));
    const error = at(sent, "error");
    if (error !== undefined && error !== null) return tell("bad", `Not sent: ${text(error)}`);
    const reached = number(sent, "connections");
    return tell("good", `Sent to ${whole.format(reached)} connection${reached === 1 ? "" : "s"}.`);
  } catch (error) {
    if (error instanceof EdnError) return tell("bad", `This is no EDN: ${error.message}.`);
    return tell("bad", error instanceof CallError ? `Not sent (${error.reason}).` : String(error.message));
  }
});

// The time of the next attempt goes by.
setInterval(() => {
  if (client?.state.phase === "waiting") showState(client.state);
}, 1000);

$("endpoint").value = said("sente-endpoint") ?? "/chsk";
// What is behind the # is not sent to the server, and need not stay where others read it.
const shown = new URLSearchParams(location.hash.slice(1)).get("token");
if (shown) {
  $("token").value = shown;
  history.replaceState(null, "", location.pathname + location.search);
}
open();
