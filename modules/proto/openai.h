/* openai.h - OpenAI chat completions: request body in, chunks and objects out. Threads: pure. */
#ifndef Q2A_PROTO_OPENAI_H
#define Q2A_PROTO_OPENAI_H

#include "proto/json.h"
#include "proto/out.h"

/* Reads a body into *r (texts live in the arena or borrow from the body). Trouble is in *e with the field's path. */
enum q_status openai_in(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e) Q_MUST_USE;

extern const struct out_ops openai_stream, openai_whole;

/* The error object of every OpenAI route: {"error":{"message","type","param","code"}}. */
void openai_error(const struct q_error *e, struct strbuf *b);

#endif
