/* accounts.h - accounts to store records and back.
 *
 * Threads: any but a pump (the store may block).
 * Record "acct/<name>": version byte 1, then JSON: email, sealed password, token, refresh, proxy, headers and cookie, note,
 * maxInflight, expires, exchange, whole-account state, last error, features that are not plainly active, createdAt, lastUsed; of an api account serves, models and the sealed
 * baseUrl (its key is the token); of a grant the sealed cliAccess, cliRefresh and cliResource, and cliExpires; the CLI
 * calls of the day. Secrets are sealed to the record's key. A record without the later members reads on. */
#ifndef Q2A_DOMAIN_ACCOUNTS_H
#define Q2A_DOMAIN_ACCOUNTS_H

#include "domain/app.h"

/* Every stored account into the pool. One that cannot be read is named in the log and left in the store. */
enum q_status accounts_load(struct app *a, struct q_error *e) Q_MUST_USE;
/* ACCOUNTS of the environment, those that are not there yet, and the pairs of CLI_API_KEY and CLI_BASE_URL, which are never
 * stored. */
enum q_status accounts_from_env(struct app *a, struct q_error *e) Q_MUST_USE;
/* Seals every account anew, with the first key of SECRET_KEY. */
enum q_status accounts_reseal(struct app *a) Q_MUST_USE;
/* Writes all dirty accounts, up to 64 in one commit. What another gateway of the same store changed meanwhile is merged first. */
enum q_status accounts_save(struct app *a) Q_MUST_USE;
/* The administrator's writes: the record is committed first, then the pool follows. On any status but Q_OK nothing was changed. */
/* New accounts, all or none; the pool takes those over that were added, the caller keeps them otherwise. Q_EXISTS: *which (may be
 * NULL) is known already. */
enum q_status accounts_insert(struct app *a, struct account *const *v, int n, int *which) Q_MUST_USE;
/* fn changes an account. It runs on a copy, whose record is committed, and then on the account itself: it must do the same both
 * times, and may refuse only what it would refuse of the copy. Q_NOT_FOUND, or what fn said. */
enum q_status accounts_change(struct app *a, struct str name, enum q_status (*fn)(void *ctx, struct account *a), void *ctx) Q_MUST_USE;
/* All or none of those that are there and stored; *n becomes how many that were. */
enum q_status accounts_delete(struct app *a, const struct str *names, int *n) Q_MUST_USE;

/* The record "acct/<name>" was changed or taken away by another gateway: brings the pool up to it. */
enum q_status accounts_reload_one(struct app *a, struct str key);
/* The store lost records: every account will be written again. */
void accounts_touch(struct app *a);

#endif
