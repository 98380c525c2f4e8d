/* openai.h - OpenAI chat completions: request body in, chunks and objects out. Threads: pure. */
#ifndef Q2A_PROTO_OPENAI_H
#define Q2A_PROTO_OPENAI_H

#include "proto/in.h"
#include "proto/out.h"

/* Reads a body into *r (texts live in the arena or borrow from the body). Trouble is in *e with the field's path.
 * n_max: the largest number of choices. */
enum q_status openai_in(struct arena *a, const struct json *body, int n_max, struct chat_req *r, struct q_error *e) Q_MUST_USE;
/* Pieces that other protocols share: one content part, a content that is a text or a list of parts, a tool_choice. */
enum q_status openai_part(struct in_parts *p, const struct json *part, const char *param, struct q_error *e) Q_MUST_USE;
enum q_status openai_content(struct in_parts *p, const struct json *content, const char *param, struct q_error *e) Q_MUST_USE;
enum q_status openai_tool_choice(struct chat_req *r, const struct json *choice, const char *param, struct q_error *e) Q_MUST_USE;

extern const struct out_ops openai_stream, openai_whole;

/* The error object of every OpenAI route: {"error":{"message","type","param","code"}}. */
void openai_error(const struct q_error *e, struct strbuf *b);

#endif
