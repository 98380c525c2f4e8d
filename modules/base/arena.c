#include "base/arena.h"

#include "base/mem.h"

enum { ARENA_BLOCK_MAX = 256 * 1024, ARENA_FREE = 64 * 1024 };

struct arena_block {
  struct arena_block *next;
  size_t used, cap;
  bool counted;
  _Alignas(16) char data[];
};

/* Small arenas are not counted: a request of common size touches nothing that is shared, and is served when large ones crowd. */
static bool arena_counts(const struct arena *a, size_t cap)
{
  return a->sum && a->used + cap > ARENA_FREE;
}

static bool arena_take(struct arena *a, size_t cap)
{
  if(atomic_fetch_add(&a->sum->used, cap) + cap <= atomic_load(&a->sum->max)) return true;
  atomic_fetch_sub(&a->sum->used, cap);
  return false;
}

static void arena_drop(struct arena *a, struct arena_block *b)
{
  if(b->counted) atomic_fetch_sub(&a->sum->used, b->cap);
  mem_free(b);
}

void *arena_alloc(struct arena *a, size_t n)
{
  if(n > SIZE_MAX - 31) return NULL;
  n = (n + 15) & ~(size_t)15;
  if(n == 0) n = 16;
  struct arena_block *b = a->head;
  if(!b || b->cap - b->used < n) {
    size_t cap = b ? b->cap * 2 : 2048;
    if(cap > ARENA_BLOCK_MAX) cap = ARENA_BLOCK_MAX;
    if(cap < n) cap = n;
    if(a->used > a->max || cap > a->max - a->used) cap = n; /* near the limit: exactly what is asked */
    if(a->used > a->max || cap > a->max - a->used) return NULL;
    bool counted = arena_counts(a, cap);
    if(counted && !arena_take(a, cap)) return NULL;
    struct arena_block *fresh = mem_alloc(sizeof *fresh + cap);
    if(!fresh) {
      if(counted) atomic_fetch_sub(&a->sum->used, cap);
      return NULL;
    }
    *fresh = (struct arena_block){ b, 0, cap, counted };
    a->used += cap;
    a->head = b = fresh;
  }
  void *p = b->data + b->used;
  b->used += n;
  memset(p, 0, n);
  return p;
}

struct str arena_str(struct arena *a, struct str s)
{
  char *p = s.n == SIZE_MAX ? NULL : arena_alloc(a, s.n + 1);
  if(!p) return STR_NONE;
  if(s.n) memcpy(p, s.p, s.n);
  return str_of(p, s.n);
}

bool arena_crowded(const struct arena *a)
{
  return a->sum && atomic_load(&a->sum->used) + ARENA_BLOCK_MAX > atomic_load(&a->sum->max);
}

void arena_free(struct arena *a)
{
  while(a->head) {
    struct arena_block *next = a->head->next;
    arena_drop(a, a->head);
    a->head = next;
  }
  a->used = 0;
}

void arena_reset(struct arena *a)
{
  struct arena_block *first = a->head;
  while(first && first->next) {
    struct arena_block *next = first->next;
    arena_drop(a, first);
    first = next;
  }
  if(first && first->cap > 16 * 1024) {
    arena_drop(a, first);
    first = NULL;
  }
  if(first) first->used = 0;
  a->used = first ? first->cap : 0;
  a->head = first;
}
