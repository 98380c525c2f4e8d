/* store.h - the seam of all lasting state: get, scan, commit; counters; and what only a shared store has.
 *
 * Threads: locked; any thread but a pump (a call may wait for the disk or the network).
 * Memory:  what get gives is copied into the caller's builder; a scan's slices live during its callback.
 * Keys are short texts like "acct/ok@example.org"; values begin with a version byte of their kind.
 * What commit acknowledged (Q_OK) survives kill -9 and power loss; on any other status nothing was changed (or, if the connection
 * to a server was lost at that moment, perhaps all of it).
 * Shared:  of a store that several gateways use, records "acct/", "key/" and "set/" are common state: a change by another one is
 *          told by watch. Two that change one account at once do not overwrite each other: commit says Q_AGAIN to a record
 *          "acct/" that another gateway changed and watch has told (or is about to tell): read, merge, commit again.
 *          While its server is away every call says Q_STORE_AWAY.
 * Counters: records whose value is a decimal number, changed by store_incr() alone. */
#ifndef Q2A_DOMAIN_STORE_H
#define Q2A_DOMAIN_STORE_H

#include "base/str.h"

struct store_op { struct str key, value; bool del; };
struct store_delta { struct str key; int64_t by; int64_t total; }; /* total: afterwards, over all gateways */
struct store_watch {
  /* A record was changed or taken away by another gateway; on a thread of the store's own, which may block. */
  void (*changed)(void *ctx, struct str key);
  /* The server came back and has lost records (it kept none, or older ones): what is in memory must be written again. */
  void (*lost)(void *ctx);
  void *ctx;
};

struct store {
  const struct store_ops *ops;
};
struct store_ops {
  const char *name; /* "memory", "file", "redis" */
  bool lasting;
  enum q_status (*get)(struct store *s, struct str key, struct strbuf *value);   /* Q_NOT_FOUND */
  /* Calls fn for every key with the prefix, in order; fn returns false to stop. */
  enum q_status (*scan)(struct store *s, struct str prefix, bool (*fn)(void *ctx, struct str key, struct str value), void *ctx);
  enum q_status (*commit)(struct store *s, const struct store_op *ops, int n);    /* all or nothing */
  void (*close)(struct store *s);
  /* Adds to counters, all or nothing. Q_OK: counted. Q_AGAIN: the server is away; it is held and counted once, later. Q_STORE:
   * neither (too much is held already). */
  enum q_status (*incr)(struct store *s, struct store_delta *v, int n);
  /* Below: NULL where nobody shares the store. */
  enum q_status (*claim)(struct store *s, struct str key, struct str value);
  /* Q_OK: ours for ms, unlock() gives it back earlier. Q_EXISTS: another gateway has it. Q_STORE_AWAY. */
  enum q_status (*lock)(struct store *s, struct str name, int64_t ms, char token[33]);
  void (*unlock)(struct store *s, struct str name, const char token[33]);
  enum q_status (*watch)(struct store *s, const struct store_watch *w); /* once */
  bool (*up)(struct store *s);
  const char *(*trouble)(struct store *s); /* why the last commit failed and what to do: a constant */
};

static inline enum q_status store_get(struct store *s, struct str key, struct strbuf *value) { return s->ops->get(s, key, value); }
static inline enum q_status store_put(struct store *s, struct str key, struct str value)
{
  return s->ops->commit(s, &(struct store_op){ .key = key, .value = value }, 1);
}
/* Puts a record that was not there a moment ago, unless another gateway was faster: read it afterwards. */
static inline enum q_status store_claim(struct store *s, struct str key, struct str value)
{
  return s->ops->claim ? s->ops->claim(s, key, value) : store_put(s, key, value);
}
static inline enum q_status store_incr(struct store *s, struct store_delta *v, int n) { return s->ops->incr(s, v, n); }
static inline bool store_shared(const struct store *s) { return s->ops->watch != NULL; }
static inline bool store_up(struct store *s) { return !s->ops->up || s->ops->up(s); }
static inline const char *store_trouble(struct store *s)
{
  return s->ops->trouble ? s->ops->trouble(s) : "The store did not take the write: nothing was changed.";
}
static inline void store_close(struct store *s) { if(s) s->ops->close(s); }

struct store *store_mem_new(void) Q_MUST_USE;
/* DIR/qwen2api.mdb. Trouble: *e with words, *exit_code as the process should end (69 in use, 65 newer or damaged, 73). */
struct store *store_lmdb_open(const char *dir, struct q_error *e, int *exit_code) Q_MUST_USE;

/* Lifts a store by one format, through get, scan and commit, which all work in the one transaction of the upgrade. A scan's
 * callback must not commit: collect first. */
typedef enum q_status (*store_step)(struct store *s);
/* As store_lmdb_open() for a program whose format is n + 1: steps[i] lifts format i + 1. An older store is copied to
 * qwen2api.mdb.v<format>.bak first. For tests; store_lmdb_open() has this version's steps. */
struct store *store_lmdb_open_steps(const char *dir, const store_step *steps, int n, struct q_error *e, int *exit_code) Q_MUST_USE;

struct net;
struct now;
struct log;
struct store_redis_want {
  struct net *net;        /* lives as long as the store */
  const struct now *now;
  struct log *log;        /* may be NULL */
  struct str url;
  int64_t patience_ms;    /* how long an unreachable server is tried at start */
};
/* The same records as keys q2a:<key> (domain/store_redis.c). *exit_code: 69 not reachable, 65 written by a newer version. */
struct store *store_redis_open(const struct store_redis_want *w, struct q_error *e, int *exit_code) Q_MUST_USE;
/* Hashes of the same database that are not ours, by a pattern of their keys: each at least once. What is none is passed over. */
struct store_redis_field { struct str name, value; };
enum q_status store_redis_hashes(struct store *s, struct str pattern, bool (*fn)(void *ctx, struct str key, struct store_redis_field *f, int n),
                                 void *ctx) Q_MUST_USE;

#endif
