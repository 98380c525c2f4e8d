// keys.mjs - the page of keys in a real browser (api 10, api 9.3): made, shown once, copied, changed, limited, taken away; what the
// page says is compared with what the API says.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { close, open, quit, shot, small, sound } from './browser.mjs';
import { auth, chat, done, equal, fakeUpstream, gateway, KEY, ok, test, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: join(mkdtempSync(join(tmpdir(), 'q2a-page-keys-')), 'data') });
const keys = async () => (await (await fetch(`${gw.base}/api/keys`, { headers: auth() })).json()).data;
const named = async (name) => (await keys()).find((k) => k.name === name);
const button = (page, name) => page.getByRole('button', { name, exact: true });
const row = (page, name) => page.locator('table.cards tbody tr').filter({ has: page.locator('td.named', { hasText: name }) });
const actions = async (page, name, what) => { await button(row(page, name), `Actions for ${name}`).click(); await page.getByRole('menuitem', { name: what }).click(); };
const evil = '<img src=x onerror="window.broken=1">';

await test('api 10: keys: admin masked, keys of the environment locked, what to do next', async () => {
  const page = await open(gw, '/keys');
  await page.getByText('Make a key of its own for each client').waitFor();
  const texts = await page.locator('table.cards tbody tr').allTextContents();
  equal(texts.length, 2);
  ok(texts[0].includes('Admin key') && texts[0].includes('sk-te…6789') && texts[1].includes('Locked'), texts.join());
  const all = await page.content();
  ok(!all.includes(KEY) && !all.includes(USER_KEY), 'no key in clear');
  equal(await page.locator('table.cards tbody button').count(), 0, 'nothing to press');
  await close(page);
});
await test('api 10: keys: made with all limits, shown once, copied on plain http; it works, its use is shown', async () => {
  const page = await open(gw, '/keys'), d = page.getByRole('dialog');
  await page.evaluate(() => { Object.defineProperty(navigator, 'clipboard', { value: undefined }); document.execCommand = ((was) => function (what) { window.copied = document.activeElement.value; return was.call(document, what); })(document.execCommand); });
  await button(page, 'Create a key').click();
  await d.getByLabel('Name', { exact: true }).fill(evil);
  await d.getByLabel(/^Models/).fill('qwen3*, qwen-max');
  const end = new Date(Date.now() + 86400e3 * 3);
  end.setSeconds(0, 0);
  await d.getByLabel(/^Expires/).fill(new Date(end - end.getTimezoneOffset() * 60000).toISOString().slice(0, 16));
  const limits = { 'Requests a minute': 60, 'Tokens a minute': 70000, 'At the same time': 3, 'Requests a day': 10, 'Tokens a day': 1000, 'Tokens a month': 2000, 'Tokens in all': 3000, 'Pictures a day': 0 };
  for (const [name, v] of Object.entries(limits)) await d.getByLabel(name, { exact: true }).fill(String(v));
  await button(d, 'Close').click();
  await page.click('nav a[href="/accounts"]');
  await page.click('nav a[href="/keys"]');
  await button(page, 'Create a key').click();
  equal([await d.getByLabel('Name', { exact: true }).inputValue(), await d.getByLabel('Tokens a day', { exact: true }).inputValue()], [evil, '1000'], 'nothing typed is lost');
  await sound(page, 'create');
  await shot(page, 'keys-create.png');
  await button(d, 'Create a key').click();
  const made = await d.locator('pre.made').textContent();
  ok(/^sk-[0-9A-Za-z]{48}$/.test(made), made);
  await sound(page, 'made');
  await button(d, 'Copy').click();
  await button(d, 'Copied').waitFor();
  equal(await page.evaluate(() => window.copied), made, 'copied without a clipboard');
  await button(d, 'Done').click();
  ok(!(await page.content()).includes(made), 'shown once');
  const k = await named(evil);
  equal(k.limits, { expiresAt: end / 1000, models: ['qwen3*', 'qwen-max'], rpm: 60, tpm: 70000, maxInflight: 3, dailyRequests: 10, dailyTokens: 1000, monthlyTokens: 2000, totalTokens: 3000, dailyMedia: 0 });
  equal((await chat(gw, 'hello', {}, { key: made })).status, 200, 'it works');
  await page.reload();
  const u = (await named(evil)).usage, text = await row(page, evil).textContent();
  for (const words of [`Today 1 requests, ${u.today.tokens} tokens`, 'Requests a day: 1 / 10', `Tokens a day: ${u.today.tokens} / 1,000`, `Tokens in all: ${u.total.tokens} / 3,000`, 'Requests a minute: 60', 'qwen3*, qwen-max', 'Ends in 3 days', k.masked])
    ok(text.includes(words), `${words}: ${text}`);
  equal(await row(page, evil).locator('progress').first().evaluate((e) => e.value), 0.1, 'the bar');
  equal(await page.evaluate(() => [window.broken ?? null, document.querySelectorAll('main img').length]), [null, 0], 'a name stays text');
  await close(page);
});
await test('api 10: keys: changed, switched off and on, taken away after a question', async () => {
  const page = await open(gw, '/keys'), d = page.getByRole('dialog');
  await actions(page, evil, 'Edit');
  equal(await d.getByLabel('Tokens a month').inputValue(), '2000');
  await d.getByLabel('Name', { exact: true }).fill('team');
  await d.getByLabel('Tokens a month').fill('');
  await d.getByLabel(/^Models/).fill('');
  await button(d, 'Save').click();
  await row(page, 'team').waitFor();
  const l = (await named('team')).limits;
  equal([l.monthlyTokens, l.models, l.dailyTokens, l.expiresAt > 0], [null, null, 1000, true]);
  await actions(page, 'team', 'Disable');
  await waitFor(async () => !(await named('team')).enabled, 5000, 'off');
  await row(page, 'team').getByText('disabled').waitFor();
  await actions(page, 'team', 'Enable');
  await waitFor(async () => (await named('team')).enabled, 5000, 'on');
  await page.locator('.toast').getByText('The key team is enabled.').waitFor();
  await actions(page, 'team', 'Delete');
  await d.getByText('Delete the key team?').waitFor();
  await page.keyboard.press('Escape');
  ok(await named('team'), 'asked first');
  await actions(page, 'team', 'Delete');
  await button(d, 'Delete').click();
  await waitFor(async () => !(await named('team')), 5000, 'deleted');
  await close(page);
});
await test('api 10: keys: an own one; one that exists is refused in the words of the server; one that ended says so', async () => {
  const page = await open(gw, '/keys'), d = page.getByRole('dialog');
  for (const name of ['mine', 'mine again']) {
    await button(page, 'Create a key').click();
    await d.getByLabel('Name', { exact: true }).fill(name);
    await d.getByLabel('Own key').fill('sk-my-own-key-000001');
    await button(d, 'Create a key').click();
    if (name === 'mine') { equal(await d.locator('pre.made').textContent(), 'sk-my-own-key-000001'); await button(d, 'Done').click(); }
  }
  const r = await (await fetch(`${gw.base}/api/addRegularKey`, { method: 'POST', headers: { ...auth(), 'content-type': 'application/json' }, body: '{"apiKey":"sk-my-own-key-000001"}' })).json();
  const said = await d.getByRole('alert').textContent();
  ok(said.includes(r.error.message) && /req_\w{24}/.test(said), said);
  await button(d, 'Discard').click();
  await fetch(`${gw.base}/api/keys/${(await named('mine')).id}`, { method: 'PATCH', headers: { ...auth(), 'content-type': 'application/json' }, body: JSON.stringify({ expiresAt: Math.floor(Date.now() / 1000) - 7200 }) });
  await page.reload();
  ok((await row(page, 'mine').textContent()).includes('expired') && (await row(page, 'mine').textContent()).includes('Ended 2 hours ago'), 'ended');
  await close(page);
});
for (const [language, theme] of [['en', 'light'], ['zh', 'dark'], ['en', 'dark'], ['zh', 'light']])
  for (const width of [1280, 360])
    await test(`api 10: keys with rows and its dialog: ${language}, ${theme}, ${width} px`, async () => {
      const page = await open(gw, '/keys', { language, theme, width });
      await page.locator('table.cards tbody tr').nth(2).waitFor();
      await shot(page, `keys-rows-${language}-${theme}-${width}.png`);
      await sound(page, 'rows');
      await page.locator('h1 ~ .strip > button').click();
      await page.getByRole('dialog').waitFor();
      await shot(page, `keys-form-${language}-${theme}-${width}.png`);
      await sound(page, 'form');
      equal(await small(page), [], 'touch targets');
      await close(page);
    });
await quit();
await done();
