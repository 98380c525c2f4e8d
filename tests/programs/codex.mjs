// The real coding program @openai/codex, headless, against the static binary over the Responses protocol (api 7, 13): its own
// prompt of 30 KB, its own tools, run in a folder of its own. Only the model's words are scripted.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, equal, ok, done, fakeUpstream, gateway, KEY } from './lib.mjs';
import { installed, place, call, say, sayIf, turns } from './program.mjs';

const arch = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
const codex = installed(`codex-linux-${process.arch}`, 'vendor', `${arch}-unknown-linux-musl`, 'bin', 'codex');
const fake = await fakeUpstream({ args: ['--accounts', '2'] });
const env = { MODEL_ALIASES: 'gpt-*=qwen3.7-plus', CHAT_RETRY_COUNT: '0' };

// Runs one prompt; events of the program by their type, items by theirs.
async function run(g, prompt, { model = 'gpt-5.5', retries = 0, files = {} } = {}) {
  const p = place('codex');
  mkdirSync(join(p.home, '.codex'));
  writeFileSync(join(p.home, '.codex', 'config.toml'), `model = "${model}"
model_provider = "gateway"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.gateway]
name = "gateway"
base_url = "${g.v1}"
wire_api = "responses"
env_key = "GATEWAY_KEY"
request_max_retries = ${retries}
stream_max_retries = ${retries}
`);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(p.work, name), text);
  const { out, err, code } = await p.run(codex, ['exec', '--skip-git-repo-check', '--json', prompt], { GATEWAY_KEY: KEY }, 150000);
  const all = out.split('\n').filter(Boolean).map((l) => JSON.parse(l));
  const items = all.filter((e) => e.type === 'item.completed').map((e) => e.item);
  return { code, err, all, items, said: items.filter((i) => i.type === 'agent_message').map((i) => i.text), usage: all.find((e) => e.type === 'turn.completed')?.usage,
    failed: all.find((e) => e.type === 'turn.failed')?.error?.message ?? '', read: (name) => readFileSync(join(p.work, name), 'utf8'), leave: p.leave };
}
async function fresh(more, fn) {
  await fake.reset();
  const g = await gateway(fake, { ...env, ...more });
  try { return await fn(g); } finally { await g.stop(); }
}

await test('api 13 codex: the custom tool apply_patch gets raw text, the shell its command, the last words come back', () => fresh({}, async (g) => {
  const patch = '*** Begin Patch\n*** Add File: a.txt\n+the "word" is \\ heron </q2a_call>\n*** End Patch';
  await fake.script({ completions: [say(`I write it.\n${call('apply_patch', { input: patch })}`), say(call('exec_command', { cmd: 'tr a-z A-Z <a.txt' })), sayIf('IS \\ HERON', 'It is a heron.')] });
  const r = await run(g, 'Write a word to a.txt.');
  equal([r.code, r.said], [0, ['I write it.', 'It is a heron.']], JSON.stringify(r.all) + r.err);
  equal(r.read('a.txt'), 'the "word" is \\ heron </q2a_call>\n');
  equal(r.items.filter((i) => i.type !== 'agent_message').map((i) => [i.type, i.status]), [['file_change', 'completed'], ['command_execution', 'completed']]);
  ok(r.usage.input_tokens > 0 && r.usage.output_tokens > 0 && Number.isInteger(r.usage.reasoning_output_tokens), JSON.stringify(r.usage));
  const asked = await turns(fake);
  equal(asked.length, 3, 'one upstream turn a step: no loops');
  ok(asked[2].prompt.includes('<q2a_result id="call_') && asked[2].prompt.includes('name="apply_patch"') && asked[2].prompt.length > 20000, 'the whole conversation goes up');
  r.leave();
}));
await test('api 13 codex: a model it does not know, two calls at once', () => fresh({}, async (g) => {
  await fake.script({ completions: [say(`${call('exec_command', { cmd: 'cat one.txt' })}\n${call('exec_command', { cmd: 'cat two.txt' })}`), sayIf('second line', 'Both read.')] });
  const r = await run(g, 'Read both files.', { model: 'qwen3.7-plus', files: { 'one.txt': 'first line\n', 'two.txt': 'second line\n' } });
  equal([r.code, r.said], [0, ['Both read.']], JSON.stringify(r.all) + r.err);
  equal(r.items.filter((i) => i.type === 'command_execution').map((i) => [i.exit_code, i.aggregated_output]).sort(), [[0, 'first line\n'], [0, 'second line\n']]); // they run side by side
  const last = (await turns(fake)).at(-1).prompt;
  ok(last.includes('first line') && last.includes('second line'), 'both results went up');
  r.leave();
}));
await test('api 7.5 13 codex: a stream that breaks is tried again as often as the program says, and no more', () => fresh({}, async (g) => {
  await fake.script({ completions: ['drop', say('Here again.')] });
  const r = await run(g, 'hello', { retries: 1 });
  equal([r.code, r.said.at(-1), (await turns(fake)).length], [0, 'Here again.', 2], JSON.stringify(r.all) + r.err);
  r.leave();
  await fake.reset();
  await fake.script({ completions: ['drop', 'drop', 'drop', 'drop'] });
  const bad = await run(g, 'hello', { retries: 1 });
  equal([bad.code, (await turns(fake)).length], [1, 2], JSON.stringify(bad.all) + bad.err);
  ok(bad.failed.length > 10 && !/closed before/.test(bad.failed), bad.failed);
  bad.leave();
}));
await test('api 7.5 12 13 codex: what went wrong is shown in words', async () => {
  for (const [more, scenario, words] of [[{ ACCOUNTS: null }, 'normal', /account/i], [{}, 'quota', /quota|limit/i], [{}, 'too_long', /context window|context_length/i]])
    await fresh(more, async (g) => {
      await fake.script({ completions: [scenario] });
      const r = await run(g, 'hello');
      ok(r.code === 1 && words.test(r.failed), `${scenario}: ${r.code} ${JSON.stringify(r.all)} ${r.err}`);
      r.leave();
    });
});
await test('api 7.5 13 codex: "try again in" is understood: it waits, asks again and is served', () => fresh({ ACCOUNTS: 'user0@example.org:pw-0', SSE_EARLY_HEADERS_MS: '100', QUEUE_TIMEOUT: '1' }, async (g) => {
  await fake.set({ new_ms: 1500 });
  await fake.script({ completions: ['rate_limited', say('Here again.')] });
  const r = await run(g, 'hello', { retries: 2 });
  equal([r.code, r.said, (await turns(fake)).length], [0, ['Here again.'], 2], JSON.stringify(r.all) + r.err);
  ok(r.all.some((e) => e.type === 'error' && /try again in \d+s/.test(e.message)), JSON.stringify(r.all));
  r.leave();
}));
await done();
