// The Chinese part of the README has the content of the English one: sections, examples, endpoints, settings, names.
import { test, equal, ok, done, top } from './lib.mjs';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [readme, chinese] = readFileSync(join(top, 'README.md'), 'utf8').split('\n<a id="zh"></a>\n');
const code = (text) => text.match(/^```[\s\S]*?^```\n/gm), prose = (text) => text.replace(/^```[\s\S]*?^```\n/gm, '');
const headings = (text) => prose(text).match(/^#+ .*$/gm);
const table = (text, head) => {
  const lines = text.slice(text.indexOf(head)).split('\n\n')[0].split('\n').filter((l) => l.startsWith('|')).slice(2);
  return lines.map((l) => l.split(/(?<!\\)\|/).slice(1, -1).map((c) => c.trim()));
};
await test('the Chinese part has the same sections, and each is in Chinese', () => {
  equal(headings(chinese).map((h) => h.match(/^#+/)[0]), headings(readme).map((h) => h.match(/^#+/)[0]));
  const sections = prose(chinese).split(/^#+ .*$/m).slice(1), ours = prose(readme).split(/^#+ .*$/m).slice(1);
  sections.forEach((section, i) => {
    const name = headings(chinese)[i];
    if (/[a-z]{3}/.test(ours[i].replace(/<!--.*?-->/g, ''))) ok(/[\u4e00-\u9fff]{4}/.test(section), `${name}: nothing in Chinese`);
    ok(!/(?:\b[A-Za-z]{2,}\b[ ,.]+){12}/.test(section.replace(/`[^`]*`/g, '').replace(/\|.*\|/g, '')), `${name}: a sentence in English`);
  });
  ok(readme.includes('[中文](#zh)') && chinese.includes('[English](#qwen2api)'), 'each part leads to the other');
});
await test('the Chinese part has the same examples', () => equal(code(chinese), code(readme)));
await test('the Chinese part has the same endpoints, settings with their defaults, parts and commands', () => {
  const first = (rows) => rows.map((r) => (r[0].match(/`[^`]+`/g) ?? [r[0]]).join());
  for (const [a, b] of [['| Endpoint |', '| 接口 |'], ['| Variable | Default |', '| 变量 | 默认 |'], ['| Part |', '| 部分 |'], ['| Command |', '| 命令 |']]) {
    const ours = table(readme, a), theirs = table(chinese, b);
    ok(ours.length > 4, a);
    equal(first(theirs), first(ours), a);
    if (a.includes('Default')) equal(theirs.map((r) => r[1]), ours.map((r) => r[1]), 'defaults');
    theirs.forEach((r, i) => {
      ok(r.length === ours[i].length && /[\u4e00-\u9fff]/.test(r.at(-1)), `${r[0]}: ${r.at(-1)}`);
      equal(r.at(-1).match(/`[^`]+`/g)?.length > 0, ours[i].at(-1).match(/`[^`]+`/g)?.length > 0, r[0]);
    });
  }
});
await test('the Chinese part names the same variables, paths and numbers of exit', () => {
  const names = (text) => [...new Set(prose(text).match(/`[^`\n]*[A-Z]{2,}_[A-Z_]+[^`\n]*`|`\/[a-zA-Z][^`\n]*`|`make [a-z]+`/g))].sort();
  const ours = names(readme), theirs = new Set(names(chinese));
  equal(ours.filter((n) => !theirs.has(n)), []);
});
await done();
