// pages.mjs - every page in a real browser (api 10): both languages and themes, desktop and phone. They fit, read, are accessible and
// have a picture each in build/screens; the size of all, deep links, the menu of the phone, the keys of the texts.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { close, open, pages, quit, screens, shot, small, sound } from './browser.mjs';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, post, test, top, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { ACCOUNTS: 'ok@example.org:correct horse,second@example.org:correct horse,bad@example.org:wrong' });
// Something to see: answers, an error, a key.
await chat(gw, 'Hello');
await chat(gw, '[[scenario:too_long]]');
await chat(gw, 'Hello', { model: 'none-such' });
await post(gw, '/api/addRegularKey', { name: 'phone', rpm: 10 });

await test('api 10: the whole page is at most 120 KB packed; hashed names last, the index does not', async () => {
  const index = await fetch(gw.base + '/'), html = await index.text();
  equal(index.headers.get('cache-control'), 'no-cache');
  equal((await fetch(gw.base + '/', { headers: { 'if-none-match': index.headers.get('etag') } })).status, 304, 'the index has a validator');
  let sum = 0;
  for (const path of ['/', ...[...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((m) => m[1])]) {
    const r = await fetch(gw.base + path, { headers: { 'accept-encoding': 'gzip' } });
    equal(r.status, 200, path);
    equal([r.headers.get('content-encoding'), r.headers.get('x-content-type-options')], ['gzip', 'nosniff'], path);
    sum += Number(r.headers.get('content-length'));
    if (/\.[0-9a-f]{8}\./.test(path)) ok(r.headers.get('cache-control').includes('immutable'), path);
  }
  console.log(`all pages: ${sum} bytes packed`);
  ok(sum > 50e3 && sum <= 120 * 1024, `${sum} bytes`);
  ok(!/<script>|<style|style=/.test(html), 'nothing inline');
  const policy = index.headers.get('content-security-policy');
  ok(policy.startsWith("default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;") && !/unsafe/.test(policy), policy);
});
await test('api 10: pages are deep links, any other path is 404', async () => {
  for (const path of [...pages, '/auth']) equal([(await fetch(gw.base + path)).status, path], [200, path]);
  for (const path of ['/account', '/auth/x', '/index.php']) equal([(await fetch(gw.base + path)).status, path], [404, path]);
  for (const path of ['/favicon.ico', '/favicon.png']) equal([(await fetch(gw.base + path)).status, path], [200, path]);
  const page = await fetch(gw.base + '/nowhere', { headers: { accept: 'text/html,*/*' } });
  equal([page.status, page.headers.get('content-type')], [404, 'text/html; charset=utf-8']);
});
await test('api 10: English and Chinese have the same keys, none is empty', async () => {
  const keys = (o, at = '') => Object.entries(o).flatMap(([k, v]) => (typeof v === 'string' ? [`${at}${k}${v.trim() ? '' : ' is empty'}`] : keys(v, `${at}${k}.`)));
  const text = async (l) => keys((await import(pathToFileURL(join(top, `assets/src/locales/${l}.js`)))).default).sort();
  const en = await text('en'), zh = await text('zh');
  ok(en.length > 200, `${en.length} keys`);
  equal(en.filter((k) => !zh.includes(k)), [], 'missing in Chinese');
  equal(zh.filter((k) => !en.includes(k)), [], 'missing in English');
  equal(en.filter((k) => k.endsWith('is empty')), []);
});
await test('api 10: the language is the browser\'s first, then what was chosen; the theme follows the system', async () => {
  const page = await open(gw, '/auth', { key: '', plain: true });
  equal(await page.evaluate(() => document.documentElement.lang), 'en');
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await ground();
  await page.emulateMedia({ colorScheme: 'light' });
  ok(dark !== await ground(), 'as the system');
  await page.selectOption('.tastes select:nth-child(2)', 'dark');
  equal(await ground(), dark, 'dark though the system is light');
  await page.selectOption('.tastes select:nth-child(1)', 'zh');
  ok((await page.textContent('h1')).includes('登录'), 'Chinese');
  await page.reload();
  ok((await page.textContent('h1')).includes('登录'), 'remembered');
  equal([await page.evaluate(() => document.documentElement.lang), await ground()], ['zh', dark]);
  await close(page);
});
await test('api 10: on a phone the menu takes one line, opens, leads on and closes; all by keys too', async () => {
  const page = await open(gw, '/', { width: 360, height: 640 });
  ok(await page.evaluate(() => document.querySelector('header').getBoundingClientRect().height) <= 56, 'one line');
  ok(!await page.isVisible('nav a[href="/logs"]'), 'closed');
  await page.click('button.menu');
  await page.screenshot({ path: join(screens, 'menu-en-light-360.png') });
  equal(await page.getAttribute('button.menu', 'aria-expanded'), 'true');
  equal(await page.locator('nav a').count(), pages.length);
  await sound(page, 'the open menu');
  await page.click('nav a[href="/logs"]');
  await page.waitForURL('**/logs');
  ok(!await page.isVisible('nav a[href="/logs"]'), 'closed again');
  await page.focus('button.menu');
  await page.keyboard.press('Enter');
  await page.waitForSelector('nav a[href="/about"]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('nav a[href="/about"]', { state: 'hidden' });
  await close(page);
  const wide = await open(gw, '/about');
  await wide.keyboard.press('Tab');
  equal(await wide.evaluate(() => document.activeElement.className), 'skip', 'the first stop skips the menu');
  const ring = await wide.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  equal(ring, 'solid', 'the focus is seen');
  await wide.keyboard.press('Enter');
  equal(await wide.evaluate(() => document.activeElement.id), 'content');
  await close(wide);
});
for (const language of ['en', 'zh'])
  for (const theme of ['light', 'dark'])
    for (const width of [1280, 360])
      await test(`api 10: every page, ${language}, ${theme}, ${width} px: fits, reads, is accessible`, async () => {
        const page = await open(gw, '/auth', { language, theme, width });
        for (const path of ['/auth', ...pages]) {
          if (path !== '/auth') await page.goto(gw.base + path);
          await page.waitForSelector('h1');
          await page.waitForLoadState('networkidle', { timeout: 1000 }).catch(() => {}); // a tail never rests
          await waitFor(() => page.evaluate(() => !document.querySelector('.page [aria-busy=true]')), 5000, 'loaded');
          await shot(page, `${path.slice(1) || 'overview'}-${language}-${theme}-${width}.png`);
          if (language === 'en' || (theme === 'dark' && width === 360)) await sound(page, path); // what is judged hangs on theme and width
          else ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} scrolls sideways`);
          if (width === 360) equal(await small(page), [], `${path}: touch targets below 40 px`);
        }
        await close(page);
      });
await quit();
await done();
