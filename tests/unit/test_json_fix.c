/* JSON repair (api 3.10): each step on its own, in order, and what must stay refused. */
#include "proto/json_fix.h"

#include "base/mem.h"
#include "t.h"

static const struct { const char *name, *in, *want; bool clean; } rows[] = { /* want NULL: refused */
  { "clean", " {\"a\":[1,-2.50,true,null]} ", "{\"a\":[1,-2.50,true,null]}", true },
  { "clean scalar", "42", "42", true },
  { "clean: what looks odd in strings", "{\"a\":\"'x', True, ,} \xef\xbc\x9a\"}", "{\"a\":\"'x', True, ,} \xef\xbc\x9a\"}", true },
  { "step 1: a code fence", "```json\n{\"a\":1}\n```", "{\"a\":1}", false },
  { "step 1: text outside the outer braces", "Here: {\"a\":{\"b\":[1]}} - done }", "{\"a\":{\"b\":[1]}}", false },
  { "step 1: an array", "List: [1,{\"a\":2}] ok", "[1,{\"a\":2}]", false },
  { "step 1: braces in strings", "x {\"a\":\"}{\"} y", "{\"a\":\"}{\"}", false },
  { "step 1: a fenced scalar", "```\n42\n```", "42", false },
  { "step 2: raw newline", "{\"a\":\"l1\nl2\"}", "{\"a\":\"l1\\nl2\"}", false },
  { "step 2: raw tab, return, bell", "{\"a\":\"x\ty\rz\a\"}", "{\"a\":\"x\\ty\\rz\\u0007\"}", false },
  { "step 2: escapes that are none", "{\"a\":\"C:\\dir \\d+ \\u12 it\\'s\"}", "{\"a\":\"C:\\\\dir \\\\d+ \\\\u12 it's\"}", false },
  { "step 2: good escapes stay", "{\"a\":\"\\u00e9\\n\\\\\n\"}", "{\"a\":\"\xc3\xa9\\n\\\\\\n\"}", false },
  { "step 3: trailing commas", "{\"a\":[1,2,],\"b\":{\"c\":1,},}", "{\"a\":[1,2],\"b\":{\"c\":1}}", false },
  { "step 3: doubled and leading commas", "{,\"a\":[,1,,2]}", "{\"a\":[1,2]}", false },
  { "step 4: single quotes", "{'a':'x','b':['y']}", "{\"a\":\"x\",\"b\":[\"y\"]}", false },
  { "step 4: double quotes within single ones", "{'a':'say \"hi\"'}", "{\"a\":\"say \\\"hi\\\"\"}", false },
  { "step 4: bare keys", "{a:1, b_2 : {c-d:\"x\"}}", "{\"a\":1,\"b_2\":{\"c-d\":\"x\"}}", false },
  { "step 4: an escaped apostrophe", "{'a':'it\\'s'}", "{\"a\":\"it's\"}", false },
  { "step 5: Python words", "{\"a\":True,\"b\":[False,None],\"c\":\"True\"}", "{\"a\":true,\"b\":[false,null],\"c\":\"True\"}", false },
  { "step 5: a Python word as a bare key", "{None:None}", "{\"None\":null}", false },
  { "step 6: full-width quotes and colons", "{\xe2\x80\x9c" "a\xe2\x80\x9d\xef\xbc\x9a\xe2\x80\x9cx\xe2\x80\x9d\xef\xbc\x8c\"b\"\xef\xbc\x9a" "1}", "{\"a\":\"x\",\"b\":1}", false },
  { "step 6 and 7: opened full-width, closed plainly", "{\xe2\x80\x9c" "a\":1}", "{\"a\":1}", false },
  { "step 6: not within strings", "{\"a\"\xef\xbc\x9a\"x\xef\xbc\x9a\xe2\x80\x9cy\xe2\x80\x9d\"}", "{\"a\":\"x\xef\xbc\x9a\xe2\x80\x9cy\xe2\x80\x9d\"}", false },
  { "step 7: quotes within a string", "{\"a\":\"he said \"hi\" to me\"}", "{\"a\":\"he said \\\"hi\\\" to me\"}", false },
  { "step 7: an odd number", "{\"a\":\"5\" disk\",\"b\":1}", "{\"a\":\"5\\\" disk\",\"b\":1}", false },
  { "step 7: an apostrophe in single quotes", "{'a':'it's','b':1}", "{\"a\":\"it's\",\"b\":1}", false },
  { "step 8: missing brackets", "{\"a\":[1,{\"b\":2", "{\"a\":[1,{\"b\":2}]}", false },
  { "step 8: an inner bracket missing", "{\"a\":[1,2}", "{\"a\":[1,2]}", false },
  { "step 8: a comma at the end", "{\"a\":1,", "{\"a\":1}", false },
  { "all at once", "Sure!\n```json\n{'a': True, b: \"x\ny\", \"c\"\xef\xbc\x9a\"q \"z\" q\", 'd': [1,2,", "{\"a\":true,\"b\":\"x\\ny\",\"c\":\"q \\\"z\\\" q\",\"d\":[1,2]}", false },
  { "a string that was cut", "{\"a\":\"half", NULL, false },
  { "a value that is missing", "{\"a\":", NULL, false },
  { "a key without value", "{\"a\":1,\"b\"", NULL, false },
  { "prose", "no JSON here", NULL, false },
  { "nothing", "", NULL, false },
  { "braces around prose", "{...}", NULL, false },
  { "two values side by side", "[1 2]", NULL, false },
  { "a closer without opener", "]", NULL, false },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct strbuf out = STRBUF(1 << 20);
    const struct json *v;
    bool repaired = false;
    size_t n = strlen(rows[i].in);
    char *exact = malloc(n + 1);
    memcpy(exact, rows[i].in, n);
    t_row = rows[i].name;
    enum q_status st = json_fix(&a, str_of(exact, n), &v, &repaired);
    CHECK_INT(st, rows[i].want ? Q_OK : Q_BAD_JSON);
    if(!st && rows[i].want) {
      json_write(v, &out);
      CHECK_STR(strbuf_str(&out), str_z(rows[i].want));
      CHECK_INT(repaired, !rows[i].clean);
    }
    free(exact);
    strbuf_free(&out);
    arena_free(&a);
  }
}

/* Every step leaves alone what an earlier one can mend: of two readings the one of the earlier step is taken. */
static void t_order_of_the_steps(void)
{
  struct arena a = ARENA(1 << 20);
  const struct json *v;
  /* Step 3 mends this; step 7 would have taken the quote before the comma's space for text. */
  CHECK_INT(json_fix(&a, S("{\"a\":\"x\",}"), &v, NULL), Q_OK);
  CHECK_STR(json_str(json_get(v, "a")), S("x"));
  /* Step 4 ends a single-quoted string at the first quote; only step 7 looks behind it. */
  CHECK_INT(json_fix(&a, S("{'a':'x'}"), &v, NULL), Q_OK);
  CHECK_STR(json_str(json_get(v, "a")), S("x"));
  arena_free(&a);
}

static void t_find(void)
{
  static const char *const finds[][2] = {
    { "x {\"a\":\"}\"} y {\"b\":1}", "{\"a\":\"}\"}" }, { "```json\n[1,[2]]\n```", "[1,[2]]" }, { " \"text\" ", "\"text\"" },
    { "```\n\"text\"\n```", "\"text\"" }, { "open {\"a\":[1", "{\"a\":[1" }, { "", "" }, { "  ", "" },
  };
  for(size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) CHECK_STR(json_fix_find(str_z(finds[i][0])), str_z(finds[i][1]));
}

static void t_depth(void)
{
  struct arena a = ARENA(1 << 20);
  char deep[JSON_FIX_DEPTH + 2];
  const struct json *v;
  memset(deep, '[', sizeof deep);
  CHECK_INT(json_fix(&a, str_of(deep, JSON_FIX_DEPTH), &v, NULL), Q_OK); /* the brackets at the end are missing */
  CHECK_INT(json_fix(&a, str_of(deep, JSON_FIX_DEPTH + 1), &v, NULL), Q_BAD_JSON);
  arena_free(&a);
}

static void t_out_of_memory(void)
{
  for(long n = 0; n < 100; n++) {
    struct arena a = ARENA(1 << 20);
    const struct json *v;
    long before = mem_live();
    fault_arm(n, false);
    enum q_status st = json_fix(&a, S("x {'a': True, b: [1,2,]"), &v, NULL);
    bool failed = fault_disarm();
    CHECK_INT(st, failed ? Q_NOMEM : Q_OK);
    arena_free(&a);
    CHECK_INT(mem_live(), before);
    if(!failed) return;
  }
  T_FAIL("never without a failure");
}

T_MAIN(T(t_rows), T(t_order_of_the_steps), T(t_find), T(t_depth), T(t_out_of_memory))
