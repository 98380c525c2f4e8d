// One account tried (api 9.1 testAccount), and the choice explained (api 9.1 explain): both without changing what they look at.
import { test, equal, ok, gateway, fakeUpstream, auth, post, chat, stream, done, sleep, waitFor, KEY, USER_KEY } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '60'] });
const gw = await gateway(fake, { ACCOUNTS: 'ok@example.org:correct horse,user1@example.org:pw-1,user2@example.org:pw-2', MAX_INFLIGHT_PER_ACCOUNT: '1', QUEUE_TIMEOUT: '5',
  CHAT_RETRY_BACKOFF_MS: '10' });
const read = async (r) => { const text = await r.text(); let json = null; try { json = JSON.parse(text); } catch { /* none */ } return { status: r.status, json, text, code: json?.error?.code, param: json?.error?.param }; };
const set = async (path, body) => read(await post(gw, path, body));
const get = async (path, key = KEY) => read(await fetch(gw.base + path, { headers: auth(key) }));
const account = async (email) => (await get('/api/getAllAccounts')).json.data.find((a) => a.email === email);
const explain = async (query = '') => (await get(`/api/explain${query}`)).json;
const why = (e, email) => e.others.find((o) => o.email === email);

await waitFor(async () => (await get('/readyz')).json.accounts?.usable === 3, 20000, 'all accounts are signed in');
await waitFor(async () => (await set('/api/models/refresh', {})).status === 200, 30000, 'the list of models is known'); // 503 while another one fetches it

await test('api 9.1: testAccount says hi through just that account', async () => {
  await fake.reset();
  const r = await set('/api/testAccount', { email: 'user2@example.org' });
  equal(r.status, 200, r.text);
  const t = r.json;
  equal([t.email, t.ok, t.status, t.code, t.error, t.route], ['user2@example.org', true, 200, null, null, 'web'], r.text);
  ok(t.latencyMs >= t.firstTokenMs && t.firstTokenMs > 0 && t.latencyMs < 30000, r.text);
  ok(/Hello/.test(t.answer) && t.model.startsWith('qwen'), r.text);
  const asked = (await (await fetch(`${fake.base}/__log?n=20&bodies=1`)).json()).filter((x) => x.path.startsWith('/api/v2/chat/completions'));
  equal([...new Set(asked.map((x) => x.email))], ['user2@example.org']);
  const named = await set('/api/testAccount', { email: 'ok@example.org', model: 'qwen3.7-max' });
  equal([named.json.ok, named.json.model], [true, 'qwen3.7-max'], named.text);
  ok((await account('user2@example.org')).stats.chat.calls === 1, 'it is counted like any chat');
});

await test('api 9.1: testAccount of an account in trouble: status, code and words, one attempt, no other account', async () => {
  for (const [scenario, status, code] of [['500', 502, 'upstream_error'], ['quota', 429, 'insufficient_quota'], ['empty', 502, 'empty_upstream_response']]) {
    const asked = async () => (await (await fetch(`${fake.base}/__log?n=500`)).json()).filter((x) => x.scenario === scenario).length;
    await fake.reset();
    await fake.script({ completions: [scenario, scenario, scenario] });
    const r = await set('/api/testAccount', { email: 'user1@example.org' });
    equal([r.status, r.json.ok, r.json.status, r.json.code], [200, false, status, code], scenario + r.text);
    ok(r.json.error.length > 10 && r.json.answer === null && r.json.latencyMs >= 0, r.text);
    equal(await asked(), 1, `${scenario}: asked once`);
    if (scenario === 'quota') { // it rests now: it is left in peace, and the rest is told
      const before = await account('user1@example.org');
      equal(before.status.kind, 'cooldown');
      const again = await set('/api/testAccount', { email: 'user1@example.org' });
      equal([again.json.ok, again.json.code, await asked()], [false, 'insufficient_quota', 1], again.text);
      equal((await account('user1@example.org')).features, before.features, 'the rest is as it was');
      await set('/api/clearCooldown', { email: 'user1@example.org' });
    }
  }
  equal((await account('ok@example.org')).status.kind, 'active');
  await fake.reset();
  const rows = [[{ email: 'nobody@example.org' }, 404, 'not_found', 'email'], [{}, 400, 'missing_required_parameter', 'email'], [{ email: 'ok@example.org', model: 5 }, 400, 'invalid_value', 'model'],
    [{ email: 'ok@example.org', model: 'no-such-model' }, 404, 'model_not_found', 'model'], [{ email: 'ok@example.org', model: 'qwen3.7-plus-image' }, 400, null, 'model']];
  for (const [body, st, code, param] of rows) {
    const r = await set('/api/testAccount', body);
    equal([r.status, r.param], [st, param], JSON.stringify(body) + r.text);
    if (code) equal(r.code, code, r.text);
  }
  await set('/api/setAccountEnabled', { email: 'user1@example.org', enabled: false });
  const off = await set('/api/testAccount', { email: 'user1@example.org' });
  equal([off.json.ok, off.json.code, (await fake.stats()).completions], [false, 'no_usable_account', 0], off.text);
  await set('/api/setAccountEnabled', { email: 'user1@example.org', enabled: true });
});

await test('api 9.1: testAccount of a grant and of an official key', async () => {
  equal((await set('/api/setAccount', { kind: 'cli', name: 'my-grant', credentials: { access_token: 'cli-access-of-ok', refresh_token: 'cli-refresh-of-ok', token_type: 'Bearer',
    resource_url: 'portal.qwen.ai', expiry_date: Date.now() + 3600000 } })).status, 200);
  const base = { kind: 'api', apiKey: 'sk-fake-dashscope', baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1' };
  for (const [name, serves] of [['paid', ['cli']], ['paid-chat', ['chat']], ['paid-vectors', ['embeddings']]]) equal((await set('/api/setAccount', { ...base, name, serves })).status, 200);
  for (const [email, route] of [['my-grant', 'cli'], ['paid', 'api'], ['paid-chat', 'api'], ['paid-vectors', 'api']]) {
    const r = await set('/api/testAccount', { email });
    equal([r.status, r.json.email, r.json.ok, r.json.status, r.json.route], [200, email, true, 200, route], r.text);
  }
  await fake.script({ dashscope: ['429'] });
  const busy = await set('/api/testAccount', { email: 'paid' });
  equal([busy.json.ok, busy.json.status, busy.json.code], [false, 429, 'rate_limit_exceeded'], busy.text);
  await fake.reset();
  for (const email of ['paid', 'paid-chat', 'paid-vectors', 'my-grant']) await fetch(`${gw.base}/api/deleteAccount?email=${email}`, { method: 'DELETE', headers: auth() });
});

await test('api 9.1: testAccount whose asker leaves gives the account back', async () => {
  await fake.script({ completions: ['slow ms=400'] });
  const leave = new AbortController();
  const asked = post(gw, '/api/testAccount', { email: 'ok@example.org' }, { signal: leave.signal }).catch(() => null);
  await waitFor(async () => (await account('ok@example.org')).inflight === 1, 5000, 'it runs');
  leave.abort();
  await asked;
  await waitFor(async () => (await account('ok@example.org')).inflight === 0, 5000, 'it is given back');
  await fake.reset();
});

await test('api 9.1: explain names the account that serves next, and it does', async () => {
  for (let i = 0; i < 6; i++) {
    const e = await explain('?model=qwen3.7-plus');
    ok(e.choice && e.choice.why.length > 10 && e.waitMs === 0, JSON.stringify(e));
    equal([e.others.length, e.model, e.feature, e.route, e.refused], [2, 'qwen3.7-plus', 'chat', 'web', null], JSON.stringify(e));
    ok(e.others.every((o) => /could serve, but was used later/.test(o.why) && o.until === null), JSON.stringify(e));
    const before = (await account(e.choice.email)).stats.chat.calls;
    equal((await chat(gw, 'hello')).status, 200);
    equal((await account(e.choice.email)).stats.chat.calls, before + 1, `${e.choice.email} served`);
  }
});

await test('api 9.1: explain tells why not, and until when', async () => {
  const first = (await explain()).choice.email, rest = ['ok@example.org', 'user1@example.org', 'user2@example.org'].filter((x) => x !== first);
  await fake.script({ completions: ['quota'] });
  await set('/api/testAccount', { email: first });
  await set('/api/setAccountEnabled', { email: rest[0], enabled: false });
  await fake.reset();
  await fake.script({ completions: ['slow ms=500'] });
  const held = new AbortController();
  const running = post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: 'x' }] }, { signal: held.signal }).catch(() => null);
  await waitFor(async () => (await account(rest[1])).inflight === 1, 5000, 'the last one is busy');
  const e = await explain('?feature=chat');
  equal(e.choice, null, JSON.stringify(e));
  ok(/rests: daily_quota \(.+\)/.test(why(e, first).why), JSON.stringify(e));
  const told = (await account(first)).features.chat;
  ok(Math.abs(why(e, first).until - told.until) <= 1 && e.waitMs > 1000, JSON.stringify([e, told]));
  equal(why(e, rest[0]), { email: rest[0], why: 'is switched off', until: null });
  equal(why(e, rest[1]), { email: rest[1], why: 'is busy: 1 of 1 turns at once', until: null });
  await set('/api/updateAccount', { email: rest[1], maxInflight: 2 });
  equal((await explain('?feature=chat')).choice?.email, rest[1], 'maxInflight of the account wins over MAX_INFLIGHT_PER_ACCOUNT');
  await set('/api/updateAccount', { email: rest[1], maxInflight: null });
  equal((await explain('?feature=chat')).choice, null);
  const image = await explain('?model=qwen3.7-plus-image');
  ok(image.feature === 'image' || image.error?.code === 'unsupported_model_variant', JSON.stringify(image));
  equal((await explain('?feature=video')).choice?.email ?? null, first, 'its quota of chats says nothing of videos');
  held.abort();
  await running;
  await set('/api/setAccountEnabled', { email: rest[0], enabled: true });
  await set('/api/clearCooldown', { email: first });
  await fake.reset();
});

await test('api 9.1: explain of the CLI, of official keys, and for a key', async () => {
  const none = await explain('?feature=cli');
  ok(none.route === 'web' && none.choice, JSON.stringify(none));
  await set('/api/setAccount', { kind: 'api', name: 'paid', apiKey: 'sk-fake-dashscope', baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1', serves: ['cli', 'chat'] });
  const cli = await explain('?feature=cli');
  equal([cli.route, cli.choice?.email, cli.feature], ['api', 'paid', 'cli'], JSON.stringify(cli));
  ok(/web account/.test(why(cli, 'ok@example.org').why), JSON.stringify(cli));
  const web = await explain('?model=qwen3.7-plus');
  ok(/does not serve the web chat: it is an official key/.test(why(web, 'paid').why), JSON.stringify(web));
  const native = await explain('?model=qwen-plus');
  equal([native.route, native.choice?.email, native.model], ['api', 'paid', 'qwen-plus'], JSON.stringify(native));
  const made = await set('/api/addRegularKey', { name: 'narrow', models: ['qwen3.7-max'], rpm: 5 });
  const keys = (await get('/api/keys')).json, list = Array.isArray(keys) ? keys : keys.data ?? keys.keys;
  const id = list.find((k) => k.name === 'narrow').id;
  equal(made.status, 200, made.text);
  const may = await explain(`?model=qwen3.7-max&key=${id}`), mayNot = await explain(`?model=qwen3.7-plus&key=${id}`);
  ok(may.choice && may.refused === null, JSON.stringify(may));
  equal([mayNot.choice, mayNot.waitMs, mayNot.refused.code], [null, null, 'model_not_allowed_for_key'], JSON.stringify(mayNot));
  equal(list.find((k) => k.id === id).usage.today.calls, 0, 'nothing was counted');
  for (const [query, status, param] of [['?feature=dance', 400, 'feature'], ['?model=no-such-model', 404, 'model'], ['?key=0123', 404, 'key'], ['?key=' + 'a'.repeat(300), 404, 'key']]) {
    const r = await get('/api/explain' + query);
    equal([r.status, r.param], [status, param], query + r.text);
  }
  equal((await get('/api/explain', USER_KEY)).code, 'admin_required');
});

await test('api 9.1: explain of a gateway without accounts', async () => {
  const bare = await gateway(fake, { ACCOUNTS: null });
  const e = await (await fetch(`${bare.base}/api/explain?model=qwen3.7-plus`, { headers: auth() })).json();
  equal([e.choice, e.waitMs, e.others], [null, null, []], JSON.stringify(e));
  await bare.stop();
});

await gw.stop();
await done();
