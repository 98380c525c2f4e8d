/* legacy.h - takes over, once, what the original program left in Redis: hashes "user:<email>", and "qwen2api:settings".
 *
 * Threads: at start, before anybody else has the app.
 * Of an account: e-mail, password, token, its end and the proxy; one that is known already stays as it is. The old settings are not
 * taken over; a line in the log says that there are some. The source is never changed. The mark "meta/imported-redis" says that
 * it was done. */
#ifndef Q2A_DOMAIN_LEGACY_H
#define Q2A_DOMAIN_LEGACY_H

#include "domain/app.h"

/* Q_OK also when there was nothing, or the store is no Redis. */
enum q_status legacy_import(struct app *a) Q_MUST_USE;

#endif
