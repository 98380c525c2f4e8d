#include "http/h_cli.h"

#include <stdio.h>

#include "domain/relay.h"
#include "http/h_answer.h"
#include "http/h_start.h"
#include "http/handlers.h"
#include "proto/openai.h"

static void h_cli_relay(struct req *q, struct relay_order *o)
{
  struct relay *r;
  struct q_error e = Q_ERROR_NONE;
  o->to = h_answer_to(q, false);
  if(relay_new(&r, o, &e)) req_fail(q, &e);
  else client_adopt(q->client, relay_taker(r));
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
    if(!st) h_cli_relay(q, &o);
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

bool h_cli_takes(struct req *q, const struct json *body)
{
  struct str name = json_str(json_get(body, "model"));
  struct q_error e = Q_ERROR_NONE;
  bool usable;
  if(!name.n || client_request(q->client)->again || !relay_route_offered(q->app, RELAY_CHAT, name, &usable) || !usable) return false;
  struct models *m = app_models(q->app, NULL);
  bool web = relay_route_web_usable(q->app) && h_cli_web_has(q, m, name);
  models_unref(m);
  if(web) return false;
  struct relay_req r;
  struct relay_order o = { .kind = RELAY_CHAT, .req = &r, .shown_model = name };
  if(relay_req_read(body, &r, &e)) req_fail(q, &e);
  else h_cli_relay(q, &o);
  relay_req_free(&r);
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
    h_cli_relay(q, &o);
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

static void h_cli_official(struct str id, struct strbuf *b)
{
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

void h_cli_add_models(struct app *a, const struct models *m, struct strbuf *body)
{
  struct strbuf names = STRBUF(1024 * 1024);
  pool_each(a->pool, h_cli_names_of, &names);
  struct str all = strbuf_str(&names), rest = all;
  if(all.n && body->n > 2 && !body->err) body->n -= 2; /* "]}" */
  while(rest.n) {
    struct str before = str_sub(all, 0, all.n - rest.n), id = str_trim(str_cut(&rest, '\n')), seen = before;
    bool twice = !id.n || h_cli_in_web(m, id);
    while(seen.n && !twice) twice = str_eq(str_trim(str_cut(&seen, '\n')), id);
    if(twice) continue;
    if(body->n && body->p[body->n - 1] != '[') strbuf_addc(body, ',');
    h_cli_official(id, body);
  }
  if(all.n) strbuf_lit(body, "]}");
  strbuf_free(&names);
}

bool h_cli_one_model(struct app *a, struct str id, struct strbuf *body)
{
  struct strbuf names = STRBUF(1024 * 1024);
  pool_each(a->pool, h_cli_names_of, &names);
  struct str rest = strbuf_str(&names);
  bool found = false;
  while(rest.n && !found) found = id.n && str_eq(str_trim(str_cut(&rest, '\n')), id);
  if(found) h_cli_official(id, body);
  strbuf_free(&names);
  return found;
}
