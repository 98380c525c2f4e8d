// live.mjs - every setting that api 11.4 does not fix at start: changed by PATCH, seen at work, dropped again (api 9.2). One row
// a setting, named by it; that none is missing is asked of the schema.
import { createHmac } from 'node:crypto';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { auth, chat, done, equal, fakeUpstream, gateway, ok, post, sleep, stream, test, waitFor } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '8'] });
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
const api = async (gw, method, path, body, key) => {
  const r = await fetch(gw.base + path, { method, headers: { ...auth(key), 'content-type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body) });
  return { status: r.status, headers: r.headers, json: await r.json().catch(() => ({})) };
};
const heads = async (f, path) => (await (await fetch(`${f.base}/__log?n=200&heads=1`)).json()).filter((e) => e.path.includes(path)).at(-1);
const body = async (f = fake) => (await (await fetch(`${f.base}/__body`)).json());
const feature = async (gw, model) => { equal((await chat(gw, 'Hello', { model })).status, 200); return (await body()).messages[0].feature_config; };
const took = async (fn) => { const t = Date.now(); await fn(); return Date.now() - t; };
const cli = (gw, model = 'coder-model') => post(gw, '/cli/v1/chat/completions', { model, messages: [{ role: 'user', content: 'hi' }] });
const slow = (gw, ms) => chat(gw, `[[scenario:slow ms=${ms}]]`);
const server = (s) => new Promise((r) => { s.listen(0, '127.0.0.1', () => r(s)); s.unref(); });
const header = (name) => async (gw) => { equal((await chat(gw, 'Hello')).status, 200); return JSON.stringify((await heads(fake, '/chat/completions'))).toLowerCase().includes(name); };

const three = 'ok@example.org:correct horse,user1@example.org:pw-1,user2@example.org:pw-2';

// Of each: the value it is set to, and what to look at, told apart by `want`: [before, after].
const rows = {
  searchInfoMode: ['text', async (gw) => / \| /.test((await chat(gw, '[[scenario:search]]', { model: 'qwen3.7-plus-search' })).text), [true, false]],
  outThink: [false, async (gw) => (await chat(gw, '[[scenario:thinking_detail]]', { model: 'qwen3.7-plus-thinking' })).think !== '', [true, false]],
  legacyReasoningInContent: [true, async (gw) => (await chat(gw, '[[scenario:thinking_detail]]', { model: 'qwen3.7-plus-thinking' })).text.startsWith('<think>'), [false, true]],
  simpleModelMap: [true, async (gw) => { await chat(gw, 'Hello'); return (await api(gw, 'GET', '/v1/models')).json.data.some((m) => m.id === 'qwen3.7-plus-thinking'); }, [true, false]],
  logLevel: ['ERROR', async (gw) => { const n = gw.log().length; await chat(gw, 'Hello'); await sleep(300); return gw.log().length > n; }, [true, false]],
  maxLogFileSize: [1, async (gw) => { await writeLog(gw, 1.2); return rotated(gw) > 0; }, [false, true], { ENABLE_FILE_LOG: 'true', LOG_DIR: 'logs', LOG_BODIES: 'true', MAX_INFLIGHT_PER_ACCOUNT: '50' }],
  maxLogFiles: [1, async (gw) => { await writeLog(gw, 2.4); return rotated(gw); }, [2, 1], { ENABLE_FILE_LOG: 'true', LOG_DIR: 'logs', LOG_BODIES: 'true', MAX_LOG_FILE_SIZE: '1', MAX_INFLIGHT_PER_ACCOUNT: '50' }],
  batchLoginConcurrency: [1, async (gw) => (await api(gw, 'POST', '/api/setAccounts', { accounts: 'user1@example.org:pw-1\nuser2@example.org:pw-2', async: false })).json.concurrency, [5, 1]],
  qwenChatProxyUrl: [() => `${fake.base}/`, async (gw) => { await chat(gw, 'Hello'); return (await heads(fake, '/chat/completions')).host.replace(/:.*/, ''); }, ['chat.qwen.ai', '127.0.0.1']],
  qwenAuthUrl: [() => fake.base, async (gw) => { await fake.set({ exchange: true }); equal((await chat(gw, 'Hello')).status, 200); await api(gw, 'POST', '/api/refreshAccount', { email: 'ok@example.org' }); return exchangeHost(); }, ['auth.qwen.ai', '127.0.0.1']],
  qwenSignin: ['v1', async (gw) => { await api(gw, 'POST', '/api/refreshAccount', { email: 'ok@example.org' }); return /\/api\/v1\//.test((await heads(fake, 'signin')).path); }, [false, true]],
  qwenWebVersion: ['7.7.7-mark', header('7.7.7-mark'), [false, true]],
  upstreamUserAgent: ['agent-mark/1', header('agent-mark/1'), [false, true]],
  upstreamHeaders: [{ 'X-Mark': 'headers-mark' }, header('headers-mark'), [false, true]],
  upstreamCookie: ['cookie-mark=1', header('cookie-mark=1'), [false, true]],
  mediaHosts: [['cdn.qwenlm.ai', 'evil.example.test'], async (gw) => (await chat(gw, 'cat [[scenario:image_foreign]]', { model: 'qwen3.7-plus-image' })).status, [502, 200]],
  qwenCliProxyUrl: [() => fake.base, async (gw) => { equal((await cli(gw)).status, 200, gw.log()); return (await heads(fake, '/v1/chat/completions')).host.replace(/:.*/, ''); }, ['portal.qwen.ai', '127.0.0.1'],
    { CLI_FALLBACK: 'none', before: async (gw) => { await fake.set({ resource_url: '' }); const r = await api(gw, 'POST', '/api/setAccount', { kind: 'cli', name: 'g', credentials: { access_token: 'cli-access-of-ok', refresh_token: 'cli-refresh-of-ok', token_type: 'Bearer', expiry_date: Date.now() + 36e5 } }); equal(r.status, 200, JSON.stringify(r.json)); } }],
  proxyUrl: [() => `http://u:p@127.0.0.1:${proxy.address().port}`, async (gw) => { const n = proxied; equal((await chat(gw, 'Hello')).status, 200); return proxied > n; }, [false, true]],
  chatRetryCount: [1, async (gw) => { await fake.script({ completions: ['500'] }); return (await chat(gw, 'Hello')).status; }, [502, 200], { CHAT_RETRY_BACKOFF_MS: '1', ACCOUNTS: three }],
  chatRetryBackoffMs: [2500, async (gw) => { await fake.script({ completions: ['500'] }); return await took(() => chat(gw, 'Hello')) >= 1800; }, [false, true], { CHAT_RETRY_COUNT: '1', CHAT_RETRY_BACKOFF_MS: '1', ACCOUNTS: three }],
  enableStatsDebugArchive: [true, async (gw) => (await chat(gw, 'Hello')).status, [200, 200]], // accepted, no effect
  corsOrigin: ['https://page.example', async (gw) => (await fetch(`${gw.v1}/models`, { headers: auth() })).headers.get('access-control-allow-origin'), ['*', 'https://page.example']],
  metricsAuth: ['none', async (gw) => (await fetch(`${gw.base}/metrics`)).status, [401, 200]],
  defaultModel: ['qwen3-max', async (gw) => (await chat(gw, 'Hello', { model: undefined })).headers.get('x-qwen2api-model') === 'qwen3-max', [false, true]],
  anthropicDefaultModel: ['qwen3-max', async (gw) => (await post(gw, '/v1/messages', { model: 'claude-nobody-knows', max_tokens: 50, messages: [{ role: 'user', content: 'hi' }] })).headers.get('x-qwen2api-model') === 'qwen3-max', [false, true]],
  modelAliases: [['mine=qwen3-max'], async (gw) => (await chat(gw, 'Hello', { model: 'mine' })).headers.get('x-qwen2api-model'), ['mine', 'qwen3-max']],
  thinkingDefault: ['auto', async (gw) => JSON.stringify(await feature(gw, 'qwen3.7-plus')), 'differ'],
  thinkingFormat: ['summary', async (gw) => JSON.stringify(await feature(gw, 'qwen3.7-plus-thinking')).includes('summary'), [false, true]],
  deltaMode: ['incremental', async (gw) => (await chat(gw, '[[scenario:cumulative]]')).text.length > 60, [false, true]],
  cliFallback: ['none', async (gw) => { await chat(gw, 'Hello'); return (await cli(gw)).status; }, [200, 503]],
  cliWebModel: ['qwen3-max', async (gw) => { await chat(gw, 'Hello'); return (await cli(gw)).headers.get('x-qwen2api-model') === 'qwen3-max'; }, [false, true]],
  cliOauth: [true, async (gw, set) => { await chat(gw, 'Hello'); if (set) await waitFor(async () => (await fake.stats()).token, 20000, 'a grant'); else await sleep(1500); return ((await fake.stats()).device ?? 0) > 0; }, [false, true]],
  cliDailyLimit: [0, async (gw) => { await waitFor(() => /has a CLI grant/.test(gw.log()), 20000, 'a grant'); return (await cli(gw)).headers.get('x-qwen2api-route') === 'cli'; }, [true, false], { CLI_OAUTH: 'true' }],
  nMax: [1, async (gw) => (await chat(gw, 'Hello', { n: 2 })).status, [200, 400]],
  toolRetryCount: [0, async (gw) => { const n = (await fake.stats()).completions ?? 0; await chat(gw, 'Hello', { tools, tool_choice: 'required' }); return (await fake.stats()).completions - n; }, [2, 1]],
  maxHistoryFiles: [0, async (gw) => { await chat(gw, [{ role: 'user', content: [{ type: 'text', text: 'one' }, picture(1)] }, { role: 'assistant', content: 'seen' }, { role: 'user', content: [{ type: 'text', text: 'two' }, picture(2)] }], { model: 'qwen3-vl-plus' }); return (await body()).messages[0].files.length; }, [2, 1]],
  inlinePromptKb: [1, async (gw) => { equal((await chat(gw, Array.from({ length: 21 }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: `word ${i} `.repeat(40) })))).status, 200); return (await body()).messages[0].files.length; }, [0, 1]],
  maxTokensCountReasoning: [true, async (gw) => (await chat(gw, '[[scenario:thinking_detail]]', { model: 'qwen3.7-plus-thinking', max_tokens: 2 })).text === '', [false, true]],
  allowPrivateMedia: [true, async (gw) => (await chat(gw, [{ role: 'user', content: [{ type: 'image_url', image_url: { url: `http://127.0.0.1:${site.address().port}/cat.png` } }, { type: 'text', text: 'what' }] }], { model: 'qwen3-vl-plus' })).status, [400, 200]],
  videoWaitSeconds: [0, async (gw) => (await (await post(gw, '/v1/videos', { model: 'qwen3.7-plus-video', prompt: 'sea' })).json()).status === 'completed', [true, false]],
  responsesStoreMax: [0, async (gw) => { const r = await (await post(gw, '/v1/responses', { model: 'qwen3.7-plus', input: 'hi' })).json(); return (await api(gw, 'GET', `/v1/responses/${r.id}`)).status; }, [200, 404]],
  sseHeartbeatSeconds: [1, async (gw) => (await stream(gw, '[[scenario:slow ms=3600 quiet=1]]')).events.filter((e) => e.comment).length > 2, [false, true], { SSE_EARLY_HEADERS_MS: '0' }],
  sseEarlyHeadersMs: [0, async (gw) => { await chat(gw, 'Hello'); let r; const ms = await took(async () => { r = await post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: '[[scenario:slow ms=2500 quiet=1]]' }] }); }); await r.text(); return ms < 1800; }, [false, true]],
  bodyLimitMb: [1, async (gw) => (await post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'x '.repeat(700000) }] })).status, [200, 413]],
  logBodies: [true, async (gw) => { await chat(gw, 'a prompt with a mark'); await sleep(400); return gw.log().includes('a prompt with a mark'); }, [false, true]],
  chatCleanup: [1, async (gw, set) => { await chat(gw, 'Hello'); if (set) await waitFor(async () => (await fake.stats()).deletes, 8000, 'a deletion'); else await sleep(500); return ((await fake.stats()).deletes ?? 0) > 0; }, [false, true]],
  chatStock: [2, async (gw, set) => { const n = (await fake.stats()).chats_new ?? 0; await chat(gw, 'Hello'); if (set) await waitFor(async () => (await fake.stats()).chats_new - n >= 3, 8000, 'a stock'); else await sleep(500); return (await fake.stats()).chats_new - n > 1; }, [false, true]],
  maxInflightPerAccount: [1, async (gw) => { await chat(gw, 'Hello'); return (await Promise.all([slow(gw, 900), slow(gw, 900)])).filter((r) => r.status === 200).length; }, [2, 1], { QUEUE_MAX: '0' }],
  minStartGapMs: [1600, async (gw) => { await chat(gw, 'Hello'); return await took(() => chat(gw, 'Hello')) > 1200; }, [false, true]],
  queueMax: [0, async (gw) => { await chat(gw, 'Hello'); const a = slow(gw, 1200); await sleep(400); const b = await chat(gw, 'Hello'); await a; return b.status; }, [200, 503], { MAX_INFLIGHT_PER_ACCOUNT: '1' }],
  queueTimeout: [0.5, async (gw) => { await chat(gw, 'Hello'); const a = slow(gw, 3000); await sleep(400); const b = await chat(gw, 'Hello'); await a; return b.status; }, [200, 503], { MAX_INFLIGHT_PER_ACCOUNT: '1' }],
  upstreamConnectTimeout: [0.5, async (gw) => { let r; const ms = await took(async () => { r = await chat(gw, 'Hello'); }); return [r.error?.code, ms < 2500]; }, [['upstream_connect_timeout', false], ['upstream_connect_timeout', true]],
    { UPSTREAM_CONNECT_TIMEOUT: '3', before: async (gw) => { await chat(gw, 'Hello'); await api(gw, 'PATCH', '/api/settings', { qwenChatProxyUrl: `https://127.0.0.1:${mute.address().port}` }); } }],
  upstreamFirstByteTimeout: [0.5, async (gw) => (await chat(gw, '[[scenario:slow ms=2500 quiet=1]]')).error?.code, [undefined, 'upstream_first_byte_timeout']],
  upstreamIdleTimeout: [0.5, async (gw) => (await stream(gw, '[[scenario:stream n=3 ms=1500 size=10]]')).error?.code, [undefined, 'upstream_idle_timeout']],
  shutdownGrace: [0, async (gw, set) => { if (!set) return true; const running = stream(gw, '[[scenario:stream n=100 ms=100 size=10]]').catch(() => 0); await sleep(600); gw.process.kill('SIGTERM'); const ms = await took(() => gw.process.ended); await running; return ms > 5000; }, [true, false], { ends: true }],
};
const picture = (n) => ({ type: 'image_url', image_url: { url: `data:image/png;base64,${Buffer.concat([Buffer.from(png, 'base64'), Buffer.from([n])]).toString('base64')}` } });
const exchangeHost = async () => (await (await fetch(`${fake.base}/__log?n=50`)).json()).filter((e) => e.path.startsWith('/api/v2/auths/refresh')).at(-1)?.host.replace(/:.*/, '');
const rotated = (gw) => readdirSync(join(gw.cwd, 'logs')).filter((f) => f.startsWith('app_')).length;
async function writeLog(gw, mb) { // each chat logs its prompt, at most 2 KiB of it
  const prompt = 'x'.repeat(1900);
  for (let left = mb * 1e6; left > 0; left -= 20 * 1900) await Promise.all(Array.from({ length: 20 }, () => chat(gw, prompt)));
  await sleep(300);
}

let proxied = 0;
const proxy = await server(net.createServer((s) => {
  s.on('error', () => 0);
  s.once('data', () => {
    proxied++;
    const up = net.connect(fake.port, '127.0.0.1', () => { s.write('HTTP/1.1 200 OK\r\n\r\n'); s.pipe(up); up.pipe(s); });
    up.on('error', () => s.destroy());
  });
}));
const mute = await server(net.createServer((s) => s.on('error', () => 0)));
const site = await server(http.createServer((q, r) => r.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.from(png, 'base64'))));

// What takes its time goes on beside the others, each with an upstream of its own.
const quiet = { CHAT_STOCK: '0', CHAT_RETRY_COUNT: '0', ACCOUNTS: 'ok@example.org:correct horse' };
const token = (seconds) => {
  const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ id: 'u', email: 'ok@example.org', exp: Math.floor(Date.now() / 1000) + seconds })}`;
  return `${text}.${createHmac('sha256', 'fake').update(text).digest('base64url')}`;
};
const env = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'x.env');
const lateRows = {
  autoRefresh: [true, async (f, gw, set) => { // an account that came while it was off is not signed in
    await chat(gw, 'Hello');
    writeFileSync(env, `ACCOUNTS=ok@example.org:correct horse,user1@example.org:pw-1\nAUTO_REFRESH=false\n`);
    equal((await api(gw, 'POST', '/api/reload')).status, 200);
    await sleep(8000);
    equal((await f.stats()).signin, 1);
    await set();
    await waitFor(async () => (await f.stats()).signin === 2, 30000, 'its sign-in');
  }, { ACCOUNTS: null }, () => { writeFileSync(env, 'ACCOUNTS=ok@example.org:correct horse\nAUTO_REFRESH=false\n'); return ['--config', env]; }],
  modelsCacheTtl: [1, async (f, gw, set) => {
    await chat(gw, 'Hello');
    await waitFor(async () => (await f.stats()).models, 10000, 'the first list');
    await set();
    await waitFor(async () => (await f.stats()).models > 1, 90000, 'a second list');
  }],
  autoRefreshInterval: [60, async (f, gw, set) => {
    await chat(gw, 'Hello');
    equal((await api(gw, 'POST', '/api/updateAccount', { email: 'ok@example.org', token: token(30) })).status, 200);
    const n = (await f.stats()).signin;
    await set();
    await waitFor(async () => (await f.stats()).signin > n, 90000, 'a renewal');
  }],
  jsonHeartbeat: [true, async (f, gw, set) => {
    const one = slow(gw, 33000);
    await sleep(1000);
    await set();
    const [before, after] = [await one, await slow(gw, 33000)];
    equal([before.status, before.raw[0], after.status, after.raw[0]], [200, '{', 200, ' ']);
  }],
  upstreamTurnTimeout: [10, async (f, gw, set) => {
    await set();
    const r = await stream(gw, '[[scenario:stream n=40 ms=500 size=10]]');
    equal(r.error?.code, 'upstream_idle_timeout', r.raw.slice(-300));
  }],
};
async function setting(gw, name, value) {
  const r = await api(gw, 'PATCH', '/api/settings', { [name]: value });
  equal([r.status, r.json.source?.[name]], [200, 'stored'], JSON.stringify(r.json));
}
const late = Object.fromEntries(Object.entries(lateRows).map(([name, [value, fn, more, args]]) => [name, (async () => {
  const f = await fakeUpstream({ args: ['--accounts', '8'] }), gw = await gateway(f, { ...quiet, ...more }, args?.());
  await fn(f, gw, () => setting(gw, name, value));
  await gw.stop();
})().then(() => null, (e) => e)]));

for (const [name, [value, look, want, { before, ends, ...more } = {}]] of Object.entries(rows))
  await test(`api 9.2, 11.4: ${name} takes effect at once`, async () => {
    await fake.reset();
    const gw = await gateway(fake, { ...quiet, ...more });
    await chat(gw, 'Hello'); // signed in, the models are there
    await before?.(gw);
    const was = (await api(gw, 'GET', '/api/settings')).json;
    const first = await look(gw, false);
    await setting(gw, name, typeof value === 'function' ? value() : value);
    const second = await look(gw, true);
    if (want === 'differ') ok(JSON.stringify(first) !== JSON.stringify(second), `${JSON.stringify(first)} both times`);
    else equal([first, second], want);
    if (!ends) {
      const r = await api(gw, 'POST', '/api/settings/reset', { names: [name] });
      equal([r.status, r.json[name], r.json.source[name]], [200, was[name], was.source[name]], 'dropped again');
    }
    await gw.stop();
  });
for (const [name, running] of Object.entries(late))
  await test(`api 9.2, 11.4: ${name} takes effect at once`, async () => { const e = await running; if (e) throw e; });
await test('api 9.2, 11.4: the table above has every setting that can be changed while it runs', async () => {
  const gw = await gateway(fake, quiet);
  const schema = (await api(gw, 'GET', '/api/settings/schema')).json;
  const live = schema.filter((r) => r.applies === 'live').map((r) => r.name).sort();
  equal(live, [...Object.keys(rows), ...Object.keys(lateRows)].sort());
  const fixed = 'LISTEN_ADDRESS SERVICE_PORT API_KEY ACCOUNTS PM2_INSTANCES PM2_MAX_MEMORY DATA_SAVE_MODE REDIS_URL SECRET_KEY DATA_DIR CACHE_DIR CACHE_MODE ENABLE_FILE_LOG LOG_DIR SSL_CERT_FILE UPSTREAM_RESOLVE DESK_THREADS JOB_THREADS MAX_CONNECTIONS CLI_API_KEY CLI_BASE_URL TRUST_PROXY FRAME_ANCESTORS TZ';
  equal(schema.filter((r) => r.applies === 'restart').map((r) => r.variable).sort(), fixed.split(' ').sort());
});
await done();
