#include "domain/roster.h"

#include <stdlib.h>

#include "base/mem.h"
#include "domain/accounts.h"
#include "domain/login.h"
#include "domain/vendor.h"
#include "proto/jwt.h"

/* ---- words for trouble ---- */

static enum q_status roster_login_trouble(enum q_status st, const char *words, struct q_error *e)
{
  const char *colon = words[0] ? ": " : ".";
  switch(st) {
  case Q_OK: return Q_OK;
  case Q_NOMEM: return status_fail(e, st, NULL, "Out of memory.");
  case Q_UP_BAD_LOGIN:
  case Q_UP_AUTH:
  case Q_UP_BARRED: return status_fail(e, Q_LOGIN_FAILED, NULL, "The upstream refused the sign-in%s%s", colon, words);
  case Q_UP_BUSY:
    status_fail(e, st, NULL, "The upstream allows no more sign-ins from this address just now%s%s", colon, words);
    if(e) e->retry_after_s = 60;
    return st;
  case Q_UP_CHALLENGE: return status_fail(e, st, NULL, "The upstream answered the sign-in with a captcha page. Sign in there with a browser from the same address, or use a proxy.");
  case Q_UP_TLS:
  case Q_PROXY:
  case Q_UP_UNREACHABLE: return status_fail(e, st, NULL, "The upstream could not be reached for the sign-in%s%s", colon, words);
  case Q_UP_CONNECT_TIME:
  case Q_UP_FIRST_TIME:
  case Q_UP_IDLE_TIME:
  case Q_UP_CUT: return status_fail(e, Q_UP_UNREACHABLE, NULL, "The upstream did not answer the sign-in in time%s%s", colon, words);
  case Q_UP_BODY: return status_fail(e, st, NULL, "The upstream's answer to the sign-in was not understood%s%s", colon, words);
  default: return status_fail(e, Q_UP_ERROR, NULL, "The sign-in failed upstream: %s%s%s", status_row(st)->text, words[0] ? ": " : "", words);
  }
}

static enum q_status roster_trouble(struct app *a, enum q_status st, struct str name, struct q_error *e)
{
  switch(st) {
  case Q_OK: return Q_OK;
  case Q_EXISTS: return status_fail(e, st, "email", "There is an account %.*s already.", STR_F(str_sub(name, 0, 256)));
  case Q_NOT_FOUND: return status_fail(e, st, "email", "There is no account %.*s.", STR_F(str_sub(name, 0, 256)));
  case Q_ENV_MANAGED: return status_fail(e, st, "email", "%.*s comes from CLI_API_KEY: change it there and restart.", STR_F(str_sub(name, 0, 256)));
  case Q_NOMEM: return status_fail(e, st, NULL, "Out of memory.");
  case Q_STORE_AWAY: return status_fail(e, st, NULL, "The shared store is away: nothing was changed. Try again when it is back.");
  case Q_TOO_BIG: return status_fail(e, Q_BAD_VALUE, NULL, "The account does not fit into one record: its texts are too long.");
  default: return status_fail(e, Q_STORE, NULL, "The account could not be written. %s", store_trouble(a->store));
  }
}

/* ---- adding ---- */

static enum q_status roster_sign_in(struct app *a, struct account *x, struct q_error *e)
{
  struct pool_login who = { .password = x->password, .proxy = x->proxy, .headers = x->headers, .cookie = x->cookie };
  struct login_got got = { .token = NULL };
  str_copy(who.email, sizeof who.email, str_z(x->email));
  enum q_status st = roster_login_trouble(login_try(a->login, &who, &got), got.words, e);
  if(!st) {
    account_set_token(x, got.token, got.expires_ms, got.refresh);
    x->exchange = got.exchange;
    account_plan_renewal(x, now_wall_ms(a->now));
  }
  login_got_free(&got);
  return st;
}

/* A bare token: whose it is tells the upstream. */
static enum q_status roster_token(struct app *a, const struct account_fields *f, struct account **out, struct q_error *e)
{
  struct pool_login who = { .token = f->token, .proxy = f->proxy, .headers = f->headers, .cookie = f->cookie };
  struct login_got got = { .token = NULL };
  struct account_fields named = *f; /* borrows the secrets */
  int64_t now = now_wall_ms(a->now);
  enum q_status st = roster_login_trouble(login_look(a->login, &who, &got), got.words, e);
  if(!st) {
    memcpy(named.name, got.email, sizeof named.name);
    st = account_fields_make(&named, now, out, e);
  }
  if(!st && got.token && !str_eq(secret_str(got.token), secret_str(f->token))) {
    struct secret *refresh = got.refresh ? got.refresh : f->token;
    account_set_token(*out, got.token, got.expires_ms, refresh);
  }
  if(!st) {
    (*out)->exchange = got.exchange;
    account_plan_renewal(*out, now);
  }
  login_got_free(&got);
  return st;
}

/* An official key is tried where its list of models would be; an address without a list says nothing about the key. */
static enum q_status roster_key(struct app *a, struct account *x, struct q_error *e)
{
  struct pool_login who = { .token = x->token, .proxy = x->proxy, .base = x->base, .headers = x->headers, .cookie = x->cookie };
  struct secret *names = NULL;
  char words[304] = "";
  enum q_status st = vendor_try(a, &who, &names, words);
  if(!st && names && !x->models_given) {
    account_put_secret(&x->models, names);
    x->models_asked_ms = now_wall_ms(a->now);
  }
  secret_unref(names);
  return roster_login_trouble(st, words, e);
}

static enum q_status roster_dots(struct q_error *e, const char *param)
{
  return status_fail(e, Q_BAD_VALUE, param, "'%s' has dots in place of its user info, and is not the address that is there: write the user info as well.", param);
}

static void roster_nothing(void *ctx, struct account *a)
{
  (void)ctx;
  (void)a;
}

enum q_status roster_add(struct app *a, const struct account_fields *f, char name[256], struct q_error *e)
{
  struct account *x = NULL;
  int64_t now = now_wall_ms(a->now);
  bool bare = f->kind == ACCOUNT_WEB && f->token && !(f->password && f->password->n);
  const char *param;
  enum q_status st = !account_fields_shown(f, NULL, &param) ? roster_dots(e, param) : bare ? roster_token(a, f, &x, e) : account_fields_make(f, now, &x, e);
  if(!st && pool_with(a->pool, str_z(x->email), now, roster_nothing, NULL) == Q_OK) st = roster_trouble(a, Q_EXISTS, str_z(x->email), e);
  if(!st && !bare && x->kind == ACCOUNT_WEB) st = roster_sign_in(a, x, e);
  if(!st && x->kind == ACCOUNT_API) st = roster_key(a, x, e);
  if(!st && name) str_copy(name, 256, str_z(x->email));
  if(!st) {
    char label[sizeof x->label];
    memcpy(label, x->label, sizeof label);
    st = accounts_insert(a, &x, 1, NULL);
    if(!st) LOG_INFO(a->log, "accounts", "", "%s was added", label);
    else st = roster_trouble(a, st, str_z(x->email), e);
  }
  if(st) account_free(x);
  return st;
}

/* ---- changing ---- */

struct roster_change { const struct account_fields *f; int64_t now_ms; };

static enum q_status roster_apply(void *ctx, struct account *a)
{
  const struct roster_change *c = ctx;
  if(a->unstored) return Q_ENV_MANAGED;
  account_fields_apply(c->f, a, c->now_ms);
  return Q_OK;
}

struct roster_there { const struct account_fields *f; struct secret *headers; const char *param; };

static void roster_there(void *ctx, struct account *a)
{
  struct roster_there *t = ctx;
  if(account_fields_shown(t->f, a, &t->param)) t->param = NULL;
  t->headers = secret_ref(a->headers);
}

enum q_status roster_update(struct app *a, struct str email, const struct account_fields *f, struct q_error *e)
{
  struct account_fields own = *f; /* borrows the secrets */
  struct roster_there there = { f, NULL, NULL };
  struct secret *merged = NULL;
  int64_t now = now_wall_ms(a->now);
  struct roster_change c = { &own, now };
  enum q_status st = roster_trouble(a, pool_with(a->pool, email, now, roster_there, &there), email, e);
  if(!st && there.param) st = roster_dots(e, there.param);
  if(!st && f->headers) st = roster_trouble(a, account_merge_headers(secret_str(f->headers), secret_str(there.headers), &merged), email, e);
  if(merged || !st) own.headers = merged;
  if(!st) st = roster_trouble(a, accounts_change(a, email, roster_apply, &c), email, e);
  secret_unref(there.headers);
  secret_unref(merged);
  return st;
}

static enum q_status roster_apply_enabled(void *ctx, struct account *a)
{
  bool enabled = *(bool *)ctx;
  if(a->unstored) return Q_ENV_MANAGED;
  if(!enabled) account_set_whole(a, ACCOUNT_DISABLED, Q_OK, NULL);
  else if(a->whole == ACCOUNT_DISABLED) account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
  return Q_OK;
}

enum q_status roster_enable(struct app *a, const struct str *names, int *n, bool enabled, struct q_error *e)
{
  enum q_status st = Q_OK;
  int count = *n, done = 0;
  for(int i = 0; i < count && !st; i++) {
    st = accounts_change(a, names[i], roster_apply_enabled, &enabled);
    done += !st;
    if((st == Q_NOT_FOUND || st == Q_ENV_MANAGED) && count > 1) st = Q_OK;
    else st = roster_trouble(a, st, names[i], e);
  }
  *n = done;
  return st;
}

static void roster_is_env(void *ctx, struct account *a)
{
  *(bool *)ctx = a->unstored;
}

enum q_status roster_delete(struct app *a, const struct str *names, int *n, struct q_error *e)
{
  bool env = false;
  if(*n == 1) {
    enum q_status st = pool_with(a->pool, names[0], now_wall_ms(a->now), roster_is_env, &env);
    if(!st && env) st = Q_ENV_MANAGED;
    if(st) return roster_trouble(a, st, names[0], e);
  }
  enum q_status st = accounts_delete(a, names, n);
  if(!st) LOG_INFO(a->log, "accounts", "", "%d accounts were taken away", *n);
  return roster_trouble(a, st, STR_NONE, e);
}

static void roster_name(void *ctx, struct account *a)
{
  struct strbuf *b = ctx;
  strbuf_addz(b, a->email);
  strbuf_addc(b, '\n');
}

enum q_status roster_delete_all(struct app *a, int *n, struct q_error *e)
{
  struct strbuf all = STRBUF(64 * 1024 * 1024);
  pool_each(a->pool, roster_name, &all);
  int count = 0;
  for(size_t i = 0; i < all.n; i++) count += all.p[i] == '\n';
  struct str *names = mem_alloc((size_t)(count + 1) * sizeof *names), rest = strbuf_str(&all);
  enum q_status st = names && !all.err ? Q_OK : status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  for(int i = 0; !st && i < count; i++) names[i] = str_cut(&rest, '\n');
  *n = count;
  if(!st) st = roster_trouble(a, accounts_delete(a, names, n), STR_NONE, e);
  if(!st) LOG_WARN(a->log, "accounts", "", "all %d accounts were taken away", *n);
  mem_free(names);
  strbuf_free(&all);
  return st;
}

static enum q_status roster_apply_clear(void *ctx, struct account *a)
{
  account_clear(a, *(enum feature *)ctx);
  return Q_OK;
}

enum q_status roster_clear(struct app *a, struct str email, enum feature f, struct q_error *e)
{
  enum q_status st = accounts_change(a, email, roster_apply_clear, &f);
  if(!st && f == FEATURE_COUNT) pool_clear_egress(a->pool, email, now_wall_ms(a->now));
  return roster_trouble(a, st, email, e);
}

/* ---- renewing ---- */

struct roster_kept { struct account *a; int64_t expires_ms; bool renewable, grant; };

/* A removed account is found no more; one that is kept stays readable. */
static void roster_keep(void *ctx, struct account *a)
{
  struct roster_kept *k = ctx;
  a->refs++; /* given back by pool_unkeep() */
  k->a = a;
  k->grant = a->kind == ACCOUNT_CLI;
  k->renewable = k->grant ? a->grant.refresh != NULL : a->kind == ACCOUNT_WEB && (a->password || (a->exchange && a->token));
}

static void roster_expires(void *ctx, struct account *a)
{
  struct roster_kept *k = ctx;
  k->expires_ms = a->kind == ACCOUNT_CLI ? a->grant.expires_ms : a->expires_ms;
}

enum q_status roster_refresh(struct app *a, struct str email, int64_t *expires_ms, struct q_error *e)
{
  struct roster_kept k = { .a = NULL };
  char words[304] = "";
  if(pool_with(a->pool, email, now_wall_ms(a->now), roster_keep, &k)) return roster_trouble(a, Q_NOT_FOUND, email, e);
  enum q_status st = Q_OK;
  if(!k.renewable) st = status_fail(e, Q_LOGIN_FAILED, NULL, "There is nothing to renew %.*s with: no password and no refresh token.", STR_F(str_sub(email, 0, 256)));
  else st = login_now(a->login, k.a, k.grant, words);
  if(k.renewable && st == Q_NO_CLI) st = status_fail(e, Q_LOGIN_FAILED, NULL, "The upstream refused the grant%s%s", words[0] ? ": " : ".", words);
  else if(k.renewable) st = roster_login_trouble(st, words, e);
  pool_unkeep(a->pool, k.a);
  enum q_status kept = st ? Q_OK : accounts_save(a);
  if(kept == Q_STORE_AWAY) st = status_fail(e, kept, NULL, "The sign-in was renewed here, but the shared store is away: it is written when that is back.");
  else if(kept) st = roster_trouble(a, Q_STORE, email, e);
  if(!st && !pool_with(a->pool, email, now_wall_ms(a->now), roster_expires, &k)) *expires_ms = k.expires_ms;
  return st;
}

struct roster_due { struct strbuf *names; int64_t before_ms; };

static void roster_is_due(void *ctx, struct account *a)
{
  struct roster_due *d = ctx;
  struct roster_kept k = { .a = NULL };
  if(a->whole == ACCOUNT_DISABLED || a->kind != ACCOUNT_WEB) return;
  roster_keep(&k, a);
  a->refs--; /* it was only looked at */
  if(k.renewable && (!d->before_ms || !a->token || (a->expires_ms && a->expires_ms < d->before_ms))) roster_name(d->names, a);
}

void roster_renewable(struct app *a, int64_t before_ms, struct strbuf *names)
{
  struct roster_due d = { names, before_ms };
  pool_each(a->pool, roster_is_due, &d);
}

static void roster_take_password(void *ctx, struct account *a)
{
  *(struct secret **)ctx = secret_ref(a->password);
}

enum q_status roster_password(struct app *a, struct str email, struct secret **out)
{
  *out = NULL;
  enum q_status st = pool_with(a->pool, email, now_wall_ms(a->now), roster_take_password, out);
  return st ? st : *out ? Q_OK : Q_NOT_FOUND;
}
