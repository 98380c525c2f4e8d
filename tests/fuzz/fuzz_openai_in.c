/* Client bodies: read or refused with a status and words; what is read can be folded. */
#include "proto/openai.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20);
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf out = STRBUF(64 << 20);
  const struct json *body = json_parse(&a, str_of((const char *)p, n), 100, NULL);
  if(body && openai_in(&a, body, &r, &e) == Q_OK) chat_req_fold(&r, &out);
  else if(body && (e.st == Q_OK || !e.msg[0])) __builtin_trap();
  strbuf_free(&out);
  arena_free(&a);
  return 0;
}
