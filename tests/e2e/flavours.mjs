// The cross-checks of api 13: one scripted upstream, every API flavour by its real client, streamed and not: text and markup cut at
// every place, four-byte letters at the borders, an upstream that ends at every event, a client that leaves at every stage.
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { test, equal, ok, done, fakeUpstream, gateway, waitFor, chat, KEY } from './lib.mjs';

const MODEL = 'qwen3.7-plus', THINK = `${MODEL}-thinking`;
const fake = await fakeUpstream({ args: ['--accounts', '4'] });
const b64 = (s) => Buffer.from(s).toString('base64');
const call = (name, args) => `<q2a_call>\n${JSON.stringify({ name, arguments: args })}\n</q2a_call>`;
const parameters = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
const user = (content) => [{ role: 'user', content }];

// Each flavour: { think, text, calls: [[name, arguments]], end } of a whole and of a streamed answer; and a stream to leave.
function flavours(g) {
  const o = new OpenAI({ apiKey: KEY, baseURL: g.v1, maxRetries: 0 }), a = new Anthropic({ apiKey: KEY, baseURL: g.base, maxRetries: 0 });
  const chatBody = (content) => ({ model: THINK, messages: user(content), tools: [{ type: 'function', function: { name: 'write', parameters } }] });
  const responsesBody = (input) => ({ model: THINK, input, tools: [{ type: 'function', name: 'write', parameters }] });
  const messagesBody = (content) => ({ model: THINK, max_tokens: 8000, messages: user(content), thinking: { type: 'enabled', budget_tokens: 2000 }, tools: [{ name: 'write', input_schema: parameters }] });
  const ofChat = (r, c = r.choices[0]) => ({ think: c.message.reasoning_content ?? '', text: c.message.content ?? '', calls: (c.message.tool_calls ?? []).map((t) => [t.function.name, JSON.parse(t.function.arguments)]), end: c.finish_reason });
  const ofResponse = (r, items = (t) => r.output.filter((x) => x.type === t)) => ({ think: items('reasoning').map((x) => x.summary[0].text).join(''), text: items('message').map((x) => x.content[0].text).join(''),
    calls: items('function_call').map((x) => [x.name, JSON.parse(x.arguments)]), end: r.status });
  const ofMessage = (r, blocks = (t) => r.content.filter((x) => x.type === t)) => ({ think: blocks('thinking').map((x) => x.thinking).join(''), text: blocks('text').map((x) => x.text).join(''),
    calls: blocks('tool_use').map((x) => [x.name, x.input]), end: r.stop_reason });
  return {
    'chat completions': {
      whole: async (p) => ofChat(await o.chat.completions.create(chatBody(p))),
      streamed: async (p) => {
        let think = '';
        const s = o.chat.completions.stream(chatBody(p));
        s.on('chunk', (c) => { think += c.choices[0]?.delta.reasoning_content ?? ''; });
        return { ...ofChat(await s.finalChatCompletion()), think };
      },
      // what: 'think', 'text' or 'call': the first piece of it was seen
      leave: async (p, what, signal) => {
        for await (const c of await o.chat.completions.create({ ...chatBody(p), stream: true }, { signal })) {
          const d = c.choices[0]?.delta ?? {};
          if (what === 'think' ? d.reasoning_content : what === 'text' ? d.content : d.tool_calls) return true;
        }
      },
    },
    Responses: {
      whole: async (p) => ofResponse(await o.responses.create(responsesBody(p))),
      streamed: async (p) => {
        let end;
        for await (const e of await o.responses.create({ ...responsesBody(p), stream: true })) if (/^response\.(completed|incomplete|failed)$/.test(e.type)) end = e.response;
        if (end.status === 'failed') throw new OpenAI.APIError(undefined, end.error, end.error.message, new Headers());
        return ofResponse(end);
      },
      leave: async (p, what, signal) => {
        const type = { think: 'response.reasoning_summary_text.delta', text: 'response.output_text.delta', call: 'response.function_call_arguments.delta' }[what];
        for await (const e of await o.responses.create({ ...responsesBody(p), stream: true }, { signal })) if (e.type === type) return true;
      },
    },
    Messages: {
      whole: async (p) => ofMessage(await a.messages.create(messagesBody(p))),
      streamed: async (p) => ofMessage(await a.messages.stream(messagesBody(p)).finalMessage()),
      leave: async (p, what, signal) => {
        const type = { think: 'thinking_delta', text: 'text_delta', call: 'input_json_delta' }[what];
        for await (const e of a.messages.stream(messagesBody(p), { signal })) if (e.type === 'content_block_delta' && e.delta.type === type) return true;
      },
    },
  };
}
async function fresh(env, fn) {
  await fake.reset();
  const g = await gateway(fake, { CHAT_RETRY_COUNT: '0', MAX_INFLIGHT_PER_ACCOUNT: '20', ...env });
  try { return await fn(flavours(g), g); } finally { await g.stop(); }
}
const each = (all, fn) => Promise.all(Object.entries(all).flatMap(([name, f]) => ['whole', 'streamed'].map((way) => fn(f[way], `${name}, ${way}`, f, way))));

const thought = 'Überlegen 🤔🏽 "…"', text = 'Grüße 世界 👩‍🚀 <b> a < b, <q2a> \\u00e9 "x"', args = { text: 'l1\nl2 </q2a_call> 🚀 \\ "q"' };
await test('api 13: text, thoughts and markup cut at every place: the same by every flavour, and no markup leaks', () => fresh({}, async (all) => {
  const said = `${text}\n\n${call('write', args)}\n${call('write', { text: '2' })}`;
  for (let step = 1; step <= Buffer.byteLength(said); step += step < 60 ? 1 : 17)
    await each(all, async (go, what) => {
      const r = await go(`[[scenario:say b64=${b64(said)} think_b64=${b64(thought)} step=${step} think_step=${step}]]`);
      equal([r.think, r.text, r.calls], [thought, text, [['write', args], ['write', { text: '2' }]]], `${what}, ${step} bytes a delta`);
      ok(['tool_calls', 'completed', 'tool_use'].includes(r.end), `${what}: ${r.end}`);
    });
}));
await test('api 13: four-byte letters cut by the connection at every byte', () => fresh({}, async (all) => {
  for (const s of ['split1', 'split7', 'split_crlf', 'split_char_delta', 'gzip', 'crlf']) {
    const want = (await all['chat completions'].whole(`[[scenario:${s}]]`)).text;
    ok(want.length > 5 && !want.includes('\ufffd'), want);
    await each(all, async (go, what) => equal((await go(`[[scenario:${s}]]`)).text, want, `${what}, ${s}`));
  }
}));
for (const how of ['drop_after', 'fin_after'])
  await test(`D3 api 13: an upstream that ends at every event (${how}): an error of the client's own class, or the whole answer`, () => fresh({ MAX_INFLIGHT_PER_ACCOUNT: '200' }, async (all) => {
    const said = `Some words first. ${call('write', args)}`, base = `say b64=${b64(said)} think_b64=${b64(thought)} step=12 think_step=8`, whole = await all['chat completions'].whole(`[[scenario:${base}]]`);
    let failed = 0, complete = 0;
    for (let n = 0; n <= 18; n++)
      await each(all, async (go, what, f, way) => {
        const r = await go(`[[scenario:${base} ${how}=${n}]]`).catch((e) => e);
        if (r instanceof Error) {
          failed++;
          ok(r instanceof OpenAI.APIError || r instanceof Anthropic.APIError, `${what} after ${n}: ${r}`);
          ok(way === 'streamed' || r.status === 502 || r.status === 503, `${what} after ${n}: ${r.status}`);
        } else {
          complete++;
          equal([r.think, r.text, r.calls], [whole.think, whole.text, whole.calls], `${what} after ${n}`);
        }
      });
    ok(failed > 40 && complete > 6, `${failed} failed, ${complete} complete`);
  }));
await test('api 0.12 13: a client that leaves at any stage frees the account at once', () => fresh({ MAX_INFLIGHT_PER_ACCOUNT: '1', QUEUE_TIMEOUT: '10', SSE_EARLY_HEADERS_MS: '100' }, async (all, g) => {
  const slow = `[[scenario:say b64=${b64(`Some words first. ${call('write', args)} and more words ${'w '.repeat(300)}`)} think_b64=${b64(thought)} step=2 think_step=2 ms=20]]`;
  for (const [name, f] of Object.entries(all))
    for (const stage of ['nothing', 'think', 'text', 'call']) {
      const a = new AbortController();
      if (stage === 'nothing') {
        const left = f.leave('[[scenario:stall]]', 'text', a.signal).catch(() => true);
        await waitFor(async () => (await fake.stats()).running === 1, 5000, `${name}: it runs`);
        a.abort();
        await left;
      } else {
        ok(await f.leave(slow, stage, a.signal), `${name}: ${stage} was seen`);
        a.abort();
      }
      const t = Date.now();
      equal((await chat(g, 'hello')).status, 200, `${name} ${stage}`);
      ok(Date.now() - t < 4000, `${name} ${stage}: the account was free after ${Date.now() - t} ms`);
      await waitFor(async () => (await fake.stats()).running === 0, 3000, `${name} ${stage}: nothing runs`);
    }
}));
await done();
