// crash_accounts.mjs - kill -9 at random moments while accounts are added, changed and taken away (api 9.1, 9.9): what was acknowledged
// is there after the next start, nothing is there twice. The list of what was acknowledged is kept here, outside.
// Q2A_KILLS: how often (40 unless told).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { done, equal, fakeUpstream, gateway, KEY, ok, sleep, test } from './lib.mjs';

const kills = Number(process.env.Q2A_KILLS || 40);
const fake = await fakeUpstream({ args: ['--accounts', '60'] });
const folder = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'data');
const start = () => gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: folder, ACCOUNTS: null, LOG_LEVEL: 'ERROR', AUTO_REFRESH: 'false' });
const call = (gw, method, path, body) => fetch(gw.base + path, { method, headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body) });

// Each writer has six accounts of its own. `known` is what was acknowledged of each (absent: it is not there), `doubt` the one write
// that nobody has answered: what would be true if it was done.
const writers = Array.from({ length: 4 }, (_, w) => ({ emails: Array.from({ length: 6 }, (_, i) => w * 6 + i), known: new Map(), doubt: null, n: 0, acked: 0 }));
const email = (i) => `user${i}@example.org`;
const plan = (w) => {
  const i = w.emails[w.n++ % w.emails.length], is = w.known.get(i);
  const then = { note: `${w.n}`, enabled: true, maxInflight: null };
  if (!is) return { i, then, send: ['POST', '/api/setAccount', { email: email(i), password: `pw-${i}`, note: then.note }] };
  switch (Math.floor(Math.random() * 4)) {
    case 0: return { i, then: null, send: ['DELETE', '/api/deleteAccount', { email: email(i) }] };
    case 1: return { i, then: { ...is, enabled: !is.enabled }, send: ['POST', '/api/setAccountEnabled', { email: email(i), enabled: !is.enabled }] };
    default: return { i, then: { ...is, note: then.note, maxInflight: w.n }, send: ['POST', '/api/updateAccount', { email: email(i), note: then.note, maxInflight: w.n }] };
  }
};
const settle = (w, { i, then }) => { if (then) w.known.set(i, then); else w.known.delete(i); };
const load = async (gw, w, state) => {
  while (!state.over) {
    w.doubt = plan(w);
    try {
      const r = await call(gw, ...w.doubt.send);
      if (r.status !== 200) { state.refused = `${w.doubt.send.slice(0, 2).join(' ')} ${email(w.doubt.i)}: ${r.status} ${await r.text()}`; return; }
      settle(w, w.doubt); // the status line is the acknowledgement
      w.doubt = null;
      w.acked++;
      await r.text();
    } catch { return; }
  }
};

await test(`api 9.9: ${kills} times kill -9 while accounts change: every acknowledged one is there, none is lost or doubled`, async () => {
  let gw = await start(), doubts = 0;
  const acked = () => writers.reduce((n, w) => n + w.acked, 0);
  for (let round = 0; round < kills; round++) {
    const state = { over: false }, loads = writers.map((w) => load(gw, w, state));
    await sleep(20 + Math.random() * 150);
    gw.process.kill('SIGKILL');
    await gw.process.ended;
    state.over = true;
    await Promise.all(loads);
    equal(state.refused, undefined);
    rmSync(gw.cwd, { recursive: true, force: true });
    gw = await start();
    const list = await (await call(gw, 'GET', '/api/getAllAccounts')).json();
    equal([list.total, new Set(list.data.map((a) => a.email)).size], [list.data.length, list.data.length], `round ${round}: none is there twice`);
    const there = new Map(list.data.map((a) => [a.email, { note: a.note, enabled: a.enabled, maxInflight: a.maxInflight ?? null }]));
    for (const w of writers) {
      const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
      if (w.doubt && !same(there.get(email(w.doubt.i)), w.known.get(w.doubt.i))) { // it was done before the end
        ok(same(there.get(email(w.doubt.i)), w.doubt.then), `round ${round}: ${email(w.doubt.i)} is ${JSON.stringify(there.get(email(w.doubt.i)))}: neither as it was nor as it was to be`);
        settle(w, w.doubt);
        doubts++;
      }
      w.doubt = null;
      for (const i of w.emails) {
        equal(there.get(email(i)) ?? null, w.known.get(i) ?? null, `round ${round}: ${email(i)}`);
        there.delete(email(i));
      }
    }
    equal([...there.keys()], [], `round ${round}: accounts that nobody added`);
  }
  console.log(`${acked()} acknowledged writes of accounts over ${kills} kills; ${doubts} unanswered ones were there, too`);
  ok(acked() > kills, `${acked()} writes are no load`);
  const one = writers.flatMap((w) => [...w.known].filter(([, a]) => a.enabled)).map(([i]) => i)[0];
  if (one !== undefined) {
    const t = await (await call(gw, 'POST', '/api/testAccount', { email: email(one) })).json();
    equal([t.ok, t.error], [true, null], 'and one of them serves');
  }
  equal(await gw.stop(), 0);
});
rmSync(join(folder, '..'), { recursive: true, force: true });
await done();
