/* turn.h - one question to the upstream: lease of an account, token, attachments, a fresh chat, the question, the events of the
 * answer; the only place where a question is tried again.
 *
 * Threads: owned by the pump. Time: every wait has its own limit (config *_ms); one lazy timer serves them all.
 * Memory:  embedded in its owner. It keeps no text of the answer. turn_free() when turn_close() was true or closed() came.
 * Retries: only while `sent` is false: the owner sets it when an answer event is out.
 *            same account, once each   token renewed; a fresh chat; the body without its doubtful members; files uploaded anew
 *            next account, at once     limited, barred, challenged accounts: 5 at most, 1 after a challenge
 *            next account, later       network, 5xx, empty answer, no first event: CHAT_RETRY_COUNT, with back-off
 *          No attempt starts later than 90 s after the first. A picture the upstream has begun is never asked for twice, nor a
 *          video whose question has left us whole without an answer that says what became of it.
 * Cut:     an answer that broke off is asked for once more in the chat's record; what it has beyond what was told is told. */
#ifndef Q2A_DOMAIN_TURN_H
#define Q2A_DOMAIN_TURN_H

#include "domain/app.h"
#include "domain/login.h"
#include "domain/upload.h"
#include "proto/chat_req.h"
#include "proto/qwen_event.h"
#include "proto/qwen_req.h"
#include "proto/sse.h"

struct turn;
/* What a turn asks of its owner. All on the pump; all but leased and closed may end the turn (turn_close). */
struct turn_ops {
  void (*leased)(struct turn *t);                       /* an account was found, maybe not for the first time */
  void (*open)(struct turn *t);                         /* deltas follow */
  bool (*delta)(struct turn *t, const struct delta *d); /* false: enough, the upstream is stopped */
  enum q_status (*close)(struct turn *t);               /* that was all of this read */
  bool (*full)(struct turn *t);                         /* the client lags: the upstream is not read; then turn_pull() */
  enum q_status (*judge)(struct turn *t);               /* the answer is complete: Q_OK, or what it is worth (Q_UP_EMPTY) */
  void (*forget)(struct turn *t);                       /* another attempt: what came so far is void */
  void (*over)(struct turn *t, const struct q_error *e); /* the end; e NULL: a good one, turn_again() or turn_close() */
  void (*closed)(struct turn *t);                       /* only after turn_close() was false */
  /* May be NULL: */
  void (*whole)(struct turn *t, struct str body);       /* instead of deltas: the body of an answer that is no stream and no refusal */
  bool (*again)(struct turn *t);                        /* whether another attempt is worth it */
};

/* The question; lives as long as the turn. */
struct turn_want {
  enum chat_kind kind;      /* any but CHAT_UNSET */
  struct str model;
  enum qwen_think think;
  int think_budget;
  struct str prompt;        /* a JSON string */
  struct str prompt_inline; /* instead of it when the document conversation.txt cannot go up; empty: there is none */
  const char *size;         /* of a picture or video, NULL: not told */
  struct upload_set *files; /* NULL: none */
  const struct account *only; /* nobody else is asked; kept by the owner. NULL: any */
  const char *request_id;
};

enum turn_state {
  TURN_IDLE,       /* not begun, or over */
  TURN_QUEUED,     /* waits for an account */
  TURN_SIGNING,    /* waits for a token */
  TURN_BRINGING,   /* attachments go up */
  TURN_MAKING,     /* chats/new is under way */
  TURN_ASKED,      /* completion sent, no byte of the answer's body yet */
  TURN_READING,    /* events */
  TURN_COLLECTING, /* a body that is no event stream */
  TURN_RECALLING,  /* the chat's record is looked at */
  TURN_RESTING,    /* back-off before the next attempt */
  TURN_CLOSED
};

struct turn {
  /* Set by the owner before turn_start(): */
  const struct turn_ops *ops;
  struct turn_want want;
  struct app_pump *ap;
  struct config *config;           /* borrowed */
  bool sent;                       /* no attempt from here on */
  /* For the owner to read: */
  enum turn_state state;
  int attempts;
  bool document_failed;            /* the conversation went inline after all */
  bool filtered;                   /* moderation ended a running answer */
  struct qwen_event events;

  /* private */
  struct pool_waiter waiter;
  struct pump_task grant_task;
  struct login_waiter signing;
  struct lease lease;
  bool lease_busy;                 /* the lease is held */
  struct upload up;
  bool up_done;                    /* up.files belongs to the leased account */
  bool up_again;                   /* the upstream refused a file once already */
  struct account *prefer;
  struct xchg x;
  bool x_open;
  struct sse sse;
  struct strbuf body;              /* of answers that are no stream */
  int http_status;                 /* of the exchange under way, 0 before its head */
  char retry_after[24];
  struct trouble event;            /* what an event said was wrong */
  struct pool_chat chat_id;
  bool asked;                      /* the upstream has the question */
  bool turn_over;                  /* and its turn has ended */
  bool doubtful;                   /* the upstream may be making the video, whatever the trouble */
  bool renewed, fresh_done, plain, force_new;
  int account_tries, challenges, retries, looks;
  struct q_error best;             /* the most telling trouble of all attempts */
  struct trouble cut;              /* what broke the answer that is being recalled */
  struct pump_timer timer;
  struct pump_task again;          /* more to read next turn of the pump */
  bool again_on;
  /* Deadlines in pump ms; 0 = off. The timer looks at them when it fires. */
  int64_t begun_ms, first_ms, queue_ms, poll_ms, step_ms, idle_ms, turn_ms, linger_ms, rest_ms;
};

void turn_start(struct turn *t);
void turn_avoid_account(struct turn *t, const struct turn *other); /* before turn_start(): rather another one than other's */
/* One more question on the same account, in a fresh chat; prompt replaces the former. Only from over() with e NULL. */
void turn_again(struct turn *t, struct str prompt);
/* Takes everything back: stops what the upstream still does, returns the lease with its outcome (Q_OK or Q_CLIENT_GONE).
 * true: no callback comes any more. false: one is on its way, closed() tells when it was there. */
bool turn_close(struct turn *t, enum q_status how);
const char *turn_chat_id(const struct turn *t); /* of the upstream chat; "" if there is none */
struct pool_chat turn_take_chat(struct turn *t); /* it is the caller's from now on: it is neither stopped nor deleted here */
struct account *turn_account(const struct turn *t); /* of the lease; NULL if there is none */
void turn_free(struct turn *t);
void turn_pull(struct turn *t); /* the client takes bytes again */

#endif
