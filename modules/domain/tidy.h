/* tidy.h - small upstream calls nobody waits for: stop a turn, delete a chat, make a chat for the stock.
 *
 * Threads: owned by the pump given. Time: each call has at most 20 s (stop and delete 3 s at exit).
 * Memory:  copies what it is given; keeps the account readable until done. Failures are logged, never retried;
 *          above TIDY_MAX calls at once on a pump new ones are dropped with a log line. */
#ifndef Q2A_DOMAIN_TIDY_H
#define Q2A_DOMAIN_TIDY_H

#include "domain/app.h"

enum { TIDY_MAX = 512 };

/* who: the lease (or a copy of its secrets) the turn ran on. response_id may be empty. then_delete: the chat goes too. */
void tidy_stop(struct app_pump *p, const struct lease *who, struct str chat_id, struct str response_id, bool then_delete);
void tidy_delete(struct app_pump *p, const struct lease *who, struct str chat_id); /* chat_id is not empty */
void tidy_stock(struct app_pump *p, const struct lease *who, struct str model);    /* as many as the pool wants */
int tidy_running(struct app_pump *p);
void tidy_end_all(struct app_pump *p); /* gives up what runs */

#endif
