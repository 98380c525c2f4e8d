/* proxy.h - addresses of proxies, and the talk that makes one connect us: CONNECT or SOCKS5. Bytes in, bytes out.
 *
 * Threads: pure.
 * Memory:  a struct proxy copies its URL and is freed with proxy_free(), which wipes the password. No text made here
 *          shows user info.
 * SOCKS5 always hands the name over: `socks5` and `socks5h` mean the same. */
#ifndef Q2A_NET_PROXY_H
#define Q2A_NET_PROXY_H

#include "base/str.h"

enum proxy_kind { PROXY_NONE, PROXY_HTTP, PROXY_HTTPS, PROXY_SOCKS5 };

struct proxy {
  enum proxy_kind kind;
  char host[256];
  int port;
  char user[256], pass[256]; /* decoded; both empty: none */
  /* the talk */
  int step;
  int target_port;
  struct strbuf out, in, target;
};

/* Q_BAD_VALUE with words in err (may be NULL): scheme, host, port or user info is not acceptable. */
enum q_status proxy_parse(struct proxy *p, struct str url, struct q_error *err) Q_MUST_USE;
void proxy_free(struct proxy *p);

/* Begins the talk for host:port; p->out has what to send. Q_NOMEM. */
enum q_status proxy_begin(struct proxy *p, struct str host, int port) Q_MUST_USE;
/* Takes the proxy's bytes, never one past the end of its answer. Q_OK: connected. Q_AGAIN: more is needed; p->out may
 * have more to send. Q_PROXY with words. Q_NOMEM. */
enum q_status proxy_push(struct proxy *p, struct str in, size_t *used, struct q_error *err) Q_MUST_USE;
/* "Proxy-Authorization: Basic …\r\n", or nothing without user info. */
void proxy_auth_line(const struct proxy *p, struct strbuf *out);

#endif
