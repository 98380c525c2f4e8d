// The client's side of the static binary: framing, slow and silent clients, keys, limits, settings, start and stop.
import { test, equal, ok, done, fakeUpstream, gateway, chat, stream, post, waitFor, sleep, auth, KEY, USER_KEY, freePort, top } from './lib.mjs';
import { connect } from 'node:net';
import { spawnSync, spawn } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { mkdtempSync, writeFileSync, readFileSync, existsSync, statSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const fake = await fakeUpstream({ args: ['--accounts', '4'] });
const gw = await gateway(fake, { MAX_INFLIGHT_PER_ACCOUNT: '200', DATA_SAVE_MODE: 'none' });
const binary = process.env.Q2A_BINARY || join(top, 'build/qwen2api');

// Raw bytes in, everything that comes back within ms (or until the end) out.
function raw(port, pieces, { ms = 3000, gap = 0, half = false } = {}) {
  return new Promise((res) => {
    let out = '', ended = false;
    const s = connect(port, '127.0.0.1', async () => {
      for (const p of pieces) {
        if (s.destroyed) break;
        s.write(p);
        if (gap) await sleep(gap);
      }
      if (half) s.end();
    });
    s.on('data', (d) => { out += d; });
    const end = () => { if (!ended) { ended = true; s.destroy(); res({ out, closed: s.closedByPeer }); } };
    s.on('end', () => { s.closedByPeer = true; end(); });
    s.on('error', end);
    setTimeout(end, ms);
  });
}
const get = (path, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
const statuses = (out) => [...out.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => Number(m[1]));

// ---- framing ----
for (const [what, bytes, status] of [
  ['both lengths', 'POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}', 400],
  ['a repeated length', 'POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}', 400],
  ['a malformed length', 'POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}', 400],
  ['a bare LF', 'GET /healthz HTTP/1.1\nHost: x\n\n', 400],
  ['a folded header', 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n', 400],
  ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', 'GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 400],
  ['HTTP/2.0', 'GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n', 400],
  ['garbage', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400],
  ['a blank before the colon', 'GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n', 400],
  ['a long URL', `GET /${'a'.repeat(17000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414],
  ['a large header block', `GET /healthz HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(70000)}\r\n\r\n`, 431],
  ['too many headers', `GET /healthz HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(80)}\r\n`, 431],
]) await test(`${what}: ${status}, JSON, closed`, async () => {
  const r = await raw(gw.port, [bytes]);
  equal(statuses(r.out), [status], r.out.slice(0, 200));
  ok(/"code":"(bad_request|uri_too_long|headers_too_large)"/.test(r.out) && r.closed, r.out.slice(-200));
});
await test('pipelined requests are answered in order, at every split', async () => {
  const two = get('/healthz') + get('/models') + get('/readyz', 'Connection: close\r\n');
  for (let at = 1; at < two.length; at += 3) {
    const r = await raw(gw.port, [two.slice(0, at), two.slice(at)], { gap: 2 });
    equal(statuses(r.out), [200, 200, 200], `split ${at}`);
  }
});
await test('a chat behind a pipelined request, and another behind it', async () => {
  const body = JSON.stringify({ model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hi' }] });
  const one = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const r = await raw(gw.port, [get('/healthz') + one + one + get('/healthz', 'Connection: close\r\n')], { ms: 8000 });
  equal(statuses(r.out), [200, 200, 200, 200], r.out);
});
await test('HTTP/1.0: no chunks, closed at the end', async () => {
  const body = JSON.stringify({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: 'hi' }] });
  const r = await raw(gw.port, [`POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`]);
  ok(r.closed && !/chunked/i.test(r.out) && r.out.endsWith('data: [DONE]\n\n'), r.out);
});
await test('chunked request bodies, byte by byte', async () => {
  const body = '{"apiKey":"' + KEY + '"}';
  let text = `POST /verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
  for (const c of body) text += `1\r\n${c}\r\n`;
  text += '0\r\n\r\n';
  for (const pieces of [[text], [...text]]) {
    const r = await raw(gw.port, pieces);
    ok(r.out.includes('"isAdmin":true'), r.out);
  }
});
await test('Expect: 100-continue', async () => {
  const head = `POST /verify HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n`;
  const r = await raw(gw.port, [head, '{}'], { gap: 200 });
  equal(statuses(r.out), [100, 401], r.out);
  const refused = await raw(gw.port, [`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n`]);
  equal(statuses(refused.out), [401], 'judged before the body');
});
await test('gzip bodies; a wrong one; another encoding', async () => {
  const body = JSON.stringify({ model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hi' }] });
  const send = (b, enc) => fetch(`${gw.v1}/chat/completions`, { method: 'POST', headers: { ...auth(), 'content-type': 'application/json', 'content-encoding': enc }, body: b });
  equal((await send(gzipSync(body), 'gzip')).status, 200);
  equal((await send(Buffer.from('no gzip at all'), 'gzip')).status, 400);
  equal((await send(body, 'br')).status, 415);
});
await test('a body of some megabytes, and one over the limit', async () => {
  const big = 'x'.repeat(3 << 20);
  equal((await chat(gw, `[[scenario:normal]] ${big}`)).status, 200);
  const small = await gateway(fake, { BODY_LIMIT_MB: '1' });
  const r = await post(small, '/v1/chat/completions', { messages: [{ role: 'user', content: big }] });
  equal([r.status, (await r.json()).error.code], [413, 'request_too_large']);
  const ch = await raw(small.port, [`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nTransfer-Encoding: chunked\r\n\r\n`, ...Array.from({ length: 20 }, () => `10000\r\n${'y'.repeat(65536)}\r\n`)], { ms: 3000 });
  equal(statuses(ch.out), [413], ch.out.slice(0, 200));
  await small.stop();
});

// ---- paths, methods, headers ----
for (const [path, method, status, code] of [
  ['/v1/nothing', 'GET', 404, 'unknown_url'], ['/api/x', 'GET', 404, 'unknown_url'], ['/cli/v1/x', 'POST', 404, 'unknown_url'],
  ['/v1/models', 'DELETE', 405, 'method_not_allowed'], ['/nothing', 'GET', 404, 'unknown_url'],
  ['/v1/embeddings', 'POST', 404, 'unsupported_endpoint'], ['/v1/files/abc', 'GET', 404, 'unsupported_endpoint'],
]) await test(`D17 ${method} ${path}: ${status} ${code}`, async () => {
  const r = await fetch(gw.base + path, { method, headers: auth(), body: method === 'POST' ? '{}' : undefined });
  const j = await r.json();
  equal([r.status, j.error.code], [status, code]);
  if (status === 405) ok(r.headers.get('allow').includes('GET'), 'Allow');
  if (code === 'unsupported_endpoint') equal(r.headers.get('x-should-retry'), 'false');
});
await test('spellings of a path', async () => {
  for (const p of ['/v1/models/', '//v1//models', '/v1/v1/models', '/openai/v1/models', '/api/v1/models', '/v1/%6dodels'])
    equal((await fetch(gw.base + p, { headers: auth() })).status, 200, p);
});
await test('HEAD, ETag and 304 of the list', async () => {
  const a = await fetch(`${gw.base}/models`), h = await fetch(`${gw.base}/models`, { method: 'HEAD' });
  equal(h.headers.get('content-length'), a.headers.get('content-length'));
  equal(await h.text(), '');
  equal((await fetch(`${gw.base}/models`, { headers: { 'if-none-match': a.headers.get('etag') } })).status, 304);
});
await test('CORS: preflight and every answer', async () => {
  const r = await fetch(`${gw.v1}/chat/completions`, { method: 'OPTIONS', headers: { origin: 'https://a.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-stainless-os, authorization' } });
  equal(r.status, 204);
  equal(r.headers.get('access-control-allow-headers'), 'x-stainless-os, authorization');
  for (const x of [await fetch(`${gw.v1}/models`), await fetch(`${gw.base}/healthz`)]) equal(x.headers.get('access-control-allow-origin'), '*');
});
await test('x-request-id: kept or made', async () => {
  equal((await fetch(`${gw.base}/healthz`, { headers: { 'x-request-id': 'my.id-1' } })).headers.get('x-request-id'), 'my.id-1');
  const long = 'r'.repeat(128);
  equal((await fetch(`${gw.base}/healthz`, { headers: { 'x-request-id': long } })).headers.get('x-request-id'), long);
  equal((await chat(gw, 'hello', {}, { headers: { 'x-request-id': long } })).headers.get('x-request-id'), long);
  ok(/^req_[0-9A-Za-z]{24}$/.test((await fetch(`${gw.base}/healthz`, { headers: { 'x-request-id': 'bad id!' } })).headers.get('x-request-id')), 'made');
});
await test('the page: gzip, policy, hashed names', async () => {
  const r = await fetch(gw.base);
  const html = await r.text();
  ok(r.headers.get('content-security-policy').includes("default-src 'self'"), 'policy');
  ok(!/<script>| style=| on\w+=/.test(html), 'nothing inline');
  const names = [...html.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css|svg))"/g)].map((m) => m[1]);
  ok(names.length === 3, names.join());
  for (const n of names) {
    const a = await fetch(gw.base + n);
    equal(a.status, 200, n);
    ok(a.headers.get('cache-control').includes('immutable') && (await a.text()).length > 50, n);
  }
});

// ---- keys ----
await test('access: no key, wrong key, user key, admin key, every spelling', async () => {
  const code = async (h) => { const r = await fetch(`${gw.v1}/models`, { headers: h }); return [r.status, r.ok ? null : (await r.json()).error.code]; };
  equal(await code({}), [401, 'missing_api_key']);
  equal(await code(auth('sk-wrong-wrong-wrong')), [401, 'invalid_api_key']);
  for (const h of [auth(), auth(USER_KEY), { authorization: KEY }, { authorization: `bearer   ${KEY}` }, { 'x-api-key': KEY }, { 'api-key': USER_KEY }, { authorization: 'Bearer wrong', 'x-api-key': KEY }])
    equal(await code(h), [200, null], JSON.stringify(h));
  equal((await fetch(`${gw.v1}/models?key=${KEY}&api_key=${KEY}`)).status, 401, 'never in the query');
  const r = await fetch(`${gw.v1}/models`, { headers: auth('sk-secret-secret-9f0c') });
  ok(!(await r.text()).includes('secret-secret'), 'masked');
  equal((await (await fetch(`${gw.base}/verify`, { method: 'POST', body: JSON.stringify({ apiKey: USER_KEY }) })).json()).isAdmin, false);
});
await test('guessing is slowed, then refused; a good key still passes', async () => {
  const own = await gateway(fake);
  let last;
  for (let i = 0; i < 32; i++) last = await fetch(`${own.v1}/models`, { headers: auth(`sk-guess-guess-${i}`) });
  equal([last.status, (await last.json()).error.code], [429, 'too_many_auth_failures']);
  ok(Number(last.headers.get('retry-after')) > 0, 'Retry-After');
  equal((await fetch(`${own.v1}/models`, { headers: auth() })).status, 200);
  await own.stop();
});

// ---- slow and many ----
await test('64 clients sending a megabyte at 1 KB/s do not delay a 65th chat', async () => {
  const slow = Array.from({ length: 64 }, () => {
    const s = connect(gw.port, '127.0.0.1');
    s.on('error', () => 0);
    s.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: 1000000\r\n\r\n{"messages":[{"role":"user","content":"`);
    const timer = setInterval(() => s.write('x'.repeat(100)), 100);
    return () => { clearInterval(timer); s.destroy(); };
  });
  const heads = Array.from({ length: 64 }, () => { const s = connect(gw.port, '127.0.0.1'); s.on('error', () => 0); s.write('POST /v1/chat'); return () => s.destroy(); });
  await sleep(500);
  const t = Date.now();
  for (let i = 0; i < 5; i++) equal((await chat(gw, 'hello')).status, 200);
  ok(Date.now() - t < 1500, `five chats took ${Date.now() - t} ms`);
  [...slow, ...heads].forEach((end) => end());
});
await test('a full house answers 503, and recovers', async () => {
  const small = await gateway(fake, { MAX_CONNECTIONS: '16' });
  const idle = Array.from({ length: 16 }, () => { const s = connect(small.port, '127.0.0.1'); s.on('error', () => 0); return s; });
  await sleep(200);
  const r = await raw(small.port, [get('/healthz')]);
  equal(statuses(r.out), [503], r.out);
  ok(r.out.includes('"code":"overloaded"') && /Retry-After: \d/.test(r.out), r.out);
  idle.forEach((s) => s.destroy());
  await waitFor(async () => statuses((await raw(small.port, [get('/healthz', 'Connection: close\r\n')], { ms: 500 })).out)[0] === 200, 3000, 'room again');
  await small.stop();
});
await test('more turns than the accounts may run: in line, then 503 with a reason', async () => {
  const small = await gateway(fake, { MAX_INFLIGHT_PER_ACCOUNT: '1', QUEUE_TIMEOUT: '1', QUEUE_MAX: '3' });
  await chat(small, 'hello');
  const long = stream(small, '[[scenario:stream n=20 ms=100 size=10]]');
  await sleep(200);
  const all = await Promise.all(Array.from({ length: 6 }, () => chat(small, 'hello')));
  equal(all.map((r) => r.status), all.map(() => 503));
  ok(all.every((r) => r.error.code === 'overloaded' && Number(r.headers.get('retry-after')) > 0), all[0].raw);
  equal((await long).finish, 'stop', 'the running one is not disturbed');
  equal((await chat(small, 'hello')).status, 200);
  await small.stop();
});

// ---- stop ----
await test('SIGTERM: a running stream ends by itself, idle connections close, new ones are refused, exit 0', async () => {
  const own = await gateway(fake);
  await chat(own, 'hello');
  const idle = connect(own.port, '127.0.0.1');
  idle.on('error', () => 0);
  await sleep(50);
  const running = stream(own, '[[scenario:stream n=10 ms=100 size=10]]');
  await sleep(300);
  const stopped = own.stop();
  const r = await running;
  equal([r.finish, r.error], ['stop', undefined]);
  equal(await stopped, 0);
});
await test('SIGTERM: what still runs after the grace gets an error event', async () => {
  const own = await gateway(fake, { SHUTDOWN_GRACE: '1' });
  const running = stream(own, '[[scenario:stream n=600 ms=100 size=10]]');
  await sleep(500);
  const t = Date.now(), stopped = own.stop();
  equal((await running).error.code, 'shutting_down');
  equal(await stopped, 0);
  ok(Date.now() - t < 6000, `${Date.now() - t} ms`);
});
await test('a second SIGTERM ends at once', async () => {
  const own = await gateway(fake);
  const running = stream(own, '[[scenario:stream n=600 ms=100 size=10]]').catch(() => 0);
  await sleep(500);
  own.process.kill('SIGTERM');
  await sleep(300);
  const t = Date.now();
  own.process.kill('SIGTERM');
  await own.process.ended;
  ok(Date.now() - t < 1000, `${Date.now() - t} ms`);
  await running;
});

// ---- start, settings, state ----
const run = (args, env = {}, cwd = mkdtempSync(join(tmpdir(), 'q2a-'))) => spawnSync(binary, args, { cwd, env: { PATH: process.env.PATH, ...env }, encoding: 'utf8', timeout: 10000 });
await test('settings: all errors at once, exit 78', () => {
  const r = run([], { SERVICE_PORT: '80a', DATA_SAVE_MODE: 'redis', OUTPUT_THINK: 'perhaps', API_KEY: 'sk secret-in-error' });
  equal(r.status, 78);
  for (const w of ['SERVICE_PORT="80a": expected an integer from 1 to 65535', 'DATA_SAVE_MODE="redis" needs REDIS_URL', 'OUTPUT_THINK', 'not started'])
    ok(r.stderr.includes(w), `${w} in ${r.stderr}`);
  ok(!r.stderr.includes('secret-in-error') && r.stdout === '', r.stderr);
});
await test('.env of the original README loads unchanged; flags win', () => {
  const cwd = mkdtempSync(join(tmpdir(), 'q2a-'));
  writeFileSync(join(cwd, '.env'), '\ufeffLISTEN_ADDRESS=localhost       # bind address\r\nAPI_KEY=sk-123456,sk-456789   # first key = admin\nACCOUNTS=                     # empty: none\n' +
    'PM2_MAX_MEMORY=1G             # 100M/1G/2G\n                              # all workers share one port\nSEARCH_INFO_MODE=text        # table/text\nREDIS_URL=\nCACHE_MODE=default            # default/file\nSERVCE_PORT=1\n');
  const r = run(['check', '--port=4000'], {}, cwd);
  equal(r.status, 0, r.stderr);
  for (const w of ['file     LISTEN_ADDRESS=localhost', 'file     API_KEY=*** (2)', 'flag     SERVICE_PORT=4000', 'file     SEARCH_INFO_MODE=text', 'default  ACCOUNTS='])
    ok(r.stdout.includes(w + '\n'), `${w} in ${r.stdout}`);
  ok(r.stderr.includes('did you mean SERVICE_PORT?'), r.stderr);
});
await test('command line: help, version, unknown option, missing file', () => {
  equal(run(['--help']).status, 0);
  ok(run(['--version']).stdout.startsWith('qwen2api '), 'version');
  equal(run(['--nothing']).status, 2);
  equal(run(['--config', '/nowhere/x']).status, 78);
  ok(run(['routes']).stdout.includes('/v1/chat/completions'), 'routes');
});
await test('a port in use: 69 with the port named', () => {
  const r = run([], { SERVICE_PORT: String(gw.port), LISTEN_ADDRESS: '127.0.0.1', DATA_SAVE_MODE: 'none' });
  equal(r.status, 69);
  ok(r.stderr.includes(String(gw.port)), r.stderr);
});
await test('healthcheck asks the running one', () => {
  equal(run(['healthcheck'], { SERVICE_PORT: String(gw.port), LISTEN_ADDRESS: '127.0.0.1' }).status, 0);
  equal(run(['healthcheck', '--ready', '--url', `${gw.base}/readyz`]).status, 0);
  equal(run(['healthcheck', '--url', 'http://127.0.0.1:1/']).status, 1);
});
await test('the first key is made, shown once, kept; accounts, tokens and rests survive a restart; secrets are sealed', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'q2a-'));
  const env = { DATA_SAVE_MODE: 'file', DATA_DIR: join(cwd, 'data'), API_KEY: null, CHAT_RETRY_COUNT: '0' };
  const one = await gateway(fake, env);
  await waitFor(() => /Admin key/.test(one.log()), 3000, 'the key is shown');
  const key = /sk-[0-9A-Za-z]{48}/.exec(one.log())[0];
  equal((await chat(one, 'hello', {}, { key })).status, 200, one.log());
  equal((await chat(one, '[[scenario:quota]]', {}, { key })).status, 429);
  const locked = run([], { ...env, API_KEY: 'sk-x', SERVICE_PORT: String(await freePort()), LISTEN_ADDRESS: '127.0.0.1' });
  equal(locked.status, 69, 'a second gateway on the same folder');
  await sleep(1500);
  one.process.kill('SIGKILL');
  await one.process.ended;
  await fake.reset();
  const two = await gateway(fake, { ...env, ACCOUNTS: '' });
  ok(!/Admin key/.test(two.log()), 'not shown again');
  const r = await chat(two, 'hello', {}, { key });
  equal([r.status, r.error.code], [429, 'insufficient_quota'], 'the rest is remembered');
  ok(Number(r.headers.get('retry-after')) > 4 * 3600 - 120, 'and when it ends');
  equal((await fake.stats()).signin, 0, 'the token too');
  equal(await two.stop(), 0);
  for (const f of readdirSync(env.DATA_DIR)) {
    const bytes = readFileSync(join(env.DATA_DIR, f)).toString('latin1');
    for (const secret of ['correct horse', 'eyJhbGciOi', key]) ok(!bytes.includes(secret), `${secret} in ${f}`);
    equal(statSync(join(env.DATA_DIR, f)).mode & 0o077, 0, `${f} is for its owner alone`);
  }
  const wrong = run([], { ...env, API_KEY: 'sk-x', SECRET_KEY: 'another-key-than-before', SERVICE_PORT: String(await freePort()), LISTEN_ADDRESS: '127.0.0.1' });
  equal(wrong.status, 65, wrong.stderr);
  ok(wrong.stderr.includes('SECRET_KEY'), wrong.stderr);
});
await test('SECRET_KEY=new,old seals everything anew', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'q2a-'));
  const env = { DATA_SAVE_MODE: 'file', DATA_DIR: join(cwd, 'data') };
  await (await gateway(fake, { ...env, SECRET_KEY: 'the-old-secret-key' })).stop();
  await (await gateway(fake, { ...env, SECRET_KEY: 'the-new-secret-key,the-old-secret-key', ACCOUNTS: '' })).stop();
  const last = await gateway(fake, { ...env, SECRET_KEY: 'the-new-secret-key', ACCOUNTS: '' });
  equal((await chat(last, 'hello')).status, 200);
  await last.stop();
});
await test('sign-in: v1 where v2 is missing; wrong password and captcha are told', async () => {
  await fake.set({ signin_v2: 404 });
  const a = await gateway(fake);
  equal((await chat(a, 'hello')).status, 200);
  await a.stop();
  await fake.reset();
  for (const [account, code, status] of [['bad@example.org:x', 'no_usable_account', 503], ['challenge@example.org:x', ['upstream_challenge', 'no_usable_account'], [502, 503]]]) {
    const b = await gateway(fake, { ACCOUNTS: account });
    const r = await chat(b, 'hello');
    ok([status].flat().includes(r.status) && [code].flat().includes(r.error?.code), r.raw);
    equal((await fetch(`${b.base}/readyz`)).status, 503);
    await b.stop();
  }
});
await test('D25 passwords with special characters', async () => {
  const a = await gateway(fake, { ACCOUNTS: 'colon@example.org:pa:ss@word#1' });
  equal((await chat(a, 'hello')).status, 200, a.log());
  await a.stop();
});
await test('the short token of the newest sign-in: exchanged when the session is refused', async () => {
  const a = await gateway(fake);
  equal((await chat(a, 'hello')).status, 200);
  await fake.set({ exchange: true });
  equal((await chat(a, 'hello')).status, 200, a.log());
  ok((await fake.stats()).exchange >= 1, 'exchanged');
  await fake.reset();
  await a.stop();
});
await test('D26 proxy variables of the host mean nothing', async () => {
  const a = await gateway(fake, { http_proxy: 'http://127.0.0.1:1', HTTPS_PROXY: 'http://127.0.0.1:1', ALL_PROXY: 'socks5://127.0.0.1:1' });
  equal((await chat(a, 'hello')).status, 200);
  await a.stop();
});
await test('proxies: that of the account wins, its trouble is told without user info', async () => {
  const seen = [];
  const { createServer } = await import('node:net');
  const proxy = createServer((s) => {
    s.on('error', () => 0);
    s.once('data', (d) => {
      seen.push(d.toString());
      if (!/Proxy-Authorization: Basic dXNlcjpwYXNz/i.test(d)) { s.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'); return; }
      const up = connect(fake.port, '127.0.0.1', () => { s.write('HTTP/1.1 200 OK\r\n\r\n'); s.pipe(up); up.pipe(s); });
      up.on('error', () => s.destroy());
    });
  });
  await new Promise((r) => proxy.listen(0, '127.0.0.1', r));
  const at = `127.0.0.1:${proxy.address().port}`;
  const a = await gateway(fake, { PROXY_URL: 'http://127.0.0.1:1', ACCOUNTS: `ok@example.org:correct horse|http://user:pass@${at}` });
  equal((await chat(a, 'hello')).status, 200, a.log());
  ok(seen.length && seen.every((h) => h.startsWith('CONNECT chat.qwen.ai:443')), seen.join());
  await a.stop();
  const b = await gateway(fake, { PROXY_URL: `http://who:wrong-secret@${at}`, CHAT_RETRY_COUNT: '0' });
  const r = await chat(b, 'hello');
  ok([502, 503].includes(r.status) && !r.raw.includes('wrong-secret') && !b.log().includes('wrong-secret'), r.raw);
  await b.stop();
  proxy.close();
});
await test('listening on a unix socket and on localhost', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'q2a-')), path = join(cwd, 'sock');
  const p = spawn(binary, [], { cwd, stdio: 'ignore', env: { LISTEN_ADDRESS: `unix:${path}`, DATA_SAVE_MODE: 'none', API_KEY: KEY } });
  const ask = () => spawnSync('curl', ['-s', '--unix-socket', path, 'http://x/healthz'], { encoding: 'utf8' }).stdout;
  await waitFor(() => existsSync(path) && ask().includes('"ok"'), 3000, 'it answers');
  equal(spawnSync(binary, ['healthcheck'], { cwd, env: { LISTEN_ADDRESS: `unix:${path}` } }).status, 0);
  equal(spawnSync(binary, ['healthcheck'], { cwd, env: { LISTEN_ADDRESS: `unix:${path}.none` } }).status, 1);
  p.kill('SIGKILL');
});
await test('TLS refusals say what is wrong', async () => {
  for (const [cert, words] of [['wrong-host', /host name/i], ['expired', /expired/i], ['unknown', /trusted|authority/i]]) {
    const bad = await fakeUpstream({ cert });
    const a = await gateway(bad, { CHAT_RETRY_COUNT: '0' });
    const r = await chat(a, 'hello');
    ok(r.status >= 500, r.raw);
    await waitFor(() => words.test(a.log()) || words.test(r.raw), 3000, `${words} in the log or the answer: ${r.raw} ${a.log().slice(-600)}`);
    await a.stop();
    await bad.stop();
  }
});
await test('no secret, address or HTML in a log at DEBUG', async () => {
  const a = await gateway(fake, { CHAT_RETRY_COUNT: '0' });
  for (const s of ['normal', 'html_200', 'punish', 'quota', '401', 'err_in_stream']) await chat(a, `[[scenario:${s}]] my prompt text`);
  await a.stop();
  for (const w of ['correct horse', 'example.org', 'eyJ', KEY, USER_KEY, 'aliyun_waf', 'secret page', 'x5secdata', 'my prompt text', 'fake upstream.'])
    ok(!a.log().includes(w), `${w} in the log`);
});
await test('log file: rotated by size, old ones removed', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'q2a-')), dir = join(cwd, 'logs');
  const a = await gateway(fake, { ENABLE_FILE_LOG: 'true', LOG_DIR: dir, MAX_LOG_FILE_SIZE: '1', MAX_LOG_FILES: '2', MAX_INFLIGHT_PER_ACCOUNT: '100' });
  const body = { model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hi' }] };
  const id = 'i'.repeat(120);
  for (let i = 0; i < 400; i++) await Promise.all(Array.from({ length: 20 }, () => post(a, '/v1/chat/completions', body, { headers: { 'x-request-id': id } }).then((r) => r.text())));
  await waitFor(() => readdirSync(dir).length >= 2, 5000, 'rotated');
  ok(readdirSync(dir).length <= 3, readdirSync(dir).join());
  await a.stop();
});
await test('a blocked standard error stops nothing', async () => {
  const port = await freePort();
  const p = spawn(binary, [], { stdio: ['ignore', 'ignore', 'pipe'], cwd: mkdtempSync(join(tmpdir(), 'q2a-')), env: { PATH: process.env.PATH, SERVICE_PORT: String(port),
    LISTEN_ADDRESS: '127.0.0.1', API_KEY: KEY, DATA_SAVE_MODE: 'none', LOG_LEVEL: 'DEBUG', ACCOUNTS: '' } });
  p.stderr.pause();
  await waitFor(async () => fetch(`http://127.0.0.1:${port}/healthz`).then((r) => r.ok, () => false), 5000, 'it answers');
  for (let i = 0; i < 60; i++) {
    await Promise.all(Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { ...auth(), 'x-request-id': 'r'.repeat(120) }, body: '{"messages":[{"role":"user","content":"x"}]}' }).then((r) => r.text())));
  }
  equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  p.kill('SIGKILL');
});
await gw.stop();
await done();
