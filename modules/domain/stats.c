#include "domain/stats.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/crypt.h"
#include "base/mem.h"
#include "base/now.h"

enum {
  STATS_RECORD_MAX = 16 * 1024 * 1024,
  STATS_HOUR_MS = 3600 * 1000,
  STATS_SECONDS = 60
};

struct stats {
  pthread_mutex_t lock;    /* guards all of it */
  int day;                 /* of `today`, 20251124; 0: none yet */
  int64_t day_ends_ms;
  struct stats_table today, past; /* past: of the day before, until it is written */
  int past_day;
  bool dirty;
  struct { int64_t hour; struct stats_row sum; } hours[STATS_HOURS + 1];
  struct { int64_t s; int n; } seconds[STATS_SECONDS];
  struct stats_call calls[STATS_REQUESTS];
  uint64_t call_n;
  struct stats_totals since;
  char own[20];            /* of a shared store: what tells our records from those of others */
};

struct stats *stats_new(void)
{
  struct stats *s = mem_zalloc(sizeof *s);
  if(!s) return NULL;
  pthread_mutex_init(&s->lock, NULL);
  return s;
}

void stats_destroy(struct stats *s)
{
  if(!s) return;
  stats_table_free(&s->today);
  stats_table_free(&s->past);
  stats_table_free(&s->since.table);
  pthread_mutex_destroy(&s->lock);
  mem_free(s);
}

/* ---- noting ---- */

/* With the lock held: what is counted from now on belongs to the day of now_ms. A clock that was set back goes on with the day. */
static void stats_turn_day(struct stats *s, int64_t now_ms)
{
  if(s->day && now_ms < s->day_ends_ms) return;
  if(s->day && s->today.n) {
    stats_table_free(&s->past); /* only what a whole day could not be written is lost */
    s->past = s->today;
    s->past_day = s->day;
    s->today = (struct stats_table){ NULL, 0, 0, NULL };
  }
  s->day = now_local_day(now_ms);
  s->day_ends_ms = now_local_midnight_ms(now_ms);
}

static enum stats_class stats_class_of(int status)
{
  return status == 499 ? STATS_GONE : status == 429 ? STATS_LIMITED : status < 500 ? STATS_CLIENT : STATS_UPSTREAM;
}

static struct stats_row stats_row_of(const struct stats_turn *t)
{
  struct stats_row r = { .by = STATS_ALL };
  r.v[STATS_CALLS] = 1;
  if(t->status >= 400) r.v[STATS_ERRORS + stats_class_of(t->status)] = 1;
  r.v[STATS_IN] = (uint64_t)t->in;
  r.v[STATS_OUT] = (uint64_t)t->out;
  r.v[STATS_MEDIA] = (uint64_t)t->media;
  r.v[STATS_VIDEOS] = (uint64_t)t->videos;
  if(t->cli) {
    r.v[STATS_CLI_CALLS] = 1;
    r.v[STATS_CLI_IN] = (uint64_t)t->in;
    r.v[STATS_CLI_OUT] = (uint64_t)t->out;
  }
  if(t->first_ms > 0) {
    r.v[STATS_FIRST_SUM] = (uint64_t)t->first_ms;
    r.first[stats_bucket(t->first_ms)] = 1;
  }
  r.v[STATS_TOTAL_SUM] = (uint64_t)t->total_ms;
  r.total[stats_bucket(t->total_ms)] = 1;
  return r;
}

static void stats_book(struct stats_table *t, enum stats_by by, const char *name, const struct stats_row *r)
{
  struct stats_row *to = stats_table_at(t, by, str_z(name));
  if(to) stats_row_add(to, r);
}

static void stats_keep(struct stats *s, const struct stats_turn *t, int64_t now_ms)
{
  struct stats_call *c = &s->calls[s->call_n++ % STATS_REQUESTS];
  *c = (struct stats_call){ .at_ms = now_ms, .in = t->in, .out = t->out, .endpoint = t->endpoint, .status = t->status, .attempts = t->attempts,
                            .media = t->media, .first_ms = (int)t->first_ms, .total_ms = (int)t->total_ms };
  str_copy(c->request_id, sizeof c->request_id, str_z(t->request_id));
  str_copy(c->model, sizeof c->model, t->model);
  str_copy(c->code, sizeof c->code, str_z(t->code));
  memcpy(c->account, t->account, sizeof c->account);
  memcpy(c->key, t->key, sizeof c->key);
}

static void stats_sum_tokens(struct stats_totals *k, const char *model, const struct stats_turn *t)
{
  int i = 0;
  while(i < k->token_n && strcmp(k->tokens[i].model, model) != 0) i++;
  if(i == k->token_n && k->token_n == (int)(sizeof k->tokens / sizeof k->tokens[0])) return;
  if(i == k->token_n) {
    k->token_n++;
    str_copy(k->tokens[i].model, sizeof k->tokens[i].model, str_z(model));
  }
  for(int d = 0; d < 2; d++) {
    uint64_t n = (uint64_t)(d ? t->out : t->in), bound = 1;
    int b = 0;
    while(b < STATS_TOKEN_BUCKETS - 1 && n > bound) b++, bound *= 4;
    k->tokens[i].v[d][b]++;
    k->tokens[i].sum[d] += n;
  }
}

/* The place of an endpoint, STATS_FLIGHTS: there is no room for it. */
static int stats_flight(struct stats_totals *k, const char *endpoint)
{
  int i = 0;
  while(i < STATS_FLIGHTS && k->flights[i].endpoint && strcmp(k->flights[i].endpoint, endpoint) != 0) i++;
  if(i < STATS_FLIGHTS) k->flights[i].endpoint = endpoint;
  return i;
}

/* Since start. A model that came too late is "other" here as well. */
static void stats_total(struct stats_totals *k, const struct stats_turn *t, const char *model, const struct stats_row *r)
{
  char triple[STATS_NAME * 2];
  struct stats_row *m = stats_table_at(&k->table, STATS_MODEL, str_z(model));
  if(!m) return;
  stats_row_add(m, r);
  str_copy(triple, sizeof triple, str_z(m->name));
  model = triple;
  stats_sum_tokens(k, model, t);
  stats_book(&k->table, STATS_ENDPOINT, t->endpoint, r);
  char name[STATS_NAME - 1];
  int n = snprintf(name, sizeof name, "%c%.56s\n%d", 'A' + stats_flight(k, t->endpoint), model, t->status);
  if(n > 0) stats_book(&k->table, STATS_TRIPLE, name, r);
  if(t->attempts > 1) k->retries += (uint64_t)t->attempts - 1;
  k->tools[t->tool]++;
}

void stats_note(struct stats *s, const struct stats_turn *t, int64_t now_ms)
{
  if(!s) return;
  struct stats_row r = stats_row_of(t);
  char model[STATS_NAME - 1];
  str_copy(model, sizeof model, t->model.n ? t->model : S("unknown"));
  pthread_mutex_lock(&s->lock);
  stats_turn_day(s, now_ms);
  stats_book(&s->today, STATS_ALL, "", &r);
  stats_book(&s->today, STATS_MODEL, model, &r);
  stats_book(&s->today, STATS_ENDPOINT, t->endpoint, &r);
  if(t->key[0]) stats_book(&s->today, STATS_KEY, t->key, &r);
  if(t->account[0]) stats_book(&s->today, STATS_ACCOUNT, t->account, &r);
  int64_t hour = now_ms / STATS_HOUR_MS, second = now_ms / 1000;
  int h = (int)(hour % (STATS_HOURS + 1)), i = (int)(second % STATS_SECONDS);
  if(s->hours[h].hour != hour) {
    s->hours[h].hour = hour;
    s->hours[h].sum = (struct stats_row){ .by = STATS_HOUR };
  }
  stats_row_add(&s->hours[h].sum, &r);
  if(s->seconds[i].s != second) {
    s->seconds[i].s = second;
    s->seconds[i].n = 0;
  }
  s->seconds[i].n++;
  stats_total(&s->since, t, model, &r);
  stats_keep(s, t, now_ms);
  s->dirty = true;
  pthread_mutex_unlock(&s->lock);
}

void stats_upstream(struct stats *s, enum q_status how)
{
  if(!s) return;
  pthread_mutex_lock(&s->lock);
  if((int)how > 0 && how < Q_STATUS_COUNT) s->since.upstream[how]++;
  pthread_mutex_unlock(&s->lock);
}

void stats_cache(struct stats *s, bool hit)
{
  if(!s) return;
  pthread_mutex_lock(&s->lock);
  if(hit) s->since.hits++;
  else s->since.misses++;
  pthread_mutex_unlock(&s->lock);
}

void stats_begin(struct stats *s, const char *endpoint, int by)
{
  if(!s) return;
  pthread_mutex_lock(&s->lock);
  int i = stats_flight(&s->since, endpoint);
  if(i < STATS_FLIGHTS) s->since.flights[i].n += by;
  pthread_mutex_unlock(&s->lock);
}

/* ---- the store ---- */

void stats_day_text(int day, char out[11])
{
  unsigned d = (unsigned)day;
  snprintf(out, 11, "%04u-%02u-%02u", d / 10000 % 10000, d / 100 % 100, d % 100);
}

int stats_day_before(int day, int days)
{
  struct tm t = { .tm_year = day / 10000 - 1900, .tm_mon = day / 100 % 100 - 1, .tm_mday = day % 100 - days, .tm_hour = 12, .tm_isdst = -1 };
  return now_local_day((int64_t)mktime(&t) * 1000);
}

/* The day of a record's key, 0: it is none. */
static int stats_day_of(struct str key)
{
  int64_t y, m, d;
  if(!str_starts(key, S("day/")) || key.n < 14) return 0;
  if(!str_int(str_sub(key, 4, 4), &y) || !str_int(str_sub(key, 9, 2), &m) || !str_int(str_sub(key, 12, 2), &d)) return 0;
  return (int)(y * 10000 + m * 100 + d);
}

/* "day/2025-11-24", of a shared store with our own mark behind it: nobody overwrites another one's counters. */
static void stats_key(struct stats *s, struct store *store, int day, struct strbuf *b)
{
  char text[11];
  stats_day_text(day, text);
  strbuf_fmt(b, "day/%s", text);
  if(!store_shared(store)) return;
  if(!s->own[0]) {
    unsigned char r[8];
    crypt_random(r, sizeof r);
    for(int i = 0; i < 8; i++) snprintf(s->own + 2 * i, 3, "%02x", r[i]);
  }
  strbuf_fmt(b, "/%s", s->own);
}

enum q_status stats_load(struct stats *s, struct store *store, int64_t now_ms)
{
  struct strbuf key = STRBUF(64), record = STRBUF(STATS_RECORD_MAX);
  struct stats_table hours = { NULL, 0, 0, NULL };
  stats_turn_day(s, now_ms);
  if(store_shared(store)) return Q_OK; /* a record of our own begins now; those of before are added where days are read */
  stats_key(s, store, s->day, &key);
  enum q_status st = store_get(store, strbuf_str(&key), &record);
  if(!st) (void)stats_table_read(&s->today, strbuf_str(&record));
  strbuf_clear(&record);
  if(!st || st == Q_NOT_FOUND) st = store_get(store, S("hours"), &record);
  if(!st) (void)stats_table_read(&hours, strbuf_str(&record));
  for(int i = 0; i < hours.n; i++) {
    int64_t hour;
    if(!str_int(str_z(hours.rows[i].name), &hour) || hour <= 0) continue;
    int h = (int)(hour % (STATS_HOURS + 1));
    if(hour <= s->hours[h].hour) continue;
    s->hours[h].hour = hour;
    s->hours[h].sum = hours.rows[i];
  }
  stats_table_free(&hours);
  strbuf_free(&record);
  strbuf_free(&key);
  return st == Q_NOT_FOUND ? Q_OK : st;
}

bool stats_unsaved(struct stats *s)
{
  pthread_mutex_lock(&s->lock);
  bool dirty = s->dirty || s->past.n;
  pthread_mutex_unlock(&s->lock);
  return dirty;
}

struct stats_old { struct strbuf keys; int before; };

static bool stats_find_old(void *ctx, struct str key, struct str value)
{
  struct stats_old *o = ctx;
  int day = stats_day_of(key);
  (void)value;
  if(!day || day >= o->before) return false; /* they come in order of time */
  strbuf_adds(&o->keys, key);
  strbuf_addc(&o->keys, '\n');
  return true;
}

/* Days that are older than is kept. */
static enum q_status stats_prune(struct store *store, int today)
{
  struct stats_old o = { STRBUF(1024 * 1024), stats_day_before(today, STATS_DAYS - 1) };
  enum q_status st = store->ops->scan(store, S("day/"), stats_find_old, &o);
  struct str keys = strbuf_str(&o.keys);
  while(!st && keys.n) {
    struct store_op op = { .key = str_cut(&keys, '\n'), .del = true };
    st = store->ops->commit(store, &op, 1);
  }
  strbuf_free(&o.keys);
  return st;
}

/* With the lock held. */
static void stats_write_hours(const struct stats *s, struct strbuf *b)
{
  struct stats_row rows[STATS_HOURS + 1];
  struct stats_table t = { rows, 0, 0, NULL };
  for(int i = 0; i <= STATS_HOURS; i++) {
    if(!s->hours[i].hour) continue;
    rows[t.n] = s->hours[i].sum;
    rows[t.n].by = STATS_HOUR;
    snprintf(rows[t.n].name, sizeof rows[0].name, "%lld", (long long)s->hours[i].hour);
    t.n++;
  }
  stats_table_write(&t, b);
}

enum q_status stats_save(struct stats *s, struct store *store, int64_t now_ms)
{
  struct strbuf keys[2] = { STRBUF(64), STRBUF(64) }, records[3] = { STRBUF(STATS_RECORD_MAX), STRBUF(STATS_RECORD_MAX), STRBUF(64 * 1024) };
  struct store_op ops[3];
  int n = 0;
  pthread_mutex_lock(&s->lock);
  stats_turn_day(s, now_ms);
  int day = s->day, past = s->past.n ? s->past_day : 0;
  stats_key(s, store, day, &keys[0]);
  stats_table_write(&s->today, &records[0]);
  if(past) stats_key(s, store, past, &keys[1]);
  if(past) stats_table_write(&s->past, &records[1]);
  stats_write_hours(s, &records[2]);
  s->dirty = false;
  pthread_mutex_unlock(&s->lock);
  ops[n++] = (struct store_op){ .key = strbuf_str(&keys[0]), .value = strbuf_str(&records[0]) };
  if(past) ops[n++] = (struct store_op){ .key = strbuf_str(&keys[1]), .value = strbuf_str(&records[1]) };
  if(!store_shared(store)) ops[n++] = (struct store_op){ .key = S("hours"), .value = strbuf_str(&records[2]) };
  enum q_status st = records[0].err ? records[0].err : records[1].err ? records[1].err : records[2].err;
  if(!st) st = store->ops->commit(store, ops, n);
  if(!st && past) st = stats_prune(store, day);
  pthread_mutex_lock(&s->lock);
  if(st) s->dirty = true;
  else if(past && past == s->past_day) stats_table_free(&s->past);
  pthread_mutex_unlock(&s->lock);
  for(int i = 0; i < 2; i++) strbuf_free(&keys[i]);
  for(int i = 0; i < 3; i++) strbuf_free(&records[i]);
  return st;
}

struct stats_walk {
  struct stats *s;
  struct str own;
  int from, day;           /* day: that `t` is of */
  struct stats_table t;
  void (*fn)(void *ctx, int day, const struct stats_table *t);
  void *ctx;
};

static void stats_walk_end(struct stats_walk *w)
{
  if(w->t.n) w->fn(w->ctx, w->day, &w->t);
  stats_table_free(&w->t);
}

static void stats_walk_to(struct stats_walk *w, int day)
{
  if(w->day != day) stats_walk_end(w);
  w->day = day;
}

static bool stats_walk_record(void *ctx, struct str key, struct str value)
{
  struct stats_walk *w = ctx;
  int day = stats_day_of(key);
  if(day < w->from || str_eq(key, w->own)) return true;
  stats_walk_to(w, day);
  (void)stats_table_read(&w->t, value);
  return true;
}

enum q_status stats_each_day(struct stats *s, struct store *store, int64_t now_ms, int days,
                             void (*fn)(void *ctx, int day, const struct stats_table *t), void *ctx)
{
  struct strbuf own = STRBUF(64);
  struct stats_walk w = { .s = s, .fn = fn, .ctx = ctx };
  enum q_status st = stats_unsaved(s) ? stats_save(s, store, now_ms) : Q_OK; /* at midnight the day before is not whole in the store */
  if(st == Q_STORE) st = Q_OK; /* it is away; what it has is told when it can be */
  pthread_mutex_lock(&s->lock);
  stats_turn_day(s, now_ms);
  int today = s->day;
  stats_key(s, store, today, &own);
  pthread_mutex_unlock(&s->lock);
  w.own = strbuf_str(&own);
  w.from = stats_day_before(today, days - 1);
  if(!st) st = store->ops->scan(store, S("day/"), stats_walk_record, &w);
  if(st == Q_STORE) st = Q_OK;
  stats_walk_to(&w, today);
  pthread_mutex_lock(&s->lock);
  stats_table_add(&w.t, &s->today);
  pthread_mutex_unlock(&s->lock);
  stats_walk_end(&w);
  strbuf_free(&own);
  return st;
}

/* ---- looking ---- */

int stats_recent(struct stats *s, struct stats_call *out, int max)
{
  pthread_mutex_lock(&s->lock);
  int n = s->call_n < STATS_REQUESTS ? (int)s->call_n : STATS_REQUESTS;
  if(n > max) n = max;
  for(int i = 0; i < n; i++) out[i] = s->calls[(s->call_n - 1 - (uint64_t)i) % STATS_REQUESTS];
  pthread_mutex_unlock(&s->lock);
  return n;
}

void stats_hours(struct stats *s, int64_t now_ms, struct stats_row out[STATS_HOURS])
{
  int64_t hour = now_ms / STATS_HOUR_MS - STATS_HOURS + 1;
  pthread_mutex_lock(&s->lock);
  for(int i = 0; i < STATS_HOURS; i++, hour++) {
    int h = (int)(hour % (STATS_HOURS + 1));
    out[i] = s->hours[h].hour == hour ? s->hours[h].sum : (struct stats_row){ .by = STATS_HOUR };
  }
  pthread_mutex_unlock(&s->lock);
}

int stats_minute(struct stats *s, int64_t now_ms)
{
  int n = 0;
  pthread_mutex_lock(&s->lock);
  for(int i = 0; i < STATS_SECONDS; i++)
    if(now_ms / 1000 - s->seconds[i].s < STATS_SECONDS) n += s->seconds[i].n;
  pthread_mutex_unlock(&s->lock);
  return n;
}

struct stats_row stats_today(struct stats *s, int64_t now_ms)
{
  struct stats_row r = { .by = STATS_ALL };
  pthread_mutex_lock(&s->lock);
  stats_turn_day(s, now_ms);
  for(int i = 0; i < s->today.n; i++)
    if(s->today.rows[i].by == STATS_ALL) r = s->today.rows[i];
  pthread_mutex_unlock(&s->lock);
  return r;
}

bool stats_totals(struct stats *s, struct stats_totals *out)
{
  pthread_mutex_lock(&s->lock);
  *out = s->since;
  out->table = (struct stats_table){ NULL, 0, 0, NULL };
  bool ok = stats_table_copy(&out->table, &s->since.table);
  pthread_mutex_unlock(&s->lock);
  return ok;
}
