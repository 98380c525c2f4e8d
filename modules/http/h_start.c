#include "http/h_start.h"
#include "domain/relay.h"

/* The HTTP side of a chat's answer; runs on the client's pump. ctx is the app. */
static struct reply h_start_reply(void *ctx, const struct chat_info *i, bool anthropic, const struct config *config, struct strbuf *extra)
{
  struct app *a = ctx;
  if(i->model_id[0]) strbuf_fmt(extra, "x-qwen2api-model: %s\r\n", i->model_id);
  if(i->ignored.n) {
    strbuf_lit(extra, "x-qwen2api-ignored: ");
    strbuf_adds(extra, i->ignored);
    strbuf_lit(extra, "\r\n");
  }
  if(i->route) strbuf_fmt(extra, "x-qwen2api-route: %s\r\n", i->route);
  if(i->attempts > 1) strbuf_fmt(extra, "x-qwen2api-attempts: %d\r\n", i->attempts);
  if(i->folded) strbuf_fmt(extra, "x-qwen2api-folded: %s\r\n", i->folded);
  return (struct reply){ .status = 200, .config = config, .id = i->request_id, .type = S("application/json"), .length = -1,
                         .keep = i->keep, .anthropic = anthropic, .wall_s = now_wall_s(a->now) };
}

static void h_start_stream_head_of(void *ctx, const struct chat_info *i, bool anthropic, struct strbuf *b)
{
  struct config *config = app_config(ctx);
  struct strbuf extra = STRBUF(4096);
  struct reply r = h_start_reply(ctx, i, anthropic, config, &extra);
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

static void h_start_whole_of(void *ctx, const struct chat_info *i, bool anthropic, struct str body, struct strbuf *b)
{
  struct config *config = app_config(ctx);
  struct strbuf extra = STRBUF(4096);
  struct reply r = h_start_reply(ctx, i, anthropic, config, &extra);
  r.length = (int64_t)body.n;
  r.extra = strbuf_str(&extra);
  reply_head(&r, b);
  strbuf_adds(b, body);
  strbuf_free(&extra);
  config_unref(config);
}

static void h_start_error_of(void *ctx, const struct chat_info *i, bool anthropic, const struct q_error *e, struct str body, struct strbuf *b)
{
  struct config *config = app_config(ctx);
  struct strbuf extra = STRBUF(4096);
  struct reply r = h_start_reply(ctx, i, anthropic, config, &extra);
  r.extra = strbuf_str(&extra);
  reply_error(&r, e, body, false, b);
  strbuf_free(&extra);
  config_unref(config);
}

/* What a chat calls: it does not know which protocol's headers the answer has. */
static void h_start_stream_head(void *ctx, const struct chat_info *i, struct strbuf *b) { h_start_stream_head_of(ctx, i, false, b); }
static void h_start_stream_head_a(void *ctx, const struct chat_info *i, struct strbuf *b) { h_start_stream_head_of(ctx, i, true, b); }
static void h_start_whole(void *ctx, const struct chat_info *i, struct str body, struct strbuf *b) { h_start_whole_of(ctx, i, false, body, b); }
static void h_start_whole_a(void *ctx, const struct chat_info *i, struct str body, struct strbuf *b) { h_start_whole_of(ctx, i, true, body, b); }
static void h_start_error(void *ctx, const struct chat_info *i, const struct q_error *e, struct str body, struct strbuf *b)
{
  h_start_error_of(ctx, i, false, e, body, b);
}
static void h_start_error_a(void *ctx, const struct chat_info *i, const struct q_error *e, struct str body, struct strbuf *b)
{
  h_start_error_of(ctx, i, true, e, body, b);
}
static struct chat_face h_start_face(struct app *a, bool anthropic)
{
  return anthropic ? (struct chat_face){ h_start_stream_head_a, h_start_whole_a, h_start_error_a, a }
                   : (struct chat_face){ h_start_stream_head, h_start_whole, h_start_error, a };
}

/* What is asked for: chat_type wins over the suffix of the model's name. */
static enum chat_kind h_start_kind(const struct chat_req *r, unsigned variant)
{
  if(r->kind != CHAT_UNSET && r->kind != CHAT_T2T) return r->kind;
  if(variant & MODEL_VIDEO) return CHAT_T2V;
  if(variant & MODEL_IMAGE_EDIT) return CHAT_IMAGE_EDIT;
  if(variant & MODEL_IMAGE) return CHAT_T2I;
  return r->search || (variant & MODEL_SEARCH) ? CHAT_SEARCH : CHAT_T2T;
}

static unsigned h_start_need(enum chat_kind kind)
{
  return kind == CHAT_T2V ? MODEL_VIDEO : kind == CHAT_IMAGE_EDIT ? MODEL_IMAGE_EDIT : kind == CHAT_T2I ? MODEL_IMAGE : 0;
}

/* A family's name, or none at all, leaves the choice to us: a model that can do what is asked for. */
static enum q_status h_start_able(const struct models *m, const struct chat_req *r, enum chat_kind kind, struct models_pick *pick, struct q_error *e)
{
  unsigned need = h_start_need(kind);
  if(!need || !pick->model || models_can(pick->model, need)) return Q_OK;
  const struct model *able = models_first(m, need);
  bool named = r->model.n && !str_ends(r->model, S("-latest"));
  if(named || !able) return models_need(pick, need, e);
  pick->model = able;
  str_copy(pick->id, sizeof pick->id, able->id);
  return Q_OK;
}

void h_start(struct req *q, const struct chat_req *r, const struct h_way *way)
{
  struct models_pick pick;
  struct q_error e = Q_ERROR_NONE;
  struct chat *chat;
  const char *source;
  enum chat_kind kind = CHAT_T2T;
  struct models *m = app_models(q->app, &source);
  struct models_want w = { r->model, way->fallback.n ? way->fallback : str_z(q->config->default_model), q->config->alias_from,
                           q->config->alias_to, q->config->alias_n, strcmp(source, "builtin") != 0 };
  enum q_status st = way->anthropic ? models_pick_claude(m, &w, &pick, &e) : models_pick(m, &w, &pick, &e);
  if(!st) {
    kind = h_start_kind(r, pick.variant);
    st = h_start_able(m, r, kind, &pick, &e);
  }
  if(!st) {
    struct chat_order o = { .req = r, .pick = &pick, .kind = kind, .inline_images = way->inline_images, .stream = way->stream,
                            .whole = way->whole, .out_id_prefix = way->id_prefix, .echo = way->echo, .kept = way->kept,
                            .kept_ctx = way->kept_ctx,
                            .shown_model = way->shown_model.n ? way->shown_model : r->model.n ? r->model : str_z(pick.id), .route = way->route,
                            .committed = client_request(q->client)->again & RELAY_NOTE_HEAD,
                            .attempts = (int)(client_request(q->client)->again >> RELAY_NOTE_ATTEMPTS),
                            .face = h_start_face(q->app, way->anthropic), .request_id = q->id,
                            .keep = client_keep_alive(q->client), .chunked = q->head->minor == 1 };
    st = chat_new(&chat, q->app, &o, &e);
  }
  models_unref(m);
  if(st) {
    if(way->kept) way->kept(way->kept_ctx, NULL);
    if(way->echo) strbuf_free(way->echo);
    req_fail(q, &e);
  } else {
    client_adopt(q->client, chat_taker(chat));
  }
}
