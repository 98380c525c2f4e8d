#include "domain/memwatch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

void memwatch_init(struct memwatch *m, int64_t limit)
{
  *m = (struct memwatch){ .limit = limit, .over_since_ms = -1 };
}

/* false: there were ten in the window. */
static bool memwatch_note(struct memwatch *m, int64_t now_ms)
{
  int old = 0;
  while(old < m->restart_n && now_ms - m->restarts[old] >= MEMWATCH_WINDOW_MS) old++;
  m->restart_n -= old;
  memmove(m->restarts, m->restarts + old, (size_t)m->restart_n * sizeof m->restarts[0]);
  if(m->restart_n == MEMWATCH_RESTARTS) return false;
  m->restarts[m->restart_n++] = now_ms;
  return true;
}

enum memwatch_act memwatch_look(struct memwatch *m, int64_t resident, int64_t now_ms)
{
  if(!m->limit || resident < m->limit / 5 * 4) {
    m->high = false;
    m->over_since_ms = -1;
    return MEMWATCH_NOTHING;
  }
  if(resident < m->limit) m->over_since_ms = -1;
  else if(m->over_since_ms < 0) m->over_since_ms = now_ms;
  else if(now_ms - m->over_since_ms >= MEMWATCH_OVER_MS) {
    m->over_since_ms = -1;
    m->high = true;
    return memwatch_note(m, now_ms) ? MEMWATCH_RESTART : MEMWATCH_TOO_MANY;
  }
  bool told = m->high;
  m->high = true;
  return told ? MEMWATCH_SHED : MEMWATCH_SHED_WARN;
}

int64_t memwatch_resident(void)
{
  char text[128];
  int64_t pages = 0;
  int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
  if(fd >= 0) close(fd);
  struct str rest = str_of(text, n > 0 ? (size_t)n : 0);
  (void)str_cut(&rest, ' ');
  return str_int(str_cut(&rest, ' '), &pages) ? pages * sysconf(_SC_PAGESIZE) : 0;
}
