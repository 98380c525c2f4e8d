/* video_task.h - the upstream's answers about a video task, and the video object that clients see.
 *
 * Threads: pure. Memory: texts borrow from the tree that was given. */
#ifndef Q2A_PROTO_VIDEO_TASK_H
#define Q2A_PROTO_VIDEO_TASK_H

#include "proto/json.h"

/* The task's id in the answer to the completion, or empty. Never a response id. */
struct str video_task_id(const struct json *root);

enum video_task_state { VIDEO_TASK_WAITS, VIDEO_TASK_DONE, VIDEO_TASK_FAILED };
struct video_task {
  enum video_task_state state;
  struct str url;     /* DONE: not checked yet; may be empty */
  struct str words;   /* FAILED: the upstream's own */
};
/* Flat, or in a v2 envelope. false: no task status at all. */
bool video_task_read(const struct json *root, struct video_task *t);

enum video_status { VIDEO_QUEUED, VIDEO_RUNNING, VIDEO_COMPLETED, VIDEO_FAILED };
struct video_object {
  const char *id;
  struct str model, prompt, size, url;
  enum video_status status;
  int64_t created_s, completed_s; /* completed_s 0: not yet */
  int seconds;
  const struct q_error *error;    /* VIDEO_FAILED */
};
void video_object_write(const struct video_object *v, struct strbuf *b);

#endif
