/* openai_event.h - the answer of an OpenAI-compatible upstream: bytes of its event stream (or a whole object) to pieces of text and
 * thought, to whole tool calls, reasons to finish, usage and trouble.
 *
 * Threads: pure. Memory: keeps calls and numbers, no text; pieces borrow until the next call. Sizes are bounded: an event too large
 * is dropped, more calls than OPENAI_EVENT_CALLS or longer ones than OPENAI_EVENT_ARGS fail the answer.
 * Taken as one call goes on: the same index; without one, what has neither an id nor a name. A new id with a name under a used index
 * is a call of its own. Arguments that come as an object are written as text. */
#ifndef Q2A_PROTO_OPENAI_EVENT_H
#define Q2A_PROTO_OPENAI_EVENT_H

#include "proto/delta.h"
#include "proto/out.h"
#include "proto/relay_err.h"
#include "proto/sse.h"
#include "proto/tokens.h"

enum { OPENAI_EVENT_CHOICES = 16, OPENAI_EVENT_CALLS = 128, OPENAI_EVENT_ARGS = 16 * 1024 * 1024 };

struct openai_piece { int choice; struct str think, answer; /* new text of each, one of them not empty */ };

struct openai_call {
  int choice;
  int64_t index;            /* as the upstream counts; -1: it did not */
  struct strbuf id, name, args; /* args: as they came, maybe empty, maybe no JSON */
};
struct openai_end { bool seen, finished; enum finish why; }; /* of a choice; seen: any word of it */

struct openai_event {
  struct openai_end ends[OPENAI_EVENT_CHOICES];
  struct openai_call *calls; /* of all choices, in order of appearance */
  int call_n;
  struct usage usage;       /* the last that was told; no number below 0 */
  struct tokens tokens;     /* estimate of all that came */
  bool any;                 /* an event came that was none of trouble */
  bool done;                /* [DONE], or the object was whole */
  /* private */
  struct sse sse;
  struct arena arena;       /* of the event under way */
  const struct json *next;  /* its choices that are not told yet */
  struct strbuf args;
};

enum q_status openai_event_init(struct openai_event *o) Q_MUST_USE;
void openai_event_free(struct openai_event *o); /* takes the zeroed value */

/* Takes bytes off *in. Q_OK: a piece, call again (also with nothing left in *in). Q_AGAIN: all taken. Q_EOF: [DONE] came. Else the
 * answer failed: *e says why. */
enum q_status openai_event_push(struct openai_event *o, struct str *in, struct openai_piece *p, struct relay_err *e) Q_MUST_USE;
/* The body has ended: an event without its blank line. Q_OK: a piece, call again. Q_EOF: no more. Else trouble. */
enum q_status openai_event_finish(struct openai_event *o, struct openai_piece *p, struct relay_err *e) Q_MUST_USE;
/* A whole object (the upstream did not stream). Q_OK: openai_event_finish() gives its pieces. Else trouble. */
enum q_status openai_event_whole(struct openai_event *o, struct str body, struct relay_err *e) Q_MUST_USE;

#endif
