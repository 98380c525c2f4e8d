/* fakeup.h - a whole app with its threads against the fake upstream over TLS, without a client: for tests of what blocks and
 * waits. The fake runs as a process of its own; the tests look into it and steer it through its control routes. */
#ifndef Q2A_TESTS_FAKEUP_H
#define Q2A_TESTS_FAKEUP_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "domain/app.h"
#include "proto/json.h"
#include "t.h"

#define FAKEUP_TOKEN "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImxhc3RfcGFzc3dvcmRfY2hhbmdlIjoxNzYwMDAwMDAwLCJleHAiOjQxMDI0NDQ4MDB9.W9t7CCW2z8DA2DR972SccfQ2mAT283Id1XCrmRoT36A"

static pid_t fakeup_pid;
static int fakeup_port, fakeup_plain;
static char fakeup_dir[64];
static _Atomic int64_t fakeup_speed = 1; /* how much faster the app's monotonic clock runs: pauses and deadlines of seconds */

/* A clock that may change its pace and never jumps. */
static pthread_mutex_t fakeup_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t fakeup_real_us, fakeup_us;
static int64_t fakeup_mono(void *ctx)
{
  (void)ctx;
  pthread_mutex_lock(&fakeup_lock);
  int64_t now = now_mono_us(&now_real);
  if(fakeup_real_us) fakeup_us += (now - fakeup_real_us) * atomic_load(&fakeup_speed);
  else fakeup_us = now;
  fakeup_real_us = now;
  int64_t us = fakeup_us;
  pthread_mutex_unlock(&fakeup_lock);
  return us;
}
static int64_t fakeup_wall(void *ctx)
{
  (void)ctx;
  return now_wall_ms(&now_real);
}
static const struct now fakeup_now = { fakeup_mono, fakeup_wall, NULL };

static void fakeup_nap(int ms)
{
  struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
  nanosleep(&t, NULL);
}

static void fakeup_end(void)
{
  char cmd[100];
  if(fakeup_pid > 0) {
    kill(fakeup_pid, SIGKILL);
    waitpid(fakeup_pid, NULL, 0);
  }
  fakeup_pid = 0;
  snprintf(cmd, sizeof cmd, "rm -rf %s", fakeup_dir);
  if(fakeup_dir[0] && system(cmd) != 0) printf("%s is left\n", fakeup_dir);
}

static void fakeup_begin(void)
{
  char file[100];
  if(fakeup_pid) return;
  strcpy(fakeup_dir, "/tmp/q2a-up-XXXXXX");
  if(!mkdtemp(fakeup_dir) || system("tools/mkcerts.sh build/test/certs") != 0) exit(99);
  snprintf(file, sizeof file, "%s/ports", fakeup_dir);
  fakeup_pid = fork();
  if(fakeup_pid == 0) { /* it holds no pipe of a test that crashes, and ends with it */
    int null = open("/dev/null", O_RDWR);
    for(int fd = 0; fd < 3; fd++) dup2(null, fd);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl("build/fakeqwen", "fakeqwen", "--port", "0", "--plain-port", "0", "--cert", "build/test/certs/fake.pem", "--key",
          "build/test/certs/fake.key", "--port-file", file, "--accounts", "30000", (char *)NULL);
    _exit(99);
  }
  atexit(fakeup_end);
  for(int i = 0; i < 500; i++) {
    FILE *f = fopen(file, "r");
    int n = f ? fscanf(f, "%d %d", &fakeup_port, &fakeup_plain) : 0;
    if(f) fclose(f);
    if(n == 2) return;
    fakeup_nap(20);
  }
  printf("build/fakeqwen does not start\n");
  exit(99);
}

static void fakeup_no_request(void *ctx, struct client *c)
{
  (void)ctx, (void)c;
}
static void fakeup_no_reject(void *ctx, const struct q_error *e, struct strbuf *out)
{
  (void)ctx, (void)e, (void)out;
}

static struct gate_config fakeup_gate = { .on_request = fakeup_no_request, .on_reject = fakeup_no_reject }; /* who serves clients, if a test has any */

static struct log *fakeup_log; /* what its apps write, if a test has any */

/* An app whose pumps run. more: further NAME=value, NULL at the end. */
static struct app *fakeup_app(char **more)
{
  static const char *const hosts[] = { "chat.qwen.ai", "auth.qwen.ai", "cdn.qwenlm.ai", "qwen-webui-prod.oss-accelerate.aliyuncs.com",
                                       "qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com", "img.example.test", "evil.example.test" };
  char map[1024] = "UPSTREAM_RESOLVE=";
  char *env[32] = { "API_KEY=sk-fakeup-0123456789", "DATA_SAVE_MODE=none", "PM2_INSTANCES=1", "SSL_CERT_FILE=build/test/certs/ca.pem", "CHAT_STOCK=0",
                    "AUTO_REFRESH=false", "ACCOUNTS=ok@example.org:correct horse,second@example.org:correct horse", "LOG_LEVEL=DEBUG", map };
  int n = 9, code;
  fakeup_begin();
  for(size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
    snprintf(map + strlen(map), sizeof map - strlen(map), "%s%s:443=127.0.0.1:%d", i ? "," : "", hosts[i], fakeup_port);
  while(more && *more && n < 31) env[n++] = *more++;
  struct strbuf errors = STRBUF(65536), warnings = STRBUF(65536);
  struct config_input in = { .envp = env, .file = "/dev/null" };
  struct q_error e = Q_ERROR_NONE;
  struct config *c = config_load(&in, &errors, &warnings);
  if(errors.n) printf("%.*s", (int)errors.n, errors.p);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  struct app_parts parts = { .now = &fakeup_now };
  struct gate_config gate = fakeup_gate;
  gate.now = &fakeup_now;
  gate.body_max = 8 << 20;
  gate.bodies_sum_max = 32 << 20;
  gate.max_connections = 100;
  struct app *a = NULL;
  if(!c || app_new(&a, c, fakeup_log, &parts, &gate, &e, &code) || app_start(a)) {
    printf("no app: %s\n", e.msg);
    exit(99);
  }
  return a;
}

static void __attribute__((unused)) fakeup_app_end(struct app *a)
{
  app_stop(a, 0, NULL);
  app_destroy(a);
}

/* A request to the fake's plain port, answered with the text of its body (keep it with strbuf_free). */
static struct strbuf fakeup_ask(struct app *a, const char *path, const char *json)
{
  char url[300];
  struct strbuf out = STRBUF(64 << 20), body = STRBUF(1 << 20);
  int status;
  struct q_error e = Q_ERROR_NONE;
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", fakeup_plain, path);
  if(json) strbuf_addz(&body, json);
  struct xchg_req r = { .url = str_z(url), .method = json ? S("POST") : S("GET"), .headers = S("Content-Type: application/json\r\n"),
                        .body = json ? &body : NULL, .connect_ms = 20000 };
  if(httpc_call(a->net, &now_real, &r, 20000, &status, NULL, &out, &e)) T_FAIL("%s: %s", path, e.msg);
  strbuf_free(&body);
  return out;
}

static void __attribute__((unused)) fakeup_tell(struct app *a, const char *path, const char *json)
{
  struct strbuf b = fakeup_ask(a, path, json);
  strbuf_free(&b);
}

/* A number out of /__stats. */
static long __attribute__((unused)) fakeup_stat(struct app *a, const char *path)
{
  struct strbuf b = fakeup_ask(a, "/__stats", NULL);
  struct arena arena = ARENA(16 << 20);
  int64_t v = -1;
  (void)json_int(json_path(json_parse(&arena, strbuf_str(&b), 64, NULL), path), &v);
  arena_free(&arena);
  strbuf_free(&b);
  return (long)v;
}

#endif
