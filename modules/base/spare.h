/* spare.h - freed blocks of the sizes that every chat needs, kept for the next one.
 *
 * musl's malloc gives blocks of more than a page or so back to the system as soon as they are free, and asks for them again a moment
 * later: at 10,000 chats a second that is a fifth of the time. Below mem.c, and for nobody else.
 *
 * Threads: locked, for a few instructions.
 * Memory:  at most SPARE_BYTES_MAX are kept. In builds with a sanitizer nothing is, so that it sees every use after the end.
 * Errors:  a kept block that was written to, or is freed once more, ends the process. */
#ifndef Q2A_BASE_SPARE_H
#define Q2A_BASE_SPARE_H

#include <stdbool.h>
#include <stddef.h>

enum { SPARE_BYTES_MAX = 192 * 1144 + 192 * 2328 + 48 * 4664 + 48 * 8168 };

size_t spare_round(size_t n);   /* the size to allocate for n bytes: that of its kind, or n if it is of none */
void *spare_take(size_t n);     /* n as spare_round() gives it; contents undefined. NULL: none is kept */
bool spare_put(void *p);        /* a block from the heap that nobody uses any more; false: not kept, free it */
size_t spare_room(void *p);     /* the size of its kind, or 0 if it is of none */

#endif
