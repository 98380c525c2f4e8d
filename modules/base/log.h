/* log.h - lines for people, written by one thread, kept in memory for the log page.
 *
 * Threads: locked. A caller only formats and copies: a blocked standard error or a full disk never stops it. When the
 *          buffer is full the oldest lines go, and how many is told.
 * Time:    lines carry wall clock UTC with milliseconds. Memory: bounded (LOG_RING bytes and lines).
 * Secrets: never pass a token, key or password. Control characters are escaped, so that no line can be forged.
 * Line:    2026-11-24T09:46:54.123Z INFO  chat [req_x] text */
#ifndef Q2A_BASE_LOG_H
#define Q2A_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/now.h"
#include "base/status.h"

struct log;
enum { LOG_LINES = 5000, LOG_LINE_MAX = 2048, LOG_HEAD_MAX = 200 };
struct log_line { uint64_t seq; size_t n; char text[LOG_LINE_MAX + LOG_HEAD_MAX]; }; /* without its line end */
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_config {
  const struct now *now;
  enum log_level level;
  int fd;                 /* 2, or -1: no stream (tests) */
  bool colour;
  const char *dir;        /* NULL: no file; else dir/app.log */
  int64_t file_max_bytes;
  int files_max;          /* rotated ones that are kept */
};
struct log *log_new(const struct log_config *c) Q_MUST_USE; /* NULL: no memory, no thread, or dir cannot be written */
void log_destroy(struct log *l);                            /* writes what is left, for at most a second */
void log_set_level(struct log *l, enum log_level level);
void log_set_files(struct log *l, int64_t file_max_bytes, int files_max); /* of the next rotation */

/* module: one word. id: the request's, or "". All take NULL for l. */
void log_write(struct log *l, enum log_level level, const char *module, const char *id, const char *fmt, ...)
  __attribute__((format(printf, 5, 6)));
bool log_wants(const struct log *l, enum log_level level);
long log_lost(const struct log *l); /* lines that were dropped because the writer was blocked */
/* The newest lines, oldest first, copied into out (cut at a line); for the log page and tests. */
size_t log_recent(struct log *l, char *out, size_t cap);
/* One line: the next kept one after number seq (0: the oldest), or the last one before it (UINT64_MAX: the newest). Numbers count from
 * 1, without gaps. false: there is none. */
bool log_after(struct log *l, uint64_t seq, struct log_line *out);
bool log_before(struct log *l, uint64_t seq, struct log_line *out);

#define LOG_AT(l, level, ...) ((l) && log_wants((l), (level)) ? log_write((l), (level), __VA_ARGS__) : (void)0)
#define LOG_DEBUG(l, ...) LOG_AT(l, LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LOG_INFO(l, ...) LOG_AT(l, LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_WARN(l, ...) LOG_AT(l, LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_ERROR(l, ...) LOG_AT(l, LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
