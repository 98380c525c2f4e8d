#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/spare.h"

/* The test's countdown and the leak counter are the process's, not an app's: two apps share one heap. */
static atomic_long mem_blocks;           /* lint: ok */
static atomic_long mem_countdown = -1;   /* lint: ok  below zero: not armed, or already fired */
static atomic_int mem_mode;              /* lint: ok  0 off, 1 once, 2 lasting; 4 = has fired */

void fault_arm(long n, bool lasting)
{
  atomic_store(&mem_countdown, n);
  atomic_store(&mem_mode, lasting ? 2 : 1);
}

bool fault_disarm(void)
{
  return (atomic_exchange(&mem_mode, 0) & 4) != 0;
}

bool fault_hit(void)
{
  int mode = atomic_load_explicit(&mem_mode, memory_order_relaxed);
  if(__builtin_expect(mode == 0, 1)) return false;
  if((mode & 4) != 0) return (mode & 2) != 0;
  if(atomic_fetch_sub(&mem_countdown, 1) != 0) return false;
  atomic_fetch_or(&mem_mode, 4);
  return true;
}

static void *mem_get(size_t n)
{
  n = spare_round(n);
  void *p = spare_take(n);
  return p ? p : malloc(n ? n : 1);
}

void *mem_alloc(size_t n)
{
  if(fault_hit()) return NULL;
  void *p = mem_get(n);
  if(p) atomic_fetch_add_explicit(&mem_blocks, 1, memory_order_relaxed);
  return p;
}

void *mem_zalloc(size_t n)
{
  if(fault_hit()) return NULL;
  size_t size = spare_round(n);
  void *p = spare_take(size);
  if(p) memset(p, 0, n);
  else p = calloc(1, size ? size : 1);
  if(p) atomic_fetch_add_explicit(&mem_blocks, 1, memory_order_relaxed);
  return p;
}

void *mem_realloc(void *p, size_t n)
{
  if(!p) return mem_alloc(n);
  if(fault_hit()) return NULL;
  size_t have = spare_room(p), want = spare_round(n);
  if(have && have == want) return p;
  if(!have && want == n) return realloc(p, n ? n : 1);
  void *to = mem_get(n);
  if(!to) return NULL;
  have = malloc_usable_size(p);
  memcpy(to, p, have < n ? have : n);
  if(!spare_put(p)) free(p);
  return to;
}

void mem_free(void *p)
{
  if(!p) return;
  atomic_fetch_sub_explicit(&mem_blocks, 1, memory_order_relaxed);
  if(!spare_put(p)) free(p);
}

char *mem_strndup(const char *p, size_t n)
{
  char *s = n == SIZE_MAX ? NULL : mem_alloc(n + 1);
  if(!s) return NULL;
  if(n) memcpy(s, p, n);
  s[n] = 0;
  return s;
}

long mem_live(void)
{
  return atomic_load(&mem_blocks);
}
