#include "proto/anthropic.h"

#include <stdio.h>

/* Tools that Anthropic publishes without a schema in the request: the client runs them and knows these arguments. */
#define ANTHROPIC_PATH "\"path\":{\"type\":\"string\",\"description\":\"Absolute path of the file or directory\"},"
#define ANTHROPIC_EDIT                                                                                                         \
  "\"file_text\":{\"type\":\"string\",\"description\":\"create: the whole content of the file\"},"                             \
  "\"old_str\":{\"type\":\"string\",\"description\":\"str_replace: the text to replace; it must occur exactly once\"},"        \
  "\"insert_line\":{\"type\":\"integer\",\"description\":\"insert: the line behind which the text goes; 0 is the beginning\"}," \
  "\"view_range\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"description\":\"view: first and last line, from 1; -1 is the end\"}"
#define ANTHROPIC_INSERT                                                                       \
  "\"new_str\":{\"type\":\"string\",\"description\":\"str_replace: the text instead\"},"       \
  "\"insert_text\":{\"type\":\"string\",\"description\":\"insert: the text to insert\"},"
static const struct anthropic_typed {
  const char *type;    /* begins with it */
  const char *dates;   /* and ends with one of these; NULL: any */
  const char *name, *description, *schema;
} anthropic_typed[] = {
  { "bash_", NULL, "bash", "Runs a command in a persistent bash shell; restart starts the shell anew.",
    "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\",\"description\":\"The command to run; needed unless the shell is restarted\"},"
    "\"restart\":{\"type\":\"boolean\",\"description\":\"true: restart the shell\"}}}" },
  { "text_editor_", "20241022 20250124", "str_replace_editor", "Views, creates and edits text files.",
    "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\",\"undo_edit\"]}," ANTHROPIC_PATH
    "\"new_str\":{\"type\":\"string\",\"description\":\"str_replace: the text instead; insert: the text to insert\"}," ANTHROPIC_EDIT
    "},\"required\":[\"command\",\"path\"]}" },
  { "text_editor_", NULL, "str_replace_based_edit_tool", "Views, creates and edits text files.",
    "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\"]}," ANTHROPIC_PATH
    ANTHROPIC_INSERT ANTHROPIC_EDIT "},\"required\":[\"command\",\"path\"]}" },
  { "memory_", NULL, "memory", "Keeps notes in files below /memories that later conversations can read. View /memories before you begin.",
    "{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\",\"delete\",\"rename\"]}," ANTHROPIC_PATH
    ANTHROPIC_INSERT ANTHROPIC_EDIT ",\"old_path\":{\"type\":\"string\",\"description\":\"rename: the path now\"},"
    "\"new_path\":{\"type\":\"string\",\"description\":\"rename: the path to be\"}},\"required\":[\"command\"]}" },
};

static const struct anthropic_typed *anthropic_typed_of(struct str type)
{
  for(size_t i = 0; i < sizeof anthropic_typed / sizeof anthropic_typed[0]; i++) {
    const struct anthropic_typed *t = &anthropic_typed[i];
    struct str dates = str_z(t->dates);
    if(!str_starts(type, str_z(t->type))) continue;
    if(!t->dates) return t;
    while(dates.n)
      if(str_ends(type, str_cut(&dates, ' '))) return t;
  }
  return NULL;
}

/* Members of a tool that change nothing here are named. */
static enum q_status anthropic_tool_rest(struct arena *a, const struct json *t, struct chat_req *r, struct q_error *e)
{
  static const char *const known[] = { "type", "name", "description", "input_schema", "strict" };
  enum q_status st = Q_OK;
  for json_each(m, t) {
    bool read = json_absent(m);
    for(size_t i = 0; i < sizeof known / sizeof known[0]; i++) read |= str_eq(m->key, str_z(known[i]));
    if(!st && !read) st = anthropic_ignore(a, r, str_eq(m->key, S("cache_control")) ? NULL : "tools", m->key, e);
  }
  return st;
}

static enum q_status anthropic_tool(struct arena *a, const struct json *t, const char *path, bool *searches, struct chat_req *r,
                                    struct q_error *e)
{
  char where[80];
  struct str type = json_str(json_get(t, "type"));
  const struct anthropic_typed *typed = anthropic_typed_of(type);
  struct chat_tool tool = { .name = json_str(json_get(t, "name")), .description = json_str(json_get(t, "description")),
                            .schema = json_get(t, "input_schema"), .strict = json_true(json_get(t, "strict")) };
  if(str_starts(type, S("web_search_"))) {
    *searches = r->search = true;
    return Q_OK;
  }
  if(str_starts(type, S("tool_search_tool_"))) return anthropic_ignore(a, r, "tools", S("tool_search"), e); /* all tools are told at once */
  if(type.n && !typed && !str_eq(type, S("custom"))) {
    snprintf(where, sizeof where, "%s.type", path);
    return status_fail(e, Q_UNSUPPORTED, where, "'%s': tools of the type '%.*s' are not supported.", where, STR_F(str_sub(type, 0, 60)));
  }
  if(typed) {
    if(!tool.name.n) tool.name = str_z(typed->name);
    tool.description = str_z(typed->description);
    tool.schema = json_parse(a, str_z(typed->schema), 20, NULL);
    if(!tool.schema) return in_no_memory(e);
  } else if(json_absent(tool.schema)) {
    snprintf(where, sizeof where, "%s.input_schema", path);
    return status_fail(e, Q_MISSING, where, "'%s' is missing.", where);
  }
  return in_add_tool(a, r, &tool, path, e);
}

/* searches: the server's search is among the tools; it needs no call of ours. */
static enum q_status anthropic_choice(const struct json *choice, bool searches, struct chat_req *r, struct q_error *e)
{
  struct str type = json_str(json_get(choice, "type")), name = json_str(json_get(choice, "name"));
  bool found, one = false;
  if(json_absent(choice)) return Q_OK;
  if(!json_is(choice, JSON_OBJECT)) return in_type(e, "tool_choice", "an object");
  enum q_status st = in_bool(choice, "disable_parallel_tool_use", &found, &one, e);
  if(st) return status_fail(e, st, "tool_choice.disable_parallel_tool_use", "'tool_choice.disable_parallel_tool_use' must be true or false.");
  r->one_call = one;
  if(str_eq(type, S("auto"))) return Q_OK;
  if(str_eq(type, S("none"))) {
    r->tool_choice = TOOL_OFF;
    if(searches) r->search = false;
    return Q_OK;
  }
  if(str_eq(type, S("any"))) {
    if(r->tool_n || !searches) r->tool_choice = TOOL_REQUIRED;
    return Q_OK;
  }
  if(!str_eq(type, S("tool"))) return status_fail(e, Q_BAD_VALUE, "tool_choice.type", "'tool_choice.type' must be auto, any, tool or none.");
  if(!name.n) return status_fail(e, Q_MISSING, "tool_choice.name", "'tool_choice.name' is missing.");
  if(searches && str_eq(name, S("web_search"))) return Q_OK; /* the upstream searches by itself */
  r->tool_choice = TOOL_NAMED;
  return in_only_tools(r, &name, 1, "tool_choice.name", e);
}

enum q_status anthropic_tools(struct arena *a, const struct json *body, struct chat_req *r, struct q_error *e)
{
  const struct json *list = json_get(body, "tools");
  enum q_status st = Q_OK;
  bool searches = false;
  int i = 0;
  if(!json_absent(list) && !json_is(list, JSON_ARRAY)) return in_type(e, "tools", "an array");
  for json_each(t, list) {
    char path[48];
    snprintf(path, sizeof path, "tools[%d]", i++);
    if(st) break;
    if(!json_is(t, JSON_OBJECT)) st = in_type(e, path, "an object");
    else st = anthropic_tool(a, t, path, &searches, r, e);
    if(!st) st = anthropic_tool_rest(a, t, r, e);
  }
  return st ? st : anthropic_choice(json_get(body, "tool_choice"), searches, r, e);
}
