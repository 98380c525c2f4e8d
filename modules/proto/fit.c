#include "proto/fit.h"

#include "proto/json_fix.h"
#include "proto/schema.h"

enum { FIT_DEPTH = 48, FIT_WORK = 1000000 };

struct fit {
  const struct json *root;
  struct arena *a;
  struct strbuf *out;
  long work;
  int depth;
};

static void fit_node(struct fit *f, const struct json *s, const struct json *v);

/* ---- properties ---- */

static bool fit_alike(struct str a, struct str b)
{
  size_t i = 0, k = 0;
  for(;;) {
    while(i < a.n && (a.p[i] == '_' || a.p[i] == '-')) i++;
    while(k < b.n && (b.p[k] == '_' || b.p[k] == '-')) k++;
    if(i == a.n || k == b.n) return i == a.n && k == b.n;
    if(!str_ieq(str_of(a.p + i++, 1), str_of(b.p + k++, 1))) return false;
  }
}

/* The branches of an object schema that may name properties: itself and those of allOf, anyOf, oneOf. */
typedef const struct json *(*fit_look)(const struct json *properties, struct str name);

static const struct json *fit_search(struct fit *f, const struct json *s, struct str name, fit_look look, int depth)
{
  static const char *const lists[] = { "allOf", "anyOf", "oneOf" };
  if(!(s = schema_deref(f->root, s)) || depth > 6 || f->work < 0) return NULL;
  const struct json *known = json_get(s, "properties");
  f->work -= 4 + s->count + (known ? known->count : 0);
  const struct json *found = look(known, name);
  for(int i = 0; i < 3 && !found; i++)
    for(const struct json *b = json_is(json_get(s, lists[i]), JSON_ARRAY) ? json_get(s, lists[i])->child : NULL; b && !found; b = b->next)
      found = fit_search(f, b, name, look, depth + 1);
  return found;
}

static const struct json *fit_look_alike(const struct json *properties, struct str name)
{
  const struct json *found = NULL;
  if(!json_is(properties, JSON_OBJECT)) return NULL;
  for json_each(p, properties)
    if(str_ieq(p->key, name)) return p;
  for json_each(p, properties) {
    if(!fit_alike(p->key, name)) continue;
    if(found) return NULL; /* two could be meant */
    found = p;
  }
  return found;
}

/* The property a member's name means: exactly this one, else one alike that the value does not have itself. */
static const struct json *fit_property(struct fit *f, const struct json *s, struct str name, const struct json *value)
{
  const struct json *p = fit_search(f, s, name, schema_member, 0);
  if(p || !(p = fit_search(f, s, name, fit_look_alike, 0))) return p;
  if(value && (f->work -= value->count) < 0) return NULL;
  return value && schema_member(value, p->key) ? NULL : p;
}

/* What the schema says of members it does not name; NULL: nothing. */
static const struct json *fit_rest(struct fit *f, const struct json *s)
{
  s = schema_deref(f->root, s);
  return json_get(s, "patternProperties") ? NULL : json_get(s, "additionalProperties");
}

static void fit_object(struct fit *f, const struct json *s, const struct json *v)
{
  const struct json *rest = fit_rest(f, s);
  bool first = true;
  strbuf_addc(f->out, '{');
  for json_each(m, v) {
    const struct json *p = f->work < 0 ? NULL : fit_property(f, s, m->key, v);
    if(!p && json_is(rest, JSON_FALSE) && f->work >= 0) continue;
    if(!first) strbuf_addc(f->out, ',');
    first = false;
    strbuf_json(f->out, p ? p->key : m->key);
    strbuf_addc(f->out, ':');
    fit_node(f, p ? p : rest, m);
  }
  strbuf_addc(f->out, '}');
}

static void fit_array(struct fit *f, const struct json *s, const struct json *v)
{
  s = schema_deref(f->root, s);
  const struct json *items = json_get(s, "items"), *one = json_get(s, "prefixItems");
  one = json_is(one, JSON_ARRAY) ? one->child : NULL;
  if(json_is(items, JSON_ARRAY)) one = items->child, items = json_get(s, "additionalItems");
  strbuf_addc(f->out, '[');
  for json_each(m, v) {
    if(m != v->child) strbuf_addc(f->out, ',');
    fit_node(f, one ? one : items, m);
    if(one) one = one->next;
  }
  strbuf_addc(f->out, ']');
}

/* ---- scalars ---- */

static void fit_as_text(struct fit *f, const struct json *v)
{
  struct strbuf text = STRBUF(f->out->max);
  json_write(v, &text);
  if(text.err) f->out->err = f->out->err ? f->out->err : text.err;
  strbuf_json(f->out, strbuf_str(&text));
  strbuf_free(&text);
}

/* True if s is a number as JSON writes them. */
static bool fit_is_number(struct str s)
{
  struct arena a = ARENA(4096);
  bool yes = s.n && s.n < 512 && json_is(json_parse(&a, s, 1, NULL), JSON_NUMBER);
  arena_free(&a);
  return yes;
}

/* A number, or a text that is one; false: none, or one with a fraction where whole ones are asked for. */
static bool fit_number(const struct json *v, bool whole, struct strbuf *out)
{
  struct json trimmed = *v;
  int64_t i;
  double d;
  trimmed.text = str_trim(v->text);
  bool plain = true;
  for(size_t k = 0; k < trimmed.text.n; k++) plain &= !strchr(".eE", trimmed.text.p[k]);
  if((plain || !whole) && fit_is_number(trimmed.text)) {
    strbuf_adds(out, trimmed.text); /* as it was written */
    return true;
  }
  if(json_int(&trimmed, &i)) {
    strbuf_int(out, i);
    return true;
  }
  if(whole || !json_number(&trimmed, &d)) return false;
  strbuf_fmt(out, "%.17g", d);
  return true;
}

/* A text as what else the types allow; false: it is nothing of these. */
static bool fit_text(struct fit *f, unsigned types, const struct json *s, const struct json *v)
{
  const struct json *inner;
  struct str text = str_trim(v->text);
  bool yes;
  struct json trimmed = *v;
  trimmed.text = text;
  if(types & SCHEMA_NUMBER && fit_number(v, types & SCHEMA_INTEGER, f->out)) return true;
  if(types & SCHEMA_BOOL && json_bool(&trimmed, &yes)) {
    strbuf_addz(f->out, yes ? "true" : "false");
    return true;
  }
  if(types & SCHEMA_NULL && str_ieq(text, S("null"))) {
    strbuf_lit(f->out, "null");
    return true;
  }
  if(!(types & (SCHEMA_OBJECT | SCHEMA_ARRAY)) || !text.n || (text.p[0] != '{' && text.p[0] != '[')) return false;
  enum q_status st = json_fix(f->a, text, &inner, NULL);
  if(st == Q_NOMEM) f->out->err = f->out->err ? f->out->err : Q_NOMEM;
  if(st || !(types & 1u << inner->type)) return false;
  fit_node(f, s, inner);
  return true;
}

static bool fit_required(struct fit *f, const struct json *s, const struct json *v)
{
  for json_each(need, json_get(s, "required"))
    if((f->work -= v->count) < 0 || (!schema_member(v, json_str(need)) && !fit_look_alike(v, json_str(need)))) return false;
  return true;
}

/* The branch of anyOf or oneOf that is to shape an object or array: the first that has all it requires, else the first of its type. */
static const struct json *fit_branch(struct fit *f, const struct json *s, const struct json *v)
{
  static const char *const lists[] = { "anyOf", "oneOf" };
  const struct json *typed = NULL;
  unsigned types;
  for(int i = 0; i < 2; i++) {
    const struct json *list = json_get(s, lists[i]);
    if(!json_is(list, JSON_ARRAY) || f->depth > 8 || list->count > 32) continue;
    for json_each(b, list) {
      const struct json *d = schema_deref(f->root, b);
      if(!d || ((types = schema_types_within(f->root, d, &f->work)) && !(types & 1u << v->type))) continue;
      if(!typed) typed = d;
      if(v->type == JSON_OBJECT && json_get(d, "properties") && fit_required(f, d, v)) return d;
    }
  }
  return typed;
}

static void fit_node(struct fit *f, const struct json *s, const struct json *v)
{
  s = schema_deref(f->root, s);
  if(f->out->err) return;
  if(!json_is(s, JSON_OBJECT) || --f->work < 0 || f->depth >= FIT_DEPTH) {
    json_write(v, f->out);
    return;
  }
  f->depth++;
  unsigned types = schema_types_within(f->root, s, &f->work);
  bool fits = !types || types & 1u << v->type;
  bool wrap = !fits && types & SCHEMA_ARRAY && v->type != JSON_NULL;
  if(v->type == JSON_NUMBER && fits && types & SCHEMA_INTEGER) {
    if(!fit_number(v, true, f->out)) json_write(v, f->out);
  } else if(fits && (v->type == JSON_OBJECT || v->type == JSON_ARRAY)) {
    const struct json *b = fit_branch(f, s, v);
    if(v->type == JSON_OBJECT) fit_object(f, b && !json_get(s, "properties") ? b : s, v);
    else fit_array(f, b && !json_get(s, "items") ? b : s, v);
  } else if(fits) {
    json_write(v, f->out);
  } else if(v->type == JSON_STRING && fit_text(f, types, s, v)) {
    /* written */
  } else if(types & SCHEMA_STRING && v->type != JSON_NULL) {
    fit_as_text(f, v);
  } else if(wrap) {
    struct json only = { .type = JSON_ARRAY, .count = 1 }, item = *v;
    item.next = NULL;
    only.child = &item;
    const struct json *b = fit_branch(f, s, &only);
    fit_array(f, b && !json_get(s, "items") ? b : s, &only);
  } else {
    json_write(v, f->out);
  }
  f->depth--;
}

void fit_value(const struct json *schema, const struct json *value, struct arena *a, struct strbuf *out)
{
  struct fit f = { schema, a, out, FIT_WORK, 0 };
  fit_node(&f, schema, value);
}

/* ---- raw texts ---- */

void fit_raw(const struct json *schema, struct str property, struct str raw, struct strbuf *out)
{
  struct arena a = ARENA(64 * 1024 * 1024);
  struct fit f = { schema, &a, out, FIT_WORK, 0 };
  const struct json *p = fit_property(&f, schema, property, NULL), *v = NULL;
  struct json as_written = { .type = JSON_STRING, .text = raw };
  unsigned types = p ? schema_types(schema, p) : 0;
  struct str text = str_trim(raw);
  bool as_text = types & SCHEMA_STRING && !(types & SCHEMA_NULL && str_eq(text, S("null")));
  struct json_error e = { .expected = "" };
  if(!as_text) v = json_parse(&a, text, JSON_FIX_DEPTH, &e);
  if(!e.expected && !out->err) out->err = Q_NOMEM;
  if(!v || v->type == JSON_STRING || (types && !(types & 1u << v->type))) v = &as_written;
  fit_node(&f, p, v);
  arena_free(&a);
}
