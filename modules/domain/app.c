#include "domain/app.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/mem.h"
#include "domain/accounts.h"
#include "domain/answer.h"
#include "domain/keeper.h"
#include "domain/keys_count.h"
#include "domain/import.h"
#include "domain/legacy.h"
#include "domain/login.h"
#include "domain/responses.h"
#include "domain/settings.h"
#include "domain/share.h"
#include "domain/tasks.h"
#include "domain/tidy.h"
#include "domain/upload.h"
#include "domain/video.h"

enum {
  APP_SCRATCH_MAX = 80 * 1024 * 1024,
  APP_PUMP_STACK = 512 * 1024,
  APP_FETCH_THREADS = 64,   /* threads that do nothing are not there */
  APP_UPLOAD_THREADS = 32,
  APP_STUCK_MS = 5000,
  APP_REDIS_MS = 30 * 1000, /* how long an unreachable server is tried at start */
  APP_ACCEPTED_MS = 300,    /* for requests on the way over connections that were accepted just now */
  APP_TIDY_MS = 3000        /* how long the end waits for stops and deletions */
};

struct config *app_config(struct app *a)
{
  pthread_mutex_lock(&a->lock);
  struct config *c = config_ref(a->config);
  pthread_mutex_unlock(&a->lock);
  return c;
}

/* What does not look at the config by itself is told. */
static void app_apply_config(struct app *a, const struct config *c)
{
  struct pool_config pc = { (int)c->max_inflight_per_account, c->min_start_gap_ms, (int)c->queue_max, (int)c->chat_stock, c->cli_daily_limit };
  pool_set_config(a->pool, &pc);
  if(a->log) log_set_level(a->log, (enum log_level)c->log_level);
  if(a->log) log_set_files(a->log, c->max_log_file_size_bytes, (int)c->max_log_files);
  if(a->gates) gate_shared_set_bodies(a->gates, (size_t)c->body_limit_bytes, (size_t)c->body_limit_bytes * 4);
}

void app_set_config(struct app *a, struct config *c)
{
  pthread_mutex_lock(&a->lock);
  struct config *old = a->config;
  a->config = c;
  pthread_mutex_unlock(&a->lock);
  app_apply_config(a, c);
  config_unref(old);
}

struct models *app_models(struct app *a, const char **source)
{
  static const char *const names[] = { "builtin", "cached", "live" };
  pthread_mutex_lock(&a->lock);
  struct models *m = models_ref(a->models);
  if(source) *source = names[a->models_from];
  pthread_mutex_unlock(&a->lock);
  return m;
}

void app_set_models(struct app *a, struct models *m, bool live)
{
  pthread_mutex_lock(&a->lock);
  struct models *old = a->models;
  a->models = m;
  a->models_from = live ? MODELS_LIVE : MODELS_CACHED;
  if(live) a->models_at_ms = now_wall_ms(a->now);
  pthread_mutex_unlock(&a->lock);
  models_unref(old);
}

struct app_pump *app_pump_of(struct app *a, const struct pump *p)
{
  int i = 0;
  while(i + 1 < a->pump_n && a->pumps[i].pump != p) i++;
  return &a->pumps[i];
}

/* ---- birth ---- */

static enum q_status app_read_file(const char *path, struct strbuf *out, struct q_error *e)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if(fd < 0) return status_fail(e, Q_BAD_VALUE, "SSL_CERT_FILE", "SSL_CERT_FILE=%.200s cannot be read: %s.", path, strerror(errno));
  for(;;) {
    char *room = strbuf_room(out, 16 * 1024);
    ssize_t n = room ? read(fd, room, 16 * 1024) : 0;
    if(n <= 0) break;
    out->n += (size_t)n;
  }
  close(fd);
  return out->err ? status_fail(e, out->err, NULL, "SSL_CERT_FILE is too large.") : Q_OK;
}

struct net *app_net(const struct config *c, struct jobs *jobs, const struct transport *transport, const struct now *now, struct q_error *e)
{
  struct strbuf pem = STRBUF(8 * 1024 * 1024);
  struct net_resolve *map = mem_zalloc(sizeof *map * (size_t)(c->upstream_resolve_n + 1));
  struct net *net = NULL;
  enum q_status st = map ? Q_OK : status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  for(int i = 0; !st && i < c->upstream_resolve_n; i++)
    map[i] = (struct net_resolve){ c->upstream_resolve[i].host, c->upstream_resolve[i].port, c->upstream_resolve[i].addr,
                                   c->upstream_resolve[i].addr_port };
  if(!st && c->ssl_cert_file[0]) st = app_read_file(c->ssl_cert_file, &pem, e);
  if(!st) {
    struct net_config nc = { .resolve = map, .resolve_n = c->upstream_resolve_n, .ca_pem = strbuf_str(&pem),
                             .transport = transport, .jobs = jobs, .now = now };
    net = net_new(&nc, e);
  }
  strbuf_free(&pem);
  mem_free(map);
  return net;
}

static enum q_status app_open_net(struct app *a, const struct app_parts *parts, struct q_error *e, int *exit_code)
{
  a->net = app_net(a->config, a->jobs, parts->transport, a->now, e);
  if(!a->net) *exit_code = EXIT_CONFIG;
  return a->net ? Q_OK : Q_BAD_VALUE;
}

static enum q_status app_open_store(struct app *a, const struct app_parts *parts, struct q_error *e, int *exit_code)
{
  const struct config *c = a->config;
  bool stale = false;
  a->store = parts->store;
  if(!a->store && c->data_save_mode == SAVE_REDIS) {
    struct store_redis_want w = { a->net, a->now, a->log, str_z(c->redis_url), APP_REDIS_MS };
    a->store = store_redis_open(&w, e, exit_code);
    if(!a->store) return Q_STORE;
  }
  if(!a->store && c->data_save_mode != SAVE_NONE) {
    a->store = store_lmdb_open(c->data_dir, e, exit_code);
    bool optional = c->data_save_mode == SAVE_UNSET && *exit_code == EXIT_CREATE;
    if(!a->store && !optional) return Q_STORE;
    if(!a->store) LOG_WARN(a->log, "store", "", "%s Accounts and keys live in memory and are lost at exit.", e->msg);
  }
  if(!a->store) a->store = store_mem_new();
  if(!a->store) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  *e = Q_ERROR_NONE;
  a->seal = seal_open(a->store, c, &stale, e, exit_code);
  if(!a->seal) return e->st;
  enum q_status st = settings_load(a, e);
  if(!st) st = accounts_load(a, e);
  if(!st) st = import_first(a, false, e, exit_code);
  if(!st && legacy_import(a, false)) st = status_fail(e, Q_STORE, NULL, "What the original program left in Redis cannot be read.");
  if(!st) st = accounts_from_env(a, e);
  if(!st) st = videos_load(a->videos, e);
  struct responses_home home = { a->store, a->seal, a->jobs, a->log };
  if(!st && a->store->ops->lasting && responses_load(a->responses, &home, a->config->responses_store_max, stale, now_wall_ms(a->now)))
    st = status_fail(e, Q_STORE, NULL, "The kept responses cannot be read from the store.");
  if(!st && stale) { /* SECRET_KEY=new,old: everything is sealed anew */
    st = accounts_reseal(a);
    if(!st) st = settings_reseal(a);
    if(!st) st = import_reseal(a);
    if(!st) st = videos_reseal(a->videos);
    if(!st) st = seal_settle(a->seal, a->store);
    if(st) status_fail(e, st, "SECRET_KEY", "The records could not be sealed with the new SECRET_KEY.");
  }
  if(!st && accounts_save(a)) st = status_fail(e, Q_STORE, NULL, "The accounts cannot be written to the store.");
  if(st) *exit_code = *exit_code ? *exit_code : 1;
  return st;
}

static void app_load_models(struct app *a)
{
  struct strbuf record = STRBUF(32 * 1024 * 1024);
  struct models *m = NULL;
  if(store_get(a->store, S("cache/models"), &record) == Q_OK && record.n > 1 && record.p[0] == 1)
    m = models_read(str_sub(strbuf_str(&record), 1, record.n));
  if(m) {
    app_set_models(a, m, false);
  }
  strbuf_free(&record);
}

static enum q_status app_open_pumps(struct app *a, const struct gate_config *gate)
{
  a->gates = gate_shared_new(gate);
  if(!a->gates) return Q_NOMEM;
  for(a->pump_n = 0; a->pump_n < a->config->pumps && a->pump_n < APP_PUMPS_MAX; a->pump_n++) {
    struct app_pump *p = &a->pumps[a->pump_n];
    p->app = a;
    p->scratch = STRBUF(APP_SCRATCH_MAX);
    p->pump = pump_new(a->now);
    p->gate = p->pump ? gate_new(a->gates, p->pump) : NULL;
    p->httpc = p->gate ? httpc_new(p->pump, a->net) : NULL;
    if(!p->httpc) {
      a->pump_n++; /* what was made of it is destroyed with the rest */
      return Q_NOMEM;
    }
  }
  return Q_OK;
}

enum q_status app_new(struct app **out, struct config *config, struct log *log, const struct app_parts *parts,
                      const struct gate_config *gate, struct q_error *e, int *exit_code)
{
  struct app *a = mem_zalloc(sizeof *a);
  *exit_code = 1;
  if(!a) {
    config_unref(config);
    store_close(parts->store);
    return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  }
  *exit_code = 0;
  pthread_mutex_init(&a->lock, NULL);
  pthread_mutex_init(&a->accounts_lock, NULL);
  a->restart = parts->restart;
  a->restart_ctx = parts->restart_ctx;
  a->now = parts->now ? parts->now : &now_real;
  a->log = log;
  a->config = config;
  a->started_ms = now_wall_ms(a->now);
  struct pool_config pc = { (int)config->max_inflight_per_account, config->min_start_gap_ms, (int)config->queue_max, (int)config->chat_stock,
                             config->cli_daily_limit };
  a->jobs = jobs_new((int)config->job_threads);
  a->fetch_jobs = jobs_new(APP_FETCH_THREADS);
  a->upload_jobs = jobs_new(APP_UPLOAD_THREADS);
  a->uploads = uploads_new(a);
  a->pool = pool_new(&pc);
  a->models = models_builtin();
  a->gauge = gauge_new();
  a->stats = stats_new();
  a->settings = settings_new(a, parts->input);
  a->responses = responses_new();
  a->login = login_new(a);
  a->keeper = keeper_new(a);
  a->videos = videos_new(a);
  a->tasks = tasks_new(a);
  enum q_status st = Q_OK;
  if(!a->jobs || !a->fetch_jobs || !a->upload_jobs || !a->uploads || !a->pool || !a->models ||
     !a->responses || !a->login || !a->keeper || !a->videos || !a->gauge || !a->stats || !a->settings || !a->tasks) {
    st = status_fail(e, Q_NOMEM, NULL, "Out of memory.");
    store_close(parts->store);
  }
  if(!st) {
    st = app_open_net(a, parts, e, exit_code); /* the store may be a server */
    if(st) store_close(parts->store);
  }
  if(!st) st = app_open_store(a, parts, e, exit_code);
  if(!st && stats_load(a->stats, a->store, a->started_ms)) LOG_WARN(a->log, "stats", "", "the counters of today could not be read; they begin anew");
  if(!st) {
    a->keys = keys_open(a->store, a->config, a->log, a->started_ms, a->made_key, e);
    if(!a->keys) st = e->st;
    if(!st) st = import_first(a, true, e, exit_code);
    if(!st && legacy_import(a, true)) st = status_fail(e, Q_STORE, NULL, "What the original program left in Redis cannot be read.");
  }
  if(!st) {
    app_load_models(a);
    st = app_open_pumps(a, gate);
    if(!st && a->config != config) app_apply_config(a, a->config); /* there were stored settings */
    if(st) status_fail(e, st, NULL, "Out of memory or file descriptors.");
  }
  if(!st) st = share_start(a, e);
  if(st) {
    if(!*exit_code) *exit_code = 1;
    app_destroy(a);
    return st;
  }
  *out = a;
  return Q_OK;
}

/* ---- running ---- */

static void *app_pump_main(void *arg)
{
  struct app_pump *p = arg;
  pump_run(p->pump);
  return NULL;
}

struct app_call { struct pump_task task; struct app_pump *p; pthread_mutex_t lock; pthread_cond_t done; bool is_done; void (*fn)(struct app_pump *p); };

static void app_call_task(struct pump_task *t)
{
  struct app_call *c = (struct app_call *)t;
  c->fn(c->p);
  pthread_mutex_lock(&c->lock);
  c->is_done = true;
  pthread_cond_signal(&c->done);
  pthread_mutex_unlock(&c->lock);
}

/* Runs fn on the pump's thread and waits for it; in place if the pump has no thread. */
static void app_on_pump(struct app_pump *p, void (*fn)(struct app_pump *p))
{
  struct app_call c = { .task.fn = app_call_task, .p = p, .fn = fn };
  if(!p->started) {
    fn(p);
    return;
  }
  pthread_mutex_init(&c.lock, NULL);
  pthread_cond_init(&c.done, NULL);
  pump_post(p->pump, &c.task);
  pthread_mutex_lock(&c.lock);
  while(!c.is_done) pthread_cond_wait(&c.done, &c.lock);
  pthread_mutex_unlock(&c.lock);
  pthread_cond_destroy(&c.done);
  pthread_mutex_destroy(&c.lock);
}

static void app_start_keeper(struct app_pump *p)
{
  keeper_start(p->app->keeper, p);
  videos_begin(p->app->videos, p);
}

enum q_status app_start(struct app *a)
{
  pthread_attr_t attr;
  enum q_status st = Q_OK;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, APP_PUMP_STACK);
  for(int i = 0; i < a->pump_n && !st; i++) {
    struct app_pump *p = &a->pumps[i];
    p->started = pthread_create(&p->thread, &attr, app_pump_main, p) == 0;
    if(!p->started) st = Q_NOMEM;
  }
  pthread_attr_destroy(&attr);
  if(!st) app_on_pump(&a->pumps[0], app_start_keeper);
  return st;
}

static void app_drain_pump(struct app_pump *p)
{
  gate_drain(p->gate);
}

static void app_end_answers(struct app_pump *p)
{
  answer_end_all(p);
}

static void app_end_videos(struct app_pump *p)
{
  videos_end(p->app->videos);
}

/* Unused chats of the stock are deleted at the end. */
static void app_drop_stock(struct app_pump *p)
{
  struct app *a = p->app;
  struct account *account;
  struct pool_chat chat;
  struct pool_login who;
  keeper_stop(a->keeper);
  while(tidy_running(p) < TIDY_MAX && pool_stock_old(a->pool, now_wall_ms(a->now), -1, &account, &chat)) {
    if(pool_login_get(a->pool, account, &who)) {
      struct lease lease = { .account = account, .token = who.token, .proxy = who.proxy, .headers = who.headers, .cookie = who.cookie };
      tidy_delete(p, &lease, str_z(chat.id));
      pool_login_free(&who);
    }
    pool_unkeep(a->pool, account);
  }
}

static int app_tidying(struct app *a)
{
  int n = 0;
  for(int i = 0; i < a->pump_n; i++) n += atomic_load(&a->pumps[i].tidying);
  return n;
}

static int app_open_answers(struct app *a)
{
  return gate_busy(a->gates);
}

static void app_wait(struct app *a, int64_t ms, const atomic_bool *hurry, int (*left)(struct app *a))
{
  int64_t end = now_mono_ms(a->now) + ms;
  while(left(a) > 0 && now_mono_ms(a->now) < end && !(hurry && atomic_load(hurry))) {
    struct timespec pause = { 0, 10 * 1000 * 1000 };
    nanosleep(&pause, NULL);
  }
}

static void app_unlisten_pump(struct app_pump *p)
{
  gate_unlisten(p->gate);
}

void app_unlisten(struct app *a)
{
  struct timespec moment = { 0, APP_ACCEPTED_MS * 1000 * 1000 };
  for(int i = 0; i < a->pump_n; i++) app_on_pump(&a->pumps[i], app_unlisten_pump);
  nanosleep(&moment, NULL);
}

static void app_shed_pump(struct app_pump *p)
{
  strbuf_free(&p->scratch);
}

/* The C library gives freed pages back by itself, as soon as a group of blocks is empty: there is nothing to call for it. */
void app_shed(struct app *a)
{
  uploads_shed(a->uploads);
  for(int i = 0; i < a->pump_n; i++) app_on_pump(&a->pumps[i], app_shed_pump);
}

void app_stop(struct app *a, int64_t grace_ms, const atomic_bool *hurry)
{
  atomic_store(&a->draining, true);
  for(int i = 0; i < a->pump_n; i++) app_on_pump(&a->pumps[i], app_drain_pump);
  videos_drain(a->videos);
  app_wait(a, grace_ms, hurry, app_open_answers);
  atomic_store(&a->ending, true);
  for(int i = 0; i < a->pump_n; i++) app_on_pump(&a->pumps[i], app_end_answers);
  if(app_open_answers(a)) app_wait(a, 500, hurry, app_open_answers); /* the last bytes of the errors */
  app_on_pump(&a->pumps[0], app_end_videos);
  app_on_pump(&a->pumps[0], app_drop_stock);
  app_wait(a, APP_TIDY_MS, hurry, app_tidying);
  for(int i = 0; i < a->pump_n; i++) {
    if(!a->pumps[i].started) continue;
    pump_stop(a->pumps[i].pump);
    pthread_join(a->pumps[i].thread, NULL);
    a->pumps[i].started = false;
  }
}

/* Whoever had an account has given it back by now: a test looks for this line. */
static void app_count_leases(struct app *a)
{
  if(!a->pool) return;
  struct pool_counts c = pool_count(a->pool, FEATURE_CHAT, now_wall_ms(a->now));
  if(c.leased || c.waiting) LOG_ERROR(a->log, "pool", "", "%d leases were never given back, %d still wait", c.leased, c.waiting);
}

void app_destroy(struct app *a)
{
  if(!a) return;
  atomic_store(&a->draining, true);
  atomic_store(&a->ending, true);
  if(a->videos) videos_end(a->videos);
  tasks_stop(a->tasks);
  jobs_destroy(a->fetch_jobs); /* a download that ends starts an upload */
  jobs_destroy(a->upload_jobs);
  responses_stop(a->responses);
  jobs_destroy(a->jobs);
  if(a->keeper && a->store && a->seal && a->pool && a->store->ops->lasting && keeper_save(a->keeper))
    LOG_ERROR(a->log, "store", "", "the last state of the accounts could not be written");
  if(a->stats && a->store && a->pump_n && stats_unsaved(a->stats) && stats_save(a->stats, a->store, now_wall_ms(a->now)))
    LOG_ERROR(a->log, "store", "", "the last counters could not be written");
  if(a->keys && a->pump_n && keys_count_save(a->keys, now_wall_ms(a->now))) LOG_ERROR(a->log, "store", "", "the last counters of keys could not be written");
  for(int i = 0; i < a->pump_n; i++) {
    struct app_pump *p = &a->pumps[i];
    if(!p->pump) continue;
    if(p->httpc) app_end_answers(p);
    tidy_end_all(p);
    pump_turn(p->pump, 0); /* answers that jobs gave after the pump's thread had ended: they name clients of the gate */
    gate_destroy(p->gate);
    if(p->httpc) app_end_answers(p);
    for(int k = 0; k < 3; k++) pump_turn(p->pump, 0); /* what waits to be buried, and what is on its way to it */
    httpc_destroy(p->httpc);
    pump_turn(p->pump, 0);
    pump_destroy(p->pump);
    strbuf_free(&p->scratch);
  }
  uploads_destroy(a->uploads);
  keeper_destroy(a->keeper);
  videos_destroy(a->videos);
  tasks_destroy(a->tasks);
  login_destroy(a->login);
  responses_destroy(a->responses);
  store_close(a->store); /* before what its thread tells news to */
  keys_destroy(a->keys);
  app_count_leases(a);
  pool_destroy(a->pool);
  gauge_destroy(a->gauge);
  stats_destroy(a->stats);
  settings_destroy(a->settings);
  seal_destroy(a->seal);
  net_destroy(a->net);
  gate_shared_destroy(a->gates);
  models_unref(a->models);
  config_unref(a->config);
  pthread_mutex_destroy(&a->lock);
  pthread_mutex_destroy(&a->accounts_lock);
  mem_free(a);
}

struct app_health app_health(struct app *a)
{
  int64_t now = now_mono_ms(a->now), wall = now_wall_ms(a->now);
  struct app_health h = { .alive = true, .uptime_s = (wall - a->started_ms) / 1000 };
  for(int i = 0; i < a->pump_n; i++)
    if(a->pumps[i].started && now - pump_turned_ms(a->pumps[i].pump) > APP_STUCK_MS) h.alive = false;
  struct pool_counts c = pool_count(a->pool, FEATURE_CHAT, wall);
  h.total = c.total;
  h.usable = c.usable;
  if(!c.usable) h.reasons[h.reason_n++] = "no_usable_account";
  if(atomic_load(&a->draining)) h.reasons[h.reason_n++] = "draining";
  if(!h.alive) h.reasons[h.reason_n++] = "stuck";
  h.ready = h.reason_n == 0;
  h.degraded = !store_up(a->store);
  if(h.degraded) h.reasons[h.reason_n++] = "redis_down";
  return h;
}
