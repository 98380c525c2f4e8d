/* keys_own.h - the table behind keys.h, for keys.c, keys_admin.c and keys_count.c alone.
 *
 * Threads: `change` is held by whoever may wait for the store: one change at a time, and who holds it may read facts and walk the
 *          list. `lock` guards the table, facts and counters against the short calls; never held across the store. Who changes the
 *          table or facts holds both, `change` first. */
#ifndef Q2A_DOMAIN_KEYS_OWN_H
#define Q2A_DOMAIN_KEYS_OWN_H

#include <pthread.h>

#include "base/log.h"
#include "domain/keys.h"

enum { KEYS_SALT = 16, KEYS_HASH = 32, KEYS_VERSION = 1, KEYS_RECORD_MAX = 64 * 1024, KEYS_PARTS = 16, KEYS_SALTS = 8 };
enum keys_source { KEYS_ENV, KEYS_GENERATED, KEYS_STORED };

struct keys_facts {        /* what an administrator may change, and what is told of a key */
  char name[KEYS_NAME], masked[KEYS_MASKED];
  bool enabled;
  int64_t created_s;       /* 0: unknown */
  struct keys_limits limits;
};
struct keys_one {
  struct keys_one *next;   /* all, in order: admin, API_KEY, then by age */
  struct keys_one *chain;  /* of a slot */
  unsigned char hash[KEYS_HASH];
  char id[KEYS_ID];
  enum key_kind kind;
  enum keys_source source;
  int salt;                /* 0: the store's own; else salts[salt - 1]: it came from another store as a hash */
  unsigned serial;         /* tells a key from one of the same text that was there before */
  struct keys_facts facts;
  struct keys_use use;
};
struct keys {
  pthread_mutex_t change, lock;
  struct store *store;
  struct log *log;
  unsigned char salt[KEYS_SALT], salts[KEYS_SALTS][KEYS_SALT]; /* salts: of stores whose keys were imported; they only grow in number */
  int salt_n;
  struct keys_one *first, **last, **slots;
  size_t slot_n;           /* a power of two */
  int n;
  unsigned serials;
  struct keys_calendar calendar;
  bool dirty;              /* some counters are not written */
  int64_t saved_ms;
  /* of keys_count.c, guarded by change: */
  int pruned_day;
  int64_t ticks[KEYS_PARTS + 1]; /* of a shared store, as last seen: how often any key's counters were written, and those of each part */
};

void keys_hash(const unsigned char salt[KEYS_SALT], struct str key, unsigned char out[KEYS_HASH]);
void keys_make(char made[KEYS_TEXT]);
struct keys_one *keys_by_hash(const struct keys *k, const unsigned char hash[KEYS_HASH]);
/* A key by its text, under any of the salts. own: its hash under the store's. With change or lock held. */
struct keys_one *keys_by_text(const struct keys *k, struct str text, unsigned char own[KEYS_HASH]);
/* The number of a salt, known from now on; -1: there are too many. With change held, or nobody else. */
int keys_salt_no(struct keys *k, const unsigned char salt[KEYS_SALT]);
void keys_salts_back(struct keys *k, int n);             /* those behind the first n were only looked at; change held */
struct keys_one *keys_by_id(const struct keys *k, struct str id);
struct keys_one *keys_one_new(const unsigned char hash[KEYS_HASH], enum key_kind kind, enum keys_source source) Q_MUST_USE;
void keys_one_free(struct keys_one *one);                 /* takes NULL */
void keys_insert(struct keys *k, struct keys_one *one);   /* takes it over; both locks */
void keys_remove(struct keys *k, struct keys_one *one);   /* frees it; both locks */
enum q_status keys_reload_admin(struct keys *k) Q_MUST_USE; /* the generated admin key was replaced in the store; with change held */
/* keys_admin.c: the record of a stored key, or none: the table is made to fit. With change held. */
enum q_status keys_admin_load_one(struct keys *k, struct str id, int64_t now_ms) Q_MUST_USE;
enum q_status keys_admin_load(struct keys *k) Q_MUST_USE; /* all of them */

#endif
