/* Signatures of the object store: the published vectors of upstream 5.3 and 5.4 with every step in between. */
#include "base/codec.h"
#include "proto/oss_sign.h"
#include "t.h"

static const struct oss_put put = {
  .key_id = { "STS.EXAMPLEKEYID0001", 20 }, .secret = { "exampleSecretKey0000000000000000000000000000", 44 },
  .token = { "CAISexampleSecurityToken+/==", 28 }, .bucket = { "qwen-webui-prod", 15 }, .region = { "ap-southeast-1", 14 },
  .path = { "11111111-2222-3333-4444-555555555555/9ab1b6fa-bfbd-4208-ba09-de73b82a408a_\xe6\x97\xa5\xe6\x9c\xac 1.png", 86 },
  .type = { "image/png", 9 }, .wall_s = 1772607553,
};

static void hex_is(const unsigned char *p, const char *want)
{
  char hex[65];
  codec_hex(str_of((const char *)p, 32), hex);
  CHECK_Z(hex, want);
}

static void t_v4(void)
{
  struct strbuf lines = STRBUF(4096);
  struct oss_steps s;
  CHECK_INT(put.path.n, strlen(put.path.p));
  oss_sign_v4(&put, &lines, &s);
  CHECK_STR(strbuf_str(&s.canonical), S("PUT\n"
    "/qwen-webui-prod/11111111-2222-3333-4444-555555555555/9ab1b6fa-bfbd-4208-ba09-de73b82a408a_%E6%97%A5%E6%9C%AC%201.png\n"
    "\n"
    "content-type:image/png\n"
    "x-oss-content-sha256:UNSIGNED-PAYLOAD\n"
    "x-oss-date:20260304T065913Z\n"
    "x-oss-security-token:CAISexampleSecurityToken+/==\n"
    "\n"
    "\n"
    "UNSIGNED-PAYLOAD"));
  CHECK_Z(s.canonical_sha, "afe290a2ec43201ec5975d6aeae6aee81177449d81af226d757b1ac7d056d4aa");
  CHECK_STR(strbuf_str(&s.to_sign), S("OSS4-HMAC-SHA256\n20260304T065913Z\n20260304/ap-southeast-1/oss/aliyun_v4_request\n"
    "afe290a2ec43201ec5975d6aeae6aee81177449d81af226d757b1ac7d056d4aa"));
  hex_is(s.k[0], "55f54178a83d299fd2ebd2bb30e8facc459982178f12c75218019f01d9739035");
  hex_is(s.k[1], "d5235764a6524e12a59fba9cf98b205d3c5b82e521f8c96dac6b6e43956bcae4");
  hex_is(s.k[2], "1abea2f4a61f68f29b4e19b834109b106b48778cc270c1159712b3a08552e542");
  hex_is(s.k[3], "254cd66ca325d4dc9f75e01f79409f0cd4d96a72e7e5b1e0cc3e795a2eace1b1");
  CHECK_Z(s.signature, "755ceb9211896778ef6021b73d2aa4dc2c9556080f6eb4ac7ab977ea3a8cca64");
  CHECK_STR(strbuf_str(&lines), S("Content-Type: image/png\r\nx-oss-content-sha256: UNSIGNED-PAYLOAD\r\nx-oss-date: 20260304T065913Z\r\n"
    "x-oss-security-token: CAISexampleSecurityToken+/==\r\n"
    "Authorization: OSS4-HMAC-SHA256 Credential=STS.EXAMPLEKEYID0001/20260304/ap-southeast-1/oss/aliyun_v4_request,"
    "Signature=755ceb9211896778ef6021b73d2aa4dc2c9556080f6eb4ac7ab977ea3a8cca64\r\n"));
  oss_steps_free(&s);
  strbuf_free(&lines);
}

static void t_v1(void)
{
  struct strbuf lines = STRBUF(4096);
  oss_sign_v1(&put, &lines);
  CHECK_STR(strbuf_str(&lines), S("Content-Type: image/png\r\nDate: Wed, 04 Mar 2026 06:59:13 GMT\r\n"
    "x-oss-security-token: CAISexampleSecurityToken+/==\r\nAuthorization: OSS STS.EXAMPLEKEYID0001:Bj/P4bwqb7kRND6fvWmWbmwsNws=\r\n"));
  strbuf_free(&lines);
}

static void t_path(void)
{
  struct strbuf b = STRBUF(100);
  oss_path(S("a/b~c-d_e.f+g%h?i=\x01"), &b);
  CHECK_STR(strbuf_str(&b), S("a/b~c-d_e.f%2Bg%25h%3Fi%3D%01"));
  strbuf_free(&b);
}

static void t_no_room(void)
{
  struct strbuf lines = STRBUF(100);
  oss_sign_v4(&put, &lines, NULL);
  CHECK(lines.err);
  strbuf_free(&lines);
  lines = STRBUF(100);
  oss_sign_v1(&put, &lines);
  CHECK(lines.err);
  strbuf_free(&lines);
}

T_MAIN(T(t_v4), T(t_v1), T(t_path), T(t_no_room))
