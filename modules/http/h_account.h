/* h_account.h - what the routes of accounts share: the account object, today's counters, names out of requests.
 *
 * Threads: jobs (routes of the administrator). Memory: the request's arena. */
#ifndef Q2A_HTTP_H_ACCOUNT_H
#define Q2A_HTTP_H_ACCOUNT_H

#include "domain/roster.h"
#include "http/req.h"
#include "proto/json.h"

enum { H_ACCOUNT_PAGE_MAX = 64 * 1024 * 1024 };

/* Today's counters of accounts, by id. */
struct h_account_day { struct { char id[17]; uint64_t v[STATS_FIELDS]; } *rows; int n, cap; };
void h_account_day_read(struct h_account_day *d, struct app *a);
void h_account_day_free(struct h_account_day *d);
int64_t h_account_calls(void *day, const char *id); /* for roster_query.calls */

/* A rest's reason in a word: "daily_quota". */
const char *h_account_reason(enum q_status why);
/* The account object (api 9.1). */
void h_account_write(const struct config *c, const struct h_account_day *d, const struct roster_view *v, struct strbuf *b);
/* Answers with the account object of a name, or with 404. */
void h_account_answer(struct req *q, struct str email);
/* Ends the answer of a write: adds "persisted" and the closing brace, sends, frees. */
void h_account_wrote(struct req *q, int status, struct strbuf *b);
void h_account_send(struct req *q, int status, struct strbuf *b); /* sends as it is, frees */
/* The name of an account in a body, or in the query; empty: answered already with 400. body may be NULL. */
struct str h_account_name(struct req *q, const struct json *body);
/* A decoded value of the query in the request's arena; empty if it is not there. */
struct str h_account_query(struct req *q, struct str name);
bool h_account_lasting(const struct req *q);

#endif
