/* routes.h - the table of all routes, and the way of a request from its head to its handler.
 *
 * Threads: desk_request() on a pump; the rest on desk threads and jobs. Memory: a desk belongs to main.
 * Order: path and method, key, content type and size, then the body; a request is judged before its body is read. */
#ifndef Q2A_HTTP_ROUTES_H
#define Q2A_HTTP_ROUTES_H

#include "http/auth.h"
#include "http/req.h"
#include "http/server.h"

enum { ROUTE_LIMIT = -1, ROUTE_FORM = -2 }; /* body_max: BODY_LIMIT_MB; the same, and multipart/form-data is let through */
enum route_who { WHO_OPEN, WHO_KEY, WHO_ADMIN };
struct route {
  const char *method, *path; /* a path may end in '*' */
  enum route_who who;
  int64_t body_max;          /* bytes; 0: no body is read; ROUTE_LIMIT, ROUTE_FORM */
  void (*handler)(struct req *q);
  const char *feature;       /* of a route that is not offered: what it would be */
};

struct desk {
  struct app *app;
  struct server *server;
  struct auth *auth;
};
enum q_status desk_open(struct desk *d, int threads, struct log *log) Q_MUST_USE; /* d->app may be set later */
void desk_close(struct desk *d);
/* Serves a held request on the calling thread; refused: answer that its head is not acceptable. */
void desk_serve(struct desk *d, struct client *c, bool refused);
void desk_request(void *desk, struct client *c);                                        /* gate_config.on_request */
void desk_requests(void *desk);                                                         /* gate_config.on_requests */
void desk_reject(void *desk, const struct q_error *e, struct strbuf *out);              /* gate_config.on_reject */

void routes_print(struct strbuf *out);
const struct route *routes_at(int i); /* NULL behind the last */

#endif
