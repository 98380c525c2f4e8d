/* api 8: /v1/completions, thinly: what is read, what is refused, and the two forms of its answer. */
#include "proto/completions.h"

#include "t.h"

#define P "\"prompt\":\"Once\""
static const struct { const char *name, *body; enum q_status st; const char *param; } bad[] = {
  { "not an object", "[]", Q_BAD_TYPE, "" },
  { "no prompt", "{}", Q_MISSING, "prompt" },
  { "an empty prompt", "{\"prompt\":\"\"}", Q_BAD_VALUE, "prompt" },
  { "no prompts", "{\"prompt\":[]}", Q_MISSING, "prompt" },
  { "two prompts", "{\"prompt\":[\"a\",\"b\"]}", Q_UNSUPPORTED, "prompt" },
  { "tokens", "{\"prompt\":[1,2]}", Q_UNSUPPORTED, "prompt" },
  { "lists of tokens", "{\"prompt\":[[1,2]]}", Q_UNSUPPORTED, "prompt" },
  { "a number", "{\"prompt\":7}", Q_BAD_TYPE, "prompt" },
  { "suffix", "{" P ",\"suffix\":\"x\"}", Q_UNSUPPORTED, "suffix" },
  { "echo", "{" P ",\"echo\":true}", Q_UNSUPPORTED, "echo" },
  { "echo a number", "{" P ",\"echo\":9}", Q_BAD_TYPE, "echo" },
  { "best_of", "{" P ",\"best_of\":2}", Q_UNSUPPORTED, "best_of" },
  { "best_of a text", "{" P ",\"best_of\":\"x\"}", Q_BAD_TYPE, "best_of" },
  { "n too large", "{" P ",\"n\":5}", Q_BAD_VALUE, "n" },
  { "max_tokens 0", "{" P ",\"max_tokens\":0}", Q_BAD_VALUE, "max_tokens" },
  { "stop a number", "{" P ",\"stop\":1}", Q_BAD_TYPE, "stop" },
  { "stream a number", "{" P ",\"stream\":1}", Q_BAD_TYPE, "stream" },
  { "temperature a text", "{" P ",\"temperature\":\"warm\"}", Q_BAD_TYPE, "temperature" },
  { "model a number", "{" P ",\"model\":1}", Q_BAD_TYPE, "model" },
  { "stream_options a text", "{" P ",\"stream_options\":\"x\"}", Q_BAD_TYPE, "stream_options" },
};

static enum q_status read_it(struct arena *a, const char *body, struct chat_req *r, struct q_error *e)
{
  *e = Q_ERROR_NONE;
  return completions_in(a, json_parse(a, str_z(body), 50, NULL), 4, r, e);
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
    CHECK(e.msg[0]);
    arena_free(&a);
  }
}

static void t_accepted(void)
{
  struct arena a = ARENA(1 << 20);
  struct chat_req r;
  struct q_error e;
  CHECK(!read_it(&a, "{\"model\":\" m \",\"prompt\":[\"Once\\nupon\"],\"suffix\":null,\"echo\":false,\"best_of\":1,\"n\":2,\"stream\":true,\"max_tokens\":9,\"stop\":[\"a\",\"b\"],"
                     "\"stream_options\":{\"include_usage\":true}}", &r, &e));
  CHECK_STR(r.model, S("m"));
  CHECK_INT(r.msg_n, 1);
  CHECK_INT(r.msgs[0].role, ROLE_USER);
  CHECK(str_starts(chat_msg_text(&r.msgs[0], &a), S("Continue the text below")));
  CHECK(str_ends(chat_msg_text(&r.msgs[0], &a), S("\n\nOnce\nupon"))); /* the prompt is the end, to the letter */
  CHECK(r.n == 2 && r.stream && r.max_tokens == 9 && r.stop_n == 2 && r.include_usage == USAGE_YES && r.hide_reasoning);
  CHECK_STR(r.ignored, S(""));
  CHECK(!read_it(&a, "{" P ",\"temperature\":1,\"top_p\":1,\"seed\":1,\"presence_penalty\":0,\"frequency_penalty\":0,\"logit_bias\":{},\"logprobs\":3,\"user\":\"u\",\"brand_new\":1}", &r, &e));
  CHECK_STR(r.ignored, S("temperature,top_p,seed,presence_penalty,frequency_penalty,logit_bias,logprobs,user,brand_new"));
  arena_free(&a);
}

static struct out make(bool stream, int index, struct out *next)
{
  return (struct out){ .ops = stream ? &completions_stream : &completions_whole, .id = "cmpl-1", .model = S("m\""), .created_s = 7, .stream = stream,
                       .index = index, .next = next, .think_out = THINK_OUT_NONE, .search_text = true };
}

static void play(struct out *o, struct out *two, struct strbuf *b)
{
  struct usage u = { .prompt = 3, .completion = 4 };
  struct source s = { S("t"), S("https://u/"), STR_NONE };
  o->ops->begin(o, b);
  two->ops->begin(two, b);
  o->ops->think(o, S("hidden"), b);
  o->ops->text(o, S(" a\n"), b);
  two->ops->text(two, S("x"), b);
  o->ops->text(o, S("b"), b);
  two->ops->sources(two, &s, 1, b);
  two->ops->finish(two, FINISH_STOP, b);
  o->ops->finish(o, FINISH_LENGTH, b);
  o->ops->end(o, &u, b);
}

#define HEAD "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\\\"\",\"choices\":["
#define CHOICE(i, text, why) "{\"text\":\"" text "\",\"index\":" #i ",\"logprobs\":null,\"finish_reason\":" why "}"
#define USED ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}"
#define CHUNK(i, text, why, more) "data: " HEAD CHOICE(i, text, why) "]" more "}\n\n"

static void t_streamed(void)
{
  static const enum usage_wish wishes[] = { USAGE_UNSET, USAGE_NO, USAGE_YES };
  for(int k = 0; k < 3; k++) {
    struct strbuf b = STRBUF(1 << 20);
    struct out two = make(true, 1, NULL), o = make(true, 0, &two);
    o.include_usage = two.include_usage = wishes[k];
    play(&o, &two, &b);
#define ALL(more) CHUNK(0, " a\\n", "null", more) CHUNK(1, "x", "null", more) CHUNK(0, "b", "null", more) \
  CHUNK(1, "\\n\\n---\\n\\n[1] [t](https://u/) - u", "null", more) CHUNK(1, "", "\"stop\"", more) CHUNK(0, "", "\"length\"", more)
    CHECK_STR(strbuf_str(&b), k == 0 ? S(ALL("") "data: " HEAD "]" USED "\n\ndata: [DONE]\n\n")
                            : k == 1 ? S(ALL("") "data: [DONE]\n\n")
                                     : S(ALL(",\"usage\":null") "data: " HEAD "]" USED "\n\ndata: [DONE]\n\n"));
    strbuf_free(&b);
    out_free(&o);
    out_free(&two);
  }
}

static void t_whole(void)
{
  struct strbuf b = STRBUF(1 << 20);
  struct out two = make(false, 1, NULL), o = make(false, 0, &two);
  play(&o, &two, &b);
  CHECK_STR(strbuf_str(&b), S(HEAD CHOICE(0, " a\\nb", "\"length\"") "," CHOICE(1, "x\\n\\n---\\n\\n[1] [t](https://u/) - u", "\"stop\"") "]" USED));
  strbuf_free(&b);
  out_free(&o);
  out_free(&two);
}

static void t_errors(void)
{
  struct q_error e = Q_ERROR_NONE;
  struct strbuf b = STRBUF(1 << 20);
  struct out o = make(true, 0, NULL);
  status_fail(&e, Q_UP_CUT, NULL, "cut");
  o.ops->error(&o, &e, &b);
#define ERROR "{\"error\":{\"message\":\"cut\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"upstream_interrupted\"}}"
  CHECK_STR(strbuf_str(&b), S("data: " ERROR "\n\ndata: [DONE]\n\n"));
  strbuf_clear(&b);
  o.ops->heartbeat(&o, &b);
  CHECK_STR(strbuf_str(&b), S(": keep-alive\n\n"));
  strbuf_clear(&b);
  o = make(false, 0, NULL);
  o.ops->error(&o, &e, &b);
  CHECK_STR(strbuf_str(&b), S(ERROR));
  strbuf_free(&b);
}

T_MAIN(T(t_refused), T(t_accepted), T(t_streamed), T(t_whole), T(t_errors))
