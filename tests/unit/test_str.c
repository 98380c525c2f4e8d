/* Slices and builders: nothing passes a limit, nothing reads past an end, and the first failure stays. */
#include "base/str.h"

#include <limits.h>

#include "base/codec.h"
#include "base/mem.h"
#include "t.h"

static void t_finds(void)
{
  static const struct { const char *hay, *needle; ptrdiff_t at, iat; } rows[] = {
    { "hello", "l", 2, 2 }, { "hello", "LO", -1, 3 }, { "hello", "", 0, 0 }, { "", "", 0, 0 }, { "", "a", -1, -1 },
    { "hello", "hello!", -1, -1 }, { "hello", "hello", 0, 0 }, { "aab", "ab", 1, 1 }, { "a[b", "A{B", -1, -1 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].needle;
    CHECK_INT(str_find(str_z(rows[i].hay), str_z(rows[i].needle)), rows[i].at);
    CHECK_INT(str_ifind(str_z(rows[i].hay), str_z(rows[i].needle)), rows[i].iat);
  }
  CHECK_INT(str_find(STR_NONE, S("a")), -1);
  CHECK_INT(str_find(STR_NONE, STR_NONE), 0);
  CHECK_INT(str_chr(S("a\0b"), 'b'), 2); /* NUL is a byte like others */
  CHECK_INT(str_chr(STR_NONE, 0), -1);
}

static void t_ends(void)
{
  CHECK(str_starts(S("abc"), S("ab")) && !str_starts(S("ab"), S("abc")) && !str_starts(S("abc"), S("Ab")) && str_starts(STR_NONE, STR_NONE));
  CHECK(str_istarts(S("ABc"), S("aB")) && !str_istarts(S("a"), S("ab")));
  CHECK(str_ends(S("abc"), S("bc")) && str_ends(S("abc"), S("")) && !str_ends(S("bc"), S("abc")) && !str_ends(S("abC"), S("bc")));
  CHECK(str_ieq(S("aZ"), S("Az")) && !str_ieq(S("@"), S("`")) && !str_ieq(S("[" "a"), S("{a")) && !str_ieq(S("\xc3\x84"), S("\xc3\xa4")));
  CHECK(str_eq(STR_NONE, S("")) && !str_eq(S("a"), S("b")));
}

static void t_parts(void)
{
  CHECK_STR(str_trim(S(" \t\r\n a b \n")), S("a b"));
  CHECK_STR(str_trim(S(" \n ")), S(""));
  CHECK_STR(str_sub(S("hello"), 1, 3), S("ell"));
  CHECK_STR(str_sub(S("hello"), 3, 99), S("lo"));
  CHECK_STR(str_sub(S("hello"), 99, 1), S(""));
  CHECK_STR(str_sub(S("hello"), 2, SIZE_MAX), S("llo"));
  struct str s = S("a,,b");
  CHECK_STR(str_cut(&s, ','), S("a"));
  CHECK_STR(str_cut(&s, ','), S(""));
  CHECK_STR(str_cut(&s, ','), S("b"));
  CHECK_INT(s.n, 0);
  CHECK_STR(str_cut(&s, ','), S(""));
}

static void t_int(void)
{
  static const struct { const char *in; bool ok; int64_t v; } rows[] = {
    { "0", true, 0 }, { "-0", true, 0 }, { "+12", true, 12 }, { "007", true, 7 }, { "9223372036854775807", true, INT64_MAX },
    { "-9223372036854775808", true, INT64_MIN }, { "9223372036854775808", false, 0 }, { "-9223372036854775809", false, 0 },
    { "", false, 0 }, { "-", false, 0 }, { "+", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 }, { "1.0", false, 0 },
    { "0x1", false, 0 }, { "--1", false, 0 }, { "99999999999999999999999", false, 0 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int64_t v = 77;
    t_row = rows[i].in;
    CHECK_INT(str_int(str_z(rows[i].in), &v), rows[i].ok);
    CHECK_INT(v, rows[i].ok ? rows[i].v : 77); /* untouched on failure */
  }
}

/* At every size of field: never more than fits, never half a character, always as much as fits. */
static void t_copy(void)
{
  struct str s = S("a\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80z"); /* characters end at 1 3 6 10 11 */
  static const size_t want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11 };
  for(size_t cap = 1; cap <= 13; cap++) {
    char *field = malloc(cap);
    str_copy(field, cap, s);
    CHECK_INT(strlen(field), want[cap - 1]);
    CHECK(codec_is_utf8(str_z(field)));
    CHECK(memcmp(field, s.p, strlen(field)) == 0);
    free(field);
  }
}

static void t_builder(void)
{
  struct strbuf b = STRBUF(1000);
  strbuf_lit(&b, "n=");
  strbuf_int(&b, INT64_MIN);
  strbuf_addc(&b, ' ');
  strbuf_int(&b, 0);
  strbuf_addz(&b, " z ");
  strbuf_fmt(&b, "%s-%d", "f", 5);
  CHECK_STR(strbuf_str(&b), S("n=-9223372036854775808 0 z f-5"));
  CHECK_Z(strbuf_z(&b), "n=-9223372036854775808 0 z f-5");
  CHECK_INT(b.n, 30);
  strbuf_drop(&b, 2);
  CHECK_STR(strbuf_str(&b), S("-9223372036854775808 0 z f-5"));
  strbuf_drop(&b, 0);
  CHECK_INT(b.n, 28);
  strbuf_drop(&b, 500);
  CHECK_INT(b.n, 0);
  strbuf_free(&b);
  CHECK(b.p == NULL && b.max == 1000);
  strbuf_adds(&b, S("again"));
  CHECK_STR(strbuf_str(&b), S("again"));
  strbuf_free(&b);
}

/* A limit is exact, and the first failure stays: what comes after it, even if it would fit, is not added. */
static void t_limit(void)
{
  struct strbuf b = STRBUF(10);
  strbuf_adds(&b, S("12345678"));
  strbuf_adds(&b, S("9abc"));
  CHECK_INT(b.err, Q_TOO_BIG);
  strbuf_adds(&b, S("x"));
  strbuf_fmt(&b, "%d", 1);
  strbuf_json(&b, S("x"));
  CHECK_STR(strbuf_str(&b), S("12345678"));
  CHECK(strbuf_room(&b, 1) == NULL);
  CHECK_Z(strbuf_z(&b), "");
  strbuf_clear(&b);
  CHECK_INT(b.err, Q_OK);
  strbuf_adds(&b, S("1234567890"));
  CHECK_INT(b.err, Q_OK);
  CHECK(b.cap <= 10);
  strbuf_addc(&b, 'x');
  CHECK_INT(b.err, Q_TOO_BIG);
  strbuf_free(&b);
  struct strbuf none = { .max = 0 };
  strbuf_addc(&none, 'a');
  CHECK_INT(none.err, Q_TOO_BIG);
  CHECK(none.p == NULL);
  struct strbuf huge = STRBUF(1000);
  strbuf_adds(&huge, S("1234"));
  CHECK(strbuf_room(&huge, SIZE_MAX - 2) == NULL); /* the sum would wrap around */
  CHECK_INT(huge.err, Q_TOO_BIG);
  strbuf_free(&huge);
}

static void t_out_of_memory(void)
{
  struct strbuf b = STRBUF(100000);
  strbuf_adds(&b, S("kept"));
  fault_arm(0, false);
  char *room = strbuf_room(&b, 5000);
  CHECK(fault_disarm());
  CHECK(room == NULL);
  CHECK_INT(b.err, Q_NOMEM);
  CHECK_STR(strbuf_str(&b), S("kept"));
  strbuf_addc(&b, 'x');
  CHECK_STR(strbuf_str(&b), S("kept"));
  strbuf_free(&b);
}

static void t_json(void)
{
  static const struct { const char *in; size_t n; const char *out; } rows[] = {
    { "", 0, "\"\"" }, { "a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"" }, { "\n\r\t\b\f\0\x1f\x7f", 8, "\"\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f\"" },
    { "\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80\"" },
    { "a\x80z", 3, "\"a\xef\xbf\xbdz\"" }, { "\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" }, { "\xe4\xb8", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, { "\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xc3\"", 2, "\"\xef\xbf\xbd\\\"\"" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(1000);
    char *exact = malloc(rows[i].n ? rows[i].n : 1); /* the end is guarded by the sanitizer */
    memcpy(exact, rows[i].in, rows[i].n);
    t_row = rows[i].out;
    strbuf_json(&b, str_of(exact, rows[i].n));
    CHECK_STR(strbuf_str(&b), str_z(rows[i].out));
    free(exact);
    strbuf_free(&b);
  }
}

T_MAIN(T(t_finds), T(t_ends), T(t_parts), T(t_int), T(t_copy), T(t_builder), T(t_limit), T(t_out_of_memory), T(t_json))
