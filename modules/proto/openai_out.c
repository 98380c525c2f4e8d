#include "proto/openai.h"
#include "proto/search.h"

enum { OPENAI_TEXT_MAX = 64 * 1024 * 1024, OPENAI_SOURCES_MAX = 1024 * 1024 /* all of a turn, at their longest */ };

/* ---- pieces both writers are made of: each puts text into one of two flows ---- */

/* Where the writer puts a piece of the visible content or of the reasoning. */
static void openai_put(struct out *o, bool think, struct str text, struct strbuf *b);

static void openai_close_think(struct out *o, struct strbuf *b)
{
  if(!o->think_open) return;
  o->think_open = false;
  o->think_closed = true;
  openai_put(o, false, S("\n\n</think>\n"), b);
}

static void openai_reason(struct out *o, struct str text, struct strbuf *b)
{
  if(o->think_out == THINK_OUT_FIELD) {
    openai_put(o, true, text, b);
  } else if(o->think_out == THINK_OUT_TAGS) {
    if(!o->think_open) openai_put(o, false, S("<think>\n\n"), b);
    o->think_open = true;
    openai_put(o, false, text, b);
  }
  o->any_think = true;
}

/* The rows collected so far go into the reasoning, at its head or where they arrived. */
static void openai_block_to_reason(struct out *o, struct strbuf *b)
{
  struct strbuf piece = STRBUF(OPENAI_SOURCES_MAX);
  if(!o->block.n || o->no_block) return;
  if(o->any_think) strbuf_lit(&piece, "\n\n");
  if(!o->search_text) search_table_head(&piece);
  strbuf_adds(&piece, strbuf_str(&o->block));
  strbuf_addc(&piece, '\n');
  strbuf_clear(&o->block);
  openai_reason(o, strbuf_str(&piece), b);
  strbuf_free(&piece);
}

static void openai_think(struct out *o, struct str text, struct strbuf *b)
{
  if(o->think_out == THINK_OUT_NONE || text.n == 0) return;
  if(!o->any_text) openai_block_to_reason(o, b);
  openai_reason(o, text, b);
}

static void openai_text(struct out *o, struct str text, struct strbuf *b)
{
  if(text.n == 0) return;
  if(o->any_think && !o->any_text) openai_block_to_reason(o, b);
  openai_close_think(o, b);
  openai_put(o, false, text, b);
  o->any_text = true;
}

/* A source that found no room is left out: half of one would spoil the others. */
static void openai_whole_or_none(struct strbuf *b, size_t before)
{
  if(!b->err) return;
  b->n = before;
  b->err = Q_OK;
}

static void openai_sources(struct out *o, const struct source *s, int n, struct strbuf *b)
{
  (void)b;
  if(o->block.max == 0) o->block = o->annotations = STRBUF(OPENAI_SOURCES_MAX);
  for(int i = 0; i < n; i++) {
    size_t rows = o->block.n, notes = o->annotations.n;
    search_row(&s[i], ++o->source_n, !o->search_text, &o->block);
    openai_whole_or_none(&o->block, rows);
    if(!search_linked(&s[i])) continue;
    if(o->annotations.n) strbuf_addc(&o->annotations, ',');
    search_annotation(&s[i], &o->annotations);
    openai_whole_or_none(&o->annotations, notes);
  }
}

/* What still has to be said before the end: open tags, and rows that found no reasoning. */
static void openai_wind_up(struct out *o, struct strbuf *b)
{
  if(o->any_think && !o->any_text) openai_block_to_reason(o, b);
  openai_close_think(o, b);
  if(!o->block.n || o->no_block) return;
  struct strbuf piece = STRBUF(OPENAI_SOURCES_MAX);
  strbuf_lit(&piece, "\n\n---\n\n");
  if(!o->search_text) search_table_head(&piece);
  strbuf_add(&piece, o->block.p, o->block.n - 1); /* without the last line end */
  strbuf_clear(&o->block);
  openai_put(o, false, strbuf_str(&piece), b);
  strbuf_free(&piece);
}

static const char *openai_reason_word(const struct out *o)
{
  switch(o->why) {
  case FINISH_LENGTH: return "length";
  case FINISH_FILTER: return "content_filter";
  case FINISH_CALLS: return o->functions ? "function_call" : "tool_calls";
  case FINISH_STOP: break;
  }
  return "stop";
}

static void openai_usage(const struct usage *u, struct strbuf *b)
{
  strbuf_lit(b, "{\"prompt_tokens\":");
  strbuf_int(b, u->prompt);
  strbuf_lit(b, ",\"completion_tokens\":");
  strbuf_int(b, u->completion);
  strbuf_lit(b, ",\"total_tokens\":");
  strbuf_int(b, u->prompt + u->completion);
  strbuf_lit(b, ",\"prompt_tokens_details\":{\"cached_tokens\":");
  strbuf_int(b, u->cached);
  strbuf_lit(b, "},\"completion_tokens_details\":{\"reasoning_tokens\":");
  strbuf_int(b, u->reasoning);
  strbuf_lit(b, "}}");
}

void openai_error(const struct q_error *e, struct strbuf *b)
{
  const struct status_row *row = status_row(e->st);
  strbuf_lit(b, "{\"error\":{\"message\":");
  strbuf_json(b, str_z(e->msg));
  strbuf_lit(b, ",\"type\":");
  strbuf_json(b, str_z(row->type));
  strbuf_lit(b, ",\"param\":");
  if(e->param[0]) strbuf_json(b, str_z(e->param));
  else strbuf_lit(b, "null");
  strbuf_lit(b, ",\"code\":");
  strbuf_json(b, str_z(row->code));
  strbuf_lit(b, "}}");
}

/* ---- streamed: each piece is a chunk ---- */

/* Everything of a chunk up to its delta's members is the same from chunk to chunk. */
static void openai_prefix(struct out *o)
{
  struct strbuf *p = &o->prefix;
  if(p->max == 0) *p = STRBUF(8192);
  strbuf_clear(p);
  strbuf_lit(p, "data: {\"id\":");
  strbuf_json(p, str_z(o->id));
  strbuf_lit(p, ",\"object\":\"chat.completion.chunk\",\"created\":");
  strbuf_int(p, o->created_s);
  strbuf_lit(p, ",\"model\":");
  strbuf_json(p, o->model);
  strbuf_lit(p, ",\"choices\":[");
}

static void openai_chunk(struct out *o, struct strbuf *b)
{
  strbuf_adds(b, strbuf_str(&o->prefix));
  if(o->prefix.err) b->err = o->prefix.err;
  if(o->index == 0) {
    strbuf_lit(b, "{\"index\":0,\"delta\":{");
    return;
  }
  strbuf_lit(b, "{\"index\":");
  strbuf_int(b, o->index);
  strbuf_lit(b, ",\"delta\":{");
}

static void openai_chunk_end(struct out *o, const char *why, struct strbuf *b)
{
  if(why) {
    strbuf_lit(b, "},\"logprobs\":null,\"finish_reason\":\"");
    strbuf_addz(b, why);
    strbuf_lit(b, "\"}");
  } else {
    strbuf_lit(b, "},\"logprobs\":null,\"finish_reason\":null}");
  }
  if(o->include_usage == USAGE_YES) strbuf_lit(b, "],\"usage\":null}\n\n");
  else strbuf_lit(b, "]}\n\n");
}

static void openai_put(struct out *o, bool think, struct str text, struct strbuf *b)
{
  if(!o->stream) {
    strbuf_adds(think ? &o->think_buf : &o->text_buf, text);
    return;
  }
  openai_chunk(o, b);
  strbuf_addz(b, think ? "\"reasoning_content\":" : "\"content\":");
  strbuf_json(b, text);
  openai_chunk_end(o, NULL, b);
}

static void openai_stream_begin(struct out *o, struct strbuf *b)
{
  openai_prefix(o);
  openai_chunk(o, b);
  strbuf_lit(b, "\"role\":\"assistant\",\"content\":\"\"");
  openai_chunk_end(o, NULL, b);
}

/* The call's head in one chunk, its arguments in the next. */
static void openai_stream_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  openai_close_think(o, b);
  openai_chunk(o, b);
  if(o->functions) {
    strbuf_lit(b, "\"function_call\":{\"name\":");
    strbuf_json(b, c->name);
    strbuf_lit(b, ",\"arguments\":\"\"}");
  } else {
    strbuf_fmt(b, "\"tool_calls\":[{\"index\":%d,\"id\":\"call_%s\",\"type\":\"%s\",\"%s\":{\"name\":", o->calls, c->id,
               c->custom ? "custom" : "function", c->custom ? "custom" : "function");
    strbuf_json(b, c->name);
    strbuf_addz(b, c->custom ? ",\"input\":\"\"}}]" : ",\"arguments\":\"\"}}]");
  }
  openai_chunk_end(o, NULL, b);
  openai_chunk(o, b);
  if(o->functions) strbuf_lit(b, "\"function_call\":{\"arguments\":");
  else strbuf_fmt(b, "\"tool_calls\":[{\"index\":%d,\"%s", o->calls, c->custom ? "custom\":{\"input\":" : "function\":{\"arguments\":");
  strbuf_json(b, c->args);
  strbuf_addz(b, o->functions ? "}" : "}}]");
  openai_chunk_end(o, NULL, b);
  o->calls++;
}

static void openai_stream_finish(struct out *o, enum finish why, struct strbuf *b)
{
  o->why = why;
  openai_wind_up(o, b);
  if(o->annotations.n) {
    openai_chunk(o, b);
    strbuf_lit(b, "\"content\":\"\",\"annotations\":[");
    strbuf_adds(b, strbuf_str(&o->annotations));
    strbuf_addc(b, ']');
    openai_chunk_end(o, NULL, b);
  }
  openai_chunk(o, b);
  openai_chunk_end(o, openai_reason_word(o), b);
}

static void openai_stream_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  if(o->include_usage != USAGE_NO) {
    strbuf_adds(b, strbuf_str(&o->prefix));
    strbuf_lit(b, "],\"usage\":");
    openai_usage(u, b);
    strbuf_lit(b, "}\n\n");
  }
  strbuf_lit(b, "data: [DONE]\n\n");
}

static void openai_stream_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  for(struct out *c = o; c; c = c->next)
    if(c->think_open) openai_close_think(c, b);
  strbuf_lit(b, "data: ");
  openai_error(e, b);
  strbuf_lit(b, "\n\ndata: [DONE]\n\n");
}

static void openai_heartbeat(struct out *o, struct strbuf *b)
{
  (void)o;
  strbuf_lit(b, ": keep-alive\n\n");
}

const struct out_ops openai_stream = {
  openai_stream_begin, openai_think, openai_text, openai_sources, NULL, openai_stream_call, openai_stream_finish, openai_stream_end,
  openai_stream_error, openai_heartbeat,
};

/* ---- collected: one object at the end ---- */

static void openai_whole_begin(struct out *o, struct strbuf *b)
{
  (void)b;
  if(o->text_buf.max == 0) o->text_buf = o->think_buf = o->call_buf = STRBUF(OPENAI_TEXT_MAX);
}

static void openai_whole_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  struct strbuf *to = &o->call_buf;
  openai_close_think(o, b);
  if(o->functions) {
    strbuf_lit(to, "{\"name\":");
  } else {
    if(o->calls) strbuf_addc(to, ',');
    strbuf_fmt(to, "{\"id\":\"call_%s\",\"type\":\"%s\",\"%s\":{\"name\":", c->id, c->custom ? "custom" : "function",
               c->custom ? "custom" : "function");
  }
  strbuf_json(to, c->name);
  strbuf_addz(to, c->custom ? ",\"input\":" : ",\"arguments\":");
  strbuf_json(to, c->args);
  strbuf_addz(to, o->functions ? "}" : "}}");
  o->calls++;
}

static void openai_whole_finish(struct out *o, enum finish why, struct strbuf *b)
{
  o->why = why;
  openai_wind_up(o, b);
}

static void openai_whole_choice(struct out *o, struct strbuf *b)
{
  strbuf_lit(b, "{\"index\":");
  strbuf_int(b, o->index);
  strbuf_lit(b, ",\"message\":{\"role\":\"assistant\",\"content\":");
  if(o->text_buf.n || !o->calls) strbuf_json(b, strbuf_str(&o->text_buf));
  else strbuf_lit(b, "null");
  strbuf_lit(b, ",\"refusal\":null");
  if(o->think_buf.n) {
    strbuf_lit(b, ",\"reasoning_content\":");
    strbuf_json(b, strbuf_str(&o->think_buf));
  }
  if(o->source_n) {
    strbuf_lit(b, ",\"annotations\":[");
    strbuf_adds(b, strbuf_str(&o->annotations));
    strbuf_addc(b, ']');
  }
  if(o->calls) {
    strbuf_addz(b, o->functions ? ",\"function_call\":" : ",\"tool_calls\":[");
    strbuf_adds(b, strbuf_str(&o->call_buf));
    if(!o->functions) strbuf_addc(b, ']');
  }
  strbuf_lit(b, "},\"logprobs\":null,\"finish_reason\":\"");
  strbuf_addz(b, openai_reason_word(o));
  strbuf_lit(b, "\"}");
  if(o->text_buf.err || o->think_buf.err || o->call_buf.err)
    b->err = o->text_buf.err ? o->text_buf.err : o->think_buf.err ? o->think_buf.err : o->call_buf.err;
}

static void openai_whole_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  strbuf_json(b, str_z(o->id));
  strbuf_lit(b, ",\"object\":\"chat.completion\",\"created\":");
  strbuf_int(b, o->created_s);
  strbuf_lit(b, ",\"model\":");
  strbuf_json(b, o->model);
  strbuf_lit(b, ",\"choices\":[");
  for(struct out *c = o; c; c = c->next) {
    if(c != o) strbuf_addc(b, ',');
    openai_whole_choice(c, b);
  }
  strbuf_lit(b, "],\"usage\":");
  openai_usage(u, b);
  strbuf_lit(b, ",\"system_fingerprint\":null}");
}

static void openai_whole_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  (void)o;
  openai_error(e, b);
}

const struct out_ops openai_whole = {
  openai_whole_begin, openai_think, openai_text, openai_sources, NULL, openai_whole_call, openai_whole_finish, openai_whole_end,
  openai_whole_error, NULL,
};
