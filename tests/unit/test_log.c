/* The log: its line, its bound, a blocked reader, rotation. */
#include "base/log.h"

#include <dirent.h>
#include <signal.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

static int64_t fixed(void *ctx)
{
  (void)ctx;
  return 1795513614123;
}
static int64_t ticking(void *ctx)
{
  return 1795513614123 + atomic_fetch_add((atomic_int *)ctx, 1);
}
static const struct now at_noon = { fixed, fixed, NULL };

static void t_line(void)
{
  struct log_config c = { .now = &at_noon, .level = LOG_LEVEL_INFO, .fd = -1 };
  struct log *l = log_new(&c);
  char out[4096];
  LOG_INFO(l, "chat", "req_1", "hello %d", 5);
  LOG_DEBUG(l, "chat", "", "not wanted");
  LOG_WARN(l, "x", "", "forged\n2026 ERROR line\x1b[0m");
  log_set_level(l, LOG_LEVEL_ERROR);
  LOG_WARN(l, "x", "", "not wanted either");
  LOG_INFO((struct log *)NULL, "x", "", "no log");
  size_t n = log_recent(l, out, sizeof out);
  CHECK_STR(str_of(out, n), S("2026-11-24T09:46:54.123Z INFO  chat [req_1] hello 5\n2026-11-24T09:46:54.123Z WARN  x forged\\x0a2026 ERROR line\\x1b[0m\n"));
  log_destroy(l);
}

static void t_blocked_reader(void)
{
  int fds[2];
  char big[1500], out[300000];
  signal(SIGPIPE, SIG_IGN); /* as main does */
  CHECK(pipe(fds) == 0);
  struct log_config c = { .now = &at_noon, .level = LOG_LEVEL_DEBUG, .fd = fds[1] };
  struct log *l = log_new(&c);
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  for(int i = 0; i < 2000; i++) LOG_INFO(l, "m", "", "%d %s", i, big); /* nobody reads: nobody waits */
  CHECK(log_lost(l) > 0);
  size_t n = log_recent(l, out, sizeof out);
  CHECK(n > 100000 && str_find(str_of(out, n), S(" 1999 xxx")) > 0); /* the newest are kept */
  CHECK(str_starts(str_of(out, n), S("2026-"))); /* whole lines */
  close(fds[0]);
  log_destroy(l);
  close(fds[1]);
}

static void t_rotation(void)
{
  char dir[] = "/tmp/q2a-log-XXXXXX", path[300];
  atomic_int tick = 0;
  int files = 0;
  struct now clock = { fixed, ticking, &tick };
  CHECK(mkdtemp(dir) != NULL);
  struct log_config c = { .now = &clock, .level = LOG_LEVEL_INFO, .fd = -1, .dir = dir, .file_max_bytes = 2000, .files_max = 3 };
  struct log *l = log_new(&c);
  for(int i = 0; i < 400; i++) {
    LOG_INFO(l, "m", "", "line %d", i);
    if(i % 20 == 0) usleep(2000); /* the writer takes what is there in one piece */
  }
  log_destroy(l);
  DIR *d = opendir(dir);
  for(struct dirent *e; (e = readdir(d));)
    if(e->d_name[0] != '.') {
      files++;
      CHECK(strncmp(e->d_name, "app", 3) == 0);
      snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
      unlink(path);
    }
  closedir(d);
  rmdir(dir);
  CHECK(files >= 2 && files <= 4); /* app.log and at most three old ones */
  c.dir = "/proc/nowhere";
  CHECK(log_new(&c) == NULL);
}

/* issue 2, 4: neither a reader that does not read nor a full disk costs a line of the other, or anybody's time. */
static void t_blocked_reader_and_file(void)
{
  char dir[] = "/tmp/q2a-log-XXXXXX", path[300];
  int fds[2];
  struct stat st = { .st_size = 0 };
  CHECK(mkdtemp(dir) != NULL && pipe(fds) == 0);
  snprintf(path, sizeof path, "%s/app.log", dir);
  struct log_config c = { .now = &at_noon, .level = LOG_LEVEL_INFO, .fd = fds[1], .dir = dir, .file_max_bytes = 1 << 30, .files_max = 3 };
  struct log *l = log_new(&c);
  CHECK(l != NULL);
  if(!l) return;
  for(int i = 0; i < 1000; i++) LOG_INFO(l, "m", "", "%d %0200d", i, i); /* 240 KB: more than the pipe holds, less than the ring */
  for(int i = 0; i < 1200 && (stat(path, &st) != 0 || st.st_size < 200 * 1000); i++) usleep(10 * 1000);
  CHECK(st.st_size >= 200 * 1000); /* one pause for the reader, not one for each piece */
  CHECK_INT(log_lost(l), 0);
  close(fds[0]);
  log_destroy(l);
  close(fds[1]);
  unlink(path);
  rmdir(dir);
}

static void t_full_disk(void)
{
  char dir[] = "/tmp/q2a-log-XXXXXX", path[300], out[4096];
  int fds[2];
  CHECK(mkdtemp(dir) != NULL && pipe(fds) == 0);
  snprintf(path, sizeof path, "%s/app.log", dir);
  CHECK(symlink("/dev/full", path) == 0); /* every write to it fails with ENOSPC */
  struct log_config c = { .now = &at_noon, .level = LOG_LEVEL_INFO, .fd = fds[1], .dir = dir, .file_max_bytes = 2000, .files_max = 3 };
  struct log *l = log_new(&c);
  CHECK(l != NULL);
  if(!l) return;
  for(int i = 0; i < 40; i++) {
    LOG_INFO(l, "m", "", "line %d", i);
    ssize_t n = read(fds[0], out, sizeof out); /* it comes out of the other way at once */
    CHECK(n > 0 && str_find(str_of(out, (size_t)n), S("line ")) > 0);
  }
  CHECK_INT(log_lost(l), 0);
  log_destroy(l);
  close(fds[0]);
  close(fds[1]);
  unlink(path);
  CHECK(rmdir(dir) == 0); /* nothing else was left there */
}

static void *shout(void *arg)
{
  for(int i = 0; i < 500; i++) LOG_INFO((struct log *)arg, "m", "", "%d", i);
  return NULL;
}

static void t_threads(void)
{
  struct log_config c = { .now = &at_noon, .level = LOG_LEVEL_INFO, .fd = -1 };
  struct log *l = log_new(&c);
  pthread_t t[4];
  char out[4096];
  for(int i = 0; i < 4; i++) pthread_create(&t[i], NULL, shout, l);
  for(int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  size_t n = log_recent(l, out, sizeof out);
  CHECK(n > 0 && out[n - 1] == '\n');
  log_destroy(l);
}

T_MAIN(T(t_line), T(t_blocked_reader), T(t_blocked_reader_and_file), T(t_full_disk), T(t_rotation), T(t_threads))
