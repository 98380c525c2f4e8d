/* trouble.h - names what is wrong with an upstream answer that is not the one hoped for.
 *
 * Threads: pure. Memory: the result owns its words. Source of the codes: observed answers of the web chat; codes are
 * compared without case, '_' and '-', then lowercase substrings of the details decide; unknown codes are Q_UP_ERROR. */
#ifndef Q2A_PROTO_TROUBLE_H
#define Q2A_PROTO_TROUBLE_H

#include "base/arena.h"
#include "proto/json.h"

struct trouble {
  enum q_status st;      /* Q_OK: a success answer. Q_UP_* Q_FILTER Q_TOO_LONG Q_NO_MODEL otherwise */
  int wait_s;            /* told by the upstream (num hours, Retry-After), 0 if not */
  char words[304];       /* the upstream's own words, tags stripped, at most 300 bytes; "" if none */
  char code[64];         /* the upstream's code */
};

/* A JSON object of any of the upstream's failure shapes: v2 envelope, flat, v1 detail, edge "ret" array, and
 * {"error":{…}}. Q_OK in *t if it is none of them. */
void trouble_json(struct trouble *t, const struct json *root);
/* A whole answer body (first 8 KiB are enough) with its HTTP status and Retry-After value (may be empty). Also HTML,
 * WAF pages, empty bodies and plain statuses. For HTTP 200 with a JSON object that reports success: Q_OK. */
void trouble_body(struct trouble *t, int http_status, struct str retry_after, struct str body);

#endif
