/* load.c - the load generator of the benchmark: one epoll loop, every byte that comes back is compared.
 *
 *   load chat   N non-stream chats over C kept-alive connections, each with a text of its own
 *   load stream N streams held open at once; with --stamp the deltas carry the sender's clock and lag is measured
 *   load ttft   time to the first text through the gateway and straight from the upstream, taken in turns
 *   load health time from exec to the first answered request; the command follows after "--"
 *   load mem    memory of a process            load get   one GET, body to standard output
 *
 * --more JSON adds members to the body of a chat, --prompt-kb N puts so much text before the question, --image-mb N attaches a
 * picture of that size, another one with each question. With --pid, chat tells the peak of memory above what was resident
 * before.
 *
 * --raw speaks the upstream's own protocol (for a bare reverse proxy, or the fake itself), where a chat is what the
 * gateway does for one: a new chat, then its completion.
 *
 * Results go to standard output, one line each: name, value, unit. Trouble goes to standard error.
 * Exit: 0 all answers right; 1 an answer was wrong, short or lost; 2 usage.
 *
 * CPU is what the kernel has booked on the watched processes (--pid), all threads, those that ended included, in
 * nanoseconds. Memory is what /proc/<pid>/smaps_rollup says. Threads: one. Time: microseconds, CLOCK_MONOTONIC. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"

enum { PIDS_MAX = 8, BATCH = 512, OUT_MAX = 2048 };

struct options {
  const char *mode, *key, *model, *email, *pass_hash, *path, *prefix, *more;
  int prompt_kb, image_mb;
  int port, direct_port;
  int n, clients, warm, rate, pending;
  int events, every_ms, size, seed;
  double hold_s;
  int timeout_s, gap_us, cpu, rounds;
  long base_kb;
  bool stamp, raw;
  pid_t pid[PIDS_MAX];
  int pids;
  char **command;
};

/* Microsecond samples, kept whole: percentiles are exact. */
struct samples {
  uint32_t *v;
  size_t n, cap;
};

enum conn_state { CONN_OFF, CONN_WAIT, CONN_OPENING, CONN_BUSY };
enum conn_step { ASK_NEW, ASK_ANSWER };

struct conn {
  int fd;
  enum conn_state state;
  enum conn_step step;
  bool seen; /* the first text of this answer has been counted */
  int64_t due_us, sent_us;
  char *out;
  size_t out_n, out_at;
  char chat_id[64];
  struct answer answer;
  struct load *load;
};

/* A phase of the watched process: what it had used and sent at one moment. */
struct mark {
  int64_t at_us, cpu_ns;
  uint64_t events;
};

struct load {
  const struct options *o;
  int port, ep;
  bool raw, stream, stamp;
  char token[2048]; /* the upstream's, for raw */
  struct conn *conns;
  int n_conns;

  int total, started, done, lost; /* answers of this run */
  int pending, open;              /* streams asked for without text yet; streams with text */
  uint32_t next_seed, dice;
  int64_t start_us, end_us; /* of a windowed run: streams are asked for as long as they last until end_us */
  uint64_t events, text;
  int64_t gap_max_us;
  int stalls;
  bool windowed, in_window, window_over;
  struct mark from, to;
  long mem_kb, rss_kb;
  struct samples lag, lag_all, first, whole;
  int told;
  char *filler, *image; /* text before the question; base64 of a picture behind its head */
  size_t filler_n, image_n;
};

enum { IMAGE_HEAD = 48 }; /* bytes of a picture that differ from request to request; divisible by three */

static int64_t now_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  fputs("load: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  exit(2);
}

static void say(const struct options *o, const char *name, double value, const char *unit)
{
  printf("%s%s %.*f %s\n", o->prefix, name, value < 100 && value != (double)(long)value ? 2 : 0, value, unit);
  fflush(stdout);
}

static void samples_add(struct samples *s, int64_t us)
{
  if(s->n == s->cap) {
    s->cap = s->cap ? s->cap * 2 : 4096;
    s->v = realloc(s->v, s->cap * sizeof *s->v);
    if(!s->v) die("out of memory");
  }
  s->v[s->n++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int samples_order(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* The value that `share` of all samples do not exceed. Sorts. */
static double samples_at(struct samples *s, double share)
{
  if(s->n == 0) return 0;
  qsort(s->v, s->n, sizeof *s->v, samples_order);
  size_t i = (size_t)(share * (double)s->n);
  return s->v[i < s->n ? i : s->n - 1];
}

/* ---- the watched process ---- */

static int64_t cpu_ns(const struct options *o)
{
  int64_t sum = 0;
  for(int i = 0; i < o->pids; i++) {
    clockid_t clk;
    struct timespec t;
    if(clock_getcpuclockid(o->pid[i], &clk) != 0 || clock_gettime(clk, &t) != 0)
      die("process %d has no CPU clock: has it ended?", (int)o->pid[i]);
    sum += (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
  }
  return sum;
}

/* Sum over the watched processes of the fields of smaps_rollup, in KB: private dirty pages, and all resident. */
static void memory(const struct options *o, long *private_kb, long *rss_kb)
{
  *private_kb = *rss_kb = 0;
  for(int i = 0; i < o->pids; i++) {
    char path[64], line[256];
    long v;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)o->pid[i]);
    FILE *f = fopen(path, "r");
    if(!f) die("cannot read %s", path);
    while(fgets(line, sizeof line, f)) {
      if(sscanf(line, "Private_Dirty: %ld", &v) == 1) *private_kb += v;
      else if(sscanf(line, "Rss: %ld", &v) == 1) *rss_kb += v;
    }
    fclose(f);
  }
}

/* The highest resident memory since the last call with reset, in KB. */
static long memory_peak(const struct options *o, bool reset)
{
  long sum = 0, v;
  for(int i = 0; i < o->pids; i++) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)o->pid[i], reset ? "clear_refs" : "status");
    FILE *f = fopen(path, reset ? "w" : "r");
    if(!f) die("cannot open %s", path);
    if(reset) fputs("5", f);
    else while(fgets(line, sizeof line, f)) if(sscanf(line, "VmHWM: %ld", &v) == 1) sum += v;
    fclose(f);
  }
  return sum;
}

/* ---- what makes a request large ---- */

static void base64(const unsigned char *p, size_t n, char *out)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for(size_t i = 0; i + 3 <= n; i += 3) {
    unsigned v = (unsigned)p[i] << 16 | (unsigned)p[i + 1] << 8 | p[i + 2];
    for(int k = 0; k < 4; k++) *out++ = letters[v >> (18 - 6 * k) & 63];
  }
}

/* The first bytes of a picture: magic, a header of 640 by 480, and the seed. */
static void image_head(unsigned char head[IMAGE_HEAD], uint32_t seed)
{
  static const unsigned char png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0, 2, 0x80, 0, 0, 1, 0xe0, 8, 2 };
  memset(head, 0, IMAGE_HEAD);
  memcpy(head, png, sizeof png);
  memcpy(head + 40, &seed, sizeof seed);
}

static void make_large(struct load *l)
{
  uint32_t dice = 1;
  l->filler_n = (size_t)l->o->prompt_kb * 1024;
  l->filler = malloc(l->filler_n + 1);
  if(!l->filler) die("out of memory");
  for(size_t i = 0; i < l->filler_n; i++) { /* words of two to nine letters */
    dice = dice * 1664525u + 1013904223u;
    l->filler[i] = i % 97 > 90 || (dice >> 24) % 6 == 0 ? ' ' : (char)('a' + (dice >> 20) % 26);
  }
  size_t raw = (size_t)l->o->image_mb * 1024 * 1024 / 3 * 3;
  if(!raw) return;
  unsigned char *bytes = malloc(raw);
  l->image_n = raw / 3 * 4;
  l->image = malloc(l->image_n);
  if(!bytes || !l->image) die("out of memory");
  for(size_t i = 0; i < raw; i++) dice = dice * 1664525u + 1013904223u, bytes[i] = (unsigned char)(dice >> 24);
  base64(bytes, raw, l->image);
  free(bytes);
}

/* ---- blocking calls, for what is not measured ---- */

static int connect_to(int port, int flags)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), one = 1;
  if(fd < 0) die("socket: %s", strerror(errno));
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if(connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  return fd;
}

/* One exchange on its own connection. 1 = answered 200 and the body is in a->hold. */
static int call(int port, const char *request, size_t n, struct answer *a)
{
  static const struct expect any;
  char buf[16384];
  int rc = 0, fd = connect_to(port, 0);
  answer_begin(a, ANSWER_ANY, &any);
  if(fd < 0) return -1;
  if(send(fd, request, n, MSG_NOSIGNAL) != (ssize_t)n) rc = -1;
  while(rc == 0) {
    ssize_t got = recv(fd, buf, sizeof buf, 0);
    if(got < 0) rc = -1;
    else rc = got ? answer_feed(a, buf, (size_t)got, now_us()) : answer_eof(a);
  }
  close(fd);
  return rc;
}

/* Signs in at the upstream; raw requests carry the token. */
static void sign_in(struct load *l, int port)
{
  char body[512], req[1024];
  struct answer a = { 0 };
  int n = snprintf(body, sizeof body, "{\"email\":\"%s\",\"password\":\"%s\"}", l->o->email, l->o->pass_hash);
  n = snprintf(req, sizeof req,
               "POST /api/v2/auths/signin HTTP/1.1\r\nHost: chat.qwen.ai\r\nOrigin: https://chat.qwen.ai\r\n"
               "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
  if(call(port, req, (size_t)n, &a) != 1 ||
     (!answer_json_text(a.hold, a.hold_n, "data.token", l->token, sizeof l->token) &&
      !answer_json_text(a.hold, a.hold_n, "token", l->token, sizeof l->token)))
    die("sign-in at port %d failed: status %d, %s", port, a.status, a.why ? a.why : "no token");
  answer_free(&a);
}

/* Half to one and a half of --gap-us: clients must not march in step, or every burst queues behind itself. */
static int64_t pause_us(struct load *l)
{
  if(l->o->gap_us < 2) return 0;
  l->dice = l->dice * 1664525u + 1013904223u;
  return l->o->gap_us / 2 + (int64_t)(l->dice >> 8) % l->o->gap_us;
}

/* ---- one connection ---- */

static void watch(struct conn *c, uint32_t events, int op)
{
  struct epoll_event e = { .events = events, .data.ptr = c };
  if(epoll_ctl(c->load->ep, op, c->fd, &e) < 0) die("epoll_ctl: %s", strerror(errno));
}

static void conn_close(struct conn *c)
{
  if(c->fd >= 0) close(c->fd);
  c->fd = -1;
}

static void window_start(struct load *l)
{
  l->in_window = true;
  l->from = (struct mark){ .at_us = now_us(), .cpu_ns = cpu_ns(l->o), .events = l->events };
}

static void window_end(struct load *l)
{
  if(!l->in_window) return;
  l->to = (struct mark){ .at_us = now_us(), .cpu_ns = cpu_ns(l->o), .events = l->events };
  l->in_window = false;
  l->window_over = true;
  if(l->o->pids) memory(l->o, &l->mem_kb, &l->rss_kb);
}

static void answer_over(struct conn *c, bool right)
{
  struct load *l = c->load;
  if(l->windowed) {
    if(!c->seen) l->pending--;
    else l->open--;
    if(right) window_end(l); /* the first to finish ends the time in which all were open */
  }
  if(right) {
    l->done++;
    l->text += c->answer.text;
    samples_add(&l->whole, now_us() - c->sent_us);
    if(c->answer.gap_us > l->gap_max_us) l->gap_max_us = c->answer.gap_us;
    if(c->answer.gap_us > 2000000 + 2000 * (int64_t)l->o->every_ms) l->stalls++;
  } else {
    l->lost++;
    if(l->told++ < 10) {
      int shown = c->answer.hold_n < 300 ? (int)c->answer.hold_n : 300;
      fprintf(stderr, "load: answer with seed %u: %s (status %d, %u texts, %llu bytes right) %.*s\n",
              c->answer.want.seed, c->answer.why ? c->answer.why : "connection failed", c->answer.status,
              c->answer.events, (unsigned long long)c->answer.text, shown, c->answer.hold ? c->answer.hold : "");
    }
    conn_close(c);
  }
  if(right && !c->answer.keep) conn_close(c);
  c->state = CONN_WAIT;
  c->due_us = now_us() + pause_us(l);
}

static void conn_fail(struct conn *c, const char *why)
{
  if(!c->answer.why) c->answer.why = why;
  answer_over(c, false);
}

static void on_lag(void *arg, int64_t us)
{
  struct load *l = arg;
  samples_add(&l->lag_all, us);
  if(l->in_window) samples_add(&l->lag, us);
}

/* A chat of the gateway: the question behind what makes it large. */
static void write_chat(struct conn *c, const char *prompt, uint32_t seed)
{
  const struct load *l = c->load;
  const char *before = l->image ? "[{\"type\":\"text\",\"text\":\"" : "\"";
  unsigned char head[IMAGE_HEAD];
  char start[256], picture[192] = "\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,";
  snprintf(start, sizeof start, "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":%s", l->o->model,
           l->stream ? "true" : "false", before);
  image_head(head, seed);
  base64(head, sizeof head, picture + strlen(picture)); /* the rest of it is zero already */
  const struct { const char *p; size_t n; } piece[] = {
    { start, strlen(start) }, { l->filler, l->filler_n }, { prompt, strlen(prompt) }, { picture, l->image ? strlen(picture) : 0 },
    { l->image, l->image_n }, { l->image ? "\"}}]" : "\"", l->image ? 4 : 1 }, { "}]", 2 }, { l->o->more, strlen(l->o->more) }, { "}", 1 },
  };
  size_t all = 0;
  for(size_t i = 0; i < sizeof piece / sizeof *piece; i++) all += piece[i].n;
  c->out_n = (size_t)snprintf(c->out, OUT_MAX / 2, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", l->o->key, all);
  for(size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
    if(piece[i].n) memcpy(c->out + c->out_n, piece[i].p, piece[i].n);
    c->out_n += piece[i].n;
  }
  c->out_at = 0;
}

static void write_request(struct conn *c, const char *path, const char *token, const char *body, int n)
{
  c->out_n = (size_t)snprintf(c->out, OUT_MAX + sizeof c->load->token,
                              "POST %s HTTP/1.1\r\nHost: chat.qwen.ai\r\nAuthorization: Bearer %s\r\n"
                              "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, token, n, body);
  c->out_at = 0;
}

static void write_ask(struct conn *c, enum conn_step step, const struct expect *want)
{
  const struct options *o = c->load->o;
  char body[OUT_MAX / 2], prompt[128], path[160];
  int n;
  if(want->stamped)
    snprintf(prompt, sizeof prompt, "[[scenario:stamp n=%u ms=%d]]", want->n, o->every_ms);
  else
    snprintf(prompt, sizeof prompt, "[[scenario:stream n=%u ms=%d size=%u seed=%u]]", want->n, o->every_ms, want->size,
             want->seed);
  c->step = step;
  if(step == ASK_NEW) {
    n = snprintf(body, sizeof body,
                 "{\"title\":\"New Chat\",\"models\":[\"%s\"],\"chat_mode\":\"normal\",\"chat_type\":\"t2t\","
                 "\"timestamp\":1772616278123,\"project_id\":\"\"}", o->model);
    write_request(c, "/api/v2/chats/new", c->load->token, body, n);
  } else if(c->load->raw) {
    n = snprintf(body, sizeof body,
                 "{\"stream\":true,\"version\":\"2.1\",\"incremental_output\":true,\"chat_id\":\"%s\","
                 "\"chat_mode\":\"normal\",\"model\":\"%s\",\"parent_id\":null,\"messages\":[{\"fid\":\"f\","
                 "\"parentId\":null,\"childrenIds\":[],\"role\":\"user\",\"content\":\"%s\",\"user_action\":\"chat\","
                 "\"files\":[],\"timestamp\":1772616278,\"models\":[\"%s\"],\"chat_type\":\"t2t\","
                 "\"sub_chat_type\":\"t2t\",\"parent_id\":null,\"feature_config\":{\"thinking_enabled\":false,"
                 "\"output_schema\":\"phase\"},\"extra\":{\"meta\":{\"subChatType\":\"t2t\"}}}],"
                 "\"timestamp\":1772616279}", c->chat_id, o->model, prompt, o->model);
    snprintf(path, sizeof path, "/api/v2/chat/completions?chat_id=%s", c->chat_id);
    write_request(c, path, c->load->token, body, n);
  } else {
    write_chat(c, prompt, want->seed);
  }
}

static void begin_answer(struct conn *c, const struct expect *want)
{
  static const struct expect any;
  if(c->step == ASK_NEW) answer_begin(&c->answer, ANSWER_ANY, &any);
  else answer_begin(&c->answer, c->load->raw ? ANSWER_RAW : c->load->stream ? ANSWER_STREAM : ANSWER_CHAT, want);
}

static void conn_send(struct conn *c)
{
  if(c->out_at == 0) c->sent_us = now_us();
  ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
  if(n < 0 && errno != EAGAIN) {
    conn_fail(c, strerror(errno));
    return;
  }
  if(n > 0) c->out_at += (size_t)n;
  if(c->out_at < c->out_n) {
    if(c->state != CONN_OPENING) watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    c->state = CONN_OPENING;
  } else {
    if(c->state == CONN_OPENING) watch(c, EPOLLIN, EPOLL_CTL_MOD);
    c->state = CONN_BUSY;
  }
}

/* Takes the next task and asks, on the kept connection or on a new one. */
static void conn_start(struct conn *c)
{
  struct load *l = c->load;
  struct expect want = { .stamped = l->stamp, .n = (uint32_t)l->o->events, .size = (uint32_t)l->o->size,
                         .seed = l->next_seed++, .model = l->raw ? NULL : l->o->model };
  l->started++;
  if(l->windowed) l->pending++;
  if(want.n == 0) want.n = (uint32_t)((l->end_us - now_us()) / 1000 / l->o->every_ms);
  if(want.n < 3 || want.n > (1 << 20)) want.n = 3;
  c->seen = false;
  write_ask(c, l->raw ? ASK_NEW : ASK_ANSWER, &want);
  begin_answer(c, &want);
  c->answer.want = want; /* for the second step */
  if(c->fd >= 0) {
    c->state = CONN_BUSY;
    conn_send(c);
    return;
  }
  c->fd = connect_to(l->port, SOCK_NONBLOCK);
  if(c->fd < 0) {
    conn_fail(c, strerror(errno));
    return;
  }
  c->state = CONN_OPENING;
  watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void conn_answered(struct conn *c)
{
  struct expect want = c->answer.want;
  if(c->step == ASK_ANSWER) {
    answer_over(c, true);
  } else if(!answer_json_text(c->answer.hold, c->answer.hold_n, "data.id", c->chat_id, sizeof c->chat_id)) {
    conn_fail(c, "no chat id");
  } else if(!c->answer.keep) {
    conn_fail(c, "upstream does not keep connections alive");
  } else {
    write_ask(c, ASK_ANSWER, &want);
    begin_answer(c, &want);
    conn_send(c);
  }
}

static void conn_read(struct conn *c)
{
  static char buf[1 << 18];
  struct load *l = c->load;
  ssize_t n = recv(c->fd, buf, sizeof buf, 0);
  if(n < 0) {
    if(errno != EAGAIN) conn_fail(c, strerror(errno));
    return;
  }
  if(c->state == CONN_WAIT) {
    if(n > 0) c->load->lost++, c->answer.why = "bytes after the answer";
    conn_close(c);
    return;
  }
  uint32_t before = c->answer.events;
  int rc = n ? answer_feed(&c->answer, buf, (size_t)n, now_us()) : answer_eof(&c->answer);
  l->events += c->answer.events - before;
  if(!c->seen && c->answer.first_us && c->step == ASK_ANSWER) {
    c->seen = true;
    samples_add(&l->first, c->answer.first_us - c->sent_us);
    if(l->windowed) {
      l->pending--, l->open++;
      if(l->open + l->lost == l->total && !l->window_over) window_start(l);
    }
  }
  if(rc < 0) answer_over(c, false);
  else if(rc > 0) conn_answered(c);
}

/* ---- a run ---- */

static void load_init(struct load *l, const struct options *o, int port, bool raw, bool stream, int n_conns)
{
  *l = (struct load){ .o = o, .port = port, .raw = raw, .stream = stream, .stamp = o->stamp, .n_conns = n_conns,
                      .next_seed = (uint32_t)o->seed };
  l->ep = epoll_create1(EPOLL_CLOEXEC);
  l->conns = calloc((size_t)n_conns, sizeof *l->conns);
  if(l->ep < 0 || !l->conns) die("cannot make %d connections", n_conns);
  make_large(l);
  for(int i = 0; i < n_conns; i++) {
    struct conn *c = &l->conns[i];
    c->fd = -1;
    c->load = l;
    c->out = malloc(OUT_MAX + sizeof l->token + strlen(o->more) + l->filler_n + l->image_n);
    if(!c->out) die("out of memory");
    c->answer.lag = on_lag;
    c->answer.lag_arg = l;
  }
  if(raw) sign_in(l, o->direct_port);
}

static void load_free(struct load *l)
{
  for(int i = 0; i < l->n_conns; i++) {
    conn_close(&l->conns[i]);
    answer_free(&l->conns[i].answer);
    free(l->conns[i].out);
  }
  close(l->ep);
  free(l->conns);
  free(l->filler);
  free(l->image);
  free(l->lag.v), free(l->lag_all.v), free(l->first.v), free(l->whole.v);
}

/* Starts what may start now; returns how long the loop may sleep, in ms. */
static int start_some(struct load *l, int64_t now)
{
  if(l->started == l->total) return 100;
  if(!l->windowed) {
    int wait = 100;
    for(int i = 0; i < l->n_conns && l->started < l->total; i++) {
      struct conn *c = &l->conns[i];
      if(c->state == CONN_OPENING || c->state == CONN_BUSY) continue;
      if(c->due_us <= now) conn_start(c);
      else wait = 1;
    }
    return wait;
  }
  int64_t due = (now - l->start_us) * l->o->rate / 1000000 + 1;
  while(l->started < l->total && l->started < due && l->pending < l->o->pending) conn_start(&l->conns[l->started]);
  return 1;
}

/* Runs `total` answers, at most n_conns at once. Windowed: all of them at once, started at the rate asked for and,
 * unless --events says otherwise, ending together: twice the planned ramp, the hold and a second after the start. */
static void run(struct load *l, int total, bool windowed)
{
  struct epoll_event ev[BATCH];
  l->total = total, l->started = l->done = l->lost = l->pending = l->open = 0;
  l->windowed = windowed;
  l->start_us = now_us();
  int64_t limit = l->start_us + (int64_t)l->o->timeout_s * 1000000, hold = (int64_t)(l->o->hold_s * 1e6);
  for(int i = 0; i < l->n_conns; i++) l->conns[i].due_us = l->start_us + pause_us(l);
  l->end_us = l->start_us + 2000000 * (int64_t)total / l->o->rate + hold + 1000000;
  while(l->done + l->lost < total) {
    int64_t now = now_us();
    int wait = start_some(l, now);
    if(l->in_window) {
      if(now - l->from.at_us >= hold) window_end(l);
      else if((l->from.at_us + hold - now) / 1000 < wait) wait = (int)((l->from.at_us + hold - now) / 1000) + 1;
    }
    if(now > limit) {
      fprintf(stderr, "load: gave up after %d s: %d of %d answered, %d open\n", l->o->timeout_s, l->done, total,
              l->open);
      l->lost = total - l->done;
      break;
    }
    int n = epoll_wait(l->ep, ev, BATCH, wait);
    for(int i = 0; i < n; i++) {
      struct conn *c = ev[i].data.ptr;
      if(c->fd < 0) continue;
      if(c->state == CONN_OPENING && (ev[i].events & (EPOLLOUT | EPOLLERR))) conn_send(c);
      if(c->fd >= 0 && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) conn_read(c);
    }
  }
}

static int verdict(const struct load *l, const char *what)
{
  char name[64];
  snprintf(name, sizeof name, "%s_lost", what);
  say(l->o, name, l->lost, "answers");
  if(l->lost) fprintf(stderr, "load: %d of %d answers were wrong, short or lost\n", l->lost, l->total);
  return l->lost ? 1 : 0;
}

/* ---- modes ---- */

static int mode_chat(const struct options *o)
{
  struct load l;
  long private_kb, rss_kb;
  load_init(&l, o, o->port, o->raw, false, o->clients);
  memory(o, &private_kb, &rss_kb);
  memory_peak(o, true);
  if(o->warm) {
    run(&l, o->warm, false);
    if(l.lost) return verdict(&l, "chat");
  }
  usleep(50000);
  l.first.n = l.whole.n = 0, l.text = 0;
  int64_t cpu = cpu_ns(o), start = now_us();
  run(&l, o->n, false);
  int64_t end = now_us();
  usleep(50000); /* what the process still does for these chats is theirs */
  cpu = cpu_ns(o) - cpu;
  if(o->pids) {
    say(o, "chat_cpu", (double)cpu / 1e3 / o->n, "us");
    say(o, "chat_cpu_ms", (double)cpu / 1e6 / o->n, "ms");
    say(o, "chat_peak", (double)(memory_peak(o, false) - rss_kb) / 1024, "MB");
  }
  say(o, "chat_rate", o->n / ((double)(end - start) / 1e6), "per_s");
  say(o, "chat_p50", samples_at(&l.whole, 0.50), "us");
  say(o, "chat_p99", samples_at(&l.whole, 0.99), "us");
  say(o, "chat_text", (double)l.text, "bytes");
  int rc = verdict(&l, "chat");
  load_free(&l);
  return rc;
}

static int mode_stream(const struct options *o)
{
  struct load l;
  load_init(&l, o, o->port, o->raw, true, o->n);
  run(&l, o->n, true);
  window_end(&l);
  if(l.window_over) {
    double us = (double)(l.to.at_us - l.from.at_us), ev = (double)(l.to.events - l.from.events);
    say(o, "window", us / 1e6, "s");
    say(o, "ramp", (double)(l.from.at_us - l.start_us) / 1e6, "s");
    say(o, "event_rate", ev / (us / 1e6), "per_s");
    if(o->pids && ev > 0) {
      say(o, "event_cpu", (double)(l.to.cpu_ns - l.from.cpu_ns) / 1e3 / ev, "us");
      say(o, "load", (double)(l.to.cpu_ns - l.from.cpu_ns) / 10 / us, "%");
      if(o->base_kb >= 0) say(o, "stream_mem", (double)(l.mem_kb - o->base_kb) / o->n, "KB");
      say(o, "rss", (double)l.rss_kb, "KB");
    }
  } else if(!l.lost) {
    fprintf(stderr, "load: the streams were never all open at once: some ended before the last began\n");
  }
  if(o->stamp) {
    say(o, "lag_p50", samples_at(&l.lag, 0.50), "us");
    say(o, "lag_p90", samples_at(&l.lag, 0.90), "us");
    say(o, "lag_p99", samples_at(&l.lag, 0.99), "us");
    say(o, "lag_max", samples_at(&l.lag, 1), "us");
    say(o, "lag_all_p99", samples_at(&l.lag_all, 0.99), "us");
    say(o, "lag_all_max", samples_at(&l.lag_all, 1), "us");
  }
  say(o, "first_p50", samples_at(&l.first, 0.50), "us");
  say(o, "first_p99", samples_at(&l.first, 0.99), "us");
  say(o, "gap_max", (double)l.gap_max_us, "us");
  say(o, "stalls", l.stalls, "streams");
  say(o, "streams", l.done, "streams");
  say(o, "text", (double)l.text, "bytes");
  int rc = verdict(&l, "stream");
  if(!rc && !l.window_over) rc = 1;
  load_free(&l);
  return rc;
}

/* Through --port (with --raw a bare proxy) and straight at --direct-port, in turns, so that what else the machine does
 * meets both alike. What is added is the difference of percentiles. */
static int mode_ttft(const struct options *o)
{
  struct load by[2]; /* 0 = through the gateway, 1 = straight */
  int rc = 0;
  char name[64];
  load_init(&by[0], o, o->port, o->raw, true, o->clients);
  load_init(&by[1], o, o->direct_port, true, true, o->clients);
  for(int round = -1; round < o->rounds; round++) { /* the first warms up */
    for(int i = 0; i < 2; i++) {
      run(&by[i], round < 0 ? o->clients * 4 : o->n / o->rounds, false);
      if(by[i].lost) rc = 1;
      if(round < 0) by[i].first.n = 0;
    }
  }
  static const struct { const char *name; double share; } row[] = { { "p50", 0.50 }, { "p99", 0.99 } };
  for(size_t i = 0; i < sizeof row / sizeof *row; i++) {
    double via = samples_at(&by[0].first, row[i].share), direct = samples_at(&by[1].first, row[i].share);
    snprintf(name, sizeof name, "ttft%d_direct_%s", o->clients, row[i].name);
    say(o, name, direct, "us");
    snprintf(name, sizeof name, "ttft%d_via_%s", o->clients, row[i].name);
    say(o, name, via, "us");
    snprintf(name, sizeof name, "ttft%d_added_%s", o->clients, row[i].name);
    say(o, name, via - direct, "us");
  }
  if(rc) fprintf(stderr, "load: answers were wrong, short or lost\n");
  snprintf(name, sizeof name, "ttft%d_lost", o->clients);
  say(o, name, rc, "runs");
  for(int i = 0; i < 2; i++) load_free(&by[i]);
  return rc;
}

/* From the moment before execve() to the last byte of a 200. The child stamps that moment itself. */
static int mode_health(const struct options *o)
{
  struct samples took = { 0 };
  int64_t *start = mmap(NULL, sizeof *start, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char req[512];
  int n = snprintf(req, sizeof req, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", o->path);
  if(start == MAP_FAILED) die("mmap: %s", strerror(errno));
  for(int i = 0; i < o->n; i++) {
    struct answer a = { 0 };
    *start = 0;
    pid_t pid = fork();
    if(pid < 0) die("fork: %s", strerror(errno));
    if(pid == 0) {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET((size_t)o->cpu, &set);
      if(o->cpu >= 0) sched_setaffinity(0, sizeof set, &set);
      *(volatile int64_t *)start = now_us();
      execvp(o->command[0], o->command);
      _exit(127);
    }
    int64_t limit = now_us() + 10000000;
    int rc, st = 0;
    while((rc = call(o->port, req, (size_t)n, &a)) != 1 && now_us() < limit && waitpid(pid, &st, WNOHANG) == 0)
      usleep(50);
    int64_t end = now_us();
    if(rc == 1) samples_add(&took, end - *(volatile int64_t *)start);
    kill(pid, SIGTERM);
    waitpid(pid, &st, 0);
    answer_free(&a);
    if(rc != 1) {
      fprintf(stderr, "load: no answer after exec: %s\n", a.why ? a.why : "cannot connect");
      return 1;
    }
  }
  say(o, "start_min", samples_at(&took, 0) / 1e3, "ms");
  say(o, "start_p50", samples_at(&took, 0.50) / 1e3, "ms");
  say(o, "start_max", samples_at(&took, 1) / 1e3, "ms");
  return 0;
}

static int mode_get(const struct options *o)
{
  struct answer a = { 0 };
  char req[1024];
  int n = snprintf(req, sizeof req, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                   "Connection: close\r\n\r\n", o->path, o->key);
  int rc = call(o->port, req, (size_t)n, &a);
  if(rc == 1) fwrite(a.hold, 1, a.hold_n, stdout);
  answer_free(&a);
  return rc == 1 ? 0 : 1;
}

static int mode_mem(const struct options *o)
{
  long private_kb, rss_kb;
  memory(o, &private_kb, &rss_kb);
  say(o, "idle_private", (double)private_kb, "KB");
  say(o, "idle_rss", (double)rss_kb, "KB");
  return 0;
}

/* ---- command line ---- */

struct flag {
  const char *name;
  int *num;
  const char **text;
  bool *set;
};

static void read_options(struct options *o, int argc, char **argv)
{
  const struct flag flags[] = {
    { "--port", &o->port, NULL, NULL },          { "--direct-port", &o->direct_port, NULL, NULL },
    { "--n", &o->n, NULL, NULL },                { "--clients", &o->clients, NULL, NULL },
    { "--warm", &o->warm, NULL, NULL },          { "--rate", &o->rate, NULL, NULL },
    { "--pending", &o->pending, NULL, NULL },    { "--events", &o->events, NULL, NULL },
    { "--ms", &o->every_ms, NULL, NULL },        { "--size", &o->size, NULL, NULL },
    { "--seed", &o->seed, NULL, NULL },          { "--timeout", &o->timeout_s, NULL, NULL },
    { "--gap-us", &o->gap_us, NULL, NULL },      { "--cpu", &o->cpu, NULL, NULL },
    { "--rounds", &o->rounds, NULL, NULL },      { "--key", NULL, &o->key, NULL },
    { "--model", NULL, &o->model, NULL },        { "--email", NULL, &o->email, NULL },
    { "--pass-sha256", NULL, &o->pass_hash, NULL }, { "--path", NULL, &o->path, NULL },
    { "--prefix", NULL, &o->prefix, NULL },      { "--stamp", NULL, NULL, &o->stamp },
    { "--raw", NULL, NULL, &o->raw },            { "--more", NULL, &o->more, NULL },
    { "--prompt-kb", &o->prompt_kb, NULL, NULL }, { "--image-mb", &o->image_mb, NULL, NULL },
  };
  if(argc < 2) die("usage: load chat|stream|ttft|health|mem|get --port N [options], see the head of load.c");
  o->mode = argv[1];
  for(int i = 2; i < argc; i++) {
    size_t f = 0;
    if(strcmp(argv[i], "--") == 0) {
      o->command = argv + i + 1;
      break;
    }
    while(f < sizeof flags / sizeof *flags && strcmp(argv[i], flags[f].name) != 0) f++;
    const char *val = i + 1 < argc ? argv[i + 1] : NULL;
    if(f < sizeof flags / sizeof *flags && flags[f].set) {
      *flags[f].set = true;
      continue;
    }
    if(!val) die("%s: unknown, or without a value", argv[i]);
    if(f < sizeof flags / sizeof *flags) {
      if(flags[f].text) *flags[f].text = val;
      else *flags[f].num = (int)strtol(val, NULL, 10);
    } else if(strcmp(argv[i], "--hold") == 0) {
      o->hold_s = strtod(val, NULL);
    } else if(strcmp(argv[i], "--base-kb") == 0) {
      o->base_kb = strtol(val, NULL, 10);
    } else if(strcmp(argv[i], "--pid") == 0 && o->pids < PIDS_MAX) {
      o->pid[o->pids++] = (pid_t)strtol(val, NULL, 10);
    } else {
      die("%s: unknown option", argv[i]);
    }
    i++;
  }
  if(strcmp(o->mode, "stream") == 0 && o->every_ms < 1) o->every_ms = 100;
  if(o->prompt_kb < 0 || o->prompt_kb > 65536 || o->image_mb < 0 || o->image_mb > 90) die("a size is out of its bounds");
  if(o->n < 1 || o->clients < 1 || o->every_ms < 0 || o->size > ANSWER_DELTA_MAX || o->rate < 1 || o->rounds < 1)
    die("a number is out of its bounds");
  if(!o->events && strcmp(o->mode, "stream") != 0) o->events = 5;
}

int main(int argc, char **argv)
{
  struct options o = {
    .key = "sk-bench-0123456789abcdef", .model = "qwen3.7-plus", .email = "ok@example.org",
    .pass_hash = "4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631", .path = "/healthz", .prefix = "", .more = "",
    .n = 1, .clients = 1, .rate = 1000, .pending = 256, .every_ms = 0, .size = 20, .seed = 1, .hold_s = 8,
    .timeout_s = 120, .cpu = -1, .rounds = 10, .base_kb = -1,
  };
  struct rlimit files;
  signal(SIGPIPE, SIG_IGN);
  if(getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  read_options(&o, argc, argv);
  if(strcmp(o.mode, "chat") == 0) return mode_chat(&o);
  if(strcmp(o.mode, "stream") == 0) return mode_stream(&o);
  if(strcmp(o.mode, "ttft") == 0) return mode_ttft(&o);
  if(strcmp(o.mode, "mem") == 0) return mode_mem(&o);
  if(strcmp(o.mode, "get") == 0) return mode_get(&o);
  if(strcmp(o.mode, "health") == 0 && o.command && o.command[0]) return mode_health(&o);
  die("%s: unknown mode", o.mode);
}
