#include "domain/dotenv.h"

struct dotenv_reader { struct str in; size_t at; int line; };

static char dotenv_peek(const struct dotenv_reader *r)
{
  return r->at < r->in.n ? r->in.p[r->at] : 0;
}

static bool dotenv_name_char(char c, bool first)
{
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && ((c >= '0' && c <= '9') || c == '.' || c == '-'));
}

static void dotenv_blanks(struct dotenv_reader *r)
{
  while(dotenv_peek(r) == ' ' || dotenv_peek(r) == '\t' || dotenv_peek(r) == '\r') r->at++;
}

static void dotenv_skip_line(struct dotenv_reader *r)
{
  while(r->at < r->in.n && r->in.p[r->at] != '\n') r->at++;
  if(r->at < r->in.n) r->at++;
  r->line++;
}

static struct str dotenv_name(struct dotenv_reader *r)
{
  size_t from = r->at;
  while(r->at < r->in.n && dotenv_name_char(r->in.p[r->at], r->at == from)) r->at++;
  return str_sub(r->in, from, r->at - from);
}

static enum q_status dotenv_quoted(struct arena *a, struct dotenv_reader *r, struct str *value, const char **why)
{
  char quote = r->in.p[r->at++];
  char *to = arena_alloc(a, r->in.n - r->at + 1), *o = to;
  if(!to) return Q_NOMEM;
  for(; r->at < r->in.n && r->in.p[r->at] != quote; r->at++) {
    char c = r->in.p[r->at];
    if(c == '\n') r->line++;
    if(c == '\\' && quote == '"' && r->at + 1 < r->in.n) {
      char e = r->in.p[r->at + 1];
      char plain = e == 'n' ? '\n' : e == 'r' ? '\r' : e == 't' ? '\t' : e == '"' || e == '\\' || e == '$' ? e : 0;
      if(plain) {
        *o++ = plain;
        r->at++;
        continue;
      }
    }
    *o++ = c;
  }
  if(r->at >= r->in.n) {
    *why = "the closing quote is missing";
    return Q_BAD_VALUE;
  }
  r->at++;
  *value = str_of(to, (size_t)(o - to));
  dotenv_blanks(r);
  char after = dotenv_peek(r);
  if(r->at < r->in.n && after != '\n' && after != '#') {
    *why = "text stands behind the closing quote";
    return Q_BAD_VALUE;
  }
  dotenv_skip_line(r);
  return Q_OK;
}

static struct str dotenv_plain(struct dotenv_reader *r)
{
  size_t from = r->at, end = r->at; /* what stands before is '=' or a blank */
  while(end < r->in.n && r->in.p[end] != '\n') {
    bool blank_before = r->in.p[end - 1] == ' ' || r->in.p[end - 1] == '\t';
    if(r->in.p[end] == '#' && blank_before) break;
    end++;
  }
  r->at = end;
  dotenv_skip_line(r);
  return str_trim(str_sub(r->in, from, end - from));
}

static enum q_status dotenv_add(struct arena *a, struct dotenv *out, struct dotenv_item item)
{
  if(out->n == out->cap) {
    int cap = out->cap ? out->cap * 2 : 32;
    struct dotenv_item *v = arena_alloc(a, (size_t)cap * sizeof *v);
    if(!v) return Q_NOMEM;
    if(out->n) memcpy(v, out->v, (size_t)out->n * sizeof *v);
    out->v = v;
    out->cap = cap;
  }
  out->v[out->n++] = item;
  return Q_OK;
}

enum q_status dotenv_read(struct arena *a, struct str text, struct dotenv *out, int *line, const char **why)
{
  struct dotenv_reader r = { text, 0, 1 };
  if(str_starts(text, S("\xef\xbb\xbf"))) r.at = 3;
  *why = "";
  while(r.at < r.in.n) {
    dotenv_blanks(&r);
    if(r.at >= r.in.n) break;
    if(dotenv_peek(&r) == '\n' || dotenv_peek(&r) == '#') {
      dotenv_skip_line(&r);
      continue;
    }
    *line = r.line;
    struct dotenv_item item = { .line = r.line };
    item.name = dotenv_name(&r);
    if(str_eq(item.name, S("export")) && (dotenv_peek(&r) == ' ' || dotenv_peek(&r) == '\t')) {
      dotenv_blanks(&r);
      item.name = dotenv_name(&r);
    }
    dotenv_blanks(&r);
    if(!item.name.n || dotenv_peek(&r) != '=') {
      *why = "expected NAME=value";
      return Q_BAD_VALUE;
    }
    r.at++;
    dotenv_blanks(&r);
    char first = dotenv_peek(&r);
    enum q_status st = Q_OK;
    if(first == '\'' || first == '"' || first == '`') st = dotenv_quoted(a, &r, &item.value, why);
    else item.value = dotenv_plain(&r);
    if(!st) st = dotenv_add(a, out, item);
    if(st) return st;
  }
  return Q_OK;
}
