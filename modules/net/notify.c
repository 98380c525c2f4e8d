#include "net/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

static struct str notify_env(char **envp, struct str name)
{
  for(; envp && *envp; envp++) {
    struct str v = str_z(*envp);
    if(str_starts(v, name) && v.n > name.n && v.p[name.n] == '=') return str_sub(v, name.n + 1, v.n);
  }
  return STR_NONE;
}

void notify_open(struct notify *n, char **envp)
{
  struct str path = notify_env(envp, S("NOTIFY_SOCKET")), usec = notify_env(envp, S("WATCHDOG_USEC")), pid = notify_env(envp, S("WATCHDOG_PID"));
  int64_t us = 0, who = getpid();
  *n = (struct notify){ .watchdog_ms = 0 };
  if(path.n < 2 || path.n >= sizeof n->path || (path.p[0] != '/' && path.p[0] != '@')) return;
  str_copy(n->path, sizeof n->path, path);
  if(pid.n && (!str_int(pid, &who) || who != getpid())) return;
  if(str_int(usec, &us) && us >= 2000) n->watchdog_ms = us / 2000;
}

bool notify_send(const struct notify *n, const char *state)
{
  struct sockaddr_un sa = { .sun_family = AF_UNIX };
  size_t len = strlen(n->path);
  if(!len) return false;
  memcpy(sa.sun_path, n->path, len);
  if(sa.sun_path[0] == '@') sa.sun_path[0] = 0;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if(fd < 0) return false;
  size_t all = strlen(state);
  bool ok = sendto(fd, state, all, MSG_NOSIGNAL, (struct sockaddr *)&sa, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == (ssize_t)all;
  close(fd);
  return ok;
}
