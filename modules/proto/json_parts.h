/* json_parts.h - walks through a large JSON array or object one member at a time, without a tree of the whole.
 *
 * Threads: pure. Memory: none; slices borrow from the text.
 * A part is found by its brackets and quotes alone: its text must still be read with json_parse(), which refuses what is no JSON.
 * So a document is good when the walk ends without an error and every part can be read. */
#ifndef Q2A_PROTO_JSON_PARTS_H
#define Q2A_PROTO_JSON_PARTS_H

#include "proto/json.h"

struct json_part {
  struct str key;     /* of an object: the name with its quotes, as written; empty in an array */
  struct str text;    /* the value as written */
  size_t at;          /* where it begins in the document */
};
struct json_parts {
  struct str text;    /* the document */
  size_t at, end;     /* at: of the next part; end: behind the walked value */
  char close;         /* ']' or '}'; 0: it is neither an array nor an object */
  bool begun, over;
};

/* The array or object that begins in text at `at` and ends before `end`, but for blanks. A byte order mark is passed over. */
struct json_parts json_parts_of(struct str text, size_t at, size_t end);
/* False: there are no more, or (err->expected is set) it is no JSON. */
bool json_parts_next(struct json_parts *p, struct json_part *out, struct json_error *err);
/* Line and column of an offset. */
void json_parts_where(struct str text, size_t offset, struct json_error *err);

#endif
