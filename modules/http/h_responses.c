#include "base/mem.h"
#include "domain/responses.h"
#include "http/h_cli.h"
#include "http/h_count.h"
#include "http/h_start.h"
#include "http/handlers.h"
#include "proto/openai.h"
#include "proto/responses.h"
#include "proto/url.h"

enum { H_RESPONSES_LIST_MAX = 100, H_RESPONSES_LIST = 20, H_RESPONSES_DEPTH = 512, H_RESPONSES_ECHO = 256 * 1024 * 1024 };

/* ---- what earlier answers tell: held until the request was read. Not in the request's arena: that may be gone when h_start()
 * returns ---- */

struct h_held {
  struct h_held *next;
  const struct response *r;
  const struct json *input, *object; /* NULL: not read yet */
};
struct h_past {
  struct req *q;
  int64_t wall_ms;
  struct h_held *held;
  const struct json **before;
  int before_n;
  bool no_memory;
};

/* Takes the reference over. NULL: out of memory; the reference is given back. */
static struct h_held *h_past_hold(struct h_past *p, const struct response *r)
{
  struct h_held *h = mem_alloc(sizeof *h);
  if(!h) {
    responses_unref(p->q->app->responses, r);
    p->no_memory = true;
    return NULL;
  }
  *h = (struct h_held){ .next = p->held, .r = r };
  p->held = h;
  return h;
}

static void h_past_free(struct h_past *p)
{
  while(p->held) {
    struct h_held *h = p->held;
    p->held = h->next;
    responses_unref(p->q->app->responses, h->r);
    mem_free(h);
  }
}

/* The conversation that ends with the response: input and output of each answer, oldest first. */
static enum q_status h_past_before(struct h_past *p, struct str id, struct q_error *e)
{
  struct arena *a = p->q->arena;
  const struct response *r = responses_find(p->q->app->responses, p->q->key_id, id, p->wall_ms);
  int n = 0;
  if(!r)
    return status_fail(e, Q_NO_PREVIOUS, "previous_response_id", "The response '%.*s' is not stored (any more); send the conversation as 'input'.",
                       STR_F(str_sub(id, 0, 80)));
  struct h_held *h = h_past_hold(p, r);
  for(const struct response *x = r; h && x; x = x->before) n += 2;
  p->before = h ? arena_alloc(a, (size_t)n * sizeof *p->before) : NULL;
  if(!p->before) return in_no_memory(e);
  p->before_n = n;
  for(const struct response *x = r; x; x = x->before) {
    const struct json *object = json_parse(a, x->object, H_RESPONSES_DEPTH, NULL), *input = json_parse(a, x->input, H_RESPONSES_DEPTH, NULL);
    if(!object || !input) return in_no_memory(e); /* we wrote them: nothing else can be wrong */
    p->before[--n] = json_get(object, "output");
    p->before[--n] = input;
  }
  return Q_OK;
}

static const struct json *h_past_item(void *ctx, struct str id)
{
  struct h_past *p = ctx;
  struct h_held *h = p->held;
  struct str core = responses_core(id);
  char room[RESPONSES_ID_MAX];
  int i = 0;
  while(h && !str_eq(responses_core(h->r->id), core)) h = h->next;
  if(!h) {
    const struct response *r = responses_find_item(p->q->app->responses, p->q->key_id, id, p->wall_ms);
    h = r ? h_past_hold(p, r) : NULL;
  }
  if(!h) return NULL;
  if(!h->object) h->object = json_parse(p->q->arena, h->r->object, H_RESPONSES_DEPTH, NULL);
  if(!h->input) h->input = json_parse(p->q->arena, h->r->input, H_RESPONSES_DEPTH, NULL);
  for json_each(item, json_get(h->object, "output"))
    if(str_eq(json_str(json_get(item, "id")), id)) return item;
  for json_each(item, h->input)
    if(str_eq(responses_input_id(item, h->r->id, i++, room), id)) return item;
  return NULL;
}

/* ---- keeping the answer ---- */

struct h_keep {
  struct app *app;
  int64_t max;
  struct response r;      /* before: a reference */
  struct strbuf input;
};

static void h_keep_free(struct h_keep *k)
{
  if(!k) return;
  responses_unref(k->app->responses, k->r.before);
  strbuf_free(&k->input);
  mem_free(k);
}

/* On the pump, when the chat has ended. */
static void h_responses_kept(void *ctx, const struct out *o)
{
  struct h_keep *k = ctx;
  if(o) {
    k->r.id = str_z(o->id);
    k->r.input = strbuf_str(&k->input);
    k->r.object = strbuf_str(&o->final);
    if(responses_keep_one(k->app->responses, k->max, &k->r, now_wall_ms(k->app->now)))
      LOG_WARN(k->app->log, "responses", "", "an answer of %zu bytes was not kept: too large, or no memory", k->r.input.n + k->r.object.n);
  }
  h_keep_free(k);
}

static struct h_keep *h_keep_new(struct req *q, const struct h_past *p, struct strbuf *items)
{
  struct h_keep *k = mem_zalloc(sizeof *k);
  if(!k) return NULL;
  k->app = q->app;
  k->max = q->config->responses_store_max;
  memcpy(k->r.key_id, q->key_id, sizeof k->r.key_id);
  if(p->before_n) { /* the first that was held: the list grows at its head */
    const struct h_held *h = p->held;
    while(h->next) h = h->next;
    k->r.before = responses_ref(q->app->responses, h->r);
  }
  k->input = *items;
  *items = STRBUF(0);
  return k;
}

/* ---- POST /v1/responses ---- */

static enum q_status h_responses_read(struct h_past *p, const struct json *body, struct chat_req *r, struct responses_want *w, struct strbuf *items,
                                      struct q_error *e)
{
  struct str previous;
  enum q_status st = responses_previous(body, &previous, e);
  if(!st && previous.p) st = h_past_before(p, previous, e);
  struct responses_look look = { p->before, p->before_n, h_past_item, p };
  if(!st) st = responses_in(p->q->arena, body, &look, r, w, items, e);
  return p->no_memory ? in_no_memory(e) : st;
}

void h_responses(struct req *q)
{
  const struct json *body = req_json(q);
  struct h_past past = { .q = q, .wall_ms = now_wall_ms(q->app->now) };
  struct strbuf items = STRBUF(RESPONSES_ONE_MAX), echo = STRBUF(H_RESPONSES_ECHO);
  struct chat_req r;
  struct responses_want w;
  struct h_keep *keep = NULL;
  struct q_error e = Q_ERROR_NONE;
  bool store = true;
  if(!body) return;
  if(!json_bool(json_get(body, "store"), &store)) store = true;
  enum q_status st = h_responses_read(&past, body, &r, &w, store ? &items : NULL, &e);
  if(!st && w.store && (items.err || q->config->responses_store_max == 0)) { /* it cannot be kept: say so */
    w.store = false;
    st = in_ignore(q->arena, &r, "store", &e);
  }
  if(!st) responses_echo(body, &w, &echo);
  if(!st && echo.err) st = in_no_memory(&e);
  if(!st && w.store && !(keep = h_keep_new(q, &past, &items))) st = in_no_memory(&e);
  if(st) {
    req_fail(q, &e);
  } else {
    struct h_way way = { .stream = &responses_stream, .whole = &responses_whole, .id_prefix = "resp_", .echo = &echo,
                         .kept = keep ? h_responses_kept : NULL, .kept_ctx = keep };
    h_start(q, &r, &way);
  }
  strbuf_free(&echo);
  strbuf_free(&items);
  h_past_free(&past);
}

static enum q_status h_responses_pick(struct req *q, const struct chat_req *r, struct models_pick *pick, struct q_error *e)
{
  const char *source;
  struct models *m = app_models(q->app, &source);
  struct models_want w = { r->model, str_z(q->config->default_model), q->config->alias_from, q->config->alias_to, q->config->alias_n,
                           strcmp(source, "builtin") != 0 };
  enum q_status st = models_pick(m, &w, pick, e);
  models_unref(m);
  struct str key = st == Q_NO_MODEL ? h_cli_key_model(q, r->model, STR_NONE, false) : STR_NONE;
  if(!key.n) return st;
  str_copy(pick->id, sizeof pick->id, key);
  return Q_OK;
}

void h_responses_tokens(struct req *q)
{
  const struct json *body = req_json(q);
  struct h_past past = { .q = q, .wall_ms = now_wall_ms(q->app->now) };
  struct strbuf answer = STRBUF(256);
  struct models_pick pick;
  struct chat_req r;
  struct responses_want w;
  struct q_error e = Q_ERROR_NONE;
  int64_t tokens = 0;
  if(!body) return;
  enum q_status st = h_responses_read(&past, body, &r, &w, NULL, &e);
  if(!st) st = h_responses_pick(q, &r, &pick, &e);
  if(!st) st = h_count_tokens_of(q, &r, str_z(pick.id), "input", &tokens, &e);
  strbuf_fmt(&answer, "{\"object\":\"response.input_tokens\",\"input_tokens\":%lld}", (long long)tokens);
  if(st) req_fail(q, &e);
  else req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&answer));
  strbuf_free(&answer);
  h_past_free(&past);
}

/* ---- what is kept ---- */

static void h_responses_unknown(struct req *q, struct str id)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_NOT_FOUND, NULL, "The response '%.*s' is not stored (any more).", STR_F(str_sub(id, 0, 80)));
  req_fail(q, &e);
}

struct h_list { int64_t limit; bool ascending; struct str after; };

static enum q_status h_list_wants(struct req *q, struct h_list *w, struct q_error *e)
{
  struct strbuf limit = STRBUF(64), order = STRBUF(64), after = STRBUF(256);
  enum q_status st = Q_OK;
  *w = (struct h_list){ .limit = H_RESPONSES_LIST };
  if(url_query(q->query, S("limit"), &limit) && (!str_int(strbuf_str(&limit), &w->limit) || w->limit < 1 || w->limit > H_RESPONSES_LIST_MAX))
    st = status_fail(e, Q_BAD_VALUE, "limit", "'limit' must be from 1 to %d.", H_RESPONSES_LIST_MAX);
  if(!st && url_query(q->query, S("order"), &order)) {
    w->ascending = str_eq(strbuf_str(&order), S("asc"));
    if(!w->ascending && !str_eq(strbuf_str(&order), S("desc"))) st = status_fail(e, Q_BAD_VALUE, "order", "'order' must be asc or desc.");
  }
  if(!st && url_query(q->query, S("after"), &after)) {
    w->after = arena_str(q->arena, strbuf_str(&after));
    if(!w->after.p) st = in_no_memory(e);
  }
  strbuf_free(&limit);
  strbuf_free(&order);
  strbuf_free(&after);
  return st;
}

/* The items from the one behind `after`, newest first unless asked otherwise. */
static enum q_status h_list_write(struct req *q, const struct response *r, const struct h_list *w, struct strbuf *b, struct q_error *e)
{
  const struct json *input = json_parse(q->arena, r->input, H_RESPONSES_DEPTH, NULL);
  const struct json **all = input ? arena_alloc(q->arena, (size_t)(input->count + 1) * sizeof *all) : NULL;
  char room[RESPONSES_ID_MAX];
  struct str first = STR_NONE, last = STR_NONE;
  int n = 0, from = 0, shown = 0;
  if(!all) return in_no_memory(e);
  for json_each(item, input) all[n++] = item;
  while(w->after.n && from < n) {
    int k = w->ascending ? from : n - 1 - from;
    from++;
    if(str_eq(responses_input_id(all[k], r->id, k, room), w->after)) break;
  }
  strbuf_lit(b, "{\"object\":\"list\",\"data\":[");
  for(; from < n && shown < w->limit; from++, shown++) {
    int k = w->ascending ? from : n - 1 - from;
    last = arena_str(q->arena, responses_input_id(all[k], r->id, k, room));
    if(!shown) first = last;
    else strbuf_addc(b, ',');
    responses_show_item(all[k], r->id, k, b);
  }
  strbuf_lit(b, "],\"first_id\":");
  if(shown) strbuf_json(b, first);
  else strbuf_lit(b, "null");
  strbuf_lit(b, ",\"last_id\":");
  if(shown) strbuf_json(b, last);
  else strbuf_lit(b, "null");
  strbuf_addz(b, from < n ? ",\"has_more\":true}" : ",\"has_more\":false}");
  return b->err ? in_no_memory(e) : Q_OK;
}

static void h_responses_items(struct req *q, const struct response *r)
{
  struct strbuf b = STRBUF(RESPONSES_ONE_MAX * 2u);
  struct h_list w;
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = h_list_wants(q, &w, &e);
  if(!st) st = h_list_write(q, r, &w, &b, &e);
  if(st) req_fail(q, &e);
  else req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&b));
  strbuf_free(&b);
}

void h_responses_get(struct req *q)
{
  struct str what = q->rest, id = str_cut(&what, '/');
  struct strbuf stream = STRBUF(16);
  if(what.n && !str_eq(what, S("input_items"))) {
    req_fail_st(q, Q_UNKNOWN_URL, NULL, "Unknown URL: a response has only 'input_items' to get.");
    return;
  }
  const struct response *r = responses_find(q->app->responses, q->key_id, id, now_wall_ms(q->app->now));
  if(!r) h_responses_unknown(q, id);
  else if(what.n) h_responses_items(q, r);
  else if(url_query(q->query, S("stream"), &stream) && str_eq(strbuf_str(&stream), S("true")))
    req_fail_st(q, Q_UNSUPPORTED, "stream", "A stored response cannot be streamed again; get it without 'stream'.");
  else req_answer(q, 200, S("application/json"), STR_NONE, r->object);
  strbuf_free(&stream);
  responses_unref(q->app->responses, r);
}

void h_responses_delete(struct req *q)
{
  struct strbuf b = STRBUF(1024);
  if(!responses_delete(q->app->responses, q->key_id, q->rest, now_wall_ms(q->app->now))) {
    h_responses_unknown(q, q->rest);
    return;
  }
  strbuf_lit(&b, "{\"id\":");
  strbuf_json(&b, q->rest);
  strbuf_lit(&b, ",\"object\":\"response\",\"deleted\":true}");
  req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&b));
  strbuf_free(&b);
}

/* Only background responses can be cancelled, and there are none. */
void h_responses_cancel(struct req *q)
{
  struct str what = q->rest, id = str_cut(&what, '/');
  if(!str_eq(what, S("cancel"))) {
    req_fail_st(q, Q_UNKNOWN_URL, NULL, "Unknown URL: a response can only be cancelled by POST.");
    return;
  }
  const struct response *r = responses_find(q->app->responses, q->key_id, id, now_wall_ms(q->app->now));
  if(!r) h_responses_unknown(q, id);
  else req_fail_st(q, Q_UNSUPPORTED, NULL, "Only background responses can be cancelled, and this one is complete.");
  responses_unref(q->app->responses, r);
}

/* GET /v1/responses: programs that would rather talk over a WebSocket ask here; told plainly they fall back to HTTP. */
void h_responses_upgrade(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  if(str_ieq(str_trim(http1_find(&q->head->headers, S("upgrade"))), S("websocket"))) {
    status_fail(&e, Q_NO_UPGRADE, NULL, "WebSockets are not supported here; send POST requests and read the event stream.");
    req_fail_extra(q, &e, S("Upgrade: HTTP/1.1\r\n"));
  } else {
    status_fail(&e, Q_METHOD, NULL, "The method GET is not allowed here; use POST, or GET with a response's id.");
    req_fail_extra(q, &e, S("Allow: POST, OPTIONS\r\n"));
  }
}
