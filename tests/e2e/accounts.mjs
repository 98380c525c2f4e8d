// Accounts over the API (api 9.1): add, look, change, enable, take away, renew; masked everywhere; kept over a restart.
import { join } from 'node:path';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test, equal, ok, gateway, fakeUpstream, auth, post, chat, stream, done, sleep, waitFor, KEY, USER_KEY } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '60'] });
const dir = mkdtempSync(join(tmpdir(), 'q2a-accounts-'));
const env = { ACCOUNTS: null, DATA_SAVE_MODE: 'file', DATA_DIR: dir, BATCH_LOGIN_CONCURRENCY: '4' };
const MASK = '••••••••';
let gw = await gateway(fake, env);

async function call(method, path, body, { key = KEY, on = gw } = {}) {
  const r = await fetch(on.base + path, { method, headers: { ...auth(key), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
  const text = await r.text();
  let json = null;
  try { json = JSON.parse(text); } catch { /* not JSON */ }
  return { status: r.status, json, text, headers: r.headers, code: json?.error?.code, param: json?.error?.param };
}
const get = (path, o) => call('GET', path, undefined, o);
const set = (path, body, o) => call('POST', path, body, o);
const list = async (query = '') => (await get('/api/getAllAccounts' + query)).json;
const account = async (email) => (await list(`?search=${encodeURIComponent(email)}`)).data.find((a) => a.email === email);

await test('api 9.1: getAllAccounts of an empty gateway', async () => {
  equal(await list(), { total: 0, page: 1, pageSize: 1000, data: [] });
});

await test('api 9.1: setAccount signs in, stores, and says persisted', async () => {
  const r = await set('/api/setAccount', { email: 'ok@example.org', password: 'correct horse', note: 'first', proxy: null });
  equal(r.status, 200, r.text);
  equal([r.json.email, r.json.persisted, typeof r.json.message], ['ok@example.org', true, 'string']);
  const a = await account('ok@example.org');
  equal([a.kind, a.note, a.source, a.enabled, a.proxy, a.token, a.password], ['web', 'first', 'stored', true, null, MASK, MASK], 'account');
  ok(a.expires > Date.now() / 1000 && a.expires < 1e11, 'expires in seconds');
  ok(Math.abs(a.createdAt - Date.now() / 1000) < 60, 'createdAt in seconds');
  equal(a.lastUsedAt, null);
  equal(a.status, { kind: 'active', until: null, lastErrorAt: null, lastErrorCode: null, lastErrorMessage: null });
  equal([a.inflight, a.features, a.cli, a.cliQuotaLimit, a.cliRequestNumber], [0, {}, 'none', 2000, 0]);
  equal(a.stats, { chat: { calls: 0, input: 0, output: 0 }, cli: { calls: 0, input: 0, output: 0 }, media: { images: 0, videos: 0 } });
  equal((await chat(gw, 'hello')).status, 200, 'it serves');
  const used = await account('ok@example.org');
  ok(used.lastUsedAt > 0 && used.stats.chat.calls === 1 && used.stats.chat.output > 0, JSON.stringify(used.stats));
});

await test('api 9.1: setAccount with a bare token: the upstream tells its name', async () => {
  const signin = await fetch(`${fake.base}/api/v1/auths/signin`, { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'user1@example.org', password: (await import('node:crypto')).createHash('sha256').update('pw-1').digest('hex') }) });
  const { token } = await signin.json();
  const r = await set('/api/setAccount', { token, note: 'bare' });
  equal([r.status, r.json.email], [200, 'user1@example.org'], r.text);
  const a = await account('user1@example.org');
  equal([a.token, a.password, a.note], [MASK, null, 'bare']);
  ok(!JSON.stringify(a).includes(token), 'the token is nowhere');
  equal((await set('/api/setAccount', { token })).code, 'already_exists');
  const dead = await set('/api/setAccount', { token: token.slice(0, -4) + 'AAAA' });
  equal([dead.status, dead.code], [422, 'login_failed'], dead.text);
});

await test('api 9.1: setAccount of kind cli and api', async () => {
  const cli = await set('/api/setAccount', { kind: 'cli', name: 'my-grant', credentials: { access_token: 'cli-access-of-ok', refresh_token: 'cli-refresh-of-ok',
    token_type: 'Bearer', resource_url: 'portal.qwen.ai', expiry_date: Date.now() + 3600000 } });
  equal([cli.status, cli.json?.email], [200, 'my-grant'], cli.text);
  const a = await account('my-grant');
  equal([a.kind, a.password, a.cli], ['cli', null, 'ok']);
  const api = await set('/api/setAccount', { kind: 'api', name: 'paid', apiKey: 'sk-fake-dashscope', baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1/',
    serves: ['cli', 'chat'] });
  equal(api.status, 200, api.text);
  const b = await account('paid');
  equal([b.kind, b.apiKey, b.baseUrl, b.serves, b.modelsGiven, b.expires], ['api', MASK, 'https://dashscope.aliyuncs.com/compatible-mode/v1', ['cli', 'chat'], false, null]);
  ok(b.models.includes('qwen-plus'), 'its list was read');
  const wrong = await set('/api/setAccount', { kind: 'api', name: 'other', apiKey: 'sk-wrong', baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1' });
  equal([wrong.status, wrong.code], [422, 'login_failed'], wrong.text);
  const r = await post(gw, '/cli/v1/chat/completions', { model: 'coder-model', messages: [{ role: 'user', content: 'hi' }] });
  equal([r.status, r.headers.get('x-qwen2api-route')], [200, 'cli'], await r.text());
});

await test('api 9.1, api 12 already_exists, login_failed: what setAccount refuses', async () => {
  const rows = [
    [{ email: 'ok@example.org', password: 'correct horse' }, 409, 'already_exists'],
    [{ email: 'bad@example.org', password: 'whatever' }, 422, 'login_failed'],
    [{ email: 'user2@example.org', password: 'wrong' }, 422, 'login_failed'],
    [{ email: 'challenge@example.org', password: 'x' }, 502, 'upstream_challenge'],
    [{ email: 'no-address', password: 'x' }, 400, 'invalid_value', 'email'],
    [{ email: 'a b@example.org', password: 'x' }, 400, 'invalid_value', 'email'],
    [{ email: 'user2@example.org' }, 400, 'missing_required_parameter', 'password'],
    [{ password: 'x' }, 400, 'missing_required_parameter', 'email'],
    [{ email: 5, password: 'x' }, 400, 'invalid_type', 'email'],
    [{ email: 'user2@example.org', password: 7 }, 400, 'invalid_type', 'password'],
    [{ email: 'user2@example.org', password: 'pw-2', proxy: 'ftp://x' }, 400, 'invalid_value', 'proxy'],
    [{ email: 'user2@example.org', password: 'pw-2', headers: { Host: 'x' } }, 400, 'invalid_value', 'headers'],
    [{ email: 'user2@example.org', password: 'pw-2', headers: { 'X-A': 'a\r\nb' } }, 400, 'invalid_value', 'headers'],
    [{ email: 'user2@example.org', password: 'pw-2', headers: Object.fromEntries([...Array(21)].map((_, i) => [`X-${i}`, 'v'])) }, 400, 'invalid_value', 'headers'],
    [{ email: 'user2@example.org', password: 'pw-2', cookie: 'a\nb' }, 400, 'invalid_value', 'cookie'],
    [{ email: 'user2@example.org', password: 'pw-2', maxInflight: 0 }, 400, 'invalid_value', 'maxInflight'],
    [{ token: 'two words' }, 400, 'invalid_value', 'token'],
    [{ kind: 'dream', name: 'x' }, 400, 'invalid_value', 'kind'],
    [{ kind: 'api', name: 'env-1', apiKey: 'k', baseUrl: 'https://a.example' }, 400, 'invalid_value', 'name'],
    [{ kind: 'api', name: 'n', apiKey: 'k' }, 400, 'missing_required_parameter', 'baseUrl'],
    [{ kind: 'api', name: 'n', apiKey: 'k', baseUrl: 'https://a.example', serves: ['all'] }, 400, 'invalid_value', 'serves'],
    [{ kind: 'cli', name: 'n', credentials: {} }, 400, 'invalid_value', 'credentials'],
    [{ email: 'user2@example.org', password: 'pw-2', proxy: 'http://127.0.0.1:9' }, 502, 'proxy_error'],
    ['[', 400, 'invalid_json'], ['', 400, 'empty_body'], ['[]', 400, 'invalid_type'],
  ];
  for (const [body, status, code, param] of rows) {
    const r = await set('/api/setAccount', body);
    equal([r.status, r.code], [status, code], JSON.stringify(body) + r.text);
    if (param) equal(r.param, param, JSON.stringify(body));
    equal(r.json.message, r.json.error.message, 'message at the top for old scripts');
  }
  const gone = await set('/api/setAccount', { kind: 'api', name: 'n', apiKey: 'k', baseUrl: 'http://127.0.0.1:9/v1' });
  equal([gone.status, gone.code], [502, 'upstream_unreachable'], gone.text);
  equal((await list()).total, 4, 'nothing of that was added');
});

await test('D25: passwords with colons and signs, through the API', async () => {
  const r = await set('/api/setAccount', { email: 'colon@example.org', password: 'pa:ss@word#1' });
  equal(r.status, 200, r.text);
  const s = await get('/api/accountSecret?email=colon@example.org');
  equal(s.json, { email: 'colon@example.org', password: 'pa:ss@word#1' });
  await waitFor(() => gw.log().includes('was shown to an administrator'), 10000, 'showing is logged'); /* the log has a thread of its own */
  ok(!gw.log().includes('pa:ss@word#1'), 'the password is not in the log');
  equal((await get('/api/accountSecret?email=nobody@example.org')).status, 404);
  equal((await get('/api/accountSecret')).status, 400);
});

await test('D17: no list, answer or log has a password or token in clear', async () => {
  const all = JSON.stringify(await list()) + gw.log();
  for (const secret of ['correct horse', 'pa:ss@word#1', 'cli-access-of-ok', 'cli-refresh-of-ok', 'sk-fake-dashscope', 'eyJ']) ok(!all.includes(secret), secret);
});

await test('api 9.1: updateAccount changes what is named, null takes away, dots leave', async () => {
  const r = await set('/api/updateAccount', { email: 'ok@example.org', note: 'second', proxy: 'http://me:hush@127.0.0.1:9', maxInflight: 3, headers: { 'X-Own': 'secret-one', 'X-Two': '2' },
    cookie: 'extra=secret-two', password: MASK, token: MASK });
  equal([r.status, r.json.persisted, r.json.note, r.json.maxInflight], [200, true, 'second', 3], r.text);
  equal([r.json.proxy, r.json.headers, r.json.cookie], [`http://${MASK}@127.0.0.1:9`, { 'X-Own': MASK, 'X-Two': MASK }, MASK]);
  ok(!r.text.includes('hush') && !r.text.includes('secret-'), 'no secret in the answer');
  equal((await list('?search=hush')).total, 0, 'nobody finds by a secret');
  const same = await set('/api/updateAccount', { email: 'ok@example.org', proxy: `http://${MASK}@127.0.0.1:9`, headers: { 'X-Own': MASK } });
  equal([same.json.proxy, same.json.headers], [`http://${MASK}@127.0.0.1:9`, { 'X-Own': MASK }]);
  for (const path of ['/api/updateAccount', '/api/updateAccountProxy']) { /* dots of another address are no user info */
    const other = await set(path, { email: 'ok@example.org', proxy: `http://${MASK}@127.0.0.1:10` });
    equal([other.status, other.code, other.json.error.param], [400, 'invalid_value', 'proxy'], other.text);
  }
  equal((await set('/api/updateAccount', { email: 'ok@example.org' })).json.proxy, `http://${MASK}@127.0.0.1:9`);
  equal((await set('/api/setAccount', { email: 'dots@example.org', password: 'correct horse', proxy: `http://${MASK}@127.0.0.1:9` })).code, 'invalid_value');
  equal((await list('?search=dots@')).total, 0);
  const none = await set('/api/updateAccount', { email: 'ok@example.org', note: null, proxy: null, maxInflight: null });
  equal([none.json.note, none.json.proxy, none.json.maxInflight, none.json.headers], [null, null, null, { 'X-Own': MASK }]);
  equal((await set('/api/updateAccount', { email: 'nobody@example.org', note: 'x' })).code, 'not_found');
  equal((await set('/api/updateAccount', { note: 'x' })).status, 400);
  equal((await set('/api/updateAccount', { email: 'ok@example.org', headers: { Authorization: 'x' } })).status, 400);
  equal((await set('/api/updateAccount', { email: 'ok@example.org', password: 'correct horse' })).status, 200);
});

await test('api 9.1: headers and cookie of an account go with its calls, over the global ones', async () => {
  await call('PATCH', '/api/settings', { upstreamHeaders: { 'X-Own': 'global', 'X-All': 'all' }, upstreamCookie: 'world=1' });
  await set('/api/updateAccount', { email: 'ok@example.org', headers: { 'X-Own': 'of the account', 'User-Agent': 'mine/1' }, cookie: 'extra=2', enabled: true });
  for (const email of ['user1@example.org', 'colon@example.org']) await set('/api/setAccountEnabled', { email, enabled: false });
  await fake.reset();
  equal((await chat(gw, 'headers?')).status, 200);
  const heads = await (await fetch(`${fake.base}/__log?heads=1&n=20`)).json();
  const asked = JSON.stringify(heads);
  for (const path of ['/api/v2/chats/new', '/api/v2/chat/completions']) {
    const one = heads.find((h) => h.path.startsWith(path) && h.email === 'ok@example.org');
    ok(one, `${path} was called: ${asked.slice(0, 500)}`);
    const head = JSON.stringify(one);
    ok(/X-Own: of the account/.test(head) && !/X-Own: global/.test(head), head);
    ok(/X-All: all/.test(head) && /User-Agent: mine\/1/.test(head) && (head.match(/User-Agent/g) ?? []).length === 1, head);
    ok(/Cookie: token=[^;]+; world=1; extra=2/.test(head), head);
  }
  await set('/api/updateAccount', { email: 'ok@example.org', headers: null, cookie: null });
  for (const email of ['user1@example.org', 'colon@example.org']) await set('/api/setAccountEnabled', { email, enabled: true });
  await set('/api/settings/reset', {});
});

await test('api 9.1: headers and cookie of a grant and of an official key go with their calls, too', async () => {
  await set('/api/updateAccount', { email: 'paid', headers: { 'X-Own': 'of the key' }, cookie: 'key=1' });
  await set('/api/updateAccount', { email: 'my-grant', headers: { 'X-Own': 'of the grant' }, cookie: 'grant=1' });
  for (const [email, path, own, cookie] of [['paid', '/compatible-mode/v1/chat/completions', 'of the key', 'key=1'], ['my-grant', '/v1/chat/completions', 'of the grant', 'grant=1']]) {
    const r = await set('/api/testAccount', { email });
    equal([r.json.ok, r.json.email], [true, email], r.text);
    const heads = await (await fetch(`${fake.base}/__log?heads=1&n=5`)).json(), one = JSON.stringify(heads.filter((h) => h.path.startsWith(path)));
    ok(one.includes(`X-Own: ${own}`) && one.includes(`Cookie: ${cookie}`), one || JSON.stringify(heads).slice(0, 1000));
    const back = await set('/api/updateAccount', { email, headers: null, cookie: null });
    equal([back.json.headers, back.json.cookie], [null, null], back.text);
  }
});

await test('api 9.1: updateAccountProxy', async () => {
  const r = await set('/api/updateAccountProxy', { email: 'colon@example.org', proxy: 'socks5://u:p@127.0.0.1:1080' });
  equal(r.json, { email: 'colon@example.org', proxy: `socks5://${MASK}@127.0.0.1:1080`, persisted: true });
  equal((await list('?search=127.0.0.1%3A1080')).total, 1, 'search finds the address');
  equal((await set('/api/updateAccountProxy', { email: 'colon@example.org', proxy: null })).json.proxy, null);
  equal((await set('/api/updateAccountProxy', { email: 'colon@example.org' })).param, 'proxy');
  equal((await set('/api/updateAccountProxy', { email: 'colon@example.org', proxy: 'x' })).status, 400);
  equal((await set('/api/updateAccountProxy', { email: 'nobody@example.org', proxy: null })).status, 404);
});

await test('api 9.1: setAccountEnabled, and a disabled account serves nobody', async () => {
  const all = ['ok@example.org', 'user1@example.org', 'colon@example.org'];
  equal((await set('/api/setAccountEnabled', { emails: all, enabled: false })).json, { updated: 3, persisted: true });
  const a = await account('ok@example.org');
  equal([a.enabled, a.status.kind, a.features.chat.state], [false, 'disabled', 'disabled']);
  equal((await chat(gw, 'x', { model: 'qwen3.7-max' })).status, 503);
  equal((await set('/api/setAccountEnabled', { emails: [...all, 'nobody@example.org'], enabled: true })).json.updated, 3);
  equal((await chat(gw, 'x')).status, 200);
  equal((await set('/api/setAccountEnabled', { email: 'nobody@example.org', enabled: true })).status, 404);
  equal((await set('/api/setAccountEnabled', { email: 'ok@example.org' })).status, 400);
});

await test('api 9.1: a rest is told with its reason and the upstream\'s words, and clearCooldown ends it', async () => {
  await set('/api/setAccountEnabled', { emails: ['user1@example.org', 'colon@example.org'], enabled: false });
  await fake.script({ completions: ['quota'] });
  await chat(gw, 'limited');
  const a = await account('ok@example.org');
  equal([a.status.kind, a.features.chat.state, a.features.chat.reason], ['cooldown', 'limited', 'daily_quota'], JSON.stringify(a));
  ok(a.features.chat.until > Date.now() / 1000 && a.features.chat.message.length > 3 && a.features.chat.message.length <= 300, 'until and words');
  equal([a.status.until, a.status.lastErrorCode], [a.features.chat.until, 'insufficient_quota']);
  ok(Math.abs(a.status.lastErrorAt - Date.now() / 1000) < 60, 'lastErrorAt');
  equal((await list('?status=cooldown')).total, 1);
  equal((await chat(gw, 'x')).status, 429);
  const other = await set('/api/clearCooldown', { email: 'ok@example.org', feature: 'image' });
  equal(other.json.status.kind, 'cooldown');
  const r = await set('/api/clearCooldown', { email: 'ok@example.org', feature: 'chat' });
  equal([r.status, r.json.status.kind, r.json.features, r.json.persisted], [200, 'active', {}, true], r.text);
  equal((await chat(gw, 'x')).status, 200);
  equal((await set('/api/clearCooldown', { email: 'ok@example.org', feature: 'dance' })).param, 'feature');
  equal((await set('/api/clearCooldown', { email: 'nobody@example.org' })).status, 404);
  await fake.script({ completions: ['500', '500', '500', '500'] });
  await chat(gw, 'x');
  equal((await account('ok@example.org')).status.kind, 'warn', 'the last turn failed');
  await fake.reset();
  equal((await chat(gw, 'x')).status, 200);
  equal((await account('ok@example.org')).status.kind, 'active');
});

await test('api 9.1: chats that run on an account which is disabled or deleted go on to their end', async () => {
  const others = ['ok@example.org', 'user1@example.org', 'colon@example.org'];
  equal((await set('/api/setAccount', { email: 'user3@example.org', password: 'pw-3' })).status, 200);
  await set('/api/setAccountEnabled', { emails: others, enabled: false });
  for (const how of ['disabled', 'deleted']) {
    const running = [1, 2].map(() => stream(gw, '[[scenario:slow ms=300]]', { model: 'qwen3.7-max' }));
    await waitFor(async () => (await account('user3@example.org')).inflight === 2, 10000, 'both run');
    if (how === 'disabled') equal((await set('/api/setAccountEnabled', { email: 'user3@example.org', enabled: false })).json.updated, 1);
    else equal((await call('DELETE', '/api/deleteAccount', { email: 'user3@example.org' })).json.deleted, 1);
    equal((await chat(gw, 'x', { model: 'qwen3.7-max' })).status, 503, `${how}: nothing new begins on it`);
    for (const r of await Promise.all(running)) equal([r.status, r.finish, r.error, r.text.length > 10], [200, 'stop', undefined, true], how);
    if (how === 'disabled') {
      await waitFor(async () => (await account('user3@example.org')).inflight === 0, 5000, 'given back');
      await set('/api/setAccountEnabled', { email: 'user3@example.org', enabled: true });
    }
  }
  equal(await account('user3@example.org'), undefined);
  equal((await set('/api/setAccount', { email: 'user3@example.org', password: 'pw-3' })).status, 200, 'it may come again');
  equal((await chat(gw, 'x', { model: 'qwen3.7-max' })).status, 200);
  equal((await call('DELETE', '/api/deleteAccount', { email: 'user3@example.org' })).json.deleted, 1);
  await set('/api/setAccountEnabled', { email: 'ok@example.org', enabled: true });
});

await test('api 9.1: refreshAccount', async () => {
  await fake.reset();
  const r = await set('/api/refreshAccount', { email: 'ok@example.org' });
  equal([r.status, r.json.email, r.json.persisted], [200, 'ok@example.org', true], r.text);
  ok(r.json.expires > Date.now() / 1000 + 3600, 'a new end');
  equal((await fake.stats()).signin, 1, 'one sign-in');
  const bare = await set('/api/refreshAccount', { email: 'user1@example.org' });
  equal([bare.status, bare.code], [422, 'login_failed'], bare.text);
  equal((await account('user1@example.org')).status.kind, 'disabled', 'its state is as before');
  equal((await set('/api/refreshAccount', { email: 'nobody@example.org' })).status, 404);
  await fake.script({ signin: ['401'] });
  const refused = await set('/api/refreshAccount', { email: 'ok@example.org' });
  equal([refused.status, refused.code], [422, 'login_failed'], refused.text);
  equal((await account('ok@example.org')).status.kind, 'login_failed');
  await fake.reset();
  equal((await set('/api/refreshAccount', { email: 'ok@example.org' })).status, 200);
  equal((await account('ok@example.org')).status.kind, 'active');
  await fake.script({ signin: ['429'] });
  const busy = await set('/api/refreshAccount', { email: 'colon@example.org' });
  ok(busy.status === 429 && busy.headers.get('retry-after'), busy.text);
  await fake.reset();
});

await test('api 9.1: all of it is there after a restart', async () => {
  await set('/api/setAccountEnabled', { emails: ['user1@example.org', 'colon@example.org'], enabled: true });
  await set('/api/updateAccount', { email: 'ok@example.org', note: 'kept ü "quoted"', maxInflight: 7, headers: { 'X-Kept': 'v' }, cookie: 'c=1', proxy: null });
  await set('/api/setAccountEnabled', { email: 'user1@example.org', enabled: false });
  const strip = (d) => d.data.map(({ stats, ...a }) => a);
  const before = await list();
  gw.process.kill('SIGKILL');
  await gw.process.ended;
  gw = await gateway(fake, env);
  const after = await list();
  equal(strip(after).map((a) => [a.email, a.kind, a.note, a.enabled, a.expires, a.createdAt, a.maxInflight ?? null, a.headers, a.cookie]),
    strip(before).map((a) => [a.email, a.kind, a.note, a.enabled, a.expires, a.createdAt, a.maxInflight ?? null, a.headers, a.cookie]));
  equal((await get('/api/accountSecret?email=colon@example.org')).json.password, 'pa:ss@word#1');
});

await test('api 9.1: deleteAccount by body, by query, many, all', async () => {
  equal((await call('DELETE', '/api/deleteAccount', { email: 'my-grant' })).json, { deleted: 1, persisted: true });
  equal((await call('DELETE', '/api/deleteAccount?email=paid')).json.deleted, 1);
  equal((await call('DELETE', '/api/deleteAccount', { email: 'paid' })).code, 'not_found');
  equal((await call('DELETE', '/api/deleteAccount', { emails: ['colon@example.org', 'nobody@example.org', 'colon@example.org'] })).json.deleted, 1);
  equal((await call('DELETE', '/api/deleteAccount')).status, 400);
  equal((await call('DELETE', '/api/deleteAccount', { all: true })).param, 'confirm');
  equal((await list()).total, 2);
  equal((await call('DELETE', '/api/deleteAccount', { all: true, confirm: 'DELETE' })).json.deleted, 2);
  equal((await list()).total, 0);
  await gw.stop();
  gw = await gateway(fake, env);
  equal((await list()).total, 0, 'gone for good');
});

await test('api 1.4, api 12 env_managed: accounts of the environment, and who may ask', async () => {
  const own = await gateway(fake, { CLI_API_KEY: 'sk-fake-dashscope', CLI_BASE_URL: 'https://dashscope.aliyuncs.com/compatible-mode/v1' });
  const on = { on: own };
  const all = (await get('/api/getAllAccounts', on)).json;
  equal(all.data.map((a) => [a.email, a.source, a.kind]), [['env-1', 'env', 'api'], ['ok@example.org', 'env', 'web']]);
  for (const [method, path, body] of [['POST', '/api/updateAccount', { email: 'env-1', note: 'x' }], ['DELETE', '/api/deleteAccount', { email: 'env-1' }],
    ['POST', '/api/updateAccountProxy', { email: 'env-1', proxy: null }], ['POST', '/api/setAccountEnabled', { email: 'env-1', enabled: false }]]) {
    const r = await call(method, path, body, on);
    equal([r.status, r.code], [409, 'env_managed'], path + r.text);
  }
  const r = await call('POST', '/api/updateAccount', { email: 'ok@example.org', note: 'x' }, on);
  equal([r.status, r.json.persisted], [200, false], 'memory only');
  equal((await get('/api/getAllAccounts', { ...on, key: USER_KEY })).code, 'admin_required');
  equal((await set('/api/setAccount', {}, { ...on, key: 'sk-wrong-wrong-wrong' })).status, 401);
  equal((await call('DELETE', '/api/deleteAccount', { all: true, confirm: 'DELETE' }, on)).json.deleted, 1, 'not env-1');
  await own.stop();
});

await gw.stop();
rmSync(dir, { recursive: true, force: true });
await done();
