#include "domain/login.h"

#include <time.h>

#include "base/mem.h"
#include "base/codec.h"
#include "domain/grant.h"
#include "domain/qwen.h"
#include "domain/share.h"
#include "proto/jwt.h"
#include "proto/qwen_req.h"

enum {
  LOGIN_CALL_MS = 10 * 1000,
  LOGIN_PAUSE_S = 1,             /* of a place among those who sign in, while others wait for one */
  LOGIN_TRIES = 4,               /* of one call on transport trouble, 1, 2, 4 s apart */
  LOGIN_BODY_MAX = 1024 * 1024,
  LOGIN_GRANTS = 2,              /* at once; a device flow may take minutes and must not hold up sign-ins */
  LOGIN_REST_MS = 60 * 1000      /* after "too many sign-ins" */
};

struct login_run {
  struct job job;
  struct login *login;
  struct login_run *next;
  struct account *account;
  struct login_waiter *waiters;
  unsigned token_no;
  bool refused, started;
  bool grant;                /* the CLI grant instead of the web sign-in */
  bool running;              /* a thread is at it, that of its job or one that waits for it (login_now) */
  bool over;                 /* it has ended and is off the list */
  int holders;               /* its job, and who waits: the last one frees it */
  enum q_status st;
  char words[304];
};

struct login {
  struct app *app;
  pthread_mutex_t lock;      /* guards all below */
  pthread_cond_t ended;      /* some run */
  struct login_run *runs;    /* in order of arrival */
  int started, started_grants;
  bool v1_works;             /* v2 was not there, v1 was: remembered for this process */
  int64_t rest_until_ms;     /* wall clock */
};

static void login_pump(struct login *l);

struct login *login_new(struct app *a)
{
  struct login *l = mem_zalloc(sizeof *l);
  if(!l) return NULL;
  l->app = a;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->ended, NULL);
  return l;
}

void login_destroy(struct login *l)
{
  if(!l) return;
  while(l->runs) {
    struct login_run *next = l->runs->next;
    mem_free(l->runs);
    l->runs = next;
  }
  pthread_cond_destroy(&l->ended);
  pthread_mutex_destroy(&l->lock);
  mem_free(l);
}

/* ---- the calls ---- */

struct login_answer { int status; struct strbuf headers, body; struct q_error error; };

static void login_answer_free(struct login_answer *a)
{
  if(a->body.p) crypt_wipe(a->body.p, a->body.n);
  if(a->headers.p) crypt_wipe(a->headers.p, a->headers.n);
  strbuf_free(&a->headers);
  strbuf_free(&a->body);
}

/* One call, repeated on transport trouble; token may be empty. Extra header lines stand behind the usual ones. */
static enum q_status login_call_as(struct login *l, const struct config *c, const struct pool_login *who, struct str token, const char *method,
                                   struct str url, struct str extra, struct str body, struct login_answer *out)
{
  enum q_status st = Q_OK;
  struct crypt_rng rng = { .left = 0 };
  struct strbuf headers = STRBUF(64 * 1024);
  struct qwen_call q = { c, &rng, token, STR_NONE, false, now_wall_s(l->app->now), secret_str(who->headers), secret_str(who->cookie) };
  qwen_headers(&q, &headers);
  strbuf_adds(&headers, extra);
  struct str proxy = secret_str(who->proxy);
  for(int n = 0; n < LOGIN_TRIES; n++) {
    struct strbuf copy = STRBUF(body.n + 1);
    strbuf_adds(&copy, body);
    out->headers = STRBUF(64 * 1024);
    out->body = STRBUF(LOGIN_BODY_MAX);
    struct xchg_req r = { url, proxy.n ? proxy : str_z(c->proxy_url), str_z(method), strbuf_str(&headers),
                          body.n ? &copy : NULL, c->upstream_connect_timeout_ms };
    st = headers.err ? headers.err : copy.err;
    if(!st) st = httpc_call(l->app->net, l->app->now, &r, LOGIN_CALL_MS, &out->status, &out->headers, &out->body, &out->error);
    strbuf_free(&copy);
    bool again = st ? st != Q_NOMEM && st != Q_UP_TLS && st != Q_BAD_VALUE : out->status >= 500;
    if(!again || n + 1 == LOGIN_TRIES || atomic_load(&l->app->draining)) break;
    login_answer_free(out);
    struct timespec pause = { 1 << n, 0 };
    nanosleep(&pause, NULL);
  }
  crypt_wipe(&rng, sizeof rng);
  if(headers.p) crypt_wipe(headers.p, headers.n);
  strbuf_free(&headers);
  return st;
}

static enum q_status login_call(struct login *l, const struct config *c, const struct pool_login *who, const char *method,
                                struct str url, struct str extra, struct str body, struct login_answer *out)
{
  return login_call_as(l, c, who, STR_NONE, method, url, extra, body, out);
}

/* The value of a cookie in the raw header block's Set-Cookie lines. */
static struct str login_cookie(struct str headers, struct str name)
{
  while(headers.n) {
    struct str line = str_trim(str_cut(&headers, '\n'));
    if(!str_istarts(line, S("set-cookie:"))) continue;
    line = str_trim(str_sub(line, 11, line.n));
    struct str pair = str_cut(&line, ';');
    struct str key = str_trim(str_cut(&pair, '='));
    if(str_eq(key, name)) return str_trim(pair);
  }
  return STR_NONE;
}

static struct str login_first(const struct json *root, const char *const *paths, int n)
{
  struct str found = STR_NONE;
  for(int i = 0; i < n && !found.n; i++) found = json_str(json_path(root, paths[i]));
  return found;
}

/* Tokens are put into header lines: nothing but visible ASCII may be one. */
static bool login_token_ok(struct str t)
{
  for(size_t i = 0; i < t.n; i++)
    if(t.p[i] <= ' ' || t.p[i] >= 0x7f || t.p[i] == ';') return false;
  return t.n > 0 && t.n < 16 * 1024;
}

static enum q_status login_take(struct login_answer *a, struct login_got *r)
{
  static const char *const tokens[] = { "data.token", "data.access_token", "token", "access_token", "data.session_token" };
  static const char *const refreshes[] = { "data.refresh_token", "refresh_token" };
  struct arena arena = ARENA(4 * LOGIN_BODY_MAX);
  const struct json *root = json_parse(&arena, strbuf_str(&a->body), 64, NULL);
  struct str token = login_first(root, tokens, 5), refresh = login_first(root, refreshes, 2);
  if(!token.n) token = login_cookie(strbuf_str(&a->headers), S("token"));
  if(!refresh.n) refresh = login_cookie(strbuf_str(&a->headers), S("refresh_token"));
  enum q_status st = login_token_ok(token) ? Q_OK : Q_UP_BODY;
  if(!st) {
    int64_t exp = jwt_expires_s(token, NULL), told = 0;
    if(!exp && (json_int(json_path(root, "data.expires_at"), &told) || json_int(json_get(root, "expires_at"), &told)))
      exp = told;
    r->expires_ms = exp * 1000;
    r->token = secret_new(token);
    r->refresh = login_token_ok(refresh) ? secret_new(refresh) : NULL;
    if(!r->token) st = Q_NOMEM;
  }
  arena_free(&arena);
  return st;
}

static void login_words(struct login_got *r, const char *words)
{
  str_copy(r->words, sizeof r->words, str_z(words));
}

/* Session for a short access token. */
static enum q_status login_exchange(struct login *l, const struct config *c, const struct pool_login *who,
                                    struct login_got *r)
{
  struct login_answer a = { .status = 0 };
  struct strbuf url = STRBUF(16 * 1024), extra = STRBUF(64 * 1024);
  struct trouble t = { .st = Q_OK };
  strbuf_addz(&url, c->qwen_auth_url);
  strbuf_lit(&url, "/api/v2/auths/refresh");
  strbuf_lit(&extra, "x-request-origin: ");
  strbuf_addz(&extra, c->qwen_chat_proxy_url);
  strbuf_lit(&extra, "\r\nCookie: token=");
  strbuf_adds(&extra, secret_str(who->token));
  if(who->refresh) {
    strbuf_lit(&extra, "; refresh_token=");
    strbuf_adds(&extra, secret_str(who->refresh));
  }
  strbuf_lit(&extra, "\r\n");
  enum q_status st = url.err ? url.err : extra.err;
  if(!st) st = login_call(l, c, who, "GET", strbuf_str(&url), strbuf_str(&extra), STR_NONE, &a);
  if(st) {
    login_words(r, a.error.msg);
  } else {
    trouble_body(&t, a.status, STR_NONE, strbuf_str(&a.body));
    login_words(r, t.words);
    st = t.st ? t.st : login_take(&a, r);
  }
  r->exchange = !st;
  if(extra.p) crypt_wipe(extra.p, extra.n);
  login_answer_free(&a);
  strbuf_free(&extra);
  strbuf_free(&url);
  return st;
}

/* Whether an answer of v2 says that there is no v2 here. */
static bool login_no_v2(const struct login_answer *a, enum q_status st)
{
  return a->status == 404 || a->status == 405 || (a->status == 200 && st == Q_UP_BODY);
}

static enum q_status login_password(struct login *l, const struct config *c, const struct pool_login *who, bool v2,
                                    struct login_got *r, bool *no_v2)
{
  struct login_answer a = { .status = 0 };
  struct strbuf url = STRBUF(16 * 1024), body = STRBUF(16 * 1024);
  unsigned char hash[32];
  char hex[65];
  struct trouble t = { .st = Q_OK };
  crypt_sha256(secret_str(who->password), hash);
  codec_hex(str_of((char *)hash, sizeof hash), hex);
  qwen_url(c, v2 ? "/api/v2/auths/signin" : "/api/v1/auths/signin", STR_NONE, &url);
  qwen_req_signin(str_z(who->email), str_of(hex, 64), v2, &body);
  enum q_status st = url.err ? url.err : body.err;
  if(!st) st = login_call(l, c, who, "POST", strbuf_str(&url), STR_NONE, strbuf_str(&body), &a);
  if(st) {
    login_words(r, a.error.msg);
  } else {
    trouble_body(&t, a.status, STR_NONE, strbuf_str(&a.body));
    login_words(r, t.words);
    st = t.st ? t.st : login_take(&a, r);
    *no_v2 = v2 && st && login_no_v2(&a, st);
    /* 400 or 401 with words, or an envelope that says unauthorized: the password is wrong, and that is final. */
    if(st == Q_UP_AUTH || (st == Q_UP_BODY && a.status == 400)) st = Q_UP_BAD_LOGIN;
    if(st == Q_UP_ERROR && a.status < 500 && str_ifind(str_z(t.code), S("bad")) >= 0) st = Q_UP_BAD_LOGIN;
  }
  crypt_wipe(hash, sizeof hash);
  crypt_wipe(hex, sizeof hex);
  if(body.p) crypt_wipe(body.p, body.n);
  login_answer_free(&a);
  strbuf_free(&body);
  strbuf_free(&url);
  return st;
}

static enum q_status login_sign_in(struct login *l, const struct config *c, const struct pool_login *who,
                                   struct login_got *r)
{
  bool no_v2 = false;
  bool v1 = c->qwen_signin == SIGNIN_V1;
  if(c->qwen_signin == SIGNIN_AUTO) {
    pthread_mutex_lock(&l->lock);
    v1 = l->v1_works;
    pthread_mutex_unlock(&l->lock);
  }
  enum q_status st = login_password(l, c, who, !v1, r, &no_v2);
  if(!no_v2 || c->qwen_signin != SIGNIN_AUTO) return st;
  st = login_password(l, c, who, false, r, &no_v2);
  if(!st) {
    pthread_mutex_lock(&l->lock);
    l->v1_works = true;
    pthread_mutex_unlock(&l->lock);
  }
  return st;
}

/* ---- one renewal ---- */

static enum q_status login_renew_now(struct login *l, struct login_run *run, struct pool_login *who, struct login_got *r)
{
  struct config *c = app_config(l->app);
  int64_t now = now_wall_ms(l->app->now);
  enum q_status st = Q_UP_AUTH;
  pthread_mutex_lock(&l->lock);
  bool resting = l->rest_until_ms > now;
  pthread_mutex_unlock(&l->lock);
  bool seems_alive = who->token && (!who->expires_ms || who->expires_ms > now);
  if(resting) {
    st = Q_UP_BUSY;
    login_words(r, "too many sign-ins from this address, resting a minute");
  } else {
    if(who->token && (who->exchange || (run->refused && seems_alive))) st = login_exchange(l, c, who, r);
    if(st && who->password) st = login_sign_in(l, c, who, r);
    else if(st == Q_UP_AUTH && !r->words[0]) login_words(r, "the token is dead and there is no password to renew it with");
  }
  if(st == Q_UP_BUSY && !resting) {
    pthread_mutex_lock(&l->lock);
    l->rest_until_ms = now + LOGIN_REST_MS;
    pthread_mutex_unlock(&l->lock);
  }
  config_unref(c);
  return st;
}

static void login_answer_waiters(struct login_waiter *w, enum q_status st)
{
  while(w) {
    struct login_waiter *next = w->next;
    w->st = st;
    w->listed = false;
    pump_post(w->pump, &w->task);
    w = next;
  }
}

static enum q_status login_web(struct login *l, struct login_run *run)
{
  struct app *a = l->app;
  struct pool_login who = { .password = NULL };
  struct login_got r = { .token = NULL };
  enum q_status st = Q_OK;
  if(!pool_login_get(a->pool, run->account, &who)) {
    st = Q_UP_AUTH;
  } else if(who.token_no == run->token_no) {
    atomic_fetch_add(&a->counts.renewals, 1);
    st = login_renew_now(l, run, &who, &r);
    int64_t now = now_wall_ms(a->now);
    if(!st) pool_set_token(a->pool, run->account, r.token, r.expires_ms, r.refresh, r.exchange, now);
    else pool_login_failed(a->pool, run->account, st, r.words, now);
    if(!st) LOG_INFO(a->log, "login", "", "%s signed in", run->account->label);
    else LOG_WARN(a->log, "login", "", "%s: %s%s%s", run->account->label, status_row(st)->text, r.words[0] ? ": " : "", r.words);
    str_copy(run->words, sizeof run->words, str_z(r.words));
  }
  pool_login_free(&who);
  login_got_free(&r);
  return st;
}

/* One gateway at a time, where several share the accounts. */
static enum q_status login_one(struct login *l, struct login_run *run)
{
  struct share_lock lock;
  if(!share_renewal_begin(l->app, run->account, run->grant, run->token_no, &lock)) return Q_OK;
  enum q_status st = run->grant ? grant_renew(l->app, run->account, run->token_no) : login_web(l, run);
  share_renewal_end(l->app, &lock);
  return st;
}

/* Whether sign-ins wait for their turn. With the lock held. */
static bool login_waits(const struct login *l)
{
  const struct login_run *r = l->runs;
  while(r && (r->started || r->running || r->grant)) r = r->next;
  return r != NULL;
}

/* Begun by the calling thread: sees it through. With the lock held, which is let go meanwhile. The run itself stays. */
static void login_perform(struct login *l, struct login_run *run)
{
  struct app *a = l->app;
  run->running = true;
  pthread_mutex_unlock(&l->lock);
  enum q_status st = login_one(l, run);
  pthread_mutex_lock(&l->lock);
  for(struct login_run **at = &l->runs; *at; at = &(*at)->next)
    if(*at == run) {
      *at = run->next;
      break;
    }
  run->st = st;
  run->over = true;
  login_answer_waiters(run->waiters, st);
  run->waiters = NULL;
  pool_unkeep(a->pool, run->account);
  pthread_cond_broadcast(&l->ended);
}

/* With the lock held. */
static void login_let_go(struct login_run *run)
{
  if(--run->holders == 0 && run->over) mem_free(run);
}

static void login_job(struct job *j)
{
  struct login_run *run = (struct login_run *)((char *)j - offsetof(struct login_run, job));
  struct login *l = run->login;
  bool grant = run->grant, mine;
  pthread_mutex_lock(&l->lock);
  mine = !run->running; /* else another thread took it over */
  if(mine) login_perform(l, run);
  login_let_go(run);
  if(mine && !grant && login_waits(l) && !atomic_load(&l->app->draining)) { /* a crowd of sign-ins from one address looks like an attack */
    struct timespec pause = { LOGIN_PAUSE_S, 0 };
    pthread_mutex_unlock(&l->lock);
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&l->lock);
  }
  if(grant) l->started_grants--;
  else l->started--;
  login_pump(l);
  pthread_mutex_unlock(&l->lock);
}

/* Starts renewals up to the bound. With the lock held. */
static void login_pump(struct login *l)
{
  struct config *c = app_config(l->app);
  int bound = (int)c->batch_login_concurrency;
  config_unref(c);
  for(struct login_run *r = l->runs, *next; r; r = next) {
    int *count = r->grant ? &l->started_grants : &l->started;
    next = r->next;
    if(r->started || r->running || *count >= (r->grant ? LOGIN_GRANTS : bound)) continue;
    r->started = true;
    r->holders++;
    ++*count;
    if(jobs_submit(l->app->jobs, &r->job) == Q_OK) continue;
    r->started = false; /* no thread to be had: the next renewal that ends tries again */
    r->holders--;
    --*count;
    return;
  }
}

static void login_done(struct pump_task *t)
{
  struct login_waiter *w = (struct login_waiter *)((char *)t - offsetof(struct login_waiter, task));
  w->done(w, w->st);
}

static void login_want(struct login *l, struct account *a, unsigned token_no, bool refused, bool grant, struct login_waiter *w)
{
  struct login_run *fresh = mem_zalloc(sizeof *fresh), *run, **end;
  bool kept = false;
  if(w) {
    w->task.fn = login_done;
    w->next = NULL;
  }
  pthread_mutex_lock(&l->lock);
  for(run = l->runs; run && (run->account != a || run->grant != grant); run = run->next) {}
  if(!run && fresh) {
    *fresh = (struct login_run){ .job.fn = login_job, .login = l, .account = a, .token_no = token_no, .refused = refused,
                                .grant = grant };
    for(end = &l->runs; *end; end = &(*end)->next) {}
    *end = run = fresh;
    fresh = NULL;
    kept = true;
  }
  if(run && w) {
    w->listed = true;
    w->next = run->waiters;
    run->waiters = w;
  } else if(w) {
    login_answer_waiters(w, Q_NOMEM);
  }
  if(kept) {
    pool_keep(l->app->pool, a);
    login_pump(l);
    if(w && l->started + l->started_grants == 0 && !run->holders) { /* not a single job could be started */
      for(end = &l->runs; *end != run; end = &(*end)->next) {}
      *end = run->next;
      login_answer_waiters(run->waiters, Q_NOMEM);
      pool_unkeep(l->app->pool, a);
      fresh = run;
    }
  }
  pthread_mutex_unlock(&l->lock);
  mem_free(fresh);
}

void login_renew(struct login *l, struct account *a, unsigned token_no, bool refused, struct login_waiter *w)
{
  login_want(l, a, token_no, refused, false, w);
}

void login_renew_grant(struct login *l, struct account *a, unsigned no, struct login_waiter *w)
{
  login_want(l, a, no, false, true, w);
}

bool login_leave(struct login *l, struct login_waiter *w)
{
  bool was = false;
  pthread_mutex_lock(&l->lock);
  if(w->listed)
    for(struct login_run *r = l->runs; r && !was; r = r->next)
      for(struct login_waiter **at = &r->waiters; *at && !was; at = &(*at)->next)
        if(*at == w) {
          *at = w->next;
          w->listed = false;
          was = true;
          break;
        }
  pthread_mutex_unlock(&l->lock);
  return was;
}

/* ---- on the caller's thread ---- */

void login_got_free(struct login_got *g)
{
  secret_unref(g->token);
  secret_unref(g->refresh);
  g->token = g->refresh = NULL;
}

/* Too many sign-ins: nobody tries for a minute. */
static bool login_resting(struct login *l, enum q_status st)
{
  int64_t now = now_wall_ms(l->app->now);
  pthread_mutex_lock(&l->lock);
  bool resting = l->rest_until_ms > now;
  if(st == Q_UP_BUSY && !resting) l->rest_until_ms = now + LOGIN_REST_MS;
  pthread_mutex_unlock(&l->lock);
  return resting;
}

enum q_status login_try(struct login *l, const struct pool_login *who, struct login_got *g)
{
  struct config *c = app_config(l->app);
  enum q_status st = Q_UP_BUSY;
  if(login_resting(l, Q_OK)) {
    login_words(g, "too many sign-ins from this address, resting a minute");
  } else {
    st = login_sign_in(l, c, who, g);
    (void)login_resting(l, st);
  }
  config_unref(c);
  return st;
}

static enum q_status login_ask(struct login *l, const struct config *c, const struct pool_login *who, struct str token, struct login_got *g)
{
  struct login_answer a = { .status = 0 };
  struct strbuf url = STRBUF(16 * 1024);
  struct arena arena = ARENA(4 * LOGIN_BODY_MAX);
  struct trouble t = { .st = Q_OK };
  qwen_url(c, "/api/v1/auths/", STR_NONE, &url);
  enum q_status st = url.err;
  if(!st) st = login_call_as(l, c, who, token, "GET", strbuf_str(&url), STR_NONE, STR_NONE, &a);
  if(st) {
    login_words(g, a.error.msg);
  } else {
    trouble_body(&t, a.status, STR_NONE, strbuf_str(&a.body));
    login_words(g, t.words);
    st = t.st;
  }
  const struct json *root = st ? NULL : json_parse(&arena, strbuf_str(&a.body), 64, NULL);
  struct str email = json_str(json_get(root, "email")), newer = json_str(json_get(root, "token"));
  if(!email.n) email = json_str(json_path(root, "data.email"));
  if(!st && (!email.n || email.n >= sizeof g->email)) st = Q_UP_BODY;
  if(!st) str_copy(g->email, sizeof g->email, email);
  if(!st && login_token_ok(newer) && jwt_expires_s(newer, NULL) > jwt_expires_s(token, NULL)) token = newer; /* some hand out a renewed one */
  if(!st && !(g->token = secret_new(token))) st = Q_NOMEM;
  g->expires_ms = st ? 0 : jwt_expires_s(token, NULL) * 1000;
  arena_free(&arena);
  login_answer_free(&a);
  strbuf_free(&url);
  return st;
}

enum q_status login_look(struct login *l, const struct pool_login *who, struct login_got *g)
{
  struct config *c = app_config(l->app);
  struct login_got x = { .token = NULL };
  enum q_status st = login_token_ok(secret_str(who->token)) ? login_ask(l, c, who, secret_str(who->token), g) : Q_UP_AUTH;
  if(st == Q_UP_AUTH && login_token_ok(secret_str(who->token)) && !login_exchange(l, c, who, &x)) { /* a session that has to be exchanged */
    st = login_ask(l, c, who, secret_str(x.token), g);
    g->refresh = x.refresh;
    g->exchange = true;
    x.refresh = NULL;
  }
  login_got_free(&x);
  config_unref(c);
  return st;
}

enum q_status login_now(struct login *l, struct account *a, bool grant, char words[304])
{
  struct login_run *run, **end;
  struct pool_login who;
  if(!pool_login_get(l->app->pool, a, &who)) return Q_NOT_FOUND;
  unsigned no = grant ? who.grant_no : who.token_no;
  pool_login_free(&who);
  pthread_mutex_lock(&l->lock);
  for(run = l->runs; run && (run->account != a || run->grant != grant); run = run->next) {}
  if(!run && (run = mem_zalloc(sizeof *run)) != NULL) {
    *run = (struct login_run){ .job.fn = login_job, .login = l, .account = a, .token_no = no, .grant = grant };
    for(end = &l->runs; *end; end = &(*end)->next) {}
    *end = run;
    pool_keep(l->app->pool, a);
  }
  enum q_status st = run ? Q_OK : Q_NOMEM;
  if(run) {
    run->holders++;
    if(!run->running) login_perform(l, run);
    while(!run->over) pthread_cond_wait(&l->ended, &l->lock);
    st = run->st;
    str_copy(words, 304, str_z(run->words));
    login_let_go(run);
  }
  pthread_mutex_unlock(&l->lock);
  return st;
}
