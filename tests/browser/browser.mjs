// browser.mjs - what the tests of the pages share: a browser, a page that is signed in, and what must never happen on one.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { KEY, equal, ok, top } from './lib.mjs';

export const screens = join(top, 'build/screens');
export const pages = ['/', '/accounts', '/keys', '/chat', '/statistics', '/catalog', '/logs', '/settings', '/about'];
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let browser = null;
const unpacked = process.env.Q2A_PAGES; // a folder as build/ui: try pages before they are packed

export async function launch() {
  const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((p) => existsSync(p));
  if (!executablePath) throw new Error('there is no chromium: tools/setup.sh test installs it');
  mkdirSync(screens, { recursive: true });
  browser ??= await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
  return browser;
}
export const quit = () => browser?.close();

// Errors of the page, violations of the content policy, texts that are missing, dialogs of the browser.
function watch(page) {
  page.wrong = [];
  page.on('pageerror', (e) => page.wrong.push(String(e)));
  page.on('console', (m) => { if (/Content Security Policy|Not found '|\[intlify\]|\[Vue/.test(m.text())) page.wrong.push(m.text()); });
  page.on('dialog', (d) => { page.wrong.push('a browser dialog'); d.dismiss(); });
  page.on('request', (r) => { if (!r.url().startsWith(page.home) && !/^(data|blob|about):/.test(r.url())) page.wrong.push(`asks ${r.url()}`); });
}

// A page of the gateway in a fresh profile, signed in by `key` if there is one.
export async function open(gw, path, { key = KEY, admin = true, language = 'en', theme = 'light', width = 1280, height = 800, plain = false } = {}) {
  await launch();
  const context = await browser.newContext({ viewport: { width, height }, acceptDownloads: true });
  if (!plain) await context.addInitScript(([k, a, l, t]) => {
    try {
      localStorage.setItem('q2a.language', l);
      localStorage.setItem('q2a.theme', t);
      if (k && !sessionStorage.getItem('seeded')) { localStorage.setItem('q2a.key', k); localStorage.setItem('q2a.admin', a ? 'yes' : 'no'); }
      sessionStorage.setItem('seeded', '1');
    } catch { /* a page that may not store anything */ }
  }, [key, admin, language, theme]);
  const page = await context.newPage();
  page.home = gw.base;
  watch(page);
  if (unpacked) await page.route(/\/(app|style)\.\w+\.(js|css)$/, (r) => r.fulfill({ path: join(unpacked, new URL(r.request().url()).pathname.replace(/\.\w+(\.\w+)$/, '$1')) }));
  page.setDefaultTimeout(15000);
  await page.goto(gw.base + path);
  await page.waitForSelector('h1').catch(async (e) => { throw new Error(`${path}: ${page.wrong} ${await page.textContent('body')} ${e}`); });
  return page;
}

// Ends a page; what went wrong on it fails the test.
export async function close(page) {
  const wrong = page.wrong;
  await page.context().close();
  equal(wrong, [], 'on the page');
}

// A picture of the whole page, kept in build/screens.
export async function shot(page, name) {
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(screens, name), fullPage: true });
}

// Fits its width and has no violation that axe-core knows.
export async function sound(page, what) {
  ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} scrolls sideways`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  equal(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(' ')}`), [], what);
}

// All elements with a touch target below 40 px that stand alone (links within a text do not).
export const small = (page) => page.evaluate(() => [...document.querySelectorAll('button:not(.link), select, input:not([type=checkbox]):not(.off-screen), summary, nav a')]
  .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 39.5).map((e) => e.outerHTML.slice(0, 90)));
