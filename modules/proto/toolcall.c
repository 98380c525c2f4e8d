#include "proto/toolcall.h"

#include "base/mem.h"
#include "proto/callbody.h"

enum { TOOLCALL_BODY_MAX = 1024 * 1024, TOOLCALL_BLANK_MAX = 64 * 1024, TOOLCALL_PIECE = 64 * 1024, TOOLCALL_ARGS_MAX = 8 * 1024 * 1024,
       TOOLCALL_JOIN = 64 * 1024 };

struct toolcall_impl {
  const struct toolset *set;
  bool reasoning;
  bool head;            /* nothing of the answer was seen but blanks */
  bool after;           /* behind a call, with only blanks since */
  bool fence;           /* a code fence around that call is still open */
  bool code;            /* text went out that opened a block of code */
  bool naive;           /* strings were found to be unreliable: a closer closes wherever it stands */
  /* What is held back, the part from `at` on: blanks, then what may be an opener, then a body. Offsets count from `at`. */
  struct strbuf held;
  size_t at, blanks;
  size_t given;         /* of it, the item of the last call: it goes at the next */
  struct strbuf again;  /* bytes to be read once more, before the input */
  size_t again_at;
  /* Within a body: */
  bool body;
  struct tag tag;       /* its name is not kept: it would borrow */
  int tool;
  size_t start, scan;   /* the body's first byte; the next to look at */
  char quote;           /* of the open string; '<' within a parameter's value; 0 none */
  bool escape;
  bool ended;           /* the string or value has ended, if what follows agrees */
  struct strbuf args;   /* of the item */
  struct strbuf joined; /* texts that go out as one */
  struct toolcall_item next; /* a call that waits for the text before it */
  bool waits;
};

enum q_status toolcall_init(struct toolcall *t, const struct toolset *set, bool reasoning)
{
  *t = (struct toolcall){ .impl = mem_zalloc(sizeof *t->impl) };
  if(!t->impl) return Q_NOMEM;
  t->impl->set = set;
  t->impl->reasoning = reasoning;
  t->impl->head = !reasoning;
  t->impl->held = STRBUF(4 * TOOLCALL_BODY_MAX);
  t->impl->again = STRBUF(2 * TOOLCALL_BODY_MAX);
  t->impl->args = STRBUF(TOOLCALL_ARGS_MAX);
  t->impl->joined = STRBUF(4 * TOOLCALL_BODY_MAX);
  return Q_OK;
}

void toolcall_free(struct toolcall *t)
{
  if(t->impl) {
    strbuf_free(&t->impl->held);
    strbuf_free(&t->impl->again);
    strbuf_free(&t->impl->args);
    strbuf_free(&t->impl->joined);
    mem_free(t->impl);
  }
  t->impl = NULL;
}

static bool toolcall_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static size_t toolcall_blanks(struct str s)
{
  size_t n = 0;
  while(n < s.n && toolcall_blank(s.p[n])) n++;
  return n;
}

/* Where the first '<' or '`' stands, s.n if there is none. In blocks, so that a near one does not cost the way to a far one. */
static size_t toolcall_mark(struct str s)
{
  for(size_t at = 0; at < s.n; at += 256) {
    size_t n = s.n - at < 256 ? s.n - at : 256;
    const char *lt = memchr(s.p + at, '<', n);
    const char *tick = memchr(s.p + at, '`', lt ? (size_t)(lt - s.p) - at : n);
    if(tick || lt) return (size_t)((tick ? tick : lt) - s.p);
  }
  return s.n;
}

/* The text at the beginning of s that can go at once: up to a mark, without blanks at its end. */
static size_t toolcall_plain(struct str s)
{
  size_t n = toolcall_mark(s);
  while(n && toolcall_blank(s.p[n - 1])) n--;
  return n;
}

static struct str toolcall_live(const struct toolcall_impl *m)
{
  return str_sub(strbuf_str(&m->held), m->at, m->held.n);
}

static void toolcall_drop(struct toolcall_impl *m, size_t n)
{
  m->at += n;
  m->blanks = 0;
  if(m->at == m->held.n) {
    m->held.n = m->at = 0;
  } else if(m->at > m->held.n / 2) { /* moved at most as often as bytes were dropped */
    strbuf_drop(&m->held, m->at);
    m->at = 0;
  }
}

/* Text behind a call, behind a broken one and behind the upstream's refusal is dropped from an answer. */
static bool toolcall_mute(const struct toolcall *t)
{
  return !t->impl->reasoning && (t->calls || t->broken || t->denied);
}

/* The first n held bytes are text. Q_AGAIN: nobody is to see it. */
static enum q_status toolcall_give(struct toolcall *t, size_t n, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  struct str text = str_sub(toolcall_live(m), 0, n);
  if(toolcall_blanks(text) < n) m->head = m->after = m->fence = false;
  if(toolcall_mute(t)) {
    toolcall_drop(m, n);
    return Q_AGAIN;
  }
  m->given = n;
  *item = (struct toolcall_item){ .text = text };
  return Q_OK;
}

/* ---- bodies ---- */

/* A mark at s: does the body end here? *n: the length of the closer, 0 at the next opener. */
static enum tag_found toolcall_ends(const struct toolcall_impl *m, struct str s, bool openers, size_t *n)
{
  struct tag next;
  *n = 3;
  if(s.p[0] == '`') return m->tag.fence_closes ? tag_word(s, S("```")) : TAG_NO;
  enum tag_found close = tag_close(s, false, n), open = openers ? tag_open(s, &next) : TAG_NO;
  if(close == TAG_YES) return close;
  if(open == TAG_YES && next.body != TAG_BODY_JSON && toolset_find(m->set, next.name) < 0) open = TAG_NO;
  if(open == TAG_YES) *n = 0;
  return open == TAG_YES ? open : close == TAG_MORE || open == TAG_MORE ? TAG_MORE : TAG_NO;
}

/* One byte of a JSON body. TAG_YES: the body ends here. TAG_MORE: more must be seen. */
static enum tag_found toolcall_json(struct toolcall_impl *m, struct str s, size_t *n)
{
  char c = s.p[0];
  bool text = m->quote && !m->ended;
  if(m->escape) {
    m->escape = false;
    return TAG_NO;
  }
  if((c == '<' || c == '`') && (!text || m->naive)) {
    enum tag_found f = toolcall_ends(m, s, true, n);
    if(f == TAG_NO) m->ended = false; /* then the quote before it did not end the string */
    return f;
  }
  if(text) {
    if(c == '\\') m->escape = true;
    else if(c == m->quote) m->ended = true;
  } else if(m->quote) { /* behind a quote: it ends the string only if JSON goes on behind it */
    if(c == ',' || c == '}' || c == ']' || c == ':') m->quote = 0, m->ended = false;
    else if(c == '\\') m->escape = true, m->ended = false;
    else if(!toolcall_blank(c) && c != m->quote) m->ended = false;
  } else if(c == '"' || c == '\'') {
    m->quote = c;
  }
  return TAG_NO;
}

/* One byte of a body of parameters; *skip: how many bytes it stands for. */
static enum tag_found toolcall_params(struct toolcall_impl *m, struct str s, size_t *n, size_t *skip)
{
  struct str name;
  size_t head = 1;
  enum tag_found f, param;
  if(s.p[0] != '<') {
    if(m->ended && !toolcall_blank(s.p[0])) m->ended = false; /* the value only spoke of </parameter> */
    return TAG_NO;
  }
  bool value = m->quote == '<' && !m->ended;
  if(value) {
    f = tag_param_close(s, &head);
    if(f == TAG_YES) m->ended = true, *skip = head;
    if(f != TAG_NO || !m->naive) return f == TAG_YES ? TAG_NO : f;
    return toolcall_ends(m, s, false, n);
  }
  param = tag_param(s, &head, &name);
  if(param == TAG_YES) {
    m->quote = '<';
    m->ended = false;
    *skip = head;
    return TAG_NO;
  }
  f = toolcall_ends(m, s, true, n);
  if(f == TAG_NO && param == TAG_NO) m->ended = false;
  return f == TAG_NO && param == TAG_MORE ? TAG_MORE : f;
}

/* The first closer within a body whose strings never end: where, and how long. */
static bool toolcall_first_close(struct str body, size_t *at, size_t *n)
{
  for(*at = 0; *at < body.n; ++*at) {
    ptrdiff_t lt = str_find(str_sub(body, *at, body.n), S("</"));
    if(lt < 0) return false;
    *at += (size_t)lt;
    if(tag_close(str_sub(body, *at, body.n), false, n) == TAG_YES) return true;
  }
  return false;
}

/* The body ends at live[end], with a closer of n bytes. */
static enum q_status toolcall_body_end(struct toolcall *t, size_t end, size_t n, bool cut, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  struct callbody c = { .set = m->set, .form = m->tag.body, .tool = m->tool, .loose = m->tag.loose, .cut = cut };
  struct str body = str_sub(toolcall_live(m), m->start, end - m->start);
  size_t early, early_n;
  strbuf_clear(&m->args);
  enum q_status st = callbody_read(&c, body, &m->args);
  if(st == Q_BAD_VALUE && !m->naive && toolcall_first_close(body, &early, &early_n)) {
    /* A string that never ended hid the closer: then the first one counts, and what follows it is read again, from now on
     * without trust in strings. */
    m->naive = true;
    end = m->start + early;
    n = early_n;
    struct str live = toolcall_live(m);
    strbuf_adds(&m->again, str_sub(live, end + n, live.n));
    if(m->again.err) return Q_NOMEM;
    m->held.n = m->at + end + n;
    c.cut = false;
    strbuf_clear(&m->args);
    st = callbody_read(&c, str_sub(body, 0, early), &m->args);
  }
  if(st && st != Q_BAD_VALUE && st != Q_BAD_JSON) return st;
  m->body = false;
  if(st == Q_BAD_JSON) return toolcall_give(t, end + n, item);
  m->head = false;
  m->after = true;
  m->fence = m->tag.fenced;
  toolcall_drop(m, end + n);
  if(st) t->broken = true;
  if(st || (m->set->one_call && t->calls)) return Q_AGAIN;
  t->calls++;
  *item = (struct toolcall_item){ true, STR_NONE, c.tool, strbuf_str(&m->args), c.repaired };
  return Q_OK;
}

static enum q_status toolcall_body(struct toolcall *t, bool final, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  struct str live = toolcall_live(m);
  while(m->scan < live.n) {
    struct str s = str_sub(live, m->scan, live.n);
    size_t n = 0, skip = 1;
    enum tag_found f = m->tag.body == TAG_BODY_PARAMS ? toolcall_params(m, s, &n, &skip) : toolcall_json(m, s, &n);
    if(f == TAG_YES) return toolcall_body_end(t, m->scan, n, false, item);
    if(f == TAG_MORE && !final) break;
    m->scan += skip;
  }
  if(!final && live.n - m->start <= TOOLCALL_BODY_MAX) return Q_AGAIN;
  return toolcall_body_end(t, live.n, 0, m->tag.body == TAG_BODY_PARAMS && m->quote && !m->ended, item);
}

/* ---- text ---- */

/* "Tool x does not exist." at the head of an answer. */
static enum tag_found toolcall_denial(struct str s, bool final, size_t *n)
{
  enum tag_found f = tag_word(s, S("Tool "));
  size_t i = 5;
  if(f != TAG_YES) return f;
  while(i < s.n && i < 160 && !toolcall_blank(s.p[i]) && s.p[i] != '<') i++;
  if(i == s.n) return TAG_MORE;
  if(i == 5) return TAG_NO;
  f = tag_word(str_sub(s, i, s.n), S(" does not exist"));
  if(f != TAG_YES) return f;
  i += 15;
  if(i < s.n && s.p[i] == 's') i++;
  *n = i;
  if(i == s.n) return final ? TAG_YES : TAG_MORE;
  if(s.p[i] == '.' || s.p[i] == '!') *n = i + 1;
  return *n > i || s.p[i] == '\n' || s.p[i] == '\r' ? TAG_YES : TAG_NO;
}

/* What begins at a mark in text: TAG_YES with *n 0: an opener, whose body begins; else a closer to be swallowed. */
static enum tag_found toolcall_look(struct toolcall_impl *m, struct str s, size_t *n)
{
  enum tag_found close = TAG_NO;
  if(s.p[0] == '<') close = tag_close(s, !m->after, n);
  else if(m->after && m->fence) close = tag_word(s, S("```")), *n = 3;
  if(close == TAG_YES) return close;
  enum tag_found open = tag_open(s, &m->tag);
  m->tool = open == TAG_YES && m->tag.body != TAG_BODY_JSON ? toolset_find(m->set, m->tag.name) : -1;
  if(open == TAG_YES && m->tag.body != TAG_BODY_JSON && m->tool < 0) open = TAG_NO; /* nobody's call */
  if(open == TAG_YES && m->code && m->tag.fenced && m->tag.bare) open = TAG_NO; /* the end of a block, then a call */
  m->tag.name = STR_NONE;
  *n = 0;
  return open == TAG_YES ? open : close == TAG_MORE || open == TAG_MORE ? TAG_MORE : TAG_NO;
}

static void toolcall_open(struct toolcall_impl *m)
{
  m->body = true;
  m->start = m->scan = m->blanks + m->tag.at;
  m->quote = 0;
  m->escape = m->ended = false;
}

static enum q_status toolcall_text(struct toolcall *t, bool final, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  struct str live = toolcall_live(m);
  while(m->blanks < live.n && toolcall_blank(live.p[m->blanks])) m->blanks++;
  if(m->blanks == live.n) return final || live.n > TOOLCALL_BLANK_MAX ? toolcall_give(t, live.n, item) : Q_AGAIN;
  struct str s = str_sub(live, m->blanks, live.n);
  bool mark = s.p[0] == '<' || s.p[0] == '`';
  size_t n = 0;
  enum tag_found f = mark ? toolcall_look(m, s, &n) : m->head ? toolcall_denial(s, final, &n) : TAG_NO;
  if(f == TAG_MORE && !final) return Q_AGAIN;
  if(f == TAG_YES && !mark) {
    t->denied = true;
    m->head = false;
    toolcall_drop(m, m->blanks + n);
  } else if(f == TAG_YES && !n) {
    toolcall_open(m);
  } else if(f == TAG_YES && m->blanks && !m->after) {
    return toolcall_give(t, m->blanks, item);
  } else if(f == TAG_YES) {
    if(mark && s.p[0] == '`') m->fence = false;
    toolcall_drop(m, m->blanks + n);
  } else {
    n = mark;
    while(s.p[0] == '`' && n < s.n && s.p[n] == '`') n++;
    if(s.p[0] == '`' && n >= 3) m->code = !m->code || (n < s.n && !toolcall_blank(s.p[n])); /* with a language it opens one */
    n += toolcall_mark(str_sub(s, n, s.n));
    while(toolcall_blank(s.p[n - 1])) n--;
    return toolcall_give(t, m->blanks + n, item);
  }
  return Q_AGAIN;
}

/* Works on what is held until it gives an item or needs more. */
static enum q_status toolcall_run(struct toolcall *t, bool final, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  for(;;) {
    size_t live = toolcall_live(m).n, again = m->again.n;
    bool body = m->body;
    if(!live) return Q_AGAIN;
    enum q_status st = body ? toolcall_body(t, final, item) : toolcall_text(t, final, item);
    if(st != Q_AGAIN || m->again.n != again) return st;
    if(body == m->body && toolcall_live(m).n == live) return Q_AGAIN; /* nothing moved */
  }
}

static bool toolcall_may_deny(const struct toolcall_impl *m, struct str s)
{
  size_t n;
  return m->head && toolcall_denial(str_sub(s, toolcall_blanks(s), s.n), false, &n) != TAG_NO;
}

/* Takes bytes of s: as an item at once, or into what is held. */
static enum q_status toolcall_take(struct toolcall *t, struct str s, size_t *taken, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  struct str live = toolcall_live(m);
  size_t plain = 0;
  *taken = 1;
  if(m->body) {
    if(m->scan >= live.n) {
      *taken = toolcall_mark(str_sub(s, 0, TOOLCALL_PIECE)) + 1;
      if(*taken > s.n) *taken = s.n;
    }
  } else if(toolcall_blanks(s)) {
    *taken = live.n == m->blanks ? toolcall_blanks(str_sub(s, 0, TOOLCALL_PIECE)) : 1;
  }
  if(!m->body && live.n == m->blanks && !toolcall_may_deny(m, s)) plain = toolcall_plain(s);
  if(plain && !live.n) {
    *taken = plain;
    m->head = m->after = m->fence = false;
    *item = (struct toolcall_item){ .text = str_sub(s, 0, plain) };
    return toolcall_mute(t) ? Q_AGAIN : Q_OK;
  }
  if(plain > TOOLCALL_PIECE) plain = 0;
  if(plain) *taken = plain;
  strbuf_add(&m->held, s.p, *taken);
  return m->held.err ? Q_NOMEM : Q_AGAIN;
}

static void toolcall_settle(struct toolcall_impl *m)
{
  if(m->given) toolcall_drop(m, m->given);
  m->given = 0;
}

/* Reads from `again`, then from in, up to the next item as it stands. */
static enum q_status toolcall_next(struct toolcall *t, struct str in, size_t *used, bool final, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  toolcall_settle(m);
  for(;;) {
    bool back = m->again_at < m->again.n;
    struct str s = back ? str_sub(strbuf_str(&m->again), m->again_at, m->again.n) : str_sub(in, *used, in.n);
    enum q_status st = toolcall_run(t, final && !s.n, item);
    if(st != Q_AGAIN) return st;
    if(!back && m->again_at < m->again.n) continue;
    if(!s.n) return Q_AGAIN;
    size_t n = 0;
    st = toolcall_take(t, s, &n, item);
    if(back) m->again_at += n;
    else *used += n;
    if(st != Q_AGAIN) return st;
  }
}

/* Joins the texts of one piece of input: marks within it must not make many small texts of it. A text that is all there is goes
 * out without being copied. */
static enum q_status toolcall_pump(struct toolcall *t, struct str in, size_t *used, bool final, struct toolcall_item *item)
{
  struct toolcall_impl *m = t->impl;
  *used = 0;
  if(m->waits) {
    *item = m->next;
    m->waits = false;
    return Q_OK;
  }
  strbuf_clear(&m->joined);
  for(;;) {
    enum q_status st = toolcall_next(t, in, used, final, item);
    if(st == Q_OK && !item->is_call) {
      struct str rest = str_sub(in, *used, in.n);
      bool all = toolcall_blanks(rest) == rest.n && m->again_at == m->again.n && toolcall_live(m).n == m->given;
      if(!m->joined.n && (all || item->text.n > TOOLCALL_JOIN)) return Q_OK;
      strbuf_adds(&m->joined, item->text);
      if(m->joined.err) return Q_NOMEM;
      if(m->joined.n < TOOLCALL_JOIN) continue;
    } else if(!m->joined.n || (st != Q_OK && st != Q_AGAIN)) {
      return st;
    } else if(st == Q_OK) {
      m->next = *item;
      m->waits = true;
    }
    *item = (struct toolcall_item){ .text = strbuf_str(&m->joined) };
    return Q_OK;
  }
}

enum q_status toolcall_push(struct toolcall *t, const char *p, size_t n, size_t *used, struct toolcall_item *item)
{
  return toolcall_pump(t, str_of(p, n), used, false, item);
}

enum q_status toolcall_finish(struct toolcall *t, struct toolcall_item *item)
{
  size_t used;
  return toolcall_pump(t, STR_NONE, &used, true, item);
}
