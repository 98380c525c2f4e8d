#include "main/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/exit.h"
#include "domain/doctor.h"
#include "domain/memwatch.h"
#include "domain/relay.h"
#include "domain/settings.h"
#include "http/routes.h"
#include "main/listen.h"
#include "main/resume.h"
#include "net/notify.h"

struct serve {
  const struct serve_start *start;
  struct log *log;
  struct app *app;
  struct listen_set listeners;
  struct memwatch memory;
  struct notify manager;
  int signals, wanted;      /* signalfd; eventfd: somebody asked for a restart */
  bool resumed;             /* this image was executed by the one before */
  bool restart;
};

/* As many descriptors as are allowed; MAX_CONNECTIONS is lowered to what they can carry: each client may need an upstream
 * connection of its own. */
static int serve_connections(const struct config *c, struct log *log)
{
  struct rlimit r;
  if(getrlimit(RLIMIT_NOFILE, &r) != 0) return (int)c->max_connections;
  r.rlim_cur = r.rlim_max;
  setrlimit(RLIMIT_NOFILE, &r);
  int64_t possible = r.rlim_cur == RLIM_INFINITY ? INT32_MAX : ((int64_t)r.rlim_cur - 64) / 2;
  if(possible >= c->max_connections) return (int)c->max_connections;
  LOG_WARN(log, "main", "", "the limit of open files (%lld) allows %lld connections, not MAX_CONNECTIONS=%lld", (long long)r.rlim_cur,
           (long long)possible, (long long)c->max_connections);
  return (int)(possible < 16 ? 16 : possible);
}

static void serve_weak_keys(const struct config *c, struct log *log)
{
  static const char *const samples[] = { "sk-123456", "sk-456789", "sk-admin123", "sk-user456", "sk-user789" };
  if(listen_is_loopback(c->listen_address)) return;
  for(int i = 0; i < c->api_key.n; i++) {
    bool sample = false;
    for(size_t k = 0; k < sizeof samples / sizeof samples[0]; k++) sample |= strcmp(c->api_key.v[i], samples[k]) == 0;
    if(sample || strlen(c->api_key.v[i]) < 16)
      LOG_WARN(log, "main", "", "key %d of API_KEY is %s, and this address is open to others", i + 1,
               sample ? "a published sample" : "shorter than 16 characters");
  }
}

static void serve_show_key(struct app *a, const struct config *c)
{
  char line[400];
  if(!a->made_key[0]) return;
  const char *host = c->listen_address[0] && strncmp(c->listen_address, "unix:", 5) ? c->listen_address : "localhost";
  int n = snprintf(line, sizeof line, "\n  Admin key (shown once): %s\n  Dashboard:              http://%s:%lld/\n\n", a->made_key, host,
                   (long long)c->service_port);
  if(write(2, line, (size_t)n) < 0) LOG_WARN(a->log, "main", "", "the admin key could not be shown; set API_KEY or use new-admin-key");
  crypt_wipe(line, sizeof line);
  crypt_wipe(a->made_key, sizeof a->made_key);
}

static struct log *serve_log(const struct config *c)
{
  struct log_config lc = { .now = &now_real, .level = (enum log_level)c->log_level, .fd = 2, .dir = c->enable_file_log ? c->log_dir : NULL,
                           .file_max_bytes = c->max_log_file_size_bytes, .files_max = (int)c->max_log_files };
  return log_new(&lc);
}

/* TZ may come from the file: days begin where it says. Before any thread runs. */
static void serve_zone(const struct config *c)
{
  if(c->tz[0]) setenv("TZ", c->tz, 1);
  tzset();
}

/* ---- while it runs ---- */

static void serve_wish(void *ctx)
{
  uint64_t one = 1;
  struct serve *s = ctx;
  if(write(s->wanted, &one, sizeof one) < 0) LOG_WARN(s->log, "main", "", "the restart could not be asked for");
}

static void serve_reload(struct serve *s)
{
  struct strbuf restart = STRBUF(16 * 1024);
  struct q_error e = Q_ERROR_NONE;
  char word[80];
  snprintf(word, sizeof word, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now_mono_us(&now_real));
  notify_send(&s->manager, word);
  if(settings_reload(s->app, &restart, &e)) LOG_ERROR(s->log, "main", "", "SIGHUP: nothing was changed: %s", e.msg);
  else LOG_INFO(s->log, "main", "", "SIGHUP: the settings were read again");
  struct str rest = strbuf_str(&restart);
  while(rest.n) {
    struct str name = str_cut(&rest, '\n');
    LOG_WARN(s->log, "main", "", "%.*s was changed, but is fixed at start", STR_F(name));
  }
  strbuf_free(&restart);
  notify_send(&s->manager, "READY=1");
}

/* true: a restart is due. */
static bool serve_memory(struct serve *s)
{
  int64_t used = memwatch_resident();
  enum memwatch_act act = memwatch_look(&s->memory, used, now_mono_ms(&now_real));
  long long mb = (long long)(used >> 20), limit = (long long)(s->memory.limit >> 20);
  if(act == MEMWATCH_SHED_WARN) LOG_WARN(s->log, "main", "", "%lld MB of PM2_MAX_MEMORY=%lld MB are in use: the caches are emptied", mb, limit);
  if(act == MEMWATCH_SHED || act == MEMWATCH_SHED_WARN) app_shed(s->app);
  if(act == MEMWATCH_TOO_MANY) LOG_WARN(s->log, "main", "", "%lld MB are above PM2_MAX_MEMORY=%lld MB, but ten restarts in ten minutes are enough", mb, limit);
  if(act == MEMWATCH_RESTART) LOG_WARN(s->log, "main", "", "%lld MB are above PM2_MAX_MEMORY=%lld MB: restarting", mb, limit);
  return act == MEMWATCH_RESTART;
}

/* Until SIGTERM or SIGINT (false), or until a restart is due. */
static bool serve_wait(struct serve *s)
{
  struct pollfd p[2] = { { s->signals, POLLIN, 0 }, { s->wanted, POLLIN, 0 } };
  struct signalfd_siginfo info;
  int64_t look = now_mono_ms(&now_real) + MEMWATCH_EVERY_MS, dog = s->manager.watchdog_ms ? now_mono_ms(&now_real) : INT64_MAX;
  for(;;) {
    int64_t now = now_mono_ms(&now_real), next = look < dog ? look : dog;
    if(poll(p, 2, next > now ? (int)(next - now) : 0) < 0 && errno != EINTR) return false;
    now = now_mono_ms(&now_real);
    if(p[0].revents && read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
      if(info.ssi_signo != SIGHUP) return false;
      serve_reload(s);
    }
    if(p[1].revents) return true;
    if(now >= look) {
      if(serve_memory(s)) return true;
      look = now + MEMWATCH_EVERY_MS;
    }
    if(now >= dog) { /* a pump that hangs is the manager's to judge */
      if(app_health(s->app).alive) notify_send(&s->manager, "WATCHDOG=1");
      dog = now + s->manager.watchdog_ms;
    }
    p[0].revents = p[1].revents = 0;
  }
}

/* ---- the end ---- */

struct serve_second { struct serve *s; atomic_bool done, stop; };

/* A second signal ends at once; the first one during a restart makes an end of it. */
static void *serve_watch(void *arg)
{
  struct serve_second *x = arg;
  struct pollfd p = { x->s->signals, POLLIN, 0 };
  struct signalfd_siginfo info;
  bool ending = !x->s->restart;
  while(!atomic_load(&x->done))
    if(poll(&p, 1, 100) > 0 && read(x->s->signals, &info, sizeof info) > 0 && info.ssi_signo != SIGHUP) {
      if(ending) _exit(1);
      ending = true;
      atomic_store(&x->stop, true);
    }
  return NULL;
}

static void serve_stop(struct serve *s)
{
  struct serve_second second = { s, false, false };
  pthread_t watcher;
  struct config *c = app_config(s->app);
  int64_t grace = c->shutdown_grace_ms;
  config_unref(c);
  notify_send(&s->manager, s->restart ? "RELOADING=1" : "STOPPING=1");
  LOG_INFO(s->log, "main", "", "%s: running answers have %lld s", s->restart ? "restarting" : "stopping", (long long)grace / 1000);
  bool watching = pthread_create(&watcher, NULL, serve_watch, &second) == 0;
  if(s->restart) app_unlisten(s->app);
  app_stop(s->app, grace, NULL);
  atomic_store(&second.done, true);
  if(watching) pthread_join(watcher, NULL);
  if(atomic_load(&second.stop)) s->restart = false;
}

/* ---- from start to end ---- */

static int serve_listen(struct serve *s, const struct config *c)
{
  struct q_error e = Q_ERROR_NONE;
  memwatch_init(&s->memory, c->pm2_max_memory_bytes);
  s->resumed = resume_take(s->start->envp, &s->listeners, &s->memory);
  enum q_status st = s->resumed ? Q_OK : listen_activated(s->start->envp, &s->listeners, &e);
  if(!st && !s->listeners.n) st = listen_open(c->listen_address, (int)c->service_port, &s->listeners, &e);
  if(st) fprintf(stderr, "qwen2api: %s\n", e.msg);
  return st ? EXIT_TAKEN : 0;
}

static void serve_begun(struct serve *s)
{
  struct app *a = s->app;
  struct config *c = app_config(a);
  LOG_INFO(s->log, "main", "", "qwen2api " Q2A_VERSION " on %s port %lld; pumps: %d threads, %d accounts, store: %s%s",
           c->listen_address[0] ? c->listen_address : "all addresses", (long long)c->service_port, a->pump_n,
           pool_count(a->pool, FEATURE_CHAT, now_wall_ms(a->now)).total, a->store->ops->name, s->resumed ? "; restarted" : "");
  relay_route_say(a);
  serve_weak_keys(c, s->log);
  serve_show_key(a, c);
  config_unref(c);
  notify_send(&s->manager, "READY=1\nSTATUS=serving");
}

/* 0, or the exit code. What else is written to makes its folder by itself, and fails by itself. */
static int serve_cache(const struct config *c)
{
  if(c->cache_mode != CACHE_FILE || doctor_writable(c->cache_dir)) return 0;
  fprintf(stderr, "qwen2api: CACHE_DIR=%s cannot be written\n", c->cache_dir);
  return EXIT_CREATE;
}

static int serve_app(struct serve *s, struct config *config)
{
  struct desk desk = { .app = NULL };
  struct app_parts parts = { .input = s->start->input, .restart = serve_wish, .restart_ctx = s };
  struct app *a = NULL;
  struct q_error e = Q_ERROR_NONE;
  int code = serve_cache(config);
  if(!code) code = serve_listen(s, config);
  struct gate_config gate = { .now = &now_real, .body_max = (size_t)config->body_limit_bytes,
                              .bodies_sum_max = (size_t)config->body_limit_bytes * 4, .max_connections = serve_connections(config, s->log),
                              .on_request = desk_request, .on_requests = desk_requests, .on_reject = desk_reject, .ctx = &desk };
  serve_zone(config);
  if(code) {
    config_unref(config);
    return code;
  }
  if(app_new(&a, config, s->log, &parts, &gate, &e, &code)) {
    fprintf(stderr, "qwen2api: %s\n", e.msg);
    return code;
  }
  s->app = a;
  enum q_status st = desk_open(&desk, (int)a->config->desk_threads, s->log);
  desk.app = a;
  for(int i = 0; i < a->pump_n && !st; i++)
    for(int k = 0; k < s->listeners.n && !st; k++) st = gate_listen(a->pumps[i].gate, s->listeners.fd[k]);
  if(!st) st = app_start(a);
  if(!st) {
    serve_begun(s);
    s->restart = serve_wait(s);
    serve_stop(s);
  } else {
    fprintf(stderr, "qwen2api: %s\n", status_row(st)->text);
    app_stop(a, 0, NULL);
  }
  desk_close(&desk);
  app_destroy(a);
  return st ? 1 : 0;
}

int serve_run(const struct serve_start *start, struct config *config)
{
  struct serve s = { .start = start, .wanted = eventfd(0, EFD_CLOEXEC) };
  sigset_t set;
  prctl(PR_SET_DUMPABLE, 0); /* no core dump with secrets in it */
  prctl(PR_SET_NAME, "qwen2api"); /* after an exec of /proc/self/exe it would be "exe" */
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the first thread: all inherit it */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a failed write, as a full disk is */
  s.signals = signalfd(-1, &set, SFD_CLOEXEC);
  notify_open(&s.manager, start->envp);
  s.log = serve_log(config);
  if(!s.log || s.signals < 0 || s.wanted < 0) {
    fprintf(stderr, "qwen2api: the log folder %s cannot be written\n", config->log_dir);
    config_unref(config);
    return EXIT_CREATE;
  }
  int code = serve_app(&s, config);
  if(s.restart && !code) {
    log_destroy(s.log);
    resume_exec(start->argv, start->envp, &s.listeners, &s.memory);
    fprintf(stderr, "qwen2api: cannot execute the binary again: %s\n", strerror(errno));
    return 1;
  }
  listen_close(&s.listeners);
  log_destroy(s.log);
  close(s.signals);
  close(s.wanted);
  return code;
}
