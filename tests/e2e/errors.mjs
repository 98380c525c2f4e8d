// Errors as clients see them (api 12), and what of the model API no other file asks for: the object of every error, the words and
// headers of those that say more than their code, the troubles on the way to the upstream, names of models, headers of answers.
import { test, equal, ok, done, fakeUpstream, gateway, chat, stream, post, waitFor, auth, KEY, freePort } from './lib.mjs';
import net from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const fake = await fakeUpstream();
const gw = await gateway(fake);
await waitFor(async () => (await fetch(`${gw.base}/models`)).headers.get('x-qwen2api-models') === 'live', 10000, 'the list of models');
const hello = { model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hello' }] };

// One request that must fail: its error object, checked for what every error of the OpenAI routes has.
async function refused(path, { method = 'POST', body, headers = {}, key = KEY, to = gw } = {}) {
  const r = await fetch(to.base + path, { method, headers: { 'content-type': 'application/json', ...(key ? auth(key) : {}), ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body) });
  const raw = await r.text(), { error } = JSON.parse(raw);
  equal(Object.keys(error).sort(), ['code', 'message', 'param', 'type'], raw);
  ok(/^(qwen2api|[A-Z']).*[.!?]$/s.test(error.message) && !/[<\n]|\/modules\/|eyJ/.test(error.message), error.message);
  ok(/^req_[0-9A-Za-z]{24}$/.test(r.headers.get('x-request-id')), 'x-request-id');
  equal(r.headers.get('content-type'), 'application/json', 'content-type');
  if (r.status === 429 || r.status === 503) ok(Number(r.headers.get('retry-after')) > 0, 'Retry-After');
  return { status: r.status, headers: r.headers, ...error };
}

// ---- the request ----
await test('api 12 invalid_json: line, column, byte and what was expected', async () => {
  const e = await refused('/v1/chat/completions', { body: '{\n "model": "m",\n "messages": [] "x": 1\n}' });
  equal([e.status, e.type, e.param, e.code], [400, 'invalid_request_error', null, 'invalid_json']);
  ok(/expected ',' or '\}'.*line 3, column 17 \(byte 33\)/.test(e.message), e.message);
});
for (const [body, param, code] of [
  ['', null, 'empty_body'], ['[]', null, 'invalid_type'], ['"x"', null, 'invalid_type'], [{ ...hello, messages: undefined }, 'messages', 'missing_required_parameter'],
  [{ ...hello, stream: 7 }, 'stream', 'invalid_type'],
  [{ messages: [{ role: 'user', content: 'a' }, { role: 'user', content: [{ type: 'text', text: 'b' }, { type: 'hologram' }] }] }, 'messages[1].content[1].type', 'invalid_value'],
  [{ ...hello, audio: { voice: 'alloy', format: 'wav' } }, 'audio', 'unsupported_parameter'], [{ ...hello, size: 'huge', model: 'qwen3.7-plus-image' }, 'size', 'invalid_size'],
]) await test(`api 12 ${code}: 400, param ${param}`, async () => {
  const e = await refused('/v1/chat/completions', { body });
  equal([e.status, e.type, e.param, e.code], [400, 'invalid_request_error', param, code]);
});
await test('api 12 model_not_found: param model, near names are offered', async () => {
  const e = await refused('/v1/chat/completions', { body: { ...hello, model: 'qwen3.7-pluss' } });
  equal([e.status, e.param, e.code], [404, 'model', 'model_not_found']);
  ok(e.message.includes('qwen3.7-plus'), e.message);
});
await test('api 12 unsupported_model_variant: the variants that exist are named (2.4)', async () => {
  const e = await refused('/v1/chat/completions', { body: { ...hello, model: 'qwen3-coder-plus-image' } });
  equal([e.status, e.code], [400, 'unsupported_model_variant']);
  ok(/qwen3-coder-plus/.test(e.message), e.message);
});
await test('api 12 missing_api_key, invalid_api_key: 401 with their words (1.5)', async () => {
  const none = await refused('/v1/models', { method: 'GET', key: null }), wrong = await refused('/v1/models', { method: 'GET', key: 'sk-test-wrong-9f0c' });
  equal([none.status, none.type, none.code, none.headers.get('www-authenticate')], [401, 'invalid_request_error', 'missing_api_key', 'Bearer realm="qwen2api"']);
  equal([wrong.status, wrong.type, wrong.code], [401, 'invalid_request_error', 'invalid_api_key']);
  ok(wrong.message.includes('sk-te…9f0c'), wrong.message);
});
await test('api 12 unknown_url, unsupported_endpoint, not_found: 404, not to be tried again', async () => {
  for (const [path, method, code] of [['/v1/nothing', 'GET', 'unknown_url'], ['/v1/moderations', 'POST', 'unsupported_endpoint'], ['/v1/videos/video_none', 'GET', 'not_found']]) {
    const e = await refused(path, { method, body: method === 'POST' ? {} : undefined });
    equal([e.status, e.type, e.code], [404, 'invalid_request_error', code]);
  }
});
await test('api 12 method_not_allowed: 405 with Allow', async () => {
  const e = await refused('/v1/chat/completions', { method: 'PUT', body: {} });
  equal([e.status, e.code], [405, 'method_not_allowed']);
  ok(/POST/.test(e.headers.get('allow')), e.headers.get('allow'));
});
await test('api 12 unsupported_media_type: a declared foreign type; text/plain and none are fine (0.2)', async () => {
  const e = await refused('/v1/chat/completions', { body: JSON.stringify(hello), headers: { 'content-type': 'application/xml' } });
  equal([e.status, e.code], [415, 'unsupported_media_type']);
  equal((await post(gw, '/v1/chat/completions', hello, { headers: { 'content-type': 'text/plain' } })).status, 200);
});
await test('api 12 request_too_large: 413, the limit in the words', async () => {
  const small = await gateway(fake, { BODY_LIMIT_MB: '1' });
  const e = await refused('/v1/chat/completions', { body: { ...hello, user: 'x'.repeat(2 << 20) }, to: small });
  equal([e.status, e.code], [413, 'request_too_large']);
  ok(/\b1 ?Mi?B|1048576/.test(e.message), e.message);
  await small.stop();
});
await test('api 12: a connection survives the errors of its requests', async () => {
  const bad = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: 2\r\n\r\n[]`;
  const out = await new Promise((res) => {
    let text = '';
    const s = net.connect(gw.port, '127.0.0.1', () => s.write(`${bad}${bad}GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    s.on('data', (d) => { text += d; });
    s.on('close', () => res(text));
  });
  equal([...out.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => Number(m[1])), [400, 400, 404, 200], out);
});

// ---- accounts and the way to the upstream ----
await test('api 12 no_account: 503, and where to add one', async () => {
  const empty = await gateway(fake, { ACCOUNTS: null });
  for (const call of [chat, stream]) {
    const r = await call(empty, 'hello');
    equal([r.status, r.error.type, r.error.code], [503, 'service_unavailable_error', 'no_account'], r.raw);
    ok(/ACCOUNTS/.test(r.error.message) && Number(r.headers.get('retry-after')) > 0, r.raw);
  }
  await empty.stop();
});
// A gateway that signed in while all was well and finds the upstream as `resolve` says after a restart.
async function later(resolve, env, fn) {
  const dir = mkdtempSync(join(tmpdir(), 'q2a-'));
  const kept = { DATA_SAVE_MODE: 'file', DATA_DIR: join(dir, 'data'), CHAT_RETRY_COUNT: '0' };
  const before = await gateway(fake, kept);
  equal((await chat(before, 'hello')).status, 200, before.log());
  await before.stop();
  const g = await gateway(fake, { ...kept, UPSTREAM_RESOLVE: `chat.qwen.ai:443=${resolve},auth.qwen.ai:443=${resolve}`, ...env });
  try { await fn(g); } finally { await g.stop(); rmSync(dir, { recursive: true, force: true }); }
}
async function both(g, status, code, type, words) {
  for (const call of [chat, stream]) {
    const r = await call(g, 'hello');
    equal([r.status, r.error?.code, r.error?.type], [status, code, type], r.raw);
    ok(words.test(r.error.message), r.error.message);
  }
}
await test('api 12 upstream_unreachable: nobody listens', async () => {
  await later(`127.0.0.1:${await freePort()}`, {}, (g) => both(g, 502, 'upstream_unreachable', 'upstream_error', /chat\.qwen\.ai/));
});
await test('api 12 upstream_tls_error: a certificate of another host', async () => {
  const bad = await fakeUpstream({ cert: 'wrong-host' });
  await later(`127.0.0.1:${bad.port}`, {}, (g) => both(g, 502, 'upstream_tls_error', 'upstream_error', /host name/));
  await bad.stop();
});
await test('api 12 upstream_connect_timeout: it takes the connection and says nothing', async () => {
  const mute = net.createServer(() => {});
  await new Promise((r) => mute.listen(0, '127.0.0.1', r));
  await later(`127.0.0.1:${mute.address().port}`, { UPSTREAM_CONNECT_TIMEOUT: '1' }, (g) => both(g, 504, 'upstream_connect_timeout', 'timeout_error', /in time/));
  mute.close();
});
await test('api 12 proxy_error: host and port are named, user and password are not', async () => {
  const port = await freePort();
  await later(`127.0.0.1:${fake.port}`, { PROXY_URL: `http://me:very-secret@127.0.0.1:${port}` }, async (g) => {
    await both(g, 502, 'proxy_error', 'upstream_error', new RegExp(`127\\.0\\.0\\.1:${port}`));
    ok(!g.log().includes('very-secret'), 'not in the log either');
  });
});
await test('api 12: x-should-retry: false where a repeat cannot help', async () => {
  for (const [scenario, value] of [['quota', 'false'], ['html', 'false'], ['429', null]]) {
    await fake.reset();
    const own = await gateway(fake, { CHAT_RETRY_COUNT: '0' });
    const r = await chat(own, `[[scenario:${scenario}]]`);
    ok(r.status >= 429, r.raw);
    equal(r.headers.get('x-should-retry'), value, scenario);
    await own.stop();
  }
});
await test('api 12: an upstream 401 is never a 401 of the client', async () => {
  await fake.reset();
  const own = await gateway(fake, { CHAT_RETRY_COUNT: '0' });
  await fake.script({ completions: Array(8).fill('401') });
  const r = await chat(own, 'hello');
  ok(r.status >= 500, r.raw);
  await own.stop();
  await fake.reset();
});

// ---- names of models and headers of answers ----
await test('api 2.1: the fields of the list; variants stand behind their base', async () => {
  const open = await (await fetch(`${gw.base}/models`)).json(), keyed = await (await fetch(`${gw.v1}/models`, { headers: auth() })).json();
  equal(open, keyed, 'the same list with and without a key');
  equal(open.object, 'list');
  for (const m of open.data) ok(m.id && m.object === 'model' && Number.isInteger(m.created) && m.created < 1e11 && m.owned_by === 'qwen', JSON.stringify(m));
  const ids = open.data.map((m) => m.id), at = ids.indexOf('qwen3.7-plus');
  ok(at >= 0 && ids[at + 1].startsWith('qwen3.7-plus-') && new Set(ids).size === ids.length, ids.join());
});
await test('api 2.3: ids, case, vendors, families, aliases; the client reads its own name back', async () => {
  const own = await gateway(fake, { MODEL_ALIASES: 'gpt-4o=qwen3.7-plus,o*=qwen3-coder-plus' });
  for (const [name, real] of [['qwen3.7-plus', 'qwen3.7-plus'], ['QWEN3.7-Plus', 'qwen3.7-plus'], ['qwen/qwen3.7-plus', 'qwen3.7-plus'], ['models/qwen3.7-plus-thinking', 'qwen3.7-plus'],
    ['qwen3.7-plus-search-thinking', 'qwen3.7-plus'], ['gpt-4o', 'qwen3.7-plus'], ['o3-mini', 'qwen3-coder-plus']]) {
    const r = await chat(own, 'hello', { model: name });
    equal([r.status, r.json.model, r.headers.get('x-qwen2api-model')], [200, name, real], r.raw);
  }
  const family = await chat(own, 'hello', { model: 'qwen-max-latest' });
  ok(family.status === 200 && /max/.test(family.headers.get('x-qwen2api-model')), family.raw);
  await own.stop();
});
await test('api 2.3: no model at all: DEFAULT_MODEL, else the first of the list', async () => {
  const own = await gateway(fake, { DEFAULT_MODEL: 'qwen3-coder-plus' });
  equal((await chat(own, 'hello', { model: undefined })).headers.get('x-qwen2api-model'), 'qwen3-coder-plus');
  await own.stop();
  equal((await chat(gw, 'hello', { model: undefined })).status, 200);
});
await test('api 3.2: roles, names and what a developer says reach the model; an unknown role does not', async () => {
  const r = await chat(gw, [{ role: 'developer', content: 'You are terse.' }, { role: 'user', name: 'alice', content: 'first' },
    { role: 'assistant', content: '<think>secret thought</think>second', reasoning_content: 'secret too' }, { role: 'user', content: '[[scenario:echo]] third' }]);
  equal(r.status, 200, r.raw);
  ok(/You are terse\.[\s\S]*User \(alice\): first[\s\S]*Assistant: second[\s\S]*third/.test(r.text), r.text);
  ok(!/secret/.test(r.text), r.text);
});
await test('api 3.5, 3.6: ids, times and the shape of an answer', async () => {
  const whole = await chat(gw, 'hello'), parts = await stream(gw, 'hello');
  ok(/^chatcmpl-[0-9A-Za-z]{24}$/.test(whole.json.id) && Math.abs(whole.json.created - Date.now() / 1000) < 120, whole.raw);
  equal([whole.json.object, whole.json.choices.length, whole.json.choices[0].logprobs, whole.json.choices[0].message.refusal, whole.finish], ['chat.completion', 1, null, null, 'stop']);
  equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
  const kinds = parts.chunks.map((c) => (!c.choices.length ? 'usage' : c.choices[0].finish_reason ? 'finish' : 'role' in c.choices[0].delta ? 'role' : 'text'));
  ok(/^role(,text)+,finish,usage$/.test(kinds.join()), kinds.join());
});
await test('api 5.4, 0.11: every field of a video request is honoured, refused or named', async () => {
  const own = await gateway(fake);
  const ask = async (more) => {
    const r = await post(own, '/v1/videos', { prompt: 'a kitten', wait: 0, ...more });
    return { http: r.status, ignored: r.headers.get('x-qwen2api-ignored'), ...await r.json() };
  };
  for (const [more, size, ignored] of [[{}, '16:9', null], [{ size: '9:16' }, '9:16', null], [{ aspect_ratio: '4:3' }, '4:3', null], [{ size: 'auto' }, '16:9', null],
    [{ model: 'qwen3.7-plus' }, '16:9', null], [{ seconds: '8' }, '16:9', 'seconds'], [{ quality: 'hd', style: 'x', user: 'u', n: 1, response_format: 'url', stream: false }, '16:9',
      'quality,style,user,n,response_format,stream'], [{ anything: { else: 1 }, quality: null }, '16:9', 'anything']]) {
    const v = await ask(more);
    equal([v.http, v.object, v.size, v.ignored], [200, 'video', size, ignored], JSON.stringify(more));
    if (more.seconds) equal(v.seconds, more.seconds);
  }
  for (const [more, code, param] of [[{ prompt: null }, 'missing_required_parameter', 'prompt'], [{ size: 'x' }, 'invalid_size', 'size'], [{ wait: 'x' }, 'invalid_type', 'wait'],
    [{ wait: 901 }, 'invalid_value', 'wait'], [{ input_reference: 'x' }, 'unsupported_parameter', 'input_reference'], [{ model: 7 }, 'invalid_type', 'model']]) {
    const v = await ask(more);
    equal([v.http, v.error?.code, v.error?.param], [400, code, param], JSON.stringify(more));
  }
  await own.stop();
});
await gw.stop();
await done();
