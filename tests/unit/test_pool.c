/* Who serves, who waits, who is told why not. */
#include "domain/pool.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/now.h"
#include "t.h"

enum { T0 = 1000000000, SEC = 1000 };

static struct pool *make(int accounts, int cap)
{
  struct pool_config c = { .max_inflight = cap, .queue_max = 10, .stock = 1 };
  struct pool *p = pool_new(&c);
  for(int i = 0; i < accounts; i++) {
    char name[40];
    snprintf(name, sizeof name, "user%d@example.org", i);
    struct account *a = account_new(str_z(name), S("pw"), STR_NONE);
    CHECK_INT(pool_add(p, a), Q_OK);
  }
  return p;
}

static int granted;
static void on_grant(struct pool_waiter *w)
{
  (void)w;
  granted++;
}

static enum q_status get(struct pool *p, struct pool_waiter *w, enum feature f, int64_t now, int64_t patience)
{
  int64_t ret;
  struct q_error e = Q_ERROR_NONE;
  w->granted = on_grant;
  w->want.feature = f;
  w->want.model = S("m");
  return pool_acquire(p, w, now, patience, &ret, &e);
}

static void give(struct pool *p, struct pool_waiter *w, int64_t now, enum q_status how)
{
  pool_release(p, &w->lease, now, how, "words", 0, S("m"));
  CHECK(w->lease.account == NULL);
}

static void t_least_loaded_then_least_recent(void)
{
  struct pool *p = make(3, 2);
  struct pool_waiter w[6] = { 0 };
  for(int i = 0; i < 6; i++) CHECK_INT(get(p, &w[i], FEATURE_CHAT, T0 + i, 0), Q_OK);
  for(int i = 0; i < 3; i++) CHECK(w[i].lease.account == w[i + 3].lease.account); /* round, then round again */
  CHECK(w[0].lease.account != w[1].lease.account && w[1].lease.account != w[2].lease.account);
  struct pool_waiter more = { 0 };
  CHECK_INT(get(p, &more, FEATURE_CHAT, T0 + 7, 0), Q_OVERLOADED);
  struct account *second = w[1].lease.account;
  for(int i = 0; i < 6; i++) give(p, &w[i == 1 ? 5 : i == 5 ? 1 : i], T0 + 10 + i, Q_OK);
  CHECK_INT(pool_count(p, FEATURE_CHAT, T0 + 20).leased, 0);
  (void)second;
  pool_destroy(p);
}

static void t_line_keeps_order(void)
{
  struct pool *p = make(1, 1);
  struct pool_waiter first = { 0 }, a = { 0 }, b = { 0 }, late = { 0 };
  granted = 0;
  CHECK_INT(get(p, &first, FEATURE_CHAT, T0, 0), Q_OK);
  CHECK_INT(get(p, &a, FEATURE_CHAT, T0, SEC), Q_AGAIN);
  CHECK_INT(get(p, &b, FEATURE_CHAT, T0, SEC), Q_AGAIN);
  give(p, &first, T0 + 1, Q_OK);
  CHECK_INT(granted, 1);
  CHECK(a.lease.account && !b.lease.account);
  give(p, &a, T0 + 2, Q_OK);
  CHECK(b.lease.account != NULL);
  CHECK_INT(get(p, &late, FEATURE_CHAT, T0 + 3, SEC), Q_AGAIN);
  CHECK(pool_leave(p, &late)); /* a client that leaves leaves the line */
  CHECK(!pool_leave(p, &late));
  give(p, &b, T0 + 4, Q_OK);
  CHECK(late.lease.account == NULL);
  pool_destroy(p);
}

static void t_nobody_overtakes(void)
{
  struct pool *p = make(1, 1);
  struct pool_waiter w[3] = { 0 };
  CHECK_INT(get(p, &w[0], FEATURE_CHAT, T0, 0), Q_OK);
  CHECK_INT(get(p, &w[1], FEATURE_CHAT, T0, SEC), Q_AGAIN);
  pool_release(p, &w[0].lease, T0 + 1, Q_UP_BUSY, "", 5, S("m")); /* rests 5 s: w[1] is not granted */
  CHECK(w[1].lease.account == NULL);
  CHECK_INT(get(p, &w[2], FEATURE_CHAT, T0 + 6 * SEC, SEC), Q_AGAIN); /* it could be served, but w[1] stands before it */
  pool_poll(p, T0 + 6 * SEC);
  CHECK(w[1].lease.account && !w[2].lease.account);
  CHECK(pool_leave(p, &w[2]));
  give(p, &w[1], T0 + 7 * SEC, Q_OK);
  pool_destroy(p);
}

static void t_queue_bound(void)
{
  struct pool *p = make(1, 1);
  struct pool_waiter w[12] = { 0 };
  CHECK_INT(get(p, &w[0], FEATURE_CHAT, T0, 0), Q_OK);
  for(int i = 1; i <= 10; i++) CHECK_INT(get(p, &w[i], FEATURE_CHAT, T0, SEC), Q_AGAIN);
  CHECK_INT(get(p, &w[11], FEATURE_CHAT, T0, SEC), Q_OVERLOADED);
  for(int i = 1; i <= 10; i++) CHECK(pool_leave(p, &w[i]));
  give(p, &w[0], T0, Q_OK);
  pool_destroy(p);
}

static void t_reasons(void)
{
  struct { const char *name; int accounts; enum q_status how[2]; enum q_status want; int retry_after_s; } rows[] = {
    { "none configured", 0, { Q_OK, Q_OK }, Q_NO_ACCOUNT, 0 },
    { "all out of quota", 2, { Q_UP_QUOTA, Q_UP_QUOTA }, Q_UP_QUOTA, 4 * 3600 },
    { "quota and too fast", 2, { Q_UP_QUOTA, Q_UP_BUSY }, Q_UP_BUSY, 4 * 3600 },
    { "captcha on both", 2, { Q_UP_CHALLENGE, Q_UP_CHALLENGE }, Q_NO_USABLE, 15 * 60 },
    { "mixed", 2, { Q_UP_QUOTA, Q_UP_BARRED }, Q_NO_USABLE, 15 * 60 },
    { "wrong passwords", 2, { Q_UP_BAD_LOGIN, Q_UP_BAD_LOGIN }, Q_NO_USABLE, 0 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct pool *p = make(rows[i].accounts, 2);
    struct pool_waiter w[2] = { 0 }, last = { 0 };
    struct q_error e = Q_ERROR_NONE;
    int64_t ret;
    t_row = rows[i].name;
    for(int k = 0; k < rows[i].accounts; k++) CHECK_INT(get(p, &w[k], FEATURE_CHAT, T0, 0), Q_OK);
    for(int k = 0; k < rows[i].accounts; k++) pool_release(p, &w[k].lease, T0, rows[i].how[k], "", 4 * 3600, S("m"));
    last.want.model = S("m");
    CHECK_INT(pool_acquire(p, &last, T0, 1000, &ret, &e), rows[i].want);
    CHECK_INT(e.retry_after_s, rows[i].retry_after_s);
    CHECK(e.msg[0] != 0 && strstr(e.msg, "user") == NULL);
    pool_destroy(p);
  }
}

static void t_features_are_apart(void)
{
  struct pool *p = make(1, 2);
  struct pool_waiter w = { 0 };
  CHECK_INT(get(p, &w, FEATURE_IMAGE, T0, 0), Q_OK);
  pool_release(p, &w.lease, T0, Q_UP_QUOTA, "", 0, S("m"));
  CHECK_INT(get(p, &w, FEATURE_IMAGE, T0, 0), Q_UP_QUOTA);
  CHECK_INT(get(p, &w, FEATURE_CHAT, T0, 0), Q_OK); /* image quota does not stop chat */
  give(p, &w, T0, Q_OK);
  pool_destroy(p);
}

static void t_egress_rests_after_two_challenges(void)
{
  struct pool *p = make(3, 2);
  struct account *far = account_new(S("far@example.org"), S("pw"), S("socks5://127.0.0.1:9"));
  struct pool_waiter w[4] = { 0 }, next = { 0 }, none = { 0 };
  CHECK_INT(pool_add(p, far), Q_OK);
  for(int i = 0; i < 4; i++) CHECK_INT(get(p, &w[i], FEATURE_CHAT, T0, 0), Q_OK);
  give(p, &w[0], T0, Q_UP_CHALLENGE);
  give(p, &w[1], T0 + 30 * SEC, Q_UP_CHALLENGE);
  give(p, &w[2], T0 + 31 * SEC, Q_OK);
  give(p, &w[3], T0 + 31 * SEC, Q_OK);
  CHECK_INT(get(p, &next, FEATURE_CHAT, T0 + 32 * SEC, 0), Q_OK);
  CHECK(next.lease.account == far); /* the third account of the direct way rests with it */
  CHECK_INT(get(p, &none, FEATURE_CHAT, T0 + 32 * SEC, 0), Q_OK);
  CHECK(none.lease.account == far);
  give(p, &next, T0 + 33 * SEC, Q_OK);
  give(p, &none, T0 + 33 * SEC, Q_OK);
  CHECK_INT(get(p, &next, FEATURE_CHAT, T0 + 30 * SEC + 300 * SEC, 0), Q_OK);
  CHECK(next.lease.account != far); /* five minutes later the way is open again */
  give(p, &next, T0, Q_OK);
  pool_destroy(p);
}

static void t_model_rests_after_two_refusals(void)
{
  struct pool *p = make(3, 2);
  struct pool_waiter w[2] = { 0 }, other = { 0 };
  for(int i = 0; i < 2; i++) CHECK_INT(get(p, &w[i], FEATURE_CHAT, T0, 0), Q_OK);
  for(int i = 0; i < 2; i++) give(p, &w[i], T0 + i, Q_UP_MODEL_QUOTA);
  CHECK_INT(get(p, &other, FEATURE_CHAT, T0 + 2, 0), Q_UP_MODEL_QUOTA);
  int64_t ret;
  other.want.model = S("another");
  CHECK_INT(pool_acquire(p, &other, T0 + 2, 0, &ret, NULL), Q_OK);
  give(p, &other, T0 + 3, Q_OK);
  CHECK_INT(get(p, &other, FEATURE_CHAT, T0 + 1 + 60 * SEC, 0), Q_OK);
  give(p, &other, T0 + 3, Q_OK);
  pool_destroy(p);
}

static void t_avoided_only_if_no_other(void)
{
  struct pool *p = make(2, 2);
  struct pool_waiter w = { 0 }, v = { 0 };
  CHECK_INT(get(p, &w, FEATURE_CHAT, T0, 0), Q_OK);
  v.want.avoid[v.want.avoid_n++] = w.lease.account;
  CHECK_INT(get(p, &v, FEATURE_CHAT, T0, 0), Q_OK);
  CHECK(v.lease.account != w.lease.account);
  v.want.avoid[v.want.avoid_n++] = v.lease.account;
  give(p, &v, T0, Q_OK);
  CHECK_INT(get(p, &v, FEATURE_CHAT, T0, 0), Q_OK); /* both were tried: better one of them than none */
  give(p, &v, T0, Q_OK);
  give(p, &w, T0, Q_OK);
  pool_destroy(p);
}

static void t_start_gap(void)
{
  struct pool_config c = { .max_inflight = 5, .min_gap_ms = 500, .queue_max = 10 };
  struct pool *p = make(1, 5);
  struct pool_waiter w[2] = { 0 };
  struct q_error e = Q_ERROR_NONE;
  int64_t ret;
  pool_set_config(p, &c);
  CHECK_INT(get(p, &w[0], FEATURE_CHAT, T0, 0), Q_OK);
  w[1].granted = on_grant;
  CHECK_INT(pool_acquire(p, &w[1], T0 + 100, SEC, &ret, &e), Q_AGAIN);
  CHECK_INT(ret, T0 + 500);
  pool_poll(p, T0 + 499);
  CHECK(w[1].lease.account == NULL);
  pool_poll(p, T0 + 500);
  CHECK(w[1].lease.account != NULL);
  give(p, &w[0], T0 + 600, Q_OK);
  give(p, &w[1], T0 + 600, Q_OK);
  pool_destroy(p);
}

static void t_stock(void)
{
  struct pool *p = make(1, 2);
  struct pool_waiter w = { 0 };
  struct pool_chat chat;
  struct account *a;
  CHECK_INT(get(p, &w, FEATURE_CHAT, T0, 0), Q_OK);
  a = w.lease.account;
  CHECK(!pool_stock_take(p, a, S("m"), &chat));
  CHECK(pool_stock_wanted(p, a, S("m"), T0));
  CHECK(!pool_stock_wanted(p, a, S("m"), T0)); /* one is being made */
  CHECK(pool_stock_put(p, a, S("m"), T0, S("c1")));
  CHECK(!pool_stock_wanted(p, a, S("m"), T0));
  CHECK(!pool_stock_take(p, a, S("other"), &chat)); /* a chat is made for one model */
  CHECK(pool_stock_take(p, a, S("m"), &chat));
  CHECK_Z(chat.id, "c1");
  CHECK(pool_stock_wanted(p, a, S("m"), T0));
  pool_stock_failed(p, a, S("m"));
  CHECK(pool_stock_wanted(p, a, S("m"), T0));
  CHECK(pool_stock_put(p, a, S("m"), T0, S("c2")));
  give(p, &w, T0, Q_OK);
  CHECK(!pool_stock_wanted(p, a, S("m2"), T0 + 11 * 60 * SEC)); /* idle accounts keep no stock */
  struct account *old = NULL;
  CHECK(!pool_stock_old(p, T0 + 1000, 2000, &old, &chat));
  CHECK(pool_stock_old(p, T0 + 3000, 2000, &old, &chat));
  CHECK(old == a);
  CHECK_Z(chat.id, "c2");
  pool_unkeep(p, old);
  pool_destroy(p);
}

static void t_tokens(void)
{
  struct pool *p = make(1, 2);
  struct pool_waiter w = { 0 };
  struct secret *token = secret_new(S("t1"));
  CHECK_INT(get(p, &w, FEATURE_CHAT, T0, 0), Q_OK);
  CHECK_INT(pool_token_state(&w.lease, T0), POOL_TOKEN_DEAD);
  CHECK(!pool_token_reload(p, &w.lease));
  pool_set_token(p, w.lease.account, token, T0 + 3600 * SEC, NULL, false, T0);
  CHECK(pool_token_reload(p, &w.lease));
  CHECK(!pool_token_reload(p, &w.lease));
  CHECK_INT(pool_token_state(&w.lease, T0), POOL_TOKEN_FRESH); /* a token of an hour is renewed when half of it is over, not at every use */
  CHECK_INT(pool_token_state(&w.lease, T0 + 1799 * SEC), POOL_TOKEN_FRESH);
  CHECK_INT(pool_token_state(&w.lease, T0 + 1800 * SEC), POOL_TOKEN_SOON);
  CHECK_INT(pool_token_state(&w.lease, T0 + 3400 * SEC), POOL_TOKEN_DEAD);
  const int64_t month = 30 * 86400ll * SEC;
  pool_set_token(p, w.lease.account, token, T0 + month, NULL, false, T0);
  CHECK(pool_token_reload(p, &w.lease));
  CHECK_INT(pool_token_state(&w.lease, T0 + month - 86400ll * SEC - 1), POOL_TOKEN_FRESH);
  CHECK_INT(pool_token_state(&w.lease, T0 + month - 86400ll * SEC), POOL_TOKEN_SOON); /* upstream 1.7: a day before its end */
  pool_login_failed(p, w.lease.account, Q_UP_ERROR, "down", T0 + month);
  CHECK(w.lease.account->renew_ms > T0 + month); /* not again at once */
  pool_login_failed(p, w.lease.account, Q_UP_AUTH, "nothing to renew with", T0);
  CHECK_INT(w.lease.account->whole, ACCOUNT_EXPIRED);
  secret_unref(token);
  give(p, &w, T0, Q_OK);
  pool_destroy(p);
}

static void t_twice_is_refused(void)
{
  struct pool *p = make(1, 2);
  CHECK_INT(pool_add(p, account_new(S("user0@example.org"), S("x"), STR_NONE)), Q_EXISTS);
  CHECK_INT(pool_count(p, FEATURE_CHAT, T0).total, 1);
  pool_destroy(p);
}

/* Four threads lend and give back: never above the cap, nothing lost. Run under the thread sanitizer too. */
struct crowd { struct pool *p; atomic_int held, over, served; };
static void *crowd_run(void *arg)
{
  struct crowd *c = arg;
  for(int i = 0; i < 2000; i++) {
    struct pool_waiter w = { 0 };
    if(get(c->p, &w, FEATURE_CHAT, T0 + i, 0) != Q_OK) continue;
    atomic_fetch_add(&c->served, 1);
    if(atomic_fetch_add(&c->held, 1) >= 4) atomic_fetch_add(&c->over, 1); /* two accounts, two turns each */
    atomic_fetch_sub(&c->held, 1);
    give(c->p, &w, T0 + i, Q_OK);
  }
  return NULL;
}

static void t_threads(void)
{
  struct crowd c = { .p = make(2, 2) };
  pthread_t t[4];
  for(int i = 0; i < 4; i++) pthread_create(&t[i], NULL, crowd_run, &c);
  for(int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  CHECK(atomic_load(&c.served) > 0);
  CHECK_INT(atomic_load(&c.over), 0);
  CHECK_INT(pool_count(c.p, FEATURE_CHAT, T0).leased, 0);
  pool_destroy(c.p);
}

/* ---- kinds: what is lent to whom ---- */

static enum q_status plane(struct pool *p, struct pool_waiter *w, enum pool_plane which, unsigned serves, const char *model, int64_t now)
{
  int64_t ret;
  struct q_error e = Q_ERROR_NONE;
  *w = (struct pool_waiter){ .granted = on_grant, .want = { .feature = which == POOL_WEB ? FEATURE_CHAT : FEATURE_CLI, .plane = which, .serves = serves,
                                                            .listed = model != NULL, .model = str_z(model ? model : "m") } };
  return pool_acquire(p, w, now, 0, &ret, &e);
}

static struct account *granted_account(const char *name, enum account_kind kind)
{
  struct account *a = account_new(str_z(name), STR_NONE, STR_NONE);
  struct secret *access = secret_new(S("access"));
  a->kind = kind;
  account_set_grant(a, access, 0, NULL, NULL);
  secret_unref(access);
  return a;
}

static struct pool *mixed(int64_t daily)
{
  struct pool_config c = { .max_inflight = 5, .queue_max = 10, .cli_daily = daily };
  struct pool *p = pool_new(&c);
  struct account *web = account_new(S("web@example.org"), S("pw"), STR_NONE);
  CHECK_INT(pool_add(p, web), Q_OK);
  CHECK_INT(pool_add(p, account_new_api(S("key"), S("sk"), S("https://b/"), S("m1\nm2"), SERVES_DEFAULT)), Q_OK);
  CHECK_INT(pool_add(p, account_new_api(S("key-chat"), S("sk2"), S("https://b"), S("m2"), SERVES_CHAT)), Q_OK);
  CHECK_INT(pool_add(p, granted_account("cli", ACCOUNT_CLI)), Q_OK);
  return p;
}

static void t_planes_never_mix(void)
{
  static const struct { const char *name; enum pool_plane plane; unsigned serves; const char *model, *who; } rows[] = {
    { "web chat", POOL_WEB, 0, NULL, "web@example.org" },
    { "a grant", POOL_GRANT, 0, NULL, "cli" },
    { "cli by key", POOL_API, SERVES_CLI, NULL, "key" },
    { "embeddings by key", POOL_API, SERVES_EMBEDDINGS, NULL, "key" },
    { "chat by key", POOL_API, SERVES_CHAT, "m2", "key-chat" },
    { "chat by key, a model it does not list", POOL_API, SERVES_CHAT, "m1", NULL },
    { "cli and chat by one key", POOL_API, SERVES_CHAT | SERVES_CLI, NULL, NULL },
  };
  struct pool *p = mixed(100);
  struct pool_waiter w;
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    for(int turn = 0; turn < 3; turn++) { /* whoever is least loaded: never one of another plane */
      t_row = rows[i].name;
      enum q_status st = plane(p, &w, rows[i].plane, rows[i].serves, rows[i].model, T0 + turn);
      CHECK_INT(st, rows[i].who ? Q_OK : Q_NO_ACCOUNT);
      if(rows[i].who) CHECK_Z(w.lease.account->email, rows[i].who);
      if(w.lease.account && rows[i].plane == POOL_API) CHECK_STR(secret_str(w.lease.base), S("https://b"));
      if(w.lease.account && rows[i].plane == POOL_GRANT) CHECK_STR(secret_str(w.lease.token), S("access"));
      pool_release(p, &w.lease, T0, Q_OK, "", 0, STR_NONE);
    }
  CHECK_INT(pool_offer(p, &(struct pool_want){ .feature = FEATURE_CLI, .plane = POOL_API }, T0).configured, 2);
  CHECK_INT(pool_offer(p, &(struct pool_want){ .feature = FEATURE_CHAT }, T0).usable, 1);
  pool_destroy(p);
}

static void t_a_web_account_lends_its_grant(void)
{
  struct pool_config c = { .max_inflight = 2, .queue_max = 10, .cli_daily = 100 };
  struct pool *p = pool_new(&c);
  struct pool_waiter w;
  struct account *a = granted_account("both@example.org", ACCOUNT_WEB);
  CHECK_INT(pool_add(p, a), Q_OK);
  CHECK_INT(plane(p, &w, POOL_GRANT, 0, NULL, T0), Q_OK);
  pool_release(p, &w.lease, T0, Q_NO_CLI, "withdrawn", 0, STR_NONE); /* row 23 */
  CHECK_INT(a->whole, ACCOUNT_ACTIVE);
  CHECK_INT(a->features[FEATURE_CHAT].state, ACCOUNT_ACTIVE);
  CHECK(plane(p, &w, POOL_GRANT, 0, NULL, T0 + 23 * 3600 * SEC) != Q_OK);
  CHECK_INT(plane(p, &w, POOL_WEB, 0, NULL, T0), Q_OK);
  pool_release(p, &w.lease, T0, Q_UP_CHALLENGE, "", 0, STR_NONE); /* and the other way round */
  CHECK_INT(plane(p, &w, POOL_GRANT, 0, NULL, T0 + 25ll * 3600 * SEC), Q_OK);
  pool_release(p, &w.lease, T0, Q_OK, "", 0, STR_NONE);
  pool_grant_failed(p, a, Q_NO_CLI, "no", T0);
  CHECK(plane(p, &w, POOL_GRANT, 0, NULL, T0 + 1) != Q_OK);
  struct secret *fresh = secret_new(S("fresh"));
  pool_set_grant(p, a, fresh, 0, NULL, NULL, T0 + 2); /* a new grant ends the rest */
  CHECK_INT(plane(p, &w, POOL_GRANT, 0, NULL, T0 + 3), Q_OK);
  CHECK_STR(secret_str(w.lease.token), S("fresh"));
  secret_unref(fresh);
  pool_release(p, &w.lease, T0, Q_OK, "", 0, STR_NONE);
  pool_destroy(p);
}

static void t_a_refused_key_is_out(void)
{
  struct pool *p = mixed(100);
  struct pool_waiter w;
  CHECK_INT(plane(p, &w, POOL_API, SERVES_CLI, NULL, T0), Q_OK);
  struct account *a = w.lease.account;
  pool_release(p, &w.lease, T0, Q_UP_AUTH, "bad key", 0, STR_NONE);
  CHECK_INT(a->whole, ACCOUNT_INVALID);
  CHECK_INT(plane(p, &w, POOL_API, SERVES_CLI, NULL, T0 + 100ll * 3600 * SEC), Q_NO_USABLE);
  CHECK_INT(plane(p, &w, POOL_WEB, 0, NULL, T0), Q_OK);
  pool_release(p, &w.lease, T0, Q_OK, "", 0, STR_NONE);
  pool_destroy(p);
}

/* CLI_DAILY_LIMIT: grants alone, until local midnight. */
static void t_daily_limit(void)
{
  struct pool *p = mixed(2);
  struct pool_waiter w;
  const int64_t noon = 1764072000000ll; /* 2025-11-25 12:00 UTC */
  for(int i = 0; i < 3; i++) {
    enum q_status st = plane(p, &w, POOL_GRANT, 0, NULL, noon + i);
    CHECK_INT(st, i < 2 ? Q_OK : Q_UP_QUOTA);
    pool_release(p, &w.lease, noon + i, Q_OK, "", 0, STR_NONE);
    CHECK_INT(plane(p, &w, POOL_API, SERVES_CLI, NULL, noon + i), Q_OK);
    pool_release(p, &w.lease, noon + i, Q_OK, "", 0, STR_NONE);
  }
  CHECK_INT(plane(p, &w, POOL_GRANT, 0, NULL, now_local_midnight_ms(noon) - 1), Q_UP_QUOTA);
  CHECK_INT(plane(p, &w, POOL_GRANT, 0, NULL, now_local_midnight_ms(noon)), Q_OK);
  pool_count_cli(p, w.lease.account, now_local_midnight_ms(noon), 10, 20);
  CHECK_INT(w.lease.account->cli_calls, 1);
  CHECK_INT(w.lease.account->cli_out, 20);
  pool_release(p, &w.lease, noon, Q_OK, "", 0, STR_NONE);
  pool_destroy(p);
}

static void t_lines_of_planes_are_apart(void)
{
  struct pool_config c = { .max_inflight = 1, .queue_max = 10, .cli_daily = 100 };
  struct pool *p = pool_new(&c);
  struct pool_waiter first, second = { 0 }, other;
  int64_t ret;
  CHECK_INT(pool_add(p, account_new_api(S("key"), S("sk"), S("https://b"), STR_NONE, SERVES_DEFAULT)), Q_OK);
  CHECK_INT(pool_add(p, granted_account("cli", ACCOUNT_CLI)), Q_OK);
  CHECK_INT(plane(p, &first, POOL_API, SERVES_CLI, NULL, T0), Q_OK);
  second.granted = on_grant;
  second.want = first.want;
  CHECK_INT(pool_acquire(p, &second, T0, SEC, &ret, NULL), Q_AGAIN); /* waits for the key */
  CHECK_INT(plane(p, &other, POOL_GRANT, 0, NULL, T0), Q_OK);         /* does not keep the grant waiting */
  granted = 0;
  pool_release(p, &first.lease, T0 + 1, Q_OK, "", 0, STR_NONE);
  CHECK_INT(granted, 1);
  pool_release(p, &second.lease, T0 + 1, Q_OK, "", 0, STR_NONE);
  pool_release(p, &other.lease, T0 + 1, Q_OK, "", 0, STR_NONE);
  pool_destroy(p);
}

T_MAIN(T(t_least_loaded_then_least_recent), T(t_line_keeps_order), T(t_nobody_overtakes), T(t_queue_bound), T(t_reasons),
       T(t_features_are_apart), T(t_egress_rests_after_two_challenges), T(t_model_rests_after_two_refusals),
       T(t_avoided_only_if_no_other), T(t_start_gap), T(t_stock), T(t_tokens), T(t_twice_is_refused), T(t_threads),
       T(t_planes_never_mix), T(t_a_web_account_lends_its_grant), T(t_a_refused_key_is_out), T(t_daily_limit), T(t_lines_of_planes_are_apart))
