/* import_read.h - the parts of a data.json as this program understands them.
 *
 * Threads: pure. Memory: slices borrow from the text; items own their secrets. */
#ifndef Q2A_DOMAIN_IMPORT_READ_H
#define Q2A_DOMAIN_IMPORT_READ_H

#include "domain/account_fields.h"
#include "domain/stats_past.h"
#include "proto/json_parts.h"

enum { IMPORT_DEPTH = 64, IMPORT_PART_MAX = 64 * 1024 * 1024, IMPORT_OTHER_MAX = 1024 * 1024 };

struct import_file {
  struct json_part accounts, settings, headers, cookie; /* text.n 0: not there */
  struct strbuf other;       /* what is not known: members without braces */
};
/* Q_BAD_IMPORT with line and column; only the outer members were looked at, accounts not at all. */
enum q_status import_file_read(struct import_file *f, struct str text, struct q_error *e) Q_MUST_USE;
/* One part as a tree. */
const struct json *import_part(struct arena *a, struct str text, const struct json_part *p, struct q_error *e) Q_MUST_USE;
enum q_status import_not_json(const struct json_error *err, struct q_error *e);

struct import_item {
  struct account_fields f;
  struct account *account;   /* NULL: taken over by somebody else */
  int line;
  struct secret *other;      /* members that are not known, NULL: none */
};
void import_item_free(struct import_item *i);
/* Q_BAD_VALUE and the like with a reason for the reader. */
enum q_status import_item_read(struct import_item *i, const struct json *object, int64_t now_ms, struct q_error *e) Q_MUST_USE;

/* Days of an account: v has room for STATS_DAYS. Days before the last 90, or in the future, are passed over; wrong numbers are none. */
int import_days(struct stats_past *v, const char *account, const struct json *stats, const struct json *history, int today);
/* "2025-11-24" as 20251124, else 0. */
int import_day(struct str text);

#endif
