/* notify.h - tells a service manager how we are: one datagram to the socket that NOTIFY_SOCKET names.
 *
 * Threads: constant after notify_open(); any. Never blocks: a manager that does not read misses the word.
 * Memory:  caller storage. Without the variable nothing is sent. */
#ifndef Q2A_NET_NOTIFY_H
#define Q2A_NET_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notify {
  char path[108];      /* "" : nobody listens; "@name" is an abstract one */
  int64_t watchdog_ms; /* half of what WATCHDOG_USEC allows, 0: no watchdog */
};

void notify_open(struct notify *n, char **envp);
bool notify_send(const struct notify *n, const char *state); /* "READY=1" and so on; false: not sent */

#endif
