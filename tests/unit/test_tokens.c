/* The token estimate: its rules, and the same total at every split. */
#include "proto/tokens.h"

#include <time.h>

#include "t.h"

static const struct { const char *in; int64_t want; } rows[] = {
  { "", 0 }, { "word", 1 }, { "letters", 2 }, { "internationalization", 4 }, { "one two", 2 }, { "12345", 5 }, { "!!!", 1 }, { "!!!!", 2 },
  { "?!?", 3 }, { "a  b", 3 }, { "a\n\nb", 3 }, { "你好", 2 }, { "你好世界你好世界你好", 7 }, { "한국어", 3 }, { "\xf0\x9f\x98\x80", 2 }, { "привет", 4 }, { " lead", 1 }, { "end ", 2 },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = strlen(rows[i].in);
    t_row = rows[i].in;
    CHECK_INT(tokens_count(str_z(rows[i].in)), rows[i].want);
    for(size_t k = 0; k <= n; k++) {
      struct tokens t = { 0 };
      tokens_push(&t, str_of(rows[i].in, k));
      tokens_push(&t, str_of(rows[i].in + k, n - k));
      CHECK_INT(tokens_total(&t), rows[i].want);
    }
  }
}

/* D1, api 3.15: a megabyte is counted in a few milliseconds (20 in a release build; sanitizers and busy machines get twenty times that). */
static void t_d1_long_text_in_time(void)
{
  struct strbuf b = STRBUF(4 << 20);
  struct timespec from, to;
  int64_t best_us = INT64_MAX;
  while(b.n < 1 << 20) strbuf_lit(&b, "The quick brown fox, 42 times; \xe4\xbd\xa0\xe5\xa5\xbd! func(x) { return x + 1; }\n");
  for(int i = 0; i < 5; i++) {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    CHECK(tokens_count(strbuf_str(&b)) > 1000);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    int64_t us = (to.tv_sec - from.tv_sec) * 1000000ll + (to.tv_nsec - from.tv_nsec) / 1000;
    if(us < best_us) best_us = us;
  }
  printf("a megabyte: %lld us\n", (long long)best_us);
  CHECK(best_us < 400 * 1000);
  strbuf_free(&b);
}

static void t_long_text(void)
{
  struct strbuf b = STRBUF(4 << 20);
  while(b.n < 1 << 20) strbuf_lit(&b, "The quick brown fox, 42 times; \xe4\xbd\xa0\xe5\xa5\xbd!\n");
  int64_t whole = tokens_count(strbuf_str(&b));
  struct tokens t = { 0 };
  for(size_t at = 0; at < b.n; at += 7) tokens_push(&t, str_sub(strbuf_str(&b), at, 7));
  CHECK_INT(tokens_total(&t), whole);
  CHECK(whole > (int64_t)b.n / 6 && whole < (int64_t)b.n / 2);
  strbuf_clear(&b);
  while(b.n < 1 << 20) strbuf_addc(&b, 'a'); /* one run */
  CHECK_INT(tokens_count(strbuf_str(&b)), 1 + ((1 << 20) - 1) / 6);
  strbuf_free(&b);
}

/* The total never falls while a text grows: a limit once reached stays reached. */
static void t_never_falls(void)
{
  static const char *const pieces[] = { "a", " ", "7", "!", "?", "\n", "\xe4\xbd\xa0", "\xed\x95\x9c", "\xf0\x9f\x98\x80", "\xd0\xbf" };
  uint32_t seed = 1;
  for(int round = 0; round < 200; round++) {
    struct tokens t = { 0 };
    int64_t before = 0;
    for(int i = 0; i < 60; i++) {
      seed = seed * 1664525u + 1013904223u;
      tokens_push(&t, str_z(pieces[(seed >> 16) % 10]));
      CHECK(tokens_total(&t) >= before);
      before = tokens_total(&t);
    }
  }
}

static void t_broken_text(void)
{
  CHECK(tokens_count(S("\xff\xfe\x80\xc3\xe4\xb8")) >= 0);
}

T_MAIN(T(t_rows), T(t_d1_long_text_in_time), T(t_long_text), T(t_never_falls), T(t_broken_text))
