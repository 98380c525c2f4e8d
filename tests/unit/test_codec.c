/* base64, hex, percent: there and back, and what is refused. */
#include "base/codec.h"

#include "t.h"

static void t_base64(void)
{
  static const struct { const char *plain, *text; } rows[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xfb\xff", "+/8=" } };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf a = STRBUF(100), b = STRBUF(100);
    codec_base64(str_z(rows[i].plain), &a);
    CHECK_STR(strbuf_str(&a), str_z(rows[i].text));
    CHECK(codec_unbase64(strbuf_str(&a), &b));
    CHECK_STR(strbuf_str(&b), str_z(rows[i].plain));
    strbuf_clear(&b);
    strbuf_clear(&a);
    codec_base64url(str_z(rows[i].plain), &a); /* without padding */
    CHECK(codec_unbase64(strbuf_str(&a), &b));
    CHECK_STR(strbuf_str(&b), str_z(rows[i].plain));
    strbuf_free(&a);
    strbuf_free(&b);
  }
  static const char *const bad[] = { "Z", "Zg=", "Zg===", "Z=g=", "Zm9v!", "====" };
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct strbuf b = STRBUF(100);
    t_row = bad[i];
    CHECK(!codec_unbase64(str_z(bad[i]), &b));
    strbuf_free(&b);
  }
  struct strbuf b = STRBUF(100);
  CHECK(codec_unbase64(S(" Zm\n9v\tYg "), &b));
  CHECK_STR(strbuf_str(&b), S("foob"));
  strbuf_free(&b);
}

static void t_hex_and_percent(void)
{
  char hex[9];
  unsigned char back[4];
  struct strbuf b = STRBUF(100), c = STRBUF(100);
  codec_hex(S("\x01\xab\xff\x7f"), hex);
  CHECK_Z(hex, "01abff7f");
  CHECK(codec_unhex(S("01ABff7f"), back) && memcmp(back, "\x01\xab\xff\x7f", 4) == 0);
  CHECK(!codec_unhex(S("0"), back) && !codec_unhex(S("0g"), back));
  codec_percent(S("a b/\xe6"), "/", &b);
  CHECK_STR(strbuf_str(&b), S("a%20b/%E6"));
  CHECK(codec_unpercent(strbuf_str(&b), false, &c));
  CHECK_STR(strbuf_str(&c), S("a b/\xe6"));
  CHECK(!codec_unpercent(S("%"), false, &c) && !codec_unpercent(S("%4"), false, &c) && !codec_unpercent(S("%4x"), false, &c));
  strbuf_clear(&c);
  CHECK(codec_unpercent(S("%41"), false, &c)); /* an escape at the very end */
  CHECK_STR(strbuf_str(&c), S("A"));
  strbuf_free(&b);
  strbuf_free(&c);
}

static void t_utf8(void)
{
  CHECK(codec_is_utf8(S("a\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80")));
  CHECK(!codec_is_utf8(S("\xc0\x80")) && !codec_is_utf8(S("\xed\xa0\x80")) && !codec_is_utf8(S("\xf4\x90\x80\x80")) && !codec_is_utf8(S("\xe4\xb8")) && !codec_is_utf8(S("\x80")));
}

T_MAIN(T(t_base64), T(t_hex_and_percent), T(t_utf8))
