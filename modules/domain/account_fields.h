/* account_fields.h - what an administrator may say of an account: members of a JSON object, checked, ready to be applied.
 *
 * Threads: pure (one object per thread). Memory: owns its secrets; account_fields_free() wipes what nobody else took.
 * Members: email or name, kind, password, token, apiKey, baseUrl, models (array, or text with commas), serves (array, or text with
 *          commas), note, proxy, headers (object), cookie, maxInflight, enabled, credentials (the file of the coding CLI, as an
 *          object or its text). null takes a value away. Eight dots, as a secret is shown, mean "as it is"; so does an
 *          address that is written as it is shown. Others are passed over. */
#ifndef Q2A_DOMAIN_ACCOUNT_FIELDS_H
#define Q2A_DOMAIN_ACCOUNT_FIELDS_H

#include "domain/account.h"
#include "proto/json.h"

#define ACCOUNT_FIELD_LIST(X) X(PASSWORD, "password") X(TOKEN, "token") X(KEY, "apiKey") X(BASE, "baseUrl") X(MODELS, "models") \
  X(SERVES, "serves") X(NOTE, "note") X(PROXY, "proxy") X(HEADERS, "headers") X(COOKIE, "cookie") X(MAX_INFLIGHT, "maxInflight") \
  X(ENABLED, "enabled") X(GRANT, "credentials")
enum account_field {
#define X(id, name) FIELD_##id,
  ACCOUNT_FIELD_LIST(X)
#undef X
  FIELD_COUNT
};

struct account_fields {
  unsigned given;            /* 1 << FIELD_*: said, with a value or null */
  enum account_kind kind;
  char name[256];            /* email or name, "" if not told */
  struct secret *password, *token, *base, *models, *note, *proxy, *headers, *cookie; /* token: of apiKey as well. NULL: none */
  unsigned serves;
  int max_inflight;
  bool enabled;
  struct secret *proxy_shown, *base_shown; /* not given, but written with dots: good only for an account that is shown so */
  struct secret *access, *refresh, *resource; /* credentials */
  int64_t expires_ms;        /* theirs */
};
static inline bool account_field_given(const struct account_fields *f, enum account_field id) { return f->given >> id & 1; }

/* Q_BAD_TYPE, Q_BAD_VALUE with param and words that repeat no secret. Free it in any case. */
enum q_status account_fields_read(const struct json *object, struct account_fields *out, struct q_error *e) Q_MUST_USE;
/* The three parts of a line; proxy may be empty. */
enum q_status account_fields_line(struct account_fields *out, struct str email, struct str password, struct str proxy, struct q_error *e) Q_MUST_USE;
void account_fields_free(struct account_fields *f);
/* Puts what was given into an account (or a copy): takes references, cannot fail. now_ms: for what depends on the time. */
void account_fields_apply(const struct account_fields *f, struct account *a, int64_t now_ms);
/* An account out of them, by its kind: Q_MISSING, Q_BAD_VALUE when they do not make one. A web account needs no token yet. */
enum q_status account_fields_make(const struct account_fields *f, int64_t now_ms, struct account **out, struct q_error *e) Q_MUST_USE;

/* A name that a web account can have: an e-mail address, or anything with an '@' that is one word. */
bool account_is_email(struct str s);
bool account_is_name(struct str s); /* of the other kinds: [A-Za-z0-9._-], up to 64, not one that the environment gives (env-1) */
/* A proxy's address with its user info as dots; the same for a base address. Of one that is no URL all in front of the last '@'. */
void account_show_url(struct str url, struct strbuf *out);
/* "serves" as a JSON array of texts. */
void account_show_serves(unsigned serves, struct strbuf *out);
/* Whether what was written with dots is what an account shows: else *param is the one that is not, for dots cannot be called up. */
bool account_fields_shown(const struct account_fields *f, const struct account *a, const char **param);
/* headers as they are kept (lines "Name: value") as a JSON object; shown: values as dots. */
void account_show_headers(struct str lines, bool shown, struct strbuf *out);
/* A change of headers in which some values are dots: those are taken from what is there. *out NULL: nothing is left. Q_NOMEM. */
enum q_status account_merge_headers(struct str fresh, struct str there, struct secret **out) Q_MUST_USE;

#endif
