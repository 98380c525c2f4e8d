#include "domain/legacy.h"

#include "base/mem.h"
#include "domain/accounts.h"

struct legacy { struct app *app; int taken, known, settings; enum q_status st; };

/* Old ends are seconds or milliseconds. */
static int64_t legacy_ms(struct str text)
{
  int64_t v = 0;
  if(!str_int(str_trim(text), &v) || v < 0) return 0;
  return v < 100000000000 ? v * 1000 : v;
}

static bool legacy_account(void *ctx, struct str key, struct store_redis_field *f, int n)
{
  struct legacy *l = ctx;
  struct str email = str_sub(key, 5, key.n), password = STR_NONE, token = STR_NONE, proxy = STR_NONE;
  int64_t expires = 0;
  for(int i = 0; i < n; i++) {
    if(str_eq(f[i].name, S("password"))) password = f[i].value;
    else if(str_eq(f[i].name, S("token"))) token = f[i].value;
    else if(str_eq(f[i].name, S("proxy"))) proxy = f[i].value;
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
  if(st == Q_NOMEM) l->st = st;
  return l->st == Q_OK;
}

static bool legacy_settings(void *ctx, struct str key, struct store_redis_field *f, int n)
{
  struct legacy *l = ctx;
  (void)f;
  l->settings = str_eq(key, S("qwen2api:settings")) ? n : 0;
  return true;
}

enum q_status legacy_import(struct app *a)
{
  struct legacy l = { .app = a };
  struct strbuf mark = STRBUF(64);
  if(!store_shared(a->store)) return Q_OK;
  enum q_status st = store_get(a->store, S("meta/imported-redis"), &mark);
  strbuf_free(&mark);
  if(st != Q_NOT_FOUND) return st;
  st = store_redis_hashes(a->store, S("user:*"), legacy_account, &l);
  if(!st) st = l.st;
  if(!st) st = store_redis_hashes(a->store, S("qwen2api:settings"), legacy_settings, &l);
  if(!st) st = accounts_save(a);
  if(!st) st = store_claim(a->store, S("meta/imported-redis"), S("1"));
  if(st) return st;
  if(l.taken || l.known) LOG_INFO(a->log, "import", "", "%d accounts of the original were taken over from Redis, %d were known", l.taken, l.known);
  if(l.settings) LOG_WARN(a->log, "import", "", "Redis has settings of the original (qwen2api:settings): they were left alone; set them here anew");
  return Q_OK;
}
