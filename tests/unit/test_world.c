/* Whole chats in one thread: every case file streamed and not, every fallible call failed once, no lease or memory lost. */
#include "world.h"

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/* Pieces of the upstream's answer; an event is wrapped into a chunk. */
static void script(struct world *w, const char *const *pieces)
{
  static char frames[16][512];
  w->piece_n = 0;
  for(; *pieces; pieces++) {
    if(str_starts(str_z(*pieces), S("data: "))) snprintf(frames[w->piece_n], sizeof frames[0], "%zx\r\n%s\r\n", strlen(*pieces), *pieces);
    else snprintf(frames[w->piece_n], sizeof frames[0], "%s", *pieces);
    w->pieces[w->piece_n] = (struct world_piece){ .bytes = str_z(frames[w->piece_n]) };
    w->piece_n++;
  }
}

static const char first_word[] =
  "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"two \",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}\n\n";
static const char *const two_words[] = {
  head, first_word,
  "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"words\",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}\n\n",
  "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"answer\",\"status\":\"finished\"}}],\"response_id\":\"r1\"}\n\n",
  "0\r\n\r\n", NULL
};
#define ASK "{\"model\":\"qwen3.7-plus\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
static const struct str ask = { ASK "}", sizeof ASK };
static const struct str ask_stream = { ASK ",\"stream\":true}", sizeof ASK + 14 };

static void t_chat(void)
{
  long base = mem_live();
  struct world w;
  struct world_said s;
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  script(&w, two_words);
  for(int i = 0; i < 2; i++) {
    world_chat(&w, i ? ask_stream : ask);
    world_listen(&w, &s);
    CHECK_INT(s.status, 200);
    CHECK_STR(strbuf_str(&s.text), S("two words"));
    CHECK_Z(s.finish, "stop");
    CHECK(s.whole);
    world_said_free(&s);
    close(w.client);
    w.client = -1;
  }
  CHECK_INT(w.completions, 2);
  CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
  world_end(&w);
  CHECK_INT(mem_live(), base);
}

#define EVENT(text) "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":" text ",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}\n\n"
#define FINISHED "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"answer\",\"status\":\"finished\"}}],\"response_id\":\"r1\"}\n\n"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}}}]"
static const char *const a_call[] = { head, EVENT("\"Look. <q2a_ca\""), EVENT("\"ll>{'name':'f','arguments':{'a':'1',}}</q2a\""), EVENT("\"_call>\""),
                                      FINISHED, "0\r\n\r\n", NULL };
static const char *const broken_call[] = { head, EVENT("\"<q2a_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":17}</q2a_call>\""), FINISHED, "0\r\n\r\n", NULL };
static const char *const some_json[] = { head, EVENT("\"Sure: {\\\"a\\\":\""), EVENT("\"1,}\""), FINISHED, "0\r\n\r\n", NULL };
static const char *const cut[] = { head, first_word, NULL };

/* What is asked, what the upstream says, and what the client must be told when nothing fails. */
struct plan { const char *name, *more; const char *const *pieces; const char *text, *calls, *code; };
static const struct plan plans[] = {
  { "text", "", two_words, "two words", "", "" },
  { "a repaired call", TOOLS, a_call, "Look.", "f{\"a\":\"1\"}", "" },
  { "a broken call, a second turn", TOOLS, broken_call, "", "", "tool_call_missing" },
  { "JSON", ",\"response_format\":{\"type\":\"json_object\"}", some_json, "{\"a\":1}", "", "" },
  { "two choices", ",\"n\":2", two_words, NULL, "", "" },
  { "cut, and the record knows nothing", "", cut, NULL, "", "upstream_interrupted" },
};

static long internal_errors; /* answers of the sweep that said 500 internal_error */

/* The heart of it: the n-th allocation, transport or store call fails, for every n, once or for good. */
static void sweep(const struct plan *plan, bool stream, bool lasting, long *points)
{
  struct strbuf body = STRBUF(4096);
  strbuf_fmt(&body, ASK "%s%s}", plan->more, stream ? ",\"stream\":true" : "");
  for(long n = 0;; n++) {
    long base = mem_live();
    struct world w;
    struct world_said s;
    static char row[96];
    snprintf(row, sizeof row, "%s, %s, %s, point %ld", plan->name, stream ? "stream" : "whole", lasting ? "lasting" : "once", n);
    t_row = row;
    CHECK(world_begin(&w, NULL));
    world_sign_in(&w);
    script(&w, plan->pieces);
    if(plan->pieces == cut) w.pieces[w.piece_n++] = (struct world_piece){ .close = true };
    fault_arm(n, lasting);
    world_chat(&w, strbuf_str(&body));
    bool hit = fault_disarm();
    world_listen(&w, &s);
    if(!hit) {
      if(plan->text) CHECK_STR(strbuf_str(&s.text), str_z(plan->text));
      CHECK_STR(strbuf_str(&s.calls), str_z(plan->calls));
      CHECK_Z(s.code, plan->code);
      CHECK(s.whole);
    } else if(s.status == 200 && s.whole) { /* the whole answer, or a told error */
      CHECK(s.code[0] || !plan->text || (str_eq(strbuf_str(&s.text), str_z(plan->text)) && str_eq(strbuf_str(&s.calls), str_z(plan->calls))));
    } else if(s.status) {
      CHECK(s.code[0] || w.client_closed);
      internal_errors += s.status == 500 && strcmp(s.code, "internal_error") == 0;
    } else {
      CHECK(w.client_closed); /* nothing could be said: the connection ended */
    }
    CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
    CHECK_INT(atomic_load(&w.app->chats_open), 0);
    world_said_free(&s);
    world_end(&w);
    if(mem_live() != base) {
      T_FAIL("%ld blocks leaked", mem_live() - base);
      break;
    }
    ++*points;
    if(!hit) break;
  }
  strbuf_free(&body);
}

static void t_fault_sweep(void)
{
  long points = 0;
  for(size_t k = 0; k < sizeof plans / sizeof plans[0]; k++)
    for(int i = 0; i < 4; i++) sweep(&plans[k], i & 1, i & 2, &points);
  printf("fault points tried: %ld\n", points);
  CHECK(points > 500);
  CHECK(internal_errors > 0); /* api 12: want of memory is told as what it is */
}

static void t_begin_under_faults(void)
{
  long points = 0;
  for(long n = 0; n < 2000; n++, points++) {
    long base = mem_live();
    struct world w;
    fault_arm(n, true);
    bool ok = world_begin(&w, NULL);
    bool hit = fault_disarm();
    if(ok || w.app) world_end(&w);
    CHECK_INT(mem_live(), base);
    if(!hit) break;
    CHECK(!ok || hit);
  }
  printf("fault points tried: %ld\n", points);
}

/* The client goes away at every turn of a chat: the lease comes back, the upstream turn is stopped, nothing leaks. */
static void t_client_leaves_at_every_turn(void)
{
  int stops = 0;
  for(int turns = 0; turns < 40; turns++) {
    long base = mem_live();
    struct world w;
    char request[400];
    CHECK(world_begin(&w, NULL));
    world_sign_in(&w);
    static const char *const slow[] = { head, first_word, NULL };
    script(&w, slow);
    int n = snprintf(request, sizeof request, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-world-0123456789\r\nContent-Length: %zu\r\n\r\n%.*s",
                     ask_stream.n, STR_F(ask_stream));
    world_connect(&w);
    CHECK(send(w.client, request, (size_t)n, 0) == n);
    for(int i = 0; i < turns; i++) world_turn(&w);
    close(w.client);
    w.client = -1;
    for(int i = 0; i < 30; i++) world_turn(&w);
    CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
    CHECK_INT(atomic_load(&w.app->chats_open), 0);
    CHECK_INT(gate_open(w.app->pumps[0].gate), 0);
    stops += w.stops;
    world_end(&w);
    CHECK_INT(mem_live(), base);
  }
  CHECK(stops > 5);
}

static void t_cases(void)
{
  struct dirent **list;
  int n = scandir("tests/cases", &list, NULL, alphasort), ran = 0;
  for(int i = 0; i < n; i++) {
    char path[512];
    if(!strstr(list[i]->d_name, ".case")) {
      free(list[i]);
      continue;
    }
    snprintf(path, sizeof path, "tests/cases/%s", list[i]->d_name);
    for(int stream = 0; stream < 2; stream++) {
      struct world w = { .client = -1 };
      struct world_case k;
      struct world_said s;
      t_row = list[i]->d_name;
      CHECK(world_case_read(&w, &k, path));
      world_begin(&w, k.env);
      arena_free(&k.arena);
      CHECK(world_case_read(&w, &k, path)); /* again: world_begin() cleared the pieces */
      world_sign_in(&w);
      struct strbuf body = STRBUF(1 << 20);
      strbuf_add(&body, k.request.p, k.request.n - 1);
      strbuf_addz(&body, stream ? ",\"stream\":true}" : "}");
      world_chat(&w, strbuf_str(&body));
      world_listen(&w, &s);
      const struct json *want = json_parse(&k.arena, k.reply, 8, NULL);
      int64_t status = 0;
      (void)json_int(json_get(want, stream && json_get(want, "streamStatus") ? "streamStatus" : "status"), &status);
      CHECK_INT(s.status, status);
      CHECK_STR(str_z(s.code), json_str(json_get(want, "code")));
      if(!s.code[0]) {
        CHECK_STR(strbuf_str(&s.text), json_str(json_get(want, "text")));
        CHECK_STR(strbuf_str(&s.think), json_str(json_get(want, "think")));
        CHECK_STR(str_z(s.finish), json_str(json_get(want, "finish")));
      }
      CHECK(s.whole);
      strbuf_free(&body);
      world_said_free(&s);
      arena_free(&k.arena);
      world_end(&w);
      ran++;
    }
    free(list[i]);
  }
  free(list);
  printf("cases run: %d\n", ran);
  CHECK(ran >= 20);
}

static void t_two_apps(void)
{
  struct world a, b;
  struct world_said s;
  CHECK(world_begin(&a, NULL) && world_begin(&b, NULL));
  world_sign_in(&a);
  world_sign_in(&b);
  script(&a, two_words);
  script(&b, two_words);
  world_chat(&a, ask);
  CHECK_INT(b.completions, 0);
  world_chat(&b, ask);
  world_listen(&b, &s);
  CHECK_STR(strbuf_str(&s.text), S("two words"));
  CHECK_INT(a.completions, 1);
  world_said_free(&s);
  world_end(&a);
  world_end(&b);
}

T_MAIN(T(t_chat), T(t_cases), T(t_fault_sweep), T(t_begin_under_faults), T(t_client_leaves_at_every_turn), T(t_two_apps))
