#include "domain/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/exit.h"
#include "base/mem.h"

enum { SEAL_KEYS_MAX = 4, SEAL_SALT = 32 };

struct seal {
  unsigned char keys[SEAL_KEYS_MAX][CRYPT_KEY];
  int n; /* the first seals, all open */
};

static enum q_status seal_refuse(struct q_error *e, int *exit_code, int code, const char *words)
{
  *exit_code = code;
  return status_fail(e, Q_STORE, "SECRET_KEY", "%s", words);
}

/* Written to a temporary file, synced, renamed: a crash leaves either no key or a whole one. */
static bool seal_make_key_file(const char *dir, const char *path, unsigned char key[CRYPT_KEY])
{
  char part[4096];
  snprintf(part, sizeof part, "%s.part", path);
  crypt_random(key, CRYPT_KEY);
  int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && write(fd, key, CRYPT_KEY) == CRYPT_KEY && fsync(fd) == 0;
  if(fd >= 0) close(fd);
  ok = ok && rename(part, path) == 0;
  int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if(folder >= 0) {
    ok = ok && fsync(folder) == 0;
    close(folder);
  }
  return ok;
}

static enum q_status seal_file_key(const char *dir, bool may_make, unsigned char key[CRYPT_KEY], struct q_error *e, int *exit_code)
{
  char path[4000];
  snprintf(path, sizeof path, "%s/secret.key", dir);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if(fd >= 0) {
    ssize_t n = read(fd, key, CRYPT_KEY);
    close(fd);
    return n == CRYPT_KEY ? Q_OK : seal_refuse(e, exit_code, EXIT_DATA, "The file secret.key in the data directory is damaged; restore it from a backup.");
  }
  if(errno == ENOENT && may_make && seal_make_key_file(dir, path, key)) return Q_OK;
  if(errno == ENOENT && !may_make)
    return seal_refuse(e, exit_code, EXIT_DATA, "The data directory has sealed records but no secret.key; restore that file, or put the former SECRET_KEY into the settings.");
  return seal_refuse(e, exit_code, EXIT_CREATE, "The file secret.key cannot be read or made in the data directory.");
}

/* Nothing was sealed yet: a key file may be made, also when an earlier start ended before it made one. */
static enum q_status seal_none(struct store *store, bool *none)
{
  struct strbuf v = STRBUF(1024);
  enum q_status st = store_get(store, S("meta/check"), &v);
  *none = st == Q_NOT_FOUND;
  strbuf_free(&v);
  return *none ? Q_OK : st;
}

static enum q_status seal_salt(struct store *store, unsigned char salt[SEAL_SALT])
{
  struct strbuf v = STRBUF(64);
  enum q_status st = store_get(store, S("meta/salt"), &v);
  if(st == Q_NOT_FOUND) {
    crypt_random(salt, SEAL_SALT);
    st = store_claim(store, S("meta/salt"), str_of((char *)salt, SEAL_SALT));
    strbuf_clear(&v);
    if(!st) st = store_get(store, S("meta/salt"), &v); /* another gateway of the same store may have been faster */
  }
  if(!st && v.n == SEAL_SALT) memcpy(salt, v.p, SEAL_SALT);
  else if(!st) st = Q_STORE;
  strbuf_free(&v);
  return st;
}

/* Which of the keys sealed the store's check value: its number, or -1. */
static int seal_which(const struct seal *s, struct str sealed)
{
  struct seal one = { .n = 1 };
  int found = -1;
  for(int i = 0; i < s->n && found < 0; i++) {
    struct strbuf plain = STRBUF(256);
    memcpy(one.keys[0], s->keys[i], CRYPT_KEY);
    if(seal_plain(&one, S("meta/check"), sealed, &plain) == Q_OK) found = i;
    strbuf_free(&plain);
  }
  crypt_wipe(&one, sizeof one);
  return found;
}

enum q_status seal_settle(struct seal *s, struct store *store)
{
  struct strbuf sealed = STRBUF(1024);
  enum q_status st = seal_text(s, S("meta/check"), S("qwen2api"), &sealed);
  if(!st) st = store_put(store, S("meta/check"), strbuf_str(&sealed));
  strbuf_free(&sealed);
  return st;
}

static enum q_status seal_check(struct seal *s, struct store *store, bool *stale, struct q_error *e, int *exit_code)
{
  struct strbuf sealed = STRBUF(1024);
  enum q_status st = store_get(store, S("meta/check"), &sealed);
  *stale = false;
  if(st == Q_NOT_FOUND) {
    st = seal_settle(s, store);
    if(st) seal_refuse(e, exit_code, EXIT_CREATE, "The store cannot be written.");
  } else if(!st) {
    int which = seal_which(s, strbuf_str(&sealed));
    *stale = which > 0;
    if(which < 0)
      st = seal_refuse(e, exit_code, EXIT_DATA, "The store is sealed with another key. Put the former value into SECRET_KEY (new,old keeps both), or restore secret.key.");
  } else {
    seal_refuse(e, exit_code, EXIT_DATA, "The store cannot be read.");
  }
  strbuf_free(&sealed);
  return st;
}

struct seal *seal_open(struct store *store, const struct config *c, bool *stale, struct q_error *e, int *exit_code)
{
  unsigned char salt[SEAL_SALT], raw[CRYPT_KEY];
  bool fresh;
  struct seal *s = mem_zalloc(sizeof *s);
  enum q_status st = s ? seal_salt(store, salt) : Q_NOMEM;
  if(!st) st = seal_none(store, &fresh);
  if(st) status_fail(e, st, NULL, st == Q_NOMEM ? "Out of memory." : "The store cannot be used."), *exit_code = 1;
  for(int i = 0; !st && i < c->secret_key.n && i < SEAL_KEYS_MAX; i++) {
    crypt_hkdf(str_z(c->secret_key.v[i]), str_of((char *)salt, SEAL_SALT), S("qwen2api seal"), s->keys[s->n], CRYPT_KEY);
    s->n++;
  }
  if(!st && s->n == 0) {
    if(c->data_save_mode == SAVE_REDIS && c->api_key.n) { /* a key file is neither shared nor lasting there */
      crypt_hkdf(str_z(c->api_key.v[0]), str_of((char *)salt, SEAL_SALT), S("qwen2api seal"), s->keys[s->n++], CRYPT_KEY);
    } else if(c->data_save_mode == SAVE_REDIS) {
      st = seal_refuse(e, exit_code, EXIT_CONFIG, "DATA_SAVE_MODE=redis needs SECRET_KEY or API_KEY: with one of them the stored secrets are sealed.");
    } else if(store->ops->lasting) st = seal_file_key(c->data_dir, fresh, raw, e, exit_code);
    else crypt_random(raw, sizeof raw);
    if(!st && !s->n) crypt_hkdf(str_of((char *)raw, sizeof raw), str_of((char *)salt, SEAL_SALT), S("qwen2api seal"), s->keys[s->n++], CRYPT_KEY);
    crypt_wipe(raw, sizeof raw);
  }
  if(!st) st = seal_check(s, store, stale, e, exit_code);
  if(!st) return s;
  seal_destroy(s);
  return NULL;
}

void seal_destroy(struct seal *s)
{
  if(!s) return;
  crypt_wipe(s, sizeof *s);
  mem_free(s);
}

enum q_status seal_text(const struct seal *s, struct str record, struct str plain, struct strbuf *out)
{
  struct strbuf bytes = STRBUF(plain.n + 64);
  enum q_status st = crypt_seal(s->keys[0], record, plain, &bytes);
  if(!st) codec_base64(strbuf_str(&bytes), out);
  strbuf_free(&bytes);
  return st ? st : out->err;
}

enum q_status seal_plain(const struct seal *s, struct str record, struct str sealed, struct strbuf *out)
{
  struct strbuf bytes = STRBUF(sealed.n + 4);
  enum q_status st = !codec_unbase64(sealed, &bytes) ? Q_BAD_VALUE : bytes.err ? bytes.err : Q_BAD_VALUE; /* until a key opens it */
  for(int i = 0; i < s->n && st == Q_BAD_VALUE && bytes.n; i++) st = crypt_open(s->keys[i], record, strbuf_str(&bytes), out);
  strbuf_free(&bytes);
  return st;
}
