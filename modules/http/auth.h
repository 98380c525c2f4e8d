/* auth.h - who may call: finds the key in a request, slows down who guesses.
 *
 * Threads: locked. Time: milliseconds of the monotonic clock, passed in.
 * Memory:  a fixed table of addresses; under attack from many the oldest entries go.
 * Rules:   5 failures within 60 s delay each further answer by 250 ms; more than 30 get 429. A correct key always passes. */
#ifndef Q2A_HTTP_AUTH_H
#define Q2A_HTTP_AUTH_H

#include "domain/keys.h"
#include "proto/http1.h"

struct auth;
struct auth *auth_new(void) Q_MUST_USE;
void auth_destroy(struct auth *a);

/* The first valid key of Authorization (with or without Bearer), x-api-key, api-key decides; *shown (may be NULL) is the
 * first one presented, for the error's masked form; id (may be NULL) as of keys_check(). */
enum key_kind auth_key(struct keys *k, const struct http1_headers *h, int64_t wall_ms, struct str *shown, char id[KEYS_ID]);
/* Books a failure of an address: Q_BAD_KEY, or Q_AUTH_FLOOD. *delay_ms as above, *retry_s until the window ends. */
enum q_status auth_failed(struct auth *a, struct str address, int64_t now_ms, int64_t *delay_ms, int *retry_s);
/* The client behind a trusted proxy: the last address of X-Forwarded-For that is no trusted proxy itself; else peer. */
struct str auth_address(const struct config_list *trusted, struct str peer, struct str forwarded);

#endif
