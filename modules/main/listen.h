/* listen.h - the listening sockets. Threads: main. Memory: descriptors are the caller's to close. */
#ifndef Q2A_MAIN_LISTEN_H
#define Q2A_MAIN_LISTEN_H

#include "base/str.h"

enum { LISTEN_MAX = 8 };
struct listen_set { int fd[LISTEN_MAX]; int n; };

/* address: empty (all, dual stack), a host, IPv4, IPv6, or unix:path. Trouble: *e names address and port. */
enum q_status listen_open(const char *address, int port, struct listen_set *out, struct q_error *e) Q_MUST_USE;
/* Takes over sockets that were opened for us: all of them must be listening streams, else false and none is taken. */
bool listen_inherit(const int *fd, int n, struct listen_set *out);
/* Those of socket activation (LISTEN_FDS, if LISTEN_PID is us). Q_OK with out->n 0: there are none. */
enum q_status listen_activated(char **envp, struct listen_set *out, struct q_error *e) Q_MUST_USE;
bool listen_pass_on(const struct listen_set *l); /* lets them stay open over an exec */
void listen_close(struct listen_set *l);
bool listen_is_loopback(const char *address);

#endif
