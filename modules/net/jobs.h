/* jobs.h - threads for work that may block: sign-in, name resolution, store writes, large bodies.
 *
 * Threads: locked; jobs_submit() from any thread, never blocks. The pool grows on demand to its bound and shrinks when
 *          idle. Jobs start in the order of submission.
 * Memory:  a job is embedded in its owner and stays untouched by the pool once its function was called. */
#ifndef Q2A_NET_JOBS_H
#define Q2A_NET_JOBS_H

#include "base/status.h"

struct job {
  void (*fn)(struct job *j);
  struct job *next;
};

struct jobs;
struct jobs *jobs_new(int bound) Q_MUST_USE;
/* Q_NOMEM only if not a single thread could be started; the job is then not taken. */
enum q_status jobs_submit(struct jobs *js, struct job *j) Q_MUST_USE;
int jobs_running(struct jobs *js); /* jobs taken and not ended */
/* Waits for running and waiting jobs, then ends the threads. Submitting afterwards is an error of the caller. */
void jobs_destroy(struct jobs *js);

#endif
