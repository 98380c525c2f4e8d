/* Any bytes: repaired or refused; what was made of them is JSON, and what was JSON stays what it is. */
#include "proto/json_answer.h"
#include "proto/json_fix.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20);
  struct strbuf one = STRBUF(64 << 20), two = STRBUF(64 << 20);
  struct str text = str_of((const char *)p, n), found = json_fix_find(text);
  struct schema_fault fault;
  const struct json *v, *clean = json_parse(&a, text, JSON_FIX_DEPTH, NULL);
  bool repaired;
  if(found.n > n || (found.n && (found.p < text.p || found.p + found.n > text.p + n))) __builtin_trap();
  enum q_status st = json_fix(&a, text, &v, &repaired);
  if((st == Q_OK) != (v != NULL) || (st != Q_OK && st != Q_BAD_JSON) || (clean && (st || repaired))) __builtin_trap();
  if(v) {
    json_write(v, &one);
    const struct json *again = json_parse(&a, strbuf_str(&one), JSON_FIX_DEPTH, NULL);
    if(!again || one.n > 6 * n + 256) __builtin_trap();
    json_write(clean ? clean : again, &two);
    if(!str_eq(strbuf_str(&one), strbuf_str(&two))) __builtin_trap();
  }
  strbuf_clear(&one);
  st = json_answer(&a, text, FORMAT_JSON, NULL, &one, &fault);
  const struct json *answer = st == Q_OK || st == Q_BAD_VALUE ? json_parse(&a, strbuf_str(&one), JSON_FIX_DEPTH, NULL) : NULL;
  if((st == Q_OK && !json_is(answer, JSON_OBJECT)) || (st == Q_BAD_VALUE && !answer) || (st == Q_BAD_JSON && one.n)) __builtin_trap();
  strbuf_free(&one);
  strbuf_free(&two);
  arena_free(&a);
  return 0;
}
