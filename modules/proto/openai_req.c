#include "proto/openai_req.h"

#include <stdio.h>

#include "base/codec.h"
#include "proto/in.h"
#include "proto/media.h"
#include "proto/tokens.h"

enum { OPENAI_REQ_MAX = 1024 * 1024 * 1024, OPENAI_REQ_PER_MESSAGE = 4, OPENAI_REQ_PER_TOOL = 8 };

struct openai_writer {
  const struct chat_req *r;
  struct relay_req *out;
  struct strbuf *b;     /* out->rest */
  bool any;             /* a message is written */
  int asked;            /* index of the last message with calls, -1: none */
  int answered;         /* results behind it that came without an id */
  struct strbuf later;  /* parts of tool results that must wait for a user message */
};

static void openai_req_comma(struct openai_writer *w)
{
  if(w->any) strbuf_addc(w->b, ',');
  w->any = true;
  w->out->prompt_tokens += OPENAI_REQ_PER_MESSAGE;
}

static void openai_req_text(struct openai_writer *w, struct str text, struct strbuf *b)
{
  strbuf_lit(b, "{\"type\":\"text\",\"text\":");
  strbuf_json(b, text);
  strbuf_addc(b, '}');
  w->out->prompt_tokens += tokens_count(text);
}

/* ---- media ---- */

/* The content's bytes: as they came, or decoded into *raw. */
static enum q_status openai_req_bytes(const struct chat_media *m, struct strbuf *raw, struct str *bytes, struct q_error *e)
{
  *bytes = m->data;
  if(m->plain) return Q_OK;
  if(!codec_unbase64(m->data, raw) && !raw->err) return status_fail(e, Q_BAD_MEDIA, m->param, "'%s' is not valid base64.", m->param);
  *bytes = strbuf_str(raw);
  return raw->err ? in_no_memory(e) : Q_OK;
}

/* What a part is and where its content comes from. */
struct openai_source { const struct chat_media *m; struct str bytes; struct media_what what; };

static enum q_status openai_req_judge(struct openai_source *s, struct q_error *e)
{
  const struct chat_media *m = s->m;
  char words[80];
  if(m->url.n) {
    struct str path = m->url;
    const char *named = media_of_ext(str_cut(&path, '?'));
    s->what.kind = m->kind;
    str_copy(s->what.mime, sizeof s->what.mime, m->mime.n || !named ? m->mime : str_z(named));
    return Q_OK;
  }
  if(media_judge(s->bytes, m->kind, m->mime, m->name, &s->what, words)) return Q_OK;
  return status_fail(e, Q_BAD_MEDIA, m->param, "'%s' should be a part of kind %s, but seems to be %s.", m->param, media_kind_name(m->kind), words);
}

/* As a JSON string: the address, or the content as a data URI. */
static void openai_req_source(const struct openai_source *s, struct strbuf *b)
{
  if(s->m->url.n) {
    strbuf_json(b, s->m->url);
    return;
  }
  strbuf_lit(b, "\"data:");
  strbuf_json_body(b, str_z(s->what.mime));
  strbuf_lit(b, ";base64,");
  codec_base64(s->bytes, b);
  strbuf_addc(b, '"');
}

static void openai_req_audio(const struct openai_source *s, struct strbuf *b)
{
  const char *format = media_ext(str_z(s->what.mime));
  strbuf_lit(b, "{\"type\":\"input_audio\",\"input_audio\":{\"data\":");
  openai_req_source(s, b);
  strbuf_lit(b, ",\"format\":");
  strbuf_json(b, str_z(format[0] ? format : "wav"));
  strbuf_lit(b, "}}");
}

/* Text needs no attachment. */
static void openai_req_document(struct openai_writer *w, const struct openai_source *s, struct strbuf *b)
{
  struct str name = s->m->name;
  if(!s->m->url.n && (media_detect(s->bytes).text || s->m->plain) && codec_is_utf8(s->bytes)) {
    struct strbuf text = STRBUF(OPENAI_REQ_MAX);
    if(name.n) strbuf_fmt(&text, "[document: %.*s]\n", STR_F(str_sub(name, 0, MEDIA_NAME_MAX)));
    strbuf_adds(&text, s->bytes);
    if(text.err) b->err = text.err;
    openai_req_text(w, strbuf_str(&text), b);
    strbuf_free(&text);
    return;
  }
  strbuf_addz(b, s->m->url.n ? "{\"type\":\"file\",\"file\":{\"file_url\":" : "{\"type\":\"file\",\"file\":{\"file_data\":");
  openai_req_source(s, b);
  if(name.n) {
    strbuf_lit(b, ",\"filename\":");
    strbuf_json(b, name);
  }
  strbuf_lit(b, "}}");
}

static enum q_status openai_req_media(struct openai_writer *w, const struct chat_media *m, struct strbuf *b, struct q_error *e)
{
  struct strbuf raw = STRBUF(OPENAI_REQ_MAX);
  struct openai_source s = { .m = m };
  int64_t width = 0, height = 0;
  enum q_status st = m->url.n ? Q_OK : openai_req_bytes(m, &raw, &s.bytes, e);
  if(!st) st = openai_req_judge(&s, e);
  if(!st && s.what.kind == MEDIA_AUDIO) {
    openai_req_audio(&s, b);
  } else if(!st && s.what.kind == MEDIA_DOCUMENT) {
    openai_req_document(w, &s, b);
  } else if(!st) {
    const char *word = s.what.kind == MEDIA_VIDEO ? "video_url" : "image_url";
    strbuf_fmt(b, "{\"type\":\"%s\",\"%s\":{\"url\":", word, word);
    openai_req_source(&s, b);
    strbuf_lit(b, "}}");
  }
  (void)media_size(s.bytes, &width, &height);
  w->out->prompt_tokens += media_tokens(width, height);
  strbuf_free(&raw);
  return st;
}

/* ---- messages ---- */

static bool openai_req_has_media(const struct chat_msg *m)
{
  for(int i = 0; i < m->part_n; i++)
    if(m->parts[i].media) return true;
  return false;
}

/* All texts, one behind the other, as one JSON string. */
static void openai_req_texts(struct openai_writer *w, const struct chat_msg *m, const char *before, struct strbuf *b)
{
  bool first = true;
  strbuf_addc(b, '"');
  strbuf_addz(b, before);
  for(int i = 0; i < m->part_n; i++) {
    if(m->parts[i].media) continue;
    if(!first) strbuf_lit(b, "\\n");
    first = false;
    strbuf_json_body(b, m->parts[i].text);
    w->out->prompt_tokens += tokens_count(m->parts[i].text);
  }
  strbuf_addc(b, '"');
}

/* media_only: what a tool message cannot hold. */
static enum q_status openai_req_parts(struct openai_writer *w, const struct chat_msg *m, bool media_only, struct strbuf *b, struct q_error *e)
{
  enum q_status st = Q_OK;
  bool first = b->n == 0 || b->p[b->n - 1] == '[';
  for(int i = 0; i < m->part_n && !st; i++) {
    const struct chat_part *p = &m->parts[i];
    if(!p->media && (media_only || !p->text.n)) continue;
    if(!first) strbuf_addc(b, ',');
    first = false;
    if(p->media) st = openai_req_media(w, p->media, b, e);
    else openai_req_text(w, p->text, b);
  }
  return st;
}

static enum q_status openai_req_content(struct openai_writer *w, const struct chat_msg *m, struct q_error *e)
{
  strbuf_lit(w->b, ",\"content\":");
  if(!openai_req_has_media(m)) {
    openai_req_texts(w, m, "", w->b);
    return Q_OK;
  }
  strbuf_addc(w->b, '[');
  enum q_status st = openai_req_parts(w, m, false, w->b, e);
  strbuf_addc(w->b, ']');
  return st;
}

static bool openai_req_speaks(const struct chat_msg *m)
{
  for(int i = 0; i < m->part_n; i++)
    if(m->parts[i].media || m->parts[i].text.n) return true;
  return false;
}

static void openai_req_systems(struct openai_writer *w)
{
  bool first = true;
  for(int i = 0; i < w->r->msg_n; i++) {
    const struct chat_msg *m = &w->r->msgs[i];
    struct strbuf one = STRBUF(OPENAI_REQ_MAX);
    if(m->role != ROLE_SYSTEM || !openai_req_speaks(m)) continue;
    if(first) {
      openai_req_comma(w);
      strbuf_lit(w->b, "{\"role\":\"system\",\"content\":\"");
    } else {
      strbuf_lit(w->b, "\\n\\n");
    }
    first = false;
    openai_req_texts(w, m, "", &one);
    strbuf_adds(w->b, str_sub(strbuf_str(&one), 1, one.n >= 2 ? one.n - 2 : 0));
    if(one.err) w->b->err = one.err;
    strbuf_free(&one);
  }
  if(!first) strbuf_lit(w->b, "\"}");
  w->out->has_system = !first;
}

/* What waited for the end of the results. */
static void openai_req_later(struct openai_writer *w)
{
  if(w->later.err) w->b->err = w->later.err;
  if(!w->later.n) return;
  openai_req_comma(w);
  strbuf_lit(w->b, "{\"role\":\"user\",\"content\":[");
  openai_req_text(w, S("Attachments of the tool results above, in their order:"), w->b);
  strbuf_addc(w->b, ',');
  strbuf_adds(w->b, strbuf_str(&w->later));
  strbuf_lit(w->b, "]}");
  strbuf_clear(&w->later);
}

static void openai_req_call_id(struct strbuf *b, struct str id, int message, int call)
{
  if(id.n) strbuf_json(b, id);
  else strbuf_fmt(b, "\"call_%d_%d\"", message, call);
}

/* Arguments are JSON text of an object; the raw text of a custom tool goes where its function has it. */
static void openai_req_args(struct openai_writer *w, struct str args, struct strbuf *b)
{
  struct arena a = ARENA(OPENAI_REQ_MAX);
  struct strbuf own = STRBUF(OPENAI_REQ_MAX);
  struct str text = str_trim(args);
  struct json_error where = { .expected = "" };
  const struct json *object = text.n ? json_parse(&a, text, 512, &where) : NULL;
  if(!text.n) {
    text = S("{}");
  } else if(!object && !where.expected) {
    b->err = Q_NOMEM;
  } else if(!json_is(object, JSON_OBJECT)) {
    strbuf_lit(&own, "{\"input\":");
    strbuf_json(&own, args);
    strbuf_addc(&own, '}');
    text = strbuf_str(&own);
  }
  if(own.err) b->err = own.err;
  strbuf_json(b, text);
  w->out->prompt_tokens += tokens_count(text);
  strbuf_free(&own);
  arena_free(&a);
}

static void openai_req_calls(struct openai_writer *w, const struct chat_msg *m, int at)
{
  strbuf_lit(w->b, ",\"tool_calls\":[");
  for(int i = 0; i < m->call_n; i++) {
    strbuf_addz(w->b, i ? ",{\"id\":" : "{\"id\":");
    openai_req_call_id(w->b, m->calls[i].id, at, i);
    strbuf_lit(w->b, ",\"type\":\"function\",\"function\":{\"name\":");
    strbuf_json(w->b, m->calls[i].name);
    strbuf_lit(w->b, ",\"arguments\":");
    openai_req_args(w, m->calls[i].args, w->b);
    strbuf_lit(w->b, "}}");
    w->out->prompt_tokens += OPENAI_REQ_PER_TOOL;
  }
  strbuf_addc(w->b, ']');
  w->asked = at;
  w->answered = 0;
}

static enum q_status openai_req_assistant(struct openai_writer *w, const struct chat_msg *m, int at, struct q_error *e)
{
  enum q_status st = Q_OK;
  if(!openai_req_speaks(m) && !m->call_n) return Q_OK;
  openai_req_comma(w);
  strbuf_lit(w->b, "{\"role\":\"assistant\"");
  if(openai_req_speaks(m)) st = openai_req_content(w, m, e);
  else strbuf_lit(w->b, ",\"content\":\"\"");
  if(m->call_n) openai_req_calls(w, m, at);
  else if(at == w->r->msg_n - 1) strbuf_lit(w->b, ",\"partial\":true");
  strbuf_addc(w->b, '}');
  return st;
}

static enum q_status openai_req_result(struct openai_writer *w, const struct chat_msg *m, struct q_error *e)
{
  openai_req_comma(w);
  strbuf_lit(w->b, "{\"role\":\"tool\",\"tool_call_id\":");
  openai_req_call_id(w->b, m->call_id, w->asked, m->call_id.n ? 0 : w->answered++);
  strbuf_lit(w->b, ",\"content\":");
  openai_req_texts(w, m, m->failed ? "Error: " : "", w->b);
  strbuf_addc(w->b, '}');
  return openai_req_parts(w, m, true, &w->later, e);
}

static enum q_status openai_req_message(struct openai_writer *w, int at, struct q_error *e)
{
  const struct chat_msg *m = &w->r->msgs[at];
  enum q_status st;
  if(m->role == ROLE_SYSTEM) return Q_OK; /* stands in front already */
  if(m->role == ROLE_TOOL) return openai_req_result(w, m, e);
  openai_req_later(w);
  if(m->role == ROLE_ASSISTANT) return openai_req_assistant(w, m, at, e);
  if(!openai_req_speaks(m)) return Q_OK;
  openai_req_comma(w);
  strbuf_lit(w->b, "{\"role\":\"user\"");
  if(m->name.n) {
    strbuf_lit(w->b, ",\"name\":");
    strbuf_json(w->b, m->name);
  }
  st = openai_req_content(w, m, e);
  strbuf_addc(w->b, '}');
  return st;
}

/* ---- tools ---- */

static void openai_req_tool(struct openai_writer *w, const struct chat_tool *t)
{
  size_t before = w->b->n;
  strbuf_lit(w->b, "{\"type\":\"function\",\"function\":{\"name\":");
  strbuf_json(w->b, t->name);
  if(t->description.n) {
    strbuf_lit(w->b, ",\"description\":");
    strbuf_json(w->b, t->description);
  }
  strbuf_lit(w->b, ",\"parameters\":");
  if(t->custom) {
    strbuf_lit(w->b, "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\",\"description\":\"The raw text for the tool.\"}},"
                     "\"required\":[\"input\"],\"additionalProperties\":false}");
  } else if(t->schema) {
    json_write(t->schema, w->b);
  } else {
    strbuf_lit(w->b, "{\"type\":\"object\",\"properties\":{}}");
  }
  if(t->strict) strbuf_lit(w->b, ",\"strict\":true");
  strbuf_lit(w->b, "}}");
  w->out->prompt_tokens += OPENAI_REQ_PER_TOOL;
  if(!w->b->err) w->out->prompt_tokens += tokens_count(str_sub(strbuf_str(w->b), before, w->b->n));
}

static void openai_req_tools(struct openai_writer *w)
{
  const struct chat_req *r = w->r;
  if(!r->tool_n) return;
  strbuf_lit(w->b, ",\"tools\":[");
  for(int i = 0; i < r->tool_n; i++) {
    if(i) strbuf_addc(w->b, ',');
    openai_req_tool(w, &r->tools[i]);
  }
  strbuf_fmt(w->b, "],\"parallel_tool_calls\":%s", r->one_call ? "false" : "true");
  if(r->tool_choice == TOOL_NAMED || (r->tool_choice == TOOL_REQUIRED && r->tool_n == 1)) { /* known to more upstreams than "required" */
    strbuf_lit(w->b, ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":");
    strbuf_json(w->b, r->tools[0].name);
    strbuf_lit(w->b, "}}");
  } else if(r->tool_choice == TOOL_REQUIRED) {
    strbuf_lit(w->b, ",\"tool_choice\":\"required\"");
  }
}

/* ---- the other members ---- */

static void openai_req_format(struct openai_writer *w)
{
  const struct chat_req *r = w->r;
  if(r->format == FORMAT_JSON) strbuf_lit(w->b, ",\"response_format\":{\"type\":\"json_object\"}");
  if(r->format != FORMAT_SCHEMA || !r->schema) return;
  strbuf_lit(w->b, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":");
  strbuf_json(w->b, r->schema_name.n ? r->schema_name : S("answer"));
  strbuf_lit(w->b, ",\"schema\":");
  json_write(r->schema, w->b);
  strbuf_fmt(w->b, ",\"strict\":%s}}", r->schema_strict ? "true" : "false");
}

static void openai_req_limits(struct openai_writer *w, bool stops)
{
  const struct chat_req *r = w->r;
  if(stops && r->stop_n) {
    strbuf_lit(w->b, ",\"stop\":[");
    for(int i = 0; i < r->stop_n; i++) {
      if(i) strbuf_addc(w->b, ',');
      strbuf_json(w->b, r->stop[i]);
    }
    strbuf_addc(w->b, ']');
  }
  if(r->max_tokens) strbuf_fmt(w->b, ",\"max_tokens\":%lld", (long long)r->max_tokens);
  if(r->n > 1) strbuf_fmt(w->b, ",\"n\":%d", r->n);
  if(r->think_budget && r->think != THINK_OFF) strbuf_fmt(w->b, ",\"thinking_budget\":%d", r->think_budget);
}

/* What was read as ignored because the web chat has no such control. */
static void openai_req_sampling(struct openai_writer *w)
{
  static const char *const names[] = { "temperature", "top_p", "top_k", "presence_penalty", "seed" };
  struct str rest = w->r->ignored;
  for(size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct json *n = json_get(w->r->given, names[i]);
    double v;
    if(!json_number(n, &v) || v < -1e18 || v > 1e18) continue;
    strbuf_fmt(w->b, ",\"%s\":", names[i]);
    if(n->type == JSON_NUMBER) json_write(n, w->b);
    else strbuf_fmt(w->b, "%.15g", v); /* sent as a text */
  }
  while(rest.n) {
    struct str name = str_cut(&rest, ',');
    bool told = false;
    for(size_t i = 0; i < sizeof names / sizeof names[0]; i++) told |= str_eq(name, str_z(names[i]));
    if(told) continue;
    if(w->out->ignored.n) strbuf_addc(&w->out->ignored, ',');
    strbuf_adds(&w->out->ignored, name);
  }
}

enum q_status openai_req(const struct chat_req *r, bool stops, struct relay_req *out, struct q_error *e)
{
  *out = (struct relay_req){ .model = r->model, .stream = r->stream, .usage = r->include_usage, .hide_think = r->hide_reasoning,
                             .think = r->think, .think_budget = r->think_budget, .prompt_tokens = 2,
                             .rest = STRBUF(OPENAI_REQ_MAX), .ignored = STRBUF(CHAT_IGNORED_MAX) };
  struct openai_writer w = { .r = r, .out = out, .b = &out->rest, .asked = -1, .later = STRBUF(OPENAI_REQ_MAX) };
  enum q_status st = Q_OK;
  if(r->search || r->kind == CHAT_SEARCH) out->search = THINK_ON;
  openai_req_systems(&w);
  for(int i = 0; i < r->msg_n && !st; i++) st = openai_req_message(&w, i, e);
  if(!st) openai_req_later(&w);
  strbuf_addc(w.b, ']');
  openai_req_tools(&w);
  openai_req_format(&w);
  openai_req_limits(&w, stops);
  openai_req_sampling(&w);
  strbuf_addc(w.b, '}');
  strbuf_free(&w.later);
  if(!st && (w.b->err || out->ignored.err)) st = in_no_memory(e);
  return st;
}
