/* settings.h - what an administrator changed at run time: stored values over the environment, and a new config at once.
 *
 * Threads: locked; any thread but a pump (the store may block). Who reads a config holds a reference and keeps the one it began
 *          with.
 * Memory:  keeps how the config was loaded (environment, file and its text as last read, flags): the caller's pointers in the
 *          input live as long as the app.
 * Record:  "set/<VARIABLE>": version byte 1, then {"value":text}, or {"sealed":text} for secrets.
 * Errors:  a value that does not fit, alone or with the others, changes nothing; what is answered Q_OK was committed. */
#ifndef Q2A_DOMAIN_SETTINGS_H
#define Q2A_DOMAIN_SETTINGS_H

#include "domain/app.h"

struct settings;
/* in: how the app's first config was loaded, without stored values; NULL: from nothing. */
struct settings *settings_new(struct app *a, const struct config_input *in) Q_MUST_USE;
void settings_destroy(struct settings *s); /* takes NULL */

/* At start, and when another gateway of the same store changed some: takes the stored values over. What does not fit (any more)
 * is told in the log and left out. */
enum q_status settings_load(struct app *a, struct q_error *e) Q_MUST_USE;
/* Seals the secrets among them anew. */
enum q_status settings_reseal(struct app *a) Q_MUST_USE;

/* Every stored value, in the order of the table; secrets too. The text lives during the call. */
enum q_status settings_each(struct app *a, void (*fn)(void *ctx, int row, struct str value), void *ctx) Q_MUST_USE;

struct settings_change { int row; struct str value; bool drop; }; /* drop: back to what the other sources say */
/* Validates all, commits all, then swaps the config. *e with param. */
enum q_status settings_write(struct app *a, const struct settings_change *v, int n, struct q_error *e) Q_MUST_USE;
/* Drops every stored value. */
enum q_status settings_drop_all(struct app *a, struct q_error *e) Q_MUST_USE;

/* Reads .env again: live values, and ACCOUNTS that are not there yet. restart (may be NULL) gets the variables that
 * differ but are fixed at start, one a line. Q_BAD_VALUE: the file is faulty, nothing was changed. */
enum q_status settings_reload(struct app *a, struct strbuf *restart, struct q_error *e) Q_MUST_USE;

#endif
