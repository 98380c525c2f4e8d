// crash.mjs - kill -9 at random moments under a load of administrator's writes, settings and keys (api 9.3, 9.9): what was
// acknowledged is there after the next start, nothing is there twice, the file opens. The list of what was acknowledged is kept
// here, outside.
// Q2A_KILLS: how often (100; a torture run asks for 1,000).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { done, equal, fakeUpstream, gateway, KEY, ok, sleep, test } from './lib.mjs';

const kills = Number(process.env.Q2A_KILLS || 100);
const fake = await fakeUpstream();
const folder = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'data');
const accounts = Array.from({ length: 5 }, (_, i) => `ok+${i}@example.org:correct horse`).join(',');
const start = () => gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: folder, ACCOUNTS: accounts, LOG_LEVEL: 'ERROR' });
const call = (gw, method, path, body) => fetch(gw.base + path, { method, headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
  body: body && JSON.stringify(body) });

// Each writer has settings of its own and counts them up together, one write after the other: one request is one commit.
const pick = async (gw) => {
  const rows = await (await call(gw, 'GET', '/api/settings/schema')).json();
  const names = rows.filter((r) => r.applies === 'live' && ['integer', 'number', 'milliseconds'].includes(r.type) && r.min <= 1000 && r.max >= 60000).map((r) => r.name);
  ok(names.length >= 4, names.join());
  const writers = [];
  for (let i = 0; i + 1 < names.length; i += 2) writers.push({ names: [names[i], names[i + 1]], acked: 0, tried: 0 });
  return writers;
};
const load = async (gw, w, state) => {
  while (!state.over) {
    const value = 1000 + (w.tried = w.acked + 1);
    try {
      const r = await call(gw, 'PATCH', '/api/settings', Object.fromEntries(w.names.map((n) => [n, value])));
      if (r.status !== 200) state.refused = `${r.status} ${await r.text()}`;
      else w.acked = w.tried; // the status line is the acknowledgement; the rest of the answer may die with the process
      if (r.status === 200) await r.text();
    } catch { return; }
  }
};

// Writers of keys: each adds keys of its own texts, changes some, and takes the oldest away once it has a dozen. `live` is what was
// acknowledged; `doubt` the one write that nobody answered.
const keepers = Array.from({ length: 3 }, (_, i) => ({ name: `w${i}`, n: 0, live: new Map(), gone: [], doubt: null, acked: 0 }));
const loadKeys = async (gw, w, state) => {
  while (!state.over) {
    const oldest = [...w.live.keys()][0];
    if (w.live.size >= 12) w.doubt = { what: 'delete', name: oldest };
    else if (w.n % 5 === 4 && oldest && w.live.get(oldest).id && w.live.get(oldest).rpm === null) w.doubt = { what: 'change', name: oldest, rpm: 1000 + w.n };
    else w.doubt = { what: 'add', name: `${w.name}-${w.n++}` };
    const { what, name, rpm } = w.doubt, text = `sk-crash-${name}-0123456789`;
    try {
      const r = what === 'add' ? await call(gw, 'POST', '/api/addRegularKey', { apiKey: text, name })
        : what === 'delete' ? await call(gw, 'POST', '/api/deleteRegularKey', { apiKey: text }) : await call(gw, 'PATCH', `/api/keys/${w.live.get(name).id}`, { rpm });
      if (r.status !== 200) { state.refused = `${what} ${name}: ${r.status} ${await r.text()}`; return; }
      keeperBooks(w, true, null);
      await r.text();
    } catch { return; }
  }
};
// The write in doubt was done, or was not.
function keeperBooks(w, done, found) {
  const { what, name, rpm } = w.doubt;
  if (done && what === 'add') w.live.set(name, { id: found?.id, rpm: null });
  if (done && what === 'change') w.live.get(name).rpm = rpm;
  if (done && what === 'delete') { w.live.delete(name); w.gone.push(name); }
  w.doubt = null;
  w.acked++;
}
const lookKeys = async (gw, round, counts) => {
  const all = (await (await call(gw, 'GET', '/api/keys')).json()).data.filter((k) => k.source === 'stored');
  equal(new Set(all.map((k) => k.name)).size, all.length, `round ${round}: a key is there twice`);
  equal(new Set(all.map((k) => k.id)).size, all.length, `round ${round}: an id is there twice`);
  const found = new Map(all.map((k) => [k.name, k]));
  for (const w of keepers) {
    if (w.doubt) {
      const { what, name, rpm } = w.doubt, is = found.get(name);
      const done = what === 'add' ? Boolean(is) : what === 'delete' ? !is : is?.limits.rpm === rpm;
      if (done) { keeperBooks(w, true, is); w.acked--; counts.doubt++; }
      w.doubt = null;
    }
    for (const [name, { rpm }] of w.live) {
      const is = found.get(name);
      ok(is, `round ${round}: the acknowledged key ${name} is gone`);
      equal(is.limits.rpm, rpm, `round ${round}: ${name}`);
      w.live.get(name).id = is.id;
      found.delete(name);
    }
  }
  equal([...found.keys()], [], `round ${round}: keys that nobody added, or that were taken away`);
  const models = async (name) => (await fetch(`${gw.v1}/models`, { headers: { authorization: `Bearer sk-crash-${name}-0123456789` } })).status;
  const w = keepers[round % keepers.length], last = [...w.live.keys()].at(-1), gone = w.gone.at(-1);
  if (last) equal(await models(last), 200, `round ${round}: ${last} opens`);
  if (gone) equal(await models(gone), 401, `round ${round}: ${gone} opens no more`);
};

await test(`api 9.9: ${kills} times kill -9 under load: every acknowledged write is there, none by half`, async () => {
  let writers, gw = await start(), acknowledged = 0, inflight = 0;
  const counts = { doubt: 0 };
  writers = await pick(gw);
  for (let round = 0; round < kills; round++) {
    const state = { over: false }, before = writers.reduce((n, w) => n + w.acked, 0);
    const loads = [...writers.map((w) => load(gw, w, state)), ...keepers.map((w) => loadKeys(gw, w, state))];
    await sleep(Math.random() * 60);
    gw.process.kill('SIGKILL');
    await gw.process.ended;
    state.over = true;
    await Promise.all(loads);
    equal(state.refused, undefined);
    rmSync(gw.cwd, { recursive: true, force: true });
    acknowledged += writers.reduce((n, w) => n + w.acked, 0) - before;
    gw = await start(); // throws if it does not come up
    const now = await (await call(gw, 'GET', '/api/settings')).json();
    for (const w of writers) {
      if (!w.acked && !w.tried) continue;
      const got = w.names.map((n) => now[n]);
      const fits = (v) => got.every((x) => x === 1000 + v);
      if (!w.acked && now.source[w.names[0]] === 'default') { equal(now.source[w.names[1]], 'default'); continue; }
      ok(fits(w.acked) || fits(w.tried), `round ${round}: ${w.names} are ${got}, acknowledged ${1000 + w.acked}, under way ${1000 + w.tried}`);
      if (w.tried > w.acked && fits(w.tried)) { inflight++; w.acked = w.tried; }
      equal(w.names.map((n) => now.source[n]), ['stored', 'stored']);
    }
    await lookKeys(gw, round, counts);
    const ready = await (await call(gw, 'GET', '/readyz')).json();
    equal(ready.accounts.total, 5, 'no account is lost or doubled');
  }
  console.log(`${acknowledged} acknowledged writes over ${kills} kills; ${inflight} unanswered ones were there, too`);
  ok(acknowledged > kills, `${acknowledged} writes are no load`);
  const keyed = keepers.reduce((n, w) => n + w.acked, 0);
  console.log(`${keyed} acknowledged writes of keys; ${counts.doubt} unanswered ones were there, too`);
  ok(keyed > kills, `${keyed} writes of keys are no load`);
  equal(await gw.stop(), 0);
});
rmSync(join(folder, '..'), { recursive: true, force: true });
await done();
