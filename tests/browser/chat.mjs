// chat.mjs - the playground (api 10): what a model says, thinks, calls and finds; files, pictures and films; stopping, asking again,
// curl; trouble in words (D6); HTML stays text; nothing typed is lost.
import { execFileSync } from 'node:child_process';
import { close, open, quit, shot, sound } from './browser.mjs';
import { done, equal, fakeUpstream, gateway, KEY, ok, test, top, USER_KEY, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { ACCOUNTS: 'ok@example.org:correct horse,second@example.org:correct horse,limited@example.org:correct horse' });
const b64 = (text) => Buffer.from(text).toString('base64');
const say = (text, more = '') => `[[scenario:say b64=${b64(text)} ${more}]]`;
const box = 'form.ask textarea';

async function playground(options) {
  const page = await open(gw, '/chat', options);
  await waitFor(() => page.evaluate(() => document.querySelectorAll('select option').length > 5), 10000, 'the models are there');
  return page;
}
// Sends and waits until the answer is whole; gives its text.
async function ask(page, text) {
  const n = await page.locator('.turn.assistant').count();
  await page.fill(box, text);
  await page.click('form.ask button.main');
  await waitFor(async () => await page.locator('.turn.assistant').count() === n + 1 && await page.locator('.turn.assistant').last().getAttribute('aria-busy') === 'false', 20000, 'the answer is whole');
  return page.locator('.turn.assistant').last();
}
const pick = async (page, model, variant) => {
  await page.selectOption('label:has-text("Model") select', model);
  if (variant) await page.selectOption('label:has-text("Variant") select', `${model}-${variant}`);
};

await test('api 10: markdown becomes elements, HTML in questions and answers stays text', async () => {
  const page = await playground();
  const text = '# Title\n\nOne **bold** `code` *soft* [site](https://example.org/a) [bad](javascript:alert(1))\n\n- a\n  - b\n- c\n\n1. x\n2. y\n\n> said\n\n' +
    '| h | i |\n|---|--:|\n| 1 | a\\|b |\n\n```js\nlet x = "<b>";\n```\n\n<img src=x onerror="window.broken=1"><script>window.broken=1</script><b>raw</b>';
  const turn = await ask(page, `<i>mine</i> ${say(text, 'step=7')}`);
  await shot(page, 'chat-markdown-en-light-1280.png');
  const seen = await turn.locator('.marked').evaluate((e) => ({
    broken: window.broken ?? null, raw: e.querySelectorAll('img, script, b').length, heading: e.querySelector('.heading')?.textContent, bold: [...e.querySelectorAll('p:not(.heading) > strong')].map((x) => x.textContent),
    em: e.querySelector('em')?.textContent, links: [...e.querySelectorAll('a')].map((a) => [a.getAttribute('href'), a.rel, a.textContent]), nested: e.querySelectorAll('ul ul li').length,
    items: e.querySelectorAll('ol li').length, quote: e.querySelector('blockquote')?.textContent, cells: [...e.querySelectorAll('td')].map((c) => c.textContent), code: e.querySelector('pre')?.textContent,
    last: e.lastElementChild.textContent }));
  equal(seen, { broken: null, raw: 0, heading: 'Title', bold: ['bold'], em: 'soft', links: [['https://example.org/a', 'noopener noreferrer', 'site']], nested: 1, items: 2, quote: 'said', cells: ['1', 'a|b'],
    code: 'let x = "<b>";', last: '<img src=x onerror="window.broken=1"><script>window.broken=1</script><b>raw</b>' });
  ok((await page.textContent('.turn.user')).includes('<i>mine</i>'), 'the question as typed');
  ok((await turn.textContent()).includes('tokens'), 'tokens and times are told');
  ok(/First token \d+ ms Total \d/.test(await turn.locator('.measure').innerText()), await turn.locator('.measure').innerText());
  await turn.locator('summary:has-text("Raw stream")').click();
  const raw = await turn.locator('details pre').last().textContent();
  ok(raw.startsWith('data: {"id":"chatcmpl-') && raw.trim().endsWith('data: [DONE]'), 'the stream as it came');
  await sound(page, 'a conversation');
  await close(page);
});
await test('api 10: thoughts are folded, sources are listed, calls are shown', async () => {
  const page = await playground();
  await pick(page, 'qwen3.7-plus', 'thinking');
  let turn = await ask(page, say('The answer', `think_b64=${b64('hidden thoughts')}`));
  ok(!await turn.locator('.said:has-text("hidden thoughts")').isVisible(), 'folded');
  await turn.locator('summary:has-text("Thinking")').click();
  ok(await turn.locator('.said:has-text("hidden thoughts")').isVisible(), 'unfolded');
  await pick(page, 'qwen3.7-plus', 'search');
  turn = await ask(page, '[[scenario:search]]');
  await turn.locator('summary:has-text("sources")').click();
  ok(await turn.locator('ol a[href^="https://"]').count() > 0, 'links');
  await shot(page, 'chat-search-en-light-1280.png');
  await pick(page, 'qwen3.7-plus', '');
  await page.selectOption('label:has-text("Variant") select', 'qwen3.7-plus');
  await page.click('summary:has-text("System prompt")');
  await page.fill('label:has-text("Tools") textarea', '[{"type":"function",');
  await page.waitForSelector('[role=alert]:has-text("not a JSON array")');
  await page.fill(box, 'x');
  ok(await page.isDisabled('form.ask button.main'), 'not sent with broken tools');
  await page.fill('label:has-text("Tools") textarea', '[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]');
  turn = await ask(page, '[[scenario:tool_text name=get_weather args={"city":"Paris"}]]');
  ok((await turn.textContent()).includes('get_weather') && (await turn.locator('pre').first().textContent()).includes('Paris'), 'name and arguments');
  await close(page);
});
await test('api 10: the system prompt and the files reach the model; files are picked and pasted, and can be removed', async () => {
  const page = await playground();
  await page.click('summary:has-text("System prompt")');
  await page.fill('label:has-text("System prompt") textarea', 'Be short.');
  const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
  await page.setInputFiles('form.ask input[type=file]', [{ name: 'dot.png', mimeType: 'image/png', buffer: png }, { name: 'note <b>.txt', mimeType: 'text/plain', buffer: Buffer.from('a note') }]);
  await page.waitForSelector('ul.files li:has-text("note <b>.txt")');
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(['pasted'], 'pasted.txt', { type: 'text/plain' }));
    document.querySelector('form.ask textarea').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await page.waitForSelector('ul.files li:has-text("pasted.txt")');
  equal(await page.locator('ul.files li').count(), 3);
  await shot(page, 'chat-files-en-light-1280.png');
  await page.click('ul.files li:has-text("pasted.txt") button');
  await fake.reset();
  await ask(page, 'look [[scenario:echo]]');
  const log = await (await fetch(`${fake.base}/__log?n=200&bodies=1`)).json(), sent = (log.requests ?? log).filter((r) => r.files?.length).at(-1);
  equal(sent.files.map((f) => [f.type, f.name.split('.').pop()]).sort(), [['file', 'txt'], ['image', 'png']], 'both files');
  ok(JSON.stringify(sent).includes('Be short.'), 'the system prompt');
  await close(page);
});
await test('api 10: pictures and films are asked with a size and shown through the gateway', async () => {
  const page = await playground();
  await pick(page, 'qwen3.7-plus', 'image');
  await page.selectOption('label:has-text("Size") select', '16:9');
  let turn = await ask(page, 'a cat');
  await waitFor(() => turn.evaluate((e) => { const i = e.querySelector('img'); return i?.src.startsWith('blob:') && i.naturalWidth > 0; }), 10000, 'the picture is drawn');
  ok((await (await fetch(`${fake.base}/__body`)).text()).includes('16:9'), 'the size reaches the model');
  await pick(page, 'qwen3.7-plus', 'video');
  turn = await ask(page, 'a running cat [[scenario:video polls=1]]');
  await waitFor(() => turn.evaluate((e) => e.querySelector('video')?.src.startsWith('blob:')), 10000, 'the film is there');
  await shot(page, 'chat-media-en-light-1280.png');
  await close(page);
});
await test('api 10: an answer can be stopped and asked again; it goes on while another page is looked at', async () => {
  const page = await playground();
  await page.fill(box, '[[scenario:stream n=2000 ms=20 size=12 seed=7]]');
  await page.click('form.ask button.main');
  await waitFor(() => page.evaluate(() => /7\.20 /.test(document.querySelector('.turn.assistant')?.textContent)), 10000, 'it streams');
  ok(await page.isDisabled('form.ask button.main'), 'one at a time');
  await page.fill(box, 'a draft');
  await page.click('nav a[href="/catalog"]');
  await page.waitForTimeout(300);
  await page.click('nav a[href="/chat"]');
  equal(await page.inputValue(box), 'a draft', 'nothing typed is lost');
  const far = await page.textContent('.turn.assistant');
  await waitFor(async () => (await page.textContent('.turn.assistant')).length > far.length + 20, 10000, 'it went on');
  await page.click('form.ask button:has-text("Stop")');
  await page.waitForSelector('.turn.assistant:has-text("Stopped.")');
  const stopped = await page.textContent('.turn.assistant');
  await page.waitForTimeout(200);
  equal(await page.textContent('.turn.assistant'), stopped, 'nothing comes any more');
  await page.fill(box, '');
  await page.click('form.ask button:has-text("Answer again")');
  await waitFor(() => page.evaluate(() => /7\.20 /.test(document.querySelector('.turn.assistant')?.textContent)), 10000, 'asked again');
  equal(await page.locator('.turn.assistant').count(), 1, 'in place of the first');
  await page.click('button:has-text("New chat")');
  equal(await page.locator('.turn').count(), 0);
  await close(page);
});
await test('api 10: the curl that is copied gives the same answer', async () => {
  const page = await playground();
  await page.evaluate(() => { Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (t) => { window.copied = t; } } }); });
  await page.fill(box, `it's [[scenario:say b64=${b64('from curl')}]]`);
  await page.click('button:has-text("Copy as curl")');
  const command = await page.evaluate(() => window.copied);
  ok(command.includes(`Bearer ${KEY}`), 'with the key');
  const out = execFileSync('sh', ['-c', command.replace('curl -N', 'curl -sN')], { encoding: 'utf8' });
  ok(out.includes('from curl') && out.trim().endsWith('[DONE]'), out);
  await close(page);
});
await test('D6 api 10: what went wrong is told in words with the id of the request, never as an answer', async () => {
  const page = await playground();
  for (const [scenario, words] of [['quota', /quota|limit/i], ['html_200', /challenge|captcha|verif/i], ['err_in_stream', /./], ['empty', /./], ['drop', /cut|reset/i]]) {
    const turn = await ask(page, `[[scenario:${scenario}]]`);
    const text = await turn.locator('[role=alert]').innerText();
    ok(words.test(text) && /req_/.test(text) && text.length > 40, `${scenario}: ${text}`);
    if (scenario !== 'drop') equal(await turn.locator('.marked').count(), 0, `${scenario}: no answer`);
    equal(await turn.locator('a:has-text("Logs")').count(), 1, `${scenario}: a way to its log`);
    for (const email of ['ok@example.org', 'second@example.org', 'limited@example.org'])
      await fetch(`${gw.base}/api/clearCooldown`, { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: JSON.stringify({ email }) });
  }
  await shot(page, 'chat-errors-en-light-1280.png');
  await sound(page, 'errors');
  await close(page);
});
await test('api 10: a regular key talks in the playground and sees no management page', async () => {
  const page = await playground({ key: USER_KEY, admin: false });
  const turn = await ask(page, say('for you'));
  ok((await turn.textContent()).includes('for you'));
  equal(await page.locator('nav a').count(), 1, 'one page');
  for (const path of ['/', '/accounts', '/keys', '/settings', '/logs']) {
    await page.goto(gw.base + path);
    await page.waitForURL('**/chat');
  }
  await close(page);
});
await quit();
await done();
