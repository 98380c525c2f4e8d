#include "http/h_media.h"

#include "domain/stream_url.h"
#include "http/handlers.h"
#include "proto/result_url.h"
#include "proto/url.h"

/* ctx is the app; runs on the client's pump. */
static void h_media_head(void *ctx, const char *request_id, const struct stream_url_head *h, struct strbuf *b)
{
  struct app *a = ctx;
  struct config *config = app_config(a);
  struct strbuf extra = STRBUF(8192);
  /* What is shown is not ours: it must not become a page or a script of this origin. */
  strbuf_lit(&extra, "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; sandbox\r\nCache-Control: private, max-age=3600\r\n");
  if(h->ranges) strbuf_lit(&extra, "Accept-Ranges: bytes\r\n");
  if(h->range.n) strbuf_fmt(&extra, "Content-Range: %.*s\r\n", STR_F(h->range));
  struct reply r = { .status = h->status, .config = config, .id = request_id, .type = h->status == 416 ? STR_NONE : h->type, .length = h->length, .chunked = h->chunked,
                     .keep = h->keep, .extra = strbuf_str(&extra), .wall_s = now_wall_s(a->now) };
  reply_head(&r, b);
  if(extra.err) b->err = extra.err;
  strbuf_free(&extra);
  config_unref(config);
}

static void h_media_error(void *ctx, const char *request_id, const struct q_error *e, bool keep, bool head_only, struct strbuf *b)
{
  struct app *a = ctx;
  struct config *config = app_config(a);
  struct reply r = { .config = config, .id = request_id, .length = -1, .keep = keep, .wall_s = now_wall_s(a->now) };
  reply_error(&r, e, STR_NONE, head_only, b);
  config_unref(config);
}

void h_media_send(struct req *q, struct str url, struct str proxy)
{
  struct stream_url *s;
  struct q_error e = Q_ERROR_NONE;
  struct stream_url_order o = { .url = url, .proxy = proxy, .range = http1_find(&q->head->headers, S("range")), .request_id = q->id, .head_only = q->head_only,
                                .keep = client_keep_alive(q->client), .chunks = q->head->minor == 1, .head = h_media_head, .error = h_media_error, .ctx = q->app };
  if(stream_url_new(&s, q->app, &o, &e)) req_fail(q, &e);
  else client_adopt(q->client, stream_url_taker(s));
}

void h_media(struct req *q)
{
  struct strbuf url = STRBUF(HTTP1_URI_MAX);
  struct q_error e = Q_ERROR_NONE;
  bool given = url_query(q->query, S("url"), &url);
  if(!given || !url.n) {
    req_fail_st(q, Q_MISSING, "url", "'url' is missing; give the address of a result.");
  } else if(result_url_check(strbuf_str(&url), q->config->media_hosts.v, q->config->media_hosts.n, &e)) {
    status_fail(&e, Q_MEDIA_REFUSED, "url", "'url' must be an https address of a result on one of MEDIA_HOSTS.");
    req_fail(q, &e);
  } else {
    h_media_send(q, strbuf_str(&url), STR_NONE);
  }
  strbuf_free(&url);
}
