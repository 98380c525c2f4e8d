#include "net/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/mem.h"

enum {
  GATE_HEAD_MS = 15 * 1000,
  GATE_BODY_MS = 60 * 1000,
  GATE_IDLE_MS = 75 * 1000,
  GATE_STALL_MS = 120 * 1000,
  GATE_LINGER_MS = 2000,
  GATE_LINGER_MAX = 1024 * 1024,   /* bytes of an unread body that are drained so that the answer is seen */
  GATE_IN_FIRST = 2048,
  GATE_IN_MAX = HTTP1_HEAD_MAX + GATE_INLINE,
  GATE_OUT_MAX = 256 * 1024 * 1024,
  GATE_SPARE = 64,                 /* connections above the limit that still get a proper 503 */
  GATE_ACCEPTS = 32,               /* per turn */
  GATE_LISTENERS = 8,
  GATE_TREES_MIN = 64 * 1024 * 1024,
  GATE_PAUSE_MS = 100              /* no accepting after the process ran out of descriptors */
};

struct gate_shared {
  struct gate_config config;
  atomic_int connections;
  atomic_int refused;       /* of them those that have got their refusal and are only waited for */
  atomic_size_t bodies;
  atomic_size_t body_max, bodies_sum_max; /* as of the config, but they may change */
  struct arena_sum trees;                 /* what is made of bodies: bounded as they are */
};

struct gate_listener {
  struct pump_io io;
  struct gate *gate;
  bool on;
};

struct gate {
  struct gate_shared *shared;
  struct pump *pump;
  struct client *clients;
  int open;
  atomic_bool draining;     /* read by desks as well */
  struct gate_listener listeners[GATE_LISTENERS];
  int listener_n;
  struct pump_timer pause;
  struct pump_task requests; /* deferred once a turn, when on_request() was called */
  bool requests_due;
  struct crypt_rng rng;
};

enum client_state {
  CLIENT_READING,    /* a head, or a body short enough to wait for; idle while nothing came */
  CLIENT_HELD,       /* the request is with somebody else */
  CLIENT_COLLECTING, /* a long body */
  CLIENT_TAKEN,      /* a taker writes */
  CLIENT_FLUSHING,   /* the answer is complete, its last bytes are on their way */
  CLIENT_LINGERING,  /* what the client still sends is thrown away */
  CLIENT_CLOSED
};

struct client {
  struct pump_io io;
  struct gate *gate;
  struct gate_shared *shared; /* outlives the gate, which a client that is buried at the very end does not see any more */
  struct client *next, **at;
  enum client_state state;
  bool readable, ended, broken, keep, unread, gone_told, refused;
  char peer[INET6_ADDRSTRLEN + 4];

  char *in;                 /* unconsumed bytes */
  size_t in_n, in_cap, seen;
  size_t used;              /* bytes of `in` that belong to the request being served */
  const char *head_of;      /* where `in` was when the head was read; NULL: not read yet */
  struct http1_request *head; /* in the arena */
  struct client_request request;
  struct arena arena;
  struct strbuf body;
  struct http1_chunk chunk;
  size_t body_counted;      /* of the shared sum */

  struct strbuf out;
  size_t out_at;            /* sent of it */
  struct str extra;
  struct client_taker *taker;
  bool lagged;

  struct pump_timer timer;
  int64_t deadline_ms;      /* 0: none; what it means depends on the state */
  /* What the holder of a request hands over; the pump looks at it only when the task has come. */
  struct strbuf answer;
  struct str answer_extra;
  bool answer_keep;
  int64_t answer_delay_ms;
  struct pump_task task;    /* from another thread: answer, adopt, collect */
  struct pump_task bury;    /* own thread: free, or tell the taker that the client is gone */
  int64_t delay_ms;
};

static void client_parse(struct client *c);
static void client_read(struct client *c);
static void client_flush(struct client *c);
static void client_pass(struct client *c);

/* ---- life ---- */

static int64_t client_now(const struct client *c)
{
  return pump_now(c->gate->pump);
}

static void client_deadline(struct client *c, int64_t in_ms)
{
  c->deadline_ms = in_ms ? client_now(c) + in_ms : 0;
  if(!c->deadline_ms || (c->timer.slot && c->timer.at_ms <= c->deadline_ms)) return; /* an early timer looks again */
  if(pump_timer_set(c->gate->pump, &c->timer, c->deadline_ms)) c->deadline_ms = 0;
}

static void client_drop_request(struct client *c)
{
  atomic_fetch_sub(&c->shared->bodies, c->body_counted);
  c->body_counted = 0;
  strbuf_free(&c->body);
  arena_free(&c->arena);
  c->head = NULL;
  c->head_of = NULL;
  c->request.head = NULL;
  c->request.body = STR_NONE;
  c->request.judged = false;
  c->request.body_max = 0;
  c->request.again = 0;
}

static void client_free(struct client *c)
{
  client_drop_request(c);
  strbuf_free(&c->out);
  strbuf_free(&c->answer);
  mem_free(c->in);
  mem_free(c);
}

static void client_bury(struct pump_task *t)
{
  client_free((struct client *)((char *)t - offsetof(struct client, bury)));
}

/* Off the loop; the memory goes in the next turn, because callers up the stack still look at it. */
static void client_close(struct client *c)
{
  if(c->state == CLIENT_CLOSED) return;
  c->state = CLIENT_CLOSED;
  pump_timer_off(c->gate->pump, &c->timer);
  pump_undefer(c->gate->pump, &c->bury);
  pump_del(c->gate->pump, &c->io);
  close(c->io.fd);
  *c->at = c->next;
  if(c->next) c->next->at = c->at;
  c->gate->open--;
  if(c->refused) atomic_fetch_sub(&c->gate->shared->refused, 1);
  atomic_fetch_sub(&c->gate->shared->connections, 1);
  c->bury.fn = client_bury;
  pump_defer(c->gate->pump, &c->bury);
}

static void client_tell_gone(struct pump_task *t)
{
  struct client *c = (struct client *)((char *)t - offsetof(struct client, bury));
  struct client_taker *taker = c->taker;
  if(c->state != CLIENT_TAKEN) return;
  c->taker = NULL;
  client_close(c);
  taker->on_gone(taker);
}

/* The connection is of no use any more: closed now, or as soon as its taker was told. */
static void client_broken(struct client *c)
{
  c->broken = true;
  switch(c->state) {
  case CLIENT_TAKEN:
    if(c->gone_told) return;
    c->gone_told = true;
    c->bury.fn = client_tell_gone;
    pump_defer(c->gate->pump, &c->bury);
    return;
  case CLIENT_HELD:
  case CLIENT_CLOSED: return; /* whoever holds it comes back */
  default: client_close(c);
  }
}

/* ---- writing ---- */

size_t client_pending(const struct client *c)
{
  return c->out.n - c->out_at + c->extra.n;
}

bool client_keep_alive(const struct client *c)
{
  return c->keep && !c->gate->draining && !c->unread;
}

static long client_send(struct client *c, const char *p, size_t n)
{
  if(fault_hit()) {
    errno = ECONNRESET;
    return -1;
  }
  for(;;) {
    ssize_t put = send(c->io.fd, p, n, MSG_NOSIGNAL);
    if(put < 0 && errno == EINTR) continue;
    return put;
  }
}

static void client_next(struct client *c)
{
  bool keep = client_keep_alive(c) && !c->ended && !c->broken;
  size_t left = c->in_n - c->used;
  if(!keep && c->unread) {
    shutdown(c->io.fd, SHUT_WR);
    c->state = CLIENT_LINGERING;
    client_drop_request(c);
    c->in_n = c->used = 0;
    client_deadline(c, GATE_LINGER_MS);
    client_read(c);
    return;
  }
  if(!keep) {
    client_close(c);
    return;
  }
  client_drop_request(c);
  c->state = CLIENT_READING;
  c->seen = 0;
  if(left) memmove(c->in, c->in + c->used, left);
  c->in_n = left;
  c->used = 0;
  if(!left) { /* parked: no buffer */
    mem_free(c->in);
    c->in = NULL;
    c->in_cap = 0;
  }
  client_deadline(c, left ? c->gate->shared->config.head_ms : c->gate->shared->config.idle_ms);
  if(left) client_parse(c);
  if(c->state == CLIENT_READING && c->readable) client_read(c);
}

/* Sends what is queued. At its end the taker goes on, or the next request is read. */
static void client_flush(struct client *c)
{
  while(client_pending(c)) {
    bool first = c->out_at < c->out.n;
    const char *p = first ? c->out.p + c->out_at : c->extra.p;
    long put = client_send(c, p, first ? c->out.n - c->out_at : c->extra.n);
    if(put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if(put < 0) {
      client_broken(c);
      return;
    }
    if(first) c->out_at += (size_t)put;
    else c->extra = str_sub(c->extra, (size_t)put, c->extra.n);
    client_deadline(c, c->gate->shared->config.stall_ms);
  }
  strbuf_free(&c->out);
  c->out_at = 0;
  if(c->state == CLIENT_FLUSHING) {
    client_next(c);
  } else if(c->state == CLIENT_TAKEN) {
    c->deadline_ms = 0;
    if(c->lagged) {
      c->lagged = false;
      c->taker->on_drain(c->taker);
    }
  }
}

enum q_status client_write(struct client *c, const char *p, size_t n)
{
  if(c->broken) return Q_CLIENT_GONE;
  if(client_pending(c) == 0) {
    long put = client_send(c, p, n);
    if(put < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      client_broken(c);
      return Q_CLIENT_GONE;
    }
    if(put > 0) p += put, n -= (size_t)put;
    if(n == 0) return Q_OK;
    client_deadline(c, c->gate->shared->config.stall_ms);
  }
  c->lagged = true;
  c->out.max = GATE_OUT_MAX;
  strbuf_drop(&c->out, c->out_at);
  c->out_at = 0;
  strbuf_add(&c->out, p, n);
  return c->out.err;
}

void client_done(struct client *c, bool keep)
{
  c->taker = NULL;
  c->keep = c->keep && keep;
  pump_undefer(c->gate->pump, &c->bury);
  c->state = CLIENT_FLUSHING;
  if(c->broken) client_close(c);
  else client_flush(c);
}

void client_redo(struct client *c, unsigned note)
{
  c->taker = NULL;
  pump_undefer(c->gate->pump, &c->bury);
  if(c->broken) {
    client_close(c);
    return;
  }
  c->request.judged = true; /* it was read already: a job does it again */
  c->request.again = note;
  client_pass(c);
}

static void client_reject(struct client *c, enum q_status st, const char *words)
{
  struct q_error e = Q_ERROR_NONE;
  struct gate_shared *s = c->gate->shared;
  status_fail(&e, st, NULL, "%s", words);
  c->out.max = GATE_OUT_MAX;
  strbuf_free(&c->out);
  c->out_at = 0;
  s->config.on_reject(s->config.ctx, &e, &c->out);
  c->keep = false;
  c->unread = true;
  c->state = CLIENT_FLUSHING;
  if(!c->refused) atomic_fetch_add(&s->refused, 1);
  c->refused = true;
  if(c->out.err) client_close(c);
  else {
    client_deadline(c, s->config.stall_ms);
    client_flush(c);
  }
}

static void client_shut(struct client *c)
{
  client_reject(c, Q_SHUTDOWN, "The gateway is shutting down.");
}

/* ---- reading ---- */

static bool client_room(struct client *c)
{
  if(c->in_n < c->in_cap) return true;
  size_t cap = c->in_cap ? c->in_cap * 2 : GATE_IN_FIRST;
  if(cap > GATE_IN_MAX) cap = GATE_IN_MAX;
  if(cap == c->in_cap) return false;
  char *in = mem_realloc(c->in, cap);
  if(!in) return false;
  c->in = in;
  c->in_cap = cap;
  return true;
}

static bool client_id_ok(struct str id)
{
  for(size_t i = 0; i < id.n; i++) {
    char c = id.p[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if(!plain) return false;
  }
  return id.n > 0 && id.n <= 128;
}

static void gate_requests(struct pump_task *t)
{
  struct gate *g = (struct gate *)((char *)t - offsetof(struct gate, requests));
  g->requests_due = false;
  g->shared->config.on_requests(g->shared->config.ctx);
}

/* The request is there: passed on. */
static void client_pass(struct client *c)
{
  struct gate *g = c->gate;
  c->state = CLIENT_HELD;
  c->deadline_ms = 0;
  g->shared->config.on_request(g->shared->config.ctx, c);
  if(g->requests_due || !g->shared->config.on_requests) return;
  g->requests_due = true;
  pump_defer(g->pump, &g->requests);
}

static void client_hold(struct client *c, struct str body, bool missing)
{
  struct client_request *r = &c->request;
  struct str id = http1_find(&c->head->headers, S("x-request-id"));
  r->head = c->head;
  r->body = body;
  r->body_missing = missing;
  r->peer = c->peer;
  if(client_id_ok(id)) {
    str_copy(r->id, sizeof r->id, id);
  } else {
    memcpy(r->id, "req_", 4);
    crypt_id(&c->gate->rng, r->id + 4, 24);
  }
  c->keep = c->head->keep_alive;
  c->unread = missing;
  client_pass(c);
}

/* The head's slices point into the buffer: when that moved or grew, they are read anew. */
static enum q_status client_head(struct client *c)
{
  if(!c->head && !(c->head = arena_alloc(&c->arena, sizeof *c->head))) return Q_INTERNAL;
  if(c->head_of == c->in) return Q_OK;
  size_t again = 0;
  enum q_status st = http1_request(str_of(c->in, c->in_n), c->head_of ? &again : &c->seen, c->head);
  if(!st) c->head_of = c->in;
  return st;
}

/* Looks at what has come: a whole request, a head that someone must judge first, or not enough yet. */
static void client_parse(struct client *c)
{
  enum q_status st = client_head(c);
  if(st == Q_AGAIN) return;
  if(st) {
    client_reject(c, st, st == Q_URI_LONG ? "The URL is longer than 16 KiB."
                       : st == Q_HEADERS_BIG ? "The header block is larger than 64 KiB or has more than 64 fields."
                       : st == Q_INTERNAL ? "Out of memory."
                                          : "The request is not acceptable HTTP/1.1.");
    return;
  }
  const struct http1_request *h = c->head;
  bool short_body = !h->chunked && h->content_length <= GATE_INLINE && !(h->expect_continue && h->content_length);
  if(!short_body) {
    c->used = h->head_n;
    client_hold(c, STR_NONE, true);
    return;
  }
  size_t whole = h->head_n + (size_t)h->content_length;
  if(c->in_n < whole) {
    client_deadline(c, c->gate->shared->config.body_ms);
    return;
  }
  c->used = whole;
  client_hold(c, str_of(c->in + h->head_n, (size_t)h->content_length), false);
}

/* The whole body has come; used: the bytes of `in` up to its end. */
static void client_body_done(struct client *c, size_t used)
{
  if(client_head(c)) {
    client_reject(c, Q_INTERNAL, "The request head was lost.");
    return;
  }
  c->used = used;
  c->unread = false;
  c->request.body = strbuf_str(&c->body);
  c->request.body_missing = false;
  client_pass(c);
}

static size_t client_body_max(const struct client *c)
{
  size_t max = atomic_load(&c->gate->shared->body_max);
  return c->request.body_max && c->request.body_max < max ? c->request.body_max : max;
}

static bool client_body_add(struct client *c, struct str piece)
{
  struct gate_shared *s = c->gate->shared;
  size_t max = client_body_max(c);
  if(piece.n > max || c->body.n > max - piece.n) {
    client_reject(c, Q_TOO_BIG, "The request body is larger than is accepted here (BODY_LIMIT_MB).");
    return false;
  }
  c->body_counted += piece.n;
  if(atomic_fetch_add(&s->bodies, piece.n) + piece.n > atomic_load(&s->bodies_sum_max)) {
    client_reject(c, Q_OVERLOADED, "Too many large requests at once. Try again later.");
    return false;
  }
  c->body.max = max;
  strbuf_adds(&c->body, piece);
  if(!c->body.err) return true;
  client_reject(c, Q_INTERNAL, "Out of memory."); /* may end the request, and its body with it, at once */
  return false;
}

/* Takes body bytes; returns how many belong to the body. *done: it is complete. SIZE_MAX: refused. */
static size_t client_body(struct client *c, struct str in, bool *done)
{
  struct str rest = in, piece;
  *done = false;
  if(!c->head->chunked) {
    uint64_t want = c->head->content_length - c->body.n;
    piece = str_sub(in, 0, want < in.n ? (size_t)want : in.n);
    if(!client_body_add(c, piece)) return SIZE_MAX;
    *done = c->body.n == c->head->content_length;
    return piece.n;
  }
  for(;;) {
    enum q_status st = http1_chunk_next(&c->chunk, &rest, &piece);
    if(st == Q_OK) {
      if(!client_body_add(c, piece)) return SIZE_MAX;
      continue;
    }
    *done = st == Q_EOF;
    if(st == Q_EOF || st == Q_AGAIN) return in.n - rest.n;
    client_reject(c, Q_BAD_REQUEST, "The chunked request body is malformed.");
    return SIZE_MAX;
  }
}

/* Bytes of a long body from the socket. What lies behind its end is kept for the next request. */
static void client_read_body(struct client *c)
{
  char piece[32 * 1024];
  bool done = false;
  while(c->state == CLIENT_COLLECTING && !done) {
    ssize_t n = recv(c->io.fd, piece, sizeof piece, 0);
    if(n < 0 && errno == EINTR) continue;
    if(n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      c->readable = false;
      return;
    }
    if(n <= 0) {
      client_close(c);
      return;
    }
    client_deadline(c, c->gate->shared->config.body_ms);
    size_t used = client_body(c, str_of(piece, (size_t)n), &done);
    if(used == SIZE_MAX) return;
    if(!done) continue;
    size_t left = (size_t)n - used, head_n = c->in_n; /* left: pipelined behind the body */
    if(left) {
      char *in = mem_realloc(c->in, head_n + left);
      if(!in) {
        client_reject(c, Q_INTERNAL, "Out of memory.");
        return;
      }
      c->in = in;
      memcpy(in + head_n, piece + used, left);
      c->in_cap = c->in_n = head_n + left;
    }
    client_body_done(c, head_n);
  }
}

/* Above the bound nothing more is read, and the connection stays until the client or the time ends it: to close it with
 * unread bytes would be a reset, which throws away the answer that the client has not read yet. */
static void client_linger(struct client *c)
{
  char waste[16 * 1024];
  while(c->in_n <= GATE_LINGER_MAX || c->ended) { /* what is left of a client that has ended is little */
    ssize_t n = recv(c->io.fd, waste, sizeof waste, 0);
    if(n < 0 && errno == EINTR) continue;
    if(n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    c->in_n += n > 0 ? (size_t)n : 0; /* only counted here */
    if(n <= 0) {
      client_close(c);
      return;
    }
  }
}

static void client_read(struct client *c)
{
  if(c->state == CLIENT_LINGERING) client_linger(c);
  if(c->state == CLIENT_COLLECTING) client_read_body(c);
  while(c->state == CLIENT_READING) {
    if(!client_room(c)) {
      client_reject(c, Q_HEADERS_BIG, "The header block is larger than 64 KiB.");
      return;
    }
    size_t room = c->in_cap - c->in_n;
    ssize_t n = fault_hit() ? (errno = ECONNRESET, -1) : recv(c->io.fd, c->in + c->in_n, room, 0);
    if(n < 0 && errno == EINTR) continue;
    if(n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      c->readable = false;
      return;
    }
    if(n <= 0) {
      client_close(c);
      return;
    }
    if(c->in_n == 0) client_deadline(c, c->gate->shared->config.head_ms);
    else if(c->head) client_deadline(c, c->gate->shared->config.body_ms);
    c->in_n += (size_t)n;
    if((size_t)n < room && !c->ended) c->readable = false; /* all of it: what comes later is a new edge */
    client_parse(c);
    if(!c->readable) return;
  }
}

static void client_event(struct pump_io *io, uint32_t events)
{
  struct client *c = (struct client *)((char *)io - offsetof(struct client, io));
  if(events & EPOLLIN) c->readable = true;
  if(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->ended = true;
  if(events & (EPOLLHUP | EPOLLERR)) {
    client_broken(c);
    return;
  }
  if(c->state == CLIENT_HELD) return; /* remembered for when it comes back */
  if((events & EPOLLOUT) && client_pending(c) && !c->delay_ms) client_flush(c); /* unless it is to wait */
  if(c->state == CLIENT_TAKEN && c->ended) client_broken(c);
  else if(c->readable || c->ended) client_read(c);
}

static void client_time(struct pump_timer *t)
{
  struct client *c = (struct client *)((char *)t - offsetof(struct client, timer));
  if(!c->deadline_ms) return;
  if(c->deadline_ms > client_now(c)) {
    int64_t left = c->deadline_ms - client_now(c);
    client_deadline(c, left);
    return;
  }
  c->deadline_ms = 0;
  switch(c->state) {
  case CLIENT_READING:
    if(c->in_n == 0) client_close(c);
    else client_reject(c, Q_SLOW_CLIENT, "The request did not arrive in time.");
    break;
  case CLIENT_COLLECTING: client_reject(c, Q_SLOW_CLIENT, "The request body did not arrive in time."); break;
  case CLIENT_FLUSHING:
    if(c->delay_ms) { /* an answer that was to wait */
      c->delay_ms = 0;
      client_deadline(c, c->gate->shared->config.stall_ms);
      client_flush(c);
    } else {
      client_close(c);
    }
    break;
  case CLIENT_TAKEN: client_broken(c); break;
  case CLIENT_LINGERING: client_close(c); break;
  case CLIENT_HELD:
  case CLIENT_CLOSED: break;
  }
}

/* ---- how a held request goes on ---- */

struct client_request *client_request(struct client *c)
{
  return &c->request;
}

struct arena *client_arena(struct client *c)
{
  return &c->arena;
}

struct pump *client_pump(struct client *c)
{
  return c->gate->pump;
}

void client_release_request(struct client *c)
{
  size_t left = c->in_n - c->used;
  char *rest = left ? mem_alloc(left) : NULL;
  client_drop_request(c);
  if(left && !rest) return; /* then the buffer stays as it is */
  if(left) memcpy(rest, c->in + c->used, left);
  mem_free(c->in);
  c->in = rest;
  c->in_n = c->in_cap = left;
  c->used = 0;
}

static void client_answer_task(struct pump_task *t)
{
  struct client *c = (struct client *)((char *)t - offsetof(struct client, task));
  strbuf_drop(&c->out, c->out_at); /* what a taker wrote before client_redo() and the socket did not take comes first */
  c->out_at = 0;
  if(c->out.n) {
    strbuf_adds(&c->out, strbuf_str(&c->answer));
    strbuf_free(&c->answer);
  } else {
    strbuf_free(&c->out);
    c->out = c->answer;
  }
  c->answer = STRBUF(0);
  c->extra = c->answer_extra;
  c->keep = c->keep && c->answer_keep && !c->out.err;
  c->delay_ms = c->answer_delay_ms;
  c->state = CLIENT_FLUSHING;
  if(c->broken) {
    client_close(c);
    return;
  }
  if(c->delay_ms) {
    client_deadline(c, c->delay_ms);
    return;
  }
  client_deadline(c, c->gate->shared->config.stall_ms);
  client_flush(c);
}

void client_answer(struct client *c, struct strbuf *bytes, struct str extra, bool keep, int64_t delay_ms)
{
  c->answer = *bytes;
  *bytes = STRBUF(bytes->max);
  c->answer_extra = extra;
  c->answer_keep = keep;
  c->answer_delay_ms = delay_ms;
  c->task.fn = client_answer_task;
  pump_post(c->gate->pump, &c->task);
}

static void client_adopt_task(struct pump_task *t)
{
  struct client *c = (struct client *)((char *)t - offsetof(struct client, task));
  c->state = CLIENT_TAKEN;
  c->gone_told = false;
  c->taker->client = c;
  c->taker->start(c->taker, c);
  if(c->state != CLIENT_TAKEN) return;
  if(c->broken || c->ended) {
    client_broken(c);
  } else if(client_pending(c)) { /* written before client_redo(): the socket's word that it has room may have come in between */
    client_deadline(c, c->gate->shared->config.stall_ms);
    client_flush(c);
  }
}

void client_adopt(struct client *c, struct client_taker *t)
{
  c->taker = t;
  c->task.fn = client_adopt_task;
  pump_post(c->gate->pump, &c->task);
}

static void client_collect_task(struct pump_task *t)
{
  struct client *c = (struct client *)((char *)t - offsetof(struct client, task));
  struct gate_shared *s = c->gate->shared;
  bool done = false;
  if(c->broken) {
    client_close(c);
    return;
  }
  c->state = CLIENT_COLLECTING;
  if(c->head->content_length > client_body_max(c)) {
    client_reject(c, Q_TOO_BIG, "The request body is larger than is accepted here (BODY_LIMIT_MB).");
    return;
  }
  client_deadline(c, s->config.body_ms);
  if(c->head->expect_continue && c->in_n == c->head->head_n) {
    struct str go = S("HTTP/1.1 100 Continue\r\n\r\n");
    if(client_send(c, go.p, go.n) != (long)go.n) { /* an idle socket always has room for this */
      client_close(c);
      return;
    }
  }
  size_t head_n = c->head->head_n;
  size_t used = client_body(c, str_of(c->in + head_n, c->in_n - head_n), &done);
  if(used == SIZE_MAX) return;
  if(done) { /* it was all here */
    size_t end = head_n + used;
    client_body_done(c, end);
    return;
  }
  c->in_n = head_n;
  client_read_body(c);
}

void client_collect(struct client *c)
{
  c->task.fn = client_collect_task;
  pump_post(c->gate->pump, &c->task);
}

/* ---- accepting ---- */

static void gate_peer(struct client *c, const struct sockaddr_storage *sa)
{
  const struct sockaddr_in6 *six = (const void *)sa;
  const struct sockaddr_in *four = (const void *)sa;
  if(sa->ss_family == AF_INET) {
    inet_ntop(AF_INET, &four->sin_addr, c->peer, sizeof c->peer);
  } else if(sa->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
    inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], c->peer, sizeof c->peer);
  } else if(sa->ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &six->sin6_addr, c->peer, sizeof c->peer);
  } else {
    snprintf(c->peer, sizeof c->peer, "unix");
  }
}

static enum q_status gate_client(struct gate *g, int fd, const struct sockaddr_storage *sa)
{
  int one = 1;
  struct client *c = mem_zalloc(sizeof *c);
  if(!c) return Q_NOMEM;
  c->gate = g;
  c->shared = g->shared;
  c->io = (struct pump_io){ client_event, fd };
  c->timer.fn = client_time;
  c->arena = ARENA(256u * 1024 * 1024);
  c->arena.sum = &g->shared->trees;
  c->body = STRBUF(atomic_load(&g->shared->body_max));
  if(pump_add(g->pump, &c->io)) {
    mem_free(c);
    return Q_NOMEM;
  }
  gate_peer(c, sa);
  if(sa->ss_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->at = &g->clients;
  c->next = g->clients;
  if(c->next) c->next->at = &c->next;
  g->clients = c;
  g->open++;
  int now = atomic_fetch_add(&g->shared->connections, 1) + 1;
  if(g->draining) client_shut(c);
  else if(now > g->shared->config.max_connections) client_reject(c, Q_OVERLOADED, "Too many connections. Try again later.");
  else client_deadline(c, g->shared->config.head_ms);
  return Q_OK;
}

enum q_status gate_take(struct gate *g, int fd)
{
  struct sockaddr_storage sa = { .ss_family = AF_UNIX };
  return gate_client(g, fd, &sa);
}

static void gate_resume(struct pump_timer *t)
{
  struct gate *g = (struct gate *)((char *)t - offsetof(struct gate, pause));
  for(int i = 0; i < g->listener_n; i++)
    if(!g->listeners[i].on) g->listeners[i].on = pump_add_listener(g->pump, &g->listeners[i].io) == Q_OK;
}

static void gate_accept(struct pump_io *io, uint32_t events)
{
  struct gate_listener *l = (struct gate_listener *)((char *)io - offsetof(struct gate_listener, io));
  struct gate *g = l->gate;
  (void)events;
  for(int i = 0; i < GATE_ACCEPTS; i++) {
    struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
    socklen_t n = sizeof sa;
    int fd = accept4(io->fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if(fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
      /* Out of descriptors: the level-triggered listener would spin. */
      pump_del(g->pump, io);
      l->on = false;
      if(pump_timer_set(g->pump, &g->pause, pump_now(g->pump) + GATE_PAUSE_MS)) gate_resume(&g->pause);
      return;
    }
    if(fd < 0) return;
    if(atomic_load(&g->shared->connections) >= g->shared->config.max_connections + GATE_SPARE || gate_client(g, fd, &sa)) close(fd);
  }
}

void gate_shared_set_bodies(struct gate_shared *s, size_t body_max, size_t bodies_sum_max)
{
  atomic_store(&s->body_max, body_max);
  atomic_store(&s->bodies_sum_max, bodies_sum_max);
  atomic_store(&s->trees.max, bodies_sum_max + GATE_TREES_MIN);
}

struct gate_shared *gate_shared_new(const struct gate_config *c)
{
  struct gate_shared *s = mem_zalloc(sizeof *s);
  if(!s) return NULL;
  s->config = *c;
  if(!s->config.head_ms) s->config.head_ms = GATE_HEAD_MS;
  if(!s->config.body_ms) s->config.body_ms = GATE_BODY_MS;
  if(!s->config.idle_ms) s->config.idle_ms = GATE_IDLE_MS;
  if(!s->config.stall_ms) s->config.stall_ms = GATE_STALL_MS;
  gate_shared_set_bodies(s, c->body_max, c->bodies_sum_max);
  return s;
}

void gate_shared_destroy(struct gate_shared *s)
{
  mem_free(s);
}

int gate_connections(const struct gate_shared *s)
{
  return atomic_load(&s->connections);
}

struct gate *gate_new(struct gate_shared *s, struct pump *p)
{
  struct gate *g = mem_zalloc(sizeof *g);
  if(!g) return NULL;
  g->shared = s;
  g->pump = p;
  g->pause.fn = gate_resume;
  g->requests.fn = gate_requests;
  return g;
}

enum q_status gate_listen(struct gate *g, int fd)
{
  struct gate_listener *l = &g->listeners[g->listener_n];
  if(g->listener_n == GATE_LISTENERS) return Q_TOO_BIG;
  *l = (struct gate_listener){ { gate_accept, fd }, g, true };
  enum q_status st = pump_add_listener(g->pump, &l->io);
  if(!st) g->listener_n++;
  return st;
}

void gate_unlisten(struct gate *g)
{
  pump_timer_off(g->pump, &g->pause);
  for(int i = 0; i < g->listener_n; i++)
    if(g->listeners[i].on) pump_del(g->pump, &g->listeners[i].io);
  g->listener_n = 0;
}

void gate_drain(struct gate *g)
{
  g->draining = true;
  for(struct client *c = g->clients, *next; c; c = next) {
    next = c->next;
    if(c->state == CLIENT_READING && c->in_n == 0) client_close(c);
    else if(c->state == CLIENT_READING || c->state == CLIENT_COLLECTING) client_shut(c);
  }
}

int gate_busy(const struct gate_shared *s)
{
  return atomic_load(&s->connections) - atomic_load(&s->refused);
}

int gate_open(const struct gate *g)
{
  return g->open;
}

void gate_destroy(struct gate *g)
{
  if(!g) return;
  gate_unlisten(g);
  while(g->clients) {
    struct client *c = g->clients;
    struct client_taker *taker = c->state == CLIENT_TAKEN ? c->taker : NULL;
    client_close(c);
    pump_undefer(g->pump, &c->bury);
    client_free(c);
    if(taker) taker->on_gone(taker);
  }
  pump_undefer(g->pump, &g->requests);
  mem_free(g);
}
