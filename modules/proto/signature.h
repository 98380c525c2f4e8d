/* signature.h - a JSON Schema of arguments as a compact type that a model reads with little effort (api 3.10, contract).
 *
 * Threads: pure. Memory: appends to a bounded builder; stops at its first failure, which also bounds schemas that refer to
 * themselves. Form: { city: string, // where
 *                     days?: integer = 3, unit?: "C" | "F" }   with '?' for what is not required. */
#ifndef Q2A_PROTO_SIGNATURE_H
#define Q2A_PROTO_SIGNATURE_H

#include "proto/json.h"

struct signature {
  int depth;          /* nested objects, arrays and references are written out down to here; below stands their type alone */
  size_t words;       /* longest description of a property, in bytes; 0: none */
  bool required_only; /* leave out what is not required */
};
/* schema NULL: "{}". */
void signature_write(const struct signature *how, const struct json *schema, struct strbuf *out);

#endif
