#include "domain/grant.h"

#include <stdio.h>
#include <time.h>

#include "base/codec.h"
#include "domain/login.h"
#include "domain/qwen.h"
#include "proto/json.h"

enum {
  GRANT_CALL_MS = 15 * 1000,
  GRANT_BODY_MAX = 256 * 1024,
  GRANT_LIFE_S = 900,            /* of a device code, at most */
  GRANT_INTERVAL_MS = 5 * 1000,
  GRANT_INTERVAL_MAX_MS = 10 * 1000,
  GRANT_DUE_MS = 5 * 60 * 1000,
  GRANT_LOOK_MAX = 8
};

static const char grant_client[] = "f0304373b74a44d2b584a3fb70ca9e56"; /* the public client id of the coding CLI */

/* One run: what it may use and what it found. */
struct grant_run {
  struct app *app;
  struct config *config;
  struct pool_login who;
  struct crypt_rng rng;
  struct strbuf body;            /* of the last answer */
  struct arena arena;            /* of its tree */
  const struct json *root;
  int status;
  char words[304];               /* why it failed */
  struct secret *access, *refresh, *resource;
  int64_t expires_ms;
};

void grant_challenge(struct str verifier, struct strbuf *out)
{
  unsigned char hash[32];
  crypt_sha256(verifier, hash);
  codec_base64url(str_of((char *)hash, sizeof hash), out);
}

void grant_base(struct str resource, struct str fallback, struct strbuf *out)
{
  struct str s = str_trim(resource.n ? resource : fallback);
  while(s.n && s.p[s.n - 1] == '/') s.n--;
  if(str_find(s, S("://")) < 0) strbuf_lit(out, "https://");
  strbuf_adds(out, s);
  if(!str_ends(s, S("/v1"))) strbuf_lit(out, "/v1");
}

bool grant_due(const struct lease *l, int64_t now_ms)
{
  return !l->token || (l->expires_ms && l->expires_ms - now_ms < GRANT_DUE_MS);
}

/* ---- calls ---- */

static void grant_forget(struct grant_run *r)
{
  if(r->body.p) crypt_wipe(r->body.p, r->body.n);
  strbuf_free(&r->body);
  arena_free(&r->arena);
  r->root = NULL;
}

static void grant_headers(struct grant_run *r, struct strbuf *b)
{
  const struct config *c = r->config;
  char uuid[37];
  crypt_uuid(&r->rng, uuid);
  strbuf_fmt(b, "Content-Type: application/x-www-form-urlencoded\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
                "User-Agent: %s\r\nx-request-id: %s\r\n", c->upstream_user_agent, uuid);
  qwen_operator(c, secret_str(r->who.headers), b);
}

/* POST to the chat host. web: with the web token and JSON, else a form. The body is taken. */
static enum q_status grant_call(struct grant_run *r, const char *path, bool web, struct strbuf *body)
{
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct str proxy = secret_str(r->who.proxy);
  struct q_error e = Q_ERROR_NONE;
  grant_forget(r);
  qwen_url(r->config, path, STR_NONE, &url);
  if(web) {
    struct qwen_call q = { r->config, &r->rng, secret_str(r->who.token), STR_NONE, false, now_wall_s(r->app->now),
                           secret_str(r->who.headers), secret_str(r->who.cookie) };
    qwen_headers(&q, &headers);
  } else {
    grant_headers(r, &headers);
  }
  struct xchg_req x = { strbuf_str(&url), proxy.n ? proxy : str_z(r->config->proxy_url), S("POST"), strbuf_str(&headers), body,
                        r->config->upstream_connect_timeout_ms };
  enum q_status st = url.err ? url.err : headers.err ? headers.err : body->err;
  if(!st) st = httpc_call(r->app->net, r->app->now, &x, GRANT_CALL_MS, &r->status, NULL, &r->body, &e);
  if(st) str_copy(r->words, sizeof r->words, str_z(e.msg));
  else r->root = json_parse(&r->arena, strbuf_str(&r->body), 32, NULL);
  if(headers.p) crypt_wipe(headers.p, headers.n);
  if(body->p) crypt_wipe(body->p, body->n);
  strbuf_free(&headers);
  strbuf_free(&url);
  strbuf_free(body);
  return st;
}

static void grant_field(struct strbuf *b, const char *name, struct str value)
{
  if(b->n) strbuf_addc(b, '&');
  strbuf_addz(b, name);
  strbuf_addc(b, '=');
  codec_percent(value, "-._~", b);
}

/* The answer is no success: its words, without any HTML. */
static enum q_status grant_refused(struct grant_run *r, const char *what)
{
  struct str word = json_str(json_get(r->root, "error"));
  if(!word.n) word = json_str(json_path(r->root, "data.details"));
  char text[200];
  str_copy(text, sizeof text, word);
  snprintf(r->words, sizeof r->words, "%s: HTTP %d%s%s", what, r->status, text[0] ? " " : "", text);
  return Q_NO_CLI;
}

/* Tokens go into header lines, the resource into a URL: visible ASCII only. */
static bool grant_text_ok(struct str t)
{
  for(size_t i = 0; i < t.n; i++)
    if(t.p[i] <= ' ' || t.p[i] >= 0x7f) return false;
  return t.n > 0 && t.n < 16 * 1024;
}

static enum q_status grant_take(struct grant_run *r)
{
  struct str access = json_str(json_get(r->root, "access_token")), refresh = json_str(json_get(r->root, "refresh_token"));
  struct str resource = json_str(json_get(r->root, "resource_url"));
  int64_t life = 0;
  if(!grant_text_ok(access)) return grant_refused(r, "no access token in the answer");
  r->expires_ms = json_int(json_get(r->root, "expires_in"), &life) && life > 0 ? now_wall_ms(r->app->now) + life * 1000 : 0;
  r->access = secret_new(access);
  r->refresh = grant_text_ok(refresh) ? secret_new(refresh) : NULL;
  r->resource = grant_text_ok(resource) ? secret_new(resource) : NULL;
  return r->access ? Q_OK : Q_NOMEM;
}

/* ---- renewal ---- */

static enum q_status grant_refresh(struct grant_run *r)
{
  struct strbuf form = STRBUF(64 * 1024);
  grant_field(&form, "grant_type", S("refresh_token"));
  grant_field(&form, "refresh_token", secret_str(r->who.grant_refresh));
  grant_field(&form, "client_id", str_z(grant_client));
  enum q_status st = grant_call(r, "/api/v1/oauth2/token", false, &form);
  if(st) return st;
  if(r->status == 200) return grant_take(r);
  if(r->status == 429) return Q_UP_BUSY;
  if(r->status >= 500 && r->root) return Q_UP_ERROR;
  return grant_refused(r, "the refresh token was refused");
}

/* ---- the device flow ---- */

struct grant_device { char code[512], user[64], verifier[64]; int64_t end_ms, interval_ms; };

static enum q_status grant_ask_device(struct grant_run *r, struct grant_device *d)
{
  struct strbuf form = STRBUF(4096), text = STRBUF(256);
  unsigned char bytes[32];
  int64_t life = 0, interval = 0;
  crypt_random(bytes, sizeof bytes);
  codec_base64url(str_of((char *)bytes, sizeof bytes), &text);
  str_copy(d->verifier, sizeof d->verifier, strbuf_str(&text));
  strbuf_clear(&text);
  grant_challenge(str_z(d->verifier), &text);
  grant_field(&form, "client_id", str_z(grant_client));
  grant_field(&form, "scope", S("openid profile email model.completion"));
  grant_field(&form, "code_challenge", strbuf_str(&text));
  grant_field(&form, "code_challenge_method", S("S256"));
  enum q_status st = text.err ? text.err : grant_call(r, "/api/v1/oauth2/device/code", false, &form);
  crypt_wipe(bytes, sizeof bytes);
  strbuf_free(&text);
  strbuf_free(&form);
  if(st) return st;
  struct str code = json_str(json_get(r->root, "device_code")), user = json_str(json_get(r->root, "user_code"));
  if(r->status != 200 || !grant_text_ok(code) || code.n >= sizeof d->code || !user.n || user.n >= sizeof d->user)
    return grant_refused(r, "no device code");
  str_copy(d->code, sizeof d->code, code);
  str_copy(d->user, sizeof d->user, user);
  bool told = json_int(json_get(r->root, "expires_in"), &life) && life > 0 && life < GRANT_LIFE_S;
  d->end_ms = now_mono_ms(r->app->now) + (told ? life : GRANT_LIFE_S) * 1000;
  told = json_int(json_get(r->root, "interval"), &interval) && interval > 0;
  d->interval_ms = told ? interval * 1000 : GRANT_INTERVAL_MS;
  if(d->interval_ms > GRANT_INTERVAL_MAX_MS) d->interval_ms = GRANT_INTERVAL_MAX_MS;
  return Q_OK;
}

/* The account approves its own code. */
static enum q_status grant_approve(struct grant_run *r, const struct grant_device *d)
{
  struct strbuf body = STRBUF(1024);
  strbuf_lit(&body, "{\"approved\":true,\"user_code\":");
  strbuf_json(&body, str_z(d->user));
  strbuf_addc(&body, '}');
  enum q_status st = grant_call(r, "/api/v2/oauth2/authorize", true, &body);
  if(st) return st;
  bool success = true;
  if(json_bool(json_get(r->root, "success"), &success) && !success) return grant_refused(r, "the approval was refused");
  return r->status >= 200 && r->status < 300 ? Q_OK : grant_refused(r, "the approval was refused");
}

static bool grant_pause(struct grant_run *r, int64_t ms)
{
  for(int64_t end = now_mono_ms(r->app->now) + ms; now_mono_ms(r->app->now) < end;) {
    struct timespec step = { 0, 50 * 1000 * 1000 };
    if(atomic_load(&r->app->draining)) return false;
    nanosleep(&step, NULL);
  }
  return true;
}

static enum q_status grant_poll(struct grant_run *r, struct grant_device *d)
{
  while(now_mono_ms(r->app->now) < d->end_ms) {
    struct strbuf form = STRBUF(8192);
    grant_field(&form, "grant_type", S("urn:ietf:params:oauth:grant-type:device_code"));
    grant_field(&form, "client_id", str_z(grant_client));
    grant_field(&form, "device_code", str_z(d->code));
    grant_field(&form, "code_verifier", str_z(d->verifier));
    enum q_status st = grant_call(r, "/api/v1/oauth2/token", false, &form);
    if(st) return st;
    if(r->status == 200) return grant_take(r);
    struct str error = json_str(json_get(r->root, "error"));
    if(r->status == 429 || str_eq(error, S("slow_down"))) {
      d->interval_ms += d->interval_ms / 2;
      if(d->interval_ms > GRANT_INTERVAL_MAX_MS) d->interval_ms = GRANT_INTERVAL_MAX_MS;
    } else if(!str_eq(error, S("authorization_pending"))) {
      return grant_refused(r, "no token");
    }
    if(!grant_pause(r, d->interval_ms)) return Q_SHUTDOWN;
  }
  return grant_refused(r, "the device code expired");
}

static enum q_status grant_device(struct grant_run *r)
{
  struct grant_device d = { .end_ms = 0 };
  enum q_status st = grant_ask_device(r, &d);
  if(!st) st = grant_approve(r, &d);
  if(!st) st = grant_poll(r, &d);
  crypt_wipe(&d, sizeof d);
  return st;
}

/* ---- one run ---- */

static bool grant_web_alive(const struct grant_run *r, int64_t now)
{
  return r->who.token && r->who.token->n && (!r->who.expires_ms || r->who.expires_ms > now);
}

static enum q_status grant_run(struct grant_run *r, int64_t now)
{
  bool may_probe = r->config->cli_oauth && grant_web_alive(r, now);
  enum q_status st = Q_NO_CLI;
  if(r->who.grant_refresh) st = grant_refresh(r);
  else str_copy(r->words, sizeof r->words, S("the grant has no refresh token"));
  if(st != Q_NO_CLI || !may_probe) return st;
  st = grant_device(r);
  return st == Q_OK || st == Q_NOMEM || st == Q_SHUTDOWN ? st : Q_NO_CLI; /* one attempt, whatever was wrong: again in a day */
}

enum q_status grant_renew(struct app *a, struct account *account, unsigned no)
{
  int64_t now = now_wall_ms(a->now);
  struct grant_run r = { .app = a, .config = app_config(a), .body = STRBUF(GRANT_BODY_MAX), .arena = ARENA(8 * GRANT_BODY_MAX) };
  enum q_status st = pool_login_get(a->pool, account, &r.who) ? Q_OK : Q_NO_CLI;
  if(!st && r.who.grant_no == no) {
    st = grant_run(&r, now);
    now = now_wall_ms(a->now);
    if(!st) pool_set_grant(a->pool, account, r.access, r.expires_ms, r.refresh, r.resource, now);
    else if(st != Q_SHUTDOWN) pool_grant_failed(a->pool, account, st, r.words, now);
    if(!st) LOG_INFO(a->log, "cli", "", "%s has a CLI grant", account->label);
    else LOG_WARN(a->log, "cli", "", "%s: no CLI grant: %s%s%s", account->label, status_row(st)->text, r.words[0] ? ": " : "", r.words);
  }
  grant_forget(&r);
  pool_login_free(&r.who);
  secret_unref(r.access);
  secret_unref(r.refresh);
  secret_unref(r.resource);
  crypt_wipe(&r.rng, sizeof r.rng);
  config_unref(r.config);
  return st;
}

struct grant_list { struct { struct account *a; unsigned no; } due[GRANT_LOOK_MAX]; int n; int64_t now; };

static void grant_find(void *ctx, struct account *a)
{
  struct grant_list *l = ctx;
  int64_t until;
  enum q_status why;
  bool alive = a->token && (!a->expires_ms || a->expires_ms > l->now) && a->whole == ACCOUNT_ACTIVE;
  if(l->n == GRANT_LOOK_MAX || a->kind != ACCOUNT_WEB || account_has_grant(a) || !alive) return;
  if(!account_usable(a, FEATURE_CLI, l->now, &until, &why)) return;
  l->due[l->n].a = a;
  l->due[l->n++].no = a->grant.no;
}

void grant_look(struct app *a, int64_t now_ms)
{
  struct config *c = app_config(a);
  struct grant_list l = { .n = 0, .now = now_ms };
  if(c->cli_oauth && c->cli_daily_limit) pool_each(a->pool, grant_find, &l);
  config_unref(c);
  for(int i = 0; i < l.n; i++) login_renew_grant(a->login, l.due[i].a, l.due[i].no, NULL);
}
