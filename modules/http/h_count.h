/* h_count.h - what a request would cost in tokens, without asking the upstream (api 3.15). Threads: desk or job, as req.h. */
#ifndef Q2A_HTTP_H_COUNT_H
#define Q2A_HTTP_H_COUNT_H

#include "http/req.h"
#include "proto/chat_req.h"

/* The folded prompt, tools included, and the files, as the model has been found to count. model: the upstream's id. Trouble is
 * in *e, with param as its field. */
enum q_status h_count_tokens_of(struct req *q, const struct chat_req *r, struct str model, const char *param, int64_t *tokens,
                                struct q_error *e) Q_MUST_USE;

#endif
