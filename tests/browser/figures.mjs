// figures.mjs - what overview, log, catalog and about show is what happened (api 10): every figure is driven to a known value by real
// requests; names with HTML in them stay text; the log follows; aliases work at once.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { close, open, quit, shot, sound } from './browser.mjs';
import { auth, chat, done, equal, fakeUpstream, gateway, KEY, ok, post, stream, test, top, waitFor } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake, { ACCOUNTS: 'ok@example.org:correct horse,second@example.org:correct horse,bad@example.org:wrong', MAX_INFLIGHT_PER_ACCOUNT: '1' });
const api = async (path) => (await fetch(gw.base + path, { headers: auth() })).json();
await waitFor(async () => { const a = (await api('/api/overview')).accounts; return a.usable === 2 && a.byStatus.invalid === 1; }, 10000, 'two accounts signed in, one refused');
const figure = (page, name) => page.innerText(`.figure:has(span:text-is("${name}")) b`);
const shows = (page, name, want) => waitFor(async () => await figure(page, name) === want, 12000, `${name} is ${want}`).catch(async (e) => { throw new Error(`${e.message}, but ${await figure(page, name)}`); });

await test('api 10: the figures of the overview are those of the requests that were made', async () => {
  const page = await open(gw, '/');
  await shows(page, 'Requests today', '0');
  equal([await figure(page, 'Tokens today'), await figure(page, 'Error rate today'), await figure(page, 'First token today'), await figure(page, 'Requests a minute')], ['0', '-', '-', '0'], 'before');
  await page.waitForSelector('text=No request in the last 24 hours.');
  let tokens = 0;
  const firsts = [];
  for (let i = 0; i < 3; i++) {
    const begin = Date.now();
    tokens += (await stream(gw, '[[scenario:stream n=2 ms=700 size=8 seed=1]]')).usage.total_tokens;
    firsts.push(Date.now() - begin);
  }
  const bad = await chat(gw, 'x', { model: 'none<b>such</b>' });
  equal(bad.status, 404);
  await shows(page, 'Usable accounts', '2 / 3');
  await shows(page, 'Requests today', '4');
  await shows(page, 'Requests a minute', '4');
  await shows(page, 'Error rate today', '25%');
  ok(Number(await figure(page, 'Tokens today')) >= tokens, `${await figure(page, 'Tokens today')} tokens, ${tokens} were used by the good ones`);
  equal(Number(await figure(page, 'Tokens today')), (await api('/api/requests')).data.reduce((n, r) => n + r.input + r.output, 0), 'the sum of the requests');
  const first = (await api('/api/overview')).today.firstTokenP50Ms; // within the times that this client saw
  ok(first > 0 && first <= Math.max(...firsts), `${first} of ${firsts}`);
  equal(await figure(page, 'First token today'), first < 1000 ? `${first} ms` : `${(first / 1000).toFixed(1)} s`);
  ok((await page.innerText('.findings')).includes('1 account(s) cannot sign in'), 'the refused account is named');
  for (const [state, n] of [['active', 2], ['invalid', 1]]) ok(await page.locator(`button:has-text("${state} ${n}")`).count() === 1, `${state} ${n}`);
  const row = page.locator(`table tr:has-text("${bad.headers.get('x-request-id')}")`);
  equal(await row.locator('b').count(), 0, 'a name stays text');
  ok((await row.innerText()).includes('404 model_not_found'), await row.innerText());
  await page.reload();
  const plot = page.locator('.charts .chart').first();
  await plot.waitFor();
  const edge = await plot.locator('.u-over, [role=slider]').boundingBox();
  await page.mouse.move(edge.x + edge.width - 4, edge.y + edge.height / 2);
  await waitFor(async () => /Requests:?\s*4\s+Errors:?\s*1/.test(await plot.innerText()), 5000, 'the last hour has four requests and one error');
  await shot(page, 'overview-figures-en-light-1280.png');
  await page.click(`a:has-text("${bad.headers.get('x-request-id')}")`);
  await page.waitForURL('**/logs**');
  equal(await page.inputValue('input[type=search]'), bad.headers.get('x-request-id'), 'the log of that request');
  await waitFor(async () => await page.locator(`table tr:has-text("${bad.headers.get('x-request-id')}")`).count() === 1, 9000, 'and its row');
  await close(page);
});
await test('api 10: requests that wait and many failures are told in words, with a way to the accounts', async () => {
  const page = await open(gw, '/'), stop = new AbortController();
  const slow = [1, 2, 3].map((i) => post(gw, '/v1/chat/completions', { model: 'qwen3.7-plus', stream: true, messages: [{ role: 'user', content: `[[scenario:slow ms=9000 n=${i}]]` }] }, { signal: stop.signal }).catch(() => null));
  await waitFor(async () => (await page.innerText('.findings')).includes('1 request(s) wait'), 9000, 'one waits for an account');
  stop.abort();
  await Promise.all(slow);
  for (let i = 0; i < 8; i++) await chat(gw, 'x', { model: 'none-such' });
  const { calls, errors } = (await api('/api/overview')).today;
  ok(calls >= 12 && errors.total >= 9, `${calls} calls, ${errors.total} errors`);
  await waitFor(async () => (await page.innerText('.findings')).includes(`of ${(await api('/api/overview')).today.calls} requests failed today`), 9000, 'many failed');
  await page.click('.findings button:has-text("Look")');
  await page.waitForURL('**/accounts');
  await page.waitForSelector('main :text("bad@example.org")');
  equal(await page.locator('main :text("second@example.org")').count(), 0, 'only those');
  await close(page);
});
await test('api 10: the settings for clients hold this address and key, or a placeholder; the curl works', async () => {
  const page = await open(gw, '/');
  await page.evaluate(() => { Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (t) => { window.copied = t; } } }); });
  const names = await page.locator('select[aria-label="Client"] option').allInnerTexts();
  for (const name of ['curl', 'OpenAI: Python', 'Claude Code', 'Codex', 'Qwen Code', 'Open WebUI', 'LobeChat', 'NextChat']) ok(names.includes(name), name);
  await waitFor(async () => (await page.innerText('.sheet pre')).includes('qwen3.7-plus'), 5000, 'a model that is there');
  const texts = {};
  for (const name of names) {
    await page.selectOption('select[aria-label="Client"]', name);
    await page.click('.row:has(select) button:has-text("Cop")');
    texts[name] = await page.evaluate(() => window.copied);
    ok(texts[name].includes(gw.base) && texts[name].includes(KEY), name);
    ok(!(await page.innerText('.sheet pre')).includes(KEY), `${name}: the key is not shown`);
  }
  ok(execFileSync('sh', ['-c', texts.curl.replace('curl ', 'curl -s ')], { encoding: 'utf8' }).includes('This is the fake upstream.'), 'curl');
  await page.selectOption('select[aria-label="Key in the text"]', { label: 'with a placeholder' });
  await page.click('.row:has(select) button:has-text("Cop")');
  const text = await page.evaluate(() => window.copied);
  ok(text.includes('YOUR_KEY') && !text.includes(KEY), text);
  await close(page);
});
await test('api 10: the log follows, pauses, goes on; by level, module and text; its download; the table of requests', async () => {
  const page = await open(gw, '/logs');
  await page.waitForSelector('.line');
  const name = '<img src=x onerror="window.broken=1">';
  const key = (await (await post(gw, '/api/addRegularKey', { name })).json()).apiKey;
  const one = await chat(gw, 'Hello', {}, { key }), id = one.headers.get('x-request-id');
  await page.waitForSelector(`.line:has-text("${id}")`);
  const row = page.locator(`table tr:has-text("${id}")`), seen = (await api('/api/requests')).data.find((r) => r.id === id);
  await row.waitFor();
  const cells = await row.locator('td').allInnerTexts();
  equal([cells[1].trim(), cells[2], cells[3], cells[4], cells[5], cells[6], cells[8]], ['200', '/v1/chat/completions', 'qwen3.7-plus', seen.account, name, '1', `${one.usage.prompt_tokens} / ${one.usage.completion_tokens}`]);
  equal(await page.evaluate(() => [window.broken ?? null, document.querySelectorAll('main img').length]), [null, 0], 'the name stays text');
  await page.click('button:has-text("Pause")');
  const two = (await chat(gw, 'Hello')).headers.get('x-request-id');
  await waitFor(async () => /\([1-9]\d* new\)/.test(await page.innerText('.filters')), 9000, 'counted while it pauses');
  equal(await page.locator(`.line:has-text("${two}")`).count(), 0);
  await page.click('button:has-text("Go on")');
  await page.waitForSelector(`.line:has-text("${two}")`);
  await page.click(`.line button:has-text("${id}") >> nth=0`);
  await waitFor(async () => { const l = await page.locator('.line').allInnerTexts(); return l.length > 0 && l.length < 20 && !l.some((x) => x.includes(two)); }, 9000, 'only that request');
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('button:has-text("Download")')]);
  const text = readFileSync(await file.path(), 'utf8').trim().split('\n');
  ok(text.length > 0 && text.every((l) => l.includes(id)) && /^\d{4}-\d\d-\d\dT.{12}Z (DEBUG|INFO |WARN |ERROR) \w+ /.test(text[0]), text[0]);
  await page.fill('input[type=search]', '');
  await page.selectOption('select[aria-label="Level"]', 'warn');
  await waitFor(async () => { const l = await page.locator('.line').allInnerTexts(); return l.length > 0 && l.every((x) => /WARN|ERROR/.test(x)); }, 9000, 'warnings only');
  await page.selectOption('select[aria-label="Level"]', '');
  await waitFor(async () => (await page.locator('select[aria-label="Module"] option').allInnerTexts()).includes('login'), 9000, 'modules to choose');
  await page.selectOption('select[aria-label="Module"]', 'login');
  await waitFor(async () => { const l = await page.locator('.line').allInnerTexts(); return l.length > 0 && l.every((x) => / login /.test(x)); }, 9000, 'one module');
  await shot(page, 'logs-filtered-en-light-1280.png');
  await close(page);
});
await test('api 10: the catalog lists names and abilities, asks anew, copies a name', async () => {
  const page = await open(gw, '/catalog'), list = (await api('/models')).data;
  await waitFor(async () => (await page.innerText('main')).includes(`${list.length} names · fetched from the upstream`), 9000, 'as many as the list has');
  const card = page.locator('.models section:has(code:text-is("qwen3.7-plus"))');
  for (const word of ['thinking', 'web search', 'sees pictures', 'makes pictures', 'makes videos']) ok(await card.locator(`.tag:text-is("${word}")`).count() === 1, word);
  await card.locator('summary').click();
  await page.evaluate(() => { Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (t) => { window.copied = t; } } }); });
  await card.locator('button[aria-label="Copy qwen3.7-plus-thinking-search"]').click();
  equal(await page.evaluate(() => window.copied), 'qwen3.7-plus-thinking-search');
  const before = (await fake.stats()).models;
  await page.click('button:has-text("Refresh")');
  await waitFor(async () => (await fake.stats()).models === before + 1, 9000, 'the upstream was asked');
  await page.fill('input[type=search]', 'coder');
  equal(await page.locator('.models section').count(), 1, 'filtered');
  await shot(page, 'catalog-filtered-en-light-1280.png');
  await close(page);
});
await test('api 10: an alias is added, refused with the server\'s words, saved, and serves at once', async () => {
  const page = await open(gw, '/catalog');
  await page.click('button:has-text("Add an alias")');
  await page.fill('.alias input >> nth=0', 'gpt-4o');
  await page.fill('.alias input >> nth=1', 'qwen*');
  await page.click('form button:has-text("Save")');
  await page.waitForSelector('[role=alert]:has-text("from=to")');
  await page.fill('.alias input >> nth=1', 'qwen3-max');
  await page.click('form button:has-text("Save")');
  await page.waitForSelector('[role=status]:has-text("in memory only")');
  const r = await chat(gw, 'Hello', { model: 'gpt-4o' });
  equal([r.status, r.headers.get('x-qwen2api-model')], [200, 'qwen3-max']);
  await page.reload();
  await waitFor(async () => await page.locator('.alias input').count() === 2 && await page.inputValue('.alias input >> nth=0') === 'gpt-4o', 9000, 'it is still there');
  await shot(page, 'catalog-alias-en-light-1280.png');
  await page.click('button[aria-label="Delete gpt-4o"]');
  await page.click('form button:has-text("Save")');
  await page.waitForSelector('[role=status]:has-text("in memory only")');
  equal((await api('/api/settings')).modelAliases, []);
  await close(page);
});
await test('api 10: about tells version, build, the licences of all parts and the findings', async () => {
  const page = await open(gw, '/about'), [, version, build] = /^qwen2api (\S+) \((.*)\)/.exec(execFileSync(process.env.Q2A_BINARY || join(top, 'build/qwen2api'), ['--version'], { encoding: 'utf8' }));
  await page.waitForSelector('dl.facts');
  ok((await page.innerText('main')).includes(`qwen2api ${version}`) && (await page.innerText('dl.facts')).includes(build), `${version}, ${build}`);
  const notices = await page.innerText('pre.notices');
  for (const part of ['civetweb', 'BearSSL', 'LMDB', 'zlib', 'hiredis', 'musl']) ok(notices.includes(part), part);
  // Each package that is built into the pages, with the copyright line of its own licence.
  const lock = JSON.parse(readFileSync(join(top, 'assets/package-lock.json'), 'utf8')).packages;
  for (const name of Object.keys(JSON.parse(readFileSync(join(top, 'assets/package.json'), 'utf8')).dependencies)) {
    ok(notices.includes(name) && notices.includes(lock[`node_modules/${name}`].version), `${name} ${lock[`node_modules/${name}`].version}`);
    const own = /^Copyright \(c\) .*$/m.exec(readFileSync(join(top, `build/uisrc/node_modules/${name}/LICENSE`), 'utf8'))[0];
    ok(notices.includes(own), own);
  }
  await waitFor(async () => (await api('/api/doctor')).length === await page.locator('.findings p:has(.tag)').count(), 9000, 'as many findings as the doctor has');
  await sound(page, 'about');
  await close(page);
});
await quit();
await done();
