#include "base/now.h"

#include <stddef.h>
#include <time.h>

static int64_t now_mono(void *ctx)
{
  (void)ctx;
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t now_wall(void *ctx)
{
  (void)ctx;
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const struct now now_real = { now_mono, now_wall, NULL };
