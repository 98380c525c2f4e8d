/* json.h - a strict JSON reader that builds a tree on an arena.
 *
 * Threads: pure. Memory: nodes live in the arena; texts without escapes borrow from the input, which must live as long.
 * Why not cJSON: of duplicate keys it finds the first, it refuses an unpaired \ud800, cuts texts at \u0000, takes raw
 * control characters, invalid UTF-8 and "01", loses whole numbers above 2^53, and keeps a static error record that
 * threads race on. Each of these is visible to clients; this reader is shorter than the scan that would guard it.
 * Accepted: one value, white space around, a UTF-8 byte order mark in front. An unpaired surrogate escape is U+FFFD. */
#ifndef Q2A_PROTO_JSON_H
#define Q2A_PROTO_JSON_H

#include "base/arena.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
  enum json_type type;
  int count;            /* members of an array or object */
  struct str key;       /* of a member of an object */
  struct str text;      /* JSON_STRING: the decoded text; JSON_NUMBER: as written */
  struct json *child, *next;
};

struct json_error {
  size_t offset;        /* bytes */
  int line, column;     /* from 1; columns in bytes */
  const char *expected; /* "a value", "',' or '}'" ... */
};

/* NULL: *err tells (err may be NULL); out of memory has expected == NULL. */
const struct json *json_parse(struct arena *a, struct str text, int max_depth, struct json_error *err) Q_MUST_USE;

/* The same, but an unpaired surrogate escape is kept as its three bytes (ED A0..BF xx), so that the halves of one
 * character in two texts can be joined. */
const struct json *json_parse_halves(struct arena *a, struct str text, int max_depth, struct json_error *err) Q_MUST_USE;

/* All take NULL for n, so that look-ups chain. Of equal keys the last counts. */
const struct json *json_get(const struct json *n, const char *key);
const struct json *json_path(const struct json *n, const char *dotted); /* "data.chat.id"; digits index arrays */
const struct json *json_at(const struct json *n, int index);            /* of an array */
struct str json_str(const struct json *n);      /* of a string, else empty */
bool json_int(const struct json *n, int64_t *out); /* whole number, also as text ("12") or with an empty fraction */
bool json_number(const struct json *n, double *out); /* number, or a numeric text */
bool json_bool(const struct json *n, bool *out);   /* true, false, or their texts */
bool json_true(const struct json *n);              /* true, a number other than 0, "true" */
static inline bool json_is(const struct json *n, enum json_type t) { return n && n->type == t; }
static inline bool json_absent(const struct json *n) { return !n || n->type == JSON_NULL; }
#define json_each(it, n) (const struct json *it = (n) ? (n)->child : NULL; it; it = it->next)

void json_write(const struct json *n, struct strbuf *out); /* the tree as text; numbers as they were written */

#endif
