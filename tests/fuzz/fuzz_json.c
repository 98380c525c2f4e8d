/* Any bytes: parsed or refused; what was parsed prints to text that parses to the same print. */
#include "proto/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20);
  struct strbuf one = STRBUF(64 << 20), two = STRBUF(64 << 20);
  struct json_error e;
  const struct json *r = json_parse(&a, str_of((const char *)p, n), 100, &e);
  if(r) {
    json_write(r, &one);
    const struct json *again = json_parse(&a, strbuf_str(&one), 100, &e);
    if(!again) __builtin_trap();
    json_write(again, &two);
    if(!str_eq(strbuf_str(&one), strbuf_str(&two))) __builtin_trap();
  } else if(e.offset > n) {
    __builtin_trap();
  }
  strbuf_free(&one);
  strbuf_free(&two);
  arena_free(&a);
  return 0;
}
