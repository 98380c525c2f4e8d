/* api 7.4 and 7.5: the answers of /v1/responses. Exact events for each kind of answer, and a checker of what must hold for any. */
#include "proto/responses.h"

#include "base/mem.h"
#include "t.h"

#define ECHO "-,\"instructions\":null,\"store\":true"

static struct out make(bool stream, bool encrypted)
{
  struct out o = { .ops = stream ? &responses_stream : &responses_whole, .id = "resp_0123456789abcdefghijklmn", .model = S("m"), .created_s = 7,
                   .ended_s = 9, .stream = stream, .think_out = THINK_OUT_FIELD, .search_text = true, .echo = STRBUF(1 << 16) };
  strbuf_lit(&o.echo, ECHO);
  if(encrypted) o.echo.p[0] = '+';
  return o;
}

/* T think, A answer, S source, P picture, C call, X custom call; then L (cut by length), F (filtered), E (an error), nothing: done. */
static void play(struct out *o, const char *steps, struct strbuf *b)
{
  struct str rest = str_z(steps);
  struct source source = { S("t"), S("https://u/"), STR_NONE };
  struct usage u = { .prompt = 3, .completion = 5, .reasoning = 2, .cached = 1 };
  struct q_error e = Q_ERROR_NONE;
  enum finish why = FINISH_STOP;
  bool failed = false;
  int calls = 0;
  if(steps[0] != 'B') o->ops->begin(o, b); /* B: trouble before the beginning */
  while(rest.n) {
    struct str step = str_cut(&rest, ' '), text = str_sub(step, 2, step.n);
    char id[25] = "zzzzzzzzzzzzzzzzzzzzzzz0";
    struct out_call c = { id, S("f"), text, step.p[0] == 'X' };
    if(step.p[0] == 'T') o->ops->think(o, text, b);
    if(step.p[0] == 'A') o->ops->text(o, text, b);
    if(step.p[0] == 'S') o->ops->sources(o, &source, 1, b);
    if(step.p[0] == 'P') o->ops->image(o, text, STR_NONE, b);
    if(step.p[0] == 'C' || step.p[0] == 'X') {
      id[23] = (char)('0' + calls++);
      o->ops->call(o, &c, b);
      why = FINISH_CALLS;
    }
    if(step.p[0] == 'L') why = FINISH_LENGTH;
    if(step.p[0] == 'F') why = FINISH_FILTER;
    failed |= step.p[0] == 'E';
  }
  if(failed) {
    status_fail(&e, Q_UP_BUSY, NULL, "Slow down.");
    e.retry_after_s = 20;
    o->ops->error(o, &e, b);
    return;
  }
  o->ops->finish(o, why, b);
  o->ops->end(o, &u, b);
}

/* ---- the checker ---- */

struct seen { int events, items, ends, open; struct strbuf think, text; };

static const struct json *same(const struct json *a, const struct json *b, const char *name)
{
  CHECK(json_get(a, name) != NULL);
  CHECK_STR(json_str(json_get(a, name)), json_str(json_get(b, name)));
  return json_get(a, name);
}

static bool is_delta(struct str type) { return str_ends(type, S(".delta")); }

/* Every rule of 7.5 that holds for any stream: names equal to types, numbers without gaps, indexes without gaps, ids that are not
 * empty and stay the same, deltas that add up, exactly one end, and a final object that repeats the items that were done. */
static void check_stream(struct str raw, struct seen *s)
{
  struct arena a = ARENA(32 << 20);
  const struct json *added = NULL, *done[64] = { NULL }, *last = NULL;
  struct strbuf grown = STRBUF(1 << 20);
  *s = (struct seen){ .think = STRBUF(1 << 20), .text = STRBUF(1 << 20) };
  while(raw.n) {
    struct str name = str_cut(&raw, '\n'), line = str_cut(&raw, '\n'), blank = str_cut(&raw, '\n');
    CHECK(str_starts(name, S("event: ")) && str_starts(line, S("data: ")) && blank.n == 0);
    const struct json *e = json_parse(&a, str_sub(line, 6, line.n), 50, NULL), *item = json_get(e, "item");
    struct str type = json_str(json_get(e, "type"));
    int64_t number = -1, index = -1;
    CHECK(e != NULL);
    CHECK_STR(type, str_sub(name, 7, name.n));
    CHECK(json_int(json_get(e, "sequence_number"), &number) && number == s->events);
    CHECK_INT(s->ends, 0); /* nothing behind the end */
    if(json_get(e, "output_index")) CHECK(json_int(json_get(e, "output_index"), &index) && index == s->items);
    if(str_eq(type, S("response.output_item.added"))) {
      CHECK(!added);
      added = item;
      strbuf_clear(&grown);
      CHECK(json_str(json_get(item, "id")).n > 0);
      CHECK_STR(json_str(json_get(item, "status")), S("in_progress"));
    } else if(str_eq(type, S("response.output_item.done"))) {
      CHECK(added != NULL);
      same(added, item, "id");
      same(added, item, "type");
      if(json_get(added, "call_id")) same(added, item, "call_id"), same(added, item, "name");
      done[s->items++] = item;
      added = NULL;
    } else if(json_get(e, "item_id")) {
      CHECK(added != NULL);
      CHECK_STR(json_str(json_get(e, "item_id")), json_str(json_get(added, "id")));
      if(is_delta(type)) strbuf_adds(&grown, json_str(json_get(e, "delta")));
      if(str_eq(type, S("response.output_text.delta"))) strbuf_adds(&s->text, json_str(json_get(e, "delta")));
      if(str_eq(type, S("response.reasoning_summary_text.delta"))) strbuf_adds(&s->think, json_str(json_get(e, "delta")));
      static const char *const whole[] = { "text", "arguments", "input" };
      for(int i = 0; i < 3; i++)
        if(json_get(e, whole[i])) CHECK_STR(json_str(json_get(e, whole[i])), strbuf_str(&grown));
    } else {
      const struct json *r = json_get(e, "response");
      CHECK(r != NULL);
      CHECK_STR(json_str(json_get(r, "object")), S("response"));
      if(last) same(last, r, "id");
      if(s->events == 0) CHECK_STR(type, S("response.created"));
      if(s->events == 1) CHECK_STR(type, S("response.in_progress"));
      if(s->events < 2) CHECK_STR(json_str(json_get(r, "status")), S("in_progress"));
      else s->ends++;
      last = r;
    }
    s->events++;
  }
  CHECK_INT(s->ends, 1);
  CHECK(!added);
  CHECK_INT(json_get(last, "output")->count, s->items);
  int i = 0;
  for json_each(item, json_get(last, "output")) {
    struct strbuf x = STRBUF(1 << 20), y = STRBUF(1 << 20);
    json_write(item, &x);
    if(done[i]) json_write(done[i++], &y);
    CHECK_STR(strbuf_str(&x), strbuf_str(&y));
    for json_each(other, json_get(last, "output"))
      if(other != item) CHECK(!str_eq(json_str(json_get(item, "id")), json_str(json_get(other, "id"))));
    strbuf_free(&x);
    strbuf_free(&y);
  }
  strbuf_free(&grown);
  arena_free(&a);
}

static void seen_free(struct seen *s)
{
  strbuf_free(&s->think);
  strbuf_free(&s->text);
}

/* ---- exact events ---- */

#define OBJ(done, status, error, why, output, usage) \
  "{\"id\":\"resp_0123456789abcdefghijklmn\",\"object\":\"response\",\"created_at\":7,\"completed_at\":" done ",\"status\":\"" status "\",\"background\":false,\"model\":\"m\"," \
  "\"error\":" error ",\"incomplete_details\":" why ",\"output\":[" output "],\"usage\":" usage ",\"instructions\":null,\"store\":true}"
#define USED "{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":5,\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":8}"
#define EV(type, n, rest) "event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":" #n rest "}\n\n"
#define HEAD EV("response.created", 0, ",\"response\":" OBJ("null", "in_progress", "null", "null", "", "null")) \
  EV("response.in_progress", 1, ",\"response\":" OBJ("null", "in_progress", "null", "null", "", "null"))
#define ID(kind, i) kind "0123456789abcdefghijk00" #i
#define AT(kind, i) ",\"item_id\":\"" ID(kind, i) "\",\"output_index\":" #i
#define DELTA(type, kind, i, more, n, text) "event: " type "\ndata: {\"type\":\"" type "\"" AT(kind, i) more ",\"sequence_number\":" #n ",\"delta\":\"" text "\"}\n\n"
#define RS(i, inside, status) "{\"id\":\"" ID("rs_", i) "\",\"type\":\"reasoning\",\"summary\":[" inside "],\"status\":\"" status "\"}"
#define MSG(i, inside, status) "{\"id\":\"" ID("msg_", i) "\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[" inside "],\"status\":\"" status "\"}"
#define OT(text, notes) "{\"type\":\"output_text\",\"text\":\"" text "\",\"annotations\":[" notes "],\"logprobs\":[]}"
#define ST(text) "{\"type\":\"summary_text\",\"text\":\"" text "\"}"
#define NOTE "{\"type\":\"url_citation\",\"start_index\":0,\"end_index\":0,\"title\":\"t\",\"url\":\"https://u/\"}"
#define FC(i, k, args, status) "{\"id\":\"" ID("fc_", i) "\",\"type\":\"function_call\",\"call_id\":\"call_zzzzzzzzzzzzzzzzzzzzzzz" #k "\",\"name\":\"f\",\"arguments\":\"" args "\",\"status\":\"" status "\"}"
#define CT(i, k, in, status) "{\"id\":\"" ID("ctc_", i) "\",\"type\":\"custom_tool_call\",\"call_id\":\"call_zzzzzzzzzzzzzzzzzzzzzzz" #k "\",\"name\":\"f\",\"input\":\"" in "\",\"status\":\"" status "\"}"

static const struct { const char *name, *steps, *want; } exact[] = {
  { "text", "A:a A:b",
    HEAD EV("response.output_item.added", 2, ",\"output_index\":0,\"item\":" MSG(0, "", "in_progress"))
    EV("response.content_part.added", 3, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("", ""))
    DELTA("response.output_text.delta", "msg_", 0, ",\"content_index\":0,\"logprobs\":[]", 4, "a") DELTA("response.output_text.delta", "msg_", 0, ",\"content_index\":0,\"logprobs\":[]", 5, "b")
    EV("response.output_text.done", 6, AT("msg_", 0) ",\"content_index\":0,\"text\":\"ab\",\"logprobs\":[]")
    EV("response.content_part.done", 7, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("ab", ""))
    EV("response.output_item.done", 8, ",\"output_index\":0,\"item\":" MSG(0, OT("ab", ""), "completed"))
    EV("response.completed", 9, ",\"response\":" OBJ("9", "completed", "null", "null", MSG(0, OT("ab", ""), "completed"), USED)) },
  { "reasoning and text", "T:x A:a",
    HEAD EV("response.output_item.added", 2, ",\"output_index\":0,\"item\":" RS(0, "", "in_progress"))
    EV("response.reasoning_summary_part.added", 3, AT("rs_", 0) ",\"summary_index\":0,\"part\":" ST(""))
    DELTA("response.reasoning_summary_text.delta", "rs_", 0, ",\"summary_index\":0", 4, "x")
    EV("response.reasoning_summary_text.done", 5, AT("rs_", 0) ",\"summary_index\":0,\"text\":\"x\"")
    EV("response.reasoning_summary_part.done", 6, AT("rs_", 0) ",\"summary_index\":0,\"part\":" ST("x"))
    EV("response.output_item.done", 7, ",\"output_index\":0,\"item\":" RS(0, ST("x"), "completed"))
    EV("response.output_item.added", 8, ",\"output_index\":1,\"item\":" MSG(1, "", "in_progress"))
    EV("response.content_part.added", 9, AT("msg_", 1) ",\"content_index\":0,\"part\":" OT("", ""))
    DELTA("response.output_text.delta", "msg_", 1, ",\"content_index\":0,\"logprobs\":[]", 10, "a")
    EV("response.output_text.done", 11, AT("msg_", 1) ",\"content_index\":0,\"text\":\"a\",\"logprobs\":[]")
    EV("response.content_part.done", 12, AT("msg_", 1) ",\"content_index\":0,\"part\":" OT("a", ""))
    EV("response.output_item.done", 13, ",\"output_index\":1,\"item\":" MSG(1, OT("a", ""), "completed"))
    EV("response.completed", 14, ",\"response\":" OBJ("9", "completed", "null", "null", RS(0, ST("x"), "completed") "," MSG(1, OT("a", ""), "completed"), USED)) },
  { "calls alone: no message", "C:{} X:raw",
    HEAD EV("response.output_item.added", 2, ",\"output_index\":0,\"item\":" FC(0, 0, "", "in_progress"))
    EV("response.function_call_arguments.delta", 3, AT("fc_", 0) ",\"delta\":\"{}\"")
    EV("response.function_call_arguments.done", 4, AT("fc_", 0) ",\"name\":\"f\",\"arguments\":\"{}\"")
    EV("response.output_item.done", 5, ",\"output_index\":0,\"item\":" FC(0, 0, "{}", "completed"))
    EV("response.output_item.added", 6, ",\"output_index\":1,\"item\":" CT(1, 1, "", "in_progress"))
    EV("response.custom_tool_call_input.delta", 7, AT("ctc_", 1) ",\"delta\":\"raw\"")
    EV("response.custom_tool_call_input.done", 8, AT("ctc_", 1) ",\"input\":\"raw\"")
    EV("response.output_item.done", 9, ",\"output_index\":1,\"item\":" CT(1, 1, "raw", "completed"))
    EV("response.completed", 10, ",\"response\":" OBJ("9", "completed", "null", "null", FC(0, 0, "{}", "completed") "," CT(1, 1, "raw", "completed"), USED)) },
  { "incomplete", "A:a L",
    HEAD EV("response.output_item.added", 2, ",\"output_index\":0,\"item\":" MSG(0, "", "in_progress"))
    EV("response.content_part.added", 3, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("", ""))
    DELTA("response.output_text.delta", "msg_", 0, ",\"content_index\":0,\"logprobs\":[]", 4, "a")
    EV("response.output_text.done", 5, AT("msg_", 0) ",\"content_index\":0,\"text\":\"a\",\"logprobs\":[]")
    EV("response.content_part.done", 6, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("a", ""))
    EV("response.output_item.done", 7, ",\"output_index\":0,\"item\":" MSG(0, OT("a", ""), "incomplete"))
    EV("response.incomplete", 8, ",\"response\":" OBJ("null", "incomplete", "null", "{\"reason\":\"max_output_tokens\"}", MSG(0, OT("a", ""), "incomplete"), USED)) },
  { "failed in the middle", "A:a E",
    HEAD EV("response.output_item.added", 2, ",\"output_index\":0,\"item\":" MSG(0, "", "in_progress"))
    EV("response.content_part.added", 3, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("", ""))
    DELTA("response.output_text.delta", "msg_", 0, ",\"content_index\":0,\"logprobs\":[]", 4, "a")
    EV("response.output_text.done", 5, AT("msg_", 0) ",\"content_index\":0,\"text\":\"a\",\"logprobs\":[]")
    EV("response.content_part.done", 6, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("a", ""))
    EV("response.output_item.done", 7, ",\"output_index\":0,\"item\":" MSG(0, OT("a", ""), "incomplete"))
    EV("response.failed", 8, ",\"response\":" OBJ("null", "failed", "{\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down. Please try again in 20s.\"}", "null",
                                                  MSG(0, OT("a", ""), "incomplete"), "null")) },
  { "failed before the beginning", "B E", HEAD EV("response.failed", 2, ",\"response\":" OBJ("null", "failed", "{\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down. Please try again in 20s.\"}", "null", "", "null")) },
  { "a source", "A:a S",
    HEAD EV("response.output_item.added", 2, ",\"output_index\":0,\"item\":" MSG(0, "", "in_progress"))
    EV("response.content_part.added", 3, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("", ""))
    DELTA("response.output_text.delta", "msg_", 0, ",\"content_index\":0,\"logprobs\":[]", 4, "a")
    DELTA("response.output_text.delta", "msg_", 0, ",\"content_index\":0,\"logprobs\":[]", 5, "\\n\\n---\\n\\n[1] [t](https://u/) - u")
    EV("response.output_text.annotation.added", 6, AT("msg_", 0) ",\"content_index\":0,\"annotation_index\":0,\"annotation\":" NOTE)
    EV("response.output_text.done", 7, AT("msg_", 0) ",\"content_index\":0,\"text\":\"a\\n\\n---\\n\\n[1] [t](https://u/) - u\",\"logprobs\":[]")
    EV("response.content_part.done", 8, AT("msg_", 0) ",\"content_index\":0,\"part\":" OT("a\\n\\n---\\n\\n[1] [t](https://u/) - u", NOTE))
    EV("response.output_item.done", 9, ",\"output_index\":0,\"item\":" MSG(0, OT("a\\n\\n---\\n\\n[1] [t](https://u/) - u", NOTE), "completed"))
    EV("response.completed", 10, ",\"response\":" OBJ("9", "completed", "null", "null", MSG(0, OT("a\\n\\n---\\n\\n[1] [t](https://u/) - u", NOTE), "completed"), USED)) },
};

static void t_exact_events(void)
{
  for(size_t i = 0; i < sizeof exact / sizeof exact[0]; i++) {
    struct out o = make(true, false);
    struct strbuf b = STRBUF(1 << 20);
    struct seen s;
    t_row = exact[i].name;
    play(&o, exact[i].steps, &b);
    CHECK_STR(strbuf_str(&b), str_z(exact[i].want));
    check_stream(strbuf_str(&b), &s);
    seen_free(&s);
    strbuf_free(&b);
    out_free(&o);
  }
}

/* The object of a collected answer is the one the stream ends with. */
static void t_every_sequence(void)
{
  static const char *const calls[] = { "T:x", "A:a", "S", "C:{\"a\":1}", "X:", "P:https://u/p.png" };
  static const char *const ends[] = { "", " L", " F", " E" };
  int count = 0;
  for(int length = 0; length <= 4; length++) {
    int all = 1;
    for(int i = 0; i < length; i++) all *= 6;
    for(int k = 0; k < all * 4; k++, count++) {
      char steps[100] = " "; /* begins, and says nothing */
      int rest = k / 4;
      bool called = false, fits = true;
      for(int i = 0; i < length; i++, rest /= 6) {
        bool call = rest % 6 == 3 || rest % 6 == 4;
        if(called && !call) fits = false; /* calls come last */
        called |= call;
        strcat(strcat(steps, i ? " " : ""), calls[rest % 6]);
      }
      strcat(steps, ends[k % 4]);
      if(!fits) continue;
      struct strbuf b = STRBUF(1 << 20), body = STRBUF(1 << 20);
      struct out o = make(true, false), w = make(false, false);
      struct seen s;
      t_row = steps;
      play(&o, steps + 1, &b);
      check_stream(strbuf_str(&b), &s);
      play(&w, steps + 1, &body);
      if(k % 4 != 3) {
        CHECK_STR(strbuf_str(&body), strbuf_str(&o.final));
        CHECK_STR(strbuf_str(&w.final), strbuf_str(&o.final));
        CHECK_INT(str_find(strbuf_str(&body), S("\"type\":\"message\"")) >= 0, s.text.n > 0); /* no message without text */
      } else {
        CHECK_STR(strbuf_str(&body), S("{\"error\":{\"message\":\"Slow down. Please try again in 20s.\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}"));
      }
      CHECK_INT(out_shown(&o), strpbrk(steps, "TACXP") != NULL || (strchr(steps, 'S') && s.text.n));
      CHECK_INT(b.err, Q_OK);
      seen_free(&s);
      strbuf_free(&b);
      strbuf_free(&body);
      out_free(&o);
      out_free(&w);
    }
  }
  CHECK_INT(count, (1 + 6 + 36 + 216 + 1296) * 4);
  t_row = "";
}

static void t_places_of_sources(void)
{
  static const struct { const char *steps, *think, *text; enum think_out mode; bool no_block; } rows[] = {
    { "S T:x A:a", "[1] [t](https://u/) - u\n\nx", "a", THINK_OUT_FIELD, false },
    { "T:x S A:a", "x\n\n[1] [t](https://u/) - u\n\n", "a", THINK_OUT_FIELD, false },
    { "S T:x A:a", "", "a\n\n---\n\n[1] [t](https://u/) - u", THINK_OUT_NONE, false },
    { "S A:a", "", "a", THINK_OUT_FIELD, true },
    { "T:x A:a", "x", "a", THINK_OUT_TAGS, false }, /* reasoning has an item of its own, whatever the mode */
    { "A:a S T:x A:b", "x", "ab\n\n---\n\n[1] [t](https://u/) - u", THINK_OUT_FIELD, false }, /* two messages */
    { "P:https://u/1 P:https://u/2", "", "![image](https://u/1)\n\n![image](https://u/2)", THINK_OUT_FIELD, false },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct out o = make(true, false);
    struct strbuf b = STRBUF(1 << 20);
    struct seen s;
    t_row = rows[i].steps;
    o.think_out = rows[i].mode;
    o.no_block = rows[i].no_block;
    play(&o, rows[i].steps, &b);
    check_stream(strbuf_str(&b), &s);
    CHECK_STR(strbuf_str(&s.think), str_z(rows[i].think));
    CHECK_STR(strbuf_str(&s.text), str_z(rows[i].text));
    int told = 0;
    for(struct str rest = strbuf_str(&b), mark = S("event: response.output_text.annotation.added"); str_find(rest, mark) >= 0; told++)
      rest = str_sub(rest, (size_t)str_find(rest, mark) + 1, rest.n);
    CHECK_INT(told, strchr(rows[i].steps, 'S') != NULL); /* once, in the message that was open */
    seen_free(&s);
    strbuf_free(&b);
    out_free(&o);
  }
}

static void t_encrypted_only_if_asked(void)
{
  for(int asked = 0; asked < 2; asked++)
    for(int stream = 0; stream < 2; stream++) {
      struct out o = make(stream, asked);
      struct strbuf b = STRBUF(1 << 20);
      play(&o, "T:x A:a", &b);
      CHECK_INT(str_find(strbuf_str(&b), S("\"encrypted_content\":\"")) >= 0, asked);
      CHECK(str_find(strbuf_str(&b), S("\"+")) < 0 && str_find(strbuf_str(&b), S("+,")) < 0); /* the mark is not shown */
      strbuf_free(&b);
      out_free(&o);
    }
}

/* A call of a tool that stood in a group is told with both names, also when its group had to be put in front. */
static void t_groups_of_tools(void)
{
  static const struct { const char *called, *said; } rows[] = {
    { "top", "\"name\":\"top\",\"arguments\"" }, { "shared", "\"name\":\"shared\",\"arguments\"" },
    { "inner", "\"name\":\"inner\",\"namespace\":\"g\",\"arguments\"" }, { "h__shared", "\"name\":\"shared\",\"namespace\":\"h\",\"arguments\"" },
    { "g", "\"name\":\"g\",\"arguments\"" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct out o = make(true, false);
    struct strbuf b = STRBUF(1 << 20);
    struct out_call c = { "zzzzzzzzzzzzzzzzzzzzzzzz", str_z(rows[i].called), S("{}"), false };
    struct usage u = { .prompt = 1 };
    struct seen s;
    t_row = rows[i].called;
    strbuf_lit(&o.echo, ",\"tools\":[{\"type\":\"function\",\"name\":\"top\"},{\"type\":\"function\",\"name\":\"shared\"},"
                        "{\"type\":\"namespace\",\"name\":\"g\",\"tools\":[{\"type\":\"function\",\"name\":\"inner\"}]},"
                        "{\"type\":\"namespace\",\"name\":\"h\",\"tools\":[{\"type\":\"function\",\"name\":\"shared\"}]}]");
    o.ops->begin(&o, &b);
    o.ops->call(&o, &c, &b);
    o.ops->finish(&o, FINISH_CALLS, &b);
    o.ops->end(&o, &u, &b);
    check_stream(strbuf_str(&b), &s);
    int told = 0;
    for(struct str rest = strbuf_str(&b); str_find(rest, str_z(rows[i].said)) >= 0; told++)
      rest = str_sub(rest, (size_t)str_find(rest, str_z(rows[i].said)) + 1, rest.n);
    CHECK_INT(told, strchr(rows[i].said, 's') && strstr(rows[i].said, "namespace") ? 3 : 4); /* added, done, final; and the done event where names are one */
    seen_free(&s);
    strbuf_free(&b);
    out_free(&o);
  }
}

static void t_codes_of_failures(void)
{
  static const struct { enum q_status st; int wait; const char *msg, *code, *said; } rows[] = {
    { Q_UP_BUSY, 20, "Slow.", "rate_limit_exceeded", "Slow. Please try again in 20s." },
    { Q_UP_PARALLEL, 0, "Slow.", "rate_limit_exceeded", "Slow. Please try again in 30s." },
    { Q_UP_BUSY, 20, "Try again in 7s.", "rate_limit_exceeded", "Try again in 7s." },
    { Q_MEDIA_QUOTA, 60, "Used up.", "rate_limit_exceeded", "Used up. Please try again in 60s." },
    { Q_UP_QUOTA, 60, "Used up.", "insufficient_quota", "Used up." },
    { Q_UP_MODEL_QUOTA, 60, "Used up.", "insufficient_quota", "Used up." },
    { Q_TOO_LONG, 0, "Too long.", "context_length_exceeded", "Too long." },
    { Q_UP_CUT, 0, "Cut.", "server_error", "Cut." },
    { Q_SHUTDOWN, 0, "Ends.", "server_error", "Ends." },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct out o = make(true, false);
    struct strbuf b = STRBUF(1 << 20), want = STRBUF(1000);
    struct q_error e = Q_ERROR_NONE;
    struct seen s;
    status_fail(&e, rows[i].st, NULL, "%s", rows[i].msg);
    e.retry_after_s = rows[i].wait;
    o.ops->begin(&o, &b);
    o.ops->error(&o, &e, &b);
    check_stream(strbuf_str(&b), &s);
    strbuf_fmt(&want, "\"error\":{\"code\":\"%s\",\"message\":\"%s\"}", rows[i].code, rows[i].said);
    CHECK(str_find(strbuf_str(&b), strbuf_str(&want)) >= 0);
    seen_free(&s);
    strbuf_free(&want);
    strbuf_free(&b);
    out_free(&o);
  }
  struct q_error e = Q_ERROR_NONE; /* a long message keeps its last words */
  struct strbuf b = STRBUF(1 << 20);
  struct out o = make(false, false);
  status_fail(&e, Q_UP_BUSY, NULL, "%0470d", 1);
  o.ops->error(&o, &e, &b);
  CHECK(str_find(strbuf_str(&b), S(" Please try again in 30s.")) >= 0);
  strbuf_free(&b);
  out_free(&o);
}

static void t_hostile(void)
{
  struct out o = make(true, false);
  struct strbuf b = STRBUF(4 << 20);
  struct source s = { S("\"]}\\\xff\n"), S("https://x/\"\n)"), STR_NONE };
  struct out_call c = { "zzzzzzzzzzzzzzzzzzzzzzzz", S("f\""), S("{\"a\":\"\\n\xff\"}"), false };
  struct usage u = { .prompt = 1 };
  struct seen seen;
  o.model = S("m\"\n");
  o.ops->sources(&o, &s, 1, &b); /* may come before begin */
  CHECK_INT(b.n, 0);
  o.ops->begin(&o, &b);
  o.ops->think(&o, S("\n\n\"\x01\xff"), &b);
  o.ops->text(&o, S("data: [DONE]\n\nevent: x\xed\xa0\x80"), &b);
  for(int i = 0; i < 64; i++) o.ops->sources(&o, &s, 1, &b);
  o.ops->call(&o, &c, &b);
  o.ops->finish(&o, FINISH_CALLS, &b);
  o.ops->end(&o, &u, &b);
  check_stream(strbuf_str(&b), &seen);
  CHECK_INT(b.err, Q_OK);
  CHECK_INT(seen.items, 3);
  strbuf_clear(&b);
  o.ops->heartbeat(&o, &b);
  CHECK_STR(strbuf_str(&b), S(": keep-alive\n\n"));
  seen_free(&seen);
  strbuf_free(&b);
  out_free(&o);
}

static void t_forget(void)
{
  struct out o = make(false, false);
  struct strbuf b = STRBUF(1 << 20);
  struct usage u = { .prompt = 3, .completion = 5, .reasoning = 2, .cached = 1 };
  o.ops->begin(&o, &b);
  o.ops->think(&o, S("old"), &b);
  o.ops->text(&o, S("old"), &b);
  out_forget(&o);
  o.ops->text(&o, S("ab"), &b);
  o.ops->finish(&o, FINISH_STOP, &b);
  o.ops->end(&o, &u, &b);
  CHECK_STR(strbuf_str(&b), S(OBJ("9", "completed", "null", "null", MSG(0, OT("ab", ""), "completed"), USED)));
  strbuf_free(&b);
  out_free(&o);
}

/* Out of memory at any point: the builder says so, and nothing leaks. */
static void t_out_of_memory(void)
{
  long before = mem_live();
  for(long n = 0;; n++) {
    struct out o = make(true, true);
    struct strbuf b = STRBUF(1 << 20);
    fault_arm(n, true);
    play(&o, "S T:x A:a P:u C:{}", &b);
    bool hit = fault_disarm();
    if(!hit) CHECK_INT(b.err, Q_OK);
    else CHECK(b.err == Q_NOMEM || str_ends(strbuf_str(&b), S("}\n\n")));
    strbuf_free(&b);
    out_free(&o);
    if(!hit) break;
  }
  CHECK_INT(mem_live(), before);
}

T_MAIN(T(t_exact_events), T(t_every_sequence), T(t_places_of_sources), T(t_encrypted_only_if_asked), T(t_groups_of_tools), T(t_codes_of_failures), T(t_hostile), T(t_forget),
       T(t_out_of_memory))
