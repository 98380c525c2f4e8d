// The real coding program @openai/codex, headless, over the Responses protocol (api 13): its own prompt and tools, run in a folder
// of its own. Only the model's words are scripted.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test, equal, ok, done, fakeUpstream, gateway, KEY } from './lib.mjs';

const vendor = join(dirname(fileURLToPath(import.meta.url)), 'node_modules', '@openai', `codex-linux-${process.arch}`, 'vendor');
const program = existsSync(vendor) ? readdirSync(vendor).map((d) => join(vendor, d, 'bin', 'codex')).find((p) => existsSync(p)) : undefined;
ok(program, 'the program is installed');
const fake = await fakeUpstream();
const gw = await gateway(fake);
const b64 = (s) => Buffer.from(s).toString('base64');
const call = (name, input) => `<q2a_call>\n${JSON.stringify({ name, arguments: input })}\n</q2a_call>`;
const say = (text) => `say b64=${b64(text)} step=7`;
const sayIf = (mark, text) => `say b64=${b64('The result did not arrive.')} when=${b64(mark)} then=${b64(text)} step=7`;
const home = mkdtempSync(join(tmpdir(), 'q2a-codex-')), work = join(home, 'work');
mkdirSync(work);

async function run(prompt, base = gw.v1) {
  writeFileSync(join(home, 'config.toml'), ['model = "qwen3.7-plus"', 'model_provider = "q"', 'approval_policy = "never"', 'sandbox_mode = "danger-full-access"',
    '[model_providers.q]', 'name = "q"', `base_url = "${base}"`, 'wire_api = "responses"', 'env_key = "QKEY"', 'request_max_retries = 0', 'stream_max_retries = 0', ''].join('\n'));
  const p = spawn(program, ['exec', '--json', '--skip-git-repo-check', prompt], { cwd: work, stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: home, CODEX_HOME: home, QKEY: KEY } });
  let out = '', err = '';
  p.stdout.on('data', (d) => { out += d; });
  p.stderr.on('data', (d) => { err += d; });
  const late = setTimeout(() => p.kill('SIGKILL'), 90000);
  const code = await new Promise((r) => p.on('close', r));
  clearTimeout(late);
  const events = out.split('\n').filter((l) => l.startsWith('{')).map((l) => JSON.parse(l));
  const items = events.filter((e) => e.type === 'item.completed').map((e) => e.item);
  return { code, events, items, out, err, said: items.filter((i) => i.type === 'agent_message').map((i) => i.text) };
}

await test('api 13 codex: runs what the model asks for, and answers from the result', async () => {
  await fake.script({ completions: [say(`I write it.\n${call('exec_command', { cmd: 'echo heron > note.txt; cat note.txt | tr a-z A-Z' })}`), sayIf('HERON', 'The note holds a heron.')] });
  const r = await run('Write a note.');
  equal(r.said, ['I write it.', 'The note holds a heron.'], `${r.out} ${r.err}`.slice(0, 1500));
  equal(readFileSync(join(work, 'note.txt'), 'utf8'), 'heron\n', 'the command ran');
  equal(r.code, 0);
});
await test('api 7.5 13 codex: a failure is shown in words, not tried for ever', async () => {
  const g = await gateway(fake, { CHAT_RETRY_COUNT: '0' });
  await fake.script({ completions: ['quota'] });
  const r = await run('hello', g.v1);
  ok(r.code !== 0 || r.events.some((e) => /failed|error/.test(e.type)), r.out);
  ok(/quota/i.test(r.out + r.err), `${r.out} ${r.err}`.slice(0, 1500));
  await g.stop();
});
rmSync(home, { recursive: true, force: true });
await done();
