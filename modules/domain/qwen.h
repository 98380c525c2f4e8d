/* qwen.h - how the web chat is called: URLs, headers, and the few answers that are read here.
 *
 * Threads: pure. Memory: appends to the caller's builders. */
#ifndef Q2A_DOMAIN_QWEN_H
#define Q2A_DOMAIN_QWEN_H

#include "base/crypt.h"
#include "domain/config.h"
#include "proto/trouble.h"

struct qwen_call {
  const struct config *config;
  struct crypt_rng *rng;
  struct str token;     /* empty: no Authorization (sign-in) */
  struct str chat_id;   /* for the Referer; may be empty */
  bool events;          /* an event stream is expected */
  int64_t wall_s;
  struct str headers, cookie; /* the operator's for this account: lines "Name: value"; may be empty */
};
/* All header lines of a web-chat call, the operator's own included: those of the account replace the global ones of the same name,
 * these replace ours. */
void qwen_headers(const struct qwen_call *q, struct strbuf *out);
/* The operator's lines alone, global ones and those of an account; and whether one of them stands in for a header of ours. */
void qwen_operator(const struct config *c, struct str lines, struct strbuf *out);
bool qwen_overridden(const struct config *c, struct str lines, const char *name);
/* base + path: the base is QWEN_CHAT_PROXY_URL without its trailing slash. */
void qwen_url(const struct config *c, const char *path, struct str query_value, struct strbuf *out);
/* The id in the answer to chats/new: data.id, data.chat_id, data.chat.id, id or chat_id. Q_UP_BODY without one. */
enum q_status qwen_chat_id(int http_status, struct str retry_after, struct str body, char *id, size_t cap,
                           struct trouble *t) Q_MUST_USE;

#endif
