#include "domain/settings.h"

#include <stdio.h>

#include "base/mem.h"
#include "domain/accounts.h"
#include "proto/json.h"

enum { SETTINGS_VERSION = 1, SETTINGS_TEXT_MAX = 256 * 1024, SETTINGS_ROWS = 128, SETTINGS_FILE_MAX = 2 * 1024 * 1024 };

struct settings {
  pthread_mutex_t lock;      /* one change at a time */
  struct config_input in;    /* envp, file, flags */
  struct strbuf file_text;   /* as last read and found good */
};

struct settings *settings_new(struct app *a, const struct config_input *in)
{
  struct settings *s = mem_zalloc(sizeof *s);
  struct q_error e = Q_ERROR_NONE;
  if(!s) return NULL;
  pthread_mutex_init(&s->lock, NULL);
  s->file_text = STRBUF(SETTINGS_FILE_MAX);
  s->in = in ? *in : (struct config_input){ .file = "/dev/null" };
  if(config_read_text(s->in.file, &s->file_text, &e)) LOG_WARN(a->log, "settings", "", "%s", e.msg);
  return s;
}

void settings_destroy(struct settings *s)
{
  if(!s) return;
  if(s->file_text.p) crypt_wipe(s->file_text.p, s->file_text.n);
  strbuf_free(&s->file_text);
  pthread_mutex_destroy(&s->lock);
  mem_free(s);
}

/* ---- records ---- */

/* The stored values: per row a text, or p == NULL. */
struct settings_all {
  struct app *app;
  struct arena arena;
  struct str v[SETTINGS_ROWS];
  enum q_status st;
};

static void settings_all_free(struct settings_all *all)
{
  for(int i = 0; i < config_rows(); i++)
    if(all->v[i].n && config_secret(i)) crypt_wipe((char *)all->v[i].p, all->v[i].n);
  arena_free(&all->arena);
}

static void settings_record_name(int row, char *out, size_t cap)
{
  snprintf(out, cap, "set/%s", config_key(row));
}

static bool settings_see(void *ctx, struct str key, struct str value)
{
  struct settings_all *all = ctx;
  struct strbuf plain = STRBUF(SETTINGS_TEXT_MAX);
  struct arena a = ARENA(4 * SETTINGS_TEXT_MAX);
  int row = config_find(str_sub(key, 4, key.n));
  const struct json *root = value.n > 1 && value.p[0] == SETTINGS_VERSION ? json_parse(&a, str_sub(value, 1, value.n), 3, NULL) : NULL;
  const struct json *text = json_get(root, "value");
  struct str sealed = json_str(json_get(root, "sealed"));
  enum q_status st = Q_OK;
  if(json_is(text, JSON_STRING)) strbuf_adds(&plain, text->text);
  else if(sealed.n) st = seal_plain(all->app->seal, key, sealed, &plain);
  else st = Q_BAD_VALUE;
  if(row < 0 || row >= SETTINGS_ROWS || !config_live(row) || st || plain.err) {
    LOG_WARN(all->app->log, "settings", "", "the stored setting %.*s cannot be read: left out", STR_F(str_sub(key, 4, 60)));
  } else {
    all->v[row] = arena_str(&all->arena, strbuf_str(&plain));
    if(!all->v[row].p) all->st = Q_NOMEM;
  }
  if(plain.p) crypt_wipe(plain.p, plain.n);
  strbuf_free(&plain);
  arena_free(&a);
  return all->st == Q_OK;
}

static enum q_status settings_read(struct app *a, struct settings_all *all)
{
  *all = (struct settings_all){ .app = a, .arena = ARENA(16 * 1024 * 1024) };
  enum q_status st = a->store->ops->scan(a->store, S("set/"), settings_see, all);
  return st ? st : all->st;
}

/* The record of a value; wiped and freed by the caller. */
static enum q_status settings_record(struct app *a, int row, struct str key, struct str value, struct strbuf *out)
{
  struct strbuf sealed = STRBUF(2 * SETTINGS_TEXT_MAX);
  enum q_status st = Q_OK;
  strbuf_addc(out, SETTINGS_VERSION);
  if(config_secret(row)) {
    st = seal_text(a->seal, key, value, &sealed);
    strbuf_lit(out, "{\"sealed\":");
    strbuf_json(out, strbuf_str(&sealed));
  } else {
    strbuf_lit(out, "{\"value\":");
    strbuf_json(out, value);
  }
  strbuf_addc(out, '}');
  strbuf_free(&sealed);
  return st ? st : out->err;
}

static enum q_status settings_commit(struct app *a, const struct settings_change *v, int n)
{
  struct store_op ops[SETTINGS_ROWS] = { { .del = false } };
  struct strbuf values[SETTINGS_ROWS];
  char names[SETTINGS_ROWS][CONFIG_NAME + 8];
  enum q_status st = Q_OK;
  int made = 0;
  for(; made < n && !st; made++) {
    struct str key;
    settings_record_name(v[made].row, names[made], sizeof names[made]);
    key = str_z(names[made]);
    values[made] = STRBUF(4 * SETTINGS_TEXT_MAX);
    if(!v[made].drop) st = settings_record(a, v[made].row, key, v[made].value, &values[made]);
    ops[made] = (struct store_op){ key, strbuf_str(&values[made]), v[made].drop };
  }
  if(!st && n) st = a->store->ops->commit(a->store, ops, n);
  for(int i = 0; i < made; i++) {
    if(values[i].p) crypt_wipe(values[i].p, values[i].n);
    strbuf_free(&values[i]);
  }
  return st;
}

/* ---- a new config ---- */

/* The first line of the loader's errors, without its prefix, as the words of an answer. */
static enum q_status settings_words(struct str errors, const struct settings_change *v, int n, struct q_error *e)
{
  static const struct str prefix = { "qwen2api: configuration error: ", 31 };
  struct str line = str_cut(&errors, '\n');
  char name[CONFIG_NAME] = "";
  if(!line.n) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  if(str_starts(line, prefix)) line = str_sub(line, prefix.n, line.n);
  for(int i = 0; i < n && !name[0]; i++)
    if(n == 1 || str_find(line, str_z(config_key(v[i].row))) >= 0) config_name(v[i].row, name);
  return status_fail(e, Q_BAD_VALUE, name[0] ? name : NULL, "%.*s.", STR_F(str_sub(line, 0, 400)));
}

/* With the lock held. text: of the file; take_new and differ as in config_input. */
static struct config *settings_build(struct app *a, const struct settings_all *all, const struct str *text, bool take_new,
                                     struct strbuf *differ, struct strbuf *errors)
{
  struct strbuf warnings = STRBUF(SETTINGS_FILE_MAX);
  struct config_pair pairs[SETTINGS_ROWS];
  struct config_input in = a->settings->in;
  int n = 0;
  for(int i = 0; i < config_rows(); i++)
    if(all->v[i].p) pairs[n++] = (struct config_pair){ config_key(i), all->v[i].p };
  in.stored = pairs;
  in.stored_n = n;
  in.text = text;
  in.fixed = a->config; /* only a change of settings replaces it, and that holds the lock */
  in.take_new = take_new;
  in.differ = differ;
  struct config *c = config_load(&in, errors, &warnings);
  strbuf_free(&warnings);
  return c;
}

/* The same with what is stored, less what does not fit. */
static struct config *settings_build_stored(struct app *a, struct settings_all *all, const struct str *text, bool take_new,
                                            struct strbuf *differ, struct strbuf *errors)
{
  struct q_error e = Q_ERROR_NONE;
  for(int i = 0; i < config_rows(); i++)
    if(all->v[i].p && config_check(i, all->v[i], &e)) {
      LOG_WARN(a->log, "settings", "", "the stored setting %s is left out: %s", config_key(i), e.msg);
      all->v[i] = STR_NONE;
    }
  struct config *c = settings_build(a, all, text, take_new, differ, errors);
  if(c) return c;
  struct settings_all none = { .app = a };
  c = settings_build(a, &none, text, take_new, NULL, errors);
  if(c) {
    LOG_WARN(a->log, "settings", "", "the stored settings do not go together and are left out: %.*s", STR_F(str_sub(strbuf_str(errors), 0, 300)));
    strbuf_clear(errors);
  }
  return c;
}

enum q_status settings_load(struct app *a, struct q_error *e)
{
  struct settings *s = a->settings;
  struct settings_all all;
  struct strbuf errors = STRBUF(SETTINGS_FILE_MAX);
  pthread_mutex_lock(&s->lock);
  struct str text = strbuf_str(&s->file_text);
  enum q_status st = settings_read(a, &all);
  if(st) status_fail(e, st, NULL, "The settings cannot be read from the store.");
  bool any = a->config->stored;
  for(int i = 0; i < config_rows(); i++) any |= all.v[i].p != NULL;
  struct config *c = st || !any ? NULL : settings_build_stored(a, &all, &text, false, NULL, &errors);
  if(c) app_set_config(a, c);
  else if(!st && any) st = settings_words(strbuf_str(&errors), NULL, 0, e);
  settings_all_free(&all);
  pthread_mutex_unlock(&s->lock);
  strbuf_free(&errors);
  return st;
}

enum q_status settings_each(struct app *a, void (*fn)(void *ctx, int row, struct str value), void *ctx)
{
  struct settings_all all;
  pthread_mutex_lock(&a->settings->lock);
  enum q_status st = settings_read(a, &all);
  for(int i = 0; !st && i < config_rows(); i++)
    if(all.v[i].p) fn(ctx, i, all.v[i]);
  settings_all_free(&all);
  pthread_mutex_unlock(&a->settings->lock);
  return st;
}

enum q_status settings_reseal(struct app *a)
{
  struct settings_all all;
  struct settings_change v[SETTINGS_ROWS];
  int n = 0;
  pthread_mutex_lock(&a->settings->lock);
  enum q_status st = settings_read(a, &all);
  for(int i = 0; !st && i < config_rows(); i++)
    if(all.v[i].p && config_secret(i)) v[n++] = (struct settings_change){ i, all.v[i], false };
  if(!st) st = settings_commit(a, v, n);
  settings_all_free(&all);
  pthread_mutex_unlock(&a->settings->lock);
  return st;
}

/* ---- changes ---- */

static enum q_status settings_fits(const struct settings_change *v, int n, struct q_error *e)
{
  char name[CONFIG_NAME];
  for(int i = 0; i < n; i++) {
    config_name(v[i].row, name);
    if(!config_live(v[i].row))
      return status_fail(e, Q_BAD_VALUE, name, "'%s' is fixed at start: set %s and restart.", name, config_key(v[i].row));
    if(v[i].value.n > SETTINGS_TEXT_MAX) return status_fail(e, Q_TOO_BIG, name, "'%s' is too long.", name);
    if(v[i].drop) continue;
    enum q_status st = config_check(v[i].row, v[i].value, e);
    if(st) return st;
  }
  return Q_OK;
}

enum q_status settings_write(struct app *a, const struct settings_change *v, int n, struct q_error *e)
{
  struct settings *s = a->settings;
  struct settings_all all;
  struct strbuf errors = STRBUF(SETTINGS_FILE_MAX);
  struct config *c = NULL;
  enum q_status st = n > SETTINGS_ROWS ? Q_TOO_BIG : settings_fits(v, n, e);
  if(st) return st;
  pthread_mutex_lock(&s->lock);
  struct str text = strbuf_str(&s->file_text);
  st = settings_read(a, &all);
  if(st) status_fail(e, st, NULL, "The settings cannot be read from the store.");
  for(int i = 0; i < n && !st; i++) {
    all.v[v[i].row] = v[i].drop ? STR_NONE : arena_str(&all.arena, v[i].value);
    if(!v[i].drop && !all.v[v[i].row].p) st = status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  }
  if(!st) {
    c = settings_build(a, &all, &text, false, NULL, &errors);
    if(!c) st = settings_words(strbuf_str(&errors), v, n, e);
  }
  if(!st) {
    st = settings_commit(a, v, n);
    if(st) status_fail(e, st, NULL, "The settings could not be written. %s", store_trouble(a->store));
  }
  if(!st) app_set_config(a, c);
  else config_unref(c);
  settings_all_free(&all);
  pthread_mutex_unlock(&s->lock);
  strbuf_free(&errors);
  return st;
}

enum q_status settings_drop_all(struct app *a, struct q_error *e)
{
  struct settings_change v[SETTINGS_ROWS];
  int n = 0;
  for(int i = 0; i < config_rows(); i++)
    if(config_live(i)) v[n++] = (struct settings_change){ i, STR_NONE, true };
  return settings_write(a, v, n, e);
}

/* ---- the file again ---- */

/* Keys first: one that was taken away ends now, whatever becomes of the accounts. */
static enum q_status settings_take_new(struct app *a, const struct config *c, struct q_error *e)
{
  enum q_status st = keys_env(a->keys, c, now_wall_ms(a->now), e);
  if(!st) st = accounts_from_env(a, e);
  if(!st && accounts_save(a)) st = status_fail(e, Q_STORE, NULL, "The accounts cannot be written to the store.");
  return st;
}

enum q_status settings_reload(struct app *a, struct strbuf *restart, struct q_error *e)
{
  struct settings *s = a->settings;
  struct settings_all all;
  struct strbuf errors = STRBUF(SETTINGS_FILE_MAX), fresh = STRBUF(SETTINGS_FILE_MAX);
  struct config *c = NULL;
  pthread_mutex_lock(&s->lock);
  enum q_status st = config_read_text(s->in.file, &fresh, e);
  struct str text = strbuf_str(&fresh);
  enum q_status got = settings_read(a, &all);
  if(!st && got) st = status_fail(e, got, NULL, "The settings cannot be read from the store.");
  if(!st) {
    c = settings_build_stored(a, &all, &text, true, restart, &errors);
    if(!c) st = settings_words(strbuf_str(&errors), NULL, 0, e);
  }
  if(!st) {
    struct strbuf old = s->file_text;
    s->file_text = fresh;
    fresh = old;
    app_set_config(a, c);
    st = settings_take_new(a, c, e);
  }
  if(fresh.p) crypt_wipe(fresh.p, fresh.n);
  strbuf_free(&fresh);
  settings_all_free(&all);
  pthread_mutex_unlock(&s->lock);
  strbuf_free(&errors);
  return st;
}
