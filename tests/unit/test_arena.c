/* Memory that dies together: aligned, zeroed, bounded, and all given back. */
#include "base/arena.h"

#include "base/mem.h"
#include "t.h"

static bool all_zero(const char *p, size_t n)
{
  for(size_t i = 0; i < n; i++)
    if(p[i]) return false;
  return true;
}

static void t_aligned_zeroed_apart(void)
{
  struct arena a = ARENA(4 << 20);
  long before = mem_live();
  unsigned char *got[400];
  for(size_t i = 0; i < 400; i++) {
    size_t n = i * 7 % 301;
    got[i] = arena_alloc(&a, n);
    CHECK(got[i] && (uintptr_t)got[i] % 16 == 0);
    CHECK(all_zero((char *)got[i], n));
    memset(got[i], (int)(i % 250) + 1, n); /* the sanitizer and the next loop see an overlap */
  }
  for(size_t i = 0; i < 400; i++)
    for(size_t k = 0; k < i * 7 % 301; k++)
      if(got[i][k] != i % 250 + 1) T_FAIL("block %zu was written over", i), k = 1000;
  CHECK(mem_live() > before);
  arena_free(&a);
  CHECK_INT(mem_live(), before);
  CHECK_INT(a.used, 0);
}

static void t_limit(void)
{
  struct arena a = ARENA(10000);
  size_t total = 0;
  while(arena_alloc(&a, 100)) total += 112;
  CHECK(a.used <= 10000);
  CHECK(total > 9000 && total <= 10000); /* the limit is used up, and kept */
  arena_free(&a);
  CHECK(arena_alloc(&a, 9999) != NULL);
  arena_free(&a);
  CHECK(arena_alloc(&a, 10001) == NULL);
  CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
  CHECK(arena_alloc(&a, SIZE_MAX - 15) == NULL);
  CHECK(arena_alloc(&a, 100) != NULL); /* a refusal spoils nothing */
  arena_free(&a);
  struct arena none = ARENA(0);
  CHECK(arena_alloc(&none, 1) == NULL);
}

static void t_together(void)
{
  struct arena_sum sum = { .max = 3 << 20 };
  struct arena a = ARENA(64 << 20), b = ARENA(64 << 20);
  a.sum = b.sum = &sum;
  for(int i = 0; i < 30; i++) CHECK(arena_alloc(&a, 1000) && arena_alloc(&b, 1000));
  CHECK_INT(sum.used, 0); /* small ones are free */
  while(arena_alloc(&a, 5000)) {}
  CHECK(sum.used > 2 << 20 && sum.used <= 3 << 20);
  CHECK(arena_crowded(&a) && arena_crowded(&b));
  CHECK(arena_alloc(&b, 1 << 20) == NULL);
  struct arena c = ARENA(64 << 20);
  c.sum = &sum;
  for(int i = 0; i < 30; i++) CHECK(arena_alloc(&c, 1000) != NULL);
  arena_free(&c);
  size_t full = sum.used;
  arena_reset(&a);
  CHECK(sum.used < full && !arena_crowded(&b));
  CHECK(arena_alloc(&b, 1 << 20) != NULL);
  fault_arm(0, false);
  CHECK(arena_alloc(&b, 1 << 20) == NULL); /* want of memory is not counted as use */
  CHECK(fault_disarm());
  arena_free(&b);
  CHECK_INT(sum.used, 0);
  arena_free(&a);
  CHECK_INT(sum.used, 0);
  CHECK(arena_alloc(&a, 100 * 1024) != NULL); /* a first block that counts */
  CHECK(sum.used > 0);
  arena_reset(&a);
  CHECK_INT(sum.used, 0);
  arena_free(&a);
}

static void t_strings(void)
{
  struct arena a = ARENA(10000);
  char text[] = "text";
  struct str s = arena_str(&a, str_z(text)), empty = arena_str(&a, STR_NONE);
  text[0] = 'X';
  CHECK_STR(s, S("text")); /* a copy */
  CHECK_INT(s.p[4], 0);
  CHECK(empty.p != NULL && empty.n == 0 && empty.p[0] == 0);
  CHECK(arena_str(&a, str_of(text, SIZE_MAX)).p == NULL);
  CHECK(arena_str(&a, str_of(text, 20000)).p == NULL);
  arena_free(&a);
}

/* Round after round in the same arena: zeroed again, no growth, the large blocks go. */
static void t_reset(void)
{
  struct arena a = ARENA(4 << 20);
  long before = mem_live();
  arena_reset(&a); /* of an empty one */
  for(int round = 0; round < 20; round++) {
    for(int i = 0; i < 50; i++) {
      char *p = arena_alloc(&a, 1000);
      CHECK(p && all_zero(p, 1000));
      memset(p, 0xff, 1000);
    }
    arena_reset(&a);
    CHECK(mem_live() <= before + 1 && a.used <= 16 * 1024);
  }
  CHECK(arena_alloc(&a, 1 << 20) != NULL);
  arena_reset(&a);
  CHECK(a.used <= 16 * 1024);
  arena_free(&a);
  CHECK_INT(mem_live(), before);
}

static void t_out_of_memory(void)
{
  struct arena a = ARENA(10000);
  fault_arm(0, false);
  CHECK(arena_alloc(&a, 10) == NULL);
  CHECK(fault_disarm());
  CHECK_INT(a.used, 0);
  CHECK(arena_alloc(&a, 10) != NULL);
  arena_free(&a);
}

T_MAIN(T(t_aligned_zeroed_apart), T(t_limit), T(t_together), T(t_strings), T(t_reset), T(t_out_of_memory))
