/* What the doctor finds, finding by finding; health as /healthz and /readyz tell it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/build.h"
#include "domain/doctor.h"
#include "world.h"

static char dir[] = "/tmp/q2a-doctor-XXXXXX";
static int64_t wall_ms;
static int64_t the_wall(void *ctx) { (void)ctx; return wall_ms; }
static int64_t the_mono(void *ctx) { (void)ctx; return now_mono_us(&now_real); }
static const struct now clock_set = { the_mono, the_wall, NULL };

/* An upstream that refuses every connection. */
static int refuse(void *ctx, const void *sa, unsigned n)
{
  (void)ctx, (void)sa, (void)n;
  errno = ECONNREFUSED;
  return -1;
}

struct found { char text[8192]; };
static void take(void *ctx, const struct doctor_finding *f)
{
  struct found *k = ctx;
  size_t n = strlen(k->text);
  snprintf(k->text + n, sizeof k->text - n, "%s:%s ", f->level, f->id);
  CHECK(f->message[0] && (strcmp(f->level, "ok") == 0 || f->fix[0])); /* each has a remedy */
  CHECK(!strstr(f->message, "canary") && !strstr(f->fix, "canary"));
}

static bool look(char **env, struct store *store, const char *trouble, bool used, struct found *k)
{
  struct strbuf errors = STRBUF(65536), warnings = STRBUF(65536);
  struct config_input in = { .envp = env, .file = "/dev/null" };
  struct q_error e = Q_ERROR_NONE;
  struct transport t = { refuse, world_read, world_write, NULL };
  struct config *c = config_load(&in, &errors, &warnings);
  struct jobs *jobs = jobs_new(2);
  *k = (struct found){ "" };
  CHECK(c && jobs);
  if(!c || !jobs) exit(1);
  struct net *net = app_net(c, jobs, &t, &now_real, &e);
  struct doctor d = { .config = c, .net = net, .now = &clock_set, .store = store, .store_trouble = trouble, .store_used = used, .tell = take, .ctx = k };
  bool good = doctor_look(&d);
  jobs_destroy(jobs);
  net_destroy(net);
  config_unref(c);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  return good;
}

/* api 11.5: the upstream's own trouble (error:upstream) is in each row, for nothing answers here. */
static const struct { const char *what, *env[6], *want; int64_t wall_s; } rows[] = {
  { "good", { "API_KEY=sk-0123456789abcdef", "ACCOUNTS=a@b:c" }, "ok:keys ok:data_dir ok:accounts error:upstream ", 0 },
  { "sample key, open", { "API_KEY=sk-123456", "ACCOUNTS=a@b:c" }, "error:sample_key ", 0 },
  { "sample key, here alone", { "API_KEY=sk-123456", "ACCOUNTS=a@b:c", "LISTEN_ADDRESS=localhost" }, "ok:keys ", 0 },
  { "sample key, 127.0.0.2", { "API_KEY=sk-123456", "LISTEN_ADDRESS=127.0.0.2" }, "ok:keys ", 0 },
  { "short key, open", { "API_KEY=sk-012345678901234,short-canary", "ACCOUNTS=a@b:c", "LISTEN_ADDRESS=::" }, "warn:short_key ", 0 },
  { "no account", { "API_KEY=sk-0123456789abcdef" }, "error:no_usable_account ", 0 },
  { "an official key will do", { "CLI_API_KEY=canary", "CLI_BASE_URL=https://x/v1" }, "ok:accounts ", 0 },
  { "folder not to be made", { "DATA_SAVE_MODE=file", "DATA_DIR=/dev/null/x" }, "error:data_dir ", 0 },
  { "the same, by default", { "DATA_DIR=/dev/null/x" }, "warn:data_dir ", 0 },
  { "cache not to be made", { "CACHE_MODE=file", "CACHE_DIR=/dev/null/x" }, "error:cache_dir ", 0 },
  { "log not to be made", { "ENABLE_FILE_LOG=true", "LOG_DIR=/dev/null/x" }, "error:log_dir ", 0 },
  { "clock a day early", { "ACCOUNTS=a@b:c" }, "error:clock ", Q2A_BUILD_EPOCH - 86400 },
  { "proxy", { "PROXY_URL=http://user:canary@127.0.0.1:9" }, "error:proxy ", 0 },
  { "redis", { "DATA_SAVE_MODE=redis", "REDIS_URL=redis://:canary@127.0.0.1:9" }, "error:redis ", 0 },
};

static void t_findings(void)
{
  char data[100];
  snprintf(data, sizeof data, "DATA_DIR=%s/new/data", dir);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char *env[8] = { data };
    int n = 1;
    struct found k;
    t_row = rows[i].what;
    for(int j = 0; rows[i].env[j]; j++) {
      if(strncmp(rows[i].env[j], "DATA_DIR=", 9) == 0) env[0] = (char *)rows[i].env[j];
      else env[n++] = (char *)rows[i].env[j];
    }
    wall_ms = (rows[i].wall_s ? rows[i].wall_s : Q2A_BUILD_EPOCH + 86400) * (int64_t)1000;
    CHECK(!look(env, NULL, NULL, false, &k));
    if(!strstr(k.text, rows[i].want)) T_FAIL("%s: found %s", rows[i].what, k.text);
    CHECK(!strstr(k.text, "clock") == !rows[i].wall_s);
  }
  CHECK(access(data + 9, F_OK) != 0); /* looking makes nothing */
}

/* What a gateway that does not run has in its store. */
static void t_store(void)
{
  static const struct { const char *record, *want; } kinds[] = {
    { "\001{\"email\":\"a@b\",\"state\":\"active\"}", "ok:accounts " }, { "\001{\"email\":\"a@b\",\"state\":\"invalid\"}", "error:no_usable_account " },
    { "\001{\"email\":\"a@b\",\"state\":\"disabled\"}", "error:no_usable_account " }, { "\001nonsense", "error:no_usable_account " },
  };
  char data[100], *env[] = { data, NULL };
  struct found k;
  snprintf(data, sizeof data, "DATA_DIR=%s", dir);
  wall_ms = (Q2A_BUILD_EPOCH + 1) * (int64_t)1000;
  for(size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    struct store *s = store_mem_new();
    CHECK(store_put(s, S("acct/a@b"), str_z(kinds[i].record)) == Q_OK);
    (void)look(env, s, NULL, false, &k);
    if(!strstr(k.text, kinds[i].want)) T_FAIL("%s: found %s", kinds[i].record, k.text);
    store_close(s);
  }
  (void)look(env, NULL, "sealed with another key", false, &k);
  CHECK(strstr(k.text, "error:store "));
  (void)look(env, NULL, "in use", true, &k);
  CHECK(strstr(k.text, "ok:accounts ") && !strstr(k.text, "no_usable"));
}

/* The original's file stays after its import. */
static void t_plain(void)
{
  static const struct { const char *json; bool told; } files[] = {
    { "{\"accounts\":[{\"email\":\"a@b\",\"password\":\"canary\"}]}", true }, { "{\"accounts\":[{\"email\":\"a@b\",\"password\":\"\"}]}", false }, { "{\"accounts\":[]}", false }, { "{", false },
  };
  char data[100], path[120], *env[] = { data, NULL };
  struct found k;
  snprintf(data, sizeof data, "DATA_DIR=%s", dir);
  snprintf(path, sizeof path, "%s/data.json", dir);
  for(size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, files[i].json, strlen(files[i].json)) > 0 && close(fd) == 0);
    (void)look(env, NULL, NULL, false, &k);
    CHECK_INT(strstr(k.text, "warn:plain_passwords ") != NULL, files[i].told);
  }
  unlink(path);
}

/* A working directory that may not be entered ends the search for a folder as well. */
static void t_folder_out_of_reach(void)
{
  int how = -1;
  pid_t child = fork();
  if(child == 0) {
    alarm(20);
    bool out = chdir(dir) == 0 && chmod(dir, 0) == 0 && (geteuid() != 0 || setuid(65534) == 0);
    _exit(out ? doctor_writable("x") || doctor_writable("x/y") || doctor_writable("") : 2);
  }
  CHECK(child > 0 && waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 0);
  CHECK(chmod(dir, 0700) == 0);
}

static void t_folders(void)
{
  char path[200];
  CHECK(doctor_writable(dir) && doctor_writable("/tmp/not/there/yet") && doctor_writable("not-there-yet"));
  CHECK(!doctor_writable("/proc") && !doctor_writable("/proc/x/y") && !doctor_writable("/dev/null/x")); /* root may all, but not there */
  snprintf(path, sizeof path, "%s/file", dir);
  CHECK(close(open(path, O_WRONLY | O_CREAT, 0600)) == 0 && !doctor_writable(path));
  unlink(path);
  CHECK(rmdir(dir) == 0 && mkdir(dir, 0700) == 0); /* no trial file stays */
  for(size_t i = 0; i < 3; i++) CHECK(doctor_networked_type((const unsigned long[]){ 0x6969, 0xff534d42, 0x65735546 }[i])); /* NFS, CIFS, FUSE */
  CHECK(doctor_networked_type(0xffffffffff534d42ul) && !doctor_networked_type(0xef53) && !doctor_networked_type(0x01021994)); /* ext4, tmpfs */
}

/* ---- api 9.6 ---- */

static int64_t ahead_us;
static int64_t later_mono(void *ctx) { (void)ctx; return now_mono_us(&now_real) + ahead_us; }
static int64_t later_wall(void *ctx) { (void)ctx; return now_wall_ms(&now_real) + ahead_us / 1000; }
static const struct now later = { later_mono, later_wall, NULL };

static void ask(struct world *w, const char *path, const char *key)
{
  char head[300];
  int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: x\r\n%s%s%s\r\n", path, key[0] ? "Authorization: Bearer " : "", key, key[0] ? "\r\n" : "");
  world_connect(w);
  CHECK(send(w->client, head, (size_t)n, MSG_NOSIGNAL) == n);
  for(int i = 0; i < 4000 && !w->client_closed && !world_reply_done(w); i++) world_turn(w);
}

static bool says(struct world *w, const char *text)
{
  if(str_find(strbuf_str(&w->reply), str_z(text)) >= 0) return true;
  printf("not %s: %.*s\n", text, STR_F(strbuf_str(&w->reply)));
  return false;
}

static void t_healthz(void)
{
  struct world w;
  CHECK(world_begin(&w, NULL));
  w.app->now = &later;
  ask(&w, "/healthz", "");
  CHECK(says(&w, "HTTP/1.1 200 ") && says(&w, "{\"status\":\"ok\",\"version\":\"" Q2A_VERSION "\",\"uptime\":"));
  ahead_us = 4000 * 1000;
  w.app->pumps[0].started = true; /* it has a thread, which hangs */
  ask(&w, "/health", "");
  CHECK(says(&w, "HTTP/1.1 200 ") && says(&w, "\"uptime\":4"));
  ahead_us = 6000 * 1000;
  ask(&w, "/healthz", "");
  CHECK(says(&w, "HTTP/1.1 503 ") && says(&w, "{\"status\":\"stuck\",\"version\":\"" Q2A_VERSION "\",\"uptime\":6"));
  ask(&w, "/readyz", "");
  CHECK(says(&w, "HTTP/1.1 503 ") && says(&w, "\"stuck\""));
  ahead_us = 0;
  ask(&w, "/healthz", "");
  CHECK(says(&w, "HTTP/1.1 200 "));
  w.app->pumps[0].started = false;
  world_end(&w);
}

static bool down(struct store *s)
{
  (void)s;
  return false;
}

static void disable(void *ctx, struct account *a)
{
  (void)ctx;
  account_set_whole(a, ACCOUNT_DISABLED, Q_OK, "");
}

static void t_readyz(void)
{
  struct world w;
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  ask(&w, "/readyz", "");
  CHECK(says(&w, "HTTP/1.1 200 ") && says(&w, "\r\n\r\n{\"status\":\"ready\"}"));
  ask(&w, "/readyz", "sk-user-0123456789");
  CHECK(says(&w, "\r\n\r\n{\"status\":\"ready\"}"));
  ask(&w, "/readyz", "sk-world-0123456789");
  CHECK(says(&w, "\r\n\r\n{\"status\":\"ready\",\"accounts\":{\"total\":2,\"usable\":2}}"));
  struct store_ops ops = *w.app->store->ops;
  const struct store_ops *real = w.app->store->ops;
  ops.up = down;
  w.app->store->ops = &ops;
  ask(&w, "/readyz", "");
  CHECK(says(&w, "HTTP/1.1 200 ") && says(&w, "{\"status\":\"degraded\",\"reasons\":[\"redis_down\"]}"));
  w.app->store->ops = real;
  atomic_store(&w.app->draining, true);
  ask(&w, "/readyz", "");
  CHECK(says(&w, "HTTP/1.1 503 ") && says(&w, "{\"status\":\"not_ready\",\"reasons\":[\"draining\"]}"));
  world_end(&w);
  CHECK(world_begin(&w, NULL));
  pool_each(w.app->pool, disable, NULL);
  ask(&w, "/readyz", "sk-world-0123456789");
  CHECK(says(&w, "HTTP/1.1 503 ") && says(&w, "{\"status\":\"not_ready\",\"reasons\":[\"no_usable_account\"],\"accounts\":{\"total\":2,\"usable\":0}}"));
  world_end(&w);
}

static void t_begin(void)
{
  CHECK(mkdtemp(dir) != NULL);
}

T_MAIN(T(t_begin), T(t_findings), T(t_store), T(t_plain), T(t_folders), T(t_folder_out_of_reach), T(t_healthz), T(t_readyz))
