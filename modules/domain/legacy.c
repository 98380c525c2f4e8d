#include "domain/legacy.h"

#include "base/mem.h"
#include "domain/accounts.h"
#include "domain/import.h"

enum { LEGACY_TREE_MAX = 16 * 1024 * 1024, LEGACY_DEPTH = 32 };

struct legacy { struct app *app; int taken, known; bool keys; struct import_done done; enum q_status st; };

/* Old ends are seconds or milliseconds. */
static int64_t legacy_ms(struct str text)
{
  int64_t v = 0;
  if(!str_int(str_trim(text), &v) || v < 0) return 0;
  return v < 100000000000 ? v * 1000 : v;
}

/* What is no JSON is passed over. */
static enum q_status legacy_history(struct app *app, struct str email, struct str stats, struct str history)
{
  struct arena arena = ARENA(LEGACY_TREE_MAX);
  struct q_error e = Q_ERROR_NONE;
  const struct json *s = json_parse(&arena, stats, LEGACY_DEPTH, NULL), *h = json_parse(&arena, history, LEGACY_DEPTH, NULL);
  enum q_status st = s || h ? import_history(app, email, s, h, &e) : Q_OK;
  arena_free(&arena);
  return st;
}

static bool legacy_account(void *ctx, struct str key, struct store_redis_field *f, int n)
{
  struct legacy *l = ctx;
  struct str email = str_sub(key, 5, key.n), stats = STR_NONE, history = STR_NONE, password = STR_NONE, token = STR_NONE, proxy = STR_NONE;
  int64_t expires = 0;
  for(int i = 0; i < n; i++) {
    if(str_eq(f[i].name, S("password"))) password = f[i].value;
    else if(str_eq(f[i].name, S("token"))) token = f[i].value;
    else if(str_eq(f[i].name, S("proxy"))) proxy = f[i].value;
    else if(str_eq(f[i].name, S("stats"))) stats = f[i].value;
    else if(str_eq(f[i].name, S("statsHistory"))) history = f[i].value;
    else if(str_eq(f[i].name, S("expires")) || str_eq(f[i].name, S("expired"))) expires = legacy_ms(f[i].value);
  }
  if(!email.n || email.n > 255 || (!password.n && !token.n)) return true;
  struct account *a = account_new(email, password, str_eq(proxy, S("null")) ? STR_NONE : proxy);
  struct secret *t = a && token.n ? secret_new(token) : NULL;
  if(!a || (token.n && !t)) {
    account_free(a);
    l->st = Q_NOMEM;
    return false;
  }
  if(t) account_set_token(a, t, expires, NULL);
  secret_unref(t);
  a->created_ms = now_wall_ms(l->app->now);
  account_plan_renewal(a, a->created_ms);
  a->dirty = true;
  enum q_status st = pool_add(l->app->pool, a);
  l->taken += st == Q_OK;
  l->known += st == Q_EXISTS;
  if(st == Q_OK) st = legacy_history(l->app, email, stats, history);
  if(st != Q_EXISTS) l->st = st;
  return l->st == Q_OK;
}

static bool legacy_settings(void *ctx, struct str key, struct store_redis_field *f, int n)
{
  struct legacy *l = ctx;
  struct arena arena = ARENA(LEGACY_TREE_MAX);
  struct import_want want = { .no_keys = !l->keys, .only_keys = l->keys };
  struct q_error e = Q_ERROR_NONE;
  (void)key;
  for(int i = 0; i < n && !l->st; i++) {
    if(!str_eq(f[i].name, S("json"))) continue;
    const struct json *root = json_parse(&arena, f[i].value, LEGACY_DEPTH, NULL);
    if(!json_is(root, JSON_OBJECT)) LOG_WARN(l->app->log, "import", "", "the settings of the original in Redis (qwen2api:settings) are no JSON: left out");
    else l->st = import_settings(l->app, root, &want, &l->done, &e);
  }
  arena_free(&arena);
  return l->st == Q_OK;
}

enum q_status legacy_import(struct app *a, bool keys)
{
  struct legacy l = { .app = a, .keys = keys };
  struct strbuf mark = STRBUF(64);
  if(!store_shared(a->store)) return Q_OK;
  enum q_status st = store_get(a->store, S("meta/imported-redis"), &mark);
  strbuf_free(&mark);
  if(st != Q_NOT_FOUND) return st;
  st = keys ? Q_OK : store_redis_hashes(a->store, S("user:*"), legacy_account, &l);
  if(!st) st = l.st;
  if(!st) st = store_redis_hashes(a->store, S("qwen2api:settings"), legacy_settings, &l);
  if(!st) st = l.st;
  if(!st) st = keys ? store_claim(a->store, S("meta/imported-redis"), S("1")) : accounts_save(a);
  for(int i = 0; i < l.done.bad_n && i < 20; i++) LOG_WARN(a->log, "import", "", "settings in Redis: left out: %s", l.done.bad[i].reason);
  if(!st && (l.taken || l.known)) LOG_INFO(a->log, "import", "", "%d accounts of the original were taken over from Redis, %d were known", l.taken, l.known);
  if(!st && (l.done.settings || l.done.keys))
    LOG_INFO(a->log, "import", "", "%d settings and %d keys of the original were taken over from Redis", l.done.settings, l.done.keys);
  import_done_free(&l.done);
  return st;
}
