/* choice.h - one choice of an answer: what the upstream says becomes what the client is shown: tool calls are cut out, text ends at
 * stop strings and limits, JSON is checked, pictures are believed or not, and a turn that did not bring what was asked for is
 * worth another one.
 *
 * Threads: owned by the pump. Time: none. Memory: embedded in its owner; text is kept only where it is held back: JSON formats,
 * a required call, a second turn. Bytes go to the builder of each call, in the protocol of the writer.
 * Order:   choice_delta() per delta, choice_flush() at the end of a turn, then choice_settle(): CHOICE_DONE leads to
 *          choice_finish(), CHOICE_AGAIN to another turn with the hint behind the prompt. */
#ifndef Q2A_DOMAIN_CHOICE_H
#define Q2A_DOMAIN_CHOICE_H

#include "base/crypt.h"
#include "domain/config.h"
#include "proto/limits.h"
#include "proto/out.h"
#include "proto/schema.h"
#include "proto/toolcall.h"

enum { CHOICE_SPARE_MAX = 16 };

/* The same for all choices of a chat; lives as long as they. */
struct choice_rules {
  const struct config *config;
  const struct toolset *tools;   /* NULL: none active */
  enum chat_format format;
  const struct json *schema;     /* FORMAT_SCHEMA */
  bool schema_strict;
  bool pictures;                 /* pictures were asked for: text is no answer */
};

struct choice {
  const struct choice_rules *rules;
  struct out *out;
  struct crypt_rng *rng;
  struct limits limits;
  struct tokens tokens;          /* estimate of all that came, told or not */
  struct toolcall answer, thought;
  struct strbuf held;            /* text that waits for the end of the turn */
  struct strbuf spare;           /* calls found in the reasoning: args one behind the other */
  struct { int tool; size_t at, n; } spares[CHOICE_SPARE_MAX];
  int spare_n;
  struct strbuf pictures;        /* result URLs, each with a line end */
  int picture_n;
  struct str chat_url;           /* base of pictures told as a path; set by the owner, may be empty */
  bool begun;
  bool cut;                      /* a limit ended the text, or one call is enough */
  enum finish why;
  int extra;                     /* second turns taken */
  bool repaired;                 /* a call was no clean JSON, and made one */
  bool lost;                     /* out of memory: what was held is not whole, nothing of it may be told */
  bool broken;                   /* a native call could not be made one */
  struct q_error bad;            /* what is wrong with a picture's address */
};

enum q_status choice_init(struct choice *c, const struct choice_rules *r, struct out *out, struct crypt_rng *rng, const struct chat_req *req)
  Q_MUST_USE;
void choice_free(struct choice *c); /* takes the zeroed value */
/* An attempt was abandoned: back to where the turn began. Q_NOMEM. */
enum q_status choice_forget(struct choice *c) Q_MUST_USE;
/* false: nothing more is wanted of this turn. */
bool choice_delta(struct choice *c, const struct delta *d, struct strbuf *b);
/* The turn has ended: what was still held as a possible tag. */
void choice_flush(struct choice *c, struct strbuf *b);
/* Whether the turn brought anything a client can use, or anything another turn could mend. */
bool choice_empty(const struct choice *c);

enum choice_next { CHOICE_DONE, CHOICE_AGAIN, CHOICE_FAILED };
/* CHOICE_AGAIN: *hint has what the model is told; the choice is ready for the next turn. CHOICE_FAILED: *e. */
enum choice_next choice_settle(struct choice *c, struct strbuf *hint, struct strbuf *b, struct q_error *e);
void choice_finish(struct choice *c, struct strbuf *b);
/* Pictures into the writer: base64 may be empty. */
void choice_picture(struct choice *c, struct out *out, struct str url, struct str base64, int index, struct strbuf *b);

#endif
