/* video_run.h - one video at the upstream, from the line for an account to its result; for video.c alone.
 *
 * Threads: a run is owned by the home pump. The record's fields are guarded by videos.lock: a run changes them through
 *          video_changed() and friends, which video.c gives. Memory: a run frees itself after video_run_over(). */
#ifndef Q2A_DOMAIN_VIDEO_RUN_H
#define Q2A_DOMAIN_VIDEO_RUN_H

#include "domain/video.h"
#include "proto/video_task.h"

struct video_run;

/* One job as it is remembered. */
struct video {
  struct videos *all;
  struct video *next;                 /* newest first */
  char id[VIDEO_ID], key_id[KEYS_ID], size[8], request_id[132];
  char model_id[200], shown_model[256];
  char account[17], task_id[128], chat_id[72]; /* "" until the upstream has taken the task */
  struct key_pass pass;               /* in flight for its key */
  struct strbuf prompt;               /* whole until then, cut afterwards */
  char *url;                          /* VIDEO_COMPLETED */
  enum video_status status;
  struct q_error err;                 /* VIDEO_FAILED */
  int seconds, attempts;
  int64_t created_ms, taken_ms, ended_ms; /* wall clock; 0: not yet */
  bool abandoned;                     /* nobody wants it unless the upstream has it already */
  bool deleted;                       /* out of sight; goes when the store and its run let go of it */
  struct video_waiter *waiters;
  struct video_run *run;              /* NULL: not at work */
  unsigned changes, saved;            /* differ: to be written */
};

/* ---- video.c for the run ---- */
void video_note_attempts(struct video *v, int n);
void video_note_taken(struct video *v, struct str task_id, struct str chat_id, const char account[17]); /* task_id empty: as events */
void video_note_done(struct video *v, struct str url);
void video_note_failed(struct video *v, const struct q_error *e);
void video_note_left(struct video *v);       /* the run is gone */
bool video_wanted(struct video *v);          /* false: the run has to end */
struct app *video_app(const struct video *v);
struct app_pump *video_home(const struct video *v);
int64_t video_poll_ms(const struct video *v); /* 0: the usual steps */

/* ---- video_run.c, on the home pump ---- */
struct video_run *video_run_new(struct video *v) Q_MUST_USE;
void video_run_start(struct video_run *r);   /* any thread: a fresh job seeks an account, one with a task looks after it */
void video_run_end(struct video_run *r);     /* gives up at once and says nothing */

#endif
