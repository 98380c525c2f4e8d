/* keys.h - who may call, and how much: the keys of API_KEY, the admin key made at the first start, and keys added at run time.
 *
 * Threads: locked. keys_check(), keys_admit() and keys_done() are for desk and pumps: a short lock, no I/O, no memory. What takes a
 *          store's word (keys_open, keys_env, and domain/keys_admin.h, keys_count.h) is for jobs.
 * Time:    wall clock ms, passed in.
 * Memory:  hashes only; the plain keys are not kept. KEYS_MAX keys.
 * Lookup:  SHA-256 under the store's salt; the slot is found by the hash, which tells a guesser nothing, and compared evenly. A
 *          thousand keys cost what ten do.
 * Store:   "key/admin" is the hash of a generated admin key; "key/<id>" a key added at run time (keys_admin.c); "use/..." counters
 *          (keys_count.c). Keys of API_KEY come first: a stored one of the same text is hidden by it. */
#ifndef Q2A_DOMAIN_KEYS_H
#define Q2A_DOMAIN_KEYS_H

#include "domain/config.h"
#include "domain/keys_use.h"
#include "domain/store.h"

enum key_kind { KEY_NONE, KEY_REGULAR, KEY_ADMIN };

struct keys;
struct log;
/* made receives the admin key if one was made now ("" otherwise): to be shown once and wiped. */
enum { KEYS_TEXT = 3 + 48 + 1, KEYS_ID = 16 + 1, KEYS_NAME = 200 + 1, KEYS_MASKED = 16, KEYS_MAX = 10000, KEYS_LONGEST = 512 };
/* The store is borrowed; log may be NULL. */
struct keys *keys_open(struct store *s, const struct config *c, struct log *log, int64_t now_ms, char made[KEYS_TEXT], struct q_error *e) Q_MUST_USE;
void keys_destroy(struct keys *k); /* takes NULL */
/* Takes over another API_KEY. An empty one changes nothing: it would need a key to be made and shown. */
enum q_status keys_env(struct keys *k, const struct config *c, int64_t now_ms, struct q_error *e) Q_MUST_USE;

/* KEY_NONE also for a key that has expired or is disabled. id (may be NULL) receives 16 hex digits that name the key, lastingly in
 * one store, without telling it. */
enum key_kind keys_check(struct keys *k, struct str presented, int64_t now_ms, char id[KEYS_ID]);
/* Why a known key is none now: "has expired" or "is disabled"; NULL: it is not known. */
const char *keys_refusal(struct keys *k, struct str presented, int64_t now_ms);
bool keys_name(struct keys *k, const char *id, char name[KEYS_NAME]); /* masked if it has none; false: there is no such key */

/* A request that was let in. Zeroed: none. Moved by copying; whoever has it last gives it back. */
struct key_pass { char id[KEYS_ID]; bool held; unsigned serial; int media; };
/* Before the queue: counts the request. Q_OK: *pass is to be given back once with keys_done(), however the answer ends. Q_KEY_RATE,
 * Q_KEY_QUOTA, Q_KEY_MODEL, Q_BAD_KEY (it was deleted just now) with *e; then *pass is none. */
enum q_status keys_admit(struct keys *k, const char id[KEYS_ID], const struct keys_ask *ask, int64_t now_ms, struct key_pass *pass,
                         struct q_error *e) Q_MUST_USE;
/* What keys_admit() would say; nothing is counted. Q_NOT_FOUND, Q_BAD_KEY: it has expired or is disabled. */
enum q_status keys_would_admit(struct keys *k, const char id[KEYS_ID], const struct keys_ask *ask, int64_t now_ms, struct q_error *e);
/* tokens of both directions; media: pictures and videos that came to be. A pass that is none is allowed. */
void keys_done(struct keys *k, struct key_pass *pass, int64_t tokens_in, int64_t tokens_out, int media, int64_t now_ms);
/* The same for work without a pass: what was begun before a restart. */
void keys_late(struct keys *k, const char *id, int media, int64_t now_ms);

/* Replaces the stored admin key; a gateway of this store must be stopped, those of a shared one take it over. */
enum q_status keys_new_admin(struct store *s, char made[KEYS_TEXT]) Q_MUST_USE;
/* First 5, an ellipsis, last 4; all masked if shorter than 12. */
void keys_mask(struct str key, char *out, size_t cap);

#endif
