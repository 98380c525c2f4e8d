#include "base/mem.h"
#include "base/now.h"
#include "domain/stats.h"
#include "t.h"

enum { HOUR = 3600 * 1000 };
static const int64_t noon = 1764158400000; /* 2025-11-26T12:00:00Z */

static struct stats_turn a_turn(const char *model, int status)
{
  struct stats_turn t = { .request_id = "req_1", .endpoint = "/v1/chat/completions", .code = "", .model = str_z(model), .account = "00000000000000aa",
                          .key = "00000000000000bb", .status = status, .attempts = 1, .first_ms = 200, .total_ms = 1000, .in = 10, .out = 5 };
  return t;
}

static void note(struct stats *s, const char *model, int status, int64_t at)
{
  struct stats_turn t = a_turn(model, status);
  stats_note(s, &t, at);
}

struct seen { int days[100]; uint64_t calls[100]; int n; };
static void see(void *ctx, int day, const struct stats_table *t)
{
  struct seen *s = ctx;
  s->days[s->n] = day;
  for(int i = 0; i < t->n; i++)
    if(t->rows[i].by == STATS_ALL) s->calls[s->n] = t->rows[i].v[STATS_CALLS];
  s->n++;
}
static struct seen all(struct stats *s, struct store *store, int64_t now, int days)
{
  struct seen k = { .n = 0 };
  CHECK(stats_each_day(s, store, now, days, see, &k) == Q_OK);
  return k;
}

/* api 9.4, 9.9: midnight and a restart in its middle lose nothing and count nothing twice. */
static void t_midnight_and_restart(void)
{
  struct store *store = store_mem_new();
  struct stats *s = stats_new();
  int64_t late = now_local_midnight_ms(noon) - 1000;
  CHECK(stats_load(s, store, noon) == Q_OK);
  note(s, "m", 200, noon);
  note(s, "m", 429, late);
  note(s, "m", 200, late + 1000); /* the next day */
  CHECK(stats_today(s, late + 1000).v[STATS_CALLS] == 1);
  CHECK(stats_save(s, store, late + 1000) == Q_OK);
  CHECK(!stats_unsaved(s));
  stats_destroy(s);
  s = stats_new();
  CHECK(stats_load(s, store, late + 2000) == Q_OK);
  note(s, "m", 200, late + 3000);
  struct seen k = all(s, store, late + 3000, 7);
  CHECK_INT(k.n, 2);
  CHECK(k.calls[0] == 2 && k.calls[1] == 2 && k.days[1] == now_local_day(late + 1000));
  k = all(s, store, late + 3000, 1);
  CHECK(k.n == 1 && k.calls[0] == 2);
  struct stats_row hours[STATS_HOURS];
  stats_hours(s, late + 3000, hours);
  CHECK(hours[STATS_HOURS - 1].v[STATS_CALLS] == 2 && hours[STATS_HOURS - 2].v[STATS_ERRORS + STATS_LIMITED] == 1);
  stats_destroy(s);
  store_close(store);
}

static bool count_days(void *ctx, struct str key, struct str value)
{
  (void)key;
  (void)value;
  ++*(int *)ctx;
  return true;
}

/* D21: what is stored does not grow without bound. */
static void t_ninety_days(void)
{
  struct store *store = store_mem_new();
  struct stats *s = stats_new();
  int n = 0;
  for(int d = 0; d < 120; d++) {
    note(s, "m", 200, noon + (int64_t)d * 24 * HOUR);
    CHECK(stats_save(s, store, noon + (int64_t)d * 24 * HOUR) == Q_OK);
  }
  CHECK(store->ops->scan(store, S("day/"), count_days, &n) == Q_OK);
  CHECK(n <= STATS_DAYS + 1 && n >= STATS_DAYS - 1);
  CHECK_INT(all(s, store, noon + (int64_t)119 * 24 * HOUR, 90).n, 90);
  stats_destroy(s);
  store_close(store);
}

static void t_names_are_bounded(void)
{
  struct stats_table t = { NULL, 0, 0, NULL }, copy = { NULL, 0, 0, NULL };
  struct strbuf b = STRBUF(1024 * 1024);
  for(int i = 0; i < 300; i++) {
    char name[16];
    snprintf(name, sizeof name, "m%d", i);
    stats_table_at(&t, STATS_MODEL, str_z(name))->v[STATS_CALLS]++;
  }
  CHECK_INT(t.n, 101);
  CHECK(stats_table_at(&t, STATS_MODEL, S("other"))->v[STATS_CALLS] == 200);
  stats_table_write(&t, &b);
  CHECK(stats_table_read(&copy, strbuf_str(&b)));
  CHECK(copy.n == 101 && stats_table_at(&copy, STATS_MODEL, S("m7"))->v[STATS_CALLS] == 1);
  for(size_t cut = 0; cut < b.n; cut += 7) { /* a damaged record hurts nobody */
    struct stats_table part = { NULL, 0, 0, NULL };
    char *own = mem_strndup(b.p, cut);
    (void)stats_table_read(&part, str_of(own, cut));
    mem_free(own);
    stats_table_free(&part);
  }
  stats_table_free(&t);
  stats_table_free(&copy);
  strbuf_free(&b);
}

static void t_parts(void)
{
  uint32_t v[STATS_BUCKETS] = { 0 };
  CHECK(stats_part_ms(v, 0.5) == -1);
  v[stats_bucket(700)] = 10; /* 500 ... 1000 */
  CHECK(stats_part_ms(v, 0.5) == 750 && stats_part_ms(v, 0.95) == 975);
  CHECK(stats_bucket(50) == 0 && stats_bucket(51) == 1 && stats_bucket(9999999) == STATS_BUCKETS - 1);
}

static void t_last_requests(void)
{
  struct stats *s = stats_new();
  struct stats_call out[STATS_REQUESTS];
  for(int i = 0; i < STATS_REQUESTS + 20; i++) note(s, i % 2 ? "odd" : "even", i % 2 ? 499 : 502, noon + i);
  CHECK_INT(stats_recent(s, out, STATS_REQUESTS), STATS_REQUESTS);
  CHECK(out[0].at_ms == noon + STATS_REQUESTS + 19 && out[STATS_REQUESTS - 1].at_ms == noon + 20);
  struct stats_row r = stats_today(s, noon + 1000);
  CHECK(r.v[STATS_ERRORS + STATS_GONE] == 260 && r.v[STATS_ERRORS + STATS_UPSTREAM] == 260 && r.v[STATS_IN] == 5200);
  CHECK(r.first[stats_bucket(200)] == STATS_REQUESTS + 20 && r.total[stats_bucket(1000)] == STATS_REQUESTS + 20);
  CHECK_INT(stats_minute(s, noon + 1000), STATS_REQUESTS + 20);
  CHECK_INT(stats_minute(s, noon + 62000), 0);
  stats_destroy(s);
}

/* api 9.4: classes of errors; tokens, pictures and videos; what the CLI plane answered; of each row of the tables. */
static void t_classes(void)
{
  static const struct { int status; int class; } rows[] = {
    { 200, -1 }, { 399, -1 }, { 400, STATS_CLIENT }, { 404, STATS_CLIENT }, { 428, STATS_CLIENT }, { 429, STATS_LIMITED }, { 430, STATS_CLIENT }, { 499, STATS_GONE },
    { 500, STATS_UPSTREAM }, { 503, STATS_UPSTREAM }, { 599, STATS_UPSTREAM },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct stats *s = stats_new();
    struct stats_totals k;
    struct stats_turn t = a_turn("m", rows[i].status);
    t.media = 3, t.videos = 1, t.cli = true, t.attempts = 3, t.tool = STATS_TOOL_REPAIRED;
    stats_note(s, &t, noon);
    struct stats_row r = stats_today(s, noon);
    for(int c = 0; c < STATS_CLASSES; c++) CHECK_INT(r.v[STATS_ERRORS + c], c == rows[i].class);
    CHECK(r.v[STATS_CALLS] == 1 && r.v[STATS_IN] == 10 && r.v[STATS_OUT] == 5 && r.v[STATS_MEDIA] == 3 && r.v[STATS_VIDEOS] == 1);
    CHECK(r.v[STATS_CLI_CALLS] == 1 && r.v[STATS_CLI_IN] == 10 && r.v[STATS_CLI_OUT] == 5 && r.v[STATS_FIRST_SUM] == 200 && r.v[STATS_TOTAL_SUM] == 1000);
    CHECK(r.first[stats_bucket(200)] == 1 && r.total[stats_bucket(1000)] == 1);
    CHECK(stats_totals(s, &k) && k.retries == 2 && k.tools[STATS_TOOL_REPAIRED] == 1 && k.token_n == 1 && k.tokens[0].sum[0] == 10 && k.tokens[0].sum[1] == 5);
    CHECK(k.tokens[0].v[0][2] == 1 && k.tokens[0].v[1][2] == 1); /* 4 < 5, 10 <= 16 */
    stats_table_free(&k.table);
    t.in = 16, t.out = 17;
    stats_note(s, &t, noon);
    CHECK(stats_totals(s, &k) && k.tokens[0].v[0][2] == 2 && k.tokens[0].v[1][3] == 1 && k.tokens[0].v[1][2] == 1);
    stats_table_free(&k.table);
    stats_destroy(s);
  }
}

/* api 9.7: models beyond the first hundred are "other" in every counter; long names that differ at their end stay apart. */
static void t_totals_are_bounded(void)
{
  struct stats *s = stats_new();
  struct stats_totals k;
  char name[80];
  int models = 0, triples = 0;
  for(int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "a-model-whose-name-is-long-0123456789-%d", i);
    note(s, name, 200, noon);
    note(s, name, 429, noon);
  }
  CHECK(stats_totals(s, &k));
  for(int i = 0; i < k.table.n; i++) {
    models += k.table.rows[i].by == STATS_MODEL;
    triples += k.table.rows[i].by == STATS_TRIPLE;
  }
  CHECK_INT(models, 101);
  CHECK_INT(triples, 202);
  CHECK_INT(k.token_n, 101);
  CHECK(strcmp(k.tokens[100].model, "other") == 0 && k.tokens[100].sum[0] == 4000);
  CHECK(stats_table_at(&k.table, STATS_TRIPLE, S("Aa-model-whose-name-is-long-0123456789-7\n429"))->v[STATS_CALLS] == 1);
  stats_table_free(&k.table);
  stats_destroy(s);
}

T_MAIN(T(t_parts), T(t_names_are_bounded), T(t_last_requests), T(t_classes), T(t_totals_are_bounded), T(t_midnight_and_restart), T(t_ninety_days))
