/* out.h - writes an answer in the client's protocol; one table of functions per protocol, streamed or collected.
 *
 * Threads: pure. Memory: appends to the caller's bounded builder (its sticky error is the only failure).
 * One struct out per choice (OpenAI's n); the others are linked behind the first.
 * Order of calls per choice: begin, any number of think/text/sources/image/call, then finish. When all choices have
 * finished: end, once, with the first. At any time instead: error, with the first, and nothing after it. sources() alone may
 * come before begin(): it is kept. Calls come last: no text follows a call within a choice.
 * A streamed writer appends whole events; a collecting one appends nothing before end(), which appends the whole body. HTTP
 * head and chunk framing are the caller's.
 * error(): of a streamed writer the protocol's error event and end mark (begun or not), of a collecting one the error
 * body of the protocol. */
#ifndef Q2A_PROTO_OUT_H
#define Q2A_PROTO_OUT_H

#include "proto/chat_req.h"
#include "proto/delta.h"

enum finish { FINISH_STOP, FINISH_LENGTH, FINISH_FILTER, FINISH_CALLS };

struct out_call {
  const char *id;            /* 24 base62 characters, without a prefix */
  struct str name, args;     /* args: JSON text of an object; of a custom tool the raw input */
  bool custom;
};

struct out {
  const struct out_ops *ops;
  struct out *next;          /* the next choice */
  int index;                 /* of the choice */
  /* Set by the creator before begin: */
  char id[40];               /* "chatcmpl-…" */
  struct str model;          /* the client's name for it; outlives the writer */
  int64_t created_s;
  bool stream;
  enum usage_wish include_usage;
  enum think_out think_out;  /* FIELD, TAGS or NONE; never DEFAULT */
  bool search_text;          /* SEARCH_INFO_MODE=text, else table */
  bool no_block;             /* sources are not printed into the text (tools or JSON in play), only as annotations */
  bool functions;            /* legacy function_call instead of tool_calls */
  int64_t prompt_tokens;     /* estimate, for protocols that tell it at the beginning */
  struct strbuf echo;        /* protocol's own: what of the request the answer repeats; owned */
  /* Set by the caller before finish: */
  struct str stop_hit;       /* the stop string that ended the text, or empty */
  int64_t ended_s;           /* 0: not told, created_s stands for it */
  /* Set by end of a protocol that keeps answers: the whole object, as it is stored; owned. */
  struct strbuf final;
  /* State of the writer: */
  enum finish why;
  bool think_open, think_closed;
  bool any_text, any_think;  /* shown to the client */
  int calls;                 /* so far */
  int source_n;              /* all so far */
  struct strbuf block;       /* rows that are not printed yet */
  struct strbuf annotations; /* of all sources, comma separated objects */
  struct strbuf prefix;      /* streamed writer: the constant start of every chunk */
  struct strbuf think_buf, text_buf; /* texts of a collecting writer, or of one that repeats them at the end */
  struct strbuf call_buf;    /* calls, comma separated objects */
  struct strbuf items;       /* protocol's own */
  int item_n, sequence;      /* protocol's own */
  bool item_open;            /* protocol's own: an item of the answer is begun and not ended */
};

struct out_ops {
  void (*begin)(struct out *o, struct strbuf *b);
  void (*think)(struct out *o, struct str text, struct strbuf *b);
  void (*text)(struct out *o, struct str text, struct strbuf *b);
  void (*sources)(struct out *o, const struct source *s, int n, struct strbuf *b);
  void (*image)(struct out *o, struct str url, struct str base64, struct strbuf *b); /* a checked result URL; base64: its bytes, where asked for, else empty */
  void (*call)(struct out *o, const struct out_call *c, struct strbuf *b);
  void (*finish)(struct out *o, enum finish why, struct strbuf *b);
  void (*end)(struct out *o, const struct usage *u, struct strbuf *b);
  void (*error)(struct out *o, const struct q_error *e, struct strbuf *b);
  void (*heartbeat)(struct out *o, struct strbuf *b); /* streams only */
};

void out_free(struct out *o);   /* the owned builders; takes the zeroed value */
void out_forget(struct out *o); /* back to before begin: what was collected belongs to an abandoned attempt */
/* True once something was written that the client can see as an answer. */
static inline bool out_shown(const struct out *o) { return o->any_text || o->any_think || o->calls; }

#endif
