/* Stop strings from the first bytes, text from the rest, cut anywhere: the visible text never holds a stop string. */
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct limits l;
  struct str visible, text;
  struct strbuf out = STRBUF(1 << 20);
  if(n < 6) return 0;
  struct str stops[2] = { str_of((const char *)p + 1, 1 + p[0] % 3), str_of((const char *)p + 4, 2) };
  if(limits_init(&l, stops, 2, 0)) return 0;
  text = str_of((const char *)p + 6, n - 6);
  size_t step = 1 + p[0] / 16, at = 0;
  enum limits_end end = LIMITS_GO_ON;
  for(; at < text.n && end == LIMITS_GO_ON; at += step) {
    end = limits_push(&l, str_sub(text, at, step), &visible);
    strbuf_adds(&out, visible);
  }
  if(end == LIMITS_GO_ON) {
    limits_rest(&l, &visible);
    strbuf_adds(&out, visible);
    if(!str_eq(strbuf_str(&out), text)) __builtin_trap();
  }
  for(int i = 0; i < 2; i++)
    if(str_find(strbuf_str(&out), stops[i]) >= 0) __builtin_trap();
  strbuf_free(&out);
  limits_free(&l);
  return 0;
}
