#include "proto/openai.h"

#include <stdio.h>

#include "proto/in.h"

/* Fields that are accepted and do nothing: the web chat has no sampling controls. `named`: told in the answer's header. */
static const struct in_idle openai_idle[] = {
  { "temperature", true, IN_NUMBER },       { "top_p", true, IN_NUMBER },
  { "top_k", true, IN_NUMBER },             { "min_p", true, IN_NUMBER },
  { "seed", true, IN_NUMBER },              { "presence_penalty", true, IN_NUMBER },
  { "frequency_penalty", true, IN_NUMBER }, { "repetition_penalty", true, IN_NUMBER },
  { "logit_bias", true, IN_OBJECT },        { "logprobs", true, IN_ANY },
  { "top_logprobs", true, IN_NUMBER },      { "user", true, IN_ANY },
  { "metadata", true, IN_ANY },             { "store", true, IN_ANY },
  { "safety_identifier", true, IN_ANY },    { "prompt_cache_key", true, IN_ANY },
  { "service_tier", true, IN_ANY },         { "verbosity", true, IN_ANY },
  { "prediction", true, IN_ANY },
};

/* ---- content parts ---- */

static bool openai_one_of(struct str type, const char *const *names, int n)
{
  for(int i = 0; i < n; i++)
    if(str_eq(type, str_z(names[i]))) return true;
  return false;
}
#define OPENAI_ONE_OF(type, ...) openai_one_of((type), (const char *const[]){ __VA_ARGS__ }, \
                                               (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)))

/* The source of a media part: a text, or the text within an object {url}. */
static struct str openai_source(const struct json *part, const char *const *names, int n)
{
  for(int i = 0; i < n; i++) {
    const struct json *v = json_get(part, names[i]);
    struct str s = json_is(v, JSON_OBJECT) ? json_str(json_get(v, "url")) : json_str(v);
    if(!s.n && json_is(v, JSON_OBJECT)) s = json_str(json_get(v, "data"));
    if(s.n) return s;
  }
  return STR_NONE;
}

static enum q_status openai_media(struct in_parts *p, const struct json *part, enum media_kind kind, const char *param, struct q_error *e)
{
  static const char *const images[] = { "image_url", "image", "input_image", "url", "source" };
  static const char *const videos[] = { "video_url", "video", "input_video", "url", "source" };
  static const char *const audios[] = { "audio_url", "input_audio", "audio", "url", "source" };
  static const char *const files[] = { "file_data", "file_url", "url", "source" };
  static const char *const *const names[] = { images, videos, audios, files };
  struct str mime = STR_NONE, name = json_str(json_get(part, "filename"));
  const struct json *from = part;
  if(kind == MEDIA_DOCUMENT && json_is(json_get(part, "file"), JSON_OBJECT)) from = json_get(part, "file");
  if(!json_absent(json_get(from, "file_id")))
    return status_fail(e, Q_UNSUPPORTED, param, "'%s': file_id is not supported, there is no file store; send the content or a URL.", param);
  if(kind == MEDIA_DOCUMENT && !name.n) name = json_str(json_get(from, "filename"));
  if(kind == MEDIA_AUDIO) {
    struct str format = json_str(json_path(part, "input_audio.format"));
    static const struct { struct str format, mime; } types[] = {
      { { "wav", 3 }, { "audio/wav", 9 } }, { { "mp3", 3 }, { "audio/mpeg", 10 } }, { { "m4a", 3 }, { "audio/mp4", 9 } },
      { { "flac", 4 }, { "audio/flac", 10 } }, { { "ogg", 3 }, { "audio/ogg", 9 } },
    };
    for(size_t i = 0; i < sizeof types / sizeof types[0]; i++)
      if(str_ieq(format, types[i].format)) mime = types[i].mime;
    if(format.n && !mime.n) return status_fail(e, Q_BAD_MEDIA, param, "'%s': the audio format must be wav, mp3, m4a, flac or ogg.", param);
  }
  struct str source = openai_source(from, names[kind], kind == MEDIA_DOCUMENT ? 4 : 5);
  if(!source.n) return status_fail(e, Q_MISSING, param, "'%s' has no content: give a URL, a data: URI or base64.", param);
  return in_add_media(p, kind, source, mime, name, param, e);
}

enum q_status openai_part(struct in_parts *p, const struct json *part, const char *param, struct q_error *e)
{
  char path[96];
  struct str type = json_str(json_get(part, "type"));
  if(json_is(part, JSON_STRING)) return in_add_text(p, part->text, e);
  snprintf(path, sizeof path, "%s.type", param);
  if(!json_is(part, JSON_OBJECT)) return in_type(e, path, "a content part");
  if(OPENAI_ONE_OF(type, "text", "input_text", "output_text")) return in_add_text(p, json_str(json_get(part, "text")), e);
  if(str_eq(type, S("refusal"))) return in_add_text(p, json_str(json_get(part, "refusal")), e);
  if(OPENAI_ONE_OF(type, "image_url", "input_image", "image")) return openai_media(p, part, MEDIA_IMAGE, param, e);
  if(OPENAI_ONE_OF(type, "video_url", "input_video", "video")) return openai_media(p, part, MEDIA_VIDEO, param, e);
  if(OPENAI_ONE_OF(type, "input_audio", "audio_url")) return openai_media(p, part, MEDIA_AUDIO, param, e);
  if(OPENAI_ONE_OF(type, "file", "input_file", "file_url")) return openai_media(p, part, MEDIA_DOCUMENT, param, e);
  return status_fail(e, Q_BAD_VALUE, path, "Unknown content part type '%.*s'.", STR_F(str_sub(type, 0, 40)));
}

enum q_status openai_content(struct in_parts *p, const struct json *content, const char *param, struct q_error *e)
{
  enum q_status st = Q_OK;
  int j = 0;
  if(json_absent(content)) return Q_OK;
  if(json_is(content, JSON_STRING)) return in_add_text(p, content->text, e);
  if(!json_is(content, JSON_ARRAY)) return in_type(e, param, "a string or an array of content parts");
  for json_each(part, content) {
    char path[96];
    snprintf(path, sizeof path, "%s[%d]", param, j++);
    if(!st) st = openai_part(p, part, path, e);
  }
  return st;
}

/* ---- messages ---- */

static bool openai_role(struct str name, enum chat_role *role)
{
  if(str_eq(name, S("system")) || str_eq(name, S("developer"))) *role = ROLE_SYSTEM;
  else if(str_eq(name, S("user"))) *role = ROLE_USER;
  else if(str_eq(name, S("assistant"))) *role = ROLE_ASSISTANT;
  else if(str_eq(name, S("tool")) || str_eq(name, S("function"))) *role = ROLE_TOOL;
  else return false;
  return true;
}

/* Arguments come as JSON text; some clients send the object itself. */
static struct str openai_args(struct arena *a, const struct json *args)
{
  struct strbuf text = STRBUF(SIZE_MAX / 4);
  if(json_is(args, JSON_STRING)) return args->text;
  if(json_absent(args)) return S("{}");
  json_write(args, &text);
  struct str own = arena_str(a, strbuf_str(&text));
  bool bad = text.err != Q_OK;
  strbuf_free(&text);
  return bad ? STR_NONE : own;
}

static enum q_status openai_calls(struct arena *a, const struct json *m, const char *path, struct chat_msg *out, struct q_error *e)
{
  const struct json *list = json_get(m, "tool_calls"), *one = json_get(m, "function_call");
  bool many = json_is(list, JSON_ARRAY) && list->count;
  if(!json_absent(list) && !json_is(list, JSON_ARRAY)) return in_type(e, path, "an array");
  if(!many && !json_is(one, JSON_OBJECT)) return Q_OK;
  out->calls = arena_alloc(a, (size_t)(many ? list->count : 1) * sizeof *out->calls);
  if(!out->calls) return in_no_memory(e);
  for(const struct json *c = many ? list->child : one; c; c = many ? c->next : NULL) {
    const struct json *custom = json_get(c, "custom"), *f = many ? (custom ? custom : json_get(c, "function")) : c;
    struct str args = openai_args(a, json_get(f, custom ? "input" : "arguments"));
    if(!json_str(json_get(f, "name")).n) return status_fail(e, Q_MISSING, path, "'%s' holds a call without a function name.", path);
    if(!args.p) return in_no_memory(e);
    out->calls[out->call_n++] = (struct chat_call){ json_str(json_get(c, "id")), json_str(json_get(f, "name")), args };
  }
  return Q_OK;
}

static enum q_status openai_message(struct arena *a, const struct json *m, int i, struct chat_msg *out, struct q_error *e)
{
  char path[64];
  struct in_parts parts = { .arena = a };
  snprintf(path, sizeof path, "messages[%d]", i);
  if(!json_is(m, JSON_OBJECT)) return in_type(e, path, "an object");
  const struct json *role = json_get(m, "role");
  snprintf(path, sizeof path, "messages[%d].role", i);
  if(json_absent(role)) return status_fail(e, Q_MISSING, path, "'%s' is missing.", path);
  if(!json_is(role, JSON_STRING)) return in_type(e, path, "a string");
  if(!openai_role(role->text, &out->role))
    return status_fail(e, Q_BAD_VALUE, path, "'%s' must be system, developer, user, assistant or tool.", path);
  out->name = json_str(json_get(m, "name"));
  snprintf(path, sizeof path, "messages[%d].content", i);
  enum q_status st = openai_content(&parts, json_get(m, "content"), path, e);
  if(st) return st;
  if(out->role == ROLE_ASSISTANT) {
    for(int k = 0; k < parts.n; k++)
      if(!parts.v[k].media && k == 0) parts.v[k].text = in_without_think(parts.v[k].text);
    struct str refusal = json_str(json_get(m, "refusal"));
    if(refusal.n && (parts.n == 0 || (parts.n == 1 && !parts.v[0].media && parts.v[0].text.n == 0))) {
      parts.n = 0;
      st = in_add_text(&parts, refusal, e);
    }
    snprintf(path, sizeof path, "messages[%d].tool_calls", i);
    if(!st) st = openai_calls(a, m, path, out, e);
  }
  if(out->role == ROLE_TOOL) out->call_id = json_str(json_get(m, "tool_call_id"));
  out->parts = parts.v;
  out->part_n = parts.n;
  return st;
}

static enum q_status openai_messages(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *list = json_get(body, "messages");
  enum q_status st = Q_OK;
  if(json_absent(list)) return status_fail(e, Q_MISSING, "messages", "'messages' is missing: send at least one message.");
  if(!json_is(list, JSON_ARRAY)) return in_type(e, "messages", "an array");
  if(list->count == 0) return status_fail(e, Q_MISSING, "messages", "'messages' is empty: send at least one message.");
  r->msgs = arena_alloc(a, (size_t)list->count * sizeof *r->msgs);
  if(!r->msgs) return in_no_memory(e);
  for json_each(m, list) {
    if(st) break;
    st = openai_message(a, m, r->msg_n, &r->msgs[r->msg_n], e);
    r->msg_n++;
  }
  return st;
}

/* ---- switches ---- */

static enum q_status openai_thinking(const struct json *body, struct chat_req *r, struct q_error *e)
{
  static const char *const flags[] = { "chat_template_kwargs.enable_thinking", "extra_body.enable_thinking", "enable_thinking" };
  int64_t budget;
  bool found, on = false;
  enum q_status st = in_effort(r, json_path(body, "reasoning.effort"), "reasoning.effort", e);
  if(!st) st = in_effort(r, json_get(body, "reasoning_effort"), "reasoning_effort", e);
  if(!st) st = in_thinking(r, json_get(body, "thinking"), "thinking", e);
  for(size_t i = 0; !st && i < sizeof flags / sizeof flags[0]; i++) {
    st = in_bool(body, flags[i], &found, &on, e);
    if(!st && found) r->think = on ? THINK_ON : THINK_OFF;
  }
  const struct json *tokens = json_get(body, "thinking_budget");
  if(!st && !json_absent(tokens)) {
    if(json_int(tokens, &budget)) in_budget(r, budget);
    else st = in_type(e, "thinking_budget", "a whole number");
  }
  if(!st) st = in_bool(body, "include_reasoning", &found, &on, e);
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
  static const struct { const char *name; enum chat_kind kind; } kinds[] = {
    { "t2t", CHAT_T2T }, { "search", CHAT_SEARCH }, { "t2i", CHAT_T2I }, { "image_edit", CHAT_IMAGE_EDIT }, { "t2v", CHAT_T2V },
  };
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct json *n = json_get(body, names[i]);
    bool on = json_is(n, JSON_OBJECT);
    if(json_absent(n)) continue;
    if(!on && !json_bool(n, &on)) return in_type(e, names[i], "true, false or an object");
    r->search |= on;
  }
  const struct json *type = json_get(body, "chat_type");
  if(json_absent(type)) return Q_OK;
  for(size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if(str_eq(json_str(type), str_z(kinds[i].name))) return r->kind = kinds[i].kind, Q_OK;
  if(str_eq(json_str(type), S("deep_research")))
    return status_fail(e, Q_UNSUPPORTED, "chat_type", "chat_type 'deep_research' is not supported; use t2t or search.");
  return status_fail(e, Q_BAD_VALUE, "chat_type", "'chat_type' must be t2t, search, t2i, image_edit or t2v.");
}

/* ---- tools ---- */

static enum q_status openai_tools(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *tools = json_get(body, "tools"), *functions = json_get(body, "functions");
  bool old = json_is(functions, JSON_ARRAY) && functions->count && !(json_is(tools, JSON_ARRAY) && tools->count);
  const struct json *list = old ? functions : tools;
  enum q_status st = Q_OK;
  int i = 0;
  if(!json_absent(tools) && !json_is(tools, JSON_ARRAY)) return in_type(e, "tools", "an array");
  if(!json_absent(functions) && !json_is(functions, JSON_ARRAY)) return in_type(e, "functions", "an array");
  r->functions = old;
  for json_each(t, list) {
    char path[64];
    snprintf(path, sizeof path, old ? "functions[%d]" : "tools[%d]", i++);
    const struct json *custom = json_get(t, "custom"), *f = old ? t : custom ? custom : json_get(t, "function");
    struct str type = json_str(json_get(t, "type"));
    if(st) break;
    if(!json_is(t, JSON_OBJECT)) st = in_type(e, path, "an object");
    else if(!old && type.n && !OPENAI_ONE_OF(type, "function", "custom"))
      st = status_fail(e, Q_UNSUPPORTED, path, "'%s': only tools of type function or custom are supported.", path);
    else if(!json_is(f, JSON_OBJECT)) st = status_fail(e, Q_MISSING, path, "'%s' has no function.", path);
    else {
      struct chat_tool tool = { json_str(json_get(f, "name")), json_str(json_get(f, "description")), json_get(f, "parameters"),
                                json_true(json_get(f, "strict")), !old && custom != NULL };
      st = in_add_tool(a, r, &tool, path, e);
    }
  }
  return st;
}

enum q_status openai_tool_choice(struct chat_req *r, const struct json *choice, const char *param, struct q_error *e)
{
  struct str names[CHAT_TOOLS_MAX], word = json_str(choice);
  int n = 0;
  if(json_absent(choice) || str_eq(word, S("auto"))) return Q_OK;
  if(str_eq(word, S("none"))) return r->tool_choice = TOOL_OFF, Q_OK;
  if(str_eq(word, S("required")) || str_eq(word, S("any"))) return r->tool_choice = TOOL_REQUIRED, Q_OK;
  if(!json_is(choice, JSON_OBJECT)) return status_fail(e, Q_BAD_VALUE, param, "'%s' must be none, auto, required or name a tool.", param);
  struct str type = json_str(json_get(choice, "type"));
  if(str_eq(type, S("allowed_tools"))) {
    const struct json *allowed = json_get(choice, "allowed_tools") ? json_get(choice, "allowed_tools") : choice;
    for json_each(t, json_get(allowed, "tools")) {
      struct str name = json_str(json_path(t, "function.name"));
      if(!name.n) name = json_str(json_get(t, "name"));
      if(n < CHAT_TOOLS_MAX && name.n) names[n++] = name;
    }
    if(str_eq(json_str(json_get(allowed, "mode")), S("required"))) r->tool_choice = TOOL_REQUIRED;
    return n ? in_only_tools(r, names, n, param, e) : Q_OK;
  }
  names[0] = json_str(json_path(choice, "function.name"));
  if(!names[0].n) names[0] = json_str(json_path(choice, "custom.name"));
  if(!names[0].n) names[0] = json_str(json_get(choice, "name"));
  if(!names[0].n) return status_fail(e, Q_BAD_VALUE, param, "'%s' names no tool.", param);
  r->tool_choice = TOOL_NAMED;
  return in_only_tools(r, names, 1, param, e);
}

/* ---- formats ---- */

static enum q_status openai_format(const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *format = json_get(body, "response_format"), *named = json_get(format, "json_schema");
  struct str type = json_str(json_get(format, "type"));
  if(json_absent(format) || str_eq(type, S("text"))) return Q_OK;
  if(!json_is(format, JSON_OBJECT)) return in_type(e, "response_format", "an object");
  if(str_eq(type, S("json_object"))) return r->format = FORMAT_JSON, Q_OK;
  if(!str_eq(type, S("json_schema")))
    return status_fail(e, Q_BAD_VALUE, "response_format.type", "'response_format.type' must be text, json_object or json_schema.");
  r->format = FORMAT_SCHEMA;
  r->schema = json_get(named, "schema");
  r->schema_name = json_str(json_get(named, "name"));
  r->schema_strict = json_true(json_get(named, "strict"));
  if(!json_is(r->schema, JSON_OBJECT))
    return status_fail(e, Q_MISSING, "response_format.json_schema.schema", "'response_format.json_schema.schema' is missing.");
  return Q_OK;
}

/* What this gateway cannot do must not be dropped in silence. */
static enum q_status openai_refusals(const struct json *body, struct q_error *e)
{
  for json_each(m, json_get(body, "modalities"))
    if(!str_eq(json_str(m), S("text")))
      return status_fail(e, Q_UNSUPPORTED, "modalities", "Only the modality 'text' is supported.");
  if(!json_absent(json_get(body, "audio")))
    return status_fail(e, Q_UNSUPPORTED, "audio", "Audio output is not supported; leave 'audio' out.");
  return Q_OK;
}

/* All that is left over has no effect, and is told. */
static enum q_status openai_rest(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *functions = json_get(body, "functions"), *options = json_get(body, "stream_options"); /* nothing is obfuscated anyway */
  enum q_status st = IN_REST(a, options, "stream_options", r, e, "include_usage",
                             json_true(json_get(options, "include_obfuscation")) ? "" : "include_obfuscation");
  if(!st && !r->functions && json_is(functions, JSON_ARRAY) && functions->count) st = in_ignore(a, r, "functions", e); /* tools came as well */
  if(!st && !json_absent(json_get(body, r->functions ? "tool_choice" : "function_call")))
    st = in_ignore(a, r, r->functions ? "tool_choice" : "function_call", e);
  if(!st) st = IN_REST(a, json_get(body, "reasoning"), "reasoning", r, e, "effort");
  if(st) return st;
  return IN_REST(a, body, NULL, r, e, "model", "messages", "stream", "stream_options", "enable_thinking", "thinking_budget", "reasoning_effort",
                 "reasoning", "thinking", "chat_template_kwargs", "extra_body", "include_reasoning", "reasoning_format", "enable_search",
                 "web_search_options", "search", "chat_type", "size", "aspect_ratio", "tools", "tool_choice", "parallel_tool_calls", "functions",
                 "function_call", "response_format", "stop", "max_tokens", "max_completion_tokens", "n", "modalities", "audio");
}

enum q_status openai_in(struct arena *a, const struct json *body, int n_max, struct chat_req *r, struct q_error *e)
{
  bool found, on = true;
  *r = (struct chat_req){ .n = 1 };
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  const struct json *options = json_get(body, "stream_options");
  enum q_status st = in_text(body, "model", &r->model, e);
  r->model = str_trim(r->model);
  if(!st) st = openai_messages(a, body, r, e);
  if(!st) st = openai_refusals(body, e);
  if(!st) st = in_bool(body, "stream", &found, &r->stream, e);
  if(!st && !json_absent(options) && !json_is(options, JSON_OBJECT)) st = in_type(e, "stream_options", "an object");
  if(!st) st = in_bool(body, "stream_options.include_usage", &found, &on, e);
  if(!st && found) r->include_usage = on ? USAGE_YES : USAGE_NO;
  if(!st) st = openai_thinking(body, r, e);
  if(!st) st = openai_search(body, r, e);
  if(!st) st = openai_tools(a, body, r, e);
  if(!st) st = openai_tool_choice(r, json_get(body, r->functions ? "function_call" : "tool_choice"), r->functions ? "function_call" : "tool_choice", e);
  if(!st) st = in_bool(body, "parallel_tool_calls", &found, &on, e);
  if(!st && found) r->one_call = !on;
  if(r->functions) r->one_call = true;
  if(!st) st = openai_format(body, r, e);
  if(!st) st = in_stop(r, json_get(body, "stop"), "stop", e);
  if(!st) st = in_max_tokens(r, json_get(body, "max_tokens"), "max_tokens", e);
  if(!st) st = in_max_tokens(r, json_get(body, "max_completion_tokens"), "max_completion_tokens", e);
  if(!st) st = in_count(r, json_get(body, "n"), "n", n_max, e);
  if(!st) st = in_size(r, json_get(body, "size"), "size", e);
  if(!st) st = in_size(r, json_get(body, "aspect_ratio"), "aspect_ratio", e);
  if(!st) st = in_ignored(a, body, openai_idle, (int)(sizeof openai_idle / sizeof openai_idle[0]), r, e);
  if(!st) st = openai_rest(a, body, r, e);
  if(!st) st = in_check(r, "messages", e);
  return st;
}
