/* httpc.h - HTTP/1.1 client of the pump: exchanges over kept-alive connections, with TLS and proxies below.
 *
 * Threads: a httpc and its exchanges are owned by one pump's thread. Several httpc share one struct net (locked).
 *          Blocking work in a job uses httpc_call(), which runs a small pump of its own until the answer is complete.
 * Time:    milliseconds; connect_ms covers name resolution, connecting, proxy and TLS together. The waits for the first
 *          byte and between bytes are the caller's own timers.
 * Memory:  an exchange is embedded in its owner and zeroed before xchg_start(). Slices from xchg_head() live until
 *          xchg_close(); those from xchg_read() until the next call on the exchange.
 * Errors:  xchg_error() has the words (host:port, never user info). Statuses: Q_UP_UNREACHABLE, Q_UP_TLS, Q_PROXY,
 *          Q_UP_CONNECT_TIME, Q_UP_CUT (short body, reset), Q_UP_BODY (unacceptable HTTP, unknown encoding),
 *          Q_TOO_BIG, Q_NOMEM. */
#ifndef Q2A_NET_HTTPC_H
#define Q2A_NET_HTTPC_H

#include "base/str.h"
#include "net/pump.h"

struct net;    /* shared by all pumps: trust anchors, TLS sessions, name cache, address overrides, jobs */
struct httpc;  /* one per pump: idle connections by (origin, proxy) */

struct httpc *httpc_new(struct pump *p, struct net *net) Q_MUST_USE;
void httpc_destroy(struct httpc *h); /* closes idle connections; running exchanges were closed before */
struct httpc_counts { int idle, open; long full_handshakes, resumed_handshakes, connects; };
struct httpc_counts httpc_counts(const struct httpc *h);

/* What to send and where. All slices are copied or consumed before xchg_start() returns, but body: it is moved. */
struct xchg_req {
  struct str url;       /* http(s)://host[:port]/path?query; at most 16 KiB */
  struct str proxy;     /* http, https, socks5, socks5h URL with optional user info, or empty */
  struct str method;    /* "GET" */
  struct str headers;   /* complete lines "Name: value\r\n" without Host, Content-Length, Connection */
  struct strbuf *body;  /* NULL: none (Content-Length: 0 is sent for POST); its text is moved into the exchange. With
                           cap 0 the text is borrowed: it lives until xchg_close() */
  int64_t connect_ms;
};

struct conn;
struct xchg;
struct xchg_head {
  int status;
  struct str headers; /* raw block; xchg_header() finds one */
};

struct xchg {
  /* Set by the owner: called on the pump's thread, never from inside xchg_start(), when the head, bytes, the end or a
   * failure may have arrived. The owner calls xchg_head()/xchg_read() until Q_AGAIN; it may close from inside. */
  void (*on_ready)(struct xchg *x);
  struct xchg_impl *impl; /* private */
};

/* Starts; failures after this (also immediate ones) come by on_ready. Only Q_NOMEM or Q_BAD_VALUE (the URL) here. */
enum q_status xchg_start(struct xchg *x, struct httpc *h, const struct xchg_req *req) Q_MUST_USE;
/* The same for what must not happen twice: a kept-alive connection that dies under a request has it sent again on a fresh one, so
 * this takes a fresh one at once. */
enum q_status xchg_start_once(struct xchg *x, struct httpc *h, const struct xchg_req *req) Q_MUST_USE;
/* The same for URLs given by clients: connects to public addresses only (checked after resolution; UPSTREAM_RESOLVE may
 * name others), else fails with Q_BAD_VALUE. Behind a proxy, who resolves for himself, only literals can be checked.
 * A redirect is an exchange of its own and must be started in the same way. */
enum q_status xchg_start_public(struct xchg *x, struct httpc *h, const struct xchg_req *req) Q_MUST_USE;
enum q_status xchg_head(struct xchg *x, struct xchg_head *head) Q_MUST_USE; /* Q_OK | Q_AGAIN | trouble */
struct str xchg_header(const struct xchg *x, struct str name); /* after the head; empty if absent */
/* The next decoded piece of the body (chunks removed, gzip inflated). Q_OK: *out has bytes. Q_AGAIN. Q_EOF: complete
 * and clean. Not reading is back-pressure: bytes stay in the socket. */
enum q_status xchg_read(struct xchg *x, struct str *out) Q_MUST_USE;
bool xchg_sent_all(const struct xchg *x); /* the whole request has left us */
const char *xchg_error(const struct xchg *x);
/* Ends the exchange in any state. After Q_EOF the connection goes back to the idle ones, else it is closed. */
void xchg_close(struct xchg *x);

/* For jobs: does the whole exchange, collecting the body (at most body_max bytes) into *body. *status is the HTTP
 * status, headers (may be NULL) receives the raw header block. deadline_ms is relative. err (may be NULL) gets the
 * words. Blocks; never call it on a pump. */
enum q_status httpc_call(struct net *net, const struct now *now, const struct xchg_req *req, int64_t deadline_ms,
                         int *status, struct strbuf *headers, struct strbuf *body, struct q_error *err) Q_MUST_USE;
/* The same, given up when its owner wants so. go_on is asked at least five times a second while the exchange runs, but
 * not while a name is looked up; body is what has been collected. false: Q_CLIENT_GONE. */
struct httpc_watch { bool (*go_on)(void *ctx, const struct strbuf *body); void *ctx; bool public_only; };
enum q_status httpc_call_watched(struct net *net, const struct now *now, const struct xchg_req *req, const struct httpc_watch *w,
                                 int64_t deadline_ms, int *status, struct strbuf *headers, struct strbuf *body,
                                 struct q_error *err) Q_MUST_USE;
/* The same with the rule of xchg_start_public(). */
enum q_status httpc_call_public(struct net *net, const struct now *now, const struct xchg_req *req, int64_t deadline_ms,
                                int *status, struct strbuf *headers, struct strbuf *body, struct q_error *err)
  Q_MUST_USE;

#endif
