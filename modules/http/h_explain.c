/* GET /api/explain (api 9.1): who would serve a model or a feature at this moment, and why no other account would. It asks the pool the
 * same question as a request would, and changes nothing. */
#include "http/h_account.h"
#include "http/h_cli.h"
#include "http/handlers.h"
#include "domain/relay_route.h"

struct h_explain {
  struct pool_want want;
  struct pool_outlook seen;
  struct strbuf others;
  char email[256];        /* of the chosen one */
  int inflight, could;    /* its turns; how many could serve */
  int64_t now_ms;
  const char *route;      /* as in x-qwen2api-route */
  struct str model;
};

/* ---- words ---- */

static const char *h_explain_kind(const struct account *a)
{
  return a->kind == ACCOUNT_API ? "it is an official key" : a->kind == ACCOUNT_CLI ? "it is a CLI grant" : "it is a web account";
}

static void h_explain_else(const struct h_explain *x, const struct account *a, struct strbuf *b)
{
  if(x->want.plane == POOL_WEB) strbuf_fmt(b, "does not serve the web chat: %s", h_explain_kind(a));
  else if(x->want.plane == POOL_GRANT) strbuf_lit(b, "has no CLI grant");
  else if(a->kind != ACCOUNT_API) strbuf_fmt(b, "is not asked: %s", h_explain_kind(a));
  else if((a->serves & x->want.serves) != x->want.serves) strbuf_lit(b, "is not set up to serve this (serves)");
  else strbuf_lit(b, "does not list the model");
}

/* Why a rest: the reason in a word, and the upstream's own words. */
static void h_explain_rest(const struct h_explain *x, const struct account *a, enum q_status why, struct strbuf *b)
{
  const struct feature_state *s = &a->features[x->want.feature];
  const char *words = a->whole != ACCOUNT_ACTIVE && x->want.plane == POOL_WEB ? a->whole_words : s->words;
  if(x->want.uploads && s->state == ACCOUNT_ACTIVE && a->whole == ACCOUNT_ACTIVE) words = a->features[FEATURE_UPLOAD].words;
  strbuf_fmt(b, "rests: %s", h_account_reason(why));
  if(words && words[0]) strbuf_fmt(b, " (%s)", words);
}

static void h_explain_why(const struct h_explain *x, const struct account *a, const struct pool_verdict *v, struct strbuf *b)
{
  switch(v->fit) {
  case POOL_ELSE: h_explain_else(x, a, b); break;
  case POOL_OFF: strbuf_lit(b, "is switched off"); break;
  case POOL_RESTS:
    if(v->until_ms) h_explain_rest(x, a, v->why, b);
    else if(a->whole == ACCOUNT_EXPIRED) strbuf_lit(b, "its sign-in has expired, and there is nothing to renew it with");
    else strbuf_fmt(b, "cannot sign in: %s", a->whole_words && a->whole_words[0] ? a->whole_words : status_row(v->why)->text);
    break;
  case POOL_WAY_RESTS: strbuf_lit(b, "its way out rests: several accounts met a captcha there"); break;
  case POOL_FULL: strbuf_fmt(b, "is busy: %d of %d turns at once", a->inflight, v->most); break;
  case POOL_GAP: strbuf_lit(b, "has begun a turn just now (MIN_START_GAP_MS)"); break;
  case POOL_FITS:
    if(x->seen.model_rest_ms) strbuf_lit(b, "could serve, but the model rests for all: its quota is used up");
    else if(x->seen.chosen && a->inflight > x->seen.chosen->inflight) strbuf_fmt(b, "could serve, but has more turns running: %d", a->inflight);
    else strbuf_lit(b, "could serve, but was used later");
    break;
  }
}

/* ---- asking ---- */

static void h_explain_row(void *ctx, const struct account *a, const struct pool_verdict *v)
{
  struct h_explain *x = ctx;
  struct strbuf why = STRBUF(1024);
  x->could += v->fit == POOL_FITS;
  if(a == x->seen.chosen) {
    str_copy(x->email, sizeof x->email, str_z(a->email));
    x->inflight = a->inflight;
    if(!x->seen.line && !x->seen.model_rest_ms) return; /* told as the choice */
    if(x->seen.line) strbuf_lit(&why, "could serve, but others wait in line for the same");
  }
  if(!why.n) h_explain_why(x, a, v, &why);
  strbuf_addz(&x->others, x->others.n ? ",{\"email\":" : "{\"email\":");
  strbuf_json(&x->others, str_z(a->email));
  strbuf_lit(&x->others, ",\"why\":");
  strbuf_json(&x->others, strbuf_str(&why));
  if(v->until_ms) strbuf_fmt(&x->others, ",\"until\":%lld}", (long long)((v->until_ms + 999) / 1000));
  else strbuf_lit(&x->others, ",\"until\":null}");
  strbuf_free(&why);
}

/* The ways of /cli/v1 in their order: grants, keys, the web chat. */
static void h_explain_cli(struct req *q, struct h_explain *x)
{
  static const enum pool_plane planes[] = { POOL_GRANT, POOL_API };
  bool web = q->config->cli_fallback == 1;
  int found = -1;
  for(int i = 0; i < 2 && found < 0; i++) {
    struct pool_want w = relay_route_want(RELAY_CLI, planes[i], STR_NONE);
    if(pool_offer(q->app->pool, &w, x->now_ms).usable) found = i;
  }
  if(found < 0 && web && relay_route_web_usable(q->app)) {
    x->want = (struct pool_want){ .feature = FEATURE_CHAT, .model = x->model };
    return;
  }
  struct pool_want grants = relay_route_want(RELAY_CLI, POOL_GRANT, STR_NONE);
  if(found < 0) found = pool_offer(q->app->pool, &grants, x->now_ms).configured ? 0 : 1;
  x->want = relay_route_want(RELAY_CLI, planes[found], STR_NONE);
  x->route = found ? "api" : "cli";
}

static enum feature h_explain_feature(unsigned variant)
{
  if(variant & MODEL_VIDEO) return FEATURE_VIDEO;
  if(variant & (MODEL_IMAGE | MODEL_IMAGE_EDIT)) return FEATURE_IMAGE;
  return variant & MODEL_SEARCH ? FEATURE_SEARCH : FEATURE_CHAT;
}

/* false: answered already. */
static bool h_explain_want(struct req *q, struct h_explain *x, struct str name, enum feature asked)
{
  struct models_pick pick;
  struct q_error e = Q_ERROR_NONE;
  const char *source;
  struct models *m = app_models(q->app, &source);
  struct models_want w = { name, str_z(q->config->default_model), q->config->alias_from, q->config->alias_to, q->config->alias_n, strcmp(source, "builtin") != 0 };
  struct str key_model = asked == FEATURE_COUNT || asked == FEATURE_CHAT || asked == FEATURE_SEARCH ? h_cli_key_model(q, name, STR_NONE, false) : STR_NONE;
  enum q_status st = asked == FEATURE_CLI || key_model.n ? Q_OK : models_pick(m, &w, &pick, &e);
  models_unref(m);
  if(st) {
    req_fail(q, &e);
    return false;
  }
  if(asked == FEATURE_CLI) {
    x->model = name;
    h_explain_cli(q, x);
  } else if(key_model.n) {
    x->model = relay_route_listed(q->app, key_model);
    x->want = relay_route_want(RELAY_CHAT, POOL_API, x->model);
    x->route = "api";
  } else {
    x->model = arena_str(q->arena, str_z(pick.id));
    x->want = (struct pool_want){ .feature = asked == FEATURE_COUNT ? h_explain_feature(pick.variant) : asked, .model = x->model };
    x->want.uploads = asked == FEATURE_UPLOAD;
    if(x->want.uploads) x->want.feature = h_explain_feature(pick.variant);
  }
  return true;
}

/* Whether a key would be let in: nothing is counted. refused is empty if it would. false: there is no such key. */
static bool h_explain_key(struct req *q, const struct h_explain *x, struct str id, struct str name, struct q_error *refused)
{
  char own[KEYS_ID];
  bool media = x->want.feature == FEATURE_IMAGE || x->want.feature == FEATURE_VIDEO;
  struct keys_ask ask = { name, x->model, media, false };
  if(id.n >= sizeof own) return false;
  str_copy(own, sizeof own, id);
  return keys_would_admit(q->app->keys, own, &ask, x->now_ms, refused) != Q_NOT_FOUND;
}

/* ---- the answer ---- */

static void h_explain_answer(struct req *q, struct h_explain *x, const struct q_error *refused)
{
  struct strbuf b = STRBUF(H_ACCOUNT_PAGE_MAX), words = STRBUF(1024);
  bool serves = x->seen.chosen && !x->seen.line && !x->seen.model_rest_ms && !refused->st;
  int64_t until = x->seen.model_rest_ms ? x->seen.model_rest_ms : x->seen.chosen ? 0 : x->seen.return_ms;
  strbuf_lit(&b, "{\"choice\":");
  if(serves) {
    strbuf_lit(&b, "{\"email\":");
    strbuf_json(&b, str_z(x->email));
    if(x->could == 1) strbuf_lit(&words, "the only one that can serve now");
    else strbuf_fmt(&words, "of %d that can serve now the least loaded (%d turns), and of those the one that was used longest ago", x->could, x->inflight);
    strbuf_lit(&b, ",\"why\":");
    strbuf_json(&b, strbuf_str(&words));
    strbuf_addc(&b, '}');
  } else {
    strbuf_lit(&b, "null");
  }
  if(serves) strbuf_lit(&b, ",\"waitMs\":0");
  else if(until > x->now_ms && !refused->st) strbuf_fmt(&b, ",\"waitMs\":%lld", (long long)(until - x->now_ms));
  else strbuf_lit(&b, ",\"waitMs\":null"); /* until a turn ends, or somebody does something about it */
  strbuf_lit(&b, ",\"model\":");
  strbuf_json(&b, x->model);
  strbuf_fmt(&b, ",\"feature\":\"%s\",\"route\":\"%s\",\"waiting\":%d,\"refused\":", feature_name(x->want.feature), x->route, x->seen.waiting);
  if(refused->st) {
    strbuf_fmt(&b, "{\"code\":\"%s\",\"message\":", status_row(refused->st)->code);
    strbuf_json(&b, str_z(refused->msg));
    strbuf_addc(&b, '}');
  } else {
    strbuf_lit(&b, "null");
  }
  strbuf_lit(&b, ",\"others\":[");
  strbuf_adds(&b, strbuf_str(&x->others));
  strbuf_lit(&b, "]}");
  if(x->others.err) b.err = x->others.err;
  strbuf_free(&x->others);
  strbuf_free(&words);
  h_account_send(q, 200, &b);
}

void h_explain(struct req *q)
{
  struct h_explain x = { .now_ms = now_wall_ms(q->app->now), .route = "web", .others = STRBUF(H_ACCOUNT_PAGE_MAX) };
  struct str name = str_trim(h_account_query(q, S("model"))), said = str_trim(h_account_query(q, S("feature"))), key = str_trim(h_account_query(q, S("key")));
  enum feature f = said.n ? feature_by_name(said) : FEATURE_COUNT;
  struct q_error refused = Q_ERROR_NONE;
  if(said.n && f == FEATURE_COUNT) {
    req_fail_st(q, Q_BAD_VALUE, "feature", "'feature' must be chat, search, image, video, deep_research, upload or cli.");
    return;
  }
  if(!h_explain_want(q, &x, name, f)) return;
  if(key.n && !h_explain_key(q, &x, key, name, &refused)) {
    req_fail_st(q, Q_NOT_FOUND, "key", "There is no key with this id; GET /api/keys lists them.");
    return;
  }
  pool_explain(q->app->pool, &x.want, x.now_ms, &x.seen, h_explain_row, &x);
  h_explain_answer(q, &x, &refused);
}
