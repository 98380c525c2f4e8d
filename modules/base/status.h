/* status.h - every way a call can end, in one list: number, HTTP status, OpenAI error type and code, short text.
 *
 * Threads: pure. Memory: a q_error is caller storage and owns its text.
 * Zero is success, so `if(st) goto done;` reads as trouble. */
#ifndef Q2A_BASE_STATUS_H
#define Q2A_BASE_STATUS_H

#include <stdbool.h>

#define Q_MUST_USE __attribute__((warn_unused_result))

/* again: a client that repeats the request may succeed; false sends `x-should-retry: false` with 429 and 5xx. */
#define STATUS_LIST(X)                                                                                        \
  /* name             http  type                        code                         again  log text */       \
  X(Q_OK,              200, "",                         "",                          true,  "ok")             \
  X(Q_AGAIN,             0, "",                         "",                          true,  "needs more")     \
  X(Q_EOF,               0, "",                         "",                          true,  "end of data")    \
  X(Q_CLIENT_GONE,     499, "",                         "client_closed",             true,  "client closed")  \
  X(Q_NOMEM,           500, "server_error",             "internal_error",            true,  "out of memory")  \
  X(Q_INTERNAL,        500, "server_error",             "internal_error",            true,  "internal error") \
  X(Q_STORE,           500, "server_error",             "store_error",               true,  "the store did not take the write") \
  X(Q_STORE_AWAY,      503, "service_unavailable_error", "store_unavailable",        true,  "the shared store is away") \
  /* the client's request */                                                                                  \
  X(Q_BAD_JSON,        400, "invalid_request_error",    "invalid_json",              false, "malformed JSON") \
  X(Q_EMPTY_BODY,      400, "invalid_request_error",    "empty_body",                false, "empty body")     \
  X(Q_BAD_REQUEST,     400, "invalid_request_error",    "bad_request",               false, "malformed HTTP") \
  X(Q_BAD_TYPE,        400, "invalid_request_error",    "invalid_type",              false, "wrong type")     \
  X(Q_MISSING,         400, "invalid_request_error",    "missing_required_parameter", false, "missing field") \
  X(Q_BAD_VALUE,       400, "invalid_request_error",    "invalid_value",             false, "bad value")      \
  X(Q_UNSUPPORTED,     400, "invalid_request_error",    "unsupported_parameter",     false, "parameter cannot be honoured") \
  X(Q_BAD_VARIANT,     400, "invalid_request_error",    "unsupported_model_variant", false, "variant the model lacks") \
  X(Q_BAD_SIZE,        400, "invalid_request_error",    "invalid_size",              false, "bad size")       \
  X(Q_BAD_MEDIA,       400, "invalid_request_error",    "invalid_media",             false, "bad media")      \
  X(Q_MEDIA_REFUSED,   400, "invalid_request_error",    "media_fetch_refused",       false, "media address refused") \
  X(Q_FILTER,          400, "invalid_request_error",    "content_filter",            false, "refused by content inspection") \
  X(Q_TOO_LONG,        400, "invalid_request_error",    "context_length_exceeded",   false, "prompt too long for the model") \
  X(Q_NO_PREVIOUS,     400, "invalid_request_error",    "previous_response_not_found", false, "unknown previous response") \
  X(Q_BAD_IMPORT,      400, "invalid_request_error",    "invalid_import",            false, "an import that cannot be read") \
  X(Q_NO_KEY,          401, "invalid_request_error",    "missing_api_key",           false, "no key")         \
  X(Q_BAD_KEY,         401, "invalid_request_error",    "invalid_api_key",           false, "wrong key")      \
  X(Q_NOT_ADMIN,       403, "permission_error",         "admin_required",            false, "admin key needed") \
  X(Q_KEY_MODEL,       403, "permission_error",         "model_not_allowed_for_key", false, "the key may not use this model") \
  X(Q_UNKNOWN_URL,     404, "invalid_request_error",    "unknown_url",               false, "unknown path")   \
  X(Q_NO_ENDPOINT,     404, "invalid_request_error",    "unsupported_endpoint",      false, "endpoint not offered") \
  X(Q_NOT_FOUND,       404, "invalid_request_error",    "not_found",                 false, "not found")      \
  X(Q_NO_MODEL,        404, "invalid_request_error",    "model_not_found",           false, "unknown model")  \
  X(Q_METHOD,          405, "invalid_request_error",    "method_not_allowed",        false, "wrong method")   \
  X(Q_SLOW_CLIENT,     408, "invalid_request_error",    "request_timeout",           true,  "client too slow") \
  X(Q_EXISTS,          409, "conflict_error",           "already_exists",            false, "exists already") \
  X(Q_ENV_MANAGED,     409, "conflict_error",           "env_managed",               false, "set by the environment") \
  X(Q_NOT_READY,       409, "conflict_error",           "video_not_ready",           true,  "the video is not done yet") \
  X(Q_TOO_BIG,         413, "invalid_request_error",    "request_too_large",         false, "over a size limit") \
  X(Q_URI_LONG,        414, "invalid_request_error",    "uri_too_long",              false, "URL too long")   \
  X(Q_LOGIN_FAILED,    422, "invalid_request_error",    "login_failed",              false, "the upstream refused the sign-in") \
  X(Q_MEDIA_TYPE,      415, "invalid_request_error",    "unsupported_media_type",    false, "content type or encoding not supported") \
  X(Q_NO_UPGRADE,      426, "invalid_request_error",    "upgrade_not_supported",     false, "upgrade not supported") \
  X(Q_HEADERS_BIG,     431, "invalid_request_error",    "headers_too_large",         false, "header block too large") \
  X(Q_AUTH_FLOOD,      429, "rate_limit_error",         "too_many_auth_failures",    true,  "too many failed keys") \
  X(Q_KEY_RATE,        429, "rate_limit_error",         "key_rate_limit",            true,  "rate limit of the key") \
  X(Q_KEY_QUOTA,       429, "rate_limit_error",         "key_quota_exceeded",        false, "quota of the key used up") \
  /* the upstream; rows are those of the upstream trouble table in domain/trouble.h */                        \
  X(Q_UP_AUTH,         503, "service_unavailable_error", "no_usable_account",        true,  "upstream refused the token") \
  X(Q_UP_BARRED,       503, "service_unavailable_error", "no_usable_account",        true,  "upstream barred the account") \
  X(Q_UP_BAD_LOGIN,    503, "service_unavailable_error", "no_usable_account",        true,  "upstream refused the password") \
  X(Q_UP_QUOTA,        429, "rate_limit_error",         "insufficient_quota",        false, "quota of the day used up") \
  X(Q_UP_BUSY,         429, "rate_limit_error",         "rate_limit_exceeded",       true,  "upstream limits this account") \
  X(Q_UP_PARALLEL,     429, "rate_limit_error",         "rate_limit_exceeded",       true,  "too many turns at once on the account") \
  X(Q_UP_IN_PROGRESS,  502, "upstream_error",           "upstream_error",            true,  "the chat is in progress") \
  X(Q_UP_MODEL_QUOTA,  429, "rate_limit_error",         "insufficient_quota",        false, "quota of the model used up") \
  X(Q_UP_CHAT_GONE,    502, "upstream_error",           "upstream_error",            true,  "the chat is gone") \
  X(Q_UP_BODY,         502, "upstream_error",           "upstream_protocol",         true,  "upstream did not understand the request, or we its answer") \
  X(Q_UP_ERROR,        502, "upstream_error",           "upstream_error",            true,  "upstream error") \
  X(Q_UP_CHALLENGE,    502, "upstream_error",           "upstream_challenge",        false, "upstream asks for a captcha") \
  X(Q_UP_UNREACHABLE,  502, "upstream_error",           "upstream_unreachable",      true,  "upstream refused or reset the connection") \
  X(Q_UP_TLS,          502, "upstream_error",           "upstream_tls_error",        true,  "certificate or TLS version of the upstream") \
  X(Q_UP_CUT,          502, "upstream_error",           "upstream_interrupted",      true,  "upstream cut the answer") \
  X(Q_UP_EMPTY,        502, "upstream_error",           "empty_upstream_response",   true,  "empty answer of the upstream") \
  X(Q_UP_STOPPED,      502, "upstream_error",           "upstream_interrupted",      true,  "the upstream turn was stopped") \
  X(Q_NO_CALL,         502, "upstream_error",           "tool_call_missing",         true,  "required tool call not produced") \
  X(Q_BAD_OUTPUT,      502, "upstream_error",           "invalid_json_output",       true,  "JSON not produced") \
  X(Q_PROXY,           502, "upstream_error",           "proxy_error",               true,  "proxy unreachable or refused") \
  X(Q_UPLOAD_FAILED,   502, "upstream_error",           "media_upload_failed",       true,  "upload to the upstream failed") \
  X(Q_MEDIA_FAILED,    502, "upstream_error",           "media_failed",              true,  "picture or video task failed") \
  X(Q_MEDIA_QUOTA,     429, "rate_limit_error",         "media_quota_exceeded",      true,  "media quota of the day used up") \
  X(Q_NO_ACCOUNT,      503, "service_unavailable_error", "no_account",              true,  "no account configured") \
  X(Q_NO_USABLE,       503, "service_unavailable_error", "no_usable_account",        true,  "no account is usable") \
  X(Q_NO_CLI,          503, "service_unavailable_error", "no_cli_account",           true,  "no account serves the CLI routes") \
  X(Q_OVERLOADED,      503, "service_unavailable_error", "overloaded",               true,  "queue or house full") \
  X(Q_SHUTDOWN,        503, "service_unavailable_error", "shutting_down",            true,  "shutting down") \
  X(Q_UP_CONNECT_TIME, 504, "timeout_error",            "upstream_connect_timeout",  true,  "connecting took too long") \
  X(Q_UP_FIRST_TIME,   504, "timeout_error",            "upstream_first_byte_timeout", true, "no first event in time") \
  X(Q_UP_IDLE_TIME,    504, "timeout_error",            "upstream_idle_timeout",     true,  "upstream silent too long")

enum q_status {
#define X(name, http, type, code, again, text) name,
  STATUS_LIST(X)
#undef X
  Q_STATUS_COUNT
};

struct status_row {
  const char *name;
  int http;               /* 0: never shown to a client */
  const char *type, *code; /* members of the OpenAI error object */
  bool again;
  const char *text;
};

const struct status_row *status_row(enum q_status st);

/* The words that travel beside a status. Born empty: Q_ERROR_NONE. */
struct q_error {
  enum q_status st;
  int retry_after_s; /* 0: none known */
  char param[96];    /* path of the field at fault, "" for none */
  char msg[480];     /* one English sentence that says what to do; no secret, no upstream HTML */
};
#define Q_ERROR_NONE ((struct q_error){ .st = Q_OK })

/* Fills *e (may be NULL) and returns st, so that a check reads `return status_fail(e, Q_MISSING, "model", "...")`.
 * param may be NULL. Text longer than the field is cut at a UTF-8 border. */
enum q_status status_fail(struct q_error *e, enum q_status st, const char *param, const char *fmt, ...)
  __attribute__((format(printf, 4, 5)));

#endif
