#include "base/str.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

static unsigned char str_low(char c)
{
  return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool str_ieq(struct str a, struct str b)
{
  if(a.n != b.n) return false;
  for(size_t i = 0; i < a.n; i++)
    if(str_low(a.p[i]) != str_low(b.p[i])) return false;
  return true;
}

bool str_starts(struct str s, struct str prefix)
{
  return s.n >= prefix.n && str_eq(str_of(s.p, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
  return s.n >= prefix.n && str_ieq(str_of(s.p, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
  return s.n >= suffix.n && str_eq(str_of(s.p + (s.n - suffix.n), suffix.n), suffix);
}

ptrdiff_t str_find(struct str hay, struct str needle)
{
  if(needle.n == 0) return 0;
  if(hay.n < needle.n) return -1;
  const char *at = memmem(hay.p, hay.n, needle.p, needle.n);
  return at ? at - hay.p : -1;
}

ptrdiff_t str_ifind(struct str hay, struct str needle)
{
  if(needle.n == 0) return 0;
  for(size_t i = 0; i + needle.n <= hay.n; i++)
    if(str_low(hay.p[i]) == str_low(needle.p[0]) && str_ieq(str_of(hay.p + i, needle.n), needle)) return (ptrdiff_t)i;
  return -1;
}

ptrdiff_t str_chr(struct str s, char c)
{
  const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
  return at ? at - s.p : -1;
}

static bool str_blank(char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
  while(s.n && str_blank(s.p[0])) s.p++, s.n--;
  while(s.n && str_blank(s.p[s.n - 1])) s.n--;
  return s;
}

struct str str_sub(struct str s, size_t from, size_t n)
{
  if(from > s.n) from = s.n;
  if(n > s.n - from) n = s.n - from;
  return str_of(from ? s.p + from : s.p, n); /* nothing is added to NULL */
}

struct str str_cut(struct str *s, char sep)
{
  ptrdiff_t at = str_chr(*s, sep);
  struct str head = at < 0 ? *s : str_of(s->p, (size_t)at);
  *s = at < 0 ? str_of(s->p + s->n, 0) : str_of(s->p + at + 1, s->n - (size_t)at - 1);
  return head;
}

bool str_int(struct str s, int64_t *out)
{
  bool neg = s.n && s.p[0] == '-';
  size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
  int64_t v = 0;
  if(i == s.n) return false;
  for(; i < s.n; i++) {
    if(s.p[i] < '0' || s.p[i] > '9') return false;
    if(__builtin_mul_overflow(v, (int64_t)10, &v)) return false;
    int64_t d = s.p[i] - '0';
    if(__builtin_add_overflow(v, neg ? -d : d, &v)) return false;
  }
  *out = v;
  return true;
}

/* The longest prefix of at most cap bytes that does not end inside a UTF-8 sequence. */
static size_t str_utf8_floor(struct str s, size_t cap)
{
  if(s.n <= cap) return s.n;
  size_t n = cap;
  while(n > 0 && cap - n < 3 && ((unsigned char)s.p[n] & 0xc0) == 0x80) n--;
  return n;
}

void str_copy(char *field, size_t cap, struct str s)
{
  size_t n = str_utf8_floor(s, cap - 1);
  if(n) memcpy(field, s.p, n);
  field[n] = 0;
}

void strbuf_free(struct strbuf *b)
{
  mem_free(b->p);
  *b = STRBUF(b->max);
}

char *strbuf_room(struct strbuf *b, size_t n)
{
  if(b->err) return NULL;
  if(n <= b->cap - b->n && b->p) return b->p + b->n;
  if(n > b->max || b->n > b->max - n) {
    b->err = Q_TOO_BIG;
    return NULL;
  }
  size_t cap = b->cap ? b->cap : 128;
  while(cap < b->n + n) cap = cap > b->max / 2 ? b->max : cap * 2;
  if(cap > b->max) cap = b->max;
  char *p = mem_realloc(b->p, cap);
  if(!p) {
    b->err = Q_NOMEM;
    return NULL;
  }
  b->p = p;
  b->cap = cap;
  return p + b->n;
}

void strbuf_add(struct strbuf *b, const char *p, size_t n)
{
  if(n == 0) return;
  char *to = strbuf_room(b, n);
  if(!to) return;
  memcpy(to, p, n);
  b->n += n;
}

void strbuf_addz(struct strbuf *b, const char *z)
{
  strbuf_add(b, z, strlen(z));
}

void strbuf_addc(struct strbuf *b, char c)
{
  strbuf_add(b, &c, 1);
}

void strbuf_int(struct strbuf *b, int64_t v)
{
  char digits[24];
  size_t at = sizeof digits;
  uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  do {
    digits[--at] = (char)('0' + u % 10);
    u /= 10;
  } while(u);
  if(v < 0) digits[--at] = '-';
  strbuf_add(b, digits + at, sizeof digits - at);
}

void strbuf_fmt(struct strbuf *b, const char *fmt, ...)
{
  va_list ap, twice;
  va_start(ap, fmt);
  va_copy(twice, ap);
  int want = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  char *to = want < 0 ? NULL : strbuf_room(b, (size_t)want + 1);
  if(to) {
    vsnprintf(to, (size_t)want + 1, fmt, twice);
    b->n += (size_t)want;
  }
  va_end(twice);
}

void strbuf_drop(struct strbuf *b, size_t n)
{
  if(n == 0) return;
  if(n < b->n) memmove(b->p, b->p + n, b->n - n);
  b->n = n < b->n ? b->n - n : 0;
}

const char *strbuf_z(struct strbuf *b)
{
  char *end = strbuf_room(b, 1);
  if(!end) return "";
  *end = 0;
  return b->p;
}

/* Length of the valid UTF-8 sequence at p (n bytes left), 0 if there is none. */
static size_t str_utf8_len(const unsigned char *p, size_t n)
{
  if(p[0] < 0x80) return 1;
  if(p[0] >= 0xc2 && p[0] <= 0xdf) return n >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
  if((p[0] & 0xf0) == 0xe0) {
    if(n < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80) return 0;
    if(p[0] == 0xe0 && p[1] < 0xa0) return 0;
    if(p[0] == 0xed && p[1] > 0x9f) return 0; /* surrogates */
    return 3;
  }
  if(p[0] < 0xf0 || p[0] > 0xf4 || n < 4) return 0;
  if((p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 || (p[3] & 0xc0) != 0x80) return 0;
  if(p[0] == 0xf0 && p[1] < 0x90) return 0;
  if(p[0] == 0xf4 && p[1] > 0x8f) return 0;
  return 4;
}

void strbuf_json_body(struct strbuf *b, struct str s)
{
  static const char hex[] = "0123456789abcdef";
  size_t plain = 0, i = 0;
  if(s.n == 0) return; /* NULL + 0 is undefined */
  while(i < s.n) {
    unsigned char c = (unsigned char)s.p[i];
    if(c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      i++;
      continue;
    }
    size_t len = c >= 0x80 ? str_utf8_len((const unsigned char *)s.p + i, s.n - i) : 0;
    if(len) {
      i += len;
      continue;
    }
    strbuf_add(b, s.p + plain, i - plain);
    plain = ++i;
    switch(c) {
    case '"': strbuf_lit(b, "\\\""); break;
    case '\\': strbuf_lit(b, "\\\\"); break;
    case '\n': strbuf_lit(b, "\\n"); break;
    case '\r': strbuf_lit(b, "\\r"); break;
    case '\t': strbuf_lit(b, "\\t"); break;
    default:
      if(c >= 0x80) strbuf_lit(b, "\xef\xbf\xbd");
      else strbuf_add(b, (char[6]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
    }
  }
  strbuf_add(b, s.p + plain, s.n - plain);
}

void strbuf_json(struct strbuf *b, struct str s)
{
  strbuf_addc(b, '"');
  strbuf_json_body(b, s);
  strbuf_addc(b, '"');
}
