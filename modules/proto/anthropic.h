/* anthropic.h - Anthropic Messages: request body in; events, objects and errors out. Threads: pure. */
#ifndef Q2A_PROTO_ANTHROPIC_H
#define Q2A_PROTO_ANTHROPIC_H

#include "proto/in.h"
#include "proto/out.h"

/* Reads a body into *r (texts live in the arena or borrow from the body). Trouble is in *e with the field's path. What
 * has no effect is named in r->ignored, nested fields as "tools.defer_loading". One message of a client may become
 * several of ours, joined to each other: a tool result is a turn of its own. */
enum q_status anthropic_in(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e) Q_MUST_USE;
/* The part of it that reads `tools` and `tool_choice`: client tools, typed tools, the server's search. */
enum q_status anthropic_tools(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e) Q_MUST_USE;
/* Names a field that has no effect, once. group: "tools", or NULL. A name that cannot stand in a header is left out. */
enum q_status anthropic_ignore(struct arena *a, struct chat_req *r, const char *group, struct str name, struct q_error *e) Q_MUST_USE;

/* The writers. out.echo holds the request's id, which error bodies repeat. Sources are printed behind the text; a thought
 * is shown as a block of its own when out.think_out is not THINK_OUT_NONE. */
extern const struct out_ops anthropic_stream, anthropic_whole;

/* The HTTP status of an error, and its type's word: agents back off on 529; every other reason for 503 must be shown
 * instead of retried. */
int anthropic_status(const struct q_error *e);
/* {"type":"error","error":{"type","message"},"request_id"}; without the last if request_id is empty. */
void anthropic_error(const struct q_error *e, struct str request_id, struct strbuf *b);

#endif
