/* cure.h - what trouble with the upstream means: for the next attempt, and for the client when it gives up.
 *
 * Threads: pure. */
#ifndef Q2A_DOMAIN_CURE_H
#define Q2A_DOMAIN_CURE_H

#include "base/str.h"

enum cure {
  CURE_NONE,    /* no further attempt helps */
  CURE_TOKEN,   /* the same account with a renewed token */
  CURE_FRESH,   /* the same account, a fresh chat */
  CURE_PLAIN,   /* the same account, the body without its doubtful members */
  CURE_ACCOUNT, /* the next account, at once */
  CURE_LATER    /* the next account after a pause */
};
enum cure cure_of(enum q_status st);
/* How long to rest before the retry of this number (1 is the first): doubling, +- 20 % by chance. */
int64_t cure_backoff_ms(int64_t first_ms, int retry, uint32_t chance);
/* Of several troubles the one with the highest rank is told: what an operator or a client can act on. */
int cure_rank(enum q_status st);
/* The sentence a client reads; words: the upstream's own, may be "". media: of a picture or video. */
void cure_describe(struct q_error *e, enum q_status st, const char *words, int wait_s, bool media);

#endif
