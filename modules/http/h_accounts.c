/* Accounts (api 9.1): one page of them, add, change, enable, take away, renew, end a rest, show a password. All run in jobs. */
#include "base/mem.h"
#include "http/h_account.h"
#include "http/handlers.h"

enum { H_ACCOUNTS_PAGE = 1000 };

/* ---- GET /api/getAllAccounts ---- */

struct h_accounts_page { struct req *q; struct strbuf *b; struct h_account_day *day; bool any; };

static void h_accounts_row(void *ctx, const struct roster_view *v)
{
  struct h_accounts_page *p = ctx;
  if(p->any) strbuf_addc(p->b, ',');
  p->any = true;
  h_account_write(p->q->config, p->day, v, p->b);
}

/* A number of the query from min to max; false: answered already. */
static bool h_accounts_number(struct req *q, struct str name, int min, int max, int *out)
{
  struct str s = h_account_query(q, name);
  struct q_error e = Q_ERROR_NONE;
  int64_t n = *out;
  if(s.n && (!str_int(s, &n) || n < min || n > max)) {
    char param[32];
    str_copy(param, sizeof param, name);
    status_fail(&e, Q_BAD_VALUE, param, "'%s' must be a whole number from %d to %d.", param, min, max);
    req_fail(q, &e);
    return false;
  }
  *out = (int)n;
  return true;
}

static bool h_accounts_order(struct req *q, struct roster_query *r)
{
  static const char *const sorts[] = { "email", "expires", "status", "lastUsed", "calls", "created" };
  struct str sort = h_account_query(q, S("sort")), order = h_account_query(q, S("order")), status = h_account_query(q, S("status"));
  int s = 0, d = 0;
  while(sort.n && s < 6 && !str_eq(sort, str_z(sorts[s]))) s++;
  while(d < ROSTER_DISPLAYS && !str_eq(status, str_z(roster_display_name((enum roster_display)d)))) d++;
  r->sort = (enum roster_sort)s;
  r->status = (enum roster_display)d;
  r->descending = str_ieq(order, S("desc"));
  if(s == 6) req_fail_st(q, Q_BAD_VALUE, "sort", "'sort' must be email, expires, status, lastUsed, calls or created.");
  else if(status.n && d == ROSTER_DISPLAYS) req_fail_st(q, Q_BAD_VALUE, "status", "'status' is no status of an account.");
  else if(order.n && !r->descending && !str_ieq(order, S("asc"))) req_fail_st(q, Q_BAD_VALUE, "order", "'order' must be asc or desc.");
  else return true;
  return false;
}

void h_accounts(struct req *q)
{
  struct roster_query r = { .page = 1, .page_size = H_ACCOUNTS_PAGE, .calls = h_account_calls };
  struct h_account_day day;
  struct strbuf rows = STRBUF(H_ACCOUNT_PAGE_MAX), b = STRBUF(H_ACCOUNT_PAGE_MAX);
  struct h_accounts_page p = { q, &rows, &day, false };
  int total = 0;
  if(!h_accounts_number(q, S("page"), 1, 1000000, &r.page) || !h_accounts_number(q, S("pageSize"), 1, H_ACCOUNTS_PAGE, &r.page_size) ||
     !h_accounts_order(q, &r)) return;
  r.search = str_trim(h_account_query(q, S("search")));
  h_account_day_read(&day, q->app);
  r.ctx = &day;
  if(roster_list(q->app, &r, h_accounts_row, &p, &total)) rows.err = Q_NOMEM;
  h_account_day_free(&day);
  strbuf_fmt(&b, "{\"total\":%d,\"page\":%d,\"pageSize\":%d,\"data\":[", total, r.page, r.page_size);
  strbuf_adds(&b, strbuf_str(&rows));
  strbuf_lit(&b, "]}");
  if(rows.err) b.err = rows.err;
  strbuf_free(&rows);
  h_account_send(q, 200, &b);
}

/* ---- writes ---- */

static void h_accounts_said(struct req *q, struct str email, const char *message)
{
  struct strbuf b = STRBUF(64 * 1024);
  strbuf_lit(&b, "{\"email\":");
  strbuf_json(&b, email);
  strbuf_lit(&b, ",\"message\":");
  strbuf_json(&b, str_z(message));
  h_account_wrote(q, 200, &b);
}

void h_accounts_add(struct req *q)
{
  struct account_fields f;
  struct q_error e = Q_ERROR_NONE;
  char name[256] = "";
  const struct json *body = req_json(q);
  if(!body) return;
  enum q_status st = account_fields_read(body, &f, &e);
  if(!st) st = roster_add(q->app, &f, name, &e);
  account_fields_free(&f);
  if(st) req_fail(q, &e);
  else h_accounts_said(q, str_z(name), "The account was added.");
}

void h_accounts_update(struct req *q)
{
  struct account_fields f;
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = req_json(q);
  struct str email = body ? h_account_name(q, body) : STR_NONE;
  if(!email.n) return;
  enum q_status st = account_fields_read(body, &f, &e);
  if(!st) st = roster_update(q->app, email, &f, &e);
  account_fields_free(&f);
  if(st) req_fail(q, &e);
  else h_account_answer(q, email);
}

void h_accounts_proxy(struct req *q)
{
  struct account_fields f = { .given = 0 };
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = req_json(q);
  struct str email = body ? h_account_name(q, body) : STR_NONE;
  struct strbuf b = STRBUF(64 * 1024), shown = STRBUF(4096);
  if(!email.n) return;
  enum q_status st = json_get(body, "proxy") ? account_fields_read(body, &f, &e) : status_fail(&e, Q_MISSING, "proxy", "'proxy' is missing; null takes it away.");
  f.given &= 1u << FIELD_PROXY;
  if(!st) st = roster_update(q->app, email, &f, &e);
  account_fields_free(&f);
  struct roster_view *v = mem_zalloc(sizeof *v);
  if(!st && (!v || roster_find(q->app, email, v))) st = status_fail(&e, Q_NOT_FOUND, "email", "There is no such account any more.");
  if(st) {
    req_fail(q, &e);
    mem_free(v);
    return;
  }
  if(v->proxy) account_show_url(secret_str(v->proxy), &shown);
  roster_view_free(v);
  mem_free(v);
  strbuf_lit(&b, "{\"email\":");
  strbuf_json(&b, email);
  strbuf_lit(&b, ",\"proxy\":");
  if(shown.n) strbuf_json(&b, strbuf_str(&shown));
  else strbuf_lit(&b, "null");
  strbuf_free(&shown);
  h_account_wrote(q, 200, &b);
}

/* "email", "emails" (an array), or ?email=. NULL: answered already. */
static struct str *h_accounts_names(struct req *q, const struct json *body, int *n)
{
  const struct json *list = json_get(body, "emails");
  if(json_is(json_get(body, "email"), JSON_ARRAY)) list = json_get(body, "email");
  bool many = json_is(list, JSON_ARRAY);
  struct str *v = arena_alloc(q->arena, (size_t)(many ? list->count + 1 : 1) * sizeof *v);
  *n = 0;
  if(!v) {
    req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
    return NULL;
  }
  if(!many) {
    struct str name = h_account_name(q, body);
    if(!name.n) return NULL; /* answered: the arena is gone */
    v[0] = name;
    *n = 1;
    return v;
  }
  for json_each(m, list) {
    struct str name = str_trim(json_str(m));
    v[(*n)++] = name;
    if(!name.n) {
      req_fail_st(q, Q_BAD_VALUE, "emails", "'emails' must be an array of names of accounts.");
      return NULL;
    }
  }
  return v;
}

static void h_accounts_counted(struct req *q, enum q_status st, const struct q_error *e, const char *what, int n)
{
  struct strbuf b = STRBUF(256);
  if(st) {
    req_fail(q, e);
    return;
  }
  strbuf_fmt(&b, "{\"%s\":%d", what, n);
  h_account_wrote(q, 200, &b);
}

void h_accounts_delete(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = str_trim(q->body).n ? req_json(q) : NULL;
  int n = 0;
  if(!body && str_trim(q->body).n) return;
  if(json_true(json_get(body, "all"))) {
    if(!str_eq(json_str(json_get(body, "confirm")), S("DELETE"))) {
      req_fail_st(q, Q_BAD_VALUE, "confirm", "To take all accounts away send \"confirm\":\"DELETE\" as well.");
      return;
    }
    enum q_status st = roster_delete_all(q->app, &n, &e);
    h_accounts_counted(q, st, &e, "deleted", n);
    return;
  }
  struct str *names = h_accounts_names(q, body, &n);
  if(!names) return;
  enum q_status st = roster_delete(q->app, names, &n, &e);
  h_accounts_counted(q, st, &e, "deleted", n);
}

void h_accounts_enable(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = req_json(q);
  bool enabled = false;
  int n = 0;
  if(!body) return;
  if(!json_bool(json_get(body, "enabled"), &enabled)) {
    req_fail_st(q, Q_MISSING, "enabled", "'enabled' must be true or false.");
    return;
  }
  struct str *names = h_accounts_names(q, body, &n);
  if(!names) return;
  enum q_status st = roster_enable(q->app, names, &n, enabled, &e);
  h_accounts_counted(q, st, &e, "updated", n);
}

void h_accounts_clear(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = req_json(q), *said = json_get(body, "feature");
  struct str email = body ? h_account_name(q, body) : STR_NONE;
  enum feature f = json_absent(said) ? FEATURE_COUNT : feature_by_name(json_str(said));
  if(!email.n) return;
  if(!json_absent(said) && f == FEATURE_COUNT) {
    req_fail_st(q, Q_BAD_VALUE, "feature", "'feature' must be chat, search, image, video, deep_research, upload or cli.");
    return;
  }
  if(roster_clear(q->app, email, f, &e)) req_fail(q, &e);
  else h_account_answer(q, email);
}

void h_accounts_refresh(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  struct strbuf b = STRBUF(4096);
  const struct json *body = req_json(q);
  struct str email = body ? h_account_name(q, body) : STR_NONE;
  int64_t expires = 0;
  if(!email.n) return;
  if(roster_refresh(q->app, email, &expires, &e)) {
    req_fail(q, &e);
    return;
  }
  strbuf_lit(&b, "{\"email\":");
  strbuf_json(&b, email);
  if(expires) strbuf_fmt(&b, ",\"expires\":%lld", (long long)(expires / 1000));
  else strbuf_lit(&b, ",\"expires\":null");
  h_account_wrote(q, 200, &b);
}

void h_accounts_secret(struct req *q)
{
  struct str email = h_account_name(q, NULL);
  struct secret *password = NULL;
  struct strbuf b = STRBUF(16 * 1024);
  if(!email.n) return;
  if(roster_password(q->app, email, &password)) {
    req_fail_st(q, Q_NOT_FOUND, "email", "There is no such account, or it has no password.");
    return;
  }
  struct account *named = account_new(email, STR_NONE, STR_NONE); /* for its label: a log names nobody */
  LOG_WARN(q->app->log, "accounts", q->id, "the password of %s was shown to an administrator at %s", named ? named->label : "an account", q->peer);
  account_free(named);
  strbuf_lit(&b, "{\"email\":");
  strbuf_json(&b, email);
  strbuf_lit(&b, ",\"password\":");
  strbuf_json(&b, secret_str(password));
  strbuf_addc(&b, '}');
  secret_unref(password);
  if(b.err) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else req_answer(q, 200, S("application/json"), S("Cache-Control: no-store\r\n"), strbuf_str(&b));
  if(b.p) crypt_wipe(b.p, b.n);
  strbuf_free(&b);
}
