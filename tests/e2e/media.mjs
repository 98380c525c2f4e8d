// Pictures and videos against the static binary: api 3.9, 5.1 to 5.7, upstream 4, D19.
import OpenAI, { toFile } from 'openai';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, post, auth, chat, KEY, USER_KEY, sleep } from './lib.mjs';

const fake = await fakeUpstream();
const gw = await gateway(fake);
const b64 = (s) => Buffer.from(s).toString('base64');
const captcha = 'https://chat.qwen.ai:443//api/v2/chat/completions/_____tmd_____/punish?x5secdata=abc&action=captcha';
const get = (path, key = KEY, headers = {}, g = gw) => fetch(g.base + path, { headers: { ...auth(key), ...headers } });
async function video(scenario, more = {}, { g = gw, key = KEY } = {}) {
  const r = await post(g, '/v1/videos', { prompt: `a kitten runs [[scenario:${scenario}]]`, wait: 60, ...more }, { key });
  const raw = await r.text();
  return { status: r.status, headers: r.headers, raw, json: JSON.parse(raw) };
}
const poll = async (client, v) => {
  while (v.status === 'queued' || v.status === 'in_progress') {
    await sleep(200);
    v = await client.videos.retrieve(v.id);
  }
  return v;
};
const settled = async (id, g = gw) => {
  let v;
  await waitFor(async () => { v = await (await get(`/v1/videos/${id}`, KEY, {}, g)).json(); return v.status !== 'queued' && v.status !== 'in_progress'; }, 60000, `video ${id} ends`);
  return v;
};

await test('api 2.2: -image, -image-edit and -video are listed where the model can', async () => {
  const ids = (await (await get('/v1/models')).json()).data.map((m) => m.id);
  for (const s of ['-image', '-image-edit', '-video']) ok(ids.includes(`qwen3.7-plus${s}`), `qwen3.7-plus${s}`);
  ok(!ids.some((i) => i.endsWith('-deep-research')), 'deep research is not offered');
  ok(!ids.includes('qwen3-coder-plus-video'), 'a text model has none');
});

await test('api 2.4: a model that makes no videos says what it can do', async () => {
  const v = await video('video', { model: 'qwen3-coder-plus' });
  equal([v.status, v.json.error.code, v.json.error.param], [400, 'unsupported_model_variant', 'model']);
});

await test('api 5.4: a video that is waited for', async () => {
  await fake.reset();
  const v = await video('video polls=0', { size: '1024x1792', model: 'qwen3.7-plus' });
  equal(v.status, 200, v.raw);
  const o = v.json;
  ok(/^video_[0-9A-Za-z]{24}$/.test(o.id), o.id);
  equal([o.object, o.status, o.progress, o.model, o.size, o.seconds, o.error, o.expires_at, o.remixed_from_video_id], ['video', 'completed', 100, 'qwen3.7-plus', '9:16', '5', null, null, null]);
  ok(o.created === o.created_at && o.created > 1e9 && o.created < 1e11 && o.completed_at >= o.created, 'seconds');
  ok(o.data[0].url.startsWith('https://cdn.qwenlm.ai/output/'), o.data[0].url);
  const log = await fake.log(), asked = log.filter((l) => l.path.startsWith('/api/v2/chat/completions'));
  equal(asked.length, 1, 'one completion');
  equal((await fake.stats()).bad, 0, 'nothing the upstream would refuse');
});

await test('api 5.4, 3.9: the keyword in the prompt is the size, the parameter wins over it', async () => {
  equal((await video('video polls=0')).json.size, '16:9', 'nothing said');
  equal((await video('video polls=0 x=4:3')).json.size, '4:3');
  equal((await video('video polls=0 x=4:3', { size: '1:1' })).json.size, '1:1');
  equal((await video('video polls=0', { aspect_ratio: '3:4' })).json.size, '3:4');
  const bad = await video('video', { size: 'large' });
  equal([bad.status, bad.json.error.code, bad.json.error.param], [400, 'invalid_size', 'size']);
});

await test('upstream 4.3: every place of the task id, both shapes of its status, all words', async () => {
  for (const where of ['messages', 'output', 'data', 'flat', 'flat_output', 'camel', 'result']) {
    const v = await video(`video polls=0 where=${where}`);
    equal([v.status, v.json.status], [200, 'completed'], where);
  }
  equal((await video('video polls=1 shape=v2 wait=pending word=succeeded')).json.status, 'completed');
});

await test('upstream 4.3: a video that comes as events', async () => {
  const v = await video('video_sse ms=300');
  equal([v.status, v.json.status], [200, 'completed'], v.raw);
  ok(v.json.data[0].url.endsWith('v.mp4') || v.json.data[0].url.includes('v.mp4?'), v.raw);
});

await test('the real openai package: create, poll, content, list, delete', async () => {
  const client = new OpenAI({ apiKey: USER_KEY, baseURL: gw.v1, maxRetries: 0 });
  const v = await poll(client, await client.videos.create({ model: 'qwen3.7-plus-video', prompt: 'a dog [[scenario:video polls=1]]', size: '720x1280', seconds: '4' }));
  equal([v.status, v.progress, v.model], ['completed', 100, 'qwen3.7-plus-video']);
  const bytes = Buffer.from(await (await client.videos.downloadContent(v.id)).arrayBuffer());
  ok(bytes.length > 8 && bytes.includes('ftyp'), 'an mp4');
  const ids = [];
  for await (const one of client.videos.list()) ids.push(one.id);
  ok(ids.includes(v.id), 'listed');
  equal(await client.videos.delete(v.id), { id: v.id, object: 'video.deleted', deleted: true });
  const e = await client.videos.retrieve(v.id).catch((x) => x);
  ok(e instanceof OpenAI.NotFoundError && e.code === 'not_found', String(e));
});

await test('api 5.4: wait 0 answers at once, polling sees it through; 409 meanwhile', async () => {
  const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
  const began = Date.now(), v = await video('video polls=1', { wait: 0 });
  equal([v.status, v.json.progress, v.json.data, v.json.completed_at], [200, 0, undefined, null]);
  ok(v.json.status === 'queued' || v.json.status === 'in_progress', v.json.status);
  ok(Date.now() - began < 3000, 'at once');
  const early = await get(`/v1/videos/${v.json.id}/content`);
  equal([early.status, (await early.json()).error.code], [409, 'video_not_ready']);
  equal((await poll(client, v.json)).status, 'completed');
});

await test('api 5.5: jobs are seen by their key and by the admin only; pages of the list', async () => {
  const mine = await video('video polls=0', {}, { key: USER_KEY }), theirs = await video('video polls=0');
  equal((await get(`/v1/videos/${mine.json.id}`)).status, 200, 'the admin sees it');
  for (const path of [`/v1/videos/${theirs.json.id}`, `/v1/videos/${theirs.json.id}/content`, '/v1/videos/video_nope', `/v1/videos/${mine.json.id}/x`]) {
    const r = await get(path, USER_KEY);
    equal([r.status, (await r.json()).error.code], [404, 'not_found'], path);
  }
  const del = await fetch(`${gw.base}/v1/videos/${theirs.json.id}`, { method: 'DELETE', headers: auth(USER_KEY) });
  equal(del.status, 404, 'nor deleted');
  const list = async (q, key) => (await get(`/v1/videos${q}`, key)).json();
  ok((await list('', USER_KEY)).data.every((v) => v.id !== theirs.json.id), 'not listed');
  const first = await list('?limit=2', KEY);
  equal([first.object, first.data.length, first.has_more, first.first_id, first.last_id], ['list', 2, true, first.data[0].id, first.data[1].id]);
  equal(first.data[0].id, theirs.json.id, 'newest first');
  const second = await list(`?limit=1&after=${first.first_id}`, KEY);
  equal(second.data[0].id, first.data[1].id);
  const oldest = await list('?order=asc&limit=100', KEY), all = await list('?limit=100', KEY);
  equal(oldest.data.map((v) => v.id), all.data.map((v) => v.id).reverse());
  equal((await get('/v1/videos?limit=0')).status, 400);
  equal((await get('/v1/videos?after=video_x')).status, 404);
});

await test('api 5.4: what is refused before anything is asked', async () => {
  await fake.reset();
  const rows = [[{ prompt: '' }, 'missing_required_parameter', 'prompt'], [{ prompt: 7 }, 'invalid_type', 'prompt'], [{ wait: 901 }, 'invalid_value', 'wait'], [{ wait: -1 }, 'invalid_value', 'wait'],
    [{ wait: 'soon' }, 'invalid_type', 'wait'], [{ input_reference: { image_url: 'x' } }, 'unsupported_parameter', 'input_reference'], [{ prompt: 'x'.repeat(32001) }, 'invalid_value', 'prompt']];
  for (const [more, code, param] of rows) {
    const v = await video('video', more);
    equal([v.status, v.json.error.code, v.json.error.param], [400, code, param], JSON.stringify(more).slice(0, 60));
  }
  const none = await video('video', { model: 'no-such-model' });
  equal([none.status, none.json.error.code], [404, 'model_not_found']);
  equal((await fake.stats()).completions ?? 0, 0, 'nothing was asked');
  const r = await fetch(`${gw.base}/v1/videos`, { method: 'POST', headers: { ...auth(), 'content-type': 'application/xml' }, body: '<x/>' });
  equal([r.status, (await r.json()).error.code], [415, 'unsupported_media_type']);
});

await test('api 5.4, 0.3: a form; 0.11: what has no effect is named; sora names mean the default', async () => {
  const form = new FormData();
  form.set('prompt', 'a bird [[scenario:video polls=0]]');
  form.set('model', 'sora-2');
  form.set('seconds', '8');
  form.set('wait', '60');
  const r = await fetch(`${gw.base}/v1/videos`, { method: 'POST', headers: auth(), body: form });
  const v = await r.json();
  equal([r.status, v.status, v.model, v.seconds, r.headers.get('x-qwen2api-ignored')], [200, 'completed', 'sora-2', '8', 'seconds']);
  form.set('input_reference', new Blob(['x'], { type: 'image/png' }), 'a.png');
  const refused = await fetch(`${gw.base}/v1/videos`, { method: 'POST', headers: auth(), body: form });
  equal([refused.status, (await refused.json()).error.param], [400, 'input_reference']);
  const broken = await fetch(`${gw.base}/v1/videos`, { method: 'POST', headers: { ...auth(), 'content-type': 'multipart/form-data; boundary=x' }, body: '--x\r\n' });
  equal([broken.status, (await broken.json()).error.code], [400, 'invalid_value']);
  const chatForm = await fetch(`${gw.base}/v1/chat/completions`, { method: 'POST', headers: auth(), body: form });
  equal(chatForm.status, 415, 'forms are for these routes only');
});

await test('upstream 8 row 22: a failed task, and one that was refused', async () => {
  const v = await video(`video_fail polls=0 why=${b64('GPU <b>melted</b>')}`);
  equal([v.status, v.json.status, v.json.error.code, v.json.data], [200, 'failed', 'media_failed', undefined]);
  ok(v.json.error.message.includes('melted') && !v.json.error.message.includes('<'), v.json.error.message);
  const p = await video(`video_fail polls=0 why=${b64('This violates our content policy')}`);
  equal([p.json.status, p.json.error.code], ['failed', 'content_filter']);
  const content = await get(`/v1/videos/${v.json.id}/content`);
  equal([content.status, (await content.json()).error.code], [502, 'media_failed']);
});

await test('D19: a captcha address is never shown as a video', async () => {
  for (const scenario of [`video polls=0 url=${b64(captcha)}`, `video polls=0 url=${b64('https://cdn.qwenlm.ai/_____tmd_____/v.mp4')}`]) {
    const v = await video(scenario);
    equal([v.status, v.json.status, v.json.error.code], [200, 'failed', 'upstream_challenge'], scenario);
    const seen = v.raw.replace(v.json.prompt ? JSON.stringify(v.json.prompt) : '', '');
    ok(!seen.includes('punish') && !seen.includes('tmd_') && !seen.includes('x5secdata'), v.raw);
  }
  ok(!gw.log().includes('x5secdata'), 'nor logged');
  const g = await gateway(fake), v = await video(`video_sse url=${b64(captcha)}`, {}, { g });
  equal([v.json.status, v.json.error.code], ['failed', 'upstream_challenge'], v.raw);
  const next = await video('video polls=0', {}, { g });
  equal([next.status, next.json.error.code], [503, 'no_usable_account'], 'told while the account was lent: it rests');
  await g.stop();
});

await test('api 3.9: a result on a host that is not listed is no result, and the host is named', async () => {
  const v = await video('video polls=0 host=evil.example.test');
  equal([v.json.status, v.json.error.code], ['failed', 'media_failed']);
  ok(v.json.error.message.includes('evil.example.test') && v.json.error.message.includes('MEDIA_HOSTS'), v.json.error.message);
});

await test('upstream 4.3: failed looks are tolerated, five in a row', async () => {
  await fake.script({ tasks: ['503', '503', '503'] });
  const v = await video('video polls=0', { wait: 120 });
  equal([v.status, v.json.status], [200, 'completed'], v.raw);
  await fake.reset();
});

await test('upstream 4.3: a token that dies while the task runs is renewed, and the task goes on', async () => {
  await fake.reset();
  const v = await video('video polls=2', { wait: 0 });
  await waitFor(async () => (await (await get(`/v1/videos/${v.json.id}`)).json()).status === 'in_progress', 10000, 'the task is taken');
  await fake.revoke();
  equal((await settled(v.json.id)).status, 'completed');
  equal((await fake.log()).filter((l) => l.path.startsWith('/api/v2/chat/completions')).length, 1, 'asked once');
});

await test('api 5.4: a client that leaves leaves its job behind', async () => {
  const stop = new AbortController();
  const gone = post(gw, '/v1/videos', { prompt: 'left [[scenario:video polls=1]]', wait: 100 }, { signal: stop.signal }).catch(() => null);
  await waitFor(async () => (await (await get('/v1/videos?limit=1')).json()).data[0].prompt.startsWith('left'), 5000, 'the job is there');
  stop.abort();
  await gone;
  const id = (await (await get('/v1/videos?limit=1')).json()).data[0].id;
  equal((await settled(id)).status, 'completed');
});

await test('api 5.5: content through the gateway, whole and in parts', async () => {
  const v = await video('video polls=0');
  const whole = await get(`/v1/videos/${v.json.id}/content`), bytes = Buffer.from(await whole.arrayBuffer());
  equal([whole.status, whole.headers.get('content-type'), whole.headers.get('x-content-type-options')], [200, 'video/mp4', 'nosniff']);
  equal(Number(whole.headers.get('content-length')), bytes.length);
  const part = await get(`/v1/videos/${v.json.id}/content`, KEY, { range: 'bytes=4-7' });
  equal([part.status, Buffer.from(await part.arrayBuffer()).toString(), part.headers.get('content-range')], [206, bytes.subarray(4, 8).toString(), `bytes 4-7/${bytes.length}`]);
  const beyond = await get(`/v1/videos/${v.json.id}/content`, KEY, { range: `bytes=${bytes.length + 10}-` });
  equal(beyond.status, 416);
  await beyond.arrayBuffer();
  equal((await get(`/v1/videos/${v.json.id}/content?variant=thumbnail`)).status, 400);
});

const media = (url, headers, method = 'GET') => fetch(`${gw.base}/v1/media?url=${encodeURIComponent(url)}`, { method, headers: { ...auth(), ...headers } });
await test('api 5.7: /v1/media refuses everything that is no result', async () => {
  for (const url of ['https://evil.example.test/output/u/t2i/p.png?key=k', 'http://cdn.qwenlm.ai/output/u/t2i/p.png?key=k', captcha, 'https://cdn.qwenlm.ai/_____tmd_____/x.png', 'file:///etc/passwd',
    'https://cdn.qwenlm.ai:8443/a.png', 'https://127.0.0.1/a.png', 'https://user@cdn.qwenlm.ai/a.png']) {
    const r = await media(url), raw = await r.text();
    equal([r.status, JSON.parse(raw).error.code], [400, 'media_fetch_refused'], url);
  }
  const none = await get('/v1/media');
  equal([none.status, (await none.json()).error.param], [400, 'url']);
  equal((await fetch(`${gw.base}/v1/media?url=x`)).status, 401, 'a key is needed');
});

await test('api 5.7: /v1/media streams pictures and videos, follows only listed hosts', async () => {
  const png = await media('https://cdn.qwenlm.ai/output/u/t2i/r/p1.png?key=k'), bytes = Buffer.from(await png.arrayBuffer());
  equal([png.status, png.headers.get('content-type'), bytes.subarray(1, 4).toString()], [200, 'image/png', 'PNG']);
  ok(png.headers.get('content-security-policy').includes('sandbox'), 'it cannot act as a page of ours');
  const head = await media('https://cdn.qwenlm.ai/output/u/t2i/r/p1.png?key=k', {}, 'HEAD');
  equal([head.status, Number(head.headers.get('content-length'))], [200, bytes.length]);
  const codes = async (path) => { const r = await media(`https://cdn.qwenlm.ai/output/${path}`); return [r.status, (await r.json()).error?.code]; };
  equal(await codes('html/t2i/p.png?key=k'), [502, 'media_failed'], 'an HTML page');
  equal(await codes('octet/t2i/p.bin?key=k'), [502, 'media_failed'], 'no type');
  equal(await codes('notfound/t2i/p.png?key=k'), [404, 'not_found'], 'gone');
  equal(await codes('500/t2i/p.png?key=k'), [502, 'media_failed'], 'trouble there');
  equal((await codes('evil/t2i/p.png?key=k'))[0], 502, 'a redirect to another host');
  equal(await codes('loop/t2i/p.png?key=k'), [502, 'media_failed'], 'redirects without end');
  const there = await media(`https://cdn.qwenlm.ai/output/redirect/t2i/p.png?key=k&to=${encodeURIComponent('/output/u/t2i/r/p1.png?key=k')}`);
  equal([there.status, there.headers.get('content-type')], [200, 'image/png'], 'a redirect on the same host');
});

await test('api 5.7: a large result flows as the client reads, a cut one is seen to be cut', async () => {
  const r = await media('https://cdn.qwenlm.ai/output/big/t2v/v.mp4?key=k&n=30000000&type=video/mp4');
  equal(r.status, 200);
  const reader = r.body.getReader();
  let n = 0, sum = 0;
  await reader.read().then(({ value }) => { n += value.length; });
  await sleep(500); /* not reading is back-pressure */
  for (;;) {
    const { value, done: end } = await reader.read();
    if (end) break;
    n += value.length;
    sum += value[0];
  }
  equal(n, 30000000);
  ok(sum > 0, 'read');
  const cut = await media('https://cdn.qwenlm.ai/output/drop/t2v/v.mp4?key=k&n=100000&type=video/mp4');
  const got = cut.status === 200 ? await cut.arrayBuffer().then(() => 'whole', () => 'cut') : 'error';
  ok(got !== 'whole', 'half a result is not told as a whole one');
});

await test('api 5.1, 5.2, 5.3: what the image routes refuse', async () => {
  const rows = [['generations', {}, 400, 'missing_required_parameter', 'prompt'], ['generations', { prompt: 'a', n: 5 }, 400, 'invalid_value', 'n'], ['generations', { prompt: 'a', size: 'x' }, 400, 'invalid_size', 'size'],
    ['generations', { prompt: 'a', response_format: 'png' }, 400, 'invalid_value', 'response_format'], ['generations', { prompt: 'a', model: 'qwen3-coder-plus' }, 400, 'unsupported_model_variant', 'model'],
    ['generations', { prompt: 'a', model: 'none-such' }, 404, 'model_not_found', 'model'], ['edits', { prompt: 'a' }, 400, 'missing_required_parameter', 'image'],
    ['edits', { prompt: 'a', image: 'https://img.example.test/cat.png', mask: 'x' }, 400, 'unsupported_parameter', 'mask'], ['variations', {}, 404, 'unsupported_endpoint', null]];
  for (const [path, body, status, code, param] of rows) {
    const r = await post(gw, `/v1/images/${path}`, body), e = (await r.json()).error;
    equal([r.status, e.code, e.param], [status, code, param], `${path} ${JSON.stringify(body)}`);
  }
});

const picture = (s) => `a kitten [[scenario:${s}]]`;
await test('api 5.1: the real openai package draws: url and b64_json, n, size', async () => {
  await fake.reset();
  const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
  const one = await client.images.generate({ prompt: picture('image'), size: '1792x1024', quality: 'hd' });
  equal(one.data.length, 1);
  ok(one.data[0].url.startsWith('https://cdn.qwenlm.ai/output/') && one.created > 1e9 && one.created < 1e11, JSON.stringify(one));
  ok(one.usage.input_tokens > 0 && one.usage.total_tokens === one.usage.input_tokens + one.usage.output_tokens, JSON.stringify(one.usage));
  const body = JSON.parse(await (await fetch(`${fake.base}/__body`)).text());
  equal([body.size, body.messages[0].chat_type, body.messages[0].feature_config.thinking_enabled], ['16:9', 't2i', false]);
  const data = await client.images.generate({ prompt: picture('image'), response_format: 'b64_json', model: 'qwen3.7-plus-image' });
  const bytes = Buffer.from(data.data[0].b64_json, 'base64');
  equal([data.data[0].url, bytes.subarray(1, 4).toString()], [undefined, 'PNG']);
  const gpt = await client.images.generate({ prompt: picture('image'), model: 'gpt-image-1' });
  ok(gpt.data[0].b64_json && !gpt.data[0].url, 'these names mean b64_json');
  ok((await client.images.generate({ prompt: picture('image'), model: 'gpt-image-1', response_format: 'url' })).data[0].url, 'an explicit value wins');
  ok((await client.images.generate({ prompt: picture('image'), model: 'dall-e-3' })).data[0].url, 'dall-e means the default, by URL');
  equal((await client.images.generate({ prompt: picture('image'), n: 3 })).data.length, 3);
  equal((await fake.stats()).bad, 0);
});

await test('api 0.11: what the image route ignores is named', async () => {
  const r = await post(gw, '/v1/images/generations', { prompt: picture('image'), style: 'vivid', quality: 'hd', stream: true });
  equal([r.status, r.headers.get('x-qwen2api-ignored'), r.headers.get('content-type')], [200, 'quality,style,stream', 'application/json']);
  ok(r.headers.get('x-qwen2api-model') === 'qwen3.7-plus', 'and the model that drew');
});

await test('api 5.2: edits by a form and by JSON; the picture goes up on the account that edits', async () => {
  await fake.reset();
  const client = new OpenAI({ apiKey: KEY, baseURL: gw.v1, maxRetries: 0 });
  const png = Buffer.from(await (await media('https://cdn.qwenlm.ai/output/u/t2i/r/p1.png?key=k')).arrayBuffer());
  const form = await client.images.edit({ image: await toFile(png, 'cat.png', { type: 'image/png' }), prompt: 'make it blue' });
  ok(form.data[0].url.startsWith('https://cdn.qwenlm.ai/'), JSON.stringify(form));
  const last = (await fake.log()).filter((l) => l.path.startsWith('/api/v2/chat/completions')).at(-1);
  equal([last.files.length, last.files[0].type, last.files[0].name], [1, 'image', 'cat.png']);
  const body = JSON.parse(await (await fetch(`${fake.base}/__body`)).text());
  equal([body.messages[0].chat_type, body.messages[0].content], ['image_edit', 'make it blue']);
  const json = await post(gw, '/v1/images/edits', { prompt: 'blue', images: [{ image_url: `data:image/png;base64,${png.toString('base64')}` }], response_format: 'b64_json' });
  const j = await json.json();
  equal([json.status, j.data.length, Buffer.from(j.data[0].b64_json, 'base64').subarray(1, 4).toString()], [200, 1, 'PNG']);
  const none = await post(gw, '/v1/images/edits', { image: `data:image/png;base64,${png.toString('base64')}` });
  equal(none.status, 200, 'no prompt: a neutral one');
  equal((await fake.stats()).bad, 0);
});

await test('D19, api 3.9: the image routes tell captchas, foreign hosts and refusals from pictures', async () => {
  for (const [scenario, status, code] of [['image_foreign', 502, 'media_failed'], ['image_refusal', 400, 'content_filter'], ['image_text', 502, 'media_failed']]) {
    const r = await post(gw, '/v1/images/generations', { prompt: picture(scenario) }), raw = await r.text();
    equal([r.status, JSON.parse(raw).error?.code], [status, code], `${scenario}: ${raw}`);
  }
  const g = await gateway(fake), r = await post(g, '/v1/images/generations', { prompt: picture('image_captcha') }), raw = await r.text();
  equal([r.status, JSON.parse(raw).error?.code], [502, 'upstream_challenge'], raw);
  ok(!raw.includes('punish') && !raw.includes('://'), raw);
  await g.stop();
});

// ---- accounts ----

await test('api 5.6: media quota rests the feature on that account only; another one makes the video', async () => {
  await fake.reset();
  const g = await gateway(fake, { ACCOUNTS: 'limited@example.org:correct horse' });
  const v = await video('video polls=0', {}, { g });
  equal([v.status, v.json.error?.code], [429, 'media_quota_exceeded'], v.raw);
  ok(Number(v.headers.get('retry-after')) > 60, 'Retry-After tells the reset');
  equal((await (await get('/v1/videos', KEY, {}, g)).json()).data, [], 'a video that never began is no job');
  const before = (await fake.stats()).completions, again = await video('video polls=0', {}, { g });
  equal([again.status, again.json.error.code], [429, 'media_quota_exceeded']);
  equal((await fake.stats()).completions, before, 'nothing is asked while the account rests');
  equal((await chat(g, 'hi')).status, 200, 'text goes on');
  await g.stop();
  const two = await gateway(fake, { ACCOUNTS: 'limited@example.org:correct horse,ok@example.org:correct horse' });
  for (let i = 0; i < 2; i++) equal((await video('video polls=0', {}, { g: two })).json.status, 'completed', 'fail-over');
  await two.stop();
});

await test('api 3.14: what was not taken is tried elsewhere; what may have been is not', async () => {
  const g = await gateway(fake, { ACCOUNTS: 'ok@example.org:correct horse,second@example.org:correct horse' });
  const asked = async () => (await fake.log()).filter((l) => l.path.startsWith('/api/v2/chat/completions')).length;
  await fake.reset();
  await fake.script({ completions: ['503', 'video polls=0'] });
  equal((await video('video', {}, { g })).json.status, 'completed');
  equal(await asked(), 2, 'an error of the upstream: once more');
  await fake.reset();
  await fake.script({ completions: ['expired', 'video polls=0'] });
  equal((await video('video', {}, { g })).json.status, 'completed', 'a dead token: renewed');
  await fake.reset();
  await fake.script({ completions: ['drop_early', 'video polls=0'] });
  const lost = await video('video', {}, { g });
  ok(lost.status >= 500, lost.raw);
  equal(await asked(), 1, 'the question had left: it may be under way');
  await fake.reset();
  await fake.script({ completions: ['html_200', 'punish', 'video polls=0'] });
  const ch = await video('video', {}, { g });
  equal([ch.status, ch.json.error.code, ch.headers.get('x-should-retry')], [502, 'upstream_challenge', 'false']);
  ok(!ch.raw.includes('punish') && !ch.raw.includes('<'), ch.raw);
  await g.stop();
  await fake.reset();
});

await test('api 5.5: jobs outlive a crash: one that runs is looked after again, one that is done is still there', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'q2a-media-')), env = { DATA_SAVE_MODE: 'file', DATA_DIR: dir };
  let g = await gateway(fake, env);
  const old = await video('video polls=0', {}, { g });
  const v = await video('video polls=2', { wait: 0 }, { g });
  await waitFor(async () => (await (await get(`/v1/videos/${v.json.id}`, KEY, {}, g)).json()).status === 'in_progress', 10000, 'taken');
  await sleep(500); /* the record is written moments later */
  await g.stop('SIGKILL');
  const asked = (await fake.stats()).completions;
  g = await gateway(fake, env);
  equal((await settled(v.json.id, g)).status, 'completed');
  equal((await fake.stats()).completions, asked, 'it was not asked again');
  const kept = await (await get(`/v1/videos/${old.json.id}`, KEY, {}, g)).json();
  equal([kept.status, kept.data[0].url], ['completed', old.json.data[0].url]);
  await fetch(`${g.base}/v1/videos/${old.json.id}`, { method: 'DELETE', headers: auth() });
  await sleep(300);
  await g.stop();
  g = await gateway(fake, env);
  equal((await get(`/v1/videos/${old.json.id}`, KEY, {}, g)).status, 404, 'deleted is deleted');
  await g.stop();
  rmSync(dir, { recursive: true, force: true });
});

await test('design 4: a gateway that drains answers who waits, and ends in time', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'q2a-media-')), env = { DATA_SAVE_MODE: 'file', DATA_DIR: dir };
  const g = await gateway(fake, env);
  const waiting = video('video polls=50', { wait: 300 }, { g });
  await waitFor(async () => (await (await get('/v1/videos', KEY, {}, g)).json()).data[0]?.status === 'in_progress', 10000, 'taken');
  const began = Date.now(), code = await g.stop();
  equal(code, 0);
  ok(Date.now() - began < 15000, `ended in ${Date.now() - began} ms`);
  const v = await waiting;
  equal([v.status, v.json.status], [200, 'in_progress']);
  rmSync(dir, { recursive: true, force: true });
});

await test('CHAT_CLEANUP_MODE: the chat of a video goes, but not before the video is done', async () => {
  await fake.reset();
  const g = await gateway(fake, { CHAT_CLEANUP_MODE: '1' });
  equal((await video('video polls=1', {}, { g })).json.status, 'completed');
  await waitFor(async () => (await fake.stats()).deletes === 1, 5000, 'the chat is deleted');
  equal((await fake.stats()).bad, 0, 'not too early');
  await g.stop();
});

await done();
