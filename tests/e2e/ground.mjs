// The ground that everything stands on, through the static binary: every scenario of the fake upstream that chat.mjs does not
// name, the model list and its cache, sign-in and renewal, proxies of every kind, shutdown, full disks, bounded memory.
import { test, equal, ok, done, fakeUpstream, gateway, chat, stream, post, waitFor, sleep, auth, certificates, KEY, freePort } from './lib.mjs';
import net from 'node:net';
import tls from 'node:tls';
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, symlinkSync, readFileSync, readdirSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const fake = await fakeUpstream({ args: ['--accounts', '12'] });
const many = Array.from({ length: 6 }, (_, i) => `user${i}@example.org:pw-${i}`).join(',');
async function fresh(env, fn, args = []) {
  await fake.reset();
  const gw = await gateway(fake, env, args);
  try { return await fn(gw); } finally { await gw.stop(); }
}
const rss = (gw) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gw.process.pid}/status`, 'utf8'))[1]);
const fds = (gw) => readdirSync(`/proc/${gw.process.pid}/fd`).length;
const once = { CHAT_RETRY_COUNT: '0' };

// ---- scenarios ----
for (const s of ['multi_line', 'split_crlf', 'slow ms=300'])
  await test(`D9 D11 ${s}: the same text streamed and not`, () => fresh({}, async (gw) => {
    const a = await chat(gw, `[[scenario:${s}]]`), b = await stream(gw, `[[scenario:${s}]]`);
    equal([a.status, b.status, b.error, b.text], [200, 200, undefined, a.text], a.raw);
    ok(a.text.length > 10, a.text);
  }));
for (const [s, status, code] of [['403_banned', 503, 'no_usable_account'], ['413', 400, 'context_length_exceeded'], ['500', 502, 'upstream_error'],
  ['502_html', 502, 'upstream_error'], ['504_html', 502, 'upstream_error'], ['quota_allocated', 429, 'insufficient_quota'], ['rate_limited', 429, 'rate_limit_exceeded'],
  ['parallel', 429, 'rate_limit_exceeded'], ['internal', 502, 'upstream_error'], ['too_long', 400, 'context_length_exceeded'], ['not_found', 502, 'upstream_error'],
  ['no_model', 404, 'model_not_found'], ['validation', 502, 'upstream_protocol'], ['junk', 502, 'upstream_protocol'], ['html', 502, 'upstream_challenge'],
  ['in_progress', 502, 'upstream_error'], ['quota_flat', 429, 'insufficient_quota']])
  await test(`D6 upstream 8, ${s}: ${status} ${code}, streamed and not`, async () => {
    for (const call of [chat, stream]) await fresh(once, async (gw) => {
      await fake.script({ completions: Array(6).fill(s) });
      const r = await call(gw, 'hello');
      equal([r.status, r.error?.code], [status, code], `${call.name} ${r.raw}`);
      ok(!/<|example\.org|eyJ/.test(r.error.message), r.error.message);
      if (status === 429 || status === 503) ok(Number(r.headers.get('retry-after')) > 0, 'Retry-After');
    });
  });
const short = { ...once, UPSTREAM_FIRST_BYTE_TIMEOUT: '700ms', UPSTREAM_IDLE_TIMEOUT: '700ms', SSE_EARLY_HEADERS_MS: '60000' };
await test('D3 D22 stall_midway: an error event after the idle time; not streamed a 504', () => fresh(short, async (gw) => {
  const t = Date.now(), r = await stream(gw, '[[scenario:stall_midway]]');
  equal(r.error?.code, 'upstream_idle_timeout', r.raw);
  ok(r.text.length > 0 && Date.now() - t < 6000, 'what came before it arrived');
  const a = await chat(gw, '[[scenario:stall_midway]]');
  equal([a.status, a.error?.code], [504, 'upstream_idle_timeout'], a.raw);
  await waitFor(async () => (await fake.stats()).stops >= 1, 2000, 'the turn is stopped');
}));
await test('D22 stall behind the first frame: still a true status', () => fresh(short, async (gw) => {
  for (const call of [chat, stream]) {
    const r = await call(gw, '[[scenario:stall]]');
    ok(r.status === 504 && /timeout/.test(r.error.code), r.raw);
  }
}));
for (const how of ['drop_after', 'fin_after'])
  await test(`D3 cut after every event (${how}): an error event or the whole answer, never a short one that looks whole`, () => fresh({ ...once, MAX_INFLIGHT_PER_ACCOUNT: '50' }, async (gw) => {
    const whole = (await chat(gw, 'hello')).text;
    for (let n = 0; n < 9; n++) {
      const r = await stream(gw, `[[scenario:normal ${how}=${n}]]`);
      ok(r.error || r.status >= 500 || r.text === whole, `after ${n}: ${r.raw}`);
      ok(whole.startsWith(r.text), `after ${n}: ${r.text}`);
      const a = await chat(gw, `[[scenario:normal ${how}=${n}]]`);
      ok(a.status >= 429 || a.text === whole, `after ${n}: ${a.raw}`);
    }
  }));

// ---- clients ----
await test('D2 a client that leaves an answer that is not streamed, and one that leaves the line', () => fresh({ MAX_INFLIGHT_PER_ACCOUNT: '1' }, async (gw) => {
  const end = [new AbortController(), new AbortController()];
  const one = chat(gw, '[[scenario:stream n=600 ms=100 size=20]]', {}, { signal: end[0].signal }).catch(() => 0);
  await waitFor(async () => (await fake.stats()).running === 1, 5000, 'it runs');
  const two = chat(gw, 'hello', {}, { signal: end[1].signal }).catch(() => 0);
  await sleep(200);
  end[1].abort();
  await two;
  end[0].abort();
  await one;
  await waitFor(async () => (await fake.stats()).running === 0, 2000, 'none runs');
  await waitFor(async () => (await fake.stats()).stops >= 1, 2000, 'it was stopped');
  const before = (await fake.stats()).completions;
  equal((await chat(gw, 'hello')).status, 200, 'the place is free again');
  equal((await fake.stats()).completions - before, 1, 'the one that left the line never ran');
}));
await test('api 0.3: a body far above the limit is answered, and the answer can be read', () => fresh({ BODY_LIMIT_MB: '1' }, async (gw) => {
  const out = await new Promise((res) => {
    let text = '';
    const s = net.connect(gw.port, '127.0.0.1', () => {
      s.pause(); // as a client that sends first and reads afterwards
      s.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: 8000000\r\n\r\n`);
      s.write('x'.repeat(8000000));
      setTimeout(() => s.resume(), 700);
    });
    s.on('data', (d) => { text += d; });
    s.on('error', (e) => res(`${e.code} ${text}`));
    s.on('end', () => res(text));
    setTimeout(() => { s.destroy(); res(text); }, 6000);
  });
  ok(out.startsWith('HTTP/1.1 413'), out.slice(0, 300));
}));
await test('D20 clients that try again do not lengthen the rest of an account', () => fresh({ ...once, QUEUE_TIMEOUT: '1' }, async (gw) => {
  await fake.script({ completions: ['429'] });
  const first = await chat(gw, 'hello');
  equal(first.status, 429, first.raw);
  let rest = Number(first.headers.get("retry-after"));
  ok(rest > 55 && rest <= 60, `the first one says ${rest}`);
  for (let i = 0; i < 20; i++) {
    const r = await chat(gw, 'hello'), now = Number(r.headers.get('retry-after'));
    equal(r.status, 429);
    ok(now > 0 && now <= rest, `${rest}, then ${now}`);
    rest = now;
  }
  equal((await fake.stats()).completions, 1, 'and upstream hears nothing of it');
}));

// ---- models ----
const list = async (gw) => { const r = await fetch(`${gw.base}/models`); return { from: r.headers.get('x-qwen2api-models'), ids: (await r.json()).data.map((m) => m.id), etag: r.headers.get('etag') }; };
await test('api 2.6: live, then cached by the store after a restart without upstream, builtin without either', async () => {
  const dir = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'data');
  let live;
  await fresh({ DATA_SAVE_MODE: 'file', DATA_DIR: dir }, async (gw) => {
    await waitFor(async () => (await list(gw)).from === 'live', 5000, 'a live list');
    live = await list(gw);
    ok(live.ids.includes('qwen3-coder-plus') && !live.ids.includes('gone-model'), live.ids.join());
  });
  const dead = { QWEN_CHAT_PROXY_URL: 'http://127.0.0.1:1', QWEN_AUTH_URL: 'http://127.0.0.1:1' };
  await fresh({ DATA_SAVE_MODE: 'file', DATA_DIR: dir, ...dead }, async (gw) => {
    const l = await list(gw);
    equal([l.from, l.ids, l.etag], ['cached', live.ids, live.etag]);
  });
  await fresh(dead, async (gw) => {
    const l = await list(gw);
    equal(l.from, 'builtin');
    ok(l.ids.length > 0, 'never empty');
  });
});
// A refresh is due after a minute at the earliest: this one runs beside the others, with an upstream of its own.
const refresh = test('api 2.6: MODELS_CACHE_TTL; a failed refresh keeps the list and is not repeated at once', async () => {
  const own = await fakeUpstream(), gw = await gateway(own, { MODELS_CACHE_TTL: '1' });
  await waitFor(async () => (await list(gw)).from === 'live', 5000, 'a live list');
  const before = await list(gw);
  await own.script({ models: ['503', '503', '503', '503'] });
  await waitFor(async () => /could not be fetched/.test(gw.log()), 90000, 'a refresh failed');
  const calls = (await own.stats()).models;
  await sleep(3000);
  equal((await own.stats()).models, calls, 'no call within three seconds');
  equal((await list(gw)).ids, before.ids);
  await gw.stop();
  await own.stop();
});
await test('api 2.2: SIMPLE_MODEL_MAP hides the variants, requests with a suffix still work', () => fresh({ SIMPLE_MODEL_MAP: 'true' }, async (gw) => {
  await waitFor(async () => (await list(gw)).from === 'live', 5000, 'a live list');
  ok((await list(gw)).ids.every((id) => !/-(thinking|search)$/.test(id)), 'no variant');
  equal((await chat(gw, 'hello', { model: 'qwen3.7-plus-thinking' })).status, 200);
}));

// ---- accounts ----
await test('D24 cold start with four pumps and forty requests at once: one sign-in for each account', () => fresh({ PM2_INSTANCES: '4', ACCOUNTS: many, MAX_INFLIGHT_PER_ACCOUNT: '20' }, async (gw) => {
  const all = await Promise.all(Array.from({ length: 40 }, () => chat(gw, 'hello')));
  all.forEach((r) => equal(r.status, 200, r.raw));
  await sleep(500);
  const s = await fake.stats();
  ok(s.signin <= 6, `${s.signin} sign-ins of six accounts`);
  equal(s.completions, 40, 'nothing was asked twice');
}));
await test('upstream 1.7: a short token is renewed when half of it is over, not at every look and every use', () => fresh({}, async (gw) => {
  equal((await chat(gw, 'hello')).status, 200);
  await fake.set({ exchange: true });
  equal((await chat(gw, 'hello')).status, 200);
  const n = (await fake.stats()).exchange;
  ok(n >= 1, 'exchanged once');
  for (let i = 0; i < 14; i++) {
    equal((await chat(gw, 'hello')).status, 200);
    await sleep(500);
  }
  equal((await fake.stats()).exchange, n, 'and not again in seven seconds');
}));
await test('upstream 1.4: a sign-in that fails for a while is not hammered; it heals by itself', () => fresh({}, async (gw) => {
  const b = await gateway(fake, { ACCOUNTS: 'user7@example.org:pw-7' });
  await b.stop();
  await fake.reset();
  await fake.script({ signin: ['503', '503'] });
  const c = await gateway(fake, { ACCOUNTS: 'user7@example.org:pw-7' });
  await sleep(3000);
  ok((await fake.stats()).signin <= 4, `${(await fake.stats()).signin} sign-ins in three seconds`);
  await waitFor(async () => (await chat(c, 'hello')).status === 200, 20000, 'it serves');
  await c.stop();
}));

// ---- ways out ----
// One listener that speaks HTTP CONNECT or SOCKS5, with or without TLS before it; leads everything to the fake upstream.
function proxyServer(kind, seen, user) {
  const serve = (s) => {
    const lead = (rest) => { const up = net.connect(fake.port, '127.0.0.1', () => { if (rest.length) up.write(rest); s.pipe(up); up.pipe(s); }); up.on('error', () => s.destroy()); };
    let have = Buffer.alloc(0), step = 0;
    s.on('error', () => 0);
    const onData = (d) => {
      have = Buffer.concat([have, d]);
      if (kind.startsWith('http')) {
        const end = have.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = have.subarray(0, end).toString();
        seen.push(head.split('\r\n')[0]);
        s.off('data', onData);
        s.pause();
        if (user && !head.includes(`Basic ${Buffer.from(user).toString('base64')}`)) { s.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'); return; }
        s.write('HTTP/1.1 200 OK\r\n\r\n');
        lead(have.subarray(end + 4));
        return;
      }
      for (;;) {
        if (step === 0 && have.length >= 2 && have.length >= 2 + have[1]) { s.write(Buffer.from([5, user ? 2 : 0])); have = have.subarray(2 + have[1]); step = user ? 1 : 2; continue; }
        if (step === 1 && have.length >= 2 && have.length >= 3 + have[1] && have.length >= 3 + have[1] + have[2 + have[1]]) {
          const n = have[1], name = have.subarray(2, 2 + n).toString(), m = have[2 + n], pass = have.subarray(3 + n, 3 + n + m).toString();
          s.write(Buffer.from([1, `${name}:${pass}` === user ? 0 : 1]));
          have = have.subarray(3 + n + m);
          step = 2;
          continue;
        }
        if (step === 2 && have.length >= 5 && have[3] === 3 && have.length >= 7 + have[4]) {
          seen.push(have.subarray(5, 5 + have[4]).toString());
          s.off('data', onData);
          s.pause();
          s.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 1]));
          lead(have.subarray(7 + have[4]));
        } else if (step === 2 && have.length >= 10 && have[3] === 1) { seen.push('an address'); s.destroy(); }
        return;
      }
    };
    s.on('data', onData);
  };
  const dir = certificates();
  const server = kind === 'https' ? tls.createServer({ cert: readFileSync(join(dir, 'fake.pem')), key: readFileSync(join(dir, 'fake.key')) }, serve) : net.createServer(serve);
  return new Promise((r) => server.listen(0, '127.0.0.1', () => r(server)));
}
for (const kind of ['http', 'https', 'socks5', 'socks5h'])
  for (const where of ['PROXY_URL', 'the account'])
    await test(`issue 2, 6: ${kind} proxy of ${where}, with user and password; names go to the proxy`, async () => {
      const seen = [], server = await proxyServer(kind, seen, 'user:p@ss');
      const url = `${kind}://user:p%40ss@localhost:${server.address().port}`;
      // No address of any upstream host is known here: only the proxy can lead there.
      await fresh({ UPSTREAM_RESOLVE: `localhost=127.0.0.1:${server.address().port}`, ...(where === 'PROXY_URL' ? { PROXY_URL: url } : { ACCOUNTS: `ok@example.org:correct horse|${url}` }) }, async (gw) => {
        const r = await stream(gw, 'hello');
        equal([r.status, r.error], [200, undefined], r.raw + gw.log());
        ok(seen.length > 0 && seen.every((l) => l.includes('chat.qwen.ai') || l.includes('auth.qwen.ai')), seen.join());
      });
      server.close();
    });
for (const kind of ['http', 'https', 'socks5'])
  await test(`issue 2, 6: ${kind} proxy that refuses the password: proxy_error, without it in the words`, async () => {
    const seen = [], server = await proxyServer(kind, seen, 'user:right');
    await fresh({ ...once, UPSTREAM_RESOLVE: `localhost=127.0.0.1:${server.address().port}`, PROXY_URL: `${kind}://user:very-wrong@localhost:${server.address().port}` }, async (gw) => {
      const r = await chat(gw, 'hello');
      ok([502, 503].includes(r.status), r.raw);
      await waitFor(() => /proxy/i.test(gw.log()), 3000, 'the log says proxy');
      ok(!r.raw.includes('very-wrong') && !gw.log().includes('very-wrong'), 'no password');
    });
    server.close();
  });
await test('issue 2, 6: an upstream that speaks only TLS 1.3 is told in words', async () => {
  const dir = certificates();
  const server = tls.createServer({ cert: readFileSync(join(dir, 'fake.pem')), key: readFileSync(join(dir, 'fake.key')), minVersion: 'TLSv1.3' }, (s) => s.end());
  server.on('tlsClientError', () => 0);
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  const a = await gateway(fake, { ...once, UPSTREAM_RESOLVE: `chat.qwen.ai:443=127.0.0.1:${server.address().port},auth.qwen.ai:443=127.0.0.1:${server.address().port}` });
  const r = await chat(a, 'hello');
  ok(r.status >= 500, r.raw);
  await waitFor(() => /TLS 1\.3/.test(a.log()) || /TLS 1\.3/.test(r.raw), 3000, `TLS 1.3 in the log or the answer: ${r.raw} ${a.log().slice(-500)}`);
  await a.stop();
  server.close();
});
await test('issue 2, 6: without SSL_CERT_FILE the embedded roots count, and they do not know the test CA', () => fresh({ ...once, SSL_CERT_FILE: null }, async (gw) => {
  const r = await chat(gw, 'hello');
  ok(r.status >= 500, r.raw);
  await waitFor(() => /not signed by a trusted authority/.test(gw.log() + r.raw), 3000, r.raw);
}));

// ---- shutdown ----
await test('D17 SIGTERM: parked connections are closed at once, new ones get 503, a stream runs to its end, exit 0', async () => {
  await fake.reset();
  const own = await gateway(fake);
  await chat(own, 'hello');
  const parked = await Promise.all(Array.from({ length: 50 }, (_, i) => new Promise((res, rej) => {
    const s = net.connect(own.port, '127.0.0.1', () => { if (i % 2) s.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'); });
    s.ended = new Promise((r) => { s.on('close', () => r(Date.now())); });
    s.on('error', rej);
    s.on('data', () => res(s));
    if (i % 2 === 0) setTimeout(() => res(s), 100); // never used at all
  })));
  const running = stream(own, '[[scenario:stream n=30 ms=100 size=10]]');
  await waitFor(async () => (await fake.stats()).running === 1, 3000, 'it runs');
  const t = Date.now();
  own.process.kill('SIGTERM');
  const closed = await Promise.all(parked.map((s) => s.ended));
  ok(Math.max(...closed) - t < 2000, `parked ones closed after ${Math.max(...closed) - t} ms`);
  const refused = await new Promise((res) => {
    const s = net.connect(own.port, '127.0.0.1', () => s.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'));
    s.on('error', (e) => res(e.code));
    s.on('data', (d) => res(d.toString().slice(0, 12)));
    s.on('end', () => res('end'));
    setTimeout(() => res('accepted and left alone'), 2500);
  });
  equal(refused, 'HTTP/1.1 503');
  const r = await running;
  equal([r.finish, r.error], ['stop', undefined]);
  equal(await own.process.ended, 0);
});
await test('D17 SIGTERM while heads and bodies are half sent: nobody holds it up', async () => {
  const own = await gateway(fake);
  const socks = Array.from({ length: 20 }, (_, i) => {
    const s = net.connect(own.port, '127.0.0.1');
    s.on('error', () => 0);
    s.write(i % 2 ? 'GET /hea' : `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: 1000000\r\n\r\n{"mess`);
    return s;
  });
  await sleep(200);
  const t = Date.now();
  equal(await own.stop(), 0);
  ok(Date.now() - t < 5000, `${Date.now() - t} ms`);
  socks.forEach((s) => s.destroy());
});

// ---- disks and memory ----
await test('issue 2, 4: a full disk under the log stops nothing', async () => {
  const dir = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'logs');
  mkdirSync(dir);
  symlinkSync('/dev/full', join(dir, 'app.log'));
  await fresh({ ENABLE_FILE_LOG: 'true', LOG_DIR: dir, MAX_INFLIGHT_PER_ACCOUNT: '50' }, async (gw) => {
    for (let i = 0; i < 5; i++) (await Promise.all(Array.from({ length: 20 }, () => chat(gw, 'hello')))).forEach((r) => equal(r.status, 200, r.raw));
  });
});
await test('issue 2, 4: a disk on which no file may grow: chats go on, the trouble is told', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'q2a-')), port = await freePort();
  // The limit of the shell stands for the full disk; the store is opened by a first run without it.
  const env = { PATH: process.env.PATH, SERVICE_PORT: String(port), LISTEN_ADDRESS: '127.0.0.1', API_KEY: KEY, ACCOUNTS: 'ok@example.org:correct horse', DATA_SAVE_MODE: 'file', ...once, QUEUE_TIMEOUT: '1',
    ENABLE_FILE_LOG: 'true', UPSTREAM_RESOLVE: `chat.qwen.ai:443=127.0.0.1:${fake.port},auth.qwen.ai:443=127.0.0.1:${fake.port}`, SSL_CERT_FILE: join(certificates(), 'ca.pem') };
  const binary = process.env.Q2A_BINARY || join(process.env.Q2A_TOP, 'build/qwen2api');
  const run = (limit) => {
    const p = spawn('sh', ['-c', `${limit} exec "${binary}"`], { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
    p.text = '';
    p.stderr.on('data', (d) => { p.text += d; });
    p.ended = new Promise((r) => p.on('exit', (code, signal) => r(code ?? signal)));
    return p;
  };
  const up = () => waitFor(async () => fetch(`http://127.0.0.1:${port}/healthz`).then((r) => r.ok, () => false), 5000, 'it answers');
  const gw = { base: `http://127.0.0.1:${port}` };
  await fake.reset();
  const one = run('');
  await up();
  equal((await chat(gw, 'hello')).status, 200, one.text);
  await sleep(1500);
  one.kill('SIGTERM');
  equal(await one.ended, 0);
  const two = run('ulimit -f 0;');
  await up();
  for (let i = 0; i < 20; i++) equal((await chat(gw, 'hello')).status, 200, two.text);
  await fake.script({ completions: ['429'] });
  await chat(gw, 'hello'); // a rest is booked, which the store cannot take
  await waitFor(() => /could not be written/.test(two.text), 5000, 'told');
  equal((await fetch(`${gw.base}/healthz`)).status, 200);
  two.kill('SIGTERM');
  await two.ended;
});
await test('D21 memory does not grow with the length of a stream, nor with their number', () => fresh({ MAX_INFLIGHT_PER_ACCOUNT: '50', LOG_LEVEL: 'WARN' }, async (gw) => {
  const long = async (n) => {
    const r = await post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: `[[scenario:stream n=${n} ms=0 size=1000]]` }] });
    let bytes = 0, most = 0, k = 0;
    for await (const part of r.body) { bytes += part.length; if (k++ % 50 === 0) most = Math.max(most, rss(gw)); }
    return { bytes, most };
  };
  await long(2000);
  const before = rss(gw), r = await long(30000);
  ok(r.bytes > 30e6, `${r.bytes} bytes`);
  const plain = !process.env.ASAN_OPTIONS && !process.env.TSAN_OPTIONS; /* a sanitizer's memory is not the program's */
  if (plain) ok(r.most - before < 3000, `resident ${before} KB before, ${r.most} KB while 30 MB ran through`);
  const chats = async (n) => { for (let i = 0; i < n; i++) await Promise.all(Array.from({ length: 20 }, () => stream(gw, 'hello'))); };
  await chats(30);
  const warm = rss(gw);
  await chats(100);
  if (plain) ok(rss(gw) - warm < 600, `${warm} KB, and after 2,000 more streams ${rss(gw)} KB`);
}));
await test('D27 after every fault case the descriptors are as many as before', async () => {
  await fake.reset();
  const gw = await gateway(fake, { ...short, ACCOUNTS: Array.from({ length: 12 }, (_, i) => `user${i}@example.org:pw-${i}`).join(','), UPSTREAM_TURN_TIMEOUT: '10', MAX_INFLIGHT_PER_ACCOUNT: '50' });
  await Promise.all([chat(gw, 'hello'), chat(gw, 'hello'), chat(gw, 'hello')]);
  await sleep(500);
  const before = fds(gw);
  for (const s of ['drop', 'drop_clean', 'drop_early', 'err_midway', 'fail_in_sse', 'empty', 'created_only', 'html_200', '503', '401', 'gzip_bad', 'stall', 'stall_head', 'stall_midway', 'junk', 'too_huge']) {
    for (let i = 0; i < 3; i++) {
      await fake.script({ completions: [s] });
      await (i % 2 ? chat : stream)(gw, 'hello').catch(() => 0);
    }
    const end = new AbortController();
    const left = stream(gw, '[[scenario:stream n=600 ms=50 size=10]]', {}, { signal: end.signal }).catch(() => 0);
    await sleep(50);
    end.abort();
    await left;
    await waitFor(() => fds(gw) <= before + 3, 5000, `${s}: ${before} descriptors before, ${fds(gw)} after`); // some kept-alive ones come and go
  }
  await gw.stop();
});
await refresh;
await done();
