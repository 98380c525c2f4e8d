// The real ai package over chat completions (api 13): @ai-sdk/openai-compatible, whose schemas refuse what does not fit, and the
// .chat() of @ai-sdk/openai. (Responses are in responses_tools.mjs, Messages in anthropic_clients.mjs.)
import { generateText, streamText, generateObject, generateImage, tool, stepCountIs, Output } from 'ai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { createOpenAI } from '@ai-sdk/openai';
import { z } from 'zod';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, auth, KEY } from './lib.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const MODEL = 'qwen3.7-plus', PLAIN = 'Hello, 世界! This is the fake upstream.';
const fake = await fakeUpstream({ args: ['--accounts', '2'] });
const gw = await gateway(fake);
const b64 = (s) => Buffer.from(s).toString('base64');
const call = (name, args) => `<q2a_call>\n${JSON.stringify({ name, arguments: args })}\n</q2a_call>`;
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} step=3 ${more}]]`;
const then = (mark, text) => `when=${b64(mark)} then=${b64(text)}`;
const failure = (p) => Promise.resolve(p).then(() => { throw new Error('no error'); }, (e) => e);
const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
async function asked() {
  const log = await (await fetch(`${fake.base}/__log?n=100&bodies=1`)).json();
  return log.filter((e) => e.path?.includes('/chat/completions?')).map((e) => ({ ...e, message: JSON.parse(e.body).messages[0] }));
}
async function fresh(env, fn) {
  await fake.reset();
  const g = await gateway(fake, env);
  try { return await fn(g); } finally { await g.stop(); }
}
// All parts of a stream; an error part is thrown.
async function parts(options) {
  const s = streamText({ maxRetries: 0, onError: () => {}, ...options }), all = [];
  for await (const p of s.fullStream) {
    if (p.type === 'error') throw p.error;
    all.push(p);
  }
  const of = (type) => all.filter((p) => p.type === type);
  return { all, of, text: of('text-delta').map((p) => p.text).join(''), think: of('reasoning-delta').map((p) => p.text).join(''), usage: await s.totalUsage, finish: await s.finishReason, steps: await s.steps };
}
const ran = [];
const get_weather = tool({ description: 'The weather of a city', inputSchema: z.object({ city: z.string() }), execute: async (input) => { ran.push(input.city); return `It is ${ran.length} degrees in ${input.city}`; } });

for (const [name, model] of [
  ['openai-compatible', (g, id = MODEL, more = {}) => createOpenAICompatible({ name: 'gateway', apiKey: KEY, baseURL: g.v1, includeUsage: true, supportsStructuredOutputs: true, ...more })(id)],
  ['openai-compatible by /cli/v1', (g, id = MODEL) => createOpenAICompatible({ name: 'gateway', apiKey: KEY, baseURL: `${g.base}/cli/v1`, includeUsage: true, supportsStructuredOutputs: true })(id)],
  ['openai .chat()', (g, id = MODEL) => createOpenAI({ apiKey: KEY, baseURL: g.v1 }).chat(id)],
]) {
  await test(`api 13 ai ${name}: generateText and streamText say the same, with usage`, async () => {
    const r = await generateText({ model: model(gw), prompt: 'hello', system: 'Be brief.', maxRetries: 0 });
    equal([r.text, r.finishReason], [PLAIN, 'stop']);
    const s = await parts({ model: model(gw), prompt: 'hello', system: 'Be brief.' });
    equal([s.text, s.finish, s.of('text-start').length, s.of('text-end').length], [PLAIN, 'stop', 1, 1]);
    for (const u of [r.usage, s.usage]) ok(u.inputTokens > 0 && u.outputTokens > 0 && u.totalTokens === u.inputTokens + u.outputTokens, JSON.stringify(u));
    ok((await asked()).at(-1).message.content.includes('Be brief.'), 'the system text, as developer or system');
  });
  await test(`api 13 ai ${name}: two rounds of tools, whole and streamed`, async () => {
    const prompt = say(`Look. ${call('get_weather', { city: 'Oslo' })}`, then('1 degrees', call('get_weather', { city: 'Rome' })));
    for (const streamed of [false, true]) {
      ran.length = 0;
      await fake.script({ completions: [`say b64=${b64(`Look. ${call('get_weather', { city: 'Oslo' })}`)} step=2`, `say b64=${b64(`${call('get_weather', { city: 'Rome' })}${call('get_weather', { city: 'Bonn' })}`)} step=2`,
        `say b64=${b64('lost')} when=${b64('3 degrees in Bonn')} then=${b64('Bonn is warmest.')}`] });
      const options = { model: model(gw), prompt, tools: { get_weather }, stopWhen: stepCountIs(4) };
      const r = streamed ? await parts(options) : await generateText({ ...options, maxRetries: 0 });
      equal([ran, r.steps.length, r.steps.map((s) => s.finishReason)], [['Oslo', 'Rome', 'Bonn'], 3, ['tool-calls', 'tool-calls', 'stop']]);
      equal(r.steps.map((s) => [s.text, s.toolCalls.map((c) => c.input.city)]), [['Look.', ['Oslo']], ['', ['Rome', 'Bonn']], ['Bonn is warmest.', []]]);
      equal(new Set(r.steps.flatMap((s) => s.toolCalls.map((c) => c.toolCallId))).size, 3, 'ids');
      if (streamed) equal(r.of('tool-input-delta').map((p) => p.delta).join(''), '{"city":"Oslo"}{"city":"Rome"}{"city":"Bonn"}');
    }
  });
  await test(`api 13 ai ${name}: a tool call with no arguments is an object in text`, async () => {
    const r = await generateText({ model: model(gw), prompt: say('<q2a_call>{"name":"now"}</q2a_call>'), maxRetries: 0, toolChoice: 'required', tools: { now: tool({ inputSchema: z.object({}) }) } });
    equal(r.toolCalls.map((c) => [c.toolName, c.input]), [['now', {}]]);
  });
  await test(`api 13 ai ${name}: structured output, whole and streamed; a tool by its name`, async () => {
    const schema = z.object({ city: z.string(), days: z.number() }), prompt = say('Sure:\n```json\n{"city":"Oslo","days":3}\n```');
    equal((await generateObject({ model: model(gw), schema, prompt, maxRetries: 0 })).object, { city: 'Oslo', days: 3 });
    equal((await generateText({ model: model(gw), prompt, output: Output.object({ schema }), maxRetries: 0 })).output, { city: 'Oslo', days: 3 });
    const s = streamText({ model: model(gw), prompt, output: Output.object({ schema }), maxRetries: 0, onError: () => {} });
    equal(await s.output, { city: 'Oslo', days: 3 });
    const r = await generateText({ model: model(gw), prompt: say(call('get_weather', { city: 'Oslo' })), tools: { get_weather: tool({ inputSchema: z.object({ city: z.string() }) }) }, toolChoice: { type: 'tool', toolName: 'get_weather' }, maxRetries: 0 });
    equal(r.toolCalls.map((c) => c.input), [{ city: 'Oslo' }]);
  });
  await test(`api 13 ai ${name}: a picture goes along`, () => fresh({}, async (g) => {
    const r = await generateText({ model: model(g), maxRetries: 0, messages: [{ role: 'user', content: [{ type: 'text', text: say('A dot.') }, { type: 'image', image: png }] }] });
    equal([r.text, (await asked()).at(-1).files.map((f) => f.file_class)], ['A dot.', ['vision']]);
  }));
  await test(`api 13 ai ${name}: max tokens, stop, content filter`, async () => {
    const cut = await generateText({ model: model(gw), prompt: say('word '.repeat(100)), maxOutputTokens: 10, maxRetries: 0 });
    equal(cut.finishReason, 'length');
    ok(cut.text.length > 20 && cut.text.length < 100, cut.text);
    if (name.startsWith('openai-')) {
      const stopped = await parts({ model: model(gw), prompt: say('one two three'), stopSequences: ['two'] });
      equal([stopped.text.trim(), stopped.finish], ['one', 'stop']);
    }
    await fresh({}, async (g) => equal((await parts({ model: model(g), prompt: '[[scenario:moderation after=3]]' })).finish, 'content-filter'));
  });
  await test(`api 12 13 ai ${name}: errors have status and words; one inside a stream is a part`, async () => {
    await fresh({ CHAT_RETRY_COUNT: '0' }, async (g) => {
      for (const go of [() => generateText({ model: model(g), prompt: '[[scenario:quota]]', maxRetries: 1 }), () => parts({ model: model(g), prompt: '[[scenario:quota]]' })]) {
        const e = await failure(go()), last = e.lastError ?? e;
        equal(last.statusCode, 429, String(e));
        ok(/quota|limit/i.test(last.message) && last.data?.error?.code === 'insufficient_quota', JSON.stringify(last.data));
      }
      equal((await fake.stats()).completions, 1, 'the account rests: what the package tries again does not reach the upstream');
    });
    await fresh({}, async (g) => {
      const s = streamText({ model: model(g), prompt: '[[scenario:drop]]', maxRetries: 0, onError: () => {} });
      let text = '', error;
      for await (const p of s.fullStream) { if (p.type === 'text-delta') text += p.text; if (p.type === 'error') error = p.error; }
      ok(text.length > 0 && /upstream|interrupted|ended|broke/i.test(JSON.stringify(error) + String(error?.message ?? error)), `${text} ${JSON.stringify(error)}`);
    });
    equal((await failure(generateText({ model: model(gw, 'no-such-model'), prompt: 'x', maxRetries: 0 }))).statusCode, 404);
  });
  await test(`api 0.12 13 ai ${name}: abort stops the upstream turn`, async () => {
    await fake.reset();
    const a = new AbortController();
    const s = streamText({ model: model(gw), prompt: '[[scenario:stream n=600 ms=100 size=20]]', abortSignal: a.signal, maxRetries: 0, onError: () => {} });
    for await (const p of s.fullStream) if (p.type === 'text-delta') a.abort();
    await waitFor(async () => { const x = await fake.stats(); return x.stops >= 1 && x.running === 0; }, 5000, 'a stop call, and nothing runs');
  });
}
const compatible = (more = {}) => createOpenAICompatible({ name: 'gateway', apiKey: KEY, baseURL: gw.v1, ...more });
await test('api 3.7 13 ai openai-compatible: reasoning is one block before the text, streamed and not', async () => {
  const ask = { model: compatible()(`${MODEL}-thinking`), prompt: '[[scenario:thinking_detail]]' };
  const r = await generateText({ ...ask, maxRetries: 0 }), s = await parts(ask);
  ok(r.reasoningText.length > 10 && r.text.length > 0, JSON.stringify([r.reasoningText, r.text]));
  equal([s.think, s.text], [r.reasoningText, r.text]);
  equal([s.of('reasoning-start').length, s.of('reasoning-end').length, s.of('text-start').length], [1, 1, 1]);
  const order = s.all.map((p) => p.type).filter((t) => /^(reasoning|text)-(start|end)$/.test(t));
  equal(order, ['reasoning-start', 'reasoning-end', 'text-start', 'text-end']);
});
await test('api 3.7 13 ai openai-compatible: reasoning, then a call; and back again', async () => {
  ran.length = 0;
  const prompt = `[[scenario:say b64=${b64(call('get_weather', { city: 'Oslo' }))} think_b64=${b64('Which city?')} step=3 ${then('1 degrees', 'Cold.')}]]`;
  const s = await parts({ model: compatible()(`${MODEL}-thinking`), prompt, tools: { get_weather }, stopWhen: stepCountIs(3) });
  equal([s.steps[0].reasoningText, s.steps[0].toolCalls.map((c) => c.input.city), s.text], ['Which city?', ['Oslo'], 'Cold.']);
  ok(!(await asked()).at(-1).message.content.includes('Which city?'), 'thoughts are dropped from the history');
});
await test('api 3.6 13 ai openai-compatible: usage comes unasked as well', async () => {
  const s = await parts({ model: compatible({ includeUsage: false })(MODEL), prompt: 'hello' });
  ok(s.usage.inputTokens > 0, JSON.stringify(s.usage));
});
await test('api 5.1 5.7 8 13 ai openai-compatible: completionModel, imageModel', async () => {
  equal((await generateText({ model: compatible().completionModel(MODEL), prompt: 'hello', maxRetries: 0 })).text, PLAIN);
  // it fetches the result's address by itself; /v1/media is for those that cannot reach those hosts (api 5.7)
  const near = (url, o) => (String(url).startsWith('https://cdn.') ? fetch(`${gw.v1}/media?url=${encodeURIComponent(url)}`, { headers: auth() }) : fetch(url, o));
  const { images } = await generateImage({ model: compatible({ fetch: near }).imageModel(`${MODEL}-image`), prompt: 'a cat', size: '1024x1024', maxRetries: 0 });
  equal(Buffer.from(images[0].base64, 'base64').subarray(1, 4).toString(), 'PNG');
});
await test('api 4.4 13 ai openai-compatible by /cli/v1 with a key: native tools in two rounds, thoughts, an error', () => fresh({ ACCOUNTS: null, CLI_FALLBACK: 'none', CLI_API_KEY: 'sk-fake-dashscope', CLI_BASE_URL: 'https://dashscope.aliyuncs.com/compatible-mode/v1' }, async (g) => {
  const model = createOpenAICompatible({ name: 'gateway', apiKey: KEY, baseURL: `${g.base}/cli/v1`, includeUsage: true })('qwen3-coder-plus');
  for (const streamed of [false, true]) {
    ran.length = 0;
    await fake.script({ dashscope: ['tool_call name=get_weather args={"city":"Oslo"}', 'tool_call name=get_weather args={"city":"Rome"}', `say b64=${b64('lost')} when=${b64('2 degrees in Rome')} then=${b64('Rome is warmer.')}`] });
    const options = { model, prompt: 'x', tools: { get_weather }, stopWhen: stepCountIs(4) };
    const r = streamed ? await parts(options) : await generateText({ ...options, maxRetries: 0 });
    equal([ran, r.steps.map((s) => s.finishReason), r.steps.at(-1).text], [['Oslo', 'Rome'], ['tool-calls', 'tool-calls', 'stop'], 'Rome is warmer.']);
  }
  const e = await failure(generateText({ model, prompt: '[[scenario:inspection]]', maxRetries: 0 }));
  equal([e.statusCode, e.data?.error?.code], [400, 'content_filter'], JSON.stringify(e.data));
}));
await done();
