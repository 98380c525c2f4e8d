#include "domain/fetch.h"

#include <stdio.h>

#include "proto/url.h"

enum { FETCH_REDIRECTS = 5, FETCH_URL_MAX = 16 * 1024, FETCH_HEAD_MAX = 64 * 1024 };

bool fetch_result_host(const struct config *c, struct str host)
{
  while(host.n && host.p[host.n - 1] == '.') host.n--;
  for(int i = 0; i < c->media_hosts.n; i++) {
    struct str want = str_z(c->media_hosts.v[i]);
    if(str_starts(want, S("*."))) {
      want = str_sub(want, 1, want.n); /* ".x" */
      if(host.n > want.n && str_ieq(str_sub(host, host.n - want.n, want.n), want)) return true;
    } else if(str_ieq(host, want)) {
      return true;
    }
  }
  return false;
}

static bool fetch_named(const struct config *c, struct str host, int port)
{
  for(int i = 0; i < c->upstream_resolve_n; i++) {
    const struct config_map *m = &c->upstream_resolve[i];
    if((!m->port || m->port == port) && str_ieq(str_z(m->host), host)) return true;
  }
  return false;
}

/* A proxy resolves for himself, so names that mean something on his side only are refused: this machine, a local network's
 * names, and the old ways to write an IPv4 address (0x7f.1, 2130706433), which are no literals to us. */
static bool fetch_local_name(struct str host)
{
  static const char *const ends[] = { "localhost", "local", "internal", "localdomain", "intranet", "lan", "home.arpa" };
  size_t whole = host.n;
  while(host.n && host.p[host.n - 1] == '.') host.n--;
  if(str_chr(host, ':') >= 0) return false; /* an IPv6 literal: judged as an address */
  for(size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    struct str end = str_z(ends[i]);
    if(str_ieq(host, end)) return true;
    if(host.n > end.n && host.p[host.n - end.n - 1] == '.' && str_ieq(str_sub(host, host.n - end.n, end.n), end)) return true;
  }
  size_t at = host.n;
  while(at && host.p[at - 1] != '.') at--;
  struct str last = str_sub(host, at, host.n);
  bool hex = last.n > 1 && last.p[0] == '0' && (last.p[1] | 32) == 'x', digits = last.n > 0;
  for(size_t i = 0; i < last.n; i++) digits &= last.p[i] >= '0' && last.p[i] <= '9';
  if(!hex && !digits) return false;
  int dots = 0; /* a common dotted address is judged as an address */
  for(size_t i = 0; i < host.n; i++) {
    if(host.p[i] == '.') dots++;
    else if(host.p[i] < '0' || host.p[i] > '9') return true;
    else if(host.p[i] == '0' && (i == 0 || host.p[i - 1] == '.') && i + 1 < host.n && host.p[i + 1] != '.') return true; /* octal */
  }
  return dots != 3 || host.n != whole; /* with a dot behind it it is no literal to us */
}

struct fetch_run {
  struct app *app;
  const struct config *config;
  const struct fetch_want *want;
  bool (*go_on)(void *ctx, const struct strbuf *body);
  void *ctx;
};

static bool fetch_go_on(void *ctx, const struct strbuf *body)
{
  struct fetch_run *r = ctx;
  return !atomic_load(&r->app->ending) && (!r->go_on || r->go_on(r->ctx, body));
}

/* Whether this URL may be fetched at all. *public_only: the address has to be looked at, too. */
static enum q_status fetch_allowed(const struct fetch_run *r, const struct url *u, bool *public_only, struct q_error *e)
{
  const struct config *c = r->config;
  bool believed = fetch_result_host(c, u->host);
  *public_only = false;
  if(!str_ieq(u->scheme, S("http")) && !str_ieq(u->scheme, S("https")))
    return status_fail(e, Q_MEDIA_REFUSED, NULL, "Only http and https addresses are fetched.");
  if(r->want->result_host && !believed)
    return status_fail(e, Q_MEDIA_REFUSED, NULL, "%.*s is not on MEDIA_HOSTS, so nothing is fetched from it.", STR_F(u->host));
  if(believed || c->allow_private_media || fetch_named(c, u->host, u->port)) return Q_OK;
  *public_only = true;
  if(fetch_local_name(u->host))
    return status_fail(e, Q_MEDIA_REFUSED, NULL,
                       "%.*s is no public host, so nothing is fetched from it (ALLOW_PRIVATE_MEDIA lifts this).", STR_F(u->host));
  return Q_OK;
}

/* What went wrong on the way, in words that name the host. */
static enum q_status fetch_failed(const struct fetch_run *r, const struct url *u, enum q_status st, struct q_error *e)
{
  struct q_error why = *e;
  switch(st) {
  case Q_BAD_VALUE:
    return status_fail(e, Q_MEDIA_REFUSED, NULL,
                       "%.*s is no public address, so nothing is fetched from it (ALLOW_PRIVATE_MEDIA lifts this).", STR_F(u->host));
  case Q_TOO_BIG:
    return status_fail(e, Q_BAD_MEDIA, NULL, "What %.*s has there is larger than %zu MiB.", STR_F(u->host), r->want->max >> 20);
  case Q_UP_CONNECT_TIME:
  case Q_UP_FIRST_TIME:
  case Q_UP_IDLE_TIME:
    return status_fail(e, Q_BAD_MEDIA, NULL, "%.*s did not give it within %lld s.", STR_F(u->host),
                       (long long)(r->want->deadline_ms + 999) / 1000);
  case Q_CLIENT_GONE:
    if(atomic_load(&r->app->ending)) return status_fail(e, Q_SHUTDOWN, NULL, "The gateway is shutting down.");
    return st;
  case Q_NOMEM:
  case Q_PROXY: /* the way is ours, not the client's */
    e->st = st;
    return st;
  default:
    return status_fail(e, Q_BAD_MEDIA, NULL, "It could not be fetched from %.*s: %.300s", STR_F(u->host),
                       why.msg[0] ? why.msg : status_row(st)->text);
  }
}

static struct str fetch_header(struct str block, struct str name)
{
  while(block.n) {
    struct str line = str_cut(&block, '\n'), key = str_cut(&line, ':');
    if(str_ieq(str_trim(key), name)) return str_trim(line);
  }
  return STR_NONE;
}

static void fetch_type(struct str head, char type[80])
{
  struct str value = fetch_header(head, S("Content-Type"));
  str_copy(type, 80, str_trim(str_cut(&value, ';')));
  for(char *c = type; *c; c++)
    if(*c >= 'A' && *c <= 'Z') *c = (char)(*c | 32);
}

/* One exchange. Q_AGAIN: *location has the next address. */
static enum q_status fetch_once(struct fetch_run *r, struct str url, int64_t left_ms, struct strbuf *location, struct strbuf *body,
                                char type[80], struct q_error *e)
{
  struct url u;
  struct strbuf head = STRBUF(FETCH_HEAD_MAX), lines = STRBUF(1024);
  int64_t connect_ms = r->config->upstream_connect_timeout_ms;
  int status = 0;
  bool public_only;
  if(!url_split(url, &u)) return status_fail(e, Q_BAD_MEDIA, NULL, "The address is no URL that can be fetched.");
  enum q_status st = fetch_allowed(r, &u, &public_only, e);
  if(st) return st;
  strbuf_lit(&lines, "User-Agent: ");
  strbuf_addz(&lines, r->config->upstream_user_agent);
  strbuf_lit(&lines, "\r\nAccept: */*\r\nAccept-Encoding: identity\r\n");
  struct xchg_req req = { .url = url, .proxy = r->want->proxy, .method = S("GET"), .headers = strbuf_str(&lines),
                          .connect_ms = left_ms < connect_ms ? left_ms : connect_ms };
  struct httpc_watch watch = { fetch_go_on, r, public_only };
  st = lines.err ? lines.err : httpc_call_watched(r->app->net, r->app->now, &req, &watch, left_ms, &status, &head, body, e);
  struct str to = fetch_header(strbuf_str(&head), S("Location"));
  if(st) {
    st = fetch_failed(r, &u, st, e);
  } else if(status >= 300 && status < 400 && status != 304 && to.n) {
    st = Q_AGAIN;
    if(!url_join(url, to, location)) st = status_fail(e, Q_BAD_MEDIA, NULL, "%.*s sent a redirect that leads nowhere.", STR_F(u.host));
  } else if(status < 200 || status > 299) {
    st = status_fail(e, Q_BAD_MEDIA, NULL, "%.*s answered with status %d.", STR_F(u.host), status);
  } else if(!body->n) {
    st = status_fail(e, Q_BAD_MEDIA, NULL, "%.*s gave nothing.", STR_F(u.host));
  } else {
    fetch_type(strbuf_str(&head), type);
  }
  strbuf_free(&head);
  strbuf_free(&lines);
  return st;
}

enum q_status fetch_get_watched(struct app *a, const struct config *c, const struct fetch_want *w,
                                bool (*go_on)(void *ctx, const struct strbuf *body), void *ctx, struct strbuf *body, char type[80],
                                struct q_error *e)
{
  struct fetch_run r = { a, c, w, go_on, ctx };
  struct strbuf at = STRBUF(FETCH_URL_MAX), next = STRBUF(FETCH_URL_MAX);
  int64_t until_ms = now_mono_ms(a->now) + w->deadline_ms;
  struct q_error own = Q_ERROR_NONE;
  enum q_status st = Q_AGAIN;
  if(!e) e = &own;
  *e = Q_ERROR_NONE;
  type[0] = 0;
  body->max = w->max;
  if(!url_join(STR_NONE, w->url, &at))
    st = status_fail(e, at.err == Q_NOMEM ? Q_NOMEM : Q_BAD_MEDIA, NULL,
                     at.err ? "The address is longer than 16 KiB." : "The address is empty.");
  for(int n = 0; st == Q_AGAIN; n++) {
    int64_t left_ms = until_ms - now_mono_ms(a->now);
    struct url u;
    strbuf_clear(body);
    strbuf_clear(&next);
    if(n > FETCH_REDIRECTS) st = status_fail(e, Q_BAD_MEDIA, NULL, "The address leads to more than %d redirects.", FETCH_REDIRECTS);
    else if(left_ms <= 0 && url_split(strbuf_str(&at), &u)) st = fetch_failed(&r, &u, Q_UP_FIRST_TIME, e);
    else st = fetch_once(&r, strbuf_str(&at), left_ms > 0 ? left_ms : 1, &next, body, type, e);
    struct strbuf swap = at;
    at = next;
    next = swap;
  }
  if(st == Q_OK) *e = Q_ERROR_NONE;
  strbuf_free(&at);
  strbuf_free(&next);
  return st;
}

enum q_status fetch_get(struct app *a, const struct config *c, const struct fetch_want *w, struct strbuf *body, char type[80],
                        struct q_error *e)
{
  return fetch_get_watched(a, c, w, NULL, NULL, body, type, e);
}
