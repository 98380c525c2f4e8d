#include "domain/stats_past.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/now.h"

enum { PAST_RECORD_MAX = 16 * 1024 * 1024 };

static int past_compare(const void *x, const void *y)
{
  const struct stats_past *a = x, *b = y;
  return a->day != b->day ? (a->day < b->day ? -1 : 1) : strcmp(a->account, b->account);
}

struct past_walk { struct stats_past *v; int n; };

static struct stats_past *past_find(const struct past_walk *w, int day, const char *account)
{
  struct stats_past want = { .day = day };
  str_copy(want.account, sizeof want.account, str_z(account));
  return w->n ? bsearch(&want, w->v, (size_t)w->n, sizeof want, past_compare) : NULL;
}

static void past_less(uint64_t *v, uint64_t known)
{
  *v = *v > known ? *v - known : 0;
}

static void past_known(void *ctx, int day, const struct stats_table *t)
{
  struct past_walk *w = ctx;
  for(int i = 0; i < t->n; i++) {
    const uint64_t *v = t->rows[i].v;
    struct stats_past *p = t->rows[i].by == STATS_ACCOUNT ? past_find(w, day, t->rows[i].name) : NULL;
    if(!p) continue;
    past_less(&p->chat_calls, v[STATS_CALLS] - v[STATS_CLI_CALLS]);
    past_less(&p->chat_in, v[STATS_IN] - v[STATS_CLI_IN]);
    past_less(&p->chat_out, v[STATS_OUT] - v[STATS_CLI_OUT]);
    past_less(&p->cli_calls, v[STATS_CLI_CALLS]);
    past_less(&p->cli_in, v[STATS_CLI_IN]);
    past_less(&p->cli_out, v[STATS_CLI_OUT]);
  }
}

/* False: there is nothing new of it, or no memory. */
static bool past_row(struct stats_table *t, const struct stats_past *p)
{
  struct stats_row r = { .by = STATS_ALL };
  r.v[STATS_CALLS] = p->chat_calls + p->cli_calls;
  r.v[STATS_IN] = p->chat_in + p->cli_in;
  r.v[STATS_OUT] = p->chat_out + p->cli_out;
  r.v[STATS_CLI_CALLS] = p->cli_calls;
  r.v[STATS_CLI_IN] = p->cli_in;
  r.v[STATS_CLI_OUT] = p->cli_out;
  if(!(r.v[STATS_CALLS] | r.v[STATS_IN] | r.v[STATS_OUT])) return false;
  struct stats_row *all = stats_table_at(t, STATS_ALL, S(""));
  if(all) stats_row_add(all, &r);
  struct stats_row *one = stats_table_at(t, STATS_ACCOUNT, str_z(p->account));
  if(one) stats_row_add(one, &r);
  return one != NULL;
}

static enum q_status past_day(struct store *store, const struct stats_past *v, int n)
{
  struct stats_table t = { NULL, 0, 0, NULL };
  struct strbuf record = STRBUF(PAST_RECORD_MAX);
  char text[11], key[32];
  bool any = false;
  stats_day_text(v->day, text);
  snprintf(key, sizeof key, "day/%s/past", text);
  enum q_status st = store_get(store, str_z(key), &record);
  if(!st) (void)stats_table_read(&t, strbuf_str(&record));
  if(st == Q_NOT_FOUND) st = Q_OK;
  for(int i = 0; i < n && !st; i++) any |= past_row(&t, &v[i]);
  strbuf_clear(&record);
  if(!st && any) {
    stats_table_write(&t, &record);
    st = record.err ? record.err : store_put(store, str_z(key), strbuf_str(&record));
  }
  stats_table_free(&t);
  strbuf_free(&record);
  return st;
}

/* Of one day and account one row, with the larger of each number: the second would be new again with every call. */
static int past_once(struct stats_past *v, int n)
{
  int kept = 0;
  for(int i = 0; i < n; i++) {
    struct stats_past *to = kept ? &v[kept - 1] : NULL;
    if(!to || past_compare(to, &v[i]) != 0) {
      v[kept++] = v[i];
      continue;
    }
    uint64_t *const into[] = { &to->chat_calls, &to->chat_in, &to->chat_out, &to->cli_calls, &to->cli_in, &to->cli_out };
    const uint64_t from[] = { v[i].chat_calls, v[i].chat_in, v[i].chat_out, v[i].cli_calls, v[i].cli_in, v[i].cli_out };
    for(int k = 0; k < 6; k++)
      if(from[k] > *into[k]) *into[k] = from[k];
  }
  return kept;
}

enum q_status stats_past_add(struct stats *s, struct store *store, struct stats_past *v, int n, int64_t now_ms)
{
  int today = now_local_day(now_ms), first = stats_day_before(today, STATS_DAYS - 1);
  if(!n) return Q_OK;
  qsort(v, (size_t)n, sizeof *v, past_compare);
  n = past_once(v, n);
  struct past_walk w = { v, n };
  enum q_status st = stats_each_day(s, store, now_ms, STATS_DAYS, past_known, &w);
  for(int from = 0, to; from < n && !st; from = to) {
    for(to = from; to < n && v[to].day == v[from].day; to++) {}
    if(v[from].day >= first && v[from].day <= today) st = past_day(store, v + from, to - from);
  }
  return st;
}
