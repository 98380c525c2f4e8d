/* account_merge.h - one account that two gateways changed: what the other one stored, and what is not stored here yet.
 *
 * Threads: owned by the pool, as account.h.
 * What is stored of an account falls into parts; for each a hash tells whether it was changed here since the record was last read
 * or written (account_merged). A part that was changed here stays, every other is taken over; of two rests the later end counts;
 * calls are added up. Nothing that came from a record makes an account dirty: two gateways never play ping-pong. */
#ifndef Q2A_DOMAIN_ACCOUNT_MERGE_H
#define Q2A_DOMAIN_ACCOUNT_MERGE_H

#include "domain/account.h"

/* The hashes of what a holds now, as a record that is being written. */
void account_mark(const struct account *a, struct account_marks *out);
/* Takes over what from (as read from the record) has. */
void account_merge(struct account *a, struct account *from, int64_t now_ms);

#endif
