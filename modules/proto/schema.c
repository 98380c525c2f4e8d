#include "proto/schema.h"

#include <stdarg.h>
#include <stdio.h>

struct schema_place { /* the way from the value to the part that is looked at */
  const struct schema_place *up;
  struct str key;
  int index;              /* with an empty key.p */
};

struct schema_run {
  const struct json *root;
  struct schema_fault *fault;
  long work;
  int depth;
};

static bool schema_node(struct schema_run *r, const struct json *s, const struct json *v, const struct schema_place *at);

const struct json *schema_member(const struct json *object, struct str key)
{
  const struct json *found = NULL;
  if(!json_is(object, JSON_OBJECT)) return NULL;
  for json_each(m, object)
    if(str_eq(m->key, key)) found = m;
  return found;
}

/* ---- $ref ---- */

/* One step of a pointer, its ~0 and ~1 undone; false: too long for a name in a schema. */
static bool schema_step(struct str step, char *out, size_t cap, struct str *key)
{
  size_t n = 0;
  for(size_t i = 0; i < step.n; i++, n++) {
    if(n == cap) return false;
    bool tilde = step.p[i] == '~' && i + 1 < step.n && (step.p[i + 1] == '0' || step.p[i + 1] == '1');
    out[n] = tilde ? (step.p[++i] == '0' ? '~' : '/') : step.p[i];
  }
  *key = str_of(out, n);
  return true;
}

static const struct json *schema_point(const struct json *root, struct str ref)
{
  char name[256];
  struct str key;
  int64_t index;
  if(!ref.n || ref.p[0] != '#') return NULL;
  ref = str_sub(ref, 1, ref.n);
  while(root && ref.n) {
    if(ref.p[0] != '/') return NULL;
    ref = str_sub(ref, 1, ref.n);
    ptrdiff_t end = str_chr(ref, '/');
    struct str step = end < 0 ? ref : str_sub(ref, 0, (size_t)end);
    ref = str_sub(ref, step.n, ref.n);
    if(!schema_step(step, name, sizeof name, &key)) return NULL;
    if(json_is(root, JSON_ARRAY)) root = str_int(key, &index) && index >= 0 && index < root->count ? json_at(root, (int)index) : NULL;
    else root = schema_member(root, key);
  }
  return root;
}

const struct json *schema_deref(const struct json *root, const struct json *node)
{
  for(int i = 0; i < 16; i++) {
    const struct json *ref = json_get(node, "$ref");
    if(!json_is(ref, JSON_STRING)) return node;
    node = schema_point(root, ref->text);
  }
  return NULL; /* refers in a circle */
}

/* ---- types ---- */

static unsigned schema_type_bit(struct str name)
{
  static const struct { const char *name; unsigned bits; } types[] = {
    { "string", SCHEMA_STRING }, { "number", SCHEMA_NUMBER }, { "integer", SCHEMA_NUMBER | SCHEMA_INTEGER }, { "boolean", SCHEMA_BOOL },
    { "array", SCHEMA_ARRAY }, { "object", SCHEMA_OBJECT }, { "null", SCHEMA_NULL },
  };
  for(size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if(str_eq(name, str_z(types[i].name))) return types[i].bits;
  return 0;
}

/* What `type` says; a number beside an integer is a number. */
static unsigned schema_type_word(const struct json *type)
{
  unsigned all = 0;
  bool number = false;
  if(json_is(type, JSON_STRING)) return schema_type_bit(type->text);
  if(!json_is(type, JSON_ARRAY)) return 0;
  for json_each(t, type) {
    all |= schema_type_bit(json_str(t));
    number |= str_eq(json_str(t), S("number"));
  }
  return number ? all & ~(unsigned)SCHEMA_INTEGER : all;
}

/* *work bounds all steps together: forms of forms that refer to each other are few bytes and many ways. Beyond it: everything. */
static unsigned schema_types_in(const struct json *root, const struct json *node, int depth, long *work)
{
  static const char *const any[] = { "anyOf", "oneOf" };
  if(--*work < 0 || !(node = schema_deref(root, node)) || depth > 6) return 0;
  unsigned bits = schema_type_word(json_get(node, "type")), seen = 0;
  if(bits && json_true(json_get(node, "nullable"))) bits |= SCHEMA_NULL;
  for(int i = 0; !bits && i < 2; i++) {
    bool whole = true;
    int n = 0;
    for json_each(s, json_get(node, any[i])) {
      unsigned one = schema_types_in(root, s, depth + 1, work);
      if(!one || ++n > 64) return 0; /* one branch allows everything */
      whole &= !(one & SCHEMA_NUMBER) || (one & SCHEMA_INTEGER);
      bits |= one;
    }
    if(!whole) bits &= ~(unsigned)SCHEMA_INTEGER;
  }
  if(!bits) {
    int n = 0;
    for json_each(s, json_get(node, "allOf"))
      if(n++ < 16 && !bits) bits = schema_types_in(root, s, depth + 1, work);
  }
  if(bits) return bits;
  for json_each(v, json_get(node, "enum")) seen |= 1u << v->type;
  const struct json *only = json_get(node, "const");
  if(only) seen |= 1u << only->type;
  if(seen & SCHEMA_BOOL) seen |= SCHEMA_BOOL;
  if(!seen && json_is(json_get(node, "properties"), JSON_OBJECT)) return SCHEMA_OBJECT;
  return seen;
}

unsigned schema_types(const struct json *root, const struct json *node)
{
  long work = SCHEMA_TYPES_WORK;
  return schema_types_in(root, node, 0, &work);
}

unsigned schema_types_within(const struct json *root, const struct json *node, long *work)
{
  long most = *work < SCHEMA_TYPES_WORK ? *work : SCHEMA_TYPES_WORK, left = most;
  unsigned types = schema_types_in(root, node, 0, &left);
  *work -= most - left;
  return types;
}

/* ---- faults ---- */

static size_t schema_path(const struct schema_place *at, char *out, size_t cap)
{
  char step[64];
  if(!at) return 0;
  size_t n = schema_path(at->up, out, cap), k = 0;
  if(!at->key.p) {
    snprintf(step, sizeof step, "/%d", at->index);
    k = strlen(step);
  } else {
    step[k++] = '/';
    for(size_t i = 0; i < at->key.n && k + 3 < sizeof step; i++) {
      char c = at->key.p[i];
      if(c == '~' || c == '/') step[k++] = '~', step[k++] = c == '~' ? '0' : '1';
      else step[k++] = (unsigned char)c < 0x20 ? '_' : c;
    }
  }
  if(n + k >= cap) return n; /* the steps that fit */
  memcpy(out + n, step, k);
  return n + k;
}

__attribute__((format(printf, 3, 4)))
static bool schema_no(struct schema_run *r, const struct schema_place *at, const char *fmt, ...)
{
  char words[300];
  if(!r->fault) return false;
  char path[sizeof r->fault->pointer];
  str_copy(r->fault->pointer, sizeof r->fault->pointer, str_of(path, schema_path(at, path, sizeof path)));
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(words, sizeof words, fmt, ap);
  va_end(ap);
  str_copy(r->fault->words, sizeof r->fault->words, str_z(words));
  return false;
}

/* ---- equality ---- */

static bool schema_same(struct schema_run *r, const struct json *a, const struct json *b, int depth)
{
  double x, y;
  if(--r->work < 0 || depth > SCHEMA_DEPTH) return true;
  if(a->type != b->type) return false;
  switch(a->type) {
  case JSON_NUMBER: return str_eq(a->text, b->text) || (json_number(a, &x) && json_number(b, &y) && x - y == 0);
  case JSON_STRING: return str_eq(a->text, b->text);
  case JSON_ARRAY:
    if(a->count != b->count) return false;
    for(const struct json *m = a->child, *o = b->child; m && o; m = m->next, o = o->next)
      if(!schema_same(r, m, o, depth + 1)) return false;
    return true;
  case JSON_OBJECT:
    if(a->count != b->count) return false;
    for json_each(m, a) {
      const struct json *o = schema_member(b, m->key);
      r->work -= b->count;
      if(r->work < 0) return true;
      if(!o || !schema_same(r, m, o, depth + 1)) return false;
    }
    return true;
  default: return true;
  }
}

/* ---- keywords ---- */

static bool schema_whole(const struct json *v)
{
  double d;
  if(str_chr(v->text, '.') < 0 && str_chr(v->text, 'e') < 0 && str_chr(v->text, 'E') < 0) return true;
  return json_number(v, &d) && (d >= 9e15 || d <= -9e15 || d - (double)(int64_t)d == 0);
}

static bool schema_is_type(unsigned bits, const struct json *v)
{
  if(!(bits & 1u << v->type)) return false;
  return v->type != JSON_NUMBER || !(bits & SCHEMA_INTEGER) || schema_whole(v);
}

static const char *schema_type_words(unsigned bits)
{
  switch(bits) {
  case SCHEMA_STRING: return "must be a string";
  case SCHEMA_NUMBER: return "must be a number";
  case SCHEMA_NUMBER | SCHEMA_INTEGER: return "must be a whole number";
  case SCHEMA_BOOL: return "must be true or false";
  case SCHEMA_ARRAY: return "must be an array";
  case SCHEMA_OBJECT: return "must be an object";
  case SCHEMA_NULL: return "must be null";
  default: return "has a type that is not allowed";
  }
}

static bool schema_values(struct schema_run *r, const struct json *s, const struct json *v, const struct schema_place *at)
{
  unsigned bits = schema_type_word(json_get(s, "type"));
  if(bits && json_true(json_get(s, "nullable"))) bits |= SCHEMA_NULL;
  if(bits && !schema_is_type(bits, v)) return schema_no(r, at, "%s", schema_type_words(bits));
  const struct json *only = json_get(s, "const"), *list = json_get(s, "enum");
  if(only && !schema_same(r, only, v, 0)) return schema_no(r, at, "is not the one value allowed");
  if(!json_is(list, JSON_ARRAY)) return true;
  for json_each(e, list)
    if(schema_same(r, e, v, 0)) return true;
  return schema_no(r, at, "is none of the %d values allowed", list->count);
}

static size_t schema_length(struct str s)
{
  size_t n = 0;
  for(size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
  return n;
}

/* min and max name keywords that bound n, of which `what` are counted. */
static bool schema_count(struct schema_run *r, const struct json *s, const char *min, const char *max, double n, const char *what,
                         const struct schema_place *at)
{
  double limit;
  if(json_is(json_get(s, min), JSON_NUMBER) && json_number(json_get(s, min), &limit) && n < limit)
    return schema_no(r, at, "must have at least %.0f %s", limit, what);
  if(json_is(json_get(s, max), JSON_NUMBER) && json_number(json_get(s, max), &limit) && n > limit)
    return schema_no(r, at, "must have at most %.0f %s", limit, what);
  return true;
}

static bool schema_number(struct schema_run *r, const struct json *s, const struct json *v, const struct schema_place *at)
{
  double n, limit;
  if(!json_number(v, &n)) return true;
  const struct json *low = json_get(s, "minimum"), *high = json_get(s, "maximum");
  const struct json *above = json_get(s, "exclusiveMinimum"), *below = json_get(s, "exclusiveMaximum");
  bool not_low = json_is(above, JSON_TRUE), not_high = json_is(below, JSON_TRUE); /* the form of draft 4 */
  if(json_is(low, JSON_NUMBER) && json_number(low, &limit) && (n < limit || (not_low && n <= limit)))
    return schema_no(r, at, "must be %s %.10g", not_low ? "greater than" : "at least", limit);
  if(json_is(high, JSON_NUMBER) && json_number(high, &limit) && (n > limit || (not_high && n >= limit)))
    return schema_no(r, at, "must be %s %.10g", not_high ? "less than" : "at most", limit);
  if(json_is(above, JSON_NUMBER) && json_number(above, &limit) && n <= limit) return schema_no(r, at, "must be greater than %.10g", limit);
  if(json_is(below, JSON_NUMBER) && json_number(below, &limit) && n >= limit) return schema_no(r, at, "must be less than %.10g", limit);
  return true;
}

static bool schema_object(struct schema_run *r, const struct json *s, const struct json *v, const struct schema_place *at)
{
  const struct json *known = json_get(s, "properties"), *rest = json_get(s, "additionalProperties");
  if(!schema_count(r, s, "minProperties", "maxProperties", v->count, "members", at)) return false;
  for json_each(need, json_get(s, "required")) {
    if((r->work -= v->count) < 0) return true;
    if(json_is(need, JSON_STRING) && !schema_member(v, need->text))
      return schema_no(r, at, "lacks the required member '%.*s'", (int)(need->text.n < 100 ? need->text.n : 100), need->text.p);
  }
  if(json_get(s, "patternProperties")) rest = NULL; /* may allow what properties does not name */
  if(!known && !rest) return true;
  for json_each(m, v) {
    struct schema_place here = { at, m->key.p ? m->key : S(""), 0 };
    if((r->work -= known ? known->count : 0) < 0) return true;
    const struct json *sub = schema_member(known, m->key);
    if(sub ? !schema_node(r, sub, m, &here) : json_is(rest, JSON_OBJECT) && !schema_node(r, rest, m, &here)) return false;
    if(!sub && json_is(rest, JSON_FALSE)) return schema_no(r, &here, "is not allowed: the schema does not name it");
  }
  return true;
}

static bool schema_array(struct schema_run *r, const struct json *s, const struct json *v, const struct schema_place *at)
{
  const struct json *items = json_get(s, "items"), *rest = json_get(s, "additionalItems"), *first = json_get(s, "prefixItems");
  if(!schema_count(r, s, "minItems", "maxItems", v->count, "items", at)) return false;
  if(json_is(items, JSON_ARRAY)) first = items, items = rest; /* the form before 2020-12 */
  const struct json *one = json_is(first, JSON_ARRAY) ? first->child : NULL;
  int i = 0;
  for json_each(m, v) {
    struct schema_place here = { at, STR_NONE, i++ };
    if(one ? !schema_node(r, one, m, &here) : items && !schema_node(r, items, m, &here)) return false;
    if(one) one = one->next;
  }
  return true;
}

static bool schema_choice(struct schema_run *r, const struct json *list, const struct json *v, const struct schema_place *at)
{
  struct schema_fault *fault = r->fault, scratch;
  if(!json_is(list, JSON_ARRAY) || !list->count) return true;
  r->fault = list->count == 1 ? fault : &scratch;
  bool fits = false;
  for(const struct json *s = list->child; s && !fits; s = s->next) fits = schema_node(r, s, v, at);
  r->fault = fault;
  return fits || (list->count > 1 ? schema_no(r, at, "fits none of the %d forms allowed", list->count) : false);
}

static bool schema_node(struct schema_run *r, const struct json *s, const struct json *v, const struct schema_place *at)
{
  if(json_is(s, JSON_FALSE)) return schema_no(r, at, "is not allowed");
  if(!json_is(s, JSON_OBJECT) || (r->work -= 1 + s->count) < 0 || r->depth >= SCHEMA_DEPTH) return true;
  r->depth++;
  const struct json *to = schema_deref(r->root, s);
  bool ok = to == s || !to || schema_node(r, to, v, at); /* keywords beside $ref count as well */
  ok = ok && schema_values(r, s, v, at);
  if(ok && v->type == JSON_STRING && (json_get(s, "minLength") || json_get(s, "maxLength")))
    ok = schema_count(r, s, "minLength", "maxLength", (double)schema_length(v->text), "characters", at);
  if(ok && v->type == JSON_NUMBER) ok = schema_number(r, s, v, at);
  if(ok && v->type == JSON_OBJECT) ok = schema_object(r, s, v, at);
  if(ok && v->type == JSON_ARRAY) ok = schema_array(r, s, v, at);
  if(ok) {
    const struct json *all = json_get(s, "allOf");
    for(const struct json *m = json_is(all, JSON_ARRAY) ? all->child : NULL; m && ok; m = m->next) ok = schema_node(r, m, v, at);
  }
  ok = ok && schema_choice(r, json_get(s, "anyOf"), v, at) && schema_choice(r, json_get(s, "oneOf"), v, at);
  r->depth--;
  return ok;
}

bool schema_check(const struct json *schema, const struct json *value, struct schema_fault *fault)
{
  struct schema_run r = { schema, fault, SCHEMA_WORK, 0 };
  if(fault) *fault = (struct schema_fault){ "", "" };
  if(!value) return schema_no(&r, NULL, "is missing");
  return schema_node(&r, schema, value, NULL);
}
