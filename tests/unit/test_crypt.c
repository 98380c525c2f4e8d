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

static struct str bytes(const char *hex, unsigned char *out)
{
  CHECK(codec_unhex(str_z(hex), out));
  return str_of((char *)out, strlen(hex) / 2);
}

static void t_more_vectors(void)
{
  static const struct { const char *in, *hex; } sha[] = {
    { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
  };
  unsigned char out[32], key[32], buf[6][80];
  char hex[65];
  for(size_t i = 0; i < 3; i++) {
    crypt_sha256(str_z(sha[i].in), out);
    hex_of(out, 32, hex);
    CHECK_Z(hex, sha[i].hex);
  }
  unsigned char long_key[131];
  memset(long_key, 0xaa, sizeof long_key);
  crypt_hmac(str_of((char *)long_key, 131), S("Test Using Larger Than Block-Size Key - Hash Key First"), out); /* RFC 4231, case 6 */
  hex_of(out, 32, hex);
  CHECK_Z(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  /* AES-256-GCM as published: nonce, ciphertext and tag behind one another open to the known text */
  static const struct { const char *key, *aad, *sealed, *plain; } gcm[] = {
    { "0000000000000000000000000000000000000000000000000000000000000000", "", "000000000000000000000000530f8afbc74536b9a963b4f1c4cb738b", "" },
    { "0000000000000000000000000000000000000000000000000000000000000000", "", "000000000000000000000000cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919", "00000000000000000000000000000000" },
    { "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      "cafebabefacedbaddecaf888522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39" },
  };
  for(size_t i = 0; i < 3; i++) {
    struct strbuf plain = STRBUF(1000);
    unsigned char sealed[200];
    (void)bytes(gcm[i].key, key);
    CHECK_INT(crypt_open(key, bytes(gcm[i].aad, buf[0]), bytes(gcm[i].sealed, sealed), &plain), Q_OK);
    CHECK_STR(strbuf_str(&plain), bytes(gcm[i].plain, buf[1]));
    strbuf_free(&plain);
  }
}

static void t_seal_edges(void)
{
  unsigned char key[32] = { 7 };
  struct strbuf sealed = STRBUF(1000), plain = STRBUF(1000), small = STRBUF(20);
  CHECK(!crypt_seal(key, STR_NONE, STR_NONE, &sealed)); /* nothing, sealed */
  CHECK_INT(sealed.n, CRYPT_NONCE + CRYPT_TAG);
  CHECK_INT(crypt_open(key, STR_NONE, strbuf_str(&sealed), &plain), Q_OK);
  CHECK_INT(plain.n, 0);
  for(size_t n = 0; n < sealed.n; n++) CHECK_INT(crypt_open(key, STR_NONE, str_sub(strbuf_str(&sealed), 0, n), &plain), Q_BAD_VALUE);
  CHECK_INT(crypt_seal(key, STR_NONE, S("more than fits"), &small), Q_TOO_BIG);
  CHECK_INT(small.n, 0);
  strbuf_lit(&plain, "before "); /* appended, also behind something */
  strbuf_clear(&sealed);
  CHECK(!crypt_seal(key, S("a"), S("after"), &sealed) && !crypt_open(key, S("a"), strbuf_str(&sealed), &plain));
  CHECK_STR(strbuf_str(&plain), S("before after"));
  strbuf_free(&sealed);
  strbuf_free(&plain);
}

/* Drawn evenly: of 62 000 characters each kind comes about 1000 times (six sigma wide). */
static void t_even(void)
{
  struct crypt_rng r = { .left = 0 }, other = { .left = 0 };
  int seen[128] = { 0 };
  char id[1001], id2[1001];
  for(int i = 0; i < 62; i++) {
    crypt_id(&r, id, 1000);
    for(int k = 0; k < 1000; k++) seen[(unsigned char)id[k]]++;
  }
  for(const char *c = "09AZaz5Mm"; *c; c++) CHECK(seen[(unsigned char)*c] > 800 && seen[(unsigned char)*c] < 1200);
  crypt_id(&other, id2, 1000);
  CHECK(strcmp(id, id2) != 0); /* two generators, two keys */
  unsigned char pool[3000] = { 0 };
  crypt_bytes(&r, pool, sizeof pool); /* over several refills */
  for(size_t i = 0; i + 32 <= sizeof pool; i += 32) {
    int zeros = 0;
    for(size_t k = 0; k < 32; k++) zeros += pool[i + k] == 0;
    CHECK(zeros < 8);
  }
  CHECK(crypt_u32(&r) != crypt_u32(&r) || crypt_u32(&r) != crypt_u32(&r));
  char secret[8] = "secret";
  crypt_wipe(secret, sizeof secret);
  CHECK(memcmp(secret, "\0\0\0\0\0\0\0\0", 8) == 0);
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

static void t_pieces(void)
{
  struct crypt_sha h;
  unsigned char a[32], b[32];
  char hex[65];
  crypt_sha256(S("abcdefghij"), a);
  crypt_sha_init(&h);
  crypt_sha_add(&h, S("abc"));
  crypt_sha_add(&h, S(""));
  crypt_sha_add(&h, S("defghij"));
  crypt_sha_out(&h, b);
  CHECK(memcmp(a, b, 32) == 0);
  crypt_hmac_sha1(S("Jefe"), S("what do ya want for nothing?"), b); /* RFC 2202, case 2 */
  codec_hex(str_of((char *)b, 20), hex);
  CHECK_Z(hex, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

T_MAIN(T(t_pieces), T(t_vectors), T(t_more_vectors), T(t_seal_edges), T(t_even), T(t_seal), T(t_ids))
