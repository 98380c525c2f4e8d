/* multipart.h - takes a multipart/form-data body apart. Strict: what a browser or an SDK writes, and nothing else.
 *
 * Threads: pure. Memory: parts borrow from the body; nothing is copied. Bounds: MULTIPART_PARTS parts, 8 KiB of headers a part,
 * MULTIPART_FILE_MAX bytes a part. Why our own: the server's has open reports of writing out of bounds. */
#ifndef Q2A_PROTO_MULTIPART_H
#define Q2A_PROTO_MULTIPART_H

#include "proto/json.h"

enum { MULTIPART_PARTS = 64, MULTIPART_FILE_MAX = 100 * 1024 * 1024 };

struct multipart_part {
  struct str name, filename, type, data; /* type: Content-Type as declared, or empty */
  bool file;                             /* a filename was given, even an empty one */
};
struct multipart { int n; struct multipart_part v[MULTIPART_PARTS]; };

/* Whether a Content-Type is multipart/form-data. */
bool multipart_is(struct str content_type);
/* Q_BAD_VALUE: malformed, the words say what; Q_TOO_BIG: a part above MULTIPART_FILE_MAX. */
enum q_status multipart_read(struct str content_type, struct str body, struct multipart *m, struct q_error *e) Q_MUST_USE;
/* The parts that are no files as an object of texts, for readers of JSON requests. NULL: out of memory. */
const struct json *multipart_fields(const struct multipart *m, struct arena *a) Q_MUST_USE;

#endif
