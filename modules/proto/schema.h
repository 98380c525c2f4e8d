/* schema.h - checks a JSON value against a JSON Schema: type, enum, const, required, properties, additionalProperties,
 * items, prefixItems, anyOf, oneOf, allOf, local $ref, min/max lengths, counts and numbers. Other keywords do not refuse.
 *
 * Threads: pure. Memory: none. Nesting and work are bounded: a schema that refers to itself without end passes. */
#ifndef Q2A_PROTO_SCHEMA_H
#define Q2A_PROTO_SCHEMA_H

#include "proto/json.h"

struct schema_fault {
  char pointer[160]; /* JSON pointer of the first violation, "" for the value itself */
  char words[200];   /* "must be a number", "lacks the required member 'city'" */
};

/* true: fits. */
bool schema_check(const struct json *schema, const struct json *value, struct schema_fault *fault);
/* Follows $ref within root ("#/$defs/x"); the node itself without one. NULL: refers to nothing. */
const struct json *schema_deref(const struct json *root, const struct json *node);

#endif
