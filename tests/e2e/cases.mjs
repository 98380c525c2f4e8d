// The same case files that run in one thread (tests/unit/test_world.c), against the static binary.
import { test, equal, done, gateway, chat, stream, top } from './lib.mjs';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import net from 'node:net';

const folder = join(top, 'tests/cases');
let pieces = [];

// An upstream that plays the pieces of the case for a completion and says yes to everything else.
const upstream = net.createServer((s) => {
  let text = '';
  s.on('error', () => 0);
  s.on('data', async (d) => {
    text += d.toString('latin1');
    for (;;) {
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
      if (text.length < end + 4 + length) return;
      const line = text.slice(0, text.indexOf('\r\n'));
      text = text.slice(end + 4 + length);
      const json = (o) => { const b = JSON.stringify(o); s.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${b.length}\r\n\r\n${b}`); };
      if (line.includes('/auths/signin')) json({ success: true, data: { token: 'a.b.c' } });
      else if (line.includes('/api/models')) json({ data: [{ id: 'qwen3.7-plus', info: { meta: { abilities: { thinking: 1 }, chat_type: ['t2t', 'search'] } } }] });
      else if (line.includes('/chats/new')) json({ success: true, data: { id: 'chat-1' } });
      else if (line.includes('/completions?')) {
        for (const p of pieces) {
          if (p.wait) await new Promise((r) => setTimeout(r, p.wait));
          if (p.bytes !== undefined) s.write(p.bytes);
          if (p.close) s.end();
          if (p.reset) s.resetAndDestroy();
        }
      } else json({ success: true });
    }
  });
});
await new Promise((r) => upstream.listen(0, '127.0.0.1', r));
const url = `http://127.0.0.1:${upstream.address().port}`;

for (const file of readdirSync(folder).filter((f) => f.endsWith('.case')).sort()) {
  const part = { env: [], upstream: [] };
  let section;
  for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
    if (line.startsWith('--- ')) section = line.slice(4);
    else if (line && !line.startsWith('#')) (part[section] ??= []).push(line);
  }
  const request = JSON.parse(part.request[0]), reply = JSON.parse(part.reply[0]);
  const { messages, ...more } = request;
  pieces = part.upstream.map((l) => l.startsWith('"') ? { bytes: JSON.parse(l) } : l.startsWith('wait ') ? { wait: Number(l.slice(5)) } : { [l]: true });
  const gw = await gateway(null, { QWEN_CHAT_PROXY_URL: url, QWEN_AUTH_URL: url, ACCOUNTS: 'one@example.org:pw,two@example.org:pw', CHAT_RETRY_BACKOFF_MS: '1', CHAT_STOCK: '0',
    ...Object.fromEntries(part.env.map((l) => l.split(/=(.*)/s).slice(0, 2))) });
  for (const call of [chat, stream]) await test(`${file} (${call.name})`, async () => {
    const r = await call(gw, messages, more);
    equal(r.status, call === stream && reply.streamStatus ? reply.streamStatus : reply.status, r.raw);
    equal(r.error?.code, reply.code, 'code');
    if (!reply.code) equal([r.text, r.think, r.finish], [reply.text, reply.think, reply.finish]);
  });
  await gw.stop();
}
upstream.close();
await done();
