/* crypt.h - hashes, sealing, random ids: a thin face of BearSSL.
 *
 * Threads: pure; a crypt_rng belongs to one thread at a time. crypt_random may be called from anywhere.
 * Memory:  caller storage. Secrets are wiped by who holds them (crypt_wipe) and compared evenly (crypt_equal). */
#ifndef Q2A_BASE_CRYPT_H
#define Q2A_BASE_CRYPT_H

#include "base/str.h"

void crypt_sha256(struct str in, unsigned char out[32]);
void crypt_sha256_2(struct str a, struct str b, unsigned char out[32]); /* of a followed by b */
void crypt_hmac(struct str key, struct str in, unsigned char out[32]);
void crypt_hmac_sha1(struct str key, struct str in, unsigned char out[20]); /* for old signatures only */
void crypt_hkdf(struct str key, struct str salt, struct str info, unsigned char *out, size_t n);

/* SHA-256 of what comes piece by piece. */
struct crypt_sha { uint64_t opaque[16]; };
void crypt_sha_init(struct crypt_sha *h);
void crypt_sha_add(struct crypt_sha *h, struct str in);
void crypt_sha_out(const struct crypt_sha *h, unsigned char out[32]);

enum { CRYPT_KEY = 32, CRYPT_NONCE = 12, CRYPT_TAG = 16 };
/* AES-256-GCM. out has nonce, ciphertext and tag behind one another. */
enum q_status crypt_seal(const unsigned char key[32], struct str aad, struct str plain, struct strbuf *out) Q_MUST_USE;
/* Q_BAD_VALUE: not sealed with this key for this aad. */
enum q_status crypt_open(const unsigned char key[32], struct str aad, struct str sealed, struct strbuf *out) Q_MUST_USE;

/* From the kernel; cannot fail after boot (aborts if it does: nothing safe could go on). */
void crypt_random(void *p, size_t n);

/* Ids on the hot path: ChaCha20 keyed by the kernel, 1 KiB at a time, used bytes wiped. Zeroed: ready. */
struct crypt_rng {
  unsigned char key[32], pool[1024];
  size_t left;
  bool keyed;
};
void crypt_bytes(struct crypt_rng *r, void *p, size_t n);
uint32_t crypt_u32(struct crypt_rng *r);
void crypt_id(struct crypt_rng *r, char *out, size_t n); /* n base62 characters, evenly drawn, and NUL */
void crypt_uuid(struct crypt_rng *r, char out[37]);      /* version 4 and NUL */

void crypt_wipe(void *p, size_t n);
bool crypt_equal(const void *a, const void *b, size_t n);

#endif
