/* responses.h - the answers of /v1/responses that are kept (api 7.3): for a day, at most so many, each for one key.
 *
 * Threads: locked; a response that was found is immutable and may be read without the lock until it is given back.
 * Time:    wall milliseconds, passed in. Memory: bounded by a number, RESPONSES_STORE_MAX, and in bytes; the least recently used
 *          goes first. A response that others continue stays in memory, though not to be found, as long as one of them does.
 * Lasting: after responses_load() each is a sealed record "resp/<id>" too, written soon after by a job, and deleted when nobody
 *          needs it; the order of use is not kept. A write that fails is told in the log: that answer does not outlive the
 *          process. */
#ifndef Q2A_DOMAIN_RESPONSES_H
#define Q2A_DOMAIN_RESPONSES_H

#include "base/log.h"
#include "base/str.h"
#include "domain/keys.h"
#include "domain/seal.h"
#include "net/jobs.h"

enum {
  RESPONSES_LIFE_MS = 24 * 3600 * 1000,
  RESPONSES_ONE_MAX = 16 * 1024 * 1024, /* bytes of one response */
  RESPONSES_SUM_MAX = 64 * 1024 * 1024  /* of all */
};

struct responses;
struct response {
  const struct response *before; /* what it continues, or NULL */
  char key_id[KEYS_ID];          /* whose it is */
  struct str id, input, object;  /* input: a JSON array of items; object: the answer as it was sent */
  int64_t made_ms;
};

struct responses *responses_new(void) Q_MUST_USE;
void responses_destroy(struct responses *s); /* takes NULL; nothing found is out any more */

struct responses_home { struct store *store; const struct seal *seal; struct jobs *jobs; struct log *log; };
/* Reads what was kept, before any other call; from then on records are written. max 0: they are deleted. anew: all are sealed
 * with the first key of SECRET_KEY, before it returns. What cannot be read is left out and deleted. */
enum q_status responses_load(struct responses *s, const struct responses_home *home, int64_t max, bool anew, int64_t wall_ms) Q_MUST_USE;
void responses_stop(struct responses *s); /* before the jobs end: nothing more is written than what waits already */

/* Keeps a copy. before: a reference of the caller's, or NULL. max: RESPONSES_STORE_MAX.
 * Q_OK, Q_TOO_BIG (it is larger than one may be; nothing was kept), Q_NOMEM. max 0: Q_OK, and nothing is kept. */
enum q_status responses_keep_one(struct responses *s, int64_t max, const struct response *r, int64_t wall_ms) Q_MUST_USE;
/* A reference to the response of that id, or to the one that an item of that id belongs to; NULL: unknown, too old, or another
 * key's. */
const struct response *responses_find(struct responses *s, const char *key_id, struct str id, int64_t wall_ms);
const struct response *responses_find_item(struct responses *s, const char *key_id, struct str item_id, int64_t wall_ms);
const struct response *responses_ref(struct responses *s, const struct response *r); /* one more; takes NULL */
void responses_unref(struct responses *s, const struct response *r);                 /* takes NULL */
/* False: was not there. May wait for the disk: the record is gone when it returns. */
bool responses_delete(struct responses *s, const char *key_id, struct str id, int64_t wall_ms);

struct responses_count { int kept; size_t bytes; }; /* bytes: also of those that only others continue */
struct responses_count responses_count(struct responses *s);

#endif
