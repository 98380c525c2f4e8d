/* completions.h - OpenAI's legacy text completions, thinly: a prompt is continued by a chat (api 8). Threads: pure. */
#ifndef Q2A_PROTO_COMPLETIONS_H
#define Q2A_PROTO_COMPLETIONS_H

#include "proto/in.h"
#include "proto/out.h"

/* Reads a body into *r (texts live in the arena or borrow from the body). Trouble is in *e with the field's path.
 * n_max: the largest number of choices. */
enum q_status completions_in(struct arena *a, const struct json *body, int n_max, struct chat_req *r, struct q_error *e) Q_MUST_USE;

extern const struct out_ops completions_stream, completions_whole;

#endif
