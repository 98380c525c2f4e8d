/* legacy.h - takes over, once, what the original program left in Redis: hashes "user:<email>", and "qwen2api:settings" (api 9.9).
 *
 * Threads: at start, before anybody else has the app.
 * Of an account: e-mail, password, token, its end, the proxy and its statistics; one that is known already stays as it is. Of the
 * settings what a data.json may have there. The source is never changed. The mark "meta/imported-redis" says that it was done. */
#ifndef Q2A_DOMAIN_LEGACY_H
#define Q2A_DOMAIN_LEGACY_H

#include "domain/app.h"

/* First without keys, then, when they are open, only these. Q_OK also when there was nothing, or the store is no Redis. */
enum q_status legacy_import(struct app *a, bool keys) Q_MUST_USE;

#endif
