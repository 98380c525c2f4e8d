// The Responses protocol and legacy completions (api 7 and 8) with the real clients: openai, ai + @ai-sdk/openai, @openai/agents.
import OpenAI from 'openai';
import { generateText, streamText } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { Agent, Runner, OpenAIProvider, setTracingDisabled } from '@openai/agents';
import net from 'node:net';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, post, auth, KEY, USER_KEY } from './lib.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false; // .completion() warns of what it cannot say
const MODEL = 'qwen3.7-plus';
const fake = await fakeUpstream();
const gw = await gateway(fake);
const of = (g, more = {}) => new OpenAI({ apiKey: KEY, baseURL: g.v1, maxRetries: 0, ...more });
const client = of(gw);
const respond = (input, more = {}) => client.responses.create({ model: MODEL, input, ...more });
const failure = (p) => p.then(() => { throw new Error('no error'); }, (e) => e);
const b64 = (s) => Buffer.from(s).toString('base64');
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} ${more}]]`;
async function fresh(env, fn) {
  await fake.reset();
  const g = await gateway(fake, env);
  try { return await fn(g, of(g)); } finally { await g.stop(); }
}

// What api 7.5 says of every stream, checked on the bytes.
function check(raw) {
  const all = [];
  for (const block of raw.split('\n\n')) {
    if (block === '' || block.startsWith(':')) continue;
    const [event, data, ...rest] = block.split('\n');
    ok(event.startsWith('event: ') && data.startsWith('data: ') && rest.length === 0, `an event: ${block}`);
    const e = JSON.parse(data.slice(6));
    equal(e.type, event.slice(7), 'the name is the type');
    equal(e.sequence_number, all.length, 'sequence_number');
    all.push(e);
  }
  equal(all.slice(0, 2).map((e) => e.type), ['response.created', 'response.in_progress'], 'the beginning');
  const ends = all.filter((e) => ['response.completed', 'response.incomplete', 'response.failed'].includes(e.type));
  equal(ends.length, 1, 'one end');
  equal(all.at(-1), ends[0], 'and nothing behind it');
  let open = null, items = 0;
  for (const e of all) {
    if (e.type === 'response.output_item.added') {
      ok(!open && e.item.id, 'an item begins');
      equal(e.output_index, items, 'output_index');
      open = e.item;
    } else if (e.type === 'response.output_item.done') {
      equal([e.item.id, e.item.type, e.output_index], [open.id, open.type, items], 'the item that was begun');
      equal(ends[0].response.output[items++], e.item, 'stands in the object');
      open = null;
    } else if (e.item_id) {
      equal([e.item_id, e.output_index], [open.id, items], 'belongs to the open item');
    }
  }
  equal(ends[0].response.output.length, items, 'no other items');
  return { all, end: ends[0], types: all.map((e) => e.type) };
}
async function raw(g, body, options) {
  const r = await post(g, '/v1/responses', { model: MODEL, stream: true, ...body }, options);
  return { r, text: await r.text() };
}

let plain;
await test('api 7.4: create', async () => {
  const r = await respond('hello', { metadata: { a: 'b' }, instructions: 'Be brief.', temperature: 0.5 });
  plain = r.output_text;
  ok(/世界/.test(plain), plain);
  equal([r.object, r.status, r.error, r.incomplete_details, r.model], ['response', 'completed', null, null, MODEL]);
  equal([r.metadata, r.instructions, r.store, r.temperature, r.tool_choice, r.tools, r.parallel_tool_calls], [{ a: 'b' }, 'Be brief.', true, 0.5, 'auto', [], true]);
  equal(r.output.map((o) => [o.type, o.role, o.status, o.content.map((c) => c.type)]), [['message', 'assistant', 'completed', ['output_text']]]);
  ok(/^resp_[0-9A-Za-z]{24}$/.test(r.id) && /^msg_[0-9A-Za-z]{24}$/.test(r.output[0].id), 'ids');
  equal(r.usage.total_tokens, r.usage.input_tokens + r.usage.output_tokens);
  ok(Number.isInteger(r.usage.input_tokens_details.cached_tokens) && Number.isInteger(r.usage.output_tokens_details.reasoning_tokens), 'details');
  ok(r.completed_at >= r.created_at && Number.isInteger(r.created_at), 'times');
});
await test('completed_at is the end, created_at the beginning', async () => {
  const r = await respond('[[scenario:stream n=5 ms=500 size=20]]');
  ok(r.completed_at - r.created_at >= 1, `${r.created_at} ${r.completed_at}`);
});
await test('api 0.11: what has no effect is named', async () => {
  const r = await post(gw, '/v1/responses', { model: MODEL, input: 'x', temperature: 1, truncation: 'auto', tools: [{ type: 'image_generation' }, { type: 'mcp', server_label: 'x' }] });
  equal(r.status, 200, await r.text());
  equal(r.headers.get('x-qwen2api-ignored').split(',').sort(), ['temperature', 'tools.image_generation', 'tools.mcp', 'truncation']);
});
await test('api 7.5: stream gives the same text, by the rules', async () => {
  let text = '';
  for await (const e of await respond('hello', { stream: true })) if (e.type === 'response.output_text.delta') text += e.delta;
  equal(text, plain);
  const { r, text: bytes } = await raw(gw, { input: 'hello' });
  ok(r.headers.get('content-type').startsWith('text/event-stream'), 'type');
  const { types, end } = check(bytes);
  equal([...new Set(types)], ['response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added', 'response.output_text.delta',
    'response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.completed']);
  equal(end.response.output[0].content[0].text, plain);
  ok(!bytes.includes('[DONE]'), 'no [DONE]');
});
await test('the stream helper accumulates the same', async () => {
  const s = client.responses.stream({ model: MODEL, input: 'hello' });
  const final = await s.finalResponse();
  equal(final.output_text, plain);
});
await test('reasoning: an item of its own, encrypted if asked for', async () => {
  const body = { model: `${MODEL}-thinking`, input: '[[scenario:thinking_detail]]' };
  const r = await client.responses.create({ ...body, reasoning: { effort: 'low', summary: 'auto' }, include: ['reasoning.encrypted_content'], store: false });
  equal(r.output.map((o) => o.type), ['reasoning', 'message']);
  ok(r.output[0].summary[0].text.length > 0 && r.output[0].encrypted_content, JSON.stringify(r.output[0]));
  ok(r.usage.output_tokens_details.reasoning_tokens >= 0, 'counted');
  equal(r.reasoning.effort, 'low');
  const s = check((await raw(gw, body)).text);
  equal(s.end.response.output.map((o) => o.type), ['reasoning', 'message']);
  equal(s.end.response.output[0].summary[0].text, r.output[0].summary[0].text);
  equal('encrypted_content' in s.end.response.output[0], false);
  ok(s.types.indexOf('response.reasoning_summary_text.done') < s.types.indexOf('response.output_text.delta'), 'order');
});
await test('OUTPUT_THINK=false: no reasoning item', () => fresh({ OUTPUT_THINK: 'false' }, async (g, c) => {
  const r = await c.responses.create({ model: `${MODEL}-thinking`, input: '[[scenario:thinking_detail]]' });
  equal(r.output.map((o) => o.type), ['message']);
}));
await test('api 3.8: sources as annotations', async () => {
  const body = { input: '[[scenario:search]]', tools: [{ type: 'web_search' }] };
  const r = await client.responses.create({ model: MODEL, ...body });
  ok(r.output[0].content[0].annotations.length > 0, JSON.stringify(r.output));
  for (const a of r.output[0].content[0].annotations) ok(a.type === 'url_citation' && /^https?:/.test(a.url) && typeof a.title === 'string' && a.start_index === 0, JSON.stringify(a));
  const s = check((await raw(gw, body)).text);
  equal(s.types.filter((t) => t === 'response.output_text.annotation.added').length, r.output[0].content[0].annotations.length);
});
await test('max_output_tokens: incomplete', async () => {
  const body = { input: '[[scenario:stream n=20 ms=1 size=20 seed=1]]', max_output_tokens: 10 };
  const r = await client.responses.create({ model: MODEL, ...body });
  equal([r.status, r.incomplete_details, r.output[0].status], ['incomplete', { reason: 'max_output_tokens' }, 'incomplete']);
  const { end } = check((await raw(gw, body)).text);
  equal([end.type, end.response.incomplete_details.reason], ['response.incomplete', 'max_output_tokens']);
});

// ---- the store ----
await test('api 7.3: previous_response_id continues; instructions are not inherited', async () => {
  const first = await respond(`my name is Zed ${say('Hello Zed.')}`, { instructions: 'SYSTEM ONE' });
  const second = await respond('[[scenario:echo]] who am I?', { previous_response_id: first.id, instructions: 'SYSTEM TWO' });
  for (const s of ['my name is Zed', 'Assistant: Hello Zed.', 'who am I?', 'SYSTEM TWO']) ok(second.output_text.includes(s), `${s} in ${second.output_text}`);
  ok(!second.output_text.includes('SYSTEM ONE'), second.output_text);
  equal(second.previous_response_id, first.id);
  const third = await respond('[[scenario:echo]] and now?', { previous_response_id: second.id });
  for (const s of ['my name is Zed', 'who am I?', 'and now?']) ok(third.output_text.includes(s), `${s} in ${third.output_text}`);
  ok(third.output_text.startsWith('Conversation so far:'), third.output_text); // no system text in front
});
await test('previous_response_id: unknown, of another key, not stored, off', async () => {
  const kept = await respond('hello'), not = await respond('hello', { store: false });
  equal(not.store, false);
  for (const [c, id] of [[client, 'resp_000000000000000000000000'], [client, not.id], [of(gw, { apiKey: USER_KEY }), kept.id]]) {
    const e = await failure(c.responses.create({ model: MODEL, input: 'x', previous_response_id: id }));
    equal([e.status, e.code, e.param], [400, 'previous_response_not_found', 'previous_response_id']);
  }
  await fresh({ RESPONSES_STORE_MAX: '0' }, async (g) => {
    const r = await post(g, '/v1/responses', { model: MODEL, input: 'hello' });
    equal(r.headers.get('x-qwen2api-ignored'), 'store');
    equal((await r.json()).store, false);
  });
});
await test('retrieve, input_items, cancel, delete', async () => {
  const made = await respond([{ role: 'user', content: 'one' }, { role: 'assistant', content: 'two' }, { role: 'user', content: 'three' }]);
  const got = await client.responses.retrieve(made.id);
  equal([got.id, got.output_text, got.usage], [made.id, made.output_text, made.usage]);
  const items = [];
  for await (const i of client.responses.inputItems.list(made.id, { limit: 2, order: 'asc' })) items.push(i);
  equal(items.map((i) => [i.type, i.role, i.content[0].type, i.content[0].text]),
    [['message', 'user', 'input_text', 'one'], ['message', 'assistant', 'output_text', 'two'], ['message', 'user', 'input_text', 'three']]);
  equal(new Set(items.map((i) => i.id)).size, 3, 'ids');
  const page = await client.responses.inputItems.list(made.id, { limit: 1 });
  equal([page.data[0].content[0].text, page.has_more], ['three', true], 'newest first');
  const e = await failure(client.responses.cancel(made.id));
  equal([e.status, e.type], [400, 'invalid_request_error'], 'not in the background');
  for (const other of [of(gw, { apiKey: USER_KEY })]) equal((await failure(other.responses.retrieve(made.id))).status, 404, "another key's");
  equal((await (await fetch(`${gw.v1}/responses/${made.id}`, { method: 'DELETE', headers: auth() })).json()), { id: made.id, object: 'response', deleted: true });
  for (const call of [() => client.responses.retrieve(made.id), () => client.responses.cancel(made.id), () => client.responses.inputItems.list(made.id)]) {
    const gone = await failure(call());
    equal([gone.status, gone.code], [404, 'not_found']);
  }
  equal((await failure(client.responses.delete(made.id))).status, 404);
});
await test('a streamed answer is kept as well; item_reference finds its message', async () => {
  const s = check((await raw(gw, { input: say('The word is zebra.') })).text);
  equal((await client.responses.retrieve(s.end.response.id)).output, s.end.response.output);
  const r = await respond([{ role: 'user', content: 'say a word' }, { type: 'item_reference', id: s.end.response.output[0].id }, { role: 'user', content: '[[scenario:echo]] which word?' }]);
  ok(r.output_text.includes('Assistant: The word is zebra.'), r.output_text);
  const e = await failure(respond([{ type: 'item_reference', id: 'msg_000000000000000000000000' }]));
  equal([e.status, e.param], [400, 'input[0].id']);
});
await test('a failed answer is not kept', () => fresh({}, async (g, c) => {
  const s = check((await raw(g, { input: '[[scenario:drop]]' })).text);
  equal(s.end.type, 'response.failed');
  equal((await failure(c.responses.retrieve(s.end.response.id))).status, 404);
}));
await test('input_tokens', async () => {
  const a = await (await post(gw, '/v1/responses/input_tokens', { model: MODEL, input: 'hello' })).json();
  equal(a.object, 'response.input_tokens');
  const b = await (await post(gw, '/v1/responses/input_tokens', { model: MODEL, input: 'hello '.repeat(100), tools: [{ type: 'function', name: 'f', parameters: {} }] })).json();
  ok(a.input_tokens > 0 && b.input_tokens > a.input_tokens + 90, `${a.input_tokens} ${b.input_tokens}`);
  const png = Buffer.from('89504e470d0a1a0a0000000d4948445200000118000001180806000000', 'hex').toString('base64'); // 280 x 280: 100 tokens
  const c = await (await post(gw, '/v1/responses/input_tokens', { model: MODEL, input: [{ role: 'user', content: [{ type: 'input_text', text: 'hello' }, { type: 'input_image', image_url: `data:image/png;base64,${png}` }] }] })).json();
  ok(Math.abs(c.input_tokens - a.input_tokens - 100) < 20, `${a.input_tokens} ${c.input_tokens}`);
  equal((await post(gw, '/v1/responses/input_tokens', { model: MODEL })).status, 400);
  equal((await post(gw, '/v1/responses/input_tokens', { model: 'no-such-model', input: 'x' })).status, 404);
});

// ---- trouble ----
await test('api 7.1: a WebSocket is told to use HTTP', async () => {
  const answer = await new Promise((res, rej) => {
    const s = net.connect(gw.port, '127.0.0.1', () => s.write(`GET /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n`));
    let t = '';
    s.on('data', (d) => { t += d; if (t.includes('}}')) { s.destroy(); res(t); } });
    s.on('error', rej);
    s.on('close', () => res(t));
  });
  ok(answer.startsWith('HTTP/1.1 426 ') && answer.includes('upgrade_not_supported'), answer);
  const r = await fetch(`${gw.v1}/responses`, { headers: auth() });
  equal([r.status, r.headers.get('allow')], [405, 'POST, OPTIONS']);
});
await test('errors before the first byte have their status', async () => {
  for (const [more, status, code, param] of [[{ background: true }, 400, 'unsupported_parameter', 'background'], [{ conversation: 'c' }, 400, 'unsupported_parameter', 'conversation'],
    [{ prompt: { id: 'p' } }, 400, 'unsupported_parameter', 'prompt'], [{ input: [{ type: 'x' }] }, 400, 'invalid_value', 'input[0].type'], [{ model: 'no-such-model' }, 404, 'model_not_found', 'model']]) {
    const e = await failure(respond('x', more));
    equal([e.status, e.code, e.param], [status, code, param]);
  }
  equal((await failure(of(gw, { apiKey: 'sk-wrong' }).responses.create({ model: MODEL, input: 'x' }))).status, 401);
  for (const stream of [false, true])
    await fresh({ CHAT_RETRY_COUNT: '0' }, async (g, c) => {
      const e = await failure(c.responses.create({ model: MODEL, stream, input: '[[scenario:rate_limited]]' }));
      equal([e.status, e.code], [429, 'rate_limit_exceeded']);
      ok(/try again in \d+s/i.test(e.message), e.message);
    });
  await fresh({ CHAT_RETRY_COUNT: '0' }, async (g, c) => {
    const e = await failure(c.responses.create({ model: MODEL, input: '[[scenario:quota]]' }));
    equal([e.status, e.code], [429, 'insufficient_quota']);
  });
});
await test('errors after the first byte: response.failed', async () => {
  for (const [scenario, code] of [['drop', 'server_error'], ['err_midway', 'server_error'], ['fail_in_sse after=2', 'insufficient_quota']])
    await fresh({}, async (g, c) => {
      const { end, types } = check((await raw(g, { input: `[[scenario:${scenario}]]` })).text);
      equal([end.type, end.response.status, end.response.error.code], ['response.failed', 'failed', code], scenario);
      ok(types.includes('response.output_text.delta') && end.response.output[0].status === 'incomplete', 'what was said stays');
      let last;
      for await (const e of await c.responses.create({ model: MODEL, stream: true, input: 'hello' })) last = e;
      ok(last.type, 'the client reads it');
    });
});
await test('api 0.9: after early headers trouble is a stream that begins and fails, with the time to wait', () =>
  fresh({ SSE_EARLY_HEADERS_MS: '100', CHAT_RETRY_COUNT: '0' }, async (g) => {
    await fake.set({ new_ms: 1500 });
    await fake.script({ completions: ['rate_limited'] });
    const { r, text } = await raw(g, { input: 'x' });
    equal(r.status, 200);
    ok(text.startsWith(': keep-alive\n\n'), text.slice(0, 80));
    const { end, all } = check(text);
    equal([end.response.error.code, all.length], ['rate_limit_exceeded', 3]);
    ok(/^resp_[0-9A-Za-z]{24}$/.test(end.response.id) && end.response.created_at > 1e9, JSON.stringify(end.response).slice(0, 200));
    ok(/try again in \d+s/.test(end.response.error.message), end.response.error.message);
  }));
await test('abort: the upstream turn is stopped', async () => {
  await fake.reset();
  const s = await respond('[[scenario:stream n=600 ms=100 size=20]]', { stream: true });
  for await (const e of s) if (e.type === 'response.output_text.delta') break;
  s.controller.abort();
  await waitFor(async () => (await fake.stats()).stops >= 1, 4000, 'a stop call');
  await waitFor(async () => (await fake.stats()).running === 0, 4000, 'no stream is left running');
});

// ---- ai + @ai-sdk/openai ----
const sdk = createOpenAI({ apiKey: KEY, baseURL: gw.v1 });
await test('ai: generateText over Responses', async () => {
  const r = await generateText({ model: sdk(MODEL), prompt: 'hello', system: 'Be brief.', maxRetries: 0 });
  equal([r.text, r.finishReason], [plain, 'stop']);
  ok(r.usage.inputTokens > 0 && r.usage.outputTokens > 0, JSON.stringify(r.usage));
});
await test('ai: streamText over Responses, with reasoning', async () => {
  const r = streamText({ model: sdk(`${MODEL}-thinking`), prompt: '[[scenario:thinking_detail]]', maxRetries: 0,
    providerOptions: { openai: { forceReasoning: true, reasoningEffort: 'low', reasoningSummary: 'auto' } }, onError: () => {} });
  let text = '', think = '';
  for await (const p of r.fullStream) {
    if (p.type === 'error') throw p.error;
    if (p.type === 'text-delta') text += p.text;
    if (p.type === 'reasoning-delta') think += p.text;
  }
  ok(text.length > 0 && think.length > 0, JSON.stringify([text, think]));
  equal(await r.finishReason, 'stop');
});
await test('ai: a conversation goes on by references to stored items', async () => {
  const sent = [];
  const own = createOpenAI({ apiKey: KEY, baseURL: gw.v1, fetch: (url, o) => { sent.push(o.body); return fetch(url, o); } });
  const first = await generateText({ model: own(MODEL), prompt: say('The word is okapi.'), maxRetries: 0 });
  const second = await generateText({ model: own(MODEL), maxRetries: 0,
    messages: [{ role: 'user', content: 'say a word' }, ...first.response.messages, { role: 'user', content: '[[scenario:echo]] which?' }] });
  ok(second.text.includes('Assistant: The word is okapi.'), second.text);
  ok(sent[1].includes('item_reference'), `by reference: ${sent[1]}`);
});
await test('ai: .chat() and .completion() too', async () => {
  equal((await generateText({ model: sdk.chat(MODEL), prompt: 'hello', maxRetries: 0 })).text, plain);
  equal((await generateText({ model: sdk.completion(MODEL), prompt: 'hello', maxRetries: 0 })).text, plain);
});
await test('ai: length, errors before and within the stream', async () => {
  const cut = await generateText({ model: sdk(MODEL), prompt: '[[scenario:stream n=20 ms=1 size=20 seed=1]]', maxOutputTokens: 16, maxRetries: 0 });
  equal(cut.finishReason, 'length');
  await fresh({ CHAT_RETRY_COUNT: '0' }, async (g) => {
    const own = createOpenAI({ apiKey: KEY, baseURL: g.v1 });
    const e = await failure(generateText({ model: own(MODEL), prompt: '[[scenario:rate_limited]]', maxRetries: 0 }));
    equal(e.statusCode, 429);
    ok(/try again in \d+s/i.test(e.message), e.message);
  });
  await fresh({}, async (g) => {
    const own = createOpenAI({ apiKey: KEY, baseURL: g.v1 });
    const r = streamText({ model: own(MODEL), prompt: '[[scenario:drop]]', maxRetries: 0, onError: () => {} });
    let error, text = '';
    for await (const p of r.fullStream) {
      if (p.type === 'error') error = p.error;
      if (p.type === 'text-delta') text += p.text;
    }
    ok(error && text.length > 0, 'text, then the error');
  });
});

// ---- @openai/agents ----
setTracingDisabled(true);
const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient: client, useResponses: true }), tracingDisabled: true });
await test('agents: run, and go on from the last response', async () => {
  const agent = new Agent({ name: 'A', instructions: 'Be brief.', model: MODEL });
  const first = await runner.run(agent, `my name is Zed ${say('Hello Zed.')}`);
  equal(first.finalOutput, 'Hello Zed.');
  const second = await runner.run(agent, '[[scenario:echo]] who am I?', { previousResponseId: first.lastResponseId });
  ok(second.finalOutput.includes('my name is Zed') && second.finalOutput.includes('Assistant: Hello Zed.'), second.finalOutput);
  const third = await runner.run(agent, [...first.history, { role: 'user', content: '[[scenario:echo]] and now?' }]);
  ok(third.finalOutput.includes('my name is Zed'), third.finalOutput);
});
await test('agents: streamed', async () => {
  const r = await runner.run(new Agent({ name: 'A', model: MODEL }), 'hello', { stream: true });
  let text = '';
  for await (const e of r) if (e.type === 'raw_model_stream_event' && e.data.type === 'output_text_delta') text += e.data.delta;
  await r.completed;
  equal([text, r.finalOutput], [plain, plain]);
});

// ---- legacy completions ----
await test('api 8: completions', async () => {
  const r = await client.completions.create({ model: MODEL, prompt: 'hello', temperature: 0 });
  equal([r.object, r.choices.length, r.choices[0].text, r.choices[0].finish_reason, r.choices[0].logprobs, r.model], ['text_completion', 1, plain, 'stop', null, MODEL]);
  ok(/^cmpl-[0-9A-Za-z]{24}$/.test(r.id), r.id);
  equal(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens);
  const asked = await client.completions.create({ model: MODEL, prompt: ['[[scenario:echo]] Once upon'] });
  ok(asked.choices[0].text.includes('Continue') && asked.choices[0].text.includes('Once upon'), asked.choices[0].text);
});
await test('api 8: completions, streamed', async () => {
  let text = '', last, whys = [];
  for await (const c of await client.completions.create({ model: MODEL, prompt: 'hello', stream: true, stream_options: { include_usage: true } })) {
    equal(c.object, 'text_completion');
    text += c.choices[0]?.text ?? '';
    if (c.choices[0]?.finish_reason) whys.push(c.choices[0].finish_reason);
    last = c;
  }
  equal([text, whys, last.choices], [plain, ['stop'], []]);
  ok(last.usage.total_tokens > 0, 'usage');
  const cut = await client.completions.create({ model: MODEL, prompt: '[[scenario:stream n=20 ms=1 size=20 seed=1]]', max_tokens: 10 });
  equal(cut.choices[0].finish_reason, 'length');
  const stopped = await client.completions.create({ model: MODEL, prompt: 'hello', stop: plain.slice(3, 5) });
  equal(stopped.choices[0].text, plain.slice(0, 3));
});
await test('api 8: completions, n of two', async () => {
  const r = await client.completions.create({ model: MODEL, prompt: 'hello', n: 2 });
  equal(r.choices.map((c) => [c.index, c.text, c.finish_reason]), [[0, plain, 'stop'], [1, plain, 'stop']]);
  const text = ['', ''], whys = [];
  for await (const c of await client.completions.create({ model: MODEL, prompt: 'hello', n: 2, stream: true }))
    for (const x of c.choices) { text[x.index] += x.text; if (x.finish_reason) whys.push(x.index); }
  equal([text, whys.sort()], [[plain, plain], [0, 1]]);
});
await test('api 8: completions, refused', async () => {
  for (const [more, param] of [[{ suffix: 'x' }, 'suffix'], [{ echo: true }, 'echo'], [{ best_of: 2 }, 'best_of'], [{ prompt: [1, 2] }, 'prompt'], [{ prompt: ['a', 'b'] }, 'prompt']]) {
    const e = await failure(client.completions.create({ model: MODEL, prompt: 'x', ...more }));
    equal([e.status, e.code, e.param], [400, 'unsupported_parameter', param]);
  }
  await fresh({}, async (g, c) => {
    const s = await c.completions.create({ model: MODEL, stream: true, prompt: '[[scenario:drop]]' });
    const e = await failure((async () => { for await (const x of s) void x; })());
    equal(e.code, 'upstream_interrupted');
  });
});

// ---- the rest of section 8 ----
await test('api 8: what is not offered is a 404 that is not tried again', async () => {
  for (const [method, path] of [['POST', '/embeddings'], ['POST', '/moderations'], ['POST', '/audio/speech'], ['POST', '/audio/transcriptions'], ['POST', '/realtime/sessions'], ['GET', '/realtime'],
    ['POST', '/assistants'], ['GET', '/assistants/x'], ['POST', '/threads'], ['POST', '/threads/x/runs'], ['POST', '/batches'], ['GET', '/batches/x'], ['POST', '/fine_tuning/jobs'],
    ['GET', '/vector_stores'], ['POST', '/vector_stores/x/search'], ['POST', '/files'], ['GET', '/files/x'], ['POST', '/chat/completions/x/cancel'], ['GET', '/chat/completions'],
    ['GET', '/chat/completions/x'], ['POST', '/chat/completions/x'], ['DELETE', '/chat/completions/x'], ['GET', '/chat/completions/x/messages']]) {
    const r = await fetch(gw.v1 + path, { method, headers: { ...auth(), 'content-type': 'application/json' }, body: method === 'POST' ? '{}' : undefined });
    const { error } = await r.json();
    equal([r.status, error.type, error.param, error.code, r.headers.get('x-should-retry')], [404, 'invalid_request_error', null, 'unsupported_endpoint', 'false'], `${method} ${path}`);
    ok(/^qwen2api does not offer .+\.$/.test(error.message), error.message);
  }
  const e = await failure(client.embeddings.create({ model: 'x', input: 'y' }));
  ok(e instanceof OpenAI.NotFoundError, String(e));
});
await test('api 8: the bill', async () => {
  const get = async (p) => { const r = await fetch(gw.v1 + p, { headers: auth() }); equal(r.status, 200, p); return r.json(); };
  const s = await get('/dashboard/billing/subscription');
  equal([s.object, s.has_payment_method, typeof s.hard_limit_usd, typeof s.soft_limit_usd, typeof s.system_hard_limit_usd, s.access_until > 4e9], ['billing_subscription', true, 'number', 'number', 'number', true]);
  const u = await get('/dashboard/billing/usage?start_date=2026-01-01&end_date=2026-02-01');
  equal(u, { object: 'list', daily_costs: [], total_usage: 0 });
  const d = await get('/usage?date=2026-01-01');
  equal([d.object, d.data, d.current_usage_usd], ['list', [], 0]);
  equal((await fetch(`${gw.base}/dashboard/billing/subscription`)).status, 401);
});
await done();
