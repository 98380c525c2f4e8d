#include "domain/account.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "base/now.h"

enum {
  ACCOUNT_MINUTE = 60 * 1000,
  ACCOUNT_COOL_LONG = 15 * ACCOUNT_MINUTE, /* challenge, barred, repeated refusals */
  ACCOUNT_COOL_NET = 5 * ACCOUNT_MINUTE,   /* three transport failures in a row */
  ACCOUNT_GRANT_DAY = 24 * 60 * ACCOUNT_MINUTE, /* a CLI service that refuses is asked again at most daily */
  ACCOUNT_ROW = 3                           /* how many in a row count */
};

struct secret *secret_new(struct str s)
{
  struct secret *x = mem_alloc(sizeof *x + s.n + 1);
  if(!x) return NULL;
  atomic_init(&x->refs, 1);
  x->n = s.n;
  if(s.n) memcpy(x->text, s.p, s.n);
  x->text[s.n] = 0;
  return x;
}

struct secret *secret_ref(struct secret *s)
{
  if(s) atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
  return s;
}

void secret_unref(struct secret *s)
{
  if(!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
  explicit_bzero(s->text, s->n);
  mem_free(s);
}

static const char *const account_features[] = {
#define X(id, name) name,
  FEATURE_LIST(X)
#undef X
};
static const char *const account_states[] = {
#define X(id, name) name,
  ACCOUNT_STATE_LIST(X)
#undef X
};

const char *feature_name(enum feature f)
{
  return f < FEATURE_COUNT ? account_features[f] : "all";
}

enum feature feature_by_name(struct str name)
{
  int f = 0;
  while(f < FEATURE_COUNT && !str_eq(name, str_z(account_features[f]))) f++;
  return (enum feature)f;
}

const char *account_state_name(enum account_state s)
{
  return s < ACCOUNT_STATE_COUNT ? account_states[s] : "?";
}

enum account_state account_state_by_name(struct str name)
{
  int s = 0;
  while(s < ACCOUNT_STATE_COUNT && !str_eq(name, str_z(account_states[s]))) s++;
  return (enum account_state)s;
}

const char *account_kind_name(enum account_kind k)
{
  static const char *const names[] = { "web", "cli", "api" };
  return names[k < ACCOUNT_KINDS ? k : 0];
}

enum account_kind account_kind_by_name(struct str name)
{
  return str_eq(name, S("cli")) ? ACCOUNT_CLI : str_eq(name, S("api")) ? ACCOUNT_API : ACCOUNT_WEB;
}

struct account *account_new(struct str email, struct str password, struct str proxy)
{
  struct account *a = mem_zalloc(sizeof *a);
  if(!a) return NULL;
  a->email = mem_strndup(email.p, email.n);
  a->password = password.n ? secret_new(password) : NULL;
  a->proxy = proxy.n ? secret_new(proxy) : NULL;
  uint32_t hash = 2166136261u; /* FNV-1a: tells accounts apart without naming them */
  for(size_t i = 0; i < email.n; i++) hash = (hash ^ (unsigned char)email.p[i]) * 16777619u;
  unsigned char digest[32];
  crypt_sha256(email, digest);
  codec_hex(str_of((char *)digest, 8), a->id);
  snprintf(a->label, sizeof a->label, "%.1s-%06x", email.n ? email.p : "?", hash & 0xffffff);
  if(!a->email || (password.n && !a->password) || (proxy.n && !a->proxy)) {
    account_free(a);
    return NULL;
  }
  return a;
}

struct account *account_new_api(struct str name, struct str key, struct str base, struct str models, unsigned serves)
{
  struct account *a = account_new(name, STR_NONE, STR_NONE);
  if(!a) return NULL;
  while(base.n && base.p[base.n - 1] == '/') base.n--;
  a->kind = ACCOUNT_API;
  a->token = secret_new(key);
  a->token_no = 1;
  a->base = secret_new(base);
  a->models = models.n ? secret_new(models) : NULL;
  a->models_given = models.n > 0;
  a->serves = serves;
  if(a->token && a->base && (a->models || !models.n)) return a;
  account_free(a);
  return NULL;
}

void account_put_secret(struct secret **field, struct secret *s)
{
  struct secret *old = *field;
  *field = secret_ref(s);
  secret_unref(old);
}

static bool account_copy_states(struct account *to, const struct account *a)
{
  bool ok = true;
  for(int f = 0; f < FEATURE_COUNT; f++) {
    to->features[f] = a->features[f];
    to->features[f].words = a->features[f].words ? mem_strndup(a->features[f].words, strlen(a->features[f].words)) : NULL;
    ok &= !a->features[f].words || to->features[f].words;
  }
  if(a->whole_words) ok &= (to->whole_words = mem_strndup(a->whole_words, strlen(a->whole_words))) != NULL;
  if(a->error_words) ok &= (to->error_words = mem_strndup(a->error_words, strlen(a->error_words))) != NULL;
  return ok;
}

struct account *account_copy(const struct account *a)
{
  struct account *to = mem_alloc(sizeof *to);
  if(!to) return NULL;
  *to = *a;
  to->email = mem_strndup(a->email, strlen(a->email));
  to->whole_words = to->error_words = NULL;
  to->entry = NULL;
  struct secret *const shared[] = { a->password, a->token, a->refresh, a->proxy, a->note, a->headers, a->cookie, a->base, a->models,
                                    a->grant.access, a->grant.refresh, a->grant.resource };
  for(size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) secret_ref(shared[i]);
  if(account_copy_states(to, a) && to->email) return to;
  account_free(to);
  return NULL;
}

void account_free(struct account *a)
{
  if(!a) return;
  mem_free(a->error_words);
  secret_unref(a->note);
  secret_unref(a->headers);
  secret_unref(a->cookie);
  for(int f = 0; f < FEATURE_COUNT; f++) mem_free(a->features[f].words);
  mem_free(a->whole_words);
  mem_free(a->email);
  secret_unref(a->password);
  secret_unref(a->token);
  secret_unref(a->refresh);
  secret_unref(a->proxy);
  secret_unref(a->base);
  secret_unref(a->models);
  secret_unref(a->grant.access);
  secret_unref(a->grant.refresh);
  secret_unref(a->grant.resource);
  mem_free(a);
}

/* Words are for the page: losing them to an empty heap harms nothing. */
static void account_words(char **field, const char *words)
{
  mem_free(*field);
  *field = words && *words ? mem_strndup(words, strlen(words)) : NULL;
}

static void account_end_rests(struct account *a, int64_t now_ms)
{
  for(int f = 0; f < FEATURE_COUNT; f++) {
    struct feature_state *s = &a->features[f];
    if(s->state == ACCOUNT_ACTIVE || s->until_ms > now_ms) continue;
    s->state = ACCOUNT_ACTIVE;
    s->until_ms = 0;
    account_words(&s->words, NULL);
    a->dirty = true;
  }
}

bool account_usable(struct account *a, enum feature f, int64_t now_ms, int64_t *until_ms, enum q_status *why)
{
  *until_ms = 0;
  *why = Q_OK;
  /* A grant lives on when the web sign-in beside it is dead. */
  bool own_life = f == FEATURE_CLI && a->kind == ACCOUNT_WEB && a->whole != ACCOUNT_DISABLED;
  if(a->whole != ACCOUNT_ACTIVE && !own_life) {
    *why = a->whole_why ? a->whole_why : Q_UP_AUTH;
    return false;
  }
  account_end_rests(a, now_ms);
  if(a->features[f].state == ACCOUNT_ACTIVE) return true;
  *until_ms = a->features[f].until_ms;
  *why = a->features[f].why;
  return false;
}

void account_rest(struct account *a, enum feature f, enum account_state s, enum q_status why, const char *words,
                  int64_t until_ms)
{
  for(int i = 0; i < FEATURE_COUNT; i++) {
    struct feature_state *x = &a->features[i];
    if(f != FEATURE_COUNT && i != (int)f) continue;
    if(f == FEATURE_COUNT && i == FEATURE_CLI && a->kind == ACCOUNT_WEB) continue; /* the grant is another service */
    if(x->state != ACCOUNT_ACTIVE && x->until_ms >= until_ms) continue;
    x->state = s;
    x->why = why;
    x->until_ms = until_ms;
    account_words(&x->words, words);
  }
  a->dirty = true;
}

void account_clear(struct account *a, enum feature f)
{
  for(int i = 0; i < FEATURE_COUNT; i++) {
    struct feature_state *x = &a->features[i];
    if(f != FEATURE_COUNT && i != (int)f) continue;
    *x = (struct feature_state){ .words = x->words };
    account_words(&x->words, NULL);
  }
  if(f == FEATURE_COUNT) {
    a->cap = a->transport_row = a->error_row = a->auth_row = a->barred_row = a->grant.row = 0;
    if(a->whole == ACCOUNT_INVALID) account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
  }
  a->failed = false;
  a->dirty = true;
}

void account_set_whole(struct account *a, enum account_state s, enum q_status why, const char *words)
{
  if(a->whole == ACCOUNT_DISABLED && s != ACCOUNT_ACTIVE) return;
  a->whole = s;
  a->whole_why = why;
  account_words(&a->whole_words, words);
  a->dirty = true;
}

void account_set_token(struct account *a, struct secret *token, int64_t expires_ms, struct secret *refresh)
{
  secret_unref(a->token);
  a->token = secret_ref(token);
  if(refresh) {
    secret_unref(a->refresh);
    a->refresh = secret_ref(refresh);
  }
  a->expires_ms = expires_ms;
  a->token_no++;
  if(a->error == Q_UP_AUTH || a->error == Q_UP_BAD_LOGIN) a->failed = false; /* cured */
  if(a->whole == ACCOUNT_EXPIRED || a->whole == ACCOUNT_INVALID) account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
  a->dirty = true;
}

void account_plan_renewal(struct account *a, int64_t now_ms)
{
  const int64_t day = 24 * 60 * ACCOUNT_MINUTE;
  int64_t left = a->expires_ms - now_ms;
  a->renew_ms = a->expires_ms ? a->expires_ms - (left < 2 * day ? left / 2 : day) : 0;
}

void account_set_grant(struct account *a, struct secret *access, int64_t expires_ms, struct secret *refresh, struct secret *resource)
{
  struct grant_state *g = &a->grant;
  struct feature_state *f = &a->features[FEATURE_CLI];
  secret_unref(g->access);
  g->access = secret_ref(access);
  if(refresh) {
    secret_unref(g->refresh);
    g->refresh = secret_ref(refresh);
  }
  if(resource) {
    secret_unref(g->resource);
    g->resource = secret_ref(resource);
  }
  g->expires_ms = expires_ms;
  g->no++;
  if(f->why == Q_NO_CLI) {
    f->state = ACCOUNT_ACTIVE;
    f->why = Q_OK;
    f->until_ms = 0;
    account_words(&f->words, NULL);
  }
  a->dirty = true;
}

void account_count_cli(struct account *a, int64_t now_ms, int64_t calls, int64_t in, int64_t out)
{
  int day = now_local_day(now_ms);
  if(a->cli_day != day) {
    a->cli_day = day;
    a->cli_calls = a->cli_in = a->cli_out = 0;
  }
  a->cli_calls += calls;
  a->cli_in += in;
  a->cli_out += out;
  a->dirty = true;
}

int64_t account_cli_today(const struct account *a, int64_t now_ms)
{
  return a->cli_day == now_local_day(now_ms) ? a->cli_calls : 0;
}

bool account_lists(const struct account *a, struct str model, bool *known)
{
  struct str rest = secret_str(a->models);
  if(known) *known = rest.n > 0;
  while(rest.n)
    if(str_eq(str_trim(str_cut(&rest, '\n')), model)) return true;
  return false;
}

int64_t account_quota_return_ms(int64_t now_ms)
{
  const int64_t day = 24 * 60 * ACCOUNT_MINUTE, east = 8 * 60 * ACCOUNT_MINUTE, ten = 10 * ACCOUNT_MINUTE;
  int64_t local = now_ms + east - ten;
  return (local / day + 1) * day - east + ten;
}

/* "Too fast": the told time, else 60 s that doubles to 15 min each time it is said again after a rest had ended.
 * What is said while the rest still runs (turns that were under way, or client retries) does not count. */
static void account_book_busy(struct account *a, enum feature f, const char *words, int wait_s, int64_t now_ms)
{
  struct feature_state *s = &a->features[f];
  int64_t rest = (int64_t)wait_s * 1000;
  if(s->state != ACCOUNT_ACTIVE && s->until_ms > now_ms && !wait_s) return;
  if(!rest) {
    rest = (int64_t)ACCOUNT_MINUTE << (s->busy_step > 4 ? 4 : s->busy_step);
    if(rest > ACCOUNT_COOL_LONG) rest = ACCOUNT_COOL_LONG;
    s->busy_step++;
  }
  account_rest(a, f, ACCOUNT_COOLING, Q_UP_BUSY, words, now_ms + rest);
}

static void account_book_ok(struct account *a, enum feature f)
{
  a->transport_row = a->error_row = a->auth_row = a->barred_row = 0;
  if(a->features[f].busy_step) a->dirty = true; /* it is stored */
  a->features[f].busy_step = 0;
}

/* The CLI service of a web or cli account: nothing here touches the web chat's states. */
static void account_book_grant(struct account *a, enum q_status how, const char *words, int wait_s, int64_t now_ms)
{
  const enum feature f = FEATURE_CLI;
  switch(how) {
  case Q_OK:
    if(a->features[f].busy_step) a->dirty = true;
    a->grant.row = a->features[f].busy_step = 0;
    break;
  case Q_NO_CLI:
  case Q_UP_AUTH:
  case Q_UP_BARRED:
    account_rest(a, f, ACCOUNT_COOLING, Q_NO_CLI, words, now_ms + ACCOUNT_GRANT_DAY);
    break;
  case Q_UP_QUOTA:
    account_rest(a, f, ACCOUNT_LIMITED, how, words, wait_s ? now_ms + (int64_t)wait_s * 1000 : account_quota_return_ms(now_ms));
    break;
  case Q_UP_BUSY:
  case Q_UP_PARALLEL:
    account_book_busy(a, f, words, wait_s, now_ms);
    break;
  case Q_UP_CHALLENGE:
    account_rest(a, f, ACCOUNT_COOLING, how, words, now_ms + ACCOUNT_COOL_LONG);
    break;
  case Q_UP_ERROR:
  case Q_UP_UNREACHABLE:
  case Q_UP_TLS:
  case Q_PROXY:
  case Q_UP_CONNECT_TIME:
    if(++a->grant.row < ACCOUNT_ROW) break;
    a->grant.row = 0;
    account_rest(a, f, ACCOUNT_COOLING, how, words, now_ms + (how == Q_UP_ERROR ? ACCOUNT_COOL_LONG : ACCOUNT_COOL_NET));
    break;
  default: break;
  }
}

/* For the page: what went wrong last. What the client or the model did is no trouble of the account's. */
static void account_note_error(struct account *a, enum q_status how, const char *words, int64_t now_ms)
{
  bool upstream = (how >= Q_UP_AUTH && how <= Q_UP_STOPPED && how != Q_UP_MODEL_QUOTA) || how == Q_PROXY || how == Q_NO_CLI ||
                  how == Q_UPLOAD_FAILED || how == Q_MEDIA_FAILED || how == Q_MEDIA_QUOTA || how >= Q_UP_CONNECT_TIME;
  if(how == Q_OK) a->failed = false;
  if(!upstream) return;
  a->failed = true;
  a->error = how;
  a->error_ms = now_ms;
  account_words(&a->error_words, words);
}

void account_book(struct account *a, enum feature f, enum q_status how, const char *words, int wait_s, int64_t now_ms)
{
  account_note_error(a, how, words, now_ms);
  if(f == FEATURE_CLI && a->kind != ACCOUNT_API) {
    account_book_grant(a, how, words, wait_s, now_ms);
    return;
  }
  if(a->kind == ACCOUNT_API && how == Q_UP_AUTH) { /* a refused key stays refused until the operator changes it */
    account_set_whole(a, ACCOUNT_INVALID, how, words);
    return;
  }
  switch(how) {
  case Q_OK:
    account_book_ok(a, f);
    break;
  case Q_UP_AUTH:
    if(++a->auth_row >= ACCOUNT_ROW) account_set_whole(a, ACCOUNT_INVALID, how, words);
    else account_rest(a, FEATURE_COUNT, ACCOUNT_COOLING, how, words, now_ms + ACCOUNT_COOL_LONG);
    break;
  case Q_UP_BAD_LOGIN:
    account_set_whole(a, ACCOUNT_INVALID, how, words);
    break;
  case Q_UP_BARRED:
    if(++a->barred_row >= 2) account_set_whole(a, ACCOUNT_INVALID, how, words);
    else account_rest(a, FEATURE_COUNT, ACCOUNT_COOLING, how, words, now_ms + ACCOUNT_COOL_LONG);
    break;
  case Q_UP_QUOTA:
    account_rest(a, f, ACCOUNT_LIMITED, how, words,
                 wait_s ? now_ms + (int64_t)wait_s * 1000 : account_quota_return_ms(now_ms));
    break;
  case Q_UP_BUSY:
    account_book_busy(a, f, words, wait_s, now_ms);
    break;
  case Q_UP_PARALLEL:
    a->cap = 1;
    account_rest(a, f, ACCOUNT_COOLING, how, words, now_ms + 2000);
    break;
  case Q_UP_CHALLENGE:
    account_rest(a, FEATURE_COUNT, ACCOUNT_COOLING, how, words, now_ms + ACCOUNT_COOL_LONG);
    break;
  case Q_UP_ERROR:
    if(++a->error_row >= ACCOUNT_ROW) {
      a->error_row = 0;
      account_rest(a, FEATURE_COUNT, ACCOUNT_COOLING, how, words, now_ms + ACCOUNT_COOL_LONG);
    }
    break;
  case Q_UP_UNREACHABLE:
  case Q_UP_TLS:
  case Q_PROXY:
  case Q_UP_CONNECT_TIME:
    if(++a->transport_row >= ACCOUNT_ROW) {
      a->transport_row = 0;
      account_rest(a, FEATURE_COUNT, ACCOUNT_COOLING, how, words, now_ms + ACCOUNT_COOL_NET);
    }
    break;
  default: break; /* the client's doing, the model's, or chance: nothing to hold against the account */
  }
}
