#include "http/reply.h"

#include <time.h>

#include "proto/anthropic.h"
#include "proto/openai.h"

static const struct { int status; const char *words; } reply_words[] = {
  { 200, "OK" }, { 204, "No Content" }, { 206, "Partial Content" }, { 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
  { 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 409, "Conflict" }, { 413, "Content Too Large" },
  { 414, "URI Too Long" }, { 415, "Unsupported Media Type" }, { 416, "Range Not Satisfiable" }, { 422, "Unprocessable Content" }, { 426, "Upgrade Required" },
  { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" }, { 502, "Bad Gateway" },
  { 503, "Service Unavailable" }, { 504, "Gateway Timeout" }, { 529, "Overloaded" },
};

static const char *reply_word(int status)
{
  for(size_t i = 0; i < sizeof reply_words / sizeof reply_words[0]; i++)
    if(reply_words[i].status == status) return reply_words[i].words;
  return "Status";
}

static void reply_date(int64_t wall_s, struct strbuf *b)
{
  static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  struct tm t;
  time_t s = (time_t)wall_s;
  char text[] = "Date: Www, 00 Mmm 0000 00:00:00 GMT\r\n";
  gmtime_r(&s, &t);
  memcpy(text + 6, days + t.tm_wday * 3, 3);
  memcpy(text + 14, months + t.tm_mon * 3, 3);
  int year = t.tm_year + 1900, parts[] = { t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec }, at[] = { 11, 23, 26, 29 };
  for(int i = 0; i < 4; i++) {
    text[at[i]] = (char)('0' + parts[i] / 10);
    text[at[i] + 1] = (char)('0' + parts[i] % 10);
  }
  for(int i = 3; i >= 0; i--, year /= 10) text[18 + i] = (char)('0' + year % 10);
  strbuf_add(b, text, sizeof text - 1);
}

void reply_head(const struct reply *r, struct strbuf *b)
{
  const char *origin = r->config ? r->config->cors_origin : "";
  strbuf_lit(b, "HTTP/1.1 ");
  strbuf_int(b, r->status);
  strbuf_addc(b, ' ');
  strbuf_addz(b, reply_word(r->status));
  strbuf_lit(b, "\r\n");
  reply_date(r->wall_s, b);
  if(r->type.n) {
    strbuf_lit(b, "Content-Type: ");
    strbuf_adds(b, r->type);
    strbuf_lit(b, "\r\n");
  }
  if(r->length >= 0) {
    strbuf_lit(b, "Content-Length: ");
    strbuf_int(b, r->length);
    strbuf_lit(b, "\r\n");
  }
  if(r->chunked) strbuf_lit(b, "Transfer-Encoding: chunked\r\n");
  if(!r->keep) strbuf_lit(b, "Connection: close\r\n");
  if(r->id && r->id[0]) {
    strbuf_lit(b, "x-request-id: ");
    strbuf_addz(b, r->id);
    strbuf_lit(b, "\r\n");
    if(r->anthropic) {
      strbuf_lit(b, "request-id: ");
      strbuf_addz(b, r->id);
      strbuf_lit(b, "\r\n");
    }
  }
  if(origin[0] || !r->api) {
    strbuf_lit(b, "Access-Control-Allow-Origin: ");
    strbuf_addz(b, origin[0] ? origin : "*");
    strbuf_lit(b, "\r\nAccess-Control-Expose-Headers: x-request-id, request-id, retry-after, x-qwen2api-ignored, "
                  "x-qwen2api-model, x-qwen2api-models, x-qwen2api-route, x-qwen2api-attempts\r\n");
  }
  strbuf_adds(b, r->extra);
  strbuf_lit(b, "\r\n");
}

int reply_status(const struct q_error *e, bool anthropic)
{
  int http = status_row(e->st)->http;
  if(anthropic) return anthropic_status(e);
  return http ? http : 500;
}

void reply_error(struct reply *r, const struct q_error *e, struct str body, bool head_only, struct strbuf *b)
{
  struct strbuf own = STRBUF(64 * 1024), lines = STRBUF(16 * 1024);
  r->status = reply_status(e, r->anthropic);
  r->type = S("application/json");
  if(!body.n) {
    if(r->anthropic) anthropic_error(e, str_z(r->id ? r->id : ""), &own);
    else openai_error(e, &own);
    if(r->api && own.n && !own.err) { /* old scripts look for it at the top */
      own.n--;
      strbuf_lit(&own, ",\"message\":");
      strbuf_json(&own, str_z(e->msg));
      strbuf_addc(&own, '}');
    }
    body = strbuf_str(&own);
  }
  if(r->status == 429 || r->status == 503 || r->status == 529) {
    strbuf_lit(&lines, "Retry-After: ");
    strbuf_int(&lines, e->retry_after_s > 0 ? e->retry_after_s : e->st == Q_OVERLOADED ? 5 : 30);
    strbuf_lit(&lines, "\r\n");
  }
  if((r->status == 429 || r->status >= 500 || e->st == Q_NO_ENDPOINT) && !status_row(e->st)->again) strbuf_lit(&lines, "x-should-retry: false\r\n");
  if(e->st == Q_NO_KEY || e->st == Q_BAD_KEY) strbuf_lit(&lines, "WWW-Authenticate: Bearer realm=\"qwen2api\"\r\n");
  strbuf_adds(&lines, r->extra);
  r->extra = strbuf_str(&lines);
  r->length = (int64_t)body.n;
  reply_head(r, b);
  if(!head_only) strbuf_adds(b, body);
  if(own.err || lines.err) b->err = Q_NOMEM;
  strbuf_free(&own);
  strbuf_free(&lines);
}
