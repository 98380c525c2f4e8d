#include "domain/stream_url.h"

#include "base/mem.h"
#include "proto/result_url.h"

enum {
  STREAM_FIRST_MS = 30 * 1000,
  STREAM_IDLE_MS = 60 * 1000,
  STREAM_PENDING_MAX = 64 * 1024, /* bytes a client may lag behind before its upstream is not read */
  STREAM_TURN_BYTES = 256 * 1024, /* of one stream per turn of the pump */
  STREAM_HOPS = 5
};

struct stream_url {
  struct client_taker taker;
  struct client *client;          /* NULL: gone or done */
  struct app *app;
  struct app_pump *ap;
  struct config *config;
  struct stream_url_order order;  /* texts: below */
  char url[RESULT_URL_MAX + 1], proxy[1024], range[128], request_id[132];
  struct xchg x;
  bool x_open, head_out, chunked, over, again_on;
  int hops;
  struct pump_timer timer;
  struct pump_task task;          /* more to read next turn; burial */
  int64_t silent_ms;              /* deadline */
};

static void stream_url_ready(struct xchg *x);

/* ---- the end ---- */

static void stream_url_bury(struct pump_task *t)
{
  struct stream_url *s = (struct stream_url *)((char *)t - offsetof(struct stream_url, task));
  config_unref(s->config);
  mem_free(s);
}

/* Gives the client back; the rest goes in the next turn. */
static void stream_url_over(struct stream_url *s, bool keep)
{
  struct client *client = s->client;
  if(s->over) return;
  s->over = true;
  s->client = NULL;
  if(s->x_open) xchg_close(&s->x);
  s->x_open = false;
  pump_timer_off(s->ap->pump, &s->timer);
  if(s->again_on) pump_undefer(s->ap->pump, &s->task);
  s->task.fn = stream_url_bury;
  pump_defer(s->ap->pump, &s->task);
  if(client) client_done(client, keep);
}

/* Before the head an answer says why; behind it only a cut connection tells that the body is not whole. */
static void stream_url_fail(struct stream_url *s, const struct q_error *e)
{
  bool keep = false;
  LOG_INFO(s->app->log, "media", s->request_id, "%s: %s", status_row(e->st)->code, e->msg);
  if(!s->head_out && s->client) {
    struct strbuf b = STRBUF(64 * 1024);
    keep = s->order.keep && client_keep_alive(s->client);
    s->order.error(s->order.ctx, s->request_id, e, keep, s->order.head_only, &b);
    if(b.err || client_write(s->client, b.p, b.n)) keep = false;
    strbuf_free(&b);
  }
  stream_url_over(s, keep);
}

static void stream_url_fail_st(struct stream_url *s, enum q_status st, const char *words)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, st, NULL, "%s", words);
  stream_url_fail(s, &e);
}

/* ---- asking ---- */

static void stream_url_ask(struct stream_url *s)
{
  struct strbuf headers = STRBUF(4096);
  strbuf_lit(&headers, "Accept: image/*, video/*\r\nAccept-Encoding: identity\r\nUser-Agent: ");
  strbuf_addz(&headers, s->config->upstream_user_agent);
  if(s->range[0]) strbuf_fmt(&headers, "\r\nRange: %s", s->range);
  strbuf_lit(&headers, "\r\n");
  struct xchg_req r = { str_z(s->url), s->proxy[0] ? str_z(s->proxy) : str_z(s->config->proxy_url), s->order.head_only ? S("HEAD") : S("GET"),
                        strbuf_str(&headers), NULL, s->config->upstream_connect_timeout_ms };
  s->x = (struct xchg){ .on_ready = stream_url_ready };
  enum q_status st = headers.err ? headers.err : xchg_start(&s->x, s->ap->httpc, &r);
  strbuf_free(&headers);
  if(st) {
    stream_url_fail_st(s, Q_NOMEM, "Out of memory.");
    return;
  }
  s->x_open = true;
  s->silent_ms = pump_now(s->ap->pump) + STREAM_FIRST_MS;
  if(!s->timer.slot && pump_timer_set(s->ap->pump, &s->timer, s->silent_ms)) LOG_ERROR(s->app->log, "media", s->request_id, "no memory for a timer");
}

static void stream_url_time(struct pump_timer *t)
{
  struct stream_url *s = (struct stream_url *)((char *)t - offsetof(struct stream_url, timer));
  int64_t now = pump_now(s->ap->pump);
  if(s->client && client_pending(s->client) > STREAM_PENDING_MAX) s->silent_ms = now + STREAM_IDLE_MS; /* the client lags */
  if(now >= s->silent_ms) stream_url_fail_st(s, Q_MEDIA_FAILED, "The result's host fell silent; try again.");
  else if(pump_timer_set(s->ap->pump, &s->timer, s->silent_ms)) LOG_ERROR(s->app->log, "media", s->request_id, "no memory for a timer");
}

/* ---- the head ---- */

static void stream_url_hop(struct stream_url *s)
{
  struct str to = str_trim(xchg_header(&s->x, S("location")));
  struct strbuf url = STRBUF(RESULT_URL_MAX + 256);
  struct q_error e = Q_ERROR_NONE;
  if(str_starts(to, S("/")) && !str_starts(to, S("//"))) { /* on the same host */
    struct str here = str_z(s->url), rest = str_sub(here, 8, here.n); /* behind https:// */
    strbuf_lit(&url, "https://");
    strbuf_adds(&url, str_cut(&rest, '/'));
  }
  strbuf_adds(&url, to);
  enum q_status st = ++s->hops > STREAM_HOPS ? status_fail(&e, Q_MEDIA_FAILED, NULL, "The result's host redirects too often.")
                   : url.err ? status_fail(&e, Q_MEDIA_FAILED, NULL, "The result's host redirects to an address that is too long.")
                             : result_url_check(strbuf_str(&url), s->config->media_hosts.v, s->config->media_hosts.n, &e);
  xchg_close(&s->x);
  s->x_open = false;
  if(!st) {
    str_copy(s->url, sizeof s->url, strbuf_str(&url));
    stream_url_ask(s);
  } else {
    stream_url_fail(s, &e);
  }
  strbuf_free(&url);
}

static bool stream_url_type_ok(struct str type)
{
  struct str t = str_trim(str_cut(&type, ';'));
  return (str_istarts(t, S("image/")) || str_istarts(t, S("video/"))) && !str_istarts(t, S("image/svg"));
}

/* true: the body follows. */
static bool stream_url_begin(struct stream_url *s, int status)
{
  struct q_error e = Q_ERROR_NONE;
  struct str type = xchg_header(&s->x, S("content-type")), length = xchg_header(&s->x, S("content-length"));
  struct str coding = xchg_header(&s->x, S("content-encoding"));
  struct stream_url_head h = { .status = status, .type = type, .range = xchg_header(&s->x, S("content-range")), .length = -1 };
  if(status == 403 || status == 404 || status == 410) status_fail(&e, Q_NOT_FOUND, NULL, "The result is not there any more; the upstream keeps results for a limited time.");
  else if(status != 200 && status != 206 && status != 416) status_fail(&e, Q_MEDIA_FAILED, NULL, "The result's host answered with status %d.", status);
  else if(status != 416 && !stream_url_type_ok(type)) status_fail(&e, Q_MEDIA_FAILED, NULL, "The result is neither a picture nor a video.");
  if(e.st) {
    stream_url_fail(s, &e);
    return false;
  }
  int64_t n;
  if(status == 416) h.length = 0;
  else if((!coding.n || str_ieq(coding, S("identity"))) && str_int(str_trim(length), &n) && n >= 0) h.length = n;
  h.ranges = str_ieq(str_trim(xchg_header(&s->x, S("accept-ranges"))), S("bytes")) || status == 206;
  h.chunked = s->chunked = h.length < 0 && s->order.chunks && !s->order.head_only;
  h.keep = s->order.keep && client_keep_alive(s->client) && (h.length >= 0 || h.chunked || s->order.head_only);
  s->order.keep = h.keep;
  struct strbuf b = STRBUF(16 * 1024);
  s->order.head(s->order.ctx, s->request_id, &h, &b);
  enum q_status st = b.err ? b.err : client_write(s->client, b.p, b.n);
  strbuf_free(&b);
  s->head_out = true;
  if(!st && status != 416 && !s->order.head_only) return true;
  stream_url_over(s, !st && h.keep);
  return false;
}

/* ---- the body ---- */

static enum q_status stream_url_piece(struct stream_url *s, struct str in)
{
  struct strbuf size = STRBUF(32);
  enum q_status st = Q_OK;
  if(s->chunked) {
    strbuf_fmt(&size, "%zx\r\n", in.n);
    st = size.err ? size.err : client_write(s->client, size.p, size.n);
  }
  if(!st) st = client_write(s->client, in.p, in.n);
  if(!st && s->chunked) st = client_write(s->client, "\r\n", 2);
  strbuf_free(&size);
  return st;
}

static void stream_url_pull(struct stream_url *s)
{
  size_t share = STREAM_TURN_BYTES;
  while(s->x_open) {
    struct str in;
    if(client_pending(s->client) > STREAM_PENDING_MAX) return; /* on_drain goes on */
    if(share == 0) {
      if(!s->again_on) pump_defer(s->ap->pump, &s->task);
      s->again_on = true;
      return;
    }
    enum q_status st = xchg_read(&s->x, &in);
    if(st == Q_AGAIN) return;
    if(st == Q_EOF) {
      if(s->chunked && client_write(s->client, "0\r\n\r\n", 5)) s->order.keep = false;
      stream_url_over(s, s->order.keep);
      return;
    }
    if(st) {
      struct q_error e = Q_ERROR_NONE;
      status_fail(&e, st, NULL, "%s", xchg_error(&s->x));
      stream_url_fail(s, &e);
      return;
    }
    share = in.n < share ? share - in.n : 0;
    s->silent_ms = pump_now(s->ap->pump) + STREAM_IDLE_MS;
    if(stream_url_piece(s, in)) {
      stream_url_over(s, false);
      return;
    }
  }
}

static void stream_url_again(struct pump_task *t)
{
  struct stream_url *s = (struct stream_url *)((char *)t - offsetof(struct stream_url, task));
  s->again_on = false;
  stream_url_pull(s);
}

static void stream_url_ready(struct xchg *x)
{
  struct stream_url *s = (struct stream_url *)((char *)x - offsetof(struct stream_url, x));
  struct xchg_head head;
  if(!s->head_out) {
    enum q_status st = xchg_head(x, &head);
    if(st == Q_AGAIN) return;
    if(st) {
      struct q_error e = Q_ERROR_NONE;
      status_fail(&e, st, NULL, "%s", xchg_error(x));
      stream_url_fail(s, &e);
      return;
    }
    if(head.status >= 300 && head.status < 400 && head.status != 304) {
      stream_url_hop(s);
      return;
    }
    if(!stream_url_begin(s, head.status)) return;
  }
  stream_url_pull(s);
}

/* ---- the client ---- */

static void stream_url_start(struct client_taker *t, struct client *client)
{
  struct stream_url *s = (struct stream_url *)((char *)t - offsetof(struct stream_url, taker));
  s->client = client;
  s->ap = app_pump_of(s->app, client_pump(client));
  s->timer.fn = stream_url_time;
  s->task.fn = stream_url_again;
  client_release_request(client);
  stream_url_ask(s);
}

static void stream_url_drained(struct client_taker *t)
{
  struct stream_url *s = (struct stream_url *)((char *)t - offsetof(struct stream_url, taker));
  if(!s->head_out || !s->x_open) return;
  s->silent_ms = pump_now(s->ap->pump) + STREAM_IDLE_MS;
  stream_url_pull(s);
}

static void stream_url_gone(struct client_taker *t)
{
  struct stream_url *s = (struct stream_url *)((char *)t - offsetof(struct stream_url, taker));
  s->client = NULL;
  stream_url_over(s, false);
}

enum q_status stream_url_new(struct stream_url **out, struct app *a, const struct stream_url_order *o, struct q_error *e)
{
  struct stream_url *s = mem_zalloc(sizeof *s);
  if(!s) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  s->app = a;
  s->config = app_config(a);
  s->order = *o;
  str_copy(s->url, sizeof s->url, o->url);
  str_copy(s->proxy, sizeof s->proxy, o->proxy);
  str_copy(s->range, sizeof s->range, o->range);
  str_copy(s->request_id, sizeof s->request_id, str_z(o->request_id));
  *out = s;
  return Q_OK;
}

struct client_taker *stream_url_taker(struct stream_url *s)
{
  s->taker.start = stream_url_start;
  s->taker.on_drain = stream_url_drained;
  s->taker.on_gone = stream_url_gone;
  return &s->taker;
}
