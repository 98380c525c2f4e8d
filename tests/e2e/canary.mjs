// canary.mjs - marked secrets in every place, then a look through everything that the run left: files of the store, logs,
// output of commands, answers and their headers (api 9.9, 11.5; D20). In clear, and as base64, hex and percent-encoded.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { done, equal, fakeUpstream, gateway, ok, sleep, test, top as source, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const binary = process.env.Q2A_BINARY || join(source, 'build/qwen2api');
const top = mkdtempSync(join(tmpdir(), 'q2a-')), data = join(top, 'data'), logs = join(top, 'logs'), caches = join(top, 'caches');
mkdirSync(logs);

const secret = {
  password: 'correct horse', refused_password: 'canary-Refused-Pw-11', admin_key: 'sk-canaryAdminKey-2222222222', user_key: 'sk-canaryUserKey-3333333333',
  wrong_key: 'sk-canaryWrongKey-4444444444', sealing: 'canary-Sealing-Secret-55', cookie: 'canaryCookie=66666666', header: 'canary-Header-Value-77',
  stored_cookie: 'canaryStored=88888888', stored_header: 'canary-Stored-Header-99', proxy: 'canaryProxyPw1010', official_key: 'sk-canaryOfficial-1111111111',
  bad_proxy: 'canaryBadProxy1212', own_key: 'sk-canaryOwnKey-1313131313',
};
const prompts = { prompt: 'canary prompt thirteen', answer: 'canary answer fourteen', tool: 'canary_tool_argument_15', response: 'canary response sixteen', video: 'canary video seventeen',
  file: 'canary document eighteen', broken: 'canary broken nineteen' };

// Every way in which a text may be spelled; base64 at each of its three offsets, without the ends that depend on neighbours.
const spellings = (text) => {
  const b = Buffer.from(text), all = [b.toString('latin1'), b.toString('hex'), encodeURIComponent(text), JSON.stringify(text).slice(1, -1)];
  for (let i = 0; i < 3; i++) all.push(Buffer.concat([Buffer.alloc(i), b]).toString('base64').replace(/=+$/, '').slice(i ? 4 : 0, -1));
  return [...new Set(all)].filter((s) => s.length >= 8);
};
const look = (where, text, marked, allowed = []) => {
  const low = text.toLowerCase();
  for (const [name, value] of Object.entries(marked)) {
    if (allowed.includes(name)) continue;
    for (const s of spellings(value)) {
      const at = low.indexOf(s.toLowerCase());
      ok(at < 0, `${where} has the ${name} (as ${s}): …${text.slice(Math.max(0, at - 60), at + s.length + 20)}…`);
    }
  }
};
const files = (dir) => readdirSync(dir, { recursive: true }).map((n) => join(dir, n)).filter((n) => statSync(n).isFile());

const env = {
  API_KEY: `${secret.admin_key},${secret.user_key}`, ACCOUNTS: `ok@example.org:${secret.password},bad@example.org:${secret.refused_password}`, SECRET_KEY: secret.sealing,
  UPSTREAM_COOKIE: secret.cookie, UPSTREAM_HEADERS: JSON.stringify({ 'X-Extra': secret.header }), CLI_API_KEY: secret.official_key, CLI_BASE_URL: 'https://dashscope.aliyuncs.com/compatible-mode/v1',
  DATA_SAVE_MODE: 'file', DATA_DIR: data, ENABLE_FILE_LOG: 'true', LOG_DIR: logs, LOG_LEVEL: 'DEBUG', CACHE_MODE: 'file', CACHE_DIR: caches, CHAT_RETRY_COUNT: '1',
};
const gw = await gateway(fake, env);
const given = {}; // keys that the gateway made, with the one answer that may show them
const answers = []; // what the gateway said: [where, text, is it the client's own chat]
const ask = async (method, path, body, { key = secret.admin_key, own = false, headers = {} } = {}) => {
  const r = await fetch(gw.base + path, { method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
  const text = await r.text();
  answers.push([`${method} ${path} (${r.status})`, `${[...r.headers].join('\n')}\n${text}`, own && r.ok]);
  return { status: r.status, text };
};
const say = (text, more = {}) => ask('POST', '/v1/chat/completions', { model: 'qwen3-max', messages: [{ role: 'user', content: text }], ...more }, { own: true });

await test('a run with marked secrets in every place', async () => {
  const b64 = (t) => Buffer.from(t).toString('base64');
  equal((await say(`[[scenario:say b64=${b64(prompts.answer)}]] ${prompts.prompt}`)).status, 200);
  equal((await say(`[[scenario:say b64=${b64(prompts.answer)}]] ${prompts.prompt}`, { stream: true })).status, 200);
  await say(`[[scenario:tool_text name=f args=${b64(JSON.stringify({ x: prompts.tool }))}]] ${prompts.prompt}`,
    { tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { x: { type: 'string' } } } } }] });
  await ask('POST', '/v1/responses', { model: 'qwen3-max', input: prompts.response }, { own: true });
  await ask('POST', '/v1/messages', { model: 'qwen3-max', max_tokens: 9, messages: [{ role: 'user', content: prompts.prompt }] }, { own: true });
  await say([{ type: 'text', text: prompts.prompt }, { type: 'file', file: { filename: 'a.txt', file_data: `data:text/plain;base64,${b64(prompts.file)}` } }]);
  equal((await ask('POST', '/v1/videos', { model: 'qwen3.7-plus-video', prompt: prompts.video }, { own: true })).status, 200);
  await ask('POST', '/v1/chat/completions', `{"model":"qwen3-max","messages":[{"role":"user","content":"${prompts.broken}"`);
  await ask('POST', '/v1/chat/completions', { model: 'qwen3-max', messages: [{ role: 'nobody', content: prompts.broken }] });
  await ask('POST', '/cli/v1/chat/completions', { model: 'qwen3-coder-plus', messages: [{ role: 'user', content: prompts.prompt }] }, { own: true });
  for (const headers of [{}, { 'x-api-key': secret.wrong_key }, { cookie: secret.cookie }]) await ask('GET', '/v1/models', undefined, { key: secret.wrong_key, headers });
  await ask('POST', '/verify', { apiKey: secret.wrong_key });
  await ask('GET', `/v1/models?key=${secret.wrong_key}`, undefined, { key: '' });
  await fetch(`${gw.base}/${secret.wrong_key}`); // its answer names the address that was asked; the log must not
  for (const s of ['500', '502_html', 'html', 'junk', 'malformed', 'err_midway', 'drop', 'validation', '403', 'expired', 'empty']) await say(`[[scenario:${s}]] ${prompts.prompt}`);
  // keys: an own text, one that is made here, one that goes again; good and wrong limits
  const key = async (name, body) => {
    const r = await ask('POST', '/api/addRegularKey', body), json = JSON.parse(r.text);
    equal(r.status, 200, r.text);
    if (json.apiKey) { secret[name] = json.apiKey; given[name] = answers.at(-1); }
    return json.id;
  };
  const own = await key('own_key', { apiKey: secret.own_key, name: 'a team', dailyRequests: 2 });
  const made = await key('made_key', { models: ['qwen3*'] }), brief = await key('brief_key', {});
  const turn = (k, text = prompts.prompt, more = {}) => ask('POST', '/v1/chat/completions', { model: 'qwen3-max', messages: [{ role: 'user', content: text }], ...more }, { key: k, own: true });
  for (const k of ['own_key', 'own_key', 'own_key', 'made_key', 'brief_key']) await turn(secret[k]);
  await turn(secret.made_key, prompts.prompt, { model: 'bare-model' });
  await ask('POST', '/api/addRegularKey', { apiKey: secret.own_key });
  await ask('POST', '/api/addRegularKey', { apiKey: secret.made_key, rpm: 'x' });
  await ask('PATCH', `/api/keys/${made}`, { name: 'changed', enabled: false });
  await ask('PATCH', `/api/keys/${own}`, { apiKey: secret.own_key });
  await ask('POST', '/api/deleteRegularKey', { apiKey: secret.brief_key });
  await ask('POST', '/api/deleteRegularKey', { apiKey: secret.brief_key });
  await ask('POST', '/api/deleteRegularKey', { apiKey: secret.user_key });
  for (const k of ['made_key', 'brief_key']) await turn(secret[k]); // disabled, deleted
  await ask('POST', '/verify', { apiKey: secret.made_key });
  equal((await ask('PATCH', `/api/keys/${made}`, { enabled: true })).status, 200);
  // the administrator
  equal((await ask('PATCH', '/api/settings', { upstreamCookie: secret.stored_cookie, upstreamHeaders: { 'X-Stored': secret.stored_header } })).status, 200);
  await ask('PATCH', '/api/settings', { proxyUrl: `ftp://user:${secret.bad_proxy}@proxy.example` });
  await ask('PATCH', '/api/settings', { proxyUrl: `http://user:${secret.proxy}@127.0.0.1:9` });
  await say(`through a proxy that is not there ${prompts.prompt}`);
  await ask('PATCH', '/api/settings', { proxyUrl: '' });
  await ask('PATCH', '/api/settings', { proxyUrl: `http://user:${secret.proxy}@127.0.0.1:9` });
  for (const row of execFileSync(binary, ['routes'], { encoding: 'utf8' }).split('\n')) {
    const [method, path, who] = row.split(/\s+/);
    if (method === 'GET' && who && !/stream|accountSecret/.test(path)) await ask(method, path.replace('*', 'x'));
  }
  await sleep(300);
  await waitFor(() => readFileSync(join(data, 'qwen2api.mdb')).includes('resp/'), 5000, 'the response is written');
  await waitFor(() => readFileSync(join(data, 'qwen2api.mdb')).includes('video/'), 8000, 'the video job is written');
  await gw.process.kill('SIGTERM');
  equal(await gw.process.ended, 0);
});

await test('api 9.9: no secret and no prompt in the files of the store', async () => {
  const all = files(data);
  ok(all.some((f) => f.endsWith('qwen2api.mdb')), all.join());
  for (const f of all) look(f, readFileSync(f).toString('latin1'), { ...secret, ...prompts });
  for (const f of all) ok(!/eyJ[\w-]{8,}\.[\w-]{8,}\./.test(readFileSync(f).toString('latin1')), `${f} has a token`);
});
await test('api 1.3: of a key the store has a salted hash and no more', async () => {
  const file = readFileSync(join(data, 'qwen2api.mdb')), text = file.toString('latin1');
  ok(text.includes('"masked":"sk-ca') && text.includes('"name":"a team"'), 'the records are there');
  for (const name of ['admin_key', 'user_key', 'own_key', 'made_key', 'brief_key', 'wrong_key'])
    for (const hash of ['sha256', 'sha1', 'md5', 'sha512']) { // a hash without salt could be looked up
      const plain = createHash(hash).update(secret[name]).digest();
      for (const s of [plain.toString('hex'), plain.toString('base64'), plain.toString('latin1')]) ok(!text.includes(s) && !gw.log().includes(s), `${name} as ${hash}`);
    }
});
await test('D20: no secret, no token, no prompt, no answer in the logs and on standard error', async () => {
  const all = files(logs);
  ok(all.length > 0, 'a log file');
  for (const [where, text] of [...all.map((f) => [f, readFileSync(f).toString('latin1')]), ['standard error', gw.log()]]) {
    ok(text.length > 1000, `${where}: ${text.length} bytes`);
    look(where, text, { ...secret, ...prompts });
    ok(!/eyJ[\w-]{8,}/.test(text), `${where} has a token`);
    ok(!/<html/i.test(text), `${where} has a page of the upstream`);
  }
});
await test('api 9.9: no secret in any answer, no prompt in any error', async () => {
  ok(answers.length > 50, `${answers.length} answers`);
  ok(answers.some(([w]) => w.includes('/api/settings (200)')) && answers.some(([w]) => /\((4|5)\d\d\)/.test(w)), 'of all kinds');
  equal(Object.keys(given), ['made_key', 'brief_key']);
  for (const answer of answers) {
    const [where, text, own] = answer;
    const shown = Object.keys(given).filter((name) => given[name] === answer);
    look(where, text, secret, shown);
    for (const name of shown) equal(text.split(secret[name]).length, 2, `${where} shows it once`);
    if (!own && !where.startsWith('GET /v1/videos')) look(where, text, prompts);
    ok(!/eyJ[\w-]{8,}\.[\w-]{8,}\./.test(text), `${where} has a token`);
  }
});
await test('api 11.5: no secret in what the commands print', async () => {
  const run = (args) => { const r = spawnSync(binary, args, { encoding: 'utf8', cwd: top, env: { PATH: process.env.PATH, ...env } }); return r.stdout + r.stderr; };
  const check = run(['--check']);
  ok(check.length > 1000 && /UPSTREAM_COOKIE/.test(check), check.slice(0, 300));
  look('--check', check, secret);
  for (const args of [['print-env'], ['doctor'], ['print-data'], ['--listen', 'nonsense'], ['--version']]) look(args.join(' '), run(args), secret);
  writeFileSync(join(top, '.env'), `SECRET_KEY=${secret.sealing}\nPROXY_URL=ftp://u:${secret.bad_proxy}@x\nUPSTREAM_HEADERS={"Host":"${secret.header}"}\n`);
  const broken = spawnSync(binary, ['--check'], { encoding: 'utf8', cwd: top, env: { PATH: process.env.PATH } });
  equal(broken.status, 78, broken.stderr);
  look('the check of a wrong file', broken.stdout + broken.stderr, secret);
  const other = spawnSync(binary, [], { encoding: 'utf8', cwd: logs, env: { PATH: process.env.PATH, ...env, SECRET_KEY: 'canary-Other-Secret-20' } });
  equal(other.status, 65, other.stderr);
  look('the refusal of another SECRET_KEY', other.stdout + other.stderr, { ...secret, other: 'canary-Other-Secret-20' });
});
await test('the store has it all the same: a restart with the same SECRET_KEY goes on', async () => {
  const again = await gateway(fake, env);
  const r = await fetch(`${again.base}/v1/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${secret.user_key}` },
    body: JSON.stringify({ model: 'qwen3-max', messages: [{ role: 'user', content: 'hello' }] }) });
  ok([200, 502, 503].includes(r.status), r.status); // its stored proxy is not there
  const s = await (await fetch(`${again.base}/api/settings`, { headers: { authorization: `Bearer ${secret.admin_key}` } })).json();
  equal([s.source.upstreamCookie, s.source.proxyUrl], ['stored', 'stored']);
  equal(await again.stop(), 0);
});

await test('api 9.9: SECRET_KEY=new,old seals all anew: the next start needs the new one only', async () => {
  const get = async (g, path) => (await fetch(g.base + path, { headers: { authorization: `Bearer ${secret.admin_key}` } })).json();
  const kept = JSON.parse(answers.find(([w]) => w.startsWith('POST /v1/responses'))[1].split('\n').at(-1)).id;
  for (const value of [`canary-Newer-Secret-21,${secret.sealing}`, 'canary-Newer-Secret-21']) {
    const again = await gateway(fake, { ...env, SECRET_KEY: value });
    equal((await get(again, '/api/settings')).source.upstreamCookie, 'stored', value);
    equal((await get(again, '/v1/videos')).data.length, 1, value);
    equal((await get(again, `/v1/responses/${kept}`)).id, kept, value);
    equal((await get(again, '/readyz')).accounts.total, 3, value); // two and the official key
    ok(!/could not be read/.test(again.log()), again.log());
    equal(await again.stop(), 0);
  }
  for (const f of files(data)) look(f, readFileSync(f).toString('latin1'), { ...secret, ...prompts, newer: 'canary-Newer-Secret-21' });
  const late = spawnSync(binary, [], { encoding: 'utf8', cwd: logs, env: { PATH: process.env.PATH, ...env } });
  equal(late.status, 65, late.stderr);
});

rmSync(top, { recursive: true, force: true });
await done();
