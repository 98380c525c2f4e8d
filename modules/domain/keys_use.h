/* keys_use.h - what one key has used, and whether it may go on: the rules of its limits, as plain arithmetic.
 *
 * Threads: pure; keys.c holds its lock around every call. Time: wall clock ms, passed in; days and months are those of TZ. A clock
 *          that is set back goes on with the day that it was.
 * Memory:  a window of a minute only for keys with a limit that needs one, from their first use on (keys_use_ready).
 * Window:  a request counts for 60 to 60.5 s: no 60 s hold more than the limit.
 * Shares:  n is what is known of all gateways; fresh is that part of it which the store has not been told. */
#ifndef Q2A_DOMAIN_KEYS_USE_H
#define Q2A_DOMAIN_KEYS_USE_H

#include "domain/keys_limits.h"

enum keys_span { KEYS_DAY, KEYS_MONTH, KEYS_EVER, KEYS_SPANS };
enum keys_count { KEYS_CALLS, KEYS_TOKENS, KEYS_MEDIA, KEYS_COUNTS };
enum { KEYS_SLOT_MS = 500, KEYS_SLOTS = 60 * 1000 / KEYS_SLOT_MS + 1 };

struct keys_calendar { int day; int64_t day_ends_ms; }; /* 20251124; zeroed: not looked at yet */
void keys_use_calendar(struct keys_calendar *c, int64_t now_ms);

struct keys_minute {
  int64_t slot;            /* the newest */
  uint32_t calls[KEYS_SLOTS];
  int64_t tokens[KEYS_SLOTS];
  int64_t all_calls, all_tokens;
};

struct keys_use {
  int day;                 /* that n and fresh of KEYS_DAY and KEYS_MONTH are of */
  int64_t n[KEYS_SPANS][KEYS_COUNTS], fresh[KEYS_SPANS][KEYS_COUNTS];
  int64_t last_s, told_s;  /* when it was used; what the store knows of that */
  int inflight;
  int64_t media_held;      /* wanted by those in flight */
  struct keys_minute *minute;
  bool changed;            /* fresh is not all zero */
  bool known;              /* what the store has of it was read: what is new there after that was used a moment ago */
};

struct keys_ask {          /* what a request wants */
  struct str asked, resolved; /* the model in the client's words and in ours; may be empty */
  int media;               /* pictures and videos it wants at most */
  bool again;              /* it was let in before, and comes back from another route: nothing is refused or counted */
};

void keys_use_free(struct keys_use *u);
enum q_status keys_use_ready(struct keys_use *u, const struct keys_limits *l) Q_MUST_USE; /* before l is used with u: Q_NOMEM */
void keys_use_turn(struct keys_use *u, const struct keys_calendar *c); /* what is of a former day or month is forgotten */
/* Q_OK: counted, and in flight until keys_use_done(). Q_KEY_MODEL, Q_KEY_QUOTA, Q_KEY_RATE with words and Retry-After. */
enum q_status keys_use_admit(struct keys_use *u, const struct keys_limits *l, const struct keys_calendar *c, const struct keys_ask *ask,
                             int64_t now_ms, struct q_error *e) Q_MUST_USE;
/* The same checks; nothing is counted. */
enum q_status keys_use_check(struct keys_use *u, const struct keys_limits *l, const struct keys_calendar *c, const struct keys_ask *ask,
                             int64_t now_ms, struct q_error *e) Q_MUST_USE;
void keys_use_done(struct keys_use *u, const struct keys_calendar *c, int media_held, int64_t tokens, int media, int64_t now_ms);
/* Others were let in elsewhere, a moment ago. l: NULL, or makes a window if the limits need one. */
void keys_use_elsewhere(struct keys_use *u, const struct keys_limits *l, int64_t calls, int64_t tokens, int64_t now_ms);

#endif
