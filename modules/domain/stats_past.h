/* stats_past.h - days that another program counted, added to our own (api 9.9).
 *
 * Threads: jobs, start (the store blocks).
 * Store:   "day/YYYY-MM-DD/past", a table as every day's; read with the days by stats_each_day().
 * Twice:   of a day and account only what is above the sum known already is added: an import repeated adds nothing. */
#ifndef Q2A_DOMAIN_STATS_PAST_H
#define Q2A_DOMAIN_STATS_PAST_H

#include "domain/stats.h"

struct stats_past {          /* one account on one day */
  int day;                   /* 20251124 */
  char account[17];
  uint64_t chat_calls, chat_in, chat_out, cli_calls, cli_in, cli_out;
};
/* Sorts v, and lowers its numbers to what was new. Days out of the last 90 are passed over. */
enum q_status stats_past_add(struct stats *s, struct store *store, struct stats_past *v, int n, int64_t now_ms) Q_MUST_USE;

#endif
