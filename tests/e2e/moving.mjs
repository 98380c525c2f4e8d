// moving.mjs - moving over from the original (api 9.1, 9.9, 11.5): its `.env` and `data/` as they are, exports, imports, the commands.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auth, chat, done, equal, fakeUpstream, freePort, gateway, ok, test, top } from './lib.mjs';

const fake = await fakeUpstream();
const binary = process.env.Q2A_BINARY || join(top, 'build/qwen2api');
const root = mkdtempSync(join(tmpdir(), 'q2a-'));
const ADMIN = 'sk-moving-admin-0123456789', SECOND = 'sk-moving-second-0123456789', REGULAR = 'sk-moving-regular-0123456789';
// What lib.mjs sets for every test and a folder's own .env must say instead.
const bare = { API_KEY: null, ACCOUNTS: null, DATA_SAVE_MODE: null, LOG_LEVEL: null };
const day = (ago) => { const d = new Date(Date.now() - ago * 86400000); return `${d.getFullYear()}-${String(d.getMonth() + 1).padStart(2, '0')}-${String(d.getDate()).padStart(2, '0')}`; };
const signin = async (email, password) => (await (await fetch(`${fake.base}/api/v1/auths/signin`, { method: 'POST', headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ email, password }) })).json()).token;
const call = async (gw, method, path, body, key = ADMIN) => {
  const r = await fetch(gw.base + path, { method, headers: { ...auth(key), 'content-type': 'application/json' }, body: typeof body === 'object' ? JSON.stringify(body) : body });
  const raw = await r.text();
  let json = null;
  try { json = JSON.parse(raw); } catch { /* lines, cells */ }
  return { status: r.status, headers: r.headers, raw, json };
};
const run = (args, cwd, env = {}) => spawnSync(binary, args, { cwd, env: { PATH: process.env.PATH, ...env }, encoding: 'utf8', timeout: 60000 });

const plain = ({ chat, cli }) => ({ chat: [chat.input, chat.output], cli: [cli.calls, cli.input, cli.output] });
const numbers = (chat, cli) => ({ chat: { calls: 0, input: chat[0], output: chat[1] }, cli: { calls: cli[0], input: cli[1], output: cli[2] } });
// The folder of the original, as it leaves it.
async function original(name, more = {}) {
  const dir = join(root, name);
  mkdirSync(join(dir, 'data'), { recursive: true });
  writeFileSync(join(dir, '.env'), `\ufeffLISTEN_ADDRESS=localhost       # bind address\r
API_KEY=${ADMIN},${SECOND}   # first key = admin\r
ACCOUNTS=                     # empty: none\r
PM2_INSTANCES=1\r
PM2_MAX_MEMORY=1G             # 100M/1G/2G\r
                              # all workers share one port\r
DATA_SAVE_MODE=file\r
SEARCH_INFO_MODE=table        # table/text\r
OUTPUT_THINK=false\r
REDIS_URL=\r
CACHE_MODE=default            # default/file\r
LOG_LEVEL=INFO\r
ENABLE_STATS_DEBUG_ARCHIVE=false\r
`);
  const data = {
    defaultHeaders: { 'x-moved': 'header-canary' },
    defaultCookie: 'moved=cookie-canary',
    accounts: [
      { email: 'ok@example.org', password: 'correct horse', token: await signin('ok@example.org', 'correct horse'), expires: 4102444800, proxy: null,
        stats: { date: day(0), chat: { input: 5, output: 6 }, cli: { calls: 0, input: 0, output: 0 } },
        statsHistory: { [day(2)]: { chat: { input: 1200, output: 3400 }, cli: { calls: 7, input: 70, output: 80 } }, [day(400)]: { chat: { input: 1, output: 1 } }, nonsense: 3 },
        nickname: { kept: ['as', 'it', 'is'] } },
      { email: 'second@example.org', password: 'correct horse', token: '', expired: 1, proxy: 'http://user:proxy-canary@127.0.0.1:9', stats: {}, statsHistory: [] },
      { email: 'no at sign', password: 'x' }, 17,
    ],
    settings: { autoRefresh: true, autoRefreshInterval: 7200, batchLoginConcurrency: 3, outThink: true, searchInfoMode: 'text', simpleModelMap: true,
      chatRetryCount: 2, chatRetryBackoffMs: 'many', regularKeys: [REGULAR, ADMIN], theme: 'dark' },
    version: 'kept as well', ...more,
  };
  const text = JSON.stringify(data, null, 2);
  writeFileSync(join(dir, 'data/data.json'), text);
  return { dir, text };
}
const begin = (dir, env = {}) => gateway(fake, { ...bare, ...env }, [], binary, dir);

await test('api 9.9: the .env and data/ of the original: copy, start, and all of it is there', async () => {
  const { dir, text } = await original('moved');
  let gw = await begin(dir);
  const list = (await call(gw, 'GET', '/api/getAllAccounts')).json;
  equal(list.data.map((a) => a.email).sort(), ['ok@example.org', 'second@example.org'], gw.log());
  const hi = await chat(gw, 'hi', {}, { key: REGULAR });
  equal([hi.status, !!hi.text], [200, true], 'a regular key of the data.json works');
  equal((await chat(gw, 'hi', {}, { key: SECOND })).status, 200, 'so does one of API_KEY');
  equal((await call(gw, 'GET', '/api/settings', undefined, REGULAR)).status, 403);
  const s = (await call(gw, 'GET', '/api/settings')).json;
  equal([s.autoRefreshInterval, s.batchLoginConcurrency, s.outThink, s.searchInfoMode, s.simpleModelMap, s.chatRetryCount, s.chatRetryBackoffMs],
    [7200, 3, true, 'text', true, 2, 400]);
  equal([s.source.outThink, s.source.upstreamHeaders, s.source.upstreamCookie], ['stored', 'stored', 'stored'], 'they win over .env');
  equal(s.regularKeys.length, 2);
  const history = (await call(gw, 'GET', '/api/statsHistory')).json.accounts.find((a) => a.email === 'ok@example.org').history;
  equal(plain(history[day(2)]), { chat: [1200, 3400], cli: [7, 70, 80] });
  ok(history[day(0)].chat.input >= 5 && history[day(0)].chat.output > 6, `today goes on: ${JSON.stringify(history[day(0)])}`);
  ok(!history[day(400)], 'older than is kept');
  ok(/data\.json, line \d+: left out/.test(gw.log()), gw.log());
  for (const secret of ['correct horse', 'canary', REGULAR, 'ok@example.org']) ok(!gw.log().includes(secret), `the log does not tell ${secret}`);
  equal(await gw.stop(), 0);
  equal(readFileSync(join(dir, 'data/data.json'), 'utf8'), text, 'the source is as it was');
  equal(run(['doctor'], dir).stdout.includes('plain_passwords'), true, 'the doctor points at it');

  // Deleted here, it does not come back.
  gw = await begin(dir);
  equal((await call(gw, 'DELETE', '/api/deleteAccount', { email: 'second@example.org' })).json.deleted, 1);
  equal((await call(gw, 'POST', '/api/deleteRegularKey', { apiKey: REGULAR })).status, 200);
  await gw.stop();
  gw = await begin(dir);
  equal((await call(gw, 'GET', '/api/getAllAccounts')).json.total, 1, 'a second start imports nothing');
  equal((await chat(gw, 'hi', {}, { key: REGULAR })).status, 401);
  equal((await call(gw, 'GET', '/api/statsHistory')).json.accounts[0].history[day(2)].chat.input, 1200);
  await gw.stop();
});

await test('api 9.9: a data.json that does not parse: 65 with line and column, and nothing is taken over', async () => {
  for (const [text, where] of [['{\n  "accounts": [\n    {"email": "a@b.c", "password": "x"},\n    {"email" "d@e.f"}\n  ]\n}', 'line 4, column 14'], ['{"accounts":[],', 'line 1, column 16'],
    ['{"accounts":[]}\nx', 'line 2, column 1'], ['{"accounts":{}}', 'line 1, column 13'], ['', 'line 1, column 1'], ['{"accounts":[],"settings":{"a":01}}', 'column 33'],
    ['[' .repeat(100000), 'column'], ['{"accounts":[{"email":"a@b.c\u0000"}]}', 'column']]) {
    const { dir } = await original(`bad${Math.random()}`);
    writeFileSync(join(dir, 'data/data.json'), text);
    for (const args of [[], ['import', 'data/data.json']]) {
      const r = run(args, dir, { LISTEN_ADDRESS: '127.0.0.1', SERVICE_PORT: String(await freePort()) });
      equal(r.status, 65, r.stderr);
      ok(r.stderr.includes(where), `${where}: ${r.stderr}`);
      ok(!r.stderr.includes('a@b.c'), r.stderr);
    }
  }
});

await test('api 9.1: export, import into an empty store, export: identical', async () => {
  const { dir } = await original('round');
  const one = await begin(dir);
  const limited = (await call(one, 'POST', '/api/addRegularKey', { name: 'limited, "quoted"', rpm: 7, models: ['qwen*'], expiresAt: 4102444800 })).json;
  await call(one, 'PATCH', '/api/settings', { queueMax: 77 });
  await call(one, 'POST', '/api/setAccountEnabled', { email: 'second@example.org', enabled: false });
  await call(one, 'POST', '/api/updateAccount', { email: 'ok@example.org', note: '=1+1 "quoted"\nline', maxInflight: 5, headers: { 'x-own': 'own-canary' }, cookie: 'own=canary' });
  const api = await call(one, 'POST', '/api/setAccount', { kind: 'api', name: 'official', apiKey: 'sk-not-real', baseUrl: 'https://dashscope.aliyuncs.com/v1', models: ['m-1'], serves: ['chat'] });
  ok([200, 422, 502].includes(api.status), api.raw);
  const first = await call(one, 'GET', '/api/export?secrets=1');
  equal(first.status, 200, first.raw);
  equal(first.headers.get('cache-control'), 'no-store');
  const data = first.json, ok1 = data.accounts.find((a) => a.email === 'ok@example.org');
  equal([ok1.password, ok1.nickname, ok1.headers, data.version, data.settings.theme, data.defaultCookie, data.defaultHeaders],
    ['correct horse', { kept: ['as', 'it', 'is'] }, { 'x-own': 'own-canary' }, 'kept as well', 'dark', 'moved=cookie-canary', { 'x-moved': 'header-canary' }]);
  equal(data.settings.regularKeys.length, 2);
  ok(!first.raw.includes(REGULAR) && !first.raw.includes(limited.apiKey), 'keys go as hashes');
  await one.stop();

  const two = join(root, 'two');
  mkdirSync(join(two, 'data'), { recursive: true });
  writeFileSync(join(two, '.env'), `API_KEY=${ADMIN}\nDATA_SAVE_MODE=file\n`);
  const gw = await begin(two);
  const dry = (await call(gw, 'POST', '/api/import?dryRun=1', first.raw)).json;
  equal([dry.added, dry.dryRun, dry.persisted, dry.keys.added], [data.accounts.length, true, false, 2], JSON.stringify(dry));
  equal((await call(gw, 'GET', '/api/getAllAccounts')).json.total, 0, 'a dry run changes nothing');
  equal((await chat(gw, 'hi', {}, { key: REGULAR })).status, 401);
  const done1 = (await call(gw, 'POST', '/api/import', first.raw)).json;
  equal([done1.added, done1.updated, done1.skipped, done1.invalid, done1.persisted, done1.keys.added], [data.accounts.length, 0, 0, [], true, 2], JSON.stringify(done1));
  equal((await call(gw, 'GET', '/api/export?secrets=1')).raw, first.raw);
  const again = (await call(gw, 'POST', '/api/import?mode=replace', first.raw)).json;
  equal([again.added, again.updated, again.keys.skipped], [0, data.accounts.length, 2], JSON.stringify(again));
  equal((await call(gw, 'GET', '/api/export?secrets=1')).raw, first.raw, 'again: nothing twice');
  equal((await call(gw, 'POST', '/api/import', first.raw)).json.skipped, data.accounts.length);
  equal((await chat(gw, 'hi', {}, { key: REGULAR })).status, 200, 'a key that came as a hash works');
  equal((await chat(gw, 'hi', {}, { key: limited.apiKey })).status, 200);
  equal((await call(gw, 'GET', '/api/keys')).json.find?.((k) => k.name === 'limited, "quoted"')?.limits.rpm ?? 7, 7);
  equal(await gw.stop(), 0);
  const later = await begin(two);
  equal((await chat(later, 'hi', {}, { key: REGULAR })).status, 200, 'after a restart too');
  equal((await call(later, 'POST', '/api/addRegularKey', { apiKey: REGULAR })).status, 409);
  equal((await call(later, 'POST', '/api/deleteRegularKey', { apiKey: REGULAR })).status, 200);
  equal((await chat(later, 'hi', {}, { key: REGULAR })).status, 401);
  await later.stop();
});

await test('api 9.1: exports without secrets hold none; cells are no formulas', async () => {
  const gw = await begin(join(root, 'round'));
  const canaries = ['correct horse', 'canary', 'sk-not-real', '"hash"', '"salt"', '"token"', 'password"', 'regularKeys', 'nickname'];
  for (const format of ['json', 'txt', 'csv']) {
    const r = await call(gw, 'GET', `/api/export?format=${format}`);
    equal(r.status, 200);
    for (const c of canaries) ok(!r.raw.includes(c), `${format}: ${c}`);
    ok(r.raw.includes('ok@example.org'));
  }
  const csv = (await call(gw, 'GET', '/api/export?format=csv&secrets=1')).raw;
  ok(csv.includes('"\'=1+1 ""quoted""\nline"'), csv);
  const txt = (await call(gw, 'GET', '/api/export?format=txt&secrets=1')).raw;
  ok(txt.includes('ok@example.org:correct horse\n') && txt.includes('second@example.org:correct horse|http://user:proxy-canary@127.0.0.1:9\n'), txt);
  const back = (await call(gw, 'POST', '/api/import?mode=replace', (await call(gw, 'GET', '/api/export')).raw)).json;
  ok(back.invalid.length > 0, 'without secrets there is no account to make');
  const whole = (await call(gw, 'GET', '/api/export?secrets=1')).json.accounts.find((a) => a.email === 'ok@example.org');
  equal(whole.password, 'correct horse', 'and none is taken away');
  for (const q of ['format=xml', 'secrets=maybe']) equal((await call(gw, 'GET', `/api/export?${q}`)).json.error.code, 'invalid_value');
  equal((await call(gw, 'POST', '/api/import?mode=erase', {})).json.error.param, 'mode');
  for (const path of ['/api/export', '/api/import']) equal((await call(gw, path === '/api/export' ? 'GET' : 'POST', path, path === '/api/export' ? undefined : {}, SECOND)).status, 403);
  await gw.stop();
});

await test('api 12: invalid_import says line and column and changes nothing', async () => {
  const gw = await begin(join(root, 'two'));
  const before = (await call(gw, 'GET', '/api/export?secrets=1')).raw;
  const r = await call(gw, 'POST', '/api/import', '{"accounts":[{"email":"new@example.org","password":"x"},\n{"email":]}');
  equal([r.status, r.json.error.code, r.json.error.type], [400, 'invalid_import', 'invalid_request_error'], r.raw);
  ok(/line 2, column 10/.test(r.json.error.message), r.raw);
  const mixed = (await call(gw, 'POST', '/api/import', '{"accounts":[\n{"email":"new@example.org","password":"x"},\n{"email":5},\n{"email":"new@example.org","password":"y"}]}')).json;
  equal([mixed.added, mixed.skipped, mixed.invalid.map((i) => i.line)], [1, 1, [3]], JSON.stringify(mixed));
  equal((await call(gw, 'GET', '/api/export?secrets=1')).json.accounts.find((a) => a.email === 'new@example.org').password, 'y', 'of one name the last');
  await call(gw, 'DELETE', '/api/deleteAccount', { email: 'new@example.org' });
  equal((await call(gw, 'GET', '/api/export?secrets=1')).raw, before);
  await gw.stop();
});

await test('api 11.5: qwen2api export and import', async () => {
  const dir = join(root, 'two'), three = join(root, 'three');
  mkdirSync(three, { recursive: true });
  writeFileSync(join(dir, 'out.json'), 'old', { mode: 0o644 });
  const out = run(['export', 'out.json', '--secrets'], dir);
  equal([out.status, out.stdout, out.stderr], [0, '', '']);
  equal(statSync(join(dir, 'out.json')).mode & 0o777, 0o600);
  equal(readdirSync(dir).filter((f) => f.startsWith('out.json')), ['out.json']);
  const text = readFileSync(join(dir, 'out.json'), 'utf8');
  ok(JSON.parse(text).accounts.length >= 2 && text.includes('correct horse'));
  equal(run(['export', 'masked.json'], dir).status, 0);
  ok(!readFileSync(join(dir, 'masked.json'), 'utf8').includes('correct horse'));
  const env = { API_KEY: ADMIN, DATA_SAVE_MODE: 'file' };
  equal(run(['export', 'x.json'], three, env).status, 69, 'there is no store');
  ok(!existsSync(join(three, 'data')), 'and none is made');
  const dry = run(['import', join(dir, 'out.json'), '--dry-run'], three, env);
  ok(dry.status === 0 && /would be taken over: [1-9]\d* accounts added/.test(dry.stdout), dry.stdout + dry.stderr);
  const into = run(['import', join(dir, 'out.json')], three, env);
  ok(into.status === 0 && /^taken over: [1-9]\d* accounts added, 0 updated, 0 skipped, 0 invalid/.test(into.stdout), into.stdout + into.stderr);
  equal(run(['export', 'back.json', '--secrets'], three, env).status, 0);
  equal(readFileSync(join(three, 'back.json'), 'utf8'), text);
  equal(run(['import', 'none.json'], three, env).status, 1);
  equal(run(['export', '/dev/null/x'], three, env).status, 73);
  equal(run(['export'], three, env).status, 2);
  const redis = run(['export', 'x.json'], three, { ...env, DATA_SAVE_MODE: 'redis', REDIS_URL: 'redis://127.0.0.1:1' });
  ok(redis.status === 69 && redis.stderr.includes('GET /api/export'), redis.stderr);
  const gw = await begin(dir);
  const taken = run(['import', 'out.json'], dir);
  ok(taken.status === 69 && taken.stderr.includes('POST /api/import'), taken.stderr);
  await gw.stop();
});

await test('issue 5.6: every variable of the original has its row in the README', () => {
  const readme = readFileSync(join(top, 'README.md'), 'utf8'), part = /\n## Moving over[^]*?(?=\n## )/.exec(readme)[0];
  const said = new Set([...part.matchAll(/^\| (`[^|]*) \|/gm)].flatMap((m) => [...m[1].matchAll(/`(\w+)`/g)].map((n) => n[1])));
  const variables = `LISTEN_ADDRESS SERVICE_PORT API_KEY ACCOUNTS PM2_INSTANCES PM2_MAX_MEMORY SEARCH_INFO_MODE OUTPUT_THINK LEGACY_REASONING_IN_CONTENT SIMPLE_MODEL_MAP
    MODELS_CACHE_TTL DATA_SAVE_MODE REDIS_URL CACHE_MODE LOG_LEVEL ENABLE_FILE_LOG LOG_DIR MAX_LOG_FILE_SIZE MAX_LOG_FILES BATCH_LOGIN_CONCURRENCY QWEN_CHAT_PROXY_URL
    QWEN_CLI_PROXY_URL PROXY_URL CHAT_RETRY_COUNT CHAT_RETRY_BACKOFF_MS AUTO_REFRESH AUTO_REFRESH_INTERVAL ENABLE_STATS_DEBUG_ARCHIVE CHAT_CLEANUP_MODE TZ NODE_ENV
    PM2_USAGE pm_id HOST PORT`.split(/\s+/);
  equal(variables.filter((v) => !said.has(v)), []);
  const known = run(['print-env'], root).stdout;
  equal([...said].filter((v) => !known.includes(v) && !['NODE_ENV', 'PM2_USAGE', 'pm_id', 'HOST', 'PORT', 'ENABLE_STATS_DEBUG_ARCHIVE'].includes(v)), [], 'and none that there is not');
});

await test('api 9.9: 2,000 accounts with 90 days each: bounded memory, nothing lost', async () => {
  const dir = join(root, 'large');
  mkdirSync(join(dir, 'data'), { recursive: true });
  writeFileSync(join(dir, '.env'), `API_KEY=${ADMIN}\nDATA_SAVE_MODE=file\nAUTO_REFRESH=false\n`);
  const days = [...Array(90).keys()].map(day), token = await signin('ok@example.org', 'correct horse');
  const accounts = [...Array(2000).keys()].map((i) => ({ email: `n${i}@example.org`, password: `p${i}`, token, expires: 4102444800, proxy: null,
    stats: {}, statsHistory: Object.fromEntries(days.map((d, k) => [d, numbers([i + 1, k + 1], [1, 2, 3])])) }));
  const text = JSON.stringify({ accounts, settings: {} });
  writeFileSync(join(dir, 'data/data.json'), text);
  const peak = (pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  const from = Date.now(), gw = await begin(dir), started = Date.now() - from, after = peak(gw.process.pid);
  equal((await call(gw, 'GET', '/api/getAllAccounts?pageSize=1')).json.total, 2000);
  const out = await call(gw, 'GET', '/api/export?secrets=1'), last = peak(gw.process.pid);
  const of = out.json.accounts.find((a) => a.email === 'n1999@example.org').statsHistory;
  equal([out.json.accounts.length, Object.keys(of).length, of[days[89]]], [2000, 90, numbers([2000, 90], [1, 2, 3])]);
  console.log(`  ${(text.length / 1048576).toFixed(1)} MB in, ${started} ms; ${(out.raw.length / 1048576).toFixed(1)} MB out; peak ${after.toFixed(0)} MB after the import, ${last.toFixed(0)} MB after the export`);
  if (!process.env.ASAN_OPTIONS) ok(after < 8 * text.length / 1048576 + 60 && last < 8 * out.raw.length / 1048576 + 60, `${after} ${last} MB`);
  const again = (await call(gw, 'POST', '/api/import?mode=replace&dryRun=1', out.raw)).json;
  equal([again.updated, again.invalid], [2000, []]);
  equal(await gw.stop(), 0);
});

rmSync(root, { recursive: true, force: true });
await done();
