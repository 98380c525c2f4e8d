// /v1 over official keys: accounts of kind api whose record serves `chat` answer Messages, Responses, completions and chats for
// models that no usable web account offers. Names say the paragraph of the specification. The keys come out of the store.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { test, equal, ok, done, fakeUpstream, gateway, post, events, sleep, waitFor, top, KEY } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '4'] });
const BASE = 'https://dashscope.aliyuncs.com/compatible-mode/v1';
const MODEL = 'qwen-plus'; // no web account of the fake has it
const hello = 'Hello, 世界! This is the fake upstream.';
const b64 = (s) => Buffer.from(s).toString('base64');
const quick = { CHAT_RETRY_BACKOFF_MS: '10', QUEUE_TIMEOUT: '1' };

// A gateway of its own for each test, with keys in its store: [name, key, models, serves].
async function fresh(fn, { env = {}, keys = [['vendor', 'sk-fake-dashscope', MODEL, 4]], web = true } = {}) {
  await fake.reset();
  const dir = mkdtempSync(join(tmpdir(), 'q2a-store-'));
  const store = { DATA_SAVE_MODE: 'file', DATA_DIR: dir, SECRET_KEY: 'a secret of the test' };
  for (const [name, key, models, serves] of keys)
    execFileSync(join(top, 'build/seed'), [name, key, BASE, models, String(serves)], { env: { ...store, API_KEY: KEY } });
  const gw = await gateway(fake, { ...quick, ...store, ...env });
  if (web) await waitFor(() => /\d models/.test(gw.log()), 10000, 'the model list of the web');
  const stop = async () => { await gw.stop(); rmSync(dir, { recursive: true, force: true }); };
  if (!fn) return { gw, stop };
  try { return await fn(gw); } finally { await stop(); }
}
// One gateway for all tests that leave nothing behind.
const common = await fresh(null);
async function shared(fn) { await fake.reset(); return fn(common.gw); }
async function asked() { // the last request at the official endpoint
  const all = await (await fetch(`${fake.base}/__log?n=100&heads=1&bodies=1`)).json();
  const e = (Array.isArray(all) ? all : all.log ?? all.requests).filter((x) => x.path.split('?')[0].endsWith('/compatible-mode/v1/chat/completions')).at(-1);
  return typeof e.body === 'string' ? JSON.parse(e.body) : e.body;
}
const calls = async () => (await fake.stats()).dashscope ?? 0;

// ---- one request in each protocol; the answer as { text, think, tools, why, usage } ----
function named(raw) { // events with names
  return raw.split('\n\n').filter((b) => b && !b.startsWith(':')).map((b) => {
    const [, name, data] = /^event: (\S+)\ndata: (.*)$/.exec(b) ?? [];
    ok(name, `an event: ${b}`);
    const d = JSON.parse(data);
    equal(d.type, name, 'type');
    return d;
  });
}
const shapes = {
  messages: {
    path: '/v1/messages',
    ask: (prompt, tools) => ({ model: MODEL, max_tokens: 500, messages: typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt,
      ...(tools ? { tools: tools.map((t) => ({ name: t, input_schema: { type: 'object', properties: { n: { type: 'integer' } } } })) } : {}) }),
    whole: (j) => ({ text: j.content.filter((c) => c.type === 'text').map((c) => c.text).join(''), think: j.content.filter((c) => c.type === 'thinking').map((c) => c.thinking).join(''),
      tools: j.content.filter((c) => c.type === 'tool_use').map((c) => [c.name, c.input]), why: j.stop_reason, usage: [j.usage.input_tokens, j.usage.output_tokens], model: j.model }),
    read: (raw) => {
      const r = { text: '', think: '', tools: [] }, open = [];
      const all = named(raw);
      equal([all[0].type, all[1].type], ['message_start', 'ping']);
      ok(all[0].message.usage.input_tokens > 0, 'an estimate of the input');
      for (const e of all) {
        if (e.type === 'message_start') r.model = e.message.model;
        if (e.type === 'content_block_start') { open.push(e.index); equal(e.index, open.length - 1, 'blocks count up'); if (e.content_block.type === 'tool_use') r.tools.push([e.content_block.name, '']); }
        if (e.delta?.type === 'text_delta') r.text += e.delta.text;
        if (e.delta?.type === 'thinking_delta') r.think += e.delta.thinking;
        if (e.delta?.type === 'input_json_delta') r.tools.at(-1)[1] += e.delta.partial_json;
        if (e.type === 'message_delta') { r.why = e.delta.stop_reason; r.usage = [e.usage.input_tokens, e.usage.output_tokens]; }
        if (e.type === 'error') r.error = { message: e.error.message, type: e.error.type };
      }
      if (!r.error) equal(all.at(-1).type, 'message_stop', 'the end');
      r.tools = r.tools.map(([n, a]) => [n, JSON.parse(a)]);
      return r;
    },
    why: { stop: 'end_turn', length: 'max_tokens', calls: 'tool_use' },
    error: (j) => ({ type: j.error.type, message: j.error.message }),
  },
  responses: {
    path: '/v1/responses',
    ask: (prompt, tools) => ({ model: MODEL, input: prompt,
      ...(tools ? { tools: tools.map((t) => ({ type: 'function', name: t, parameters: { type: 'object', properties: { n: { type: 'integer' } } } })) } : {}) }),
    whole: (j) => ({ text: j.output.filter((o) => o.type === 'message').map((o) => o.content[0].text).join(''), think: j.output.filter((o) => o.type === 'reasoning').map((o) => o.summary[0].text).join(''),
      tools: j.output.filter((o) => o.type === 'function_call').map((o) => [o.name, JSON.parse(o.arguments)]), why: j.status, usage: [j.usage.input_tokens, j.usage.output_tokens], model: j.model }),
    read: (raw) => {
      const all = named(raw);
      all.forEach((e, i) => equal(e.sequence_number, i, 'sequence_number'));
      const end = all.filter((e) => ['response.completed', 'response.incomplete', 'response.failed'].includes(e.type));
      equal(end.length, 1, 'one terminal event');
      equal(all.at(-1), end[0], 'it comes last');
      if (end[0].type === 'response.failed') return { error: end[0].response.error };
      const r = shapes.responses.whole(end[0].response);
      equal(all.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join(''), r.text, 'deltas');
      equal(all.filter((e) => e.type === 'response.reasoning_summary_text.delta').map((e) => e.delta).join(''), r.think, 'thoughts');
      equal(all.filter((e) => e.type === 'response.function_call_arguments.done').map((e) => [e.name, JSON.parse(e.arguments)]), r.tools, 'calls');
      return r;
    },
    why: { stop: 'completed', length: 'incomplete', calls: 'completed' },
    error: (j) => ({ code: j.error.code, type: j.error.type, message: j.error.message }),
  },
  completions: {
    path: '/v1/completions',
    ask: (prompt) => ({ model: MODEL, prompt }),
    whole: (j) => ({ text: j.choices[0].text, think: '', tools: [], why: j.choices[0].finish_reason, usage: [j.usage.prompt_tokens, j.usage.completion_tokens], model: j.model }),
    read: (raw) => {
      const all = events(raw), r = { text: '', think: '', tools: [] };
      ok(all.at(-1).done, '[DONE] comes last');
      for (const { data } of all) {
        if (data?.error) r.error = data.error;
        if (data?.usage) r.usage = [data.usage.prompt_tokens, data.usage.completion_tokens];
        if (data?.model) r.model = data.model;
        if (data?.choices?.[0]) { r.text += data.choices[0].text; r.why = data.choices[0].finish_reason ?? r.why; }
      }
      return r;
    },
    why: { stop: 'stop', length: 'length' },
    error: (j) => ({ code: j.error.code, type: j.error.type, message: j.error.message }),
  },
};
const names = Object.keys(shapes);
const thinking = { messages: { thinking: { type: 'enabled', budget_tokens: 1024 } }, responses: { reasoning: { effort: 'low', summary: 'auto' } }, completions: {} };

async function say(gw, shape, body, stream) {
  const s = shapes[shape], r = await post(gw, s.path, { ...body, ...(stream ? { stream: true } : {}) });
  const raw = await r.text(), events = (r.headers.get('content-type') || '').startsWith('text/event-stream');
  const a = { status: r.status, headers: r.headers, route: r.headers.get('x-qwen2api-route'), raw };
  if (events) return { ...a, ...s.read(raw) };
  const json = JSON.parse(raw);
  return r.status === 200 ? { ...a, ...s.whole(json), json } : { ...a, error: s.error(json) };
}
// The same prompt streamed and not, in each protocol.
async function each(name, prompt, check, { more = {}, options, only = names } = {}) {
  for (const shape of only)
    await test(`${name} (${shape})`, () => (options ? (f) => fresh(f, options) : shared)(async (gw) => {
      const s = shapes[shape], body = { ...s.ask(prompt), ...(more[shape] ?? more) };
      const a = await say(gw, shape, body, false), b = await say(gw, shape, body, true);
      equal([a.status, b.status], [200, 200], `${a.raw}\n${b.raw}`);
      equal([a.route, b.route], ['api', 'api'], 'route');
      equal([a.model, b.model], [MODEL, MODEL], 'model');
      equal([b.text, b.think, b.tools, b.why, b.usage], [a.text, a.think, a.tools, a.why, a.usage], 'streamed as collected');
      await check(a, s, shape, gw);
    }));
}

await each('api 9.1: text', 'hi', async (a, s) => {
  equal([a.text, a.why, a.usage], [hello, s.why.stop, [12, 9]]);
  equal(a.headers.get('x-qwen2api-model'), MODEL);
  const body = await asked();
  equal([body.model, body.stream, body.stream_options], [MODEL, true, { include_usage: true }]);
  ok(body.messages.at(-1).content.endsWith('hi'), 'the prompt');
});
await each('api 3.7, upstream 7: thoughts', '[[scenario:thinking]]', async (a, s, shape) => {
  equal([a.text, a.think], ['2 + 2 = 4', shape === 'completions' ? '' : 'Let me count: 2 + 2']);
  const body = await asked();
  if (shape !== 'completions') equal([body.enable_thinking, body.thinking_budget], [true, shape === 'messages' ? 1024 : 4096]);
}, { more: thinking });
await each('OUTPUT_THINK=false hides them', '[[scenario:thinking]]', (a) => equal([a.text, a.think], ['2 + 2 = 4', '']), { more: thinking, options: { env: { OUTPUT_THINK: 'false' } } });
await each('length', '[[scenario:length]]', (a, s) => equal(a.why, s.why.length));
await each('no usage of the upstream: estimated', '[[scenario:no_usage]]', (a) => ok(a.usage[0] > 0 && a.usage[1] > 5, `${a.usage}`));
for (const broken of ['no_done', 'no_role', 'no_finish', 'usage_always'])
  await each(`api 4.4: ${broken} is repaired`, `[[scenario:${broken}]]`, (a, s) => equal([a.text, a.why], [hello, s.why.stop]));
await each('D9: events in pieces of a byte', `[[scenario:say b64=${b64('a🙂b"\\ 世界')} step=1]]`, (a) => equal(a.text, 'a🙂b"\\ 世界'));
await each('api 3.12: a stop string', `[[scenario:say b64=${b64('one ENDtwo')} step=1]]`, async (a, s, shape) => {
  equal(a.text, 'one ');
  equal((await asked()).stop, shape === 'messages' ? undefined : ['END'], 'told upstream where nobody asks which one it was');
}, { more: { stop: 'END' }, only: ['completions'] });
await each('api 6.3: a stop sequence is named', `[[scenario:say b64=${b64('one ENDtwo')} step=1]]`, async (a) => {
  equal([a.text, a.why, a.json.stop_sequence], ['one ', 'stop_sequence', 'END']);
  equal((await asked()).stop, undefined);
}, { more: { stop_sequences: ['x', 'END'] }, only: ['messages'] });

// ---- tools, two rounds, with the real clients ----
const tool = (name) => ({ type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] });
await test('api 6: a tool loop of two rounds with the Anthropic client, streamed and not', () => shared(async (gw) => {
  const client = new Anthropic({ apiKey: KEY, baseURL: gw.base, maxRetries: 0 });
  for (const stream of [false, true]) {
    await fake.script({ dashscope: ['tool_call name=roll n=2 args={"n":6} step=2', 'tool_call name=roll args={"n":2}', `say b64=${b64('It is a four.')}`] });
    const tools = [{ name: 'roll', description: 'Rolls a die.', input_schema: tool() }];
    const messages = [{ role: 'user', content: 'roll' }];
    const rounds = [];
    for (let i = 0; i < 4; i++) {
      const ask = { model: MODEL, max_tokens: 500, system: 'Use tools.', tools, messages };
      const m = stream ? await client.messages.stream(ask).finalMessage() : await client.messages.create(ask);
      messages.push({ role: 'assistant', content: m.content });
      const used = m.content.filter((c) => c.type === 'tool_use');
      rounds.push([m.stop_reason, used.map((u) => [u.name, u.input])]);
      if (!used.length) { equal(m.content.map((c) => c.text).join(''), 'It is a four.'); break; }
      equal(new Set(used.map((u) => u.id)).size, used.length, 'ids differ');
      messages.push({ role: 'user', content: [...used.map((u) => ({ type: 'tool_result', tool_use_id: u.id, content: [{ type: 'text', text: 'rolled 4' }] })), { type: 'text', text: 'go on' }] });
    }
    equal(rounds, [['tool_use', [['roll', { n: 6 }], ['roll', { n: 6 }]]], ['tool_use', [['roll', { n: 2 }]]], ['end_turn', []]]);
    const body = await asked();
    equal(body.messages.map((m) => m.role), ['system', 'user', 'assistant', 'tool', 'tool', 'user', 'assistant', 'tool', 'user']);
    equal([body.tools[0].function.name, body.parallel_tool_calls], ['roll', true]);
  }
}));
await test('api 7, 7.3: a tool loop of two rounds over Responses with previous_response_id, streamed and not', () => shared(async (gw) => {
  const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
  for (const stream of [false, true]) {
    await fake.script({ dashscope: ['tool_call name=roll args={"n":6} step=2', `tool_call name=patch args={"input":"***"}`, `say b64=${b64('It is a four.')}`] });
    const tools = [{ type: 'function', name: 'roll', parameters: tool(), strict: false }, { type: 'custom', name: 'patch', description: 'Patches.' }];
    let input = 'roll', previous, seen = [];
    for (let i = 0; i < 4; i++) {
      const ask = { model: MODEL, tools, input, instructions: 'Use tools.', ...(previous ? { previous_response_id: previous } : {}) };
      let r;
      if (stream) { const s = client.responses.stream(ask); r = await s.finalResponse(); } else r = await client.responses.create(ask);
      previous = r.id;
      equal((await client.responses.retrieve(r.id)).id, r.id, 'it is kept');
      const used = r.output.filter((o) => o.type.endsWith('_call'));
      seen.push(used.map((u) => [u.type, u.name, u.arguments ?? u.input]));
      if (!used.length) { equal(r.output_text ?? r.output[0].content[0].text, 'It is a four.'); break; }
      input = used.map((u) => ({ type: u.type === 'custom_tool_call' ? 'custom_tool_call_output' : 'function_call_output', call_id: u.call_id, output: 'rolled 4' }));
    }
    equal(seen, [[['function_call', 'roll', '{"n":6}']], [['custom_tool_call', 'patch', '***']], []]);
    const body = await asked();
    equal(body.messages.map((m) => m.role), ['system', 'user', 'assistant', 'tool', 'assistant', 'tool']);
    equal(body.messages[4].tool_calls[0].function, { name: 'patch', arguments: '{"input":"***"}' });
  }
}));
await test('legacy functions over an official key', () => shared(async (gw) => {
  await fake.script({ dashscope: ['tool_call name=roll args={"n":6}'] });
  const r = await (await post(gw, '/v1/chat/completions', { model: MODEL, messages: [{ role: 'user', content: 'roll' }], functions: [{ name: 'roll', parameters: tool() }] })).json();
  equal([r.choices[0].finish_reason, r.choices[0].message.function_call], ['function_call', { name: 'roll', arguments: '{"n":6}' }]);
}));
await test('api 3.4: a picture goes along; what is none is refused with its path', () => shared(async (gw) => {
  const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const source = (data) => [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data } }, { type: 'text', text: 'see' }] }];
  const a = await say(gw, 'messages', shapes.messages.ask(source(png)), false);
  equal([a.status, a.text], [200, hello]);
  equal((await asked()).messages[0].content, [{ type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }, { type: 'text', text: 'see' }]);
  const n = await calls();
  const b = await say(gw, 'messages', shapes.messages.ask(source(b64('only words'))), false);
  equal([b.status, b.error.type], [400, 'invalid_request_error'], b.raw);
  ok(b.error.message.includes('messages[0].content[0]'), b.raw);
  equal(await calls(), n, 'nothing was sent');
}));

// ---- trouble, in each protocol ----
async function refused(name, prompt, status, check, options = {}) {
  for (const shape of names)
    await test(`${name} (${shape})`, () => (options.harmless ? shared : (f) => fresh(f, options))(async (gw) => {
      for (const stream of [false, true]) {
        const a = await say(gw, shape, shapes[shape].ask(prompt), stream);
        equal(a.status, status, a.raw);
        ok(!/sk-fake|vendor|dashscope/.test(a.raw), 'no secret and no account name');
        await check(a, shape);
      }
    }));
}
const type = (shape, anthropic, openai) => (shape === 'messages' ? anthropic : openai);
await refused('row 4: limited', '[[scenario:429_retry_after]]', 429, (a, shape) => {
  equal(a.error.type, 'rate_limit_error');
  if (shape !== 'messages') equal(a.error.code, 'rate_limit_exceeded');
  ok(/try again in \d+s/.test(a.error.message), a.raw);
  ok(Number(a.headers.get('retry-after')) > 0, 'Retry-After');
});
await refused('row 7: the quota of the key', '[[scenario:insufficient_quota]]', 429, (a, shape) => {
  equal(a.error.type, 'rate_limit_error');
  ok(/official keys/.test(a.error.message), a.raw);
  if (shape !== 'messages') equal([a.error.code, a.headers.get('x-should-retry')], ['insufficient_quota', 'false']);
});
await refused('upstream 7: 401 of our key is never the client\'s', 'hi', 503, (a, shape) => {
  equal(a.error.type, type(shape, 'api_error', 'service_unavailable_error'));
  ok(/operator/.test(a.error.message), a.raw);
}, { keys: [['vendor', 'sk-wrong', MODEL, 4]] });
await refused('upstream 7: a 400 is passed through in the words of the protocol', '[[scenario:invalid]]', 400, (a) => {
  equal(a.error.type, 'invalid_request_error');
  ok(/temperature is out of range/.test(a.error.message), a.raw);
}, { harmless: true });
await refused('row 11: inspection', '[[scenario:inspection]]', 400, (a, shape) => { if (shape !== 'messages') equal(a.error.code, 'content_filter'); }, { harmless: true });
await refused('row 19: too long', '[[scenario:too_long]]', 400, (a, shape) => { if (shape !== 'messages') equal(a.error.code, 'context_length_exceeded'); }, { harmless: true });
await refused('row 16: never an empty 200', '[[scenario:empty]]', 502, (a, shape) => { if (shape !== 'messages') equal(a.error.code, 'empty_upstream_response'); });
await refused('row 12: an internal error', '[[scenario:500]]', 502, (a, shape) => equal(a.error.type, type(shape, 'api_error', 'upstream_error')));

for (const shape of names)
  await test(`row 17: a stream that is cut ends with one error, a collected one is tried again (${shape})`, () => fresh(async (gw) => {
    for (const s of ['drop', 'drop_clean', 'err_midway']) {
      const b = await say(gw, shape, shapes[shape].ask(`[[scenario:${s}]]`), true);
      equal(b.status, 200, b.raw);
      ok(b.error && !b.why, `${s}: ${b.raw}`);
      if (shape === 'responses') equal(b.error.code, 'server_error');
      if (shape === 'messages') equal(b.error.type, 'api_error');
    }
    await fake.script({ dashscope: ['drop'] });
    const a = await say(gw, shape, shapes[shape].ask('hi'), false);
    equal([a.status, a.text, a.headers.get('x-qwen2api-attempts')], [200, hello, '2'], a.raw);
  }));
await test('api 3.14: the second key serves when the first is refused', () => fresh(async (gw) => {
  for (const shape of names) {
    const a = await say(gw, shape, shapes[shape].ask('hi'), true);
    equal([a.status, a.text], [200, hello], a.raw);
  }
}, { keys: [['a-wrong', 'sk-wrong', MODEL, 4], ['b-right', 'sk-fake-second', MODEL, 4]] }));
await test('api 0.9: heartbeats while the upstream thinks are those of the protocol', () => fresh(async (gw) => {
  for (const shape of names) {
    const a = await say(gw, shape, shapes[shape].ask('[[scenario:slow ms=2500 quiet=1]]'), true);
    equal([a.status, a.text], [200, hello], a.raw);
    ok(/: keep-alive\n\n/.test(a.raw), `${shape}: ${a.raw}`);
  }
}, { env: { SSE_EARLY_HEADERS_MS: '100', SSE_HEARTBEAT: '1' } }));
await test('a client that leaves frees the key', () => fresh(async (gw) => {
  const c = new AbortController();
  const r = await post(gw, '/v1/messages', { ...shapes.messages.ask(`[[scenario:say b64=${b64('x'.repeat(4000))} step=1 ms=20]]`), stream: true }, { signal: c.signal });
  await r.body.getReader().read();
  c.abort();
  await waitFor(() => gw.log().includes('client closed (499)'), 10000, 'the gateway sees it');
  equal((await say(gw, 'responses', shapes.responses.ask('hi'), false)).text, hello);
}, { env: { MAX_INFLIGHT_PER_ACCOUNT: '1' } }));
await test('D10 a client that never reads holds its key no longer than UPSTREAM_TURN_TIMEOUT', () => fresh(async (gw) => {
  const body = JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: `[[scenario:say b64=${b64('x'.repeat(80000))} step=1]]` }] }); // 20 MB of events
  const s = connect(gw.port, '127.0.0.1');
  s.on('error', () => 0);
  s.pause();
  s.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  const next = async () => (await say(gw, 'responses', shapes.responses.ask('hi'), false)).status;
  try {
    await sleep(5000);
    equal(await next(), 503, 'a slow client is not a silent upstream: it has the key');
    await waitFor(async () => (await next()) === 200, 12000, 'the key is given up');
  } finally {
    s.destroy();
  }
}, { env: { MAX_INFLIGHT_PER_ACCOUNT: '1', UPSTREAM_TURN_TIMEOUT: '10', UPSTREAM_IDLE_TIMEOUT: '4' } }));

// ---- who serves ----
await test('api 9.1: what a usable web account offers stays with it; without `chat` in serves nothing comes here', async () => {
  await fresh(async (gw) => {
    for (const shape of names) {
      const a = await say(gw, shape, { ...shapes[shape].ask('hi'), model: 'qwen3-max' }, false);
      equal([a.status, a.route], [200, null], a.raw);
    }
    equal(await calls(), 0);
  }, { keys: [['vendor', 'sk-fake-dashscope', `${MODEL},qwen3-max`, 4]] });
  await fresh(async (gw) => {
    for (const shape of names) equal((await say(gw, shape, shapes[shape].ask('hi'), false)).status, 404);
    equal(await calls(), 0);
  }, { keys: [['vendor', 'sk-fake-dashscope', MODEL, 3]] });
});
await test('api 9.1: no usable web account: the key serves what it lists', () => fresh(async (gw) => {
  for (const shape of names) {
    const a = await say(gw, shape, { ...shapes[shape].ask('hi'), model: 'qwen3-max' }, true);
    equal([a.status, a.route, a.text], [200, 'api', hello], a.raw);
  }
}, { keys: [['vendor', 'sk-fake-dashscope', 'qwen3-max', 4]], env: { ACCOUNTS: null }, web: false }));
await test('api 2.3, 6.7: aliases and claude-* lead to a key, suffixes to its switches', () => fresh(async (gw) => {
  const a = await say(gw, 'messages', { ...shapes.messages.ask('hi'), model: 'claude-sonnet-4-5' }, true);
  equal([a.status, a.route, a.model, a.headers.get('x-qwen2api-model')], [200, 'api', 'claude-sonnet-4-5', MODEL], a.raw);
  const b = await say(gw, 'responses', { ...shapes.responses.ask('hi'), model: 'gpt-x' }, false);
  equal([b.route, b.model, (await asked()).model], ['api', 'gpt-x', MODEL], b.raw);
  const c = await say(gw, 'completions', { ...shapes.completions.ask('hi'), model: `${MODEL}-thinking-search` }, false);
  equal([c.route, c.model], ['api', `${MODEL}-thinking-search`], c.raw);
  const body = await asked();
  equal([body.model, body.enable_thinking, body.enable_search], [MODEL, true, true]);
}, { env: { ANTHROPIC_DEFAULT_MODEL: MODEL, MODEL_ALIASES: `gpt-x=${MODEL}` } }));
await test('sampling is passed on, what else has no effect is named', () => shared(async (gw) => {
  const a = await say(gw, 'completions', { ...shapes.completions.ask('hi'), temperature: 0.2, top_p: 0.9, seed: 7, user: 'me' }, false);
  const body = await asked();
  equal([a.headers.get('x-qwen2api-ignored'), body.temperature, body.top_p, body.seed, body.user], ['user', 0.2, 0.9, 7, undefined]);
  await say(gw, 'messages', { ...shapes.messages.ask('hi'), temperature: 0 }, false);
  equal((await asked()).temperature, 0);
}));
await test('api 6.6, 7.1: tokens of models that only a key offers are counted', () => shared(async (gw) => {
  const a = await (await post(gw, '/v1/messages/count_tokens', { model: MODEL, messages: [{ role: 'user', content: 'hello there' }] })).json();
  const b = await (await post(gw, '/v1/responses/input_tokens', { model: MODEL, input: 'hello there' })).json();
  ok(a.input_tokens > 3 && b.input_tokens === a.input_tokens, JSON.stringify([a, b]));
  equal((await post(gw, '/v1/messages/count_tokens', { model: 'nobody-has-it', messages: [{ role: 'user', content: 'x' }] })).status, 404);
  equal(await calls(), 0, 'without the upstream');
}));
await test('api 2.1: their models are listed, in both shapes', () => shared(async (gw) => {
  const client = new Anthropic({ apiKey: KEY, baseURL: gw.base, maxRetries: 0 });
  const list = await client.models.list();
  equal([list.data.at(-1).id, list.last_id, list.has_more, list.data.filter((m) => m.id === MODEL).length], [MODEL, MODEL, false, 1]);
  equal((await client.models.retrieve(MODEL)).type, 'model');
  const openai = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
  equal((await openai.models.list()).data.at(-1).id, MODEL);
  equal((await openai.models.retrieve(MODEL)).capabilities, { tools: 'native' });
}));
await test('api 3.13: n choices of a completion', () => shared(async (gw) => {
  const a = await say(gw, 'completions', { ...shapes.completions.ask('hi'), n: 2 }, false);
  equal([a.status, a.text], [200, hello], a.raw);
  equal((await asked()).n, 2);
}));
await common.stop();
await done();
