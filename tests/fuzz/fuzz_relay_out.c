/* Answers of an OpenAI-compatible upstream, whatever they hold: every event for the client is one line of JSON under its model's
 * name, one role first, one [DONE] last; cut anywhere the result is the same. */
#include "base/codec.h"
#include "proto/relay_out.h"

static enum q_status fuzz_relay_feed(struct str in, size_t step, bool stream, struct strbuf *out)
{
  struct relay_out o;
  struct relay_out_set set = { .model = S("mine"), .id = "own", .created_s = 1, .stream = stream, .usage = (enum usage_wish)(in.n % 3) };
  struct relay_err e;
  enum q_status st = relay_out_init(&o, &set);
  for(size_t at = 0; !st || st == Q_AGAIN;) {
    if(at >= in.n) break;
    st = relay_out_push(&o, str_sub(in, at, step), out, &e);
    at += step;
  }
  if(!st || st == Q_AGAIN || st == Q_EOF) st = relay_out_end(&o, out, &e);
  if(st && st != e.st) __builtin_trap();
  relay_out_free(&o);
  return st;
}

static void fuzz_relay_events(struct str out)
{
  struct arena a = ARENA(256 << 20);
  bool first = true;
  while(out.n) {
    struct str line = str_cut(&out, '\n');
    if(str_cut(&out, '\n').n || !str_starts(line, S("data: "))) __builtin_trap();
    line = str_sub(line, 6, line.n);
    if(str_eq(line, S("[DONE]"))) {
      if(out.n) __builtin_trap();
      break;
    }
    const struct json *j = json_parse(&a, line, 80, NULL);
    if(!j || !str_eq(json_str(json_get(j, "model")), S("mine"))) __builtin_trap();
    if(first && !json_is(json_path(j, "choices.0.delta.role"), JSON_STRING)) __builtin_trap();
    first = false;
  }
  arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct str in = str_of((const char *)p, n);
  struct strbuf whole = STRBUF(64 << 20), bytes = STRBUF(64 << 20), one = STRBUF(64 << 20);
  struct relay_err e;
  struct usage u;
  struct arena a = ARENA(64 << 20);
  enum q_status st = fuzz_relay_feed(in, n ? n : 1, true, &whole);
  if(fuzz_relay_feed(in, 1, true, &bytes) != st || !str_eq(strbuf_str(&whole), strbuf_str(&bytes))) __builtin_trap();
  fuzz_relay_events(strbuf_str(&whole));
  if(fuzz_relay_feed(in, 3, false, &one) == Q_OK && !json_parse(&a, strbuf_str(&one), 80, NULL)) __builtin_trap();
  relay_err_body(&e, n & 1 ? 400 : 200, STR_NONE, in);
  if(strlen(e.words) > 303) __builtin_trap();
  strbuf_clear(&one);
  if(relay_out_embeddings(in, S("m"), n & 1, &u, &one) == Q_OK && !json_parse(&a, strbuf_str(&one), 80, NULL)) __builtin_trap();
  arena_free(&a);
  strbuf_free(&whole);
  strbuf_free(&bytes);
  strbuf_free(&one);
  return 0;
}
