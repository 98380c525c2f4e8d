/* OpenAI requests: every field honoured, refused with its path, or named as ignored. */
#include "proto/openai.h"

#include "base/mem.h"
#include "t.h"
#include "walk.h"

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
  { "a picture of nothing", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}", Q_MISSING, "messages[0].content[0]" },
  { "a file by id", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}]}]}", Q_UNSUPPORTED, "messages[0].content[0]" },
  { "a call without a name", "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]},{\"role\":\"user\",\"content\":\"x\"}]}", Q_MISSING, "messages[0].tool_calls" },
  { "all empty", "{\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", Q_BAD_VALUE, "messages" },
  { "a tool of nothing", "{" M ",\"tools\":[{}]}", Q_MISSING, "tools[0]" },
  { "a function without a name", "{" M ",\"functions\":[{}]}", Q_BAD_VALUE, "functions[0]" },
  { "n of 5", "{" M ",\"n\":5}", Q_BAD_VALUE, "n" },
  { "n of 0", "{" M ",\"n\":0}", Q_BAD_VALUE, "n" },
  { "a format unknown", "{" M ",\"response_format\":{\"type\":\"xml\"}}", Q_BAD_VALUE, "response_format.type" },
  { "audio output", "{" M ",\"modalities\":[\"text\",\"audio\"]}", Q_UNSUPPORTED, "modalities" },
  { "audio", "{" M ",\"audio\":{\"voice\":\"x\"}}", Q_UNSUPPORTED, "audio" },
  { "research by chat_type", "{" M ",\"chat_type\":\"deep_research\"}", Q_UNSUPPORTED, "chat_type" },
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
  return openai_in(a, json_parse(a, str_z(body), 50, NULL), 4, r, e);
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
  CHECK_STR(r.ignored, S("temperature,seed,logit_bias,user,unknown"));
  CHECK(!read_it(&a, "{" M ",\"tools\":[{\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\",\"max_tokens\":100000}", &r, &e));
  CHECK_INT(r.max_tokens, 0); /* above every model's bound: no limit */
  CHECK(!read_it(&a, "{" M ",\"enable_search\":true}", &r, &e) && r.search);
  CHECK(!read_it(&a, "{" M ",\"web_search_options\":{}}", &r, &e) && r.search);
  CHECK(!read_it(&a, "{" M ",\"chat_type\":\"search\"}", &r, &e) && r.kind == CHAT_SEARCH);
  arena_free(&a);
}

/* null for an optional field is the same as no field; unknown fields of any shape say nothing. */
static void t_null_is_absent(void)
{
  static const char *const names[] = {
    "model", "stream", "stream_options", "enable_thinking", "thinking_budget", "reasoning_effort", "reasoning", "thinking", "chat_template_kwargs", "extra_body",
    "include_reasoning", "reasoning_format", "enable_search", "web_search_options", "search", "chat_type", "size", "tools", "tool_choice", "parallel_tool_calls", "functions",
    "function_call", "response_format", "stop", "max_tokens", "max_completion_tokens", "n", "user", "metadata", "store", "temperature", "top_p", "top_k", "min_p", "seed",
    "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "modalities", "audio",
  };
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct q_error e;
    char body[300];
    t_row = names[i];
    snprintf(body, sizeof body, "{" M ",\"%s\":null}", names[i]);
    CHECK_INT(read_it(&a, body, &r, &e), Q_OK);
    CHECK(r.model.n == 0 && !r.stream && r.include_usage == USAGE_UNSET && r.think == THINK_UNSET && r.think_budget == 0 && !r.hide_reasoning && r.think_out == THINK_OUT_DEFAULT &&
          !r.search && r.kind == CHAT_UNSET && r.stop_n == 0 && r.max_tokens == 0 && r.ignored.n == 0 && r.msg_n == 1);
    arena_free(&a);
  }
}

/* Any field with any wrong type: read or refused with its name and words, never a crash, never silence. */
static void t_any_type(void)
{
  static const char *const names[] = {
    "model", "messages", "stream", "stream_options", "enable_thinking", "thinking_budget", "reasoning_effort", "reasoning", "thinking", "chat_template_kwargs", "extra_body",
    "include_reasoning", "reasoning_format", "enable_search", "web_search_options", "search", "chat_type", "tools", "tool_choice", "functions", "function_call", "response_format",
    "stop", "max_tokens", "max_completion_tokens", "n", "user", "temperature", "logit_bias", "modalities", "audio",
  };
  static const char *const values[] = { "true", "false", "0", "-1", "1e300", "\"\"", "\"x\"", "[]", "[[]]", "[{}]", "[null]", "{}", "{\"type\":[]}", "{\"a\":{\"b\":[1]}}", "99999999999999999999" };
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    for(size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
      struct arena a = ARENA(1 << 20);
      struct chat_req r;
      struct q_error e;
      char body[300];
      t_row = names[i];
      snprintf(body, sizeof body, "{" M ",\"%s\":%s}", names[i], values[k]);
      enum q_status st = read_it(&a, body, &r, &e);
      CHECK_INT(st, e.st);
      if(st) {
        CHECK_INT(status_row(st)->http, 400);
        CHECK(str_starts(str_z(e.param), str_z(names[i])));
        CHECK(e.msg[0] != 0);
      }
      arena_free(&a);
    }
}

static void t_switches(void)
{
  struct arena a = ARENA(1 << 20);
  struct chat_req r;
  struct q_error e;
  CHECK(!read_it(&a, "{" M ",\"stream\":\"false\",\"stream_options\":{\"include_usage\":false,\"include_obfuscation\":true},\"include_reasoning\":false,\"reasoning_format\":\"tags\"}", &r, &e));
  CHECK(!r.stream && r.include_usage == USAGE_NO && r.hide_reasoning && r.think_out == THINK_OUT_TAGS);
  CHECK(!read_it(&a, "{" M ",\"reasoning_format\":\"none\",\"stream_options\":{},\"include_reasoning\":true}", &r, &e));
  CHECK(r.think_out == THINK_OUT_NONE && r.include_usage == USAGE_UNSET && !r.hide_reasoning);
  CHECK(!read_it(&a, "{" M ",\"reasoning_format\":\"field\",\"search\":false,\"enable_search\":\"true\"}", &r, &e));
  CHECK(r.think_out == THINK_OUT_FIELD && r.search);
  CHECK(!read_it(&a, "{" M ",\"enable_search\":false,\"chat_type\":\"t2t\"}", &r, &e) && !r.search && r.kind == CHAT_T2T);
  static const struct { const char *more; int64_t max; } limits[] = {
    { "\"max_tokens\":1", 1 }, { "\"max_tokens\":32767", 32767 }, { "\"max_tokens\":32768", 0 }, { "\"max_tokens\":9223372036854775807", 0 },
    { "\"max_tokens\":100,\"max_completion_tokens\":99999", 100 }, { "\"max_tokens\":99999,\"max_completion_tokens\":100", 100 }, { "\"max_tokens\":7.0", 7 },
  };
  for(size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    char body[300];
    t_row = limits[i].more;
    snprintf(body, sizeof body, "{" M ",%s}", limits[i].more);
    CHECK_INT(read_it(&a, body, &r, &e), Q_OK);
    CHECK_INT(r.max_tokens, limits[i].max);
  }
  CHECK(!read_it(&a, "{" M ",\"stop\":\"END\"}", &r, &e) && r.stop_n == 1);
  CHECK_STR(r.stop[0], S("END"));
  CHECK(!read_it(&a, "{" M ",\"stop\":\"\"}", &r, &e) && r.stop_n == 0);
  CHECK(!read_it(&a, "{" M ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]}", &r, &e) && r.stop_n == 16);
  CHECK(!read_it(&a, "{" M ",\"stop\":[\"a\"],\"stop\":[\"b\"]}", &r, &e)); /* of equal names the last counts */
  CHECK_STR(r.stop[0], S("b"));
  arena_free(&a);
}

/* Out of memory is told as such at every point, and nothing stays behind. */
static void t_out_of_memory(void)
{
  for(long n = 0;; n++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct q_error e = Q_ERROR_NONE;
    const struct json *body = json_parse(&a, S("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},\"b\"]}],\"user\":\"u\"}"), 50, NULL);
    struct str filler = STR_NONE;
    while(arena_alloc(&a, 16) && filler.n < 200) filler.n++; /* the first block is full: every piece needs the heap */
    fault_arm(n, true);
    enum q_status st = openai_in(&a, body, 4, &r, &e);
    bool hit = fault_disarm();
    CHECK_INT(st, hit ? Q_NOMEM : Q_OK);
    arena_free(&a);
    CHECK_INT(mem_live(), 0);
    if(!hit) break;
  }
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
    { ",\"thinking_budget\":0", THINK_UNSET, 1 },
    { ",\"thinking_budget\":\"-7\"", THINK_UNSET, 1 },
    { ",\"reasoning_effort\":\"low\"", THINK_ON, 4096 },
    { ",\"reasoning_effort\":\"medium\"", THINK_ON, 16384 },
    { ",\"reasoning_effort\":\"xhigh\"", THINK_ON, 81920 },
    { ",\"reasoning_effort\":\"max\"", THINK_ON, 81920 },
    { ",\"reasoning_effort\":\"high\",\"enable_thinking\":false", THINK_OFF, 38912 },
    { ",\"reasoning_effort\":\"high\",\"thinking_budget\":5", THINK_ON, 5 },
    { ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":99999999999}", THINK_ON, 81920 },
    { ",\"chat_template_kwargs\":{\"other\":1}", THINK_UNSET, 0 },
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
  CHECK_STR(chat_msg_text(&r.msgs[1], &a), S("said"));
  CHECK_STR(chat_msg_text(&r.msgs[2], &a), S("no"));
  CHECK_STR(chat_msg_text(&r.msgs[3], &a), S("a\nb\nc"));
  CHECK_STR(r.msgs[3].name, S("bob"));
  CHECK(!read_it(&a, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"  <think>open\",\"tool_calls\":[],\"function_call\":null,\"reasoning\":\"r\"},{\"role\":\"assistant\",\"content\":[]},"
                     "{\"role\":\"user\",\"content\":\"<think>mine</think> stays\"},{\"role\":\"assistant\",\"content\":\"a <think>b</think>\"},{\"role\":\"assistant\",\"content\":\"<think></think>\"}]}", &r, &e));
  CHECK_STR(chat_msg_text(&r.msgs[0], &a), S("  <think>open")); /* never closed: it is what was said */
  CHECK_INT(chat_msg_text(&r.msgs[1], &a).n, 0);
  CHECK_STR(chat_msg_text(&r.msgs[2], &a), S("<think>mine</think> stays")); /* only the assistant's own */
  CHECK_STR(chat_msg_text(&r.msgs[3], &a), S("a <think>b</think>")); /* only at the head */
  CHECK_INT(chat_msg_text(&r.msgs[4], &a).n, 0);
  arena_free(&a);
}

/* api 3.4: the forms in which content comes; what is percent-encoded is decoded here. */
static void t_media(void)
{
  static const struct { const char *url; enum q_status st; bool plain; const char *mime, *data, *address; } rows[] = {
    { "data:image/png;base64,iVBORw0K", Q_OK, false, "image/png", "iVBORw0K", "" },
    { "data:image/png;charset=x; BASE64 ,iVBO Rw0K", Q_OK, false, "image/png", "iVBO Rw0K", "" },
    { "data:image/png;base64,iVBO%2BRw0%3D", Q_OK, false, "image/png", "iVBO+Rw0=", "" },
    { "data:image/svg+xml,%3Csvg%20x=%221%22/%3E", Q_OK, true, "image/svg+xml", "<svg x=\"1\"/>", "" },
    { "data:,a%00b+c", Q_OK, true, "", "a", "" }, { "data:image/png;base64", Q_BAD_MEDIA, false, "", "", "" },
    { "data:image/png,a%2", Q_BAD_MEDIA, false, "", "", "" }, { "data:image/png;base64,a%zz", Q_BAD_MEDIA, false, "", "", "" },
    { "iVBORw0KGgo=", Q_OK, false, "", "iVBORw0KGgo=", "" }, { " HTTPS://x.example/y%20z ", Q_OK, false, "", "", "HTTPS://x.example/y%20z" },
    { "ftp://x.example/y", Q_BAD_MEDIA, false, "", "", "" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct chat_req r;
    struct q_error e;
    char body[400];
    t_row = rows[i].url;
    snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"%s\"}}]}]}", rows[i].url);
    enum q_status st = read_it(&a, body, &r, &e);
    CHECK_INT(st, rows[i].st);
    if(st) {
      CHECK(strstr(e.param, "messages[0].content[0]"));
    } else {
      const struct chat_media *m = r.msgs[0].parts[0].media;
      CHECK_INT(m->plain, rows[i].plain);
      CHECK_STR(m->mime, str_z(rows[i].mime));
      if(strcmp(rows[i].data, "a") == 0) CHECK_STR(m->data, str_of("a\0b+c", 5));
      else CHECK_STR(m->data, str_z(rows[i].data));
      CHECK_STR(m->url, str_z(rows[i].address));
    }
    arena_free(&a);
  }
}

/* ---- api 3.1, field by field ---- */

#define FN(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"
static const char *const fields_3_1[] = {
  "model", "messages", "stream", "stream_options.include_usage", "stream_options.include_obfuscation", "enable_thinking", "thinking_budget",
  "reasoning_effort", "reasoning.effort", "thinking", "chat_template_kwargs.enable_thinking", "extra_body.enable_thinking", "include_reasoning",
  "reasoning_format", "enable_search", "web_search_options", "search", "chat_type", "size", "aspect_ratio", "tools", "tool_choice",
  "parallel_tool_calls", "functions", "function_call", "response_format", "stop", "max_tokens", "max_completion_tokens", "n", "user", "metadata",
  "store", "safety_identifier", "prompt_cache_key", "service_tier", "verbosity", "prediction", "temperature", "top_p", "top_k", "min_p", "seed",
  "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs", "modalities", "audio", "anything", NULL,
};
static const struct walk_row rows_3_1[] = {
  { "model", "\" qwen3-max \"", "model=qwen3-max" },
  { "model", "7", "!invalid_type model" },
  { "messages", "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]", "turns=3" },
  { "messages", "[]", "!missing_required_parameter messages" },
  { "messages", "null", "!missing_required_parameter messages" },
  { "stream", "true", "stream" },
  { "stream", "\"true\"", "stream" },
  { "stream", "\"false\"", "" },
  { "stream", "2", "!invalid_type stream" },
  { "stream_options", "[]", "!invalid_type stream_options" },
  { "stream_options.include_usage", "true", "usage=yes" },
  { "stream_options.include_usage", "false", "usage=no" },
  { "stream_options.include_usage", "\"maybe\"", "!invalid_type stream_options.include_usage" },
  { "stream_options.include_obfuscation", "false", "" },
  { "stream_options.include_obfuscation", "true", "ignored=stream_options.include_obfuscation" },
  { "enable_thinking", "true", "think=on" },
  { "enable_thinking", "\"false\"", "think=off" },
  { "enable_thinking", "{}", "!invalid_type enable_thinking" },
  { "thinking_budget", "500", "budget=500" },
  { "thinking_budget", "0", "budget=1" },
  { "thinking_budget", "\"1000000\"", "budget=81920" },
  { "thinking_budget", "\"all\"", "!invalid_type thinking_budget" },
  { "reasoning_effort", "\"none\"", "think=off" },
  { "reasoning_effort", "\"minimal\"", "think=on budget=1024" },
  { "reasoning_effort", "\"low\"", "think=on budget=4096" },
  { "reasoning_effort", "\"medium\"", "think=on budget=16384" },
  { "reasoning_effort", "\"high\"", "think=on budget=38912" },
  { "reasoning_effort", "\"xhigh\"", "think=on budget=81920" },
  { "reasoning_effort", "\"max\"", "think=on budget=81920" },
  { "reasoning_effort", "\"some\"", "!invalid_value reasoning_effort" },
  { "reasoning.effort", "\"low\"", "think=on budget=4096" },
  { "reasoning.effort", "5", "!invalid_value reasoning.effort" },
  { "reasoning.exclude", "true", "ignored=reasoning.exclude" },
  { "thinking", "{\"type\":\"enabled\",\"budget_tokens\":2000}", "think=on budget=2000" },
  { "thinking", "{\"type\":\"disabled\"}", "think=off" },
  { "thinking", "{\"type\":\"maybe\"}", "!invalid_value thinking.type" },
  { "chat_template_kwargs.enable_thinking", "true", "think=on" },
  { "extra_body.enable_thinking", "false", "think=off" },
  { "include_reasoning", "false", "hidden" },
  { "include_reasoning", "true", "" },
  { "reasoning_format", "\"field\"", "as=field" },
  { "reasoning_format", "\"tags\"", "as=tags" },
  { "reasoning_format", "\"none\"", "as=none" },
  { "reasoning_format", "\"raw\"", "!invalid_value reasoning_format" },
  { "enable_search", "true", "search" },
  { "enable_search", "false", "" },
  { "enable_search", "\"where\"", "!invalid_type enable_search" },
  { "web_search_options", "{}", "search" },
  { "web_search_options", "{\"search_context_size\":\"low\"}", "search" },
  { "search", "{}", "search" },
  { "search", "true", "search" },
  { "chat_type", "\"t2t\"", "kind=t2t" },
  { "chat_type", "\"search\"", "kind=search" },
  { "chat_type", "\"t2i\"", "kind=t2i" },
  { "chat_type", "\"image_edit\"", "kind=edit" },
  { "chat_type", "\"t2v\"", "kind=t2v" },
  { "chat_type", "\"deep_research\"", "!unsupported_parameter chat_type" },
  { "chat_type", "\"t2x\"", "!invalid_value chat_type" },
  { "size", "\"16:9\"", "size=16:9" },
  { "size", "\"1024x1536\"", "size=3:4" },
  { "size", "\"auto\"", "" },
  { "size", "\"huge\"", "!invalid_size size" },
  { "aspect_ratio", "\"9:16\"", "size=9:16" },
  { "aspect_ratio", "\"9\"", "!invalid_size aspect_ratio" },
  { "tools", "[]", "" },
  { "tools", "[" FN("f") "," FN("g") "]", "tools=f,g" },
  { "tools", "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true}}]", "tools=f!" },
  { "tools", "[{\"type\":\"retrieval\"}]", "!unsupported_parameter tools[0]" },
  { "tools", "{}", "!invalid_type tools" },
  { "tool_choice", "\"none\"", "" },
  { "tool_choice", "\"none\",\"tools\":[" FN("f") "]", "" }, /* there are no tools then */
  { "tool_choice", "\"auto\",\"tools\":[" FN("f") "]", "tools=f" },
  { "tool_choice", "\"required\",\"tools\":[" FN("f") "]", "tools=f choice=required" },
  { "tool_choice", "{\"type\":\"function\",\"function\":{\"name\":\"g\"}},\"tools\":[" FN("f") "," FN("g") "]", "tools=g choice=named" },
  { "tool_choice", "{\"type\":\"function\",\"function\":{\"name\":\"h\"}},\"tools\":[" FN("f") "," FN("g") "]", "!invalid_value tool_choice" },
  { "tool_choice", "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[" FN("g") "]}},\"tools\":[" FN("f") "," FN("g") "]",
    "tools=g choice=required" },
  { "tool_choice", "\"required\"", "!invalid_value tool_choice" },
  { "tool_choice", "7", "!invalid_value tool_choice" },
  { "parallel_tool_calls", "false", "one" },
  { "parallel_tool_calls", "true", "" },
  { "parallel_tool_calls", "\"few\"", "!invalid_type parallel_tool_calls" },
  { "functions", "[{\"name\":\"f\"}]", "tools=f one functions" },
  { "functions", "\"f\"", "!invalid_type functions" },
  { "functions", "[{\"name\":\"f\"}],\"tools\":[" FN("g") "]", "tools=g ignored=functions" },
  { "functions", "[{\"name\":\"f\"}],\"tool_choice\":\"auto\"", "tools=f one functions ignored=tool_choice" },
  { "function_call", "{\"name\":\"f\"},\"functions\":[{\"name\":\"f\"},{\"name\":\"g\"}]", "tools=f choice=named one functions" },
  { "function_call", "{\"name\":\"f\"}", "ignored=function_call" },
  { "response_format", "{\"type\":\"text\"}", "" },
  { "response_format", "{\"type\":\"json_object\"}", "format=json" },
  { "response_format", "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{}}}", "format=schema" },
  { "response_format", "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":{}}}", "format=schema!" },
  { "response_format", "{\"type\":\"json_schema\"}", "!missing_required_parameter response_format.json_schema.schema" },
  { "response_format", "{\"type\":\"xml\"}", "!invalid_value response_format.type" },
  { "stop", "\"END\"", "stop=END" },
  { "stop", "[\"a\",\"\",\"b\"]", "stop=a stop=b" },
  { "stop", "[7]", "!invalid_type stop" },
  { "max_tokens", "5", "max=5" },
  { "max_tokens", "\"5\"", "max=5" },
  { "max_tokens", "32768", "" },
  { "max_tokens", "0", "!invalid_value max_tokens" },
  { "max_completion_tokens", "6", "max=6" },
  { "max_completion_tokens", "-6", "!invalid_value max_completion_tokens" },
  { "n", "1", "" },
  { "n", "3", "n=3" },
  { "n", "5", "!invalid_value n" },
  { "user", "\"u\"", "ignored=user" },
  { "metadata", "{\"a\":\"b\"}", "ignored=metadata" },
  { "store", "true", "ignored=store" },
  { "safety_identifier", "\"u\"", "ignored=safety_identifier" },
  { "prompt_cache_key", "\"k\"", "ignored=prompt_cache_key" },
  { "service_tier", "\"auto\"", "ignored=service_tier" },
  { "verbosity", "\"low\"", "ignored=verbosity" },
  { "prediction", "{\"type\":\"content\",\"content\":\"x\"}", "ignored=prediction" },
  { "temperature", "0.5", "ignored=temperature" },
  { "temperature", "\"warm\"", "!invalid_type temperature" },
  { "top_p", "\"0.5\"", "ignored=top_p" },
  { "top_p", "[]", "!invalid_type top_p" },
  { "top_k", "4", "ignored=top_k" },
  { "min_p", "0", "ignored=min_p" },
  { "seed", "4", "ignored=seed" },
  { "presence_penalty", "1", "ignored=presence_penalty" },
  { "frequency_penalty", "1", "ignored=frequency_penalty" },
  { "repetition_penalty", "1", "ignored=repetition_penalty" },
  { "logit_bias", "{\"1\":2}", "ignored=logit_bias" },
  { "logit_bias", "1", "!invalid_type logit_bias" },
  { "logprobs", "true", "ignored=logprobs" },
  { "top_logprobs", "3", "ignored=top_logprobs" },
  { "modalities", "[\"text\"]", "" },
  { "modalities", "[\"text\",\"audio\"]", "!unsupported_parameter modalities" },
  { "audio", "{\"voice\":\"alloy\"}", "!unsupported_parameter audio" },
  { "anything", "{\"else\":1}", "ignored=anything" },
};

static enum q_status walk_3_1(struct arena *a, const struct json *body, struct strbuf *shown, struct q_error *e)
{
  struct chat_req r;
  enum q_status st = openai_in(a, body, 4, &r, e);
  if(!st) walk_show(&r, shown);
  return st;
}

static void t_api_3_1_every_field(void)
{
  WALK(M, fields_3_1, rows_3_1, walk_3_1, "");
}

T_MAIN(T(t_api_3_1_every_field), T(t_refused), T(t_accepted), T(t_null_is_absent), T(t_any_type), T(t_switches), T(t_out_of_memory), T(t_thinking), T(t_messages), T(t_media))
