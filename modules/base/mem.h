/* mem.h - the only door to the heap: counted, and able to fail on demand.
 *
 * Threads: locked (atomic counters).
 * Memory:  what mem_* gives is returned with mem_free(). NULL means out of memory; every caller copes.
 * Faults:  fault_hit() is the one countdown under allocation, transport and store. Tests arm it; unarmed it costs
 *          one relaxed load. The counter is process wide because faults are: it is a property of a test run. */
#ifndef Q2A_BASE_MEM_H
#define Q2A_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *mem_alloc(size_t n) __attribute__((malloc, warn_unused_result));
void *mem_zalloc(size_t n) __attribute__((malloc, warn_unused_result));
void *mem_realloc(void *p, size_t n) __attribute__((warn_unused_result)); /* on failure p is untouched */
void mem_free(void *p);                                                   /* takes NULL */
char *mem_strndup(const char *p, size_t n) __attribute__((warn_unused_result));

long mem_live(void); /* blocks allocated and not freed */

/* The n-th fallible call from now (0 = the next) fails; with lasting, all after it as well. */
void fault_arm(long n, bool lasting);
/* Disarms; true if the countdown was reached, that is, something did fail. */
bool fault_disarm(void);
/* Called at each fallible point: true = fail now. */
bool fault_hit(void);
#endif
