/* answer.h - the client's side of one answer, the same for chats and relays: HTTP head, chunks, heartbeats, trouble, the end.
 *
 * Threads: answer_init() and answer_taker() on the desk (or a job); from client_adopt() on it is owned by the client's pump.
 * Time:    the early head, heartbeats after it; one lazy timer.
 * Memory:  embedded in its owner, who frees it no sooner than in the turn of the pump after over(). Bytes are built in the pump's
 *          scratch and written once; nothing is kept but what the socket does not take.
 * Errors:  until the HTTP head is out trouble has its own status, afterwards it is one event (or the object) in the client's
 *          protocol. What cannot be written whole ends the connection. */
#ifndef Q2A_DOMAIN_ANSWER_H
#define Q2A_DOMAIN_ANSWER_H

#include "domain/app.h"

enum { ANSWER_WHOLE_MAX = 80 * 1024 * 1024 }; /* of a collected answer */

/* What the HTTP head says. */
struct answer_info {
  const char *request_id;
  const char *model_id;    /* the upstream's name, for x-qwen2api-model; "": not known yet */
  struct str ignored;      /* x-qwen2api-ignored */
  const char *folded;      /* x-qwen2api-folded or NULL */
  const char *route;       /* x-qwen2api-route or NULL */
  int attempts;
  int64_t first_ms, total_ms; /* since the answer began: the first thing the upstream told (0: nothing yet), now */
  bool keep;               /* the connection goes on afterwards */
  bool chunked;            /* else the end of the connection ends the body */
  bool stream;             /* an event stream, else JSON */
};

/* Writes HTTP; given by the layer above. */
struct answer_face {
  void (*head)(const struct answer_face *f, const struct answer_info *i, struct strbuf *b);
  void (*whole)(const struct answer_face *f, const struct answer_info *i, struct str body, struct strbuf *b);
  /* status 0: the one of e */
  void (*error)(const struct answer_face *f, const struct answer_info *i, int status, const struct q_error *e, struct str body,
                struct strbuf *b);
  struct app *app;
  bool anthropic;          /* theirs */
  const struct account *about; /* that was asked for by its name, kept by the owner of the answer; else NULL */
};

/* Where an answer goes. */
struct answer_to {
  struct answer_face face;
  const char *request_id;
  int attempts;            /* made before, elsewhere */
  bool committed;          /* the HTTP head is out already */
  bool whole_only;         /* never before its body (JSON_HEARTBEAT) */
  bool keep, chunked;      /* of the client's connection */
  const char *endpoint;    /* static; of the statistics */
  char key_id[KEYS_ID];
};

struct answer;
/* What an answer asks of its owner; all on the pump. */
struct answer_ops {
  const char *name;        /* in the log */
  void (*start)(struct answer *a);                            /* the client is here */
  void (*drained)(struct answer *a);                          /* it takes bytes again: answer_lags() may be false */
  void (*info)(const struct answer *a, struct answer_info *i); /* model_id, ignored, folded, route, attempts */
  void (*beat)(struct answer *a, struct strbuf *b);           /* a heartbeat of the stream */
  /* In a form that fits `committed` and `stream`. Returns an HTTP status, or 0 for that of e. */
  int (*error)(struct answer *a, const struct q_error *e, struct strbuf *b);
  void (*fail)(struct answer *a, const struct q_error *e);    /* it cannot go on: answer_fail() and what belongs to it */
  void (*over)(struct answer *a);                             /* the client has all, or left: nothing is written any more */
  void (*count)(const struct answer *a, struct stats_turn *t); /* before over(): model, tokens, media, tool; may be NULL */
};

struct answer {
  struct client *client;           /* NULL: not yet, or over */
  struct app *app;
  struct app_pump *ap;             /* from start() on */
  struct config *config;
  char request_id[132];
  bool stream;
  bool committed;                  /* the HTTP head is out */
  int64_t begun_ms;                /* pump ms, from start() on */
  int64_t first_ms;                /* pump ms of the first thing the upstream told, 0: not yet (answer_told) */
  char account[17];                /* account.id of the one that served, or "" (answer_served) */

  /* private */
  const struct answer_ops *ops;
  struct answer_face face;
  struct client_taker taker;
  struct answer *next, **at;       /* all of the pump */
  int attempts;
  const char *endpoint;
  char key_id[KEYS_ID];
  struct key_pass pass;
  bool noted;
  bool keep, chunked, leased, whole_only;
  size_t head_end, from;           /* the write under way: where its chunk head and its payload begin */
  int64_t commit_ms, beat_ms;      /* pump ms; 0: off */
  struct pump_timer timer;
};

void answer_init(struct answer *a, const struct answer_ops *ops, const struct answer_to *to, bool stream);
void answer_free(struct answer *a);
struct client_taker *answer_taker(struct answer *a);
/* The pass of the request, moved into the answer of this taker: it goes back when the answer ends, or is freed. */
void answer_admitted(struct client_taker *t, struct key_pass *pass);

/* ---- (pump) ---- */
void answer_served(struct answer *a, const struct account *by); /* for the statistics; by: leased just now */
static inline void answer_told(struct answer *a) { if(!a->first_ms) a->first_ms = pump_now(a->ap->pump); }
void answer_leased(struct answer *a);  /* an account was found: the head of a stream goes out soon, whatever comes */
/* Begins a write: payload is appended to the pump's scratch, which it returns. Of a collected answer that is only room to work in:
 * answer_write() is for streams. */
struct strbuf *answer_begin(struct answer *a);
/* Writes what was appended, if anything; last ends the body. Q_CLIENT_GONE; Q_NOMEM: the answer should fail. */
enum q_status answer_write(struct answer *a, bool last);
/* The whole collected answer. Q_NOMEM: nothing was written. */
enum q_status answer_whole(struct answer *a, struct str body);
bool answer_lags(const struct answer *a); /* the client has enough to read: nothing more is read for it until drained() */
/* Gives the client back to its gate; over() comes. */
void answer_done(struct answer *a);
/* Tells the client what went wrong, logs and counts it; over() comes. */
void answer_fail(struct answer *a, const struct q_error *e);
void answer_no_memory(struct answer *a); /* fail() comes */
/* The client, to be handed on elsewhere; over() does not come. */
struct client *answer_take(struct answer *a);
/* fail() comes for every running answer of this pump, with Q_SHUTDOWN. */
void answer_end_all(struct app_pump *p);

#endif
