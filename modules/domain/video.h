/* video.h - video jobs: started at the upstream as a task, looked after until it ends, remembered for a day.
 *
 * Threads: locked; any function from any thread. A job's own steps run on the first pump (the home), by exchanges as a chat's
 *          do: no thread waits for a call or between two looks. Records are written in app->jobs, moments later.
 * Time:    a task is looked at after 1, 2 and 5 s, then every poll_ms (10 s), for at most 20 min; before that the rules of
 *          chat.h hold (90 s for the last attempt, QUEUE_TIMEOUT in the line). Ended jobs are kept for 24 h.
 * Retries: until the upstream has taken the task, or may have (the request left us whole and no answer came), as chat.h says;
 *          after that never, because it would cost the quota twice. A dead token is renewed and the looking goes on; five
 *          looks in a row may fail.
 * Memory:  a job is copied from its order; VIDEO_MAX jobs, the oldest ended one makes room. Kept prompts are cut.
 * Store:   "video/<id>": version byte 1, then JSON. Jobs whose task is known go on after a restart, others have failed. */
#ifndef Q2A_DOMAIN_VIDEO_H
#define Q2A_DOMAIN_VIDEO_H

#include "domain/app.h"

enum { VIDEO_MAX = 1000, VIDEO_ID = 6 + 24 + 1, VIDEO_PROMPT_KEPT = 8 * 1024 };

struct video_order {
  struct str model_id, shown_model; /* the upstream's name; the client's */
  struct str prompt;
  const char *size;                 /* "16:9"; static; NULL: that */
  struct str key_id;                /* req.key_id: who may see it */
  const char *request_id;
  int seconds;                      /* told in the object only; 0: 5 */
  struct key_pass *pass;            /* moved if it succeeds: given back when the job ends; may be NULL */
};

/* Whoever wants to know how a job ends. Embedded in its owner until done() came or video_leave() was true. */
struct video_waiter {
  void (*done)(struct video_waiter *w); /* (pump) once: the fields below are set */
  struct pump *pump;
  bool until_drain;          /* set by the owner: done() comes early, with Q_AGAIN, when the gateway drains */
  enum q_status st;          /* Q_OK: url is the result, checked. Q_AGAIN: still at work. Else err says why it failed */
  struct q_error err;
  char url[2048];
  int attempts;
  bool taken;                /* the upstream had taken the task */
  struct pump_task task;     /* private */
  struct video_waiter *next; /* private */
  bool listed;               /* private */
};

/* Q_OK: id names the job and w (may be NULL) will hear of it. Q_OVERLOADED, Q_NOMEM, Q_SHUTDOWN with *e. */
enum q_status video_start(struct app *a, const struct video_order *o, struct video_waiter *w, char id[VIDEO_ID], struct q_error *e)
  Q_MUST_USE;
/* true: out of the list, done() does not come. false: done() is on its way. abandon: nobody else knows the job: it ends if
 * the upstream has not taken it yet. */
bool video_leave(struct app *a, const char *id, struct video_waiter *w, bool abandon);
/* Joins the waiters of a job that was started before; Q_NOT_FOUND. An ended one tells at once. */
enum q_status video_join(struct app *a, struct str id, struct video_waiter *w) Q_MUST_USE;

/* ---- for clients; key_id empty: the admin, who sees all. Q_NOT_FOUND also for another key's job ---- */
enum q_status video_show(struct app *a, struct str id, struct str key_id, struct strbuf *json) Q_MUST_USE;
struct video_list { struct str key_id, after; int limit; bool oldest_first; };
enum q_status video_list(struct app *a, const struct video_list *l, struct strbuf *json) Q_MUST_USE; /* after unknown: Q_NOT_FOUND */
/* Forgets the job: nothing is looked at any more. */
enum q_status video_delete(struct app *a, struct str id, struct str key_id) Q_MUST_USE;
/* Where the result lies: Q_OK; Q_NOT_READY while it runs; the job's own trouble when it failed. *proxy: the account's, or NULL; to
 * be given back with secret_unref(). */
enum q_status video_result(struct app *a, struct str id, struct str key_id, struct strbuf *url, struct secret **proxy,
                           struct q_error *e) Q_MUST_USE;

struct videos;
struct videos *videos_new(struct app *a) Q_MUST_USE;
enum q_status videos_load(struct videos *v, struct q_error *e) Q_MUST_USE; /* the records of the store */
enum q_status videos_reseal(struct videos *v) Q_MUST_USE;                    /* before videos_begin(): all are written anew */
void videos_begin(struct videos *v, struct app_pump *home); /* (home) what a restart interrupted goes on */
void videos_drain(struct videos *v);                        /* no new ones; waiters with until_drain hear of it */
void videos_end(struct videos *v);                          /* (home) exchanges, timers and leases are given up */
void videos_destroy(struct videos *v);                      /* after the jobs ended; writes what is not written; takes NULL */
void videos_set_poll_ms(struct videos *v, int64_t ms);      /* for tests: every look after so long */

#endif
