/* share.h - several gateways with one store: their changes come here, and one of them renews a token at a time.
 *
 * Threads: locked; share_renewal_* from jobs only (they wait). Changes arrive on the store's own thread.
 * Time:    a change is taken over as soon as it is told, at the latest when the store looks at its version (twice a second).
 * Does nothing where the store is not shared. */
#ifndef Q2A_DOMAIN_SHARE_H
#define Q2A_DOMAIN_SHARE_H

#include "domain/app.h"

/* From now on the pool, the settings and the keys follow what other gateways store. */
enum q_status share_start(struct app *a, struct q_error *e) Q_MUST_USE;

struct share_lock { char name[64], token[33]; bool held; };
/* True: renew it, then share_renewal_end(). False: another gateway did meanwhile, and the account has what it got. no: the number
 * of the token (grant: of the grant) that is to be replaced. With the server away everybody renews for himself. */
bool share_renewal_begin(struct app *a, struct account *account, bool grant, unsigned no, struct share_lock *l) Q_MUST_USE;
/* Stores what was renewed, then gives the lock back. */
void share_renewal_end(struct app *a, struct share_lock *l);

#endif
