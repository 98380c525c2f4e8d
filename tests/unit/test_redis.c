/* Redis: the wire format at every split, hostile servers, exact counters over a line that is cut at random, locks, and records that
 * two gateways change at once. The server is a real one. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "domain/account_merge.h"
#include "domain/pool.h"
#include "domain/store.h"
#include "net/redis.h"
#include "proto/resp.h"
#include "redis.h"
#include "t.h"

/* ---- the wire format ---- */

static void render(const struct resp *r, struct strbuf *out)
{
  static const char marks[] = { [RESP_NIL] = '_', [RESP_TEXT] = '$', [RESP_STATUS] = '+', [RESP_ERROR] = '-', [RESP_INT] = ':', [RESP_LIST] = '*' };
  strbuf_addc(out, marks[r->kind]);
  strbuf_adds(out, r->text);
  if(r->kind == RESP_INT) strbuf_int(out, r->number);
  if(r->kind == RESP_LIST) strbuf_addc(out, '[');
  for(size_t i = 0; i < r->n; i++) render(&r->items[i], out);
  if(r->kind == RESP_LIST) strbuf_addc(out, ']');
}

static enum q_status read_all(struct resp_reader *r, struct strbuf *out)
{
  const struct resp *reply;
  enum q_status st;
  while((st = resp_next(r, &reply)) == Q_OK) {
    render(reply, out);
    strbuf_addc(out, ' ');
  }
  return st;
}

static void t_splits(void)
{
  struct str text = S("+OK\r\n-ERR no\r\n:-12\r\n$7\r\nhe\r\n*o\r\r\n$-1\r\n*4\r\n:1\r\n*2\r\n+a\r\n$0\r\n\r\n*-1\r\n*0\r\n$3\r\nend\r\n");
  struct str want = S("+OK -ERR no :-12 $he\r\n*o\r _ *[:1*[+a$]_*[]] $end ");
  for(size_t step = 0; step <= text.n; step++) { /* 0: byte by byte */
    struct resp_reader *r = resp_reader_new(4096);
    struct strbuf out = STRBUF(4096);
    enum q_status st = Q_OK;
    for(size_t at = 0; at < text.n && (!st || st == Q_AGAIN);) {
      size_t n = step == 0 ? 1 : at == 0 ? step : text.n - at;
      st = resp_feed(r, text.p + at, n);
      at += n;
      if(!st) st = read_all(r, &out);
    }
    CHECK_INT(st, Q_AGAIN);
    CHECK_STR(strbuf_str(&out), want);
    resp_reader_destroy(r);
    strbuf_free(&out);
  }
}

static void t_bounds(void)
{
  static const struct { const char *name; struct str text; enum q_status want; } rows[] = {
    { "too many elements", { "*1000000000\r\n", 13 }, Q_BAD_VALUE },
    { "deep", { "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", 40 }, Q_TOO_BIG },
    { "http", { "HTTP/1.1 400 Bad Request\r\n\r\n", 28 }, Q_BAD_VALUE },
    { "no number", { ":12x\r\n", 6 }, Q_BAD_VALUE },
    { "a length that is none", { "$12x\r\nabc\r\n", 11 }, Q_BAD_VALUE },
    { "a negative length", { "$-7\r\n", 5 }, Q_BAD_VALUE },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct resp_reader *r = resp_reader_new(4096);
    const struct resp *reply;
    t_row = rows[i].name;
    CHECK_INT(resp_feed(r, rows[i].text.p, rows[i].text.n), Q_OK);
    CHECK_INT(resp_next(r, &reply), rows[i].want);
    resp_reader_destroy(r);
  }
  t_row = "a text without end";
  struct resp_reader *r = resp_reader_new(4096);
  const struct resp *reply;
  enum q_status st = resp_feed(r, "$999999999\r\n", 12);
  for(int i = 0; i < 100 && (!st || st == Q_AGAIN); i++) {
    st = resp_next(r, &reply);
    if(st == Q_AGAIN) st = resp_feed(r, "0123456789012345678901234567890123456789012345678901234567890123", 64);
  }
  CHECK_INT(st, Q_TOO_BIG);
  resp_reader_destroy(r);
  t_row = "out of memory";
  for(long n = 0;; n++) {
    fault_arm(n, true);
    r = resp_reader_new(4096);
    if(r && resp_feed(r, "*2\r\n$3\r\nabc\r\n:1\r\n", 18) == Q_OK) (void)!resp_next(r, &reply);
    resp_reader_destroy(r);
    if(!fault_disarm()) break;
  }
}

/* ---- servers that are none ---- */

static pid_t play(struct str answer, bool then_close)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((unsigned short)redis_port) };
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 5) == 0);
  pid_t pid = fork();
  if(pid == 0) {
    char in[512];
    for(;;) {
      int c = accept(fd, NULL, NULL);
      if(read(c, in, sizeof in) < 0) _exit(1);
      for(size_t n = 0; n < answer.n || (!then_close && answer.n > 100);) { /* the long one never ends */
        ssize_t w = send(c, answer.p + (n < answer.n ? n : answer.n - 100), n < answer.n ? answer.n - n : 100, MSG_NOSIGNAL);
        if(w <= 0) break;
        n += (size_t)w;
      }
      if(!then_close) while(read(c, in, sizeof in) > 0) {}
      close(c);
    }
  }
  close(fd);
  return pid;
}

static void open_fails(const char *name, struct str answer, bool then_close, const char *words)
{
  struct q_error e = Q_ERROR_NONE;
  char url[64];
  t_row = name;
  redis_port = redis_free_port();
  pid_t pid = play(answer, then_close);
  snprintf(url, sizeof url, "redis://me:canary@127.0.0.1:%d/1", redis_port);
  struct redis_want w = { redis_net, &now_real, str_z(url), 700, 100 * 1024 };
  int64_t begin = now_mono_ms(&now_real);
  struct redis *r = redis_open(&w, &e);
  CHECK(!r && now_mono_ms(&now_real) - begin < 5000);
  CHECK_INT(e.st, Q_STORE);
  if(!strstr(e.msg, words)) T_FAIL("%s", e.msg);
  CHECK(!strstr(e.msg, "canary"));
  redis_close(r);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static void t_hostile(void)
{
  static char flood[4096];
  memset(flood, 'x', sizeof flood);
  memcpy(flood, "$9999999\r\n", 10);
  redis_start(NULL);
  redis_kill();
  open_fails("http", S("HTTP/1.1 400 Bad Request\r\n\r\n"), false, "not a Redis server");
  open_fails("silent", STR_NONE, false, "in time");
  open_fails("closes", STR_NONE, true, "127.0.0.1");
  open_fails("flood", str_of(flood, sizeof flood), false, "larger");
  open_fails("refused", S("-WRONGPASS canary is wrong\r\n"), false, "refused the user or password (WRONGPASS)");
  redis_port = 0;
  redis_end();
}

static void t_sign_in(void)
{
  struct q_error e = Q_ERROR_NONE;
  char url[64];
  redis_start("p@ss:w%rd");
  static const struct { const char *pass; bool ok; } rows[] = { { ":p%40ss%3Aw%25rd@", true }, { "default:p%40ss%3Aw%25rd@", true }, { ":wrong@", false }, { "", false } };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].pass;
    snprintf(url, sizeof url, "redis://%s127.0.0.1:%d/9", rows[i].pass, redis_port);
    struct redis *r = redis_open(&(struct redis_want){ redis_net, &now_real, str_z(url), 5000, 1 << 20 }, &e);
    CHECK((r != NULL) == rows[i].ok);
    redis_close(r);
  }
  redis_end();
}

/* ---- a line between store and server that is cut at random after the server's work was done ---- */

static void relay_main(int listener, int target)
{
  struct pollfd fds[129];
  unsigned seed = 7;
  int n = 1;
  fds[0] = (struct pollfd){ listener, POLLIN, 0 };
  for(;;) {
    poll(fds, (nfds_t)n, -1);
    if(fds[0].revents && n + 2 <= 129) {
      struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((unsigned short)target) };
      int c = accept(listener, NULL, NULL), s = socket(AF_INET, SOCK_STREAM, 0);
      if(connect(s, (struct sockaddr *)&a, sizeof a) != 0) close(c), close(s);
      else fds[n++] = (struct pollfd){ c, POLLIN, 0 }, fds[n++] = (struct pollfd){ s, POLLIN, 0 };
    }
    for(int i = 1; i < n; i += 2) {
      char in[65536];
      bool cut = false;
      for(int side = 0; side < 2 && !cut; side++) {
        if(!fds[i + side].revents) continue;
        ssize_t got = read(fds[i + side].fd, in, sizeof in);
        seed = seed * 1103515245 + 12345;
        bool dice = (seed >> 16) % 8 == 0;
        if(got > 0 && dice && side == 0) (void)!write(fds[i + 1].fd, in, (size_t)got); /* done, but nobody will hear of it */
        cut = got <= 0 || dice || write(fds[i + 1 - side].fd, in, (size_t)got) != got;
      }
      if(!cut) continue;
      nanosleep(&(struct timespec){ 0, 2000000 }, NULL); /* what was sent is read before the end */
      close(fds[i].fd);
      close(fds[i + 1].fd);
      fds[i] = fds[n - 2];
      fds[i + 1] = fds[n - 1];
      n -= 2;
      i -= 2;
    }
  }
}

static struct store *open_at(int port)
{
  struct q_error e = Q_ERROR_NONE;
  int code = 0;
  char url[64];
  snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
  struct store_redis_want w = { .net = redis_net, .now = &now_real, .url = str_z(url), .patience_ms = 5000 };
  struct store *s = NULL;
  for(int i = 0; i < 50 && !s; i++) s = store_redis_open(&w, &e, &code); /* the line may be cut in the middle of it */
  if(!s) T_FAIL("%s", e.msg);
  return s;
}

static void t_counted_once(void)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t len = sizeof a;
  redis_start(NULL);
  int listener = socket(AF_INET, SOCK_STREAM, 0), held = 0;
  CHECK(bind(listener, (struct sockaddr *)&a, len) == 0 && listen(listener, 20) == 0 && getsockname(listener, (struct sockaddr *)&a, &len) == 0);
  pid_t relay = fork();
  if(relay == 0) relay_main(listener, redis_port);
  close(listener);
  struct store *s = open_at(ntohs(a.sin_port)), *direct = open_at(redis_port);
  for(int i = 1; i <= 400; i++) {
    struct store_delta d[] = { { S("use/a"), 1, 0 }, { S("use/b"), 10, 0 } };
    enum q_status st = store_incr(s, d, 2);
    CHECK(st == Q_OK || st == Q_AGAIN);
    held += st == Q_AGAIN;
    if(!st) CHECK_INT(d[0].total, i); /* what was held is in it */
  }
  printf("cut: %d of 400 batches were held\n", held);
  CHECK(held > 5);
  enum q_status st = Q_AGAIN;
  struct store_delta none[] = { { S("use/a"), 0, 0 }, { S("use/b"), 0, 0 } };
  for(int i = 0; i < 200 && st; i++) st = store_incr(s, none, 2);
  struct store_delta d[] = { { S("use/a"), 0, 0 }, { S("use/b"), 0, 0 } };
  CHECK_INT(store_incr(direct, d, 2), Q_OK);
  CHECK_INT(d[0].total, 400);
  CHECK_INT(d[1].total, 4000);
  store_close(s);
  store_close(direct);
  kill(relay, SIGKILL);
  waitpid(relay, NULL, 0);
  redis_end();
}

/* ---- away ---- */

struct seen { atomic_int changed, lost; char last[64]; int pause_ms; };

static void on_changed(void *ctx, struct str key)
{
  struct seen *s = ctx;
  nanosleep(&(struct timespec){ 0, s->pause_ms * 1000000L }, NULL);
  str_copy(s->last, sizeof s->last, key);
  atomic_fetch_add(&s->changed, 1);
}

static void on_lost(void *ctx)
{
  atomic_fetch_add(&((struct seen *)ctx)->lost, 1);
}

static void wait_for(struct store *s, bool up)
{
  for(int i = 0; i < 1000 && store_up(s) != up; i++) nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
  CHECK(store_up(s) == up);
}

static void t_away(void)
{
  struct seen seen = { .pause_ms = 0 };
  redis_start(NULL);
  struct store *s = open_at(redis_port);
  struct store_delta d = { S("use/a"), 5, 0 };
  CHECK_INT(s->ops->watch(s, &(struct store_watch){ on_changed, on_lost, &seen }), Q_OK);
  CHECK_INT(store_incr(s, &d, 1), Q_OK);
  CHECK_INT(store_put(s, S("acct/a"), S("x")), Q_OK);
  redis_kill();
  wait_for(s, false);
  CHECK_INT(store_put(s, S("acct/a"), S("y")), Q_STORE_AWAY);
  int64_t begin = now_mono_ms(&now_real);
  int refused = 0;
  for(int i = 0; i < 30000; i++) { /* thousands of the same counter cost one */
    d = (struct store_delta){ S("use/a"), 1, 0 };
    CHECK_INT(store_incr(s, &d, 1), Q_AGAIN);
  }
  for(int i = 0; i < 25000; i++) { /* but not without bound */
    char key[24];
    snprintf(key, sizeof key, "use/%d", i);
    d = (struct store_delta){ str_z(key), 1, 0 };
    refused += store_incr(s, &d, 1) == Q_STORE;
  }
  CHECK_INT(refused, 25000 - 20000 + 1);
  CHECK(now_mono_ms(&now_real) - begin < 20000);
  redis_start(NULL);
  wait_for(s, true);
  struct strbuf v = STRBUF(64);
  for(int i = 0; i < 1000; i++) {
    strbuf_clear(&v);
    if(store_get(s, S("use/a"), &v) == Q_OK && str_eq(strbuf_str(&v), S("30005"))) break;
    nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
  }
  CHECK_STR(strbuf_str(&v), S("30005"));
  strbuf_clear(&v);
  CHECK_INT(store_get(s, S("acct/a"), &v), Q_OK);
  CHECK_STR(strbuf_str(&v), S("x"));
  CHECK_INT(atomic_load(&seen.lost), 0);
  strbuf_free(&v);
  store_close(s);
  redis_end();
}

/* ---- two gateways ---- */

static void t_two(void)
{
  struct seen seen_a = { .pause_ms = 0 }, seen_b = { .pause_ms = 300 };
  redis_start(NULL);
  struct store *a = open_at(redis_port), *b = open_at(redis_port);
  CHECK_INT(a->ops->watch(a, &(struct store_watch){ on_changed, on_lost, &seen_a }), Q_OK);
  CHECK_INT(b->ops->watch(b, &(struct store_watch){ on_changed, on_lost, &seen_b }), Q_OK);
  CHECK_INT(store_put(a, S("acct/x"), S("of a")), Q_OK);
  CHECK_INT(store_put(b, S("acct/x"), S("of b")), Q_AGAIN); /* b had not merged what a wrote */
  CHECK_INT(atomic_load(&seen_b.changed), 1);
  CHECK_Z(seen_b.last, "acct/x");
  CHECK_INT(store_put(b, S("acct/x"), S("of both")), Q_OK);
  CHECK_INT(store_put(b, S("acct/x"), S("of both, again")), Q_OK); /* its own changes are none to wait for */
  for(int i = 0; i < 500 && atomic_load(&seen_a.changed) < 2; i++) nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
  CHECK(atomic_load(&seen_a.changed) >= 2);
  CHECK_INT(store_put(a, S("cache/x"), S("1")), Q_OK); /* not common: told to nobody */
  CHECK_INT(store_put(a, S("set/N"), S("1")), Q_OK);
  CHECK_INT(store_put(b, S("set/N"), S("2")), Q_OK);   /* the last one counts */
  char token[33], other[33];
  CHECK_INT(a->ops->lock(a, S("acc"), 60000, token), Q_OK);
  CHECK_INT(b->ops->lock(b, S("acc"), 60000, other), Q_EXISTS);
  b->ops->unlock(b, S("acc"), other); /* not its own */
  CHECK_INT(b->ops->lock(b, S("acc"), 60000, other), Q_EXISTS);
  a->ops->unlock(a, S("acc"), token);
  CHECK_INT(b->ops->lock(b, S("acc"), 50, other), Q_OK);
  enum q_status st = Q_EXISTS;
  for(int i = 0; i < 500 && st == Q_EXISTS; i++) {
    nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    st = a->ops->lock(a, S("acc"), 60000, token); /* ends by itself */
  }
  CHECK_INT(st, Q_OK);
  store_close(a);
  store_close(b);
  redis_end();
}

/* ---- one account, two changes ---- */

static struct account *fresh(const char *password, const char *token)
{
  struct account *a = account_new(S("ok@example.org"), str_z(password), STR_NONE);
  struct secret *t = secret_new(str_z(token));
  account_set_token(a, t, 1000, NULL);
  secret_unref(t);
  a->dirty = false;
  account_mark(a, &a->marks);
  return a;
}

static void t_merge(void)
{
  const int64_t now = 1000000;
  struct account *a = fresh("one", "t1"), *from = fresh("one", "t2");
  account_rest(from, FEATURE_CHAT, ACCOUNT_LIMITED, Q_UP_QUOTA, "theirs", now + 500);
  unsigned no = a->token_no;
  account_merge(a, from, now);           /* nothing of ours: all of theirs */
  CHECK_STR(secret_str(a->token), S("t2"));
  CHECK(a->token_no != no && !a->dirty);
  CHECK_INT(a->features[FEATURE_CHAT].until_ms, now + 500);
  account_free(from);

  from = fresh("two", "t2");             /* they: a password and the rest ended; we: a longer rest, and calls */
  account_rest(a, FEATURE_IMAGE, ACCOUNT_LIMITED, Q_UP_QUOTA, "ours", now + 900);
  account_count_cli(a, now, 3, 30, 3);
  from->cli_day = a->cli_day;
  from->cli_calls = 10;
  no = a->token_no;
  account_merge(a, from, now);
  CHECK_STR(secret_str(a->password), S("two"));
  CHECK_INT(a->token_no, no);            /* the same token: nobody signs in anew */
  CHECK_INT(a->features[FEATURE_IMAGE].until_ms, now + 900);
  CHECK_INT(a->cli_calls, 13);
  CHECK(a->dirty);
  account_merge(a, from, now);           /* told twice: the same */
  CHECK_INT(a->cli_calls, 13);
  account_free(from);

  struct secret *t = secret_new(S("t3")); /* both have a new token, ours is not stored: it stays, what they have besides comes */
  account_set_token(a, t, 2000, NULL);
  secret_unref(t);
  from = fresh("three", "t4");
  account_merge(a, from, now);
  CHECK_STR(secret_str(a->token), S("t3"));
  CHECK_STR(secret_str(a->password), S("three"));
  CHECK(a->dirty);
  account_free(from);

  account_mark(a, &a->marks);            /* written; an equal record of theirs is no news: no ping-pong */
  a->dirty = false;
  from = fresh("three", "t3");
  from->expires_ms = 2000;
  from->cli_day = a->cli_day;
  from->cli_calls = a->cli_calls;
  account_mark(from, &from->marks);
  account_merge(a, from, now);
  CHECK(!a->dirty);
  account_free(from);
  account_free(a);
}

/* Another gateway takes an account away while a turn runs on it, and puts it back. */
static void t_removed(void)
{
  struct pool *p = pool_new(&(struct pool_config){ .max_inflight = 2, .queue_max = 10 });
  struct pool_waiter w = { .want = { .feature = FEATURE_CHAT } };
  int64_t ignored;
  CHECK_INT(pool_merge(p, fresh("one", "t1"), 1000), Q_OK); /* new: added */
  CHECK_INT(pool_merge(p, fresh("one", "t2"), 1000), Q_OK); /* known: merged */
  CHECK_INT(pool_count(p, FEATURE_CHAT, 1000).total, 1);
  CHECK_INT(pool_acquire(p, &w, 1000, 0, &ignored, NULL), Q_OK);
  CHECK_STR(secret_str(w.lease.token), S("t2"));
  CHECK_INT(pool_remove(p, S("ok@example.org"), 2000), Q_OK);
  CHECK_INT(pool_remove(p, S("ok@example.org"), 2000), Q_NOT_FOUND);
  CHECK_INT(pool_count(p, FEATURE_CHAT, 2000).total, 0);
  pool_poll(p, 2000 + 3600 * 1000);                          /* lent: not freed */
  CHECK_Z(w.lease.account->email, "ok@example.org");
  CHECK_INT(pool_merge(p, fresh("one", "t3"), 3000), Q_OK);
  pool_release(p, &w.lease, 4000, Q_OK, "", 0, STR_NONE);
  pool_poll(p, 4000 + 3600 * 1000);                          /* the old one is gone now */
  CHECK_INT(pool_count(p, FEATURE_CHAT, 5000).total, 1);
  struct pool_waiter again = { .want = { .feature = FEATURE_CHAT } };
  CHECK_INT(pool_acquire(p, &again, 5000, 0, &ignored, NULL), Q_OK);
  CHECK_STR(secret_str(again.lease.token), S("t3"));
  pool_release(p, &again.lease, 6000, Q_OK, "", 0, STR_NONE);
  pool_destroy(p);
}

T_MAIN(T(t_splits), T(t_bounds), T(t_hostile), T(t_sign_in), T(t_counted_once), T(t_away), T(t_two), T(t_merge), T(t_removed))
