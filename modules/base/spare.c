#include "base/spare.h"

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SPARE_OFF 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPARE_OFF 1
#endif
#ifndef SPARE_OFF
#define SPARE_OFF 0
#endif

enum { SPARE_KINDS = 4, SPARE_MIN = 400 };

struct spare {
  struct spare *next;
  uintptr_t mark;
};

/* Sizes that fill a slot of musl's, and that glibc reports unchanged. */
static const struct { size_t size; int max; } spare_kinds[SPARE_KINDS] = { { 1144, 192 }, { 2328, 192 }, { 4664, 48 }, { 8168, 48 } };

/* The heap is the process's, and so is what is kept of it. */
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;    /* lint: ok */
static struct { struct spare *first; int n; } spares[SPARE_KINDS]; /* lint: ok */

static uintptr_t spare_mark(const struct spare *s)
{
  return (uintptr_t)s ^ (uintptr_t)0x9e3779b97f4a7c15ull;
}

static int spare_kind(size_t n)
{
  if(SPARE_OFF || n < SPARE_MIN || n > spare_kinds[SPARE_KINDS - 1].size) return -1;
  int k = 0;
  while(spare_kinds[k].size < n) k++;
  return k;
}

size_t spare_round(size_t n)
{
  int k = spare_kind(n);
  return k < 0 ? n : spare_kinds[k].size;
}

size_t spare_room(void *p)
{
  if(SPARE_OFF) return 0;
  size_t have = malloc_usable_size(p);
  int k = spare_kind(have);
  return k < 0 || spare_kinds[k].size != have ? 0 : have;
}

void *spare_take(size_t n)
{
  int k = spare_kind(n);
  if(k < 0) return NULL;
  pthread_mutex_lock(&spare_lock);
  struct spare *s = spares[k].first;
  if(s) {
    if(s->mark != spare_mark(s)) abort();
    spares[k].first = s->next;
    spares[k].n--;
  }
  pthread_mutex_unlock(&spare_lock);
  if(s) s->mark = 0;
  return s;
}

bool spare_put(void *p)
{
  size_t room = spare_room(p);
  if(!room) return false;
  int k = spare_kind(room);
  struct spare *s = p;
  pthread_mutex_lock(&spare_lock);
  if(s->mark == spare_mark(s)) /* freed before, or by chance */
    for(struct spare *one = spares[k].first; one; one = one->next)
      if(one == s) abort();
  bool kept = spares[k].n < spare_kinds[k].max;
  if(kept) {
    *s = (struct spare){ spares[k].first, spare_mark(s) };
    spares[k].first = s;
    spares[k].n++;
  }
  pthread_mutex_unlock(&spare_lock);
  return kept;
}
