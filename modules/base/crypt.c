#include "base/crypt.h"

#include <bearssl.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/codec.h"

void crypt_sha256_2(struct str a, struct str b, unsigned char out[32])
{
  br_sha256_context h;
  br_sha256_init(&h);
  br_sha256_update(&h, a.p, a.n);
  br_sha256_update(&h, b.p, b.n);
  br_sha256_out(&h, out);
}

void crypt_sha256(struct str in, unsigned char out[32])
{
  crypt_sha256_2(in, STR_NONE, out);
}

_Static_assert(sizeof(br_sha256_context) <= sizeof(struct crypt_sha), "the hash does not fit its face");

void crypt_sha_init(struct crypt_sha *h)
{
  br_sha256_init((br_sha256_context *)(void *)h);
}

void crypt_sha_add(struct crypt_sha *h, struct str in)
{
  br_sha256_update((br_sha256_context *)(void *)h, in.p, in.n);
}

void crypt_sha_out(const struct crypt_sha *h, unsigned char out[32])
{
  br_sha256_out((const br_sha256_context *)(const void *)h, out);
}

static void crypt_hmac_with(const br_hash_class *hash, struct str key, struct str in, unsigned char *out)
{
  br_hmac_key_context k;
  br_hmac_context h;
  br_hmac_key_init(&k, hash, key.p, key.n);
  br_hmac_init(&h, &k, 0);
  br_hmac_update(&h, in.p, in.n);
  br_hmac_out(&h, out);
  crypt_wipe(&k, sizeof k);
}

void crypt_hmac(struct str key, struct str in, unsigned char out[32])
{
  crypt_hmac_with(&br_sha256_vtable, key, in, out);
}

void crypt_hmac_sha1(struct str key, struct str in, unsigned char out[20])
{
  crypt_hmac_with(&br_sha1_vtable, key, in, out);
}

void crypt_hkdf(struct str key, struct str salt, struct str info, unsigned char *out, size_t n)
{
  br_hkdf_context h;
  br_hkdf_init(&h, &br_sha256_vtable, salt.p, salt.n);
  br_hkdf_inject(&h, key.p, key.n);
  br_hkdf_flip(&h);
  br_hkdf_produce(&h, info.p, info.n, out, n);
  crypt_wipe(&h, sizeof h);
}

union crypt_aes { /* the hardware's own where there is one */
  br_aes_ct_ctr_keys soft;
#if defined __x86_64__
  br_aes_x86ni_ctr_keys ni;
#endif
};

static void crypt_gcm(br_gcm_context *g, union crypt_aes *k, const unsigned char key[32])
{
  const br_block_ctr_class *aes = &br_aes_ct_ctr_vtable;
  br_ghash gh = br_ghash_ctmul32;
#if defined __x86_64__
  if(br_aes_x86ni_ctr_get_vtable()) aes = br_aes_x86ni_ctr_get_vtable();
  if(br_ghash_pclmul_get()) gh = br_ghash_pclmul_get();
#endif
  aes->init((const br_block_ctr_class **)(void *)k, key, CRYPT_KEY);
  br_gcm_init(g, (const br_block_ctr_class **)(void *)k, gh);
}

enum q_status crypt_seal(const unsigned char key[32], struct str aad, struct str plain, struct strbuf *out)
{
  br_gcm_context g;
  union crypt_aes k;
  char *p = strbuf_room(out, CRYPT_NONCE + plain.n + CRYPT_TAG);
  if(!p) return out->err;
  crypt_gcm(&g, &k, key);
  crypt_random(p, CRYPT_NONCE);
  if(plain.n) memcpy(p + CRYPT_NONCE, plain.p, plain.n);
  br_gcm_reset(&g, p, CRYPT_NONCE);
  br_gcm_aad_inject(&g, aad.p, aad.n);
  br_gcm_flip(&g);
  br_gcm_run(&g, 1, p + CRYPT_NONCE, plain.n);
  br_gcm_get_tag(&g, p + CRYPT_NONCE + plain.n);
  out->n += CRYPT_NONCE + plain.n + CRYPT_TAG;
  crypt_wipe(&k, sizeof k);
  return Q_OK;
}

enum q_status crypt_open(const unsigned char key[32], struct str aad, struct str sealed, struct strbuf *out)
{
  br_gcm_context g;
  union crypt_aes k;
  if(sealed.n < CRYPT_NONCE + CRYPT_TAG) return Q_BAD_VALUE;
  size_t n = sealed.n - CRYPT_NONCE - CRYPT_TAG;
  char *p = strbuf_room(out, n + 1);
  if(!p) return out->err;
  if(n) memcpy(p, sealed.p + CRYPT_NONCE, n);
  crypt_gcm(&g, &k, key);
  br_gcm_reset(&g, sealed.p, CRYPT_NONCE);
  br_gcm_aad_inject(&g, aad.p, aad.n);
  br_gcm_flip(&g);
  br_gcm_run(&g, 0, p, n);
  bool ok = br_gcm_check_tag(&g, sealed.p + CRYPT_NONCE + n) == 1;
  crypt_wipe(&k, sizeof k);
  if(ok) out->n += n;
  else crypt_wipe(p, n);
  return ok ? Q_OK : Q_BAD_VALUE;
}

void crypt_random(void *p, size_t n)
{
  char *at = p;
  while(n) {
    ssize_t got = getrandom(at, n, 0);
    if(got < 0 && errno != EINTR) abort();
    if(got > 0) at += got, n -= (size_t)got;
  }
}

void crypt_bytes(struct crypt_rng *r, void *p, size_t n)
{
  char *to = p;
  while(n) {
    if(r->left == 0) {
      static const unsigned char nonce[12] = { 0 };
      if(!r->keyed) crypt_random(r->key, sizeof r->key);
      r->keyed = true;
      memset(r->pool, 0, sizeof r->pool);
      br_chacha20_ct_run(r->key, nonce, 0, r->pool, sizeof r->pool);
      memcpy(r->key, r->pool, sizeof r->key); /* the key that made this block is gone */
      crypt_wipe(r->pool, sizeof r->key);
      r->left = sizeof r->pool - sizeof r->key;
    }
    size_t take = n < r->left ? n : r->left;
    unsigned char *from = r->pool + sizeof r->pool - r->left;
    memcpy(to, from, take);
    crypt_wipe(from, take);
    r->left -= take;
    to += take;
    n -= take;
  }
}

uint32_t crypt_u32(struct crypt_rng *r)
{
  uint32_t v;
  crypt_bytes(r, &v, sizeof v);
  return v;
}

void crypt_id(struct crypt_rng *r, char *out, size_t n)
{
  static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  unsigned char draw[32];
  size_t have = 0;
  for(size_t i = 0; i < n;) {
    if(have == 0) crypt_bytes(r, draw, have = sizeof draw);
    unsigned v = draw[--have];
    if(v < 248) out[i++] = digits[v % 62]; /* 248 = 4 * 62: no digit is drawn more often */
  }
  out[n] = 0;
}

void crypt_uuid(struct crypt_rng *r, char out[37])
{
  unsigned char b[16];
  char hex[33];
  crypt_bytes(r, b, sizeof b);
  b[6] = (unsigned char)((b[6] & 15) | 0x40);
  b[8] = (unsigned char)((b[8] & 63) | 0x80);
  codec_hex(str_of((char *)b, sizeof b), hex);
  char *o = out;
  for(int i = 0; i < 32; i++) {
    if(i == 8 || i == 12 || i == 16 || i == 20) *o++ = '-';
    *o++ = hex[i];
  }
  *o = 0;
}

void crypt_wipe(void *p, size_t n)
{
  explicit_bzero(p, n);
}

bool crypt_equal(const void *a, const void *b, size_t n)
{
  const unsigned char *x = a, *y = b;
  unsigned char diff = 0;
  for(size_t i = 0; i < n; i++) diff |= x[i] ^ y[i];
  return diff == 0;
}
