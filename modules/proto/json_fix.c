#include "proto/json_fix.h"

enum json_fix_step { FIX_OUTER = 1, FIX_CONTROL, FIX_COMMA, FIX_QUOTE, FIX_WORD, FIX_WIDE, FIX_INNER, FIX_CLOSE };

struct json_fix {
  const char *p, *end;
  struct strbuf *out;
  enum json_fix_step step;  /* this one and all before it are done */
  int depth;
  char open[JSON_FIX_DEPTH];
  char last;                /* the last token: its punctuation, 'v' for a value, 0 for none */
};

static bool json_fix_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static const char *json_fix_skip(const char *p, const char *end)
{
  while(p < end && json_fix_blank(*p)) p++;
  return p;
}

/* ---- where the value stands ---- */

/* Behind the bracket that closes the one at p; end if none does. Only strings hide brackets. */
static const char *json_fix_balance(const char *p, const char *end)
{
  int depth = 0;
  bool text = false;
  for(; p < end; p++) {
    if(text) {
      if(*p == '\\' && p + 1 < end) p++;
      else if(*p == '"') text = false;
    } else if(*p == '"') {
      text = true;
    } else if(*p == '{' || *p == '[') {
      depth++;
    } else if((*p == '}' || *p == ']') && --depth == 0) {
      return p + 1;
    }
  }
  return end;
}

static const char *json_fix_start(struct str s)
{
  for(size_t i = 0; i < s.n; i++)
    if(s.p[i] == '{' || s.p[i] == '[') return s.p + i;
  return NULL;
}

/* A scalar within a code fence is what stands between its first line and the last fence. */
static struct str json_fix_unfence(struct str s)
{
  s = str_trim(s);
  if(!str_starts(s, S("```"))) return s;
  ptrdiff_t line = str_chr(s, '\n');
  if(line < 0) return s;
  s = str_trim(str_sub(s, (size_t)line + 1, s.n));
  if(str_ends(s, S("```"))) s.n -= 3;
  return str_trim(s);
}

struct str json_fix_find(struct str text)
{
  const char *start = json_fix_start(text);
  if(!start) return json_fix_unfence(text);
  const char *end = text.p + text.n;
  return str_of(start, (size_t)(json_fix_balance(start, end) - start));
}

/* ---- one pass over the text ---- */

struct json_fix_mark { const char *wide; size_t n; char plain; };
static const struct json_fix_mark json_fix_marks[] = {
  { "\xe2\x80\x9c", 3, '"' }, { "\xe2\x80\x9d", 3, '"' }, { "\xef\xbc\x82", 3, '"' }, /* two curled ones, the full-width one */
  { "\xef\xbc\x9a", 3, ':' }, { "\xef\xbc\x8c", 3, ',' },
};

/* The plain character a full-width one at p stands for; 0: none. */
static char json_fix_wide(const char *p, const char *end)
{
  if(end - p < 3 || (unsigned char)*p < 0xe2) return 0;
  for(size_t i = 0; i < sizeof json_fix_marks / sizeof json_fix_marks[0]; i++)
    if(memcmp(p, json_fix_marks[i].wide, 3) == 0) return json_fix_marks[i].plain;
  return 0;
}

/* True if the string may end before p: only what follows a string stands there. */
static bool json_fix_ends(const struct json_fix *f, const char *p)
{
  p = json_fix_skip(p, f->end);
  char wide = json_fix_wide(p, f->end);
  return p == f->end || *p == ',' || *p == '}' || *p == ']' || *p == ':' || wide == ',' || wide == ':';
}

static void json_fix_control(struct json_fix *f, char c)
{
  if(f->step >= FIX_CONTROL) strbuf_json_body(f->out, str_of(&c, 1));
  else strbuf_addc(f->out, c);
}

static bool json_fix_hex(const char *p, const char *end)
{
  if(end - p < 4) return false;
  for(int i = 0; i < 4; i++)
    if(!strchr("0123456789abcdefABCDEF", p[i]) || !p[i]) return false;
  return true;
}

/* An escape at p, which stands on the backslash: how many bytes it took. */
static size_t json_fix_escape(struct json_fix *f, const char *p)
{
  char c = p[1];
  bool good = c && strchr("\"\\/bfnrt", c) ? true : c == 'u' && json_fix_hex(p + 2, f->end);
  if(good || f->step < FIX_CONTROL) {
    strbuf_add(f->out, p, 2);
    return 2;
  }
  if(c == '\'') {
    strbuf_addc(f->out, c);
    return 2;
  }
  strbuf_lit(f->out, "\\\\"); /* C:\dir, \d+ */
  return 1;
}

/* The text behind an opening quote, which the caller has passed. wide: the quote was a full-width one. False: never closed. */
static bool json_fix_text(struct json_fix *f, char quote, bool wide)
{
  const char *p = f->p, *plain = p;
  strbuf_addc(f->out, '"');
  while(p < f->end) {
    unsigned char c = (unsigned char)*p;
    size_t wide_n = f->step >= FIX_WIDE && wide && c >= 0xe2 && json_fix_wide(p, f->end) == '"' ? 3 : 0;
    if(c >= 0x20 && c != '\\' && c != '"' && c != (unsigned char)quote && !wide_n) {
      p++;
      continue;
    }
    strbuf_add(f->out, plain, (size_t)(p - plain));
    if(c == '\\' && p + 1 < f->end) {
      p += json_fix_escape(f, p);
    } else if(c < 0x20 || c == '\\') {
      json_fix_control(f, *p++);
    } else {
      bool mine = wide_n || (!wide && c == (unsigned char)quote) || (wide && f->step >= FIX_INNER && c == '"');
      size_t n = wide_n ? wide_n : 1;
      if(mine && (f->step < FIX_INNER || json_fix_ends(f, p + n))) {
        strbuf_addc(f->out, '"');
        f->p = p + n;
        return true;
      }
      if(c == '"') strbuf_addc(f->out, '\\');
      strbuf_add(f->out, p, n);
      p += n;
    }
    plain = p;
  }
  return false;
}

/* A run without quotes and punctuation: number, word or bare key. */
static void json_fix_run(struct json_fix *f)
{
  static const struct { struct str from, to; } words[] = { { { "True", 4 }, { "true", 4 } }, { { "False", 5 }, { "false", 5 } },
                                                           { { "None", 4 }, { "null", 4 } } };
  const char *from = f->p;
  while(f->p < f->end && !json_fix_blank(*f->p) && !strchr(",:{}[]\"", *f->p) && !(f->step >= FIX_QUOTE && *f->p == '\'') &&
        !(f->step >= FIX_WIDE && json_fix_wide(f->p, f->end)))
    f->p++;
  if(f->p == from) f->p++; /* a NUL, which strchr finds */
  struct str run = str_of(from, (size_t)(f->p - from));
  const char *next = json_fix_skip(f->p, f->end);
  bool colon = next < f->end && (*next == ':' || (f->step >= FIX_WIDE && json_fix_wide(next, f->end) == ':'));
  f->last = 'v';
  if(f->step >= FIX_QUOTE && colon && f->depth && f->open[f->depth - 1] == '{') {
    strbuf_json(f->out, run);
    return;
  }
  for(size_t i = 0; f->step >= FIX_WORD && i < sizeof words / sizeof words[0]; i++)
    if(str_eq(run, words[i].from)) run = words[i].to;
  strbuf_adds(f->out, run);
}

/* A comma that nothing follows goes. */
static void json_fix_uncomma(struct json_fix *f)
{
  if(f->step >= FIX_COMMA && f->last == ',') f->out->n--;
}

static bool json_fix_bracket(struct json_fix *f, char c)
{
  if(c == '{' || c == '[') {
    if(f->depth == JSON_FIX_DEPTH) return false;
    f->open[f->depth++] = c;
    strbuf_addc(f->out, f->last = c);
    return true;
  }
  char mine = c == '}' ? '{' : '[';
  json_fix_uncomma(f);
  while(f->step >= FIX_CLOSE && f->depth > 1 && f->open[f->depth - 1] != mine && memchr(f->open, mine, (size_t)f->depth))
    strbuf_addc(f->out, f->open[--f->depth] == '{' ? '}' : ']');
  if(!f->depth || f->open[f->depth - 1] != mine) return false;
  f->depth--;
  strbuf_addc(f->out, c);
  f->last = 'v';
  return true;
}

/* One token; blanks between tokens are left out. False: this cannot become JSON. */
static bool json_fix_token(struct json_fix *f)
{
  char c = *f->p, wide = f->step >= FIX_WIDE ? json_fix_wide(f->p, f->end) : 0;
  if(wide) c = wide;
  size_t n = wide ? 3 : 1;
  switch(c) {
  case '{': case '[': case '}': case ']':
    f->p++;
    return json_fix_bracket(f, c);
  case ',':
    f->p += n;
    if(f->step >= FIX_COMMA && (f->last == ',' || f->last == '{' || f->last == '[')) return true;
    strbuf_addc(f->out, f->last = ',');
    return true;
  case ':':
    f->p += n;
    strbuf_addc(f->out, f->last = ':');
    return true;
  case '\'':
    if(f->step < FIX_QUOTE) break;
    /* fall through */
  case '"':
    f->p += n;
    f->last = 'v';
    return json_fix_text(f, c, wide != 0);
  default: break;
  }
  if(f->last == 'v') strbuf_addc(f->out, ' '); /* two values side by side must not melt into one */
  json_fix_run(f);
  return true;
}

static bool json_fix_pass(struct str s, enum json_fix_step step, struct strbuf *out)
{
  struct json_fix f = { .p = s.p, .end = s.p + s.n, .out = out, .step = step };
  for(;;) {
    f.p = json_fix_skip(f.p, f.end);
    if(f.p == f.end) break;
    if(!json_fix_token(&f)) return false;
    if(!f.depth) return true; /* what follows the outer bracket is not JSON's */
  }
  if(step < FIX_CLOSE) return false;
  json_fix_uncomma(&f);
  while(f.depth > 0) strbuf_addc(out, f.open[--f.depth] == '{' ? '}' : ']');
  return true;
}

/* ---- the steps ---- */

/* Whether s parses, tried in an arena of its own so that failures leave nothing behind. */
static enum q_status json_fix_try(struct arena *a, struct str s)
{
  struct arena tried = ARENA(a->max);
  struct json_error e = { 0 };
  const struct json *v = json_parse(&tried, s, JSON_FIX_DEPTH, &e);
  arena_free(&tried);
  return v ? Q_OK : e.expected ? Q_BAD_JSON : Q_NOMEM;
}

static enum q_status json_fix_take(struct arena *a, struct str s, const struct json **value)
{
  *value = json_parse(a, s, JSON_FIX_DEPTH, NULL);
  return *value ? Q_OK : Q_NOMEM;
}

static enum q_status json_fix_steps(struct arena *a, struct str s, const struct json **value)
{
  struct strbuf now = STRBUF(6 * s.n + 4 * JSON_FIX_DEPTH), before = STRBUF(now.max); /* a control character takes six */
  enum q_status st = Q_BAD_JSON;
  for(int step = FIX_OUTER; st == Q_BAD_JSON && step <= FIX_CLOSE; step++) {
    strbuf_clear(&now);
    bool whole = json_fix_pass(s, (enum json_fix_step)step, &now);
    if(now.err) st = now.err == Q_NOMEM ? Q_NOMEM : st;
    else if(whole && !str_eq(strbuf_str(&now), strbuf_str(&before))) st = json_fix_try(a, strbuf_str(&now));
    struct strbuf swap = before;
    before = now;
    now = swap;
    if(!whole) strbuf_clear(&before);
  }
  if(!st) {
    struct str own = arena_str(a, strbuf_str(&before));
    st = own.p ? json_fix_take(a, own, value) : Q_NOMEM;
  }
  strbuf_free(&now);
  strbuf_free(&before);
  return st;
}

enum q_status json_fix(struct arena *a, struct str text, const struct json **value, bool *repaired)
{
  *value = NULL;
  if(repaired) *repaired = false;
  enum q_status st = json_fix_try(a, text);
  if(!st) return json_fix_take(a, text, value);
  if(st != Q_BAD_JSON) return st;
  if(repaired) *repaired = true;
  const char *start = json_fix_start(text);
  if(start) return json_fix_steps(a, str_of(start, (size_t)(text.p + text.n - start)), value);
  struct str scalar = json_fix_unfence(text);
  st = json_fix_try(a, scalar);
  return st ? st : json_fix_take(a, scalar, value);
}
