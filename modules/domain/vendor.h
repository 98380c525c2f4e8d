/* vendor.h - how OpenAI-compatible endpoints are called: headers, and the model lists of api accounts.
 *
 * Threads: vendor_headers() is pure; vendor_look() from any thread, its calls run in jobs.
 * Time:    a list is asked for once a day; after a failure again in 10 minutes. One call at a time. */
#ifndef Q2A_DOMAIN_VENDOR_H
#define Q2A_DOMAIN_VENDOR_H

#include "domain/app.h"

/* All header lines of a call with this key or grant, the operator's own included. */
struct vendor_call { const struct config *config; struct crypt_rng *rng; struct str key, headers, cookie; bool events; }; /* headers, cookie: of the account */
void vendor_headers(const struct vendor_call *v, struct strbuf *out);

/* (job) Tries a key on its list of models: Q_OK, also without any list; *names (NULL: none was told) is the caller's. Q_UP_AUTH: it was
 * refused; else as httpc_call(). words may get the reason. */
enum q_status vendor_try(struct app *a, const struct pool_login *who, struct secret **names, char words[304]) Q_MUST_USE;

struct vendor;
struct vendor *vendor_new(struct app *a) Q_MUST_USE;
void vendor_look(struct vendor *v, int64_t now_ms); /* submits the next call that is due */
void vendor_destroy(struct vendor *v);              /* after the jobs ended */

#endif
