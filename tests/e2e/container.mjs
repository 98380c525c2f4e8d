// tools/container: the image (built and run by buildah where it is, else a root of the same content: `chroot` holds the program alone),
// the compose files against the table of settings, the Space's front matter, the systemd units. The image needs root to run.
import { test, equal, ok, done, fakeUpstream, certificates, freePort, waitFor, chat, auth, top } from './lib.mjs';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

const binary = join(top, 'build/qwen2api'), kit = join(top, 'build/container'), ADMIN = 'sk-container-0123456789';
const said = (file, args, options = {}) => execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });
const has = (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
const settings = new Map(); // name -> row of the README's table
for (const line of said(binary, ['readme-table']).split('\n')) {
  const [, names, , changes] = line.split('|').map((s) => s.trim());
  for (const [, name] of (names ?? '').matchAll(/`([A-Z0-9_]+)`/g)) settings.set(name, changes);
}

await test('api 11.7: make container lays out a whole build context', () => {
  said('make', ['-s', 'container'], { cwd: top });
  equal(readdirSync(kit).sort(), ['Dockerfile', 'README.md', 'app', 'docker-compose-redis.yml', 'docker-compose.yml', 'qwen2api']);
  ok(readFileSync(join(kit, 'qwen2api')).equals(readFileSync(binary)), 'the program that was built');
});

// ---- the compose files ----
const compose = (name) => parse(readFileSync(join(kit, name), 'utf8'));
for (const name of ['docker-compose.yml', 'docker-compose-redis.yml']) {
  await test(`api 11.7: ${name}: every variable is a setting, empty means default, nothing more is allowed than needed`, () => {
    const file = compose(name), s = file.services.qwen2api;
    ok(settings.size > 60, `the table of settings has ${settings.size} rows`);
    for (const [key, value] of Object.entries(s.environment)) {
      ok(settings.has(key), `${key} is not in the table of settings`);
      const given = /^\$\{([A-Z0-9_]+):([-?])(.*)\}$/s.exec(value);
      if (given) equal(given[1], key, 'a variable is passed on under its own name');
    }
    equal([s.build, s.restart, s.read_only, s.cap_drop, s.ports], ['.', 'unless-stopped', true, ['ALL'], ['3000:3000']]);
    ok(/^(\d+)s$/.test(s.stop_grace_period) && parseInt(s.stop_grace_period) > 30, 'it may take SHUTDOWN_GRACE to end');
    for (const v of s.volumes ?? []) ok(v.split(':')[0] in file.volumes && existsSync(join(kit, v.split(':')[1].slice(1))), `${v}: no such folder or volume`);
    for (const needed of Object.keys(s.depends_on ?? {})) ok(needed in file.services, needed);
    // What they pass when nothing is set, put before the program: it must be content.
    const env = Object.fromEntries(Object.entries(s.environment).map(([k, v]) => [k, v.replace(/^\$\{[A-Z0-9_]+:-(.*)\}$/s, '$1').replace(/^\$\{.*:\?.*\}$/s, 'sk-0123456789abcdef')]));
    const cwd = mkdtempSync(join(tmpdir(), 'q2a-'));
    const r = spawnSync(binary, ['check'], { cwd, env, encoding: 'utf8' });
    equal([r.status, /error|warn/i.test(r.stderr)], [0, false], r.stderr);
    ok(r.stdout.includes(`DATA_SAVE_MODE=${name.includes('redis') ? 'redis' : 'file'}`), r.stdout);
    rmSync(cwd, { recursive: true });
  });
}
await test('api 11.7: docker-compose-redis.yml: Redis keeps what it acknowledged and is waited for', () => {
  const { services: { qwen2api: s, redis }, volumes } = compose('docker-compose-redis.yml');
  equal([s.environment.DATA_SAVE_MODE, s.depends_on.redis.condition], ['redis', 'service_healthy']);
  ok(/^\$\{API_KEY:\?/.test(s.environment.API_KEY) && /^\$\{SECRET_KEY:\?/.test(s.environment.SECRET_KEY), 'both keys are demanded');
  equal([redis.command.join(' '), redis.volumes], ['redis-server --appendonly yes --maxmemory-policy noeviction', ['redis:/data']]);
  ok('redis' in volumes && redis.healthcheck.test.includes('redis-cli'), 'a volume and a health check');
  const r = spawnSync('redis-server', [...redis.command.slice(1), '--port', '0', '--dir', tmpdir()], { encoding: 'utf8', timeout: 10000 });
  ok(r.stdout.includes('Configured to not listen anywhere'), `Redis takes these options: ${r.stdout}${r.stderr}`);
});

// ---- the Space ----
await test('api 11.7: the Space: front matter for Hugging Face, its words name settings that exist', () => {
  const text = readFileSync(join(kit, 'README.md'), 'utf8'), [, front] = /^---\n([\s\S]*?)\n---\n/.exec(text);
  const f = parse(front);
  equal([f.title, f.sdk, f.app_port], ['qwen2api', 'docker', 3000]);
  for (const colour of [f.colorFrom, f.colorTo]) ok(['red', 'yellow', 'green', 'blue', 'indigo', 'purple', 'pink', 'gray'].includes(colour), colour);
  const names = [...text.matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=\w+)?`/g)].map((m) => m[1]);
  ok(names.length > 4, names.join());
  for (const n of names) ok(settings.has(n), `${n} is not in the table of settings`);
  for (const word of ['no lasting disk', 'SECRET_KEY', 'redis', 'user 1000', 'A crash is not restarted by the program itself']) ok(text.includes(word), word);
  for (const file of ['Dockerfile', 'app', 'qwen2api']) ok(text.includes(`build/container/${file}`) && existsSync(join(kit, file)), file);
});

// ---- the image ----
const dockerfile = readFileSync(join(kit, 'Dockerfile'), 'utf8').replace(/^#.*\n/gm, '');
await test('api 11.7: Dockerfile: FROM scratch, user 1000, /app, a health check without a shell, no setting that would hide PORT', () => {
  const lines = dockerfile.trim().split('\n');
  equal(lines[0], 'FROM scratch');
  ok(lines.includes('USER 1000:1000') && lines.includes('WORKDIR /app') && lines.includes('ENTRYPOINT ["/app/qwen2api"]'), dockerfile);
  const check = lines.find((l) => l.startsWith('HEALTHCHECK '));
  equal(JSON.parse(check.slice(check.indexOf('['))), ['/app/qwen2api', 'healthcheck']);
  ok(!/^(ENV|RUN|ADD)\b/m.test(dockerfile), 'nothing runs at build time, nothing is set');
});
if (process.getuid() !== 0) console.log('not root: the image is not run here');
else {
  const root = mkdtempSync(join(tmpdir(), 'q2a-root-')), buildah = (...args) => said('buildah', ['--storage-driver', 'vfs', ...args]).trim();
  const tag = `localhost/qwen2api-test:${process.pid}`;
  // Some machines have it and may not use it (a container without the right to mount).
  const probe = has('buildah') ? spawnSync('buildah', ['--storage-driver', 'vfs', 'from', 'scratch'], { encoding: 'utf8' }) : { status: 1, stderr: 'it is not here' };
  if (probe.status === 0) {
    buildah('rm', probe.stdout.trim());
    await test('api 11.7: buildah builds the image', () => {
      buildah('bud', '--isolation', 'chroot', '-q', '-t', tag, kit);
      const { config } = JSON.parse(buildah('inspect', '--type', 'image', tag)).OCIv1;
      equal([config.User, config.WorkingDir, config.Entrypoint, config.ExposedPorts, config.StopSignal], ['1000:1000', '/app', ['/app/qwen2api'], { '3000/tcp': {} }, 'SIGTERM']);
      ok(!config.Env?.some((e) => !e.startsWith('PATH=')), `${config.Env}`);
    });
    await test('api 11.7: the image runs by buildah', () => {
      const c = buildah('from', '--pull-never', tag);
      said('cp', ['-a', `${buildah('mount', c)}/.`, root]); // as it is before a run adds names of hosts to it
      ok(buildah('run', '--isolation', 'chroot', c, '--', '/app/qwen2api', '--version').startsWith('qwen2api '), 'its version');
      buildah('rm', c);
      buildah('rmi', '-f', tag);
    });
  } else {
    console.log(`no buildah: a root of the same content stands for the image (${probe.stderr.trim()})`);
    said('cp', ['-R', join(kit, 'app'), join(root, 'app')]);
    said('chown', ['-R', '1000:1000', join(root, 'app')]);
    copyFileSync(binary, join(root, 'app/qwen2api'));
  }
  said('chmod', ['0755', root]);
  await test('api 11.7: one file is in the image: no shell, no library; the folders are the user\'s', () => {
    const files = said('find', [root, '-type', 'f', '!', '-name', '.keep', '-printf', '/%P %m %U\n']).trim().split('\n');
    ok(/^\/app\/qwen2api 755 \d+$/.test(files[0]) && files.length === 1, files.join());
    for (const dir of ['data', 'caches', 'logs']) equal([statSync(join(root, 'app', dir)).uid, statSync(join(root, 'app', dir)).gid], [1000, 1000], dir);
  });
  // From here on the user may write to the volume alone: all else is root's, and the user has no capability.
  said('chown', ['-R', '0:0', root]);
  said('chown', ['-R', '1000:1000', join(root, 'app/data')]);
  copyFileSync(join(certificates(), 'ca.pem'), join(root, 'ca.pem'));
  const inside = (env, ...args) => ['setpriv', ['--clear-groups', '--no-new-privs', 'unshare', `--root=${root}`, '--wd=/app', '--setgid=1000', '--setuid=1000', '/app/qwen2api', ...args],
    { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env } }];
  const fake = await fakeUpstream(), port = await freePort();
  const env = { PORT: String(port), LISTEN_ADDRESS: '', API_KEY: ADMIN, ACCOUNTS: 'ok@example.org:correct horse', SSL_CERT_FILE: '/ca.pem',
    UPSTREAM_RESOLVE: ['chat.qwen.ai', 'auth.qwen.ai'].map((h) => `${h}:443=127.0.0.1:${fake.port}`).join() };
  const gw = { base: `http://127.0.0.1:${port}`, log: '' };
  const run = async () => {
    const [file, args, options] = inside(env);
    const p = gw.process = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    p.ended = new Promise((r) => p.on('exit', (code, signal) => r(p.gone = code ?? signal)));
    p.stderr.on('data', (d) => { gw.log += d; });
    p.stdout.on('data', (d) => { gw.log += d; });
    await waitFor(async () => {
      if (p.gone !== undefined) throw new Error(`it ended with ${p.gone}: ${gw.log}`);
      try { return (await fetch(`${gw.base}/healthz`)).ok; } catch { return false; }
    }, 10000, `it answers: ${gw.log}`);
  };
  const health = (more = [], e = env) => { const [f, a, o] = inside(e, 'healthcheck', ...more); return spawnSync(f, a, o).status; };
  await test('api 11.7: as user 1000, with nothing else there: it serves on PORT, its health check answers', async () => {
    equal(health(), 1, 'before it runs');
    await run();
    equal([health(), health(['--ready'])], [0, 0]);
    const status = readFileSync(`/proc/${gw.process.pid}/status`, 'utf8'), field = (name) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)[1];
    equal([field('Uid').split('\t')[0], field('Gid').split('\t')[0], field('CapEff'), field('NoNewPrivs')], ['1000', '1000', '0000000000000000', '1']);
    ok((await (await fetch(`${gw.base}/`)).text()).includes('<html'), 'the page');
  });
  await test('api 11.7: a chat goes through, and what was changed is in the volume at the next start', async () => {
    const r = await chat(gw, 'hello', {}, { key: ADMIN });
    equal([r.status, r.finish], [200, 'stop'], r.raw);
    const put = await fetch(`${gw.base}/api/settings`, { method: 'PATCH', headers: { ...auth(ADMIN), 'content-type': 'application/json' }, body: '{"chatRetryCount":3}' });
    equal(put.status, 200);
    gw.process.kill('SIGTERM');
    equal(await gw.process.ended, 0, gw.log);
    equal(readdirSync(join(root, 'app/data')).filter((f) => f !== '.keep').sort(), ['qwen2api.mdb', 'qwen2api.mdb-lock', 'secret.key']);
    await run();
    const s = await (await fetch(`${gw.base}/api/settings`, { headers: auth(ADMIN) })).json();
    equal(s.chatRetryCount, 3);
    gw.process.kill('SIGTERM');
    equal(await gw.process.ended, 0, gw.log);
  });
  await test('api 11.7: a volume that user 1000 cannot write is told with what to do, and ends with 73', () => {
    said('chown', ['0:0', join(root, 'app/data')]);
    const [f, a, o] = inside({ ...env, DATA_SAVE_MODE: 'file' });
    const r = spawnSync(f, a, { ...o, encoding: 'utf8', timeout: 10000 });
    equal(r.status, 73, r.stderr);
    ok(/data/.test(r.stderr) && /writ|permission/i.test(r.stderr), r.stderr);
  });
  if (gw.process && gw.process.gone === undefined) gw.process.kill('SIGKILL');
  await fake.stop();
  rmSync(root, { recursive: true, force: true });
}

// ---- systemd ----
const unit = (name) => {
  const out = {};
  let part;
  for (const line of readFileSync(join(top, 'tools/container', name), 'utf8').split('\n')) {
    if (/^\[/.test(line)) out[part = line.slice(1, -1)] = {};
    const m = /^([A-Za-z]+)=(.*)$/.exec(line);
    if (m) (out[part][m[1]] ??= []).push(m[2]);
  }
  return out;
};
await test('api 11.6: the unit: notifies, is not root, restarts after a crash but not after wrong settings', () => {
  const { Service: s } = unit('qwen2api.service'), socket = unit('qwen2api.socket');
  equal([s.Type, s.User, s.Restart, s.StateDirectory, s.WorkingDirectory], [['notify'], ['qwen2api'], ['on-failure'], ['qwen2api'], ['/var/lib/qwen2api']]);
  equal(s.RestartPreventExitStatus, ['2 65 73 78']);
  ok(parseInt(s.TimeoutStopSec[0]) > 30, 'it may take SHUTDOWN_GRACE to end');
  equal(socket.Socket.ListenStream, ['3000']);
});
if (has('systemd-analyze')) {
  await test('api 11.7: systemd finds the units sound and little exposed', () => {
    const dir = mkdtempSync(join(tmpdir(), 'q2a-'));
    for (const f of ['qwen2api.service', 'qwen2api.socket']) copyFileSync(join(top, 'tools/container', f), join(dir, f));
    mkdirSync(join(dir, 'root/usr/local/bin'), { recursive: true });
    const service = join(dir, 'qwen2api.service');
    // The program is not installed on this machine: any other may stand for it.
    said('sed', ['-i', `s#^ExecStart=.*#ExecStart=${binary}#`, service]);
    const v = spawnSync('systemd-analyze', ['verify', service, join(dir, 'qwen2api.socket')], { encoding: 'utf8' });
    equal([v.status, (v.stdout + v.stderr).split('\n').filter((l) => l.includes('qwen2api'))], [0, []], v.stderr);
    const s = spawnSync('systemd-analyze', ['security', '--offline=yes', '--threshold=20', '--no-pager', service], { encoding: 'utf8' });
    const level = /Overall exposure level for \S+: ([\d.]+)/.exec(s.stdout)?.[1];
    ok(s.status === 0 && Number(level) <= 2, `exposure ${level}: ${s.stdout.slice(-300)}${s.stderr}`);
    rmSync(dir, { recursive: true });
  });
} else console.log('no systemd-analyze: the units were read by the test alone');
await done();
