#include "main/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_BACKLOG = 4096 };

static int listen_bind(const struct sockaddr *sa, socklen_t n, bool dual)
{
  int one = 1, off = 0, fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if(fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if(sa->sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual ? &off : &one, sizeof one);
  if(bind(fd, sa, n) == 0 && listen(fd, LISTEN_BACKLOG) == 0) return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

static enum q_status listen_add(struct listen_set *out, int fd)
{
  if(fd < 0) return Q_STORE;
  out->fd[out->n++] = fd;
  return Q_OK;
}

static enum q_status listen_unix(const char *path, struct listen_set *out)
{
  struct sockaddr_un sa = { .sun_family = AF_UNIX };
  struct stat st;
  if(strlen(path) >= sizeof sa.sun_path) {
    errno = ENAMETOOLONG;
    return Q_STORE;
  }
  memcpy(sa.sun_path, path, strlen(path) + 1);
  if(stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) unlink(path); /* of a gateway that ended hard */
  return listen_add(out, listen_bind((struct sockaddr *)&sa, sizeof sa, false));
}

static enum q_status listen_all(int port, struct listen_set *out)
{
  struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
  struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  int fd = listen_bind((struct sockaddr *)&six, sizeof six, true);
  if(fd < 0 && errno != EADDRINUSE) fd = listen_bind((struct sockaddr *)&four, sizeof four, false); /* no IPv6 here */
  return listen_add(out, fd);
}

bool listen_is_loopback(const char *address)
{
  return strcmp(address, "localhost") == 0 || strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
         strncmp(address, "unix:", 5) == 0;
}

static enum q_status listen_host(const char *address, int port, struct listen_set *out, const char **why)
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list = NULL;
  char service[16];
  enum q_status st = Q_STORE;
  snprintf(service, sizeof service, "%d", port);
  int rc = getaddrinfo(address, service, &hints, &list);
  if(rc) {
    *why = gai_strerror(rc);
    return Q_BAD_VALUE;
  }
  for(struct addrinfo *a = list; a && out->n < LISTEN_MAX; a = a->ai_next) {
    int fd = listen_bind(a->ai_addr, a->ai_addrlen, false);
    if(fd < 0 && errno == EADDRINUSE) {
      st = Q_STORE;
      break;
    }
    if(fd >= 0) st = listen_add(out, fd); /* a family this machine lacks is passed over */
  }
  freeaddrinfo(list);
  return st;
}

static enum q_status listen_localhost(int port, struct listen_set *out)
{
  struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
  enum q_status st = listen_add(out, listen_bind((struct sockaddr *)&four, sizeof four, false));
  if(st) return st;
  int fd = listen_bind((struct sockaddr *)&six, sizeof six, false);
  return fd < 0 && errno == EADDRINUSE ? Q_STORE : fd >= 0 ? listen_add(out, fd) : Q_OK;
}

enum q_status listen_open(const char *address, int port, struct listen_set *out, struct q_error *e)
{
  const char *why = NULL;
  enum q_status st;
  *out = (struct listen_set){ .n = 0 };
  errno = 0;
  if(strncmp(address, "unix:", 5) == 0) st = listen_unix(address + 5, out);
  else if(!address[0]) st = listen_all(port, out);
  else if(strcmp(address, "localhost") == 0) st = listen_localhost(port, out);
  else st = listen_host(address, port, out, &why);
  if(!st) return Q_OK;
  if(!why) why = strerror(errno);
  listen_close(out);
  return status_fail(e, st, "LISTEN_ADDRESS", "cannot listen on %.200s port %d: %s", address[0] ? address : "all addresses", port, why);
}

/* ---- opened by another ---- */

static bool listen_is_listening(int fd)
{
  int type = 0, on = 0;
  socklen_t n = sizeof type, m = sizeof on;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM &&
         getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &m) == 0 && on;
}

bool listen_inherit(const int *fd, int n, struct listen_set *out)
{
  *out = (struct listen_set){ .n = 0 };
  for(int i = 0; i < n; i++)
    if(!listen_is_listening(fd[i])) return false;
  for(int i = 0; i < n; i++) {
    fcntl(fd[i], F_SETFD, FD_CLOEXEC);
    fcntl(fd[i], F_SETFL, fcntl(fd[i], F_GETFL) | O_NONBLOCK);
    out->fd[out->n++] = fd[i];
  }
  return n > 0;
}

static struct str listen_env(char **envp, struct str name)
{
  for(; envp && *envp; envp++)
    if(str_starts(str_z(*envp), name)) return str_z(*envp + name.n);
  return STR_NONE;
}

enum q_status listen_activated(char **envp, struct listen_set *out, struct q_error *e)
{
  int64_t pid = 0, n = 0;
  int fd[LISTEN_MAX];
  *out = (struct listen_set){ .n = 0 };
  if(!str_int(listen_env(envp, S("LISTEN_PID=")), &pid) || pid != getpid()) return Q_OK;
  if(!str_int(listen_env(envp, S("LISTEN_FDS=")), &n) || n <= 0) return Q_OK;
  if(n > LISTEN_MAX) return status_fail(e, Q_BAD_VALUE, "LISTEN_FDS", "LISTEN_FDS: at most %d sockets can be taken over", LISTEN_MAX);
  for(int i = 0; i < n; i++) fd[i] = 3 + i; /* where the protocol puts them */
  if(listen_inherit(fd, (int)n, out)) return Q_OK;
  return status_fail(e, Q_BAD_VALUE, "LISTEN_FDS", "LISTEN_FDS: what was passed on is not a listening stream socket (use ListenStream=)");
}

bool listen_pass_on(const struct listen_set *l)
{
  for(int i = 0; i < l->n; i++)
    if(fcntl(l->fd[i], F_SETFD, 0) != 0) return false;
  return true;
}

void listen_close(struct listen_set *l)
{
  for(int i = 0; i < l->n; i++) close(l->fd[i]);
  l->n = 0;
}
