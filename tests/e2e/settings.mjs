// settings.mjs - run-time settings (api 9.2, 11.1): read, changed, kept, dropped, and what they change.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, stream, test, USER_KEY } from './lib.mjs';

const fake = await fakeUpstream();
const call = async (gw, method, path, body, key = KEY) => {
  const r = await fetch(gw.base + path, { method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await r.text();
  return { status: r.status, text, json: JSON.parse(text) };
};
const patch = (gw, body) => call(gw, 'PATCH', '/api/settings', body);
const folder = () => join(mkdtempSync(join(tmpdir(), 'q2a-')), 'data');

const gw = await gateway(fake, { CHAT_RETRY_COUNT: '2', UPSTREAM_COOKIE: 'cookie-canary-1', PROXY_URL: '' });

await test('api 9.2: GET /api/settings gives values, their sources, no secret', async () => {
  const r = await call(gw, 'GET', '/api/settings');
  equal(r.status, 200, r.text);
  equal([r.json.chatRetryCount, r.json.source.chatRetryCount], [2, 'env']);
  equal([r.json.outThink, r.json.source.outThink, r.json.searchInfoMode, r.json.autoRefreshInterval, r.json.bodyLimitMb], [true, 'default', 'table', 21600, 128]);
  equal(r.json.upstreamCookie, '••••••••');
  ok(!r.text.includes('canary') && !r.text.includes(KEY) && !r.text.includes(USER_KEY) && !r.text.includes('correct horse'), r.text);
  ok(/^sk-te…\d{4}$/.test(r.json.adminKey), r.json.adminKey);
});
await test('api 9.2: the schema names every setting with type, bounds, default, text, live or restart', async () => {
  const { json } = await call(gw, 'GET', '/api/settings/schema');
  const all = (await call(gw, 'GET', '/api/settings')).json;
  ok(json.length > 80, json.length);
  for (const row of json) ok(row.name in all && row.type && row.text && 'default' in row && ['live', 'restart'].includes(row.applies), JSON.stringify(row));
  const one = (name) => json.find((r) => r.name === name);
  equal(one('chatRetryCount'), { name: 'chatRetryCount', variable: 'CHAT_RETRY_COUNT', type: 'integer', min: 0, max: 10, default: 1, text: one('chatRetryCount').text, applies: 'live', secret: false });
  equal([one('searchInfoMode').values, one('searchInfoMode').default], [['table', 'text'], 'table']);
  equal([one('servicePort').applies, one('upstreamCookie').secret, one('upstreamIdleTimeout').min, one('autoRefreshInterval').max], ['restart', true, 0.1, 604800]);
});
await test('api 9.2: PATCH takes effect for the next request', async () => {
  const thinking = () => chat(gw, '[[scenario:thinking_detail]]', { model: 'qwen3.7-plus-thinking' });
  const before = await thinking();
  ok(before.json.choices[0].message.reasoning_content, before.raw);
  const r = await patch(gw, { outThink: false, searchInfoMode: 'text' });
  equal([r.status, r.json.persisted, r.json.outThink, r.json.source.outThink], [200, false, false, 'stored'], r.text);
  equal((await thinking()).json.choices[0].message.reasoning_content, undefined);
  equal((await patch(gw, { outThink: null })).json.source.outThink, 'default');
  ok((await thinking()).json.choices[0].message.reasoning_content, 'back');
});
await test('api 9.2: an error changes nothing and names the setting', async () => {
  for (const [body, param, code] of [
    [{ nMax: 2, chatRetryCount: 11 }, 'chatRetryCount', 'invalid_value'], [{ nMax: 2, outThink: 'perhaps' }, 'outThink', 'invalid_value'],
    [{ nMax: 2, outThink: 3 }, 'outThink', 'invalid_type'], [{ nMax: 2, modelAliases: ['a=b', 'b=a'] }, 'modelAliases', 'invalid_value'],
    [{ nMax: 2, nothing: 1 }, 'nothing', 'unsupported_parameter'], [{ nMax: 2, servicePort: 4000 }, 'servicePort', 'invalid_value'],
    [{ nMax: 2, proxyUrl: 'ftp://user:proxy-canary@h' }, 'proxyUrl', 'invalid_value'], [{ nMax: 2, upstreamHeaders: { Host: 'canary-x' } }, 'upstreamHeaders', 'invalid_value'],
    [{ nMax: 2, corsOrigin: 'https://a\r\nX-Evil: 1' }, 'corsOrigin', 'invalid_value'], [{ nMax: 2, qwenChatProxyUrl: '' }, 'qwenChatProxyUrl', 'invalid_value']]) {
    const r = await patch(gw, body);
    equal([r.status, r.json.error?.code, r.json.error?.param], [400, code, param], r.text);
    equal(r.json.message, r.json.error.message, 'the message at top level, too');
    ok(!r.text.includes('canary'), r.text);
  }
  const now = (await call(gw, 'GET', '/api/settings')).json;
  equal([now.nMax, now.source.nMax], [4, 'default']);
});
await test('api 9.2: only the admin key', async () => {
  for (const [m, p, b] of [['GET', '/api/settings'], ['PATCH', '/api/settings', { outThink: false }], ['GET', '/api/settings/schema'], ['POST', '/api/settings/reset', {}], ['POST', '/api/setOutThink', { outThink: false }], ['POST', '/api/reload', {}]]) {
    const r = await call(gw, m, p, b, USER_KEY);
    equal([r.status, r.json.error.code], [403, 'admin_required'], p);
  }
  equal((await call(gw, 'GET', '/api/settings')).json.outThink, true);
});
await test('api 9.2: the old single routes', async () => {
  for (const [path, body] of [['setAutoRefresh', { autoRefresh: false, autoRefreshInterval: 120 }], ['setBatchLoginConcurrency', { batchLoginConcurrency: 7 }], ['setOutThink', { outThink: false }],
    ['setLegacyReasoning', { legacyReasoningInContent: true }], ['search-info-mode', { searchInfoMode: 'text' }], ['simple-model-map', { simpleModelMap: true }],
    ['setRetryConfig', { chatRetryCount: 0, chatRetryBackoffMs: 0 }]]) {
    const r = await call(gw, 'POST', `/api/${path}`, body);
    equal([r.status, r.json.persisted], [200, false], r.text);
    const now = (await call(gw, 'GET', '/api/settings')).json;
    for (const k of Object.keys(body)) equal([now[k], now.source[k]], [body[k], 'stored'], k);
  }
  const r = await call(gw, 'POST', '/api/setBatchLoginConcurrency', { batchLoginConcurrency: 21 });
  equal([r.status, r.json.error.param], [400, 'batchLoginConcurrency']);
  equal((await call(gw, 'POST', '/api/setOutThink', { nMax: 2 })).status, 400);
});
await test('api 9.2: reset drops the stored ones', async () => {
  const some = await call(gw, 'POST', '/api/settings/reset', { names: ['chatRetryCount'] });
  equal([some.status, some.json.chatRetryCount, some.json.source.chatRetryCount], [200, 2, 'env'], some.text);
  equal((await call(gw, 'POST', '/api/settings/reset', { names: ['nothing'] })).status, 400);
  equal((await call(gw, 'GET', '/api/settings')).json.simpleModelMap, true);
  equal((await call(gw, 'POST', '/api/settings/reset')).status, 200);
  const now = (await call(gw, 'GET', '/api/settings')).json;
  ok(Object.values(now.source).every((s) => s !== 'stored'), JSON.stringify(now.source));
  equal(now.simpleModelMap, false);
});
await gw.stop();

await test('api 9.2: stored settings survive a restart, win over the environment, and are sealed where secret', async () => {
  const { readdirSync, readFileSync } = await import('node:fs');
  const env = { DATA_SAVE_MODE: 'file', DATA_DIR: folder(), N_MAX: '3', SEARCH_INFO_MODE: 'text' };
  const a = await gateway(fake, env);
  const r = await patch(a, { nMax: 2, modelAliases: { length: 0 } });
  equal(r.status, 400);
  equal((await patch(a, { nMax: 2, modelAliases: ['mine=qwen3.7-plus'], upstreamCookie: 'stored-cookie-canary', queueTimeout: 1.5 })).json.persisted, true);
  a.process.kill('SIGKILL');
  await a.process.ended;
  for (const f of readdirSync(env.DATA_DIR)) ok(!readFileSync(join(env.DATA_DIR, f)).toString('latin1').includes('cookie-canary'), f);
  const b = await gateway(fake, env);
  const now = (await call(b, 'GET', '/api/settings')).json;
  equal([now.nMax, now.source.nMax, now.modelAliases, now.upstreamCookie, now.queueTimeout, now.searchInfoMode, now.source.searchInfoMode],
    [2, 'stored', ['mine=qwen3.7-plus'], '••••••••', 1.5, 'text', 'env']);
  const answer = await chat(b, 'hello', { model: 'mine' });
  equal([answer.status, answer.headers.get('x-qwen2api-model')], [200, 'qwen3.7-plus'], answer.raw);
  equal((await patch(b, { upstreamCookie: '••••••••', nMax: 4 })).status, 200, 'a masked secret sent back is no change');
  await b.stop();
});
await done();
