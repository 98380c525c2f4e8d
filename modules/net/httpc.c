#include "net/httpc.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/crypt.h"
#include "base/mem.h"
#include "net/conn.h"
#include "proto/http1.h"
#include "proto/inflate.h"
#include "proto/url.h"

enum {
  HTTPC_IDLE_MAX = 128, HTTPC_IDLE_MS = 55 * 1000, HTTPC_CONNECT_MS = 10 * 1000, HTTPC_HEAD_MAX = 64 * 1024,
  HTTPC_URL_MAX = 16 * 1024, HTTPC_ONE_WRITE = 16 * 1024, HTTPC_INTERIM_MAX = 8, HTTPC_OUT_MAX = 128 * 1024, HTTPC_WATCH_MS = 200
};

#define HTTPC_UNPACKED_MAX ((uint64_t)1 << 40) /* owners bound what they keep; a stream has no natural end */

/* A connection and what it leads to. It belongs to one exchange, or waits in the list of idle ones. */
struct httpc_link {
  struct httpc *h;
  struct conn *conn;
  struct httpc_link *prev, *next; /* idle ones, used last first */
  int64_t idle_until_ms;
  bool reused;
  bool tls, public_only;
  int port;
  struct str host, proxy;         /* into text */
  char text[];
};

struct httpc {
  struct conn_env env;
  struct httpc_link *newest, *oldest;
  int idle;
  struct pump_timer timer;        /* at the oldest idle connection's end */
};

enum httpc_framing { HTTPC_NO_BODY, HTTPC_LENGTH, HTTPC_CHUNKED, HTTPC_TO_END };

struct xchg_impl {
  struct xchg *x;
  struct httpc *h;
  struct httpc_link *link;
  int64_t connect_ms;
  enum q_status st;               /* Q_OK while all is well */
  char *words;

  struct strbuf out, body;        /* request: head (and a short body), long body */
  size_t out_at, body_at;
  bool connected, sent, write_broken, any_byte, retried;

  struct strbuf in;               /* response head */
  int interim;
  bool head_done;
  struct xchg_head head;
  bool keep;                      /* the response lets the connection live */
  enum httpc_framing framing;
  uint64_t left;                  /* of HTTPC_LENGTH */
  struct http1_chunk chunk;
  size_t lent;                    /* bytes of the connection's that the owner looks at now */
  bool body_done;
  struct inflate gzip;            /* open if the body is packed */
  struct str packed;              /* rest of a piece for it */
  bool unpacked;                  /* its end was seen */
  bool head_only;                 /* HEAD: no body follows */
};

/* ---- failing ---- */

static enum q_status httpc_fail(struct xchg_impl *m, enum q_status st, const char *fmt, ...)
  __attribute__((format(printf, 3, 4)));

static enum q_status httpc_fail(struct xchg_impl *m, enum q_status st, const char *fmt, ...)
{
  char text[400];
  va_list ap;
  if(m->st) return m->st;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  m->words = mem_strndup(text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
  m->st = st;
  return st;
}

static enum q_status httpc_nomem(struct xchg_impl *m)
{
  return httpc_fail(m, Q_NOMEM, "Out of memory.");
}

/* ---- idle connections ---- */

static void httpc_link_destroy(struct httpc_link *l)
{
  if(!l) return;
  conn_close(l->conn);
  mem_free(l);
}

static void httpc_unlink(struct httpc *h, struct httpc_link *l)
{
  if(l->prev) l->prev->next = l->next;
  else h->newest = l->next;
  if(l->next) l->next->prev = l->prev;
  else h->oldest = l->prev;
  l->prev = l->next = NULL;
  h->idle--;
}

static void httpc_drop_idle(struct httpc *h, struct httpc_link *l)
{
  httpc_unlink(h, l);
  httpc_link_destroy(l);
}

/* Nothing may come on an idle connection: whatever shows is its end. */
static void httpc_on_idle(struct conn *c, void *owner)
{
  struct httpc_link *l = owner;
  struct str in;
  if(conn_read(c, &in) != Q_AGAIN) httpc_drop_idle(l->h, l);
}

static void httpc_arm(struct httpc *h)
{
  if(!h->oldest) {
    pump_timer_off(h->env.pump, &h->timer);
    return;
  }
  /* Without memory for the timer the list is still bounded, and closed by the peers. */
  (void)!pump_timer_set(h->env.pump, &h->timer, h->oldest->idle_until_ms);
}

static void httpc_on_timer(struct pump_timer *t)
{
  struct httpc *h = (struct httpc *)((char *)t - offsetof(struct httpc, timer));
  while(h->oldest && h->oldest->idle_until_ms <= pump_now(h->env.pump)) httpc_drop_idle(h, h->oldest);
  httpc_arm(h);
}

static void httpc_park(struct httpc *h, struct httpc_link *l)
{
  struct str in;
  if(conn_read(l->conn, &in) != Q_AGAIN || !conn_flushed(l->conn)) {
    httpc_link_destroy(l);
    return;
  }
  conn_set_owner(l->conn, httpc_on_idle, l);
  l->idle_until_ms = pump_now(h->env.pump) + HTTPC_IDLE_MS;
  l->next = h->newest;
  if(h->newest) h->newest->prev = l;
  else h->oldest = l;
  h->newest = l;
  h->idle++;
  if(h->idle > HTTPC_IDLE_MAX) httpc_drop_idle(h, h->oldest);
  if(!h->timer.slot) httpc_arm(h);
}

static struct httpc_link *httpc_take(struct httpc *h, const struct httpc_link *like)
{
  for(struct httpc_link *l = h->newest, *next; l; l = next) {
    struct str in;
    next = l->next;
    if(l->port != like->port || l->tls != like->tls || l->public_only != like->public_only || 
       !str_ieq(l->host, like->host) || !str_eq(l->proxy, like->proxy)) continue;
    if(conn_read(l->conn, &in) != Q_AGAIN) {
      httpc_drop_idle(h, l);
      continue;
    }
    httpc_unlink(h, l);
    l->reused = true;
    return l;
  }
  return NULL;
}

struct httpc *httpc_new(struct pump *p, struct net *net)
{
  struct httpc *h = mem_zalloc(sizeof *h);
  if(!h) return NULL;
  h->env.net = net;
  h->env.pump = p;
  h->timer.fn = httpc_on_timer;
  return h;
}

void httpc_destroy(struct httpc *h)
{
  if(!h) return;
  while(h->newest) httpc_drop_idle(h, h->newest);
  pump_timer_off(h->env.pump, &h->timer);
  tls_bufs_free(&h->env.bufs);
  mem_free(h);
}

struct httpc_counts httpc_counts(const struct httpc *h)
{
  return (struct httpc_counts){
    .idle = h->idle, .open = h->env.open, .full_handshakes = h->env.full_handshakes,
    .resumed_handshakes = h->env.resumed_handshakes, .connects = h->env.connects,
  };
}

/* ---- the way there ---- */

static void httpc_on_event(struct conn *c, void *owner);

/* The connection for a link that has none. */
static enum q_status httpc_connect(struct xchg_impl *m)
{
  struct httpc_link *l = m->link;
  struct conn_want w = {
    .host = l->host, .port = l->port, .tls = l->tls, .proxy = l->proxy,
    .public_only = l->public_only, .deadline_ms = pump_now(m->h->env.pump) + m->connect_ms,
  };
  m->connected = false;
  l->reused = false;
  l->conn = conn_open(&m->h->env, &w, httpc_on_event, m);
  return l->conn ? Q_OK : Q_NOMEM;
}

static void httpc_free_body(struct strbuf *b)
{
  if(!b->cap) *b = STRBUF(b->max); /* borrowed */
  strbuf_free(b);
}

/* Once it has left and cannot be asked for again, a stream need not carry its request along. */
static void httpc_forget_request(struct xchg_impl *m)
{
  if(!m->sent) return;
  strbuf_free(&m->out);
  httpc_free_body(&m->body);
  m->out_at = m->body_at = 0;
}

static void httpc_send(struct xchg_impl *m)
{
  struct conn *c = m->link->conn;
  struct strbuf *parts[2] = { &m->out, &m->body };
  size_t *at[2] = { &m->out_at, &m->body_at };
  if(m->sent || m->write_broken || m->st) return;
  for(int i = 0; i < 2; i++) {
    while(*at[i] < parts[i]->n) {
      size_t took;
      enum q_status st = conn_write(c, parts[i]->p + *at[i], parts[i]->n - *at[i], &took);
      *at[i] += took;
      if(st == Q_NOMEM) (void)httpc_nomem(m);
      else if(st) m->write_broken = true;
      if(st || !took) return;
    }
  }
  m->sent = conn_flushed(c);
  if(!m->link->reused) httpc_forget_request(m);
}

/* What failed on a connection that had served before, before anything came back, is tried once on a fresh one: the
 * peer most likely closed it while our request was on its way. */
static bool httpc_retry(struct xchg_impl *m)
{
  if(!m->link->reused || m->retried || m->any_byte) return false;
  m->retried = true;
  conn_close(m->link->conn);
  m->link->conn = NULL;
  m->out_at = m->body_at = 0;
  m->sent = m->write_broken = false;
  if(httpc_connect(m)) (void)httpc_nomem(m);
  return true;
}

static enum q_status httpc_cut(struct xchg_impl *m, const char *what)
{
  return httpc_fail(m, Q_UP_CUT, "%.*s:%d %s.", STR_F(m->link->host), m->link->port, what);
}

/* Bytes of the response. Q_EOF is the peer's clean end. */
static enum q_status httpc_recv(struct xchg_impl *m, struct str *in)
{
  if(m->st) return m->st;
  if(!m->connected) return Q_AGAIN;
  enum q_status st = conn_read(m->link->conn, in);
  if(st == Q_OK) m->any_byte = true;
  if(st == Q_AGAIN && m->write_broken) st = Q_UP_CUT;
  if(st == Q_OK || st == Q_AGAIN) return st;
  if(st != Q_NOMEM && httpc_retry(m)) return m->st ? m->st : Q_AGAIN;
  if(st == Q_EOF) return st;
  const char *words = conn_words(m->link->conn);
  if(words[0]) return httpc_fail(m, st, "%s", words);
  return httpc_cut(m, "reset the connection");
}

static void httpc_on_event(struct conn *c, void *owner)
{
  struct xchg_impl *m = owner;
  enum q_status st = conn_status(c);
  if(!m->connected) {
    if(st == Q_OK) m->connected = true;
    else if(st != Q_AGAIN) (void)httpc_fail(m, st, "%s", conn_words(c));
  }
  if(m->connected) httpc_send(m);
  m->x->on_ready(m->x);
}

/* ---- the request ---- */

static void httpc_host_line(struct strbuf *b, const struct httpc_link *l)
{
  bool v6 = str_chr(l->host, ':') >= 0;
  strbuf_fmt(b, v6 ? "[%.*s]" : "%.*s", STR_F(l->host));
  if(l->port != (l->tls ? 443 : 80)) strbuf_fmt(b, ":%d", l->port);
}

/* A plain origin behind an HTTP proxy is asked for by its whole URL, with the proxy's credentials in our own head. */
static enum q_status httpc_forward(struct xchg_impl *m, struct str *auth, struct strbuf *auth_buf)
{
  struct proxy p;
  enum q_status st = proxy_parse(&p, m->link->proxy, NULL);
  if(!st && p.kind != PROXY_SOCKS5) {
    proxy_auth_line(&p, auth_buf);
    *auth = strbuf_str(auth_buf);
    st = auth_buf->err ? Q_NOMEM : Q_OK;
  } else if(!st) {
    st = Q_EOF;
  }
  proxy_free(&p);
  return st;
}

static enum q_status httpc_write_head(struct xchg_impl *m, const struct xchg_req *req, struct str path)
{
  struct strbuf *b = &m->out, auth_buf = STRBUF(2048);
  struct str auth = STR_NONE;
  bool forward = false;
  if(m->link->proxy.n && !m->link->tls) {
    enum q_status st = httpc_forward(m, &auth, &auth_buf);
    if(st == Q_NOMEM) {
      strbuf_free(&auth_buf);
      return st;
    }
    forward = st == Q_OK;
  }
  strbuf_adds(b, req->method);
  strbuf_addc(b, ' ');
  if(forward) {
    strbuf_lit(b, "http://");
    httpc_host_line(b, m->link);
  }
  if(!path.n || path.p[0] != '/') strbuf_addc(b, '/');
  strbuf_adds(b, path);
  strbuf_lit(b, " HTTP/1.1\r\nHost: ");
  httpc_host_line(b, m->link);
  strbuf_lit(b, "\r\n");
  strbuf_adds(b, auth);
  strbuf_adds(b, req->headers);
  if(req->body || str_eq(req->method, S("POST")) || str_eq(req->method, S("PUT")))
    strbuf_fmt(b, "Content-Length: %zu\r\n", req->body ? req->body->n : 0);
  strbuf_lit(b, "\r\n");
  if(auth_buf.p) crypt_wipe(auth_buf.p, auth_buf.cap);
  strbuf_free(&auth_buf);
  if(b->err) return b->err == Q_NOMEM ? Q_NOMEM : Q_BAD_VALUE;
  return Q_OK;
}

static enum q_status httpc_begin(struct xchg *x, struct httpc *h, const struct xchg_req *req, bool public_only, bool once)
{
  struct url u;
  struct xchg_impl *m;
  enum q_status st = Q_NOMEM;

  x->impl = NULL;
  if(req->url.n > HTTPC_URL_MAX || !url_split(req->url, &u) || u.host.n > RESOLVE_HOST_MAX) return Q_BAD_VALUE;
  if(!str_ieq(u.scheme, S("http")) && !str_ieq(u.scheme, S("https"))) return Q_BAD_VALUE;
  m = mem_zalloc(sizeof *m);
  if(!m) return Q_NOMEM;
  m->x = x;
  m->h = h;
  m->out.max = HTTPC_OUT_MAX;
  m->in.max = HTTPC_HEAD_MAX;
  m->connect_ms = req->connect_ms > 0 ? req->connect_ms : HTTPC_CONNECT_MS;
  m->head_only = str_eq(req->method, S("HEAD"));
  m->link = mem_zalloc(sizeof *m->link + u.host.n + req->proxy.n);
  if(!m->link) goto fail;
  m->link->h = h;
  m->link->tls = url_tls(&u);
  m->link->public_only = public_only;
  m->link->port = u.port;
  m->link->host = str_of(m->link->text, u.host.n);
  memcpy(m->link->text, u.host.p, u.host.n);
  m->link->proxy = str_of(m->link->text + u.host.n, req->proxy.n);
  if(req->proxy.n) memcpy(m->link->text + u.host.n, req->proxy.p, req->proxy.n);
  st = httpc_write_head(m, req, u.path);
  if(st) goto fail;
  bool one = req->body && m->out.n + req->body->n <= HTTPC_ONE_WRITE;
  if(one) strbuf_adds(&m->out, strbuf_str(req->body));
  st = m->out.err;
  if(st) goto fail;

  struct httpc_link *old = once ? NULL : httpc_take(h, m->link);
  if(old) {
    mem_free(m->link);
    m->link = old;
    conn_set_owner(old->conn, httpc_on_event, m);
    m->connected = true;
  } else {
    st = httpc_connect(m);
    if(st) goto fail;
  }
  if(one) {
    httpc_free_body(req->body);
  } else if(req->body) {
    m->body = *req->body;
    *req->body = STRBUF(m->body.max);
  }
  x->impl = m;
  if(m->connected) httpc_send(m);
  if(m->write_broken || m->st) conn_again(m->link->conn);
  return Q_OK;

fail:
  strbuf_free(&m->out);
  mem_free(m->link);
  mem_free(m);
  return st;
}

enum q_status xchg_start(struct xchg *x, struct httpc *h, const struct xchg_req *req)
{
  return httpc_begin(x, h, req, false, false);
}

enum q_status xchg_start_public(struct xchg *x, struct httpc *h, const struct xchg_req *req)
{
  return httpc_begin(x, h, req, true, false);
}

enum q_status xchg_start_once(struct xchg *x, struct httpc *h, const struct xchg_req *req)
{
  return httpc_begin(x, h, req, false, true);
}

bool xchg_sent_all(const struct xchg *x)
{
  return x->impl && x->impl->sent;
}

const char *xchg_error(const struct xchg *x)
{
  const struct xchg_impl *m = x->impl;
  if(!m) return "The URL is not acceptable.";
  return m->words ? m->words : m->st ? "Out of memory." : "";
}

void xchg_close(struct xchg *x)
{
  struct xchg_impl *m = x->impl;
  if(!m) return;
  x->impl = NULL;
  if(m->lent) conn_took(m->link->conn, m->lent);
  if(m->body_done && m->keep && m->sent && !m->st) httpc_park(m->h, m->link);
  else httpc_link_destroy(m->link);
  strbuf_free(&m->out);
  httpc_free_body(&m->body);
  strbuf_free(&m->in);
  inflate_free(&m->gzip);
  mem_free(m->words);
  mem_free(m);
}

/* ---- the response ---- */

/* The value of a header in a raw block; the parser was strict, so lines end in CRLF and names touch their colon. */
static struct str httpc_header(struct str block, struct str name)
{
  while(block.n) {
    struct str line = str_cut(&block, '\n'), key = str_cut(&line, ':');
    if(str_ieq(key, name)) return str_trim(line);
  }
  return STR_NONE;
}

static enum q_status httpc_accept(struct xchg_impl *m, const struct http1_response *r)
{
  struct str block = str_sub(strbuf_str(&m->in), 0, r->head_n);
  (void)str_cut(&block, '\n'); /* the status line */
  m->head = (struct xchg_head){ r->status, block };
  m->keep = r->keep_alive;
  m->framing = r->no_body ? HTTPC_NO_BODY : r->chunked ? HTTPC_CHUNKED : r->has_length ? HTTPC_LENGTH : HTTPC_TO_END;
  m->left = r->content_length;
  m->body_done = m->framing == HTTPC_NO_BODY || (m->framing == HTTPC_LENGTH && !m->left);
  struct str coding = httpc_header(block, S("Content-Encoding"));
  if(!coding.n || str_ieq(coding, S("identity"))) return Q_OK;
  if(str_ieq(coding, S("gzip")) || str_ieq(coding, S("x-gzip")))
    return m->body_done || inflate_init(&m->gzip, HTTPC_UNPACKED_MAX) == Q_OK ? Q_OK : httpc_nomem(m);
  if(coding.n > 40) coding.n = 40;
  return httpc_fail(m, Q_UP_BODY, "%.*s:%d answered with the content encoding \"%.*s\", which this gateway does not "
                    "read.", STR_F(m->link->host), m->link->port, STR_F(coding));
}

/* The bytes of a head are collected, those behind it stay in the connection. */
static enum q_status httpc_head(struct xchg_impl *m)
{
  struct http1_response r;
  size_t seen = 0;
  for(;;) {
    struct str in;
    enum q_status st = httpc_recv(m, &in);
    if(st == Q_EOF)
      return httpc_cut(m, m->in.n ? "closed the connection inside the head of its answer"
                                  : "closed the connection without an answer");
    if(st) return st;
    size_t had = m->in.n, dropped = 0, n = in.n < HTTPC_HEAD_MAX - had ? in.n : HTTPC_HEAD_MAX - had;
    strbuf_add(&m->in, in.p, n);
    if(m->in.err) return httpc_nomem(m);
    while((st = http1_response(strbuf_str(&m->in), &seen, m->head_only, &r)) == Q_OK && r.status < 200) {
      if(r.status == 101 || ++m->interim > HTTPC_INTERIM_MAX)
        return httpc_fail(m, Q_UP_BODY, "%.*s:%d sent interim answers only.", STR_F(m->link->host), m->link->port);
      dropped += r.head_n;
      strbuf_drop(&m->in, r.head_n);
      seen = 0;
    }
    if(!st) {
      conn_took(m->link->conn, dropped + r.head_n - had);
      m->in.n = r.head_n;
      /* A stream keeps its head for long. */
      char *tight = m->in.cap > 2 * m->in.n ? mem_realloc(m->in.p, m->in.n) : NULL;
      if(tight) {
        m->in.p = tight;
        m->in.cap = m->in.n;
      }
      m->head_done = true;
      httpc_forget_request(m);
      return httpc_accept(m, &r);
    }
    if(st != Q_AGAIN || !n)
      return httpc_fail(m, Q_UP_BODY, "%.*s:%d sent a head that is no acceptable HTTP/1.1.", STR_F(m->link->host),
                        m->link->port);
    conn_took(m->link->conn, n);
  }
}

enum q_status xchg_head(struct xchg *x, struct xchg_head *head)
{
  struct xchg_impl *m = x->impl;
  enum q_status st = m->st;
  if(!st && !m->head_done) st = httpc_head(m);
  if(!st) *head = m->head;
  return st;
}

struct str xchg_header(const struct xchg *x, struct str name)
{
  return x->impl && x->impl->head_done ? httpc_header(x->impl->head.headers, name) : STR_NONE;
}

/* The next piece of the body without its framing; what the piece borrows is given back by the next call. */
static enum q_status httpc_piece(struct xchg_impl *m, struct str *piece)
{
  struct str in;
  enum q_status st;
  for(;;) {
    if(m->lent) conn_took(m->link->conn, m->lent);
    m->lent = 0;
    if(m->st) return m->st;
    if(m->body_done) return Q_EOF;
    st = httpc_recv(m, &in);
    if(st == Q_EOF && m->framing == HTTPC_TO_END) {
      m->body_done = true;
      m->keep = false;
      return Q_EOF;
    }
    if(st == Q_EOF) return httpc_cut(m, "closed the connection in the middle of its answer");
    if(st) return st;
    struct str rest = in;
    switch(m->framing) {
      case HTTPC_LENGTH:
        *piece = str_sub(in, 0, m->left < in.n ? (size_t)m->left : in.n);
        m->lent = piece->n;
        m->left -= piece->n;
        m->body_done = m->left == 0;
        return Q_OK;
      case HTTPC_CHUNKED:
        st = http1_chunk_next(&m->chunk, &rest, piece);
        m->lent = in.n - rest.n;
        if(!st) return Q_OK;
        m->body_done = st == Q_EOF;
        if(st != Q_AGAIN && st != Q_EOF)
          return httpc_fail(m, Q_UP_BODY, "%.*s:%d broke the chunked coding of its answer.", STR_F(m->link->host),
                            m->link->port);
        break;
      default:
        *piece = in;
        m->lent = in.n;
        return Q_OK;
    }
  }
}

enum q_status xchg_read(struct xchg *x, struct str *out)
{
  struct xchg_impl *m = x->impl;
  struct xchg_head head;
  *out = STR_NONE;
  enum q_status st = xchg_head(x, &head);
  if(st) return st;
  if(!m->gzip.impl) return httpc_piece(m, out);
  for(;;) {
    /* The unpacker may hold more output than it could give at once: it is asked before the connection is. */
    st = m->unpacked ? Q_EOF : inflate_next(&m->gzip, &m->packed, out);
    if(!st) return st;
    if(st == Q_NOMEM) return httpc_nomem(m);
    if(st == Q_EOF) m->unpacked = true;
    else if(st != Q_AGAIN)
      return httpc_fail(m, Q_UP_BODY, "%.*s:%d sent a damaged gzip body.", STR_F(m->link->host), m->link->port);
    st = httpc_piece(m, &m->packed); /* what stands behind the packed stream is dropped */
    if(st == Q_EOF && !m->unpacked) return httpc_cut(m, "ended its gzip body too early");
    if(st) {
      m->packed = STR_NONE;
      return st;
    }
  }
}

/* ---- for jobs ---- */

struct httpc_wait {
  struct xchg x;
  bool ready;
};

static void httpc_on_ready(struct xchg *x)
{
  ((struct httpc_wait *)x)->ready = true;
}

/* Takes what is there. Q_AGAIN: more is to come. Q_EOF: complete. */
static enum q_status httpc_collect(struct xchg *x, int *status, struct strbuf *headers, struct strbuf *body)
{
  struct xchg_head head;
  struct str piece;
  enum q_status st = xchg_head(x, &head);
  if(st) return st;
  if(!*status) {
    *status = head.status;
    if(headers) strbuf_adds(headers, head.headers);
    if(headers && headers->err) return headers->err;
  }
  while((st = xchg_read(x, &piece)) == Q_OK) {
    strbuf_adds(body, piece);
    if(body->err) return body->err;
  }
  return st;
}

static enum q_status httpc_wait(struct net *net, const struct now *now, const struct xchg_req *req,
                                const struct httpc_watch *watch, int64_t deadline_ms, int *status, struct strbuf *headers, struct strbuf *body,
                                struct q_error *err)
{
  struct httpc_wait w = { .x.on_ready = httpc_on_ready };
  struct pump *p = pump_new(now);
  struct httpc *h = p ? httpc_new(p, net) : NULL;
  const char *words = "Out of memory.";
  enum q_status st = Q_NOMEM;

  *status = 0;
  if(!h) goto done;
  h->env.may_block = true;
  int64_t until_ms = pump_now(p) + deadline_ms;
  st = httpc_begin(&w.x, h, req, watch->public_only, false);
  words = st == Q_NOMEM ? words : "The URL is not acceptable.";
  if(st) goto done;
  for(st = Q_AGAIN; st == Q_AGAIN;) {
    int64_t left_ms = until_ms - now_mono_ms(now), turn_ms = watch->go_on ? HTTPC_WATCH_MS : 1000;
    if(left_ms <= 0) break;
    if(watch->go_on && !watch->go_on(watch->ctx, body)) {
      st = Q_CLIENT_GONE;
      break;
    }
    w.ready = false;
    pump_turn(p, left_ms > turn_ms ? (int)turn_ms : (int)left_ms);
    if(w.ready) st = httpc_collect(&w.x, status, headers, body);
  }
  words = xchg_error(&w.x);
  if(st == Q_AGAIN) {
    st = *status ? Q_UP_IDLE_TIME : w.x.impl->connected ? Q_UP_FIRST_TIME : Q_UP_CONNECT_TIME;
    words = "The upstream did not answer in time.";
  } else if(st == Q_TOO_BIG) {
    words = "The upstream's answer is too large.";
  } else if(st == Q_CLIENT_GONE) {
    words = "Given up.";
  } else if(st == Q_EOF) {
    st = Q_OK;
  } else if(!words[0]) {
    words = "Out of memory.";
  }

done:
  if(st && err) (void)status_fail(err, st, NULL, "%s", words);
  xchg_close(&w.x);
  httpc_destroy(h);
  pump_destroy(p);
  return st;
}

enum q_status httpc_call(struct net *net, const struct now *now, const struct xchg_req *req, int64_t deadline_ms,
                         int *status, struct strbuf *headers, struct strbuf *body, struct q_error *err)
{
  return httpc_wait(net, now, req, &(struct httpc_watch){ .go_on = NULL }, deadline_ms, status, headers, body, err);
}

enum q_status httpc_call_public(struct net *net, const struct now *now, const struct xchg_req *req, int64_t deadline_ms,
                                int *status, struct strbuf *headers, struct strbuf *body, struct q_error *err)
{
  return httpc_wait(net, now, req, &(struct httpc_watch){ .public_only = true }, deadline_ms, status, headers, body, err);
}

enum q_status httpc_call_watched(struct net *net, const struct now *now, const struct xchg_req *req, const struct httpc_watch *w,
                                 int64_t deadline_ms, int *status, struct strbuf *headers, struct strbuf *body,
                                 struct q_error *err)
{
  return httpc_wait(net, now, req, w, deadline_ms, status, headers, body, err);
}
