#include "http/h_answer.h"

#include "domain/relay.h"

enum { H_ANSWER_EXTRA_MAX = 8192 };

static struct reply h_answer_reply(const struct answer_face *f, const struct answer_info *i, const struct config *config, struct strbuf *extra)
{
  if(i->model_id[0]) { /* a name the client made up goes into a header line: visible ASCII only */
    strbuf_lit(extra, "x-qwen2api-model: ");
    for(const char *p = i->model_id; *p; p++) strbuf_addc(extra, *p > ' ' && *p < 0x7f ? *p : '_');
    strbuf_lit(extra, "\r\n");
  }
  if(i->ignored.n) {
    strbuf_lit(extra, "x-qwen2api-ignored: ");
    strbuf_adds(extra, i->ignored);
    strbuf_lit(extra, "\r\n");
  }
  if(i->route) strbuf_fmt(extra, "x-qwen2api-route: %s\r\n", i->route);
  if(i->attempts > 1) strbuf_fmt(extra, "x-qwen2api-attempts: %d\r\n", i->attempts);
  if(i->folded) strbuf_fmt(extra, "x-qwen2api-folded: %s\r\n", i->folded);
  return (struct reply){ .status = 200, .config = config, .id = i->request_id, .type = S("application/json"), .length = -1,
                         .keep = i->keep, .anthropic = f->anthropic, .wall_s = now_wall_s(f->app->now) };
}

static void h_answer_head(const struct answer_face *f, const struct answer_info *i, struct strbuf *b)
{
  struct config *config = app_config(f->app);
  struct strbuf extra = STRBUF(H_ANSWER_EXTRA_MAX);
  struct reply r = h_answer_reply(f, i, config, &extra);
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

static void h_answer_known(struct reply *r, struct str body, struct strbuf *b)
{
  r->length = (int64_t)body.n;
  reply_head(r, b);
  strbuf_adds(b, body);
}

static void h_answer_whole(const struct answer_face *f, const struct answer_info *i, struct str body, struct strbuf *b)
{
  struct config *config = app_config(f->app);
  struct strbuf extra = STRBUF(H_ANSWER_EXTRA_MAX);
  struct reply r = h_answer_reply(f, i, config, &extra);
  r.extra = strbuf_str(&extra);
  h_answer_known(&r, body, b);
  strbuf_free(&extra);
  config_unref(config);
}

static void h_answer_error(const struct answer_face *f, const struct answer_info *i, int status, const struct q_error *e, struct str body,
                           struct strbuf *b)
{
  struct config *config = app_config(f->app);
  struct strbuf extra = STRBUF(H_ANSWER_EXTRA_MAX);
  struct reply r = h_answer_reply(f, i, config, &extra);
  r.extra = strbuf_str(&extra);
  if(status) r.status = status;
  if(status) h_answer_known(&r, body, b); /* the upstream's own */
  else reply_error(&r, e, body, false, b);
  strbuf_free(&extra);
  config_unref(config);
}

enum q_status h_answer_admit(struct req *q, struct str asked, struct str resolved, int media, struct key_pass *pass, struct q_error *e)
{
  struct keys_ask ask = { asked, resolved, media, client_request(q->client)->again != 0 };
  return keys_admit(q->app->keys, q->key_id, &ask, now_wall_ms(q->app->now), pass, e);
}

struct answer_to h_answer_to(struct req *q, bool anthropic)
{
  unsigned note = client_request(q->client)->again;
  struct answer_to to = { .face = { h_answer_head, h_answer_whole, h_answer_error, q->app, anthropic, NULL }, .request_id = q->id,
                             .attempts = (int)(note >> RELAY_NOTE_ATTEMPTS), .committed = note & RELAY_NOTE_HEAD,
                             .keep = client_keep_alive(q->client), .chunked = q->head->minor == 1, .endpoint = q->route };
  memcpy(to.key_id, q->key_id, sizeof to.key_id);
  return to;
}
