/* answer.h - one HTTP answer taken in piece by piece, and compared with the text it must carry.
 *
 * Threads: one thread; the JSON scanner keeps its nodes in a static table.
 * Time: microseconds of CLOCK_MONOTONIC, given by the caller.
 * Memory: an answer owns `hold`, reused from answer to answer; answer_free() gives it back.
 *
 * Nothing is trusted: status line, heads, chunk sizes, event shape, JSON, the order of the chunks, ids that must stay
 * the same, usage sums and every byte of text are checked. The first thing wrong ends the answer with `why` set. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer_kind {
  ANSWER_CHAT,   /* an OpenAI chat.completion */
  ANSWER_STREAM, /* OpenAI chunks as server-sent events */
  ANSWER_RAW,    /* the upstream's own events */
  ANSWER_ANY     /* any 200 with any body, kept in `hold` */
};

enum { ANSWER_TEXT_MAX = 256, ANSWER_HOLD_MAX = 1 << 20, ANSWER_DELTA_MAX = 4096 };

/* What the fake upstream was asked to say. */
struct expect {
  bool stamped;      /* deltas carry the sender's clock instead of seeded text */
  uint32_t n;        /* how many deltas */
  uint32_t size;     /* bytes of each, when seeded */
  uint32_t seed;
  const char *model; /* the name that must come back; NULL = any */
};

struct answer {
  enum answer_kind kind;
  struct expect want;
  const char *why;   /* what was wrong, NULL = nothing */
  int status;        /* HTTP status, 0 until known */
  bool keep;         /* the connection may be used again */
  uint32_t events;   /* events that carried text */
  uint64_t text;     /* bytes of text compared and found right */
  int64_t first_us;  /* arrival of the first text, 0 = none */
  int64_t last_us;   /* arrival of the latest text */
  int64_t gap_us;    /* longest silence between two texts */
  void (*lag)(void *arg, int64_t lag_us); /* called for every stamp, may be NULL */
  void *lag_arg;
  char *hold;        /* head, line, or whole body being gathered */
  size_t hold_n, hold_cap;

  int step;          /* the rest is answer.c's own */
  bool chunked, sse, cr;
  int64_t left;
  int line;
  int part;
  char id[64];
  int64_t created;
  uint32_t delta_i, delta_at;
  int64_t stamp_us, stamp_last;
};

/* Starts a new answer; `lag`, `lag_arg` and the memory of `hold` survive from the one before. */
void answer_begin(struct answer *a, enum answer_kind kind, const struct expect *want);
/* 0 = go on, 1 = the answer is whole and right, -1 = wrong, see `why`. Bytes after a whole answer are wrong. */
int answer_feed(struct answer *a, const char *p, size_t n, int64_t now_us);
/* The peer closed. Returns as answer_feed() does, never 0. */
int answer_eof(struct answer *a);
void answer_free(struct answer *a);
/* Bytes of text a whole answer carries. Stamped texts have no fixed length: 0. */
uint64_t answer_text_len(const struct expect *want);
/* The string at `path` ("data.id") of a JSON text into out; false when it is not there. */
bool answer_json_text(const char *json, size_t n, const char *path, char *out, size_t cap);

#endif
