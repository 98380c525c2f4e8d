#include "domain/keys.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "domain/keys_count.h"
#include "domain/keys_own.h"

enum { KEYS_SLOTS_FIRST = 64, KEYS_PART = (KEYS_ID - 1) / 2 /* bytes of the hash that are the id */ };

void keys_hash(const unsigned char salt[KEYS_SALT], struct str key, unsigned char out[KEYS_HASH])
{
  crypt_sha256_2(str_of((const char *)salt, KEYS_SALT), key, out);
}

static enum q_status keys_salt(struct store *s, unsigned char salt[KEYS_SALT])
{
  struct strbuf v = STRBUF(64);
  enum q_status st = store_get(s, S("meta/keysalt"), &v);
  if(st == Q_NOT_FOUND) {
    crypt_random(salt, KEYS_SALT);
    st = store_claim(s, S("meta/keysalt"), str_of((char *)salt, KEYS_SALT));
    strbuf_clear(&v);
    if(!st) st = store_get(s, S("meta/keysalt"), &v); /* another gateway of the same store may have been faster */
  }
  if(!st && v.n == KEYS_SALT) memcpy(salt, v.p, KEYS_SALT);
  else if(!st) st = Q_STORE;
  strbuf_free(&v);
  return st;
}

void keys_make(char made[KEYS_TEXT])
{
  struct crypt_rng rng = { .left = 0 };
  memcpy(made, "sk-", 3);
  crypt_id(&rng, made + 3, KEYS_TEXT - 4);
  crypt_wipe(&rng, sizeof rng);
}

static enum q_status keys_make_admin(struct store *s, char made[KEYS_TEXT], unsigned char hash[KEYS_HASH])
{
  unsigned char salt[KEYS_SALT];
  enum q_status st = keys_salt(s, salt);
  if(st) return st;
  keys_make(made);
  keys_hash(salt, str_z(made), hash);
  return Q_OK;
}

enum q_status keys_new_admin(struct store *s, char made[KEYS_TEXT])
{
  unsigned char hash[KEYS_HASH];
  enum q_status st = keys_make_admin(s, made, hash);
  return st ? st : store_put(s, S("key/admin"), str_of((char *)hash, KEYS_HASH));
}

/* ---- the table ---- */

static struct keys_one **keys_slot(const struct keys *k, const unsigned char *hash)
{
  uint32_t h;
  memcpy(&h, hash, sizeof h);
  return &k->slots[h & (k->slot_n - 1)];
}

struct keys_one *keys_by_hash(const struct keys *k, const unsigned char hash[KEYS_HASH])
{
  for(struct keys_one *one = *keys_slot(k, hash); one; one = one->chain)
    if(crypt_equal(hash, one->hash, KEYS_HASH)) return one;
  return NULL;
}

static struct keys_one *keys_by_salts(const struct keys *k, struct str text)
{
  unsigned char hash[KEYS_HASH];
  for(int i = 0; i < k->salt_n; i++) {
    keys_hash(k->salts[i], text, hash);
    struct keys_one *one = keys_by_hash(k, hash);
    if(one && one->salt == i + 1) return one;
  }
  return NULL;
}

struct keys_one *keys_by_text(const struct keys *k, struct str text, unsigned char own[KEYS_HASH])
{
  keys_hash(k->salt, text, own);
  struct keys_one *one = keys_by_hash(k, own);
  return one && !one->salt ? one : keys_by_salts(k, text);
}

int keys_salt_no(struct keys *k, const unsigned char salt[KEYS_SALT])
{
  if(memcmp(salt, k->salt, KEYS_SALT) == 0) return 0;
  for(int i = 0; i < k->salt_n; i++)
    if(memcmp(salt, k->salts[i], KEYS_SALT) == 0) return i + 1;
  if(k->salt_n == KEYS_SALTS) return -1;
  pthread_mutex_lock(&k->lock);
  memcpy(k->salts[k->salt_n++], salt, KEYS_SALT);
  pthread_mutex_unlock(&k->lock);
  return k->salt_n;
}

void keys_salts_back(struct keys *k, int n)
{
  pthread_mutex_lock(&k->lock);
  k->salt_n = n;
  pthread_mutex_unlock(&k->lock);
}

struct keys_one *keys_by_id(const struct keys *k, struct str id)
{
  unsigned char part[KEYS_PART];
  if(id.n != KEYS_ID - 1 || !codec_unhex(id, part)) return NULL;
  for(struct keys_one *one = *keys_slot(k, part); one; one = one->chain)
    if(memcmp(part, one->hash, KEYS_PART) == 0) return one;
  return NULL;
}

struct keys_one *keys_one_new(const unsigned char hash[KEYS_HASH], enum key_kind kind, enum keys_source source)
{
  struct keys_one *one = mem_zalloc(sizeof *one);
  if(!one) return NULL;
  memcpy(one->hash, hash, KEYS_HASH);
  codec_hex(str_of((const char *)hash, KEYS_PART), one->id);
  one->kind = kind;
  one->source = source;
  one->facts.enabled = true;
  str_copy(one->facts.masked, sizeof one->facts.masked, S("***"));
  keys_limits_none(&one->facts.limits);
  return one;
}

void keys_one_free(struct keys_one *one)
{
  if(!one) return;
  keys_limits_free(&one->facts.limits);
  keys_use_free(&one->use);
  mem_free(one);
}

/* Without memory the chains become longer, no more. */
static void keys_grow(struct keys *k)
{
  struct keys_one **slots = (size_t)k->n < k->slot_n ? NULL : mem_zalloc(sizeof *slots * k->slot_n * 2);
  if(!slots) return;
  mem_free(k->slots);
  k->slots = slots;
  k->slot_n *= 2;
  for(struct keys_one *one = k->first; one; one = one->next) {
    struct keys_one **slot = keys_slot(k, one->hash);
    one->chain = *slot;
    *slot = one;
  }
}

void keys_insert(struct keys *k, struct keys_one *one)
{
  struct keys_one **slot = keys_slot(k, one->hash);
  one->serial = ++k->serials;
  one->chain = *slot;
  *slot = one;
  one->next = NULL;
  *k->last = one;
  k->last = &one->next;
  k->n++;
  keys_grow(k);
}

void keys_remove(struct keys *k, struct keys_one *one)
{
  struct keys_one **at = keys_slot(k, one->hash);
  while(*at != one) at = &(*at)->chain;
  *at = one->chain;
  at = &k->first;
  while(*at != one) at = &(*at)->next;
  *at = one->next;
  if(k->last == &one->next) k->last = at;
  k->n--;
  keys_one_free(one);
}

/* ---- API_KEY ---- */

/* Takes the place of a stored key of the same text. With change held. now_ms 0: the counters are loaded later. */
static enum q_status keys_env_one(struct keys *k, struct str text, enum key_kind kind, int64_t now_ms)
{
  unsigned char hash[KEYS_HASH];
  struct keys_one *was = keys_by_text(k, text, hash);
  struct keys_one *one = was && was->source == KEYS_ENV ? was : keys_one_new(hash, kind, KEYS_ENV);
  if(!one) return Q_NOMEM;
  pthread_mutex_lock(&k->lock);
  if(was && was != one) {
    one->use = was->use;
    one->use.inflight = 0; /* their passes are of the other one */
    one->use.media_held = 0;
    was->use.minute = NULL;
    keys_remove(k, was);
  }
  one->kind = kind;
  keys_mask(text, one->facts.masked, sizeof one->facts.masked);
  if(one != was) keys_insert(k, one);
  pthread_mutex_unlock(&k->lock);
  if(now_ms && !was && keys_count_fetch(k, one, now_ms)) LOG_WARN(k->log, "keys", "", "what the key %s used before could not be read", one->id);
  return Q_OK;
}

static bool keys_env_lists(const struct keys *k, const struct config *c, const struct keys_one *one)
{
  unsigned char hash[KEYS_HASH];
  for(int i = 0; i < c->api_key.n; i++) {
    keys_hash(k->salt, str_z(c->api_key.v[i]), hash);
    if(crypt_equal(hash, one->hash, KEYS_HASH)) return true;
  }
  return false;
}

/* With change held. */
static enum q_status keys_env_take(struct keys *k, const struct config *c, int64_t now_ms)
{
  enum q_status st = Q_OK;
  for(int i = 0; i < c->api_key.n && !st; i++) {
    bool again = false; /* a key listed twice is what it was first */
    for(int j = 0; j < i; j++) again |= strcmp(c->api_key.v[i], c->api_key.v[j]) == 0;
    if(!again) st = keys_env_one(k, str_z(c->api_key.v[i]), i ? KEY_REGULAR : KEY_ADMIN, now_ms);
  }
  return st;
}

enum q_status keys_env(struct keys *k, const struct config *c, int64_t now_ms, struct q_error *e)
{
  if(!c->api_key.n) return Q_OK;
  pthread_mutex_lock(&k->change);
  enum q_status st = keys_env_take(k, c, now_ms);
  for(struct keys_one *one = k->first, *next; one; one = next) { /* who is out is out, whatever the store says */
    char id[KEYS_ID];
    next = one->next;
    if(one->source == KEYS_STORED || (one->source == KEYS_ENV && keys_env_lists(k, c, one))) continue;
    memcpy(id, one->id, sizeof id);
    pthread_mutex_lock(&k->lock);
    keys_remove(k, one);
    pthread_mutex_unlock(&k->lock);
    enum q_status hidden = keys_admin_load_one(k, str_z(id), now_ms); /* one of the same text may have been hidden */
    if(!st) st = hidden;
  }
  pthread_mutex_unlock(&k->change);
  return st ? status_fail(e, st, "API_KEY", "The keys of API_KEY could not all be taken over.") : Q_OK;
}

/* ---- birth ---- */

/* Of several gateways that start at once one makes it; the others have nothing to show. */
static enum q_status keys_first_admin(struct keys *k, char made[KEYS_TEXT], struct strbuf *stored)
{
  unsigned char hash[KEYS_HASH];
  enum q_status st = keys_make_admin(k->store, made, hash);
  if(!st) st = store_claim(k->store, S("key/admin"), str_of((char *)hash, KEYS_HASH));
  if(!st) st = store_get(k->store, S("key/admin"), stored);
  if(st || !str_eq(strbuf_str(stored), str_of((char *)hash, KEYS_HASH))) crypt_wipe(made, KEYS_TEXT);
  return st;
}

static enum q_status keys_open_admin(struct keys *k, char made[KEYS_TEXT])
{
  struct strbuf stored = STRBUF(64);
  enum q_status st = store_get(k->store, S("key/admin"), &stored);
  if(st == Q_NOT_FOUND) st = keys_first_admin(k, made, &stored);
  if(!st && stored.n != KEYS_HASH) st = Q_STORE;
  struct keys_one *one = st ? NULL : keys_one_new((unsigned char *)stored.p, KEY_ADMIN, KEYS_GENERATED);
  if(!st && !one) st = Q_NOMEM;
  if(one) keys_insert(k, one);
  strbuf_free(&stored);
  return st;
}

enum q_status keys_reload_admin(struct keys *k)
{
  struct strbuf stored = STRBUF(64);
  struct keys_one *was = k->first, *one = NULL;
  while(was && was->source != KEYS_GENERATED) was = was->next;
  if(!was) return Q_OK; /* API_KEY has it */
  enum q_status st = store_get(k->store, S("key/admin"), &stored);
  bool fresh = !st && stored.n == KEYS_HASH && !crypt_equal((unsigned char *)stored.p, was->hash, KEYS_HASH);
  if(fresh && !keys_by_hash(k, (unsigned char *)stored.p)) {
    one = keys_one_new((unsigned char *)stored.p, KEY_ADMIN, KEYS_GENERATED);
    if(!one) st = Q_NOMEM;
  }
  if(one) {
    pthread_mutex_lock(&k->lock);
    keys_remove(k, was);
    keys_insert(k, one);
    pthread_mutex_unlock(&k->lock);
  }
  strbuf_free(&stored);
  return st == Q_NOT_FOUND ? Q_OK : st; /* lost, not taken away */
}

struct keys *keys_open(struct store *s, const struct config *c, struct log *log, int64_t now_ms, char made[KEYS_TEXT], struct q_error *e)
{
  struct keys *k = mem_zalloc(sizeof *k);
  made[0] = 0;
  if(!k) {
    status_fail(e, Q_NOMEM, NULL, "Out of memory.");
    return NULL;
  }
  pthread_mutex_init(&k->change, NULL);
  pthread_mutex_init(&k->lock, NULL);
  k->store = s;
  k->log = log;
  k->last = &k->first;
  k->slot_n = KEYS_SLOTS_FIRST;
  k->slots = mem_zalloc(sizeof *k->slots * k->slot_n);
  keys_use_calendar(&k->calendar, now_ms);
  enum q_status st = k->slots ? keys_salt(s, k->salt) : Q_NOMEM;
  if(!st) st = c->api_key.n ? keys_env_take(k, c, 0) : keys_open_admin(k, made);
  if(!st) st = keys_admin_load(k);
  if(!st) st = keys_count_load(k, now_ms);
  if(!st) return k;
  status_fail(e, st, NULL, st == Q_NOMEM ? "Out of memory." : "The keys cannot be read from or written to the store.");
  keys_destroy(k);
  return NULL;
}

void keys_destroy(struct keys *k)
{
  if(!k) return;
  for(struct keys_one *one = k->first, *next; one; one = next) {
    next = one->next;
    keys_one_free(one);
  }
  mem_free(k->slots);
  pthread_mutex_destroy(&k->lock);
  pthread_mutex_destroy(&k->change);
  mem_free(k);
}

/* ---- who ---- */

static const char *keys_why_not(const struct keys_one *one, int64_t now_ms)
{
  if(!one->facts.enabled) return "is disabled";
  return one->facts.limits.expires_s && now_ms / 1000 >= one->facts.limits.expires_s ? "has expired" : NULL;
}

enum key_kind keys_check(struct keys *k, struct str presented, int64_t now_ms, char id[KEYS_ID])
{
  unsigned char hash[KEYS_HASH];
  keys_hash(k->salt, presented, hash);
  if(id) codec_hex(str_of((const char *)hash, KEYS_PART), id);
  pthread_mutex_lock(&k->lock);
  struct keys_one *one = keys_by_hash(k, hash);
  if((!one || one->salt) && k->salt_n) one = keys_by_salts(k, presented);
  if(one && id) memcpy(id, one->id, KEYS_ID);
  enum key_kind kind = one && !keys_why_not(one, now_ms) ? one->kind : KEY_NONE;
  pthread_mutex_unlock(&k->lock);
  return kind;
}

const char *keys_refusal(struct keys *k, struct str presented, int64_t now_ms)
{
  unsigned char hash[KEYS_HASH];
  keys_hash(k->salt, presented, hash);
  pthread_mutex_lock(&k->lock);
  struct keys_one *one = keys_by_hash(k, hash);
  if((!one || one->salt) && k->salt_n) one = keys_by_salts(k, presented);
  const char *why = one ? keys_why_not(one, now_ms) : NULL;
  pthread_mutex_unlock(&k->lock);
  return why;
}

bool keys_name(struct keys *k, const char *id, char name[KEYS_NAME])
{
  pthread_mutex_lock(&k->lock);
  const struct keys_one *one = keys_by_id(k, str_z(id));
  if(one) str_copy(name, KEYS_NAME, str_z(one->facts.name[0] ? one->facts.name : one->facts.masked));
  pthread_mutex_unlock(&k->lock);
  return one;
}

/* ---- how much ---- */

enum q_status keys_admit(struct keys *k, const char id[KEYS_ID], const struct keys_ask *ask, int64_t now_ms, struct key_pass *pass, struct q_error *e)
{
  *pass = (struct key_pass){ .held = false };
  pthread_mutex_lock(&k->lock);
  keys_use_calendar(&k->calendar, now_ms);
  struct keys_one *one = keys_by_id(k, str_z(id));
  enum q_status st = one ? keys_use_admit(&one->use, &one->facts.limits, &k->calendar, ask, now_ms, e)
                         : status_fail(e, Q_BAD_KEY, NULL, "This API key was deleted.");
  if(!st) {
    k->dirty |= one->use.changed;
    memcpy(pass->id, one->id, sizeof pass->id);
    pass->held = true;
    pass->serial = one->serial;
    pass->media = ask->media;
  }
  pthread_mutex_unlock(&k->lock);
  return st;
}

enum q_status keys_would_admit(struct keys *k, const char id[KEYS_ID], const struct keys_ask *ask, int64_t now_ms, struct q_error *e)
{
  pthread_mutex_lock(&k->lock);
  keys_use_calendar(&k->calendar, now_ms);
  struct keys_one *one = keys_by_id(k, str_z(id));
  const char *why = one ? keys_why_not(one, now_ms) : NULL;
  enum q_status st = !one ? Q_NOT_FOUND : why ? status_fail(e, Q_BAD_KEY, NULL, "This API key %s.", why)
                                              : keys_use_check(&one->use, &one->facts.limits, &k->calendar, ask, now_ms, e);
  pthread_mutex_unlock(&k->lock);
  return st;
}

void keys_done(struct keys *k, struct key_pass *pass, int64_t tokens_in, int64_t tokens_out, int media, int64_t now_ms)
{
  if(!pass->held) return;
  pass->held = false;
  pthread_mutex_lock(&k->lock);
  keys_use_calendar(&k->calendar, now_ms);
  struct keys_one *one = keys_by_id(k, str_z(pass->id));
  if(one && one->serial == pass->serial) {
    keys_use_done(&one->use, &k->calendar, pass->media, tokens_in + tokens_out, media, now_ms);
    k->dirty |= one->use.changed;
  }
  pthread_mutex_unlock(&k->lock);
}

void keys_late(struct keys *k, const char *id, int media, int64_t now_ms)
{
  pthread_mutex_lock(&k->lock);
  keys_use_calendar(&k->calendar, now_ms);
  struct keys_one *one = keys_by_id(k, str_z(id));
  if(one) {
    one->use.inflight++; /* for the moment */
    keys_use_done(&one->use, &k->calendar, 0, 0, media, now_ms);
    k->dirty = true;
  }
  pthread_mutex_unlock(&k->lock);
}

void keys_mask(struct str key, char *out, size_t cap)
{
  if(key.n < 12) {
    snprintf(out, cap, "***");
    return;
  }
  char head[6], tail[5];
  for(int i = 0; i < 5; i++) head[i] = key.p[i] > ' ' && key.p[i] < 0x7f ? key.p[i] : '?';
  for(int i = 0; i < 4; i++) tail[i] = key.p[key.n - 4 + (size_t)i] > ' ' && key.p[key.n - 4 + (size_t)i] < 0x7f ? key.p[key.n - 4 + (size_t)i] : '?';
  head[5] = tail[4] = 0;
  snprintf(out, cap, "%s\u2026%s", head, tail);
}
