/* POST /api/testAccount (api 9.1): says "hi" through one account, the way any client's question goes, and tells how that went.
 * Nothing is tried a second time, and an account that rests is left in peace: a test does no more harm than a chat. */
#include "domain/relay.h"
#include "http/h_account.h"
#include "http/h_answer.h"
#include "http/h_start.h"
#include "http/handlers.h"
#include "proto/openai.h"
#include "proto/relay_req.h"

enum { H_TEST_WORDS = 200, H_TEST_ARENA = 4 * 1024 * 1024 };

/* ---- the answer: told in its own shape, whatever served ---- */

static void h_test_text(struct strbuf *b, const char *name, struct str text)
{
  strbuf_fmt(b, ",\"%s\":", name);
  if(text.n) strbuf_json(b, text);
  else strbuf_lit(b, "null");
}

/* e NULL: it went well. The status is the one that a client's chat would have had; the test itself was done: 200. */
static void h_test_tell(const struct answer_face *f, const struct answer_info *i, int status, const struct q_error *e, struct str said, struct strbuf *b)
{
  struct config *config = app_config(f->app);
  struct strbuf body = STRBUF(64 * 1024);
  strbuf_lit(&body, "{\"email\":");
  strbuf_json(&body, str_z(f->about->email));
  strbuf_fmt(&body, ",\"ok\":%s,\"status\":%d", e ? "false" : "true", status);
  h_test_text(&body, "code", e ? str_z(status_row(e->st)->code) : STR_NONE);
  h_test_text(&body, "error", e ? str_z(e->msg) : STR_NONE);
  h_test_text(&body, "model", str_z(i->model_id));
  h_test_text(&body, "route", str_z(i->route ? i->route : "web"));
  strbuf_fmt(&body, ",\"latencyMs\":%lld,\"firstTokenMs\":", (long long)i->total_ms);
  if(i->first_ms) strbuf_fmt(&body, "%lld", (long long)i->first_ms);
  else strbuf_lit(&body, "null");
  h_test_text(&body, "answer", str_sub(said, 0, H_TEST_WORDS));
  strbuf_addc(&body, '}');
  struct reply r = { .status = 200, .config = config, .id = i->request_id, .type = S("application/json"), .length = (int64_t)body.n, .keep = i->keep,
                     .api = true, .extra = S("Cache-Control: no-store\r\n"), .wall_s = now_wall_s(f->app->now) };
  reply_head(&r, b);
  strbuf_adds(b, strbuf_str(&body));
  if(body.err) b->err = body.err;
  strbuf_free(&body);
  config_unref(config);
}

static void h_test_whole(const struct answer_face *f, const struct answer_info *i, struct str body, struct strbuf *b)
{
  struct arena a = ARENA(H_TEST_ARENA);
  const struct json *root = json_parse(&a, body, 64, NULL), *choice = json_at(json_get(root, "choices"), 0);
  struct str said = json_str(json_get(json_get(choice, "message"), "content"));
  size_t n = said.n < H_TEST_WORDS ? said.n : H_TEST_WORDS;
  while(n && n < said.n && (said.p[n] & 0xc0) == 0x80) n--; /* not within a character */
  h_test_tell(f, i, 200, NULL, str_sub(said, 0, n), b);
  arena_free(&a);
}

static void h_test_error(const struct answer_face *f, const struct answer_info *i, int status, const struct q_error *e, struct str body, struct strbuf *b)
{
  (void)body;
  h_test_tell(f, i, status ? status : reply_status(e, false), e, STR_NONE, b);
}

/* A test is answered as a whole: there is no head without its body. */
static void h_test_head(const struct answer_face *f, const struct answer_info *i, struct strbuf *b)
{
  (void)f;
  (void)i;
  b->err = Q_NOMEM;
}

static struct answer_to h_test_to(struct req *q, struct account *a)
{
  struct answer_to to = h_answer_to(q, false);
  to.face = (struct answer_face){ .head = h_test_head, .whole = h_test_whole, .error = h_test_error, .app = q->app, .about = a };
  to.whole_only = true;
  return to;
}

/* ---- the question ---- */

static const struct json *h_test_question(struct req *q, struct str model, bool embeddings)
{
  struct strbuf b = STRBUF(4096);
  strbuf_lit(&b, "{\"model\":");
  strbuf_json(&b, model);
  if(embeddings) strbuf_lit(&b, ",\"input\":\"hi\"}");
  else strbuf_lit(&b, ",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
  struct str own = b.err ? STR_NONE : arena_str(q->arena, strbuf_str(&b));
  strbuf_free(&b);
  return own.p ? json_parse(q->arena, own, 16, NULL) : NULL;
}

/* The real turn of the web chat. */
static enum q_status h_test_web(struct req *q, struct account *a, struct str model, struct q_error *e)
{
  struct models_pick pick;
  struct chat_req r;
  struct chat *chat;
  const char *source;
  const struct json *body = h_test_question(q, model, false);
  if(!body || openai_in(q->arena, body, 1, &r, e)) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  struct models *m = app_models(q->app, &source);
  struct models_want w = { r.model, str_z(q->config->default_model), q->config->alias_from, q->config->alias_to, q->config->alias_n, strcmp(source, "builtin") != 0 };
  enum q_status st = models_pick(m, &w, &pick, e);
  if(!st && pick.variant & (MODEL_IMAGE | MODEL_IMAGE_EDIT | MODEL_VIDEO)) /* it would cost the day's quota */
    st = status_fail(e, Q_BAD_VARIANT, "model", "An account is tested with a chat: name a model without -image or -video.");
  if(!st) {
    struct chat_order o = { .req = &r, .pick = &pick, .kind = pick.variant & MODEL_SEARCH ? CHAT_SEARCH : CHAT_T2T, .stream = &openai_stream, .whole = &openai_whole,
                            .out_id_prefix = "chatcmpl-", .shown_model = str_z(pick.id), .only = a, .to = h_test_to(q, a) };
    st = chat_new(&chat, &o, e);
  }
  models_unref(m);
  if(!st) client_adopt(q->client, chat_taker(chat));
  return st;
}

/* A grant or an official key, by the way that it serves. */
static enum q_status h_test_relay(struct req *q, struct account *a, enum relay_kind kind, struct str model, struct q_error *e)
{
  struct relay_req r = { .stream = false };
  struct strbuf out = STRBUF(64 * 1024);
  struct relay *relay;
  struct relay_order o = { .kind = kind, .only = a, .shown_model = model, .to = h_test_to(q, a) };
  const struct json *body = h_test_question(q, model, kind == RELAY_EMBEDDINGS);
  bool base64;
  enum q_status st = body ? Q_OK : status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  if(!st && kind == RELAY_EMBEDDINGS) {
    o.embeddings = &out;
    st = relay_req_embeddings(body, &out, &o.shown_model, &base64, e);
  } else if(!st) {
    o.req = &r;
    st = relay_req_read(body, &r, e);
  }
  if(!st) st = relay_new(&relay, &o, e);
  if(o.req) relay_req_free(&r);
  strbuf_free(&out);
  if(!st) client_adopt(q->client, relay_taker(relay));
  return st;
}

/* ---- the route ---- */

struct h_test { struct account *a; enum account_kind kind; unsigned serves; struct secret *models; };

static void h_test_keep(void *ctx, struct account *a)
{
  struct h_test *t = ctx;
  a->refs++; /* given back by pool_unkeep() */
  *t = (struct h_test){ a, a->kind, a->serves, secret_ref(a->models) };
}

void h_accounts_test(struct req *q)
{
  struct h_test t = { .a = NULL };
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = req_json(q), *said = json_get(body, "model");
  struct str model = json_str(said), email = body ? h_account_name(q, body) : STR_NONE;
  if(!email.n) return;
  if(!json_absent(said) && (!model.n || model.n > H_TEST_WORDS)) {
    req_fail_st(q, Q_BAD_VALUE, "model", "'model' must be the name of a model.");
    return;
  }
  if(pool_with(q->app->pool, email, now_wall_ms(q->app->now), h_test_keep, &t)) {
    req_fail_st(q, Q_NOT_FOUND, "email", "There is no such account.");
    return;
  }
  enum relay_kind kind = t.kind == ACCOUNT_CLI || t.serves & SERVES_CLI ? RELAY_CLI : t.serves & SERVES_CHAT ? RELAY_CHAT : RELAY_EMBEDDINGS;
  struct str names = secret_str(t.models);
  if(!model.n && kind == RELAY_CHAT) model = str_cut(&names, '\n');
  if(!model.n && t.kind != ACCOUNT_WEB) model = kind == RELAY_EMBEDDINGS ? S("text-embedding-v4") : S("coder-model");
  enum q_status st = t.kind == ACCOUNT_WEB ? h_test_web(q, t.a, model, &e) : h_test_relay(q, t.a, kind, model, &e);
  pool_unkeep(q->app->pool, t.a); /* the turn keeps it itself */
  secret_unref(t.models);
  if(st) req_fail(q, &e);
}
