#!/usr/bin/env node
// A client of Sente's Ajax endpoint, on nothing but Node's `fetch`.
//
//     ajax_client.mjs ORIGIN PUSHES
//
// It reads its CSRF token at ORIGIN/csrf-token, shakes hands at ORIGIN/chsk, says one event and makes
// one call while it polls, and stops in the middle of a poll once so many events were pushed. Then it
// prints what it got as one line of JSON.

const [origin, pushes] = process.argv.slice(2);
const clientId = crypto.randomUUID();

const told = await fetch(`${origin}/csrf-token`);
const token = (await told.json())["csrf-token"];
const cookie = told.headers.getSetCookie()[0].split(";")[0];
const own = { "X-CSRF-Token": token, "X-Requested-With": "XMLHttpRequest", Cookie: cookie };

let udt = Date.now();
function poll(parameters, signal) {
  const query = new URLSearchParams({ udt: udt++, "client-id": clientId, ...parameters });
  return fetch(`${origin}/chsk?${query}`, { headers: own, signal });
}

function post(message, headers = own) {
  const body = new URLSearchParams({ udt: udt++, "client-id": clientId, ppstr: message });
  return fetch(`${origin}/chsk`, { method: "POST", body, headers });
}

const result = { pushed: "" };
result.refused = await post("[[:test/hello 0] nil]", { Cookie: cookie }).then(async (response) => [
  response.status,
  await response.text(),
]);
result.handshake = await (await poll({ "handshake?": 1 })).text();

const polling = (async () => {
  while (result.pushed.split(":test/pushed").length <= Number(pushes)) {
    const body = await (await poll({})).text();
    if (body !== "[:chsk/timeout nil]") result.pushed += body;
  }
})();
result.received = await (await post("[[:test/hello \"node é\"] nil]")).text();
result.reply = await (await post("[[:test/double 21] :ajax]")).text();
await polling;

// Gone in the middle of a poll.
const last = new AbortController();
const left = poll({}, last.signal).catch((error) => error.name);
await post("[[:test/bye] nil]");
last.abort();
result.left = await left;
console.log(JSON.stringify(result));
