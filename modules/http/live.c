#include "http/live.h"

#include "base/mem.h"
#include "proto/url.h"

enum { LIVE_LOOK_MS = 200, LIVE_LAG_MAX = 64 * 1024 };

struct live {
  struct client_taker taker;
  struct app *app;
  const struct live_ops *ops;
  void *ctx;
  struct client *client;   /* NULL: over */
  struct pump *pump;
  struct pump_timer timer;
  struct pump_task bury;
  struct strbuf head;      /* until it is written */
  int64_t beat_ms, said_ms;
  bool chunked, keep;
};

static void live_drop(struct live *l)
{
  if(l->ops->free) l->ops->free(l->ctx);
  strbuf_free(&l->head);
  mem_free(l);
}

static void live_bury(struct pump_task *t)
{
  live_drop((struct live *)((char *)t - offsetof(struct live, bury)));
}

/* No caller up the stack is left with nothing: the block goes in the next turn. */
static void live_over(struct live *l)
{
  l->client = NULL;
  pump_timer_off(l->pump, &l->timer);
  pump_defer(l->pump, &l->bury);
}

/* Writes one piece; false: the client has to go. */
static bool live_put(struct live *l, struct str s, bool last)
{
  struct strbuf b = STRBUF(LIVE_EVENT_ROOM + 16 * 1024);
  strbuf_adds(&b, strbuf_str(&l->head));
  if(l->chunked && s.n) strbuf_fmt(&b, "%zx\r\n", s.n);
  strbuf_adds(&b, s);
  if(l->chunked && s.n) strbuf_lit(&b, "\r\n");
  if(l->chunked && last) strbuf_lit(&b, "0\r\n\r\n");
  bool ok = !b.err && (!b.n || client_write(l->client, b.p, b.n) == Q_OK);
  strbuf_free(&b);
  strbuf_free(&l->head);
  l->head = STRBUF(0);
  if(s.n) l->said_ms = pump_now(l->pump);
  return ok;
}

static void live_look(struct live *l)
{
  struct strbuf b = STRBUF(LIVE_EVENT_ROOM);
  int64_t now = pump_now(l->pump);
  bool more = !atomic_load(&l->app->draining), ok = true;
  if(client_pending(l->client) <= LIVE_LAG_MAX) {
    if(!l->ops->more(l->ctx, &b)) more = false;
    if(b.err) ok = false;
    if(!b.n && more && now - l->said_ms >= l->beat_ms) strbuf_lit(&b, ": ping\n\n");
    if(b.n || !more || l->head.n) ok = ok && live_put(l, strbuf_str(&b), !more);
  } else if(!more) {
    ok = live_put(l, STR_NONE, true);
  }
  strbuf_free(&b);
  if(ok && more && pump_timer_set(l->pump, &l->timer, now + LIVE_LOOK_MS)) ok = false;
  if(ok && more) return;
  struct client *client = l->client;
  bool keep = ok && l->keep && l->chunked;
  live_over(l);
  client_done(client, keep);
}

static void live_time(struct pump_timer *t)
{
  live_look((struct live *)((char *)t - offsetof(struct live, timer)));
}

static void live_start_on(struct client_taker *t, struct client *client)
{
  struct live *l = (struct live *)((char *)t - offsetof(struct live, taker));
  l->client = client;
  l->pump = client_pump(client);
  l->timer.fn = live_time;
  l->bury.fn = live_bury;
  l->said_ms = pump_now(l->pump);
  client_release_request(client);
  live_look(l);
}

static void live_drained(struct client_taker *t)
{
  struct live *l = (struct live *)((char *)t - offsetof(struct live, taker));
  if(l->client && l->timer.slot) { /* else it is being written just now */
    pump_timer_off(l->pump, &l->timer);
    live_look(l);
  }
}

static void live_gone(struct client_taker *t)
{
  live_over((struct live *)((char *)t - offsetof(struct live, taker)));
}

void live_start(struct req *q, const struct live_ops *ops, void *ctx)
{
  static const struct str type = { "text/event-stream; charset=utf-8", 32 };
  struct live *l = q->head_only ? NULL : mem_zalloc(sizeof *l);
  if(!l) {
    if(ops->free) ops->free(ctx);
    if(q->head_only) req_answer(q, 200, type, STR_NONE, STR_NONE);
    else req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
    return;
  }
  *l = (struct live){ .taker = { .start = live_start_on, .on_drain = live_drained, .on_gone = live_gone }, .app = q->app, .ops = ops,
                      .ctx = ctx, .head = STRBUF(16 * 1024), .beat_ms = q->config->sse_heartbeat_ms, .chunked = q->head->minor == 1,
                      .keep = client_keep_alive(q->client) };
  struct reply r = { .status = 200, .config = q->config, .id = q->id, .type = type, .length = -1, .chunked = l->chunked,
                     .keep = l->keep && l->chunked, .api = q->api, .wall_s = now_wall_s(q->app->now),
                     .extra = S("Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n") };
  reply_head(&r, &l->head);
  if(l->head.err) {
    live_drop(l);
    req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
    return;
  }
  client_adopt(q->client, &l->taker);
}

struct str live_last_id(const struct req *q)
{
  return str_trim(http1_find(&q->head->headers, S("last-event-id")));
}
