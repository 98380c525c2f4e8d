#include "domain/keys_admin.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "domain/keys_count.h"
#include "domain/keys_own.h"

enum { KEYS_ADMIN_DEPTH = 8, KEYS_ADMIN_RECORD = 4 + KEYS_ID, KEYS_ADMIN_USED_MAX = 8 * 1024 };

/* ---- records ---- */

static void keys_admin_record_name(const char *id, char out[KEYS_ADMIN_RECORD])
{
  snprintf(out, KEYS_ADMIN_RECORD, "key/%s", id);
}

/* Without the closing brace. */
static void keys_admin_facts(const unsigned char hash[KEYS_HASH], const struct keys_facts *f, struct strbuf *b)
{
  char hex[2 * KEYS_HASH + 1];
  codec_hex(str_of((const char *)hash, KEYS_HASH), hex);
  strbuf_fmt(b, "{\"hash\":\"%s\",\"masked\":", hex);
  strbuf_json(b, str_z(f->masked));
  strbuf_lit(b, ",\"name\":");
  strbuf_json(b, str_z(f->name));
  strbuf_fmt(b, ",\"createdAt\":%lld,\"enabled\":%s,\"limits\":", (long long)f->created_s, f->enabled ? "true" : "false");
  keys_limits_write(&f->limits, b);
}

static void keys_admin_salt(const unsigned char salt[KEYS_SALT], struct strbuf *b)
{
  char hex[2 * KEYS_SALT + 1];
  codec_hex(str_of((const char *)salt, KEYS_SALT), hex);
  strbuf_fmt(b, ",\"salt\":\"%s\"", hex);
}

static void keys_admin_write(const struct keys *k, const struct keys_one *one, const struct keys_facts *f, struct strbuf *b)
{
  strbuf_addc(b, KEYS_VERSION);
  keys_admin_facts(one->hash, f, b);
  if(one->salt) keys_admin_salt(k->salts[one->salt - 1], b);
  strbuf_addc(b, '}');
}

static enum q_status keys_admin_put(struct keys *k, const struct keys_one *one, const struct keys_facts *f)
{
  char name[KEYS_ADMIN_RECORD];
  struct strbuf value = STRBUF(KEYS_RECORD_MAX);
  keys_admin_record_name(one->id, name);
  keys_admin_write(k, one, f, &value);
  enum q_status st = value.err ? value.err : store_put(k->store, str_z(name), strbuf_str(&value));
  strbuf_free(&value);
  return st;
}

/* What keys_admin_facts() wrote, and the salt if it is another store's. */
static enum q_status keys_admin_parse_facts(struct keys *k, const struct json *root, struct keys_one **out)
{
  unsigned char hash[KEYS_HASH], salt[KEYS_SALT];
  struct str hex = json_str(json_get(root, "hash")), foreign = json_str(json_get(root, "salt"));
  bool ok = hex.n == 2 * KEYS_HASH && codec_unhex(hex, hash) && (!foreign.n || (foreign.n == 2 * KEYS_SALT && codec_unhex(foreign, salt)));
  struct keys_one *one = ok ? keys_one_new(hash, KEY_REGULAR, KEYS_STORED) : NULL;
  enum q_status st = !ok ? Q_BAD_VALUE : one ? Q_OK : Q_NOMEM;
  if(!st && foreign.n && (one->salt = keys_salt_no(k, salt)) < 0) st = Q_BAD_VALUE;
  if(!st) {
    struct keys_facts *f = &one->facts;
    str_copy(f->masked, sizeof f->masked, json_str(json_get(root, "masked")));
    str_copy(f->name, sizeof f->name, json_str(json_get(root, "name")));
    if(!json_int(json_get(root, "createdAt"), &f->created_s)) f->created_s = 0;
    f->enabled = json_true(json_get(root, "enabled"));
    /* A limit that is not understood must not become none: such a key is left out. */
    for json_each(m, json_get(root, "limits"))
      if(!st) st = keys_limits_read(&f->limits, m, NULL);
  }
  if(st) keys_one_free(one);
  else *out = one;
  return st == Q_OK || st == Q_NOMEM ? st : Q_BAD_VALUE;
}

/* Q_BAD_VALUE: it is no record of ours. */
static enum q_status keys_admin_parse(struct keys *k, struct str id, struct str value, struct keys_one **out)
{
  struct arena a = ARENA(8 * KEYS_RECORD_MAX);
  const struct json *root = value.n > 1 && value.p[0] == KEYS_VERSION ? json_parse(&a, str_sub(value, 1, value.n), KEYS_ADMIN_DEPTH, NULL) : NULL;
  enum q_status st = keys_admin_parse_facts(k, root, out);
  arena_free(&a);
  if(!st && !str_eq(id, str_z((*out)->id))) {
    keys_one_free(*out);
    st = Q_BAD_VALUE;
  }
  return st;
}

struct keys_admin_walk { struct keys *k; enum q_status st; };

static bool keys_admin_see(void *ctx, struct str key, struct str value)
{
  struct keys_admin_walk *w = ctx;
  struct str id = str_sub(key, 4, key.n);
  struct keys_one *one;
  if(str_eq(id, S("admin"))) return true;
  enum q_status st = keys_admin_parse(w->k, id, value, &one);
  if(st == Q_NOMEM) w->st = st;
  else if(st) LOG_WARN(w->k->log, "keys", "", "the stored key %.*s cannot be read: left out", STR_F(str_sub(id, 0, 16)));
  else if(keys_by_hash(w->k, one->hash)) keys_one_free(one); /* API_KEY has it */
  else keys_insert(w->k, one);
  return w->st == Q_OK;
}

enum q_status keys_admin_load(struct keys *k)
{
  struct keys_admin_walk w = { .k = k };
  enum q_status st = k->store->ops->scan(k->store, S("key/"), keys_admin_see, &w);
  return st ? st : w.st;
}

enum q_status keys_admin_load_one(struct keys *k, struct str id, int64_t now_ms)
{
  char name[KEYS_ADMIN_RECORD], text[KEYS_ID];
  struct strbuf value = STRBUF(KEYS_RECORD_MAX);
  struct keys_one *fresh = NULL, *was = keys_by_id(k, id);
  str_copy(text, sizeof text, id);
  keys_admin_record_name(text, name);
  enum q_status st = store_get(k->store, str_z(name), &value);
  if(!st) st = keys_admin_parse(k, id, strbuf_str(&value), &fresh);
  if(st) fresh = NULL;
  strbuf_free(&value);
  if(st == Q_NOT_FOUND || st == Q_BAD_VALUE) { /* deleted, or not to be trusted */
    if(was && was->source == KEYS_STORED) {
      pthread_mutex_lock(&k->lock);
      keys_remove(k, was);
      pthread_mutex_unlock(&k->lock);
    }
    return Q_OK;
  }
  if(st || (was && was->source != KEYS_STORED)) {
    keys_one_free(fresh);
    return st;
  }
  pthread_mutex_lock(&k->lock);
  if(was) {
    struct keys_facts old = was->facts;
    was->facts = fresh->facts;
    fresh->facts = old;
    if(!was->use.minute) {
      was->use.minute = fresh->use.minute;
      fresh->use.minute = NULL;
    }
  } else {
    keys_insert(k, fresh);
  }
  pthread_mutex_unlock(&k->lock);
  if(was) keys_one_free(fresh);
  else st = keys_count_fetch(k, fresh, now_ms);
  return st;
}

enum q_status keys_admin_changed(struct keys *k, struct str record, int64_t now_ms)
{
  struct str id = str_sub(record, 4, record.n);
  bool admin = str_eq(id, S("admin"));
  if(!admin && id.n != KEYS_ID - 1) return Q_OK;
  pthread_mutex_lock(&k->change);
  enum q_status st = admin ? keys_reload_admin(k) : keys_admin_load_one(k, id, now_ms);
  pthread_mutex_unlock(&k->change);
  return st;
}

enum q_status keys_admin_restore(struct keys *k)
{
  enum q_status st = Q_OK;
  pthread_mutex_lock(&k->change);
  for(struct keys_one *one = k->first; one && !st; one = one->next) {
    if(one->source == KEYS_STORED) st = keys_admin_put(k, one, &one->facts);
    if(one->source == KEYS_GENERATED) st = store_put(k->store, S("key/admin"), str_of((const char *)one->hash, KEYS_HASH));
  }
  if(!st) st = keys_count_restore(k);
  pthread_mutex_unlock(&k->change);
  return st;
}

/* ---- what is asked for ---- */

static enum q_status keys_admin_name(struct keys_facts *f, const struct json *v, struct q_error *e)
{
  struct str name = str_trim(json_str(v));
  if(!json_absent(v) && !json_is(v, JSON_STRING)) return status_fail(e, Q_BAD_TYPE, "name", "'name' must be a text, or null.");
  if(name.n >= KEYS_NAME) return status_fail(e, Q_BAD_VALUE, "name", "'name' has at most %d bytes.", KEYS_NAME - 1);
  for(size_t i = 0; i < name.n; i++)
    if((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f) return status_fail(e, Q_BAD_VALUE, "name", "'name' must be one line of text.");
  str_copy(f->name, sizeof f->name, name);
  return Q_OK;
}

static enum q_status keys_admin_text(const struct json *v, struct str *text, struct q_error *e)
{
  *text = str_trim(json_str(v));
  if(!json_absent(v) && !json_is(v, JSON_STRING)) return status_fail(e, Q_BAD_TYPE, "apiKey", "'apiKey' must be a text.");
  if(text->n > KEYS_LONGEST) return status_fail(e, Q_BAD_VALUE, "apiKey", "'apiKey' has at most %d characters.", KEYS_LONGEST);
  for(size_t i = 0; i < text->n; i++)
    if((unsigned char)text->p[i] <= ' ' || (unsigned char)text->p[i] >= 0x7f)
      return status_fail(e, Q_BAD_VALUE, "apiKey", "'apiKey' must be of printable ASCII characters without blanks.");
  return Q_OK;
}

/* text NULL: the key itself cannot be changed. */
static enum q_status keys_admin_read(struct keys_facts *f, const struct json *body, struct str *text, struct q_error *e)
{
  enum q_status st = Q_OK;
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  for json_each(m, body) {
    char name[64];
    str_copy(name, sizeof name, m->key);
    if(keys_limits_has(m->key)) {
      st = keys_limits_read(&f->limits, m, e);
    } else if(str_eq(m->key, S("limits"))) {
      if(!json_absent(m) && !json_is(m, JSON_OBJECT)) st = status_fail(e, Q_BAD_TYPE, "limits", "'limits' must be an object of limits.");
      for json_each(x, json_is(m, JSON_OBJECT) ? m : NULL)
        if(!st) st = keys_limits_read(&f->limits, x, e);
    } else if(str_eq(m->key, S("name"))) {
      st = keys_admin_name(f, m, e);
    } else if(str_eq(m->key, S("enabled"))) {
      if(!json_bool(m, &f->enabled)) st = status_fail(e, Q_BAD_TYPE, "enabled", "'enabled' must be true or false.");
    } else if(text && str_eq(m->key, S("apiKey"))) {
      st = keys_admin_text(m, text, e);
    } else {
      st = status_fail(e, Q_UNSUPPORTED, name, "'%s' is nothing that can be set of a key.", name);
    }
    if(st) return st;
  }
  return Q_OK;
}

static enum q_status keys_admin_fail(struct keys *k, enum q_status st, struct q_error *e)
{
  if(e->st) return st;
  if(st == Q_NOMEM) return status_fail(e, st, NULL, "Out of memory.");
  return status_fail(e, st, NULL, "The key could not be stored. %s", store_trouble(k->store));
}

/* ---- changes ---- */

/* Whether its text is one under another salt. With change held. */
static bool keys_admin_imported(const struct keys *k, struct str text)
{
  unsigned char hash[KEYS_HASH];
  return keys_by_text(k, text, hash) != NULL;
}

static enum q_status keys_admin_enter(struct keys *k, struct keys_one *one, struct q_error *e)
{
  if(keys_by_id(k, str_z(one->id))) return status_fail(e, Q_EXISTS, "apiKey", "This key exists already.");
  if(k->n >= KEYS_MAX) return status_fail(e, Q_BAD_VALUE, NULL, "There are %d keys already; delete some first.", KEYS_MAX);
  enum q_status st = keys_use_ready(&one->use, &one->facts.limits);
  if(!st) st = keys_admin_put(k, one, &one->facts);
  if(st) return st;
  one->use.known = true; /* nothing yet */
  pthread_mutex_lock(&k->lock);
  keys_insert(k, one);
  pthread_mutex_unlock(&k->lock);
  return Q_OK;
}

enum q_status keys_admin_add(struct keys *k, const struct json *body, int64_t now_ms, char made[KEYS_TEXT], char id[KEYS_ID], struct q_error *e)
{
  struct keys_facts f = { .enabled = true, .created_s = now_ms / 1000 };
  struct str text = STR_NONE;
  unsigned char hash[KEYS_HASH];
  made[0] = 0;
  keys_limits_none(&f.limits);
  enum q_status st = keys_admin_read(&f, body, &text, e);
  if(!st && !text.n) {
    keys_make(made);
    text = str_z(made);
  }
  if(st) {
    keys_limits_free(&f.limits);
    return keys_admin_fail(k, st, e);
  }
  keys_mask(text, f.masked, sizeof f.masked);
  keys_hash(k->salt, text, hash);
  struct keys_one *one = keys_one_new(hash, KEY_REGULAR, KEYS_STORED);
  if(one) {
    one->facts = f;
    memcpy(id, one->id, KEYS_ID);
    pthread_mutex_lock(&k->change);
    st = keys_admin_imported(k, text) ? status_fail(e, Q_EXISTS, "apiKey", "This key exists already.") : keys_admin_enter(k, one, e);
    pthread_mutex_unlock(&k->change);
    if(st) keys_one_free(one);
  } else {
    keys_limits_free(&f.limits);
    st = Q_NOMEM;
  }
  return st ? keys_admin_fail(k, st, e) : Q_OK;
}

/* ---- out of and into a data.json ---- */

static enum q_status keys_admin_take_hash(struct keys *k, const struct json *v, bool dry, struct q_error *e)
{
  struct keys_one *one = NULL;
  pthread_mutex_lock(&k->change);
  int salts = k->salt_n;
  enum q_status st = keys_admin_parse_facts(k, v, &one);
  if(st == Q_BAD_VALUE) st = status_fail(e, st, NULL, "it is neither a text nor a key of an export");
  else if(!st && dry) st = keys_by_id(k, str_z(one->id)) ? Q_EXISTS : Q_OK;
  else if(!st) st = keys_admin_enter(k, one, e);
  if((st || dry) && one) keys_one_free(one);
  if(st || dry) keys_salts_back(k, salts);
  pthread_mutex_unlock(&k->change);
  return st;
}

static enum q_status keys_admin_take_text(struct keys *k, const struct json *v, bool dry, int64_t now_ms, struct q_error *e)
{
  const struct json key = { .type = JSON_STRING, .key = S("apiKey"), .text = v->text };
  const struct json body = { .type = JSON_OBJECT, .count = 1, .child = (struct json *)&key };
  char made[KEYS_TEXT], id[KEYS_ID];
  struct str text;
  enum q_status st = keys_admin_text(v, &text, e);
  if(!st && !text.n) st = status_fail(e, Q_BAD_VALUE, NULL, "it is empty");
  if(!st && dry) {
    pthread_mutex_lock(&k->change);
    st = keys_admin_imported(k, text) ? Q_EXISTS : Q_OK;
    pthread_mutex_unlock(&k->change);
  } else if(!st) {
    st = keys_admin_add(k, &body, now_ms, made, id, e);
  }
  return st;
}

enum q_status keys_admin_take(struct keys *k, const struct json *v, bool dry, int64_t now_ms, struct q_error *e)
{
  if(json_is(v, JSON_STRING)) return keys_admin_take_text(k, v, dry, now_ms, e);
  enum q_status st = keys_admin_take_hash(k, v, dry, e);
  return st && st != Q_EXISTS ? keys_admin_fail(k, st, e) : st;
}

void keys_admin_export(struct keys *k, struct strbuf *json)
{
  bool any = false;
  pthread_mutex_lock(&k->change);
  for(const struct keys_one *one = k->first; one; one = one->next) {
    if(one->source != KEYS_STORED) continue;
    if(any) strbuf_addc(json, ',');
    any = true;
    keys_admin_facts(one->hash, &one->facts, json);
    keys_admin_salt(one->salt ? k->salts[one->salt - 1] : k->salt, json);
    strbuf_addc(json, '}');
  }
  pthread_mutex_unlock(&k->change);
}

/* Whether an administrator may change it here. */
static enum q_status keys_admin_own(const struct keys_one *one, const char *verb, struct q_error *e)
{
  if(!one) return status_fail(e, Q_NOT_FOUND, NULL, "There is no such key.");
  if(one->kind == KEY_ADMIN) return status_fail(e, Q_NOT_ADMIN, NULL, "The admin key cannot be %s here: set API_KEY, or run qwen2api new-admin-key.", verb);
  if(one->source == KEYS_ENV) return status_fail(e, Q_ENV_MANAGED, NULL, "This key is set by API_KEY and cannot be %s here.", verb);
  return Q_OK;
}

static enum q_status keys_admin_amend(struct keys *k, struct keys_one *one, const struct json *body, struct q_error *e)
{
  struct keys_use spare = { .minute = NULL };
  struct keys_facts f = one->facts;
  enum q_status st = keys_limits_copy(&f.limits, &one->facts.limits);
  if(!st) st = keys_admin_read(&f, body, NULL, e);
  if(!st && !one->use.minute) st = keys_use_ready(&spare, &f.limits);
  if(!st) st = keys_admin_put(k, one, &f);
  if(!st) {
    pthread_mutex_lock(&k->lock);
    struct keys_facts old = one->facts;
    one->facts = f;
    f = old;
    if(spare.minute) one->use.minute = spare.minute;
    spare.minute = NULL;
    pthread_mutex_unlock(&k->lock);
  }
  keys_limits_free(&f.limits);
  keys_use_free(&spare);
  return st;
}

enum q_status keys_admin_patch(struct keys *k, struct str id, const struct json *body, struct q_error *e)
{
  pthread_mutex_lock(&k->change);
  struct keys_one *one = keys_by_id(k, id);
  enum q_status st = keys_admin_own(one, "changed", e);
  if(!st) st = keys_admin_amend(k, one, body, e);
  pthread_mutex_unlock(&k->change);
  return st ? keys_admin_fail(k, st, e) : Q_OK;
}

static bool keys_admin_used(void *ctx, struct str key, struct str value)
{
  struct strbuf *b = ctx;
  (void)value;
  if(b->n + key.n + 1 > KEYS_ADMIN_USED_MAX) return false;
  strbuf_adds(b, key);
  strbuf_addc(b, '\n');
  return true;
}

/* With its counters: a key of the same text that is added later begins anew. */
static enum q_status keys_admin_drop(struct keys *k, struct keys_one *one)
{
  char name[KEYS_ADMIN_RECORD], prefix[KEYS_ADMIN_RECORD + 1];
  struct store_op ops[64];
  struct strbuf used = STRBUF(KEYS_ADMIN_USED_MAX);
  int n = 0;
  keys_admin_record_name(one->id, name);
  snprintf(prefix, sizeof prefix, "use/%s/", one->id);
  enum q_status st = k->store->ops->scan(k->store, str_z(prefix), keys_admin_used, &used);
  struct str rest = strbuf_str(&used);
  ops[n++] = (struct store_op){ .key = str_z(name), .del = true };
  while(rest.n && n < 64) ops[n++] = (struct store_op){ .key = str_cut(&rest, '\n'), .del = true };
  if(!st) st = used.err ? used.err : k->store->ops->commit(k->store, ops, n);
  strbuf_free(&used);
  if(st) return st;
  pthread_mutex_lock(&k->lock);
  keys_remove(k, one);
  pthread_mutex_unlock(&k->lock);
  return Q_OK;
}

enum q_status keys_admin_delete(struct keys *k, struct str text, struct str id, char which[KEYS_ID], struct q_error *e)
{
  unsigned char hash[KEYS_HASH];
  pthread_mutex_lock(&k->change);
  struct keys_one *one = text.n ? keys_by_text(k, text, hash) : keys_by_id(k, id);
  enum q_status st = keys_admin_own(one, "deleted", e);
  if(!st) memcpy(which, one->id, KEYS_ID);
  if(!st) st = keys_admin_drop(k, one);
  pthread_mutex_unlock(&k->change);
  return st ? keys_admin_fail(k, st, e) : Q_OK;
}

/* ---- lists ---- */

static void keys_admin_time(struct strbuf *b, const char *name, int64_t s)
{
  if(s) strbuf_fmt(b, ",\"%s\":%lld", name, (long long)s);
  else strbuf_fmt(b, ",\"%s\":null", name);
}

/* With change held; the counters are copied under the lock. */
static struct keys_use keys_admin_use(struct keys *k, struct keys_one *one, int64_t now_ms)
{
  pthread_mutex_lock(&k->lock);
  keys_use_calendar(&k->calendar, now_ms);
  keys_use_turn(&one->use, &k->calendar);
  struct keys_use u = one->use;
  pthread_mutex_unlock(&k->lock);
  return u;
}

static void keys_admin_head(const struct keys_one *one, struct strbuf *b)
{
  strbuf_fmt(b, "\"id\":\"%s\",\"masked\":", one->id);
  strbuf_json(b, str_z(one->facts.masked));
  strbuf_lit(b, ",\"name\":");
  if(one->facts.name[0]) strbuf_json(b, str_z(one->facts.name));
  else strbuf_lit(b, "null");
}

static void keys_admin_members(struct keys *k, struct keys_one *one, int64_t now_ms, struct strbuf *b)
{
  static const char *const spans[KEYS_SPANS] = { "today", "month", "total" };
  static const char *const sources[] = { "env", "generated", "stored" };
  struct keys_use u = keys_admin_use(k, one, now_ms);
  keys_admin_head(one, b);
  strbuf_fmt(b, ",\"admin\":%s,\"source\":\"%s\",\"enabled\":%s", one->kind == KEY_ADMIN ? "true" : "false", sources[one->source],
             one->facts.enabled ? "true" : "false");
  keys_admin_time(b, "createdAt", one->facts.created_s);
  keys_admin_time(b, "lastUsedAt", u.last_s);
  strbuf_lit(b, ",\"limits\":");
  keys_limits_write(&one->facts.limits, b);
  strbuf_fmt(b, ",\"inflight\":%d,\"usage\":{", u.inflight);
  for(int i = 0; i < KEYS_SPANS; i++)
    strbuf_fmt(b, "%s\"%s\":{\"calls\":%lld,\"tokens\":%lld,\"media\":%lld}", i ? "," : "", spans[i], (long long)u.n[i][KEYS_CALLS],
               (long long)u.n[i][KEYS_TOKENS], (long long)u.n[i][KEYS_MEDIA]);
  strbuf_addc(b, '}');
}

enum q_status keys_admin_show(struct keys *k, struct str id, int64_t now_ms, struct strbuf *json)
{
  pthread_mutex_lock(&k->change);
  struct keys_one *one = keys_by_id(k, id);
  if(one) keys_admin_members(k, one, now_ms, json);
  pthread_mutex_unlock(&k->change);
  return one ? Q_OK : Q_NOT_FOUND;
}

void keys_admin_list(struct keys *k, int64_t now_ms, struct strbuf *json)
{
  bool first = true;
  strbuf_addc(json, '[');
  pthread_mutex_lock(&k->change);
  for(int admin = 1; admin >= 0; admin--)
    for(struct keys_one *one = k->first; one; one = one->next) {
      if((one->kind == KEY_ADMIN) != admin) continue;
      strbuf_addz(json, first ? "{" : ",{");
      keys_admin_members(k, one, now_ms, json);
      strbuf_addc(json, '}');
      first = false;
    }
  pthread_mutex_unlock(&k->change);
  strbuf_addc(json, ']');
}

void keys_admin_regular(struct keys *k, int64_t now_ms, struct strbuf *json)
{
  bool first = true;
  strbuf_addc(json, '[');
  pthread_mutex_lock(&k->change);
  for(struct keys_one *one = k->first; one; one = one->next) {
    if(one->kind == KEY_ADMIN) continue;
    struct keys_use u = keys_admin_use(k, one, now_ms);
    strbuf_addz(json, first ? "{" : ",{");
    keys_admin_head(one, json);
    keys_admin_time(json, "createdAt", one->facts.created_s);
    keys_admin_time(json, "lastUsedAt", u.last_s);
    strbuf_fmt(json, ",\"calls\":%lld}", (long long)u.n[KEYS_EVER][KEYS_CALLS]);
    first = false;
  }
  pthread_mutex_unlock(&k->change);
  strbuf_addc(json, ']');
}
