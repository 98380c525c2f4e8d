/* process.h - what this process uses, as the kernel tells it. Threads: pure. Errors: what cannot be read is 0. */
#ifndef Q2A_BASE_PROCESS_H
#define Q2A_BASE_PROCESS_H

#include <stdint.h>

struct process_use { int64_t rss_bytes, cpu_us; int threads, fds; };
struct process_use process_use(void);

#endif
