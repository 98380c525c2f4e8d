/* pump.h - one event loop: sockets by edge, timers, work posted from other threads.
 *
 * Threads: owned by the thread that calls pump_run() or pump_turn(); only pump_post() and pump_stop() may come from
 *          any thread. Everything a pump calls back runs on its thread and must not block.
 * Time:    milliseconds of the monotonic clock given at birth; pump_now() is read once a turn.
 * Memory:  ios, timers and tasks are embedded in their owners; the pump only links them. An owner takes them back
 *          (pump_del, pump_timer_off) before it dies; afterwards no callback comes, not even one already gathered. */
#ifndef Q2A_NET_PUMP_H
#define Q2A_NET_PUMP_H

#include <stdint.h>

#include "base/now.h"
#include "base/status.h"

struct pump;

/* Edge triggered, for reading, writing, and the peer's end (EPOLLIN EPOLLOUT EPOLLRDHUP EPOLLHUP EPOLLERR), set once:
 * the owner remembers what is ready and reads or writes until EAGAIN. The first event comes in the next turn if the
 * descriptor is ready already. */
struct pump_io {
  void (*fn)(struct pump_io *io, uint32_t events);
  int fd;
};

/* Fires once, not before at_ms. A zeroed timer with fn set is off. For deadlines that move with every byte keep the
 * deadline elsewhere and look at it when the timer fires: moving a timer costs O(log n). */
struct pump_timer {
  void (*fn)(struct pump_timer *t);
  int64_t at_ms;
  unsigned slot; /* 1-based place in the heap; 0 = off */
};

struct pump_task {
  void (*fn)(struct pump_task *t);
  struct pump_task *next;
};

struct pump *pump_new(const struct now *now) Q_MUST_USE; /* NULL: out of memory or descriptors */
void pump_destroy(struct pump *p);                       /* tasks still posted are not run */

enum q_status pump_add(struct pump *p, struct pump_io *io) Q_MUST_USE; /* io->fd and io->fn are set */
/* A listening socket: called in every turn while a connection waits, and only one of the pumps that share it. */
enum q_status pump_add_listener(struct pump *p, struct pump_io *io) Q_MUST_USE;
void pump_del(struct pump *p, struct pump_io *io);                      /* before the descriptor is closed */
/* Q_NOMEM only when the heap of timers cannot grow. */
enum q_status pump_timer_set(struct pump *p, struct pump_timer *t, int64_t at_ms) Q_MUST_USE;
void pump_timer_off(struct pump *p, struct pump_timer *t);

void pump_post(struct pump *p, struct pump_task *t);  /* any thread; runs in order of posting */
void pump_defer(struct pump *p, struct pump_task *t); /* pump thread: runs in the next turn, after its events */
void pump_undefer(struct pump *p, struct pump_task *t); /* takes a deferred task back; harmless if it is not there */

/* One expensive step (a full TLS handshake's arithmetic) is free per turn: true takes it; false = pump_defer() and
 * ask again, so that running streams never wait for more than one. */
bool pump_heavy(struct pump *p);

int64_t pump_now(const struct pump *p);      /* ms, of this turn */
int64_t pump_turned_ms(const struct pump *p); /* any thread: when the last turn began (for health) */
const struct now *pump_clock(const struct pump *p);

void pump_turn(struct pump *p, int max_wait_ms); /* one turn; -1 waits for the next timer or event */
void pump_run(struct pump *p);                    /* turns until pump_stop() */
void pump_stop(struct pump *p);

#endif
