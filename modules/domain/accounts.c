#include "domain/accounts.h"

#include <stdio.h>

#include "base/mem.h"
#include "domain/account_merge.h"
#include "proto/json.h"
#include "proto/jwt.h"

enum { ACCOUNTS_VERSION = 1, ACCOUNTS_RECORD_MAX = 256 * 1024, ACCOUNTS_TRIES = 20 };

static void accounts_key(struct strbuf *b, const char *email)
{
  strbuf_lit(b, "acct/");
  strbuf_addz(b, email);
}

/* ---- out ---- */

static enum q_status accounts_secret(const struct seal *s, struct str record, const char *name, const struct secret *x, struct strbuf *b)
{
  struct strbuf sealed = STRBUF(ACCOUNTS_RECORD_MAX);
  if(!x || !x->n) return Q_OK;
  enum q_status st = seal_text(s, record, secret_str(x), &sealed);
  strbuf_fmt(b, ",\"%s\":", name);
  strbuf_json(b, strbuf_str(&sealed));
  strbuf_free(&sealed);
  return st;
}

static void accounts_features(const struct account *a, struct strbuf *b)
{
  bool any = false;
  for(int f = 0; f < FEATURE_COUNT; f++) {
    const struct feature_state *x = &a->features[f];
    if(x->state == ACCOUNT_ACTIVE && !x->busy_step) continue; /* the next "too fast" goes on where the last rest ended */
    strbuf_addz(b, any ? ",\"" : ",\"features\":{\"");
    any = true;
    strbuf_fmt(b, "%s\":{\"state\":\"%s\",\"why\":\"%s\",\"until\":%lld,\"step\":%d,\"message\":", feature_name((enum feature)f),
               account_state_name(x->state), status_row(x->why)->name, (long long)x->until_ms, x->busy_step);
    strbuf_json(b, str_z(x->words ? x->words : ""));
    strbuf_addc(b, '}');
  }
  if(any) strbuf_addc(b, '}');
}

/* What only api accounts and grants have. */
static enum q_status accounts_kind(const struct seal *s, const struct account *a, struct str key, struct strbuf *b)
{
  const struct grant_state *g = &a->grant;
  if(a->kind == ACCOUNT_API) {
    struct str list = a->models_given ? secret_str(a->models) : STR_NONE;
    strbuf_fmt(b, ",\"serves\":%u,\"models\":[", a->serves);
    for(bool first = true; list.n; first = false) {
      if(!first) strbuf_addc(b, ',');
      strbuf_json(b, str_cut(&list, '\n'));
    }
    strbuf_addc(b, ']');
  }
  if(a->cli_calls) strbuf_fmt(b, ",\"cliDay\":%d,\"cliCalls\":%lld,\"cliInput\":%lld,\"cliOutput\":%lld", a->cli_day,
                              (long long)a->cli_calls, (long long)a->cli_in, (long long)a->cli_out);
  if(account_has_grant(a)) strbuf_fmt(b, ",\"cliExpires\":%lld", (long long)g->expires_ms);
  enum q_status st = accounts_secret(s, key, "baseUrl", a->base, b);
  if(!st) st = accounts_secret(s, key, "cliAccess", g->access, b);
  if(!st) st = accounts_secret(s, key, "cliRefresh", g->refresh, b);
  if(!st) st = accounts_secret(s, key, "cliResource", g->resource, b);
  return st;
}

static enum q_status accounts_record(const struct seal *s, const struct account *a, struct str key, struct strbuf *b)
{
  strbuf_addc(b, ACCOUNTS_VERSION);
  strbuf_lit(b, "{\"email\":");
  strbuf_json(b, str_z(a->email));
  strbuf_fmt(b, ",\"kind\":\"%s\",\"createdAt\":%lld,\"expires\":%lld,\"exchange\":%s,\"env\":%s,\"state\":\"%s\",\"why\":\"%s\",\"message\":",
             account_kind_name(a->kind), (long long)a->created_ms, (long long)a->expires_ms, a->exchange ? "true" : "false", a->from_env ? "true" : "false",
             account_state_name(a->whole), status_row(a->whole_why)->name);
  strbuf_json(b, str_z(a->whole_words ? a->whole_words : ""));
  if(a->note) {
    strbuf_lit(b, ",\"note\":");
    strbuf_json(b, secret_str(a->note));
  }
  if(a->max_inflight) strbuf_fmt(b, ",\"maxInflight\":%d", a->max_inflight);
  if(a->last_used_ms) strbuf_fmt(b, ",\"lastUsed\":%lld", (long long)a->last_used_ms);
  if(a->error) {
    strbuf_fmt(b, ",\"failed\":%s,\"errorAt\":%lld,\"error\":\"%s\",\"errorMessage\":", a->failed ? "true" : "false", (long long)a->error_ms,
               status_row(a->error)->name);
    strbuf_json(b, str_z(a->error_words ? a->error_words : ""));
  }
  accounts_features(a, b);
  enum q_status st = accounts_secret(s, key, "password", a->password, b);
  if(!st) st = accounts_secret(s, key, "token", a->token, b);
  if(!st) st = accounts_secret(s, key, "refresh", a->refresh, b);
  if(!st) st = accounts_secret(s, key, "proxy", a->proxy, b);
  if(!st) st = accounts_secret(s, key, "headers", a->headers, b);
  if(!st) st = accounts_secret(s, key, "cookie", a->cookie, b);
  if(!st) st = accounts_kind(s, a, key, b);
  strbuf_addc(b, '}');
  return st ? st : b->err;
}

/* Records are written while the pool's lock is held, the commit happens afterwards. */
struct accounts_saving {
  struct app *app;
  struct strbuf keys[64], values[64];
  struct account *who[64];
  struct account_marks marks[64];
  int n;
  enum q_status st;
};

static void accounts_collect(void *ctx, struct account *a)
{
  struct accounts_saving *s = ctx;
  if(a->unstored) a->dirty = false;
  if(!a->dirty || s->st || s->n == 64) return;
  struct strbuf *key = &s->keys[s->n], *value = &s->values[s->n];
  *key = STRBUF(1024);
  *value = STRBUF(ACCOUNTS_RECORD_MAX);
  accounts_key(key, a->email);
  s->st = key->err ? key->err : accounts_record(s->app->seal, a, strbuf_str(key), value);
  account_mark(a, &s->marks[s->n]);
  s->who[s->n++] = a;
  if(s->st) return;
  a->dirty = a->merged = false;
  a->saving = true;
}

/* The commit has ended: what was written is what the marks tell, unless another gateway's record came in between. */
static void accounts_written(void *ctx, struct account *a)
{
  struct accounts_saving *s = ctx;
  for(int i = 0; a->saving && i < s->n; i++) {
    if(s->who[i] != a) continue;
    a->saving = false;
    if(s->st) a->dirty = true;
    else if(!a->merged) a->marks = s->marks[i];
  }
}

/* With the lock of the writers. */
static enum q_status accounts_save_all(struct app *app)
{
  struct accounts_saving *s = mem_zalloc(sizeof *s);
  struct store_op ops[64];
  enum q_status st = s ? Q_OK : Q_NOMEM;
  int left = 20; /* others may be faster again and again */
  for(bool more = true; more && !st;) {
    s->app = app;
    s->n = 0;
    s->st = Q_OK;
    pool_each(app->pool, accounts_collect, s);
    st = s->st;
    for(int i = 0; i < s->n; i++) ops[i] = (struct store_op){ strbuf_str(&s->keys[i]), strbuf_str(&s->values[i]), false };
    if(!st && s->n) st = app->store->ops->commit(app->store, ops, s->n);
    s->st = st;
    if(s->n) pool_each(app->pool, accounts_written, s);
    more = s->n == 64 || (st == Q_AGAIN && left > 0);
    if(st == Q_AGAIN && left-- > 0) {
      st = Q_OK;
      for(int i = 0; i < s->n && !st; i++) st = accounts_reload_one(app, strbuf_str(&s->keys[i]));
    } else if(st == Q_AGAIN) {
      st = Q_STORE;
    }
    for(int i = 0; i < s->n; i++) {
      strbuf_free(&s->keys[i]);
      strbuf_free(&s->values[i]);
    }
  }
  mem_free(s);
  return st;
}

enum q_status accounts_save(struct app *app)
{
  pthread_mutex_lock(&app->accounts_lock);
  enum q_status st = accounts_save_all(app);
  pthread_mutex_unlock(&app->accounts_lock);
  return st;
}

static void accounts_mark(void *ctx, struct account *a)
{
  (void)ctx;
  a->dirty = true;
}

void accounts_touch(struct app *app)
{
  pool_each(app->pool, accounts_mark, NULL);
}

enum q_status accounts_reseal(struct app *app)
{
  accounts_touch(app);
  return accounts_save(app);
}

/* ---- an administrator's writes ---- */

struct accounts_insertion { struct strbuf *keys, *values; struct store_op *ops; };

static void accounts_insertion_free(struct accounts_insertion *w, int n)
{
  for(int i = 0; w->keys && w->values && i < n; i++) {
    strbuf_free(&w->keys[i]);
    strbuf_free(&w->values[i]);
  }
  mem_free(w->keys);
  mem_free(w->values);
  mem_free(w->ops);
}

static void accounts_is_there(void *ctx, struct account *a)
{
  (void)ctx;
  (void)a;
}

static enum q_status accounts_insert_all(struct app *app, struct account *const *v, int n, int *which)
{
  size_t count = (size_t)n;
  struct accounts_insertion w = { mem_zalloc(count * sizeof *w.keys), mem_zalloc(count * sizeof *w.values), mem_zalloc(count * sizeof *w.ops) };
  int64_t now = now_wall_ms(app->now);
  enum q_status st = w.keys && w.values && w.ops ? Q_OK : Q_NOMEM;
  for(int i = 0; i < n && !st; i++) {
    w.keys[i] = STRBUF(1024);
    w.values[i] = STRBUF(ACCOUNTS_RECORD_MAX);
    accounts_key(&w.keys[i], v[i]->email);
    if(pool_with(app->pool, str_z(v[i]->email), now, accounts_is_there, NULL) == Q_OK) {
      st = Q_EXISTS;
      if(which) *which = i;
    }
    if(!st) st = w.keys[i].err ? w.keys[i].err : accounts_record(app->seal, v[i], strbuf_str(&w.keys[i]), &w.values[i]);
    w.ops[i] = (struct store_op){ strbuf_str(&w.keys[i]), strbuf_str(&w.values[i]), false };
  }
  if(!st) st = app->store->ops->commit(app->store, w.ops, n);
  if(st == Q_AGAIN) { /* another gateway was faster with one of them: what is known now tells which */
    st = Q_OK;
    for(int i = 0; i < n && !st; i++) st = accounts_reload_one(app, strbuf_str(&w.keys[i]));
    if(!st) st = Q_AGAIN;
  }
  accounts_insertion_free(&w, n);
  return st;
}

enum q_status accounts_insert(struct app *app, struct account *const *v, int n, int *which)
{
  enum q_status st = Q_AGAIN;
  if(n < 1) return Q_OK;
  pthread_mutex_lock(&app->accounts_lock);
  enum q_status ready = pool_prepare(app->pool, v, n);
  if(ready) st = ready;
  for(int left = ACCOUNTS_TRIES; left > 0 && st == Q_AGAIN; left--) st = accounts_insert_all(app, v, n, which);
  if(st && !ready) pool_unprepare(app->pool, v, n);
  for(int i = 0; i < n && !st; i++) {
    v[i]->dirty = false;
    account_mark(v[i], &v[i]->marks);
    if(pool_add(app->pool, v[i])) LOG_INFO(app->log, "accounts", "", "another gateway's news of an account came first");
  }
  pthread_mutex_unlock(&app->accounts_lock);
  return st == Q_AGAIN ? Q_STORE : st;
}

struct accounts_changing {
  enum q_status (*fn)(void *ctx, struct account *a);
  void *ctx;
  struct account *copy;
  struct account_marks marks;
};

static void accounts_copy(void *ctx, struct account *a)
{
  ((struct accounts_changing *)ctx)->copy = account_copy(a);
}

static void accounts_follow(void *ctx, struct account *a)
{
  struct accounts_changing *x = ctx;
  bool dirty = a->dirty;
  (void)x->fn(x->ctx, a);
  a->dirty = dirty;
  a->marks = x->marks;
}

static enum q_status accounts_change_once(struct app *app, struct str name, struct accounts_changing *x)
{
  struct strbuf key = STRBUF(1024), value = STRBUF(ACCOUNTS_RECORD_MAX);
  int64_t now = now_wall_ms(app->now);
  enum q_status st = pool_with(app->pool, name, now, accounts_copy, x);
  if(!st) st = x->copy ? x->fn(x->ctx, x->copy) : Q_NOMEM;
  if(!st && !x->copy->unstored) {
    accounts_key(&key, x->copy->email);
    st = key.err ? key.err : accounts_record(app->seal, x->copy, strbuf_str(&key), &value);
    if(!st) st = store_put(app->store, strbuf_str(&key), strbuf_str(&value));
    if(st == Q_AGAIN && accounts_reload_one(app, strbuf_str(&key))) st = Q_STORE;
  }
  if(!st) {
    account_mark(x->copy, &x->marks);
    st = pool_with(app->pool, name, now, accounts_follow, x);
  }
  account_free(x->copy);
  x->copy = NULL;
  strbuf_free(&key);
  strbuf_free(&value);
  return st;
}

enum q_status accounts_change(struct app *app, struct str name, enum q_status (*fn)(void *ctx, struct account *a), void *ctx)
{
  struct accounts_changing x = { .fn = fn, .ctx = ctx };
  enum q_status st = Q_AGAIN;
  pthread_mutex_lock(&app->accounts_lock);
  for(int left = ACCOUNTS_TRIES; left > 0 && st == Q_AGAIN; left--) st = accounts_change_once(app, name, &x);
  pthread_mutex_unlock(&app->accounts_lock);
  return st == Q_AGAIN ? Q_STORE : st;
}

static void accounts_stored(void *ctx, struct account *a)
{
  *(bool *)ctx = !a->unstored;
}

static enum q_status accounts_delete_once(struct app *app, const struct str *names, int n, struct strbuf *keys, struct store_op *ops, int *found)
{
  int64_t now = now_wall_ms(app->now);
  enum q_status st = Q_OK;
  *found = 0;
  for(int i = 0; i < n && !st; i++) {
    bool stored = false;
    if(pool_with(app->pool, names[i], now, accounts_stored, &stored) || !stored) continue;
    struct strbuf *key = &keys[2 * *found], *kept = &keys[2 * *found + 1]; /* kept: domain/import.c */
    *key = STRBUF(1024);
    strbuf_lit(key, "acct/");
    strbuf_adds(key, names[i]);
    *kept = STRBUF(1024);
    strbuf_lit(kept, "moved/acct/");
    strbuf_adds(kept, names[i]);
    st = key->err ? key->err : kept->err;
    ops[2 * *found] = (struct store_op){ .key = strbuf_str(key), .del = true };
    ops[2 * *found + 1] = (struct store_op){ .key = strbuf_str(kept), .del = true };
    (*found)++;
  }
  if(!st && *found) st = app->store->ops->commit(app->store, ops, 2 * *found);
  int removed = 0;
  for(int i = 0; i < *found; i++) {
    struct strbuf *key = &keys[2 * i];
    if(st == Q_AGAIN && accounts_reload_one(app, strbuf_str(key))) st = Q_STORE;
    if(!st) removed += pool_remove(app->pool, str_sub(strbuf_str(key), 5, key->n), now) == Q_OK; /* a name may come twice */
    strbuf_free(key);
    strbuf_free(key + 1);
  }
  *found = removed;
  return st;
}

enum q_status accounts_delete(struct app *app, const struct str *names, int *n)
{
  struct strbuf *keys = mem_zalloc((size_t)(*n + 1) * 2 * sizeof *keys);
  struct store_op *ops = mem_zalloc((size_t)(*n + 1) * 2 * sizeof *ops);
  enum q_status st = keys && ops ? Q_AGAIN : Q_NOMEM;
  int found = 0;
  pthread_mutex_lock(&app->accounts_lock);
  for(int left = ACCOUNTS_TRIES; left > 0 && st == Q_AGAIN; left--) st = accounts_delete_once(app, names, *n, keys, ops, &found);
  pthread_mutex_unlock(&app->accounts_lock);
  mem_free(keys);
  mem_free(ops);
  *n = st ? 0 : found;
  return st == Q_AGAIN ? Q_STORE : st;
}

/* ---- in ---- */

static enum q_status accounts_why(struct str name)
{
  for(int i = 0; i < Q_STATUS_COUNT; i++)
    if(str_eq(name, str_z(status_row((enum q_status)i)->name))) return (enum q_status)i;
  return Q_UP_ERROR;
}

/* An opened secret; NULL if the member is missing. *bad: it could not be opened. */
static struct secret *accounts_open(const struct seal *s, struct str record, const struct json *root, const char *name, bool *bad)
{
  struct strbuf plain = STRBUF(ACCOUNTS_RECORD_MAX);
  struct str sealed = json_str(json_get(root, name));
  struct secret *x = NULL;
  if(sealed.n) {
    if(seal_plain(s, record, sealed, &plain)) *bad = true;
    else x = secret_new(strbuf_str(&plain));
  }
  if(plain.p) crypt_wipe(plain.p, plain.n);
  strbuf_free(&plain);
  return x;
}

static void accounts_read_features(struct account *a, const struct json *list)
{
  for json_each(m, list) {
    enum feature f = feature_by_name(m->key);
    enum account_state s = account_state_by_name(json_str(json_get(m, "state")));
    int64_t until = 0, step = 0;
    char words[304];
    if(f == FEATURE_COUNT) continue;
    (void)json_int(json_get(m, "until"), &until);
    (void)json_int(json_get(m, "step"), &step);
    str_copy(words, sizeof words, json_str(json_get(m, "message")));
    if(s == ACCOUNT_COOLING || s == ACCOUNT_LIMITED) account_rest(a, f, s, accounts_why(json_str(json_get(m, "why"))), words, until);
    a->features[f].busy_step = step < 0 ? 0 : step > 10 ? 10 : (int)step;
  }
}

static void accounts_read_kind(const struct seal *s, struct account *a, struct str key, const struct json *root, bool *bad)
{
  int64_t serves = SERVES_DEFAULT, day = 0;
  struct strbuf list = STRBUF(ACCOUNTS_RECORD_MAX);
  a->kind = account_kind_by_name(json_str(json_get(root, "kind")));
  (void)json_int(json_get(root, "serves"), &serves);
  a->serves = (unsigned)serves;
  const struct json *names = json_get(root, "models");
  if(json_is(names, JSON_ARRAY))
    for json_each(m, names) {
      if(list.n) strbuf_addc(&list, '\n');
      strbuf_adds(&list, json_str(m));
    }
  a->models_given = list.n > 0;
  if(list.n && !(a->models = secret_new(strbuf_str(&list)))) *bad = true;
  strbuf_free(&list);
  (void)json_int(json_get(root, "cliDay"), &day);
  a->cli_day = (int)day;
  (void)json_int(json_get(root, "cliCalls"), &a->cli_calls);
  (void)json_int(json_get(root, "cliInput"), &a->cli_in);
  (void)json_int(json_get(root, "cliOutput"), &a->cli_out);
  (void)json_int(json_get(root, "cliExpires"), &a->grant.expires_ms);
  a->base = accounts_open(s, key, root, "baseUrl", bad);
  a->grant.access = accounts_open(s, key, root, "cliAccess", bad);
  a->grant.refresh = accounts_open(s, key, root, "cliRefresh", bad);
  a->grant.resource = accounts_open(s, key, root, "cliResource", bad);
  a->grant.no = account_has_grant(a);
  if(a->kind == ACCOUNT_API && (!a->base || !a->token)) *bad = true;
}

static void accounts_read_operator(const struct seal *s, struct account *a, struct str key, const struct json *root, bool *bad)
{
  int64_t most = 0;
  char words[304];
  struct str note = json_str(json_get(root, "note"));
  if(note.n && !(a->note = secret_new(note))) *bad = true;
  if(json_int(json_get(root, "maxInflight"), &most) && most > 0 && most <= 10000) a->max_inflight = (int)most;
  a->headers = accounts_open(s, key, root, "headers", bad);
  a->cookie = accounts_open(s, key, root, "cookie", bad);
  (void)json_int(json_get(root, "lastUsed"), &a->last_used_ms);
  if(!json_int(json_get(root, "errorAt"), &a->error_ms)) return;
  a->error = accounts_why(json_str(json_get(root, "error")));
  a->failed = json_true(json_get(root, "failed"));
  str_copy(words, sizeof words, json_str(json_get(root, "errorMessage")));
  a->error_words = words[0] ? mem_strndup(words, strlen(words)) : NULL;
}

static struct account *accounts_read(const struct seal *s, struct str key, struct str value, int64_t now_ms)
{
  struct arena arena = ARENA(4 * ACCOUNTS_RECORD_MAX);
  struct account *a = NULL;
  bool bad = value.n == 0 || value.p[0] != ACCOUNTS_VERSION;
  const struct json *root = bad ? NULL : json_parse(&arena, str_sub(value, 1, value.n), 16, NULL);
  struct str email = json_str(json_get(root, "email"));
  if(email.n) a = account_new(email, STR_NONE, STR_NONE);
  if(a) {
    char words[304];
    a->password = accounts_open(s, key, root, "password", &bad);
    a->token = accounts_open(s, key, root, "token", &bad);
    a->refresh = accounts_open(s, key, root, "refresh", &bad);
    a->proxy = accounts_open(s, key, root, "proxy", &bad);
    (void)json_int(json_get(root, "expires"), &a->expires_ms);
    (void)json_int(json_get(root, "createdAt"), &a->created_ms);
    a->exchange = json_true(json_get(root, "exchange"));
    a->from_env = json_true(json_get(root, "env"));
    a->token_no = a->token != NULL;
    account_plan_renewal(a, now_ms);
    accounts_read_kind(s, a, key, root, &bad);
    accounts_read_operator(s, a, key, root, &bad);
    str_copy(words, sizeof words, json_str(json_get(root, "message")));
    enum account_state whole = account_state_by_name(json_str(json_get(root, "state")));
    if(whole != ACCOUNT_STATE_COUNT && whole != ACCOUNT_ACTIVE) account_set_whole(a, whole, accounts_why(json_str(json_get(root, "why"))), words);
    accounts_read_features(a, json_get(root, "features"));
    a->dirty = false;
    account_mark(a, &a->marks);
  }
  if(a && bad) {
    account_free(a);
    a = NULL;
  }
  arena_free(&arena);
  return a;
}

struct accounts_loading { struct app *app; int loaded, bad; enum q_status st; };

static bool accounts_load_one(void *ctx, struct str key, struct str value)
{
  struct accounts_loading *l = ctx;
  struct account *a = accounts_read(l->app->seal, key, value, now_wall_ms(l->app->now));
  if(!a) {
    l->bad++;
    return true;
  }
  enum q_status st = pool_add(l->app->pool, a);
  if(st == Q_NOMEM) l->st = st;
  l->loaded += !st;
  return !l->st;
}

enum q_status accounts_load(struct app *app, struct q_error *e)
{
  struct accounts_loading l = { .app = app };
  enum q_status st = app->store->ops->scan(app->store, S("acct/"), accounts_load_one, &l);
  if(!st) st = l.st;
  if(l.bad) LOG_ERROR(app->log, "accounts", "", "%d stored accounts cannot be read; they stay in the store", l.bad);
  if(st) status_fail(e, st, NULL, "The accounts cannot be read from the store.");
  return st;
}

enum q_status accounts_reload_one(struct app *app, struct str key)
{
  struct strbuf value = STRBUF(ACCOUNTS_RECORD_MAX);
  int64_t now = now_wall_ms(app->now);
  enum q_status st = store_get(app->store, key, &value);
  if(st == Q_NOT_FOUND) {
    st = pool_remove(app->pool, str_sub(key, 5, key.n), now);
    if(st == Q_NOT_FOUND) st = Q_OK;
  } else if(!st) {
    struct account *a = accounts_read(app->seal, key, strbuf_str(&value), now);
    if(!a) LOG_ERROR(app->log, "accounts", "", "an account that another gateway stored cannot be read; has it the same SECRET_KEY?");
    else st = pool_merge(app->pool, a, now);
  }
  strbuf_free(&value);
  return st;
}

/* The n-th pair of CLI_API_KEY and CLI_BASE_URL is the api account env-n; one address may serve all keys. */
static enum q_status accounts_env_keys(struct app *app)
{
  const struct config *c = app->config;
  for(int i = 0; i < c->cli_api_key.n; i++) {
    char name[24];
    snprintf(name, sizeof name, "env-%d", i + 1);
    const char *base = c->cli_base_url.v[c->cli_base_url.n > 1 ? i : 0];
    struct account *a = account_new_api(str_z(name), str_z(c->cli_api_key.v[i]), str_z(base), STR_NONE, SERVES_DEFAULT);
    if(!a) return Q_NOMEM;
    a->from_env = a->unstored = true;
    a->created_ms = now_wall_ms(app->now);
    enum q_status st = pool_add(app->pool, a);
    if(st && st != Q_EXISTS) return st;
  }
  return Q_OK;
}

enum q_status accounts_from_env(struct app *app, struct q_error *e)
{
  if(accounts_env_keys(app)) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  const struct config *c = app->config;
  for(int i = 0; i < c->accounts_n; i++) {
    struct account *a = account_new(str_z(c->accounts[i].email), str_z(c->accounts[i].password), str_z(c->accounts[i].proxy));
    if(!a) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
    a->from_env = a->dirty = true;
    a->created_ms = now_wall_ms(app->now);
    enum q_status st = pool_add(app->pool, a);
    if(st && st != Q_EXISTS) return status_fail(e, st, NULL, "Out of memory.");
  }
  return Q_OK;
}
