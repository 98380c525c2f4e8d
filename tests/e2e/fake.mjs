// The fake upstream's uploads, pictures, videos, scripted texts, sites, OAuth and OpenAI-compatible APIs, driven with Node's own HTTP and cryptography.
import { test, equal, ok, done, fakeUpstream, sleep } from './lib.mjs';
import { createHash, createHmac } from 'node:crypto';
import http from 'node:http';

const fake = await fakeUpstream({ args: ['--pace-ms', '20'] });
const sha = (s) => createHash('sha256').update(s).digest('hex');
const b64 = (s) => Buffer.from(s).toString('base64');

// One request with any Host; the body comes back as a Buffer. { error } when the connection failed.
function ask(method, path, { host = 'chat.qwen.ai', headers = {}, body, ms = 5000 } = {}) {
  return new Promise((res) => {
    const bytes = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const req = http.request({ host: '127.0.0.1', port: fake.plain, method, path, agent: false, timeout: ms,
      headers: { host, ...(bytes ? { 'content-length': bytes.length } : {}), ...(body !== undefined && !Buffer.isBuffer(body) ? { 'content-type': 'application/json' } : {}), ...headers } });
    const parts = [];
    let head;
    const end = (error) => {
      const raw = Buffer.concat(parts), text = raw.toString();
      let json;
      try { json = JSON.parse(text); } catch { json = undefined; }
      res({ status: head?.statusCode, headers: head?.headers ?? {}, raw, text, json, error });
    };
    req.on('response', (r) => { head = r; r.on('data', (d) => parts.push(d)); r.on('end', () => end(r.complete ? undefined : 'cut')); r.on('error', (e) => end(e.code)); });
    req.on('timeout', () => { req.destroy(); end('timeout'); });
    req.on('error', (e) => end(e.code ?? String(e)));
    req.end(bytes);
  });
}
async function signin(email, password = 'correct horse') {
  const r = await ask('POST', '/api/v2/auths/signin', { body: { email, password: sha(password) } });
  return { authorization: `Bearer ${r.json.data.token}` };
}
const mine = await signin('ok@example.org'), theirs = await signin('second@example.org'), limited = await signin('limited@example.org');
const v2 = (path, body, who = mine) => ask('POST', path, { body, headers: who });

// ---- signatures, done here once more ----
const encode = (path) => path.split('/').map((p) => encodeURIComponent(p).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)).join('/');
const mac = (key, text) => createHmac('sha256', key).update(text).digest();
function signV4(s, extra = {}) {
  const headers = { 'content-type': s.type, 'x-oss-content-sha256': 'UNSIGNED-PAYLOAD', 'x-oss-date': s.date, 'x-oss-security-token': s.token, ...extra };
  const lines = Object.keys(headers).sort().map((k) => `${k}:${headers[k]}`);
  const canonical = ['PUT', `/${s.bucket}/${encode(s.path)}`, '', ...lines, '', '', 'UNSIGNED-PAYLOAD'].join('\n');
  const day = s.date.slice(0, 8), scope = `${day}/${s.region}/oss/aliyun_v4_request`;
  const text = ['OSS4-HMAC-SHA256', s.date, scope, sha(canonical)].join('\n');
  const key = mac(mac(mac(mac(`aliyun_v4${s.secret}`, day), s.region), 'oss'), 'aliyun_v4_request');
  const signature = mac(key, text).toString('hex');
  return { canonical, text, signature, headers: { ...headers, authorization: `OSS4-HMAC-SHA256 Credential=${s.key}/${scope},Signature=${signature}` } };
}
function signV1(s) {
  const text = `PUT\n\n${s.type}\n${s.date}\nx-oss-security-token:${s.token}\n/${s.bucket}/${s.path}`;
  const signature = createHmac('sha1', s.secret).update(text).digest('base64');
  return { text, signature, headers: { 'content-type': s.type, date: s.date, 'x-oss-security-token': s.token, authorization: `OSS ${s.key}:${signature}` } };
}
const vector = { key: 'STS.EXAMPLEKEYID0001', secret: `exampleSecretKey${'0'.repeat(28)}`, token: 'CAISexampleSecurityToken+/==', bucket: 'qwen-webui-prod',
  region: 'ap-southeast-1', path: '11111111-2222-3333-4444-555555555555/9ab1b6fa-bfbd-4208-ba09-de73b82a408a_日本 1.png', type: 'image/png', date: '20260304T065913Z' };
await test('V4: the published vector', async () => {
  const want = signV4(vector), r = await ask('POST', '/__sign', { body: { ...vector, version: 'V4' } });
  equal(want.signature, '755ceb9211896778ef6021b73d2aa4dc2c9556080f6eb4ac7ab977ea3a8cca64', 'ours');
  equal(r.json, { canonical: want.canonical, string_to_sign: want.text, signature: want.signature }, 'the fake');
  equal(sha(want.canonical), 'afe290a2ec43201ec5975d6aeae6aee81177449d81af226d757b1ac7d056d4aa');
});
await test('V1: the published vector', async () => {
  const s = { ...vector, date: 'Wed, 04 Mar 2026 06:59:13 GMT' }, want = signV1(s), r = await ask('POST', '/__sign', { body: { ...s, version: 'V1' } });
  equal(want.signature, 'Bj/P4bwqb7kRND6fvWmWbmwsNws=', 'ours');
  equal([r.json.string_to_sign, r.json.signature], [want.text, want.signature], 'the fake');
});

// ---- uploads ----
const bucketHost = 'qwen-webui-prod.oss-accelerate.aliyuncs.com';
const stamp = (s = 0) => new Date(Date.now() + s * 1000).toISOString().replace(/[-:]|\.\d+/g, '');
const want = (name, bytes, filetype = 'image') => ({ filename: name, filesize: bytes, filetype });
async function sts(body, who = mine) { return (await v2('/api/v2/files/getstsToken', body, who)).json; }
const keys = (d, type = 'image/png') => ({ key: d.access_key_id, secret: d.access_key_secret, token: d.security_token, bucket: d.bucketname, region: d.region.replace(/^oss-/, ''),
  path: d.file_path, type, date: stamp() });
const put = (d, body, headers, host = bucketHost) => ask('PUT', `/${encode(d.file_path)}`, { host, headers, body: Buffer.from(body) });
async function upload(name, body, filetype = 'image', type = 'image/png', who = mine) {
  const d = (await sts(want(name, Buffer.byteLength(body), filetype), who)).data;
  const r = await put(d, body, signV4(keys(d, type)).headers);
  equal(r.status, 200, r.text);
  return d;
}

await test('an upload, V4', async () => {
  const name = "кот 日本 (1)'s.png", body = 'picture bytes', d = (await sts(want(name, body.length))).data;
  ok(d.file_path.endsWith(`${d.file_id}_${name}`), `the path is raw: ${d.file_path}`);
  ok(d.file_url.startsWith(`https://${bucketHost}/${encode(d.file_path)}?x-oss-security-token=`), d.file_url);
  const r = await put(d, body, signV4(keys(d)).headers);
  equal([r.status, r.text, r.headers.etag], [200, '', `"${createHash('md5').update(body).digest('hex').toUpperCase()}"`], r.text);
  const f = (await (await fetch(`${fake.base}/__files`)).json()).at(-1);
  equal([f.id, f.name, f.size, f.declared, f.sha256, f.signature, f.content_type, f.email], [d.file_id, name, 13, 13, sha(body), 'V4', 'image/png', 'ok@example.org']);
  equal((await ask('GET', new URL(d.file_url).pathname, { host: bucketHost })).text, body, 'it can be read');
});
await test('an upload, V1, by the region', async () => {
  const d = (await sts(want('a b.png', 3))).data, s = { ...keys(d), date: new Date().toUTCString() };
  const r = await put(d, 'abc', signV1(s).headers, 'qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com');
  equal(r.status, 200, r.text);
});
await test('v1 is flat, its errors too', async () => {
  const r = await v2('/api/v1/files/getstsToken', want('a.png', 3));
  ok(r.json.file_id && !r.json.success, r.text);
  ok((await v2('/api/v1/files/getstsToken', want('', 3))).json.detail, 'detail');
});
for (const [why, body] of [['no name', want('', 1)], ['a path', want('a/b', 1)], ['a control character', want('a\nb', 1)], ['a long name', want('x'.repeat(101), 1)],
  ['size 0', want('a', 0)], ['a negative size', want('a', -1)], ['a broken size', want('a', 1.5)], ['a word as size', want('a', 'x')], ['an odd type', want('a', 1, 'picture')],
  ['document', want('a', 1, 'document')], ['no size', { filename: 'a', filetype: 'image' }]])
  await test(`STS refuses ${why}`, async () => equal((await sts(body)).data.code, 'RequestValidationError'));
await test('STS takes a decimal string, and only that on a switch', async () => {
  ok((await sts(want('a', '12'))).success, 'string');
  await fake.set({ filesize: 'string' });
  equal((await sts(want('a', 12))).data.code, 'RequestValidationError');
  ok((await sts(want('a', '12'))).success, 'string');
  await fake.set({ filesize: 'any', filetype: 'document' });
  equal((await sts(want('a', 12, 'file'))).data.code, 'RequestValidationError');
  ok((await sts(want('a', 12, 'document'))).success, 'document');
  await fake.set({ filetype: 'file' });
});
await test('STS needs a token; its endpoint comes in four forms', async () => {
  equal((await sts(want('a', 1), {})).data.code, 'unauthorized');
  for (const [form, value] of [['https', 'https://oss-accelerate.aliyuncs.com'], ['bucket', bucketHost], ['missing', undefined], ['plain', 'oss-accelerate.aliyuncs.com']]) {
    await fake.set({ endpoint: form });
    equal((await sts(want('a', 1))).data.endpoint, value);
  }
});
const code = (r) => /<Code>(.*)<\/Code>/.exec(r.text)?.[1];
await test('PUT: a wrong signature tells the strings', async () => {
  const d = (await sts(want('a&b.png', 3))).data, s = { ...keys(d), secret: 'no' }, sig = signV4(s);
  const r = await put(d, 'abc', sig.headers), plain = r.text.replaceAll('&amp;', '&');
  equal([r.status, code(r)], [403, 'SignatureDoesNotMatch']);
  ok(plain.includes(`<CanonicalRequest>${sig.canonical}</CanonicalRequest>`) && plain.includes(`<StringToSign>${sig.text}</StringToSign>`), r.text);
});
for (const [why, change, status, want_] of [
  ['another type than signed', (h) => { h['content-type'] = 'image/gif'; }, 403, 'SignatureDoesNotMatch'],
  ['an x-oss header that is not signed', (h) => { h['x-oss-meta-a'] = '1'; }, 403, 'SignatureDoesNotMatch'],
  ['an empty AdditionalHeaders', (h) => { h.authorization = h.authorization.replace(',Signature', ',AdditionalHeaders=,Signature'); }, 403, undefined],
  ['no authorization', (h) => { delete h.authorization; }, 403, 'AccessDenied'],
  ['another key', (h) => { h.authorization = h.authorization.replace('STS.FAKE', 'STS.FAKF'); }, 403, 'InvalidAccessKeyId'],
  ['another token', (h) => { h['x-oss-security-token'] += 'x'; }, 403, 'InvalidSecurityToken'],
  ['no token', (h) => { delete h['x-oss-security-token']; }, 403, 'InvalidSecurityToken'],
  ['no date', (h) => { delete h['x-oss-date']; }, 400, 'InvalidArgument'],
  ['a payload hash', (h) => { h['x-oss-content-sha256'] = 'abc'; }, 400, 'InvalidArgument']])
  await test(`PUT refuses ${why}`, async () => {
    const d = (await sts(want('a.png', 3))).data, { headers } = signV4(keys(d));
    change(headers);
    const r = await put(d, 'abc', headers);
    equal(r.status, status, r.text);
    if (want_) equal(code(r), want_);
    ok((await (await fetch(`${fake.base}/__files`)).json()).at(-1).put === false, 'nothing is stored');
  });
await test('PUT: a signed extra header is fine; another path, an old date, a late token are not', async () => {
  const d = (await sts(want('a.png', 3))).data, e = (await sts(want('b.png', 3))).data;
  equal((await put(d, 'abc', signV4(keys(d), { 'x-oss-meta-a': '1' }).headers)).status, 200);
  equal(code(await put(e, 'abc', signV4({ ...keys(d), path: e.file_path }).headers)), 'AccessDenied');
  equal(code(await put(d, 'abc', signV4({ ...keys(d), date: stamp(-1000) }).headers)), 'RequestTimeTooSkewed');
  equal(code(await put(d, 'abc', signV4({ ...keys(d), region: 'oss-ap-southeast-1' }).headers)), 'SignatureDoesNotMatch');
  await fake.set({ sts_life_s: 0 });
  const late = (await sts(want('a.png', 3))).data;
  await fake.set({ sts_life_s: 3600 });
  equal(code(await put(late, 'abc', signV4(keys(late)).headers)), 'SecurityTokenExpired');
});
await test('faults of uploads are scripted', async () => {
  await fake.script({ sts: ['quota', '401', '503', 'slow ms=60', 'drop'], put: ['oss_expired', 'oss_503', 'drop', 'stall'], parse: ['not_found'], parse_status: ['503'] });
  equal((await sts(want('a', 1))).data.code, 'RateLimited');
  equal((await v2('/api/v2/files/getstsToken', want('a', 1))).status, 401);
  equal((await v2('/api/v2/files/getstsToken', want('a', 1))).status, 503);
  const t = Date.now();
  ok((await sts(want('a', 1))).success, 'slow');
  ok(Date.now() - t >= 55, 'slow');
  equal((await v2('/api/v2/files/getstsToken', want('a', 1))).error, 'ECONNRESET');
  const d = (await sts(want('a.png', 3))).data, h = () => signV4(keys(d)).headers;
  equal(code(await put(d, 'abc', h())), 'SecurityTokenExpired');
  equal((await put(d, 'abc', h())).status, 503);
  equal((await put(d, 'abc', h())).error, 'ECONNRESET');
  equal((await ask('PUT', `/${encode(d.file_path)}`, { host: bucketHost, headers: h(), body: Buffer.from('abc'), ms: 150 })).error, 'timeout');
  equal((await put(d, 'abc', h())).status, 200);
  equal((await v2('/api/v2/files/parse', { file_id: d.file_id })).json.data.code, 'CHAT_NOT_FOUND');
  equal((await v2('/api/v2/files/parse/status', { file_id_list: [d.file_id] })).status, 503);
});
await test('an upload of 5 MB is kept whole', async () => {
  const body = Buffer.alloc(5 << 20, 'xyz'), d = await upload('big.bin', body, 'file', 'application/octet-stream');
  const f = (await (await fetch(`${fake.base}/__files`)).json()).find((x) => x.id === d.file_id);
  equal([f.size, f.sha256], [body.length, sha(body)]);
});

// ---- parsing ----
const status = async (id, who = mine) => (await v2('/api/v2/files/parse/status', { file_id_list: [id] }, who)).json.data;
await test('parsing: running twice, then a word', async () => {
  const d = await upload('a.txt', 'text', 'file', 'text/plain'), e = (await sts(want('b.txt', 1, 'file'))).data;
  equal((await v2('/api/v2/files/parse', { file_id: e.file_id })).json.success, false, 'not uploaded yet');
  equal((await status(d.file_id)).code, 'Not_Found', 'not asked for yet');
  ok((await v2('/api/v2/files/parse', { file_id: d.file_id })).json.success, 'parse');
  equal((await v2('/api/v2/files/parse', { file_id: d.file_id }, theirs)).json.data.code, 'Not_Found', 'of another account');
  for (const word of ['running', 'running', 'success', 'success']) equal((await status(d.file_id))[0], { file_id: d.file_id, status: word });
  await fake.set({ parse_word: 'failed', parse_polls: 0, parse_by_id: true });
  await v2('/api/v2/files/parse', { file_id: d.file_id });
  equal((await status(d.file_id)), { [d.file_id]: { status: 'failed' } });
  await fake.set({ parse: 404, parse_word: 'success', parse_polls: 2, parse_by_id: false });
  equal((await v2('/api/v2/files/parse', { file_id: d.file_id })).status, 404);
  equal((await v2('/api/v2/files/parse/status', { file_id_list: [d.file_id] })).status, 404);
  await fake.set({ parse: 200 });
});

// ---- completions ----
async function chatOf(type = 't2t', who = mine) {
  return (await v2('/api/v2/chats/new', { title: 'New Chat', models: ['qwen3.7-plus'], chat_mode: 'normal', chat_type: type, timestamp: Date.now(), project_id: '' }, who)).json.data.id;
}
const bodyOf = (id, type, prompt, files = [], more = {}) => ({ stream: type !== 't2v', version: '2.1', incremental_output: true, chat_id: id, chat_mode: 'normal', model: 'qwen3.7-plus',
  parent_id: null, messages: [{ role: 'user', content: prompt, files, timestamp: 1772616278, models: ['qwen3.7-plus'], chat_type: type, sub_chat_type: type,
    feature_config: { thinking_enabled: false, output_schema: 'phase' }, extra: { meta: { subChatType: type } } }], timestamp: 1772616279, ...more });
async function complete(prompt, { type = 't2t', files = [], more = {}, who = mine, change, id } = {}) {
  id ??= await chatOf(type, who);
  const body = bodyOf(id, type, prompt, files, more);
  change?.(body, body.messages[0]);
  const r = await v2(`/api/v2/chat/completions?chat_id=${id}`, body, who);
  r.events = r.text.split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => JSON.parse(e.slice(6)));
  r.deltas = r.events.filter((e) => e.choices).map((e) => e.choices[0].delta);
  r.answer = r.deltas.filter((d) => d.phase === 'answer').map((d) => d.content).join('');
  r.think = r.deltas.filter((d) => d.phase === 'think').map((d) => d.content).join('');
  r.id = id;
  r.fault = r.json?.data?.details?.[0] ?? r.json?.data?.code;
  return r;
}
const detail = async (id, who = mine) => {
  const m = (await ask('GET', `/api/v2/chats/${id}?direction=up&limit=10`, { headers: who })).json.data.chat.history;
  return m.messages[m.currentId];
};
const full = (d, kind, bytes, more = {}) => {
  const [show, cls, type] = { image: ['image', 'vision', 'image/png'], video: ['video', 'video', 'video/mp4'], file: ['file', 'document', 'text/plain'] }[kind];
  return { type: kind, id: d.file_id, url: d.file_url, name: 'n', collection_name: '', progress: 0, status: 'uploaded', is_uploading: false, error: '', showType: show, file_class: cls,
    greenNet: 'success', size: bytes, file_type: type, itemId: 'i', uploadTaskId: 't', file: { created_at: 1, update_at: 1, data: {}, filename: 'n', hash: null, id: d.file_id, user_id: 'u',
      meta: { name: 'n', size: bytes, content_type: type, ...more } } };
};
await test('files of a completion: taken and noted', async () => {
  const d = await upload('cat.png', 'abc'), doc = await upload('a.txt', 'text', 'file', 'text/plain');
  await fake.set({ parse_polls: 0 });
  await v2('/api/v2/files/parse', { file_id: doc.file_id });
  await status(doc.file_id);
  const short = { type: 'image', url: d.file_url.split('?')[0] }, result = { type: 'image', url: 'https://cdn.qwenlm.ai/output/u/x.png?key=k' };
  const r = await complete('x', { files: [full(d, 'image', 3), full(doc, 'file', 4, { parse_meta: { parse_status: 'success' } }), short, result] });
  equal(r.answer, 'Hello, 世界! This is the fake upstream.', r.text);
  const e = (await fake.log()).at(-1);
  equal(e.files.map((f) => [f.type, f.file_id, f.bytes]), [['image', d.file_id, 3], ['file', doc.file_id, 4], ['image', d.file_id, 3], ['image', undefined, undefined]]);
  equal([e.files[0].name, e.files[0].url, e.files[0].file_class], ['n', d.file_url, 'vision']);
  const parts = await complete([{ type: 'text', text: '[[scenario:echo]]' }, { type: 'image', image: d.file_url }]);
  equal(parts.answer, '[[scenario:echo]]', parts.text);
  equal((await fake.log()).at(-1).files[0], { url: d.file_url, type: 'image', part: true, file_id: d.file_id, bytes: 3 });
});
await test('files that are refused', async () => {
  const d = await upload('cat.png', 'abc'), doc = await upload('a.txt', 'text', 'file', 'text/plain'), never = (await sts(want('n.png', 3))).data;
  const other = await upload('o.png', 'abc', 'image', 'image/png', theirs), good = full(d, 'image', 3);
  const rows = [[full(other, 'image', 3), 'url'], [full(never, 'image', 3), 'url'], [{ type: 'image', url: 'https://example.org/a.png' }, 'url'], [{ type: 'image', id: d.file_id }, 'url'],
    [full(doc, 'file', 4, { parse_meta: { parse_status: 'success' } }), 'parse_status'], [{ ...good, type: 'video' }, 'type'], [{ ...good, type: 'file' }, 'parse_status'],
    [{ ...good, showType: 'file' }, 'showType'], [{ ...good, file_class: 'document' }, 'file_class'], [{ ...good, status: 'uploading' }, 'status'], [{ ...good, size: 4 }, 'size'],
    [{ ...good, id: never.file_id }, 'id'], [{ ...good, file: { ...good.file, id: 'x' } }, 'file -> id']];
  for (const [f, where] of rows) {
    const r = await complete('x', { files: [f] });
    equal(r.fault, `Field 'body -> messages -> 0 -> files -> 0 -> ${where}': not a file of this account that is ready`, JSON.stringify(f));
  }
  ok((await complete([{ type: 'image', image: other.file_url }])).fault, 'as a part');
  await fake.set({ parse_polls: 0 });
  await v2('/api/v2/files/parse', { file_id: doc.file_id });
  await status(doc.file_id);
  equal((await complete('x', { files: [full(doc, 'file', 4)] })).fault.includes('parse_meta'), true, 'a parsed document says so');
});

// ---- texts of the test's own ----
await test('say: exactly that, in pieces', async () => {
  const text = 'Grüße, 世界! "quoted" \\ \n<q2a_call>{"a":1}</q2a_call> 😀';
  for (const step of [1, 3, 7, 1000]) {
    const r = await complete(`[[scenario:say b64=${b64(text)} step=${step} think_b64=${b64('hm, ü')} think_step=2]]`);
    equal([r.answer, r.think], [text, 'hm, ü']);
    if (step === 1) equal(r.deltas.filter((d) => d.phase === 'answer').length, [...text].length + 1);
    if (step === 1000) equal(r.deltas.filter((d) => d.phase === 'answer').length, 2);
  }
  const r = await complete(`[[scenario:say b64=${b64('x')} end=0]]`);
  ok(!r.text.includes('finished'), r.text);
});
await test('say: another answer once the prompt holds a text, or by a queue', async () => {
  const s = `[[scenario:say b64=${b64('call')} when=${b64('Tool result: 7')} then=${b64('seven')}]]`;
  equal((await complete(s)).answer, 'call');
  equal((await complete(`${s}\nTool result: 7`)).answer, 'seven');
  await fake.script({ completions: [`say b64=${b64('first')}`, `say b64=${b64('second '.repeat(200))}`] });
  equal([(await complete('x')).answer, (await complete('x')).answer, (await complete('x')).answer], ['first', 'second '.repeat(200), 'Hello, 世界! This is the fake upstream.']);
});
await test('tools: names and arguments of the test\'s own', async () => {
  equal((await complete('[[scenario:tool_text tag=q2a_call name=f args={"x":"é"}]]')).answer, 'Let me look.\n<q2a_call>\n{"name":"f","arguments":{"x":"é"}}\n</q2a_call>\nDone.');
  const r = await complete('[[scenario:native_call name=f args={"x":[1,2]} phase=f]]'), calls = r.deltas.filter((d) => d.function_call);
  equal(calls.map((d) => d.function_call.arguments), ['{"', '{"x":[1', '{"x":[1,2]}']);
  equal(calls[0].phase, 'f');
  ok(r.deltas.some((d) => d.role === 'function' && d.content === 'Tool f does not exists.'), r.text);
  equal((await complete('[[scenario:native_call args={"x":1} object=1]]')).deltas[0].function_call.arguments, { x: 1 });
  equal((await complete('[[scenario:tool_missing name=f]]')).answer, 'Tool f does not exist.');
});

// ---- faults anywhere, and what the detail keeps ----
await test('drop_after, fin_after, hold_after; full=1', async () => {
  const r = await complete('[[scenario:thinking_detail drop_after=4]]');
  equal([r.error, r.think, r.answer], ['ECONNRESET', 'Let me count: 2 + 2', '']);
  equal((await detail(r.id)).content_list, [{ phase: 'think', content: 'Let me count: 2 + 2', extra: {} }]);
  const f = await complete('[[scenario:normal fin_after=2 full=1]]');
  ok(['cut', 'ECONNRESET'].includes(f.error), f.error);
  equal(f.answer, 'Hello, ');
  equal((await detail(f.id)).content_list, [{ phase: 'answer', content: 'Hello, 世界! This is the fake upstream.', extra: {} }]);
  await fake.set({ detail_plain: true });
  const m = await detail(f.id);
  equal([m.content, m.content_list], ['Hello, 世界! This is the fake upstream.', undefined]);
  equal((await detail(r.id)).content, '');
  await fake.set({ detail_plain: false });
  const i = await complete('x [[scenario:image drop_after=2 full=1]]', { type: 't2i' }), kept = (await detail(i.id)).content_list;
  equal([i.deltas.length, kept.length, kept[0].phase], [0, 1, 'image_gen']);
  ok(kept[0].content.startsWith('https://cdn.qwenlm.ai/output/u/t2i/'), kept[0].content);
});
await test('the detail of other answers', async () => {
  for (const [s, list] of [['thinking', [['thinking_summary', ''], ['answer', '2 + 2 = 4']]], ['think_only', [['think', 'Let me count: 2 + 2']]], ['created_only', []], ['drop', [['answer', 'Hello, 世界! This ']]],
    ['drop full=1', [['answer', 'Hello, 世界! This is the fake upstream.']]], ['search_old', [['web_search', ''], ['answer', 'It rains [[1]].']]],
    [`say b64=${b64('a "b" \n c')} step=2`, [['answer', 'a "b" \n c']]]]) {
    const r = await complete(`[[scenario:${s}]]`);
    equal((await detail(r.id)).content_list.map((e) => [e.phase, e.content]), list, s);
  }
  const id = await chatOf();
  equal((await detail(id)).content_list, [], 'before any answer');
});

// ---- pictures ----
const url = (d) => d.content;
await test('a picture is the usual answer to t2i', async () => {
  const r = await complete('a cat', { type: 't2i', more: { size: '16:9' } }), frames = r.deltas.filter((d) => d.phase === 'image_gen');
  equal(frames.map((d) => d.status), ['typing', 'finished'], r.text);
  ok(/^https:\/\/cdn\.qwenlm\.ai\/output\/u\/t2i\/[-0-9a-f]{36}\/p1\.png\?key=k\d+$/.test(url(frames[0])), url(frames[0]));
  equal(frames[0].extra, { output_image_hw: [[1536, 2688]] });
  equal(r.events.find((e) => e.usage).usage, { image_count: 1, width: 2688, height: 1536, input_tokens: 0, output_tokens: 0 });
  ok(r.events[1]['response.info'], 'keep_alive');
  equal((await detail(r.id)).content_list.length, 1);
});
await test('an edit needs a picture', async () => {
  const d = await upload('cat.png', 'abc'), r = await complete('x', { type: 'image_edit', files: [full(d, 'image', 3)] });
  equal(r.deltas[0].phase, 'image_edit', r.text);
  equal((await complete('x', { type: 'image_edit' })).json.data.code, 'Bad_Request');
});
for (const [why, type, change] of [['chat_type', 't2i', (b, m) => { m.chat_type = 't2t'; }], ['sub_chat_type', 't2i', (b, m) => { delete m.sub_chat_type; }],
  ['subChatType', 't2i', (b, m) => { m.extra.meta.subChatType = 't2t'; }], ['size', 't2i', (b) => { b.size = '1024x1024'; }], ['size', 't2i', (b) => { b.size = null; }],
  ['chat_type', 't2i', (b) => { b.chat_type = 't2t'; }], ['stream', 't2i', (b) => { b.stream = false; }], ['feature_config', 't2i', (b, m) => { m.feature_config.thinking_enabled = true; }],
  ['stream', 't2v', (b) => { delete b.stream; }], ['stream', 't2t', (b) => { b.stream = false; }], ['chat_type', 't2t', (b, m) => { m.chat_type = m.sub_chat_type = m.extra.meta.subChatType = 't2i'; }],
  ['sub_chat_type', 't2t', (b, m) => { m.sub_chat_type = 'search'; }]])
  await test(`${type}: ${why} is checked`, async () => ok((await complete('x', { type, change })).fault?.includes(why), why));
await test('pictures in other ways', async () => {
  const t = (s) => complete(`[[scenario:${s}]]`, { type: 't2i' }), of = (r, p) => r.deltas.filter((d) => d.phase === p && d.content !== '').map(url);
  equal(of(await t('image_two'), 'image_gen').map((u) => u.split('/').at(-1).split('?')[0]), ['p1.png', 'p2.png']);
  equal(of(await t('image n=3 list=1'), 'image_gen').map((c) => c[0].image.includes('/p')), [true, true, true]);
  const tool = (await t('image_tool')).deltas.find((d) => d.role === 'function').extra;
  ok(tool.image_list[0].image.split('?')[0] === tool.tool_result[0].image.split('?')[0] && tool.image_list[0].image !== tool.tool_result[0].image, JSON.stringify(tool));
  equal((await t('image_tool file=1')).deltas.find((d) => d.role === 'function').extra.image_list, [{ file_path: 'files/p1.png' }]);
  ok((await t('image_markdown')).answer.includes('![a picture](https://cdn.qwenlm.ai/output/u/t2i/'), 'markdown');
  ok((await t('image_refusal')).answer.includes('inappropriate content'), 'refusal');
  equal((await t('image_text')).answer, 'What shall I draw?');
  ok(of(await t('image_foreign'), 'image_gen')[0].startsWith('https://evil.example.test/'), 'foreign');
  ok(of(await t('image_captcha'), 'image_gen')[0].includes('/_____tmd_____/punish?'), 'captcha');
  equal(of(await t(`image url=${b64('http://a/b')}`), 'image_gen'), ['http://a/b']);
  const inline = await complete('[[scenario:image_inline]]');
  equal(inline.answer, 'Look: nice, is it not?');
  const t0 = Date.now();
  await t('image ms=100');
  ok(Date.now() - t0 >= 95, 'slow');
});
await test('image_none: the detail has it after three looks', async () => {
  const r = await complete('[[scenario:image_none]]', { type: 't2i' });
  equal(r.deltas.filter((d) => d.content).length, 0);
  for (let i = 0; i < 3; i++) equal((await detail(r.id)).content_list, []);
  ok((await detail(r.id)).content_list[0].content.startsWith('https://cdn.qwenlm.ai/'), 'then it is there');
});
await test('limited@: media quota, chats go on', async () => {
  equal((await complete('x', { type: 't2i', who: limited })).json.data.num, 4);
  equal((await complete('x', { type: 't2v', who: limited })).json.data.code, 'RateLimited');
  equal((await complete('x', { who: limited })).answer, 'Hello, 世界! This is the fake upstream.');
});

// ---- videos ----
const task = async (id, who = mine) => (await ask('GET', `/api/v1/tasks/status/${id}`, { headers: who })).json;
const taskId = (r) => r.json.data?.messages?.[0]?.extra.wanx.task_id;
await test('a video is the usual answer to t2v', async () => {
  const r = await complete('a cat runs', { type: 't2v', more: { size: '9:16' } }), id = taskId(r);
  equal((await task(id, theirs)).detail, 'Task not found');
  for (let i = 0; i < 3; i++) equal(await task(id), { chat_type: 't2v', task_status: 'running', message: '', remaining_time: '', content: '' });
  const end = await task(id);
  equal(end.task_status, 'success');
  ok(/^https:\/\/cdn\.qwenlm\.ai\/output\/u\/t2v\/.*\/v\.mp4\?key=k/.test(end.content), end.content);
  equal((await task('b7c00000-0000-4000-8000-000000000999')).detail, 'Task not found');
});
await test('videos in other ways', async () => {
  const t = (s, more) => complete(`[[scenario:${s}]]`, { type: 't2v', ...more });
  equal((await t('video where=output')).json.data.output.task_id.length, 36);
  for (const [w, get] of [['data', (j) => j.data.task_id], ['flat_output', (j) => j.output.task_id], ['flat', (j) => j.task_id], ['camel', (j) => j.taskId], ['result', (j) => j.result.task_id]])
    equal(get((await t(`video where=${w}`)).json).length, 36, w);
  let id = taskId(await t(`video_fail polls=0 why=${b64('the policy')}`));
  equal(await task(id), { chat_type: 't2v', task_status: 'failed', message: 'the policy' });
  id = taskId(await t('video polls=1 shape=v2 wait=queued word=completed'));
  const [a, b] = [await task(id), await task(id)];
  equal([a.success, a.data.task_status, b.data.task_status], [true, 'queued', 'completed']);
  const sse = await t('video_sse', { change: (x) => { x.stream = true; } });
  ok(sse.deltas.find((d) => d.phase === 'video_gen' && d.content.includes('/v.mp4')), sse.text);
  await fake.script({ tasks: ['503', '401'] });
  equal((await ask('GET', `/api/v1/tasks/status/${id}`, { headers: mine })).status, 503);
  equal((await ask('GET', `/api/v1/tasks/status/${id}`, { headers: mine })).status, 401);
  const orphan = await t('video'), bad = (await fake.stats()).bad;
  await ask('DELETE', `/api/v2/chats/${orphan.id}`, { headers: mine });
  equal((await task(taskId(orphan))).message, 'the chat was deleted');
  equal((await fake.stats()).bad, bad + 1, 'and that is counted');
});
// ---- the cdn and the sites of the world ----
const cdn = (path, more = {}) => ask(more.method ?? 'GET', path, { host: 'cdn.qwenlm.ai', ...more });
const img = (path, more = {}) => ask(more.method ?? 'GET', path, { host: 'img.example.test', ...more });
await test('results: a picture, a video, ranges, HEAD', async () => {
  const r = await cdn('/output/u/t2i/x/p1.png?key=k');
  equal([r.status, r.headers['content-type'], r.raw.subarray(1, 4).toString(), r.raw.length], [200, 'image/png', 'PNG', 70]);
  const v = await cdn('/output/u/t2v/x/v.mp4?key=k');
  equal([v.headers['content-type'], v.raw.subarray(4, 8).toString(), v.raw.readUInt32BE(0)], ['video/mp4', 'ftyp', 24]);
  for (const [range, from, to] of [['bytes=0-9', 0, 9], ['bytes=60-', 60, 69], ['bytes=-5', 65, 69], ['bytes=10-999', 10, 69]]) {
    const part = await cdn('/output/u/t2i/x/p1.png?key=k', { headers: { range } });
    equal([part.status, part.headers['content-range'], part.raw.toString('hex')], [206, `bytes ${from}-${to}/70`, r.raw.subarray(from, to + 1).toString('hex')], range);
  }
  equal((await cdn('/output/u/t2i/x/p1.png?key=k', { headers: { range: 'bytes=70-' } })).status, 416);
  const h = await cdn('/output/u/t2i/x/p1.png?key=k', { method: 'HEAD' });
  equal([h.status, h.headers['content-length'], h.raw.length], [200, '70', 0]);
  equal((await cdn('/output/u/t2i/x/p1.png')).status, 403, 'the key is needed');
  equal((await cdn('/output/u/t2i/x/p1.xyz?key=k')).status, 404);
  equal((await cdn('/api/models')).status, 404, 'nothing else is there');
});
await test('sites: what a client may link to', async () => {
  for (const [path, type, head] of [['/cat.png', 'image/png', '89504e47'], ['/a/b/dog.gif', 'image/gif', '47494638'], ['/sound.wav', 'audio/wav', '52494646'], ['/doc.pdf', 'application/pdf', '25504446'],
    ['/note.txt', 'text/plain; charset=utf-8', '61206e6f'], ['/octet', 'application/octet-stream', '89504e47'], ['/html', 'text/html; charset=utf-8', '3c21646f'], ['/mislabel', 'image/png', '3c21646f']]) {
    const r = await img(path);
    equal([r.status, r.headers['content-type'], r.raw.subarray(0, 4).toString('hex')], [200, type, head], path);
  }
  equal([(await img('/notfound')).status, (await img('/nothing.xyz')).status, (await img('/403')).status, (await img('/500')).status], [404, 404, 403, 500]);
  equal((await img('/empty')).raw.length, 0);
  equal((await img('/api/models')).status, 404, 'the API is elsewhere');
  equal((await ask('GET', '/cat.png', { host: '127.0.0.1' })).status, 200, 'an address is all hosts');
});
await test('sites: long, short, slow and endless bodies', async () => {
  const fill = (n) => Buffer.from(Array.from({ length: n }, (_, i) => 97 + i % 26));
  const r = await img('/big.bin?n=100000&type=application/zip');
  equal([r.headers['content-type'], r.headers['content-length'], r.raw.equals(fill(100000))], ['application/zip', '100000', true]);
  const c = await img('/big?n=300001&chunked=1');
  equal([c.headers['transfer-encoding'], c.raw.equals(fill(300001))], ['chunked', true]);
  equal((await cdn('/output/big/x/p1.png?key=k')).raw.length, 64 << 20);
  equal((await img('/big.bin?n=7', { method: 'HEAD' })).headers['content-length'], '7');
  const s = await img('/short?n=500');
  ok(s.error && s.raw.length === 500, `${s.error} ${s.raw.length}`);
  const d = await img('/drop');
  equal([d.error, d.raw.length], ['ECONNRESET', 35]);
  equal([(await img('/hang', { ms: 100 })).error, (await img('/hang_body', { ms: 100 })).error], ['timeout', 'timeout']);
  let t = Date.now();
  equal((await img('/slow?ms=120')).raw.length, 70);
  ok(Date.now() - t >= 115, 'slow');
  t = Date.now();
  equal((await img('/drip?ms=2')).raw.length, 70);
  ok(Date.now() - t >= 130, 'drip');
  equal((await img('/nolength')).raw.length, 70);
  equal((await img('/gzip')).headers['content-encoding'], 'gzip');
});
await test('sites: redirects', async () => {
  const where = async (p, more) => { const r = await img(p, more); return [r.status, r.headers.location]; };
  equal(await where('/redirect'), [302, 'https://img.example.test/cat.png']);
  equal(await where(`/redirect?to=${encodeURIComponent('http://169.254.169.254/a?b=c&d')}&status=307`), [307, 'http://169.254.169.254/a?b=c&d']);
  equal(await where('/loop?n=4'), [302, '/loop?n=5']);
  equal((await cdn('/output/evil/x/p1.png?key=k')).headers.location, 'https://evil.example.test/cat.png');
});
await test('a picture below a chat; leaks are counted', async () => {
  const r = await complete('[[scenario:image_tool file=1]]');
  equal((await ask('GET', `/api/v2/chat/${r.id}/files/p1.png`, { headers: mine })).headers['content-type'], 'image/png');
  equal((await ask('GET', `/api/v2/chat/${r.id}/files/p1.png`, { headers: theirs })).status, 404);
  const before = (await fake.stats()).leaks;
  await img('/cat.png', { headers: mine });
  await cdn('/output/u/x/p1.png?key=k', { headers: { cookie: 'token=x' } });
  await img('/cat.png');
  equal((await fake.stats()).leaks, before + 2);
  await fake.script({ cdn: ['503'], media: ['drop'] });
  equal((await cdn('/output/u/x/p1.png?key=k')).status, 503);
  equal((await img('/cat.png')).error, 'ECONNRESET');
});

// ---- OAuth ----
const client = 'f0304373b74a44d2b584a3fb70ca9e56';
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
const form = (path, o) => ask('POST', path, { body: Buffer.from(new URLSearchParams(o).toString()), headers: { 'content-type': 'application/x-www-form-urlencoded' } });
const deviceForm = { client_id: client, scope: 'openid profile email model.completion', code_challenge: challenge, code_challenge_method: 'S256' };
const device = async () => (await form('/api/v1/oauth2/device/code', deviceForm)).json;
const grant = 'urn:ietf:params:oauth:grant-type:device_code';
const poll = (d, more = {}) => form('/api/v1/oauth2/token', { grant_type: grant, client_id: client, device_code: d.device_code, code_verifier: verifier, ...more });
const approve = (d, approved = true, who = mine) => v2('/api/v2/oauth2/authorize', { approved, user_code: d.user_code }, who);
const renew = (refresh_token) => form('/api/v1/oauth2/token', { grant_type: 'refresh_token', client_id: client, refresh_token });
await test('OAuth: pending, approved, used once', async () => {
  const d = await device();
  equal([d.verification_uri, d.expires_in, d.interval], ['https://chat.qwen.ai/authorize', 900, 1]);
  equal([(await poll(d)).status, (await poll(d)).json.error], [400, 'authorization_pending']);
  equal((await poll(d, { code_verifier: verifier.replace('d', 'e') })).json.error, 'invalid_grant', 'the verifier must fit');
  equal((await approve(d, true, {})).json.success, false, 'a web token is needed');
  equal((await approve(d)).json.success, true);
  const t = (await poll(d)).json;
  equal([t.token_type, t.expires_in, t.resource_url, typeof t.refresh_token], ['Bearer', 21600, 'portal.qwen.ai', 'string']);
  equal((await poll(d)).status, 401, 'a code is good once');
  const n = (await renew(t.refresh_token)).json;
  ok(n.access_token && n.refresh_token !== t.refresh_token, 'it rotates');
  equal((await renew(t.refresh_token)).json.error, 'invalid_grant', 'the old one is dead');
  ok((await fake.stats()).polls_early > 0, 'early polls are counted');
  for (const bad of [{ client_id: 'x' }, { scope: 'openid' }, { code_challenge: 'short' }, { code_challenge_method: 'plain' }])
    equal((await form('/api/v1/oauth2/device/code', { ...deviceForm, ...bad })).status, 400, JSON.stringify(bad));
  equal((await ask('POST', '/api/v1/oauth2/token', { body: {} })).status, 422, 'JSON is refused');
});
await test('OAuth: switches', async () => {
  await fake.set({ oauth_pending: 2, oauth_slow: true, oauth_interval: 0, oauth_keep: true, resource_url: '', oauth_expires_s: 60 });
  const d = await device();
  equal(d.interval, undefined);
  await approve(d);
  const seen = [];
  for (let i = 0; i < 3; i++) { const r = await poll(d); seen.push([r.status, r.json.error]); }
  equal(seen, [[429, 'slow_down'], [400, 'authorization_pending'], [400, 'authorization_pending']]);
  const t = (await poll(d)).json;
  equal([t.expires_in, t.resource_url], [60, undefined]);
  equal([(await renew('cli-refresh-of-ok')).json.refresh_token, (await renew('cli-refresh-of-ok')).status], [undefined, 200], 'it stays good');
  const no = await device();
  await approve(no, false);
  equal((await poll(no)).json.error, 'access_denied');
  await fake.set({ oauth_life_s: 0 });
  equal((await poll(await device())).json.error, 'expired_token');
  await fake.set({ withdrawn: true });
  equal((await form('/api/v1/oauth2/device/code', deviceForm)).status, 504);
  await fake.reset();
});

// ---- the OpenAI-compatible APIs ----
const cli = { authorization: 'Bearer cli-access-of-ok' }, key = { authorization: 'Bearer sk-fake-dashscope' };
const sys = { role: 'system', content: [{ type: 'text', text: '', cache_control: { type: 'ephemeral' } }] };
async function oa(prompt, more = {}, { portal = false, headers = portal ? cli : key, messages } = {}) {
  const r = await ask('POST', portal ? '/v1/chat/completions' : '/compatible-mode/v1/chat/completions', { host: portal ? 'portal.qwen.ai' : 'dashscope.aliyuncs.com', headers,
    body: { model: portal ? 'coder-model' : 'qwen-plus', messages: messages ?? [...(portal ? [sys] : []), { role: 'user', content: prompt }], ...more } });
  const events = r.text.split('\n\n').filter((e) => e.startsWith('data: ')).map((e) => e.slice(6));
  r.done = events.at(-1) === '[DONE]';
  r.chunks = events.filter((e) => e !== '[DONE]').map((e) => JSON.parse(e));
  const deltas = r.chunks.filter((c) => c.choices?.[0]).map((c) => c.choices[0].delta);
  r.answer = r.json?.choices ? r.json.choices[0].message.content : deltas.map((d) => d.content ?? '').join('');
  r.think = r.json?.choices ? r.json.choices[0].message.reasoning_content : deltas.map((d) => d.reasoning_content ?? '').join('');
  r.deltas = deltas;
  r.finish = r.json?.choices?.[0].finish_reason ?? r.chunks.map((c) => c.choices?.[0]?.finish_reason).filter(Boolean)[0];
  r.usage = r.json?.usage ?? r.chunks.map((c) => c.usage).filter(Boolean)[0];
  r.code = r.json?.error?.code;
  return r;
}
const hello = 'Hello, 世界! This is the fake upstream.';
for (const portal of [true, false])
  await test(`${portal ? 'portal' : 'DashScope'}: whole and streamed`, async () => {
    const a = await oa('x', {}, { portal }), b = await oa('x', { stream: true }, { portal }), c = await oa('x', { stream: true, stream_options: { include_usage: true } }, { portal });
    equal([a.status, a.answer, a.finish, a.usage.total_tokens], [200, hello, 'stop', 21], a.text);
    equal([b.answer, b.finish, b.usage, b.done, b.deltas[0].role], [hello, 'stop', undefined, true, 'assistant']);
    equal([c.answer, c.usage.prompt_tokens, c.chunks.at(-1).choices], [hello, 12, []]);
    const say = await oa(`[[scenario:say b64=${b64('ü "x"')} think_b64=${b64('hm')} step=1]]`, { stream: true }, { portal });
    equal([say.answer, say.think], ['ü "x"', 'hm']);
    equal((await oa(`[[scenario:say b64=${b64('a')} when=${b64('TOOL')} then=${b64('b')}]] TOOL`, {}, { portal })).answer, 'b');
    equal((await oa('[[scenario:echo]] é', {}, { portal })).answer, '[[scenario:echo]] é');
    const tool = await oa('[[scenario:tool_call name=f args={"a":"ü"} n=2]]', { stream: true }, { portal }), calls = [];
    for (const d of tool.deltas) for (const t of d.tool_calls ?? []) { calls[t.index] ??= { id: t.id, name: t.function.name, args: '' }; calls[t.index].args += t.function.arguments; }
    equal([calls, tool.finish], [[{ id: 'call_fake1', name: 'f', args: '{"a":"ü"}' }, { id: 'call_fake2', name: 'f', args: '{"a":"ü"}' }], 'tool_calls']);
    const whole = await oa('[[scenario:tool_call]]', {}, { portal });
    equal([whole.json.choices[0].message.tool_calls[0].function, whole.answer], [{ name: 'get_weather', arguments: '{"city":"Paris"}' }, null]);
    equal((await oa('[[scenario:no_role]]', { stream: true }, { portal })).deltas.some((d) => d.role), false);
    equal((await oa('[[scenario:no_done]]', { stream: true }, { portal })).done, false);
    equal((await oa('[[scenario:no_finish]]', { stream: true }, { portal })).finish, undefined);
    equal((await oa('[[scenario:usage_always]]', { stream: true }, { portal })).usage.total_tokens, 21);
    equal((await oa('[[scenario:length]]', {}, { portal })).finish, 'length');
    equal((await oa('[[scenario:err_midway]]', { stream: true }, { portal })).chunks.at(-1).error.code, 'InternalError');
    const drop = await oa('[[scenario:drop]]', { stream: true }, { portal });
    equal([drop.error, drop.deltas.length], ['ECONNRESET', 3]);
    ok((await oa('[[scenario:say b64=YWJj drop_after=1]]', { stream: true }, { portal })).error, 'drop_after');
    const t = Date.now();
    ok((await oa('[[scenario:slow ms=80]]', { stream: true }, { portal })).text.startsWith(': keep-alive\n\n'), 'slow');
    await oa('[[scenario:slow ms=80]]', {}, { portal });
    ok(Date.now() - t >= 155, 'slow');
    for (const [s, status, code_] of [['401', 401, 'invalid_api_key'], ['insufficient_quota', 429, 'insufficient_quota'], ['rate', 429, 'limit_requests'], ['inspection', 400, 'data_inspection_failed'], ['500', 500, 'InternalError'],
      ['503', 503, 'ModelServingError'], ['arrearage', 400, 'Arrearage'], ['unpurchased', 403, 'AccessDenied.Unpurchased'], ['502_html', 502, undefined], ['429_empty', 429, undefined]]) {
      const r = await oa(`[[scenario:${s}]]`, { stream: true }, { portal });
      equal([r.status, r.code], [status, code_], s);
    }
    await fake.script({ [portal ? 'portal' : 'dashscope']: ['rate', `say b64=${b64('queued')}`] });
    equal([(await oa('x', {}, { portal })).code, (await oa('x', {}, { portal })).answer], ['limit_requests', 'queued']);
    for (const bad of [{ messages: [] }, { temperature: 2 }, { top_p: 'x' }, { max_tokens: 0 }, { tools: [] }, { tools: [{ type: 'function' }] }, { tool_choice: 'auto' }, { stream: 'yes' }, { stream_options: {} },
      { messages: [...(portal ? [sys] : []), { role: 'user', content: 1 }] }, { messages: [...(portal ? [sys] : []), { role: 'tool', tool_call_id: 'x', content: 'y' }] }, { messages: [...(portal ? [sys] : []), { role: 'robot', content: 'y' }] }])
      equal((await oa('x', bad, { portal })).code, 'invalid_parameter_error', JSON.stringify(bad));
    const turn = [...(portal ? [sys] : []), { role: 'user', content: [{ type: 'text', text: 'a' }, { type: 'image_url', image_url: { url: 'u' } }] }, { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }] },
      { role: 'tool', tool_call_id: 'c1', content: 'r' }];
    equal((await oa('', { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'auto' }, { portal, messages: turn })).status, 200);
    equal((await (await fetch(`${fake.base}/__body`)).json()).messages.length, turn.length, 'the last body');
    equal((await oa('x', { model: 'no-such' }, { portal })).code, 'model_not_found');
  });
await test('portal: tokens and the first message', async () => {
  for (const t of ['cli-access-stale', 'x', mine.authorization.slice(7), 'cli-refresh-of-ok', 'sk-fake-dashscope']) {
    const r = await oa('x', {}, { portal: true, headers: { authorization: `Bearer ${t}` } });
    equal([r.status, r.json.error.message], [401, 'invalid access token or token expired'], t);
  }
  for (const first of [[], [{ role: 'system', content: 'text' }], [{ role: 'system', content: [] }], [sys, sys]])
    equal((await oa('', {}, { portal: true, messages: [...first, { role: 'user', content: 'x' }] })).code, 'invalid_parameter_error', JSON.stringify(first));
  await fake.set({ withdrawn: true });
  equal((await oa('x', {}, { portal: true })).status, 401);
  await fake.set({ withdrawn: false });
  ok((await fake.stats()).leaks >= 1, 'a web token shown to the portal is a leak');
});
await test('DashScope: keys, thinking, models, embeddings', async () => {
  const api = (path, body, headers = key) => ask(body ? 'POST' : 'GET', `/compatible-mode/v1${path}`, { host: 'dashscope.aliyuncs.com', headers, body });
  equal([(await oa('x', {}, { headers: {} })).code, (await oa('x', {}, { headers: { authorization: 'Bearer sk-fake-unpaid' } })).code, (await oa('x', {}, { headers: { authorization: 'Bearer sk-fake-second' } })).status], ['invalid_api_key', 'Arrearage', 200]);
  equal((await oa('x', { enable_thinking: true, stream: true })).think, 'Let me count: 2 + 2');
  equal((await oa('x', { enable_thinking: true })).think, 'Let me count: 2 + 2');
  equal([(await oa('x', { model: 'qwen3-32b' })).code, (await oa('x', { model: 'qwen3-32b', enable_thinking: false })).status, (await oa('x', { model: 'qwen3-32b', stream: true })).status], ['invalid_parameter_error', 200, 200]);
  equal((await oa('x', { model: 'qwen-plus#rate' })).code, 'limit_requests');
  equal((await api('/models')).json.data[0].id, 'qwen-plus');
  equal((await api('/models', undefined, {})).status, 401);
  const e = (await api('/embeddings', { model: 'text-embedding-v4', input: ['ab', 'ü'], dimensions: 64 })).json;
  equal([e.data.length, e.data[1].index, e.data[0].embedding.length, e.data[0].embedding[1], e.usage.total_tokens], [2, 1, 64, (62 + 7 - 1000) / 1000, 2]);
  equal((await api('/embeddings', { model: 'text-embedding-v4', input: 'x' })).json.data[0].embedding.length, 1024);
  for (const bad of [{ input: [] }, { input: '' }, { input: Array(11).fill('x') }, { input: [1] }, { dimensions: 3 }, { encoding_format: 'base64' }])
    equal((await api('/embeddings', { model: 'text-embedding-v4', input: 'x', ...bad })).json.error.code, 'invalid_parameter_error', JSON.stringify(bad));
  equal((await api('/embeddings', { model: 'x', input: 'x' })).json.error.code, 'model_not_found');
});
await test('reset forgets', async () => {
  await upload('a.png', 'abc');
  await fake.reset();
  equal(await (await fetch(`${fake.base}/__files`)).json(), []);
  equal((await fake.log()).length, 0);
});
equal(fake.process.text, '', 'the fake said nothing');
await sleep(0);
await done();
