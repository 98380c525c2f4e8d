#include "domain/keys.h"

#include <stdio.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/mem.h"

enum { KEYS_SALT = 16, KEYS_HASH = 32 };

struct keys {
  unsigned char salt[KEYS_SALT];
  int n;
  struct { unsigned char hash[KEYS_HASH]; enum key_kind kind; } v[];
};

static void keys_hash(const unsigned char salt[KEYS_SALT], struct str key, unsigned char out[KEYS_HASH])
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

static void keys_make(char made[KEYS_TEXT])
{
  struct crypt_rng rng = { .left = 0 };
  memcpy(made, "sk-", 3);
  crypt_id(&rng, made + 3, KEYS_TEXT - 4);
  crypt_wipe(&rng, sizeof rng);
}

enum q_status keys_new_admin(struct store *s, char made[KEYS_TEXT])
{
  unsigned char salt[KEYS_SALT], hash[KEYS_HASH];
  enum q_status st = keys_salt(s, salt);
  if(st) return st;
  keys_make(made);
  keys_hash(salt, str_z(made), hash);
  return store_put(s, S("key/admin"), str_of((char *)hash, KEYS_HASH));
}

struct keys *keys_open(struct store *s, const struct config *c, char made[KEYS_TEXT], struct q_error *e)
{
  int n = c->api_key.n ? c->api_key.n : 1;
  struct keys *k = mem_zalloc(sizeof *k + (size_t)n * sizeof k->v[0]);
  struct strbuf stored = STRBUF(64);
  enum q_status st = k ? keys_salt(s, k->salt) : Q_NOMEM;
  made[0] = 0;
  for(int i = 0; !st && i < c->api_key.n; i++) {
    keys_hash(k->salt, str_z(c->api_key.v[i]), k->v[k->n].hash);
    k->v[k->n++].kind = i ? KEY_REGULAR : KEY_ADMIN;
  }
  if(!st && c->api_key.n == 0) {
    st = store_get(s, S("key/admin"), &stored);
    if(st == Q_NOT_FOUND) {
      st = keys_new_admin(s, made);
      if(!st) st = store_get(s, S("key/admin"), &stored);
    }
    if(!st && stored.n != KEYS_HASH) st = Q_STORE;
    if(!st) {
      memcpy(k->v[0].hash, stored.p, KEYS_HASH);
      k->v[0].kind = KEY_ADMIN;
      k->n = 1;
    }
  }
  strbuf_free(&stored);
  if(!st) return k;
  status_fail(e, st, NULL, st == Q_NOMEM ? "Out of memory." : "The keys cannot be read from or written to the store.");
  mem_free(k);
  return NULL;
}

void keys_destroy(struct keys *k)
{
  mem_free(k);
}

enum key_kind keys_check(const struct keys *k, struct str presented, char id[KEYS_ID])
{
  unsigned char hash[KEYS_HASH];
  enum key_kind kind = KEY_NONE;
  keys_hash(k->salt, presented, hash);
  for(int i = k->n - 1; i >= 0; i--) /* to the first: a key listed twice is what it was first */
    if(crypt_equal(hash, k->v[i].hash, KEYS_HASH)) kind = k->v[i].kind;
  if(id) codec_hex(str_of((const char *)hash, (KEYS_ID - 1) / 2), id);
  return kind;
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
