/* qwen_req.h - the upstream's request bodies. Threads: pure. Memory: appended to the caller's builder. */
#ifndef Q2A_PROTO_QWEN_REQ_H
#define Q2A_PROTO_QWEN_REQ_H

#include "proto/chat_req.h"

enum qwen_think { QWEN_THINK_OFF, QWEN_THINK_ON, QWEN_THINK_AUTO };

struct qwen_turn {
  struct str chat_id, model;
  struct str prompt_json;     /* the folded prompt as a JSON string with its quotes */
  struct str fid, child;      /* two UUIDs */
  enum chat_kind kind;        /* CHAT_T2T, CHAT_SEARCH, CHAT_T2I, CHAT_IMAGE_EDIT or CHAT_T2V */
  struct str files_json;      /* array of the attachments' file objects; empty: none */
  const char *size;           /* of a picture or video, "16:9"; NULL: not told */
  bool stream;                /* false is only dependable for CHAT_T2V */
  enum qwen_think think;
  int think_budget;           /* 0: none */
  bool summary;               /* thinking_format summary instead of detail */
  bool plain;                 /* without the doubtful members (thinking_mode, thinking_budget): second try after a
                                 validation error */
  int64_t wall_s;
};
const char *qwen_req_kind(enum chat_kind kind); /* "t2t" ...: chat_type of a chat and of its turns */
void qwen_req_completion(const struct qwen_turn *t, struct strbuf *out);
void qwen_req_new_chat(struct str model, const char *chat_type, int64_t wall_ms, struct strbuf *out);
void qwen_req_stop(struct str chat_id, struct str response_id, struct strbuf *out);
/* password_hex: 64 lowercase hex digits. */
void qwen_req_signin(struct str email, struct str password_hex, bool v2, struct strbuf *out);
/* The header value `timezone`: JS Date text without the zone name; offset_min east of UTC. */
void qwen_req_timezone(int64_t wall_s, int offset_min, struct strbuf *out);

#endif
