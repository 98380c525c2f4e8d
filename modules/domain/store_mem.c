#include <pthread.h>
#include <stdio.h>

#include "base/mem.h"
#include "domain/store.h"

/* A sorted array: state is small, and order makes scans simple. */
struct store_mem_entry { char *key, *value; size_t key_n, value_n; };

struct store_mem {
  struct store store;
  pthread_mutex_t lock, counting;
  struct store_mem_entry *v;
  size_t n, cap;
};

static int store_mem_compare(const struct store_mem_entry *e, struct str key)
{
  size_t n = e->key_n < key.n ? e->key_n : key.n;
  int c = n ? memcmp(e->key, key.p, n) : 0;
  return c ? c : (e->key_n > key.n) - (e->key_n < key.n);
}

/* The first entry that is not below key. */
static size_t store_mem_at(const struct store_mem *m, struct str key)
{
  size_t lo = 0, hi = m->n;
  while(lo < hi) {
    size_t mid = (lo + hi) / 2;
    if(store_mem_compare(&m->v[mid], key) < 0) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

static bool store_mem_found(const struct store_mem *m, size_t at, struct str key)
{
  return at < m->n && store_mem_compare(&m->v[at], key) == 0;
}

static enum q_status store_mem_get(struct store *s, struct str key, struct strbuf *value)
{
  struct store_mem *m = (struct store_mem *)s;
  if(fault_hit()) return Q_STORE;
  pthread_mutex_lock(&m->lock);
  size_t at = store_mem_at(m, key);
  bool found = store_mem_found(m, at, key);
  if(found) strbuf_add(value, m->v[at].value, m->v[at].value_n);
  pthread_mutex_unlock(&m->lock);
  return found ? value->err : Q_NOT_FOUND;
}

static enum q_status store_mem_scan(struct store *s, struct str prefix, bool (*fn)(void *, struct str, struct str), void *ctx)
{
  struct store_mem *m = (struct store_mem *)s;
  if(fault_hit()) return Q_STORE;
  pthread_mutex_lock(&m->lock);
  for(size_t i = store_mem_at(m, prefix); i < m->n; i++) {
    struct str key = str_of(m->v[i].key, m->v[i].key_n);
    if(!str_starts(key, prefix) || !fn(ctx, key, str_of(m->v[i].value, m->v[i].value_n))) break;
  }
  pthread_mutex_unlock(&m->lock);
  return Q_OK;
}

static void store_mem_put(struct store_mem *m, struct store_mem_entry fresh)
{
  struct str key = str_of(fresh.key, fresh.key_n);
  size_t at = store_mem_at(m, key);
  if(store_mem_found(m, at, key)) {
    mem_free(m->v[at].key);
    mem_free(m->v[at].value);
  } else {
    memmove(&m->v[at + 1], &m->v[at], (m->n - at) * sizeof m->v[0]);
    m->n++;
  }
  m->v[at] = fresh;
}

static void store_mem_del(struct store_mem *m, struct str key)
{
  size_t at = store_mem_at(m, key);
  if(!store_mem_found(m, at, key)) return;
  mem_free(m->v[at].key);
  mem_free(m->v[at].value);
  memmove(&m->v[at], &m->v[at + 1], (--m->n - at) * sizeof m->v[0]);
}

/* Everything that can fail is done first: copies and room. */
static enum q_status store_mem_commit(struct store *s, const struct store_op *ops, int n)
{
  struct store_mem *m = (struct store_mem *)s;
  struct store_mem_entry *fresh = mem_zalloc(sizeof *fresh * (size_t)(n ? n : 1));
  enum q_status st = !fresh || fault_hit() ? Q_STORE : Q_OK;
  for(int i = 0; i < n && !st; i++) {
    if(ops[i].del) continue;
    fresh[i] = (struct store_mem_entry){ mem_strndup(ops[i].key.p, ops[i].key.n), mem_strndup(ops[i].value.p, ops[i].value.n),
                                         ops[i].key.n, ops[i].value.n };
    if(!fresh[i].key || !fresh[i].value) st = Q_STORE;
  }
  pthread_mutex_lock(&m->lock);
  if(!st && m->n + (size_t)n > m->cap) {
    size_t cap = (m->n + (size_t)n) * 2;
    struct store_mem_entry *v = mem_realloc(m->v, cap * sizeof *v);
    if(v) m->v = v, m->cap = cap;
    else st = Q_STORE;
  }
  for(int i = 0; i < n && !st; i++) {
    if(ops[i].del) store_mem_del(m, ops[i].key);
    else store_mem_put(m, fresh[i]);
  }
  pthread_mutex_unlock(&m->lock);
  for(int i = 0; fresh && st && i < n; i++) {
    mem_free(fresh[i].key);
    mem_free(fresh[i].value);
  }
  mem_free(fresh);
  return st;
}

/* The new values are written first and committed together; counting is one at a time, so that none is lost in between. */
static enum q_status store_mem_incr(struct store *s, struct store_delta *v, int n)
{
  struct store_mem *m = (struct store_mem *)s;
  struct store_op *ops = mem_zalloc(sizeof *ops * (size_t)(n ? n : 1));
  char (*text)[24] = mem_zalloc(sizeof *text * (size_t)(n ? n : 1));
  enum q_status st = ops && text ? Q_OK : Q_STORE;
  pthread_mutex_lock(&m->counting);
  for(int i = 0; i < n && !st; i++) {
    struct strbuf old = STRBUF(64);
    int k = i - 1;
    while(k >= 0 && !str_eq(v[k].key, v[i].key)) k--; /* twice in one call */
    v[i].total = k >= 0 ? v[k].total : 0;
    if(k < 0) st = store_mem_get(s, v[i].key, &old);
    if(st == Q_NOT_FOUND) st = Q_OK;
    else if(!st && old.n) (void)str_int(strbuf_str(&old), &v[i].total);
    strbuf_free(&old);
    v[i].total += v[i].by;
    snprintf(text[i], sizeof text[i], "%lld", (long long)v[i].total);
    ops[i] = (struct store_op){ .key = v[i].key, .value = str_z(text[i]) };
  }
  if(!st) st = store_mem_commit(s, ops, n);
  pthread_mutex_unlock(&m->counting);
  mem_free(ops);
  mem_free(text);
  return st;
}

static void store_mem_close(struct store *s)
{
  struct store_mem *m = (struct store_mem *)s;
  for(size_t i = 0; i < m->n; i++) {
    mem_free(m->v[i].key);
    mem_free(m->v[i].value);
  }
  mem_free(m->v);
  pthread_mutex_destroy(&m->counting);
  pthread_mutex_destroy(&m->lock);
  mem_free(m);
}

struct store *store_mem_new(void)
{
  static const struct store_ops ops = { "memory", false, store_mem_get, store_mem_scan, store_mem_commit, store_mem_close,
                                        .incr = store_mem_incr };
  struct store_mem *m = mem_zalloc(sizeof *m);
  if(!m) return NULL;
  m->store.ops = &ops;
  pthread_mutex_init(&m->lock, NULL);
  pthread_mutex_init(&m->counting, NULL);
  return &m->store;
}
