#include "domain/vendor.h"

#include "base/mem.h"
#include "domain/qwen.h"
#include "proto/json.h"

enum {
  VENDOR_LIST_MS = 20 * 1000,
  VENDOR_BODY_MAX = 4 * 1024 * 1024,
  VENDOR_NAMES_MAX = 64 * 1024,
  VENDOR_DAY_MS = 24 * 3600 * 1000,
  VENDOR_AGAIN_MS = 10 * 60 * 1000
};

struct vendor {
  struct app *app;
  struct job job;
  atomic_bool busy;
  struct account *account; /* of the job under way */
};

static void vendor_line(const struct vendor_call *v, struct strbuf *out, const char *name, struct str value)
{
  if(qwen_overridden(v->config, v->headers, name)) return;
  strbuf_addz(out, name);
  strbuf_lit(out, ": ");
  for(size_t i = 0; i < value.n; i++) strbuf_addc(out, (unsigned char)value.p[i] < 0x20 ? ' ' : value.p[i]);
  strbuf_lit(out, "\r\n");
}

void vendor_headers(const struct vendor_call *v, struct strbuf *out)
{
  char uuid[37];
  if(!qwen_overridden(v->config, v->headers, "authorization")) {
    strbuf_lit(out, "Authorization: Bearer ");
    for(size_t i = 0; i < v->key.n; i++) strbuf_addc(out, (unsigned char)v->key.p[i] <= ' ' ? '_' : v->key.p[i]);
    strbuf_lit(out, "\r\n");
  }
  crypt_uuid(v->rng, uuid);
  vendor_line(v, out, "Content-Type", S("application/json"));
  vendor_line(v, out, "Accept", v->events ? S("text/event-stream") : S("application/json"));
  vendor_line(v, out, "Accept-Encoding", S("identity"));
  vendor_line(v, out, "User-Agent", str_z(v->config->upstream_user_agent));
  vendor_line(v, out, "x-request-id", str_z(uuid));
  if(v->cookie.n) vendor_line(v, out, "Cookie", v->cookie);
  qwen_operator(v->config, v->headers, out);
}

/* ---- model lists ---- */

static struct secret *vendor_names(struct str body)
{
  struct arena a = ARENA(64u * 1024 * 1024);
  struct strbuf names = STRBUF(VENDOR_NAMES_MAX);
  const struct json *list = json_get(json_parse(&a, body, 32, NULL), "data");
  if(json_is(list, JSON_ARRAY))
    for json_each(m, list) {
      struct str id = json_str(json_get(m, "id"));
      if(!id.n || str_chr(id, '\n') >= 0 || names.n + id.n + 1 > VENDOR_NAMES_MAX) continue;
      if(names.n) strbuf_addc(&names, '\n');
      strbuf_adds(&names, id);
    }
  struct secret *s = names.n && !names.err ? secret_new(strbuf_str(&names)) : NULL;
  strbuf_free(&names);
  arena_free(&a);
  return s;
}

enum q_status vendor_try(struct app *a, const struct pool_login *who, struct secret **names, char words[304])
{
  struct config *c = app_config(a);
  struct crypt_rng rng = { .left = 0 };
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024), body = STRBUF(VENDOR_BODY_MAX);
  struct str proxy = secret_str(who->proxy);
  struct vendor_call call = { c, &rng, secret_str(who->token), secret_str(who->headers), secret_str(who->cookie), false };
  struct q_error e = Q_ERROR_NONE;
  int status = 0;
  *names = NULL;
  strbuf_adds(&url, secret_str(who->base));
  strbuf_lit(&url, "/models");
  vendor_headers(&call, &headers);
  struct xchg_req r = { strbuf_str(&url), proxy.n ? proxy : str_z(c->proxy_url), S("GET"), strbuf_str(&headers), NULL,
                        c->upstream_connect_timeout_ms };
  enum q_status st = url.err ? url.err : headers.err;
  if(!st) st = httpc_call(a->net, a->now, &r, VENDOR_LIST_MS, &status, NULL, &body, &e);
  if(st) str_copy(words, 304, str_z(e.msg));
  else if(status == 401 || status == 403) st = Q_UP_AUTH;
  else if(status == 200) *names = vendor_names(strbuf_str(&body));
  crypt_wipe(&rng, sizeof rng);
  if(headers.p) crypt_wipe(headers.p, headers.n);
  strbuf_free(&headers);
  strbuf_free(&body);
  strbuf_free(&url);
  config_unref(c);
  return st;
}

static void vendor_job(struct job *j)
{
  struct vendor *v = (struct vendor *)((char *)j - offsetof(struct vendor, job));
  struct app *a = v->app;
  struct pool_login who = { .password = NULL };
  struct account *account = v->account;
  struct secret *names = NULL;
  char words[304];
  if(pool_login_get(a->pool, account, &who) && vendor_try(a, &who, &names, words)) names = NULL;
  int64_t now = now_wall_ms(a->now);
  pool_set_models(a->pool, account, names, names ? now : now - VENDOR_DAY_MS + VENDOR_AGAIN_MS);
  if(names) LOG_INFO(a->log, "cli", "", "%s lists its models", account->label);
  else LOG_INFO(a->log, "cli", "", "%s has no model list; names are passed on", account->label);
  secret_unref(names);
  pool_login_free(&who);
  pool_unkeep(a->pool, account);
  atomic_store(&v->busy, false);
}

struct vendor_due { struct account *a; int64_t now; };

static void vendor_find(void *ctx, struct account *a)
{
  struct vendor_due *d = ctx;
  bool due = !a->models_asked_ms || d->now - a->models_asked_ms >= VENDOR_DAY_MS;
  if(d->a || a->kind != ACCOUNT_API || a->models_given || a->removed || a->whole != ACCOUNT_ACTIVE || !due) return;
  d->a = a;
  a->refs++; /* the job's; given back by pool_unkeep() */
}

void vendor_look(struct vendor *v, int64_t now_ms)
{
  struct vendor_due d = { NULL, now_ms };
  if(atomic_exchange(&v->busy, true)) return;
  pool_each(v->app->pool, vendor_find, &d);
  v->account = d.a;
  if(d.a && jobs_submit(v->app->jobs, &v->job) == Q_OK) return;
  if(d.a) pool_unkeep(v->app->pool, d.a);
  atomic_store(&v->busy, false);
}

struct vendor *vendor_new(struct app *a)
{
  struct vendor *v = mem_zalloc(sizeof *v);
  if(!v) return NULL;
  v->app = a;
  v->job.fn = vendor_job;
  return v;
}

void vendor_destroy(struct vendor *v)
{
  mem_free(v);
}
