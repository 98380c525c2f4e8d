/* Whatever a client of any protocol sends and we take, becomes a body that is JSON and says the same whenever it is said. */
#include "proto/anthropic.h"
#include "proto/completions.h"
#include "proto/openai.h"
#include "proto/openai_req.h"
#include "proto/responses.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void fuzz_openai_req_one(struct arena *a, const struct chat_req *r)
{
  struct relay_req q;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf out = STRBUF(64 << 20);
  struct relay_req_to to = { .model = S("m") };
  enum q_status st = openai_req(r, r->n & 1, &q, &e);
  if(st && (e.st != st || !e.msg[0])) __builtin_trap();
  if(!st) {
    relay_req_write(&q, &to, &out);
    const struct json *body = json_parse(a, strbuf_str(&out), 600, NULL);
    if(!body || !json_is(json_get(body, "messages"), JSON_ARRAY) || q.prompt_tokens < 0) __builtin_trap();
    for json_each(m, json_get(body, "messages"))
      if(!json_str(json_get(m, "role")).n || json_absent(json_get(m, "content"))) __builtin_trap();
  }
  relay_req_free(&q);
  strbuf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(256 << 20);
  struct chat_req r;
  struct responses_want w;
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = json_parse(&a, str_of((const char *)p, n), 100, NULL);
  if(body && openai_in(&a, body, 4, &r, &e) == Q_OK) fuzz_openai_req_one(&a, &r);
  if(body && anthropic_in(&a, body, &r, &e) == Q_OK) fuzz_openai_req_one(&a, &r);
  if(body && responses_in(&a, body, &(struct responses_look){ NULL, 0, NULL, NULL }, &r, &w, NULL, &e) == Q_OK) fuzz_openai_req_one(&a, &r);
  if(body && completions_in(&a, body, 4, &r, &e) == Q_OK) fuzz_openai_req_one(&a, &r);
  arena_free(&a);
  return 0;
}
