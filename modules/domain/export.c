#include "domain/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "domain/account_fields.h"
#include "domain/import.h"
#include "domain/keys_admin.h"
#include "domain/settings.h"
#include "domain/stats_past.h"
#include "proto/json.h"

enum { EXPORT_PIECE = 64 * 1024, EXPORT_ONE_MAX = 16 * 1024 * 1024, EXPORT_DAYS_MAX = 4 * 1024 * 1024 };

struct export {
  struct app *app;
  const struct export_want *want;
  struct account **accounts; /* copies, by name */
  int n, cap;
  struct stats_past *days;   /* by account, then day */
  int days_n, days_cap, today;
  struct strbuf b;           /* not yet handed over */
  bool any;
  enum q_status st;
};

/* ---- what there is ---- */

static void export_collect(void *ctx, struct account *a)
{
  struct export *x = ctx;
  if(x->st || a->unstored) return;
  if(x->n == x->cap) {
    int cap = x->cap ? x->cap * 2 : 64;
    void *more = mem_realloc(x->accounts, (size_t)cap * sizeof *x->accounts);
    if(!more) {
      x->st = Q_NOMEM;
      return;
    }
    x->accounts = more;
    x->cap = cap;
  }
  x->accounts[x->n] = account_copy(a);
  if(!x->accounts[x->n]) x->st = Q_NOMEM;
  else x->n++;
}

static int export_by_name(const void *p, const void *q)
{
  return strcmp((*(struct account *const *)p)->email, (*(struct account *const *)q)->email);
}

static void export_day(void *ctx, int day, const struct stats_table *t)
{
  struct export *x = ctx;
  for(int i = 0; i < t->n && !x->st; i++) {
    const uint64_t *v = t->rows[i].v;
    if(t->rows[i].by != STATS_ACCOUNT) continue;
    if(x->days_n == x->days_cap) {
      int cap = x->days_cap ? x->days_cap * 2 : 1024;
      void *more = cap <= EXPORT_DAYS_MAX ? mem_realloc(x->days, (size_t)cap * sizeof *x->days) : NULL;
      if(!more) {
        x->st = Q_NOMEM;
        return;
      }
      x->days = more;
      x->days_cap = cap;
    }
    struct stats_past *p = &x->days[x->days_n++];
    *p = (struct stats_past){ .day = day, .chat_calls = v[STATS_CALLS] - v[STATS_CLI_CALLS], .chat_in = v[STATS_IN] - v[STATS_CLI_IN],
                              .chat_out = v[STATS_OUT] - v[STATS_CLI_OUT], .cli_calls = v[STATS_CLI_CALLS], .cli_in = v[STATS_CLI_IN],
                              .cli_out = v[STATS_CLI_OUT] };
    str_copy(p->account, sizeof p->account, str_z(t->rows[i].name));
  }
}

static int export_by_account(const void *p, const void *q)
{
  const struct stats_past *a = p, *b = q;
  int c = strcmp(a->account, b->account);
  return c ? c : (a->day > b->day) - (a->day < b->day);
}

/* The first day of an account, and how many there are. */
static const struct stats_past *export_days_of(const struct export *x, const char *account, int *n)
{
  int lo = 0, hi = x->days_n;
  while(lo < hi) {
    int mid = lo + (hi - lo) / 2;
    if(strcmp(x->days[mid].account, account) < 0) lo = mid + 1;
    else hi = mid;
  }
  for(hi = lo; hi < x->days_n && strcmp(x->days[hi].account, account) == 0; hi++) {}
  *n = hi - lo;
  return x->days + lo;
}

static void export_hand_over(struct export *x, bool all)
{
  if(!x->st && x->b.err) x->st = x->b.err;
  if(x->st || !x->b.n || (!all && x->b.n < EXPORT_PIECE)) return;
  if(!x->want->take(x->want->ctx, strbuf_str(&x->b))) x->st = Q_CLIENT_GONE;
  crypt_wipe(x->b.p, x->b.n);
  strbuf_clear(&x->b);
}

static void export_forget(struct strbuf *b)
{
  if(b->p) crypt_wipe(b->p, b->cap);
  strbuf_free(b);
}

/* ---- JSON ---- */

static void export_text(struct strbuf *b, const char *name, struct str text)
{
  strbuf_fmt(b, ",\n      \"%s\": ", name);
  if(text.n) strbuf_json(b, text);
  else strbuf_lit(b, "null");
}

static void export_shown(struct strbuf *b, const char *name, struct str url, bool secrets)
{
  struct strbuf shown = STRBUF(16 * 1024);
  if(!secrets && url.n) account_show_url(url, &shown);
  export_text(b, name, secrets || !url.n ? url : strbuf_str(&shown));
  strbuf_free(&shown);
}

static void export_numbers(struct strbuf *b, const struct stats_past *p)
{
  strbuf_fmt(b, "\"chat\": {\"calls\": %llu, \"input\": %llu, \"output\": %llu}, \"cli\": {\"calls\": %llu, \"input\": %llu, \"output\": %llu}}",
             (unsigned long long)p->chat_calls, (unsigned long long)p->chat_in, (unsigned long long)p->chat_out, (unsigned long long)p->cli_calls,
             (unsigned long long)p->cli_in, (unsigned long long)p->cli_out);
}

static void export_history(struct export *x, const struct account *a)
{
  struct stats_past today = { .day = 0 };
  int n;
  const struct stats_past *v = export_days_of(x, a->id, &n);
  char text[11];
  if(n && v[n - 1].day == x->today) today = v[n - 1];
  stats_day_text(x->today, text);
  strbuf_fmt(&x->b, ",\n      \"stats\": {\"date\": \"%s\", ", text);
  export_numbers(&x->b, &today);
  strbuf_lit(&x->b, ",\n      \"statsHistory\": {");
  for(int i = 0; i < n; i++) {
    stats_day_text(v[i].day, text);
    strbuf_fmt(&x->b, "%s\n        \"%s\": {", i ? "," : "", text);
    export_numbers(&x->b, &v[i]);
  }
  strbuf_addz(&x->b, n ? "\n      }" : "}");
}

static void export_grant(struct strbuf *b, const struct grant_state *g)
{
  const char *comma = "";
  const struct { const char *name; const struct secret *s; } parts[] = { { "access_token", g->access }, { "refresh_token", g->refresh }, { "resource_url", g->resource } };
  strbuf_lit(b, ",\n      \"credentials\": {");
  for(int i = 0; i < 3; i++) {
    if(!parts[i].s) continue;
    strbuf_fmt(b, "%s\"%s\": ", comma, parts[i].name);
    strbuf_json(b, secret_str(parts[i].s));
    comma = ", ";
  }
  if(g->expires_ms) strbuf_fmt(b, "%s\"expiry_date\": %lld", comma, (long long)g->expires_ms);
  strbuf_addc(b, '}');
}

static void export_api(struct strbuf *b, const struct account *a, bool secrets)
{
  struct str list = a->models_given ? secret_str(a->models) : STR_NONE;
  if(secrets) export_text(b, "apiKey", secret_str(a->token));
  export_shown(b, "baseUrl", secret_str(a->base), secrets);
  strbuf_lit(b, ",\n      \"models\": [");
  for(bool first = true; list.n; first = false) {
    if(!first) strbuf_lit(b, ", ");
    strbuf_json(b, str_cut(&list, '\n'));
  }
  strbuf_lit(b, "],\n      \"serves\": ");
  account_show_serves(a->serves, b);
}

/* headers as they are kept ("Name: value" a line); the blank is not the value's. */
static void export_headers(struct strbuf *b, struct str lines)
{
  strbuf_lit(b, ",\n      \"headers\": ");
  if(lines.n) account_show_headers(lines, false, b);
  else strbuf_lit(b, "null");
}

static void export_secrets(struct export *x, const struct account *a)
{
  struct strbuf *b = &x->b, other = STRBUF(4 * 1024 * 1024);
  export_headers(b, secret_str(a->headers));
  export_text(b, "cookie", secret_str(a->cookie));
  if(account_has_grant(a)) export_grant(b, &a->grant);
  if(a->refresh) export_text(b, "refreshToken", secret_str(a->refresh));
  if(a->exchange) strbuf_lit(b, ",\n      \"exchange\": true");
  enum q_status st = import_kept(x->app, "acct", str_z(a->email), &other);
  if(!st && other.n) {
    strbuf_lit(b, ",\n      ");
    strbuf_adds(b, strbuf_str(&other));
  } else if(st && st != Q_NOT_FOUND && st != Q_BAD_VALUE) {
    x->st = st;
  }
  export_forget(&other);
}

static void export_account(struct export *x, const struct account *a)
{
  struct strbuf *b = &x->b;
  bool secrets = x->want->secrets;
  strbuf_addz(b, x->any ? ",\n    {\n      \"email\": " : "\n    {\n      \"email\": ");
  x->any = true;
  strbuf_json(b, str_z(a->email));
  if(a->kind == ACCOUNT_WEB && secrets) {
    export_text(b, "password", secret_str(a->password));
    export_text(b, "token", secret_str(a->token));
  }
  if(a->kind == ACCOUNT_WEB && a->expires_ms) strbuf_fmt(b, ",\n      \"expires\": %lld", (long long)(a->expires_ms / 1000));
  export_shown(b, "proxy", secret_str(a->proxy), secrets);
  export_history(x, a);
  export_text(b, "note", secret_str(a->note));
  strbuf_fmt(b, ",\n      \"enabled\": %s,\n      \"createdAt\": %lld,\n      \"kind\": \"%s\"", a->whole == ACCOUNT_DISABLED ? "false" : "true",
             (long long)(a->created_ms / 1000), account_kind_name(a->kind));
  if(a->max_inflight) strbuf_fmt(b, ",\n      \"maxInflight\": %d", a->max_inflight);
  if(a->kind == ACCOUNT_API) export_api(b, a, secrets);
  if(secrets) export_secrets(x, a);
  strbuf_lit(b, "\n    }");
}

struct export_settings { struct export *x; const struct config *c; struct str headers, cookie; struct arena arena; bool any; };

static void export_setting(void *ctx, int row, struct str value)
{
  struct export_settings *s = ctx;
  struct strbuf *b = &s->x->b;
  const char *key = config_key(row);
  char name[CONFIG_NAME];
  if(strcmp(key, "UPSTREAM_HEADERS") == 0) s->headers = arena_str(&s->arena, value);
  else if(strcmp(key, "UPSTREAM_COOKIE") == 0) s->cookie = arena_str(&s->arena, value);
  else if(s->x->want->secrets || !config_secret(row)) {
    config_name(row, name);
    strbuf_fmt(b, "%s\n    \"%s\": ", s->any ? "," : "", name);
    s->any = true;
    if(config_secret(row) || strcmp(config_source_name(s->c, row), "stored") != 0) strbuf_json(b, value); /* what is in effect comes from elsewhere */
    else config_json(s->c, row, b);
  }
}

/* Members kept of `part`, behind a comma if some were there. */
static bool export_kept(struct export *x, const char *part, bool any, const char *indent)
{
  struct strbuf other = STRBUF(4 * 1024 * 1024);
  enum q_status st = x->want->secrets ? import_kept(x->app, part, STR_NONE, &other) : Q_NOT_FOUND;
  bool some = !st && other.n;
  if(some) {
    strbuf_addz(&x->b, any ? "," : "");
    strbuf_addz(&x->b, indent);
    strbuf_adds(&x->b, strbuf_str(&other));
  }
  if(st && st != Q_NOT_FOUND && st != Q_BAD_VALUE) x->st = st;
  export_forget(&other);
  return some;
}

static void export_rest(struct export *x)
{
  struct export_settings s = { .x = x, .c = app_config(x->app), .arena = ARENA(4 * 1024 * 1024) };
  struct strbuf *b = &x->b;
  strbuf_addz(b, x->any ? "\n  ],\n  \"settings\": {" : "],\n  \"settings\": {");
  enum q_status st = settings_each(x->app, export_setting, &s);
  if(st) x->st = st;
  s.any |= export_kept(x, "settings", s.any, "\n    ");
  if(x->want->secrets) {
    strbuf_addz(b, s.any ? ",\n    \"regularKeys\": [" : "\n    \"regularKeys\": [");
    keys_admin_export(x->app->keys, b);
    strbuf_addc(b, ']');
  }
  strbuf_lit(b, "\n  }");
  if(x->want->secrets) {
    strbuf_lit(b, ",\n  \"defaultHeaders\": ");
    strbuf_adds(b, s.headers.n ? s.headers : S("null"));
    strbuf_lit(b, ",\n  \"defaultCookie\": ");
    if(s.cookie.n) strbuf_json(b, s.cookie);
    else strbuf_lit(b, "null");
    (void)export_kept(x, "file", true, "\n  ");
  }
  strbuf_lit(b, "\n}\n");
  if(s.headers.n) crypt_wipe((char *)s.headers.p, s.headers.n);
  if(s.cookie.n) crypt_wipe((char *)s.cookie.p, s.cookie.n);
  arena_free(&s.arena);
  config_unref((struct config *)s.c);
}

/* ---- lines, cells ---- */

static bool export_line_fits(const struct account *a)
{
  struct str p = secret_str(a->password), trimmed = str_trim(p);
  for(size_t i = 0; i < p.n; i++)
    if(p.p[i] == '|' || p.p[i] == ',' || (unsigned char)p.p[i] < ' ') return false;
  return p.n && trimmed.n == p.n;
}

static void export_line(struct export *x, const struct account *a)
{
  struct strbuf *b = &x->b;
  if(a->kind != ACCOUNT_WEB) return;
  if(!x->want->secrets || !export_line_fits(a)) {
    if(x->want->secrets) strbuf_addz(b, a->password ? "# its password does not fit into a line, export JSON: " : "# it has no password: ");
    strbuf_addz(b, a->email);
  } else {
    strbuf_addz(b, a->email);
    strbuf_addc(b, ':');
    strbuf_adds(b, secret_str(a->password));
    if(a->proxy) strbuf_addc(b, '|');
    strbuf_adds(b, secret_str(a->proxy));
  }
  strbuf_addc(b, '\n');
}

/* A program that opens tables computes what begins with one of these, even behind blanks. */
void export_cell(struct str s, struct strbuf *b)
{
  size_t i = 0;
  strbuf_addc(b, '"');
  while(i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\r' || s.p[i] == '\n')) i++;
  bool wide = s.n - i >= 3 && (unsigned char)s.p[i] == 0xef && (unsigned char)s.p[i + 1] == 0xbc && strchr("\x8b\x8d\x9d\xa0", s.p[i + 2]);
  if(i < s.n && (strchr("=+-@|%", s.p[i]) || wide || i)) strbuf_addc(b, '\'');
  for(i = 0; i < s.n; i++) {
    if(s.p[i] == '"') strbuf_addc(b, '"');
    if(s.p[i]) strbuf_addc(b, s.p[i]);
  }
  strbuf_addc(b, '"');
}

static void export_next(struct strbuf *b, struct str s)
{
  strbuf_addc(b, ',');
  export_cell(s, b);
}

static void export_row(struct export *x, const struct account *a)
{
  struct strbuf *b = &x->b, shown = STRBUF(16 * 1024);
  struct stats_past sum = { .day = 0 };
  int n;
  const struct stats_past *v = export_days_of(x, a->id, &n);
  for(int i = 0; i < n; i++) {
    sum.chat_calls += v[i].chat_calls + v[i].cli_calls;
    sum.chat_in += v[i].chat_in + v[i].cli_in;
    sum.chat_out += v[i].chat_out + v[i].cli_out;
  }
  if(x->want->secrets) strbuf_adds(&shown, secret_str(a->proxy));
  else account_show_url(secret_str(a->proxy), &shown);
  export_cell(str_z(a->email), b);
  export_next(b, str_z(account_kind_name(a->kind)));
  export_next(b, secret_str(a->note));
  strbuf_fmt(b, ",%s,%lld,%lld", a->whole == ACCOUNT_DISABLED ? "false" : "true", (long long)(a->expires_ms / 1000), (long long)(a->created_ms / 1000));
  export_next(b, strbuf_str(&shown));
  strbuf_fmt(b, ",%llu,%llu,%llu", (unsigned long long)sum.chat_calls, (unsigned long long)sum.chat_in, (unsigned long long)sum.chat_out);
  if(x->want->secrets) {
    export_next(b, secret_str(a->password));
    export_next(b, secret_str(a->token));
  }
  strbuf_lit(b, "\r\n");
  export_forget(&shown);
}

/* ---- all of it ---- */

static void export_write(struct export *x)
{
  enum export_format f = x->want->format;
  if(f == EXPORT_JSON) strbuf_lit(&x->b, "{\n  \"accounts\": [");
  if(f == EXPORT_CSV)
    strbuf_addz(&x->b, x->want->secrets ? "email,kind,note,enabled,expires,createdAt,proxy,calls,input,output,password,token\r\n"
                                        : "email,kind,note,enabled,expires,createdAt,proxy,calls,input,output\r\n");
  for(int i = 0; i < x->n && !x->st; i++) {
    if(f == EXPORT_JSON) export_account(x, x->accounts[i]);
    else if(f == EXPORT_TXT) export_line(x, x->accounts[i]);
    else export_row(x, x->accounts[i]);
    export_hand_over(x, false);
  }
  if(f == EXPORT_JSON && !x->st) export_rest(x);
  export_hand_over(x, true);
}

enum q_status export_run(struct app *a, const struct export_want *want)
{
  struct export x = { .app = a, .want = want, .b = STRBUF(EXPORT_ONE_MAX) };
  int64_t now = now_wall_ms(a->now);
  x.today = now_local_day(now);
  pool_each(a->pool, export_collect, &x);
  if(x.n) qsort(x.accounts, (size_t)x.n, sizeof *x.accounts, export_by_name);
  if(!x.st && want->format != EXPORT_TXT) {
    enum q_status st = stats_each_day(a->stats, a->store, now, STATS_DAYS, export_day, &x);
    if(!x.st) x.st = st;
    if(x.days_n) qsort(x.days, (size_t)x.days_n, sizeof *x.days, export_by_account);
  }
  if(!x.st) export_write(&x);
  for(int i = 0; i < x.n; i++) account_free(x.accounts[i]);
  mem_free(x.accounts);
  mem_free(x.days);
  export_forget(&x.b);
  return x.st;
}

static bool export_to_file(void *ctx, struct str piece)
{
  int fd = *(int *)ctx;
  while(piece.n) {
    ssize_t n = write(fd, piece.p, piece.n);
    if(n < 0 && errno == EINTR) continue;
    if(n <= 0) return false;
    piece = str_sub(piece, (size_t)n, piece.n);
  }
  return true;
}

/* The name in its folder is lasting only when the folder is written. */
static void export_sync_folder(const char *path)
{
  char dir[1100];
  const char *slash = strrchr(path, '/');
  str_copy(dir, sizeof dir, slash ? str_of(path, slash == path ? 1 : (size_t)(slash - path)) : S("."));
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if(fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

enum q_status export_file(struct app *a, const char *path, bool secrets, struct q_error *e)
{
  char beside[1100];
  unsigned char r[4];
  crypt_random(r, sizeof r);
  int n = snprintf(beside, sizeof beside, "%s.%02x%02x%02x%02x", path, r[0], r[1], r[2], r[3]);
  int fd = n > 0 && n < (int)sizeof beside ? open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
  if(fd < 0) return status_fail(e, Q_INTERNAL, NULL, "%s cannot be made: %s.", path, strerror(errno));
  struct export_want want = { .format = EXPORT_JSON, .secrets = secrets, .take = export_to_file, .ctx = &fd };
  enum q_status st = export_run(a, &want);
  bool ok = !st && fchmod(fd, 0600) == 0 && fsync(fd) == 0;
  int why = errno;
  ok = close(fd) == 0 && ok && rename(beside, path) == 0;
  if(ok) {
    export_sync_folder(path);
    return Q_OK;
  }
  unlink(beside);
  if(st && st != Q_CLIENT_GONE) return status_fail(e, st, NULL, "The store cannot be read.");
  return status_fail(e, Q_INTERNAL, NULL, "%s cannot be written: %s.", path, strerror(why));
}
