/* The store's file after a power loss and with a full disk. The linker leads every write, sync and rename of the process
 * through here (see WRAP in the Makefile): they are recorded with their bytes while a workload runs, and from the record the
 * file is rebuilt as a disk may have it after the power went: what was synced is there; of what was written later any part
 * may be, in any order, torn at 512 bytes, with the file's length grown or not and rubbish where a block was never written. */
#include "domain/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "t.h"

enum { SECTOR = 512 };
enum kind { EV_WRITE, EV_DIRECT /* O_DSYNC: itself on the disk when it returns */, EV_SYNC, EV_RENAME, EV_FOLDER, EV_ACK };
struct event { enum kind kind; size_t off, n; char *bytes; };

static struct {
  bool on;
  struct event *v;
  size_t n, cap;
  long fail_at, calls; /* the disk answers with fail_errno from the call of this number on, once or for ever */
  int fail_errno;
  bool fail_short, fail_ever, hit;
} disk = { .fail_at = -1 };

static char dir[64];

/* ---- between the store and the system ---- */

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t off);
ssize_t __real_writev(int fd, const struct iovec *v, int n);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t off);
ssize_t __wrap_writev(int fd, const struct iovec *v, int n);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);

static void record(enum kind kind, size_t off, const void *bytes, size_t n)
{
  if(!disk.on) return;
  if(disk.n == disk.cap) disk.v = realloc(disk.v, (disk.cap = disk.cap * 2 + 64) * sizeof *disk.v);
  struct event *e = &disk.v[disk.n++];
  *e = (struct event){ kind, off, n, n ? malloc(n) : NULL };
  if(n) memcpy(e->bytes, bytes, n);
}

static bool refused(void)
{
  long call = disk.calls++;
  bool now = disk.fail_at >= 0 && (call == disk.fail_at || (disk.fail_ever && call > disk.fail_at));
  if(now) disk.hit = true, errno = disk.fail_errno;
  return now;
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t off)
{
  if(refused()) return disk.fail_short && n > SECTOR ? __real_pwrite(fd, p, SECTOR, off) : -1;
  record(fcntl(fd, F_GETFL) & O_DSYNC ? EV_DIRECT : EV_WRITE, (size_t)off, p, n);
  return __real_pwrite(fd, p, n, off);
}

ssize_t __wrap_writev(int fd, const struct iovec *v, int n)
{
  size_t off = (size_t)lseek(fd, 0, SEEK_CUR);
  if(refused()) return disk.fail_short ? __real_pwrite(fd, v[0].iov_base, SECTOR, (off_t)off) : -1;
  for(int i = 0; i < n; i++) {
    record(EV_WRITE, off, v[i].iov_base, v[i].iov_len);
    off += v[i].iov_len;
  }
  return __real_writev(fd, v, n);
}

int __wrap_fdatasync(int fd)
{
  if(refused()) return -1;
  record(EV_SYNC, 0, NULL, 0);
  return __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
  struct stat st;
  if(refused()) return -1;
  record(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? EV_FOLDER : EV_SYNC, 0, NULL, 0);
  return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
  if(refused()) return -1;
  record(EV_RENAME, 0, NULL, 0);
  return __real_rename(from, to);
}

static void forget(void)
{
  for(size_t i = 0; i < disk.n; i++) free(disk.v[i].bytes);
  free(disk.v);
  disk.v = NULL;
  disk.n = disk.cap = 0;
}

/* ---- a folder, a workload, a model ---- */

static void clear_folder(void)
{
  static const char *const names[] = { "qwen2api.mdb", "qwen2api.mdb-lock", "qwen2api.mdb.new", "qwen2api.mdb.new-lock" };
  char path[160];
  if(!dir[0]) {
    snprintf(dir, sizeof dir, "%s/q2a-power-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(dir) != NULL);
  }
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
}

static void end_folder(void)
{
  clear_folder();
  rmdir(dir);
  dir[0] = 0;
}

static struct store *open_store(void)
{
  struct q_error e = Q_ERROR_NONE;
  int code = 0;
  struct store *s = store_lmdb_open(dir, &e, &code);
  if(!s) T_FAIL("exit %d: %s", code, e.msg);
  return s;
}

static uint64_t next(uint64_t *seed)
{
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

static bool sum_one(void *ctx, struct str key, struct str value)
{
  uint64_t *h = ctx;
  for(size_t i = 0; i <= key.n; i++) *h = (*h ^ (i < key.n ? (unsigned char)key.p[i] : 0x100u)) * 1099511628211u;
  for(size_t i = 0; i + 8 <= value.n; i += 8) {
    uint64_t w;
    memcpy(&w, value.p + i, 8);
    *h = (*h ^ w) * 1099511628211u;
  }
  *h = (*h ^ value.n) * 1099511628211u;
  return true;
}

static uint64_t sum(struct store *s)
{
  uint64_t h = 14695981039346656037u;
  CHECK_INT(s->ops->scan(s, S("k/"), sum_one, &h), Q_OK);
  return h;
}

struct work { uint64_t seed; char *room; size_t value_max; int keys; };

static enum q_status commit_some(struct work *w, struct store *s, struct store *model)
{
  struct store_op ops[8];
  char names[8][16];
  int n = 1 + (int)(next(&w->seed) % 5);
  if(w->value_max > 100000) n = 1;
  for(int i = 0; i < n; i++) {
    size_t len = next(&w->seed) % 4 ? next(&w->seed) % 300 : next(&w->seed) % w->value_max, at = next(&w->seed) % 4096;
    if(w->value_max > 100000) len = w->value_max / 2 + next(&w->seed) % (w->value_max / 2);
    snprintf(names[i], sizeof names[i], "k/%03d", (int)(next(&w->seed) % (unsigned)w->keys));
    ops[i] = (struct store_op){ str_z(names[i]), str_of(w->room + at, len), next(&w->seed) % 5 == 0 };
  }
  enum q_status st = s->ops->commit(s, ops, n);
  if(!st && model) CHECK_INT(model->ops->commit(model, ops, n), Q_OK);
  return st;
}

/* ---- power loss ---- */

struct image { char *p; size_t n, cap; };

static void image_put(struct image *m, size_t off, const char *bytes, size_t n)
{
  if(off + n > m->cap) m->p = realloc(m->p, m->cap = (off + n) * 2);
  if(off + n > m->n) {
    memset(m->p + m->n, 0, off + n - m->n);
    m->n = off + n;
  }
  if(bytes) memcpy(m->p + off, bytes, n);
}

enum how { NOTHING, ALL, RANDOM, RUBBISH, LAST_ONLY, HOWS };

/* One write that may or may not have reached the disk. */
static void image_perhaps(struct image *m, const struct event *e, enum how how, bool last, uint64_t *seed)
{
  for(size_t at = 0; at < e->n; at += SECTOR - (e->off + at) % SECTOR) {
    size_t n = SECTOR - (e->off + at) % SECTOR;
    if(n > e->n - at) n = e->n - at;
    bool kept = how == ALL || (how == LAST_ONLY && last) || ((how == RANDOM || how == RUBBISH) && next(seed) % 2);
    bool beyond = e->off + at >= m->n;
    if(kept) image_put(m, e->off + at, e->bytes + at, n);
    else if(how == RUBBISH && beyond) {
      image_put(m, e->off + at, NULL, n);
      memset(m->p + e->off + at, 0xa5, n);
    }
  }
}

struct crash { size_t at; int acked; uint64_t before, after; };

/* The power goes while event c->at is under way. */
static bool crash_once(const struct crash *c, const struct image *synced, size_t first, enum how how, bool renamed, uint64_t *seed)
{
  struct image m = { malloc(synced->n + 1), synced->n, synced->n + 1 };
  char path[160];
  if(synced->n) memcpy(m.p, synced->p, synced->n);
  size_t last = c->at;
  for(size_t i = first; i <= c->at && i < disk.n; i++) if(disk.v[i].kind == EV_WRITE || disk.v[i].kind == EV_DIRECT) last = i;
  for(size_t i = first; i <= c->at && i < disk.n; i++) {
    const struct event *e = &disk.v[i];
    if(e->kind == EV_WRITE && i < c->at) image_perhaps(&m, e, how, i == last, seed);
    if(e->kind == EV_DIRECT) image_perhaps(&m, e, i < c->at ? ALL : how, i == last, seed);
  }
  clear_folder();
  snprintf(path, sizeof path, "%s/qwen2api.mdb%s", dir, renamed ? "" : ".new");
  FILE *f = fopen(path, "w");
  CHECK(f && fwrite(m.p, 1, m.n, f) == m.n && fclose(f) == 0);
  free(m.p);
  struct store *s = open_store();
  if(!s) return false;
  uint64_t got = sum(s);
  bool ok = got == c->before || got == c->after;
  if(!ok) T_FAIL("event %zu (%d), how %d: after %d acknowledged commits something is lost or half there", c->at, disk.v[c->at].kind, how, c->acked);
  CHECK_INT(store_put(s, S("more"), S("1")), Q_OK);
  CHECK(sum(s) == got);
  store_close(s);
  return ok;
}

static int replay(const uint64_t *sums, int commits, uint64_t seed)
{
  struct image synced = { NULL, 0, 0 };
  size_t first = 0;
  int acked = 0, cases = 0;
  bool renamed = false, named = false, ok = true; /* renamed: in memory; named: on the disk */
  for(size_t at = 0; at < disk.n && ok; at++) {
    enum kind kind = disk.v[at].kind;
    struct crash c = { at, acked, sums[acked], sums[acked < commits ? acked + 1 : acked] };
    for(int how = 0; kind != EV_WRITE && how < HOWS && ok; how++) {
      bool final = named || (renamed && how % 2);
      ok = crash_once(&c, &synced, first, (enum how)how, final, &seed);
      cases++;
    }
    if(kind == EV_SYNC) {
      for(; first < at; first++) if(disk.v[first].kind <= EV_DIRECT) image_put(&synced, disk.v[first].off, disk.v[first].bytes, disk.v[first].n);
    }
    if(kind == EV_RENAME) renamed = true;
    if(kind == EV_FOLDER) named = renamed;
    if(kind == EV_ACK) acked++;
  }
  CHECK(named);
  CHECK_INT(acked, commits);
  free(synced.p);
  return cases;
}

static int lose_power(size_t value_max, int keys, int commits, uint64_t seed)
{
  struct work w = { seed, malloc(value_max + 8192), value_max, keys };
  uint64_t *sums = malloc(sizeof *sums * ((size_t)commits + 1));
  struct store *model = store_mem_new();
  for(size_t i = 0; i < value_max + 8192; i++) w.room[i] = (char)next(&w.seed);
  clear_folder();
  sums[0] = sum(model);
  disk.on = true;
  struct store *s = open_store();
  for(int i = 0; i < commits; i++) {
    CHECK_INT(commit_some(&w, s, model), Q_OK);
    record(EV_ACK, 0, NULL, 0);
    sums[i + 1] = sum(model);
  }
  disk.on = false;
  CHECK(sum(s) == sums[commits]);
  store_close(s);
  size_t grown = 0;
  for(size_t i = 0; i < disk.n; i++) if(disk.v[i].off + disk.v[i].n > grown) grown = disk.v[i].off + disk.v[i].n;
  int cases = replay(sums, commits, seed + 1);
  printf("%d commits, a file of %zu KiB, %zu events, %d power losses\n", commits, grown >> 10, disk.n, cases);
  CHECK(cases > commits * 3);
  if(value_max > 100000) CHECK(grown > (20u << 20)); /* the map grew, too */
  forget();
  store_close(model);
  free(w.room);
  free(sums);
  end_folder();
  return cases;
}

static void t_power_loss_keeps_what_was_acknowledged(void)
{
  for(int i = 0; i < (t_torture() ? 8 : 1); i++) lose_power(20000, 60, 80, 1000 + (uint64_t)i);
}

static void t_power_loss_while_the_file_grows(void)
{
  for(int i = 0; i < (t_torture() ? 2 : 1); i++) lose_power(3000000, 100, 18, 77 + (uint64_t)i);
}

/* ---- a disk that refuses ---- */

static void refuse(size_t value_max, int error, bool short_write, bool ever)
{
  struct work w = { 5, calloc(1, value_max + 8192), value_max, 40 };
  struct store *model = store_mem_new();
  clear_folder();
  struct store *s = open_store();
  int failed = 0;
  for(int i = 0; i < 20; i++) CHECK_INT(commit_some(&w, s, model), Q_OK);
  for(long at = 0; at < 60 && s; at++) {
    uint64_t before = sum(model);
    disk.fail_at = at;
    disk.fail_errno = error;
    disk.fail_short = short_write;
    disk.fail_ever = ever;
    disk.calls = 0;
    disk.hit = false;
    enum q_status st = commit_some(&w, s, model);
    disk.fail_at = -1;
    if(!disk.hit) {
      CHECK_INT(st, Q_OK);
      break;
    }
    failed++;
    CHECK_INT(st, Q_STORE);
    CHECK(sum(s) == before); /* read on the spot */
    if(error == ENOSPC && !short_write) CHECK(strstr(store_trouble(s), "disk of DATA_DIR is full") != NULL);
    CHECK_INT(commit_some(&w, s, model), Q_OK); /* there is room again */
    CHECK(sum(s) == sum(model));
    store_close(s);
    s = open_store();
    if(s) CHECK(sum(s) == sum(model));
  }
  CHECK(failed >= 3); /* pages, sync, root */
  store_close(s);
  store_close(model);
  free(w.room);
  end_folder();
}

static void t_full_disk_loses_nothing_and_works_again(void)
{
  for(int ever = 0; ever < 2; ever++) {
    refuse(20000, ENOSPC, false, ever);
    refuse(20000, ENOSPC, true, ever);
    refuse(20000, EIO, false, ever);
    refuse(1000000, ENOSPC, false, ever);
  }
}

static void t_full_disk_at_the_first_start(void)
{
  struct q_error e = Q_ERROR_NONE;
  int code = 0, failed = 0;
  for(long at = 0; at < 30; at++) {
    clear_folder();
    disk.fail_at = at;
    disk.fail_errno = ENOSPC;
    disk.fail_ever = true;
    disk.fail_short = disk.hit = false;
    disk.calls = 0;
    struct store *s = store_lmdb_open(dir, &e, &code);
    disk.fail_at = -1;
    if(!disk.hit) {
      CHECK(s != NULL);
      store_close(s);
      break;
    }
    failed++;
    CHECK(s == NULL);
    CHECK_INT(code, 73);
    s = open_store(); /* nothing is in the way of the next start */
    if(s) CHECK_INT(store_put(s, S("k/1"), S("x")), Q_OK);
    store_close(s);
  }
  CHECK(failed >= 5);
  end_folder();
}

T_MAIN(T(t_power_loss_keeps_what_was_acknowledged), T(t_power_loss_while_the_file_grows), T(t_full_disk_loses_nothing_and_works_again),
       T(t_full_disk_at_the_first_start))
