/* toolset.h - the tools of a request: how the model is told of them, how calls and results stand in the conversation, and
 * how arguments are brought into the shape the schema asks for (api 3.10).
 *
 * Threads: immutable once made: any. Memory: a toolset owns copies of everything (it outlives the request).
 * Markup: <q2a_call>{"name":…,"arguments":{…}}</q2a_call> and <q2a_result id="…" name="…">…</q2a_result>, ours alone: the
 * upstream intercepts the model family's own tags. */
#ifndef Q2A_PROTO_TOOLSET_H
#define Q2A_PROTO_TOOLSET_H

#include "proto/chat_req.h"

struct toolset {
  struct chat_tool *v;
  int n;
  enum tool_choice choice; /* never TOOL_OFF */
  bool one_call;
  struct arena arena;      /* private */
};

/* NULL: out of memory. Only for requests with tools and a choice other than TOOL_OFF. */
struct toolset *toolset_new(const struct chat_req *r) Q_MUST_USE;
void toolset_destroy(struct toolset *s); /* takes NULL */

/* What stands behind the client's system text: the list (compact type signatures, at most 24,000 characters: descriptions are
 * shortened first, never names or required parameters), the form of a call, the rules, the choice. aliased: names are given
 * as t_<name>. */
void toolset_contract(const struct toolset *s, bool aliased, struct strbuf *out);
/* The same in one line, in front of the current message. */
void toolset_reminder(const struct toolset *s, struct strbuf *out);

/* A call and a result as they stand in the conversation. args: JSON text, repeated as it is when it parses. */
void toolset_call_text(const struct chat_call *c, struct strbuf *out);
void toolset_result_text(struct str id, struct str name, bool failed, struct str text, struct strbuf *out);
/* Text of a client: "<q2a_call", "</q2a_call", "<q2a_result", "</q2a_result" lose their '<' to U+2039, in any case. */
void toolset_neutral(struct str text, struct strbuf *out);

/* The tool a model meant: exact name, then without case, then a unique match that ignores '-', '_' and '.'; t_<name> too.
 * -1: none. */
int toolset_find(const struct toolset *s, struct str name);

/* Arguments as they came (an object; or a JSON string with an object inside) to the JSON text of an object that fits the
 * tool's schema as well as it can be made to: see api 3.10, schema coercion. NULL args: {}. The parsed values live in *a.
 * Of a custom tool: the raw text that stands in its argument `input`, or in its place; never Q_BAD_VALUE.
 * Q_OK. Q_BAD_VALUE: no object can be made of it, or the tool is strict and the arguments break its schema: *why gets the
 * words. Q_NOMEM. */
enum q_status toolset_args(const struct toolset *s, int tool, const struct json *args, struct arena *a, struct strbuf *out,
                           struct q_error *why) Q_MUST_USE;
/* One raw text as a parameter's value by its type in the schema (native coder forms): a JSON value appended to *out. */
void toolset_raw_value(const struct toolset *s, int tool, struct str param, struct str raw, struct strbuf *out);

#endif
