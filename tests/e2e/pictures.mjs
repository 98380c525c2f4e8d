// Attachments, long conversations, pictures and videos over chat completions (api 3.3, 3.4, 3.9): what reached the account that chats,
// and what a client is told when it could not.
import { test, equal, ok, done, fakeUpstream, gateway, chat, stream, post, waitFor, sleep } from './lib.mjs';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const fake = await fakeUpstream({ args: ['--accounts', '4'] });
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const gif = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';
const two = 'ok@example.org:correct horse,second@example.org:correct horse';
const image = (url) => ({ type: 'image_url', image_url: { url } });
const text = (t) => ({ type: 'text', text: t });
const user = (...content) => [{ role: 'user', content }];
const sha = (b64) => createHash('sha256').update(Buffer.from(b64, 'base64')).digest('hex');
const files = async () => (await fetch(`${fake.base}/__files`)).json();
const turns = async () => (await (await fetch(`${fake.base}/__log?n=300&bodies=1`)).json()).filter((x) => x.path?.includes('/chat/completions?'));
async function fresh(env, fn) {
  await fake.reset();
  const gw = await gateway(fake, env);
  try { return await fn(gw); } finally { await gw.stop(); }
}
async function refused(name, messages, status, code, more = {}, env = {}, check) {
  await test(name, async () => {
    for (const way of [chat, stream])
      await fresh({ CHAT_RETRY_COUNT: '0', ...env }, async (gw) => {
        const r = await way(gw, messages, more);
        equal([r.status, r.error?.code], [status, code], `${way.name}: ${r.raw}`);
        await check?.(r, gw);
        equal((await turns()).filter((t) => t.files?.length === 0 && messages.length === 1 && Array.isArray(messages[0].content)), [], 'never a chat without the picture');
      });
  });
}

for (const [what, url] of [['a data URI', `data:image/png;base64,${png}`], ['with parameters and line ends', `data:image/png;charset=utf-8;base64,${png.replace(/(.{40})/g, '$1\r\n')}`],
  ['the other alphabet', `data:image/png;base64,${png.replaceAll('+', '-').replaceAll('/', '_')}`], ['bare base64', png],
  ['a declared type that is wrong', `data:image/jpeg;base64,${png}`]])
  await test(`api 3.4: ${what} is uploaded and goes along (D13)`, () => fresh({}, async (gw) => {
    const r = await chat(gw, user(text('what is this?'), image(url)));
    equal(r.status, 200, r.raw);
    const [f] = await files(), [t] = await turns();
    equal([f.sha256, f.content_type, f.email, f.kind], [sha(png), 'image/png', 'ok@example.org', 'image']);
    equal(t.files.map((x) => [x.file_id, x.type, x.file_class]), [[f.id, 'image', 'vision']]);
  }));
await test('api 3.4: a URL is fetched and uploaded, one of the result hosts is passed on', () => fresh({}, async (gw) => {
  const r = await chat(gw, user(text('x'), image('https://img.example.test/cat.png'), image('https://cdn.qwenlm.ai/output/u/x.png?key=k')));
  equal(r.status, 200, r.raw);
  const [t] = await turns();
  equal([(await files()).length, t.files.length], [1, 2], JSON.stringify(t.files));
  ok(t.files[1].url.startsWith('https://cdn.qwenlm.ai/output/u/x.png'), t.files[1].url);
}));
await test('D13: three texts, pictures of history and of this turn: all of them', () => fresh({}, async (gw) => {
  await chat(gw, [{ role: 'user', content: [text('one'), text('two'), image(`data:image/png;base64,${png}`)] }, { role: 'assistant', content: 'seen' },
    { role: 'user', content: [text('three'), image(`data:image/gif;base64,${gif}`)] }]);
  const [t] = await turns(), prompt = JSON.parse(t.body).messages[0].content;
  equal(t.files.map((f) => f.file_type), ['image/png', 'image/gif']);
  for (const w of ['one\ntwo', 'three', '[image 1]']) ok(prompt.includes(w), prompt);
}));
await test('D14: one upload per picture, account and lifetime', () => fresh({}, async (gw) => {
  for (let i = 0; i < 3; i++) equal((await chat(gw, user(text(`${i}`), image(`data:image/png;base64,${png}`)))).status, 200);
  equal((await files()).length, 1);
  equal((await turns()).map((t) => t.files.length), [1, 1, 1]);
}));
await test('D14: twenty at once: still one upload an account', () => fresh({ ACCOUNTS: two }, async (gw) => {
  const all = await Promise.all(Array.from({ length: 20 }, () => chat(gw, user(text('x'), image(`data:image/png;base64,${png}`)))));
  ok(all.every((r) => r.status === 200), JSON.stringify(all.find((r) => r.status !== 200)?.json));
  const f = await files();
  ok(f.length <= 2 && new Set(f.map((x) => x.email)).size === f.length, JSON.stringify(f));
}));
await test('api 3.4: CACHE_MODE=file: the original layout, kept over a restart', () => fresh({ CACHE_MODE: 'file' }, async (gw) => {
  await chat(gw, user(text('x'), image(`data:image/png;base64,${png}`)));
  const name = `${createHash('sha256').update(png).digest('hex')}.txt`;
  await waitFor(async () => { try { return readdirSync(join(gw.cwd, 'caches')).includes(name); } catch { return false; } }, 3000, name);
  const [url, meta] = readFileSync(join(gw.cwd, 'caches', name), 'utf8').split('\n');
  ok(/^https:\/\/[^?]+\.png$/.test(url), url);
  ok(/^account=[0-9a-f]{16};id=/.test(meta), meta);
}));
await test('api 3.4: a file the upstream no longer takes is uploaded again, once', () => fresh({}, async (gw) => {
  await chat(gw, user(text('x'), image(`data:image/png;base64,${png}`)));
  await fake.reset(); // forgets the files, keeps the tokens
  const r = await chat(gw, user(text('again'), image(`data:image/png;base64,${png}`)));
  equal(r.status, 200, r.raw);
  equal([(await files()).length, (await turns()).at(-1).files.length], [1, 1]);
}));
await test('api 3.4: fail-over brings the picture to the next account', () => fresh({ ACCOUNTS: two }, async (gw) => {
  await fake.script({ completions: ['quota'] });
  const r = await chat(gw, user(text('x'), image(`data:image/png;base64,${png}`)));
  equal(r.status, 200, r.raw);
  const f = await files(), t = (await turns()).at(-1);
  equal([f.length, new Set(f.map((x) => x.email)).size, t.files.length], [2, 2, 1]);
}));
await test('api 3.4: audio, video and documents', () => fresh({}, async (gw) => {
  const r = await chat(gw, user(text('x'), { type: 'input_audio', input_audio: { data: Buffer.from('RIFF....WAVEfmt ').toString('base64'), format: 'wav' } },
    { type: 'file', file: { filename: 'notes.txt', file_data: `data:text/plain;base64,${Buffer.from('hello notes').toString('base64')}` } },
    { type: 'video_url', video_url: { url: 'https://img.example.test/clip.mp4' } }));
  equal(r.status, 200, r.raw);
  equal((await turns())[0].files.map((f) => f.type), ['audio', 'file', 'video']);
  const doc = (await files()).find((f) => f.kind === 'file' || f.kind === 'document');
  ok(doc.parsed, 'the document was parsed');
}));
await refused('api 3.4: broken base64', user(text('x'), image('data:image/png;base64,@@@@')), 400, 'invalid_media', {}, {}, (r) => equal(r.error.param, 'messages[0].content[1]'));
await refused('api 3.4: a file_id', user(text('x'), { type: 'file', file: { file_id: 'file-1' } }), 400, 'unsupported_parameter');
await refused('api 3.4: not found', user(text('x'), image('https://img.example.test/notfound')), 400, 'invalid_media');
await refused('api 3.4: HTML instead of a picture', user(text('x'), image('https://img.example.test/html')), 400, 'invalid_media');
for (const url of ['http://127.0.0.1/cat.png', 'http://[::1]/a.png', 'http://169.254.169.254/latest', 'http://10.0.0.1/a.png', 'http://[::ffff:127.0.0.1]/a.png', 'http://[64:ff9b::7f00:1]/a.png', 'http://localhost/a.png'])
  await refused(`api 3.4: refused: ${url}`, user(text('x'), image(url)), 400, 'media_fetch_refused');
await test('api 3.4: an upload that fails is an error with its reason', () => fresh({ CHAT_RETRY_COUNT: '0' }, async (gw) => {
  await fake.script({ put: ['oss_signature', 'oss_signature', 'oss_signature', 'oss_signature'] });
  const r = await chat(gw, user(text('x'), image(`data:image/png;base64,${png}`)));
  equal([r.status, r.error.code], [502, 'media_upload_failed'], r.raw);
  equal((await turns()).length, 0);
}));
await test('api 3.4: pictures whose host is silent delay no text chat', () => fresh({}, async (gw) => {
  const a = new AbortController();
  const slow = Array.from({ length: 100 }, (_, i) => chat(gw, user(text('x'), image(`https://img.example.test/hang/${i}.png`)), {}, { signal: a.signal }).catch(() => 0));
  await sleep(500);
  const begin = Date.now(), r = await chat(gw, 'hello');
  equal(r.status, 200, r.raw);
  ok(Date.now() - begin < 5000, `${Date.now() - begin} ms`);
  a.abort();
  await Promise.all(slow);
}));

const long = Array.from({ length: 200 }, (_, i) => i % 2 ? { role: 'assistant', content: `answer ${i}: ${'b'.repeat(5000)}` } : { role: 'user', content: `question ${i}: ${'a'.repeat(5000)}` });
await test('api 3.3: 1 MB of 200 turns goes up as a document, the newest tool result is answered from (D18)', () => fresh({}, async (gw) => {
  const tool = { type: 'function', function: { name: 'read_file', parameters: { type: 'object', properties: { path: { type: 'string' } } } } };
  const messages = [{ role: 'system', content: 'You are exact.' }, ...long,
    { role: 'user', content: 'What is in x?' }, { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'read_file', arguments: '{"path":"x"}' } }] },
    { role: 'tool', tool_call_id: 'call_1', content: 'THE NEWEST RESULT' }];
  const r = await stream(gw, messages, { tools: [tool] });
  equal([r.status, r.headers.get('x-qwen2api-folded')], [200, 'document'], r.raw.slice(0, 300));
  const [t] = await turns(), [f] = await files();
  const body = JSON.parse(await (await fetch(`${fake.base}/__body`)).text().catch(() => '{}'));
  equal([t.files.map((x) => x.name), f.parsed], [['conversation.txt'], true]);
  ok(f.size > 900000, `document of ${f.size}`);
  ok(body.messages === undefined || body.messages[0].content.length < 120 * 1024, 'the prompt is short');
  for (const w of ['You are exact.', 'conversation.txt', 'THE NEWEST RESULT', 'read_file']) ok(t.body.includes(w), w);
}));
await test('api 3.3: the document cannot be parsed: inline', () => fresh({}, async (gw) => {
  await fake.set({ parse_word: 'failed' });
  const r = await chat(gw, long.slice(0, 41));
  equal([r.status, r.headers.get('x-qwen2api-folded')], [200, null], r.raw);
  equal((await turns())[0].files.length, 0);
}));
await test('api 3.3: INLINE_PROMPT_KB=0: always inline', () => fresh({ INLINE_PROMPT_KB: '0' }, async (gw) => {
  equal((await chat(gw, long.slice(0, 41))).status, 200);
  equal((await files()).length, 0);
}));
await test('api 3.3: a length the upstream refuses is context_length_exceeded', () => fresh({}, async (gw) => {
  for (const s of ['too_long', '413']) equal((await chat(gw, `[[scenario:${s}]]`)).error?.code, 'context_length_exceeded', s);
}));

for (const [s, want] of [['image', 1], ['image_two', 2], ['image_tool', 1], ['image_markdown', 1], ['image_none', 1]])
  await test(`api 3.9: -image, ${s}`, () => fresh({}, async (gw) => {
    for (const way of [chat, stream]) {
      const r = await way(gw, `A kitten [[scenario:${s}]]`, { model: 'qwen3.7-plus-image' });
      equal([r.status, r.finish], [200, 'stop'], r.raw);
      const urls = [...r.text.matchAll(/!\[image\]\((https:\/\/cdn\.qwenlm\.ai\/[^)]+)\)/g)];
      equal([urls.length, r.text.replace(/!\[image\]\([^)]+\)/g, '#')], [want, Array(want).fill('#').join('\n\n')], r.text);
      ok(r.usage.total_tokens >= 0, 'usage');
    }
  }));
for (const [name, more, prompt, size] of [['parameter', { size: '1024x1792' }, 'cat', '9:16'], ['aspect_ratio', { aspect_ratio: '4:3' }, 'cat', '4:3'], ['keyword', {}, 'poster, 16:9, neon', '16:9'],
  ['keyword with @', {}, 'cat @3:4', '3:4'], ['full width', {}, '海报 9：16', '9:16'], ['none', {}, 'clock showing 14:30', '1:1'], ['parameter over keyword', { size: '1:1' }, 'cat @9:16', '1:1']])
  await test(`api 3.9: size by ${name}`, () => fresh({}, async (gw) => {
    equal((await chat(gw, prompt, { model: 'qwen-max-latest', chat_type: 't2i', ...more })).status, 200);
    const body = JSON.parse((await turns())[0].body);
    equal([body.size, body.messages[0].chat_type, body.messages[0].content.includes('@')], [size, 't2i', false]);
  }));
await refused('api 3.9: a bad size', [{ role: 'user', content: 'cat' }], 400, 'invalid_size', { model: 'qwen3.7-plus-image', size: 'huge' });
await refused('D19: a captcha URL is no picture', [{ role: 'user', content: 'cat [[scenario:image_captcha]]' }], 502, 'upstream_challenge', { model: 'qwen3.7-plus-image' }, {},
  (r) => ok(!/punish|tmd|x5sec/.test(r.raw), r.raw));
await refused('api 3.9: an unknown host is named', [{ role: 'user', content: 'cat [[scenario:image_foreign]]' }], 502, 'media_failed', { model: 'qwen3.7-plus-image' }, {},
  (r) => ok(/evil\.example\.test/.test(r.error.message) && /MEDIA_HOSTS/.test(r.error.message), r.error.message));
await refused('upstream 4.1: a refusal', [{ role: 'user', content: 'cat [[scenario:image_refusal]]' }], 400, 'content_filter', { model: 'qwen3.7-plus-image' });
await refused('upstream 4.1: text only', [{ role: 'user', content: 'cat [[scenario:image_text]]' }], 502, 'media_failed', { model: 'qwen3.7-plus-image' });
await test('api 3.14: a picture that was begun is never asked for twice', () => fresh({ ACCOUNTS: two, CHAT_RETRY_COUNT: '3', CHAT_RETRY_BACKOFF_MS: '1' }, async (gw) => {
  const r = await chat(gw, 'cat [[scenario:image drop_after=1]]', { model: 'qwen3.7-plus-image' });
  equal((await turns()).length, 1, r.raw);
}));
await test('api 5.6: media quota: the next account; chat goes on', () => fresh({ ACCOUNTS: 'limited@example.org:correct horse' }, async (gw) => {
  const r = await chat(gw, 'cat', { model: 'qwen3.7-plus-image' });
  equal([r.status, r.error.code, Number(r.headers.get('retry-after')) > 3600], [429, 'media_quota_exceeded', true], r.raw);
  equal((await chat(gw, 'hello')).status, 200);
}));
await test('api 3.13: n pictures in one message', () => fresh({ ACCOUNTS: two }, async (gw) => {
  const r = await chat(gw, 'cat', { model: 'qwen3.7-plus-image', n: 3 });
  equal([r.json.choices.length, [...r.text.matchAll(/!\[image\]/g)].length], [1, 3], r.raw);
}));
await test('api 3.9: edit of the attached picture, of the last one shown, else a new one', () => fresh({}, async (gw) => {
  const model = 'qwen3.7-plus-image-edit';
  equal((await chat(gw, user(text('blue'), image(`data:image/png;base64,${png}`)), { model })).status, 200);
  equal((await chat(gw, [{ role: 'user', content: 'a cat' }, { role: 'assistant', content: '![image](https://cdn.qwenlm.ai/output/u/x.png?key=k)' }, { role: 'user', content: 'blue' }], { model })).status, 200);
  equal((await chat(gw, 'a blue cat', { model })).status, 200);
  equal((await turns()).map((t) => [JSON.parse(t.body).messages[0].chat_type, t.files.length]), [['image_edit', 1], ['image_edit', 1], ['t2i', 0]]);
}));
await test('api 3.9: a text model that draws: the picture in its place', () => fresh({}, async (gw) => {
  for (const way of [chat, stream]) {
    const r = await way(gw, '[[scenario:image_inline]]');
    equal([...r.text.matchAll(/!\[image\]\(https:\/\/cdn\.qwenlm\.ai\//g)].length, 1, r.text);
  }
}));
await test('api 3.9: -video over chat', () => fresh({}, async (gw) => {
  for (const way of [chat, stream]) {
    const r = await way(gw, 'a running cat', { model: 'qwen3.7-plus-video' });
    equal([r.status, r.finish], [200, 'stop'], r.raw);
    ok(/^<video controls="controls">\nhttps:\/\/cdn\.qwenlm\.ai\/\S+\n<\/video>\n\n\[Download Video\]\(https:\/\/cdn\.qwenlm\.ai\/\S+\)$/.test(r.text), r.text);
  }
}));
await refused('upstream 8 row 22: a video task that failed', [{ role: 'user', content: 'cat [[scenario:video_fail]]' }], 502, 'media_failed', { model: 'qwen3.7-plus-video' }, { SSE_EARLY_HEADERS_MS: '60000' });
await refused('api 5.4: a video from a picture is refused, not ignored', user(text('x'), image(`data:image/png;base64,${png}`)), 400, 'unsupported_parameter', { model: 'qwen3.7-plus-video' });
await done();
