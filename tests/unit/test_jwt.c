/* Token expiry: the fixed tokens of the tests, odd claims, and texts that are no tokens. */
#include "proto/jwt.h"

#include "base/codec.h"
#include "t.h"

static int64_t of(const char *claims, bool *access)
{
  struct strbuf b = STRBUF(10000);
  strbuf_lit(&b, "e30.");
  codec_base64url(str_z(claims), &b);
  strbuf_lit(&b, ".sig");
  int64_t exp = jwt_expires_s(strbuf_str(&b), access);
  strbuf_free(&b);
  return exp;
}

static void t_claims(void)
{
  bool access;
  CHECK_INT(of("{\"exp\":4102444800}", &access), 4102444800);
  CHECK(!access);
  CHECK_INT(of("{\"exp\":1762592000.75,\"type\":\"access_token\"}", &access), 1762592000);
  CHECK(access);
  CHECK_INT(of("{\"exp\":\"1762592000\"}", NULL), 1762592000);
  CHECK_INT(of("{}", NULL), 0);
  CHECK_INT(of("{\"exp\":-5}", NULL), 0);
  CHECK_INT(of("{\"exp\":1e300}", NULL), 0);
  CHECK_INT(of("{\"exp\":0}", NULL), 0);
  CHECK_INT(of("{\"exp\":null}", NULL), 0);
  CHECK_INT(of("{\"exp\":true}", NULL), 0);
  CHECK_INT(of("{\"exp\":[4102444800]}", NULL), 0);
  CHECK_INT(of("{\"exp\":\"soon\"}", NULL), 0);
  CHECK_INT(of("{\"exp\":9223372036854775807}", NULL), 0);
  CHECK_INT(of("{\"exp\":1,\"exp\":4102444800}", NULL), 4102444800);
  CHECK_INT(of("[1]", NULL), 0);
  CHECK_INT(of("", NULL), 0);
  struct strbuf huge = STRBUF(100000); /* larger than any token, and deeper */
  while(huge.n < 40000) strbuf_lit(&huge, "[[[[");
  CHECK_INT(of(strbuf_z(&huge), &access), 0);
  CHECK(!access);
  strbuf_free(&huge);
  CHECK_INT(jwt_expires_s(S("e30.eyJleHAiOjF9."), NULL), 0); /* the third part is missing */
  CHECK_INT(jwt_expires_s(S("e30.eyJleHAiOjF9.s"), NULL), 1);
  CHECK_INT(jwt_expires_s(S("e30.eyJle!AiOjF9.s"), NULL), 0);
  CHECK_INT(jwt_expires_s(STR_NONE, NULL), 0);
  CHECK_INT(of("not json", NULL), 0);
  CHECK_INT(jwt_expires_s(S("opaque"), NULL), 0);
  CHECK_INT(jwt_expires_s(S("a.b"), NULL), 0);
  CHECK_INT(jwt_expires_s(S("..."), NULL), 0);
  CHECK_INT(jwt_expires_s(S("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImxhc3RfcGFzc3dvcmRfY2hhbmdlIjoxNzYwMDAwMDAwLCJleHAiOjEwMDAwMDAwMDB9.F8eC"), NULL), 1000000000);
}

T_MAIN(T(t_claims))
