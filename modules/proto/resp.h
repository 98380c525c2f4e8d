/* resp.h - Redis' wire format: commands out, replies in.
 *
 * Threads: pure; a reader belongs to one thread at a time. Only this module knows hiredis, and of it only the reader.
 * Memory:  a reply lives in the reader until the next resp_next(). What one reply may cost is bounded at birth: its bytes
 *          on the wire, its elements, its depth; a server that sends more is given up.
 * Order:   resp_feed() what arrived, then resp_next() until Q_AGAIN. */
#ifndef Q2A_PROTO_RESP_H
#define Q2A_PROTO_RESP_H

#include "base/str.h"

enum { RESP_DEPTH_MAX = 8 };

enum resp_kind { RESP_NIL, RESP_TEXT, RESP_STATUS, RESP_ERROR, RESP_INT, RESP_LIST };
struct resp {
  enum resp_kind kind;
  struct str text;     /* of TEXT, STATUS and ERROR */
  int64_t number;
  struct resp *items;  /* of LIST */
  size_t n;
};

struct resp_reader;
struct resp_reader *resp_reader_new(size_t reply_max) Q_MUST_USE; /* NULL: out of memory */
void resp_reader_destroy(struct resp_reader *r);                  /* takes NULL */
enum q_status resp_feed(struct resp_reader *r, const char *p, size_t n) Q_MUST_USE; /* Q_TOO_BIG, Q_NOMEM */
/* Q_AGAIN: not whole yet. Q_BAD_VALUE: this is not the format. Q_TOO_BIG. After these two the reader is of no use. */
enum q_status resp_next(struct resp_reader *r, const struct resp **out) Q_MUST_USE;

static inline bool resp_is(const struct resp *r, struct str status) { return r->kind == RESP_STATUS && str_eq(r->text, status); }
/* The i-th element, or a nil that is always there. */
const struct resp *resp_at(const struct resp *r, size_t i);

void resp_command(struct strbuf *b, int n, const struct str *args);
#define RESP(b, ...) resp_command((b), (int)(sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str)), (struct str[]){ __VA_ARGS__ })

#endif
