// program.mjs - runs a real coding program headless, for a bounded time, with a home and a folder to work in of its own. Only the
// model's words are scripted: the fake upstream is told what to say turn by turn, whatever the prompt holds.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ok } from './lib.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const b64 = (s) => Buffer.from(s).toString('base64');

export function installed(...path) {
  const file = join(here, 'node_modules', ...path);
  ok(existsSync(file), `${file} is installed`);
  return file;
}
// A call as the contract asks for it, words, and words that are said only when the prompt holds a mark (api 3.10).
export const call = (name, input) => `<q2a_call>\n${JSON.stringify({ name, arguments: input })}\n</q2a_call>`;
export const say = (text) => `say b64=${b64(text)} step=7`;
export const sayIf = (mark, text) => `say b64=${b64('The result did not arrive.')} when=${b64(mark)} then=${b64(text)} step=7`;

// { home, work, run(file, args, env): { out, err, code }, leave() }. Nothing of the caller's environment but the path goes along.
export function place(name) {
  const home = mkdtempSync(join(here, `home-${name}-`)), work = join(home, 'work');
  mkdirSync(work);
  const run = async (file, args, env, ms = 90000) => {
    const p = spawn(file, args, { cwd: work, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: home, TMPDIR: home, GIT_CEILING_DIRECTORIES: home, NO_COLOR: '1', ...env } });
    let out = '', err = '', late = false;
    p.stdout.on('data', (d) => { out += d; });
    p.stderr.on('data', (d) => { err += d; });
    const end = () => { try { process.kill(-p.pid, 'SIGKILL'); } catch { /* all are gone */ } }; // with the children it started
    const timer = setTimeout(() => { late = true; end(); }, ms);
    const code = await new Promise((r) => p.on('close', r));
    clearTimeout(timer);
    end();
    ok(!late, `not within ${ms} ms: ${out.slice(-1000)} ${err.slice(-1000)}`);
    return { out, err, code };
  };
  return { home, work, run, leave: () => rmSync(home, { recursive: true, force: true }) };
}
// The completions that the fake upstream was asked for, oldest first, with their prompts as sent (the log keeps 64 KiB of each).
export async function turns(fake) {
  const log = await (await fetch(`${fake.base}/__log?n=300&bodies=1`)).json();
  return log.filter((e) => e.path?.includes('/chat/completions?')).map((e) => {
    try { return { ...e, prompt: JSON.parse(e.body).messages[0].content }; } catch { return { ...e, prompt: e.body }; }
  });
}
