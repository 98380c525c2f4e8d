#include "http/routes.h"

#include "base/mem.h"
#include "domain/relay.h"
#include "http/handlers.h"
#include "proto/inflate.h"
#include "proto/json.h"
#include "proto/multipart.h"
#include "proto/openai.h"
#include "proto/url.h"

enum {
  ROUTES_JSON_DEPTH = 512,
  /* What the tree of a body may take, so that a few million ones of two bytes do not take thirty times their size: */
  ROUTES_TREE_BYTES = 16 * 1024 * 1024,
  ROUTES_TREE_RATIO = 4, /* and so many times the body */
  ROUTES_MEMBERS = 10000 /* of its object: each of some hundred fields is looked for among them */
};

static const struct route routes_table[] = {
  { "GET",  "/healthz",                 WHO_OPEN, 0, h_health, NULL },
  { "GET",  "/health",                  WHO_OPEN, 0, h_health, NULL },
  { "GET",  "/readyz",                  WHO_OPEN, 0, h_ready, NULL },
  { "GET",  "/models",                  WHO_OPEN, 0, h_models, NULL },
  { "GET",  "/metrics",                 WHO_KEY,  0, h_metrics, NULL }, /* as METRICS_AUTH says */
  { "POST", "/verify",                  WHO_OPEN, 16 * 1024, h_verify, NULL },
  { "GET",  "/v1/models",               WHO_KEY,  0, h_models, NULL },
  { "GET",  "/v1/models/*",             WHO_KEY,  0, h_model, NULL },
  { "POST", "/v1/chat/completions",     WHO_KEY, -1, h_chat, NULL },
  { "POST", "/v1/messages",             WHO_KEY, -1, h_messages, NULL },
  { "POST", "/v1/messages/count_tokens", WHO_KEY, -1, h_count_tokens, NULL },
  { "*",    "/v1/messages/batches*",    WHO_KEY,  0, h_not_offered, "message batches" },
  { "*",    "/v1/chat/completions/*",   WHO_KEY,  0, h_not_offered, "stored chat completions" },
  { "GET",  "/v1/chat/completions",     WHO_KEY,  0, h_not_offered, "stored chat completions" },
  { "POST", "/v1/completions",          WHO_KEY, -1, h_completions, NULL },
  { "POST", "/v1/responses",            WHO_KEY, -1, h_responses, NULL },
  { "GET",  "/v1/responses",            WHO_KEY,  0, h_responses_upgrade, NULL },
  { "POST", "/v1/responses/input_tokens", WHO_KEY, -1, h_responses_tokens, NULL },
  { "GET",  "/v1/responses/*",          WHO_KEY,  0, h_responses_get, NULL },
  { "DELETE", "/v1/responses/*",        WHO_KEY,  0, h_responses_delete, NULL },
  { "POST", "/v1/responses/*",          WHO_KEY, 16 * 1024, h_responses_cancel, NULL },
  { "GET",  "/v1/dashboard/billing/subscription", WHO_KEY, 0, h_subscription, NULL },
  { "GET",  "/v1/dashboard/billing/usage", WHO_KEY, 0, h_billing_usage, NULL },
  { "GET",  "/dashboard/billing/subscription", WHO_KEY, 0, h_subscription, NULL },
  { "GET",  "/dashboard/billing/usage", WHO_KEY,  0, h_billing_usage, NULL },
  { "GET",  "/v1/usage",                WHO_KEY,  0, h_usage, NULL },
  { "POST", "/v1/images/generations",   WHO_KEY, ROUTE_FORM, h_images_new, NULL },
  { "POST", "/v1/images/edits",         WHO_KEY, ROUTE_FORM, h_images_edit, NULL },
  { "POST", "/v1/images/variations",    WHO_KEY,  0, h_not_offered, "image variations" },
  { "GET",  "/v1/videos",               WHO_KEY,  0, h_videos_list, NULL },
  { "POST", "/v1/videos",               WHO_KEY, ROUTE_FORM, h_videos_new, NULL },
  { "POST", "/v1/videos/generations",   WHO_KEY, ROUTE_FORM, h_videos_new, NULL },
  { "GET",  "/v1/videos/*",             WHO_KEY,  0, h_videos_one, NULL },
  { "DELETE", "/v1/videos/*",           WHO_KEY,  0, h_videos_delete, NULL },
  { "GET",  "/v1/media",                WHO_KEY,  0, h_media, NULL },
  { "POST", "/v1/embeddings",           WHO_KEY, -1, h_embeddings, NULL },
  { "POST", "/cli/v1/chat/completions", WHO_KEY, -1, h_cli_chat, NULL },
  { "GET",  "/cli/v1/models",           WHO_KEY,  0, h_cli_models, NULL },
  { "POST", "/cli/v1/models",           WHO_KEY,  64 * 1024, h_cli_models, NULL },
  { "GET",  "/cli/v1/models/*",         WHO_KEY,  0, h_cli_model, NULL },
  { "POST", "/v1/moderations",          WHO_KEY,  0, h_not_offered, "moderations" },
  { "*",    "/v1/audio/*",              WHO_KEY,  0, h_not_offered, "audio" },
  { "*",    "/v1/realtime*",            WHO_KEY,  0, h_not_offered, "realtime sessions" },
  { "*",    "/v1/assistants*",          WHO_KEY,  0, h_not_offered, "assistants" },
  { "*",    "/v1/threads*",             WHO_KEY,  0, h_not_offered, "threads" },
  { "*",    "/v1/batches*",             WHO_KEY,  0, h_not_offered, "batches" },
  { "*",    "/v1/fine_tuning/*",        WHO_KEY,  0, h_not_offered, "fine-tuning" },
  { "*",    "/v1/vector_stores*",       WHO_KEY,  0, h_not_offered, "vector stores" },
  { "*",    "/v1/files*",               WHO_KEY,  0, h_not_offered, "a file store" },
  { "GET",  "/api/getAllAccounts",      WHO_ADMIN, 0, h_accounts, NULL },
  { "GET",  "/api/accountSecret",       WHO_ADMIN, 0, h_accounts_secret, NULL },
  { "POST", "/api/setAccount",          WHO_ADMIN, 256 * 1024, h_accounts_add, NULL },
  { "DELETE", "/api/deleteAccount",     WHO_ADMIN, 1024 * 1024, h_accounts_delete, NULL },
  { "POST", "/api/updateAccount",       WHO_ADMIN, 256 * 1024, h_accounts_update, NULL },
  { "POST", "/api/updateAccountProxy",  WHO_ADMIN, 64 * 1024, h_accounts_proxy, NULL },
  { "POST", "/api/setAccountEnabled",   WHO_ADMIN, 1024 * 1024, h_accounts_enable, NULL },
  { "POST", "/api/clearCooldown",       WHO_ADMIN, 64 * 1024, h_accounts_clear, NULL },
  { "POST", "/api/refreshAccount",      WHO_ADMIN, 64 * 1024, h_accounts_refresh, NULL },
  { "POST", "/api/testAccount",         WHO_ADMIN, 64 * 1024, h_accounts_test, NULL },
  { "GET",  "/api/explain",             WHO_ADMIN, 0, h_explain, NULL },
  { "POST", "/api/refreshAllAccounts",  WHO_ADMIN, 64 * 1024, h_tasks_refresh, NULL },
  { "POST", "/api/forceRefreshAllAccounts", WHO_ADMIN, 64 * 1024, h_tasks_refresh_all, NULL },
  { "POST", "/api/setAccounts",         WHO_ADMIN, 32 * 1024 * 1024, h_tasks_new, NULL },
  { "GET",  "/api/export",              WHO_ADMIN, 0, h_export, NULL },
  { "POST", "/api/import",              WHO_ADMIN, -1, h_import, NULL },
  { "GET",  "/api/batchTasks",          WHO_ADMIN, 0, h_tasks, NULL },
  { "GET",  "/api/batchTasks/*",        WHO_ADMIN, 0, h_tasks_one, NULL },
  { "DELETE", "/api/batchTasks/*",      WHO_ADMIN, 0, h_tasks_cancel, NULL },
  { "GET",  "/api/settings",            WHO_ADMIN, 0, h_settings, NULL },
  { "PATCH", "/api/settings",           WHO_ADMIN, 1024 * 1024, h_settings_patch, NULL },
  { "GET",  "/api/settings/schema",     WHO_ADMIN, 0, h_settings_schema, NULL },
  { "POST", "/api/settings/reset",      WHO_ADMIN, 64 * 1024, h_settings_reset, NULL },
  { "POST", "/api/setAutoRefresh",      WHO_ADMIN, 64 * 1024, h_settings_one, NULL },
  { "POST", "/api/setBatchLoginConcurrency", WHO_ADMIN, 64 * 1024, h_settings_one, NULL },
  { "POST", "/api/setOutThink",         WHO_ADMIN, 64 * 1024, h_settings_one, NULL },
  { "POST", "/api/setLegacyReasoning",  WHO_ADMIN, 64 * 1024, h_settings_one, NULL },
  { "POST", "/api/search-info-mode",    WHO_ADMIN, 64 * 1024, h_settings_one, NULL },
  { "POST", "/api/simple-model-map",    WHO_ADMIN, 64 * 1024, h_settings_one, NULL },
  { "POST", "/api/setRetryConfig",      WHO_ADMIN, 64 * 1024, h_settings_one, NULL },
  { "GET",  "/api/keys",                WHO_ADMIN, 0, h_keys, NULL },
  { "PATCH", "/api/keys/*",             WHO_ADMIN, 256 * 1024, h_keys_patch, NULL },
  { "POST", "/api/addRegularKey",       WHO_ADMIN, 256 * 1024, h_keys_add, NULL },
  { "POST", "/api/deleteRegularKey",    WHO_ADMIN, 64 * 1024, h_keys_delete, NULL },
  { "POST", "/api/reload",              WHO_ADMIN, 64 * 1024, h_reload, NULL },
  { "POST", "/api/restart",             WHO_ADMIN, 64 * 1024, h_restart, NULL },
  { "GET",  "/api/doctor",              WHO_ADMIN, 0, h_doctor, NULL },
  { "POST", "/api/testProxy",           WHO_ADMIN, 64 * 1024, h_test_proxy, NULL },
  { "POST", "/api/testRedis",           WHO_ADMIN, 64 * 1024, h_test_redis, NULL },
  { "POST", "/api/models/refresh",      WHO_ADMIN, 64 * 1024, h_models_refresh, NULL },
  { "GET",  "/api/logs",                WHO_ADMIN, 0, h_logs, NULL },
  { "GET",  "/api/accountStats",        WHO_ADMIN, 0, h_stats_accounts, NULL },
  { "GET",  "/api/statsHistory",        WHO_ADMIN, 0, h_stats_accounts, NULL },
  { "GET",  "/api/stats",               WHO_ADMIN, 0, h_stats, NULL },
  { "GET",  "/api/requests",            WHO_ADMIN, 0, h_stats_requests, NULL },
  { "GET",  "/api/overview",            WHO_ADMIN, 0, h_stats_overview, NULL },
  { "GET",  "/api/licenses",            WHO_ADMIN, 0, h_licenses, NULL },
  { "GET",  "/api/logs/stream",         WHO_ADMIN, 0, h_logs_stream, NULL },
  { "GET",  "/",                        WHO_OPEN, 0, h_asset, NULL },
  { "GET",  "/*",                       WHO_OPEN, 0, h_asset, NULL },
};
enum { ROUTES_COUNT = sizeof routes_table / sizeof routes_table[0] };

const struct route *routes_at(int i)
{
  return i >= 0 && i < ROUTES_COUNT ? &routes_table[i] : NULL;
}

void routes_print(struct strbuf *out)
{
  static const char *const who[] = { "open", "key", "admin" };
  for(int i = 0; i < ROUTES_COUNT; i++)
    strbuf_fmt(out, "%-5s %-26s %-6s%s\n", routes_table[i].method, routes_table[i].path, who[routes_table[i].who],
               routes_table[i].feature ? " not offered" : "");
}

/* ---- answers ---- */

static struct reply req_reply(struct req *q, int status, struct str type, struct str extra)
{
  return (struct reply){ .status = status, .config = q->config, .id = q->id, .type = type, .length = -1, .anthropic = q->anthropic,
                         .keep = client_keep_alive(q->client), .api = q->api, .extra = extra, .wall_s = now_wall_s(q->app->now) };
}

static void req_send(struct req *q, struct reply *r, struct str body, struct str asset)
{
  struct strbuf b = STRBUF(SIZE_MAX / 4);
  size_t n = body.n + asset.n;
  r->length = r->status == 204 || r->status == 304 ? -1 : (int64_t)n;
  reply_head(r, &b);
  if(!q->head_only && n) strbuf_adds(&b, body);
  client_answer(q->client, &b, q->head_only ? STR_NONE : asset, r->keep, q->delay_ms);
  strbuf_free(&b);
}

void req_answer(struct req *q, int status, struct str type, struct str extra, struct str body)
{
  struct reply r = req_reply(q, status, type, extra);
  req_send(q, &r, body, STR_NONE);
}

void req_answer_static(struct req *q, int status, struct str type, struct str extra, struct str asset)
{
  struct reply r = req_reply(q, status, type, extra);
  req_send(q, &r, STR_NONE, asset);
}

/* The head of the answer went out before the request came back (client_redo): the error is told inside the body. */
static void req_fail_late(struct req *q, const struct q_error *e, unsigned note)
{
  struct strbuf body = STRBUF(64 * 1024), b = STRBUF(128 * 1024);
  if(note & RELAY_NOTE_STREAM) strbuf_lit(&body, "data: ");
  openai_error(e, &body);
  if(note & RELAY_NOTE_STREAM) strbuf_lit(&body, "\n\ndata: [DONE]\n\n");
  if(q->head->minor == 1) strbuf_fmt(&b, "%zx\r\n", body.n);
  strbuf_adds(&b, strbuf_str(&body));
  if(q->head->minor == 1) strbuf_lit(&b, "\r\n0\r\n\r\n");
  client_answer(q->client, &b, STR_NONE, false, 0);
  strbuf_free(&body);
  strbuf_free(&b);
}

/* A request for a model's work that comes to nothing before there is an answer. */
static void req_count_failure(struct req *q, const struct q_error *e)
{
  bool work = q->route && q->key != KEY_NONE && str_eq(q->method, S("POST")) && (str_starts(q->path, S("/v1/")) || str_starts(q->path, S("/cli/v1/")));
  if(!work) return;
  struct stats_turn t = { .request_id = q->id, .endpoint = q->route, .code = status_row(e->st)->code, .status = reply_status(e, q->anthropic) };
  memcpy(t.key, q->key_id, sizeof t.key);
  stats_note(q->app->stats, &t, now_wall_ms(q->app->now));
}

void req_fail_extra(struct req *q, const struct q_error *e, struct str extra)
{
  unsigned note = client_request(q->client)->again;
  struct q_error crowd = Q_ERROR_NONE;
  if(e->st == Q_NOMEM && arena_crowded(q->arena)) { /* not for want of memory, but of a share in it */
    status_fail(&crowd, Q_OVERLOADED, NULL, "Too many large requests at once. Try again later.");
    e = &crowd;
  }
  req_count_failure(q, e);
  if(note & RELAY_NOTE_HEAD) {
    req_fail_late(q, e, note);
    return;
  }
  struct strbuf b = STRBUF(128 * 1024);
  struct reply r = req_reply(q, 0, STR_NONE, extra);
  bool closes = e->st == Q_BAD_REQUEST || e->st == Q_SLOW_CLIENT || e->st == Q_TOO_BIG || e->st == Q_URI_LONG ||
                e->st == Q_HEADERS_BIG || e->st == Q_SHUTDOWN;
  if(closes) r.keep = false;
  reply_error(&r, e, STR_NONE, q->head_only, &b);
  client_answer(q->client, &b, STR_NONE, r.keep, q->delay_ms);
  strbuf_free(&b);
}

void req_fail(struct req *q, const struct q_error *e)
{
  req_fail_extra(q, e, STR_NONE);
}

void req_fail_st(struct req *q, enum q_status st, const char *param, const char *words)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, st, param, "%s", words);
  req_fail(q, &e);
}

const struct json *req_json(struct req *q)
{
  struct json_error where;
  struct q_error e = Q_ERROR_NONE;
  if(str_trim(q->body).n == 0) {
    req_fail_st(q, Q_EMPTY_BODY, NULL, "The request body is empty; send a JSON object.");
    return NULL;
  }
  size_t max = q->arena->max, bound = ROUTES_TREE_BYTES + ROUTES_TREE_RATIO * q->body.n;
  if(q->arena->used < max && bound < max - q->arena->used) q->arena->max = q->arena->used + bound;
  const struct json *root = json_parse(q->arena, q->body, ROUTES_JSON_DEPTH, &where);
  bool full = q->arena->max - q->arena->used < ROUTES_TREE_BYTES / 64;
  q->arena->max = max;
  bool wide = json_is(root, JSON_OBJECT) && root->count > ROUTES_MEMBERS;
  if(root && !wide) return root;
  if(wide) status_fail(&e, Q_TOO_BIG, NULL, "The request body has more than %d members.", ROUTES_MEMBERS);
  else if(where.expected)
    status_fail(&e, Q_BAD_JSON, NULL, "The request body is not valid JSON: expected %s at line %d, column %d (byte %zu).", where.expected,
                where.line, where.column, where.offset);
  else if(full && !arena_crowded(q->arena)) status_fail(&e, Q_TOO_BIG, NULL, "The request body holds too many values.");
  else status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  req_fail(q, &e);
  return NULL;
}

/* ---- from a path to a route ---- */

static bool routes_path_fits(const char *pattern, struct str path, struct str *rest)
{
  struct str p = str_z(pattern);
  bool star = p.n && p.p[p.n - 1] == '*';
  *rest = STR_NONE;
  if(!star) return str_eq(p, path);
  p.n--;
  if(!str_starts(path, p)) return false;
  *rest = str_sub(path, p.n, path.n);
  return true;
}

/* Paths of the API never fall through to the pages. */
static bool routes_of_api(struct str path)
{
  static const char *const roots[] = { "/v1", "/cli", "/api", "/anthropic" };
  for(size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
    struct str r = str_z(roots[i]);
    if(str_starts(path, r) && (path.n == r.n || path.p[r.n] == '/')) return true;
  }
  return false;
}

static const struct route *routes_find(struct req *q, struct strbuf *allow)
{
  bool api = routes_of_api(q->path);
  for(int i = 0; i < ROUTES_COUNT; i++) {
    const struct route *r = &routes_table[i];
    if(!routes_path_fits(r->path, q->path, &q->rest) || (api && r->handler == h_asset)) continue;
    bool get = strcmp(r->method, "GET") == 0;
    if(str_eq(q->method, str_z(r->method)) || r->method[0] == '*' || (get && q->head_only)) return r;
    if(r->handler == h_asset) continue; /* a path that is no page: unknown, whatever the method */
    if(allow->n) strbuf_lit(allow, ", ");
    strbuf_addz(allow, get ? "GET, HEAD" : r->method);
  }
  return NULL;
}

/* ---- judging ---- */

static void routes_options(struct req *q)
{
  struct strbuf extra = STRBUF(32 * 1024);
  struct str asked = http1_find(&q->head->headers, S("access-control-request-headers"));
  strbuf_lit(&extra, "Access-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE, OPTIONS\r\nAccess-Control-Max-Age: 86400\r\n");
  if(asked.n && asked.n < 8192) {
    strbuf_lit(&extra, "Access-Control-Allow-Headers: ");
    strbuf_adds(&extra, asked);
    strbuf_lit(&extra, "\r\n");
  }
  req_answer(q, 204, STR_NONE, strbuf_str(&extra), STR_NONE);
  strbuf_free(&extra);
}

/* false: answered already. */
static bool routes_may_call(struct req *q, const struct route *r)
{
  struct q_error e = Q_ERROR_NONE;
  struct str shown;
  char masked[64];
  enum route_who who = r->handler == h_metrics ? (enum route_who)q->config->metrics_auth : r->who; /* METRICS_AUTH: none, key, admin */
  if(who == WHO_OPEN) return true;
  q->key = auth_key(q->app->keys, &q->head->headers, now_wall_ms(q->app->now), &shown, q->key_id);
  if(q->key == KEY_ADMIN || (q->key == KEY_REGULAR && who == WHO_KEY)) return true;
  if(q->key == KEY_REGULAR) {
    req_fail_st(q, Q_NOT_ADMIN, NULL, "This needs the admin key, the first one of API_KEY.");
    return false;
  }
  if(!shown.n) {
    req_fail_st(q, Q_NO_KEY, NULL, "No API key was given. Send it as 'Authorization: Bearer YOUR_KEY' or in the 'x-api-key' header.");
    return false;
  }
  int retry_s;
  enum q_status st = auth_failed(q->desk->auth, str_z(q->peer), now_mono_ms(q->app->now), &q->delay_ms, &retry_s);
  keys_mask(shown, masked, sizeof masked);
  const char *why = shown.n <= KEYS_LONGEST ? keys_refusal(q->app->keys, shown, now_wall_ms(q->app->now)) : NULL;
  if(st == Q_AUTH_FLOOD) status_fail(&e, st, NULL, "Too many wrong API keys from this address. Try again in %d seconds.", retry_s);
  else if(why) status_fail(&e, st, NULL, "The API key %s %s; ask the administrator.", masked, why);
  else status_fail(&e, st, NULL, "Incorrect API key provided: %s.", masked);
  e.retry_after_s = retry_s;
  req_fail(q, &e);
  return false;
}

static bool routes_json_type(struct str type)
{
  type = str_trim(str_cut(&type, ';'));
  return !type.n || str_ieq(type, S("application/json")) || str_ieq(type, S("text/plain")) || str_ieq(type, S("text/json")) ||
         str_ieq(type, S("application/x-www-form-urlencoded")) || (str_istarts(type, S("application/")) && str_ends(type, S("+json")));
}

static int64_t routes_body_max(const struct req *q, const struct route *r)
{
  return r->body_max < 0 ? q->config->body_limit_bytes : r->body_max;
}

/* false: answered already. */
static bool routes_body_ok(struct req *q, const struct route *r)
{
  const struct http1_headers *h = &q->head->headers;
  struct str encoding = http1_find(h, S("content-encoding"));
  int64_t max = routes_body_max(q, r);
  struct q_error e = Q_ERROR_NONE;
  if(q->head->content_length > (uint64_t)max || q->body.n > (uint64_t)max) {
    status_fail(&e, Q_TOO_BIG, NULL, "The request body is larger than %lld bytes.", (long long)max);
    req_fail(q, &e);
    return false;
  }
  struct str type = http1_find(h, S("content-type"));
  bool form = r->body_max == ROUTE_FORM;
  if(!routes_json_type(type) && !(form && multipart_is(type))) {
    req_fail_st(q, Q_MEDIA_TYPE, NULL, form ? "The Content-Type is not supported here; send application/json or multipart/form-data."
                                            : "The Content-Type is not supported here; send application/json.");
    return false;
  }
  if(encoding.n && !str_ieq(encoding, S("gzip")) && !str_ieq(encoding, S("identity"))) {
    req_fail_st(q, Q_MEDIA_TYPE, NULL, "The Content-Encoding is not supported; send the body plain or as gzip.");
    return false;
  }
  return true;
}

/* false: answered already. */
static bool routes_inflate(struct req *q, int64_t max)
{
  struct inflate z = { NULL };
  struct strbuf plain = STRBUF((size_t)max + 1);
  struct str in = q->body, piece;
  if(!str_ieq(http1_find(&q->head->headers, S("content-encoding")), S("gzip"))) return true;
  enum q_status st = inflate_init(&z, (uint64_t)max);
  while(!st) {
    st = inflate_next(&z, &in, &piece);
    if(!st) strbuf_adds(&plain, piece);
    if(plain.err) st = plain.err;
  }
  inflate_free(&z);
  if(st == Q_EOF) {
    q->body = arena_str(q->arena, strbuf_str(&plain));
    if(!q->body.p) st = Q_NOMEM;
  }
  strbuf_free(&plain);
  if(st == Q_EOF) return true;
  if(st == Q_TOO_BIG) req_fail_st(q, Q_TOO_BIG, NULL, "The inflated request body is too large.");
  else if(st == Q_NOMEM) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else req_fail_st(q, Q_BAD_REQUEST, NULL, "The request body is not valid gzip.");
  return false;
}

static void desk_later(struct req *q);

static void routes_serve(struct req *q)
{
  struct strbuf allow = STRBUF(256);
  struct q_error e = Q_ERROR_NONE;
  if(str_eq(q->method, S("OPTIONS"))) {
    routes_options(q);
    return;
  }
  const struct route *r = routes_find(q, &allow);
  if(!r && allow.n) {
    struct strbuf extra = STRBUF(512);
    strbuf_fmt(&extra, "Allow: %.*s, OPTIONS\r\n", STR_F(strbuf_str(&allow)));
    status_fail(&e, Q_METHOD, NULL, "The method %.*s is not allowed here; use %.*s.", STR_F(q->method), STR_F(strbuf_str(&allow)));
    req_fail_extra(q, &e, strbuf_str(&extra));
    strbuf_free(&extra);
  } else if(!r) {
    status_fail(&e, Q_UNKNOWN_URL, NULL, "Unknown URL: %.*s %.*s.", STR_F(q->method), STR_F(str_sub(q->path, 0, 200)));
    req_fail(q, &e);
  } else if(atomic_load(&q->app->draining) && r->who != WHO_OPEN) {
    req_fail_st(q, Q_SHUTDOWN, NULL, "The gateway is shutting down; send the request again.");
  } else if((q->route = r->path) && routes_may_call(q, r) && (r->feature || routes_body_ok(q, r))) {
    struct client_request *cr = client_request(q->client);
    if(r->feature) {
      status_fail(&e, Q_NO_ENDPOINT, NULL, "qwen2api does not offer %s: the web chat has no such function.", r->feature);
      req_fail(q, &e);
    } else if(cr->body_missing && r->body_max) {
      cr->judged = true;
      cr->body_max = (size_t)routes_body_max(q, r); /* a chunked one has told no length */
      client_collect(q->client);
    } else if(r->who == WHO_ADMIN && !q->in_job) {
      desk_later(q); /* what an administrator asks for may wait for the store or the network */
    } else if(routes_inflate(q, routes_body_max(q, r))) {
      r->handler(q);
    }
  }
  strbuf_free(&allow);
}

/* ---- desk ---- */

static void desk_serve_in(struct desk *d, struct client *c, bool refused, bool job)
{
  struct client_request *cr = client_request(c);
  struct config *config = app_config(d->app);
  struct strbuf path = STRBUF(HTTP1_URI_MAX + 1);
  struct req q = { .app = d->app, .desk = d, .client = c, .head = cr->head, .config = config, .arena = client_arena(c),
                   .method = cr->head->method, .body = cr->body, .id = cr->id, .in_job = job };
  q.head_only = str_eq(q.method, S("HEAD"));
  struct str peer = auth_address(&config->trust_proxy, str_z(cr->peer), http1_find(&cr->head->headers, S("x-forwarded-for")));
  struct str own = arena_str(q.arena, peer);
  q.peer = own.p ? own.p : cr->peer;
  enum q_status st = refused ? Q_BAD_REQUEST : url_path(cr->head->target, &path, &q.query, &q.anthropic);
  q.path = arena_str(q.arena, strbuf_str(&path));
  bool models = str_eq(q.path, S("/v1/models")) || str_starts(q.path, S("/v1/models/")) || str_eq(q.path, S("/models"));
  if(models && http1_find(&cr->head->headers, S("anthropic-version")).n) q.anthropic = true; /* the one path that both protocols have */
  q.api = str_starts(q.path, S("/api/"));
  if(st == Q_BAD_REQUEST) req_fail_st(&q, st, NULL, "The request is not acceptable HTTP/1.1.");
  else if(st || !q.path.p) req_fail_st(&q, Q_NOMEM, NULL, "Out of memory.");
  else routes_serve(&q);
  strbuf_free(&path);
  config_unref(config);
}

void desk_serve(struct desk *d, struct client *c, bool refused)
{
  desk_serve_in(d, c, refused, false);
}

static void desk_head(void *ctx, struct client *c, bool refused)
{
  desk_serve(ctx, c, refused);
}

/* A request whose body was collected is read in a job: a long one would hold a desk thread. */
struct desk_job {
  struct job job;
  struct desk *desk;
  struct client *client;
};

static void desk_run(struct job *j)
{
  struct desk_job *dj = (struct desk_job *)j;
  desk_serve_in(dj->desk, dj->client, false, true);
}

static bool desk_job(struct desk *d, struct client *c)
{
  struct desk_job *dj = arena_alloc(client_arena(c), sizeof *dj);
  if(!dj) return false;
  *dj = (struct desk_job){ { desk_run, NULL }, d, c };
  return jobs_submit(d->app->jobs, &dj->job) == Q_OK;
}

/* The whole request once more, in a job. */
static void desk_later(struct req *q)
{
  if(!desk_job(q->desk, q->client)) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
}

void desk_request(void *desk, struct client *c)
{
  struct desk *d = desk;
  if(client_request(c)->judged && desk_job(d, c)) return;
  server_give(d->server, c);
}

void desk_requests(void *desk)
{
  server_wake(((struct desk *)desk)->server);
}

void desk_reject(void *desk, const struct q_error *e, struct strbuf *out)
{
  struct desk *d = desk;
  struct config *config = d->app ? app_config(d->app) : NULL;
  struct reply r = { .config = config, .length = -1, .wall_s = d->app ? now_wall_s(d->app->now) : 0 };
  reply_error(&r, e, STR_NONE, false, out);
  config_unref(config);
}

enum q_status desk_open(struct desk *d, int threads, struct log *log)
{
  struct server_config c = { .threads = threads, .log = log, .on_head = desk_head, .ctx = d };
  d->auth = auth_new();
  d->server = d->auth ? server_new(&c) : NULL;
  return d->server ? Q_OK : Q_NOMEM;
}

void desk_close(struct desk *d)
{
  server_destroy(d->server);
  auth_destroy(d->auth);
  *d = (struct desk){ .app = NULL };
}
