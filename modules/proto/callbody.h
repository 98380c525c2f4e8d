/* callbody.h - the body of a tool call, as a model wrote it, to a tool and its arguments (api 3.10: repair, synonyms, native
 * forms).
 *
 * Threads: pure. Time: linear in the body. Memory: works in an arena of its own, bounded; appends to the caller's builder. */
#ifndef Q2A_PROTO_CALLBODY_H
#define Q2A_PROTO_CALLBODY_H

#include "proto/tag.h"
#include "proto/toolset.h"

struct callbody {
  const struct toolset *set;
  enum tag_body form;
  int tool;          /* in: of TAG_BODY_ARGS and TAG_BODY_PARAMS; out: the tool */
  bool loose;        /* a call only if it names its arguments */
  bool cut;          /* the stream ended within a value */
  bool repaired;     /* out: it was no clean JSON */
};

/* Q_OK: a call, its arguments appended. Q_BAD_VALUE: meant for a listed tool, but no call can be made of it. Q_BAD_JSON: no call
 * at all, or one of a tool that is not listed: prose. Q_NOMEM. */
enum q_status callbody_read(struct callbody *c, struct str body, struct strbuf *args) Q_MUST_USE;
/* The length of a parameter's raw value at the beginning of s, up to the </parameter> that ends it; s.n if none does. */
size_t callbody_value(struct str s);

#endif
