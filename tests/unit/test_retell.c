/* Answers of an OpenAI-compatible upstream told in every protocol: whole, byte by byte and at every split the same bytes. */
#include "proto/retell.h"

#include "base/mem.h"
#include "proto/anthropic.h"
#include "proto/completions.h"
#include "proto/openai.h"
#include "proto/responses.h"
#include "t.h"

#define CH(i, delta, finish) "data: {\"choices\":[{\"index\":" #i ",\"delta\":" delta ",\"finish_reason\":" finish "}],\"usage\":null}\n\n"
#define UP(delta, finish) CH(0, delta, finish)
#define USAGE "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":9,\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n\n"
#define DONE "data: [DONE]\n\n"
#define FN(id, name, args) "{\"index\":" #id ",\"id\":\"call_up" #id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"arguments\":\"" args "\"}}"

enum { T, M, R, C, PROTOCOLS }; /* completions, Messages, Responses, chat */
static const struct { const struct out_ops *stream, *whole; const char *prefix, *name; } protocols[PROTOCOLS] = {
  { &completions_stream, &completions_whole, "cmpl-", "completions" }, { &anthropic_stream, &anthropic_whole, "msg_", "Messages" },
  { &responses_stream, &responses_whole, "resp_", "Responses" }, { &openai_stream, &openai_whole, "chatcmpl-", "chat" },
};

static const struct row {
  const char *name, *in;
  enum q_status st;
  const char *ask;      /* members of an OpenAI request that matter */
  const char *has[4];   /* in the whole answer of each protocol; NULL: not looked at */
  const char *hasnt;    /* in none of them */
} rows[] = {
  { "thought, text, usage", UP("{\"role\":\"assistant\",\"reasoning_content\":\"Think.\"}", "null") UP("{\"content\":\"a \"}", "null") UP("{\"content\":\"世\"}", "\"stop\"") USAGE DONE, Q_OK, "",
    { "\"text\":\"a 世\"", "\"content\":[{\"type\":\"thinking\",\"thinking\":\"Think.\",", "\"summary\":[{\"type\":\"summary_text\",\"text\":\"Think.\"}]", "\"reasoning_content\":\"Think.\"" }, NULL },
  { "usage of the upstream", UP("{\"content\":\"a\"}", "\"stop\"") USAGE DONE, Q_OK, "",
    { "\"prompt_tokens\":12,\"completion_tokens\":9", "\"input_tokens\":12,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":9", "\"reasoning_tokens\":4}", "\"reasoning_tokens\":4}" }, NULL },
  { "no usage: an estimate", UP("{\"content\":\"one two\"}", "\"stop\"") DONE, Q_OK, "", { "\"prompt_tokens\":40,\"completion_tokens\":2", "\"input_tokens\":40", NULL, NULL }, NULL },
  { "length", UP("{\"content\":\"a\"}", "\"length\"") DONE, Q_OK, "", { "\"finish_reason\":\"length\"", "\"stop_reason\":\"max_tokens\"", "\"status\":\"incomplete\"", "\"length\"" }, NULL },
  { "a filter", UP("{\"content\":\"a\"}", "\"content_filter\"") DONE, Q_OK, "", { "\"content_filter\"", "\"refusal\"", "\"reason\":\"content_filter\"", "\"content_filter\"" }, NULL },
  { "api 12: moderation ends a running answer", UP("{\"content\":\"a\"}", "null") "data: {\"error\":{\"message\":\"m\",\"code\":\"data_inspection_failed\"}}\n\n", Q_OK, "",
    { "\"content_filter\"", "\"refusal\"", "\"reason\":\"content_filter\"", "\"content_filter\"" }, NULL },
  { "moderation before a word", "data: {\"error\":{\"message\":\"m\",\"code\":\"data_inspection_failed\"}}\n\n", Q_FILTER, "", { 0 }, NULL },
  { "api 6.3: a stop string is named, what follows is withheld", UP("{\"content\":\"ab E\"}", "null") UP("{\"content\":\"ND c\"}", "null") UP("{\"content\":\"d\"}", "\"stop\"") DONE, Q_OK, ",\"stop\":[\"x\",\"END\"]",
    { "\"text\":\"ab \"", "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\"", "\"text\":\"ab \"", "\"content\":\"ab \"" }, "ND c" },
  { "what only looked like a stop string", UP("{\"content\":\"ab E\"}", "\"stop\"") DONE, Q_OK, ",\"stop\":\"END\"",
    { "\"text\":\"ab E\"", "\"stop_reason\":\"end_turn\"", "\"text\":\"ab E\"", "\"content\":\"ab E\"" }, NULL },
  { "only what looked like a stop string", UP("{\"content\":\"E\"}", "\"stop\"") DONE, Q_OK, ",\"stop\":\"END\"", { "\"text\":\"E\"", "\"text\":\"E\"", "\"text\":\"E\"", "\"E\"" }, NULL },
  { "api 3.10: text, then two calls", UP("{\"content\":\"I look.\"}", "null") UP("{\"tool_calls\":[" FN(0, "f", "{\\\"n\\\":") "]}", "null")
    UP("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}," FN(1, "g", "") "]}", "\"tool_calls\"") DONE, Q_OK, ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}]",
    { NULL, "{\"type\":\"tool_use\",\"id\":\"toolu_up0\",\"name\":\"f\",\"input\":{\"n\":1}},{\"type\":\"tool_use\",\"id\":\"toolu_up1\",\"name\":\"g\",\"input\":{}}],\"stop_reason\":\"tool_use\"",
      "\"call_id\":\"call_up1\",\"name\":\"g\",\"arguments\":\"{}\"", "\"id\":\"call_up0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":1}\"}" }, NULL },
  { "one call is enough", UP("{\"tool_calls\":[" FN(0, "f", "{}") "," FN(1, "f", "{}") "]}", "\"tool_calls\"") DONE, Q_OK, ",\"parallel_tool_calls\":false,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]",
    { NULL, "toolu_up0", "call_up0", "call_up0" }, "_up1" },
  { "ids that come twice or fit nowhere", UP("{\"tool_calls\":[{\"index\":0,\"id\":\"same\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"index\":1,\"id\":\"same\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
    "{\"index\":2,\"id\":\"a b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"index\":3,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}", "\"tool_calls\"") DONE, Q_OK, "",
    { NULL, "\"toolu_0123456789abcdefghij0001\"", "\"call_0123456789abcdefghij0002\"", "\"call_0123456789abcdefghij0003\"" }, "a b" },
  { "a custom tool's raw text", UP("{\"tool_calls\":[" FN(0, "p", "{\\\"input\\\":\\\"*** x\\\\n\\\"}") "]}", "\"tool_calls\"") DONE, Q_OK, ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"p\"}}]",
    { NULL, NULL, "\"type\":\"custom_tool_call\",\"call_id\":\"call_up0\",\"name\":\"p\",\"input\":\"*** x\\n\"", "\"custom\":{\"name\":\"p\",\"input\":\"*** x\\n\"}" }, NULL },
  { "arguments are repaired", UP("{\"tool_calls\":[" FN(0, "f", "{'n':True,}") "]}", "\"tool_calls\"") DONE, Q_OK, "", { NULL, "\"input\":{\"n\":true}", NULL, NULL }, NULL },
  { "a call cut by a limit is left out", UP("{\"content\":\"t\",\"tool_calls\":[" FN(0, "f", "{\\\"a\\\":\\\"x") "]}", "\"length\"") DONE, Q_OK, "", { NULL, "\"stop_reason\":\"max_tokens\"", "\"max_output_tokens\"", NULL }, "up0" },
  { "a call that is none", UP("{\"tool_calls\":[" FN(0, "f", "[1]") "]}", "\"tool_calls\"") DONE, Q_UP_BODY, "", { 0 }, NULL },
  { "row 16: nothing", "", Q_UP_EMPTY, "", { 0 }, NULL },
  { "row 16: a role and a stop", UP("{\"role\":\"assistant\",\"content\":\"\"}", "\"stop\"") DONE, Q_UP_EMPTY, "", { 0 }, NULL },
  { "a length without a word is an answer", UP("{\"role\":\"assistant\",\"content\":\"\"}", "\"length\"") DONE, Q_OK, "", { NULL, "\"max_tokens\"", NULL, NULL }, NULL },
  { "row 17: cut", UP("{\"content\":\"a\"}", "null"), Q_UP_CUT, "", { 0 }, NULL },
  { "a quota in between", UP("{\"content\":\"a\"}", "null") "data: {\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}\n\n", Q_UP_QUOTA, "", { 0 }, NULL },
};

static const struct row *row;
static int protocol;
static bool hide;

static struct retell *make(bool stream, const char *ask)
{
  struct arena a = ARENA(4 << 20);
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  char text[2000];
  int n = snprintf(text, sizeof text, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":%s%s}", stream ? "true" : "false", ask);
  const struct json *body = json_parse(&a, str_of(text, (size_t)n), 50, NULL);
  CHECK_INT(body ? openai_in(&a, body, 4, &r, &e) : Q_BAD_JSON, Q_OK);
  struct strbuf echo = STRBUF(100);
  strbuf_lit(&echo, "-");
  struct retell_set set = { &r, protocols[protocol].stream, protocols[protocol].whole, protocols[protocol].prefix, S("mine"),
                            hide || protocol == T ? THINK_OUT_NONE : THINK_OUT_FIELD, 40, &echo };
  struct retell *t = retell_new(&set);
  strbuf_free(&echo);
  arena_free(&a);
  return t;
}

/* in, cut behind first and then every step bytes; the scratch is emptied now and then as a pump does. */
static enum q_status run(struct retell *t, const char *in, size_t first, size_t step, struct strbuf *out)
{
  struct relay_err e;
  size_t n = strlen(in), at = 0;
  enum q_status st = retell_begin(t, "0123456789abcdefghijABCD", 5);
  if(!st) st = Q_AGAIN;
  while(at < n && st == Q_AGAIN) {
    size_t piece = at == 0 && first ? first : step;
    if(piece > n - at) piece = n - at;
    char *exact = malloc(piece); /* the end is guarded by the sanitizer */
    memcpy(exact, in + at, piece);
    st = retell_push(t, str_of(exact, piece), out, &e);
    if(st != Q_AGAIN && st != Q_EOF) CHECK_INT(e.st, st);
    free(exact);
    at += piece;
  }
  if(st == Q_AGAIN || st == Q_EOF) {
    size_t before = out->n;
    st = retell_end(t, 6, out, &e);
    CHECK_INT(e.st, st);
    if(st) out->n = before;
  }
  return st;
}

static void check_whole(const struct strbuf *out)
{
  struct arena a = ARENA(4 << 20);
  bool foreign = protocol == M && strstr(row->ask, "custom"); /* Messages know no raw text */
  CHECK(foreign || json_parse(&a, strbuf_str(out), 50, NULL));
  const char *has = row->has[protocol];
  if(has && str_find(strbuf_str(out), str_z(has)) < 0) T_FAIL("%s: no %s in\n%.*s", protocols[protocol].name, has, STR_F(strbuf_str(out)));
  if(row->hasnt && str_find(strbuf_str(out), str_z(row->hasnt)) >= 0) T_FAIL("%s: %s in\n%.*s", protocols[protocol].name, row->hasnt, STR_F(strbuf_str(out)));
  arena_free(&a);
}

static void t_rows(void)
{
  long base = mem_live();
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for(int k = 0; k < 2 * PROTOCOLS; k++) {
      size_t n = strlen(rows[i].in);
      struct strbuf whole = STRBUF(1 << 20), out = STRBUF(1 << 20);
      row = &rows[i];
      t_row = row->name;
      protocol = k / 2;
      struct retell *t = make(k & 1, row->ask);
      CHECK_INT(run(t, row->in, 0, n ? n : 1, &whole), row->st);
      if(k & 1) CHECK(row->st || whole.n > 0);
      else if(!row->st) check_whole(&whole);
      else CHECK_INT(whole.n, 0);
      for(size_t cut = 1; cut <= n; cut++) { /* D9; the last is byte by byte. One writer for all: attempts leave nothing behind */
        strbuf_clear(&out);
        if(k & 1) { /* a stream that has begun is not begun again */
          retell_destroy(t);
          t = make(true, row->ask);
        }
        CHECK_INT(run(t, row->in, cut == n ? 0 : cut, cut == n ? 1 : n, &out), row->st);
        CHECK_STR(strbuf_str(&out), strbuf_str(&whole));
      }
      retell_destroy(t);
      strbuf_free(&whole);
      strbuf_free(&out);
    }
  CHECK_INT(mem_live(), base);
}

static void t_streams(void)
{
  static const char in[] = UP("{\"role\":\"assistant\",\"reasoning_content\":\"Th\"}", "null") UP("{\"content\":\"a\"}", "null") UP("{\"tool_calls\":[" FN(0, "f", "{}") "]}", "\"tool_calls\"") USAGE DONE;
  static const char *const order[PROTOCOLS][8] = {
    [T] = { "\"text\":\"a\"", "\"finish_reason\":\"stop\"", "\"usage\"", "[DONE]" },
    [M] = { "message_start", "\"input_tokens\":40", "thinking_delta", "signature_delta", "text_delta", "input_json_delta", "\"stop_reason\":\"tool_use\"", "message_stop" },
    [R] = { "response.created", "reasoning_summary_text.delta", "output_text.delta", "output_text.done", "function_call_arguments.done", "response.completed", "\"total_tokens\":21" },
    [C] = { "\"role\":\"assistant\"", "\"reasoning_content\":\"Th\"", "\"content\":\"a\"", "\"id\":\"call_up0\"", "\"finish_reason\":\"tool_calls\"", "\"usage\"", "[DONE]" },
  };
  for(protocol = 0; protocol < PROTOCOLS; protocol++) {
    struct strbuf out = STRBUF(1 << 20);
    struct retell *t = make(true, "");
    t_row = protocols[protocol].name;
    CHECK_INT(run(t, in, 0, sizeof in, &out), Q_OK);
    struct str rest = strbuf_str(&out);
    for(int i = 0; i < 8 && order[protocol][i]; i++) {
      ptrdiff_t at = str_find(rest, str_z(order[protocol][i]));
      if(at < 0) T_FAIL("no %s behind the others in\n%.*s", order[protocol][i], STR_F(strbuf_str(&out)));
      else rest = str_sub(rest, (size_t)at + 1, rest.n);
    }
    CHECK_INT(retell_usage(t)->completion, 9);
    CHECK(str_starts(str_z(retell_out(t)->id), str_z(protocols[protocol].prefix)));
    retell_destroy(t);
    strbuf_free(&out);
  }
}

/* Hidden thoughts alone are no answer; shown ones are (api 3.5). */
static void t_thoughts(void)
{
  static const char in[] = UP("{\"reasoning_content\":\"Th\"}", "\"stop\"") DONE;
  for(protocol = 0; protocol < PROTOCOLS; protocol++)
    for(int k = 0; k < 2; k++) {
      struct strbuf out = STRBUF(1 << 20);
      hide = k;
      struct retell *t = make(false, "");
      CHECK_INT(run(t, in, 0, sizeof in, &out), hide || protocol == T ? Q_UP_EMPTY : Q_OK);
      retell_destroy(t);
      strbuf_free(&out);
    }
  hide = false;
}

static void t_choices(void)
{
  static const char in[] = CH(0, "{\"content\":\"a\"}", "null") CH(1, "{\"content\":\"b\"}", "\"stop\"") CH(0, "{}", "\"length\"") CH(3, "{\"content\":\"not asked for\"}", "null") DONE;
  struct strbuf out = STRBUF(1 << 20);
  protocol = T;
  struct retell *t = make(false, ",\"n\":3");
  CHECK_INT(run(t, in, 0, sizeof in, &out), Q_OK);
  CHECK(str_find(strbuf_str(&out), S("[{\"text\":\"a\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"length\"},{\"text\":\"b\",\"index\":1,\"logprobs\":null,\"finish_reason\":\"stop\"}],")) > 0);
  retell_destroy(t);
  strbuf_free(&out);
}

static void t_whole_object(void)
{
  struct relay_err e;
  for(protocol = 0; protocol < PROTOCOLS; protocol++) {
    struct strbuf out = STRBUF(1 << 20);
    struct retell *t = make(true, "");
    CHECK_INT(retell_begin(t, "0123456789abcdefghijABCD", 5), Q_OK);
    CHECK_INT(retell_whole(t, S("{\"choices\":[{\"message\":{\"content\":\"all at once\"},\"finish_reason\":\"stop\"}]}"), &out, &e), Q_EOF);
    CHECK_INT(retell_end(t, 6, &out, &e), Q_OK);
    CHECK(str_find(strbuf_str(&out), S("all at once")) > 0);
    retell_destroy(t);
    strbuf_free(&out);
  }
}

static void t_errors(void)
{
  static const char *const says[PROTOCOLS][2] = {
    [T] = { "{\"error\":{\"message\":\"Slow down.\"", "data: {\"error\":" },
    [M] = { "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Slow down.\"}", "event: error\ndata: {\"type\":\"error\"" },
    [R] = { "{\"error\":{\"message\":\"Slow down.", "event: response.failed" },
    [C] = { "{\"error\":{\"message\":\"Slow down.\"", "data: {\"error\":" },
  };
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_UP_BUSY, NULL, "Slow down.");
  for(protocol = 0; protocol < PROTOCOLS; protocol++)
    for(int event = 0; event < 2; event++) {
      struct strbuf out = STRBUF(1 << 20);
      struct retell *t = make(event, "");
      CHECK_INT(retell_begin(t, "0123456789abcdefghijABCD", 5), Q_OK);
      if(event) retell_beat(t, &out);
      retell_error(t, &e, event, &out);
      if(str_find(strbuf_str(&out), str_z(says[protocol][event])) < 0) T_FAIL("%.*s", STR_F(strbuf_str(&out)));
      retell_destroy(t);
      strbuf_free(&out);
    }
}

/* Every allocation fails once: told as that, or it did not matter. */
static void t_memory(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for(int k = 0; k < 2 * PROTOCOLS; k++) {
      struct strbuf good = STRBUF(1 << 20);
      row = &rows[i];
      t_row = row->name;
      protocol = k / 2;
      struct retell *t = make(k & 1, row->ask);
      (void)run(t, row->in, 0, 60, &good);
      retell_destroy(t);
      for(long n = 0; n < 300; n++) {
        long base = mem_live();
        struct strbuf out = STRBUF(1 << 20);
        t = make(k & 1, row->ask);
        fault_arm(n, false);
        enum q_status st = run(t, row->in, 0, 60, &out);
        bool hit = fault_disarm();
        if(!hit || st != Q_NOMEM) {
          CHECK_INT(st, row->st);
          if(!st) CHECK_STR(strbuf_str(&out), strbuf_str(&good));
        }
        retell_destroy(t);
        strbuf_free(&out);
        CHECK_INT(mem_live(), base);
        if(!hit) break;
      }
      strbuf_free(&good);
    }
}

T_MAIN(T(t_rows), T(t_streams), T(t_thoughts), T(t_choices), T(t_whole_object), T(t_errors), T(t_memory))
