#include "domain/account_fields.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "domain/config.h"
#include "proto/jwt.h"
#include "proto/url.h"

enum {
  FIELDS_SECRET_MAX = 16 * 1024,
  FIELDS_PASSWORD_MAX = 1024,
  FIELDS_NOTE_MAX = 2000,
  FIELDS_HEADERS = 20,
  FIELDS_VALUE_MAX = 4096,
  FIELDS_MODELS_MAX = 64 * 1024,
  FIELDS_INFLIGHT_MAX = 10000
};

#define FIELDS_TIME_MAX ((int64_t)1000000000000000) /* ms: what is later, or before 1970, is no time */

static const char *const fields_names[] = {
#define X(id, name) name,
  ACCOUNT_FIELD_LIST(X)
#undef X
};
static const struct { const char *name; unsigned bit; } fields_serves[] = {
  { "cli", SERVES_CLI }, { "embeddings", SERVES_EMBEDDINGS }, { "chat", SERVES_CHAT },
};

/* ---- names ---- */

bool account_is_email(struct str s)
{
  ptrdiff_t at = str_chr(s, '@');
  for(size_t i = 0; i < s.n; i++)
    if((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '|' || s.p[i] == ':') return false;
  return at > 0 && (size_t)at + 1 < s.n && s.n < 256 && codec_is_utf8(s);
}

bool account_is_name(struct str s)
{
  int64_t n;
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if(!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
  }
  bool env = str_starts(s, S("env-")) && str_int(str_sub(s, 4, s.n), &n);
  return s.n > 0 && s.n <= 64 && !env;
}

/* ---- showing ---- */

void account_show_url(struct str text, struct strbuf *out)
{
  struct url u;
  if(!url_split(text, &u)) { /* of another program's making: user info may be anywhere in front of the last '@' */
    size_t n = text.n;
    while(n && text.p[n - 1] != '@') n--;
    if(n) strbuf_lit(out, CONFIG_MASK "@");
    strbuf_adds(out, str_sub(text, n, text.n));
    return;
  }
  if(!u.has_user) {
    strbuf_adds(out, text);
    return;
  }
  strbuf_adds(out, u.scheme);
  strbuf_lit(out, "://" CONFIG_MASK);
  ptrdiff_t at = str_chr(text, '@'), slash = (ptrdiff_t)(u.scheme.n + 3);
  struct str rest = str_sub(text, (size_t)slash, text.n);
  for(size_t i = 0; i < rest.n && rest.p[i] != '/' && rest.p[i] != '?'; i++)
    if(rest.p[i] == '@') at = slash + (ptrdiff_t)i; /* the last one in front of the path ends the user info */
  strbuf_adds(out, str_sub(text, (size_t)at, text.n));
}

void account_show_serves(unsigned serves, struct strbuf *out)
{
  bool any = false;
  strbuf_addc(out, '[');
  for(size_t i = 0; i < sizeof fields_serves / sizeof fields_serves[0]; i++) {
    if(!(serves & fields_serves[i].bit)) continue;
    strbuf_fmt(out, "%s\"%s\"", any ? "," : "", fields_serves[i].name);
    any = true;
  }
  strbuf_addc(out, ']');
}

void account_show_headers(struct str lines, bool shown, struct strbuf *out)
{
  bool any = false;
  strbuf_addc(out, '{');
  while(lines.n) {
    struct str value = str_cut(&lines, '\n'), name = str_cut(&value, ':');
    if(!name.n) continue;
    if(any) strbuf_addc(out, ',');
    any = true;
    strbuf_json(out, name);
    strbuf_addc(out, ':');
    strbuf_json(out, shown ? S(CONFIG_MASK) : str_sub(value, 1, value.n));
  }
  strbuf_addc(out, '}');
}

static struct str fields_header(struct str lines, struct str wanted)
{
  while(lines.n) {
    struct str value = str_cut(&lines, '\n'), name = str_cut(&value, ':');
    if(str_ieq(name, wanted)) return str_sub(value, 1, value.n);
  }
  return STR_NONE;
}

enum q_status account_merge_headers(struct str fresh, struct str there, struct secret **out)
{
  struct strbuf b = STRBUF(FIELDS_HEADERS * (FIELDS_VALUE_MAX + 300));
  while(fresh.n) {
    struct str value = str_cut(&fresh, '\n'), name = str_cut(&value, ':');
    value = str_sub(value, 1, value.n);
    bool same = str_eq(value, S(CONFIG_MASK));
    struct str old = fields_header(there, name);
    if(same && !old.p) continue;
    strbuf_adds(&b, name);
    strbuf_lit(&b, ": ");
    strbuf_adds(&b, same ? old : value);
    strbuf_addc(&b, '\n');
  }
  *out = b.n && !b.err ? secret_new(strbuf_str(&b)) : NULL;
  bool ok = !b.err && (*out || !b.n);
  if(b.p) crypt_wipe(b.p, b.n);
  strbuf_free(&b);
  return ok ? Q_OK : Q_NOMEM;
}

/* ---- reading ---- */

struct fields_read { struct account_fields *f; struct q_error *e; };

static enum q_status fields_bad(struct fields_read *r, enum account_field id, const char *words)
{
  return status_fail(r->e, Q_BAD_VALUE, fields_names[id], "'%s' %s.", fields_names[id], words);
}

static enum q_status fields_secret(struct fields_read *r, struct str s, struct secret **to)
{
  secret_unref(*to);
  *to = secret_new(s);
  return *to ? Q_OK : status_fail(r->e, Q_NOMEM, NULL, "Out of memory.");
}

/* A text of printable characters; blank: whether blanks and what is above ASCII may be in it. */
static bool fields_text_ok(struct str s, size_t max, bool blank)
{
  for(size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if(c < ' ' || c == 0x7f || (!blank && (c == ' ' || c > 0x7f))) return false;
  }
  return s.n > 0 && s.n <= max && codec_is_utf8(s);
}

static enum q_status fields_url(struct fields_read *r, enum account_field id, struct str s, struct secret **to)
{
  static const char *const proxies[] = { "http", "https", "socks5", "socks5h" };
  struct url u;
  bool ok = fields_text_ok(s, 2048, false) && url_split(s, &u);
  if(ok) {
    ok = false;
    for(size_t i = 0; i < (id == FIELD_PROXY ? 4u : 2u); i++) ok |= str_ieq(u.scheme, str_z(proxies[i]));
  }
  if(!ok) return fields_bad(r, id, id == FIELD_PROXY ? "must be a URL: http, https, socks5 or socks5h" : "must be an http or https URL");
  if(id == FIELD_BASE)
    while(s.n && s.p[s.n - 1] == '/') s.n--;
  return fields_secret(r, s, to);
}

static bool fields_header_ok(struct str name, const struct json *v)
{
  static const char *const ours[] = { "host", "authorization", "connection", "content-length", "transfer-encoding" };
  for(size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
    if(str_ieq(name, str_z(ours[i]))) return false;
  for(size_t i = 0; i < name.n; i++) {
    char c = name.p[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
    if(!word) return false;
  }
  struct str s = json_str(v);
  for(size_t i = 0; i < s.n; i++)
    if(((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f) return false;
  return name.n > 0 && name.n <= 256 && json_is(v, JSON_STRING) && s.n <= FIELDS_VALUE_MAX;
}

static enum q_status fields_headers(struct fields_read *r, const struct json *v)
{
  struct strbuf b = STRBUF(FIELDS_HEADERS * (FIELDS_VALUE_MAX + 300));
  bool ok = json_is(v, JSON_OBJECT) && v->count <= FIELDS_HEADERS;
  for json_each(m, ok ? v : NULL) {
    ok &= fields_header_ok(m->key, m);
    strbuf_adds(&b, m->key);
    strbuf_lit(&b, ": ");
    strbuf_adds(&b, json_str(m));
    strbuf_addc(&b, '\n');
  }
  enum q_status st = Q_OK;
  if(!ok)
    st = fields_bad(r, FIELD_HEADERS, "must be an object of at most 20 texts of 4096 bytes, without Host, Authorization, Connection, "
                                      "Content-Length and Transfer-Encoding");
  else if(b.n) st = fields_secret(r, strbuf_str(&b), &r->f->headers);
  if(b.p) crypt_wipe(b.p, b.n);
  strbuf_free(&b);
  return st;
}

/* Items of an array of texts, or of a text with commas. Each call gives the next; false: no more. */
struct fields_items { const struct json *at; struct str rest; bool array; };

static struct fields_items fields_items(const struct json *v)
{
  bool array = json_is(v, JSON_ARRAY);
  return (struct fields_items){ array ? v->child : NULL, json_str(v), array };
}

static bool fields_next(struct fields_items *i, struct str *out)
{
  if(i->array) {
    if(!i->at) return false;
    *out = json_str(i->at);
    i->at = i->at->next;
    return true;
  }
  while(i->rest.n) {
    *out = str_trim(str_cut(&i->rest, ','));
    if(out->n) return true;
  }
  return false;
}

static enum q_status fields_models(struct fields_read *r, const struct json *v)
{
  struct strbuf b = STRBUF(FIELDS_MODELS_MAX);
  struct fields_items items = fields_items(v);
  struct str s;
  bool ok = json_is(v, JSON_ARRAY) || json_is(v, JSON_STRING);
  while(ok && fields_next(&items, &s)) {
    ok = fields_text_ok(s, 200, false);
    if(b.n) strbuf_addc(&b, '\n');
    strbuf_adds(&b, s);
  }
  enum q_status st = !ok || b.err ? fields_bad(r, FIELD_MODELS, "must be a list of model names") : Q_OK;
  if(!st && b.n) st = fields_secret(r, strbuf_str(&b), &r->f->models);
  strbuf_free(&b);
  return st;
}

static enum q_status fields_read_serves(struct fields_read *r, const struct json *v)
{
  struct fields_items items = fields_items(v);
  struct str s;
  r->f->serves = 0;
  while(fields_next(&items, &s)) {
    unsigned bit = 0;
    for(size_t i = 0; i < sizeof fields_serves / sizeof fields_serves[0]; i++)
      if(str_eq(s, str_z(fields_serves[i].name))) bit = fields_serves[i].bit;
    if(!bit) return fields_bad(r, FIELD_SERVES, "must be a list of cli, embeddings and chat");
    r->f->serves |= bit;
  }
  return json_is(v, JSON_ARRAY) || json_is(v, JSON_STRING) ? Q_OK : fields_bad(r, FIELD_SERVES, "must be a list of cli, embeddings and chat");
}

static enum q_status fields_grant(struct fields_read *r, const struct json *v)
{
  struct arena a = ARENA(4 * FIELDS_SECRET_MAX);
  const struct json *root = json_is(v, JSON_STRING) ? json_parse(&a, v->text, 8, NULL) : v;
  struct str access = json_str(json_get(root, "access_token")), refresh = json_str(json_get(root, "refresh_token"));
  struct str resource = json_str(json_get(root, "resource_url"));
  bool ok = json_is(root, JSON_OBJECT) && (access.n || refresh.n) && (!access.n || fields_text_ok(access, FIELDS_SECRET_MAX, false)) &&
            (!refresh.n || fields_text_ok(refresh, FIELDS_SECRET_MAX, false)) && (!resource.n || fields_text_ok(resource, 2048, false));
  enum q_status st = ok ? Q_OK : fields_bad(r, FIELD_GRANT, "must be the CLI's file of credentials, with access_token or refresh_token");
  if(!st && access.n) st = fields_secret(r, access, &r->f->access);
  if(!st && refresh.n) st = fields_secret(r, refresh, &r->f->refresh);
  if(!st && resource.n) st = fields_secret(r, resource, &r->f->resource);
  int64_t ends = 0;
  if(!st && json_int(json_get(root, "expiry_date"), &ends) && ends > 0 && ends <= FIELDS_TIME_MAX) r->f->expires_ms = ends;
  arena_free(&a);
  return st;
}

/* What a secret is shown as means "as it is". */
static bool fields_shown(enum account_field id, const struct json *v)
{
  switch(id) {
  case FIELD_PASSWORD: case FIELD_TOKEN: case FIELD_KEY: case FIELD_COOKIE: case FIELD_GRANT: case FIELD_HEADERS:
    return str_eq(json_str(v), S(CONFIG_MASK));
  case FIELD_PROXY: case FIELD_BASE: return str_find(json_str(v), S("://" CONFIG_MASK "@")) > 0 || str_starts(json_str(v), S(CONFIG_MASK "@"));
  default: return false;
  }
}

static enum q_status fields_value(struct fields_read *r, enum account_field id, const struct json *v)
{
  struct account_fields *f = r->f;
  struct str s = json_str(v);
  int64_t n = 0;
  bool numeric = id == FIELD_MAX_INFLIGHT || id == FIELD_ENABLED, list = id == FIELD_MODELS || id == FIELD_SERVES;
  if(!numeric && !list && id != FIELD_HEADERS && id != FIELD_GRANT && !json_is(v, JSON_STRING))
    return status_fail(r->e, Q_BAD_TYPE, fields_names[id], "'%s' must be a text.", fields_names[id]);
  switch(id) {
  case FIELD_PASSWORD:
    if(s.n > FIELDS_PASSWORD_MAX || memchr(s.p ? s.p : "", 0, s.n)) return fields_bad(r, id, "is longer than 1024 bytes");
    return fields_secret(r, s, &f->password);
  case FIELD_TOKEN:
  case FIELD_KEY:
    s = str_trim(s);
    if(!fields_text_ok(s, FIELDS_SECRET_MAX, false) || str_chr(s, ';') >= 0) return fields_bad(r, id, "must be one word of visible ASCII characters");
    return fields_secret(r, s, &f->token);
  case FIELD_BASE: return fields_url(r, id, str_trim(s), &f->base);
  case FIELD_PROXY: return fields_url(r, id, str_trim(s), &f->proxy);
  case FIELD_MODELS: return fields_models(r, v);
  case FIELD_SERVES: return fields_read_serves(r, v);
  case FIELD_NOTE:
    if(s.n > FIELDS_NOTE_MAX) return fields_bad(r, id, "is longer than 2000 bytes");
    return fields_secret(r, s, &f->note);
  case FIELD_HEADERS: return fields_headers(r, v);
  case FIELD_COOKIE:
    if(!fields_text_ok(s, FIELDS_VALUE_MAX, true)) return fields_bad(r, id, "must be a text of up to 4096 bytes without line ends");
    return fields_secret(r, s, &f->cookie);
  case FIELD_MAX_INFLIGHT:
    if(!json_int(v, &n) || n < 1 || n > FIELDS_INFLIGHT_MAX) return fields_bad(r, id, "must be a whole number from 1 to 10000");
    f->max_inflight = (int)n;
    return Q_OK;
  case FIELD_ENABLED: return json_bool(v, &f->enabled) ? Q_OK : fields_bad(r, id, "must be true or false");
  case FIELD_GRANT: return fields_grant(r, v);
  default: return Q_OK;
  }
}

static enum q_status fields_name(const struct json *object, struct account_fields *f, struct q_error *e)
{
  const char *param = json_absent(json_get(object, "email")) ? "name" : "email";
  const struct json *v = json_get(object, param);
  struct str s = str_trim(json_str(v));
  if(!json_absent(v) && !json_is(v, JSON_STRING)) return status_fail(e, Q_BAD_TYPE, param, "'%s' must be a text.", param);
  if(s.n >= sizeof f->name) return status_fail(e, Q_BAD_VALUE, param, "'%s' is longer than 255 bytes.", param);
  str_copy(f->name, sizeof f->name, s);
  return Q_OK;
}

static bool fields_empty(enum account_field id, const struct json *v)
{
  bool takes = id != FIELD_MODELS && id != FIELD_SERVES && id != FIELD_ENABLED && id != FIELD_MAX_INFLIGHT;
  return json_is(v, JSON_NULL) || (takes && json_is(v, JSON_STRING) && !v->text.n);
}

enum q_status account_fields_read(const struct json *object, struct account_fields *f, struct q_error *e)
{
  struct fields_read r = { f, e };
  *f = (struct account_fields){ .enabled = true, .serves = SERVES_DEFAULT };
  if(!json_is(object, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "An account must be a JSON object.");
  enum q_status st = fields_name(object, f, e);
  const struct json *kind = json_get(object, "kind");
  if(!st && !json_absent(kind)) {
    f->kind = account_kind_by_name(json_str(kind));
    if(!str_eq(json_str(kind), str_z(account_kind_name(f->kind)))) st = status_fail(e, Q_BAD_VALUE, "kind", "'kind' must be web, cli or api.");
  }
  for(int id = 0; id < FIELD_COUNT && !st; id++) {
    const struct json *v = json_get(object, fields_names[id]);
    if(!v) continue;
    if(fields_shown((enum account_field)id, v)) {
      if(id == FIELD_PROXY) st = fields_secret(&r, str_trim(json_str(v)), &f->proxy_shown);
      if(id == FIELD_BASE) st = fields_secret(&r, str_trim(json_str(v)), &f->base_shown);
      continue;
    }
    f->given |= 1u << id;
    if(fields_empty((enum account_field)id, v)) continue; /* taken away: what it is without one was set at the beginning */
    st = fields_value(&r, (enum account_field)id, v);
  }
  return st;
}

enum q_status account_fields_line(struct account_fields *f, struct str email, struct str password, struct str proxy, struct q_error *e)
{
  struct fields_read r = { f, e };
  *f = (struct account_fields){ .enabled = true, .serves = SERVES_DEFAULT, .given = 1u << FIELD_PASSWORD };
  if(!account_is_email(email)) return status_fail(e, Q_BAD_VALUE, "email", "what stands before ':' is no e-mail address");
  if(!password.n) return status_fail(e, Q_MISSING, "password", "the password is missing");
  if(password.n > FIELDS_PASSWORD_MAX) return status_fail(e, Q_BAD_VALUE, "password", "the password is longer than 1024 bytes");
  str_copy(f->name, sizeof f->name, email);
  enum q_status st = fields_secret(&r, password, &f->password);
  if(st || !proxy.n) return st;
  f->given |= 1u << FIELD_PROXY;
  return fields_url(&r, FIELD_PROXY, proxy, &f->proxy);
}

void account_fields_free(struct account_fields *f)
{
  struct secret *all[] = { f->password, f->token, f->base, f->models, f->note, f->proxy, f->headers, f->cookie, f->access, f->refresh, f->resource,
                          f->proxy_shown, f->base_shown };
  for(size_t i = 0; i < sizeof all / sizeof all[0]; i++) secret_unref(all[i]);
  *f = (struct account_fields){ .given = 0 };
}

static bool fields_same(const struct secret *shown, const struct secret *there)
{
  struct strbuf b = STRBUF(4096);
  if(there) account_show_url(secret_str(there), &b);
  bool same = !shown || (!b.err && str_eq(strbuf_str(&b), secret_str(shown)));
  strbuf_free(&b);
  return same;
}

bool account_fields_shown(const struct account_fields *f, const struct account *a, const char **param)
{
  bool proxy = fields_same(f->proxy_shown, a ? a->proxy : NULL);
  *param = fields_names[proxy ? FIELD_BASE : FIELD_PROXY];
  return proxy && fields_same(f->base_shown, a ? a->base : NULL);
}

/* ---- applying ---- */

static void fields_apply_token(const struct account_fields *f, struct account *a, int64_t now_ms)
{
  if(a->kind == ACCOUNT_API && !f->token) return; /* an official key is the account */
  account_set_token(a, f->token, f->token && a->kind == ACCOUNT_WEB ? jwt_expires_s(secret_str(f->token), NULL) * 1000 : 0, NULL);
  account_put_secret(&a->refresh, NULL); /* it belonged to the former token */
  a->exchange = false;
  account_plan_renewal(a, now_ms);
}

static void fields_apply_login(const struct account_fields *f, struct account *a, int64_t now_ms)
{
  if(account_field_given(f, FIELD_PASSWORD)) {
    account_put_secret(&a->password, f->password && f->password->n ? f->password : NULL);
    if(f->password && (a->whole == ACCOUNT_EXPIRED || a->whole == ACCOUNT_INVALID)) account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
    a->auth_row = a->barred_row = 0;
  }
  if(account_field_given(f, FIELD_TOKEN) || (account_field_given(f, FIELD_KEY) && a->kind == ACCOUNT_API)) fields_apply_token(f, a, now_ms);
  if(account_field_given(f, FIELD_GRANT)) account_set_grant(a, f->access, f->expires_ms, f->refresh, f->resource);
}

void account_fields_apply(const struct account_fields *f, struct account *a, int64_t now_ms)
{
  fields_apply_login(f, a, now_ms);
  if(account_field_given(f, FIELD_PROXY)) account_put_secret(&a->proxy, f->proxy);
  if(account_field_given(f, FIELD_NOTE)) account_put_secret(&a->note, f->note && f->note->n ? f->note : NULL);
  if(account_field_given(f, FIELD_HEADERS)) account_put_secret(&a->headers, f->headers);
  if(account_field_given(f, FIELD_COOKIE)) account_put_secret(&a->cookie, f->cookie);
  if(account_field_given(f, FIELD_MAX_INFLIGHT)) a->max_inflight = f->max_inflight;
  if(a->kind == ACCOUNT_API) {
    if(account_field_given(f, FIELD_BASE) && f->base) account_put_secret(&a->base, f->base);
    if(account_field_given(f, FIELD_SERVES)) a->serves = f->serves;
    if(account_field_given(f, FIELD_MODELS)) {
      account_put_secret(&a->models, f->models);
      a->models_given = f->models != NULL;
      a->models_asked_ms = 0;
    }
  }
  if(account_field_given(f, FIELD_ENABLED)) {
    if(!f->enabled) account_set_whole(a, ACCOUNT_DISABLED, Q_OK, NULL);
    else if(a->whole == ACCOUNT_DISABLED) account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
  }
  a->dirty = true;
}

/* ---- new ones ---- */

static enum q_status fields_missing(struct q_error *e, const char *param, const char *words)
{
  return status_fail(e, Q_MISSING, param, "%s", words);
}

static enum q_status fields_complete(const struct account_fields *f, struct q_error *e)
{
  struct str name = str_z(f->name);
  bool password = f->password && f->password->n;
  switch(f->kind) {
  case ACCOUNT_API:
    if(!name.n) return fields_missing(e, "name", "'name' is missing.");
    if(!f->token) return fields_missing(e, "apiKey", "'apiKey' is missing.");
    if(!f->base) return fields_missing(e, "baseUrl", "'baseUrl' is missing: the address of the OpenAI-compatible API.");
    break;
  case ACCOUNT_CLI:
    if(!name.n) return fields_missing(e, "name", "'name' is missing.");
    if(!f->access && !f->refresh) return fields_missing(e, "credentials", "'credentials' is missing: the CLI's file.");
    break;
  default:
    if(!password && !f->token) return fields_missing(e, "password", "'password' is missing (or a 'token' instead).");
    if(!name.n) return fields_missing(e, "email", "'email' is missing.");
    return account_is_email(name) ? Q_OK : status_fail(e, Q_BAD_VALUE, "email", "'email' must be an e-mail address.");
  }
  if(account_is_name(name)) return Q_OK;
  return status_fail(e, Q_BAD_VALUE, "name", "'name' must have up to 64 characters of A-Z a-z 0-9 . _ -, and be none of env-1, env-2 ...");
}

enum q_status account_fields_make(const struct account_fields *f, int64_t now_ms, struct account **out, struct q_error *e)
{
  enum q_status st = fields_complete(f, e);
  if(st) return st;
  struct str name = str_z(f->name);
  struct account *a = f->kind == ACCOUNT_API ? account_new_api(name, secret_str(f->token), secret_str(f->base), secret_str(f->models), f->serves)
                                             : account_new(name, STR_NONE, STR_NONE);
  if(!a) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  a->kind = f->kind;
  a->created_ms = now_ms;
  account_fields_apply(f, a, now_ms);
  *out = a;
  return Q_OK;
}
