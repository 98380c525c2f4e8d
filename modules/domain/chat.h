/* chat.h - one answer, from a request that was read to its last byte: turns at the upstream (turn.h) become choices (choice.h), these
 * become bytes of the client's protocol.
 *
 * Threads: chat_new() on the desk (or a job); from client_adopt() on it is owned by the client's pump.
 * Time:    heartbeats and the early head are answer.h's, all waits for the upstream the turns'.
 * Memory:  a chat owns all it needs and frees itself after its last byte. A streaming chat keeps no text but what tools, formats
 *          and stop strings hold back.
 * Errors:  until the HTTP head is out trouble has its own status, afterwards it is one event in the client's protocol. */
#ifndef Q2A_DOMAIN_CHAT_H
#define Q2A_DOMAIN_CHAT_H

#include "domain/answer.h"
#include "proto/chat_req.h"
#include "proto/out.h"

struct chat;

struct chat_order {
  const struct chat_req *req;      /* read during chat_new() only */
  const struct models_pick *pick;  /* same */
  enum chat_kind kind;             /* never CHAT_UNSET */
  bool inline_images;              /* pictures go into the answer as bytes */
  const struct out_ops *stream, *whole; /* the protocol's writers */
  const char *out_id_prefix;       /* "chatcmpl-" */
  struct strbuf *echo;             /* for out.echo: moved; NULL: none */
  /* (pump) Exactly once, when the chat has ended: with the first writer behind its end(), or NULL when it failed or the
   * client left. NULL: nobody wants to know. */
  void (*kept)(void *ctx, const struct out *o);
  void *kept_ctx;
  struct str shown_model;          /* the name the client sent */
  const char *route;               /* static text for x-qwen2api-route, or NULL */
  struct account *only;            /* nobody else is asked; the chat keeps it itself. NULL: any */
  struct answer_to to;
};

/* Builds a chat, ready for client_adopt(c, chat_taker(chat)). */
enum q_status chat_new(struct chat **out, const struct chat_order *o, struct q_error *e) Q_MUST_USE;
struct client_taker *chat_taker(struct chat *c);

#endif
