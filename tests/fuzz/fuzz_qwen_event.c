/* Upstream events, one a line: whatever they hold, texts that are given out are UTF-8. */
#include "base/codec.h"
#include "proto/qwen_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct qwen_event q;
  struct delta d;
  struct trouble t;
  struct str rest = str_of((const char *)p, n);
  if(n == 0 || qwen_event_init(&q, (enum delta_mode)(p[0] % 3))) return 0;
  while(rest.n) {
    if(qwen_event_read(&q, str_cut(&rest, '\n'), &d, &t)) break;
    if(!codec_is_utf8(d.answer) || !codec_is_utf8(d.think)) __builtin_trap();
  }
  if(qwen_event_end(&q, &d) == Q_OK && !codec_is_utf8(d.answer)) __builtin_trap();
  if(qwen_event_whole(&q, str_of((const char *)p, n), &d, &t) == Q_OK && !(codec_is_utf8(d.answer) && codec_is_utf8(d.think))) __builtin_trap();
  qwen_event_free(&q);
  trouble_body(&t, 200, STR_NONE, str_of((const char *)p, n));
  if(strlen(t.words) > 300) __builtin_trap();
  return 0;
}
