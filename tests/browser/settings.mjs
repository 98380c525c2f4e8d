// settings.mjs - the page of settings in a real browser (api 10, api 9.2): drawn from the schema; one save with its differences;
// reset, backup, tests of a connection, restart. What the page says is compared with what the API says.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { close, open, quit, shot, small, sound } from './browser.mjs';
import { auth, done, equal, fakeUpstream, gateway, ok, test, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: join(mkdtempSync(join(tmpdir(), 'q2a-page-settings-')), 'data'), N_MAX: '3', UPSTREAM_COOKIE: 'cookie-canary-1', SHUTDOWN_GRACE: '2' });
const get = async (path) => (await fetch(gw.base + path, { headers: auth() })).json();
const now = () => get('/api/settings');
const button = (page, name) => page.getByRole('button', { name, exact: true });
const more = async (page, name) => { await button(page, 'More for settings').click(); await page.getByRole('menuitem', { name }).click(); };
const toast = async (page, words) => waitFor(async () => (await page.locator('.toast').allTextContents()).join().includes(words), 15000, `the toast says "${words}"`);
const save = async (page) => { await button(page, 'Save…').click(); await button(page.getByRole('dialog'), 'Save').click(); await toast(page, 'Saved.'); };

await test('api 10: settings: every one of the schema with its meaning, value, source and mark; no secret', async () => {
  const page = await open(gw, '/settings'), schema = await get('/api/settings/schema'), values = await now();
  await page.locator('#set-nMax').waitFor();
  for (const s of schema) {
    const field = page.locator('.setting').filter({ has: page.locator(`#set-${s.name}`) }), input = page.locator(`#set-${s.name}`), text = await field.textContent();
    ok(text.includes(s.variable) && text.includes(s.text), `${s.name}: ${text}`);
    equal([text.includes('needs a restart'), await input.isDisabled()], [s.applies === 'restart', s.applies === 'restart'], s.name);
    ok(text.includes({ default: 'default', env: 'environment', file: '.env', stored: 'changed here' }[values.source[s.name]]), `${s.name} ${text}`);
    const v = values[s.name];
    if (s.type === 'boolean') equal(await input.isChecked(), v, s.name);
    else equal(await input.inputValue(), Array.isArray(v) ? v.join(s.secret ? '' : '\n') : v === null ? '' : String(v), s.name);
  }
  ok(!(await page.content()).includes('canary'), 'no secret');
  await close(page);
});
await test('api 10: settings: changes of every type gather, outlive another page, and are saved once with their differences', async () => {
  const page = await open(gw, '/settings'), d = page.getByRole('dialog');
  await page.locator('#set-nMax').fill('2');
  await page.locator('#set-outThink').uncheck();
  await page.locator('#set-searchInfoMode').selectOption('text');
  await page.locator('#set-modelAliases').fill('gpt-4*=qwen3.7-plus\nmine=qwen3-max');
  await page.locator('#set-queueTimeout').fill('1.5');
  await page.locator('#set-upstreamCookie').fill('cookie-canary-2');
  await page.locator('#set-qwenWebVersion').fill('9.9.9');
  await page.getByText('7 changes').waitFor();
  equal((await now()).nMax, 3, 'not yet');
  await page.click('nav a[href="/keys"]');
  await page.click('nav a[href="/settings"]');
  await page.getByText('7 changes').waitFor();
  equal(await page.locator('#set-nMax').inputValue(), '2', 'nothing typed is lost');
  await page.locator('#set-qwenWebVersion').fill((await now()).qwenWebVersion);
  await page.getByText('6 changes').waitFor();
  await button(page, 'Save…').click();
  const said = await d.locator('.results').textContent();
  for (const words of ['N_MAX: 3 → 2', 'OUTPUT_THINK: true → false', 'SEARCH_INFO_MODE: table → text', 'MODEL_ALIASES: – → gpt-4*=qwen3.7-plus, mine=qwen3-max', 'QUEUE_TIMEOUT: 60 → 1.5', 'UPSTREAM_COOKIE: •••••••• → ••••••••']) ok(said.includes(words), `${words}: ${said}`);
  await sound(page, 'the differences');
  await shot(page, 'settings-save.png');
  await button(d, 'Save').click();
  await toast(page, 'Saved.');
  const s = await now();
  equal([s.nMax, s.outThink, s.searchInfoMode, s.modelAliases, s.queueTimeout, s.upstreamCookie], [2, false, 'text', ['gpt-4*=qwen3.7-plus', 'mine=qwen3-max'], 1.5, '••••••••']);
  equal([s.source.nMax, s.source.upstreamCookie], ['stored', 'stored']);
  equal(await page.locator('.savebar').count(), 0);
  await close(page);
});
await test('api 10: settings: a refusal shows the words of the server and loses nothing', async () => {
  const page = await open(gw, '/settings');
  await page.locator('#set-chatRetryCount').fill('11');
  await button(page, 'Save…').click();
  await button(page.getByRole('dialog'), 'Save').click();
  const r = await (await fetch(`${gw.base}/api/settings`, { method: 'PATCH', headers: { ...auth(), 'content-type': 'application/json' }, body: '{"chatRetryCount":11}' })).json();
  await toast(page, r.error.message);
  ok(/req_\w{24}/.test(await page.locator('.toast').textContent()), 'the id of the request');
  equal(await page.locator('#set-chatRetryCount').inputValue(), '11');
  await button(page, 'Discard').click();
  equal(await page.locator('#set-chatRetryCount').inputValue(), '1');
  await close(page);
});
await test('api 10: settings: what is not saved holds the tab', async () => {
  const page = await open(gw, '/settings'), held = () => page.evaluate(() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true })));
  await page.locator('#set-nMax').waitFor();
  equal(await held(), false);
  await page.locator('#set-nMax').fill('1');
  await page.getByText('1 change').waitFor();
  equal(await held(), true);
  await button(page, 'Discard').click();
  equal(await held(), false);
  await close(page);
});
await test('api 10: settings: search and filter; one and all are reset', async () => {
  const page = await open(gw, '/settings');
  await page.getByRole('searchbox').fill('largest n');
  await waitFor(async () => await page.locator('.setting').count() === 1, 5000, 'found by its meaning');
  await page.locator('.setting').getByRole('button', { name: 'Reset' }).click();
  await toast(page, 'N_MAX is back to the environment.');
  equal([(await now()).nMax, (await now()).source.nMax, await page.locator('#set-nMax').inputValue()], [3, 'env', '3']);
  await page.getByRole('searchbox').fill('');
  await page.getByLabel('Which settings').selectOption('stored');
  equal((await page.locator('.setting label code').allTextContents()).length, Object.values((await now()).source).filter((x) => x === 'stored').length);
  await page.getByRole('searchbox').fill('no such thing');
  await page.getByText('Nothing matches.').waitFor();
  await button(page, 'Show all again').click();
  await close(page);
});
await test('api 10: settings: a backup holds what was changed, without secrets; restoring it shows the differences first', async () => {
  const page = await open(gw, '/settings');
  const before = await now();
  await page.locator('#set-nMax').waitFor();
  const [file] = await Promise.all([page.waitForEvent('download'), more(page, 'Save a backup')]), text = readFileSync(await file.path(), 'utf8');
  equal(JSON.parse(text).settings, { searchInfoMode: 'text', outThink: false, modelAliases: before.modelAliases, queueTimeout: 1.5 });
  await toast(page, 'UPSTREAM_COOKIE');
  await more(page, 'Reset all');
  await button(page.getByRole('dialog'), 'Reset all').click();
  await toast(page, 'Back to the environment.');
  ok(Object.values((await now()).source).every((x) => x !== 'stored'), 'all are dropped');
  await page.locator('input[type=file]').setInputFiles({ name: 'b.json', mimeType: 'application/json', buffer: Buffer.from(text) });
  await page.getByText('4 changes').waitFor();
  equal((await now()).outThink, true, 'not yet');
  await save(page);
  const after = await now();
  equal([after.searchInfoMode, after.outThink, after.modelAliases, after.queueTimeout], ['text', false, before.modelAliases, 1.5]);
  await close(page);
});
await test('api 10: settings: a proxy and a Redis are tried', async () => {
  const page = await open(gw, '/settings');
  for (const [what, url] of [['Proxy', 'http://127.0.0.1:9'], ['Redis', 'redis://127.0.0.1:9']]) {
    await page.getByLabel(what, { exact: true }).fill(url);
    await page.locator('form', { has: page.getByLabel(what, { exact: true }) }).getByRole('button').click();
    const r = await (await fetch(`${gw.base}/api/test${what}`, { method: 'POST', headers: { ...auth(), 'content-type': 'application/json' }, body: JSON.stringify(what === 'Proxy' ? { proxy: url } : { url }) })).json();
    equal(r.ok, false);
    await waitFor(async () => (await page.locator('form', { has: page.getByLabel(what, { exact: true }) }).textContent()).includes(r.message), 10000, r.message);
  }
  await close(page);
});
await test('api 10: settings: .env is read again; a restart is waited for, and the page goes on', async () => {
  const page = await open(gw, '/settings');
  await page.locator('#set-nMax').waitFor();
  await more(page, 'Read .env again');
  await toast(page, 'was read');
  await new Promise((r) => setTimeout(r, 3000)); // so that the time since the start tells the two apart
  await page.locator('#set-nMax').fill('4');
  await more(page, 'Restart');
  await button(page.getByRole('dialog'), 'Restart').click();
  await page.getByText('It restarts when').waitFor();
  await toast(page, 'Restarted.');
  equal(await page.locator('#set-nMax').inputValue(), '4', 'nothing typed is lost');
  await page.close();
});
for (const [language, theme] of [['en', 'light'], ['zh', 'dark'], ['en', 'dark'], ['zh', 'light']])
  for (const width of [1280, 360])
    await test(`api 10: settings with changes: ${language}, ${theme}, ${width} px`, async () => {
      const page = await open(gw, '/settings', { language, theme, width });
      await page.locator('#set-nMax').fill('4');
      await page.locator('details summary').click();
      await shot(page, `settings-all-${language}-${theme}-${width}.png`);
      await page.screenshot({ path: `${process.env.Q2A_TOP}/build/screens/settings-bar-${language}-${theme}-${width}.png` });
      await sound(page, 'all');
      equal(await small(page), [], 'touch targets');
      if (language === 'zh') ok(!/largest n/.test(await page.locator('.setting').allTextContents().then((l) => l.join())), 'the meanings are Chinese');
      await page.close();
    });
await quit();
await done();
