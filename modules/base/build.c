#include "base/build.h"

#include <stdio.h>
#include <time.h>

#if defined __x86_64__
#define BUILD_CPU "x86_64"
#elif defined __aarch64__
#define BUILD_CPU "aarch64"
#elif defined __arm__
#define BUILD_CPU "arm"
#elif defined __riscv
#define BUILD_CPU "riscv"
#else
#define BUILD_CPU "other processor"
#endif
#ifdef __GLIBC__
#define BUILD_LIBC "glibc" /* the builds with checks */
#else
#define BUILD_LIBC "musl, static"
#endif

void build_text(char out[BUILD_TEXT])
{
  time_t made = Q2A_BUILD_EPOCH;
  struct tm t = { .tm_mday = 0 };
  gmtime_r(&made, &t);
  snprintf(out, BUILD_TEXT, "build %04d-%02d-%02d, " BUILD_CPU ", " BUILD_LIBC "; TLS: BearSSL 0.6, TLS 1.2", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
}
