// canary_accounts.mjs - accounts whose every secret is marked, driven through every route of theirs; then a look through all that the run
// left: files of the store, logs, answers with their headers (api 9.1, 9.9). In clear, and as base64, hex and percent-encoded.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { auth, chat, done, equal, fakeUpstream, gateway, KEY, ok, sleep, test, waitFor } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '60'] });
const top = mkdtempSync(join(tmpdir(), 'q2a-')), data = join(top, 'data'), logs = join(top, 'logs');
mkdirSync(logs);
const secret = {
  password: 'correct horse', new_password: 'canary-New-Password-01', refused: 'canary-Refused-Password-02', line: 'canary-Line-Password-03', token: '', dead_token: 'eyJcanary.Dead.Token04',
  cli_access: 'canary-Cli-Access-05', cli_refresh: 'canary-Cli-Refresh-06', api_key: 'sk-fake-dashscope', wrong_api_key: 'sk-canary-Wrong-Key-07', proxy: 'canaryProxyPw08', bad_proxy: 'canaryBadProxyPw09',
  header: 'canary-Header-Value-10', cookie: 'canaryCookie=11111111', bad_header: 'canary-Bad-Header-12',
};
const spellings = (text) => {
  const b = Buffer.from(text), all = [b.toString('latin1'), b.toString('hex'), encodeURIComponent(text), JSON.stringify(text).slice(1, -1)];
  for (let i = 0; i < 3; i++) all.push(Buffer.concat([Buffer.alloc(i), b]).toString('base64').replace(/=+$/, '').slice(i ? 4 : 0, -1));
  return [...new Set(all)].filter((s) => s.length >= 8);
};
const look = (where, text, allowed = []) => {
  const low = text.toLowerCase();
  for (const [name, value] of Object.entries(secret)) {
    if (allowed.includes(name)) continue;
    for (const s of spellings(value)) ok(!low.includes(s.toLowerCase()), `${where} has the ${name} (as ${s})`);
  }
};
const files = (dir) => readdirSync(dir, { recursive: true }).map((n) => join(dir, n)).filter((n) => statSync(n).isFile());

const signin = await fetch(`${fake.base}/api/v1/auths/signin`, { method: 'POST', headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ email: 'user1@example.org', password: createHash('sha256').update('pw-1').digest('hex') }) });
secret.token = (await signin.json()).token;
const gw = await gateway(fake, { ACCOUNTS: null, DATA_SAVE_MODE: 'file', DATA_DIR: data, ENABLE_FILE_LOG: 'true', LOG_DIR: logs, LOG_LEVEL: 'DEBUG', CHAT_RETRY_COUNT: '1' });
const answers = [];
const ask = async (method, path, body) => {
  const r = await fetch(gw.base + path, { method, headers: { ...auth(), 'content-type': 'application/json' }, body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
  const text = await r.text();
  answers.push([`${method} ${path} (${r.status}) ${answers.length}`, `${[...r.headers].join('\n')}\n${text}`]);
  let json = null;
  try { json = JSON.parse(text); } catch { /* none */ }
  return { status: r.status, text, json };
};
const good = async (...a) => { const r = await ask(...a); ok(r.status === 200 || r.status === 202, `${a[1]}: ${r.status} ${r.text}`); return r; };
const bad = async (...a) => { const r = await ask(...a); ok(r.status >= 400 && r.status < 600, `${a[1]}: ${r.status} ${r.text}`); return r; };

await test('a run through every route of accounts with marked secrets', async () => {
  const email = 'ok@example.org', api = { kind: 'api', baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1' };
  await good('POST', '/api/setAccount', { email, password: secret.password, headers: { 'X-Marked': secret.header }, cookie: secret.cookie, note: 'the first' });
  await good('POST', '/api/setAccount', { token: secret.token });
  await good('POST', '/api/setAccount', { kind: 'cli', name: 'grant', credentials: { access_token: secret.cli_access, refresh_token: secret.cli_refresh, expiry_date: Date.now() + 3600000 } });
  await good('POST', '/api/setAccount', { ...api, name: 'paid', apiKey: secret.api_key, headers: { 'X-Marked': secret.header }, cookie: secret.cookie });
  await bad('POST', '/api/setAccount', { email: 'bad@example.org', password: secret.refused });
  await bad('POST', '/api/setAccount', { token: secret.dead_token });
  await bad('POST', '/api/setAccount', { ...api, name: 'other', apiKey: secret.wrong_api_key });
  await bad('POST', '/api/setAccount', { email: 'user2@example.org', password: 'pw-2', proxy: `ftp://u:${secret.bad_proxy}@proxy.example` });
  await bad('POST', '/api/setAccount', { email: 'user2@example.org', password: secret.refused, proxy: `http://u:${secret.proxy}@127.0.0.1:9` });
  await bad('POST', '/api/setAccount', { email, password: secret.refused, headers: { Host: secret.bad_header } });
  await bad('POST', '/api/setAccount', { email, password: secret.refused, cookie: `${secret.cookie}\n` });
  await bad('POST', '/api/setAccount', `{"email":"${email}","password":"${secret.refused}"`);
  await good('POST', '/api/setAccounts', { accounts: `bad@example.org:${secret.line}\nno address:${secret.line}\nuser3@example.org:${secret.line}|gopher://u:${secret.bad_proxy}@x\nuser4@example.org:${secret.line}\n`, async: false });
  await good('POST', '/api/setAccounts', { accounts: [{ email: 'x', password: secret.refused }, { ...api, name: 'n', apiKey: secret.wrong_api_key }], async: false });
  await good('GET', '/api/batchTasks');
  equal((await chat(gw, 'hello')).status, 200);
  for (const name of [email, 'user1@example.org', 'grant', 'paid']) await good('POST', '/api/testAccount', { email: name });
  await good('POST', '/api/updateAccountProxy', { email, proxy: `http://u:${secret.proxy}@127.0.0.1:9` });
  await good('GET', '/api/getAllAccounts?search=127.0.0.1');
  equal((await good('GET', `/api/getAllAccounts?search=${secret.proxy}`)).json.total, 0, 'nobody is found by a secret');
  const through = await good('POST', '/api/testAccount', { email });
  equal([through.json.ok, through.json.code], [false, 'proxy_error'], through.text);
  await ask('POST', '/api/refreshAccount', { email });
  await good('GET', '/api/explain');
  await good('POST', '/api/updateAccount', { email, proxy: null });
  await fake.script({ completions: ['403', 'html', 'expired', 'quota'] });
  for (let i = 0; i < 4; i++) await ask('POST', '/api/testAccount', { email });
  await fake.reset();
  await good('POST', '/api/clearCooldown', { email });
  await good('POST', '/api/updateAccount', { email, password: secret.new_password });
  await ask('POST', '/api/refreshAccount', { email }); // refused: it is not the right one
  await ask('POST', '/api/refreshAllAccounts', { thresholdHours: 8000 });
  await good('POST', '/api/setAccountEnabled', { email, enabled: false });
  for (const path of ['/api/getAllAccounts', '/api/explain', '/api/explain?feature=cli', '/api/overview', '/api/stats', '/api/requests', '/api/logs?limit=5000', '/api/settings', '/metrics', '/api/accountStats']) await good('GET', path);
  const shown = await fetch(`${gw.base}/api/accountSecret?email=${email}`, { headers: auth() });
  equal((await shown.json()).password, secret.new_password, 'the one route that shows it');
  await waitFor(() => /was shown to an administrator/.test(gw.log()), 5000, 'it is logged');
  await good('GET', '/api/logs?limit=5000');
  await sleep(300);
  gw.process.kill('SIGTERM');
  equal(await gw.process.ended, 0);
});
await test('api 9.1, 9.9: no secret of an account in the files of the store', async () => {
  ok(files(data).some((f) => f.endsWith('qwen2api.mdb')), 'the store');
  for (const f of files(data)) look(f, readFileSync(f).toString('latin1'));
});
await test('api 9.1: no secret and no e-mail address of an account in the logs', async () => {
  ok(files(logs).length > 0, 'a log file');
  for (const [where, text] of [...files(logs).map((f) => [f, readFileSync(f).toString('latin1')]), ['standard error', gw.log()]]) {
    ok(text.length > 1000, `${where}: ${text.length} bytes`);
    look(where, text);
    for (const name of ['ok@example.org', 'user1@example.org', 'bad@example.org']) ok(!text.includes(name), `${where} names ${name}`);
    ok(!/eyJ[\w-]{8,}/.test(text), `${where} has a token`);
  }
});
await test('api 9.1: no secret of an account in any answer', async () => {
  ok(answers.length > 40, `${answers.length} answers`);
  for (const [where, text] of answers) look(where, text);
});
await test('the store has it all the same', async () => {
  const again = await gateway(fake, { ACCOUNTS: null, DATA_SAVE_MODE: 'file', DATA_DIR: data });
  const list = (await (await fetch(`${again.base}/api/getAllAccounts`, { headers: auth(KEY) })).json()).data, one = list.find((a) => a.email === 'ok@example.org');
  equal(list.map((a) => a.email).sort(), ['grant', 'ok@example.org', 'paid', 'user1@example.org']);
  equal([Object.keys(one.headers), one.cookie, one.password], [['X-Marked'], '••••••••', '••••••••']);
  equal(await again.stop(), 0);
});
rmSync(top, { recursive: true, force: true });
await done();
