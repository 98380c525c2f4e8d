// Runs every curl example of the README and compares the answer with the block behind it ("…" stands for anything; white space does
// not count). A comment before an example says what the fake upstream plays. Also what the README says of settings without effect.
import { test, equal, ok, done, fakeUpstream, gateway, KEY, top } from './lib.mjs';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [readme] = readFileSync(join(top, 'README.md'), 'utf8').split('\n<a id="zh"></a>\n'); // the Chinese part has the same (readme_zh.mjs)
const fake = await fakeUpstream();
const gw = await gateway(fake);
const dir = mkdtempSync(join(tmpdir(), 'q2a-'));
writeFileSync(join(dir, 'cat.png'), Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64'));

const run = (script, env) => new Promise((res) => execFile('sh', ['-ec', script], { cwd: dir, timeout: 60000, maxBuffer: 8 << 20,
  env: { PATH: process.env.PATH, KEY, ...env } }, (error, stdout, stderr) => res({ code: error ? error.code ?? error.signal : 0, stdout, stderr })));

// What is expected and not there; '' when all is.
function missing(got, want) {
  const text = got.replace(/\s+/g, ''), pieces = want.replace(/\s+/g, '').split('…');
  let at = 0;
  for (const [i, piece] of pieces.entries()) {
    const found = i === 0 ? (text.startsWith(piece) ? 0 : -1) : i === pieces.length - 1 && piece ? (text.slice(at).endsWith(piece) ? text.length - piece.length : -1) : text.indexOf(piece, at);
    if (found < 0) return piece;
    at = found + piece.length;
  }
  return pieces.length === 1 && at !== text.length ? 'the end' : '';
}
await test('the comparison of examples knows a difference', () => {
  equal([missing('{"a": 1, "b":2}', '{"a":1,…}'), missing('{"a":1}', '{"a":1,…}'), missing('ab', 'a'), missing('a1b2', 'a…b'), missing('a1b2c', 'a…b…')], ['', '{"a":1,', 'the end', 'b', '']);
});

const blocks = [...readme.matchAll(/(?:^<!-- (the model says|upstream|the result is): (.*) -->\n)?^```sh\n([\s\S]*?)^```\n(?:^```(?:json)?\n([\s\S]*?)^```\n)?/gm)];
const examples = blocks.filter((b) => b[3].includes('curl '));
const chapter = (at) => readme.slice(0, at).match(/^#+ .*$/gm).at(-1).replace(/^#+ /, '');
const seen = {};
for (const b of examples) {
  const [, what, words, script, answer] = b, name = chapter(b.index);
  seen[name] = (seen[name] ?? 0) + 1;
  await test(`README, ${name}, example ${seen[name]}`, async () => {
    ok(answer, `no answer stands behind ${script}`);
    ok(script.includes('http://localhost:3000/'), script);
    await fake.reset();
    const scene = what === 'the model says' ? `say b64=${Buffer.from(words).toString('base64')}` : what === 'upstream' ? words : null;
    if (scene) await fake.script({ completions: [scene] });
    const r = await run(script.replaceAll('localhost:3000', `127.0.0.1:${gw.port}`), what === 'the result is' ? { RESULT: encodeURIComponent(words) } : {});
    equal(r.code, 0, `${script}\n${r.stdout}${r.stderr}`);
    equal(missing(r.stdout, answer), '', `not in the answer, or not at its place: ${r.stdout}`);
  });
}
await test('README: every endpoint that is offered has its row, and there are examples of the main ones', async () => {
  const routes = (await new Promise((res) => execFile(join(top, 'build/qwen2api'), ['routes'], (e, out) => res(out)))).trim().split('\n').filter((l) => !l.endsWith('not offered'));
  ok(routes.length > 20, routes.join());
  const known = readme.slice(readme.indexOf('| Endpoint |'), readme.indexOf('### Chat'));
  for (const line of routes) {
    const path = line.split(/\s+/)[1].replace(/\*$/, '').replace(/\/$/, '');
    if (path === '/health' || path === '/dashboard/billing/subscription' || path === '/dashboard/billing/usage') continue; // other names
    const last = path.split('/').at(-1);
    ok(path === '' || known.includes(path) || known.includes(last), `${path} is not in the table of endpoints`);
  }
  for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/completions', '/v1/messages', '/v1/images/generations', '/v1/images/edits', '/v1/videos', '/v1/media', '/cli/v1/chat/completions'])
    ok(examples.some((b) => b[3].includes(path)), `no example of ${path}`);
});
await test('README: the settings said to have no effect yet are those that nothing reads', () => {
  const said = /^(?:`[A-Z0-9_]+`(?:,\s|\sand\s)?)+\s?belong to what this version does not have yet/m.exec(readme);
  const names = [...(said?.[0] ?? '').matchAll(/`([A-Z0-9_]+)`/g)].map((m) => m[1]).sort();
  const code = readdirSync(join(top, 'modules'), { recursive: true }).filter((f) => /\.[ch]$/.test(f) && !/config\.[ch]$/.test(f))
    .map((f) => readFileSync(join(top, 'modules', f), 'utf8')).join('\n');
  const own = readFileSync(join(top, 'modules/domain/config.c'), 'utf8'), unused = [];
  for (const [, name, member] of own.matchAll(/^\s*\{ "([A-Z0-9_]+)",[^\n]*?\bF\((\w+)\)/gm)) {
    const inConfig = [...own.matchAll(new RegExp(`\\b${member}\\b`, 'g'))].length > 1;
    if (!inConfig && !new RegExp(`\\b${member}\\b`).test(code)) unused.push(name);
  }
  equal(names, unused.filter((n) => n !== 'ENABLE_STATS_DEBUG_ARCHIVE').sort());
});
await gw.stop();
rmSync(dir, { recursive: true, force: true });
await done();
