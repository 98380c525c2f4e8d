/* Checks on request (api 9.2): the doctor, one proxy, one Redis, the model list anew. All run in jobs. */
#include "domain/doctor.h"
#include "domain/keeper.h"
#include "http/handlers.h"
#include "proto/json.h"
#include "proto/url.h"

static void h_doctor_tell(void *ctx, const struct doctor_finding *f)
{
  struct strbuf *b = ctx;
  strbuf_addz(b, b->n > 1 ? ",{\"id\":" : "{\"id\":");
  strbuf_json(b, str_z(f->id));
  strbuf_fmt(b, ",\"level\":\"%s\",\"message\":", f->level);
  strbuf_json(b, str_z(f->message));
  strbuf_lit(b, ",\"fix\":");
  strbuf_json(b, str_z(f->fix));
  strbuf_addc(b, '}');
}

void h_doctor(struct req *q)
{
  struct strbuf b = STRBUF(256 * 1024);
  strbuf_addc(&b, '[');
  struct doctor d = { .config = q->config, .net = q->app->net, .now = q->app->now, .app = q->app, .tell = h_doctor_tell, .ctx = &b };
  (void)doctor_look(&d);
  strbuf_addc(&b, ']');
  req_answer(q, 200, S("application/json"), S("Cache-Control: no-store\r\n"), strbuf_str(&b));
  strbuf_free(&b);
}

static void h_doctor_said(struct req *q, enum q_status st, int64_t ms, const struct q_error *e)
{
  struct strbuf b = STRBUF(4096);
  strbuf_fmt(&b, "{\"ok\":%s,\"ms\":%lld,\"message\":", st ? "false" : "true", (long long)ms);
  strbuf_json(&b, st ? str_z(e->msg[0] ? e->msg : status_row(st)->text) : S("It answers."));
  strbuf_addc(&b, '}');
  req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&b));
  strbuf_free(&b);
}

/* The text of a member that must be a URL of one of the schemes; empty: answered already. */
static struct str h_doctor_url(struct req *q, const char *name, const char *schemes)
{
  const struct json *body = req_json(q);
  struct str text = json_str(json_get(body, name)), rest = str_z(schemes);
  struct q_error e = Q_ERROR_NONE;
  struct url u;
  bool known = false;
  if(!body) return STR_NONE;
  if(text.n && url_split(text, &u))
    while(rest.n) known |= str_ieq(str_cut(&rest, ' '), u.scheme);
  if(known) return text;
  status_fail(&e, text.n ? Q_BAD_VALUE : Q_MISSING, name, "'%s' must be a URL (%s).", name, schemes);
  req_fail(q, &e);
  return STR_NONE;
}

void h_test_proxy(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  int64_t ms = 0;
  struct str proxy = h_doctor_url(q, "proxy", "http https socks5 socks5h");
  if(!proxy.n) return;
  enum q_status st = doctor_try_proxy(q->config, q->app->net, q->app->now, proxy, &ms, &e);
  h_doctor_said(q, st, ms, &e);
}

void h_test_redis(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  int64_t ms = 0;
  struct str url = h_doctor_url(q, "url", "redis rediss");
  if(!url.n) return;
  enum q_status st = doctor_try_redis(q->app->net, q->app->now, url, &ms, &e);
  h_doctor_said(q, st, ms, &e);
}

void h_models_refresh(struct req *q)
{
  if(keeper_models_fetch(q->app->keeper)) h_models(q);
  else req_fail_st(q, Q_NO_USABLE, NULL, "The list could not be fetched; the log says why. Look at the accounts.");
}
