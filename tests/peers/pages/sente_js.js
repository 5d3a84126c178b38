// Goes through a session by `sente.js`, of which `module` is the URL: events both ways, a call, a
// message of a megabyte, and a server that is away for a moment. It runs in a page and in Node.
async (module, url, dialect, packerName) => {
  const sente = await import(module);
  const packer = sente[packerName];
  const inJson = packerName === "json";
  const same = (a, b) => (inJson ? JSON.stringify(a) === JSON.stringify(b) : sente.equal(a, b));
  const value = inJson
    ? { n: 1, text: "grüße 🙂", nested: [[], {}, { "a/b": [null, true, 1.5] }] }
    : sente.readEdn('{:n 1 :text "grüße 🙂" :nested [[] {} #{} (1 2) {:a/b [nil true 1.5 \\a x]}] :when #inst "2026-01-02T03:04:05.678-00:00" :id #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" :other #my/tag 9007199254740993}');
  const client = sente.connect(url, { dialect, packer });
  const problems = [];
  client.onProblem((problem) => problems.push(problem));
  const wait = (what, begin) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what}: nothing in time, ${JSON.stringify(client.state)}`)), 20_000);
    begin((result) => {
      clearTimeout(timer);
      resolve(result);
    });
  });
  const phase = (wanted) => wait(wanted, (resolve) => {
    if (client.state.phase === wanted) return resolve(true);
    const end = client.onState((state) => {
      if (state.phase !== wanted) return;
      end();
      resolve(true);
    });
  });
  const push = (data) => wait("a push", (resolve) => {
    const end = client.on("test/push", (came) => {
      end();
      resolve(came);
    });
    client.send("test/push", data);
  });
  try {
    // What is said before the link is there waits for it.
    const early = push(value);
    const seen = { pushed: same(await early, value), uid: client.state.uid };
    seen.replied = same(await client.call("test/echo", value), value);
    seen.none = await client.call("test/echo");
    seen.large = (await push("x".repeat(1_000_000))).length;
    // Another client publishes; this one hears it, before and after the server was away.
    const channel = inJson ? "room-1" : sente.readEdn('[:room #{1 "two"}]');
    const heard = [];
    let hear = () => {};
    const room = await client.subscribe(channel, (data) => {
      heard.push(data);
      hear();
    });
    const published = (data) => wait("a publication", (resolve) => {
      hear = () => resolve(same(heard.at(-1), data));
      const other = sente.connect(url, { dialect, packer, clientId: "another" });
      other.onState(({ phase }) => {
        if (phase === "open") other.publish(channel, data);
        if (phase === "open") other.call("test/echo").then(() => other.close());
      });
    });
    seen.published = await published(value);
    const lost = phase("waiting");
    client.send("test/restart");
    seen.cut = await lost;
    // Sent while the server is away.
    const late = client.call("test/echo", value, { timeout: 20_000 });
    await phase("open");
    seen.again = same(await late, value) && same(await push(value), value);
    seen.publishedAgain = await published("x".repeat(900_000));
    client.publish(channel, "to others", { excludeSender: true });
    room.unsubscribe();
    client.publish(channel, "to nobody");
    await client.call("test/echo");
    seen.heard = heard.length;
    await client.subscribe(channel, () => {});
    client.close();
    return { ...seen, phase: client.state.phase, problems };
  } finally {
    client.close();
  }
}
