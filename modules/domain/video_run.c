#include "domain/video_run.h"

#include "base/mem.h"
#include "domain/login.h"
#include "domain/qwen.h"
#include "domain/tidy.h"
#include "domain/turn.h"
#include "proto/result_url.h"

enum {
  VIDEO_TASK_MS = 20 * 60 * 1000,
  VIDEO_POLL_MS = 10 * 1000,
  VIDEO_CALL_MS = 20 * 1000,
  VIDEO_LOOK_MS = 1000,               /* how soon a run that waits sees that nobody wants it */
  VIDEO_TROUBLES_MAX = 5,             /* looks in a row that may fail */
  VIDEO_BODY_MAX = 1024 * 1024,
  VIDEO_PROMPT_JSON_MAX = 1024 * 1024
};

enum video_step {
  STEP_FIRST,     /* not begun */
  STEP_TURN,      /* the question: all its troubles are the turn's */
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

  struct turn turn;
  struct strbuf prompt;               /* as JSON, until the task is taken */
  struct strbuf said;                 /* words instead of a video */
  char url[RESULT_URL_MAX + 2];       /* that a stream told; one that is too long stays so */

  struct account *account;            /* kept, once the task is taken */
  struct pool_chat chat;              /* ours, once the task has a name */
  struct login_waiter signing;
  unsigned looked_token;              /* the token the last look was made with */
  struct xchg x;                      /* a look */
  bool x_open;
  int http_status;
  char retry_after[24];
  struct strbuf body;
  int troubles, looks;
  int64_t rest_ms, step_ms, end_ms;   /* pump clock; 0: off */
};

static void video_run_look(struct video_run *r);
static void video_run_look_failed(struct video_run *r, enum q_status st, const char *words);

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
  turn_free(&r->turn);
  strbuf_free(&r->prompt);
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

/* Buried now, or when what is on its way to it has arrived. */
static void video_run_over(struct video_run *r)
{
  enum video_step was = r->step;
  if(was == STEP_OVER) return;
  r->step = STEP_OVER;
  video_run_close(r);
  pump_timer_off(r->home->pump, &r->timer);
  if(!turn_close(&r->turn, Q_CLIENT_GONE)) return;
  if(was == STEP_RENEWING && !login_leave(r->app->login, &r->signing)) return;
  video_run_bury_later(r);
}

/* The upstream's chat goes if so configured, but not while its video is being made. */
static void video_run_drop_chat(struct video_run *r)
{
  struct pool_login who;
  if(r->config->chat_cleanup_mode && r->chat.id[0] && r->account && pool_login_get(r->app->pool, r->account, &who)) {
    struct lease lease = { .account = r->account, .token = who.token, .proxy = who.proxy, .headers = who.headers, .cookie = who.cookie };
    tidy_delete(r->home, &lease, str_z(r->chat.id));
    pool_login_free(&who);
  }
  r->chat.id[0] = 0;
}

static void video_run_fail(struct video_run *r, const struct q_error *e)
{
  LOG_WARN(r->app->log, "video", r->v->request_id, "%s failed: %s: %s", r->v->id, status_row(e->st)->code, e->msg);
  video_run_drop_chat(r);
  if(r->turn.attempts) video_note_attempts(r->v, r->turn.attempts);
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
  (void)turn_close(&r->turn, !st || st == Q_UP_CHALLENGE ? st : Q_CLIENT_GONE); /* of a stream; a look has none */
  if(st) {
    video_run_fail(r, &e);
    return;
  }
  LOG_INFO(r->app->log, "video", r->v->request_id, "%s is done", r->v->id);
  video_run_drop_chat(r);
  video_note_done(r->v, url);
  video_run_over(r);
}

/* ---- time ---- */

static void video_run_arm(struct video_run *r)
{
  int64_t at = video_run_now(r) + VIDEO_LOOK_MS;
  int64_t *const deadlines[] = { &r->rest_ms, &r->step_ms, &r->end_ms };
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
    video_run_look(r);
  } else if(video_run_due(&r->step_ms, now)) {
    video_run_look_failed(r, Q_UP_FIRST_TIME, "");
  }
  if(r->step != STEP_OVER) video_run_arm(r);
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

static void video_run_ready(struct xchg *x)
{
  struct video_run *r = (struct video_run *)((char *)x - offsetof(struct video_run, x));
  struct xchg_head head;
  struct str in;
  enum q_status st = Q_OK;
  char words[200];
  if(!r->http_status) {
    st = xchg_head(x, &head);
    if(st == Q_AGAIN) return;
    if(!st) {
      r->http_status = head.status;
      str_copy(r->retry_after, sizeof r->retry_after, xchg_header(x, S("retry-after")));
    }
  }
  while(!st && !(st = xchg_read(x, &in))) {
    r->step_ms = video_run_now(r) + r->config->upstream_idle_timeout_ms;
    strbuf_adds(&r->body, in);
    if(r->body.err) st = r->body.err;
  }
  if(st == Q_AGAIN) {
    video_run_arm(r);
  } else if(st == Q_EOF) {
    video_run_looked(r);
  } else {
    str_copy(words, sizeof words, str_z(xchg_error(x)));
    video_run_look_failed(r, st, words);
  }
}

static enum q_status video_run_call(struct video_run *r, const struct pool_login *who)
{
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct str proxy = secret_str(who->proxy);
  struct qwen_call q = { r->config, &r->home->rng, secret_str(who->token), str_z(r->chat.id), false, now_wall_s(r->app->now),
                         secret_str(who->headers), secret_str(who->cookie) };
  qwen_url(r->config, "/api/v1/tasks/status/", str_z(r->v->task_id), &url);
  qwen_headers(&q, &headers);
  r->x = (struct xchg){ .on_ready = video_run_ready };
  r->http_status = 0;
  r->retry_after[0] = 0;
  strbuf_clear(&r->body);
  enum q_status st = url.err ? url.err : headers.err;
  if(!st) {
    struct xchg_req req = { strbuf_str(&url), proxy.n ? proxy : str_z(r->config->proxy_url), S("GET"), strbuf_str(&headers), NULL,
                            r->config->upstream_connect_timeout_ms };
    st = xchg_start(&r->x, r->home->httpc, &req);
  }
  r->x_open = !st;
  strbuf_free(&headers);
  strbuf_free(&url);
  return st;
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
  r->looked_token = who.token_no;
  r->step = STEP_LOOKING;
  enum q_status st = video_run_call(r, &who);
  pool_login_free(&who);
  if(st) {
    video_run_look_failed(r, st, "");
    return;
  }
  r->step_ms = video_run_now(r) + VIDEO_CALL_MS;
  video_run_arm(r);
}

/* ---- what the turn tells ---- */

static struct video_run *video_run_of(struct turn *t)
{
  return (struct video_run *)((char *)t - offsetof(struct video_run, turn));
}

static void video_run_nothing(struct turn *t) { (void)t; }
static enum q_status video_run_well(struct turn *t) { (void)t; return Q_OK; }
static bool video_run_full(struct turn *t) { (void)t; return false; }
static bool video_run_again(struct turn *t) { return video_wanted(video_run_of(t)->v); }
static void video_run_forget(struct turn *t) { strbuf_clear(&video_run_of(t)->said); }
static void video_run_closed(struct turn *t) { video_run_bury_later(video_run_of(t)); }

static void video_run_taken(struct video_run *r, struct str task_id)
{
  r->account = turn_account(&r->turn);
  pool_keep(r->app->pool, r->account);
  video_note_attempts(r->v, r->turn.attempts);
  video_note_taken(r->v, task_id, str_z(turn_chat_id(&r->turn)), r->account->id);
  LOG_INFO(r->app->log, "video", r->v->request_id, "%s is being made by %s", r->v->id, r->account->label);
  r->end_ms = video_run_now(r) + VIDEO_TASK_MS;
}

/* The answer to the question names the task. */
static void video_run_whole(struct turn *t, struct str body)
{
  struct video_run *r = video_run_of(t);
  struct q_error e = Q_ERROR_NONE;
  struct arena a = ARENA(4 * VIDEO_BODY_MAX);
  struct str id = body.n <= VIDEO_BODY_MAX ? video_task_id(json_parse(&a, body, 64, NULL)) : STR_NONE;
  if(id.n && id.n < sizeof r->v->task_id) {
    video_run_taken(r, id);
    r->chat = turn_take_chat(t); /* not to be deleted while the video is being made */
    (void)turn_close(t, Q_OK);
    strbuf_free(&r->prompt);
    video_run_pause(r);
  } else { /* it may have been taken: a second try could cost the quota twice */
    status_fail(&e, Q_UP_BODY, NULL, "The upstream's answer names no video task.");
    video_run_fail(r, &e);
  }
  arena_free(&a);
}

/* Or it is an event stream, which tells the video at its end. */
static bool video_run_delta(struct turn *t, const struct delta *d)
{
  struct video_run *r = video_run_of(t);
  if(!r->account && (d->video.n || t->events.response_id[0])) video_run_taken(r, STR_NONE);
  strbuf_adds(&r->said, d->answer);
  if(d->video.n) str_copy(r->url, sizeof r->url, d->video);
  return !d->video.n && !d->finished;
}

static void video_run_turn_over(struct turn *t, const struct q_error *e)
{
  struct video_run *r = video_run_of(t);
  struct q_error own = e ? *e : Q_ERROR_NONE;
  if(r->step == STEP_OVER) return;
  if(e) {
    if(own.st == Q_UP_QUOTA) own.st = Q_MEDIA_QUOTA;
    video_run_fail(r, &own);
  } else if(r->url[0]) {
    video_run_result(r, str_z(r->url));
  } else {
    (void)turn_close(t, Q_OK);
    status_fail(&own, Q_MEDIA_FAILED, NULL, "The upstream ended without a video.");
    if(r->said.n) video_run_refused(r, strbuf_str(&r->said));
    else video_run_fail(r, &own);
  }
}

static const struct turn_ops video_run_turn_ops = {
  .leased = video_run_nothing, .open = video_run_nothing, .delta = video_run_delta, .close = video_run_well, .full = video_run_full,
  .judge = video_run_well, .forget = video_run_forget, .over = video_run_turn_over, .closed = video_run_closed,
  .whole = video_run_whole, .again = video_run_again,
};

static void video_run_ask(struct video_run *r)
{
  struct q_error e = Q_ERROR_NONE;
  strbuf_json(&r->prompt, strbuf_str(&r->v->prompt));
  if(r->prompt.err) {
    status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
    video_run_fail(r, &e);
    return;
  }
  r->step = STEP_TURN;
  r->turn.ops = &video_run_turn_ops;
  r->turn.want = (struct turn_want){ .kind = CHAT_T2V, .model = str_z(r->v->model_id), .think = QWEN_THINK_OFF, .size = r->v->size,
                                     .prompt = strbuf_str(&r->prompt), .request_id = r->v->request_id };
  turn_start(&r->turn);
  video_run_arm(r);
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
  if(r->v->task_id[0]) video_run_resume(r);
  else video_run_ask(r);
}

struct video_run *video_run_new(struct video *v)
{
  struct video_run *r = mem_zalloc(sizeof *r);
  if(!r) return NULL;
  r->v = v;
  r->app = video_app(v);
  r->home = video_home(v);
  r->config = app_config(r->app);
  r->turn.ap = r->home;
  r->turn.config = r->config;
  r->timer.fn = video_run_time;
  r->task.fn = video_run_first;
  r->body = STRBUF(VIDEO_BODY_MAX);
  r->said = STRBUF(4096);
  r->prompt = STRBUF(VIDEO_PROMPT_JSON_MAX);
  return r;
}

void video_run_start(struct video_run *r)
{
  pump_post(r->home->pump, &r->task);
}

void video_run_end(struct video_run *r)
{
  if(r->step != STEP_FIRST) video_run_over(r);
  else r->step = STEP_OVER; /* its first step is still on its way */
}
