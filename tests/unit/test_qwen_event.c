/* Upstream events to their meaning: each row is a whole turn. */
#include "proto/qwen_event.h"

#include "base/mem.h"
#include "t.h"

#define D(content, phase) "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":" content ",\"phase\":\"" phase "\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}"
#define FIN "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"answer\",\"status\":\"finished\"}}],\"response_id\":\"r1\"}"
#define SUM(thoughts) "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"thinking_summary\",\"extra\":{\"summary_title\":{\"content\":[\"T\"]},\"summary_thought\":{\"content\":" thoughts "}}}}],\"response_id\":\"r1\"}"

static const struct { const char *name; enum delta_mode mode; const char *events[8]; const char *think, *answer; } rows[] = {
  { "two words", DELTA_AUTO, { D("\"two \"", "answer"), D("\"words\"", "answer"), FIN }, "", "two words" },
  { "detail thinking", DELTA_AUTO, { D("\"a\"", "think"), D("\"b\"", "DeepThinking"), D("\"c\"", "answer") }, "ab", "c" },
  { "summaries are snapshots", DELTA_AUTO, { SUM("[\"The user \"]"), SUM("[\"The user wants\"]"), SUM("[\"The user wants\"]"), SUM("[\"The user wants\",\"Next\"]"), D("\"x\"", "answer") }, "The user wants\n\nNext", "x" },
  { "an older snapshot again", DELTA_AUTO, { SUM("[\"abcdef\"]"), SUM("[\"abc\"]"), SUM("[\"abcdef\",\"g\"]") }, "abcdef\n\ng", "" },
  { "a summary as one text", DELTA_AUTO, { SUM("\"one\""), SUM("\"one two\"") }, "one two", "" },
  { "content null, list, parts", DELTA_AUTO, { D("null", "answer"), D("[\"a\",{\"text\":\"b\"}]", "answer"), D("5", "answer") }, "", "ab" },
  { "equal short deltas stay", DELTA_AUTO, { D("\"ha \"", "answer"), D("\"ha \"", "answer"), D("\"ha \"", "answer") }, "", "ha ha ha " },
  { "snapshots", DELTA_AUTO, { D("\"The first twenty bytes\"", "answer"), D("\"The first twenty bytes and\"", "answer"), D("\"The first twenty bytes and more\"", "answer"), D("\"The first twenty bytes and more\"", "answer") }, "", "The first twenty bytes and more" },
  { "snapshots of the reasoning beside an answer in pieces", DELTA_AUTO, { D("\"Thoughts of twenty bytes\"", "think"), D("\"Thoughts of twenty bytes, more\"", "think"), D("\"a\"", "answer"), D("\"a\"", "answer"), D("\"Thoughts of twenty bytes, more!\"", "think") },
    "Thoughts of twenty bytes, more!", "aa" },
  { "in snapshot mode an older one is late, not new", DELTA_AUTO, { D("\"The first twenty bytes\"", "answer"), D("\"The first twenty bytes and\"", "answer"), D("\"The first twenty bytes and more\"", "answer"), D("\"The first\"", "answer"), D("\"The first twenty bytes and more!\"", "answer") }, "", "The first twenty bytes and more!" },
  { "one repeat does not switch", DELTA_AUTO, { D("\"The first twenty bytes\"", "answer"), D("\"The first twenty bytes and\"", "answer"), D("\" so\"", "answer") }, "", "The first twenty bytes and so" },
  { "told that they are pieces", DELTA_INCREMENTAL, { D("\"The first twenty bytes\"", "answer"), D("\"The first twenty bytes and\"", "answer") }, "", "The first twenty bytesThe first twenty bytes and" },
  { "told that they are snapshots", DELTA_CUMULATIVE, { D("\"a\"", "answer"), D("\"ab\"", "answer"), D("\"ab\"", "answer"), D("\"abc\"", "answer") }, "", "abc" },
  { "an emoji in two events", DELTA_AUTO, { D("\"x\\ud83d\"", "answer"), D("\"\\ude00y\"", "answer") }, "", "x\xf0\x9f\x98\x80y" },
  { "a half that stays alone", DELTA_AUTO, { D("\"x\\ud83d\"", "answer"), D("\"y\"", "answer") }, "", "x\xef\xbf\xbdy" },
  { "halves in two parts of one content", DELTA_AUTO, { D("[\"x\\ud83d\",{\"text\":\"\\ude00y\"}]", "answer") }, "", "x\xf0\x9f\x98\x80y" },
  { "halves in two held texts", DELTA_AUTO, { D("\"x\\ud83d\"", "foo"), D("\"\\ude00y\"", "foo") }, "", "x\xf0\x9f\x98\x80y" },
  { "halves in the reasoning", DELTA_AUTO, { D("\"x\\ud83d\"", "think"), D("\"a\"", "answer"), D("\"\\ude00y\"", "think") }, "x\xf0\x9f\x98\x80y", "a" },
  { "snapshots that end in a half", DELTA_CUMULATIVE, { D("\"x\\ud83d\"", "answer"), D("\"x\\ud83d\"", "answer"), D("\"x\\ud83d\\ude00y\"", "answer") }, "", "x\xf0\x9f\x98\x80y" },
  { "a summary that ends in a half", DELTA_AUTO, { SUM("[\"x\\ud83d\"]"), SUM("[\"x\\ud83d\\ude00\"]"), SUM("[\"x\\ud83d\\ude00y\"]") }, "x\xf0\x9f\x98\x80y", "" },
  { "the first half at the end of all", DELTA_AUTO, { D("\"x\\ud83d\"", "answer") }, "", "x" },
  { "a low half alone", DELTA_AUTO, { D("\"\\ude00y\"", "answer") }, "", "\xef\xbf\xbdy" },
  { "another turn's frames", DELTA_AUTO, { "{\"response.created\":{\"response_id\":\"r1\"}}", "{\"choices\":[{\"delta\":{\"content\":\"NO\",\"phase\":\"answer\"}}],\"response_id\":\"r2\"}", D("\"yes\"", "answer") }, "", "yes" },
  { "unknown phase is the answer if no other came", DELTA_AUTO, { D("\"held \"", "foo"), "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"back\"}}]}" }, "", "held back" },
  { "unknown phase is dropped when an answer came", DELTA_AUTO, { D("\"held\"", "foo"), D("\"real\"", "answer") }, "", "real" },
  { "unknown phase before an empty answer", DELTA_AUTO, { D("\"held\"", "foo"), FIN }, "", "" },
  { "unknown phase behind an empty answer", DELTA_AUTO, { D("\"\"", "answer"), D("\"late\"", "foo"), FIN }, "", "" },
  { "thoughts, tools and answers take turns", DELTA_AUTO, { D("\"t1\"", "think"), D("\"a1\"", "answer"), FIN, D("\"q\"", "web_search"), D("\"t2\"", "think"), D("\"a2\"", "answer"), FIN }, "t1t2", "a1a2" },
  { "the first id is locked without a notice", DELTA_AUTO, { D("\"a\"", "answer"), "{\"choices\":[{\"delta\":{\"content\":\"NO\",\"phase\":\"answer\"}}],\"response_id\":\"r2\"}", "{\"choices\":[{\"delta\":{\"content\":\"b\",\"phase\":\"answer\"}}]}" }, "", "ab" },
  { "the other notice of an id", DELTA_AUTO, { "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}", "{\"choices\":[{\"delta\":{\"content\":\"NO\",\"phase\":\"answer\"}}],\"response_id\":\"r2\"}", D("\"yes\"", "answer") }, "", "yes" },
  { "notices say nothing", DELTA_AUTO, { "{\"response.info\":{\"action\":\"keep_alive\",\"response_id\":\"r1\"}}", "{\"selected_model_id\":\"m\"}", "{\"choices\":[]}", "{\"choices\":null}", "{\"choices\":[{}]}", "{\"choices\":[{\"delta\":null}]}", D("\"a\"", "KeepAlive"), D("\"b\"", "answer") }, "", "b" },
  { "a tool's words are never the answer", DELTA_AUTO, { "{\"choices\":[{\"delta\":{\"role\":\"function\",\"content\":\"Tool x does not exists.\",\"phase\":\"answer\"}}]}", D("\"real\"", "answer") }, "", "real" },
  { "junk is skipped", DELTA_AUTO, { "{broken", "[1]", "", "text", D("\"a\"", "answer"), "{\"x\":1}" }, "", "a" },
  { "tool phases say nothing", DELTA_AUTO, { D("\"code\"", "code_interpreter"), D("\"a\"", "answer"), D("\"q\"", "web_search"), D("\"b\"", "answer") }, "", "ab" },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct qwen_event q;
    struct delta d;
    struct trouble t;
    struct strbuf think = STRBUF(10000), answer = STRBUF(10000);
    t_row = rows[i].name;
    CHECK_INT(qwen_event_init(&q, rows[i].mode), Q_OK);
    for(int k = 0; k < 8 && rows[i].events[k]; k++) {
      CHECK_INT(qwen_event_read(&q, str_z(rows[i].events[k]), &d, &t), Q_OK);
      strbuf_adds(&think, d.think);
      strbuf_adds(&answer, d.answer);
    }
    CHECK_INT(qwen_event_end(&q, &d), Q_OK);
    strbuf_adds(&answer, d.answer);
    CHECK_STR(strbuf_str(&think), str_z(rows[i].think));
    CHECK_STR(strbuf_str(&answer), str_z(rows[i].answer));
    CHECK_INT(q.any_answer, answer.n > 0);
    CHECK_INT(q.any_think, think.n > 0);
    strbuf_free(&think);
    strbuf_free(&answer);
    qwen_event_free(&q);
  }
}

static const struct { const char *name, *event; enum q_status st; int wait_s; } bad[] = {
  { "error event", "{\"error\":{\"code\":\"internal_error\",\"details\":\"Internal error...\"}}", Q_UP_ERROR, 0 },
  { "failure event", "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"details\":\"upper limit for today\",\"num\":2}}", Q_UP_QUOTA, 7200 },
  { "moderation", "{\"error\":{\"code\":\"data_inspection_failed\",\"details\":\"x\"}}", Q_FILTER, 0 },
  { "quota of the model", "{\"success\":false,\"data\":{\"code\":\"x\",\"details\":\"Allocated quota exceeded\"}}", Q_UP_MODEL_QUOTA, 0 },
};

static void t_troubles(void)
{
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    for(int after = 0; after < 2; after++) {
      struct qwen_event q;
      struct delta d;
      struct trouble t;
      t_row = bad[i].name;
      CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
      if(after) CHECK_INT(qwen_event_read(&q, str_z(D("\"a\"", "answer")), &d, &t), Q_OK);
      CHECK_INT(qwen_event_read(&q, str_z(bad[i].event), &d, &t), bad[i].st);
      CHECK_INT(t.wait_s, bad[i].wait_s);
      CHECK_INT(q.filtered, after && bad[i].st == Q_FILTER);
      qwen_event_free(&q);
    }
}

static void t_marks_and_usage(void)
{
  struct qwen_event q;
  struct delta d;
  struct trouble t;
  CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
  CHECK(!qwen_event_read(&q, S("{\"response.created\":{\"response_id\":\"abc\"}}"), &d, &t));
  CHECK_Z(q.response_id, "abc");
  CHECK(!qwen_event_read(&q, S("{\"choices\":[{\"delta\":{}}],\"usage\":{\"input_tokens\":\"3\",\"output_tokens\":4,\"output_tokens_details\":{\"reasoning_tokens\":1}}}"), &d, &t));
  CHECK(q.usage.known && q.usage.prompt == 3 && q.usage.completion == 4 && q.usage.reasoning == 1);
  CHECK(!qwen_event_read(&q, S("{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,\"prompt_tokens_details\":{\"cached_tokens\":2}}}"), &d, &t));
  CHECK(q.usage.prompt == 5 && q.usage.completion == 6 && q.usage.cached == 2);
  CHECK(!qwen_event_read(&q, S("{\"choices\":[],\"usage\":{}}"), &d, &t));
  CHECK(q.usage.prompt == 5); /* the last that says something */
  CHECK(!qwen_event_read(&q, S(" [DONE] "), &d, &t) && d.done);
  CHECK(!qwen_event_read(&q, S("{\"response.stopped\":{}}"), &d, &t) && d.stopped);
  CHECK(!qwen_event_read(&q, S("{\"choices\":[{\"delta\":{\"content\":\"\",\"phase\":\"answer\",\"status\":\"finished\"}}]}"), &d, &t) && d.finished && q.finished);
  CHECK_INT(q.skipped, 0);
  CHECK(!qwen_event_read(&q, S("{oops"), &d, &t));
  CHECK_INT(q.skipped, 1);
  CHECK(!qwen_event_read(&q, S("{\"choices\":[{\"delta\":{\"content\":\"q\",\"phase\":\"web_search\"}}]}"), &d, &t) && !d.finished && !q.finished); /* more came */
  CHECK(!qwen_event_read(&q, S("{\"choices\":[{\"delta\":{\"content\":\"\",\"phase\":\"think\",\"status\":\"finished\"}}]}"), &d, &t) && !d.finished && !q.finished); /* of its phase only */
  qwen_event_free(&q);
}

/* D1: the usage of the upstream is read in both spellings, so that nothing has to be counted. */
static void t_d1_usage(void)
{
  static const struct { const char *u; bool known; int64_t prompt, completion, reasoning, cached; } cases[] = {
    { "{\"input_tokens\":31,\"output_tokens\":20,\"output_tokens_details\":{\"reasoning_tokens\":12},\"prompt_tokens_details\":{\"cached_tokens\":3}}", true, 31, 20, 12, 3 },
    { "{\"prompt_tokens\":31,\"completion_tokens\":20,\"completion_tokens_details\":{\"reasoning_tokens\":12},\"input_tokens_details\":{\"cached_tokens\":3}}", true, 31, 20, 12, 3 },
    { "{\"input_tokens\":\"31\",\"output_tokens\":\"20\"}", true, 31, 20, 0, 0 },
    { "{\"input_tokens\":31}", true, 31, 0, 0, 0 },
    { "{\"input_tokens\":-5,\"output_tokens\":7}", true, 0, 7, 0, 0 },
    { "{\"input_tokens\":9223372036854775807,\"output_tokens\":9223372036854775807}", true, 1000000000, 1000000000, 0, 0 },
    { "{\"image_count\":1,\"input_tokens\":0,\"output_tokens\":0}", false, 0, 0, 0, 0 },
    { "{}", false, 0, 0, 0, 0 }, { "null", false, 0, 0, 0, 0 }, { "[1]", false, 0, 0, 0, 0 }, { "{\"input_tokens\":{}}", false, 0, 0, 0, 0 },
  };
  for(size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for(int after = 0; after < 2; after++) { /* alone, and behind numbers that an empty object must not wipe out */
      struct qwen_event q;
      struct delta d;
      struct trouble t;
      char event[400];
      t_row = cases[i].u;
      CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
      if(after) CHECK(!qwen_event_read(&q, S("{\"choices\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}"), &d, &t));
      snprintf(event, sizeof event, "{\"choices\":[],\"usage\":%s}", cases[i].u);
      CHECK(!qwen_event_read(&q, str_z(event), &d, &t));
      bool old = after && !cases[i].known;
      CHECK_INT(q.usage.known, cases[i].known || after);
      CHECK_INT(q.usage.prompt, old ? 1 : cases[i].prompt);
      CHECK_INT(q.usage.completion, old ? 2 : cases[i].completion);
      CHECK_INT(q.usage.reasoning, cases[i].reasoning);
      CHECK_INT(q.usage.cached, cases[i].cached);
      qwen_event_free(&q);
    }
}

/* Hostile shapes: nothing is said, nothing fails, the next good event is read. */
static void t_hostile(void)
{
  static const char *const odd[] = {
    "{\"choices\":[{\"delta\":{\"content\":{\"a\":1},\"phase\":\"answer\"}}]}", "{\"choices\":{\"delta\":1}}", "{\"choices\":[[]]}",
    "{\"choices\":[{\"delta\":{\"content\":[[],{},null,{\"text\":5}],\"phase\":\"answer\"}}]}", "{\"choices\":[{\"delta\":{\"phase\":7,\"content\":5}}]}",
    "{\"choices\":[{\"delta\":{\"phase\":\"thinking_summary\",\"extra\":{\"summary_thought\":{\"content\":[{},null,5]}}}}]}",
    "{\"choices\":[{\"delta\":{\"phase\":\"thinking_summary\",\"extra\":[]}}]}", "{\"choices\":[{\"delta\":{\"extra\":{\"tool_result\":{\"docs\":5},\"web_search_info\":{}}}}]}",
    "{\"choices\":[{\"delta\":{\"extra\":{\"web_search_info\":[1,null,[],{\"url\":5}]}}}]}", "{\"response.created\":5}", "{\"response.created\":{\"response_id\":7}}",
    "{\"response_id\":[],\"choices\":[]}", "{\"sources\":7}", "{\"done\":false}", "{}", "{\"error\":null,\"choices\":[]}", "{\"success\":true}", "data", "{\"a\":", "\xff\xfe", "[]",
  };
  for(size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    struct qwen_event q;
    struct delta d;
    struct trouble t;
    t_row = odd[i];
    CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
    CHECK_INT(qwen_event_read(&q, str_z(odd[i]), &d, &t), Q_OK);
    CHECK(d.answer.n == 0 && d.think.n == 0 && d.source_n == 0 && !d.done && !d.stopped && !d.finished);
    CHECK_INT(qwen_event_read(&q, str_z(D("\"good\"", "answer")), &d, &t), Q_OK);
    CHECK_STR(d.answer, S("good"));
    qwen_event_free(&q);
  }
}

/* More thoughts than are kept: given out once, then nothing, never twice. */
static void t_endless_thoughts(void)
{
  struct qwen_event q;
  struct delta d;
  struct trouble t;
  struct strbuf e = STRBUF(8 << 20);
  size_t total = 0;
  CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
  for(size_t n = 400 * 1024; n <= 1600 * 1024; n += 400 * 1024) {
    strbuf_clear(&e);
    strbuf_lit(&e, "{\"choices\":[{\"delta\":{\"phase\":\"thinking_summary\",\"extra\":{\"summary_thought\":{\"content\":\"");
    while(e.n < n) strbuf_lit(&e, "thought ");
    strbuf_lit(&e, "\"}}}}]}");
    CHECK_INT(qwen_event_read(&q, strbuf_str(&e), &d, &t), Q_OK);
    total += d.think.n;
    CHECK(total <= n);
  }
  CHECK(total > 700 * 1024 && total <= 1024 * 1024);
  strbuf_free(&e);
  qwen_event_free(&q);
}

static void t_out_of_memory(void)
{
  for(long n = 0;; n++) {
    struct qwen_event q;
    struct delta d;
    struct trouble t;
    bool failed = false;
    fault_arm(n, false);
    enum q_status st = qwen_event_init(&q, DELTA_AUTO);
    if(!st) {
      failed |= qwen_event_read(&q, str_z(SUM("[\"thought\"]")), &d, &t) != Q_OK || d.think.n == 0;
      failed |= qwen_event_read(&q, str_z(D("[\"x\\ud83d\",\"\\ude00y\"]", "answer")), &d, &t) != Q_OK || !str_eq(d.answer, S("x\xf0\x9f\x98\x80y"));
      qwen_event_free(&q);
    } else {
      failed = true;
      CHECK_INT(st, Q_NOMEM);
    }
    bool hit = fault_disarm();
    CHECK_INT(mem_live(), 0);
    if(!hit) {
      CHECK(!failed);
      break;
    }
  }
}

static void t_sources(void)
{
  struct qwen_event q;
  struct delta d;
  struct trouble t;
  CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
  CHECK(!qwen_event_read(&q, S("{\"choices\":[{\"delta\":{\"role\":\"function\",\"extra\":{\"tool_result\":{\"docs\":[{\"url\":\"u1\",\"title\":\"A\"},{\"url\":\"u1\",\"title\":\"again\"},{\"title\":\"T\"},{}]}}}}]}"), &d, &t));
  CHECK_INT(d.source_n, 2);
  CHECK_STR(d.sources[0].title, S("A"));
  CHECK(!qwen_event_read(&q, S("{\"choices\":[{\"delta\":{\"extra\":{\"web_search_info\":[{\"url\":\"u1\"},{\"url\":\"u2\",\"hostname\":\"h\"}]}}}]}"), &d, &t));
  CHECK_INT(d.source_n, 1);
  CHECK_STR(d.sources[0].host, S("h"));
  CHECK(!qwen_event_read(&q, S("{\"choices\":[{\"delta\":{\"extra\":{\"tool_result\":[{\"url\":\"u2\"},{\"url\":\"u3\"}]}}}]}"), &d, &t));
  CHECK_INT(d.source_n, 1);
  CHECK(!qwen_event_read(&q, S("{\"sources\":[{\"url\":\"u4\"}]}"), &d, &t));
  CHECK_INT(d.source_n, 1);
  int all = 5; /* so far, the one without a URL included */
  for(int i = 0; i < 100; i++) { /* bounded */
    char event[200];
    snprintf(event, sizeof event, "{\"choices\":[{\"delta\":{\"extra\":{\"web_search_info\":[{\"url\":\"x%d\"},{\"url\":\"y%d\"}]}}}]}", i, i);
    CHECK(!qwen_event_read(&q, str_z(event), &d, &t));
    all += d.source_n;
  }
  CHECK_INT(all, DELTA_SOURCES_MAX);
  qwen_event_free(&q);
}

static void t_whole(void)
{
  struct qwen_event q;
  struct delta d;
  struct trouble t;
  CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
  CHECK_INT(qwen_event_whole(&q, S("{\"success\":true,\"data\":{\"choices\":[{\"message\":{\"content\":\"all\",\"reasoning_content\":\"r\"}}],\"usage\":{\"input_tokens\":1}}}"), &d, &t), Q_OK);
  CHECK_STR(d.answer, S("all"));
  CHECK_STR(d.think, S("r"));
  CHECK(q.any_answer && q.any_think && q.usage.known && d.finished);
  qwen_event_free(&q);
  CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
  CHECK_INT(qwen_event_whole(&q, S("{\"choices\":[{\"message\":{\"content\":[\"a\",{\"text\":\"b\"}],\"reasoning_content\":\"r\\ud83dr\"}}]}"), &d, &t), Q_OK);
  CHECK_STR(d.answer, S("ab"));
  CHECK_STR(d.think, S("r\xef\xbf\xbdr"));
  CHECK_INT(qwen_event_whole(&q, S("{\"success\":false,\"data\":{\"code\":\"Forbidden\"}}"), &d, &t), Q_UP_BARRED);
  CHECK_INT(qwen_event_whole(&q, S("{nope"), &d, &t), Q_UP_BODY);
  qwen_event_free(&q);
}

/* ---- pictures, videos, native calls: what each row's events give, in order, comma separated ---- */

#define IMG(content, phase, status) "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":" content ",\"phase\":\"" phase "\",\"status\":\"" status "\"}}]}"
#define TOOL(name, phase, extra) "{\"choices\":[{\"delta\":{\"role\":\"function\",\"name\":\"" name "\",\"phase\":\"" phase "\",\"status\":\"finished\",\"content\":\"Tool " name " does not exists.\",\"function_id\":\"f1\",\"extra\":" extra "}}]}"
#define CALL(name, phase, args, id, status) "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"" phase "\",\"status\":\"" status "\",\"function_id\":\"" id "\",\"function_call\":{\"name\":\"" name "\",\"arguments\":" args "}}}]}"
#define P1 "https://cdn.qwenlm.ai/o/p1.png"

static const struct { const char *name; bool want; const char *events[8], *gives; int finished_at; } media[] = {
  { "4.1 the classic stream", true, { IMG("\"" P1 "?key=k\"", "image_gen", "typing"), IMG("\"\"", "image_gen", "finished") }, "image " P1 "?key=k", 1 },
  { "4.1 a list as content", true, { IMG("[{\"image\":\"" P1 "\"},\"https://h/2.png\"]", "image_gen", "typing") }, "image " P1 ",image https://h/2.png", -1 },
  { "4.1 two frames, one twice under another key", true, { IMG("\"" P1 "?a\"", "image_gen", "typing"), IMG("\"https://other" "/o/p1.png?b\"", "image_gen", "typing"), IMG("\"https://h/p2.png\"", "generate_image", "typing") },
    "image " P1 "?a,image https://h/p2.png", -1 },
  { "4.1 a tool names each picture twice", true, { TOOL("image_gen_tool", "image_gen_tool", "{\"image_list\":[{\"image\":\"" P1 "?a\"}],\"tool_result\":[{\"image\":\"" P1 "?b\"},{\"image\":\"https://h/no.png\"}]}") }, "image " P1 "?a", 0 },
  { "4.1 tool_result when there is no image_list", true, { TOOL("image_edit_tool", "image_edit_tool", "{\"image_list\":[],\"tool_result\":[{\"image\":\"" P1 "\"}]}") }, "image " P1, 0 },
  { "4.1 a path below the chat", true, { TOOL("image_gen_tool", "image_gen_tool", "{\"image_list\":[{\"file_path\":\"files/p1.png\"}]}") }, "image files/p1.png", 0 },
  { "a tool frame whose phase is missing", true, { "{\"choices\":[{\"delta\":{\"role\":\"function\",\"name\":\"image_gen_tool\",\"extra\":{\"image_list\":[{\"image\":\"" P1 "\"}]}}}]}" }, "image " P1, -1 },
  { "the call before the tool has drawn does not end the turn", true, { CALL("image_gen_tool", "image_gen_tool", "\"{}\"", "f1", "finished"), TOOL("image_gen_tool", "image_gen_tool", "{}"), D("\"I cannot.\"", "answer") }, "answer I cannot.", -1 },
  { "no URL at all ends too: 4.1 chat detail may have it", true, { IMG("\"\"", "image_gen", "finished") }, "", 0 },
  { "4.2 the phase of an edit", true, { IMG("\"" P1 "\"", "image_edit", "typing"), IMG("\"\"", "image_edit", "finished") }, "image " P1, 1 },
  { "a text turn goes on behind its picture", false, { D("\"Look: \"", "answer"), TOOL("image_gen_tool", "image_gen_tool", "{\"image_list\":[{\"image\":\"" P1 "\"}]}"), D("\"nice\"", "answer") }, "answer Look: ,image " P1 ",answer nice", -1 },
  { "thoughts of a picture phase", true, { D("\"how\"", "image_gen_think"), IMG("\"" P1 "\"", "image_gen", "typing") }, "think how,image " P1, -1 },
  { "words in a picture phase are no picture", true, { IMG("\"drawing...\"", "image_gen", "typing"), IMG("\"javascript:x\"", "image_gen", "typing"), IMG("{\"a\":1}", "image_gen", "typing") }, "", -1 },
  { "a relative path that is an address is none", true, { TOOL("image_gen_tool", "image_gen_tool", "{\"image_list\":[{\"file_path\":\"ftp://x/y\"}]}") }, "", -1 },
  { "pictures found by a search are not drawn ones", false, { TOOL("image_search", "image_search", "{\"tool_result\":[{\"image\":\"" P1 "\",\"url\":\"u\"}]}") }, "", -1 },
  { "4.3 a video as an event", true, { IMG("\"\"", "video_gen", "typing"), IMG("\"https://h/v.mp4?key=1\"", "video_gen", "typing"), IMG("\"https://h/v.mp4?key=2\"", "video_gen", "typing"), IMG("\"\"", "video_gen", "finished") }, "video https://h/v.mp4?key=1", 3 },
  { "3.5 deep research says nothing", false, { D("\"a\"", "ResearchNotice"), D("\"b\"", "deep_research_answer"), D("\"c\"", "WebResearch"), D("\"d\"", "answer") }, "answer d", -1 },
  { "3.8 a native call: the last whole snapshot", false, { CALL("f", "tool_call", "\"{\\\"a\\\":\"", "f1", "typing"), CALL("f", "tool_call", "\"{\\\"a\\\":1}\"", "f1", "typing"), TOOL("f", "tool_call", "{}"), D("\"Sorry\"", "answer") },
    "call f {\"a\":1},answer Sorry", -1 },
  { "3.8 the arguments as an object, the phase is the name", false, { CALL("get", "get", "{\"a\":[1,2.50]}", "f1", "finished"), TOOL("get", "get", "{}") }, "call get {\"a\":[1,2.50]}", -1 },
  { "3.8 a call that never was whole", false, { CALL("f", "tool_call", "\"{\\\"a\"", "f1", "typing"), D("\"x\"", "answer") }, "call f ,answer x", -1 },
  { "3.8 two calls", false, { CALL("f", "tool_call", "{\"a\":1}", "f1", "typing"), CALL("f", "tool_call", "{\"a\":2}", "f2", "typing"), CALL("g", "tool_call", "{}", "f3", "finished") }, "call f {\"a\":1},call f {\"a\":2},call g {}", -1 },
  { "3.8 told once, though it comes again", false, { CALL("f", "tool_call", "{\"a\":1}", "f1", "finished"), CALL("f", "tool_call", "{\"a\":1}", "f1", "finished"), TOOL("f", "tool_call", "{}") }, "call f {\"a\":1}", -1 },
  { "3.8 a call at the end of the stream", false, { CALL("f", "other", "{\"a\":1}", "f1", "typing") }, "call f {\"a\":1}", -1 },
  { "the upstream's own tools are no calls", false, { CALL("web_search", "web_search", "{\"q\":1}", "f1", "finished"), TOOL("web_search", "web_search", "{}"), CALL("image_gen_tool", "image_gen_tool", "{}", "f2", "typing") }, "", -1 },
  { "another tool's frame does not cut a call that grows", false, { CALL("f", "tool_call", "\"{\"", "f1", "typing"), TOOL("web_search", "web_search", "{}"), CALL("f", "tool_call", "\"{}\"", "f1", "finished") }, "call f {}", -1 },
};

static void say(struct strbuf *b, const char *what, struct str a, struct str c)
{
  if(b->n) strbuf_addc(b, ',');
  strbuf_fmt(b, "%s %.*s", what, STR_F(a));
  if(what[0] == 'c') strbuf_fmt(b, " %.*s", STR_F(c));
}

static void gives(struct strbuf *b, const struct delta *d)
{
  if(d->call_name.n) say(b, "call", d->call_name, d->call_args);
  if(d->think.n) say(b, "think", d->think, STR_NONE);
  if(d->answer.n) say(b, "answer", d->answer, STR_NONE);
  for(int i = 0; i < d->image_n; i++) say(b, "image", d->images[i], STR_NONE);
  if(d->video.n) say(b, "video", d->video, STR_NONE);
}

static void t_media_and_calls(void)
{
  for(size_t i = 0; i < sizeof media / sizeof media[0]; i++) {
    struct qwen_event q;
    struct delta d;
    struct trouble t;
    struct strbuf got = STRBUF(10000);
    int finished_at = -1;
    t_row = media[i].name;
    CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
    q.want_media = media[i].want;
    for(int k = 0; k < 8 && media[i].events[k]; k++) {
      CHECK_INT(qwen_event_read(&q, str_z(media[i].events[k]), &d, &t), Q_OK);
      gives(&got, &d);
      if(d.finished && finished_at < 0) finished_at = k;
      CHECK_INT(d.finished, q.finished);
    }
    CHECK_INT(qwen_event_end(&q, &d), Q_OK);
    gives(&got, &d);
    CHECK_STR(strbuf_str(&got), str_z(media[i].gives));
    CHECK_INT(finished_at, media[i].finished_at);
    CHECK_INT(q.skipped, 0);
    strbuf_free(&got);
    qwen_event_free(&q);
  }
}

static void t_many_pictures(void)
{
  struct qwen_event q;
  struct delta d;
  struct trouble t;
  int all = 0;
  CHECK_INT(qwen_event_init(&q, DELTA_AUTO), Q_OK);
  for(int i = 0; i < 40; i++) {
    char event[300];
    snprintf(event, sizeof event, IMG("[{\"image\":\"https://h/%d.png\"},{\"image\":\"https://h/b%d.png\"}]", "image_gen", "typing"), i, i);
    CHECK_INT(qwen_event_read(&q, str_z(event), &d, &t), Q_OK);
    all += d.image_n;
  }
  CHECK_INT(all, DELTA_IMAGES_MAX);
  qwen_event_free(&q);
}

T_MAIN(T(t_media_and_calls), T(t_many_pictures), T(t_rows), T(t_troubles), T(t_marks_and_usage), T(t_d1_usage), T(t_hostile), T(t_endless_thoughts), T(t_out_of_memory), T(t_sources), T(t_whole))
