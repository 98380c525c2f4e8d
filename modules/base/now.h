/* now.h - the two clocks, replaceable.
 *
 * Threads: pure; the real clocks may be read from anywhere.
 * Time:    mono_us is monotonic microseconds (for timers), wall_ms Unix milliseconds (for records and headers). */
#ifndef Q2A_BASE_NOW_H
#define Q2A_BASE_NOW_H

#include <stdint.h>

struct now {
  int64_t (*mono_us)(void *ctx);
  int64_t (*wall_ms)(void *ctx);
  void *ctx;
};

extern const struct now now_real;

static inline int64_t now_mono_us(const struct now *n) { return n->mono_us(n->ctx); }
static inline int64_t now_mono_ms(const struct now *n) { return n->mono_us(n->ctx) / 1000; }
static inline int64_t now_wall_ms(const struct now *n) { return n->wall_ms(n->ctx); }
static inline int64_t now_wall_s(const struct now *n) { return n->wall_ms(n->ctx) / 1000; }

/* The local day (TZ) of a wall clock time as 20251124, and when that day ends (wall clock ms). */
int now_local_day(int64_t wall_ms);
int64_t now_local_midnight_ms(int64_t wall_ms);

#endif
