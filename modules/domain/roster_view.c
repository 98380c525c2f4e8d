/* What is shown of accounts: copies without secrets, one page at a time. */
#include <stdlib.h>

#include "base/mem.h"
#include "domain/roster.h"

enum { ROSTER_DAY_MS = 24 * 3600 * 1000 };

const char *roster_display_name(enum roster_display d)
{
  static const char *const names[] = { "disabled", "login_failed", "expired", "challenge", "cooldown", "media_limited", "warn", "token_expiring", "active" };
  return d < ROSTER_DISPLAYS ? names[d] : "?";
}

static bool roster_rests(const struct account *a, enum feature f, int64_t now_ms)
{
  return a->features[f].state != ACCOUNT_ACTIVE && a->features[f].until_ms > now_ms;
}

enum roster_display roster_display(const struct account *a, int64_t now_ms, int64_t *until_ms)
{
  enum feature main = a->kind == ACCOUNT_WEB ? FEATURE_CHAT : FEATURE_CLI;
  const struct feature_state *chat = &a->features[main];
  bool rests = roster_rests(a, main, now_ms), ends = a->kind == ACCOUNT_WEB && a->expires_ms && !a->password && !a->exchange;
  *until_ms = 0;
  if(a->whole == ACCOUNT_DISABLED) return ROSTER_DISABLED;
  if(a->whole == ACCOUNT_INVALID) return ROSTER_LOGIN_FAILED;
  if(a->whole == ACCOUNT_EXPIRED || (ends && a->expires_ms <= now_ms)) return ROSTER_EXPIRED;
  if(rests) {
    *until_ms = chat->until_ms;
    return chat->why == Q_UP_CHALLENGE ? ROSTER_CHALLENGE : ROSTER_COOLDOWN;
  }
  for(int f = FEATURE_IMAGE; f <= FEATURE_VIDEO; f++)
    if(a->kind == ACCOUNT_WEB && roster_rests(a, (enum feature)f, now_ms)) {
      *until_ms = a->features[f].until_ms;
      return ROSTER_MEDIA_LIMITED;
    }
  if(a->failed) return ROSTER_WARN;
  if(ends && a->expires_ms - now_ms < ROSTER_DAY_MS) {
    *until_ms = a->expires_ms;
    return ROSTER_TOKEN_EXPIRING;
  }
  return ROSTER_ACTIVE;
}

static void roster_see_features(struct roster_view *v, const struct account *a, int64_t now_ms)
{
  for(int f = 0; f < FEATURE_COUNT; f++) {
    struct roster_feature *x = &v->features[f];
    const struct feature_state *s = &a->features[f];
    *x = (struct roster_feature){ .state = ACCOUNT_ACTIVE };
    if(roster_rests(a, (enum feature)f, now_ms)) {
      x->state = s->state;
      x->why = s->why;
      x->until_ms = s->until_ms;
      str_copy(x->words, sizeof x->words, str_z(s->words ? s->words : ""));
    }
    if(a->whole == ACCOUNT_ACTIVE || (f == FEATURE_CLI && a->kind == ACCOUNT_WEB && a->whole != ACCOUNT_DISABLED)) continue;
    x->state = a->whole;
    x->why = a->whole_why;
    x->until_ms = 0;
    str_copy(x->words, sizeof x->words, str_z(a->whole_words ? a->whole_words : ""));
  }
}

void roster_see(struct roster_view *v, const struct account *a, int64_t now_ms)
{
  *v = (struct roster_view){ .kind = a->kind, .env = a->from_env, .enabled = a->whole != ACCOUNT_DISABLED,
    .has_token = a->token != NULL || a->grant.access != NULL, .has_password = a->password != NULL, .has_cookie = a->cookie != NULL,
    .has_grant = account_has_grant(a), .models_given = a->models_given, .note = secret_ref(a->note), .proxy = secret_ref(a->proxy),
    .base = secret_ref(a->base), .models = secret_ref(a->models), .headers = secret_ref(a->headers), .serves = a->serves,
    .expires_ms = a->kind == ACCOUNT_CLI ? a->grant.expires_ms : a->expires_ms, .created_ms = a->created_ms, .last_used_ms = a->last_used_ms,
    .error_ms = a->error_ms, .error = a->error, .inflight = a->inflight, .max_inflight = a->max_inflight };
  v->display = roster_display(a, now_ms, &v->until_ms);
  str_copy(v->email, sizeof v->email, str_z(a->email));
  memcpy(v->id, a->id, sizeof v->id);
  str_copy(v->error_words, sizeof v->error_words, str_z(a->error_words ? a->error_words : ""));
  if(account_cli_today(a, now_ms) > 0) {
    v->cli_calls = a->cli_calls;
    v->cli_in = a->cli_in;
    v->cli_out = a->cli_out;
  }
  roster_see_features(v, a, now_ms);
}

void roster_view_free(struct roster_view *v)
{
  secret_unref(v->note);
  secret_unref(v->proxy);
  secret_unref(v->base);
  secret_unref(v->models);
  secret_unref(v->headers);
  v->note = v->proxy = v->base = v->models = v->headers = NULL;
}

struct roster_seeing { struct roster_view *v; int64_t now_ms; };

static void roster_look(void *ctx, struct account *a)
{
  struct roster_seeing *s = ctx;
  roster_see(s->v, a, s->now_ms);
}

enum q_status roster_find(struct app *a, struct str email, struct roster_view *out)
{
  struct roster_seeing s = { out, now_wall_ms(a->now) };
  *out = (struct roster_view){ .note = NULL };
  return pool_with(a->pool, email, s.now_ms, roster_look, &s);
}

/* ---- a page ---- */

struct roster_row { struct account *a; int64_t key; };
struct roster_page { const struct roster_query *q; struct roster_row *v; int n, cap; int64_t now_ms; bool full; };

static bool roster_matches(const struct roster_query *q, const struct account *a)
{
  struct strbuf proxy = STRBUF(4096);
  if(!q->search.n || str_ifind(str_z(a->email), q->search) >= 0 || str_ifind(secret_str(a->note), q->search) >= 0) return true;
  if(!a->proxy) return false;
  account_show_url(secret_str(a->proxy), &proxy); /* not its user info */
  bool found = str_ifind(strbuf_str(&proxy), q->search) >= 0;
  strbuf_free(&proxy);
  return found;
}

static int64_t roster_key_of(const struct roster_query *q, const struct account *a, enum roster_display display)
{
  switch(q->sort) {
  case ROSTER_BY_EXPIRES: return a->kind == ACCOUNT_CLI ? a->grant.expires_ms : a->expires_ms;
  case ROSTER_BY_STATUS: return display;
  case ROSTER_BY_USED: return a->last_used_ms;
  case ROSTER_BY_CREATED: return a->created_ms;
  default: return 0;
  }
}

/* With the pool's lock held: short, and without any copy but of two numbers. */
static void roster_gather(void *ctx, struct account *a)
{
  struct roster_page *p = ctx;
  int64_t until;
  enum roster_display display = roster_display(a, p->now_ms, &until);
  if(p->full || (p->q->status != ROSTER_DISPLAYS && p->q->status != display) || !roster_matches(p->q, a)) return;
  if(p->n == p->cap) {
    int cap = p->cap ? p->cap * 2 : 256;
    struct roster_row *v = mem_realloc(p->v, (size_t)cap * sizeof *v);
    if(!v) {
      p->full = true;
      return;
    }
    p->v = v;
    p->cap = cap;
  }
  a->refs++; /* given back by roster_let_go() */
  p->v[p->n++] = (struct roster_row){ a, roster_key_of(p->q, a, display) };
}

static int roster_compare(const void *x, const void *y)
{
  const struct roster_row *a = x, *b = y;
  if(a->key != b->key) return a->key < b->key ? -1 : 1;
  return strcmp(a->a->email, b->a->email);
}

struct roster_copying { struct roster_row *rows; struct roster_view *views; int n; int64_t now_ms; };

/* The rows are kept: whether the pool still has them makes no difference to reading them. */
static void roster_copy_rows(struct app *a, struct roster_copying *c)
{
  for(int i = 0; i < c->n; i++) {
    struct roster_seeing s = { &c->views[i], c->now_ms };
    pool_read(a->pool, c->rows[i].a, roster_look, &s);
  }
}

enum { ROSTER_CHUNK = 16 };

enum q_status roster_list(struct app *a, const struct roster_query *q, void (*row)(void *ctx, const struct roster_view *v), void *ctx, int *total)
{
  struct roster_page p = { .q = q, .now_ms = now_wall_ms(a->now) };
  struct roster_view *views = mem_alloc(ROSTER_CHUNK * sizeof *views);
  pool_each(a->pool, roster_gather, &p);
  for(int i = 0; i < p.n && q->sort == ROSTER_BY_CALLS && q->calls; i++) p.v[i].key = q->calls(q->ctx, p.v[i].a->id);
  if(p.n) qsort(p.v, (size_t)p.n, sizeof p.v[0], roster_compare);
  for(int i = 0; q->descending && i < p.n / 2; i++) {
    struct roster_row t = p.v[i];
    p.v[i] = p.v[p.n - 1 - i];
    p.v[p.n - 1 - i] = t;
  }
  int64_t from = (int64_t)(q->page - 1) * q->page_size, end = from + q->page_size;
  for(int64_t i = from; views && !p.full && i < end && i < p.n; i += ROSTER_CHUNK) {
    int n = (int)(end < p.n ? end - i : p.n - i);
    struct roster_copying c = { &p.v[i], views, n < ROSTER_CHUNK ? n : ROSTER_CHUNK, p.now_ms };
    roster_copy_rows(a, &c);
    for(int k = 0; k < c.n; k++) {
      row(ctx, &views[k]);
      roster_view_free(&views[k]);
    }
  }
  for(int i = 0; i < p.n; i++) pool_unkeep(a->pool, p.v[i].a);
  *total = p.n;
  mem_free(p.v);
  mem_free(views);
  return p.full || !views ? Q_NOMEM : Q_OK;
}
