#include <pthread.h>
#include <time.h>

#include "base/mem.h"
#include "base/now.h"
#include "domain/keys_admin.h"
#include "domain/keys_count.h"
#include "t.h"

enum { HOUR = 3600 * 1000 };
static const int64_t noon = 1764158400000; /* 2025-11-26T12:00:00Z, a slot's begin */

/* ---- helpers ---- */

static struct config *settings(const char *keys)
{
  char c[300], *env[] = { c, NULL };
  struct strbuf errors = STRBUF(10000), warnings = STRBUF(10000);
  struct config_input in = { .envp = env, .file = "/dev/null" };
  snprintf(c, sizeof c, "API_KEY=%s", keys);
  struct config *config = config_load(&in, &errors, &warnings);
  CHECK(config != NULL);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  return config;
}

static struct keys *open_keys(struct store *s, const char *env, int64_t now)
{
  struct config *c = settings(env);
  struct q_error e = Q_ERROR_NONE;
  char made[KEYS_TEXT];
  struct keys *k = keys_open(s, c, NULL, now, made, &e);
  CHECK(k != NULL);
  config_unref(c);
  return k;
}

struct parsed { struct arena a; const struct json *root; };
static struct parsed parse(const char *text)
{
  struct parsed p = { .a = ARENA(1 << 20) };
  p.root = json_parse(&p.a, str_z(text), 10, NULL);
  CHECK(p.root != NULL);
  return p;
}

/* The status; id receives the new key's. */
static enum q_status add(struct keys *k, const char *body, char id[KEYS_ID], struct q_error *e)
{
  struct parsed p = parse(body);
  char made[KEYS_TEXT];
  *e = Q_ERROR_NONE;
  enum q_status st = keys_admin_add(k, p.root, noon, made, id, e);
  arena_free(&p.a);
  return st;
}

static enum q_status patch(struct keys *k, const char *id, const char *body, struct q_error *e)
{
  struct parsed p = parse(body);
  *e = Q_ERROR_NONE;
  enum q_status st = keys_admin_patch(k, str_z(id), p.root, e);
  arena_free(&p.a);
  return st;
}

static struct q_error last;
static enum q_status ask_for(struct keys *k, const char *id, const char *asked, const char *resolved, int media, int64_t at, struct key_pass *pass)
{
  struct keys_ask a = { str_z(asked), str_z(resolved), media, false };
  last = Q_ERROR_NONE;
  return keys_admit(k, id, &a, at, pass, &last);
}

/* A whole request. */
static enum q_status call(struct keys *k, const char *id, int64_t tokens, int64_t at)
{
  struct key_pass p;
  enum q_status st = ask_for(k, id, "m", "m", 0, at, &p);
  keys_done(k, &p, tokens / 2, tokens - tokens / 2, 0, at);
  return st;
}

static int64_t used(struct keys *k, const char *id, const char *path, int64_t at)
{
  struct strbuf b = STRBUF(10000);
  int64_t n = -1;
  strbuf_addc(&b, '{');
  CHECK_INT(keys_admin_show(k, str_z(id), at, &b), Q_OK);
  strbuf_addc(&b, '}');
  struct parsed p = parse(strbuf_z(&b));
  if(!json_int(json_path(p.root, path), &n)) n = -1;
  arena_free(&p.a);
  strbuf_free(&b);
  return n;
}

/* ---- limits ---- */

/* api 9.3: limits as JSON, null = none; what is not understood is refused. */
static void t_limits(void)
{
  static const struct { const char *member; enum q_status st; } rows[] = {
    { "{\"rpm\":5}", Q_OK }, { "{\"rpm\":0}", Q_OK }, { "{\"rpm\":null}", Q_OK }, { "{\"rpm\":-1}", Q_BAD_VALUE }, { "{\"rpm\":1.5}", Q_BAD_TYPE },
    { "{\"rpm\":\"many\"}", Q_BAD_TYPE }, { "{\"rpm\":1e30}", Q_BAD_TYPE }, { "{\"rpn\":1}", Q_UNSUPPORTED }, { "{\"dailyTokens\":2000000000000000}", Q_BAD_VALUE },
    { "{\"expiresAt\":1764158400}", Q_OK }, { "{\"expiresAt\":1764158400000}", Q_BAD_VALUE }, { "{\"expiresAt\":0}", Q_BAD_VALUE }, { "{\"expiresAt\":true}", Q_BAD_TYPE },
    { "{\"models\":[\"qwen3*\"]}", Q_OK }, { "{\"models\":\"qwen3*\"}", Q_BAD_TYPE }, { "{\"models\":[1]}", Q_BAD_TYPE }, { "{\"models\":[\"\"]}", Q_BAD_VALUE },
    { "{\"models\":[\"a b\"]}", Q_BAD_VALUE }, { "{\"models\":[\"a\\nb\"]}", Q_BAD_VALUE }, { "{\"models\":[]}", Q_OK }, { "{\"models\":null}", Q_OK },
  };
  struct keys_limits l;
  keys_limits_none(&l);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct parsed p = parse(rows[i].member);
    struct q_error e = Q_ERROR_NONE;
    enum q_status st = keys_limits_read(&l, p.root->child, &e);
    if(st != rows[i].st) T_FAIL("%s: %s", rows[i].member, status_row(st)->name);
    if(st && st != Q_UNSUPPORTED) CHECK_STR(str_z(e.param), p.root->child->key);
    arena_free(&p.a);
  }
  keys_limits_free(&l);
  keys_limits_none(&l);
  struct parsed p = parse("{\"expiresAt\":7,\"models\":[\"a\",\"b*\"],\"rpm\":1,\"tpm\":2,\"maxInflight\":3,\"dailyRequests\":4,\"dailyTokens\":5,"
                          "\"monthlyTokens\":6,\"totalTokens\":null,\"dailyMedia\":0}");
  struct q_error e = Q_ERROR_NONE;
  for json_each(m, p.root) CHECK_INT(keys_limits_read(&l, m, &e), Q_OK);
  struct strbuf b = STRBUF(10000), same = STRBUF(10000);
  keys_limits_write(&l, &b);
  json_write(p.root, &same);
  CHECK_STR(strbuf_str(&b), strbuf_str(&same));
  struct keys_limits copy;
  CHECK_INT(keys_limits_copy(&copy, &l), Q_OK);
  CHECK(copy.models != l.models && strcmp(copy.models, "a\nb*\n") == 0);
  keys_limits_free(&copy);
  keys_limits_free(&l);
  keys_limits_none(&l);
  strbuf_clear(&b);
  keys_limits_write(&l, &b);
  CHECK_STR(strbuf_str(&b), S("{\"expiresAt\":null,\"models\":null,\"rpm\":null,\"tpm\":null,\"maxInflight\":null,\"dailyRequests\":null,\"dailyTokens\":null,"
                              "\"monthlyTokens\":null,\"totalTokens\":null,\"dailyMedia\":null}"));
  strbuf_free(&b);
  strbuf_free(&same);
  arena_free(&p.a);
}

/* api 9.3: names with '*', the asked or the resolved one. */
static void t_models(void)
{
  static const struct { const char *patterns, *asked, *resolved; bool may; } rows[] = {
    { "qwen3-max\n", "qwen3-max", "qwen3-max", true }, { "qwen3-max\n", "gpt-4o", "qwen3-max", true }, { "gpt-4o\n", "gpt-4o", "qwen3-max", true },
    { "qwen3-max\n", "qwen3-max-x", "qwen3-plus", false }, { "qwen3-max\n", "", "", false }, { "qwen3*\n", "QWEN3-Max", "x", true },
    { "*\n", "", "m", true }, { "a*c\n", "abbc", "", true }, { "a*c\n", "abbcd", "", false }, { "a*b*c\n", "aXbYbZc", "", true }, { "*-thinking\n", "q-thinking", "q", true },
    { "*x*x*x\n", "axbxc", "", false }, { "a\nb\n", "b", "", true }, { "a\nb\n", "c", "d", false }, { "**\n", "z", "", true }, { "a\n", "ab", "", false },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct keys_limits l;
    keys_limits_none(&l);
    CHECK(keys_limits_allow(&l, S("x"), STR_NONE));
    char text[40];
    snprintf(text, sizeof text, "%s", rows[i].patterns);
    l.models = text;
    if(keys_limits_allow(&l, str_z(rows[i].asked), str_z(rows[i].resolved)) != rows[i].may) T_FAIL("row %zu: %s %s", i, rows[i].patterns, rows[i].asked);
  }
  /* A client's name may be of any length; one too long is not compared. */
  char longest[KEYS_MODEL_NAME + 1], a_star[] = "a*\n";
  struct keys_limits l;
  keys_limits_none(&l);
  l.models = a_star;
  memset(longest, 'a', sizeof longest);
  CHECK(keys_limits_allow(&l, str_of(longest, KEYS_MODEL_NAME), S("z")));
  CHECK(!keys_limits_allow(&l, str_of(longest, KEYS_MODEL_NAME + 1), S("z")));
  CHECK(keys_limits_allow(&l, str_of(longest, KEYS_MODEL_NAME + 1), S("ab")));
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  char id[KEYS_ID];
  struct q_error e;
  struct key_pass p;
  CHECK_INT(add(k, "{\"models\":[\"qwen3-max\"]}", id, &e), Q_OK);
  CHECK_INT(ask_for(k, id, "qwen3-plus", "qwen3-plus", 0, noon, &p), Q_KEY_MODEL);
  CHECK_Z(last.param, "model");
  CHECK(!p.held && used(k, id, "usage.total.calls", noon) == 0);
  CHECK_INT(ask_for(k, id, "alias", "qwen3-max", 0, noon, &p), Q_OK);
  keys_done(k, &p, 0, 0, 0, noon);
  keys_destroy(k);
  store_close(s);
}

/* api 9.3, 12 key_rate_limit: rpm in a sliding minute, never more than the limit in any 60 s; Retry-After is when it goes again. */
static void t_rpm(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  char id[KEYS_ID];
  struct q_error e;
  int64_t t = noon;
  CHECK_INT(add(k, "{\"rpm\":3}", id, &e), Q_OK);
  CHECK_INT(call(k, id, 0, t), Q_OK);
  CHECK_INT(call(k, id, 0, t + 20000), Q_OK);
  CHECK_INT(call(k, id, 0, t + 40000), Q_OK);
  CHECK_INT(call(k, id, 0, t + 40000), Q_KEY_RATE);
  CHECK_INT(last.retry_after_s, 21); /* 20 s and the rest of the slot */
  CHECK_INT(call(k, id, 0, t + 59999), Q_KEY_RATE);
  CHECK_INT(last.retry_after_s, 1);
  CHECK_INT(call(k, id, 0, t + 40000 + 21000), Q_OK); /* as it was told */
  CHECK_INT(call(k, id, 0, t + 40000 + 21000), Q_KEY_RATE); /* only the first one has left */
  CHECK_INT(call(k, id, 0, t + 80500), Q_OK);
  CHECK_INT(call(k, id, 0, t + 300000), Q_OK);
  CHECK_INT(used(k, id, "usage.total.calls", t), 6);
  CHECK_INT(call(k, id, 0, t + 200000), Q_OK); /* a clock set back */
  CHECK_INT(call(k, id, 0, t + 200000), Q_OK);
  CHECK_INT(call(k, id, 0, t + 200000), Q_KEY_RATE);
  /* Whatever the pace: each 60 s hold three at most. */
  int64_t let[2000];
  int n = 0;
  unsigned seed = 7;
  for(int64_t at = t + HOUR; at < t + 2 * HOUR; at += (seed = seed * 1103515245u + 12345u) >> 18)
    if(n < 2000 && call(k, id, 0, at) == Q_OK) let[n++] = at;
  CHECK(n > 150);
  for(int i = 3; i < n; i++)
    if(let[i] - let[i - 3] < 60000) T_FAIL("four requests within %lld ms", (long long)(let[i] - let[i - 3]));
  CHECK_INT(patch(k, id, "{\"rpm\":0}", &e), Q_OK);
  CHECK_INT(call(k, id, 0, t + 3 * HOUR), Q_KEY_RATE);
  CHECK_INT(last.retry_after_s, 60);
  keys_destroy(k);
  store_close(s);
}

/* api 9.3: tpm counts what answers took; a running answer is not cut, the next request is refused. */
static void t_tpm(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  char id[KEYS_ID];
  struct q_error e;
  CHECK_INT(add(k, "{\"limits\":{\"tpm\":100}}", id, &e), Q_OK);
  CHECK_INT(call(k, id, 99, noon), Q_OK);
  CHECK_INT(call(k, id, 50, noon + 1000), Q_OK);
  CHECK_INT(call(k, id, 1, noon + 2000), Q_KEY_RATE);
  CHECK_INT(last.retry_after_s, 59); /* when the 99 have left */
  CHECK_INT(call(k, id, 1, noon + 60499), Q_KEY_RATE);
  CHECK_INT(call(k, id, 50, noon + 61000), Q_OK);
  CHECK_INT(call(k, id, 1, noon + 61000), Q_KEY_RATE);
  CHECK_INT(last.retry_after_s, 1);
  CHECK_INT(call(k, id, 1, noon + 61500), Q_OK);
  keys_destroy(k);
  store_close(s);
}

/* api 9.3: maxInflight goes back once at every end. */
static void t_inflight(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  char id[KEYS_ID], again[KEYS_ID];
  struct q_error e;
  struct key_pass a, b, c;
  CHECK_INT(add(k, "{\"apiKey\":\"sk-inflight\",\"maxInflight\":2}", id, &e), Q_OK);
  CHECK_INT(ask_for(k, id, "m", "m", 0, noon, &a), Q_OK);
  CHECK_INT(ask_for(k, id, "m", "m", 0, noon, &b), Q_OK);
  CHECK_INT(ask_for(k, id, "m", "m", 0, noon, &c), Q_KEY_RATE);
  CHECK(last.retry_after_s > 0 && !c.held);
  keys_done(k, &c, 5, 5, 1, noon); /* none: counts nothing */
  CHECK_INT(used(k, id, "inflight", noon), 2);
  keys_done(k, &a, 0, 0, 0, noon);
  keys_done(k, &a, 0, 0, 0, noon);
  CHECK_INT(used(k, id, "inflight", noon), 1);
  CHECK_INT(used(k, id, "usage.total.tokens", noon), 0);
  /* One that comes back from another route is let in, whatever the limits say, and counted once. */
  struct keys_ask back = { S("m"), S("m"), 0, true };
  CHECK_INT(ask_for(k, id, "m", "m", 0, noon, &a), Q_OK);
  CHECK_INT(keys_admit(k, id, &back, noon, &c, &e), Q_OK);
  CHECK_INT(used(k, id, "inflight", noon), 3);
  CHECK_INT(used(k, id, "usage.total.calls", noon), 3);
  /* Deleted and added anew: the answers that still run are not of the new key. */
  char which[KEYS_ID];
  CHECK_INT(keys_admin_delete(k, STR_NONE, str_z(id), which, &e), Q_OK);
  CHECK_INT(call(k, id, 0, noon), Q_BAD_KEY);
  CHECK_INT(add(k, "{\"apiKey\":\"sk-inflight\",\"maxInflight\":1}", again, &e), Q_OK);
  CHECK_Z(again, id);
  CHECK_INT(used(k, id, "usage.total.calls", noon), 0);
  struct key_pass d;
  CHECK_INT(ask_for(k, id, "m", "m", 0, noon, &d), Q_OK);
  keys_done(k, &a, 9, 9, 9, noon);
  keys_done(k, &b, 9, 9, 9, noon);
  keys_done(k, &c, 9, 9, 9, noon);
  CHECK_INT(used(k, id, "inflight", noon), 1);
  CHECK_INT(used(k, id, "usage.total.tokens", noon), 0);
  keys_done(k, &d, 0, 0, 0, noon);
  keys_destroy(k);
  store_close(s);
}

/* api 9.3, 12 key_quota_exceeded: day, month and total; they end at local midnight, in every zone. */
static void quotas(const char *zone, int64_t at)
{
  setenv("TZ", zone, 1);
  tzset();
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", at);
  char day[KEYS_ID], tokens[KEYS_ID], month[KEYS_ID], total[KEYS_ID];
  struct q_error e;
  int64_t midnight = now_local_midnight_ms(at), next = midnight;
  CHECK_INT(add(k, "{\"dailyRequests\":2}", day, &e), Q_OK);
  CHECK_INT(add(k, "{\"dailyTokens\":100}", tokens, &e), Q_OK);
  CHECK_INT(add(k, "{\"monthlyTokens\":100}", month, &e), Q_OK);
  CHECK_INT(add(k, "{\"totalTokens\":100}", total, &e), Q_OK);
  CHECK_INT(call(k, day, 0, midnight - 3000), Q_OK);
  CHECK_INT(call(k, day, 0, midnight - 2000), Q_OK);
  CHECK_INT(call(k, day, 0, midnight - 1500), Q_KEY_QUOTA);
  CHECK_INT(last.retry_after_s, 2);
  CHECK_INT(call(k, day, 0, midnight - 1), Q_KEY_QUOTA);
  CHECK_INT(call(k, tokens, 100, midnight - 1000), Q_OK);
  CHECK_INT(call(k, tokens, 1, midnight - 1), Q_KEY_QUOTA);
  CHECK_INT(last.retry_after_s, 1);
  CHECK_INT(call(k, month, 99, midnight - 1000), Q_OK);
  CHECK_INT(call(k, total, 99, midnight - 1000), Q_OK);
  CHECK_INT(used(k, day, "usage.today.calls", midnight - 1), 2);
  CHECK_INT(used(k, day, "usage.today.calls", midnight), 0);
  CHECK_INT(call(k, day, 0, midnight), Q_OK);
  CHECK_INT(call(k, tokens, 100, midnight), Q_OK);
  CHECK_INT(call(k, day, 0, midnight - 5), Q_OK); /* a clock set back goes on with the day */
  CHECK_INT(call(k, day, 0, midnight + 5), Q_KEY_QUOTA);
  while(now_local_day(next) / 100 == now_local_day(at) / 100) next = now_local_midnight_ms(next);
  bool same = midnight < next;
  CHECK_INT(call(k, month, 1, midnight + 1), Q_OK);
  CHECK_INT(call(k, month, 1, midnight + 1), same ? Q_KEY_QUOTA : Q_OK);
  if(same) CHECK_INT(last.retry_after_s, (next - midnight - 1 + 999) / 1000);
  CHECK_INT(call(k, month, 1, next - (same ? 1 : 0)), same ? Q_KEY_QUOTA : Q_OK);
  CHECK_INT(call(k, month, 1, next), Q_OK);
  CHECK_INT(used(k, month, "usage.month.tokens", next), same ? 1 : 4);
  CHECK_INT(call(k, total, 1, next + 400LL * 24 * HOUR), Q_OK);
  CHECK_INT(call(k, total, 1, next + 800LL * 24 * HOUR), Q_KEY_QUOTA); /* used up for good */
  CHECK_INT(last.retry_after_s, 24 * 3600);
  keys_destroy(k);
  store_close(s);
}

static void t_quotas(void)
{
  static const int64_t times[] = { 1764158400000, 1764504000000 /* 30 Nov, noon */, 1774785600000 /* 29 Mar 2026: summer time begins */, 1767182400000 /* 31 Dec */ };
  for(size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    quotas("UTC0", times[i]);
    quotas("CST-8", times[i]);
    quotas("CET-1CEST,M3.5.0,M10.5.0/3", times[i]);
    quotas("PST8PDT,M3.2.0,M11.1.0", times[i]);
  }
  setenv("TZ", "UTC0", 1);
  tzset();
}

/* api 9.3: dailyMedia counts what came to be, and never lets more begin than may end. */
static void t_media(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  char id[KEYS_ID];
  struct q_error e;
  struct key_pass a, b, c;
  CHECK_INT(add(k, "{\"dailyMedia\":4}", id, &e), Q_OK);
  CHECK_INT(ask_for(k, id, "m", "m", 3, noon, &a), Q_OK);
  CHECK_INT(ask_for(k, id, "m", "m", 2, noon, &b), Q_KEY_QUOTA);
  CHECK_INT(ask_for(k, id, "m", "m", 1, noon, &b), Q_OK);
  CHECK_INT(ask_for(k, id, "m", "m", 1, noon, &c), Q_KEY_QUOTA);
  CHECK_INT(ask_for(k, id, "m", "m", 0, noon, &c), Q_OK); /* text goes on */
  keys_done(k, &c, 1, 1, 0, noon);
  keys_done(k, &a, 0, 0, 0, noon); /* it failed */
  CHECK_INT(used(k, id, "usage.today.media", noon), 0);
  keys_done(k, &b, 0, 0, 1, noon);
  CHECK_INT(ask_for(k, id, "m", "m", 3, noon, &a), Q_OK);
  keys_done(k, &a, 0, 0, 3, noon);
  CHECK_INT(used(k, id, "usage.today.media", noon), 4);
  CHECK_INT(ask_for(k, id, "m", "m", 1, noon, &a), Q_KEY_QUOTA);
  CHECK_INT(ask_for(k, id, "m", "m", 1, now_local_midnight_ms(noon), &a), Q_OK);
  keys_done(k, &a, 0, 0, 0, noon);
  keys_late(k, id, 1, now_local_midnight_ms(noon));
  CHECK_INT(used(k, id, "usage.today.media", now_local_midnight_ms(noon)), 1);
  CHECK_INT(used(k, id, "usage.total.media", now_local_midnight_ms(noon)), 5);
  CHECK_INT(used(k, id, "inflight", noon), 0);
  keys_destroy(k);
  store_close(s);
}

/* ---- exactness ---- */

enum { THREADS = 8, TRIES = 3000, DAILY = 5000, AT_ONCE = 3 };
struct crowd { struct keys *k; const char *daily, *once; atomic_int let, inside, most, kept; };

static void *crowd_member(void *arg)
{
  struct crowd *c = arg;
  struct keys_ask ask = { S("m"), S("m"), 0, false };
  for(int i = 0; i < TRIES; i++) {
    struct key_pass p;
    struct q_error e = Q_ERROR_NONE;
    if(keys_admit(c->k, c->daily, &ask, noon, &p, &e) == Q_OK) {
      atomic_fetch_add(&c->let, 1);
      keys_done(c->k, &p, 1, 2, 0, noon);
    }
    if(keys_admit(c->k, c->once, &ask, noon, &p, &e) == Q_OK) {
      int n = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most);
      while(n > most && !atomic_compare_exchange_weak(&c->most, &most, n)) {}
      atomic_fetch_add(&c->kept, 1);
      if(i % 64 == 0) nanosleep(&(struct timespec){ 0, 1000 }, NULL);
      atomic_fetch_sub(&c->inside, 1);
      keys_done(c->k, &p, 0, 0, 0, noon);
    }
    if(i % 500 == 0) CHECK_INT(keys_count_save(c->k, noon), Q_OK);
  }
  return NULL;
}

/* api 9.3: exact across threads, while the counters are being written: 8 of them against dailyRequests and maxInflight. */
static void t_exact(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  char daily[KEYS_ID], once[KEYS_ID];
  struct q_error e;
  pthread_t t[THREADS];
  char body[64];
  snprintf(body, sizeof body, "{\"dailyRequests\":%d}", DAILY);
  CHECK_INT(add(k, body, daily, &e), Q_OK);
  snprintf(body, sizeof body, "{\"maxInflight\":%d}", AT_ONCE);
  CHECK_INT(add(k, body, once, &e), Q_OK);
  struct crowd c = { .k = k, .daily = daily, .once = once };
  for(int i = 0; i < THREADS; i++) CHECK(pthread_create(&t[i], NULL, crowd_member, &c) == 0);
  for(int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
  CHECK_INT(atomic_load(&c.let), DAILY);
  CHECK(atomic_load(&c.most) <= AT_ONCE);
  CHECK_INT(used(k, daily, "usage.today.calls", noon), DAILY);
  CHECK_INT(used(k, daily, "usage.month.tokens", noon), 3 * DAILY);
  CHECK_INT(used(k, once, "usage.total.calls", noon), atomic_load(&c.kept));
  CHECK_INT(used(k, once, "inflight", noon), 0);
  CHECK_INT(keys_count_save(k, noon), Q_OK);
  keys_destroy(k);
  k = open_keys(s, "sk-admin", noon);
  CHECK_INT(used(k, daily, "usage.today.calls", noon), DAILY);
  CHECK_INT(used(k, daily, "usage.total.tokens", noon), 3 * DAILY);
  CHECK_INT(used(k, once, "usage.total.calls", noon), atomic_load(&c.kept));
  keys_destroy(k);
  store_close(s);
}

/* ---- the store ---- */

/* api 9.3: counters survive a restart, at any distance from midnight; former days and months go. */
static void t_restart(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin,sk-env", noon);
  char id[KEYS_ID], env[KEYS_ID];
  struct q_error e;
  struct strbuf b = STRBUF(10000);
  int64_t midnight = now_local_midnight_ms(noon);
  CHECK_INT(keys_check(k, S("sk-env"), noon, env), KEY_REGULAR);
  CHECK_INT(add(k, "{\"name\":\"a team\",\"dailyRequests\":3,\"models\":[\"m\"],\"rpm\":50}", id, &e), Q_OK);
  CHECK(!keys_count_due(k, noon + 60000)); /* nothing to write */
  CHECK_INT(call(k, id, 10, noon), Q_OK);
  CHECK_INT(call(k, env, 7, noon), Q_OK);
  CHECK(!keys_count_due(k, noon + 4999));
  CHECK(keys_count_due(k, noon + 5000)); /* api 9.9: every 5 s */
  CHECK_INT(keys_count_save(k, noon + 5000), Q_OK);
  CHECK(!keys_count_due(k, noon + 60000));
  CHECK_INT(call(k, id, 10, noon + 6000), Q_OK);
  CHECK_INT(keys_count_save(k, noon + 7000), Q_OK);
  keys_destroy(k);
  k = open_keys(s, "sk-admin,sk-env", midnight - 2000);
  CHECK_INT(used(k, id, "usage.today.calls", midnight - 2000), 2);
  CHECK_INT(used(k, id, "lastUsedAt", midnight - 2000), (noon + 6000) / 1000);
  CHECK_INT(used(k, env, "usage.total.tokens", midnight - 2000), 7);
  CHECK_INT(used(k, id, "limits.dailyRequests", noon), 3);
  CHECK_INT(call(k, id, 10, midnight - 2000), Q_OK);
  CHECK_INT(call(k, id, 10, midnight - 1), Q_KEY_QUOTA);
  CHECK_INT(call(k, id, 10, midnight), Q_OK); /* the call before it is not written yet, and of a day that is over */
  CHECK_INT(keys_count_save(k, midnight + 1000), Q_OK);
  keys_destroy(k);
  k = open_keys(s, "sk-admin,sk-env", midnight + 2000);
  CHECK_INT(used(k, id, "usage.today.calls", midnight + 2000), 1);
  CHECK_INT(used(k, id, "usage.month.calls", midnight + 2000), 4);
  CHECK_INT(used(k, id, "usage.total.calls", midnight + 2000), 4);
  CHECK_INT(used(k, id, "usage.total.tokens", midnight + 2000), 40);
  char name[KEYS_NAME];
  CHECK(keys_name(k, id, name));
  CHECK_Z(name, "a team");
  keys_destroy(k);
  char record[64];
  snprintf(record, sizeof record, "use/%s/%d/calls", id, now_local_day(noon));
  CHECK_INT(store_get(s, str_z(record), &b), Q_OK);
  k = open_keys(s, "sk-admin", noon + 60LL * 24 * HOUR);
  CHECK_INT(store_get(s, str_z(record), &b), Q_NOT_FOUND);
  CHECK_INT(used(k, id, "usage.month.calls", noon + 60LL * 24 * HOUR), 0);
  CHECK_INT(used(k, id, "usage.total.calls", noon + 60LL * 24 * HOUR), 4);
  keys_destroy(k);
  strbuf_free(&b);
  store_close(s);
}

/* A store whose server is out of reach, or that refuses, in turns. */
struct moody { struct store store; struct store_ops ops; struct store *real; enum q_status mood; int calls; };
static enum q_status moody_incr(struct store *s, struct store_delta *v, int n)
{
  struct moody *m = (struct moody *)s;
  m->calls++;
  if(m->mood && m->mood != Q_AGAIN) return m->mood;
  enum q_status st = m->real->ops->incr(m->real, v, n);
  if(m->mood == Q_AGAIN)
    for(int i = 0; i < n; i++) v[i].total = -77; /* not told */
  return st ? st : m->mood;
}
static enum q_status moody_get(struct store *s, struct str key, struct strbuf *value)
{
  struct moody *m = (struct moody *)s;
  return m->mood == Q_STORE_AWAY ? m->mood : store_get(m->real, key, value);
}
static enum q_status moody_scan(struct store *s, struct str prefix, bool (*fn)(void *, struct str, struct str), void *ctx)
{
  struct store *real = ((struct moody *)s)->real;
  return real->ops->scan(real, prefix, fn, ctx);
}
static enum q_status moody_commit(struct store *s, const struct store_op *ops, int n)
{
  struct moody *m = (struct moody *)s;
  return m->mood && m->mood != Q_AGAIN ? m->mood : m->real->ops->commit(m->real, ops, n);
}
static enum q_status moody_watch(struct store *s, const struct store_watch *w)
{
  (void)s, (void)w;
  return Q_OK;
}
static bool wipe_see(void *ctx, struct str key, struct str value)
{
  struct strbuf *b = ctx;
  (void)value;
  strbuf_adds(b, key);
  strbuf_addc(b, '\n');
  return true;
}
static void wipe(struct store *s, const char *prefix)
{
  struct strbuf all = STRBUF(100000);
  CHECK_INT(s->ops->scan(s, str_z(prefix), wipe_see, &all), Q_OK);
  for(struct str rest = strbuf_str(&all); rest.n;) {
    struct store_op op = { .key = str_cut(&rest, '\n'), .del = true };
    CHECK_INT(s->ops->commit(s, &op, 1), Q_OK);
  }
  strbuf_free(&all);
}
static struct moody moody_of(struct store *real, bool shared)
{
  struct moody m = { .real = real, .ops = { .name = "moody", .lasting = true, .get = moody_get, .scan = moody_scan, .commit = moody_commit, .incr = moody_incr,
                                            .watch = shared ? moody_watch : NULL } };
  return m;
}

/* api 9.9: counters that cannot be written are held, and nothing is counted twice. */
static void t_held(void)
{
  struct store *real = store_mem_new();
  struct moody m = moody_of(real, false);
  m.store.ops = &m.ops;
  struct keys *k = open_keys(&m.store, "sk-admin", noon);
  char id[KEYS_ID];
  struct q_error e;
  CHECK_INT(add(k, "{\"dailyRequests\":100}", id, &e), Q_OK);
  for(int i = 0; i < 40; i++) {
    static const enum q_status moods[] = { Q_OK, Q_STORE, Q_AGAIN, Q_STORE_AWAY, Q_STORE };
    m.mood = moods[i % 5];
    CHECK_INT(call(k, id, 3, noon + i), Q_OK);
    enum q_status st = keys_count_save(k, noon + i);
    CHECK_INT(st, m.mood == Q_AGAIN ? Q_OK : m.mood);
    CHECK_INT(keys_count_due(k, noon + i + 5000), m.mood && m.mood != Q_AGAIN);
    CHECK_INT(used(k, id, "usage.today.calls", noon), i + 1);
  }
  m.mood = Q_OK;
  CHECK_INT(keys_count_save(k, noon), Q_OK);
  int calls = m.calls;
  CHECK_INT(keys_count_save(k, noon), Q_OK);
  CHECK_INT(m.calls, calls); /* nothing to write, nothing written */
  CHECK_INT(used(k, id, "usage.today.calls", noon), 40);
  keys_destroy(k);
  k = open_keys(&m.store, "sk-admin", noon);
  CHECK_INT(used(k, id, "usage.today.calls", noon), 40);
  CHECK_INT(used(k, id, "usage.total.tokens", noon), 120);
  keys_destroy(k);
  store_close(real);
}

/* A gateway that starts takes what was ever used for history, not for the last minute. */
static void t_shared_start(void)
{
  struct store *real = store_mem_new();
  struct moody ma = moody_of(real, true), mb = moody_of(real, true);
  ma.store.ops = &ma.ops;
  mb.store.ops = &mb.ops;
  struct keys *a = open_keys(&ma.store, "sk-admin", noon), *b;
  char id[KEYS_ID];
  struct q_error e;
  CHECK_INT(add(a, "{\"apiKey\":\"sk-old\",\"rpm\":4,\"tpm\":1000}", id, &e), Q_OK);
  for(int i = 0; i < 40; i++) CHECK_INT(call(a, id, 100, noon + i * 60000), Q_OK);
  CHECK_INT(keys_count_save(a, noon + HOUR), Q_OK);
  b = open_keys(&mb.store, "sk-admin", noon + HOUR);
  for(int i = 0; i < 4; i++) CHECK_INT(call(b, id, 1, noon + HOUR + 1000), Q_OK);
  CHECK_INT(call(b, id, 1, noon + HOUR + 1000), Q_KEY_RATE);
  CHECK_INT(keys_count_save(b, noon + HOUR + 2000), Q_OK);
  CHECK_INT(keys_count_save(a, noon + HOUR + 3000), Q_OK);
  CHECK_INT(call(a, id, 1, noon + HOUR + 3000), Q_KEY_RATE); /* but a moment ago is */
  keys_destroy(a);
  keys_destroy(b);
  store_close(real);
}

/* api 9.3: over all gateways of a store, a second's lag allowed; a key changed in one is changed in the other. */
static void t_shared(void)
{
  struct store *real = store_mem_new();
  struct moody ma = moody_of(real, true), mb = moody_of(real, true);
  ma.store.ops = &ma.ops;
  mb.store.ops = &mb.ops;
  struct keys *a = open_keys(&ma.store, "sk-admin", noon), *b = open_keys(&mb.store, "sk-admin", noon);
  char id[KEYS_ID], record[64], rpm[KEYS_ID], which[KEYS_ID];
  struct q_error e;
  CHECK_INT(add(a, "{\"apiKey\":\"sk-shared\",\"dailyRequests\":10,\"name\":\"one\"}", id, &e), Q_OK);
  CHECK_INT(keys_check(b, S("sk-shared"), noon, NULL), KEY_NONE);
  snprintf(record, sizeof record, "key/%s", id);
  CHECK_INT(keys_admin_changed(b, str_z(record), noon), Q_OK);
  CHECK_INT(keys_check(b, S("sk-shared"), noon, NULL), KEY_REGULAR);
  for(int i = 0; i < 6; i++) CHECK_INT(call(a, id, 10, noon), Q_OK);
  for(int i = 0; i < 2; i++) CHECK_INT(call(b, id, 10, noon), Q_OK);
  CHECK(keys_count_due(a, noon + 1000)); /* each second */
  CHECK_INT(keys_count_save(a, noon + 1000), Q_OK);
  CHECK_INT(keys_count_save(b, noon + 1000), Q_OK);
  CHECK_INT(used(b, id, "usage.today.calls", noon), 8);
  CHECK_INT(keys_count_save(a, noon + 2000), Q_OK);
  CHECK_INT(used(a, id, "usage.today.calls", noon), 8);
  CHECK_INT(used(a, id, "usage.total.tokens", noon), 80);
  CHECK_INT(call(a, id, 10, noon), Q_OK);
  CHECK_INT(call(a, id, 10, noon), Q_OK);
  CHECK_INT(call(a, id, 10, noon), Q_KEY_QUOTA);
  CHECK_INT(keys_count_save(a, noon + 3000), Q_OK);
  CHECK_INT(keys_count_save(b, noon + 3000), Q_OK); /* it wrote nothing of its own */
  CHECK_INT(call(b, id, 10, noon), Q_KEY_QUOTA);
  for(int i = 0; i < 3; i++) { /* nothing is added by looking */
    CHECK_INT(keys_count_save(a, noon + 4000), Q_OK);
    CHECK_INT(keys_count_save(b, noon + 4000), Q_OK);
  }
  CHECK_INT(used(a, id, "usage.total.calls", noon), 10);
  CHECK_INT(used(b, id, "usage.total.calls", noon), 10);
  /* rpm: what the other let in fills the window here. */
  CHECK_INT(add(a, "{\"apiKey\":\"sk-rpm\",\"rpm\":4}", rpm, &e), Q_OK);
  snprintf(record, sizeof record, "key/%s", rpm);
  CHECK_INT(keys_admin_changed(b, str_z(record), noon), Q_OK);
  for(int i = 0; i < 3; i++) CHECK_INT(call(a, rpm, 0, noon + 5000), Q_OK);
  CHECK_INT(keys_count_save(a, noon + 6000), Q_OK);
  CHECK_INT(keys_count_save(b, noon + 6000), Q_OK);
  CHECK_INT(call(b, rpm, 0, noon + 6000), Q_OK);
  CHECK_INT(call(b, rpm, 0, noon + 6000), Q_KEY_RATE);
  /* Changed, disabled, deleted there. */
  CHECK_INT(patch(a, rpm, "{\"rpm\":null,\"name\":\"two\",\"enabled\":false}", &e), Q_OK);
  CHECK_INT(keys_admin_changed(b, str_z(record), noon), Q_OK);
  CHECK_INT(keys_check(b, S("sk-rpm"), noon, NULL), KEY_NONE);
  char name[KEYS_NAME];
  CHECK(keys_name(b, rpm, name) && strcmp(name, "two") == 0);
  CHECK_INT(keys_admin_delete(a, S("sk-rpm"), STR_NONE, which, &e), Q_OK);
  CHECK_INT(keys_admin_changed(b, str_z(record), noon), Q_OK);
  CHECK(keys_refusal(b, S("sk-rpm"), noon) == NULL);
  /* Redis away: an admin write changes nothing here. */
  ma.mood = Q_STORE_AWAY;
  CHECK_INT(patch(a, id, "{\"name\":\"three\"}", &e), Q_STORE_AWAY);
  CHECK(keys_name(a, id, name) && strcmp(name, "one") == 0);
  CHECK_INT(add(a, "{\"apiKey\":\"sk-late\"}", rpm, &e), Q_STORE_AWAY);
  CHECK_INT(keys_check(a, S("sk-late"), noon, NULL), KEY_NONE);
  CHECK_INT(keys_admin_delete(a, STR_NONE, str_z(id), which, &e), Q_STORE_AWAY);
  CHECK_INT(keys_check(a, S("sk-shared"), noon, NULL), KEY_REGULAR);
  /* A key that API_KEY has no more ends all the same. */
  struct config *c = settings("sk-admin,sk-brief");
  CHECK_INT(keys_env(b, c, noon, &e), Q_OK);
  config_unref(c);
  CHECK_INT(keys_check(b, S("sk-brief"), noon, NULL), KEY_REGULAR);
  mb.mood = Q_STORE_AWAY;
  c = settings("sk-admin-2,sk-newer");
  CHECK_INT(keys_env(b, c, noon, &e), Q_STORE_AWAY);
  config_unref(c);
  CHECK_INT(keys_check(b, S("sk-brief"), noon, NULL), KEY_NONE);
  CHECK_INT(keys_check(b, S("sk-admin"), noon, NULL), KEY_NONE);
  CHECK_INT(keys_check(b, S("sk-admin-2"), noon, NULL), KEY_ADMIN);
  CHECK_INT(keys_check(b, S("sk-newer"), noon, NULL), KEY_REGULAR);
  ma.mood = mb.mood = Q_OK;
  /* It came back empty: the records are written again, and the counters raised to what is known, by whoever comes first. A look at
   * the empty store before that lowers nothing. */
  CHECK_INT(call(b, id, 10, noon), Q_KEY_QUOTA);
  CHECK_INT(patch(a, id, "{\"dailyRequests\":20}", &e), Q_OK);
  snprintf(record, sizeof record, "key/%s", id);
  CHECK_INT(keys_admin_changed(b, str_z(record), noon), Q_OK);
  wipe(real, "key/");
  wipe(real, "use/");
  CHECK_INT(call(b, id, 10, noon), Q_OK);
  CHECK_INT(call(a, id, 10, noon), Q_OK);
  CHECK_INT(keys_count_save(b, noon + 5000), Q_OK);
  CHECK_INT(used(b, id, "usage.total.calls", noon), 11);
  CHECK_INT(keys_admin_restore(a), Q_OK);
  CHECK_INT(keys_admin_restore(b), Q_OK);
  CHECK_INT(keys_admin_restore(a), Q_OK);
  struct strbuf back = STRBUF(10000);
  CHECK_INT(store_get(real, str_z(record), &back), Q_OK);
  strbuf_free(&back);
  for(int i = 0; i < 2; i++) {
    CHECK_INT(keys_count_save(a, noon + 6000 + i), Q_OK);
    CHECK_INT(keys_count_save(b, noon + 6000 + i), Q_OK);
  }
  CHECK_INT(used(a, id, "usage.total.calls", noon), 12);
  CHECK_INT(used(b, id, "usage.today.calls", noon), 12);
  CHECK_INT(used(b, id, "usage.total.tokens", noon), 120);
  keys_destroy(a);
  keys_destroy(b);
  store_close(real);
}

/* ---- administration ---- */

/* api 1.1, 1.3, 9.3: add, list, change, delete; what exists, what the environment owns, what is the admin's. */
static void t_admin(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin,sk-environment", noon);
  char id[KEYS_ID], env[KEYS_ID], admin[KEYS_ID], which[KEYS_ID], made[KEYS_TEXT];
  struct q_error e = Q_ERROR_NONE;
  CHECK_INT(keys_check(k, S("sk-admin"), noon, admin), KEY_ADMIN);
  CHECK_INT(keys_check(k, S("sk-environment"), noon, env), KEY_REGULAR);
  struct parsed p = parse("{}");
  CHECK_INT(keys_admin_add(k, p.root, noon, made, id, &e), Q_OK);
  CHECK_INT(strlen(made), 51);
  CHECK(strncmp(made, "sk-", 3) == 0);
  CHECK_INT(keys_check(k, str_z(made), noon, which), KEY_REGULAR);
  CHECK_Z(which, id);
  arena_free(&p.a);
  CHECK_INT(add(k, "{\"apiKey\":\" sk-own-key-of-mine \",\"name\":\"x\"}", id, &e), Q_OK);
  CHECK_INT(keys_check(k, S("sk-own-key-of-mine"), noon, NULL), KEY_REGULAR);
  CHECK_INT(add(k, "{\"apiKey\":\"sk-own-key-of-mine\"}", which, &e), Q_EXISTS);
  CHECK_INT(add(k, "{\"apiKey\":\"sk-environment\"}", which, &e), Q_EXISTS);
  CHECK_INT(add(k, "{\"apiKey\":\"sk-admin\"}", which, &e), Q_EXISTS);
  static const struct { const char *body; enum q_status st; } bad[] = {
    { "[]", Q_BAD_TYPE }, { "{\"apiKey\":\"a b\"}", Q_BAD_VALUE }, { "{\"apiKey\":5}", Q_BAD_TYPE }, { "{\"apiKey\":\"\xc3\xa9\"}", Q_BAD_VALUE }, { "{\"name\":[]}", Q_BAD_TYPE },
    { "{\"name\":\"a\\nb\"}", Q_BAD_VALUE }, { "{\"enabled\":7}", Q_BAD_TYPE }, { "{\"dailyRequest\":7}", Q_UNSUPPORTED }, { "{\"limits\":{\"rpm\":-2}}", Q_BAD_VALUE },
    { "{\"limits\":[]}", Q_BAD_TYPE }, { "{\"limits\":{\"name\":1}}", Q_UNSUPPORTED },
  };
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    if(add(k, bad[i].body, which, &e) != bad[i].st || e.st != bad[i].st) T_FAIL("%s: %s", bad[i].body, status_row(e.st)->name);
  CHECK_INT(patch(k, id, "{\"apiKey\":\"sk-other\"}", &e), Q_UNSUPPORTED);
  CHECK_INT(patch(k, env, "{\"rpm\":1}", &e), Q_ENV_MANAGED);
  CHECK_INT(patch(k, admin, "{\"rpm\":1}", &e), Q_NOT_ADMIN);
  CHECK_INT(patch(k, "0123456789abcdef", "{}", &e), Q_NOT_FOUND);
  CHECK_INT(patch(k, "x", "{}", &e), Q_NOT_FOUND);
  CHECK_INT(keys_admin_delete(k, S("sk-environment"), STR_NONE, which, &e), Q_ENV_MANAGED);
  e = Q_ERROR_NONE;
  CHECK_INT(keys_admin_delete(k, STR_NONE, str_z(admin), which, &e), Q_NOT_ADMIN);
  e = Q_ERROR_NONE;
  CHECK_INT(keys_admin_delete(k, S("sk-nobody"), STR_NONE, which, &e), Q_NOT_FOUND);
  /* A change says what it changes, and no more. */
  CHECK_INT(patch(k, id, "{\"rpm\":5,\"models\":[\"a\"],\"expiresAt\":1764158460}", &e), Q_OK);
  CHECK_INT(patch(k, id, "{\"limits\":{\"rpm\":null}}", &e), Q_OK);
  CHECK_INT(used(k, id, "limits.rpm", noon), -1);
  CHECK_INT(used(k, id, "limits.expiresAt", noon), 1764158460);
  CHECK_INT(patch(k, id, "{\"rpm\":9,\"tpm\":-1}", &e), Q_BAD_VALUE); /* nothing of it */
  CHECK_INT(used(k, id, "limits.rpm", noon), -1);
  /* api 12 invalid_api_key: expired to the second, disabled at once. */
  CHECK_INT(keys_check(k, S("sk-own-key-of-mine"), noon + 59999, NULL), KEY_REGULAR);
  CHECK_INT(keys_check(k, S("sk-own-key-of-mine"), noon + 60000, NULL), KEY_NONE);
  CHECK_Z(keys_refusal(k, S("sk-own-key-of-mine"), noon + 60000), "has expired");
  CHECK(keys_refusal(k, S("sk-own-key-of-mine"), noon) == NULL && keys_refusal(k, S("sk-nobody"), noon) == NULL);
  CHECK_INT(patch(k, id, "{\"enabled\":false,\"expiresAt\":null}", &e), Q_OK);
  CHECK_INT(keys_check(k, S("sk-own-key-of-mine"), noon, NULL), KEY_NONE);
  CHECK_Z(keys_refusal(k, S("sk-own-key-of-mine"), noon), "is disabled");
  /* The list: the admin first, masked; nothing tells a key. */
  struct strbuf list = STRBUF(100000);
  keys_admin_list(k, noon, &list);
  p = parse(strbuf_z(&list));
  CHECK_INT(p.root->count, 4);
  CHECK(json_true(json_path(p.root, "0.admin")) && !json_true(json_path(p.root, "1.admin")));
  CHECK_STR(json_str(json_path(p.root, "1.source")), S("env"));
  CHECK_STR(json_str(json_path(p.root, "1.masked")), S("sk-en…ment"));
  CHECK_STR(json_str(json_path(p.root, "3.source")), S("stored"));
  CHECK_STR(json_str(json_path(p.root, "3.masked")), S("sk-ow…mine"));
  CHECK(str_find(strbuf_str(&list), str_z(made)) < 0 && str_find(strbuf_str(&list), S("sk-own-key")) < 0 && str_find(strbuf_str(&list), S("sk-environment")) < 0);
  arena_free(&p.a);
  strbuf_clear(&list);
  keys_admin_regular(k, noon, &list);
  p = parse(strbuf_z(&list));
  CHECK_INT(p.root->count, 3);
  arena_free(&p.a);
  strbuf_free(&list);
  CHECK_INT(keys_admin_delete(k, S("sk-own-key-of-mine"), STR_NONE, which, &e), Q_OK);
  CHECK_Z(which, id);
  CHECK(keys_refusal(k, S("sk-own-key-of-mine"), noon) == NULL);
  keys_destroy(k);
  k = open_keys(s, "sk-admin", noon);
  CHECK_INT(keys_check(k, str_z(made), noon, NULL), KEY_REGULAR);
  CHECK_INT(keys_check(k, S("sk-own-key-of-mine"), noon, NULL), KEY_NONE);
  CHECK_INT(keys_check(k, S("sk-environment"), noon, NULL), KEY_NONE);
  keys_destroy(k);
  store_close(s);
}

static bool canary(void *ctx, struct str key, struct str value)
{
  (void)ctx;
  if(str_find(value, S("canary")) >= 0 || str_find(key, S("canary")) >= 0) T_FAIL("%.*s tells a key", STR_F(key));
  return true;
}

/* api 1.1, 1.3: keys of the environment hide stored ones, and give way when they go; no store holds a key's text. */
static void t_environment(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  struct q_error e = Q_ERROR_NONE;
  char id[KEYS_ID];
  struct key_pass p;
  CHECK_INT(add(k, "{\"apiKey\":\"sk-both-canary-1234\",\"rpm\":1}", id, &e), Q_OK);
  CHECK_INT(add(k, "{\"apiKey\":\"sk-kept\"}", id, &e), Q_OK);
  CHECK_INT(keys_check(k, S("sk-both-canary-1234"), noon, id), KEY_REGULAR);
  CHECK_INT(ask_for(k, id, "m", "m", 0, noon, &p), Q_OK);
  struct config *c = settings("sk-new-admin,sk-both-canary-1234,sk-both-canary-1234,sk-third");
  CHECK_INT(keys_env(k, c, noon, &e), Q_OK);
  config_unref(c);
  CHECK_INT(keys_check(k, S("sk-admin"), noon, NULL), KEY_NONE);
  CHECK_INT(keys_check(k, S("sk-new-admin"), noon, NULL), KEY_ADMIN);
  CHECK_INT(keys_check(k, S("sk-third"), noon, NULL), KEY_REGULAR);
  CHECK_INT(keys_check(k, S("sk-kept"), noon, NULL), KEY_REGULAR);
  CHECK_INT(call(k, id, 0, noon), Q_OK); /* no limits any more */
  CHECK_INT(call(k, id, 0, noon), Q_OK);
  keys_done(k, &p, 0, 0, 0, noon);
  CHECK_INT(used(k, id, "inflight", noon), 0);
  CHECK_INT(patch(k, id, "{}", &e), Q_ENV_MANAGED);
  c = settings("sk-third,sk-new-admin"); /* who is the admin changes with the order */
  CHECK_INT(keys_env(k, c, noon, &e), Q_OK);
  config_unref(c);
  CHECK_INT(keys_check(k, S("sk-third"), noon, NULL), KEY_ADMIN);
  CHECK_INT(keys_check(k, S("sk-new-admin"), noon, NULL), KEY_REGULAR);
  CHECK_INT(used(k, id, "limits.rpm", noon), 1);
  CHECK_INT(call(k, id, 0, noon + HOUR), Q_OK);
  CHECK_INT(call(k, id, 0, noon + HOUR), Q_KEY_RATE);
  c = settings("");
  CHECK_INT(keys_env(k, c, noon, &e), Q_OK); /* an empty one changes nothing */
  config_unref(c);
  CHECK_INT(keys_check(k, S("sk-third"), noon, NULL), KEY_ADMIN);
  CHECK_INT(keys_count_save(k, noon), Q_OK);
  CHECK_INT(s->ops->scan(s, S(""), canary, NULL), Q_OK);
  keys_destroy(k);
  /* Without API_KEY the generated key is the admin, and stored ones are beside it. */
  k = open_keys(s, "", noon);
  CHECK_INT(keys_check(k, S("sk-third"), noon, NULL), KEY_NONE);
  CHECK_INT(keys_check(k, S("sk-kept"), noon, NULL), KEY_REGULAR);
  c = settings("sk-third");
  CHECK_INT(keys_env(k, c, noon, &e), Q_OK); /* and gives way */
  config_unref(c);
  struct strbuf list = STRBUF(100000);
  keys_admin_list(k, noon, &list);
  CHECK(str_find(strbuf_str(&list), S("\"generated\"")) < 0);
  strbuf_free(&list);
  keys_destroy(k);
  store_close(s);
}

/* A damaged record is left out, not trusted and not taken for a key without limits; others load. */
static void t_damage(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  struct q_error e;
  struct strbuf record = STRBUF(10000), wrong = STRBUF(10000);
  char id[KEYS_ID], name[64];
  CHECK_INT(add(k, "{\"apiKey\":\"sk-one\",\"rpm\":1,\"models\":[\"a\"]}", id, &e), Q_OK);
  keys_destroy(k);
  snprintf(name, sizeof name, "key/%s", id);
  CHECK_INT(store_get(s, str_z(name), &record), Q_OK);
  for(size_t cut = 0; cut < record.n; cut++) {
    CHECK_INT(store_put(s, str_z(name), str_sub(strbuf_str(&record), 0, cut)), Q_OK);
    k = open_keys(s, "sk-admin", noon);
    CHECK_INT(keys_check(k, S("sk-one"), noon, NULL), KEY_NONE);
    keys_destroy(k);
  }
  static const char *const from[] = { "\"rpm\":1", "\"rpm\":1", "{\"hash\":\"", "\"models\":[\"a\"]" }, *const to[] = { "\"rpm\":-1", "\"rpq\":1", "{\"hash\":\"00", "\"models\":7" };
  for(size_t i = 0; i < 4; i++) {
    ptrdiff_t at = str_find(strbuf_str(&record), str_z(from[i]));
    CHECK(at > 0);
    strbuf_clear(&wrong);
    strbuf_add(&wrong, record.p, (size_t)at);
    strbuf_addz(&wrong, to[i]);
    strbuf_adds(&wrong, str_sub(strbuf_str(&record), (size_t)at + strlen(from[i]), record.n));
    CHECK_INT(store_put(s, str_z(name), strbuf_str(&wrong)), Q_OK);
    k = open_keys(s, "sk-admin", noon);
    CHECK_INT(keys_check(k, S("sk-one"), noon, NULL), KEY_NONE);
    keys_destroy(k);
  }
  CHECK_INT(store_put(s, S("key/0000000000000000"), strbuf_str(&record)), Q_OK); /* under another's name */
  CHECK_INT(store_put(s, str_z(name), strbuf_str(&record)), Q_OK);
  k = open_keys(s, "sk-admin", noon);
  CHECK_INT(keys_check(k, S("sk-one"), noon, NULL), KEY_REGULAR);
  CHECK_INT(used(k, id, "limits.rpm", noon), 1);
  keys_destroy(k);
  strbuf_free(&record);
  strbuf_free(&wrong);
  store_close(s);
}

/* Memory or the store fail at every point once: the call says so, and nothing has changed. */
static void t_faults(void)
{
  static const char *const bodies[] = { "{\"apiKey\":\"sk-new\",\"models\":[\"a\",\"b\"],\"rpm\":5}", "{\"models\":[\"c\"],\"tpm\":5,\"name\":\"n\"}" };
  for(int what = 0; what < 4; what++) {
    bool done = false;
    for(long n = 0; !done && n < 500; n++) {
      struct store *s = store_mem_new();
      struct keys *k = open_keys(s, "sk-admin", noon);
      struct parsed p = parse(bodies[what == 1]);
      struct q_error e = Q_ERROR_NONE;
      char id[KEYS_ID], which[KEYS_ID], made[KEYS_TEXT];
      CHECK_INT(add(k, "{\"apiKey\":\"sk-old\",\"models\":[\"old\"]}", id, &e), Q_OK);
      CHECK_INT(ask_for(k, id, "old", "", 0, noon, &(struct key_pass){ .held = false }), Q_OK);
      fault_arm(n, false);
      enum q_status st = what == 0 ? keys_admin_add(k, p.root, noon, made, which, &e) : what == 1 ? keys_admin_patch(k, str_z(id), p.root, &e)
                       : what == 2 ? keys_admin_delete(k, S("sk-old"), STR_NONE, which, &e) : keys_count_save(k, noon);
      done = !fault_disarm();
      if(done) CHECK_INT(st, Q_OK);
      bool changed = what == 0 ? keys_check(k, S("sk-new"), noon, NULL) == KEY_REGULAR : what == 1 ? used(k, id, "limits.tpm", noon) == 5
                   : what == 2 ? keys_check(k, S("sk-old"), noon, NULL) == KEY_NONE : !keys_count_due(k, noon + 5000);
      CHECK_INT(changed, st == Q_OK);
      if(what == 3) CHECK_INT(keys_count_save(k, noon), Q_OK);
      keys_destroy(k);
      k = open_keys(s, "sk-admin", noon); /* the store says the same */
      if(what == 0) CHECK_INT(keys_check(k, S("sk-new"), noon, NULL) == KEY_REGULAR, st == Q_OK);
      if(what == 1) CHECK_INT(used(k, id, "limits.tpm", noon) == 5, st == Q_OK);
      if(what == 2) CHECK_INT(keys_check(k, S("sk-old"), noon, NULL) == KEY_NONE, st == Q_OK);
      if(what == 3) CHECK_INT(used(k, id, "usage.total.calls", noon), 1);
      keys_destroy(k);
      arena_free(&p.a);
      store_close(s);
    }
    CHECK(done);
  }
}

/* A thousand keys cost what ten cost: the same request, looked up and let in. */
static int64_t cost_us(struct keys *k, struct str text)
{
  char id[KEYS_ID];
  int64_t best = INT64_MAX;
  for(int round = 0; round < 9; round++) {
    int64_t begin = now_mono_us(&now_real);
    for(int i = 0; i < 2000; i++) {
      if(keys_check(k, text, noon, id) == KEY_NONE) T_FAIL("%.*s is no key", STR_F(text));
      (void)call(k, id, 1, noon);
    }
    int64_t took = now_mono_us(&now_real) - begin;
    if(took < best) best = took;
  }
  return best;
}

static void t_many(void)
{
  struct store *s = store_mem_new();
  struct keys *k = open_keys(s, "sk-admin", noon);
  struct q_error e;
  char body[64], id[KEYS_ID], which[KEYS_ID];
  int64_t few = 0;
  for(int i = 0; i < 1000; i++) {
    if(i == 10) few = cost_us(k, S("sk-many-0"));
    snprintf(body, sizeof body, "{\"apiKey\":\"sk-many-%d\"}", i);
    CHECK_INT(add(k, body, id, &e), Q_OK);
  }
  int64_t many = cost_us(k, S("sk-many-999"));
  if(many > 3 * few) T_FAIL("2000 requests took %lld us with ten keys, %lld us with a thousand", (long long)few, (long long)many);
  keys_destroy(k);
  k = open_keys(s, "sk-admin", noon);
  for(int i = 0; i < 1000; i++) {
    snprintf(body, sizeof body, "sk-many-%d", i);
    CHECK_INT(keys_check(k, str_z(body), noon, NULL), KEY_REGULAR);
    if(i % 3 == 0) CHECK_INT(keys_admin_delete(k, str_z(body), STR_NONE, which, &e), Q_OK);
  }
  for(int i = 0; i < 1000; i++) {
    snprintf(body, sizeof body, "sk-many-%d", i);
    CHECK_INT(keys_check(k, str_z(body), noon, NULL), i % 3 ? KEY_REGULAR : KEY_NONE);
  }
  keys_destroy(k);
  store_close(s);
}

/* ---- between stores ---- */

static enum q_status take(struct keys *k, const char *json, bool dry)
{
  struct parsed p = parse(json);
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = keys_admin_take(k, p.root, dry, noon, &e);
  arena_free(&p.a);
  return st;
}

static void t_moved(void)
{
  struct store *from = store_mem_new(), *to = store_mem_new();
  struct keys *a = open_keys(from, "sk-admin-a-0123456789", noon), *b = open_keys(to, "sk-admin-b-0123456789", noon);
  struct strbuf one = STRBUF(4096);
  struct q_error e;
  char id[KEYS_ID], seen[KEYS_ID], odd[400];
  CHECK_INT(add(a, "{\"apiKey\":\"sk-moved-0123456789\",\"name\":\"m\",\"rpm\":2}", id, &e), Q_OK);
  keys_admin_export(a, &one);
  /* What is only looked at, or refused, takes no place of the few salts. */
  for(int i = 0; i < 40; i++) {
    snprintf(odd, sizeof odd, "{\"hash\":\"%064x\",\"salt\":\"%032x\",\"masked\":\"x\",\"enabled\":true,\"limits\":%s}", i, i + 1, i % 2 ? "{}" : "{\"what\":1}");
    CHECK_INT(take(b, odd, i % 2), i % 2 ? Q_OK : Q_BAD_VALUE);
  }
  CHECK_INT(take(b, strbuf_z(&one), true), Q_OK);
  CHECK_INT(keys_check(b, S("sk-moved-0123456789"), noon, seen), KEY_NONE); /* only looked at */
  CHECK_INT(take(b, strbuf_z(&one), false), Q_OK);
  CHECK_INT(take(b, strbuf_z(&one), false), Q_EXISTS);
  CHECK_INT(keys_check(b, S("sk-moved-0123456789"), noon, seen), KEY_REGULAR);
  CHECK_STR(str_z(seen), str_z(id));
  CHECK_INT(add(b, "{\"apiKey\":\"sk-moved-0123456789\"}", seen, &e), Q_EXISTS);
  keys_destroy(b);
  b = open_keys(to, "sk-admin-b-0123456789", noon); /* its salt is kept with it */
  CHECK_INT(keys_check(b, S("sk-moved-0123456789"), noon, NULL), KEY_REGULAR);
  CHECK_INT(keys_check(b, S("sk-moved-012345678"), noon, NULL), KEY_NONE);
  strbuf_free(&one);
  keys_destroy(a);
  keys_destroy(b);
  store_close(from);
  store_close(to);
}

T_MAIN(T(t_limits), T(t_models), T(t_rpm), T(t_tpm), T(t_inflight), T(t_quotas), T(t_media), T(t_exact), T(t_restart), T(t_held), T(t_shared_start), T(t_shared), T(t_admin),
       T(t_environment), T(t_damage), T(t_faults), T(t_many), T(t_moved))
