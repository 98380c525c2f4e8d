// The real coding program @qwen-code/qwen-code, headless, against the static binary (api 13), by /v1 and by /cli/v1: its own prompt
// of 60 KB, its own tools, run in a folder of its own. Only the model's words are scripted.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, equal, ok, done, fakeUpstream, gateway, KEY } from './lib.mjs';
import { installed, place, call, say, sayIf, turns } from './program.mjs';

const program = installed('@qwen-code', 'qwen-code', 'cli-entry.js');
const fake = await fakeUpstream();

// script: what the model says, made of the paths of the folder.
async function run(g, base, prompt, { files = {}, script } = {}) {
  const p = place('qwen');
  mkdirSync(join(p.home, '.qwen'));
  writeFileSync(join(p.home, '.qwen', 'settings.json'), JSON.stringify({ privacy: { usageStatisticsEnabled: false }, general: { enableAutoUpdate: false }, memory: { enableManagedAutoMemory: false, enableManagedAutoDream: false } }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(p.work, name), text);
  await fake.script({ completions: script((name) => join(p.work, name)) });
  const { out, err, code } = await p.run(process.execPath, [program, '--yolo', '--output-format', 'json', '-p', prompt],
    { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: g.base + base, OPENAI_MODEL: 'qwen3-coder-plus', QWEN_CODE_SUPPRESS_YOLO_WARNING: '1' });
  let all;
  try { all = JSON.parse(out); } catch { throw new Error(`no JSON: ${code} ${out.slice(-800)} ${err.slice(-800)}`); }
  const parts = (role, type) => all.filter((e) => e.message?.role === role && Array.isArray(e.message.content)).flatMap((e) => e.message.content).filter((b) => b.type === type);
  return { code, all, what: `${JSON.stringify(all).slice(-1500)} ${err}`, result: all.at(-1), calls: parts('assistant', 'tool_use').map((b) => b.name), results: parts('user', 'tool_result').map((b) => [b.is_error, b.content]),
    said: parts('assistant', 'text').map((b) => b.text), read: (name) => readFileSync(join(p.work, name), 'utf8'), leave: p.leave };
}
async function fresh(env, fn) {
  await fake.reset();
  const g = await gateway(fake, { CHAT_RETRY_COUNT: '0', ...env });
  try { return await fn(g); } finally { await g.stop(); }
}

for (const base of ['/v1', '/cli/v1'])
  await test(`api 4.5 13 qwen-code by ${base}: writes a file that looks like JSON, runs a command, says the last words`, () => fresh({}, async (g) => {
    const content = '{"a": "heron <x>",\n "b": [1, "</q2a_call>"]}\n';
    const r = await run(g, base, 'Write b.json.', { script: (path) => [say(`I write it.\n${call('write_file', { file_path: path('b.json'), content })}`),
      say(call('run_shell_command', { command: 'tr a-z A-Z <b.json', is_background: false })), sayIf('HERON <X>', 'It is a heron.')] });
    equal([r.code, r.result.subtype, r.result.is_error, r.result.result], [0, 'success', false, 'It is a heron.'], r.what);
    equal([r.calls, r.results.map(([bad]) => bad), r.said], [['write_file', 'run_shell_command'], [false, false], ['I write it.', 'It is a heron.']], r.what);
    equal(r.read('b.json'), content);
    ok(r.result.usage.input_tokens > 0 && r.result.usage.output_tokens > 0, JSON.stringify(r.result.usage));
    const asked = await turns(fake);
    equal(asked.length, 3, 'one upstream turn a step');
    ok(asked[2].prompt.length > 30000 && asked[2].prompt.includes('<q2a_result id="call_') && asked[2].prompt.includes('name="run_shell_command"'), 'the whole conversation goes up');
    r.leave();
  }));
await test('api 3.10 13 qwen-code: parallel calls, an edit of a file it has read', () => fresh({}, async (g) => {
  const r = await run(g, '/v1', 'Change the word.', { files: { 'one.txt': 'the word is heron\n', 'two.txt': 'second\n' }, script: (path) => [
    say(`${call('read_file', { file_path: path('one.txt') })}\n${call('read_file', { file_path: path('two.txt') })}`),
    sayIf('second', call('edit', { file_path: path('one.txt'), old_string: 'heron', new_string: 'egret' })), say('Changed.')] });
  equal([r.code, r.result.is_error, r.result.result, r.calls], [0, false, 'Changed.', ['read_file', 'read_file', 'edit']], r.what);
  equal(r.read('one.txt'), 'the word is egret\n');
  r.leave();
}));
await test('api 3.3 13 qwen-code: a conversation above INLINE_PROMPT_KB goes up as a document, its newest result inline', () => fresh({ INLINE_PROMPT_KB: '40' }, async (g) => {
  const lines = Array.from({ length: 300 }, (_, i) => `line ${i}: ${'y'.repeat(60)}`).join('\n');
  const r = await run(g, '/v1', 'Read the log and tell its last word.', { files: { 'log.txt': `${lines}\n`, 'end.txt': 'the last word is osprey\n' }, script: (path) => [say(call('read_file', { file_path: path('log.txt') })),
    say(call('read_file', { file_path: path('end.txt') })), sayIf('the last word is osprey', 'It is osprey.')] });
  equal([r.code, r.result.result, r.calls], [0, 'It is osprey.', ['read_file', 'read_file']], r.what);
  const last = (await turns(fake)).at(-1);
  equal(last.files.map((f) => f.name), ['conversation.txt'], 'the conversation is a document');
  ok(last.prompt.includes('osprey') && last.prompt.length < 80000, `${last.prompt.length}`);
  r.leave();
}));
await test('api 12 13 qwen-code: what went wrong is shown in words', () => fresh({}, async (g) => {
  const r = await run(g, '/v1', 'hello', { script: () => ['moderation'] });
  ok(r.result.is_error && /refused|inspection|content/i.test(JSON.stringify(r.result)), r.what);
  equal((await turns(fake)).length, 1, 'one call upstream');
  r.leave();
}));
await test('api 3.14 13 qwen-code: an empty answer never reaches it', () => fresh({ CHAT_RETRY_COUNT: '1', CHAT_RETRY_BACKOFF_MS: '10' }, async (g) => {
  const r = await run(g, '/v1', 'hello', { script: () => ['empty', say('Here.')] });
  equal([r.code, r.result.result, (await turns(fake)).length], [0, 'Here.', 2], r.what);
  r.leave();
}));
await done();
