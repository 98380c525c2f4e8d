/* arena.h - memory that dies together: one arena per request.
 *
 * Threads: pure (one arena per thread at a time).
 * Memory:  arena_alloc gives zeroed, 16-byte aligned memory that lives until arena_free(); nothing is freed singly.
 *          A zeroed arena with max set is ready. NULL after the limit or out of memory.
 *          Arenas with the same `sum` (may be NULL; it outlives them) are bounded together as well, but for 64 KB of each. */
#ifndef Q2A_BASE_ARENA_H
#define Q2A_BASE_ARENA_H

#include <stdatomic.h>

#include "base/str.h"

struct arena_block;
struct arena_sum { atomic_size_t used, max; }; /* any thread */
struct arena {
  struct arena_block *head;
  size_t used, max; /* bytes over all blocks */
  struct arena_sum *sum;
};
#define ARENA(max_bytes) ((struct arena){ NULL, 0, (max_bytes), NULL })

void *arena_alloc(struct arena *a, size_t n) Q_MUST_USE;
/* A copy that also ends in NUL. p == NULL on failure (an empty text has p != NULL). */
struct str arena_str(struct arena *a, struct str s) Q_MUST_USE;
bool arena_crowded(const struct arena *a); /* it and those beside it have used up, or nearly, what they may have together */
void arena_free(struct arena *a); /* ready for use again */
void arena_reset(struct arena *a); /* everything in it is gone, but the first small block stays for the next round */

#endif
