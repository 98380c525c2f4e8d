/* Stop strings and max_tokens: the same visible text at every split. */
#include "proto/limits.h"

#include "t.h"

static const struct { const char *name, *stops[3]; int64_t max; const char *in, *out; enum limits_end end; const char *hit; } rows[] = {
  { "nothing", { 0 }, 0, "hello world", "hello world", LIMITS_GO_ON, "" },
  { "one stop", { "END" }, 0, "hello END world", "hello ", LIMITS_STOP, "END" },
  { "the earliest of two", { "b", "a" }, 0, "xxaxxb", "xx", LIMITS_STOP, "a" },
  { "a prefix that is none in the end", { "<stop>" }, 0, "a <sto b <stop", "a <sto b <stop", LIMITS_GO_ON, "" },
  { "overlapping prefixes", { "aab" }, 0, "aaaab!", "aa", LIMITS_STOP, "aab" },
  { "stop at the very start", { "x" }, 0, "xyz", "", LIMITS_STOP, "x" },
  { "a longer one that begins earlier", { "cd", "bcde" }, 0, "abcdef", "ab", LIMITS_STOP, "cd" },
  { "of characters of three bytes", { "世界" }, 0, "hello 世 世界!", "hello 世 ", LIMITS_STOP, "世界" },
  { "tokens", { 0 }, 3, "one two three four five", "one two three", LIMITS_LENGTH, "" },
  { "tokens in CJK: no character is cut", { 0 }, 2, "你好世界你好世界", "你好世", LIMITS_LENGTH, "" },
  { "a space in CJK", { 0 }, 2, "\xe4\xbd\xa0\xe4\xbd\xa0 \xe4\xbd\xa0", "\xe4\xbd\xa0\xe4\xbd\xa0 \xe4\xbd\xa0", LIMITS_GO_ON, "" },
  { "exactly enough tokens", { 0 }, 2, "one two", "one two", LIMITS_GO_ON, "" },
  { "stop before the tokens end", { "two" }, 3, "one two three four five", "one ", LIMITS_STOP, "two" },
  { "the end of what was held is over the limit", { "three four!" }, 2, "one two three four", "one two", LIMITS_LENGTH, "" },
  { "only the held text is over the limit", { " two three!" }, 1, "one two three", "one", LIMITS_LENGTH, "" },
  { "a stop that is the whole text", { "abc" }, 0, "abc", "", LIMITS_STOP, "abc" },
  { "a stop within a stop", { "abcd", "bc" }, 0, "xabcdx", "xa", LIMITS_STOP, "bc" },
  { "a stop of one byte", { "\n" }, 0, "a\nb", "a", LIMITS_STOP, "\n" },
  { "three stops", { "###", "```", "</s>" }, 0, "a # b `` c </s > d ``", "a # b `` c </s > d ``", LIMITS_GO_ON, "" },
  { "a limit of one", { 0 }, 1, "\xf0\x9f\x98\x80 emoji cost two", "", LIMITS_LENGTH, "" },
  { "empty stops are none", { "" }, 0, "abc", "abc", LIMITS_GO_ON, "" },
  { "an empty one in front", { "", "b" }, 0, "abc", "a", LIMITS_STOP, "b" },
  { "two that end together: the longer", { "c", "bc" }, 0, "abcd", "a", LIMITS_STOP, "bc" },
  { "the same twice", { "b", "b" }, 0, "abc", "a", LIMITS_STOP, "b" },
  { "the tokens end before the stop", { "END" }, 2, "one two three END", "one two", LIMITS_LENGTH, "" },
  { "the tokens end in front of a stop of the same piece", { "!" }, 1, "one two!", "one", LIMITS_LENGTH, "" },
};

static void run(size_t i, size_t split, size_t step)
{
  struct limits l;
  struct str stops[3], visible;
  struct strbuf out = STRBUF(10000);
  int n = 0;
  size_t len = strlen(rows[i].in), at = 0;
  enum limits_end end = LIMITS_GO_ON;
  while(n < 3 && rows[i].stops[n]) stops[n] = str_z(rows[i].stops[n]), n++;
  CHECK_INT(limits_init(&l, stops, n, rows[i].max), Q_OK);
  while(at < len && end == LIMITS_GO_ON) {
    size_t piece = at == 0 && split ? split : step;
    while(piece < len - at && ((unsigned char)rows[i].in[at + piece] & 0xc0) == 0x80) piece++; /* deltas end on characters */
    if(piece > len - at) piece = len - at;
    end = limits_push(&l, str_of(rows[i].in + at, piece), &visible);
    strbuf_adds(&out, visible);
    at += piece;
  }
  if(end == LIMITS_GO_ON) {
    end = limits_rest(&l, &visible);
    strbuf_adds(&out, visible);
  }
  CHECK_INT(end, rows[i].end);
  CHECK_STR(limits_hit(&l), str_z(rows[i].hit));
  CHECK_STR(strbuf_str(&out), str_z(rows[i].out));
  strbuf_free(&out);
  limits_free(&l);
}

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = strlen(rows[i].in);
    t_row = rows[i].name;
    run(i, 0, n);
    run(i, 0, 1);
    for(size_t k = 1; k < n; k++) run(i, k, n);
  }
}

static void t_nothing_is_held_without_a_stop(void)
{
  struct limits l;
  struct str visible;
  CHECK_INT(limits_init(&l, NULL, 0, 0), Q_OK);
  CHECK_INT(limits_push(&l, S("abc"), &visible), LIMITS_GO_ON);
  CHECK_STR(visible, S("abc"));
  limits_free(&l);
}

/* After a reset the same object ends a second text in the same way, and has forgotten the first. */
static void t_reset(void)
{
  struct limits l;
  struct str visible, stops[] = { S("x"), S(""), S("yz") };
  CHECK_INT(limits_init(&l, stops, 3, 4), Q_OK);
  for(int round = 0; round < 2; round++) {
    CHECK_INT(l.hit, -1);
    CHECK_INT(limits_push(&l, S("one two y"), &visible), LIMITS_GO_ON);
    CHECK_STR(visible, S("one two "));
    CHECK_INT(limits_push(&l, S("z three"), &visible), LIMITS_STOP);
    CHECK_INT(l.hit, 1);
    CHECK_STR(limits_hit(&l), S("yz"));
    limits_reset(&l);
  }
  limits_free(&l);
}

T_MAIN(T(t_rows), T(t_nothing_is_held_without_a_stop), T(t_reset))
