#include "domain/keeper.h"

#include <time.h>

#include "base/mem.h"
#include "domain/accounts.h"
#include "domain/grant.h"
#include "domain/keys_count.h"
#include "domain/login.h"
#include "domain/qwen.h"
#include "domain/tidy.h"
#include "domain/vendor.h"

enum {
  KEEPER_TICK_MS = 1000,
  KEEPER_EARLY_MS = 200,        /* until the first list is there */
  KEEPER_MODELS_AGAIN_MS = 60 * 1000,
  KEEPER_MODELS_MS = 20 * 1000,
  KEEPER_MODELS_MAX = 16 * 1024 * 1024,
  KEEPER_STOCK_MS = 30 * 60 * 1000,
  KEEPER_TOKENS_MS = 5 * 1000,
  KEEPER_STATS_MS = 5 * 1000,
  KEEPER_SHARED_MS = 400        /* written by one gateway and read by another within a second */
};

struct keeper {
  struct app *app;
  struct app_pump *pump;
  struct pump_timer timer, keys_timer;
  struct pump_task again;       /* there was no memory for the timer: nothing else would call us */
  struct vendor *vendor;
  struct job models_job, save_job, stats_job, keys_job;
  atomic_bool models_busy, save_busy, stats_busy, keys_busy, models_wanted;
  int64_t models_tried_ms, tokens_looked_ms, renewals_looked_ms, stats_saved_ms; /* wall clock */
};

/* ---- the model list ---- */

/* Any account with a living token will do; its turn books nothing but trouble with the sign-in. */
static struct account *keeper_account(struct app *a, struct pool_login *who)
{
  struct pool_waiter w = { .want = { .feature = FEATURE_CHAT } };
  int64_t ignored, now = now_wall_ms(a->now);
  if(pool_acquire(a->pool, &w, now, 0, &ignored, NULL) != Q_OK) return NULL;
  struct account *found = w.lease.account;
  bool ok = pool_token_state(&w.lease, now) != POOL_TOKEN_DEAD && pool_login_get(a->pool, found, who);
  if(!ok) login_renew(a->login, found, w.lease.token_no, false, NULL);
  pool_release(a->pool, &w.lease, now, Q_CLIENT_GONE, "", 0, STR_NONE);
  return ok ? found : NULL;
}

static enum q_status keeper_fetch(struct app *a, struct pool_login *who, struct strbuf *body)
{
  struct config *c = app_config(a);
  struct crypt_rng rng = { .left = 0 };
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct qwen_call q = { c, &rng, secret_str(who->token), STR_NONE, false, now_wall_s(a->now), secret_str(who->headers), secret_str(who->cookie) };
  struct str proxy = secret_str(who->proxy);
  struct q_error e = Q_ERROR_NONE;
  struct trouble t;
  int status = 0;
  qwen_url(c, "/api/models", STR_NONE, &url);
  qwen_headers(&q, &headers);
  struct xchg_req r = { strbuf_str(&url), proxy.n ? proxy : str_z(c->proxy_url), S("GET"), strbuf_str(&headers), NULL,
                        c->upstream_connect_timeout_ms };
  enum q_status st = url.err ? url.err : headers.err;
  if(!st) st = httpc_call(a->net, a->now, &r, KEEPER_MODELS_MS, &status, NULL, body, &e);
  if(!st) {
    trouble_body(&t, status, STR_NONE, strbuf_str(body));
    st = t.st;
  }
  if(st) LOG_INFO(a->log, "models", "", "the list could not be fetched: %s%s%s", status_row(st)->text, e.msg[0] ? ": " : "", e.msg);
  crypt_wipe(&rng, sizeof rng);
  if(headers.p) crypt_wipe(headers.p, headers.n);
  strbuf_free(&headers);
  strbuf_free(&url);
  config_unref(c);
  return st;
}

static void keeper_models(struct job *j)
{
  struct keeper *k = (struct keeper *)((char *)j - offsetof(struct keeper, models_job));
  struct pool_login who = { .password = NULL };
  struct strbuf body = STRBUF(KEEPER_MODELS_MAX);
  struct app *a = k->app;
  if(keeper_account(a, &who) && keeper_fetch(a, &who, &body) == Q_OK) {
    struct models *m = models_read(strbuf_str(&body));
    if(m) {
      LOG_INFO(a->log, "models", "", "%d models", models_count(m));
      struct strbuf record = STRBUF(KEEPER_MODELS_MAX + 16);
      strbuf_addc(&record, 1);
      strbuf_adds(&record, strbuf_str(&body));
      if(record.err || store_put(a->store, S("cache/models"), strbuf_str(&record))) LOG_WARN(a->log, "models", "", "the list could not be stored");
      strbuf_free(&record);
      app_set_models(a, m, true);
      atomic_store(&k->models_wanted, false);
    }
  }
  pool_login_free(&who);
  strbuf_free(&body);
  atomic_store(&k->models_busy, false);
}

static void keeper_look_models(struct keeper *k, const struct config *c, int64_t now)
{
  struct app *a = k->app;
  pthread_mutex_lock(&a->lock);
  int64_t at = a->models_at_ms;
  pthread_mutex_unlock(&a->lock);
  bool old = !at || (c->models_cache_ttl_ms && now - at > c->models_cache_ttl_ms);
  bool wanted = old || atomic_load(&k->models_wanted);
  /* Without any list it is asked for every second until an account is there; afterwards once a minute. */
  int64_t pause = at ? KEEPER_MODELS_AGAIN_MS : KEEPER_EARLY_MS;
  if(!wanted || now - k->models_tried_ms < pause || atomic_load(&k->models_busy)) return;
  k->models_tried_ms = now;
  atomic_store(&k->models_busy, true);
  if(jobs_submit(a->jobs, &k->models_job)) atomic_store(&k->models_busy, false);
}

static int64_t keeper_models_at(struct keeper *k)
{
  pthread_mutex_lock(&k->app->lock);
  int64_t at = k->app->models_at_ms;
  pthread_mutex_unlock(&k->app->lock);
  return at;
}

bool keeper_models_fetch(struct keeper *k)
{
  int64_t before = keeper_models_at(k);
  struct timespec pause = { 0, 20 * 1000 * 1000 };
  int64_t end = now_mono_ms(k->app->now) + KEEPER_MODELS_MS;
  while(atomic_exchange(&k->models_busy, true)) { /* one is on its way: it will do */
    if(now_mono_ms(k->app->now) > end || atomic_load(&k->app->ending)) return false;
    nanosleep(&pause, NULL);
    if(keeper_models_at(k) != before) return true;
  }
  keeper_models(&k->models_job);
  return keeper_models_at(k) != before;
}

void keeper_models_now(struct keeper *k)
{
  atomic_store(&k->models_wanted, true);
}

/* ---- tokens ---- */

struct keeper_tokens { struct { struct account *a; unsigned no; } due[32]; int n; int64_t now; bool all; };

static void keeper_token(void *ctx, struct account *a)
{
  struct keeper_tokens *t = ctx;
  bool due = a->token ? t->all && a->renew_ms && t->now >= a->renew_ms : t->now >= a->renew_ms;
  if(t->n == 32 || a->kind != ACCOUNT_WEB || a->whole != ACCOUNT_ACTIVE || !due || (!a->password && !a->exchange)) return;
  if(a->features[FEATURE_CHAT].state != ACCOUNT_ACTIVE && a->features[FEATURE_CHAT].until_ms > t->now) return;
  t->due[t->n].a = a;
  t->due[t->n++].no = a->token_no;
}

/* Accounts without a token are signed in soon after they are found; the others are looked at every interval, and besides by
 * each turn that uses them (pool_token_state). */
static void keeper_look_tokens(struct keeper *k, const struct config *c, int64_t now)
{
  struct keeper_tokens t = { .now = now, .all = now - k->renewals_looked_ms >= c->auto_refresh_interval_ms };
  if(!c->auto_refresh || (!t.all && now - k->tokens_looked_ms < KEEPER_TOKENS_MS)) return;
  k->tokens_looked_ms = now;
  pool_each(k->app->pool, keeper_token, &t);
  if(t.all && t.n < 32) k->renewals_looked_ms = now; /* else there may be more: at the next look */
  for(int i = 0; i < t.n; i++) login_renew(k->app->login, t.due[i].a, t.due[i].no, false, NULL);
}

/* ---- the store ---- */

static void keeper_save_job(struct job *j)
{
  struct keeper *k = (struct keeper *)((char *)j - offsetof(struct keeper, save_job));
  enum q_status st = accounts_save(k->app);
  if(st && st != Q_STORE_AWAY) LOG_ERROR(k->app->log, "store", "", "the accounts could not be written; tried again in a second");
  atomic_store(&k->save_busy, false);
}

static void keeper_dirty(void *ctx, struct account *a)
{
  *(bool *)ctx |= a->dirty;
}

static void keeper_look_store(struct keeper *k)
{
  bool dirty = false;
  pool_each(k->app->pool, keeper_dirty, &dirty);
  if(!dirty || atomic_load(&k->save_busy)) return;
  atomic_store(&k->save_busy, true);
  if(jobs_submit(k->app->jobs, &k->save_job)) atomic_store(&k->save_busy, false);
}

enum q_status keeper_save(struct keeper *k)
{
  return accounts_save(k->app);
}

static void keeper_stats_job(struct job *j)
{
  struct keeper *k = (struct keeper *)((char *)j - offsetof(struct keeper, stats_job));
  if(stats_save(k->app->stats, k->app->store, now_wall_ms(k->app->now)))
    LOG_WARN(k->app->log, "store", "", "the counters could not be written; they are held and written later");
  atomic_store(&k->stats_busy, false);
}

static void keeper_look_stats(struct keeper *k, int64_t now)
{
  if(now - k->stats_saved_ms < KEEPER_STATS_MS || !stats_unsaved(k->app->stats) || atomic_load(&k->stats_busy)) return;
  k->stats_saved_ms = now;
  atomic_store(&k->stats_busy, true);
  if(jobs_submit(k->app->jobs, &k->stats_job)) atomic_store(&k->stats_busy, false);
}

static void keeper_keys_job(struct job *j)
{
  struct keeper *k = (struct keeper *)((char *)j - offsetof(struct keeper, keys_job));
  enum q_status st = keys_count_save(k->app->keys, now_wall_ms(k->app->now));
  if(st && st != Q_STORE_AWAY) LOG_WARN(k->app->log, "store", "", "the counters of keys could not be written; they are held and written later");
  atomic_store(&k->keys_busy, false);
}

static void keeper_look_keys(struct keeper *k, int64_t now)
{
  if(atomic_load(&k->keys_busy) || !keys_count_due(k->app->keys, now)) return;
  atomic_store(&k->keys_busy, true);
  if(jobs_submit(k->app->jobs, &k->keys_job)) atomic_store(&k->keys_busy, false);
}

static void keeper_keys_tick(struct pump_timer *t)
{
  struct keeper *k = (struct keeper *)((char *)t - offsetof(struct keeper, keys_timer));
  keeper_look_keys(k, now_wall_ms(k->app->now));
  if(pump_timer_set(k->pump->pump, t, pump_now(k->pump->pump) + KEEPER_SHARED_MS))
    LOG_WARN(k->app->log, "keeper", "", "no memory for a timer: counters of keys are shared a little later"); /* keeper_tick() tries again */
}

/* ---- stock ---- */

static void keeper_look_stock(struct keeper *k, int64_t now)
{
  struct account *account;
  struct pool_chat chat;
  struct pool_login who;
  for(int i = 0; i < 16 && pool_stock_old(k->app->pool, now, KEEPER_STOCK_MS, &account, &chat); i++) {
    if(pool_login_get(k->app->pool, account, &who)) {
      struct lease lease = { .account = account, .token = who.token, .proxy = who.proxy, .headers = who.headers, .cookie = who.cookie };
      tidy_delete(k->pump, &lease, str_z(chat.id));
      pool_login_free(&who);
    }
    pool_unkeep(k->app->pool, account);
  }
}

static bool keeper_web(struct keeper *k, int64_t now)
{
  struct pool_want w = { .feature = FEATURE_CHAT };
  return pool_offer(k->app->pool, &w, now).configured > 0;
}

static void keeper_wait(struct keeper *k, int64_t ms)
{
  if(pump_timer_set(k->pump->pump, &k->timer, pump_now(k->pump->pump) + ms)) pump_defer(k->pump->pump, &k->again);
}

static void keeper_again(struct pump_task *t)
{
  keeper_wait((struct keeper *)((char *)t - offsetof(struct keeper, again)), KEEPER_TICK_MS);
}

static void keeper_tick(struct pump_timer *t)
{
  struct keeper *k = (struct keeper *)((char *)t - offsetof(struct keeper, timer));
  struct config *c = app_config(k->app);
  int64_t now = now_wall_ms(k->app->now);
  keeper_look_tokens(k, c, now);
  keeper_look_models(k, c, now);
  grant_look(k->app, now);
  vendor_look(k->vendor, now);
  keeper_look_store(k);
  keeper_look_stats(k, now);
  if(!store_shared(k->app->store)) keeper_look_keys(k, now);
  else if(!k->keys_timer.slot) keeper_keys_tick(&k->keys_timer);
  keeper_look_stock(k, now);
  pool_poll(k->app->pool, now);
  config_unref(c);
  pthread_mutex_lock(&k->app->lock);
  int64_t tick = k->app->models_at_ms || !keeper_web(k, now) ? KEEPER_TICK_MS : KEEPER_EARLY_MS;
  pthread_mutex_unlock(&k->app->lock);
  keeper_wait(k, tick);
}

struct keeper *keeper_new(struct app *a)
{
  struct keeper *k = mem_zalloc(sizeof *k);
  if(!k) return NULL;
  k->vendor = vendor_new(a);
  if(!k->vendor) {
    mem_free(k);
    return NULL;
  }
  k->app = a;
  k->timer.fn = keeper_tick;
  k->again.fn = keeper_again;
  k->keys_timer.fn = keeper_keys_tick;
  k->models_job.fn = keeper_models;
  k->save_job.fn = keeper_save_job;
  k->stats_job.fn = keeper_stats_job;
  k->keys_job.fn = keeper_keys_job;
  return k;
}

void keeper_start(struct keeper *k, struct app_pump *p)
{
  k->pump = p;
  keeper_tick(&k->timer);
}

void keeper_stop(struct keeper *k)
{
  if(!k->pump) return;
  pump_timer_off(k->pump->pump, &k->timer);
  pump_timer_off(k->pump->pump, &k->keys_timer);
  pump_undefer(k->pump->pump, &k->again);
}

void keeper_destroy(struct keeper *k)
{
  if(k) vendor_destroy(k->vendor);
  mem_free(k);
}
