/* Any bytes: walked through part by part they are JSON exactly when they are JSON as a whole. */
#include "proto/json_parts.h"

enum { FUZZ_DEPTH = 20 };

static bool fuzz_walk(struct arena *a, struct str text, struct json_error *e)
{
  struct json_parts p = json_parts_of(text, 0, text.n);
  struct json_part one;
  while(json_parts_next(&p, &one, e)) {
    if(one.text.p < text.p || one.text.p + one.text.n > text.p + text.n || one.at != (size_t)(one.text.p - text.p)) __builtin_trap();
    if(one.key.n && !json_parse(a, one.key, 2, e)) return false;
    if(!json_parse(a, one.text, FUZZ_DEPTH - 1, e)) return false;
  }
  return !e->expected;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20), b = ARENA(64 << 20);
  struct json_error e = { .expected = NULL };
  struct str text = str_of((const char *)p, n);
  const struct json *whole = json_parse(&a, text, FUZZ_DEPTH, &e);
  bool walked = fuzz_walk(&b, text, &e);
  bool large = json_is(whole, JSON_ARRAY) || json_is(whole, JSON_OBJECT);
  if(walked != large) __builtin_trap();
  if(!walked && (e.offset > n || !e.expected)) __builtin_trap();
  arena_free(&a);
  arena_free(&b);
  return 0;
}
