/* url.h - splits URLs, reads queries, and brings request paths to one spelling.
 *
 * Threads: pure. Memory: parts borrow from the text; path normalisation writes to the caller's builder. */
#ifndef Q2A_PROTO_URL_H
#define Q2A_PROTO_URL_H

#include "base/str.h"

struct url {
  struct str scheme;      /* as written */
  struct str user, pass;  /* still percent-encoded; has_user tells "" from none */
  bool has_user;
  struct str host;        /* without the brackets of an IPv6 address */
  int port;               /* the scheme's own if none was written; 0 if that is unknown */
  struct str path;        /* path and query with the leading '/', empty if none */
};
/* scheme://[user[:pass]@]host[:port][/path]. Schemes: http https socks5 socks5h redis rediss. false: none of these, or a
 * host or port that cannot be one. */
bool url_split(struct str text, struct url *u) Q_MUST_USE;
static inline bool url_tls(const struct url *u) { return str_ieq(u->scheme, S("https")) || str_ieq(u->scheme, S("rediss")); }

/* Where a reference (of a Location header, or as a client wrote it) leads from base, fragment dropped; blanks, control
 * characters and bytes above ASCII are percent-encoded. Dots in paths are left to the server. base may be empty: then ref
 * stands for itself. False: ref is empty, or base is no URL where one is needed. */
bool url_join(struct str base, struct str ref, struct strbuf *out) Q_MUST_USE;

/* The decoded value of a query parameter appended to *out; false if it is not there. query: without '?'. */
bool url_query(struct str query, struct str name, struct strbuf *out);

/* A request target to path and query: the query is cut off, percent escapes are decoded, slashes collapse, a trailing
 * slash goes, /v1/v1/x, /openai/v1/x and /api/v1/x become /v1/x, /anthropic/v1/x becomes /v1/x with *anthropic set;
 * so it is for /v1/messages and below.
 * Q_BAD_REQUEST: a broken escape, or NUL; "." and ".." segments are not resolved: they match no route. */
enum q_status url_path(struct str target, struct strbuf *path, struct str *query, bool *anthropic) Q_MUST_USE;

#endif
