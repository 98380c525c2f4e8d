// lib.mjs - starts the fake upstream and the static binary, talks to both, counts checks.
// A test file ends with `await done()`, which stops what it started and prints "N passed, N failed".
// With Q2A_NAMES=file each test leaves a line there when it ends: "ok NAME" or "FAILED NAME".
import { spawn, execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import net from 'node:net';

export const top = process.env.Q2A_TOP || resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const binary = process.env.Q2A_BINARY || join(top, 'build/qwen2api');
const fakeBinary = process.env.Q2A_FAKE || join(top, 'build/fakeqwen');
const started = [];
let passed = 0, failed = 0;

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

function tell(word, name) {
  if (process.env.Q2A_NAMES) appendFileSync(process.env.Q2A_NAMES, `${word} ${name.replace(/\s+/g, ' ')}\n`);
}

export async function test(name, fn) {
  const begin = Date.now();
  try {
    await fn();
    passed++;
    tell('ok', name);
    if (process.env.Q2A_TIMES) console.log(`${Date.now() - begin} ms: ${name}`);
  } catch (e) {
    failed++;
    tell('FAILED', name);
    console.log(`FAILED ${name}: ${e.stack || e}`);
  }
}

export function equal(got, want, what = '') {
  const g = JSON.stringify(got), w = JSON.stringify(want);
  if (g !== w) throw new Error(`${what}: got ${g}, expected ${w}`);
}
export function ok(cond, what) {
  if (!cond) throw new Error(what);
}

export async function waitFor(fn, ms, what) {
  const end = Date.now() + ms;
  for (;;) {
    if (await fn()) return;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(20);
  }
}

// Below the range from which the system takes the ports of outgoing connections, and by chance, so that suites that run beside each
// other do not get the same.
export async function freePort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 22000);
    const free = await new Promise((res) => {
      const s = net.createServer();
      s.on('error', () => res(false));
      s.listen(port, '127.0.0.1', () => s.close(() => res(true)));
    });
    if (free) return port;
  }
}

function start(file, args, options) {
  const p = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  p.text = '';
  p.stdout.on('data', (d) => { p.text += d; });
  p.stderr.on('data', (d) => { p.text += d; });
  p.ended = new Promise((r) => p.on('exit', (code, signal) => { p.code = code ?? signal; r(p.code); }));
  started.push(p);
  return p;
}

let certs;
export function certificates() {
  if (!certs) {
    certs = process.env.Q2A_CERTS || join(top, 'build/test/certs');
    execFileSync(join(top, 'tools/mkcerts.sh'), [certs], { stdio: 'inherit' });
  }
  return certs;
}

// The fake upstream over TLS and plain HTTP. Its control routes answer on the plain port.
export async function fakeUpstream({ cert = 'fake', args = [] } = {}) {
  const dir = certificates();
  const port = await freePort(), plain = await freePort();
  const p = start(fakeBinary, ['--port', String(port), '--plain-port', String(plain), '--cert', join(dir, `${cert}.pem`),
    '--key', join(dir, `${cert}.key`), ...args]);
  const base = `http://127.0.0.1:${plain}`;
  await waitFor(async () => {
    if (p.code !== undefined) throw new Error(`fakeqwen ended: ${p.text}`);
    try { return (await fetch(`${base}/__stats`)).ok; } catch { return false; }
  }, 10000, 'the fake upstream answers');
  const json = async (path, body) => {
    const r = await fetch(base + path, body === undefined ? {} :
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return r.json().catch(() => ({}));
  };
  return {
    process: p, port, plain, base,
    stats: () => json('/__stats'),
    log: () => json('/__log'),
    reset: () => json('/__reset', {}),
    script: (s) => json('/__script', s),
    set: (s) => json('/__switch', s),
    revoke: () => json('/__revoke', {}),
    stop: async () => { p.kill('SIGTERM'); await p.ended; },
  };
}

export const KEY = 'sk-test-admin-0123456789';
export const USER_KEY = 'sk-test-user-0123456789';

// The static binary in a fresh working directory. env: more variables; null takes one away.
export async function gateway(fake, env = {}, args = [], file = binary, folder = null) { // folder: where it is started, kept afterwards
  const cwd = folder || mkdtempSync(join(tmpdir(), 'q2a-'));
  const port = await freePort();
  const hosts = ['chat.qwen.ai', 'auth.qwen.ai', 'cdn.qwenlm.ai', 'portal.qwen.ai', 'dashscope.aliyuncs.com', 'img.example.test', 'evil.example.test',
    'qwen-webui-prod.oss-accelerate.aliyuncs.com', 'qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com'];
  const all = {
    PATH: process.env.PATH, ...(process.env.TSAN_OPTIONS ? { TSAN_OPTIONS: process.env.TSAN_OPTIONS } : {}),
    ...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: process.env.ASAN_OPTIONS } : {}), SERVICE_PORT: String(port), LISTEN_ADDRESS: '127.0.0.1', API_KEY: `${KEY},${USER_KEY}`,
    ACCOUNTS: 'ok@example.org:correct horse', DATA_SAVE_MODE: 'none', LOG_LEVEL: 'DEBUG',
    ...(fake ? { UPSTREAM_RESOLVE: hosts.map((h) => `${h}:443=127.0.0.1:${fake.port}`).join(','),
      SSL_CERT_FILE: join(certificates(), 'ca.pem') } : {}),
    ...env,
  };
  for (const k of Object.keys(all)) if (all[k] === null) delete all[k];
  const p = start(file, args, { cwd, env: all });
  const base = `http://127.0.0.1:${port}`;
  let why = '';
  await waitFor(async () => {
    if (p.code !== undefined) throw new Error(`qwen2api ended with ${p.code}: ${p.text}`);
    try { const r = await fetch(`${base}/healthz`); why = `${r.status} ${await r.text()}`; return r.ok; } catch (e) { why = String(e.cause || e); return false; }
  }, 10000, 'the gateway answers').catch((e) => { throw new Error(`${e.message}: ${why}; ${p.text.slice(-2000)}`); });
  return {
    process: p, port, base, cwd, v1: `${base}/v1`,
    log: () => p.text,
    stop: async (signal = 'SIGTERM') => { p.kill(signal); await p.ended; if (!folder) rmSync(cwd, { recursive: true, force: true }); return p.code; },
  };
}

export const auth = (key = KEY) => ({ authorization: `Bearer ${key}` });

export async function post(gw, path, body, { key = KEY, headers = {}, signal } = {}) {
  return fetch(gw.base + path, { method: 'POST', signal,
    headers: { 'content-type': 'application/json', ...(key ? auth(key) : {}), ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body) });
}

// One chat, not streamed: { status, headers, json, text, think, finish }.
export async function chat(gw, prompt, more = {}, options = {}) {
  const messages = Array.isArray(prompt) ? prompt : [{ role: 'user', content: prompt }];
  const r = await post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', messages, ...more }, options);
  const raw = await r.text();
  let json = {};
  try { json = JSON.parse(raw); } catch { json = { raw }; }
  const c = json.choices?.[0];
  return { status: r.status, headers: r.headers, json, raw, text: c?.message?.content ?? '',
    think: c?.message?.reasoning_content ?? '', finish: c?.finish_reason, usage: json.usage, error: json.error };
}

// Cuts a complete event stream into its events; fails on anything the format forbids.
export function events(raw) {
  const out = [];
  for (const block of raw.split('\n\n')) {
    if (block === '') continue;
    if (block.startsWith(':')) { out.push({ comment: block }); continue; }
    if (!block.startsWith('data: ') || block.includes('\n')) throw new Error(`not an event: ${JSON.stringify(block)}`);
    const data = block.slice(6);
    out.push(data === '[DONE]' ? { done: true } : { data: JSON.parse(data) });
  }
  if (raw !== '' && !raw.endsWith('\n\n')) throw new Error('the last event is cut');
  return out;
}

// One chat, streamed, with the order of its chunks checked.
export async function stream(gw, prompt, more = {}, options = {}) {
  const messages = Array.isArray(prompt) ? prompt : [{ role: 'user', content: prompt }];
  const r = await post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', messages, stream: true, ...more }, options);
  const raw = await r.text();
  const type = r.headers.get('content-type') || '';
  if (!type.startsWith('text/event-stream')) {
    const json = JSON.parse(raw);
    return { status: r.status, headers: r.headers, json, raw, text: '', think: '', error: json.error, events: [] };
  }
  const all = events(raw), chunks = all.filter((e) => e.data && !e.data.error).map((e) => e.data);
  const error = all.find((e) => e.data?.error)?.data.error;
  equal(all.filter((e) => e.done).length, 1, 'one [DONE]');
  ok(all.at(-1).done, '[DONE] comes last');
  let text = '', think = '', finish, usage;
  chunks.forEach((c, i) => {
    equal(c.object, 'chat.completion.chunk', 'object');
    equal(c.id, chunks[0].id, 'id');
    equal(c.created, chunks[0].created, 'created');
    equal(c.model, more.model ?? 'qwen3.7-plus', 'model');
    const ch = c.choices[0];
    if (c.usage) usage = c.usage;
    if (!ch) return;
    equal('role' in ch.delta, i === 0, 'the role stands in the first chunk only');
    if (finish) throw new Error('a choice after its finish');
    text += ch.delta.content ?? '';
    think += ch.delta.reasoning_content ?? '';
    if (ch.finish_reason) finish = ch.finish_reason;
  });
  if (!error) ok(finish, 'a finish reason');
  else ok(!finish, 'no finish after an error');
  return { status: r.status, headers: r.headers, raw, text, think, finish, usage, error, events: all, chunks };
}

export async function done() {
  for (const p of started) if (p.code === undefined) p.kill('SIGKILL');
  await Promise.all(started.map((p) => p.ended));
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
process.on('unhandledRejection', (e) => { console.log(`FAILED outside a test: ${e?.stack || e}`); failed++; });
