/* oss_sign.h - signs a PUT to Aliyun's object store: version 4, and version 1 for when that is refused.
 *
 * Threads: pure. Memory: appends to the caller's builder; the secret is read, never written. */
#ifndef Q2A_PROTO_OSS_SIGN_H
#define Q2A_PROTO_OSS_SIGN_H

#include "base/str.h"

struct oss_put {
  struct str key_id, secret, token; /* of the upload token; token: the security token */
  struct str bucket, region;        /* region without "oss-" */
  struct str path, type;            /* path: raw bytes, not percent-encoded; type: the Content-Type */
  int64_t wall_s;
};

/* What a signature is made of, for tests and debug logs; k1..k4 are secret. Free the texts with oss_steps_free(). */
struct oss_steps {
  struct strbuf canonical, to_sign;
  char canonical_sha[65];
  unsigned char k[4][32];
  char signature[65];
};
void oss_steps_free(struct oss_steps *s);

/* All header lines of the PUT but Host and Content-Length. steps may be NULL. Trouble shows in out->err. */
void oss_sign_v4(const struct oss_put *p, struct strbuf *out, struct oss_steps *steps);
void oss_sign_v1(const struct oss_put *p, struct strbuf *out);
/* The path as it stands in the URL: everything but A-Z a-z 0-9 - _ . ~ / is percent-encoded. */
void oss_path(struct str path, struct strbuf *out);

#endif
