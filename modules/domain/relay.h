/* relay.h - one request passed on to an upstream that speaks OpenAI's language: a CLI grant, or the key of an api account.
 *
 * Threads: relay_new() on the desk (or a job); from client_adopt() on it is owned by the client's pump.
 * Time:    the same waits, heartbeats and limits as a web chat (domain/chat.h).
 * Memory:  a relay owns all it needs and frees itself after its last byte. A streaming one keeps no text. The client's request
 *          is kept until the first byte of the answer, because the web chat may have to read it.
 * Routes:  grants, then keys; the last one that is configured waits for a busy account, the others hand on at once. Before
 *          the first answer event trouble with one account is met with the next, and trouble with a route with the next route:
 *          a refused grant is renewed once; limited, barred and unknown-model accounts are passed over; network, 5xx and empty
 *          answers are tried again CHAT_RETRY_COUNT times with back-off. What is wrong with the request itself is told at once.
 * The web: the last route is no part of this file: the request is given back (client_redo) with RELAY_NOTE_*, its handler runs
 *          again and starts a web chat instead. */
#ifndef Q2A_DOMAIN_RELAY_H
#define Q2A_DOMAIN_RELAY_H

#include "domain/answer.h"
#include "domain/relay_route.h"
#include "proto/relay_req.h"
#include "proto/retell.h"

struct relay;

/* client_request.again of a request that comes back: bits, and the attempts made so far above them. */
enum { RELAY_NOTE_WEB = 1, RELAY_NOTE_HEAD = 2 /* the HTTP head is out */, RELAY_NOTE_STREAM = 4, RELAY_NOTE_ATTEMPTS = 8 /* shift */ };

struct relay_order {
  enum relay_kind kind;
  struct relay_req *req;     /* moved; NULL for embeddings */
  struct strbuf *embeddings; /* the body, moved; NULL for chats */
  bool base64;               /* embeddings: as base64 */
  struct str shown_model;    /* the name the client sent */
  struct str model;          /* the name to look for, where that is another (an alias); empty: shown_model */
  struct retell *retell;     /* moved: the answer is told by its writers; NULL: in OpenAI's words, as it comes */
  void (*kept)(void *ctx, const struct out *o); /* (pump) as in chat.h, of the writers; NULL: nobody wants to know */
  void *kept_ctx;
  bool then_web;             /* the request may be given back for a web chat */
  struct account *only;      /* nobody else is asked; the relay keeps it itself. NULL: any */
  struct answer_to to;
};
/* Takes over req, embeddings and retell in any case; kept is called only if it succeeds. */
enum q_status relay_new(struct relay **out, const struct relay_order *o, struct q_error *e) Q_MUST_USE;
struct client_taker *relay_taker(struct relay *r);

#endif
