/* relay_req.h - an OpenAI chat request on its way to an upstream that speaks the same language.
 *
 * Threads: pure. Memory: relay_req_read() copies what it needs into `rest`, which relay_req_free() returns; model borrows from
 *          the body. What a tool's schema holds is written as it was read, whatever its members are called.
 * Changed: at top level only. Sampling fields the CLI service refuses are left out (and named), nulls and empty arrays too;
 *          system and developer messages become one leading system message with a list of parts; the upstream is always asked
 *          for a stream with usage. Legacy functions are Q_UNSUPPORTED: the web emulation serves those. */
#ifndef Q2A_PROTO_RELAY_REQ_H
#define Q2A_PROTO_RELAY_REQ_H

#include "proto/chat_req.h"

struct relay_req {
  struct str model;         /* as the client wrote it; may be empty */
  bool stream;              /* the client wants events */
  enum usage_wish usage;
  bool hide_think;          /* include_reasoning: false */
  enum think_wish think;    /* enable_thinking and its other spellings */
  int think_budget;         /* of `thinking`, 0: none */
  enum think_wish search;   /* enable_search */
  bool has_system;
  int64_t prompt_tokens;    /* estimate */
  struct strbuf rest;       /* of the new body, from behind `"messages":[` to its end */
  struct strbuf ignored;    /* names left out, comma separated */
};

/* Q_OK or trouble in *e with the field's path. relay_req_free() in either case. */
enum q_status relay_req_read(const struct json *body, struct relay_req *r, struct q_error *e) Q_MUST_USE;
void relay_req_free(struct relay_req *r);

struct relay_req_to {
  struct str model;         /* the upstream's name */
  bool needs_system;        /* the CLI service wants a system message in front, an empty one if there is none */
  bool think, search;       /* asked for by a suffix of the name: wins over the body */
};
void relay_req_write(const struct relay_req *r, const struct relay_req_to *to, struct strbuf *out);

/* Cuts -thinking, -search, -thinking-search or -search-thinking from a name. */
struct str relay_req_bare(struct str model, bool *think, bool *search);

/* Embeddings: the same body under the upstream's model name and, because that is all it knows, as floats. *base64: the client
 * wants base64. */
enum q_status relay_req_embeddings(const struct json *body, struct strbuf *out, struct str *model, bool *base64,
                                   struct q_error *e) Q_MUST_USE;

#endif
