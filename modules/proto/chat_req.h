/* chat_req.h - what a request of every protocol is read into; knows no wire format.
 *
 * Threads: pure. Memory: everything borrows from the arena the request was read into. */
#ifndef Q2A_PROTO_CHAT_REQ_H
#define Q2A_PROTO_CHAT_REQ_H

#include "base/arena.h"

enum chat_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

struct chat_msg {
  enum chat_role role;
  struct str name;    /* of a user, or the tool that answered; may be empty */
  struct str text;    /* all text parts, joined with a newline; reasoning already dropped */
};

enum think_wish { THINK_UNSET, THINK_OFF, THINK_ON };
enum think_out { THINK_OUT_DEFAULT, THINK_OUT_FIELD, THINK_OUT_TAGS, THINK_OUT_NONE };
enum usage_wish { USAGE_UNSET, USAGE_NO, USAGE_YES };
enum chat_kind { CHAT_UNSET, CHAT_T2T, CHAT_SEARCH }; /* chat_type of the request */

enum { CHAT_STOP_MAX = 16 };

struct chat_req {
  struct str model; /* as the client wrote it; empty: the default model */
  struct chat_msg *msgs;
  int msg_n;
  bool stream;
  enum usage_wish include_usage;
  enum think_wish think;
  int think_budget;        /* tokens, 0: none given */
  bool hide_reasoning;     /* include_reasoning: false */
  enum think_out think_out; /* reasoning_format */
  bool search;
  enum chat_kind kind;
  struct str stop[CHAT_STOP_MAX];
  int stop_n;
  int64_t max_tokens;      /* 0: no limit */
  struct str ignored;      /* comma list for x-qwen2api-ignored, at most 512 bytes */
};

/* Folds the messages into the one user message the upstream takes (README, "Folding"). Appends to *out. */
void chat_req_fold(const struct chat_req *r, struct strbuf *out);

#endif
