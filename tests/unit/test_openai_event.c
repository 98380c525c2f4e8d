/* Answers of an OpenAI-compatible upstream to pieces, calls, numbers and trouble: whole, byte by byte and at every split. */
#include "proto/openai_event.h"

#include "base/mem.h"
#include "t.h"

#define CH(i, delta, finish) "data: {\"id\":\"x\",\"choices\":[{\"index\":" #i ",\"delta\":" delta ",\"finish_reason\":" finish "}],\"usage\":null}\n\n"
#define UP(delta, finish) CH(0, delta, finish)
#define CALL(rest) UP("{\"tool_calls\":[{" rest "}]}", "null")
#define DONE "data: [DONE]\n\n"

static const struct {
  const char *name, *in;
  const char *out; /* pieces: t thought, a answer of the first choice; A of another; then calls, finishes, usage */
  enum q_status st;
} rows[] = {
  { "upstream 7: thought, answer, usage", UP("{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"Let \"}", "null") UP("{\"reasoning_content\":\"me\"}", "null")
    UP("{\"content\":\"a \",\"reasoning_content\":null}", "null") UP("{\"content\":\"世\"}", "\"stop\"")
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":9,\"prompt_tokens_details\":{\"cached_tokens\":3},\"completion_tokens_details\":{\"reasoning_tokens\":4}}}\n\n" DONE,
    "t0:Let |t0:me|a0:a |a0:世|0=stop|12,9,4,3", Q_EOF },
  { "no [DONE], the last event without its blank line", UP("{\"content\":\"a\"}", "null") "data: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}]}",
    "a0:a|a0:b|0=length|", Q_AGAIN },
  { "cut: neither finish nor [DONE]", UP("{\"content\":\"a\"}", "null"), "a0:a|0=-|", Q_AGAIN },
  { "a filter; the first reason stays", UP("{\"content\":\"a\"}", "\"content_filter\"") UP("{}", "\"stop\"") DONE, "a0:a|0=filter|", Q_EOF },
  { "an empty reason is none, an unknown one a stop", UP("{\"content\":\"a\"}", "\"\"") UP("{}", "\"eos\"") DONE, "a0:a|0=stop|", Q_EOF },
  { "a call in pieces", CALL("\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}")
    CALL("\"index\":0,\"id\":\"\",\"function\":{\"name\":\"\",\"arguments\":\"{\\\"a\\\":\"}") CALL("\"index\":0,\"function\":{\"arguments\":\"\\\"\\\\ud83d\\\\ude00\\\"}\"}")
    UP("{}", "\"tool_calls\"") DONE, "0/c1/f/{\"a\":\"\\ud83d\\ude00\"}|0=calls|", Q_EOF },
  { "two calls interleaved", CALL("\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}") CALL("\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}")
    CALL("\"index\":0,\"function\":{\"arguments\":\"}\"}") UP("{}", "\"tool_calls\"") DONE, "0/c1/f/{}|0/c2/g/{}|0=calls|", Q_EOF },
  { "no indexes", CALL("\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}") CALL("\"function\":{\"arguments\":\"}\"}") CALL("\"id\":\"c2\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}") DONE,
    "0/c1/f/{}|0/c2/f/{}|0=-|", Q_EOF },
  { "no indexes, no ids", CALL("\"function\":{\"name\":\"f\",\"arguments\":\"{\"}") CALL("\"function\":{\"arguments\":\"}\"}") CALL("\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}") DONE,
    "0//f/{}|0//f/{}|0=-|", Q_EOF },
  { "one index for two calls", CALL("\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}") CALL("\"index\":0,\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}") DONE,
    "0/c1/f/{}|0/c2/g/{}|0=-|", Q_EOF },
  { "arguments as an object", CALL("\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,null]}}") DONE, "0/c/f/{\"a\":[1,null]}|0=-|", Q_EOF },
  { "two choices", CH(0, "{\"content\":\"a\"}", "null") CH(1, "{\"content\":\"b\"}", "\"length\"") CH(0, "{}", "\"stop\"") DONE, "a0:a|a1:b|0=stop|1=length|", Q_EOF },
  { "both in one event, thought first", "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\",\"reasoning\":\"t\"}},{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n" DONE,
    "t1:t|a1:b|a0:a|0=-|1=-|", Q_EOF },
  { "a refusal is what it says; a list of one part too", UP("{\"content\":null,\"refusal\":\"No.\"}", "\"stop\"") UP("{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}", "null") DONE, "a0:No.|a0:x|0=stop|", Q_EOF },
  { "what makes no sense ends nothing", "data: {broken\n\n: comment\n\ndata:\n\nevent: x\n\ndata: 7\n\ndata: {\"choices\":[7,{\"index\":99,\"delta\":{\"content\":\"far\"}},{\"index\":-1,\"delta\":{\"content\":\"x\"}},"
    "{\"delta\":{\"tool_calls\":[7,null],\"content\":5}}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":\"x\"}}\n\n" UP("{\"content\":\"a\"}", "\"stop\"") DONE,
    "a0:a|0=stop|0,0,0,0", Q_EOF },
  { "an error", UP("{\"content\":\"a\"}", "null") "data: {\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}\n\n" DONE, "a0:a|0=-|", Q_UP_QUOTA },
  { "an error beside no choices", "data: {\"choices\":[],\"error\":{\"message\":\"m\",\"code\":\"InternalError\"}}\n\n", "", Q_UP_ERROR },
  { "moderation", "data: {\"error\":{\"message\":\"m\",\"code\":\"data_inspection_failed\"}}\n\n", "", Q_FILTER },
  { "nothing", "", "", Q_AGAIN },
};

static void tell(const struct openai_piece *p, struct strbuf *b)
{
  if(p->think.n) strbuf_fmt(b, "t%d:%.*s|", p->choice, STR_F(p->think));
  if(p->answer.n) strbuf_fmt(b, "a%d:%.*s|", p->choice, STR_F(p->answer));
}

static void tell_end(const struct openai_event *o, struct strbuf *b)
{
  static const char *const whys[] = { "stop", "length", "filter", "calls" };
  for(int i = 0; i < o->call_n; i++)
    strbuf_fmt(b, "%d/%.*s/%.*s/%.*s|", o->calls[i].choice, STR_F(strbuf_str(&o->calls[i].id)), STR_F(strbuf_str(&o->calls[i].name)), STR_F(strbuf_str(&o->calls[i].args)));
  for(int i = 0; i < OPENAI_EVENT_CHOICES; i++)
    if(o->ends[i].seen || o->ends[i].finished) strbuf_fmt(b, "%d=%s|", i, o->ends[i].finished ? whys[o->ends[i].why] : "-");
  if(o->usage.known) strbuf_fmt(b, "%lld,%lld,%lld,%lld", (long long)o->usage.prompt, (long long)o->usage.completion, (long long)o->usage.reasoning, (long long)o->usage.cached);
}

static enum q_status feed(struct openai_event *o, const char *in, size_t n, struct strbuf *out)
{
  struct relay_err e;
  struct openai_piece p;
  char *exact = malloc(n ? n : 1); /* the end is guarded by the sanitizer */
  memcpy(exact, in, n);
  struct str rest = str_of(exact, n);
  enum q_status st;
  while((st = openai_event_push(o, &rest, &p, &e)) == Q_OK) tell(&p, out);
  CHECK(st == Q_AGAIN || st == Q_EOF || e.st == st);
  free(exact);
  return st;
}

static enum q_status run(const char *in, size_t step, size_t first, struct strbuf *out)
{
  struct openai_event o;
  struct openai_piece p;
  struct relay_err e;
  size_t n = strlen(in), at = 0;
  enum q_status st = openai_event_init(&o), ended;
  if(!st) st = Q_AGAIN;
  while(at < n && st == Q_AGAIN) {
    size_t piece = at == 0 && first ? first : step;
    if(piece > n - at) piece = n - at;
    st = feed(&o, in + at, piece, out);
    at += piece;
  }
  if(st == Q_AGAIN || st == Q_EOF) {
    while((ended = openai_event_finish(&o, &p, &e)) == Q_OK) tell(&p, out);
    if(ended != Q_EOF) st = ended;
  }
  tell_end(&o, out);
  openai_event_free(&o);
  return st;
}

static void t_rows(void)
{
  long base = mem_live();
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = strlen(rows[i].in);
    t_row = rows[i].name;
    for(size_t k = 0; k <= n; k++) { /* D9: whole (0), every split; at n byte by byte */
      struct strbuf out = STRBUF(1 << 20);
      CHECK_INT(run(rows[i].in, k == n ? 1 : n, k == n ? 0 : k, &out), rows[i].st);
      CHECK_STR(strbuf_str(&out), str_z(rows[i].out));
      strbuf_free(&out);
    }
  }
  CHECK_INT(mem_live(), base);
}

static void whole(const char *body, enum q_status want, const char *text)
{
  struct openai_event o;
  struct openai_piece p;
  struct relay_err e;
  struct strbuf out = STRBUF(1 << 20);
  CHECK_INT(openai_event_init(&o), Q_OK);
  enum q_status st = openai_event_whole(&o, str_z(body), &e);
  CHECK_INT(st, want);
  CHECK_INT(e.st, want);
  if(!st) {
    while((st = openai_event_finish(&o, &p, &e)) == Q_OK) tell(&p, &out);
    CHECK_INT(st, Q_EOF);
    tell_end(&o, &out);
    CHECK(o.done);
  }
  CHECK_STR(strbuf_str(&out), str_z(text));
  strbuf_free(&out);
  openai_event_free(&o);
}

static void t_whole(void)
{
  whole("{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"t\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":"
        "{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", Q_OK, "t0:t|a0:a|0/c/f/{}|0=calls|1,2,0,0");
  whole("{\"choices\":[]}", Q_OK, "");
  whole("{\"id\":1}", Q_UP_BODY, "");
  whole("{\"error\":{\"message\":\"m\",\"code\":\"limit_requests\"}}", Q_UP_BUSY, "");
  whole("no json", Q_UP_BODY, "");
}

/* Sizes are bounded: an event beyond them is dropped, calls beyond them fail. */
static void t_bounds(void)
{
  struct openai_event o;
  struct strbuf big = STRBUF(8 << 20), out = STRBUF(1 << 20);
  CHECK_INT(openai_event_init(&o), Q_OK);
  strbuf_lit(&big, "data: {\"choices\":[{\"delta\":{\"content\":\"");
  while(big.n < 5 << 20) strbuf_lit(&big, "0123456789abcdef0123456789abcdef");
  strbuf_lit(&big, "\"}}]}\n\n");
  CHECK_INT(feed(&o, big.p, big.n, &out), Q_AGAIN);
  CHECK_INT(out.n, 0);
  for(int i = 0; i <= OPENAI_EVENT_CALLS; i++) {
    strbuf_clear(&big);
    strbuf_fmt(&big, CALL("\"index\":%d,\"id\":\"c%d\",\"function\":{\"name\":\"f\"}"), 1000 + i, i);
    CHECK_INT(feed(&o, big.p, big.n, &out), i == OPENAI_EVENT_CALLS ? Q_UP_BODY : Q_AGAIN);
  }
  openai_event_free(&o);
  strbuf_free(&big);
  strbuf_free(&out);
}

static void t_memory(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].name;
    char *room = malloc(1 << 16);
    for(long n = 0; n < 500; n++) {
      long base = mem_live();
      struct strbuf out = { .p = room, .cap = 1 << 16, .max = 1 << 16 }; /* the test's own builder meets no fault */
      fault_arm(n, false);
      enum q_status st = run(rows[i].in, 7, 0, &out);
      bool hit = fault_disarm();
      CHECK_INT(mem_live(), base);
      if(hit ? st == Q_NOMEM : false) continue;
      CHECK_INT(st, rows[i].st);
      CHECK_STR(strbuf_str(&out), str_z(rows[i].out));
      if(!hit) break;
    }
    free(room);
  }
}

T_MAIN(T(t_rows), T(t_whole), T(t_bounds), T(t_memory))
