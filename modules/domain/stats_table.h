/* stats_table.h - counters by name: one table holds those of a day, or of the time since start.
 *
 * Threads: owned by whoever holds the lock of its owner. Memory: grows with the names it has seen, each dimension up to its bound;
 *          what is beyond counts as "other". Errors: without memory nothing is counted; no caller suffers from it. */
#ifndef Q2A_DOMAIN_STATS_TABLE_H
#define Q2A_DOMAIN_STATS_TABLE_H

#include "base/str.h"

enum { STATS_BUCKETS = 16, STATS_NAME = 64 };
enum stats_class { STATS_CLIENT, STATS_LIMITED, STATS_UPSTREAM, STATS_GONE, STATS_CLASSES }; /* of errors */
enum stats_field {
  STATS_CALLS, STATS_ERRORS, STATS_IN = STATS_ERRORS + STATS_CLASSES, STATS_OUT, STATS_MEDIA, STATS_CLI_CALLS, STATS_CLI_IN, STATS_CLI_OUT,
  STATS_FIRST_SUM, STATS_TOTAL_SUM, /* sums in ms */
  STATS_VIDEOS, /* of the media */
  STATS_FIELDS
};
/* What a row counts: all, by model, key (its id), account (account.id), endpoint (its path), hour (of Unix time), or a triple. */
enum stats_by { STATS_ALL = 't', STATS_MODEL = 'm', STATS_KEY = 'k', STATS_ACCOUNT = 'a', STATS_ENDPOINT = 'e', STATS_HOUR = 'h', STATS_TRIPLE = 'r' };

struct stats_row {
  char by;
  char name[STATS_NAME - 1];
  uint64_t v[STATS_FIELDS];
  uint32_t first[STATS_BUCKETS], total[STATS_BUCKETS]; /* how many took so long */
};

struct stats_table {
  struct stats_row *rows;
  int n, cap;
  uint32_t *slots; /* 1-based, open addressing; twice cap */
};

void stats_table_free(struct stats_table *t);
struct stats_row *stats_table_at(struct stats_table *t, enum stats_by by, struct str name); /* NULL: no memory */
void stats_row_add(struct stats_row *to, const struct stats_row *from);
void stats_table_add(struct stats_table *to, const struct stats_table *from);
bool stats_table_copy(struct stats_table *to, const struct stats_table *from); /* to is zeroed; false: no memory */
/* As a record of the store, with its version byte. */
void stats_table_write(const struct stats_table *t, struct strbuf *b);
/* Adds a record's counters; false: it is none of ours, or damaged (what was read before that point counts). */
bool stats_table_read(struct stats_table *t, struct str record);

extern const int32_t stats_bounds_ms[STATS_BUCKETS - 1]; /* upper ends; the last bucket has none */
int stats_bucket(int64_t ms);
/* The time that `part` (0.5, 0.95) stayed below, interpolated within its bucket; -1: nothing was counted. */
int64_t stats_part_ms(const uint32_t v[STATS_BUCKETS], double part);

#endif
