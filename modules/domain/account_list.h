/* account_list.h - many accounts out of one text: lines "email:password[|proxy]", a JSON array, a data.json.
 *
 * Threads: pure (one object per thread). Memory: owns what it read.
 * Lines:   split at the first '|' for the proxy, then at the first ':'; so a password may hold ':' and '@'. Blanks around each part
 *          are not part of it; empty lines and those that begin with '#' are passed over. A password with '|', ',' or blanks at its
 *          ends: as JSON.
 * What cannot be read is told with its line (in an array: its place, from 1) and the reason, which repeats no secret.
 * Of one name the last entry counts; the former are `repeated`. */
#ifndef Q2A_DOMAIN_ACCOUNT_LIST_H
#define Q2A_DOMAIN_ACCOUNT_LIST_H

#include "domain/account_fields.h"

enum { ACCOUNT_LIST_MAX = 50000, ACCOUNT_LIST_BAD = 1000 };

struct account_item {
  struct account_fields f;
  int at;                    /* line or place */
};
struct account_list {
  struct account_item *v;    /* n that can be added, each name once (but bare tokens, which have none yet) */
  int n, cap;
  struct { int at; char reason[200]; } *bad; /* the first of them */
  int bad_n, bad_total;
  int repeated;
};
void account_list_free(struct account_list *l);

/* Q_TOO_BIG: more than ACCOUNT_LIST_MAX entries; Q_NOMEM. */
enum q_status account_list_lines(struct account_list *l, struct str text) Q_MUST_USE;
/* Objects as of account_fields.h; texts are lines. */
enum q_status account_list_array(struct account_list *l, const struct json *array) Q_MUST_USE;

#endif
