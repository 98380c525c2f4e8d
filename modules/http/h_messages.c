#include "http/h_cli.h"
#include "http/h_count.h"
#include "http/h_start.h"
#include "http/handlers.h"
#include "proto/anthropic.h"

void h_messages(struct req *q)
{
  const struct json *body = req_json(q);
  struct strbuf id = STRBUF(160);
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  if(!body) return;
  if(anthropic_in(q->arena, body, &r, &e)) {
    req_fail(q, &e);
    return;
  }
  strbuf_addz(&id, q->id);
  struct h_way way = { .stream = &anthropic_stream, .whole = &anthropic_whole, .id_prefix = "msg_", .anthropic = true, .echo = &id,
                       .fallback = str_z(q->config->anthropic_default_model) };
  h_start(q, &r, &way);
}

/* ---- count_tokens: what the same request would cost, without the upstream ---- */

static enum q_status h_messages_pick(struct req *q, const struct chat_req *r, struct models_pick *pick, struct q_error *e)
{
  const char *source;
  struct models *m = app_models(q->app, &source);
  const char *own = q->config->anthropic_default_model;
  struct models_want w = { r->model, str_z(own[0] ? own : q->config->default_model), q->config->alias_from, q->config->alias_to,
                           q->config->alias_n, strcmp(source, "builtin") != 0 };
  enum q_status st = models_pick_claude(m, &w, pick, e);
  models_unref(m);
  struct str key = st == Q_NO_MODEL ? h_cli_key_model(q, r->model, str_z(own), true) : STR_NONE;
  if(!key.n) return st;
  str_copy(pick->id, sizeof pick->id, key);
  return Q_OK;
}

void h_count_tokens(struct req *q)
{
  const struct json *body = req_json(q);
  struct strbuf answer = STRBUF(128);
  struct strbuf extra = STRBUF(CHAT_IGNORED_MAX + 300);
  struct models_pick pick;
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  int64_t tokens = 0;
  if(!body) return;
  enum q_status st = anthropic_in(q->arena, body, &r, &e);
  if(!st) st = h_messages_pick(q, &r, &pick, &e);
  if(!st) st = h_count_tokens_of(q, &r, str_z(pick.id), "messages", &tokens, &e);
  if(st) {
    req_fail(q, &e);
  } else {
    strbuf_fmt(&answer, "{\"input_tokens\":%lld}", (long long)tokens);
    strbuf_fmt(&extra, "x-qwen2api-model: %s\r\n", pick.id);
    if(r.ignored.n) strbuf_fmt(&extra, "x-qwen2api-ignored: %.*s\r\n", STR_F(r.ignored));
    req_answer(q, 200, S("application/json"), strbuf_str(&extra), strbuf_str(&answer));
  }
  strbuf_free(&extra);
  strbuf_free(&answer);
}
