/* Hashes by their vectors, sealing, ids. */
#include "base/crypt.h"

#include "base/codec.h"
#include "t.h"

static void hex_of(const unsigned char *p, size_t n, char *out)
{
  codec_hex(str_of((const char *)p, n), out);
}

static void t_vectors(void)
{
  unsigned char out[42];
  char hex[85];
  crypt_sha256(S("correct horse"), out);
  hex_of(out, 32, hex);
  CHECK_Z(hex, "4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631");
  crypt_sha256_2(S("correct "), S("horse"), out);
  hex_of(out, 32, hex);
  CHECK_Z(hex, "4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631");
  crypt_hmac(S("Jefe"), S("what do ya want for nothing?"), out); /* RFC 4231, case 2 */
  hex_of(out, 32, hex);
  CHECK_Z(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  unsigned char ikm[22], salt[13], info[10];
  memset(ikm, 0x0b, sizeof ikm);
  for(int i = 0; i < 13; i++) salt[i] = (unsigned char)i;
  for(int i = 0; i < 10; i++) info[i] = (unsigned char)(0xf0 + i);
  crypt_hkdf(str_of((char *)ikm, 22), str_of((char *)salt, 13), str_of((char *)info, 10), out, 42); /* RFC 5869, case 1 */
  hex_of(out, 42, hex);
  CHECK_Z(hex, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

static void t_seal(void)
{
  unsigned char key[32] = { 1 }, other[32] = { 2 };
  struct strbuf sealed = STRBUF(1000), again = STRBUF(1000), plain = STRBUF(1000);
  CHECK(!crypt_seal(key, S("record"), S("secret"), &sealed));
  CHECK(!crypt_seal(key, S("record"), S("secret"), &again));
  CHECK(!str_eq(strbuf_str(&sealed), strbuf_str(&again))); /* a nonce of its own each time */
  CHECK(str_find(strbuf_str(&sealed), S("secret")) < 0);
  CHECK(!crypt_open(key, S("record"), strbuf_str(&sealed), &plain));
  CHECK_STR(strbuf_str(&plain), S("secret"));
  CHECK_INT(crypt_open(other, S("record"), strbuf_str(&sealed), &plain), Q_BAD_VALUE);
  CHECK_INT(crypt_open(key, S("another"), strbuf_str(&sealed), &plain), Q_BAD_VALUE);
  for(size_t i = 0; i < sealed.n; i++) {
    sealed.p[i] ^= 1;
    CHECK_INT(crypt_open(key, S("record"), strbuf_str(&sealed), &plain), Q_BAD_VALUE);
    sealed.p[i] ^= 1;
  }
  CHECK_INT(crypt_open(key, S("record"), str_sub(strbuf_str(&sealed), 0, 20), &plain), Q_BAD_VALUE);
  strbuf_free(&sealed);
  strbuf_free(&again);
  strbuf_free(&plain);
}

static void t_ids(void)
{
  struct crypt_rng r = { .left = 0 };
  char id[25], last[25] = "", uuid[37];
  int seen[128] = { 0 };
  for(int i = 0; i < 2000; i++) {
    crypt_id(&r, id, 24);
    CHECK_INT(strlen(id), 24);
    CHECK(strcmp(id, last) != 0);
    memcpy(last, id, sizeof id);
    for(int k = 0; k < 24; k++) seen[(unsigned char)id[k]]++;
  }
  int kinds = 0;
  for(int i = 0; i < 128; i++) kinds += seen[i] > 0;
  CHECK_INT(kinds, 62);
  crypt_uuid(&r, uuid);
  CHECK_INT(strlen(uuid), 36);
  CHECK(uuid[14] == '4' && strchr("89ab", uuid[19]) && uuid[8] == '-' && uuid[23] == '-');
  CHECK(crypt_equal("abc", "abc", 3) && !crypt_equal("abc", "abd", 3));
}

T_MAIN(T(t_vectors), T(t_seal), T(t_ids))
