#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "http/handlers.h"
#include "http/live.h"
#include "proto/url.h"

enum { H_LOGS_LIMIT = 200, H_LOGS_TEXT = 200, H_LOGS_AT_ONCE = 100 };

/* Which lines are asked for. */
struct h_logs_want {
  int level;                /* at least */
  char module[40], q[H_LOGS_TEXT];
  uint64_t seq;             /* `since` as a number of a line: after it */
  char since[32];           /* or as a time, compared as text: from it on; "" any */
  int64_t limit;
};

/* The parts of a line, see base/log.h. */
struct h_logs_parts { struct str time, level, module, id, text; };

static struct h_logs_parts h_logs_split(const struct log_line *l)
{
  struct str s = str_of(l->text, l->n);
  struct h_logs_parts p = { str_sub(s, 0, 24), str_trim(str_sub(s, 25, 5)), STR_NONE, STR_NONE, STR_NONE };
  s = str_sub(s, 31, s.n);
  p.module = str_cut(&s, ' ');
  if(s.n && s.p[0] == '[' && str_chr(s, ']') > 0) {
    p.id = str_sub(s, 1, (size_t)str_chr(s, ']') - 1);
    s = str_sub(s, p.id.n + 3, s.n);
  }
  p.text = s;
  return p;
}

static int h_logs_level(struct str name)
{
  static const char *const names[] = { "DEBUG", "INFO", "WARN", "ERROR" };
  for(int i = 0; i < 4; i++)
    if(str_ieq(name, str_z(names[i]))) return i;
  return -1;
}

static bool h_logs_fits(const struct h_logs_want *w, const struct log_line *l, const struct h_logs_parts *p)
{
  return h_logs_level(p->level) >= w->level && (!w->module[0] || str_ieq(p->module, str_z(w->module))) &&
         (!w->q[0] || str_ifind(str_of(l->text, l->n), str_z(w->q)) >= 0);
}

static bool h_logs_param(struct req *q, struct str name, char *out, size_t cap)
{
  struct strbuf v = STRBUF(1024);
  bool there = url_query(q->query, name, &v) && v.n;
  if(there) str_copy(out, cap, strbuf_str(&v));
  strbuf_free(&v);
  return there;
}

/* `since`: the number of a line, or a time: Unix seconds, Unix milliseconds, or ISO 8601 in UTC. */
static bool h_logs_since(struct h_logs_want *w)
{
  int64_t v;
  struct tm t;
  if(!str_int(str_z(w->since), &v)) return strlen(w->since) >= 10 && w->since[4] == '-';
  if(v < 0) return false;
  w->since[0] = 0;
  w->seq = v < 1000000000 ? (uint64_t)v : 0;
  if(w->seq || v == 0) return true;
  int64_t ms = v > 100000000000 ? v : v * 1000;
  time_t s = (time_t)(ms / 1000);
  if(!gmtime_r(&s, &t) || !strftime(w->since, sizeof w->since, "%Y-%m-%dT%H:%M:%S", &t)) return false;
  int n = snprintf(w->since + 19, sizeof w->since - 19, ".%03dZ", (int)(ms % 1000));
  return n > 0;
}

/* false: answered already. */
static bool h_logs_want(struct req *q, struct h_logs_want *w)
{
  char text[32] = "";
  *w = (struct h_logs_want){ .limit = H_LOGS_LIMIT };
  h_logs_param(q, S("module"), w->module, sizeof w->module);
  h_logs_param(q, S("q"), w->q, sizeof w->q);
  if(h_logs_param(q, S("level"), text, sizeof text) && (w->level = h_logs_level(str_z(text))) < 0) {
    req_fail_st(q, Q_BAD_VALUE, "level", "level must be one of DEBUG, INFO, WARN, ERROR.");
    return false;
  }
  if(h_logs_param(q, S("since"), w->since, sizeof w->since) && !h_logs_since(w)) {
    req_fail_st(q, Q_BAD_VALUE, "since", "since must be the number of a line, a Unix time, or a time like 2026-11-24T09:46:54Z.");
    return false;
  }
  if(h_logs_param(q, S("limit"), text, sizeof text) && (!str_int(str_z(text), &w->limit) || w->limit < 1 || w->limit > LOG_LINES)) {
    req_fail_st(q, Q_BAD_VALUE, "limit", "limit must be a whole number from 1 to 5000.");
    return false;
  }
  return true;
}

static void h_logs_write(struct strbuf *b, const struct log_line *l, const struct h_logs_parts *p)
{
  strbuf_fmt(b, "{\"seq\":%llu,\"time\":", (unsigned long long)l->seq);
  strbuf_json(b, p->time);
  strbuf_lit(b, ",\"level\":");
  strbuf_json(b, p->level);
  strbuf_lit(b, ",\"module\":");
  strbuf_json(b, p->module);
  strbuf_lit(b, ",\"requestId\":");
  if(p->id.n) strbuf_json(b, p->id);
  else strbuf_lit(b, "null");
  strbuf_lit(b, ",\"text\":");
  strbuf_json(b, p->text);
  strbuf_addc(b, '}');
}

void h_logs(struct req *q)
{
  struct h_logs_want w;
  if(!h_logs_want(q, &w)) return;
  struct strbuf b = STRBUF(32 * 1024 * 1024);
  struct log_line l;
  uint64_t seq = UINT64_MAX;
  int64_t n = 0;
  strbuf_lit(&b, "{\"data\":[");
  while(n < w.limit && q->app->log && log_before(q->app->log, seq, &l)) {
    struct h_logs_parts p = h_logs_split(&l);
    seq = l.seq;
    if(seq <= w.seq || memcmp(l.text, w.since, strlen(w.since)) < 0) break;
    if(!h_logs_fits(&w, &l, &p)) continue;
    if(n++) strbuf_addc(&b, ',');
    h_logs_write(&b, &l, &p);
  }
  strbuf_fmt(&b, "],\"lost\":%ld}", q->app->log ? log_lost(q->app->log) : 0L);
  if(b.err) req_fail_st(q, b.err, NULL, "Out of memory.");
  else req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&b));
  strbuf_free(&b);
}

/* ---- as they come ---- */

struct h_logs_stream { struct app *app; struct h_logs_want want; };

/* A number means something in one process only: the id tells which it was. */
static long long h_logs_epoch(const struct app *a)
{
  return (long long)a->started_ms;
}

static bool h_logs_more(void *ctx, struct strbuf *b)
{
  struct h_logs_stream *s = ctx;
  struct log_line l;
  for(int i = 0; i < H_LOGS_AT_ONCE && b->n < LIVE_EVENT_ROOM / 2 && log_after(s->app->log, s->want.seq, &l); i++) {
    struct h_logs_parts p = h_logs_split(&l);
    s->want.seq = l.seq;
    if(memcmp(l.text, s->want.since, strlen(s->want.since)) < 0 || !h_logs_fits(&s->want, &l, &p)) continue;
    strbuf_fmt(b, "id: %lld-%llu\ndata: ", h_logs_epoch(s->app), (unsigned long long)l.seq);
    h_logs_write(b, &l, &p);
    strbuf_lit(b, "\n\n");
  }
  return true;
}

static const struct live_ops h_logs_ops = { h_logs_more, mem_free };

/* Behind the line that a returning client saw last, else behind `since`, else from now on. */
void h_logs_stream(struct req *q)
{
  struct h_logs_stream *s = mem_zalloc(sizeof *s);
  struct str last = live_last_id(q), epoch = str_cut(&last, '-');
  struct log_line l;
  int64_t was, seq;
  if(!s) {
    req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
    return;
  }
  s->app = q->app;
  if(!q->app->log || !h_logs_want(q, &s->want)) {
    if(!q->app->log) req_fail_st(q, Q_NOT_FOUND, NULL, "There is no log.");
    mem_free(s);
    return;
  }
  bool since = s->want.seq || s->want.since[0];
  if(str_int(epoch, &was) && str_int(last, &seq)) s->want.seq = was == h_logs_epoch(q->app) && seq > 0 ? (uint64_t)seq : 0;
  else if(!since && log_before(q->app->log, UINT64_MAX, &l)) s->want.seq = l.seq;
  live_start(q, &h_logs_ops, s);
}
