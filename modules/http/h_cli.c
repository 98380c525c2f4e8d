#include "http/h_cli.h"

#include <stdio.h>

#include "domain/relay.h"
#include "http/h_answer.h"
#include "http/h_start.h"
#include "http/handlers.h"
#include "proto/openai.h"
#include "proto/openai_req.h"
#include "proto/retell.h"

/* Answers what goes wrong itself. */
static enum q_status h_cli_relay(struct req *q, struct relay_order *o, bool anthropic)
{
  struct relay *r;
  struct q_error e = Q_ERROR_NONE;
  struct key_pass pass;
  o->to = h_answer_to(q, anthropic);
  enum q_status st = h_answer_admit(q, o->shown_model, o->model, 0, &pass, &e);
  if(st) retell_destroy(o->retell);
  else st = relay_new(&r, o, &e);
  if(st) {
    keys_done(q->app->keys, &pass, 0, 0, 0, now_wall_ms(q->app->now));
    req_fail(q, &e);
  } else {
    answer_admitted(relay_taker(r), &pass);
    client_adopt(q->client, relay_taker(r));
  }
  return st;
}

/* ---- /cli/v1/chat/completions ---- */

static const char *const h_cli_names[] = { "coder-model", "qwen3-coder-plus", "qwen3-coder-flash", "qwen3.5-plus", "qwen3.6-plus" };
enum { H_CLI_NAMES = sizeof h_cli_names / sizeof h_cli_names[0] };

static bool h_cli_coder(struct str name)
{
  for(int i = 0; i < H_CLI_NAMES; i++)
    if(str_eq(name, str_z(h_cli_names[i]))) return true;
  return str_ifind(name, S("coder")) >= 0;
}

/* The web model for a coder name that the web list lacks; empty: DEFAULT_MODEL. */
static struct str h_cli_web_model(struct req *q, const struct models *m)
{
  const struct model *best = NULL;
  if(q->config->cli_web_model[0]) return str_z(q->config->cli_web_model);
  for(int i = 0; i < models_count(m); i++) {
    const struct model *x = models_at(m, i);
    if(str_ifind(x->id, S("coder")) >= 0 && (!best || x->created_s > best->created_s)) best = x;
  }
  return best ? best->id : STR_NONE;
}

/* Whether the web list has a name, by the rules of /v1. */
static bool h_cli_web_has(struct req *q, const struct models *m, struct str name)
{
  struct models_want w = { name, str_z(q->config->default_model), q->config->alias_from, q->config->alias_to, q->config->alias_n, true };
  struct models_pick pick;
  return models_pick(m, &w, &pick, NULL) == Q_OK;
}

static void h_cli_web(struct req *q, const struct json *body)
{
  struct h_way way = { .stream = &openai_stream, .whole = &openai_whole, .id_prefix = "chatcmpl-", .route = "web" };
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  if(openai_in(q->arena, body, (int)q->config->n_max, &r, &e)) {
    req_fail(q, &e);
    return;
  }
  struct models *m = app_models(q->app, NULL);
  bool think, search;
  struct str bare = relay_req_bare(r.model, &think, &search);
  if((!r.model.n || h_cli_coder(bare)) && !h_cli_web_has(q, m, r.model)) {
    struct str name = arena_str(q->arena, h_cli_web_model(q, m));
    way.shown_model = r.model;
    if(name.p) r.model = name;
    if(think) r.think = THINK_ON;
    r.search |= search;
  }
  models_unref(m);
  h_start(q, &r, &way);
}

void h_cli_chat(struct req *q)
{
  const struct json *body = req_json(q);
  struct q_error e = Q_ERROR_NONE;
  bool usable, web = q->config->cli_fallback == 1;
  if(!body) return;
  if(client_request(q->client)->again) { /* the other routes have failed */
    h_cli_web(q, body);
    return;
  }
  bool offered = relay_route_offered(q->app, RELAY_CLI, STR_NONE, &usable);
  if(offered && !usable && web && relay_route_web_usable(q->app)) offered = false;
  if(offered) {
    struct relay_req r;
    enum q_status st = relay_req_read(body, &r, &e);
    struct relay_order o = { .kind = RELAY_CLI, .req = &r, .then_web = web, .shown_model = r.model.n ? r.model : S("coder-model") };
    if(!st) (void)h_cli_relay(q, &o, false);
    else if(st != Q_UNSUPPORTED || !web) req_fail(q, &e);
    else offered = false;
    relay_req_free(&r);
    if(offered) return;
  }
  if(web) {
    h_cli_web(q, body);
  } else {
    relay_route_no_cli(q->app, &e);
    req_fail(q, &e);
  }
}

/* ---- /cli/v1/models ---- */

static void h_cli_entry(struct str id, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  strbuf_json(b, id);
  strbuf_lit(b, ",\"object\":\"model\",\"created\":1719878112,\"owned_by\":\"qwen-code\"}");
}

void h_cli_models(struct req *q)
{
  struct strbuf b = STRBUF(16 * 1024);
  strbuf_lit(&b, "{\"object\":\"list\",\"data\":[");
  for(int i = 0; i < H_CLI_NAMES; i++) {
    if(i) strbuf_addc(&b, ',');
    h_cli_entry(str_z(h_cli_names[i]), &b);
  }
  strbuf_lit(&b, "]}");
  if(b.err) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&b));
  strbuf_free(&b);
}

void h_cli_model(struct req *q)
{
  struct strbuf b = STRBUF(16 * 1024);
  struct q_error e = Q_ERROR_NONE;
  bool known = false;
  for(int i = 0; i < H_CLI_NAMES; i++) known |= str_eq(q->rest, str_z(h_cli_names[i]));
  if(known) {
    h_cli_entry(q->rest, &b);
    req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&b));
  } else {
    status_fail(&e, Q_NO_MODEL, "model", "The model '%.*s' does not exist. Near names: coder-model, qwen3-coder-plus, qwen3-coder-flash.",
                STR_F(str_sub(q->rest, 0, 80)));
    req_fail(q, &e);
  }
  strbuf_free(&b);
}

/* ---- official keys on /v1 ---- */

/* Where a model can be had. */
struct h_cli_offer {
  struct models_pick pick;
  struct str key_name;     /* under which keys offer it; empty: none does */
  bool web, usable;        /* a usable web account does; a key could serve now */
};

/* Names are those of the web's rules (aliases, the default, claude-*), but one that a key lists is itself first. */
static struct h_cli_offer h_cli_look(struct req *q, struct str name, struct str fallback, bool anthropic)
{
  struct h_cli_offer o = { .usable = false };
  struct pool_want any = relay_route_want(RELAY_CHAT, POOL_API, STR_NONE);
  any.listed = false;
  if(!pool_offer(q->app->pool, &any, now_wall_ms(q->app->now)).configured) return o; /* as with most operators */
  struct models *m = app_models(q->app, NULL);
  struct models_want w = { name, fallback.n ? fallback : str_z(q->config->default_model), q->config->alias_from, q->config->alias_to,
                           q->config->alias_n, false };
  enum q_status st = anthropic ? models_pick_claude(m, &w, &o.pick, NULL) : models_pick(m, &w, &o.pick, NULL);
  bool listed = !st && o.pick.model;
  models_unref(m);
  o.web = listed && relay_route_web_usable(q->app);
  if(name.n && relay_route_offered(q->app, RELAY_CHAT, name, &o.usable)) o.key_name = name;
  else if(!st && relay_route_offered(q->app, RELAY_CHAT, str_z(o.pick.id), &o.usable)) o.key_name = arena_str(q->arena, str_z(o.pick.id));
  if(o.web || (listed && !o.usable)) o.key_name = STR_NONE; /* both of no use: the web tells why */
  return o;
}

struct str h_cli_key_model(struct req *q, struct str name, struct str fallback, bool anthropic)
{
  return h_cli_look(q, name, fallback, anthropic).key_name;
}

bool h_cli_takes(struct req *q, const struct json *body)
{
  struct str name = str_trim(json_str(json_get(body, "model")));
  struct q_error e = Q_ERROR_NONE;
  if(client_request(q->client)->again) return false;
  struct h_cli_offer offer = h_cli_look(q, name, STR_NONE, false);
  if(!offer.key_name.n) return false;
  struct relay_req r;
  struct relay_order o = { .kind = RELAY_CHAT, .req = &r, .shown_model = name.n ? name : offer.key_name, .model = offer.key_name };
  enum q_status st = relay_req_read(body, &r, &e);
  if(!st) (void)h_cli_relay(q, &o, false);
  else if(st != Q_UNSUPPORTED) req_fail(q, &e); /* else it goes the way of the other protocols */
  relay_req_free(&r);
  return st != Q_UNSUPPORTED;
}

static enum think_out h_cli_think_out(const struct req *q, const struct chat_req *r)
{
  if(!q->config->output_think || r->hide_reasoning) return THINK_OUT_NONE;
  if(r->think_out != THINK_OUT_DEFAULT) return r->think_out;
  return q->config->legacy_reasoning_in_content ? THINK_OUT_TAGS : THINK_OUT_FIELD;
}

bool h_cli_serves(struct req *q, const struct chat_req *r, const struct h_way *way)
{
  struct q_error e = Q_ERROR_NONE;
  bool text = r->kind == CHAT_UNSET || r->kind == CHAT_T2T || r->kind == CHAT_SEARCH;
  if(way->route || !text || client_request(q->client)->again) return false;
  struct h_cli_offer offer = h_cli_look(q, r->model, way->fallback, way->anthropic);
  if(!offer.key_name.n) return false;
  struct relay_req req;
  struct str shown = way->shown_model.n ? way->shown_model : r->model.n ? r->model : offer.key_name;
  struct relay_order o = { .kind = RELAY_CHAT, .req = &req, .shown_model = shown, .model = offer.key_name, .kept = way->kept, .kept_ctx = way->kept_ctx };
  enum q_status st = openai_req(r, !way->anthropic, &req, &e); /* Anthropic's clients are told which stop string was met */
  if(!st) {
    struct retell_set set = { r, way->stream, way->whole, way->id_prefix, shown, h_cli_think_out(q, r), req.prompt_tokens, way->echo };
    o.retell = retell_new(&set);
    if(!o.retell) st = status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  }
  if(!st) st = h_cli_relay(q, &o, way->anthropic);
  else req_fail(q, &e);
  if(st && way->kept) way->kept(way->kept_ctx, NULL);
  if(way->echo) strbuf_free(way->echo);
  relay_req_free(&req);
  return true;
}

void h_embeddings(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  bool usable, base64 = false;
  struct str model = STR_NONE;
  if(!relay_route_offered(q->app, RELAY_EMBEDDINGS, STR_NONE, &usable)) {
    req_fail_st(q, Q_NO_ENDPOINT, NULL, "qwen2api does not offer embeddings: the web chat has no such function.");
    return;
  }
  const struct json *body = req_json(q);
  if(!body) return;
  struct strbuf out = STRBUF(SIZE_MAX / 4);
  struct relay_order o = { .kind = RELAY_EMBEDDINGS, .embeddings = &out };
  if(relay_req_embeddings(body, &out, &model, &base64, &e)) {
    req_fail(q, &e);
  } else {
    o.shown_model = model;
    o.base64 = base64;
    (void)h_cli_relay(q, &o, false);
  }
  strbuf_free(&out);
}

/* ---- their models ---- */

static void h_cli_names_of(void *ctx, struct account *a)
{
  struct strbuf *names = ctx;
  if(a->kind != ACCOUNT_API || !(a->serves & SERVES_CHAT) || a->removed || !a->models) return;
  strbuf_adds(names, secret_str(a->models));
  strbuf_addc(names, '\n');
}

static void h_cli_official(const struct models *m, struct str id, bool anthropic, struct strbuf *b)
{
  struct models_pick pick = { .model = NULL };
  str_copy(pick.id, sizeof pick.id, id);
  if(anthropic) {
    models_write_anthropic_one(m, &pick, b);
    return;
  }
  strbuf_lit(b, "{\"id\":");
  strbuf_json(b, id);
  strbuf_lit(b, ",\"object\":\"model\",\"created\":1677610602,\"owned_by\":\"qwen\",\"name\":");
  strbuf_json(b, id);
  strbuf_lit(b, ",\"capabilities\":{\"tools\":\"native\"}}");
}

static bool h_cli_in_web(const struct models *m, struct str id)
{
  for(int i = 0; i < models_count(m); i++)
    if(str_ieq(models_at(m, i)->id, id)) return true;
  return false;
}

void h_cli_add_models(struct app *a, const struct models *m, bool anthropic, struct strbuf *body)
{
  struct strbuf names = STRBUF(1024 * 1024), tail = STRBUF(64 * 1024);
  pool_each(a->pool, h_cli_names_of, &names);
  struct str all = strbuf_str(&names), rest = all, last = STR_NONE, end = anthropic ? S("],\"has_more\":") : S("]}");
  ptrdiff_t at = all.n && !body->err ? str_find(strbuf_str(body), end) : -1;
  for(ptrdiff_t k; at >= 0 && (k = str_find(str_sub(strbuf_str(body), (size_t)at + 1, body->n), end)) >= 0;) at += k + 1; /* the outer list's end */
  if(at >= 0) {
    strbuf_adds(&tail, str_sub(strbuf_str(body), (size_t)at, body->n));
    body->n = (size_t)at;
  }
  while(at >= 0 && rest.n) {
    struct str before = str_sub(all, 0, all.n - rest.n), id = str_trim(str_cut(&rest, '\n')), seen = before;
    bool twice = !id.n || h_cli_in_web(m, id);
    while(seen.n && !twice) twice = str_eq(str_trim(str_cut(&seen, '\n')), id);
    if(twice) continue;
    if(body->n && body->p[body->n - 1] != '[') strbuf_addc(body, ',');
    h_cli_official(m, id, anthropic, body);
    last = id;
  }
  ptrdiff_t last_at = last.n && anthropic ? str_find(strbuf_str(&tail), S("\"last_id\":")) : -1;
  strbuf_adds(body, last_at < 0 ? strbuf_str(&tail) : str_sub(strbuf_str(&tail), 0, (size_t)last_at + 10));
  if(last_at >= 0) {
    strbuf_json(body, last);
    strbuf_addc(body, '}');
  }
  if(tail.err) body->err = tail.err;
  strbuf_free(&tail);
  strbuf_free(&names);
}

bool h_cli_one_model(struct app *a, const struct models *m, struct str id, bool anthropic, struct strbuf *body)
{
  struct strbuf names = STRBUF(1024 * 1024);
  pool_each(a->pool, h_cli_names_of, &names);
  struct str rest = strbuf_str(&names);
  bool found = false;
  while(rest.n && !found) found = id.n && str_eq(str_trim(str_cut(&rest, '\n')), id);
  if(found) h_cli_official(m, id, anthropic, body);
  strbuf_free(&names);
  return found;
}
