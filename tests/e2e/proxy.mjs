// The site files for nginx and Caddy in tools/container, each in the real server before the real gateway: events come through as they
// are sent, a client that leaves is seen, large bodies pass, no wait of the proxy is shorter than the gateway's.
import { test, equal, ok, done, fakeUpstream, gateway, certificates, freePort, waitFor, events, KEY, top } from './lib.mjs';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import https from 'node:https';
import OpenAI from 'openai';

const site = (name) => readFileSync(join(top, 'tools/container', name), 'utf8');
const fake = await fakeUpstream();
const gw = await gateway(fake, { TRUST_PROXY: '127.0.0.1', LOG_LEVEL: 'INFO' });
const certs = certificates(), dir = mkdtempSync(join(tmpdir(), 'q2a-'));
const agent = new https.Agent({ ca: readFileSync(join(certs, 'ca.pem')), servername: 'chat.qwen.ai' }); // a name in the test's certificate
const replaced = (text, ...pairs) => pairs.reduce((t, [from, to]) => {
  ok(t.includes(from), `the site file has no "${from}"`);
  return t.replaceAll(from, to);
}, text);

// Calls through the proxy; onPiece gets each piece of the body with its time.
const call = (port, path, { method = 'POST', body, headers = {}, onPiece = () => {} } = {}) => new Promise((resolve, reject) => {
  const r = https.request({ host: '127.0.0.1', port, path, method, agent, headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', host: 'gateway.example.test', ...headers } }, (res) => {
    let text = '';
    res.on('data', (d) => { text += d; onPiece(String(d), Date.now(), r); });
    res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, text }));
    res.on('error', reject);
  });
  r.on('error', reject);
  r.end(body);
});

const servers = [];
async function serve(file, args, port) {
  const p = spawn(file, args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir } });
  servers.push(p);
  p.text = '';
  for (const s of [p.stdout, p.stderr]) s.on('data', (d) => { p.text += d; });
  p.ended = new Promise((r) => p.on('exit', (code) => r(p.gone = code ?? 'signal')));
  await waitFor(async () => {
    if (p.gone !== undefined) throw new Error(`${file} ended with ${p.gone}: ${p.text}`);
    try { return (await call(port, '/healthz', { method: 'GET' })).status === 200; } catch { return false; }
  }, 20000, `${file} answers`);
}

async function through(name, port) {
  await test(`${name}: each event comes when it is sent`, async () => {
    await fake.script({ completions: ['stream n=8 ms=100 size=20'] });
    const times = [];
    const r = await call(port, '/v1/chat/completions', { body: JSON.stringify({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: 'hello' }] }),
      onPiece: (piece, at) => { if (/"content":"[^"]/.test(piece)) times.push(at); } });
    equal([r.status, r.headers['content-type']], [200, 'text/event-stream; charset=utf-8']);
    ok(events(r.text).at(-1).done, r.text);
    ok(times.length >= 4 && times.at(-1) - times[0] > 250, `pieces at ${times.map((t) => t - times[0])} ms`);
  });
  await test(`${name}: an OpenAI client streams through it`, async () => {
    const fetchIt = async (url, init) => {
      const r = await call(port, new URL(url).pathname, { method: init.method, body: init.body, headers: Object.fromEntries(new Headers(init.headers)) });
      return new Response(r.text, { status: r.status, headers: r.headers });
    };
    const client = new OpenAI({ baseURL: 'https://gateway.example.test/v1', apiKey: KEY, fetch: fetchIt });
    let text = '';
    for await (const c of await client.chat.completions.create({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: 'hello' }] })) text += c.choices[0]?.delta?.content ?? '';
    equal(text, 'Hello, 世界! This is the fake upstream.');
  });
  await test(`${name}: a client that leaves stops its turn`, async () => {
    const before = (await fake.stats()).stops ?? 0;
    await fake.script({ completions: ['stream n=600 ms=100 size=20'] });
    await call(port, '/v1/chat/completions', { body: JSON.stringify({ model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: 'hello' }] }),
      onPiece: (piece, at, r) => r.destroy() }).catch(() => {});
    await waitFor(async () => ((await fake.stats()).stops ?? 0) > before, 10000, 'the upstream turn is stopped');
    equal((await fake.stats()).running, 0, 'nothing runs');
  });
  await test(`${name}: a body of 9 MB passes`, async () => {
    const body = JSON.stringify({ model: 'qwen3.7-plus', messages: [{ role: 'user', content: 'x'.repeat(9 << 20) }] });
    const r = await call(port, '/v1/chat/completions', { body });
    equal([r.status, JSON.parse(r.text).choices[0].finish_reason], [200, 'stop'], r.text.slice(0, 300));
  });
  await test(`${name}: the page, packed as it is`, async () => {
    const r = await call(port, '/', { method: 'GET', headers: { 'accept-encoding': 'gzip' } });
    equal([r.status, r.headers['content-encoding']], [200, 'gzip']);
  });
}

// ---- nginx ----
{
  const port = await freePort();
  await test('nginx takes the site file', async () => {
    mkdirSync(join(dir, 'tmp'));
    writeFileSync(join(dir, 'site.conf'), replaced(site('nginx.conf'), ['server 127.0.0.1:3000', `server 127.0.0.1:${gw.port}`],
      ['listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`], ['  listen [::]:443 ssl;\n', ''],
      ['/etc/ssl/certs/qwen2api.pem', join(certs, 'fake.pem')], ['/etc/ssl/private/qwen2api.key', join(certs, 'fake.key')]));
    writeFileSync(join(dir, 'nginx.conf'), `daemon off;\n${process.getuid() === 0 ? 'user root;\n' : ''}pid nginx.pid;\nerror_log stderr warn;\nevents {}\nhttp {\n  access_log off;\n${
      ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((t) => `  ${t}_temp_path tmp/${t};\n`).join('')}  include site.conf;\n}\n`);
    const r = spawnSync('nginx', ['-t', '-p', dir, '-c', join(dir, 'nginx.conf'), '-e', 'stderr'], { encoding: 'utf8' });
    equal([r.status, /warn|emerg/.test(r.stderr)], [0, false], r.stderr);
  });
  await test('nginx waits longer than the longest turn, and takes bodies as large as the gateway', () => {
    const text = site('nginx.conf'), env = spawnSync(join(top, 'build/qwen2api'), ['readme-table'], { encoding: 'utf8' }).stdout;
    const value = (name) => Number(new RegExp(`^\\| \`${name}\` \\| \`(\\d+)\``, 'm').exec(env)[1]);
    ok(Number(/proxy_read_timeout (\d+)s/.exec(text)[1]) > Math.max(value('UPSTREAM_TURN_TIMEOUT'), 1800), 'proxy_read_timeout');
    ok(Number(/response_header_timeout (\d+)s/.exec(site('Caddyfile'))[1]) > Math.max(value('UPSTREAM_TURN_TIMEOUT'), 1800), 'response_header_timeout');
    equal([/client_max_body_size (\d+)m/.exec(text)[1], /max_size (\d+)MiB/.exec(site('Caddyfile'))[1]], [`${value('BODY_LIMIT_MB')}`, `${value('BODY_LIMIT_MB')}`]);
  });
  await serve('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', 'stderr'], port);
  await through('nginx', port);
}

// ---- Caddy, where it is ----
if (spawnSync('sh', ['-c', 'command -v caddy']).status === 0) {
  const port = await freePort();
  writeFileSync(join(dir, 'Caddyfile'), replaced(site('Caddyfile'), ['qwen2api.example.org {', `{\n\tadmin off\n\tauto_https off\n}\nhttps://:${port} {\n\ttls ${join(certs, 'fake.pem')} ${join(certs, 'fake.key')}`],
    ['reverse_proxy 127.0.0.1:3000', `reverse_proxy 127.0.0.1:${gw.port}`]));
  await test('Caddy takes the site file', () => {
    const r = spawnSync('caddy', ['validate', '--config', join(top, 'tools/container/Caddyfile'), '--adapter', 'caddyfile'], { encoding: 'utf8', env: { ...process.env, HOME: dir } });
    equal(r.status, 0, r.stderr);
  });
  await serve('caddy', ['run', '--config', join(dir, 'Caddyfile'), '--adapter', 'caddyfile'], port);
  await through('Caddy', port);
} else console.log('no Caddy here: its site file was not run');

for (const p of servers) p.kill('SIGTERM');
await Promise.all(servers.map((p) => p.ended));
agent.destroy();
await gw.stop();
await fake.stop();
rmSync(dir, { recursive: true, force: true });
await done();
