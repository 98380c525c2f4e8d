#include "proto/anthropic.h"

#include <stdio.h>

enum { ANTHROPIC_NEST = 4, ANTHROPIC_TEXT_MAX = 64 * 1024 * 1024 };

struct anthropic { /* one reading */
  struct arena *arena;
  struct chat_req *r;
  struct q_error *e;
};

/* ---- what has no effect ---- */

enum q_status anthropic_ignore(struct arena *a, struct chat_req *r, const char *group, struct str name, struct q_error *e)
{
  return in_ignore_member(a, r, group, name, e);
}

/* The members of an object that are not in the list are named. */
static enum q_status anthropic_rest(struct anthropic *x, const struct json *object, const char *group, const char *const *known, int n)
{
  enum q_status st = Q_OK;
  for json_each(m, object) {
    bool read = json_absent(m);
    for(int i = 0; i < n; i++) read |= str_eq(m->key, str_z(known[i]));
    if(!st && !read) st = anthropic_ignore(x->arena, x->r, str_eq(m->key, S("cache_control")) ? NULL : group, m->key, x->e);
  }
  return st;
}
#define ANTHROPIC_REST(x, object, group, ...) anthropic_rest((x), (object), (group), (const char *const[]){ __VA_ARGS__ }, \
                                                             (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)))

/* ---- content blocks ---- */

static enum q_status anthropic_blocks(struct anthropic *x, struct in_parts *p, const struct json *content, const char *path, int nest);

static enum q_status anthropic_own_text(struct anthropic *x, struct in_parts *p, struct strbuf *text)
{
  struct str own = arena_str(x->arena, strbuf_str(text));
  bool bad = text->err || !own.p;
  strbuf_free(text);
  return bad ? in_no_memory(x->e) : own.n ? in_add_text(p, own, x->e) : Q_OK;
}

static enum q_status anthropic_no_store(struct anthropic *x, const char *path)
{
  return status_fail(x->e, Q_UNSUPPORTED, path, "'%s': file_id is not supported, there is no file store; send the content or a URL.", path);
}

/* image and document: source {type: base64 | url | text | content | file} */
static enum q_status anthropic_media(struct anthropic *x, struct in_parts *p, const struct json *block, enum media_kind kind, const char *path, int nest)
{
  char where[112];
  const struct json *source = json_get(block, "source");
  struct str type = json_str(json_get(source, "type")), mime = json_str(json_get(source, "media_type")), name = json_str(json_get(block, "title"));
  struct str data = json_str(json_get(source, "data")), url = json_str(json_get(source, "url")), context = json_str(json_get(block, "context"));
  enum q_status st = ANTHROPIC_REST(x, block, "content", "type", "source", "title", "context");
  if(st) return st;
  snprintf(where, sizeof where, "%s.source", path);
  if(json_absent(source)) return status_fail(x->e, Q_MISSING, where, "'%s' is missing.", where);
  if(!json_is(source, JSON_OBJECT)) return in_type(x->e, where, "an object");
  if(context.n && kind == MEDIA_DOCUMENT) st = in_add_text(p, context, x->e);
  if(st) return st;
  if(str_eq(type, S("file"))) return anthropic_no_store(x, where);
  if(kind == MEDIA_DOCUMENT && str_eq(type, S("text"))) return in_add_document(p, data, mime.n ? mime : S("text/plain"), name, path, x->e);
  if(kind == MEDIA_DOCUMENT && str_eq(type, S("content"))) {
    snprintf(where, sizeof where, "%s.source.content", path);
    return anthropic_blocks(x, p, json_get(source, "content"), where, nest + 1);
  }
  if(!str_eq(type, S("base64")) && !str_eq(type, S("url"))) {
    snprintf(where, sizeof where, "%s.source.type", path);
    return status_fail(x->e, Q_BAD_VALUE, where, "'%s' must be base64%s or url.", where, kind == MEDIA_DOCUMENT ? ", text, content" : "");
  }
  struct str from = str_eq(type, S("url")) ? url : data;
  if(!from.n) return status_fail(x->e, Q_MISSING, where, "'%s' has no content: give a URL or base64.", where);
  return in_add_media(p, kind, from, mime, name, path, x->e);
}

/* {type: search_result, source, title, content: [text blocks]} */
static enum q_status anthropic_search_result(struct anthropic *x, struct in_parts *p, const struct json *block)
{
  struct strbuf b = STRBUF(ANTHROPIC_TEXT_MAX);
  struct str title = json_str(json_get(block, "title")), source = json_str(json_get(block, "source"));
  strbuf_adds(&b, title);
  if(title.n && source.n) strbuf_addc(&b, '\n');
  strbuf_adds(&b, source);
  for json_each(c, json_get(block, "content")) {
    struct str text = json_str(json_get(c, "text"));
    if(b.n && text.n) strbuf_addc(&b, '\n');
    strbuf_adds(&b, text);
  }
  return anthropic_own_text(x, p, &b);
}

/* What an earlier search found: title and URL, a line each. */
static enum q_status anthropic_found(struct anthropic *x, struct in_parts *p, const struct json *block)
{
  struct strbuf b = STRBUF(ANTHROPIC_TEXT_MAX);
  const struct json *content = json_get(block, "content");
  struct str failed = json_str(json_get(content, "error_code"));
  if(failed.n) {
    strbuf_lit(&b, "The web search failed: ");
    strbuf_adds(&b, failed);
  }
  if(json_is(content, JSON_ARRAY))
    for json_each(c, content) {
      struct str title = json_str(json_get(c, "title")), url = json_str(json_get(c, "url"));
      if(!title.n && !url.n) continue;
      if(b.n) strbuf_addc(&b, '\n');
      strbuf_adds(&b, title);
      if(title.n && url.n) strbuf_addc(&b, ' ');
      strbuf_adds(&b, url);
    }
  return anthropic_own_text(x, p, &b);
}

static bool anthropic_dropped(struct str type)
{
  static const char *const types[] = { "thinking", "redacted_thinking", "server_tool_use", "mcp_tool_use", "mcp_tool_listing", "fallback" };
  for(size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if(str_eq(type, str_z(types[i]))) return true;
  return false;
}

/* Any block but tool_use and tool_result, which the message's role decides on. */
static enum q_status anthropic_block(struct anthropic *x, struct in_parts *p, const struct json *block, const char *path, int nest)
{
  char where[112];
  const struct json *text = json_get(block, "text"), *content = json_get(block, "content");
  struct str type = json_str(json_get(block, "type"));
  snprintf(where, sizeof where, "%s.type", path);
  if(!json_is(block, JSON_OBJECT)) return in_type(x->e, path, "a content block");
  enum q_status st = json_absent(json_get(block, "cache_control")) ? Q_OK : anthropic_ignore(x->arena, x->r, NULL, S("cache_control"), x->e);
  if(st || anthropic_dropped(type)) return st;
  if(str_eq(type, S("text"))) {
    snprintf(where, sizeof where, "%s.text", path);
    if(json_absent(text)) return status_fail(x->e, Q_MISSING, where, "'%s' is missing.", where);
    return json_is(text, JSON_STRING) ? in_add_text(p, text->text, x->e) : in_type(x->e, where, "a string");
  }
  if(str_eq(type, S("image"))) return anthropic_media(x, p, block, MEDIA_IMAGE, path, nest);
  if(str_eq(type, S("document"))) return anthropic_media(x, p, block, MEDIA_DOCUMENT, path, nest);
  if(str_eq(type, S("search_result"))) return anthropic_search_result(x, p, block);
  if(str_eq(type, S("web_search_tool_result"))) return anthropic_found(x, p, block);
  if(str_eq(type, S("tool_reference")) && json_is(json_get(block, "tool_name"), JSON_STRING)) return in_add_text(p, json_get(block, "tool_name")->text, x->e);
  bool ours = str_eq(type, S("tool_use")) || str_eq(type, S("tool_result"));
  if(ours) return status_fail(x->e, Q_BAD_VALUE, where, "'%s': a %.*s cannot stand here.", where, STR_F(type));
  /* Of what is unknown the text counts. */
  if(type.n && json_is(text, JSON_STRING)) return in_add_text(p, text->text, x->e);
  if(type.n && json_is(content, JSON_STRING)) return in_add_text(p, content->text, x->e);
  if(type.n && json_is(content, JSON_ARRAY) && content->count && nest + 1 < ANTHROPIC_NEST) {
    snprintf(where, sizeof where, "%s.content", path);
    return anthropic_blocks(x, p, content, where, nest + 1);
  }
  if(!type.n) return status_fail(x->e, Q_MISSING, where, "'%s' is missing.", where);
  return status_fail(x->e, Q_BAD_VALUE, where, "Blocks of the type '%.*s' are not supported.", STR_F(str_sub(type, 0, 40)));
}

/* A text, or a list of blocks without calls and results. */
static enum q_status anthropic_blocks(struct anthropic *x, struct in_parts *p, const struct json *content, const char *path, int nest)
{
  enum q_status st = Q_OK;
  int j = 0;
  if(json_absent(content)) return Q_OK;
  if(json_is(content, JSON_STRING)) return in_add_text(p, content->text, x->e);
  if(!json_is(content, JSON_ARRAY)) return in_type(x->e, path, "a string or an array of content blocks");
  if(nest >= ANTHROPIC_NEST) return status_fail(x->e, Q_BAD_VALUE, path, "'%s' is nested too deeply.", path);
  for json_each(block, content) {
    char where[96];
    snprintf(where, sizeof where, "%s[%d]", path, j++);
    if(!st) st = anthropic_block(x, p, block, where, nest);
  }
  return st;
}

/* ---- messages ---- */

static enum q_status anthropic_call(struct anthropic *x, struct chat_msg *m, const struct json *block, const char *path)
{
  char where[112];
  const struct json *input = json_get(block, "input");
  struct str name = json_str(json_get(block, "name"));
  struct strbuf text = STRBUF(ANTHROPIC_TEXT_MAX);
  snprintf(where, sizeof where, "%s.name", path);
  if(!name.n) return status_fail(x->e, Q_MISSING, where, "'%s' is missing.", where);
  snprintf(where, sizeof where, "%s.input", path);
  if(!json_absent(input) && !json_is(input, JSON_OBJECT)) return in_type(x->e, where, "an object");
  if(json_absent(input)) strbuf_lit(&text, "{}");
  else json_write(input, &text);
  struct str args = arena_str(x->arena, strbuf_str(&text));
  bool bad = text.err || !args.p;
  strbuf_free(&text);
  if(bad) return in_no_memory(x->e);
  m->calls[m->call_n++] = (struct chat_call){ json_str(json_get(block, "id")), name, args };
  return json_absent(json_get(block, "cache_control")) ? Q_OK : anthropic_ignore(x->arena, x->r, NULL, S("cache_control"), x->e);
}

/* A turn of our own; part of the same message of the client as the one before if joined. */
static struct chat_msg *anthropic_turn(struct anthropic *x, enum chat_role role, struct in_parts *p, bool joined)
{
  struct chat_msg *m = &x->r->msgs[x->r->msg_n++];
  *m = (struct chat_msg){ .role = role, .parts = p->v, .part_n = p->n, .joined = joined };
  *p = (struct in_parts){ .arena = x->arena };
  return m;
}

static enum q_status anthropic_result(struct anthropic *x, const struct json *block, const char *path, bool joined)
{
  char where[112];
  struct in_parts parts = { .arena = x->arena };
  struct str id = json_str(json_get(block, "tool_use_id"));
  snprintf(where, sizeof where, "%s.tool_use_id", path);
  if(!id.n) return status_fail(x->e, Q_MISSING, where, "'%s' is missing.", where);
  snprintf(where, sizeof where, "%s.content", path);
  enum q_status st = anthropic_blocks(x, &parts, json_get(block, "content"), where, 1);
  if(!st && !json_absent(json_get(block, "cache_control"))) st = anthropic_ignore(x->arena, x->r, NULL, S("cache_control"), x->e);
  if(st) return st;
  struct chat_msg *m = anthropic_turn(x, ROLE_TOOL, &parts, joined);
  m->call_id = id;
  m->failed = json_true(json_get(block, "is_error"));
  return Q_OK;
}

/* Texts and files between results stay between them. */
static enum q_status anthropic_user(struct anthropic *x, const struct json *content, const char *path)
{
  struct in_parts parts = { .arena = x->arena };
  int first = x->r->msg_n, j = 0;
  enum q_status st = Q_OK;
  for json_each(block, content) {
    char where[96];
    snprintf(where, sizeof where, "%s[%d]", path, j++);
    if(st) return st;
    if(!str_eq(json_str(json_get(block, "type")), S("tool_result"))) {
      st = anthropic_block(x, &parts, block, where, 0);
      continue;
    }
    if(parts.n) anthropic_turn(x, ROLE_USER, &parts, x->r->msg_n > first);
    st = anthropic_result(x, block, where, x->r->msg_n > first);
  }
  if(parts.n && !st) anthropic_turn(x, ROLE_USER, &parts, x->r->msg_n > first);
  return st;
}

static enum q_status anthropic_assistant(struct anthropic *x, const struct json *content, const char *path)
{
  struct in_parts parts = { .arena = x->arena };
  struct chat_msg said = { .role = ROLE_ASSISTANT };
  enum q_status st = Q_OK;
  int j = 0;
  said.calls = arena_alloc(x->arena, (size_t)(content->count + 1) * sizeof *said.calls);
  if(!said.calls) return in_no_memory(x->e);
  for json_each(block, content) {
    char where[96];
    snprintf(where, sizeof where, "%s[%d]", path, j++);
    if(st) return st;
    if(str_eq(json_str(json_get(block, "type")), S("tool_use"))) st = anthropic_call(x, &said, block, where);
    else st = anthropic_block(x, &parts, block, where, 0);
  }
  if(st) return st;
  if(!parts.n && !said.call_n) return Q_OK; /* nothing but thoughts */
  if(parts.n && !parts.v[0].media) parts.v[0].text = in_without_think(parts.v[0].text);
  struct chat_msg *m = anthropic_turn(x, ROLE_ASSISTANT, &parts, false);
  m->calls = said.calls;
  m->call_n = said.call_n;
  return Q_OK;
}

static enum q_status anthropic_message(struct anthropic *x, const struct json *m, int i)
{
  char path[64];
  struct in_parts parts = { .arena = x->arena };
  snprintf(path, sizeof path, "messages[%d]", i);
  if(!json_is(m, JSON_OBJECT)) return in_type(x->e, path, "an object");
  const struct json *role = json_get(m, "role"), *content = json_get(m, "content");
  snprintf(path, sizeof path, "messages[%d].role", i);
  if(json_absent(role)) return status_fail(x->e, Q_MISSING, path, "'%s' is missing.", path);
  bool user = str_eq(json_str(role), S("user")), assistant = str_eq(json_str(role), S("assistant")), system = str_eq(json_str(role), S("system"));
  if(!user && !assistant && !system) return status_fail(x->e, Q_BAD_VALUE, path, "'%s' must be user, assistant or system.", path);
  enum q_status st = ANTHROPIC_REST(x, m, "messages", "role", "content");
  snprintf(path, sizeof path, "messages[%d].content", i);
  if(st) return st;
  if(json_absent(content) && !system) return status_fail(x->e, Q_MISSING, path, "'%s' is missing.", path);
  if(json_is(content, JSON_ARRAY) && user) return anthropic_user(x, content, path);
  if(json_is(content, JSON_ARRAY) && assistant) return anthropic_assistant(x, content, path);
  st = anthropic_blocks(x, &parts, content, path, 0);
  if(!st && assistant && parts.n) parts.v[0].text = in_without_think(parts.v[0].text);
  if(!st && parts.n) anthropic_turn(x, user ? ROLE_USER : assistant ? ROLE_ASSISTANT : ROLE_SYSTEM, &parts, false);
  return st;
}

static enum q_status anthropic_messages(struct anthropic *x, const struct json *body)
{
  const struct json *list = json_get(body, "messages"), *system = json_get(body, "system");
  struct in_parts parts = { .arena = x->arena };
  size_t most = 1;
  int i = 0;
  if(json_absent(list)) return status_fail(x->e, Q_MISSING, "messages", "'messages' is missing: send at least one message.");
  if(!json_is(list, JSON_ARRAY)) return in_type(x->e, "messages", "an array");
  if(list->count == 0) return status_fail(x->e, Q_MISSING, "messages", "'messages' is empty: send at least one message.");
  for json_each(m, list) {
    const struct json *content = json_get(m, "content");
    most += json_is(content, JSON_ARRAY) ? (size_t)content->count + 1 : 1;
  }
  x->r->msgs = arena_alloc(x->arena, most * sizeof *x->r->msgs);
  if(!x->r->msgs) return in_no_memory(x->e);
  enum q_status st = anthropic_blocks(x, &parts, system, "system", 0);
  if(!st && parts.n) anthropic_turn(x, ROLE_SYSTEM, &parts, false);
  for json_each(m, list) {
    if(st) break;
    st = anthropic_message(x, m, i++);
  }
  if(st) return st;
  return x->r->msg_n ? Q_OK : status_fail(x->e, Q_BAD_VALUE, "messages", "All messages are empty: there is nothing to answer.");
}

/* ---- switches ---- */

/* A variant asked for by name is a wish to see the thoughts as well. */
static bool anthropic_thinker(struct str model)
{
  static const struct str ends[] = { { "-thinking", 9 }, { "-thinking-search", 16 }, { "-search-thinking", 16 } };
  for(size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
    if(model.n > ends[i].n && str_ieq(str_sub(model, model.n - ends[i].n, ends[i].n), ends[i])) return true;
  return false;
}

static enum q_status anthropic_thinking(struct anthropic *x, const struct json *body)
{
  struct chat_req *r = x->r;
  const struct json *thinking = json_get(body, "thinking");
  bool asked = !json_absent(thinking), omitted = str_eq(json_str(json_get(thinking, "display")), S("omitted"));
  r->think = THINK_OFF; /* this protocol thinks when it is told to */
  enum q_status st = in_effort(r, json_path(body, "output_config.effort"), "output_config.effort", x->e);
  const struct chat_msg *last = &r->msgs[r->msg_n - 1];
  if(str_eq(json_str(json_get(thinking, "type")), S("between_tools"))) r->think = last->role == ROLE_TOOL || last->joined ? THINK_ON : THINK_OFF;
  else if(!st) st = in_thinking(r, thinking, "thinking", x->e);
  if(st) return st;
  r->hide_reasoning = asked ? r->think != THINK_ON || omitted : !anthropic_thinker(r->model);
  if(r->think != THINK_ON) r->think_budget = 0;
  return asked ? ANTHROPIC_REST(x, thinking, "thinking", "type", "budget_tokens", "display") : Q_OK;
}

static enum q_status anthropic_format(struct anthropic *x, const struct json *format, const char *param)
{
  char where[64];
  if(json_absent(format)) return Q_OK;
  if(!json_is(format, JSON_OBJECT)) return in_type(x->e, param, "an object");
  snprintf(where, sizeof where, "%s.type", param);
  if(!str_eq(json_str(json_get(format, "type")), S("json_schema"))) return status_fail(x->e, Q_BAD_VALUE, where, "'%s' must be json_schema.", where);
  snprintf(where, sizeof where, "%s.schema", param);
  x->r->format = FORMAT_SCHEMA;
  x->r->schema = json_get(format, "schema");
  x->r->schema_strict = true; /* this protocol knows no other */
  return json_is(x->r->schema, JSON_OBJECT) ? Q_OK : status_fail(x->e, Q_MISSING, where, "'%s' is missing.", where);
}

static enum q_status anthropic_output(struct anthropic *x, const struct json *body)
{
  const struct json *config = json_get(body, "output_config");
  if(!json_absent(config) && !json_is(config, JSON_OBJECT)) return in_type(x->e, "output_config", "an object");
  enum q_status st = anthropic_format(x, json_get(body, "output_format"), "output_format");
  if(!st) st = anthropic_format(x, json_get(config, "format"), "output_config.format");
  return st ? st : ANTHROPIC_REST(x, config, "output_config", "effort", "format");
}

/* What needs a server that keeps conversations or calls other servers. */
static enum q_status anthropic_refusals(struct anthropic *x, const struct json *body)
{
  const struct json *servers = json_get(body, "mcp_servers"), *thread = json_get(body, "thread");
  if(!json_absent(servers) && !(json_is(servers, JSON_ARRAY) && servers->count == 0))
    return status_fail(x->e, Q_UNSUPPORTED, "mcp_servers", "'mcp_servers' is not supported: connect to the servers yourself and send their tools in 'tools'.");
  if(!json_absent(thread))
    return status_fail(x->e, Q_UNSUPPORTED, "thread", "'thread' is not supported: send the whole conversation in 'messages'.");
  if(!json_absent(json_get(body, "compaction")))
    return status_fail(x->e, Q_UNSUPPORTED, "compaction", "'compaction' is not supported: ask for a summary in a message.");
  return Q_OK;
}

enum q_status anthropic_in(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  static const struct in_idle numbers[] = { { "temperature", false, IN_NUMBER }, { "top_p", false, IN_NUMBER }, { "top_k", false, IN_NUMBER } };
  struct anthropic x = { a, r, e };
  bool found;
  *r = (struct chat_req){ .n = 1 };
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  enum q_status st = in_text(body, "model", &r->model, e);
  r->model = str_trim(r->model);
  if(!st) st = in_ignored(a, body, numbers, 3, r, e);
  if(!st) st = ANTHROPIC_REST(&x, body, NULL, "model", "messages", "system", "max_tokens", "stop_sequences", "stream", "tools", "tool_choice",
                              "thinking", "output_config", "output_format", "mcp_servers", "thread", "compaction");
  if(!st) st = anthropic_refusals(&x, body);
  if(!st) st = anthropic_messages(&x, body);
  if(!st) st = in_bool(body, "stream", &found, &r->stream, e);
  if(!st) st = anthropic_output(&x, body);
  if(!st) st = anthropic_thinking(&x, body);
  if(!st) st = anthropic_tools(a, body, r, e);
  if(!st) st = in_stop(r, json_get(body, "stop_sequences"), "stop_sequences", e);
  if(!st) st = in_max_tokens(r, json_get(body, "max_tokens"), "max_tokens", e);
  if(!st && r->max_tokens == 1) { /* a warm-up or quota probe: no thought is worth its while */
    r->think = THINK_OFF;
    r->think_budget = 0;
  }
  if(!st) st = in_check(r, "messages", e);
  return st;
}
