/* keys_admin.h - keys as an administrator sees them: list, add, change, delete (api 9.3).
 *
 * Threads: all of it waits for the store: jobs only. Time: wall clock ms, passed in.
 * Order:   a change is committed first and shown afterwards; when the store does not take it nothing has changed.
 * Store:   "key/<id>": version byte, then {"hash","masked","name","createdAt","enabled","limits":{...}}, of a key that came from
 *          another store as a hash also "salt".
 * Errors:  Q_STORE, Q_STORE_AWAY with words; the others are named at each call. */
#ifndef Q2A_DOMAIN_KEYS_ADMIN_H
#define Q2A_DOMAIN_KEYS_ADMIN_H

#include "domain/keys.h"

/* body: {apiKey?, name?, enabled?, limits...}, limits at the top or in "limits". made: the generated key, "" if one was given; to be
 * wiped. Q_EXISTS; Q_BAD_TYPE, Q_BAD_VALUE, Q_UNSUPPORTED for a member. */
enum q_status keys_admin_add(struct keys *k, const struct json *body, int64_t now_ms, char made[KEYS_TEXT], char id[KEYS_ID], struct q_error *e) Q_MUST_USE;
/* Out of a data.json: the text of a key, or an object of keys_admin_export(). Q_EXISTS: it is known. dry: only look. */
enum q_status keys_admin_take(struct keys *k, const struct json *v, bool dry, int64_t now_ms, struct q_error *e) Q_MUST_USE;
/* The stored keys as hashes with their limits: objects separated by commas. */
void keys_admin_export(struct keys *k, struct strbuf *json);
/* Only the members that are given change; null takes a limit away. Q_NOT_FOUND, Q_ENV_MANAGED, Q_NOT_ADMIN (the admin key). */
enum q_status keys_admin_patch(struct keys *k, struct str id, const struct json *body, struct q_error *e) Q_MUST_USE;
/* By its text or, if that is empty, its id; which receives the latter. Errors as above. */
enum q_status keys_admin_delete(struct keys *k, struct str text, struct str id, char which[KEYS_ID], struct q_error *e) Q_MUST_USE;
/* The members of one key without the braces; Q_NOT_FOUND. */
enum q_status keys_admin_show(struct keys *k, struct str id, int64_t now_ms, struct strbuf *json) Q_MUST_USE;
void keys_admin_list(struct keys *k, int64_t now_ms, struct strbuf *json);     /* [{...}], the admin key first */
void keys_admin_regular(struct keys *k, int64_t now_ms, struct strbuf *json);  /* the short list of GET /api/settings */

/* ---- for several gateways ---- */
enum q_status keys_admin_changed(struct keys *k, struct str record, int64_t now_ms) Q_MUST_USE; /* "key/<id>" was changed by another one */
enum q_status keys_admin_restore(struct keys *k) Q_MUST_USE; /* the store has lost them: they and their counters are written again */

#endif
