/* Requests on their way to an OpenAI-compatible upstream: what is changed, what survives, what is refused. */
#include "proto/relay_req.h"

#include "base/mem.h"
#include "t.h"

static const struct {
  const char *name, *in;
  bool needs_system, think, search;
  const char *out; /* behind {"model":"m","stream":true,"stream_options":{"include_usage":true} */
  const char *ignored;
} rows[] = {
  { "api 4.3: the fields the service refuses, at top level only",
    "{\"model\":\"x\",\"n\":1,\"seed\":2,\"user\":\"u\",\"logprobs\":true,\"top_logprobs\":3,\"frequency_penalty\":0,\"presence_penalty\":0,"
    "\"logit_bias\":{},\"service_tier\":\"auto\",\"top_p\":0.5,\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"n\":1,\"user\":\"in\"}]}",
    false, false, false, ",\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"n\":1,\"user\":\"in\"}],\"top_p\":0.5}",
    "n,seed,user,logprobs,top_logprobs,frequency_penalty,presence_penalty,logit_bias,service_tier" },
  { "api 4.3: a schema with properties n, user, seed and nulls survives",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"n\":{\"type\":\"integer\"},\"user\":{},\"seed\":null},\"required\":[]}}}],\"tool_choice\":\"auto\"}",
    false, false, false, ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":"
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"user\":{},\"seed\":null},\"required\":[]}}}],\"tool_choice\":\"auto\"}", "" },
  { "api 4.3: nulls and empty arrays go, and what depends on the tools",
    "{\"messages\":[{\"role\":\"user\",\"content\":null}],\"tools\":[],\"stop\":[],\"seed\":null,\"response_format\":null,\"tool_choice\":\"auto\","
    "\"parallel_tool_calls\":true,\"metadata\":{}}", false, false, false,
    ",\"messages\":[{\"role\":\"user\",\"content\":null}],\"metadata\":{}}", "" },
  { "api 4.3: system and developer become one leading message of parts",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"1\"},{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"content\":[{\"type\":\"text\","
    "\"text\":\"d\",\"cache_control\":{\"type\":\"ephemeral\"}},\"plain\"]},{\"role\":\"system\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"2\"}]}",
    true, false, false, ",\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"s\"},{\"type\":\"text\",\"text\":\"d\",\"cache_control\":"
    "{\"type\":\"ephemeral\"}},{\"type\":\"text\",\"text\":\"plain\"}]},{\"role\":\"user\",\"content\":\"1\"},{\"role\":\"user\",\"content\":\"2\"}]}", "" },
  { "upstream 6.2: an empty system message where the service wants one", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", true, false, false,
    ",\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]},{\"role\":\"user\",\"content\":\"a\"}]}", "" },
  { "only system messages, all empty", "{\"messages\":[{\"role\":\"system\",\"content\":\"\"}]}", true, false, false,
    ",\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]}", "" },
  { "only a system message", "{\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}", false, false, false,
    ",\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]}", "" },
  { "upstream 7: a suffix wins over the body", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"enable_thinking\":false}", false, true, true,
    ",\"enable_thinking\":true,\"enable_search\":true,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "" },
  { "other spellings of thinking", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":500}}", false,
    false, false, ",\"enable_thinking\":true,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"thinking_budget\":500}", "" },
  { "chat_template_kwargs, reasoning.effort", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"chat_template_kwargs\":{\"enable_thinking\":false},"
    "\"reasoning\":{\"effort\":\"low\"}}", false, false, false,
    ",\"enable_thinking\":false,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"reasoning_effort\":\"low\"}", "" },
  { "of equal keys the last counts", "{\"top_p\":1,\"messages\":[{\"role\":\"user\",\"content\":\"old\"}],\"top_p\":0.1,\"messages\":[{\"role\":\"user\",\"content\":\"new\"}]}",
    false, false, false, ",\"messages\":[{\"role\":\"user\",\"content\":\"new\"}],\"top_p\":0.1}", "" },
  { "the smaller limit; numbers sent as texts", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":100,\"max_completion_tokens\":\"50\",\"temperature\":\"0.7\"}",
    false, false, false, ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":50,\"temperature\":0.7}", "" },
  { "upstream 7: usage and stream are ours", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"stream\":false,\"stream_options\":{\"include_usage\":false,\"x\":1}}",
    false, false, false, ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "" },
  { "tool history as it was", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
    "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\": 1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"r\"}]}", false, false, false,
    ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
    "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\": 1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"r\"}]}", "" },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct relay_req r;
    struct q_error e = Q_ERROR_NONE;
    struct strbuf out = STRBUF(1 << 20);
    t_row = rows[i].name;
    const struct json *body = json_parse(&a, str_z(rows[i].in), 64, NULL);
    CHECK(body != NULL);
    CHECK_INT(relay_req_read(body, &r, &e), Q_OK);
    struct relay_req_to to = { S("m"), rows[i].needs_system, rows[i].think, rows[i].search };
    relay_req_write(&r, &to, &out);
    struct str head = S("{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    CHECK(str_starts(strbuf_str(&out), head));
    CHECK_STR(str_sub(strbuf_str(&out), head.n, out.n), str_z(rows[i].out));
    CHECK_STR(strbuf_str(&r.ignored), str_z(rows[i].ignored));
    CHECK(json_parse(&a, strbuf_str(&out), 64, NULL) != NULL);
    strbuf_free(&out);
    relay_req_free(&r);
    arena_free(&a);
  }
}

static void t_refused(void)
{
  static const struct { const char *in; enum q_status st; const char *param; } bad[] = {
    { "[]", Q_BAD_TYPE, "" }, { "{}", Q_MISSING, "messages" }, { "{\"messages\":null}", Q_MISSING, "messages" },
    { "{\"messages\":[]}", Q_MISSING, "messages" }, { "{\"messages\":\"x\"}", Q_BAD_TYPE, "messages" },
    { "{\"messages\":[{\"role\":\"user\"},null]}", Q_BAD_TYPE, "messages[1]" }, { "{\"messages\":[{\"role\":7}]}", Q_BAD_TYPE, "messages[0].role" },
    { "{\"model\":[],\"messages\":[{\"role\":\"user\"}]}", Q_BAD_TYPE, "model" }, { "{\"stream\":\"maybe\",\"messages\":[{\"role\":\"user\"}]}", Q_BAD_TYPE, "stream" },
    { "{\"max_tokens\":0,\"messages\":[{\"role\":\"user\"}]}", Q_BAD_VALUE, "max_tokens" },
    { "{\"max_completion_tokens\":1.5,\"messages\":[{\"role\":\"user\"}]}", Q_BAD_TYPE, "max_completion_tokens" },
    { "{\"functions\":[{}],\"messages\":[{\"role\":\"user\"}]}", Q_UNSUPPORTED, "functions" },
    { "{\"enable_thinking\":3,\"messages\":[{\"role\":\"user\"}]}", Q_BAD_TYPE, "enable_thinking" },
  };
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct relay_req r;
    struct q_error e = Q_ERROR_NONE;
    t_row = bad[i].in;
    CHECK_INT(relay_req_read(json_parse(&a, str_z(bad[i].in), 64, NULL), &r, &e), bad[i].st);
    CHECK_Z(e.param, bad[i].param);
    relay_req_free(&r);
    arena_free(&a);
  }
}

static void t_wishes(void)
{
  struct arena a = ARENA(1 << 20);
  struct relay_req r;
  struct q_error e = Q_ERROR_NONE;
  const char *in = "{\"model\":\"coder-model\",\"stream\":\"true\",\"stream_options\":{\"include_usage\":false},\"include_reasoning\":false,"
                   "\"messages\":[{\"role\":\"user\",\"content\":\"three short words\"}]}";
  CHECK_INT(relay_req_read(json_parse(&a, str_z(in), 64, NULL), &r, &e), Q_OK);
  CHECK(r.stream && r.hide_think && r.usage == USAGE_NO);
  CHECK_STR(r.model, S("coder-model"));
  CHECK_INT(r.prompt_tokens, 3 + 4 + 2);
  relay_req_free(&r);
  arena_free(&a);
  bool think, search;
  CHECK_STR(relay_req_bare(S("qwen-plus-thinking-search"), &think, &search), S("qwen-plus"));
  CHECK(think && search);
  CHECK_STR(relay_req_bare(S("qwen-plus-search"), &think, &search), S("qwen-plus"));
  CHECK(!think && search);
  CHECK_STR(relay_req_bare(S("-thinking"), &think, &search), S("-thinking"));
  CHECK(!think && !search);
}

static void t_embeddings(void)
{
  struct arena a = ARENA(1 << 20);
  struct strbuf out = STRBUF(1 << 20);
  struct q_error e = Q_ERROR_NONE;
  struct str model;
  bool base64;
  const char *in = "{\"model\":\"v4\",\"input\":[\"a\"],\"encoding_format\":\"base64\",\"dimensions\":64,\"user\":\"u\",\"x\":null}";
  CHECK_INT(relay_req_embeddings(json_parse(&a, str_z(in), 64, NULL), &out, &model, &base64, &e), Q_OK);
  CHECK_STR(strbuf_str(&out), S("{\"model\":\"v4\",\"input\":[\"a\"],\"dimensions\":64,\"encoding_format\":\"float\"}"));
  CHECK(base64);
  CHECK_STR(model, S("v4"));
  strbuf_clear(&out);
  CHECK_INT(relay_req_embeddings(json_parse(&a, S("{\"model\":\"m\"}"), 64, NULL), &out, &model, &base64, &e), Q_MISSING);
  CHECK_INT(relay_req_embeddings(json_parse(&a, S("{\"input\":\"m\"}"), 64, NULL), &out, &model, &base64, &e), Q_MISSING);
  CHECK_INT(relay_req_embeddings(json_parse(&a, S("{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"hex\"}"), 64, NULL), &out, &model, &base64, &e), Q_BAD_VALUE);
  strbuf_free(&out);
  arena_free(&a);
}

static void t_no_memory(void)
{
  long base = mem_live();
  for(long n = 0; n < 200; n++) {
    struct arena a = ARENA(1 << 20);
    struct relay_req r;
    struct q_error e = Q_ERROR_NONE;
    const struct json *body = json_parse(&a, str_z(rows[3].in), 64, NULL);
    fault_arm(n, true);
    enum q_status st = relay_req_read(body, &r, &e);
    bool hit = fault_disarm();
    CHECK_INT(st, hit ? Q_NOMEM : Q_OK);
    relay_req_free(&r);
    arena_free(&a);
    CHECK_INT(mem_live(), base);
    if(!hit) break;
  }
}

T_MAIN(T(t_rows), T(t_refused), T(t_wishes), T(t_embeddings), T(t_no_memory))
