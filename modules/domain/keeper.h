/* keeper.h - periodic work: the model lists, tokens about to end, CLI grants to be tried, changed accounts to the store, old stock.
 *
 * Threads: its clock runs on the first pump; everything that may block is submitted as a job.
 * Time:    one tick a second, five until the first model list; a tick submits at most one job of each kind at a time. */
#ifndef Q2A_DOMAIN_KEEPER_H
#define Q2A_DOMAIN_KEEPER_H

#include "domain/app.h"

struct keeper;
struct keeper *keeper_new(struct app *a) Q_MUST_USE;
void keeper_start(struct keeper *k, struct app_pump *p); /* (pump) */
void keeper_stop(struct keeper *k);                      /* (pump) no tick after this */
void keeper_destroy(struct keeper *k);                   /* after the jobs ended */
bool keeper_models_fetch(struct keeper *k);               /* the same at once, blocks: false: it could not be had */
void keeper_models_now(struct keeper *k);                /* any thread: fetch the list soon */
/* Writes what is dirty now; for the orderly end, blocks. */
enum q_status keeper_save(struct keeper *k) Q_MUST_USE;

#endif
