// What `make release` left in build/release: each program has the shape it should have and serves under emulation of its processor, the
// sums are right, the list of parts is valid and complete, the source archive builds without Node and a network to the same bytes, and
// the same tree gives the same release.
import { test, equal, ok, done, fakeUpstream, gateway, chat, stream, auth, KEY, top } from './lib.mjs';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';

const out = join(top, 'build/release'), dir = mkdtempSync(join(tmpdir(), 'q2a-'));
const version = /^VERSION := (.*)$/m.exec(readFileSync(join(top, 'Makefile'), 'utf8'))[1];
const said = (file, args, options = {}) => execFileSync(file, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
const machines = [
  { name: 'x86_64', machine: 'X86-64', here: arch() === 'x64', emulator: 'qemu-x86_64-static' },
  { name: 'aarch64', machine: 'AArch64', here: arch() === 'arm64', emulator: 'qemu-aarch64-static' },
  { name: 'armv7', machine: 'ARM', here: arch() === 'arm', emulator: 'qemu-arm-static' },
].map((m) => ({ ...m, file: join(out, `qwen2api-${version}-linux-${m.name}`) }));
const source = `qwen2api-${version}-source.tar.xz`, parts = `qwen2api-${version}.cdx.json`;
const sums = () => readFileSync(join(out, 'SHA256SUMS'), 'utf8');

await test('all is there, and the sums are right', () => {
  equal(readdirSync(out).sort(), ['SHA256SUMS', parts, source, ...machines.map((m) => `qwen2api-${version}-linux-${m.name}`)].sort());
  const lines = sums().trim().split('\n').map((l) => l.split('  '));
  equal(lines.map((l) => l[1]).sort(), readdirSync(out).filter((f) => f !== 'SHA256SUMS').sort());
  for (const [sum, file] of lines) equal(createHash('sha256').update(readFileSync(join(out, file))).digest('hex'), sum, file);
});

const fake = await fakeUpstream();
for (const m of machines) {
  const size = existsSync(m.file) ? statSync(m.file).size : 0;
  console.log(`${m.name}: ${size} bytes`);
  await test(`${m.name}: a stripped static-PIE with RELRO, BIND_NOW and no executable stack, without a path of this machine`, () => {
    const elf = (what) => said('readelf', ['-W', what, m.file]);
    ok(new RegExp(`Machine: .*${m.machine}$`, 'm').test(elf('-h')) && /Type: +DYN/.test(elf('-h')), elf('-h'));
    if (m.name === 'armv7') ok(/hard-float ABI/.test(elf('-h')), elf('-h'));
    const segments = elf('-l'), dynamic = elf('-d');
    ok(!/INTERP/.test(segments) && /GNU_RELRO/.test(segments) && /GNU_STACK.* RW /.test(segments) && !/LOAD.*RWE/.test(segments), segments);
    ok(/BIND_NOW/.test(dynamic) && !/NEEDED/.test(dynamic), dynamic);
    ok(!/\.symtab/.test(elf('-S')), 'not stripped');
    ok(!readFileSync(m.file).includes(top), `the path ${top} is in it`);
    ok(size <= (m.name === 'aarch64' ? 1.75 : 1.5) * 1048576, `${size} bytes`);
  });
  let program = m.file;
  if (!m.here) {
    program = join(dir, m.name);
    writeFileSync(program, `#!/bin/sh\nexec ${m.emulator} ${m.file} "$@"\n`);
    chmodSync(program, 0o755);
  }
  await test(`${m.name}: says its version, and that of its parts`, () => {
    equal(said(program, ['--version']).split(' ').slice(0, 2), ['qwen2api', version]);
    ok(said(program, ['licenses']).includes('BearSSL') && said(program, ['assets']).includes('index.html'), 'licences and pages');
    equal(said(program, ['readme-table']), said(join(top, 'build/qwen2api'), ['readme-table']));
  });
  await test(`${m.name}: serves: health, page, a chat over TLS, a stream, and keeps what was changed`, async () => {
    const data = mkdtempSync(join(tmpdir(), 'q2a-')), env = { DATA_SAVE_MODE: 'file', DATA_DIR: data };
    let gw = await gateway(fake, env, [], program);
    equal(spawnSync(program, ['healthcheck', '--ready'], { env: { SERVICE_PORT: String(gw.port), PATH: process.env.PATH } }).status, 0, 'healthcheck');
    ok((await (await fetch(`${gw.base}/`)).text()).includes('<html'), 'the page');
    const one = await chat(gw, 'hello');
    equal([one.status, one.text], [200, 'Hello, 世界! This is the fake upstream.'], one.raw);
    const two = await stream(gw, '[[scenario:thinking]]', { model: 'qwen3.7-plus-thinking' });
    ok(two.status === 200 && two.think && two.text && two.finish === 'stop', two.raw);
    const set = await fetch(`${gw.base}/api/settings`, { method: 'PATCH', headers: { ...auth(KEY), 'content-type': 'application/json' }, body: '{"chatRetryCount":4}' });
    equal(set.status, 200, await set.text());
    equal(await gw.stop(), 0, gw.log());
    gw = await gateway(fake, env, [], program);
    equal((await (await fetch(`${gw.base}/api/settings`, { headers: auth(KEY) })).json()).chatRetryCount, 4);
    equal(await gw.stop(), 0, gw.log());
    rmSync(data, { recursive: true });
  });
}
await fake.stop();

await test('the list of parts is valid CycloneDX, and has every part', async () => {
  const text = readFileSync(join(out, parts), 'utf8'), bom = JSON.parse(text);
  equal(await new Validation.JsonStrictValidator(Spec.Version.v1dot5).validate(text), null);
  const wrong = await new Validation.JsonStrictValidator(Spec.Version.v1dot5).validate(text.replace('"library"', '"thing"'));
  ok(wrong, 'the validator knows a fault');
  const by = new Map(bom.components.map((c) => [c['bom-ref'], c]));
  equal(by.size, bom.components.length, 'each once');
  equal([...by.keys()].sort(), bom.dependencies[0].dependsOn.sort());
  for (const line of readFileSync(join(top, 'tools/deps.lock'), 'utf8').split('\n').filter((l) => l && !l.startsWith('#'))) {
    const [part, , sha] = line.split(/\s+/), c = by.get(`c:${part}`);
    ok(c && c.licenses.length === 1 && /^\d/.test(c.version), part);
    if (readFileSync(join(top, `build/deps/${part}/.from`), 'utf8').trim() === sha) equal(c.hashes, [{ alg: 'SHA-256', content: sha }], part);
  }
  const pages = JSON.parse(readFileSync(join(top, 'assets/package.json'), 'utf8')).dependencies;
  for (const name of Object.keys(pages).filter((n) => n !== 'vue')) equal(by.get(`npm:${name}`)?.version, pages[name], name);
  equal(by.get('npm:@vue/runtime-core')?.version, pages.vue, 'what of vue is in the script');
  for (const needed of ['c:musl', 'c:libgcc', 'data:anchors']) ok(by.has(needed), needed);
  equal(bom.metadata.component.components.map((c) => [c.name, c.hashes[0].content]), machines.map((m) => `qwen2api-${version}-linux-${m.name}`).sort()
    .map((n) => [n, createHash('sha256').update(readFileSync(join(out, n))).digest('hex')]));
});

await test('the source archive builds without Node and without a network, to the same bytes', () => {
  const bin = join(dir, 'bin'), log = join(dir, 'log');
  mkdirSync(bin);
  for (const tool of readdirSync('/usr/bin')) if (!/^(node|nodejs|npm|npx|curl|wget|git|apt.*)$/.test(tool)) symlinkSync(join('/usr/bin', tool), join(bin, tool));
  equal(spawnSync('sh', ['-c', 'command -v node npm curl apt-get'], { env: { PATH: bin } }).stdout.toString(), '');
  said('tar', ['-xf', join(out, source), '-C', dir]);
  const tree = join(dir, `qwen2api-${version}`);
  equal([existsSync(join(tree, 'ui/index.html')), existsSync(join(tree, 'deps/anchors.pem')), existsSync(join(tree, 'build'))], [true, true, false]);
  const r = spawnSync('sh', ['-c', `make -j2 >${log} 2>&1`], { cwd: tree, env: { PATH: bin } });
  equal(r.status, 0, readFileSync(log, 'utf8').slice(-2000));
  const here = machines.find((m) => m.here);
  ok(readFileSync(join(tree, 'build/qwen2api')).equals(readFileSync(here.file)), 'other bytes');
});

await test('made again, the release is the same', () => {
  const before = sums();
  said('tools/release.sh', [version], { cwd: top, stdio: ['ignore', 'pipe', 'pipe'] });
  equal(sums(), before);
});
rmSync(dir, { recursive: true, force: true });
await done();
