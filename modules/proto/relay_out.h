/* relay_out.h - the answer of an OpenAI-compatible upstream on its way to the client: events in, events or one object out.
 *
 * Threads: pure. Memory: relay_out_init() to relay_out_free(); output is appended to the caller's builder. A streamed answer
 *          keeps no text, a collected one all of it.
 * Kept: ids, tool calls, reasoning, whatever else a delta holds. Changed: the model's name is the client's; one role chunk
 * comes first, one finish chunk per choice, usage in a chunk of its own if wanted (without numbers of the upstream: estimated),
 * [DONE] last. Nothing is written before there is something to say, so that trouble can still be told by a status. */
#ifndef Q2A_PROTO_RELAY_OUT_H
#define Q2A_PROTO_RELAY_OUT_H

#include "proto/chat_req.h"
#include "proto/delta.h"
#include "proto/relay_err.h"
#include "proto/sse.h"
#include "proto/tokens.h"

struct relay_out_set {
  struct str model;          /* the client's name; outlives the writer */
  const char *id;            /* if the upstream sends none */
  int64_t created_s, prompt_tokens;
  bool stream, hide_think;
  enum usage_wish usage;
};

struct relay_call { struct strbuf id, name, args; };
enum { RELAY_CALLS_MAX = 128 };

struct relay_out {
  struct relay_out_set set;
  struct sse sse;
  struct arena arena;        /* of the event under way */
  char id[128];
  int64_t created_s;
  bool any_event, shown, done;
  uint64_t begun, finished, told; /* choices, a bit each: role written, finish read, finish written */
  char finish[40];           /* of the first choice, "" before it */
  bool any_calls;
  struct usage counts;       /* read or estimated, when relay_out_end() was called */
  struct strbuf usage;       /* as the upstream wrote it */
  struct tokens tokens;      /* of all output */
  struct strbuf text, think, refusal; /* collected */
  struct relay_call *calls;
  int call_n;
};

enum q_status relay_out_init(struct relay_out *o, const struct relay_out_set *s) Q_MUST_USE;
void relay_out_free(struct relay_out *o); /* takes the zeroed value */

/* Bytes of the upstream's event stream. Q_AGAIN: all taken. Q_EOF: [DONE] came. Otherwise it failed: *e says why. */
enum q_status relay_out_push(struct relay_out *o, struct str in, struct strbuf *b, struct relay_err *e) Q_MUST_USE;
/* A whole JSON answer (the upstream did not stream). Q_EOF, or trouble. */
enum q_status relay_out_whole(struct relay_out *o, struct str body, struct strbuf *b, struct relay_err *e) Q_MUST_USE;
/* The upstream's body has ended cleanly, or [DONE] came: writes the end of the stream, or the whole object. Q_OK; Q_UP_CUT: it
 * stopped short; Q_UP_EMPTY: it said nothing. */
enum q_status relay_out_end(struct relay_out *o, struct strbuf *b, struct relay_err *e) Q_MUST_USE;

/* An embeddings answer: the client's model name, vectors as base64 if wanted; told: its tokens. Q_UP_BODY: it is none. */
enum q_status relay_out_embeddings(struct str body, struct str model, bool base64, struct usage *told, struct strbuf *b) Q_MUST_USE;

#endif
