/* sse.h - cuts a byte stream into server-sent events.
 *
 * Threads: pure.
 * Memory:  a whole event within the pushed bytes is given without a copy; only what a push cuts is kept, at most
 *          max_event bytes, and a large buffer is given back with the event. *data borrows until the next call.
 * Accepts: LF, CRLF and CR line ends, "data:" with and without a space, several data lines (joined by LF), trailing
 *          blanks, comments and other fields (skipped, but they are bytes: timers may rest on them). */
#ifndef Q2A_PROTO_SSE_H
#define Q2A_PROTO_SSE_H

#include "base/str.h"

struct sse {
  struct strbuf line;    /* a line that a push cut */
  struct strbuf data;    /* data lines of the event under way, when there is more than a borrowed one */
  struct str one;        /* the only data line so far, borrowed from the pushed bytes */
  bool has_data, skip;   /* skip: the event is too large, it is dropped to its end */
  bool cr;               /* the last byte was a CR: an LF right behind it belongs to it */
};

enum q_status sse_init(struct sse *s, size_t max_event) Q_MUST_USE;
void sse_free(struct sse *s); /* takes the zeroed value */
/* Q_OK: one event in *data, call again with the rest. Q_AGAIN: all taken. Q_TOO_BIG: an event was dropped whole, call
 * again with the rest. Q_NOMEM. */
enum q_status sse_push(struct sse *s, const char *p, size_t n, size_t *used, struct str *data) Q_MUST_USE;
/* The end of the stream: an event without its blank line. Q_OK or Q_TOO_BIG at most once, then Q_AGAIN. */
enum q_status sse_finish(struct sse *s, struct str *data) Q_MUST_USE;

#endif
