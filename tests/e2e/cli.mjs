// /cli/v1 and official keys through the static binary: who serves in which order, grants and their withdrawal, native tools
// passed through unharmed, every fault of the fake upstream, embeddings. Names say the paragraph of the specification.
import net from 'node:net';
import OpenAI from 'openai';
import { test, equal, ok, done, fakeUpstream, gateway, post, events, waitFor, sleep, auth, KEY } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '4'] });
const BASE = 'https://dashscope.aliyuncs.com/compatible-mode/v1';
const keys = (...list) => ({ CLI_API_KEY: list.join(','), CLI_BASE_URL: BASE });
const keyed = { ACCOUNTS: null, CLI_FALLBACK: 'none', CHAT_RETRY_BACKOFF_MS: '10', QUEUE_TIMEOUT: '1', ...keys('sk-fake-dashscope') };
const granted = { CLI_OAUTH: 'true', CLI_FALLBACK: 'none', CHAT_RETRY_BACKOFF_MS: '10', QUEUE_TIMEOUT: '1' };
const hello = 'Hello, 世界! This is the fake upstream.';
const b64 = (s) => Buffer.from(s).toString('base64');

// A gateway of its own for each test, so that a rest booked by one does not reach the next.
async function fresh(env, fn, before) {
  await fake.reset();
  if (before) await before();
  const gw = await gateway(fake, env);
  try { return await fn(gw); } finally { await gw.stop(); }
}
const hasGrant = (gw, n = 1) => waitFor(() => gw.log().split('has a CLI grant').length > n, 15000, 'a grant');
const calls = async (name) => (await fake.stats())[name] ?? 0;
async function last(pathEnd) { // the last request upstream to a path, with its body
  const r = await fetch(`${fake.base}/__log?n=100&heads=1&bodies=1`);
  const all = (await r.json());
  const list = (Array.isArray(all) ? all : all.log ?? all.requests).filter((e) => e.path.split('?')[0].endsWith(pathEnd));
  return list.at(-1);
}
const bodyOf = (e) => (typeof e.body === 'string' ? JSON.parse(e.body) : e.body);

async function cli(gw, prompt, more = {}, path = '/cli/v1/chat/completions') {
  const messages = Array.isArray(prompt) ? prompt : [{ role: 'user', content: prompt }];
  const r = await post(gw, path, { model: 'qwen3-coder-plus', messages, ...more });
  const raw = await r.text();
  let json = {};
  try { json = JSON.parse(raw); } catch { json = { raw }; }
  const c = json.choices?.[0];
  return { status: r.status, headers: r.headers, route: r.headers.get('x-qwen2api-route'), json, raw, text: c?.message?.content ?? '',
    think: c?.message?.reasoning_content ?? '', finish: c?.finish_reason, calls: c?.message?.tool_calls ?? [], usage: json.usage, error: json.error };
}

async function cliStream(gw, prompt, more = {}, path = '/cli/v1/chat/completions') {
  const messages = Array.isArray(prompt) ? prompt : [{ role: 'user', content: prompt }];
  const r = await post(gw, path, { model: 'qwen3-coder-plus', messages, stream: true, ...more });
  const raw = await r.text();
  if (!(r.headers.get('content-type') || '').startsWith('text/event-stream')) {
    const json = JSON.parse(raw);
    return { status: r.status, headers: r.headers, route: r.headers.get('x-qwen2api-route'), raw, json, error: json.error, text: '' };
  }
  const all = events(raw), chunks = all.filter((e) => e.data && !e.data.error).map((e) => e.data);
  const error = all.find((e) => e.data?.error)?.data.error;
  equal(all.filter((e) => e.done).length, 1, `one [DONE]: ${raw}`);
  ok(all.at(-1).done, '[DONE] comes last');
  let text = '', think = '', finish, usage;
  const tools = [];
  chunks.forEach((c, i) => {
    equal(c.object, 'chat.completion.chunk', 'object');
    equal([c.id, c.created], [chunks[0].id, chunks[0].created], 'id and created');
    equal(c.model, more.model ?? 'qwen3-coder-plus', 'model is the name the client sent');
    const ch = c.choices[0];
    if (c.usage) usage = c.usage;
    if (!ch) return;
    equal('role' in ch.delta, i === 0, 'the role stands in the first chunk only');
    if (finish) throw new Error('a choice after its finish');
    text += ch.delta.content ?? '';
    think += ch.delta.reasoning_content ?? '';
    for (const t of ch.delta.tool_calls ?? []) {
      tools[t.index] ??= { id: t.id, name: t.function?.name, args: '' };
      if (t.id !== undefined) equal(t.id, tools[t.index].id, 'a call keeps its id');
      tools[t.index].args += t.function?.arguments ?? '';
    }
    if (ch.finish_reason) finish = ch.finish_reason;
  });
  if (!error) ok(finish, 'a finish reason');
  else ok(!finish, 'no finish after an error');
  return { status: r.status, headers: r.headers, route: r.headers.get('x-qwen2api-route'), raw, text, think, finish, usage, error, tools, chunks };
}

// The same scenario streamed and not: the same text, checked once each.
async function both(name, prompt, env, check, more = {}) {
  await test(name, () => fresh(env, async (gw) => {
    const a = await cli(gw, prompt, more), b = await cliStream(gw, prompt, more);
    equal(a.status, 200, `status (${a.raw})`);
    equal(b.status, 200, `status streamed (${b.raw})`);
    equal([b.text, b.think, b.finish], [a.text, a.think, a.finish], 'streamed as collected');
    await check(a, b, gw);
  }));
}
async function refused(name, prompt, env, status, code, check, more = {}) {
  await test(name, () => fresh(env, async (gw) => {
    for (const way of [cli, cliStream]) {
      const a = await way(gw, prompt, more);
      equal([a.status, a.error?.code], [status, code], a.raw);
      for (const k of ['message', 'type', 'param', 'code']) ok(k in a.error, `${k} is there: ${a.raw}`);
      ok(!/sk-fake|cliaccess|@example/.test(a.raw), 'no secret and no account name');
      if (check) await check(a, gw);
    }
  }));
}

// ---- models ----
await test('api 4.2: the list by GET and POST, one model, 404', () => fresh(keyed, async (gw) => {
  const list = await (await fetch(`${gw.base}/cli/v1/models`, { headers: auth() })).json();
  equal(list.object, 'list');
  equal(list.data[0], { id: 'coder-model', object: 'model', created: 1719878112, owned_by: 'qwen-code' });
  const ids = list.data.map((m) => m.id);
  for (const m of ['qwen3-coder-plus', 'qwen3-coder-flash', 'qwen3.5-plus', 'qwen3.6-plus']) ok(ids.includes(m), m);
  equal(await (await post(gw, '/cli/v1/models', {})).json(), list);
  equal((await (await fetch(`${gw.base}/cli/v1/models/coder-model`, { headers: auth() })).json()).id, 'coder-model');
  const no = await fetch(`${gw.base}/cli/v1/models/nothing`, { headers: auth() });
  equal([no.status, (await no.json()).error.code], [404, 'model_not_found']);
  equal((await fetch(`${gw.base}/cli/v1/models`)).status, 401);
}));

// ---- the order of routes ----
await both('api 4.5 (b): an official key serves', 'hi', keyed, async (a) => {
  equal([a.route, a.text, a.finish], ['api', hello, 'stop']);
  equal(a.headers.get('x-qwen2api-model'), 'qwen3-coder-plus');
  equal(a.usage.total_tokens, 21);
  equal(await calls('portal'), 0);
});
await both('api 4.5 (a): a grant serves before a key', 'hi', { ...granted, ...keys('sk-fake-dashscope') }, async (a) => {
  ok(['cli', 'api'].includes(a.route), a.route);
});
await test('api 4.5, 9.1: a web account gets a grant of its own with CLI_OAUTH; its route comes first', () => fresh(
  { ...granted, ...keys('sk-fake-dashscope') }, async (gw) => {
    await hasGrant(gw);
    const a = await cli(gw, 'hi', { model: 'qwen3.6-plus' });
    equal([a.status, a.route, a.text, a.json.model], [200, 'cli', hello, 'qwen3.6-plus'], a.raw);
    equal(a.headers.get('x-qwen2api-model'), 'coder-model');
    const e = await last('/v1/chat/completions');
    equal([e.host, bodyOf(e).model], ['portal.qwen.ai', 'coder-model']);
    equal(bodyOf(e).messages[0], { role: 'system', content: [{ type: 'text', text: '' }] });
    equal((await fake.stats()).bad, 0, 'PKCE, form and scopes were right');
    equal((await fake.stats()).polls_early ?? 0, 0);
  }));
await test('upstream 6.1: pending and slow_down are waited for', () => fresh(granted, async (gw) => {
  await hasGrant(gw);
  equal((await fake.stats()).polls_early ?? 0, 0, 'no poll before its time');
  equal((await cli(gw, 'hi')).route, 'cli');
}, () => fake.set({ oauth_pending: 1, oauth_slow: true })));
await test('api 4.5: without CLI_OAUTH nothing is probed', () => fresh({ CLI_FALLBACK: 'web' }, async (gw) => {
  await cli(gw, 'hi');
  await sleep(1500);
  equal([await calls('device'), await calls('portal')], [0, 0]);
}));
await test('api 4.5 (c): web emulation; a coder name the web list lacks becomes the newest coder', () => fresh({}, async (gw) => {
  await waitFor(() => /\d models/.test(gw.log()), 10000, 'the model list');
  const a = await cli(gw, 'hi', { model: 'coder-model' });
  equal([a.status, a.route, a.json.model, a.headers.get('x-qwen2api-model')], [200, 'web', 'coder-model', 'qwen3-coder-plus'], a.raw);
  const b = await cliStream(gw, 'hi', { model: 'coder-model' });
  equal([b.route, b.text], ['web', a.text]);
  const own = await cli(gw, 'hi', { model: 'qwen3-max' });
  equal(own.headers.get('x-qwen2api-model'), 'qwen3-max', 'a name of the web list is itself');
  equal((await cli(gw, 'hi', { model: 'no-such-thing' })).error.code, 'model_not_found');
}));
await test('api 11.4 CLI_WEB_MODEL names the model of the emulation', () => fresh({ CLI_WEB_MODEL: 'qwen3-max' }, async (gw) => {
  await waitFor(() => /\d models/.test(gw.log()), 10000, 'the model list');
  equal((await cli(gw, 'hi', { model: 'coder-model' })).headers.get('x-qwen2api-model'), 'qwen3-max');
}));
await refused('api 4.5: CLI_FALLBACK=none and nothing else', 'hi', { CLI_FALLBACK: 'none' }, 503, 'no_cli_account', (a) => {
  ok(/CLI_API_KEY/.test(a.error.message) && /withdrawn/.test(a.error.message), a.error.message);
  ok(Number(a.headers.get('retry-after')) > 0, 'Retry-After');
});
await test('api 4.5: the start log says which route is active', async () => {
  for (const [env, route] of [[keyed, 'api'], [{}, 'web'], [{ CLI_FALLBACK: 'none' }, 'none']])
    await fresh(env, (gw) => waitFor(() => gw.log().includes(`/cli/v1 is served by route ${route}`), 5000, `the line of ${route}`));
});
await test('api 4.5: a route that fails before anything was sent hands on: key, then web', () => fresh(
  { ...keys('sk-wrong'), CHAT_RETRY_BACKOFF_MS: '10' }, async (gw) => {
    await waitFor(() => /\d models/.test(gw.log()), 10000, 'the model list');
    const a = await cli(gw, 'hi');
    equal([a.status, a.route], [200, 'web'], a.raw);
    const b = await cliStream(gw, 'hi');
    equal([b.status, b.route, b.text], [200, 'web', a.text], b.raw);
  }));
await test('api 4.5: every fault before the first byte hands on to the web', async () => {
  for (const s of ['500', '503', '429_empty', 'insufficient_quota', 'denied', 'no_model', 'arrearage', 'drop_early', 'html', 'empty'])
    await fresh({ ...keys('sk-fake-dashscope'), CHAT_RETRY_BACKOFF_MS: '10' }, async (gw) => {
      await fake.script({ dashscope: Array(4).fill(s) });
      const a = await cliStream(gw, 'hi');
      equal([a.status, a.route, a.finish], [200, 'web', 'stop'], `${s}: ${a.raw}`);
      ok(Number(a.headers.get('x-qwen2api-attempts')) >= 2, `attempts of ${s}`);
    });
});
await test('api 0.9, 4.5: an answer whose head is committed goes on through the web route', () => fresh(
  { ...keys('sk-fake-dashscope'), SSE_EARLY_HEADERS_MS: '100', UPSTREAM_FIRST_BYTE_TIMEOUT: '1', CHAT_RETRY_COUNT: '0' }, async (gw) => {
    await fake.script({ dashscope: ['stall_head'] });
    const a = await cliStream(gw, 'hi');
    equal([a.status, a.route, a.finish], [200, 'api', 'stop'], a.raw);
    ok(a.text.length > 0 && /^: keep-alive\n\n/.test(a.raw), a.raw);
    await fake.script({ dashscope: ['stall_head'] });
    const b = await cliStream(gw, '[[scenario:quota]]');
    ok(b.error && b.raw.startsWith(': keep-alive'), `the error is told inside the stream: ${b.raw}`);
  }));

// ---- grants that end ----
await test('row 23: a withdrawn tier rests the feature for a day, not the web chat', () => fresh(granted, async (gw) => {
  await waitFor(() => /no CLI grant/.test(gw.log()), 10000, 'the refusal');
  const device = await calls('device');
  const a = await cli(gw, 'hi');
  equal([a.status, a.error.code], [503, 'no_cli_account']);
  const web = await post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hi' }] });
  equal(web.status, 200, 'the web chat goes on');
  await sleep(2500);
  equal([device, await calls('device')], [1, 1], 'asked once');
}, () => fake.set({ withdrawn: true })));
await test('row 23: 401 after the refresh: unsupported, next route', () => fresh({ ...granted, CLI_FALLBACK: 'web' }, async (gw) => {
  await hasGrant(gw);
  await fake.set({ withdrawn: true });
  await post({ base: fake.base }, '/__revoke', { kind: 'cli_all' });
  const a = await cli(gw, 'hi');
  equal([a.status, a.route], [200, 'web'], a.raw);
  equal((await cli(gw, 'hi')).route, 'web');
  equal(await calls('portal'), 1, 'asked once, then not again');
}));
await test('api 4.4, D4: a dead access token is renewed once for ten requests at once', () => fresh(
  { ...granted, MAX_INFLIGHT_PER_ACCOUNT: '20', QUEUE_TIMEOUT: '30' }, async (gw) => {
    await hasGrant(gw);
    await post({ base: fake.base }, '/__revoke', { kind: 'cli' });
    const before = await calls('token');
    const all = await Promise.all(Array.from({ length: 10 }, () => cli(gw, 'hi')));
    equal(all.map((a) => [a.status, a.route]), all.map(() => [200, 'cli']), all.map((a) => a.raw).join('\n'));
    equal(await calls('token') - before, 1, 'one refresh');
  }));
await test('upstream 6.1: a grant with under 5 minutes is renewed before its use', () => fresh(granted, async (gw) => {
  await hasGrant(gw);
  const before = await calls('token');
  await fake.set({ oauth_expires_s: 21600 });
  equal((await cli(gw, 'hi')).route, 'cli');
  equal(await calls('token') - before, 1, 'renewed');
  equal((await cli(gw, 'hi')).route, 'cli');
  equal(await calls('token') - before, 1, 'and kept');
}, () => fake.set({ oauth_expires_s: 200, oauth_keep: true })));
await test('api 11.4 CLI_DAILY_LIMIT: counted per account and day, survives a restart', async () => {
  await fake.reset();
  const data = { DATA_SAVE_MODE: 'file', CLI_DAILY_LIMIT: '2', SECRET_KEY: 'a-secret-of-the-tests', DATA_DIR: `/tmp/q2a-cli-${process.pid}` };
  let gw = await gateway(fake, { ...granted, ...data });
  await hasGrant(gw);
  equal([(await cli(gw, 'hi')).route, (await cli(gw, 'hi')).status], ['cli', 200]);
  const over = await cli(gw, 'hi');
  equal([over.status, over.error.code, over.headers.get('x-should-retry')], [429, 'insufficient_quota', 'false'], over.raw);
  await gw.stop();
  const device = await calls('device');
  gw = await gateway(fake, { ...granted, ...data });
  await sleep(1500);
  equal((await cli(gw, 'hi')).error?.code, 'insufficient_quota', 'after a restart');
  equal(await calls('device'), device, 'the grant itself was kept, too');
  await gw.stop();
  gw = await gateway(fake, { ...granted, ...data, CLI_DAILY_LIMIT: '3' });
  equal((await cli(gw, 'hi')).route, 'cli', 'the stored grant serves');
  await gw.stop();
  const { rmSync } = await import('node:fs');
  rmSync(data.DATA_DIR, { recursive: true, force: true });
});
await test('upstream 6.2: quota end of a grant, 429 and 403', async () => {
  for (const s of ['insufficient_quota', 'insufficient_quota_403'])
    await fresh(granted, async (gw) => {
      await hasGrant(gw);
      await fake.script({ portal: [s] });
      const a = await cli(gw, 'hi');
      equal([a.status, a.error.code], [429, 'insufficient_quota'], a.raw);
      const wait = Number(a.headers.get('retry-after'));
      const midnight = 86400 - (Math.floor(Date.now() / 1000) + 8 * 3600) % 86400;
      ok(Math.abs(wait - midnight) < 120, `to midnight UTC+8: ${wait} ${midnight}`);
      equal((await cli(gw, 'hi')).error.code, 'insufficient_quota', 'limited, not asked again');
      equal(await calls('portal'), 1);
    });
});

// ---- the request ----
const schema = { type: 'object', properties: { n: { type: 'integer' }, user: { type: 'string' }, seed: { type: 'number' }, logprobs: { type: 'array', items: [] },
  top: { type: 'null', default: null } }, required: ['n', 'user', 'seed'] };
const tool = { type: 'function', function: { name: 'roll', description: 'n <tools> of "user" \u4e16', parameters: schema } };
await test('api 4.3: dropped at top level only; a schema with n, user and seed survives; named in x-qwen2api-ignored', () => fresh(keyed, async (gw) => {
  const a = await cli(gw, [{ role: 'system', content: 'A' }, { role: 'user', content: 'hi' }, { role: 'developer', content: [{ type: 'text', text: 'B' }] }], {
    tools: [tool], n: 1, seed: 7, user: 'u', logprobs: false, top_logprobs: null, frequency_penalty: 0.5, presence_penalty: 0.5, logit_bias: { a: 1 },
    service_tier: 'auto', temperature: '0.5', stop: [], response_format: null, metadata: { n: 1, user: 'x' }, max_completion_tokens: 50, max_tokens: 100 });
  equal(a.status, 200, a.raw);
  const sent = bodyOf(await last('/chat/completions'));
  equal(sent.tools, [tool], 'the tool arrived as it was');
  for (const k of ['n', 'seed', 'user', 'logprobs', 'top_logprobs', 'frequency_penalty', 'presence_penalty', 'logit_bias', 'service_tier', 'stop',
    'response_format', 'max_completion_tokens']) ok(!(k in sent), `${k} is not sent`);
  equal([sent.temperature, sent.max_tokens, sent.metadata, sent.stream], [0.5, 50, { n: 1, user: 'x' }, true]);
  equal(sent.stream_options, { include_usage: true }, 'usage is always asked for');
  equal(sent.messages, [{ role: 'system', content: [{ type: 'text', text: 'A' }, { type: 'text', text: 'B' }] }, { role: 'user', content: 'hi' }]);
  equal(a.headers.get('x-qwen2api-ignored'), 'n,seed,user,logprobs,frequency_penalty,presence_penalty,logit_bias,service_tier');
}));
await test('api 4.5: coder-model is the first listed coder of the key; suffixes switch abilities on', () => fresh(keyed, async (gw) => {
  await waitFor(() => /lists its models/.test(gw.log()), 10000, 'the list of the key');
  equal((await cli(gw, 'hi', { model: 'coder-model' })).headers.get('x-qwen2api-model'), 'qwen3-coder-plus');
  equal((await cli(gw, 'hi', { model: 'qwen-plus-thinking-search' })).json.model, 'qwen-plus-thinking-search');
  const sent = bodyOf(await last('/chat/completions'));
  equal([sent.model, sent.enable_thinking, sent.enable_search], ['qwen-plus', true, true]);
}));
await test('api 3.1: typed errors before anything is sent', () => fresh(keyed, async (gw) => {
  const bad = async (body) => { const r = await post(gw, '/cli/v1/chat/completions', body); const e = (await r.json()).error; return [r.status, e.code, e.param]; };
  equal(await bad({ model: 'x' }), [400, 'missing_required_parameter', 'messages']);
  equal(await bad({ model: 'x', messages: [] }), [400, 'missing_required_parameter', 'messages']);
  equal(await bad({ model: 'x', messages: [1] }), [400, 'invalid_type', 'messages[0]']);
  equal(await bad({ model: 1, messages: [{ role: 'user', content: 'x' }] }), [400, 'invalid_type', 'model']);
  equal(await bad({ messages: [{ role: 'user', content: 'x' }], max_tokens: 0 }), [400, 'invalid_value', 'max_tokens']);
  equal(await bad('{"model":'), [400, 'invalid_json', null]);
  equal(await bad({ messages: [{ role: 'user', content: 'x' }], functions: [{ name: 'f' }] }), [400, 'unsupported_parameter', 'functions']);
  equal(await calls('dashscope'), 0);
}));

// ---- the answer ----
await both('upstream 7: thinking, refused without a stream by the upstream, is collected', 'hi', keyed, (a) => {
  equal([a.think, a.text], ['Let me count: 2 + 2', '2 + 2 = 4']);
  equal(a.usage.completion_tokens_details.reasoning_tokens, 4);
}, { model: 'qwen3-32b', enable_thinking: true });
await both('OUTPUT_THINK=false hides the reasoning', '[[scenario:thinking]]', { ...keyed, OUTPUT_THINK: 'false' },
  (a) => equal([a.think, a.text], ['', '2 + 2 = 4']));
await both('api 4.1: native tool calls', '[[scenario:tool_call n=2 name=roll args={"n":1,"user":"x"} step=3]]', keyed, (a, b) => {
  equal(a.calls.map((c) => [c.id, c.type, c.function.name, c.function.arguments]), [['call_fake1', 'function', 'roll', '{"n":1,"user":"x"}'],
    ['call_fake2', 'function', 'roll', '{"n":1,"user":"x"}']]);
  equal(b.tools.map((c) => [c.id, c.name, c.args]), [['call_fake1', 'roll', '{"n":1,"user":"x"}'], ['call_fake2', 'roll', '{"n":1,"user":"x"}']]);
  equal([a.finish, a.json.choices[0].message.content], ['tool_calls', null]);
}, { tools: [tool] });
for (const s of ['no_done', 'no_role', 'no_finish'])
  await both(`api 4.4: ${s} is repaired`, `[[scenario:${s}]]`, keyed, (a) => equal([a.text, a.finish], [hello, 'stop']));
await both('api 3.5: no usage of the upstream: estimated', '[[scenario:no_usage]]', keyed, (a, b) => {
  ok(a.usage.prompt_tokens > 0 && a.usage.completion_tokens > 0, a.raw);
  equal(a.usage.total_tokens, a.usage.prompt_tokens + a.usage.completion_tokens);
  equal(b.usage, a.usage);
});
await test('api 3.6: include_usage true, false and absent', () => fresh(keyed, async (gw) => {
  const yes = await cliStream(gw, 'hi', { stream_options: { include_usage: true } });
  equal([yes.chunks.at(-1).choices, yes.usage.total_tokens], [[], 21]);
  ok(yes.chunks.slice(0, -1).every((c) => c.usage === null), 'usage: null in all others');
  for (const s of ['normal', 'usage_always']) {
    const no = await cliStream(gw, `[[scenario:${s}]]`, { stream_options: { include_usage: false } });
    ok(no.chunks.every((c) => !('usage' in c) && c.choices.length === 1), `hidden: ${no.raw}`);
  }
  const absent = await cliStream(gw, 'hi');
  equal(absent.usage.total_tokens, 21);
  ok(absent.chunks.slice(0, -1).every((c) => !('usage' in c)), 'no usage member in the others');
}));
await both('length', '[[scenario:length]]', keyed, (a) => equal(a.finish, 'length'));
await both('D9: events in pieces of a byte', `[[scenario:say b64=${b64('a🙂b"\\ 世界')} step=1 think_b64=${b64('ü')} think_step=1]]`, keyed,
  (a) => equal([a.text, a.think], ['a🙂b"\\ 世界', 'ü']));

// D9 with the bytes themselves cut: an upstream of our own sends one byte at a time, in every framing.
await test('D9: a stream cut at every byte, CRLF and comments in between', async () => {
  const chunk = (delta, finish = null) => `data: ${JSON.stringify({ id: 'x1', object: 'chat.completion.chunk', created: 5, model: 'other',
    choices: [{ index: 0, delta, finish_reason: finish }] })}`;
  const lines = [chunk({ role: 'assistant', content: '' }), ': comment', chunk({ content: 'Grüße, 🙂 "x"' }), 'event: x', chunk({ content: '!' }, 'stop'), 'data: [DONE]'];
  const server = net.createServer((s) => {
    s.setNoDelay(true);
    s.on('error', () => {});
    s.once('data', async () => {
      const body = Buffer.from(lines.join('\r\n\r\n') + '\r\n\r\n');
      s.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: ${body.length}\r\n\r\n`);
      for (let i = 0; i < body.length; i++) { s.write(body.subarray(i, i + 1)); if (i % 7 === 0) await sleep(0); }
      s.end();
    });
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  await fresh({ ...keyed, CLI_BASE_URL: `http://127.0.0.1:${server.address().port}/v1` }, async (gw) => {
    const a = await cli(gw, 'hi'), b = await cliStream(gw, 'hi');
    equal([a.text, b.text, a.json.id, b.chunks[0].id], ['Grüße, 🙂 "x"!', 'Grüße, 🙂 "x"!', 'x1', 'x1'], a.raw + b.raw);
  });
  server.close();
});

await test('D10: a client that never reads stops the reading of its upstream', async () => {
  let sent = 0;
  const piece = Buffer.from(`data: ${JSON.stringify({ id: 'x', choices: [{ index: 0, delta: { content: 'y'.repeat(60000) } }] })}\n\n`);
  const server = net.createServer((s) => {
    s.on('error', () => {});
    s.once('data', () => {
      s.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n');
      const more = () => { while (sent < 200e6 && s.writable) { sent += piece.length; if (!s.write(piece)) { s.once('drain', more); return; } } };
      more();
    });
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  await fresh({ ...keyed, CLI_BASE_URL: `http://127.0.0.1:${server.address().port}/v1` }, async (gw) => {
    const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }] });
    const c = net.connect(gw.port, '127.0.0.1');
    c.pause();
    c.write(`POST /cli/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await waitFor(() => sent > 1e6, 10000, 'the upstream writes');
    let before = -1;
    await waitFor(async () => { if (before === sent) return true; before = sent; await sleep(700); return false; }, 20000, 'it is held');
    ok(sent < 40e6, `${sent} bytes pulled for a client that reads nothing`);
    c.destroy();
    await waitFor(() => /client closed \(499\)/.test(gw.log()), 5000, 'the leaver is noticed');
  });
  server.close();
});

// ---- trouble ----
await refused('upstream 7: a 400 is passed through with its code', '[[scenario:invalid]]', keyed, 400, 'invalid_parameter_error',
  async (a) => ok(/temperature is out of range/.test(a.error.message), a.error.message));
await refused('row 11', '[[scenario:inspection]]', keyed, 400, 'content_filter');
await refused('row 19', '[[scenario:too_long]]', keyed, 400, 'context_length_exceeded');
await refused('api 4.4: an upstream 500 keeps its status', '[[scenario:500]]', keyed, 500, 'upstream_error');
await refused('api 4.4: an upstream 503 keeps its status', '[[scenario:503]]', keyed, 503, 'upstream_error');
await refused('no such model', 'hi', keyed, 404, 'model_not_found', null, { model: 'gpt-nothing' });
for (const s of ['rate', 'throttling', '429_empty'])
  await refused(`D5 ${s}`, `[[scenario:${s}]]`, keyed, 429, 'rate_limit_exceeded', (a) => ok(Number(a.headers.get('retry-after')) > 0, 'Retry-After'));
await refused('D5 429 with Retry-After', '[[scenario:429_retry_after]]', keyed, 429, 'rate_limit_exceeded',
  (a) => ok(Number(a.headers.get('retry-after')) <= 7, a.headers.get('retry-after')));
await refused('row 7: quota of the key', '[[scenario:insufficient_quota]]', keyed, 429, 'insufficient_quota',
  (a) => equal(a.headers.get('x-should-retry'), 'false'));
await refused('api 12: a refused key is never a 401 of the client', 'hi', { ...keyed, ...keys('sk-wrong') }, 503, 'no_cli_account');
await refused('row 16: never an empty 200', '[[scenario:empty]]', keyed, 502, 'empty_upstream_response');
await test('row 13: a captcha page rests the key and is told, without its HTML', () => fresh(keyed, async (gw) => {
  const a = await cli(gw, '[[scenario:html]]');
  equal([a.status, a.error.code, a.headers.get('x-should-retry')], [502, 'upstream_challenge', 'false'], a.raw);
  ok(!/</.test(a.error.message), a.error.message);
  equal((await cli(gw, 'hi')).error.code, 'no_cli_account', 'while it rests');
}));
await test('row 17, D3: cut in mid-answer', async () => {
  for (const s of ['drop', 'drop_clean', 'err_midway'])
    await fresh({ ...keyed, CHAT_RETRY_COUNT: '0' }, async (gw) => {
      const b = await cliStream(gw, `[[scenario:${s}]]`);
      equal([b.status, b.error?.code], [200, s === 'err_midway' ? 'upstream_error' : 'upstream_interrupted'], b.raw);
      ok(b.text.length > 0 && hello.startsWith(b.text), b.text);
      equal(await calls('dashscope'), 1, 'no retry after the first byte');
    });
});
await test('api 3.14: a cut answer that is collected is tried again', () => fresh(keyed, async (gw) => {
  await fake.script({ dashscope: ['drop_clean'] });
  const a = await cli(gw, 'hi');
  equal([a.status, a.text, a.headers.get('x-qwen2api-attempts')], [200, hello, '2'], a.raw);
}));
await test('row 18: silence', () => fresh({ ...keyed, UPSTREAM_IDLE_TIMEOUT: '1', UPSTREAM_FIRST_BYTE_TIMEOUT: '1', CHAT_RETRY_COUNT: '0' }, async (gw) => {
  equal((await cliStream(gw, '[[scenario:stall_midway]]')).error.code, 'upstream_idle_timeout');
  const a = await cli(gw, '[[scenario:stall_head]]');
  equal([a.status, a.error.code], [504, 'upstream_first_byte_timeout'], a.raw);
}));
await test('D22: heartbeats while the upstream is silent', () => fresh({ ...keyed, SSE_EARLY_HEADERS_MS: '100', SSE_HEARTBEAT_SECONDS: '1' }, async (gw) => {
  const b = await cliStream(gw, '[[scenario:slow ms=2500 quiet=1]]');
  equal(b.text, hello);
  ok(b.raw.split(': keep-alive').length >= 3, b.raw);
}));
await test('several keys: the next one serves, a refused one is not asked again', () => fresh(
  { ...keyed, ...keys('sk-wrong', 'sk-fake-unpaid', 'sk-fake-dashscope', 'sk-fake-second') }, async (gw) => {
    for (let i = 0; i < 6; i++) equal((await cli(gw, `hi ${i}`)).text, hello);
    const log = await (await fetch(`${fake.base}/__log?n=200&heads=1`)).json();
    const list = (Array.isArray(log) ? log : log.log ?? log.requests).filter((e) => e.path.endsWith('/chat/completions'));
    ok(list.length <= 8, `6 answers and two refusals: ${list.length}`);
  }));
await test('a quota of one key: the other takes over', () => fresh({ ...keyed, ...keys('sk-fake-dashscope', 'sk-fake-second') }, async (gw) => {
  await fake.script({ dashscope: ['insufficient_quota'] });
  const a = await cliStream(gw, 'hi');
  equal([a.status, a.text, a.headers.get('x-qwen2api-attempts')], [200, hello, '2'], a.raw);
}));
await test('two at once on one key, the third waits for its turn', () => fresh({ ...keyed, QUEUE_TIMEOUT: '30' }, async (gw) => {
  const all = await Promise.all(Array.from({ length: 6 }, () => cli(gw, '[[scenario:slow ms=300]]')));
  equal(all.map((a) => a.status), all.map(() => 200));
}));
await test('D2, api 0.12: a client that leaves ends the upstream call', () => fresh(keyed, async (gw) => {
  const c = new AbortController();
  const r = await post(gw, '/cli/v1/chat/completions', { model: 'qwen3-coder-plus', stream: true,
    messages: [{ role: 'user', content: `[[scenario:say b64=${b64('x'.repeat(600))} step=1 ms=50]]` }] }, { signal: c.signal });
  await r.body.getReader().read();
  c.abort();
  await waitFor(async () => /client closed \(499\)/.test(gw.log()), 3000, 'it was noticed');
  equal((await cli(gw, 'hi')).text, hello, 'the account is free again');
}));

// ---- the real client ----
await test('openai client: a tool loop of two rounds', () => fresh(keyed, async (gw) => {
  const client = new OpenAI({ apiKey: KEY, baseURL: `${gw.base}/cli/v1`, maxRetries: 0 });
  for (const stream of [false, true]) {
    const messages = [{ role: 'system', content: 'Use tools.' }, { role: 'user', content: '[[scenario:tool_call name=roll args={"n":6,"user":"u","seed":1}]]' }];
    const ask = { model: 'qwen3-coder-plus', tools: [tool], messages };
    const first = stream ? await client.chat.completions.stream(ask).finalChatCompletion() : await client.chat.completions.create(ask);
    const call = first.choices[0].message.tool_calls[0];
    equal([first.choices[0].finish_reason, call.function.name, JSON.parse(call.function.arguments)], ['tool_calls', 'roll', { n: 6, user: 'u', seed: 1 }]);
    messages.push(first.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'rolled 4' },
      { role: 'user', content: `[[scenario:say b64=${b64('not seen')} when=${b64('rolled 4')} then=${b64('It is a four.')}]]` });
    const second = stream ? await client.chat.completions.stream(ask).finalChatCompletion() : await client.chat.completions.create(ask);
    equal(second.choices[0].message.content, 'It is a four.');
  }
}));
await test('openai client: runTools', () => fresh(keyed, async (gw) => {
  const client = new OpenAI({ apiKey: KEY, baseURL: `${gw.base}/cli/v1`, maxRetries: 0 });
  let seen;
  await fake.script({ dashscope: ['tool_call name=roll args={"n":2}', `say b64=${b64('done')}`] });
  const runner = client.chat.completions.runTools({ model: 'qwen3-coder-plus', messages: [{ role: 'user', content: 'x' }],
    tools: [{ type: 'function', function: { name: 'roll', parameters: schema, parse: JSON.parse, function: (a) => { seen = a; return 'ok'; } } }] });
  equal(await runner.finalContent(), 'done');
  equal(seen, { n: 2 });
}));
await test('openai client: errors, models, abort', () => fresh(keyed, async (gw) => {
  const client = new OpenAI({ apiKey: KEY, baseURL: `${gw.base}/cli/v1`, maxRetries: 2 });
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  ok(ids.includes('coder-model'), String(ids));
  const e = await client.chat.completions.create({ model: 'coder-model', messages: [{ role: 'user', content: '[[scenario:insufficient_quota]]' }] }).catch((x) => x);
  ok(e instanceof OpenAI.RateLimitError && e.code === 'insufficient_quota', String(e));
  equal(await calls('dashscope'), 1, 'no retries: x-should-retry');
}));

await test('api 4.5 (c): tools are emulated where the web serves', () => fresh({}, async (gw) => {
  await waitFor(() => /\d models/.test(gw.log()), 10000, 'the model list');
  for (const way of [cli, cliStream]) {
    const a = await way(gw, '[[scenario:tool_text name=roll args={"n":1,"user":"x","seed":2}]]', { model: 'coder-model', tools: [tool] });
    equal([a.status, a.route, a.finish], [200, 'web', 'tool_calls'], a.raw);
    const call = a.calls?.[0]?.function ?? { name: a.tools[0].name, arguments: a.tools[0].args };
    equal([call.name, JSON.parse(call.arguments)], ['roll', { n: 1, user: 'x', seed: 2 }]);
  }
}));
await test('legacy functions go to the web at once, which knows them', () => fresh({ ...keys('sk-fake-dashscope') }, async (gw) => {
  await waitFor(() => /\d models/.test(gw.log()), 10000, 'the model list');
  const a = await cli(gw, 'hi', { functions: [{ name: 'f', parameters: {} }] });
  equal([a.status, a.route], [200, 'web'], a.raw);
  equal(await calls('dashscope'), 0);
}));
await test('api 9.6: a gateway with official keys alone is ready', () => fresh(keyed, async (gw) => {
  const r = await fetch(`${gw.base}/readyz`);
  equal([r.status, (await r.json()).status], [200, 'ready']);
}));

// ---- embeddings ----
await test('api 8, 9.1: embeddings are passed on when a key serves them, else 404', async () => {
  await fresh(keyed, async (gw) => {
    const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
    const ask = { model: 'text-embedding-v4', input: ['ab', 'ü'], dimensions: 64 };
    const packed = await client.embeddings.create(ask); // asks for base64
    const plain = await client.embeddings.create({ ...ask, encoding_format: 'float' });
    equal([packed.data.length, packed.data[0].embedding.length, packed.model], [2, 64, 'text-embedding-v4']);
    packed.data.forEach((d, i) => d.embedding.forEach((v, k) => ok(Math.abs(v - plain.data[i].embedding[k]) < 1e-6, `${i} ${k}`)));
    ok(plain.usage.total_tokens > 0, 'usage');
    const e = await client.embeddings.create({ ...ask, model: 'nothing' }).catch((x) => x);
    equal([e.status, e.code], [404, 'model_not_found']);
    const r = await post(gw, '/v1/embeddings', { model: 'text-embedding-v4' });
    equal([r.status, (await r.json()).error.param], [400, 'input']);
  });
  await fresh({}, async (gw) => {
    const r = await post(gw, '/v1/embeddings', { model: 'x', input: 'y' });
    equal([r.status, (await r.json()).error.code, r.headers.get('x-should-retry')], [404, 'unsupported_endpoint', 'false']);
  });
});
await test('an api account without `chat` in serves is never lent to /v1', () => fresh(keyed, async (gw) => {
  const r = await post(gw, '/v1/chat/completions', { model: 'qwen-plus', messages: [{ role: 'user', content: 'hi' }] });
  ok([404, 503].includes(r.status), `${r.status}`);
  equal(await calls('dashscope'), 0);
  const web = await cli(gw, 'hi');
  equal(web.route, 'api');
}));
await done();
