#include "domain/responses.h"

#include <pthread.h>

#include "base/mem.h"
#include "proto/responses.h"

enum { RESPONSES_BUCKETS = 1024, RESPONSES_SWEEP_MS = 60 * 1000 };

struct responses_node {
  struct response r;              /* first: what callers see */
  int refs;                       /* of callers, of nodes that continue it, and of the table */
  size_t bytes;
  struct responses_node *next;    /* of its bucket */
  struct responses_node *newer, *older; /* by use */
  char texts[];
};

struct responses {
  pthread_mutex_t lock;
  struct responses_node *buckets[RESPONSES_BUCKETS];
  struct responses_node *newest, *oldest;
  struct responses_count count;
  int64_t swept_ms;
};

/* ---- all below with the lock held ---- */

static struct responses_node **responses_bucket(struct responses *s, struct str id)
{
  struct str core = responses_core(id);
  uint32_t h = 2166136261u;
  for(size_t i = 0; i < core.n; i++) h = (h ^ (unsigned char)core.p[i]) * 16777619u;
  return &s->buckets[h % RESPONSES_BUCKETS];
}

static void responses_unlink(struct responses *s, struct responses_node *n)
{
  if(n->newer) n->newer->older = n->older;
  else s->newest = n->older;
  if(n->older) n->older->newer = n->newer;
  else s->oldest = n->newer;
  n->newer = n->older = NULL;
}

static void responses_link(struct responses *s, struct responses_node *n)
{
  n->older = s->newest;
  if(s->newest) s->newest->newer = n;
  else s->oldest = n;
  s->newest = n;
}

/* One reference less; the chain behind it goes as far as nobody else needs it, without recursion. */
static void responses_drop(struct responses *s, struct responses_node *n)
{
  while(n && --n->refs == 0) {
    struct responses_node *before = (struct responses_node *)n->r.before;
    s->count.bytes -= n->bytes;
    mem_free(n);
    n = before;
  }
}

static void responses_forget(struct responses *s, struct responses_node *n)
{
  struct responses_node **at = responses_bucket(s, n->r.id);
  while(*at != n) at = &(*at)->next;
  *at = n->next;
  responses_unlink(s, n);
  s->count.kept--;
  responses_drop(s, n);
}

static bool responses_old(const struct responses_node *n, int64_t wall_ms)
{
  return wall_ms - n->r.made_ms >= RESPONSES_LIFE_MS;
}

/* exact: the whole id, else what items and their answer have in common. */
static struct responses_node *responses_seek(struct responses *s, const char *key_id, struct str id, bool exact, int64_t wall_ms)
{
  struct str core = responses_core(id);
  if(!core.n) return NULL;
  for(struct responses_node *n = *responses_bucket(s, id); n; n = n->next) {
    if(!str_eq(responses_core(n->r.id), core) || (exact && !str_eq(n->r.id, id))) continue;
    if(strcmp(n->r.key_id, key_id)) continue;
    if(!responses_old(n, wall_ms)) return n;
    responses_forget(s, n);
    return NULL;
  }
  return NULL;
}

static void responses_make_room(struct responses *s, int64_t max, size_t bytes, int64_t wall_ms)
{
  if(wall_ms - s->swept_ms >= RESPONSES_SWEEP_MS || wall_ms < s->swept_ms) {
    s->swept_ms = wall_ms;
    for(struct responses_node *n = s->oldest, *newer; n; n = newer) {
      newer = n->newer;
      if(responses_old(n, wall_ms)) responses_forget(s, n);
    }
  }
  while(s->oldest && (s->count.kept >= max || s->count.bytes + bytes > RESPONSES_SUM_MAX)) responses_forget(s, s->oldest);
}

/* ---- doors ---- */

struct responses *responses_new(void)
{
  struct responses *s = mem_zalloc(sizeof *s);
  if(s) pthread_mutex_init(&s->lock, NULL);
  return s;
}

void responses_destroy(struct responses *s)
{
  if(!s) return;
  while(s->oldest) responses_forget(s, s->oldest);
  pthread_mutex_destroy(&s->lock);
  mem_free(s);
}

static struct str responses_copy(char **at, struct str text)
{
  char *p = *at;
  if(text.n) memcpy(p, text.p, text.n);
  *at += text.n;
  return str_of(p, text.n);
}

enum q_status responses_keep_one(struct responses *s, int64_t max, const struct response *r, int64_t wall_ms)
{
  size_t bytes = sizeof(struct responses_node) + r->id.n + r->input.n + r->object.n;
  if(max <= 0 || !responses_core(r->id).n) return Q_OK;
  if(bytes > RESPONSES_ONE_MAX) return Q_TOO_BIG;
  struct responses_node *n = mem_alloc(bytes);
  if(!n) return Q_NOMEM;
  char *at = n->texts;
  *n = (struct responses_node){ .r = *r, .refs = 1, .bytes = bytes };
  n->r.made_ms = wall_ms;
  n->r.id = responses_copy(&at, r->id);
  n->r.input = responses_copy(&at, r->input);
  n->r.object = responses_copy(&at, r->object);
  pthread_mutex_lock(&s->lock);
  if(n->r.before) ((struct responses_node *)n->r.before)->refs++;
  responses_make_room(s, max, bytes, wall_ms);
  struct responses_node **bucket = responses_bucket(s, n->r.id);
  n->next = *bucket;
  *bucket = n;
  responses_link(s, n);
  s->count.kept++;
  s->count.bytes += bytes;
  pthread_mutex_unlock(&s->lock);
  return Q_OK;
}

static const struct response *responses_take(struct responses *s, const char *key_id, struct str id, bool exact, int64_t wall_ms)
{
  pthread_mutex_lock(&s->lock);
  struct responses_node *n = responses_seek(s, key_id, id, exact, wall_ms);
  if(n) {
    n->refs++;
    responses_unlink(s, n);
    responses_link(s, n);
  }
  pthread_mutex_unlock(&s->lock);
  return n ? &n->r : NULL;
}

const struct response *responses_find(struct responses *s, const char *key_id, struct str id, int64_t wall_ms)
{
  return responses_take(s, key_id, id, true, wall_ms);
}

const struct response *responses_find_item(struct responses *s, const char *key_id, struct str item_id, int64_t wall_ms)
{
  return responses_take(s, key_id, item_id, false, wall_ms);
}

const struct response *responses_ref(struct responses *s, const struct response *r)
{
  if(!r) return NULL;
  pthread_mutex_lock(&s->lock);
  ((struct responses_node *)r)->refs++;
  pthread_mutex_unlock(&s->lock);
  return r;
}

void responses_unref(struct responses *s, const struct response *r)
{
  if(!r) return;
  pthread_mutex_lock(&s->lock);
  responses_drop(s, (struct responses_node *)r);
  pthread_mutex_unlock(&s->lock);
}

bool responses_delete(struct responses *s, const char *key_id, struct str id, int64_t wall_ms)
{
  pthread_mutex_lock(&s->lock);
  struct responses_node *n = responses_seek(s, key_id, id, true, wall_ms);
  if(n) responses_forget(s, n);
  pthread_mutex_unlock(&s->lock);
  return n != NULL;
}

struct responses_count responses_count(struct responses *s)
{
  pthread_mutex_lock(&s->lock);
  struct responses_count c = s->count;
  pthread_mutex_unlock(&s->lock);
  return c;
}
