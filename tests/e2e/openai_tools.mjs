// The real openai package, current, v4 and v3 (api 13), over chat completions: tools in two rounds, runTools, structured output,
// pictures, legacy functions, retries. What the package computes is compared, not only that it does not throw.
import OpenAI from 'openai';
import OpenAI4 from 'openai4';
import openai3 from 'openai3';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { toFile } from 'openai';
import { toFile as toFile4 } from 'openai4';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, KEY } from './lib.mjs';

const MODEL = 'qwen3.7-plus', PLAIN = 'Hello, 世界! This is the fake upstream.';
const fake = await fakeUpstream({ args: ['--accounts', '4'] });
const gw = await gateway(fake, { MAX_INFLIGHT_PER_ACCOUNT: '20' });
const b64 = (s) => Buffer.from(s).toString('base64');
const call = (name, args) => `<q2a_call>\n${JSON.stringify({ name, arguments: args })}\n</q2a_call>`;
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} step=3 ${more}]]`;
const then = (mark, text) => `when=${b64(mark)} then=${b64(text)}`;
const parameters = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city'] };
const weather = { type: 'function', function: { name: 'get_weather', description: 'The weather of a city.', parameters } };
const user = (content) => [{ role: 'user', content }];
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const failure = (p) => p.then(() => { throw new Error('no error'); }, (e) => e);
const files = async () => (await fetch(`${fake.base}/__files`)).json();
async function asked() {
  const log = await (await fetch(`${fake.base}/__log?n=100&bodies=1`)).json();
  return log.filter((e) => e.path?.includes('/chat/completions?')).map((e) => ({ ...e, prompt: JSON.parse(e.body).messages[0].content }));
}
async function fresh(env, fn) {
  await fake.reset();
  const g = await gateway(fake, env);
  try { return await fn(g); } finally { await g.stop(); }
}

// The same for both packages whose interface is alike: the current one and v4.
for (const [name, Client, file] of [['openai', OpenAI, toFile], ['openai v4', OpenAI4, toFile4]]) {
  const of = (g, more = {}) => new Client({ apiKey: KEY, baseURL: g.v1, maxRetries: 0, ...more });
  const client = of(gw), chats = client.chat.completions, stream = (b) => (chats.stream ?? client.beta.chat.completions.stream).call(chats.stream ? chats : client.beta.chat.completions, b);
  await test(`api 13 ${name}: create and stream say the same; usage adds up`, async () => {
    const r = await chats.create({ model: MODEL, messages: user('hello') });
    equal([r.object, r.model, r.choices[0].index, r.choices[0].message.role, r.choices[0].message.content, r.choices[0].finish_reason], ['chat.completion', MODEL, 0, 'assistant', PLAIN, 'stop']);
    ok(r.usage.prompt_tokens > 0 && r.usage.completion_tokens > 0 && r.usage.total_tokens === r.usage.prompt_tokens + r.usage.completion_tokens, JSON.stringify(r.usage));
    let text = '', last;
    for await (const c of await chats.create({ model: MODEL, messages: user('hello'), stream: true, stream_options: { include_usage: true } })) { text += c.choices[0]?.delta.content ?? ''; last = c; }
    equal([text, last.choices, last.usage.total_tokens], [PLAIN, [], r.usage.total_tokens]);
  });
  await test(`api 13 ${name}: two rounds of tools by hand, streamed and not`, async () => {
    const ask = { model: MODEL, tools: [weather], messages: [{ role: 'system', content: 'Use tools.' },
      ...user(say(`Look. ${call('get_weather', { city: 'Oslo' })}`, then('"temp":3', `${call('get_weather', { city: 'Rome', days: 2 })}`)))] };
    for (const once of [(b) => chats.create(b), (b) => stream(b).finalChatCompletion()]) {
      const messages = [...ask.messages];
      const first = (await once({ ...ask, messages })).choices[0];
      equal([first.message.content, first.finish_reason, first.message.tool_calls.map((c) => [c.type, c.function.name, JSON.parse(c.function.arguments)])],
        ['Look.', 'tool_calls', [['function', 'get_weather', { city: 'Oslo' }]]]);
      messages.push(first.message, { role: 'tool', tool_call_id: first.message.tool_calls[0].id, content: '{"temp":3}' });
      const second = (await once({ ...ask, messages })).choices[0];
      equal([second.message.content || null, second.message.tool_calls.map((c) => JSON.parse(c.function.arguments))], [null, [{ city: 'Rome', days: 2 }]]);
      messages.push(second.message, { role: 'tool', tool_call_id: second.message.tool_calls[0].id, content: '{"temp":21}' }, ...user(say('x', then('"temp":21', 'Rome is warmer.'))));
      equal((await once({ ...ask, messages })).choices[0].message.content, 'Rome is warmer.');
      const prompt = (await asked()).at(-1).prompt;
      for (const id of [first, second].map((c) => c.message.tool_calls[0].id)) ok(prompt.includes(`<q2a_result id="${id}" name="get_weather">`), prompt);
    }
  });
  await test(`api 13 ${name}: runTools runs two rounds, streamed and not`, async () => {
    for (const streamed of [false, true]) {
      const ran = [];
      await fake.script({ completions: [`say b64=${b64(call('get_weather', { city: 'Oslo' }))}`, `say b64=${b64(`${call('get_weather', { city: 'Rome' })}\n${call('get_weather', { city: 'Bonn' })}`)} step=2`, `say b64=${b64('All seen.')}`] });
      const where = chats.runTools ? chats : client.beta.chat.completions;
      const runner = where.runTools({ model: MODEL, messages: user('x'), stream: streamed, tools: [{ type: 'function', function: { ...weather.function, parse: JSON.parse, function: (a) => { ran.push(a.city); return 'rain'; } } }] });
      equal(await runner.finalContent(), 'All seen.');
      equal(ran, ['Oslo', 'Rome', 'Bonn']);
      equal(runner.messages.map((m) => m.role), ['user', 'assistant', 'tool', 'assistant', 'tool', 'tool', 'assistant']);
      const usage = await runner.totalUsage();
      ok(usage.total_tokens > 0 || streamed, JSON.stringify(usage));
    }
  });
  await test(`api 13 ${name}: many tools streamed: ids, names and indexes as the helper wants them`, async () => {
    const s = stream({ model: MODEL, tools: [weather], messages: user(say(Array.from({ length: 5 }, (_, i) => call('get_weather', { city: `c${i}` })).join('\n'))) });
    const final = await s.finalChatCompletion(), calls = final.choices[0].message.tool_calls;
    equal(calls.map((c) => JSON.parse(c.function.arguments).city), ['c0', 'c1', 'c2', 'c3', 'c4']);
    equal(new Set(calls.map((c) => c.id)).size, 5, 'ids');
  });
  await test(`api 13 ${name}: structured output; a cut one throws`, async () => {
    const response_format = { type: 'json_schema', json_schema: { name: 'trip', strict: true, schema: { ...parameters, required: ['city', 'days'], additionalProperties: false } } };
    const parse = (b) => (chats.parse ? chats : client.beta.chat.completions).parse(b);
    const r = await parse({ model: MODEL, messages: user(say('Sure:\n```json\n{"city": "Oslo", "days": 3}\n```')), response_format });
    equal(JSON.parse(r.choices[0].message.content), { city: 'Oslo', days: 3 });
    const e = await failure(parse({ model: MODEL, messages: user(say(`{"city":"${'far away '.repeat(40)}","days":3}`)), response_format: zodResponseFormat(z.object({ city: z.string(), days: z.number() }), 'trip'), max_tokens: 8 }));
    ok(e.constructor.name === 'LengthFinishReasonError' || e.status === 502, String(e));
    if (Client === OpenAI) equal((await parse({ model: MODEL, messages: user(say('{"city":"Oslo","days":3}')), response_format: zodResponseFormat(z.object({ city: z.string(), days: z.number() }), 'trip') })).choices[0].message.parsed, { city: 'Oslo', days: 3 });
    const strict = { ...weather, function: { ...weather.function, strict: true, parameters: { ...parameters, required: ['city', 'days'], additionalProperties: false } } };
    const parsed = await parse({ model: MODEL, tools: [strict], messages: user(say(call('get_weather', { city: 'Oslo', days: '3' }))) });
    equal(parsed.choices[0].message.tool_calls[0].function.parsed_arguments, { city: 'Oslo', days: 3 });
  });
  await test(`api 13 ${name}: a picture goes along, by its bytes and by its address`, async () => {
    await fresh({}, async (g) => {
      const r = await of(g).chat.completions.create({ model: MODEL, messages: user([{ type: 'text', text: say('A dot.') }, { type: 'image_url', image_url: { url: `data:image/png;base64,${png}`, detail: 'low' } },
        { type: 'image_url', image_url: { url: 'https://img.example.test/cat.gif' } }]) });
      equal(r.choices[0].message.content, 'A dot.');
      equal((await files()).map((f) => f.content_type), ['image/png', 'image/gif']);
      equal((await asked()).at(-1).files.map((f) => f.file_class), ['vision', 'vision']);
    });
  });
  await test(`api 5.1 5.2 13 ${name}: images.generate and images.edit`, async () => {
    await fresh({ ACCOUNTS: 'user0@example.org:pw-0,user1@example.org:pw-1' }, async (g) => {
      const c = of(g);
      const r = await c.images.generate({ prompt: 'a cat', model: `${MODEL}-image`, size: '1024x1792', n: 2 });
      equal([r.data.length, r.data.map((d) => /^https:\/\/cdn\.qwenlm\.ai\//.test(d.url))], [2, [true, true]]);
      ok(Number.isInteger(r.created) && r.usage.total_tokens >= r.usage.input_tokens, JSON.stringify(r));
      const bytes = await c.images.generate({ prompt: 'a cat', model: 'dall-e-3', response_format: 'b64_json' });
      equal(Buffer.from(bytes.data[0].b64_json, 'base64').subarray(1, 4).toString(), 'PNG');
      const edit = await c.images.edit({ image: await file(Buffer.from(png, 'base64'), 'dot.png', { type: 'image/png' }), prompt: 'make it blue', model: MODEL });
      ok(/^https:/.test(edit.data[0].url), JSON.stringify(edit));
      equal((await asked()).at(-1).files.map((f) => [f.name, f.file_class]), [['dot.png', 'vision']], 'the picture went along');
      const none = await failure(c.images.createVariation ? c.images.createVariation({ image: await file(Buffer.from(png, 'base64'), 'dot.png', { type: 'image/png' }) }) : c.post('/images/variations', { body: {} }));
      equal([none.status, none.code], [404, 'unsupported_endpoint']);
    });
  });
  await test(`api 13 ${name}: abort stops the upstream turn`, async () => {
    await fake.reset();
    const s = await chats.create({ model: MODEL, stream: true, messages: user('[[scenario:stream n=600 ms=100 size=20]]') });
    for await (const c of s) if (c.choices[0]?.delta?.content) break;
    s.controller.abort();
    await waitFor(async () => (await fake.stats()).stops >= 1 && (await fake.stats()).running === 0, 5000, 'a stop call, and nothing runs');
    const a = new AbortController(), whole = failure(chats.create({ model: MODEL, messages: user('[[scenario:slow s=20]]') }, { signal: a.signal }));
    await waitFor(async () => (await fake.stats()).running === 1, 3000, 'it runs');
    a.abort();
    ok((await whole) instanceof Client.APIUserAbortError, 'the class of an abort');
    await waitFor(async () => (await fake.stats()).running === 0, 5000, 'nothing runs');
  });
  await test(`api 12 13 ${name}: retries: what may help is tried again, what cannot is not`, async () => {
    const tries = async (scenario, maxRetries = 2) => fresh({ CHAT_RETRY_COUNT: '0', QUEUE_TIMEOUT: '1' }, async (g) => {
      const e = await failure(of(g, { maxRetries }).chat.completions.create({ model: MODEL, messages: user(`[[scenario:${scenario}]]`) }));
      return [e.status, e.code, (await fake.stats()).completions];
    });
    equal(await tries('punish'), [502, 'upstream_challenge', 1]);
    equal(await tries('quota'), [429, 'insufficient_quota', 1]);
    equal(await tries('too_long'), [400, 'context_length_exceeded', 1]);
    equal(await tries('empty', 1), [502, 'empty_upstream_response', 2]);
    await fresh({}, async (g) => {
      await fake.script({ completions: ['empty', 'empty'] });
      equal((await of(g, { maxRetries: 1 }).chat.completions.create({ model: MODEL, messages: user('hello') })).choices[0].message.content, PLAIN);
    });
  });
  await test(`api 8 13 ${name}: what is not offered is an error of its class, not tried again`, async () => {
    const e = await failure(of(gw, { maxRetries: 2 }).embeddings.create({ model: 'x', input: 'y' }));
    ok(e instanceof Client.NotFoundError && e.code === 'unsupported_endpoint', String(e));
  });
}
await test('api 2.3 5.1: before the first list came, the names of other picture models mean the default as well', async () => {
  await fake.reset();
  await fake.script({ models: Array(20).fill('500') });
  const g = await gateway(fake);
  const { data, response } = await new OpenAI({ apiKey: KEY, baseURL: g.v1, maxRetries: 0 }).images.generate({ prompt: 'a cat', model: 'gpt-image-1' }).withResponse();
  equal([data.data.length, response.headers.get('x-qwen2api-models') ?? 'builtin'], [1, 'builtin']);
  ok(data.data[0].b64_json.length > 50, 'as those clients expect it');
  await g.stop();
});
await test('api 13 openai v4: legacy functions: runFunctions in two rounds, streamed and not', async () => {
  const client = new OpenAI4({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
  for (const stream of [false, true]) {
    const ran = [];
    await fake.script({ completions: [`say b64=${b64(call('get_weather', { city: 'Oslo' }))} step=2`, `say b64=${b64(call('get_weather', { city: 'Rome' }))} step=2`, `say b64=${b64('All seen.')}`] });
    const runner = client.beta.chat.completions.runFunctions({ model: MODEL, messages: user('x'), stream, functions: [{ ...weather.function, parse: JSON.parse, function: (a) => { ran.push(a.city); return 'rain'; } }] });
    equal([await runner.finalContent(), ran], ['All seen.', ['Oslo', 'Rome']]);
    equal(runner.messages.map((m) => m.role), ['user', 'assistant', 'function', 'assistant', 'function', 'assistant']);
  }
});

// ---- v3: axios, the old SSE by hand ----
const three = new openai3.OpenAIApi(new openai3.Configuration({ apiKey: KEY, basePath: gw.v1 }));
await test('api 13 openai v3: models, chat, completion, functions', async () => {
  ok((await three.listModels()).data.data.some((m) => m.id === MODEL), 'the list');
  const { data } = await three.createChatCompletion({ model: MODEL, messages: user('hello') });
  equal([data.choices[0].message.content, data.choices[0].finish_reason], [PLAIN, 'stop']);
  equal((await three.createCompletion({ model: MODEL, prompt: 'hello' })).data.choices[0].text, PLAIN);
  const ask = { model: MODEL, functions: [weather.function], function_call: 'auto', messages: user(say(call('get_weather', { city: 'Oslo' }), then('rain today', 'Take a coat.'))) };
  const first = (await three.createChatCompletion(ask)).data.choices[0];
  equal([first.finish_reason, first.message.content, first.message.function_call.name, JSON.parse(first.message.function_call.arguments), first.message.tool_calls], ['function_call', null, 'get_weather', { city: 'Oslo' }, undefined]);
  const second = await three.createChatCompletion({ ...ask, messages: [...ask.messages, first.message, { role: 'function', name: 'get_weather', content: 'rain today' }] });
  equal(second.data.choices[0].message.content, 'Take a coat.');
});
await test('api 13 openai v3: a stream read the old way: lines that begin with "data: ", up to [DONE]', async () => {
  const { data, headers } = await three.createChatCompletion({ model: MODEL, stream: true, functions: [weather.function], messages: user(say(`Wait. ${call('get_weather', { city: 'Oslo' })}`)) }, { responseType: 'stream' });
  ok(headers['content-type'].startsWith('text/event-stream'), 'type');
  let text = '', said = '', name = '', args = '', finish;
  for await (const d of data) text += d;
  for (const line of text.split('\n').filter((l) => l.trim())) {
    const payload = line.replace(/^data: /, '');
    if (payload === '[DONE]') { said += '.'; continue; }
    const c = JSON.parse(payload).choices[0];
    if (!c) continue;
    said += c.delta.content ?? '';
    name += c.delta.function_call?.name ?? '';
    args += c.delta.function_call?.arguments ?? '';
    finish = c.finish_reason ?? finish;
  }
  equal([said, name, JSON.parse(args), finish], ['Wait..', 'get_weather', { city: 'Oslo' }, 'function_call']);
});
await test('api 12 13 openai v3: an error has its status and its words', async () => {
  const e = await failure(three.createChatCompletion({ model: 'no-such-model', messages: user('x') }));
  equal([e.response.status, e.response.data.error.code, e.response.data.error.param], [404, 'model_not_found', 'model']);
});
await done();
