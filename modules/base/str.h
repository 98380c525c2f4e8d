/* str.h - slices of text, and builders that never pass their limit.
 *
 * Threads: pure (one object per thread).
 * Memory:  a str borrows and need not end in NUL. A strbuf owns p until strbuf_free(); it is born with its largest
 *          size, grows by doubling, and remembers its first failure (Q_NOMEM or Q_TOO_BIG): later appends do
 *          nothing, so ten appends need one check. A zeroed strbuf with max set is ready for use. */
#ifndef Q2A_BASE_STR_H
#define Q2A_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

struct str {
  const char *p;
  size_t n;
};
#define S(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
#define STR_F(s) (int)(s).n, (s).p /* for printf's %.*s */

static inline struct str str_of(const char *p, size_t n) { return (struct str){ p, n }; }
static inline struct str str_z(const char *z) { return (struct str){ z, z ? strlen(z) : 0 }; }
static inline bool str_eq(struct str a, struct str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }

bool str_ieq(struct str a, struct str b);                 /* ASCII case folded */
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
ptrdiff_t str_find(struct str hay, struct str needle);    /* offset or -1; an empty needle is at 0 */
ptrdiff_t str_ifind(struct str hay, struct str needle);   /* ASCII case folded */
ptrdiff_t str_chr(struct str s, char c);
struct str str_trim(struct str s);                        /* blanks, tabs, CR, LF at both ends */
struct str str_sub(struct str s, size_t from, size_t n);  /* clamped */
/* Cuts *s at the first sep: returns what stands before it, *s becomes the rest; without sep all is returned. */
struct str str_cut(struct str *s, char sep);
/* Whole text as decimal integer (sign allowed); false on anything else or overflow. */
bool str_int(struct str s, int64_t *out);
/* Copies into a fixed field, always ends in NUL, cuts at a UTF-8 border. */
void str_copy(char *field, size_t cap, struct str s);

struct strbuf {
  char *p;
  size_t n, cap, max; /* bytes; max 0 means nothing may be added */
  enum q_status err;
};
#define STRBUF(max_bytes) ((struct strbuf){ NULL, 0, 0, (max_bytes), Q_OK })

void strbuf_free(struct strbuf *b);                     /* keeps max; ready for use again */
static inline void strbuf_clear(struct strbuf *b) { b->n = 0; b->err = Q_OK; }
static inline struct str strbuf_str(const struct strbuf *b) { return (struct str){ b->p, b->n }; }
char *strbuf_room(struct strbuf *b, size_t n);          /* n writable bytes behind the end, or NULL (err set) */
void strbuf_add(struct strbuf *b, const char *p, size_t n);
static inline void strbuf_adds(struct strbuf *b, struct str s) { strbuf_add(b, s.p, s.n); }
#define strbuf_lit(b, lit) strbuf_add((b), "" lit, sizeof(lit) - 1)
void strbuf_addz(struct strbuf *b, const char *z);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_int(struct strbuf *b, int64_t v);
void strbuf_fmt(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_drop(struct strbuf *b, size_t n);           /* removes the first n bytes */
const char *strbuf_z(struct strbuf *b);                 /* NUL behind the end (not counted); "" after a failure */
/* The text as a JSON string with its quotes. Control characters, quote, backslash are escaped; bytes that are no
 * UTF-8 become U+FFFD. */
void strbuf_json(struct strbuf *b, struct str s);
void strbuf_json_body(struct strbuf *b, struct str s);  /* the same without the quotes */

#endif
