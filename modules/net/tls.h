/* tls.h - TLS 1.2 client as a push machine: bytes in, bytes out, no socket.
 *
 * Threads: a struct tls and its struct tls_bufs are owned by one pump's thread; struct tls_sessions is locked.
 * Memory:  a tls at rest holds the engine's context (3.7 KB) and nothing else: record buffers (16.7 KB each way) are
 *          borrowed from tls_bufs while a record is on its way in or out, and the verifier (3.2 KB) lives during the
 *          handshake only. So an open stream that waits costs 4 KB, and one that is being read 21 KB.
 * Order:   tls_new(); move tls_out() to the peer and the peer's bytes into tls_feed() until tls_open() or tls_over();
 *          then tls_plain() has what arrived and tls_write() takes what to send. Every tls_feed() and tls_write() may
 *          leave something in tls_out(). */
#ifndef Q2A_NET_TLS_H
#define Q2A_NET_TLS_H

#include <bearssl.h>

#include "base/now.h"
#include "base/str.h"
#include "net/roots.h"

enum { TLS_BUF = BR_SSL_BUFSIZE_INPUT, TLS_SESSIONS_MAX = 64 };

/* Buffers of TLS_BUF bytes, a few kept for the next user. A zeroed one is ready. */
struct tls_bufs {
  void *free;
  int free_n;
};
unsigned char *tls_bufs_get(struct tls_bufs *b) Q_MUST_USE; /* NULL: out of memory */
void tls_bufs_put(struct tls_bufs *b, unsigned char *p);    /* takes NULL */
void tls_bufs_free(struct tls_bufs *b);

/* Sessions by "host:port", the least recently used forgotten first. One without an id says that the peer keeps none. */
struct tls_sessions;
struct tls_sessions *tls_sessions_new(void) Q_MUST_USE;
void tls_sessions_destroy(struct tls_sessions *s);
bool tls_sessions_get(struct tls_sessions *s, struct str key, br_ssl_session_parameters *out);
void tls_sessions_put(struct tls_sessions *s, struct str key, const br_ssl_session_parameters *p);
void tls_sessions_drop(struct tls_sessions *s, struct str key);

struct tls;
struct tls_config {
  const struct roots *roots;
  struct tls_bufs *bufs;
  const char *host;                         /* for SNI and the certificate, at most 255 bytes */
  const br_ssl_session_parameters *resume;  /* NULL: none known */
  int64_t wall_s;                           /* for the certificates' validity */
};
struct tls *tls_new(const struct tls_config *c) Q_MUST_USE; /* NULL: out of memory, no random bytes, or host too long */
/* Gives the buffers back; sends nothing. */
void tls_destroy(struct tls *t);

/* Hands over up to n of the peer's bytes, stops early when there is plain text to read, when the session is over, and,
 * unless heavy_ok, before a step that costs milliseconds of arithmetic: then tls_heavy() is true until fed again.
 * *used < n otherwise means that tls_out() must be emptied first. Q_NOMEM. */
enum q_status tls_feed(struct tls *t, const unsigned char *p, size_t n, bool heavy_ok, size_t *used) Q_MUST_USE;
bool tls_heavy(const struct tls *t);

/* Plain text that arrived: borrowed until tls_plain_took() has taken all of it. Empty: none. */
struct str tls_plain(const struct tls *t);
void tls_plain_took(struct tls *t, size_t n);

/* Takes up to n bytes to send, *took may be 0 while tls_out() is full. Q_NOMEM. */
enum q_status tls_write(struct tls *t, const char *p, size_t n, size_t *took) Q_MUST_USE;
/* What must go to the peer now, and how much of it went. */
struct str tls_out(const struct tls *t);
void tls_out_took(struct tls *t, size_t n);

bool tls_open(const struct tls *t);    /* the handshake is done and the session lives */
bool tls_over(const struct tls *t);    /* failed, or the peer said goodbye and all was read */
bool tls_clean(const struct tls *t);   /* over by the peer's close_notify */
bool tls_resumed(const struct tls *t); /* after tls_open() */
void tls_session(const struct tls *t, br_ssl_session_parameters *p);
/* Puts a close_notify into tls_out() if a record may be sent now; without it peers forget the session. */
void tls_goodbye(struct tls *t);
int tls_error(const struct tls *t);    /* BearSSL's number, 0: none */
bool tls_error_before_open(const struct tls *t);
/* What went wrong in words a reader can act on. */
void tls_words(int error, const char *host, char *text, size_t cap);

#endif
