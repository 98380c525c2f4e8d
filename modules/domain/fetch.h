/* fetch.h - brings what a URL of a client or of a result names.
 *
 * Threads: jobs only: it blocks until all is there. Use app->fetch_jobs, never app->jobs.
 * Time:    deadline_ms (relative) covers everything, redirects included. Memory: at most max bytes.
 * Where:   http and https, at most 5 redirects, each checked anew. A URL of a client: only public addresses after resolution
 *          (ALLOW_PRIVATE_MEDIA lifts that; hosts of UPSTREAM_RESOLVE and MEDIA_HOSTS are believed). result_host: only hosts of
 *          MEDIA_HOSTS, redirects too. No header of an account and no cookie goes along. */
#ifndef Q2A_DOMAIN_FETCH_H
#define Q2A_DOMAIN_FETCH_H

#include "domain/app.h"

struct fetch_want {
  struct str url, proxy;  /* proxy: URL or empty (PROXY_URL is not looked at here) */
  size_t max;
  int64_t deadline_ms;
  bool result_host;
};
/* type receives the Content-Type without parameters, "" if none. Q_MEDIA_REFUSED: the address may not be fetched. Q_BAD_MEDIA:
 * not there (status), empty, too large or too slow; words say which and name the host. */
enum q_status fetch_get(struct app *a, const struct config *c, const struct fetch_want *w, struct strbuf *body, char type[80],
                        struct q_error *e) Q_MUST_USE;
/* The same, given up when go_on(ctx, collected) is false (asked some five times a second): Q_CLIENT_GONE. Both give up with
 * Q_SHUTDOWN when the app drains. */
enum q_status fetch_get_watched(struct app *a, const struct config *c, const struct fetch_want *w,
                                bool (*go_on)(void *ctx, const struct strbuf *body), void *ctx, struct strbuf *body, char type[80],
                                struct q_error *e) Q_MUST_USE;
/* Whether a host is on MEDIA_HOSTS ("*.x" fits every name below x). */
bool fetch_result_host(const struct config *c, struct str host);

#endif
