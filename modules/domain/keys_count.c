#include "domain/keys_count.h"

#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "base/now.h"
#include "domain/keys_own.h"

enum {
  KEYS_COUNT_MS = 5000,
  KEYS_COUNT_SHARED_MS = 350,
  KEYS_COUNT_BATCH = 500,
  KEYS_COUNT_EACH = KEYS_SPANS * KEYS_COUNTS + 1, /* the last one: when it was used */
  KEYS_COUNT_NAME = 48,
  KEYS_COUNT_DAYS_MS = 3 * 24 * 3600 * 1000,
  KEYS_COUNT_PRUNE = 100,
  KEYS_COUNT_OLD_MAX = 1024 * 1024,
  KEYS_COUNT_LOCK_MS = 30 * 1000,  /* of one gateway at a time, while it restores */
  KEYS_COUNT_WAIT_MS = 100,
  KEYS_COUNT_TRIES = 100
};

static const char *const keys_count_words[KEYS_COUNTS] = { "calls", "tokens", "media" };

/* i: span * KEYS_COUNTS + count, or the last one. */
static void keys_count_name(const char *id, int day, int i, char out[KEYS_COUNT_NAME])
{
  enum keys_span span = (enum keys_span)(i / KEYS_COUNTS);
  if(i == KEYS_COUNT_EACH - 1) snprintf(out, KEYS_COUNT_NAME, "use/%s/all/last", id);
  else if(span == KEYS_EVER) snprintf(out, KEYS_COUNT_NAME, "use/%s/all/%s", id, keys_count_words[i % KEYS_COUNTS]);
  else snprintf(out, KEYS_COUNT_NAME, "use/%s/%d/%s", id, span == KEYS_DAY ? day : day / 100, keys_count_words[i % KEYS_COUNTS]);
}

static void keys_count_tick_name(int part, char out[KEYS_COUNT_NAME])
{
  if(part == KEYS_PARTS) snprintf(out, KEYS_COUNT_NAME, "use/tick");
  else snprintf(out, KEYS_COUNT_NAME, "use/tick/%x", (unsigned)part);
}

static int keys_count_part(const struct keys_one *one)
{
  return one->hash[0] >> 4;
}

static int64_t *keys_count_at(struct keys_use *u, int i)
{
  return &u->n[i / KEYS_COUNTS][i % KEYS_COUNTS];
}

static int64_t *keys_count_fresh(struct keys_use *u, int i)
{
  return &u->fresh[i / KEYS_COUNTS][i % KEYS_COUNTS];
}

/* What the store has of a counter of that day. With the lock held. */
static void keys_count_take(struct keys *k, struct keys_one *one, int day, int i, int64_t total, int64_t now_ms)
{
  struct keys_use *u = &one->use;
  keys_use_turn(u, &k->calendar);
  if(i == KEYS_COUNT_EACH - 1) {
    u->told_s = total;
    if(total > u->last_s && total <= now_ms / 1000) u->last_s = total;
    return;
  }
  enum keys_span span = (enum keys_span)(i / KEYS_COUNTS);
  if((span == KEYS_DAY && u->day != day) || (span == KEYS_MONTH && u->day / 100 != day / 100)) return;
  int64_t was = *keys_count_at(u, i), is = total + *keys_count_fresh(u, i);
  if(is < was && store_shared(k->store)) return; /* they only grow: the server has lost some, keys_count_restore() comes */
  *keys_count_at(u, i) = is;
  if(span != KEYS_EVER || is <= was || !u->known || !store_shared(k->store)) return;
  if(i % KEYS_COUNTS == KEYS_CALLS) keys_use_elsewhere(u, &one->facts.limits, is - was, 0, now_ms);
  if(i % KEYS_COUNTS == KEYS_TOKENS) keys_use_elsewhere(u, &one->facts.limits, 0, is - was, now_ms);
}

/* ---- reading ---- */

static enum q_status keys_count_get(struct keys *k, const char *name, int64_t *total)
{
  struct strbuf text = STRBUF(64);
  *total = 0;
  enum q_status st = store_get(k->store, str_z(name), &text);
  if(st == Q_NOT_FOUND) st = Q_OK;
  else if(!st && !str_int(strbuf_str(&text), total)) *total = 0;
  strbuf_free(&text);
  return st;
}

enum q_status keys_count_fetch(struct keys *k, struct keys_one *one, int64_t now_ms)
{
  char name[KEYS_COUNT_NAME];
  int64_t totals[KEYS_COUNT_EACH];
  int day = now_local_day(now_ms);
  enum q_status st = Q_OK;
  for(int i = 0; i < KEYS_COUNT_EACH && !st; i++) {
    keys_count_name(one->id, day, i, name);
    st = keys_count_get(k, name, &totals[i]);
  }
  if(st) return st;
  pthread_mutex_lock(&k->lock);
  keys_use_calendar(&k->calendar, now_ms);
  for(int i = 0; i < KEYS_COUNT_EACH; i++) keys_count_take(k, one, day, i, totals[i], now_ms);
  one->use.known = true;
  pthread_mutex_unlock(&k->lock);
  return Q_OK;
}

struct keys_count_walk { struct keys *k; int64_t now_ms; int day, kept_day; bool load; struct strbuf old; };

static bool keys_count_see(void *ctx, struct str key, struct str value)
{
  struct keys_count_walk *w = ctx;
  struct str rest = str_sub(key, 4, key.n), id = str_cut(&rest, '/'), span = str_cut(&rest, '/');
  int64_t date = 0, total = 0;
  if(id.n != KEYS_ID - 1) return true; /* a tick */
  bool dated = str_int(span, &date);
  if(dated && (span.n == 8 ? date < w->kept_day : date < w->kept_day / 100)) {
    if(w->old.n + key.n + 1 < KEYS_COUNT_OLD_MAX) { /* the rest tomorrow */
      strbuf_adds(&w->old, key);
      strbuf_addc(&w->old, '\n');
    }
    return true;
  }
  struct keys_one *one = w->load ? keys_by_id(w->k, id) : NULL;
  if(!one || !str_int(value, &total)) return true;
  for(int i = 0; i < KEYS_COUNT_EACH; i++) {
    char name[KEYS_COUNT_NAME];
    keys_count_name(one->id, w->day, i, name);
    if(!str_eq(key, str_z(name))) continue;
    pthread_mutex_lock(&w->k->lock);
    keys_count_take(w->k, one, w->day, i, total, w->now_ms);
    pthread_mutex_unlock(&w->k->lock);
    break;
  }
  return true;
}

static enum q_status keys_count_prune(struct keys *k, struct str old)
{
  struct store_op ops[KEYS_COUNT_PRUNE];
  enum q_status st = Q_OK;
  while(old.n && !st) {
    int n = 0;
    while(old.n && n < KEYS_COUNT_PRUNE) ops[n++] = (struct store_op){ .key = str_cut(&old, '\n'), .del = true };
    st = k->store->ops->commit(k->store, ops, n);
  }
  return st;
}

/* Looks at all counters; takes them over at the start, and takes the old ones away. */
static enum q_status keys_count_walk(struct keys *k, int64_t now_ms, bool load)
{
  struct keys_count_walk w = { .k = k, .now_ms = now_ms, .day = now_local_day(now_ms), .kept_day = now_local_day(now_ms - KEYS_COUNT_DAYS_MS),
                               .load = load, .old = STRBUF(KEYS_COUNT_OLD_MAX) };
  enum q_status st = k->store->ops->scan(k->store, S("use/"), keys_count_see, &w);
  if(!st) st = keys_count_prune(k, strbuf_str(&w.old));
  if(!st) k->pruned_day = w.day;
  strbuf_free(&w.old);
  return st;
}

static enum q_status keys_count_look(struct keys *k, int part, int64_t *seen)
{
  char name[KEYS_COUNT_NAME];
  keys_count_tick_name(part, name);
  return keys_count_get(k, name, seen);
}

enum q_status keys_count_load(struct keys *k, int64_t now_ms)
{
  enum q_status st = Q_OK;
  for(int i = 0; store_shared(k->store) && i <= KEYS_PARTS && !st; i++) st = keys_count_look(k, i, &k->ticks[i]);
  if(!st) st = keys_count_walk(k, now_ms, true);
  for(struct keys_one *one = k->first; one && !st; one = one->next) one->use.known = true;
  if(st == Q_OK) k->saved_ms = now_ms;
  return st;
}

/* ---- what others counted ---- */

static bool keys_count_limited(const struct keys_one *one)
{
  for(int i = 0; i < KEYS_LIMITS; i++)
    if(one->facts.limits.v[i] != KEYS_NO_LIMIT) return true;
  return false;
}

static enum q_status keys_count_pull(struct keys *k, int64_t now_ms)
{
  int64_t all, seen;
  enum q_status st = keys_count_look(k, KEYS_PARTS, &all);
  if(st || all == k->ticks[KEYS_PARTS]) return st;
  for(int part = 0; part < KEYS_PARTS && !st; part++) {
    st = keys_count_look(k, part, &seen);
    if(st || seen == k->ticks[part]) continue;
    for(struct keys_one *one = k->first; one && !st; one = one->next)
      if(keys_count_part(one) == part && keys_count_limited(one)) st = keys_count_fetch(k, one, now_ms);
    if(!st) k->ticks[part] = seen;
  }
  if(!st) k->ticks[KEYS_PARTS] = all;
  return st;
}

/* ---- what the server lost ---- */

/* Up to what is known here, and no further: what another gateway has restored is not added to. With change held. */
static enum q_status keys_count_raise(struct keys *k, struct keys_one *one)
{
  char names[KEYS_COUNT_EACH][KEYS_COUNT_NAME];
  struct store_delta v[KEYS_COUNT_EACH];
  enum q_status st = Q_OK;
  int n = 0;
  pthread_mutex_lock(&k->lock);
  struct keys_use u = one->use;
  pthread_mutex_unlock(&k->lock);
  for(int i = 0; i < KEYS_COUNT_EACH && !st; i++) {
    int64_t known = i == KEYS_COUNT_EACH - 1 ? u.told_s : *keys_count_at(&u, i) - *keys_count_fresh(&u, i), total;
    if(known <= 0) continue;
    keys_count_name(one->id, u.day, i, names[n]);
    st = keys_count_get(k, names[n], &total);
    if(st || total >= known) continue;
    v[n] = (struct store_delta){ .key = str_z(names[n]), .by = known - total };
    n++;
  }
  return st || !n ? st : store_incr(k->store, v, n);
}

enum q_status keys_count_restore(struct keys *k)
{
  static const struct str name = { "keys", 4 };
  char token[33];
  enum q_status st = Q_OK;
  int tries = 0;
  if(!store_shared(k->store)) return Q_OK;
  while(k->store->ops->lock && (st = k->store->ops->lock(k->store, name, KEYS_COUNT_LOCK_MS, token)) == Q_EXISTS && tries++ < KEYS_COUNT_TRIES)
    nanosleep(&(struct timespec){ .tv_nsec = KEYS_COUNT_WAIT_MS * 1000000 }, NULL);
  if(!st) {
    st = store_incr(k->store, NULL, 0); /* what the store holds is counted first: we know it already */
    for(struct keys_one *one = k->first; one && !st; one = one->next) st = keys_count_raise(k, one);
    if(k->store->ops->unlock) k->store->ops->unlock(k->store, name, token);
  }
  return st;
}

/* ---- writing ---- */

struct keys_batch {
  struct store_delta v[KEYS_COUNT_BATCH + KEYS_PARTS + 1];
  char names[KEYS_COUNT_BATCH + KEYS_PARTS + 1][KEYS_COUNT_NAME];
  struct { struct keys_one *one; int i; } of[KEYS_COUNT_BATCH + KEYS_PARTS + 1]; /* one NULL: a tick, i its part */
  int n, day;
};

static void keys_batch_add(struct keys_batch *b, struct keys_one *one, int i, int64_t by)
{
  if(one) keys_count_name(one->id, b->day, i, b->names[b->n]);
  else keys_count_tick_name(i, b->names[b->n]);
  b->v[b->n] = (struct store_delta){ .key = str_z(b->names[b->n]), .by = by };
  b->of[b->n].one = one;
  b->of[b->n++].i = i;
}

/* With the lock held. */
static void keys_batch_gather(struct keys *k, struct keys_batch *b, struct keys_one *one)
{
  struct keys_use *u = &one->use;
  keys_use_turn(u, &k->calendar);
  if(!u->changed) return;
  u->changed = false;
  for(int i = 0; i < KEYS_COUNT_EACH - 1; i++)
    if(*keys_count_fresh(u, i)) keys_batch_add(b, one, i, *keys_count_fresh(u, i));
  if(u->last_s != u->told_s) keys_batch_add(b, one, KEYS_COUNT_EACH - 1, u->last_s - u->told_s);
}

static void keys_batch_ticks(struct keys_batch *b)
{
  bool part[KEYS_PARTS] = { false };
  int n = b->n;
  for(int i = 0; i < n; i++) part[keys_count_part(b->of[i].one)] = true;
  for(int i = 0; i < KEYS_PARTS; i++)
    if(part[i]) keys_batch_add(b, NULL, i, 1);
  keys_batch_add(b, NULL, KEYS_PARTS, 1);
}

/* st: Q_OK with totals, Q_AGAIN without (the store counts it later), or nothing was counted. */
static void keys_batch_settle(struct keys *k, struct keys_batch *b, enum q_status st, int64_t now_ms)
{
  pthread_mutex_lock(&k->lock);
  for(int n = 0; n < b->n; n++) {
    struct keys_one *one = b->of[n].one;
    int i = b->of[n].i;
    if(!one) { /* of a tick that only we moved nothing is to be read */
      if(!st && b->v[n].total == k->ticks[i] + b->v[n].by) k->ticks[i] = b->v[n].total;
      continue;
    }
    struct keys_use *u = &one->use;
    bool last = i == KEYS_COUNT_EACH - 1;
    enum keys_span span = (enum keys_span)(i / KEYS_COUNTS);
    bool same = span == KEYS_EVER || last || (span == KEYS_DAY ? u->day == b->day : u->day / 100 == b->day / 100);
    if(st && st != Q_AGAIN) {
      u->changed = k->dirty = true;
      continue;
    }
    if(last) u->told_s += b->v[n].by;
    else if(same) *keys_count_fresh(u, i) -= b->v[n].by;
    if(!st) keys_count_take(k, one, b->day, i, b->v[n].total, now_ms);
  }
  pthread_mutex_unlock(&k->lock);
  b->n = 0;
}

static enum q_status keys_batch_send(struct keys *k, struct keys_batch *b, int64_t now_ms)
{
  if(!b->n) return Q_OK;
  if(store_shared(k->store)) keys_batch_ticks(b);
  enum q_status st = store_incr(k->store, b->v, b->n);
  keys_batch_settle(k, b, st, now_ms);
  return st == Q_AGAIN ? Q_OK : st;
}

bool keys_count_due(struct keys *k, int64_t now_ms)
{
  bool shared = store_shared(k->store);
  pthread_mutex_lock(&k->lock);
  int64_t since = now_ms - k->saved_ms;
  bool due = (k->dirty || shared) && (since < 0 || since >= (shared ? KEYS_COUNT_SHARED_MS : KEYS_COUNT_MS));
  pthread_mutex_unlock(&k->lock);
  return due;
}

enum q_status keys_count_save(struct keys *k, int64_t now_ms)
{
  struct keys_batch *b = mem_alloc(sizeof *b);
  enum q_status st = Q_OK;
  if(!b) return Q_NOMEM;
  pthread_mutex_lock(&k->change);
  pthread_mutex_lock(&k->lock);
  keys_use_calendar(&k->calendar, now_ms);
  k->saved_ms = now_ms;
  bool dirty = k->dirty;
  k->dirty = false;
  b->n = 0;
  b->day = k->calendar.day;
  pthread_mutex_unlock(&k->lock);
  for(struct keys_one *one = dirty ? k->first : NULL; one && !st; one = one->next) {
    pthread_mutex_lock(&k->lock);
    if(k->calendar.day == b->day) keys_batch_gather(k, b, one);
    else k->dirty = true; /* midnight, just now: with the next call */
    pthread_mutex_unlock(&k->lock);
    if(b->n > KEYS_COUNT_BATCH - KEYS_COUNT_EACH) st = keys_batch_send(k, b, now_ms);
  }
  if(!st) st = keys_batch_send(k, b, now_ms);
  if(st) {
    pthread_mutex_lock(&k->lock);
    k->dirty = true; /* those that were not looked at */
    pthread_mutex_unlock(&k->lock);
  }
  if(!st && store_shared(k->store) && store_up(k->store)) st = keys_count_pull(k, now_ms);
  if(!st && k->pruned_day != b->day && store_up(k->store)) st = keys_count_walk(k, now_ms, false);
  pthread_mutex_unlock(&k->change);
  mem_free(b);
  return st;
}
