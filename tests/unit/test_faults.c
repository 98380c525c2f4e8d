/* Requests of all kinds against the whole gateway with its threads, the fake upstream over TLS behind it: the n-th allocation,
 * transport or store call fails, once or for good. Every client gets a whole answer or an end, nothing is lost, memory and store
 * say the same, and the gateway serves on. */
#include <poll.h>
#include <sys/socket.h>

#include "domain/video.h"
#include "fakeup.h"
#include "http/routes.h"

enum { FAULTS_END_MS = 60 * 1000, FAULTS_POINTS = 4000 };

struct house { struct app *a; struct desk d; long base; };

static void house_begin(struct house *h)
{
  char *more[] = { "CHAT_RETRY_BACKOFF_MS=1", "CHAT_CLEANUP_MODE=1", "BATCH_LOGIN_CONCURRENCY=5", NULL };
  fakeup_log = log_new(&(struct log_config){ .now = &now_real, .level = LOG_LEVEL_DEBUG, .fd = -1 }); /* words of failures are read */
  h->base = mem_live();
  h->d = (struct desk){ .app = NULL };
  if(desk_open(&h->d, 2, NULL)) exit(99);
  fakeup_gate = (struct gate_config){ .on_request = desk_request, .on_requests = desk_requests, .on_reject = desk_reject, .ctx = &h->d };
  h->a = fakeup_app(more);
  h->d.app = h->a;
  videos_set_poll_ms(h->a->videos, 1);
}

static void house_end(struct house *h)
{
  app_stop(h->a, 0, NULL);
  desk_close(&h->d);
  app_destroy(h->a);
  CHECK_INT(mem_live(), h->base);
  log_destroy(fakeup_log);
}

/* ---- a client ---- */

struct entry { struct pump_task task; struct gate *gate; int fd; atomic_int done; };

static void entry_run(struct pump_task *t)
{
  struct entry *e = (struct entry *)((char *)t - offsetof(struct entry, task));
  if(gate_take(e->gate, e->fd)) close(e->fd);
  atomic_store(&e->done, 1);
}

/* A connection of ours, as if it had been accepted. */
static int house_connect(struct house *h)
{
  int pair[2];
  struct entry e = { .task.fn = entry_run, .gate = h->a->pumps[0].gate };
  if(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) exit(99);
  e.fd = pair[0];
  fcntl(pair[0], F_SETFL, O_NONBLOCK);
  pump_post(h->a->pumps[0].pump, &e.task);
  while(!atomic_load(&e.done)) fakeup_nap(0);
  return pair[1];
}

struct said { int status; bool whole, ended; struct strbuf text; };

/* Whether the reply is complete by its own framing. */
static bool said_whole(const struct said *s)
{
  struct str r = strbuf_str(&s->text);
  ptrdiff_t head = str_find(r, S("\r\n\r\n"));
  if(head < 0) return false;
  struct str body = str_sub(r, (size_t)head + 4, r.n);
  r = str_sub(r, 0, (size_t)head);
  ptrdiff_t length = str_ifind(r, S("content-length: "));
  if(length >= 0) return body.n == strtoul(r.p + length + 16, NULL, 10);
  if(str_ifind(r, S("transfer-encoding: chunked")) >= 0) return str_ends(body, S("\r\n0\r\n\r\n")) || str_eq(body, S("0\r\n\r\n"));
  return atoi(r.p + 9) == 204;
}

static struct said house_ask(struct house *h, const char *method, const char *path, const char *body)
{
  struct said s = { .text = STRBUF(64 << 20) };
  char head[512];
  int fd = house_connect(h);
  int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-fakeup-0123456789\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                   method, path, strlen(body));
  s.ended = send(fd, head, (size_t)n, MSG_NOSIGNAL) != n || send(fd, body, strlen(body), MSG_NOSIGNAL) != (ssize_t)strlen(body);
  s.text.p = malloc(s.text.cap = 1 << 20); /* not by the builder: the test itself must not meet the fault */
  for(int64_t end = now_mono_ms(&now_real) + FAULTS_END_MS; !said_whole(&s);) {
    struct pollfd p = { .fd = fd, .events = POLLIN };
    if(now_mono_ms(&now_real) > end) {
      T_FAIL("no end: %.*s", STR_F(str_sub(strbuf_str(&s.text), 0, 1000)));
      break;
    }
    if(poll(&p, 1, 100) <= 0) continue;
    if(s.text.cap - s.text.n < 65536) s.text.p = realloc(s.text.p, s.text.cap *= 2);
    ssize_t k = read(fd, s.text.p + s.text.n, 65536);
    if(k <= 0) {
      s.ended = true;
      break;
    }
    s.text.n += (size_t)k;
  }
  close(fd);
  s.whole = said_whole(&s);
  if(s.text.n > 12) s.status = atoi(s.text.p + 9);
  return s;
}

static void said_free(struct said *s)
{
  free(s->text.p);
}

/* ---- after each ---- */

static void count_line(void *ctx, struct account *a)
{
  if(!a->unstored) ++*(int *)ctx;
}

struct both { struct app *a; int records; };

static bool count_record(void *ctx, struct str key, struct str value)
{
  struct both *b = ctx;
  (void)value;
  b->records++;
  if(!pool_with(b->a->pool, str_sub(key, 5, key.n), now_wall_ms(b->a->now), count_line, &(int){ 0 })) return true;
  T_FAIL("%.*s is in the store alone", STR_F(key));
  return true;
}

/* Accounts in memory are those of the store. */
static void house_same(struct house *h)
{
  struct both b = { h->a, 0 };
  int there = 0;
  CHECK_INT(h->a->store->ops->scan(h->a->store, S("acct/"), count_record, &b), Q_OK);
  pool_each(h->a->pool, count_line, &there);
  CHECK_INT(there, b.records);
}

static void all_well(void *ctx, struct account *a)
{
  (void)ctx;
  for(int f = 0; f < FEATURE_COUNT; f++) account_clear(a, (enum feature)f);
  if(a->whole != ACCOUNT_DISABLED) a->whole = ACCOUNT_ACTIVE;
}

/* Nothing holds an account any more; cool-downs of this point do not reach into the next. */
static void house_settle(struct house *h)
{
  int64_t end = now_mono_ms(&now_real) + 20000;
  for(int f = 0; f < FEATURE_COUNT; f++)
    while(pool_count(h->a->pool, (enum feature)f, 0).leased && now_mono_ms(&now_real) < end) fakeup_nap(1);
  while((atomic_load(&h->a->chats_open) || jobs_running(h->a->upload_jobs) || jobs_running(h->a->fetch_jobs)) && now_mono_ms(&now_real) < end) fakeup_nap(1);
  for(int f = 0; f < FEATURE_COUNT; f++) CHECK_INT(pool_count(h->a->pool, (enum feature)f, 0).leased, 0);
  CHECK_INT(atomic_load(&h->a->chats_open), 0);
  pool_each(h->a->pool, all_well, NULL);
}

/* ---- the sweep ---- */

/* %%: the number of the point, eight digits, so that each sends what no other did; %d: without zeros, as accounts are called. before: makes what the row changes. */
struct plan { const char *name, *method, *path, *body, *has, *before_path, *before_body; int every; };

#define PNG "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAyAAAAJYCAIAAAAA%%"
#define ASK(content, more) "{\"model\":\"qwen3.7-plus\"" more ",\"messages\":[{\"role\":\"user\",\"content\":" content "}]}"
#define CHAT "/v1/chat/completions"
static const struct plan media_plans[] = {
  { "a picture", "POST", CHAT, ASK("[{\"type\":\"text\",\"text\":\"%%\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"" PNG "\"}}]", ""), "fake upstream", NULL, NULL, 3 },
  { "a picture, streamed", "POST", CHAT, ASK("[{\"type\":\"text\",\"text\":\"%%\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"" PNG "\"}}]", ",\"stream\":true"), "[DONE]", NULL, NULL, 7 },
  { "a picture by its address", "POST", CHAT, ASK("[{\"type\":\"text\",\"text\":\"%%\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://img.example.test/cat.png?%%\"}}]", ""), "fake upstream", NULL, NULL, 5 },
  { "a document", "POST", CHAT, ASK("[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,JVBERi0xLjcK%%\"}}]", ""), "fake upstream", NULL, NULL, 25 },
  { "a drawing as text", "POST", "/v1/images/generations", "{\"prompt\":\"[[scenario:image]] %%\",\"response_format\":\"b64_json\"}", "b64_json", NULL, NULL, 3 },
  { "two drawings", "POST", "/v1/images/generations", "{\"prompt\":\"[[scenario:image]] %%\",\"n\":2,\"response_format\":\"b64_json\"}", "b64_json", NULL, NULL, 9 },
  { "a drawing's address", "POST", "/v1/images/generations", "{\"prompt\":\"[[scenario:image]] %%\",\"response_format\":\"url\"}", "\"url\"", NULL, NULL, 5 },
  { "a result passed on", "GET", "/v1/media?url=https%3A%2F%2Fcdn.qwenlm.ai%2Foutput%2Fu%2Ft2i%2Fr%2Fp1.png%3Fkey%3Dk", "", "PNG", NULL, NULL, 1 },
  { "a long result passed on", "GET", "/v1/media?url=https%3A%2F%2Fcdn.qwenlm.ai%2Foutput%2Fbig%2Ft2v%2Fv.mp4%3Fkey%3Dk%26n%3D700000%26type%3Dvideo%2Fmp4", "", "abcdef", NULL, NULL, 3 },
  { "a result elsewhere", "GET", "/v1/media?url=https%3A%2F%2Fcdn.qwenlm.ai%2Foutput%2Fevil%2Ft2i%2Fp.png%3Fkey%3Dk", "", NULL, NULL, NULL, 1 },
  { "a video", "POST", "/v1/videos", "{\"prompt\":\"[[scenario:video polls=0]] %%\",\"wait\":20}", "completed", NULL, NULL, 5 },
};
static const struct plan text_plans[] = {
  { "a chat over TLS", "POST", CHAT, ASK("\"%%\"", ""), "fake upstream", NULL, NULL, 3 },
  { "a long body", "POST", CHAT, NULL, "fake upstream", NULL, NULL, 5 },
  { "Responses, kept", "POST", "/v1/responses", "{\"model\":\"qwen3.7-plus\",\"input\":\"%%\",\"store\":true}", "fake upstream", NULL, NULL, 3 },
  { "Messages, streamed", "POST", "/v1/messages", "{\"model\":\"qwen3.7-plus\",\"max_tokens\":500,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"%%\"}]}", "message_stop", NULL, NULL, 5 },
  { "the CLI", "POST", "/cli/v1/chat/completions", ASK("\"%%\"", ""), "fake upstream", NULL, NULL, 5 },
};
static const struct plan admin_plans[] = {
  { "an account is added", "POST", "/api/setAccount", "{\"email\":\"user%d@example.org\",\"password\":\"pw-%d\"}", "added", NULL, NULL, 3 },
  { "an official key is added", "POST", "/api/setAccount", "{\"kind\":\"api\",\"name\":\"k%%\",\"apiKey\":\"sk-x-%%\",\"baseUrl\":\"https://chat.qwen.ai/none\"}", NULL, NULL, NULL, 3 },
  { "an account is changed", "POST", "/api/updateAccount", "{\"email\":\"second@example.org\",\"note\":\"n%%\",\"proxy\":null,\"headers\":{\"X-A\":\"%%\"}}", "second@example.org", NULL, NULL, 1 },
  { "its proxy is set", "POST", "/api/updateAccountProxy", "{\"email\":\"second@example.org\",\"proxy\":null}", "second@example.org", NULL, NULL, 1 },
  { "an account is switched off", "POST", "/api/setAccountEnabled", "{\"emails\":[\"second@example.org\"],\"enabled\":true}", "updated", NULL, NULL, 1 },
  { "a rest is ended", "POST", "/api/clearCooldown", "{\"email\":\"second@example.org\"}", NULL, NULL, NULL, 1 },
  { "an account is renewed", "POST", "/api/refreshAccount", "{\"email\":\"second@example.org\"}", NULL, NULL, NULL, 11 },
  { "an account is taken away", "DELETE", "/api/deleteAccount", "{\"email\":\"user%d@example.org\"}", "deleted", "/api/setAccount",
    "{\"email\":\"user%d@example.org\",\"password\":\"pw-%d\"}", 1 },
  { "a list is added", "POST", "/api/setAccounts", "{\"accounts\":\"user%d@example.org:pw-%d\\nbad line\\nuser%dx@example.org:pw\",\"async\":false}", "taskId", NULL, NULL, 13 },
  { "all are renewed", "POST", "/api/refreshAllAccounts", "{\"thresholdHours\":1}", "refreshedCount", NULL, NULL, 3 },
  { "accounts are listed", "GET", "/api/getAllAccounts", "", "second@example.org", NULL, NULL, 1 },
  { "tasks are listed", "GET", "/api/batchTasks", "", "[", NULL, NULL, 3 },
  { "a key is added", "POST", "/api/addRegularKey", "{\"name\":\"k%%\",\"limits\":{\"rpm\":60,\"dailyTokens\":1000}}", "sk-", NULL, NULL, 1 },
  { "keys are listed", "GET", "/api/keys", "", "masked", NULL, NULL, 3 },
  { "settings are listed", "GET", "/api/settings", "", "simpleModelMap", NULL, NULL, 5 },
  { "a setting is changed", "PATCH", "/api/settings", "{\"chatRetryCount\":2}", NULL, NULL, NULL, 1 },
  { "a setting is given back", "POST", "/api/settings/reset", "{\"names\":[\"chatRetryCount\"]}", NULL, NULL, NULL, 1 },
  { "the doctor is asked", "GET", "/api/doctor", "", NULL, NULL, NULL, 3 },
  { "the overview", "GET", "/api/overview", "", NULL, NULL, NULL, 3 },
  { "statistics", "GET", "/api/stats", "", NULL, NULL, NULL, 3 },
  { "requests", "GET", "/api/requests", "", NULL, NULL, NULL, 3 },
  { "metrics", "GET", "/metrics", "", "qwen2api", NULL, NULL, 3 },
};

static char *plan_body(const char *pattern, long point)
{
  char number[16], *out = calloc(1, (pattern ? strlen(pattern) : 80000) + 4096);
  size_t n = 0;
  snprintf(number, sizeof number, "%08ld", point);
  if(!pattern) { /* longer than what is read at once */
    n = (size_t)sprintf(out, "{\"model\":\"qwen3.7-plus\",\"messages\":[{\"role\":\"user\",\"content\":\"%s", number);
    memset(out + n, 'x', 70000);
    strcpy(out + n + 70000, "\"}]}");
    return out;
  }
  for(; *pattern; pattern++) {
    if(pattern[0] == '%') n += (size_t)sprintf(out + n, "%s", pattern[1] == '%' ? number : number + strspn(number, "0")), pattern++;
    else out[n++] = *pattern;
  }
  return out;
}

static long point_number; /* of all plans: what is sent is never the same */

/* One point; false: nothing was left to fail. */
static bool point(struct house *h, const struct plan *p, long n, bool lasting)
{
  static char row[160];
  char *body = plan_body(p->body ? p->body : NULL, ++point_number);
  snprintf(row, sizeof row, "%s, %s, point %ld", p->name, lasting ? "lasting" : "once", n);
  t_row = row;
  if(p->before_path) {
    char *first = plan_body(p->before_body, point_number);
    struct said s = house_ask(h, "POST", p->before_path, first);
    said_free(&s);
    free(first);
  }
  fault_arm(n, lasting);
  if(lasting) { /* the whole of it fails for a while, then all is well again */
    struct said s = house_ask(h, p->method, p->path, body);
    bool hit = fault_disarm();
    CHECK(s.whole || s.ended);
    said_free(&s);
    free(body);
    house_settle(h);
    return hit;
  }
  struct said s = house_ask(h, p->method, p->path, body);
  bool hit = fault_disarm();
  CHECK(s.whole || s.ended);
  if(s.whole && p->has && (!hit || s.status == 200)) {
    bool told = str_find(strbuf_str(&s.text), str_z(p->has)) >= 0 || str_find(strbuf_str(&s.text), S("\"error\"")) >= 0;
    if(!told || (!hit && s.status >= 400)) T_FAIL("status %d: %.*s", s.status, STR_F(str_sub(strbuf_str(&s.text), 0, 1200)));
  }
  if(!hit) CHECK(s.whole && (s.status < 500 || !p->has));
  said_free(&s);
  free(body);
  house_settle(h);
  return hit;
}

static void sweep(const struct plan *plans, int count)
{
  struct house h;
  long points = 0;
  atomic_store(&fakeup_speed, 20);
  house_begin(&h);
  for(int i = 0; i < count; i++)
    for(int lasting = 0; lasting < 2; lasting++) {
      int step = t_torture() ? 1 : plans[i].every;
      const char *only = getenv("FAULTS_ONLY");
      if(only && !strstr(plans[i].name, only)) continue;
      point(&h, &plans[i], 1000000, false); /* what is made once is there */
      int64_t t0 = now_mono_ms(&now_real);
      long n = (i + lasting) % step, before = points;
      for(int calm = 0; n < FAULTS_POINTS && calm < 2; n += step, points++) calm = point(&h, &plans[i], n, lasting) ? 0 : calm + 1;
      if(getenv("Q2A_TIMES")) printf("%6ld points, %5lld ms: %s, %s\n", points - before, (long long)(now_mono_ms(&now_real) - t0), plans[i].name, lasting ? "lasting" : "once");
      house_same(&h);
    }
  t_row = "afterwards";
  struct said s = house_ask(&h, "POST", CHAT, ASK("\"once more\"", ""));
  CHECK_INT(s.status, 200);
  CHECK(str_find(strbuf_str(&s.text), S("fake upstream")) >= 0);
  said_free(&s);
  printf("fault points tried: %ld\n", points);
  if(!getenv("FAULTS_ONLY")) CHECK(points > 20 * count);
  house_end(&h);
}

static void t_media_under_faults(void)
{
  sweep(media_plans, sizeof media_plans / sizeof media_plans[0]);
}

static void t_text_under_faults(void)
{
  sweep(text_plans, sizeof text_plans / sizeof text_plans[0]);
}

static void t_administration_under_faults(void)
{
  sweep(admin_plans, sizeof admin_plans / sizeof admin_plans[0]);
}

T_MAIN(T(t_media_under_faults), T(t_text_under_faults), T(t_administration_under_faults))
