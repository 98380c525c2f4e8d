/* relay_route.h - which accounts could serve a relayed request, and the words when none does.
 *
 * Threads: any. Time: looks at the wall clock of the app. Memory: keeps nothing. */
#ifndef Q2A_DOMAIN_RELAY_ROUTE_H
#define Q2A_DOMAIN_RELAY_ROUTE_H

#include "domain/app.h"
#include "proto/relay_err.h"

enum relay_kind {
  RELAY_CLI,        /* /cli/v1: grants, then keys that serve cli */
  RELAY_CHAT,       /* /v1: keys that serve chat and list the model */
  RELAY_EMBEDDINGS  /* keys that serve embeddings */
};

/* What to ask the pool for. model may be empty where no list matters. */
struct pool_want relay_route_want(enum relay_kind kind, enum pool_plane plane, struct str model);
/* RELAY_CHAT: the name as the keys' lists have it; a suffix they do not know is cut. */
struct str relay_route_listed(struct app *a, struct str model);
/* Whether an account is configured that could serve this kind (RELAY_CHAT: this model) at all; usable: now. */
bool relay_route_offered(struct app *a, enum relay_kind kind, struct str model, bool *usable);
/* Whether a web chat could be served now. */
bool relay_route_web_usable(struct app *a);
/* Says in the log which route of /cli/v1 is active. */
void relay_route_say(struct app *a);
/* Why nobody serves /cli/v1, for clients. Returns Q_NO_CLI. */
enum q_status relay_route_no_cli(struct app *a, struct q_error *e);

/* Of several troubles the one that an operator or a client can act on ranks highest. */
int relay_route_rank(enum q_status st);
/* The sentence a client reads; the upstream's own words follow a colon when there are any. */
void relay_route_describe(struct app *a, enum relay_kind kind, const struct relay_err *err, struct q_error *e);

#endif
