#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "domain/store.h"

enum { STORE_FORMAT = 1, STORE_KEY_MAX = 500 };
#define STORE_MAP_FIRST ((size_t)16 << 20) /* address space, not memory; grows when full */
#define STORE_MAP_MAX ((size_t)1 << 36)

struct store_lmdb {
  struct store store;
  pthread_rwlock_t lock; /* written only while the map grows, when no transaction may run */
  pthread_mutex_t counting;
  MDB_env *env;
  MDB_dbi dbi;
  int lock_fd;
  size_t map;
};

static MDB_val store_lmdb_val(struct str s)
{
  return (MDB_val){ s.n, (void *)s.p };
}

static struct str store_lmdb_str(MDB_val v)
{
  return str_of(v.mv_data, v.mv_size);
}

static enum q_status store_lmdb_get(struct store *s, struct str key, struct strbuf *value)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  MDB_txn *txn = NULL;
  MDB_val k = store_lmdb_val(key), v;
  if(fault_hit()) return Q_STORE;
  pthread_rwlock_rdlock(&m->lock);
  int rc = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn);
  if(!rc) rc = mdb_get(txn, m->dbi, &k, &v);
  if(!rc) strbuf_adds(value, store_lmdb_str(v)); /* copied before the transaction ends */
  if(txn) mdb_txn_abort(txn);
  pthread_rwlock_unlock(&m->lock);
  return rc == MDB_NOTFOUND ? Q_NOT_FOUND : rc ? Q_STORE : value->err;
}

static enum q_status store_lmdb_scan(struct store *s, struct str prefix, bool (*fn)(void *, struct str, struct str), void *ctx)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  MDB_txn *txn = NULL;
  MDB_cursor *cursor = NULL;
  MDB_val k = store_lmdb_val(prefix), v;
  if(fault_hit()) return Q_STORE;
  pthread_rwlock_rdlock(&m->lock);
  int rc = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &txn);
  if(!rc) rc = mdb_cursor_open(txn, m->dbi, &cursor);
  if(!rc) rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
  while(!rc && str_starts(store_lmdb_str(k), prefix) && fn(ctx, store_lmdb_str(k), store_lmdb_str(v)))
    rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
  if(cursor) mdb_cursor_close(cursor);
  if(txn) mdb_txn_abort(txn);
  pthread_rwlock_unlock(&m->lock);
  return rc && rc != MDB_NOTFOUND ? Q_STORE : Q_OK;
}

static int store_lmdb_try(struct store_lmdb *m, const struct store_op *ops, int n)
{
  MDB_txn *txn;
  int rc = mdb_txn_begin(m->env, NULL, 0, &txn);
  if(rc) return rc;
  for(int i = 0; i < n && !rc; i++) {
    MDB_val k = store_lmdb_val(ops[i].key), v = store_lmdb_val(ops[i].value);
    if(ops[i].key.n > STORE_KEY_MAX) rc = MDB_BAD_VALSIZE;
    else if(ops[i].del) rc = mdb_del(txn, m->dbi, &k, NULL);
    else rc = mdb_put(txn, m->dbi, &k, &v, 0);
    if(ops[i].del && rc == MDB_NOTFOUND) rc = 0;
  }
  if(!rc) return mdb_txn_commit(txn);
  mdb_txn_abort(txn);
  return rc;
}

static enum q_status store_lmdb_commit(struct store *s, const struct store_op *ops, int n)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  if(fault_hit()) return Q_STORE;
  for(;;) {
    pthread_rwlock_rdlock(&m->lock);
    size_t map = m->map;
    int rc = store_lmdb_try(m, ops, n);
    pthread_rwlock_unlock(&m->lock);
    if(rc != MDB_MAP_FULL || map >= STORE_MAP_MAX) return rc ? Q_STORE : Q_OK;
    pthread_rwlock_wrlock(&m->lock);
    if(m->map == map && mdb_env_set_mapsize(m->env, map * 2) == 0) m->map = map * 2;
    bool grown = m->map > map;
    pthread_rwlock_unlock(&m->lock);
    if(!grown) return Q_STORE;
  }
}

/* Reads and commits; counting is one at a time, so that none is lost in between. */
static enum q_status store_lmdb_incr(struct store *s, struct store_delta *v, int n)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  struct store_op *ops = mem_zalloc(sizeof *ops * (size_t)(n ? n : 1));
  char (*text)[24] = mem_zalloc(sizeof *text * (size_t)(n ? n : 1));
  enum q_status st = ops && text ? Q_OK : Q_STORE;
  pthread_mutex_lock(&m->counting);
  for(int i = 0; i < n && !st; i++) {
    struct strbuf old = STRBUF(64);
    int k = i - 1;
    while(k >= 0 && !str_eq(v[k].key, v[i].key)) k--; /* twice in one call */
    v[i].total = k >= 0 ? v[k].total : 0;
    if(k < 0) st = store_lmdb_get(s, v[i].key, &old);
    if(st == Q_NOT_FOUND) st = Q_OK;
    else if(!st && old.n) (void)str_int(strbuf_str(&old), &v[i].total);
    strbuf_free(&old);
    v[i].total += v[i].by;
    snprintf(text[i], sizeof text[i], "%lld", (long long)v[i].total);
    ops[i] = (struct store_op){ .key = v[i].key, .value = str_z(text[i]) };
  }
  if(!st) st = store_lmdb_commit(s, ops, n);
  pthread_mutex_unlock(&m->counting);
  mem_free(ops);
  mem_free(text);
  return st;
}

static void store_lmdb_close(struct store *s)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  if(m->env) mdb_env_close(m->env);
  if(m->lock_fd >= 0) close(m->lock_fd);
  pthread_mutex_destroy(&m->counting);
  pthread_rwlock_destroy(&m->lock);
  mem_free(m);
}

static enum q_status store_lmdb_refuse(struct q_error *e, int *exit_code, int code, const char *dir, const char *why)
{
  *exit_code = code;
  return status_fail(e, Q_STORE, "DATA_DIR", "The data directory %.200s %s", dir, why);
}

/* The format's number is a record of its own: an older one is none, a newer one is refused. */
static enum q_status store_lmdb_format(struct store_lmdb *m, const char *dir, struct q_error *e, int *exit_code)
{
  struct strbuf v = STRBUF(64);
  int64_t format = 0;
  enum q_status st = store_lmdb_get(&m->store, S("meta/format"), &v);
  if(st == Q_NOT_FOUND) {
    st = store_put(&m->store, S("meta/format"), S("1"));
    if(st) store_lmdb_refuse(e, exit_code, 73, dir, "cannot be written.");
  } else if(st || !str_int(strbuf_str(&v), &format)) {
    st = store_lmdb_refuse(e, exit_code, 65, dir, "holds a damaged qwen2api.mdb. Restore a backup, or move the file away to start anew.");
  } else if(format > STORE_FORMAT) {
    st = store_lmdb_refuse(e, exit_code, 65, dir, "was written by a newer version of qwen2api. Use that version.");
  }
  strbuf_free(&v);
  return st;
}

struct store *store_lmdb_open(const char *dir, struct q_error *e, int *exit_code)
{
  static const struct store_ops ops = { "file", true, store_lmdb_get, store_lmdb_scan, store_lmdb_commit, store_lmdb_close,
                                        .incr = store_lmdb_incr };
  char path[4096];
  struct store_lmdb *m = mem_zalloc(sizeof *m);
  MDB_txn *txn = NULL;
  enum q_status st = Q_OK;
  if(!m) {
    *exit_code = 1;
    status_fail(e, Q_NOMEM, NULL, "Out of memory.");
    return NULL;
  }
  m->store.ops = &ops;
  m->map = STORE_MAP_FIRST;
  m->lock_fd = -1;
  pthread_rwlock_init(&m->lock, NULL);
  pthread_mutex_init(&m->counting, NULL);
  if(mkdir(dir, 0700) != 0 && errno != EEXIST) st = store_lmdb_refuse(e, exit_code, 73, dir, "cannot be made.");
  snprintf(path, sizeof path, "%s/qwen2api.mdb", dir);
  if(!st) {
    /* LMDB shares its file between processes; we do not: whoever holds this lock is the only one. */
    m->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if(m->lock_fd < 0 || access(dir, W_OK) != 0) st = store_lmdb_refuse(e, exit_code, 73, dir, "cannot be written.");
    else if(flock(m->lock_fd, LOCK_EX | LOCK_NB) != 0)
      st = store_lmdb_refuse(e, exit_code, 69, dir, "is in use by another qwen2api. Stop that one, or set another DATA_DIR.");
  }
  struct stat file;
  if(!st && stat(path, &file) == 0)
    while(m->map < (size_t)file.st_size * 2 && m->map < STORE_MAP_MAX) m->map *= 2;
  if(!st) {
    int rc = mdb_env_create(&m->env);
    if(!rc) rc = mdb_env_set_mapsize(m->env, m->map);
    if(!rc) rc = mdb_env_open(m->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    if(!rc) rc = mdb_txn_begin(m->env, NULL, 0, &txn);
    if(!rc) rc = mdb_dbi_open(txn, NULL, 0, &m->dbi);
    if(!rc) rc = mdb_txn_commit(txn);
    else if(txn) mdb_txn_abort(txn);
    bool damaged = rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_VERSION_MISMATCH || rc == MDB_PAGE_NOTFOUND || rc == MDB_PANIC;
    if(damaged)
      st = store_lmdb_refuse(e, exit_code, 65, dir, "holds a damaged qwen2api.mdb. Restore a backup, or move the file away to start anew.");
    else if(rc) st = store_lmdb_refuse(e, exit_code, rc == ENOMEM ? 1 : 73, dir, mdb_strerror(rc));
  }
  if(!st) st = store_lmdb_format(m, dir, e, exit_code);
  if(!st) return &m->store;
  store_lmdb_close(&m->store);
  return NULL;
}
