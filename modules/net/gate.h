/* gate.h - the clients' side of a pump: accepts, reads whole requests, writes answers, keeps idle connections.
 *
 * One gate per pump; all share the listening sockets and one gate_shared. A client's socket stays with its gate from
 * accept to close. The gate reads and judges the request head itself (proto/http1, strict), then calls on_request()
 * with a request that is complete, or, when its body is longer than GATE_INLINE, chunked, or waits for "100 Continue",
 * with the head alone: whoever judges it answers, or asks for the body with client_collect().
 *
 * Threads: gate_* and functions marked (pump) belong to the pump's thread. client_answer, client_adopt and
 *          client_collect are called by whoever holds the request, from any thread, exactly one of them once per
 *          on_request(); after that call the client is not touched by the caller any more.
 * Time:    ms. Head 15 s, body 60 s without progress, idle 75 s, a client that takes no byte 120 s.
 * Memory:  the request (head, slices, body) belongs to the client and lives until the answer's last byte.
 *          An idle connection holds no buffer. Collected bodies share one bound; above it: Q_OVERLOADED.
 * Errors:  what the gate itself refuses is answered through on_reject(), which writes the whole HTTP answer. */
#ifndef Q2A_NET_GATE_H
#define Q2A_NET_GATE_H

#include "base/arena.h"
#include "net/pump.h"
#include "proto/http1.h"

enum { GATE_INLINE = 64 * 1024 };

struct client;
struct gate;
struct gate_shared;

struct gate_config {
  const struct now *now;
  size_t body_max, bodies_sum_max;        /* bytes of one body; of all bodies being collected, and nearly of what their arenas hold */
  int max_connections;
  int64_t head_ms, body_ms, idle_ms, stall_ms; /* 0: the defaults above */
  /* (pump) A request is there. May answer at once or pass the client on. */
  void (*on_request)(void *ctx, struct client *c);
  /* (pump) May be NULL. At the end of each turn in which on_request() was called: whoever takes requests elsewhere wakes somebody
   * for all of them. */
  void (*on_requests)(void *ctx);
  /* (any) Writes a complete HTTP answer (head and body) for trouble found by the gate: Q_BAD_REQUEST, Q_SLOW_CLIENT,
   * Q_TOO_BIG, Q_URI_LONG, Q_HEADERS_BIG, Q_OVERLOADED, Q_SHUTDOWN, Q_INTERNAL. The connection closes after it. */
  void (*on_reject)(void *ctx, const struct q_error *e, struct strbuf *out);
  void *ctx;
};

struct gate_shared *gate_shared_new(const struct gate_config *c) Q_MUST_USE;
void gate_shared_destroy(struct gate_shared *s);
void gate_shared_set_bodies(struct gate_shared *s, size_t body_max, size_t bodies_sum_max); /* any thread; of bodies that begin now */
int gate_connections(const struct gate_shared *s); /* any thread: open client sockets */
int gate_busy(const struct gate_shared *s);        /* any thread: those that an answer is being made for or may be */

struct gate *gate_new(struct gate_shared *s, struct pump *p) Q_MUST_USE;
enum q_status gate_listen(struct gate *g, int fd) Q_MUST_USE; /* (pump or before it runs) accept from this socket too */
void gate_unlisten(struct gate *g);     /* (pump) stop accepting */
/* (pump) Draining: closes idle connections, tells 503 `shutting_down` to new ones and to requests that are not whole yet, sets
 * Connection: close on answers from now on. Who hands the listening sockets to another calls gate_unlisten first. */
void gate_drain(struct gate *g);
int gate_open(const struct gate *g);    /* (pump) connections not closed yet */
void gate_destroy(struct gate *g);      /* closes what is left, telling takers (on_gone) */
/* (pump) For tests: takes over a connected socket as if it had been accepted. */
enum q_status gate_take(struct gate *g, int fd) Q_MUST_USE;

/* ---- the request, as long as the caller holds it (any thread) ---- */
struct client_request {
  const struct http1_request *head;  /* method, target, headers: slices into the client's buffer */
  struct str body;                   /* decoded from chunks; still gzip if the head says so */
  bool body_missing;                 /* only the head is here: client_collect() to get the rest */
  const char *peer;                  /* address text, no port; "unix" */
  size_t body_max;                   /* the holder's word for client_collect(): a smaller bound than the gate's; 0: none */
  bool judged;                       /* the holder's own: the head was judged, only the body was missing */
  unsigned again;                    /* what client_redo() was told; 0: the request is new */
  void *link;                        /* the holder's own, to keep requests in a list */
  char id[132];                      /* x-request-id: the client's own if acceptable, else made by the gate */
};
struct client_request *client_request(struct client *c);
struct arena *client_arena(struct client *c); /* dies with the request */
/* (pump) The taker has read what it needs of the request: head, body and arena go now, not with the last byte. */
void client_release_request(struct client *c);

/* ---- how it goes on: exactly one of these three ---- */

/* Sends a whole answer. *bytes (head and body) is moved. extra: static memory sent behind it (assets), or empty.
 * keep: the connection may serve another request. delay_ms: waits first, holding no thread (failed keys). */
void client_answer(struct client *c, struct strbuf *bytes, struct str extra, bool keep, int64_t delay_ms);

/* Who owns a client during a long-lived answer. Embedded in the owner; called on the pump's thread. */
struct client_taker {
  void (*start)(struct client_taker *t, struct client *c); /* first call; from here on the owner writes */
  void (*on_drain)(struct client_taker *t);                /* the socket takes bytes again: client_pending() is low */
  void (*on_gone)(struct client_taker *t);                 /* the client left; no function of it may be called after */
  struct pump_task task; /* private */
  struct client *client; /* private */
};
void client_adopt(struct client *c, struct client_taker *t);

/* Reads the body (100 Continue is sent if awaited), then calls on_request() again with the request complete. Trouble on
 * the way is answered by the gate. */
void client_collect(struct client *c);

/* ---- (pump) for takers ---- */
struct pump *client_pump(struct client *c);
/* Queues and sends what the socket takes. The queue is bounded by what the taker writes: look at client_pending(). */
enum q_status client_write(struct client *c, const char *p, size_t n) Q_MUST_USE; /* Q_NOMEM, Q_CLIENT_GONE */
size_t client_pending(const struct client *c); /* bytes not yet taken by the socket */
/* The answer is complete. keep: wait for the next request on this connection, else close after the last byte.
 * The taker is free afterwards. */
void client_done(struct client *c, bool keep);
/* The taker hands the request back without having answered it (but perhaps with the head of the answer written): on_request()
 * comes again, with request->again set to `note`, not 0. The taker is free afterwards. Only before client_release_request(). */
void client_redo(struct client *c, unsigned note);
bool client_keep_alive(const struct client *c); /* what the request asked for, and no draining */

#endif
