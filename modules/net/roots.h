/* roots.h - whom we trust: the CA certificates embedded at build time, or those of a PEM text.
 *
 * Threads: pure; what is returned is constant while it lives.
 * Memory:  roots_embedded() is static. A struct roots read from PEM owns its anchors until roots_free(), which also
 *          takes the zeroed value. */
#ifndef Q2A_NET_ROOTS_H
#define Q2A_NET_ROOTS_H

#include <bearssl.h>

#include "base/str.h"

struct roots {
  const br_x509_trust_anchor *anchors;
  size_t count;
  br_x509_trust_anchor *own; /* private: the same array when it came from PEM, else NULL */
};

struct roots roots_embedded(void);
/* Every CERTIFICATE of the text. One that cannot be decoded (a key type we do not know) is passed over.
 * Q_BAD_VALUE with words when none is left, Q_NOMEM. */
enum q_status roots_read(struct roots *r, struct str pem, struct q_error *err) Q_MUST_USE;
void roots_free(struct roots *r);

#endif
