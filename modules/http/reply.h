/* reply.h - status lines, headers and error bodies, the same for every way an answer is made.
 *
 * Threads: pure. Memory: appends to the caller's builder. Header values are ours or were checked: none can break a line. */
#ifndef Q2A_HTTP_REPLY_H
#define Q2A_HTTP_REPLY_H

#include "domain/config.h"
#include "proto/out.h"

struct reply {
  int status;
  const struct config *config;
  const char *id;           /* x-request-id */
  struct str type;          /* Content-Type; empty: none */
  int64_t length;           /* Content-Length; -1: none is sent */
  bool chunked, keep, anthropic, api;
  struct str extra;         /* complete header lines */
  int64_t wall_s;
};

void reply_head(const struct reply *r, struct strbuf *b);
/* A whole answer for an error: status, Retry-After, x-should-retry, envelope of the protocol. body (may be empty) replaces
 * the envelope. */
void reply_error(struct reply *r, const struct q_error *e, struct str body, bool head_only, struct strbuf *b);
int reply_status(const struct q_error *e, bool anthropic);

#endif
