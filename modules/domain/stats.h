/* stats.h - what became of every request: counters by day, by hour and since start, and the last requests themselves.
 *
 * Threads: locked. stats_note() is meant for pumps: a lock of some hundred instructions, memory only for a name that is new.
 *          What takes a store may wait for it: jobs only.
 * Time:    wall clock ms, passed in; days and hours are those of TZ.
 * Memory:  today, the last 25 hours' sums, 500 requests, and counters since start; each name once, bounded. Former days are in the
 *          store, one record a day ("day/YYYY-MM-DD"; of a shared store one per gateway), 90 of them.
 * Trust:   accounts by their id and keys by theirs: no e-mail, no key. */
#ifndef Q2A_DOMAIN_STATS_H
#define Q2A_DOMAIN_STATS_H

#include "domain/stats_table.h"
#include "domain/store.h"

enum { STATS_DAYS = 90, STATS_REQUESTS = 500, STATS_HOURS = 24 };
enum stats_tool { STATS_TOOL_NONE, STATS_TOOL_OK, STATS_TOOL_REPAIRED, STATS_TOOL_RETRIED, STATS_TOOL_FAILED, STATS_TOOLS };

/* One request that is over. Texts are borrowed. */
struct stats_turn {
  const char *request_id, *endpoint, *code; /* endpoint: static, a path of the route table; code: of the error, or "" */
  struct str model;        /* the upstream's name; empty: it did not come to that */
  char account[17];        /* account.id, or "" */
  char key[17];            /* its id, or "" */
  int status;              /* 499: the client left */
  int attempts, media, videos; /* videos: of the media */
  bool cli;                /* answered by the CLI plane or an official key */
  int64_t first_ms, total_ms; /* since it came; first_ms 0: nothing was told */
  int64_t in, out;         /* tokens */
  enum stats_tool tool;
};
struct stats_call {        /* the same, kept */
  int64_t at_ms, in, out;
  const char *endpoint;
  char request_id[72], model[STATS_NAME], code[40], account[17], key[17];
  int status, attempts, media, first_ms, total_ms;
};

struct stats;
struct stats *stats_new(void) Q_MUST_USE;
void stats_destroy(struct stats *s); /* takes NULL */
/* These four take NULL. */
void stats_note(struct stats *s, const struct stats_turn *t, int64_t now_ms);
void stats_upstream(struct stats *s, enum q_status how); /* an attempt that the upstream, or the way there, let down */
void stats_cache(struct stats *s, bool hit); /* an attachment that was known, or was not */
void stats_begin(struct stats *s, const char *endpoint, int by); /* by: 1 it began, -1 it is over; of the number in flight */

/* ---- (job) ---- */
enum q_status stats_load(struct stats *s, struct store *store, int64_t now_ms) Q_MUST_USE;
bool stats_unsaved(struct stats *s);
enum q_status stats_save(struct stats *s, struct store *store, int64_t now_ms) Q_MUST_USE;
/* Calls fn for each day of the last `days` that has counters, oldest first (day: 20251124). */
enum q_status stats_each_day(struct stats *s, struct store *store, int64_t now_ms, int days,
                             void (*fn)(void *ctx, int day, const struct stats_table *t), void *ctx) Q_MUST_USE;

/* ---- for those who look ---- */
int stats_recent(struct stats *s, struct stats_call *out, int max);      /* newest first */
void stats_hours(struct stats *s, int64_t now_ms, struct stats_row out[STATS_HOURS]); /* oldest first, the last is running */
int stats_minute(struct stats *s, int64_t now_ms);                      /* requests of the last 60 s */
struct stats_row stats_today(struct stats *s, int64_t now_ms);          /* sums */
void stats_day_text(int day, char out[11]);
int stats_day_before(int day, int days);

enum { STATS_TOKEN_BUCKETS = 14, STATS_FLIGHTS = 32 }; /* 4^0 ... 4^12 tokens, and above */
struct stats_tokens { char model[STATS_NAME]; uint32_t v[2][STATS_TOKEN_BUCKETS]; uint64_t sum[2]; };
struct stats_totals {      /* since start */
  struct stats_table table;      /* by model, endpoint, triple ('A' and its place among flights, model, '\n', status) */
  struct stats_tokens tokens[101];
  int token_n;
  uint64_t upstream[Q_STATUS_COUNT], retries, hits, misses, tools[STATS_TOOLS];
  struct { const char *endpoint; int64_t n; } flights[STATS_FLIGHTS];
};
bool stats_totals(struct stats *s, struct stats_totals *out); /* a copy: stats_table_free(&out->table); false: no memory */

#endif
