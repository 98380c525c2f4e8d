/* A schema in the first line, a value in the rest: checked, fitted and described without harm; what was fitted is JSON. */
#include "proto/fit.h"
#include "proto/schema.h"
#include "proto/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20);
  struct strbuf out = STRBUF(1 << 20);
  struct str rest = str_of((const char *)p, n), line = str_cut(&rest, '\n');
  const struct json *schema = json_parse(&a, line, 60, NULL), *value = json_parse(&a, rest, 60, NULL);
  struct schema_fault fault;
  if(schema && value) {
    bool fits = schema_check(schema, value, &fault);
    if(fits != schema_check(schema, value, NULL) || fits == (fault.words[0] != 0)) __builtin_trap();
    if(!memchr(fault.pointer, 0, sizeof fault.pointer) || !memchr(fault.words, 0, sizeof fault.words)) __builtin_trap();
    fit_value(schema, value, &a, &out);
    if(!out.err && !json_parse(&a, strbuf_str(&out), 200, NULL)) __builtin_trap();
  }
  if(schema) {
    static const struct signature full = { 6, 300, false }, bare = { 1, 0, true };
    strbuf_clear(&out);
    signature_write(&full, schema, &out);
    strbuf_clear(&out);
    signature_write(&bare, schema, &out);
    strbuf_clear(&out);
    fit_raw(schema, S("a"), rest, &out);
    if(!out.err && !json_parse(&a, strbuf_str(&out), 200, NULL)) __builtin_trap();
  }
  strbuf_free(&out);
  arena_free(&a);
  return 0;
}
