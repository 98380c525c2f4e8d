/* What is wrong with an upstream answer: each known shape. */
#include "proto/trouble.h"

#include "t.h"

static const struct { const char *name; int http; const char *retry, *body; enum q_status st; int wait_s; const char *words; } rows[] = {
  { "success", 200, "", "{\"success\":true,\"data\":{}}", Q_OK, 0, "" },
  { "flat success", 200, "", "{\"token\":\"t\"}", Q_OK, 0, "" },
  { "unauthorized with 200", 200, "", "{\"success\":false,\"data\":{\"code\":\"unauthorized\",\"details\":\"Token has expired, please log in again.\"}}", Q_UP_AUTH, 0, "Token has expired, please log in again." },
  { "UN_AUTHORIZED", 200, "", "{\"success\":false,\"data\":{\"code\":\"UN_AUTHORIZED\"}}", Q_UP_AUTH, 0, "" },
  { "plain 401", 401, "", "", Q_UP_AUTH, 0, "" },
  { "Forbidden", 403, "", "{\"success\":false,\"data\":{\"code\":\"Forbidden\",\"details\":\"no\"}}", Q_UP_BARRED, 0, "no" },
  { "quota with hours", 200, "", "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"details\":\"upper limit for today's usage.\",\"num\":4}}", Q_UP_QUOTA, 14400, "upper limit for today's usage." },
  { "quota by its words alone", 200, "", "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"details\":\"You have reached the daily usage limit\"}}", Q_UP_QUOTA, 0, "You have reached the daily usage limit" },
  { "quota for ever", 200, "", "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"num\":9223372036854775807}}", Q_UP_QUOTA, 14 * 86400, "" },
  { "quota of less than nothing", 200, "", "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"num\":-3}}", Q_UP_BUSY, 0, "" },
  { "Retry-After for ever", 429, "99999999999999", "{}", Q_UP_BUSY, 14 * 86400, "" },
  { "Retry-After that is no number", 429, "soon", "{}", Q_UP_BUSY, 0, "" },
  { "num beats Retry-After", 429, "77", "{\"code\":\"RateLimited\",\"num\":1}", Q_UP_QUOTA, 3600, "" },
  { "flat quota", 200, "", "{\"code\":\"RateLimited\",\"detail\":\"x\",\"num\":\"3\"}", Q_UP_QUOTA, 10800, "x" },
  { "too fast", 200, "", "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"details\":\"slow down\"}}", Q_UP_BUSY, 0, "slow down" },
  { "429 with Retry-After", 429, "77", "{}", Q_UP_BUSY, 77, "" },
  { "429 as HTML", 429, "", "<html>busy</html>", Q_UP_ERROR, 0, "" },
  { "ParallelLimited", 200, "", "{\"success\":false,\"data\":{\"code\":\"ParallelLimited\"}}", Q_UP_PARALLEL, 0, "" },
  { "in progress", 200, "", "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"The chat is in progress!\"}}", Q_UP_IN_PROGRESS, 0, "The chat is in progress!" },
  { "chat gone", 200, "", "{\"success\":false,\"data\":{\"code\":\"CHAT_NOT_FOUND\"}}", Q_UP_CHAT_GONE, 0, "" },
  { "validation, details a list", 200, "", "{\"success\":false,\"data\":{\"code\":\"RequestValidationError\",\"details\":[\"Field 'a': Field required\",\"b\"]}}", Q_UP_BODY, 0, "Field 'a': Field required; b" },
  { "model not found", 200, "", "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"Model not found\"}}", Q_NO_MODEL, 0, "Model not found" },
  { "moderation", 200, "", "{\"success\":false,\"data\":{\"code\":\"x\",\"details\":\"Content security warning\"}}", Q_FILTER, 0, "Content security warning" },
  { "internal", 200, "", "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"Internal error...\"}}", Q_UP_ERROR, 0, "Internal error..." },
  { "unknown code", 200, "", "{\"success\":false,\"data\":{\"code\":\"Zzz\"}}", Q_UP_ERROR, 0, "" },
  { "too long", 200, "", "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"input length exceeds\"}}", Q_TOO_LONG, 0, "input length exceeds" },
  { "413", 413, "", "", Q_TOO_LONG, 0, "" },
  { "v1 detail", 400, "", "{\"detail\":\"The email or password provided is incorrect.\"}", Q_UP_AUTH, 0, "The email or password provided is incorrect." },
  { "edge verdict", 200, "", "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\",\"RGV587_ERROR::SM\"],\"data\":{\"url\":\"https://x/punish?x5secdata=1\"}}", Q_UP_CHALLENGE, 0, "" },
  { "WAF page with 200", 200, "", "<!doctypehtml><meta name=\"aliyun_waf_aa\" content=\"x\">", Q_UP_CHALLENGE, 0, "" },
  { "WAF page with 405", 405, "", "\n <html>captcha</html>", Q_UP_CHALLENGE, 0, "" },
  { "nginx page", 502, "", "<html><h1>502 Bad Gateway</h1></html>", Q_UP_ERROR, 0, "" },
  { "503 JSON", 503, "", "{\"detail\":\"down\"}", Q_UP_ERROR, 0, "down" },
  { "422", 422, "", "{\"detail\":\"bad body\"}", Q_UP_BODY, 0, "bad body" },
  { "nothing", 200, "", "  ", Q_UP_EMPTY, 0, "" },
  { "words without shape", 200, "", "hello", Q_UP_BODY, 0, "hello" },
  { "tags and control characters go", 200, "", "{\"success\":false,\"data\":{\"code\":\"x\",\"details\":\"a<b>c</b>\\n\\u0007d\"}}", Q_UP_ERROR, 0, "ac  d" },
  { "a chat that talks of captchas is no challenge", 200, "", "{\"success\":true,\"data\":{\"text\":\"captcha punish?\"}}", Q_OK, 0, "" },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct trouble t;
    t_row = rows[i].name;
    trouble_body(&t, rows[i].http, str_z(rows[i].retry), str_z(rows[i].body));
    CHECK_Z(status_row(t.st)->name, status_row(rows[i].st)->name);
    CHECK_INT(t.wait_s, rows[i].wait_s);
    CHECK_Z(t.words, rows[i].words);
  }
}

static void t_words_are_short(void)
{
  struct strbuf b = STRBUF(10000);
  struct trouble t;
  strbuf_lit(&b, "{\"success\":false,\"data\":{\"code\":\"x\",\"details\":\"");
  for(int i = 0; i < 500; i++) strbuf_lit(&b, "\xe4\xb8\x96");
  strbuf_lit(&b, "\"}}");
  trouble_body(&t, 200, STR_NONE, strbuf_str(&b));
  CHECK(strlen(t.words) <= 300 && strlen(t.words) % 3 == 0); /* cut between characters */
  for(size_t blanks = 0; blanks < 8; blanks++) { /* wherever the border falls */
    strbuf_clear(&b);
    strbuf_lit(&b, "{\"detail\":\"");
    for(size_t i = 0; i < blanks; i++) strbuf_addc(&b, ' ');
    for(int i = 0; i < 200; i++) strbuf_lit(&b, "\xf0\x9f\x98\x80");
    strbuf_lit(&b, "\"}");
    trouble_body(&t, 500, STR_NONE, strbuf_str(&b));
    CHECK_INT(strlen(t.words), 300);
  }
  strbuf_free(&b);
}

T_MAIN(T(t_rows), T(t_words_are_short))
