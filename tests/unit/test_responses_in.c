/* api 7.2: requests of /v1/responses. Every field and item is honoured, refused with its path, or named as ignored. */
#include "proto/responses.h"

#include "base/mem.h"
#include "proto/fold.h"
#include "t.h"
#include "walk.h"

#define I "\"input\":\"hi\""
#define F "{\"type\":\"function\",\"name\":\"f\"}"
static const struct { const char *name, *body; enum q_status st; const char *param; } bad[] = {
  { "not an object", "[]", Q_BAD_TYPE, "" },
  { "no input", "{}", Q_MISSING, "input" },
  { "null input", "{\"input\":null}", Q_MISSING, "input" },
  { "no items", "{\"input\":[]}", Q_MISSING, "input" },
  { "an empty text", "{\"input\":\"\"}", Q_BAD_VALUE, "input" },
  { "input a number", "{\"input\":5}", Q_BAD_TYPE, "input" },
  { "an item no object", "{\"input\":[1]}", Q_BAD_TYPE, "input[0]" },
  { "an item of nothing", "{\"input\":[{}]}", Q_MISSING, "input[0].role" },
  { "model a number", "{" I ",\"model\":5}", Q_BAD_TYPE, "model" },
  { "instructions a list", "{" I ",\"instructions\":[]}", Q_BAD_TYPE, "instructions" },
  { "unknown role", "{\"input\":[{\"role\":\"tool\",\"content\":\"x\"}]}", Q_BAD_VALUE, "input[0].role" },
  { "role a number", "{\"input\":[{\"role\":1,\"content\":\"x\"}]}", Q_BAD_TYPE, "input[0].role" },
  { "content a number", "{\"input\":[{\"role\":\"user\",\"content\":1}]}", Q_BAD_TYPE, "input[0].content" },
  { "unknown part", "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":\"x\"}]}]}", Q_BAD_VALUE, "input[0].content[1].type" },
  { "a file by id", "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_id\":\"f\"}]}]}", Q_UNSUPPORTED, "input[0].content[0]" },
  { "a picture by id", "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"file_id\":\"f\"}]}]}", Q_UNSUPPORTED, "input[0].content[0]" },
  { "unknown item", "{\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"type\":\"hologram\"}]}", Q_BAD_VALUE, "input[1].type" },
  { "file_search_call", "{\"input\":[{\"type\":\"file_search_call\",\"id\":\"x\"}]}", Q_BAD_VALUE, "input[0].type" },
  { "a call without an id", "{\"input\":[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"}]}", Q_MISSING, "input[0].call_id" },
  { "a call without a name", "{\"input\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"arguments\":\"{}\"}]}", Q_MISSING, "input[0].name" },
  { "a custom call without a name", "{\"input\":[{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"input\":\"\"}]}", Q_MISSING, "input[0].name" },
  { "a result without an id", "{\"input\":[{\"type\":\"function_call_output\",\"output\":\"x\"}]}", Q_MISSING, "input[0].call_id" },
  { "a result of an odd part", "{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[{\"type\":\"x\"}]}]}", Q_BAD_VALUE, "input[0].output[0].type" },
  { "an unknown reference", "{\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_gone\"}]}", Q_BAD_VALUE, "input[0].id" },
  { "a reference without a type", "{\"input\":[{\"id\":\"msg_gone\"}]}", Q_BAD_VALUE, "input[0].id" },
  { "only what is dropped", "{\"input\":[{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[]}]}", Q_BAD_VALUE, "input" },
  { "background", "{" I ",\"background\":true}", Q_UNSUPPORTED, "background" },
  { "background a number", "{" I ",\"background\":7}", Q_BAD_TYPE, "background" },
  { "conversation", "{" I ",\"conversation\":\"conv_1\"}", Q_UNSUPPORTED, "conversation" },
  { "conversation object", "{" I ",\"conversation\":{\"id\":\"conv_1\"}}", Q_UNSUPPORTED, "conversation" },
  { "prompt", "{" I ",\"prompt\":{\"id\":\"pmpt\"}}", Q_UNSUPPORTED, "prompt" },
  { "previous a number", "{" I ",\"previous_response_id\":5}", Q_BAD_TYPE, "previous_response_id" },
  { "stream a number", "{" I ",\"stream\":1}", Q_BAD_TYPE, "stream" },
  { "store a text", "{" I ",\"store\":\"maybe\"}", Q_BAD_TYPE, "store" },
  { "reasoning a text", "{" I ",\"reasoning\":\"high\"}", Q_BAD_TYPE, "reasoning" },
  { "effort", "{" I ",\"reasoning\":{\"effort\":\"huge\"}}", Q_BAD_VALUE, "reasoning.effort" },
  { "summary", "{" I ",\"reasoning\":{\"summary\":\"long\"}}", Q_BAD_VALUE, "reasoning.summary" },
  { "text a text", "{" I ",\"text\":\"json\"}", Q_BAD_TYPE, "text" },
  { "format a text", "{" I ",\"text\":{\"format\":\"json\"}}", Q_BAD_TYPE, "text.format" },
  { "format unknown", "{" I ",\"text\":{\"format\":{\"type\":\"xml\"}}}", Q_BAD_VALUE, "text.format.type" },
  { "schema missing", "{" I ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\"}}}", Q_MISSING, "text.format.schema" },
  { "schema nested as in chat", "{" I ",\"text\":{\"format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}}}", Q_MISSING, "text.format.schema" },
  { "max_output_tokens 0", "{" I ",\"max_output_tokens\":0}", Q_BAD_VALUE, "max_output_tokens" },
  { "max_output_tokens a text", "{" I ",\"max_output_tokens\":\"many\"}", Q_BAD_TYPE, "max_output_tokens" },
  { "include a text", "{" I ",\"include\":\"x\"}", Q_BAD_TYPE, "include" },
  { "include of numbers", "{" I ",\"include\":[1]}", Q_BAD_TYPE, "include" },
  { "metadata a list", "{" I ",\"metadata\":[]}", Q_BAD_TYPE, "metadata" },
  { "temperature a text", "{" I ",\"temperature\":\"warm\"}", Q_BAD_TYPE, "temperature" },
  { "parallel a number", "{" I ",\"parallel_tool_calls\":3}", Q_BAD_TYPE, "parallel_tool_calls" },
  { "tools an object", "{" I ",\"tools\":{}}", Q_BAD_TYPE, "tools" },
  { "a tool no object", "{" I ",\"tools\":[1]}", Q_BAD_TYPE, "tools[0]" },
  { "a tool without a type", "{" I ",\"tools\":[{\"name\":\"f\"}]}", Q_MISSING, "tools[0].type" },
  { "a function nested as in chat", "{" I ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}", Q_BAD_VALUE, "tools[0]" },
  { "parameters a text", "{" I ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":\"x\"}]}", Q_BAD_TYPE, "tools[0]" },
  { "one tool twice", "{" I ",\"tools\":[" F "," F "]}", Q_BAD_VALUE, "tools[1]" },
  { "in a group", "{" I ",\"tools\":[{\"type\":\"namespace\",\"name\":\"g\",\"tools\":[{\"type\":\"function\"}]}]}", Q_BAD_VALUE, "tools[0].tools[0]" },
  { "choice unknown", "{" I ",\"tools\":[" F "],\"tool_choice\":\"sometimes\"}", Q_BAD_VALUE, "tool_choice" },
  { "choice of no tool", "{" I ",\"tools\":[" F "],\"tool_choice\":{\"type\":\"function\",\"name\":\"g\"}}", Q_BAD_VALUE, "tool_choice" },
  { "required without tools", "{" I ",\"tool_choice\":\"required\"}", Q_BAD_VALUE, "tool_choice" },
  { "allowed ones that are not there", "{" I ",\"tools\":[" F "],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"name\":\"g\"}]}}", Q_BAD_VALUE, "tool_choice" },
};

static const struct json *known_item(void *ctx, struct str id)
{
  return str_eq(id, S("msg_known")) ? ctx : NULL;
}

static enum q_status read_with(struct arena *a, const char *body, const struct responses_look *look, struct chat_req *r, struct responses_want *w,
                               struct strbuf *items, struct q_error *e)
{
  *e = Q_ERROR_NONE;
  return responses_in(a, json_parse(a, str_z(body), 50, NULL), look, r, w, items, e);
}

static void t_refused(void)
{
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct responses_want w;
    struct q_error e;
    t_row = bad[i].name;
    CHECK_Z(status_row(read_with(&a, bad[i].body, NULL, &r, &w, NULL, &e))->name, status_row(bad[i].st)->name);
    CHECK_Z(e.param, bad[i].param);
    CHECK(e.st == Q_OK || e.msg[0]);
    arena_free(&a);
  }
}

/* Every field of 7.2 that is accepted: what it does to the request, or the name it is told by. */
static const struct { const char *name, *more, *ignored; } good[] = {
  { "nothing", "", "" },
  { "temperature", ",\"temperature\":0.5", "temperature" },
  { "top_p", ",\"top_p\":\"0.5\"", "top_p" },
  { "top_logprobs", ",\"top_logprobs\":2", "top_logprobs" },
  { "max_tool_calls", ",\"max_tool_calls\":2", "max_tool_calls" },
  { "truncation", ",\"truncation\":\"auto\"", "truncation" },
  { "prompt_cache_key", ",\"prompt_cache_key\":\"k\"", "prompt_cache_key" },
  { "prompt_cache_retention", ",\"prompt_cache_retention\":\"24h\"", "prompt_cache_retention" },
  { "service_tier", ",\"service_tier\":\"auto\"", "service_tier" },
  { "safety_identifier", ",\"safety_identifier\":\"u\"", "safety_identifier" },
  { "user", ",\"user\":\"u\"", "user" },
  { "client_metadata", ",\"client_metadata\":{\"a\":1}", "client_metadata" },
  { "stream_options", ",\"stream_options\":{\"include_obfuscation\":false}", "" },
  { "metadata is repeated", ",\"metadata\":{\"a\":\"b\"}", "" },
  { "verbosity", ",\"text\":{\"verbosity\":\"low\"}", "text.verbosity" },
  { "include of other things", ",\"include\":[\"file_search_call.results\",\"reasoning.encrypted_content\"]", "include" },
  { "background false", ",\"background\":false", "" },
  { "anything else", ",\"brand_new\":{\"a\":1}", "brand_new" },
  { "image_generation", ",\"tools\":[{\"type\":\"image_generation\"}]", "tools.image_generation" },
  { "file_search", ",\"tools\":[{\"type\":\"file_search\",\"vector_store_ids\":[]}]", "tools.file_search" },
  { "code_interpreter", ",\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"type\":\"auto\"}}]", "tools.code_interpreter" },
  { "computer", ",\"tools\":[{\"type\":\"computer\"}]", "tools.computer" },
  { "computer_use_preview", ",\"tools\":[{\"type\":\"computer_use_preview\"}]", "tools.computer_use_preview" },
  { "mcp", ",\"tools\":[{\"type\":\"mcp\",\"server_label\":\"x\"}]", "tools.mcp" },
  { "tool_search", ",\"tools\":[{\"type\":\"tool_search\"}]", "tools.tool_search" },
  { "a tool of tomorrow, by its place", ",\"tools\":[{\"type\":\"x,y\\r\\nz\"}]", "tools[0]" },
  { "choice of a hosted tool", ",\"tool_choice\":{\"type\":\"image_generation\"}", "tool_choice" },
};

static void t_accepted(void)
{
  for(size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct responses_want w;
    struct q_error e;
    char body[400];
    t_row = good[i].name;
    snprintf(body, sizeof body, "{" I "%s}", good[i].more);
    CHECK(!read_with(&a, body, NULL, &r, &w, NULL, &e));
    CHECK_STR(r.ignored, str_z(good[i].ignored));
    CHECK_INT(r.msg_n, 1);
    CHECK_INT(r.tool_n, 0);
    CHECK(w.store);
    arena_free(&a);
  }
}

static void read_ok(struct arena *a, const char *more, struct chat_req *r, struct responses_want *w)
{
  struct q_error e;
  char body[2000];
  t_row = more;
  snprintf(body, sizeof body, "{" I "%s}", more);
  CHECK(!read_with(a, body, NULL, r, w, NULL, &e));
}

static void t_switches(void)
{
  struct arena a = ARENA(1 << 20);
  struct chat_req r;
  struct responses_want w;
  read_ok(&a, ",\"model\":\" m \",\"stream\":true,\"store\":false,\"max_output_tokens\":7,\"parallel_tool_calls\":false", &r, &w);
  CHECK_STR(r.model, S("m"));
  CHECK(r.stream && !w.store && r.one_call);
  CHECK_INT(r.max_tokens, 7);
  CHECK(!w.encrypted && !w.previous.p);
  read_ok(&a, ",\"include\":[\"reasoning.encrypted_content\"],\"previous_response_id\":\"resp_1\"", &r, &w);
  CHECK(w.encrypted);
  CHECK_STR(w.previous, S("resp_1"));
  read_ok(&a, ",\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"}", &r, &w);
  CHECK_INT(r.think, THINK_ON);
  CHECK_INT(r.think_budget, 4096);
  read_ok(&a, ",\"reasoning\":{\"effort\":\"none\"}", &r, &w);
  CHECK_INT(r.think, THINK_OFF);
  read_ok(&a, ",\"reasoning\":{\"effort\":null,\"summary\":null}", &r, &w);
  CHECK_INT(r.think, THINK_UNSET);
  read_ok(&a, ",\"text\":{\"format\":{\"type\":\"json_object\"}}", &r, &w);
  CHECK_INT(r.format, FORMAT_JSON);
  read_ok(&a, ",\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,\"schema\":{\"type\":\"object\"}}}", &r, &w);
  CHECK_INT(r.format, FORMAT_SCHEMA);
  CHECK_STR(r.schema_name, S("n"));
  CHECK(r.schema_strict && json_is(r.schema, JSON_OBJECT));
  read_ok(&a, ",\"instructions\":\"be brief\"", &r, &w);
  CHECK_INT(r.msg_n, 2);
  CHECK_INT(r.msgs[0].role, ROLE_SYSTEM);
  CHECK_STR(chat_msg_text(&r.msgs[0], &a), S("be brief"));
  arena_free(&a);
}

static void t_tools(void)
{
  struct arena a = ARENA(4 << 20);
  struct chat_req r;
  struct responses_want w;
  read_ok(&a, ",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"strict\":true,\"parameters\":{\"type\":\"object\"}},"
              "{\"type\":\"custom\",\"name\":\"apply_patch\",\"description\":\"edits\",\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\",\"definition\":\"start: x\"}},"
              "{\"type\":\"custom\",\"name\":\"plain\",\"description\":\"says\",\"format\":{\"type\":\"text\"}},{\"type\":\"local_shell\"},"
              "{\"type\":\"web_search_preview\"},{\"type\":\"namespace\",\"name\":\"g\",\"tools\":[{\"type\":\"function\",\"name\":\"h\"},{\"type\":\"function\",\"name\":\"f\"}]}]", &r, &w);
  static const char *const names[] = { "f", "apply_patch", "plain", "local_shell", "h", "g__f" };
  CHECK_INT(r.tool_n, 6);
  for(int i = 0; i < 6 && i < r.tool_n; i++) CHECK_STR(r.tools[i].name, str_z(names[i]));
  CHECK(r.tools[0].strict && !r.tools[0].custom && json_is(r.tools[0].schema, JSON_OBJECT));
  CHECK_STR(r.tools[1].description, S("edits\nThe text follows this grammar:\nstart: x"));
  CHECK(r.tools[1].custom && r.tools[2].custom && !r.tools[3].custom);
  CHECK_STR(r.tools[2].description, S("says"));
  CHECK_STR(json_str(json_path(r.tools[3].schema, "properties.command.type")), S("array"));
  CHECK(r.search);
  CHECK_INT(r.tool_choice, TOOL_AUTO);
  static const struct { const char *choice; enum tool_choice want; int n; } rows[] = {
    { "\"auto\"", TOOL_AUTO, 2 }, { "\"none\"", TOOL_OFF, 0 }, { "\"required\"", TOOL_REQUIRED, 2 },
    { "{\"type\":\"function\",\"name\":\"f\"}", TOOL_NAMED, 1 },
    { "{\"type\":\"custom\",\"name\":\"c\"}", TOOL_NAMED, 1 },
    { "{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"custom\",\"name\":\"c\"}]}", TOOL_AUTO, 1 },
    { "{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[" F "]}", TOOL_REQUIRED, 1 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char more[300];
    snprintf(more, sizeof more, ",\"tools\":[" F ",{\"type\":\"custom\",\"name\":\"c\"}],\"tool_choice\":%s", rows[i].choice);
    read_ok(&a, more, &r, &w);
    CHECK_INT(r.tool_choice, rows[i].want);
    CHECK_INT(r.tool_n, rows[i].n);
  }
  read_ok(&a, ",\"tools\":[{\"type\":\"local_shell\"}," F "],\"tool_choice\":{\"type\":\"local_shell\"}", &r, &w);
  CHECK_INT(r.tool_choice, TOOL_NAMED);
  CHECK_STR(r.tools[0].name, S("local_shell"));
  read_ok(&a, ",\"tools\":[{\"type\":\"web_search\"}],\"tool_choice\":\"required\"", &r, &w);
  CHECK(r.search && r.tool_choice == TOOL_OFF); /* the search is the tool that was asked for */
  read_ok(&a, ",\"tools\":[{\"type\":\"web_search_2025_08_26\"}," F "],\"tool_choice\":{\"type\":\"web_search_preview\"}", &r, &w);
  CHECK(r.search);
  arena_free(&a);
}

/* Every row of the table of items. expect: role, text or call, one message a line. */
static const struct { const char *name, *item, *expect; } items_rows[] = {
  { "role without a type", "{\"role\":\"user\",\"content\":\"a\"}", "1 a\n" },
  { "message", "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":\"input_text\",\"text\":\"b\"}]}", "1 a\nb\n" },
  { "developer", "{\"role\":\"developer\",\"content\":\"s\"}", "0 s\n" },
  { "system", "{\"role\":\"system\",\"content\":\"s\"}", "0 s\n" },
  { "assistant", "{\"type\":\"message\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"text\":\"<think>x</think>y\",\"annotations\":[]}]}", "2 y\n" },
  { "refusal", "{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}", "2 no\n" },
  { "function_call", "{\"type\":\"function_call\",\"id\":\"fc\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\",\"status\":\"completed\"}", "2 call c1 f {\"a\":1}\n" },
  { "function_call without arguments", "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"\"}", "2 call c1 f {}\n" },
  { "arguments as an object", "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":{\"a\":1}}", "2 call c1 f {\"a\":1}\n" },
  { "function_call_output", "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"21\"}", "3 c1 21\n" },
  { "output of parts", "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":[{\"type\":\"input_text\",\"text\":\"t\"},{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\"}]}", "3 c1 t+image\n" },
  { "output an object", "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":{\"t\":1}}", "3 c1 {\"t\":1}\n" },
  { "output of nothing", "{\"type\":\"function_call_output\",\"call_id\":\"c1\"}", "3 c1 \n" },
  { "custom_tool_call", "{\"type\":\"custom_tool_call\",\"call_id\":\"c1\",\"name\":\"p\",\"input\":\"raw \\\"x\\\"\\n\"}", "2 call c1 p {\"input\":\"raw \\\"x\\\"\\n\"}\n" },
  { "custom_tool_call_output", "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c1\",\"output\":\"ok\"}", "3 c1 ok\n" },
  { "local_shell_call", "{\"type\":\"local_shell_call\",\"call_id\":\"c1\",\"action\":{\"type\":\"exec\",\"command\":[\"ls\"]}}", "2 call c1 local_shell {\"type\":\"exec\",\"command\":[\"ls\"]}\n" },
  { "local_shell_call_output", "{\"type\":\"local_shell_call_output\",\"id\":\"c1\",\"output\":\"{}\"}", "3 c1 {}\n" },
  { "shell_call", "{\"type\":\"shell_call\",\"call_id\":\"c1\",\"action\":{\"commands\":[\"ls\"]}}", "2 call c1 shell {\"commands\":[\"ls\"]}\n" },
  { "shell_call_output", "{\"type\":\"shell_call_output\",\"call_id\":\"c1\",\"output\":[{\"stdout\":\"a\"}]}", "3 c1 [{\"stdout\":\"a\"}]\n" },
  { "apply_patch_call", "{\"type\":\"apply_patch_call\",\"call_id\":\"c1\",\"operation\":{\"type\":\"delete_file\",\"path\":\"a\"}}", "2 call c1 apply_patch {\"type\":\"delete_file\",\"path\":\"a\"}\n" },
  { "apply_patch_call_output", "{\"type\":\"apply_patch_call_output\",\"call_id\":\"c1\",\"status\":\"completed\",\"output\":\"done\"}", "3 c1 done\n" },
  { "reasoning", "{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[],\"encrypted_content\":\"x\"}", "" },
  { "web_search_call", "{\"type\":\"web_search_call\",\"id\":\"ws\"}", "" },
  { "image_generation_call", "{\"type\":\"image_generation_call\",\"id\":\"ig\",\"result\":\"x\"}", "" },
  { "compaction", "{\"type\":\"compaction\",\"id\":\"c\",\"encrypted_content\":\"x\"}", "" },
  { "mcp_list_tools", "{\"type\":\"mcp_list_tools\",\"id\":\"m\"}", "" },
  { "mcp_call", "{\"type\":\"mcp_call\",\"id\":\"m\"}", "" },
  { "mcp_approval_request", "{\"type\":\"mcp_approval_request\",\"id\":\"m\"}", "" },
  { "item_reference", "{\"type\":\"item_reference\",\"id\":\"msg_known\"}", "2 known\n" },
  { "item_reference without a type", "{\"id\":\"msg_known\"}", "2 known\n" },
  { "a picture", "{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\",\"detail\":\"auto\"}]}", "1 +image\n" },
  { "a file", "{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,JVBERi0=\"}]}", "1 +file a.pdf\n" },
  { "a sound", "{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklGRgAA\",\"format\":\"wav\"}}]}", "1 +audio\n" },
};

static void tell(const struct chat_msg *m, struct arena *a, struct strbuf *out)
{
  static const char *const media[] = { "image", "video", "audio", "file" };
  strbuf_fmt(out, "%d ", m->role);
  if(m->role == ROLE_TOOL) strbuf_fmt(out, "%.*s ", STR_F(m->call_id));
  strbuf_adds(out, chat_msg_text(m, a));
  for(int i = 0; i < m->part_n; i++)
    if(m->parts[i].media) {
      const struct chat_media *x = m->parts[i].media;
      strbuf_fmt(out, "+%s%s%.*s", media[x->kind], x->name.n ? " " : "", STR_F(x->name));
    }
  for(int i = 0; i < m->call_n; i++)
    strbuf_fmt(out, "call %.*s %.*s %.*s", STR_F(m->calls[i].id), STR_F(m->calls[i].name), STR_F(m->calls[i].args));
  strbuf_addc(out, '\n');
}

static void t_items(void)
{
  for(size_t i = 0; i < sizeof items_rows / sizeof items_rows[0]; i++) {
    struct arena a = ARENA(4 << 20);
    struct chat_req r, again;
    struct responses_want w;
    struct q_error e;
    struct strbuf said = STRBUF(1 << 16), kept = STRBUF(1 << 20), body = STRBUF(1 << 20);
    const struct json *known = json_parse(&a, S("{\"id\":\"msg_known\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"known\"}]}"), 9, NULL);
    struct responses_look look = { NULL, 0, known_item, (void *)known };
    t_row = items_rows[i].name;
    strbuf_fmt(&body, "{\"input\":[%s,{\"role\":\"user\",\"content\":\"now\"}]}", items_rows[i].item);
    CHECK(!read_with(&a, strbuf_z(&body), &look, &r, &w, &kept, &e));
    for(int k = 0; k + 1 < r.msg_n; k++) tell(&r.msgs[k], &a, &said);
    CHECK_STR(strbuf_str(&said), str_z(items_rows[i].expect));
    CHECK_STR(chat_msg_text(&r.msgs[r.msg_n - 1], &a), S("now"));
    CHECK_STR(r.ignored, S(""));
    /* what is kept says the same when it comes back as a stored conversation, without look-ups */
    const struct json *list = json_parse(&a, strbuf_str(&kept), 50, NULL);
    struct responses_look back = { &list, 1, NULL, NULL };
    CHECK(json_is(list, JSON_ARRAY));
    CHECK(!read_with(&a, "{\"input\":\"next\"}", &back, &again, &w, NULL, &e));
    CHECK_INT(again.msg_n, r.msg_n + 1);
    strbuf_clear(&said);
    for(int k = 0; k + 2 < again.msg_n; k++) tell(&again.msgs[k], &a, &said);
    CHECK_STR(strbuf_str(&said), str_z(items_rows[i].expect));
    strbuf_free(&body);
    strbuf_free(&kept);
    strbuf_free(&said);
    arena_free(&a);
  }
}

/* A stored conversation stands between this turn's instructions and its input. */
static void t_previous(void)
{
  struct arena a = ARENA(1 << 20);
  struct chat_req r;
  struct responses_want w;
  struct q_error e;
  struct strbuf said = STRBUF(1 << 16);
  const struct json *lists[] = { json_parse(&a, S("[{\"role\":\"user\",\"content\":\"q1\"}]"), 9, NULL),
                                 json_parse(&a, S("[{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[]},{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"a1\"}]}]"), 9, NULL) };
  struct responses_look look = { lists, 2, NULL, NULL };
  CHECK(!read_with(&a, "{\"instructions\":\"sys\",\"input\":\"q2\",\"previous_response_id\":\"resp_x\"}", &look, &r, &w, NULL, &e));
  for(int k = 0; k < r.msg_n; k++) tell(&r.msgs[k], &a, &said);
  CHECK_STR(strbuf_str(&said), S("0 sys\n1 q1\n2 a1\n1 q2\n"));
  strbuf_free(&said);
  arena_free(&a);
}

static void t_echo(void)
{
  static const struct { const char *body, *want; } rows[] = {
    { "{\"input\":\"x\"}", "-,\"instructions\":null,\"max_output_tokens\":null,\"max_tool_calls\":null,\"metadata\":{},\"parallel_tool_calls\":true,\"previous_response_id\":null,"
      "\"reasoning\":{\"effort\":null,\"summary\":null},\"store\":true,\"temperature\":null,\"top_p\":null,\"text\":{\"format\":{\"type\":\"text\"}},\"tool_choice\":\"auto\","
      "\"tools\":[],\"truncation\":\"disabled\",\"user\":null" },
    { "{\"input\":\"x\",\"instructions\":\"be\\n\",\"max_output_tokens\":5,\"metadata\":{\"k\":\"v\"},\"parallel_tool_calls\":\"false\",\"previous_response_id\":\"resp_1\",\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},"
      "\"store\":false,\"temperature\":0.70,\"top_p\":\"1\",\"text\":{\"format\":{\"type\":\"json_object\"},\"verbosity\":\"low\"},\"tools\":[" F "],\"tool_choice\":\"none\",\"truncation\":\"auto\",\"user\":\"u\","
      "\"service_tier\":\"flex\",\"include\":[\"reasoning.encrypted_content\"]}",
      "+,\"instructions\":\"be\\n\",\"max_output_tokens\":5,\"max_tool_calls\":null,\"metadata\":{\"k\":\"v\"},\"parallel_tool_calls\":false,\"previous_response_id\":\"resp_1\",\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},"
      "\"store\":false,\"temperature\":0.70,\"top_p\":null,\"text\":{\"format\":{\"type\":\"json_object\"},\"verbosity\":\"low\"},\"tool_choice\":\"none\",\"tools\":[" F "],\"truncation\":\"auto\",\"user\":\"u\",\"service_tier\":\"flex\"" },
  };
  for(size_t i = 0; i < 2; i++) {
    struct arena a = ARENA(1 << 20);
    struct strbuf echo = STRBUF(1 << 16);
    struct chat_req r;
    struct responses_want w;
    struct q_error e;
    CHECK(!read_with(&a, rows[i].body, NULL, &r, &w, NULL, &e));
    responses_echo(json_parse(&a, str_z(rows[i].body), 20, NULL), &w, &echo);
    CHECK_STR(strbuf_str(&echo), str_z(rows[i].want));
    strbuf_free(&echo);
    arena_free(&a);
  }
}

static void t_ids_and_shown_items(void)
{
  static const struct { const char *item, *want; } rows[] = {
    { "{\"role\":\"user\",\"content\":\"a\"}", "{\"id\":\"msg_0123456789abcdefghijkzzz\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"}]}" },
    { "{\"type\":\"message\",\"id\":\"msg_own\",\"role\":\"assistant\",\"status\":\"incomplete\",\"content\":\"a\"}",
      "{\"id\":\"msg_own\",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"incomplete\",\"content\":[{\"type\":\"output_text\",\"text\":\"a\",\"annotations\":[]}]}" },
    { "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"x\"}", "{\"id\":\"item_0123456789abcdefghijkzzz\",\"type\":\"function_call_output\",\"status\":\"completed\",\"call_id\":\"c\",\"output\":\"x\"}" },
  };
  char id[RESPONSES_ID_MAX];
  struct str resp = S("resp_0123456789abcdefghijklmn");
  for(size_t i = 0; i < 3; i++) {
    struct arena a = ARENA(1 << 20);
    struct strbuf shown = STRBUF(1 << 16);
    responses_show_item(json_parse(&a, str_z(rows[i].item), 20, NULL), resp, 0, &shown);
    CHECK_STR(strbuf_str(&shown), str_z(rows[i].want));
    strbuf_free(&shown);
    arena_free(&a);
  }
  responses_item_id("msg_", resp, 0, id);
  CHECK_Z(id, "msg_0123456789abcdefghijk000");
  responses_item_id("ctc_", str_z(id), 62 * 62 + 63, id);
  CHECK_Z(id, "ctc_0123456789abcdefghijk111");
  CHECK_STR(responses_core(str_z(id)), responses_core(resp));
  CHECK_INT(responses_core(S("resp_short")).n, 0);
  CHECK_INT(responses_core(S("0123456789abcdefghijklmn")).n, 0);
}

static void t_out_of_memory(void)
{
  static const char body[] = "{\"instructions\":\"s\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":\"input_image\",\"image_url\":\"https://x/y\"}]},"
                             "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"p\",\"input\":\"x\"},{\"type\":\"function_call\",\"call_id\":\"d\",\"name\":\"f\",\"arguments\":{}},"
                             "{\"type\":\"function_call_output\",\"call_id\":\"d\",\"output\":{\"a\":1}}],\"tools\":[{\"type\":\"custom\",\"name\":\"p\",\"format\":{\"definition\":\"x\"}},{\"type\":\"local_shell\"},"
                             "{\"type\":\"mcp\"}]}";
  for(size_t room = 0; room < 200000; room += 97) { /* the request's arena is full at every place once */
    struct arena a = ARENA(1 << 20), own = ARENA(room);
    struct chat_req r;
    struct responses_want w;
    struct strbuf items = STRBUF(1 << 16);
    struct q_error e = Q_ERROR_NONE;
    enum q_status st = responses_in(&own, json_parse(&a, str_z(body), 50, NULL), NULL, &r, &w, &items, &e);
    CHECK(st == Q_OK || (st == Q_NOMEM && e.msg[0]));
    strbuf_free(&items);
    arena_free(&own);
    arena_free(&a);
  }
  for(long n = 0;; n++) { /* and every allocation fails once */
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct responses_want w;
    struct strbuf items = STRBUF(1 << 16);
    struct q_error e = Q_ERROR_NONE;
    const struct json *tree = json_parse(&a, str_z(body), 50, NULL);
    fault_arm(n, false);
    enum q_status st = responses_in(&a, tree, NULL, &r, &w, &items, &e);
    bool hit = fault_disarm();
    CHECK(!hit || st == Q_NOMEM || items.err || st == Q_OK);
    CHECK(hit || st == Q_OK);
    if(st) CHECK_INT(st, Q_NOMEM);
    strbuf_free(&items);
    arena_free(&a);
    if(!hit) break;
  }
}

/* ---- api 7.2, field by field ---- */

static const char *const fields_7_2[] = {
  "model", "input", "instructions", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "reasoning.effort",
  "reasoning.summary", "text.format", "text.verbosity", "max_output_tokens", "previous_response_id", "store", "include", "metadata", "truncation",
  "prompt_cache_key", "prompt_cache_retention", "service_tier", "user", "safety_identifier", "client_metadata", "temperature", "top_p",
  "top_logprobs", "presence_penalty", "frequency_penalty", "seed", "max_tool_calls", "context_management", "background", "conversation", "prompt",
  "anything", NULL,
};
static const struct walk_row rows_7_2[] = {
  { "model", "\" qwen3-max \"", "model=qwen3-max" },
  { "model", "7", "!invalid_type model" },
  { "input", "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]", "turns=3" },
  { "input", "null", "!missing_required_parameter input" },
  { "instructions", "\"be brief\"", "turns=2" },
  { "instructions", "[]", "!invalid_type instructions" },
  { "stream", "true", "stream" },
  { "stream", "7", "!invalid_type stream" },
  { "stream_options", "{}", "" },
  { "stream_options", "{\"include_obfuscation\":false}", "" },
  { "stream_options", "{\"include_obfuscation\":true}", "ignored=stream_options.include_obfuscation" },
  { "stream_options", "[]", "!invalid_type stream_options" },
  { "tools", "[" F ",{\"type\":\"custom\",\"name\":\"c\"},{\"type\":\"web_search\"},{\"type\":\"mcp\",\"server_label\":\"x\"}]", "search tools=f,c ignored=tools.mcp" },
  { "tools", "{}", "!invalid_type tools" },
  { "tool_choice", "\"none\",\"tools\":[" F "]", "" },
  { "tool_choice", "\"required\",\"tools\":[" F "]", "tools=f choice=required" },
  { "tool_choice", "{\"type\":\"function\",\"name\":\"f\"},\"tools\":[" F "]", "tools=f choice=named" },
  { "tool_choice", "\"often\"", "!invalid_value tool_choice" },
  { "parallel_tool_calls", "false", "one" },
  { "parallel_tool_calls", "true", "" },
  { "parallel_tool_calls", "7", "!invalid_type parallel_tool_calls" },
  { "reasoning", "\"low\"", "!invalid_type reasoning" },
  { "reasoning.effort", "\"low\"", "think=on budget=4096" },
  { "reasoning.effort", "\"none\"", "think=off" },
  { "reasoning.effort", "\"huge\"", "!invalid_value reasoning.effort" },
  { "reasoning.summary", "\"auto\"", "" }, /* there is one summary, and it is shown */
  { "reasoning.summary", "\"long\"", "!invalid_value reasoning.summary" },
  { "reasoning.generate_summary", "\"auto\"", "ignored=reasoning.generate_summary" },
  { "text", "\"json\"", "!invalid_type text" },
  { "text.format", "{\"type\":\"text\"}", "" },
  { "text.format", "{\"type\":\"json_object\"}", "format=json" },
  { "text.format", "{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{}}", "format=schema" },
  { "text.format", "{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,\"schema\":{}}", "format=schema!" },
  { "text.format", "{\"type\":\"json_schema\"}", "!missing_required_parameter text.format.schema" },
  { "text.verbosity", "\"low\"", "ignored=text.verbosity" },
  { "max_output_tokens", "7", "max=7" },
  { "max_output_tokens", "0", "!invalid_value max_output_tokens" },
  { "previous_response_id", "\"resp_1\"", "previous=resp_1" },
  { "previous_response_id", "7", "!invalid_type previous_response_id" },
  { "store", "false", "unstored" },
  { "store", "true", "" },
  { "store", "7", "!invalid_type store" },
  { "include", "[\"reasoning.encrypted_content\"]", "encrypted" },
  { "include", "[\"message.output_text.logprobs\"]", "ignored=include" },
  { "include", "\"all\"", "!invalid_type include" },
  { "metadata", "{\"a\":\"b\"}", "" }, /* the answer repeats it: t_echo */
  { "metadata", "[]", "!invalid_type metadata" },
  { "truncation", "\"auto\"", "ignored=truncation" },
  { "prompt_cache_key", "\"k\"", "ignored=prompt_cache_key" },
  { "prompt_cache_retention", "\"24h\"", "ignored=prompt_cache_retention" },
  { "service_tier", "\"auto\"", "ignored=service_tier" },
  { "user", "\"u\"", "ignored=user" },
  { "safety_identifier", "\"u\"", "ignored=safety_identifier" },
  { "client_metadata", "{}", "ignored=client_metadata" },
  { "temperature", "0.5", "ignored=temperature" },
  { "temperature", "\"warm\"", "!invalid_type temperature" },
  { "top_p", "0.5", "ignored=top_p" },
  { "top_logprobs", "2", "ignored=top_logprobs" },
  { "presence_penalty", "1", "ignored=presence_penalty" },
  { "frequency_penalty", "1", "ignored=frequency_penalty" },
  { "seed", "1", "ignored=seed" },
  { "max_tool_calls", "3", "ignored=max_tool_calls" },
  { "context_management", "[]", "ignored=context_management" },
  { "background", "false", "" },
  { "background", "true", "!unsupported_parameter background" },
  { "conversation", "\"c\"", "!unsupported_parameter conversation" },
  { "prompt", "{\"id\":\"p\"}", "!unsupported_parameter prompt" },
  { "anything", "{\"else\":1}", "ignored=anything" },
};

static enum q_status walk_7_2(struct arena *a, const struct json *body, struct strbuf *shown, struct q_error *e)
{
  struct chat_req r;
  struct responses_want w;
  enum q_status st = responses_in(a, body, NULL, &r, &w, NULL, e);
  if(st) return st;
  walk_show(&r, shown);
  if(!w.store) strbuf_lit(shown, " unstored");
  if(w.encrypted) strbuf_lit(shown, " encrypted");
  if(w.previous.p) strbuf_fmt(shown, " previous=%.*s", STR_F(w.previous));
  return Q_OK;
}

static void t_api_7_2_every_field(void)
{
  WALK(I, fields_7_2, rows_7_2, walk_7_2, "");
}

T_MAIN(T(t_api_7_2_every_field), T(t_refused), T(t_accepted), T(t_switches), T(t_tools), T(t_items), T(t_previous), T(t_echo), T(t_ids_and_shown_items), T(t_out_of_memory))
