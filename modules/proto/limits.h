/* limits.h - ends visible text at a stop string or at max_tokens.
 *
 * Threads: pure. Memory: owns copies of the stop strings and a hold buffer no longer than the longest of them.
 * What could still become a stop string is held back; everything else passes at once. Cuts fall on code points. */
#ifndef Q2A_PROTO_LIMITS_H
#define Q2A_PROTO_LIMITS_H

#include "base/str.h"
#include "proto/tokens.h"

enum { LIMITS_STOPS = 16 };

struct limits {
  struct strbuf text;              /* all stop strings, one behind the other */
  size_t at[LIMITS_STOPS + 1];     /* where each begins; the last is the end */
  int stop_n;
  int hit;                         /* the stop string that ended the text, counted without empty ones; -1 none */
  struct strbuf hold;              /* held back, then what is given out */
  size_t given;                    /* bytes of hold given out by the last call */
  int64_t max_tokens;              /* 0: none */
  struct tokens tokens;            /* of what was given out */
};

enum limits_end { LIMITS_GO_ON, LIMITS_STOP, LIMITS_LENGTH };

enum q_status limits_init(struct limits *l, const struct str *stops, int stop_n, int64_t max_tokens) Q_MUST_USE;
void limits_reset(struct limits *l); /* to the state after limits_init() */
void limits_free(struct limits *l); /* takes the zeroed value */
/* *visible (borrowed until the next call) may go to the client. After LIMITS_STOP or LIMITS_LENGTH nothing follows.
 * Out of memory ends as LIMITS_LENGTH: text is cut, never wrong. */
enum limits_end limits_push(struct limits *l, struct str text, struct str *visible);
/* The end: what was held back, within max_tokens. LIMITS_LENGTH: some of it had to be cut. */
enum limits_end limits_rest(struct limits *l, struct str *visible);

/* The stop string that ended the text, borrowed; empty if none did: of several that end together the one that begins first. */
static inline struct str limits_hit(const struct limits *l)
{
  return l->hit < 0 ? STR_NONE : str_of(l->text.p + l->at[l->hit], l->at[l->hit + 1] - l->at[l->hit]);
}

#endif
