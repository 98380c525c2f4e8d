#include "domain/responses.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"
#include "proto/responses.h"

enum { RESPONSES_BUCKETS = 1024, RESPONSES_SWEEP_MS = 60 * 1000, RESPONSES_BATCH = 16, RESPONSES_BATCH_BYTES = 4 * 1024 * 1024 };
enum responses_form { FORM_NONE, FORM_HIDDEN /* only others continue it */, FORM_SHOWN }; /* of a record */

struct responses_node {
  struct response r;              /* first: what callers see */
  int refs;                       /* of callers, of nodes that continue it, and of the table */
  size_t bytes;
  bool shown;                     /* in the table */
  bool bad;                       /* while reading: of no use */
  bool waits, busy;               /* its record is to be looked after; is being so */
  enum responses_form record;     /* what is in the store */
  struct responses_node *after;   /* it in the queue */
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
  struct responses_home home;     /* store NULL: nothing is written */
  struct job job;                 /* looks after the records of the queue, in order */
  bool at_work;
  struct responses_node *first, *last;
  uint64_t queued, served;        /* nodes, ever */
  pthread_cond_t moved;           /* served */
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

static void responses_queue(struct responses *s, struct responses_node *n)
{
  if(!s->home.store || n->waits) return;
  n->waits = true;
  n->after = NULL;
  if(s->last) s->last->after = n;
  else s->first = n;
  s->last = n;
  s->queued++;
  if(!s->at_work && s->home.jobs) s->at_work = jobs_submit(s->home.jobs, &s->job) == Q_OK;
}

/* One reference less; the chain behind it goes as far as nobody else needs it, without recursion. */
static void responses_drop(struct responses *s, struct responses_node *n)
{
  while(n && --n->refs == 0) {
    struct responses_node *before = (struct responses_node *)n->r.before;
    s->count.bytes -= n->bytes;
    n->r.before = NULL;
    if(s->home.store && n->record && !n->waits) responses_queue(s, n);
    if(!n->waits && !n->busy) mem_free(n); /* else who looks after its record does */
    n = before;
  }
}

static void responses_forget(struct responses *s, struct responses_node *n)
{
  struct responses_node **at = responses_bucket(s, n->r.id);
  while(*at != n) at = &(*at)->next;
  *at = n->next;
  responses_unlink(s, n);
  n->shown = false;
  s->count.kept--;
  if(n->refs > 1) responses_queue(s, n);
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

/* ---- records: "1 MADE KEY BEFORE FORM INPUT_BYTES\n" and both texts, sealed ---- */

static enum responses_form responses_wanted(const struct responses_node *n)
{
  return !n->refs ? FORM_NONE : n->shown ? FORM_SHOWN : FORM_HIDDEN;
}

struct responses_batch {
  struct responses_node *v[RESPONSES_BATCH];
  enum responses_form wanted[RESPONSES_BATCH];
  struct strbuf keys[RESPONSES_BATCH], values[RESPONSES_BATCH];
  int n;
};

/* With the lock held: the head of the queue. Who is to be written has a reference, so that its texts stay. */
static void responses_gather(struct responses *s, struct responses_batch *b)
{
  size_t bytes = 0;
  b->n = 0;
  while(s->first && b->n < RESPONSES_BATCH && bytes < RESPONSES_BATCH_BYTES) {
    struct responses_node *n = s->first;
    s->first = n->after;
    if(!s->first) s->last = NULL;
    n->waits = false;
    n->busy = true;
    b->wanted[b->n] = responses_wanted(n);
    if(b->wanted[b->n]) n->refs++, bytes += n->bytes;
    b->v[b->n++] = n;
  }
}

static enum q_status responses_record(const struct responses *s, const struct responses_node *n, enum responses_form form, struct str key,
                                      struct strbuf *out)
{
  struct strbuf plain = STRBUF(n->bytes);
  strbuf_fmt(out, "1 %lld %s %.*s %d %zu\n", (long long)n->r.made_ms, n->r.key_id[0] ? n->r.key_id : "-",
             STR_F(n->r.before ? n->r.before->id : S("-")), form, n->r.input.n);
  strbuf_adds(&plain, n->r.input);
  strbuf_adds(&plain, n->r.object);
  enum q_status st = plain.err ? plain.err : seal_text(s->home.seal, key, strbuf_str(&plain), out);
  strbuf_free(&plain);
  return st;
}

/* Without the lock. */
static enum q_status responses_write(struct responses *s, struct responses_batch *b)
{
  struct store_op ops[RESPONSES_BATCH];
  enum q_status st = Q_OK;
  int n = 0;
  for(int i = 0; i < b->n; i++) {
    b->keys[i] = STRBUF(512);
    b->values[i] = STRBUF((size_t)RESPONSES_ONE_MAX * 2);
    if(b->wanted[i] == b->v[i]->record) continue;
    strbuf_lit(&b->keys[i], "resp/");
    strbuf_adds(&b->keys[i], b->v[i]->r.id);
    struct str key = strbuf_str(&b->keys[i]);
    if(b->wanted[i] && !st) st = responses_record(s, b->v[i], b->wanted[i], key, &b->values[i]);
    ops[n++] = (struct store_op){ .key = key, .value = strbuf_str(&b->values[i]), .del = !b->wanted[i] };
  }
  if(!st && n) st = s->home.store->ops->commit(s->home.store, ops, n);
  for(int i = 0; i < b->n; i++) {
    strbuf_free(&b->keys[i]);
    strbuf_free(&b->values[i]);
  }
  return st;
}

/* With the lock held, but for the writing itself: all that waits. */
static enum q_status responses_serve(struct responses *s)
{
  enum q_status all = Q_OK;
  while(s->first) {
    struct responses_batch b;
    responses_gather(s, &b);
    pthread_mutex_unlock(&s->lock);
    enum q_status st = responses_write(s, &b);
    if(st && s->home.log) LOG_ERROR(s->home.log, "store", "", "%d kept responses could not be written. %s", b.n, store_trouble(s->home.store));
    pthread_mutex_lock(&s->lock);
    if(st) all = st;
    for(int i = 0; i < b.n; i++) {
      struct responses_node *n = b.v[i];
      n->busy = false;
      if(!st) n->record = b.wanted[i];
      if(b.wanted[i]) responses_drop(s, n);
      else mem_free(n);
    }
    s->served += (uint64_t)b.n;
    pthread_cond_broadcast(&s->moved);
  }
  return all;
}

static void responses_job(struct job *j)
{
  struct responses *s = (struct responses *)((char *)j - offsetof(struct responses, job));
  pthread_mutex_lock(&s->lock);
  (void)responses_serve(s);
  s->at_work = false;
  pthread_cond_broadcast(&s->moved);
  pthread_mutex_unlock(&s->lock);
}

/* ---- doors ---- */

struct responses *responses_new(void)
{
  struct responses *s = mem_zalloc(sizeof *s);
  if(!s) return NULL;
  pthread_mutex_init(&s->lock, NULL);
  pthread_cond_init(&s->moved, NULL);
  s->job.fn = responses_job;
  return s;
}

void responses_destroy(struct responses *s)
{
  if(!s) return;
  s->home.store = NULL;
  while(s->first) { /* no job was to be had for them */
    struct responses_node *n = s->first;
    s->first = n->after;
    n->waits = false;
    if(!n->refs) mem_free(n);
  }
  while(s->oldest) responses_forget(s, s->oldest);
  pthread_cond_destroy(&s->moved);
  pthread_mutex_destroy(&s->lock);
  mem_free(s);
}

void responses_stop(struct responses *s)
{
  if(!s) return;
  pthread_mutex_lock(&s->lock);
  s->home.jobs = NULL;
  pthread_mutex_unlock(&s->lock);
}

static struct str responses_copy(char **at, struct str text)
{
  char *p = *at;
  if(text.n) memcpy(p, text.p, text.n);
  *at += text.n;
  return str_of(p, text.n);
}

static struct responses_node *responses_node_new(const struct response *r, int64_t made_ms)
{
  size_t bytes = sizeof(struct responses_node) + r->id.n + r->input.n + r->object.n;
  struct responses_node *n = mem_alloc(bytes);
  if(!n) return NULL;
  char *at = n->texts;
  *n = (struct responses_node){ .r = *r, .refs = 1, .bytes = bytes };
  n->r.made_ms = made_ms;
  n->r.id = responses_copy(&at, r->id);
  n->r.input = responses_copy(&at, r->input);
  n->r.object = responses_copy(&at, r->object);
  return n;
}

/* Into the table, which has one of its references. */
static void responses_show(struct responses *s, struct responses_node *n)
{
  struct responses_node **bucket = responses_bucket(s, n->r.id);
  n->next = *bucket;
  *bucket = n;
  n->shown = true;
  responses_link(s, n);
  s->count.kept++;
}

enum q_status responses_keep_one(struct responses *s, int64_t max, const struct response *r, int64_t wall_ms)
{
  if(max <= 0 || !responses_core(r->id).n) return Q_OK;
  if(sizeof(struct responses_node) + r->id.n + r->input.n + r->object.n > RESPONSES_ONE_MAX) return Q_TOO_BIG;
  struct responses_node *n = responses_node_new(r, wall_ms);
  if(!n) return Q_NOMEM;
  pthread_mutex_lock(&s->lock);
  if(n->r.before) ((struct responses_node *)n->r.before)->refs++;
  responses_make_room(s, max, n->bytes, wall_ms);
  responses_show(s, n);
  s->count.bytes += n->bytes;
  responses_queue(s, n);
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
  uint64_t until = s->queued;
  while(n && s->at_work && s->served < until) pthread_cond_wait(&s->moved, &s->lock);
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

/* ---- reading at the start ---- */

struct responses_found { struct responses_node *node; struct str before; bool bad; }; /* before: copied */
struct responses_scan { struct responses *s; struct responses_found *v; size_t n, cap, bytes; bool full; };

static bool responses_read(struct responses_scan *x, struct str key, struct str value, struct responses_found *f)
{
  int64_t made, form, input;
  struct str head = str_cut(&value, '\n'), version = str_cut(&head, ' '), made_s = str_cut(&head, ' '), owner = str_cut(&head, ' ');
  struct str before = str_cut(&head, ' '), form_s = str_cut(&head, ' ');
  struct response r = { .before = NULL, .id = str_sub(key, 5, key.n) };
  struct strbuf plain = STRBUF(RESPONSES_ONE_MAX);
  bool ok = str_eq(version, S("1")) && str_int(made_s, &made) && str_int(form_s, &form) && str_int(head, &input) && owner.n < sizeof r.key_id &&
            (form == FORM_SHOWN || form == FORM_HIDDEN) && input >= 0 && responses_core(r.id).n;
  ok = ok && seal_plain(x->s->home.seal, key, value, &plain) == Q_OK && (size_t)input <= plain.n;
  if(ok) {
    if(!str_eq(owner, S("-"))) str_copy(r.key_id, sizeof r.key_id, owner);
    r.input = str_sub(strbuf_str(&plain), 0, (size_t)input);
    r.object = str_sub(strbuf_str(&plain), (size_t)input, plain.n);
    f->node = responses_node_new(&r, made);
    if(f->node) f->node->record = (enum responses_form)form;
    if(!str_eq(before, S("-"))) f->before = str_of(mem_strndup(before.p, before.n), before.n);
    ok = f->node && (!before.n || str_eq(before, S("-")) || f->before.p);
  }
  strbuf_free(&plain);
  return ok;
}

/* A record that cannot be read stays as a node without texts, to be deleted. */
static bool responses_scan_one(void *ctx, struct str key, struct str value)
{
  struct responses_scan *x = ctx;
  if(x->n == x->cap) {
    struct responses_found *v = mem_realloc(x->v, sizeof *v * (x->cap * 2 + 64));
    if(!v) return x->full = true, false;
    x->v = v;
    x->cap = x->cap * 2 + 64;
  }
  struct responses_found *f = &x->v[x->n];
  *f = (struct responses_found){ .node = NULL };
  f->bad = !responses_read(x, key, value, f);
  if(f->bad && !f->node) {
    f->node = responses_node_new(&(struct response){ .id = str_sub(key, 5, key.n) }, 0);
    if(!f->node) return x->full = true, false;
    f->node->record = FORM_HIDDEN;
  }
  x->s->count.bytes += f->node->bytes;
  x->n++;
  return true;
}

static int responses_order(struct str a, struct str b)
{
  int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
  return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int responses_by_time(const void *a, const void *b)
{
  const struct responses_node *x = ((const struct responses_found *)a)->node, *y = ((const struct responses_found *)b)->node;
  return x->r.made_ms != y->r.made_ms ? (x->r.made_ms < y->r.made_ms ? -1 : 1) : responses_order(x->r.id, y->r.id);
}

static int responses_by_id(const void *a, const void *b)
{
  return responses_order(((const struct responses_found *)a)->node->r.id, ((const struct responses_found *)b)->node->r.id);
}

/* What each continues; one whose past is gone is of no use. */
static void responses_chain(struct responses_scan *x)
{
  qsort(x->v, x->n, sizeof *x->v, responses_by_id);
  for(size_t i = 0; i < x->n; i++) {
    struct responses_found *f = &x->v[i], *past;
    struct responses_node sought = { .r = { .id = f->before } };
    struct responses_found key = { .node = &sought };
    if(!f->before.p || f->bad) continue;
    past = bsearch(&key, x->v, x->n, sizeof *x->v, responses_by_id);
    if(past && past->node->r.made_ms <= f->node->r.made_ms && past != f) {
      f->node->r.before = &past->node->r;
      past->node->refs++;
    } else f->bad = true;
  }
  qsort(x->v, x->n, sizeof *x->v, responses_by_time);
  for(bool more = true; more;) { /* a past that is bad spoils all that follows; mostly one pass, for the oldest come first */
    more = false;
    for(size_t i = 0; i < x->n; i++) {
      struct responses_node *n = x->v[i].node;
      bool bad = x->v[i].bad || (n->r.before && ((const struct responses_node *)n->r.before)->bad);
      more |= bad && !n->bad && i + 1 < x->n;
      n->bad = x->v[i].bad = bad;
    }
  }
}

enum q_status responses_load(struct responses *s, const struct responses_home *home, int64_t max, bool anew, int64_t wall_ms)
{
  struct responses_scan x = { .s = s };
  pthread_mutex_lock(&s->lock);
  s->home = *home;
  s->home.jobs = NULL; /* in place */
  enum q_status st = home->store->ops->scan(home->store, S("resp/"), responses_scan_one, &x);
  if(!st && x.full) st = Q_NOMEM;
  if(!st && x.n) responses_chain(&x);
  for(size_t i = 0; !st && i < x.n; i++) {
    struct responses_node *n = x.v[i].node;
    if(x.v[i].bad || max <= 0 || n->record != FORM_SHOWN || responses_old(n, wall_ms)) continue;
    n->refs++;
    responses_show(s, n);
  }
  if(st) s->home.store = NULL; /* nothing is deleted for a failure to read */
  for(size_t i = x.n; i > 0; i--) { /* our own references; those that nobody else has go, and their records */
    struct responses_node *n = x.v[i - 1].node;
    mem_free((char *)x.v[i - 1].before.p);
    if(!st && n->refs > 1 && (anew || responses_wanted(n) != n->record)) {
      if(anew) n->record = FORM_NONE;
      responses_queue(s, n);
    }
    responses_drop(s, n);
  }
  mem_free(x.v);
  if(!st) {
    responses_make_room(s, max + 1, 0, wall_ms); /* there may be fewer allowed than before */
    enum q_status wrote = responses_serve(s);
    if(anew) st = wrote;
  }
  s->home.jobs = home->jobs;
  pthread_mutex_unlock(&s->lock);
  return st;
}
