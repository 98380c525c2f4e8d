#include "proto/tag.h"

/* A reader that remembers whether it stopped because the text ended: then more text may still help. */
struct tag_reader {
  struct str s;
  size_t at;
};

static bool tag_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool tag_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':' || c == '+';
}

static bool tag_end(const struct tag_reader *r) { return r->at >= r->s.n; }
static char tag_peek(const struct tag_reader *r) { return r->s.p[r->at]; }
static struct str tag_rest(const struct tag_reader *r) { return str_of(r->s.p + r->at, r->s.n - r->at); }

static void tag_skip(struct tag_reader *r)
{
  while(!tag_end(r) && tag_blank(tag_peek(r))) r->at++;
}

static struct str tag_ident(struct tag_reader *r)
{
  size_t from = r->at;
  while(!tag_end(r) && tag_letter(tag_peek(r))) r->at++;
  return str_of(r->s.p + from, r->at - from);
}

enum tag_found tag_word(struct str s, struct str word)
{
  if(s.n < word.n) return str_starts(word, s) ? TAG_MORE : TAG_NO;
  return str_starts(s, word) ? TAG_YES : TAG_NO;
}

/* A value in quotes or a bare one. */
static enum tag_found tag_value(struct tag_reader *r, struct str *value)
{
  char quote = tag_peek(r);
  if(quote == '"' || quote == '\'') {
    size_t from = ++r->at;
    while(!tag_end(r) && tag_peek(r) != quote && tag_peek(r) != '<') r->at++;
    if(tag_end(r)) return TAG_MORE;
    if(tag_peek(r) != quote) return TAG_NO;
    *value = str_of(r->s.p + from, r->at++ - from);
    return TAG_YES;
  }
  *value = tag_ident(r);
  return tag_end(r) ? TAG_MORE : value->n ? TAG_YES : TAG_NO;
}

/* ` a="b" c=d` up to '>' or, in front of a JSON body whose opener lost it, up to '{'. */
static enum tag_found tag_attributes(struct tag_reader *r, struct str *name)
{
  for(;;) {
    struct str value, key;
    size_t from = r->at;
    tag_skip(r);
    if(tag_end(r)) return TAG_MORE;
    if(tag_peek(r) == '>') {
      r->at++;
      return TAG_YES;
    }
    if(tag_peek(r) == '{') return TAG_YES;
    if(r->at == from) return TAG_NO; /* the name goes on: another tag */
    key = tag_ident(r);
    if(tag_end(r)) return TAG_MORE;
    if(!key.n || tag_peek(r) != '=') return TAG_NO;
    r->at++;
    if(tag_end(r)) return TAG_MORE;
    enum tag_found f = tag_value(r, &value);
    if(f != TAG_YES) return f;
    if(str_eq(key, S("name")) || str_eq(key, S("tool")) || str_eq(key, S("function"))) *name = value;
  }
}

static enum tag_found tag_open_at(struct tag_reader *r, struct tag *t);

/* Three backticks at r, all there or still to come. */
static enum tag_found tag_ticks(const struct tag_reader *r)
{
  return tag_word(tag_rest(r), S("```"));
}

/* What a body begins with, behind the opener. */
static enum tag_found tag_body(struct tag_reader *r, struct tag *t)
{
  tag_skip(r);
  if(tag_end(r)) return TAG_MORE;
  t->at = r->at;
  t->body = t->name.n ? TAG_BODY_ARGS : TAG_BODY_JSON;
  switch(tag_peek(r)) {
  case '{': case '"': case '\'': return TAG_YES;
  case '`': return tag_ticks(r);
  case '<': return tag_open_at(r, t);
  default: return TAG_NO;
  }
}

/* The body of a native form: parameters, a closer where there are none, or an object. */
static enum tag_found tag_native(struct tag_reader *r, struct tag *t)
{
  struct str name;
  size_t n;
  if(!t->name.n) return TAG_NO;
  tag_skip(r);
  if(tag_end(r)) return TAG_MORE;
  t->at = r->at;
  t->body = TAG_BODY_ARGS;
  if(tag_peek(r) == '{') return TAG_YES;
  if(tag_peek(r) == '`') return tag_ticks(r);
  if(tag_peek(r) != '<') return TAG_NO;
  t->body = TAG_BODY_PARAMS;
  enum tag_found param = tag_param(tag_rest(r), &n, &name), close = tag_close(tag_rest(r), false, &n);
  return param == TAG_YES || close == TAG_YES ? TAG_YES : param == TAG_MORE || close == TAG_MORE ? TAG_MORE : TAG_NO;
}

/* <function=NAME>, behind the '='. */
static enum tag_found tag_function(struct tag_reader *r, struct tag *t)
{
  if(tag_end(r)) return TAG_MORE;
  enum tag_found f = tag_value(r, &t->name);
  if(f != TAG_YES) return f;
  tag_skip(r);
  if(tag_end(r)) return TAG_MORE;
  if(tag_peek(r) != '>') return TAG_NO;
  r->at++;
  return tag_native(r, t);
}

static enum tag_found tag_fence(struct tag_reader *r, struct tag *t)
{
  enum tag_found f = tag_ticks(r);
  if(f != TAG_YES) return f;
  r->at += 3;
  struct str info = tag_ident(r);
  if(tag_end(r)) return TAG_MORE;
  bool call = str_eq(info, S("tool_call")) || str_eq(info, S("tool_calls"));
  if(!call) {
    while(!tag_end(r) && tag_blank(tag_peek(r)) && tag_peek(r) != '\n') r->at++;
    if(tag_end(r)) return TAG_MORE;
    if(tag_peek(r) != '\n') return TAG_NO;
  }
  tag_skip(r);
  if(tag_end(r)) return TAG_MORE;
  t->at = r->at;
  t->fenced = true;
  t->bare = !info.n;
  if(tag_peek(r) == '<') return tag_open_at(r, t);
  t->fenced = false;
  t->fence_closes = true;
  t->loose = !call;
  if(tag_peek(r) != '{') return TAG_NO;
  if(call) return TAG_YES;
  if(!str_eq(info, S("json"))) return TAG_NO;
  r->at++;
  tag_skip(r);
  return tag_word(tag_rest(r), S("\"name\""));
}

static enum tag_found tag_open_at(struct tag_reader *r, struct tag *t)
{
  static const struct { struct str word; bool many; } envelopes[] = {
    { { "<q2a_call", 9 }, false }, { { "<tool_call", 10 }, true }, { { "<function_call", 14 }, true }, { { "<tool_use", 9 }, false },
  };
  bool more = false;
  if(tag_peek(r) == '`') return tag_fence(r, t);
  for(size_t i = 0; i < sizeof envelopes / sizeof envelopes[0]; i++) {
    enum tag_found f = tag_word(tag_rest(r), envelopes[i].word);
    more |= f == TAG_MORE;
    if(f != TAG_YES) continue;
    r->at += envelopes[i].word.n;
    if(tag_end(r)) return TAG_MORE;
    if(envelopes[i].many && tag_peek(r) == 's') r->at++;
    f = tag_attributes(r, &t->name);
    return f == TAG_YES ? tag_body(r, t) : f;
  }
  enum tag_found function = tag_word(tag_rest(r), S("<function=")), invoke = tag_word(tag_rest(r), S("<invoke "));
  if(function == TAG_YES) {
    r->at += 10;
    return tag_function(r, t);
  }
  if(invoke == TAG_YES) {
    r->at += 7; /* the blank belongs to the attributes */
    invoke = tag_attributes(r, &t->name);
    return invoke == TAG_YES ? tag_native(r, t) : invoke;
  }
  return more || function == TAG_MORE || invoke == TAG_MORE ? TAG_MORE : TAG_NO;
}

enum tag_found tag_open(struct str s, struct tag *t)
{
  struct tag_reader r = { s.n > TAG_MAX ? str_of(s.p, TAG_MAX) : s, 0 };
  *t = (struct tag){ 0 };
  if(tag_end(&r) || (tag_peek(&r) != '<' && tag_peek(&r) != '`')) return TAG_NO;
  enum tag_found f = tag_open_at(&r, t);
  return f == TAG_MORE && r.s.n == TAG_MAX ? TAG_NO : f;
}

enum tag_found tag_close(struct str s, bool ours, size_t *n)
{
  static const struct str words[] = {
    { "</q2a_call>", 11 }, { "</tool_call>", 12 }, { "</function>", 11 }, { "</tool_calls>", 13 }, { "</function_call>", 16 },
    { "</function_calls>", 17 }, { "</tool_use>", 11 }, { "</invoke>", 9 },
  };
  enum tag_found found = TAG_NO;
  for(size_t i = 0; i < (ours ? 1 : sizeof words / sizeof words[0]); i++) {
    enum tag_found f = tag_word(s, words[i]);
    *n = words[i].n;
    if(f == TAG_YES) return f;
    if(f == TAG_MORE) found = f;
  }
  return found;
}

enum tag_found tag_param(struct str s, size_t *n, struct str *name)
{
  struct tag_reader r = { s.n > TAG_MAX ? str_of(s.p, TAG_MAX) : s, 10 };
  enum tag_found f = tag_word(s, S("<parameter"));
  *name = STR_NONE;
  if(f == TAG_YES && tag_end(&r)) f = TAG_MORE;
  if(f != TAG_YES) return f;
  if(tag_peek(&r) == '=') {
    r.at++;
    f = tag_end(&r) ? TAG_MORE : tag_value(&r, name);
    if(f == TAG_YES) {
      tag_skip(&r);
      f = tag_end(&r) ? TAG_MORE : tag_peek(&r) == '>' ? TAG_YES : TAG_NO;
      r.at++;
    }
  } else {
    f = tag_attributes(&r, name);
    if(f == TAG_YES && (!name->n || r.s.p[r.at - 1] != '>')) f = TAG_NO;
  }
  *n = r.at;
  return f == TAG_MORE && r.s.n == TAG_MAX ? TAG_NO : f;
}

enum tag_found tag_param_close(struct str s, size_t *n)
{
  *n = 12;
  return tag_word(s, S("</parameter>"));
}
