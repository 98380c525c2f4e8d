// The real coding program @anthropic-ai/claude-code, headless, against the static binary (api 13): its own prompt, its own tools,
// run in a folder of its own. Only the model's words are scripted.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, equal, ok, done, fakeUpstream, gateway, stream, waitFor, KEY } from './lib.mjs';
import { installed, place, call, say, sayIf, turns } from './program.mjs';

const program = installed('@anthropic-ai', `claude-code-linux-${process.arch}`, 'claude');
const fake = await fakeUpstream();
const gw = await gateway(fake, { ANTHROPIC_DEFAULT_MODEL: 'qwen3.7-plus' });
const here = place('claude'), note = join(here.work, 'note.txt');

async function run(prompt, tools, base = gw.base) {
  const { out, err } = await here.run(program, ['-p', prompt, '--output-format', 'json', '--allowedTools', ...tools],
    { ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: KEY, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1', CLAUDE_CODE_MAX_RETRIES: '0' });
  try { return JSON.parse(out); } catch { throw new Error(`no JSON: ${out.slice(0, 500)} ${err.slice(0, 500)}`); }
}

await test('api 13 claude-code: reads, edits and runs what the model asks for', async () => {
  writeFileSync(note, 'the word is heron\n');
  await fake.script({ completions: [say(`I read it first.\n${call('Read', { file_path: note })}`), say(call('Edit', { file_path: note, old_string: 'heron', new_string: 'egret' })),
    say(call('Bash', { command: 'cat note.txt | tr a-z A-Z', description: 'Shows the note' })), sayIf('THE WORD IS EGRET', 'The word is now egret.')] });
  const r = await run('Change the word in note.txt.', ['Read', 'Edit', 'Bash']);
  equal([r.subtype, r.is_error, r.result, r.num_turns, r.stop_reason], ['success', false, 'The word is now egret.', 4, 'end_turn'], JSON.stringify(r).slice(0, 800));
  equal(readFileSync(note, 'utf8'), 'the word is egret\n', 'the file was edited');
  ok(r.usage.input_tokens > 0 && r.usage.output_tokens > 0, JSON.stringify(r.usage));
});
await test('api 13 claude-code: a conversation above INLINE_PROMPT_KB goes up with its newest result', async () => {
  const many = Array.from({ length: 1500 }, (_, i) => `line ${i}: ${'x'.repeat(100)}`).join('\n');
  writeFileSync(note, `${many}\nthe last word is osprey\n`);
  await fake.script({ completions: [say(call('Bash', { command: 'tail -1 note.txt' })), sayIf('the last word is osprey', 'It is osprey.')] });
  const r = await run(`Here is a log:\n${many.slice(0, 90000)}\nNow tell the last word of note.txt.`, ['Bash']);
  equal([r.result, r.is_error], ['It is osprey.', false], JSON.stringify(r).slice(0, 800));
  ok((await turns(fake)).at(-1).files.some((f) => f.name === 'conversation.txt'), 'the conversation is a document');
});
await test('api 6.8 13 claude-code: what goes wrong is shown in words', async () => {
  const g = await gateway(fake, { ACCOUNTS: null });
  const r = await run('hello', ['Read'], g.base);
  ok(r.is_error && /account/i.test(r.result), JSON.stringify(r).slice(0, 500));
  await g.stop();
});

await test('api 13 claude-code: two calls at once, and a tool that fails', async () => {
  writeFileSync(note, 'the word is heron\n');
  await fake.script({ completions: [say(`${call('Read', { file_path: note })}\n${call('Bash', { command: 'cat nothing.txt', description: 'Shows a file' })}`), sayIf('error="true"', 'One is not there.')] });
  const r = await run('Read both.', ['Read', 'Bash']);
  equal([r.result, r.is_error, r.num_turns], ['One is not there.', false, 3], JSON.stringify(r).slice(0, 800));
  const last = (await turns(fake)).at(-1).prompt;
  ok(last.includes('heron') && last.includes('No such file'), 'both results went up');
});
await test('api 6.8 13 claude-code: overloaded is a 529 that it knows', async () => {
  const g = await gateway(fake, { ANTHROPIC_DEFAULT_MODEL: 'qwen3.7-plus', MAX_INFLIGHT_PER_ACCOUNT: '1', QUEUE_MAX: '0' });
  const a = new AbortController(), busy = stream(g, '[[scenario:stream n=600 ms=100 size=20]]', {}, { signal: a.signal }).catch(() => 0);
  await waitFor(async () => (await fake.stats()).running === 1, 5000, 'the account is busy');
  const r = await run('hello', ['Read'], g.base);
  ok(r.is_error && /529|overloaded/i.test(r.result), JSON.stringify(r).slice(0, 500));
  a.abort();
  await busy;
  await g.stop();
});

here.leave();
await done();
