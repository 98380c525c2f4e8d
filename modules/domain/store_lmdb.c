#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/mem.h"
#include "domain/store.h"

/* Power loss. A commit writes its pages beside those in use, fdatasync()s the file, which covers its length too, and only
 * then writes the 512 bytes that name the new root, through a descriptor with O_DSYNC. So the file is whole at any moment
 * from the first commit on. What is before it is ours: a new file is made under another name and renamed when its first
 * record is on the disk, and the folder is synced, so that the name lasts as long as what was acknowledged under it. */

enum { STORE_KEY_MAX = 500, STORE_PATH = 4096, STORE_SEEN = 256 * 1024 };
#define STORE_MAP_FIRST ((size_t)16 << 20) /* address space, not memory; grows when full */
#define STORE_MAP_MAX ((size_t)1 << (sizeof(size_t) > 4 ? 36 : 30)) /* of 32 bits of addresses a quarter */

struct store_lmdb {
  struct store store;
  pthread_rwlock_t lock; /* written only while the map changes, when no transaction may run */
  pthread_mutex_t counting;
  MDB_env *env;          /* NULL only while it could not be opened again */
  MDB_dbi dbi;
  MDB_txn *all;          /* an upgrade is under way: everything happens in this one */
  int lock_fd;
  size_t map;
  atomic_int failed;     /* what the last commit that failed got */
  char path[STORE_PATH];
};

static MDB_val store_lmdb_val(struct str s)
{
  return (MDB_val){ s.n, (void *)s.p };
}

static struct str store_lmdb_str(MDB_val v)
{
  return str_of(v.mv_data, v.mv_size);
}

/* ---- transactions ---- */

static int store_lmdb_begin(struct store_lmdb *m, unsigned flags, MDB_txn **txn)
{
  *txn = m->all;
  if(m->all) return 0;
  return m->env ? mdb_txn_begin(m->env, NULL, flags, txn) : MDB_PANIC;
}

static void store_lmdb_drop(struct store_lmdb *m, MDB_txn *txn)
{
  if(txn && txn != m->all) mdb_txn_abort(txn);
}

static enum q_status store_lmdb_get(struct store *s, struct str key, struct strbuf *value)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  MDB_txn *txn = NULL;
  MDB_val k = store_lmdb_val(key), v;
  if(fault_hit()) return Q_STORE;
  pthread_rwlock_rdlock(&m->lock);
  int rc = store_lmdb_begin(m, MDB_RDONLY, &txn);
  if(!rc) rc = mdb_get(txn, m->dbi, &k, &v);
  if(!rc) strbuf_adds(value, store_lmdb_str(v)); /* copied before the transaction ends */
  store_lmdb_drop(m, txn);
  pthread_rwlock_unlock(&m->lock);
  return rc == MDB_NOTFOUND ? Q_NOT_FOUND : rc ? Q_STORE : value->err;
}

/* What a long scan has read, as at the start, need not stay mapped: the system has it anyway. From and to lie in the map. */
static void store_lmdb_let_go(const char *from, const char *to)
{
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)from & ~(page - 1), end = ((uintptr_t)to + page - 1) & ~(page - 1);
  (void)!madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static enum q_status store_lmdb_scan(struct store *s, struct str prefix, bool (*fn)(void *, struct str, struct str), void *ctx)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  MDB_txn *txn = NULL;
  MDB_cursor *cursor = NULL;
  MDB_val k = store_lmdb_val(prefix), v;
  if(fault_hit()) return Q_STORE;
  pthread_rwlock_rdlock(&m->lock);
  int rc = store_lmdb_begin(m, MDB_RDONLY, &txn);
  if(!rc) rc = mdb_cursor_open(txn, m->dbi, &cursor);
  if(!rc) rc = mdb_cursor_get(cursor, &k, &v, prefix.n ? MDB_SET_RANGE : MDB_FIRST);
  const char *from = NULL, *to = NULL;
  size_t seen = 0;
  while(!rc && str_starts(store_lmdb_str(k), prefix)) {
    const char *at = v.mv_data;
    seen += v.mv_size;
    if(!from || at < from) from = at;
    if(!to || at + v.mv_size > to) to = at + v.mv_size;
    if(!fn(ctx, store_lmdb_str(k), store_lmdb_str(v))) break;
    rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
  }
  if(cursor) mdb_cursor_close(cursor);
  if(seen > STORE_SEEN && !m->all) store_lmdb_let_go(from, to);
  store_lmdb_drop(m, txn);
  pthread_rwlock_unlock(&m->lock);
  return rc && rc != MDB_NOTFOUND ? Q_STORE : Q_OK;
}

static int store_lmdb_try(struct store_lmdb *m, const struct store_op *ops, int n)
{
  MDB_txn *txn;
  int rc = store_lmdb_begin(m, 0, &txn);
  if(rc) return rc;
  for(int i = 0; i < n && !rc; i++) {
    MDB_val k = store_lmdb_val(ops[i].key), v = store_lmdb_val(ops[i].value);
    if(ops[i].key.n > STORE_KEY_MAX) rc = MDB_BAD_VALSIZE;
    else if(ops[i].del) rc = mdb_del(txn, m->dbi, &k, NULL);
    else rc = mdb_put(txn, m->dbi, &k, &v, 0);
    if(ops[i].del && rc == MDB_NOTFOUND) rc = 0;
  }
  if(!rc && !m->all) return mdb_txn_commit(txn);
  store_lmdb_drop(m, txn);
  return rc;
}

/* ---- the environment ---- */

static int store_lmdb_env(struct store_lmdb *m, const char *path)
{
  MDB_txn *txn = NULL;
  struct stat file;
  if(stat(path, &file) == 0)
    while(m->map < (size_t)file.st_size * 2 && m->map < STORE_MAP_MAX) m->map *= 2;
  int rc = mdb_env_create(&m->env);
  if(!rc) rc = mdb_env_set_mapsize(m->env, m->map);
  if(!rc) rc = mdb_env_open(m->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
  if(!rc) rc = mdb_txn_begin(m->env, NULL, 0, &txn);
  if(!rc) rc = mdb_dbi_open(txn, NULL, 0, &m->dbi);
  if(!rc) rc = mdb_txn_commit(txn);
  else if(txn) mdb_txn_abort(txn);
  if(rc && m->env) {
    mdb_env_close(m->env);
    m->env = NULL;
  }
  return rc;
}

/* With the lock written: a larger map, or, after a failed write of a root, which LMDB does not go on from, all anew. */
static bool store_lmdb_mend(struct store_lmdb *m, int rc, size_t map)
{
  bool ok = false;
  pthread_rwlock_wrlock(&m->lock);
  if(rc == MDB_MAP_FULL) {
    if(m->map == map && m->env && mdb_env_set_mapsize(m->env, map * 2) == 0) m->map = map * 2;
    ok = m->map > map;
  } else {
    if(m->env) mdb_env_close(m->env);
    m->env = NULL;
    ok = store_lmdb_env(m, m->path) == 0;
  }
  pthread_rwlock_unlock(&m->lock);
  return ok;
}

static bool store_lmdb_stuck(struct store_lmdb *m)
{
  MDB_txn *txn = NULL;
  int rc = store_lmdb_begin(m, MDB_RDONLY, &txn);
  store_lmdb_drop(m, txn);
  return rc == MDB_PANIC;
}

static enum q_status store_lmdb_commit(struct store *s, const struct store_op *ops, int n)
{
  struct store_lmdb *m = (struct store_lmdb *)s;
  if(fault_hit()) return Q_STORE;
  for(bool mended = false;; mended = true) {
    pthread_rwlock_rdlock(&m->lock);
    size_t map = m->map;
    int rc = store_lmdb_try(m, ops, n);
    bool stuck = rc && rc != MDB_MAP_FULL && store_lmdb_stuck(m);
    pthread_rwlock_unlock(&m->lock);
    if(!rc) return Q_OK;
    if(rc != MDB_PANIC) atomic_store(&m->failed, rc);
    if(m->all || (mended && rc == MDB_PANIC) || (rc == MDB_MAP_FULL && map >= STORE_MAP_MAX)) return Q_STORE;
    bool again = rc == MDB_MAP_FULL || rc == MDB_PANIC;
    if((again || stuck) && !store_lmdb_mend(m, stuck ? MDB_PANIC : rc, map)) return Q_STORE;
    if(!again) return Q_STORE;
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

static const char *store_lmdb_trouble(struct store *s)
{
  switch(atomic_load(&((struct store_lmdb *)s)->failed)) {
  case ENOSPC: case EDQUOT: case EFBIG: case MDB_MAP_FULL:
    return "The disk of DATA_DIR is full: nothing was changed. Make room there and repeat the request; no restart is needed.";
  case EROFS: case EACCES: case EPERM: return "DATA_DIR can no longer be written: nothing was changed. Check its file system and owner.";
  case EIO: return "The disk of DATA_DIR reports an error: nothing was changed. Check the disk.";
  case MDB_BAD_VALSIZE: return "A name is too long for the store: nothing was changed.";
  default: return "The store in DATA_DIR did not take the write: nothing was changed.";
  }
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

/* ---- opening ---- */

struct store_lmdb_door { const char *dir; const store_step *steps; int format; struct q_error *e; int *exit_code; };

static enum q_status store_lmdb_refuse(const struct store_lmdb_door *d, int code, const char *why)
{
  *d->exit_code = code;
  return status_fail(d->e, Q_STORE, "DATA_DIR", "The data directory %.200s %s", d->dir, why);
}

static enum q_status store_lmdb_damaged(const struct store_lmdb_door *d)
{
  return store_lmdb_refuse(d, EXIT_DATA, "holds a damaged qwen2api.mdb. Restore a backup, or move the file away to start anew.");
}

static enum q_status store_lmdb_env_trouble(const struct store_lmdb_door *d, int rc)
{
  bool damaged = rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_VERSION_MISMATCH || rc == MDB_PAGE_NOTFOUND || rc == MDB_PANIC;
  if(damaged) return store_lmdb_damaged(d);
  if(rc == ENOSPC || rc == EDQUOT || rc == EFBIG) return store_lmdb_refuse(d, EXIT_CREATE, "cannot be written: its disk is full. Make room there.");
  return store_lmdb_refuse(d, rc == ENOMEM ? EXIT_FATAL : EXIT_CREATE, mdb_strerror(rc));
}

static bool store_lmdb_sync(const char *path)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if(fd >= 0) close(fd);
  return ok;
}

static enum q_status store_lmdb_put_format(struct store_lmdb *m, int format)
{
  char text[16];
  snprintf(text, sizeof text, "%d", format);
  return store_put(&m->store, S("meta/format"), str_z(text));
}

/* A new file appears under its name when its first record is on the disk: a crash leaves either none or a whole one. */
static enum q_status store_lmdb_make(struct store_lmdb *m, const struct store_lmdb_door *d)
{
  char part[STORE_PATH + 16], lock[STORE_PATH + 32];
  snprintf(part, sizeof part, "%s.new", m->path);
  snprintf(lock, sizeof lock, "%s-lock", part);
  unlink(part);
  unlink(lock);
  int rc = store_lmdb_env(m, part);
  if(!rc && store_lmdb_put_format(m, d->format)) rc = atomic_load(&m->failed) ? atomic_load(&m->failed) : EIO;
  if(m->env) mdb_env_close(m->env);
  m->env = NULL;
  if(!rc && (!store_lmdb_sync(part) || rename(part, m->path) != 0)) rc = errno ? errno : EIO;
  if(rc) unlink(part);
  unlink(lock);
  return rc ? store_lmdb_env_trouble(d, rc) : Q_OK;
}

static enum q_status store_lmdb_backup(struct store_lmdb *m, const struct store_lmdb_door *d, int format)
{
  char part[STORE_PATH + 32], final[STORE_PATH + 32];
  snprintf(part, sizeof part, "%s.v%d.part", m->path, format);
  snprintf(final, sizeof final, "%s.v%d.bak", m->path, format);
  unlink(part);
  bool ok = mdb_env_copy(m->env, part) == 0 && chmod(part, 0600) == 0 && store_lmdb_sync(part) && rename(part, final) == 0 && fsync(m->lock_fd) == 0;
  if(ok) return Q_OK;
  unlink(part);
  return store_lmdb_refuse(d, EXIT_CREATE, "is of an older version, and no backup of it could be written. Make room there.");
}

/* Backup, then all steps and the new number in one transaction; a full map means: once more, with a larger one. */
static enum q_status store_lmdb_upgrade(struct store_lmdb *m, const struct store_lmdb_door *d, int format)
{
  enum q_status st = store_lmdb_backup(m, d, format);
  if(st) return st;
  for(;;) {
    atomic_store(&m->failed, 0);
    int rc = mdb_txn_begin(m->env, NULL, 0, &m->all);
    if(rc) m->all = NULL;
    for(int i = format; !rc && i < d->format; i++)
      if(d->steps[i - 1](&m->store) || store_lmdb_put_format(m, i + 1)) rc = atomic_load(&m->failed) ? atomic_load(&m->failed) : EINVAL;
    MDB_txn *txn = m->all;
    m->all = NULL;
    if(!rc) rc = mdb_txn_commit(txn);
    else if(txn) mdb_txn_abort(txn);
    if(!rc) return Q_OK;
    if(rc != MDB_MAP_FULL || m->map >= STORE_MAP_MAX || !store_lmdb_mend(m, rc, m->map)) break;
  }
  return store_lmdb_refuse(d, EXIT_CREATE, "is of an older version and could not be upgraded; it is unchanged. Make room there, or use the older version.");
}

/* The format's number is a record of its own. */
static enum q_status store_lmdb_format(struct store_lmdb *m, const struct store_lmdb_door *d)
{
  struct strbuf v = STRBUF(64);
  int64_t format = 0;
  enum q_status st = store_lmdb_get(&m->store, S("meta/format"), &v);
  if(st == Q_NOT_FOUND) { /* made by a version that ended before its first record */
    st = store_lmdb_put_format(m, d->format);
    if(st) st = store_lmdb_refuse(d, EXIT_CREATE, "cannot be written.");
  } else if(st || !str_int(strbuf_str(&v), &format) || format < 1) {
    st = store_lmdb_damaged(d);
  } else if(format > d->format) {
    st = store_lmdb_refuse(d, EXIT_DATA, "was written by a newer version of qwen2api. Use that version.");
  } else if(format < d->format) {
    st = store_lmdb_upgrade(m, d, (int)format);
  }
  strbuf_free(&v);
  return st;
}

/* LMDB shares its file between processes; we do not: whoever holds this lock is the only one. */
static enum q_status store_lmdb_enter(struct store_lmdb *m, const struct store_lmdb_door *d)
{
  char above[STORE_PATH];
  bool made = mkdir(d->dir, 0700) == 0;
  if(!made && errno != EEXIST) return store_lmdb_refuse(d, EXIT_CREATE, "cannot be made.");
  snprintf(above, sizeof above, "%s/..", d->dir);
  if(made) store_lmdb_sync(above);
  m->lock_fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if(m->lock_fd < 0 || access(d->dir, W_OK) != 0) return store_lmdb_refuse(d, EXIT_CREATE, "cannot be written.");
  if(flock(m->lock_fd, LOCK_EX | LOCK_NB) != 0)
    return store_lmdb_refuse(d, EXIT_TAKEN, "is in use by another qwen2api. Stop that one, or set another DATA_DIR.");
  return Q_OK;
}

struct store *store_lmdb_open_steps(const char *dir, const store_step *steps, int n, struct q_error *e, int *exit_code)
{
  static const struct store_ops ops = { "file", true, store_lmdb_get, store_lmdb_scan, store_lmdb_commit, store_lmdb_close,
                                        .incr = store_lmdb_incr, .trouble = store_lmdb_trouble };
  const struct store_lmdb_door d = { dir, steps, n + 1, e, exit_code };
  struct store_lmdb *m = mem_zalloc(sizeof *m);
  struct stat file;
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
  enum q_status st = store_lmdb_enter(m, &d);
  snprintf(m->path, sizeof m->path, "%.4000s/qwen2api.mdb", dir);
  if(!st && (stat(m->path, &file) != 0 || file.st_size == 0)) st = store_lmdb_make(m, &d);
  if(!st) {
    int rc = store_lmdb_env(m, m->path);
    if(rc) st = store_lmdb_env_trouble(&d, rc);
  }
  if(!st) st = store_lmdb_format(m, &d);
  if(!st && fsync(m->lock_fd) != 0) st = store_lmdb_refuse(&d, EXIT_CREATE, "cannot be synced to its disk.");
  if(!st) return &m->store;
  store_lmdb_close(&m->store);
  return NULL;
}

struct store *store_lmdb_open(const char *dir, struct q_error *e, int *exit_code)
{
  return store_lmdb_open_steps(dir, NULL, 0, e, exit_code); /* format 1: no steps yet */
}
