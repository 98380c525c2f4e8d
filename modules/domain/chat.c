#include "domain/chat.h"

#include "base/mem.h"
#include "domain/login.h"
#include "domain/qwen.h"
#include "domain/tidy.h"
#include "proto/fold.h"
#include "proto/limits.h"
#include "proto/qwen_event.h"
#include "proto/qwen_req.h"
#include "proto/sse.h"
#include "proto/tokens.h"

enum {
  CHAT_PENDING_MAX = 64 * 1024,      /* bytes a client may lag behind before its upstream is not read */
  CHAT_TURN_BYTES = 256 * 1024,      /* upstream bytes of one chat per turn of the pump */
  CHAT_BODY_MAX = 16 * 1024 * 1024,  /* an upstream answer that is no stream */
  CHAT_WHOLE_MAX = 64 * 1024 * 1024, /* a collected answer */
  CHAT_SCRATCH_MAX = 24 * 1024 * 1024,
  CHAT_LAST_ATTEMPT_MS = 90 * 1000,
  CHAT_LINGER_MS = 2000,             /* silence after "finished" that ends a turn */
  CHAT_NEW_CHAT_MS = 20 * 1000,
  CHAT_QUEUE_COMMIT_MS = 60 * 1000,
  CHAT_JSON_COMMIT_MS = 30 * 1000,
  CHAT_ACCOUNTS_MAX = 5,
  CHAT_CHUNK_HEAD = 10               /* 8 hex digits and CRLF in front of a chunk */
};

enum chat_state {
  CHAT_QUEUED,     /* waits for an account */
  CHAT_SIGNING,    /* waits for a token */
  CHAT_MAKING,     /* chats/new is under way */
  CHAT_ASKED,      /* completion sent, no byte of the answer's body yet */
  CHAT_READING,    /* events */
  CHAT_COLLECTING, /* a body that is no event stream */
  CHAT_RESTING,    /* back-off before the next attempt */
  CHAT_OVER
};

struct chat {
  struct client_taker taker;
  struct client *client;           /* NULL: gone or done */
  struct app *app;
  struct app_pump *ap;
  struct config *config;
  struct chat *next, **at;         /* all chats of the pump */
  enum chat_state state;

  /* the order */
  char request_id[132];
  char model_id[200];
  char shown_model[256];
  char ignored[520];
  struct chat_face face;
  const struct out_ops *stream_ops, *whole_ops;
  void (*kept)(void *ctx, const struct out *o);
  void *kept_ctx;
  const char *route;
  bool stream, keep, chunked, search;
  enum qwen_think think;
  int think_budget;
  struct strbuf prompt;            /* as a JSON string */
  int64_t prompt_tokens;           /* estimate */

  /* the attempt */
  struct pool_waiter waiter;
  struct pump_task grant_task;
  struct login_waiter signing;
  struct lease lease;
  bool lease_busy;                 /* the lease is held */
  struct xchg x;
  bool x_open;
  struct sse sse;
  struct qwen_event events;
  struct strbuf body;              /* CHAT_MAKING and CHAT_COLLECTING */
  int http_status;                 /* of the exchange under way, 0 before its head */
  char retry_after[24];
  struct trouble event;            /* what an event said was wrong */
  struct pool_chat chat_id;
  bool asked;                      /* the upstream has the completion request */
  bool turn_over;                  /* and its turn has ended */
  bool renewed, fresh_done, plain, force_new;
  int attempts, account_tries, challenges, retries;
  struct q_error best;             /* the most telling trouble of all attempts */

  /* the answer */
  struct out out;
  struct limits limits;
  struct tokens tokens_out;        /* estimate of all output, when the upstream tells none */
  enum finish why;
  bool committed;                  /* the HTTP head is out */
  bool begun;                      /* out.begin was written */
  bool sent;                       /* an answer event is out: no attempt after this */
  bool cut;                        /* a limit ended the text */

  struct pump_timer timer;
  struct pump_task again;          /* more to read next turn */
  bool again_on;
  /* Deadlines in pump ms; 0 = off. The timer looks at them when it fires. */
  int64_t begun_ms, first_ms, queue_ms, poll_ms, step_ms, idle_ms, turn_ms, linger_ms, rest_ms, commit_ms, beat_ms;
};

static void chat_seek(struct chat *c);
static void chat_pull(struct chat *c);
static void chat_trouble(struct chat *c, enum q_status st, const char *words, int wait_s);
static void chat_fail(struct chat *c, const struct q_error *e);
static void chat_arm(struct chat *c);

static int64_t chat_wall(const struct chat *c)
{
  return now_wall_ms(c->app->now);
}

static int64_t chat_now(const struct chat *c)
{
  return pump_now(c->ap->pump);
}

/* ---- birth ---- */

enum q_status chat_new(struct chat **out, struct app *a, const struct chat_order *o, struct q_error *e)
{
  struct chat *c = mem_zalloc(sizeof *c);
  struct strbuf text = STRBUF(CHAT_BODY_MAX * 16u);
  const struct chat_req *r = o->req;
  enum q_status st = c ? Q_OK : Q_NOMEM;
  if(st) return status_fail(e, st, NULL, "Out of memory.");

  c->app = a;
  c->config = app_config(a);
  c->face = o->face;
  c->stream_ops = o->stream;
  c->whole_ops = o->whole;
  c->keep = o->keep;
  c->chunked = o->chunked;
  c->stream = r->stream;
  c->route = o->route;
  c->committed = o->committed;
  c->attempts = o->attempts;
  c->prompt = STRBUF(CHAT_BODY_MAX * 16u);
  c->body = STRBUF(CHAT_BODY_MAX);
  str_copy(c->request_id, sizeof c->request_id, str_z(o->request_id));
  str_copy(c->model_id, sizeof c->model_id, str_z(o->pick->id));
  str_copy(c->shown_model, sizeof c->shown_model, o->shown_model);
  str_copy(c->ignored, sizeof c->ignored, r->ignored);
  str_copy(c->out.id, sizeof c->out.id, str_z(o->out_id_prefix));

  const struct model *m = o->pick->model;
  bool asks_think = (o->pick->variant & MODEL_THINKING) || r->think == THINK_ON || (m && m->always_thinks);
  c->think = asks_think ? QWEN_THINK_ON
           : r->think == THINK_UNSET && c->config->thinking_default_auto ? QWEN_THINK_AUTO : QWEN_THINK_OFF;
  c->think_budget = r->think_budget;
  c->search = (o->pick->variant & MODEL_SEARCH) || r->search || r->kind == CHAT_SEARCH;

  c->out.ops = r->stream ? o->stream : o->whole;
  c->out.model = str_z(c->shown_model);
  c->out.stream = r->stream;
  c->out.include_usage = r->include_usage;
  c->out.search_text = c->config->search_info_text;
  c->out.think_out = r->think_out;
  if(r->think_out == THINK_OUT_DEFAULT)
    c->out.think_out = c->config->legacy_reasoning_in_content ? THINK_OUT_TAGS : THINK_OUT_FIELD;
  if(!c->config->output_think || r->hide_reasoning) c->out.think_out = THINK_OUT_NONE;

  struct strbuf document = STRBUF(CHAT_BODY_MAX), whole = STRBUF(CHAT_BODY_MAX);
  struct fold f = { .req = r, .history_files = 5, .prompt = &text, .document = &document, .whole = &whole };
  st = fold_run(&f);
  strbuf_free(&document);
  strbuf_free(&whole);
  strbuf_json(&c->prompt, strbuf_str(&text));
  if(!st) st = c->prompt.err;
  if(!st) c->out.prompt_tokens = c->prompt_tokens = tokens_count(strbuf_str(&text)) + 4 * r->msg_n + 2;
  if(!st) st = limits_init(&c->limits, r->stop, r->stop_n, r->max_tokens);
  strbuf_free(&text);
  if(!st && o->echo) {
    c->out.echo = *o->echo;
    *o->echo = STRBUF(0);
  }
  if(!st) c->kept = o->kept;
  c->kept_ctx = o->kept_ctx;
  if(st) {
    config_unref(c->config);
    limits_free(&c->limits);
    strbuf_free(&c->prompt);
    mem_free(c);
    return status_fail(e, st, NULL, st == Q_NOMEM ? "Out of memory." : "The conversation is too long.");
  }
  *out = c;
  return Q_OK;
}

/* ---- death: everything that may still call back is taken back first; memory goes in the next turn, so that no
 * caller up the stack is left with nothing ---- */

static void chat_close_exchange(struct chat *c)
{
  if(!c->x_open) return;
  if(c->state == CHAT_ASKED && !xchg_sent_all(&c->x)) c->asked = false; /* the upstream never got the question */
  c->x_open = false;
  xchg_close(&c->x);
}

static void chat_release(struct chat *c, enum q_status how, const char *words, int wait_s)
{
  if(!c->lease_busy) return;
  c->lease_busy = false;
  pool_release(c->app->pool, &c->lease, chat_wall(c), how, words, wait_s, str_z(c->model_id));
}

/* Tells once how it ended; o: NULL unless the answer is complete. */
static void chat_tell(struct chat *c, const struct out *o)
{
  if(c->kept) c->kept(c->kept_ctx, o);
  c->kept = NULL;
}

static void chat_bury(struct pump_task *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, again));
  chat_tell(c, NULL);
  *c->at = c->next;
  if(c->next) c->next->at = c->at;
  atomic_fetch_sub(&c->app->chats_open, 1);
  sse_free(&c->sse);
  qwen_event_free(&c->events);
  limits_free(&c->limits);
  out_free(&c->out);
  strbuf_free(&c->prompt);
  strbuf_free(&c->body);
  config_unref(c->config);
  mem_free(c);
}

static void chat_bury_later(struct chat *c)
{
  if(c->again_on) pump_undefer(c->ap->pump, &c->again);
  c->again.fn = chat_bury;
  pump_defer(c->ap->pump, &c->again);
}

/* A turn the upstream still works on is stopped; the chat is deleted if so configured. */
static void chat_leave_upstream(struct chat *c)
{
  bool cleanup = c->config->chat_cleanup_mode != 0;
  struct str id = str_z(c->chat_id.id);
  if(id.n && c->lease_busy) {
    if(c->asked && !c->turn_over) tidy_stop(c->ap, &c->lease, id, str_z(c->events.response_id), cleanup);
    else if(cleanup) tidy_delete(c->ap, &c->lease, id);
  }
  c->chat_id.id[0] = 0;
  c->asked = c->turn_over = false;
}

/* Ends the chat's work; it is buried now, or when what is on its way to it has arrived. */
static void chat_over(struct chat *c)
{
  enum chat_state was = c->state;
  c->state = CHAT_OVER;
  chat_close_exchange(c);
  pump_timer_off(c->ap->pump, &c->timer);
  if(was == CHAT_QUEUED && !pool_leave(c->app->pool, &c->waiter) && c->waiter.lease.account) return; /* grant_task comes */
  if(was == CHAT_SIGNING && !login_leave(c->app->login, &c->signing)) return;                         /* signing.done comes */
  chat_bury_later(c);
}

/* ---- writing to the client ---- */

static struct chat_info chat_info_of(const struct chat *c)
{
  return (struct chat_info){ c->request_id, c->model_id, str_z(c->ignored), NULL, c->route, c->attempts > 0 ? c->attempts : 1,
                             c->keep && client_keep_alive(c->client), c->chunked, c->stream };
}

static int64_t chat_beat_ms(const struct chat *c)
{
  return c->config->sse_heartbeat_ms;
}

struct chat_piece {
  struct strbuf *b;
  size_t head_end; /* where the payload's chunk head begins */
};

/* Opens the pump's scratch for one write: HTTP head if it is not out yet, room for the chunk's head, then payload. */
static struct chat_piece chat_open(struct chat *c)
{
  struct chat_piece p = { &c->ap->scratch, 0 };
  strbuf_clear(p.b);
  if(!c->committed) {
    struct chat_info info = chat_info_of(c);
    c->keep = info.keep;
    c->face.stream_head(c->face.ctx, &info, p.b);
  }
  p.head_end = p.b->n;
  if(c->chunked) strbuf_add(p.b, "00000000\r\n", CHAT_CHUNK_HEAD);
  return p;
}

/* Frames and writes what stands in the scratch; last ends the body. Trouble here is the client's end or no memory. */
static enum q_status chat_write(struct chat *c, struct chat_piece p, bool last)
{
  struct strbuf *b = p.b;
  size_t from = 0, body = p.head_end + (c->chunked ? CHAT_CHUNK_HEAD : 0);
  if(b->err) return Q_NOMEM;
  size_t n = b->n - body;
  if(c->chunked && n == 0) {
    b->n = p.head_end;
  } else if(c->chunked) {
    static const char hex[] = "0123456789abcdef";
    size_t at = p.head_end + 8;
    for(size_t v = n; v; v >>= 4) b->p[--at] = hex[v & 15];
    from = at - p.head_end; /* unused digits: the head moves up against the number */
    memmove(b->p + from, b->p, p.head_end);
    strbuf_lit(b, "\r\n");
  }
  if(last && c->chunked) strbuf_lit(b, "0\r\n\r\n");
  if(b->err) return Q_NOMEM;
  if(b->n == from) return Q_OK;
  c->committed = true;
  c->beat_ms = chat_now(c) + chat_beat_ms(c);
  enum q_status st = client_write(c->client, b->p + from, b->n - from);
  if(b->cap > 256 * 1024) strbuf_free(b); /* one large event must not be kept for ever */
  return st;
}

/* The answer is complete: the client goes back to its gate, the chat ends. */
static void chat_done(struct chat *c)
{
  struct client *client = c->client;
  c->client = NULL;
  bool keep = c->keep && c->chunked;
  chat_over(c);
  client_done(client, keep);
}

/* ---- trouble that reaches the client ---- */

static void chat_fail(struct chat *c, const struct q_error *e)
{
  LOG_WARN(c->app->log, "chat", c->request_id, "failed: %s (%s): %s", status_row(e->st)->code, status_row(e->st)->name,
           e->msg);
  atomic_fetch_add(&c->app->counts.chats_failed, 1);
  chat_leave_upstream(c);
  chat_release(c, Q_CLIENT_GONE, "", 0);
  if(!c->client) {
    chat_over(c);
    return;
  }
  enum q_status st;
  if(c->committed && c->stream) {
    struct chat_piece p = chat_open(c);
    c->out.ops->error(&c->out, e, p.b);
    st = chat_write(c, p, true);
  } else if(c->committed) { /* JSON_HEARTBEAT: the status is spent, the body tells */
    struct chat_piece p = chat_open(c);
    c->whole_ops->error(&c->out, e, p.b);
    st = chat_write(c, p, true);
  } else {
    struct strbuf body = STRBUF(64 * 1024), *b = &c->ap->scratch;
    struct chat_info info = chat_info_of(c);
    c->keep = info.keep;
    c->whole_ops->error(&c->out, e, &body);
    strbuf_clear(b);
    c->face.error(c->face.ctx, &info, e, strbuf_str(&body), b);
    st = body.err ? body.err : b->err;
    strbuf_free(&body);
    if(!st) st = client_write(c->client, b->p, b->n);
    c->chunked = true; /* a framed answer: the connection may go on */
  }
  if(st) c->keep = false;
  chat_done(c);
}

static void chat_fail_st(struct chat *c, enum q_status st, const char *msg)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, st, NULL, "%s", msg);
  chat_fail(c, &e);
}

/* ---- the way out: deltas to the client ---- */

static void chat_begin(struct chat *c, struct strbuf *b)
{
  if(c->begun) return;
  c->begun = true;
  crypt_id(&c->ap->rng, c->out.id + strlen(c->out.id), 24);
  c->out.created_s = now_wall_s(c->app->now);
  c->out.ops->begin(&c->out, b);
}

static void chat_answer(struct chat *c, struct str text, struct strbuf *b)
{
  struct str visible;
  if(text.n == 0 || c->cut) return;
  tokens_push(&c->tokens_out, text);
  enum limits_end end = limits_push(&c->limits, text, &visible);
  if(visible.n) c->out.ops->text(&c->out, visible, b);
  if(end == LIMITS_GO_ON) return;
  c->cut = true;
  c->why = end == LIMITS_LENGTH ? FINISH_LENGTH : FINISH_STOP;
}

static void chat_think(struct chat *c, struct str text, struct strbuf *b)
{
  if(text.n == 0) return;
  tokens_push(&c->tokens_out, text);
  if(c->out.think_out != THINK_OUT_NONE) c->out.ops->think(&c->out, text, b);
  if(!c->config->max_tokens_count_reasoning || !c->limits.max_tokens) return;
  tokens_push(&c->limits.tokens, text);
  if(tokens_total(&c->limits.tokens) < c->limits.max_tokens) return;
  c->cut = true;
  c->why = FINISH_LENGTH;
}

static bool chat_says(const struct chat *c, const struct delta *d)
{
  return d->answer.n || (d->think.n && c->out.think_out != THINK_OUT_NONE);
}

/* One delta to bytes. Nothing is begun before there is something to say, so that trouble can still be told. */
static void chat_emit(struct chat *c, const struct delta *d, struct strbuf *b)
{
  if(d->source_n) {
    if(c->stream && (c->begun || chat_says(c, d))) chat_begin(c, b);
    c->out.ops->sources(&c->out, d->sources, d->source_n, b);
  }
  if(chat_says(c, d)) chat_begin(c, b);
  chat_think(c, d->think, b);
  chat_answer(c, d->answer, b);
}

static void chat_usage(const struct chat *c, struct usage *u)
{
  *u = c->events.usage;
  if(u->known) return;
  u->prompt = c->prompt_tokens;
  u->completion = tokens_total(&c->tokens_out);
}

/* The turn has ended well: the last words, usage, the end. */
static void chat_finish(struct chat *c)
{
  struct usage u;
  struct str rest;
  bool shown_think = c->events.any_think && c->out.think_out != THINK_OUT_NONE;
  chat_close_exchange(c);
  if(!c->events.any_answer && !shown_think && !c->cut) {
    chat_trouble(c, Q_UP_EMPTY, "", 0);
    return;
  }
  if(!c->cut) {
    limits_rest(&c->limits, &rest);
  } else {
    rest = STR_NONE;
  }
  chat_usage(c, &u);
  chat_leave_upstream(c);
  chat_release(c, Q_OK, "", 0);
  enum q_status st;
  if(c->stream) {
    struct chat_piece p = chat_open(c);
    chat_begin(c, p.b);
    if(rest.n) c->out.ops->text(&c->out, rest, p.b);
    c->out.ops->finish(&c->out, c->why, p.b);
    c->out.ops->end(&c->out, &u, p.b);
    st = chat_write(c, p, true);
  } else {
    struct strbuf body = STRBUF(CHAT_WHOLE_MAX), *b = &c->ap->scratch;
    chat_begin(c, &body);
    if(rest.n) c->out.ops->text(&c->out, rest, &body);
    c->out.ops->finish(&c->out, c->why, &body);
    c->out.ops->end(&c->out, &u, &body);
    if(c->committed) {
      struct chat_piece p = chat_open(c);
      strbuf_adds(p.b, strbuf_str(&body));
      st = body.err ? body.err : chat_write(c, p, true);
    } else {
      struct chat_info info = chat_info_of(c);
      c->keep = info.keep;
      strbuf_clear(b);
      c->face.whole(c->face.ctx, &info, strbuf_str(&body), b);
      st = body.err ? body.err : b->err;
      if(st) {
        strbuf_free(&body);
        chat_fail_st(c, Q_NOMEM, "Out of memory.");
        return;
      }
      st = client_write(c->client, b->p, b->n);
      c->chunked = true; /* a framed answer: the connection may go on */
      if(b->cap > 256 * 1024) strbuf_free(b);
    }
    strbuf_free(&body);
  }
  if(st) c->keep = false;
  chat_tell(c, &c->out);
  LOG_DEBUG(c->app->log, "chat", c->request_id, "done: %lld in, %lld out", (long long)u.prompt,
            (long long)u.completion);
  chat_done(c);
}

/* ---- reading the upstream ---- */

/* One event. true: go on with the next. */
static bool chat_event(struct chat *c, struct str data, struct strbuf *b)
{
  struct delta d;
  struct trouble t;
  enum q_status st = qwen_event_read(&c->events, data, &d, &t);
  if(st) {
    if(c->events.filtered && c->sent) { /* moderation ended a running answer: that is an end, not an error */
      c->why = FINISH_FILTER;
      c->cut = c->turn_over = true;
      return false;
    }
    c->turn_over = true;
    c->event = t;
    c->event.st = st;
    return false;
  }
  chat_emit(c, &d, b);
  if(d.finished) c->linger_ms = chat_now(c) + CHAT_LINGER_MS;
  else if(d.answer.n || d.think.n || d.source_n) c->linger_ms = 0;
  if(d.finished) c->turn_over = true;
  if(d.stopped || d.done) c->turn_over = true;
  return !c->cut && !d.stopped && !d.done;
}

enum chat_flow { CHAT_MORE, CHAT_END, CHAT_BAD };

/* Bytes of the event stream to bytes for the client, in one write. */
static enum chat_flow chat_events(struct chat *c, struct str in, bool end)
{
  struct chat_piece p = { NULL, 0 };
  struct strbuf *b;
  bool go = true;
  if(c->stream) {
    p = chat_open(c);
    b = p.b;
  } else {
    b = &c->ap->scratch;
    strbuf_clear(b);
  }
  size_t before = b->n;
  c->event.st = Q_OK;
  while(go) {
    struct str data;
    size_t used = 0;
    enum q_status st = in.n ? sse_push(&c->sse, in.p, in.n, &used, &data) : end ? sse_finish(&c->sse, &data) : Q_AGAIN;
    in.p += used;
    in.n -= used;
    if(st == Q_AGAIN) break;
    if(st == Q_TOO_BIG) continue; /* one event too large is dropped, the stream goes on */
    if(st) {
      c->event = (struct trouble){ .st = st };
      break;
    }
    go = chat_event(c, data, b);
    if(end && in.n == 0) break;
  }
  if(end && go && !c->event.st && !c->events.any_answer) {
    struct delta d;
    if(qwen_event_end(&c->events, &d) == Q_OK) chat_emit(c, &d, b);
  }
  if(c->stream && (b->n > before || b->err)) {
    enum q_status st = chat_write(c, p, false);
    if(!st && out_shown(&c->out)) c->sent = true;
    if(st == Q_NOMEM) c->event = (struct trouble){ .st = st };
  } else if(!c->stream && b->err) {
    c->event = (struct trouble){ .st = Q_NOMEM };
  }
  if(c->event.st) return CHAT_BAD;
  return go ? CHAT_MORE : CHAT_END;
}

static void chat_event_trouble(struct chat *c)
{
  struct trouble t = c->event;
  chat_trouble(c, t.st, t.words, t.wait_s);
}

/* The completion's body turned out to be no event stream. */
static void chat_collected(struct chat *c)
{
  struct trouble t;
  struct delta d;
  trouble_body(&t, c->http_status, str_z(c->retry_after), strbuf_str(&c->body));
  c->turn_over = true;
  if(!t.st) {
    enum q_status st = qwen_event_whole(&c->events, strbuf_str(&c->body), &d, &t);
    if(!st && d.answer.n) {
      struct chat_piece p = chat_open(c);
      chat_emit(c, &d, p.b);
      if(c->stream && chat_write(c, p, false) == Q_OK) c->sent = true;
      chat_finish(c);
      return;
    }
    if(!t.st) t.st = Q_UP_BODY;
  }
  chat_trouble(c, t.st, t.words, t.wait_s);
}

static void chat_read_end(struct chat *c)
{
  if(c->state == CHAT_COLLECTING || c->state == CHAT_ASKED) {
    chat_collected(c);
    return;
  }
  enum chat_flow flow = chat_events(c, STR_NONE, true);
  c->turn_over = true;
  if(flow == CHAT_BAD) chat_event_trouble(c);
  else chat_finish(c);
}

/* Whether these first bytes can be an event stream at all: '{' and '<' never start one. */
static bool chat_is_stream(struct str in, bool *known)
{
  struct str t = str_trim(in);
  if(str_starts(t, S("\xef\xbb\xbf"))) t = str_trim(str_sub(t, 3, t.n));
  *known = t.n > 0;
  return t.n && t.p[0] != '{' && t.p[0] != '<';
}

static bool chat_sniff(struct chat *c, struct str in)
{
  bool known = false;
  if(c->http_status != 200) {
    c->state = CHAT_COLLECTING;
  } else if(c->body.n == 0) {
    bool events = chat_is_stream(in, &known);
    if(!known) return false;
    c->state = events ? CHAT_READING : CHAT_COLLECTING;
  }
  return true;
}

static void chat_made(struct chat *c);

/* Reads what is there until the socket is empty, the client lags, or this chat's share of the turn is used. */
static void chat_pull(struct chat *c)
{
  size_t share = CHAT_TURN_BYTES;
  while(c->x_open && c->state != CHAT_OVER) {
    struct str in;
    if(c->stream && c->client && client_pending(c->client) > CHAT_PENDING_MAX) return; /* on_drain goes on */
    if(share == 0) {
      if(!c->again_on) pump_defer(c->ap->pump, &c->again);
      c->again_on = true;
      return;
    }
    enum q_status st = xchg_read(&c->x, &in);
    if(st == Q_AGAIN) return;
    if(st == Q_EOF) {
      if(c->state == CHAT_MAKING) chat_made(c);
      else chat_read_end(c);
      return;
    }
    if(st) {
      char words[200];
      str_copy(words, sizeof words, str_z(xchg_error(&c->x)));
      chat_trouble(c, st, words, 0);
      return;
    }
    share = in.n < share ? share - in.n : 0;
    int64_t now = chat_now(c);
    c->idle_ms = now + c->config->upstream_idle_timeout_ms;
    if(c->state == CHAT_ASKED) {
      c->step_ms = 0;
      if(!chat_sniff(c, in)) continue;
    }
    if(c->state == CHAT_READING) {
      enum chat_flow flow = chat_events(c, in, false);
      if(flow == CHAT_BAD) {
        chat_event_trouble(c);
        return;
      }
      if(flow == CHAT_END) {
        chat_finish(c);
        return;
      }
    } else {
      size_t max = c->state == CHAT_MAKING ? 64 * 1024 : CHAT_BODY_MAX;
      strbuf_add(&c->body, in.p, in.n < max - c->body.n ? in.n : max - c->body.n);
      if(c->body.err) {
        chat_trouble(c, c->body.err, "", 0);
        return;
      }
    }
  }
}

static void chat_ready(struct xchg *x)
{
  struct chat *c = (struct chat *)((char *)x - offsetof(struct chat, x));
  struct xchg_head head;
  if(c->http_status == 0 && (c->state == CHAT_MAKING || c->state == CHAT_ASKED)) {
    enum q_status st = xchg_head(x, &head);
    if(st == Q_AGAIN) return;
    if(st) {
      char words[200];
      str_copy(words, sizeof words, str_z(xchg_error(x)));
      chat_trouble(c, st, words, 0);
      return;
    }
    c->http_status = head.status;
    str_copy(c->retry_after, sizeof c->retry_after, xchg_header(x, S("retry-after")));
    if(c->state == CHAT_ASKED) c->asked = head.status == 200;
  }
  chat_pull(c);
  if(c->state != CHAT_OVER) chat_arm(c);
}

static void chat_again(struct pump_task *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, again));
  c->again_on = false;
  chat_pull(c);
}

/* ---- the two calls of an attempt ---- */

static enum q_status chat_call(struct chat *c, const char *path, struct str query, bool events, struct strbuf *body)
{
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct qwen_call q = { c->config, &c->ap->rng, secret_str(c->lease.token), str_z(c->chat_id.id), events,
                         now_wall_s(c->app->now) };
  struct str proxy = secret_str(c->lease.proxy);
  qwen_url(c->config, path, query, &url);
  qwen_headers(&q, &headers);
  c->x = (struct xchg){ .on_ready = chat_ready };
  c->http_status = 0;
  c->retry_after[0] = 0;
  strbuf_clear(&c->body);
  enum q_status st = url.err ? url.err : headers.err ? headers.err : body->err;
  if(!st) {
    struct xchg_req r = { strbuf_str(&url), proxy.n ? proxy : str_z(c->config->proxy_url), S("POST"),
                          strbuf_str(&headers), body, c->config->upstream_connect_timeout_ms };
    st = xchg_start(&c->x, c->ap->httpc, &r);
  }
  if(!st) c->x_open = true;
  strbuf_free(body);
  strbuf_free(&headers);
  strbuf_free(&url);
  return st;
}

static void chat_ask(struct chat *c)
{
  char fid[40], child[40];
  struct strbuf body = STRBUF(c->prompt.n + 16 * 1024);
  struct qwen_turn t = { .chat_id = str_z(c->chat_id.id), .model = str_z(c->model_id),
                         .prompt_json = strbuf_str(&c->prompt), .kind = c->search ? CHAT_SEARCH : CHAT_T2T, .stream = true, .think = c->think,
                         .think_budget = c->think_budget, .summary = c->config->thinking_format_summary,
                         .plain = c->plain, .wall_s = now_wall_s(c->app->now) };
  crypt_uuid(&c->ap->rng, fid);
  crypt_uuid(&c->ap->rng, child);
  t.fid = str_z(fid);
  t.child = str_z(child);
  qwen_req_completion(&t, &body);
  sse_free(&c->sse);
  qwen_event_free(&c->events);
  enum q_status st = sse_init(&c->sse, 4 * 1024 * 1024);
  if(!st) st = qwen_event_init(&c->events, c->config->delta_mode);
  c->asked = c->turn_over = false;
  c->linger_ms = 0;
  c->state = CHAT_ASKED;
  if(!st) st = chat_call(c, "/api/v2/chat/completions?chat_id=", str_z(c->chat_id.id), true, &body);
  strbuf_free(&body);
  if(st) {
    chat_fail_st(c, Q_NOMEM, "Out of memory.");
    return;
  }
  int64_t now = chat_now(c);
  c->asked = true; /* from here the upstream may be at work */
  c->step_ms = now + c->config->upstream_first_byte_timeout_ms;
  c->idle_ms = 0;
  if(!c->turn_ms) c->turn_ms = now + c->config->upstream_turn_timeout_ms;
  tidy_stock(c->ap, &c->lease, str_z(c->model_id));
  chat_arm(c);
}

/* The answer to chats/new is complete. */
static void chat_made(struct chat *c)
{
  struct trouble t;
  enum q_status st = qwen_chat_id(c->http_status, str_z(c->retry_after), strbuf_str(&c->body), c->chat_id.id,
                                  sizeof c->chat_id.id, &t);
  chat_close_exchange(c);
  if(st) chat_trouble(c, st, t.words, t.wait_s);
  else chat_ask(c);
}

static void chat_make(struct chat *c)
{
  bool from_stock = !c->force_new && !c->search &&
                    pool_stock_take(c->app->pool, c->lease.account, str_z(c->model_id), chat_wall(c), &c->chat_id);
  c->attempts++;
  atomic_fetch_add(&c->app->counts.attempts, 1);
  if(from_stock) {
    chat_ask(c);
    return;
  }
  struct strbuf body = STRBUF(4096);
  c->state = CHAT_MAKING;
  c->chat_id.id[0] = 0;
  qwen_req_new_chat(str_z(c->model_id), c->search ? "search" : "t2t", chat_wall(c), &body);
  enum q_status st = chat_call(c, "/api/v2/chats/new", STR_NONE, false, &body);
  if(st) {
    chat_fail_st(c, Q_NOMEM, "Out of memory.");
    return;
  }
  c->step_ms = chat_now(c) + CHAT_NEW_CHAT_MS;
  chat_arm(c);
}

/* ---- accounts and tokens ---- */

static void chat_signed_in(struct login_waiter *w, enum q_status st)
{
  struct chat *c = (struct chat *)((char *)w - offsetof(struct chat, signing));
  if(c->state == CHAT_OVER) {
    chat_bury_later(c);
    return;
  }
  pool_token_reload(c->app->pool, &c->lease);
  if(st || pool_token_state(&c->lease, chat_wall(c)) == POOL_TOKEN_DEAD) {
    chat_release(c, Q_CLIENT_GONE, "", 0); /* the renewal has booked its failure itself */
    chat_trouble(c, st ? st : Q_UP_AUTH, "", 0);
    return;
  }
  chat_make(c);
}

static void chat_sign_in(struct chat *c, bool refused)
{
  c->state = CHAT_SIGNING;
  c->signing = (struct login_waiter){ .done = chat_signed_in, .pump = c->ap->pump };
  login_renew(c->app->login, c->lease.account, c->lease.token_no, refused, &c->signing);
  chat_arm(c);
}

static void chat_leased(struct chat *c)
{
  int64_t now = chat_now(c);
  c->lease = c->waiter.lease;
  c->waiter.lease = LEASE_NONE;
  c->lease_busy = true;
  c->queue_ms = c->poll_ms = 0;
  if(!c->first_ms) {
    c->first_ms = now;
    if(c->stream) c->commit_ms = now + c->config->sse_early_headers_ms;
  }
  switch(pool_token_state(&c->lease, chat_wall(c))) {
  case POOL_TOKEN_DEAD: chat_sign_in(c, false); return;
  case POOL_TOKEN_SOON: login_renew(c->app->login, c->lease.account, c->lease.token_no, false, NULL); break;
  case POOL_TOKEN_FRESH: break;
  }
  chat_make(c);
}

static void chat_granted(struct pump_task *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, grant_task));
  if(c->state == CHAT_OVER) {
    pool_release(c->app->pool, &c->waiter.lease, chat_wall(c), Q_CLIENT_GONE, "", 0, STR_NONE);
    chat_bury_later(c);
    return;
  }
  chat_leased(c);
}

/* On whatever thread made room, with the pool's lock held. */
static void chat_grant(struct pool_waiter *w)
{
  struct chat *c = (struct chat *)((char *)w - offsetof(struct chat, waiter));
  pump_post(c->ap->pump, &c->grant_task);
}

static void chat_seek(struct chat *c)
{
  int64_t return_ms, now = chat_now(c), wall = chat_wall(c);
  struct q_error e = Q_ERROR_NONE;
  c->state = CHAT_QUEUED;
  c->waiter.granted = chat_grant;
  c->waiter.want.feature = c->search ? FEATURE_SEARCH : FEATURE_CHAT;
  c->waiter.want.model = str_z(c->model_id);
  enum q_status st = pool_acquire(c->app->pool, &c->waiter, wall, c->begun_ms + c->config->queue_timeout_ms - now,
                                  &return_ms, &e);
  if(!st) {
    chat_leased(c);
    return;
  }
  if(st != Q_AGAIN) {
    c->state = CHAT_RESTING;
    if(c->best.st && !c->best.retry_after_s) c->best.retry_after_s = e.retry_after_s;
    chat_fail(c, c->best.st ? &c->best : &e);
    return;
  }
  c->queue_ms = c->begun_ms + c->config->queue_timeout_ms;
  c->poll_ms = return_ms ? now + (return_ms > wall ? return_ms - wall : 0) + 1 : 0;
  if(c->stream && !c->commit_ms && !c->committed) c->commit_ms = c->begun_ms + CHAT_QUEUE_COMMIT_MS;
  chat_arm(c);
}

/* ---- trouble and its cure ---- */

enum chat_cure { CURE_NONE, CURE_TOKEN, CURE_FRESH, CURE_PLAIN, CURE_ACCOUNT, CURE_LATER };

static enum chat_cure chat_cure_of(enum q_status st)
{
  switch(st) {
  case Q_UP_AUTH: return CURE_TOKEN;
  case Q_UP_IN_PROGRESS:
  case Q_UP_CHAT_GONE: return CURE_FRESH;
  case Q_UP_BODY: return CURE_PLAIN;
  case Q_UP_BARRED:
  case Q_UP_BAD_LOGIN:
  case Q_UP_QUOTA:
  case Q_UP_BUSY:
  case Q_UP_PARALLEL:
  case Q_UP_MODEL_QUOTA:
  case Q_UP_CHALLENGE: return CURE_ACCOUNT;
  case Q_UP_ERROR:
  case Q_UP_UNREACHABLE:
  case Q_UP_TLS:
  case Q_PROXY:
  case Q_UP_CONNECT_TIME:
  case Q_UP_FIRST_TIME:
  case Q_UP_IDLE_TIME:
  case Q_UP_CUT:
  case Q_UP_STOPPED:
  case Q_UP_EMPTY: return CURE_LATER;
  default: return CURE_NONE;
  }
}

/* What an operator or a client can act on comes first. */
static int chat_rank(enum q_status st)
{
  switch(st) {
  case Q_UP_QUOTA:
  case Q_UP_MODEL_QUOTA: return 5;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL: return 4;
  case Q_UP_CHALLENGE: return 3;
  case Q_UP_AUTH:
  case Q_UP_BAD_LOGIN:
  case Q_UP_BARRED: return 2;
  default: return 1;
  }
}

/* The sentence a client reads; the upstream's own words follow a colon when there are any. */
static void chat_describe(struct q_error *e, enum q_status st, const char *words, int wait_s)
{
  const char *what;
  switch(st) {
  case Q_UP_AUTH:
  case Q_UP_BAD_LOGIN: what = "The upstream refused the account's sign-in; the operator must renew it"; break;
  case Q_UP_BARRED: what = "The upstream barred the account"; break;
  case Q_UP_QUOTA: what = "The account's quota of the day is used up"; break;
  case Q_UP_MODEL_QUOTA: what = "The upstream's quota for this model is used up"; break;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL: what = "The upstream limits the account's requests"; break;
  case Q_UP_CHALLENGE:
    what = "The upstream asks for a captcha and answers nothing; the operator must solve it in a browser, or use "
           "another account or proxy";
    break;
  case Q_UP_EMPTY: what = "The upstream ended without an answer; try again"; break;
  case Q_UP_CUT: what = "The upstream's answer was cut; try again"; break;
  case Q_UP_STOPPED: what = "The answer was stopped on the upstream's side"; break;
  case Q_UP_FIRST_TIME: what = "The upstream sent nothing in time; try again"; break;
  case Q_UP_IDLE_TIME: what = "The upstream fell silent; try again"; break;
  case Q_UP_BODY: what = "The upstream did not understand the request, or its answer has an unknown shape"; break;
  case Q_UP_ERROR: what = "The upstream reported an internal error; try again"; break;
  case Q_UP_IN_PROGRESS:
  case Q_UP_CHAT_GONE: what = "The upstream lost the chat; try again"; break;
  case Q_FILTER: what = "The upstream's content inspection refused the prompt"; break;
  case Q_TOO_LONG: what = "The conversation is too long for the model; shorten it"; break;
  case Q_NO_MODEL: what = "The upstream does not know the model"; break;
  case Q_UP_CONNECT_TIME: what = "Connecting to the upstream took too long"; break;
  case Q_UP_UNREACHABLE: what = "The upstream cannot be reached"; break;
  case Q_UP_TLS: what = "No secure connection to the upstream"; break;
  case Q_PROXY: what = "The proxy cannot be used"; break;
  case Q_NOMEM: what = "Out of memory"; break;
  default: what = "The request failed"; break;
  }
  *e = Q_ERROR_NONE;
  size_t n = strlen(words);
  if(n) status_fail(e, st, st == Q_NO_MODEL ? "model" : NULL, "%s: %s", what, words);
  else status_fail(e, st, st == Q_NO_MODEL ? "model" : NULL, "%s.", what);
  e->retry_after_s = wait_s;
}

static bool chat_may_attempt(const struct chat *c)
{
  return !c->sent && c->client && (!c->first_ms || chat_now(c) - c->first_ms < CHAT_LAST_ATTEMPT_MS) &&
         !atomic_load(&c->app->draining);
}

static void chat_avoid(struct chat *c, const struct account *a)
{
  struct pool_want *w = &c->waiter.want;
  if(w->avoid_n < POOL_AVOID_MAX) w->avoid[w->avoid_n++] = a;
}

/* What was collected of an abandoned attempt must not reach the client. */
static void chat_forget(struct chat *c)
{
  if(c->begun && c->stream) return; /* only the role chunk and comments are out: they stay true */
  out_forget(&c->out);
}

static void chat_trouble(struct chat *c, enum q_status st, const char *words, int wait_s)
{
  struct q_error e;
  enum chat_cure cure = chat_cure_of(st);
  chat_describe(&e, st, words, wait_s);
  LOG_INFO(c->app->log, "chat", c->request_id, "attempt %d on %s: %s%s%s", c->attempts,
           c->lease_busy ? c->lease.account->label : "-", status_row(st)->text, words[0] ? ": " : "", words);
  if(chat_rank(st) >= chat_rank(c->best.st) || !c->best.st) c->best = e;
  chat_close_exchange(c);
  c->step_ms = c->idle_ms = c->linger_ms = 0;
  if(st == Q_UP_CUT && c->events.any_answer && !c->sent && !c->stream) cure = CURE_LATER;

  if(!chat_may_attempt(c)) cure = CURE_NONE;
  if(cure == CURE_TOKEN && (c->renewed || !c->lease_busy)) cure = CURE_ACCOUNT;
  if(cure == CURE_FRESH && c->fresh_done) cure = CURE_LATER;
  if(cure == CURE_PLAIN && c->plain) cure = CURE_NONE;
  if(cure == CURE_ACCOUNT || cure == CURE_LATER) {
    if(c->config->chat_retry_count == 0) cure = CURE_NONE;
    if(st == Q_UP_CHALLENGE && ++c->challenges > 1) cure = CURE_NONE;
  }
  if(cure == CURE_ACCOUNT && ++c->account_tries > CHAT_ACCOUNTS_MAX) cure = CURE_NONE;
  if(cure == CURE_LATER && ++c->retries > c->config->chat_retry_count) cure = CURE_NONE;

  switch(cure) {
  case CURE_TOKEN:
    chat_leave_upstream(c);
    c->renewed = true;
    if(pool_token_reload(c->app->pool, &c->lease)) chat_make(c); /* another turn renewed it meanwhile */
    else chat_sign_in(c, true);
    return;
  case CURE_FRESH:
  case CURE_PLAIN:
    chat_leave_upstream(c);
    chat_forget(c);
    c->fresh_done |= cure == CURE_FRESH;
    c->plain |= cure == CURE_PLAIN;
    c->force_new = true;
    chat_make(c);
    return;
  case CURE_ACCOUNT:
  case CURE_LATER:
    chat_leave_upstream(c);
    chat_forget(c);
    if(c->lease_busy) chat_avoid(c, c->lease.account);
    chat_release(c, st, words, wait_s);
    if(cure == CURE_ACCOUNT) {
      chat_seek(c);
      return;
    }
    int64_t wait = c->config->chat_retry_backoff_ms << (c->retries - 1 > 10 ? 10 : c->retries - 1);
    wait += wait * ((int64_t)(crypt_u32(&c->ap->rng) % 41) - 20) / 100; /* +- 20 % */
    c->state = CHAT_RESTING;
    c->rest_ms = chat_now(c) + (wait > 0 ? wait : 1);
    chat_arm(c);
    return;
  case CURE_NONE:
    break;
  }
  chat_leave_upstream(c);
  chat_release(c, st, words, wait_s);
  if(c->sent) chat_fail(c, &e);
  else chat_fail(c, &c->best);
}

/* ---- time ---- */

static void chat_earliest(int64_t *at, int64_t t)
{
  if(t && (!*at || t < *at)) *at = t;
}

/* Keeps one timer at or before the earliest deadline; deadlines that only move away cost nothing. */
static void chat_arm(struct chat *c)
{
  int64_t at = 0;
  chat_earliest(&at, c->queue_ms);
  chat_earliest(&at, c->poll_ms);
  chat_earliest(&at, c->step_ms);
  chat_earliest(&at, c->idle_ms);
  chat_earliest(&at, c->turn_ms);
  chat_earliest(&at, c->linger_ms);
  chat_earliest(&at, c->rest_ms);
  if(!c->committed) chat_earliest(&at, c->commit_ms);
  if(c->committed) chat_earliest(&at, c->beat_ms);
  if(!at || (c->timer.slot && c->timer.at_ms <= at)) return;
  if(pump_timer_set(c->ap->pump, &c->timer, at)) LOG_ERROR(c->app->log, "chat", c->request_id, "no memory for a timer");
}

static bool chat_due(int64_t *deadline, int64_t now)
{
  if(!*deadline || now < *deadline) return false;
  *deadline = 0;
  return true;
}

/* Commits the head, or says that we are still here. */
static void chat_beat(struct chat *c)
{
  c->beat_ms = chat_now(c) + chat_beat_ms(c);
  if(c->committed && client_pending(c->client)) return; /* it has enough to read */
  struct chat_piece p = chat_open(c);
  if(c->stream) c->out.ops->heartbeat(&c->out, p.b);
  else strbuf_addc(p.b, ' ');
  if(chat_write(c, p, false)) LOG_DEBUG(c->app->log, "chat", c->request_id, "a heartbeat was not taken");
}

static void chat_time(struct pump_timer *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, timer));
  int64_t now = chat_now(c);
  if(!c->committed && chat_due(&c->commit_ms, now)) chat_beat(c);
  else if(c->committed && chat_due(&c->beat_ms, now)) chat_beat(c);

  if(chat_due(&c->rest_ms, now)) {
    chat_seek(c);
  } else if(c->state == CHAT_QUEUED && chat_due(&c->queue_ms, now)) {
    struct q_error e = Q_ERROR_NONE;
    if(pool_leave(c->app->pool, &c->waiter)) {
      c->state = CHAT_RESTING;
      pool_reason(c->app->pool, c->waiter.want.feature, chat_wall(c), &e);
      chat_fail(c, c->best.st ? &c->best : &e);
      return;
    }
  } else if(c->state == CHAT_QUEUED && chat_due(&c->poll_ms, now)) {
    pool_poll(c->app->pool, chat_wall(c));
  } else if(c->state == CHAT_READING && chat_due(&c->linger_ms, now)) {
    chat_read_end(c);
    return;
  } else if(c->state == CHAT_ASKED && c->step_ms && now >= c->step_ms && !xchg_sent_all(&c->x)) {
    c->step_ms = now + c->config->upstream_first_byte_timeout_ms; /* it runs from the last byte of the question */
  } else if(chat_due(&c->step_ms, now)) {
    chat_trouble(c, c->state == CHAT_MAKING || c->state == CHAT_ASKED ? Q_UP_FIRST_TIME : Q_UP_IDLE_TIME, "", 0);
    return;
  } else if(chat_due(&c->idle_ms, now) || chat_due(&c->turn_ms, now)) {
    if(c->x_open) {
      /* A client that lags behind is not the upstream's silence. */
      if(c->client && client_pending(c->client) > CHAT_PENDING_MAX) c->idle_ms = now + c->config->upstream_idle_timeout_ms;
      else {
        chat_trouble(c, Q_UP_IDLE_TIME, "", 0);
        return;
      }
    }
  }
  if(c->state != CHAT_OVER) chat_arm(c);
}

/* ---- the client ---- */

static void chat_start(struct client_taker *t, struct client *client)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, taker));
  c->client = client;
  c->ap = app_pump_of(c->app, client_pump(client));
  c->next = c->ap->chats;
  c->at = &c->ap->chats;
  if(c->next) c->next->at = &c->next;
  c->ap->chats = c;
  atomic_fetch_add(&c->app->chats_open, 1);
  atomic_fetch_add(&c->app->counts.chats, 1);
  c->timer.fn = chat_time;
  c->again.fn = chat_again;
  c->grant_task.fn = chat_granted;
  c->begun_ms = chat_now(c);
  if(!c->stream && c->config->json_heartbeat) c->commit_ms = c->begun_ms + CHAT_JSON_COMMIT_MS;
  client_release_request(client);
  chat_seek(c);
}

static void chat_drained(struct client_taker *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, taker));
  if(c->x_open) {
    c->idle_ms = c->state == CHAT_READING ? chat_now(c) + c->config->upstream_idle_timeout_ms : c->idle_ms;
    chat_pull(c);
  }
}

static void chat_gone(struct client_taker *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, taker));
  LOG_INFO(c->app->log, "chat", c->request_id, "client closed (499)");
  atomic_fetch_add(&c->app->counts.chats_gone, 1);
  c->client = NULL;
  chat_close_exchange(c);
  chat_leave_upstream(c);
  chat_release(c, Q_CLIENT_GONE, "", 0);
  chat_over(c);
}

struct client_taker *chat_taker(struct chat *c)
{
  c->taker.start = chat_start;
  c->taker.on_drain = chat_drained;
  c->taker.on_gone = chat_gone;
  return &c->taker;
}

void chat_end_all(struct app_pump *p)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_SHUTDOWN, NULL, "The gateway is shutting down; send the request again.");
  for(struct chat *c = p->chats, *next; c; c = next) {
    next = c->next;
    if(c->state == CHAT_OVER) continue;
    chat_close_exchange(c);
    chat_fail(c, &e);
  }
}
