/* Anthropic answers (api 6.3, 6.4, 6.8): exact bytes, every order of pieces, errors at every stage. */
#include "proto/anthropic.h"

#include "base/mem.h"
#include "t.h"

static struct out make(bool stream, bool thinks)
{
  struct out o = { .ops = stream ? &anthropic_stream : &anthropic_whole, .id = "msg_01", .model = S("claude-sonnet-4-5"), .created_s = 7, .stream = stream,
                   .think_out = thinks ? THINK_OUT_FIELD : THINK_OUT_NONE, .search_text = true, .prompt_tokens = 412 };
  return o;
}

/* T think, A answer, S source, I picture, C call */
static void step(struct out *o, struct str what, struct strbuf *b)
{
  struct str text = str_sub(what, 2, what.n);
  struct source source = { S("t"), S("https://u/"), STR_NONE };
  struct out_call call = { .id = "7b", .name = text, .args = S("{\"city\":\"Paris\"}") };
  switch(what.p[0]) {
  case 'T': o->ops->think(o, text, b); break;
  case 'A': o->ops->text(o, text, b); break;
  case 'S': o->ops->sources(o, &source, 1, b); break;
  case 'I': o->ops->image(o, text, STR_NONE, b); break;
  case 'C': o->ops->call(o, &call, b); break;
  default: CHECK(false);
  }
}

static void play(struct out *o, const char *steps, struct strbuf *b)
{
  struct str rest = str_z(steps);
  o->ops->begin(o, b);
  while(rest.n) step(o, str_cut(&rest, ' '), b);
}

static void close_it(struct out *o, enum finish why, struct strbuf *b)
{
  struct usage u = { .prompt = 405, .completion = 57 };
  o->ops->finish(o, why, b);
  o->ops->end(o, &u, b);
}

#define START "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[]," \
  "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":412,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\n"
#define PING "event: ping\ndata: {\"type\":\"ping\"}\n\n"
#define OPEN(i, block) "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":" #i ",\"content_block\":" block "}\n\n"
#define DELTA(i, delta) "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":" #i ",\"delta\":" delta "}\n\n"
#define SHUT(i) "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":" #i "}\n\n"
#define END(why, sequence) "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" why "\",\"stop_sequence\":" sequence "},\"usage\":{\"input_tokens\":405,\"output_tokens\":57}}\n\n" \
  "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define SIGNED0 "cTJhOm1zZ18wMTow" /* base64 of q2a:msg_01:0 */

static void t_api_6_4_exact_bytes(void)
{
  struct out o = make(true, true);
  struct strbuf b = STRBUF(1 << 20);
  play(&o, "T:Need T:ed. C:get_weather", &b);
  close_it(&o, FINISH_CALLS, &b);
  CHECK_STR(strbuf_str(&b), S(START PING OPEN(0, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}") DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"Need\"}")
    DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"ed.\"}") DELTA(0, "{\"type\":\"signature_delta\",\"signature\":\"" SIGNED0 "\"}") SHUT(0)
    OPEN(1, "{\"type\":\"tool_use\",\"id\":\"toolu_7b\",\"name\":\"get_weather\",\"input\":{}}") DELTA(1, "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"city\\\":\\\"Paris\\\"}\"}") SHUT(1)
    END("tool_use", "null")));
  out_free(&o);
  strbuf_clear(&b);
  o = make(true, true);
  play(&o, "T:x A:a A:b", &b);
  o.ops->heartbeat(&o, &b);
  o.ops->text(&o, S("\"c\"\n"), &b);
  close_it(&o, FINISH_STOP, &b);
  CHECK_STR(strbuf_str(&b), S(START PING OPEN(0, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}") DELTA(0, "{\"type\":\"thinking_delta\",\"thinking\":\"x\"}")
    DELTA(0, "{\"type\":\"signature_delta\",\"signature\":\"" SIGNED0 "\"}") SHUT(0) OPEN(1, "{\"type\":\"text\",\"text\":\"\"}") DELTA(1, "{\"type\":\"text_delta\",\"text\":\"a\"}")
    DELTA(1, "{\"type\":\"text_delta\",\"text\":\"b\"}") PING DELTA(1, "{\"type\":\"text_delta\",\"text\":\"\\\"c\\\"\\n\"}") SHUT(1) END("end_turn", "null")));
  out_free(&o);
  strbuf_free(&b);
}

static void t_api_6_3_whole_answer(void)
{
  struct out o = make(false, true);
  struct strbuf b = STRBUF(1 << 20);
  play(&o, "T:x T:y A:I A:_look. C:get_weather", &b);
  CHECK_INT(b.n, 0);
  close_it(&o, FINISH_CALLS, &b);
  CHECK_STR(strbuf_str(&b), S("{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"xy\",\"signature\":\"" SIGNED0 "\"},"
    "{\"type\":\"text\",\"text\":\"I_look.\"},{\"type\":\"tool_use\",\"id\":\"toolu_7b\",\"name\":\"get_weather\",\"input\":{\"city\":\"Paris\"}}],\"stop_reason\":\"tool_use\",\"stop_sequence\":null,"
    "\"usage\":{\"input_tokens\":405,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":57}}"));
  out_free(&o);
  strbuf_free(&b);
}

/* ---- a client that believes nothing: puts a stream together as the SDK does, and checks its order ---- */

struct heard {
  struct strbuf content;  /* blocks as "T:text;", "A:text;", "C:name{args};" */
  struct str stop, sequence;
  int starts, stops, pings, errors, blocks;
};

static void hear_block(struct heard *h, const struct json *block, struct str think, struct str text, struct str args)
{
  struct str type = json_str(json_get(block, "type"));
  if(str_eq(type, S("thinking"))) strbuf_fmt(&h->content, "T:%.*s;", STR_F(think));
  else if(str_eq(type, S("text"))) strbuf_fmt(&h->content, "A:%.*s;", STR_F(text));
  else if(str_eq(type, S("tool_use"))) strbuf_fmt(&h->content, "C:%.*s%.*s;", STR_F(json_str(json_get(block, "name"))), STR_F(args));
  else CHECK(false);
  h->blocks++;
}

static void hear_stream(struct heard *h, struct str raw, struct arena *a)
{
  const struct json *block = NULL;
  struct strbuf text = STRBUF(1 << 20);
  bool signed_ = false;
  while(raw.n) {
    ptrdiff_t end = str_find(raw, S("\n\n"));
    CHECK(end >= 0);
    if(end < 0) break;
    struct str event = str_sub(raw, 0, (size_t)end), name, data;
    raw = str_sub(raw, (size_t)end + 2, raw.n);
    if(str_starts(event, S(":"))) {
      CHECK_INT(h->starts, 0); /* comments only before the first event */
      continue;
    }
    CHECK(str_starts(event, S("event: ")));
    name = str_cut(&event, '\n');
    name = str_sub(name, 7, name.n);
    CHECK(str_starts(event, S("data: ")) && str_chr(event, '\n') < 0);
    data = str_sub(event, 6, event.n);
    const struct json *d = json_parse(a, data, 20, NULL);
    CHECK(d != NULL);
    CHECK_STR(json_str(json_get(d, "type")), name);
    CHECK_INT(h->stops + h->errors, 0); /* nothing behind the end */
    int64_t index = -1;
    bool of_block = str_starts(name, S("content_block_"));
    if(of_block) CHECK(json_int(json_get(d, "index"), &index) && index == h->blocks);
    if(str_eq(name, S("message_start"))) h->starts++;
    else if(str_eq(name, S("ping"))) h->pings++;
    else if(str_eq(name, S("error"))) h->errors++;
    else if(str_eq(name, S("content_block_start"))) {
      CHECK(block == NULL && h->starts == 1);
      block = json_get(d, "content_block");
      strbuf_clear(&text);
      signed_ = false;
    } else if(str_eq(name, S("content_block_delta"))) {
      const struct json *delta = json_get(d, "delta");
      struct str type = json_str(json_get(block, "type")), kind = json_str(json_get(delta, "type"));
      CHECK(block != NULL && !signed_);
      if(str_eq(kind, S("signature_delta"))) signed_ = json_str(json_get(delta, "signature")).n > 0;
      else CHECK_STR(kind, str_eq(type, S("thinking")) ? S("thinking_delta") : str_eq(type, S("text")) ? S("text_delta") : S("input_json_delta"));
      strbuf_adds(&text, json_str(json_get(delta, "thinking")));
      strbuf_adds(&text, json_str(json_get(delta, "text")));
      strbuf_adds(&text, json_str(json_get(delta, "partial_json")));
    } else if(str_eq(name, S("content_block_stop"))) {
      CHECK(block != NULL);
      CHECK_INT(signed_, str_eq(json_str(json_get(block, "type")), S("thinking")));
      struct str all = strbuf_str(&text);
      hear_block(h, block, all, all, all);
      block = NULL;
    } else if(str_eq(name, S("message_delta"))) {
      CHECK(block == NULL);
      h->stop = json_str(json_path(d, "delta.stop_reason"));
      h->sequence = json_str(json_path(d, "delta.stop_sequence"));
    } else if(str_eq(name, S("message_stop"))) h->stops++;
    else CHECK(false);
  }
  strbuf_free(&text);
}

static void hear_whole(struct heard *h, struct str raw, struct arena *a)
{
  const struct json *d = json_parse(a, raw, 20, NULL);
  CHECK(d != NULL);
  for json_each(block, json_get(d, "content")) {
    struct strbuf args = STRBUF(1 << 16);
    if(json_get(block, "input")) json_write(json_get(block, "input"), &args);
    if(str_eq(json_str(json_get(block, "type")), S("thinking"))) CHECK(json_str(json_get(block, "signature")).n > 0);
    hear_block(h, block, json_str(json_get(block, "thinking")), json_str(json_get(block, "text")), strbuf_str(&args));
    strbuf_free(&args);
  }
  h->stop = json_str(json_get(d, "stop_reason"));
  h->sequence = json_str(json_get(d, "stop_sequence"));
  h->starts = h->stops = h->pings = 1;
}

static void hear(struct heard *h, struct str raw, bool stream, struct arena *a)
{
  *h = (struct heard){ .content = STRBUF(4 << 20) };
  if(stream) hear_stream(h, raw, a);
  else hear_whole(h, raw, a);
}

#define ROW "[1] [t](https://u/) - u"
static const struct { const char *name, *steps; bool thinks; enum finish why; const char *hit, *content, *stop; } rows[] = {
  { "text", "A:a A:b", 0, FINISH_STOP, "", "A:ab;", "end_turn" },
  { "thought and text", "T:x T:y A:a", 1, FINISH_STOP, "", "T:xy;A:a;", "end_turn" },
  { "a thought nobody asked for", "T:x A:a T:y A:b", 0, FINISH_STOP, "", "A:ab;", "end_turn" },
  { "text, thought, text", "A:a T:x A:b", 1, FINISH_STOP, "", "A:a;T:x;A:b;", "end_turn" },
  { "a thought alone", "T:x", 1, FINISH_STOP, "", "T:x;", "end_turn" },
  { "thought and call", "T:x C:f", 1, FINISH_CALLS, "", "T:x;C:f{\"city\":\"Paris\"};", "tool_use" },
  { "text and two calls", "A:a C:f C:g", 1, FINISH_CALLS, "", "A:a;C:f{\"city\":\"Paris\"};C:g{\"city\":\"Paris\"};", "tool_use" },
  { "a call alone", "C:f", 0, FINISH_CALLS, "", "C:f{\"city\":\"Paris\"};", "tool_use" },
  { "a limit", "A:a", 0, FINISH_LENGTH, "", "A:a;", "max_tokens" },
  { "a stop string", "A:a", 0, FINISH_STOP, "END", "A:a;", "stop_sequence" },
  { "a stop string before everything", "", 0, FINISH_STOP, "END", "A:;", "stop_sequence" },
  { "a limit while only thoughts came, unseen", "T:x", 0, FINISH_LENGTH, "", "A:;", "max_tokens" },
  { "the filter", "A:a", 0, FINISH_FILTER, "", "A:a;", "refusal" },
  { "sources behind the text", "S:s A:a", 0, FINISH_STOP, "", "A:a\n\n---\n\n" ROW ";", "end_turn" },
  { "sources behind a thought", "T:x S:s", 1, FINISH_STOP, "", "T:x;A:" ROW ";", "end_turn" },
  { "sources within", "T:x A:a S:s A:b", 1, FINISH_STOP, "", "T:x;A:ab\n\n---\n\n" ROW ";", "end_turn" },
  { "a picture", "I:https://c/1.png", 0, FINISH_STOP, "", "A:![image](https://c/1.png);", "end_turn" },
  { "two pictures", "I:https://c/1 I:https://c/2", 0, FINISH_STOP, "", "A:![image](https://c/1)\n\n![image](https://c/2);", "end_turn" },
  { "a picture in a text", "A:a I:https://c/1 A:b", 0, FINISH_STOP, "", "A:a![image](https://c/1)\n\nb;", "end_turn" },
  { "a picture, then thoughts", "I:https://c/1 T:x A:b", 1, FINISH_STOP, "", "A:![image](https://c/1);T:x;A:b;", "end_turn" },
};

static void t_both_say_the_same(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for(int stream = 0; stream < 2; stream++) {
      struct out o = make(stream, rows[i].thinks);
      struct arena a = ARENA(16 << 20);
      struct strbuf b = STRBUF(1 << 20);
      struct heard h;
      t_row = rows[i].name;
      play(&o, rows[i].steps, &b);
      o.stop_hit = str_z(rows[i].hit);
      close_it(&o, rows[i].why, &b);
      CHECK_INT(b.err, Q_OK);
      hear(&h, strbuf_str(&b), stream, &a);
      CHECK_STR(strbuf_str(&h.content), str_z(rows[i].content));
      CHECK_STR(h.stop, str_z(rows[i].stop));
      CHECK_STR(h.sequence, str_z(rows[i].hit));
      CHECK(h.starts == 1 && h.stops == 1 && h.errors == 0 && h.blocks > 0);
      strbuf_free(&h.content);
      strbuf_free(&b);
      out_free(&o);
      arena_free(&a);
    }
}

/* Every order of up to six pieces: the same blocks streamed and whole, never none, everything said once. */
static void t_every_order(void)
{
  static const char *const pieces[] = { "T:x", "A:a", "S:s", "I:https://c/", "C:f" };
  int count = 0;
  for(int length = 0, all = 1; length <= 5; length++, all *= 5)
    for(int k = 0; k < all * 2; k++, count++) {
      char steps[120] = "";
      int rest = k / 2;
      for(int i = 0; i < length; i++, rest /= 5) strcat(strcat(steps, i ? " " : ""), pieces[rest % 5]);
      struct heard h[2];
      struct arena a = ARENA(16 << 20);
      t_row = steps;
      for(int stream = 0; stream < 2; stream++) {
        struct out o = make(stream, k % 2);
        struct strbuf b = STRBUF(1 << 20);
        play(&o, steps, &b);
        CHECK_INT(out_shown(&o), strpbrk(steps, "AIC") || (strchr(steps, 'T') && k % 2));
        close_it(&o, strchr(steps, 'C') ? FINISH_CALLS : FINISH_STOP, &b);
        hear(&h[stream], strbuf_str(&b), stream, &a);
        CHECK(h[stream].blocks > 0 && h[stream].starts == 1 && h[stream].stops == 1);
        strbuf_free(&b);
        out_free(&o);
      }
      CHECK_STR(strbuf_str(&h[1].content), strbuf_str(&h[0].content));
      CHECK_INT(str_find(strbuf_str(&h[0].content), S("T:x")) >= 0, strchr(steps, 'T') && k % 2);
      CHECK_INT(str_find(strbuf_str(&h[0].content), S("(https://u/)")) >= 0, strchr(steps, 'S') != NULL);
      strbuf_free(&h[0].content);
      strbuf_free(&h[1].content);
      arena_free(&a);
    }
  CHECK_INT(count, 3906 * 2);
  t_row = "";
}

/* Where a stream breaks the open block stays open, one error event follows, and nothing else. */
static void t_errors_at_each_stage(void)
{
  static const char *const stages[] = { NULL, "", "T:x", "T:x A:a", "A:a", "C:f", "S:s" };
  for(size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
    struct out o = make(true, true);
    struct strbuf b = STRBUF(1 << 20);
    struct q_error e = Q_ERROR_NONE;
    t_row = stages[i] ? stages[i] : "before the beginning";
    status_fail(&e, Q_UP_CUT, NULL, "cut \"here\"");
    if(stages[i]) play(&o, stages[i], &b);
    else o.ops->heartbeat(&o, &b);
    size_t before = b.n;
    o.ops->error(&o, &e, &b);
    CHECK_STR(str_sub(strbuf_str(&b), before, b.n), S("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"cut \\\"here\\\"\"}}\n\n"));
    CHECK_INT(str_find(strbuf_str(&b), S("content_block_stop")) >= 0, stages[i] && strpbrk(stages[i], "AC") && strcmp(stages[i], "A:a") != 0);
    if(!stages[i]) CHECK_STR(str_sub(strbuf_str(&b), 0, before), S(": keep-alive\n\n"));
    strbuf_free(&b);
    out_free(&o);
  }
}

/* api 6.8: the word and the status of every error there is. */
static void t_api_6_8_errors(void)
{
  static const struct { int http; const char *type; } types[] = {
    { 400, "invalid_request_error" }, { 401, "authentication_error" }, { 403, "permission_error" }, { 404, "not_found_error" }, { 405, "invalid_request_error" },
    { 408, "invalid_request_error" }, { 409, "invalid_request_error" }, { 413, "request_too_large" }, { 414, "invalid_request_error" }, { 415, "invalid_request_error" },
    { 422, "invalid_request_error" }, { 426, "invalid_request_error" }, { 429, "rate_limit_error" }, { 431, "invalid_request_error" }, { 499, "invalid_request_error" },
    { 500, "api_error" }, { 502, "api_error" }, { 503, "api_error" }, { 504, "timeout_error" }, { 529, "overloaded_error" },
  };
  for(int st = Q_CLIENT_GONE; st < Q_STATUS_COUNT; st++) {
    struct strbuf b = STRBUF(10000);
    struct q_error e = Q_ERROR_NONE;
    char want[200];
    const char *type = "";
    status_fail(&e, (enum q_status)st, "field", "words");
    t_row = status_row(e.st)->name;
    int http = anthropic_status(&e);
    CHECK_INT(http, st == Q_OVERLOADED ? 529 : status_row(e.st)->http);
    for(size_t i = 0; i < sizeof types / sizeof types[0]; i++)
      if(types[i].http == http) type = types[i].type;
    snprintf(want, sizeof want, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"words\"},\"request_id\":\"req_1\"}", type);
    anthropic_error(&e, S("req_1"), &b);
    CHECK_STR(strbuf_str(&b), str_z(want));
    strbuf_free(&b);
  }
  struct out o = make(false, true);
  struct strbuf b = STRBUF(10000);
  struct q_error e = Q_ERROR_NONE;
  o.echo = STRBUF(100);
  strbuf_lit(&o.echo, "req_2");
  status_fail(&e, Q_UNSUPPORTED, "thread", "no threads");
  o.ops->error(&o, &e, &b); /* api 6.2: what makes the SDK go on without a thread */
  CHECK_STR(strbuf_str(&b), S("{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"no threads\",\"details\":{\"error_code\":\"thread_unsupported_request\",\"unsupported\":[\"thread\"]}},"
                              "\"request_id\":\"req_2\"}"));
  strbuf_free(&b);
  out_free(&o);
}

/* An abandoned attempt leaves nothing in the answer that is collected behind it. */
static void t_forget(void)
{
  static const char *const old[] = { "T:old", "A:old", "T:old A:old S:s", "A:old C:f", "I:https://old/" };
  for(size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
    struct out o = make(false, true);
    struct arena a = ARENA(1 << 20);
    struct strbuf b = STRBUF(1 << 20);
    struct heard h;
    t_row = old[i];
    play(&o, old[i], &b);
    out_forget(&o);
    o.ops->think(&o, S("n"), &b);
    o.ops->text(&o, S("new"), &b);
    close_it(&o, FINISH_STOP, &b);
    hear(&h, strbuf_str(&b), false, &a);
    CHECK_STR(strbuf_str(&h.content), S("T:n;A:new;"));
    CHECK_STR(h.stop, S("end_turn"));
    strbuf_free(&h.content);
    strbuf_free(&b);
    out_free(&o);
    arena_free(&a);
  }
}

/* Texts of any bytes are valid JSON; sources beyond all bounds never break it; no memory is told. */
static void t_hostile(void)
{
  static char wide[4000];
  memset(wide, ')', sizeof wide);
  memcpy(wide, "https://x/", 10);
  for(int stream = 0; stream < 2; stream++) {
    struct out o = make(stream, true);
    struct arena a = ARENA(64 << 20);
    struct strbuf b = STRBUF(8 << 20);
    struct heard h;
    struct source s = { S("\"]}\\\xff"), str_of(wide, sizeof wide), STR_NONE };
    o.block = STRBUF(30000); /* enough for two */
    play(&o, "A:a", &b);
    o.ops->text(&o, S("\"\x01\xff\n"), &b);
    for(int i = 0; i < DELTA_SOURCES_MAX; i++) o.ops->sources(&o, &s, 1, &b);
    close_it(&o, FINISH_STOP, &b);
    CHECK_INT(b.err, Q_OK);
    hear(&h, strbuf_str(&b), stream, &a);
    CHECK(str_starts(strbuf_str(&h.content), S("A:a\"\x01\xef\xbf\xbd\n\n\n---\n\n[1] ")));
    CHECK(str_find(strbuf_str(&h.content), S("\n[2] ")) > 0 && str_find(strbuf_str(&h.content), S("\n[3] ")) < 0);
    strbuf_free(&h.content);
    strbuf_free(&b);
    out_free(&o);
    arena_free(&a);
  }
  for(long n = 0;; n++) {
    struct out o = make(n % 2, true);
    struct strbuf b = STRBUF(1 << 20);
    fault_arm(n / 2, true);
    play(&o, "T:x A:a S:s C:f", &b);
    close_it(&o, FINISH_CALLS, &b);
    bool hit = fault_disarm();
    if(hit) CHECK_INT(b.err, Q_NOMEM);
    strbuf_free(&b);
    out_free(&o);
    CHECK_INT(mem_live(), 0);
    if(!hit && n % 2) break;
  }
}

T_MAIN(T(t_api_6_4_exact_bytes), T(t_api_6_3_whole_answer), T(t_both_say_the_same), T(t_every_order), T(t_errors_at_each_stage), T(t_api_6_8_errors), T(t_forget), T(t_hostile))
