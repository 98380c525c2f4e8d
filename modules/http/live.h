/* live.h - an answer of server-sent events that goes on as long as there is something to tell: log lines, the progress of a task.
 *
 * Threads: live_start() on the desk or in a job; the functions of live_ops run on the client's pump and must not block.
 * Time:    asked for more every 200 ms, and at once when a client that lagged takes bytes again; a heartbeat after SSE_HEARTBEAT_MS
 *          without an event. It ends within 200 ms of the beginning of a shutdown.
 * Memory:  one block per answer. A client that reads slowly is not asked for: nothing is gathered for it, it just is behind. */
#ifndef Q2A_HTTP_LIVE_H
#define Q2A_HTTP_LIVE_H

#include "http/req.h"

enum { LIVE_EVENT_ROOM = 256 * 1024 }; /* bytes that one call of more() may add */

struct live_ops {
  /* Appends whole events ("data: ...\n\n"), or nothing. false: that was all, the answer ends. */
  bool (*more)(void *ctx, struct strbuf *b);
  void (*free)(void *ctx); /* exactly once, whatever happens; may be NULL */
};
/* Answers the request; takes ctx over, also when it fails. */
void live_start(struct req *q, const struct live_ops *ops, void *ctx);
/* Of a client that comes back; empty: it does not. Borrows from the request. */
struct str live_last_id(const struct req *q);

#endif
