// What an attacker sends, and a storm of all kinds of requests whose clients leave, stall and close half at any moment.
// Q2A_STORM_SECONDS (8) and Q2A_STORM_CLIENTS (60) make it longer and wider: tests/torture/mixed.sh runs it under sanitizers.
import { readFileSync, readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import zlib from 'node:zlib';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, sleep, post, chat, KEY } from './lib.mjs';

const seconds = Number(process.env.Q2A_STORM_SECONDS || 8), clients = Number(process.env.Q2A_STORM_CLIENTS || 60);
const sanitized = Boolean(process.env.TSAN_OPTIONS || process.env.ASAN_OPTIONS); /* its memory and time are not the program's */
const patience = sanitized ? 300000 : 90000; /* of a client that waits for its answer's end */
const b64 = (s) => Buffer.from(s).toString('base64');
const M = 1000 * 1000;

// ---- one hostile body: at most a second of CPU, and a bounded multiple of its size ----
const fake = await fakeUpstream({ args: ['--accounts', '100'] });
const one = await gateway(fake, { CHAT_RETRY_COUNT: '0', MAX_INFLIGHT_PER_ACCOUNT: '50', LOG_LEVEL: 'INFO' });
const stat = (p) => { const f = readFileSync(`/proc/${p.pid}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(f[11]) + Number(f[12])) * 10; };
const peak = (p, key = 'VmHWM') => Number(readFileSync(`/proc/${p.pid}/status`, 'utf8').match(new RegExp(`${key}:\\s+(\\d+)`))[1]) * 1024;

function raw(gw, path, body, { method = 'POST', headers = {}, key = KEY } = {}) {
  return new Promise((resolve) => {
    const r = http.request({ port: gw.port, path, method, agent: false,
      headers: { 'content-type': 'application/json', ...(headers['transfer-encoding'] ? {} : { 'content-length': Buffer.byteLength(body) }), ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers } }, (x) => {
      const all = [];
      x.on('data', (d) => all.push(d));
      x.on('end', () => resolve({ status: x.statusCode, headers: x.headers, raw: Buffer.concat(all).toString() }));
      x.on('error', (e) => resolve({ status: -1, raw: e.message }));
    });
    r.on('error', (e) => resolve({ status: -1, raw: e.message }));
    r.end(body);
  });
}
const list = (item, n) => Buffer.from(`${`${item},`.repeat(n - 1)}${item}`);
const around = (head, middle, tail) => Buffer.concat([Buffer.from(head), middle, Buffer.from(tail)]);
const hi = '"model":"qwen3.7-plus","messages":[{"role":"user","content":"hi"}]';
const say = (text) => `[[scenario:say b64=${b64(text)}]]`;
const called = (args) => say(`<q2a_call>\n{"name":"f","arguments":${JSON.stringify(args)}}\n</q2a_call>`);
const tool = (parameters) => [{ type: 'function', function: { name: 'f', parameters } }];
const asked = (content, more) => JSON.stringify({ model: 'qwen3.7-plus', messages: [{ role: 'user', content }], ...more });
const forms = (n, join) => {
  const defs = { d7: {} };
  for (let i = 0; i < 7; i++) defs[`d${i}`] = { [join]: Array(n).fill({ $ref: `#/$defs/d${i + 1}` }) };
  return { type: 'object', required: ['a'], properties: { a: { $ref: '#/$defs/d0' } }, $defs: defs };
};
const names = (letter, n) => Array.from({ length: n }, (_, i) => letter + i);
const chunked = { headers: { 'transfer-encoding': 'chunked' }, key: '' };
const packed = { headers: { 'content-encoding': 'gzip' } };

async function costs(name, path, body, want, options = {}) {
  await test(`api 12: ${name}`, async () => {
    await raw(one, '/healthz', '', { method: 'GET' });
    const before = stat(one.process), began = Date.now();
    const r = await raw(one, path, body, options);
    const ms = stat(one.process) - before;
    equal(r.status, want, r.raw.slice(0, 300));
    ok(r.status < 400 || JSON.parse(r.raw).error || r.status === 401, 'a typed error');
    if (!sanitized) ok(ms < 1500, `${ms} ms of CPU, ${Date.now() - began} ms`);
  });
}
await costs('a million messages', '/v1/chat/completions', around('{"model":"qwen3.7-plus","messages":[', list('{"role":"user","content":"x"}', M), ']}'), 413);
await costs('a million numbers', '/v1/chat/completions', around(`{${hi},"x":[`, list('1', 4 * M), ']}'), 413);
await costs('a million members', '/v1/chat/completions', `{${hi},${names('k', M / 4).map((k) => `"${k}":0`).join()}}`, 413);
await costs('brackets without end', '/v1/chat/completions', '['.repeat(10 * M), 400);
await costs('a million tools', '/v1/messages', around(`{"max_tokens":5,${hi},"tools":[`, list('{"name":"f","input_schema":{}}', M / 2), ']}'), 413);
await costs('a picture to edit whose address has no end', '/v1/chat/completions',
  JSON.stringify({ model: 'qwen3.7-plus-image-edit', messages: [{ role: 'assistant', content: '![image]('.repeat(M) }, { role: 'user', content: 'x' }] }), 200);
for (const join of ['anyOf', 'allOf', 'oneOf']) await costs(`${join} of forms that are made of forms`, '/v1/chat/completions', asked(called({ a: [1, '2'] }), { tools: tool(forms(30, join)) }), 200);
await costs('as many required names as properties, none of them the same', '/v1/chat/completions',
  asked(called({ p1: '1' }), { tools: tool({ type: 'object', required: names('z', 20000), properties: Object.fromEntries(names('p', 20000).map((k) => [k, { type: 'string' }])) }) }), 200);
await costs('arguments that are alike no property', '/v1/chat/completions',
  asked(called(Object.fromEntries(names('q', 2000).map((k) => [k, 1]))), { tools: tool({ type: 'object', properties: Object.fromEntries(names('p', 20000).map((k) => [k, { type: 'string' }])) }) }), 200);
await costs('multipart of nothing but boundaries that are none', '/v1/images/edits', `--${'b'.repeat(60)}\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n${`\r\n--${'b'.repeat(59)}`.repeat(200000)}`, 400,
  { headers: { 'content-type': `multipart/form-data; boundary=${'b'.repeat(60)}` } });
await costs('multipart with too many parts', '/v1/images/edits', '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n'.repeat(100000), 400, { headers: { 'content-type': 'multipart/form-data; boundary=b' } });
await costs('a gzip bomb', '/v1/chat/completions', zlib.gzipSync(Buffer.alloc(300 * M, 32)), 413, packed);
await costs('chunks without a key beyond what the route takes', '/verify', around('[', list('1', 2 * M), ']'), 413, chunked);
await costs('a gzip bomb without a key', '/verify', zlib.gzipSync(around('[', list('1', 2 * M), ']')), 413, { ...packed, key: '' });

await test('api 12: hostile bodies leave no memory behind, and took no more than a few times their size', async () => {
  await sleep(300);
  if (!sanitized) ok(peak(one.process) < 220 * M, `${peak(one.process)} bytes at the most`);
  equal((await fake.stats()).running, 0);
});

await test('api 12: what many large requests are made into is bounded together: overloaded, and then all is well', async () => {
  const gw = await gateway(fake, { BODY_LIMIT_MB: '4', MAX_INFLIGHT_PER_ACCOUNT: '50' });
  const body = around(`{${hi},"x":[`, list('1', 300000), ']}'), all = [];
  for (let i = 0; i < 60; i++) all.push(raw(gw, '/v1/chat/completions', body));
  const seen = (await Promise.all(all)).map((r) => r.status);
  ok(seen.includes(503) && seen.every((s) => s === 413 || s === 503), seen.join());
  if (!sanitized) ok(peak(gw.process) < 180 * M, `${peak(gw.process)} bytes at the most`);
  equal((await raw(gw, '/v1/chat/completions', asked('hi'))).status, 200);
  await gw.stop();
});

await test('api 0.8: nothing a client writes becomes a header line of its answer', async () => {
  const evil = 'x\r\nSet-Cookie: a=b\r\n\r\n\u0000\u2028';
  const bodies = [
    ['/v1/chat/completions', { model: evil, messages: [{ role: 'user', content: 'hi' }] }],
    ['/v1/chat/completions', { model: 'qwen3.7-plus', messages: [{ role: 'user', name: evil, content: 'hi' }], user: evil, metadata: { [evil]: evil } }],
    ['/v1/chat/completions', { model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hi' }], tools: [{ type: 'function', function: { name: evil } }] }],
    ['/v1/chat/completions', { model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'hi' }], [evil]: 1 }],
    ['/v1/responses', { model: evil, input: 'x' }], ['/v1/responses', { model: 'qwen3.7-plus', input: 'x', previous_response_id: evil, metadata: { a: evil } }],
    ['/v1/messages', { model: evil, max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }], ['/v1/completions', { model: evil, prompt: 'x' }],
    ['/cli/v1/chat/completions', { model: evil, messages: [{ role: 'user', content: 'hi' }] }], ['/v1/videos', { model: evil, prompt: 'x' }], ['/v1/images/generations', { model: evil, prompt: 'x' }],
  ];
  for (const [path, body] of bodies)
    for (const s of [false, true]) {
      const r = await raw(one, path, JSON.stringify({ ...body, stream: s }), { headers: { 'x-request-id': 'a:b' } });
      ok(r.status >= 200 && !r.headers['set-cookie'], `${path}: ${r.status} ${r.raw.slice(0, 100)}`);
      for (const v of Object.values(r.headers)) ok(!/[\r\n\0]/.test(String(v)), `${path}: ${v}`);
    }
});

const files = (p) => readdirSync(`/proc/${p.pid}/fd`).length;
await test('D9: a picture that the stream does not name and the record has leaves no connection behind', async () => {
  const draw = () => raw(one, '/v1/images/generations', JSON.stringify({ prompt: '[[scenario:image_none polls=1]]', response_format: 'url' }));
  equal((await draw()).status, 200);
  const before = files(one.process);
  for (let i = 0; i < 8; i++) equal((await draw()).status, 200);
  ok(files(one.process) < before + 4, `${files(one.process)} descriptors, ${before} before`);
});

await one.stop();

// ---- the storm ----
const random = (n) => Math.floor(Math.random() * n), any = (a) => a[random(a.length)];
const good = ['normal', 'echo', 'thinking', 'search', 'unknown_phase', 'finish_then_more', 'repeat', 'cumulative', 'two_ids', 'no_usage', 'crlf', 'split1', 'split7', 'multi_line', 'malformed', 'gzip',
  'stream n=200 ms=2 size=40 seed=1', 'slow s=1', 'stream n=3000 ms=0 size=2000 seed=2'];
const faults = ['stall', 'stall_head', 'stall_midway', 'drop', 'drop_clean', 'drop_early', 'empty', 'created_only', 'err_in_stream', 'err_midway', 'moderation after=2 ms=5', 'in_progress', '500', '503', '504_html', 'junk',
  'expired', 'gzip_bad', 'validation', 'not_found', 'too_long', 'normal drop_after=2', 'normal fin_after=3', 'normal hold_after=2 full=1', 'json_answer'];
const booking = ['429', 'quota', 'quota_allocated', 'rate_limited', 'punish', '403_banned', 'html', 'html_200', 'parallel']; // they rest the account: rare
const scenario = () => { const d = random(1000); return `[[scenario:${any(d < 750 ? good : d < 998 ? faults : booking)}]]`; };
const media = (what) => `[[scenario:${any(what)}]]`;
const png = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const weather = tool({ type: 'object', properties: { city: { type: 'string' } } });
const cdn = ['u/t2i/r/p1.png?key=k', 'big/t2v/v.mp4?key=k&n=3000000&type=video/mp4', 'hang/p.png?key=k', 'hang_body/p.png?key=k', 'drop/t2v/v.mp4?key=k&n=200000&type=video/mp4', 'short/t2v/v.mp4?key=k&n=9000&type=video/mp4',
  'loop/t2i/p.png?key=k', 'html/t2i/p.png?key=k', 'nolength/t2v/v.mp4?key=k', 'drip/p.png?key=k', 'evil/t2i/p.png?key=k'];
const ask = (more = {}, content = scenario()) => ({ model: 'qwen3.7-plus', messages: [{ role: 'user', content }], stream: Math.random() < 0.6, ...more });
const kinds = [
  () => ['/v1/chat/completions', ask()],
  () => ['/v1/chat/completions', ask({ n: 2 + random(3) })],
  () => ['/v1/chat/completions', ask({ tools: weather, tool_choice: any(['auto', 'required', 'none']) }, media(['tool_missing', 'tool_text', 'tool_text_broken', 'tool_text_think', 'native_call', 'native_call object=1', 'tool_missing more=1', 'normal', 'stall']))],
  () => ['/v1/chat/completions', ask({ response_format: { type: 'json_object' }, n: 1 + random(2) }, any([scenario(), say('no JSON'), say('{"a":1}')]))],
  () => ['/v1/chat/completions', ask({ stop: ['fake', 'zzz'], max_tokens: 20 })],
  () => ['/v1/chat/completions', ask({}, [{ type: 'text', text: scenario() }, { type: 'image_url', image_url: { url: any([png, 'https://img.example.test/cat.png', 'https://img.example.test/hang/cat.png', 'http://127.0.0.1/x.png']) } }])],
  () => ['/v1/chat/completions', ask({ messages: [{ role: 'user', content: 'x'.repeat(200000) }, { role: 'assistant', content: 'y' }, { role: 'user', content: scenario() }] })],
  () => ['/v1/chat/completions', ask({ model: 'qwen3.7-plus-image' }, media(['image', 'image n=2', 'image_none polls=2', 'image_refusal', 'image_foreign', 'image_markdown', 'stall', 'drop', 'image ms=300']))],
  () => ['/v1/images/generations', { prompt: media(['image', 'image_two', 'image_refusal', 'image ms=200', 'drop', 'stall_midway']), n: 1 + random(3), response_format: any(['url', 'b64_json']) }],
  () => ['/v1/chat/completions', ask({ model: 'qwen3.7-plus-video' }, media(['video polls=1', 'video_fail', 'video_sse', 'stall', '500']))],
  () => ['/v1/videos', { prompt: media(['video polls=1', 'video polls=0', 'video_fail', 'video polls=30', 'stall', 'drop']), wait: random(3) }],
  () => ['/v1/responses', { model: 'qwen3.7-plus', input: scenario(), stream: Math.random() < 0.6, store: Math.random() < 0.5, previous_response_id: null }],
  () => ['/v1/messages', { model: 'qwen3.7-plus', max_tokens: 100, messages: [{ role: 'user', content: scenario() }], stream: Math.random() < 0.6 }],
  () => ['/v1/completions', { model: 'qwen3.7-plus', prompt: scenario(), stream: Math.random() < 0.6 }],
  () => ['/cli/v1/chat/completions', ask({ model: 'qwen3-coder-plus' }, media(['normal', 'slow ms=300', 'stall', 'stall_midway', 'drop', 'drop_clean', '500', '503', 'timeout', 'empty', 'no_done', 'no_finish', 'tool_call', 'say ms=5 step=4 b64=YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh']))],
  () => ['/cli/v1/chat/completions', ask({ model: any(['qwen3.7-plus', 'nothing', 'coder-model']) })],
  () => ['/v1/embeddings', { model: 'text-embedding-v3', input: ['a', 'b'] }],
  () => ['/v1/messages/count_tokens', { model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'x' }] }],
  () => [`/v1/media?url=${encodeURIComponent(`https://cdn.qwenlm.ai/output/${any(cdn)}`)}`, null],
  () => ['/v1/videos', null], () => ['/v1/models', null], () => ['/readyz', null],
  () => ['/v1/chat/completions', any(['{', '[]', '{"model":1}', '\0', '{"model":"qwen3.7-plus","messages":[{"role":"user","content":"\xff"}]}'])],
];

// What is wrong with a whole answer; '' if nothing.
function fault(path, status, type, text) {
  if (!type.startsWith('text/event-stream')) return status === 200 && type.includes('json') ? (() => { try { JSON.parse(text); return ''; } catch { return 'no JSON'; } })() : '';
  if (!text.endsWith('\n\n')) return 'the last event is cut';
  const data = text.split('\n\n').filter((b) => /^(event: .*\n)?data: /.test(b)).map((b) => b.slice(b.indexOf('data: ') + 6));
  if (path === '/v1/messages') {
    const ends = data.filter((d) => /^\{"type":"(message_stop|error)"/.test(d)).length;
    return ends === 1 && /"type":"(message_stop|error)"/.test(data.at(-1)) ? '' : `${ends} ends`;
  }
  if (path === '/v1/responses') {
    const ends = data.filter((d) => /^\{"type":"(response\.(completed|failed|incomplete)|error)"/.test(d)).length;
    return ends >= 1 && ends <= 2 ? '' : `${ends} ends`;
  }
  if (data.filter((d) => d === '[DONE]').length !== 1 || data.at(-1) !== '[DONE]') return 'not one [DONE] at the end';
  const finished = new Set();
  for (const d of data.slice(0, -1)) {
    const c = JSON.parse(d);
    for (const x of c.choices ?? []) {
      if (finished.has(x.index)) return `choice ${x.index} goes on after its finish`;
      if (x.finish_reason) finished.add(x.index);
    }
  }
  return finished.size || data.some((d) => d.startsWith('{"error"')) ? '' : 'no finish and no error';
}

const seen = { whole: 0, left: 0, refused: 0, wrong: [], status: {} };
function shot(gw) {
  const [path, body] = any(kinds)();
  const text = body === null ? '' : typeof body === 'string' ? body : JSON.stringify(body), d = random(100);
  const leave = d < 45 ? 0 : d < 70 ? random(60) : d < 90 ? 50 + random(600) : 400 + random(3000);
  const way = leave ? any(['destroy', 'reset', 'half', 'stall']) : 'whole';
  return new Promise((resolve) => {
    const s = net.connect(gw.port, '127.0.0.1');
    const got = [];
    let timer, limit;
    const end = () => { clearTimeout(timer); clearTimeout(limit); s.destroy(); resolve(); };
    s.on('error', end);
    s.on('data', (x) => got.push(x));
    s.on('close', () => {
      if (way !== 'whole') { seen.left++; return end(); }
      const all = Buffer.concat(got), at = all.indexOf('\r\n\r\n'), head = all.subarray(0, at).toString().toLowerCase(), status = Number(head.slice(9, 12));
      let rest = all.subarray(at + 4);
      const length = head.match(/content-length: (\d+)/);
      seen.status[status] = (seen.status[status] || 0) + 1;
      const cut = path.startsWith('/v1/media');
      if (at < 0) { seen.refused++; return end(); }
      if (length && Number(length[1]) !== rest.length && !cut) seen.wrong.push(`${path}: Content-Length ${length[1]}, ${rest.length} bytes`);
      if (/transfer-encoding: chunked/.test(head) && !cut) {
        const out = [];
        for (;;) {
          const eol = rest.indexOf('\r\n'), n = parseInt(rest.subarray(0, eol).toString(), 16);
          if (eol < 0 || Number.isNaN(n)) { seen.wrong.push(`${path}: chunks are cut: ${JSON.stringify(text).slice(0, 200)} ... ${JSON.stringify(all.subarray(-200).toString())}`); break; }
          out.push(rest.subarray(eol + 2, eol + 2 + n));
          rest = rest.subarray(eol + 4 + n);
          if (!n) break;
        }
        rest = Buffer.concat(out);
      }
      const why = cut ? '' : fault(path, status, head.match(/content-type: (.*)/)?.[1] ?? '', rest.toString());
      if (why) seen.wrong.push(`${path} ${status}: ${why}: ${text.slice(0, 300)} ... ${rest.toString().slice(-400)}`);
      seen.whole++;
      end();
    });
    s.write(`${body === null ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${way !== 'whole' && random(8) === 0 ? text.slice(0, text.length / 2) : text}`);
    if (way !== 'whole') timer = setTimeout(() => {
      if (way === 'half') s.end();
      else if (way === 'reset') s.resetAndDestroy();
      else if (way === 'stall') s.pause();
      else s.destroy();
      if (way === 'stall') timer = setTimeout(() => s.destroy(), 1500);
      if (way === 'half') timer = setTimeout(() => s.destroy(), 3000);
    }, leave);
    limit = setTimeout(() => { if (!path.startsWith('/v1/media')) seen.wrong.push(`${path}: no end within ${patience} ms: ${text.slice(0, 300)}: ${Buffer.concat(got).length} bytes, ${Buffer.concat(got).toString().split('keep-alive').length - 1} heartbeats, ${Buffer.concat(got).toString().match(/x-request-id: (.*)/)?.[1]} at ${new Date().toISOString()}`); end(); }, path.startsWith('/v1/media') ? 9000 : patience);
  });
}

async function storm(gw, ms) {
  const until = Date.now() + ms;
  await Promise.all(Array.from({ length: clients }, async () => { while (Date.now() < until && gw.process.code === undefined) await shot(gw); }));
}
const accounts = Array.from({ length: 100 }, (_, i) => `user${i}@example.org:pw-${i}`).join();
const env = { ACCOUNTS: accounts, PM2_INSTANCES: '2', BATCH_LOGIN_CONCURRENCY: '20', QUEUE_TIMEOUT: '5', UPSTREAM_FIRST_BYTE_TIMEOUT: '10', UPSTREAM_IDLE_TIMEOUT: '10', CHAT_RETRY_BACKOFF_MS: '20',
  CLI_API_KEY: 'sk-fake-dashscope,sk-fake-second', CLI_BASE_URL: 'https://dashscope.aliyuncs.com/compatible-mode/v1', SSE_HEARTBEAT_SECONDS: '1', SHUTDOWN_GRACE: '2' };
const secrets = ['pw-1', 'sk-fake', 'correct horse', '@example.org', 'eyJhbGci', KEY];

await test('D1 to D10, D16: a storm of all kinds of requests, and nothing is left', async () => {
  await fake.reset();
  const gw = await gateway(fake, env), before = files(gw.process);
  await storm(gw, seconds * 1000);
  if (process.env.Q2A_LOG) (await import('node:fs')).writeFileSync(process.env.Q2A_LOG, gw.log());
  equal(gw.process.code, undefined, `it runs on: ${gw.log().slice(-3000)}`);
  equal(seen.wrong.slice(0, 5), [], `${seen.wrong.length} answers are wrong`);
  await waitFor(async () => (await fake.stats()).running === 0, 30000, `no turn runs upstream: ${JSON.stringify(await fake.stats()).slice(0, 400)}`);
  await waitFor(() => files(gw.process) < before + 200, 90000, `${files(gw.process)} descriptors, ${before} at first`);
  const s = await fake.stats();
  equal([s.leaks], [0], 'tokens shown to other hosts');
  equal((await fetch(`${gw.base}/healthz`)).status, 200);
  const code = await gw.stop();
  equal(code, 0, gw.log().slice(-3000));
  ok(!/never given back/.test(gw.log()), gw.log().match(/.*never given back.*/)?.[0]);
  for (const x of secrets) ok(!gw.log().includes(x), `'${x}' in the log: ${gw.log().split('\n').find((l) => l.includes(x))}`);
  if (process.env.Q2A_TIMES) console.log(Object.entries(gw.log().match(/failed: .*/g).reduce((n, l) => { const k = l.replace(/\d+/g, 'N').slice(0, 180); n[k] = (n[k] || 0) + 1; return n; }, {})).sort((a, b) => b[1] - a[1]).slice(0, 8));
  if (process.env.Q2A_TIMES) console.log(JSON.stringify({ ...seen, wrong: seen.wrong.length }));
});

for (const second of [false, true])
  await test(`api 0.12: the end in the middle of a storm${second ? ', at once with a second signal' : ''}`, async () => {
    await fake.reset();
    const gw = await gateway(fake, env);
    const running = storm(gw, 2500);
    await sleep(1500);
    gw.process.kill('SIGTERM');
    if (second) setTimeout(() => gw.process.kill('SIGTERM'), 100);
    await Promise.race([gw.process.ended, sleep(30000)]);
    equal(gw.process.code, second ? 1 : 0, gw.log().slice(-3000));
    await running;
    ok(!/never given back/.test(gw.log()), gw.log().match(/.*never given back.*/)?.[0]);
    await gw.stop();
  });

await done();
