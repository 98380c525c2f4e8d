/* gauge.h - how far the token estimate is off, per model: upstream's own prompt counts teach it.
 *
 * Threads: locked. Memory: fixed; the oldest model gives way. The ratio is an exponential mean, clamped to 0.5 ... 2. */
#ifndef Q2A_DOMAIN_GAUGE_H
#define Q2A_DOMAIN_GAUGE_H

#include "base/str.h"

struct gauge;
struct gauge *gauge_new(void) Q_MUST_USE;
void gauge_destroy(struct gauge *g); /* takes NULL */
int64_t gauge_tokens(struct gauge *g, struct str model, int64_t estimate); /* estimate times the model's ratio */
void gauge_learn(struct gauge *g, struct str model, int64_t estimate, int64_t real);

#endif
