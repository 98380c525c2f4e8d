/* dotenv.h - reads the .env format.
 *
 * Threads: pure. Memory: names and values live in the arena.
 * Lines: [export] NAME = value. '#' begins a comment at the start of a line, or after white space in an unquoted value.
 * Quotes ' " `; \n \r \t \" \\ \$ only in double quotes; quoted values may span lines; nothing is expanded. */
#ifndef Q2A_DOMAIN_DOTENV_H
#define Q2A_DOMAIN_DOTENV_H

#include "base/arena.h"

struct dotenv_item { struct str name, value; int line; };
struct dotenv { struct dotenv_item *v; int n, cap; };

/* Q_BAD_VALUE: *line is at fault and *why says how. Q_NOMEM. */
enum q_status dotenv_read(struct arena *a, struct str text, struct dotenv *out, int *line, const char **why) Q_MUST_USE;

#endif
