// statistics.mjs - the page of statistics in a real browser (api 10, api 9.4): figures, charts and tables against the API, and
// both against the requests that were sent.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { close, open, quit, shot, small, sound } from './browser.mjs';
import { auth, chat, done, equal, fakeUpstream, gateway, KEY, ok, test, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { DATA_SAVE_MODE: 'file', DATA_DIR: join(mkdtempSync(join(tmpdir(), 'q2a-page-stats-')), 'data'), TZ: 'UTC', CHAT_RETRY_COUNT: '0' });
const get = async (path) => (await fetch(gw.base + path, { headers: auth() })).json();
const button = (page, name) => page.getByRole('button', { name, exact: true });
const figures = async (page) => Object.fromEntries(await page.locator('.figure').evaluateAll((l) => l.map((f) => [f.querySelector('span').textContent, f.querySelector('b').textContent])));
const number = (n) => n.toLocaleString('en');

await test('api 10: statistics: before the first request it says what to do', async () => {
  const page = await open(gw, '/statistics');
  await page.getByText('Nothing was counted in this range yet.').waitFor();
  await page.getByText('Send a first message in the playground').click();
  await page.waitForURL('**/chat');
  await close(page);
});
const sum = { input: 0, output: 0 };
for (const [prompt, model, key] of [['one', 'qwen3.7-plus', KEY], ['two', 'qwen3-max', KEY], ['three', 'qwen3-max', USER_KEY], ['four', 'qwen3-max', USER_KEY]]) {
  const r = await chat(gw, prompt, { model }, { key });
  equal(r.status, 200, r.raw);
  sum.input += r.usage.prompt_tokens;
  sum.output += r.usage.completion_tokens;
}
await chat(gw, 'x', { model: 'no-such-model' });
await test('api 10: statistics: figures and tables of every range are those of the API and of what was sent', async () => {
  const page = await open(gw, '/statistics');
  for (const [name, range] of [['24 hours', '24h'], ['7 days', '7d'], ['30 days', '30d'], ['This month', 'month'], ['90 days', '90d']]) {
    await button(page, name).click();
    await waitFor(async () => (await page.locator('.stats').getAttribute('aria-busy')) === 'false', 5000, range);
    const r = await get(`/api/stats?range=${range}&by=model`), all = (f) => r.series.reduce((n, p) => n + f(p), 0);
    equal(await figures(page), { Requests: number(all((p) => p.calls)), Errors: number(all((p) => p.errors.total)), 'Tokens in': number(all((p) => p.input)), 'Tokens out': number(all((p) => p.output)) }, range);
    equal([all((p) => p.calls), all((p) => p.errors.total), all((p) => p.output)], [5, 1, sum.output], range);
    const rows = await page.locator('table').first().locator('tbody tr').evaluateAll((l) => l.map((tr) => [...tr.children].slice(0, 5).map((c) => c.textContent)));
    equal(rows.sort(), r.rows.map((x) => [x.name, number(x.calls), number(x.errors.total), number(x.input), number(x.output)]).sort(), range);
  }
  await button(page, 'Last month').click();
  await page.getByText('Nothing was counted in this range yet.').waitFor();
  await close(page);
});
await test('api 10: statistics: by model, key, account and endpoint', async () => {
  const page = await open(gw, '/statistics');
  for (const by of ['key', 'account', 'endpoint', 'model']) {
    await button(page, `By ${by}`).click();
    const r = await get(`/api/stats?range=24h&by=${by}`);
    await waitFor(async () => JSON.stringify((await page.locator('table').first().locator('td.name').allTextContents()).sort()) === JSON.stringify(r.rows.map((x) => x.name).sort()), 5000, by);
    const calls = await page.locator('table').first().locator('tbody tr td:nth-child(2)').allTextContents();
    equal(calls.map(Number), r.rows.map((x) => x.calls).sort((a, b) => b - a), by);
  }
  await close(page);
});
await test('api 10: statistics: charts have axes, and tell values on hover, tap and by keys', async () => {
  const page = await open(gw, '/statistics');
  await button(page, '30 days').click();
  const chart = page.getByRole('slider', { name: 'Requests over time' });
  await chart.waitFor();
  ok((await chart.locator('.axis text').count()) > 6, 'axis labels');
  await waitFor(async () => (await chart.getAttribute('aria-valuemax')) === '29', 5000, 'thirty days');
  const said = () => chart.getAttribute('aria-valuetext');
  ok(/Requests 5, Errors 1$/.test(await said()), await said());
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 60);
  ok(/Requests 0, Errors 0$/.test(await said()), await said());
  await page.mouse.move(box.x + box.width - 16, box.y + 60);
  ok(/Requests 5, Errors 1$/.test(await said()), await said());
  await chart.focus();
  await page.keyboard.press('Home');
  ok(/Requests 0/.test(await said()), await said());
  await page.keyboard.press('End');
  ok(/Requests 5/.test(await said()), await said());
  const values = await page.locator('.chart .values').first().textContent();
  ok(/Requests 5/.test(values) && /Errors 1/.test(values), values);
  ok(/First token p50 \d+ ms/.test(await page.locator('.chart .values').nth(3).textContent()), 'latency');
  equal(await page.locator('.chart').count(), 4);
  await close(page);
});
await test('api 10: statistics: the charts as a table; CSV and JSON', async () => {
  const page = await open(gw, '/statistics');
  await button(page, '7 days').click();
  await page.locator('summary').click();
  const table = page.locator('details table tbody tr');
  await waitFor(async () => await table.count() === 7, 5000, 'seven days');
  equal((await table.last().locator('td').allTextContents()).slice(1, 5), ['5', '1', number(sum.input), number(sum.output)]);
  await sound(page, 'tables');
  const load = async (where) => { const [f] = await Promise.all([page.waitForEvent('download'), where.click()]); return [f.suggestedFilename(), readFileSync(await f.path(), 'utf8')]; };
  const [name, rows] = await load(page.locator('section').getByRole('button', { name: 'CSV' }));
  equal(name, 'qwen2api-model-7d.csv');
  const cells = rows.trim().split('\r\n').map((l) => l.split(','));
  equal([cells[0].slice(0, 3), cells[1].slice(0, 2)], [['model', 'calls', 'errors'], ['qwen3-max', '3']]);
  const [, days] = await load(page.locator('details').getByRole('button', { name: 'CSV' }));
  equal(days.trim().split('\r\n').length, 8);
  equal(days.trim().split('\r\n').at(-1).split(',').slice(0, 3), [new Date().toISOString().slice(0, 10), '5', '1']);
  const [, json] = await load(button(page, 'All as JSON'));
  equal(JSON.parse(json).rows.length, (await get('/api/stats?range=7d&by=model')).rows.length);
  await close(page);
});
for (const [language, theme] of [['en', 'light'], ['zh', 'dark'], ['en', 'dark'], ['zh', 'light']])
  for (const width of [1280, 360])
    await test(`api 10: statistics with figures: ${language}, ${theme}, ${width} px`, async () => {
      const page = await open(gw, '/statistics', { language, theme, width });
      await page.locator('.chart').first().waitFor();
      await page.locator('summary').click();
      await shot(page, `statistics-full-${language}-${theme}-${width}.png`);
      await sound(page, 'full');
      equal(await small(page), [], 'touch targets');
      if (width === 360) {
        const chart = page.getByRole('slider').first(), box = await chart.boundingBox(), high = () => page.evaluate(() => document.documentElement.scrollHeight), before = await high();
        await page.mouse.click(box.x + 120, box.y + 80);
        equal(await high(), before, 'nothing moves when a point is chosen');
      }
      await close(page);
    });
await quit();
await done();
