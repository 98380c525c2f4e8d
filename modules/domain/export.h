/* export.h - writes what the administrator entrusted to this program: as a data.json of the original's shape, as lines, as a table.
 *
 * Threads: jobs, commands (the store blocks).
 * Memory:  one account's text at a time goes to the sink; the history of all accounts is held as numbers (about 70 bytes a day).
 * Trust:   without `secrets` no password, token, key, hash of a key, header, cookie, user info of a proxy, and nothing of what is
 *          not known here. */
#ifndef Q2A_DOMAIN_EXPORT_H
#define Q2A_DOMAIN_EXPORT_H

#include "domain/app.h"

enum export_format { EXPORT_JSON, EXPORT_TXT, EXPORT_CSV };
struct export_want {
  enum export_format format;
  bool secrets;
  bool (*take)(void *ctx, struct str piece); /* false: stop */
  void *ctx;
};
/* Q_NOMEM, Q_STORE; Q_CLIENT_GONE: the sink said stop. */
enum q_status export_run(struct app *a, const struct export_want *want) Q_MUST_USE;
/* One cell: quoted, and so that no program takes it for a formula. */
void export_cell(struct str s, struct strbuf *b);
/* PATH with mode 0600: beside it first, then moved over it. Q_INTERNAL with words. */
enum q_status export_file(struct app *a, const char *path, bool secrets, struct q_error *e) Q_MUST_USE;

#endif
