// mksbom.mjs - the list of a release's parts as CycloneDX 1.5, from what pins them: tools/deps.lock, tools/notices.txt, the pages' lock.
// node tools/mksbom.mjs VERSION MUSL_VERSION GCC_VERSION ANCHORS PROGRAM... > FILE
// No clock and no chance: the time is SOURCE_DATE_EPOCH, the serial number follows from the content.
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { basename } from 'node:path';

const [version, musl, gcc, anchors, ...programs] = process.argv.slice(2);
const read = (file) => readFileSync(file, 'utf8');
const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const hash = (alg, content) => [{ alg, content }];
const licence = (id) => [/ WITH /.test(id) ? { expression: id } : { license: { id } }];
const fail = (why) => { console.error(`mksbom: ${why}`); process.exit(1); };

// "  BearSSL 0.6     MIT       what for"
const SPDX = { 'OpenLDAP 2.8': 'OLDAP-2.8', zlib: 'Zlib' };
const noted = new Map();
for (const [, name, v, id, what] of read('tools/notices.txt').matchAll(/^ {2}(\S+) ([\d.]+) +(\S+(?: [\d.]+)?) {2,}(.*)$/gm))
  noted.set(name.toLowerCase(), { name, version: v, licenses: licence(SPDX[id] ?? id), description: what });

const lines = read('tools/deps.lock').split('\n').filter((l) => l && !l.startsWith('#')).map((l) => l.split(/\s+/));
const third = [...new Set(lines.map((l) => l[0]))].map((part) => {
  const from = read(`build/deps/${part}/.from`).trim(), line = lines.find((l) => l[0] === part && l[2] === from), note = noted.get(part);
  if (!line) fail(`${part} was not built from an archive of tools/deps.lock`);
  if (!note) fail(`${part} is not in tools/notices.txt`);
  if (!line[1].includes(note.version)) fail(`${part}: ${line[1]} is not version ${note.version} of tools/notices.txt`);
  return { type: 'library', 'bom-ref': `c:${part}`, ...note, hashes: hash('SHA-256', from), purl: `pkg:generic/${part}@${note.version}?checksum=sha256:${from}`,
    properties: [{ name: 'qwen2api:archive', value: line[1] }] };
});

const lock = JSON.parse(read('assets/package-lock.json')).packages;
const pages = read('build/ui.parts').split('\n').filter(Boolean).map((name) => {
  const p = lock[`node_modules/${name}`] ?? fail(`${name} is not in the pages' lock`);
  const [alg, sum] = p.integrity.split('-');
  if (alg !== 'sha512' || !p.license) fail(`${name}: no licence or checksum in the pages' lock`);
  return { type: 'library', 'bom-ref': `npm:${name}`, name, version: p.version, description: 'of the dashboard', licenses: licence(p.license),
    hashes: hash('SHA-512', Buffer.from(sum, 'base64').toString('hex')), purl: `pkg:npm/${name.replace('@', '%40')}@${p.version}` };
});

const built = [
  { type: 'library', 'bom-ref': 'c:musl', name: 'musl', version: musl, description: 'the C library', licenses: licence('MIT'), purl: `pkg:generic/musl@${musl}` },
  { type: 'library', 'bom-ref': 'c:libgcc', name: 'libgcc', version: gcc, description: 'arithmetic that a processor lacks',
    licenses: licence('GPL-3.0-or-later WITH GCC-exception-3.1'), purl: `pkg:generic/libgcc@${gcc}` },
  { type: 'data', 'bom-ref': 'data:anchors', name: 'Mozilla CA certificates', version: sha256(read(anchors)).slice(0, 16), description: 'trust anchors',
    licenses: licence('MPL-2.0'), hashes: hash('SHA-256', sha256(read(anchors))) },
];

const self = { type: 'application', 'bom-ref': 'qwen2api', name: 'qwen2api', version, description: 'an OpenAI-compatible gateway to a pool of Qwen accounts',
  licenses: licence('MIT'), purl: `pkg:generic/qwen2api@${version}`,
  components: programs.map((p) => ({ type: 'file', 'bom-ref': `file:${basename(p)}`, name: basename(p), hashes: hash('SHA-256', sha256(readFileSync(p))) })) };
const components = [...third, ...built, ...pages];
const body = {
  metadata: { timestamp: new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toISOString(), tools: { components: [{ type: 'application', name: 'mksbom', version }] }, component: self },
  components,
  dependencies: [{ ref: self['bom-ref'], dependsOn: components.map((c) => c['bom-ref']) }, ...components.map((c) => ({ ref: c['bom-ref'] }))],
};
const id = sha256(JSON.stringify(body));
const uuid = `${id.slice(0, 8)}-${id.slice(8, 12)}-5${id.slice(13, 16)}-8${id.slice(17, 20)}-${id.slice(20, 32)}`;
console.log(JSON.stringify({ $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json', bomFormat: 'CycloneDX', specVersion: '1.5', serialNumber: `urn:uuid:${uuid}`, version: 1, ...body }, null, 1));
