/* stream_url.h - passes a result of the upstream (a picture, a video) on to a client as it arrives.
 *
 * Threads: stream_url_new() on the desk (or a job); from client_adopt() on it is owned by the client's pump.
 * Time:    30 s to the first byte, 60 s between bytes unless it is the client that lags.
 * Memory:  copies what it is given, frees itself after the last byte; at most CLIENT lag of 64 KiB is held.
 * Where:   only addresses that result_url_check() believes, redirects too; only pictures (no SVG: it is a program) and videos. No
 *          header of an account goes along. */
#ifndef Q2A_DOMAIN_STREAM_URL_H
#define Q2A_DOMAIN_STREAM_URL_H

#include "domain/app.h"

struct stream_url;

struct stream_url_head {
  int status;                 /* 200, 206, 416 */
  struct str type, range;     /* range: Content-Range, or empty */
  int64_t length;             /* -1: not known */
  bool chunked, keep, ranges; /* ranges: pieces may be asked for */
};

struct stream_url_order {
  struct str url;             /* checked by the caller */
  struct str proxy;           /* empty: PROXY_URL */
  struct str range;           /* the client's Range, or empty */
  const char *request_id;
  bool head_only, keep, chunks; /* of the client's request; chunks: HTTP/1.1 */
  /* The HTTP side of the answer, from the layer above. ctx is theirs. */
  void (*head)(void *ctx, const char *request_id, const struct stream_url_head *h, struct strbuf *b);
  void (*error)(void *ctx, const char *request_id, const struct q_error *e, bool keep, bool head_only, struct strbuf *b);
  void *ctx;
};
enum q_status stream_url_new(struct stream_url **out, struct app *a, const struct stream_url_order *o, struct q_error *e) Q_MUST_USE;
struct client_taker *stream_url_taker(struct stream_url *s);

#endif
