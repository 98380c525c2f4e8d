/* retell.h - the answer of an OpenAI-compatible upstream told in the client's protocol, by its writers.
 *
 * Threads: pure. Memory: owns copies of all it is given (echo is moved); a streamed answer keeps no text but what could become a
 * stop string, and calls until their choice ends. Output is appended to the caller's builder.
 * Stop strings are looked for here, too: an upstream does not tell which one it met, or may not know them.
 * Calls: their ids are the upstream's without its "call_", made anew where there is none or one comes twice; arguments are repaired
 * if they are no JSON. A call that a limit cut is left out, one that nothing can be made of fails the answer.
 * Nothing is written before there is something to say, so that trouble can still be told by a status and another attempt made. */
#ifndef Q2A_PROTO_RETELL_H
#define Q2A_PROTO_RETELL_H

#include "proto/openai_event.h"
#include "proto/out.h"

struct retell_set {
  const struct chat_req *r;           /* read during retell_new() only */
  const struct out_ops *stream, *whole;
  const char *id_prefix;              /* "msg_" */
  struct str model;                   /* the client's name for it */
  enum think_out think_out;           /* never DEFAULT */
  int64_t prompt_tokens;              /* estimate */
  struct strbuf *echo;                /* for out.echo: moved; NULL: none */
};

struct retell;
struct retell *retell_new(const struct retell_set *s) Q_MUST_USE; /* NULL: out of memory, echo is left alone */
void retell_destroy(struct retell *t);                            /* takes NULL */

/* Begins an attempt; what an earlier one brought is void. id: 24 base62 characters. */
enum q_status retell_begin(struct retell *t, const char *id, int64_t created_s) Q_MUST_USE;
/* Bytes of the event stream. Q_AGAIN: all taken. Q_EOF: no more is wanted. Otherwise it failed: *e says why. */
enum q_status retell_push(struct retell *t, struct str in, struct strbuf *b, struct relay_err *e) Q_MUST_USE;
/* A whole JSON answer (the upstream did not stream). Q_EOF, or trouble. */
enum q_status retell_whole(struct retell *t, struct str body, struct strbuf *b, struct relay_err *e) Q_MUST_USE;
/* The upstream's body has ended cleanly, or Q_EOF came: the end of the stream, or the whole body. Q_OK; Q_UP_CUT: it stopped
 * short; Q_UP_EMPTY: it said nothing; Q_UP_BODY: a call that is none. */
enum q_status retell_end(struct retell *t, int64_t ended_s, struct strbuf *b, struct relay_err *e) Q_MUST_USE;
/* In place of what is missing. event: within a stream that is under way, else the protocol's error body. */
void retell_error(struct retell *t, const struct q_error *e, bool event, struct strbuf *b);
void retell_beat(struct retell *t, struct strbuf *b); /* streams only */

const struct usage *retell_usage(const struct retell *t); /* behind retell_end() */
const struct out *retell_out(const struct retell *t);     /* the first writer */

#endif
