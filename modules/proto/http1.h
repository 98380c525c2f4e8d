/* http1.h - heads and chunked bodies of HTTP/1.1, strict on both sides.
 *
 * Threads: pure. Memory: all slices borrow from the caller's bytes.
 * Refused: a bare LF, a folded header, NUL or control characters, blanks before a colon, both Content-Length and
 * Transfer-Encoding, repeated or malformed lengths, transfer codings other than a single chunked, no or two Hosts. */
#ifndef Q2A_PROTO_HTTP1_H
#define Q2A_PROTO_HTTP1_H

#include "base/str.h"

enum { HTTP1_HEAD_MAX = 64 * 1024, HTTP1_URI_MAX = 16 * 1024, HTTP1_HEADERS_MAX = 64 };

struct http1_header { struct str name, value; };

struct http1_headers {
  int n;
  struct http1_header v[HTTP1_HEADERS_MAX];
};
struct str http1_find(const struct http1_headers *h, struct str name); /* the first; empty if absent */

struct http1_request {
  struct str method, target;
  int minor;                  /* HTTP/1.minor: 0 or 1 */
  struct http1_headers headers;
  size_t head_n;              /* bytes of the head, its blank line included */
  bool chunked, expect_continue, keep_alive, upgrade;
  bool has_length;
  uint64_t content_length;    /* 0 without one */
};

struct http1_response {
  int status, minor;
  struct http1_headers headers;
  size_t head_n;
  bool chunked, keep_alive, has_length, no_body; /* none of chunked, has_length, no_body: until the connection closes */
  uint64_t content_length;
};

/* Q_OK; Q_AGAIN: the head is not complete, and nothing wrong so far; *seen (start with 0) keeps how far was looked, so
 * that bytes trickling in cost linear time. Q_BAD_REQUEST, Q_URI_LONG, Q_HEADERS_BIG. Empty lines in front of the
 * request line are not skipped here. */
enum q_status http1_request(struct str in, size_t *seen, struct http1_request *r) Q_MUST_USE;
/* The same for an answer; to_head: of a HEAD request. Trouble is Q_UP_BODY. */
enum q_status http1_response(struct str in, size_t *seen, bool to_head, struct http1_response *r) Q_MUST_USE;

/* The chunked decoder. Zeroed: ready. */
struct http1_chunk {
  int state;
  uint64_t left;       /* bytes of the chunk under way */
  unsigned line;       /* bytes of the size line or the trailers so far */
};
/* Takes from *in (which moves on) and gives the next piece of the body in *out, borrowed from it. Q_OK: a piece.
 * Q_AGAIN: all taken. Q_EOF: the body has ended, *in is what follows it. Q_BAD_REQUEST: not chunked coding. */
enum q_status http1_chunk_next(struct http1_chunk *c, struct str *in, struct str *out) Q_MUST_USE;

#endif
