#include "proto/qwen_event.h"

#include "base/mem.h"

enum {
  QWEN_EVENT_ARENA_MAX = 64 * 1024 * 1024,
  QWEN_EVENT_HELD_MAX = 1024 * 1024,   /* text of unknown phases; the last reasoning snapshot */
  QWEN_EVENT_TEXT_MAX = 8 * 1024 * 1024,
  QWEN_EVENT_DEPTH = 64,
  QWEN_EVENT_NUMBER_MAX = 1000000000,  /* tokens: sums of a few of them never overflow */
  QWEN_EVENT_SNAPSHOT = 16             /* bytes: shorter texts are never taken for snapshots */
};

/* One flow of text (answer or thought): what was given out so far, as length and hash, and a half character. */
struct qwen_flow {
  size_t n;
  uint64_t hash;
  int snapshots;        /* how many deltas repeated everything before them */
  char half[3];         /* a high surrogate that waits for its low one */
  bool has_half;
};

/* A call of a tool, as the upstream's model writes it: a snapshot that grows from frame to frame. */
struct qwen_native {
  bool on, due;         /* due: it has ended */
  char name[128], id[80];
  struct strbuf args;   /* the last snapshot that was a whole object */
};

struct qwen_event_impl {
  struct arena arena;
  enum delta_mode mode;
  struct qwen_flow answer, think;
  struct strbuf answer_text, think_text; /* of this event, when it could not be borrowed */
  struct strbuf thoughts;                /* the summaries given out, joined */
  struct strbuf held;                    /* text without a known phase */
  struct source sources[DELTA_SOURCES_MAX];
  uint64_t seen[DELTA_SOURCES_MAX];      /* hashes of the URLs given out */
  int seen_n, fresh_n;
  bool answer_came;                      /* an answer frame, also an empty one */
  struct str images[DELTA_IMAGES_MAX];   /* of this event */
  uint64_t images_seen[DELTA_IMAGES_MAX];
  int images_fresh;
  struct qwen_native call;
};

/* TOOL: the upstream's own; CALL: of a tool that it may not have. The picture phases: drawn at once, or by a tool. */
enum phase { PHASE_ANSWER, PHASE_THINK, PHASE_SUMMARY, PHASE_TOOL, PHASE_CALL, PHASE_IMAGE, PHASE_IMAGE_TOOL, PHASE_VIDEO, PHASE_UNKNOWN };

static const struct { struct str name; enum phase phase; } qwen_phases[] = {
  { { "answer", 6 }, PHASE_ANSWER },
  { { "think", 5 }, PHASE_THINK },
  { { "thinking_summary", 16 }, PHASE_SUMMARY },
  { { "DeepThinking", 12 }, PHASE_THINK },
  { { "image_gen_think", 15 }, PHASE_THINK },
  { { "web_search", 10 }, PHASE_TOOL },
  { { "web_extractor", 13 }, PHASE_TOOL },
  { { "image_search", 12 }, PHASE_TOOL },
  { { "code_interpreter", 16 }, PHASE_TOOL },
  { { "image_zoom_in_tool", 18 }, PHASE_TOOL },
  { { "history_retriever", 17 }, PHASE_TOOL },
  { { "bio", 3 }, PHASE_TOOL },
  { { "tool_call", 9 }, PHASE_CALL },
  { { "other", 5 }, PHASE_CALL },
  { { "KeepAlive", 9 }, PHASE_TOOL },
  { { "image_gen", 9 }, PHASE_IMAGE },
  { { "image_edit", 10 }, PHASE_IMAGE },
  { { "generate_image", 14 }, PHASE_IMAGE },
  { { "image_gen_tool", 14 }, PHASE_IMAGE_TOOL },
  { { "image_edit_tool", 15 }, PHASE_IMAGE_TOOL },
  { { "video_gen", 9 }, PHASE_VIDEO },
  { { "ResearchNotice", 14 }, PHASE_TOOL }, /* deep research is not offered */
  { { "ResearchPlanning", 16 }, PHASE_TOOL },
  { { "KeywordPlanning", 15 }, PHASE_TOOL },
  { { "WebResearch", 11 }, PHASE_TOOL },
  { { "ReportGeneration", 16 }, PHASE_TOOL },
  { { "PdfMdGen", 8 }, PHASE_TOOL },
  { { "deep_research_answer", 20 }, PHASE_TOOL },
};

static enum phase qwen_phase(struct str name)
{
  for(size_t i = 0; i < sizeof qwen_phases / sizeof qwen_phases[0]; i++)
    if(str_eq(name, qwen_phases[i].name)) return qwen_phases[i].phase;
  return PHASE_UNKNOWN;
}

enum q_status qwen_event_init(struct qwen_event *q, enum delta_mode mode)
{
  *q = (struct qwen_event){ .impl = mem_zalloc(sizeof *q->impl) };
  if(!q->impl) return Q_NOMEM;
  q->impl->arena = ARENA(QWEN_EVENT_ARENA_MAX);
  q->impl->mode = mode;
  q->impl->answer_text = STRBUF(QWEN_EVENT_TEXT_MAX);
  q->impl->think_text = STRBUF(QWEN_EVENT_TEXT_MAX);
  q->impl->thoughts = STRBUF(QWEN_EVENT_HELD_MAX);
  q->impl->held = STRBUF(QWEN_EVENT_HELD_MAX);
  q->impl->call.args = STRBUF(QWEN_EVENT_HELD_MAX);
  return Q_OK;
}

void qwen_event_free(struct qwen_event *q)
{
  struct qwen_event_impl *m = q->impl;
  if(!m) return;
  arena_free(&m->arena);
  strbuf_free(&m->answer_text);
  strbuf_free(&m->think_text);
  strbuf_free(&m->thoughts);
  strbuf_free(&m->held);
  strbuf_free(&m->call.args);
  mem_free(m);
  q->impl = NULL;
}

/* ---- text: halves of characters, snapshots ---- */

static uint64_t qwen_hash(uint64_t h, struct str s)
{
  if(!h) h = 1469598103934665603u;
  for(size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
  return h;
}

static bool qwen_half(const char *p, bool high)
{
  unsigned char b = (unsigned char)p[1];
  return (unsigned char)p[0] == 0xed && (high ? b >= 0xa0 && b < 0xb0 : b >= 0xb0 && b < 0xc0);
}

static void qwen_join(const char *high, const char *low, struct strbuf *out)
{
  unsigned h = ((unsigned)(high[1] & 15) << 6) | (high[2] & 63u), l = ((unsigned)(low[1] & 15) << 6) | (low[2] & 63u);
  unsigned cp = 0x10000u + (h << 10) + l;
  strbuf_add(out, (char[4]){ (char)(0xf0 | cp >> 18), (char)(0x80 | (cp >> 12 & 63)), (char)(0x80 | (cp >> 6 & 63)),
                             (char)(0x80 | (cp & 63)) }, 4);
}

/* Joins what the flow holds with the text and holds back a half at its end; other halves become U+FFFD. The text is
 * returned as it is unless it needs work. (The low surrogate's second byte 0xB0..0xBF keeps bits 0-5 of the high ten in
 * its four low bits and the last byte: the same layout as the high one.) */
static struct str qwen_halves(struct qwen_flow *f, struct str s, struct strbuf *out)
{
  if(!f->has_half && !memchr(s.p, 0xed, s.n)) return s;
  strbuf_clear(out);
  size_t i = 0;
  if(f->has_half && s.n >= 3 && qwen_half(s.p, false)) {
    qwen_join(f->half, s.p, out);
    i = 3;
  } else if(f->has_half && s.n) {
    strbuf_lit(out, "\xef\xbf\xbd");
  }
  if(s.n) f->has_half = false;
  for(; i < s.n; i++) {
    bool high = s.n - i >= 3 && qwen_half(s.p + i, true), low = s.n - i >= 3 && qwen_half(s.p + i, false);
    if(high && i + 3 == s.n) {
      memcpy(f->half, s.p + i, 3);
      f->has_half = true;
      break;
    }
    if(high && s.n - i >= 6 && qwen_half(s.p + i + 3, false)) { /* two texts that were joined */
      qwen_join(s.p + i, s.p + i + 3, out);
      i += 5;
    } else if(high || low) {
      strbuf_lit(out, "\xef\xbf\xbd");
      i += 2;
    } else {
      strbuf_addc(out, s.p[i]);
    }
  }
  return strbuf_str(out);
}

static bool qwen_always(const struct qwen_event_impl *m, const struct qwen_flow *f)
{
  return m->mode == DELTA_CUMULATIVE || f->snapshots >= 2;
}

/* Does s begin with everything given out before, and may that be taken for a snapshot? */
static bool qwen_repeats(const struct qwen_event_impl *m, const struct qwen_flow *f, struct str s)
{
  if(m->mode == DELTA_INCREMENTAL || f->n == 0 || s.n < f->n) return false;
  if(!qwen_always(m, f) && (f->n <= QWEN_EVENT_SNAPSHOT || s.n <= QWEN_EVENT_SNAPSHOT)) return false;
  return qwen_hash(0, str_sub(s, 0, f->n)) == f->hash;
}

/* What of s is new, when s may repeat everything given out before. */
static struct str qwen_new_part(const struct qwen_event_impl *m, struct qwen_flow *f, struct str s)
{
  if(qwen_repeats(m, f, s)) {
    f->snapshots++;
    s = str_sub(s, f->n, s.n);
  } else if(qwen_always(m, f) && s.n < f->n) {
    s = STR_NONE; /* a snapshot that lags behind */
  }
  f->hash = qwen_hash(f->hash, s);
  f->n += s.n;
  return s;
}

static struct str qwen_flow_text(struct qwen_event_impl *m, struct qwen_flow *f, struct str s, struct strbuf *out)
{
  if(s.n == 0) return STR_NONE;
  if(f->has_half && qwen_repeats(m, f, s)) f->has_half = false; /* a snapshot holds the waiting half once more */
  return qwen_new_part(m, f, qwen_halves(f, s, out));
}

static struct str qwen_part(const struct json *part)
{
  return json_is(part, JSON_OBJECT) ? json_str(json_get(part, "text")) : json_str(part);
}

/* content: a text, null, or a list of texts and {text} parts. */
static struct str qwen_content(struct qwen_event_impl *m, const struct json *c)
{
  if(!json_is(c, JSON_ARRAY)) return json_str(c);
  size_t n = 0, at = 0;
  for json_each(part, c) n += qwen_part(part).n;
  char *all = arena_alloc(&m->arena, n);
  if(!all) return STR_NONE;
  for json_each(part, c) {
    struct str s = qwen_part(part);
    if(s.n) memcpy(all + at, s.p, s.n);
    at += s.n;
  }
  return str_of(all, n);
}

/* ---- reasoning summaries: snapshots of sections ---- */

static void qwen_sections(const struct json *t, struct strbuf *out)
{
  if(json_is(t, JSON_OBJECT)) t = json_get(t, "content");
  if(json_is(t, JSON_STRING) && t->text.n) {
    if(out->n) strbuf_lit(out, "\n\n");
    strbuf_adds(out, t->text);
  } else if(json_is(t, JSON_ARRAY)) {
    for json_each(m, t) qwen_sections(m, out);
  }
}

static struct str qwen_summary(struct qwen_event_impl *m, const struct json *extra)
{
  struct strbuf *now = &m->think_text;
  struct qwen_flow apart_flow = { .n = 0 };
  strbuf_clear(now);
  qwen_sections(json_get(extra, "summary_thought"), now);
  struct str all = strbuf_str(now), given = strbuf_str(&m->thoughts), fresh;
  if(now->err || m->thoughts.err) return STR_NONE; /* what was given out is no longer known: rather nothing than twice */
  if(all.n) all = qwen_halves(&apart_flow, all, &m->answer_text); /* a half at its end comes with the next snapshot */
  if(all.n == 0) return STR_NONE;
  if(str_starts(all, given)) {
    fresh = str_sub(all, given.n, all.n);
  } else if(str_find(given, all) >= 0) {
    return STR_NONE; /* an older state, sent again */
  } else { /* a section of its own */
    struct str apart = S("\n\n");
    char *room = arena_alloc(&m->arena, all.n + apart.n);
    if(!room) return STR_NONE;
    memcpy(room, apart.p, apart.n);
    memcpy(room + apart.n, all.p, all.n);
    fresh = str_of(room, all.n + apart.n);
  }
  strbuf_adds(&m->thoughts, fresh);
  return m->thoughts.err ? STR_NONE : fresh;
}

/* ---- sources ---- */

static void qwen_source(struct qwen_event_impl *m, const struct json *doc)
{
  struct source s = { json_str(json_get(doc, "title")), json_str(json_get(doc, "url")), json_str(json_get(doc, "hostname")) };
  if(!s.title.n && !s.url.n) return;
  uint64_t h = qwen_hash(qwen_hash(0, s.url.n ? S("u") : S("t")), s.url.n ? s.url : s.title);
  for(int i = 0; i < m->seen_n; i++)
    if(m->seen[i] == h) return;
  if(m->seen_n == DELTA_SOURCES_MAX) return;
  m->seen[m->seen_n++] = h;
  m->sources[m->fresh_n++] = s;
}

static void qwen_source_list(struct qwen_event_impl *m, const struct json *list)
{
  if(json_is(list, JSON_ARRAY))
    for json_each(doc, list) qwen_source(m, doc);
}

static void qwen_extra_sources(struct qwen_event_impl *m, const struct json *extra)
{
  const struct json *result = json_get(extra, "tool_result");
  qwen_source_list(m, json_is(result, JSON_ARRAY) ? result : json_get(result, "docs"));
  qwen_source_list(m, json_get(extra, "web_search_info"));
}

/* ---- pictures and videos ---- */

static bool qwen_is_url(struct str s)
{
  return str_istarts(s, S("https://")) || str_istarts(s, S("http://"));
}

/* The same picture may come under several signatures and hosts: its path tells it. */
static uint64_t qwen_path_hash(struct str url)
{
  ptrdiff_t at = str_find(url, S("://"));
  if(at >= 0) {
    url = str_sub(url, (size_t)at + 3, url.n);
    ptrdiff_t slash = str_chr(url, '/');
    url = str_sub(url, slash < 0 ? url.n : (size_t)slash, url.n);
  }
  return qwen_hash(0, str_cut(&url, '?'));
}

static void qwen_image(struct qwen_event *q, struct str url)
{
  struct qwen_event_impl *m = q->impl;
  url = str_trim(url);
  if(url.n == 0 || q->image_n == DELTA_IMAGES_MAX) return;
  uint64_t h = qwen_path_hash(url);
  for(int i = 0; i < q->image_n; i++)
    if(m->images_seen[i] == h) return;
  m->images_seen[q->image_n++] = h;
  m->images[m->images_fresh++] = url;
}

/* An entry of a list: an address, {"image": address}, or {"file_path": where it lies below the chat}. */
static void qwen_image_entry(struct qwen_event *q, const struct json *e)
{
  struct str url = json_is(e, JSON_STRING) ? e->text : json_str(json_get(e, "image"));
  struct str path = json_str(json_get(e, "file_path"));
  if(qwen_is_url(url)) qwen_image(q, url);
  else if(path.n && str_find(path, S("://")) < 0) qwen_image(q, path);
}

static bool qwen_image_list(struct qwen_event *q, const struct json *list)
{
  if(!json_is(list, JSON_ARRAY) || list->count == 0) return false;
  for json_each(e, list) qwen_image_entry(q, e);
  return true;
}

static void qwen_images(struct qwen_event *q, const struct json *content, const struct json *extra)
{
  if(!qwen_image_list(q, content)) qwen_image_entry(q, content);
  if(!qwen_image_list(q, json_get(extra, "image_list"))) (void)qwen_image_list(q, json_get(extra, "tool_result"));
}

static void qwen_video(struct qwen_event *q, const struct json *content, struct delta *d)
{
  const struct json *first = json_is(content, JSON_ARRAY) ? json_at(content, 0) : content;
  struct str url = str_trim(json_is(first, JSON_OBJECT) ? json_str(json_get(first, "video")) : json_str(first));
  if(!qwen_is_url(url) || q->any_video) return;
  d->video = url;
  q->any_video = true;
}

/* ---- native calls ---- */

static void qwen_native_tell(struct qwen_event_impl *m, struct delta *d)
{
  struct qwen_native *c = &m->call;
  if(!c->on) return;
  d->call_name = arena_str(&m->arena, str_z(c->name));
  d->call_args = c->args.n ? arena_str(&m->arena, strbuf_str(&c->args)) : STR_NONE;
  c->on = c->due = false;
  strbuf_free(&c->args);
}

static void qwen_native_args(struct qwen_event_impl *m, const struct json *args)
{
  struct strbuf *out = &m->call.args;
  const struct json *inner = json_is(args, JSON_STRING) ? json_parse(&m->arena, args->text, QWEN_EVENT_DEPTH, NULL) : args;
  if(!json_is(inner, JSON_OBJECT)) return; /* a snapshot that is not whole yet */
  strbuf_clear(out);
  json_write(inner, out);
  if(out->err) strbuf_free(out);
}

/* A frame that may hold a snapshot of a call. over: what was being called has been answered, or the answer goes on. */
static void qwen_native(struct qwen_event_impl *m, const struct json *delta, bool over, bool finished, struct delta *d)
{
  const struct json *call = json_get(delta, "function_call");
  struct str name = json_str(json_get(call, "name")), id = json_str(json_get(delta, "function_id"));
  struct qwen_native *c = &m->call;
  if(over || c->due) qwen_native_tell(m, d);
  if(over || name.n == 0 || name.n >= sizeof c->name) return;
  id = str_sub(id, 0, sizeof c->id - 1);
  bool same = str_eq(name, str_z(c->name)) && str_eq(id, str_z(c->id));
  if(!c->on && same && id.n) return; /* told already */
  if(c->on && !same) qwen_native_tell(m, d);
  if(!c->on) {
    str_copy(c->name, sizeof c->name, name);
    str_copy(c->id, sizeof c->id, id);
  }
  c->on = true;
  c->due = finished;
  qwen_native_args(m, json_get(call, "arguments"));
  if(c->due && !d->call_name.n) qwen_native_tell(m, d);
}

/* ---- usage ---- */

static bool qwen_number(const struct json *u, const char *a, const char *b, int64_t *out)
{
  int64_t v;
  if(!json_int(json_path(u, a), &v) && !(b && json_int(json_path(u, b), &v))) return false;
  *out = v < 0 ? 0 : v > QWEN_EVENT_NUMBER_MAX ? QWEN_EVENT_NUMBER_MAX : v;
  return true;
}

static void qwen_usage(struct usage *out, const struct json *u)
{
  struct usage x = { .known = false };
  if(!json_is(u, JSON_OBJECT)) return;
  bool in = qwen_number(u, "input_tokens", "prompt_tokens", &x.prompt);
  bool got = qwen_number(u, "output_tokens", "completion_tokens", &x.completion);
  if((!in && !got) || x.prompt + x.completion == 0) return;
  (void)qwen_number(u, "output_tokens_details.reasoning_tokens", "completion_tokens_details.reasoning_tokens", &x.reasoning);
  (void)qwen_number(u, "prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens", &x.cached);
  x.known = true;
  *out = x;
}

/* ---- events ---- */

static void qwen_lock_id(struct qwen_event *q, struct str id)
{
  if(id.n && id.n < sizeof q->response_id && !q->response_id[0]) str_copy(q->response_id, sizeof q->response_id, id);
}

/* A frame of a picture or video phase. Its end is the turn's when that was asked for; a tool's only once it gave something:
 * before that it may have failed, and words follow. */
static void qwen_media(struct qwen_event *q, enum phase phase, const struct json *delta, bool of_tool, struct delta *d)
{
  const struct json *content = json_get(delta, "content");
  if(phase == PHASE_VIDEO) qwen_video(q, content, d);
  else qwen_images(q, of_tool ? NULL : content, json_get(delta, "extra"));
  bool end = str_eq(json_str(json_get(delta, "status")), S("finished")) && q->want_media;
  if(phase == PHASE_IMAGE_TOOL) end = end && q->image_n && !json_get(delta, "function_call");
  q->finished = d->finished = end;
  d->images = q->impl->images;
  d->image_n = q->impl->images_fresh;
}

static void qwen_frame(struct qwen_event *q, const struct json *delta, struct delta *d)
{
  struct qwen_event_impl *m = q->impl;
  const struct json *extra = json_get(delta, "extra"), *phase_node = json_get(delta, "phase");
  struct str phase_name = json_str(phase_node), status = json_str(json_get(delta, "status"));
  enum phase phase = qwen_phase(phase_name);
  bool finished = str_eq(status, S("finished")), of_tool = str_eq(json_str(json_get(delta, "role")), S("function"));
  qwen_extra_sources(m, extra);
  if(of_tool && phase == PHASE_UNKNOWN) phase = qwen_phase(json_str(json_get(delta, "name")));
  if(phase >= PHASE_IMAGE && phase <= PHASE_VIDEO) {
    qwen_media(q, phase, delta, of_tool, d);
    return;
  }
  if(phase >= PHASE_CALL || m->call.on) qwen_native(m, delta, phase == PHASE_ANSWER || (of_tool && phase != PHASE_TOOL), finished, d);
  if(of_tool) return; /* its content is a tool's, never the answer */
  struct str text = phase == PHASE_SUMMARY ? STR_NONE : qwen_content(m, json_get(delta, "content"));
  switch(phase) {
  case PHASE_ANSWER:
    d->answer = qwen_flow_text(m, &m->answer, text, &m->answer_text);
    d->answer_event = m->answer_came = true;
    d->finished = finished;
    q->finished = finished;
    q->any_answer |= d->answer.n > 0;
    strbuf_free(&m->held);
    break;
  case PHASE_THINK:
    d->think = qwen_flow_text(m, &m->think, text, &m->think_text);
    q->any_think |= d->think.n > 0;
    break;
  case PHASE_SUMMARY:
    d->think = qwen_summary(m, extra);
    q->any_think |= d->think.n > 0;
    break;
  case PHASE_UNKNOWN:
    if(text.n && !m->answer_came) strbuf_adds(&m->held, text);
    break;
  default:
    q->finished = false;
    break;
  }
}

static bool qwen_notice(struct qwen_event *q, const struct json *root, struct delta *d)
{
  const struct json *created = json_get(root, "response.created");
  bool flag = false;
  if(created) {
    qwen_lock_id(q, json_str(json_get(created, "response_id")));
    return true;
  }
  if(json_get(root, "response.stopped")) {
    d->stopped = true;
    return true;
  }
  if(str_eq(json_str(json_get(root, "type")), S("response.created"))) {
    qwen_lock_id(q, json_str(json_path(root, "response.id")));
    return true;
  }
  qwen_source_list(q->impl, json_get(root, "sources"));
  if(json_bool(json_get(root, "done"), &flag) && flag && !json_get(root, "choices")) d->done = true;
  return json_get(root, "response.info") != NULL;
}

enum q_status qwen_event_read(struct qwen_event *q, struct str data, struct delta *d, struct trouble *t)
{
  struct qwen_event_impl *m = q->impl;
  *d = (struct delta){ .finished = false };
  t->st = Q_OK;
  m->fresh_n = m->images_fresh = 0;
  arena_reset(&m->arena);
  data = str_trim(data);
  if(str_eq(data, S("[DONE]"))) {
    d->done = true;
    return Q_OK;
  }
  struct json_error err = { .expected = "an event" };
  const struct json *root = data.n && data.p[0] == '{' ? json_parse_halves(&m->arena, data, QWEN_EVENT_DEPTH, &err) : NULL;
  if(!root && !err.expected) return Q_NOMEM;
  if(!root) {
    q->skipped += data.n > 0;
    return Q_OK;
  }
  const struct json *choices = json_get(root, "choices");
  if(!choices || json_get(root, "error")) {
    trouble_json(t, root);
    if(t->st) {
      q->filtered = t->st == Q_FILTER && q->any_answer;
      return t->st;
    }
    if(qwen_notice(q, root, d)) return Q_OK;
  }
  struct str id = json_str(json_get(root, "response_id"));
  qwen_lock_id(q, id);
  if(id.n && q->response_id[0] && !str_eq(id, str_z(q->response_id))) return Q_OK; /* another turn's frame */
  qwen_usage(&q->usage, json_get(root, "usage"));
  const struct json *delta = json_get(json_at(choices, 0), "delta");
  if(delta) qwen_frame(q, delta, d);
  d->sources = m->sources;
  d->source_n = m->fresh_n;
  return m->answer_text.err == Q_NOMEM || m->think_text.err == Q_NOMEM ? Q_NOMEM : Q_OK;
}

enum q_status qwen_event_end(struct qwen_event *q, struct delta *d)
{
  struct qwen_event_impl *m = q->impl;
  *d = (struct delta){ .finished = true };
  qwen_native_tell(m, d);
  if(q->any_answer || m->held.n == 0) return Q_OK;
  d->answer = qwen_halves(&m->answer, strbuf_str(&m->held), &m->answer_text);
  q->any_answer = d->answer.n > 0;
  return Q_OK;
}

bool qwen_event_rest(const struct qwen_event *q, struct str whole, struct str *rest)
{
  const struct qwen_flow *f = &q->impl->answer;
  if(whole.n < f->n || (f->n && qwen_hash(0, str_sub(whole, 0, f->n)) != f->hash)) return false;
  *rest = str_sub(whole, f->n, whole.n);
  return true;
}

enum q_status qwen_event_whole(struct qwen_event *q, struct str body, struct delta *d, struct trouble *t)
{
  struct qwen_event_impl *m = q->impl;
  *d = (struct delta){ .finished = true };
  t->st = Q_OK;
  m->fresh_n = 0;
  arena_reset(&m->arena);
  const struct json *root = json_parse_halves(&m->arena, str_trim(body), QWEN_EVENT_DEPTH, NULL);
  trouble_json(t, root);
  if(t->st) return t->st;
  const struct json *data = json_get(root, "data");
  if(!json_get(data, "choices")) data = root;
  const struct json *message = json_path(data, "choices.0.message");
  qwen_usage(&q->usage, json_get(data, "usage"));
  d->think = qwen_flow_text(m, &m->think, json_str(json_get(message, "reasoning_content")), &m->think_text);
  d->answer = qwen_flow_text(m, &m->answer, qwen_content(m, json_get(message, "content")), &m->answer_text);
  q->any_answer = d->answer.n > 0;
  q->any_think = d->think.n > 0;
  if(!root) t->st = Q_UP_BODY;
  return t->st;
}
