/* The one list of endings: each row is whole, and the words beside it fit their fields. */
#include "base/status.h"

#include "base/codec.h"
#include "t.h"

static void t_rows_are_whole(void)
{
  static const char *const types[] = { "invalid_request_error", "rate_limit_error", "service_unavailable_error", "upstream_error",
                                       "timeout_error", "server_error", "permission_error", "conflict_error", NULL };
  for(int st = 0; st < Q_STATUS_COUNT; st++) {
    const struct status_row *r = status_row((enum q_status)st);
    t_row = r->name;
    CHECK(str_starts(str_z(r->name), S("Q_")) && r->text[0]);
    if(st == Q_OK) CHECK_INT(r->http, 200);
    if(r->http < 400 || st == Q_CLIENT_GONE) continue; /* never shown */
    CHECK(r->http < 600 && r->code[0]);
    int k = 0;
    while(types[k] && strcmp(types[k], r->type) != 0) k++;
    CHECK(types[k] != NULL);
    if(r->http == 429) CHECK_Z(r->type, "rate_limit_error");
    if(r->http == 502) CHECK_Z(r->type, "upstream_error");
    if(r->http == 504) CHECK_Z(r->type, "timeout_error");
    if(r->http == 400 || r->http == 401 || r->http == 404) CHECK(!r->again); /* the same request fails again */
    if(r->http == 504) CHECK(r->again);
  }
}

static void t_rows_of_the_manual(void)
{
  static const struct { enum q_status st; const char *name; int http; const char *code; bool again; } rows[] = {
    { Q_OK, "Q_OK", 200, "", true }, { Q_BAD_JSON, "Q_BAD_JSON", 400, "invalid_json", false },
    { Q_BAD_KEY, "Q_BAD_KEY", 401, "invalid_api_key", false }, { Q_NO_MODEL, "Q_NO_MODEL", 404, "model_not_found", false },
    { Q_UP_QUOTA, "Q_UP_QUOTA", 429, "insufficient_quota", false }, { Q_UP_BUSY, "Q_UP_BUSY", 429, "rate_limit_exceeded", true },
    { Q_UP_CHALLENGE, "Q_UP_CHALLENGE", 502, "upstream_challenge", false }, { Q_OVERLOADED, "Q_OVERLOADED", 503, "overloaded", true },
    { Q_UP_IDLE_TIME, "Q_UP_IDLE_TIME", 504, "upstream_idle_timeout", true },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct status_row *r = status_row(rows[i].st);
    t_row = rows[i].name;
    CHECK_Z(r->name, rows[i].name);
    CHECK_INT(r->http, rows[i].http);
    CHECK_Z(r->code, rows[i].code);
    CHECK_INT(r->again, rows[i].again);
  }
  CHECK_Z(status_row((enum q_status)9999)->name, "Q_INTERNAL"); /* a number from nowhere reads no memory from nowhere */
  CHECK_Z(status_row(Q_STATUS_COUNT)->name, "Q_INTERNAL");
}

static void t_fail(void)
{
  struct q_error e = Q_ERROR_NONE;
  CHECK_INT(status_fail(NULL, Q_MISSING, "x", "%s", "y"), Q_MISSING);
  CHECK_INT(status_fail(&e, Q_MISSING, "model", "send '%s' (%d)", "model", 5), Q_MISSING);
  CHECK(e.st == Q_MISSING && strcmp(e.param, "model") == 0 && strcmp(e.msg, "send 'model' (5)") == 0);
  status_fail(&e, Q_NOMEM, NULL, "x");
  CHECK(e.param[0] == 0 && e.retry_after_s == 0);
}

/* Words of any length and any alignment end on a character. */
static void t_cut(void)
{
  static const char *const chars[] = { "x", "\xc3\xa9", "\xe4\xb8\x96", "\xf0\x9f\x98\x80" };
  for(int kind = 0; kind < 4; kind++)
    for(int shift = 0; shift < 5; shift++)
      for(int field = 0; field < 2; field++) {
        struct q_error e = Q_ERROR_NONE;
        char text[1000] = "";
        size_t n = (size_t)shift, step = strlen(chars[kind]);
        memset(text, '.', n);
        while(n + step < 900) memcpy(text + n, chars[kind], step), n += step;
        text[n] = 0;
        status_fail(&e, Q_BAD_VALUE, field ? text : NULL, "%s", field ? "short" : text);
        const char *got = field ? e.param : e.msg;
        size_t cap = field ? sizeof e.param : sizeof e.msg;
        CHECK(codec_is_utf8(str_z(got)));
        CHECK(strlen(got) < cap && strlen(got) + step >= cap); /* as much as fits */
        CHECK(strncmp(got, text, strlen(got)) == 0);
      }
}

T_MAIN(T(t_rows_are_whole), T(t_rows_of_the_manual), T(t_fail), T(t_cut))
