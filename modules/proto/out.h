/* out.h - writes a turn in the client's protocol; one table of functions per protocol, streamed or collected.
 *
 * Threads: pure. Memory: appends to the caller's bounded builder (its sticky error is the only failure).
 * Order of calls: begin, any number of think/text/sources, then exactly one of finish or error. A streamed writer
 * appends whole events; a collecting one appends nothing before finish(), which appends the whole body. HTTP head and
 * chunk framing are the caller's. */
#ifndef Q2A_PROTO_OUT_H
#define Q2A_PROTO_OUT_H

#include "proto/chat_req.h"
#include "proto/delta.h"

enum finish { FINISH_STOP, FINISH_LENGTH, FINISH_FILTER };

struct out {
  const struct out_ops *ops;
  /* Set by the creator before begin: */
  char id[40];               /* "chatcmpl-…" */
  struct str model;          /* the client's name for it */
  int64_t created_s;
  bool stream;
  enum usage_wish include_usage;
  enum think_out think_out;  /* FIELD, TAGS or NONE; never DEFAULT */
  bool search_text;          /* SEARCH_INFO_MODE=text, else table */
  /* State of the writer: */
  bool think_open, tags_done, any_text, any_think; /* any_*: shown to the client */
  int source_n, source_shown;      /* collected, and already printed into the reasoning */
  struct strbuf src;               /* sources: cleaned, for the block and the annotations; owned */
  struct strbuf think_buf, text_buf; /* collecting writer only; owned */
};

struct out_ops {
  void (*begin)(struct out *o, struct strbuf *b);
  void (*think)(struct out *o, struct str text, struct strbuf *b);
  void (*text)(struct out *o, struct str text, struct strbuf *b);
  void (*sources)(struct out *o, const struct source *s, int n, struct strbuf *b);
  void (*finish)(struct out *o, enum finish why, const struct usage *u, struct strbuf *b);
  /* After begin in a stream: the protocol's error event and end mark. Before it, and never begun: the error body. */
  void (*error)(struct out *o, const struct q_error *e, struct strbuf *b);
  void (*heartbeat)(struct out *o, struct strbuf *b); /* streams only */
};

void out_free(struct out *o); /* the owned builders; takes the zeroed value */
/* True once something was written that the client can see as an answer. */
static inline bool out_shown(const struct out *o) { return o->any_text || (o->any_think && o->think_out != THINK_OUT_NONE); }

#endif
