/* t.h - the whole test frame: checks that count, and a last line "N passed, N failed".
 *
 * Threads: checks from any thread.
 * A test program: functions `static void t_name(void)`, then T_MAIN(T(t_name), T(t_other)).
 * A failed CHECK prints its place and goes on; a test counts as passed when none of its checks failed.
 * With Q2A_NAMES=file each test leaves a line there when it ends: "ok t_name" or "FAILED t_name". */
#ifndef Q2A_TESTS_T_H
#define Q2A_TESTS_T_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static atomic_int t_bad;
static const char *t_row = "";

#define T_FAIL(...) (atomic_fetch_add(&t_bad, 1), printf("%s:%d: [%s] ", __FILE__, __LINE__, t_row), \
                     printf(__VA_ARGS__), putchar('\n'))
#define CHECK(cond) ((cond) ? (void)0 : (void)T_FAIL("CHECK(%s)", #cond))
#define CHECK_INT(got, want)                                                                   \
  do {                                                                                         \
    long long t_g = (long long)(got), t_w = (long long)(want);                                 \
    if(t_g != t_w) T_FAIL("%s is %lld, expected %lld", #got, t_g, t_w);                        \
  } while(0)
#define CHECK_STR(got, want)                                                                   \
  do {                                                                                         \
    struct str t_g = (got), t_w = (want);                                                      \
    if(!str_eq(t_g, t_w)) T_FAIL("%s is\n  \"%.*s\"\nexpected\n  \"%.*s\"", #got, STR_F(t_g), STR_F(t_w)); \
  } while(0)
#define CHECK_Z(got, want) CHECK_STR(str_z(got), str_z(want))

struct t_test {
  const char *name;
  void (*fn)(void);
};
#define T(fn) { #fn, fn }

static void t_tell(const char *name, bool ok)
{
  const char *path = getenv("Q2A_NAMES");
  FILE *f = path ? fopen(path, "a") : NULL;
  if(!f) return;
  fprintf(f, "%s %s\n", ok ? "ok" : "FAILED", name);
  fclose(f);
}

static int t_main(const struct t_test *tests, int count, int argc, char **argv)
{
  int failed = 0, passed = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for(int i = 0; i < count; i++) {
    if(argc > 1 && !strstr(tests[i].name, argv[1])) continue;
    int before = atomic_load(&t_bad);
    t_row = tests[i].name;
    tests[i].fn();
    bool ok = atomic_load(&t_bad) == before;
    if(ok) passed++;
    else failed++, printf("FAILED %s\n", tests[i].name);
    t_tell(tests[i].name, ok);
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
#define T_MAIN(...)                                                                    \
  int main(int argc, char **argv)                                                      \
  {                                                                                    \
    static const struct t_test tests[] = { __VA_ARGS__ };                              \
    return t_main(tests, (int)(sizeof tests / sizeof tests[0]), argc, argv);           \
  }

static inline bool t_torture(void) { return getenv("Q2A_TORTURE") != NULL; }

#endif
