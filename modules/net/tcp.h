/* tcp.h - the real transport, and what a socket needs beyond it.
 *
 * Threads: pure. Faults: the real open, read and write are fallible points; when the countdown hits, an open is
 * refused, a read is reset, a write fails. */
#ifndef Q2A_NET_TCP_H
#define Q2A_NET_TCP_H

#include "net/net.h"

/* Every connection goes to this socket file, whatever its address; path is borrowed. */
struct transport tcp_unix(const char *path);

/* Outcome of a non-blocking connect: 0 connected, EINPROGRESS, or the errno of the failure. */
int tcp_connected(int fd);

#endif
