// session.mjs - signing in (api 10, D28): wrong and regular keys told apart, remembered or not, in a frame that may store nothing, on
// plain http without a clipboard; a key that ends during use; a server that restarts under an open page.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { close, launch, open, pages, quit, screens, shot } from './browser.mjs';
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, post, test, top, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const binary = process.env.Q2A_BINARY || join(top, 'build/qwen2api');
const gw = await gateway(fake, { FRAME_ANCESTORS: "'self' http://127.0.0.1:* http://localhost:*" });
const enter = async (page, key) => { await page.fill('label:has-text("Admin key") input', key); await page.click('button:has-text("Sign in")'); };

await test('api 10: wrong and regular keys are told apart; the admin key goes where one wanted to go', async () => {
  const page = await open(gw, '/keys?x=1', { key: '' });
  await enter(page, 'sk-wrong-key-000000');
  await page.waitForSelector('[role=alert]');
  ok((await page.textContent('[role=alert]')).includes('The API key is wrong.'), 'the words of the server');
  ok(/req_/.test(await page.textContent('[role=alert]')), 'and the id of the request');
  await enter(page, 'ключ');
  await page.waitForSelector('[role=alert]:has-text("wrong")');
  await shot(page, 'auth-wrong-en-light-1280.png');
  await enter(page, USER_KEY);
  await page.waitForSelector('.notice:has-text("regular key") a[href="/chat"]');
  equal(await page.locator('[role=alert]').count(), 0, 'no fault');
  await shot(page, 'auth-regular-en-light-1280.png');
  await page.goto(gw.base + '/settings');
  await page.waitForURL('**/chat');
  await page.goto(gw.base + '/auth?next=/keys?x=1');
  await enter(page, KEY);
  await page.waitForURL('**/keys?x=1');
  await close(page);
});
await test('api 10: a key is kept for the session, or on the device when asked', async () => {
  const page = await open(gw, '/auth', { key: '', plain: true });
  await enter(page, KEY);
  await page.waitForURL(gw.base + '/');
  equal(await page.evaluate(() => [sessionStorage.getItem('q2a.key') !== null, localStorage.getItem('q2a.key')]), [true, null]);
  await page.reload();
  await page.waitForSelector('.figure');
  const other = await page.context().newPage();
  await other.goto(gw.base + '/');
  await other.waitForURL('**/auth?next=/');
  await other.fill('label:has-text("Admin key") input', KEY);
  await other.check('label:has-text("Remember") input');
  await other.click('button:has-text("Sign in")');
  await other.waitForURL(gw.base + '/');
  const third = await page.context().newPage();
  await third.goto(gw.base + '/about');
  await third.waitForSelector('dl.facts');
  await close(page);
});
await test('D28 api 10: signing in works in a foreign frame that may store nothing, and every page opens there', async () => {
  const outer = http.createServer((q, r) => { r.setHeader('content-type', 'text/html'); r.end(`<!doctype html><title>outer</title><iframe sandbox="allow-scripts allow-forms allow-same-origin" src="${gw.base}/" width="1000" height="700"></iframe>`); });
  await new Promise((r) => outer.listen(0, '127.0.0.1', r));
  const browser = await launch(), page = await (await browser.newContext()).newPage(), wrong = [];
  await page.addInitScript(() => { // as browsers do that block what third parties store
    if (window === top) return;
    for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])
      Object.defineProperty(window, name, { get() { throw new DOMException('Access is denied for this document.', 'SecurityError'); } });
    Object.defineProperty(document, 'cookie', { get: () => '', set: () => {} });
  });
  page.on('pageerror', (e) => wrong.push(String(e)));
  await page.goto(`http://localhost:${outer.address().port}/`);
  const frame = page.frames()[1] ?? (await page.waitForEvent('frameattached'));
  await frame.waitForSelector('label:has-text("Admin key") input');
  equal(await frame.evaluate(() => { try { return typeof localStorage; } catch (e) { return e.name; } }), 'SecurityError', 'nothing can be stored');
  await frame.fill('label:has-text("Admin key") input', KEY);
  await frame.click('button:has-text("Sign in")');
  await frame.waitForSelector('.figure');
  for (const path of pages) {
    await frame.click(`nav a[href="${path}"]`);
    await waitFor(() => frame.evaluate((p) => location.pathname === p && document.querySelector('h1') !== null, path), 5000, path);
    await frame.waitForTimeout(300);
    equal(await frame.locator('.problem, .notice:has-text("does not answer")').allInnerTexts(), [], path);
  }
  await page.screenshot({ path: join(screens, 'frame-en-light-1280.png') });
  equal(wrong, []);
  await page.context().close();
  outer.close();
});
await test('D28 api 10: copying works where the browser offers no clipboard: plain http', async () => {
  const page = await open(gw, '/');
  await page.evaluate(() => {
    Object.defineProperty(navigator, 'clipboard', { value: undefined });
    window.copied = [];
    document.addEventListener('copy', () => window.copied.push(document.activeElement.value?.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)));
  });
  await page.click('button:has-text("Copy") >> nth=0');
  await page.waitForSelector('button:has-text("Copied")');
  equal(await page.evaluate(() => window.copied), [`${gw.base}/v1`]);
  await close(page);
});
await test('D28 api 10: what was typed is still there after another page was looked at', async () => {
  const page = await open(gw, '/chat');
  await page.fill('form.ask textarea', 'a draft');
  await page.click('nav a[href="/logs"]');
  await page.fill('input[type=search]', 'nothing like it');
  await page.click('nav a[href="/catalog"]');
  await page.click('button:has-text("Add an alias")');
  await page.fill('.alias input >> nth=0', 'gpt-4o');
  await page.click('nav a[href="/chat"]');
  equal(await page.inputValue('form.ask textarea'), 'a draft');
  await page.click('nav a[href="/logs"]');
  equal(await page.inputValue('input[type=search]'), 'nothing like it');
  await page.click('nav a[href="/catalog"]');
  await page.waitForSelector('.alias input');
  equal(await page.inputValue('.alias input >> nth=0'), 'gpt-4o');
  await close(page);
});
await test('api 10: a key that ends during use leads to the sign-in and back to where one was', async () => {
  const page = await open(gw, '/logs?q=abc', { key: 'sk-was-good-once-0123' });
  await page.waitForURL((u) => u.pathname === '/auth');
  await page.waitForSelector('.notice:has-text("no longer accepted")');
  await enter(page, KEY);
  await page.waitForURL((u) => u.pathname === '/logs' && u.search === '?q=abc');
  await close(page);
});
await test('api 10: a page that is open while the server restarts says so and goes on by itself', async () => {
  const two = await gateway(fake), env = Object.fromEntries(readFileSync(`/proc/${two.process.pid}/environ`, 'utf8').split('\0').filter(Boolean).map((v) => [v.slice(0, v.indexOf('=')), v.slice(v.indexOf('=') + 1)]));
  const opened = {};
  for (const path of ['/', '/logs', '/catalog', '/about']) opened[path] = await open(two, path);
  await opened['/logs'].waitForSelector('.line');
  two.process.kill('SIGKILL');
  await two.process.ended;
  for (const path of ['/', '/logs']) await opened[path].waitForSelector('.notice:has-text("does not answer")');
  await opened['/catalog'].click('button:has-text("Refresh")');
  await opened['/catalog'].waitForSelector('.problem:has-text("cannot be reached")');
  await opened['/'].click('nav a[href="/settings"]'); // another page, first seen while nobody answers
  await opened['/'].waitForSelector('.notice:has-text("does not answer")');
  await shot(opened['/'], 'down-en-light-1280.png');
  const again = spawn(binary, [], { cwd: two.cwd, env, stdio: 'ignore' }), ended = new Promise((r) => again.on('exit', r));
  try {
    for (const [path, page] of Object.entries(opened)) {
      await waitFor(async () => await page.locator('.notice:has-text("does not answer")').count() === 0, 15000, `${path} sees the server again`);
      if (path !== '/') await waitFor(async () => await page.locator('.problem').count() === 0, 15000, `${path}: no fault is left`);
    }
    await opened['/'].click('nav a[href="/"]');
    await waitFor(async () => await opened['/'].innerText('.figure:has-text("Requests today") b') === '0', 15000, 'figures of the new process');
    await chat(two, 'Hello');
    await waitFor(async () => await opened['/'].innerText('.figure:has-text("Requests today") b') === '1', 15000, 'they go on');
    await opened['/logs'].waitForSelector('.line:has-text("done: ")');
    await waitFor(async () => await opened['/catalog'].locator('.models section').count() > 3, 15000, 'the models again');
    await post(two, '/api/restart', {});
    await chat(two, 'Hello').catch(() => {});
    await waitFor(async () => /^[12]$/.test(await opened['/'].innerText('.figure:has-text("Requests today") b')) && await opened['/'].locator('.notice, .problem').count() === 0, 15000, 'after a graceful restart');
    for (const page of Object.values(opened)) await close(page);
  } finally {
    again.kill('SIGKILL');
    await ended;
  }
});
await quit();
await done();
