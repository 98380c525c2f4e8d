/* resolve.h - host names to addresses without ever blocking a pump.
 *
 * Threads: struct resolve is locked; a wait is owned by its pump's thread.
 * Time:    an answer serves 60 s, then once more for up to 10 min while a fresh one is fetched; a failure serves 5 s.
 * Memory:  bounded to 64 names. A wait is embedded in its owner, who cancels it before it dies. */
#ifndef Q2A_NET_RESOLVE_H
#define Q2A_NET_RESOLVE_H

#include <netinet/in.h>

#include "base/str.h"
#include "net/jobs.h"
#include "net/net.h"
#include "net/pump.h"

enum { RESOLVE_ADDRS = 8, RESOLVE_HOST_MAX = 255 };

struct net_addr {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } u;
  unsigned len;
};

struct resolved {
  int n;             /* 0: the name could not be resolved, words say why, as in "no such name" */
  struct net_addr addr[RESOLVE_ADDRS];
  char words[160];
};

struct resolve_ticket;
struct resolve_wait {
  void (*fn)(struct resolve_wait *w); /* set by the owner: called on the pump's thread with the answer in *out */
  struct resolved *out;               /* set by the owner */
  struct resolve_ticket *ticket;      /* private; NULL: not waiting */
};

struct resolve;
/* The table (UPSTREAM_RESOLVE) is copied; Q_BAD_VALUE words if an address of it is none. */
struct resolve *resolve_new(const struct net_config *c, struct q_error *err) Q_MUST_USE;
void resolve_destroy(struct resolve *r);
/* Answers from the table, from an address literal or from memory at once (Q_OK, look at out->n), or starts a job and
 * calls w->fn later (Q_AGAIN). Q_NOMEM. */
enum q_status resolve_start(struct resolve *r, struct pump *p, struct str host, int port, struct resolve_wait *w)
  Q_MUST_USE;
void resolve_cancel(struct resolve *r, struct resolve_wait *w); /* afterwards fn is not called */
/* For jobs: the same, waiting for the answer on the caller's own thread. Q_OK or Q_NOMEM. */
enum q_status resolve_now(struct resolve *r, struct str host, int port, struct resolved *out) Q_MUST_USE;
/* True if the table names this host and port: such hosts pass the check for public addresses. */
bool resolve_mapped(const struct resolve *r, struct str host, int port);
/* False for loopback, private, link-local, multicast, documentation, shared and translated addresses. */
bool resolve_public(const struct net_addr *a);
/* An address literal, with or without brackets, as an address. */
bool resolve_literal(struct str host, int port, struct net_addr *a);

#endif
