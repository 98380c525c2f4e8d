#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { LOG_RING = 2 * 1024 * 1024, LOG_END_MS = 1000 }; /* the pages of the ring are touched when lines come */

/* A ring of bytes; positions only grow, so that `position % LOG_RING` is the place. */
struct log {
  struct log_config config;
  char *dir;
  atomic_int level;
  atomic_llong file_max_bytes;
  atomic_int files_max;
  atomic_long lost;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t more;
  char ring[LOG_RING];
  uint64_t at[LOG_LINES]; /* where line `seq` begins, at seq % LOG_LINES */
  uint64_t first, next; /* numbers of the oldest line and of the one that comes; from 1 on */
  uint64_t begin, end;  /* what the ring holds */
  uint64_t written;     /* what the writer has taken; behind begin: lines were lost */
  bool closing;
  /* The writer's own: */
  pthread_t thread;
  int file_fd;
  int64_t file_n;
};

static const char *const log_names[] = { "DEBUG", "INFO ", "WARN ", "ERROR" };

static char log_at(const struct log *l, uint64_t pos)
{
  return l->ring[pos % LOG_RING];
}

/* Room for n bytes: the oldest lines go, whole. */
static void log_make_room(struct log *l, size_t n)
{
  while(l->end + n - l->begin > LOG_RING || l->next - l->first >= LOG_LINES) {
    if(l->begin >= l->written) atomic_fetch_add(&l->lost, 1);
    l->first++;
    l->begin = l->first < l->next ? l->at[l->first % LOG_LINES] : l->end;
  }
}

static void log_put(struct log *l, const char *line, size_t n)
{
  pthread_mutex_lock(&l->lock);
  log_make_room(l, n);
  l->at[l->next++ % LOG_LINES] = l->end;
  for(size_t i = 0; i < n; i++) l->ring[(l->end + i) % LOG_RING] = line[i];
  l->end += n;
  pthread_cond_signal(&l->more);
  pthread_mutex_unlock(&l->lock);
}

static size_t log_escape(char *out, size_t cap, const char *in)
{
  static const char hex[] = "0123456789abcdef";
  size_t n = 0;
  for(; *in && n + 5 < cap; in++) {
    unsigned char c = (unsigned char)*in;
    if(c >= 0x20 && c != 0x7f) {
      out[n++] = (char)c;
    } else {
      out[n++] = '\\';
      out[n++] = 'x';
      out[n++] = hex[c >> 4];
      out[n++] = hex[c & 15];
    }
  }
  return n;
}

bool log_wants(const struct log *l, enum log_level level)
{
  return (int)level >= atomic_load_explicit(&l->level, memory_order_relaxed);
}

void log_write(struct log *l, enum log_level level, const char *module, const char *id, const char *fmt, ...)
{
  char text[LOG_LINE_MAX], line[LOG_LINE_MAX + LOG_HEAD_MAX];
  va_list ap;
  struct tm t;
  int64_t ms = now_wall_ms(l->config.now);
  time_t s = (time_t)(ms / 1000);
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  gmtime_r(&s, &t);
  int n = snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                   t.tm_hour, t.tm_min, t.tm_sec, (int)(ms % 1000), log_names[level], module);
  size_t at = n > 0 ? (size_t)n : 0;
  if(id && *id) {
    line[at++] = '[';
    at += log_escape(line + at, 140, id);
    line[at++] = ']';
    line[at++] = ' ';
  }
  at += log_escape(line + at, sizeof line - at - 1, text);
  line[at++] = '\n';
  log_put(l, line, at);
}

/* ---- the writer ---- */

static bool log_open_file(struct log *l)
{
  char path[4096];
  struct stat st;
  snprintf(path, sizeof path, "%s/app.log", l->dir);
  l->file_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
  l->file_n = l->file_fd >= 0 && fstat(l->file_fd, &st) == 0 ? st.st_size : 0;
  return l->file_fd >= 0;
}

static int log_by_name(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Keeps the newest files_max rotated files: their names sort by time. */
static void log_prune(struct log *l)
{
  char *names[2048];
  int n = 0;
  DIR *d = opendir(l->dir);
  if(!d) return;
  for(struct dirent *e; (e = readdir(d)) && n < 2048;)
    if(strncmp(e->d_name, "app_", 4) == 0 && strstr(e->d_name, ".log")) {
      names[n] = mem_strndup(e->d_name, strlen(e->d_name));
      if(names[n]) n++;
    }
  closedir(d);
  qsort(names, (size_t)n, sizeof names[0], log_by_name);
  for(int i = 0; i < n; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", l->dir, names[i]);
    if(i < n - atomic_load(&l->files_max)) unlink(path);
    mem_free(names[i]);
  }
}

static void log_rotate(struct log *l)
{
  char from[4096], to[4200];
  struct tm t;
  int64_t ms = now_wall_ms(l->config.now);
  time_t s = (time_t)(ms / 1000);
  gmtime_r(&s, &t);
  snprintf(from, sizeof from, "%s/app.log", l->dir);
  snprintf(to, sizeof to, "%s/app_%04d%02d%02dT%02d%02d%02d%03d.log", l->dir, t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
           t.tm_min, t.tm_sec, (int)(ms % 1000));
  close(l->file_fd);
  if(rename(from, to) == 0) log_prune(l);
  log_open_file(l);
}

/* Writes to a descriptor that may block, for at most wait_ms without progress. What cannot be written is given up: false. */
static bool log_out(int fd, const char *p, size_t n, int wait_ms)
{
  while(n) {
    struct pollfd pf = { fd, POLLOUT, 0 };
    if(poll(&pf, 1, wait_ms) <= 0) return false;
    ssize_t put = write(fd, p, n < 4096 ? n : 4096); /* what poll allows on a pipe */
    if(put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if(put <= 0) return false;
    p += put;
    n -= (size_t)put;
  }
  return true;
}

/* A full disk loses lines, nothing else; a file that could not be opened anew after a rotation is tried again. */
static void log_to_file(struct log *l, const char *p, size_t n)
{
  if(l->file_fd < 0 && !log_open_file(l)) return;
  ssize_t put = write(l->file_fd, p, n);
  if(put > 0) l->file_n += put;
  if(l->file_n >= atomic_load(&l->file_max_bytes)) log_rotate(l);
}

static void *log_thread(void *arg)
{
  struct log *l = arg;
  char chunk[16 * 1024];
  long told = 0;
  bool stuck = false; /* the other end reads nothing: it is not waited for, so that the file gets its lines in time */
  pthread_mutex_lock(&l->lock);
  for(;;) {
    while(l->written >= l->end && !l->closing) pthread_cond_wait(&l->more, &l->lock);
    if(l->written >= l->end) break;
    if(l->written < l->begin) l->written = l->begin;
    size_t n = 0, whole = 0;
    while(n < sizeof chunk && l->written + n < l->end) {
      chunk[n] = log_at(l, l->written + n);
      if(chunk[n++] == '\n') whole = n;
    }
    l->written += whole;
    bool closing = l->closing;
    pthread_mutex_unlock(&l->lock);
    if(l->config.fd >= 0) stuck = !log_out(l->config.fd, chunk, whole, stuck ? 0 : closing ? LOG_END_MS : 5000);
    long lost = atomic_load(&l->lost);
    if(lost > told && l->config.fd >= 0) {
      char note[80];
      int k = snprintf(note, sizeof note, "(%ld log lines lost)\n", lost - told);
      if(log_out(l->config.fd, note, (size_t)k, stuck ? 0 : 100)) told = lost;
    }
    if(l->dir) log_to_file(l, chunk, whole);
    pthread_mutex_lock(&l->lock);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

struct log *log_new(const struct log_config *c)
{
  struct log *l = mem_zalloc(sizeof *l);
  pthread_attr_t attr;
  if(!l) return NULL;
  l->config = *c;
  l->file_fd = -1;
  l->first = l->next = 1;
  atomic_init(&l->level, (int)c->level);
  log_set_files(l, c->file_max_bytes, c->files_max);
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->more, NULL);
  bool ok = true;
  if(c->dir) {
    l->dir = mem_strndup(c->dir, strlen(c->dir));
    ok = l->dir && (mkdir(l->dir, 0755) == 0 || errno == EEXIST) && log_open_file(l);
  }
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 128 * 1024);
  ok = ok && pthread_create(&l->thread, &attr, log_thread, l) == 0;
  pthread_attr_destroy(&attr);
  if(ok) return l;
  if(l->file_fd >= 0) close(l->file_fd);
  mem_free(l->dir);
  mem_free(l);
  return NULL;
}

void log_destroy(struct log *l)
{
  if(!l) return;
  pthread_mutex_lock(&l->lock);
  l->closing = true;
  pthread_cond_signal(&l->more);
  pthread_mutex_unlock(&l->lock);
  pthread_join(l->thread, NULL);
  if(l->file_fd >= 0) close(l->file_fd);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->more);
  mem_free(l->dir);
  mem_free(l);
}

void log_set_level(struct log *l, enum log_level level)
{
  atomic_store(&l->level, (int)level);
}

void log_set_files(struct log *l, int64_t file_max_bytes, int files_max)
{
  atomic_store(&l->file_max_bytes, file_max_bytes);
  atomic_store(&l->files_max, files_max);
}

long log_lost(const struct log *l)
{
  return atomic_load(&l->lost);
}

/* With the lock held. */
static void log_copy(const struct log *l, uint64_t seq, struct log_line *out)
{
  uint64_t from = l->at[seq % LOG_LINES], to = seq + 1 < l->next ? l->at[(seq + 1) % LOG_LINES] : l->end;
  out->seq = seq;
  out->n = 0;
  for(uint64_t i = from; i + 1 < to && out->n < sizeof out->text; i++) out->text[out->n++] = log_at(l, i);
}

bool log_after(struct log *l, uint64_t seq, struct log_line *out)
{
  pthread_mutex_lock(&l->lock);
  uint64_t at = seq + 1 < l->first ? l->first : seq + 1;
  bool there = seq + 1 && at < l->next;
  if(there) log_copy(l, at, out);
  pthread_mutex_unlock(&l->lock);
  return there;
}

bool log_before(struct log *l, uint64_t seq, struct log_line *out)
{
  pthread_mutex_lock(&l->lock);
  uint64_t at = seq > l->next ? l->next - 1 : seq - 1;
  bool there = seq && at >= l->first && at < l->next;
  if(there) log_copy(l, at, out);
  pthread_mutex_unlock(&l->lock);
  return there;
}

size_t log_recent(struct log *l, char *out, size_t cap)
{
  pthread_mutex_lock(&l->lock);
  uint64_t from = l->end - l->begin > cap ? l->end - cap : l->begin;
  while(from > l->begin && from < l->end && log_at(l, from - 1) != '\n') from++;
  size_t n = 0;
  for(uint64_t i = from; i < l->end; i++) out[n++] = log_at(l, i);
  pthread_mutex_unlock(&l->lock);
  return n;
}
