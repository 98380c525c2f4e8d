#include "domain/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/exit.h"
#include "base/mem.h"
#include "domain/accounts.h"
#include "domain/import_read.h"
#include "domain/keys_admin.h"
#include "domain/settings.h"

enum { IMPORT_CHUNK = 500, IMPORT_KEPT_MAX = 2 * IMPORT_OTHER_MAX, IMPORT_DAYS_MAX = 1024 * 1024, IMPORT_KEYS_MAX = 10000 };

struct import {
  struct app *app;
  struct str text;
  const struct import_want *want;
  struct import_done *done;
  struct q_error *e;
  struct import_item *items;
  int n, cap;
  struct stats_past *days;
  int days_n, days_cap;
  int64_t now_ms;
};

void import_done_free(struct import_done *d)
{
  mem_free(d->bad);
  d->bad = NULL;
  d->bad_n = 0;
}

static enum q_status import_nomem(struct q_error *e)
{
  return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
}

static enum q_status import_bad(struct import_done *d, int line, const char *reason)
{
  d->bad_total++;
  if(d->bad_n == IMPORT_BAD) return Q_OK;
  if(d->bad_n % 64 == 0) {
    void *more = mem_realloc(d->bad, (size_t)(d->bad_n + 64) * sizeof *d->bad);
    if(!more) return Q_NOMEM;
    d->bad = more;
  }
  d->bad[d->bad_n].line = line;
  str_copy(d->bad[d->bad_n++].reason, sizeof d->bad[0].reason, str_z(reason));
  return Q_OK;
}

/* ---- what is kept for exports ---- */

static void import_kept_key(const char *part, struct str name, struct strbuf *b)
{
  strbuf_fmt(b, "moved/%s/", part);
  strbuf_adds(b, name);
}

static enum q_status import_keep_value(struct app *a, struct str key, struct str members, struct strbuf *value)
{
  strbuf_addc(value, 1);
  enum q_status st = seal_text(a->seal, key, members, value);
  return st ? st : value->err;
}

static enum q_status import_keep(struct app *a, const char *part, struct str name, struct str members)
{
  struct strbuf key = STRBUF(1024), value = STRBUF(2 * IMPORT_KEPT_MAX);
  import_kept_key(part, name, &key);
  enum q_status st = key.err ? key.err : import_keep_value(a, strbuf_str(&key), members, &value);
  if(!st) st = store_put(a->store, strbuf_str(&key), strbuf_str(&value));
  strbuf_free(&key);
  strbuf_free(&value);
  return st;
}

enum q_status import_kept(struct app *a, const char *part, struct str name, struct strbuf *out)
{
  struct strbuf key = STRBUF(1024), value = STRBUF(2 * IMPORT_KEPT_MAX);
  import_kept_key(part, name, &key);
  enum q_status st = key.err ? key.err : store_get(a->store, strbuf_str(&key), &value);
  if(!st && (value.n < 2 || value.p[0] != 1)) st = Q_BAD_VALUE;
  if(!st) st = seal_plain(a->seal, strbuf_str(&key), str_sub(strbuf_str(&value), 1, value.n), out);
  strbuf_free(&key);
  strbuf_free(&value);
  return st;
}

static bool import_collect(void *ctx, struct str key, struct str value)
{
  struct strbuf *names = ctx;
  (void)value;
  strbuf_adds(names, key);
  strbuf_addc(names, '\n');
  return !names->err;
}

enum q_status import_reseal(struct app *a)
{
  struct strbuf names = STRBUF(64 * 1024 * 1024);
  enum q_status st = a->store->ops->scan(a->store, S("moved/"), import_collect, &names);
  struct str rest = strbuf_str(&names);
  if(!st) st = names.err;
  while(!st && rest.n) {
    struct str key = str_cut(&rest, '\n'), name = str_sub(key, 6, key.n), kind = str_cut(&name, '/');
    struct strbuf plain = STRBUF(IMPORT_KEPT_MAX);
    char part[16];
    str_copy(part, sizeof part, kind);
    st = import_kept(a, part, name, &plain);
    if(!st) st = import_keep(a, part, name, strbuf_str(&plain));
    if(plain.p) crypt_wipe(plain.p, plain.n);
    strbuf_free(&plain);
  }
  strbuf_free(&names);
  return st;
}

/* ---- reading accounts ---- */

static enum q_status import_take(struct import *x, struct import_item *i)
{
  if(x->n == IMPORT_ACCOUNTS_MAX) return status_fail(x->e, Q_BAD_IMPORT, "accounts", "It has more than %d accounts.", IMPORT_ACCOUNTS_MAX);
  if(x->n == x->cap) {
    int cap = x->cap ? x->cap * 2 : 64;
    struct import_item *more = mem_realloc(x->items, (size_t)cap * sizeof *more);
    if(!more) return import_nomem(x->e);
    x->items = more;
    x->cap = cap;
  }
  x->items[x->n++] = *i;
  *i = (struct import_item){ .line = 0 };
  return Q_OK;
}

static enum q_status import_take_days(struct import *x, const char *account, const struct json *stats, const struct json *history)
{
  if(x->days_cap - x->days_n < STATS_DAYS) {
    int cap = x->days_cap ? x->days_cap * 2 : 1024;
    struct stats_past *more = cap <= IMPORT_DAYS_MAX ? mem_realloc(x->days, (size_t)cap * sizeof *more) : NULL;
    if(cap > IMPORT_DAYS_MAX) return status_fail(x->e, Q_BAD_IMPORT, "statsHistory", "It has more history than can be taken over at once: split it.");
    if(!more) return import_nomem(x->e);
    x->days = more;
    x->days_cap = cap;
  }
  x->days_n += import_days(x->days + x->days_n, account, stats, history, now_local_day(x->now_ms));
  return Q_OK;
}

static enum q_status import_account(struct import *x, const struct json *object, int line)
{
  struct import_item item = { .line = line };
  struct q_error why = Q_ERROR_NONE;
  enum q_status st = import_item_read(&item, object, x->now_ms, &why);
  if(st == Q_NOMEM) st = import_nomem(x->e);
  else if(st && import_bad(x->done, line, why.msg)) st = import_nomem(x->e);
  else if(st) st = Q_OK;
  else {
    st = import_take_days(x, item.account->id, json_get(object, "stats"), json_get(object, "statsHistory"));
    if(!st) st = import_take(x, &item);
  }
  import_item_free(&item);
  return st;
}

static enum q_status import_accounts(struct import *x, const struct json_part *p)
{
  struct json_parts all = json_parts_of(x->text, p->at, p->at + p->text.n);
  struct json_part one;
  struct json_error err = { .expected = NULL };
  enum q_status st = Q_OK;
  size_t seen = 0;
  int line = 1;
  while(!st && json_parts_next(&all, &one, &err)) {
    struct arena a = ARENA(IMPORT_PART_MAX);
    for(; seen < one.at; seen++) line += x->text.p[seen] == '\n';
    const struct json *n = import_part(&a, x->text, &one, x->e);
    st = n ? import_account(x, n, line) : x->e->st;
    arena_free(&a);
  }
  return !st && err.expected ? import_not_json(&err, x->e) : st;
}

/* ---- of one name the last; what exists ---- */

static int import_compare(const void *p, const void *q)
{
  const struct import_item *a = p, *b = q;
  int c = strcmp(a->account->email, b->account->email);
  return c ? c : a->line - b->line;
}

static int import_by_line(const void *p, const void *q)
{
  const struct import_item *a = p, *b = q;
  return (a->line > b->line) - (a->line < b->line);
}

static void import_settle(struct import *x)
{
  int kept = 0;
  if(!x->n) return;
  qsort(x->items, (size_t)x->n, sizeof *x->items, import_compare);
  for(int i = 0; i < x->n; i++) {
    bool again = i + 1 < x->n && strcmp(x->items[i].account->email, x->items[i + 1].account->email) == 0;
    if(again) {
      x->done->skipped++;
      import_item_free(&x->items[i]);
    } else {
      x->items[kept++] = x->items[i];
    }
  }
  x->n = kept;
  if(x->n) qsort(x->items, (size_t)x->n, sizeof *x->items, import_by_line);
}

static void import_there(void *ctx, struct account *a)
{
  (void)ctx;
  (void)a;
}

static bool import_exists(struct import *x, const struct import_item *i)
{
  return pool_with(x->app->pool, str_z(i->account->email), x->now_ms, import_there, NULL) == Q_OK;
}

/* ---- writing accounts ---- */

static enum q_status import_change(void *ctx, struct account *a)
{
  const struct import_item *i = ctx;
  account_fields_apply(&i->f, a, i->account->created_ms);
  if(account_field_given(&i->f, FIELD_TOKEN) && i->account->token) {
    a->expires_ms = i->account->expires_ms;
    a->exchange = i->account->exchange;
    account_put_secret(&a->refresh, i->account->refresh);
    account_plan_renewal(a, i->account->created_ms);
  }
  return Q_OK;
}

static enum q_status import_insert(struct import *x, struct import_item *const *v, int n)
{
  struct account *who[IMPORT_CHUNK] = { NULL };
  for(int i = 0; i < n; i++) who[i] = v[i]->account;
  enum q_status st = accounts_insert(x->app, who, n, NULL);
  if(st) return st;
  for(int i = 0; i < n; i++) v[i]->account = NULL;
  x->done->added += n;
  return Q_OK;
}

/* Somebody added one of them meanwhile: one by one. */
static enum q_status import_insert_each(struct import *x, struct import_item *const *v, int n)
{
  enum q_status st = import_insert(x, v, n);
  for(int i = 0; st == Q_EXISTS && n > 1 && i < n; i++) {
    enum q_status one = import_insert(x, v + i, 1);
    if(one == Q_EXISTS) x->done->skipped++;
    else if(one) return one;
    if(i == n - 1) st = Q_OK;
  }
  if(st == Q_EXISTS && n == 1) {
    x->done->skipped++;
    st = Q_OK;
  }
  return st;
}

static enum q_status import_write_accounts(struct import *x)
{
  struct import_item *fresh[IMPORT_CHUNK] = { NULL };
  enum q_status st = Q_OK;
  int n = 0;
  for(int i = 0; i < x->n && !st; i++) {
    struct import_item *item = &x->items[i];
    bool there = import_exists(x, item);
    if(there && !x->want->replace) {
      x->done->skipped++;
      continue;
    }
    if(item->other && !x->want->dry) st = import_keep(x->app, "acct", str_z(item->account->email), secret_str(item->other));
    if(there) {
      if(!st && !x->want->dry) st = accounts_change(x->app, str_z(item->account->email), import_change, item);
      x->done->updated += !st;
    } else if(x->want->dry) {
      x->done->added++;
    } else {
      fresh[n++] = item;
    }
    if(!st && n == IMPORT_CHUNK) {
      st = import_insert_each(x, fresh, n);
      n = 0;
    }
  }
  return !st && n ? import_insert_each(x, fresh, n) : st;
}

/* History of accounts that stay as they are is not touched. */
static enum q_status import_drop_days(struct import *x)
{
  int kept = 0;
  struct strbuf ids = STRBUF(IMPORT_ACCOUNTS_MAX * 20);
  for(int i = 0; i < x->n && !x->want->replace; i++)
    if(import_exists(x, &x->items[i])) strbuf_addz(&ids, x->items[i].account->id), strbuf_addc(&ids, '\n');
  enum q_status st = ids.err ? import_nomem(x->e) : Q_OK;
  const char *last = NULL;
  bool drop = false;
  for(int i = 0; i < x->days_n && !st; i++) { /* the days of one account stand together */
    if(!last || strcmp(last, x->days[i].account) != 0) drop = str_find(strbuf_str(&ids), str_z(x->days[i].account)) >= 0;
    last = x->days[i].account;
    if(!drop) x->days[kept++] = x->days[i];
  }
  x->days_n = kept;
  strbuf_free(&ids);
  return st;
}

/* ---- settings and keys ---- */

static enum q_status import_store_words(struct app *a, enum q_status st, struct q_error *e)
{
  if(!st || e->st) return st ? e->st : Q_OK;
  if(st == Q_NOMEM) return import_nomem(e);
  return status_fail(e, st, NULL, "The import could not be written. %s", store_trouble(a->store));
}

static enum q_status import_key(struct app *a, const struct json *m, const struct import_want *want, struct import_done *done, struct q_error *e)
{
  struct q_error why = Q_ERROR_NONE;
  enum q_status st = keys_admin_take(a->keys, m, want->dry, now_wall_ms(a->now), &why);
  if(st == Q_STORE || st == Q_STORE_AWAY || st == Q_NOMEM) {
    *e = why;
    return st;
  }
  done->keys += !st;
  done->keys_skipped += st == Q_EXISTS;
  if(!st || st == Q_EXISTS) return Q_OK;
  char reason[200];
  snprintf(reason, sizeof reason, "a key of regularKeys: %.170s", why.msg);
  return import_bad(done, 0, reason) ? import_nomem(e) : Q_OK;
}

static bool import_stored(struct app *a, int row)
{
  struct config *c = app_config(a);
  bool stored = strcmp(config_source_name(c, row), "stored") == 0;
  config_unref(c);
  return stored;
}

/* One setting. A value that does not fit is told, and left out. */
static enum q_status import_setting(struct app *a, int row, const struct json *v, const struct import_want *want, struct import_done *done, struct q_error *e)
{
  struct strbuf text = STRBUF(256 * 1024);
  struct q_error why = Q_ERROR_NONE;
  if(json_absent(v) || !config_live(row) || !config_offered(row) || (!want->replace && import_stored(a, row))) return Q_OK;
  enum q_status st = config_from_json(row, v, &text, &why);
  struct settings_change change = { .row = row, .value = text.n ? strbuf_str(&text) : S("") };
  if(!st) st = want->dry ? config_check(row, change.value, &why) : settings_write(a, &change, 1, &why);
  if(text.p) crypt_wipe(text.p, text.n);
  strbuf_free(&text);
  done->settings += !st;
  if(st == Q_STORE || st == Q_STORE_AWAY || st == Q_NOMEM) *e = why;
  else if(st) st = import_bad(done, 0, why.msg) ? import_nomem(e) : Q_OK;
  return st;
}

static bool import_setting_ignored(struct str name)
{
  return str_eq(name, S("regularKeys")) || str_eq(name, S("adminKey")); /* the admin key is set here, not there */
}

static enum q_status import_settings_keep(struct app *a, const struct json *object, struct q_error *e)
{
  struct strbuf other = STRBUF(IMPORT_OTHER_MAX);
  for json_each(m, object) {
    int row = config_find_name(m->key);
    if(import_setting_ignored(m->key) || (row >= 0 && config_live(row) && config_offered(row))) continue;
    if(other.n) strbuf_addc(&other, ',');
    strbuf_json(&other, m->key);
    strbuf_addc(&other, ':');
    json_write(m, &other);
  }
  enum q_status st = other.err ? status_fail(e, Q_BAD_IMPORT, "settings", "It has more unknown settings than can be kept.") : Q_OK;
  if(!st && other.n) st = import_store_words(a, import_keep(a, "settings", STR_NONE, strbuf_str(&other)), e);
  strbuf_free(&other);
  return st;
}

enum q_status import_settings(struct app *a, const struct json *object, const struct import_want *want, struct import_done *done, struct q_error *e)
{
  enum q_status st = Q_OK;
  if(json_absent(object)) return Q_OK;
  if(!json_is(object, JSON_OBJECT)) return status_fail(e, Q_BAD_IMPORT, "settings", "'settings' must be an object.");
  for json_each(m, object) {
    if(st) break;
    int row = config_find_name(m->key);
    if(json_get(object, "regularKeys") == m && !want->no_keys) {
      int n = 0;
      if(json_is(m, JSON_ARRAY))
        for json_each(k, m)
          if(!st && n++ < IMPORT_KEYS_MAX) st = import_key(a, k, want, done, e);
    } else if(!want->only_keys && row >= 0 && !import_setting_ignored(m->key)) {
      st = import_setting(a, row, m, want, done, e);
    }
  }
  if(!st && !want->only_keys && !want->dry) st = import_settings_keep(a, object, e);
  return st;
}

enum q_status import_history(struct app *a, struct str email, const struct json *stats, const struct json *history, struct q_error *e)
{
  struct stats_past *days = mem_zalloc((STATS_DAYS + 1) * sizeof *days);
  struct account *named = account_new(email, STR_NONE, STR_NONE); /* for its id */
  int64_t now = now_wall_ms(a->now);
  enum q_status st = days && named ? Q_OK : import_nomem(e);
  if(!st) st = stats_past_add(a->stats, a->store, days, import_days(days, named->id, stats, history, now_local_day(now)), now);
  account_free(named);
  mem_free(days);
  return import_store_words(a, st, e);
}

/* ---- all of it ---- */

static enum q_status import_outer(struct import *x, const struct json_part *p, const char *variable)
{
  struct arena a = ARENA(IMPORT_PART_MAX);
  const struct json *n = p->text.n ? import_part(&a, x->text, p, x->e) : NULL;
  enum q_status st = p->text.n && !n ? x->e->st : Q_OK;
  if(n && variable) st = import_setting(x->app, config_find(str_z(variable)), n, x->want, x->done, x->e);
  else if(n) st = import_settings(x->app, n, x->want, x->done, x->e);
  arena_free(&a);
  return st;
}

static enum q_status import_write(struct import *x, const struct import_file *f)
{
  struct app *a = x->app;
  enum q_status st = Q_OK;
  if(!x->want->only_keys) {
    st = import_drop_days(x);
    if(!st && !x->want->dry) st = stats_past_add(a->stats, a->store, x->days, x->days_n, x->now_ms);
    if(!st && f->other.n && !x->want->dry) st = import_keep(a, "file", STR_NONE, strbuf_str(&f->other));
    if(!st) st = import_write_accounts(x);
    if(!st) st = import_outer(x, &f->headers, "UPSTREAM_HEADERS");
    if(!st) st = import_outer(x, &f->cookie, "UPSTREAM_COOKIE");
  }
  if(!st) st = import_outer(x, &f->settings, NULL);
  return import_store_words(a, st, x->e);
}

enum q_status import_run(struct app *a, struct str text, const struct import_want *want, struct import_done *done, struct q_error *e)
{
  struct import x = { .app = a, .text = text, .want = want, .done = done, .e = e, .now_ms = now_wall_ms(a->now) };
  struct import_file f;
  *done = (struct import_done){ .added = 0 };
  enum q_status st = import_file_read(&f, text, e);
  bool list = f.accounts.text.n && f.accounts.text.p[0] == '[';
  if(list && (!st || st == Q_BAD_IMPORT)) { /* a mistake among them is told in front of what follows from it */
    enum q_status first = import_accounts(&x, &f.accounts);
    if(first) st = first;
  }
  if(!st) import_settle(&x);
  if(!st) st = import_write(&x, &f);
  for(int i = 0; i < x.n; i++) import_item_free(&x.items[i]);
  mem_free(x.items);
  mem_free(x.days);
  strbuf_free(&f.other);
  return st;
}

/* ---- the first start ---- */

enum q_status import_read_file(const char *path, struct strbuf *out, struct q_error *e)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if(fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return Q_NOT_FOUND;
  struct stat s;
  bool plain = fd >= 0 && fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
  enum q_status st = plain ? Q_OK : status_fail(e, Q_BAD_IMPORT, NULL, "%s cannot be read.", path);
  for(ssize_t n = 1; !st && n;) {
    char *room = strbuf_room(out, 64 * 1024);
    n = room ? read(fd, room, 64 * 1024) : -1;
    if(n > 0) out->n += (size_t)n;
    if(n < 0 && errno == EINTR && room) continue;
    if(n < 0) st = status_fail(e, Q_BAD_IMPORT, NULL, room ? "%s cannot be read." : "%s is too large.", path);
  }
  if(fd >= 0) close(fd);
  return st;
}

static void import_first_say(struct app *a, const struct import_done *d, bool keys)
{
  for(int i = 0; i < d->bad_n && i < 20; i++)
    LOG_WARN(a->log, "import", "", "data.json, line %d: left out: %s", d->bad[i].line, d->bad[i].reason);
  if(d->bad_total > 20) LOG_WARN(a->log, "import", "", "data.json: %d entries were left out in all", d->bad_total);
  if(keys) LOG_INFO(a->log, "import", "", "%d keys of data.json were taken over, %d were known", d->keys, d->keys_skipped);
  else LOG_INFO(a->log, "import", "", "%d accounts and %d settings of data.json were taken over, %d accounts were known", d->added, d->settings, d->skipped);
}

enum q_status import_first(struct app *a, bool keys, struct q_error *e, int *exit_code)
{
  struct strbuf mark = STRBUF(64), text = STRBUF(IMPORT_TEXT_MAX);
  struct import_want want = { .no_keys = !keys, .only_keys = keys };
  struct import_done done = { .added = 0 };
  struct q_error why = Q_ERROR_NONE;
  char path[1100];
  if(a->config->data_save_mode == SAVE_NONE || store_shared(a->store)) return Q_OK;
  enum q_status st = store_get(a->store, S("meta/imported-file"), &mark);
  strbuf_free(&mark);
  if(st != Q_NOT_FOUND) return st ? status_fail(e, st, NULL, "The store cannot be read.") : Q_OK;
  snprintf(path, sizeof path, "%s/data.json", a->config->data_dir);
  st = import_read_file(path, &text, &why);
  if(st == Q_NOT_FOUND) return Q_OK;
  if(!st) st = import_run(a, strbuf_str(&text), &want, &done, &why);
  if(text.p) crypt_wipe(text.p, text.n);
  strbuf_free(&text);
  if(!st) import_first_say(a, &done, keys);
  import_done_free(&done);
  if(!st && keys) st = import_store_words(a, store_put(a->store, S("meta/imported-file"), S("1")), &why);
  if(!st) return Q_OK;
  if(st == Q_BAD_IMPORT) *exit_code = EXIT_DATA;
  return status_fail(e, st, NULL, "%s: %s", path, why.msg);
}
