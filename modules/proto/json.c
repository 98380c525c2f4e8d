#include "proto/json.h"

#include <stdlib.h>

struct json_reader {
  struct arena *a;
  const unsigned char *p, *end;
  const char *expected; /* set at the first trouble */
  bool nomem, halves;
  int depth;
};

static struct json *json_value(struct json_reader *r);

static struct json *json_bad(struct json_reader *r, const char *expected)
{
  if(!r->expected && !r->nomem) r->expected = expected;
  return NULL;
}

static void json_blank(struct json_reader *r)
{
  while(r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t')) r->p++;
}

static struct json *json_node(struct json_reader *r, enum json_type t)
{
  struct json *n = arena_alloc(r->a, sizeof *n);
  if(n) n->type = t;
  else r->nomem = true;
  return n;
}

/* Length of a valid UTF-8 sequence of two or more bytes at p, 0 if it is none. */
static int json_utf8(const unsigned char *p, const unsigned char *end)
{
  int n = *p >= 0xf0 && *p <= 0xf4 ? 4 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xc2 && *p < 0xe0 ? 2 : 0;
  if(n == 0 || end - p < n) return 0;
  for(int i = 1; i < n; i++)
    if((p[i] & 0xc0) != 0x80) return 0;
  bool overlong = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90);
  bool outside = (*p == 0xed && p[1] > 0x9f) || (*p == 0xf4 && p[1] > 0x8f);
  return overlong || outside ? 0 : n;
}

static int json_hex4(const unsigned char *p, const unsigned char *end)
{
  int v = 0;
  if(end - p < 4) return -1;
  for(int i = 0; i < 4; i++) {
    int c = p[i], d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if(d < 0) return -1;
    v = v * 16 + d;
  }
  return v;
}

static char *json_put(char *o, unsigned cp)
{
  if(cp < 0x80) {
    *o++ = (char)cp;
  } else if(cp < 0x800) {
    *o++ = (char)(0xc0 | cp >> 6);
    *o++ = (char)(0x80 | (cp & 63));
  } else if(cp < 0x10000) {
    *o++ = (char)(0xe0 | cp >> 12);
    *o++ = (char)(0x80 | (cp >> 6 & 63));
    *o++ = (char)(0x80 | (cp & 63));
  } else {
    *o++ = (char)(0xf0 | cp >> 18);
    *o++ = (char)(0x80 | (cp >> 12 & 63));
    *o++ = (char)(0x80 | (cp >> 6 & 63));
    *o++ = (char)(0x80 | (cp & 63));
  }
  return o;
}

/* \uXXXX behind r->p (which stands on 'u'); joins a pair, an unpaired half is U+FFFD. */
static char *json_unicode(struct json_reader *r, char *o)
{
  int v = json_hex4(r->p + 1, r->end);
  if(v < 0) {
    json_bad(r, "four hex digits");
    return NULL;
  }
  r->p += 5;
  if(v >= 0xd800 && v < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
    int low = json_hex4(r->p + 2, r->end);
    if(low >= 0xdc00 && low < 0xe000) {
      r->p += 6;
      return json_put(o, 0x10000u + ((unsigned)(v - 0xd800) << 10) + (unsigned)(low - 0xdc00));
    }
  }
  return json_put(o, v >= 0xd800 && v < 0xe000 && !r->halves ? 0xfffdu : (unsigned)v);
}

/* Checks the text at r->p (behind its quote); true: *out borrows it, false with escapes set: it must be decoded. */
static bool json_scan(struct json_reader *r, const unsigned char **close, bool *escapes)
{
  const unsigned char *p = r->p;
  *escapes = false;
  while(p < r->end && *p != '"') {
    if(*p >= 0x80) {
      int n = json_utf8(p, r->end);
      if(!n) break;
      p += n;
    } else if(*p == '\\' && r->end - p >= 2) {
      *escapes = true;
      p += 2;
    } else if(*p < 0x20) {
      break;
    } else {
      p++;
    }
  }
  *close = p;
  if(p < r->end && *p == '"') return true;
  r->p = p < r->end ? p : r->end;
  json_bad(r, p >= r->end ? "the end of the string" : *p < 0x20 ? "an escape instead of a control character" : "valid UTF-8");
  return false;
}

static bool json_text(struct json_reader *r, struct str *out)
{
  const unsigned char *close;
  bool escapes;
  r->p++; /* the quote */
  if(!json_scan(r, &close, &escapes)) return false;
  if(!escapes) {
    *out = str_of((const char *)r->p, (size_t)(close - r->p));
    r->p = close + 1;
    return true;
  }
  char *start = arena_alloc(r->a, (size_t)(close - r->p) + 1), *o = start; /* decoded is never longer than written */
  if(!start) {
    r->nomem = true;
    return false;
  }
  while(r->p < close) {
    if(*r->p != '\\') {
      *o++ = (char)*r->p++;
      continue;
    }
    r->p++;
    switch(*r->p) {
    case '"': case '\\': case '/': *o++ = (char)*r->p++; break;
    case 'b': *o++ = '\b'; r->p++; break;
    case 'f': *o++ = '\f'; r->p++; break;
    case 'n': *o++ = '\n'; r->p++; break;
    case 'r': *o++ = '\r'; r->p++; break;
    case 't': *o++ = '\t'; r->p++; break;
    case 'u':
      if(!(o = json_unicode(r, o))) return false;
      break;
    default: return json_bad(r, "an escape (one of \"\\/bfnrtu)") != NULL;
    }
  }
  *out = str_of(start, (size_t)(o - start));
  r->p = close + 1;
  return true;
}

static struct json *json_string(struct json_reader *r)
{
  struct json *n = json_node(r, JSON_STRING);
  return n && json_text(r, &n->text) ? n : NULL;
}

static bool json_digits(struct json_reader *r)
{
  const unsigned char *from = r->p;
  while(r->p < r->end && *r->p >= '0' && *r->p <= '9') r->p++;
  return r->p > from;
}

static struct json *json_num(struct json_reader *r)
{
  const unsigned char *from = r->p;
  if(*r->p == '-') r->p++;
  if(r->p < r->end && *r->p == '0') {
    r->p++;
    if(r->p < r->end && *r->p >= '0' && *r->p <= '9') return json_bad(r, "no digit after a leading zero");
  } else if(!json_digits(r)) {
    return json_bad(r, "a digit");
  }
  if(r->p < r->end && *r->p == '.') {
    r->p++;
    if(!json_digits(r)) return json_bad(r, "a digit");
  }
  if(r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
    r->p++;
    if(r->p < r->end && (*r->p == '+' || *r->p == '-')) r->p++;
    if(!json_digits(r)) return json_bad(r, "a digit");
  }
  struct json *n = json_node(r, JSON_NUMBER);
  if(n) n->text = str_of((const char *)from, (size_t)(r->p - from));
  return n;
}

static struct json *json_word(struct json_reader *r, struct str word, enum json_type t)
{
  if(!str_starts(str_of((const char *)r->p, (size_t)(r->end - r->p)), word)) return json_bad(r, "a value");
  r->p += word.n;
  return json_node(r, t);
}

/* Members up to the closing bracket; keys where the container is an object. */
static struct json *json_members(struct json_reader *r, enum json_type t)
{
  struct json *n = json_node(r, t), **end;
  unsigned char close = t == JSON_OBJECT ? '}' : ']';
  if(!n) return NULL;
  if(r->depth-- == 0) return json_bad(r, "less nesting");
  end = &n->child;
  r->p++;
  json_blank(r);
  if(r->p < r->end && *r->p == close) {
    r->p++;
    r->depth++;
    return n;
  }
  for(;;) {
    struct str key = STR_NONE;
    json_blank(r);
    if(t == JSON_OBJECT) {
      if(r->p >= r->end || *r->p != '"') return json_bad(r, n->child ? "a key in quotes" : "a key in quotes or '}'");
      if(!json_text(r, &key)) return NULL;
      json_blank(r);
      if(r->p >= r->end || *r->p != ':') return json_bad(r, "':'");
      r->p++;
      json_blank(r);
    }
    struct json *m = json_value(r);
    if(!m) return NULL;
    m->key = key;
    *end = m;
    end = &m->next;
    n->count++;
    json_blank(r);
    if(r->p < r->end && *r->p == ',') {
      r->p++;
      continue;
    }
    if(r->p >= r->end || *r->p != close) return json_bad(r, t == JSON_OBJECT ? "',' or '}'" : "',' or ']'");
    r->p++;
    r->depth++;
    return n;
  }
}

static struct json *json_value(struct json_reader *r)
{
  if(r->p >= r->end) return json_bad(r, "a value");
  switch(*r->p) {
  case '{': return json_members(r, JSON_OBJECT);
  case '[': return json_members(r, JSON_ARRAY);
  case '"': return json_string(r);
  case 't': return json_word(r, S("true"), JSON_TRUE);
  case 'f': return json_word(r, S("false"), JSON_FALSE);
  case 'n': return json_word(r, S("null"), JSON_NULL);
  default: return *r->p == '-' || (*r->p >= '0' && *r->p <= '9') ? json_num(r) : json_bad(r, "a value");
  }
}

static void json_place(struct json_error *err, struct str text, const unsigned char *at, const char *expected)
{
  *err = (struct json_error){ (size_t)((const char *)at - text.p), 1, 1, expected };
  for(size_t i = 0; i < err->offset; i++) {
    err->column++;
    if(text.p[i] == '\n') err->line++, err->column = 1;
  }
}

static const struct json *json_read(struct arena *a, struct str text, int max_depth, bool halves, struct json_error *err)
{
  const unsigned char *start = (const unsigned char *)(text.p ? text.p : "");
  struct json_reader r = { a, start, start + text.n, NULL, false, halves, max_depth };
  if(str_starts(text, S("\xef\xbb\xbf"))) r.p += 3;
  json_blank(&r);
  const struct json *n = json_value(&r);
  if(n) json_blank(&r);
  if(n && r.p != r.end) n = json_bad(&r, "the end");
  if(!n && err) json_place(err, str_of((const char *)start, text.n), r.p, r.nomem ? NULL : r.expected);
  return n;
}

const struct json *json_parse(struct arena *a, struct str text, int max_depth, struct json_error *err)
{
  return json_read(a, text, max_depth, false, err);
}

const struct json *json_parse_halves(struct arena *a, struct str text, int max_depth, struct json_error *err)
{
  return json_read(a, text, max_depth, true, err);
}

const struct json *json_get(const struct json *n, const char *key)
{
  const struct json *found = NULL;
  struct str k = str_z(key);
  if(!json_is(n, JSON_OBJECT)) return NULL;
  for json_each(m, n)
    if(str_eq(m->key, k)) found = m;
  return found;
}

const struct json *json_at(const struct json *n, int index)
{
  if(!json_is(n, JSON_ARRAY) || index < 0) return NULL;
  const struct json *m = n->child;
  while(m && index-- > 0) m = m->next;
  return m;
}

const struct json *json_path(const struct json *n, const char *dotted)
{
  struct str rest = str_z(dotted);
  while(n && rest.n) {
    struct str part = str_cut(&rest, '.');
    char key[64];
    int64_t index;
    if(json_is(n, JSON_ARRAY)) {
      n = str_int(part, &index) && index < n->count ? json_at(n, (int)index) : NULL;
      continue;
    }
    str_copy(key, sizeof key, part);
    n = json_get(n, key);
  }
  return n;
}

struct str json_str(const struct json *n)
{
  return json_is(n, JSON_STRING) ? n->text : STR_NONE;
}

bool json_number(const struct json *n, double *out)
{
  char copy[64], *end;
  if(!n || (n->type != JSON_NUMBER && n->type != JSON_STRING) || n->text.n == 0 || n->text.n >= sizeof copy) return false;
  for(size_t i = 0; i < n->text.n; i++)
    if(!strchr("+-.eE0123456789", n->text.p[i])) return false; /* no "inf", "nan", hex */
  str_copy(copy, sizeof copy, n->text);
  *out = strtod(copy, &end);
  return end != copy && *end == 0 && *out - *out == 0; /* finite */
}

bool json_int(const struct json *n, int64_t *out)
{
  double d;
  if(!n || (n->type != JSON_NUMBER && n->type != JSON_STRING)) return false;
  if(str_int(n->text, out)) return true;
  if(!json_number(n, &d) || d < -9007199254740992.0 || d > 9007199254740992.0 || d != (double)(int64_t)d)
    return false;
  *out = (int64_t)d;
  return true;
}

bool json_bool(const struct json *n, bool *out)
{
  if(!n) return false;
  bool yes = n->type == JSON_TRUE || (n->type == JSON_STRING && str_ieq(n->text, S("true")));
  bool no = n->type == JSON_FALSE || (n->type == JSON_STRING && str_ieq(n->text, S("false")));
  if(yes || no) *out = yes;
  return yes || no;
}

bool json_true(const struct json *n)
{
  bool b = false;
  double d = 0;
  if(json_bool(n, &b)) return b;
  return json_is(n, JSON_NUMBER) && json_number(n, &d) && d != 0;
}

void json_write(const struct json *n, struct strbuf *out)
{
  switch(n->type) {
  case JSON_NULL: strbuf_lit(out, "null"); return;
  case JSON_FALSE: strbuf_lit(out, "false"); return;
  case JSON_TRUE: strbuf_lit(out, "true"); return;
  case JSON_NUMBER: strbuf_adds(out, n->text); return;
  case JSON_STRING: strbuf_json(out, n->text); return;
  case JSON_ARRAY:
  case JSON_OBJECT: break;
  }
  strbuf_addc(out, n->type == JSON_OBJECT ? '{' : '[');
  for json_each(m, n) {
    if(m != n->child) strbuf_addc(out, ',');
    if(n->type == JSON_OBJECT) {
      strbuf_json(out, m->key);
      strbuf_addc(out, ':');
    }
    json_write(m, out);
  }
  strbuf_addc(out, n->type == JSON_OBJECT ? '}' : ']');
}
