/* Upstream events to their meaning: each row is a whole turn. */
#include "proto/qwen_event.h"

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
  { "told that they are pieces", DELTA_INCREMENTAL, { D("\"The first twenty bytes\"", "answer"), D("\"The first twenty bytes and\"", "answer") }, "", "The first twenty bytesThe first twenty bytes and" },
  { "told that they are snapshots", DELTA_CUMULATIVE, { D("\"a\"", "answer"), D("\"ab\"", "answer"), D("\"ab\"", "answer"), D("\"abc\"", "answer") }, "", "abc" },
  { "an emoji in two events", DELTA_AUTO, { D("\"x\\ud83d\"", "answer"), D("\"\\ude00y\"", "answer") }, "", "x\xf0\x9f\x98\x80y" },
  { "a half that stays alone", DELTA_AUTO, { D("\"x\\ud83d\"", "answer"), D("\"y\"", "answer") }, "", "x\xef\xbf\xbdy" },
  { "a low half alone", DELTA_AUTO, { D("\"\\ude00y\"", "answer") }, "", "\xef\xbf\xbdy" },
  { "another turn's frames", DELTA_AUTO, { "{\"response.created\":{\"response_id\":\"r1\"}}", "{\"choices\":[{\"delta\":{\"content\":\"NO\",\"phase\":\"answer\"}}],\"response_id\":\"r2\"}", D("\"yes\"", "answer") }, "", "yes" },
  { "unknown phase is the answer if no other came", DELTA_AUTO, { D("\"held \"", "foo"), "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"back\"}}]}" }, "", "held back" },
  { "unknown phase is dropped when an answer came", DELTA_AUTO, { D("\"held\"", "foo"), D("\"real\"", "answer") }, "", "real" },
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
  qwen_event_free(&q);
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
  CHECK_INT(qwen_event_whole(&q, S("{\"success\":false,\"data\":{\"code\":\"Forbidden\"}}"), &d, &t), Q_UP_BARRED);
  CHECK_INT(qwen_event_whole(&q, S("{nope"), &d, &t), Q_UP_BODY);
  qwen_event_free(&q);
}

T_MAIN(T(t_rows), T(t_troubles), T(t_marks_and_usage), T(t_sources), T(t_whole))
