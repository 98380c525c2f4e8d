/* What accounts sign their calls with: tokens, grants, and what is known of an official key. */
#include "base/mem.h"
#include "domain/pool_own.h"

enum { POOL_TOKEN_DEAD_MS = 5 * 60 * 1000, POOL_RENEW_AGAIN_MS = 15 * 1000 };

enum pool_token pool_token_state(const struct lease *l, int64_t now_ms)
{
  if(!l->token || l->token->n == 0) return POOL_TOKEN_DEAD;
  if(!l->expires_ms) return POOL_TOKEN_FRESH;
  if(l->expires_ms - now_ms < POOL_TOKEN_DEAD_MS) return POOL_TOKEN_DEAD;
  return now_ms >= l->renew_ms ? POOL_TOKEN_SOON : POOL_TOKEN_FRESH;
}

bool pool_token_reload(struct pool *p, struct lease *l)
{
  pthread_mutex_lock(&p->lock);
  const struct grant_state *g = &l->account->grant;
  bool grant = l->plane == POOL_GRANT;
  bool newer = grant ? g->no != l->token_no && g->access : l->account->token_no != l->token_no && l->account->token;
  if(newer && grant) {
    secret_unref(l->token);
    secret_unref(l->base);
    l->token = secret_ref(g->access);
    l->base = secret_ref(g->resource);
    l->token_no = g->no;
    l->expires_ms = g->expires_ms;
  } else if(newer) {
    secret_unref(l->token);
    l->token = secret_ref(l->account->token);
    l->token_no = l->account->token_no;
    l->expires_ms = l->account->expires_ms;
    l->renew_ms = l->account->renew_ms;
  }
  pthread_mutex_unlock(&p->lock);
  return newer;
}

bool pool_login_get(struct pool *p, const struct account *a, struct pool_login *out)
{
  pthread_mutex_lock(&p->lock);
  bool here = !a->removed;
  if(here) {
    *out = (struct pool_login){ .password = secret_ref(a->password), .token = secret_ref(a->token),
                                .refresh = secret_ref(a->refresh), .proxy = secret_ref(a->proxy),
                                .headers = secret_ref(a->headers), .cookie = secret_ref(a->cookie),
                                .access = secret_ref(a->grant.access), .grant_refresh = secret_ref(a->grant.refresh),
                                .base = secret_ref(a->base), .grant_no = a->grant.no,
                                .expires_ms = a->expires_ms, .token_no = a->token_no, .exchange = a->exchange };
    str_copy(out->email, sizeof out->email, str_z(a->email));
  }
  pthread_mutex_unlock(&p->lock);
  return here;
}

void pool_login_free(struct pool_login *l)
{
  secret_unref(l->password);
  secret_unref(l->token);
  secret_unref(l->refresh);
  secret_unref(l->proxy);
  secret_unref(l->headers);
  secret_unref(l->cookie);
  secret_unref(l->access);
  secret_unref(l->grant_refresh);
  secret_unref(l->base);
  *l = (struct pool_login){ .password = NULL };
}

void pool_set_token(struct pool *p, struct account *a, struct secret *token, int64_t expires_ms, struct secret *refresh,
                    bool exchange, int64_t now_ms)
{
  pthread_mutex_lock(&p->lock);
  account_set_token(a, token, expires_ms, refresh);
  account_plan_renewal(a, now_ms);
  a->exchange = exchange;
  pool_grant(p, now_ms);
  pthread_mutex_unlock(&p->lock);
}

void pool_login_failed(struct pool *p, struct account *a, enum q_status how, const char *words, int64_t now_ms)
{
  pthread_mutex_lock(&p->lock);
  if(how == Q_UP_AUTH) account_set_whole(a, ACCOUNT_EXPIRED, how, words);
  else account_book(a, FEATURE_CHAT, how, words, 0, now_ms);
  a->renew_ms = now_ms + POOL_RENEW_AGAIN_MS;
  if(how == Q_UP_CHALLENGE) pool_egress_challenged(p, a, now_ms);
  pthread_mutex_unlock(&p->lock);
}

/* ---- grants and keys ---- */

void pool_set_grant(struct pool *p, struct account *a, struct secret *access, int64_t expires_ms, struct secret *refresh,
                    struct secret *resource, int64_t now_ms)
{
  pthread_mutex_lock(&p->lock);
  account_set_grant(a, access, expires_ms, refresh, resource);
  pool_grant(p, now_ms);
  pthread_mutex_unlock(&p->lock);
}

void pool_grant_failed(struct pool *p, struct account *a, enum q_status how, const char *words, int64_t now_ms)
{
  pthread_mutex_lock(&p->lock);
  account_book(a, FEATURE_CLI, how, words, 0, now_ms);
  pthread_mutex_unlock(&p->lock);
}

void pool_count_cli(struct pool *p, struct account *a, int64_t now_ms, int64_t in, int64_t out)
{
  pthread_mutex_lock(&p->lock);
  account_count_cli(a, now_ms, 0, in, out);
  pthread_mutex_unlock(&p->lock);
}

void pool_set_models(struct pool *p, struct account *a, struct secret *models, int64_t now_ms)
{
  pthread_mutex_lock(&p->lock);
  if(models) {
    secret_unref(a->models);
    a->models = secret_ref(models);
  }
  a->models_asked_ms = now_ms;
  pthread_mutex_unlock(&p->lock);
}
