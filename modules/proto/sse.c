#include "proto/sse.h"

enum { SSE_KEEP = 16 * 1024 }; /* a buffer above this is not kept between events */

enum q_status sse_init(struct sse *s, size_t max_event)
{
  *s = (struct sse){ .line = STRBUF(max_event + 16), .data = STRBUF(max_event) }; /* a line has its field name as well */
  return Q_OK;
}

void sse_free(struct sse *s)
{
  strbuf_free(&s->line);
  strbuf_free(&s->data);
  s->has_data = s->skip = false;
  s->one = STR_NONE;
}

static void sse_reset(struct strbuf *b)
{
  if(b->cap > SSE_KEEP) strbuf_free(b);
  else strbuf_clear(b);
}

/* The borrowed line must outlive the pushed bytes, or another line joins it. */
static void sse_own(struct sse *s)
{
  if(!s->one.p) return;
  strbuf_adds(&s->data, s->one);
  s->one = STR_NONE;
}

static bool sse_is_data(struct str line)
{
  return str_starts(line, S("data")) && (line.n == 4 || line.p[4] == ':');
}

/* Keeps a piece of a cut line. Of a line that is too long as much stays as fits: its name still says what it was. */
static void sse_keep(struct sse *s, struct str piece)
{
  size_t room = s->line.max - s->line.n;
  strbuf_adds(&s->line, str_sub(piece, 0, room));
  if(piece.n > room && !s->line.err) s->line.err = Q_TOO_BIG;
}

/* One whole line without its end. borrowed: it lies in the pushed bytes. true: an event is complete. */
static bool sse_line(struct sse *s, struct str line, bool borrowed)
{
  if(line.n == 0) return s->has_data || s->skip;
  if(!sse_is_data(line)) return false; /* comment or other field */
  struct str value = line.n > 5 ? str_sub(line, 5, line.n) : str_of(line.p, 0);
  if(value.n && value.p[0] == ' ') value = str_sub(value, 1, value.n);
  if(s->skip) return false;
  if(value.n > s->data.max) {
    s->data.err = Q_TOO_BIG;
  } else if(!s->has_data && borrowed) {
    s->one = value;
  } else {
    sse_own(s);
    if(s->has_data) strbuf_addc(&s->data, '\n');
    strbuf_adds(&s->data, value);
  }
  s->has_data = true;
  return false;
}

static enum q_status sse_event(struct sse *s, struct str *data)
{
  enum q_status st = s->skip ? Q_TOO_BIG : s->data.err;
  *data = s->one.p ? s->one : strbuf_str(&s->data);
  s->has_data = s->skip = false;
  s->one = STR_NONE;
  return st;
}

static const char *sse_line_end(const char *p, size_t n)
{
  const char *lf = memchr(p, '\n', n);
  const char *cr = memchr(p, '\r', lf ? (size_t)(lf - p) : n);
  return cr ? cr : lf;
}

enum q_status sse_push(struct sse *s, const char *p, size_t n, size_t *used, struct str *data)
{
  const char *start = p, *end = p + n;
  if(!s->has_data) sse_reset(&s->data); /* the event given last is no longer borrowed */
  while(p < end) {
    if(s->cr && *p == '\n') {
      s->cr = false;
      p++;
      continue;
    }
    s->cr = false;
    const char *eol = sse_line_end(p, (size_t)(end - p));
    if(!eol) {
      sse_keep(s, str_of(p, (size_t)(end - p)));
      p = end;
      break;
    }
    struct str line = str_of(p, (size_t)(eol - p));
    bool borrowed = s->line.n == 0 && !s->line.err;
    if(!borrowed) {
      sse_keep(s, line);
      line = strbuf_str(&s->line);
    }
    bool over = !s->line.err && sse_line(s, line, borrowed);
    if((s->line.err == Q_TOO_BIG && sse_is_data(line)) || s->data.err == Q_TOO_BIG) {
      s->skip = true;
      strbuf_free(&s->data);
      s->one = STR_NONE;
      over = false;
    }
    enum q_status trouble = s->line.err == Q_NOMEM ? Q_NOMEM : s->data.err;
    sse_reset(&s->line);
    s->cr = *eol == '\r';
    p = eol + 1;
    if(trouble) {
      *used = (size_t)(p - start);
      return trouble;
    }
    if(over) {
      *used = (size_t)(p - start);
      return sse_event(s, data);
    }
  }
  *used = n;
  if(s->line.err == Q_NOMEM) return Q_NOMEM;
  sse_own(s);
  if(s->data.err == Q_NOMEM) return Q_NOMEM;
  return Q_AGAIN;
}

enum q_status sse_finish(struct sse *s, struct str *data)
{
  if(!s->has_data) sse_reset(&s->data);
  if(s->line.n && !s->line.err) {
    (void)sse_line(s, strbuf_str(&s->line), false);
    sse_own(s);
  } else if(s->line.err == Q_TOO_BIG && sse_is_data(strbuf_str(&s->line))) {
    s->skip = true;
  }
  strbuf_clear(&s->line);
  if(!s->has_data && !s->skip) return Q_AGAIN;
  return sse_event(s, data);
}
