#include "domain/qwen.h"

#include "proto/qwen_req.h"

enum { QWEN_ANSWER_MAX = 1024 * 1024 };

/* Header values come from config and the upstream's own tokens; a line break in one must not become a line. */
static void qwen_line(struct strbuf *out, const char *name, struct str value)
{
  strbuf_addz(out, name);
  strbuf_lit(out, ": ");
  for(size_t i = 0; i < value.n; i++) strbuf_addc(out, (unsigned char)value.p[i] < 0x20 ? ' ' : value.p[i]);
  strbuf_lit(out, "\r\n");
}

bool qwen_lines_have(struct str lines, struct str name)
{
  while(lines.n) {
    struct str line = str_cut(&lines, '\n');
    if(str_ieq(str_cut(&line, ':'), name)) return true;
  }
  return false;
}

void qwen_operator(const struct config *c, struct str lines, struct strbuf *out)
{
  for(int i = 0; i < c->upstream_headers_n; i++)
    if(!qwen_lines_have(lines, str_z(c->upstream_headers[i].name)))
      qwen_line(out, c->upstream_headers[i].name, str_z(c->upstream_headers[i].value));
  while(lines.n) {
    struct str line = str_cut(&lines, '\n');
    if(!line.n) continue;
    strbuf_adds(out, line);
    strbuf_lit(out, "\r\n");
  }
}

/* The operator's extra headers replace ours of the same name. */
bool qwen_overridden(const struct config *c, struct str lines, const char *name)
{
  for(int i = 0; i < c->upstream_headers_n; i++)
    if(str_ieq(str_z(c->upstream_headers[i].name), str_z(name))) return true;
  return qwen_lines_have(lines, str_z(name));
}

static void qwen_ours(const struct qwen_call *q, struct strbuf *out, const char *name, struct str value)
{
  if(!qwen_overridden(q->config, q->headers, name)) qwen_line(out, name, value);
}

static void qwen_cookie(const struct qwen_call *q, struct strbuf *out)
{
  struct str parts[] = { q->token, str_z(q->config->upstream_cookie), q->cookie };
  bool any = false;
  for(int i = 0; i < 3; i++) {
    if(!parts[i].n) continue;
    if(any) strbuf_lit(out, "; ");
    else strbuf_lit(out, "Cookie: ");
    any = true;
    if(i == 0) strbuf_lit(out, "token=");
    strbuf_adds(out, parts[i]);
  }
  if(any) strbuf_lit(out, "\r\n");
}

void qwen_headers(const struct qwen_call *q, struct strbuf *out)
{
  const struct config *c = q->config;
  char uuid[40];
  struct strbuf text = STRBUF(1024);
  struct str origin = str_z(c->qwen_chat_proxy_url);
  if(q->token.n && !qwen_overridden(c, q->headers, "authorization")) {
    strbuf_lit(out, "Authorization: Bearer ");
    strbuf_adds(out, q->token);
    strbuf_lit(out, "\r\n");
  }
  qwen_cookie(q, out);
  qwen_ours(q, out, "Content-Type", S("application/json"));
  qwen_ours(q, out, "Accept", q->events ? S("text/event-stream") : S("application/json"));
  qwen_ours(q, out, "Accept-Encoding", S("identity"));
  qwen_ours(q, out, "User-Agent", str_z(c->upstream_user_agent));
  qwen_ours(q, out, "source", S("web"));
  qwen_ours(q, out, "version", str_z(c->qwen_web_version));
  qwen_req_timezone(q->wall_s, 0, &text);
  qwen_ours(q, out, "timezone", strbuf_str(&text));
  crypt_uuid(q->rng, uuid);
  qwen_ours(q, out, "x-request-id", str_z(uuid));
  if(q->events) qwen_ours(q, out, "x-accel-buffering", S("no"));
  qwen_ours(q, out, "Origin", origin);
  strbuf_clear(&text);
  strbuf_adds(&text, origin);
  strbuf_addz(&text, q->chat_id.n ? "/c/" : "/");
  strbuf_adds(&text, q->chat_id);
  qwen_ours(q, out, "Referer", strbuf_str(&text));
  qwen_operator(c, q->headers, out);
  if(text.err) out->err = text.err;
  strbuf_free(&text);
}

void qwen_url(const struct config *c, const char *path, struct str query_value, struct strbuf *out)
{
  strbuf_addz(out, c->qwen_chat_proxy_url);
  strbuf_addz(out, path);
  for(size_t i = 0; i < query_value.n; i++) { /* ids are opaque: only plain characters pass as they are */
    char ch = query_value.p[i];
    bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
                 ch == '_' || ch == '.';
    if(plain) strbuf_addc(out, ch);
    else strbuf_fmt(out, "%%%02X", (unsigned char)ch);
  }
}

enum q_status qwen_chat_id(int http_status, struct str retry_after, struct str body, char *id, size_t cap,
                           struct trouble *t)
{
  static const char *const paths[] = { "data.id", "data.chat_id", "data.chat.id", "id", "chat_id" };
  struct arena a = ARENA(QWEN_ANSWER_MAX);
  trouble_body(t, http_status, retry_after, body);
  if(t->st) return t->st;
  const struct json *root = json_parse(&a, body, 64, NULL);
  struct str found = STR_NONE;
  for(size_t i = 0; i < sizeof paths / sizeof paths[0] && !found.n; i++) found = json_str(json_path(root, paths[i]));
  if(found.n == 0 || found.n >= cap) t->st = Q_UP_BODY;
  else str_copy(id, cap, found);
  arena_free(&a);
  return t->st;
}
