/* The JSON value in an answer (api 3.11). */
#include "proto/json_answer.h"

#include "base/mem.h"
#include "t.h"

#define CITY "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"}},\"required\":[\"city\"],\"additionalProperties\":false}"

static const struct { const char *name, *schema, *in; enum q_status st; const char *out, *pointer, *words; } rows[] = { /* schema NULL: json_object */
  { "json_object as written", NULL, " {\"a\": 1,\n \"b\":[ 2 ]}\n", Q_OK, "{\"a\": 1,\n \"b\":[ 2 ]}", "", "" },
  { "json_object in prose and a fence, as written", NULL, "Sure:\n```json\n{ \"a\" : 1 }\n```\nDone {x}.", Q_OK, "{ \"a\" : 1 }", "", "" },
  { "the first balanced value", NULL, "{\"a\":1} {\"b\":2}", Q_OK, "{\"a\":1}", "", "" },
  { "minified where repaired", NULL, "{'a' : 1,\n b: [True, ],}", Q_OK, "{\"a\":1,\"b\":[true]}", "", "" },
  { "repaired within prose", NULL, "Result: {'a' : 1} ok", Q_OK, "{\"a\":1}", "", "" },
  { "braces of prose are passed over", NULL, "For {x} in [y]: {\"a\":1}", Q_OK, "{\"a\":1}", "", "" },
  { "a list of prose is no object", NULL, "See [1]: {\"a\":1}", Q_OK, "{\"a\":1}", "", "" },
  { "quotes within a text", NULL, "{\"a\":\"he said \"x}\" to me\"}", Q_OK, "{\"a\":\"he said \\\"x}\\\" to me\"}", "", "" },
  { "brackets missing", NULL, "{\"a\":[1,{\"b\":2}", Q_OK, "{\"a\":[1,{\"b\":2}]}", "", "" },
  { "a clean value goes before one that must be repaired", NULL, "Use {x: 1} like {\"a\":1}", Q_OK, "{\"a\":1}", "", "" },
  { "no JSON", NULL, "I cannot do that.", Q_BAD_JSON, "", "", "" },
  { "nothing", NULL, "", Q_BAD_JSON, "", "", "" },
  { "cut within a text: what stands within is no answer", NULL, "{\"a\":{\"b\":1},\"c\":\"half", Q_BAD_JSON, "", "", "" },
  { "json_object: an array is none", NULL, "[1]", Q_BAD_VALUE, "[1]", "", "must be an object" },
  { "json_object: a number is none", NULL, "42", Q_BAD_VALUE, "42", "", "must be an object" },
  { "json_schema fits", CITY, "{\"city\":\"Paris\",\"n\":2}", Q_OK, "{\"city\":\"Paris\",\"n\":2}", "", "" },
  { "json_schema: type", CITY, "```json\n{\"city\":\"Paris\", \"n\":\"2\"}\n```", Q_BAD_VALUE, "{\"city\":\"Paris\", \"n\":\"2\"}", "/n", "must be a whole number" },
  { "json_schema: required", CITY, "{'n':1}", Q_BAD_VALUE, "{\"n\":1}", "", "lacks the required member 'city'" },
  { "json_schema: additionalProperties", CITY, "{\"city\":\"P\",\"x\":1}", Q_BAD_VALUE, "{\"city\":\"P\",\"x\":1}", "/x", "is not allowed: the schema does not name it" },
  { "json_schema: one that fits stands behind one that does not", CITY, "Form {\"n\":1}, so {\"city\":\"P\"}", Q_OK, "{\"city\":\"P\"}", "", "" },
  { "json_schema: the best of several", CITY, "[1] {\"n\":1} [2]", Q_BAD_VALUE, "{\"n\":1}", "", "lacks the required member 'city'" },
  { "json_schema: an array", "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "Here: [1, 2]", Q_OK, "[1, 2]", "", "" },
  { "json_schema: a scalar in a fence", "{\"type\":\"integer\"}", "```json\n42\n```", Q_OK, "42", "", "" },
  { "json_schema: a text", "{\"type\":\"string\"}", "\"a {b}\"", Q_OK, "\"a {b}\"", "", "" },
  { "json_schema without a schema's words", "{}", "[1]", Q_OK, "[1]", "", "" },
};

static enum q_status run(size_t i, struct strbuf *out, struct schema_fault *fault)
{
  struct arena a = ARENA(1 << 22);
  const struct json *s = rows[i].schema ? json_parse(&a, str_z(rows[i].schema), 20, NULL) : NULL;
  enum q_status st = Q_NOMEM;
  if(s || !rows[i].schema) st = json_answer(&a, str_z(rows[i].in), s ? FORMAT_SCHEMA : FORMAT_JSON, s, out, fault);
  arena_free(&a);
  return st;
}

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf out = STRBUF(1 << 16);
    struct schema_fault fault;
    t_row = rows[i].name;
    CHECK_INT(run(i, &out, &fault), rows[i].st);
    CHECK_STR(strbuf_str(&out), str_z(rows[i].out));
    if(rows[i].st != Q_BAD_JSON) {
      CHECK_Z(fault.pointer, rows[i].pointer);
      CHECK_Z(fault.words, rows[i].words);
    }
    strbuf_free(&out);
  }
}

static void t_out_of_memory(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].name;
    for(long n = 0; n < 200; n++) {
      struct strbuf out = STRBUF(1 << 16);
      long before = mem_live();
      fault_arm(n, false);
      enum q_status st = run(i, &out, NULL);
      bool failed = fault_disarm();
      CHECK_INT(st, failed ? Q_NOMEM : rows[i].st);
      strbuf_free(&out);
      CHECK_INT(mem_live(), before);
      if(!failed) break;
    }
  }
}

/* The builder's limit is an error of its own. */
static void t_too_big(void)
{
  struct arena a = ARENA(1 << 20);
  struct strbuf out = STRBUF(4);
  CHECK_INT(json_answer(&a, S("{\"a\":1}"), FORMAT_JSON, NULL, &out, NULL), Q_TOO_BIG);
  strbuf_free(&out);
  arena_free(&a);
}

T_MAIN(T(t_rows), T(t_out_of_memory), T(t_too_big))
