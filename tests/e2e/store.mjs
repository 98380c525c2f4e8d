// store.mjs - the embedded store under the whole program (api 9.9, 7.3): a full disk, kept responses, one process only.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, post, test, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '20'] });
const top = mkdtempSync(join(tmpdir(), 'q2a-'));
const folder = (name) => join(top, name);
const call = async (gw, method, path, body, key = KEY) => {
  const r = await fetch(gw.base + path, { method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  return { status: r.status, json: await r.json() };
};

await test('api 9.9: a full disk is told, loses nothing and needs no restart', async () => {
  const gw = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: folder('full') });
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(gw.process.pid), `--fsize=${bytes}:unlimited`]);
  equal((await call(gw, 'PATCH', '/api/settings', { queueMax: 11 })).status, 200);
  for (const bytes of [8192, 4096, 0]) { // no page, not even the second root, not even the first
    for (let i = 0; i < 3; i++) {
      limit(bytes);
      const r = await call(gw, 'PATCH', '/api/settings', { queueMax: 900 + i });
      limit('unlimited');
      equal([r.status, r.json.error?.code, r.json.error?.type], [500, 'store_error', 'server_error'], JSON.stringify(r.json));
      ok(/disk of DATA_DIR is full/.test(r.json.error.message), r.json.error.message);
      equal((await call(gw, 'GET', '/api/settings')).json.queueMax, 11 + i);
      equal((await chat(gw, 'hello')).status, 200);
      equal((await call(gw, 'PATCH', '/api/settings', { queueMax: 12 + i })).json.queueMax, 12 + i);
    }
    equal((await call(gw, 'PATCH', '/api/settings', { queueMax: 11 })).status, 200);
  }
  gw.process.kill('SIGKILL');
  await gw.process.ended;
  const again = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: folder('full') });
  equal((await call(again, 'GET', '/api/settings')).json.queueMax, 11);
  equal(await again.stop(), 0);
});

await test('api 9.1, 9.9: a full disk refuses every change of accounts, and changes none', async () => {
  const env = { DATA_SAVE_MODE: 'file', DATA_DIR: folder('accounts') };
  const gw = await gateway(fake, env);
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(gw.process.pid), `--fsize=${bytes}:unlimited`]);
  const shown = async (g) => (await call(g, 'GET', '/api/getAllAccounts')).json.data.map((a) => [a.email, a.note, a.enabled, a.maxInflight]);
  equal((await call(gw, 'POST', '/api/setAccount', { email: 'user1@example.org', password: 'pw-1', note: 'first' })).json.persisted, true);
  const before = await shown(gw);
  limit(0);
  for (const [method, path, body] of [['POST', '/api/setAccount', { email: 'user2@example.org', password: 'pw-2' }], ['POST', '/api/updateAccount', { email: 'user1@example.org', note: 'second', maxInflight: 3 }],
    ['POST', '/api/setAccountEnabled', { email: 'user1@example.org', enabled: false }], ['POST', '/api/updateAccountProxy', { email: 'user1@example.org', proxy: 'http://127.0.0.1:9' }],
    ['DELETE', '/api/deleteAccount', { email: 'user1@example.org' }], ['DELETE', '/api/deleteAccount', { all: true, confirm: 'DELETE' }]]) {
    const r = await call(gw, method, path, body);
    equal([r.status, r.json.error?.code], [500, 'store_error'], path + JSON.stringify(r.json));
    equal(await shown(gw), before, path);
  }
  const task = (await call(gw, 'POST', '/api/setAccounts', { accounts: 'user3@example.org:pw-3', async: false })).json;
  equal([task.status, task.failedEmails], ['failed', ['user3@example.org']], JSON.stringify(task));
  equal((await chat(gw, 'hello')).status, 200);
  limit('unlimited');
  equal((await call(gw, 'POST', '/api/updateAccount', { email: 'user1@example.org', note: 'third' })).json.note, 'third');
  gw.process.kill('SIGKILL');
  await gw.process.ended;
  const again = await gateway(fake, env);
  equal(await shown(again), before.map((a) => (a[0] === 'user1@example.org' ? [a[0], 'third', a[2], a[3]] : a)));
  equal(await again.stop(), 0);
});

await test('api 7.3: kept responses outlive kill -9, for their key only; a deleted one does not come back', async () => {
  const env = { DATA_SAVE_MODE: 'file', DATA_DIR: folder('kept') };
  let gw = await gateway(fake, env);
  const ask = async (input, more = {}) => (await post(gw, '/v1/responses', { model: 'qwen3-max', input, ...more })).json();
  const first = await ask('a-marked-prompt-canary');
  const second = await ask('and now?', { previous_response_id: first.id });
  const third = await ask('something else');
  equal((await call(gw, 'DELETE', `/v1/responses/${third.id}`)).status, 200);
  equal((await call(gw, 'DELETE', `/v1/responses/${first.id}`)).status, 200); // the second one still needs it
  const file = () => readFileSync(join(folder('kept'), 'qwen2api.mdb'));
  await waitFor(() => file().includes(second.id), 5000, 'the record is written');
  gw.process.kill('SIGKILL');
  await gw.process.ended;
  ok(!file().includes('a-marked-prompt-canary'), 'prompts are sealed');
  gw = await gateway(fake, env);
  const back = await call(gw, 'GET', `/v1/responses/${second.id}`);
  equal(back.json, second);
  equal((await call(gw, 'GET', `/v1/responses/${second.id}`, undefined, USER_KEY)).status, 404);
  equal((await call(gw, 'GET', `/v1/responses/${third.id}`)).status, 404);
  equal((await call(gw, 'GET', `/v1/responses/${first.id}`)).status, 404);
  const on = await ask('[[scenario:echo]] go on', { previous_response_id: second.id });
  equal([on.status, on.previous_response_id], ['completed', second.id], JSON.stringify(on));
  equal(await gw.stop(), 0);
});

await test('api 9.9: files 0600 in a folder 0700; a second process is refused with 69', async () => {
  const env = { DATA_SAVE_MODE: 'file', DATA_DIR: folder('one') };
  const gw = await gateway(fake, env);
  equal(statSync(folder('one')).mode & 0o777, 0o700);
  for (const name of readdirSync(folder('one'))) equal([name, statSync(join(folder('one'), name)).mode & 0o777], [name, 0o600]);
  let said = '';
  await gateway(fake, env).catch((e) => { said = e.message; });
  ok(/ended with 69/.test(said) && /in use by another qwen2api/.test(said), said);
  equal(await gw.stop(), 0);
});

rmSync(top, { recursive: true, force: true });
await done();
