#include "net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

static int tcp_open(void *ctx, const void *sockaddr, unsigned sockaddr_len)
{
  const struct sockaddr *sa = sockaddr;
  int one = 1;
  (void)ctx;
  if(fault_hit()) {
    errno = ECONNREFUSED;
    return -1;
  }
  int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if(fd < 0) return -1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  if(connect(fd, sa, sockaddr_len) != 0 && errno != EINPROGRESS && errno != EINTR) {
    int why = errno;
    close(fd);
    errno = why;
    return -1;
  }
  return fd;
}

static long tcp_read(void *ctx, int fd, void *p, size_t n)
{
  (void)ctx;
  if(fault_hit()) {
    errno = ECONNRESET;
    return -1;
  }
  return recv(fd, p, n, 0);
}

static long tcp_write(void *ctx, int fd, const void *p, size_t n)
{
  (void)ctx;
  if(fault_hit()) {
    errno = EPIPE;
    return -1;
  }
  return send(fd, p, n, MSG_NOSIGNAL);
}

static int tcp_open_unix(void *ctx, const void *sockaddr, unsigned sockaddr_len)
{
  struct sockaddr_un sa = { .sun_family = AF_UNIX };
  (void)sockaddr;
  (void)sockaddr_len;
  snprintf(sa.sun_path, sizeof sa.sun_path, "%s", (const char *)ctx);
  return tcp_open(NULL, &sa, sizeof sa);
}

struct transport tcp_unix(const char *path)
{
  return (struct transport){ tcp_open_unix, tcp_read, tcp_write, (void *)path };
}

const struct transport transport_real = { tcp_open, tcp_read, tcp_write, NULL };

int tcp_connected(int fd)
{
  struct pollfd pf = { .fd = fd, .events = POLLOUT };
  int why = 0;
  socklen_t n = sizeof why;
  if(poll(&pf, 1, 0) <= 0) return EINPROGRESS;
  if(getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0) return errno;
  return why;
}
