/* delta.h - the meaning of one upstream event, free of any wire format: what every protocol is written from.
 *
 * Threads: pure. Memory: texts borrow from the event's parser until its next call. */
#ifndef Q2A_PROTO_DELTA_H
#define Q2A_PROTO_DELTA_H

#include "base/str.h"

struct usage {
  bool known;               /* the upstream sent numbers */
  int64_t prompt, completion, reasoning, cached; /* tokens, >= 0 */
};

struct source { struct str title, url, host; }; /* as the upstream wrote them; cleaned when printed */

enum { DELTA_SOURCES_MAX = 64, DELTA_IMAGES_MAX = 16 };

struct delta {
  struct str think;         /* new reasoning text, or empty */
  struct str answer;        /* new answer text, or empty */
  const struct source *sources; /* new ones in arrival order, duplicates by URL removed */
  int source_n;
  const struct str *images; /* result URLs as the upstream wrote them, not yet checked; each picture once (by its path, without the
                               query). Without "://": a path below /api/v2/chat/<chat id>/ */
  int image_n;
  struct str video;         /* result URL of a video phase, not yet checked */
  struct str call_name, call_args; /* a native tool call that has ended, but of the upstream's own tools. args: its last whole
                                      snapshot, JSON text of an object; empty: it never was whole */
  bool answer_event;        /* an answer frame: even with empty text it shows that the answer phase has begun */
  bool finished;            /* the answer phase (or that of the picture asked for) said finished: at the end, or more frames within 2 s */
  bool stopped;             /* somebody pressed stop */
  bool done;                /* [DONE] */
};

#endif
