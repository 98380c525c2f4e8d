#include "net/net.h"

#include "base/mem.h"
#include "net/conn.h"
#include "net/tcp.h"

struct net *net_new(const struct net_config *c, struct q_error *err)
{
  struct net *n = mem_zalloc(sizeof *n);
  if(!n) {
    (void)status_fail(err, Q_NOMEM, NULL, "Out of memory.");
    return NULL;
  }
  n->transport = c->transport ? c->transport : &transport_real;
  n->now = c->now;
  if(!c->ca_pem.n) n->roots = roots_embedded();
  else if(roots_read(&n->roots, c->ca_pem, err)) goto fail;
  n->sessions = tls_sessions_new();
  if(!n->sessions) {
    (void)status_fail(err, Q_NOMEM, NULL, "Out of memory.");
    goto fail;
  }
  n->resolve = resolve_new(c, err);
  if(!n->resolve) goto fail;
  return n;

fail:
  net_destroy(n);
  return NULL;
}

void net_destroy(struct net *n)
{
  if(!n) return;
  resolve_destroy(n->resolve);
  tls_sessions_destroy(n->sessions);
  roots_free(&n->roots);
  mem_free(n);
}
