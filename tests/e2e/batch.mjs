// Many accounts at once (api 9.1): tasks with progress, events, cancelling; lines, arrays and data.json; renewing all.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, equal, ok, gateway, fakeUpstream, auth, post, done, sleep, waitFor, events, KEY } from './lib.mjs';

const fake = await fakeUpstream({ args: ['--accounts', '60'] });
const dir = mkdtempSync(join(tmpdir(), 'q2a-batch-'));
const gw = await gateway(fake, { ACCOUNTS: null, DATA_SAVE_MODE: 'file', DATA_DIR: dir, BATCH_LOGIN_CONCURRENCY: '4', AUTO_REFRESH: 'false' });
const read = async (r) => { const text = await r.text(); let json = null; try { json = JSON.parse(text); } catch { /* none */ } return { status: r.status, json, text, code: json?.error?.code }; };
const set = async (path, body) => read(await post(gw, path, body));
const get = async (path) => read(await fetch(gw.base + path, { headers: auth() }));
const del = async (path, body) => read(await fetch(gw.base + path, { method: 'DELETE', headers: { ...auth(), 'content-type': 'application/json' }, body: JSON.stringify(body) }));
const users = (from, to) => [...Array(to - from)].map((_, i) => `user${from + i}@example.org:pw-${from + i}`).join('\n');
const ended = async (id) => { let t; await waitFor(async () => { t = (await get(`/api/batchTasks/${id}`)).json; return t.finishedAt; }, 60000, 'the task ends'); return t; };
const names = async () => (await get('/api/getAllAccounts')).json.data.map((a) => a.email);

await test('api 9.1: setAccounts makes a task whose object has every field', async () => {
  const text = `\ufeff# a comment\n\n${users(0, 8)}\nuser0@example.org:pw-0|\nbad@example.org:nope\r\nno colon here\n@x:y\nuser9@example.org:\nuser9@example.org:pw-9|gopher://x\n  colon@example.org : pa:ss@word#1 \n`;
  const r = await set('/api/setAccounts', { accounts: text, async: true });
  equal(r.status, 202, r.text);
  ok(/^task_[A-Za-z0-9]{24}$/.test(r.json.taskId) && r.json.persisted === true, r.text);
  const t = await ended(r.json.taskId);
  equal([t.status, t.total, t.valid, t.skipped, t.invalid, t.processed, t.completed, t.pending, t.success, t.failed, t.progress],
    ['completed', 15, 10, 1, 4, 15, 10, 0, 9, 1, 100], JSON.stringify(t));
  equal([t.failedEmails, t.activeEmails, t.concurrency], [['bad@example.org'], [], 4]);
  equal(t.invalidLines.map((l) => l.line), [13, 14, 15, 16], JSON.stringify(t.invalidLines));
  ok(t.invalidLines.every((l) => l.reason.length > 5 && !/pw-9|gopher/.test(l.reason)), JSON.stringify(t.invalidLines));
  ok(t.createdAt > 1e12 && t.startedAt >= t.createdAt && t.finishedAt >= t.startedAt && typeof t.message === 'string', 'times in ms');
  ok(t.recentResults.some((x) => x.email === 'bad@example.org' && x.status === 'failed' && x.message), JSON.stringify(t.recentResults));
  ok(t.recentResults.some((x) => x.status === 'success'), 'results');
  equal((await names()).length, 9);
  equal((await get('/api/accountSecret?email=colon@example.org')).json.password, 'pa:ss@word#1', 'D25');
});

await test('api 9.1: arrays, data.json, async false, and accounts that are known', async () => {
  const r = await set('/api/setAccounts', { accounts: [{ email: 'user10@example.org', password: 'pw-10', note: 'of an array' }, 'user11@example.org:pw-11', { email: 'user0@example.org', password: 'pw-0' },
    { email: 'x' }, { kind: 'api', name: 'paid', apiKey: 'sk-fake-dashscope', baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1' }], async: false });
  equal([r.status, r.json.status, r.json.success, r.json.skipped, r.json.invalid, r.json.total], [200, 'completed', 3, 1, 1, 5], r.text);
  equal(r.json.invalidLines.map((l) => l.line), [4]);
  const data = await set('/api/setAccounts', { accounts: [{ email: 'user12@example.org', password: 'pw-12', token: '', expires: 0, proxy: null, stats: {} }], defaultHeaders: null, settings: {}, async: false });
  equal([data.status, data.json.success], [200, 1], data.text);
  const bare = await set('/api/setAccounts', [{ email: 'user12@example.org', password: 'pw-12' }]);
  equal([bare.status, bare.json.skipped, bare.json.valid], [202, 1, 0], bare.text);
  equal((await ended(bare.json.taskId)).status, 'completed');
  for (const [body, code] of [[{}, 'missing_required_parameter'], [{ accounts: '' }, 'invalid_value'], [{ accounts: '# nothing\n' }, 'invalid_value'], ['', 'empty_body'], ['{', 'invalid_json']])
    equal((await set('/api/setAccounts', body)).code, code, JSON.stringify(body));
  const none = await set('/api/setAccounts', { accounts: 'bad@example.org:x', async: false });
  equal([none.status, none.json.status, none.json.failedEmails], [200, 'failed', ['bad@example.org']]);
});

await test('api 9.1: BATCH_LOGIN_CONCURRENCY bounds the sign-ins, with a pause between groups', async () => {
  await fake.reset();
  await fake.set({ signin_ms: 300 });
  const begun = Date.now();
  const r = await set('/api/setAccounts', { accounts: users(20, 29) });
  let most = 0, active = 0;
  for (let t = r.json; !t.finishedAt; await sleep(30)) {
    t = (await get(`/api/batchTasks/${t.taskId}`)).json;
    most = Math.max(most, t.activeEmails.length);
    if (t.activeEmails.length) active++;
  }
  ok(most <= 4 && most >= 2 && active > 2, `at once: ${most}`);
  ok(Date.now() - begun > 2 * 1000 + 3 * 250, `three groups took ${Date.now() - begun} ms`);
  equal((await names()).filter((n) => /^user2\d@/.test(n)).length, 9);
});

await test('api 9.1: events of a task, and cancelling the rest', async () => {
  await fake.set({ signin_ms: 400 });
  const r = await set('/api/setAccounts', { accounts: users(30, 55) }), id = r.json.taskId;
  const follow = fetch(`${gw.base}/api/batchTasks/${id}/events`, { headers: auth() });
  await waitFor(async () => (await get(`/api/batchTasks/${id}`)).json.success >= 6, 20000, 'six are there');
  const second = await set('/api/setAccounts', { accounts: users(55, 56) });
  equal((await get(`/api/batchTasks/${second.json.taskId}`)).json.status, 'pending', 'one at a time');
  const c = await del(`/api/batchTasks/${id}`);
  equal(c.status, 200, c.text);
  const t = await ended(id);
  equal(t.status, 'cancelled');
  ok(t.pending > 5 && t.success >= 6 && t.progress < 100, JSON.stringify(t));
  const f = await follow;
  equal([f.status, f.headers.get('content-type')], [200, 'text/event-stream; charset=utf-8']);
  const told = events(await f.text()).filter((e) => e.data).map((e) => e.data);
  ok(told.length > 3 && told.every((e) => e.taskId === id), `${told.length} events`);
  ok(told.some((e, i) => i && e.processed > told[0].processed && e.status === 'running'), 'progress is told');
  equal(told.at(-1).status, 'cancelled', 'the end is told');
  ok(told.every((e, i) => !i || e.processed >= told[i - 1].processed), 'never back');
  equal((await names()).filter((n) => /^user[345]\d@/.test(n)).length, t.success, 'what was done stays');
  equal((await ended(second.json.taskId)).status, 'completed', 'the next one had its turn');
  const all = (await get('/api/batchTasks')).json;
  ok(all.length >= 6 && all.findIndex((x) => x.taskId === second.json.taskId) < all.findIndex((x) => x.taskId === id), 'newest first');
  const late = await (await fetch(`${gw.base}/api/batchTasks/${id}/events`, { headers: auth() })).text();
  equal(events(late).length, 1, 'of one that ended: its end');
  equal((await get('/api/batchTasks/task_nothing')).code, 'not_found');
  equal((await get('/api/batchTasks/task_nothing/events')).code, 'not_found');
  equal((await del('/api/batchTasks/task_nothing')).code, 'not_found');
  await fake.set({ signin_ms: 0 });
});

await test('api 9.1: refreshAllAccounts renews what ends soon, forceRefreshAllAccounts all', async () => {
  await del('/api/deleteAccount', { emails: (await names()).filter((n) => /^user([2-5]\d|[4-9])@/.test(n)) });
  await fake.reset();
  const none = await set('/api/refreshAllAccounts', { thresholdHours: 1 });
  equal([none.status, none.json.refreshedCount, none.json.failed], [200, 0, []], none.text);
  equal((await fake.stats()).signin, 0);
  await fake.script({ signin: ['401'] });
  const count = (await names()).filter((n) => n.includes('@')).length;
  const all = await set('/api/refreshAllAccounts', { thresholdHours: 24 * 60 });
  equal([all.status, all.json.refreshedCount, all.json.failed.length, all.json.persisted], [200, count - 1, 1, true], all.text);
  await fake.reset();
  const forced = await set('/api/forceRefreshAllAccounts', {});
  equal([forced.status, forced.json.total], [202, count], forced.text);
  const t = await ended(forced.json.taskId);
  equal([t.status, t.success], ['completed', count], JSON.stringify(t));
  equal((await fake.stats()).signin, count);
  await del('/api/deleteAccount', { emails: (await names()).filter((n) => n.startsWith('user')) });
  const few = await set('/api/forceRefreshAllAccounts', '');
  equal([few.status, few.json.refreshedCount, few.json.totalAccounts], [200, 1, 1], few.text);
  equal((await set('/api/refreshAllAccounts', { thresholdHours: 'x' })).status, 400);
});

await test('D24: a task that runs at SIGTERM ends, and what it added is there afterwards', async () => {
  await fake.set({ signin_ms: 300 });
  const r = await set('/api/setAccounts', { accounts: users(0, 30) });
  await waitFor(async () => (await get(`/api/batchTasks/${r.json.taskId}`)).json.success >= 3, 20000, 'three are there');
  const before = await names();
  const begun = Date.now();
  gw.process.kill('SIGTERM');
  equal(await gw.process.ended, 0, gw.log().slice(-2000));
  ok(Date.now() - begun < 15000, 'soon');
  const again = await gateway(fake, { ACCOUNTS: null, DATA_SAVE_MODE: 'file', DATA_DIR: dir, AUTO_REFRESH: 'false' });
  const after = (await (await fetch(`${again.base}/api/getAllAccounts`, { headers: auth() })).json()).data.map((a) => a.email);
  equal(before.filter((n) => !after.includes(n)), [], 'nothing is lost');
  equal(new Set(after).size, after.length, 'nothing is doubled');
  await again.stop();
});

rmSync(dir, { recursive: true, force: true });
await done();
