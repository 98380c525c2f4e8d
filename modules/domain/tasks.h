/* tasks.h - work on many accounts at once: adding with a sign-in each, renewing; with progress, and an end before its time.
 *
 * Threads: locked. Workers are jobs of a pool of their own, so that nothing else waits for sign-ins.
 * Time:    one task runs at a time, the others wait in order; BATCH_LOGIN_CONCURRENCY workers, each rests a second after a sign-in.
 *          A task that ended is kept 30 minutes, or until there are too many. Tasks are not stored: a restart ends them, what they added is there.
 * Memory:  names and results of a task are kept until it is forgotten; its secrets only until its entry was done. */
#ifndef Q2A_DOMAIN_TASKS_H
#define Q2A_DOMAIN_TASKS_H

#include "domain/account_list.h"
#include "domain/app.h"

enum { TASKS_ID = 32, TASKS_MAX = 100 };

struct tasks;
struct tasks *tasks_new(struct app *a) Q_MUST_USE;
void tasks_stop(struct tasks *t);    /* no worker is left afterwards; takes NULL */
void tasks_destroy(struct tasks *t); /* takes NULL */

/* Adds the accounts of a list, which is taken over in any case. Names that are known already are skipped. Q_OVERLOADED: too many
 * tasks wait. */
enum q_status tasks_add(struct tasks *t, struct account_list *list, char id[TASKS_ID]) Q_MUST_USE;
/* Renews the sign-ins of accounts; names: one a line. */
enum q_status tasks_refresh(struct tasks *t, struct str names, char id[TASKS_ID]) Q_MUST_USE;

enum q_status tasks_cancel(struct tasks *t, struct str id); /* Q_NOT_FOUND */
/* Waits until it ends, or ms are over, or the app drains. (job) */
void tasks_wait(struct tasks *t, struct str id, int64_t ms);

struct tasks_sums { int total, success, failed; bool over; };
bool tasks_sums(struct tasks *t, struct str id, struct tasks_sums *out); /* false: there is none */
/* The task object (api 9.1), with at most `names` failed names. *version changes with every change of it; *over: no more comes.
 * Q_NOT_FOUND. Does not block: also for a pump. */
enum q_status tasks_write(struct tasks *t, struct str id, int names, struct strbuf *b, unsigned *version, bool *over);
void tasks_write_all(struct tasks *t, struct strbuf *b); /* an array, the newest first */
void tasks_write_failed(struct tasks *t, struct str id, struct strbuf *b); /* an array of the names that failed */
unsigned tasks_version(struct tasks *t, struct str id); /* 0: there is none */

#endif
