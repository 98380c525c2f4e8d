/* pool.h - all accounts, and who serves the next turn: leases, rests, the waiting line, the stock of fresh chats.
 *
 * Threads: locked. Any function from any thread; the lock is never held across I/O or a callback into other locks but
 *          pool_config.granted and .changed, which must only post.
 * Time:    wall clock milliseconds, passed in; the pool reads no clock, so that a simulation can prove its properties.
 * Memory:  a lease borrows its account: readable until pool_release(), even if the account is removed meanwhile.
 * Who:     of the accounts whose feature is active the least loaded, then the least recently used; at most cap turns at
 *          once on one, starts at least gap_ms apart. Who finds all busy waits in order of arrival; nobody overtakes
 *          somebody who waits for the same feature and could be served.
 * Planes:  what is lent: the web chat of web accounts, CLI grants (of web and cli accounts), keys of api accounts. A turn
 *          of one plane never gets an account of another. Rests below are the web's; those of a grant touch its feature
 *          cli alone (refused: a day, Q_NO_CLI); an api key that is refused (Q_UP_AUTH) is invalid at once.
 * Rests:   Q_UP_AUTH 15 min, three in a row: invalid. Q_UP_BARRED 15 min, twice: invalid. Q_UP_QUOTA: the feature until
 *          the told time, else 00:10 UTC+8. Q_UP_BUSY: the told time, else 60 s doubling to 15 min, counted once per
 *          rest. Q_UP_PARALLEL: one turn at a time from now on. Q_UP_CHALLENGE: 15 min; on two accounts of one egress
 *          within a minute: the egress rests 5 min. Transport failures: 5 min after three in a row. Q_UP_ERROR: 15 min
 *          after three in a row. Q_UP_MODEL_QUOTA on two accounts: the model rests 60 s. */
#ifndef Q2A_DOMAIN_POOL_H
#define Q2A_DOMAIN_POOL_H

#include "domain/account.h"

struct pool;
struct pool_waiter;

struct pool_config {
  int max_inflight;    /* per account */
  int64_t min_gap_ms;  /* between starts on one account */
  int queue_max;
  int stock;           /* fresh chats per account and model */
  int64_t cli_daily;   /* CLI requests of a grant per local day */
};

enum pool_plane { POOL_WEB, POOL_GRANT, POOL_API };
enum { POOL_PLANES = 3 };

struct lease {
  struct account *account; /* NULL: none */
  enum feature feature;
  enum pool_plane plane;
  struct secret *base;     /* POOL_GRANT: the resource address or NULL; POOL_API: the base address */
  struct secret *models;   /* POOL_API: names, one a line; NULL: not known */
  struct secret *token, *proxy; /* as they were; proxy NULL: the global one */
  struct secret *headers, *cookie; /* the operator's for this account, or NULL */
  unsigned token_no;
  int64_t expires_ms, renew_ms;
};
#define LEASE_NONE ((struct lease){ .account = NULL })

enum { POOL_AVOID_MAX = 8 };
struct pool_want {
  enum feature feature; /* FEATURE_CLI for grants and keys */
  enum pool_plane plane;
  unsigned serves;     /* POOL_API: SERVES_* that are needed */
  bool listed;         /* POOL_API: the model must be on the account's list */
  bool uploads;        /* it must be able to take files, too */
  struct str model;
  struct account *prefer; /* serves if it can just now; kept by the caller (pool_keep); NULL: any */
  const struct account *only; /* nobody else will do; kept by the caller; NULL: any */
  const struct account *avoid[POOL_AVOID_MAX]; /* tried already; used again only if avoid_hard is false and no other is */
  int avoid_n;
  bool avoid_hard;
};

/* Somebody in line. Embedded in its owner. granted() runs on the thread that made room, with the pool's lock held: it
 * may only post to the owner's pump. After it the lease is the owner's. */
struct pool_waiter {
  void (*granted)(struct pool_waiter *w);
  struct lease lease;
  struct pool_want want;
  struct pool_waiter *next, **at; /* private */
  bool queued;                    /* private; read through pool_leave */
};

struct pool *pool_new(const struct pool_config *c) Q_MUST_USE;
void pool_destroy(struct pool *p);
void pool_set_config(struct pool *p, const struct pool_config *c);

/* Takes the account over. Q_EXISTS: the name is known, the account is freed. */
enum q_status pool_add(struct pool *p, struct account *a) Q_MUST_USE;
/* Makes sure that pool_add() of these will not lack memory, so that what was stored is also here. All or none; each is then added or
 * given to pool_unprepare(). */
enum q_status pool_prepare(struct pool *p, struct account *const *v, int n) Q_MUST_USE;
void pool_unprepare(struct pool *p, struct account *const *v, int n);

/* As another gateway stored it: a new account, or news of a known one (domain/account_merge.h). Takes from over. */
enum q_status pool_merge(struct pool *p, struct account *from, int64_t now_ms) Q_MUST_USE;
/* Out of the pool at once; turns that run on it end in peace. Q_NOT_FOUND. */
enum q_status pool_remove(struct pool *p, struct str name, int64_t now_ms);
/* Calls fn with the account of a name, the lock held, then gives what that freed to who waits. fn must not block. Q_NOT_FOUND. */
enum q_status pool_with(struct pool *p, struct str name, int64_t now_ms, void (*fn)(void *ctx, struct account *a), void *ctx);

/* Q_OK: w->lease is filled. Q_AGAIN: in line; *return_ms is when the earliest account returns or may begin another turn,
 * 0: when a turn ends; w->granted comes, or pool_leave() takes it out. Otherwise (nobody can serve before now_ms + patience_ms, or
 * the line is full) the status and *e tell why, with retry_after_s. */
enum q_status pool_acquire(struct pool *p, struct pool_waiter *w, int64_t now_ms, int64_t patience_ms,
                           int64_t *return_ms, struct q_error *e) Q_MUST_USE;
/* Out of the line. false: it had been granted already (or never queued): the lease is the caller's to give back. */
bool pool_leave(struct pool *p, struct pool_waiter *w);
/* Time has passed: gives what has returned to who waits. */
void pool_poll(struct pool *p, int64_t now_ms);
/* Why nobody serves, as the client is told when its patience ends. */
enum q_status pool_reason(struct pool *p, const struct pool_want *w, int64_t now_ms, struct q_error *e);

/* Gives a lease back and books how the turn ended. Q_CLIENT_GONE and all that is not the upstream's doing books
 * nothing. LEASE_NONE is allowed. */
void pool_release(struct pool *p, struct lease *l, int64_t now_ms, enum q_status how, const char *words, int wait_s,
                  struct str model);

/* Books how a call on the side ended (an upload, say) against a feature; nobody's lease is touched. */
void pool_book(struct pool *p, struct account *a, enum feature f, int64_t now_ms, enum q_status how, const char *words, int wait_s);

/* ---- tokens: one renewal at a time per account ---- */
enum pool_token { POOL_TOKEN_FRESH, POOL_TOKEN_SOON, POOL_TOKEN_DEAD }; /* SOON: renew in the background */
enum pool_token pool_token_state(const struct lease *l, int64_t now_ms);
/* The lease's token as it is now (another turn may have renewed it): true if it differs from the one leased. */
bool pool_token_reload(struct pool *p, struct lease *l);

/* The same for a grant. */
void pool_set_grant(struct pool *p, struct account *a, struct secret *access, int64_t expires_ms, struct secret *refresh,
                    struct secret *resource, int64_t now_ms);
/* Books a failed renewal or probe of a grant; Q_NO_CLI: asked again in a day. */
void pool_grant_failed(struct pool *p, struct account *a, enum q_status how, const char *words, int64_t now_ms);
void pool_count_cli(struct pool *p, struct account *a, int64_t now_ms, int64_t in, int64_t out); /* tokens of a CLI answer */
void pool_set_models(struct pool *p, struct account *a, struct secret *models, int64_t now_ms); /* NULL: there is no list */

/* A copy of what sign-in needs; all secrets are referenced. */
struct pool_login {
  char email[256];
  struct secret *password, *token, *refresh, *proxy;
  struct secret *headers, *cookie;       /* the operator's for this account */
  struct secret *access, *grant_refresh; /* of the CLI grant */
  struct secret *base;                   /* of an api account */
  unsigned grant_no;
  int64_t expires_ms;
  unsigned token_no;
  bool exchange;
};
bool pool_login_get(struct pool *p, const struct account *a, struct pool_login *out); /* false: removed */
void pool_login_free(struct pool_login *l);
void pool_set_token(struct pool *p, struct account *a, struct secret *token, int64_t expires_ms, struct secret *refresh,
                    bool exchange, int64_t now_ms);
/* Books a failed renewal: Q_UP_BAD_LOGIN, Q_UP_AUTH (nothing to renew with: EXPIRED), Q_UP_CHALLENGE, transport... */
void pool_login_failed(struct pool *p, struct account *a, enum q_status how, const char *words, int64_t now_ms);

/* ---- the stock of fresh chats ---- */
struct pool_chat { char id[72]; };
bool pool_stock_take(struct pool *p, struct account *a, struct str model, struct pool_chat *out);
/* Whether one more should be made now; if so it counts as being made until pool_stock_put or pool_stock_failed. */
bool pool_stock_wanted(struct pool *p, struct account *a, struct str model, int64_t now_ms);
bool pool_stock_put(struct pool *p, struct account *a, struct str model, int64_t now_ms, struct str id); /* false: full */
void pool_stock_failed(struct pool *p, struct account *a, struct str model);
/* The next chat that is older than max_age_ms (or any, with -1): out of the stock, with its account kept by a lease of
 * no feature that pool_unkeep() returns. */
bool pool_stock_old(struct pool *p, int64_t now_ms, int64_t max_age_ms, struct account **a, struct pool_chat *out);
/* Keeps an account readable without a turn on it. */
void pool_keep(struct pool *p, struct account *a);
struct account *pool_keep_named(struct pool *p, const char id[17]); /* by account.id; NULL: there is none */
void pool_unkeep(struct pool *p, struct account *a);

/* ---- for those who look ---- */
struct pool_counts { int total, usable, by_state[ACCOUNT_STATE_COUNT], leased, waiting; };
/* Whether there are accounts of a plane at all (configured), and whether one can serve now or is just busy. */
struct pool_offer { int configured, usable; };
struct pool_offer pool_offer(struct pool *p, const struct pool_want *w, int64_t now_ms);
struct pool_counts pool_count(struct pool *p, enum feature f, int64_t now_ms);
/* What stands between an account and a want. ELSE: it is none of those that are asked. until_ms: the end, 0: not known, or none. */
enum pool_fit { POOL_FITS, POOL_ELSE, POOL_OFF, POOL_RESTS, POOL_WAY_RESTS, POOL_FULL, POOL_GAP };
struct pool_verdict { enum pool_fit fit; enum q_status why; int64_t until_ms; int most; }; /* most: POOL_FULL: turns at once */
/* What pool_acquire() would do with a want at this moment. */
struct pool_outlook {
  struct account *chosen;   /* who would serve; NULL: nobody now. To be looked at inside fn only */
  bool line;                /* others wait for the same and come first */
  bool busy;                /* somebody could serve, but for turns that run or have just begun */
  int64_t return_ms;        /* earliest return of somebody, 0: none by waiting, or not known */
  int64_t model_rest_ms;    /* the model rests for all accounts until then; 0: it does not */
  int waiting;
};
/* Fills *out, then calls fn for each account, the lock held all the while. */
void pool_explain(struct pool *p, const struct pool_want *w, int64_t now_ms, struct pool_outlook *out,
                  void (*fn)(void *ctx, const struct account *a, const struct pool_verdict *v), void *ctx);
/* The same with an account that is kept. */
void pool_read(struct pool *p, struct account *a, void (*fn)(void *ctx, struct account *a), void *ctx);
/* Ends the rest of the way out that an account uses, so that what is left to say of it is its own. */
void pool_clear_egress(struct pool *p, struct str name, int64_t now_ms);
/* Calls fn for each account with the lock held. */
void pool_each(struct pool *p, void (*fn)(void *ctx, struct account *a), void *ctx);

#endif
