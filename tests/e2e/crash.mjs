// crash.mjs - kill -9 at random moments under a load of administrator's writes (api 9.9): what was acknowledged is there
// after the next start, nothing is there twice, the file opens. The list of what was acknowledged is kept here, outside.
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

await test(`api 9.9: ${kills} times kill -9 under load: every acknowledged write is there, none by half`, async () => {
  let writers, gw = await start(), acknowledged = 0, inflight = 0;
  writers = await pick(gw);
  for (let round = 0; round < kills; round++) {
    const state = { over: false }, before = writers.reduce((n, w) => n + w.acked, 0);
    const loads = writers.map((w) => load(gw, w, state));
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
    const ready = await (await call(gw, 'GET', '/readyz')).json();
    equal(ready.accounts.total, 5, 'no account is lost or doubled');
  }
  console.log(`${acknowledged} acknowledged writes over ${kills} kills; ${inflight} unanswered ones were there, too`);
  ok(acknowledged > kills, `${acknowledged} writes are no load`);
  equal(await gw.stop(), 0);
});
rmSync(join(folder, '..'), { recursive: true, force: true });
await done();
