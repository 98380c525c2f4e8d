/* OpenAI requests: every field honoured, refused with its path, or named as ignored. */
#include "proto/openai.h"

#include "t.h"

#define M "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
static const struct { const char *name, *body; enum q_status st; const char *param; } bad[] = {
  { "no messages", "{}", Q_MISSING, "messages" },
  { "null messages", "{\"messages\":null}", Q_MISSING, "messages" },
  { "empty messages", "{\"messages\":[]}", Q_MISSING, "messages" },
  { "messages no list", "{\"messages\":\"hi\"}", Q_BAD_TYPE, "messages" },
  { "message no object", "{\"messages\":[1]}", Q_BAD_TYPE, "messages[0]" },
  { "no role", "{\"messages\":[{\"content\":\"x\"}]}", Q_MISSING, "messages[0].role" },
  { "role unknown", "{\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", Q_BAD_VALUE, "messages[0].role" },
  { "content a number", "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", Q_BAD_TYPE, "messages[0].content" },
  { "unknown part", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"hologram\"}]}]}", Q_BAD_VALUE, "messages[0].content[1].type" },
  { "a picture", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", Q_UNSUPPORTED, "messages[0].content[0].type" },
  { "a file", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\"}]}]}", Q_UNSUPPORTED, "messages[0].content[0].type" },
  { "a tool result", "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", Q_UNSUPPORTED, "messages[0].role" },
  { "tool calls in history", "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]},{\"role\":\"user\",\"content\":\"x\"}]}", Q_UNSUPPORTED, "messages[0].tool_calls" },
  { "all empty", "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", Q_BAD_VALUE, "messages" },
  { "tools", "{" M ",\"tools\":[{}]}", Q_UNSUPPORTED, "tools" },
  { "functions", "{" M ",\"functions\":[{}]}", Q_UNSUPPORTED, "functions" },
  { "n of 2", "{" M ",\"n\":2}", Q_UNSUPPORTED, "n" },
  { "n of 0", "{" M ",\"n\":0}", Q_BAD_VALUE, "n" },
  { "json_object", "{" M ",\"response_format\":{\"type\":\"json_object\"}}", Q_UNSUPPORTED, "response_format" },
  { "audio output", "{" M ",\"modalities\":[\"text\",\"audio\"]}", Q_UNSUPPORTED, "modalities" },
  { "audio", "{" M ",\"audio\":{\"voice\":\"x\"}}", Q_UNSUPPORTED, "audio" },
  { "pictures by chat_type", "{" M ",\"chat_type\":\"t2i\"}", Q_UNSUPPORTED, "chat_type" },
  { "unknown chat_type", "{" M ",\"chat_type\":\"x\"}", Q_BAD_VALUE, "chat_type" },
  { "stream a number", "{" M ",\"stream\":1}", Q_BAD_TYPE, "stream" },
  { "stream_options a text", "{" M ",\"stream_options\":\"x\"}", Q_BAD_TYPE, "stream_options" },
  { "stop a number", "{" M ",\"stop\":1}", Q_BAD_TYPE, "stop" },
  { "17 stops", "{" M ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]}", Q_BAD_VALUE, "stop" },
  { "max_tokens 0", "{" M ",\"max_tokens\":0}", Q_BAD_VALUE, "max_tokens" },
  { "max_completion_tokens -1", "{" M ",\"max_completion_tokens\":-1}", Q_BAD_VALUE, "max_completion_tokens" },
  { "max_tokens a text", "{" M ",\"max_tokens\":\"many\"}", Q_BAD_TYPE, "max_tokens" },
  { "effort unknown", "{" M ",\"reasoning_effort\":\"huge\"}", Q_BAD_VALUE, "reasoning_effort" },
  { "thinking a text", "{" M ",\"thinking\":\"on\"}", Q_BAD_TYPE, "thinking" },
  { "reasoning_format unknown", "{" M ",\"reasoning_format\":\"x\"}", Q_BAD_VALUE, "reasoning_format" },
  { "temperature a text", "{" M ",\"temperature\":\"warm\"}", Q_BAD_TYPE, "temperature" },
  { "model a number", "{" M ",\"model\":5}", Q_BAD_TYPE, "model" },
  { "not an object", "[]", Q_BAD_TYPE, "" },
};

static enum q_status read_it(struct arena *a, const char *body, struct chat_req *r, struct q_error *e)
{
  *e = Q_ERROR_NONE;
  return openai_in(a, json_parse(a, str_z(body), 50, NULL), r, e);
}

static void t_refused(void)
{
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct q_error e;
    t_row = bad[i].name;
    CHECK_Z(status_row(read_it(&a, bad[i].body, &r, &e))->name, status_row(bad[i].st)->name);
    CHECK_Z(e.param, bad[i].param);
    CHECK(e.msg[0] && e.st == bad[i].st);
    arena_free(&a);
  }
}

static void t_accepted(void)
{
  struct arena a = ARENA(1 << 20);
  struct chat_req r;
  struct q_error e;
  CHECK(!read_it(&a, "{" M ",\"model\":\" qwen \",\"stream\":\"true\",\"stream_options\":{\"include_usage\":true},\"stop\":[\"a\",\"\",\"b\"],\"max_tokens\":\"50\",\"max_completion_tokens\":40,\"n\":1,"
                         "\"tools\":[],\"response_format\":{\"type\":\"text\"},\"temperature\":0.7,\"top_p\":null,\"seed\":\"4\",\"logit_bias\":{},\"user\":\"u\",\"unknown\":[1]}", &r, &e));
  CHECK_STR(r.model, S("qwen"));
  CHECK(r.stream && r.include_usage == USAGE_YES && r.stop_n == 2 && r.max_tokens == 40);
  CHECK_STR(r.ignored, S("temperature,seed,logit_bias,user"));
  CHECK(!read_it(&a, "{" M ",\"tools\":[{}],\"tool_choice\":\"none\",\"max_tokens\":100000}", &r, &e));
  CHECK_INT(r.max_tokens, 0); /* above every model's bound: no limit */
  CHECK(!read_it(&a, "{" M ",\"enable_search\":true}", &r, &e) && r.search);
  CHECK(!read_it(&a, "{" M ",\"web_search_options\":{}}", &r, &e) && r.search);
  CHECK(!read_it(&a, "{" M ",\"chat_type\":\"search\"}", &r, &e) && r.kind == CHAT_SEARCH);
  arena_free(&a);
}

static void t_thinking(void)
{
  static const struct { const char *more; enum think_wish think; int budget; } rows[] = {
    { "", THINK_UNSET, 0 },
    { ",\"enable_thinking\":true", THINK_ON, 0 },
    { ",\"enable_thinking\":\"false\"", THINK_OFF, 0 },
    { ",\"thinking_budget\":500", THINK_UNSET, 500 },
    { ",\"thinking_budget\":999999", THINK_UNSET, 81920 },
    { ",\"reasoning_effort\":\"none\"", THINK_OFF, 0 },
    { ",\"reasoning_effort\":\"minimal\"", THINK_ON, 1024 },
    { ",\"reasoning\":{\"effort\":\"high\"}", THINK_ON, 38912 },
    { ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}", THINK_ON, 2000 },
    { ",\"thinking\":{\"type\":\"disabled\"}", THINK_OFF, 0 },
    { ",\"chat_template_kwargs\":{\"enable_thinking\":true}", THINK_ON, 0 },
    { ",\"extra_body\":{\"enable_thinking\":true}", THINK_ON, 0 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct q_error e;
    char body[300];
    t_row = rows[i].more;
    snprintf(body, sizeof body, "{" M "%s}", rows[i].more);
    CHECK(!read_it(&a, body, &r, &e));
    CHECK_INT(r.think, rows[i].think);
    CHECK_INT(r.think_budget, rows[i].budget);
    arena_free(&a);
  }
}

static void t_messages(void)
{
  struct arena a = ARENA(1 << 20);
  struct chat_req r;
  struct q_error e;
  CHECK(!read_it(&a, "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"assistant\",\"content\":\"<think>x</think> said\",\"reasoning_content\":\"r\"},"
                     "{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"},{\"role\":\"user\",\"name\":\"bob\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"input_text\",\"text\":\"b\"},\"c\"]}]}", &r, &e));
  CHECK_INT(r.msg_n, 4);
  CHECK_INT(r.msgs[0].role, ROLE_SYSTEM);
  CHECK_STR(r.msgs[1].text, S("said"));
  CHECK_STR(r.msgs[2].text, S("no"));
  CHECK_STR(r.msgs[3].text, S("a\nb\nc"));
  CHECK_STR(r.msgs[3].name, S("bob"));
  arena_free(&a);
}

T_MAIN(T(t_refused), T(t_accepted), T(t_thinking), T(t_messages))
