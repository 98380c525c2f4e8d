/* Answers of an OpenAI-compatible upstream, whatever they hold: cut anywhere they mean the same; numbers are never below 0, calls
 * within their bounds, trouble has a name. */
#include "proto/openai_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static enum q_status fuzz_openai_event_feed(struct str in, size_t step, struct strbuf *out)
{
  struct openai_event o;
  struct openai_piece p;
  struct relay_err e;
  enum q_status st = openai_event_init(&o);
  if(!st) st = Q_AGAIN;
  for(size_t at = 0; at < in.n && st == Q_AGAIN; at += step) {
    struct str rest = str_sub(in, at, step);
    while((st = openai_event_push(&o, &rest, &p, &e)) == Q_OK) {
      if(!p.think.n && !p.answer.n) __builtin_trap();
      strbuf_fmt(out, "%d:", p.choice);
      strbuf_json(out, p.think);
      strbuf_json(out, p.answer);
    }
  }
  if(st == Q_AGAIN || st == Q_EOF) {
    while((st = openai_event_finish(&o, &p, &e)) == Q_OK) strbuf_json(out, p.answer);
    if(st == Q_EOF) st = Q_OK;
  }
  if(st && st != e.st) __builtin_trap();
  if(o.call_n > OPENAI_EVENT_CALLS || o.usage.prompt < 0 || o.usage.completion < 0 || o.usage.reasoning < 0 || o.usage.cached < 0) __builtin_trap();
  for(int i = 0; i < o.call_n; i++) strbuf_json(out, strbuf_str(&o.calls[i].args));
  for(int i = 0; i < OPENAI_EVENT_CHOICES; i++) strbuf_fmt(out, "%d%d%d", o.ends[i].seen, o.ends[i].finished, o.ends[i].why);
  openai_event_free(&o);
  return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct str in = str_of((const char *)p, n);
  struct strbuf whole = STRBUF(64 << 20), bytes = STRBUF(64 << 20);
  struct openai_event o;
  struct openai_piece piece;
  struct relay_err e;
  enum q_status st = fuzz_openai_event_feed(in, n ? n : 1, &whole);
  if(fuzz_openai_event_feed(in, 1, &bytes) != st || !str_eq(strbuf_str(&whole), strbuf_str(&bytes))) __builtin_trap();
  if(openai_event_init(&o) == Q_OK && openai_event_whole(&o, in, &e) == Q_OK)
    while(openai_event_finish(&o, &piece, &e) == Q_OK)
      if(!piece.think.n && !piece.answer.n) __builtin_trap();
  openai_event_free(&o);
  strbuf_free(&whole);
  strbuf_free(&bytes);
  return 0;
}
