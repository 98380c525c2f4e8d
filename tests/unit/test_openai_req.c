/* Requests of every protocol in the words of an OpenAI-compatible upstream. */
#include "proto/openai_req.h"

#include "base/mem.h"
#include "proto/anthropic.h"
#include "proto/completions.h"
#include "proto/openai.h"
#include "proto/responses.h"
#include "t.h"

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
#define TOOL_IN "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"properties\":{\"n\":{}}}}}"
#define TOOL_OUT TOOL_IN
#define HI "{\"role\":\"user\",\"content\":\"hi\"}"

static const struct {
  const char *name;
  char how;         /* c chat, m messages, r responses, t completions */
  const char *in;   /* without the outer braces */
  const char *out;  /* behind {"model":"m","stream":true,"stream_options":{"include_usage":true} */
} rows[] = {
  { "a question", 'c', "\"messages\":[" HI "]", ",\"messages\":[" HI "]}" },
  { "one system message in front", 'c',
    "\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":\"user\",\"name\":\"bo\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\",\"text\":\"y\"}]},"
    "{\"role\":\"system\",\"content\":\"\"},{\"role\":\"developer\",\"content\":\"b\\n\\\"c\\\"\"}]",
    ",\"messages\":[{\"role\":\"system\",\"content\":\"a\\n\\nb\\n\\\"c\\\"\"},{\"role\":\"user\",\"name\":\"bo\",\"content\":\"x\\ny\"}]}" },
  { "api 3.2: a prefill is continued", 'c', "\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":\"<think>t</think>Once\"}]",
    ",\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":\"Once\",\"partial\":true}]}" },
  { "empty turns are skipped", 'c', "\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"\"}]", ",\"messages\":[" HI "]}" },
  { "calls and results natively", 'c',
    "\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":1}\"}},"
    "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r1\"},"
    "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"\"}],\"tools\":[" TOOL_IN "]",
    ",\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":1}\"}},"
    "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r1\"},"
    "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"\"}],\"tools\":[" TOOL_OUT "],\"parallel_tool_calls\":true}" },
  { "ids made up where there are none", 'c',
    "\"messages\":[" HI ",{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
    "{\"role\":\"tool\",\"content\":\"a\"},{\"role\":\"tool\",\"content\":\"b\"}]",
    ",\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_1_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
    "{\"id\":\"call_1_1\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_1_0\",\"content\":\"a\"},"
    "{\"role\":\"tool\",\"tool_call_id\":\"call_1_1\",\"content\":\"b\"}]}" },
  { "api 3.10: one call; a named tool alone", 'c', "\"messages\":[" HI "],\"tools\":[" TOOL_IN "],\"parallel_tool_calls\":false,\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
    ",\"messages\":[" HI "],\"tools\":[" TOOL_OUT "],\"parallel_tool_calls\":false,\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}" },
  { "tool_choice none", 'c', "\"messages\":[" HI "],\"tools\":[" TOOL_IN "],\"tool_choice\":\"none\"", ",\"messages\":[" HI "]}" },
  { "required, with two tools", 'c', "\"messages\":[" HI "],\"tools\":[" TOOL_IN ",{\"type\":\"function\",\"function\":{\"name\":\"g\",\"strict\":true}}],\"tool_choice\":\"required\"",
    ",\"messages\":[" HI "],\"tools\":[" TOOL_OUT ",{\"type\":\"function\",\"function\":{\"name\":\"g\",\"parameters\":{\"type\":\"object\",\"properties\":{}},\"strict\":true}}],"
    "\"parallel_tool_calls\":true,\"tool_choice\":\"required\"}" },
  { "limits and formats", 'c', "\"messages\":[" HI "],\"stop\":[\"a\",\"b\"],\"max_tokens\":7,\"n\":2,\"response_format\":{\"type\":\"json_object\"}",
    ",\"messages\":[" HI "],\"response_format\":{\"type\":\"json_object\"},\"stop\":[\"a\",\"b\"],\"max_tokens\":7,\"n\":2}" },
  { "upstream 7: thinking, its budget, search", 'c', "\"messages\":[" HI "],\"enable_thinking\":true,\"thinking_budget\":50,\"enable_search\":true",
    ",\"enable_thinking\":true,\"enable_search\":true,\"messages\":[" HI "],\"thinking_budget\":50}" },
  { "no thinking, no budget", 'c', "\"messages\":[" HI "],\"enable_thinking\":false,\"thinking_budget\":50", ",\"enable_thinking\":false,\"messages\":[" HI "]}" },
  { "api 3.4: media", 'c',
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/p.png\"}},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpeg;base64," PNG "\"}},{\"type\":\"video_url\",\"video_url\":{\"url\":\"https://h/v.mp4?x\"}},"
    "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"SUQzAAAAAAAAAA==\",\"format\":\"mp3\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"https://h/a.wav\"}},"
    "{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,JVBERi0xLjQK\",\"filename\":\"r.pdf\"}},{\"type\":\"file_url\",\"file_url\":\"https://h/d.pdf\"}]}]",
    ",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://h/p.png\"}},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}},{\"type\":\"video_url\",\"video_url\":{\"url\":\"https://h/v.mp4?x\"}},"
    "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"data:audio/mpeg;base64,SUQzAAAAAAAAAA==\",\"format\":\"mp3\"}},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"https://h/a.wav\",\"format\":\"wav\"}},"
    "{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/pdf;base64,JVBERi0xLjQK\",\"filename\":\"r.pdf\"}},{\"type\":\"file\",\"file\":{\"file_url\":\"https://h/d.pdf\"}}]}]}" },
  { "a document of text is text", 'c', "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_data\":\"data:text/plain;base64,b25lIHR3bw==\",\"filename\":\"n.txt\"}},"
    "{\"type\":\"text\",\"text\":\"?\"}]}]",
    ",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"[document: n.txt]\\none two\"},{\"type\":\"text\",\"text\":\"?\"}]}]}" },
  { "api 6.2: Messages", 'm',
    "\"max_tokens\":50,\"temperature\":0,\"system\":[{\"type\":\"text\",\"text\":\"s\"}],\"stop_sequences\":[\"END\"],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},"
    "\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"},{\"type\":\"text\",\"text\":\"I look.\"},"
    "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"n\":1}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\",\"is_error\":true,\"content\":"
    "[{\"type\":\"text\",\"text\":\"no\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"" PNG "\"}}]},{\"type\":\"text\",\"text\":\"and?\"}]}],"
    "\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\",\"properties\":{\"n\":{}}}}],\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}",
    ",\"enable_thinking\":true,\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"I look.\",\"tool_calls\":[{\"id\":\"toolu_1\","
    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"toolu_1\",\"content\":\"Error: no\"},{\"role\":\"user\",\"content\":["
    "{\"type\":\"text\",\"text\":\"Attachments of the tool results above, in their order:\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]},"
    "{\"role\":\"user\",\"content\":\"and?\"}],\"tools\":[" TOOL_OUT "],\"parallel_tool_calls\":false,\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
    "\"stop\":[\"END\"],\"max_tokens\":50,\"thinking_budget\":2000,\"temperature\":0}" },
  { "api 7.2: Responses, a custom tool", 'r',
    "\"instructions\":\"s\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"q\"}]},{\"type\":\"custom_tool_call\",\"call_id\":\"k\",\"name\":\"p\",\"input\":\"*** a\"},"
    "{\"type\":\"custom_tool_call_output\",\"call_id\":\"k\",\"output\":\"ok\"}],\"tools\":[{\"type\":\"custom\",\"name\":\"p\",\"description\":\"d\"}],"
    "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"o\",\"strict\":true,\"schema\":{\"type\":\"object\"}}},\"max_output_tokens\":9,\"reasoning\":{\"effort\":\"low\"}",
    ",\"enable_thinking\":true,\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"k\",\"type\":\"function\","
    "\"function\":{\"name\":\"p\",\"arguments\":\"{\\\"input\\\":\\\"*** a\\\"}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"k\",\"content\":\"ok\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"p\","
    "\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"description\":\"The raw text for the tool.\"}},\"required\":[\"input\"],"
    "\"additionalProperties\":false}}}],\"parallel_tool_calls\":true,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"o\",\"schema\":{\"type\":\"object\"},\"strict\":true}},"
    "\"max_tokens\":9,\"thinking_budget\":4096}" },
  { "api 8: completions", 't', "\"prompt\":\"Once\",\"stop\":\"x\",\"n\":2",
    ",\"messages\":[{\"role\":\"user\",\"content\":\"Continue the text below from its very last character on. Answer with the continuation alone: do not repeat the text, "
    "do not comment on it, use no quotes or code fence around it.\\n\\nOnce\"}],\"stop\":[\"x\"],\"n\":2}" },
};

static enum q_status read_as(char how, struct arena *a, const char *members, struct chat_req *r, struct q_error *e)
{
  char text[8192];
  struct responses_want want;
  struct responses_look look = { NULL, 0, NULL, NULL };
  int n = snprintf(text, sizeof text, "{\"model\":\"x\",%s}", members);
  const struct json *body = json_parse(a, arena_str(a, str_of(text, (size_t)n)), 100, NULL);
  CHECK(body);
  if(!body) return Q_BAD_JSON;
  if(how == 'c') return openai_in(a, body, 4, r, e);
  if(how == 'm') return anthropic_in(a, body, r, e);
  if(how == 'r') return responses_in(a, body, &look, r, &want, NULL, e);
  return completions_in(a, body, 4, r, e);
}

static void t_rows(void)
{
  long base = mem_live();
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(8 << 20);
    struct chat_req r;
    struct relay_req q;
    struct q_error e = Q_ERROR_NONE;
    struct strbuf out = STRBUF(1 << 20), want = STRBUF(1 << 20);
    t_row = rows[i].name;
    CHECK_INT(read_as(rows[i].how, &a, rows[i].in, &r, &e), Q_OK);
    CHECK_Z(e.msg, "");
    CHECK_INT(openai_req(&r, true, &q, &e), Q_OK);
    struct relay_req_to to = { .model = S("m") };
    relay_req_write(&q, &to, &out);
    strbuf_fmt(&want, "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}%s", rows[i].out);
    CHECK_STR(strbuf_str(&out), strbuf_str(&want));
    CHECK(json_parse(&a, strbuf_str(&out), 100, NULL));
    CHECK(q.prompt_tokens > 5);
    relay_req_free(&q);
    strbuf_free(&out);
    strbuf_free(&want);
    arena_free(&a);
  }
  CHECK_INT(mem_live(), base);
}

static void t_rest(void)
{
  struct arena a = ARENA(8 << 20);
  struct chat_req r;
  struct relay_req q;
  struct q_error e = Q_ERROR_NONE;
  /* Without stops they are for the reader of the answer. */
  CHECK_INT(read_as('c', &a, "\"messages\":[" HI "],\"stop\":\"a\",\"stream\":true,\"top_p\":1,\"temperature\":\".5\",\"logit_bias\":{},\"seed\":-3,\"user\":\"u\",\"stream_options\":{\"include_usage\":true}", &r, &e), Q_OK);
  CHECK_INT(openai_req(&r, false, &q, &e), Q_OK);
  CHECK(str_find(strbuf_str(&q.rest), S("stop")) < 0);
  CHECK(q.stream && q.usage == USAGE_YES && !q.has_system);
  CHECK_STR(strbuf_str(&q.ignored), S("logit_bias,user"));
  CHECK(str_find(strbuf_str(&q.rest), S(",\"temperature\":0.5,\"top_p\":1,\"seed\":-3}")) > 0);
  relay_req_free(&q);
  /* api 3.4: never a chat without the picture. */
  CHECK_INT(read_as('c', &a, "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,###\"}}]}]", &r, &e), Q_OK);
  CHECK_INT(openai_req(&r, true, &q, &e), Q_BAD_MEDIA);
  CHECK_Z(e.param, "messages[0].content[0]");
  relay_req_free(&q);
  CHECK_INT(read_as('c', &a, "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,b25lIHR3bw==\"}}]}]", &r, &e), Q_OK);
  CHECK_INT(openai_req(&r, true, &q, &e), Q_BAD_MEDIA);
  CHECK(str_find(str_z(e.msg), S("plain text")) > 0);
  relay_req_free(&q);
  arena_free(&a);
}

/* Every allocation fails once: told, nothing stays behind, nothing half is passed on. */
static void t_memory(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(8 << 20);
    struct chat_req r;
    struct q_error e = Q_ERROR_NONE;
    t_row = rows[i].name;
    CHECK_INT(read_as(rows[i].how, &a, rows[i].in, &r, &e), Q_OK);
    struct strbuf good = STRBUF(1 << 20);
    struct relay_req q;
    CHECK_INT(openai_req(&r, true, &q, &e), Q_OK);
    strbuf_adds(&good, strbuf_str(&q.rest));
    relay_req_free(&q);
    long base = mem_live();
    for(long n = 0; n < 1000; n++) {
      fault_arm(n, false);
      enum q_status st = openai_req(&r, true, &q, &e);
      bool hit = fault_disarm();
      if(!st && good.n) CHECK_STR(strbuf_str(&q.rest), strbuf_str(&good));
      relay_req_free(&q);
      CHECK_INT(mem_live(), base);
      if(!hit) {
        CHECK_INT(st, Q_OK);
        break;
      }
      CHECK(st == Q_NOMEM || st == Q_OK);
    }
    strbuf_free(&good);
    arena_free(&a);
  }
}

T_MAIN(T(t_rows), T(t_rest), T(t_memory))
