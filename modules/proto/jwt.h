/* jwt.h - when a token ends and whose it is. Threads: pure. Memory: none kept. Signatures cannot be checked here and are not. */
#ifndef Q2A_PROTO_JWT_H
#define Q2A_PROTO_JWT_H

#include "base/str.h"

/* `exp` of the middle part as Unix seconds (whole, fractional or a text); 0: unknown, which is not invalid.
 * *access (may be NULL): the token calls itself an access_token. */
int64_t jwt_expires_s(struct str token, bool *access);

/* The user id (`id`) into out, "" if it is not told. */
void jwt_user(struct str token, char *out, size_t cap);

#endif
