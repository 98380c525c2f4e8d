#include <stdio.h>

#include "http/handlers.h"
#include "http/h_cli.h"

static uint64_t h_models_hash(struct str s)
{
  uint64_t h = 1469598103934665603u;
  for(size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
  return h;
}

void h_models(struct req *q)
{
  const char *source;
  struct models *m = app_models(q->app, &source);
  struct strbuf body = STRBUF(16 * 1024 * 1024);
  char extra[128], etag[24];
  if(q->anthropic) models_write_anthropic(m, q->config->simple_model_map, &body);
  else models_write(m, q->config->simple_model_map, &body);
  h_cli_add_models(q->app, m, q->anthropic, &body);
  snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)h_models_hash(strbuf_str(&body)));
  snprintf(extra, sizeof extra, "ETag: %s\r\nx-qwen2api-models: %s\r\n", etag, source);
  bool same = str_find(http1_find(&q->head->headers, S("if-none-match")), str_z(etag)) >= 0;
  if(body.err) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else if(same) req_answer(q, 304, STR_NONE, str_z(extra), STR_NONE);
  else req_answer(q, 200, S("application/json"), str_z(extra), strbuf_str(&body));
  strbuf_free(&body);
  models_unref(m);
}

void h_model(struct req *q)
{
  const char *source;
  struct models *m = app_models(q->app, &source);
  struct models_want w = { q->rest, STR_NONE, q->config->alias_from, q->config->alias_to, q->config->alias_n, true };
  struct models_pick p;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf body = STRBUF(64 * 1024);
  enum q_status st = models_pick(m, &w, &p, &e);
  if(st == Q_BAD_VARIANT) status_fail(&e, Q_NO_MODEL, "model", "The model '%.*s' does not exist.", STR_F(str_sub(q->rest, 0, 80)));
  if(st && h_cli_one_model(q->app, m, q->rest, q->anthropic, &body)) {
    req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&body));
  } else if(st) {
    req_fail(q, &e);
  } else {
    if(q->anthropic) models_write_anthropic_one(m, &p, &body);
    else models_write_one(m, &p, &body);
    req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&body));
  }
  strbuf_free(&body);
  models_unref(m);
}
