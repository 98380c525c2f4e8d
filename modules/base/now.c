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

int now_local_day(int64_t wall_ms)
{
  struct tm t;
  time_t s = (time_t)(wall_ms / 1000);
  localtime_r(&s, &t);
  return (t.tm_year + 1900) * 10000 + (t.tm_mon + 1) * 100 + t.tm_mday;
}

int64_t now_local_midnight_ms(int64_t wall_ms)
{
  struct tm t;
  time_t s = (time_t)(wall_ms / 1000);
  localtime_r(&s, &t);
  t.tm_mday++;
  t.tm_hour = t.tm_min = t.tm_sec = 0;
  t.tm_isdst = -1;
  return (int64_t)mktime(&t) * 1000;
}
