/* serve.h - the running gateway: listening sockets, signals, memory, the service manager, the orderly end or restart.
 *
 * Threads: main. SIGTERM, SIGINT: drain and end, the second ends at once. SIGHUP: .env again. PM2_MAX_MEMORY is looked at every 5 s.
 * Restart: stop accepting, drain, save, execute the same binary with the listening sockets left open: same process id, connections
 *          that come meanwhile wait in the sockets' queues. */
#ifndef Q2A_MAIN_SERVE_H
#define Q2A_MAIN_SERVE_H

#include "domain/app.h"

struct serve_start {
  char **argv, **envp;
  const struct config_input *input; /* as config was loaded */
};
/* Takes config over; the exit code. */
int serve_run(const struct serve_start *start, struct config *config);

#endif
