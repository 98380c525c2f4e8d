/* conn.h - one connection as a step machine that never waits: name, tcp, [TLS to the proxy], [CONNECT or SOCKS5],
 * [TLS to the origin], then bytes.
 *
 * Threads: owned by the pump's thread (struct net is locked).
 * Time:    deadline_ms on the pump's clock covers everything up to CONN open; an address that does not answer gives
 *          way to the next one in time.
 * Memory:  at rest an open connection holds its struct and, for TLS, what tls.h says; a receive buffer only while
 *          bytes wait in it.
 * Errors:  conn_status() and conn_words() after a failure; words name host:port, never user info. */
#ifndef Q2A_NET_CONN_H
#define Q2A_NET_CONN_H

#include "base/str.h"
#include "net/net.h"
#include "net/proxy.h"
#include "net/pump.h"
#include "net/resolve.h"
#include "net/roots.h"
#include "net/tls.h"

/* What net_new() makes; the files of this layer look inside. */
struct net {
  const struct transport *transport;
  const struct now *now;
  struct roots roots;
  struct tls_sessions *sessions;
  struct resolve *resolve;
};

/* What the connections of one pump share. */
struct conn_env {
  struct net *net;
  struct pump *pump;
  struct tls_bufs bufs;
  bool may_block;   /* in a job: resolve names on this thread */
  int open;         /* connections not closed */
  struct conn *leader;  /* makes a first session that others wait for */
  struct conn *waiting; /* those others */
  long full_handshakes, resumed_handshakes, connects;
};

struct conn_want {
  struct str host;     /* IPv6 literals without brackets */
  int port;
  bool tls;
  struct str proxy;    /* URL or empty */
  bool public_only;    /* refuse addresses that are not public, but those UPSTREAM_RESOLVE names; Q_BAD_VALUE */
  int64_t deadline_ms; /* absolute, of the pump's clock */
};

struct conn;
/* Starts. on_event is called later, never from inside conn_open(): when it opened or failed, and then whenever it may
 * be read or written again. NULL: out of memory. */
struct conn *conn_open(struct conn_env *e, const struct conn_want *w, void (*on_event)(struct conn *c, void *owner),
                       void *owner) Q_MUST_USE;
/* Says goodbye where TLS asks for it and the socket takes it at once, then closes. Takes NULL. */
void conn_close(struct conn *c);
void conn_set_owner(struct conn *c, void (*on_event)(struct conn *c, void *owner), void *owner);

enum q_status conn_status(const struct conn *c); /* Q_AGAIN: opening. Q_OK: open. Else why it failed */
const char *conn_words(const struct conn *c);
/* A plain origin behind an HTTP proxy: requests name the whole URL and carry conn_proxy()'s credentials. */
bool conn_forwards(const struct conn *c);
const struct proxy *conn_proxy(const struct conn *c);

/* What has arrived: *out is borrowed until conn_took() has taken all of it or the connection closes.
 * Q_OK, Q_AGAIN, Q_EOF (the peer's clean end), Q_UP_CUT (reset, or TLS ended without goodbye), Q_UP_TLS, Q_NOMEM. */
enum q_status conn_read(struct conn *c, struct str *out) Q_MUST_USE;
void conn_took(struct conn *c, size_t n);
/* Q_OK, also with *took < n: on_event comes when more can go. Q_UP_CUT, Q_NOMEM. */
enum q_status conn_write(struct conn *c, const char *p, size_t n, size_t *took) Q_MUST_USE;
bool conn_flushed(struct conn *c); /* all that was written has left for the kernel */
/* Calls on_event once more in the next turn: for an owner who stopped reading of its own will. */
void conn_again(struct conn *c);

#endif
