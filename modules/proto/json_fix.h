/* json_fix.h - makes JSON of what a model wrote for JSON (api 3.10, "JSON repair"; api 3.11).
 *
 * Threads: pure. Time: linear in the text for each of the few steps. Memory: results live in the arena. */
#ifndef Q2A_PROTO_JSON_FIX_H
#define Q2A_PROTO_JSON_FIX_H

#include "proto/json.h"

enum { JSON_FIX_DEPTH = 64 };

/* The value meant by text: tried as it is, then after each step of repair in turn. *repaired (may be NULL): it was no clean
 * JSON. NULL: nothing can be made of it, or out of memory. */
const struct json *json_fix(struct arena *a, struct str text, bool *repaired) Q_MUST_USE;
/* Where the first balanced object or array (scalars: the whole trimmed text) stands in prose or a code fence: a slice of
 * text, open at its end if it was never closed. Empty: none. */
struct str json_fix_find(struct str text);

#endif
