/* out.h - writes a turn in the client's protocol; one table of functions per protocol, streamed or collected.
 *
 * Threads: pure. Memory: appends to the caller's bounded builder (its sticky error is the only failure).
 * Order of calls: begin, any number of think/text/sources, then exactly one of finish or error. A streamed writer
 * appends whole events; a collecting one appends nothing before finish(), which appends the whole body. sources() alone
 * may come before begin(): it is kept. HTTP head and chunk framing are the caller's.
 * error(): of a streamed writer the protocol's error event and end mark (begun or not), of a collecting one the error
 * body of the protocol. */
#ifndef Q2A_PROTO_OUT_H
#define Q2A_PROTO_OUT_H

#include "proto/chat_req.h"
#include "proto/delta.h"

enum finish { FINISH_STOP, FINISH_LENGTH, FINISH_FILTER };

struct out {
  const struct out_ops *ops;
  /* Set by the creator before begin: */
  char id[40];               /* "chatcmpl-…" */
  struct str model;          /* the client's name for it; outlives the writer */
  int64_t created_s;
  bool stream;
  enum usage_wish include_usage;
  enum think_out think_out;  /* FIELD, TAGS or NONE; never DEFAULT */
  bool search_text;          /* SEARCH_INFO_MODE=text, else table */
  /* State of the writer: */
  bool think_open, think_closed; /* tags mode */
  bool any_text, any_think;  /* shown to the client */
  int source_n;              /* all so far */
  struct strbuf block;       /* rows that are not printed yet */
  bool block_head;           /* the table's head was printed in the reasoning */
  struct strbuf annotations; /* of all sources, comma separated objects */
  struct strbuf prefix;      /* streamed writer: the constant start of every chunk */
  struct strbuf think_buf, text_buf; /* collecting writer only */
};

struct out_ops {
  void (*begin)(struct out *o, struct strbuf *b);
  void (*think)(struct out *o, struct str text, struct strbuf *b);
  void (*text)(struct out *o, struct str text, struct strbuf *b);
  void (*sources)(struct out *o, const struct source *s, int n, struct strbuf *b);
  void (*finish)(struct out *o, enum finish why, const struct usage *u, struct strbuf *b);
  void (*error)(struct out *o, const struct q_error *e, struct strbuf *b);
  void (*heartbeat)(struct out *o, struct strbuf *b); /* streams only */
};

void out_free(struct out *o);   /* the owned builders; takes the zeroed value */
void out_forget(struct out *o); /* back to before begin: what was collected belongs to an abandoned attempt */
/* True once something was written that the client can see as an answer. */
static inline bool out_shown(const struct out *o) { return o->any_text || o->any_think; }

#endif
