/* redis.h - a real redis-server for a test, and a net to reach it. Threads: one test thread. */
#ifndef Q2A_TESTS_REDIS_H
#define Q2A_TESTS_REDIS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/now.h"
#include "net/jobs.h"
#include "net/net.h"
#include "t.h"

static int redis_port;
static pid_t redis_pid;
static char redis_dir[64];
static struct jobs *redis_jobs;
static struct net *redis_net;

static int redis_free_port(void)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0);
  close(fd);
  return ntohs(a.sin_port);
}

static bool redis_answers(void)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((unsigned short)redis_port) };
  char pong[8] = "";
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && write(fd, "PING\r\n", 6) == 6 && read(fd, pong, 5) == 5 && (pong[0] == '+' || pong[0] == '-');
  close(fd);
  return ok;
}

/* On the port and in the folder of the last time, if there was one; it keeps what it acknowledged. */
static void redis_start(const char *password)
{
  char port[16];
  if(!redis_port) redis_port = redis_free_port();
  if(!redis_dir[0]) {
    snprintf(redis_dir, sizeof redis_dir, "/tmp/q2a-redis-XXXXXX");
    CHECK(mkdtemp(redis_dir) != NULL);
  }
  snprintf(port, sizeof port, "%d", redis_port);
  redis_pid = fork();
  if(redis_pid == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    dup2(null, 2);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", redis_dir, "--save", "", "--appendonly", "yes",
           "--appendfsync", "always", password ? "--requirepass" : "--daemonize", password ? password : "no", (char *)NULL);
    _exit(127);
  }
  for(int i = 0; i < 1000 && !redis_answers(); i++) nanosleep(&(struct timespec){ 0, 10 * 1000 * 1000 }, NULL);
  CHECK(redis_answers());
  if(redis_net) return;
  redis_jobs = jobs_new(4);
  redis_net = net_new(&(struct net_config){ .jobs = redis_jobs, .now = &now_real }, NULL);
  CHECK(redis_net != NULL);
}

static void redis_kill(void)
{
  kill(redis_pid, SIGKILL);
  waitpid(redis_pid, NULL, 0);
}

/* Kills it and takes the folder away. */
static void redis_end(void)
{
  char command[128];
  redis_kill();
  snprintf(command, sizeof command, "rm -rf %s", redis_dir);
  CHECK(system(command) == 0);
  redis_dir[0] = 0;
  jobs_destroy(redis_jobs);
  net_destroy(redis_net);
  redis_net = NULL;
}

#endif
