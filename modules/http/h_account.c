#include "http/h_account.h"

#include <stdlib.h>

#include "base/mem.h"
#include "proto/url.h"

/* ---- today's counters ---- */

static void h_account_day_take(void *ctx, int day, const struct stats_table *t)
{
  struct h_account_day *d = ctx;
  (void)day;
  for(int i = 0; i < t->n; i++) {
    if(t->rows[i].by != STATS_ACCOUNT) continue;
    if(d->n == d->cap) {
      void *more = mem_realloc(d->rows, (size_t)(d->cap + 256) * sizeof d->rows[0]);
      if(!more) return; /* counters that are missing harm nobody */
      d->rows = more;
      d->cap += 256;
    }
    str_copy(d->rows[d->n].id, sizeof d->rows[0].id, str_z(t->rows[i].name));
    memcpy(d->rows[d->n++].v, t->rows[i].v, sizeof t->rows[i].v);
  }
}

static int h_account_by_id(const void *a, const void *b)
{
  return strcmp(a, b); /* the id stands first */
}

void h_account_day_read(struct h_account_day *d, struct app *a)
{
  *d = (struct h_account_day){ NULL, 0, 0 };
  if(stats_each_day(a->stats, a->store, now_wall_ms(a->now), 1, h_account_day_take, d)) d->n = 0;
  if(d->n) qsort(d->rows, (size_t)d->n, sizeof d->rows[0], h_account_by_id);
}

void h_account_day_free(struct h_account_day *d)
{
  mem_free(d->rows);
}

static const uint64_t *h_account_counters(const struct h_account_day *d, const char *id)
{
  static const uint64_t none[STATS_FIELDS];
  char want[17];
  str_copy(want, sizeof want, str_z(id));
  const char *at = d->n ? bsearch(want, d->rows, (size_t)d->n, sizeof d->rows[0], h_account_by_id) : NULL;
  return at ? d->rows[(at - (const char *)d->rows) / (ptrdiff_t)sizeof d->rows[0]].v : none;
}

int64_t h_account_calls(void *day, const char *id)
{
  return (int64_t)h_account_counters(day, id)[STATS_CALLS];
}

/* ---- the account object ---- */

static void h_account_seconds(struct strbuf *b, const char *name, int64_t ms)
{
  if(ms) strbuf_fmt(b, "\"%s\":%lld", name, (long long)(ms / 1000));
  else strbuf_fmt(b, "\"%s\":null", name);
}

static void h_account_text(struct strbuf *b, const char *name, struct str text)
{
  strbuf_fmt(b, ",\"%s\":", name);
  if(text.n) strbuf_json(b, text);
  else strbuf_lit(b, "null");
}

const char *h_account_reason(enum q_status why)
{
  switch(why) {
  case Q_UP_QUOTA:
  case Q_MEDIA_QUOTA: return "daily_quota";
  case Q_UP_BUSY: return "rate_limited";
  case Q_UP_PARALLEL: return "parallel_limit";
  case Q_UP_CHALLENGE: return "captcha";
  case Q_UP_AUTH: return "token_refused";
  case Q_UP_BAD_LOGIN: return "login_refused";
  case Q_UP_BARRED: return "barred";
  case Q_NO_CLI: return "unsupported";
  case Q_UP_UNREACHABLE:
  case Q_UP_TLS:
  case Q_PROXY:
  case Q_UP_CONNECT_TIME: return "network";
  case Q_OK: return "operator";
  default: return "upstream_error";
  }
}

static const char *h_account_cli(const struct config *c, const struct roster_view *v)
{
  const struct roster_feature *f = &v->features[FEATURE_CLI];
  if(v->kind == ACCOUNT_API && !(v->serves & SERVES_CLI)) return "none";
  if(f->state != ACCOUNT_ACTIVE && f->why == Q_NO_CLI) return "unsupported";
  if(v->kind == ACCOUNT_WEB && !v->has_grant) return c->cli_oauth && v->has_token ? "pending" : "none";
  if(f->state != ACCOUNT_ACTIVE || (v->kind != ACCOUNT_API && v->cli_calls >= c->cli_daily_limit)) return "limited";
  return "ok";
}

static void h_account_status(struct strbuf *b, const struct roster_view *v)
{
  strbuf_fmt(b, ",\"status\":{\"kind\":\"%s\",", roster_display_name(v->display));
  h_account_seconds(b, "until", v->until_ms);
  strbuf_addc(b, ',');
  h_account_seconds(b, "lastErrorAt", v->error_ms);
  h_account_text(b, "lastErrorCode", str_z(v->error ? status_row(v->error)->code : ""));
  h_account_text(b, "lastErrorMessage", str_z(v->error ? v->error_words[0] ? v->error_words : status_row(v->error)->text : ""));
  strbuf_addc(b, '}');
}

static void h_account_features(struct strbuf *b, const struct roster_view *v)
{
  bool any = false;
  strbuf_lit(b, ",\"features\":{");
  for(int f = 0; f < FEATURE_COUNT; f++) {
    const struct roster_feature *x = &v->features[f];
    if(x->state == ACCOUNT_ACTIVE) continue;
    strbuf_fmt(b, "%s\"%s\":{\"state\":\"%s\",", any ? "," : "", feature_name((enum feature)f), account_state_name(x->state));
    any = true;
    h_account_seconds(b, "until", x->until_ms);
    strbuf_fmt(b, ",\"reason\":\"%s\",\"message\":", h_account_reason(x->why));
    strbuf_json(b, str_z(x->words[0] ? x->words : x->why ? status_row(x->why)->text : "switched off"));
    strbuf_addc(b, '}');
  }
  strbuf_addc(b, '}');
}

static void h_account_kind(struct strbuf *b, const struct roster_view *v)
{
  struct strbuf text = STRBUF(4096);
  if(v->kind != ACCOUNT_API) return;
  account_show_url(secret_str(v->base), &text);
  h_account_text(b, "baseUrl", strbuf_str(&text));
  strbuf_free(&text);
  strbuf_fmt(b, ",\"modelsGiven\":%s,\"models\":[", v->models_given ? "true" : "false");
  struct str rest = secret_str(v->models);
  for(bool any = false; rest.n; any = true) {
    if(any) strbuf_addc(b, ',');
    strbuf_json(b, str_cut(&rest, '\n'));
  }
  strbuf_lit(b, "],\"serves\":");
  account_show_serves(v->serves, b);
}

static void h_account_stats(struct strbuf *b, const uint64_t *n, const struct config *c, const struct roster_view *v)
{
  const unsigned long long *u = (const unsigned long long *)n;
  strbuf_fmt(b, ",\"stats\":{\"chat\":{\"calls\":%llu,\"input\":%llu,\"output\":%llu},\"cli\":{\"calls\":%llu,\"input\":%llu,\"output\":%llu},"
                "\"media\":{\"images\":%llu,\"videos\":%llu}}", u[STATS_CALLS] - u[STATS_CLI_CALLS], u[STATS_IN] - u[STATS_CLI_IN],
             u[STATS_OUT] - u[STATS_CLI_OUT], u[STATS_CLI_CALLS], u[STATS_CLI_IN], u[STATS_CLI_OUT], u[STATS_MEDIA] - u[STATS_VIDEOS], u[STATS_VIDEOS]);
  strbuf_fmt(b, ",\"cli\":\"%s\",\"cliQuotaLimit\":%lld,\"cliRequestNumber\":%lld", h_account_cli(c, v), (long long)c->cli_daily_limit, (long long)v->cli_calls);
}

void h_account_write(const struct config *c, const struct h_account_day *d, const struct roster_view *v, struct strbuf *b)
{
  struct strbuf text = STRBUF(4096);
  strbuf_lit(b, "{\"email\":");
  strbuf_json(b, str_z(v->email));
  strbuf_fmt(b, ",\"kind\":\"%s\"", account_kind_name(v->kind));
  h_account_text(b, "note", secret_str(v->note));
  strbuf_fmt(b, ",\"source\":\"%s\",\"enabled\":%s,", v->env ? "env" : "stored", v->enabled ? "true" : "false");
  h_account_seconds(b, "expires", v->expires_ms);
  if(v->proxy) account_show_url(secret_str(v->proxy), &text);
  h_account_text(b, "proxy", strbuf_str(&text));
  strbuf_free(&text);
  h_account_text(b, v->kind == ACCOUNT_API ? "apiKey" : "token", v->has_token ? S(CONFIG_MASK) : STR_NONE);
  h_account_text(b, "password", v->has_password ? S(CONFIG_MASK) : STR_NONE);
  strbuf_lit(b, ",\"headers\":");
  if(v->headers) account_show_headers(secret_str(v->headers), true, b);
  else strbuf_lit(b, "null");
  h_account_text(b, "cookie", v->has_cookie ? S(CONFIG_MASK) : STR_NONE);
  if(v->max_inflight) strbuf_fmt(b, ",\"maxInflight\":%d", v->max_inflight);
  else strbuf_lit(b, ",\"maxInflight\":null");
  h_account_kind(b, v);
  strbuf_addc(b, ',');
  h_account_seconds(b, "createdAt", v->created_ms);
  strbuf_addc(b, ',');
  h_account_seconds(b, "lastUsedAt", v->last_used_ms);
  h_account_status(b, v);
  h_account_features(b, v);
  strbuf_fmt(b, ",\"inflight\":%d", v->inflight);
  h_account_stats(b, h_account_counters(d, v->id), c, v);
  strbuf_addc(b, '}');
}

/* ---- answers ---- */

bool h_account_lasting(const struct req *q)
{
  return q->app->store->ops->lasting;
}

void h_account_send(struct req *q, int status, struct strbuf *b)
{
  if(b->err) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else req_answer(q, status, S("application/json"), S("Cache-Control: no-store\r\n"), strbuf_str(b));
  strbuf_free(b);
}

void h_account_wrote(struct req *q, int status, struct strbuf *b)
{
  strbuf_fmt(b, ",\"persisted\":%s}", h_account_lasting(q) ? "true" : "false");
  h_account_send(q, status, b);
}

void h_account_answer(struct req *q, struct str email)
{
  struct roster_view *v = mem_zalloc(sizeof *v);
  struct h_account_day d;
  struct strbuf b = STRBUF(1024 * 1024);
  enum q_status st = v ? roster_find(q->app, email, v) : Q_NOMEM;
  if(st) {
    req_fail_st(q, st, st == Q_NOT_FOUND ? "email" : NULL, st == Q_NOT_FOUND ? "There is no such account." : "Out of memory.");
    mem_free(v);
    return;
  }
  h_account_day_read(&d, q->app);
  h_account_write(q->config, &d, v, &b);
  h_account_day_free(&d);
  roster_view_free(v);
  mem_free(v);
  if(!b.err) b.n--; /* the brace comes after "persisted" */
  h_account_wrote(q, 200, &b);
}

/* ---- questions ---- */

struct str h_account_query(struct req *q, struct str name)
{
  struct strbuf b = STRBUF(16 * 1024);
  struct str s = STR_NONE;
  if(url_query(q->query, name, &b) && !b.err) s = arena_str(q->arena, strbuf_str(&b));
  strbuf_free(&b);
  return s;
}

struct str h_account_name(struct req *q, const struct json *body)
{
  struct str s = str_trim(json_str(json_get(body, "email")));
  if(!s.n) s = str_trim(json_str(json_get(body, "name")));
  if(!s.n) s = str_trim(h_account_query(q, S("email")));
  if(!s.n) req_fail_st(q, Q_MISSING, "email", "'email' is missing: the name of an account.");
  return s;
}
