/* Anthropic requests (api 6.2): every field and every block is honoured, refused with its path, or named as ignored. */
#include "proto/anthropic.h"

#include "base/mem.h"
#include "proto/fold.h"
#include "t.h"

/* ---- what was read, as one line: turns joined by " / ", then all that is not as at birth ---- */

static void show_media(const struct chat_media *m, struct strbuf *b)
{
  static const char *const kinds[] = { "image", "video", "audio", "document" };
  strbuf_fmt(b, "[%s", kinds[m->kind]);
  if(m->url.n) strbuf_fmt(b, " url=%.*s", STR_F(m->url));
  if(m->data.n) strbuf_fmt(b, " %s=%.*s", m->plain ? "plain" : "data", STR_F(m->data));
  if(m->mime.n) strbuf_fmt(b, " mime=%.*s", STR_F(m->mime));
  if(m->name.n) strbuf_fmt(b, " name=%.*s", STR_F(m->name));
  strbuf_fmt(b, " at=%s]", m->param);
}

static void show_turn(const struct chat_msg *m, struct strbuf *b)
{
  static const char letters[] = "SUAT";
  if(m->joined) strbuf_addc(b, '+');
  strbuf_addc(b, letters[m->role]);
  if(m->role == ROLE_TOOL) strbuf_fmt(b, "(%.*s%s)", STR_F(m->call_id), m->failed ? " failed" : "");
  strbuf_addc(b, ':');
  for(int i = 0; i < m->part_n; i++) {
    if(i) strbuf_addc(b, '|');
    if(m->parts[i].media) show_media(m->parts[i].media, b);
    else strbuf_adds(b, m->parts[i].text);
  }
  for(int i = 0; i < m->call_n; i++) strbuf_fmt(b, "<%.*s %.*s %.*s>", STR_F(m->calls[i].id), STR_F(m->calls[i].name), STR_F(m->calls[i].args));
}

static struct str show(const struct chat_req *r, struct arena *a)
{
  static const char *const choices[] = { "auto", "off", "required", "named" };
  struct strbuf b = STRBUF(100000);
  for(int i = 0; i < r->msg_n; i++) {
    if(i) strbuf_lit(&b, " / ");
    show_turn(&r->msgs[i], &b);
  }
  if(r->model.n) strbuf_fmt(&b, " model=%.*s", STR_F(r->model));
  if(r->stream) strbuf_lit(&b, " stream");
  if(r->think != THINK_OFF || r->think_budget) strbuf_fmt(&b, " think=%s:%d", r->think == THINK_ON ? "on" : r->think == THINK_OFF ? "off" : "unset", r->think_budget);
  if(!r->hide_reasoning) strbuf_lit(&b, " shown");
  if(r->search) strbuf_lit(&b, " search");
  for(int i = 0; i < r->tool_n; i++) strbuf_fmt(&b, "%s%.*s%s", i ? "," : " tools=", STR_F(r->tools[i].name), r->tools[i].strict ? "!" : "");
  if(r->tool_choice != TOOL_OFF) strbuf_fmt(&b, " %s", choices[r->tool_choice]);
  if(r->one_call) strbuf_lit(&b, " one");
  if(r->format == FORMAT_SCHEMA) strbuf_fmt(&b, " schema%s", r->schema_strict ? "!" : "");
  for(int i = 0; i < r->stop_n; i++) strbuf_fmt(&b, " stop=%.*s", STR_F(r->stop[i]));
  if(r->max_tokens) strbuf_fmt(&b, " max=%lld", (long long)r->max_tokens);
  if(r->ignored.n) strbuf_fmt(&b, " ignored=%.*s", STR_F(r->ignored));
  struct str s = arena_str(a, strbuf_str(&b));
  strbuf_free(&b);
  return s;
}

#define M "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define USER(blocks) "{\"messages\":[{\"role\":\"user\",\"content\":[" blocks "]}]}"
#define SAID(blocks) "{\"messages\":[{\"role\":\"assistant\",\"content\":[" blocks "]},{\"role\":\"user\",\"content\":\"go\"}]}"
#define TOOL "{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}"
#define RESULT(inner) "{\"type\":\"tool_result\",\"tool_use_id\":\"t1\"" inner "}"
#define PNG "iVBORw0KGgo="

static const struct { const char *name, *body, *got; enum q_status st; const char *param; } rows[] = {
  /* top level */
  { "the least", "{" M "}", "U:hi", Q_OK, NULL },
  { "model", "{" M ",\"model\":\" claude-sonnet-4-5 \"}", "U:hi model=claude-sonnet-4-5", Q_OK, NULL },
  { "model a number", "{" M ",\"model\":5}", NULL, Q_BAD_TYPE, "model" },
  { "stream", "{" M ",\"stream\":true}", "U:hi stream", Q_OK, NULL },
  { "stream a word", "{" M ",\"stream\":\"yes\"}", NULL, Q_BAD_TYPE, "stream" },
  { "max_tokens", "{" M ",\"max_tokens\":64}", "U:hi max=64", Q_OK, NULL },
  { "max_tokens large: no limit", "{" M ",\"max_tokens\":32768}", "U:hi", Q_OK, NULL },
  { "max_tokens 0", "{" M ",\"max_tokens\":0}", NULL, Q_BAD_VALUE, "max_tokens" },
  { "max_tokens a text", "{" M ",\"max_tokens\":\"lots\"}", NULL, Q_BAD_TYPE, "max_tokens" },
  { "stop_sequences", "{" M ",\"stop_sequences\":[\"END\",\"\",\"STOP\"]}", "U:hi stop=END stop=STOP", Q_OK, NULL },
  { "17 stop_sequences", "{" M ",\"stop_sequences\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]}", NULL, Q_BAD_VALUE, "stop_sequences" },
  { "stop_sequences of numbers", "{" M ",\"stop_sequences\":[1]}", NULL, Q_BAD_TYPE, "stop_sequences" },
  { "system text", "{" M ",\"system\":\"be brief\"}", "S:be brief / U:hi", Q_OK, NULL },
  { "system blocks", "{" M ",\"system\":[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"text\",\"text\":\"b\"}]}", "S:a|b / U:hi ignored=cache_control", Q_OK, NULL },
  { "system a number", "{" M ",\"system\":5}", NULL, Q_BAD_TYPE, "system" },
  { "system block unknown", "{" M ",\"system\":[{\"type\":\"hologram\"}]}", NULL, Q_BAD_VALUE, "system[0].type" },
  { "temperature top_p top_k", "{" M ",\"temperature\":0.2,\"top_p\":0.9,\"top_k\":\"40\"}", "U:hi ignored=temperature,top_p,top_k", Q_OK, NULL },
  { "temperature a word", "{" M ",\"temperature\":\"warm\"}", NULL, Q_BAD_TYPE, "temperature" },
  { "metadata service_tier container context_management", "{" M ",\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"auto\",\"container\":\"c\",\"context_management\":{\"edits\":[]}}",
    "U:hi ignored=metadata,service_tier,container,context_management", Q_OK, NULL },
  { "cache_control at the top", "{" M ",\"cache_control\":{\"type\":\"ephemeral\"}}", "U:hi ignored=cache_control", Q_OK, NULL },
  { "what the newest SDK may send besides", "{" M ",\"inference_geo\":\"us\",\"speed\":\"fast\",\"diagnostics\":{},\"user_profile_id\":\"p\",\"workspace_id\":\"w\",\"fallbacks\":[],\"billing_policy\":{},"
    "\"fallback_credit_token\":\"x\",\"betas\":[\"b\"]}",
    "U:hi ignored=inference_geo,speed,diagnostics,user_profile_id,workspace_id,fallbacks,billing_policy,fallback_credit_token,betas", Q_OK, NULL },
  { "a name that would break the header", "{" M ",\"x\\r\\ny\":1,\"a,b\":1,\"\":1,\"ok\":1,\"ok\":2}", "U:hi ignored=ok", Q_OK, NULL },
  { "mcp_servers", "{" M ",\"mcp_servers\":[{\"type\":\"url\",\"url\":\"https://m\",\"name\":\"m\"}]}", NULL, Q_UNSUPPORTED, "mcp_servers" },
  { "no mcp_servers", "{" M ",\"mcp_servers\":[]}", "U:hi", Q_OK, NULL },
  { "thread create", "{" M ",\"thread\":{\"type\":\"create\"}}", NULL, Q_UNSUPPORTED, "thread" },
  { "thread continue", "{" M ",\"thread\":{\"type\":\"continue\",\"previous_message_id\":\"msg_1\"}}", NULL, Q_UNSUPPORTED, "thread" },
  { "thread of null", "{" M ",\"thread\":null}", "U:hi", Q_OK, NULL },
  { "compaction by the server", "{" M ",\"compaction\":{\"type\":\"summarize\"}}", NULL, Q_UNSUPPORTED, "compaction" },
  /* thinking */
  { "thinking enabled", "{" M ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}}", "U:hi think=on:2000 shown", Q_OK, NULL },
  { "thinking adaptive", "{" M ",\"thinking\":{\"type\":\"adaptive\"}}", "U:hi think=on:0 shown", Q_OK, NULL },
  { "thinking disabled", "{" M ",\"thinking\":{\"type\":\"disabled\"}}", "U:hi", Q_OK, NULL },
  { "thinking not to be shown", "{" M ",\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"}}", "U:hi think=on:0", Q_OK, NULL },
  { "thinking between tools, at a question", "{" M ",\"thinking\":{\"type\":\"between_tools\"}}", "U:hi", Q_OK, NULL },
  { "thinking between tools, at a result", "{\"messages\":[{\"role\":\"user\",\"content\":[" RESULT("") "]}],\"thinking\":{\"type\":\"between_tools\"}}", "T(t1): think=on:0 shown", Q_OK, NULL },
  { "thinking unknown", "{" M ",\"thinking\":{\"type\":\"deep\"}}", NULL, Q_BAD_VALUE, "thinking.type" },
  { "thinking a text", "{" M ",\"thinking\":\"on\"}", NULL, Q_BAD_TYPE, "thinking" },
  { "thinking with more", "{" M ",\"thinking\":{\"type\":\"adaptive\",\"block_binding\":{}}}", "U:hi think=on:0 shown ignored=thinking.block_binding", Q_OK, NULL },
  { "effort alone thinks unseen", "{" M ",\"output_config\":{\"effort\":\"low\"}}", "U:hi think=on:4096", Q_OK, NULL },
  { "effort max", "{" M ",\"output_config\":{\"effort\":\"max\"},\"thinking\":{\"type\":\"adaptive\"}}", "U:hi think=on:81920 shown", Q_OK, NULL },
  { "a budget beats the effort", "{" M ",\"output_config\":{\"effort\":\"max\"},\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1500}}", "U:hi think=on:1500 shown", Q_OK, NULL },
  { "disabled beats the effort", "{" M ",\"output_config\":{\"effort\":\"max\"},\"thinking\":{\"type\":\"disabled\"}}", "U:hi", Q_OK, NULL },
  { "effort unknown", "{" M ",\"output_config\":{\"effort\":\"huge\"}}", NULL, Q_BAD_VALUE, "output_config.effort" },
  { "api 6.5: a warm-up does not think", "{" M ",\"max_tokens\":1,\"output_config\":{\"effort\":\"high\"},\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":9000}}", "U:hi shown max=1", Q_OK, NULL },
  { "a variant by name is shown", "{" M ",\"model\":\"qwen3-max-thinking\"}", "U:hi model=qwen3-max-thinking shown", Q_OK, NULL },
  { "both variants by name", "{" M ",\"model\":\"q-search-thinking\"}", "U:hi model=q-search-thinking shown", Q_OK, NULL },
  { "a variant, but told not to", "{" M ",\"model\":\"q-thinking\",\"thinking\":{\"type\":\"disabled\"}}", "U:hi model=q-thinking", Q_OK, NULL },
  /* formats */
  { "output_config.format", "{" M ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}}", "U:hi schema!", Q_OK, NULL },
  { "output_format", "{" M ",\"output_format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}", "U:hi schema!", Q_OK, NULL },
  { "format without a schema", "{" M ",\"output_config\":{\"format\":{\"type\":\"json_schema\"}}}", NULL, Q_MISSING, "output_config.format.schema" },
  { "format unknown", "{" M ",\"output_config\":{\"format\":{\"type\":\"xml\"}}}", NULL, Q_BAD_VALUE, "output_config.format.type" },
  { "format a text", "{" M ",\"output_format\":\"json\"}", NULL, Q_BAD_TYPE, "output_format" },
  { "output_config a text", "{" M ",\"output_config\":\"json\"}", NULL, Q_BAD_TYPE, "output_config" },
  { "output_config with more", "{" M ",\"output_config\":{\"task_budget\":{\"total\":1}}}", "U:hi ignored=output_config.task_budget", Q_OK, NULL },
  /* messages */
  { "no messages", "{}", NULL, Q_MISSING, "messages" },
  { "messages empty", "{\"messages\":[]}", NULL, Q_MISSING, "messages" },
  { "messages a text", "{\"messages\":\"hi\"}", NULL, Q_BAD_TYPE, "messages" },
  { "message a text", "{\"messages\":[\"hi\"]}", NULL, Q_BAD_TYPE, "messages[0]" },
  { "no role", "{\"messages\":[{\"content\":\"x\"}]}", NULL, Q_MISSING, "messages[0].role" },
  { "role unknown", "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", NULL, Q_BAD_VALUE, "messages[0].role" },
  { "no content", "{\"messages\":[{\"role\":\"user\"}]}", NULL, Q_MISSING, "messages[0].content" },
  { "content a number", "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", NULL, Q_BAD_TYPE, "messages[0].content" },
  { "all empty", "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", NULL, Q_BAD_VALUE, "messages" },
  { "no blocks", "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", NULL, Q_BAD_VALUE, "messages" },
  { "a system message in its place", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"system\"},{\"role\":\"user\",\"content\":\"b\"}]}", "U:a / S:s / U:b", Q_OK, NULL },
  { "a prefill", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"{\"}]}", "U:a / A:{", Q_OK, NULL },
  { "body a list", "[]", NULL, Q_BAD_TYPE, "" },
  /* blocks */
  { "texts in order", USER("{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\",\"cache_control\":{}}"), "U:a|b ignored=cache_control", Q_OK, NULL },
  { "text without text", USER("{\"type\":\"text\"}"), NULL, Q_MISSING, "messages[0].content[0].text" },
  { "text of a number", USER("{\"type\":\"text\",\"text\":1}"), NULL, Q_BAD_TYPE, "messages[0].content[0].text" },
  { "a block that is none", USER("5"), NULL, Q_BAD_TYPE, "messages[0].content[0]" },
  { "a block without type", USER("{\"text\":\"x\"}"), NULL, Q_MISSING, "messages[0].content[0].type" },
  { "image base64", USER("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"" PNG "\"}}"), "U:[image data=" PNG " mime=image/png at=messages[0].content[0]]", Q_OK, NULL },
  { "image url", USER("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://h/a.png\"}},{\"type\":\"text\",\"text\":\"what?\"}"), "U:[image url=https://h/a.png at=messages[0].content[0]]|what?", Q_OK, NULL },
  { "image by id", USER("{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}"), NULL, Q_UNSUPPORTED, "messages[0].content[0].source" },
  { "image of nothing", USER("{\"type\":\"image\"}"), NULL, Q_MISSING, "messages[0].content[0].source" },
  { "image of an empty source", USER("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"\"}}"), NULL, Q_MISSING, "messages[0].content[0].source" },
  { "image source unknown", USER("{\"type\":\"image\",\"source\":{\"type\":\"text\",\"data\":\"x\"}}"), NULL, Q_BAD_VALUE, "messages[0].content[0].source.type" },
  { "image of junk", USER("{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"<no base64>\"}}"), NULL, Q_BAD_MEDIA, "messages[0].content[0]" },
  { "image to be changed", USER("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://h/a\"},\"transformations\":[],\"cache_control\":{}}"), "U:[image url=https://h/a at=messages[0].content[0]] ignored=cache_control,content.transformations", Q_OK, NULL },
  { "document base64", USER("{\"type\":\"document\",\"title\":\"r.pdf\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\",\"data\":\"JVBERi0xLjQ=\"},\"citations\":{\"enabled\":true}}"),
    "U:[document data=JVBERi0xLjQ= mime=application/pdf name=r.pdf at=messages[0].content[0]] ignored=content.citations", Q_OK, NULL },
  { "document text", USER("{\"type\":\"document\",\"context\":\"about it\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"lines\"}}"), "U:about it|[document plain=lines mime=text/plain at=messages[0].content[0]]", Q_OK, NULL },
  { "document url", USER("{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://h/r.pdf\"}}"), "U:[document url=https://h/r.pdf at=messages[0].content[0]]", Q_OK, NULL },
  { "document of blocks", USER("{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://h/p\"}}]}}"),
    "U:a|[image url=https://h/p at=messages[0].content[0].source.content[1]]", Q_OK, NULL },
  { "document of a text", USER("{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":\"a\"}}"), "U:a", Q_OK, NULL },
  { "document by id", USER("{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}"), NULL, Q_UNSUPPORTED, "messages[0].content[0].source" },
  { "tool_use", SAID("{\"type\":\"text\",\"text\":\"I look.\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\": [1, \"x\"]}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\"}"),
    "A:I look.<t1 f {\"a\":[1,\"x\"]}><t2 g {}> / U:go", Q_OK, NULL },
  { "tool_use without a name", SAID("{\"type\":\"tool_use\",\"id\":\"t1\"}"), NULL, Q_MISSING, "messages[0].content[0].name" },
  { "tool_use with a text for input", SAID("{\"type\":\"tool_use\",\"name\":\"f\",\"input\":\"x\"}"), NULL, Q_BAD_TYPE, "messages[0].content[0].input" },
  { "tool_use of a user", USER("{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\"}"), NULL, Q_BAD_VALUE, "messages[0].content[0].type" },
  { "tool_result text", USER(RESULT(",\"content\":\"42\"")), "T(t1):42", Q_OK, NULL },
  { "tool_result blocks", USER(RESULT(",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://h/s.png\"}}]")),
    "T(t1):a|[image url=https://h/s.png at=messages[0].content[0].content[1]]", Q_OK, NULL },
  { "tool_result of nothing", USER(RESULT("")), "T(t1):", Q_OK, NULL },
  { "tool_result is_error", USER(RESULT(",\"content\":\"no\",\"is_error\":true,\"cache_control\":{}")), "T(t1 failed):no ignored=cache_control", Q_OK, NULL },
  { "tool_result without id", USER("{\"type\":\"tool_result\",\"content\":\"x\"}"), NULL, Q_MISSING, "messages[0].content[0].tool_use_id" },
  { "tool_result within a result", USER(RESULT(",\"content\":[" RESULT("") "]")), NULL, Q_BAD_VALUE, "messages[0].content[0].content[0].type" },
  { "tool_result of an assistant", SAID(RESULT("")), NULL, Q_BAD_VALUE, "messages[0].content[0].type" },
  { "results and texts keep their order", USER("{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"1\"},{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"content\":\"2\"},"
    "{\"type\":\"text\",\"text\":\"b\"},{\"type\":\"text\",\"text\":\"c\"}"), "U:a / +T(t1):1 / +T(t2):2 / +U:b|c", Q_OK, NULL },
  { "tool_reference in a result", USER(RESULT(",\"content\":[{\"type\":\"tool_reference\",\"tool_name\":\"Grep\"}]")), "T(t1):Grep", Q_OK, NULL },
  { "thinking is dropped", SAID("{\"type\":\"thinking\",\"thinking\":\"secret\",\"signature\":\"x\"},{\"type\":\"redacted_thinking\",\"data\":\"y\"},{\"type\":\"text\",\"text\":\"b\"}"), "A:b / U:go", Q_OK, NULL },
  { "thinking at the head of a text too", SAID("{\"type\":\"text\",\"text\":\"<think>x</think>b\"}"), "A:b / U:go", Q_OK, NULL },
  { "nothing but thinking", SAID("{\"type\":\"thinking\",\"thinking\":\"x\",\"signature\":\"\"}"), "U:go", Q_OK, NULL },
  { "server_tool_use and what it found", SAID("{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{\"query\":\"q\"}},{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s\",\"content\":"
    "[{\"type\":\"web_search_result\",\"title\":\"T\",\"url\":\"https://t\",\"encrypted_content\":\"z\"},{\"type\":\"web_search_result\",\"url\":\"https://u\"}]},{\"type\":\"text\",\"text\":\"so\"}"),
    "A:T https://t\nhttps://u|so / U:go", Q_OK, NULL },
  { "a search that failed", SAID("{\"type\":\"web_search_tool_result\",\"content\":{\"type\":\"web_search_tool_result_error\",\"error_code\":\"max_uses_exceeded\"}}"), "A:The web search failed: max_uses_exceeded / U:go", Q_OK, NULL },
  { "search_result", USER("{\"type\":\"search_result\",\"source\":\"https://s\",\"title\":\"T\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":\"y\"}]}"), "U:T\nhttps://s\nx\ny", Q_OK, NULL },
  { "container_upload", USER("{\"type\":\"container_upload\",\"file_id\":\"f\"}"), NULL, Q_BAD_VALUE, "messages[0].content[0].type" },
  { "unknown with a text", USER("{\"type\":\"note\",\"text\":\"n\"}"), "U:n", Q_OK, NULL },
  { "unknown with a content", SAID("{\"type\":\"compaction\",\"content\":\"so far\"}"), "A:so far / U:go", Q_OK, NULL },
  { "unknown with texts in it", SAID("{\"type\":\"mcp_tool_result\",\"tool_use_id\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"n\"}]}"), "A:n / U:go", Q_OK, NULL },
  { "unknown without", USER("{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"hologram\",\"data\":\"x\"}"), NULL, Q_BAD_VALUE, "messages[0].content[1].type" },
  { "unknown nested without end", USER("{\"type\":\"a\",\"content\":[{\"type\":\"a\",\"content\":[{\"type\":\"a\",\"content\":[{\"type\":\"a\",\"content\":[{\"type\":\"a\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}]}]}]}"),
    NULL, Q_BAD_VALUE, "messages[0].content[0].content[0].content[0].content[0].type" },
  /* tools */
  { "a tool", "{" M ",\"tools\":[" TOOL "]}", "U:hi tools=f auto", Q_OK, NULL },
  { "a custom tool with all its fields", "{" M ",\"tools\":[{\"type\":\"custom\",\"name\":\"f\",\"description\":\"d\",\"input_schema\":{},\"strict\":true,\"cache_control\":{},\"defer_loading\":true,"
    "\"allowed_callers\":[\"direct\"],\"eager_input_streaming\":true,\"input_examples\":[{}]}]}",
    "U:hi tools=f! auto ignored=cache_control,tools.defer_loading,tools.allowed_callers,tools.eager_input_streaming,tools.input_examples", Q_OK, NULL },
  { "tools a text", "{" M ",\"tools\":\"f\"}", NULL, Q_BAD_TYPE, "tools" },
  { "a tool that is none", "{" M ",\"tools\":[1]}", NULL, Q_BAD_TYPE, "tools[0]" },
  { "a tool without a name", "{" M ",\"tools\":[{\"input_schema\":{}}]}", NULL, Q_BAD_VALUE, "tools[0]" },
  { "a tool without a schema", "{" M ",\"tools\":[{\"name\":\"f\"}]}", NULL, Q_MISSING, "tools[0].input_schema" },
  { "a tool twice", "{" M ",\"tools\":[" TOOL "," TOOL "]}", NULL, Q_BAD_VALUE, "tools[1]" },
  { "server search", "{" M ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":5}]}", "U:hi search ignored=tools.max_uses", Q_OK, NULL },
  { "server search of the newest date", "{" M ",\"tools\":[{\"type\":\"web_search_20260318\",\"name\":\"web_search\"}," TOOL "]}", "U:hi search tools=f auto", Q_OK, NULL },
  { "bash", "{" M ",\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}]}", "U:hi tools=bash auto", Q_OK, NULL },
  { "text editors", "{" M ",\"tools\":[{\"type\":\"text_editor_20250728\",\"name\":\"str_replace_based_edit_tool\",\"max_characters\":9},{\"type\":\"text_editor_20250124\"}]}",
    "U:hi tools=str_replace_based_edit_tool,str_replace_editor auto ignored=tools.max_characters", Q_OK, NULL },
  { "memory", "{" M ",\"tools\":[{\"type\":\"memory_20250818\",\"name\":\"memory\"}]}", "U:hi tools=memory auto", Q_OK, NULL },
  { "tool search", "{" M ",\"tools\":[{\"type\":\"tool_search_tool_regex_20251119\",\"name\":\"tool_search_tool_regex\"}," TOOL "]}", "U:hi tools=f auto ignored=tools.tool_search", Q_OK, NULL },
  { "computer use", "{" M ",\"tools\":[{\"type\":\"computer_20250124\",\"name\":\"computer\"}]}", NULL, Q_UNSUPPORTED, "tools[0].type" },
  { "code execution", "{" M ",\"tools\":[" TOOL ",{\"type\":\"code_execution_20250825\",\"name\":\"code_execution\"}]}", NULL, Q_UNSUPPORTED, "tools[1].type" },
  { "web fetch", "{" M ",\"tools\":[{\"type\":\"web_fetch_20250910\",\"name\":\"web_fetch\"}]}", NULL, Q_UNSUPPORTED, "tools[0].type" },
  { "an mcp toolset", "{" M ",\"tools\":[{\"type\":\"mcp_toolset\",\"mcp_server_name\":\"m\"}]}", NULL, Q_UNSUPPORTED, "tools[0].type" },
  /* tool_choice */
  { "choice auto", "{" M ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"auto\"}}", "U:hi tools=f auto", Q_OK, NULL },
  { "choice any", "{" M ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}}", "U:hi tools=f required one", Q_OK, NULL },
  { "choice tool", "{" M ",\"tools\":[" TOOL ",{\"name\":\"g\",\"input_schema\":{}}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"g\"}}", "U:hi tools=g named", Q_OK, NULL },
  { "choice none", "{" M ",\"tools\":[" TOOL ",{\"type\":\"web_search_20250305\"}],\"tool_choice\":{\"type\":\"none\"}}", "U:hi", Q_OK, NULL },
  { "choice of a tool not there", "{" M ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"x\"}}", NULL, Q_BAD_VALUE, "tool_choice.name" },
  { "choice of a tool without a name", "{" M ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"tool\"}}", NULL, Q_MISSING, "tool_choice.name" },
  { "choice any without tools", "{" M ",\"tool_choice\":{\"type\":\"any\"}}", NULL, Q_BAD_VALUE, "tool_choice" },
  { "choice unknown", "{" M ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"some\"}}", NULL, Q_BAD_VALUE, "tool_choice.type" },
  { "choice a text", "{" M ",\"tools\":[" TOOL "],\"tool_choice\":\"auto\"}", NULL, Q_BAD_TYPE, "tool_choice" },
  { "one call by a word", "{" M ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":\"maybe\"}}", NULL, Q_BAD_TYPE, "tool_choice.disable_parallel_tool_use" },
  { "any with the server's search alone", "{" M ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],\"tool_choice\":{\"type\":\"any\"}}", "U:hi search", Q_OK, NULL },
  { "the server's search by name", "{" M ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"web_search\"}}", "U:hi search", Q_OK, NULL },
};

static enum q_status read_it(struct arena *a, const char *body, struct chat_req *r, struct q_error *e)
{
  const struct json *tree = json_parse(a, str_z(body), 60, NULL);
  *e = Q_ERROR_NONE;
  CHECK(tree != NULL);
  return anthropic_in(a, tree, r, e);
}

static void t_api_6_2_every_field_and_block(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(4 << 20);
    struct chat_req r;
    struct q_error e;
    t_row = rows[i].name;
    CHECK_Z(status_row(read_it(&a, rows[i].body, &r, &e))->name, status_row(rows[i].st)->name);
    CHECK_INT(e.st, rows[i].st);
    if(rows[i].st) {
      CHECK_Z(e.param, rows[i].param);
      CHECK(e.msg[0] != 0);
      CHECK_INT(status_row(e.st)->http, 400);
    } else {
      CHECK_STR(show(&r, &a), str_z(rows[i].got));
    }
    arena_free(&a);
  }
}

static const char *const fields[] = {
  "model", "system", "max_tokens", "stop_sequences", "stream", "tools", "tool_choice", "thinking", "output_config", "output_format", "metadata", "temperature", "top_p", "top_k",
  "service_tier", "container", "context_management", "cache_control", "mcp_servers", "thread", "compaction", "inference_geo", "unknown",
};

/* The rows above are a full walk: each field, block, tool and choice of 6.2 stands in one that shows, refuses or names something. */
static void t_the_rows_are_all_of_6_2(void)
{
  static const char *const words[] = {
    "\"messages\":", "\"model\":", "\"system\":", "\"max_tokens\":", "\"stop_sequences\":", "\"stream\":", "\"tools\":", "\"tool_choice\":",
    "\"type\":\"enabled\"", "\"budget_tokens\":", "\"type\":\"adaptive\"", "\"type\":\"disabled\"", "\"effort\":", "\"output_config\":{\"format\":",
    "\"metadata\":", "\"temperature\":", "\"top_p\":", "\"top_k\":", "\"service_tier\":", "\"container\":", "\"context_management\":",
    "\"cache_control\":", "\"mcp_servers\":", "\"thread\":{\"type\":\"create\"", "\"thread\":{\"type\":\"continue\"",
    "\"type\":\"text\"", "\"type\":\"image\"", "\"type\":\"base64\"", "\"type\":\"url\"", "\"type\":\"document\"", "\"type\":\"tool_use\"",
    "\"type\":\"tool_result\"", "\"is_error\":true", "\"type\":\"thinking\"", "\"type\":\"redacted_thinking\"", "\"type\":\"server_tool_use\"",
    "\"type\":\"web_search_tool_result\"", "\"type\":\"search_result\"", "\"type\":\"container_upload\"", "\"input_schema\":",
    "\"type\":\"web_search_", "\"type\":\"bash_", "\"type\":\"text_editor_", "\"type\":\"computer_", "\"type\":\"memory_",
    "\"type\":\"auto\"", "\"type\":\"any\"", "\"type\":\"tool\"", "\"type\":\"none\"", "\"disable_parallel_tool_use\":true",
  };
  for(size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
    bool told = false;
    t_row = words[k];
    for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
      told |= strstr(rows[i].body, words[k]) != NULL && (rows[i].st || strcmp(rows[i].got, "U:hi") != 0);
    if(strcmp(words[k], "\"type\":\"disabled\"") == 0 || strcmp(words[k], "\"type\":\"none\"") == 0) continue; /* so a request is born */
    CHECK(told);
  }
}

/* null for an optional field is the same as no field. */
static void t_null_is_absent(void)
{
  for(size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct q_error e;
    char body[200];
    t_row = fields[i];
    snprintf(body, sizeof body, "{" M ",\"%s\":null}", fields[i]);
    CHECK_INT(read_it(&a, body, &r, &e), Q_OK);
    CHECK_STR(show(&r, &a), S("U:hi"));
    arena_free(&a);
  }
}

/* Any field of any type is honoured, refused with its name and words, or named: never silence. */
static void t_any_type(void)
{
  static const char *const values[] = { "true", "false", "0", "-1", "1e300", "\"\"", "\"x\"", "[]", "[[]]", "[{}]", "[null]", "{}", "{\"type\":[]}", "{\"a\":{\"b\":[1]}}", "99999999999999999999" };
  for(size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    for(size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
      struct arena a = ARENA(1 << 20);
      struct chat_req r;
      struct q_error e;
      char body[200];
      t_row = fields[i];
      snprintf(body, sizeof body, "{" M ",\"%s\":%s}", fields[i], values[k]);
      enum q_status st = read_it(&a, body, &r, &e);
      CHECK_INT(st, e.st);
      if(st) {
        CHECK_INT(status_row(st)->http, 400);
        CHECK(str_starts(str_z(e.param), str_z(fields[i])));
        CHECK(e.msg[0] != 0);
      }
      arena_free(&a);
    }
}

static bool has_property(const struct chat_tool *t, const char *name)
{
  return json_is(json_get(json_get(t->schema, "properties"), name), JSON_OBJECT);
}

/* The published arguments of the typed tools: what the client that runs them looks for. */
static void t_typed_tools(void)
{
  static const struct { const char *type; const char *has[10], *not; } typed[] = {
    { "bash_20241022", { "command", "restart" }, "path" },
    { "bash_20250124", { "command", "restart" }, "path" },
    { "text_editor_20241022", { "command", "path", "file_text", "old_str", "new_str", "insert_line", "view_range" }, "insert_text" },
    { "text_editor_20250124", { "command", "path", "file_text", "old_str", "new_str", "insert_line", "view_range" }, "insert_text" },
    { "text_editor_20250429", { "command", "path", "file_text", "old_str", "new_str", "insert_line", "insert_text", "view_range" }, "old_path" },
    { "text_editor_20250728", { "command", "path", "file_text", "old_str", "new_str", "insert_line", "insert_text", "view_range" }, "old_path" },
    { "memory_20250818", { "command", "path", "file_text", "old_str", "new_str", "insert_line", "insert_text", "view_range", "old_path", "new_path" }, "restart" },
  };
  for(size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct q_error e;
    char body[300];
    t_row = typed[i].type;
    snprintf(body, sizeof body, "{" M ",\"tools\":[{\"type\":\"%s\"}]}", typed[i].type);
    CHECK_INT(read_it(&a, body, &r, &e), Q_OK);
    CHECK_INT(r.tool_n, 1);
    if(r.tool_n != 1) continue;
    for(int k = 0; k < 10 && typed[i].has[k]; k++) CHECK(has_property(&r.tools[0], typed[i].has[k]));
    CHECK(!has_property(&r.tools[0], typed[i].not));
    CHECK(r.tools[0].description.n > 0);
    struct strbuf commands = STRBUF(1000);
    const struct json *words = json_path(r.tools[0].schema, "properties.command.enum");
    if(words) json_write(words, &commands);
    CHECK_INT(str_find(strbuf_str(&commands), S("undo_edit")) >= 0, i == 2 || i == 3);
    CHECK_INT(str_find(strbuf_str(&commands), S("rename")) >= 0, i == 6);
    strbuf_free(&commands);
    arena_free(&a);
  }
}

/* What a client sent in one message is answered as one: a reminder behind a result does not make the result history. */
static void t_one_message_is_one_question(void)
{
  struct arena a = ARENA(1 << 20);
  struct chat_req r;
  struct q_error e;
  struct strbuf out = STRBUF(100000), document = out, whole = out;
  CHECK_INT(read_it(&a, "{\"messages\":[{\"role\":\"user\",\"content\":\"read it\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"p\":\"x\"}}]},"
                        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"first\"}," RESULT(",\"content\":\"42\",\"is_error\":true") ",{\"type\":\"text\",\"text\":\"a reminder\"}]}]}", &r, &e), Q_OK);
  struct fold f = { .req = &r, .history_files = 5, .prompt = &out, .document = &document, .whole = &whole };
  CHECK_INT(fold_run(&f), Q_OK);
  CHECK_STR(strbuf_str(&out), S("Conversation so far:\n\nUser: read it\nAssistant: <q2a_call>\n{\"id\":\"t1\",\"name\":\"f\",\"arguments\":{\"p\":\"x\"}}\n</q2a_call>\n"
                                "\nAnswer only the current message; the conversation above is its context.\n"
                                "\nCurrent message:\nfirst\n<q2a_result id=\"t1\" name=\"f\" error=\"true\">\n42\n</q2a_result>\na reminder"));
  strbuf_free(&out);
  strbuf_free(&document);
  strbuf_free(&whole);
  arena_free(&a);
}

/* Out of memory is told as such at every point, and nothing stays behind. */
static void t_out_of_memory(void)
{
  for(long n = 0;; n++) {
    struct arena a = ARENA(4 << 20);
    struct chat_req r;
    struct q_error e = Q_ERROR_NONE;
    const struct json *body = json_parse(&a, S("{\"system\":\"s\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}}]},{\"role\":\"user\",\"content\":["
                                               "{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"x\"},{\"type\":\"search_result\",\"title\":\"t\",\"source\":\"s\"},{\"type\":\"image\",\"source\":{\"type\":\"url\","
                                               "\"url\":\"https://h/\"}}]}],\"tools\":[{\"type\":\"memory_1\"}],\"metadata\":{}}"), 50, NULL);
    struct str filler = STR_NONE;
    while(arena_alloc(&a, 16) && filler.n < 600) filler.n++; /* the first blocks are full: pieces need the heap */
    fault_arm(n, true);
    enum q_status st = anthropic_in(&a, body, &r, &e);
    bool hit = fault_disarm();
    CHECK_INT(st, hit ? Q_NOMEM : Q_OK);
    arena_free(&a);
    CHECK_INT(mem_live(), 0);
    if(!hit) break;
  }
}

T_MAIN(T(t_api_6_2_every_field_and_block), T(t_the_rows_are_all_of_6_2), T(t_null_is_absent), T(t_any_type), T(t_typed_tools), T(t_one_message_is_one_question), T(t_out_of_memory))
