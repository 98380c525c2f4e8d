#include "net/conn.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/mem.h"
#include "net/tcp.h"

enum { CONN_TRY_MIN_MS = 300, CONN_TRY_MAX_MS = 2000, CONN_LEAD_MS = 1000, CONN_TURN_READS = 16, CONN_LAYERS = 2 };

enum conn_step { CONN_RESOLVE, CONN_CONNECT, CONN_PROXY_TLS, CONN_TALK, CONN_TLS, CONN_OPEN, CONN_FAILED };

/* Needed until the connection is open. */
struct conn_opening {
  struct conn *conn;
  struct resolve_wait wait;
  struct resolved resolved;
  int addr_at;              /* next to be tried */
  int64_t deadline_ms;
  int last_errno;           /* of the last address tried */
  bool public_only;         /* and the host is not mapped; without a proxy, who resolves for himself */
  bool refused;             /* an address was passed over for that */
};

struct conn {
  struct conn_env *env;
  void (*on_event)(struct conn *c, void *owner);
  void *owner;
  enum conn_step step;
  enum q_status st;         /* Q_AGAIN while opening */
  char *words;              /* of the failure; NULL: out of memory while failing */

  struct pump_io io;        /* fd -1: none */
  struct pump_timer timer;
  struct pump_task task;
  bool deferred;
  bool readable, writable;  /* by edge: until EAGAIN or a short count says otherwise */
  bool hup;                 /* the peer's end was seen: read on until it shows */
  bool eof;
  bool granted;             /* this turn's expensive step is ours */
  unsigned reads;           /* in this turn: a fast peer must not starve the others */
  int write_errno;

  unsigned char *rx;        /* received and not taken; NULL: nothing */
  size_t rx_at, rx_n;

  struct tls *layer[CONN_LAYERS]; /* innermost (on the socket) first */
  int layers;
  struct conn_opening *opening;
  struct proxy *proxy;
  struct conn *wait_next;   /* in env->waiting */
  bool waits, waited;       /* at most once */
  int port;
  bool tls;
  char host[];
};

/* ---- failing ---- */

static enum q_status conn_fail(struct conn *c, enum q_status st, const char *fmt, ...)
  __attribute__((format(printf, 3, 4)));

static enum q_status conn_fail(struct conn *c, enum q_status st, const char *fmt, ...)
{
  char text[400];
  va_list ap;
  if(c->step == CONN_FAILED) return c->st;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if(n < 0) n = 0;
  if((size_t)n >= sizeof text) n = sizeof text - 1;
  c->words = mem_strndup(text, (size_t)n);
  c->st = st;
  c->step = CONN_FAILED;
  return st;
}

static enum q_status conn_nomem(struct conn *c)
{
  return conn_fail(c, Q_NOMEM, "Out of memory.");
}

/* Is the proxy, not the origin, the one we are talking to? */
static bool conn_at_proxy(const struct conn *c)
{
  return c->proxy && c->step <= CONN_TALK;
}

static const char *conn_peer_host(const struct conn *c)
{
  return conn_at_proxy(c) ? c->proxy->host : c->host;
}

static int conn_peer_port(const struct conn *c)
{
  return conn_at_proxy(c) ? c->proxy->port : c->port;
}

/* A failure of the socket, worded by how far we are. */
static enum q_status conn_broken(struct conn *c, const char *what)
{
  if(conn_at_proxy(c))
    return conn_fail(c, Q_PROXY, "The proxy %s:%d %s.", c->proxy->host, c->proxy->port, what);
  if(c->step == CONN_TLS)
    return conn_fail(c, Q_UP_UNREACHABLE, "%s:%d %s during the TLS handshake.", c->host, c->port, what);
  return conn_fail(c, Q_UP_CUT, "%s:%d %s.", c->host, c->port, what);
}

static const char *conn_errno_words(int why)
{
  switch(why) {
    case ECONNREFUSED: return "refused the connection";
    case ETIMEDOUT: return "did not answer";
    case ENETUNREACH:
    case EHOSTUNREACH: return "cannot be reached from here (no route)";
    case ECONNRESET:
    case EPIPE: return "reset the connection";
    case EMFILE:
    case ENFILE: return "was not tried: no file descriptor is free";
    default: return "broke the connection";
  }
}

static enum q_status conn_tls_failed(struct conn *c, const struct tls *t)
{
  char text[320];
  tls_words(tls_error(t), conn_peer_host(c), text, sizeof text);
  if(conn_at_proxy(c)) return conn_fail(c, Q_PROXY, "Proxy: %s", text);
  return conn_fail(c, c->step == CONN_OPEN ? Q_UP_CUT : Q_UP_TLS, "%s", text);
}

/* ---- bytes: level 0 is the socket, level n the plain text of layer n ---- */

static void conn_drop_rx(struct conn *c)
{
  tls_bufs_put(&c->env->bufs, c->rx);
  c->rx = NULL;
  c->rx_at = c->rx_n = 0;
}

static void conn_defer(struct conn *c)
{
  if(c->deferred) return;
  c->deferred = true;
  pump_defer(c->env->pump, &c->task);
}

static enum q_status conn_recv(struct conn *c, struct str *out)
{
  const struct transport *io = c->env->net->transport;
  if(c->rx_at == c->rx_n) {
    if(c->eof) return Q_EOF;
    if(!c->readable) return Q_AGAIN;
    if(c->reads >= CONN_TURN_READS) {
      conn_defer(c);
      return Q_AGAIN;
    }
    c->reads++;
    if(!c->rx && !(c->rx = tls_bufs_get(&c->env->bufs))) return conn_nomem(c);
    long n;
    do n = io->read(io->ctx, c->io.fd, c->rx, TLS_BUF);
    while(n < 0 && errno == EINTR);
    int why = n < 0 ? errno : 0;
    if(n <= 0) conn_drop_rx(c);
    if(why == EAGAIN || why == EWOULDBLOCK) {
      c->readable = false;
      return Q_AGAIN;
    }
    if(n < 0) return conn_broken(c, conn_errno_words(why));
    if(n == 0) {
      c->eof = true;
      return Q_EOF;
    }
    /* A short count means an empty socket, and what comes next is a new edge; but the peer's end is an edge of the
     * past once it was reported, and a test's transport may be short for the fun of it. */
    if(n < TLS_BUF && !c->hup && io == &transport_real) c->readable = false;
    c->rx_at = 0;
    c->rx_n = (size_t)n;
  }
  *out = str_of((const char *)c->rx + c->rx_at, c->rx_n - c->rx_at);
  return Q_OK;
}

static void conn_level_took(struct conn *c, int level, size_t n)
{
  if(level > 0) {
    tls_plain_took(c->layer[level - 1], n);
    return;
  }
  c->rx_at += n;
  if(c->rx_at == c->rx_n) conn_drop_rx(c);
}

static size_t conn_send(struct conn *c, const char *p, size_t n)
{
  const struct transport *io = c->env->net->transport;
  if(!n || !c->writable || c->write_errno) return 0;
  long took;
  do took = io->write(io->ctx, c->io.fd, p, n);
  while(took < 0 && errno == EINTR);
  if(took < 0) {
    if(errno != EAGAIN && errno != EWOULDBLOCK) c->write_errno = errno ? errno : EPIPE;
    c->writable = false;
    return 0;
  }
  if((size_t)took < n && io == &transport_real) c->writable = false;
  return (size_t)took;
}

/* Moves what the layers up to this one want to send towards the socket. Q_NOMEM leaves all as it was. */
static enum q_status conn_push_out(struct conn *c, int level)
{
  enum q_status st = Q_OK;
  for(;;) {
    if(level > 1 && (st = conn_push_out(c, level - 1)) != Q_OK) return st;
    struct tls *t = c->layer[level - 1];
    struct str out = tls_out(t);
    size_t took = 0;
    if(!out.n) return Q_OK;
    if(level == 1) took = conn_send(c, out.p, out.n);
    else st = tls_write(c->layer[level - 2], out.p, out.n, &took);
    if(st || !took) return st;
    tls_out_took(t, took);
  }
}

static enum q_status conn_pull(struct conn *c, int level, struct str *out)
{
  if(level == 0) return conn_recv(c, out);
  struct tls *t = c->layer[level - 1];
  for(;;) {
    struct str in;
    size_t used;
    if((*out = tls_plain(t)).n) return Q_OK;
    if(conn_push_out(c, level)) return conn_nomem(c);
    if(tls_over(t)) return tls_clean(t) ? Q_EOF : conn_tls_failed(c, t);
    enum q_status st = conn_pull(c, level - 1, &in);
    if(st == Q_EOF) return conn_broken(c, "closed the connection without saying goodbye");
    if(st) return st;
    st = tls_feed(t, (const unsigned char *)in.p, in.n, c->granted, &used);
    if(used) conn_level_took(c, level - 1, used);
    if(st) return conn_nomem(c);
    if(tls_heavy(t)) {
      c->granted = pump_heavy(c->env->pump);
      if(c->granted) continue;
      conn_defer(c);
      return Q_AGAIN;
    }
    if(!used && !tls_plain(t).n && !tls_over(t)) {
      if(conn_push_out(c, level)) return conn_nomem(c);
      if(tls_out(t).n) return Q_AGAIN; /* the peer must take our answer first */
    }
  }
}

enum q_status conn_read(struct conn *c, struct str *out)
{
  *out = STR_NONE;
  if(c->step == CONN_FAILED) return c->st;
  if(c->step != CONN_OPEN) return Q_AGAIN;
  return conn_pull(c, c->layers, out);
}

void conn_took(struct conn *c, size_t n)
{
  if(n && (c->step == CONN_OPEN || c->rx)) conn_level_took(c, c->layers, n);
}

enum q_status conn_write(struct conn *c, const char *p, size_t n, size_t *took)
{
  *took = 0;
  if(c->step == CONN_FAILED) return c->st;
  if(c->step != CONN_OPEN) return Q_OK;
  if(c->layers == 0) {
    *took = conn_send(c, p, n);
  } else {
    struct tls *t = c->layer[c->layers - 1];
    /* What waits goes first: a record in the way would let tls_write() take nothing, and after a writable socket took all of it
     * no event would ever come. */
    if(conn_push_out(c, c->layers)) return conn_nomem(c);
    for(size_t k = 1; *took < n && k;) {
      if(tls_write(t, p + *took, n - *took, &k)) return conn_nomem(c);
      *took += k;
      if(conn_push_out(c, c->layers)) return conn_nomem(c);
    }
  }
  /* What the peer said before it stopped reading may still be in the socket: the owner reads first. */
  return c->write_errno ? Q_UP_CUT : Q_OK;
}

bool conn_flushed(struct conn *c)
{
  if(c->layers && c->step == CONN_OPEN && conn_push_out(c, c->layers)) return false;
  for(int i = 0; i < c->layers; i++)
    if(tls_out(c->layer[i]).n) return false;
  return true;
}

/* ---- opening ---- */

static void conn_close_fd(struct conn *c)
{
  if(c->io.fd < 0) return;
  pump_del(c->env->pump, &c->io);
  close(c->io.fd);
  c->io.fd = -1;
  c->readable = c->writable = c->hup = c->eof = false;
}

static enum q_status conn_resolve(struct conn *c)
{
  struct conn_opening *o = c->opening;
  struct str host = str_z(conn_peer_host(c));
  struct resolve *r = c->env->net->resolve;
  enum q_status st = c->env->may_block ? resolve_now(r, host, conn_peer_port(c), &o->resolved)
                                       : resolve_start(r, c->env->pump, host, conn_peer_port(c), &o->wait);
  c->step = CONN_CONNECT;
  return st == Q_NOMEM ? conn_nomem(c) : st;
}

static enum q_status conn_not_public(struct conn *c)
{
  return conn_fail(c, Q_BAD_VALUE, "%s is no public address.", c->host);
}

/* Opens the next address. Q_AGAIN: under way. */
static enum q_status conn_next_addr(struct conn *c)
{
  struct conn_opening *o = c->opening;
  const struct transport *io = c->env->net->transport;
  enum q_status st = conn_at_proxy(c) ? Q_PROXY : Q_UP_UNREACHABLE;
  const char *who = conn_at_proxy(c) ? "The proxy " : "";
  if(o->resolved.n == 0)
    return conn_fail(c, st, "%s%s cannot be resolved: %s.", who, conn_peer_host(c), o->resolved.words);
  conn_close_fd(c);
  while(o->addr_at < o->resolved.n) {
    const struct net_addr *a = &o->resolved.addr[o->addr_at++];
    if(o->public_only && !resolve_public(a)) {
      o->refused = true;
      continue;
    }
    c->io.fd = io->open(io->ctx, &a->u, a->len);
    if(c->io.fd < 0) {
      o->last_errno = errno;
      continue;
    }
    if(pump_add(c->env->pump, &c->io)) {
      close(c->io.fd);
      c->io.fd = -1;
      return conn_nomem(c);
    }
    /* Addresses still to come share what is left of the time. */
    int64_t now_ms = pump_now(c->env->pump), left = o->deadline_ms - now_ms;
    int64_t slice = left / (o->resolved.n - o->addr_at + 1);
    if(slice < CONN_TRY_MIN_MS) slice = CONN_TRY_MIN_MS;
    if(slice > CONN_TRY_MAX_MS && o->addr_at < o->resolved.n) slice = CONN_TRY_MAX_MS;
    if(slice > left) slice = left;
    if(pump_timer_set(c->env->pump, &c->timer, now_ms + slice)) return conn_nomem(c);
    return Q_AGAIN;
  }
  if(o->refused && !o->last_errno) return conn_not_public(c);
  return conn_fail(c, st, "%s%s:%d %s.", who, conn_peer_host(c), conn_peer_port(c), conn_errno_words(o->last_errno));
}

static enum q_status conn_connect(struct conn *c)
{
  struct conn_opening *o = c->opening;
  for(;;) {
    if(o->wait.ticket) return Q_AGAIN;
    if(c->io.fd >= 0) {
      if(!c->writable && !c->hup) return Q_AGAIN;
      int why = tcp_connected(c->io.fd);
      if(why == EINPROGRESS) return Q_AGAIN;
      if(!why) break;
      o->last_errno = why;
    }
    enum q_status st = conn_next_addr(c);
    if(st) return st;
  }
  c->env->connects++;
  if(pump_timer_set(c->env->pump, &c->timer, o->deadline_ms)) return conn_nomem(c);
  c->step = c->proxy && c->proxy->kind == PROXY_HTTPS ? CONN_PROXY_TLS
            : c->proxy && !conn_forwards(c) ? CONN_TALK : c->tls ? CONN_TLS : CONN_OPEN;
  return Q_OK;
}

static size_t conn_session_key(const struct conn *c, char *key, size_t cap)
{
  int n = snprintf(key, cap, "%s:%d", conn_peer_host(c), conn_peer_port(c));
  return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

/* Many connections to one host often begin together, and none has a session to resume yet. One goes ahead; the others
 * wait until its handshake has ended either way, since resuming costs a tenth of a full one. */
static bool conn_must_wait(struct conn *c, struct str key)
{
  struct conn_env *e = c->env;
  char theirs[300];
  if(!e->leader) {
    e->leader = c;
    int64_t until_ms = pump_now(e->pump) + CONN_LEAD_MS;
    if(until_ms < c->opening->deadline_ms && pump_timer_set(e->pump, &c->timer, until_ms)) e->leader = NULL;
    return false;
  }
  if(c->waits) return true;
  if(c->waited || e->leader == c) return false;
  if(!str_eq(str_of(theirs, conn_session_key(e->leader, theirs, sizeof theirs)), key)) return false;
  c->waits = c->waited = true;
  c->wait_next = e->waiting;
  e->waiting = c;
  return true;
}

/* This connection leads or waits no longer. */
static void conn_leave(struct conn *c)
{
  struct conn_env *e = c->env;
  if(c->waits) {
    struct conn **at = &e->waiting;
    while(*at != c) at = &(*at)->wait_next;
    *at = c->wait_next;
    c->waits = false;
  }
  if(e->leader != c) return;
  e->leader = NULL;
  while(e->waiting) {
    struct conn *next = e->waiting;
    e->waiting = next->wait_next;
    next->waits = false;
    conn_defer(next);
  }
}

/* The TLS handshake of the next layer, with whoever conn_peer_host() is now. */
static enum q_status conn_shake(struct conn *c, int level)
{
  br_ssl_session_parameters session;
  struct str out;
  char key[300];
  struct str k = str_of(key, conn_session_key(c, key, sizeof key));
  struct tls_sessions *sessions = c->env->net->sessions;
  if(c->layers < level) {
    bool known = tls_sessions_get(sessions, k, &session);
    if(!known && conn_must_wait(c, k)) return Q_AGAIN;
    struct tls_config tc = {
      .roots = &c->env->net->roots, .bufs = &c->env->bufs, .host = conn_peer_host(c),
      .wall_s = now_wall_s(c->env->net->now), .resume = known ? &session : NULL,
    };
    struct tls *t = tls_new(&tc);
    crypt_wipe(&session, sizeof session);
    if(!t) return conn_nomem(c);
    c->layer[c->layers++] = t;
  }
  struct tls *t = c->layer[level - 1];
  enum q_status st = conn_pull(c, level, &out);
  if(tls_open(t)) {
    if(conn_push_out(c, level)) return conn_nomem(c);
    if(tls_resumed(t)) c->env->resumed_handshakes++;
    else c->env->full_handshakes++;
    tls_session(t, &session);
    tls_sessions_put(sessions, k, &session);
    crypt_wipe(&session, sizeof session);
    conn_leave(c);
    return Q_OK;
  }
  if(st == Q_EOF) st = conn_broken(c, "closed the connection");
  if(st && st != Q_AGAIN) tls_sessions_drop(sessions, k);
  if(st == Q_AGAIN && c->write_errno && !c->readable) st = conn_broken(c, conn_errno_words(c->write_errno));
  return st;
}

static enum q_status conn_proxy_shake(struct conn *c)
{
  enum q_status st = conn_shake(c, 1);
  if(!st) c->step = !conn_forwards(c) ? CONN_TALK : CONN_OPEN;
  return st;
}

static enum q_status conn_talk(struct conn *c)
{
  struct proxy *p = c->proxy;
  enum q_status st = Q_OK;
  if(p->step == 0) {
    st = proxy_begin(p, str_z(c->host), c->port);
    if(st) return conn_nomem(c);
  }
  for(;;) {
    struct str in;
    size_t took = 0, used;
    if(p->out.n) {
      if(c->layers == 0) took = conn_send(c, p->out.p, p->out.n);
      else if(tls_write(c->layer[0], p->out.p, p->out.n, &took)) return conn_nomem(c);
      strbuf_drop(&p->out, took);
    }
    if(c->layers && conn_push_out(c, 1)) return conn_nomem(c);
    st = conn_pull(c, c->layers, &in);
    if(st == Q_EOF) return conn_broken(c, "closed the connection");
    if(st == Q_AGAIN && c->write_errno) return conn_broken(c, conn_errno_words(c->write_errno));
    if(st == Q_AGAIN && p->out.n && took) continue;
    if(st) return st;
    struct q_error e = Q_ERROR_NONE;
    st = proxy_push(p, in, &used, &e);
    conn_level_took(c, c->layers, used);
    if(st && st != Q_AGAIN) return st == Q_NOMEM ? conn_nomem(c) : conn_fail(c, st, "%s", e.msg);
    if(!st) break;
  }
  c->step = c->tls ? CONN_TLS : CONN_OPEN;
  return Q_OK;
}

static void conn_free_opening(struct conn *c)
{
  pump_timer_off(c->env->pump, &c->timer);
  conn_leave(c);
  if(!c->opening) return;
  resolve_cancel(c->env->net->resolve, &c->opening->wait);
  mem_free(c->opening);
  c->opening = NULL;
}

static void conn_free_proxy(struct conn *c)
{
  if(c->proxy) proxy_free(c->proxy);
  mem_free(c->proxy);
  c->proxy = NULL;
}

static void conn_step(struct conn *c)
{
  enum q_status st = Q_OK;
  while(!st && c->step < CONN_OPEN) {
    switch(c->step) {
      case CONN_RESOLVE: st = conn_resolve(c); break;
      case CONN_CONNECT: st = conn_connect(c); break;
      case CONN_PROXY_TLS: st = conn_proxy_shake(c); break;
      case CONN_TALK: st = conn_talk(c); break;
      default:
        st = conn_shake(c, c->proxy && c->proxy->kind == PROXY_HTTPS ? 2 : 1);
        if(!st) c->step = CONN_OPEN;
        break;
    }
  }
  if(c->step < CONN_OPEN) return;
  if(c->step == CONN_OPEN) c->st = Q_OK;
  conn_free_opening(c);
  if(c->step == CONN_FAILED || !conn_forwards(c)) conn_free_proxy(c);
}

/* Runs the machine and tells the owner, who may close the connection: nothing may touch it afterwards. */
static void conn_event(struct conn *c)
{
  bool opening = c->step < CONN_OPEN;
  c->granted = false;
  c->reads = 0;
  if(opening) conn_step(c);
  if(opening && c->step < CONN_OPEN) return;
  c->on_event(c, c->owner);
}

static void conn_on_io(struct pump_io *io, uint32_t events)
{
  struct conn *c = (struct conn *)((char *)io - offsetof(struct conn, io));
  if(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->hup = true;
  if(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->readable = true;
  if(events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) c->writable = true;
  conn_event(c);
}

static void conn_on_resolved(struct resolve_wait *w)
{
  struct conn_opening *o = (struct conn_opening *)((char *)w - offsetof(struct conn_opening, wait));
  conn_event(o->conn);
}

static void conn_on_timer(struct pump_timer *timer)
{
  struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, timer));
  struct conn_opening *o = c->opening;
  if(!o) return;
  if(pump_now(c->env->pump) >= o->deadline_ms) {
    (void)conn_fail(c, Q_UP_CONNECT_TIME, "%s%s:%d did not answer in time.", conn_at_proxy(c) ? "The proxy " : "",
                    conn_peer_host(c), conn_peer_port(c));
  } else if(c->step == CONN_CONNECT) {
    o->last_errno = ETIMEDOUT;
    conn_close_fd(c);
  } else {
    conn_leave(c); /* too slow to lead */
    if(pump_timer_set(c->env->pump, timer, o->deadline_ms)) (void)conn_nomem(c);
  }
  conn_step(c);
  if(c->step >= CONN_OPEN) c->on_event(c, c->owner);
}

static void conn_on_task(struct pump_task *task)
{
  struct conn *c = (struct conn *)((char *)task - offsetof(struct conn, task));
  c->deferred = false;
  conn_event(c);
}

struct conn *conn_open(struct conn_env *e, const struct conn_want *w, void (*on_event)(struct conn *c, void *owner),
                       void *owner)
{
  struct conn *c = mem_zalloc(sizeof *c + w->host.n + 1);
  if(!c) return NULL;
  c->env = e;
  e->open++;
  c->on_event = on_event;
  c->owner = owner;
  c->st = Q_AGAIN;
  c->io.fd = -1;
  c->io.fn = conn_on_io;
  c->timer.fn = conn_on_timer;
  c->task.fn = conn_on_task;
  c->port = w->port;
  c->tls = w->tls;
  memcpy(c->host, w->host.p, w->host.n);
  c->opening = mem_zalloc(sizeof *c->opening);
  if(!c->opening) goto fail;
  c->opening->conn = c;
  c->opening->deadline_ms = w->deadline_ms;
  c->opening->wait.fn = conn_on_resolved;
  c->opening->wait.out = &c->opening->resolved;
  if(w->proxy.n) {
    struct q_error err = Q_ERROR_NONE;
    c->proxy = mem_zalloc(sizeof *c->proxy);
    if(!c->proxy) goto fail;
    enum q_status st = proxy_parse(c->proxy, w->proxy, &err);
    if(st == Q_NOMEM) goto fail;
    if(st) (void)conn_fail(c, Q_PROXY, "%s", err.msg);
  }
  if(w->public_only && !resolve_mapped(e->net->resolve, w->host, w->port)) {
    struct net_addr a;
    c->opening->public_only = !c->proxy;
    if(c->proxy && ((resolve_literal(w->host, w->port, &a) && !resolve_public(&a)) || str_ieq(w->host, S("localhost"))))
      (void)conn_not_public(c);
  }
  if(pump_timer_set(e->pump, &c->timer, w->deadline_ms)) goto fail;
  conn_step(c);
  if(c->step >= CONN_OPEN) conn_defer(c);
  return c;

fail:
  conn_close(c);
  return NULL;
}

void conn_close(struct conn *c)
{
  if(!c) return;
  if(c->step == CONN_OPEN) {
    for(int level = c->layers; level > 0; level--) {
      tls_goodbye(c->layer[level - 1]);
      (void)!conn_push_out(c, level);
    }
  }
  conn_close_fd(c);
  conn_free_opening(c);
  conn_free_proxy(c);
  if(c->deferred) pump_undefer(c->env->pump, &c->task);
  for(int i = 0; i < c->layers; i++) tls_destroy(c->layer[i]);
  conn_drop_rx(c);
  mem_free(c->words);
  c->env->open--;
  mem_free(c);
}

void conn_set_owner(struct conn *c, void (*on_event)(struct conn *c, void *owner), void *owner)
{
  c->on_event = on_event;
  c->owner = owner;
}

enum q_status conn_status(const struct conn *c)
{
  return c->st;
}

const char *conn_words(const struct conn *c)
{
  return c->words ? c->words : c->step == CONN_FAILED ? "Out of memory." : "";
}

bool conn_forwards(const struct conn *c)
{
  return c->proxy && c->proxy->kind != PROXY_SOCKS5 && !c->tls;
}

const struct proxy *conn_proxy(const struct conn *c)
{
  return c->proxy;
}

void conn_again(struct conn *c)
{
  conn_defer(c);
}
