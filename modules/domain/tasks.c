#include "domain/tasks.h"

#include <time.h>

#include "base/crypt.h"
#include "base/mem.h"
#include "domain/roster.h"

enum {
  TASKS_WORKERS = 20,
  TASKS_KEEP_MS = 30 * 60 * 1000,
  TASKS_PAUSE_MS = 1000,
  TASKS_STEP_MS = 50,
  TASKS_RECENT = 20
};

enum task_state { TASK_PENDING, TASK_RUNNING, TASK_COMPLETED, TASK_FAILED, TASK_CANCELLED };
enum task_result { RESULT_NONE, RESULT_SUCCESS, RESULT_FAILED, RESULT_SKIPPED };

struct task_item {
  struct account_fields f;   /* of a task that adds; wiped when done */
  char *name;                /* of a bare token: "token 3" until the upstream told */
  enum task_result result;
};

struct task {
  struct task *next;
  char id[TASKS_ID];
  bool refresh;              /* else it adds */
  enum task_state state;
  struct task_item *items;
  int n, at;                 /* at: the next to be begun */
  int total, skipped, invalid, success, failed, workers, concurrency;
  bool cancel;
  unsigned version;
  int64_t created_ms, started_ms, finished_ms;
  int active[TASKS_WORKERS];
  struct { int item; char message[304]; } recent[TASKS_RECENT];
  int recent_n;              /* of all that came, the last ones are kept */
  struct account_list list;  /* for its bad lines */
};

struct task_worker { struct job job; struct tasks *tasks; bool busy; };

struct tasks {
  struct app *app;
  struct jobs *jobs;
  pthread_mutex_t lock;      /* guards all below */
  pthread_cond_t ended;
  struct task *first;        /* newest first */
  struct task *running;
  struct task_worker workers[TASKS_WORKERS];
  bool stopping;
};

static void task_free(struct task *k)
{
  if(!k) return;
  for(int i = 0; i < k->n; i++) {
    account_fields_free(&k->items[i].f);
    mem_free(k->items[i].name);
  }
  mem_free(k->items);
  account_list_free(&k->list);
  mem_free(k);
}

static void tasks_work(struct job *j);

struct tasks *tasks_new(struct app *a)
{
  struct tasks *t = mem_zalloc(sizeof *t);
  if(!t) return NULL;
  t->app = a;
  t->jobs = jobs_new(TASKS_WORKERS);
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->ended, NULL);
  for(int i = 0; i < TASKS_WORKERS; i++) t->workers[i] = (struct task_worker){ .job.fn = tasks_work, .tasks = t };
  if(t->jobs) return t;
  tasks_destroy(t);
  return NULL;
}

void tasks_stop(struct tasks *t)
{
  if(!t || !t->jobs) return;
  pthread_mutex_lock(&t->lock);
  t->stopping = true;
  pthread_mutex_unlock(&t->lock);
  jobs_destroy(t->jobs);
  t->jobs = NULL;
}

void tasks_destroy(struct tasks *t)
{
  if(!t) return;
  tasks_stop(t);
  while(t->first) {
    struct task *next = t->first->next;
    task_free(t->first);
    t->first = next;
  }
  pthread_cond_destroy(&t->ended);
  pthread_mutex_destroy(&t->lock);
  mem_free(t);
}

/* ---- with the lock held ---- */

static struct task *tasks_find(struct tasks *t, struct str id)
{
  struct task *k = t->first;
  while(k && !str_eq(str_z(k->id), id)) k = k->next;
  return k;
}

static void tasks_forget_old(struct tasks *t, int64_t now)
{
  for(struct task **at = &t->first, *k; (k = *at) != NULL;) {
    if(!k->finished_ms || now - k->finished_ms < TASKS_KEEP_MS) {
      at = &k->next;
      continue;
    }
    *at = k->next;
    task_free(k);
  }
}

static bool tasks_halted(const struct tasks *t, const struct task *k)
{
  return k->cancel || t->stopping || atomic_load(&t->app->draining);
}

static void tasks_finish(struct tasks *t, struct task *k)
{
  bool all = k->at == k->n;
  k->state = !all ? TASK_CANCELLED : k->failed && !k->success ? TASK_FAILED : TASK_COMPLETED;
  k->finished_ms = now_wall_ms(t->app->now);
  k->version++;
  for(int i = k->at; i < k->n; i++) account_fields_free(&k->items[i].f);
  pthread_cond_broadcast(&t->ended);
}

/* Room for one more: the oldest that ended goes before its time. false: too many wait. */
static bool tasks_room(struct tasks *t)
{
  struct task **oldest = NULL;
  int n = 0;
  for(struct task **at = &t->first; *at; at = &(*at)->next, n++)
    if((*at)->finished_ms) oldest = at;
  if(n < TASKS_MAX) return true;
  if(!oldest) return false;
  struct task *k = *oldest;
  *oldest = k->next;
  task_free(k);
  return true;
}

/* The oldest that waits begins, with as many workers as may sign in at once. */
static void tasks_begin(struct tasks *t)
{
  while(!t->running) {
    struct task *k = NULL;
    for(struct task *x = t->first; x; x = x->next)
      if(x->state == TASK_PENDING) k = x;
    if(!k) return;
    struct config *c = app_config(t->app);
    k->concurrency = (int)(c->batch_login_concurrency < TASKS_WORKERS ? c->batch_login_concurrency : TASKS_WORKERS);
    config_unref(c);
    k->state = TASK_RUNNING;
    k->started_ms = now_wall_ms(t->app->now);
    k->version++;
    for(int i = 0; i < TASKS_WORKERS && k->workers < k->concurrency && k->workers < k->n && !t->stopping; i++) {
      if(t->workers[i].busy || jobs_submit(t->jobs, &t->workers[i].job)) continue;
      t->workers[i].busy = true;
      k->workers++;
    }
    if(k->workers) t->running = k;
    else tasks_finish(t, k); /* nothing to do, or no thread to do it */
  }
}

static void tasks_result(struct task *k, int item, enum task_result r, const char *message)
{
  k->items[item].result = r;
  k->success += r == RESULT_SUCCESS;
  k->failed += r == RESULT_FAILED;
  k->skipped += r == RESULT_SKIPPED;
  k->recent[k->recent_n % TASKS_RECENT].item = item;
  str_copy(k->recent[k->recent_n++ % TASKS_RECENT].message, sizeof k->recent[0].message, str_z(message));
  k->version++;
}

/* ---- workers ---- */

/* Without the lock. name: as it became known. */
static enum task_result tasks_do(struct tasks *t, const struct task *k, const struct task_item *i, char name[256], struct q_error *e)
{
  int64_t expires;
  enum q_status st = k->refresh ? roster_refresh(t->app, str_z(i->name), &expires, e) : roster_add(t->app, &i->f, name, e);
  return !st ? RESULT_SUCCESS : st == Q_EXISTS ? RESULT_SKIPPED : RESULT_FAILED;
}

static void tasks_pause(struct tasks *t, struct task *k)
{
  bool go = true;
  for(int64_t end = now_mono_ms(t->app->now) + TASKS_PAUSE_MS; go && now_mono_ms(t->app->now) < end;) {
    nanosleep(&(struct timespec){ 0, TASKS_STEP_MS * 1000000 }, NULL);
    pthread_mutex_lock(&t->lock);
    go = !tasks_halted(t, k) && k->at < k->n;
    pthread_mutex_unlock(&t->lock);
  }
}

static void tasks_one(struct tasks *t, struct task *k, int slot)
{
  struct q_error e = Q_ERROR_NONE;
  char name[256] = "";
  int item = k->at++;
  k->active[slot] = item + 1;
  k->version++;
  pthread_mutex_unlock(&t->lock);
  enum task_result r = tasks_do(t, k, &k->items[item], name, &e);
  pthread_mutex_lock(&t->lock);
  char *told = name[0] && strcmp(name, k->items[item].name) ? mem_strndup(name, strlen(name)) : NULL;
  if(told) {
    mem_free(k->items[item].name);
    k->items[item].name = told;
  }
  account_fields_free(&k->items[item].f);
  k->active[slot] = 0;
  tasks_result(k, item, r, r == RESULT_SUCCESS ? k->refresh ? "renewed" : "added" : e.msg);
}

static void tasks_work(struct job *j)
{
  struct task_worker *w = (struct task_worker *)((char *)j - offsetof(struct task_worker, job));
  struct tasks *t = w->tasks;
  int slot = (int)(w - t->workers);
  pthread_mutex_lock(&t->lock);
  struct task *k = t->running;
  while(k->at < k->n && !tasks_halted(t, k)) {
    tasks_one(t, k, slot);
    bool more = k->at < k->n;
    pthread_mutex_unlock(&t->lock);
    if(more) tasks_pause(t, k); /* a crowd of sign-ins from one address looks like an attack */
    pthread_mutex_lock(&t->lock);
  }
  w->busy = false;
  if(--k->workers == 0) {
    t->running = NULL;
    tasks_finish(t, k);
    if(!t->stopping) tasks_begin(t);
  }
  pthread_mutex_unlock(&t->lock);
}

/* ---- new ones ---- */

static struct task *task_new(struct tasks *t, int n)
{
  struct task *k = mem_zalloc(sizeof *k);
  struct crypt_rng rng = { .left = 0 };
  if(!k) return NULL;
  k->items = mem_zalloc((size_t)(n + 1) * sizeof *k->items);
  if(!k->items) {
    mem_free(k);
    return NULL;
  }
  memcpy(k->id, "task_", 5);
  crypt_id(&rng, k->id + 5, 24);
  crypt_wipe(&rng, sizeof rng);
  k->version = 1;
  k->created_ms = now_wall_ms(t->app->now);
  return k;
}

static enum q_status tasks_put(struct tasks *t, struct task *k, char id[TASKS_ID])
{
  pthread_mutex_lock(&t->lock);
  tasks_forget_old(t, now_wall_ms(t->app->now));
  enum q_status st = t->stopping ? Q_SHUTDOWN : tasks_room(t) ? Q_OK : Q_OVERLOADED;
  if(!st) {
    memcpy(id, k->id, TASKS_ID);
    k->next = t->first;
    t->first = k;
    tasks_begin(t);
  }
  pthread_mutex_unlock(&t->lock);
  if(st) task_free(k);
  return st;
}

static void tasks_known(void *ctx, struct account *a)
{
  (void)a;
  *(bool *)ctx = true;
}

enum q_status tasks_add(struct tasks *t, struct account_list *list, char id[TASKS_ID])
{
  struct task *k = task_new(t, list->n);
  enum q_status st = k ? Q_OK : Q_NOMEM;
  int64_t now = now_wall_ms(t->app->now);
  char word[32];
  for(int i = 0; i < list->n && !st; i++) {
    struct account_fields *f = &list->v[i].f;
    bool known = false;
    if(f->name[0]) (void)pool_with(t->app->pool, str_z(f->name), now, tasks_known, &known);
    if(known) {
      k->skipped++;
      continue;
    }
    struct strbuf b = STRBUF(64);
    strbuf_fmt(&b, "token %d", list->v[i].at);
    str_copy(word, sizeof word, strbuf_str(&b));
    strbuf_free(&b);
    struct str name = f->name[0] ? str_z(f->name) : str_z(word);
    struct task_item *item = &k->items[k->n];
    item->name = mem_strndup(name.p, name.n);
    if(!item->name) st = Q_NOMEM;
    else k->n++;
    item->f = *f;
    *f = (struct account_fields){ .given = 0 };
    if(st) account_fields_free(&item->f);
  }
  if(st) {
    account_list_free(list);
    task_free(k);
    return st;
  }
  k->skipped += list->repeated;
  k->invalid = list->bad_total;
  k->total = list->n + list->repeated + list->bad_total;
  for(int i = 0; i < list->n; i++) account_fields_free(&list->v[i].f);
  mem_free(list->v);
  k->list = (struct account_list){ .bad = list->bad, .bad_n = list->bad_n };
  *list = (struct account_list){ .v = NULL };
  return tasks_put(t, k, id);
}

enum q_status tasks_refresh(struct tasks *t, struct str names, char id[TASKS_ID])
{
  int n = 0;
  for(size_t i = 0; i < names.n; i++) n += names.p[i] == '\n';
  struct task *k = task_new(t, n);
  enum q_status st = k ? Q_OK : Q_NOMEM;
  while(names.n && !st && k->n < n) {
    struct str name = str_cut(&names, '\n');
    k->items[k->n].name = mem_strndup(name.p, name.n);
    if(!k->items[k->n].name) st = Q_NOMEM;
    else k->n++;
  }
  if(st) {
    task_free(k);
    return st;
  }
  k->refresh = true;
  k->total = k->n;
  return tasks_put(t, k, id);
}

/* ---- looking ---- */

enum q_status tasks_cancel(struct tasks *t, struct str id)
{
  pthread_mutex_lock(&t->lock);
  struct task *k = tasks_find(t, id);
  if(k && k->state == TASK_PENDING) tasks_finish(t, k);
  else if(k && k->state == TASK_RUNNING) {
    k->cancel = true;
    k->version++;
  }
  pthread_mutex_unlock(&t->lock);
  return k ? Q_OK : Q_NOT_FOUND;
}

void tasks_wait(struct tasks *t, struct str id, int64_t ms)
{
  int64_t end = now_mono_ms(t->app->now) + ms;
  pthread_mutex_lock(&t->lock);
  for(;;) {
    struct task *k = tasks_find(t, id);
    if(!k || k->finished_ms || now_mono_ms(t->app->now) >= end || atomic_load(&t->app->draining)) break;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200 * 1000000;
    if(until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
    pthread_cond_timedwait(&t->ended, &t->lock, &until);
  }
  pthread_mutex_unlock(&t->lock);
}

bool tasks_sums(struct tasks *t, struct str id, struct tasks_sums *out)
{
  pthread_mutex_lock(&t->lock);
  struct task *k = tasks_find(t, id);
  if(k) *out = (struct tasks_sums){ k->total, k->success, k->failed, k->finished_ms > 0 };
  pthread_mutex_unlock(&t->lock);
  return k != NULL;
}

unsigned tasks_version(struct tasks *t, struct str id)
{
  pthread_mutex_lock(&t->lock);
  tasks_forget_old(t, now_wall_ms(t->app->now));
  struct task *k = tasks_find(t, id);
  unsigned v = k ? k->version : 0;
  pthread_mutex_unlock(&t->lock);
  return v;
}

static void task_names_failed(const struct task *k, int names, struct strbuf *b)
{
  bool any = false;
  strbuf_addc(b, '[');
  for(int i = 0; i < k->n && names > 0; i++) {
    if(k->items[i].result != RESULT_FAILED) continue;
    if(any) strbuf_addc(b, ',');
    any = true;
    strbuf_json(b, str_z(k->items[i].name));
    names--;
  }
  strbuf_addc(b, ']');
}

static void task_lists(const struct task *k, int names, struct strbuf *b)
{
  static const char *const results[] = { "", "success", "failed", "skipped" };
  bool any = false;
  strbuf_lit(b, ",\"activeEmails\":[");
  for(int i = 0; i < TASKS_WORKERS; i++) {
    if(!k->active[i]) continue;
    if(any) strbuf_addc(b, ',');
    any = true;
    strbuf_json(b, str_z(k->items[k->active[i] - 1].name));
  }
  strbuf_lit(b, "],\"failedEmails\":");
  task_names_failed(k, names, b);
  strbuf_lit(b, ",\"recentResults\":[");
  for(int i = 0; i < k->recent_n && i < TASKS_RECENT; i++) { /* newest first */
    int at = (k->recent_n - 1 - i) % TASKS_RECENT;
    const struct task_item *item = &k->items[k->recent[at].item];
    strbuf_addz(b, i ? ",{\"email\":" : "{\"email\":");
    strbuf_json(b, str_z(item->name));
    strbuf_fmt(b, ",\"status\":\"%s\",\"message\":", results[item->result]);
    strbuf_json(b, str_z(k->recent[at].message));
    strbuf_addc(b, '}');
  }
  strbuf_lit(b, "],\"invalidLines\":[");
  for(int i = 0; i < k->list.bad_n && i < names; i++) {
    strbuf_fmt(b, "%s{\"line\":%d,\"reason\":", i ? "," : "", k->list.bad[i].at);
    strbuf_json(b, str_z(k->list.bad[i].reason));
    strbuf_addc(b, '}');
  }
  strbuf_addc(b, ']');
}

static void task_time(struct strbuf *b, const char *name, int64_t ms)
{
  if(ms) strbuf_fmt(b, ",\"%s\":%lld", name, (long long)ms);
  else strbuf_fmt(b, ",\"%s\":null", name);
}

static void task_write(const struct task *k, int names, struct strbuf *b)
{
  static const char *const states[] = { "pending", "running", "completed", "failed", "cancelled" };
  int done = 0;
  for(int i = 0; i < k->n; i++) done += k->items[i].result != RESULT_NONE;
  int valid = k->n, processed = k->total - valid + done;
  strbuf_fmt(b, "{\"taskId\":\"%s\",\"status\":\"%s\",\"message\":\"", k->id, states[k->state]);
  if(k->state == TASK_PENDING) strbuf_lit(b, "Waits for its turn.");
  else if(k->state == TASK_RUNNING) strbuf_fmt(b, "%d of %d done.", done, valid);
  else strbuf_fmt(b, "%d %s, %d failed, %d skipped, %d invalid.", k->success, k->refresh ? "renewed" : "added", k->failed, k->skipped, k->invalid);
  strbuf_fmt(b, "\",\"total\":%d,\"valid\":%d,\"skipped\":%d,\"invalid\":%d,\"processed\":%d,\"completed\":%d,\"pending\":%d,\"success\":%d,\"failed\":%d",
             k->total, valid, k->skipped, k->invalid, processed, done, valid - done, k->success, k->failed);
  int tenths = k->total ? (int)((int64_t)processed * 1000 / k->total) : 1000;
  strbuf_fmt(b, ",\"progress\":%d.%d,\"concurrency\":%d", tenths / 10, tenths % 10, k->concurrency);
  task_lists(k, names, b);
  task_time(b, "createdAt", k->created_ms);
  task_time(b, "startedAt", k->started_ms);
  task_time(b, "finishedAt", k->finished_ms);
  strbuf_addc(b, '}');
}

enum q_status tasks_write(struct tasks *t, struct str id, int names, struct strbuf *b, unsigned *version, bool *over)
{
  pthread_mutex_lock(&t->lock);
  tasks_forget_old(t, now_wall_ms(t->app->now));
  struct task *k = tasks_find(t, id);
  if(k) {
    task_write(k, names, b);
    *version = k->version;
    *over = k->finished_ms > 0;
  }
  pthread_mutex_unlock(&t->lock);
  return k ? Q_OK : Q_NOT_FOUND;
}

void tasks_write_all(struct tasks *t, struct strbuf *b)
{
  bool any = false;
  pthread_mutex_lock(&t->lock);
  tasks_forget_old(t, now_wall_ms(t->app->now));
  strbuf_addc(b, '[');
  for(const struct task *k = t->first; k; k = k->next) {
    if(any) strbuf_addc(b, ',');
    any = true;
    task_write(k, 100, b);
  }
  strbuf_addc(b, ']');
  pthread_mutex_unlock(&t->lock);
}

void tasks_write_failed(struct tasks *t, struct str id, struct strbuf *b)
{
  pthread_mutex_lock(&t->lock);
  struct task *k = tasks_find(t, id);
  if(k) task_names_failed(k, k->n, b);
  else strbuf_lit(b, "[]");
  pthread_mutex_unlock(&t->lock);
}
