/* turn_read.h - how a turn reads the upstream: heads, events, bodies, the chat's record; for turn.c and turn_read.c alone.
 *
 * turn.c brings a question to the upstream and meets trouble; turn_read.c turns the bytes that come back into what the owner is
 * told.
 *
 * Threads: owned by the pump. Time, Memory: as turn.h. After a call that may reach the owner look at turn_alive(). */
#ifndef Q2A_DOMAIN_TURN_READ_H
#define Q2A_DOMAIN_TURN_READ_H

#include "domain/turn.h"

enum { TURN_BODY_MAX = 16 * 1024 * 1024 }; /* an upstream answer that is no stream */

static inline struct app *turn_app(const struct turn *t)
{
  return t->ap->app;
}

static inline int64_t turn_wall(const struct turn *t)
{
  return now_wall_ms(turn_app(t)->now);
}

static inline int64_t turn_now(const struct turn *t)
{
  return pump_now(t->ap->pump);
}

static inline bool turn_pictures(const struct turn *t)
{
  return t->want.kind == CHAT_T2I || t->want.kind == CHAT_IMAGE_EDIT;
}

static inline bool turn_video(const struct turn *t)
{
  return t->want.kind == CHAT_T2V;
}

static inline bool turn_alive(const struct turn *t)
{
  return t->state != TURN_IDLE && t->state != TURN_CLOSED;
}

/* ---- turn.c ---- */
void turn_close_exchange(struct turn *t);
void turn_fail_st(struct turn *t, enum q_status st, const char *msg);
void turn_finish(struct turn *t); /* the answer is complete */
/* One call on the lease; body is freed. The answer comes to turn_ready(). */
enum q_status turn_call(struct turn *t, const char *method, const char *path, struct str query, bool events, struct strbuf *body) Q_MUST_USE;
void turn_made(struct turn *t);   /* the answer to chats/new is complete */
void turn_trouble(struct turn *t, enum q_status st, const char *words, int wait_s);
void turn_arm(struct turn *t);

/* ---- turn_read.c ---- */
void turn_ready(struct xchg *x);
void turn_on(struct pump_task *task);      /* the next share of what is there */
void turn_read_end(struct turn *t);        /* nothing more will come of the stream or body */
bool turn_may_recall(const struct turn *t); /* whether the chat's record may still tell what the stream did not */
void turn_recall(struct turn *t);
void turn_recalled_nothing(struct turn *t); /* it was not of use: the trouble that led there stands, or the next look is due */

#endif
