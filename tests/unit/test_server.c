/* Gate and civetweb together: heads reach the handler through civetweb's workers without civetweb ever seeing a socket.
 * These tests fail when a new civetweb reads, writes or closes on its own. */
#include "http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "t.h"

struct fix { struct pump *pump; struct gate_shared *shared; struct gate *gate; struct server *server; atomic_int heads, refused; int nap_ms, wakes; };

static void on_request(void *ctx, struct client *c)
{
  const struct client_request *r = client_request(c);
  if(r->head->content_length > GATE_INLINE && !r->body.n) {
    client_collect(c);
    return;
  }
  server_give(((struct fix *)ctx)->server, c);
}

static void on_requests(void *ctx)
{
  ((struct fix *)ctx)->wakes++;
  server_wake(((struct fix *)ctx)->server);
}

static void on_reject(void *ctx, const struct q_error *e, struct strbuf *out)
{
  (void)ctx;
  strbuf_fmt(out, "HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", status_row(e->st)->http);
}

static void on_head(void *ctx, struct client *c, bool refused)
{
  struct fix *f = ctx;
  struct strbuf b = STRBUF(10000);
  struct str target = client_request(c)->head->target;
  atomic_fetch_add(refused ? &f->refused : &f->heads, 1);
  if(f->nap_ms) nanosleep(&(struct timespec){ 0, f->nap_ms * 1000000 }, NULL);
  strbuf_fmt(&b, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%.*s", refused ? 400 : 200, target.n, STR_F(target));
  client_answer(c, &b, STR_NONE, true, str_eq(target, S("/later")) ? 600 : 0);
}

static void begin(struct fix *f, int threads)
{
  *f = (struct fix){ .pump = pump_new(&now_real) };
  struct server_config sc = { .threads = threads, .on_head = on_head, .ctx = f };
  struct gate_config gc = { .now = &now_real, .body_max = 1 << 20, .bodies_sum_max = 1 << 20, .max_connections = 1000,
                            .on_request = on_request, .on_requests = on_requests, .on_reject = on_reject, .ctx = f };
  f->shared = gate_shared_new(&gc);
  f->gate = gate_new(f->shared, f->pump);
  f->server = server_new(&sc);
  CHECK(f->server != NULL);
}

static void end(struct fix *f)
{
  for(int i = 0; i < 3; i++) pump_turn(f->pump, 0);
  server_destroy(f->server);
  gate_destroy(f->gate);
  pump_turn(f->pump, 0);
  gate_shared_destroy(f->shared);
  pump_destroy(f->pump);
}

static int client(struct fix *f)
{
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
  CHECK_INT(gate_take(f->gate, pair[0]), Q_OK);
  return pair[1];
}

/* Turns the pump until fd has given `want` answers. */
static int answers(struct fix *f, int fd, int want, char *out, size_t cap)
{
  size_t n = 0;
  int64_t until = now_mono_ms(&now_real) + 5000;
  int count = 0;
  while(count < want && now_mono_ms(&now_real) < until) {
    pump_turn(f->pump, 5);
    ssize_t got = read(fd, out + n, cap - 1 - n);
    if(got > 0) n += (size_t)got;
    if(got == 0) break;
    out[n] = 0;
    count = 0;
    for(const char *at = out; (at = strstr(at, "HTTP/1.1 ")); at++) count++;
  }
  out[n] = 0;
  return count;
}

static void t_pipelined(void)
{
  struct fix f;
  char out[4096];
  static const char two[] = "GET /one HTTP/1.1\r\nHost: x\r\n\r\nPOST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /three HTTP/1.1\r\nHost: x\r\n\r\n";
  begin(&f, 2);
  for(size_t split = 0; split < sizeof two - 1; split += 5) {
    int fd = client(&f);
    CHECK(write(fd, two, split) == (ssize_t)split);
    pump_turn(f.pump, 0);
    CHECK(write(fd, two + split, sizeof two - 1 - split) > 0);
    CHECK_INT(answers(&f, fd, 3, out, sizeof out), 3);
    CHECK(strstr(out, "/one") < strstr(out, "/two") && strstr(out, "/two") < strstr(out, "/three"));
    close(fd);
  }
  CHECK_INT(atomic_load(&f.refused), 0);
  end(&f);
}

static void t_what_civetweb_refuses(void)
{
  struct fix f;
  char out[4096];
  begin(&f, 2);
  int fd = client(&f);
  static const char odd[] = "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\nGET /after HTTP/1.1\r\nHost: x\r\n\r\n";
  CHECK(write(fd, odd, sizeof odd - 1) > 0);
  CHECK_INT(answers(&f, fd, 2, out, sizeof out), 2); /* exactly one answer each, and the connection lives */
  CHECK(strstr(out, "/after") != NULL);
  CHECK_INT(atomic_load(&f.heads) + atomic_load(&f.refused), 2);
  close(fd);
  end(&f);
}

static void t_more_than_the_queue(void)
{
  enum { MANY = 400 }; /* more than civetweb's queue and workers hold */
  struct fix f;
  static int fds[MANY];
  char out[4096];
  begin(&f, 2);
  f.nap_ms = 1;
  for(int i = 0; i < MANY; i++) {
    char head[100];
    int n = snprintf(head, sizeof head, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i);
    fds[i] = client(&f);
    CHECK(write(fds[i], head, (size_t)n) == n);
  }
  for(int i = 0; i < MANY; i++) {
    char want[16];
    snprintf(want, sizeof want, "/%d", i);
    CHECK_INT(answers(&f, fds[i], 1, out, sizeof out), 1);
    CHECK(strstr(out, want) != NULL);
    close(fds[i]);
  }
  CHECK_INT(atomic_load(&f.heads), MANY);
  CHECK_INT(server_busy(f.server), 0);
  for(int i = 0; i < 20 && gate_open(f.gate); i++) pump_turn(f.pump, 1);
  CHECK_INT(gate_open(f.gate), 0);
  end(&f);
}

/* What came in one turn is told of once, and one worker that is awake serves what it finds. */
static void t_one_wake_for_many(void)
{
  enum { MANY = 50 };
  struct fix f;
  int fds[MANY];
  char out[4096];
  begin(&f, 2);
  for(int i = 0; i < MANY; i++) {
    fds[i] = client(&f);
    CHECK(write(fds[i], "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", 28) == 28);
  }
  pump_turn(f.pump, 100);
  CHECK_INT(f.wakes, 1);
  for(int i = 0; i < MANY; i++) {
    CHECK_INT(answers(&f, fds[i], 1, out, sizeof out), 1);
    close(fds[i]);
  }
  CHECK_INT(atomic_load(&f.heads), MANY);
  CHECK_INT(f.wakes, 1);
  end(&f);
}

static void t_stop_while_parked(void)
{
  struct fix f;
  char out[4096];
  int fds[20];
  begin(&f, 2);
  for(int i = 0; i < 20; i++) {
    fds[i] = client(&f);
    CHECK(write(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27) == 27);
    CHECK_INT(answers(&f, fds[i], 1, out, sizeof out), 1);
  }
  CHECK_INT(gate_open(f.gate), 20); /* parked */
  gate_drain(f.gate);
  CHECK_INT(gate_open(f.gate), 0);
  for(int i = 0; i < 20; i++) {
    CHECK(read(fds[i], out, 10) == 0);
    close(fds[i]);
  }
  end(&f);
}

static void t_times(void)
{
  static const struct { const char *bytes; int answers; const char *status; } rows[] = {
    { "GET / HT", 1, "408" },                                                          /* a head that does not end */
    { "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", 1, "408" }, /* a body that does not end */
    { "", 0, "" },                                                                     /* nothing at all: closed in silence */
  };
  struct fix f = { .pump = pump_new(&now_real) };
  struct server_config sc = { .threads = 2, .on_head = on_head, .ctx = &f };
  struct gate_config gc = { .now = &now_real, .body_max = 1 << 20, .bodies_sum_max = 1 << 20, .max_connections = 1000, .head_ms = 60, .body_ms = 60, .idle_ms = 60,
                            .on_request = on_request, .on_requests = on_requests, .on_reject = on_reject, .ctx = &f };
  f.shared = gate_shared_new(&gc);
  f.gate = gate_new(f.shared, f.pump);
  f.server = server_new(&sc);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char out[4096];
    int fd = client(&f);
    CHECK(write(fd, rows[i].bytes, strlen(rows[i].bytes)) >= 0);
    CHECK_INT(answers(&f, fd, 2, out, sizeof out), rows[i].answers); /* and then the end */
    CHECK(strstr(out, rows[i].status) != NULL);
    close(fd);
  }
  int fd = client(&f); /* parked after an answer: closed after the idle time */
  char out[4096];
  CHECK(write(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27) == 27);
  CHECK_INT(answers(&f, fd, 2, out, sizeof out), 1);
  for(int i = 0; i < 100 && gate_open(f.gate); i++) pump_turn(f.pump, 5);
  CHECK_INT(gate_open(f.gate), 0);
  close(fd);
  end(&f);
}

/* Of a failed key: more bytes do not make it come earlier. */
static void t_an_answer_that_waits(void)
{
  struct fix f;
  char out[4096];
  begin(&f, 2);
  int fd = client(&f);
  static const char first[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
  static const char next[] = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n";
  int64_t t0 = now_mono_ms(&now_real);
  CHECK(write(fd, first, sizeof first - 1) > 0);
  for(size_t i = 0; i < 20; i++) {
    nanosleep(&(struct timespec){ 0, 10 * 1000000 }, NULL);
    pump_turn(f.pump, 0);
    CHECK(write(fd, next + i, 1) == 1);
  }
  CHECK_INT(answers(&f, fd, 1, out, sizeof out), 1);
  CHECK(now_mono_ms(&now_real) - t0 >= 590);
  CHECK(write(fd, next + 20, sizeof next - 21) > 0);
  CHECK_INT(answers(&f, fd, 1, out, sizeof out), 1);
  close(fd);
  end(&f);
}

static void t_no_leak(void)
{
  long base = mem_live();
  struct fix f;
  char out[4096];
  begin(&f, 2);
  int fd = client(&f), gone = client(&f);
  CHECK(write(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP", 37) > 0);
  CHECK_INT(answers(&f, fd, 1, out, sizeof out), 1);
  CHECK(write(gone, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27) > 0);
  close(gone); /* while its request is on the desk */
  for(int i = 0; i < 20; i++) pump_turn(f.pump, 1);
  CHECK_INT(gate_open(f.gate), 1);
  close(fd);
  end(&f);
  CHECK_INT(mem_live(), base);
}

/* A long body, and each allocation and each touch of the socket on its way fails once. */
static void t_body_faults(void)
{
  enum { BODY = 300 * 1024 };
  static const char head[] = "POST /long HTTP/1.1\r\nHost: x\r\nContent-Length: 307200\r\n\r\n";
  long base = mem_live();
  char *body = malloc(BODY);
  bool hit = true;
  int points = 0;
  memset(body, 'x', BODY);
  for(; hit && points < 1000; points++) {
    struct fix f;
    char out[4096];
    begin(&f, 1);
    int fd = client(&f);
    size_t at = 0;
    CHECK(write(fd, head, sizeof head - 1) == (ssize_t)sizeof head - 1);
    fault_arm(points, false);
    for(int turn = 0; turn < 400 && at < BODY; turn++) {
      ssize_t n = send(fd, body + at, BODY - at < 9000 ? BODY - at : 9000, MSG_NOSIGNAL);
      if(n > 0) at += (size_t)n;
      pump_turn(f.pump, 0);
    }
    int got = answers(&f, fd, 1, out, sizeof out);
    hit = fault_disarm();
    CHECK(hit || (got == 1 && strstr(out, "HTTP/1.1 200") && at == BODY));
    close(fd);
    for(int i = 0; i < 10; i++) pump_turn(f.pump, 1);
    CHECK_INT(gate_open(f.gate), 0);
    end(&f);
  }
  free(body);
  CHECK(points > 5 && !hit);
  CHECK_INT(mem_live(), base);
  printf("fault points tried: %d\n", points);
}

T_MAIN(T(t_pipelined), T(t_what_civetweb_refuses), T(t_more_than_the_queue), T(t_one_wake_for_many), T(t_stop_while_parked), T(t_times), T(t_an_answer_that_waits), T(t_no_leak), T(t_body_faults))
