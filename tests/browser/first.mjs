// first.mjs - somebody's first five minutes (api 10), in the browser: start without any configuration, sign in with the printed key,
// add an account, see the models, chat, make a key, use it with an OpenAI client, find it in the statistics and the log.
import OpenAI from 'openai';
import { close, open, quit, shot, sound } from './browser.mjs';
import { done, equal, fakeUpstream, gateway, ok, test, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { API_KEY: null, ACCOUNTS: null, DATA_SAVE_MODE: null, LOG_LEVEL: null });
const key48 = /\bsk-[0-9A-Za-z]{48}\b/;
await waitFor(() => key48.test(gw.log()), 5000, 'a key is printed').catch(() => {});
const printed = key48.exec(gw.log())?.[0];
let page, key;

await test('api 10: the printed key opens the pages of a gateway that was never configured', async () => {
  ok(printed, `a key is printed: ${gw.log()}`);
  page = await open(gw, '/', { plain: true });
  await page.waitForURL('**/auth?next=/');
  equal(await page.getAttribute('label:has-text("Admin key") input', 'type'), 'password', 'the key is not shown');
  await page.fill('label:has-text("Admin key") input', printed);
  await page.check('label:has-text("Show the key") input');
  equal(await page.getAttribute('label:has-text("Admin key") input', 'type'), 'text', 'until asked');
  await page.click('button:has-text("Sign in")');
  await page.waitForURL(gw.base + '/');
  await page.waitForSelector('.notice:has-text("No account yet")');
  await shot(page, 'first-1-empty.png');
  await sound(page, 'the empty overview');
});
await test('api 10: an empty gateway says on each page what to do next', async () => {
  for (const [path, words] of [['/accounts', /No accounts yet/], ['/keys', /Create a key/], ['/statistics', /Statistics/], ['/logs', /No requests yet/]]) {
    await page.click(`nav a[href="${path}"]`);
    await waitFor(async () => words.test(await page.textContent('main')), 5000, `${path} says so`);
  }
  await page.click('nav a[href="/chat"]');
  await page.waitForSelector('h1:has-text("Playground")');
});
await test('api 10: add an account, see the models, chat', async () => {
  await page.click('nav a[href="/"]');
  await page.click('.notice a[href="/accounts"]');
  await page.click('button:has-text("Add an account")');
  await page.fill('dialog input[type=email], dialog label:has-text("E-mail") input', 'ok@example.org');
  await page.fill('dialog input[type=password]', 'correct horse');
  await page.click('dialog button.main');
  await page.waitForSelector('main :text("ok@example.org")');
  await page.waitForSelector('dialog', { state: 'detached' }).catch(async () => page.click('dialog button:has-text("Close"), dialog button:has-text("Done")'));
  await page.click('nav a[href="/catalog"]');
  await page.waitForSelector('.models :text("qwen3.7-plus")');
  await page.click('nav a[href="/chat"]');
  await waitFor(() => page.evaluate(() => document.querySelectorAll('select option').length > 5), 10000, 'models to choose');
  await page.fill('form.ask textarea', 'Hello');
  await page.keyboard.press('Enter');
  await waitFor(() => page.evaluate(() => /Total/.test(document.querySelector('.turn.assistant')?.textContent)), 15000, 'the answer');
  ok((await page.textContent('.turn.assistant')).includes('Hello, 世界! This is the fake upstream.'));
  await shot(page, 'first-2-chat.png');
});
await test('api 10: make a key, use it with an OpenAI client, find the request in overview, statistics and log', async () => {
  await page.click('nav a[href="/keys"]');
  await page.click('button:has-text("Create a key")');
  await page.fill('dialog label:has-text("Name") input', 'my laptop');
  await page.click('dialog button.main');
  await page.waitForSelector('dialog :text("only this once")');
  key = key48.exec(await page.innerText('dialog'))?.[0] ?? await page.inputValue('dialog input[readonly]').catch(() => '');
  ok(/^sk-[0-9A-Za-z]{48}$/.test(key), 'the key is shown');
  await shot(page, 'first-3-key.png');
  await page.click('dialog button:has-text("Done"), dialog button:has-text("Close")');
  const client = new OpenAI({ baseURL: gw.v1, apiKey: key });
  const r = await client.chat.completions.create({ model: 'qwen3-max', messages: [{ role: 'user', content: 'Hello' }] });
  equal(r.choices[0].message.content, 'Hello, 世界! This is the fake upstream.');
  await page.click('nav a[href="/"]');
  await waitFor(async () => (await page.innerText('.figure:has-text("Requests today") b')) === '2', 10000, 'two requests');
  await page.waitForSelector('.charts .chart');
  await shot(page, 'first-4-overview.png');
  await page.click('nav a[href="/statistics"]');
  await waitFor(async () => (await page.textContent('main')).includes('qwen3-max'), 10000, 'the model in the statistics');
  await page.click('nav a[href="/logs"]');
  await page.waitForSelector('table :text("my laptop")');
  await shot(page, 'first-5-logs.png');
});
await test('api 10: signing out forgets the key', async () => {
  await page.click('button:has-text("Sign out")');
  await page.waitForURL('**/auth');
  equal(await page.evaluate(() => [localStorage.getItem('q2a.key'), sessionStorage.getItem('q2a.key')]), [null, null]);
  await page.goto(gw.base + '/keys');
  await page.waitForURL('**/auth?next=/keys');
  await close(page);
});
await quit();
await done();
