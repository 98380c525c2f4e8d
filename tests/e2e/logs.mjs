// logs.mjs - the log as the page reads it (api 9.5): lines newest first, filters, the stream and its resumption.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, sleep, test, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake);
const get = async (path, key = KEY) => {
  const r = await fetch(gw.base + path, { headers: { authorization: `Bearer ${key}` } });
  const text = await r.text();
  return { status: r.status, text, json: JSON.parse(text) };
};
// Reads events until `enough` or the time is over.
async function events(path, headers, enough, ms = 8000) {
  const stop = new AbortController(), got = [], timer = setTimeout(() => stop.abort(), ms);
  try {
    const r = await fetch(gw.base + path, { headers: { authorization: `Bearer ${KEY}`, ...headers }, signal: stop.signal });
    equal([r.status, r.headers.get('content-type')], [200, 'text/event-stream; charset=utf-8']);
    let text = '';
    for await (const piece of r.body) {
      text += Buffer.from(piece).toString();
      for (let at; (at = text.indexOf('\n\n')) >= 0; text = text.slice(at + 2)) {
        const m = /^id: (.*)\ndata: (.*)$/s.exec(text.slice(0, at));
        if (m) got.push({ id: m[1], ...JSON.parse(m[2]) });
      }
      if (enough(got)) break;
    }
  } catch (e) {
    if (e.name !== 'AbortError') throw e;
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
  return got;
}

await chat(gw, 'Hello');
await test('api 9.5: GET /api/logs gives the newest lines first, each with number, time, level, module, text', async () => {
  const { status, json, text } = await get('/api/logs?limit=20');
  equal(status, 200, text);
  ok(json.data.length > 3 && json.data.length <= 20, json.data.length);
  json.data.forEach((l, i) => {
    ok(/^20\d\d-\d\d-\d\dT[\d:.]+Z$/.test(l.time) && ['DEBUG', 'INFO', 'WARN', 'ERROR'].includes(l.level) && /^\w+$/.test(l.module) && l.text, JSON.stringify(l));
    if (i) equal(l.seq, json.data[i - 1].seq - 1, 'numbers without gaps');
  });
  ok(!text.includes(KEY) && !text.includes('correct horse'), 'no secret');
});
await test('api 9.5: level, module, q, since and limit choose', async () => {
  const all = (await get('/api/logs?limit=5000')).json.data;
  const chats = (await get('/api/logs?module=chat')).json.data;
  equal(chats.map((l) => l.seq), all.filter((l) => l.module === 'chat').map((l) => l.seq).slice(0, chats.length));
  ok(chats.length > 0 && chats[0].requestId, 'a chat has its request id');
  ok((await get('/api/logs?level=info')).json.data.every((l) => l.level !== 'DEBUG'), 'level');
  ok((await get(`/api/logs?q=${chats[0].requestId.toUpperCase()}`)).json.data.every((l) => l.requestId === chats[0].requestId), 'q');
  equal((await get(`/api/logs?since=${all[2].seq}&limit=5000`)).json.data.slice(-2).map((l) => l.seq), [all[0].seq, all[1].seq]);
  equal((await get(`/api/logs?since=${encodeURIComponent('2999-01-01T00:00:00Z')}`)).json.data, []);
  equal((await get('/api/logs?limit=2')).json.data.length, 2);
  for (const bad of ['level=loud', 'limit=0', 'limit=5001', 'since=yesterday']) equal((await get(`/api/logs?${bad}`)).status, 400, bad);
  equal((await get('/api/logs', USER_KEY)).status, 403);
});
await test('api 9.5: the stream tells new lines, and with Last-Event-ID those missed', async () => {
  const first = events('/api/logs/stream?module=chat', {}, (g) => g.length > 0);
  await sleep(500);
  await chat(gw, 'Hello again');
  const [one] = await first;
  ok(one?.id.endsWith(`-${one.seq}`) && one.module === 'chat', JSON.stringify(one));
  await chat(gw, 'missed');
  const newest = (await get('/api/logs?module=chat&limit=1')).json.data[0].seq;
  const rest = await events('/api/logs/stream?module=chat', { 'last-event-id': one.id }, (g) => g.some((l) => l.seq === newest));
  const want = (await get('/api/logs?module=chat')).json.data.map((l) => l.seq).filter((s) => s > one.seq && s <= newest).reverse();
  equal(rest.map((l) => l.seq).filter((s) => s <= newest), want);
});
await test('api 9.5: after a restart a Last-Event-ID of before starts at the oldest line', async () => {
  const got = await events('/api/logs/stream', { 'last-event-id': '1-999999' }, (g) => g.length > 0);
  equal(got[0].seq, 1);
});
await test('api 9.8: the streams want the key in a header, not in the query and not in a cookie', async () => {
  for (const path of ['/api/logs/stream', '/api/batchTasks/nobody/events']) {
    for (const [query, headers] of [['', {}], [`?key=${KEY}`, {}], [`?api_key=${KEY}&token=${KEY}&authorization=Bearer%20${KEY}`, {}], ['', { cookie: `key=${KEY}; token=${KEY}` }]]) {
      const r = await fetch(gw.base + path + query, { headers });
      equal([r.status, (await r.json()).error.code], [401, 'missing_api_key'], path + query);
    }
    const user = await fetch(gw.base + path, { headers: { authorization: `Bearer ${USER_KEY}` } });
    equal([user.status, user.headers.get('set-cookie')], [403, null]);
    await user.text();
  }
  const stop = new AbortController(), good = await fetch(`${gw.base}/api/logs/stream`, { headers: { 'x-api-key': KEY }, signal: stop.signal });
  equal([good.status, good.headers.get('set-cookie'), good.headers.get('x-accel-buffering')], [200, null, 'no']);
  stop.abort();
});
await test('api 11.4: LOG_BODIES puts prompts and answers into the log, without it there are none', async () => {
  ok(!gw.log().includes('Hello again'), 'none by default');
  const open = await gateway(fake, { LOG_BODIES: 'true' });
  const { json } = await chat(open, 'a prompt for the log');
  await waitFor(() => /body \[.*\] answer: /.test(open.log()), 5000, 'the answer');
  ok(/body \[.*\] prompt: .*a prompt for the log/.test(open.log()) && json.id && !open.log().includes(KEY), open.log());
});
await test('api 9.5: thirty that read nothing cost a bounded memory, whatever is logged meanwhile; one that reads again goes on', async () => {
  const g = await gateway(fake, { LOG_BODIES: 'true', MAX_INFLIGHT_PER_ACCOUNT: '100' });
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${g.process.pid}/status`, 'utf8'))[1]) / 1024;
  const prompt = 'x'.repeat(1900), write = async (mb) => { for (let left = mb * 1e6; left > 0; left -= 20 * 1900) await Promise.all(Array.from({ length: 20 }, () => chat(g, prompt))); };
  await write(3); // the ring of the log is full
  const idle = rss(), all = [];
  for (let i = 0; i < 30; i++) {
    const s = net.connect(g.port, '127.0.0.1', () => s.write(`GET /api/logs/stream?since=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\n\r\n`));
    s.on('error', () => 0);
    s.pause();
    all.push(s);
  }
  await write(12);
  const most = rss();
  if (!process.env.ASAN_OPTIONS && !process.env.TSAN_OPTIONS) ok(most - idle < 25, `${idle} MiB, then ${most} MiB`);
  let text = '';
  all[0].on('data', (d) => { text += d.toString('latin1'); });
  all[0].resume();
  const newest = async () => (await (await fetch(`${g.base}/api/logs?limit=1`, { headers: { authorization: `Bearer ${KEY}` } })).json()).data[0].seq;
  const want = await newest();
  await waitFor(() => Number([...text.slice(-20000).matchAll(/"seq":(\d+)/g)].at(-1)?.[1] ?? 0) >= want, 20000, 'it caught up');
  for (const s of all) s.destroy();
  equal((await chat(g, 'Hello')).status, 200);
  equal(await g.stop(), 0);
});
await test('api 9.5: who reads nothing stops nobody, and the stream ends with the gateway', async () => {
  const stop = new AbortController();
  await fetch(`${gw.base}/api/logs/stream?since=1`, { headers: { authorization: `Bearer ${KEY}` }, signal: stop.signal });
  for (let i = 0; i < 20; i++) equal((await chat(gw, `chat ${i}`)).status, 200);
  const open = events('/api/logs/stream', {}, () => false, 20000);
  await sleep(300);
  const begin = Date.now();
  stop.abort();
  gw.process.kill('SIGTERM');
  await open;
  await gw.process.ended;
  ok(Date.now() - begin < 10000, 'no waiting for readers');
});
await done();
