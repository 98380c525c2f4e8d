/* OpenAI answers: the streamed and the collected writer say the same, in the documented shape. */
#include "proto/openai.h"

#include "t.h"

/* T think, A answer, S sources */
static const struct { const char *name, *steps; enum think_out think; bool text_list; const char *content, *reasoning; } rows[] = {
  { "text", "A:a A:b", THINK_OUT_FIELD, 0, "ab", "" },
  { "reasoning", "T:x T:y A:a", THINK_OUT_FIELD, 0, "a", "xy" },
  { "hidden", "T:x A:a", THINK_OUT_NONE, 0, "a", "" },
  { "tags", "T:x T:y A:a", THINK_OUT_TAGS, 0, "<think>\n\nxy\n\n</think>\na", "" },
  { "tags without an answer", "T:x", THINK_OUT_TAGS, 0, "<think>\n\nx\n\n</think>\n", "" },
  { "sources behind the content", "S:u A:a", THINK_OUT_FIELD, 1, "a\n\n---\n\n[1] [t](https://u/) - u", "" },
  { "as a table", "A:a S:u", THINK_OUT_FIELD, 0, "a\n\n---\n\n| # | Source | Site |\n|---:|:---|:---|\n| 1 | [t](https://u/) | u |", "" },
  { "sources at the head of the reasoning", "S:u T:x A:a", THINK_OUT_FIELD, 1, "a", "[1] [t](https://u/) - u\n\nx" },
  { "sources within the reasoning", "T:x S:u T:y A:a", THINK_OUT_FIELD, 1, "a", "x\n\n[1] [t](https://u/) - u\n\ny" },
  { "sources between reasoning and answer", "T:x S:u A:a", THINK_OUT_FIELD, 1, "a", "x\n\n[1] [t](https://u/) - u\n\n" },
  { "reasoning and sources, no answer", "T:x S:u", THINK_OUT_FIELD, 1, "", "x\n\n[1] [t](https://u/) - u\n\n" },
  { "sources alone", "S:u", THINK_OUT_FIELD, 1, "\n\n---\n\n[1] [t](https://u/) - u", "" },
  { "sources in the tags", "S:u T:x A:a", THINK_OUT_TAGS, 1, "<think>\n\n[1] [t](https://u/) - u\n\nx\n\n</think>\na", "" },
  { "sources while the reasoning is hidden", "S:u T:x A:a", THINK_OUT_NONE, 1, "a\n\n---\n\n[1] [t](https://u/) - u", "" },
  { "sources within the answer", "T:x A:a S:u A:b", THINK_OUT_FIELD, 1, "ab\n\n---\n\n[1] [t](https://u/) - u", "x" },
  { "nothing visible but reasoning", "T:x", THINK_OUT_FIELD, 0, "", "x" },
};

static void play(struct out *o, const char *steps, struct strbuf *b)
{
  struct str rest = str_z(steps);
  struct source source = { S("t"), S("https://u/"), STR_NONE };
  o->ops->begin(o, b);
  while(rest.n) {
    struct str step = str_cut(&rest, ' '), text = str_sub(step, 2, step.n);
    if(step.p[0] == 'T') o->ops->think(o, text, b);
    if(step.p[0] == 'A') o->ops->text(o, text, b);
    if(step.p[0] == 'S') o->ops->sources(o, &source, 1, b);
  }
}

static struct out make(bool stream, enum think_out think, bool text_list)
{
  struct out o = { .ops = stream ? &openai_stream : &openai_whole, .id = "chatcmpl-1", .model = S("m"), .created_s = 7, .stream = stream,
                   .think_out = think, .search_text = text_list };
  return o;
}

struct heard { struct strbuf content, reasoning; int roles, finishes, usages, dones, chunks, annotations; };

static void listen(struct heard *h, struct str raw, bool stream)
{
  struct arena a = ARENA(16 << 20);
  *h = (struct heard){ .content = STRBUF(4 << 20), .reasoning = STRBUF(4 << 20) };
  while(raw.n) {
    struct str line = stream ? str_cut(&raw, '\n') : raw;
    if(!stream) raw = STR_NONE;
    if(stream && line.n == 0) continue;
    if(stream) CHECK(str_starts(line, S("data: ")));
    struct str data = stream ? str_sub(line, 6, line.n) : line;
    if(str_eq(data, S("[DONE]"))) {
      h->dones++;
      CHECK_INT(raw.n, 1); /* nothing behind it but its blank line */
      continue;
    }
    const struct json *r = json_parse(&a, data, 20, NULL);
    CHECK(r != NULL);
    h->chunks++;
    CHECK_STR(json_str(json_get(r, "id")), S("chatcmpl-1"));
    CHECK_STR(json_str(json_get(r, "object")), stream ? S("chat.completion.chunk") : S("chat.completion"));
    CHECK_STR(json_str(json_get(r, "model")), S("m"));
    const struct json *c = json_path(r, "choices.0"), *m = json_get(c, stream ? "delta" : "message");
    h->roles += json_get(m, "role") != NULL;
    h->finishes += json_is(json_get(c, "finish_reason"), JSON_STRING);
    h->usages += json_is(json_get(r, "usage"), JSON_OBJECT);
    h->annotations += json_is(json_get(m, "annotations"), JSON_ARRAY);
    strbuf_adds(&h->content, json_str(json_get(m, "content")));
    strbuf_adds(&h->reasoning, json_str(json_get(m, "reasoning_content")));
  }
  arena_free(&a);
}

static void t_both_say_the_same(void)
{
  struct usage u = { .prompt = 1, .completion = 2 };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for(int stream = 0; stream < 2; stream++) {
      struct out o = make(stream, rows[i].think, rows[i].text_list);
      struct strbuf b = STRBUF(1 << 20);
      struct heard h;
      t_row = rows[i].name;
      play(&o, rows[i].steps, &b);
      if(!stream) CHECK_INT(b.n, 0);
      o.ops->finish(&o, FINISH_STOP, &b);
      o.ops->end(&o, &u, &b);
      listen(&h, strbuf_str(&b), stream);
      CHECK_STR(strbuf_str(&h.content), str_z(rows[i].content));
      CHECK_STR(strbuf_str(&h.reasoning), str_z(rows[i].reasoning));
      CHECK_INT(h.roles, 1);
      CHECK_INT(h.finishes, 1);
      CHECK_INT(h.usages, 1);
      CHECK_INT(h.dones, stream);
      CHECK_INT(h.annotations, strchr(rows[i].steps, 'S') != NULL);
      strbuf_free(&h.content);
      strbuf_free(&h.reasoning);
      strbuf_free(&b);
      out_free(&o);
    }
}

/* Every sequence of up to five calls, in every mode: the same words, streamed or whole. */
static void t_every_sequence(void)
{
  static const char *const calls[] = { "T:x", "A:a", "S:u" };
  struct usage u = { .prompt = 1 };
  int count = 0;
  for(int length = 0; length <= 5; length++) {
    int all = 1;
    for(int i = 0; i < length; i++) all *= 3;
    for(int k = 0; k < all * 6; k++, count++) {
      char steps[40] = "";
      int rest = k / 6;
      for(int i = 0; i < length; i++, rest /= 3) strcat(strcat(steps, i ? " " : ""), calls[rest % 3]);
      enum think_out think = k % 3 == 0 ? THINK_OUT_FIELD : k % 3 == 1 ? THINK_OUT_TAGS : THINK_OUT_NONE;
      struct heard h[2];
      t_row = steps;
      for(int stream = 0; stream < 2; stream++) {
        struct out o = make(stream, think, k / 3 % 2);
        struct strbuf b = STRBUF(1 << 20);
        play(&o, steps, &b);
        CHECK_INT(out_shown(&o), strchr(steps, 'A') || (strchr(steps, 'T') && think != THINK_OUT_NONE));
        o.ops->finish(&o, FINISH_STOP, &b);
        o.ops->end(&o, &u, &b);
        listen(&h[stream], strbuf_str(&b), stream);
        strbuf_free(&b);
        out_free(&o);
      }
      CHECK_STR(strbuf_str(&h[1].content), strbuf_str(&h[0].content));
      CHECK_STR(strbuf_str(&h[1].reasoning), strbuf_str(&h[0].reasoning));
      CHECK_INT(h[1].roles, 1);
      CHECK_INT(h[1].finishes, 1);
      CHECK_INT(h[1].dones, 1);
      struct str content = strbuf_str(&h[0].content);
      CHECK_INT(str_find(content, S("<think>")) >= 0, str_find(content, S("</think>")) >= 0); /* what is opened is closed */
      int sources = 0, printed = 0;
      for(const char *s = steps; *s; s++) sources += *s == 'S';
      for(int flow = 0; flow < 2; flow++) {
        struct str s = flow ? strbuf_str(&h[0].reasoning) : content;
        for(ptrdiff_t at; (at = str_find(s, S("(https://u/)"))) >= 0; s = str_sub(s, (size_t)at + 1, s.n)) printed++;
      }
      CHECK_INT(printed, sources); /* each once */
      for(int i = 0; i < 2; i++) {
        strbuf_free(&h[i].content);
        strbuf_free(&h[i].reasoning);
      }
    }
  }
  CHECK_INT(count, 364 * 6);
  t_row = "";
}

/* Tags mode: the marks come in chunks of their own, the closing one whatever happens. */
static void t_tags_have_chunks_of_their_own(void)
{
  struct out o = make(true, THINK_OUT_TAGS, false);
  struct strbuf b = STRBUF(1 << 20);
  struct usage u = { .prompt = 1 };
  play(&o, "T:x A:a", &b);
  o.ops->finish(&o, FINISH_STOP, &b);
  o.ops->end(&o, &u, &b);
  static const char *const deltas[] = { "{\"role\":\"assistant\",\"content\":\"\"}", "{\"content\":\"<think>\\n\\n\"}", "{\"content\":\"x\"}", "{\"content\":\"\\n\\n</think>\\n\"}",
                                        "{\"content\":\"a\"}", "{}" };
  struct str rest = strbuf_str(&b);
  for(int i = 0; i < 6; i++) {
    ptrdiff_t at = str_find(rest, S("\"delta\":"));
    CHECK(at >= 0);
    rest = str_sub(rest, (size_t)at + 8, rest.n);
    CHECK_STR(str_sub(rest, 0, strlen(deltas[i])), str_z(deltas[i]));
  }
  CHECK(str_find(rest, S("\"delta\":")) < 0);
  strbuf_free(&b);
  out_free(&o);
}

/* Texts of any bytes are valid JSON; sources beyond all bounds never break it. */
static void t_hostile(void)
{
  static char wide[4000];
  struct usage u = { .prompt = 1 };
  memset(wide, ')', sizeof wide);
  memcpy(wide, "https://x/", 10);
  for(int stream = 0; stream < 2; stream++)
    for(int room = 0; room < 2; room++) {
      struct out o = make(stream, THINK_OUT_FIELD, false);
      struct strbuf b = STRBUF(8 << 20);
      struct heard h;
      struct source s = { S("\"]}\\\xff"), str_of(wide, sizeof wide), STR_NONE };
      o.model = S("m");
      if(room) o.block = o.annotations = STRBUF(30000); /* enough for two */
      play(&o, "A:a", &b);
      o.ops->text(&o, S("\"\x01\xff\n"), &b);
      for(int i = 0; i < DELTA_SOURCES_MAX; i++) o.ops->sources(&o, &s, 1, &b);
      o.ops->finish(&o, FINISH_STOP, &b);
      o.ops->end(&o, &u, &b);
      CHECK_INT(b.err, Q_OK);
      listen(&h, strbuf_str(&b), stream);
      CHECK(str_starts(strbuf_str(&h.content), S("a\"\x01\xef\xbf\xbd\n\n\n---\n\n| # |")));
      int lines = 0;
      for(size_t i = 0; i < h.content.n; i++) lines += h.content.p[i] == '\n';
      CHECK_INT(lines, 7 + (room ? 2 : DELTA_SOURCES_MAX) - 1);
      CHECK_INT(h.annotations, 1);
      strbuf_free(&h.content);
      strbuf_free(&h.reasoning);
      strbuf_free(&b);
      out_free(&o);
    }
}

static void t_usage_as_asked(void)
{
  static const struct { enum usage_wish wish; int usages; bool null; } rows_[] = { { USAGE_UNSET, 1, false }, { USAGE_NO, 0, false }, { USAGE_YES, 1, true } };
  for(int i = 0; i < 3; i++) {
    struct out o = make(true, THINK_OUT_FIELD, false);
    struct strbuf b = STRBUF(1 << 20);
    struct usage u = { .prompt = 3, .completion = 4 };
    struct heard h;
    o.include_usage = rows_[i].wish;
    play(&o, "A:a", &b);
    o.ops->finish(&o, FINISH_LENGTH, &b);
    o.ops->end(&o, &u, &b);
    listen(&h, strbuf_str(&b), true);
    CHECK_INT(h.usages, rows_[i].usages);
    CHECK_INT(str_find(strbuf_str(&b), S("\"usage\":null")) >= 0, rows_[i].null);
    CHECK(str_find(strbuf_str(&b), S("\"finish_reason\":\"length\"")) >= 0);
    if(rows_[i].usages) CHECK(str_find(strbuf_str(&b), S("\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7")) >= 0);
    strbuf_free(&h.content);
    strbuf_free(&h.reasoning);
    strbuf_free(&b);
    out_free(&o);
  }
}

static void t_errors(void)
{
  struct q_error e = Q_ERROR_NONE;
  struct strbuf b = STRBUF(1 << 20);
  struct out o = make(true, THINK_OUT_TAGS, false);
  status_fail(&e, Q_UP_CUT, NULL, "cut \"here\"");
  play(&o, "T:x", &b);
  o.ops->error(&o, &e, &b);
  CHECK(str_ends(strbuf_str(&b), S("data: {\"error\":{\"message\":\"cut \\\"here\\\"\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"upstream_interrupted\"}}\n\ndata: [DONE]\n\n")));
  CHECK(str_find(strbuf_str(&b), S("</think>")) >= 0); /* guaranteed, also when the stream fails */
  CHECK(str_find(strbuf_str(&b), S("\"finish_reason\":\"")) < 0);
  strbuf_clear(&b);
  out_forget(&o);
  o.ops->error(&o, &e, &b); /* not begun */
  CHECK(str_starts(strbuf_str(&b), S("data: {\"error\":")));
  strbuf_clear(&b);
  o.ops->heartbeat(&o, &b);
  CHECK_STR(strbuf_str(&b), S(": keep-alive\n\n"));
  strbuf_free(&b);
  out_free(&o);
  status_fail(&e, Q_BAD_VALUE, "messages[0].role", "bad");
  openai_error(&e, &b);
  CHECK_STR(strbuf_str(&b), S("{\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\",\"param\":\"messages[0].role\",\"code\":\"invalid_value\"}}"));
  strbuf_free(&b);
}

static void t_forget(void)
{
  struct out o = make(false, THINK_OUT_FIELD, true);
  struct strbuf b = STRBUF(1 << 20);
  struct usage u = { .prompt = 1 };
  struct heard h;
  play(&o, "S:u T:old A:old", &b);
  out_forget(&o);
  o.ops->text(&o, S("new"), &b);
  o.ops->finish(&o, FINISH_STOP, &b);
  o.ops->end(&o, &u, &b);
  listen(&h, strbuf_str(&b), false);
  CHECK_STR(strbuf_str(&h.content), S("new"));
  CHECK_STR(strbuf_str(&h.reasoning), S(""));
  strbuf_free(&h.content);
  strbuf_free(&h.reasoning);
  strbuf_free(&b);
  out_free(&o);
}

T_MAIN(T(t_both_say_the_same), T(t_every_sequence), T(t_tags_have_chunks_of_their_own), T(t_hostile), T(t_usage_as_asked), T(t_errors), T(t_forget))
