/* fit.h - brings a value into the shape a JSON Schema asks for, as far as its meaning is plain (api 3.10, schema coercion).
 *
 * Threads: pure. Time: linear in the value, times the properties of an object, within a bound; what is beyond stays as it is.
 * Memory: texts that hold JSON are parsed in the arena; the result is appended as JSON text, its size bounded by the builder.
 * A text where a text is declared stays what it is, even if it looks like JSON; other values there become their text. Numbers,
 * booleans, arrays and objects are read from texts; one value where an array is declared is wrapped; names of properties match
 * without case, '-' and '_'; what no property names is kept unless additionalProperties is false. */
#ifndef Q2A_PROTO_FIT_H
#define Q2A_PROTO_FIT_H

#include "proto/json.h"

/* schema NULL: the value as it is. */
void fit_value(const struct json *schema, const struct json *value, struct arena *a, struct strbuf *out);
/* A raw text as the value of one property of an object schema: what else but JSON a text was meant for. */
void fit_raw(const struct json *schema, struct str property, struct str raw, struct strbuf *out);

#endif
