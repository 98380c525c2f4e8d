// What every client library of api 13 must do, for those that speak Messages or Responses: two rounds of tools (the second with two
// calls at once), whole and streamed; structured output; a picture; abort. Each client fills one table; the words of the model are
// the same for all.
import OpenAI from 'openai';
import OpenAI4 from 'openai4';
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { ChatAnthropic } from '@langchain/anthropic';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool as lcTool } from '@langchain/core/tools';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText, tool, stepCountIs, Output } from 'ai';
import { Agent, Runner, OpenAIProvider, setTracingDisabled, tool as agentTool } from '@openai/agents';
import { z } from 'zod';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, KEY } from './lib.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
setTracingDisabled(true);
const MODEL = 'qwen3.7-plus';
const fake = await fakeUpstream();
const gw = await gateway(fake, { ANTHROPIC_DEFAULT_MODEL: MODEL });
const b64 = (s) => Buffer.from(s).toString('base64');
const call = (name, args) => `<q2a_call>\n${JSON.stringify({ name, arguments: args })}\n</q2a_call>`;
const say = (text) => `[[scenario:say b64=${b64(text)} step=3]]`;
const words = (text) => `say b64=${b64(text)} step=3`;
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const picture = `data:image/png;base64,${png}`, endless = '[[scenario:stream n=600 ms=100 size=20]]';
async function asked() {
  const log = await (await fetch(`${fake.base}/__log?n=100&bodies=1`)).json();
  return log.filter((e) => e.path?.includes('/chat/completions?')).map((e) => ({ ...e, message: JSON.parse(e.body).messages[0] }));
}
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const trip = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'number' } }, required: ['city', 'days'], additionalProperties: false };
const zTrip = z.object({ city: z.string(), days: z.number() }), zCity = z.object({ city: z.string() });

// ---- the clients: rounds(run, streamed) gives the last words; run(city) is the tool. shape() gives the object, see() the words ----
function responses(Client) {
  const c = new Client({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 }), tools = [{ type: 'function', name: 'get_weather', description: 'd', parameters, strict: true }];
  const once = async (body, streamed) => {
    if (!streamed) return c.responses.create(body);
    if (c.responses.stream) return c.responses.stream(body).finalResponse();
    let end;
    for await (const e of await c.responses.create({ ...body, stream: true })) if (e.type === 'response.completed') end = e.response;
    return end;
  };
  return {
    rounds: async (run, streamed) => {
      const input = [{ role: 'user', content: 'x' }];
      for (;;) {
        const r = await once({ model: MODEL, input, tools, store: false }, streamed);
        const calls = r.output.filter((o) => o.type === 'function_call');
        if (!calls.length) return r.output.flatMap((o) => o.content ?? []).map((p) => p.text).join('');
        input.push(...r.output, ...calls.map((o) => ({ type: 'function_call_output', call_id: o.call_id, output: run(JSON.parse(o.arguments).city) })));
      }
    },
    shape: async (prompt) => JSON.parse((await once({ model: MODEL, input: prompt, text: { format: { type: 'json_schema', name: 'trip', strict: true, schema: trip } } }, true)).output[0].content[0].text),
    see: async (prompt) => (await once({ model: MODEL, input: [{ role: 'user', content: [{ type: 'input_text', text: prompt }, { type: 'input_image', image_url: picture, detail: 'auto' }] }] })).output[0].content[0].text,
    leave: async (signal) => { for await (const e of await c.responses.create({ model: MODEL, input: endless, stream: true }, { signal })) if (e.type === 'response.output_text.delta') return true; },
  };
}
function aisdk(model) {
  const tools = (run) => ({ get_weather: tool({ description: 'd', inputSchema: zCity, execute: async ({ city }) => run(city) }) });
  return {
    rounds: async (run, streamed) => {
      const options = { model, prompt: 'x', tools: tools(run), stopWhen: stepCountIs(5), maxRetries: 0 };
      if (!streamed) return (await generateText(options)).text;
      const s = streamText({ ...options, onError: () => {} });
      await s.consumeStream();
      return s.text;
    },
    shape: async (prompt) => streamText({ model, prompt, output: Output.object({ schema: zTrip }), maxRetries: 0, onError: () => {} }).output,
    see: async (prompt) => (await generateText({ model, maxRetries: 0, messages: [{ role: 'user', content: [{ type: 'text', text: prompt }, { type: 'image', image: Buffer.from(png, 'base64') }] }] })).text,
    leave: async (abortSignal) => { for await (const p of streamText({ model, prompt: endless, abortSignal, maxRetries: 0, onError: () => {} }).fullStream) if (p.type === 'text-delta') return true; },
  };
}
function agents(runner) {
  const agent = (more) => new Agent({ name: 'A', model: MODEL, ...more });
  return {
    rounds: async (run, stream) => {
      const r = await runner.run(agent({ tools: [agentTool({ name: 'get_weather', description: 'd', parameters: zCity, execute: async ({ city }) => run(city) })] }), 'x', { stream });
      if (stream) await r.completed;
      return r.finalOutput;
    },
    shape: async (prompt) => (await runner.run(agent({ outputType: zTrip }), prompt)).finalOutput,
    see: async (prompt) => (await runner.run(agent(), [{ role: 'user', content: [{ type: 'input_text', text: prompt }, { type: 'input_image', image: picture }] }])).finalOutput,
    leave: async (signal) => { for await (const e of await runner.run(agent(), endless, { stream: true, signal })) if (e.type === 'raw_model_stream_event' && e.data.type === 'output_text_delta') return true; },
  };
}
const claude = new Anthropic({ apiKey: KEY, baseURL: gw.base, maxRetries: 0 });
const langchain = () => new ChatAnthropic({ model: 'claude-opus-5', maxTokens: 4000, apiKey: KEY, anthropicApiUrl: gw.base, maxRetries: 0 });
const said = (m) => (typeof m.content === 'string' ? m.content : m.content.filter((b) => b.type === 'text').map((b) => b.text).join(''));
const gather = async (s) => { let all; for await (const c of await s) all = all ? all.concat(c) : c; return all; };
const message = (content) => ({ model: 'claude-opus-5', max_tokens: 4000, messages: [{ role: 'user', content }] });
const clients = {
  'openai, Responses': responses(OpenAI),
  'openai v4, Responses': responses(OpenAI4),
  'ai + @ai-sdk/openai, Responses': aisdk(createOpenAI({ apiKey: KEY, baseURL: gw.v1 })(MODEL)),
  'ai + @ai-sdk/anthropic': aisdk(createAnthropic({ apiKey: KEY, baseURL: gw.v1 })('claude-opus-5')),
  '@openai/agents, Responses': agents(new Runner({ modelProvider: new OpenAIProvider({ openAIClient: new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 }), useResponses: true }), tracingDisabled: true })),
  '@anthropic-ai/sdk': {
    rounds: async (run, stream) => said(await claude.beta.messages.toolRunner({ ...message('x'), stream, max_iterations: 5,
      tools: [betaTool({ name: 'get_weather', description: 'd', inputSchema: parameters, run: ({ city }) => run(city) })] })),
    shape: async (prompt) => JSON.parse(said(await claude.messages.stream({ ...message(prompt), output_config: { format: { type: 'json_schema', schema: trip } } }).finalMessage())),
    see: async (prompt) => said(await claude.messages.create(message([{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }, { type: 'text', text: prompt }]))),
    leave: async (signal) => { for await (const e of claude.messages.stream(message(endless), { signal })) if (e.type === 'content_block_delta') return true; },
  },
  '@langchain/anthropic': {
    rounds: async (run, streamed) => {
      const bound = langchain().bindTools([lcTool(async () => '', { name: 'get_weather', description: 'd', schema: zCity })]), messages = [new HumanMessage('x')];
      for (;;) {
        const r = streamed ? await gather(bound.stream(messages)) : await bound.invoke(messages);
        if (!r.tool_calls?.length) return said(r);
        messages.push(r, ...r.tool_calls.map((c) => new ToolMessage({ content: run(c.args.city), tool_call_id: c.id })));
      }
    },
    shape: async (prompt) => langchain().withStructuredOutput(zTrip, { name: 'trip', method: 'jsonSchema' }).invoke(prompt),
    see: async (prompt) => said(await langchain().invoke([new HumanMessage({ content: [{ type: 'text', text: prompt }, { type: 'image_url', image_url: { url: picture } }] })])),
    leave: async (signal) => { for await (const c of await langchain().stream(endless, { signal })) if (said(c)) return true; },
  },
};

for (const [name, c] of Object.entries(clients)) {
  await test(`api 13 ${name}: two rounds of tools, whole and streamed`, async () => {
    for (const streamed of [false, true]) {
      const ran = [], before = (await fake.stats()).completions;
      await fake.script({ completions: [words(`Look. ${call('get_weather', { city: 'Oslo' })}`), `${words('lost')} when=${b64('1 degrees in Oslo')} then=${b64(`${call('get_weather', { city: 'Rome' })}\n${call('get_weather', { city: 'Bonn' })}`)}`,
        `${words('lost')} when=${b64('3 degrees in Bonn')} then=${b64('Bonn is warmest.')}`] });
      equal([await c.rounds((city) => { ran.push(city); return `${ran.length} degrees in ${city}`; }, streamed), ran], ['Bonn is warmest.', ['Oslo', 'Rome', 'Bonn']], streamed ? 'streamed' : 'whole');
      const prompt = (await asked()).at(-1).message.content;
      equal((await fake.stats()).completions - before, 3, 'one upstream turn a step');
      const results = [...prompt.matchAll(/<q2a_result id="([^"]+)" name="get_weather">\n(\d degrees in \w+)\n<\/q2a_result>/g)];
      equal(results.map((m) => m[2]), ['1 degrees in Oslo', '2 degrees in Rome', '3 degrees in Bonn'], 'the results went up, each by its name');
      for (const [, id] of results) equal(prompt.split(`"id":${JSON.stringify(id)}`).length, 2, 'and belongs to a call of the history');
    }
  });
  await test(`api 3.11 13 ${name}: structured output`, async () => equal(await c.shape(say('Sure:\n```json\n{"city": "Oslo", "days": 3,}\n```')), { city: 'Oslo', days: 3 }));
  await test(`api 3.4 13 ${name}: a picture goes along`, async () => {
    equal([await c.see(say('A dot.')), (await asked()).at(-1).files.map((f) => f.file_class)], ['A dot.', ['vision']]);
  });
  await test(`api 0.12 13 ${name}: abort stops the upstream turn`, async () => {
    const a = new AbortController(), before = (await fake.stats()).stops;
    ok(await c.leave(a.signal).then((x) => { a.abort(); return x; }), 'it had begun');
    await waitFor(async () => { const x = await fake.stats(); return x.stops > before && x.running === 0; }, 5000, 'a stop call, and nothing runs');
  });
}
await done();
