// Every scenario of the fake upstream through the static binary over real TLS: the same text streamed and not
// streamed, or the same typed error; and what must have happened upstream. Names say the defect (D..) they guard.
import { test, equal, ok, done, fakeUpstream, gateway, chat, stream, post, waitFor, sleep, events, KEY } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '6'] });
const many = Array.from({ length: 6 }, (_, i) => `user${i}@example.org:pw-${i}`).join(',');

// A gateway of its own for each trouble, so that a rest booked by one test does not reach the next.
async function fresh(env, fn) {
  await fake.reset();
  const gw = await gateway(fake, env);
  try { return await fn(gw); } finally { await gw.stop(); }
}
async function both(name, prompt, check, more = {}, env = {}) {
  await test(name, () => fresh(env, async (gw) => {
    const a = await chat(gw, prompt, more), b = await stream(gw, prompt, more);
    equal(a.status, 200, `status (${a.raw})`);
    equal(b.status, 200, 'stream status');
    equal(b.error, undefined, 'no error event');
    equal(b.text, a.text, 'streamed text');
    equal(b.think, a.think, 'streamed reasoning');
    equal(b.finish, a.finish, 'finish');
    await check?.(a, b, gw);
  }));
}
// The trouble comes as an HTTP status in both modes, for one account without retries.
async function refused(name, prompt, status, code, check, env = {}) {
  await test(name, async () => {
    for (const call of [chat, stream])
      await fresh({ CHAT_RETRY_COUNT: '0', ...env }, async (gw) => {
        const r = await call(gw, prompt);
        equal(r.status, status, `status of ${call.name} (${r.raw})`);
        ok([code].flat().includes(r.error.code), `code ${r.error.code}`);
        for (const k of ['message', 'type', 'param', 'code']) ok(k in r.error, `error has ${k}`);
        ok(!/<|example\.org|eyJ/.test(r.error.message), `no HTML, address or token: ${r.error.message}`);
        if (status === 429 || status === 503) ok(Number(r.headers.get('retry-after')) > 0, 'Retry-After');
        await check?.(r, gw);
      });
  });
}

let normal;
await both('normal', 'hello', async (a) => {
  normal = a.text;
  ok(/[^\x00-\x7f]/.test(normal), 'a multi-byte character came through');
  equal(a.think, '', 'no reasoning unless asked for');
  ok(a.usage.prompt_tokens > 0 && a.usage.completion_tokens > 0, 'usage of the upstream');
});
const same = (a) => equal(a.text, normal, 'the normal text');
for (const s of ['crlf', 'no_space', 'no_final_blank', 'with_done', 'malformed', 'split1', 'split7', 'gzip', 'late_usage'])
  await both(`D9 D11 framing: ${s}`, `[[scenario:${s}]]`, (a) => ok(a.text.length > 0, 'text'));
await both('no_usage: estimated', '[[scenario:no_usage]]', (a) => ok(a.usage.total_tokens > 0, 'usage'));
await both('split_char_delta: an emoji in two halves', '[[scenario:split_char_delta]]',
  (a) => ok(/\u{1f600}/u.test(a.text) && !a.text.includes('\ufffd'), a.text));
await both('cumulative', '[[scenario:cumulative]]', (a) => ok(a.text.length > 16 && !/(.{16}).*\1/s.test(a.text), a.text));
await both('repeat is not deduplicated', '[[scenario:repeat]]', (a) => ok(/ha ha ha ha/.test(a.text), a.text));
await both('two_ids: one answer only', '[[scenario:two_ids]]', (a) => ok(a.text.length > 0, a.text));
await both('unknown_phase', '[[scenario:unknown_phase]]', (a) => ok(a.text.length > 0, a.text));
await both('finish_then_more', '[[scenario:finish_then_more]]', (a) => ok(a.text.length > 0, a.text));
await both('huge: an event of 3 MiB', '[[scenario:huge]]', (a) => ok(a.text.length > 1024 * 1024, `${a.text.length}`));
await both('too_huge: dropped, the rest arrives', '[[scenario:too_huge]]', (a) => ok(a.text.length > 0 && a.text.length < 1e6, ''));
await both('deep nesting is skipped', '[[scenario:deep]]', (a) => ok(a.text.length > 0, a.text));
await both('json_answer', '[[scenario:json_answer]]', (a) => ok(a.text.length > 0, a.text));
await both('D12 thinking: summaries once each, in order', '[[scenario:thinking]]', (a) => {
  ok(a.think.length > 0 && a.text.length > 0, JSON.stringify(a.think));
  ok(!/(.{12,}).*\1/s.test(a.think), `no part twice: ${a.think}`);
}, { model: 'qwen3.7-plus-thinking' });
await both('thinking_detail', '[[scenario:thinking_detail]]', (a) => ok(a.think.length > 0 && a.text.length > 0, a.think),
  { model: 'qwen3.7-plus-thinking' });
await both('enable_thinking', '[[scenario:thinking_detail]]', (a) => ok(a.think.length > 0, a.think), { enable_thinking: true });
await both('OUTPUT_THINK=false hides it', '[[scenario:thinking_detail]]', (a) => equal(a.think, ''),
  { model: 'qwen3.7-plus-thinking' }, { OUTPUT_THINK: 'false' });
await both('tags', '[[scenario:thinking_detail]]', (a) => {
  equal(a.think, '');
  ok(/^<think>\n\n[\s\S]+\n\n<\/think>\n/.test(a.text), a.text);
}, { model: 'qwen3.7-plus-thinking' }, { LEGACY_REASONING_IN_CONTENT: 'true' });
await both('think_only: reasoning alone is an answer where it is shown', '[[scenario:think_only]]', (a) => {
  ok(a.think.length > 0, 'reasoning');
  equal(a.text, '');
  equal(a.finish, 'stop');
}, { model: 'qwen3.7-plus-thinking' });
await refused('think_only hidden is empty', '[[scenario:think_only]]', 502, 'empty_upstream_response', null,
  { OUTPUT_THINK: 'false' });
for (const s of ['search', 'search_old'])
  for (const [mode, mark] of [['table', /\| # \| Source \| Site \|\n\|---:\|:---\|:---\|\n\| 1 \| \[/], ['text', /\n\n---\n\n\[1\] \[/]])
    await both(`D8 ${s} as ${mode}`, `[[scenario:${s}]]`, (a) => ok(mark.test(a.text), a.text),
      { model: 'qwen3.7-plus-search' }, { SEARCH_INFO_MODE: mode });
await test('search: annotations', () => fresh({}, async (gw) => {
  const a = await chat(gw, '[[scenario:search]]', { model: 'qwen3.7-plus-search' });
  ok(a.json.choices[0].message.annotations.length > 0, a.raw);
  equal(a.json.choices[0].message.annotations[0].type, 'url_citation');
}));
await both('stop', 'hello', (a) => equal(a.text, normal.slice(0, 3)), { stop: normal.slice(3, 5) });
await both('max_tokens', '[[scenario:stream n=20 ms=1 size=20 seed=1]]', (a) => {
  equal(a.finish, 'length');
  ok(a.text.length > 0 && a.text.length < 200, `${a.text.length}`);
}, { max_tokens: 10 });
await both('MAX_TOKENS_COUNT_REASONING', '[[scenario:thinking_detail]]', (a) => equal([a.finish, a.text], ['length', '']),
  { model: 'qwen3.7-plus-thinking', max_tokens: 2 }, { MAX_TOKENS_COUNT_REASONING: 'true' });
await both('the example of the original README', [{ role: 'system', content: '你是一个有用的助手。' }, { role: 'user', content: '你好,请介绍一下自己。' }],
  (a) => equal(a.json.model, 'qwen-max-latest'), { model: 'qwen-max-latest', temperature: 0.7, max_tokens: 2000 });
await both('echo: folding keeps every turn (D13 text)', [
  { role: 'system', content: 'Be brief.' }, { role: 'user', content: 'first' }, { role: 'assistant', content: '<think>x</think>one' },
  { role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'text', text: '[[scenario:echo]]' }, { type: 'text', text: 'c' }] }],
(a) => ok(/Be brief\.[\s\S]*User: first[\s\S]*Assistant: one[\s\S]*Current message:\na\n[\s\S]*\nc/.test(a.text) && !a.text.includes('<think>'), a.text));

// ---- trouble ----
await refused('D5 429', '[[scenario:429]]', 429, 'rate_limit_exceeded');
await refused('D5 429 with Retry-After', '[[scenario:429_retry_after]]', 429, 'rate_limit_exceeded');
await refused('D6 quota', '[[scenario:quota]]', 429, 'insufficient_quota', (r) => {
  equal(r.headers.get('x-should-retry'), 'false');
  const s = Number(r.headers.get('retry-after'));
  ok(s > 4 * 3600 - 60 && s <= 4 * 3600, `hours of the upstream: ${s}`);
});
await refused('D6 quota_flat', '[[scenario:quota_flat]]', 429, 'insufficient_quota');
for (const s of ['html_200', 'html_405', 'html_as_sse', 'punish'])
  await refused(`D6 ${s}`, `[[scenario:${s}]]`, 502, 'upstream_challenge', (r) => equal(r.headers.get('x-should-retry'), 'false'));
for (const s of ['err_in_stream', '503']) await refused(s, `[[scenario:${s}]]`, 502, 'upstream_error');
await refused('moderation', '[[scenario:moderation]]', 400, 'content_filter');
for (const s of ['empty', 'created_only']) await refused(`D6 ${s}: never an empty 200`, `[[scenario:${s}]]`, 502, 'empty_upstream_response');
await refused('403', '[[scenario:403]]', 503, 'no_usable_account');
// A connection used before is replaced once in silence; the upstream may then say that the chat is in progress.
await refused('drop_early', '[[scenario:drop_early]]', 502, ['upstream_unreachable', 'upstream_interrupted', 'upstream_error']);
await refused('D22 stall: a true status while it can be told', '[[scenario:stall_head]]', 504, 'upstream_first_byte_timeout', async () => {
  await waitFor(async () => (await fake.stats()).stops >= 1, 2000, 'the turn is stopped');
}, { UPSTREAM_FIRST_BYTE_TIMEOUT: '600ms', UPSTREAM_IDLE_TIMEOUT: '600ms' });

for (const s of ['drop', 'drop_clean', 'err_midway', 'fail_in_sse'])
  await test(`D3 ${s}: an error event and a clean end, at once`, () => fresh({ CHAT_RETRY_COUNT: '0' }, async (gw) => {
    const t = Date.now(), r = await stream(gw, `[[scenario:${s}]]`);
    if (r.status !== 200) { ok(r.status >= 500, `${r.status}`); return; }
    ok(r.error, `an error event: ${r.raw}`);
    ok(Date.now() - t < 3000, 'at once');
    const whole = await chat(gw, `[[scenario:${s}]]`);
    ok(whole.status >= 429 && whole.error.code, whole.raw);
  }));
await test('gzip_bad is an error, not a short answer', () => fresh({ CHAT_RETRY_COUNT: '0' }, async (gw) => {
  const r = await chat(gw, '[[scenario:gzip_bad]]');
  ok(r.status >= 500, r.raw);
}));

// ---- cures ----
await test('D4 token revoked: renewed once, nobody notices', () => fresh({}, async (gw) => {
  equal((await chat(gw, 'hello')).status, 200);
  await fake.revoke();
  const before = (await fake.stats()).signin ?? 0;
  const all = await Promise.all(Array.from({ length: 8 }, () => chat(gw, 'hello')));
  for (const r of all) equal(r.status, 200, r.raw);
  equal((await fake.stats()).signin - before, 1, 'one sign-in for eight requests');
}));
for (const s of ['expired', '401'])
  await test(`D4 ${s}: renewed and repeated`, () => fresh({}, async (gw) => {
    await fake.script({ completions: [s] });
    const r = await chat(gw, 'hello');
    equal([r.status, r.text], [200, normal], r.raw);
  }));
for (const s of ['429', 'quota', '403', 'parallel', 'punish', '503', 'empty', 'drop_early', 'in_progress', 'err_in_stream'])
  for (const call of [chat, stream])
    await test(`D5 ${s} on the first account: another serves`, () => fresh({ ACCOUNTS: many, CHAT_RETRY_BACKOFF_MS: '10' }, async (gw) => {
      await fake.script({ completions: [s] });
      const r = await call(gw, 'hello');
      equal([r.status, r.text], [200, normal], `${s} ${r.raw}`);
      equal(r.headers.get('x-qwen2api-attempts'), '2', 'attempts are told');
    }));
await test('no retry after the first content byte', () => fresh({ ACCOUNTS: many }, async (gw) => {
  const before = (await fake.stats()).completions ?? 0;
  const r = await stream(gw, '[[scenario:drop]]');
  ok(r.error, r.raw);
  equal((await fake.stats()).completions - before, 1);
}));
await test('D2 the client leaves: stopped upstream within a second', () => fresh({ MAX_INFLIGHT_PER_ACCOUNT: '100' }, async (gw) => {
  const ends = Array.from({ length: 20 }, () => new AbortController());
  const running = ends.map((e) => stream(gw, '[[scenario:stream n=600 ms=100 size=20]]', {}, { signal: e.signal }).catch(() => 0));
  await waitFor(async () => (await fake.stats()).running === 20, 5000, 'twenty streams run');
  ends.forEach((e) => e.abort());
  await waitFor(async () => (await fake.stats()).running === 0, 1500, 'none runs');
  await waitFor(async () => (await fake.stats()).stops >= 20, 1500, 'each was stopped');
  await Promise.all(running);
  equal((await chat(gw, 'hello')).text, normal, 'the account serves again');
}));
await test('D7 a stock of fresh chats: the next answer needs one round trip', () => fresh({}, async (gw) => {
  await chat(gw, 'hello');
  await waitFor(async () => (await fake.stats()).chats_new >= 2, 2000, 'one chat is made ahead');
  const log0 = (await fake.log()).length;
  await chat(gw, 'hello');
  const paths = (await fake.log()).slice(log0).map((e) => e.path.split('?')[0]);
  equal(paths[0], '/api/v2/chat/completions', paths.join());
}));
await test('D7 CHAT_CLEANUP_MODE=1: chats do not pile up', () => fresh({ CHAT_CLEANUP_MODE: '1', CHAT_STOCK: '0' }, async (gw) => {
  for (let i = 0; i < 5; i++) await chat(gw, 'hello');
  await waitFor(async () => (await fake.stats()).chats_alive === 0, 3000, 'all chats were deleted');
  ok(!(await fake.stats()).deleted_all, 'never all chats of the account');
}));
await test('D22 heartbeats before the first event', () => fresh({ SSE_EARLY_HEADERS_MS: '100', SSE_HEARTBEAT_SECONDS: '1' }, async (gw) => {
  const r = await post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: '[[scenario:slow ms=2500]]' }] });
  const all = events(await r.text());
  ok(all[0].comment, 'a comment comes first');
  ok(all.some((e) => e.done), 'and the answer after it');
}));
await test('D10 a client that never reads: the gateway stops pulling', () => fresh({}, async (gw) => {
  const { connect } = await import('node:net');
  const body = JSON.stringify({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: '[[scenario:stream n=200000 ms=0 size=1000]]' }] });
  const s = connect(gw.port, '127.0.0.1');
  s.pause();
  s.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await sleep(2500);
  const { readFileSync } = await import('node:fs');
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gw.process.pid}/status`, 'utf8'))[1]);
  ok(rss < 40 * 1024, `resident ${rss} KB`);
  s.destroy();
  equal((await chat(gw, 'hello')).text, normal, 'others are served');
}));

await test('D10 a client that never reads holds its turn no longer than UPSTREAM_TURN_TIMEOUT', () => fresh({ UPSTREAM_TURN_TIMEOUT: '10', UPSTREAM_IDLE_TIMEOUT: '4' }, async (gw) => {
  const { connect } = await import('node:net');
  const body = JSON.stringify({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: '[[scenario:stream n=200000 ms=0 size=1000]]' }] });
  const s = connect(gw.port, '127.0.0.1');
  s.on('error', () => 0);
  s.pause();
  s.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await sleep(6000);
  equal((await fake.stats()).running, 1, 'a slow client is not a silent upstream');
  await waitFor(async () => (await fake.stats()).running === 0, 12000, 'the turn is given up');
  s.destroy();
}));

// ---- the request ----
for (const [what, body, status, code] of [
  ['D15 no messages', { model: 'qwen3.7-plus' }, 400, 'missing_required_parameter'],
  ['D15 empty messages', { model: 'qwen3.7-plus', messages: [] }, 400, 'missing_required_parameter'],
  ['D15 broken JSON', '{"model":"qwen3.7-plus",', 400, 'invalid_json'],
  ['D15 unknown model', { model: 'nothing-like-it', messages: [{ role: 'user', content: 'x' }] }, 404, 'model_not_found'],
  ['empty body', '', 400, 'empty_body'],
  ['not an object', '[]', 400, 'invalid_type'],
  ['a role of its own', { messages: [{ role: 'robot', content: 'x' }] }, 400, 'invalid_value'],
  ['a variant the model lacks', { model: 'qwen3-coder-plus-image', messages: [{ role: 'user', content: 'x' }] }, 400, 'unsupported_model_variant'],
]) await test(what, () => fresh({}, async (gw) => {
  const r = await post(gw, '/v1/chat/completions', body);
  const j = await r.json();
  equal([r.status, j.error?.code], [status, code], JSON.stringify(j));
}));
await test('D16 every chunk has its model; usage as asked', () => fresh({}, async (gw) => {
  const usage = async (o) => (await stream(gw, 'hello', o)).chunks.filter((c) => c.usage).length;
  equal(await usage({}), 1, 'absent: sent');
  equal(await usage({ stream_options: { include_usage: true } }), 1, 'true: sent');
  equal(await usage({ stream_options: { include_usage: false } }), 0, 'false: not sent');
}));
await test('upstream 8 row 17: what the stream lost is taken from the chat record', () => fresh({}, async (gw) => {
  for(const fault of ['drop_after=3', 'fin_after=3'])
    for (const call of [chat, stream]) {
      const r = await call(gw, `[[scenario:normal ${fault} full=1]]`);
      equal([r.status, r.error, r.text, r.finish], [200, undefined, 'Hello, 世界! This is the fake upstream.', 'stop'], `${fault} ${call.name}`);
    }
  equal((await fake.stats()).chat_detail, 4, 'looked at the record once each');
}));
await test('upstream 8 row 17: a record that knows no more leaves the error', () => fresh({ CHAT_RETRY_COUNT: '0' }, async (gw) => {
  const r = await stream(gw, '[[scenario:normal drop_after=3]]');
  equal(r.error?.code, 'upstream_interrupted');
  equal((await fake.stats()).chat_detail, 1, 'one look');
}));
await test('ignored parameters are named', () => fresh({}, async (gw) => {
  const r = await chat(gw, 'hello', { temperature: 0.2, top_p: 1, seed: 4 });
  equal(r.headers.get('x-qwen2api-ignored'), 'temperature,top_p,seed');
}));
await test('D27 no connection leaks over all of this', () => fresh({ ACCOUNTS: many, CHAT_RETRY_COUNT: '0' }, async (gw) => {
  await chat(gw, 'hello');
  await sleep(300);
  const { readdirSync } = await import('node:fs');
  const fds = () => readdirSync(`/proc/${gw.process.pid}/fd`).length;
  const before = fds();
  for (const s of ['drop', 'drop_clean', 'drop_early', 'err_midway', 'empty', 'html_200', '503']) await stream(gw, `[[scenario:${s}]]`).catch(() => 0);
  await sleep(500);
  ok(fds() <= before + 6, `${before} descriptors before, ${fds()} after`);
}));
await done();
