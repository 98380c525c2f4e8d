/* server.h - civetweb as the parser of request heads, with its pool of workers; the only file that sees it.
 *
 * The gate owns every socket (net/gate.h). server_give() puts a pseudo socket, a number that is no descriptor, into
 * civetweb's queue; when a worker takes it up, the head's bytes are copied into the worker's own buffer before civetweb
 * would read, so that it parses them without ever touching a socket. The handler then runs on that worker, and the
 * connection is taken away from civetweb before it could close or write. tests/unit/test_server.c fails when a new
 * civetweb does any of this differently.
 *
 * Threads: server_give() and server_wake() from any thread, never block: what civetweb's queue cannot hold waits in line here.
 *          on_head runs on a worker.
 * Memory:  the server keeps nothing of a client after on_head was called. */
#ifndef Q2A_HTTP_SERVER_H
#define Q2A_HTTP_SERVER_H

#include "base/log.h"
#include "net/gate.h"

struct server;
struct server_config {
  int threads;
  struct log *log;
  /* The head was accepted by civetweb as well. refused: it was not; answer with 400. */
  void (*on_head)(void *ctx, struct client *c, bool refused);
  void *ctx;
};
struct server *server_new(const struct server_config *c) Q_MUST_USE;
void server_give(struct server *s, struct client *c); /* server_wake() must follow */
void server_wake(struct server *s);    /* workers for what was given */
int server_busy(struct server *s);     /* given and not yet handled */
void server_destroy(struct server *s); /* nothing is given any more */

#endif
