/* pool_own.h - the pool behind pool.h, for pool.c, pool_token.c and pool_stock.c alone.
 *
 * Threads: lock guards all of it, and the accounts. */
#ifndef Q2A_DOMAIN_POOL_OWN_H
#define Q2A_DOMAIN_POOL_OWN_H

#include <pthread.h>

#include "domain/pool.h"

enum {
  POOL_LEVELS = 17,          /* turns at once on an account that are told apart; the last holds all above */
  POOL_STOCK_SLOTS = 8,
  POOL_EGRESSES = 64,
  POOL_MODELS = 32
};

struct pool_fresh {
  char id[72], model[72];
  int64_t made_ms; /* 0: the slot is free or being filled */
  bool filling;
};

/* An account and its place in the line of its load. */
struct pool_entry {
  struct account *a;
  struct pool_entry *prev, *next;
  int level;
  struct pool_fresh *fresh; /* POOL_STOCK_SLOTS; NULL until one was wanted */
};

struct pool_list { struct pool_entry *first, *last; };

struct pool_egress {
  struct secret *proxy; /* NULL: the global way out */
  bool used;
  const struct account *challenged; /* who met the last challenge; compared, never read */
  int64_t challenged_ms, rest_until_ms;
};

struct pool_model {
  char name[72];
  const struct account *first; /* compared, never read */
  int64_t said_ms, rest_until_ms;
};

struct pool {
  pthread_mutex_t lock;
  struct pool_config config;
  struct pool_entry **entries;
  int n, cap;
  int promised;              /* places of pool_prepare() */
  int kinds[ACCOUNT_API + 1]; /* how many of each, so that a want that none serves costs no look at all of them */
  struct pool_list levels[POOL_LEVELS];
  struct pool_entry *gone;   /* removed, by next */
  struct pool_waiter *first, **end;
  int waiting, leased;
  struct pool_egress egresses[POOL_EGRESSES];
  struct pool_model models[POOL_MODELS];
};

/* With the lock held: gives free accounts to who waits; books a challenge on the way out that an account uses. */
void pool_grant(struct pool *p, int64_t now_ms);
void pool_egress_challenged(struct pool *p, struct account *a, int64_t now_ms);

#endif
