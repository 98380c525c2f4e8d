// Tools, structured output and pictures over the Responses protocol (api 7.2, 7.5, 3.10, 3.11) with the real clients.
import OpenAI from 'openai';
import { generateText, streamText, generateObject, tool, stepCountIs } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { Agent, Runner, OpenAIProvider, setTracingDisabled, tool as agentTool, handoff } from '@openai/agents';
import { z } from 'zod';
import { zodTextFormat } from 'openai/helpers/zod';
import { test, equal, ok, done, fakeUpstream, gateway, post, KEY } from './lib.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const MODEL = 'qwen3.7-plus';
const fake = await fakeUpstream();
const gw = await gateway(fake);
const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
const failure = (p) => p.then(() => { throw new Error('no error'); }, (e) => e);
const b64 = (s) => Buffer.from(s).toString('base64');
// Says one thing first, and another once the prompt holds `when`.
const say = (text, when, then) => `[[scenario:say b64=${b64(text)}${when ? ` when=${b64(when)} then=${b64(then)}` : ''}]]`;
const call = (name, args) => `<q2a_call>\n${JSON.stringify({ name, arguments: args })}\n</q2a_call>`;
const weather = { type: 'function', name: 'get_weather', description: 'The weather of a city', parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } };
const prompts = async () => JSON.stringify((await (await fetch(`${fake.base}/__log?n=50&bodies=1`)).json()).filter((e) => /completions/.test(e.path)).at(-1));

await test('api 7.5: a function call, streamed and whole', async () => {
  const input = say(`Let me look.\n${call('get_weather', { city: 'Paris' })}`);
  const r = await client.responses.create({ model: MODEL, input, tools: [weather] });
  equal(r.output.map((o) => o.type), ['message', 'function_call']);
  const c = r.output[1];
  equal([c.name, JSON.parse(c.arguments), c.status], ['get_weather', { city: 'Paris' }, 'completed']);
  ok(/^fc_[0-9A-Za-z]{24}$/.test(c.id) && /^call_[0-9A-Za-z]{24}$/.test(c.call_id), `${c.id} ${c.call_id}`);
  ok(!r.output_text.includes('q2a_call'), r.output_text);
  const s = client.responses.stream({ model: MODEL, input, tools: [weather] });
  const types = [];
  for await (const e of s) types.push(e.type);
  const final = await s.finalResponse();
  equal(final.output.map((o) => o.type), ['message', 'function_call']);
  ok(types.includes('response.function_call_arguments.delta') && types.includes('response.function_call_arguments.done'), types.join());
});
await test('api 7.2: a tool loop of two rounds by previous_response_id', async () => {
  const input = say(call('get_weather', { city: 'Paris' }), 'It is 21 degrees', 'Warm: 21.');
  const first = await client.responses.create({ model: MODEL, input, tools: [weather] });
  const c = first.output.find((o) => o.type === 'function_call');
  const second = await client.responses.create({ model: MODEL, tools: [weather], previous_response_id: first.id,
    input: [{ type: 'function_call_output', call_id: c.call_id, output: 'It is 21 degrees' }] });
  equal(second.output_text, 'Warm: 21.');
  const prompt = await prompts();
  ok(prompt.includes('q2a_result') && prompt.includes(c.call_id) && prompt.includes('get_weather'), prompt);
});
await test('api 7.2: the same with the whole conversation as input, store:false', async () => {
  const input = [{ role: 'user', content: say(call('get_weather', { city: 'Paris' }), 'It is 21 degrees', 'Warm: 21.') }];
  const first = await client.responses.create({ model: MODEL, input, tools: [weather], store: false, include: ['reasoning.encrypted_content'] });
  const c = first.output.find((o) => o.type === 'function_call');
  const second = await client.responses.create({ model: MODEL, tools: [weather], store: false,
    input: [...input, ...first.output, { type: 'function_call_output', call_id: c.call_id, output: [{ type: 'input_text', text: 'It is 21 degrees' }] }] });
  equal(second.output_text, 'Warm: 21.');
});
await test('api 7.2: a custom tool gets raw text', async () => {
  const patch = '*** Begin Patch\n*** Add File: a.txt\n+"quoted" \\ text\n*** End Patch';
  const tools = [{ type: 'custom', name: 'apply_patch', description: 'Edits files', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } }];
  const input = say(call('apply_patch', { input: patch }), 'Done: patched', 'Patched.');
  const first = await client.responses.create({ model: MODEL, input, tools });
  const c = first.output.find((o) => o.type === 'custom_tool_call');
  equal([c.name, c.input, c.status], ['apply_patch', patch, 'completed']);
  let streamed = '', done_;
  for await (const e of await client.responses.create({ model: MODEL, input, tools, stream: true })) {
    if (e.type === 'response.custom_tool_call_input.delta') streamed += e.delta;
    if (e.type === 'response.custom_tool_call_input.done') done_ = e.input;
  }
  equal([streamed, done_], [patch, patch]);
  const second = await client.responses.create({ model: MODEL, tools, previous_response_id: first.id, input: [{ type: 'custom_tool_call_output', call_id: c.call_id, output: 'Done: patched' }] });
  equal(second.output_text, 'Patched.');
});
await test('api 7.2: tool_choice required without a call is tool_call_missing', async () => {
  const e = await failure(client.responses.create({ model: MODEL, input: say('No.'), tools: [weather], tool_choice: 'required' }));
  equal([e.status, e.code], [502, 'tool_call_missing']);
});
await test('api 7.2: parallel_tool_calls:false gives one call; else each its own item', async () => {
  const input = say(`${call('get_weather', { city: 'Paris' })}\n${call('get_weather', { city: 'Rome' })}`);
  const two = await client.responses.create({ model: MODEL, input, tools: [weather] });
  equal(two.output.map((o) => JSON.parse(o.arguments).city), ['Paris', 'Rome']);
  equal(new Set(two.output.flatMap((o) => [o.id, o.call_id])).size, 4, 'ids');
  const one = await client.responses.create({ model: MODEL, input, tools: [weather], parallel_tool_calls: false });
  equal(one.output.map((o) => JSON.parse(o.arguments).city), ['Paris']);
});
await test('tools of a group: told by both names', async () => {
  const r = await client.responses.create({ model: MODEL, input: say(call('close', { id: 'x' })), tools: [{ type: 'namespace', name: 'agents', description: 'd',
    tools: [{ type: 'function', name: 'close', parameters: { type: 'object', properties: { id: { type: 'string' } } } }] }] });
  equal([r.output[0].type, r.output[0].name, r.output[0].namespace], ['function_call', 'close', 'agents']);
});
await test('api 7.2: text.format json_schema, flat', async () => {
  const Answer = z.object({ city: z.string(), degrees: z.number() });
  const input = say('Sure:\n```json\n{"city":"Paris","degrees":21}\n```');
  const r = await client.responses.parse({ model: MODEL, input, text: { format: zodTextFormat(Answer, 'answer') } });
  equal(r.output_parsed, { city: 'Paris', degrees: 21 });
  const s = client.responses.stream({ model: MODEL, input, text: { format: zodTextFormat(Answer, 'answer') } });
  equal((await s.finalResponse()).output_parsed, { city: 'Paris', degrees: 21 });
  const e = await failure(client.responses.create({ model: MODEL, input: say('No JSON here.'), text: { format: zodTextFormat(Answer, 'answer') } }));
  equal([e.status, e.code], [502, 'invalid_json_output']);
});
await test('api 3.4: a picture goes to the upstream', async () => {
  const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  await fake.reset();
  const r = await client.responses.create({ model: MODEL, input: [{ role: 'user', content: [{ type: 'input_text', text: say('A dot.') }, { type: 'input_image', image_url: `data:image/png;base64,${png}` }] }] });
  equal(r.output_text, 'A dot.');
  const files = await (await fetch(`${fake.base}/__files`)).json();
  equal((files.files ?? files).length, 1, 'uploaded');
});

// ---- ai + @ai-sdk/openai ----
const sdk = createOpenAI({ apiKey: KEY, baseURL: gw.v1 });
const get_weather = tool({ description: 'The weather of a city', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `It is 21 degrees in ${city}` });
await test('ai: a tool loop of two rounds, whole and streamed', async () => {
  const prompt = say(call('get_weather', { city: 'Paris' }), 'It is 21 degrees', 'Warm: 21.');
  const r = await generateText({ model: sdk(MODEL), prompt, tools: { get_weather }, stopWhen: stepCountIs(3), maxRetries: 0 });
  equal([r.text, r.steps.length, r.steps[0].toolCalls[0].input], ['Warm: 21.', 2, { city: 'Paris' }]);
  const s = streamText({ model: sdk(MODEL), prompt, tools: { get_weather }, stopWhen: stepCountIs(3), maxRetries: 0, onError: () => {} });
  let text = '';
  for await (const p of s.textStream) text += p;
  equal([text, (await s.steps).length], ['Warm: 21.', 2]);
});
await test('ai: generateObject', async () => {
  const r = await generateObject({ model: sdk(MODEL), prompt: say('{"city":"Paris","degrees":21}'), schema: z.object({ city: z.string(), degrees: z.number() }), maxRetries: 0 });
  equal(r.object, { city: 'Paris', degrees: 21 });
});

// ---- @openai/agents ----
setTracingDisabled(true);
const runner = new Runner({ modelProvider: new OpenAIProvider({ openAIClient: client, useResponses: true }), tracingDisabled: true });
await test('agents: a tool loop', async () => {
  const agent = new Agent({ name: 'A', model: MODEL, tools: [agentTool({ name: 'get_weather', description: 'd', parameters: z.object({ city: z.string() }), execute: async ({ city }) => `It is 21 degrees in ${city}` })] });
  equal((await runner.run(agent, say(call('get_weather', { city: 'Paris' }), 'It is 21 degrees', 'Warm: 21.'))).finalOutput, 'Warm: 21.');
});
await test('agents: a handoff, and structured output', async () => {
  const expert = new Agent({ name: 'Expert', model: MODEL, handoffDescription: 'knows', instructions: 'EXPERT AT WORK', outputType: z.object({ answer: z.string() }) });
  const desk = new Agent({ name: 'Desk', model: MODEL, handoffs: [handoff(expert)] });
  const r = await runner.run(desk, say(call('transfer_to_Expert', {}), 'EXPERT AT WORK', '{"answer":"42"}'));
  equal([r.finalOutput, r.lastAgent.name], [{ answer: '42' }, 'Expert']);
});
await done();
