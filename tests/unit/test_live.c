/* Answers of events that go on (api 9.5, 9.8): who reads is told everything in order, who does not is cut. */
#include <malloc.h>
#include <poll.h>

#include "base/log.h"
#include "world.h"

static struct world w;
static struct log *the_log;

static void begin(void)
{
  struct log_config c = { .now = &now_real, .level = LOG_LEVEL_DEBUG, .fd = -1 };
  the_log = log_new(&c);
  CHECK(the_log && world_begin(&w, NULL));
  w.app->log = the_log;
}

static void end(void)
{
  w.app->log = NULL;
  world_end(&w);
  log_destroy(the_log);
}

static void follow(void)
{
  static const char head[] = "GET /api/logs/stream?module=mark HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-world-0123456789\r\n\r\n";
  world_connect(&w);
  CHECK(send(w.client, head, sizeof head - 1, MSG_NOSIGNAL) == sizeof head - 1);
  for(int i = 0; i < 2000 && str_find(strbuf_str(&w.reply), S("\r\n\r\n")) < 0; i++) world_turn(&w);
  CHECK(str_find(strbuf_str(&w.reply), S("200 OK")) > 0);
}

static void write_lines(int n, size_t size)
{
  static char text[2000];
  memset(text, 'x', sizeof text);
  for(int i = 0; i < n; i++) log_write(the_log, LOG_LEVEL_INFO, "mark", "", "%.*s", (int)size, text);
}

static void t_reader(void)
{
  world_stall_ms = 500;
  begin();
  follow();
  int64_t until = now_mono_ms(&now_real) + 2500;
  for(int i = 0; i < 10; i++) {
    write_lines(10, 20);
    for(int k = 0; k < 2000 && !w.client_closed && now_mono_ms(&now_real) < until - (9 - i) * 250; k++) world_turn(&w);
  }
  for(int k = 0; k < 600 && !w.client_closed; k++) world_turn(&w);
  CHECK(!w.client_closed); /* four times as long as one that does not read may stay */
  struct str r = strbuf_str(&w.reply);
  int lines = 0;
  int64_t last = 0, seq;
  for(ptrdiff_t at; (at = str_find(r, S("\ndata: {\"seq\":"))) >= 0; lines++) {
    r = str_sub(r, (size_t)at + 14, r.n);
    struct str rest = r;
    CHECK(str_int(str_cut(&rest, ','), &seq) && seq > last);
    last = seq;
  }
  CHECK_INT(lines, 100);
  end();
}

/* A client that takes nothing: its connection ends, while the log goes on, and nothing is kept for it. */
static void t_stalled(void)
{
  world_stall_ms = 500;
  begin();
  follow();
  int fd = w.client;
  w.client = -1; /* from now on nobody reads it */
  int64_t start = now_mono_ms(&now_real);
  struct pollfd p = { fd, 0, 0 };
  while(now_mono_ms(&now_real) < start + 20000 && poll(&p, 1, 0) == 0) {
    write_lines(40, 1900);
    for(int i = 0; i < 20; i++) world_turn(&w);
  }
  int64_t took = now_mono_ms(&now_real) - start;
  CHECK(p.revents & POLLHUP);
  CHECK(took >= 500);
  size_t got = 0;
  char *buf = mem_alloc(65536);
  for(ssize_t n; (n = read(fd, buf, 65536)) > 0;) got += (size_t)n;
  mem_free(buf);
  CHECK(got < 4 * 1024 * 1024); /* what the system held for it */
  close(fd);
  CHECK_INT(gate_connections(w.app->gates), 0);
  end();
}

/* Bytes of the heap in use, by whichever allocator is built in. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
static size_t heap(void)
{
  return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : mallinfo2().uordblks;
}

/* Nothing is gathered for one that lags: four seconds of 100 lines each fifth of one would be more than 2 MB. */
static void t_memory(void)
{
  world_stall_ms = 60000;
  begin();
  follow();
  int fd = w.client;
  w.client = -1;
  write_lines(100, 1900);
  for(int i = 0; i < 200; i++) world_turn(&w);
  size_t least = heap(), most = 0;
  for(int64_t stop = now_mono_ms(&now_real) + 4000; now_mono_ms(&now_real) < stop;) {
    write_lines(40, 1900);
    for(int i = 0; i < 20; i++) world_turn(&w);
    if(heap() > most) most = heap();
  }
  if(most > least + 1024 * 1024) T_FAIL("%zu bytes, then %zu", least, most);
  CHECK_INT(gate_connections(w.app->gates), 1);
  close(fd);
  for(int i = 0; i < 400 && gate_connections(w.app->gates); i++) world_turn(&w);
  end();
}

T_MAIN(T(t_reader), T(t_stalled), T(t_memory))
