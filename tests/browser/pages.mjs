// pages.mjs - the dashboard in a real browser (api 10): every page in both languages and themes, desktop and phone; sign-in;
// accessibility; text stays text. Screenshots: build/screens.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { done, equal, fakeUpstream, gateway, KEY, ok, test, top, USER_KEY, waitFor } from './lib.mjs';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((p) => existsSync(p));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const screens = join(top, 'build/screens');
mkdirSync(screens, { recursive: true });
const fake = await fakeUpstream(), gw = await gateway(fake);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const pages = ['/', '/accounts', '/keys', '/chat', '/statistics', '/catalog', '/logs', '/settings', '/about'];

async function open(path, { key = KEY, language = 'en', theme = 'light', width = 1280 } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, bypassCSP: false });
  await context.addInitScript(([k, l, t]) => {
    localStorage.setItem('q2a.language', l);
    localStorage.setItem('q2a.theme', t);
    if (k) { localStorage.setItem('q2a.key', k); localStorage.setItem('q2a.admin', 'yes'); }
  }, [key, language, theme]);
  const page = await context.newPage();
  page.wrong = [];
  page.on('pageerror', (e) => page.wrong.push(String(e)));
  page.on('console', (m) => { if (/Content Security Policy|Not found '|\[intlify\]/.test(m.text())) page.wrong.push(m.text()); });
  page.on('dialog', (d) => { page.wrong.push('a browser dialog'); d.dismiss(); });
  await page.goto(gw.base + path);
  await page.waitForSelector('h1', { timeout: 10000 }).catch(async (e) => { throw new Error(`${path}: ${page.wrong} ${await page.textContent('body')} ${e}`); });
  return page;
}

await test('api 10: the whole page is at most 120 KB packed; hashed names last, the index does not', async () => {
  const index = await fetch(gw.base + '/'), html = await index.text();
  equal(index.headers.get('cache-control'), 'no-cache');
  let sum = 0;
  for (const path of ['/', ...[...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((m) => m[1])]) {
    const r = await fetch(gw.base + path, { headers: { 'accept-encoding': 'gzip' } });
    equal(r.status, 200, path);
    sum += Number(r.headers.get('content-length'));
    if (/\.[0-9a-f]{8}\./.test(path)) ok(r.headers.get('cache-control').includes('immutable'), path);
  }
  ok(sum > 50e3 && sum <= 120 * 1024, `${sum} bytes`);
  ok(!/<script>|<style|style=/.test(html), 'nothing inline');
});
await test('api 10: pages are deep links, any other path is 404', async () => {
  for (const path of [...pages, '/auth']) equal([(await fetch(gw.base + path)).status, path], [200, path]);
  for (const path of ['/account', '/auth/x', '/index.php']) equal([(await fetch(gw.base + path)).status, path], [404, path]);
});
await test('api 10: wrong and regular keys are told apart; the admin key goes where one wanted to go', async () => {
  const page = await open('/keys', { key: '' });
  const enter = async (key) => { await page.fill('input[type=password]', key); await page.click('button.main'); };
  await enter('sk-wrong-key-000000');
  await page.waitForSelector('[role=alert]');
  ok((await page.textContent('[role=alert]')).includes('The API key is wrong.'), 'the words of the server');
  await enter(USER_KEY);
  await page.waitForSelector('a[href="/chat"]');
  await enter(KEY);
  await page.waitForURL('**/keys');
  equal(page.wrong, []);
  await page.context().close();
});
await test('api 10: a chat streams, HTML in it stays text', async () => {
  const page = await open('/chat');
  // waitForFunction() would need eval, which the content policy refuses.
  await waitFor(() => page.evaluate(() => document.querySelectorAll('select option').length > 5), 10000, 'the models are there');
  await page.fill('form textarea', '<img src=x onerror="window.broken=1"><b>bold</b>');
  await page.click('form button.main');
  await waitFor(() => page.evaluate(() => /Total/.test(document.querySelector('.turn.assistant')?.textContent)), 10000, 'the answer is whole');
  ok((await page.textContent('.turn.user')).includes('<b>bold</b>'), 'shown as typed');
  equal(await page.evaluate(() => [window.broken, document.querySelectorAll('.turn b').length, document.querySelectorAll('.turn img').length]), [null, 2, 0].map((v) => v ?? undefined));
  await page.fill('form textarea', 'a draft');
  await page.click('nav a[href="/catalog"]');
  await page.click('nav a[href="/chat"]');
  equal(await page.inputValue('form textarea'), 'a draft', 'nothing typed is lost');
  equal(page.wrong, []);
  await page.context().close();
});
for (const language of ['en', 'zh'])
  for (const theme of ['light', 'dark'])
    for (const width of [1280, 360])
      await test(`api 10: every page, ${language}, ${theme}, ${width} px: fits, reads, is accessible`, async () => {
        for (const path of ['/auth', ...pages]) {
          const page = await open(path, { language, theme, width });
          await page.waitForTimeout(400);
          await page.screenshot({ path: join(screens, `${path.slice(1) || 'overview'}-${language}-${theme}-${width}.png`), fullPage: true });
          ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} scrolls sideways`);
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => window.axe.run());
          equal(violations.map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 120)}`), [], path);
          equal(page.wrong, [], path);
          await page.context().close();
        }
      });
await browser.close();
await done();
