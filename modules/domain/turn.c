#include "domain/turn_read.h"

#include "domain/cure.h"
#include "domain/keeper.h"
#include "domain/qwen.h"
#include "domain/tidy.h"

enum {
  TURN_LAST_ATTEMPT_MS = 90 * 1000,
  TURN_CALL_MS = 20 * 1000,          /* chats/new */
  TURN_PARALLEL_MS = 1000,           /* to four times as much: the only account is told to be parallel */
  TURN_ACCOUNTS_MAX = 5
};

static void turn_seek(struct turn *t);
static void turn_make(struct turn *t);

/* ---- the end ---- */

void turn_close_exchange(struct turn *t)
{
  if(!t->x_open) return;
  if(t->state == TURN_ASKED && !xchg_sent_all(&t->x)) t->asked = false; /* the upstream never got the question */
  t->x_open = false;
  xchg_close(&t->x);
}

static void turn_release(struct turn *t, enum q_status how, const char *words, int wait_s)
{
  if(!t->lease_busy) return;
  t->lease_busy = false;
  t->up_done = false;
  strbuf_free(&t->up.files);
  if(how && how != Q_CLIENT_GONE) stats_upstream(turn_app(t)->stats, how);
  pool_release(turn_app(t)->pool, &t->lease, turn_wall(t), how, words, wait_s, t->want.model);
}

/* A turn the upstream still works on is stopped (a video's is a task of its own); the chat is deleted if so configured. */
static void turn_leave_upstream(struct turn *t)
{
  bool cleanup = t->config->chat_cleanup_mode != 0;
  struct str id = str_z(t->chat_id.id);
  if(id.n && t->lease_busy) {
    if(t->asked && !t->turn_over && !turn_video(t)) tidy_stop(t->ap, &t->lease, id, str_z(t->events.response_id), cleanup);
    else if(cleanup) tidy_delete(t->ap, &t->lease, id);
  }
  t->chat_id.id[0] = 0;
  t->asked = t->turn_over = false;
}

bool turn_close(struct turn *t, enum q_status how)
{
  enum turn_state was = t->state;
  if(was == TURN_CLOSED) return true;
  turn_close_exchange(t);
  t->state = TURN_CLOSED;
  turn_leave_upstream(t);
  turn_release(t, how, "", 0);
  pump_timer_off(t->ap->pump, &t->timer);
  if(t->again_on) pump_undefer(t->ap->pump, &t->again);
  t->again_on = false;
  if(was == TURN_QUEUED && !pool_leave(turn_app(t)->pool, &t->waiter) && t->waiter.lease.account) return false; /* grant_task comes */
  if(was == TURN_SIGNING && !login_leave(turn_app(t)->login, &t->signing)) return false;                        /* signing.done comes */
  if(was == TURN_BRINGING && !upload_leave(&t->up)) return false;                                               /* up.done comes */
  return true;
}

void turn_free(struct turn *t)
{
  if(t->prefer) pool_unkeep(turn_app(t)->pool, t->prefer);
  t->prefer = NULL;
  sse_free(&t->sse);
  qwen_event_free(&t->events);
  strbuf_free(&t->body);
  strbuf_free(&t->up.files);
}

static void turn_fail(struct turn *t, const struct q_error *e)
{
  struct q_error own = *e;
  turn_close_exchange(t);
  turn_leave_upstream(t);
  turn_release(t, Q_CLIENT_GONE, "", 0);
  pump_timer_off(t->ap->pump, &t->timer);
  t->state = TURN_IDLE;
  t->ops->over(t, &own);
}

void turn_fail_st(struct turn *t, enum q_status st, const char *msg)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, st, NULL, "%s", msg);
  turn_fail(t, &e);
}

/* The answer is complete. */
void turn_finish(struct turn *t)
{
  turn_close_exchange(t);
  enum q_status st = t->ops->judge(t);
  if(!turn_alive(t)) return;
  if(st) {
    turn_trouble(t, st, "", 0);
    return;
  }
  pump_timer_off(t->ap->pump, &t->timer);
  t->state = TURN_IDLE;
  t->ops->over(t, NULL);
}

/* ---- calls ---- */

enum q_status turn_call(struct turn *t, const char *method, const char *path, struct str query, bool events, struct strbuf *body)
{
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct qwen_call q = { t->config, &t->ap->rng, secret_str(t->lease.token), str_z(t->chat_id.id), events, now_wall_s(turn_app(t)->now),
                         secret_str(t->lease.headers), secret_str(t->lease.cookie) };
  struct str proxy = secret_str(t->lease.proxy);
  qwen_url(t->config, path, query, &url);
  qwen_headers(&q, &headers);
  t->x = (struct xchg){ .on_ready = turn_ready };
  t->http_status = 0;
  t->retry_after[0] = 0;
  t->body.max = TURN_BODY_MAX;
  strbuf_clear(&t->body);
  enum q_status st = url.err ? url.err : headers.err ? headers.err : body ? body->err : Q_OK;
  if(!st) {
    struct xchg_req r = { strbuf_str(&url), proxy.n ? proxy : str_z(t->config->proxy_url), str_z(method), strbuf_str(&headers), body,
                          t->config->upstream_connect_timeout_ms };
    bool once = turn_video(t) && t->state == TURN_ASKED;
    st = once ? xchg_start_once(&t->x, t->ap->httpc, &r) : xchg_start(&t->x, t->ap->httpc, &r);
  }
  if(!st) t->x_open = true;
  if(body) strbuf_free(body);
  strbuf_free(&headers);
  strbuf_free(&url);
  return st;
}

/* ---- an attempt: attachments, a chat, the question ---- */

static void turn_ask(struct turn *t)
{
  char fid[40], child[40];
  struct str prompt = t->document_failed ? t->want.prompt_inline : t->want.prompt;
  struct strbuf body = STRBUF(prompt.n + t->up.files.n + 16 * 1024);
  struct qwen_turn q = { .chat_id = str_z(t->chat_id.id), .model = t->want.model, .prompt_json = prompt, .kind = t->want.kind,
                         .think = t->want.think, .think_budget = t->want.think_budget, .size = t->want.size,
                         .files_json = strbuf_str(&t->up.files), .stream = !turn_video(t),
                         .summary = t->config->thinking_format_summary || turn_video(t), .plain = t->plain, .wall_s = now_wall_s(turn_app(t)->now) };
  crypt_uuid(&t->ap->rng, fid);
  crypt_uuid(&t->ap->rng, child);
  q.fid = str_z(fid);
  q.child = str_z(child);
  qwen_req_completion(&q, &body);
  sse_free(&t->sse);
  qwen_event_free(&t->events);
  enum q_status st = sse_init(&t->sse, 4 * 1024 * 1024);
  if(!st) st = qwen_event_init(&t->events, turn_video(t) ? DELTA_INCREMENTAL : t->config->delta_mode);
  t->events.want_media = turn_pictures(t) || turn_video(t);
  t->asked = t->turn_over = false;
  t->linger_ms = 0;
  t->looks = 0;
  t->cut.st = Q_OK;
  t->state = TURN_ASKED;
  if(!st) st = turn_call(t, "POST", "/api/v2/chat/completions?chat_id=", str_z(t->chat_id.id), !turn_video(t), &body);
  strbuf_free(&body);
  if(st) {
    turn_fail_st(t, Q_NOMEM, "Out of memory.");
    return;
  }
  int64_t now = turn_now(t);
  t->asked = true; /* from here the upstream may be at work */
  t->step_ms = now + t->config->upstream_first_byte_timeout_ms;
  t->idle_ms = 0;
  if(!t->turn_ms && !turn_video(t)) t->turn_ms = now + t->config->upstream_turn_timeout_ms;
  if(t->want.kind == CHAT_T2T) tidy_stock(t->ap, &t->lease, t->want.model);
  turn_arm(t);
}

/* The answer to chats/new is complete. */
void turn_made(struct turn *t)
{
  struct trouble why;
  enum q_status st = qwen_chat_id(t->http_status, str_z(t->retry_after), strbuf_str(&t->body), t->chat_id.id, sizeof t->chat_id.id, &why);
  turn_close_exchange(t);
  if(st) turn_trouble(t, st, why.words, why.wait_s);
  else turn_ask(t);
}

static void turn_chat(struct turn *t)
{
  bool from_stock = !t->force_new && t->want.kind == CHAT_T2T &&
                    pool_stock_take(turn_app(t)->pool, t->lease.account, t->want.model, &t->chat_id);
  if(from_stock) {
    turn_ask(t);
    return;
  }
  struct strbuf body = STRBUF(4096);
  t->state = TURN_MAKING;
  t->chat_id.id[0] = 0;
  qwen_req_new_chat(t->want.model, qwen_req_kind(t->want.kind), turn_wall(t), &body);
  if(turn_call(t, "POST", "/api/v2/chats/new", STR_NONE, false, &body)) {
    turn_fail_st(t, Q_NOMEM, "Out of memory.");
    return;
  }
  t->step_ms = turn_now(t) + TURN_CALL_MS;
  turn_arm(t);
}

static void turn_brought(struct upload *u)
{
  struct turn *t = (struct turn *)((char *)u - offsetof(struct turn, up));
  if(t->state == TURN_CLOSED) {
    t->ops->closed(t);
    return;
  }
  if(!u->st) {
    t->up_done = true;
    t->document_failed = u->document_failed;
    turn_chat(t);
    return;
  }
  struct q_error e = u->err;
  switch(u->st) {
  case Q_BAD_MEDIA:
  case Q_MEDIA_REFUSED:
  case Q_TOO_BIG:
  case Q_OVERLOADED:
  case Q_NOMEM:
  case Q_UPLOAD_FAILED: turn_fail(t, &e); break;
  case Q_UP_BUSY:
  case Q_UP_QUOTA: /* booked on the feature already: it is not the chat that is limited */
    cure_describe(&t->best, u->st, u->words, u->wait_s, false);
    turn_release(t, Q_CLIENT_GONE, "", 0);
    turn_trouble(t, u->st, u->words, u->wait_s);
    break;
  default: turn_trouble(t, u->st, u->words, u->wait_s); break;
  }
}

/* From a live token on. */
static void turn_make(struct turn *t)
{
  t->attempts++;
  atomic_fetch_add(&turn_app(t)->counts.attempts, 1);
  if(!t->want.files || t->up_done) {
    turn_chat(t);
    return;
  }
  t->state = TURN_BRINGING;
  strbuf_free(&t->up.files);
  t->up = (struct upload){ .done = turn_brought };
  if(upload_start(&t->up, turn_app(t), t->ap->pump, t->want.files, &t->lease)) {
    t->state = TURN_RESTING;
    turn_fail_st(t, Q_NOMEM, "Out of memory.");
    return;
  }
  turn_arm(t);
}

/* ---- accounts and tokens ---- */

static void turn_signed_in(struct login_waiter *w, enum q_status st)
{
  struct turn *t = (struct turn *)((char *)w - offsetof(struct turn, signing));
  if(t->state == TURN_CLOSED) {
    t->ops->closed(t);
    return;
  }
  pool_token_reload(turn_app(t)->pool, &t->lease);
  if(st || pool_token_state(&t->lease, turn_wall(t)) == POOL_TOKEN_DEAD) {
    turn_release(t, Q_CLIENT_GONE, "", 0); /* the renewal has booked its failure itself */
    turn_trouble(t, st ? st : Q_UP_AUTH, "", 0);
    return;
  }
  turn_make(t);
}

static void turn_sign_in(struct turn *t, bool refused)
{
  t->state = TURN_SIGNING;
  t->signing = (struct login_waiter){ .done = turn_signed_in, .pump = t->ap->pump };
  login_renew(turn_app(t)->login, t->lease.account, t->lease.token_no, refused, &t->signing);
  turn_arm(t);
}

static void turn_leased(struct turn *t)
{
  t->lease = t->waiter.lease;
  t->waiter.lease = LEASE_NONE;
  t->lease_busy = true;
  t->queue_ms = t->poll_ms = 0;
  if(!t->first_ms) t->first_ms = turn_now(t);
  t->ops->leased(t);
  switch(pool_token_state(&t->lease, turn_wall(t))) {
  case POOL_TOKEN_DEAD: turn_sign_in(t, false); return;
  case POOL_TOKEN_SOON: login_renew(turn_app(t)->login, t->lease.account, t->lease.token_no, false, NULL); break;
  case POOL_TOKEN_FRESH: break;
  }
  turn_make(t);
}

static void turn_granted(struct pump_task *task)
{
  struct turn *t = (struct turn *)((char *)task - offsetof(struct turn, grant_task));
  if(t->state == TURN_CLOSED) {
    pool_release(turn_app(t)->pool, &t->waiter.lease, turn_wall(t), Q_CLIENT_GONE, "", 0, STR_NONE);
    t->ops->closed(t);
    return;
  }
  turn_leased(t);
}

/* On whatever thread made room, with the pool's lock held. */
static void turn_grant(struct pool_waiter *w)
{
  struct turn *t = (struct turn *)((char *)w - offsetof(struct turn, waiter));
  pump_post(t->ap->pump, &t->grant_task);
}

static enum feature turn_feature(enum chat_kind kind)
{
  switch(kind) {
  case CHAT_SEARCH: return FEATURE_SEARCH;
  case CHAT_T2I:
  case CHAT_IMAGE_EDIT: return FEATURE_IMAGE;
  case CHAT_T2V: return FEATURE_VIDEO;
  default: return FEATURE_CHAT;
  }
}

static void turn_seek(struct turn *t)
{
  int64_t return_ms, now = turn_now(t), wall = turn_wall(t);
  struct q_error e = Q_ERROR_NONE;
  t->state = TURN_QUEUED;
  enum q_status st = pool_acquire(turn_app(t)->pool, &t->waiter, wall, t->begun_ms + t->config->queue_timeout_ms - now, &return_ms, &e);
  if(!st) {
    turn_leased(t);
    return;
  }
  if(st != Q_AGAIN) {
    t->state = TURN_RESTING;
    if(t->best.st && !t->best.retry_after_s) t->best.retry_after_s = e.retry_after_s;
    turn_fail(t, t->best.st ? &t->best : &e);
    return;
  }
  t->queue_ms = t->begun_ms + t->config->queue_timeout_ms;
  t->poll_ms = return_ms ? now + (return_ms > wall ? return_ms - wall : 0) + 1 : 0;
  turn_arm(t);
}

/* ---- trouble and its cure ---- */

/* The question for a video has left us whole, and this is no answer that says what became of it. Before the exchange is closed. */
static bool turn_in_doubt(const struct turn *t, enum q_status st)
{
  bool typed = st == Q_UP_QUOTA || st == Q_UP_BUSY || st == Q_UP_PARALLEL || st == Q_UP_AUTH || st == Q_UP_MODEL_QUOTA;
  bool silent = st == Q_UP_CUT || st == Q_UP_FIRST_TIME || st == Q_UP_IDLE_TIME || st == Q_UP_UNREACHABLE || st == Q_UP_TLS || st == Q_UP_EMPTY;
  if(!turn_video(t)) return false;
  if(t->state == TURN_READING) return t->events.response_id[0] || !typed;
  return (t->state == TURN_ASKED || t->state == TURN_COLLECTING) && silent && (!t->x_open || xchg_sent_all(&t->x));
}

static bool turn_may_attempt(struct turn *t)
{
  bool drawing = turn_pictures(t) && t->events.response_id[0]; /* a second picture would cost its quota again */
  if(t->ops->again && !t->ops->again(t)) return false;
  return !t->sent && !drawing && !t->doubtful && (!t->first_ms || turn_now(t) - t->first_ms < TURN_LAST_ATTEMPT_MS) &&
         !atomic_load(&turn_app(t)->draining);
}

static void turn_avoid(struct turn *t, const struct account *a)
{
  struct pool_want *w = &t->waiter.want;
  if(w->avoid_n < POOL_AVOID_MAX) w->avoid[w->avoid_n++] = a;
}

static enum cure turn_choose(struct turn *t, enum q_status st)
{
  enum cure cure = cure_of(st);
  if(!turn_may_attempt(t)) return CURE_NONE;
  if(cure == CURE_TOKEN && (t->renewed || !t->lease_busy)) cure = CURE_ACCOUNT;
  if(cure == CURE_FRESH && t->fresh_done) cure = CURE_LATER;
  if(cure == CURE_PLAIN && t->plain) cure = CURE_NONE;
  if(cure == CURE_ACCOUNT || cure == CURE_LATER) {
    if(t->config->chat_retry_count == 0) cure = CURE_NONE;
    if(st == Q_UP_CHALLENGE && ++t->challenges > 1) cure = CURE_NONE;
    if(t->want.only) cure = CURE_NONE; /* there is no other, and this one is not pressed */
  }
  if(cure == CURE_ACCOUNT && ++t->account_tries > TURN_ACCOUNTS_MAX) cure = CURE_NONE;
  if(cure == CURE_LATER && ++t->retries > t->config->chat_retry_count) cure = CURE_NONE;
  return cure;
}

static void turn_rest(struct turn *t, int64_t ms)
{
  t->state = TURN_RESTING;
  t->rest_ms = turn_now(t) + (ms > 0 ? ms : 1);
  turn_arm(t);
}

static int64_t turn_backoff(struct turn *t)
{
  return cure_backoff_ms(t->config->chat_retry_backoff_ms, t->retries, crypt_u32(&t->ap->rng));
}

static void turn_next_account(struct turn *t, enum cure cure, enum q_status st, const char *words, int wait_s)
{
  bool only = st == Q_UP_PARALLEL && pool_count(turn_app(t)->pool, t->waiter.want.feature, turn_wall(t)).usable <= 1;
  turn_leave_upstream(t);
  t->ops->forget(t);
  if(t->lease_busy) turn_avoid(t, t->lease.account);
  turn_release(t, st, words, wait_s);
  if(only) turn_rest(t, TURN_PARALLEL_MS + crypt_u32(&t->ap->rng) % (3 * TURN_PARALLEL_MS));
  else if(cure == CURE_ACCOUNT) turn_seek(t);
  else turn_rest(t, turn_backoff(t));
}

/* The same account once more, in a fresh chat. */
static void turn_once_more(struct turn *t)
{
  turn_leave_upstream(t);
  t->ops->forget(t);
  t->force_new = true;
  turn_make(t);
}

/* An uploaded file that the upstream does not know any more is forgotten and brought again, once. */
static bool turn_file_refused(struct turn *t, enum q_status st, const char *words)
{
  return st == Q_UP_BODY && t->want.files && t->up_done && !t->up_again && t->lease_busy && str_ifind(str_z(words), S("file")) >= 0;
}

/* When it is worth coming back: what the pool knows after this turn was booked. */
static void turn_when(struct turn *t, struct q_error *e)
{
  struct q_error why = Q_ERROR_NONE;
  if(e->retry_after_s || status_row(e->st)->http != 429) return;
  pool_reason(turn_app(t)->pool, &t->waiter.want, turn_wall(t), &why);
  e->retry_after_s = why.retry_after_s;
}

void turn_trouble(struct turn *t, enum q_status st, const char *words, int wait_s)
{
  struct q_error e;
  char own[304];
  str_copy(own, sizeof own, str_z(words)); /* words may lie in what is closed below */
  cure_describe(&e, st, own, wait_s, turn_pictures(t) || turn_video(t));
  LOG_INFO(turn_app(t)->log, "turn", t->want.request_id, "attempt %d on %s: %s%s%s", t->attempts, t->lease_busy ? t->lease.account->label : "-",
           status_row(st)->text, own[0] ? ": " : "", own);
  t->doubtful = turn_in_doubt(t, st);
  turn_close_exchange(t);
  t->step_ms = t->idle_ms = t->linger_ms = 0;
  bool broke = st == Q_UP_CUT || st == Q_UP_IDLE_TIME;
  if(broke && !t->looks && (t->events.any_answer || (turn_pictures(t) && t->events.response_id[0])) && turn_may_recall(t)) {
    t->cut = (struct trouble){ .st = st, .wait_s = wait_s };
    str_copy(t->cut.words, sizeof t->cut.words, str_z(own));
    turn_recall(t);
    return;
  }
  if(cure_rank(st) >= cure_rank(t->best.st) || !t->best.st) t->best = e;
  if(st == Q_NO_MODEL) keeper_models_now(turn_app(t)->keeper);
  if(turn_file_refused(t, st, own) && turn_may_attempt(t)) {
    upload_forget(turn_app(t), &t->lease, t->want.files);
    t->up_again = true;
    t->up_done = false;
    turn_once_more(t);
    return;
  }
  enum cure cure = turn_choose(t, st);
  switch(cure) {
  case CURE_TOKEN:
    turn_leave_upstream(t);
    t->renewed = true;
    if(pool_token_reload(turn_app(t)->pool, &t->lease)) turn_make(t); /* another turn renewed it meanwhile */
    else turn_sign_in(t, true);
    return;
  case CURE_FRESH:
  case CURE_PLAIN:
    t->fresh_done |= cure == CURE_FRESH;
    t->plain |= cure == CURE_PLAIN;
    turn_once_more(t);
    return;
  case CURE_ACCOUNT:
  case CURE_LATER: turn_next_account(t, cure, st, own, wait_s); return;
  case CURE_NONE: break;
  }
  turn_leave_upstream(t);
  turn_release(t, st, own, wait_s);
  turn_when(t, &e);
  turn_when(t, &t->best);
  if(t->sent) turn_fail(t, &e);
  else turn_fail(t, &t->best);
}

/* ---- time ---- */

static void turn_earliest(int64_t *at, int64_t ms)
{
  if(ms && (!*at || ms < *at)) *at = ms;
}

/* Keeps one timer at or before the earliest deadline; deadlines that only move away cost nothing. */
void turn_arm(struct turn *t)
{
  int64_t at = 0;
  if(!turn_alive(t)) return;
  turn_earliest(&at, t->queue_ms);
  turn_earliest(&at, t->poll_ms);
  turn_earliest(&at, t->step_ms);
  turn_earliest(&at, t->idle_ms);
  turn_earliest(&at, t->turn_ms);
  turn_earliest(&at, t->linger_ms);
  turn_earliest(&at, t->rest_ms);
  if(!at || (t->timer.slot && t->timer.at_ms <= at)) return;
  if(pump_timer_set(t->ap->pump, &t->timer, at)) LOG_ERROR(turn_app(t)->log, "turn", t->want.request_id, "no memory for a timer");
}

static bool turn_due(int64_t *deadline, int64_t now)
{
  if(!*deadline || now < *deadline) return false;
  *deadline = 0;
  return true;
}

static void turn_waited(struct turn *t)
{
  struct q_error e = Q_ERROR_NONE;
  if(!pool_leave(turn_app(t)->pool, &t->waiter)) return; /* granted at the last moment */
  t->state = TURN_RESTING;
  pool_reason(turn_app(t)->pool, &t->waiter.want, turn_wall(t), &e);
  turn_fail(t, t->best.st ? &t->best : &e);
}

static void turn_step_late(struct turn *t)
{
  if(t->state == TURN_RECALLING) turn_recalled_nothing(t);
  else turn_trouble(t, t->state == TURN_MAKING || t->state == TURN_ASKED ? Q_UP_FIRST_TIME : Q_UP_IDLE_TIME, "", 0);
}

static void turn_time(struct pump_timer *timer)
{
  struct turn *t = (struct turn *)((char *)timer - offsetof(struct turn, timer));
  int64_t now = turn_now(t);
  if(turn_due(&t->rest_ms, now)) {
    if(t->state == TURN_RECALLING) turn_recall(t);
    else turn_seek(t);
  } else if(t->state == TURN_QUEUED && turn_due(&t->queue_ms, now)) {
    turn_waited(t);
  } else if(t->state == TURN_QUEUED && turn_due(&t->poll_ms, now)) {
    pool_poll(turn_app(t)->pool, turn_wall(t));
  } else if(t->state == TURN_READING && turn_due(&t->linger_ms, now)) {
    turn_read_end(t);
  } else if(t->state == TURN_ASKED && t->step_ms && now >= t->step_ms && !xchg_sent_all(&t->x)) {
    t->step_ms = now + t->config->upstream_first_byte_timeout_ms; /* it runs from the last byte of the question */
  } else if(turn_due(&t->step_ms, now)) {
    turn_step_late(t);
  } else if(turn_due(&t->turn_ms, now)) {
    if(t->x_open) turn_trouble(t, Q_UP_IDLE_TIME, "", 0);
  } else if(turn_due(&t->idle_ms, now)) { /* a client that lags behind is not the upstream's silence */
    if(t->x_open && t->ops->full(t)) t->idle_ms = now + t->config->upstream_idle_timeout_ms;
    else if(t->x_open) turn_trouble(t, Q_UP_IDLE_TIME, "", 0);
  }
  turn_arm(t);
}

void turn_start(struct turn *t)
{
  char held[17];
  t->timer.fn = turn_time;
  t->again.fn = turn_on;
  t->grant_task.fn = turn_granted;
  t->waiter.granted = turn_grant;
  t->waiter.want.feature = turn_feature(t->want.kind);
  t->waiter.want.model = t->want.model;
  t->waiter.want.uploads = t->want.files != NULL;
  t->waiter.want.only = t->want.only;
  if(t->want.files) {
    upload_prefers(t->want.files, held);
    t->prefer = held[0] ? pool_keep_named(turn_app(t)->pool, held) : NULL;
    t->waiter.want.prefer = t->prefer;
  }
  t->begun_ms = turn_now(t);
  turn_seek(t);
}

const char *turn_chat_id(const struct turn *t)
{
  return t->chat_id.id;
}

struct pool_chat turn_take_chat(struct turn *t)
{
  struct pool_chat chat = t->chat_id;
  t->chat_id.id[0] = 0;
  return chat;
}

struct account *turn_account(const struct turn *t)
{
  return t->lease_busy ? t->lease.account : NULL;
}

void turn_avoid_account(struct turn *t, const struct turn *other)
{
  if(other->lease.account) turn_avoid(t, other->lease.account);
}

void turn_again(struct turn *t, struct str prompt)
{
  turn_leave_upstream(t);
  t->want.prompt = t->want.prompt_inline = prompt;
  t->force_new = t->filtered = false;
  t->turn_ms = 0;
  turn_chat(t);
}
