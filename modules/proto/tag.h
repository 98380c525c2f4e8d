/* tag.h - recognises where a tool call begins and ends in a model's text: our markup and the native forms (api 3.10).
 *
 * Threads: pure. Time: bounded by TAG_MAX. Memory: none.
 * What stands before a body: <q2a_call>, <tool_call>, <tool_calls>, <function_call>, <function_calls>, <tool_use>, each with
 * attributes or not, one within the other, in a code fence or not; <function=NAME>; <invoke name="NAME">; ```tool_call; and
 * ```json before an object that begins with "name". An opener is whole only with the first character of its body. */
#ifndef Q2A_PROTO_TAG_H
#define Q2A_PROTO_TAG_H

#include "base/str.h"

enum { TAG_MAX = 256 }; /* an opener that is longer is none */

enum tag_found { TAG_NO, TAG_MORE /* could become one */, TAG_YES };
enum tag_body {
  TAG_BODY_JSON,   /* an object with name and arguments */
  TAG_BODY_ARGS,   /* an object of arguments: the opener told the name */
  TAG_BODY_PARAMS, /* <parameter=K>V</parameter> ... */
};

struct tag {
  enum tag_body body;
  size_t at;         /* where the body begins */
  struct str name;   /* of the tool, as the opener tells it; borrows */
  bool fence_closes; /* the body ends at ``` */
  bool fenced;       /* a code fence stands around the call */
  bool bare;         /* that fence names no language: it might as well be the end of a block of code */
  bool loose;        /* ```json: only a call if it names its arguments too */
};

/* s begins with '<' or '`'. */
enum tag_found tag_open(struct str s, struct tag *t);
/* s begins with "<": a closer of any form, *n its length. ours: only </q2a_call>. */
enum tag_found tag_close(struct str s, bool ours, size_t *n);
/* s begins with "<": the head of a parameter: *n its length, *name what it names. */
enum tag_found tag_param(struct str s, size_t *n, struct str *name);
/* s begins with "<": </parameter>. */
enum tag_found tag_param_close(struct str s, size_t *n);
/* s against one word: TAG_MORE if s is the beginning of it. */
enum tag_found tag_word(struct str s, struct str word);

#endif
