/* search.h - web sources as a table or a list, and as OpenAI annotations.
 *
 * Threads: pure. Memory: appends to the caller's builders. Only http(s) links; texts are cleaned so that neither the
 * table nor a link can be broken out of. */
#ifndef Q2A_PROTO_SEARCH_H
#define Q2A_PROTO_SEARCH_H

#include "proto/delta.h"

void search_table_head(struct strbuf *out);
void search_row(const struct source *s, int number, bool table, struct strbuf *out); /* with its line end */
void search_annotation(const struct source *s, struct strbuf *json); /* one object; nothing without a good link */
bool search_linked(const struct source *s);

#endif
