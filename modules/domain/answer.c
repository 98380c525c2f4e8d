#include "domain/answer.h"

enum {
  ANSWER_LAG_MAX = 64 * 1024,        /* bytes a client may lag behind before its upstream is not read */
  ANSWER_SCRATCH_KEPT = 256 * 1024,  /* one large event must not be kept for ever */
  ANSWER_ERROR_MAX = 64 * 1024,
  ANSWER_QUEUE_COMMIT_MS = 60 * 1000,
  ANSWER_JSON_COMMIT_MS = 30 * 1000,
  ANSWER_CHUNK_HEAD = 10             /* 8 hex digits and CRLF in front of a chunk */
};

static int64_t answer_now(const struct answer *a)
{
  return pump_now(a->ap->pump);
}

void answer_init(struct answer *a, const struct answer_ops *ops, const struct answer_to *to, bool stream)
{
  *a = (struct answer){ .ops = ops, .face = to->face, .app = to->face.app, .config = app_config(to->face.app), .stream = stream,
                        .attempts = to->attempts, .committed = to->committed, .whole_only = to->whole_only, .keep = to->keep, .chunked = to->chunked, .endpoint = to->endpoint };
  memcpy(a->key_id, to->key_id, sizeof a->key_id);
  str_copy(a->request_id, sizeof a->request_id, str_z(to->request_id));
}

void answer_free(struct answer *a)
{
  keys_done(a->app->keys, &a->pass, 0, 0, 0, now_wall_ms(a->app->now)); /* it was handed on, or never began */
  if(a->at) {
    if(!a->noted && a->endpoint) stats_begin(a->app->stats, a->endpoint, -1); /* it was handed on */
    *a->at = a->next;
    if(a->next) a->next->at = a->at;
    atomic_fetch_sub(&a->app->chats_open, 1);
  }
  config_unref(a->config);
}

/* ---- writing ---- */

/* first 0: nothing was shown. All of it may lie within a millisecond; what was shown took a part of the whole. */
static void answer_times(const struct answer *a, int64_t *first_ms, int64_t *total_ms)
{
  *total_ms = answer_now(a) - a->begun_ms;
  *first_ms = !a->first_ms ? 0 : a->first_ms > a->begun_ms ? a->first_ms - a->begun_ms : 1;
  if(*total_ms < *first_ms) *total_ms = *first_ms;
}

static struct answer_info answer_info_of(struct answer *a)
{
  struct answer_info i = { .request_id = a->request_id, .model_id = "", .chunked = a->chunked, .stream = a->stream };
  a->ops->info(a, &i);
  i.attempts += a->attempts;
  if(i.attempts < 1) i.attempts = 1;
  answer_times(a, &i.first_ms, &i.total_ms);
  i.keep = a->keep = a->keep && client_keep_alive(a->client);
  return i;
}

static void answer_arm(struct answer *a)
{
  int64_t at = a->committed ? a->beat_ms : a->commit_ms;
  if(!at || !a->client || (a->timer.slot && a->timer.at_ms <= at)) return;
  if(pump_timer_set(a->ap->pump, &a->timer, at)) LOG_ERROR(a->app->log, a->ops->name, a->request_id, "no memory for a timer");
}

/* The scratch with the HTTP head, if it is not out yet, and room for the chunk's head. */
static struct strbuf *answer_open(struct answer *a)
{
  struct strbuf *b = &a->ap->scratch;
  strbuf_clear(b);
  if(!a->committed) {
    struct answer_info i = answer_info_of(a);
    a->face.head(&a->face, &i, b);
  }
  a->head_end = b->n;
  if(a->chunked) strbuf_add(b, "00000000\r\n", ANSWER_CHUNK_HEAD);
  a->from = b->n;
  return b;
}

struct strbuf *answer_begin(struct answer *a)
{
  if(a->stream) return answer_open(a);
  strbuf_clear(&a->ap->scratch);
  return &a->ap->scratch;
}

/* Fills the chunk's head in; returns where the bytes begin, for the HTTP head moves up against the number. */
static size_t answer_frame(const struct answer *a, struct strbuf *b)
{
  static const char hex[] = "0123456789abcdef";
  size_t at = a->head_end + 8, n = b->n - a->from;
  if(n == 0) {
    b->n = a->head_end;
    return 0;
  }
  for(size_t v = n; v; v >>= 4) b->p[--at] = hex[v & 15];
  size_t from = at - a->head_end;
  memmove(b->p + from, b->p, a->head_end);
  strbuf_lit(b, "\r\n");
  return from;
}

static enum q_status answer_put(struct answer *a, const char *p, size_t n)
{
  struct strbuf *b = &a->ap->scratch;
  enum q_status st = client_write(a->client, p, n);
  if(st) a->keep = false;
  if(b->cap > ANSWER_SCRATCH_KEPT) strbuf_free(b);
  return st;
}

/* Before the last bytes, so that whoever has them may come again. Tokens count if the upstream told anything. */
static void answer_give_back(struct answer *a, int status)
{
  struct stats_turn t = { .status = status };
  if(!a->pass.held) return;
  if(a->ops->count) a->ops->count(a, &t);
  bool told = status == 200 || a->first_ms;
  keys_done(a->app->keys, &a->pass, told ? t.in : 0, told ? t.out : 0, t.media, now_wall_ms(a->app->now));
}

enum q_status answer_write(struct answer *a, bool last)
{
  struct strbuf *b = &a->ap->scratch;
  size_t from = 0;
  if(!b->err && b->n == a->from && !last) return Q_OK; /* nothing to say: the head can wait */
  if(!b->err && a->chunked) from = answer_frame(a, b);
  if(last && a->chunked) strbuf_lit(b, "0\r\n\r\n");
  if(b->err) {
    if(last) a->keep = false; /* a body without an end */
    return Q_NOMEM;
  }
  a->committed = true;
  a->beat_ms = answer_now(a) + a->config->sse_heartbeat_ms;
  if(last) answer_give_back(a, 200);
  enum q_status st = b->n > from ? answer_put(a, b->p + from, b->n - from) : Q_OK;
  if(!last) answer_arm(a);
  return st;
}

enum q_status answer_whole(struct answer *a, struct str body)
{
  struct strbuf *b = &a->ap->scratch;
  answer_give_back(a, 200);
  if(a->committed) {
    strbuf_adds(answer_open(a), body);
    if(!b->err) (void)answer_write(a, true);
  } else {
    struct answer_info i = answer_info_of(a);
    strbuf_clear(b);
    a->face.whole(&a->face, &i, body, b);
    if(!b->err) (void)answer_put(a, b->p, b->n);
    if(!b->err) a->chunked = true; /* a framed answer: the connection may go on */
  }
  return b->err;
}

bool answer_lags(const struct answer *a)
{
  return a->stream && a->client && client_pending(a->client) > ANSWER_LAG_MAX;
}

/* ---- the end ---- */

/* The one place where a request is counted. */
static void answer_note(struct answer *a, int status, const char *code)
{
  answer_give_back(a, status);
  if(a->noted || !a->endpoint) return;
  struct answer_info i = { .model_id = "" };
  struct stats_turn t = { .request_id = a->request_id, .endpoint = a->endpoint, .code = code, .status = status };
  a->noted = true;
  a->ops->info(a, &i);
  t.model = str_z(i.model_id);
  t.attempts = i.attempts + a->attempts;
  answer_times(a, &t.first_ms, &t.total_ms);
  memcpy(t.account, a->account, sizeof t.account);
  memcpy(t.key, a->key_id, sizeof t.key);
  if(a->ops->count) a->ops->count(a, &t);
  stats_note(a->app->stats, &t, now_wall_ms(a->app->now));
  stats_begin(a->app->stats, a->endpoint, -1);
}

void answer_served(struct answer *a, const struct account *by)
{
  if(by) memcpy(a->account, by->id, sizeof a->account);
}

struct client *answer_take(struct answer *a)
{
  struct client *client = a->client;
  a->client = NULL;
  pump_timer_off(a->ap->pump, &a->timer);
  return client;
}

void answer_done(struct answer *a)
{
  answer_note(a, 200, "");
  struct client *client = answer_take(a);
  bool keep = a->keep && a->chunked;
  a->ops->over(a);
  client_done(client, keep);
}

/* Before the HTTP head is out: an answer of its own. */
static void answer_refuse(struct answer *a, const struct q_error *e)
{
  struct strbuf body = STRBUF(ANSWER_ERROR_MAX), *b = &a->ap->scratch;
  struct answer_info i = answer_info_of(a);
  int status = a->ops->error(a, e, &body);
  strbuf_clear(b);
  a->face.error(&a->face, &i, status, e, strbuf_str(&body), b);
  if(body.err || b->err) a->keep = false;
  else (void)answer_put(a, b->p, b->n);
  a->chunked = true; /* a framed answer: the connection may go on */
  strbuf_free(&body);
}

void answer_fail(struct answer *a, const struct q_error *e)
{
  LOG_WARN(a->app->log, a->ops->name, a->request_id, "failed: %s (%s): %s", status_row(e->st)->code, status_row(e->st)->name, e->msg);
  atomic_fetch_add(&a->app->counts.chats_failed, 1);
  if(a->ap) answer_note(a, status_row(e->st)->http ? status_row(e->st)->http : 500, status_row(e->st)->code);
  if(!a->client) {
    a->ops->over(a);
    return;
  }
  if(a->committed) { /* of a stream an event; behind JSON_HEARTBEAT the status is spent, the body tells */
    (void)a->ops->error(a, e, answer_open(a));
    (void)answer_write(a, true);
  } else {
    answer_refuse(a, e);
  }
  answer_done(a);
}

void answer_no_memory(struct answer *a)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  a->ops->fail(a, &e);
}

/* ---- time ---- */

void answer_leased(struct answer *a)
{
  if(a->stream && !a->leased) a->commit_ms = answer_now(a) + a->config->sse_early_headers_ms;
  a->leased = true;
  answer_arm(a);
}

/* Commits the head, or says that we are still here. */
static void answer_time(struct pump_timer *t)
{
  struct answer *a = (struct answer *)((char *)t - offsetof(struct answer, timer));
  int64_t now = answer_now(a);
  if(now >= (a->committed ? a->beat_ms : a->commit_ms)) {
    a->beat_ms = now + a->config->sse_heartbeat_ms;
    if(!a->committed || !client_pending(a->client)) { /* else it has enough to read */
      struct strbuf *b = answer_open(a);
      if(a->stream) a->ops->beat(a, b);
      else strbuf_addc(b, ' ');
      if(answer_write(a, false)) LOG_DEBUG(a->app->log, a->ops->name, a->request_id, "a heartbeat was not taken");
    }
  }
  answer_arm(a);
}

/* ---- the client ---- */

static void answer_start(struct client_taker *t, struct client *client)
{
  struct answer *a = (struct answer *)((char *)t - offsetof(struct answer, taker));
  a->client = client;
  a->ap = app_pump_of(a->app, client_pump(client));
  a->next = a->ap->answers;
  a->at = &a->ap->answers;
  if(a->next) a->next->at = &a->next;
  a->ap->answers = a;
  atomic_fetch_add(&a->app->chats_open, 1);
  atomic_fetch_add(&a->app->counts.chats, 1);
  a->timer.fn = answer_time;
  a->begun_ms = answer_now(a);
  if(a->endpoint) stats_begin(a->app->stats, a->endpoint, 1);
  if(a->stream) a->commit_ms = a->begun_ms + ANSWER_QUEUE_COMMIT_MS; /* until an account is found */
  else if(a->config->json_heartbeat && !a->whole_only) a->commit_ms = a->begun_ms + ANSWER_JSON_COMMIT_MS;
  if(a->committed) a->beat_ms = a->begun_ms + a->config->sse_heartbeat_ms;
  a->ops->start(a);
  answer_arm(a);
}

static void answer_drained(struct client_taker *t)
{
  struct answer *a = (struct answer *)((char *)t - offsetof(struct answer, taker));
  a->ops->drained(a);
}

static void answer_gone(struct client_taker *t)
{
  struct answer *a = (struct answer *)((char *)t - offsetof(struct answer, taker));
  LOG_INFO(a->app->log, a->ops->name, a->request_id, "client closed (499)");
  atomic_fetch_add(&a->app->counts.chats_gone, 1);
  answer_note(a, 499, "client_closed");
  (void)answer_take(a);
  a->ops->over(a);
}

struct client_taker *answer_taker(struct answer *a)
{
  a->taker.start = answer_start;
  a->taker.on_drain = answer_drained;
  a->taker.on_gone = answer_gone;
  return &a->taker;
}

void answer_admitted(struct client_taker *t, struct key_pass *pass)
{
  struct answer *a = (struct answer *)((char *)t - offsetof(struct answer, taker));
  a->pass = *pass;
  pass->held = false;
}

void answer_end_all(struct app_pump *p)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_SHUTDOWN, NULL, "The gateway is shutting down; send the request again.");
  for(struct answer *a = p->answers, *next; a; a = next) {
    next = a->next;
    if(a->client) a->ops->fail(a, &e);
  }
}
