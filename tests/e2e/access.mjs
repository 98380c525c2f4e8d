// access.mjs - who may call what (api 1.4 - 1.7, issue 4.8): every row of `qwen2api routes` with every kind of key, revoked and used-up
// ones too, whatever the Host and however the path is spelled; guessing is slowed by address; a client's address is believed from
// trusted proxies only.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, test, top, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const binary = process.env.Q2A_BINARY || join(top, 'build/qwen2api');
const rows = execFileSync(binary, ['routes'], { encoding: 'utf8' }).trim().split('\n').map((line) => {
  const [method, path, who] = line.split(/\s+/);
  return { method: method === '*' ? 'POST' : method, path: path.replace(/\/\*$/, '/x').replace(/\*$/, ''), who };
}).sort((a, b) => (a.path === '/api/restart') - (b.path === '/api/restart')); // what ends the process comes last

// The path as it is: no client tidies it up first.
const ask = (gw, method, path, { key, headers = {}, body } = {}) => new Promise((res, rej) => {
  const sent = { 'content-type': 'application/json', ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers };
  if (body === undefined && method !== 'GET' && method !== 'DELETE') body = '{}';
  const r = http.request({ host: '127.0.0.1', port: gw.port, method, path, headers: sent, agent: false }, (answer) => {
    let text = '';
    const end = () => {
      let json = null;
      try { json = JSON.parse(text); } catch { /* a page */ }
      res({ status: answer.statusCode, code: json?.error?.code, json, text, headers: answer.headers });
    };
    if (answer.headers['content-type']?.startsWith('text/event-stream')) { // it has no end of its own
      end();
      r.destroy();
      return;
    }
    answer.on('data', (d) => { text += d; });
    answer.on('end', end);
  });
  r.on('error', rej);
  r.end(body);
});
let address = 0; // each request from an address of its own, where guessing is not what is tested
const from = () => ({ 'x-forwarded-for': `10.${(address >> 16) & 255}.${(address >> 8) & 255}.${address++ & 255}` });
const WRONG = 'sk-wrong-wrong-wrong-wrong';
// Anthropic's errors have a type, no code.
const coded = (r, path, code) => (path.startsWith('/v1/messages') ? [r.json?.type, r.json?.error?.type] : [r.code, r.json?.error?.type]).concat(r.status)
  .join() === (path.startsWith('/v1/messages') ? 'error,authentication_error,401' : `${code},invalid_request_error,401`);
const denied = (r) => r.status === 401 || r.status === 403;

const gw = await gateway(fake, { TRUST_PROXY: '127.0.0.1' });

await test(`api 1.4, 1.5: ${rows.length} routes, each with no key, a wrong one, a user's, the administrator's`, async () => {
  ok(rows.length > 50 && ['open', 'key', 'admin'].every((w) => rows.some((r) => r.who === w)), `${rows.length} rows`);
  for (const { method, path, who } of rows) {
    if (path === '/verify') continue; // below
    const at = `${method} ${path} (${who})`;
    const get = (key) => ask(gw, method, path, { key, headers: from() });
    const got = { none: await get(), wrong: await get(WRONG), user: await get(USER_KEY), admin: await get(KEY) };
    ok(!denied(got.admin), `${at}, admin: ${got.admin.status} ${got.admin.code}`);
    if (who === 'open') {
      for (const k of ['none', 'wrong', 'user']) equal([k, denied(got[k]), got[k].status], [k, false, got.admin.status], at);
      continue;
    }
    ok(coded(got.none, path, 'missing_api_key'), `${at}: ${got.none.text}`);
    equal(got.none.headers['www-authenticate'], 'Bearer realm="qwen2api"', at);
    ok(coded(got.wrong, path, 'invalid_api_key'), `${at}: ${got.wrong.text}`);
    ok(!got.wrong.text.includes(WRONG), `${at}: the key is masked`);
    if (who === 'key') ok(!denied(got.user), `${at}, user: ${got.user.status} ${got.user.code}`);
    else equal([got.user.status, got.user.code, got.user.json.error.type], [403, 'admin_required', 'permission_error'], at);
  }
});

// What costs an account's turn, with a body that would be answered. The other POST routes of keys cost none.
const image = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const hello = [{ role: 'user', content: 'hello' }];
const work = {
  '/v1/chat/completions': { messages: hello }, '/v1/messages': { model: 'qwen3-max', max_tokens: 9, messages: hello }, '/v1/completions': { prompt: 'hello' }, '/v1/responses': { input: 'hello' },
  '/v1/images/generations': { prompt: 'a cat' }, '/v1/images/edits': { prompt: 'blue', image }, '/v1/videos': { prompt: 'a kitten', wait: 0 }, '/v1/videos/generations': { prompt: 'a kitten', wait: 0 },
  '/v1/embeddings': { model: 'text-embedding-v4', input: 'hello' }, '/cli/v1/chat/completions': { model: 'qwen3-coder-plus', messages: hello },
};
const free = ['/v1/messages/count_tokens', '/v1/responses/input_tokens', '/v1/responses/x', '/cli/v1/models'];
await test(`api 1.4, 9.3: ${rows.length} routes, each with a deleted, a disabled, an expired and a used-up key`, async () => {
  const own = await gateway(fake, { TRUST_PROXY: '127.0.0.1', CLI_API_KEY: 'sk-fake-dashscope', CLI_BASE_URL: 'https://dashscope.aliyuncs.com/compatible-mode/v1' });
  const admin = async (method, path, body) => {
    const r = await ask(own, method, path, { key: KEY, body: JSON.stringify(body) });
    equal(r.status, 200, r.text);
    return r.json;
  };
  const give = (body) => admin('POST', '/api/addRegularKey', body);
  const bad = { deleted: await give({}), disabled: await give({}), expired: await give({}) }, spent = await give({ dailyRequests: 1 });
  for (const k of [...Object.values(bad), spent]) equal((await ask(own, 'POST', '/v1/chat/completions', { key: k.apiKey, body: JSON.stringify({ messages: hello }) })).status, 200, 'each was good once');
  await admin('POST', '/api/deleteRegularKey', { id: bad.deleted.id });
  await admin('PATCH', `/api/keys/${bad.disabled.id}`, { enabled: false });
  await admin('PATCH', `/api/keys/${bad.expired.id}`, { expiresAt: Math.floor(Date.now() / 1000) - 1 });
  let worked = 0;
  for (const { method, path, who } of rows) {
    const at = `${method} ${path} (${who})`;
    for (const [what, k] of Object.entries(bad)) {
      const r = await ask(own, method, path, { key: k.apiKey, headers: from() });
      if (path === '/verify') equal([r.status, r.json.message], [401, 'Unauthorized'], `${at}, ${what}`);
      else if (who === 'open') ok(!denied(r), `${at}, ${what}: ${r.status}`);
      else ok(coded(r, path, 'invalid_api_key'), `${at}, ${what}: ${r.text}`);
      ok(!r.text.includes(k.apiKey), `${at}, ${what}: masked`);
    }
    const r = await ask(own, method, path, { key: spent.apiKey, headers: from(), body: method === 'POST' && work[path] ? JSON.stringify(work[path]) : undefined });
    if (who === 'admin') {
      equal([r.status, r.code], [403, 'admin_required'], at);
    } else if (who === 'key' && method === 'POST' && work[path]) {
      worked++;
      ok(Number(r.headers['retry-after']) > 0, `${at}: ${r.status} ${r.text}`);
      equal([r.status, path === '/v1/messages' ? r.json.error.type : r.code], [429, path === '/v1/messages' ? 'rate_limit_error' : 'key_quota_exceeded'], at);
    } else {
      ok(!denied(r) && r.status !== 429, `${at}: ${r.status} ${r.text}`);
      ok(who === 'open' || method !== 'POST' || /does not offer/.test(r.text) || free.includes(path), `${at}: does it count? ${r.status} ${r.text}`);
    }
  }
  equal(worked, Object.keys(work).length, 'all of them are routes');
  const { data } = await admin('GET', '/api/keys'), one = data.find((k) => k.id === spent.id);
  equal([one.usage.total.calls, one.inflight], [1, 0], 'what was refused was not counted');
  // The same bodies are answered once there is something left.
  await admin('PATCH', `/api/keys/${spent.id}`, { dailyRequests: null });
  for (const [path, body] of Object.entries(work)) equal((await ask(own, 'POST', path, { key: spent.apiKey, body: JSON.stringify(body) })).status, 200, path);
  equal(await own.stop(), 0);
});

await test('api 1.4: OPTIONS is open on every path, and tells nothing', async () => {
  for (const { path } of rows) {
    const r = await ask(gw, 'OPTIONS', path, { headers: from(), body: '' });
    equal([r.status, r.text], [204, ''], path);
  }
});

await test('api 1.4: a revoked key is a wrong one on every route, at once', async () => {
  const top = mkdtempSync(join(tmpdir(), 'q2a-'));
  const env = { TRUST_PROXY: '127.0.0.1', DATA_SAVE_MODE: 'file', DATA_DIR: join(top, 'data'), ACCOUNTS: '' };
  const made = (log) => log.match(/sk-[0-9A-Za-z]{48}/)?.[0];
  let own = await gateway(fake, { ...env, API_KEY: null });
  await waitFor(() => made(own.log()), 5000, 'the first start shows a key');
  const old = made(own.log());
  equal((await ask(own, 'GET', '/api/settings', { key: old })).status, 200);
  await own.stop();
  const fresh = execFileSync(binary, ['new-admin-key'], { encoding: 'utf8', env: { PATH: process.env.PATH, DATA_DIR: env.DATA_DIR }, cwd: top }).trim();
  own = await gateway(fake, { ...env, API_KEY: null });
  equal(made(own.log()), undefined, 'shown once');
  for (const { method, path, who } of rows) {
    if (who === 'open') continue;
    const r = await ask(own, method, path, { key: old, headers: from() });
    ok(coded(r, path, 'invalid_api_key'), `${method} ${path}: ${r.text}`);
  }
  equal((await ask(own, 'GET', '/api/settings', { key: fresh })).status, 200);
  await own.stop();
  own = await gateway(fake, { ...env, API_KEY: KEY }); // a stored one does not override the environment
  for (const key of [old, fresh, USER_KEY]) equal((await ask(own, 'GET', '/v1/models', { key, headers: from() })).code, 'invalid_api_key');
  await own.stop();
  rmSync(top, { recursive: true, force: true });
});

await test('api 1.4: however a path is spelled, it opens no more than its plain form', async () => {
  const spell = (p) => [`/${p}`, p.replace('/', '//'), `${p}/`, `${p}//`, `${p}?x=/healthz`, `${p}#x`, `/.${p}`, `/v1/..${p}`, `/v1/%2e%2e${p}`, `/models/..${p}`,
    `/v1${p}`, `/v1/v1${p}`, `/openai${p}`, `/models${p}`, `/verify${p}`, `/healthz${p}`, p.toUpperCase(), p.replace('api', 'Api').replace('v1', 'V1'),
    p.replace(/\/(?=[^/]*$)/, '%2f'), p.replace(/\/(?=[^/]*$)/, '%5c'), p.replace('/', '/%61').replace('%61a', '%61'), p.replace('v', '%76').replace('i', '%69'),
    `${p};x`, `/;${p}`, `${p}%00`, `${p}%20`, `${p}.`, `${p}%3f`, `/%2e${p}`, `http://elsewhere.example${p}`, `http://x:80${p}`, p.replaceAll('/', '\\'), `/%252e%252e${p}`,
    `${p}.html`, `/assets/..${p}`, `/api/v1/..${p.replace('/api', '')}`];
  let asked = 0;
  for (const plain of ['/api/settings', '/api/settings/schema', '/v1/videos', '/v1/usage']) {
    for (const path of spell(plain)) {
      for (const key of plain.startsWith('/api') ? [undefined, WRONG, USER_KEY] : [undefined, WRONG]) {
        let r;
        try { r = await ask(gw, 'GET', path, { key, headers: from() }); } catch (e) { if (/unescaped|invalid/i.test(e.message)) continue; throw e; }
        asked++;
        const page = r.headers['content-type']?.startsWith('text/html');
        ok(r.status >= 400 || page || (r.status >= 300 && r.status < 400), `${path} with ${key}: ${r.status} ${r.text.slice(0, 200)}`);
        ok(r.status >= 400 || !r.text.includes('"adminKey"'), path);
      }
    }
  }
  ok(asked > 250, `${asked} requests`);
});

await test('api 1.4: Host and other names of a request do not matter', async () => {
  for (const headers of [{ host: 'localhost' }, { host: 'api' }, { host: 'evil.example' }, { host: '127.0.0.1:1' }, { host: '' }, { 'x-forwarded-host': 'localhost' },
    { 'x-original-url': '/healthz' }, { 'x-rewrite-url': '/healthz' }, { 'x-http-method-override': 'OPTIONS' }, { 'x-forwarded-proto': 'https' }, { 'x-real-ip': '127.0.0.1' },
    { forwarded: 'for=127.0.0.1;host=localhost' }, { origin: 'null' }, { referer: `http://127.0.0.1:${gw.port}/` }, { cookie: `key=${KEY}` }, { authorization: 'Basic ' + Buffer.from(`x:${KEY}`).toString('base64') }]) {
    const all = { ...headers, ...from() }, at = JSON.stringify(headers);
    if (!headers.authorization) {
      equal((await ask(gw, 'GET', '/api/settings', { headers: all })).code, 'missing_api_key', at);
      equal((await ask(gw, 'GET', '/api/settings', { key: USER_KEY, headers: all })).code, 'admin_required', at);
      equal((await ask(gw, 'GET', '/api/settings', { key: KEY, headers: all })).status, 200, at);
    } else equal((await ask(gw, 'GET', '/api/settings', { headers: all })).status, 401, at);
    ok(denied(await ask(gw, 'GET', '/v1/models', { headers: { ...headers, ...from() } })), at);
  }
  for (const q of ['key', 'api_key', 'apiKey', 'token', 'access_token', 'authorization'])
    equal((await ask(gw, 'GET', `/api/settings?${q}=${KEY}`, { headers: from() })).code, 'missing_api_key', q);
});

await test('api 1.7: POST /verify tells who a key is', async () => {
  const verify = (key) => ask(gw, 'POST', '/verify', { headers: from(), body: JSON.stringify({ apiKey: key }) });
  equal([(await verify(KEY)).json.isAdmin, (await verify(USER_KEY)).json.isAdmin], [true, false]);
  const bad = await verify(WRONG);
  equal([bad.status, bad.json.status, bad.json.message], [401, 401, 'Unauthorized']);
  ok(!bad.text.includes(WRONG), 'masked');
  equal((await ask(gw, 'POST', '/verify', { key: KEY, headers: from() })).json.isAdmin, true);
});

// ---- guessing ----
// n wrong keys, the last one alone, when the others were counted.
const guess = async (own, n, headers = () => ({}), path = '/v1/models') => {
  const one = (i) => ask(own, 'GET', path, { key: `sk-guess-guess-${i}`, headers: headers(i) });
  await Promise.all(Array.from({ length: n - 1 }, (_, i) => one(i)));
  return one(n - 1);
};
const flooded = (r) => equal([r.status, r.code, Number(r.headers['retry-after']) > 0], [429, 'too_many_auth_failures', true]);

await test('api 1.6: from the fifth failure on an answer waits 250 ms, and nobody else does', async () => {
  const own = await gateway(fake);
  const timed = async (key) => { const t = Date.now(); const r = await ask(own, 'GET', '/v1/models', { key }); return [r.status, Date.now() - t]; };
  for (let i = 0; i < 4; i++) equal((await timed(WRONG))[0], 401);
  ok((await timed(WRONG))[1] >= 240, 'the fifth');
  const crowd = Array.from({ length: 25 }, () => timed(WRONG)), t = Date.now();
  for (let i = 0; i < 3; i++) equal((await chat(own, 'hello')).status, 200);
  const took = Date.now() - t;
  for (const [status, ms] of await Promise.all(crowd)) ok(status === 401 && ms >= 240, `${status} after ${ms} ms`);
  ok(took < 1500, `three chats took ${took} ms`);
  await own.stop();
});
await test('api 1.6: 429 for an address after 30 failures, also of /verify and the administration; a good key passes', async () => {
  const own = await gateway(fake);
  for (let i = 0; i < 10; i++) await ask(own, 'POST', '/verify', { body: JSON.stringify({ apiKey: `sk-guess-verify-${i}` }) });
  await guess(own, 10, undefined, '/api/settings');
  equal((await guess(own, 10)).status, 401);
  flooded(await guess(own, 1));
  flooded(await guess(own, 1, undefined, '/api/settings'));
  equal((await ask(own, 'GET', '/api/settings', { key: KEY })).status, 200);
  equal((await ask(own, 'GET', '/v1/models', {})).code, 'missing_api_key');
  await own.stop();
});
await test('api 1.6: X-Forwarded-For is believed from TRUST_PROXY only, and of it only what a trusted proxy wrote', async () => {
  const many = (i) => ({ 'x-forwarded-for': `203.0.113.${i}` });
  for (const trusted of ['', '10.0.0.0/8']) { // this peer is not one of them
    const own = await gateway(fake, { TRUST_PROXY: trusted });
    flooded(await guess(own, 31, many));
    await own.stop();
  }
  const own = await gateway(fake, { TRUST_PROXY: '127.0.0.0/8,10.1.1.1' });
  equal((await guess(own, 40, many)).status, 401, 'forty addresses, one failure each');
  flooded(await guess(own, 31, (i) => ({ 'x-forwarded-for': `198.51.100.${i}, 192.0.2.7, 10.1.1.1` })));
  equal((await guess(own, 1, () => ({ 'x-forwarded-for': '192.0.2.8' }))).status, 401, 'another address');
  await own.stop();
});

await gw.stop();
await done();
