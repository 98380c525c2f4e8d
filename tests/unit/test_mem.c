/* The one door to the heap: every block is counted, and any call can be told to fail. */
#include "base/mem.h"

#include <pthread.h>

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

T_MAIN(T(t_counted), T(t_the_nth_fails), T(t_lasting), T(t_realloc_keeps_the_block), T(t_threads))
