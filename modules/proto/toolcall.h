/* toolcall.h - finds tool calls in the streamed text of a model: text and calls out, whatever the cuts of the stream.
 *
 * Threads: pure, one object per flow of text. Time: linear; text without '<' and '`' is searched, not copied.
 * Memory: owns what it holds back, at most a call's body (1 MiB; a longer one ends there) and a joined text; items borrow from it
 * or from the pushed bytes until the next call. The toolset must outlive it.
 * Promise: no byte of a call's markup is ever given out as text, no prose about tags is lost, a lone '<' waits for at most one
 * delta, and a delta makes one text, or one on each side of a call. Vectors and rules: api 3.10.
 * Beyond the vectors: a code fence around a call goes with it; a string that was never closed makes a call broken, because its
 * text was cut; ```json blocks are calls only if they name arguments as well. */
#ifndef Q2A_PROTO_TOOLCALL_H
#define Q2A_PROTO_TOOLCALL_H

#include "proto/toolset.h"

struct toolcall_item {
  bool is_call;
  struct str text;       /* a piece of visible text */
  int tool;              /* of a call: index into the toolset */
  struct str args;       /* JSON text of an object that fits the schema; of a custom tool the raw input */
  bool repaired;         /* the body was no clean JSON */
};

struct toolcall_impl;
struct toolcall {
  int calls;             /* found so far; the last may still wait for the next call of push or finish */
  bool broken;           /* a body that names a listed tool could not be made a call: worth another turn */
  bool denied;           /* the answer began with the upstream's "Tool x does not exist": it was withheld */
  /* In an answer, what follows a call, a broken one or a denial is dropped, except for calls. */
  struct toolcall_impl *impl; /* private */
};

/* reasoning: of a thought: text behind calls is kept there, while in an answer it is dropped. */
enum q_status toolcall_init(struct toolcall *t, const struct toolset *set, bool reasoning) Q_MUST_USE;
void toolcall_free(struct toolcall *t); /* takes the zeroed value */
/* Q_OK: one item, call again with the rest, even an empty one. Q_AGAIN: all taken. Q_NOMEM. With one_call only the first call. */
enum q_status toolcall_push(struct toolcall *t, const char *p, size_t n, size_t *used, struct toolcall_item *item) Q_MUST_USE;
/* The end of the text: what was held back. Q_OK: an item, call again. Q_AGAIN: nothing is left. */
enum q_status toolcall_finish(struct toolcall *t, struct toolcall_item *item) Q_MUST_USE;

#endif
