#include "proto/json_parts.h"

static bool parts_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void parts_skip(struct json_parts *p)
{
  while(p->at < p->end && parts_blank(p->text.p[p->at])) p->at++;
}

struct json_parts json_parts_of(struct str text, size_t at, size_t end)
{
  struct json_parts p = { .text = text, .at = at, .end = end < text.n ? end : text.n };
  if(!at && str_starts(text, S("\xef\xbb\xbf"))) p.at = 3;
  parts_skip(&p);
  char c = p.at < p.end ? p.text.p[p.at] : 0;
  p.close = c == '[' ? ']' : c == '{' ? '}' : 0;
  if(p.close) p.at++;
  return p;
}

void json_parts_where(struct str text, size_t offset, struct json_error *err)
{
  size_t start = 0;
  err->offset = offset;
  err->line = 1;
  for(size_t i = 0; i < offset && i < text.n; i++)
    if(text.p[i] == '\n') err->line++, start = i + 1;
  err->column = (int)(offset - start) + 1;
}

static bool parts_bad(struct json_parts *p, struct json_error *err, const char *expected)
{
  p->over = true;
  json_parts_where(p->text, p->at, err);
  err->expected = expected;
  return false;
}

/* Behind the string that begins at `at`; false: it does not end. */
static bool parts_string(struct json_parts *p)
{
  for(p->at++; p->at < p->end; p->at++) {
    char c = p->text.p[p->at];
    if(c == '\\') p->at++;
    else if(c == '"') return p->at++, true;
  }
  p->at = p->end;
  return false;
}

/* A bracket that does not close the last opened one ends the part: reading it tells where the mistake is. */
static bool parts_value(struct json_parts *p, struct json_error *err)
{
  uint64_t kinds = 0; /* of the innermost 64: 1 for an object */
  int64_t depth = 0;
  while(p->at < p->end) {
    char c = p->text.p[p->at];
    if(c == '"') {
      if(!parts_string(p)) return parts_bad(p, err, "'\"'");
      continue;
    }
    if(c == '[' || c == '{') {
      kinds = kinds << 1 | (c == '{');
      depth++;
    } else if(c == ']' || c == '}') {
      if(!depth) return true;
      bool fits = depth > 64 || (kinds & 1) == (c == '}');
      kinds >>= 1;
      depth--;
      if(!fits) return p->at++, true;
    } else if(c == ',' && !depth) {
      return true;
    }
    p->at++;
  }
  return parts_bad(p, err, depth ? "']' or '}'" : p->close == ']' ? "',' or ']'" : "',' or '}'");
}

static bool parts_key(struct json_parts *p, struct json_part *out, struct json_error *err)
{
  size_t from = p->at;
  if(p->at >= p->end || p->text.p[p->at] != '"') return parts_bad(p, err, "a name in quotes");
  if(!parts_string(p)) return parts_bad(p, err, "'\"'");
  out->key = str_sub(p->text, from, p->at - from);
  parts_skip(p);
  if(p->at >= p->end || p->text.p[p->at] != ':') return parts_bad(p, err, "':'");
  p->at++;
  parts_skip(p);
  return true;
}

static bool parts_over(struct json_parts *p, struct json_error *err)
{
  p->at++;
  parts_skip(p);
  if(p->at < p->end) return parts_bad(p, err, "the end of the text");
  p->over = true;
  return false;
}

bool json_parts_next(struct json_parts *p, struct json_part *out, struct json_error *err)
{
  *err = (struct json_error){ .expected = NULL };
  *out = (struct json_part){ .at = 0 };
  if(p->over) return false;
  if(!p->close) return parts_bad(p, err, "'{' or '['");
  parts_skip(p);
  if(p->begun) {
    if(p->at >= p->end || (p->text.p[p->at] != ',' && p->text.p[p->at] != p->close)) return parts_bad(p, err, p->close == ']' ? "',' or ']'" : "',' or '}'");
    if(p->text.p[p->at] == p->close) return parts_over(p, err);
    p->at++;
    parts_skip(p);
  } else if(p->at < p->end && p->text.p[p->at] == p->close) {
    return parts_over(p, err);
  }
  p->begun = true;
  if(p->close == '}' && !parts_key(p, out, err)) return false;
  out->at = p->at;
  if(p->at < p->end && (unsigned char)p->text.p[p->at] == 0xef) return parts_bad(p, err, "a value"); /* json_parse() would pass a second mark over */
  if(!parts_value(p, err)) return false;
  size_t n = p->at - out->at;
  while(n && parts_blank(p->text.p[out->at + n - 1])) n--;
  out->text = str_sub(p->text, out->at, n);
  if(!n) {
    p->at = out->at;
    return parts_bad(p, err, "a value");
  }
  return true;
}
