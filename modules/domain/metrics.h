/* metrics.h - the counters as Prometheus text 0.0.4 (api 9.7), and under OpenTelemetry's names for generative AI.
 *
 * Threads: any that may read the pool and the counters; a job or the desk. Memory: appends to the caller's builder.
 * Labels:  endpoints of the route table, models (the first 100, then "other"), status codes, reasons of ours: bounded, nobody's name. */
#ifndef Q2A_DOMAIN_METRICS_H
#define Q2A_DOMAIN_METRICS_H

#include "domain/app.h"

enum q_status metrics_write(struct app *a, struct strbuf *b) Q_MUST_USE; /* Q_NOMEM */

#endif
