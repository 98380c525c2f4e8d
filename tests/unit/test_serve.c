/* The program as a service manager sees it (api 11.6): readiness, reload, watchdog, the end; and what a restart hands over. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/command.h"
#include "main/resume.h"
#include "t.h"

/* The next datagram that is not only a sign of life; seen: how many of those came before. */
static bool next_word(int fd, char *out, size_t cap, int *lives)
{
  struct pollfd p = { fd, POLLIN, 0 };
  for(int i = 0; i < 300; i++) {
    if(poll(&p, 1, 100) <= 0) continue;
    ssize_t n = recv(fd, out, cap - 1, 0);
    if(n < 0) return false;
    out[n] = 0;
    if(strcmp(out, "WATCHDOG=1") != 0) return true;
    ++*lives;
  }
  return false;
}

static void t_notify(void)
{
  char dir[] = "/tmp/q2a-serve-XXXXXX", name[160], data[160], got[300], listen_at[160];
  struct sockaddr_un sa = { .sun_family = AF_UNIX };
  int lives = 0, status = 0;
  CHECK(mkdtemp(dir) != NULL);
  snprintf(name, sizeof name, "NOTIFY_SOCKET=%s/s", dir);
  snprintf(sa.sun_path, sizeof sa.sun_path, "%s/s", dir);
  snprintf(data, sizeof data, "DATA_DIR=%s/data", dir);
  snprintf(listen_at, sizeof listen_at, "LISTEN_ADDRESS=unix:%s/l", dir);
  char *env[] = { name, data, listen_at, "WATCHDOG_USEC=400000", "DATA_SAVE_MODE=none", "API_KEY=sk-0123456789abcdef", "LOG_LEVEL=ERROR", "PM2_INSTANCES=1", NULL };
  char *argv[] = { "qwen2api", "--config", "/dev/null", NULL };
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK(bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
  pid_t child = fork();
  if(child == 0) _exit(command_main(3, argv, env));
  CHECK(next_word(fd, got, sizeof got, &lives));
  CHECK_Z(got, "READY=1\nSTATUS=serving");
  while(lives < 3 && poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 20000) > 0 && recv(fd, got, sizeof got, 0) > 0) lives += strncmp(got, "WATCHDOG=1", 10) == 0;
  CHECK_INT(lives, 3); /* twice as often as asked for */
  kill(child, SIGHUP);
  CHECK(next_word(fd, got, sizeof got, &lives) && strncmp(got, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
  CHECK(next_word(fd, got, sizeof got, &lives));
  CHECK_Z(got, "READY=1");
  kill(child, SIGTERM);
  CHECK(next_word(fd, got, sizeof got, &lives));
  CHECK_Z(got, "STOPPING=1");
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  close(fd);
  unlink(sa.sun_path);
  snprintf(got, sizeof got, "%s/l", dir);
  unlink(got);
  snprintf(got, sizeof got, "%s/data", dir);
  rmdir(got);
  rmdir(dir);
}

/* Sockets and the times of the former restarts are there again, so that ten in ten minutes are counted over all of them. */
static void t_resume(void)
{
  char name[200], *env[] = { name, NULL };
  struct listen_set set = { .n = 0 };
  struct memwatch m;
  struct sockaddr_un sa = { .sun_family = AF_UNIX };
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(bind(fd, (struct sockaddr *)&sa, sizeof sa.sun_family) == 0 && listen(fd, 5) == 0); /* a name of the system's choice */
  memwatch_init(&m, 1000);
  snprintf(name, sizeof name, "QWEN2API_RESUME=%d:%d:1,2,3,4,5,6,7,8,9", (int)getpid(), fd);
  CHECK(resume_take(env, &set, &m));
  CHECK(set.n == 1 && set.fd[0] == fd && m.restart_n == 9 && m.restarts[8] == 9);
  CHECK_INT(memwatch_look(&m, 2000, 100), MEMWATCH_SHED_WARN);
  CHECK_INT(memwatch_look(&m, 2000, 100 + MEMWATCH_OVER_MS), MEMWATCH_RESTART); /* the tenth */
  CHECK_INT(memwatch_look(&m, 2000, 20000), MEMWATCH_SHED);
  CHECK_INT(memwatch_look(&m, 2000, 20000 + MEMWATCH_OVER_MS), MEMWATCH_TOO_MANY);
  memwatch_init(&m, 1000);
  snprintf(name, sizeof name, "QWEN2API_RESUME=%d:%d:1", (int)getpid() + 1, fd);
  CHECK(!resume_take(env, &set, &m) && m.restart_n == 0); /* of another process: a child inherited the variable */
  close(fd);
}

T_MAIN(T(t_resume), T(t_notify))
