/* The one door to the heap: every block is counted, and any call can be told to fail. */
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/spare.h"

#include "t.h"

static void t_counted(void)
{
  long before = mem_live();
  char *a = mem_alloc(10), *b = mem_zalloc(1000), *c = mem_strndup("hello", 3), *d = mem_realloc(NULL, 5), *e = mem_alloc(0);
  CHECK_INT(mem_live(), before + 5);
  for(int i = 0; i < 1000; i++)
    if(b[i]) T_FAIL("byte %d is not zero", i), i = 1000;
  CHECK_Z(c, "hel");
  CHECK(e != NULL); /* NULL means out of memory and nothing else */
  memcpy(d, "abcd", 5);
  d = mem_realloc(d, 100000);
  CHECK_Z(d, "abcd");
  CHECK_INT(mem_live(), before + 5); /* the same block, moved */
  mem_free(a), mem_free(b), mem_free(c), mem_free(d), mem_free(e);
  mem_free(NULL);
  CHECK_INT(mem_live(), before);
  CHECK(mem_strndup("x", SIZE_MAX) == NULL);
}

/* Each call fails in its turn; a failure counts nothing and takes nothing away. */
static void t_the_nth_fails(void)
{
  for(long n = 0; n < 5; n++) {
    long before = mem_live();
    void *p[4] = { NULL, NULL, NULL, NULL };
    fault_arm(n, false);
    p[0] = mem_alloc(1);
    p[1] = mem_zalloc(1);
    p[2] = mem_strndup("a", 1);
    p[3] = mem_realloc(NULL, 1);
    CHECK_INT(fault_disarm(), n < 4);
    for(int i = 0; i < 4; i++) CHECK_INT(p[i] == NULL, i == n);
    CHECK_INT(mem_live(), before + 4 - (n < 4));
    for(int i = 0; i < 4; i++) mem_free(p[i]);
  }
}

static void t_lasting(void)
{
  fault_arm(2, true);
  bool hits[5];
  for(int i = 0; i < 5; i++) hits[i] = fault_hit();
  CHECK(fault_disarm());
  for(int i = 0; i < 5; i++) CHECK_INT(hits[i], i >= 2);
  CHECK(!fault_hit()); /* disarmed */
  CHECK(!fault_disarm());
  fault_arm(3, true);
  CHECK(!fault_hit());
  CHECK(!fault_disarm()); /* never reached */
  fault_arm(0, false);
  CHECK(fault_hit() && !fault_hit()); /* once */
  CHECK(fault_disarm());
}

static void t_realloc_keeps_the_block(void)
{
  char *p = mem_strndup("kept", 4);
  fault_arm(0, false);
  CHECK(mem_realloc(p, 1000) == NULL);
  CHECK(fault_disarm());
  CHECK_Z(p, "kept");
  mem_free(p);
}

static void *churn(void *hits)
{
  for(int i = 0; i < 20000; i++) {
    void *p = mem_alloc(16);
    if(!p) atomic_fetch_add((atomic_int *)hits, 1);
    mem_free(p);
  }
  return NULL;
}

/* From four threads at once: no block is lost in the count, and exactly one call of all fails. */
static void t_threads(void)
{
  long before = mem_live();
  atomic_int hits = 0;
  pthread_t t[4];
  fault_arm(1000, false);
  for(int i = 0; i < 4; i++) CHECK_INT(pthread_create(&t[i], NULL, churn, &hits), 0);
  for(int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  CHECK(fault_disarm());
  CHECK_INT(atomic_load(&hits), 1);
  CHECK_INT(mem_live(), before);
}

/* What is freed is there for the next of its kind; not in builds with a sanitizer, which must see every wrong use. */
static bool spares(void)
{
  return spare_round(3000) != 3000;
}

static void t_a_freed_block_comes_back(void)
{
  int kinds = 0;
  if(!spares()) return;
  for(size_t n = 0; n < 20000; n += 7) {
    char *p = mem_alloc(n);
    memset(p, 0xee, n);
    bool kind = spare_room(p) != 0;
    CHECK(spare_room(p) == 0 || spare_room(p) >= n);
    mem_free(p);
    char *again = mem_zalloc(n);
    CHECK(!kind || again == p);
    kinds += kind;
    for(size_t i = 0; i < n; i++)
      if(again[i]) T_FAIL("size %zu: byte %zu is not zero", n, i), i = n;
    mem_free(again);
  }
  CHECK(kinds > 1000);
}

static void t_realloc_across_kinds(void)
{
  static const size_t sizes[] = { 1, 399, 400, 1144, 1145, 2328, 2329, 4664, 4665, 8168, 8169, 8184, 100000 };
  long before = mem_live();
  for(size_t from = 0; from < sizeof sizes / sizeof *sizes; from++)
    for(size_t to = 0; to < sizeof sizes / sizeof *sizes; to++) {
      size_t a = sizes[from], b = sizes[to], both = a < b ? a : b;
      unsigned char *p = mem_alloc(a);
      for(size_t i = 0; i < a; i++) p[i] = (unsigned char)(i * 7);
      p = mem_realloc(p, b);
      for(size_t i = 0; i < both; i++)
        if(p[i] != (unsigned char)(i * 7)) T_FAIL("%zu to %zu: byte %zu differs", a, b, i), i = both;
      memset(p, 1, b);
      mem_free(p);
    }
  CHECK_INT(mem_live(), before);
}

static void t_what_is_kept_is_bounded(void)
{
  enum { MANY = 1000 };
  static void *p[MANY];
  if(!spares()) return;
  for(size_t n = 500; n < 9000; n *= 2) {
    int kept = 0;
    size_t size = spare_round(n);
    for(int i = 0; i < MANY; i++) p[i] = malloc(size);
    for(int i = 0; i < MANY; i++)
      if(spare_put(p[i])) kept++;
      else free(p[i]);
    CHECK(kept < MANY && (size_t)kept * size <= SPARE_BYTES_MAX);
    while((p[0] = spare_take(size))) free(p[0]);
  }
}

/* Each in a process of its own, which must end by abort(). */
static bool aborts(void (*fn)(void))
{
  int status = 0;
  pid_t child = fork();
  if(child == 0) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    fn();
    _exit(0);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void free_twice(void)
{
  void *volatile p = mem_alloc(3000), *volatile q = p;
  mem_free(p);
  mem_free(q);
}

static void write_after_free(void)
{
  char *volatile p = mem_alloc(3000);
  mem_free(p);
  for(int i = 0; i < 64; i++) p[i] = 'x';
  void *volatile again = mem_alloc(3000);
  (void)again;
}

static void t_wrong_use_ends_the_process(void)
{
  if(!spares()) return;
  CHECK(aborts(free_twice));
  CHECK(aborts(write_after_free));
}

static void *churn_spares(void *seed)
{
  unsigned r = *(unsigned *)seed;
  unsigned char *p[8] = { NULL };
  for(int i = 0; i < 40000; i++) {
    r = r * 1103515245u + 12345u;
    int at = (r >> 16) & 7;
    size_t n = 300 + (r >> 20);
    if(p[at] && p[at][0] != at + 1) T_FAIL("a block has two owners");
    mem_free(p[at]);
    p[at] = mem_alloc(n);
    memset(p[at], at + 1, n);
  }
  for(int i = 0; i < 8; i++) mem_free(p[i]);
  return NULL;
}

static void t_spares_from_threads(void)
{
  long before = mem_live();
  unsigned seed[4] = { 1, 2, 3, 4 };
  pthread_t t[4];
  for(int i = 0; i < 4; i++) CHECK_INT(pthread_create(&t[i], NULL, churn_spares, &seed[i]), 0);
  for(int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  CHECK_INT(mem_live(), before);
}

T_MAIN(T(t_counted), T(t_the_nth_fails), T(t_lasting), T(t_realloc_keeps_the_block), T(t_threads), T(t_a_freed_block_comes_back),
       T(t_realloc_across_kinds), T(t_what_is_kept_is_bounded), T(t_wrong_use_ends_the_process), T(t_spares_from_threads))
