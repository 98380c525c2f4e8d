/* fold.h - turns a message list into the one user message that the upstream takes, and names the files that go with it.
 *
 * Threads: pure. Memory: texts are appended to the caller's builders, files point into the request.
 * Form (api 3.3): one user message alone keeps its text; otherwise the system text, "Conversation so far:" with a line per
 * turn, one sentence, "Current message:" with the last user or tool turn. What could forge a turn or a tool's markup is made
 * harmless. A prompt above inline_bytes is split: the conversation goes into *document, the newest turns stay inline. */
#ifndef Q2A_PROTO_FOLD_H
#define Q2A_PROTO_FOLD_H

#include "proto/chat_req.h"
#include "proto/toolset.h"

enum { FOLD_FILES_MAX = 256 };

struct fold {
  /* in */
  const struct chat_req *req;
  const struct toolset *tools; /* NULL: none active */
  int history_files;           /* MAX_HISTORY_FILES */
  size_t inline_bytes;         /* INLINE_PROMPT_KB; 0: never split */
  bool last_only;              /* pictures and videos: only the last user text and its files */
  /* out */
  struct strbuf *prompt, *document; /* document stays empty unless split; then */
  struct strbuf *whole;             /* has what the prompt would be without it */
  const struct chat_media *files[FOLD_FILES_MAX];
  int file_n;
  long looks; /* private: how much was searched */
  int current_end; /* private */
};
/* Q_OK, Q_NOMEM, Q_TOO_BIG (a builder's limit) or Q_BAD_VALUE (more files than can go along). */
enum q_status fold_run(struct fold *f) Q_MUST_USE;

/* The ratio a keyword in the text asks for (api 3.9), or SIZE_NONE; *at and *len say where a token written with '@' stands
 * (len 0: none to cut). */
enum chat_size fold_size_word(struct str text, size_t *at, size_t *len);
/* "1:1", "1024x768", "auto" ... false: none of these. */
bool fold_size_read(struct str text, enum chat_size *out);
const char *fold_size_name(enum chat_size s); /* "16:9"; NULL for SIZE_NONE */

#endif
