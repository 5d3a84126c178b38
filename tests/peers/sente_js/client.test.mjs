// The client of `sente.js`, by a socket and a clock of the test.
//
//   node --test tests/peers/sente_js/client.test.mjs
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { CallError, EdnError, connect, edn, equal, json, keyword, readEdn } from "../../../adapters/server/assets/sente.js";

const HANDSHAKE = { sente: '[[:chsk/handshake ["uid-1" nil {:v 1}]] nil]', "sente-lite": '[:chsk/handshake ["uid-1" "token" {:v 1} true]]' };

/** Every socket that was asked for, newest last. */
let sockets;
let clients;

class Socket {
  bufferedAmount = 0;
  sent = [];
  closed = null;

  constructor(url) {
    this.url = new URL(url);
    sockets.push(this);
  }

  send(text) {
    this.sent.push(text);
  }

  close(...how) {
    this.closed ??= how;
  }

  says(...frames) {
    for (const data of frames) this.onmessage({ data });
  }

  ends(code = 1006) {
    this.onclose({ code, reason: "" });
  }
}

/** Lets promises that are settled go on. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const last = () => sockets.at(-1);

async function client(options = {}, url = "ws://here/chsk") {
  const made = connect(url, { WebSocket: Socket, clientId: "c", ...options });
  made.problems = [];
  made.onProblem(({ kind }) => made.problems.push(kind));
  clients.push(made);
  await settled();
  return made;
}

async function opened(options = {}) {
  const dialect = options.dialect ?? "sente";
  const made = await client(options, dialect === "sente" ? "ws://here/chsk" : "ws://here/");
  last().says(HANDSHAKE[dialect]);
  assert.equal(made.state.phase, "open");
  return made;
}

beforeEach(() => {
  sockets = [];
  clients = [];
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
});
afterEach(() => {
  for (const each of clients) each.close();
  mock.timers.reset();
  mock.restoreAll();
});

test("the URL says the dialect, and carries client id, parameters and token", async () => {
  await client({ params: { room: "a b+c" }, csrfToken: async () => "t/1" }, "https://here:8/x/chsk?a=1#top");
  assert.equal(last().url.href, "wss://here:8/x/chsk?a=1&room=a%20b%2Bc&client-id=c&csrf-token=t%2F1");
  await client({}, "http://here/any");
  assert.equal(last().url.href, "ws://here/any");
  await client({ dialect: "sente" }, "ws://here/any");
  assert.equal(last().url.href, "ws://here/any?client-id=c");
  assert.throws(() => connect("ws://here", { WebSocket: undefined, ...(globalThis.WebSocket && { WebSocket: 1 }) }), TypeError);
  assert.throws(() => connect("not a URL", { WebSocket: Socket }), TypeError);
});

test("it is open when the handshake came, in either dialect, and says what that said", async () => {
  for (const dialect of ["sente", "sente-lite"]) {
    const made = await client({ dialect });
    assert.equal(made.state.phase, "connecting");
    const phases = [];
    made.onState(({ phase }, before) => phases.push([before.phase, phase]));
    last().says(HANDSHAKE[dialect]);
    assert.deepEqual(phases, [["connecting", "open"]]);
    assert.equal(made.state.uid, "uid-1");
    assert.equal(made.state.token, dialect === "sente" ? null : "token");
    assert.equal(made.state.handshake.get(keyword("v")), 1);
  }
});

test("events go out and come in as each dialect has them", async () => {
  const frames = {
    sente: { out: ["[[:a/b {:x 1}] nil]", "[[:a/b nil] nil]", "[[:a/b] nil]"], in: ["[[[:a/b 1] [:a/c]] nil]", "[[[:a/other 2]] nil]"] },
    "sente-lite": { out: ["[:a/b {:x 1}]", "[:a/b nil]", "[:a/b]"], in: ["[:batch/events [[:a/b 1] [:a/c]]]", "[:chsk/recv [:a/other 2]]"] },
  };
  for (const dialect of ["sente", "sente-lite"]) {
    const made = await opened({ dialect });
    const heard = [];
    made.on("a/b", (data, { id }) => heard.push([id, data]));
    const end = made.on(":a/c", (data) => heard.push(["c", data]));
    made.on("*", (data, { id }) => heard.push(["*", id, data]));
    last().says(...frames[dialect].in);
    end();
    last().says(frames[dialect].in[0]);
    assert.deepEqual(heard, [["a/b", 1], ["c", undefined], ["*", "a/other", 2], ["a/b", 1], ["*", "a/c", undefined]]);
    assert.equal(made.send("a/b", { x: 1 }), "sent");
    made.send(":a/b", null);
    made.send("a/b");
    assert.deepEqual(last().sent, frames[dialect].out);
    assert.deepEqual(made.problems, []);
  }
});

test("in JSON, ids are strings in both directions", async () => {
  const made = await client({ packer: json });
  last().says('[["chsk/handshake",["uid-1",null,null]],null]');
  const heard = [];
  made.on("a/b", (data) => heard.push(data));
  last().says('[[["a/b",{"x":1}],[":a/b"]],null]', '["chsk/ws-ping",null]');
  const reply = made.call("a/call", { x: 2 });
  const joined = made.subscribe("room", (data) => heard.push(data));
  const id = JSON.parse(last().sent[1])[1];
  last().says('[[["sente-lite/subscribed",{"channel-id":"room","success":true}]],null]');
  await joined;
  last().says(JSON.stringify([{ y: 1 }, id]), '[[["sente-lite/channel-msg",{"channel-id":"room","data":3}]],null]');
  assert.deepEqual(await reply, { y: 1 });
  assert.deepEqual(heard, [{ x: 1 }, undefined, 3]);
  assert.deepEqual(last().sent, ['[["chsk/ws-pong"],null]', `[["a/call",{"x":2}],"${id}"]`, '[["sente-lite/subscribe",{"channel-id":"room"}],null]']);
});

test("a call settles by its reply, an error, its time, or an abort", async () => {
  for (const dialect of ["sente", "sente-lite"]) {
    const made = await opened({ dialect });
    const reply = (text, id) => (dialect === "sente" ? `[${text} "${id}"]` : `[:chsk/reply {:cb-uuid "${id}" :data ${text}}]`);
    const abort = new AbortController();
    const calls = [made.call("a/b", 1), made.call("a/b", 2), made.call("a/b", 3, { timeout: 10 }), made.call("a/b", 4, { signal: abort.signal })];
    const outcomes = Promise.allSettled(calls);
    const ids = last().sent.map((text) => readEdn(text)[1]);
    assert.equal(new Set(ids).size, 4);
    last().says(reply("{:y [nil]}", ids[0]), reply(":chsk/error", ids[1]));
    mock.timers.tick(10);
    abort.abort();
    const [first, ...others] = await outcomes;
    assert.ok(equal(first.value, readEdn("{:y [nil]}")));
    assert.deepEqual(others.map(({ reason }) => [reason instanceof CallError, reason.reason]), [[true, "error"], [true, "timeout"], [true, "aborted"]]);
    last().says(reply("1", ids[2]));
    assert.deepEqual(made.problems, ["unknown-reply"]);
  }
});

test("sent calls fail when their link is lost, waiting ones go to the next", async () => {
  const made = await opened();
  const lost = made.call("a/b", 1);
  const outcome = assert.rejects(lost, { reason: "closed" });
  last().ends();
  await outcome;
  const kept = made.call("a/b", 2);
  assert.equal(made.send("a/c", 3), "queued");
  mock.timers.tick(0);
  await settled();
  last().says(HANDSHAKE.sente);
  const [call, event] = last().sent;
  assert.equal(event, "[[:a/c 3] nil]");
  last().says(`[:done "${readEdn(call)[1]}"]`);
  assert.equal(await kept, keyword("done"));
  assert.equal(sockets.length, 2);
});

test("a call that gives up while it waits is not sent", async () => {
  const made = await client({});
  await assert.rejects(Promise.all([made.call("a/b", 1, { timeout: 5 }), Promise.resolve().then(() => mock.timers.tick(5))]), { reason: "timeout" });
  last().says(HANDSHAKE.sente);
  assert.deepEqual(last().sent, []);
});

test("what waits is bounded, and so is what the socket holds", async () => {
  const made = await client({ queue: { messages: 2, chars: 40 }, maxBuffered: 10 });
  assert.equal(made.send("a/b", "x".repeat(40)), "refused");
  assert.equal(made.send("a/b"), "queued");
  assert.equal(made.send("a/b"), "queued");
  assert.equal(made.send("a/b"), "refused");
  await assert.rejects(made.call("a/b"), { reason: "refused" });
  last().says(HANDSHAKE.sente);
  assert.equal(last().sent.length, 2);
  last().bufferedAmount = 11;
  assert.equal(made.send("a/b"), "refused");
  last().bufferedAmount = 10;
  assert.equal(made.send("a/b"), "sent");
});

test("it comes back at once, then after random waits that double up to a limit", async () => {
  mock.method(Math, "random", () => 0.999999);
  const made = await opened();
  const waits = [];
  for (let i = 0; i < 9; i += 1) {
    last().ends();
    assert.equal(made.state.phase, "waiting");
    waits.push(Math.round(made.state.retryAt - Date.now()));
    mock.timers.tick(waits.at(-1));
    await settled();
    assert.equal(sockets.length, i + 2);
  }
  assert.deepEqual(waits, [0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
  // A link that is open for a moment changes nothing; a stable one does.
  last().says(HANDSHAKE.sente);
  last().ends();
  assert.equal(made.state.failures, 10);
  made.reconnect();
  await settled();
  last().says(HANDSHAKE.sente);
  mock.timers.tick(5000);
  last().ends();
  assert.equal(made.state.failures, 1);
});

test("an attempt without a handshake is given up, and its socket is not heard any more", async () => {
  const made = await client({});
  const first = last();
  mock.timers.tick(10_000);
  assert.deepEqual([made.state.failures, made.state.ended.why], [1, "connect-timeout"]);
  assert.ok(first.closed);
  await settled();
  assert.equal(sockets.length, 2);
  first.says(HANDSHAKE.sente);
  first.ends();
  assert.equal(made.state.phase, "connecting");
  last().says(HANDSHAKE.sente);
  assert.equal(made.state.phase, "open");
});

test("without reconnecting, the end of the link is the end", async () => {
  const made = await opened({ reconnect: false });
  const waiting = assert.rejects(made.call("a/b"), { reason: "closed" });
  last().ends(1001);
  await waiting;
  assert.deepEqual([made.state.phase, made.state.ended.code], ["closed", 1001]);
  assert.equal(made.send("a/b"), "refused");
  await assert.rejects(made.call("a/b"), { reason: "closed" });
  await assert.rejects(made.subscribe("room", () => {}), { reason: "closed" });
});

test("closing says goodbye, fails what waits, and can be undone", async () => {
  const made = await opened();
  const call = assert.rejects(made.call("a/b"), { reason: "closed" });
  const joining = assert.rejects(made.subscribe("room", () => {}), { reason: "closed" });
  made.close(4000, "bye");
  await Promise.all([call, joining]);
  assert.deepEqual(last().closed, [4000, "bye"]);
  assert.equal(made.state.phase, "closed");
  made.reconnect();
  await settled();
  last().says(HANDSHAKE.sente);
  assert.equal(made.send("a/b"), "sent");
});

test("a silent server is pinged, and given up if it stays silent", async () => {
  for (const [dialect, interval, timeout, ping, pong] of [
    ["sente", 10_000, 5_000, /^\[\[:chsk\/ws-ping\] "[0-9a-f]{6}"\]$/u, '["pong" "x"]'],
    ["sente-lite", 30_000, 30_000, /^\[:chsk\/ws-ping\]$/u, "[:chsk/ws-pong]"],
  ]) {
    const made = await opened({ dialect });
    const socket = last();
    const ends = [];
    made.onState(({ ended }) => ends.push(ended?.why));
    mock.timers.tick(interval - 1);
    assert.deepEqual(socket.sent, []);
    mock.timers.tick(1);
    assert.match(socket.sent[0], ping);
    socket.says(pong);
    mock.timers.tick(timeout);
    assert.equal(made.state.phase, "open");
    mock.timers.tick(interval);
    assert.equal(socket.sent.length, 2);
    mock.timers.tick(timeout);
    assert.equal(ends[0], "ping-timeout");
    assert.ok(socket.closed);
    assert.deepEqual(made.problems, []);
  }
});

test("the server's pings are answered", async () => {
  await opened();
  last().says("[:chsk/ws-ping nil]");
  assert.deepEqual(last().sent, ["[[:chsk/ws-pong] nil]"]);
  await opened({ dialect: "sente-lite" });
  last().says("[:chsk/ws-ping]");
  assert.deepEqual(last().sent, ["[:chsk/ws-pong]"]);
});

test("sente-lite's server may call", async () => {
  const made = await opened({ dialect: "sente-lite" });
  made.on("a/b", (data, event) => event.reply({ got: data }));
  last().says('[[:a/b 1] "cb"]');
  assert.deepEqual(last().sent, ['[:chsk/reply {:cb-uuid "cb", :data {:got 1}}]']);
});

const ack = (channel, rest) => `[[[:sente-lite/subscribed {:channel-id ${channel} ${rest}}]] nil]`;
const said = (channel, data) => `[[[:sente-lite/channel-msg {:channel-id ${channel} :data ${data} :from "x"}]] nil]`;

test("channels are any value; a subscription is renewed on every link until it is ended", async () => {
  const made = await opened();
  const heard = [];
  const joining = made.subscribe({ room: [1] }, (data, from) => heard.push([data, from]));
  assert.deepEqual(last().sent.splice(0), ["[[:sente-lite/subscribe {:channel-id {:room [1]}}] nil]"]);
  last().says(ack("{:room (1)}", ":success true"), said("{:room [1]}", 7), said("{:room [2]}", 8));
  const room = await joining;
  assert.deepEqual(heard, [[7, "x"]]);
  assert.equal(made.publish({ room: [1] }, 5, { excludeSender: true }), "sent");
  assert.deepEqual(last().sent.splice(0), ["[[:sente-lite/publish {:channel-id {:room [1]}, :data 5, :exclude-sender? true}] nil]"]);
  last().ends();
  mock.timers.tick(0);
  await settled();
  last().says(HANDSHAKE.sente);
  assert.deepEqual(last().sent.splice(0), ["[[:sente-lite/subscribe {:channel-id {:room [1]}}] nil]"]);
  last().says(ack("{:room [1]}", ":success true"));
  room.unsubscribe();
  room.unsubscribe();
  assert.deepEqual(last().sent.splice(0), ["[[:sente-lite/unsubscribe {:channel-id {:room [1]}}] nil]"]);
  last().says(said("{:room [1]}", 9), ack("{:room [1]}", ":success nil :error :not-subscribed"));
  assert.equal(heard.length, 1);
  last().ends();
  mock.timers.tick(0);
  await settled();
  last().says(HANDSHAKE.sente);
  assert.deepEqual(last().sent, []);
  assert.deepEqual(made.problems, []);
});

test("two who listen to a channel share its subscription", async () => {
  const made = await opened();
  const heard = [];
  const both = [made.subscribe("r", () => heard.push(1)), made.subscribe("r", () => heard.push(2))];
  assert.equal(last().sent.length, 1);
  last().says(ack('"r"', ":success true"));
  const [first, second] = await Promise.all(both);
  const third = await made.subscribe("r", () => heard.push(3));
  last().says(said('"r"', 1));
  first.unsubscribe();
  third.unsubscribe();
  last().says(said('"r"', 1));
  assert.deepEqual(heard, [1, 2, 3, 2]);
  second.unsubscribe();
  assert.equal(last().sent.length, 2);
  // Before the end of the last one is acknowledged, the next has begun.
  const again = made.subscribe("r", () => heard.push(4));
  assert.equal(last().sent.length, 3);
  last().says(ack('"r"', ":success true"), ack('"r"', ":success true"), said('"r"', 1));
  await again;
  assert.deepEqual(heard.at(-1), 4);
});

test("a subscription that is refused says why", async () => {
  const made = await opened();
  const joining = made.subscribe("r", () => {});
  last().says(ack('"r"', ":success false :error :channel-not-found"));
  await assert.rejects(joining, { reason: "error", message: "subscribing (channel-not-found): error" });
  assert.equal(last().sent.length, 1);
  const late = assert.rejects(made.subscribe("r", () => {}), { reason: "timeout" });
  mock.timers.tick(5000);
  await late;
});

test("what cannot be sent is refused before anything is sent", async () => {
  const made = await opened();
  for (const id of ["plain", "", "a b/c", "a/b c"]) assert.throws(() => made.send(id), EdnError);
  assert.throws(() => made.send("a/b", () => {}), EdnError);
  assert.throws(() => made.call("a/b", Symbol("x")), EdnError);
  assert.deepEqual(last().sent, []);
});

test("a handler that throws is reported, and the next still runs", async () => {
  const made = await opened();
  const heard = [];
  made.on("a/b", () => {
    throw new Error("first");
  });
  made.on("a/b", () => Promise.reject(new Error("second")));
  made.on("a/b", (data) => heard.push(data));
  made.onState(() => {
    throw new Error("third");
  });
  last().says("[[[:a/b 1]] nil]");
  await settled();
  made.close();
  assert.deepEqual(heard, [1]);
  assert.deepEqual(made.problems, ["handler", "handler", "handler"]);
});

test("a handler may close the client in the middle of a batch", async () => {
  const made = await opened();
  let heard = 0;
  made.on("a/b", () => {
    heard += 1;
    made.close();
  });
  last().says("[[[:a/b] [:a/b]] nil]");
  assert.equal(heard, 1);
});

const BAD = [
  ["", "no-event"], ["[", "unreadable"], ["]", "unreadable"], ["#foo", "unreadable"], [new ArrayBuffer(3), "unreadable"],
  ["1", "no-event"], ["{:a 1}", "no-event"], ["nil", "no-event"], ["\"[:a/b]\"", "no-event"], [`${"[".repeat(9999)}`, "unreadable"],
];

test("what the server should not say is reported, and the link lives on", async () => {
  const more = {
    sente: [["[]", "no-event"], ["[nil nil]", "no-event"], ["[:a/b nil]", "no-event"], ["[[nil 1 [] [:plain] [:chsk/close]] nil]", "no-event"], ['[1 "nobody"]', "unknown-reply"], ["[[[:chsk/handshake]] nil]", "no-event"]],
    "sente-lite": [["[]", "no-event"], ["[nil 1]", "no-event"], ["[:plain 1]", "no-event"], ["[[:a/b 1]]", "no-event"], ["[:chsk/reply nil]", "no-event"], ["[:chsk/reply {:cb-uuid 1}]", "unknown-reply"], ["[:batch/events 1]", "no-event"], ["[:chsk/close]", "no-event"]],
  };
  for (const dialect of ["sente", "sente-lite"]) {
    const made = await opened({ dialect });
    let heard = 0;
    made.on("a/b", () => (heard += 1));
    made.on("*", () => (heard += 1));
    for (const [frame, kind] of [...BAD, ...more[dialect]]) {
      made.problems.length = 0;
      last().says(frame);
      assert.equal(made.problems[0], kind, String(frame).slice(0, 50));
    }
    assert.equal(heard, 0);
    last().says(dialect === "sente" ? "[[[:a/b 1] [:plain] [:a/b 2]] nil]" : "[:batch/events [[:a/b 1] 5 [:a/b 2]]]");
    assert.equal(heard, 2);
    // A handshake may be of any shape, and come again.
    last().says(dialect === "sente" ? "[[:chsk/handshake] nil]" : "[:chsk/handshake 5]");
    assert.deepEqual([made.state.phase, made.state.uid, last().closed], ["open", null, null]);
  }
});

test("no frame throws out of the client, whatever its values are", async () => {
  const parts = ["nil", "1", ":chsk/handshake", ":chsk/ws-ping", ":chsk/reply", ":chsk/recv", ":batch/events", ":sente-lite/subscribed", ":sente-lite/channel-msg", ":a/b", "\"s\"", "{}", "[]", "[:a/b]", "[:a/b 1]", "{:channel-id nil}", "{:channel-id {[] #{}}}", "{:cb-uuid nil :data 1}", "#x 1", "(1)"];
  for (const dialect of ["sente", "sente-lite"]) {
    const made = await opened({ dialect });
    const refused = assert.rejects(made.subscribe(null, () => {}), { reason: "error" });
    for (const a of parts) {
      for (const b of parts) for (const frame of [`[${a} ${b}]`, `[[${a} ${b}] nil]`, `[[[${a} ${b}]] nil]`, `[[${a} ${b}] "cb"]`, `[${a} [${b}]]`]) last().says(frame);
    }
    await refused;
    assert.equal(last().closed, null);
    assert.equal(made.state.phase, "open");
  }
});

test("a token that cannot be had is a failed attempt", async () => {
  let asked = 0;
  const made = await client({
    csrfToken: () => {
      asked += 1;
      if (asked === 1) throw new Error("offline");
      return "t";
    },
  });
  assert.match(made.state.ended.why, /offline/u);
  mock.timers.tick(0);
  await settled();
  assert.equal(last().url.searchParams.get("csrf-token"), "t");
});

test("the packer is any that has its functions", async () => {
  const made = await client({ packer: { ...edn, pack: (value) => ` ${edn.pack(value)}` } });
  last().says(HANDSHAKE.sente);
  made.send("a/b");
  assert.deepEqual(last().sent, [" [[:a/b] nil]"]);
});
