/* schema.h - checks a JSON value against a JSON Schema: type, enum, const, required, properties, additionalProperties,
 * items, prefixItems, anyOf, oneOf, allOf, local $ref, min/max lengths, counts and numbers. Other keywords do not refuse;
 * oneOf asks for one fit at least, because the keywords that would tell its branches apart may be among those.
 *
 * Threads: pure. Memory: none. Time: at most SCHEMA_WORK steps. Nesting and work are bounded: what is beyond passes, so that
 * a schema that refers to itself without end refuses nothing and costs little. */
#ifndef Q2A_PROTO_SCHEMA_H
#define Q2A_PROTO_SCHEMA_H

#include "proto/json.h"

enum { SCHEMA_WORK = 2000000, SCHEMA_TYPES_WORK = 500, SCHEMA_DEPTH = 64 };

struct schema_fault {
  char pointer[160]; /* JSON pointer of the first violation, "" for the value itself; cut at a whole step if it is long */
  char words[200];   /* "must be a number", "lacks the required member 'city'" */
};

/* true: fits. schema: NULL or what is no schema allows everything. fault may be NULL. */
bool schema_check(const struct json *schema, const struct json *value, struct schema_fault *fault);
/* Follows $ref within root ("#/$defs/x", "#"); the node itself without one. NULL: refers to nothing. */
const struct json *schema_deref(const struct json *root, const struct json *node);

/* The types a node allows, one bit per enum json_type (both booleans together); JSON_NUMBER with SCHEMA_INTEGER: whole numbers
 * only. Looks into anyOf, oneOf and allOf, and at enum and const where no type is given. 0: it does not say. */
enum {
  SCHEMA_NULL = 1 << JSON_NULL, SCHEMA_BOOL = 1 << JSON_FALSE | 1 << JSON_TRUE, SCHEMA_NUMBER = 1 << JSON_NUMBER,
  SCHEMA_STRING = 1 << JSON_STRING, SCHEMA_ARRAY = 1 << JSON_ARRAY, SCHEMA_OBJECT = 1 << JSON_OBJECT, SCHEMA_INTEGER = 1 << 7
};
unsigned schema_types(const struct json *root, const struct json *node);
unsigned schema_types_within(const struct json *root, const struct json *node, long *work); /* the same; *work pays for its steps */

/* json_get() for a key that is a slice. */
const struct json *schema_member(const struct json *object, struct str key);

#endif
