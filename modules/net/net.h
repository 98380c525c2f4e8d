/* net.h - what all ways to the upstream share: trust, TLS sessions, names, addresses given by hand.
 *
 * Threads: locked. Memory: the net copies its settings; it outlives every httpc and the jobs it was given. */
#ifndef Q2A_NET_NET_H
#define Q2A_NET_NET_H

#include "base/now.h"
#include "base/str.h"
#include "net/jobs.h"

struct net;

/* How a connection's bytes move: the seam that tests replace. Descriptors stay real so that they can be polled. */
struct transport {
  int (*open)(void *ctx, const void *sockaddr, unsigned sockaddr_len); /* non-blocking connect; fd or -1 with errno */
  long (*read)(void *ctx, int fd, void *p, size_t n);                  /* as read(2) */
  long (*write)(void *ctx, int fd, const void *p, size_t n);           /* as send(2) with MSG_NOSIGNAL */
  void *ctx;
};
extern const struct transport transport_real;

struct net_resolve { const char *host; int port; const char *addr; int addr_port; }; /* port 0: any */

struct net_config {
  const struct net_resolve *resolve;   /* UPSTREAM_RESOLVE: connect there instead of resolving */
  int resolve_n;
  struct str ca_pem;                   /* text of SSL_CERT_FILE, or empty: embedded roots */
  const struct transport *transport;   /* NULL: the real one */
  struct jobs *jobs;                   /* for name resolution */
  const struct now *now;
};
/* NULL with *err filled: out of memory, or ca_pem holds no certificate that can be read. */
struct net *net_new(const struct net_config *c, struct q_error *err) Q_MUST_USE;
void net_destroy(struct net *n);

#endif
