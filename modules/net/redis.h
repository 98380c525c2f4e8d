/* redis.h - one connection to a Redis server, stepped by a thread that may wait.
 *
 * Threads: owned by one thread at a time, never a pump's; only redis_wake() may come from another.
 * Time:    every wait is bounded by the milliseconds it is given.
 * Memory:  a reply lives until the next call on the connection. A reply larger than reply_max ends the connection.
 * Trust:   redis:// is plain, rediss:// TLS with the roots of the net and the host's name (SNI). User, password and database come
 *          from the URL; no text made here shows them.
 * Errors:  Q_STORE with words. After it the connection is of no use: whether the last command was done is unknown. */
#ifndef Q2A_NET_REDIS_H
#define Q2A_NET_REDIS_H

#include "net/net.h"
#include "proto/resp.h"

struct redis;
struct redis_want {
  struct net *net;
  const struct now *now;
  struct str url;         /* redis[s]://[user[:pass]@]host[:port][/db] */
  int64_t connect_ms;     /* for all up to the chosen database */
  size_t reply_max;
};
/* NULL with words in *e. */
struct redis *redis_open(const struct redis_want *w, struct q_error *e) Q_MUST_USE;
void redis_close(struct redis *r); /* takes NULL */

/* Sends the commands in out; their replies come in order by redis_reply(). */
enum q_status redis_send(struct redis *r, struct str out, int64_t wait_ms, struct q_error *e) Q_MUST_USE;
/* Q_AGAIN: none within wait_ms, or redis_wake() was called; the connection is as good as before. */
enum q_status redis_reply(struct redis *r, int64_t wait_ms, const struct resp **out, struct q_error *e) Q_MUST_USE;
/* One command, one reply. An error reply of the server is a reply. */
enum q_status redis_call(struct redis *r, int n, const struct str *args, int64_t wait_ms, const struct resp **out, struct q_error *e) Q_MUST_USE;
#define REDIS_CALL(r, wait_ms, out, e, ...) \
  redis_call((r), (int)(sizeof((struct str[]){ __VA_ARGS__ }) / sizeof(struct str)), (struct str[]){ __VA_ARGS__ }, (wait_ms), (out), (e))
void redis_wake(struct redis *r);

#endif
