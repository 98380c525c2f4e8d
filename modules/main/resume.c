#include "main/resume.h"

#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/mem.h"

#define RESUME_NAME "QWEN2API_RESUME="

bool resume_take(char **envp, struct listen_set *set, struct memwatch *m)
{
  struct str text = STR_NONE;
  int64_t v;
  for(char **e = envp; e && *e; e++)
    if(strncmp(*e, RESUME_NAME, sizeof RESUME_NAME - 1) == 0) text = str_z(*e + sizeof RESUME_NAME - 1);
  struct str pid = str_cut(&text, ':'), fds = str_cut(&text, ':');
  if(!str_int(pid, &v) || v != getpid()) return false;
  int fd[LISTEN_MAX], n = 0;
  while(fds.n && n < LISTEN_MAX)
    if(str_int(str_cut(&fds, ','), &v) && v > 2 && v < INT32_MAX) fd[n++] = (int)v;
  while(text.n && m->restart_n < MEMWATCH_RESTARTS)
    if(str_int(str_cut(&text, ','), &v)) m->restarts[m->restart_n++] = v;
  return listen_inherit(fd, n, set);
}

static bool resume_ours(const char *variable)
{
  static const char *const names[] = { RESUME_NAME, "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=" };
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if(strncmp(variable, names[i], strlen(names[i])) == 0) return true;
  return false;
}

void resume_exec(char **argv, char **envp, const struct listen_set *set, const struct memwatch *m)
{
  struct strbuf b = STRBUF(1024);
  size_t n = 0, k = 0;
  while(envp[n]) n++;
  char **env = mem_alloc((n + 2) * sizeof *env);
  if(!env) return;
  for(size_t i = 0; i < n; i++)
    if(!resume_ours(envp[i])) env[k++] = envp[i];
  strbuf_fmt(&b, RESUME_NAME "%d:", (int)getpid());
  for(int i = 0; i < set->n; i++) strbuf_fmt(&b, "%s%d", i ? "," : "", set->fd[i]);
  strbuf_addc(&b, ':');
  for(int i = 0; i < m->restart_n; i++) strbuf_fmt(&b, "%s%lld", i ? "," : "", (long long)m->restarts[i]);
  env[k++] = (char *)strbuf_z(&b);
  env[k] = NULL;
  if(!b.err && listen_pass_on(set)) {
    execve("/proc/self/exe", argv, env); /* this very file, also when another stands at its path by now */
    const char *path = (const char *)getauxval(AT_EXECFN);
    if(path) execve(path, argv, env);
  }
  mem_free(env);
  strbuf_free(&b);
}
