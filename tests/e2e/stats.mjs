// stats.mjs - what is counted (api 9.4, 9.5, 9.9): real requests with known outcomes, compared exactly.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, sleep, test, USER_KEY } from './lib.mjs';

const fake = await fakeUpstream();
const dir = join(mkdtempSync(join(tmpdir(), 'q2a-')), 'data');
const env = { DATA_SAVE_MODE: 'file', DATA_DIR: dir, TZ: 'UTC', CHAT_RETRY_COUNT: '0' };
let gw = await gateway(fake, env);
const get = async (path, key = KEY) => {
  const r = await fetch(gw.base + path, { headers: { authorization: `Bearer ${key}` } });
  const text = await r.text();
  return { status: r.status, text, json: JSON.parse(text) };
};
const today = new Date().toISOString().slice(0, 10);
const sum = { input: 0, output: 0 };
for (let i = 0; i < 3; i++) {
  const { json } = await chat(gw, `Hello number ${i}`);
  sum.input += json.usage.prompt_tokens;
  sum.output += json.usage.completion_tokens;
}
await chat(gw, 'Hello', { model: 'no-such-model-here', stream: false });
const refused = await fetch(`${gw.v1}/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: '{"messages":3}' });
equal(refused.status, 400);

let before;
await test('api 9.5: GET /api/requests lists the last requests with their numbers and no text', async () => {
  const { json, text, status } = await get('/api/requests');
  equal(status, 200, text);
  const good = json.data.filter((r) => r.status === 200);
  ok(json.data.length === 5 && good.length >= 3, text);
  equal([json.data[0].status, json.data[0].endpoint, json.data[0].account], [400, '/v1/chat/completions', null]);
  const first = good.at(-1);
  equal([first.account, first.endpoint, first.attempts, first.error], ['ok@example.org', '/v1/chat/completions', 1, null]);
  ok(first.id && first.key && first.model && first.firstTokenMs > 0 && first.totalMs >= first.firstTokenMs && first.input > 0 && first.output > 0, JSON.stringify(first));
  equal(good.slice(-3).reduce((n, r) => n + r.output, 0), sum.output, 'the tokens the client was told');
  ok(!text.includes('Hello'), 'no prompt');
  equal((await get('/api/requests?limit=2')).json.data.length, 2);
  equal((await get('/api/requests?limit=501')).status, 400);
});
await test('api 9.4: GET /api/accountStats and /api/statsHistory have the old shape', async () => {
  for (const path of ['/api/accountStats', '/api/statsHistory']) {
    const { json } = await get(path);
    equal(json.today, today);
    equal(json.accounts.map((a) => a.email), ['ok@example.org']);
    const day = json.accounts[0].history[today];
    ok(day.chat.input >= sum.input && day.chat.output >= sum.output, JSON.stringify(day));
    equal([day, Object.keys(day.chat)], [{ chat: day.chat, cli: { calls: 0, input: 0, output: 0 } }, ["input", "output"]]);
  }
  const one = (await get('/api/accountStats?days=1&emails=nobody@example.org,OK@example.org')).json;
  equal([one.accounts.length, Object.keys(one.accounts[0].history)], [1, [today]]);
  equal((await get('/api/accountStats?emails=nobody@example.org')).json.accounts, []);
  equal((await get('/api/accountStats?days=91')).status, 400);
});
await test('api 9.4: GET /api/stats sums by model, key, account and endpoint', async () => {
  for (const range of ['24h', '7d', '30d', '90d', 'month'])
    for (const by of ['model', 'key', 'account', 'endpoint']) {
      const { json, text } = await get(`/api/stats?range=${range}&by=${by}`);
      const last = json.series.at(-1), all = json.series.reduce((n, s) => n + s.calls, 0);
      equal([json.range, json.by, json.today, json.step, all], [range, by, today, range === '24h' ? 'hour' : 'day', 5], text);
      if (by === 'endpoint') equal(json.rows.map((r) => [r.name, r.calls, r.errors.total]), [['/v1/chat/completions', 5, last.errors.total]]);
      if (by === 'account') equal(json.rows.map((r) => r.name), ['ok@example.org']);
      if (by !== 'account') equal(json.rows.reduce((n, r) => n + r.calls, 0), 5);
      ok(last.errors.client >= 1 && last.firstTokenP50Ms > 0 && last.totalP95Ms >= last.totalP50Ms, text);
    }
  const month = (await get('/api/stats?range=month')).json, last = (await get('/api/stats?range=lastMonth&by=endpoint')).json;
  const first = `${today.slice(0, 8)}01`, before = new Date(Date.parse(first) - 86400e3).toISOString().slice(0, 8);
  equal([month.rowsFrom, last.rowsFrom, last.series, last.rows], [first, `${before}01`, [], []]);
  equal((await get('/api/stats?range=1y')).status, 400);
  equal((await get('/api/stats?by=day')).status, 400);
  equal((await get('/api/stats', USER_KEY)).status, 403);
});
await test('api 9.4: GET /api/overview', async () => {
  const { json, text } = await get('/api/overview');
  equal([json.accounts.total, json.accounts.usable, json.rpm, json.today.calls], [1, 1, 5, 5], text);
  ok(json.version && json.rss > 1e6 && json.threads > 2 && json.connections >= 1 && json.tokensToday.output >= sum.output && json.errors.length >= 1, text);
  before = json.today;
});
await test('api 9.9: counters survive the end and kill -9 five seconds later', async () => {
  await gw.stop();
  gw = await gateway(fake, env);
  equal((await get('/api/overview')).json.today, before, 'after an orderly end');
  await chat(gw, 'one more');
  await sleep(7500);
  await gw.stop('SIGKILL');
  gw = await gateway(fake, env);
  equal((await get('/api/overview')).json.today.calls, before.calls + 1, 'after kill -9');
  equal((await get('/api/stats?range=24h')).json.series.reduce((n, s) => n + s.calls, 0), before.calls + 1, 'the hours as well');
});
await done();
