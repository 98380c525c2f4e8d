/* One choice of an answer: what the upstream said, in pieces of every size, against what the writer is told. */
#include "domain/choice.h"

#include "base/mem.h"
#include "t.h"

/* A writer that notes what it is told. */
static void rec_begin(struct out *o, struct strbuf *b) { (void)o; strbuf_lit(b, "<"); }
static void rec_think(struct out *o, struct str text, struct strbuf *b) { o->any_think = true; strbuf_fmt(b, "~%.*s~", STR_F(text)); }
static void rec_text(struct out *o, struct str text, struct strbuf *b) { o->any_text = true; strbuf_adds(b, text); }
static void rec_sources(struct out *o, const struct source *s, int n, struct strbuf *b) { (void)o; (void)s; strbuf_fmt(b, "[%d]", n); }
static void rec_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  o->calls++;
  CHECK_INT(strlen(c->id), 24);
  strbuf_fmt(b, "(%.*s %.*s)", STR_F(c->name), STR_F(c->args));
}
static void rec_finish(struct out *o, enum finish why, struct strbuf *b)
{
  static const char *const names[] = { "stop", "length", "filter", "calls" };
  (void)o;
  strbuf_fmt(b, "> %s", names[why]);
}
static const struct out_ops recorder = { rec_begin, rec_think, rec_text, rec_sources, NULL, rec_call, rec_finish, NULL, NULL, NULL };

#define TOOLS "\"tools\":[{\"name\":\"f\"},{\"name\":\"g\"}]"
#define CALL(name, args) "<q2a_call>{\"name\":\"" name "\",\"arguments\":" args "}</q2a_call>"

struct row {
  const char *name;
  struct { const char *think, *answer; } turns[2]; /* what the upstream says in the first and in a second turn */
  enum tool_choice choice;                         /* TOOL_OFF: no tools */
  bool one_call, pictures, strict;
  enum chat_format format;
  const char *schema, *stop;
  int64_t max_tokens;
  const char *out;                                 /* all that was told; the texts of one delta or of many are the same */
  int second;                                      /* second turns that were asked for */
  enum q_status failed;
};
static const struct row rows[] = {
  { "text", { { "", "Hello" } }, .out = "<Hello> stop" },
  { "reasoning and text", { { "hm", "Hello" } }, .out = "<~hm~Hello> stop" },
  { "a stop string", { { "", "one two three" } }, .stop = " two", .out = "<one> stop" },
  { "max_tokens", { { "", "a b c d e f g h" } }, .max_tokens = 3, .out = "<a b c> length" },
  { "a call behind prose", { { "", "Look. " CALL("f", "{}") } }, TOOL_AUTO, .out = "<Look.(f {})> calls" },
  { "two calls", { { "", CALL("f", "{}") CALL("g", "{\"a\":1}") } }, TOOL_AUTO, .out = "<(f {})(g {\"a\":1})> calls" },
  { "one call only", { { "", CALL("f", "{}") CALL("g", "{}") } }, TOOL_AUTO, true, .out = "<(f {})> calls" },
  { "a call in the reasoning, none in the answer", { { "hm " CALL("f", "{}"), "" } }, TOOL_AUTO, .out = "<~hm~(f {})> calls" },
  { "a call in both: that of the answer", { { "hm " CALL("f", "{}"), CALL("g", "{}") } }, TOOL_AUTO, .out = "<~hm~(g {})> calls" },
  { "a stop string's start in front of a call is text", { { "", "a END" CALL("f", "{}") } }, TOOL_AUTO, .stop = "END!", .out = "<a END(f {})> calls" },
  { "required: prose waits for the call", { { "", "Well. " CALL("f", "{}") } }, TOOL_REQUIRED, .out = "<Well.(f {})> calls" },
  { "required: a second turn", { { "", "No." }, { "", CALL("f", "{}") } }, TOOL_REQUIRED, .out = "<(f {})> calls", .second = 1 },
  { "required: still none", { { "", "No." }, { "", "Never." } }, TOOL_REQUIRED, .out = "", .second = 1, .failed = Q_NO_CALL },
  { "denied: a second turn", { { "", "Tool f does not exist." }, { "", CALL("t_f", "{}") } }, TOOL_AUTO, .out = "<(f {})> calls", .second = 1 },
  { "denied twice", { { "", "Tool f does not exist." }, { "", "Tool t_f does not exist." } }, TOOL_AUTO, .out = "", .second = 1, .failed = Q_NO_CALL },
  { "broken, then mended", { { "", "Look. " CALL("f", "17") }, { "", "Again: " CALL("f", "{}") } }, TOOL_AUTO, .out = "<Look.(f {})> calls", .second = 1 },
  { "broken, then only words", { { "", "Look. " CALL("f", "17") }, { "", "I cannot." } }, TOOL_AUTO, .out = "<Look.\n\nI cannot.> stop", .second = 1 },
  { "JSON out of prose", { { "", "Sure: {\"a\":1} ok" } }, .format = FORMAT_JSON, .out = "<{\"a\":1}> stop" },
  { "JSON, the reasoning goes live", { { "hm", "{\"a\":1}" } }, .format = FORMAT_JSON, .out = "<~hm~{\"a\":1}> stop" },
  { "no JSON, then JSON", { { "", "no" }, { "", "{\"a\":2}" } }, .format = FORMAT_JSON, .out = "<{\"a\":2}> stop", .second = 1 },
  { "no JSON twice", { { "", "no" }, { "", "no" } }, .format = FORMAT_JSON, .out = "", .second = 1, .failed = Q_BAD_OUTPUT },
  { "a schema broken twice, strict", { { "", "{\"a\":\"x\"}" }, { "", "{\"a\":\"y\"}" } }, .format = FORMAT_SCHEMA, .strict = true,
    .schema = "{\"properties\":{\"a\":{\"type\":\"integer\"}}}", .out = "", .second = 1, .failed = Q_BAD_OUTPUT },
  { "a schema broken twice, not strict: the best", { { "", "{\"a\":\"x\"}" }, { "", "{\"a\":\"y\"}" } }, .format = FORMAT_SCHEMA,
    .schema = "{\"properties\":{\"a\":{\"type\":\"integer\"}}}", .out = "<{\"a\":\"y\"}> stop", .second = 1 },
  { "JSON longer than max_tokens is cut and says so", { { "", "{\"a\":\"one two three four five\"}" } }, .format = FORMAT_JSON, .max_tokens = 5, .out = "<{\"a\":> length" },
  { "a call wins over JSON", { { "", CALL("f", "{}") } }, TOOL_AUTO, .format = FORMAT_JSON, .out = "<(f {})> calls" },
  { "words where a picture was asked for", { { "", "I am sorry." } }, .pictures = true, .out = "", .failed = Q_MEDIA_FAILED },
  { "a refusal", { { "", "This violates our policy." } }, .pictures = true, .out = "", .failed = Q_FILTER },
};

static void run(const struct row *r, size_t step)
{
  static char *env[] = { NULL };
  struct arena a = ARENA(1 << 20);
  struct strbuf errors = STRBUF(4096), warnings = STRBUF(4096), told = STRBUF(1 << 16), hint = STRBUF(1 << 16);
  struct config_input in = { .envp = env, .file = "/dev/null" };
  struct config *config = config_load(&in, &errors, &warnings);
  struct chat_tool tools[] = { { .name = S("f") }, { .name = S("g") } };
  struct chat_req req = { .tools = tools, .tool_n = r->choice == TOOL_OFF ? 0 : 2, .tool_choice = r->choice, .one_call = r->one_call, .max_tokens = r->max_tokens };
  if(r->stop) req.stop[req.stop_n++] = str_z(r->stop);
  struct toolset *set = req.tool_n ? toolset_new(&req) : NULL;
  struct choice_rules rules = { .config = config, .tools = set, .format = r->format, .schema_strict = r->strict || r->format == FORMAT_JSON, .pictures = r->pictures };
  if(r->schema) rules.schema = json_parse(&a, str_z(r->schema), 20, NULL);
  struct out out = { .ops = &recorder, .think_out = THINK_OUT_FIELD, .stream = true };
  struct crypt_rng rng = { .left = 0 };
  struct choice c;
  struct q_error e = Q_ERROR_NONE;
  enum choice_next next = CHOICE_DONE;
  int second = 0;
  CHECK_INT(choice_init(&c, &rules, &out, &rng, &req), Q_OK);
  for(int turn = 0; turn < 2; turn++) {
    struct str think = str_z(r->turns[turn].think ? r->turns[turn].think : ""), answer = str_z(r->turns[turn].answer ? r->turns[turn].answer : "");
    bool more = true;
    while(more && (think.n || answer.n)) {
      struct delta d = { .think = str_sub(think, 0, step) };
      if(!think.n) d.answer = str_sub(answer, 0, step);
      if(think.n) think = str_sub(think, step, think.n);
      else answer = str_sub(answer, step, answer.n);
      more = choice_delta(&c, &d, &told);
    }
    choice_flush(&c, &told);
    CHECK(!choice_empty(&c) && !c.lost);
    next = choice_settle(&c, &hint, &told, &e);
    if(next != CHOICE_AGAIN) break;
    CHECK(hint.n > 10);
    second++;
  }
  if(next == CHOICE_DONE) choice_finish(&c, &told);
  CHECK_INT(next == CHOICE_FAILED ? e.st : Q_OK, r->failed);
  CHECK_INT(second, r->second);
  struct str got = strbuf_str(&told);
  if(step >= 1000) {
    CHECK_STR(got, str_z(r->out));
  } else { /* thoughts come in more pieces, with nothing between them */
    struct strbuf flat = STRBUF(1 << 16);
    for(size_t i = 0; i < got.n; i++)
      if(str_starts(str_sub(got, i, 2), S("~~")) && r->turns[0].think && r->turns[0].think[0]) i++;
      else strbuf_addc(&flat, got.p[i]);
    CHECK_STR(strbuf_str(&flat), str_z(r->out));
    strbuf_free(&flat);
  }
  choice_free(&c);
  out_free(&out);
  toolset_destroy(set);
  config_unref(config);
  strbuf_free(&told);
  strbuf_free(&hint);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  arena_free(&a);
}

static void t_rows(void)
{
  long base = mem_live();
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].name;
    for(size_t step = 1; step < 12; step++) run(&rows[i], step);
    run(&rows[i], 1000);
  }
  CHECK_INT(mem_live(), base);
}

T_MAIN(T(t_rows))
