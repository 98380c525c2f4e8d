/* json_answer.h - the JSON value in an answer that was to be one (api 3.11).
 *
 * Threads: pure. Time: linear in the text for each of a few values that stand in it. Memory: works in the caller's arena;
 * the value's text is appended to the builder. */
#ifndef Q2A_PROTO_JSON_ANSWER_H
#define Q2A_PROTO_JSON_ANSWER_H

#include "proto/chat_req.h"
#include "proto/schema.h"

/* The first value in text that fits: for FORMAT_JSON an object, for FORMAT_SCHEMA what the schema (may be NULL) asks for. *out
 * gets it as the model wrote it, or minified where it had to be repaired.
 * Q_OK. Q_BAD_JSON: there is no JSON in it, *out is left alone. Q_BAD_VALUE: none fits; *out gets the best there is, *fault its
 * first violation. Q_NOMEM, Q_TOO_BIG: the builder. */
enum q_status json_answer(struct arena *a, struct str text, enum chat_format format, const struct json *schema, struct strbuf *out,
                          struct schema_fault *fault) Q_MUST_USE;

#endif
