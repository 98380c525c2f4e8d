/* keys.h - who may call: the keys of API_KEY, or the admin key made at the first start.
 *
 * Threads: immutable after keys_open(). Memory: hashes only; the plain keys are not kept.
 * Comparison: SHA-256 under the store's salt, in constant time, against every key. */
#ifndef Q2A_DOMAIN_KEYS_H
#define Q2A_DOMAIN_KEYS_H

#include "domain/config.h"
#include "domain/store.h"

enum key_kind { KEY_NONE, KEY_REGULAR, KEY_ADMIN };

struct keys;
/* made receives the admin key if one was made now ("" otherwise): to be shown once and wiped. */
enum { KEYS_TEXT = 3 + 48 + 1, KEYS_ID = 16 + 1 };
struct keys *keys_open(struct store *s, const struct config *c, char made[KEYS_TEXT], struct q_error *e) Q_MUST_USE;
void keys_destroy(struct keys *k);
/* id (may be NULL) receives 16 hex digits that name the key, lastingly in one store, without telling it. */
enum key_kind keys_check(const struct keys *k, struct str presented, char id[KEYS_ID]);
/* Replaces the stored admin key; the gateway of this store must be stopped. */
enum q_status keys_new_admin(struct store *s, char made[KEYS_TEXT]) Q_MUST_USE;
/* First 5, an ellipsis, last 4; all masked if shorter than 12. */
void keys_mask(struct str key, char *out, size_t cap);

#endif
