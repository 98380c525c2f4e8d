/* roster.h - what an administrator does to accounts: add after a sign-in, change, enable, take away, renew, and look at them.
 *
 * Threads: jobs only (sign-ins and the store block), but roster_see().
 * Memory:  views are copies without any secret. Errors: *e has words for the administrator; what is answered Q_OK was committed
 *          (in a store that lasts, see store_ops.lasting).
 * Statuses of a sign-in as an administrator sees them: Q_LOGIN_FAILED with the upstream's reason; Q_UP_CHALLENGE, Q_UP_BUSY,
 *          Q_UP_UNREACHABLE and the like for what is not the account's fault. */
#ifndef Q2A_DOMAIN_ROSTER_H
#define Q2A_DOMAIN_ROSTER_H

#include "domain/account_fields.h"
#include "domain/app.h"

/* An account as it is shown. */
enum roster_display {
  ROSTER_DISABLED, ROSTER_LOGIN_FAILED, ROSTER_EXPIRED, ROSTER_CHALLENGE, ROSTER_COOLDOWN, ROSTER_MEDIA_LIMITED, ROSTER_WARN,
  ROSTER_TOKEN_EXPIRING, ROSTER_ACTIVE, ROSTER_DISPLAYS
};
const char *roster_display_name(enum roster_display d);
struct roster_feature { enum account_state state; enum q_status why; int64_t until_ms; char words[304]; };
struct roster_view {
  char email[256], id[17];
  enum account_kind kind;
  enum roster_display display;
  int64_t until_ms;           /* of what display tells, 0: none */
  bool env, enabled, has_token, has_password, has_cookie, has_grant, models_given;
  struct secret *note, *proxy, *base, *models, *headers; /* references: roster_view_free(); headers only for their names */
  unsigned serves;
  int64_t expires_ms, created_ms, last_used_ms, error_ms;
  enum q_status error;
  char error_words[304];
  int inflight, max_inflight;
  int64_t cli_calls, cli_in, cli_out; /* of today */
  struct roster_feature features[FEATURE_COUNT];
};
/* Copies an account; its pool's lock is held. */
void roster_see(struct roster_view *v, const struct account *a, int64_t now_ms);
/* Q_NOT_FOUND. */
enum q_status roster_find(struct app *a, struct str email, struct roster_view *out) Q_MUST_USE;
void roster_view_free(struct roster_view *v);
enum roster_display roster_display(const struct account *a, int64_t now_ms, int64_t *until_ms);

/* One page of all that fit. */
enum roster_sort { ROSTER_BY_EMAIL, ROSTER_BY_EXPIRES, ROSTER_BY_STATUS, ROSTER_BY_USED, ROSTER_BY_CALLS, ROSTER_BY_CREATED };
struct roster_query {
  struct str search;          /* in e-mail, note and proxy, without regard to case; empty: all */
  enum roster_display status; /* ROSTER_DISPLAYS: any */
  enum roster_sort sort;
  bool descending;
  int page, page_size;        /* from 1 */
  int64_t (*calls)(void *ctx, const char *id); /* for ROSTER_BY_CALLS */
  void *ctx;
};
/* Calls row for each account of the page, in order, without any lock. *total: all that fit. */
enum q_status roster_list(struct app *a, const struct roster_query *q, void (*row)(void *ctx, const struct roster_view *v), void *ctx, int *total)
  Q_MUST_USE;

/* ---- changes ---- */

/* A new account after its sign-in (or a look at its token, its key) succeeded. The name of a bare token is what the upstream says.
 * name (may be NULL) receives the account's name. Q_EXISTS, Q_MISSING, Q_BAD_VALUE, sign-in and store statuses. */
enum q_status roster_add(struct app *a, const struct account_fields *f, char name[256], struct q_error *e) Q_MUST_USE;
/* Q_NOT_FOUND, Q_ENV_MANAGED, store statuses. */
enum q_status roster_update(struct app *a, struct str email, const struct account_fields *f, struct q_error *e) Q_MUST_USE;
/* *n: in: how many names; out: how many were changed. Those that are not there are passed over. */
enum q_status roster_enable(struct app *a, const struct str *names, int *n, bool enabled, struct q_error *e) Q_MUST_USE;
enum q_status roster_delete(struct app *a, const struct str *names, int *n, struct q_error *e) Q_MUST_USE;
enum q_status roster_delete_all(struct app *a, int *n, struct q_error *e) Q_MUST_USE;
/* Q_NOT_FOUND. feature FEATURE_COUNT: all, and the rest of the account's way out. */
enum q_status roster_clear(struct app *a, struct str email, enum feature f, struct q_error *e) Q_MUST_USE;
/* Signs in anew, or renews what there is; *expires_ms as it is now. Q_LOGIN_FAILED also when there is nothing to renew with. */
enum q_status roster_refresh(struct app *a, struct str email, int64_t *expires_ms, struct q_error *e) Q_MUST_USE;
/* The names of accounts that can be renewed and end before `before_ms` (0: all), one a line. */
void roster_renewable(struct app *a, int64_t before_ms, struct strbuf *names);
/* Password of an account, Q_NOT_FOUND without one. The caller gives it back (secret_unref). */
enum q_status roster_password(struct app *a, struct str email, struct secret **out) Q_MUST_USE;

#endif
