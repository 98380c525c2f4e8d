#include "proto/relay_req.h"

#include <stdio.h>

#include "proto/in.h"
#include "proto/tokens.h"

enum { RELAY_REQ_MEMBERS_MAX = 1000, RELAY_REQ_BODY_MAX = 1024 * 1024 * 1024 };

/* Refused by the CLI service at top level. */
static const char *const relay_req_dropped[] = { "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "n",
                                                 "seed", "service_tier", "user" };
/* Read on their own and written anew, or ours. */
static const char *const relay_req_own[] = { "model", "messages", "stream", "stream_options", "enable_thinking", "enable_search", "thinking",
                                             "reasoning", "max_tokens", "max_completion_tokens", "include_reasoning", "reasoning_format",
                                             "chat_template_kwargs", "extra_body" };
/* Numbers that a client may have sent as texts. */
static const char *const relay_req_numbers[] = { "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "thinking_budget" };

static bool relay_req_in(struct str key, const char *const *list, size_t n)
{
  for(size_t i = 0; i < n; i++)
    if(str_eq(key, str_z(list[i]))) return true;
  return false;
}
#define RELAY_REQ_IN(key, list) relay_req_in((key), (list), sizeof(list) / sizeof *(list))

/* Of equal keys the last counts. */
static bool relay_req_last(const struct json *m)
{
  for(const struct json *x = m->next; x; x = x->next)
    if(str_eq(x->key, m->key)) return false;
  return true;
}

static bool relay_req_empty(const struct json *m)
{
  return json_absent(m) || (m->type == JSON_ARRAY && m->count == 0);
}

/* ---- messages ---- */

static bool relay_req_is_system(const struct json *m)
{
  struct str role = json_str(json_get(m, "role"));
  return str_eq(role, S("system")) || str_eq(role, S("developer"));
}

static void relay_req_text_part(struct str text, bool *first, struct strbuf *b)
{
  if(!text.n) return;
  if(!*first) strbuf_addc(b, ',');
  *first = false;
  strbuf_lit(b, "{\"type\":\"text\",\"text\":");
  strbuf_json(b, text);
  strbuf_addc(b, '}');
}

/* The parts of every system message, in order. Part objects stay as they are: they may carry cache marks. */
static void relay_req_systems(const struct json *list, struct strbuf *b, bool *any)
{
  bool first = true;
  for json_each(m, list) {
    const struct json *content = json_get(m, "content");
    if(!relay_req_is_system(m)) continue;
    relay_req_text_part(json_str(content), &first, b);
    if(json_is(content, JSON_ARRAY))
      for json_each(part, content) {
        if(json_is(part, JSON_STRING)) relay_req_text_part(part->text, &first, b);
        if(!json_is(part, JSON_OBJECT)) continue;
        if(!first) strbuf_addc(b, ',');
        first = false;
        json_write(part, b);
      }
  }
  *any = !first;
}

static void relay_req_count(struct relay_req *r, const struct json *content)
{
  r->prompt_tokens += tokens_count(json_str(content));
  if(json_is(content, JSON_ARRAY))
    for json_each(part, content) r->prompt_tokens += tokens_count(json_str(json_get(part, "text")));
}

static enum q_status relay_req_messages(const struct json *list, struct relay_req *r, struct q_error *e)
{
  struct strbuf *b = &r->rest, systems = STRBUF(RELAY_REQ_BODY_MAX);
  int i = 0;
  bool first = true;
  if(json_absent(list) || (json_is(list, JSON_ARRAY) && !list->count))
    return status_fail(e, Q_MISSING, "messages", "'messages' is missing or empty; send at least one message.");
  if(!json_is(list, JSON_ARRAY)) return in_type(e, "messages", "an array");
  for json_each(m, list) {
    char param[64];
    snprintf(param, sizeof param, "messages[%d]", i++);
    if(!json_is(m, JSON_OBJECT)) return in_type(e, param, "an object");
    snprintf(param, sizeof param, "messages[%d].role", i - 1);
    if(!json_is(json_get(m, "role"), JSON_STRING)) return in_type(e, param, "a string");
    relay_req_count(r, json_get(m, "content"));
    r->prompt_tokens += 4;
  }
  relay_req_systems(list, &systems, &r->has_system);
  if(r->has_system) {
    strbuf_lit(b, "{\"role\":\"system\",\"content\":[");
    strbuf_adds(b, strbuf_str(&systems));
    strbuf_lit(b, "]}");
    first = false;
  }
  if(systems.err) b->err = systems.err;
  strbuf_free(&systems);
  for json_each(m, list) {
    if(relay_req_is_system(m)) continue;
    if(!first) strbuf_addc(b, ',');
    first = false;
    json_write(m, b);
  }
  strbuf_addc(b, ']');
  return Q_OK;
}

/* ---- the other members ---- */

static enum q_status relay_req_max_tokens(const struct json *body, struct relay_req *r, struct q_error *e)
{
  static const char *const names[] = { "max_tokens", "max_completion_tokens" };
  int64_t least = 0;
  for(int i = 0; i < 2; i++) {
    const struct json *n = json_get(body, names[i]);
    int64_t v;
    if(json_absent(n)) continue;
    if(!json_int(n, &v)) return in_type(e, names[i], "a whole number");
    if(v < 1) return status_fail(e, Q_BAD_VALUE, names[i], "'%s' must be at least 1.", names[i]);
    if(!least || v < least) least = v;
  }
  if(least) strbuf_fmt(&r->rest, ",\"max_tokens\":%lld", (long long)least);
  return Q_OK;
}

static enum q_status relay_req_flag(const struct json *body, const char *name, enum think_wish *out, struct q_error *e)
{
  bool found, value = false;
  enum q_status st = in_bool(body, name, &found, &value, e);
  if(!st && found) *out = value ? THINK_ON : THINK_OFF;
  return st;
}

/* Every spelling of "think", as in the chat route. */
static enum q_status relay_req_think(const struct json *body, struct relay_req *r, struct q_error *e)
{
  static const char *const names[] = { "chat_template_kwargs.enable_thinking", "extra_body.enable_thinking", "enable_thinking" };
  struct chat_req chat = { .think = THINK_UNSET };
  enum q_status st = Q_OK;
  const struct json *thinking = json_get(body, "thinking");
  if(!json_absent(thinking)) st = in_thinking(&chat, thinking, "thinking", e);
  r->think = chat.think;
  r->think_budget = chat.think_budget;
  for(int i = 0; i < 3 && !st; i++) st = relay_req_flag(body, names[i], &r->think, e);
  if(!st) st = relay_req_flag(body, "enable_search", &r->search, e);
  return st;
}

static void relay_req_ignore(struct relay_req *r, struct str name)
{
  if(r->ignored.n + name.n + 1 > CHAT_IGNORED_MAX) return;
  if(r->ignored.n) strbuf_addc(&r->ignored, ',');
  strbuf_adds(&r->ignored, name);
}

static void relay_req_member(const struct json *m, struct relay_req *r)
{
  struct strbuf *b = &r->rest;
  double number;
  strbuf_addc(b, ',');
  strbuf_json(b, m->key);
  strbuf_addc(b, ':');
  if(json_is(m, JSON_STRING) && RELAY_REQ_IN(m->key, relay_req_numbers) && json_number(m, &number) && number > -1e300 && number < 1e300)
    strbuf_fmt(b, "%.15g", number); /* not the text: ".5" is no JSON */
  else json_write(m, b);
}

static enum q_status relay_req_members(const struct json *body, struct relay_req *r, struct q_error *e)
{
  bool tools = !relay_req_empty(json_get(body, "tools"));
  struct str effort = json_str(json_path(body, "reasoning.effort"));
  if(!relay_req_empty(json_get(body, "functions")) || !json_absent(json_get(body, "function_call")))
    return status_fail(e, Q_UNSUPPORTED, "functions", "'functions' is not known to this upstream; send 'tools'.");
  for json_each(m, body) {
    bool of_tools = str_eq(m->key, S("tool_choice")) || str_eq(m->key, S("parallel_tool_calls"));
    if(relay_req_empty(m) || RELAY_REQ_IN(m->key, relay_req_own) || !relay_req_last(m) || (of_tools && !tools)) continue;
    if(RELAY_REQ_IN(m->key, relay_req_dropped)) relay_req_ignore(r, m->key);
    else relay_req_member(m, r);
  }
  if(effort.n && json_absent(json_get(body, "reasoning_effort"))) {
    strbuf_lit(&r->rest, ",\"reasoning_effort\":");
    strbuf_json(&r->rest, effort);
  }
  if(r->think_budget && json_absent(json_get(body, "thinking_budget"))) strbuf_fmt(&r->rest, ",\"thinking_budget\":%d", r->think_budget);
  return Q_OK;
}

static enum q_status relay_req_object(const struct json *body, struct q_error *e)
{
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  if(body->count > RELAY_REQ_MEMBERS_MAX) return status_fail(e, Q_BAD_VALUE, NULL, "The request has too many members.");
  return Q_OK;
}

enum q_status relay_req_read(const struct json *body, struct relay_req *r, struct q_error *e)
{
  bool found, value = false;
  *r = (struct relay_req){ .prompt_tokens = 2, .rest = STRBUF(RELAY_REQ_BODY_MAX), .ignored = STRBUF(CHAT_IGNORED_MAX) };
  enum q_status st = relay_req_object(body, e);
  if(!st) st = in_text(body, "model", &r->model, e);
  if(!st) st = in_bool(body, "stream", &found, &r->stream, e);
  if(!st) st = in_bool(body, "stream_options.include_usage", &found, &value, e);
  if(!st && found) r->usage = value ? USAGE_YES : USAGE_NO;
  value = true;
  if(!st) st = in_bool(body, "include_reasoning", &found, &value, e);
  r->hide_think = !value;
  if(!st) st = relay_req_think(body, r, e);
  if(!st) st = relay_req_messages(json_get(body, "messages"), r, e);
  if(!st) st = relay_req_max_tokens(body, r, e);
  if(!st) st = relay_req_members(body, r, e);
  strbuf_addc(&r->rest, '}');
  if(!st && r->rest.err) st = in_no_memory(e);
  return st;
}

void relay_req_free(struct relay_req *r)
{
  strbuf_free(&r->rest);
  strbuf_free(&r->ignored);
}

/* ---- out ---- */

static void relay_req_wish(struct strbuf *out, const char *name, enum think_wish wish, bool suffix)
{
  if(suffix || wish != THINK_UNSET) strbuf_fmt(out, ",\"%s\":%s", name, suffix || wish == THINK_ON ? "true" : "false");
}

void relay_req_write(const struct relay_req *r, const struct relay_req_to *to, struct strbuf *out)
{
  strbuf_lit(out, "{\"model\":");
  strbuf_json(out, to->model);
  strbuf_lit(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
  relay_req_wish(out, "enable_thinking", r->think, to->think);
  relay_req_wish(out, "enable_search", r->search, to->search);
  strbuf_lit(out, ",\"messages\":[");
  if(to->needs_system && !r->has_system) {
    strbuf_lit(out, "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}");
    if(r->rest.n && r->rest.p[0] == '{') strbuf_addc(out, ',');
  }
  strbuf_adds(out, strbuf_str(&r->rest));
}

struct str relay_req_bare(struct str model, bool *think, bool *search)
{
  static const struct { struct str suffix; bool think, search; } rows[] = {
    { { "-thinking-search", 16 }, true, true }, { { "-search-thinking", 16 }, true, true },
    { { "-thinking", 9 }, true, false },        { { "-search", 7 }, false, true },
  };
  *think = *search = false;
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if(model.n <= rows[i].suffix.n || !str_ends(model, rows[i].suffix)) continue;
    *think = rows[i].think;
    *search = rows[i].search;
    return str_sub(model, 0, model.n - rows[i].suffix.n);
  }
  return model;
}

enum q_status relay_req_embeddings(const struct json *body, struct strbuf *out, struct str *model, bool *base64, struct q_error *e)
{
  enum q_status st = relay_req_object(body, e);
  struct str format = S("float");
  *model = STR_NONE;
  if(!st) st = in_text(body, "model", model, e);
  if(!st) st = in_text(body, "encoding_format", &format, e);
  if(st) return st;
  if(!model->n) return status_fail(e, Q_MISSING, "model", "'model' is missing; name an embeddings model.");
  if(relay_req_empty(json_get(body, "input"))) return status_fail(e, Q_MISSING, "input", "'input' is missing; send a text or a list of texts.");
  *base64 = str_eq(format, S("base64"));
  if(!*base64 && !str_eq(format, S("float")))
    return status_fail(e, Q_BAD_VALUE, "encoding_format", "'encoding_format' must be 'float' or 'base64'.");
  strbuf_lit(out, "{\"model\":");
  strbuf_json(out, *model);
  for json_each(m, body) {
    if(relay_req_empty(m) || !relay_req_last(m) || str_eq(m->key, S("model")) || str_eq(m->key, S("encoding_format")) || str_eq(m->key, S("user")))
      continue;
    strbuf_addc(out, ',');
    strbuf_json(out, m->key);
    strbuf_addc(out, ':');
    json_write(m, out);
  }
  strbuf_lit(out, ",\"encoding_format\":\"float\"}");
  return out->err ? in_no_memory(e) : Q_OK;
}
