// redis.mjs - several gateways with one real Redis server (api 9.6, 9.9, 11.4, 12): shared, plain and over TLS, killed and back.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import net from 'node:net';
import { certificates, chat, done, equal, fakeUpstream, freePort, gateway, KEY, ok, post, sleep, stream, test, top, waitFor } from './lib.mjs';

// A redis-server in a folder of its own that keeps what it acknowledged.
const servers = [];
async function redisServer(lines = []) {
  const dir = mkdtempSync(join(tmpdir(), 'q2a-redis-')), port = await freePort();
  writeFileSync(join(dir, 'redis.conf'), [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, 'save ""', 'appendonly yes', 'appendfsync always', ...lines].join('\n'));
  const s = { dir, port, url: `redis://127.0.0.1:${port}/0` };
  s.start = async () => {
    s.process = spawn('redis-server', [join(dir, 'redis.conf')], { stdio: 'ignore' });
    s.ended = new Promise((r) => s.process.on('exit', r));
    await waitFor(() => s.command('PING').then((r) => /^[+-]/.test(r), () => false), 10000, 'redis-server answers');
  };
  s.kill = async () => { s.process.kill('SIGKILL'); await s.ended; };
  // The raw reply of one command, in a language of its own: nothing here is shared with the gateway.
  s.command = (...args) => new Promise((res, rej) => {
    const c = net.connect(port, '127.0.0.1', () => c.write(`*${args.length}\r\n${args.map((a) => `$${Buffer.byteLength(a)}\r\n${a}\r\n`).join('')}`));
    let text = '';
    const end = () => { c.destroy(); res(text); };
    c.on('data', (d) => { text += d; clearTimeout(c.timer); c.timer = setTimeout(end, 30); });
    c.on('error', rej);
  });
  servers.push(s);
  return s;
}

const call = async (gw, method, path, body) => {
  const r = await fetch(gw.base + path, { method, headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await r.text();
  return { status: r.status, headers: r.headers, text, json: JSON.parse(text) };
};
const settings = async (gw) => (await call(gw, 'GET', '/api/settings')).json;
const ready = async (gw) => (await call(gw, 'GET', '/readyz')).json;
const within = async (ms, fn, what) => {
  const begin = Date.now();
  await waitFor(fn, 5000, what);
  const took = Date.now() - begin;
  ok(took < ms, `${what}: ${took} ms`);
};

// An orderly end: code 0, nothing left undone.
const untidy = [];
const end = async (gw) => {
  const code = await gw.stop(), bad = gw.log().split('\n').filter((l) => /Sanitizer|runtime error|never given back|could not be written(?!; they are held)/.test(l));
  if (code !== 0 || bad.length) untidy.push(`code ${code}: ${bad.join(' | ').slice(0, 700)}`);
};

const fake = await fakeUpstream({ args: ['--accounts', '20'] });
const redis = await redisServer();
await redis.start();
const shared = { DATA_SAVE_MODE: 'redis', REDIS_URL: redis.url, AUTO_REFRESH_INTERVAL: '3600', CHAT_RETRY_COUNT: '0' };
let one, two;

await test('design 7: two gateways of one Redis sign an account in once', async () => {
  await fake.set({ signin_ms: 700 });
  [one, two] = await Promise.all([gateway(fake, shared), gateway(fake, shared)]);
  await waitFor(async () => (await ready(one)).status === 'ready' && (await ready(two)).status === 'ready', 15000, 'both are ready');
  const [a, b] = await Promise.all([chat(one, 'hi'), chat(two, 'hi')]);
  equal([a.status, b.status], [200, 200], a.raw + b.raw);
  equal((await fake.stats()).signins, 1, 'sign-ins');
  await fake.set({ signin_ms: 0 });
});
await test('api 9.9: an account stored by one gateway serves in the other within a second', async () => {
  equal((await ready(two)).accounts.total, 1);
  const third = await gateway(fake, { ...shared, ACCOUNTS: 'second@example.org:correct horse' });
  await within(1500, async () => (await ready(one)).accounts.total === 2 && (await ready(two)).accounts.total === 2, 'both know the account');
  await waitFor(async () => (await ready(one)).accounts.usable === 2, 10000, 'it is usable');
  await end(third);
  await sleep(1500);
  equal((await fake.stats()).signins, 2, 'sign-ins');
});
await test('api 9.9: a setting changed in one is seen by the other within a second, and so is its end', async () => {
  const r = await call(one, 'PATCH', '/api/settings', { nMax: 2, upstreamCookie: 'cookie-canary-9' });
  equal([r.status, r.json.persisted], [200, true], r.text);
  await within(1000, async () => (await settings(two)).nMax === 2, 'the setting');
  equal((await settings(two)).source.nMax, 'stored');
  await call(two, 'PATCH', '/api/settings', { nMax: null, upstreamCookie: null });
  await within(1000, async () => (await settings(one)).nMax === 4, 'its end');
});
const accountOf = async (gw, email) => (await call(gw, 'GET', `/api/getAllAccounts?search=${encodeURIComponent(email)}`)).json.data.find((a) => a.email === email);
await test('api 9.1, 9.9: an account added, changed, disabled and deleted in one gateway is so in the other within a second', async () => {
  const email = 'user3@example.org';
  const add = await call(one, 'POST', '/api/setAccount', { email, password: 'pw-3', note: 'shared' });
  equal([add.status, add.json.persisted], [200, true], add.text);
  await within(1500, async () => (await accountOf(two, email))?.note === 'shared', 'it is there');
  equal((await call(two, 'POST', '/api/setAccount', { email, password: 'pw-3' })).json.error?.code, 'already_exists');
  await call(two, 'POST', '/api/updateAccount', { email, note: 'changed', maxInflight: 4, headers: { 'X-A': 'b' } });
  await within(1500, async () => { const a = await accountOf(one, email); return a.note === 'changed' && a.maxInflight === 4 && Object.keys(a.headers ?? {}).join() === 'X-A'; }, 'it is changed');
  await call(one, 'POST', '/api/setAccountEnabled', { email, enabled: false });
  await within(1500, async () => (await accountOf(two, email)).status.kind === 'disabled', 'it is disabled');
  await call(two, 'POST', '/api/setAccountEnabled', { email, enabled: true });
  await within(1500, async () => (await accountOf(one, email)).status.kind === 'active', 'it is enabled');
  equal((await call(two, 'DELETE', '/api/deleteAccount', { email })).json, { deleted: 1, persisted: true });
  await within(1500, async () => (await accountOf(one, email)) === undefined, 'it is gone');
  await sleep(1500);
  equal([await accountOf(one, email), await accountOf(two, email)], [undefined, undefined], 'nobody brings it back');
});
await test('api 3.11: a cool-down met by one is kept by the other, and nobody writes it again and again', async () => {
  for (let i = 0; i < 2; i++) await chat(one, '[[scenario:quota]]'); // both accounts are done for the day
  await within(2500, async () => (await ready(two)).accounts.usable === 0, 'they rest in the other, too');
  equal((await ready(one)).accounts.usable, 0);
  const r = await chat(two, 'hi');
  ok(r.status === 429 || r.status === 503, r.raw);
  await sleep(1500);
  const version = await redis.command('GET', 'q2a:version');
  await sleep(3000);
  equal(await redis.command('GET', 'q2a:version'), version, 'no ping-pong');
});
await test('api 9.9: nothing in Redis tells a secret', async () => {
  const file = execFileSync('sh', ['-c', `cat ${redis.dir}/appendonlydir/* ${redis.dir}/*.aof 2>/dev/null || true`]).toString('latin1');
  ok(file.includes('q2a:acct/ok@example.org'), 'the file is the right one');
  for (const secret of ['correct horse', 'cookie-canary-9', KEY, 'eyJ']) ok(!file.includes(secret), secret);
});
await test('api 9.9: a started gateway finds cool-downs in the store', async () => {
  const late = await gateway(fake, shared);
  equal((await ready(late)).accounts, { total: 2, usable: 0 });
  await end(late);
});
await end(one);
await end(two);
await redis.command('FLUSHALL');

await test('api 9.6, 9.9, 12: Redis away: chats go on, readiness says so, changes get 503', async () => {
  [one, two] = await Promise.all([gateway(fake, shared), gateway(fake, shared)]);
  await waitFor(async () => (await ready(one)).status === 'ready' && (await ready(two)).status === 'ready', 15000, 'both are ready');
  const long = stream(one, '[[scenario:slow ms=400]]');
  await sleep(300);
  await redis.kill();
  await waitFor(async () => (await ready(one)).status === 'degraded' && (await ready(two)).status === 'degraded', 5000, 'degraded');
  const r = await fetch(`${one.base}/readyz`);
  equal([r.status, await r.json()], [200, { status: 'degraded', reasons: ['redis_down'] }]);
  equal((await chat(one, 'hi')).status, 200);
  equal((await chat(two, 'hi')).status, 200);
  const answer = await long;
  equal([answer.status, answer.finish, answer.error], [200, 'stop', undefined]);
  const w = await call(one, 'PATCH', '/api/settings', { nMax: 3 });
  equal([w.status, w.json.error?.type, w.json.error?.code], [503, 'service_unavailable_error', 'store_unavailable'], w.text);
  equal((await settings(one)).nMax, 4, 'nothing was changed');
  const before = (await call(one, 'GET', '/api/getAllAccounts')).json.data.map((x) => [x.email, x.note, x.enabled]);
  for (const [method, path, body] of [['POST', '/api/setAccount', { email: 'user4@example.org', password: 'pw-4' }], ['POST', '/api/updateAccount', { email: 'ok@example.org', note: 'n' }],
    ['POST', '/api/setAccountEnabled', { email: 'ok@example.org', enabled: false }], ['DELETE', '/api/deleteAccount', { email: 'ok@example.org' }]]) {
    const x = await call(one, method, path, body);
    equal([x.status, x.json.error?.code], [503, 'store_unavailable'], path + x.text);
    ok(Number(x.headers.get('retry-after')) > 0, `${path}: Retry-After`);
  }
  equal((await call(one, 'GET', '/api/getAllAccounts')).json.data.map((x) => [x.email, x.note, x.enabled]), before, 'no account was changed');
});
await test('api 9.9: what was met while Redis was away is written and shared once it is back', async () => {
  await chat(one, '[[scenario:quota]]');
  equal((await ready(two)).accounts.usable, 1);
  await redis.start();
  await waitFor(async () => (await ready(one)).status !== 'degraded' && (await ready(two)).status !== 'degraded', 5000, 'back');
  await within(3000, async () => (await ready(two)).accounts.usable === 0, 'the cool-down came over');
  equal((await call(one, 'PATCH', '/api/settings', { nMax: 3 })).status, 200);
  await within(1500, async () => (await settings(two)).nMax === 3, 'the setting');
});
await test('api 9.9: changes that were missed are found by their version', async () => {
  // Gateway two is deaf for a while: its process stands still, and its connections are cut meanwhile.
  two.process.kill('SIGSTOP');
  await call(one, 'PATCH', '/api/settings', { nMax: 2 });
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  equal((await call(one, 'PATCH', '/api/settings', { searchInfoMode: 'text' })).status, 200);
  two.process.kill('SIGCONT');
  await within(3000, async () => { const s = await settings(two); return s.nMax === 2 && s.searchInfoMode === 'text'; }, 'both settings');
});
await test('api 9.9: a server that comes back empty gets the accounts again', async () => {
  await redis.kill();
  rmSync(join(redis.dir, 'appendonlydir'), { recursive: true, force: true });
  await redis.start();
  await waitFor(async () => (await redis.command('EXISTS', 'q2a:acct/ok@example.org')).startsWith(':1'), 10000, 'the account is there');
  const late = await gateway(fake, shared);
  equal((await ready(late)).accounts.total, 1);
  ok(!late.log().includes('cannot be read'), 'sealed as before');
  await end(late);
});
await end(one);
await end(two);

// ---- keys ----
const sums = async (gw, id) => (await call(gw, 'GET', '/api/keys')).json.data.find((k) => k.id === id);
const give = async (gw, body = {}) => {
  const r = await call(gw, 'POST', '/api/addRegularKey', body);
  equal(r.status, 200, r.text);
  return { id: r.json.id, key: r.json.apiKey };
};
const say = (gw, k) => chat(gw, 'hi', {}, { key: k.key });
let kept, quota;
await redis.command('FLUSHALL');
[one, two] = await Promise.all([gateway(fake, shared), gateway(fake, shared)]);
await waitFor(async () => (await ready(one)).status === 'ready' && (await ready(two)).status === 'ready', 15000, 'both are ready');
await test('api 9.3, 9.9: a key added, changed, disabled or deleted in one gateway is so in the other within a second', async () => {
  const k = await give(one, { name: 'shared' });
  await within(1000, async () => (await say(two, k)).status === 200, 'the new key serves');
  equal((await sums(two, k.id)).name, 'shared');
  await call(two, 'PATCH', `/api/keys/${k.id}`, { models: ['nothing'], name: 'changed' });
  await within(1000, async () => (await say(one, k)).error?.code === 'model_not_allowed_for_key', 'its limit');
  equal((await sums(one, k.id)).name, 'changed');
  await call(one, 'PATCH', `/api/keys/${k.id}`, { enabled: false });
  await within(1000, async () => (await say(two, k)).status === 401, 'disabled');
  await call(two, 'PATCH', `/api/keys/${k.id}`, { enabled: true, models: null });
  await within(1000, async () => (await say(one, k)).status === 200, 'enabled');
  equal((await call(two, 'POST', '/api/deleteRegularKey', { apiKey: k.key })).status, 200);
  await within(1000, async () => (await say(one, k)).status === 401, 'deleted');
  equal((await call(one, 'POST', '/api/deleteRegularKey', { apiKey: k.key })).status, 404);
});
await test('api 9.3: limits hold over all gateways, a second later', async () => {
  quota = await give(one, { dailyRequests: 10 });
  const minute = await give(two, { rpm: 5 }), lag = () => sleep(1800); // a second, and a slow machine
  await lag();
  for (let i = 0; i < 4; i++) equal((await say(two, quota)).status, 200);
  for (let i = 0; i < 3; i++) equal((await say(one, minute)).status, 200);
  await lag();
  for (let i = 0; i < 6; i++) equal((await say(one, quota)).status, 200);
  equal((await say(one, quota)).error?.code, 'key_quota_exceeded', 'four there, six here');
  await lag();
  equal((await say(two, quota)).error?.code, 'key_quota_exceeded', 'and the other way round');
  for (let i = 0; i < 2; i++) equal((await say(two, minute)).status, 200);
  equal((await say(two, minute)).error?.code, 'key_rate_limit', 'three there, two here');
  await lag();
  equal((await say(one, minute)).error?.code, 'key_rate_limit');
  const { total } = (await sums(one, quota.id)).usage;
  equal([total.calls, total.tokens > 0], [10, true]);
  for (let i = 0; i < 3; i++) { // nothing is added by looking
    for (const gw of [one, two]) equal((await sums(gw, quota.id)).usage.total, total);
    await sleep(700);
  }
});
await test('api 9.3, 9.9: with Redis away keys and limits go on from memory, changes get 503; back: nothing counted twice', async () => {
  await call(one, 'PATCH', `/api/keys/${quota.id}`, { dailyRequests: 1000 });
  kept = await give(two, { dailyRequests: 4, name: 'kept' });
  await within(1000, async () => (await sums(one, kept.id))?.name === 'kept' && (await sums(two, quota.id)).limits.dailyRequests === 1000, 'both are known');
  await redis.kill();
  await waitFor(async () => (await ready(one)).status === 'degraded' && (await ready(two)).status === 'degraded', 5000, 'degraded');
  for (const [method, path, body] of [['POST', '/api/addRegularKey', {}], ['PATCH', `/api/keys/${kept.id}`, { name: 'x' }], ['POST', '/api/deleteRegularKey', { id: kept.id }]]) {
    const r = await call(one, method, path, body);
    equal([r.status, r.json.error?.code], [503, 'store_unavailable'], r.text);
  }
  equal((await sums(one, kept.id)).name, 'kept');
  for (let i = 0; i < 12; i++) equal([(await say(one, quota)).status, (await say(two, quota)).status], [200, 200]);
  for (let i = 0; i < 3; i++) equal((await say(one, kept)).status, 200);
  await sleep(2500); // several times is it tried to write
  for (let i = 0; i < 8; i++) equal((await say(one, quota)).status, 200);
  equal((await say(one, kept)).status, 200);
  equal((await say(one, kept)).error?.code, 'key_quota_exceeded');
  await redis.start();
  await waitFor(async () => (await ready(one)).status === 'ready' && (await ready(two)).status === 'ready', 10000, 'back');
  for (const gw of [one, two]) await waitFor(async () => (await sums(gw, quota.id)).usage.total.calls === 42, 5000, 'ten and 32');
  await waitFor(async () => (await say(two, kept)).status === 429, 5000, 'used up there, too');
  await sleep(2500);
  for (const gw of [one, two]) equal((await sums(gw, quota.id)).usage.today.calls, 42, 'and no more');
});
await test('api 9.3, 9.9: a server that comes back empty gets keys and their counters again, once', async () => {
  const before = (await sums(one, quota.id)).usage;
  await redis.kill();
  rmSync(join(redis.dir, 'appendonlydir'), { recursive: true, force: true });
  await waitFor(async () => (await ready(one)).status === 'degraded' && (await ready(two)).status === 'degraded', 5000, 'degraded');
  await redis.start();
  await waitFor(async () => (await redis.command('EXISTS', `q2a:key/${kept.id}`)).startsWith(':1'), 10000, 'the key is there');
  await waitFor(async () => (await redis.command('GET', `q2a:use/${quota.id}/all/calls`)).includes('42'), 10000, 'and its counters');
  await sleep(2500);
  for (const gw of [one, two]) equal((await sums(gw, quota.id)).usage, before);
  const late = await gateway(fake, shared);
  equal((await sums(late, quota.id)).usage, before, 'a new gateway reads the same');
  equal((await say(late, kept)).error?.code, 'key_quota_exceeded');
  equal((await say(late, quota)).status, 200);
  await end(late);
  for (const gw of [one, two]) await waitFor(async () => (await sums(gw, quota.id)).usage.today.calls === 43, 5000, 'it goes on');
});
await test('api 1.3: Redis holds no key in clear', async () => {
  const file = execFileSync('sh', ['-c', `cat ${redis.dir}/appendonlydir/* 2>/dev/null || true`]).toString('latin1');
  ok(file.includes(`q2a:key/${kept.id}`), 'the file is the right one');
  for (const k of [kept.key, quota.key, KEY]) ok(!file.includes(k) && !file.includes(Buffer.from(k).toString('hex')) && !file.includes(Buffer.from(k).toString('base64').slice(0, -4)), 'a key');
});
await end(one);
await end(two);

await test('api 1.1, 11.5: gateways that start at once make one admin key; new-admin-key replaces it in all; a lost server gets it again', async () => {
  const own = await redisServer(), env = { ...shared, REDIS_URL: own.url, API_KEY: null, SECRET_KEY: 'a secret of sixteen' };
  await own.start();
  const pair = await Promise.all([gateway(fake, env), gateway(fake, env)]), made = (gw) => gw.log().match(/sk-[0-9A-Za-z]{48}/g) ?? [];
  await waitFor(() => pair.some((gw) => made(gw).length), 5000, 'a key is shown');
  const first = pair.flatMap(made), status = async (gw, key) => (await fetch(`${gw.base}/api/settings`, { headers: { authorization: `Bearer ${key}` } })).status;
  equal([first.length, await status(pair[0], first[0]), await status(pair[1], first[0])], [1, 200, 200]);
  const fresh = execFileSync(process.env.Q2A_BINARY || join(top, 'build/qwen2api'), ['new-admin-key'], { encoding: 'utf8',
    env: { PATH: process.env.PATH, DATA_SAVE_MODE: 'redis', REDIS_URL: own.url, SECRET_KEY: env.SECRET_KEY } }).trim();
  for (const gw of pair) await within(1000, async () => (await status(gw, fresh)) === 200 && (await status(gw, first[0])) === 401, 'the new key instead of the old one');
  await own.kill();
  rmSync(join(own.dir, 'appendonlydir'), { recursive: true, force: true });
  await waitFor(async () => (await ready(pair[0])).status !== 'ready' && (await ready(pair[1])).status !== 'ready', 5000, 'away');
  await own.start();
  await waitFor(async () => (await own.command('EXISTS', 'q2a:key/admin')).startsWith(':1'), 10000, 'it is there again');
  for (const gw of pair) equal(await status(gw, fresh), 200);
  const late = await gateway(fake, env);
  equal([made(late), await status(late, fresh)], [[], 200]);
  await sleep(300);
  for (const gw of [...pair, late]) await end(gw);
});

const fails = async (env) => {
  try {
    const gw = await gateway(fake, { ...shared, ...env });
    await end(gw);
    return { code: 0 };
  } catch (e) {
    return { code: Number(/ended with (\d+)/.exec(e.message)?.[1]), text: e.message };
  }
};
await test('api 9.9: no SECRET_KEY and no API_KEY: 78; sealed with another key: 65; a newer format: 65', async () => {
  const none = await fails({ API_KEY: '' });
  equal(none.code, 78, none.text);
  ok(none.text.includes('SECRET_KEY'), none.text);
  equal((await fails({ SECRET_KEY: 'another key of sixteen' })).code, 65);
  await redis.command('SET', 'q2a:meta/format', '2');
  equal((await fails({})).code, 65);
  await redis.command('SET', 'q2a:meta/format', '1');
});
await test('api 11.4: not reachable at start: tried again for 30 s, then 69', async () => {
  await redis.kill();
  const dead = spawn(process.env.Q2A_BINARY || join(top, 'build/qwen2api'), [], { cwd: mkdtempSync(join(tmpdir(), 'q2a-')),
    env: { PATH: process.env.PATH, ...shared, API_KEY: KEY, SERVICE_PORT: String(await freePort()), LISTEN_ADDRESS: '127.0.0.1' } });
  let text = '';
  dead.stderr.on('data', (d) => { text += d; });
  const begin = Date.now();
  const code = await new Promise((r) => dead.on('exit', r));
  equal(code, 69, text);
  ok(Date.now() - begin > 25000 && Date.now() - begin < 50000, `${Date.now() - begin} ms`);
  ok(text.includes('redis') || text.includes('Redis'), text);
});
await test('api 11.4: a server that comes 3 s after the gateway is waited for', async () => {
  const late = gateway(fake, shared);
  await sleep(3000);
  await redis.start();
  const gw = await late;
  equal((await ready(gw)).accounts.total, 1);
  await end(gw);
});
await test('api 11.4: rediss:// with name, user, password and database; the wrong ones are refused without telling them', async () => {
  const dir = certificates(), tlsPort = await freePort();
  const tls = await redisServer([`tls-port ${tlsPort}`, `tls-cert-file ${dir}/fake.pem`, `tls-key-file ${dir}/fake.key`, `tls-ca-cert-file ${dir}/ca.pem`, 'tls-auth-clients no',
    'user default off', 'user gateway on >p@ss:w%rd ~* &* +@all']);
  await tls.start();
  const resolve = ['chat.qwen.ai', 'auth.qwen.ai'].map((h) => `${h}:443=127.0.0.1:${fake.port}`).join(',') + `,img.example.test:6390=127.0.0.1:${tlsPort}`;
  const gw = await gateway(fake, { ...shared, REDIS_URL: 'rediss://gateway:p%40ss%3Aw%25rd@img.example.test:6390/5', UPSTREAM_RESOLVE: resolve });
  equal((await chat(gw, 'hi')).status, 200);
  equal((await call(gw, 'PATCH', '/api/settings', { nMax: 2 })).json.persisted, true);
  ok(!gw.log().includes('p@ss') && !gw.log().includes('p%40ss'), gw.log());
  await end(gw);
  const again = await gateway(fake, { ...shared, REDIS_URL: 'rediss://gateway:p%40ss%3Aw%25rd@img.example.test:6390/5', UPSTREAM_RESOLVE: resolve });
  equal((await settings(again)).nMax, 2);
  await end(again);
});

await test("api 9.9: the original's layout in Redis is read once, and never changed", async () => {
  const old = await redisServer();
  await old.start();
  await old.command('HSET', 'user:second@example.org', 'password', 'correct horse', 'token', '', 'expires', '0', 'proxy', '', 'stats', '{}', 'statsHistory', '[]');
  await old.command('HSET', 'user:colon@example.org', 'password', 'pa:ss@word#1', 'token', 'old-token', 'expires', '1700000000');
  await old.command('SET', 'user:none', 'no hash');
  const today = new Date(), day = `${today.getFullYear()}-${String(today.getMonth() + 1).padStart(2, '0')}-${String(today.getDate()).padStart(2, '0')}`;
  await old.command('HSET', 'user:second@example.org', 'statsHistory', JSON.stringify({ [day]: { chat: { input: 4321, output: 5 }, cli: { calls: 0, input: 0, output: 0 } } }));
  await old.command('HSET', 'qwen2api:settings', 'json', '{"autoRefreshInterval":7200,"outThink":"sometimes","regularKeys":["sk-of-the-original-0123456789"]}');
  const before = await old.command('HGETALL', 'user:colon@example.org');
  const env = { ...shared, REDIS_URL: old.url, ACCOUNTS: '' };
  const gw = await gateway(fake, env);
  equal((await ready(gw)).accounts.total, 2);
  await waitFor(async () => (await ready(gw)).accounts.usable === 2, 15000, 'both are signed in');
  equal((await chat(gw, 'hi', {}, { key: 'sk-of-the-original-0123456789' })).status, 200);
  const see = async (path) => (await fetch(gw.base + path, { headers: { authorization: `Bearer ${KEY}` } })).json();
  equal((await see('/api/settings')).autoRefreshInterval, 7200);
  ok((await see('/api/statsHistory')).accounts.find((a) => a.email === 'second@example.org').history[day].chat.input >= 4321, 'its statistics');
  ok(gw.log().includes('2 accounts of the original') && !gw.log().includes('pa:ss') && !gw.log().includes('colon@'), gw.log());
  await end(gw);
  equal(await old.command('HGETALL', 'user:colon@example.org'), before);
  await old.command('DEL', 'q2a:acct/colon@example.org');
  await old.command('ZREM', 'q2a:index', 'acct/colon@example.org'); // deleted here: it does not come back
  const again = await gateway(fake, env);
  equal((await ready(again)).accounts.total, 1);
  await end(again);
});

await test('api 11.6: every one of these gateways ended in order', async () => equal(untidy, []));
for (const s of servers) {
  if (s.process && s.process.exitCode === null) await s.kill();
  rmSync(s.dir, { recursive: true, force: true });
}
await done();
