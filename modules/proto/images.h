/* images.h - the Images API: its requests to a chat_req of one message, its answer out of what the turn gave.
 *
 * Threads: pure. Memory: the request's arena. Both readers take JSON fields; a form's were made to them by multipart_fields(). */
#ifndef Q2A_PROTO_IMAGES_H
#define Q2A_PROTO_IMAGES_H

#include "proto/multipart.h"
#include "proto/out.h"

enum { IMAGES_N_MAX = 4, IMAGES_PROMPT_MAX = 32000 /* characters */, IMAGES_INPUTS_MAX = 16 };

struct images_in {
  struct chat_req req;  /* kind CHAT_T2I or CHAT_IMAGE_EDIT; model as written */
  bool inline_data;     /* b64_json is wanted */
  bool any_model;       /* the name is one of OpenAI's own pictures models: the default serves, unless an alias says otherwise */
};
/* form: NULL, or where the files are. edit: /v1/images/edits. */
enum q_status images_in(struct arena *a, const struct json *body, const struct multipart *form, bool edit, struct images_in *in,
                        struct q_error *e) Q_MUST_USE;

/* The prompt of pictures and videos: a text of 1 to IMAGES_PROMPT_MAX characters. */
enum q_status images_prompt(const struct json *body, struct str *out, struct q_error *e) Q_MUST_USE;

extern const struct out_ops images_whole; /* collects; {"created","data","usage"} at the end */

#endif
