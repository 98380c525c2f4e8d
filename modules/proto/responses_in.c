#include "proto/responses.h"

#include <stdio.h>

#include "proto/openai.h"

enum { RESPONSES_PATH = 96, RESPONSES_TEXT_MAX = 256 * 1024 * 1024 };

/* Accepted, without effect, told in the answer's header. */
static const struct in_idle responses_idle[] = {
  { "temperature", true, IN_NUMBER },      { "top_p", true, IN_NUMBER },
  { "top_logprobs", true, IN_NUMBER },     { "presence_penalty", true, IN_NUMBER },
  { "frequency_penalty", true, IN_NUMBER }, { "seed", true, IN_NUMBER },
  { "max_tool_calls", true, IN_NUMBER },   { "truncation", true, IN_ANY },
  { "prompt_cache_key", true, IN_ANY },    { "prompt_cache_retention", true, IN_ANY },
  { "service_tier", true, IN_ANY },        { "safety_identifier", true, IN_ANY },
  { "user", true, IN_ANY },                { "client_metadata", true, IN_ANY },
  { "context_management", true, IN_ANY },  { "stream_options", false, IN_OBJECT },
};

struct responses_reader {
  struct arena *arena;
  struct chat_req *r;
  const struct responses_look *look;
  struct q_error *e;
  int cap;                   /* of r->msgs */
};

/* ---- messages ---- */

static struct chat_msg *responses_msg(struct responses_reader *rd, enum chat_role role)
{
  struct chat_req *r = rd->r;
  if(r->msg_n == rd->cap) {
    int cap = rd->cap ? rd->cap * 2 : 8;
    struct chat_msg *v = arena_alloc(rd->arena, (size_t)cap * sizeof *v);
    if(!v) return NULL;
    if(r->msg_n) memcpy(v, r->msgs, (size_t)r->msg_n * sizeof *v);
    r->msgs = v;
    rd->cap = cap;
  }
  struct chat_msg *m = &r->msgs[r->msg_n++];
  *m = (struct chat_msg){ .role = role };
  return m;
}

static enum q_status responses_message(struct responses_reader *rd, const struct json *item, const char *path)
{
  static const struct { const char *word; enum chat_role role; } roles[] = {
    { "user", ROLE_USER }, { "assistant", ROLE_ASSISTANT }, { "system", ROLE_SYSTEM }, { "developer", ROLE_SYSTEM },
  };
  char at[RESPONSES_PATH];
  struct in_parts parts = { .arena = rd->arena };
  const struct json *role = json_get(item, "role");
  size_t i = 0;
  snprintf(at, sizeof at, "%s.role", path);
  if(json_absent(role)) return status_fail(rd->e, Q_MISSING, at, "'%s' is missing.", at);
  if(!json_is(role, JSON_STRING)) return in_type(rd->e, at, "a string");
  while(i < 4 && !str_eq(role->text, str_z(roles[i].word))) i++;
  if(i == 4) return status_fail(rd->e, Q_BAD_VALUE, at, "'%s' must be user, assistant, system or developer.", at);
  snprintf(at, sizeof at, "%s.content", path);
  enum q_status st = openai_content(&parts, json_get(item, "content"), at, rd->e);
  if(st) return st;
  if(roles[i].role == ROLE_ASSISTANT && parts.n && !parts.v[0].media) parts.v[0].text = in_without_think(parts.v[0].text);
  struct chat_msg *m = responses_msg(rd, roles[i].role);
  if(!m) return in_no_memory(rd->e);
  m->parts = parts.v;
  m->part_n = parts.n;
  return Q_OK;
}

/* ---- calls and their results ---- */

/* A value as JSON text; of a string, with raw, the string itself. p == NULL: out of memory. */
static struct str responses_text(struct arena *a, const struct json *v, bool raw)
{
  struct strbuf text = STRBUF(RESPONSES_TEXT_MAX);
  if(raw && json_is(v, JSON_STRING)) return v->text.p ? v->text : S("");
  if(json_absent(v)) return raw ? S("") : S("{}");
  json_write(v, &text);
  struct str own = text.err ? STR_NONE : arena_str(a, strbuf_str(&text));
  strbuf_free(&text);
  return own;
}

/* {"input":"…"}: how a custom tool's raw text stands in the conversation. */
static struct str responses_input_arg(struct arena *a, struct str input)
{
  struct strbuf text = STRBUF(RESPONSES_TEXT_MAX);
  strbuf_lit(&text, "{\"input\":");
  strbuf_json(&text, input);
  strbuf_addc(&text, '}');
  struct str own = text.err ? STR_NONE : arena_str(a, strbuf_str(&text));
  strbuf_free(&text);
  return own;
}

static enum q_status responses_call_id(struct responses_reader *rd, const struct json *item, const char *path, struct str *id)
{
  char at[RESPONSES_PATH];
  *id = json_str(json_get(item, "call_id"));
  if(!id->n) *id = json_str(json_get(item, "id")); /* results of a local shell name their call so */
  snprintf(at, sizeof at, "%s.call_id", path);
  return id->n ? Q_OK : status_fail(rd->e, Q_MISSING, at, "'%s' is missing.", at);
}

/* name: empty if the item tells it; from: the member with the arguments. */
static enum q_status responses_read_call(struct responses_reader *rd, const struct json *item, const char *path, const char *name, const char *from)
{
  struct chat_call call = { .name = name ? str_z(name) : json_str(json_get(item, "name")) };
  bool custom = strcmp(from, "input") == 0;
  enum q_status st = responses_call_id(rd, item, path, &call.id);
  if(st) return st;
  if(!call.name.n) {
    char at[RESPONSES_PATH];
    snprintf(at, sizeof at, "%s.name", path);
    return status_fail(rd->e, Q_MISSING, at, "'%s' is missing.", at);
  }
  if(custom) call.args = responses_input_arg(rd->arena, json_str(json_get(item, from)));
  else call.args = responses_text(rd->arena, json_get(item, from), true);
  if(call.args.p && !call.args.n) call.args = S("{}");
  struct chat_msg *m = call.args.p ? responses_msg(rd, ROLE_ASSISTANT) : NULL;
  if(m) m->calls = arena_alloc(rd->arena, sizeof *m->calls);
  if(!m || !m->calls) return in_no_memory(rd->e);
  m->calls[m->call_n++] = call;
  return Q_OK;
}

/* parts: output may be a list of content parts; else what is no text is repeated as JSON. */
static enum q_status responses_result(struct responses_reader *rd, const struct json *item, const char *path, bool parts_ok)
{
  const struct json *output = json_get(item, "output");
  struct in_parts parts = { .arena = rd->arena };
  struct str id;
  enum q_status st = responses_call_id(rd, item, path, &id);
  if(!st && parts_ok && json_is(output, JSON_ARRAY)) {
    char at[RESPONSES_PATH];
    snprintf(at, sizeof at, "%s.output", path);
    st = openai_content(&parts, output, at, rd->e);
  } else if(!st) {
    struct str text = responses_text(rd->arena, output, true);
    st = text.p ? in_add_text(&parts, text, rd->e) : in_no_memory(rd->e);
  }
  if(st) return st;
  struct chat_msg *m = responses_msg(rd, ROLE_TOOL);
  if(!m) return in_no_memory(rd->e);
  m->call_id = id;
  m->parts = parts.v;
  m->part_n = parts.n;
  return Q_OK;
}

/* ---- items ---- */

enum responses_kind { RESPONSES_MESSAGE, RESPONSES_CALL, RESPONSES_RESULT, RESPONSES_RESULT_JSON, RESPONSES_DROPPED, RESPONSES_REFERENCE };
static const struct { const char *type; enum responses_kind kind; const char *name, *from; } responses_items[] = {
  { "message", RESPONSES_MESSAGE, NULL, NULL },
  { "function_call", RESPONSES_CALL, NULL, "arguments" },
  { "function_call_output", RESPONSES_RESULT, NULL, NULL },
  { "custom_tool_call", RESPONSES_CALL, NULL, "input" },
  { "custom_tool_call_output", RESPONSES_RESULT, NULL, NULL },
  { "local_shell_call", RESPONSES_CALL, "local_shell", "action" },
  { "local_shell_call_output", RESPONSES_RESULT_JSON, NULL, NULL },
  { "shell_call", RESPONSES_CALL, "shell", "action" },
  { "shell_call_output", RESPONSES_RESULT_JSON, NULL, NULL },
  { "apply_patch_call", RESPONSES_CALL, "apply_patch", "operation" },
  { "apply_patch_call_output", RESPONSES_RESULT_JSON, NULL, NULL },
  { "reasoning", RESPONSES_DROPPED, NULL, NULL },
  { "web_search_call", RESPONSES_DROPPED, NULL, NULL },
  { "image_generation_call", RESPONSES_DROPPED, NULL, NULL },
  { "compaction", RESPONSES_DROPPED, NULL, NULL },
  { "item_reference", RESPONSES_REFERENCE, NULL, NULL },
};
enum { RESPONSES_ITEMS = sizeof responses_items / sizeof responses_items[0] };

static int responses_item_row(const struct json *item)
{
  struct str type = json_str(json_get(item, "type"));
  if(!type.n && !json_get(item, "role") && json_get(item, "id")) type = S("item_reference");
  if(!type.n) type = S("message");
  if(str_starts(type, S("mcp_"))) type = S("reasoning"); /* dropped like it */
  int i = 0;
  while(i < RESPONSES_ITEMS && !str_eq(type, str_z(responses_items[i].type))) i++;
  return i;
}

/* What a reference stands for; every other item as it is. */
static enum q_status responses_resolve(struct responses_reader *rd, const struct json **item, const char *path)
{
  int row = responses_item_row(*item);
  if(row == RESPONSES_ITEMS || responses_items[row].kind != RESPONSES_REFERENCE) return Q_OK;
  char at[RESPONSES_PATH];
  struct str id = json_str(json_get(*item, "id"));
  const struct json *found = rd->look && rd->look->item ? rd->look->item(rd->look->ctx, id) : NULL;
  snprintf(at, sizeof at, "%s.id", path);
  if(!found)
    return status_fail(rd->e, Q_BAD_VALUE, at, "The item '%.*s' is not stored (any more); send the item itself.", STR_F(str_sub(id, 0, 80)));
  *item = found;
  return Q_OK;
}

static enum q_status responses_item(struct responses_reader *rd, const struct json *item, const char *path)
{
  int i = responses_item_row(item);
  char at[RESPONSES_PATH];
  snprintf(at, sizeof at, "%s.type", path);
  if(i == RESPONSES_ITEMS || responses_items[i].kind == RESPONSES_REFERENCE)
    return status_fail(rd->e, Q_BAD_VALUE, at, "'%s': items of type '%.*s' are not supported.", at,
                       STR_F(str_sub(json_str(json_get(item, "type")), 0, 40)));
  switch(responses_items[i].kind) {
  case RESPONSES_MESSAGE: return responses_message(rd, item, path);
  case RESPONSES_CALL: return responses_read_call(rd, item, path, responses_items[i].name, responses_items[i].from);
  case RESPONSES_RESULT: return responses_result(rd, item, path, true);
  case RESPONSES_RESULT_JSON: return responses_result(rd, item, path, false);
  case RESPONSES_DROPPED:
  case RESPONSES_REFERENCE: break;
  }
  return Q_OK;
}

static void responses_keep(struct strbuf *items, const struct json *item)
{
  if(!items) return;
  if(items->n > 1) strbuf_addc(items, ',');
  json_write(item, items);
}

static enum q_status responses_input(struct responses_reader *rd, const struct json *input, struct strbuf *items)
{
  enum q_status st = Q_OK;
  int i = 0;
  if(json_absent(input)) return status_fail(rd->e, Q_MISSING, "input", "'input' is missing: send a text or a list of items.");
  if(json_is(input, JSON_STRING)) {
    struct chat_msg *m = responses_msg(rd, ROLE_USER);
    if(!m || chat_msg_set_text(m, input->text, rd->arena)) return in_no_memory(rd->e);
    if(!items) return Q_OK;
    strbuf_lit(items, "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":");
    strbuf_json(items, input->text);
    strbuf_lit(items, "}]}");
    return Q_OK;
  }
  if(!json_is(input, JSON_ARRAY)) return in_type(rd->e, "input", "a string or an array of items");
  if(!input->count) return status_fail(rd->e, Q_MISSING, "input", "'input' is empty: send at least one item.");
  for json_each(item, input) {
    const struct json *real = item;
    char path[32];
    snprintf(path, sizeof path, "input[%d]", i++);
    if(json_is(item, JSON_OBJECT)) {
      st = responses_resolve(rd, &real, path);
      if(!st) st = responses_item(rd, real, path);
    } else {
      st = in_type(rd->e, path, "an object");
    }
    if(st) return st;
    responses_keep(items, real);
  }
  return Q_OK;
}

static enum q_status responses_before(struct responses_reader *rd)
{
  enum q_status st = Q_OK;
  for(int i = 0; rd->look && i < rd->look->before_n && !st; i++)
    for json_each(item, rd->look->before[i])
      if(!st) st = responses_item(rd, item, "previous_response_id");
  return st;
}

/* ---- tools ---- */

static const char *const responses_hosted[] = { /* run by the vendor; agents send them by default */
  "image_generation", "file_search", "code_interpreter", "computer", "computer_use_preview", "mcp", "tool_search", "shell", "apply_patch",
};

static enum q_status responses_hosted_tool(struct responses_reader *rd, struct str type, const char *path)
{
  char name[RESPONSES_PATH];
  snprintf(name, sizeof name, "%s", path);
  for(size_t i = 0; i < sizeof responses_hosted / sizeof responses_hosted[0]; i++)
    if(str_eq(type, str_z(responses_hosted[i]))) snprintf(name, sizeof name, "tools.%s", responses_hosted[i]);
  return in_ignore(rd->arena, rd->r, name, rd->e);
}

/* The grammar a custom tool's text has to follow stands behind its description. */
static struct str responses_custom_words(struct responses_reader *rd, const struct json *t)
{
  struct str words = json_str(json_get(t, "description")), rule = json_str(json_path(t, "format.definition"));
  struct strbuf text = STRBUF(RESPONSES_TEXT_MAX);
  if(!rule.n) return words.p ? words : S("");
  strbuf_adds(&text, words);
  if(words.n) strbuf_addc(&text, '\n');
  strbuf_lit(&text, "The text follows this grammar:\n");
  strbuf_adds(&text, rule);
  struct str own = text.err ? STR_NONE : arena_str(rd->arena, strbuf_str(&text));
  strbuf_free(&text);
  return own;
}

/* Two groups may each have a tool of one name: the later one carries its group's name in front. */
static struct str responses_tool_name(struct responses_reader *rd, const struct json *t, struct str group)
{
  struct str name = json_str(json_get(t, "name"));
  struct strbuf text = STRBUF(1024);
  int i = 0;
  while(i < rd->r->tool_n && !str_eq(rd->r->tools[i].name, name)) i++;
  if(!group.n || i == rd->r->tool_n) return name;
  strbuf_adds(&text, group);
  strbuf_lit(&text, "__");
  strbuf_adds(&text, name);
  struct str own = text.err ? STR_NONE : arena_str(rd->arena, strbuf_str(&text));
  strbuf_free(&text);
  return own;
}

static enum q_status responses_tool(struct responses_reader *rd, const struct json *t, struct str group, const char *path)
{
  static const char *const shell = "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
                              "\"workdir\":{\"type\":\"string\"},\"timeout_ms\":{\"type\":\"integer\"}},\"required\":[\"command\"]}";
  char at[RESPONSES_PATH];
  struct str type = json_str(json_get(t, "type"));
  if(!json_is(t, JSON_OBJECT)) return in_type(rd->e, path, "an object");
  snprintf(at, sizeof at, "%s.type", path);
  if(!type.n) return status_fail(rd->e, Q_MISSING, at, "'%s' is missing.", at);
  if(str_eq(type, S("function"))) {
    struct chat_tool tool = { responses_tool_name(rd, t, group), json_str(json_get(t, "description")), json_get(t, "parameters"),
                              json_true(json_get(t, "strict")), false };
    return in_add_tool(rd->arena, rd->r, &tool, path, rd->e);
  }
  if(str_eq(type, S("custom"))) {
    struct chat_tool tool = { responses_tool_name(rd, t, group), responses_custom_words(rd, t), NULL, false, true };
    return tool.description.p ? in_add_tool(rd->arena, rd->r, &tool, path, rd->e) : in_no_memory(rd->e);
  }
  if(str_eq(type, S("local_shell"))) {
    struct chat_tool tool = { S("local_shell"), S("Runs a command in a shell on the user's machine."),
                              json_parse(rd->arena, str_z(shell), 8, NULL), false, false };
    return tool.schema ? in_add_tool(rd->arena, rd->r, &tool, path, rd->e) : in_no_memory(rd->e);
  }
  if(str_starts(type, S("web_search"))) return rd->r->search = true, Q_OK;
  if(str_eq(type, S("namespace")) && !group.n) {
    enum q_status st = Q_OK;
    struct str name = json_str(json_get(t, "name"));
    int i = 0;
    for json_each(inner, json_get(t, "tools")) {
      char place[64];
      snprintf(place, sizeof place, "%.31s.tools[%d]", path, i++);
      if(!st) st = responses_tool(rd, inner, name.n ? name : S("group"), place);
    }
    return st;
  }
  return responses_hosted_tool(rd, type, path);
}

static enum q_status responses_tools(struct responses_reader *rd, const struct json *list)
{
  enum q_status st = Q_OK;
  int i = 0;
  if(json_absent(list)) return Q_OK;
  if(!json_is(list, JSON_ARRAY)) return in_type(rd->e, "tools", "an array");
  for json_each(t, list) {
    char path[32];
    snprintf(path, sizeof path, "tools[%d]", i++);
    if(!st) st = responses_tool(rd, t, STR_NONE, path);
  }
  return st;
}

/* A choice of a tool that is not the client's own: a search is switched on by its presence, the others are ignored. */
static bool responses_choice_hosted(const struct json *choice)
{
  struct str type = json_str(json_get(choice, "type"));
  if(str_starts(type, S("web_search"))) return true;
  for(size_t i = 0; i < sizeof responses_hosted / sizeof responses_hosted[0]; i++)
    if(str_eq(type, str_z(responses_hosted[i]))) return true;
  return false;
}

static enum q_status responses_choice(struct responses_reader *rd, const struct json *choice)
{
  struct chat_req *r = rd->r;
  if(json_is(choice, JSON_OBJECT) && responses_choice_hosted(choice)) {
    if(str_starts(json_str(json_get(choice, "type")), S("web_search"))) return r->search = true, Q_OK;
    return in_ignore(rd->arena, r, "tool_choice", rd->e);
  }
  if(str_eq(json_str(json_get(choice, "type")), S("local_shell"))) {
    struct str name = S("local_shell");
    r->tool_choice = TOOL_NAMED;
    return in_only_tools(r, &name, 1, "tool_choice", rd->e);
  }
  enum q_status st = openai_tool_choice(r, choice, "tool_choice", rd->e);
  if(!st && r->tool_choice == TOOL_REQUIRED && !r->tool_n && r->search) r->tool_choice = TOOL_AUTO; /* the search is the tool */
  return st;
}

/* ---- switches ---- */

static enum q_status responses_format(const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *text = json_get(body, "text"), *format = json_get(text, "format");
  struct str type = json_str(json_get(format, "type"));
  if(!json_absent(text) && !json_is(text, JSON_OBJECT)) return in_type(e, "text", "an object");
  if(json_absent(format) || str_eq(type, S("text"))) return Q_OK;
  if(!json_is(format, JSON_OBJECT)) return in_type(e, "text.format", "an object");
  if(str_eq(type, S("json_object"))) return r->format = FORMAT_JSON, Q_OK;
  if(!str_eq(type, S("json_schema")))
    return status_fail(e, Q_BAD_VALUE, "text.format.type", "'text.format.type' must be text, json_object or json_schema.");
  r->format = FORMAT_SCHEMA;
  r->schema = json_get(format, "schema");
  r->schema_name = json_str(json_get(format, "name"));
  r->schema_strict = json_true(json_get(format, "strict"));
  if(!json_is(r->schema, JSON_OBJECT)) return status_fail(e, Q_MISSING, "text.format.schema", "'text.format.schema' is missing.");
  return Q_OK;
}

static enum q_status responses_reasoning(struct responses_reader *rd, const struct json *body)
{
  static const char *const words[] = { "auto", "concise", "detailed" };
  const struct json *reasoning = json_get(body, "reasoning");
  if(json_absent(reasoning)) return Q_OK;
  if(!json_is(reasoning, JSON_OBJECT)) return in_type(rd->e, "reasoning", "an object");
  enum q_status st = in_effort(rd->r, json_get(reasoning, "effort"), "reasoning.effort", rd->e);
  const struct json *summary = json_get(reasoning, "summary");
  bool known = json_absent(summary);
  for(size_t i = 0; i < 3; i++) known |= str_eq(json_str(summary), str_z(words[i]));
  if(!st && !known)
    st = status_fail(rd->e, Q_BAD_VALUE, "reasoning.summary", "'reasoning.summary' must be auto, concise or detailed.");
  return st;
}

static enum q_status responses_include(struct responses_reader *rd, const struct json *list, struct responses_want *w)
{
  bool others = false;
  if(json_absent(list)) return Q_OK;
  if(!json_is(list, JSON_ARRAY)) return in_type(rd->e, "include", "an array of strings");
  for json_each(n, list) {
    if(!json_is(n, JSON_STRING)) return in_type(rd->e, "include", "an array of strings");
    if(str_eq(n->text, S("reasoning.encrypted_content"))) w->encrypted = true;
    else others = true;
  }
  return others ? in_ignore(rd->arena, rd->r, "include", rd->e) : Q_OK;
}

/* What cannot be honoured must not be dropped in silence. */
static enum q_status responses_refusals(const struct json *body, struct q_error *e)
{
  bool found, background = false;
  enum q_status st = in_bool(body, "background", &found, &background, e);
  if(st) return st;
  if(background)
    return status_fail(e, Q_UNSUPPORTED, "background", "Background responses are not supported; leave 'background' out and stream instead.");
  if(!json_absent(json_get(body, "conversation")))
    return status_fail(e, Q_UNSUPPORTED, "conversation", "Conversations are not supported; use 'previous_response_id' or send the items.");
  if(!json_absent(json_get(body, "prompt")))
    return status_fail(e, Q_UNSUPPORTED, "prompt", "Stored prompts are not supported; send 'instructions' and 'input'.");
  return Q_OK;
}

static enum q_status responses_instructions(struct responses_reader *rd, const struct json *body)
{
  struct str text = STR_NONE;
  enum q_status st = in_text(body, "instructions", &text, rd->e);
  if(st || !text.n) return st;
  struct chat_msg *m = responses_msg(rd, ROLE_SYSTEM);
  return m && !chat_msg_set_text(m, text, rd->arena) ? Q_OK : in_no_memory(rd->e);
}

/* All that is left over has no effect, and is told. */
static enum q_status responses_rest(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  enum q_status st = IN_REST(a, json_get(body, "text"), "text", r, e, "format");
  const struct json *options = json_get(body, "stream_options"); /* nothing is obfuscated anyway */
  if(!st) st = IN_REST(a, options, "stream_options", r, e, json_true(json_get(options, "include_obfuscation")) ? "" : "include_obfuscation");
  if(!st) st = IN_REST(a, json_get(body, "reasoning"), "reasoning", r, e, "effort", "summary");
  if(st) return st;
  return IN_REST(a, body, NULL, r, e, "model", "input", "instructions", "stream", "stream_options", "store", "previous_response_id", "reasoning", "tools",
                 "tool_choice", "parallel_tool_calls", "text", "max_output_tokens", "include", "metadata", "background", "conversation", "prompt");
}

enum q_status responses_previous(const struct json *body, struct str *id, struct q_error *e)
{
  *id = STR_NONE;
  return in_text(body, "previous_response_id", id, e);
}

enum q_status responses_in(struct arena *a, const struct json *body, const struct responses_look *look, struct chat_req *r,
                           struct responses_want *w, struct strbuf *items, struct q_error *e)
{
  struct responses_reader rd = { .arena = a, .r = r, .look = look, .e = e };
  const struct json *metadata = json_get(body, "metadata");
  bool found, on = true;
  *r = (struct chat_req){ .n = 1 };
  *w = (struct responses_want){ .store = true };
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  if(items) strbuf_addc(items, '[');
  enum q_status st = in_text(body, "model", &r->model, e);
  r->model = str_trim(r->model);
  if(!st) st = responses_refusals(body, e);
  if(!st) st = responses_previous(body, &w->previous, e);
  if(!st) st = responses_instructions(&rd, body);
  if(!st) st = responses_before(&rd);
  if(!st) st = responses_input(&rd, json_get(body, "input"), items);
  if(!st) st = in_bool(body, "stream", &found, &r->stream, e);
  if(!st) st = in_bool(body, "store", &found, &w->store, e);
  if(!st) st = responses_reasoning(&rd, body);
  if(!st) st = responses_tools(&rd, json_get(body, "tools"));
  if(!st) st = responses_choice(&rd, json_get(body, "tool_choice"));
  if(!st) st = in_bool(body, "parallel_tool_calls", &found, &on, e);
  if(!st && found) r->one_call = !on;
  if(!st) st = responses_format(body, r, e);
  if(!st) st = in_max_tokens(r, json_get(body, "max_output_tokens"), "max_output_tokens", e);
  if(!st) st = responses_include(&rd, json_get(body, "include"), w);
  if(!st && !json_absent(metadata) && !json_is(metadata, JSON_OBJECT)) st = in_type(e, "metadata", "an object");
  if(!st) st = in_ignored(a, body, responses_idle, (int)(sizeof responses_idle / sizeof responses_idle[0]), r, e);
  if(!st) st = responses_rest(a, body, r, e);
  if(!st) st = in_check(r, "input", e);
  if(items) strbuf_addc(items, ']');
  return st;
}

/* ---- what the answer repeats ---- */

static void responses_repeat(struct strbuf *b, const char *name, const struct json *v, const char *otherwise)
{
  strbuf_addc(b, ',');
  strbuf_json(b, str_z(name));
  strbuf_addc(b, ':');
  if(json_absent(v)) strbuf_addz(b, otherwise);
  else json_write(v, b);
}

static const struct json *responses_if(const struct json *v, enum json_type type)
{
  return json_is(v, type) ? v : NULL;
}

void responses_echo(const struct json *body, const struct responses_want *w, struct strbuf *b)
{
  static const char *const given[] = { "prompt_cache_key", "safety_identifier", "service_tier" };
  const struct json *text = json_get(body, "text"), *reasoning = json_get(body, "reasoning");
  bool parallel = true;
  json_bool(json_get(body, "parallel_tool_calls"), &parallel);
  strbuf_addc(b, w->encrypted ? '+' : '-'); /* for the writer */
  responses_repeat(b, "instructions", json_get(body, "instructions"), "null");
  responses_repeat(b, "max_output_tokens", json_get(body, "max_output_tokens"), "null");
  responses_repeat(b, "max_tool_calls", json_get(body, "max_tool_calls"), "null");
  responses_repeat(b, "metadata", json_get(body, "metadata"), "{}");
  strbuf_addz(b, parallel ? ",\"parallel_tool_calls\":true" : ",\"parallel_tool_calls\":false");
  responses_repeat(b, "previous_response_id", json_get(body, "previous_response_id"), "null");
  strbuf_lit(b, ",\"reasoning\":{\"effort\":");
  if(json_absent(json_get(reasoning, "effort"))) strbuf_lit(b, "null");
  else json_write(json_get(reasoning, "effort"), b);
  responses_repeat(b, "summary", json_get(reasoning, "summary"), "null");
  strbuf_addz(b, w->store ? "},\"store\":true" : "},\"store\":false");
  responses_repeat(b, "temperature", responses_if(json_get(body, "temperature"), JSON_NUMBER), "null");
  responses_repeat(b, "top_p", responses_if(json_get(body, "top_p"), JSON_NUMBER), "null");
  strbuf_lit(b, ",\"text\":{\"format\":");
  if(json_absent(json_get(text, "format"))) strbuf_lit(b, "{\"type\":\"text\"}");
  else json_write(json_get(text, "format"), b);
  if(!json_absent(json_get(text, "verbosity"))) responses_repeat(b, "verbosity", json_get(text, "verbosity"), "null");
  strbuf_addc(b, '}');
  responses_repeat(b, "tool_choice", json_get(body, "tool_choice"), "\"auto\"");
  responses_repeat(b, "tools", responses_if(json_get(body, "tools"), JSON_ARRAY), "[]");
  responses_repeat(b, "truncation", json_get(body, "truncation"), "\"disabled\"");
  responses_repeat(b, "user", json_get(body, "user"), "null");
  for(size_t i = 0; i < sizeof given / sizeof given[0]; i++)
    if(!json_absent(json_get(body, given[i]))) responses_repeat(b, given[i], json_get(body, given[i]), "null");
}

/* ---- ids ---- */

void responses_item_id(const char *kind, struct str id, int place, char out[RESPONSES_ID_MAX])
{
  static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  struct str core = responses_core(id);
  int n = snprintf(out, RESPONSES_ID_MAX, "%.5s%.*s", kind, STR_F(core));
  for(int i = 2; i >= 0; i--, place /= 62) out[n + i] = digits[place % 62];
  out[n + 3] = 0;
}

struct str responses_core(struct str id)
{
  ptrdiff_t mark = str_chr(id, '_');
  if(mark < 0) return STR_NONE;
  struct str rest = str_sub(id, (size_t)mark + 1, id.n);
  return rest.n < RESPONSES_CORE ? STR_NONE : str_sub(rest, 0, RESPONSES_CORE);
}

/* ---- items as they are shown ---- */

static void responses_show_content(const struct json *item, struct strbuf *out)
{
  const struct json *content = json_get(item, "content");
  bool said = str_eq(json_str(json_get(item, "role")), S("assistant"));
  if(!json_is(content, JSON_STRING)) {
    if(json_absent(content)) strbuf_lit(out, "[]");
    else json_write(content, out);
    return;
  }
  strbuf_addz(out, said ? "[{\"type\":\"output_text\",\"text\":" : "[{\"type\":\"input_text\",\"text\":");
  strbuf_json(out, content->text);
  strbuf_addz(out, said ? ",\"annotations\":[]}]" : "}]");
}

static bool responses_is_message(const struct json *item)
{
  struct str type = json_str(json_get(item, "type"));
  return !type.n || str_eq(type, S("message"));
}

struct str responses_input_id(const struct json *item, struct str response_id, int i, char room[RESPONSES_ID_MAX])
{
  struct str own = json_str(json_get(item, "id"));
  if(own.n) return own;
  responses_item_id(responses_is_message(item) ? "msg_" : "item_", response_id, RESPONSES_INPUT - i % (RESPONSES_INPUT / 2), room);
  return str_z(room);
}

void responses_show_item(const struct json *item, struct str response_id, int i, struct strbuf *out)
{
  char room[RESPONSES_ID_MAX];
  struct str type = json_str(json_get(item, "type"));
  bool message = responses_is_message(item);
  strbuf_lit(out, "{\"id\":");
  strbuf_json(out, responses_input_id(item, response_id, i, room));
  strbuf_lit(out, ",\"type\":");
  strbuf_json(out, message ? S("message") : type);
  if(!json_get(item, "status")) strbuf_lit(out, ",\"status\":\"completed\"");
  for json_each(m, item) {
    if(str_eq(m->key, S("id")) || str_eq(m->key, S("type")) || (message && str_eq(m->key, S("content")))) continue;
    strbuf_addc(out, ',');
    strbuf_json(out, m->key);
    strbuf_addc(out, ':');
    json_write(m, out);
  }
  if(message) {
    strbuf_lit(out, ",\"content\":");
    responses_show_content(item, out);
  }
  strbuf_addc(out, '}');
}
