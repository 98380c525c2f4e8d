/* json_fix.h - makes JSON of what a model wrote for JSON (api 3.10, "JSON repair"; api 3.11).
 *
 * Threads: pure. Time: linear in the text for each of the few steps. Memory: results live in the arena.
 * Steps, each tried only if all before did not help: 1 the outer object or array alone; 2 raw control characters (and escapes
 * that are none) in strings; 3 superfluous commas; 4 single quotes, bare keys; 5 True, False, None; 6 full-width quotes, colons,
 * commas; 7 unescaped quotes within strings; 8 missing brackets at the end.
 * A string that was never closed is not repaired: its text was cut, and half a text must not be taken for the whole. */
#ifndef Q2A_PROTO_JSON_FIX_H
#define Q2A_PROTO_JSON_FIX_H

#include "proto/json.h"

enum { JSON_FIX_DEPTH = 64 };

/* The value meant by text: tried as it is, then after each step of repair in turn. *repaired (may be NULL): it was no clean
 * JSON. Q_BAD_JSON: nothing can be made of it; Q_NOMEM. The value may borrow from text. */
enum q_status json_fix(struct arena *a, struct str text, const struct json **value, bool *repaired) Q_MUST_USE;
/* Where the first balanced object or array (scalars: the whole trimmed text) stands in prose or a code fence: a slice of
 * text, open at its end if it was never closed. Empty: none. */
struct str json_fix_find(struct str text);

#endif
