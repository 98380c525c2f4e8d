// keys.mjs - keys that an administrator gives out (api 9.3, 1.3, 12): added, listed, changed, deleted; every limit at the desk, on
// every surface, exact over several pumps; counters that outlive the process; API_KEY taken over while the gateway runs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, post, sleep, stream, test, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '8'] });
const top = mkdtempSync(join(tmpdir(), 'q2a-'));
const many = Array.from({ length: 8 }, (_, i) => `user${i}@example.org:pw-${i}`).join(',');
const env = { PM2_INSTANCES: '2', ACCOUNTS: `ok@example.org:correct horse,${many}`, MAX_INFLIGHT_PER_ACCOUNT: '50', CHAT_RETRY_COUNT: '0', TZ: 'UTC',
  CLI_API_KEY: 'sk-fake-dashscope', CLI_BASE_URL: 'https://dashscope.aliyuncs.com/compatible-mode/v1' };
const KITTEN = 'a kitten [[scenario:video polls=1]]';
const call = async (gw, method, path, body, key = KEY) => {
  const r = await fetch(gw.base + path, { method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  const text = await r.text();
  return { status: r.status, headers: r.headers, text, json: JSON.parse(text), code: JSON.parse(text).error?.code };
};
const list = async (gw) => (await call(gw, 'GET', '/api/keys')).json.data;
const shown = async (gw, id) => (await list(gw)).find((k) => k.id === id);
const give = async (gw, body = {}) => {
  const r = await call(gw, 'POST', '/api/addRegularKey', body);
  equal(r.status, 200, r.text);
  return { id: r.json.id, key: body.apiKey ?? r.json.apiKey };
};
const change = async (gw, k, body) => { const r = await call(gw, 'PATCH', `/api/keys/${k.id}`, body); equal(r.status, 200, r.text); return r.json; };
const drop = async (gw, k) => equal((await call(gw, 'POST', '/api/deleteRegularKey', { id: k.id })).status, 200);
const say = (gw, k, more = {}, text = 'hello') => chat(gw, text, more, { key: k.key });
const refused = (r, status, code) => {
  equal([r.status, r.error?.code], [status, code], r.raw);
  equal(r.error.type, { 429: 'rate_limit_error', 403: 'permission_error', 401: 'invalid_request_error' }[status]);
  if (status === 429) ok(Number(r.headers.get('retry-after')) > 0, `Retry-After: ${r.headers.get('retry-after')}`);
};

const gw = await gateway(fake, env);

await test('api 9.3: a generated key is shown once; an own text, a name and limits are taken; the list is masked', async () => {
  const r = await call(gw, 'POST', '/api/addRegularKey', { name: 'a team', rpm: 100 });
  ok(r.status === 200 && /^sk-[0-9A-Za-z]{48}$/.test(r.json.apiKey) && /^[0-9a-f]{16}$/.test(r.json.id), r.text);
  equal([r.json.name, r.json.source, r.json.enabled, r.json.persisted, r.json.limits.rpm, r.json.limits.models], ['a team', 'stored', true, false, 100, null]);
  const own = await give(gw, { apiKey: 'sk-own-text-of-a-key', limits: { dailyRequests: 5 } });
  equal([(await say(gw, { key: r.json.apiKey })).status, (await say(gw, own)).status], [200, 200]);
  const all = await call(gw, 'GET', '/api/keys'), names = all.json.data.map((k) => [k.masked, k.name, k.source, k.admin]);
  equal(names, [['sk-te…6789', null, 'env', true], ['sk-te…6789', null, 'env', false],
    [`sk-${r.json.apiKey.slice(3, 5)}…${r.json.apiKey.slice(-4)}`, 'a team', 'stored', false], ['sk-ow…-key', null, 'stored', false]]);
  ok(![r.json.apiKey, own.key, KEY, USER_KEY].some((k) => all.text.includes(k)), 'masked');
  const one = all.json.data[2], now = Date.now() / 1000;
  ok(Math.abs(one.createdAt - now) < 60 && Math.abs(one.lastUsedAt - now) < 60, JSON.stringify(one));
  equal(Object.keys(one.limits), ['expiresAt', 'models', 'rpm', 'tpm', 'maxInflight', 'dailyRequests', 'dailyTokens', 'monthlyTokens', 'totalTokens', 'dailyMedia']);
  for (const span of ['today', 'month', 'total']) ok(one.usage[span].calls === 1 && one.usage[span].tokens > 0 && one.usage[span].media === 0, JSON.stringify(one.usage));
  await drop(gw, own);
});
await test('api 9.3: 409 exists, 404 unknown, 403 the admin key, 409 env_managed, 400 for what is no limit', async () => {
  const k = await give(gw, { apiKey: 'sk-another-own-text' }), all = await list(gw);
  const admin = all.find((x) => x.admin).id, user = all.find((x) => x.source === 'env' && !x.admin).id;
  for (const [method, path, body, status, code, param] of [
    ['POST', '/api/addRegularKey', { apiKey: k.key }, 409, 'already_exists', 'apiKey'], ['POST', '/api/addRegularKey', { apiKey: USER_KEY }, 409, 'already_exists', 'apiKey'],
    ['POST', '/api/addRegularKey', { apiKey: KEY }, 409, 'already_exists', 'apiKey'], ['POST', '/api/addRegularKey', { apiKey: 'with a blank' }, 400, 'invalid_value', 'apiKey'],
    ['POST', '/api/addRegularKey', { rpm: 'many' }, 400, 'invalid_type', 'rpm'], ['POST', '/api/addRegularKey', { rpm: -1 }, 400, 'invalid_value', 'rpm'],
    ['POST', '/api/addRegularKey', { models: 'qwen*' }, 400, 'invalid_type', 'models'], ['POST', '/api/addRegularKey', { requests: 5 }, 400, 'unsupported_parameter', 'requests'],
    ['POST', '/api/deleteRegularKey', { apiKey: 'sk-nobody-has-this' }, 404, 'not_found', null], ['POST', '/api/deleteRegularKey', { id: '0123456789abcdef' }, 404, 'not_found', null],
    ['POST', '/api/deleteRegularKey', { id: "../admin" }, 404, 'not_found', null], ['POST', '/api/deleteRegularKey', {}, 400, 'missing_required_parameter', 'id'],
    ['POST', '/api/deleteRegularKey', { apiKey: KEY }, 403, 'admin_required', null], ['POST', '/api/deleteRegularKey', { id: admin }, 403, 'admin_required', null],
    ['POST', '/api/deleteRegularKey', { apiKey: USER_KEY }, 409, 'env_managed', null], ['POST', '/api/deleteRegularKey', { id: user }, 409, 'env_managed', null],
    ['PATCH', `/api/keys/${admin}`, { rpm: 1 }, 403, 'admin_required', null], ['PATCH', `/api/keys/${user}`, { rpm: 1 }, 409, 'env_managed', null],
    ['PATCH', '/api/keys/0123456789abcdef', { rpm: 1 }, 404, 'not_found', null], ['PATCH', `/api/keys/${k.id}`, { rpm: 1, tpm: -1 }, 400, 'invalid_value', 'tpm']]) {
    const r = await call(gw, method, path, body);
    equal([r.status, r.json.error?.code, r.json.error?.param], [status, code, param], `${path} ${JSON.stringify(body)}: ${r.text}`);
    equal(r.json.message, r.json.error.message, 'the message at top level, too');
  }
  equal((await shown(gw, k.id)).limits.rpm, null, 'nothing of a change that failed');
  equal((await call(gw, 'POST', '/api/deleteRegularKey', { apiKey: k.key })).json, { status: true, message: 'The key was deleted.', deleted: 1, id: k.id, persisted: false });
});

// ---- limits ----
await test('api 9.3, 12 key_rate_limit: rpm, with Retry-After within the minute; null takes it away', async () => {
  const k = await give(gw, { rpm: 2 });
  equal([(await say(gw, k)).status, (await say(gw, k)).status], [200, 200]);
  const r = await say(gw, k);
  refused(r, 429, 'key_rate_limit');
  const s = Number(r.headers.get('retry-after'));
  ok(s > 30 && s <= 61, `Retry-After: ${s}`);
  await change(gw, k, { rpm: null });
  equal((await say(gw, k)).status, 200);
  equal((await shown(gw, k.id)).usage.total.calls, 3, 'a refused one does not count');
  await drop(gw, k);
});
await test('api 9.3, 12 key_rate_limit: tpm', async () => {
  const k = await give(gw, { tpm: 1 });
  equal((await say(gw, k)).status, 200, 'a running answer is never cut');
  refused(await say(gw, k), 429, 'key_rate_limit');
  refused(await stream(gw, 'hello', {}, { key: k.key }), 429, 'key_rate_limit');
  await drop(gw, k);
});
await test('api 9.3, 12 key_rate_limit: maxInflight, given back at the end, by error, and when the client leaves', async () => {
  const k = await give(gw, { maxInflight: 1 });
  const running = stream(gw, '[[scenario:slow s=2 ms=300]]', {}, { key: k.key });
  await waitFor(async () => (await shown(gw, k.id)).inflight === 1, 5000, 'it runs');
  refused(await say(gw, k), 429, 'key_rate_limit');
  equal((await running).finish, 'stop');
  equal((await say(gw, k)).status, 200, 'after the end');
  ok((await say(gw, k, {}, '[[scenario:500]]')).status >= 500, 'an error');
  equal((await say(gw, k, { model: 'no-such-model-here' })).status, 404);
  equal((await shown(gw, k.id)).inflight, 0);
  const off = new AbortController();
  const left = stream(gw, '[[scenario:stall]]', {}, { key: k.key, signal: off.signal }).catch(() => {});
  await waitFor(async () => (await shown(gw, k.id)).inflight === 1, 5000, 'it runs');
  off.abort();
  await left;
  await waitFor(async () => (await shown(gw, k.id)).inflight === 0, 5000, 'it is given back');
  equal((await say(gw, k)).status, 200, 'after a client left');
  await drop(gw, k);
});
await test('api 9.3, 12 key_quota_exceeded: dailyRequests, dailyTokens, monthlyTokens, totalTokens', async () => {
  for (const [limit, n] of [['dailyRequests', 1], ['dailyTokens', 1], ['monthlyTokens', 1], ['totalTokens', 1]]) {
    const k = await give(gw, { [limit]: n });
    const first = await say(gw, k);
    equal(first.status, 200, first.raw);
    const r = await say(gw, k);
    refused(r, 429, 'key_quota_exceeded');
    const wait = Number(r.headers.get('retry-after'));
    ok(wait <= (limit === 'monthlyTokens' ? 31 : 1) * 86400, `${limit}: ${wait}`);
    const u = (await shown(gw, k.id)).usage, tokens = first.usage.prompt_tokens + first.usage.completion_tokens;
    for (const span of ['today', 'month', 'total']) equal(u[span], { calls: 1, tokens, media: 0 }, `${limit} ${span}`);
    await change(gw, k, { [limit]: limit === 'dailyRequests' ? 2 : tokens + 1 });
    equal((await say(gw, k)).status, 200, `${limit} raised`);
    refused(await say(gw, k), 429, 'key_quota_exceeded');
    await drop(gw, k);
  }
});
await test('api 9.3: dailyMedia counts pictures and videos that came to be; words are not limited by it', async () => {
  const k = await give(gw, { dailyMedia: 3 });
  const pictures = (n) => post(gw, '/v1/images/generations', { prompt: 'a cat', n }, { key: k.key });
  const two = await pictures(2);
  equal([two.status, (await two.json()).data.length], [200, 2]);
  equal((await pictures(2)).status, 429, 'two more would be four');
  equal((await pictures(1)).status, 200);
  const r = await pictures(1), e = await r.json();
  equal([r.status, e.error.code], [429, 'key_quota_exceeded'], JSON.stringify(e));
  ok(Number(r.headers.get('retry-after')) > 0, 'Retry-After');
  refused(await say(gw, k, { model: 'qwen3.7-plus-image' }, 'a cat'), 429, 'key_quota_exceeded');
  equal((await say(gw, k)).status, 200);
  equal((await shown(gw, k.id)).usage.today.media, 3);
  await change(gw, k, { dailyMedia: 4 });
  const video = await (await post(gw, '/v1/videos', { prompt: KITTEN, wait: 60 }, { key: k.key })).json();
  equal(video.status, 'completed', JSON.stringify(video));
  equal((await shown(gw, k.id)).usage.today.media, 4);
  equal((await post(gw, '/v1/videos', { prompt: 'a kitten', wait: 0 }, { key: k.key })).status, 429);
  await change(gw, k, { dailyMedia: 5 });
  ok((await (await post(gw, '/v1/videos', { prompt: '[[scenario:video_fail polls=1]]', wait: 60 }, { key: k.key })).json()).error, 'it fails');
  await waitFor(async () => (await shown(gw, k.id)).inflight === 0, 5000, 'given back');
  equal((await shown(gw, k.id)).usage.today.media, 4, 'a failed one does not count');
  await drop(gw, k);
});
await test('api 9.3, 12 model_not_allowed_for_key: models, with *, by the asked or the resolved name', async () => {
  const k = await give(gw, { models: ['qwen3-max', 'QWEN3.7*'] });
  for (const model of ['qwen3-max', 'qwen3.7-plus', 'qwen3.7-plus-thinking', 'qwen3.7-max']) equal((await say(gw, k, { model })).status, 200, model);
  for (const model of ['qwen3-vl-plus', 'qwen3-coder-plus']) {
    const r = await say(gw, k, { model });
    refused(r, 403, 'model_not_allowed_for_key');
    equal(r.error.param, 'model');
    ok(r.error.message.includes(model), r.raw);
  }
  equal((await say(gw, k, { model: 'no-such-model-here' })).status, 404, 'there is none');
  equal((await call(gw, 'PATCH', '/api/settings', { modelAliases: ['mine=qwen3-vl-plus', 'other=qwen3-max'] })).status, 200);
  equal((await say(gw, k, { model: 'other' })).status, 200, 'the resolved name is allowed');
  refused(await say(gw, k, { model: 'mine' }), 403, 'model_not_allowed_for_key');
  await change(gw, k, { models: ['mine'] });
  equal((await say(gw, k, { model: 'mine' })).status, 200, 'the asked name is allowed');
  refused(await say(gw, k, { model: 'qwen3-vl-plus' }), 403, 'model_not_allowed_for_key');
  equal((await call(gw, 'PATCH', '/api/settings', { modelAliases: null })).status, 200);
  await drop(gw, k);
});
await test('api 9.3, 12 invalid_api_key: expired, disabled, deleted: 401, at once and on the same connection', async () => {
  const k = await give(gw, { expiresAt: Math.floor(Date.now() / 1000) + 3 });
  equal((await say(gw, k)).status, 200);
  let r;
  await waitFor(async () => { r = await say(gw, k); return r.status !== 200; }, 6000, 'it expires');
  refused(r, 401, 'invalid_api_key');
  ok(/has expired/.test(r.error.message) && !r.raw.includes(k.key), r.raw);
  await change(gw, k, { expiresAt: null });
  equal((await say(gw, k)).status, 200);
  await change(gw, k, { enabled: false });
  r = await say(gw, k);
  refused(r, 401, 'invalid_api_key');
  ok(/is disabled/.test(r.error.message), r.raw);
  await change(gw, k, { enabled: true });
  equal((await say(gw, k)).status, 200);
  await drop(gw, k);
  r = await say(gw, k);
  refused(r, 401, 'invalid_api_key');
  ok(/Incorrect/.test(r.error.message), r.raw);
  const again = await give(gw, { apiKey: k.key });
  equal((await shown(gw, again.id)).usage.total.calls, 0, 'the same text begins anew');
  await drop(gw, again);
});
await test('api 9.3: a running answer is cut neither by limits nor by the end of its key', async () => {
  for (const end of [(k) => change(gw, k, { totalTokens: 0, dailyRequests: 0, rpm: 0, models: ['none'] }), (k) => change(gw, k, { enabled: false }), (k) => drop(gw, k)]) {
    const k = await give(gw);
    const running = stream(gw, '[[scenario:slow s=2 ms=300]]', {}, { key: k.key });
    await waitFor(async () => (await shown(gw, k.id)).inflight === 1, 5000, 'it runs');
    await end(k);
    ok((await say(gw, k)).status >= 400, 'the next one is refused');
    const r = await running;
    equal([r.status, r.finish, r.error], [200, 'stop', undefined]);
    if (await shown(gw, k.id)) {
      await waitFor(async () => (await shown(gw, k.id)).usage.total.tokens > 0, 5000, 'it counts');
      await drop(gw, k);
    }
  }
});

// ---- everywhere ----
const user = (content) => [{ role: 'user', content }];
const surfaces = [
  ['/v1/chat/completions', { model: 'qwen3-max', messages: user('hello') }], ['/v1/messages', { model: 'qwen3-max', max_tokens: 50, messages: user('hello') }],
  ['/v1/responses', { model: 'qwen3-max', input: 'hello' }], ['/v1/completions', { model: 'qwen3-max', prompt: 'hello' }],
  ['/v1/images/generations', { model: 'qwen3.7-plus', prompt: 'a cat' }], ['/v1/videos', { model: 'qwen3.7-plus', prompt: KITTEN, wait: 60 }],
  ['/cli/v1/chat/completions', { model: 'qwen3-coder-plus', messages: user('hello') }], ['/v1/embeddings', { model: 'text-embedding-v4', input: 'hello' }],
];
await test('api 9.3: every surface admits and counts, streamed or not; its refusals are of its own protocol', async () => {
  for (const [path, body] of surfaces) {
    for (const more of body.messages || body.input && path !== '/v1/embeddings' || path === '/v1/completions' ? [{}, { stream: true }] : [{}]) {
      const at = `${path} ${JSON.stringify(more)}`, k = await give(gw, { dailyRequests: 2, name: at });
      for (let i = 0; i < 2; i++) {
        const r = await post(gw, path, { ...body, ...more }, { key: k.key }), text = await r.text();
        equal(r.status, 200, `${at}: ${text}`);
      }
      const anthropic = path === '/v1/messages';
      const deny = async (status, code, type) => {
        const r = await post(gw, path, { ...body, ...more }, { key: k.key }), json = JSON.parse(await r.text());
        equal([r.status, anthropic ? [json.type, json.error.type] : json.error.code], [status, anthropic ? ['error', type] : code], `${at}: ${JSON.stringify(json)}`);
        if (status === 429) ok(Number(r.headers.get('retry-after')) > 0, `${at}: Retry-After`);
      };
      await deny(429, 'key_quota_exceeded', 'rate_limit_error');
      const u = (await shown(gw, k.id)).usage.today, media = /images|videos/.test(path);
      equal([u.calls, u.media], [2, media ? 2 : 0], at);
      if (!media) ok(u.tokens > 0, `${at}: ${JSON.stringify(u)}`);
      await change(gw, k, { dailyRequests: null, models: ['something-else'] });
      await deny(403, 'model_not_allowed_for_key', 'permission_error');
      await change(gw, k, { models: null, enabled: false });
      await deny(401, 'invalid_api_key', 'authentication_error');
      await change(gw, k, { enabled: true });
      equal((await shown(gw, k.id)).inflight, 0, at);
      await drop(gw, k);
    }
  }
});
await test('api 9.4, 9.5: the statistics and the list of requests name keys', async () => {
  const k = await give(gw, { name: 'counted "team" ü' }), bare = await give(gw, { apiKey: 'sk-bare-key-without-name' });
  for (const x of [k, k, bare]) equal((await say(gw, x)).status, 200);
  equal((await post(gw, '/v1/videos', { prompt: KITTEN, wait: 60 }, { key: k.key })).status, 200);
  const rows = (await call(gw, 'GET', '/api/stats?by=key&range=24h')).json.rows, of = (id) => rows.find((r) => r.id === id);
  equal([of(k.id).name, of(k.id).calls, of(bare.id).name, of(bare.id).calls], ['counted "team" ü', 3, 'sk-ba…name', 1], JSON.stringify(rows));
  const { json, text } = await call(gw, 'GET', '/api/requests?limit=4');
  equal(json.data.map((r) => r.key), ['counted "team" ü', 'sk-ba…name', 'counted "team" ü', 'counted "team" ü']);
  ok(!text.includes(bare.key), 'masked');
  await drop(gw, bare);
  equal((await call(gw, 'GET', '/api/requests?limit=2')).json.data[1].key, bare.id, 'a deleted one by its id');
  await drop(gw, k);
});
await test('api 9.2: GET /api/settings has adminKey masked and regularKeys', async () => {
  const k = await give(gw, { name: 'listed' });
  equal((await say(gw, k)).status, 200);
  const { json, text } = await call(gw, 'GET', '/api/settings');
  equal(json.adminKey, 'sk-te…6789');
  const one = json.regularKeys.find((x) => x.id === k.id);
  equal([Object.keys(one), one.name, one.calls], [['id', 'masked', 'name', 'createdAt', 'lastUsedAt', 'calls'], 'listed', 1]);
  ok(json.regularKeys.length >= 2 && !text.includes(k.key) && !text.includes(USER_KEY), 'masked');
  await drop(gw, k);
});

// ---- exact ----
await test('issue 4.6: exact under 200 requests at once over two pumps: dailyRequests 50 admits 50', async () => {
  const k = await give(gw, { dailyRequests: 50 });
  const all = await Promise.all(Array.from({ length: 200 }, (_, i) => (i % 2 ? stream(gw, 'hello', {}, { key: k.key }) : say(gw, k))));
  equal([all.filter((r) => r.status === 200).length, all.filter((r) => r.status === 429 && r.error.code === 'key_quota_exceeded').length], [50, 150]);
  const now = await shown(gw, k.id);
  equal([now.usage.today.calls, now.inflight], [50, 0]);
  await drop(gw, k);
});
await test('issue 4.6: exact under 60 requests at once: maxInflight 7 runs seven, rpm 20 lets in 20', async () => {
  const k = await give(gw, { maxInflight: 7 });
  const all = await Promise.all(Array.from({ length: 60 }, () => stream(gw, '[[scenario:slow s=2 ms=400]]', {}, { key: k.key })));
  equal([all.filter((r) => r.status === 200).length, all.filter((r) => r.error?.code === 'key_rate_limit').length], [7, 53]);
  equal((await shown(gw, k.id)).inflight, 0);
  const fresh = await give(gw, { rpm: 20 });
  const rest = await Promise.all(Array.from({ length: 60 }, () => say(gw, fresh)));
  equal([rest.filter((r) => r.status === 200).length, rest.filter((r) => r.error?.code === 'key_rate_limit').length], [20, 40]);
  await drop(gw, k);
  await drop(gw, fresh);
});
equal(await gw.stop(), 0);

// ---- lasting ----
await test('api 9.3, 9.9: keys, limits and counters survive an orderly end at once, and kill -9 after 5 seconds', async () => {
  const lasting = { ...env, DATA_SAVE_MODE: 'file', DATA_DIR: join(top, 'data') };
  let own = await gateway(fake, lasting);
  const k = await give(own, { name: 'kept', dailyRequests: 4, models: ['qwen*'] });
  equal((await say(own, k)).status, 200);
  equal((await say(own, { key: USER_KEY })).status, 200);
  const before = await shown(own, k.id), others = (await list(own)).map((x) => [x.id, x.usage.total]);
  equal(await own.stop(), 0);
  own = await gateway(fake, lasting);
  equal(await shown(own, k.id), before, 'after an orderly end');
  equal((await list(own)).map((x) => [x.id, x.usage.total]), others, 'and those of API_KEY');
  equal((await say(own, k)).status, 200);
  const grown = await shown(own, k.id);
  await sleep(8000);
  equal((await say(own, k)).status, 200); // not written yet when it dies
  await own.stop('SIGKILL');
  own = await gateway(fake, lasting);
  const after = await shown(own, k.id);
  equal([after.usage, after.limits], [grown.usage, grown.limits], 'after kill -9');
  for (let i = 0; i < 2; i++) equal((await say(own, k)).status, 200);
  refused(await say(own, k), 429, 'key_quota_exceeded');
  await drop(own, k);
  await own.stop('SIGKILL');
  own = await gateway(fake, lasting);
  equal(await shown(own, k.id), undefined, 'a deleted one is gone');
  equal((await say(own, k)).status, 401);
  equal(await own.stop(), 0);
});

// ---- API_KEY again ----
await test('api 11.4: POST /api/reload and SIGHUP take over a changed API_KEY: new keys at once, removed ones no more', async () => {
  const file = join(top, 'reload.env'), write = (keys, more = '') => writeFileSync(file, `API_KEY=${keys}\n${more}`);
  write(`${KEY},sk-env-leaves-here-01`);
  const own = await gateway(fake, { ...env, API_KEY: null, DATA_SAVE_MODE: 'file', DATA_DIR: join(top, 'reload') }, ['--config', file]);
  const models = async (key) => (await fetch(`${own.v1}/models`, { headers: { authorization: `Bearer ${key}` } })).status;
  const stored = await give(own, { apiKey: 'sk-stored-and-env-too', rpm: 5 });
  equal([await models('sk-env-leaves-here-01'), await models('sk-env-comes-here-02')], [200, 401]);
  const running = stream(own, '[[scenario:slow s=2 ms=300]]', {}, { key: 'sk-env-leaves-here-01' });
  await sleep(400);
  write(`${KEY},sk-env-comes-here-02,${stored.key}`);
  const r = await call(own, 'POST', '/api/reload', {});
  equal([r.status, r.json.restart ?? []], [200, []], r.text);
  equal([await models('sk-env-leaves-here-01'), await models('sk-env-comes-here-02'), await models(stored.key)], [401, 200, 200]);
  equal((await running).finish, 'stop', 'its running answer goes on');
  const hidden = await shown(own, stored.id);
  equal([hidden.source, hidden.limits.rpm], ['env', null], 'API_KEY hides a stored one of the same text');
  equal((await call(own, 'GET', '/api/settings')).json.regularKeys.length, 2);
  // Another admin key, by the signal; the stored key comes back.
  write('sk-env-new-admin-0003');
  own.process.kill('SIGHUP');
  await waitFor(async () => (await models('sk-env-new-admin-0003')) === 200, 5000, 'the new admin key');
  equal([await models(KEY), await models('sk-env-comes-here-02'), await models(stored.key)], [401, 401, 200]);
  const all = (await call(own, 'GET', '/api/keys', undefined, 'sk-env-new-admin-0003')).json.data;
  equal(all.map((x) => [x.masked, x.source, x.admin, x.limits.rpm]), [['sk-en…0003', 'env', true, null], ['sk-st…-too', 'stored', false, 5]]);
  equal((await call(own, 'GET', '/api/settings', undefined, 'sk-env-new-admin-0003')).json.adminKey, 'sk-en…0003');
  // A file that cannot be read, or names no key, changes nothing.
  write('with a blank');
  equal((await call(own, 'POST', '/api/reload', {}, 'sk-env-new-admin-0003')).status, 400);
  write('', 'N_MAX=3\n');
  const none = await call(own, 'POST', '/api/reload', {}, 'sk-env-new-admin-0003');
  equal([none.status, await models('sk-env-new-admin-0003')], [200, 200], none.text);
  ok(none.text.includes('API_KEY'), `it says what needs a restart: ${none.text}`);
  equal(await own.stop(), 0);
  ok(!['sk-env-leaves-here-01', 'sk-env-comes-here-02', 'sk-env-new-admin-0003', stored.key].some((k) => own.log().includes(k)), 'no key in the log');
});

rmSync(top, { recursive: true, force: true });
await done();
