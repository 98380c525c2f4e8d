/* pictures.h - result pictures that go into an answer as their bytes: fetched one after the other in a job.
 *
 * Threads: called on the pump given, where done() comes. Time: a minute for each. Memory: 32 MiB a picture, 64 MiB in all. */
#ifndef Q2A_DOMAIN_PICTURES_H
#define Q2A_DOMAIN_PICTURES_H

#include "domain/app.h"

struct pictures;
/* urls: one a line. done(): base64, one a line, or e. NULL: out of memory, done() does not come. */
struct pictures *pictures_fetch(struct app *a, struct config *config, struct pump *pump, struct str urls,
                                void (*done)(void *ctx, const struct q_error *e, struct str base64), void *ctx) Q_MUST_USE;
void pictures_leave(struct pictures *p); /* done() does not come any more; takes NULL */

#endif
