/* inflate.h - gzip and zlib bodies, piece by piece, with a bound on what comes out.
 *
 * Threads: pure. Memory: about 40 KiB while open. Every push gives all that can be given (flush per read). */
#ifndef Q2A_PROTO_INFLATE_H
#define Q2A_PROTO_INFLATE_H

#include "base/str.h"

struct inflate_impl;
struct inflate {
  struct inflate_impl *impl; /* NULL: not open */
};

enum q_status inflate_init(struct inflate *z, uint64_t max_out) Q_MUST_USE;
void inflate_free(struct inflate *z); /* takes the zeroed value */
/* Takes from *in; *out borrows from the object until the next call. Q_OK: a piece, call again (also with empty in).
 * Q_AGAIN: all taken. Q_EOF: the stream ended with a good checksum; *in is what follows. Q_TOO_BIG. Q_BAD_VALUE: not
 * gzip or zlib, or corrupt. */
enum q_status inflate_next(struct inflate *z, struct str *in, struct str *out) Q_MUST_USE;

#endif
