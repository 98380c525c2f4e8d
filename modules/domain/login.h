/* login.h - signs accounts in and renews their tokens: one renewal at a time per account, a few at once in all.
 *
 * Threads: locked. The work is done in jobs; results come to the waiter's pump.
 * Time:    a renewal that cannot start within BATCH_LOGIN_CONCURRENCY waits its turn, a place is given on after a second; one sign-in call has 10 s, retried
 *          after 1, 2, 4 s on transport trouble. After "too many sign-ins" none is tried for 60 s.
 *          Who waits on a thread of its own (login_now) takes over a renewal that no thread has begun: one job thread is enough.
 * Memory:  a waiter is embedded in its owner until its result came or login_leave() was true. */
#ifndef Q2A_DOMAIN_LOGIN_H
#define Q2A_DOMAIN_LOGIN_H

#include "domain/app.h"

struct login_waiter {
  void (*done)(struct login_waiter *w, enum q_status st); /* on the pump; Q_OK: the account has a new token */
  struct pump *pump;
  struct pump_task task;     /* private */
  enum q_status st;          /* private */
  struct login_waiter *next; /* private */
  bool listed;               /* private */
};

struct login *login_new(struct app *a) Q_MUST_USE;
void login_destroy(struct login *l); /* after the jobs ended */
/* Renews a's token unless it was replaced since token_no. w may be NULL (in the background). refused: the upstream
 * said so although the token seemed alive: the exchange is tried before a new sign-in. */
void login_renew(struct login *l, struct account *a, unsigned token_no, bool refused, struct login_waiter *w);
/* The same for the CLI grant of an account (domain/grant.h): single flight of its own, beside sign-ins. */
void login_renew_grant(struct login *l, struct account *a, unsigned no, struct login_waiter *w);
bool login_leave(struct login *l, struct login_waiter *w); /* false: done() is on its way */

/* ---- (job) on the calling thread, beside the bound: the caller keeps to it ---- */

/* What a sign-in, an exchange or a look at a token gave. */
struct login_got {
  struct secret *token, *refresh;
  int64_t expires_ms;
  bool exchange;
  char email[256];          /* as the upstream knows the account; only login_look() asks */
  char words[304];          /* why it failed, as the upstream said */
};
void login_got_free(struct login_got *g);
/* Signs in with name and password of somebody who is not in the pool. */
enum q_status login_try(struct login *l, const struct pool_login *who, struct login_got *g) Q_MUST_USE;
/* Whose token it is, and whether it is alive (an exchange is tried once): g->token may be a newer one. */
enum q_status login_look(struct login *l, const struct pool_login *who, struct login_got *g) Q_MUST_USE;
/* Renews the sign-in (grant: the CLI grant) of an account of the pool now; one renewal at a time as ever. */
enum q_status login_now(struct login *l, struct account *a, bool grant, char words[304]) Q_MUST_USE;

#endif
