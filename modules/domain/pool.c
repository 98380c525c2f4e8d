#include "domain/pool.h"

#include "base/mem.h"
#include "base/now.h"
#include "domain/account_merge.h"
#include "domain/pool_own.h"

enum {
  POOL_EGRESS_REST_MS = 5 * 60 * 1000,
  POOL_CHALLENGE_NEAR_MS = 60 * 1000,
  POOL_MODEL_REST_MS = 60 * 1000,
  POOL_GONE_MS = 60 * 1000   /* how long a removed account stays readable for who just found it */
};

struct pool *pool_new(const struct pool_config *c)
{
  struct pool *p = mem_zalloc(sizeof *p);
  if(!p) return NULL;
  pthread_mutex_init(&p->lock, NULL);
  p->config = *c;
  p->end = &p->first;
  return p;
}

/* Frees what was removed and is not lent any more; with INT64_MAX, all. */
static void pool_bury(struct pool *p, int64_t now_ms)
{
  for(struct pool_entry **at = &p->gone, *e; (e = *at) != NULL;) {
    if(now_ms != INT64_MAX && (e->a->refs > 0 || now_ms - e->a->removed_ms < POOL_GONE_MS)) {
      at = &e->next;
      continue;
    }
    *at = e->next;
    account_free(e->a);
    mem_free(e->fresh);
    mem_free(e);
  }
}

void pool_destroy(struct pool *p)
{
  if(!p) return;
  for(int i = 0; i < p->n; i++) {
    account_free(p->entries[i]->a);
    mem_free(p->entries[i]->fresh);
    mem_free(p->entries[i]);
  }
  pool_bury(p, INT64_MAX);
  for(int i = 0; i < POOL_EGRESSES; i++) secret_unref(p->egresses[i].proxy);
  mem_free(p->entries);
  pthread_mutex_destroy(&p->lock);
  mem_free(p);
}

void pool_set_config(struct pool *p, const struct pool_config *c)
{
  pthread_mutex_lock(&p->lock);
  p->config = *c;
  pthread_mutex_unlock(&p->lock);
}

/* ---- lists by load: appending at the end keeps each in order of last use ---- */

static void pool_list_add(struct pool *p, struct pool_entry *e)
{
  int level = e->a->inflight < POOL_LEVELS - 1 ? e->a->inflight : POOL_LEVELS - 1;
  struct pool_list *l = &p->levels[level];
  if(e->a->removed) return; /* in no line any more */
  e->level = level;
  e->next = NULL;
  e->prev = l->last;
  if(l->last) l->last->next = e;
  else l->first = e;
  l->last = e;
}

static void pool_list_del(struct pool *p, struct pool_entry *e)
{
  struct pool_list *l = &p->levels[e->level];
  if(e->a->removed) return;
  if(e->prev) e->prev->next = e->next;
  else l->first = e->next;
  if(e->next) e->next->prev = e->prev;
  else l->last = e->prev;
}

/* Room for n more than there are and than were promised. With the lock held. */
static enum q_status pool_room(struct pool *p, int n)
{
  int want = p->n + p->promised + n, cap = p->cap ? p->cap * 2 : 16;
  if(want <= p->cap) return Q_OK;
  if(cap < want) cap = want;
  struct pool_entry **more = mem_realloc(p->entries, (size_t)cap * sizeof *more);
  if(!more) return Q_NOMEM;
  p->entries = more;
  p->cap = cap;
  return Q_OK;
}

enum q_status pool_prepare(struct pool *p, struct account *const *v, int n)
{
  enum q_status st = Q_OK;
  for(int i = 0; i < n && !st; i++)
    if(!(v[i]->entry = mem_zalloc(sizeof *v[i]->entry))) st = Q_NOMEM;
  pthread_mutex_lock(&p->lock);
  if(!st) st = pool_room(p, n);
  if(!st) p->promised += n;
  pthread_mutex_unlock(&p->lock);
  for(int i = 0; st && i < n; i++) {
    mem_free(v[i]->entry);
    v[i]->entry = NULL;
  }
  return st;
}

void pool_unprepare(struct pool *p, struct account *const *v, int n)
{
  pthread_mutex_lock(&p->lock);
  p->promised -= n;
  pthread_mutex_unlock(&p->lock);
  for(int i = 0; i < n; i++) {
    mem_free(v[i]->entry);
    v[i]->entry = NULL;
  }
}

enum q_status pool_add(struct pool *p, struct account *a)
{
  bool promised = a->entry != NULL;
  struct pool_entry *e = promised ? a->entry : mem_zalloc(sizeof *e);
  enum q_status st = e ? Q_OK : Q_NOMEM;
  pthread_mutex_lock(&p->lock);
  p->promised -= promised;
  for(int i = 0; i < p->n && !st; i++)
    if(strcmp(p->entries[i]->a->email, a->email) == 0) st = Q_EXISTS;
  if(!st) st = pool_room(p, 1);
  if(!st) {
    e->a = a;
    a->entry = e;
    p->entries[p->n++] = e;
    p->kinds[a->kind]++;
    pool_list_add(p, e);
  }
  pthread_mutex_unlock(&p->lock);
  if(st) {
    mem_free(e);
    account_free(a);
  }
  return st;
}

/* ---- egress and model rests ---- */

static bool pool_same_way(const struct secret *a, const struct secret *b)
{
  return str_eq(secret_str(a), secret_str(b));
}

static struct pool_egress *pool_egress_of(struct pool *p, const struct secret *proxy)
{
  for(int i = 0; i < POOL_EGRESSES; i++)
    if(p->egresses[i].used && pool_same_way(p->egresses[i].proxy, proxy)) return &p->egresses[i];
  return NULL;
}

void pool_egress_challenged(struct pool *p, struct account *a, int64_t now_ms)
{
  struct pool_egress *e = pool_egress_of(p, a->proxy);
  if(!e) { /* a free row, else the one whose challenge is oldest */
    e = &p->egresses[0];
    for(int i = 0; i < POOL_EGRESSES && e->used; i++)
      if(!p->egresses[i].used || p->egresses[i].challenged_ms < e->challenged_ms) e = &p->egresses[i];
    secret_unref(e->proxy);
    *e = (struct pool_egress){ .proxy = secret_ref(a->proxy), .used = true };
  }
  if(e->challenged && e->challenged != a && now_ms - e->challenged_ms <= POOL_CHALLENGE_NEAR_MS)
    e->rest_until_ms = now_ms + POOL_EGRESS_REST_MS;
  e->challenged = a;
  e->challenged_ms = now_ms;
}

static struct pool_model *pool_model_of(struct pool *p, struct str name)
{
  for(int i = 0; i < POOL_MODELS; i++)
    if(p->models[i].name[0] && str_eq(str_z(p->models[i].name), name)) return &p->models[i];
  return NULL;
}

static void pool_model_refused(struct pool *p, const struct account *a, struct str name, int64_t now_ms)
{
  struct pool_model *m = pool_model_of(p, name);
  if(name.n == 0 || name.n >= sizeof m->name) return;
  if(!m) {
    m = &p->models[0];
    for(int i = 1; i < POOL_MODELS; i++)
      if(p->models[i].said_ms < m->said_ms) m = &p->models[i];
    *m = (struct pool_model){ .first = NULL };
    str_copy(m->name, sizeof m->name, name);
  }
  if(m->first && m->first != a && now_ms - m->said_ms <= POOL_MODEL_REST_MS)
    m->rest_until_ms = now_ms + POOL_MODEL_REST_MS;
  m->first = a;
  m->said_ms = now_ms;
}

/* ---- choosing ---- */

static bool pool_avoided(const struct pool_want *w, const struct account *a)
{
  for(int i = 0; i < w->avoid_n; i++)
    if(w->avoid[i] == a) return true;
  return false;
}

/* What the whole pool says of a want that nobody serves. */
struct pool_view {
  bool busy;            /* somebody could, but for the cap or the gap */
  int64_t return_ms;    /* earliest return of somebody, 0: nobody will by waiting */
  int64_t gap_ms;       /* earliest end of a start gap */
  int seen, limited, too_fast, challenged, tokens, barred, net;
  int off;              /* switched off by the operator: as if they were not there, but for the words */
};

static void pool_view_count(struct pool_view *v, enum q_status why, int64_t until_ms)
{
  if(until_ms && (!v->return_ms || until_ms < v->return_ms)) v->return_ms = until_ms;
  switch(why) {
  case Q_UP_QUOTA: v->limited++; break;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL: v->too_fast++; break;
  case Q_UP_CHALLENGE: v->challenged++; break;
  case Q_UP_AUTH:
  case Q_UP_BAD_LOGIN: v->tokens++; break;
  case Q_UP_BARRED: v->barred++; break;
  default: v->net++; break;
  }
}

/* Whether an account belongs to what is wanted, whatever its state. */
static bool pool_entry_of(const struct account *a, const struct pool_want *w)
{
  if(w->only && w->only != a) return false;
  switch(w->plane) {
  case POOL_GRANT: return a->kind != ACCOUNT_API && account_has_grant(a);
  case POOL_API:
    return a->kind == ACCOUNT_API && (a->serves & w->serves) == w->serves && (!w->listed || account_lists(a, w->model, NULL));
  default: return a->kind == ACCOUNT_WEB;
  }
}

/* Whether an account could be lent now: the one place that knows the rules, for choosing and for explaining. */
static struct pool_verdict pool_judge(struct pool *p, struct account *a, const struct pool_want *w, int64_t now_ms)
{
  struct pool_verdict v = { .fit = POOL_RESTS };
  if(!pool_entry_of(a, w)) return (struct pool_verdict){ .fit = POOL_ELSE };
  if(a->whole == ACCOUNT_DISABLED) return (struct pool_verdict){ .fit = POOL_OFF };
  if(w->plane == POOL_GRANT && account_cli_today(a, now_ms) >= p->config.cli_daily) {
    v.why = Q_UP_QUOTA;
    v.until_ms = now_local_midnight_ms(now_ms);
    return v;
  }
  if(!account_usable(a, w->feature, now_ms, &v.until_ms, &v.why) || (w->uploads && !account_usable(a, FEATURE_UPLOAD, now_ms, &v.until_ms, &v.why))) return v;
  const struct pool_egress *way = pool_egress_of(p, a->proxy);
  if(way && way->rest_until_ms > now_ms) return (struct pool_verdict){ POOL_WAY_RESTS, Q_UP_CHALLENGE, way->rest_until_ms, 0 };
  int most = a->max_inflight ? a->max_inflight : p->config.max_inflight;
  if(a->cap && a->cap < most) most = a->cap;
  if(a->inflight >= most) return (struct pool_verdict){ .fit = POOL_FULL, .most = most };
  bool gap = p->config.min_gap_ms && a->last_start_ms && now_ms - a->last_start_ms < p->config.min_gap_ms && now_ms >= a->last_start_ms;
  return (struct pool_verdict){ .fit = gap ? POOL_GAP : POOL_FITS, .until_ms = gap ? a->last_start_ms + p->config.min_gap_ms : 0 };
}

static bool pool_entry_fits(struct pool *p, struct pool_entry *e, const struct pool_want *w, int64_t now_ms, struct pool_view *view)
{
  struct pool_verdict v = pool_judge(p, e->a, w, now_ms);
  view->off += v.fit == POOL_OFF;
  view->seen += v.fit != POOL_OFF && v.fit != POOL_ELSE;
  view->busy |= v.fit == POOL_FULL || v.fit == POOL_GAP;
  if(v.fit == POOL_RESTS || v.fit == POOL_WAY_RESTS) pool_view_count(view, v.why, v.until_ms);
  if(v.fit == POOL_GAP && (!view->gap_ms || v.until_ms < view->gap_ms)) view->gap_ms = v.until_ms;
  return v.fit == POOL_FITS;
}

static struct pool_entry *pool_choose(struct pool *p, const struct pool_want *w, int64_t now_ms, struct pool_view *v)
{
  struct pool_entry *second = NULL;
  *v = (struct pool_view){ .busy = false };
  if(w->prefer && !w->prefer->removed && pool_entry_fits(p, w->prefer->entry, w, now_ms, v)) return w->prefer->entry;
  *v = (struct pool_view){ .busy = false };
  for(int level = 0; level < POOL_LEVELS; level++)
    for(struct pool_entry *e = p->levels[level].first; e; e = e->next) {
      if(!pool_entry_fits(p, e, w, now_ms, v)) continue;
      if(!pool_avoided(w, e->a)) return e;
      if(!second) second = e;
    }
  return w->avoid_hard ? NULL : second;
}

static void pool_lend(struct pool *p, struct pool_entry *e, struct pool_waiter *w, int64_t now_ms)
{
  struct account *a = e->a;
  pool_list_del(p, e);
  a->inflight++;
  a->refs++;
  a->last_used_ms = a->last_start_ms = now_ms;
  pool_list_add(p, e);
  p->leased++;
  w->lease = (struct lease){ .account = a, .feature = w->want.feature, .plane = w->want.plane, .token = secret_ref(a->token),
                             .proxy = secret_ref(a->proxy), .headers = secret_ref(a->headers), .cookie = secret_ref(a->cookie), .token_no = a->token_no, .expires_ms = a->expires_ms,
                             .renew_ms = a->renew_ms };
  struct lease *l = &w->lease;
  if(l->plane == POOL_API) {
    l->base = secret_ref(a->base);
    l->models = secret_ref(a->models);
  }
  if(l->plane == POOL_GRANT) {
    secret_unref(l->token);
    l->token = secret_ref(a->grant.access);
    l->base = secret_ref(a->grant.resource);
    l->token_no = a->grant.no;
    l->expires_ms = a->grant.expires_ms;
  }
  if(l->plane == POOL_GRANT || (l->plane == POOL_API && (w->want.serves & SERVES_CLI))) account_count_cli(a, now_ms, 1, 0, 0);
}

static int pool_seconds(int64_t from_ms, int64_t to_ms)
{
  int64_t s = to_ms > from_ms ? (to_ms - from_ms + 999) / 1000 : 1;
  return s > 7 * 86400 ? 7 * 86400 : (int)s;
}

static enum q_status pool_why_not(struct pool *p, const struct pool_view *v, enum feature f, int64_t now_ms,
                                  struct q_error *e)
{
  enum q_status st;
  int wait_s = v->return_ms ? pool_seconds(now_ms, v->return_ms) : 0;
  if(v->seen == 0 && v->off)
    return status_fail(e, Q_NO_USABLE, NULL, "All accounts that could serve this are switched off (%d). Enable one on the accounts page.", v->off);
  if(v->seen == 0)
    return status_fail(e, Q_NO_ACCOUNT, NULL,
                       "No upstream account is configured. Add one on the dashboard, or set ACCOUNTS=email:password.");
  if(v->busy) {
    st = status_fail(e, Q_OVERLOADED, NULL, "All %d accounts are busy and the wait was too long. Try again later.", p->n);
  } else if(v->limited && v->limited == v->seen) {
    st = status_fail(e, Q_UP_QUOTA, NULL,
                     "The %s quota of %s used up. Please try again in %ds.", feature_name(f),
                     v->seen == 1 ? "the only account is" : "all accounts is", wait_s);
  } else if(v->limited + v->too_fast == v->seen) {
    st = status_fail(e, Q_UP_BUSY, NULL, "All accounts are limited by the upstream. Please try again in %ds.", wait_s);
  } else {
    st = status_fail(e, Q_NO_USABLE, NULL,
                     "No account can serve this now: %d limited, %d too fast, %d challenged by a captcha, %d with a dead "
                     "sign-in, %d barred, %d resting after failures. See the accounts page.",
                     v->limited, v->too_fast, v->challenged, v->tokens, v->barred, v->net);
  }
  if(e) e->retry_after_s = wait_s;
  return st;
}

/* When somebody may be had who cannot be had now; 0: only when a turn ends, or never. */
static int64_t pool_soonest(const struct pool_view *v)
{
  return v->gap_ms && (!v->return_ms || v->gap_ms < v->return_ms) ? v->gap_ms : v->return_ms;
}

static void pool_enqueue(struct pool *p, struct pool_waiter *w)
{
  w->next = NULL;
  w->at = p->end;
  *p->end = w;
  p->end = &w->next;
  w->queued = true;
  p->waiting++;
}

static void pool_dequeue(struct pool *p, struct pool_waiter *w)
{
  *w->at = w->next;
  if(w->next) w->next->at = w->at;
  else p->end = w->at;
  w->queued = false;
  p->waiting--;
}

/* Who waits for the same: a feature of the web chat, or another plane. */
static int pool_queue_of(const struct pool_want *w)
{
  return w->plane == POOL_WEB ? (int)w->feature : FEATURE_COUNT + (int)w->plane;
}

/* Whether somebody in line for the same could be served now. Who waits for more than that (uploads, an account not tried yet) holds
 * nobody up meanwhile. */
static bool pool_overtakes(struct pool *p, const struct pool_want *want, int64_t now_ms)
{
  struct pool_view v;
  for(struct pool_waiter *w = p->first; w; w = w->next)
    if(pool_queue_of(&w->want) == pool_queue_of(want) && pool_choose(p, &w->want, now_ms, &v)) return true;
  return false;
}

enum q_status pool_acquire(struct pool *p, struct pool_waiter *w, int64_t now_ms, int64_t patience_ms,
                           int64_t *return_ms, struct q_error *e)
{
  struct pool_view v = { .busy = false };
  enum q_status st = Q_AGAIN;
  *return_ms = 0;
  w->queued = false;
  w->lease = LEASE_NONE;
  pthread_mutex_lock(&p->lock);
  struct pool_model *m = w->want.plane == POOL_WEB ? pool_model_of(p, w->want.model) : NULL;
  if(m && m->rest_until_ms > now_ms) {
    st = status_fail(e, Q_UP_MODEL_QUOTA, "model", "The upstream's quota for the model %s is used up on several accounts.",
                     m->name);
    if(e) e->retry_after_s = pool_seconds(now_ms, m->rest_until_ms);
    pthread_mutex_unlock(&p->lock);
    return st;
  }
  struct pool_entry *chosen = pool_choose(p, &w->want, now_ms, &v);
  bool line = chosen && pool_overtakes(p, &w->want, now_ms);
  if(chosen && !line) {
    pool_lend(p, chosen, w, now_ms);
    st = Q_OK;
  } else if(chosen || v.busy) {
    if(patience_ms <= 0 || p->waiting >= p->config.queue_max)
      st = status_fail(e, Q_OVERLOADED, NULL, "All accounts are busy and %d requests wait already. Try again later.",
                       p->waiting);
    else *return_ms = pool_soonest(&v);
  } else if(v.return_ms && v.return_ms <= now_ms + patience_ms && p->waiting < p->config.queue_max) {
    *return_ms = v.return_ms;
  } else {
    st = pool_why_not(p, &v, w->want.feature, now_ms, e);
  }
  if(st == Q_AGAIN) pool_enqueue(p, w);
  pthread_mutex_unlock(&p->lock);
  return st;
}

enum q_status pool_reason(struct pool *p, const struct pool_want *w, int64_t now_ms, struct q_error *e)
{
  struct pool_view v;
  pthread_mutex_lock(&p->lock);
  struct pool_entry *chosen = pool_choose(p, w, now_ms, &v);
  if(chosen) v.busy = true;
  enum q_status st = pool_why_not(p, &v, w->feature, now_ms, e);
  pthread_mutex_unlock(&p->lock);
  return st;
}

bool pool_leave(struct pool *p, struct pool_waiter *w)
{
  pthread_mutex_lock(&p->lock);
  bool was = w->queued;
  if(was) pool_dequeue(p, w);
  pthread_mutex_unlock(&p->lock);
  return was;
}

/* Serves the line in order. Once nobody can be found for a feature, later waiters of it are passed over. */
void pool_grant(struct pool *p, int64_t now_ms)
{
  bool none[FEATURE_COUNT + POOL_PLANES] = { false };
  struct pool_view v;
  for(struct pool_waiter *w = p->first, *next; w; w = next) {
    next = w->next;
    int queue = pool_queue_of(&w->want);
    if(none[queue]) continue;
    struct pool_entry *e = pool_choose(p, &w->want, now_ms, &v);
    if(!e) {
      none[queue] = w->want.avoid_n == 0 && !w->want.uploads && !w->want.only && w->want.plane == POOL_WEB;
      continue;
    }
    pool_dequeue(p, w);
    pool_lend(p, e, w, now_ms);
    w->granted(w);
  }
}

enum q_status pool_merge(struct pool *p, struct account *from, int64_t now_ms)
{
  struct account *a = NULL;
  pthread_mutex_lock(&p->lock);
  for(int i = 0; i < p->n && !a; i++)
    if(strcmp(p->entries[i]->a->email, from->email) == 0) a = p->entries[i]->a;
  if(a) {
    p->kinds[a->kind]--;
    account_merge(a, from, now_ms);
    p->kinds[a->kind]++;
  }
  if(a && p->first) pool_grant(p, now_ms);
  pthread_mutex_unlock(&p->lock);
  if(!a) return pool_add(p, from);
  account_free(from);
  return Q_OK;
}

enum q_status pool_remove(struct pool *p, struct str name, int64_t now_ms)
{
  enum q_status st = Q_NOT_FOUND;
  pthread_mutex_lock(&p->lock);
  for(int i = 0; i < p->n && st; i++) {
    struct pool_entry *e = p->entries[i];
    if(!str_eq(str_z(e->a->email), name)) continue;
    memmove(&p->entries[i], &p->entries[i + 1], (size_t)(p->n - i - 1) * sizeof p->entries[0]);
    p->n--;
    p->kinds[e->a->kind]--;
    pool_list_del(p, e);
    e->a->removed = true;
    e->a->removed_ms = now_ms;
    e->next = p->gone;
    p->gone = e;
    st = Q_OK;
  }
  pthread_mutex_unlock(&p->lock);
  return st;
}

static struct account *pool_named(struct pool *p, struct str name)
{
  for(int i = 0; i < p->n; i++)
    if(str_eq(str_z(p->entries[i]->a->email), name)) return p->entries[i]->a;
  return NULL;
}

enum q_status pool_with(struct pool *p, struct str name, int64_t now_ms, void (*fn)(void *ctx, struct account *a), void *ctx)
{
  pthread_mutex_lock(&p->lock);
  struct account *a = pool_named(p, name);
  if(a) fn(ctx, a);
  if(a && p->first) pool_grant(p, now_ms);
  pthread_mutex_unlock(&p->lock);
  return a ? Q_OK : Q_NOT_FOUND;
}

void pool_read(struct pool *p, struct account *a, void (*fn)(void *ctx, struct account *a), void *ctx)
{
  pthread_mutex_lock(&p->lock);
  fn(ctx, a);
  pthread_mutex_unlock(&p->lock);
}

void pool_clear_egress(struct pool *p, struct str name, int64_t now_ms)
{
  pthread_mutex_lock(&p->lock);
  struct account *a = pool_named(p, name);
  struct pool_egress *way = a ? pool_egress_of(p, a->proxy) : NULL;
  if(way) way->rest_until_ms = 0;
  if(way && p->first) pool_grant(p, now_ms);
  pthread_mutex_unlock(&p->lock);
}

void pool_poll(struct pool *p, int64_t now_ms)
{
  pthread_mutex_lock(&p->lock);
  pool_bury(p, now_ms);
  pool_grant(p, now_ms);
  pthread_mutex_unlock(&p->lock);
}

static void pool_lease_empty(struct lease *l)
{
  secret_unref(l->token);
  secret_unref(l->proxy);
  secret_unref(l->headers);
  secret_unref(l->cookie);
  secret_unref(l->base);
  secret_unref(l->models);
  *l = LEASE_NONE;
}

void pool_release(struct pool *p, struct lease *l, int64_t now_ms, enum q_status how, const char *words, int wait_s,
                  struct str model)
{
  struct account *a = l->account;
  if(!a) return;
  pthread_mutex_lock(&p->lock);
  struct pool_entry *e = a->entry;
  pool_list_del(p, e);
  a->inflight--;
  a->refs--;
  p->leased--;
  a->last_used_ms = now_ms;
  pool_list_add(p, e);
  account_book(a, l->feature, how, words, wait_s, now_ms);
  if(how == Q_UP_CHALLENGE) pool_egress_challenged(p, a, now_ms);
  if(how == Q_UP_MODEL_QUOTA) pool_model_refused(p, a, model, now_ms);
  if(p->first) pool_grant(p, now_ms);
  pthread_mutex_unlock(&p->lock);
  pool_lease_empty(l);
}

void pool_book(struct pool *p, struct account *a, enum feature f, int64_t now_ms, enum q_status how, const char *words, int wait_s)
{
  pthread_mutex_lock(&p->lock);
  account_book(a, f, how, words, wait_s, now_ms);
  pthread_mutex_unlock(&p->lock);
}

void pool_keep(struct pool *p, struct account *a)
{
  pthread_mutex_lock(&p->lock);
  a->refs++;
  pthread_mutex_unlock(&p->lock);
}

struct account *pool_keep_named(struct pool *p, const char id[17])
{
  struct account *found = NULL;
  pthread_mutex_lock(&p->lock);
  for(int i = 0; i < p->n && !found; i++)
    if(strcmp(p->entries[i]->a->id, id) == 0) found = p->entries[i]->a;
  if(found) found->refs++;
  pthread_mutex_unlock(&p->lock);
  return found;
}

void pool_unkeep(struct pool *p, struct account *a)
{
  pthread_mutex_lock(&p->lock);
  a->refs--;
  pthread_mutex_unlock(&p->lock);
}

/* ---- looking ---- */

struct pool_offer pool_offer(struct pool *p, const struct pool_want *w, int64_t now_ms)
{
  struct pool_offer o = { 0, 0 };
  pthread_mutex_lock(&p->lock);
  int n = w->plane == POOL_API && !p->kinds[ACCOUNT_API] ? 0 : p->n;
  for(int i = 0; i < n; i++) {
    struct pool_view v = { .busy = false };
    o.configured += pool_entry_of(p->entries[i]->a, w);
    o.usable += pool_entry_fits(p, p->entries[i], w, now_ms, &v) || v.busy;
  }
  pthread_mutex_unlock(&p->lock);
  return o;
}

struct pool_counts pool_count(struct pool *p, enum feature f, int64_t now_ms)
{
  struct pool_counts c = { .total = 0 };
  struct pool_view v = { .busy = false };
  pthread_mutex_lock(&p->lock);
  c.total = p->n;
  c.leased = p->leased;
  c.waiting = p->waiting;
  for(int i = 0; i < p->n; i++) {
    struct account *a = p->entries[i]->a;
    v.busy = false;
    struct pool_want w = { .feature = f };
    if(a->kind == ACCOUNT_API) w = (struct pool_want){ .feature = FEATURE_CLI, .plane = POOL_API };
    if(a->kind == ACCOUNT_CLI) w = (struct pool_want){ .feature = FEATURE_CLI, .plane = POOL_GRANT };
    if(pool_entry_fits(p, p->entries[i], &w, now_ms, &v) || v.busy) c.usable++;
    c.by_state[a->whole != ACCOUNT_ACTIVE ? a->whole : a->features[w.feature].state]++;
  }
  pthread_mutex_unlock(&p->lock);
  return c;
}

void pool_explain(struct pool *p, const struct pool_want *w, int64_t now_ms, struct pool_outlook *out,
                  void (*fn)(void *ctx, const struct account *a, const struct pool_verdict *v), void *ctx)
{
  struct pool_view v;
  pthread_mutex_lock(&p->lock);
  const struct pool_model *m = w->plane == POOL_WEB ? pool_model_of(p, w->model) : NULL;
  struct pool_entry *e = pool_choose(p, w, now_ms, &v);
  *out = (struct pool_outlook){ .chosen = e ? e->a : NULL, .busy = v.busy, .waiting = p->waiting,
                                .model_rest_ms = m && m->rest_until_ms > now_ms ? m->rest_until_ms : 0 };
  out->line = e && pool_overtakes(p, w, now_ms);
  if(!e) out->return_ms = pool_soonest(&v);
  for(int i = 0; i < p->n; i++) {
    struct pool_verdict verdict = pool_judge(p, p->entries[i]->a, w, now_ms);
    fn(ctx, p->entries[i]->a, &verdict);
  }
  pthread_mutex_unlock(&p->lock);
}

void pool_each(struct pool *p, void (*fn)(void *ctx, struct account *a), void *ctx)
{
  pthread_mutex_lock(&p->lock);
  for(int i = 0; i < p->n; i++) fn(ctx, p->entries[i]->a);
  pthread_mutex_unlock(&p->lock);
}
