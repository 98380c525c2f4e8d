#include "proto/limits.h"

enum { LIMITS_HOLD_MAX = 8 * 1024 * 1024 };

enum q_status limits_init(struct limits *l, const struct str *stops, int stop_n, int64_t max_tokens)
{
  *l = (struct limits){ .text = STRBUF(LIMITS_HOLD_MAX), .hold = STRBUF(LIMITS_HOLD_MAX), .max_tokens = max_tokens, .hit = -1 };
  for(int i = 0; i < stop_n && l->stop_n < LIMITS_STOPS; i++) {
    if(stops[i].n == 0) continue;
    strbuf_adds(&l->text, stops[i]);
    l->at[++l->stop_n] = l->text.n;
  }
  return l->text.err;
}

void limits_reset(struct limits *l)
{
  strbuf_clear(&l->hold);
  l->given = 0;
  l->hit = -1;
  l->tokens = (struct tokens){ 0 };
}

void limits_free(struct limits *l)
{
  strbuf_free(&l->text);
  strbuf_free(&l->hold);
}

static struct str limits_stop(const struct limits *l, int i)
{
  return str_of(l->text.p + l->at[i], l->at[i + 1] - l->at[i]);
}

/* Bytes at the end of s that are a proper prefix of some stop string. */
static size_t limits_tail(const struct limits *l, struct str s)
{
  size_t longest = 0;
  for(int i = 0; i < l->stop_n; i++) {
    struct str stop = limits_stop(l, i);
    size_t n = stop.n - 1 < s.n ? stop.n - 1 : s.n;
    for(; n > longest; n--)
      if(memcmp(s.p + s.n - n, stop.p, n) == 0) longest = n;
  }
  return longest;
}

/* The part of s within max_tokens; false if something had to be cut. */
static bool limits_fit(struct limits *l, struct str s, struct str *out)
{
  struct tokens whole = l->tokens;
  *out = s;
  if(!l->max_tokens) return true;
  tokens_push(&whole, s);
  if(tokens_total(&whole) <= l->max_tokens) {
    l->tokens = whole;
    return true;
  }
  size_t fits = 0;
  for(size_t i = 0; i < s.n;) { /* code point by code point; the total never falls while a text grows by one */
    size_t n = 1;
    while(i + n < s.n && ((unsigned char)s.p[i + n] & 0xc0) == 0x80) n++;
    tokens_push(&l->tokens, str_of(s.p + i, n));
    i += n;
    if(tokens_total(&l->tokens) <= l->max_tokens) fits = i;
  }
  *out = str_of(s.p, fits);
  return false;
}

enum limits_end limits_push(struct limits *l, struct str text, struct str *visible)
{
  enum limits_end end = LIMITS_GO_ON;
  struct str s = text;
  strbuf_drop(&l->hold, l->given);
  l->given = 0;
  *visible = STR_NONE;
  if(l->stop_n) {
    strbuf_adds(&l->hold, text);
    if(l->hold.err) return LIMITS_LENGTH;
    s = strbuf_str(&l->hold);
    ptrdiff_t first = -1, ends = 0; /* the stop that is complete first, wherever the pieces were cut */
    for(int i = 0; i < l->stop_n; i++) {
      ptrdiff_t at = str_find(s, limits_stop(l, i)), end_at = at + (ptrdiff_t)limits_stop(l, i).n;
      if(at < 0 || (first >= 0 && (end_at > ends || (end_at == ends && at > first)))) continue;
      first = at;
      ends = end_at;
      l->hit = i;
    }
    if(first >= 0) end = LIMITS_STOP;
    s = str_sub(s, 0, first >= 0 ? (size_t)first : s.n - limits_tail(l, s));
    l->given = s.n;
  }
  if(limits_fit(l, s, visible)) return end;
  l->hit = -1; /* max_tokens ended it earlier */
  return LIMITS_LENGTH;
}

enum limits_end limits_rest(struct limits *l, struct str *visible)
{
  strbuf_drop(&l->hold, l->given);
  l->given = l->hold.n;
  return limits_fit(l, strbuf_str(&l->hold), visible) ? LIMITS_GO_ON : LIMITS_LENGTH;
}
