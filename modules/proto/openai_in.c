#include "proto/openai.h"

#include <stdio.h>

enum { OPENAI_IGNORED_MAX = 512, OPENAI_BUDGET_MAX = 81920 };

/* Fields that are accepted and do nothing: the web chat has no sampling controls. `named`: told in the answer's header. */
static const struct { const char *name; bool named; enum { IN_ANY, IN_NUMBER, IN_OBJECT } type; } openai_idle[] = {
  { "temperature", true, IN_NUMBER },       { "top_p", true, IN_NUMBER },
  { "top_k", true, IN_NUMBER },             { "min_p", true, IN_NUMBER },
  { "seed", true, IN_NUMBER },              { "presence_penalty", true, IN_NUMBER },
  { "frequency_penalty", true, IN_NUMBER }, { "repetition_penalty", true, IN_NUMBER },
  { "logit_bias", true, IN_OBJECT },        { "logprobs", true, IN_ANY },
  { "top_logprobs", true, IN_NUMBER },      { "user", true, IN_ANY },
  { "metadata", true, IN_ANY },             { "store", true, IN_ANY },
  { "safety_identifier", true, IN_ANY },    { "prompt_cache_key", true, IN_ANY },
  { "service_tier", true, IN_ANY },         { "verbosity", true, IN_ANY },
  { "prediction", true, IN_ANY },           { "parallel_tool_calls", false, IN_ANY },
};

static enum q_status openai_type(struct q_error *e, const char *param, const char *want)
{
  return status_fail(e, Q_BAD_TYPE, param, "'%s' must be %s.", param, want);
}

/* ---- content ---- */

static bool openai_text_part(struct str type)
{
  return str_eq(type, S("text")) || str_eq(type, S("input_text")) || str_eq(type, S("output_text"));
}

static bool openai_media_part(struct str type)
{
  static const char *const names[] = { "image_url", "input_image", "image", "video_url", "input_video", "video",
                                       "input_audio", "audio_url", "file", "input_file", "file_url" };
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if(str_eq(type, str_z(names[i]))) return true;
  return false;
}

static enum q_status openai_parts(struct arena *a, const struct json *content, const char *path, struct str *out,
                                  struct q_error *e)
{
  struct strbuf all = STRBUF(SIZE_MAX / 4);
  enum q_status st = Q_OK;
  int j = 0;
  bool any = false;
  for json_each(part, content) {
    char param[96];
    struct str text = STR_NONE, type = json_str(json_get(part, "type"));
    snprintf(param, sizeof param, "%s[%d].type", path, j++);
    if(json_is(part, JSON_STRING)) text = part->text;
    else if(!json_is(part, JSON_OBJECT)) st = openai_type(e, param, "a content part");
    else if(openai_text_part(type)) text = json_str(json_get(part, "text"));
    else if(str_eq(type, S("refusal"))) text = json_str(json_get(part, "refusal"));
    else if(openai_media_part(type))
      st = status_fail(e, Q_UNSUPPORTED, param, "Content parts of type '%.*s' are not supported; send text.", STR_F(str_sub(type, 0, 40)));
    else st = status_fail(e, Q_BAD_VALUE, param, "Unknown content part type '%.*s'.", STR_F(str_sub(type, 0, 40)));
    if(st) break;
    if(any) strbuf_addc(&all, '\n');
    strbuf_adds(&all, text);
    any = true;
  }
  if(!st) {
    *out = arena_str(a, strbuf_str(&all));
    if(all.err || !out->p) st = status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  }
  strbuf_free(&all);
  return st;
}

/* Reasoning at the head of an assistant's text is not part of what it said. */
static struct str openai_without_think(struct str s)
{
  struct str t = str_trim(s);
  if(!str_starts(t, S("<think>"))) return s;
  ptrdiff_t end = str_find(t, S("</think>"));
  return end < 0 ? s : str_trim(str_sub(t, (size_t)end + 8, t.n));
}

static bool openai_role(struct str name, enum chat_role *role)
{
  if(str_eq(name, S("system")) || str_eq(name, S("developer"))) *role = ROLE_SYSTEM;
  else if(str_eq(name, S("user"))) *role = ROLE_USER;
  else if(str_eq(name, S("assistant"))) *role = ROLE_ASSISTANT;
  else if(str_eq(name, S("tool")) || str_eq(name, S("function"))) *role = ROLE_TOOL;
  else return false;
  return true;
}

static enum q_status openai_message(struct arena *a, const struct json *m, int i, struct chat_msg *out, struct q_error *e)
{
  char path[64];
  snprintf(path, sizeof path, "messages[%d]", i);
  if(!json_is(m, JSON_OBJECT)) return openai_type(e, path, "an object");
  const struct json *role = json_get(m, "role"), *content = json_get(m, "content"), *refusal = json_get(m, "refusal");
  snprintf(path, sizeof path, "messages[%d].role", i);
  if(json_absent(role)) return status_fail(e, Q_MISSING, path, "'%s' is missing.", path);
  if(!json_is(role, JSON_STRING)) return openai_type(e, path, "a string");
  if(!openai_role(role->text, &out->role))
    return status_fail(e, Q_BAD_VALUE, path, "'%s' must be system, developer, user, assistant or tool.", path);
  if(out->role == ROLE_TOOL)
    return status_fail(e, Q_UNSUPPORTED, path, "Tool results are not supported; send system, user and assistant messages.");
  snprintf(path, sizeof path, "messages[%d].tool_calls", i);
  const struct json *calls = json_get(m, "tool_calls");
  if((json_is(calls, JSON_ARRAY) && calls->count) || !json_absent(json_get(m, "function_call")))
    return status_fail(e, Q_UNSUPPORTED, path, "Tool calls are not supported; send system, user and assistant messages.");
  out->name = json_str(json_get(m, "name"));
  snprintf(path, sizeof path, "messages[%d].content", i);
  if(json_is(content, JSON_STRING)) {
    out->text = content->text;
  } else if(json_is(content, JSON_ARRAY)) {
    enum q_status st = openai_parts(a, content, path, &out->text, e);
    if(st) return st;
  } else if(!json_absent(content)) {
    return openai_type(e, path, "a string or an array of content parts");
  }
  if(out->role == ROLE_ASSISTANT) {
    out->text = openai_without_think(out->text);
    if(!out->text.n) out->text = json_str(refusal);
  }
  return Q_OK;
}

static enum q_status openai_messages(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *list = json_get(body, "messages");
  if(json_absent(list)) return status_fail(e, Q_MISSING, "messages", "'messages' is missing: send at least one message.");
  if(!json_is(list, JSON_ARRAY)) return openai_type(e, "messages", "an array");
  if(list->count == 0) return status_fail(e, Q_MISSING, "messages", "'messages' is empty: send at least one message.");
  r->msgs = arena_alloc(a, (size_t)list->count * sizeof *r->msgs);
  if(!r->msgs) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  bool text = false;
  for json_each(m, list) {
    enum q_status st = openai_message(a, m, r->msg_n, &r->msgs[r->msg_n], e);
    if(st) return st;
    text |= r->msgs[r->msg_n].text.n > 0;
    r->msg_n++;
  }
  if(!text) return status_fail(e, Q_BAD_VALUE, "messages", "All messages are empty: there is nothing to answer.");
  return Q_OK;
}

/* ---- switches ---- */

static enum q_status openai_bool(const struct json *body, const char *name, bool *found, bool *value, struct q_error *e)
{
  const struct json *n = json_path(body, name);
  *found = !json_absent(n);
  if(*found && !json_bool(n, value)) return openai_type(e, name, "true or false");
  return Q_OK;
}

static void openai_budget(struct chat_req *r, int64_t tokens)
{
  r->think_budget = tokens < 1 ? 1 : tokens > OPENAI_BUDGET_MAX ? OPENAI_BUDGET_MAX : (int)tokens;
}

static enum q_status openai_effort(struct chat_req *r, const struct json *n, const char *param, struct q_error *e)
{
  static const struct { const char *word; int tokens; } efforts[] = {
    { "none", 0 }, { "minimal", 1024 }, { "low", 4096 }, { "medium", 16384 }, { "high", 38912 }, { "xhigh", 81920 }, { "max", 81920 },
  };
  if(json_absent(n)) return Q_OK;
  for(size_t i = 0; i < sizeof efforts / sizeof efforts[0]; i++) {
    if(!str_eq(json_str(n), str_z(efforts[i].word))) continue;
    r->think = efforts[i].tokens ? THINK_ON : THINK_OFF;
    if(efforts[i].tokens) r->think_budget = efforts[i].tokens;
    return Q_OK;
  }
  return status_fail(e, Q_BAD_VALUE, param, "'%s' must be none, minimal, low, medium, high, xhigh or max.", param);
}

static enum q_status openai_thinking(const struct json *body, struct chat_req *r, struct q_error *e)
{
  static const char *const flags[] = { "chat_template_kwargs.enable_thinking", "extra_body.enable_thinking", "enable_thinking" };
  const struct json *thinking = json_get(body, "thinking");
  int64_t budget;
  bool found, on = false;
  enum q_status st = openai_effort(r, json_path(body, "reasoning.effort"), "reasoning.effort", e);
  if(!st) st = openai_effort(r, json_get(body, "reasoning_effort"), "reasoning_effort", e);
  if(!st && json_is(thinking, JSON_OBJECT)) {
    struct str type = json_str(json_get(thinking, "type"));
    if(str_eq(type, S("enabled")) || str_eq(type, S("adaptive"))) r->think = THINK_ON;
    else if(str_eq(type, S("disabled"))) r->think = THINK_OFF;
    else st = status_fail(e, Q_BAD_VALUE, "thinking.type", "'thinking.type' must be enabled or disabled.");
    if(json_int(json_get(thinking, "budget_tokens"), &budget)) openai_budget(r, budget);
  } else if(!st && !json_absent(thinking)) {
    st = openai_type(e, "thinking", "an object");
  }
  for(size_t i = 0; !st && i < sizeof flags / sizeof flags[0]; i++) {
    st = openai_bool(body, flags[i], &found, &on, e);
    if(!st && found) r->think = on ? THINK_ON : THINK_OFF;
  }
  const struct json *tokens = json_get(body, "thinking_budget");
  if(!st && !json_absent(tokens)) {
    if(json_int(tokens, &budget)) openai_budget(r, budget);
    else st = openai_type(e, "thinking_budget", "a whole number");
  }
  if(!st) st = openai_bool(body, "include_reasoning", &found, &on, e);
  if(!st && found) r->hide_reasoning = !on;
  const struct json *format = json_get(body, "reasoning_format");
  if(!st && !json_absent(format)) {
    struct str f = json_str(format);
    if(str_eq(f, S("field"))) r->think_out = THINK_OUT_FIELD;
    else if(str_eq(f, S("tags"))) r->think_out = THINK_OUT_TAGS;
    else if(str_eq(f, S("none"))) r->think_out = THINK_OUT_NONE;
    else st = status_fail(e, Q_BAD_VALUE, "reasoning_format", "'reasoning_format' must be field, tags or none.");
  }
  return st;
}

static enum q_status openai_search(const struct json *body, struct chat_req *r, struct q_error *e)
{
  static const char *const names[] = { "enable_search", "web_search_options", "search" };
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct json *n = json_get(body, names[i]);
    bool on = json_is(n, JSON_OBJECT);
    if(json_absent(n)) continue;
    if(!on && !json_bool(n, &on)) return openai_type(e, names[i], "true, false or an object");
    r->search |= on;
  }
  const struct json *type = json_get(body, "chat_type");
  if(json_absent(type)) return Q_OK;
  struct str t = json_str(type);
  if(str_eq(t, S("t2t"))) r->kind = CHAT_T2T;
  else if(str_eq(t, S("search"))) r->kind = CHAT_SEARCH;
  else if(str_eq(t, S("t2i")) || str_eq(t, S("t2v")) || str_eq(t, S("image_edit")) || str_eq(t, S("deep_research")))
    return status_fail(e, Q_UNSUPPORTED, "chat_type", "chat_type '%.*s' is not supported; use t2t or search.", STR_F(t));
  else return status_fail(e, Q_BAD_VALUE, "chat_type", "'chat_type' must be t2t or search.");
  return Q_OK;
}

/* ---- limits ---- */

static enum q_status openai_stop(const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *stop = json_get(body, "stop");
  if(json_absent(stop)) return Q_OK;
  if(json_is(stop, JSON_STRING)) {
    if(stop->text.n) r->stop[r->stop_n++] = stop->text;
    return Q_OK;
  }
  if(!json_is(stop, JSON_ARRAY)) return openai_type(e, "stop", "a string or an array of strings");
  if(stop->count > CHAT_STOP_MAX) return status_fail(e, Q_BAD_VALUE, "stop", "'stop' holds at most %d strings.", CHAT_STOP_MAX);
  for json_each(s, stop) {
    if(!json_is(s, JSON_STRING)) return openai_type(e, "stop", "a string or an array of strings");
    if(s->text.n) r->stop[r->stop_n++] = s->text;
  }
  return Q_OK;
}

static enum q_status openai_max_tokens(const struct json *body, struct chat_req *r, struct q_error *e)
{
  static const char *const names[] = { "max_tokens", "max_completion_tokens" };
  for(int i = 0; i < 2; i++) {
    const struct json *n = json_get(body, names[i]);
    int64_t v;
    if(json_absent(n)) continue;
    if(!json_int(n, &v)) return openai_type(e, names[i], "a whole number");
    if(v < 1) return status_fail(e, Q_BAD_VALUE, names[i], "'%s' must be at least 1.", names[i]);
    if(!r->max_tokens || v < r->max_tokens) r->max_tokens = v;
  }
  if(r->max_tokens >= 32768) r->max_tokens = 0; /* the model's own bound is lower: no limit */
  return Q_OK;
}

/* ---- what this gateway cannot do must not be dropped in silence ---- */

static enum q_status openai_refusals(const struct json *body, struct q_error *e)
{
  int64_t n = 1;
  const struct json *tools = json_get(body, "tools"), *functions = json_get(body, "functions"), *count = json_get(body, "n");
  bool none = str_eq(json_str(json_get(body, "tool_choice")), S("none")) || str_eq(json_str(json_get(body, "function_call")), S("none"));
  if(!none && json_is(tools, JSON_ARRAY) && tools->count)
    return status_fail(e, Q_UNSUPPORTED, "tools", "Tools are not supported; leave 'tools' out.");
  if(!none && json_is(functions, JSON_ARRAY) && functions->count)
    return status_fail(e, Q_UNSUPPORTED, "functions", "Functions are not supported; leave 'functions' out.");
  if(!json_absent(count) && !json_int(count, &n)) return openai_type(e, "n", "a whole number");
  if(n < 1) return status_fail(e, Q_BAD_VALUE, "n", "'n' must be at least 1.");
  if(n > 1) return status_fail(e, Q_UNSUPPORTED, "n", "Only one choice per request is supported; leave 'n' out.");
  const struct json *format = json_get(body, "response_format");
  struct str type = json_str(json_get(format, "type"));
  if(!json_absent(format) && !str_eq(type, S("text")))
    return status_fail(e, Q_UNSUPPORTED, "response_format", "Only response_format 'text' is supported.");
  for json_each(m, json_get(body, "modalities"))
    if(!str_eq(json_str(m), S("text")))
      return status_fail(e, Q_UNSUPPORTED, "modalities", "Only the modality 'text' is supported.");
  if(!json_absent(json_get(body, "audio")))
    return status_fail(e, Q_UNSUPPORTED, "audio", "Audio output is not supported; leave 'audio' out.");
  return Q_OK;
}

static enum q_status openai_ignored(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  char *list = arena_alloc(a, OPENAI_IGNORED_MAX + 1);
  size_t n = 0;
  if(!list) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  for(size_t i = 0; i < sizeof openai_idle / sizeof openai_idle[0]; i++) {
    const char *name = openai_idle[i].name;
    const struct json *v = json_get(body, name);
    double d;
    if(json_absent(v)) continue;
    if(openai_idle[i].type == IN_NUMBER && !json_number(v, &d)) return openai_type(e, name, "a number");
    if(openai_idle[i].type == IN_OBJECT && !json_is(v, JSON_OBJECT)) return openai_type(e, name, "an object");
    size_t len = strlen(name);
    if(!openai_idle[i].named || n + len + 1 > OPENAI_IGNORED_MAX) continue;
    if(n) list[n++] = ',';
    memcpy(list + n, name, len);
    n += len;
  }
  r->ignored = str_of(list, n);
  return Q_OK;
}

enum q_status openai_in(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  bool found, on = false;
  *r = (struct chat_req){ .msg_n = 0 };
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  const struct json *model = json_get(body, "model"), *options = json_get(body, "stream_options");
  if(!json_absent(model) && !json_is(model, JSON_STRING)) return openai_type(e, "model", "a string");
  r->model = str_trim(json_str(model));
  enum q_status st = openai_messages(a, body, r, e);
  if(!st) st = openai_refusals(body, e);
  if(!st) st = openai_bool(body, "stream", &found, &r->stream, e);
  if(!st && !json_absent(options) && !json_is(options, JSON_OBJECT)) st = openai_type(e, "stream_options", "an object");
  if(!st) st = openai_bool(body, "stream_options.include_usage", &found, &on, e);
  if(!st && found) r->include_usage = on ? USAGE_YES : USAGE_NO;
  if(!st) st = openai_thinking(body, r, e);
  if(!st) st = openai_search(body, r, e);
  if(!st) st = openai_stop(body, r, e);
  if(!st) st = openai_max_tokens(body, r, e);
  if(!st) st = openai_ignored(a, body, r, e);
  return st;
}
