/* The event loop: order of timers, edges, posts from many threads, taking back what was gathered. */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../t.h"

#include "base/mem.h"
#include "net/pump.h"

static int64_t fake_us;
static int64_t fake_mono(void *ctx)
{
  (void)ctx;
  return fake_us;
}
static const struct now fake_now = { fake_mono, fake_mono, NULL };

/* ---- timers ---- */

enum { TIMERS = 500 };
static struct timer_case {
  struct pump_timer t;
  int64_t want_ms;
  bool on;
} timers[TIMERS];
static struct pump *timer_pump;
static int64_t timer_last;
static int timer_fired;

static void timer_fire(struct pump_timer *t)
{
  struct timer_case *c = (struct timer_case *)t;
  CHECK(c->on);
  CHECK(t->slot == 0);
  CHECK(c->want_ms <= pump_now(timer_pump));
  CHECK(c->want_ms >= timer_last); /* in order of time */
  timer_last = c->want_ms;
  c->on = false;
  timer_fired++;
}

static void t_timers(void)
{
  unsigned seed = 7;
  struct pump *p = timer_pump = pump_new(&fake_now);
  fake_us = 1000000;
  pump_turn(p, 0);
  for(int round = 0; round < 20; round++) {
    int on = 0;
    timer_fired = 0;
    timer_last = 0;
    for(int i = 0; i < TIMERS * 4; i++) {
      struct timer_case *c = &timers[rand_r(&seed) % TIMERS];
      c->t.fn = timer_fire;
      if(rand_r(&seed) % 4 == 0) {
        pump_timer_off(p, &c->t);
        c->on = false;
      } else {
        c->want_ms = fake_us / 1000 + rand_r(&seed) % 1000;
        c->on = true;
        CHECK_INT(pump_timer_set(p, &c->t, c->want_ms), Q_OK);
      }
    }
    for(int i = 0; i < TIMERS; i++) on += timers[i].on;
    for(int ms = 0; ms <= 1000; ms += 50) {
      pump_turn(p, 0);
      for(int i = 0; i < TIMERS; i++) CHECK(!timers[i].on || timers[i].want_ms > fake_us / 1000);
      fake_us += 50000;
    }
    CHECK_INT(timer_fired, on);
  }
  pump_destroy(p);
}

static int64_t real_fired_ms;
static void real_fire(struct pump_timer *t)
{
  (void)t;
  real_fired_ms = now_mono_ms(&now_real);
}

static void t_timer_wakes(void)
{
  struct pump *p = pump_new(&now_real);
  struct pump_timer t = { .fn = real_fire };
  int64_t at = now_mono_ms(&now_real) + 30;
  CHECK_INT(pump_timer_set(p, &t, at), Q_OK);
  for(int i = 0; i < 10 && !real_fired_ms; i++) pump_turn(p, 1000);
  CHECK(real_fired_ms >= at && real_fired_ms < at + 500);
  pump_destroy(p);
}

/* A timer that fires may switch another off that is due in the same turn. */
static struct pump_timer twin[2];
static int twin_fired;
static void twin_fire(struct pump_timer *t)
{
  twin_fired++;
  pump_timer_off(timer_pump, t == &twin[0] ? &twin[1] : &twin[0]);
}

static void t_timer_takes_back(void)
{
  struct pump *p = timer_pump = pump_new(&fake_now);
  twin[0].fn = twin[1].fn = twin_fire;
  CHECK_INT(pump_timer_set(p, &twin[0], fake_us / 1000 + 5), Q_OK);
  CHECK_INT(pump_timer_set(p, &twin[1], fake_us / 1000 + 5), Q_OK);
  fake_us += 10000;
  pump_turn(p, 0);
  CHECK_INT(twin_fired, 1);
  pump_destroy(p);
}

/* ---- sockets ---- */

struct sock {
  struct pump_io io;
  struct pump *pump;
  struct sock *other; /* taken back by the first that is called */
  uint32_t events;
  int calls;
};

static void sock_fn(struct pump_io *io, uint32_t events)
{
  struct sock *s = (struct sock *)io;
  s->events |= events;
  s->calls++;
  if(s->other && s->other->io.fd >= 0) {
    pump_del(s->pump, &s->other->io);
    s->other->io.fd = -1;
  }
}

static void t_edges(void)
{
  int fd[2];
  char b[8];
  struct pump *p = pump_new(&now_real);
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
  struct sock s = { .io = { sock_fn, fd[0] }, .pump = p };
  CHECK_INT(pump_add(p, &s.io), Q_OK);
  pump_turn(p, 10);
  CHECK_INT(s.calls, 1); /* writable at once */
  CHECK(s.events & EPOLLOUT && !(s.events & EPOLLIN));
  pump_turn(p, 0);
  CHECK_INT(s.calls, 1); /* no edge, no call */
  CHECK_INT(write(fd[1], "ab", 2), 2);
  pump_turn(p, 10);
  CHECK_INT(s.calls, 2);
  CHECK(s.events & EPOLLIN);
  pump_turn(p, 0);
  CHECK_INT(s.calls, 2);
  CHECK_INT(write(fd[1], "c", 1), 1);
  pump_turn(p, 10);
  CHECK_INT(s.calls, 3); /* more bytes are a new edge even though the old ones wait */
  CHECK_INT(read(fd[0], b, sizeof b), 3);
  CHECK_INT(shutdown(fd[1], SHUT_WR), 0);
  pump_turn(p, 10);
  CHECK(s.events & EPOLLRDHUP);
  pump_del(p, &s.io);
  close(fd[1]);
  int before = s.calls;
  pump_turn(p, 0);
  CHECK_INT(s.calls, before);
  close(fd[0]);
  pump_destroy(p);
}

/* Two sockets are ready in one batch; the first called takes the second back: it must not be called any more. */
static void t_taken_back_in_batch(void)
{
  int a[2], b[2];
  struct pump *p = pump_new(&now_real);
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
  struct sock s = { .io = { sock_fn, a[0] }, .pump = p }, t = { .io = { sock_fn, b[0] }, .pump = p };
  s.other = &t;
  t.other = &s;
  CHECK_INT(pump_add(p, &s.io), Q_OK);
  CHECK_INT(pump_add(p, &t.io), Q_OK);
  pump_turn(p, 10);
  CHECK_INT(s.calls + t.calls, 1);
  if(s.io.fd >= 0) pump_del(p, &s.io);
  if(t.io.fd >= 0) pump_del(p, &t.io);
  for(int i = 0; i < 2; i++) close(a[i]), close(b[i]);
  pump_destroy(p);
}

/* ---- tasks ---- */

enum { POSTERS = 4, POSTS = 20000 };
struct post {
  struct pump_task task;
  int poster, number;
};
static struct post posts[POSTERS][POSTS];
static int post_next[POSTERS], post_count;
static struct pump *post_pump;

static void post_fn(struct pump_task *t)
{
  struct post *q = (struct post *)t;
  if(q->number != post_next[q->poster]) CHECK_INT(q->number, post_next[q->poster]); /* in each poster's order */
  post_next[q->poster]++;
  if(++post_count == POSTERS * POSTS) pump_stop(post_pump);
}

static void *poster(void *arg)
{
  int id = *(int *)arg;
  for(int i = 0; i < POSTS; i++) {
    posts[id][i] = (struct post){ .task.fn = post_fn, .poster = id, .number = i };
    pump_post(post_pump, &posts[id][i].task);
    if(i % 1000 == 0) usleep(200);
  }
  return NULL;
}

static void t_posts(void)
{
  pthread_t t[POSTERS];
  int id[POSTERS];
  post_pump = pump_new(&now_real);
  for(int i = 0; i < POSTERS; i++) {
    id[i] = i;
    CHECK_INT(pthread_create(&t[i], NULL, poster, &id[i]), 0);
  }
  pump_run(post_pump);
  CHECK_INT(post_count, POSTERS * POSTS);
  for(int i = 0; i < POSTERS; i++) pthread_join(t[i], NULL);
  pump_destroy(post_pump);
}

struct ping {
  struct pump_task task;
  struct pump *pump;
  atomic_int rounds;
};

static void ping_fn(struct pump_task *t)
{
  atomic_fetch_add(&((struct ping *)t)->rounds, 1);
}

enum { PINGS = 20000 };
static void *pinger(void *arg)
{
  struct ping *p = arg;
  for(int i = 0; i < PINGS; i++) {
    while(atomic_load(&p->rounds) < i) {}
    for(volatile int spin = 0; spin < i % 300; spin++) {} /* at every moment of the pump's falling asleep */
    pump_post(p->pump, &p->task);
  }
  return NULL;
}

/* One task at a time, posted while the pump is awake, asleep, or between: each finds it, or the pump would sleep its 2 s. */
static void t_no_wake_is_lost(void)
{
  pthread_t t;
  struct ping p = { { ping_fn, NULL }, pump_new(&now_real), 0 };
  CHECK_INT(pthread_create(&t, NULL, pinger, &p), 0);
  int slept = 0;
  while(atomic_load(&p.rounds) < PINGS && slept < 3) {
    int64_t from = now_mono_ms(&now_real);
    int before = atomic_load(&p.rounds);
    pump_turn(p.pump, 2000);
    slept += now_mono_ms(&now_real) - from >= 1990 && atomic_load(&p.rounds) - before <= 1;
  }
  CHECK_INT(slept, 0);
  while(atomic_load(&p.rounds) < PINGS) pump_turn(p.pump, 1);
  pthread_join(t, NULL);
  pump_destroy(p.pump);
}

static void *stopper(void *arg)
{
  usleep(20000);
  CHECK(pump_turned_ms(arg) > 0);
  pump_stop(arg);
  return NULL;
}

static void t_stop_wakes(void)
{
  pthread_t t;
  struct pump *p = pump_new(&now_real);
  int64_t from = now_mono_ms(&now_real);
  CHECK_INT(pthread_create(&t, NULL, stopper, p), 0);
  pump_run(p);
  CHECK(now_mono_ms(&now_real) - from < 600);
  pthread_join(t, NULL);
  pump_destroy(p);
}

struct defer {
  struct pump_task task;
  struct pump *pump;
  struct defer *kill; /* taken back when this one runs */
  bool again;
  int calls;
};
static void defer_fn(struct pump_task *t)
{
  struct defer *d = (struct defer *)t;
  d->calls++;
  if(d->kill) pump_undefer(d->pump, &d->kill->task);
  if(d->again) pump_defer(d->pump, t);
}

static void t_deferred(void)
{
  struct pump *p = pump_new(&now_real);
  struct defer d[4];
  for(int i = 0; i < 4; i++) d[i] = (struct defer){ .task.fn = defer_fn, .pump = p };
  d[0].kill = &d[2];
  d[0].again = true;
  for(int i = 0; i < 3; i++) pump_defer(p, &d[i].task);
  pump_undefer(p, &d[3].task); /* was never there */
  pump_turn(p, 1000);          /* does not wait */
  CHECK_INT(d[0].calls, 1);
  CHECK_INT(d[1].calls, 1);
  CHECK_INT(d[2].calls, 0);    /* gone while the row was running */
  d[0].kill = NULL;
  d[0].again = false;
  pump_defer(p, &d[3].task);
  pump_undefer(p, &d[3].task); /* the last of the list: its end must still be right */
  pump_defer(p, &d[1].task);
  pump_turn(p, 1000);
  CHECK_INT(d[0].calls, 2);
  CHECK_INT(d[1].calls, 2);
  CHECK_INT(d[3].calls, 0);
  pump_turn(p, 0);
  CHECK_INT(d[0].calls, 2);
  pump_destroy(p);
}

static void t_heavy(void)
{
  struct pump *p = pump_new(&now_real);
  pump_turn(p, 0);
  CHECK(pump_heavy(p));
  CHECK(!pump_heavy(p));
  pump_turn(p, 0);
  CHECK(pump_heavy(p));
  pump_destroy(p);
}

static void t_faults(void)
{
  long live = mem_live();
  for(long n = 0; n < 20; n++) {
    struct pump_timer t[100] = { 0 };
    fault_arm(n, false);
    struct pump *p = pump_new(&fake_now);
    for(int i = 0; p && i < 100; i++) {
      t[i].fn = twin_fire;
      enum q_status st = pump_timer_set(p, &t[i], fake_us / 1000 + 100);
      CHECK(st == Q_OK || (st == Q_NOMEM && t[i].slot == 0));
    }
    pump_destroy(p);
    CHECK_INT(mem_live(), live);
    if(!fault_disarm()) break;
  }
  pump_destroy(NULL);
}

T_MAIN(T(t_timers), T(t_timer_wakes), T(t_timer_takes_back), T(t_edges), T(t_taken_back_in_batch), T(t_posts), T(t_no_wake_is_lost),
       T(t_stop_wakes), T(t_deferred), T(t_heavy), T(t_faults))
