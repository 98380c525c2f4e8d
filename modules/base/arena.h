/* arena.h - memory that dies together: one arena per request.
 *
 * Threads: pure (one arena per thread at a time).
 * Memory:  arena_alloc gives zeroed, 16-byte aligned memory that lives until arena_free(); nothing is freed singly.
 *          A zeroed arena with max set is ready. NULL after the limit or out of memory. */
#ifndef Q2A_BASE_ARENA_H
#define Q2A_BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct arena {
  struct arena_block *head;
  size_t used, max; /* bytes over all blocks */
};
#define ARENA(max_bytes) ((struct arena){ NULL, 0, (max_bytes) })

void *arena_alloc(struct arena *a, size_t n) Q_MUST_USE;
/* A copy that also ends in NUL. p == NULL on failure (an empty text has p != NULL). */
struct str arena_str(struct arena *a, struct str s) Q_MUST_USE;
void arena_free(struct arena *a); /* ready for use again */
void arena_reset(struct arena *a); /* everything in it is gone, but the first small block stays for the next round */

#endif
