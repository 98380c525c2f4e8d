/* relay_err.h - names what is wrong with an answer of an OpenAI-compatible upstream, and what a client is told.
 *
 * Threads: pure. Memory: the result owns its words.
 * Told as it came: an error about the request itself (400 and the like of unknown kind) keeps its status, type, code and
 * param; upstream failures (5xx, 408) keep their status. All else has a row of its own in base/status.h. */
#ifndef Q2A_PROTO_RELAY_ERR_H
#define Q2A_PROTO_RELAY_ERR_H

#include "proto/trouble.h"

struct relay_err {
  enum q_status st;      /* Q_OK: no error. Q_UP_AUTH: the key or grant was refused */
  int status;            /* what the client gets; 0: as the table says */
  int wait_s;
  char words[304], code[64], type[64], param[96];
};

/* A whole body that is no success (or a JSON body of status 200: Q_OK if it reports none). */
void relay_err_body(struct relay_err *e, int http_status, struct str retry_after, struct str body);
/* An event of a stream. Q_OK: it is no error. */
void relay_err_event(struct relay_err *e, const struct json *root);
/* {"error":{…}} for the client; q tells the sentence. */
void relay_err_write(const struct relay_err *e, const struct q_error *q, struct strbuf *b);

#endif
