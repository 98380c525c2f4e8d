// The real openai package against the static binary: models, chat, stream, abort, errors.
import OpenAI from 'openai';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, KEY, sleep } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake);
const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
const ask = (content, more = {}) => client.chat.completions.create({ model: 'qwen3.7-plus', messages: [{ role: 'user', content }], ...more });
const collect = async (s) => {
  let text = '', think = '';
  for await (const c of s) {
    text += c.choices[0]?.delta?.content ?? '';
    think += c.choices[0]?.delta?.reasoning_content ?? '';
  }
  return { text, think };
};
let plain;

await test('models: list and retrieve', async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  ok(ids.includes('qwen3.7-plus'), `the list has the model: ${ids}`);
  ok(ids.includes('qwen3.7-plus-thinking-search'), 'and its variants');
  equal((await client.models.retrieve('qwen3.7-plus-thinking')).id, 'qwen3.7-plus-thinking');
});
await test('models: unknown is a 404 of its own class', async () => {
  const e = await client.models.retrieve('no-such-model').catch((x) => x);
  ok(e instanceof OpenAI.NotFoundError, String(e));
  equal(e.code, 'model_not_found');
});
await test('chat', async () => {
  const r = await ask('hello');
  plain = r.choices[0].message.content;
  ok(plain.length > 0, 'text');
  equal(r.choices[0].finish_reason, 'stop');
  equal(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens);
});
await test('stream gives the same text', async () => {
  equal((await collect(await ask('hello', { stream: true }))).text, plain);
});
await test('the stream helper is content with the chunks', async () => {
  const s = client.chat.completions.stream({ model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hello' }] });
  const final = await s.finalChatCompletion();
  equal(final.choices[0].message.content, plain);
  equal(final.choices[0].message.role, 'assistant');
});
await test('thinking: reasoning apart from the text', async () => {
  const r = await collect(await ask('[[scenario:thinking_detail]]', { model: 'qwen3.7-plus-thinking', stream: true }));
  ok(r.think.length > 0 && r.text.length > 0, JSON.stringify(r));
});
await test('include_usage: the last chunk has no choices', async () => {
  const s = await ask('hello', { stream: true, stream_options: { include_usage: true } });
  let last;
  for await (const c of s) last = c;
  equal(last.choices, []);
  ok(last.usage.total_tokens > 0, 'usage');
});
await test('abort: the upstream turn is stopped within a second', async () => {
  await fake.reset();
  const s = await ask('[[scenario:stream n=600 ms=100 size=20]]', { stream: true });
  for await (const c of s) if (c.choices[0]?.delta?.content) break;
  s.controller.abort();
  await waitFor(async () => (await fake.stats()).stops >= 1, 1500, 'a stop call');
  await waitFor(async () => (await fake.stats()).running === 0, 1500, 'no stream is left running');
});
await test('errors: each class from a true status', async () => {
  const bad = new OpenAI({ apiKey: 'sk-wrong', baseURL: gw.v1, maxRetries: 0 });
  ok((await bad.models.list().catch((x) => x)) instanceof OpenAI.AuthenticationError, '401');
  ok((await ask('x', { n: 9 }).catch((x) => x)) instanceof OpenAI.BadRequestError, 'n: 400');
  const audio = await ask('x', { modalities: ['text', 'audio'] }).catch((x) => x);
  equal(audio.code, 'unsupported_parameter');
  const quota = await ask('[[scenario:quota]]').catch((x) => x);
  ok(quota instanceof OpenAI.RateLimitError, String(quota));
  equal(quota.code, 'insufficient_quota');
});
await test('x-should-retry stops the retries of the client', async () => {
  const second = await gateway(fake);
  const eager = new OpenAI({ apiKey: KEY, baseURL: second.v1, maxRetries: 2 });
  await fake.reset();
  const before = (await fake.stats()).completions ?? 0;
  const e = await eager.chat.completions.create({ model: 'qwen3.7-plus', messages: [{ role: 'user', content: '[[scenario:punish]]' }] }).catch((x) => x);
  equal(e.code, 'upstream_challenge');
  await sleep(300);
  equal((await fake.stats()).completions - before, 1, 'one call upstream');
  await second.stop();
});
await test('an error inside a stream is thrown', async () => {
  const third = await gateway(fake);
  const c3 = new OpenAI({ apiKey: KEY, baseURL: third.v1, maxRetries: 0 });
  const s = await c3.chat.completions.create({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: '[[scenario:drop]]' }] });
  const e = await collect(s).catch((x) => x);
  equal(e.code, 'upstream_interrupted');
  await third.stop();
});
await done();
