/* h_start.h - from a request that was read to a running chat; the same for every protocol.
 *
 * Threads: desk or job, as req.h. Memory: r and way are read before it returns; way->echo is moved or freed. */
#ifndef Q2A_HTTP_H_START_H
#define Q2A_HTTP_H_START_H

#include "domain/chat.h"
#include "http/req.h"

struct h_way {
  const struct out_ops *stream, *whole; /* the protocol's writers */
  const char *id_prefix;                /* of the answer's id: "chatcmpl-" */
  struct str fallback;                  /* model for a request that names none; empty: DEFAULT_MODEL */
  bool anthropic;                       /* headers and statuses are Anthropic's; claude-* names mean the fallback too */
  bool inline_images;                   /* results are told by their bytes (b64_json) instead of their URL */
  struct str shown_model;               /* the client's name, where r->model is another; empty: r->model */
  struct str asked;                     /* the client's name for its key's list of models; empty: shown_model, or r->model */
  const char *route;                    /* static text for x-qwen2api-route, or NULL */
  struct strbuf *echo;                  /* chat_order.echo */
  void (*kept)(void *ctx, const struct out *o); /* chat_order.kept: called exactly once, also when no chat comes to be */
  void *kept_ctx;
};
/* Picks the model, builds the chat and passes the client on to it; answers what goes wrong itself. */
void h_start(struct req *q, const struct chat_req *r, const struct h_way *way);

#endif
