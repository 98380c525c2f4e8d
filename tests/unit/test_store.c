/* The store seam: one table for both implementations; what was acknowledged survives kill -9; seals and keys on top. */
#include "domain/store.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "domain/keys.h"
#include "domain/seal.h"
#include "redis.h"
#include "t.h"

static char dir[64];

enum { MEMORY, FILE_, REDIS_ };

static struct store *open_store(int kind)
{
  struct q_error e = Q_ERROR_NONE;
  int code = 0;
  if(kind == MEMORY) return store_mem_new();
  if(kind == REDIS_) {
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%d/3", redis_port);
    struct store_redis_want w = { .net = redis_net, .now = &now_real, .url = str_z(url) };
    struct store *r = store_redis_open(&w, &e, &code);
    if(!r) T_FAIL("%s", e.msg);
    return r;
  }
  if(!dir[0]) {
    snprintf(dir, sizeof dir, "/tmp/q2a-store-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
  }
  struct store *s = store_lmdb_open(dir, &e, &code);
  if(!s) T_FAIL("%s", e.msg);
  return s;
}

static void wipe(void)
{
  char path[128];
  static const char *const names[] = { "qwen2api.mdb", "qwen2api.mdb-lock", "secret.key" };
  for(int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
  rmdir(dir);
  dir[0] = 0;
}

static bool collect(void *ctx, struct str key, struct str value)
{
  struct strbuf *b = ctx;
  strbuf_adds(b, key);
  strbuf_addc(b, '=');
  strbuf_adds(b, value);
  strbuf_addc(b, ' ');
  return !str_eq(key, S("b/stop"));
}

static void value_is(struct store *s, struct str key, const char *want)
{
  struct strbuf v = STRBUF(1 << 20);
  enum q_status st = store_get(s, key, &v);
  if(!want) CHECK_INT(st, Q_NOT_FOUND);
  else CHECK_STR(strbuf_str(&v), str_z(want));
  strbuf_free(&v);
}

static bool has(struct store *s, struct str key)
{
  struct strbuf v = STRBUF(64);
  enum q_status st = store_get(s, key, &v);
  strbuf_free(&v);
  return st == Q_OK;
}

static void t_both(void)
{
  redis_start(NULL);
  for(int kind = MEMORY; kind <= REDIS_; kind++) {
    struct store *s = open_store(kind);
    struct strbuf b = STRBUF(1000);
    t_row = s->ops->name;
    value_is(s, S("a/1"), NULL);
    struct store_op ops[] = { { S("a/1"), S("one"), false }, { S("a/2"), S("two"), false }, { S("b/x"), S(""), false }, { S("a/1"), S("uno"), false }, { S("zz"), STR_NONE, true } };
    CHECK_INT(s->ops->commit(s, ops, 5), Q_OK);
    value_is(s, S("a/1"), "uno");
    value_is(s, S("b/x"), "");
    CHECK_INT(s->ops->scan(s, S("a/"), collect, &b), Q_OK);
    CHECK_STR(strbuf_str(&b), S("a/1=uno a/2=two "));
    CHECK_INT(store_put(s, S("b/stop"), S("s")), Q_OK);
    strbuf_clear(&b);
    CHECK_INT(s->ops->scan(s, S("b/"), collect, &b), Q_OK);
    CHECK_STR(strbuf_str(&b), S("b/stop=s ")); /* the callback may end it */
    struct store_op del = { S("a/1"), STR_NONE, true };
    CHECK_INT(s->ops->commit(s, &del, 1), Q_OK);
    value_is(s, S("a/1"), NULL);
    struct strbuf big = STRBUF(64 << 20);
    while(big.n < (20u << 20)) strbuf_lit(&big, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    CHECK_INT(store_put(s, S("big"), strbuf_str(&big)), Q_OK); /* the file's map grows */
    strbuf_free(&big);
    for(long n = 0;; n++) { /* a failed commit changes nothing */
      struct store_op two[] = { { S("f/1"), S("x"), false }, { S("f/2"), S("y"), false } };
      fault_arm(n, true);
      enum q_status st = s->ops->commit(s, two, 2);
      bool hit = fault_disarm();
      if(st && kind != REDIS_) value_is(s, S("f/1"), NULL), value_is(s, S("f/2"), NULL);
      if(st && kind == REDIS_) CHECK_INT(has(s, S("f/1")), has(s, S("f/2"))); /* the answer may be lost, halves are not */
      if(!hit) break;
    }
    value_is(s, S("f/2"), "y");
    struct store_delta d[] = { { S("use/a"), 5, 0 }, { S("use/b"), -1, 0 }, { S("use/a"), 2, 0 } };
    CHECK_INT(store_incr(s, d, 3), Q_OK);
    CHECK_INT(d[2].total, 7);
    CHECK_INT(store_incr(s, d, 2), Q_OK);
    CHECK_INT(d[0].total, 12);
    CHECK_INT(d[1].total, -2);
    value_is(s, S("use/a"), "12");
    strbuf_clear(&b);
    CHECK_INT(s->ops->scan(s, S("use/"), collect, &b), Q_OK);
    CHECK_STR(strbuf_str(&b), S("use/a=12 use/b=-2 "));
    store_close(s);
    strbuf_free(&b);
    if(kind != MEMORY) { /* reopened: still there */
      s = open_store(kind);
      value_is(s, S("a/2"), "two");
      store_close(s);
      if(kind == FILE_) wipe();
    }
  }
  redis_end();
}

static void t_only_one(void)
{
  struct store *s = open_store(FILE_);
  struct q_error e = Q_ERROR_NONE;
  int code = 0;
  CHECK(store_lmdb_open(dir, &e, &code) == NULL);
  CHECK_INT(code, 69);
  CHECK(strstr(e.msg, "in use") != NULL);
  CHECK_INT(store_put(s, S("meta/format"), S("2")), Q_OK);
  store_close(s);
  CHECK(store_lmdb_open(dir, &e, &code) == NULL); /* written by a newer one */
  CHECK_INT(code, 65);
  wipe();
  CHECK(store_lmdb_open("/proc/nowhere", &e, &code) == NULL);
  CHECK_INT(code, 73);
}

/* Steps of a format that never was: 1 to 2 doubles what is in "v/", 2 to 3 moves it to "w/". */
struct moved { struct store_op ops[64]; char text[64][64]; int n; };

static bool up_collect(void *ctx, struct str key, struct str value)
{
  struct moved *m = ctx;
  snprintf(m->text[m->n], 64, "%.*s%.*s", STR_F(value), STR_F(value));
  m->ops[m->n] = (struct store_op){ .key = str_of(mem_strndup(key.p, key.n), key.n), .value = str_z(m->text[m->n]) };
  return ++m->n < 64;
}

static enum q_status up_apply(struct store *s, struct moved *m)
{
  enum q_status st = s->ops->commit(s, m->ops, m->n);
  for(int i = 0; i < m->n; i++) mem_free((char *)m->ops[i].key.p);
  return st;
}

static enum q_status up_double(struct store *s)
{
  struct moved m = { .n = 0 };
  enum q_status st = s->ops->scan(s, S("v/"), up_collect, &m);
  return st ? st : up_apply(s, &m);
}

static enum q_status up_mark(struct store *s)
{
  struct strbuf big = STRBUF(64 << 20);
  while(big.n < (20u << 20)) strbuf_lit(&big, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
  enum q_status st = store_put(s, S("w/big"), strbuf_str(&big)); /* more than the map holds */
  strbuf_free(&big);
  if(!st) value_is(s, S("v/1"), "oneone"); /* it sees what the step before did */
  return st ? st : store_put(s, S("w/1"), S("new"));
}

static enum q_status up_fail(struct store *s)
{
  CHECK_INT(store_put(s, S("w/1"), S("half")), Q_OK);
  return Q_STORE;
}

static void t_older_format_is_lifted_after_a_backup(void)
{
  static const store_step bad[] = { up_double, up_fail }, good[] = { up_double, up_mark };
  struct q_error e = Q_ERROR_NONE;
  char from[128], to[128], other[sizeof dir];
  int code = 0;
  struct store *s = open_store(true);
  CHECK_INT(store_put(s, S("v/1"), S("one")), Q_OK);
  CHECK_INT(store_put(s, S("v/2"), S("two")), Q_OK);
  store_close(s);
  CHECK(store_lmdb_open_steps(dir, bad, 2, &e, &code) == NULL); /* a step fails: all is as it was */
  CHECK_INT(code, 73);
  s = open_store(true);
  value_is(s, S("v/1"), "one");
  value_is(s, S("w/1"), NULL);
  value_is(s, S("meta/format"), "1");
  store_close(s);
  s = store_lmdb_open_steps(dir, good, 2, &e, &code);
  if(!s) T_FAIL("%s", e.msg);
  value_is(s, S("v/1"), "oneone");
  value_is(s, S("v/2"), "twotwo");
  value_is(s, S("w/1"), "new");
  value_is(s, S("meta/format"), "3");
  store_close(s);
  s = store_lmdb_open_steps(dir, good, 2, &e, &code); /* once only */
  value_is(s, S("v/1"), "oneone");
  store_close(s);
  CHECK(store_lmdb_open(dir, &e, &code) == NULL); /* not by the older program any more */
  CHECK_INT(code, 65);
  /* The backup is a store of the older format. */
  snprintf(from, sizeof from, "%s/qwen2api.mdb.v1.bak", dir);
  memcpy(other, dir, sizeof other);
  dir[0] = 0;
  store_close(open_store(true));
  snprintf(to, sizeof to, "%s/qwen2api.mdb", dir);
  CHECK(rename(from, to) == 0);
  s = open_store(true);
  value_is(s, S("v/1"), "one");
  value_is(s, S("meta/format"), "1");
  store_close(s);
  wipe();
  memcpy(dir, other, sizeof dir);
  wipe();
  CHECK(access(other, F_OK) != 0); /* no part of a copy was left */
}

static void t_damaged(void)
{
  struct q_error e = Q_ERROR_NONE;
  int code = 0;
  char path[128];
  store_close(open_store(FILE_));
  snprintf(path, sizeof path, "%s/qwen2api.mdb", dir);
  FILE *f = fopen(path, "r+");
  for(int i = 0; i < 8192; i++) fputc('x', f);
  fclose(f);
  CHECK(store_lmdb_open(dir, &e, &code) == NULL);
  CHECK_INT(code, 65);
  wipe();
}

/* A child writes numbers and says which were acknowledged; it is killed at some moment; all of them must be there. */
static void t_kill(void)
{
  int rounds = t_torture() ? 200 : 10, acknowledged = 0;
  for(int round = 0; round < rounds; round++) {
    int fds[2], last = -1, got;
    store_close(open_store(FILE_)); /* makes the folder before the fork */
    CHECK(pipe(fds) == 0);
    pid_t child = fork();
    if(child == 0) {
      struct store *s = open_store(FILE_);
      for(int i = 0; s; i++) {
        char key[32];
        snprintf(key, sizeof key, "n/%08d", i);
        if(store_put(s, str_z(key), str_z(key)) || write(fds[1], &i, sizeof i) != sizeof i) break;
      }
      _exit(0);
    }
    close(fds[1]);
    while(read(fds[0], &got, sizeof got) == sizeof got) {
      last = got;
      if(last >= 3 + round * 7 % 50) kill(child, SIGKILL); /* another moment each time */
    }
    close(fds[0]);
    waitpid(child, NULL, 0);
    struct store *s = open_store(FILE_);
    for(int i = 0; i <= last; i++) {
      char key[32];
      snprintf(key, sizeof key, "n/%08d", i);
      value_is(s, str_z(key), key);
    }
    acknowledged += last + 1;
    store_close(s);
    wipe();
  }
  printf("acknowledged writes checked: %d\n", acknowledged);
  CHECK(acknowledged > rounds);
}

static struct config *settings(const char *secret, const char *keys)
{
  char a[200], b[200], c[200], *env[] = { a, b, c, NULL };
  struct strbuf errors = STRBUF(10000), warnings = STRBUF(10000);
  struct config_input in = { .envp = env, .file = "/dev/null" };
  snprintf(a, sizeof a, "DATA_DIR=%s", dir);
  snprintf(b, sizeof b, "SECRET_KEY=%s", secret);
  snprintf(c, sizeof c, "API_KEY=%s", keys);
  struct config *config = config_load(&in, &errors, &warnings);
  CHECK(config != NULL);
  strbuf_free(&errors);
  strbuf_free(&warnings);
  return config;
}

static void t_seal(void)
{
  struct store *s = open_store(FILE_);
  struct strbuf sealed = STRBUF(1000), plain = STRBUF(1000);
  struct q_error e = Q_ERROR_NONE;
  bool stale;
  int code = 0;
  struct config *c = settings("", "");
  struct seal *k = seal_open(s, c, &stale, &e, &code);
  CHECK(k && !stale);
  CHECK_INT(seal_text(k, S("acct/a"), S("pass word"), &sealed), Q_OK);
  CHECK_INT(seal_plain(k, S("acct/a"), strbuf_str(&sealed), &plain), Q_OK);
  CHECK_STR(strbuf_str(&plain), S("pass word"));
  CHECK_INT(seal_plain(k, S("acct/b"), strbuf_str(&sealed), &plain), Q_BAD_VALUE); /* bound to its record */
  CHECK_INT(seal_plain(k, S("acct/a"), S("bm9uc2Vuc2U="), &plain), Q_BAD_VALUE);
  seal_destroy(k);
  strbuf_clear(&plain);
  k = seal_open(s, c, &stale, &e, &code); /* the key file again */
  CHECK(k && seal_plain(k, S("acct/a"), strbuf_str(&sealed), &plain) == Q_OK);
  seal_destroy(k);
  config_unref(c);
  c = settings("a-secret-that-is-another", "");
  CHECK(seal_open(s, c, &stale, &e, &code) == NULL);
  CHECK_INT(code, 65);
  config_unref(c);
  store_close(s);
  wipe();

  s = open_store(FILE_);
  c = settings("old-secret-old-secret", "");
  k = seal_open(s, c, &stale, &e, &code);
  seal_destroy(k);
  config_unref(c);
  c = settings("new-secret-new-secret,old-secret-old-secret", "");
  k = seal_open(s, c, &stale, &e, &code);
  CHECK(k && stale);
  CHECK_INT(seal_settle(k, s), Q_OK);
  seal_destroy(k);
  k = seal_open(s, c, &stale, &e, &code);
  CHECK(k && !stale);
  seal_destroy(k);
  config_unref(c);
  strbuf_free(&sealed);
  strbuf_free(&plain);
  store_close(s);
  wipe();
}

static void t_keys(void)
{
  struct store *s = open_store(FILE_);
  struct q_error e = Q_ERROR_NONE;
  char made[KEYS_TEXT], again[KEYS_TEXT], masked[64];
  struct config *c = settings("", "sk-first,sk-second, sk-first ");
  struct keys *k = keys_open(s, c, NULL, 1, made, &e);
  CHECK(k && !made[0]);
  CHECK_INT(keys_check(k, S("sk-first"), 1, NULL), KEY_ADMIN);
  CHECK_INT(keys_check(k, S("sk-second"), 1, NULL), KEY_REGULAR);
  CHECK_INT(keys_check(k, S("sk-firs"), 1, NULL), KEY_NONE);
  CHECK_INT(keys_check(k, S(""), 1, NULL), KEY_NONE);
  keys_destroy(k);
  config_unref(c);
  c = settings("", "");
  k = keys_open(s, c, NULL, 1, made, &e);
  CHECK_INT(strlen(made), 51);
  CHECK_INT(keys_check(k, str_z(made), 1, NULL), KEY_ADMIN);
  keys_destroy(k);
  k = keys_open(s, c, NULL, 1, again, &e);
  CHECK(!again[0]); /* shown once */
  CHECK_INT(keys_check(k, str_z(made), 1, NULL), KEY_ADMIN);
  keys_destroy(k);
  CHECK_INT(keys_new_admin(s, again), Q_OK);
  k = keys_open(s, c, NULL, 1, masked, &e);
  CHECK_INT(keys_check(k, str_z(made), 1, NULL), KEY_NONE);
  CHECK_INT(keys_check(k, str_z(again), 1, NULL), KEY_ADMIN);
  keys_destroy(k);
  keys_mask(S("sk-test-0123456789f0c"), masked, sizeof masked);
  CHECK_Z(masked, "sk-te…9f0c");
  keys_mask(S("short"), masked, sizeof masked);
  CHECK_Z(masked, "***");
  config_unref(c);
  store_close(s);
  wipe();
}

T_MAIN(T(t_both), T(t_only_one), T(t_older_format_is_lifted_after_a_backup), T(t_damaged), T(t_kill), T(t_seal), T(t_keys))
