/* responses.h - OpenAI Responses: request body in, events and objects out (api 7).
 *
 * Threads: pure. Memory: what is read lives in the arena or borrows from the body and from what look tells.
 * Ids: an item of an answer is named by its kind ("rs_", "msg_", "fc_", "ctc_"), the first RESPONSES_CORE characters of the
 * answer's own id and its place, so that an item's id leads to the answer it stands in. */
#ifndef Q2A_PROTO_RESPONSES_H
#define Q2A_PROTO_RESPONSES_H

#include "proto/in.h"
#include "proto/out.h"

enum { RESPONSES_CORE = 21, RESPONSES_ID_MAX = 32 };

/* What the gateway remembers of earlier answers; given by the layer above. */
struct responses_look {
  const struct json **before;  /* item lists of the stored conversation, oldest first; each an array */
  int before_n;
  /* The item of that id, NULL: unknown (or look.item is NULL). */
  const struct json *(*item)(void *ctx, struct str id);
  void *ctx;
};

struct responses_want {        /* what no other protocol knows */
  bool store;
  bool encrypted;              /* include asks for encrypted reasoning */
  struct str previous;         /* previous_response_id; p == NULL: none */
};

/* previous_response_id alone, so that the stored conversation can be looked up first. */
enum q_status responses_previous(const struct json *body, struct str *id, struct q_error *e) Q_MUST_USE;
/* Reads a body into *r and *w. items (may be NULL) receives this turn's own input as the text of a JSON array: a text input as
 * a message, references replaced by what they point to; too much for the builder is no trouble here (look at its err). Trouble is in *e with the field's path. */
enum q_status responses_in(struct arena *a, const struct json *body, const struct responses_look *look, struct chat_req *r,
                           struct responses_want *w, struct strbuf *items, struct q_error *e) Q_MUST_USE;
/* What of a body that was read the answer repeats, for out.echo. */
void responses_echo(const struct json *body, const struct responses_want *w, struct strbuf *echo);

/* "msg_" + core + place. core: of an answer's id or an item's, its kind in front or not. place: below 62^3; output items count
 * up from 0, input items down from RESPONSES_INPUT. */
enum { RESPONSES_INPUT = 62 * 62 * 62 - 1 };
void responses_item_id(const char *kind, struct str id, int place, char out[RESPONSES_ID_MAX]);
/* The characters that an answer's id and the ids of its items have in common; empty: it is none of our ids. */
struct str responses_core(struct str id);
/* The id of an input item: its own, else one made of the answer's id and its place i. */
struct str responses_input_id(const struct json *item, struct str response_id, int i, char room[RESPONSES_ID_MAX]);
/* An input item as GET …/input_items shows it: with an id, a type, a status, its content as parts. */
void responses_show_item(const struct json *item, struct str response_id, int i, struct strbuf *out);

/* Streamed: events with their names; collected: the response object. out.final has the object behind end(). */
extern const struct out_ops responses_stream, responses_whole;

#endif
