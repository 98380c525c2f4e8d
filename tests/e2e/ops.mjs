// ops.mjs - restart with the sockets handed over, SIGHUP, socket activation (api 9.2, 11.5, 11.6).
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auth, certificates, chat, done, equal, fakeUpstream, gateway, KEY, ok, sleep, stream, test, top, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const binary = process.env.Q2A_BINARY || join(top, 'build/qwen2api');
const post = async (gw, path, body) => { const r = await fetch(gw.base + path, { method: 'POST', headers: auth(), body: body === undefined ? undefined : JSON.stringify(body) }); return { status: r.status, json: await r.json() }; };
const settings = async (gw, key = KEY) => (await fetch(`${gw.base}/api/settings`, { headers: auth(key) })).json();

// Connects anew for each request, as fast as answers come; counts what was refused, broken or answered otherwise.
function clients(gw, n) {
  const seen = { answered: 0, refused: 0, broken: 0, other: 0 };
  let on = true;
  const one = () => new Promise((res) => {
    let text = '';
    const s = net.connect(gw.port, '127.0.0.1', () => s.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
    s.on('data', (d) => { text += d; });
    s.on('error', (e) => { seen[e.code === 'ECONNREFUSED' ? 'refused' : 'broken']++; res(); });
    s.on('close', () => { if (text.startsWith('HTTP/1.1 200')) seen.answered++; else if (text) seen.other++; else seen.broken++; res(); });
  });
  const all = Array.from({ length: n }, async () => { while (on) await one(); });
  return { seen, stop: async () => { on = false; await Promise.all(all); return seen; } };
}

await test('api 11.6: POST /api/restart keeps the process id, refuses no connection, lets running answers end', async () => {
  const gw = await gateway(fake);
  const pid = gw.process.pid;
  await chat(gw, 'hello');
  const running = stream(gw, '[[scenario:stream n=15 ms=100 size=10]]');
  await sleep(400);
  const c = clients(gw, 4);
  await sleep(200);
  const before = c.seen.answered;
  equal((await post(gw, '/api/restart')).status, 200);
  const r = await running;
  equal([r.finish, r.error], ['stop', undefined], 'the running answer');
  await waitFor(() => /store: memory; restarted/.test(gw.log()), 10000, 'the new image serves');
  await sleep(500);
  const seen = await c.stop();
  equal([seen.refused, seen.broken, seen.other], [0, 0, 0], JSON.stringify(seen));
  ok(seen.answered > before + 20, JSON.stringify(seen));
  process.kill(pid, 0);
  equal(gw.process.code, undefined, 'the same process');
  equal((await chat(gw, 'hello')).status, 200, gw.log());
  equal((await post(gw, '/api/restart')).status, 200, 'and again');
  await waitFor(() => gw.log().split('; restarted').length === 3, 10000, 'a second time');
  equal(await gw.stop(), 0);
});
await test('api 11.6: SIGTERM during a restart makes an end of it', async () => {
  const gw = await gateway(fake);
  await chat(gw, 'hello');
  const running = stream(gw, '[[scenario:stream n=20 ms=100 size=10]]');
  await sleep(400);
  equal((await post(gw, '/api/restart')).status, 200);
  await waitFor(() => /restarting: running answers/.test(gw.log()), 5000, 'it drains');
  await sleep(500);
  gw.process.kill('SIGTERM');
  equal((await running).finish, 'stop');
  equal(await gw.process.ended, 0, gw.log());
  ok(!/; restarted/.test(gw.log()), gw.log());
});
await test('api 9.2: SIGHUP and /api/reload read .env again: live values, not what is fixed at start', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'q2a-')), file = join(cwd, 'x.env');
  writeFileSync(file, 'N_MAX=2\n');
  const gw = await gateway(fake, {}, ['--config', file]);
  equal([(await settings(gw)).nMax, (await settings(gw)).source.nMax], [2, 'file']);
  writeFileSync(file, 'N_MAX=3\nDESK_THREADS=4\nACCOUNTS=\n');
  gw.process.kill('SIGHUP');
  await waitFor(async () => (await settings(gw)).nMax === 3, 5000, 'the new value');
  await waitFor(() => /DESK_THREADS was changed, but is fixed at start/.test(gw.log()), 5000, 'the warning');
  equal((await settings(gw)).deskThreads, 8);
  writeFileSync(file, 'N_MAX=9\n');
  const bad = await post(gw, '/api/reload');
  equal([bad.status, bad.json.error.code], [400, 'invalid_value'], JSON.stringify(bad.json));
  equal((await settings(gw)).nMax, 3, 'nothing was changed');
  writeFileSync(file, 'N_MAX=1\nSERVICE_PORT=1\n');
  const good = await post(gw, '/api/reload');
  equal(good.status, 200, JSON.stringify(good.json));
  equal((await settings(gw)).nMax, 1);
  await gw.stop();
});
await test('api 9.2: a reload takes new ACCOUNTS over at once, and keeps those that are there', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'x.env');
  const total = async (gw) => (await (await fetch(`${gw.base}/readyz`, { headers: auth() })).json()).accounts.total;
  writeFileSync(file, 'ACCOUNTS=ok@example.org:correct horse\n');
  const gw = await gateway(fake, { ACCOUNTS: null }, ['--config', file]);
  equal(await total(gw), 1);
  writeFileSync(file, 'ACCOUNTS=ok@example.org:correct horse,second@example.org:correct horse\n');
  const r = await post(gw, '/api/reload');
  equal([r.status, r.json.restart, await total(gw)], [200, [], 2], JSON.stringify(r.json));
  writeFileSync(file, 'ACCOUNTS=second@example.org:correct horse,colon@example.org:pa:ss@word#1\n');
  gw.process.kill('SIGHUP');
  await waitFor(async () => await total(gw) === 3, 5000, 'the third');
  writeFileSync(file, 'ACCOUNTS=nobody\n');
  equal((await post(gw, '/api/reload')).status, 400, 'not an account');
  equal(await total(gw), 3);
  await gw.stop();
});
await test('api 11.6: at 80 % of PM2_MAX_MEMORY the caches go, and the memory is given back', async () => {
  const gw = await gateway(fake, { PM2_MAX_MEMORY: '80M', PM2_INSTANCES: '1' });
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gw.process.pid}/status`, 'utf8'))[1]) / 1024;
  await chat(gw, 'hello');
  const idle = rss(), big = 'word '.repeat(7000000); // the prompt stays in the pump's builder until the caches go
  const r = await chat(gw, big);
  ok(r.status === 200 || r.status === 400, r.raw.slice(0, 200));
  await waitFor(() => rss() < idle + 15, 30000, `${idle} MiB before, ${rss()} MiB after`);
  ok(!/restarting/.test(gw.log()), gw.log());
  equal((await chat(gw, 'hello')).status, 200);
  equal(await gw.stop(), 0);
});
await test('api 11.6: above PM2_MAX_MEMORY for 15 s: caches emptied, told once, then a restart; nobody is refused', async () => {
  const gw = await gateway(fake, { PM2_MAX_MEMORY: '64M', SHUTDOWN_GRACE: '1' });
  const c = clients(gw, 1);
  const fat = net.connect(gw.port, '127.0.0.1');
  fat.on('error', () => 0);
  fat.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 120000000\r\n\r\n`);
  for (let i = 0; i < 90; i++) fat.write(Buffer.alloc(1000000, 0x20));
  const drip = setInterval(() => fat.write(' '), 1000);
  await waitFor(() => /; restarted/.test(gw.log()), 60000, `a restart: ${gw.log()}`);
  clearInterval(drip);
  fat.destroy();
  await sleep(300);
  const seen = await c.stop();
  equal([seen.refused, seen.broken, seen.other], [0, 0, 0], JSON.stringify(seen));
  equal(gw.log().split('the caches are emptied').length, 2, gw.log());
  equal(await gw.stop(), 0);
});
await test('api 11.6: socket activation: LISTEN_FDS of this process, and only of it', async () => {
  const listener = net.createServer();
  await new Promise((r) => listener.listen(0, '127.0.0.1', r));
  const port = listener.address().port;
  const p = spawn('/bin/sh', ['-c', `LISTEN_PID=$$ exec ${binary}`], { cwd: mkdtempSync(join(tmpdir(), 'q2a-')), stdio: ['ignore', 'pipe', 'pipe', listener._handle.fd],
    env: { PATH: process.env.PATH, LISTEN_FDS: '1', SERVICE_PORT: '1', LISTEN_ADDRESS: '127.0.0.1', DATA_SAVE_MODE: 'none', API_KEY: KEY } });
  let log = '';
  p.stderr.on('data', (d) => { log += d; });
  const ended = new Promise((r) => p.on('exit', r));
  await waitFor(() => / pumps: /.test(log), 5000, log);
  listener.close();
  equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  p.kill('SIGTERM');
  equal(await ended, 0, log);
});
await test('api 9.2 and 11.5: the doctor names what is wrong, in the route and as a command', async () => {
  const data = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'data');
  mkdirSync(data);
  writeFileSync(join(data, 'data.json'), JSON.stringify({ accounts: [{ email: 'ok@example.org', password: 'plain-canary' }] }));
  const gw = await gateway(fake, { DATA_DIR: data });
  await chat(gw, 'hello');
  const r = await fetch(`${gw.base}/api/doctor`, { headers: auth() }), list = await r.json();
  const level = (id) => list.find((f) => f.id === id)?.level;
  equal([r.status, level('upstream'), level('accounts'), level('plain_passwords'), level('clock')], [200, 'ok', 'ok', 'warn', undefined], JSON.stringify(list));
  ok(list.every((f) => f.id && f.message && (f.level === 'ok' || f.fix)) && !JSON.stringify(list).includes('canary'), JSON.stringify(list));
  await gw.stop();
  const run = (env) => spawnSync(binary, ['doctor'], { cwd: data, env: { PATH: process.env.PATH, DATA_DIR: data, SSL_CERT_FILE: join(certificates(), 'ca.pem'), ...env }, encoding: 'utf8', timeout: 30000 });
  const good = run({ UPSTREAM_RESOLVE: `chat.qwen.ai:443=127.0.0.1:${fake.port}`, ACCOUNTS: 'a@b:c', API_KEY: 'sk-doctor-0123456789' });
  equal(good.status, 0, good.stdout + good.stderr);
  ok(/ok +upstream:/.test(good.stdout) && /warn +plain_passwords:/.test(good.stdout) && !good.stdout.includes('doctor-0123456789') && !good.stdout.includes('canary'), good.stdout);
  const bad = run({ UPSTREAM_RESOLVE: 'chat.qwen.ai:443=127.0.0.1:1', API_KEY: 'sk-123456' });
  equal(bad.status, 1);
  ok(/error upstream:/.test(bad.stdout) && /error sample_key:/.test(bad.stdout) && /error no_usable_account:/.test(bad.stdout), bad.stdout);
  equal(spawnSync(binary, ['check'], { cwd: data, env: { DATA_SAVE_MODE: 'file', DATA_DIR: join(data, 'data.json', 'x') }, encoding: 'utf8' }).status, 78, 'check tries the folders');
  equal(JSON.parse(spawnSync(binary, ['print-data'], { encoding: 'utf8' }).stdout).accounts, []);
});
await test('api 9.2: testProxy, testRedis, models/refresh', async () => {
  const gw = await gateway(fake);
  await chat(gw, 'hello');
  const proxy = net.createServer((s) => { s.on('error', () => 0); s.once('data', () => { const up = net.connect(fake.port, '127.0.0.1', () => { s.write('HTTP/1.1 200 OK\r\n\r\n'); s.pipe(up); up.pipe(s); }); up.on('error', () => s.destroy()); }); });
  await new Promise((r) => proxy.listen(0, '127.0.0.1', r));
  const good = await post(gw, '/api/testProxy', { proxy: `http://127.0.0.1:${proxy.address().port}` });
  equal([good.status, good.json.ok], [200, true], JSON.stringify(good.json));
  proxy.close();
  const bad = await post(gw, '/api/testProxy', { proxy: 'http://u:canary@127.0.0.1:1' });
  equal([bad.status, bad.json.ok], [200, false], JSON.stringify(bad.json));
  ok(bad.json.message && !JSON.stringify(bad.json).includes('canary'), JSON.stringify(bad.json));
  equal((await post(gw, '/api/testProxy', { proxy: 'ftp://x' })).json.error.param, 'proxy');
  equal((await post(gw, '/api/testRedis', { url: 'redis://:canary@127.0.0.1:1' })).json.ok, false);
  equal((await post(gw, '/api/testRedis', {})).status, 400);
  const models = await post(gw, '/api/models/refresh');
  ok(models.status === 200 && models.json.data.length > 3, JSON.stringify(models.json));
  await gw.stop();
});
await done();
