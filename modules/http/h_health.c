#include "http/auth.h"
#include "http/handlers.h"
#include "http/routes.h"
#include "proto/json.h"

void h_health(struct req *q)
{
  struct app_health h = app_health(q->app);
  struct strbuf b = STRBUF(1024);
  strbuf_fmt(&b, "{\"status\":\"%s\",\"version\":\"" Q2A_VERSION "\",\"uptime\":%lld}", h.alive ? "ok" : "stuck", (long long)h.uptime_s);
  req_answer(q, h.alive ? 200 : 503, S("application/json"), h.alive ? STR_NONE : S("Retry-After: 5\r\n"), strbuf_str(&b));
  strbuf_free(&b);
}

void h_ready(struct req *q)
{
  struct app_health h = app_health(q->app);
  struct strbuf b = STRBUF(1024);
  strbuf_fmt(&b, "{\"status\":\"%s\"", h.ready && h.degraded ? "degraded" : h.ready ? "ready" : "not_ready");
  if(h.reason_n) {
    strbuf_lit(&b, ",\"reasons\":[");
    for(int i = 0; i < h.reason_n; i++) strbuf_fmt(&b, "%s\"%s\"", i ? "," : "", h.reasons[i]);
    strbuf_addc(&b, ']');
  }
  if(auth_key(q->app->keys, &q->head->headers, now_wall_ms(q->app->now), NULL, NULL) == KEY_ADMIN)
    strbuf_fmt(&b, ",\"accounts\":{\"total\":%d,\"usable\":%d}", h.total, h.usable);
  strbuf_addc(&b, '}');
  req_answer(q, h.ready ? 200 : 503, S("application/json"), h.ready ? STR_NONE : S("Retry-After: 5\r\n"), strbuf_str(&b));
  strbuf_free(&b);
}

void h_verify(struct req *q)
{
  enum key_kind kind = auth_key(q->app->keys, &q->head->headers, now_wall_ms(q->app->now), NULL, NULL);
  if(kind == KEY_NONE && str_trim(q->body).n) {
    const struct json *body = req_json(q);
    if(!body) return;
    struct str key = json_str(json_get(body, "apiKey"));
    if(key.n && key.n <= 512) kind = keys_check(q->app->keys, key, now_wall_ms(q->app->now), NULL);
  }
  if(kind != KEY_NONE) {
    req_answer(q, 200, S("application/json"), STR_NONE,
               kind == KEY_ADMIN ? S("{\"status\":200,\"message\":\"success\",\"isAdmin\":true}")
                                 : S("{\"status\":200,\"message\":\"success\",\"isAdmin\":false}"));
    return;
  }
  int retry_s;
  enum q_status st = auth_failed(q->desk->auth, str_z(q->peer), now_mono_ms(q->app->now), &q->delay_ms, &retry_s);
  struct strbuf extra = STRBUF(256);
  if(st == Q_AUTH_FLOOD) {
    struct q_error e = Q_ERROR_NONE;
    status_fail(&e, st, NULL, "Too many wrong API keys from this address. Try again in %d seconds.", retry_s);
    e.retry_after_s = retry_s;
    req_fail(q, &e);
  } else {
    strbuf_lit(&extra, "WWW-Authenticate: Bearer realm=\"qwen2api\"\r\n");
    req_answer(q, 401, S("application/json"), strbuf_str(&extra),
               S("{\"status\":401,\"message\":\"Unauthorized\",\"error\":{\"message\":\"The API key is wrong.\",\"type\":"
                 "\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"}}"));
  }
  strbuf_free(&extra);
}
