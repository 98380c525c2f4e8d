#include "proto/oss_sign.h"

#include <stdio.h>
#include <time.h>

#include "base/codec.h"
#include "base/crypt.h"

enum { OSS_TEXT_MAX = 32 * 1024 };

void oss_steps_free(struct oss_steps *s)
{
  strbuf_free(&s->canonical);
  strbuf_free(&s->to_sign);
  crypt_wipe(s->k, sizeof s->k);
}

void oss_path(struct str path, struct strbuf *out)
{
  codec_percent(path, "-_.~/", out);
}

/* Broken-down UTC without the C library's time zone state. */
static struct tm oss_utc(int64_t wall_s)
{
  time_t t = (time_t)wall_s;
  struct tm tm = { .tm_year = 70 };
  gmtime_r(&t, &tm);
  return tm;
}

static void oss_line(struct strbuf *out, const char *name, struct str value)
{
  strbuf_addz(out, name);
  strbuf_lit(out, ": ");
  strbuf_adds(out, value);
  strbuf_lit(out, "\r\n");
}

/* The four keys, each made with the one before. */
static void oss_keys(const struct oss_put *p, struct str day, unsigned char k[4][32])
{
  struct strbuf first = STRBUF(OSS_TEXT_MAX);
  strbuf_lit(&first, "aliyun_v4");
  strbuf_adds(&first, p->secret);
  crypt_hmac(strbuf_str(&first), day, k[0]);
  crypt_hmac(str_of((char *)k[0], 32), p->region, k[1]);
  crypt_hmac(str_of((char *)k[1], 32), S("oss"), k[2]);
  crypt_hmac(str_of((char *)k[2], 32), S("aliyun_v4_request"), k[3]);
  if(first.p) crypt_wipe(first.p, first.cap);
  strbuf_free(&first);
}

void oss_sign_v4(const struct oss_put *p, struct strbuf *out, struct oss_steps *steps)
{
  struct oss_steps own;
  struct oss_steps *s = steps ? steps : &own;
  struct tm tm = oss_utc(p->wall_s);
  char date[32];
  unsigned char sha[32], sig[32];
  *s = (struct oss_steps){ .canonical = STRBUF(OSS_TEXT_MAX), .to_sign = STRBUF(OSS_TEXT_MAX) };
  strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm);

  struct strbuf *c = &s->canonical;
  strbuf_lit(c, "PUT\n/");
  strbuf_adds(c, p->bucket);
  strbuf_addc(c, '/');
  oss_path(p->path, c);
  strbuf_fmt(c, "\n\ncontent-type:%.*s\nx-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:%s\n", STR_F(p->type), date);
  strbuf_fmt(c, "x-oss-security-token:%.*s\n\n\nUNSIGNED-PAYLOAD", STR_F(p->token));
  crypt_sha256(strbuf_str(c), sha);
  codec_hex(str_of((char *)sha, sizeof sha), s->canonical_sha);
  strbuf_fmt(&s->to_sign, "OSS4-HMAC-SHA256\n%s\n%.8s/%.*s/oss/aliyun_v4_request\n%s", date, date, STR_F(p->region), s->canonical_sha);
  oss_keys(p, str_of(date, 8), s->k);
  crypt_hmac(str_of((char *)s->k[3], 32), strbuf_str(&s->to_sign), sig);
  codec_hex(str_of((char *)sig, sizeof sig), s->signature);

  oss_line(out, "Content-Type", p->type);
  oss_line(out, "x-oss-content-sha256", S("UNSIGNED-PAYLOAD"));
  oss_line(out, "x-oss-date", str_z(date));
  oss_line(out, "x-oss-security-token", p->token);
  strbuf_fmt(out, "Authorization: OSS4-HMAC-SHA256 Credential=%.*s/%.8s/%.*s/oss/aliyun_v4_request,Signature=%s\r\n", STR_F(p->key_id),
             date, STR_F(p->region), s->signature);
  if(c->err || s->to_sign.err) out->err = Q_NOMEM;
  if(!steps) oss_steps_free(s);
}

void oss_sign_v1(const struct oss_put *p, struct strbuf *out)
{
  struct tm tm = oss_utc(p->wall_s);
  struct strbuf text = STRBUF(OSS_TEXT_MAX), sig = STRBUF(64);
  char date[40];
  unsigned char mac[20];
  strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  strbuf_fmt(&text, "PUT\n\n%.*s\n%s\nx-oss-security-token:%.*s\n/%.*s/", STR_F(p->type), date, STR_F(p->token), STR_F(p->bucket));
  strbuf_adds(&text, p->path);
  crypt_hmac_sha1(p->secret, strbuf_str(&text), mac);
  codec_base64(str_of((char *)mac, sizeof mac), &sig);
  oss_line(out, "Content-Type", p->type);
  oss_line(out, "Date", str_z(date));
  oss_line(out, "x-oss-security-token", p->token);
  strbuf_fmt(out, "Authorization: OSS %.*s:%.*s\r\n", STR_F(p->key_id), STR_F(strbuf_str(&sig)));
  if(text.err || sig.err) out->err = Q_NOMEM;
  strbuf_free(&text);
  strbuf_free(&sig);
}
