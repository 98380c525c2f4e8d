/* The first byte says where the stream is cut in two; the events must be those of the uncut stream. */
#include "proto/sse.h"

static void run(const char *p, size_t n, size_t cut, struct strbuf *out)
{
  struct sse s;
  size_t ends[2] = { cut, n }, at = 0;
  struct str data;
  if(sse_init(&s, 64)) __builtin_trap();
  for(int i = 0; i < 2; i++)
    while(at <= ends[i]) {
      size_t used = 0;
      enum q_status st = sse_push(&s, p + at, ends[i] - at, &used, &data);
      at += used;
      if(st == Q_AGAIN) break;
      if(st == Q_OK) strbuf_adds(out, data);
      strbuf_addc(out, st == Q_OK ? '|' : '!');
    }
  enum q_status st = sse_finish(&s, &data);
  if(st == Q_OK) strbuf_adds(out, data);
  if(st != Q_AGAIN) strbuf_addc(out, st == Q_OK ? '|' : '!');
  sse_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct strbuf whole = STRBUF(1 << 20), cut = STRBUF(1 << 20);
  if(n < 1) return 0;
  size_t at = n > 1 ? p[0] % n : 0;
  run((const char *)p + 1, n - 1, 0, &whole);
  run((const char *)p + 1, n - 1, at > n - 1 ? n - 1 : at, &cut);
  if(!str_eq(strbuf_str(&whole), strbuf_str(&cut))) __builtin_trap();
  strbuf_free(&whole);
  strbuf_free(&cut);
  return 0;
}
