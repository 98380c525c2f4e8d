#include <stdlib.h>

#include "base/build.h"
#include "base/mem.h"
#include "base/process.h"
#include "domain/stats.h"
#include "http/handlers.h"
#include "proto/url.h"

enum { H_STATS_MAX = 64 * 1024 * 1024 };

/* ---- numbers as JSON ---- */

static void h_stats_part(struct strbuf *b, const char *name, int64_t ms)
{
  if(ms < 0) strbuf_fmt(b, ",\"%s\":null", name);
  else strbuf_fmt(b, ",\"%s\":%lld", name, (long long)ms);
}

/* "calls":... without braces. */
static void h_stats_row(struct strbuf *b, const struct stats_row *r)
{
  const unsigned long long *v = (const unsigned long long *)r->v;
  strbuf_fmt(b, "\"calls\":%llu,\"errors\":{\"total\":%llu,\"client\":%llu,\"limited\":%llu,\"upstream\":%llu,\"gone\":%llu}", v[STATS_CALLS],
             v[STATS_ERRORS] + v[STATS_ERRORS + 1] + v[STATS_ERRORS + 2] + v[STATS_ERRORS + 3], v[STATS_ERRORS + STATS_CLIENT],
             v[STATS_ERRORS + STATS_LIMITED], v[STATS_ERRORS + STATS_UPSTREAM], v[STATS_ERRORS + STATS_GONE]);
  strbuf_fmt(b, ",\"input\":%llu,\"output\":%llu,\"media\":%llu", v[STATS_IN], v[STATS_OUT], v[STATS_MEDIA]);
  h_stats_part(b, "firstTokenP50Ms", stats_part_ms(r->first, 0.5));
  h_stats_part(b, "firstTokenP95Ms", stats_part_ms(r->first, 0.95));
  h_stats_part(b, "totalP50Ms", stats_part_ms(r->total, 0.5));
  h_stats_part(b, "totalP95Ms", stats_part_ms(r->total, 0.95));
}

static void h_stats_send(struct req *q, struct strbuf *b, enum q_status st)
{
  if(!st) st = b->err;
  if(st) req_fail_st(q, st, NULL, st == Q_NOMEM ? "Out of memory." : "The statistics cannot be read.");
  else req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(b));
  strbuf_free(b);
}

/* ---- names of accounts, by their ids ---- */

struct h_stats_name { char id[17]; char email[256]; };
struct h_stats_names { struct h_stats_name *v; int n, cap; };

static void h_stats_take_name(void *ctx, struct account *a)
{
  struct h_stats_names *k = ctx;
  if(k->n == k->cap) {
    struct h_stats_name *v = mem_realloc(k->v, (size_t)(k->cap + 256) * sizeof *v);
    if(!v) return;
    k->v = v;
    k->cap += 256;
  }
  memcpy(k->v[k->n].id, a->id, sizeof a->id);
  str_copy(k->v[k->n++].email, sizeof k->v[0].email, str_z(a->email));
}

static int h_stats_by_id(const void *a, const void *b)
{
  return strcmp(((const struct h_stats_name *)a)->id, ((const struct h_stats_name *)b)->id);
}

static struct h_stats_names h_stats_names(struct app *a)
{
  struct h_stats_names k = { NULL, 0, 0 };
  pool_each(a->pool, h_stats_take_name, &k);
  if(k.n) qsort(k.v, (size_t)k.n, sizeof k.v[0], h_stats_by_id);
  return k;
}

/* NULL: it is not there any more. */
static const char *h_stats_email(const struct h_stats_names *k, const char *id)
{
  struct h_stats_name want;
  str_copy(want.id, sizeof want.id, str_z(id));
  const struct h_stats_name *found = k->n ? bsearch(&want, k->v, (size_t)k->n, sizeof want, h_stats_by_id) : NULL;
  return found ? found->email : NULL;
}

/* ---- GET /api/accountStats, /api/statsHistory ---- */

/* A page of accounts asks for its own alone: ?emails=a,b */
static void h_stats_only(struct req *q, struct h_stats_names *names)
{
  struct strbuf text = STRBUF(16 * 1024);
  int n = 0;
  if(url_query(q->query, S("emails"), &text)) {
    for(int i = 0; i < names->n; i++) {
      struct str rest = strbuf_str(&text), email = str_z(names->v[i].email);
      bool wanted = false;
      while(rest.n && !wanted) wanted = str_ieq(str_cut(&rest, ','), email);
      if(wanted) names->v[n++] = names->v[i]; /* the order stays */
    }
    names->n = n;
  }
  strbuf_free(&text);
}

/* ?days=1...90; 0: answered already. */
static int h_stats_days(struct req *q)
{
  struct strbuf text = STRBUF(32);
  int64_t days = STATS_DAYS;
  bool ok = !url_query(q->query, S("days"), &text) || (str_int(strbuf_str(&text), &days) && days >= 1 && days <= STATS_DAYS);
  strbuf_free(&text);
  if(ok) return (int)days;
  req_fail_st(q, Q_BAD_VALUE, "days", "days must be a whole number from 1 to 90.");
  return 0;
}

struct h_stats_history { const struct h_stats_names *names; struct strbuf *of; }; /* of: one builder per account */

static void h_stats_history_day(void *ctx, int day, const struct stats_table *t)
{
  struct h_stats_history *h = ctx;
  char text[11];
  stats_day_text(day, text);
  for(int i = 0; i < t->n; i++) {
    const struct stats_row *r = &t->rows[i];
    struct h_stats_name want;
    if(r->by != STATS_ACCOUNT) continue;
    str_copy(want.id, sizeof want.id, str_z(r->name));
    const struct h_stats_name *at = h->names->n ? bsearch(&want, h->names->v, (size_t)h->names->n, sizeof want, h_stats_by_id) : NULL;
    if(!at) continue;
    struct strbuf *b = &h->of[at - h->names->v];
    const unsigned long long *v = (const unsigned long long *)r->v;
    strbuf_fmt(b, "%s\"%s\":{\"chat\":{\"input\":%llu,\"output\":%llu},\"cli\":{\"calls\":%llu,\"input\":%llu,\"output\":%llu}}",
               b->n ? "," : "", text, v[STATS_IN] - v[STATS_CLI_IN], v[STATS_OUT] - v[STATS_CLI_OUT],
               v[STATS_CLI_CALLS], v[STATS_CLI_IN], v[STATS_CLI_OUT]);
  }
}

void h_stats_accounts(struct req *q)
{
  struct app *a = q->app;
  int days = h_stats_days(q);
  if(!days) return;
  int64_t now = now_wall_ms(a->now);
  struct h_stats_names names = h_stats_names(a);
  h_stats_only(q, &names);
  struct strbuf b = STRBUF(H_STATS_MAX);
  struct h_stats_history h = { &names, mem_zalloc((size_t)(names.n + 1) * sizeof *h.of) };
  char today[11];
  enum q_status st = h.of ? Q_OK : Q_NOMEM;
  for(int i = 0; !st && i < names.n; i++) h.of[i] = STRBUF(64 * 1024);
  if(!st) st = stats_each_day(a->stats, a->store, now, days, h_stats_history_day, &h);
  stats_day_text(now_local_day(now), today);
  strbuf_fmt(&b, "{\"today\":\"%s\",\"accounts\":[", today);
  for(int i = 0; !st && i < names.n; i++) {
    strbuf_fmt(&b, "%s{\"email\":", i ? "," : "");
    strbuf_json(&b, str_z(names.v[i].email));
    strbuf_lit(&b, ",\"history\":{");
    strbuf_adds(&b, strbuf_str(&h.of[i]));
    strbuf_lit(&b, "}}");
  }
  strbuf_lit(&b, "]}");
  for(int i = 0; h.of && i < names.n; i++) strbuf_free(&h.of[i]);
  mem_free(h.of);
  mem_free(names.v);
  h_stats_send(q, &b, st);
}

/* ---- GET /api/stats ---- */

enum { H_STATS_24H, H_STATS_7D, H_STATS_30D, H_STATS_90D, H_STATS_MONTH, H_STATS_LAST_MONTH, H_STATS_RANGES };

struct h_stats_sum { struct stats_table all; struct strbuf *series; int month; }; /* month: 202511, or 0 for any */

static void h_stats_sum_day(void *ctx, int day, const struct stats_table *t)
{
  struct h_stats_sum *s = ctx;
  char text[11];
  if(s->month && day / 100 != s->month) return;
  stats_table_add(&s->all, t);
  if(!s->series) return;
  stats_day_text(day, text);
  for(int i = 0; i < t->n; i++) {
    if(t->rows[i].by != STATS_ALL) continue;
    strbuf_fmt(s->series, "%s{\"time\":\"%s\",", s->series->n ? "," : "", text);
    h_stats_row(s->series, &t->rows[i]);
    strbuf_addc(s->series, '}');
  }
}

static void h_stats_hours(struct req *q, struct strbuf *series)
{
  struct stats_row hours[STATS_HOURS];
  int64_t now = now_wall_ms(q->app->now), hour = now / 3600000 - STATS_HOURS + 1;
  stats_hours(q->app->stats, now, hours);
  for(int i = 0; i < STATS_HOURS; i++) {
    strbuf_fmt(series, "%s{\"time\":%lld,", i ? "," : "", (long long)(hour + i) * 3600);
    h_stats_row(series, &hours[i]);
    strbuf_addc(series, '}');
  }
}

static int h_stats_word(struct req *q, const char *name, const char *const *words, int n)
{
  struct strbuf v = STRBUF(64);
  struct q_error e = Q_ERROR_NONE;
  int found = 0;
  if(url_query(q->query, str_z(name), &v))
    for(found = n - 1; found >= 0 && !str_eq(strbuf_str(&v), str_z(words[found])); found--) {}
  strbuf_free(&v);
  if(found >= 0) return found;
  status_fail(&e, Q_BAD_VALUE, name, n == H_STATS_RANGES ? "range must be one of 24h, 7d, 30d, 90d, month, lastMonth." : "by must be one of model, key, account, endpoint.");
  req_fail(q, &e);
  return -1;
}

/* The first day of a range, and how many days to walk until today. */
static int h_stats_from(int range, int today, int *days)
{
  static const int spans[] = { 2, 7, 30, 90 };
  *days = range < H_STATS_MONTH ? spans[range] : today % 100;
  if(range == H_STATS_LAST_MONTH) *days += stats_day_before(today, *days) % 100;
  return stats_day_before(today, *days - 1);
}

void h_stats(struct req *q)
{
  static const char *const ranges[H_STATS_RANGES] = { "24h", "7d", "30d", "90d", "month", "lastMonth" }, *const bys[] = { "model", "key", "account", "endpoint" };
  static const char kinds[] = { STATS_MODEL, STATS_KEY, STATS_ACCOUNT, STATS_ENDPOINT };
  int range = h_stats_word(q, "range", ranges, H_STATS_RANGES), by = range < 0 ? -1 : h_stats_word(q, "by", bys, 4), n = 0;
  if(by < 0) return;
  int64_t now = now_wall_ms(q->app->now);
  int days, today = now_local_day(now), from = h_stats_from(range, today, &days);
  char text[11];
  struct strbuf b = STRBUF(H_STATS_MAX), series = STRBUF(1024 * 1024);
  struct h_stats_sum s = { .series = range ? &series : NULL, .month = range < H_STATS_MONTH ? 0 : from / 100 };
  enum q_status st = stats_each_day(q->app->stats, q->app->store, now, days, h_stats_sum_day, &s);
  struct h_stats_names names = by == 2 ? h_stats_names(q->app) : (struct h_stats_names){ NULL, 0, 0 };
  if(!range) h_stats_hours(q, &series);
  stats_day_text(today, text);
  strbuf_fmt(&b, "{\"range\":\"%s\",\"by\":\"%s\",\"today\":\"%s\",\"step\":\"%s\",\"series\":[", ranges[range], bys[by], text, range ? "day" : "hour");
  strbuf_adds(&b, strbuf_str(&series));
  stats_day_text(from, text);
  strbuf_fmt(&b, "],\"rowsFrom\":\"%s\",\"rows\":[", text);
  for(int i = 0; i < s.all.n; i++) {
    const struct stats_row *r = &s.all.rows[i];
    if(r->by != kinds[by]) continue;
    const char *email = by == 2 ? h_stats_email(&names, r->name) : NULL;
    char key[KEYS_NAME];
    bool known = by == 1 && keys_name(q->app->keys, r->name, key);
    strbuf_fmt(&b, "%s{\"name\":", n++ ? "," : "");
    strbuf_json(&b, str_z(known ? key : email ? email : r->name));
    if(by == 1) strbuf_lit(&b, ",\"id\":");
    if(by == 1) strbuf_json(&b, str_z(r->name));
    strbuf_addc(&b, ',');
    h_stats_row(&b, r);
    strbuf_addc(&b, '}');
  }
  strbuf_lit(&b, "]}");
  if(series.err) st = series.err;
  mem_free(names.v);
  stats_table_free(&s.all);
  strbuf_free(&series);
  h_stats_send(q, &b, st);
}

/* ---- GET /api/requests ---- */

static void h_stats_text(struct strbuf *b, const char *name, const char *value)
{
  strbuf_fmt(b, ",\"%s\":", name);
  if(value && value[0]) strbuf_json(b, str_z(value));
  else strbuf_lit(b, "null");
}

static void h_stats_call(struct strbuf *b, const struct stats_call *c, const struct h_stats_names *names, struct keys *keys)
{
  char key[KEYS_NAME];
  strbuf_fmt(b, "{\"time\":%lld.%03d", (long long)(c->at_ms / 1000), (int)(c->at_ms % 1000));
  h_stats_text(b, "id", c->request_id);
  h_stats_text(b, "key", keys_name(keys, c->key, key) ? key : c->key);
  h_stats_text(b, "endpoint", c->endpoint);
  h_stats_text(b, "model", c->model);
  const char *email = c->account[0] ? h_stats_email(names, c->account) : NULL;
  h_stats_text(b, "account", email ? email : c->account);
  strbuf_fmt(b, ",\"status\":%d,\"attempts\":%d", c->status, c->attempts);
  h_stats_part(b, "firstTokenMs", c->first_ms ? c->first_ms : -1);
  strbuf_fmt(b, ",\"totalMs\":%d,\"input\":%lld,\"output\":%lld,\"media\":%d", c->total_ms, (long long)c->in, (long long)c->out, c->media);
  h_stats_text(b, "error", c->code);
  strbuf_addc(b, '}');
}

static void h_stats_calls(struct req *q, struct strbuf *b, int limit, bool errors)
{
  struct stats_call *v = mem_alloc(sizeof *v * STATS_REQUESTS);
  struct h_stats_names names = h_stats_names(q->app);
  int n = v ? stats_recent(q->app->stats, v, STATS_REQUESTS) : 0, told = 0;
  if(!v) b->err = Q_NOMEM;
  for(int i = 0; i < n && told < limit; i++) {
    if(errors && v[i].status < 400) continue;
    if(told++) strbuf_addc(b, ',');
    h_stats_call(b, &v[i], &names, q->app->keys);
  }
  mem_free(names.v);
  mem_free(v);
}

void h_stats_requests(struct req *q)
{
  struct strbuf text = STRBUF(32), b = STRBUF(H_STATS_MAX);
  int64_t limit = STATS_REQUESTS;
  bool ok = !url_query(q->query, S("limit"), &text) || (str_int(strbuf_str(&text), &limit) && limit >= 1 && limit <= STATS_REQUESTS);
  strbuf_free(&text);
  if(!ok) {
    req_fail_st(q, Q_BAD_VALUE, "limit", "limit must be a whole number from 1 to 500.");
    return;
  }
  strbuf_lit(&b, "{\"data\":[");
  h_stats_calls(q, &b, (int)limit, false);
  strbuf_lit(&b, "]}");
  h_stats_send(q, &b, Q_OK);
}

/* ---- GET /api/overview ---- */

void h_stats_overview(struct req *q)
{
  struct app *a = q->app;
  int64_t now = now_wall_ms(a->now);
  struct process_use use = process_use();
  struct pool_counts c = pool_count(a->pool, FEATURE_CHAT, now);
  struct stats_row r = stats_today(a->stats, now);
  struct strbuf b = STRBUF(H_STATS_MAX);
  char build[BUILD_TEXT];
  build_text(build);
  strbuf_fmt(&b, "{\"version\":\"" Q2A_VERSION "\",\"build\":\"%s\",\"uptime\":%lld,\"rss\":%lld,\"threads\":%d,\"connections\":%d", build,
             (long long)(now - a->started_ms) / 1000, (long long)use.rss_bytes, use.threads, gate_connections(a->gates));
  strbuf_fmt(&b, ",\"accounts\":{\"total\":%d,\"usable\":%d,\"byStatus\":{", c.total, c.usable);
  for(int i = 0; i < ACCOUNT_STATE_COUNT; i++)
    strbuf_fmt(&b, "%s\"%s\":%d", i ? "," : "", account_state_name((enum account_state)i), c.by_state[i]);
  strbuf_fmt(&b, "}},\"inflight\":%d,\"waiting\":%d,\"rpm\":%d,\"tokensToday\":{\"input\":%llu,\"output\":%llu},\"today\":{", c.leased, c.waiting,
             stats_minute(a->stats, now), (unsigned long long)r.v[STATS_IN], (unsigned long long)r.v[STATS_OUT]);
  h_stats_row(&b, &r);
  strbuf_lit(&b, "},\"errors\":[");
  h_stats_calls(q, &b, 10, true);
  strbuf_lit(&b, "]}");
  h_stats_send(q, &b, Q_OK);
}
