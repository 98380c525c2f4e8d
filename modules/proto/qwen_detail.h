/* qwen_detail.h - the record of a chat at the upstream: what an answer was, when its stream broke off or told no picture.
 *
 * Threads: pure. Memory: results live in the arena or borrow from the body. */
#ifndef Q2A_PROTO_QWEN_DETAIL_H
#define Q2A_PROTO_QWEN_DETAIL_H

#include "proto/delta.h"
#include "proto/json.h"

struct qwen_detail {
  struct str answer;                    /* all of it so far */
  struct str images[DELTA_IMAGES_MAX];  /* result URLs, not checked */
  int image_n;
};
/* The assistant's message response_id, or the current one without an id. false: the body holds no such message. */
bool qwen_detail_read(struct arena *a, struct str body, struct str response_id, struct qwen_detail *out) Q_MUST_USE;

#endif
