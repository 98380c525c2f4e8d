/* store.h - the seam of all lasting state: get, scan, commit.
 *
 * Threads: locked; any thread but a pump (a call may wait for the disk).
 * Memory:  what get gives is copied into the caller's builder; a scan's slices live during its callback.
 * Keys are short texts like "acct/ok@example.org"; values begin with a version byte of their kind.
 * What commit acknowledged (Q_OK) survives kill -9 and power loss; on any other status nothing was changed. */
#ifndef Q2A_DOMAIN_STORE_H
#define Q2A_DOMAIN_STORE_H

#include "base/str.h"

struct store_op { struct str key, value; bool del; };

struct store {
  const struct store_ops *ops;
};
struct store_ops {
  const char *name; /* "memory", "file" */
  bool lasting;
  enum q_status (*get)(struct store *s, struct str key, struct strbuf *value);   /* Q_NOT_FOUND */
  /* Calls fn for every key with the prefix, in order; fn returns false to stop. */
  enum q_status (*scan)(struct store *s, struct str prefix, bool (*fn)(void *ctx, struct str key, struct str value), void *ctx);
  enum q_status (*commit)(struct store *s, const struct store_op *ops, int n);    /* all or nothing */
  void (*close)(struct store *s);
};

static inline enum q_status store_get(struct store *s, struct str key, struct strbuf *value) { return s->ops->get(s, key, value); }
static inline enum q_status store_put(struct store *s, struct str key, struct str value)
{
  return s->ops->commit(s, &(struct store_op){ key, value, false }, 1);
}
static inline void store_close(struct store *s) { if(s) s->ops->close(s); }

struct store *store_mem_new(void) Q_MUST_USE;
/* DIR/qwen2api.mdb. Trouble: *e with words, *exit_code as the process should end (69 in use, 65 newer or damaged, 73). */
struct store *store_lmdb_open(const char *dir, struct q_error *e, int *exit_code) Q_MUST_USE;

#endif
