/* import.h - takes over a data.json: that of the original program at the first start, or an export of ours at any time (api 9.9).
 *
 * Threads: jobs, start (the store blocks).
 * Memory:  the text once; never a tree of more than one account; of each day of history 90 bytes.
 * Order:   history, accounts, settings, keys: each may be done again and adds nothing twice, so that an import which was cut off is
 *          simply repeated. What is answered Q_OK was committed.
 * Trust:   reasons repeat no secret and no name; the source is never changed. */
#ifndef Q2A_DOMAIN_IMPORT_H
#define Q2A_DOMAIN_IMPORT_H

#include "domain/app.h"
#include "proto/json.h"

enum { IMPORT_BAD = 1000, IMPORT_ACCOUNTS_MAX = 50000, IMPORT_TEXT_MAX = 512 * 1024 * 1024 };

struct import_want {
  bool replace;              /* what exists is changed by what is told; else it stays. Nothing is taken away */
  bool dry;                  /* only look */
  bool no_keys, only_keys;   /* at a start: keys can be taken over only later */
};
struct import_done {
  int added, updated, skipped;   /* accounts; skipped: they exist, or come again further down */
  int keys, keys_skipped, settings;
  struct import_bad { int line; char reason[200]; } *bad; /* the first of them */
  int bad_n, bad_total;
};
void import_done_free(struct import_done *d);

/* Q_BAD_IMPORT: it is no JSON, or no data.json; *e names line and column. Store statuses. */
enum q_status import_run(struct app *a, struct str text, const struct import_want *want, struct import_done *done, struct q_error *e) Q_MUST_USE;
/* A file as a text that holds secrets: wipe it. Q_NOT_FOUND; Q_BAD_IMPORT with words. */
enum q_status import_read_file(const char *path, struct strbuf *out, struct q_error *e) Q_MUST_USE;
/* DATA_DIR/data.json, if this store has not seen it yet. First without keys, then, when they are open, only these: that leaves the
 * mark. *exit_code 65 when it cannot be read. */
enum q_status import_first(struct app *a, bool keys, struct q_error *e, int *exit_code) Q_MUST_USE;

/* For another layout (domain/legacy.h): one JSON object as "settings" of a data.json has it; keys alone, or all but keys. */
enum q_status import_settings(struct app *a, const struct json *object, const struct import_want *want, struct import_done *done, struct q_error *e) Q_MUST_USE;
/* Statistics of one account, JSON as the original keeps it. */
enum q_status import_history(struct app *a, struct str email, const struct json *stats, const struct json *history, struct q_error *e) Q_MUST_USE;

/* What is not known here, kept for exports: JSON members without braces. name: an account's, or "" for the file's. Q_NOT_FOUND. */
enum q_status import_kept(struct app *a, const char *part, struct str name, struct strbuf *out) Q_MUST_USE;
enum q_status import_reseal(struct app *a) Q_MUST_USE;

#endif
