#include "proto/fold.h"

enum { FOLD_TURN_MAX = 64 * 1024 * 1024, FOLD_LOOKS_MAX = 10 * 1000 * 1000 };

/* ---- turns ---- */

static const char *const fold_roles[] = { "System", "User", "Assistant", "Tool" };

/* A line that would pass for the start of a turn is indented, so that a pasted transcript cannot forge turns. */
static bool fold_forged(struct str line)
{
  static const struct str marks[] = { { "User:", 5 }, { "Assistant:", 10 }, { "System:", 7 }, { "Tool:", 5 },
                                      { "Current message:", 16 } };
  for(size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if(str_starts(line, marks[i])) return true;
  return str_starts(line, S("User (")) && str_find(str_sub(line, 0, 200), S("):")) >= 0; /* User (alice): */
}

static void fold_lines(struct str text, struct strbuf *out)
{
  bool first = true;
  while(text.n || first) {
    ptrdiff_t eol = str_chr(text, '\n');
    struct str line = eol < 0 ? text : str_sub(text, 0, (size_t)eol + 1);
    if(fold_forged(line)) strbuf_addc(out, ' ');
    strbuf_adds(out, line);
    text = str_sub(text, line.n, text.n);
    first = false;
  }
}

/* One text of a client; markup of tools is made harmless while tools are in play, or were. */
static void fold_text(const struct fold *f, struct str text, struct strbuf *out)
{
  struct strbuf safe = STRBUF(out->max);
  if(!f->tools || str_chr(text, '<') < 0) {
    fold_lines(text, out);
    return;
  }
  toolset_neutral(text, &safe);
  fold_lines(strbuf_str(&safe), out);
  if(safe.err && !out->err) out->err = safe.err;
  strbuf_free(&safe);
}

static int fold_number(const struct fold *f, const struct chat_media *m)
{
  for(int i = 0; i < f->file_n; i++)
    if(f->files[i] == m) return i + 1;
  return 0;
}

/* [image 1], [file 2: report.pdf]; without a number what does not go along any more. */
static void fold_mark(const struct fold *f, const struct chat_media *m, struct strbuf *out)
{
  static const char *const words[] = { "image", "video", "audio", "file" };
  int number = fold_number(f, m);
  strbuf_addc(out, '[');
  strbuf_addz(out, words[m->kind]);
  if(number) strbuf_fmt(out, " %d", number);
  if(m->kind == MEDIA_DOCUMENT && m->name.n) {
    strbuf_lit(out, ": ");
    for(size_t i = 0; i < m->name.n && i < 100; i++) strbuf_addc(out, (unsigned char)m->name.p[i] < 0x20 || m->name.p[i] == ']' ? '_' : m->name.p[i]);
  }
  if(!number) strbuf_lit(out, ", no longer attached");
  strbuf_addc(out, ']');
}

/* The parts of a message as text; raw: as they are (a single message keeps its text). */
static void fold_parts(const struct fold *f, const struct chat_msg *m, bool marks, bool raw, struct strbuf *out)
{
  bool any = false;
  for(int i = 0; i < m->part_n; i++) {
    const struct chat_part *p = &m->parts[i];
    if(p->media && !marks) continue;
    if(any) strbuf_addc(out, p->media ? ' ' : '\n');
    any = true;
    if(p->media) fold_mark(f, p->media, out);
    else if(raw) strbuf_adds(out, p->text);
    else fold_text(f, p->text, out);
  }
}

/* The nearest call of that id. All searches of a request together have a bound: a body of a million unanswerable results must
 * not cost the square of that. */
static const struct chat_call *fold_call_of(struct fold *f, int before, struct str id)
{
  const struct chat_req *r = f->req;
  for(int i = before - 1; i >= 0 && f->looks < FOLD_LOOKS_MAX; i--, f->looks++)
    for(int k = 0; k < r->msgs[i].call_n; k++, f->looks++)
      if(str_eq(r->msgs[i].calls[k].id, id)) return &r->msgs[i].calls[k];
  return NULL;
}

static void fold_result(struct fold *f, int i, struct strbuf *out)
{
  const struct chat_msg *m = &f->req->msgs[i];
  const struct chat_call *c = fold_call_of(f, i, m->call_id);
  struct strbuf text = STRBUF(FOLD_TURN_MAX);
  fold_parts(f, m, true, true, &text);
  toolset_result_text(m->call_id, m->name.n ? m->name : c ? c->name : STR_NONE, m->failed, strbuf_str(&text), out);
  if(text.err && !out->err) out->err = text.err;
  strbuf_free(&text);
}

/* What a turn says, without its role. */
static void fold_content(struct fold *f, int i, struct strbuf *out)
{
  const struct chat_msg *m = &f->req->msgs[i];
  if(m->role == ROLE_TOOL) {
    fold_result(f, i, out);
    return;
  }
  fold_parts(f, m, true, false, out);
  for(int k = 0; k < m->call_n; k++) {
    if(k || m->part_n) strbuf_addc(out, '\n');
    toolset_call_text(&m->calls[k], out);
  }
}

static bool fold_empty(const struct chat_msg *m)
{
  if(m->role == ROLE_TOOL || m->call_n) return false;
  for(int i = 0; i < m->part_n; i++)
    if(m->parts[i].media || m->parts[i].text.n) return false;
  return true;
}

static void fold_turn(struct fold *f, int i, struct strbuf *out)
{
  const struct chat_msg *m = &f->req->msgs[i];
  if(fold_empty(m)) return;
  strbuf_addz(out, fold_roles[m->role]);
  if(m->name.n && m->role != ROLE_TOOL) {
    strbuf_lit(out, " (");
    for(size_t k = 0; k < m->name.n && k < 64; k++) { /* a name is a word, it cannot end the line or the mark */
      char c = m->name.p[k];
      strbuf_addc(out, (unsigned char)c < 0x20 || c == ')' || c == ':' ? '_' : c);
    }
    strbuf_addc(out, ')');
  }
  strbuf_lit(out, ": ");
  fold_content(f, i, out);
  strbuf_addc(out, '\n');
}

/* ---- files ---- */

static bool fold_same(const struct chat_media *a, const struct chat_media *b)
{
  return a->kind == b->kind && a->plain == b->plain && str_eq(a->url, b->url) && str_eq(a->data, b->data);
}

/* Equal content goes up once: later mentions point to the first. */
static struct chat_media *fold_first(struct fold *f, int upto, struct chat_media *m)
{
  for(int i = 0; i <= upto && f->looks < FOLD_LOOKS_MAX; i++)
    for(int k = 0; k < f->req->msgs[i].part_n; k++, f->looks++) {
      struct chat_media *x = f->req->msgs[i].parts[k].media;
      if(x && fold_same(x, m)) return x;
    }
  return m;
}

/* Files of the current turn (from index `from` on) all go along, of earlier turns the newest few. */
static enum q_status fold_gather(struct fold *f, int from, int upto)
{
  const struct chat_req *r = f->req;
  int left = f->history_files;
  f->file_n = 0;
  for(int i = upto; i >= 0; i--)
    for(int k = r->msgs[i].part_n - 1; k >= 0; k--) {
      struct chat_media *m = r->msgs[i].parts[k].media;
      if(!m) continue;
      r->msgs[i].parts[k].media = m = fold_first(f, upto, m);
      if(fold_number(f, m) || (i < from && left <= 0)) continue;
      if(i < from) left--;
      if(f->file_n == FOLD_FILES_MAX) return Q_BAD_VALUE;
      f->files[f->file_n++] = m;
    }
  for(int i = 0; i < f->file_n / 2; i++) { /* oldest first, as they are numbered */
    const struct chat_media *m = f->files[i];
    f->files[i] = f->files[f->file_n - 1 - i];
    f->files[f->file_n - 1 - i] = m;
  }
  return Q_OK;
}

/* ---- the prompt ---- */

static void fold_gap(struct strbuf *out)
{
  if(out->n) strbuf_lit(out, "\n\n");
}

static void fold_system(const struct fold *f, int first, struct strbuf *out)
{
  for(int i = 0; i < first; i++) {
    if(fold_empty(&f->req->msgs[i])) continue;
    fold_gap(out);
    fold_parts(f, &f->req->msgs[i], true, true, out);
  }
  if(f->tools) {
    fold_gap(out);
    toolset_contract(f->tools, false, out);
  }
}

static void fold_format(const struct fold *f, struct strbuf *out)
{
  const struct chat_req *r = f->req;
  if(r->format == FORMAT_TEXT) return;
  fold_gap(out);
  strbuf_addz(out, "Answer with one JSON value only: no code fence, no prose before or behind it.");
  if(r->format != FORMAT_SCHEMA || !r->schema) return;
  strbuf_addz(out, " It must fit this JSON Schema:\n");
  json_write(r->schema, out);
}

/* A run of tool results belongs together, and so does what the client sent as one message. */
static bool fold_goes_on(const struct chat_req *r, int i)
{
  return r->msgs[i].joined || (r->msgs[i].role == ROLE_TOOL && r->msgs[i - 1].role == ROLE_TOOL);
}

/* The first turn of the current message. */
static int fold_current(const struct chat_req *r, int first)
{
  int current = r->msg_n - 1;
  while(current >= first && r->msgs[current].role != ROLE_USER && r->msgs[current].role != ROLE_TOOL) current--;
  while(current > first && fold_goes_on(r, current)) current--;
  return current;
}

static int fold_current_end(const struct chat_req *r, int current)
{
  int end = current + 1;
  while(end < r->msg_n && fold_goes_on(r, end)) end++;
  return end;
}

static bool fold_is_current(const struct fold *f, int current, int i)
{
  return current >= 0 && i >= current && i < f->current_end;
}

static void fold_current_text(struct fold *f, int current, struct strbuf *out)
{
  const struct chat_req *r = f->req;
  if(f->tools) {
    toolset_reminder(f->tools, out);
    strbuf_addc(out, '\n');
  }
  strbuf_lit(out, "Current message:\n");
  for(int i = current; i < r->msg_n && fold_is_current(f, current, i); i++) {
    if(i > current) strbuf_addc(out, '\n');
    fold_content(f, i, out);
  }
}

static const char *fold_sentence(bool prefill)
{
  return prefill ? "\nContinue the last message of the assistant exactly where it ends, without repeating it.\n"
                 : "\nAnswer only the current message; the conversation above is its context.\n";
}

/* The turns from `from` on that are history. */
static void fold_history(struct fold *f, int from, int current, struct strbuf *out)
{
  for(int i = from; i < f->req->msg_n; i++)
    if(!fold_is_current(f, current, i)) fold_turn(f, i, out);
}

/* The newest turns that fit into `room` bytes: index of the first of them. */
static int fold_newest(struct fold *f, int first, int current, size_t room)
{
  struct strbuf turn = STRBUF(FOLD_TURN_MAX);
  int from = f->req->msg_n;
  while(from > first) {
    strbuf_clear(&turn);
    if(!fold_is_current(f, current, from - 1)) fold_turn(f, from - 1, &turn);
    if(turn.err || turn.n > room) break;
    room -= turn.n;
    from--;
  }
  strbuf_free(&turn);
  return from;
}

static void fold_split(struct fold *f, int first, int current, bool prefill)
{
  struct strbuf *out = f->prompt;
  struct strbuf inline_prompt = *out;
  *out = *f->whole;
  *f->whole = inline_prompt;
  strbuf_clear(f->document);
  strbuf_lit(f->document, "Conversation so far:\n\n");
  fold_history(f, first, current, f->document);
  fold_system(f, first, out);
  fold_format(f, out);
  fold_gap(out);
  int from = fold_newest(f, first, current, f->inline_bytes / 2);
  strbuf_lit(out, "The whole conversation so far is in the attached document conversation.txt; read it first.\n");
  if(from < f->req->msg_n) {
    strbuf_lit(out, "\nIts newest turns:\n\n");
    fold_history(f, from, current, out);
  }
  strbuf_addz(out, fold_sentence(prefill));
  if(prefill || current < first) return;
  strbuf_addc(out, '\n');
  fold_current_text(f, current, out);
}

static void fold_inline(struct fold *f, int first, int current, bool prefill)
{
  struct strbuf *out = f->prompt;
  bool history = false;
  fold_system(f, first, out);
  fold_format(f, out);
  for(int i = first; i < f->req->msg_n; i++) history |= !fold_is_current(f, current, i) && !fold_empty(&f->req->msgs[i]);
  if(history) {
    fold_gap(out);
    strbuf_lit(out, "Conversation so far:\n\n");
    fold_history(f, first, current, out);
    strbuf_addz(out, fold_sentence(prefill));
  }
  if(prefill || current < first) return;
  if(out->n) strbuf_addz(out, history ? "\n" : "\n\n");
  fold_current_text(f, current, out);
}

static enum q_status fold_last_only(struct fold *f)
{
  const struct chat_req *r = f->req;
  int last = r->msg_n - 1;
  while(last > 0 && r->msgs[last].role != ROLE_USER) last--;
  f->history_files = 0;
  enum q_status st = fold_gather(f, last, last);
  fold_parts(f, &r->msgs[last], false, true, f->prompt);
  return st ? st : f->prompt->err;
}

enum q_status fold_run(struct fold *f)
{
  const struct chat_req *r = f->req;
  int first = 0;
  if(f->last_only) return fold_last_only(f);
  while(first < r->msg_n && r->msgs[first].role == ROLE_SYSTEM) first++;
  int current = fold_current(r, first);
  f->current_end = fold_current_end(r, current);
  bool prefill = r->msgs[r->msg_n - 1].role == ROLE_ASSISTANT, alone = r->msg_n == 1 && r->msgs[0].role == ROLE_USER;
  if(prefill) current = r->msg_n; /* everything is history; what is asked for is its continuation */
  enum q_status st = fold_gather(f, current < 0 ? 0 : current, r->msg_n - 1);
  if(st) return st;
  if(alone && !f->tools && r->format == FORMAT_TEXT) fold_parts(f, &r->msgs[0], false, true, f->prompt);
  else fold_inline(f, first, current, prefill);
  if(!f->prompt->err && f->inline_bytes && f->prompt->n > f->inline_bytes && !alone && (current > first || prefill))
    fold_split(f, first, current, prefill);
  return f->prompt->err ? f->prompt->err : f->document->err;
}

/* ---- sizes of pictures and videos ---- */

static const struct { const char *name; double ratio; } fold_sizes[] = {
  [SIZE_1_1] = { "1:1", 1 }, [SIZE_4_3] = { "4:3", 4.0 / 3 }, [SIZE_3_4] = { "3:4", 0.75 }, [SIZE_16_9] = { "16:9", 16.0 / 9 }, [SIZE_9_16] = { "9:16", 0.5625 },
};
enum { FOLD_SIZES = sizeof fold_sizes / sizeof fold_sizes[0] };

const char *fold_size_name(enum chat_size s)
{
  return fold_sizes[s].name;
}

static size_t fold_digits(struct str s, size_t at)
{
  size_t n = 0;
  while(at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9') n++;
  return n;
}

/* ':' or the full-width one at s[at]: its bytes, else 0. */
static size_t fold_colon(struct str s, size_t at)
{
  if(at < s.n && s.p[at] == ':') return 1;
  return str_starts(str_sub(s, at, 3), S("\xef\xbc\x9a")) ? 3 : 0;
}

/* A ratio token at s[at]: which, and its length. */
static enum chat_size fold_ratio_at(struct str s, size_t at, size_t *len)
{
  size_t a = fold_digits(s, at), c = a ? fold_colon(s, at + a) : 0, b = c ? fold_digits(s, at + a + c) : 0;
  if(!b) return SIZE_NONE;
  *len = a + c + b;
  for(int i = 1; i < FOLD_SIZES; i++) {
    struct str name = str_z(fold_sizes[i].name), left = str_cut(&name, ':');
    if(str_eq(str_sub(s, at, a), left) && str_eq(str_sub(s, at + a + c, b), name)) return (enum chat_size)i;
  }
  return SIZE_NONE;
}

enum chat_size fold_size_word(struct str text, size_t *at, size_t *len)
{
  *at = *len = 0;
  for(size_t i = 0; i < text.n;) {
    size_t n = 0, run = fold_digits(text, i);
    if(!run) {
      i++;
      continue;
    }
    enum chat_size s = fold_ratio_at(text, i, &n);
    bool before = i == 0 || !(text.p[i - 1] == ':' || (i >= 3 && fold_colon(text, i - 3) == 3));
    if(s && before && !fold_colon(text, i + n) && !fold_digits(text, i + n)) {
      bool marked = i > 0 && text.p[i - 1] == '@';
      if(marked) {
        *at = i - 1;
        *len = n + 1;
      }
      return s;
    }
    i += run;
  }
  return SIZE_NONE;
}

bool fold_size_read(struct str text, enum chat_size *out)
{
  struct str s = str_trim(text);
  size_t len = 0;
  *out = SIZE_NONE;
  if(s.n == 0 || str_ieq(s, S("auto"))) return true;
  enum chat_size exact = fold_ratio_at(s, 0, &len);
  if(exact && len == s.n) return *out = exact, true;
  size_t w_n = fold_digits(s, 0), x = 0;
  if(!w_n || w_n > 6) return false;
  struct str rest = str_sub(s, w_n, s.n);
  if(str_istarts(rest, S("x")) || str_starts(rest, S("*"))) x = 1;
  else if(str_starts(rest, S("\xc3\x97"))) x = 2;
  size_t h_n = x ? fold_digits(rest, x) : 0;
  int64_t w, h;
  if(!h_n || h_n > 6 || x + h_n != rest.n || !str_int(str_sub(s, 0, w_n), &w) || !str_int(str_sub(rest, x, h_n), &h) || !w || !h) return false;
  double best = 1e9, want = (double)w / (double)h;
  for(int i = 1; i < FOLD_SIZES; i++) { /* the nearest by |log(want / ratio)| */
    double d = want > fold_sizes[i].ratio ? want / fold_sizes[i].ratio : fold_sizes[i].ratio / want;
    if(d < best) best = d, *out = (enum chat_size)i;
  }
  return true;
}
