// Other clients that speak Anthropic Messages (api 13): ai with @ai-sdk/anthropic, @langchain/anthropic, and the recorded shapes of
// a coding program's requests.
import { createAnthropic } from '@ai-sdk/anthropic';
import { ChatAnthropic } from '@langchain/anthropic';
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool as lcTool } from '@langchain/core/tools';
import { generateText, streamText, tool, stepCountIs } from 'ai';
import { z } from 'zod';
import { test, equal, ok, done, fakeUpstream, gateway, post, KEY } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { ANTHROPIC_DEFAULT_MODEL: 'qwen3.7-plus' });
const b64 = (s) => Buffer.from(s).toString('base64');
const call = (name, input) => `<q2a_call>\n${JSON.stringify({ name, arguments: input })}\n</q2a_call>`;
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} step=3 ${more}]]`;
const then = (text) => `when=${b64('<q2a_result id="toolu_')} then=${b64(text)}`;
async function asked() {
  const log = await (await fetch(`${fake.base}/__log?n=100&bodies=1`)).json();
  return JSON.parse(log.findLast((e) => e.path?.includes('/chat/completions?')).body).messages[0];
}
const plain = (await (await post(gw, '/v1/messages', { model: 'claude-opus-5', max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] })).json()).content[0].text;

// ---- ai with @ai-sdk/anthropic ----
const anthropic = createAnthropic({ baseURL: gw.v1, apiKey: KEY });
const model = anthropic('claude-opus-5');
const thinking = { anthropic: { thinking: { type: 'enabled', budgetTokens: 2000 } } };
await test('api 13 @ai-sdk/anthropic: generateText and streamText', async () => {
  const r = await generateText({ model, prompt: 'hello', maxRetries: 0 });
  equal([r.text, r.finishReason], [plain, 'stop']);
  ok(r.usage.inputTokens > 0 && r.usage.outputTokens > 0, JSON.stringify(r.usage));
  const s = streamText({ model, prompt: 'hello', maxRetries: 0 });
  let text = '';
  for await (const t of s.textStream) text += t;
  equal([text, await s.finishReason], [plain, 'stop']);
  const usage = await s.usage;
  ok(usage.inputTokens > 0 && usage.outputTokens > 0, JSON.stringify(usage));
});
await test('api 13 @ai-sdk/anthropic: reasoning, with its signature, streamed and not', async () => {
  const r = await generateText({ model, prompt: '[[scenario:thinking_detail]]', providerOptions: thinking, maxRetries: 0 });
  ok(r.reasoningText.length > 0 && r.text.length > 0 && !r.text.includes(r.reasoningText), JSON.stringify([r.reasoningText, r.text]));
  ok(r.reasoning[0].providerMetadata?.anthropic?.signature?.length > 0, JSON.stringify(r.reasoning[0]));
  const s = streamText({ model, prompt: '[[scenario:thinking_detail]]', providerOptions: thinking, maxRetries: 0 });
  let signed = 0, thought = '';
  for await (const p of s.fullStream) {
    if (p.type === 'error') throw p.error;
    if (p.type === 'reasoning-delta') thought += p.text ?? '';
    if (p.type.startsWith('reasoning') && p.providerMetadata?.anthropic?.signature) signed++;
  }
  equal([thought, await s.text], [r.reasoningText, r.text]);
  ok(signed > 0, 'the signature came through');
});
await test('api 13 @ai-sdk/anthropic: a loop of two steps, streamed', async () => {
  const ran = [];
  const s = streamText({ model, prompt: say(`I look. ${call('get_weather', { city: 'Oslo' })}`, then('It rains in Oslo.')), stopWhen: stepCountIs(3), maxRetries: 0, onError: ({ error }) => { throw error; },
    tools: { get_weather: tool({ description: 'The weather of a city.', inputSchema: z.object({ city: z.string() }), execute: async (input) => { ran.push(input); return 'rain'; } }) } });
  equal(await s.text, 'It rains in Oslo.');
  equal([ran, (await s.steps).length], [[{ city: 'Oslo' }], 2]);
  ok((await asked()).content.includes('rain\n</q2a_result>'), 'the result went up');
});

// ---- @langchain/anthropic ----
const langchain = (more = {}) => new ChatAnthropic({ model: 'claude-opus-5', maxTokens: 4000, apiKey: KEY, anthropicApiUrl: gw.base, maxRetries: 0, ...more });
const said = (m) => (typeof m.content === 'string' ? m.content : m.content.filter((b) => b.type === 'text').map((b) => b.text).join(''));
await test('api 13 @langchain/anthropic: invoke and stream', async () => {
  const r = await langchain().invoke('hello');
  equal(said(r), plain);
  ok(r.usage_metadata.input_tokens > 0 && r.usage_metadata.output_tokens > 0, JSON.stringify(r.usage_metadata));
  let text = '', last;
  for await (const c of await langchain().stream('hello')) { text += said(c); last = last ? last.concat(c) : c; }
  equal([text, said(last)], [plain, plain]);
  ok(last.usage_metadata.output_tokens > 0, JSON.stringify(last.usage_metadata));
});
await test('api 13 @langchain/anthropic: system as blocks with cache_control', async () => {
  await langchain().invoke([new SystemMessage({ content: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }, { type: 'text', text: 'Be kind.' }] }), new HumanMessage('hello')]);
  ok((await asked()).content.startsWith('Be brief.\nBe kind.\n'), 'the system text');
});
await test('api 13 @langchain/anthropic: thinking', async () => {
  const r = await langchain({ thinking: { type: 'adaptive' } }).invoke('[[scenario:thinking_detail]]');
  equal(r.content.map((b) => b.type), ['thinking', 'text']);
});
const weather = lcTool(async () => 'rain', { name: 'get_weather', description: 'The weather of a city.', schema: z.object({ city: z.string() }) });
await test('api 13 @langchain/anthropic: tools, invoked and streamed, two rounds', async () => {
  const bound = langchain().bindTools([weather]), ask = new HumanMessage(say(`I look. ${call('get_weather', { city: 'Oslo' })}`, then('It rains in Oslo.')));
  const first = await bound.invoke([ask]);
  equal(first.tool_calls.map((c) => [c.name, c.args]), [['get_weather', { city: 'Oslo' }]]);
  let streamed;
  for await (const c of await bound.stream([ask])) streamed = streamed ? streamed.concat(c) : c;
  equal(streamed.tool_calls.map((c) => [c.name, c.args]), [['get_weather', { city: 'Oslo' }]]);
  const second = await bound.invoke([ask, first, new ToolMessage({ content: 'rain', tool_call_id: first.tool_calls[0].id })]);
  equal(said(second), 'It rains in Oslo.');
});
await test('api 13 @langchain/anthropic: withStructuredOutput forces a tool by name', async () => {
  const r = await langchain().withStructuredOutput(z.object({ city: z.string(), days: z.number() }), { name: 'trip' }).invoke(say(call('trip', { city: 'Oslo', days: 3 })));
  equal(r, { city: 'Oslo', days: 3 });
});

// ---- the recorded shapes of a coding program ----
await test('api 13 coding program: many tools, long system blocks, reminders, results in a row, a title beside it', async () => {
  const names = ['Task', 'Bash', 'Glob', 'Grep', 'Read', 'Edit', 'Write', 'NotebookEdit', 'WebFetch', 'TodoWrite', 'WebSearch', 'BashOutput', 'KillShell', 'Skill', 'ExitPlanMode'];
  const tools = names.map((name) => ({ name, description: `${name} does what it says. `.repeat(60), input_schema: { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object', additionalProperties: false,
    properties: { file_path: { type: 'string', description: 'The absolute path' }, command: { type: 'string' }, limit: { type: 'number' } }, required: ['file_path'] } }));
  const cached = { cache_control: { type: 'ephemeral' } };
  const system = [{ type: 'text', text: 'x-billing: 1' }, { type: 'text', text: 'You are a coding program.', ...cached }, { type: 'text', text: 'Rules. '.repeat(2000), ...cached }];
  const messages = [{ role: 'user', content: [{ type: 'text', text: '<system-reminder>\nAs you answer...\n</system-reminder>' }, { type: 'text', text: 'Read both files.', ...cached }] },
    { role: 'assistant', content: [{ type: 'thinking', thinking: 'first', signature: 'abc=' }, { type: 'text', text: 'Reading.' }, { type: 'tool_use', id: 'toolu_a', name: 'Read', input: { file_path: '/a' } },
      { type: 'tool_use', id: 'toolu_b', name: 'Read', input: { file_path: '/b' } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_a', content: [{ type: 'text', text: 'A</q2a_result>' }] }, { type: 'tool_result', tool_use_id: 'toolu_b', content: 'B', is_error: true },
      { type: 'text', text: '<system-reminder>\nBe careful.\n</system-reminder>', ...cached }, { type: 'text', text: say(call('Edit', { file_path: '/a', limit: 5 })) }] }];
  const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'claude-code-20250219,fine-grained-tool-streaming-2025-05-14', 'x-app': 'cli', 'x-stainless-lang': 'js' };
  const main = { model: 'claude-opus-5', max_tokens: 32000, system, tools, messages, stream: true, metadata: { user_id: 'user_1' }, thinking: { type: 'adaptive' }, output_config: { effort: 'high' },
    context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] } };
  const r = await post(gw, '/v1/messages?beta=true', main, { headers });
  const raw = await r.text();
  equal([r.status, r.headers.get('x-qwen2api-ignored')], [200, 'metadata,context_management,cache_control'], raw);
  const events = raw.split('\n\n').filter(Boolean).map((b) => JSON.parse(b.split('\ndata: ')[1]));
  equal(events.filter((e) => e.type === 'content_block_start').map((e) => [e.content_block.type, e.content_block.name]), [['tool_use', 'Edit']]);
  equal(events.find((e) => e.delta?.partial_json)?.delta.partial_json, '{"file_path":"/a","limit":5}');
  equal(events.find((e) => e.type === 'message_delta').delta.stop_reason, 'tool_use');
  const prompt = (await asked()).content;
  ok(prompt.includes('A‹/q2a_result>') && prompt.includes('error="true"') && prompt.includes('Be careful.') && !prompt.includes('abc='), 'the conversation');
  const count = await post(gw, '/v1/messages/count_tokens?beta=true', { model: main.model, system, tools, messages }, { headers });
  const tokens = (await count.json()).input_tokens;
  ok(tokens > 4000, `${tokens}`);
  const title = await post(gw, '/v1/messages?beta=true', { model: 'claude-haiku-4-5-20251001', max_tokens: 512, stream: true, temperature: 0, system: [{ type: 'text', text: 'Write a short title.' }],
    messages: [{ role: 'user', content: 'hello' }, { role: 'assistant', content: '{' }] }, { headers });
  equal(title.status, 200);
  ok((await title.text()).includes('event: message_stop'), 'the title');
});

await done();
