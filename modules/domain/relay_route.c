#include "domain/relay_route.h"

#include <stdio.h>

#include "proto/relay_req.h"

/* ---- who could serve ---- */

struct pool_want relay_route_want(enum relay_kind kind, enum pool_plane plane, struct str model)
{
  static const unsigned serves[] = { SERVES_CLI, SERVES_CHAT, SERVES_EMBEDDINGS };
  return (struct pool_want){ .feature = FEATURE_CLI, .plane = plane, .model = model,
                             .serves = plane == POOL_API ? serves[kind] : 0, .listed = kind == RELAY_CHAT };
}

/* On /v1 a name may carry a suffix that the list does not know. */
struct str relay_route_listed(struct app *a, struct str model)
{
  struct pool_want w = relay_route_want(RELAY_CHAT, POOL_API, model);
  bool think, search;
  return pool_offer(a->pool, &w, now_wall_ms(a->now)).configured ? model : relay_req_bare(model, &think, &search);
}

bool relay_route_offered(struct app *a, enum relay_kind kind, struct str model, bool *usable)
{
  bool configured = false;
  *usable = false;
  if(kind == RELAY_CHAT) model = relay_route_listed(a, model);
  for(int plane = kind == RELAY_CLI ? POOL_GRANT : POOL_API; plane <= POOL_API; plane++) {
    struct pool_want w = relay_route_want(kind, (enum pool_plane)plane, model);
    struct pool_offer o = pool_offer(a->pool, &w, now_wall_ms(a->now));
    configured |= o.configured > 0;
    *usable |= o.usable > 0;
  }
  return configured;
}

bool relay_route_web_usable(struct app *a)
{
  struct pool_want w = { .feature = FEATURE_CHAT };
  return pool_offer(a->pool, &w, now_wall_ms(a->now)).usable > 0;
}

void relay_route_say(struct app *a)
{
  struct config *c = app_config(a);
  int64_t now = now_wall_ms(a->now);
  struct pool_want g = relay_route_want(RELAY_CLI, POOL_GRANT, STR_NONE), k = relay_route_want(RELAY_CLI, POOL_API, STR_NONE), w = { .feature = FEATURE_CHAT };
  struct pool_offer grants = pool_offer(a->pool, &g, now), keys = pool_offer(a->pool, &k, now), web = pool_offer(a->pool, &w, now);
  bool fallback = c->cli_fallback == 1;
  const char *active = grants.usable ? "cli (grants)" : keys.usable ? "api (official keys)" : fallback ? "web (emulation)" : "none";
  LOG_INFO(a->log, "cli", "", "/cli/v1 is served by route %s; %d grants%s, %d keys, web emulation %s", active, grants.usable,
           c->cli_oauth ? " (more are tried for)" : "", keys.usable, !fallback ? "off" : web.configured ? "behind them" : "without an account");
  config_unref(c);
}

enum q_status relay_route_no_cli(struct app *a, struct q_error *e)
{
  struct config *c = app_config(a);
  int64_t now = now_wall_ms(a->now);
  struct pool_want g = relay_route_want(RELAY_CLI, POOL_GRANT, STR_NONE), k = relay_route_want(RELAY_CLI, POOL_API, STR_NONE);
  struct pool_offer grants = pool_offer(a->pool, &g, now), keys = pool_offer(a->pool, &k, now);
  enum q_status st = status_fail(e, Q_NO_CLI, NULL,
    "No account serves the CLI route: %d of %d grants are usable (the free tier was withdrawn upstream in April 2026), %d of %d official keys, "
    "and web emulation is %s. Set CLI_API_KEY and CLI_BASE_URL%s.", grants.usable, grants.configured, keys.usable, keys.configured,
    c->cli_fallback == 1 ? "without a usable account" : "off", c->cli_fallback == 1 ? ", or add a web account" : ", or CLI_FALLBACK=web");
  config_unref(c);
  return st;
}

/* ---- what a client is told ---- */

/* What an operator or a client can act on comes first. */
int relay_route_rank(enum q_status st)
{
  switch(st) {
  case Q_UP_QUOTA: return 6;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL: return 5;
  case Q_UP_CHALLENGE: return 4;
  case Q_NO_MODEL: return 3;
  case Q_NO_CLI:
  case Q_UP_AUTH:
  case Q_UP_BARRED: return 2;
  default: return 1;
  }
}

/* The sentence a client reads; the upstream's own words follow a colon when there are any. */
void relay_route_describe(struct app *a, enum relay_kind kind, const struct relay_err *err, struct q_error *e)
{
  enum q_status st = err->st;
  const char *what;
  *e = Q_ERROR_NONE;
  if(st == Q_UP_AUTH || st == Q_UP_BARRED || st == Q_NO_CLI || st == Q_NO_ACCOUNT || st == Q_NO_USABLE) { /* never a 401: the client's key is right */
    if(kind == RELAY_CLI) (void)relay_route_no_cli(a, e);
    else status_fail(e, Q_NO_USABLE, NULL, "No official key serves this now: the upstream refused the keys; the operator must renew them.");
    return;
  }
  switch(st) {
  case Q_UP_QUOTA: what = kind == RELAY_CLI ? "The quota of the CLI accounts is used up" : "The quota of the official keys is used up"; break;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL: what = "The upstream limits the requests"; break;
  case Q_UP_CHALLENGE: what = "The upstream asks for a captcha and answers nothing; the operator must solve it in a browser"; break;
  case Q_UP_EMPTY: what = "The upstream ended without an answer; try again"; break;
  case Q_UP_CUT: what = "The upstream's answer was cut; try again"; break;
  case Q_UP_FIRST_TIME: what = "The upstream sent nothing in time; try again"; break;
  case Q_UP_IDLE_TIME: what = "The upstream fell silent; try again"; break;
  case Q_UP_BODY: what = err->status ? "The upstream refused the request" : "The upstream's answer has an unknown shape"; break;
  case Q_UP_ERROR: what = "The upstream reported an internal error; try again"; break;
  case Q_FILTER: what = "The upstream's content inspection refused the prompt"; break;
  case Q_TOO_LONG: what = "The conversation is too long for the model; shorten it"; break;
  case Q_NO_MODEL: what = "The upstream does not know the model, or the account may not use it"; break;
  case Q_UP_CONNECT_TIME: what = "Connecting to the upstream took too long"; break;
  case Q_UP_UNREACHABLE: what = "The upstream cannot be reached"; break;
  case Q_UP_TLS: what = "No secure connection to the upstream"; break;
  case Q_PROXY: what = "The proxy cannot be used"; break;
  case Q_OVERLOADED: what = "All accounts of the route are busy and the wait was too long; try again later"; break;
  case Q_NOMEM: what = "Out of memory"; break;
  default: what = "The request failed"; break;
  }
  char wait[48] = "";
  if(err->wait_s && (st == Q_UP_BUSY || st == Q_UP_QUOTA)) snprintf(wait, sizeof wait, ". Please try again in %ds", err->wait_s);
  status_fail(e, st, st == Q_NO_MODEL ? "model" : err->param[0] && err->status ? err->param : NULL, "%s%s%s%s.", what,
              err->words[0] ? ": " : "", err->words, wait);
  e->retry_after_s = err->wait_s;
}
