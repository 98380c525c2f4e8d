/* Answers of an OpenAI-compatible upstream, whole, byte by byte and at every split: the same for the client. */
#include "proto/relay_out.h"

#include "base/mem.h"
#include "t.h"

#define HEAD "\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"other\""
#define UP(delta, finish) "data: {" HEAD ",\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":" finish "}],\"usage\":null}\n\n"
#define DOWN(delta, finish) "data: {\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"mine\",\"choices\":[{\"index\":0,\"delta\":" \
  delta ",\"logprobs\":null,\"finish_reason\":" finish "}]}\n\n"
#define ROLE DOWN("{\"role\":\"assistant\",\"content\":\"\"}", "null")
#define UP_USAGE "data: {" HEAD ",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":9,\"total_tokens\":21}}\n\n"
#define USAGE_DOWN(n) "data: {\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"mine\",\"choices\":[],\"usage\":" n "}\n\n"
#define TOLD USAGE_DOWN("{\"prompt_tokens\":12,\"completion_tokens\":9,\"total_tokens\":21}")
#define UP_DONE "data: [DONE]\n\n"

static const struct {
  const char *name, *in, *out;
  enum q_status st;          /* of the whole */
  enum usage_wish usage;
  bool hide;
} rows[] = {
  { "plain", UP("{\"role\":\"assistant\",\"content\":\"\"}", "null") UP("{\"content\":\"a\"}", "null") UP("{\"content\":\"b\"}", "\"stop\"") UP_USAGE UP_DONE,
    ROLE DOWN("{\"content\":\"a\"}", "null") DOWN("{\"content\":\"b\"}", "\"stop\"") TOLD UP_DONE, Q_OK, USAGE_UNSET, false },
  { "usage hidden", UP("{\"role\":\"assistant\",\"content\":\"a\"}", "\"stop\"") UP_USAGE UP_DONE,
    ROLE DOWN("{\"content\":\"a\"}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "api 4.4: no role chunk", UP("{\"content\":\"a\"}", "null") UP("{}", "\"stop\"") UP_USAGE UP_DONE,
    ROLE DOWN("{\"content\":\"a\"}", "null") DOWN("{}", "\"stop\"") TOLD UP_DONE, Q_OK, USAGE_UNSET, false },
  { "a role in every chunk, and an empty one", UP("{\"role\":\"assistant\",\"content\":\"a\"}", "null") UP("{\"role\":\"\",\"content\":\"b\"}", "\"stop\"") UP_USAGE UP_DONE,
    ROLE DOWN("{\"content\":\"a\"}", "null") DOWN("{\"content\":\"b\"}", "\"stop\"") TOLD UP_DONE, Q_OK, USAGE_UNSET, false },
  { "api 4.4: no [DONE]", UP("{\"content\":\"a\"}", "\"stop\"") UP_USAGE, ROLE DOWN("{\"content\":\"a\"}", "\"stop\"") TOLD UP_DONE, Q_OK, USAGE_UNSET, false },
  { "the last event without its blank line", UP("{\"content\":\"a\"}", "\"stop\"") "data: [DONE]", ROLE DOWN("{\"content\":\"a\"}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "no finish but [DONE]", UP("{\"content\":\"a\"}", "null") UP_DONE, ROLE DOWN("{\"content\":\"a\"}", "null") DOWN("{}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "two finishes", UP("{\"content\":\"a\"}", "\"stop\"") UP("{}", "\"length\"") UP_DONE, ROLE DOWN("{\"content\":\"a\"}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "an empty finish is none", UP("{\"content\":\"a\"}", "\"\"") UP("{}", "\"stop\"") UP_DONE, ROLE DOWN("{\"content\":\"a\"}", "null") DOWN("{}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "cut: neither finish nor [DONE]", UP("{\"content\":\"a\"}", "null"), ROLE DOWN("{\"content\":\"a\"}", "null"), Q_UP_CUT, USAGE_NO, false },
  { "row 16: nothing", "", "", Q_UP_EMPTY, USAGE_NO, false },
  { "row 16: a role and a stop", UP("{\"role\":\"assistant\",\"content\":\"\"}", "null") UP("{\"content\":\"\"}", "\"stop\"") UP_DONE, "", Q_UP_EMPTY, USAGE_NO, false },
  { "a length without a word is an answer", UP("{\"role\":\"assistant\",\"content\":\"\"}", "null") UP("{}", "\"length\"") UP_DONE,
    ROLE DOWN("{}", "\"length\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "a finish before the words", UP("{}", "\"stop\"") UP("{\"content\":\"a\"}", "null") UP_DONE, ROLE DOWN("{\"content\":\"a\"}", "null") DOWN("{}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "reasoning", UP("{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"t\"}", "null") UP("{\"content\":\"a\"}", "\"stop\"") UP_DONE,
    ROLE DOWN("{\"reasoning_content\":\"t\"}", "null") DOWN("{\"content\":\"a\"}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "reasoning hidden", UP("{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"t\"}", "null") UP("{\"content\":\"a\"}", "\"stop\"") UP_DONE,
    ROLE DOWN("{\"content\":\"a\"}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, true },
  { "api 3.5: hidden reasoning alone is no answer", UP("{\"reasoning_content\":\"t\"}", "\"stop\"") UP_DONE, "", Q_UP_EMPTY, USAGE_NO, true },
  { "another name of reasoning", UP("{\"reasoning\":\"t\"}", "\"stop\"") UP_DONE, ROLE DOWN("{\"reasoning_content\":\"t\"}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "api 13: tool calls keep ids and names, empty repeats go",
    UP("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}", "null")
    UP("{\"tool_calls\":[{\"index\":0,\"id\":\"\",\"type\":\"function\",\"function\":{\"name\":\"\",\"arguments\":\"{\\\"n\\\":\"}}]}", "null")
    UP("{\"tool_calls\":[{\"index\":0,\"id\":null,\"function\":{\"arguments\":\"1}\"}}]}", "\"tool_calls\"") UP_DONE,
    ROLE DOWN("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}", "null")
    DOWN("{\"tool_calls\":[{\"index\":0,\"type\":\"function\",\"function\":{\"arguments\":\"{\\\"n\\\":\"}}]}", "null")
    DOWN("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}", "\"tool_calls\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "calls without a finish", UP("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}", "null") UP_DONE,
    ROLE DOWN("{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}", "null")
    DOWN("{}", "\"tool_calls\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "bad events end nothing", "data: {broken\n\n: comment\n\ndata:\n\nevent: x\n\n" UP("{\"content\":\"a\"}", "\"stop\"") "data: 7\n\n" UP_DONE,
    ROLE DOWN("{\"content\":\"a\"}", "\"stop\"") UP_DONE, Q_OK, USAGE_NO, false },
  { "other members of an event", "data: {" HEAD ",\"system_fingerprint\":\"fp\",\"request_id\":\"r\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n" UP_DONE,
    ROLE "data: {\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"mine\",\"system_fingerprint\":\"fp\",\"choices\":[{\"index\":0,\"delta\":"
    "{\"content\":\"a\"},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n" UP_DONE, Q_OK, USAGE_NO, false },
  { "an error before a word", "data: {\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}\n\n" UP_DONE, "", Q_UP_QUOTA, USAGE_NO, false },
  { "an error in between", UP("{\"content\":\"a\"}", "null") "data: {\"error\":{\"message\":\"m\",\"code\":\"InternalError\"}}\n\n",
    ROLE DOWN("{\"content\":\"a\"}", "null"), Q_UP_ERROR, USAGE_NO, false },
  { "no usage: an estimate", UP("{\"content\":\"one two\"}", "\"stop\"") UP_DONE,
    ROLE DOWN("{\"content\":\"one two\"}", "\"stop\"") USAGE_DOWN("{\"prompt_tokens\":40,\"completion_tokens\":2,\"total_tokens\":42}") UP_DONE, Q_OK, USAGE_UNSET, false },
};

static enum q_status feed(struct relay_out *o, const char *in, size_t n, struct strbuf *out)
{
  struct relay_err e;
  char *exact = malloc(n ? n : 1); /* the end is guarded by the sanitizer */
  memcpy(exact, in, n);
  enum q_status st = relay_out_push(o, str_of(exact, n), out, &e);
  CHECK(st == Q_AGAIN || st == Q_EOF || e.st == st);
  free(exact);
  return st;
}

static void run(size_t i, size_t step, size_t first)
{
  struct relay_out o;
  struct relay_out_set set = { .model = S("mine"), .id = "own", .created_s = 9, .prompt_tokens = 40, .stream = true, .usage = rows[i].usage,
                               .hide_think = rows[i].hide };
  struct strbuf out = STRBUF(1 << 20);
  struct relay_err e;
  size_t n = strlen(rows[i].in), at = 0;
  enum q_status st = Q_AGAIN;
  CHECK_INT(relay_out_init(&o, &set), Q_OK);
  while(at < n && st == Q_AGAIN) {
    size_t piece = at == 0 && first ? first : step;
    if(piece > n - at) piece = n - at;
    st = feed(&o, rows[i].in + at, piece, &out);
    at += piece;
  }
  if(st == Q_AGAIN || st == Q_EOF) {
    size_t before = out.n;
    st = relay_out_end(&o, &out, &e);
    if(st) out.n = before;
  }
  CHECK_INT(st, rows[i].st);
  CHECK_STR(strbuf_str(&out), str_z(rows[i].out));
  strbuf_free(&out);
  relay_out_free(&o);
}

static void t_rows(void)
{
  long base = mem_live();
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = strlen(rows[i].in);
    t_row = rows[i].name;
    run(i, n ? n : 1, 0);
    run(i, 1, 0);
    for(size_t k = 1; k < n; k++) run(i, n, k); /* D9 */
  }
  CHECK_INT(mem_live(), base);
}

static void collect(const char *in, enum usage_wish usage, const char *want, enum q_status status)
{
  for(size_t step = 1; step <= strlen(in); step += strlen(in) > 1 ? strlen(in) - 1 : 1) {
    struct relay_out o;
    struct relay_out_set set = { .model = S("mine"), .id = "own", .created_s = 9, .prompt_tokens = 40, .usage = usage };
    struct strbuf out = STRBUF(1 << 20);
    struct relay_err e;
    enum q_status st = Q_AGAIN;
    CHECK_INT(relay_out_init(&o, &set), Q_OK);
    for(size_t at = 0, n = strlen(in); at < n && st == Q_AGAIN; at += step) st = feed(&o, in + at, step < n - at ? step : n - at, &out);
    CHECK_INT(out.n, 0);
    if(st == Q_AGAIN || st == Q_EOF) st = relay_out_end(&o, &out, &e);
    CHECK_INT(st, status);
    CHECK_STR(strbuf_str(&out), str_z(want));
    strbuf_free(&out);
    relay_out_free(&o);
  }
}

static void t_collected(void)
{
  collect(UP("{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"th\"}", "null") UP("{\"reasoning_content\":\"ink\"}", "null")
          UP("{\"content\":\"a\\n\"}", "null") UP("{\"content\":\"b\"}", "\"stop\"") UP_USAGE UP_DONE, USAGE_UNSET,
          "{\"id\":\"i\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"mine\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\\nb\","
          "\"refusal\":null,\"reasoning_content\":\"think\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":9,"
          "\"total_tokens\":21},\"system_fingerprint\":null}", Q_OK);
  collect(UP("{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}", "null")
          UP("{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}},"
             "{\"index\":0,\"id\":\"\",\"function\":{\"arguments\":\"}\"}}]}", "\"tool_calls\"") UP_DONE, USAGE_NO,
          "{\"id\":\"i\",\"object\":\"chat.completion\",\"created\":5,\"model\":\"mine\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,"
          "\"refusal\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"c2\",\"type\":\"function\","
          "\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":2,"
          "\"total_tokens\":42},\"system_fingerprint\":null}", Q_OK);
  collect(UP("{\"content\":\"a\"}", "null"), USAGE_NO, "", Q_UP_CUT);
  collect("data: {\"error\":{\"message\":\"m\",\"code\":\"data_inspection_failed\"}}\n\n", USAGE_NO, "", Q_FILTER);
}

static void t_whole(void)
{
  const char *in = "{\"id\":\"i\",\"created\":5,\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
                   "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1}}";
  for(int stream = 0; stream < 2; stream++) {
    struct relay_out o;
    struct relay_out_set set = { .model = S("mine"), .id = "own", .created_s = 9, .stream = stream, .usage = USAGE_NO };
    struct strbuf out = STRBUF(1 << 20);
    struct relay_err e;
    CHECK_INT(relay_out_init(&o, &set), Q_OK);
    CHECK_INT(relay_out_whole(&o, str_z(in), &out, &e), Q_EOF);
    CHECK_INT(relay_out_end(&o, &out, &e), Q_OK);
    if(stream)
      CHECK_STR(strbuf_str(&out), S(ROLE DOWN("{\"content\":\"a\",\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                                              "\"arguments\":\"{}\"}}]}", "\"tool_calls\"") UP_DONE));
    else CHECK(str_find(strbuf_str(&out), S("\"content\":\"a\",\"refusal\":null,\"tool_calls\":[{\"id\":\"c\"")) > 0);
    relay_out_free(&o);
    CHECK_INT(relay_out_init(&o, &set), Q_OK);
    CHECK_INT(relay_out_whole(&o, S("{\"x\":1}"), &out, &e), Q_UP_BODY);
    relay_out_free(&o);
    strbuf_free(&out);
  }
}

static void t_errors(void)
{
  static const struct { const char *name; int http; const char *retry, *body; enum q_status st; int status, wait; } errs[] = {
    { "row 1 of the CLI", 401, "", "{\"error\":{\"message\":\"invalid access token or token expired\",\"code\":\"invalid_api_key\"}}", Q_UP_AUTH, 0, 0 },
    { "quota", 429, "", "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"Free allocated quota exceeded.\",\"type\":\"insufficient_quota\"}}", Q_UP_QUOTA, 0, 0 },
    { "quota as 403", 403, "", "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"Free allocated quota exceeded.\"}}", Q_UP_QUOTA, 0, 0 },
    { "allocation", 429, "", "{\"error\":{\"code\":\"Throttling.AllocationQuota\",\"message\":\"x\"}}", Q_UP_QUOTA, 0, 0 },
    { "rate", 429, "9", "{\"error\":{\"code\":\"limit_requests\",\"message\":\"x\"}}", Q_UP_BUSY, 0, 9 },
    { "rate by type", 429, "", "{\"error\":{\"type\":\"Throttling.RateQuota\",\"message\":\"x\"}}", Q_UP_BUSY, 0, 0 },
    { "429 without a body", 429, "7", "", Q_UP_BUSY, 0, 7 },
    { "bad parameter", 400, "", "{\"error\":{\"code\":\"invalid_parameter_error\",\"message\":\"x\",\"param\":\"top_p\"}}", Q_UP_BODY, 400, 0 },
    { "input length", 400, "", "{\"error\":{\"code\":\"invalid_parameter_error\",\"message\":\"Range of input length should be [1, 2]\"}}", Q_TOO_LONG, 0, 0 },
    { "inspection", 400, "", "{\"error\":{\"code\":\"data_inspection_failed\",\"message\":\"x\"}}", Q_FILTER, 0, 0 },
    { "unpaid", 400, "", "{\"error\":{\"code\":\"Arrearage\",\"message\":\"x\"}}", Q_UP_BARRED, 0, 0 },
    { "denied", 403, "", "{\"error\":{\"code\":\"access_denied\",\"message\":\"x\"}}", Q_UP_AUTH, 0, 0 },
    { "403 of unknown kind", 403, "", "{\"error\":{\"code\":\"hm\",\"message\":\"x\"}}", Q_UP_AUTH, 0, 0 },
    { "unpurchased", 403, "", "{\"error\":{\"code\":\"AccessDenied.Unpurchased\",\"message\":\"x\"}}", Q_NO_MODEL, 0, 0 },
    { "no model", 404, "", "{\"error\":{\"code\":\"model_not_found\",\"message\":\"x\"}}", Q_NO_MODEL, 0, 0 },
    { "timeout", 408, "", "{\"error\":{\"code\":\"RequestTimeOut\",\"message\":\"x\"}}", Q_UP_ERROR, 408, 0 },
    { "too large", 413, "", "{\"error\":{\"code\":\"x\",\"message\":\"x\"}}", Q_TOO_LONG, 0, 0 },
    { "internal", 500, "", "{\"error\":{\"code\":\"InternalError\",\"message\":\"x\"}}", Q_UP_ERROR, 500, 0 },
    { "serving", 503, "", "{\"error\":{\"code\":\"ModelServingError\",\"message\":\"x\"}}", Q_UP_ERROR, 503, 0 },
    { "a page of nginx", 504, "", "<html>504</html>", Q_UP_ERROR, 504, 0 },
    { "a captcha", 200, "", "<html>aliyun_waf</html>", Q_UP_CHALLENGE, 0, 0 },
    { "a success", 200, "", "{\"choices\":[]}", Q_OK, 0, 0 },
  };
  for(size_t i = 0; i < sizeof errs / sizeof errs[0]; i++) {
    struct relay_err e;
    t_row = errs[i].name;
    relay_err_body(&e, errs[i].http, str_z(errs[i].retry), str_z(errs[i].body));
    CHECK_INT(e.st, errs[i].st);
    CHECK_INT(e.status, errs[i].status);
    CHECK_INT(e.wait_s, errs[i].wait);
  }
  struct relay_err e;
  struct q_error q = Q_ERROR_NONE;
  struct strbuf b = STRBUF(4096);
  relay_err_body(&e, 400, STR_NONE, S("{\"error\":{\"code\":\"invalid_parameter_error\",\"type\":\"t\",\"message\":\"x\",\"param\":\"top_p\"}}"));
  status_fail(&q, Q_UP_BODY, NULL, "refused: x.");
  relay_err_write(&e, &q, &b);
  CHECK_STR(strbuf_str(&b), S("{\"error\":{\"message\":\"refused: x.\",\"type\":\"t\",\"param\":\"top_p\",\"code\":\"invalid_parameter_error\"}}"));
  strbuf_free(&b);
}

static void t_embeddings(void)
{
  struct strbuf out = STRBUF(4096);
  struct usage u = { .known = false };
  struct str in = S("{\"data\":[{\"embedding\":[1.0,-0.5],\"index\":0,\"object\":\"embedding\"}],\"model\":\"x\",\"usage\":{\"total_tokens\":3}}");
  CHECK_INT(relay_out_embeddings(in, S("mine"), false, &u, &out), Q_OK);
  CHECK_STR(strbuf_str(&out), S("{\"object\":\"list\",\"data\":[{\"embedding\":[1.0,-0.5],\"index\":0,\"object\":\"embedding\"}],\"model\":\"mine\",\"usage\":{\"total_tokens\":3}}"));
  CHECK_INT(u.prompt, 3);
  strbuf_clear(&out);
  CHECK_INT(relay_out_embeddings(in, S("mine"), true, &u, &out), Q_OK);
  CHECK(str_find(strbuf_str(&out), S("\"embedding\":\"AACAPwAAAL8=\"")) > 0); /* 3f800000 bf000000, little-endian */
  strbuf_clear(&out);
  CHECK_INT(relay_out_embeddings(S("{\"data\":[]}"), S("mine"), true, &u, &out), Q_UP_BODY);
  CHECK_INT(relay_out_embeddings(S("nonsense"), S("mine"), true, &u, &out), Q_UP_BODY);
  strbuf_free(&out);
}

T_MAIN(T(t_rows), T(t_collected), T(t_whole), T(t_errors), T(t_embeddings))
