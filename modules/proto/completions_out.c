#include "proto/completions.h"
#include "proto/openai.h"
#include "proto/search.h"

enum { COMPLETIONS_TEXT_MAX = 64 * 1024 * 1024, COMPLETIONS_SOURCES_MAX = 1024 * 1024 };

static void completions_head(const struct out *o, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  strbuf_json(b, str_z(o->id));
  strbuf_lit(b, ",\"object\":\"text_completion\",\"created\":");
  strbuf_int(b, o->created_s);
  strbuf_lit(b, ",\"model\":");
  strbuf_json(b, o->model);
  strbuf_lit(b, ",\"choices\":[");
}

static void completions_usage(const struct usage *u, struct strbuf *b)
{
  strbuf_lit(b, "],\"usage\":{\"prompt_tokens\":");
  strbuf_int(b, u->prompt);
  strbuf_lit(b, ",\"completion_tokens\":");
  strbuf_int(b, u->completion);
  strbuf_lit(b, ",\"total_tokens\":");
  strbuf_int(b, u->prompt + u->completion);
  strbuf_lit(b, "}}");
}

/* why: NULL while it goes on. */
static void completions_choice(const struct out *o, struct str text, const char *why, struct strbuf *b)
{
  strbuf_lit(b, "{\"text\":");
  strbuf_json(b, text);
  strbuf_lit(b, ",\"index\":");
  strbuf_int(b, o->index);
  strbuf_lit(b, ",\"logprobs\":null,\"finish_reason\":");
  if(why) strbuf_json(b, str_z(why));
  else strbuf_lit(b, "null");
  strbuf_addc(b, '}');
}

static const char *completions_why(const struct out *o)
{
  return o->why == FINISH_LENGTH ? "length" : o->why == FINISH_FILTER ? "content_filter" : "stop";
}

static void completions_chunk(struct out *o, struct str text, const char *why, struct strbuf *b)
{
  if(!o->prefix.n) {
    o->prefix = STRBUF(8192);
    strbuf_lit(&o->prefix, "data: ");
    completions_head(o, &o->prefix);
    if(o->prefix.err) b->err = o->prefix.err;
  }
  strbuf_adds(b, strbuf_str(&o->prefix));
  completions_choice(o, text, why, b);
  strbuf_addz(b, o->include_usage == USAGE_YES ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static void completions_begin(struct out *o, struct strbuf *b)
{
  (void)b;
  if(!o->stream && o->text_buf.max == 0) o->text_buf = STRBUF(COMPLETIONS_TEXT_MAX);
}

static void completions_think(struct out *o, struct str text, struct strbuf *b)
{
  (void)o, (void)text, (void)b; /* this form of answer has no place for it */
}

static void completions_text(struct out *o, struct str text, struct strbuf *b)
{
  if(text.n == 0) return;
  o->any_text = true;
  if(o->stream) completions_chunk(o, text, NULL, b);
  else strbuf_adds(&o->text_buf, text);
}

static void completions_sources(struct out *o, const struct source *s, int n, struct strbuf *b)
{
  (void)b;
  if(o->block.max == 0) o->block = STRBUF(COMPLETIONS_SOURCES_MAX);
  for(int i = 0; i < n; i++) {
    size_t before = o->block.n;
    search_row(&s[i], ++o->source_n, !o->search_text, &o->block);
    if(o->block.err) o->block.n = before, o->block.err = Q_OK; /* half a row would spoil the others */
  }
}

static void completions_image(struct out *o, struct str url, struct str base64, struct strbuf *b)
{
  struct strbuf text = STRBUF(64 * 1024);
  (void)base64;
  if(o->any_text) strbuf_lit(&text, "\n\n");
  strbuf_lit(&text, "![image](");
  strbuf_adds(&text, url);
  strbuf_addc(&text, ')');
  if(text.err) b->err = text.err;
  completions_text(o, strbuf_str(&text), b);
  strbuf_free(&text);
}

static void completions_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  (void)o, (void)c, (void)b; /* such a request has no tools */
}

static void completions_finish(struct out *o, enum finish why, struct strbuf *b)
{
  struct strbuf piece = STRBUF(COMPLETIONS_SOURCES_MAX);
  o->why = why;
  if(o->block.n && !o->no_block) {
    strbuf_lit(&piece, "\n\n---\n\n");
    if(!o->search_text) search_table_head(&piece);
    strbuf_add(&piece, o->block.p, o->block.n - 1); /* without the last line end */
    completions_text(o, strbuf_str(&piece), b);
  }
  strbuf_free(&piece);
  if(o->stream) completions_chunk(o, S(""), completions_why(o), b);
}

static void completions_stream_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  if(o->include_usage != USAGE_NO) {
    strbuf_adds(b, strbuf_str(&o->prefix));
    completions_usage(u, b);
    strbuf_lit(b, "\n\n");
  }
  strbuf_lit(b, "data: [DONE]\n\n");
}

static void completions_whole_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  completions_head(o, b);
  for(const struct out *c = o; c; c = c->next) {
    if(c != o) strbuf_addc(b, ',');
    completions_choice(c, strbuf_str(&c->text_buf), completions_why(c), b);
    if(c->text_buf.err) b->err = c->text_buf.err;
  }
  completions_usage(u, b);
}

static void completions_stream_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  (void)o;
  strbuf_lit(b, "data: ");
  openai_error(e, b);
  strbuf_lit(b, "\n\ndata: [DONE]\n\n");
}

static void completions_whole_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  (void)o;
  openai_error(e, b);
}

static void completions_heartbeat(struct out *o, struct strbuf *b)
{
  (void)o;
  strbuf_lit(b, ": keep-alive\n\n");
}

const struct out_ops completions_stream = {
  completions_begin, completions_think, completions_text, completions_sources, completions_image, completions_call, completions_finish,
  completions_stream_end, completions_stream_error, completions_heartbeat,
};
const struct out_ops completions_whole = {
  completions_begin, completions_think, completions_text, completions_sources, completions_image, completions_call, completions_finish,
  completions_whole_end, completions_whole_error, NULL,
};
