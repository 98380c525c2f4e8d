// paint.mjs - how long a browser takes to the first content of the pages, cold: PAINT_URL=http://... PAINT_KEY=sk-... PAINT_PREFIX=tls.
// For `make bench`: prints "name value unit" lines: the median and the worst of nine first contents; the median until the page stands
// (its heading is in the document); and, asked in between, the median for a page of one line without a script from the same server:
// what the browser alone takes here. No test: times belong to a machine.
import { launch, quit } from './browser.mjs';

const browser = await launch(), prefix = process.env.PAINT_PREFIX ?? '';
async function paint(path, has) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.addInitScript((key) => localStorage.setItem('q2a.key', key) ?? localStorage.setItem('q2a.admin', 'yes'), process.env.PAINT_KEY);
  const page = await context.newPage();
  await page.addInitScript((what) => {
    new MutationObserver((_, o) => { if (document.querySelector(what)) { window.drawn = performance.now(); o.disconnect(); } }).observe(document, { childList: true, subtree: true });
  }, has);
  await page.goto(process.env.PAINT_URL + path, { waitUntil: 'load' });
  await page.waitForSelector(has);
  let ms;
  for (let n = 0; n < 100 && !ms; n++) {
    ms = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    if (!ms) await page.waitForTimeout(20);
  }
  if (!ms) throw new Error('nothing was painted');
  const drawn = await page.evaluate(() => window.drawn);
  await context.close();
  return [ms, drawn];
}
const pages = [], drawn = [], lines = [];
for (let i = 0; i < 9; i++) {
  const [first, whole] = await paint('/', 'h1');
  pages.push(first);
  drawn.push(whole);
  lines.push((await paint('/no-such-page', 'body'))[0]);
}
const sorted = (a) => a.sort((x, y) => x - y);
console.log(`${prefix}paint_p50 ${sorted(pages)[4].toFixed(0)} ms\n${prefix}paint_max ${pages[8].toFixed(0)} ms\n${prefix}paint_drawn ${sorted(drawn)[4].toFixed(0)} ms\n${prefix}paint_line ${sorted(lines)[4].toFixed(0)} ms`);
await quit();
