// Talks by `sente.js`, of which `module` is the URL, to `sente serve` at `url`, in both dialects; with a
// token it also looks inside. Gives back what it saw.
async (module, url, token) => {
  const { connect, equal, keyword, readEdn } = await import(module);
  const value = readEdn('{:n 1 :text "grüße 🙂" :nested [[] #{1} (1 2) #inst "2026-01-02T03:04:05.678-00:00"]}');
  const seen = {};
  for (const [dialect, path] of [["sente", "chsk"], ["sente-lite", ""]]) {
    const client = connect(new URL(path, url), { params: token ? { "auth-token": token } : {} });
    const problems = [];
    client.onProblem(({ kind, message }) => problems.push(`${kind}: ${message}`));
    const echo = new Promise((resolve) => client.on("sente-lite/echo", resolve));
    client.send("test/unknown", value);
    const large = await client.call("test/echo", "x".repeat(900_000), { timeout: 20_000 });
    let publish = () => {};
    const published = new Promise((resolve) => (publish = resolve));
    const room = await client.subscribe(readEdn("[:room 1]"), publish);
    client.publish(room.channel, value);
    const echoed = await echo;
    seen[dialect] = {
      reply: equal(await client.call("test/echo", value), value),
      large: large.length,
      echo: echoed.get(keyword("original-event-id")).name,
      data: equal(echoed.get(keyword("original-data")), value),
      published: equal(await published, value),
      problems,
    };
    if (token) {
      const snapshot = new Promise((resolve) => client.on("inspector/snapshot", resolve));
      const events = new Promise((resolve) => client.on("inspector/events", resolve));
      const terms = await client.call("inspector/subscribe", { events: true });
      seen[dialect].terms = [...terms.keys()].map((key) => key.name).sort();
      seen[dialect].connections = (await snapshot).get(keyword("connections")).length;
      const [first] = (await events).get(keyword("events"));
      seen[dialect].first = first.get(keyword("kind")).name;
    }
    client.close();
  }
  return seen;
}
