/* keys_limits.h - what a key may do: limits and allowed models, to and from JSON (api 9.3).
 *
 * Threads: pure. Memory: a keys_limits owns its list of models; keys_limits_free() takes the zeroed value. */
#ifndef Q2A_DOMAIN_KEYS_LIMITS_H
#define Q2A_DOMAIN_KEYS_LIMITS_H

#include "proto/json.h"

enum keys_limit {
  KEYS_RPM, KEYS_TPM, KEYS_INFLIGHT, KEYS_DAY_CALLS, KEYS_DAY_TOKENS, KEYS_MONTH_TOKENS, KEYS_TOTAL_TOKENS, KEYS_DAY_MEDIA, KEYS_LIMITS
};
enum { KEYS_NO_LIMIT = -1, KEYS_MODELS_MAX = 100, KEYS_MODEL_NAME = 200 };

struct keys_limits {
  int64_t v[KEYS_LIMITS];  /* KEYS_NO_LIMIT: none; 0: nothing at all */
  int64_t expires_s;       /* wall clock; 0: never */
  char *models;            /* patterns, each ended by '\n'; NULL: all models */
};

void keys_limits_none(struct keys_limits *l);
void keys_limits_free(struct keys_limits *l);
enum q_status keys_limits_copy(struct keys_limits *to, const struct keys_limits *from) Q_MUST_USE; /* to is overwritten */
bool keys_limits_has(struct str name);  /* whether a member of this name is a limit */
/* One member of a request or record; null takes the limit away. Q_BAD_TYPE, Q_BAD_VALUE, Q_NOMEM with *e. */
enum q_status keys_limits_read(struct keys_limits *l, const struct json *member, struct q_error *e) Q_MUST_USE;
void keys_limits_write(const struct keys_limits *l, struct strbuf *b); /* {"expiresAt":null,...}: all of them */
/* Either name is enough: the client's (of at most KEYS_MODEL_NAME bytes), or the one it stands for. Case does not count, '*' is any
 * text. */
bool keys_limits_allow(const struct keys_limits *l, struct str asked, struct str resolved);

#endif
