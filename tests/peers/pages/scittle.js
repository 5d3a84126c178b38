// Runs a scenario of tests/peers/cljs, passed as its text, in Scittle.
async (code, url, dialect) => {
  scittle.core.eval_string(code);
  return await scittle.core.eval_string(`(scenario/run "${url}" "${dialect}")`);
}
