/* ---------- the scenarios of completions ---------- */

static void sc_normal(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_echo(const char *args, const struct buf *prompt)
{
  static struct buf q;
  enum { PIECE = 64 << 10 };
  (void)args;
  ev_created();
  for(size_t at = 0, n; at < prompt->n; at += n) {
    n = prompt->n - at < PIECE ? prompt->n - at : PIECE;
    while(at + n < prompt->n && ((unsigned char)prompt->p[at + n] & 0xc0) == 0x80) n--; /* between characters */
    q.n = 0;
    quote(&q, prompt->p + at, n);
    *buf_room(&q, 1) = 0;
    ev_say("answer", q.p);
  }
  ev_end();
  play_end(STEP_END);
}

#define SUM_ANSWER() (ev_say("answer", "\"2 + 2\""), ev_say("answer", "\" = 4\""), ev_end())

static void sc_thinking(const char *args, const struct buf *prompt)
{
  static const struct { int times; const char *titles, *thoughts; } steps[] = {
    { 1, "[\"Reading the task\"]", "[\"The user wants \"]" },
    { 3, "[\"Reading the task\"]", "[\"The user wants a sum.\"]" },
    { 3, "[\"Reading the task\",\"Adding\"]", "[\"The user wants a sum.\",\"It is four.\"]" } };
  (void)args, (void)prompt;
  ev_created();
  for(size_t i = 0; i < NELEM(steps); i++)
    for(int k = 0; k < steps[i].times; k++) {
      char more[256];
      snprintf(more, sizeof more,
               ",\"extra\":{\"summary_title\":{\"content\":%s},\"summary_thought\":{\"content\":%s}}", steps[i].titles,
               steps[i].thoughts);
      ev_delta("assistant", "thinking_summary", "\"\"", "typing", more);
    }
  ev_stop("thinking_summary");
  SUM_ANSWER();
  play_end(STEP_END);
}

static void think(void)
{
  ev_created();
  ev_say("think", "\"Let me \"");
  ev_say("think", "\"count: 2 + 2\"");
  ev_stop("think");
}

static void sc_thinking_detail(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  think();
  SUM_ANSWER();
  play_end(STEP_END);
}

static void sc_think_only(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  think();
  ev_end();
  play_end(STEP_END);
}

static void search_answer(void)
{
  static const char *const parts[] = { "\"It rains \"", "\"[\"", "\"[1\"", "\"]]\"", "\".\"" };
  for(size_t i = 0; i < NELEM(parts); i++) ev_say("answer", parts[i]);
  ev_end();
  play_end(STEP_END);
}

static void sc_search(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_delta("assistant", "web_search", "\"\"", "typing",
           ",\"function_id\":\"round_0_1\",\"function_call\":{\"name\":\"web_search\",\"arguments\":\"{\\\"queries\\\":"
           "[\\\"weather\\\"]}\"}"
           ",\"extra\":{\"display_position\":\"answer\"}");
  ev_delta("function", "web_search", "\"tool text that is not the answer\"", "finished",
           ",\"name\":\"web_search\",\"function_id\":\"round_0_1\",\"extra\":{\"tool_result\":{\"docs\":["
           "{\"url\":\"https://example.org/a\",\"title\":\"A|B [x]\",\"snippet\":\"s\",\"date\":\"2026-03-01\"},"
           "{\"url\":\"https://example.org/b (1)\",\"title\":\"B\"},{\"url\":\"https://example.org/a\",\"title\":\"A "
           "again\"}],\"used_id\":3}}");
  search_answer();
}

static void sc_search_old(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_delta("assistant", "web_search", "\"\"", "typing",
           ",\"extra\":{\"web_search_info\":[{\"url\":\"https://example.org/"
           "a\",\"title\":\"A\",\"snippet\":\"s\",\"hostname\":\"example.org\","
           "\"hostlogo\":null,\"date\":\"\"}]}");
  search_answer();
}

static void sc_slow(const char *args, const struct buf *prompt)
{
  (void)prompt;
  int total = (int)param(args, "s", 0) * 1000, step = pace_ms;
  total = (int)param(args, "ms", total ? total : 5 * pace_ms);
  bool quiet = param(args, "quiet", 0) != 0;
  wait_ms(total < step ? total : step);
  for(int t = step; t < total; t += step) {
    if(!quiet) ev_alive();
    wait_ms(total - t < step ? total - t : step);
  }
  sc_normal(args, prompt);
}

/* What the upstream went on to write after the transport had failed; chat detail tells it when full=1. */
static void rest_of_normal(size_t from)
{
  play.mute = true;
  ev_normal(from, 5);
}

static void sc_stall(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  play_end(STEP_HOLD);
  rest_of_normal(0);
}

static void sc_stall_head(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  play_end(STEP_HOLD);
  rest_of_normal(0);
}

static void sc_stall_midway(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 3);
  play_end(STEP_HOLD);
  rest_of_normal(3);
}

static void three_deltas(enum step_act act)
{
  ev_created();
  ev_normal(0, 3);
  wait_ms(100); /* a reset would overtake what is still under way */
  play_end(act);
  rest_of_normal(3);
}

static void sc_drop(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  three_deltas(STEP_RESET);
}

static void sc_drop_clean(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  three_deltas(STEP_FIN);
}

static void sc_empty(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  play_end(STEP_END);
}

static void sc_created_only(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  play_end(STEP_END);
}

#define EV_INTERNAL() ev("{\"error\":{\"code\":\"internal_error\",\"details\":\"Internal error...\"}}")

static void sc_err_in_stream(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  EV_INTERNAL();
  play_end(STEP_END);
}

static void sc_err_midway(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 3);
  EV_INTERNAL();
  play_end(STEP_END);
}

static void sc_fail_in_sse(const char *args, const struct buf *prompt)
{
  (void)prompt;
  ev_created();
  ev_normal(0, (size_t)param(args, "after", 1) % 6);
  ev("{\"success\":false,\"request_id\":\"f\",\"data\":{\"code\":\"RateLimited\",\"details\":\"Allocated quota "
     "exceeded\"}}");
  play_end(STEP_END);
}

static void sc_moderation(const char *args, const struct buf *prompt)
{
  (void)prompt;
  ev_created();
  ev_normal(0, (size_t)param(args, "after", 0) % 6);
  wait_ms((int)param(args, "ms", 0));
  ev("{\"error\":{\"code\":\"data_inspection_failed\",\"details\":\"Content security warning: inappropriate "
     "content\"}}");
  play_end(STEP_END);
}

static void sc_malformed(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_raw("event: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"bro\n\n: a comment\n\n:\n\ndata:\n\nid: "
         "7\nretry: 10\n\n");
  ev_normal(0, 2);
  ev_raw("data: not json at all\n\n\n\n");
  play.eol = "   \n";
  ev_normal(2, 3);
  play.eol = "\n";
  ev_normal(3, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_with_done(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_end();
  ev("[DONE]");
  play_end(STEP_END);
}

static void sc_no_final_blank(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_end();
  play.b.n -= 2;
  play_end(STEP_END);
}

static void sc_multi_line(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  for(size_t i = 0; i < 5; i++) {
    ev_raw("data: {\"choices\":[{\"delta\":\ndata: {\"role\":\"assistant\",\ndata:\"content\":");
    ev_raw(normal_parts[i]);
    ev_raw(",\"phase\":\"answer\",\"status\":\"typing\"}}]}\n\n");
  }
  ev_end();
  play_end(STEP_END);
}

static void sc_split(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_say("answer", "\" pair \\ud83d\\ude00 raw \xf0\x9f\x98\x80\xf0\x9f\x8f\xb3 \\\"q\\\" \\n\\t\\\\ \\u00e9.\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_split_char_delta(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_say("answer", "\"smile \\ud83d\"");
  ev_say("answer", "\"\\ude00 done\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_cumulative(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_say("answer", "\"The first twenty bytes\"");
  ev_say("answer", "\"The first twenty bytes and more\"");
  ev_say("answer", "\"The first twenty bytes and more and the end\"");
  ev_say("answer", "\"The first twenty bytes and more and the end.\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_repeat(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  for(int i = 0; i < 4; i++) ev_say("answer", i < 3 ? "\"ha \"" : "\"ha\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_two_ids(const char *args, const struct buf *prompt)
{
  static const char other[] = "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"INTRUDER\",\"phase\":"
                              "\"answer\",\"status\":\"%s\"}}],"
                              "\"response_id\":\"another-reply\"}";
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 2);
  ev(other, "typing");
  ev_normal(2, 4);
  ev(other, "finished");
  ev_normal(4, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_unknown_phase(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null,\"phase\":\"foo\",\"status\":\"typing\"}}]" RID
     "}",
     RIDS);
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"held \"}}]" RID "}", RIDS);
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":[{\"text\":\"back\"},\" "
     "here\"],\"phase\":\"foo\"}}]" RID ",\"usage\":"
     "{\"input_tokens\":\"31\",\"output_tokens\":\"20\",\"total_tokens\":\"51\"}}",
     RIDS);
  play_end(STEP_END);
}

static void sc_finish_then_more(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_say("answer", "\"first \"");
  ev_stop("answer");
  ev_say("web_search", "\"\"");
  ev_stop("web_search");
  ev_say("answer", "\"second\"");
  ev_end();
  play_end(STEP_END);
}

static void big_event(size_t n)
{
  ev_created();
  ev_raw("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"");
  memset(buf_room(&play.b, n), 'x', n);
  play.b.n += n;
  ev_raw("\",\"phase\":\"answer\",\"status\":\"typing\"}}]}\n\n");
  ev_normal(0, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_huge(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  big_event(3u << 20);
}

static void sc_too_huge(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  big_event(20u << 20);
}

static void sc_deep(const char *args, const struct buf *prompt)
{
  (void)prompt;
  long depth = param(args, "n", 10000);
  if(depth < 1 || depth > 1000000) depth = 10000;
  ev_created();
  ev_raw("data: ");
  memset(buf_room(&play.b, (size_t)depth * 2), '[', (size_t)depth);
  memset(play.b.p + play.b.n + depth, ']', (size_t)depth);
  play.b.n += (size_t)depth * 2;
  ev_raw("\n\n");
  ev_normal(0, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_late_usage(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_stop("answer");
  wait_ms(pace_ms * 5 / 2);
  ev("{\"choices\":[]" RID "," USAGE "}", RIDS);
  play_end(STEP_END);
}

static void sc_no_usage(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_stop("answer");
  play_end(STEP_END);
}

/* A text in deltas of `step` bytes, never within a character; ms: between them. */
static void say_text(const char *phase, const char *text, size_t n, size_t step, int ms)
{
  static struct buf q;
  for(size_t at = 0, k; at < n; at += k) {
    k = n - at < step ? n - at : step;
    while(at + k < n && ((unsigned char)text[at + k] & 0xc0) == 0x80) k++;
    q.n = 0;
    quote(&q, text + at, k);
    *buf_room(&q, 1) = 0;
    ev_say(phase, q.p);
    if(ms > 0) wait_ms(ms);
  }
}

/* A call of a client's tool as text, cut into three bytes a delta; tag= chooses the envelope. */
static void say_cut(const char *phase, const char *text)
{
  say_text(phase, text, strlen(text), 3, 0);
}

/* Whatever the test wants said. */
static void sc_say(const char *args, const struct buf *prompt)
{
  static struct buf text, think_text, when;
  long step = param(args, "step", 16), ms = param(args, "ms", 0);
  param_b64(args, "b64", &text);
  if(param_b64(args, "when", &when) && when.n && memmem(prompt->p, prompt->n, when.p, when.n)) param_b64(args, "then", &text);
  ev_created();
  if(param_b64(args, "think_b64", &think_text)) {
    say_text("think", think_text.p, think_text.n, (size_t)param(args, "think_step", step), (int)ms);
    ev_stop("think");
  }
  say_text("answer", text.p ? text.p : "", text.n, step > 0 ? (size_t)step : 1, (int)ms);
  if(param(args, "end", 1)) ev_end();
  play_end(STEP_END);
}

enum tool_kind { TOOL_PLAIN, TOOL_FENCED, TOOL_TWO, TOOL_BROKEN, TOOL_THINK };

static void tool_text(const char *args, enum tool_kind kind)
{
  char tag[32], name[64], with[2048], call[2400], text[5000];
  param_word(args, "tag", "tool_call", tag, sizeof tag);
  param_word(args, "name", "get_weather", name, sizeof name);
  param_word(args, "args", "{\"city\":\"Paris\"}", with, sizeof with);
  if(kind == TOOL_BROKEN)
    snprintf(call, sizeof call, "<%s>\n{'name': '%s', 'arguments': {'city': 'Paris',}}\n</%s>", tag, name, tag);
  else snprintf(call, sizeof call, "<%s>\n{\"name\":\"%s\",\"arguments\":%s}\n</%s>", tag, name, with, tag);
  ev_created();
  if(kind == TOOL_THINK) {
    say_cut("think", call);
    ev_stop("think");
  }
  if(kind == TOOL_FENCED) snprintf(text, sizeof text, "Let me look.\n```json\n%s\n```\nDone.", call);
  else if(kind == TOOL_TWO) snprintf(text, sizeof text, "Let me look.\n%s\n%s\nDone.", call, call);
  else if(kind == TOOL_THINK) snprintf(text, sizeof text, "It is sunny.");
  else snprintf(text, sizeof text, "Let me look.\n%s\nDone.", call);
  say_cut("answer", text);
  ev_end();
  play_end(STEP_END);
}

#define TOOL_SCENARIO(fn, kind)                          \
  static void fn(const char *args, const struct buf *prompt) \
  {                                                      \
    (void)prompt;                                        \
    tool_text(args, kind);                               \
  }
TOOL_SCENARIO(sc_tool_text, TOOL_PLAIN)
TOOL_SCENARIO(sc_tool_fenced, TOOL_FENCED)
TOOL_SCENARIO(sc_tool_two, TOOL_TWO)
TOOL_SCENARIO(sc_tool_broken, TOOL_BROKEN)
TOOL_SCENARIO(sc_tool_think, TOOL_THINK)

/* What the upstream says when it has taken a tool's name for one of its own. */
static void sc_tool_missing(const char *args, const struct buf *prompt)
{
  char name[64], text[160];
  (void)prompt;
  param_word(args, "name", "get_weather", name, sizeof name);
  snprintf(text, sizeof text, "Tool %s does not exist.%s", name, param(args, "more", 0) ? " I can tell from memory: it rains." : "");
  ev_created();
  say_cut("answer", text);
  ev_end();
  play_end(STEP_END);
}

static void sc_native_call(const char *args, const struct buf *prompt)
{
  static struct buf more;
  char name[64], with[2048], phase[64];
  (void)prompt;
  param_word(args, "name", "get_weather", name, sizeof name);
  param_word(args, "args", "{\"city\":\"Paris\"}", with, sizeof with);
  param_word(args, "phase", "tool_call", phase, sizeof phase);
  bool object = param(args, "object", 0); /* arguments as an object, once */
  ev_created();
  for(size_t i = object ? 2 : 0; i < 3; i++) { /* snapshots: a quarter, two thirds, all */
    size_t n = strlen(with), k = i == 0 ? n / 4 : i == 1 ? n * 2 / 3 : n;
    while(k < n && ((unsigned char)with[k] & 0xc0) == 0x80) k++;
    more.n = 0;
    buf_fmt(&more, ",\"function_id\":\"round_0_1\",\"function_call\":{\"name\":\"%s\",\"arguments\":", name);
    if(object) buf_text(&more, with);
    else quote(&more, with, k);
    buf_text(&more, "}");
    *buf_room(&more, 1) = 0;
    ev_delta("assistant", phase, "\"\"", i < 2 ? "typing" : "finished", more.p);
  }
  char refusal[128], whose[160];
  snprintf(refusal, sizeof refusal, "\"Tool %s does not exists.\"", name);
  snprintf(whose, sizeof whose, ",\"name\":\"%s\",\"function_id\":\"round_0_1\"", name);
  ev_delta("function", phase, refusal, "finished", whose);
  ev_say("answer", "\"I have no such tool.\"");
  ev_end();
  play_end(STEP_END);
}

#include "pictures.c"

static const struct scenario {
  const char *name;
  void (*run)(const char *args, const struct buf *prompt);
  const char *lead, *eol;
  size_t chunk, cut; /* bytes of a chunk; bytes of a write, cutting chunk sizes too */
  bool gzip, bad_end;
} scenarios[] = {
  { .name = "normal", .run = sc_normal },
  { .name = "echo", .run = sc_echo },
  { .name = "thinking", .run = sc_thinking },
  { .name = "thinking_detail", .run = sc_thinking_detail },
  { .name = "think_only", .run = sc_think_only },
  { .name = "search", .run = sc_search },
  { .name = "search_old", .run = sc_search_old },
  { .name = "slow", .run = sc_slow },
  { .name = "stall", .run = sc_stall },
  { .name = "stall_head", .run = sc_stall_head },
  { .name = "stall_midway", .run = sc_stall_midway },
  { .name = "drop", .run = sc_drop },
  { .name = "drop_clean", .run = sc_drop_clean },
  { .name = "empty", .run = sc_empty },
  { .name = "created_only", .run = sc_created_only },
  { .name = "err_in_stream", .run = sc_err_in_stream },
  { .name = "err_midway", .run = sc_err_midway },
  { .name = "fail_in_sse", .run = sc_fail_in_sse },
  { .name = "moderation", .run = sc_moderation },
  { .name = "malformed", .run = sc_malformed },
  { .name = "crlf", .run = sc_normal, .eol = "\r\n" },
  { .name = "no_space", .run = sc_normal, .lead = "data:" },
  { .name = "no_final_blank", .run = sc_no_final_blank },
  { .name = "with_done", .run = sc_with_done },
  { .name = "multi_line", .run = sc_multi_line },
  { .name = "gzip", .run = sc_normal, .gzip = true },
  { .name = "gzip_bad", .run = sc_normal, .gzip = true, .bad_end = true },
  { .name = "split1", .run = sc_split, .chunk = 1 },
  { .name = "split7", .run = sc_split, .chunk = 50, .cut = 7 },
  { .name = "split_crlf", .run = sc_split, .eol = "\r\n", .chunk = 1 },
  { .name = "split_char_delta", .run = sc_split_char_delta },
  { .name = "cumulative", .run = sc_cumulative },
  { .name = "repeat", .run = sc_repeat },
  { .name = "two_ids", .run = sc_two_ids },
  { .name = "unknown_phase", .run = sc_unknown_phase },
  { .name = "finish_then_more", .run = sc_finish_then_more },
  { .name = "huge", .run = sc_huge },
  { .name = "too_huge", .run = sc_too_huge },
  { .name = "deep", .run = sc_deep },
  { .name = "late_usage", .run = sc_late_usage },
  { .name = "no_usage", .run = sc_no_usage },
  { .name = "say", .run = sc_say },
  { .name = "tool_text", .run = sc_tool_text },
  { .name = "tool_text_fenced", .run = sc_tool_fenced },
  { .name = "tool_text_two", .run = sc_tool_two },
  { .name = "tool_text_broken", .run = sc_tool_broken },
  { .name = "tool_text_think", .run = sc_tool_think },
  { .name = "tool_missing", .run = sc_tool_missing },
  { .name = "native_call", .run = sc_native_call },
  { .name = "image", .run = sc_image },
  { .name = "image_two", .run = sc_image },
  { .name = "image_edit", .run = sc_image },
  { .name = "image_foreign", .run = sc_image },
  { .name = "image_captcha", .run = sc_image },
  { .name = "image_tool", .run = sc_image_tool },
  { .name = "image_inline", .run = sc_image_inline },
  { .name = "image_markdown", .run = sc_image_markdown },
  { .name = "image_none", .run = sc_image_none },
  { .name = "image_refusal", .run = sc_image_refusal },
  { .name = "image_text", .run = sc_image_text },
  { .name = "video_sse", .run = sc_video_sse },
};

/* drop_after=, fin_after=, hold_after=: so many events, then a reset, an end without the last chunk, or silence. */
static void play_fault(const char *args)
{
  static const struct { const char *name; enum step_act act; } faults[] = {
    { "drop_after", STEP_RESET }, { "fin_after", STEP_FIN }, { "hold_after", STEP_HOLD } };
  play.left = -1;
  for(size_t i = 0; i < NELEM(faults); i++)
    if(param_text(args, faults[i].name).n) {
      play.left = param(args, faults[i].name, 0);
      play.fault = faults[i].act;
    }
}

static void scenario_play(struct conn *c, const struct scenario *s, const char *args, const struct buf *prompt)
{
  play.c = c;
  play.b.n = 0;
  play.lead = s->lead ? s->lead : "data: ";
  play.eol = s->eol ? s->eol : "\n";
  play.chunk = s->chunk;
  play.gzip = s->gzip;
  play.name = s->name;
  play.tail = "";
  play.mute = false;
  play.full = param(args, "full", 0) != 0;
  play.kept.n = play.plain.n = play.entry_at = 0;
  play.phase[0] = 0;
  play.hidden = 0;
  play_fault(args);
  c->packed = s->gzip;
  c->body.n = c->body_at = 0;
  c->step_n = c->step_at = 0;
  buf_text(&c->body, s->gzip ? sse_head_gzip : sse_head);
  if(s->gzip) pack_begin();
  s->run(args, prompt);
  if(s->gzip) deflateEnd(&packer);
  if(s->bad_end) c->body.p[c->body.n - sizeof last_chunk + 1 - 2 - 8] ^= 0x55; /* the checksum, before its CRLF */
  if(s->cut) {
    c->step_n = 0;
    for(size_t at = s->cut; at < c->body.n; at += s->cut) step_add(c, at, 0, STEP_GO);
    step_add(c, c->body.n, 0, STEP_END);
  }
  play.gzip = false;
  play.chunk = 0;
  play.mute = false;
  play.left = -1;
  buf_shrink(&play.b);
  if(c->chat != NOBODY) {
    struct chat *ch = &chats[c->chat];
    kept_close();
    chat_forget(ch);
    ch->kept = must(malloc(sizeof *ch->kept));
    *ch->kept = (struct kept){ must(malloc(play.kept.n + 1)), must(malloc(play.plain.n + 1)), play.kept.n, play.plain.n, play.hidden };
    if(play.kept.n) memcpy(ch->kept->list, play.kept.p, play.kept.n);
    if(play.plain.n) memcpy(ch->kept->plain, play.plain.p, play.plain.n);
  }
  play.kept.n = 0;
  buf_shrink(&play.kept);
}

/* "normal" is made once, with and without phases; per answer only the ids are written in. */
static struct { struct buf b; size_t at[32], n; } ready[2];

static void normal_make(void)
{
  for(int k = 0; k < 2; k++) {
    struct conn c = { .no_phase = k, .chat = NOBODY };
    memcpy(c.digits, blank_digits, CHAT_DIGITS);
    scenario_play(&c, &scenarios[0], "", NULL);
    ready[k].b = c.body;
    free(c.steps);
    for(char *p = c.body.p; (p = memmem(p, (size_t)(c.body.p + c.body.n - p), blank_digits, CHAT_DIGITS)) != NULL;
        p += CHAT_DIGITS)
      ready[k].at[ready[k].n++] = (size_t)(p - c.body.p);
  }
}

static void scenario_start(struct conn *c, const char *name, const char *args, const struct buf *prompt)
{
  if(strcmp(name, "normal") == 0 && !args[0]) {
    chats[c->chat].answered = true;
    char *o = buf_room(&wire, ready[c->no_phase].b.n);
    memcpy(o, ready[c->no_phase].b.p, ready[c->no_phase].b.n);
    for(size_t i = 0; i < ready[c->no_phase].n; i++) memcpy(o + ready[c->no_phase].at[i], c->digits, CHAT_DIGITS);
    wire.n += ready[c->no_phase].b.n;
    chat_release(c, 0);
    return;
  }
  if(strcmp(name, "stream") == 0 || strcmp(name, "stamp") == 0) {
    play.c = c;
    play.b.n = 0;
    play.lead = "data: ";
    play.eol = "\n";
    c->packed = false;
    chats[c->chat].answered = true;
    stream_start(c, args, name[2] == 'a');
    return;
  }
  for(size_t i = 0; i < NELEM(scenarios); i++)
    if(strcmp(name, scenarios[i].name) == 0) {
      chats[c->chat].answered = true;
      scenario_play(c, &scenarios[i], args, prompt);
      turn_play(c);
      return;
    }
  if(strcmp(name, "drop_early") == 0) chat_release(c, 1000000); /* the turn may go on: nobody was told */
  if(!reply_fixed(c, name)) {
    stat_.bad++;
    reply_json(500, "{\"detail\":\"this upstream knows no scenario of that name\"}");
  }
  if(!c->dead) chat_release(c, 0);
}
