/* result_url.h - whether an address that the upstream gave as a picture or video may be believed and shown.
 *
 * Threads: pure. Memory: nothing is kept. Why: a gateway once searched an answer for any URL and handed its user the upstream's
 * captcha page as "the video" (D19). */
#ifndef Q2A_PROTO_RESULT_URL_H
#define Q2A_PROTO_RESULT_URL_H

#include "base/str.h"

enum { RESULT_URL_MAX = 2000 /* bytes */ };

/* Whether a host is in the list (MEDIA_HOSTS); "*.x" fits every name below x, not x itself. */
bool result_url_host(const char *const *hosts, int n, struct str host);

/* Q_OK: https, its usual port, one of the hosts, no user, only visible ASCII, no page that asks for a captcha.
 * Q_UP_CHALLENGE: it is such a page, wherever it lies. Q_MEDIA_FAILED: anything else; the words name the host and MEDIA_HOSTS. */
enum q_status result_url_check(struct str url, const char *const *hosts, int n, struct q_error *e) Q_MUST_USE;

#endif
