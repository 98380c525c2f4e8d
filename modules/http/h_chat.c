#include "domain/chat.h"
#include "http/handlers.h"
#include "proto/openai.h"

/* The HTTP side of a chat's answer; runs on the client's pump. ctx is the app. */
static struct reply h_chat_reply(void *ctx, const struct chat_info *i, const struct config *config, struct strbuf *extra)
{
  struct app *a = ctx;
  if(i->model_id[0]) strbuf_fmt(extra, "x-qwen2api-model: %s\r\n", i->model_id);
  if(i->ignored.n) {
    strbuf_lit(extra, "x-qwen2api-ignored: ");
    strbuf_adds(extra, i->ignored);
    strbuf_lit(extra, "\r\n");
  }
  if(i->attempts > 1) strbuf_fmt(extra, "x-qwen2api-attempts: %d\r\n", i->attempts);
  if(i->folded) strbuf_fmt(extra, "x-qwen2api-folded: %s\r\n", i->folded);
  return (struct reply){ .status = 200, .config = config, .id = i->request_id, .type = S("application/json"), .length = -1,
                         .keep = i->keep, .wall_s = now_wall_s(a->now) };
}

static void h_chat_stream_head(void *ctx, const struct chat_info *i, struct strbuf *b)
{
  struct config *config = app_config(ctx);
  struct strbuf extra = STRBUF(4096);
  struct reply r = h_chat_reply(ctx, i, config, &extra);
  if(i->stream) {
    r.type = S("text/event-stream; charset=utf-8");
    strbuf_lit(&extra, "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n");
  }
  r.chunked = i->chunked;
  r.keep = i->keep && i->chunked;
  r.extra = strbuf_str(&extra);
  reply_head(&r, b);
  strbuf_free(&extra);
  config_unref(config);
}

static void h_chat_whole(void *ctx, const struct chat_info *i, struct str body, struct strbuf *b)
{
  struct config *config = app_config(ctx);
  struct strbuf extra = STRBUF(4096);
  struct reply r = h_chat_reply(ctx, i, config, &extra);
  r.length = (int64_t)body.n;
  r.extra = strbuf_str(&extra);
  reply_head(&r, b);
  strbuf_adds(b, body);
  strbuf_free(&extra);
  config_unref(config);
}

static void h_chat_error(void *ctx, const struct chat_info *i, const struct q_error *e, struct str body, struct strbuf *b)
{
  struct config *config = app_config(ctx);
  struct strbuf extra = STRBUF(4096);
  struct reply r = h_chat_reply(ctx, i, config, &extra);
  r.extra = strbuf_str(&extra);
  reply_error(&r, e, body, false, b);
  strbuf_free(&extra);
  config_unref(config);
}

static bool h_chat_media(const struct chat_req *r)
{
  for(int i = 0; i < r->msg_n; i++)
    for(int k = 0; k < r->msgs[i].part_n; k++)
      if(r->msgs[i].parts[k].media) return true;
  return false;
}

void h_chat(struct req *q)
{
  const struct json *body = req_json(q);
  struct chat_req r;
  struct models_pick pick;
  struct q_error e = Q_ERROR_NONE;
  struct chat *chat;
  const char *source;
  if(!body) return;
  enum q_status st = openai_in(q->arena, body, (int)q->config->n_max, &r, &e);
  if(!st && (r.tool_n || r.n > 1 || r.format != FORMAT_TEXT || r.kind > CHAT_SEARCH || h_chat_media(&r)))
    st = status_fail(&e, Q_UNSUPPORTED, NULL, "Tools, media, JSON formats and several choices are not supported.");
  if(st) {
    req_fail(q, &e);
    return;
  }
  struct models *m = app_models(q->app, &source);
  struct models_want w = { r.model, str_z(q->config->default_model), q->config->alias_from, q->config->alias_to, q->config->alias_n,
                           strcmp(source, "builtin") != 0 };
  st = models_pick(m, &w, &pick, &e);
  if(!st) {
    struct chat_order o = { .req = &r, .pick = &pick, .stream = &openai_stream, .whole = &openai_whole, .out_id_prefix = "chatcmpl-",
                            .shown_model = r.model.n ? r.model : str_z(pick.id),
                            .face = { h_chat_stream_head, h_chat_whole, h_chat_error, q->app }, .request_id = q->id,
                            .keep = client_keep_alive(q->client), .chunked = q->head->minor == 1 };
    st = chat_new(&chat, q->app, &o, &e);
  }
  models_unref(m);
  if(st) req_fail(q, &e);
  else client_adopt(q->client, chat_taker(chat));
}
