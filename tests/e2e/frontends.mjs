// Front ends and relays as recorded requests (api 13): what NextChat, LobeChat, Cherry Studio, Open WebUI, one-api and new-api send,
// written down from their documented behaviour, and what they demand of the answer; then raw clients: curl, sockets, slow readers.
import { test, equal, ok, done, fakeUpstream, gateway, chat, stream, events, post, waitFor, sleep, auth, KEY } from './lib.mjs';
import { connect } from 'node:net';
import { request } from 'node:http';
import { execFile } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { mkdtempSync, writeFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MODEL = 'qwen3.7-plus', PLAIN = 'Hello, 世界! This is the fake upstream.';
const fake = await fakeUpstream({ args: ['--accounts', '4'] });
const gw = await gateway(fake, { MAX_INFLIGHT_PER_ACCOUNT: '50' });
const b64 = (s) => Buffer.from(s).toString('base64');
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} step=3 ${more}]]`;
const user = (content) => [{ role: 'user', content }];
async function fresh(env, fn) {
  await fake.reset();
  const g = await gateway(fake, env);
  try { return await fn(g); } finally { await g.stop(); }
}
async function upstream() {
  const log = await (await fetch(`${fake.base}/__log?n=100&bodies=1`)).json();
  return log.filter((e) => e.path?.includes('/chat/completions?')).map((e) => JSON.parse(e.body));
}
const last = async () => (await upstream()).at(-1);
// A stream as these programs read it: lines that begin with "data:", comments skipped, up to [DONE].
async function read(r) {
  ok(r.headers.get('content-type').startsWith('text/event-stream'), `content-type ${r.headers.get('content-type')}`);
  const out = { text: '', think: '', pieces: [], usage: null, finish: null, ended: false, error: null };
  for (const line of (await r.text()).split('\n')) {
    if (!line.startsWith('data:')) { ok(line === '' || line.startsWith(':'), `a line: ${line}`); continue; }
    const data = line.slice(5).trim();
    if (data === '[DONE]') { out.ended = true; continue; }
    const j = JSON.parse(data), c = j.choices?.[0];
    if (j.error) out.error = j.error;
    if (j.usage) out.usage = j.usage;
    if (c?.delta?.content) { out.text += c.delta.content; out.pieces.push(c.delta.content); }
    out.think += c?.delta?.reasoning_content ?? '';
    out.finish = c?.finish_reason ?? out.finish;
  }
  return out;
}
const whole = (s, text = PLAIN) => {
  equal([s.text, s.finish, s.ended], [text, 'stop', true]);
  ok(s.usage?.total_tokens === s.usage?.prompt_tokens + s.usage?.completion_tokens && s.usage.completion_tokens > 0, JSON.stringify(s.usage));
};
async function preflight(path, headers, origin = 'https://app.example') {
  const r = await fetch(gw.base + path, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': headers } });
  equal([r.status, r.headers.get('access-control-allow-origin'), r.headers.get('access-control-allow-headers')], [204, '*', headers]);
}

// ---- NextChat ----
await test('api 13 NextChat: in a browser: preflight, chat with all its settings, the title, the bill, the list', async () => {
  await preflight('/v1/chat/completions', 'accept,authorization,content-type');
  const body = { messages: [{ role: 'system', content: '\nYou are ChatGPT, a large language model trained by OpenAI.\nCurrent model: qwen3.7-plus\n' }, ...user('hello')], stream: true, model: MODEL, temperature: 0.5,
    presence_penalty: 0, frequency_penalty: 0, top_p: 1 };
  const r = await post(gw, '/v1/chat/completions', body, { headers: { accept: 'application/json', origin: 'https://app.example' } });
  equal([r.status, r.headers.get('access-control-allow-origin')], [200, '*']);
  whole(await read(r));
  ok((await last()).messages[0].content.includes('You are ChatGPT'), 'the system text');
  const title = await post(gw, '/v1/chat/completions', { messages: [...body.messages, { role: 'assistant', content: PLAIN }, { role: 'user', content: 'Please generate a four to five word title' }], stream: false, model: MODEL, temperature: 0.5, top_p: 1 });
  equal((await title.json()).choices[0].message.content, PLAIN);
  for (const [path, key] of [['/dashboard/billing/usage?start_date=2026-11-1&end_date=2026-11-28', 'total_usage'], ['/dashboard/billing/subscription', 'hard_limit_usd']]) {
    const bill = await fetch(gw.v1 + path, { headers: { ...auth(), 'content-type': 'application/json', 'x-requested-with': 'XMLHttpRequest' } });
    equal([bill.status, typeof (await bill.json())[key]], [200, 'number'], path);
  }
  const { data } = await (await fetch(`${gw.v1}/models`, { headers: { ...auth(), 'x-requested-with': 'XMLHttpRequest' } })).json();
  ok(data.some((m) => m.id === MODEL) && data.every((m) => typeof m.id === 'string' && m.object === 'model'), 'the list');
});
await test('api 13 NextChat: DALL-E: the path expects b64_json; a picture in the question is a data URI', async () => {
  const r = await post(gw, '/v1/images/generations', { model: 'dall-e-3', prompt: 'a cat', response_format: 'b64_json', n: 1, size: '1024x1024', quality: 'standard', style: 'vivid' });
  const j = await r.json();
  equal([r.status, Object.keys(j.data[0]), Buffer.from(j.data[0].b64_json ?? '', 'base64').subarray(1, 4).toString()], [200, ['b64_json'], 'PNG'], JSON.stringify(j).slice(0, 300));
  const picture = 'data:image/jpeg;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='; // it names a type that is not true
  whole(await read(await post(gw, '/v1/chat/completions', { model: MODEL, stream: true, messages: user([{ type: 'text', text: 'hello' }, { type: 'image_url', image_url: { url: picture } }]), max_tokens: 4000 })));
  equal((await last()).messages[0].files.map((f) => [f.type, f.file_type]), [['image', 'image/png']]);
});
await test('api 3.7 13 front ends that show thoughts by their tags: each tag is a chunk of its own, streamed; whole at the head', () => fresh({ LEGACY_REASONING_IN_CONTENT: 'true' }, async (g) => {
  const ask = { model: `${MODEL}-thinking`, messages: user('[[scenario:thinking_detail]]') };
  const s = await read(await post(g, '/v1/chat/completions', { ...ask, stream: true }));
  equal([s.pieces[0], s.pieces.filter((p) => p.includes('<think>')).length, s.pieces.filter((p) => p.includes('</think>')).map((p) => p.trim()), s.think], ['<think>\n\n', 1, ['</think>'], '']);
  const r = await (await post(g, '/v1/chat/completions', ask)).json();
  equal(r.choices[0].message.content, s.text);
  for (const more of [{ reasoning_format: 'field' }, { reasoning_format: 'none' }]) {
    const t = await read(await post(g, '/v1/chat/completions', { ...ask, ...more, stream: true }));
    equal([t.text.includes('think>'), t.think.length > 0], [false, more.reasoning_format === 'field'], JSON.stringify(more));
  }
}));

// ---- LobeChat ----
await test('api 13 LobeChat: its thinking and search switches, tools with long names, a check of the key', async () => {
  const headers = { 'x-lobe-trace': 'eyJ0IjoxfQ', 'user-agent': 'OpenAI/JS 4.104.0', 'x-stainless-lang': 'js', 'x-stainless-retry-count': '0', accept: 'application/json' };
  const body = { messages: user('[[scenario:thinking_detail]]'), model: MODEL, stream: true, stream_options: { include_usage: true }, temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, enable_thinking: true, thinking_budget: 2000 };
  const r = await post(gw, '/v1/chat/completions', body, { headers });
  equal(r.headers.get('x-qwen2api-ignored'), 'temperature,top_p,presence_penalty,frequency_penalty');
  const s = await read(r);
  ok(s.think.length > 0 && s.text.length > 0 && s.usage.total_tokens > 0, JSON.stringify(s));
  equal([(await last()).messages[0].feature_config.thinking_enabled, (await last()).messages[0].feature_config.thinking_budget], [true, 2000]);
  const found = await read(await post(gw, '/v1/chat/completions', { ...body, enable_thinking: false, enable_search: true, messages: user('[[scenario:search]]') }, { headers }));
  ok(/https?:\/\//.test(found.text) && (await last()).messages[0].chat_type === 'search', found.text);
  const name = 'lobe-web-browsing____searchWithCrawling____builtin';
  const t = await post(gw, '/v1/chat/completions', { ...body, enable_thinking: false, messages: user(say(`<q2a_call>{"name":"${name}","arguments":{"query":"x"}}</q2a_call>`)),
    tools: [{ type: 'function', function: { name, description: 'd', parameters: { type: 'object', properties: { query: { type: 'string' } } } } }] }, { headers });
  const calls = events(await t.text()).flatMap((e) => e.data?.choices?.[0]?.delta.tool_calls ?? []);
  equal([calls[0].function.name, calls.map((c) => c.function.arguments).join('')], [name, '{"query":"x"}']);
  const check = await post(gw, '/v1/chat/completions', { messages: user('hello'), model: MODEL, stream: false, max_tokens: 50 }, { key: 'sk-wrong-wrong-wrong' });
  equal([check.status, (await check.json()).error.code], [401, 'invalid_api_key']);
});

// ---- Cherry Studio ----
await test('api 3.1 13 Cherry Studio: a -thinking model wins over enable_thinking:false; its headers pass the preflight', async () => {
  await preflight('/v1/chat/completions', 'authorization,content-type,http-referer,x-title,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout');
  const headers = { 'http-referer': 'https://cherry-ai.com', 'x-title': 'Cherry Studio', 'x-api-key': KEY };
  const body = { model: `${MODEL}-thinking`, messages: [{ role: 'system', content: 'p' }, ...user('[[scenario:thinking_detail]]')], temperature: 0.7, stream: true, stream_options: { include_usage: true }, enable_thinking: false };
  const s = await read(await post(gw, '/v1/chat/completions', body, { headers }));
  ok(s.think.length > 0 && s.text.length > 0 && s.ended && s.usage.total_tokens > 0, JSON.stringify(s));
  equal((await last()).messages[0].feature_config.thinking_enabled, true);
  await read(await post(gw, '/v1/chat/completions', { ...body, model: MODEL }, { headers }));
  equal((await last()).messages[0].feature_config.thinking_enabled, false, 'without the suffix it counts');
  const check = await post(gw, '/v1/chat/completions', { model: MODEL, messages: user('hi'), stream: true, max_tokens: 1 }, { headers });
  const c = await read(check);
  ok(c.ended && c.text.length > 0 && ['length', 'stop'].includes(c.finish), JSON.stringify(c));
});

// ---- Open WebUI ----
await test('api 13 Open WebUI: the list, a chat with its extras, titles and tags beside it, what it probes', async () => {
  const headers = { 'x-openwebui-user-name': 'Zo%C3%AB', 'x-openwebui-user-email': 'z@example.org', 'x-openwebui-chat-id': 'c1', 'http-referer': 'https://openwebui.com/', 'x-title': 'Open WebUI' };
  const { data } = await (await fetch(`${gw.v1}/models`, { headers: { ...auth(), ...headers } })).json();
  ok(data.length > 3 && new Set(data.map((m) => m.id)).size === data.length, 'no name twice');
  const turn = { model: MODEL, stream: true, stream_options: { include_usage: true }, messages: [...user('hello'), { role: 'assistant', content: '<details type="reasoning" done="true">\n> thought\n</details>\none' }, ...user('hello again')], metadata: {}, params: {} };
  const title = { model: MODEL, stream: false, max_completion_tokens: 1000, messages: user(say('{ "title": "A cat" }')) };
  const [s, t] = await Promise.all([post(gw, '/v1/chat/completions', turn, { headers }).then(read), post(gw, '/v1/chat/completions', title, { headers }).then((r) => r.json())]);
  whole(s);
  equal(JSON.parse(t.choices[0].message.content), { title: 'A cat' });
  for (const [path, body] of [['/v1/embeddings', { input: 'x', model: 'y' }], ['/v1/audio/speech', { input: 'x' }], ['/v1/moderations', {}]]) {
    const r = await post(gw, path, body, { headers });
    equal([r.status, (await r.json()).error.code], [404, 'unsupported_endpoint'], path);
  }
  const e = await post(gw, '/v1/chat/completions', { ...turn, model: 'no-such-model' }, { headers });
  equal([e.status, typeof (await e.json()).error.message], [404, 'string'], 'it shows error.message');
});
await test('api 3.5 13 front ends: an answer without words is an error, never an empty 200', () => fresh({ CHAT_RETRY_COUNT: '0' }, async (g) => {
  for (const streamed of [true, false]) {
    const r = await post(g, '/v1/chat/completions', { model: MODEL, stream: streamed, messages: user('[[scenario:empty]]') });
    equal([r.status, (await r.json()).error.code], [502, 'empty_upstream_response']);
  }
}));

// ---- relays ----
await test('api 13 one-api, new-api: the test of a channel, a stream with usage, pictures with usage', async () => {
  for (const max_tokens of [1, 16]) {
    const r = await post(gw, '/v1/chat/completions', { model: MODEL, messages: user('hi'), max_tokens, stream: false });
    const j = await r.json();
    ok(r.status === 200 && j.choices[0].message.content.length > 0, JSON.stringify(j));
    ok(j.usage.prompt_tokens > 0 && j.usage.completion_tokens > 0, JSON.stringify(j.usage));
    equal(j.model, MODEL, 'the name that is billed');
  }
  for (const more of [{ stream_options: { include_usage: true } }, {}]) {
    const all = events(await (await post(gw, '/v1/chat/completions', { model: MODEL, messages: user('hello'), stream: true, ...more })).text()).filter((e) => e.data).map((e) => e.data);
    equal([all.at(-1).choices, all.at(-1).usage.total_tokens > 0, all.filter((c) => c.usage).length], [[], true, 1], 'in the last chunk, and only there');
    ok(all.every((c) => c.model === MODEL && c.id === all[0].id), 'model and id in every chunk');
  }
  const picture = await (await post(gw, '/v1/images/generations', { prompt: 'a cat', n: 1, size: '1024x1024' })).json();
  ok(picture.usage.total_tokens > 0 && picture.data[0].url.startsWith('https://'), JSON.stringify(picture));
  const drawn = await (await post(gw, '/v1/chat/completions', { model: `${MODEL}-image`, messages: user('a cat') })).json();
  ok(drawn.usage.prompt_tokens > 0 && drawn.choices[0].message.content.startsWith('![image]('), JSON.stringify(drawn));
});
await test('api 12 13 relays disable a channel on 401 and 403: trouble of an account is never one of them', async () => {
  for (const scenario of ['401', '403', '403_banned', 'html', 'html_405', 'no_token', '500', '413', '504_html'])
    await fresh({ CHAT_RETRY_COUNT: '0' }, async (g) => {
      await fake.script({ completions: Array(6).fill(scenario) });
      const r = await chat(g, 'hi');
      ok(r.status === 400 || r.status >= 500, `${scenario}: ${r.status} ${r.raw}`);
      ok(r.error.message.length > 10 && !/<html|<!doctype/i.test(r.raw), r.raw);
    });
});
await test('api 0.9 13 relays: heartbeats before the first byte', () => fresh({ SSE_EARLY_HEADERS_MS: '100', SSE_HEARTBEAT_SECONDS: '1' }, async (g) => {
  const r = await post(g, '/v1/chat/completions', { model: MODEL, stream: true, messages: user('[[scenario:slow ms=2500 quiet=1]]') });
  const reader = r.body.getReader(), begin = Date.now(), first = Buffer.from((await reader.read()).value).toString();
  ok(first.startsWith(': keep-alive\n\n') && Date.now() - begin < 2300, `${first} after ${Date.now() - begin} ms`);
  let rest = '';
  for (;;) { const { done: end, value } = await reader.read(); if (end) break; rest += Buffer.from(value).toString(); }
  ok(rest.includes(': keep-alive') && rest.endsWith('data: [DONE]\n\n'), rest.slice(-200));
}));
await test('api 0.7 13 @google/genai: not offered: a clean 404 in JSON', async () => {
  for (const path of ['/v1beta/models/gemini-3-pro:generateContent', '/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse', '/v1beta/models'])
    for (const headers of [{ 'x-goog-api-key': KEY }, auth()]) {
      const r = await fetch(gw.base + path, { method: 'POST', headers: { 'content-type': 'application/json', 'x-goog-api-client': 'google-genai-sdk/1.0', ...headers }, body: '{"contents":[{"parts":[{"text":"hi"}]}]}' });
      equal([r.status, r.headers.get('content-type').split(';')[0], (await r.json()).error.code], [404, 'application/json', 'unknown_url'], path);
    }
});

// ---- curl ----
const curl = (...args) => new Promise((res) => execFile('curl', ['-sS', '--max-time', '20', '-H', `Authorization: Bearer ${KEY}`, ...args], { encoding: 'buffer' }, (e, out, err) => res({ code: e?.code ?? 0, out: String(out), err: String(err) })));
const scratch = mkdtempSync(join(tmpdir(), 'q2a-curl-'));
const ask = (content, more = {}) => JSON.stringify({ model: MODEL, messages: user(content), ...more });
await test('api 0.1 0.2 13 curl: no content type of its own, HTTP/1.0, chunked and gzip together, a large body with Expect', async () => {
  const url = `${gw.v1}/chat/completions`, packed = join(scratch, 'b.gz'), large = join(scratch, 'large.json');
  writeFileSync(packed, gzipSync(ask('hello')));
  writeFileSync(large, ask(`[[scenario:normal]] ${'x'.repeat(1500000)}`));
  for (const args of [['-d', ask('hello')], ['-d', ask('hello'), '-H', 'Content-Type: text/plain'], ['-0', '-d', ask('hello')], ['-d', ask('hello'), '-H', 'Transfer-Encoding: chunked'],
    ['--data-binary', `@${packed}`, '-H', 'Content-Encoding: gzip', '-H', 'Transfer-Encoding: chunked'], ['-T', packed, '-X', 'POST', '-H', 'Content-Encoding: gzip', '-H', 'Transfer-Encoding: chunked'],
    ['--data-binary', `@${large}`, '-H', 'Expect: 100-continue'], ['--http2', '-d', ask('hello')], ['--compressed', '-d', ask('hello')]]) {
    const r = await curl(...args, url);
    ok(r.code === 0, `${args[0]} ${r.code} ${r.err}`);
    equal(JSON.parse(r.out).choices[0].message.content, PLAIN, args.join(' ').slice(0, 100));
  }
  const s = await curl('-N', '-d', ask('hello', { stream: true }), url), zero = await curl('-0', '-N', '-d', ask('hello', { stream: true }), url);
  for (const x of [s, zero]) equal([x.code, events(x.out).filter((e) => e.data).map((e) => e.data.choices[0]?.delta.content ?? '').join(''), x.out.endsWith('data: [DONE]\n\n')], [0, PLAIN, true]);
  const two = await curl('-d', ask('hello'), url, '--next', '-sS', '-H', `Authorization: Bearer ${KEY}`, `${gw.v1}/models`);
  ok(two.code === 0 && two.out.includes('"object":"list"'), 'one connection, two requests');
});
rmSync(scratch, { recursive: true, force: true });

// ---- sockets ----
// Sends bytes (and with half no more), gives what comes back until the other end is done.
function socket(port, bytes, { ms = 8000, half = false } = {}) {
  return new Promise((res) => {
    const s = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => (half ? s.end(bytes) : s.write(bytes)));
    let out = Buffer.alloc(0);
    const end = () => { s.destroy(); res(out.toString()); };
    s.on('data', (d) => { out = Buffer.concat([out, d]); });
    s.on('end', end);
    s.on('error', end);
    setTimeout(end, ms).unref();
  });
}
const head = (body, more = '') => `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
await test('api 0.8 13 raw bytes: every chunk of the framing is whole events, every event one chunk', async () => {
  for (const path of ['/v1/chat/completions', '/v1/messages', '/v1/responses']) {
    const body = JSON.stringify({ model: MODEL, stream: true, max_tokens: 4000, messages: user('[[scenario:split1]]'), input: '[[scenario:split1]]' });
    const raw = await socket(gw.port, head(body, 'Connection: close\r\n').replace('/v1/chat/completions', path));
    const bytes = Buffer.from(raw), chunks = [];
    let at = bytes.indexOf('\r\n\r\n') + 4;
    for (;;) {
      const eol = bytes.indexOf('\r\n', at), n = parseInt(bytes.subarray(at, eol).toString(), 16);
      if (n === 0) break;
      chunks.push(bytes.subarray(eol + 2, eol + 2 + n).toString());
      at = eol + 2 + n + 2;
    }
    ok(chunks.length > 3 && chunks.every((c) => c.endsWith('\n\n')), `${path}: ${JSON.stringify(chunks.find((c) => !c.endsWith('\n\n')))}`);
    ok(!chunks.join('').includes('\ufffd'), 'no cut letters');
  }
});
await test('api 0.12 13 half-close: what is answered at once is answered; a chat takes it for a client that left; a half request ends', async () => {
  const r = await socket(gw.port, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n', { half: true });
  ok(r.startsWith('HTTP/1.1 200'), r.slice(0, 100));
  await fake.reset();
  await socket(gw.port, head(ask('[[scenario:stream n=600 ms=100 size=20]]', { stream: true })), { half: true });
  await waitFor(async () => (await fake.stats()).running === 0, 4000, 'nothing runs upstream');
  const t = Date.now();
  await socket(gw.port, head(ask('hello')).slice(0, -5), { half: true });
  ok(Date.now() - t < 5000, `${Date.now() - t} ms`);
  equal((await chat(gw, 'hello')).text, PLAIN, 'others are served');
});
await test('api 13 design 5: a slow reader holds nobody up and loses nothing', async () => {
  const N = 4000, body = ask(`[[scenario:stream n=${N} ms=0 size=400 seed=7]]`, { stream: true });
  let got = 0, text = '';
  const slow = new Promise((res, rej) => {
    const q = request({ port: gw.port, host: '127.0.0.1', path: '/v1/chat/completions', method: 'POST', headers: { ...auth(), 'content-type': 'application/json' } }, (r) => {
      r.setEncoding('utf8');
      r.on('data', (d) => { text += d; got += d.length; if (got < 60000) { r.pause(); setTimeout(() => r.resume(), 30); } });
      r.on('end', res);
      r.on('error', rej);
    });
    q.end(body);
  });
  await waitFor(() => got > 0, 5000, 'it has begun');
  const t = Date.now();
  for (let i = 0; i < 5; i++) equal((await stream(gw, 'hello')).text, PLAIN);
  ok(Date.now() - t < 3000, `five others took ${Date.now() - t} ms`);
  await slow;
  const words = events(text).filter((e) => e.data).map((e) => e.data.choices[0]?.delta.content ?? '').join('');
  equal([...words.matchAll(/7\.(\d+) /g)].map((m) => Number(m[1])).every((v, i) => v === i), true, 'all in order');
  equal([...words.matchAll(/7\.(\d+) /g)].length, N);
});
await test('api 13 pipelining: streams behind streams on one connection, each whole, in order', async () => {
  const raw = await socket(gw.port, head(ask(say('first'), { stream: true })) + head(ask(say('second'), { stream: true })) + head(ask(say('third')), 'Connection: close\r\n'));
  equal((raw.match(/HTTP\/1\.1 200/g) ?? []).length, 3, raw.slice(0, 300));
  const parts = raw.split('HTTP/1.1 200').slice(1);
  const said = (p) => [...p.matchAll(/"content":"([^"]*)"/g)].map((m) => m[1]).join('');
  equal(parts.map(said), ['first', 'second', 'third']);
});
await done();
