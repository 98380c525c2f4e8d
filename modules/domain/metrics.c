#include "domain/metrics.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/process.h"

static void metrics_head(struct strbuf *b, const char *name, const char *type, const char *help)
{
  strbuf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Of a label's value backslash, quote and line end are escaped. */
static void metrics_value(struct strbuf *b, struct str value)
{
  strbuf_lit(b, "=\"");
  for(size_t i = 0; i < value.n; i++) {
    if(value.p[i] == '\\' || value.p[i] == '"') strbuf_addc(b, '\\');
    if(value.p[i] == '\n') strbuf_lit(b, "\\n");
    else strbuf_addc(b, value.p[i]);
  }
  strbuf_addc(b, '"');
}

/* One label; sep stands before it. */
static void metrics_label(struct strbuf *b, char sep, const char *name, struct str value)
{
  strbuf_addc(b, sep);
  strbuf_addz(b, name);
  metrics_value(b, value);
}

static void metrics_one(struct strbuf *b, const char *name, const char *type, const char *help, double v)
{
  metrics_head(b, name, type, help);
  strbuf_fmt(b, "%s %.17g\n", name, v);
}

/* ---- histograms ---- */

struct metrics_histogram { const char *name; struct str labels; const double *bounds; int n; const uint32_t *v; double sum; };

/* labels: written already, without braces. n buckets, the last without a bound. */
static void metrics_histogram(struct strbuf *b, const struct metrics_histogram *h)
{
  unsigned long long all = 0;
  for(int i = 0; i < h->n; i++) {
    all += h->v[i];
    strbuf_fmt(b, "%s_bucket{%.*s,le=\"", h->name, STR_F(h->labels));
    if(i < h->n - 1) strbuf_fmt(b, "%g", h->bounds[i]);
    else strbuf_lit(b, "+Inf");
    strbuf_fmt(b, "\"} %llu\n", all);
  }
  strbuf_fmt(b, "%s_sum{%.*s} %.17g\n%s_count{%.*s} %llu\n", h->name, STR_F(h->labels), h->sum, h->name, STR_F(h->labels), all);
}

struct metrics_times { const char *name, *help; enum stats_by by; bool first; };

static void metrics_labels_of(struct strbuf *b, enum stats_by by, const char *name)
{
  if(by == STATS_ENDPOINT) strbuf_lit(b, "endpoint");
  else strbuf_lit(b, "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"qwen\",gen_ai_request_model");
  metrics_value(b, str_z(name));
}

static void metrics_times(struct strbuf *b, const struct stats_totals *k, const struct metrics_times *t)
{
  double bounds[STATS_BUCKETS - 1];
  for(int i = 0; i < STATS_BUCKETS - 1; i++) bounds[i] = stats_bounds_ms[i] / 1000.0;
  metrics_head(b, t->name, "histogram", t->help);
  for(int i = 0; i < k->table.n; i++) {
    const struct stats_row *r = &k->table.rows[i];
    struct strbuf labels = STRBUF(1024);
    if(r->by != (char)t->by) continue;
    metrics_labels_of(&labels, t->by, r->name);
    struct metrics_histogram h = { t->name, strbuf_str(&labels), bounds, STATS_BUCKETS, t->first ? r->first : r->total,
                                   (double)r->v[t->first ? STATS_FIRST_SUM : STATS_TOTAL_SUM] / 1000.0 };
    metrics_histogram(b, &h);
    strbuf_free(&labels);
  }
}

/* ---- requests and tokens ---- */

static void metrics_requests(struct strbuf *b, const struct stats_totals *k)
{
  metrics_head(b, "qwen2api_requests_total", "counter", "Requests that are over, by endpoint, model and HTTP status (499: the client left).");
  for(int i = 0; i < k->table.n; i++) {
    const struct stats_row *r = &k->table.rows[i];
    struct str name = str_z(r->name);
    if(r->by != STATS_TRIPLE) continue;
    bool other = str_chr(name, '\n') < 0; /* there were too many */
    int place = name.p[0] - 'A';
    const char *endpoint = !other && place < STATS_FLIGHTS ? k->flights[place].endpoint : "other";
    size_t end = name.n; /* of the model: the last line end, for what stands before it may hold others */
    while(!other && name.p[end - 1] != '\n') end--;
    struct str model = other ? S("other") : str_sub(name, 1, end - 2), code = other ? S("other") : str_sub(name, end, name.n);
    strbuf_lit(b, "qwen2api_requests_total");
    metrics_label(b, '{', "endpoint", str_z(endpoint));
    metrics_label(b, ',', "model", model);
    metrics_label(b, ',', "code", code);
    strbuf_fmt(b, "} %llu\n", (unsigned long long)r->v[STATS_CALLS]);
  }
}

static void metrics_tokens(struct strbuf *b, const struct stats_totals *k)
{
  metrics_head(b, "qwen2api_tokens_total", "counter", "Tokens of questions (in) and answers (out).");
  for(int i = 0; i < k->token_n; i++)
    for(int d = 0; d < 2; d++) {
      strbuf_lit(b, "qwen2api_tokens_total");
      metrics_label(b, '{', "direction", d ? S("out") : S("in"));
      metrics_label(b, ',', "model", str_z(k->tokens[i].model));
      strbuf_fmt(b, "} %llu\n", (unsigned long long)k->tokens[i].sum[d]);
    }
  double bounds[STATS_TOKEN_BUCKETS - 1], bound = 1;
  for(int i = 0; i < STATS_TOKEN_BUCKETS - 1; i++, bound *= 4) bounds[i] = bound;
  metrics_head(b, "gen_ai_client_token_usage", "histogram", "Tokens per request (OpenTelemetry gen_ai.client.token.usage).");
  for(int i = 0; i < k->token_n; i++)
    for(int d = 0; d < 2; d++) {
      struct strbuf labels = STRBUF(1024);
      metrics_labels_of(&labels, STATS_MODEL, k->tokens[i].model);
      metrics_label(&labels, ',', "gen_ai_token_type", d ? S("output") : S("input"));
      struct metrics_histogram h = { "gen_ai_client_token_usage", strbuf_str(&labels), bounds, STATS_TOKEN_BUCKETS, k->tokens[i].v[d],
                                     (double)k->tokens[i].sum[d] };
      metrics_histogram(b, &h);
      strbuf_free(&labels);
    }
}

static void metrics_upstream(struct strbuf *b, const struct stats_totals *k)
{
  static const char *const tools[] = { "", "ok", "repaired", "retried", "failed" };
  metrics_head(b, "qwen2api_upstream_errors_total", "counter", "Attempts that failed, by reason.");
  for(int i = 1; i < Q_STATUS_COUNT; i++) {
    if(!k->upstream[i]) continue;
    strbuf_lit(b, "qwen2api_upstream_errors_total");
    char name[64];
    snprintf(name, sizeof name, "%s", status_row((enum q_status)i)->name + 2); /* Q_UP_BUSY: up_busy */
    for(char *p = name; *p; p++)
      if(*p >= 'A' && *p <= 'Z') *p = (char)(*p + 32);
    metrics_label(b, '{', "reason", str_z(name));
    strbuf_fmt(b, "} %llu\n", (unsigned long long)k->upstream[i]);
  }
  metrics_one(b, "qwen2api_upstream_retries_total", "counter", "Attempts beyond the first of a request.", (double)k->retries);
  metrics_head(b, "qwen2api_tool_calls_total", "counter", "Answers that called tools, by how the calls came about.");
  for(int i = 1; i < STATS_TOOLS; i++) strbuf_fmt(b, "qwen2api_tool_calls_total{result=\"%s\"} %llu\n", tools[i], (unsigned long long)k->tools[i]);
}

/* ---- what is now ---- */

static void metrics_gauges(struct app *a, struct strbuf *b, const struct stats_totals *k)
{
  struct pool_counts c = pool_count(a->pool, FEATURE_CHAT, now_wall_ms(a->now));
  struct process_use use = process_use();
  metrics_head(b, "qwen2api_inflight", "gauge", "Answers being made.");
  for(int i = 0; i < STATS_FLIGHTS && k->flights[i].endpoint; i++) {
    strbuf_lit(b, "qwen2api_inflight");
    metrics_label(b, '{', "endpoint", str_z(k->flights[i].endpoint));
    strbuf_fmt(b, "} %lld\n", (long long)k->flights[i].n);
  }
  metrics_head(b, "qwen2api_accounts", "gauge", "Accounts by status.");
  for(int i = 0; i < ACCOUNT_STATE_COUNT; i++)
    strbuf_fmt(b, "qwen2api_accounts{status=\"%s\"} %d\n", account_state_name((enum account_state)i), c.by_state[i]);
  metrics_head(b, "qwen2api_build_info", "gauge", "The version that runs.");
  strbuf_lit(b, "qwen2api_build_info{version=\"" Q2A_VERSION "\"} 1\n");
  metrics_one(b, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.", (double)use.rss_bytes);
  metrics_one(b, "process_cpu_seconds_total", "counter", "Processor time in seconds.", (double)use.cpu_us / 1e6);
  metrics_one(b, "process_open_fds", "gauge", "Open file descriptors.", use.fds);
  metrics_one(b, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.", (double)a->started_ms / 1000.0);
}

enum q_status metrics_write(struct app *a, struct strbuf *b)
{
  static const struct metrics_times times[] = {
    { "qwen2api_request_seconds", "Time of whole requests.", STATS_ENDPOINT, false },
    { "qwen2api_first_token_seconds", "Time to the first piece of an answer.", STATS_ENDPOINT, true },
    { "gen_ai_server_request_duration_seconds", "Time of whole requests (OpenTelemetry gen_ai.server.request.duration).", STATS_MODEL, false },
    { "gen_ai_server_time_to_first_token_seconds", "Time to the first token (OpenTelemetry gen_ai.server.time_to_first_token).", STATS_MODEL, true },
  };
  struct stats_totals *k = mem_zalloc(sizeof *k);
  if(!k || !stats_totals(a->stats, k)) {
    mem_free(k);
    return Q_NOMEM;
  }
  metrics_requests(b, k);
  for(size_t i = 0; i < sizeof times / sizeof times[0]; i++) metrics_times(b, k, &times[i]);
  metrics_tokens(b, k);
  metrics_upstream(b, k);
  metrics_one(b, "qwen2api_cache_hits_total", "counter", "Attachments that were on the account already.", (double)k->hits);
  metrics_one(b, "qwen2api_cache_misses_total", "counter", "Attachments that had to go up.", (double)k->misses);
  metrics_gauges(a, b, k);
  stats_table_free(&k->table);
  mem_free(k);
  return b->err;
}
