// The real @langchain/openai (api 13) over chat completions and Responses, and @openai/agents over chat completions: tools in two
// rounds, the three ways of structured output, usage in streams, pictures, a handoff, abort. (@langchain/anthropic is in
// anthropic_clients.mjs, @openai/agents over Responses in responses_tools.mjs.)
import OpenAI from 'openai';
import { ChatOpenAI, OpenAI as Completions } from '@langchain/openai';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { Agent, Runner, OpenAIProvider, setTracingDisabled, tool as agentTool, handoff } from '@openai/agents';
import { z } from 'zod';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, KEY } from './lib.mjs';

const MODEL = 'qwen3.7-plus', PLAIN = 'Hello, 世界! This is the fake upstream.';
const fake = await fakeUpstream();
const gw = await gateway(fake);
const b64 = (s) => Buffer.from(s).toString('base64');
const call = (name, args) => `<q2a_call>\n${JSON.stringify({ name, arguments: args })}\n</q2a_call>`;
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} step=3 ${more}]]`;
const then = (mark, text) => `when=${b64(mark)} then=${b64(text)}`;
const failure = (p) => Promise.resolve(p).then((r) => { throw new Error(`no error: ${JSON.stringify(r)}`); }, (e) => e);
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
async function asked() {
  const log = await (await fetch(`${fake.base}/__log?n=100&bodies=1`)).json();
  return log.filter((e) => e.path?.includes('/chat/completions?')).map((e) => ({ ...e, message: JSON.parse(e.body).messages[0] }));
}
async function fresh(env, fn) {
  await fake.reset();
  const g = await gateway(fake, env);
  try { return await fn(g); } finally { await g.stop(); }
}
// What goes over the wire is kept, to see that the traps were sprung.
const sent = [];
const spy = (url, o) => { if (o?.body) sent.push([String(url), JSON.parse(o.body)]); return fetch(url, o); };
const lc = (more = {}, g = gw) => new ChatOpenAI({ model: MODEL, apiKey: KEY, maxRetries: 0, configuration: { baseURL: g.v1, fetch: spy }, ...more });
const said = (m) => (typeof m.content === 'string' ? m.content : m.content.filter((b) => b.type === 'text').map((b) => b.text).join(''));
const gather = async (s) => { let all; for await (const c of await s) all = all ? all.concat(c) : c; return all; };
const weather = tool(async ({ city }) => `It rains in ${city}`, { name: 'get_weather', description: 'The weather of a city.', schema: z.object({ city: z.string() }) });

for (const [api, more] of [['chat', {}], ['Responses', { useResponsesApi: true }]]) {
  await test(`api 13 langchain over ${api}: invoke and stream say the same, usage in both`, async () => {
    const r = await lc(more).invoke([new SystemMessage('Be brief.'), new HumanMessage('hello')]);
    equal(said(r), PLAIN);
    sent.length = 0;
    const s = await gather(lc(more).stream('hello'));
    equal(said(s), PLAIN);
    for (const u of [r.usage_metadata, s.usage_metadata]) ok(u.input_tokens > 0 && u.output_tokens > 0 && u.total_tokens === u.input_tokens + u.output_tokens, JSON.stringify(u));
    ok(sent[0][0].endsWith(api === 'chat' ? '/chat/completions' : '/responses'), sent[0][0]);
    if (api === 'chat') equal(sent[0][1].stream_options, { include_usage: true });
  });
  await test(`api 13 langchain over ${api}: two rounds of tools, invoked and streamed`, async () => {
    const bound = lc(more).bindTools([weather]);
    for (const once of [(m) => bound.invoke(m), (m) => gather(bound.stream(m))]) {
      const messages = [new HumanMessage(say(`Look. ${call('get_weather', { city: 'Oslo' })}`, then('rains in Oslo', `${call('get_weather', { city: 'Rome' })}\n${call('get_weather', { city: 'Bonn' })}`)))];
      const first = await once(messages);
      equal([said(first), first.tool_calls.map((c) => [c.name, c.args])], ['Look.', [['get_weather', { city: 'Oslo' }]]]);
      messages.push(first, new ToolMessage({ content: await weather.invoke(first.tool_calls[0].args), tool_call_id: first.tool_calls[0].id }));
      const second = await once(messages);
      equal([said(second), second.tool_calls.map((c) => c.args.city)], ['', ['Rome', 'Bonn']]);
      messages.push(second, ...second.tool_calls.map((c) => new ToolMessage({ content: `warm in ${c.args.city}`, tool_call_id: c.id })), new HumanMessage(say('lost', then('warm in Bonn', 'Bonn it is.'))));
      equal(said(await once(messages)), 'Bonn it is.');
      const prompt = (await asked()).at(-1).message.content;
      for (const c of [...first.tool_calls, ...second.tool_calls]) ok(prompt.includes(`<q2a_result id="${c.id}" name="get_weather">`), prompt);
    }
  });
  await test(`api 13 langchain over ${api}: tool_choice by name, any, none`, async () => {
    sent.length = 0;
    const ask = (tool_choice, text) => lc(more).bindTools([weather], { tool_choice, parallel_tool_calls: false }).invoke(say(text));
    equal((await ask('get_weather', call('get_weather', { city: 'Oslo' }))).tool_calls.map((c) => c.args.city), ['Oslo']);
    equal((await ask('any', call('get_weather', { city: 'Oslo' }) + call('get_weather', { city: 'Rome' }))).tool_calls.map((c) => c.args.city), ['Oslo']);
    equal(said(await ask('none', 'No tool.')), 'No tool.');
    if (api === 'Responses') return; // there the package does not send its 'any'
    const e = await failure(ask('any', 'I would rather not.'));
    equal([e.status, e.code], [502, 'tool_call_missing'], `${e} ${JSON.stringify(sent.at(-1))}`);
  });
  const schema = z.object({ city: z.string(), days: z.number() });
  for (const [method, words] of [['functionCalling', call('trip', { city: 'Oslo', days: '3' })], ['jsonSchema', 'Sure:\n```json\n{"city": "Oslo", "days": 3}\n```'], ['jsonMode', '{"city": "Oslo", "days": 3,}']])
    await test(`api 13 langchain over ${api}: withStructuredOutput by ${method}, with and without strict`, async () => {
      for (const strict of [undefined, true]) {
        if (strict && method === 'jsonMode') continue;
        sent.length = 0;
        const made = lc(more).withStructuredOutput(schema, { name: 'trip', method, strict });
        equal(await made.invoke(say(words)), { city: 'Oslo', days: 3 });
        const body = sent[0][1], text = JSON.stringify(body);
        if (method === 'functionCalling') ok(JSON.stringify(body.tool_choice).includes('trip'), text);
        else ok(text.includes(method === 'jsonMode' ? 'json_object' : 'json_schema'), text);
        if (api === 'Responses' && method === 'functionCalling') continue; // the package cannot read such a stream itself
        let last;
        for await (const c of await made.stream(say(words))) last = c;
        equal(last, { city: 'Oslo', days: 3 });
      }
    });
  await test(`api 13 langchain over ${api}: a picture goes along`, () => fresh({}, async (g) => {
    const r = await lc(more, g).invoke([new HumanMessage({ content: [{ type: 'text', text: say('A dot.') }, { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }] })]);
    equal([said(r), (await asked()).at(-1).files.map((f) => f.file_class)], ['A dot.', ['vision']]);
  }));
  await test(`api 12 13 langchain over ${api}: errors, retries, abort`, async () => {
    await fresh({ CHAT_RETRY_COUNT: '0' }, async (g) => {
      const e = await failure(lc({ ...more, maxRetries: 2 }, g).invoke('[[scenario:punish]]'));
      ok(e.status === 503 && /captcha/.test(e.message), String(e)); // it does not mind x-should-retry, but the second try meets an account that rests
      equal((await fake.stats()).completions, 1, 'one call upstream');
    });
    await fresh({}, async (g) => {
      const a = new AbortController();
      const e = await failure((async () => { for await (const c of await lc(more, g).stream('[[scenario:stream n=600 ms=100 size=20]]', { signal: a.signal })) if (said(c)) a.abort(); throw new Error('aborted'); })());
      ok(/abort/i.test(String(e)), String(e));
      await waitFor(async () => { const x = await fake.stats(); return x.stops >= 1 && x.running === 0; }, 5000, 'a stop call, and nothing runs');
    });
  });
}
await test('api 13 langchain: some options turn to Responses by themselves', async () => {
  sent.length = 0;
  const r = await lc({ model: `${MODEL}-thinking`, reasoning: { effort: 'low', summary: 'auto' }, useResponsesApi: true }).invoke('[[scenario:thinking_detail]]');
  ok(sent[0][0].endsWith('/responses') && said(r).length > 0, JSON.stringify(r.content));
  ok(JSON.stringify(r.additional_kwargs.reasoning ?? r.content).includes('summary_text') || /reasoning/.test(JSON.stringify(r.content)), JSON.stringify(r));
  sent.length = 0;
  await lc().bindTools([{ type: 'web_search_preview' }]).invoke('hello');
  ok(sent[0][0].endsWith('/responses'), sent[0][0]);
});
await test('api 3.7 13 langchain over chat: -thinking: the text is clean', async () => {
  const r = await lc({ model: `${MODEL}-thinking` }).invoke('[[scenario:thinking_detail]]');
  ok(said(r).length > 0 && !/<think>/.test(said(r)), said(r));
});
await test('api 8 13 langchain: legacy completions, invoked and streamed', async () => {
  const llm = new Completions({ model: MODEL, apiKey: KEY, maxRetries: 0, configuration: { baseURL: gw.v1 } });
  equal(await llm.invoke('hello'), PLAIN);
  let text = '';
  for await (const c of await llm.stream('hello')) text += c;
  equal(text, PLAIN);
});

// ---- @openai/agents over chat completions ----
setTracingDisabled(true);
const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0, fetch: spy });
const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient: client, useResponses: false }), tracingDisabled: true });
await test('api 13 agents over chat: two rounds of tools, whole and streamed', async () => {
  for (const stream of [false, true]) {
    const ran = [];
    const agent = new Agent({ name: 'A', model: MODEL, tools: [agentTool({ name: 'get_weather', description: 'd', parameters: z.object({ city: z.string() }), execute: async ({ city }) => { ran.push(city); return `It rains in ${city}`; } })] });
    sent.length = 0;
    await fake.script({ completions: [`say b64=${b64(call('get_weather', { city: 'Oslo' }))} step=2`, `say b64=${b64(call('get_weather', { city: 'Rome' }))} step=2`, `say b64=${b64('lost')} when=${b64('rains in Rome')} then=${b64('All wet.')}`] });
    const r = await runner.run(agent, 'x', { stream });
    if (stream) await r.completed;
    equal([r.finalOutput, ran], ['All wet.', ['Oslo', 'Rome']]);
    ok(sent.length === 3 && sent[0][0].endsWith('/chat/completions'), JSON.stringify(sent.map((x) => x[0])));
  }
});
await test('api 13 agents over chat: a handoff, structured output', async () => {
  const expert = new Agent({ name: 'Expert', model: MODEL, handoffDescription: 'knows', instructions: 'EXPERT AT WORK', outputType: z.object({ answer: z.string() }) });
  const desk = new Agent({ name: 'Desk', model: MODEL, handoffs: [handoff(expert)] });
  const r = await runner.run(desk, say(call('transfer_to_Expert', {}), then('EXPERT AT WORK', '{"answer":"42"}')));
  equal([r.finalOutput, r.lastAgent.name], [{ answer: '42' }, 'Expert']);
});
await done();
