#include "domain/upload_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "proto/files.h"

enum { CACHE_BUCKETS = 1024, CACHE_TEXT_MAX = 4 * 1024, CACHE_NAME = 2 * UPLOAD_SIG + 4 };
#define CACHE_DAY_MS ((int64_t)24 * 3600 * 1000)
#define CACHE_LIFE_MS (30 * CACHE_DAY_MS)

struct upload_cache_entry {
  struct upload_cache_entry *next;            /* in its bucket */
  struct upload_cache_entry *newer, *older;   /* by use */
  unsigned char sig[UPLOAD_SIG];
  char account[17];
  bool refused;                        /* url is known to be no good: not read again, replaced by an upload */
  int64_t size, used_ms, touched_ms;   /* touched: when the file was marked as used */
  char *id, *mime, *name, *url;        /* into text */
  char text[];
};

struct upload_cache {
  pthread_mutex_t lock;                /* never held across file work */
  struct upload_cache_entry *buckets[CACHE_BUCKETS], *newest, *oldest;
  int n;
  char *dir;                           /* constant; NULL: memory only */
  struct log *log;
  bool told;                           /* that the folder cannot be written */
  int64_t swept_ms;
};

struct upload_cache *upload_cache_new(const char *dir, struct log *log)
{
  struct upload_cache *c = mem_zalloc(sizeof *c);
  if(!c) return NULL;
  pthread_mutex_init(&c->lock, NULL);
  c->log = log;
  if(dir) c->dir = mem_strndup(dir, strlen(dir));
  if(!dir || c->dir) return c;
  upload_cache_destroy(c);
  return NULL;
}

void upload_cache_destroy(struct upload_cache *c)
{
  if(!c) return;
  while(c->newest) {
    struct upload_cache_entry *older = c->newest->older;
    mem_free(c->newest);
    c->newest = older;
  }
  pthread_mutex_destroy(&c->lock);
  mem_free(c->dir);
  mem_free(c);
}

bool upload_cache_on_disk(const struct upload_cache *c)
{
  return c->dir != NULL;
}

void upload_cache_sign(struct str bytes, unsigned char sig[UPLOAD_SIG])
{
  enum { STEP = 3 * 1024 };
  struct crypt_sha h;
  char room[4 * 1024 + 8];
  crypt_sha_init(&h);
  for(size_t at = 0; at < bytes.n; at += STEP) {
    struct strbuf text = { room, 0, sizeof room, sizeof room, Q_OK }; /* fits: it never grows */
    codec_base64(str_sub(bytes, at, STEP), &text);
    crypt_sha_add(&h, strbuf_str(&text));
  }
  crypt_sha_out(&h, sig);
}

/* ---- memory; all with the lock held ---- */

static struct upload_cache_entry **upload_cache_bucket(struct upload_cache *c, const unsigned char *sig)
{
  return &c->buckets[(sig[0] | sig[1] << 8) % CACHE_BUCKETS];
}

static void upload_cache_unlink(struct upload_cache *c, struct upload_cache_entry *e)
{
  if(e->newer) e->newer->older = e->older;
  else c->newest = e->older;
  if(e->older) e->older->newer = e->newer;
  else c->oldest = e->newer;
}

static void upload_cache_link(struct upload_cache *c, struct upload_cache_entry *e)
{
  e->newer = NULL;
  e->older = c->newest;
  if(c->newest) c->newest->newer = e;
  else c->oldest = e;
  c->newest = e;
}

static void upload_cache_drop(struct upload_cache *c, struct upload_cache_entry *e)
{
  struct upload_cache_entry **at = upload_cache_bucket(c, e->sig);
  while(*at != e) at = &(*at)->next;
  *at = e->next;
  upload_cache_unlink(c, e);
  c->n--;
  mem_free(e);
}

static struct upload_cache_entry *upload_cache_find(struct upload_cache *c, const unsigned char *sig, const char *account)
{
  for(struct upload_cache_entry *e = *upload_cache_bucket(c, sig); e; e = e->next)
    if(memcmp(e->sig, sig, UPLOAD_SIG) == 0 && strcmp(e->account, account) == 0) return e;
  return NULL;
}

static char *upload_cache_take(char **at, const char *text)
{
  size_t n = strlen(text) + 1;
  char *to = *at;
  memcpy(to, text, n);
  *at += n;
  return to;
}

/* Without memory nothing is remembered: the next request uploads again. */
static void upload_cache_add(struct upload_cache *c, const unsigned char *sig, const struct upload_known *k, int64_t now_ms)
{
  struct upload_cache_entry *old = upload_cache_find(c, sig, k->account);
  size_t n = strlen(k->id) + strlen(k->mime) + strlen(k->name) + strlen(k->url) + 4;
  struct upload_cache_entry *e = mem_zalloc(sizeof *e + n);
  if(old) upload_cache_drop(c, old);
  if(!e) return;
  char *at = e->text;
  memcpy(e->sig, sig, UPLOAD_SIG);
  memcpy(e->account, k->account, sizeof e->account);
  e->id = upload_cache_take(&at, k->id);
  e->mime = upload_cache_take(&at, k->mime);
  e->name = upload_cache_take(&at, k->name);
  e->url = upload_cache_take(&at, k->url);
  e->size = k->size;
  e->used_ms = e->touched_ms = now_ms;
  struct upload_cache_entry **bucket = upload_cache_bucket(c, sig);
  e->next = *bucket;
  *bucket = e;
  upload_cache_link(c, e);
  c->n++;
  if(c->n > UPLOAD_CACHE_MAX) upload_cache_drop(c, c->oldest);
}

bool upload_cache_get(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], const char *account, int64_t now_ms,
                      struct upload_known *out)
{
  bool found = false;
  pthread_mutex_lock(&c->lock);
  for(int i = 0; i < 2 && !found; i++) {
    struct upload_cache_entry *e = upload_cache_find(c, sig, i ? "" : account);
    if(!e || e->refused) continue;
    if(now_ms - e->used_ms > CACHE_LIFE_MS) {
      upload_cache_drop(c, e);
      continue;
    }
    e->used_ms = now_ms;
    upload_cache_unlink(c, e);
    upload_cache_link(c, e);
    *out = (struct upload_known){ .size = e->size };
    memcpy(out->account, e->account, sizeof out->account);
    str_copy(out->id, sizeof out->id, str_z(e->id));
    str_copy(out->mime, sizeof out->mime, str_z(e->mime));
    str_copy(out->name, sizeof out->name, str_z(e->name));
    str_copy(out->url, sizeof out->url, str_z(e->url));
    found = true;
  }
  pthread_mutex_unlock(&c->lock);
  return found;
}

int upload_cache_holders(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], char (*accounts)[17], int max)
{
  int n = 0;
  pthread_mutex_lock(&c->lock);
  for(struct upload_cache_entry *e = *upload_cache_bucket(c, sig); e && n < max; e = e->next)
    if(memcmp(e->sig, sig, UPLOAD_SIG) == 0 && e->account[0] && !e->refused) memcpy(accounts[n++], e->account, 17);
  pthread_mutex_unlock(&c->lock);
  return n;
}

void upload_cache_forget(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], const char *account)
{
  pthread_mutex_lock(&c->lock);
  for(int i = 0; i < 2; i++) {
    struct upload_cache_entry *e = upload_cache_find(c, sig, i ? "" : account);
    if(e && c->dir) e->refused = true; /* its file may be read again before it is gone */
    else if(e) upload_cache_drop(c, e);
  }
  pthread_mutex_unlock(&c->lock);
}

void upload_cache_clear(struct upload_cache *c)
{
  pthread_mutex_lock(&c->lock);
  for(struct upload_cache_entry *e = c->newest, *older; e; e = older) {
    older = e->older;
    if(!e->refused) upload_cache_drop(c, e);
  }
  pthread_mutex_unlock(&c->lock);
}

int upload_cache_count(struct upload_cache *c)
{
  pthread_mutex_lock(&c->lock);
  int n = c->n;
  pthread_mutex_unlock(&c->lock);
  return n;
}

/* ---- the text of a file ---- */

static void upload_cache_value(struct strbuf *out, const char *key, const char *value)
{
  strbuf_fmt(out, ";%s=", key);
  codec_percent(str_z(value), "-_.~/", out);
}

void upload_cache_text(const struct upload_known *k, struct strbuf *out)
{
  strbuf_addz(out, k->url);
  strbuf_lit(out, "\n");
  if(!k->account[0]) return;
  strbuf_fmt(out, "account=%s", k->account);
  upload_cache_value(out, "id", k->id);
  upload_cache_value(out, "type", k->mime);
  upload_cache_value(out, "name", k->name);
  strbuf_fmt(out, ";size=%lld\n", (long long)k->size);
}

static bool upload_cache_field(struct str value, char *out, size_t cap)
{
  struct strbuf b = STRBUF(2048);
  bool ok = codec_unpercent(value, false, &b) && b.n < cap;
  for(size_t i = 0; ok && i < b.n; i++) ok = (unsigned char)b.p[i] >= ' ' && b.p[i] != 0x7f;
  str_copy(out, cap, ok ? strbuf_str(&b) : STR_NONE);
  strbuf_free(&b);
  return ok;
}

static bool upload_cache_account_ok(struct str s)
{
  for(size_t i = 0; i < s.n; i++)
    if(!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
  return s.n == 16;
}

bool upload_cache_read(struct str text, struct upload_known *out)
{
  *out = (struct upload_known){ .size = 0 };
  struct str url = str_trim(str_cut(&text, '\n')), more = str_trim(str_cut(&text, '\n')), account = STR_NONE;
  url = str_cut(&url, '?');
  if(!str_istarts(url, S("https://")) || url.n >= sizeof out->url) return false;
  for(size_t i = 0; i < url.n; i++)
    if(url.p[i] <= ' ' || url.p[i] >= 0x7f) return false;
  str_copy(out->url, sizeof out->url, url);
  str_copy(out->id, sizeof out->id, files_id_of_url(url));
  while(more.n) {
    struct str value = str_cut(&more, ';'), key = str_cut(&value, '=');
    if(str_eq(key, S("account"))) account = value;
    else if(str_eq(key, S("id"))) (void)upload_cache_field(value, out->id, sizeof out->id);
    else if(str_eq(key, S("type"))) (void)upload_cache_field(value, out->mime, sizeof out->mime);
    else if(str_eq(key, S("name"))) (void)upload_cache_field(value, out->name, sizeof out->name);
    else if(str_eq(key, S("size"))) (void)str_int(value, &out->size);
  }
  if(upload_cache_account_ok(account)) str_copy(out->account, sizeof out->account, account);
  return true;
}

/* ---- files ---- */

/* <dir>/<signature><end> */
static bool upload_cache_path(const struct upload_cache *c, const unsigned char *sig, const char *end, char *path, size_t cap)
{
  char hex[2 * UPLOAD_SIG + 1];
  codec_hex(str_of((const char *)sig, UPLOAD_SIG), hex);
  int n = snprintf(path, cap, "%s/%s%s", c->dir, hex, end);
  return n > 0 && (size_t)n < cap;
}

static bool upload_cache_read_file(const char *path, struct upload_known *k, struct stat *st)
{
  char text[CACHE_TEXT_MAX];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if(fd < 0) return false;
  ssize_t n = fstat(fd, st) == 0 && S_ISREG(st->st_mode) ? read(fd, text, sizeof text) : -1;
  close(fd);
  return n > 0 && upload_cache_read(str_of(text, (size_t)n), k);
}

static void upload_cache_touch(const char *path, int64_t now_ms)
{
  struct timespec t[2] = { { .tv_sec = now_ms / 1000 }, { .tv_sec = now_ms / 1000 } };
  (void)!utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW); /* at worst it is uploaded again in 30 days */
}

void upload_cache_load(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], int64_t now_ms)
{
  char path[4200];
  struct upload_known k;
  struct stat st;
  bool known = false, stale = false;
  if(!c->dir || !upload_cache_path(c, sig, ".txt", path, sizeof path)) return;
  pthread_mutex_lock(&c->lock);
  for(struct upload_cache_entry *e = *upload_cache_bucket(c, sig); e; e = e->next) {
    if(memcmp(e->sig, sig, UPLOAD_SIG) != 0 || e->refused) continue;
    known = true;
    if(now_ms - e->touched_ms > CACHE_DAY_MS) {
      stale = true;
      e->touched_ms = now_ms;
    }
  }
  pthread_mutex_unlock(&c->lock);
  if(known) {
    if(stale) upload_cache_touch(path, now_ms);
    return;
  }
  if(!upload_cache_read_file(path, &k, &st)) return;
  int64_t age_ms = now_ms - (int64_t)st.st_mtim.tv_sec * 1000;
  if(age_ms > CACHE_LIFE_MS) {
    (void)!unlink(path);
    return;
  }
  if(age_ms > CACHE_DAY_MS) upload_cache_touch(path, now_ms);
  pthread_mutex_lock(&c->lock);
  struct upload_cache_entry *e = upload_cache_find(c, sig, k.account);
  if(!e || !e->refused || strcmp(e->url, k.url) != 0) upload_cache_add(c, sig, &k, now_ms);
  pthread_mutex_unlock(&c->lock);
}

static void upload_cache_tell(struct upload_cache *c, const char *what, int code)
{
  pthread_mutex_lock(&c->lock);
  bool told = c->told;
  c->told = true;
  pthread_mutex_unlock(&c->lock);
  if(!told) LOG_WARN(c->log, "upload", "", "%s: %s; uploads are remembered in memory only", what, strerror(code));
}

static bool upload_cache_write_all(int fd, struct str s)
{
  while(s.n) {
    ssize_t n = write(fd, s.p, s.n);
    if(n <= 0) return false;
    s = str_sub(s, (size_t)n, s.n);
  }
  return true;
}

static void upload_cache_write(struct upload_cache *c, const unsigned char *sig, const struct upload_known *k)
{
  char path[4200], temp[4200], end[32];
  unsigned char salt[6];
  struct strbuf text = STRBUF(CACHE_TEXT_MAX);
  memcpy(end, ".", 2);
  crypt_random(salt, sizeof salt);
  codec_hex(str_of((char *)salt, sizeof salt), end + 1);
  memcpy(end + 13, ".tmp", 5);
  upload_cache_text(k, &text);
  if(!text.err && upload_cache_path(c, sig, ".txt", path, sizeof path) && upload_cache_path(c, sig, end, temp, sizeof temp)) {
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if(fd < 0 && errno == ENOENT && mkdir(c->dir, 0700) == 0) fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && upload_cache_write_all(fd, strbuf_str(&text));
    int code = errno;
    if(fd >= 0 && close(fd) != 0) ok = false, code = errno;
    if(ok && rename(temp, path) != 0) ok = false, code = errno;
    if(!ok && fd >= 0) (void)!unlink(temp);
    if(!ok) upload_cache_tell(c, "CACHE_DIR cannot be written", code);
  }
  strbuf_free(&text);
}

void upload_cache_put(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG], const struct upload_known *k, int64_t now_ms)
{
  struct upload_known own = *k;
  char *query = strchr(own.url, '?');
  if(query) *query = 0;
  pthread_mutex_lock(&c->lock);
  struct upload_cache_entry *any = upload_cache_find(c, sig, "");
  if(any) upload_cache_drop(c, any); /* the entry is replaced */
  upload_cache_add(c, sig, &own, now_ms);
  pthread_mutex_unlock(&c->lock);
  if(!c->dir) return;
  upload_cache_write(c, sig, &own);
  upload_cache_sweep(c, now_ms);
}

void upload_cache_remove(struct upload_cache *c, const unsigned char sig[UPLOAD_SIG])
{
  char path[4200];
  struct upload_known k;
  struct stat st;
  if(!c->dir || !upload_cache_path(c, sig, ".txt", path, sizeof path) || !upload_cache_read_file(path, &k, &st)) return;
  pthread_mutex_lock(&c->lock);
  struct upload_cache_entry *e = upload_cache_find(c, sig, k.account);
  bool refused = e && e->refused && strcmp(e->url, k.url) == 0;
  pthread_mutex_unlock(&c->lock);
  if(refused) (void)!unlink(path);
}

/* ---- the daily look through the folder ---- */

struct upload_cache_file { int64_t mtime_s; char name[CACHE_NAME + 1]; };

static int upload_cache_by_age(const void *a, const void *b)
{
  const struct upload_cache_file *x = a, *y = b;
  return x->mtime_s < y->mtime_s ? -1 : x->mtime_s > y->mtime_s;
}

static bool upload_cache_file_name(const char *name)
{
  size_t n = strspn(name, "0123456789abcdef");
  return n == 2 * UPLOAD_SIG && strcmp(name + n, ".txt") == 0;
}

/* A temporary file of ours that a crash left behind. */
static bool upload_cache_temp_name(const char *name)
{
  size_t n = strspn(name, "0123456789abcdef"), k = strlen(name);
  return n == 2 * UPLOAD_SIG && name[n] == '.' && k > n + 4 && strcmp(name + k - 4, ".tmp") == 0;
}

static void upload_cache_sweep_files(DIR *d, int64_t now_ms)
{
  struct strbuf list = STRBUF((size_t)UPLOAD_CACHE_FILES_MAX * 4 * sizeof(struct upload_cache_file));
  int fd = dirfd(d);
  for(struct dirent *e; (e = readdir(d));) {
    struct stat st;
    bool temp = upload_cache_temp_name(e->d_name);
    if(!temp && !upload_cache_file_name(e->d_name)) continue;
    if(fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
    int64_t age_ms = now_ms - (int64_t)st.st_mtim.tv_sec * 1000;
    if(age_ms > (temp ? CACHE_DAY_MS : CACHE_LIFE_MS)) {
      (void)!unlinkat(fd, e->d_name, 0);
    } else if(!temp) {
      struct upload_cache_file f = { .mtime_s = st.st_mtim.tv_sec };
      str_copy(f.name, sizeof f.name, str_z(e->d_name));
      strbuf_add(&list, (char *)&f, sizeof f);
    }
  }
  size_t n = list.n / sizeof(struct upload_cache_file);
  if(n > UPLOAD_CACHE_FILES_MAX) {
    struct upload_cache_file *v = (struct upload_cache_file *)(void *)list.p;
    qsort(v, n, sizeof *v, upload_cache_by_age);
    for(size_t i = 0; i + UPLOAD_CACHE_FILES_MAX < n; i++) (void)!unlinkat(fd, v[i].name, 0);
  }
  strbuf_free(&list);
}

void upload_cache_sweep(struct upload_cache *c, int64_t now_ms)
{
  if(!c->dir) return;
  pthread_mutex_lock(&c->lock);
  bool due = !c->swept_ms || now_ms - c->swept_ms > CACHE_DAY_MS;
  if(due) c->swept_ms = now_ms;
  pthread_mutex_unlock(&c->lock);
  if(!due) return;
  DIR *d = opendir(c->dir);
  if(!d) return;
  upload_cache_sweep_files(d, now_ms);
  closedir(d);
}
