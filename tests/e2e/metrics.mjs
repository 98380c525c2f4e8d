// metrics.mjs - GET /metrics (api 9.7, 11.4 METRICS_AUTH), read by a small parser of the text format.
import { chat, done, equal, fakeUpstream, gateway, KEY, ok, test, USER_KEY } from './lib.mjs';

const fake = await fakeUpstream();
const get = (gw, key) => fetch(`${gw.base}/metrics`, key ? { headers: { authorization: `Bearer ${key}` } } : {});

// Every sample belongs to a family with HELP and TYPE before it, families are not torn apart, no sample comes twice.
function parse(text) {
  const families = new Map(), samples = new Map();
  let family = null;
  ok(text.endsWith('\n'), 'a line end at the end');
  for (const line of text.split('\n').slice(0, -1)) {
    let m;
    if ((m = /^# HELP ([a-zA-Z_:][\w:]*) (.+)$/.exec(line))) {
      ok(!families.has(m[1]), `twice: ${line}`);
      families.set(family = m[1], null);
    } else if ((m = /^# TYPE ([\w:]+) (counter|gauge|histogram)$/.exec(line))) {
      equal(m[1], family);
      families.set(family, m[2]);
    } else {
      m = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[\d.e+]+)$/.exec(line);
      ok(m, `no sample: ${line}`);
      const type = families.get(family);
      equal(type === 'histogram' ? m[1].replace(/_(bucket|sum|count)$/, '') : m[1], family, line);
      const id = `${m[1]}{${m[2] ?? ''}}`;
      ok(!samples.has(id), `twice: ${id}`);
      samples.set(id, Number(m[3]));
    }
  }
  for (const [id, v] of samples) { // buckets grow, the last one is the count
    const m = /^(\w+)_bucket\{(.*),le="\+Inf"\}$/.exec(id);
    if (!m) continue;
    equal(v, samples.get(`${m[1]}_count{${m[2]}}`), id);
    const all = [...samples].filter(([k]) => k.startsWith(`${m[1]}_bucket{${m[2]},le=`)).map(([, n]) => n);
    ok(all.every((n, i) => !i || n >= all[i - 1]), id);
  }
  return { families, samples };
}

const gw = await gateway(fake, { CHAT_RETRY_COUNT: '0' });
const sum = { in: 0, out: 0 };
for (let i = 0; i < 3; i++) {
  const { json } = await chat(gw, `Hello ${i}`);
  sum.in += json.usage.prompt_tokens;
  sum.out += json.usage.completion_tokens;
}
await fetch(`${gw.v1}/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: '{"messages":3}' });

await test('api 9.7: /metrics has the names, labels and values of what happened', async () => {
  const r = await get(gw, USER_KEY);
  const text = await r.text();
  equal([r.status, r.headers.get('content-type')], [200, 'text/plain; version=0.0.4; charset=utf-8'], text);
  const { families, samples } = parse(text);
  for (const [name, type] of Object.entries({ qwen2api_requests_total: 'counter', qwen2api_request_seconds: 'histogram', qwen2api_first_token_seconds: 'histogram',
    qwen2api_tokens_total: 'counter', qwen2api_inflight: 'gauge', qwen2api_accounts: 'gauge', qwen2api_upstream_errors_total: 'counter',
    qwen2api_upstream_retries_total: 'counter', qwen2api_tool_calls_total: 'counter', qwen2api_cache_hits_total: 'counter', qwen2api_cache_misses_total: 'counter',
    qwen2api_build_info: 'gauge', process_resident_memory_bytes: 'gauge', process_cpu_seconds_total: 'counter', process_open_fds: 'gauge',
    process_start_time_seconds: 'gauge', gen_ai_client_token_usage: 'histogram', gen_ai_server_request_duration_seconds: 'histogram',
    gen_ai_server_time_to_first_token_seconds: 'histogram' })) equal(families.get(name), type, name);
  const at = (re) => [...samples].filter(([k]) => re.test(k)).reduce((n, [, v]) => n + v, 0);
  equal(at(/^qwen2api_requests_total\{endpoint="\/v1\/chat\/completions",model="[^"]+",code="200"\}/), 3);
  equal(samples.get('qwen2api_requests_total{endpoint="/v1/chat/completions",model="unknown",code="400"}'), 1);
  equal(samples.get('qwen2api_request_seconds_count{endpoint="/v1/chat/completions"}'), 4);
  equal(samples.get('qwen2api_first_token_seconds_count{endpoint="/v1/chat/completions"}'), 3);
  equal([at(/^qwen2api_tokens_total\{direction="in"/), at(/^qwen2api_tokens_total\{direction="out"/)], [sum.in, sum.out]);
  equal(samples.get('qwen2api_inflight{endpoint="/v1/chat/completions"}'), 0);
  equal(samples.get('qwen2api_accounts{status="active"}'), 1);
  ok(at(/^process_resident_memory_bytes/) > 1e6 && at(/^process_open_fds/) > 5 && Math.abs(at(/^process_start_time/) - Date.now() / 1000) < 600, text);
  ok(!/example\.org|sk-test|@/.test(text), 'nobody named');
});
await test('api 9.7: names that clients make up break no line and are bounded', async () => {
  const wild = ['a"b', 'a\\b', 'ä世😀', 'a{b="c"} 1', '# HELP x', 'm'.repeat(200)];
  for (const model of wild) await chat(gw, 'Hello', { model });
  for (let i = 0; i < 12; i++) await Promise.all(Array.from({ length: 10 }, (_, k) => chat(gw, 'Hello', { model: `made-up-${i * 10 + k}` })));
  const text = await (await get(gw, KEY)).text(), { samples } = parse(text);
  const models = new Set([...samples.keys()].filter((k) => k.startsWith('qwen2api_requests_total{')).map((k) => /,model="((?:[^"\\]|\\.)*)"/.exec(k)[1]));
  ok(models.size <= 101 && !text.includes('m'.repeat(100)), `${models.size} models`);
  const calls = [...samples].filter(([k]) => k.startsWith('qwen2api_requests_total{')).reduce((n, [, v]) => n + v, 0);
  equal(calls, 4 + wild.length + 120, 'none is lost');
});
await test('api 11.4: METRICS_AUTH none, key, admin', async () => {
  equal([(await get(gw)).status, (await get(gw, USER_KEY)).status, (await get(gw, KEY)).status], [401, 200, 200]);
  const open = await gateway(fake, { METRICS_AUTH: 'none' }), admin = await gateway(fake, { METRICS_AUTH: 'admin' });
  equal((await get(open)).status, 200);
  equal([(await get(admin)).status, (await get(admin, USER_KEY)).status, (await get(admin, KEY)).status], [401, 403, 200]);
});
await done();
