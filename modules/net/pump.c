#include "net/pump.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

enum { PUMP_BATCH = 128 };

struct pump {
  int epoll_fd, wake_fd;
  const struct now *now;
  int64_t now_ms;
  atomic_llong turned_ms;
  atomic_bool stop;
  bool heavy_taken;

  struct epoll_event batch[PUMP_BATCH]; /* gathered this turn; pump_del() blanks what is gone */
  int batch_n, batch_at;

  struct pump_timer **heap; /* 1-based binary heap by at_ms */
  unsigned heap_n, heap_cap;

  pthread_mutex_t lock; /* guards posted */
  struct pump_task *posted, **posted_end;
  atomic_bool pending; /* something was posted since the last look */
  atomic_bool asleep;  /* waiting, or about to: whoever posts must wake it */

  struct pump_task *deferred, **deferred_end;
  struct pump_task *running; /* deferred tasks being run in this turn */
};

/* Of a pump that is awake the flag is enough: it looks before it sleeps. Nobody reads the counter, because every write to it is an
 * edge of its own. */
static void pump_wake(struct pump *p)
{
  uint64_t one = 1;
  atomic_store(&p->pending, true);
  if(!atomic_exchange(&p->asleep, false)) return;
  while(write(p->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

struct pump *pump_new(const struct now *now)
{
  struct pump *p = mem_zalloc(sizeof *p);
  if(!p) return NULL;
  p->now = now;
  p->now_ms = now_mono_ms(now);
  atomic_init(&p->turned_ms, p->now_ms);
  pthread_mutex_init(&p->lock, NULL);
  p->posted_end = &p->posted;
  p->deferred_end = &p->deferred;
  p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };
  if(p->epoll_fd < 0 || p->wake_fd < 0 || epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &ev) != 0) {
    pump_destroy(p);
    return NULL;
  }
  return p;
}

void pump_destroy(struct pump *p)
{
  if(!p) return;
  if(p->epoll_fd >= 0) close(p->epoll_fd);
  if(p->wake_fd >= 0) close(p->wake_fd);
  pthread_mutex_destroy(&p->lock);
  mem_free(p->heap);
  mem_free(p);
}

enum q_status pump_add(struct pump *p, struct pump_io *io)
{
  struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = io };
  if(fault_hit()) return Q_NOMEM;
  return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) == 0 ? Q_OK : Q_NOMEM;
}

enum q_status pump_add_listener(struct pump *p, struct pump_io *io)
{
  struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = io };
  return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, io->fd, &ev) == 0 ? Q_OK : Q_NOMEM;
}

void pump_del(struct pump *p, struct pump_io *io)
{
  for(int i = p->batch_at; i < p->batch_n; i++)
    if(p->batch[i].data.ptr == io) p->batch[i].events = 0;
  epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
}

/* ---- timers: a binary heap of pointers ---- */

static void pump_heap_put(struct pump *p, unsigned at, struct pump_timer *t)
{
  p->heap[at] = t;
  t->slot = at;
}

static void pump_heap_up(struct pump *p, unsigned at)
{
  struct pump_timer *t = p->heap[at];
  for(; at > 1 && p->heap[at / 2]->at_ms > t->at_ms; at /= 2) pump_heap_put(p, at, p->heap[at / 2]);
  pump_heap_put(p, at, t);
}

static void pump_heap_down(struct pump *p, unsigned at)
{
  struct pump_timer *t = p->heap[at];
  for(unsigned kid; (kid = at * 2) <= p->heap_n; at = kid) {
    if(kid < p->heap_n && p->heap[kid + 1]->at_ms < p->heap[kid]->at_ms) kid++;
    if(p->heap[kid]->at_ms >= t->at_ms) break;
    pump_heap_put(p, at, p->heap[kid]);
  }
  pump_heap_put(p, at, t);
}

enum q_status pump_timer_set(struct pump *p, struct pump_timer *t, int64_t at_ms)
{
  if(t->slot) {
    int64_t was = t->at_ms;
    t->at_ms = at_ms;
    if(at_ms < was) pump_heap_up(p, t->slot);
    else pump_heap_down(p, t->slot);
    return Q_OK;
  }
  if(p->heap_n + 2 > p->heap_cap) {
    unsigned cap = p->heap_cap ? p->heap_cap * 2 : 64;
    struct pump_timer **heap = mem_realloc(p->heap, cap * sizeof *heap);
    if(!heap) return Q_NOMEM;
    p->heap = heap;
    p->heap_cap = cap;
  }
  t->at_ms = at_ms;
  pump_heap_put(p, ++p->heap_n, t);
  pump_heap_up(p, t->slot);
  return Q_OK;
}

void pump_timer_off(struct pump *p, struct pump_timer *t)
{
  unsigned at = t->slot;
  if(!at) return;
  t->slot = 0;
  struct pump_timer *last = p->heap[p->heap_n--];
  if(last == t) return;
  pump_heap_put(p, at, last);
  pump_heap_up(p, at);
  pump_heap_down(p, last->slot);
}

static void pump_timers(struct pump *p)
{
  while(p->heap_n && p->heap[1]->at_ms <= p->now_ms) {
    struct pump_timer *t = p->heap[1];
    pump_timer_off(p, t);
    t->fn(t);
  }
}

/* ---- tasks ---- */

void pump_post(struct pump *p, struct pump_task *t)
{
  t->next = NULL;
  pthread_mutex_lock(&p->lock);
  *p->posted_end = t;
  p->posted_end = &t->next;
  pthread_mutex_unlock(&p->lock);
  pump_wake(p);
}

static void pump_run_posted(struct pump *p)
{
  if(!atomic_exchange(&p->pending, false)) return;
  pthread_mutex_lock(&p->lock);
  struct pump_task *t = p->posted;
  p->posted = NULL;
  p->posted_end = &p->posted;
  pthread_mutex_unlock(&p->lock);
  while(t) {
    struct pump_task *next = t->next; /* t may be freed by its own function */
    t->fn(t);
    t = next;
  }
}

void pump_defer(struct pump *p, struct pump_task *t)
{
  t->next = NULL;
  *p->deferred_end = t;
  p->deferred_end = &t->next;
}

static bool pump_unlink(struct pump_task **at, struct pump_task ***end, struct pump_task *t)
{
  while(*at && *at != t) at = &(*at)->next;
  if(!*at) return false;
  *at = t->next;
  if(*end == &t->next) *end = at;
  return true;
}

void pump_undefer(struct pump *p, struct pump_task *t)
{
  struct pump_task **no_end = NULL;
  if(!pump_unlink(&p->deferred, &p->deferred_end, t)) (void)pump_unlink(&p->running, &no_end, t);
}

/* Runs what was deferred before this turn; what these defer comes in the next. */
static void pump_run_deferred(struct pump *p)
{
  p->running = p->deferred;
  p->deferred = NULL;
  p->deferred_end = &p->deferred;
  while(p->running) {
    struct pump_task *t = p->running;
    p->running = t->next;
    t->fn(t);
  }
}

bool pump_heavy(struct pump *p)
{
  bool free_step = !p->heavy_taken;
  p->heavy_taken = true;
  return free_step;
}

int64_t pump_now(const struct pump *p)
{
  return p->now_ms;
}

int64_t pump_turned_ms(const struct pump *p)
{
  return atomic_load_explicit(&p->turned_ms, memory_order_relaxed);
}

const struct now *pump_clock(const struct pump *p)
{
  return p->now;
}

static int pump_wait_ms(const struct pump *p, int max_wait_ms)
{
  if(p->deferred) return 0;
  if(!p->heap_n) return max_wait_ms;
  int64_t wait = p->heap[1]->at_ms - now_mono_ms(p->now);
  if(wait < 0) wait = 0;
  if(wait > 60000) wait = 60000;
  return max_wait_ms >= 0 && wait > max_wait_ms ? max_wait_ms : (int)wait;
}

void pump_turn(struct pump *p, int max_wait_ms)
{
  atomic_store(&p->asleep, true);
  int wait_ms = atomic_load(&p->pending) ? 0 : pump_wait_ms(p, max_wait_ms);
  int n = epoll_wait(p->epoll_fd, p->batch, PUMP_BATCH, wait_ms);
  atomic_store(&p->asleep, false);
  p->now_ms = now_mono_ms(p->now);
  atomic_store_explicit(&p->turned_ms, p->now_ms, memory_order_relaxed);
  p->heavy_taken = false;
  p->batch_n = n < 0 ? 0 : n;
  for(p->batch_at = 0; p->batch_at < p->batch_n;) {
    struct epoll_event *ev = &p->batch[p->batch_at++];
    struct pump_io *io = ev->data.ptr;
    if(io && ev->events) io->fn(io, ev->events);
  }
  p->batch_n = p->batch_at = 0;
  pump_run_posted(p);
  pump_timers(p);
  pump_run_deferred(p);
}

void pump_run(struct pump *p)
{
  while(!atomic_load(&p->stop)) pump_turn(p, 1000);
}

void pump_stop(struct pump *p)
{
  atomic_store(&p->stop, true);
  pump_wake(p);
}
