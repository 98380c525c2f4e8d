/* qwen_event.h - one upstream event's JSON to its meaning, and what a turn's events say together.
 *
 * Threads: pure (one object per turn).
 * Memory:  one growing scratch, cleared per event; no text of the turn is kept, but what snapshot detection needs
 *          (length and hash of what was emitted, the last reasoning snapshot), the sources and pictures (hashes, bounded)
 *          and the snapshot of a native call.
 * An event that cannot be parsed is skipped and counted; nothing it holds aborts a stream. */
#ifndef Q2A_PROTO_QWEN_EVENT_H
#define Q2A_PROTO_QWEN_EVENT_H

#include "proto/delta.h"
#include "proto/trouble.h"

enum delta_mode { DELTA_AUTO, DELTA_INCREMENTAL, DELTA_CUMULATIVE };

struct qwen_event_impl;
struct qwen_event {
  struct usage usage;            /* last non-empty of the stream */
  char response_id[64];          /* locked to the first; for the stop call */
  bool any_answer, any_think;    /* text of that kind was given out */
  bool finished;                 /* the last answer frame said finished and nothing followed */
  bool filtered;                 /* moderation ended a running answer */
  bool want_media;               /* set by the owner after init: a picture or video was asked for, so its phase ends the turn */
  int image_n;                   /* pictures given out */
  bool any_video;
  unsigned skipped;              /* events that did not parse */
  struct qwen_event_impl *impl;  /* private */
};

enum q_status qwen_event_init(struct qwen_event *q, enum delta_mode mode) Q_MUST_USE;
void qwen_event_free(struct qwen_event *q); /* takes the zeroed value */
/* Q_OK: *d holds the meaning (possibly nothing). Otherwise the event is a failure: *t tells which; also when the
 * first non-blank byte of data is no '{' and not [DONE]: that is skipped, Q_OK. Q_NOMEM. */
enum q_status qwen_event_read(struct qwen_event *q, struct str data, struct delta *d, struct trouble *t) Q_MUST_USE;
/* At the end of the stream: text held back because its phase was missing or unknown, if no answer frame ever came; a native
 * call that was still growing. */
enum q_status qwen_event_end(struct qwen_event *q, struct delta *d) Q_MUST_USE;
/* What of the whole answer text was not given out yet; false: the text does not go on from there. */
bool qwen_event_rest(const struct qwen_event *q, struct str whole, struct str *rest);
/* A whole-JSON answer ({"success":true,"data":{"choices":[{"message":…}]}}) to one delta. */
enum q_status qwen_event_whole(struct qwen_event *q, struct str body, struct delta *d, struct trouble *t) Q_MUST_USE;

#endif
