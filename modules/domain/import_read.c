#include "domain/import_read.h"

#include <stdio.h>

#include "base/mem.h"

/* ---- the file ---- */

enum q_status import_not_json(const struct json_error *err, struct q_error *e)
{
  if(!err->expected) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  return status_fail(e, Q_BAD_IMPORT, NULL, "This is not valid JSON: expected %s at line %d, column %d (byte %zu).", err->expected, err->line,
                     err->column, err->offset);
}

const struct json *import_part(struct arena *a, struct str text, const struct json_part *p, struct q_error *e)
{
  struct json_error err;
  const struct json *n = json_parse(a, p->text, IMPORT_DEPTH, &err);
  if(n) return n;
  bool full = a->max - a->used < IMPORT_PART_MAX / 64;
  if(err.expected) json_parts_where(text, p->at + err.offset, &err);
  if(!err.expected && full) status_fail(e, Q_BAD_IMPORT, NULL, "One entry holds too many values.");
  else import_not_json(&err, e);
  return NULL;
}

/* Every member must be JSON; one that is not ours is kept. */
static enum q_status file_read(struct import_file *f, struct str text, const struct json_part *p, bool keep, struct q_error *e)
{
  struct arena a = ARENA(IMPORT_PART_MAX);
  const struct json *n = import_part(&a, text, p, e);
  if(n && keep) {
    if(f->other.n) strbuf_addc(&f->other, ',');
    strbuf_adds(&f->other, p->key);
    strbuf_addc(&f->other, ':');
    json_write(n, &f->other);
    if(f->other.err) status_fail(e, Q_BAD_IMPORT, NULL, "It has more unknown members than can be kept.");
  }
  arena_free(&a);
  return n ? f->other.err ? Q_BAD_IMPORT : Q_OK : e->st;
}

static enum q_status file_member(struct import_file *f, struct str text, const struct json_part *p, struct q_error *e)
{
  struct arena a = ARENA(IMPORT_OTHER_MAX);
  struct json_part name = { .text = p->key, .at = (size_t)(p->key.p - text.p) };
  const struct json *key = import_part(&a, text, &name, e);
  struct json_part *known = NULL;
  if(key) {
    struct str k = json_str(key);
    known = str_eq(k, S("accounts")) ? &f->accounts : str_eq(k, S("settings")) ? &f->settings : str_eq(k, S("defaultHeaders")) ? &f->headers
            : str_eq(k, S("defaultCookie")) ? &f->cookie : NULL;
  }
  enum q_status st = key ? Q_OK : e->st;
  arena_free(&a);
  if(known) *known = *p; /* of equal names the last counts */
  if(!st && known != &f->accounts) st = file_read(f, text, p, !known, e); /* accounts are read one by one */
  return st;
}

enum q_status import_file_read(struct import_file *f, struct str text, struct q_error *e)
{
  struct json_parts all = json_parts_of(text, 0, text.n);
  struct json_part p;
  struct json_error err;
  *f = (struct import_file){ .other = STRBUF(IMPORT_OTHER_MAX) };
  if(all.close == ']') { /* a bare list of accounts */
    f->accounts = (struct json_part){ .text = str_sub(text, all.at - 1, text.n), .at = all.at - 1 };
    return Q_OK;
  }
  while(json_parts_next(&all, &p, &err)) {
    enum q_status st = file_member(f, text, &p, e);
    if(st) return st;
  }
  if(err.expected) return import_not_json(&err, e);
  if(f->settings.text.n && !str_eq(f->settings.text, S("null")) && f->settings.text.p[0] != '{') {
    json_parts_where(text, f->settings.at, &err);
    return status_fail(e, Q_BAD_IMPORT, "settings", "'settings' must be an object (line %d, column %d).", err.line, err.column);
  }
  if(f->accounts.text.n && !str_eq(f->accounts.text, S("null")) && f->accounts.text.p[0] != '[') {
    json_parts_where(text, f->accounts.at, &err);
    return status_fail(e, Q_BAD_IMPORT, "accounts", "'accounts' must be an array (line %d, column %d).", err.line, err.column);
  }
  return Q_OK;
}

/* ---- an account ---- */

static const char *const item_known[] = { "email", "name", "kind", "password", "token", "expires", "expired", "proxy", "stats", "statsHistory", "note",
  "enabled", "createdAt", "headers", "cookie", "apiKey", "baseUrl", "models", "serves", "maxInflight", "credentials", "refreshToken", "exchange" };

void import_item_free(struct import_item *i)
{
  account_fields_free(&i->f);
  account_free(i->account);
  secret_unref(i->other);
  *i = (struct import_item){ .line = 0 };
}

static enum q_status item_other(struct import_item *i, const struct json *object, struct q_error *e)
{
  struct strbuf b = STRBUF(64 * 1024);
  for json_each(m, object) {
    bool known = false;
    for(size_t k = 0; k < sizeof item_known / sizeof item_known[0]; k++) known |= str_eq(m->key, str_z(item_known[k]));
    if(known) continue;
    if(b.n) strbuf_addc(&b, ',');
    strbuf_json(&b, m->key);
    strbuf_addc(&b, ':');
    json_write(m, &b);
  }
  enum q_status st = b.err == Q_TOO_BIG ? status_fail(e, Q_BAD_VALUE, NULL, "it has more unknown members than can be kept") : b.err;
  if(!st && b.n && !(i->other = secret_new(strbuf_str(&b)))) st = Q_NOMEM;
  strbuf_free(&b);
  return st;
}

/* Seconds or milliseconds. */
static int64_t item_ms(const struct json *n)
{
  double v = 0;
  if(!json_number(n, &v) || !(v > 0) || v > 1e15) return 0;
  return (int64_t)(v < 1e11 ? v * 1000 : v);
}

/* What only a file tells. */
static enum q_status item_more(struct account *a, const struct json *object, int64_t now_ms)
{
  int64_t expires = item_ms(json_get(object, "expires")), created = item_ms(json_get(object, "createdAt"));
  struct str refresh = json_str(json_get(object, "refreshToken"));
  if(!expires) expires = item_ms(json_get(object, "expired"));
  if(created) a->created_ms = created;
  if(a->token && a->kind == ACCOUNT_WEB) {
    if(!a->expires_ms) a->expires_ms = expires;
    a->exchange = json_true(json_get(object, "exchange"));
    if(refresh.n && refresh.n < 16 * 1024 && !(a->refresh = secret_new(refresh))) return Q_NOMEM;
    account_plan_renewal(a, now_ms);
  }
  return Q_OK;
}

enum q_status import_item_read(struct import_item *i, const struct json *object, int64_t now_ms, struct q_error *e)
{
  enum q_status st = account_fields_read(object, &i->f, e);
  if(!st) st = account_fields_make(&i->f, now_ms, &i->account, e);
  if(!st) st = item_more(i->account, object, now_ms);
  if(!st) st = item_other(i, object, e);
  return st;
}

/* ---- its history ---- */

int import_day(struct str t)
{
  int64_t y, m, d;
  bool ok = t.n == 10 && t.p[4] == '-' && t.p[7] == '-';
  for(size_t i = 0; i < t.n && ok; i++) ok = i == 4 || i == 7 || (t.p[i] >= '0' && t.p[i] <= '9');
  if(!ok || !str_int(str_sub(t, 0, 4), &y) || !str_int(str_sub(t, 5, 2), &m) || !str_int(str_sub(t, 8, 2), &d)) return 0;
  return y >= 1970 && m >= 1 && m <= 12 && d >= 1 && d <= 31 ? (int)(y * 10000 + m * 100 + d) : 0;
}

static uint64_t days_number(const struct json *n, const char *name)
{
  int64_t v = 0;
  return json_int(json_get(n, name), &v) && v > 0 && v < (int64_t)1 << 48 ? (uint64_t)v : 0;
}

static void days_one(struct stats_past *p, const struct json *n)
{
  const struct json *chat = json_get(n, "chat"), *cli = json_get(n, "cli");
  p->chat_calls = days_number(chat, "calls");
  p->chat_in = days_number(chat, "input");
  p->chat_out = days_number(chat, "output");
  p->cli_calls = days_number(cli, "calls");
  p->cli_in = days_number(cli, "input");
  p->cli_out = days_number(cli, "output");
}

static int days_add(struct stats_past *v, int n, int day, const char *account, const struct json *of)
{
  int i = 0;
  while(i < n && v[i].day != day) i++; /* of equal days the last counts */
  if(i == STATS_DAYS) return n;
  v[i] = (struct stats_past){ .day = day };
  str_copy(v[i].account, sizeof v[i].account, str_z(account));
  days_one(&v[i], of);
  return i == n ? n + 1 : n;
}

int import_days(struct stats_past *v, const char *account, const struct json *stats, const struct json *history, int today)
{
  int n = 0, first = stats_day_before(today, STATS_DAYS - 1), day = import_day(json_str(json_get(stats, "date")));
  if(day >= first && day <= today) n = days_add(v, n, day, account, stats);
  if(!json_is(history, JSON_OBJECT)) return n;
  for json_each(m, history) {
    day = import_day(m->key);
    if(day >= first && day <= today) n = days_add(v, n, day, account, m);
  }
  return n;
}
