/* Whatever an upstream answers, told in every protocol: collected answers are JSON, streams are lines of events with JSON, cut anywhere
 * the same bytes come out, and trouble has a name. The first byte chooses the protocol and what was asked for. */
#include "proto/anthropic.h"
#include "proto/completions.h"
#include "proto/openai.h"
#include "proto/responses.h"
#include "proto/retell.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static enum q_status fuzz_retell_feed(unsigned how, struct str in, size_t step, struct strbuf *out)
{
  static const struct out_ops *const stream[] = { &completions_stream, &anthropic_stream, &responses_stream, &openai_stream };
  static const struct out_ops *const whole[] = { &completions_whole, &anthropic_whole, &responses_whole, &openai_whole };
  struct strbuf echo = STRBUF(10);
  struct chat_tool tools[] = { { .name = S("f") }, { .name = S("g"), .custom = (how & 3) != 1 } };
  struct chat_req r = { .n = how & 32 ? 2 : 1, .stream = how & 4, .stop = { S("END"), S("ab") }, .stop_n = how & 8 ? 2 : 0, .tools = tools,
                        .tool_n = how & 16 ? 2 : 0, .one_call = how & 64 };
  struct relay_err e;
  strbuf_lit(&echo, "-");
  struct retell_set set = { &r, stream[how & 3], whole[how & 3], "x_", S("mine"), how & 128 ? THINK_OUT_NONE : THINK_OUT_FIELD, 7, &echo };
  struct retell *t = retell_new(&set);
  enum q_status st = t ? retell_begin(t, "0123456789abcdefghijABCD", 1) : Q_NOMEM;
  if(!st) st = Q_AGAIN;
  for(size_t at = 0; at < in.n && st == Q_AGAIN; at += step) st = retell_push(t, str_sub(in, at, step), out, &e);
  if(st == Q_AGAIN || st == Q_EOF) {
    size_t before = out->n;
    st = retell_end(t, 2, out, &e);
    if(st) out->n = before;
    if(!st && (retell_usage(t)->prompt < 0 || retell_usage(t)->completion < 0)) __builtin_trap();
  }
  if(st && e.st != st) __builtin_trap();
  strbuf_free(&echo);
  retell_destroy(t);
  return st;
}

static void fuzz_retell_events(struct arena *a, struct str out)
{
  while(out.n) {
    struct str line = str_cut(&out, '\n');
    if(str_starts(line, S("event: "))) line = str_cut(&out, '\n');
    if(str_cut(&out, '\n').n || !str_starts(line, S("data: "))) __builtin_trap();
    line = str_sub(line, 6, line.n);
    if(!str_eq(line, S("[DONE]")) && !json_parse(a, line, 80, NULL)) __builtin_trap();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  unsigned how = n ? p[0] : 0;
  struct str in = str_sub(str_of((const char *)p, n), 1, n);
  struct strbuf whole = STRBUF(64 << 20), bytes = STRBUF(64 << 20);
  struct arena a = ARENA(256 << 20);
  enum q_status st = fuzz_retell_feed(how, in, n ? n : 1, &whole);
  if(fuzz_retell_feed(how, in, 1, &bytes) != st || !str_eq(strbuf_str(&whole), strbuf_str(&bytes))) __builtin_trap();
  if(how & 4) fuzz_retell_events(&a, strbuf_str(&whole));
  else if(st ? whole.n > 0 : !json_parse(&a, strbuf_str(&whole), 80, NULL)) __builtin_trap();
  arena_free(&a);
  strbuf_free(&whole);
  strbuf_free(&bytes);
  return 0;
}
