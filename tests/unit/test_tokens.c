/* The token estimate: its rules, and the same total at every split. */
#include "proto/tokens.h"

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

static void t_broken_text(void)
{
  CHECK(tokens_count(S("\xff\xfe\x80\xc3\xe4\xb8")) >= 0);
}

T_MAIN(T(t_rows), T(t_broken_text))
