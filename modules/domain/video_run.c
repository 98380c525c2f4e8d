#include "domain/video_run.h"

#include "base/mem.h"
#include "domain/cure.h"
#include "domain/login.h"
#include "domain/qwen.h"
#include "domain/tidy.h"
#include "proto/qwen_event.h"
#include "proto/qwen_req.h"
#include "proto/result_url.h"
#include "proto/sse.h"

enum {
  VIDEO_TASK_MS = 20 * 60 * 1000,
  VIDEO_POLL_MS = 10 * 1000,
  VIDEO_CALL_MS = 20 * 1000,
  VIDEO_LOOK_MS = 1000,               /* how soon a run that waits sees that nobody wants it */
  VIDEO_LAST_ATTEMPT_MS = 90 * 1000,
  VIDEO_ACCOUNTS_MAX = 5,
  VIDEO_TROUBLES_MAX = 5,             /* looks in a row that may fail */
  VIDEO_BODY_MAX = 1024 * 1024,
  VIDEO_PROMPT_JSON_MAX = 1024 * 1024
};

enum video_step {
  STEP_LINE,      /* waits for an account */
  STEP_SIGNING,   /* waits for a token, before the task is taken */
  STEP_RESTING,   /* back-off before the next attempt */
  STEP_MAKING,    /* chats/new */
  STEP_ASKED,     /* the completion */
  STEP_EVENTS,    /* its answer is an event stream */
  STEP_PAUSE,     /* between two looks */
  STEP_LOOKING,   /* task status */
  STEP_RENEWING,  /* waits for a token to look with */
  STEP_OVER
};

struct video_run {
  struct video *v;
  struct app *app;
  struct app_pump *home;
  struct config *config;
  enum video_step step;
  struct pump_task task;              /* start, burial */
  struct pump_timer timer;

  struct pool_waiter waiter;
  struct pump_task grant_task;
  struct login_waiter signing;
  struct lease lease;
  bool lease_busy;
  struct account *account;            /* kept, once the task is taken */
  unsigned looked_token;              /* the token the last look was made with */

  struct xchg x;
  bool x_open;
  int http_status;
  char retry_after[24];
  struct strbuf body;
  struct sse sse;
  struct qwen_event events;
  struct strbuf said;                 /* words instead of a video */
  struct pool_chat chat;

  bool renewed, fresh_done, plain;
  int attempts, best_rank, account_tries, challenges, retries, troubles, looks;
  struct q_error best;
  int64_t begun_ms, first_ms, rest_ms, step_ms, queue_ms, poll_ms, end_ms; /* pump clock; 0: off */
};

static void video_run_seek(struct video_run *r);
static void video_run_look(struct video_run *r);
static void video_run_trouble(struct video_run *r, enum q_status st, const char *words, int wait_s);

static int64_t video_run_now(const struct video_run *r) { return pump_now(r->home->pump); }
static int64_t video_run_wall(const struct video_run *r) { return now_wall_ms(r->app->now); }

/* ---- the end of a run ---- */

static void video_run_close(struct video_run *r)
{
  if(r->x_open) xchg_close(&r->x);
  r->x_open = false;
}

static void video_run_bury(struct pump_task *t)
{
  struct video_run *r = (struct video_run *)((char *)t - offsetof(struct video_run, task));
  video_note_left(r->v);
  if(r->account) pool_unkeep(r->app->pool, r->account);
  sse_free(&r->sse);
  qwen_event_free(&r->events);
  strbuf_free(&r->body);
  strbuf_free(&r->said);
  config_unref(r->config);
  mem_free(r);
}

static void video_run_bury_later(struct video_run *r)
{
  r->task.fn = video_run_bury;
  pump_defer(r->home->pump, &r->task);
}

static void video_run_release(struct video_run *r, enum q_status how, const char *words, int wait_s)
{
  if(!r->lease_busy) return;
  r->lease_busy = false;
  pool_release(r->app->pool, &r->lease, video_run_wall(r), how, words, wait_s, str_z(r->v->model_id));
}

/* Buried now, or when what is on its way to it has arrived. */
static void video_run_over(struct video_run *r)
{
  enum video_step was = r->step;
  if(was == STEP_OVER) return;
  r->step = STEP_OVER;
  video_run_close(r);
  pump_timer_off(r->home->pump, &r->timer);
  video_run_release(r, Q_CLIENT_GONE, "", 0);
  if(was == STEP_LINE && !pool_leave(r->app->pool, &r->waiter) && r->waiter.lease.account) return;
  if((was == STEP_SIGNING || was == STEP_RENEWING) && !login_leave(r->app->login, &r->signing)) return;
  video_run_bury_later(r);
}

/* The upstream's chat goes if so configured, but not while its video is being made. */
static void video_run_drop_chat(struct video_run *r)
{
  struct pool_login who;
  struct account *a = r->lease_busy ? r->lease.account : r->account;
  if(r->config->chat_cleanup_mode && r->chat.id[0] && a && pool_login_get(r->app->pool, a, &who)) {
    struct lease lease = { .account = a, .token = who.token, .proxy = who.proxy };
    tidy_delete(r->home, &lease, str_z(r->chat.id));
    pool_login_free(&who);
  }
  r->chat.id[0] = 0;
}

static void video_run_fail(struct video_run *r, const struct q_error *e)
{
  LOG_WARN(r->app->log, "video", r->v->request_id, "%s failed: %s: %s", r->v->id, status_row(e->st)->code, e->msg);
  video_run_drop_chat(r);
  video_note_failed(r->v, e);
  video_run_over(r);
}

/* Whether the upstream's words say that it does not want to make this. */
static bool video_run_refusal(struct str words)
{
  static const char *const marks[] = { "policy", "inspection", "inappropriate", "sensitive", "content security", "moderation", "violat", "prohibited" };
  for(size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if(str_ifind(words, str_z(marks[i])) >= 0) return true;
  return false;
}

static void video_run_refused(struct video_run *r, struct str words)
{
  struct q_error e = Q_ERROR_NONE;
  struct trouble t = { .st = Q_OK };
  str_copy(t.words, sizeof t.words, words);
  for(char *p = t.words; *p; p++)
    if((unsigned char)*p < ' ' || *p == '<' || *p == '>') *p = ' ';
  bool filter = video_run_refusal(words);
  const char *what = filter ? "The upstream's content inspection refused the video" : "The upstream could not make the video";
  status_fail(&e, filter ? Q_FILTER : Q_MEDIA_FAILED, NULL, "%s%s%s.", what, t.words[0] ? ": " : "", t.words);
  video_run_fail(r, &e);
}

static void video_run_result(struct video_run *r, struct str url)
{
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = result_url_check(url, r->config->media_hosts.v, r->config->media_hosts.n, &e);
  if(st) {
    video_run_release(r, st == Q_UP_CHALLENGE ? st : Q_CLIENT_GONE, "", 0);
    video_run_fail(r, &e);
    return;
  }
  video_run_release(r, Q_OK, "", 0);
  LOG_INFO(r->app->log, "video", r->v->request_id, "%s is done", r->v->id);
  video_run_drop_chat(r);
  video_note_done(r->v, url);
  video_run_over(r);
}

/* ---- time ---- */

static void video_run_arm(struct video_run *r)
{
  int64_t at = video_run_now(r) + VIDEO_LOOK_MS;
  int64_t *const deadlines[] = { &r->rest_ms, &r->step_ms, &r->queue_ms, &r->poll_ms, &r->end_ms };
  if(r->step == STEP_PAUSE) at = r->rest_ms;
  for(size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++)
    if(*deadlines[i] && *deadlines[i] < at) at = *deadlines[i];
  if(r->step != STEP_OVER && pump_timer_set(r->home->pump, &r->timer, at)) LOG_ERROR(r->app->log, "video", r->v->request_id, "no memory for a timer");
}

static bool video_run_due(int64_t *deadline, int64_t now)
{
  if(!*deadline || now < *deadline) return false;
  *deadline = 0;
  return true;
}

static void video_run_time(struct pump_timer *t)
{
  struct video_run *r = (struct video_run *)((char *)t - offsetof(struct video_run, timer));
  int64_t now = video_run_now(r);
  struct q_error e = Q_ERROR_NONE;
  if(!video_wanted(r->v)) {
    video_run_drop_chat(r);
    video_run_over(r);
    return;
  }
  if(video_run_due(&r->end_ms, now)) {
    status_fail(&e, Q_MEDIA_FAILED, NULL, "The upstream did not finish the video within %d minutes.", VIDEO_TASK_MS / 60000);
    video_run_fail(r, &e);
  } else if(video_run_due(&r->rest_ms, now)) {
    if(r->step == STEP_PAUSE) video_run_look(r);
    else video_run_seek(r);
  } else if(r->step == STEP_LINE && video_run_due(&r->queue_ms, now) && pool_leave(r->app->pool, &r->waiter)) {
    r->step = STEP_RESTING;
    pool_reason(r->app->pool, FEATURE_VIDEO, video_run_wall(r), &e);
    if(e.st == Q_UP_QUOTA) e.st = Q_MEDIA_QUOTA;
    video_run_fail(r, r->best.st ? &r->best : &e);
  } else if(r->step == STEP_LINE && video_run_due(&r->poll_ms, now)) {
    pool_poll(r->app->pool, video_run_wall(r));
  } else if(r->step == STEP_ASKED && r->step_ms && now >= r->step_ms && !xchg_sent_all(&r->x)) {
    r->step_ms = now + r->config->upstream_first_byte_timeout_ms;
  } else if(video_run_due(&r->step_ms, now)) {
    video_run_trouble(r, r->step == STEP_EVENTS ? Q_UP_IDLE_TIME : Q_UP_FIRST_TIME, "", 0);
  }
  if(r->step != STEP_OVER) video_run_arm(r);
}

/* ---- one call to the upstream ---- */

static void video_run_ready(struct xchg *x);

struct video_way { struct str token, proxy; };

static enum q_status video_run_call(struct video_run *r, const struct video_way *way, const char *path, struct str query, struct strbuf *body)
{
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct qwen_call q = { r->config, &r->home->rng, way->token, str_z(r->chat.id), false, now_wall_s(r->app->now) };
  qwen_url(r->config, path, query, &url);
  qwen_headers(&q, &headers);
  r->x = (struct xchg){ .on_ready = video_run_ready };
  r->http_status = 0;
  r->retry_after[0] = 0;
  strbuf_clear(&r->body);
  enum q_status st = url.err ? url.err : headers.err ? headers.err : body ? body->err : Q_OK;
  if(!st) {
    struct xchg_req req = { strbuf_str(&url), way->proxy.n ? way->proxy : str_z(r->config->proxy_url), body ? S("POST") : S("GET"), strbuf_str(&headers),
                            body, r->config->upstream_connect_timeout_ms };
    st = r->step == STEP_ASKED ? xchg_start_once(&r->x, r->home->httpc, &req) : xchg_start(&r->x, r->home->httpc, &req);
  }
  r->x_open = !st;
  if(body) strbuf_free(body);
  strbuf_free(&headers);
  strbuf_free(&url);
  return st;
}

static void video_run_no_memory(struct video_run *r)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  video_run_fail(r, &e);
}

/* ---- looking after the task ---- */

static void video_run_pause(struct video_run *r)
{
  static const int first[] = { 1000, 2000, 5000 };
  int64_t ms = video_poll_ms(r->v);
  if(!ms) ms = r->looks < 3 ? first[r->looks] : VIDEO_POLL_MS;
  r->looks++;
  r->step = STEP_PAUSE;
  r->step_ms = 0;
  r->rest_ms = video_run_now(r) + ms;
  video_run_arm(r);
}

static void video_run_look_failed(struct video_run *r, enum q_status st, const char *words)
{
  struct q_error e = Q_ERROR_NONE;
  video_run_close(r);
  LOG_INFO(r->app->log, "video", r->v->request_id, "%s: a look failed: %s%s%s", r->v->id, status_row(st)->text, words[0] ? ": " : "", words);
  if(++r->troubles <= VIDEO_TROUBLES_MAX) {
    video_run_pause(r);
    return;
  }
  status_fail(&e, st, NULL, "The upstream took the video, but its state could not be read %d times in a row: %s.", r->troubles, status_row(st)->text);
  video_run_fail(r, &e);
}

static void video_run_renewed(struct login_waiter *w, enum q_status st)
{
  struct video_run *r = (struct video_run *)((char *)w - offsetof(struct video_run, signing));
  if(r->step == STEP_OVER) video_run_bury_later(r);
  else if(st) video_run_look_failed(r, st, "");
  else video_run_look(r);
}

static void video_run_looked(struct video_run *r)
{
  struct trouble t;
  struct video_task task;
  struct arena a = ARENA(4 * VIDEO_BODY_MAX);
  trouble_body(&t, r->http_status, str_z(r->retry_after), strbuf_str(&r->body));
  video_run_close(r);
  r->step_ms = 0;
  if(t.st == Q_UP_AUTH && r->troubles < VIDEO_TROUBLES_MAX) {
    r->troubles++;
    r->step = STEP_RENEWING;
    r->signing = (struct login_waiter){ .done = video_run_renewed, .pump = r->home->pump };
    login_renew(r->app->login, r->account, r->looked_token, true, &r->signing);
    video_run_arm(r);
    return;
  }
  const struct json *root = t.st ? NULL : json_parse(&a, strbuf_str(&r->body), 64, NULL);
  if(t.st) {
    video_run_look_failed(r, t.st, t.words);
  } else if(!video_task_read(root, &task)) {
    video_run_look_failed(r, Q_UP_BODY, "");
  } else if(task.state == VIDEO_TASK_WAITS) {
    r->troubles = 0;
    video_run_pause(r);
  } else if(task.state == VIDEO_TASK_DONE) {
    video_run_result(r, task.url);
  } else {
    video_run_refused(r, task.words);
  }
  arena_free(&a);
}

static void video_run_look(struct video_run *r)
{
  struct pool_login who;
  struct q_error e = Q_ERROR_NONE;
  if(!pool_login_get(r->app->pool, r->account, &who)) {
    status_fail(&e, Q_MEDIA_FAILED, NULL, "The account that makes the video was removed.");
    video_run_fail(r, &e);
    return;
  }
  struct video_way way = { secret_str(who.token), secret_str(who.proxy) };
  r->looked_token = who.token_no;
  r->step = STEP_LOOKING;
  enum q_status st = video_run_call(r, &way, "/api/v1/tasks/status/", str_z(r->v->task_id), NULL);
  pool_login_free(&who);
  if(st) {
    video_run_look_failed(r, st, "");
    return;
  }
  r->step_ms = video_run_now(r) + VIDEO_CALL_MS;
  video_run_arm(r);
}

/* ---- the answer to the completion ---- */

static void video_run_taken(struct video_run *r, struct str task_id)
{
  pool_keep(r->app->pool, r->lease.account);
  r->account = r->lease.account;
  video_note_taken(r->v, task_id, str_z(r->chat.id), r->account->id);
  LOG_INFO(r->app->log, "video", r->v->request_id, "%s is being made by %s", r->v->id, r->account->label);
  r->end_ms = video_run_now(r) + VIDEO_TASK_MS;
  if(!task_id.n) return; /* the stream goes on */
  video_run_release(r, Q_OK, "", 0);
  r->looks = r->troubles = 0;
  video_run_pause(r);
}

static void video_run_answered(struct video_run *r)
{
  struct trouble t;
  struct q_error e = Q_ERROR_NONE;
  struct arena a = ARENA(4 * VIDEO_BODY_MAX);
  trouble_body(&t, r->http_status, str_z(r->retry_after), strbuf_str(&r->body));
  video_run_close(r);
  bool unread = t.st == Q_UP_BODY && r->http_status == 200 && !t.code[0] && !t.words[0]; /* no shape of a refusal */
  if(t.st && !unread) {
    video_run_trouble(r, t.st, t.words, t.wait_s);
  } else {
    struct str id = unread ? STR_NONE : video_task_id(json_parse(&a, strbuf_str(&r->body), 64, NULL));
    if(id.n && id.n < sizeof r->v->task_id) {
      video_run_taken(r, id);
    } else { /* it may have been taken: a second try could cost the quota twice */
      video_run_release(r, Q_CLIENT_GONE, "", 0);
      status_fail(&e, Q_UP_BODY, NULL, "The upstream's answer names no video task.");
      video_run_fail(r, &e);
    }
  }
  arena_free(&a);
}

/* The stream has ended, or said all it will say. */
static void video_run_events_end(struct video_run *r)
{
  struct q_error e = Q_ERROR_NONE;
  video_run_close(r);
  video_run_release(r, Q_OK, "", 0);
  if(r->said.n) {
    video_run_refused(r, strbuf_str(&r->said));
  } else {
    status_fail(&e, Q_MEDIA_FAILED, NULL, "The upstream ended without a video.");
    video_run_fail(r, &e);
  }
}

/* true: the run goes on reading. */
static bool video_run_event(struct video_run *r, struct str data)
{
  struct delta d;
  struct trouble t;
  enum q_status st = qwen_event_read(&r->events, data, &d, &t);
  if(st) {
    video_run_trouble(r, st, t.words, t.wait_s);
    return false;
  }
  if(!r->account && (d.video.n || r->events.response_id[0])) video_run_taken(r, STR_NONE);
  strbuf_adds(&r->said, d.answer);
  if(d.video.n) {
    char url[RESULT_URL_MAX + 2]; /* it borrows from the connection; one that is too long stays so */
    str_copy(url, sizeof url, d.video);
    video_run_close(r);
    video_run_result(r, str_z(url));
    return false;
  }
  if(!d.finished && !d.done && !d.stopped) return true;
  video_run_events_end(r);
  return false;
}

static void video_run_events(struct video_run *r, struct str in)
{
  while(in.n && r->step == STEP_EVENTS) {
    struct str data;
    size_t used = 0;
    enum q_status st = sse_push(&r->sse, in.p, in.n, &used, &data);
    in = str_sub(in, used, in.n);
    if(st == Q_AGAIN) return;
    if(st == Q_TOO_BIG) continue;
    if(st) {
      video_run_no_memory(r);
      return;
    }
    if(!video_run_event(r, data)) return;
  }
}

static bool video_run_is_stream(struct str in)
{
  struct str t = str_trim(in);
  return t.n && t.p[0] != '{' && t.p[0] != '<' && t.p[0] != '\xef';
}

static void video_run_bytes(struct video_run *r, struct str in)
{
  if(r->step == STEP_ASKED && r->http_status == 200 && !str_trim(strbuf_str(&r->body)).n && video_run_is_stream(in)) {
    enum q_status st = sse_init(&r->sse, 4 * 1024 * 1024);
    if(!st) st = qwen_event_init(&r->events, DELTA_INCREMENTAL);
    if(st) {
      video_run_no_memory(r);
      return;
    }
    r->events.want_media = true;
    r->step = STEP_EVENTS;
  }
  r->step_ms = video_run_now(r) + r->config->upstream_idle_timeout_ms;
  if(r->step == STEP_EVENTS) video_run_events(r, in);
  else strbuf_adds(&r->body, in);
}

static void video_run_ask(struct video_run *r);

static void video_run_complete(struct video_run *r)
{
  struct trouble t;
  struct str data;
  enum q_status st;
  switch(r->step) {
  case STEP_MAKING:
    st = qwen_chat_id(r->http_status, str_z(r->retry_after), strbuf_str(&r->body), r->chat.id, sizeof r->chat.id, &t);
    video_run_close(r);
    if(st) video_run_trouble(r, st, t.words, t.wait_s);
    else video_run_ask(r);
    break;
  case STEP_ASKED: video_run_answered(r); break;
  case STEP_LOOKING: video_run_looked(r); break;
  case STEP_EVENTS:
    if(sse_finish(&r->sse, &data) == Q_OK && !video_run_event(r, data)) return;
    video_run_events_end(r);
    break;
  default: break;
  }
}

static void video_run_ready(struct xchg *x)
{
  struct video_run *r = (struct video_run *)((char *)x - offsetof(struct video_run, x));
  struct xchg_head head;
  struct str in;
  enum q_status st = Q_OK;
  if(!r->http_status) {
    st = xchg_head(x, &head);
    if(st == Q_AGAIN) return;
    if(!st) {
      r->http_status = head.status;
      str_copy(r->retry_after, sizeof r->retry_after, xchg_header(x, S("retry-after")));
    }
  }
  while(!st && r->x_open && !(st = xchg_read(x, &in))) {
    video_run_bytes(r, in);
    if(r->body.err) st = r->body.err;
  }
  if(!r->x_open || r->step == STEP_OVER || st == Q_AGAIN) {
    if(r->x_open && r->step != STEP_OVER) video_run_arm(r);
    return;
  }
  if(st == Q_EOF) {
    video_run_complete(r);
    return;
  }
  char words[200];
  str_copy(words, sizeof words, str_z(xchg_error(x)));
  if(r->step == STEP_LOOKING) video_run_look_failed(r, st, words);
  else video_run_trouble(r, st, words, 0);
}

/* ---- an attempt: a chat of type t2v, the completion ---- */

static void video_run_ask(struct video_run *r)
{
  char fid[40], child[40];
  struct strbuf prompt = STRBUF(VIDEO_PROMPT_JSON_MAX), body = STRBUF(VIDEO_PROMPT_JSON_MAX + 16 * 1024);
  struct qwen_turn t = { .chat_id = str_z(r->chat.id), .model = str_z(r->v->model_id), .kind = CHAT_T2V, .size = r->v->size, .plain = r->plain,
                         .summary = true, .wall_s = now_wall_s(r->app->now) };
  strbuf_json(&prompt, strbuf_str(&r->v->prompt));
  crypt_uuid(&r->home->rng, fid);
  crypt_uuid(&r->home->rng, child);
  t.fid = str_z(fid);
  t.child = str_z(child);
  t.prompt_json = strbuf_str(&prompt);
  qwen_req_completion(&t, &body);
  if(prompt.err) body.err = prompt.err;
  struct video_way way = { secret_str(r->lease.token), secret_str(r->lease.proxy) };
  r->step = STEP_ASKED;
  enum q_status st = video_run_call(r, &way, "/api/v2/chat/completions?chat_id=", str_z(r->chat.id), &body);
  strbuf_free(&prompt);
  strbuf_free(&body);
  if(st) {
    video_run_no_memory(r);
    return;
  }
  r->step_ms = video_run_now(r) + r->config->upstream_first_byte_timeout_ms;
  video_run_arm(r);
}

static void video_run_make(struct video_run *r)
{
  struct strbuf body = STRBUF(4096);
  struct video_way way = { secret_str(r->lease.token), secret_str(r->lease.proxy) };
  r->attempts++;
  video_note_attempt(r->v);
  r->step = STEP_MAKING;
  r->chat.id[0] = 0;
  qwen_req_new_chat(str_z(r->v->model_id), qwen_req_kind(CHAT_T2V), video_run_wall(r), &body);
  if(video_run_call(r, &way, "/api/v2/chats/new", STR_NONE, &body)) {
    video_run_no_memory(r);
    return;
  }
  r->step_ms = video_run_now(r) + VIDEO_CALL_MS;
  video_run_arm(r);
}

/* ---- accounts and tokens ---- */

static void video_run_signed_in(struct login_waiter *w, enum q_status st)
{
  struct video_run *r = (struct video_run *)((char *)w - offsetof(struct video_run, signing));
  if(r->step == STEP_OVER) {
    video_run_bury_later(r);
    return;
  }
  pool_token_reload(r->app->pool, &r->lease);
  if(st || pool_token_state(&r->lease, video_run_wall(r)) == POOL_TOKEN_DEAD) {
    video_run_release(r, Q_CLIENT_GONE, "", 0); /* the renewal has booked its failure itself */
    video_run_trouble(r, st ? st : Q_UP_AUTH, "", 0);
    return;
  }
  video_run_make(r);
}

static void video_run_sign_in(struct video_run *r, bool refused)
{
  r->step = STEP_SIGNING;
  r->signing = (struct login_waiter){ .done = video_run_signed_in, .pump = r->home->pump };
  login_renew(r->app->login, r->lease.account, r->lease.token_no, refused, &r->signing);
  video_run_arm(r);
}

static void video_run_leased(struct video_run *r)
{
  r->lease = r->waiter.lease;
  r->waiter.lease = LEASE_NONE;
  r->lease_busy = true;
  r->queue_ms = r->poll_ms = 0;
  if(!r->first_ms) r->first_ms = video_run_now(r);
  switch(pool_token_state(&r->lease, video_run_wall(r))) {
  case POOL_TOKEN_DEAD: video_run_sign_in(r, false); return;
  case POOL_TOKEN_SOON: login_renew(r->app->login, r->lease.account, r->lease.token_no, false, NULL); break;
  case POOL_TOKEN_FRESH: break;
  }
  video_run_make(r);
}

static void video_run_granted(struct pump_task *t)
{
  struct video_run *r = (struct video_run *)((char *)t - offsetof(struct video_run, grant_task));
  if(r->step == STEP_OVER) {
    pool_release(r->app->pool, &r->waiter.lease, video_run_wall(r), Q_CLIENT_GONE, "", 0, STR_NONE);
    video_run_bury_later(r);
    return;
  }
  video_run_leased(r);
}

/* On whatever thread made room, with the pool's lock held. */
static void video_run_grant(struct pool_waiter *w)
{
  struct video_run *r = (struct video_run *)((char *)w - offsetof(struct video_run, waiter));
  pump_post(r->home->pump, &r->grant_task);
}

static void video_run_seek(struct video_run *r)
{
  int64_t return_ms, now = video_run_now(r), wall = video_run_wall(r);
  struct q_error e = Q_ERROR_NONE;
  r->step = STEP_LINE;
  r->waiter.granted = video_run_grant;
  r->waiter.want.feature = FEATURE_VIDEO;
  r->waiter.want.model = str_z(r->v->model_id);
  enum q_status st = pool_acquire(r->app->pool, &r->waiter, wall, r->begun_ms + r->config->queue_timeout_ms - now, &return_ms, &e);
  if(!st) {
    video_run_leased(r);
  } else if(st == Q_AGAIN) {
    r->queue_ms = r->begun_ms + r->config->queue_timeout_ms;
    r->poll_ms = return_ms ? now + (return_ms > wall ? return_ms - wall : 0) + 1 : 0;
    video_run_arm(r);
  } else {
    r->step = STEP_RESTING;
    if(e.st == Q_UP_QUOTA) e.st = Q_MEDIA_QUOTA;
    if(r->best.st && !r->best.retry_after_s) r->best.retry_after_s = e.retry_after_s;
    video_run_fail(r, r->best.st ? &r->best : &e);
  }
}

/* ---- trouble before the task is taken ---- */

static enum cure video_run_cure(struct video_run *r, enum q_status st)
{
  enum cure cure = cure_of(st);
  if(cure == CURE_TOKEN && (r->renewed || !r->lease_busy)) cure = CURE_ACCOUNT;
  if(cure == CURE_FRESH && r->fresh_done) cure = CURE_LATER;
  if(cure == CURE_PLAIN && r->plain) cure = CURE_NONE;
  return cure;
}

/* The question left us whole and no answer said what became of it: the task may be under way. */
static bool video_run_uncertain(const struct video_run *r, enum q_status st)
{
  bool silent = st == Q_UP_CUT || st == Q_UP_FIRST_TIME || st == Q_UP_IDLE_TIME || st == Q_UP_UNREACHABLE || st == Q_UP_TLS || st == Q_UP_EMPTY;
  return r->account || r->step == STEP_EVENTS || (r->step == STEP_ASKED && silent && (!r->x_open || xchg_sent_all(&r->x)));
}

static void video_run_next_account(struct video_run *r, enum cure cure, enum q_status st, const char *words, int wait_s)
{
  struct pool_want *w = &r->waiter.want;
  if(r->lease_busy && w->avoid_n < POOL_AVOID_MAX) w->avoid[w->avoid_n++] = r->lease.account;
  video_run_drop_chat(r);
  video_run_release(r, st, words, wait_s);
  if(cure == CURE_ACCOUNT) {
    video_run_seek(r);
    return;
  }
  int64_t wait = r->config->chat_retry_backoff_ms << (r->retries - 1 > 10 ? 10 : r->retries - 1);
  wait += wait * ((int64_t)(crypt_u32(&r->home->rng) % 41) - 20) / 100; /* +- 20 % */
  r->step = STEP_RESTING;
  r->rest_ms = video_run_now(r) + (wait > 0 ? wait : 1);
  video_run_arm(r);
}

static void video_run_trouble(struct video_run *r, enum q_status st, const char *words, int wait_s)
{
  struct q_error e;
  enum cure cure = video_run_cure(r, st);
  if(r->step == STEP_LOOKING) { /* too late */
    video_run_look_failed(r, st, words);
    return;
  }
  cure_describe(&e, st, words, wait_s, true);
  LOG_INFO(r->app->log, "video", r->v->request_id, "attempt %d on %s: %s%s%s", r->attempts, r->lease_busy ? r->lease.account->label : "-",
           status_row(st)->text, words[0] ? ": " : "", words);
  if(cure_rank(st) >= r->best_rank) {
    r->best = e;
    r->best_rank = cure_rank(st);
  }
  bool typed = st == Q_UP_QUOTA || st == Q_UP_BUSY || st == Q_UP_PARALLEL || st == Q_UP_AUTH || st == Q_UP_MODEL_QUOTA;
  if(video_run_uncertain(r, st) && !(typed && !r->account)) cure = CURE_NONE;
  video_run_close(r);
  r->step_ms = 0;
  if((r->first_ms && video_run_now(r) - r->first_ms >= VIDEO_LAST_ATTEMPT_MS) || atomic_load(&r->app->draining) || !video_wanted(r->v)) cure = CURE_NONE;
  if(cure == CURE_ACCOUNT || cure == CURE_LATER) {
    if(r->config->chat_retry_count == 0) cure = CURE_NONE;
    if(st == Q_UP_CHALLENGE && ++r->challenges > 1) cure = CURE_NONE;
  }
  if(cure == CURE_ACCOUNT && ++r->account_tries > VIDEO_ACCOUNTS_MAX) cure = CURE_NONE;
  if(cure == CURE_LATER && ++r->retries > r->config->chat_retry_count) cure = CURE_NONE;

  switch(cure) {
  case CURE_TOKEN:
    r->renewed = true;
    if(pool_token_reload(r->app->pool, &r->lease)) video_run_make(r);
    else video_run_sign_in(r, true);
    break;
  case CURE_FRESH:
  case CURE_PLAIN:
    r->fresh_done |= cure == CURE_FRESH;
    r->plain |= cure == CURE_PLAIN;
    video_run_drop_chat(r);
    video_run_make(r);
    break;
  case CURE_ACCOUNT:
  case CURE_LATER: video_run_next_account(r, cure, st, words, wait_s); break;
  case CURE_NONE:
    video_run_drop_chat(r);
    video_run_release(r, st, words, wait_s);
    video_run_fail(r, &r->best);
    break;
  }
}

/* ---- birth ---- */

/* A job of an earlier life whose task is known. */
static void video_run_resume(struct video_run *r)
{
  struct q_error e = Q_ERROR_NONE;
  int64_t left = r->v->taken_ms + VIDEO_TASK_MS - video_run_wall(r);
  r->account = pool_keep_named(r->app->pool, r->v->account);
  str_copy(r->chat.id, sizeof r->chat.id, str_z(r->v->chat_id));
  r->end_ms = video_run_now(r) + (left > 60 * 1000 ? left : 60 * 1000); /* one that ended meanwhile is still seen */
  if(r->account) {
    video_run_pause(r);
  } else {
    status_fail(&e, Q_MEDIA_FAILED, NULL, "The account that makes the video is not there any more.");
    video_run_fail(r, &e);
  }
}

static void video_run_first(struct pump_task *t)
{
  struct video_run *r = (struct video_run *)((char *)t - offsetof(struct video_run, task));
  if(r->step == STEP_OVER) {
    video_run_bury_later(r);
    return;
  }
  r->begun_ms = video_run_now(r);
  if(r->v->task_id[0]) video_run_resume(r);
  else video_run_seek(r);
}

struct video_run *video_run_new(struct video *v)
{
  struct video_run *r = mem_zalloc(sizeof *r);
  if(!r) return NULL;
  r->v = v;
  r->app = video_app(v);
  r->home = video_home(v);
  r->config = app_config(r->app);
  r->timer.fn = video_run_time;
  r->grant_task.fn = video_run_granted;
  r->task.fn = video_run_first;
  r->body = STRBUF(VIDEO_BODY_MAX);
  r->said = STRBUF(4096);
  r->step = STEP_RESTING;
  return r;
}

void video_run_start(struct video_run *r)
{
  pump_post(r->home->pump, &r->task);
}

void video_run_end(struct video_run *r)
{
  if(r->begun_ms) video_run_over(r);
  else r->step = STEP_OVER; /* its first step is still on its way */
}
