/* keys_count.h - the counters of keys in the store (api 9.3): as differences, so that several gateways may add to them.
 *
 * Threads: keys_count_due() anywhere; the others wait for the store: jobs only. Time: wall clock ms, passed in.
 * Store:   counters of store_incr(): "use/<id>/20251124/calls" (tokens, media), "use/<id>/202511/...", "use/<id>/all/..." and
 *          "use/<id>/all/last" (Unix seconds; of several gateways within their differences). Former days go after three, months after one.
 * Shared:  each write also counts up "use/tick" and "use/tick/<first digit of the id>". The others look at the former every 400 ms
 *          and read the limited keys of those parts that moved. */
#ifndef Q2A_DOMAIN_KEYS_COUNT_H
#define Q2A_DOMAIN_KEYS_COUNT_H

#include "domain/keys.h"

enum q_status keys_count_load(struct keys *k, int64_t now_ms) Q_MUST_USE;
bool keys_count_due(struct keys *k, int64_t now_ms);     /* time to call the next one */
/* Writes what was counted, and takes over what others counted. Trouble: it is held and written by a later call. */
enum q_status keys_count_save(struct keys *k, int64_t now_ms) Q_MUST_USE;
/* The server has lost counters: they are raised to what is known here. Several gateways do so one after the other; nothing is
 * counted twice. With change held. */
enum q_status keys_count_restore(struct keys *k) Q_MUST_USE;
struct keys_one;
enum q_status keys_count_fetch(struct keys *k, struct keys_one *one, int64_t now_ms) Q_MUST_USE; /* one key's; with change held */

#endif
