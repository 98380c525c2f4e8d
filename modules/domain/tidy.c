#include "domain/tidy.h"

#include "base/mem.h"
#include "domain/qwen.h"
#include "proto/qwen_req.h"

enum { TIDY_STOCK_MAX = 8, TIDY_MS = 20 * 1000, TIDY_STOP_MS = 3 * 1000, TIDY_BODY_MAX = 64 * 1024 };

enum tidy_kind { TIDY_STOP, TIDY_DELETE, TIDY_STOCK };

struct tidy {
  struct app_pump *ap;
  struct tidy *next, **at;
  enum tidy_kind kind;
  struct account *account;
  struct secret *token, *proxy, *headers, *cookie;
  char chat_id[72], model[72];
  bool then_delete;
  struct xchg x;
  bool x_open;
  int http_status;
  struct strbuf body;
  struct pump_timer timer;
  struct pump_task bury;
};

static void tidy_ready(struct xchg *x);

int tidy_running(struct app_pump *p)
{
  return atomic_load(&p->tidying);
}

static void tidy_free(struct pump_task *task)
{
  struct tidy *t = (struct tidy *)((char *)task - offsetof(struct tidy, bury));
  atomic_fetch_sub(&t->ap->tidying, 1);
  pool_unkeep(t->ap->app->pool, t->account);
  secret_unref(t->token);
  secret_unref(t->proxy);
  secret_unref(t->headers);
  secret_unref(t->cookie);
  strbuf_free(&t->body);
  mem_free(t);
}

static void tidy_close(struct tidy *t)
{
  if(t->x_open) xchg_close(&t->x);
  t->x_open = false;
  pump_timer_off(t->ap->pump, &t->timer);
}

/* The end of a call, good or bad. Freed in the next turn: the exchange that called us is still on the stack. */
static void tidy_end(struct tidy *t, bool ok, const char *words)
{
  struct app *a = t->ap->app;
  static const char *const what[] = { "stop", "delete", "new chat for the stock" };
  if(!ok) LOG_DEBUG(a->log, "tidy", "", "%s on %s failed: %s", what[t->kind], t->account->label, words); /* words may be the exchange's */
  tidy_close(t);
  *t->at = t->next;
  if(t->next) t->next->at = t->at;
  if(t->kind == TIDY_STOP) atomic_fetch_add(&a->counts.stops, 1);
  if(t->kind == TIDY_DELETE && ok) atomic_fetch_add(&a->counts.deletes, 1);
  if(t->kind == TIDY_STOCK && !ok) pool_stock_failed(a->pool, t->account, str_z(t->model));
  if(t->kind == TIDY_STOP && t->then_delete && !atomic_load(&a->draining)) {
    struct lease who = { .account = t->account, .token = t->token, .proxy = t->proxy, .headers = t->headers, .cookie = t->cookie };
    tidy_delete(t->ap, &who, str_z(t->chat_id));
  }
  t->bury.fn = tidy_free;
  pump_defer(t->ap->pump, &t->bury);
}

static void tidy_complete(struct tidy *t)
{
  struct trouble why = { .st = Q_OK };
  if(t->kind != TIDY_STOCK) {
    bool gone = t->kind == TIDY_DELETE && t->http_status == 404;
    if(!gone) trouble_body(&why, t->http_status, STR_NONE, strbuf_str(&t->body));
    if(why.st == Q_UP_EMPTY && t->http_status < 300) why.st = Q_OK;
    tidy_end(t, !why.st, why.words);
    return;
  }
  struct app *a = t->ap->app;
  char id[72];
  enum q_status st = qwen_chat_id(t->http_status, STR_NONE, strbuf_str(&t->body), id, sizeof id, &why);
  bool kept = !st && pool_stock_put(a->pool, t->account, str_z(t->model), now_wall_ms(a->now), str_z(id));
  if(kept) atomic_fetch_add(&a->counts.stock_made, 1);
  tidy_end(t, kept, st ? why.words : "no room");
}

static void tidy_ready(struct xchg *x)
{
  struct tidy *t = (struct tidy *)((char *)x - offsetof(struct tidy, x));
  struct xchg_head head;
  struct str in;
  enum q_status st;
  if(!t->http_status) {
    st = xchg_head(x, &head);
    if(st == Q_AGAIN) return;
    if(st) {
      tidy_end(t, false, xchg_error(x));
      return;
    }
    t->http_status = head.status;
  }
  while((st = xchg_read(x, &in)) == Q_OK) strbuf_adds(&t->body, in);
  if(st == Q_AGAIN && !t->body.err) return;
  if(st == Q_EOF) tidy_complete(t);
  else tidy_end(t, false, t->body.err ? "answer too large" : xchg_error(x));
}

static void tidy_late(struct pump_timer *timer)
{
  struct tidy *t = (struct tidy *)((char *)timer - offsetof(struct tidy, timer));
  tidy_end(t, false, "no answer in time");
}

static struct tidy *tidy_new(struct app_pump *p, enum tidy_kind kind, const struct lease *who, struct str chat_id)
{
  if(atomic_load(&p->tidying) >= TIDY_MAX) {
    LOG_WARN(p->app->log, "tidy", "", "too many calls in the background, one was dropped");
    return NULL;
  }
  struct tidy *t = mem_zalloc(sizeof *t);
  if(!t) return NULL;
  t->ap = p;
  t->kind = kind;
  t->account = who->account;
  t->token = secret_ref(who->token);
  t->proxy = secret_ref(who->proxy);
  t->headers = secret_ref(who->headers);
  t->cookie = secret_ref(who->cookie);
  t->body = STRBUF(TIDY_BODY_MAX);
  t->timer.fn = tidy_late;
  t->x.on_ready = tidy_ready;
  str_copy(t->chat_id, sizeof t->chat_id, chat_id);
  pool_keep(p->app->pool, t->account);
  atomic_fetch_add(&p->tidying, 1);
  t->next = p->tidies;
  t->at = &p->tidies;
  if(t->next) t->next->at = &t->next;
  p->tidies = t;
  return t;
}

static void tidy_go(struct tidy *t, const char *method, const char *path, struct str query, struct strbuf *body,
                    int64_t limit_ms)
{
  struct app *a = t->ap->app;
  struct config *config = app_config(a);
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct qwen_call q = { config, &t->ap->rng, secret_str(t->token), str_z(t->chat_id), false, now_wall_s(a->now),
                         secret_str(t->headers), secret_str(t->cookie) };
  struct str proxy = secret_str(t->proxy);
  qwen_url(config, path, query, &url);
  qwen_headers(&q, &headers);
  enum q_status st = url.err ? url.err : headers.err ? headers.err : body ? body->err : Q_OK;
  if(!st) {
    struct xchg_req r = { strbuf_str(&url), proxy.n ? proxy : str_z(config->proxy_url), str_z(method),
                          strbuf_str(&headers), body, config->upstream_connect_timeout_ms };
    st = xchg_start(&t->x, t->ap->httpc, &r);
  }
  if(!st) {
    t->x_open = true;
    st = pump_timer_set(t->ap->pump, &t->timer, pump_now(t->ap->pump) + limit_ms);
  }
  if(body) strbuf_free(body);
  strbuf_free(&headers);
  strbuf_free(&url);
  config_unref(config);
  if(st) tidy_end(t, false, status_row(st)->text);
}

void tidy_stop(struct app_pump *p, const struct lease *who, struct str chat_id, struct str response_id, bool then_delete)
{
  struct tidy *t = tidy_new(p, TIDY_STOP, who, chat_id);
  if(!t) return;
  struct strbuf body = STRBUF(1024);
  t->then_delete = then_delete;
  qwen_req_stop(chat_id, response_id, &body);
  tidy_go(t, "POST", "/api/v2/chat/completions/stop?chat_id=", chat_id, &body, TIDY_STOP_MS);
}

void tidy_delete(struct app_pump *p, const struct lease *who, struct str chat_id)
{
  if(chat_id.n == 0) return; /* without an id the upstream deletes every chat of the account */
  struct tidy *t = tidy_new(p, TIDY_DELETE, who, chat_id);
  if(t) tidy_go(t, "DELETE", "/api/v2/chats/", chat_id, NULL, TIDY_MS);
}

static bool tidy_stock_one(struct app_pump *p, const struct lease *who, struct str model, int64_t wall)
{
  struct app *a = p->app;
  if(atomic_load(&a->draining) || !pool_stock_wanted(a->pool, who->account, model, wall)) return false;
  struct tidy *t = tidy_new(p, TIDY_STOCK, who, STR_NONE);
  if(!t) {
    pool_stock_failed(a->pool, who->account, model);
    return false;
  }
  struct strbuf body = STRBUF(4096);
  str_copy(t->model, sizeof t->model, model);
  qwen_req_new_chat(model, "t2t", wall, &body);
  tidy_go(t, "POST", "/api/v2/chats/new", STR_NONE, &body, TIDY_MS);
  return true;
}

void tidy_stock(struct app_pump *p, const struct lease *who, struct str model)
{
  int64_t wall = now_wall_ms(p->app->now);
  int left = TIDY_STOCK_MAX; /* one that fails at once is wanted again at once */
  while(left-- && tidy_stock_one(p, who, model, wall)) {}
}

void tidy_end_all(struct app_pump *p)
{
  while(p->tidies) tidy_end(p->tidies, false, "the gateway ends");
}
