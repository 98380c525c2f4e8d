/* memwatch.h - what to do about the memory in use: the rule of PM2_MAX_MEMORY, without clock and without system calls.
 *
 * Threads: pure. Time: milliseconds of one monotonic clock, passed in; looked at every MEMWATCH_EVERY_MS.
 * Rule:    from 80 % on caches are emptied, and it is told once until it fell below again; at 100 % for 15 s a restart, but at most
 *          10 in 10 minutes, then only a warning for each time it would have been due. */
#ifndef Q2A_DOMAIN_MEMWATCH_H
#define Q2A_DOMAIN_MEMWATCH_H

#include <stdbool.h>
#include <stdint.h>

enum { MEMWATCH_EVERY_MS = 5000, MEMWATCH_OVER_MS = 15000, MEMWATCH_RESTARTS = 10, MEMWATCH_WINDOW_MS = 600000 };

struct memwatch {
  int64_t limit;         /* bytes; 0: no limit */
  bool high;             /* it was told */
  int64_t over_since_ms; /* when it was found above the limit, -1: it is not */
  int64_t restarts[MEMWATCH_RESTARTS]; /* the last ones, oldest first */
  int restart_n;
};

enum memwatch_act {
  MEMWATCH_NOTHING,
  MEMWATCH_SHED,         /* high, again: empty the caches, say nothing */
  MEMWATCH_SHED_WARN,    /* high for the first time */
  MEMWATCH_RESTART,      /* noted among the restarts */
  MEMWATCH_TOO_MANY      /* it would be due, but there were ten */
};
void memwatch_init(struct memwatch *m, int64_t limit);
enum memwatch_act memwatch_look(struct memwatch *m, int64_t resident, int64_t now_ms);
int64_t memwatch_resident(void); /* bytes of this process, 0: unknown */

#endif
