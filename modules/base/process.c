#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct process_use process_use(void)
{
  struct process_use u = { 0, 0, 0, 0 };
  char text[4096];
  long long kb;
  struct rusage r;
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
  text[n > 0 ? n : 0] = 0;
  if(fd >= 0) close(fd);
  const char *rss = strstr(text, "\nVmRSS:"), *threads = strstr(text, "\nThreads:");
  if(rss && sscanf(rss + 7, "%lld", &kb) == 1) u.rss_bytes = kb * 1024;
  if(threads && sscanf(threads + 9, "%d", &u.threads) != 1) u.threads = 0;
  if(getrusage(RUSAGE_SELF, &r) == 0)
    u.cpu_us = ((int64_t)r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_usec;
  DIR *d = opendir("/proc/self/fd");
  if(!d) return u;
  while(readdir(d)) u.fds++;
  closedir(d);
  u.fds -= 3; /* ".", "..", and the folder's own */
  return u;
}
