#include "domain/upload.h"

#include <stdio.h>

#include "base/mem.h"
#include "domain/upload_set.h"
#include "proto/files.h"
#include "proto/jwt.h"

enum { UPLOAD_JSON_MAX = 8 * 1024 * 1024 };

struct uploads *uploads_new(struct app *a)
{
  struct uploads *u = mem_zalloc(sizeof *u);
  if(!u) return NULL;
  u->app = a;
  pthread_mutex_init(&u->lock, NULL);
  bool on_disk = a->config->cache_mode == CACHE_FILE;
  u->cache = upload_cache_new(on_disk ? a->config->cache_dir : NULL, a->log);
  if(u->cache) return u;
  uploads_destroy(u);
  return NULL;
}

void uploads_shed(struct uploads *u)
{
  upload_cache_clear(u->cache);
}

void uploads_destroy(struct uploads *u)
{
  if(!u) return;
  upload_cache_destroy(u->cache);
  pthread_mutex_destroy(&u->lock);
  mem_free(u);
}

/* ---- the end of a run; with the lock held ---- */

static void upload_slot_leave(struct upload_slot *s)
{
  if(s->flight) {
    *s->at = s->next;
    if(s->next) s->next->at = s->at;
    s->flight = NULL;
  }
}

static void upload_post(struct upload_run *r)
{
  if(r->posted) return;
  for(int k = 0; k < r->set->n; k++) upload_slot_leave(&r->slots[k]);
  r->posted = true;
  pump_post(r->pump, &r->u->task);
}

/* Of the words only the client's part goes into err: what the upstream said may be quoted. */
static void upload_fail(struct upload_run *r, const struct upload_item *i, enum q_status st, const char *words, int wait_s)
{
  struct upload *u = r->u;
  if(r->posted) return;
  u->st = st;
  u->wait_s = wait_s;
  str_copy(u->words, sizeof u->words, str_z(words));
  const char *what = i->document ? "The conversation" : i->param[0] ? i->param : "A file";
  if(st == Q_SHUTDOWN) (void)status_fail(&u->err, st, NULL, "The gateway is shutting down.");
  else if(st == Q_BAD_MEDIA) (void)status_fail(&u->err, st, i->param, "'%s' was not accepted: %s.", what, words);
  else (void)status_fail(&u->err, st, i->param, "%s could not be uploaded: %s.", what, words[0] ? words : status_row(st)->text);
  u->err.retry_after_s = wait_s;
  upload_post(r);
}

static void upload_one_less(struct upload_run *r)
{
  if(--r->pending == 0) upload_post(r);
}

/* The account's own trouble ends the run even if only conversation.txt met it: what follows would meet it again. */
static bool upload_accounts_own(enum q_status st)
{
  return st == Q_UP_AUTH || st == Q_UP_BARRED || st == Q_UP_CHALLENGE || st == Q_SHUTDOWN || st == Q_NOMEM;
}

static void upload_slot_failed(struct upload_run *r, int k, enum q_status st, const char *words, int wait_s)
{
  const struct upload_item *i = &r->set->items[k];
  r->slots[k].wait = SLOT_LOST;
  if(!i->document || upload_accounts_own(st)) {
    upload_fail(r, i, st, words, wait_s);
    return;
  }
  r->u->document_failed = true;
  str_copy(r->u->words, sizeof r->u->words, str_z(words));
  upload_one_less(r);
}

static void upload_slot_done(struct upload_run *r, int k, const char *id, struct str url, bool parsed)
{
  struct upload_slot *s = &r->slots[k];
  s->wait = SLOT_DONE;
  s->parsed = parsed;
  str_copy(s->id, sizeof s->id, str_z(id));
  s->url = STRBUF(16 * 1024);
  strbuf_adds(&s->url, url);
  if(s->url.err) upload_fail(r, &r->set->items[k], Q_NOMEM, "", 0);
  else upload_one_less(r);
}

/* ---- flights ---- */

static bool upload_flight_go_on(void *ctx)
{
  struct upload_flight *f = ctx;
  pthread_mutex_lock(&f->owner->lock);
  if(!f->slots) f->over = true;
  bool wanted = !f->over;
  pthread_mutex_unlock(&f->owner->lock);
  return wanted;
}

static void upload_flight_free(struct upload_flight *f)
{
  struct pool *pool = f->owner->app->pool;
  upload_blob_unref(f->blob);
  secret_unref(f->token);
  secret_unref(f->proxy);
  secret_unref(f->headers);
  secret_unref(f->cookie);
  pool_unkeep(pool, f->account);
  mem_free(f);
}

static void upload_flight_remember(struct upload_flight *f, const struct upload_put_result *r)
{
  struct upload_known k = { .size = (int64_t)f->blob->bytes.n };
  struct str url = strbuf_str(&r->url);
  url = str_cut(&url, '?');
  if(url.n >= sizeof k.url) return;
  str_copy(k.url, sizeof k.url, url);
  memcpy(k.account, f->holder, sizeof k.account);
  str_copy(k.id, sizeof k.id, str_z(r->id));
  str_copy(k.mime, sizeof k.mime, str_z(f->mime));
  str_copy(k.name, sizeof k.name, str_z(f->name));
  upload_cache_put(f->owner->cache, f->sig, &k, now_wall_ms(f->owner->app->now));
}

static void upload_flight_work(struct upload_flight *f, struct upload_put_result *r)
{
  struct app *a = f->owner->app;
  int64_t now_ms = now_wall_ms(a->now);
  struct upload_known k;
  upload_cache_load(f->owner->cache, f->sig, now_ms); /* another process may have been faster */
  if(upload_cache_get(f->owner->cache, f->sig, f->holder, now_ms, &k)) {
    *r = (struct upload_put_result){ .url = STRBUF(sizeof k.url), .parsed = true };
    str_copy(r->id, sizeof r->id, str_z(k.id));
    strbuf_addz(&r->url, k.url);
    r->st = r->url.err;
    return;
  }
  struct config *c = app_config(a);
  struct upload_put p = { .app = a, .ways = &f->owner->ways, .config = c, .token = secret_str(f->token), .proxy = secret_str(f->proxy),
                          .headers = secret_str(f->headers), .cookie = secret_str(f->cookie),
                          .kind = f->kind, .bytes = strbuf_str(&f->blob->bytes), .mime = str_z(f->mime), .name = str_z(f->name),
                          .go_on = upload_flight_go_on, .ctx = f };
  upload_put(&p, r);
  config_unref(c);
  if(r->st == Q_OK) upload_flight_remember(f, r);
  else LOG_WARN(a->log, "upload", "", "%s: %s%s%s", f->account->label, status_row(r->st)->text, r->words[0] ? ": " : "", r->words);
  if(r->st == Q_OK || r->st == Q_UP_BUSY || r->st == Q_UP_QUOTA)
    pool_book(a->pool, f->account, FEATURE_UPLOAD, now_wall_ms(a->now), r->st, r->words, r->wait_s);
}

static void upload_flight_job(struct job *j)
{
  struct upload_flight *f = (struct upload_flight *)j;
  struct uploads *u = f->owner;
  struct upload_put_result r;
  upload_flight_work(f, &r);
  pthread_mutex_lock(&u->lock);
  struct upload_flight **at = &u->flights;
  while(*at != f) at = &(*at)->next;
  *at = f->next;
  while(f->slots) {
    struct upload_slot *s = f->slots;
    struct upload_run *run = s->run;
    int k = (int)(s - run->slots);
    upload_slot_leave(s);
    if(r.st) upload_slot_failed(run, k, r.st, r.words, r.wait_s);
    else upload_slot_done(run, k, r.id, strbuf_str(&r.url), r.parsed);
  }
  pthread_mutex_unlock(&u->lock);
  upload_put_free(&r);
  upload_flight_free(f);
}

static struct upload_flight *upload_flight_new(struct upload_run *r, const struct upload_item *i)
{
  struct uploads *u = r->set->owner;
  struct upload_flight *f = mem_zalloc(sizeof *f);
  if(!f) return NULL;
  *f = (struct upload_flight){ .job.fn = upload_flight_job, .owner = u, .account = r->account, .token_no = r->token_no,
                               .kind = i->what.kind };
  memcpy(f->sig, i->sig, sizeof f->sig);
  memcpy(f->holder, r->holder, sizeof f->holder);
  memcpy(f->mime, i->what.mime, sizeof f->mime);
  memcpy(f->name, i->name, sizeof f->name);
  f->token = secret_ref(r->token);
  f->proxy = secret_ref(r->proxy);
  f->headers = secret_ref(r->headers);
  f->cookie = secret_ref(r->cookie);
  f->blob = upload_blob_ref(i->blob);
  pool_keep(r->app->pool, f->account);
  if(jobs_submit(r->app->upload_jobs, &f->job)) {
    secret_unref(f->token);
    secret_unref(f->proxy);
    secret_unref(f->headers);
    secret_unref(f->cookie);
    atomic_fetch_sub(&f->blob->refs, 1); /* the set has one */
    pool_unkeep(r->app->pool, f->account);
    mem_free(f);
    return NULL;
  }
  f->next = u->flights;
  u->flights = f;
  return f;
}

/* Whether a flight carries this content to this account, with the token as it is now. */
static bool upload_flight_same(const struct upload_flight *f, const struct upload_run *r, const struct upload_item *i)
{
  if(f->over || f->account != r->account || f->token_no != r->token_no || f->kind != i->what.kind) return false;
  return memcmp(f->sig, i->sig, sizeof f->sig) == 0;
}

/* Joins the flight of the same content to the same account, or starts it. */
static void upload_fly(struct upload_run *r, int k)
{
  const struct upload_item *i = &r->set->items[k];
  struct upload_flight *f = r->set->owner->flights;
  while(f && !upload_flight_same(f, r, i)) f = f->next;
  if(!f) f = upload_flight_new(r, i);
  if(!f) {
    upload_fail(r, i, Q_NOMEM, "", 0);
    return;
  }
  struct upload_slot *s = &r->slots[k];
  s->wait = SLOT_FLIGHT;
  s->flight = f;
  s->next = f->slots;
  s->at = &f->slots;
  if(s->next) s->next->at = &s->next;
  f->slots = s;
}

void upload_go(struct upload_run *r, int k)
{
  struct upload_item *i = &r->set->items[k];
  struct upload_known known;
  if(r->posted) return;
  if(atomic_load(&r->app->ending)) {
    upload_fail(r, i, Q_SHUTDOWN, "", 0);
    return;
  }
  bool hit;
  switch(i->state) {
  case UPLOAD_REFERENCE:
    upload_slot_done(r, k, "", str_z(i->url), true);
    break;
  case UPLOAD_REMOTE:
    r->slots[k].wait = SLOT_FETCH;
    if(upload_fetch(r->set, k, r)) upload_fail(r, i, Q_NOMEM, "", 0);
    break;
  case UPLOAD_FETCHING:
    r->slots[k].wait = SLOT_FETCH;
    break;
  case UPLOAD_FAILED:
    r->u->st = i->err.st;
    r->u->err = i->err;
    r->u->wait_s = 0;
    str_copy(r->u->words, sizeof r->u->words, str_z(i->err.msg));
    upload_post(r);
    break;
  case UPLOAD_READY:
    hit = upload_cache_get(r->set->owner->cache, i->sig, r->holder, now_wall_ms(r->app->now), &known);
    stats_cache(r->app->stats, hit);
    if(hit) upload_slot_done(r, k, known.id, str_z(known.url), true);
    else upload_fly(r, k);
    break;
  }
}

/* ---- runs ---- */

static void upload_run_free(struct upload_run *r)
{
  for(int k = 0; k < r->set->n; k++) strbuf_free(&r->slots[k].url);
  secret_unref(r->token);
  secret_unref(r->proxy);
  secret_unref(r->headers);
  secret_unref(r->cookie);
  upload_set_unref(r->set);
  mem_free(r);
}

static void upload_unlink(struct upload_run *r)
{
  pthread_mutex_lock(&r->set->owner->lock);
  *r->at = r->next;
  if(r->next) r->next->at = r->at;
  pthread_mutex_unlock(&r->set->owner->lock);
}

static void upload_write(struct upload_run *r, struct strbuf *out)
{
  struct crypt_rng *rng = &app_pump_of(r->app, r->pump)->rng;
  char user[72], id[40];
  bool first = true;
  jwt_user(secret_str(r->token), user, sizeof user);
  strbuf_lit(out, "[");
  for(int k = 0; k < r->set->n; k++) {
    const struct upload_slot *s = &r->slots[k];
    const struct upload_item *i = &r->set->items[k];
    if(s->wait != SLOT_DONE) continue;
    crypt_uuid(rng, id);
    struct files_entry f = { .kind = i->what.kind, .id = s->id[0] ? str_z(s->id) : str_z(id), .url = strbuf_str(&s->url),
                             .name = str_z(i->name), .mime = str_z(i->what.mime), .user = str_z(user),
                             .size = i->blob ? (int64_t)i->blob->bytes.n : 0, .now_ms = now_wall_ms(r->app->now), .parsed = s->parsed };
    crypt_uuid(rng, f.item);
    crypt_uuid(rng, f.task);
    if(!first) strbuf_lit(out, ",");
    files_write(&f, out);
    first = false;
  }
  strbuf_lit(out, "]");
}

static void upload_task(struct pump_task *t)
{
  struct upload *u = (struct upload *)((char *)t - offsetof(struct upload, task));
  struct upload_run *r = u->run;
  upload_unlink(r);
  if(u->st == Q_OK) {
    upload_write(r, &u->files);
    if(u->files.err) u->st = status_fail(&u->err, Q_NOMEM, NULL, "Out of memory.");
  }
  u->run = NULL;
  upload_run_free(r);
  u->done(u);
}

enum q_status upload_start(struct upload *u, struct app *a, struct pump *p, struct upload_set *set, const struct lease *who)
{
  struct upload_run *r = mem_zalloc(sizeof *r + (size_t)set->n * sizeof r->slots[0]);
  if(!r) return Q_NOMEM;
  u->st = Q_OK;
  u->err = Q_ERROR_NONE;
  u->words[0] = 0;
  u->wait_s = 0;
  u->document_failed = false;
  u->files = STRBUF(UPLOAD_JSON_MAX);
  u->run = r;
  u->task = (struct pump_task){ .fn = upload_task };
  *r = (struct upload_run){ .u = u, .app = a, .pump = p, .set = upload_set_ref(set), .account = who->account,
                            .token_no = who->token_no, .pending = set->n + 1 };
  r->token = secret_ref(who->token);
  r->proxy = secret_ref(who->proxy);
  r->headers = secret_ref(who->headers);
  r->cookie = secret_ref(who->cookie);
  memcpy(r->holder, who->account->id, sizeof r->holder);
  for(int k = 0; k < set->n; k++) r->slots[k] = (struct upload_slot){ .run = r, .wait = SLOT_LOST };
  pthread_mutex_lock(&set->owner->lock);
  r->next = set->runs;
  r->at = &set->runs;
  if(r->next) r->next->at = &r->next;
  set->runs = r;
  for(int k = 0; k < set->n; k++) upload_go(r, k);
  upload_one_less(r); /* the one that kept it open meanwhile */
  pthread_mutex_unlock(&set->owner->lock);
  return Q_OK;
}

bool upload_leave(struct upload *u)
{
  struct upload_run *r = u->run;
  if(!r) return true;
  struct uploads *owner = r->set->owner;
  pthread_mutex_lock(&owner->lock);
  bool was = !r->posted;
  for(int k = 0; was && k < r->set->n; k++) upload_slot_leave(&r->slots[k]);
  pthread_mutex_unlock(&owner->lock);
  if(!was) return false;
  upload_unlink(r);
  u->run = NULL;
  upload_run_free(r);
  return true;
}

/* ---- forgetting ---- */

struct upload_forgetting { struct job job; struct uploads *owner; int n; unsigned char sigs[][UPLOAD_SIG]; };

static void upload_forget_job(struct job *j)
{
  struct upload_forgetting *f = (struct upload_forgetting *)j;
  for(int k = 0; k < f->n; k++) upload_cache_remove(f->owner->cache, f->sigs[k]);
  mem_free(f);
}

void upload_forget(struct app *a, const struct lease *who, struct upload_set *set)
{
  struct uploads *u = a->uploads;
  struct upload_forgetting *f = mem_zalloc(sizeof *f + (size_t)set->n * UPLOAD_SIG);
  for(int k = 0; k < set->n; k++) {
    pthread_mutex_lock(&u->lock);
    bool ready = set->items[k].state == UPLOAD_READY;
    pthread_mutex_unlock(&u->lock);
    if(!ready) continue;
    upload_cache_forget(u->cache, set->items[k].sig, who->account->id);
    if(f) memcpy(f->sigs[f->n++], set->items[k].sig, UPLOAD_SIG);
  }
  /* Without the job the file is overwritten by the next upload. */
  bool job = f && f->n && upload_cache_on_disk(u->cache) && !atomic_load(&a->ending);
  if(job) {
    f->job.fn = upload_forget_job;
    f->owner = u;
    if(jobs_submit(a->upload_jobs, &f->job) == Q_OK) return;
  }
  mem_free(f);
}
