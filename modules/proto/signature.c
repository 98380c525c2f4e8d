#include "proto/signature.h"

#include "proto/schema.h"

enum { SIGNATURE_VALUES = 100, SIGNATURE_DEFAULT = 120, SIGNATURE_LOOKS = 256 };

struct signature_run {
  const struct signature *how;
  const struct json *root;
  struct strbuf *out;
};

static void signature_node(const struct signature_run *r, const struct json *s, int depth);

/* At most max bytes of a description on one line. */
static void signature_words(struct str words, size_t max, struct strbuf *out)
{
  char line[512];
  words = str_trim(words);
  str_copy(line, (max < sizeof line ? max : sizeof line - 1) + 1, words);
  for(char *c = line; *c; c++)
    if((unsigned char)*c < 0x20) *c = ' ';
  strbuf_addz(out, line);
  if(strlen(line) < words.n) strbuf_lit(out, "...");
}

static bool signature_name_is_plain(struct str s)
{
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if(!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i && c >= '0' && c <= '9') || c == '_' || c == '$')) return false;
  }
  return s.n > 0;
}

/* The list mostly names the properties in their order: *next is what may come, then the first SIGNATURE_LOOKS are looked through,
 * not all, or a list as long as the object would cost the product of both. */
static bool signature_is_required(const struct json *list, const struct json **next, struct str name)
{
  int looks = 0;
  if(*next && str_eq(json_str(*next), name)) return *next = (*next)->next, true;
  for json_each(need, list) {
    if(str_eq(json_str(need), name)) return true;
    if(++looks == SIGNATURE_LOOKS) break;
  }
  return false;
}

static void signature_default(const struct json *p, struct strbuf *out)
{
  const struct json *v = json_get(p, "default");
  struct strbuf text = STRBUF(SIGNATURE_DEFAULT);
  if(!v) return;
  json_write(v, &text);
  if(!text.err) {
    strbuf_lit(out, " = ");
    strbuf_adds(out, strbuf_str(&text));
  }
  strbuf_free(&text);
}

static void signature_object(const struct signature_run *r, const struct json *s, int depth)
{
  const struct json *known = json_get(s, "properties"), *rest = json_get(s, "additionalProperties");
  const struct json *needs = json_get(s, "required"), *next = needs ? needs->child : NULL;
  bool lines = depth == 0, any = false;
  int looks = 0;
  strbuf_addc(r->out, '{');
  for json_each(p, json_is(known, JSON_OBJECT) ? known : NULL) {
    struct str words = json_str(json_get(p, "description"));
    bool required = signature_is_required(needs, &next, p->key);
    if(r->out->err) return;
    if(!required && r->how->required_only) continue;
    strbuf_addz(r->out, lines ? "\n  " : any ? ", " : " ");
    if(signature_name_is_plain(p->key)) strbuf_adds(r->out, p->key);
    else strbuf_json(r->out, p->key);
    strbuf_addz(r->out, required ? ": " : "?: ");
    signature_node(r, p, depth + 1);
    signature_default(p, r->out);
    if(lines) strbuf_addc(r->out, ',');
    if(words.n && r->how->words) {
      strbuf_addz(r->out, lines ? " // " : " /* ");
      signature_words(words, r->how->words, r->out);
      if(!lines) strbuf_lit(r->out, " */");
    }
    any = true;
  }
  for json_each(need, needs) {
    if(looks++ == SIGNATURE_LOOKS) break;
    if(!json_is(need, JSON_STRING) || schema_member(known, need->text)) continue;
    strbuf_addz(r->out, lines ? "\n  " : any ? ", " : " ");
    strbuf_json(r->out, need->text);
    strbuf_addz(r->out, lines ? ": any," : ": any");
    any = true;
  }
  if(json_is(rest, JSON_OBJECT) && !r->how->required_only) {
    strbuf_addz(r->out, lines ? "\n  [key: string]: " : any ? ", [key: string]: " : " [key: string]: ");
    signature_node(r, rest, depth + 1);
    any = true;
  }
  if(any) strbuf_addc(r->out, lines ? '\n' : ' ');
  strbuf_addc(r->out, '}');
}

static void signature_values(const struct json *list, struct strbuf *out)
{
  int n = 0;
  for json_each(v, list) {
    if(out->err) return;
    if(n) strbuf_lit(out, " | ");
    if(n++ == SIGNATURE_VALUES) {
      strbuf_lit(out, "...");
      return;
    }
    json_write(v, out);
  }
}

/* The branches of anyOf or oneOf, or the parts of allOf. */
static void signature_list(const struct signature_run *r, const struct json *list, const char *between, int depth)
{
  for json_each(s, list) {
    if(r->out->err) return;
    if(s != list->child) strbuf_addz(r->out, between);
    signature_node(r, s, depth + 1);
  }
}

static void signature_array(const struct signature_run *r, const struct json *s, int depth)
{
  const struct json *items = json_get(s, "items"), *first = json_get(s, "prefixItems");
  if(json_is(items, JSON_ARRAY)) first = items;
  if(json_is(first, JSON_ARRAY) && first->count) {
    strbuf_addc(r->out, '[');
    signature_list(r, first, ", ", depth);
    strbuf_addc(r->out, ']');
    return;
  }
  strbuf_lit(r->out, "array<");
  if(json_is(items, JSON_OBJECT)) signature_node(r, items, depth + 1);
  else strbuf_lit(r->out, "any");
  strbuf_addc(r->out, '>');
}

/* One name of `type`. */
static void signature_type(const struct signature_run *r, const struct json *s, struct str type, int depth)
{
  bool deeper = depth < r->how->depth;
  if(deeper && str_eq(type, S("object")) && (json_get(s, "properties") || json_is(json_get(s, "additionalProperties"), JSON_OBJECT)))
    signature_object(r, s, depth ? depth : 1);
  else if(deeper && str_eq(type, S("array"))) signature_array(r, s, depth);
  else strbuf_adds(r->out, type);
}

static void signature_node(const struct signature_run *r, const struct json *s, int depth)
{
  const struct json *to = schema_deref(r->root, s), *type, *list;
  if(r->out->err) return;
  s = to ? to : s;
  bool deeper = depth < r->how->depth;
  if(json_get(s, "const")) {
    json_write(json_get(s, "const"), r->out);
  } else if(json_is(list = json_get(s, "enum"), JSON_ARRAY) && list->count) {
    signature_values(list, r->out);
  } else if(json_is(type = json_get(s, "type"), JSON_ARRAY) && type->count) {
    for json_each(t, type) {
      if(t != type->child) strbuf_lit(r->out, " | ");
      signature_type(r, s, json_str(t), depth);
    }
  } else if(json_is(type, JSON_STRING) && !(str_eq(type->text, S("object")) && !json_get(s, "properties") && json_get(s, "anyOf"))) {
    signature_type(r, s, type->text, depth);
    if(json_true(json_get(s, "nullable"))) strbuf_lit(r->out, " | null");
  } else if(json_get(s, "properties")) {
    signature_type(r, s, S("object"), depth);
  } else {
    static const struct { const char *word, *between; } lists[] = { { "anyOf", " | " }, { "oneOf", " | " }, { "allOf", " & " } };
    for(size_t i = 0; deeper && i < sizeof lists / sizeof lists[0]; i++) {
      if(!json_is(list = json_get(s, lists[i].word), JSON_ARRAY) || !list->count) continue;
      signature_list(r, list, lists[i].between, depth);
      return;
    }
    strbuf_lit(r->out, "any");
  }
}

void signature_write(const struct signature *how, const struct json *schema, struct strbuf *out)
{
  struct signature_run r = { how, schema, out };
  const struct json *s = schema_deref(schema, schema);
  if(!s || json_get(s, "properties") || !(json_get(s, "anyOf") || json_get(s, "oneOf") || json_get(s, "allOf"))) signature_object(&r, s, 0);
  else signature_node(&r, s, 1);
}
