/* Client bodies for an OpenAI-compatible upstream: refused in words, or written as JSON with what was asked for in it. */
#include "base/codec.h"
#include "proto/relay_req.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20);
  struct relay_req r;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf out = STRBUF(64 << 20);
  struct str model;
  bool base64;
  const struct json *body = json_parse(&a, str_of((const char *)p, n), 100, NULL);
  if(body && relay_req_read(body, &r, &e) == Q_OK) {
    struct relay_req_to to = { S("m"), n & 1, n & 2, false };
    relay_req_write(&r, &to, &out);
    const struct json *sent = json_parse(&a, strbuf_str(&out), 110, NULL), *first = json_path(sent, "messages.0");
    if(!sent || !json_true(json_get(sent, "stream")) || !json_is(json_get(sent, "messages"), JSON_ARRAY)) __builtin_trap();
    if(to.needs_system && !str_eq(json_str(json_get(first, "role")), S("system"))) __builtin_trap();
    if(json_get(sent, "n") || json_get(sent, "user") || json_get(sent, "seed")) __builtin_trap();
  } else if(body && (e.st == Q_OK || !e.msg[0])) {
    __builtin_trap();
  }
  if(body) relay_req_free(&r);
  strbuf_clear(&out);
  if(body && relay_req_embeddings(body, &out, &model, &base64, &e) == Q_OK && !json_parse(&a, strbuf_str(&out), 110, NULL)) __builtin_trap();
  strbuf_free(&out);
  arena_free(&a);
  return 0;
}
