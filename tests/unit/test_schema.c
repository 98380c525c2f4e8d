/* JSON Schema check (api 3.11: type, required, enum, additionalProperties, nesting; other keywords best effort). */
#include "proto/schema.h"

#include "t.h"

static const struct { const char *name, *schema, *value, *pointer, *words; } rows[] = { /* pointer NULL: fits */
  { "type string", "{\"type\":\"string\"}", "\"x\"", NULL, NULL },
  { "type string, a number", "{\"type\":\"string\"}", "1", "", "must be a string" },
  { "type integer", "{\"type\":\"integer\"}", "5.0", NULL, NULL },
  { "type integer, huge", "{\"type\":\"integer\"}", "123456789012345678901234567890", NULL, NULL },
  { "type integer, a fraction", "{\"type\":\"integer\"}", "5.5", "", "must be a whole number" },
  { "type number", "{\"type\":\"number\"}", "\"5\"", "", "must be a number" },
  { "type boolean", "{\"type\":\"boolean\"}", "false", NULL, NULL },
  { "type boolean, null", "{\"type\":\"boolean\"}", "null", "", "must be true or false" },
  { "type null", "{\"type\":\"null\"}", "0", "", "must be null" },
  { "type array", "{\"type\":\"array\"}", "{}", "", "must be an array" },
  { "type object", "{\"type\":\"object\"}", "[]", "", "must be an object" },
  { "type of several", "{\"type\":[\"string\",\"null\"]}", "null", NULL, NULL },
  { "type of several, none", "{\"type\":[\"string\",\"null\"]}", "1", "", "has a type that is not allowed" },
  { "type number beside integer", "{\"type\":[\"integer\",\"number\"]}", "1.5", NULL, NULL },
  { "nullable", "{\"type\":\"string\",\"nullable\":true}", "null", NULL, NULL },
  { "enum", "{\"enum\":[1,\"a\",null,[1],{\"x\":1,\"y\":2}]}", "{\"y\":2,\"x\":1.0}", NULL, NULL },
  { "enum, none", "{\"enum\":[\"a\",\"b\"]}", "\"c\"", "", "is none of the 2 values allowed" },
  { "const", "{\"const\":{\"a\":[1]}}", "{\"a\":[1]}", NULL, NULL },
  { "const, another", "{\"const\":1}", "2", "", "is not the one value allowed" },
  { "required", "{\"required\":[\"city\"]}", "{\"town\":1}", "", "lacks the required member 'city'" },
  { "required, there", "{\"required\":[\"city\"]}", "{\"city\":null}", NULL, NULL },
  { "properties", "{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1}", "/a", "must be a string" },
  { "nesting", "{\"properties\":{\"a\":{\"items\":{\"properties\":{\"b/c~d\":{\"type\":\"null\"}}}}}}", "{\"a\":[{},{\"b/c~d\":1}]}", "/a/1/b~1c~0d", "must be null" },
  { "additionalProperties false", "{\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"a\":1,\"b\":2}", "/b", "is not allowed: the schema does not name it" },
  { "additionalProperties of a type", "{\"additionalProperties\":{\"type\":\"integer\"}}", "{\"b\":\"x\"}", "/b", "must be a whole number" },
  { "additionalProperties beside patterns", "{\"patternProperties\":{\"^x\":{}},\"additionalProperties\":false}", "{\"x1\":1}", NULL, NULL },
  { "items", "{\"items\":{\"type\":\"string\"}}", "[\"a\",1]", "/1", "must be a string" },
  { "prefixItems", "{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"integer\"}}", "[\"a\",\"b\"]", "/1", "must be a whole number" },
  { "items as a list", "{\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}", "[\"a\",1]", "/1", "is not allowed" },
  { "anyOf", "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "3", NULL, NULL },
  { "anyOf, none", "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "true", "", "fits none of the 2 forms allowed" },
  { "anyOf of one", "{\"anyOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}}]}", "{\"a\":1}", "/a", "must be null" },
  { "oneOf", "{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"c\":1}", "", "fits none of the 2 forms allowed" },
  { "allOf", "{\"allOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"a\":1}", "", "lacks the required member 'b'" },
  { "$ref", "{\"$defs\":{\"x/y\":{\"type\":\"string\"}},\"properties\":{\"a\":{\"$ref\":\"#/$defs/x~1y\"}}}", "{\"a\":1}", "/a", "must be a string" },
  { "$ref to the root", "{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}}}", "{\"next\":{\"next\":3}}", "/next/next", "must be an object" },
  { "$ref into a list", "{\"anyOf\":[{\"type\":\"string\"},{\"$ref\":\"#/anyOf/0\"}]}", "1", "", "fits none of the 2 forms allowed" },
  { "$ref to nothing passes", "{\"$ref\":\"#/nowhere\"}", "1", NULL, NULL },
  { "$ref in a circle passes", "{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}},\"$ref\":\"#/$defs/a\"}", "1", NULL, NULL },
  { "allOf without end passes", "{\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"#/$defs/a\"}]}},\"$ref\":\"#/$defs/a\"}", "1", NULL, NULL },
  { "minLength in characters", "{\"minLength\":3}", "\"\xe4\xb8\x96\xe7\x95\x8c\"", "", "must have at least 3 characters" },
  { "maxLength in characters", "{\"maxLength\":2}", "\"\xe4\xb8\x96\xe7\x95\x8c\"", NULL, NULL },
  { "minItems", "{\"minItems\":1}", "[]", "", "must have at least 1 items" },
  { "maxItems", "{\"maxItems\":1}", "[1,2]", "", "must have at most 1 items" },
  { "maxProperties", "{\"maxProperties\":0}", "{\"a\":1}", "", "must have at most 0 members" },
  { "minimum", "{\"minimum\":1}", "0.5", "", "must be at least 1" },
  { "maximum", "{\"maximum\":1}", "1", NULL, NULL },
  { "exclusiveMaximum", "{\"exclusiveMaximum\":1}", "1", "", "must be less than 1" },
  { "exclusiveMinimum of draft 4", "{\"minimum\":1,\"exclusiveMinimum\":true}", "1", "", "must be greater than 1" },
  { "a boolean schema", "{\"properties\":{\"a\":false,\"b\":true}}", "{\"b\":1,\"a\":1}", "/a", "is not allowed" },
  { "other keywords", "{\"pattern\":\"^x\",\"format\":\"date\",\"multipleOf\":2,\"not\":{}}", "\"y\"", NULL, NULL },
  { "nonsense for a schema", "[1,2]", "3", NULL, NULL },
  { "nonsense for keywords", "{\"type\":5,\"enum\":1,\"required\":\"a\",\"properties\":[],\"items\":3,\"anyOf\":{},\"allOf\":7,\"minLength\":\"x\"}", "\"v\"", NULL, NULL },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct schema_fault fault;
    const struct json *s = json_parse(&a, str_z(rows[i].schema), 50, NULL), *v = json_parse(&a, str_z(rows[i].value), 50, NULL);
    t_row = rows[i].name;
    CHECK(s && v);
    CHECK_INT(schema_check(s, v, &fault), rows[i].pointer == NULL);
    CHECK_INT(schema_check(s, v, NULL), rows[i].pointer == NULL);
    CHECK_Z(fault.pointer, rows[i].pointer ? rows[i].pointer : "");
    CHECK_Z(fault.words, rows[i].words ? rows[i].words : "");
    arena_free(&a);
  }
}

/* Deep values, long keys: the pointer is cut at a whole step, nothing overflows. */
static void t_long_pointers(void)
{
  struct arena a = ARENA(1 << 20);
  struct strbuf text = STRBUF(1 << 16);
  struct schema_fault fault;
  for(int i = 0; i < 30; i++) strbuf_lit(&text, "{\"0123456789/~012345678901234567890123456789012345678901234567890123456789\":");
  strbuf_lit(&text, "1");
  for(int i = 0; i < 30; i++) strbuf_addc(&text, '}');
  const struct json *s = json_parse(&a, S("{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#\"}}"), 10, NULL);
  CHECK(!schema_check(s, json_parse(&a, strbuf_str(&text), 50, NULL), &fault));
  CHECK_Z(fault.words, "must be an object");
  CHECK(strlen(fault.pointer) > 100 && strlen(fault.pointer) < sizeof fault.pointer);
  strbuf_free(&text);
  arena_free(&a);
}

static void t_types(void)
{
  static const struct { const char *schema; unsigned bits; } types[] = {
    { "{\"type\":\"string\"}", SCHEMA_STRING }, { "{\"type\":[\"integer\",\"null\"]}", SCHEMA_NUMBER | SCHEMA_INTEGER | SCHEMA_NULL },
    { "{\"type\":[\"integer\",\"number\"]}", SCHEMA_NUMBER }, { "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\"}]}", SCHEMA_STRING | SCHEMA_ARRAY },
    { "{\"anyOf\":[{\"type\":\"string\"},{}]}", 0 }, { "{\"enum\":[\"a\",true]}", SCHEMA_STRING | SCHEMA_BOOL }, { "{\"const\":1}", SCHEMA_NUMBER },
    { "{\"properties\":{}}", SCHEMA_OBJECT }, { "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"boolean\"}}}", SCHEMA_BOOL },
    { "{\"allOf\":[{\"description\":\"x\"},{\"type\":\"object\"}]}", SCHEMA_OBJECT }, { "{}", 0 }, { "true", 0 },
  };
  for(size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    struct arena a = ARENA(1 << 16);
    const struct json *s = json_parse(&a, str_z(types[i].schema), 20, NULL);
    t_row = types[i].schema;
    CHECK_INT(schema_types(s, s), types[i].bits);
    arena_free(&a);
  }
}

/* Forms that refer to each other: 16 ways in each of 7 steps are 268 million ways in 2 KB. The bound lets such a value pass. */
static void t_types_bound(void)
{
  struct arena a = ARENA(1 << 20);
  struct strbuf text = STRBUF(1 << 20);
  long work = 100;
  strbuf_lit(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
  for(int i = 0; i < 7; i++) {
    strbuf_fmt(&text, "\"d%d\":{\"allOf\":[", i);
    for(int k = 0; k < 16; k++) strbuf_fmt(&text, "%s{\"$ref\":\"#/$defs/d%d\"}", k ? "," : "", i + 1);
    strbuf_lit(&text, "]},");
  }
  strbuf_lit(&text, "\"d7\":{}}}");
  const struct json *s = json_parse(&a, strbuf_str(&text), 20, NULL);
  CHECK(s != NULL);
  CHECK_INT(schema_types(s, s), 0);
  CHECK_INT(schema_types_within(s, s, &work), 0);
  CHECK(work < 0 && work > -200);
  strbuf_free(&text);
  arena_free(&a);
}

T_MAIN(T(t_types_bound), T(t_rows), T(t_long_pointers), T(t_types))
