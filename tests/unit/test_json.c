/* Strict JSON: what is accepted, what is refused and where, and values that survive exactly. */
#include "proto/json.h"

#include "base/mem.h"
#include "t.h"

static const struct { const char *name, *in, *out; } good[] = {
  { "empty object", "{}", "{}" },
  { "white space", " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "{\"a\":[1,2]}" },
  { "byte order mark", "\xef\xbb\xbf{}", "{}" },
  { "big whole numbers stay exact", "[9007199254740993,-9223372036854775808,1e400]", "[9007199254740993,-9223372036854775808,1e400]" },
  { "escapes", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"", "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\tA\"" },
  { "a pair of surrogates", "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"" },
  { "an unpaired high one", "\"\\ud83dx\"", "\"\xef\xbf\xbdx\"" },
  { "an unpaired low one", "\"\\ude00\"", "\"\xef\xbf\xbd\"" },
  { "two high ones", "\"\\ud83d\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"" },
  { "NUL inside", "\"a\\u0000b\"", "\"a\\u0000b\"" },
  { "raw characters of four bytes", "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\"" },
  { "numbers", "[0,-0,1.5,1e3,1E-2,-1.25e+7]", "[0,-0,1.5,1e3,1E-2,-1.25e+7]" },
  { "words", "[true,false,null]", "[true,false,null]" },
};

static const struct { const char *name, *in, *expected; size_t offset; int line, column; } bad[] = {
  { "empty", "", "a value", 0, 1, 1 },
  { "missing comma", "{\"a\":1\n,\"b\":2 \"c\":3}", "',' or '}'", 14, 2, 8 },
  { "trailing comma", "[1,]", "a value", 3, 1, 4 },
  { "leading zero", "[01]", "no digit after a leading zero", 2, 1, 3 },
  { "plus", "[+1]", "a value", 1, 1, 2 },
  { "fraction without digits", "[1.]", "a digit", 3, 1, 4 },
  { "bare key", "{a:1}", "a key in quotes or '}'", 1, 1, 2 },
  { "single quotes", "{'a':1}", "a key in quotes or '}'", 1, 1, 2 },
  { "raw control character", "\"a\nb\"", "an escape instead of a control character", 2, 1, 3 },
  { "bad UTF-8", "\"\xc3(\"", "valid UTF-8", 1, 1, 2 },
  { "encoded surrogate", "\"\xed\xa0\xbd\"", "valid UTF-8", 1, 1, 2 },
  { "overlong", "\"\xc0\x80\"", "valid UTF-8", 1, 1, 2 },
  { "open string", "\"abc", "the end of the string", 4, 1, 5 },
  { "bad escape", "\"\\x\"", "an escape (one of \"\\/bfnrtu)", 2, 1, 3 },
  { "short hex", "\"\\u12\"", "four hex digits", 2, 1, 3 },
  { "two values", "{} {}", "the end", 3, 1, 4 },
  { "NaN", "NaN", "a value", 0, 1, 1 },
  { "half a word", "tru", "a value", 0, 1, 1 },
  { "an upper word", "True", "a value", 0, 1, 1 },
  { "an open array", "[", "a value", 1, 1, 2 },
  { "an open object", "{", "a key in quotes or '}'", 1, 1, 2 },
  { "a key alone", "{\"a\"}", "':'", 4, 1, 5 },
  { "no value", "{\"a\":}", "a value", 5, 1, 6 },
  { "a comma alone", "{,}", "a key in quotes or '}'", 1, 1, 2 },
  { "a comma behind the last member", "{\"a\":1,}", "a key in quotes", 7, 1, 8 },
  { "a number as key", "{1:2}", "a key in quotes or '}'", 1, 1, 2 },
  { "no comma", "[1 2]", "',' or ']'", 3, 1, 4 },
  { "the wrong bracket", "[1}", "',' or ']'", 2, 1, 3 },
  { "minus alone", "-", "a digit", 1, 1, 2 },
  { "minus and a letter", "-a", "a digit", 1, 1, 2 },
  { "exponent without digits", "1e+", "a digit", 3, 1, 4 },
  { "a point in front", ".5", "a value", 0, 1, 1 },
  { "hex", "0x10", "the end", 1, 1, 2 },
  { "a comment", "/**/1", "a value", 0, 1, 1 },
  { "half a backslash", "\"\\", "the end of the string", 2, 1, 3 },
  { "a cut character", "\"\xe4\xb8", "valid UTF-8", 1, 1, 2 },
  { "above the last code point", "\"\xf4\x90\x80\x80\"", "valid UTF-8", 1, 1, 2 },
  { "no-break space around", "\xc2\xa0{}", "a value", 0, 1, 1 },
  { "two byte order marks", "\xef\xbb\xbf\xef\xbb\xbf{}", "a value", 3, 1, 4 },
  { "lines of both kinds", "[\r\n1,\r\n,]", "a value", 7, 3, 1 },
};

static void t_good(void)
{
  for(size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct strbuf b = STRBUF(1 << 20);
    struct json_error e;
    t_row = good[i].name;
    const struct json *n = json_parse(&a, str_z(good[i].in), 10, &e);
    CHECK(n != NULL);
    if(n) json_write(n, &b);
    CHECK_STR(strbuf_str(&b), str_z(good[i].out));
    strbuf_free(&b);
    arena_free(&a);
  }
}

static void t_refused(void)
{
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct json_error e = { 0 };
    t_row = bad[i].name;
    CHECK(json_parse(&a, str_z(bad[i].in), 10, &e) == NULL);
    CHECK_Z(e.expected ? e.expected : "(out of memory)", bad[i].expected);
    CHECK_INT(e.offset, bad[i].offset);
    CHECK_INT(e.line, bad[i].line);
    CHECK_INT(e.column, bad[i].column);
    arena_free(&a);
  }
}

/* Every prefix of every good text ends in a protected place: one byte read too far is seen by the sanitizer. */
static void t_prefixes(void)
{
  for(size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    for(size_t n = 0; n <= strlen(good[i].in); n++) {
      struct arena a = ARENA(1 << 20);
      char *exact = malloc(n ? n : 1);
      memcpy(exact, good[i].in, n);
      (void)!json_parse(&a, str_of(exact, n), 10, NULL);
      arena_free(&a);
      free(exact);
    }
}

static void t_depth(void)
{
  char text[64];
  struct arena a = ARENA(1 << 20);
  memset(text, '[', 20);
  memset(text + 20, ']', 20);
  CHECK(json_parse(&a, str_of(text, 40), 20, NULL) != NULL);
  CHECK(json_parse(&a, str_of(text, 40), 19, NULL) == NULL);
  CHECK(json_parse(&a, S("[[],[],[[]]]"), 3, NULL) != NULL); /* depth is given back */
  CHECK(json_parse(&a, S("[{},{\"a\":{}},{\"b\":[]}]"), 3, NULL) != NULL);
  CHECK(json_parse(&a, S("5"), 0, NULL) != NULL && json_parse(&a, S("[]"), 0, NULL) == NULL);
  struct json_error e;
  struct strbuf deep = STRBUF(4 << 20); /* a wall of brackets is refused at the limit, not at the end of the stack */
  while(deep.n < 2 << 20) strbuf_lit(&deep, "[{\"a\":");
  CHECK(json_parse(&a, strbuf_str(&deep), 100, &e) == NULL);
  CHECK(e.expected && strcmp(e.expected, "less nesting") == 0 && e.offset < 1000);
  strbuf_free(&deep);
  arena_free(&a);
}

static void t_values(void)
{
  struct arena a = ARENA(1 << 20);
  const struct json *r = json_parse(&a, S("{\"a\":1,\"a\":2,\"s\":\"12\",\"t\":\"true\",\"f\":1.0,\"g\":1.5,\"o\":{\"x\":[5,{\"y\":\"z\"}]},\"big\":99999999999999999999,\"n\":null,\"inf\":\"inf\"}"), 10, NULL);
  int64_t v = 0;
  double d;
  bool b = false;
  CHECK(json_int(json_get(r, "a"), &v) && v == 2); /* of equal keys the last counts */
  CHECK(json_int(json_get(r, "s"), &v) && v == 12);
  CHECK(json_int(json_get(r, "f"), &v) && v == 1);
  CHECK(!json_int(json_get(r, "g"), &v));
  CHECK(!json_int(json_get(r, "big"), &v));
  CHECK(!json_int(json_get(r, "missing"), &v));
  CHECK(json_number(json_get(r, "g"), &d) && d == 1.5);
  CHECK(!json_number(json_get(r, "inf"), &d));
  CHECK(json_bool(json_get(r, "t"), &b) && b);
  CHECK(!json_bool(json_get(r, "a"), &b));
  CHECK(json_true(json_get(r, "a")) && !json_true(json_get(r, "n")));
  CHECK(json_absent(json_get(r, "n")) && json_absent(json_get(r, "nothing")));
  CHECK_STR(json_str(json_path(r, "o.x.1.y")), S("z"));
  CHECK(json_path(r, "o.x.7") == NULL && json_path(r, "a.b") == NULL);
  CHECK(json_path(r, "o.x.-1") == NULL && json_path(r, "o.x.y") == NULL && json_path(NULL, "a") == NULL && json_path(r, "") == r);
  CHECK(json_at(json_path(r, "o.x"), 2) == NULL && json_at(json_path(r, "o.x"), -1) == NULL && json_at(r, 0) == NULL && json_get(json_path(r, "o.x"), "y") == NULL);
  CHECK(json_str(json_get(r, "a")).n == 0 && json_str(NULL).n == 0 && !json_number(NULL, &d) && !json_bool(NULL, &b) && !json_true(NULL));
  int members = 0;
  for json_each(m, r) members++;
  CHECK_INT(members, r->count);
  for json_each(m, (const struct json *)NULL) members++;
  CHECK_INT(members, r->count);
  arena_reset(&a);
  r = json_parse(&a, S("[1e2,1e400,-1e400,9007199254740993,-9223372036854775808,9223372036854775808,0.5e1,1e-1,\"1e3\",\" 1\",\"\",\"0x1\",true,1e15]"), 4, NULL);
  static const struct { bool is; int64_t v; } ints[] = { { true, 100 }, { false, 0 }, { false, 0 }, { true, 9007199254740993 }, { true, INT64_MIN }, { false, 0 }, { true, 5 }, { false, 0 },
                                                         { true, 1000 }, { false, 0 }, { false, 0 }, { false, 0 }, { false, 0 }, { true, 1000000000000000 } };
  for(int i = 0; i < 14; i++) {
    v = 0;
    CHECK_INT(json_int(json_at(r, i), &v), ints[i].is);
    CHECK_INT(v, ints[i].v);
  }
  arena_free(&a);
}

static void t_halves(void)
{
  struct arena a = ARENA(1 << 20);
  CHECK_STR(json_str(json_parse_halves(&a, S("\"\\ud83d\""), 4, NULL)), S("\xed\xa0\xbd"));
  CHECK_STR(json_str(json_parse_halves(&a, S("\"\\ud83d\\ude00\""), 4, NULL)), S("\xf0\x9f\x98\x80"));
  arena_free(&a);
}

static void t_out_of_memory_is_told(void)
{
  for(long n = 0;; n++) {
    struct arena a = ARENA(1 << 20);
    struct json_error e = { .expected = "x" };
    fault_arm(n, true);
    const struct json *r = json_parse(&a, S("{\"a\":[1,2,\"\\n\"]}"), 10, &e);
    bool hit = fault_disarm();
    CHECK(r || e.expected == NULL);
    arena_free(&a);
    if(!hit) break;
  }
}

T_MAIN(T(t_good), T(t_refused), T(t_prefixes), T(t_depth), T(t_values), T(t_halves), T(t_out_of_memory_is_told))
