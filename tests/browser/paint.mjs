// paint.mjs - how long a browser takes to the first content of the pages, cold: PAINT_URL=http://... PAINT_KEY=sk-... PAINT_PREFIX=tls.
// For `make bench`: prints "name value unit" lines, the median and the worst of nine. No test: times belong to a machine.
import { launch, quit } from './browser.mjs';

const browser = await launch(), times = [];
for (let i = 0; i < 9; i++) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.addInitScript((key) => localStorage.setItem('q2a.key', key) ?? localStorage.setItem('q2a.admin', 'yes'), process.env.PAINT_KEY);
  const page = await context.newPage();
  await page.goto(process.env.PAINT_URL, { waitUntil: 'load' });
  await page.waitForSelector('h1');
  let paint;
  for (let n = 0; n < 100 && !paint; n++) {
    paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    if (!paint) await page.waitForTimeout(20);
  }
  if (!paint) throw new Error('nothing was painted');
  times.push(paint);
  await context.close();
}
times.sort((a, b) => a - b);
console.log(`${process.env.PAINT_PREFIX ?? ''}paint_p50 ${times[4].toFixed(0)} ms\n${process.env.PAINT_PREFIX ?? ''}paint_max ${times[8].toFixed(0)} ms`);
await quit();
