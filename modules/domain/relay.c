#include "domain/relay.h"

#include "base/mem.h"
#include "domain/cure.h"
#include "domain/grant.h"
#include "domain/login.h"
#include "domain/relay_route.h"
#include "domain/vendor.h"
#include "proto/relay_out.h"

enum {
  RELAY_TURN_BYTES = 256 * 1024,      /* upstream bytes of one relay per turn of the pump */
  RELAY_BODY_MAX = 16 * 1024 * 1024,  /* an upstream answer that is no stream */
  RELAY_LAST_ATTEMPT_MS = 90 * 1000,
  RELAY_ACCOUNTS_MAX = 5
};

enum relay_state {
  RELAY_QUEUED,     /* waits for an account */
  RELAY_RENEWING,   /* waits for the grant */
  RELAY_ASKED,      /* the request is out, no byte of the answer's body yet */
  RELAY_READING,    /* events */
  RELAY_COLLECTING, /* a body that is no event stream */
  RELAY_RESTING,    /* back-off before the next attempt */
  RELAY_OVER
};

struct relay {
  struct answer answer;
  enum relay_state state;

  /* the order */
  enum relay_kind kind;
  struct relay_req req;
  struct strbuf embeddings;
  char shown_model[256];
  char name[256];                  /* of the model that is looked for */
  struct retell *retell;           /* NULL: `out` tells the answer */
  void (*kept)(void *ctx, const struct out *o);
  void *kept_ctx;
  bool base64, then_web;
  struct account *only;
  enum pool_plane routes[POOL_PLANES];
  int route, route_n;

  /* the attempt */
  struct pool_waiter waiter;
  struct pump_task grant_task;
  struct login_waiter renewing;
  struct lease lease;
  bool lease_busy;
  char model_id[256];
  struct xchg x;
  bool x_open;
  int http_status;                 /* of the exchange under way, 0 before its head */
  char retry_after[24];
  struct strbuf body;              /* RELAY_COLLECTING */
  struct relay_out out;
  char out_id[40];
  bool renewed;                    /* this lease's grant, after a refusal */
  int attempts, account_tries, retries;
  struct relay_err best;           /* the most telling trouble of all attempts */
  struct relay_err told;           /* what the client is told in the end */
  bool sent;                       /* an answer event is out: no attempt after this */

  struct pump_timer timer;
  struct pump_task again;          /* more to read next turn; at the end: the burial */
  bool again_on;
  /* Deadlines in pump ms; 0 = off. */
  int64_t first_ms, queue_ms, poll_ms, step_ms, idle_ms, turn_ms, rest_ms;
};

static void relay_seek(struct relay *r);
static void relay_pull(struct relay *r);
static void relay_trouble(struct relay *r, const struct relay_err *err);
static void relay_arm(struct relay *r);
static const struct answer_ops relay_answer_ops;

static struct relay *relay_of(const struct answer *a)
{
  return (struct relay *)((char *)a - offsetof(struct relay, answer));
}

static int64_t relay_wall(const struct relay *r)
{
  return now_wall_ms(r->answer.app->now);
}

static int64_t relay_now(const struct relay *r)
{
  return pump_now(r->answer.ap->pump);
}

/* ---- birth ---- */

static void relay_free(struct relay *r)
{
  if(r->kept) r->kept(r->kept_ctx, NULL);
  retell_destroy(r->retell);
  if(r->only) pool_unkeep(r->answer.app->pool, r->only);
  relay_req_free(&r->req);
  relay_out_free(&r->out);
  strbuf_free(&r->embeddings);
  strbuf_free(&r->body);
  answer_free(&r->answer);
  mem_free(r);
}

enum q_status relay_new(struct relay **out, const struct relay_order *o, struct q_error *e)
{
  struct relay *r = mem_zalloc(sizeof *r);
  struct pool *pool = o->to.face.app->pool;
  if(!r) {
    if(o->req) relay_req_free(o->req);
    if(o->embeddings) strbuf_free(o->embeddings);
    retell_destroy(o->retell);
    return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  }
  answer_init(&r->answer, &relay_answer_ops, &o->to, o->req && o->req->stream);
  r->kind = o->kind;
  r->base64 = o->base64;
  r->then_web = o->then_web;
  r->only = o->only;
  if(r->only) pool_keep(pool, r->only);
  r->body = STRBUF(RELAY_BODY_MAX);
  r->retell = o->retell;
  r->kept = o->kept;
  r->kept_ctx = o->kept_ctx;
  str_copy(r->shown_model, sizeof r->shown_model, o->shown_model);
  str_copy(r->name, sizeof r->name, o->model.n ? o->model : o->shown_model);
  if(o->req) {
    r->req = *o->req;
    *o->req = (struct relay_req){ .rest = STRBUF(0), .ignored = STRBUF(0) };
  }
  if(o->embeddings) {
    r->embeddings = *o->embeddings;
    *o->embeddings = STRBUF(0);
  }
  for(int plane = r->kind == RELAY_CLI ? POOL_GRANT : POOL_API; plane <= POOL_API; plane++) {
    struct pool_want w = relay_route_want(r->kind, (enum pool_plane)plane, STR_NONE);
    w.listed = false;
    w.only = r->only;
    if(pool_offer(pool, &w, relay_wall(r)).configured) r->routes[r->route_n++] = (enum pool_plane)plane;
  }
  *out = r;
  return Q_OK;
}

/* ---- death: as in domain/chat.c, memory goes in the next turn ---- */

static void relay_close_exchange(struct relay *r)
{
  if(!r->x_open) return;
  r->x_open = false;
  xchg_close(&r->x);
}

static void relay_release(struct relay *r, enum q_status how, const char *words, int wait_s)
{
  if(!r->lease_busy) return;
  r->lease_busy = false;
  if(how && how != Q_CLIENT_GONE) stats_upstream(r->answer.app->stats, how);
  pool_release(r->answer.app->pool, &r->lease, relay_wall(r), how, words, wait_s, STR_NONE);
}

static void relay_bury(struct pump_task *t)
{
  struct relay *r = (struct relay *)((char *)t - offsetof(struct relay, again));
  relay_free(r);
}

static void relay_bury_later(struct relay *r)
{
  if(r->again_on) pump_undefer(r->answer.ap->pump, &r->again);
  r->again.fn = relay_bury;
  pump_defer(r->answer.ap->pump, &r->again);
}

/* Ends the relay's work; it is buried now, or when what is on its way to it has arrived. */
static void relay_over(struct answer *a)
{
  struct relay *r = relay_of(a);
  enum relay_state was = r->state;
  r->state = RELAY_OVER;
  relay_close_exchange(r);
  relay_release(r, Q_CLIENT_GONE, "", 0);
  pump_timer_off(r->answer.ap->pump, &r->timer);
  if(was == RELAY_QUEUED && !pool_leave(r->answer.app->pool, &r->waiter) && r->waiter.lease.account) return; /* grant_task comes */
  if(was == RELAY_RENEWING && !login_leave(r->answer.app->login, &r->renewing)) return;                      /* renewing.done comes */
  relay_bury_later(r);
}

/* ---- what the answer asks ---- */

static void relay_info(const struct answer *a, struct answer_info *i)
{
  const struct relay *r = relay_of(a);
  int route = r->route < r->route_n ? r->route : r->route_n - 1;
  i->model_id = r->model_id;
  i->ignored = strbuf_str(&r->req.ignored);
  i->route = route >= 0 && r->routes[route] == POOL_GRANT ? "cli" : "api";
  i->attempts = r->attempts;
}

static void relay_beat(struct answer *a, struct strbuf *b)
{
  struct relay *r = relay_of(a);
  if(r->retell) retell_beat(r->retell, b);
  else strbuf_lit(b, ": keep-alive\n\n");
}

static int relay_error(struct answer *a, const struct q_error *e, struct strbuf *b)
{
  const struct relay *r = relay_of(a);
  bool event = a->stream && a->committed;
  if(r->retell) {
    retell_error(r->retell, e, event, b);
    return 0;
  }
  if(event) strbuf_lit(b, "data: ");
  relay_err_write(&r->told, e, b);
  if(event) strbuf_lit(b, "\n\ndata: [DONE]\n\n");
  return r->told.status;
}

static void relay_tell(struct relay *r, const struct relay_err *err, const struct q_error *e)
{
  struct q_error own = *e;
  if(r->state == RELAY_OVER) return;
  if(r->retell && err->st == Q_UP_BODY && err->status >= 400 && err->status < 500) own.st = Q_BAD_VALUE; /* about the request */
  r->told = *err;
  relay_close_exchange(r);
  relay_release(r, Q_CLIENT_GONE, "", 0);
  answer_fail(&r->answer, &own);
}

static void relay_fail(struct answer *a, const struct q_error *e)
{
  relay_tell(relay_of(a), &(struct relay_err){ .st = e->st }, e);
}

/* ---- the answer ---- */

/* Told by the client's protocol's writers, or passed on. */
static enum q_status relay_told_push(struct relay *r, struct str in, struct strbuf *b, struct relay_err *err)
{
  return r->retell ? retell_push(r->retell, in, b, err) : relay_out_push(&r->out, in, b, err);
}
static enum q_status relay_told_whole(struct relay *r, struct str body, struct strbuf *b, struct relay_err *err)
{
  return r->retell ? retell_whole(r->retell, body, b, err) : relay_out_whole(&r->out, body, b, err);
}
static enum q_status relay_told_end(struct relay *r, struct strbuf *b, struct relay_err *err)
{
  return r->retell ? retell_end(r->retell, now_wall_s(r->answer.app->now), b, err) : relay_out_end(&r->out, b, err);
}

static void relay_success(struct relay *r)
{
  const struct usage *u = r->retell ? retell_usage(r->retell) : &r->out.counts;
  if(r->lease_busy && r->kind == RELAY_CLI) pool_count_cli(r->answer.app->pool, r->lease.account, relay_wall(r), u->prompt, u->completion);
  relay_release(r, Q_OK, "", 0);
  LOG_DEBUG(r->answer.app->log, "relay", r->answer.request_id, "done: %lld in, %lld out", (long long)u->prompt, (long long)u->completion);
  if(r->kept) r->kept(r->kept_ctx, retell_out(r->retell));
  r->kept = NULL;
  answer_done(&r->answer);
}

static void relay_success_whole(struct relay *r, struct str body)
{
  if(answer_whole(&r->answer, body)) answer_no_memory(&r->answer);
  else relay_success(r);
}

/* The upstream has said all. */
static void relay_finish(struct relay *r)
{
  struct relay_err err;
  struct strbuf body = STRBUF(ANSWER_WHOLE_MAX), *b = r->answer.stream ? answer_begin(&r->answer) : &body;
  size_t before = b->n;
  relay_close_exchange(r);
  if(relay_told_end(r, b, &err)) {
    b->n = before;
    relay_trouble(r, &err);
  } else if(r->answer.stream) {
    (void)answer_write(&r->answer, true);
    relay_success(r);
  } else {
    relay_success_whole(r, strbuf_str(&body));
  }
  strbuf_free(&body);
}

static void relay_collected_embeddings(struct relay *r)
{
  struct strbuf body = STRBUF(ANSWER_WHOLE_MAX);
  enum q_status st = relay_out_embeddings(strbuf_str(&r->body), str_z(r->shown_model), r->base64, &r->out.counts, &body);
  relay_close_exchange(r);
  if(st) relay_trouble(r, &(struct relay_err){ .st = st });
  else relay_success_whole(r, strbuf_str(&body));
  strbuf_free(&body);
}

/* ---- reading the upstream ---- */

/* Bytes of the event stream to bytes for the client, in one write. false: it is over, one way or another. */
static bool relay_events(struct relay *r, struct str in)
{
  struct relay_err err;
  answer_told(&r->answer);
  struct strbuf *b = answer_begin(&r->answer);
  size_t before = b->n;
  enum q_status st = relay_told_push(r, in, b, &err);
  if(r->answer.stream && !b->err && b->n > before) {
    enum q_status w = answer_write(&r->answer, false);
    if(!w && !r->sent) {
      r->sent = true;
      if(r->then_web) client_release_request(r->answer.client); /* no web chat will read it any more */
    }
    if(w == Q_NOMEM && st == Q_AGAIN) {
      answer_no_memory(&r->answer);
      return false;
    }
  }
  if(st == Q_AGAIN) return true;
  if(st == Q_EOF) relay_finish(r);
  else relay_trouble(r, &err);
  return false;
}

/* The body turned out to be no event stream. */
static void relay_collected(struct relay *r)
{
  struct relay_err err;
  struct str body = strbuf_str(&r->body);
  relay_err_body(&err, r->http_status, str_z(r->retry_after), body);
  if(!err.st && r->kind == RELAY_EMBEDDINGS) {
    relay_collected_embeddings(r);
    return;
  }
  if(err.st) {
    relay_trouble(r, &err);
    return;
  }
  struct strbuf *b = answer_begin(&r->answer);
  size_t before = b->n;
  enum q_status st = relay_told_whole(r, body, b, &err);
  if(st != Q_EOF) {
    relay_trouble(r, &err);
    return;
  }
  if(r->answer.stream && b->n > before && answer_write(&r->answer, false) == Q_OK) r->sent = true;
  relay_finish(r);
}

static void relay_read_end(struct relay *r)
{
  if(r->state == RELAY_READING) relay_finish(r);
  else relay_collected(r);
}

/* '{' and '<' never start an event stream. false: nothing but blanks yet. */
static bool relay_sniff(struct relay *r, struct str in)
{
  struct str t = str_trim(in);
  if(str_starts(t, S("\xef\xbb\xbf"))) t = str_trim(str_sub(t, 3, t.n));
  if(r->http_status != 200 || r->kind == RELAY_EMBEDDINGS) r->state = RELAY_COLLECTING;
  else if(!t.n) return false;
  else r->state = t.p[0] == '{' || t.p[0] == '<' ? RELAY_COLLECTING : RELAY_READING;
  return true;
}

static void relay_broken(struct relay *r, enum q_status st)
{
  struct relay_err err = { .st = st };
  str_copy(err.words, sizeof err.words, str_z(xchg_error(&r->x)));
  relay_trouble(r, &err);
}

/* Reads what is there until the socket is empty, the client lags, or this relay's share of the turn is used. */
static void relay_pull(struct relay *r)
{
  size_t share = RELAY_TURN_BYTES;
  while(r->x_open && r->state != RELAY_OVER) {
    struct str in;
    if(answer_lags(&r->answer)) return; /* drained() goes on */
    if(share == 0) {
      if(!r->again_on) pump_defer(r->answer.ap->pump, &r->again);
      r->again_on = true;
      return;
    }
    enum q_status st = xchg_read(&r->x, &in);
    if(st == Q_AGAIN) return;
    if(st == Q_EOF) {
      relay_read_end(r);
      return;
    }
    if(st) {
      relay_broken(r, st);
      return;
    }
    share = in.n < share ? share - in.n : 0;
    r->idle_ms = relay_now(r) + r->answer.config->upstream_idle_timeout_ms;
    if(r->state == RELAY_ASKED) {
      r->step_ms = 0;
      if(!relay_sniff(r, in)) continue;
    }
    if(r->state == RELAY_READING) {
      if(!relay_events(r, in)) return;
      continue;
    }
    strbuf_add(&r->body, in.p, in.n < RELAY_BODY_MAX - r->body.n ? in.n : RELAY_BODY_MAX - r->body.n);
    if(r->body.err) {
      relay_trouble(r, &(struct relay_err){ .st = r->body.err });
      return;
    }
  }
}

static void relay_ready(struct xchg *x)
{
  struct relay *r = (struct relay *)((char *)x - offsetof(struct relay, x));
  struct xchg_head head;
  if(r->http_status == 0 && r->state == RELAY_ASKED) {
    enum q_status st = xchg_head(x, &head);
    if(st == Q_AGAIN) return;
    if(st) {
      relay_broken(r, st);
      return;
    }
    r->http_status = head.status;
    str_copy(r->retry_after, sizeof r->retry_after, xchg_header(x, S("retry-after")));
  }
  relay_pull(r);
  if(r->state != RELAY_OVER) relay_arm(r);
}

static void relay_again(struct pump_task *t)
{
  struct relay *r = (struct relay *)((char *)t - offsetof(struct relay, again));
  r->again_on = false;
  relay_pull(r);
}

/* ---- asking ---- */

/* The newest coder of a list is the one the vendor put first. */
static struct str relay_first_coder(struct str names)
{
  while(names.n) {
    struct str name = str_trim(str_cut(&names, '\n'));
    if(str_ifind(name, S("coder")) >= 0) return name;
  }
  return S("qwen3-coder-plus");
}

static bool relay_names(struct str names, struct str name)
{
  while(names.n)
    if(str_eq(str_trim(str_cut(&names, '\n')), name)) return true;
  return false;
}

static struct relay_req_to relay_to(const struct relay *r)
{
  struct str name = str_z(r->name), list = secret_str(r->lease.models);
  struct relay_req_to to = { .needs_system = r->lease.plane == POOL_GRANT };
  if(r->lease.plane == POOL_API && relay_names(list, name)) {
    to.model = name;
    return to;
  }
  to.model = relay_req_bare(name, &to.think, &to.search);
  bool coder = !to.model.n || str_eq(to.model, S("coder-model"));
  if(r->lease.plane == POOL_API && coder) to.model = relay_first_coder(list);
  if(r->lease.plane == POOL_GRANT && (coder || str_eq(to.model, S("qwen3.5-plus")) || str_eq(to.model, S("qwen3.6-plus"))))
    to.model = S("coder-model");
  return to;
}

static void relay_url(const struct relay *r, struct strbuf *url)
{
  struct str cli = str_z(r->answer.config->qwen_cli_proxy_url), told = secret_str(r->lease.base);
  bool usual = str_eq(cli, S("https://portal.qwen.ai")); /* one that the operator set wins over what a grant says */
  if(r->lease.plane == POOL_API) strbuf_adds(url, told);
  else grant_base(usual ? told : STR_NONE, cli, url);
  strbuf_addz(url, r->kind == RELAY_EMBEDDINGS ? "/embeddings" : "/chat/completions");
}

static enum q_status relay_call(struct relay *r)
{
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024), body = STRBUF(SIZE_MAX / 4);
  struct relay_req_to to = relay_to(r);
  struct str proxy = secret_str(r->lease.proxy);
  relay_url(r, &url);
  struct vendor_call call = { r->answer.config, &r->answer.ap->rng, secret_str(r->lease.token), secret_str(r->lease.headers),
                              secret_str(r->lease.cookie), r->kind != RELAY_EMBEDDINGS };
  vendor_headers(&call, &headers);
  str_copy(r->model_id, sizeof r->model_id, to.model);
  if(r->kind == RELAY_EMBEDDINGS) strbuf_adds(&body, strbuf_str(&r->embeddings));
  else relay_req_write(&r->req, &to, &body);
  r->x = (struct xchg){ .on_ready = relay_ready };
  r->http_status = 0;
  r->retry_after[0] = 0;
  strbuf_clear(&r->body);
  enum q_status st = url.err ? url.err : headers.err ? headers.err : body.err;
  if(!st) {
    struct xchg_req q = { strbuf_str(&url), proxy.n ? proxy : str_z(r->answer.config->proxy_url), S("POST"), strbuf_str(&headers),
                          &body, r->answer.config->upstream_connect_timeout_ms };
    st = xchg_start(&r->x, r->answer.ap->httpc, &q);
  }
  if(!st) r->x_open = true;
  if(headers.p) crypt_wipe(headers.p, headers.n);
  strbuf_free(&body);
  strbuf_free(&headers);
  strbuf_free(&url);
  return st;
}

static void relay_ask(struct relay *r)
{
  struct relay_out_set set = { .model = str_z(r->shown_model), .id = r->out_id, .created_s = now_wall_s(r->answer.app->now),
                               .prompt_tokens = r->req.prompt_tokens, .stream = r->answer.stream, .usage = r->req.usage,
                               .hide_think = r->req.hide_think || !r->answer.config->output_think };
  int64_t now = relay_now(r);
  memcpy(r->out_id, "chatcmpl-", 9);
  crypt_id(&r->answer.ap->rng, r->out_id + 9, 24);
  r->attempts++;
  atomic_fetch_add(&r->answer.app->counts.attempts, 1);
  r->state = RELAY_ASKED;
  relay_out_free(&r->out);
  enum q_status st = r->retell ? retell_begin(r->retell, r->out_id + 9, set.created_s) : relay_out_init(&r->out, &set);
  if(!st) st = relay_call(r);
  if(st == Q_BAD_VALUE) {
    struct relay_err err = { .st = Q_UP_UNREACHABLE };
    str_copy(err.words, sizeof err.words, S("the base address of the account is not acceptable"));
    relay_trouble(r, &err);
    return;
  }
  if(st) {
    answer_no_memory(&r->answer);
    return;
  }
  r->step_ms = now + r->answer.config->upstream_first_byte_timeout_ms;
  r->idle_ms = 0;
  if(!r->turn_ms) r->turn_ms = now + r->answer.config->upstream_turn_timeout_ms;
  relay_arm(r);
}

/* ---- accounts and grants ---- */

static void relay_avoid(struct relay *r)
{
  struct pool_want *w = &r->waiter.want;
  if(w->avoid_n < POOL_AVOID_MAX) w->avoid[w->avoid_n++] = r->lease.account;
}

static void relay_renewed(struct login_waiter *w, enum q_status st)
{
  struct relay *r = (struct relay *)((char *)w - offsetof(struct relay, renewing));
  if(r->state == RELAY_OVER) {
    relay_bury_later(r);
    return;
  }
  r->state = RELAY_RESTING; /* nothing is on its way any more, should this be the end */
  bool newer = pool_token_reload(r->answer.app->pool, &r->lease);
  if(!st && (newer || !r->renewed) && !grant_due(&r->lease, relay_wall(r))) {
    relay_ask(r);
    return;
  }
  relay_avoid(r);
  relay_release(r, Q_CLIENT_GONE, "", 0); /* the renewal has booked its failure itself */
  relay_trouble(r, &(struct relay_err){ .st = st ? st : Q_NO_CLI });
}

static void relay_renew(struct relay *r)
{
  r->state = RELAY_RENEWING;
  r->renewing = (struct login_waiter){ .done = relay_renewed, .pump = r->answer.ap->pump };
  login_renew_grant(r->answer.app->login, r->lease.account, r->lease.token_no, &r->renewing);
  relay_arm(r);
}

static void relay_leased(struct relay *r)
{
  r->lease = r->waiter.lease;
  r->waiter.lease = LEASE_NONE;
  r->lease_busy = true;
  r->renewed = false;
  r->queue_ms = r->poll_ms = 0;
  if(!r->first_ms) r->first_ms = relay_now(r);
  answer_served(&r->answer, r->lease.account);
  answer_leased(&r->answer);
  if(r->lease.plane == POOL_GRANT && grant_due(&r->lease, relay_wall(r))) relay_renew(r);
  else relay_ask(r);
}

static void relay_granted(struct pump_task *t)
{
  struct relay *r = (struct relay *)((char *)t - offsetof(struct relay, grant_task));
  if(r->state == RELAY_OVER) {
    pool_release(r->answer.app->pool, &r->waiter.lease, relay_wall(r), Q_CLIENT_GONE, "", 0, STR_NONE);
    relay_bury_later(r);
    return;
  }
  relay_leased(r);
}

/* On whatever thread made room, with the pool's lock held. */
static void relay_grant(struct pool_waiter *w)
{
  struct relay *r = (struct relay *)((char *)w - offsetof(struct relay, waiter));
  pump_post(r->answer.ap->pump, &r->grant_task);
}

static void relay_remember(struct relay *r, const struct relay_err *err)
{
  if(!r->best.st || relay_route_rank(err->st) >= relay_route_rank(r->best.st)) r->best = *err;
}

/* Of a test the account's own trouble is told, not that of the route. */
static void relay_describe(const struct relay *r, const struct relay_err *err, struct q_error *e)
{
  if(r->only) cure_describe(e, err->st, err->words, err->wait_s, false);
  else relay_route_describe(r->answer.app, r->kind, err, e);
}

/* No account of ours serves: the web chat does, or the client is told. */
static void relay_elsewhere(struct relay *r)
{
  struct q_error e;
  struct pool_want web = { .feature = FEATURE_CHAT };
  r->state = RELAY_RESTING;
  bool may = r->then_web && r->answer.client && !r->sent && !atomic_load(&r->answer.app->draining);
  if(may && (pool_offer(r->answer.app->pool, &web, relay_wall(r)).configured || !r->best.st)) {
    unsigned head = r->answer.committed ? RELAY_NOTE_HEAD : 0, stream = r->answer.stream ? RELAY_NOTE_STREAM : 0;
    unsigned note = RELAY_NOTE_WEB | head | stream | (unsigned)r->attempts << RELAY_NOTE_ATTEMPTS;
    LOG_INFO(r->answer.app->log, "relay", r->answer.request_id, "no CLI account serves it (%s): web emulation",
             status_row(r->best.st)->text);
    struct client *client = answer_take(&r->answer);
    relay_over(&r->answer);
    client_redo(client, note);
    return;
  }
  if(!r->best.st) r->best.st = Q_NO_CLI;
  relay_describe(r, &r->best, &e);
  relay_tell(r, &r->best, &e);
}

static void relay_next_route(struct relay *r)
{
  r->route++;
  r->waiter.want.avoid_n = 0;
  r->waiter.want.avoid_hard = false;
  r->retries = 0;
}

static bool relay_last_route(const struct relay *r)
{
  return r->route + 1 >= r->route_n && !(r->then_web && relay_route_web_usable(r->answer.app));
}

static void relay_wanted(struct relay *r)
{
  struct pool_want *w = &r->waiter.want, fresh = relay_route_want(r->kind, r->routes[r->route], str_z(r->name));
  if(r->kind == RELAY_CHAT) fresh.model = relay_route_listed(r->answer.app, fresh.model);
  memcpy(fresh.avoid, w->avoid, sizeof fresh.avoid);
  fresh.avoid_n = w->avoid_n;
  fresh.avoid_hard = w->avoid_hard;
  fresh.only = r->only;
  *w = fresh;
  r->waiter.granted = relay_grant;
}

static void relay_seek(struct relay *r)
{
  int64_t return_ms, now = relay_now(r), wall = relay_wall(r), end = r->answer.begun_ms + r->answer.config->queue_timeout_ms;
  for(; r->route < r->route_n; relay_next_route(r)) {
    struct q_error e = Q_ERROR_NONE;
    r->state = RELAY_QUEUED;
    relay_wanted(r);
    enum q_status st = pool_acquire(r->answer.app->pool, &r->waiter, wall, relay_last_route(r) ? end - now : 0, &return_ms, &e);
    if(!st) {
      relay_leased(r);
      return;
    }
    if(st == Q_AGAIN) {
      r->queue_ms = end;
      r->poll_ms = return_ms ? now + (return_ms > wall ? return_ms - wall : 0) + 1 : 0;
      relay_arm(r);
      return;
    }
    r->state = RELAY_RESTING;
    struct relay_err err = { .st = st, .wait_s = e.retry_after_s };
    if(r->only) str_copy(err.words, sizeof err.words, str_z(e.msg));
    if(!r->waiter.want.avoid_n) relay_remember(r, &err); /* else the attempts have told why */
  }
  relay_elsewhere(r);
}

/* ---- trouble and its cure ---- */

static enum cure relay_cure_of(const struct relay *r, enum q_status st)
{
  switch(st) {
  case Q_UP_AUTH: return r->lease.plane == POOL_GRANT && r->lease_busy && !r->renewed ? CURE_TOKEN : CURE_ACCOUNT;
  case Q_NO_CLI:
  case Q_NO_MODEL: return CURE_ACCOUNT;
  case Q_UP_BODY: return CURE_LATER; /* without a status of its own it is the answer that is odd, not the question */
  case Q_UP_IN_PROGRESS:
  case Q_UP_CHAT_GONE: return CURE_NONE; /* there is no chat that could be made anew */
  default: return cure_of(st);
  }
}

/* Quotas of the CLI service return at midnight UTC+8. */
static int relay_quota_wait(const struct relay *r, const struct relay_err *err)
{
  const int64_t day = 24 * 3600, east = 8 * 3600;
  if(err->st != Q_UP_QUOTA || err->wait_s) return err->wait_s;
  int64_t local = relay_wall(r) / 1000 + east;
  return (int)((local / day + 1) * day - local);
}

static void relay_rest(struct relay *r)
{
  int64_t wait = cure_backoff_ms(r->answer.config->chat_retry_backoff_ms, r->retries, crypt_u32(&r->answer.ap->rng));
  r->state = RELAY_RESTING;
  r->rest_ms = relay_now(r) + (wait > 0 ? wait : 1);
  relay_arm(r);
}

static void relay_trouble(struct relay *r, const struct relay_err *seen)
{
  struct relay_err err = *seen;
  struct q_error e;
  enum cure cure = relay_cure_of(r, err.st);
  relay_close_exchange(r);
  r->step_ms = r->idle_ms = 0;
  if(err.st == Q_UP_BODY && err.status) cure = CURE_NONE;
  err.wait_s = relay_quota_wait(r, &err);
  LOG_INFO(r->answer.app->log, "relay", r->answer.request_id, "attempt %d on %s: %s%s%s", r->attempts,
           r->lease_busy ? r->lease.account->label : "-", status_row(err.st)->text, err.words[0] ? ": " : "", err.words);
  bool may = !r->sent && r->answer.client && (!r->first_ms || relay_now(r) - r->first_ms < RELAY_LAST_ATTEMPT_MS) &&
             !atomic_load(&r->answer.app->draining);
  if(!may) cure = CURE_NONE;
  if(cure == CURE_TOKEN) {
    r->renewed = true;
    if(pool_token_reload(r->answer.app->pool, &r->lease)) relay_ask(r); /* another request renewed it meanwhile */
    else relay_renew(r);
    return;
  }
  if(r->only) cure = CURE_NONE; /* there is no other, and this one is not pressed */
  relay_remember(r, &err);
  if(r->lease_busy) relay_avoid(r);
  enum q_status how = err.st == Q_UP_AUTH && r->lease.plane == POOL_GRANT ? Q_NO_CLI : err.st;
  relay_release(r, how, err.words, err.wait_s);
  if(cure == CURE_NONE) {
    relay_describe(r, &err, &e);
    relay_tell(r, &err, &e);
    return;
  }
  r->waiter.want.avoid_hard = cure == CURE_ACCOUNT;
  bool spent = r->answer.config->chat_retry_count == 0 || (cure == CURE_LATER && ++r->retries > r->answer.config->chat_retry_count) ||
               (cure == CURE_ACCOUNT && ++r->account_tries > RELAY_ACCOUNTS_MAX);
  if(spent) relay_next_route(r);
  if(cure == CURE_LATER && !spent) relay_rest(r);
  else relay_seek(r);
}

/* ---- time ---- */

static void relay_earliest(int64_t *at, int64_t t)
{
  if(t && (!*at || t < *at)) *at = t;
}

/* Keeps one timer at or before the earliest deadline; deadlines that only move away cost nothing. */
static void relay_arm(struct relay *r)
{
  int64_t at = 0;
  relay_earliest(&at, r->queue_ms);
  relay_earliest(&at, r->poll_ms);
  relay_earliest(&at, r->step_ms);
  relay_earliest(&at, r->idle_ms);
  relay_earliest(&at, r->turn_ms);
  relay_earliest(&at, r->rest_ms);
  if(!at || (r->timer.slot && r->timer.at_ms <= at)) return;
  if(pump_timer_set(r->answer.ap->pump, &r->timer, at))
    LOG_ERROR(r->answer.app->log, "relay", r->answer.request_id, "no memory for a timer");
}

static bool relay_due(int64_t *deadline, int64_t now)
{
  if(!*deadline || now < *deadline) return false;
  *deadline = 0;
  return true;
}

static void relay_late(struct relay *r, enum q_status st)
{
  relay_trouble(r, &(struct relay_err){ .st = st });
}

static void relay_time(struct pump_timer *t)
{
  struct relay *r = (struct relay *)((char *)t - offsetof(struct relay, timer));
  int64_t now = relay_now(r);
  if(relay_due(&r->rest_ms, now)) {
    relay_seek(r);
  } else if(r->state == RELAY_QUEUED && relay_due(&r->queue_ms, now)) {
    if(pool_leave(r->answer.app->pool, &r->waiter)) {
      r->state = RELAY_RESTING;
      relay_seek(r); /* without patience: an account, or why there is none */
      return;
    }
  } else if(r->state == RELAY_QUEUED && relay_due(&r->poll_ms, now)) {
    pool_poll(r->answer.app->pool, relay_wall(r));
  } else if(r->state == RELAY_ASKED && r->step_ms && now >= r->step_ms && !xchg_sent_all(&r->x)) {
    r->step_ms = now + r->answer.config->upstream_first_byte_timeout_ms; /* it runs from the last byte of the question */
  } else if(relay_due(&r->step_ms, now)) {
    relay_late(r, Q_UP_FIRST_TIME);
    return;
  } else if(relay_due(&r->turn_ms, now)) {
    if(r->x_open) {
      relay_late(r, Q_UP_IDLE_TIME);
      return;
    }
  } else if(relay_due(&r->idle_ms, now)) {
    if(r->x_open && answer_lags(&r->answer)) { /* that is not the upstream's silence */
      r->idle_ms = now + r->answer.config->upstream_idle_timeout_ms;
    } else if(r->x_open) {
      relay_late(r, Q_UP_IDLE_TIME);
      return;
    }
  }
  if(r->state != RELAY_OVER) relay_arm(r);
}

/* ---- the client ---- */

static void relay_start(struct answer *a)
{
  struct relay *r = relay_of(a);
  r->timer.fn = relay_time;
  r->again.fn = relay_again;
  r->grant_task.fn = relay_granted;
  if(!r->then_web) client_release_request(a->client);
  crypt_id(&a->ap->rng, r->out_id, 24); /* errors before the first attempt have a name, too */
  if(r->retell && retell_begin(r->retell, r->out_id, now_wall_s(a->app->now))) answer_no_memory(a);
  else relay_seek(r);
}

static void relay_drained(struct answer *a)
{
  struct relay *r = relay_of(a);
  if(!r->x_open) return;
  if(r->state == RELAY_READING) r->idle_ms = relay_now(r) + a->config->upstream_idle_timeout_ms;
  relay_pull(r);
}

static void relay_counted(const struct answer *a, struct stats_turn *t)
{
  const struct relay *r = relay_of(a);
  const struct usage *u = r->retell ? retell_usage(r->retell) : &r->out.counts;
  t->in = u->prompt;
  t->out = u->completion;
  t->cli = r->kind == RELAY_CLI;
  if(t->status >= 500 && r->told.status) t->status = r->told.status;
}

static const struct answer_ops relay_answer_ops = {
  "relay", relay_start, relay_drained, relay_info, relay_beat, relay_error, relay_fail, relay_over, relay_counted,
};

struct client_taker *relay_taker(struct relay *r)
{
  return answer_taker(&r->answer);
}
