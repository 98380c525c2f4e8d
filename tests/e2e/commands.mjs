// commands.mjs - the command line (api 11.5): what each command prints, where, and every exit code.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificates, chat, done, equal, fakeUpstream, freePort, gateway, KEY, ok, test, top } from './lib.mjs';

const fake = await fakeUpstream();
const binary = process.env.Q2A_BINARY || join(top, 'build/qwen2api');
const folder = () => mkdtempSync(join(tmpdir(), 'q2a-'));
const run = (args, env = {}, cwd = folder()) => spawnSync(binary, args, { cwd, env: { PATH: process.env.PATH, ...env }, encoding: 'utf8', timeout: 60000 });
const upstream = { UPSTREAM_RESOLVE: `chat.qwen.ai:443=127.0.0.1:${fake.port}`, SSL_CERT_FILE: join(certificates(), 'ca.pem') };
const file = { DATA_SAVE_MODE: 'file', LISTEN_ADDRESS: '127.0.0.1', SERVICE_PORT: String(await freePort()) };

// One stored account, the gateway stopped; and one that runs, on a folder of its own.
const stopped = join(folder(), 'data'), used = join(folder(), 'data');
const once = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: stopped });
await chat(once, 'Hello');
await once.stop();
const gw = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: used });
await chat(gw, 'Hello');
const damaged = join(folder(), 'data');
mkdirSync(damaged, { mode: 0o700 });
writeFileSync(join(damaged, 'qwen2api.mdb'), Buffer.alloc(65536, 0x5a));

const nothing = [], usage = /See 'qwen2api --help'/;
// What, arguments, environment, exit code, stdout, stderr.
const codes = [
  ['help', ['--help'], {}, 0, /usage: qwen2api/, nothing], ['version', ['--version'], {}, 0, /^qwen2api \d+\.\d+\.\d+ \(build \d{4}-\d\d-\d\d, \w+, .*; TLS: BearSSL 0\.6, TLS 1\.2\)\n$/, nothing],
  ['check', ['check'], {}, 0, /^default  SERVICE_PORT=3000$/m, nothing], ['--check', ['--check', '--port=4'], {}, 0, /^flag     SERVICE_PORT=4$/m, nothing],
  ['config', ['config', '--port', '5'], {}, 0, /^flag     SERVICE_PORT=5$/m, nothing], ['the level', ['check', '--log-level', 'warn', '--data-dir=d', '--listen=::1'], {}, 0, /^flag     LOG_LEVEL=WARN$/m, nothing],
  ['print-env', ['print-env'], {}, 0, /^# SERVICE_PORT=3000$/m, nothing], ['print-data', ['print-data'], {}, 0, /"accounts": \[\]/, nothing],
  ['routes', ['routes'], {}, 0, /\/v1\/chat\/completions/, nothing], ['assets', ['assets'], {}, 0, /index\.html/, nothing], ['licenses', ['licenses'], {}, 0, /BearSSL/, nothing],
  ['healthcheck', ['healthcheck'], { SERVICE_PORT: String(gw.port), LISTEN_ADDRESS: '127.0.0.1' }, 0, nothing, nothing],
  ['healthcheck --ready', ['healthcheck', '--ready', '--url', `${gw.base}/readyz`], {}, 0, nothing, nothing],
  ['healthcheck of nobody', ['healthcheck', '--url', 'http://127.0.0.1:1/healthz'], {}, 1, nothing, /./],
  ['new-admin-key', ['new-admin-key', '--data-dir', stopped], {}, 0, /^sk-[0-9A-Za-z]{48}\n$/, nothing],
  ['doctor, all is well', ['doctor'], { ...upstream, DATA_DIR: stopped, API_KEY: 'sk-0123456789abcdef' }, 0, /^ok +accounts: At least one/m, nothing],
  ['doctor, the gateway runs', ['doctor'], { ...upstream, DATA_DIR: used, API_KEY: 'sk-0123456789abcdef' }, 0, /^ok +accounts: /m, nothing],
  ['doctor, an error', ['doctor'], { ...upstream, DATA_DIR: join(folder(), 'none') }, 1, /^error no_usable_account: There is no account\.\n {6}Add an account/m, nothing],
  ['doctor, Redis away', ['doctor'], { ...upstream, DATA_SAVE_MODE: 'redis', REDIS_URL: 'redis://127.0.0.1:1', ACCOUNTS: 'a@b:c' }, 1, /^error redis: /m, nothing],
  ['doctor, bad settings', ['doctor'], { SERVICE_PORT: 'x' }, 1, nothing, /SERVICE_PORT/],
  ['unknown option', ['--nothing'], {}, 2, nothing, usage], ['unknown command', ['frobnicate'], {}, 2, nothing, usage], ['two commands', ['check', 'doctor'], {}, 2, nothing, usage],
  ['a value is missing', ['--port'], {}, 2, nothing, usage], ['an option cut short', ['--por', '1'], {}, 2, nothing, usage],
  ['a store that is none', [], { ...file, DATA_DIR: damaged }, 65, nothing, /./], ['sealed with another key', [], { ...file, DATA_DIR: stopped, SECRET_KEY: 'not-the-former-one' }, 65, nothing, /SECRET_KEY/],
  ['address in use', [], { LISTEN_ADDRESS: '127.0.0.1', SERVICE_PORT: String(gw.port), DATA_SAVE_MODE: 'none' }, 69, nothing, new RegExp(gw.port)],
  ['folder in use', [], { ...file, DATA_DIR: used }, 69, nothing, /./], ['new-admin-key, the gateway runs', ['new-admin-key', '--data-dir', used], {}, 69, nothing, /./],
  ['no folder for the store', [], { ...file, DATA_DIR: '/dev/null/x' }, 73, nothing, /DATA_DIR|\/dev\/null\/x/],
  ['no folder for the log', [], { ...file, DATA_SAVE_MODE: 'none', ENABLE_FILE_LOG: 'true', LOG_DIR: '/dev/null/x' }, 73, nothing, /\/dev\/null\/x/],
  ['no folder for the cache', [], { ...file, DATA_SAVE_MODE: 'none', CACHE_MODE: 'file', CACHE_DIR: '/dev/null/x' }, 73, nothing, /\/dev\/null\/x/],
  ['a bad setting', [], { SERVICE_PORT: '80a' }, 78, nothing, /expected an integer from 1 to 65535/], ['no such --config', ['--config', '/nowhere/x'], {}, 78, nothing, /nowhere/],
  ['check of a bad one', ['check'], { N_MAX: '9' }, 78, nothing, /N_MAX/], ['no certificates', [], { ...file, SSL_CERT_FILE: '/nowhere/x' }, 78, nothing, /SSL_CERT_FILE/],
  ['check tries DATA_DIR', ['check'], { DATA_SAVE_MODE: 'file', DATA_DIR: '/dev/null/x' }, 78, /SERVICE_PORT/, /DATA_DIR=/], ['check tries CACHE_DIR', ['check'], { CACHE_MODE: 'file', CACHE_DIR: '/dev/null/x' }, 78, /./, /CACHE_DIR=/],
  ['check tries LOG_DIR', ['check'], { ENABLE_FILE_LOG: 'true', LOG_DIR: '/dev/null/x' }, 78, /./, /LOG_DIR=/],
];
const fits = (text, want) => (want === nothing ? text === '' : want.test(text));
for (const [what, args, env, code, out, err] of codes)
  await test(`api 11.5: exit code ${code}: ${what}`, () => {
    const r = run(args, env);
    equal(r.status, code, `${r.stdout.slice(-500)}${r.stderr}`);
    ok(fits(r.stdout, out), `stdout: ${r.stdout.slice(0, 1000)}`);
    ok(fits(r.stderr, err), `stderr: ${r.stderr}`);
    ok(!r.stdout.includes('\x1b') && !r.stderr.includes('\x1b'), 'no colour away from a terminal');
  });
await test('api 11.5: check makes nothing, leaves no trial file, touches no network and shows no secret', async () => {
  let met = 0;
  const server = net.createServer((s) => { met++; s.destroy(); });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  const cwd = folder(), at = `127.0.0.1:${server.address().port}`;
  mkdirSync(join(cwd, 'there'));
  const secrets = { API_KEY: 'sk-canary-1', ACCOUNTS: 'a@b:canary-2', SECRET_KEY: 'canary-3-canary-3', REDIS_URL: `redis://:canary-4@${at}`, PROXY_URL: `http://u:canary-5@${at}`, UPSTREAM_COOKIE: 'canary-6',
    UPSTREAM_HEADERS: '{"X":"canary-7"}', CLI_API_KEY: 'canary-8', CLI_BASE_URL: `http://${at}` };
  for (const [mode, data] of [['redis', 'there'], ['file', 'there'], ['file', 'not/there']]) {
    const r = run(['check'], { ...secrets, QWEN_CHAT_PROXY_URL: `http://${at}`, DATA_SAVE_MODE: mode, DATA_DIR: data }, cwd);
    equal(r.status, 0, r.stderr);
    ok(!`${r.stdout}${r.stderr}`.includes('canary'), r.stdout);
    ok(/^env      DATA_DIR=/m.test(r.stdout) && /^env      API_KEY=\*\*\* \(1\)$/m.test(r.stdout) && /^env      REDIS_URL=\*\*\*$/m.test(r.stdout), r.stdout);
  }
  await new Promise((r) => setTimeout(r, 200));
  equal([met, readdirSync(join(cwd, 'there')), existsSync(join(cwd, 'not')), readdirSync(cwd)], [0, [], false, ['there']]);
  server.close();
});
await test('api 11.5: the doctor makes nothing either, and leaves the store as it was', async () => {
  const cwd = folder();
  run(['doctor'], { ...upstream, DATA_DIR: 'data' }, cwd);
  equal(readdirSync(cwd), []);
  const again = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: stopped, API_KEY: null, ACCOUNTS: '' });
  const ready = await (await fetch(`${again.base}/readyz`)).json();
  equal(ready, { status: 'ready' }, KEY);
  await again.stop();
});
await gw.stop();
await done();
