// The real @anthropic-ai/sdk against the static binary (api 6, 13): create, streams, thinking, limits, count_tokens, models,
// threads, abort, every class of error; and what coding programs send beside it.
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { test, equal, ok, done, fakeUpstream, gateway, post, waitFor, sleep, KEY } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '6'] });
const gw = await gateway(fake, { DEFAULT_MODEL: 'qwen3-max', ANTHROPIC_DEFAULT_MODEL: 'qwen3.7-plus' });
const sdk = (g = gw, more = {}) => new Anthropic({ apiKey: KEY, baseURL: g.base, maxRetries: 0, ...more });
const client = sdk();
const b64 = (s) => Buffer.from(s).toString('base64');
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} ${more}]]`;
const body = (content, more = {}) => ({ model: 'claude-opus-5', max_tokens: 4000, messages: [{ role: 'user', content }], ...more });
const ask = (content, more = {}, c = client) => c.messages.create(body(content, more));
const text = (m) => m.content.filter((b) => b.type === 'text').map((b) => b.text).join('');
const ids = /^msg_[A-Za-z0-9]{24}$/;
async function fresh(env, fn) { // a gateway whose pool no other test has hurt
  await fake.reset();
  const g = await gateway(fake, env);
  try { return await fn(g, sdk(g)); } finally { await g.stop(); }
}
// The events of a raw stream; fails on anything that is not `event:` and `data:` of the same type, or a comment at the head.
function events(raw) {
  const out = [];
  for (const block of raw.split('\n\n')) {
    if (block === '') continue;
    if (block.startsWith(':')) { ok(out.every((e) => e.comment), 'comments only before the first event'); out.push({ comment: block }); continue; }
    const m = /^event: (\w+)\ndata: (.*)$/.exec(block);
    ok(m, `not an event: ${JSON.stringify(block)}`);
    const data = JSON.parse(m[2]);
    equal(data.type, m[1], 'the type in the data');
    out.push(data);
  }
  ok(raw.endsWith('\n\n'), 'the last event is whole');
  return out;
}
const rawStream = async (content, more = {}, g = gw, path = '/v1/messages') => {
  const r = await post(g, path, body(content, { stream: true, ...more }), { headers: { 'anthropic-version': '2023-06-01' } });
  return { status: r.status, headers: r.headers, raw: await r.text() };
};
// What the upstream was asked last.
async function asked() {
  const log = await (await fetch(`${fake.base}/__log?n=100&bodies=1`)).json();
  return JSON.parse(log.findLast((e) => e.path?.includes('/chat/completions?')).body).messages[0];
}
let plain;

// ---- models ----
await test('api 2.5: models.list and retrieve in their own shape', async () => {
  const all = [];
  for await (const m of client.models.list()) all.push(m);
  ok(all.every((m) => m.type === 'model' && m.id && m.display_name && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(m.created_at)), JSON.stringify(all[0]));
  ok(all.some((m) => m.id === 'qwen3.7-plus') && all.some((m) => m.id === 'qwen3.7-plus-thinking-search'), 'the models and their variants');
  const one = await client.models.retrieve('qwen3.7-plus-thinking');
  equal(one.id, 'qwen3.7-plus-thinking');
  const e = await client.models.retrieve('no-such-model').catch((x) => x);
  ok(e instanceof Anthropic.NotFoundError, String(e));
  equal(e.error?.type, 'error', 'the envelope');
  equal(e.error?.error?.type, 'not_found_error');
});

// ---- create ----
await test('api 6.3: messages.create', async () => {
  const r = await ask('hello');
  plain = text(r);
  ok(plain.length > 0, 'text');
  ok(ids.test(r.id), r.id);
  equal([r.type, r.role, r.model, r.stop_reason, r.stop_sequence], ['message', 'assistant', 'claude-opus-5', 'end_turn', null]);
  equal(r.content.map((b) => b.type), ['text']);
  ok(r.usage.input_tokens > 0 && r.usage.output_tokens > 0, JSON.stringify(r.usage));
  equal([r.usage.cache_creation_input_tokens, r.usage.cache_read_input_tokens], [0, 0]);
});
await test('api 0.4: request-id is x-request-id', async () => {
  const { response } = await client.messages.create(body('hello')).withResponse();
  ok(/^req_[A-Za-z0-9]{24}$/.test(response.headers.get('request-id')), 'request-id');
  equal(response.headers.get('request-id'), response.headers.get('x-request-id'));
});
await test('api 6.7: unknown claude-* names mean ANTHROPIC_DEFAULT_MODEL, else DEFAULT_MODEL; other unknown names stay unknown', async () => {
  const r = await post(gw, '/v1/messages', body('hello', { model: 'claude-opus-9-20300101' }));
  equal([r.status, r.headers.get('x-qwen2api-model')], [200, 'qwen3.7-plus']);
  equal((await r.json()).model, 'claude-opus-9-20300101', 'the name the client sent');
  const e = await ask('hello', { model: 'no-such-model' }).catch((x) => x);
  ok(e instanceof Anthropic.NotFoundError, String(e));
  await fresh({ DEFAULT_MODEL: 'qwen3-max' }, async (g) => equal((await post(g, '/v1/messages', body('hello'))).headers.get('x-qwen2api-model'), 'qwen3-max'));
  await fresh({ MODEL_ALIASES: 'claude-*=qwen3-coder-plus' }, async (g) => equal((await post(g, '/v1/messages', body('hello'))).headers.get('x-qwen2api-model'), 'qwen3-coder-plus'));
});
await test('api 0.6 6.1: aliases of the path, ?beta=true, any anthropic-beta, no anthropic-version', async () => {
  for (const path of ['/v1/messages', '/anthropic/v1/messages', '/v1/v1/messages', '/v1/messages/', '/v1/messages?beta=true']) {
    const r = await post(gw, path, body('hello'), { headers: { 'anthropic-beta': 'a-2099-01-01,b' } });
    equal([path, r.status, r.headers.has('request-id')], [path, 200, true]);
    equal(text(await r.json()), plain);
  }
  equal(text(await sdk(gw, { baseURL: `${gw.base}/anthropic` }).beta.messages.create({ ...body('hello'), betas: ['x-1'] })), plain, 'the beta resource');
});
await test('api 6.1: batches are not offered: 404 in the envelope', async () => {
  const e = await client.messages.batches.list().catch((x) => x);
  ok(e instanceof Anthropic.NotFoundError, String(e));
  equal(e.error?.error?.type, 'not_found_error');
  ok((await client.messages.batches.create({ requests: [] }).catch((x) => x)) instanceof Anthropic.NotFoundError, 'create');
});
await test('api 1.2: the key in x-api-key, as bearer, both with one good', async () => {
  equal(text(await ask('hello', {}, new Anthropic({ apiKey: null, authToken: KEY, baseURL: gw.base, maxRetries: 0 }))), plain, 'bearer');
  const r = await post(gw, '/v1/messages', body('hello'), { key: null, headers: { 'x-api-key': KEY, authorization: 'Bearer sk-other' } });
  equal(r.status, 200);
});
await test('api 0.11: what has no effect is named', async () => {
  const r = await post(gw, '/v1/messages', body([{ type: 'text', text: 'hello', cache_control: { type: 'ephemeral' } }],
    { temperature: 0.3, top_k: 5, metadata: { user_id: 'u' }, service_tier: 'auto' }));
  equal([r.status, r.headers.get('x-qwen2api-ignored')], [200, 'temperature,top_k,metadata,service_tier,cache_control']);
});
await test('system text and blocks, several turns, a prefill: all reach the model', async () => {
  for (const system of ['Be brief.', [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }, { type: 'text', text: 'Be kind.' }]]) {
    const r = await client.messages.create({ ...body('x'), system, messages: [{ role: 'user', content: 'one' }, { role: 'assistant', content: [{ type: 'thinking', thinking: 'hidden-thought', signature: 'x' },
      { type: 'text', text: 'two' }] }, { role: 'user', content: [{ type: 'text', text: 'three' }, { type: 'text', text: '[[scenario:echo]]' }] }] });
    const said = text(r);
    for (const part of ['Be brief.', 'User: one', 'Assistant: two', 'three']) ok(said.includes(part), `${part} in ${said}`);
    ok(!said.includes('hidden-thought'), 'thoughts are dropped');
  }
});

// ---- streams ----
await test('api 6.4: messages.stream() and the raw stream say what create says', async () => {
  const s = client.messages.stream(body('hello'));
  let pieces = '';
  s.on('text', (t) => { pieces += t; });
  const final = await s.finalMessage();
  equal([text(final), pieces], [plain, plain]);
  ok(ids.test(final.id) && final.stop_reason === 'end_turn' && final.usage.output_tokens > 0, JSON.stringify(final));
  const r = await rawStream('hello'), e = events(r.raw);
  ok(r.headers.get('content-type').startsWith('text/event-stream'), 'content type');
  equal(r.headers.get('cache-control'), 'no-cache, no-transform');
  equal([e[0].type, e[1].type, e[2].type, e.at(-3).type, e.at(-2).type, e.at(-1).type],
    ['message_start', 'ping', 'content_block_start', 'content_block_stop', 'message_delta', 'message_stop']);
  ok(e[0].message.usage.input_tokens > 0 && e[0].message.usage.output_tokens === 1, 'the estimate at the start');
  equal(e.filter((x) => x.type === 'content_block_delta').map((x) => x.delta.text).join(''), plain);
});
await test('create({stream:true}) iterates', async () => {
  let got = '';
  for await (const e of await client.messages.create({ ...body('hello'), stream: true })) if (e.type === 'content_block_delta') got += e.delta.text;
  equal(got, plain);
});
for (const scenario of ['split1', 'split_char_delta', 'crlf', 'gzip'])
  await test(`any cut of the upstream's bytes gives the same text: ${scenario}`, async () => {
    const whole = text(await ask(`[[scenario:${scenario}]]`));
    ok(whole.length > 0 && !whole.includes('\ufffd'), whole);
    equal(text(await client.messages.stream(body(`[[scenario:${scenario}]]`)).finalMessage()), whole);
  });
await test('api 0.9 6.4: comments before message_start, pings behind it', async () => {
  await fresh({ SSE_EARLY_HEADERS_MS: '200', SSE_HEARTBEAT_SECONDS: '1' }, async (g) => {
    const early = events((await rawStream('[[scenario:slow ms=3200 quiet=1]]', {}, g)).raw);
    ok(early.filter((e) => e.comment).length >= 2, 'comments while nothing came');
    equal(early.find((e) => !e.comment).type, 'message_start');
    const late = events((await rawStream(say('abcdefgh', 'step=4 ms=2500'), {}, g)).raw);
    const first = late.findIndex((e) => e.type === 'content_block_delta'), last = late.findLastIndex((e) => e.type === 'content_block_delta');
    ok(late.slice(first, last).some((e) => e.type === 'ping'), 'a ping while the text paused');
    equal(late.filter((e) => e.type === 'content_block_start').length, 1, 'and it opened no other block');
  });
});

// ---- thinking ----
const thinking = { thinking: { type: 'enabled', budget_tokens: 2000 } };
await test('api 6.3: thinking is a block of its own, with a signature', async () => {
  const r = await ask('[[scenario:thinking_detail]]', thinking);
  equal(r.content.map((b) => b.type), ['thinking', 'text']);
  ok(r.content[0].thinking.length > 0 && Buffer.from(r.content[0].signature, 'base64').length > 0, JSON.stringify(r.content[0]));
  const s = client.messages.stream(body('[[scenario:thinking_detail]]', thinking));
  let thought = '', signed = '';
  s.on('thinking', (t) => { thought += t; });
  s.on('signature', (t) => { signed = t; });
  const final = await s.finalMessage();
  equal(final.content.map((b) => b.type), ['thinking', 'text']);
  equal([thought, text(final)], [r.content[0].thinking, text(r)]);
  ok(signed.length > 0 && final.content[0].signature === signed, 'the signature');
  equal(text(await client.messages.create({ ...body('x'), messages: [{ role: 'user', content: 'x' }, { role: 'assistant', content: final.content }, { role: 'user', content: 'hello' }] })), plain, 'and back again');
});
await test('api 6.3: no thinking block unless asked for, nor with OUTPUT_THINK=false', async () => {
  for (const more of [{}, { thinking: { type: 'disabled' } }, { output_config: { effort: 'high' } }]) {
    equal((await ask('[[scenario:thinking_detail]]', more)).content.map((b) => b.type), ['text'], JSON.stringify(more));
    ok(!(await rawStream('[[scenario:thinking_detail]]', more)).raw.includes('thinking_delta'), 'stream');
  }
  await fresh({ OUTPUT_THINK: 'false' }, async (g, c) => equal((await ask('[[scenario:thinking_detail]]', thinking, c)).content.map((b) => b.type), ['text']));
});
await test('api 6.5: warm-ups, quota probes and titles do not think', async () => {
  await fake.reset();
  for (const more of [{ max_tokens: 1, ...thinking }, { max_tokens: 1 }, {}]) {
    const r = await ask(more.max_tokens ? 'quota' : 'Summarize this conversation as a title', more);
    ok(r.content.length > 0 && ['max_tokens', 'end_turn'].includes(r.stop_reason), JSON.stringify(r));
    equal((await asked()).feature_config.thinking_enabled, false, JSON.stringify(more));
  }
});

// ---- limits ----
await test('api 3.12 6.3: stop_sequence is told with its text, in both modes', async () => {
  for (const r of [await ask(say('one two STOP three'), { stop_sequences: ['END', 'STOP'] }),
    await client.messages.stream(body(say('one two STOP three'), { stop_sequences: ['END', 'STOP'] })).finalMessage()]) {
    equal([text(r).trim(), r.stop_reason], ['one two', 'stop_sequence']);
    equal(r.stop_sequence, 'STOP');
  }
});
await test('a stop sequence before the first word still gives a block', async () => {
  const r = await ask(say('STOP three'), { stop_sequences: ['STOP'] });
  equal([r.content.length, text(r), r.stop_reason], [1, '', 'stop_sequence']);
});
await test('api 3.12 6.3: max_tokens', async () => {
  const long = 'word '.repeat(200);
  for (const r of [await ask(say(long), { max_tokens: 10 }), await client.messages.stream(body(say(long), { max_tokens: 10 })).finalMessage()]) {
    equal(r.stop_reason, 'max_tokens');
    ok(text(r).length >= 10 && text(r).length < 100, text(r));
  }
});
await test('api 6.3: the content filter in a running answer is a refusal', async () => {
  const r = await client.messages.stream(body('[[scenario:moderation after=3 ms=400]]')).finalMessage();
  equal(r.stop_reason, 'refusal');
  ok(text(r).length > 0, 'what was said before');
});

// ---- search ----
await test('api 6.2 3.8: the web search server tool searches; sources stand behind the text', async () => {
  const tools = [{ type: 'web_search_20250305', name: 'web_search', max_uses: 3 }];
  const table = text(await ask('[[scenario:search]]', { tools }));
  ok(/\n\n---\n\n\| # \| Source \| Site \|\n/.test(table), table);
  equal(text(await client.messages.stream(body('[[scenario:search]]', { tools, tool_choice: { type: 'tool', name: 'web_search' } })).finalMessage()), table);
  await fresh({ SEARCH_INFO_MODE: 'text' }, async (g, c) => ok(/\n\n---\n\n\[1\] \[/.test(text(await ask('[[scenario:search]]', { tools }, c))), 'as a list'));
});

// ---- count_tokens ----
await test('api 6.6: countTokens is local, grows with the request, and needs no account', async () => {
  await fresh({ ACCOUNTS: null }, async (g, c) => {
    const messages = [{ role: 'user', content: 'How many tokens are these few words?' }];
    const count = async (more, to = c.messages) => (await to.countTokens({ model: 'claude-opus-5', messages, ...more })).input_tokens;
    const base = await count({});
    ok(base >= 8 && base < 40, `${base}`);
    equal(await count({}, c.beta.messages), base, 'the beta resource');
    equal(await count({ temperature: 0.1, max_tokens: 5, stream: true }), base, 'what does not count');
    ok(await count({ system: 'A system text of some more words.' }) > base + 5, 'system');
    ok(await count({ tools: [{ name: 'f', description: 'looks up the weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }] }) > base + 20, 'tools');
    const picture = (source) => count({ messages: [{ role: 'user', content: [{ type: 'image', source }, { type: 'text', text: messages[0].content }] }] });
    ok(await picture({ type: 'url', url: 'https://img.example.test/cat.png' }) >= base + 1024, 'a picture of unknown size');
    const long = await count({ messages: [{ role: 'user', content: 'word '.repeat(1000) }] });
    ok(long > 900 && long < 1300, `a long text: ${long}`);
    const bad = await c.messages.countTokens({ model: 'claude-opus-5', messages: [] }).catch((x) => x);
    ok(bad instanceof Anthropic.BadRequestError, String(bad));
    equal((await fake.stats()).completions ?? 0, 0, 'no call upstream');
  });
});
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
await test('api 6.6 3.15: a picture counts by its size, a document by its words', async () => {
  await fresh({ ACCOUNTS: null }, async (g, c) => {
    const count = async (content) => (await c.messages.countTokens({ model: 'claude-opus-5', messages: [{ role: 'user', content }] })).input_tokens;
    const hi = { type: 'text', text: 'hi' }, base = await count('hi'), lines = 'some words of a note '.repeat(50);
    const image = (data) => ({ type: 'image', source: { type: 'base64', media_type: 'image/png', data } });
    const document = (source) => ({ type: 'document', source });
    equal(await count([image(png), hi]), base + 4, 'one of 1 x 1');
    const wide = Buffer.from(png, 'base64');
    wide.writeUInt32BE(2800, 16);
    wide.writeUInt32BE(1400, 20);
    equal(await count([image(wide.toString('base64').replace(/.{20}/g, '$&\n')), hi]), base + 5000, 'one of 2800 x 1400');
    const text = await count([document({ type: 'text', media_type: 'text/plain', data: lines }), hi]) - base;
    ok(text > 240 && text < 320, `${text}`);
    equal(await count([document({ type: 'base64', media_type: 'text/plain', data: b64(lines) }), hi]), base + text, 'the same in base64');
  });
});
await test('api 6.4 6.6: message_start tells what count_tokens tells', async () => {
  const counted = (await client.messages.countTokens({ model: 'claude-opus-5', messages: [{ role: 'user', content: 'hello' }] })).input_tokens;
  equal(events((await rawStream('hello')).raw)[0].message.usage.input_tokens, counted);
});

// ---- what is refused ----
await test('api 6.2: mcp_servers, a file by its id, an unknown block: 400 with words', async () => {
  for (const more of [{ mcp_servers: [{ type: 'url', url: 'https://m.example', name: 'm' }] }, { messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'file', file_id: 'f' } }] }] },
    { messages: [{ role: 'user', content: [{ type: 'hologram' }] }] }, { tools: [{ type: 'computer_20250124', name: 'computer', display_width_px: 1, display_height_px: 1 }] }]) {
    const e = await ask('x', more).catch((x) => x);
    ok(e instanceof Anthropic.BadRequestError, String(e));
    equal(e.error?.error?.type, 'invalid_request_error');
    ok(e.error.error.message.length > 10 && e.error.request_id === e.requestID, JSON.stringify(e.error));
  }
});
await test('api 6.2: threads: a typed 400; the SDK goes on without and sends the whole history', async () => {
  const e = await client.beta.messages.create({ ...body('x'), thread: { type: 'create' } }).catch((x) => x);
  equal([e.status, e.error?.error?.details?.error_code, e.error?.error?.details?.unsupported], [400, 'thread_unsupported_request', ['thread']]);
  const thread = client.beta.messages.thread({ model: 'claude-opus-5', max_tokens: 1000, unsupportedRequestBehavior: 'continue_unthreaded' });
  equal(text(await thread.send({ role: 'user', content: 'hello' })), plain);
  const second = text(await thread.send({ role: 'user', content: 'and more [[scenario:echo]]' }));
  ok(second.includes('User: hello') && second.includes('and more'), second);
});

// ---- errors ----
await test('api 6.8: each status has its class and its envelope', async () => {
  const cases = [
    ['[[scenario:quota]]', 429, Anthropic.RateLimitError, 'rate_limit_error'], ['[[scenario:internal]]', 502, Anthropic.InternalServerError, 'api_error'],
    ['[[scenario:punish]]', 502, Anthropic.InternalServerError, 'api_error'], ['[[scenario:too_long]]', 400, Anthropic.BadRequestError, 'invalid_request_error'],
    ['[[scenario:empty]]', 502, Anthropic.InternalServerError, 'api_error'], ['[[scenario:moderation]]', 400, Anthropic.BadRequestError, 'invalid_request_error'],
  ];
  for (const [prompt, status, kind, type] of cases)
    for (const stream of [false, true])
      await fresh({ CHAT_RETRY_COUNT: '0' }, async (g, c) => {
        const e = await c.messages.create({ ...body(prompt), stream }).catch((x) => x);
        ok(e instanceof kind, `${prompt}: ${e}`);
        equal([e.status, e.error?.type, e.error?.error?.type], [status, 'error', type], prompt);
        ok(e.requestID && e.error.request_id === e.requestID, 'the request id');
      });
  const bad = await sdk(gw, { apiKey: 'sk-wrong-wrong' }).messages.create(body('x')).catch((x) => x);
  ok(bad instanceof Anthropic.AuthenticationError && bad.error.error.type === 'authentication_error', String(bad));
  const none = await post(gw, '/anthropic/v1/messages', body('x'), { key: null });
  equal([none.status, (await none.json()).error.type], [401, 'authentication_error']);
  const json = await post(gw, '/v1/messages', '{"model":');
  equal([json.status, (await json.json()).error.type], [400, 'invalid_request_error']);
  const get = await fetch(`${gw.base}/v1/messages`, { headers: { 'x-api-key': KEY } });
  equal([get.status, get.headers.get('allow'), (await get.json()).error.type], [405, 'POST, OPTIONS', 'invalid_request_error']);
  const lost = await post(gw, '/anthropic/v1/nothing', {});
  equal([lost.status, (await lost.json()).error.type], [404, 'not_found_error']);
  const long = await fresh({ BODY_LIMIT_MB: '1' }, async (g) => {
    const r = await post(g, '/v1/messages', body('x'.repeat(1100 * 1024)));
    return [r.status, (await r.json()).error.type];
  });
  equal(long, [413, 'request_too_large']);
});
await test('api 6.8: no account is a 503 api_error that tells why', async () => {
  await fresh({ ACCOUNTS: null }, async (g, c) => {
    const e = await ask('x', {}, c).catch((x) => x);
    equal([e.status, e.error?.error?.type], [503, 'api_error']);
    ok(/account/.test(e.error.error.message), e.error.error.message);
  });
});
await test('api 6.8: overloaded is 529 overloaded_error with Retry-After', async () => {
  await fresh({ MAX_INFLIGHT_PER_ACCOUNT: '1', QUEUE_MAX: '0' }, async (g, c) => {
    const s = c.messages.stream(body('[[scenario:stream n=600 ms=100 size=20]]'));
    const ended = s.done().catch((x) => x);
    await new Promise((r) => s.once('text', r));
    const e = await ask('x', {}, c).catch((x) => x);
    equal([e.status, e.error?.error?.type], [529, 'overloaded_error']);
    ok(e instanceof Anthropic.OverloadedError, String(e));
    equal(e.headers.get('retry-after'), '5');
    s.abort();
    await ended;
  });
});
await test('api 6.4: an upstream that breaks mid-stream is one error event; the open block stays open', async () => {
  await fresh({}, async (g, c) => {
    const r = events((await rawStream('[[scenario:drop]]', {}, g)).raw);
    equal([r.at(-1).type, r.at(-1).error.type], ['error', 'api_error']);
    ok(!r.some((e) => e.type === 'content_block_stop' || e.type === 'message_stop'), 'nothing is closed');
    const e = await c.messages.stream(body('[[scenario:drop]]')).finalMessage().catch((x) => x);
    ok(e instanceof Anthropic.APIError && e.error?.error?.type === 'api_error', String(e));
  });
});
await test('x-should-retry stops the retries of the client', async () => {
  await fresh({}, async (g) => {
    await sdk(g, { maxRetries: 2 }).messages.create(body('[[scenario:punish]]')).catch((x) => x);
    await sleep(300);
    equal((await fake.stats()).completions, 1, 'one call upstream');
  });
});
await test('api 0.12: abort stops the upstream turn within a second', async () => {
  await fake.reset();
  const s = client.messages.stream(body('[[scenario:stream n=600 ms=100 size=20]]'));
  const ended = s.done().catch((x) => x);
  await new Promise((r) => s.once('text', r));
  s.abort();
  ok((await ended) instanceof Anthropic.APIUserAbortError, 'the class of an abort');
  await waitFor(async () => (await fake.stats()).stops >= 1, 3000, 'a stop call');
  await waitFor(async () => (await fake.stats()).running === 0, 3000, 'no stream is left running');
});

// ---- what coding programs send beside the chat ----
await test('api 13: several system blocks, a title in parallel, a warm-up, a search, counting, all at once', async () => {
  const system = ['x-header: 1', 'You are a coding program.', 'Be short.'].map((t) => ({ type: 'text', text: t, cache_control: { type: 'ephemeral' } }));
  const beta = sdk(gw, { defaultHeaders: { 'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14' } }).beta.messages;
  const [a, b, c, d, e] = await Promise.all([
    beta.stream({ ...body('hello'), system, ...thinking }).finalMessage(), beta.create({ ...body('write a title'), max_tokens: 512, system: system[0].text, temperature: 0 }),
    beta.create({ ...body('quota'), max_tokens: 1, metadata: { user_id: 'u' } }),
    beta.create({ ...body('[[scenario:search]]'), tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 8 }], tool_choice: { type: 'tool', name: 'web_search' } }),
    beta.countTokens({ model: 'claude-haiku-4-5', system, messages: [{ role: 'user', content: 'hello' }] }),
  ]);
  for (const m of [a, b, c, d]) ok(m.content.length > 0, JSON.stringify(m));
  equal(text(a), plain);
  ok(text(d).includes('http'), 'sources');
  ok(e.input_tokens > 10, 'a count');
});

// ---- tools ----
const call = (name, input) => `<q2a_call>\n${JSON.stringify({ name, arguments: input })}\n</q2a_call>`;
const then = (mark, words) => `when=${b64(mark)} then=${b64(words)}`;
const weather = { name: 'get_weather', description: 'The weather of a city.', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } };
const clock = { name: 'get_time', input_schema: { type: 'object', properties: {} } };
// Both ways: the same blocks; the ids of calls are their own.
async function bothWays(content, more, check) {
  const whole = await ask(content, more), streamed = await client.messages.stream(body(content, more)).finalMessage();
  for (const r of [whole, streamed]) {
    ok(!/q2a_|tool_call>/.test(text(r)), `markup leaks: ${text(r)}`);
    for (const b of r.content) if (b.type === 'tool_use') ok(/^toolu_[A-Za-z0-9]{24}$/.test(b.id), b.id);
    await check(r);
  }
}
const shape = (r) => r.content.map((b) => (b.type === 'tool_use' ? [b.name, b.input] : [b.type, b.text ?? b.thinking]));
await test('api 6.3 6.4: text, then calls; nothing behind them', () =>
  bothWays(say(`I will look.\n\n${call('get_weather', { city: 'Paris' })}\n${call('get_time', {})}\nnever shown`, 'step=3'), { tools: [weather, clock] }, (r) =>
    equal([shape(r), r.stop_reason], [[['text', 'I will look.'], ['get_weather', { city: 'Paris' }], ['get_time', {}]], 'tool_use'])));
await test('a call alone, and one behind a thought', async () => {
  await bothWays(say(call('get_time', {})), { tools: [clock] }, (r) => equal([shape(r), r.stop_reason], [[['get_time', {}]], 'tool_use']));
  await bothWays(say(call('get_time', {}), `think_b64=${b64('What time?')}`), { tools: [clock], ...thinking }, (r) => equal(shape(r), [['thinking', 'What time?'], ['get_time', {}]]));
});
await test('api 6.2: tool_choice: any, a tool by its name, none; one call at most', async () => {
  const both = say(`${call('get_weather', { city: 'Rome' })}${call('get_time', {})}`);
  await bothWays(both, { tools: [weather, clock], tool_choice: { type: 'auto', disable_parallel_tool_use: true } }, (r) => equal(shape(r), [['get_weather', { city: 'Rome' }]]));
  await bothWays(say(call('get_time', {})), { tools: [weather, clock], tool_choice: { type: 'tool', name: 'get_time' } }, (r) => equal(shape(r), [['get_time', {}]]));
  await bothWays(say('No tool today.'), { tools: [weather], tool_choice: { type: 'none' } }, (r) => equal([shape(r), r.stop_reason], [[['text', 'No tool today.']], 'end_turn']));
  const e = await ask(say('I would rather not.'), { tools: [weather], tool_choice: { type: 'any' } }).catch((x) => x);
  equal([e.status, e.error?.error?.type], [502, 'api_error']);
});
await test('api 6.2: typed tools are client tools with their published arguments', async () => {
  const tools = [{ type: 'bash_20250124', name: 'bash' }, { type: 'text_editor_20250728', name: 'str_replace_based_edit_tool' }, { type: 'memory_20250818', name: 'memory' }];
  const input = { command: 'str_replace', path: '/a.c', old_str: 'x', new_str: '{"y":1}' };
  await bothWays(say(`${call('bash', { command: 'ls' })}${call('str_replace_based_edit_tool', input)}${call('memory', { command: 'view', path: '/memories' })}`), { tools }, (r) =>
    equal(shape(r), [['bash', { command: 'ls' }], ['str_replace_based_edit_tool', input], ['memory', { command: 'view', path: '/memories' }]]));
  const prompt = (await asked()).content;
  for (const word of ['bash', 'restart', 'insert_line', 'view_range', 'old_path']) ok(prompt.includes(word), `the model was told of ${word}`);
});
await test('a loop of two rounds; a failed result says so', async () => {
  const messages = [{ role: 'user', content: say(call('get_weather', { city: 'Oslo' }), then('<q2a_result id="toolu_', 'It rains in Oslo.')) }];
  const first = await client.messages.create({ ...body('x'), messages, tools: [weather] });
  const use = first.content.find((b) => b.type === 'tool_use');
  messages.push({ role: 'assistant', content: first.content });
  const second = await client.messages.create({ ...body('x'), tools: [weather],
    messages: [...messages, { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: [{ type: 'text', text: 'rain' }] }, { type: 'text', text: 'a reminder' }] }] });
  equal([shape(second), second.stop_reason], [[['text', 'It rains in Oslo.']], 'end_turn']);
  await client.messages.create({ ...body('x'), tools: [weather],
    messages: [...messages, { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'no station', is_error: true }, { type: 'text', text: 'a reminder' }] }] });
  const prompt = (await asked()).content;
  ok(prompt.endsWith(`<q2a_result id="${use.id}" name="get_weather" error="true">\nno station\n</q2a_result>\na reminder`), prompt);
});
await test("the SDK's tool runner: asks for a thread, goes on without, runs the tool, ends", async () => {
  const ran = [];
  const final = await client.beta.messages.toolRunner({ ...body(say(call('get_weather', { city: 'Oslo' }), then('<q2a_result id="toolu_', 'It rains in Oslo.'))), max_iterations: 4,
    tools: [betaTool({ name: 'get_weather', description: 'The weather of a city.', inputSchema: weather.input_schema, run: (input) => { ran.push(input); return 'rain'; } })] });
  equal([ran, text(final)], [[{ city: 'Oslo' }], 'It rains in Oslo.']);
});
await test('api 6.2 3.11: output_config.format gives JSON that fits', async () => {
  const schema = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city', 'days'], additionalProperties: false };
  const more = { output_config: { format: { type: 'json_schema', schema } } };
  await bothWays(say('Sure:\n```json\n{"city": "Oslo", "days": 3}\n```'), more, (r) => equal([JSON.parse(text(r)), r.content.length], [{ city: 'Oslo', days: 3 }, 1]));
  const e = await ask(say('I cannot.'), more).catch((x) => x);
  equal([e.status, e.error?.error?.type], [502, 'api_error']);
});

// ---- pictures and documents ----
const sent = async () => (await asked()).files.map((f) => [f.type, f.file_class]);
await test('api 6.2 3.4: a picture by its bytes or its address, a document: they go along', async () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } };
  equal(text(await ask([image, { type: 'text', text: 'hello' }])), plain);
  equal((await asked()).files.length, 1, 'one file');
  equal(text(await ask([{ type: 'image', source: { type: 'url', url: 'https://img.example.test/cat.png' } }, { type: 'text', text: 'hello' }])), plain);
  equal((await asked()).files.length, 1, 'one file');
  const doc = { type: 'document', title: 'note.txt', context: 'About the note.', source: { type: 'text', media_type: 'text/plain', data: 'a line of the note' } };
  equal(text(await ask([doc, image, { type: 'text', text: 'hello' }])), plain);
  const last = await asked();
  equal(last.files.length, 2, JSON.stringify(await sent()));
  ok(last.content.includes('About the note.'), last.content);
});
await test('api 6.2: a picture in a tool result goes along', async () => {
  await client.messages.create({ ...body('x'), tools: [clock], messages: [{ role: 'user', content: 'look' }, { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'get_time', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'the clock' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }] }] }] });
  const last = await asked();
  equal(last.files.length, 1);
  ok(/<q2a_result id="toolu_1" name="get_time">\nthe clock \[image 1\]\n<\/q2a_result>/.test(last.content), last.content);
});
await test('api 3.4: what is no picture, or at a private address, is a 400; never a chat without it', async () => {
  const before = (await fake.stats()).completions;
  for (const source of [{ type: 'base64', media_type: 'image/png', data: b64('<html>no picture</html>') }, { type: 'url', url: 'http://127.0.0.1:1/a.png' }]) {
    const e = await ask([{ type: 'image', source }, { type: 'text', text: 'hello' }]).catch((x) => x);
    ok(e instanceof Anthropic.BadRequestError && e.error.error.type === 'invalid_request_error', String(e));
  }
  equal((await fake.stats()).completions, before, 'no chat without the picture');
});
await test('api 3.9: a picture that the model draws is markdown at its place', () =>
  bothWays('[[scenario:image_inline]]', {}, (r) => ok(/!\[image\]\(https:\/\/cdn\.qwenlm\.ai\/[^)]*\)/.test(text(r)) && r.content.length === 1, text(r))));
await done();
