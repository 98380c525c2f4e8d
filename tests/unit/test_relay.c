/* Relayed chats in one thread: official keys on /v1 and /cli/v1, the way back to the web, every fallible call failed once. */
#include "world.h"

#include "domain/accounts.h"
#include "domain/relay.h"
#include "domain/store.h"

#define EVENT(s) "data: " s "\n\n"
#define CHUNK(delta, finish) EVENT("{\"id\":\"up-1\",\"created\":7,\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":" finish "}]}")
static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char *const two_words[] = { stream_head, CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null"), CHUNK("{\"content\":\"two \"}", "null"),
                                         CHUNK("{\"content\":\"words\"}", "\"stop\""), EVENT("[DONE]"), "0\r\n\r\n", NULL };
static const char *const refused[] = { "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n"
                                       "{\"error\":{\"message\":\"no\",\"code\":\"bad\"}}", NULL };
static const char *const web_words[] = {
  stream_head, EVENT("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"from the web\",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}"),
  EVENT("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"answer\",\"status\":\"finished\"}}],\"response_id\":\"r1\"}"), "0\r\n\r\n", NULL };

static int script(struct world_piece *out, const char *const *pieces, char frames[8][512])
{
  int n = 0;
  for(; *pieces; pieces++, n++) {
    if(str_starts(str_z(*pieces), S("data: "))) snprintf(frames[n], 512, "%zx\r\n%s\r\n", strlen(*pieces), *pieces);
    else snprintf(frames[n], 512, "%s", *pieces);
    out[n] = (struct world_piece){ .bytes = str_z(frames[n]) };
  }
  return n;
}

static void vendor(struct world *w, const char *const *pieces)
{
  static char frames[8][512];
  w->vendor_n = script(w->vendor_pieces, pieces, frames);
}

static void web(struct world *w)
{
  static char frames[8][512];
  w->piece_n = script(w->pieces, web_words, frames);
}

static bool key(struct world *w, const char *name, unsigned serves, const char *models)
{
  struct account *a = account_new_api(str_z(name), S("sk-of-the-vendor"), S("http://127.0.0.1:9/vendor/"), str_z(models), serves);
  return a && pool_add(w->app->pool, a) == Q_OK;
}

#define ASK(model) "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
static const struct str special = { ASK("special") "}", sizeof ASK("special") };
static const struct str special_stream = { ASK("special") ",\"stream\":true}", sizeof ASK("special") + 14 };

static bool reply_has(const struct world *w, const char *text)
{
  return str_find(strbuf_str(&w->reply), str_z(text)) >= 0;
}

static void shut(struct world *w)
{
  close(w->client);
  w->client = -1;
}

static void t_chat_in_serves(void)
{
  long base = mem_live();
  struct world w;
  struct world_said s;
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  web(&w);
  vendor(&w, two_words);
  CHECK(key(&w, "only-cli", SERVES_DEFAULT, "special"));
  world_chat(&w, special); /* api 9.1: `chat` is not in serves by default */
  CHECK_INT(w.vendor_calls, 0);
  shut(&w);
  CHECK(key(&w, "with-chat", SERVES_CHAT, "special\nother"));
  for(int i = 0; i < 2; i++) {
    world_chat(&w, i ? special_stream : special);
    world_listen(&w, &s);
    CHECK_INT(s.status, 200);
    CHECK_STR(strbuf_str(&s.text), S("two words"));
    CHECK(s.whole && reply_has(&w, "x-qwen2api-route: api\r\n") && reply_has(&w, "\"model\":\"special\""));
    world_said_free(&s);
    shut(&w);
  }
  CHECK_INT(w.vendor_calls, 2);
  int before = w.completions;
  world_chat(&w, S(ASK("qwen3.7-plus") "}")); /* what a usable web account offers stays with it */
  CHECK_INT(w.completions - before, 1);
  CHECK_INT(w.vendor_calls, 2);
  shut(&w);
  CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
  world_end(&w);
  CHECK_INT(mem_live(), base);
}

static void get(struct world *w, const char *path)
{
  char text[300];
  int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-world-0123456789\r\n\r\n", path);
  int64_t end = now_mono_ms(&now_real) + 10000;
  world_connect(w);
  CHECK(send(w->client, text, (size_t)n, MSG_NOSIGNAL) == n);
  while(!w->client_closed && !world_reply_done(w) && now_mono_ms(&now_real) < end) world_turn(w);
}

static void t_models(void)
{
  struct world w;
  CHECK(world_begin(&w, NULL));
  CHECK(key(&w, "a", SERVES_CHAT, "special\nqwen3-max\nother"));
  CHECK(key(&w, "b", SERVES_CHAT, "other"));
  CHECK(key(&w, "c", SERVES_DEFAULT, "hidden"));
  get(&w, "/v1/models");
  struct world_said s;
  world_listen(&w, &s);
  CHECK(s.whole && reply_has(&w, "\"id\":\"special\"") && !reply_has(&w, "hidden"));
  struct str r = strbuf_str(&w.reply);
  ptrdiff_t at = str_find(r, S("\"id\":\"other\"")), max = str_find(r, S("\"id\":\"qwen3-max\""));
  CHECK(at > 0 && str_find(str_sub(r, (size_t)at + 1, r.n), S("\"id\":\"other\"")) < 0); /* once */
  CHECK(max > 0 && str_find(str_sub(r, (size_t)max + 1, r.n), S("\"id\":\"qwen3-max\"")) < 0);
  world_said_free(&s);
  shut(&w);
  get(&w, "/v1/models/special");
  CHECK(reply_has(&w, "HTTP/1.1 200") && reply_has(&w, "\"tools\":\"native\""));
  shut(&w);
  get(&w, "/v1/models/hidden");
  CHECK(reply_has(&w, "model_not_found"));
  world_end(&w);
}

/* ---- the other protocols of /v1 over official keys ---- */

static const char *const a_call[] = {
  stream_head, CHUNK("{\"role\":\"assistant\",\"reasoning_content\":\"hm\"}", "null"), CHUNK("{\"content\":\"I look.\"}", "null"),
  CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"call_v1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":1}\"}}]}", "\"tool_calls\""),
  EVENT("{\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":9}}"), EVENT("[DONE]"), "0\r\n\r\n", NULL };
#define MESSAGES "{\"model\":\"special\",\"max_tokens\":90,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"name\":\"f\",\"input_schema\":{}}]"
#define RESPONSES "{\"model\":\"special\",\"input\":\"hi\",\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}}]"
#define COMPLETIONS "{\"model\":\"special\",\"prompt\":\"hi\""
static const struct { const char *path, *ask, *has[3], *streamed[3]; } told[] = {
  { "/v1/messages", MESSAGES, { "\"thinking\":\"hm\"", "\"text\":\"I look.\"", "\"id\":\"toolu_v1\",\"name\":\"f\",\"input\":{\"n\":1}" },
    { "thinking_delta", "\"partial_json\":\"{\\\"n\\\":1}\"", "event: message_stop" } },
  { "/v1/responses", RESPONSES, { "\"output_text\",\"text\":\"I look.\"", "\"call_id\":\"call_v1\"", "\"total_tokens\":21" },
    { "response.output_text.delta", "response.function_call_arguments.done", "event: response.completed" } },
  { "/v1/completions", COMPLETIONS, { "text_completion", "\"text\":\"I look.\"", "\"completion_tokens\":9" }, { "\"text\":\"I look.\"", "\"finish_reason\":\"stop\"", "data: [DONE]" } },
};
enum { TOLD = sizeof told / sizeof told[0] };

static struct str told_ask(int i, bool stream)
{
  static char text[600];
  int n = snprintf(text, sizeof text, "%s%s}", told[i].ask, stream ? ",\"stream\":true" : "");
  return str_of(text, (size_t)n);
}

static void t_told(void)
{
  long base = mem_live();
  for(int k = 0; k < 2 * TOLD; k++) {
    struct world w;
    t_row = told[k / 2].path;
    CHECK(world_begin(&w, NULL));
    vendor(&w, a_call);
    CHECK(key(&w, "k", SERVES_CHAT, "special"));
    world_post(&w, told[k / 2].path, told_ask(k / 2, k & 1));
    CHECK(reply_has(&w, "HTTP/1.1 200") && reply_has(&w, "x-qwen2api-route: api\r\n") && reply_has(&w, "x-qwen2api-model: special\r\n"));
    for(int i = 0; i < 3; i++) {
      const char *has = k & 1 ? told[k / 2].streamed[i] : told[k / 2].has[i];
      if(!reply_has(&w, has)) T_FAIL("no %s in %.*s", has, STR_F(strbuf_str(&w.reply)));
    }
    CHECK_INT(w.vendor_calls, 1);
    CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
    world_end(&w);
  }
  CHECK_INT(mem_live(), base);
}

/* Names lead to a key by the rules of the web: aliases, the default, claude-*; a usable web account comes first. */
static void t_told_names(void)
{
  static char *env[] = { "MODEL_ALIASES=gpt-x=special", "ANTHROPIC_DEFAULT_MODEL=special", "DEFAULT_MODEL=special", NULL };
  static const struct { const char *path, *ask, *model; } rows[] = {
    { "/v1/responses", "{\"model\":\"gpt-x\",\"input\":\"hi\"}", "\"model\":\"gpt-x\"" },
    { "/v1/chat/completions", "{\"model\":\"gpt-x\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "\"model\":\"gpt-x\"" },
    { "/v1/messages", "{\"model\":\"claude-sonnet-4-5\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "\"model\":\"claude-sonnet-4-5\"" },
    { "/v1/completions", "{\"prompt\":\"hi\"}", "\"model\":\"special\"" },
    { "/v1/chat/completions", ASK("special-thinking") "}", "\"model\":\"special-thinking\"" },
    { "/v1/chat/completions", ASK("special") ",\"functions\":[{\"name\":\"f\"}]}", "\"model\":\"special\"" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct world w;
    t_row = rows[i].ask;
    CHECK(world_begin(&w, env));
    vendor(&w, two_words);
    CHECK(key(&w, "k", SERVES_CHAT, "special"));
    world_post(&w, rows[i].path, str_z(rows[i].ask));
    CHECK(reply_has(&w, "x-qwen2api-route: api\r\n") && reply_has(&w, "two words") && reply_has(&w, rows[i].model));
    CHECK_INT(w.vendor_calls, 1);
    world_end(&w);
  }
  struct world w;
  CHECK(world_begin(&w, NULL));
  world_sign_in(&w);
  web(&w);
  vendor(&w, two_words);
  CHECK(key(&w, "k", SERVES_CHAT, "special\nqwen3-max"));
  world_post(&w, "/v1/messages", S("{\"model\":\"qwen3-max\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"));
  CHECK(reply_has(&w, "from the web") && !reply_has(&w, "x-qwen2api-route:"));
  CHECK_INT(w.vendor_calls, 0);
  world_end(&w);
}

/* As sweep(), for the other protocols: what is kept for Responses goes back in every case. */
static void t_told_faults(void)
{
  long points = 0;
  for(int k = 0; k < 4 * TOLD; k++)
    for(long n = 0;; n++) {
      long base = mem_live();
      struct world w;
      static char name[80];
      snprintf(name, sizeof name, "%s %d, point %ld", told[k / 4].path, k & 3, n);
      t_row = name;
      CHECK(world_begin(&w, NULL));
      vendor(&w, a_call);
      CHECK(key(&w, "k", SERVES_CHAT, "special"));
      fault_arm(n, k & 2);
      world_post(&w, told[k / 4].path, told_ask(k / 4, k & 1));
      bool hit = fault_disarm(), good = reply_has(&w, k & 1 ? told[k / 4].streamed[2] : told[k / 4].has[2]);
      if(!hit) CHECK(good);
      if(hit && !good && reply_has(&w, "HTTP/1.1 200"))
        if(!reply_has(&w, "error") && !reply_has(&w, "response.failed") && !w.client_closed) T_FAIL("%.*s", STR_F(strbuf_str(&w.reply)));
      CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
      CHECK_INT(atomic_load(&w.app->chats_open), 0);
      world_end(&w);
      if(mem_live() != base) {
        T_FAIL("%ld blocks leaked", mem_live() - base);
        return;
      }
      points++;
      if(!hit) break;
    }
  printf("fault points tried: %ld\n", points);
  CHECK(points > 400);
}

/* The n-th allocation, transport or store call fails, for every n, once or for good. fall: the key is refused and the web serves. */
static void sweep(bool stream, bool fall, bool lasting, long *points)
{
  static char *none[] = { "CLI_FALLBACK=none", NULL }, *with_web[] = { "CLI_FALLBACK=web", NULL };
  static const struct str ask = { ASK("qwen3-coder-plus") "}", sizeof ASK("qwen3-coder-plus") },
                          ask_stream = { ASK("qwen3-coder-plus") ",\"stream\":true}", sizeof ASK("qwen3-coder-plus") + 14 };
  struct str want = fall ? S("from the web") : S("two words");
  for(long n = 0;; n++) {
    long base = mem_live();
    struct world w;
    struct world_said s;
    static char row[80];
    snprintf(row, sizeof row, "%s, %s, %s, point %ld", stream ? "stream" : "whole", fall ? "web" : "key", lasting ? "lasting" : "once", n);
    t_row = row;
    CHECK(world_begin(&w, fall ? with_web : none));
    world_sign_in(&w);
    web(&w);
    vendor(&w, fall ? refused : two_words);
    CHECK(key(&w, "k", SERVES_DEFAULT, ""));
    fault_arm(n, lasting);
    world_post(&w, "/cli/v1/chat/completions", stream ? ask_stream : ask);
    bool hit = fault_disarm();
    world_listen(&w, &s);
    if(!hit) {
      CHECK_STR(strbuf_str(&s.text), want);
      CHECK(s.whole);
      CHECK(reply_has(&w, fall ? "x-qwen2api-route: web\r\n" : "x-qwen2api-route: api\r\n"));
    } else if(s.status == 200 && s.whole) {
      if(!s.code[0] && !str_eq(strbuf_str(&s.text), want) && !str_eq(strbuf_str(&s.text), S("from the web"))) T_FAIL("%.*s", STR_F(strbuf_str(&w.reply)));
    } else if(s.status) {
      CHECK(s.code[0] || w.client_closed);
    } else {
      CHECK(w.client_closed); /* nothing could be said: the connection ended */
    }
    CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
    CHECK_INT(atomic_load(&w.app->chats_open), 0);
    world_said_free(&s);
    world_end(&w);
    if(mem_live() != base) {
      T_FAIL("%ld blocks leaked", mem_live() - base);
      return;
    }
    ++*points;
    if(!hit) return;
  }
}

static void t_fault_sweep(void)
{
  long points = 0;
  for(int i = 0; i < 8; i++) sweep(i & 1, i & 2, i & 4, &points);
  printf("fault points tried: %ld\n", points);
  CHECK(points > 150);
}

/* A client that leaves at any moment: nothing stays behind. */
static void t_leaving(void)
{
  for(int turns = 0; turns < 14; turns++) {
    long base = mem_live();
    struct world w;
    char head[200];
    CHECK(world_begin(&w, NULL));
    world_sign_in(&w);
    web(&w);
    vendor(&w, two_words);
    CHECK(key(&w, "k", SERVES_DEFAULT, ""));
    world_connect(&w);
    struct str json = S(ASK("qwen3-coder-plus") ",\"stream\":true}");
    int n = snprintf(head, sizeof head, "POST /cli/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-world-0123456789\r\nContent-Length: %zu\r\n\r\n", json.n);
    CHECK(send(w.client, head, (size_t)n, 0) == n && send(w.client, json.p, json.n, 0) == (ssize_t)json.n);
    for(int i = 0; i < turns; i++) world_turn(&w);
    shut(&w);
    for(int i = 0; i < 12; i++) world_turn(&w);
    CHECK_INT(pool_count(w.app->pool, FEATURE_CHAT, 0).leased, 0);
    CHECK_INT(atomic_load(&w.app->chats_open), 0);
    world_end(&w);
    CHECK_INT(mem_live(), base);
  }
}

/* ---- the stored record ---- */

struct seek { const char *name; struct account *found; };

static void look(void *ctx, struct account *a)
{
  struct seek *k = ctx;
  if(strcmp(a->email, k->name) == 0) k->found = a;
}

static struct account *find(struct world *w, const char *name)
{
  struct seek k = { name, NULL };
  pool_each(w->app->pool, look, &k);
  return k.found;
}

static void t_record(void)
{
  struct world w;
  struct q_error e = Q_ERROR_NONE;
  CHECK(world_begin(&w, NULL));
  struct account *api = account_new_api(S("an-api"), S("sk-plain-key"), S("https://base.example/v1/"), S("m1\nm2"), SERVES_CHAT | SERVES_CLI);
  struct account *cli = account_new(S("a-grant"), STR_NONE, STR_NONE);
  struct secret *access = secret_new(S("plain-access")), *refresh = secret_new(S("plain-refresh")), *resource = secret_new(S("plain.resource"));
  cli->kind = ACCOUNT_CLI;
  account_set_grant(cli, access, 123456789, refresh, resource);
  account_count_cli(cli, now_wall_ms(&now_real), 7, 100, 200);
  api->dirty = true;
  CHECK_INT(pool_add(w.app->pool, api), Q_OK);
  CHECK_INT(pool_add(w.app->pool, cli), Q_OK);
  struct account *env = account_new_api(S("env-9"), S("sk-env"), S("https://x"), STR_NONE, SERVES_DEFAULT);
  env->unstored = env->dirty = true;
  CHECK_INT(pool_add(w.app->pool, env), Q_OK);
  CHECK_INT(accounts_save(w.app), Q_OK);
  struct strbuf record = STRBUF(100000);
  CHECK_INT(store_get(w.app->store, S("acct/an-api"), &record), Q_OK);
  CHECK(str_find(strbuf_str(&record), S("sk-plain")) < 0 && str_find(strbuf_str(&record), S("base.example")) < 0); /* sealed */
  strbuf_clear(&record);
  CHECK_INT(store_get(w.app->store, S("acct/a-grant"), &record), Q_OK);
  CHECK(str_find(strbuf_str(&record), S("plain")) < 0);
  strbuf_clear(&record);
  CHECK(store_get(w.app->store, S("acct/env-9"), &record) != Q_OK);
  strbuf_free(&record);

  struct pool *old = w.app->pool;
  struct pool_config pc = { 2, 0, 10, 0, 2000 };
  w.app->pool = pool_new(&pc);
  CHECK_INT(accounts_load(w.app, &e), Q_OK);
  struct account *a = find(&w, "an-api"), *g = find(&w, "a-grant"), *one = find(&w, "one@example.org");
  CHECK(a && g && one);
  if(a && g && one) {
    CHECK_INT(a->kind, ACCOUNT_API);
    CHECK_INT(a->serves, SERVES_CHAT | SERVES_CLI);
    CHECK_STR(secret_str(a->token), S("sk-plain-key"));
    CHECK_STR(secret_str(a->base), S("https://base.example/v1"));
    CHECK_STR(secret_str(a->models), S("m1\nm2"));
    CHECK(a->models_given && account_lists(a, S("m2"), NULL) && !account_lists(a, S("m"), NULL));
    CHECK_INT(g->kind, ACCOUNT_CLI);
    CHECK_STR(secret_str(g->grant.access), S("plain-access"));
    CHECK_STR(secret_str(g->grant.refresh), S("plain-refresh"));
    CHECK_STR(secret_str(g->grant.resource), S("plain.resource"));
    CHECK_INT(g->grant.expires_ms, 123456789);
    CHECK_INT(account_cli_today(g, now_wall_ms(&now_real)), 7);
    CHECK_INT(g->cli_in, 100);
    CHECK_INT(one->kind, ACCOUNT_WEB);
    CHECK(!account_has_grant(one));
  }
  pool_destroy(old);
  secret_unref(access);
  secret_unref(refresh);
  secret_unref(resource);
  world_end(&w);
}

T_MAIN(T(t_chat_in_serves), T(t_models), T(t_told), T(t_told_names), T(t_told_faults), T(t_fault_sweep), T(t_leaving), T(t_record))
