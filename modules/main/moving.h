/* moving.h - qwen2api export and import: a data.json out of, and into, the store of a gateway that does not run (api 11.5).
 *
 * Threads: main. Standard output has one line of sums, standard error what was left out. */
#ifndef Q2A_MAIN_MOVING_H
#define Q2A_MAIN_MOVING_H

#include "domain/config.h"

struct moving {
  const struct config_input *input; /* how config was loaded */
  const char *path;
  bool import, secrets, replace, dry;
};
/* The exit code. Takes config over. */
int moving_run(const struct moving *m, struct config *config);

#endif
