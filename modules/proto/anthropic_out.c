#include "base/codec.h"
#include "proto/anthropic.h"
#include "proto/search.h"

enum { ANTHROPIC_BODY_MAX = 64 * 1024 * 1024, ANTHROPIC_SOURCES_MAX = 1024 * 1024 /* all of a turn, at their longest */ };

/* out.sequence: which block is open. out.item_n counts those that are complete. */
enum anthropic_state { ANTHROPIC_NEW, ANTHROPIC_NONE, ANTHROPIC_THINK, ANTHROPIC_TEXT, ANTHROPIC_KINDS, ANTHROPIC_OWES = 16 /* a blank line behind a picture */ };

static enum anthropic_state anthropic_open(const struct out *o)
{
  return (enum anthropic_state)(o->sequence & ~ANTHROPIC_OWES);
}

/* ---- errors ---- */

int anthropic_status(const struct q_error *e)
{
  int http = status_row(e->st)->http;
  if(e->st == Q_OVERLOADED) return 529;
  return http ? http : 500;
}

static const char *anthropic_error_type(int status)
{
  switch(status) {
  case 401: return "authentication_error";
  case 403: return "permission_error";
  case 404: return "not_found_error";
  case 413: return "request_too_large";
  case 429: return "rate_limit_error";
  case 504: return "timeout_error";
  case 529: return "overloaded_error";
  default: return status < 500 ? "invalid_request_error" : "api_error";
  }
}

void anthropic_error(const struct q_error *e, struct str request_id, struct strbuf *b)
{
  strbuf_lit(b, "{\"type\":\"error\",\"error\":{\"type\":");
  strbuf_json(b, str_z(anthropic_error_type(anthropic_status(e))));
  strbuf_lit(b, ",\"message\":");
  strbuf_json(b, str_z(e->msg));
  if(e->st == Q_UNSUPPORTED && strcmp(e->param, "thread") == 0) /* the SDK goes on without a thread when it reads this */
    strbuf_lit(b, ",\"details\":{\"error_code\":\"thread_unsupported_request\",\"unsupported\":[\"thread\"]}");
  strbuf_addc(b, '}');
  if(request_id.n) {
    strbuf_lit(b, ",\"request_id\":");
    strbuf_json(b, request_id);
  }
  strbuf_addc(b, '}');
}

/* ---- pieces of both writers ---- */

/* Opaque to clients; they send it back, and it is not looked at. */
static void anthropic_signature(const struct out *o, struct strbuf *b)
{
  struct strbuf raw = STRBUF(128);
  strbuf_fmt(&raw, "q2a:%s:%d", o->id, o->item_n);
  codec_base64(strbuf_str(&raw), b);
  if(raw.err) b->err = raw.err;
  strbuf_free(&raw);
}

static void anthropic_stop(const struct out *o, struct strbuf *b)
{
  bool hit = o->why == FINISH_STOP && o->stop_hit.n;
  const char *word = o->why == FINISH_LENGTH ? "max_tokens" : o->why == FINISH_FILTER ? "refusal" : o->calls ? "tool_use"
                   : hit ? "stop_sequence" : "end_turn";
  strbuf_lit(b, "\"stop_reason\":\"");
  strbuf_addz(b, word);
  strbuf_lit(b, "\",\"stop_sequence\":");
  if(hit && !o->calls) strbuf_json(b, o->stop_hit);
  else strbuf_lit(b, "null");
}

static void anthropic_usage(int64_t in, int64_t out, struct strbuf *b)
{
  strbuf_lit(b, "\"usage\":{\"input_tokens\":");
  strbuf_int(b, in);
  strbuf_lit(b, ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":");
  strbuf_int(b, out);
  strbuf_addc(b, '}');
}

/* {"id", ... "content":[ */
static void anthropic_head(const struct out *o, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  strbuf_json(b, str_z(o->id));
  strbuf_lit(b, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
  strbuf_json(b, o->model);
  strbuf_lit(b, ",\"content\":[");
}

/* ---- streamed ---- */

static void anthropic_event(struct strbuf *b, const char *name)
{
  strbuf_lit(b, "event: ");
  strbuf_addz(b, name);
  strbuf_lit(b, "\ndata: {\"type\":\"");
  strbuf_addz(b, name);
  strbuf_addc(b, '"');
}

static void anthropic_indexed(const struct out *o, struct strbuf *b, const char *name)
{
  anthropic_event(b, name);
  strbuf_lit(b, ",\"index\":");
  strbuf_int(b, o->item_n);
}

static void anthropic_ping(struct strbuf *b)
{
  anthropic_event(b, "ping");
  strbuf_lit(b, "}\n\n");
}

static void anthropic_shut(struct out *o, struct strbuf *b)
{
  if(anthropic_open(o) < ANTHROPIC_THINK) return;
  if(anthropic_open(o) == ANTHROPIC_THINK) {
    anthropic_indexed(o, b, "content_block_delta");
    strbuf_lit(b, ",\"delta\":{\"type\":\"signature_delta\",\"signature\":\"");
    anthropic_signature(o, b);
    strbuf_lit(b, "\"}}\n\n");
  }
  anthropic_indexed(o, b, "content_block_stop");
  strbuf_lit(b, "}\n\n");
  o->item_n++;
  o->sequence = ANTHROPIC_NONE;
}

/* Opens a block of this kind unless it is open; everything of a delta up to its text is kept in the prefix. */
static void anthropic_stream_kind(struct out *o, enum anthropic_state kind, struct strbuf *b)
{
  bool think = kind == ANTHROPIC_THINK;
  if(anthropic_open(o) == kind) return;
  anthropic_shut(o, b);
  anthropic_indexed(o, b, "content_block_start");
  strbuf_addz(b, think ? ",\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
                       : ",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
  if(o->prefix.max == 0) o->prefix = STRBUF(1024);
  strbuf_clear(&o->prefix);
  anthropic_indexed(o, &o->prefix, "content_block_delta");
  strbuf_addz(&o->prefix, think ? ",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":" : ",\"delta\":{\"type\":\"text_delta\",\"text\":");
  o->sequence = (int)kind;
}

/* ---- both: a piece of text or thought goes where the mode wants it ---- */

static void anthropic_whole_kind(struct out *o, enum anthropic_state kind);

static void anthropic_put(struct out *o, enum anthropic_state kind, struct str text, struct strbuf *b)
{
  if(!o->stream) {
    anthropic_whole_kind(o, kind);
    strbuf_adds(kind == ANTHROPIC_THINK ? &o->think_buf : &o->text_buf, text);
    return;
  }
  anthropic_stream_kind(o, kind, b);
  strbuf_adds(b, strbuf_str(&o->prefix));
  if(o->prefix.err) b->err = o->prefix.err;
  strbuf_json(b, text);
  strbuf_lit(b, "}}\n\n");
}

static void anthropic_think(struct out *o, struct str text, struct strbuf *b)
{
  if(o->think_out == THINK_OUT_NONE || text.n == 0) return;
  anthropic_put(o, ANTHROPIC_THINK, text, b);
  o->any_think = true;
}

static void anthropic_say(struct out *o, struct str text, struct strbuf *b)
{
  bool owes = (o->sequence & ANTHROPIC_OWES) != 0;
  o->sequence &= ~ANTHROPIC_OWES;
  if(owes && o->any_text) anthropic_put(o, ANTHROPIC_TEXT, S("\n\n"), b);
  anthropic_put(o, ANTHROPIC_TEXT, text, b);
  o->any_text = true;
}

static void anthropic_text(struct out *o, struct str text, struct strbuf *b)
{
  if(text.n) anthropic_say(o, text, b);
}

static void anthropic_image(struct out *o, struct str url, struct str base64, struct strbuf *b)
{
  (void)base64;
  struct strbuf piece = STRBUF(64 * 1024);
  strbuf_lit(&piece, "![image](");
  strbuf_adds(&piece, url);
  strbuf_addc(&piece, ')');
  anthropic_say(o, strbuf_str(&piece), b);
  if(piece.err) b->err = piece.err;
  strbuf_free(&piece);
  o->sequence |= ANTHROPIC_OWES;
}

static void anthropic_sources(struct out *o, const struct source *s, int n, struct strbuf *b)
{
  (void)b;
  if(o->block.max == 0) o->block = STRBUF(ANTHROPIC_SOURCES_MAX);
  for(int i = 0; i < n; i++) {
    size_t before = o->block.n;
    search_row(&s[i], ++o->source_n, !o->search_text, &o->block);
    if(o->block.err != Q_TOO_BIG) continue; /* a source that finds no room is left out: half of one would spoil the others */
    o->block.n = before;
    o->block.err = Q_OK;
  }
}

/* The last words: the sources, and a text that is empty where nothing was said: no answer is without a block. */
static void anthropic_wind_up(struct out *o, struct strbuf *b)
{
  struct strbuf piece = STRBUF(ANTHROPIC_SOURCES_MAX);
  if(o->block.n && !o->no_block) {
    if(o->any_text) strbuf_lit(&piece, "\n\n---\n\n");
    if(!o->search_text) search_table_head(&piece);
    strbuf_add(&piece, o->block.p, o->block.n - 1); /* without the last line end */
    o->block.n = 0;
    anthropic_put(o, ANTHROPIC_TEXT, strbuf_str(&piece), b);
  } else if(!o->any_text && !o->any_think && !o->calls) {
    if(o->stream) anthropic_stream_kind(o, ANTHROPIC_TEXT, b);
  }
  if(!b->err) b->err = piece.err ? piece.err : o->block.err;
  strbuf_free(&piece);
}

static void anthropic_stream_begin(struct out *o, struct strbuf *b)
{
  o->sequence = ANTHROPIC_NONE;
  anthropic_event(b, "message_start");
  strbuf_lit(b, ",\"message\":");
  anthropic_head(o, b);
  strbuf_lit(b, "],\"stop_reason\":null,\"stop_sequence\":null,");
  anthropic_usage(o->prompt_tokens, 1, b);
  strbuf_lit(b, "}}\n\n");
  anthropic_ping(b);
}

static void anthropic_stream_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  anthropic_shut(o, b);
  anthropic_indexed(o, b, "content_block_start");
  strbuf_fmt(b, ",\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_%s\",\"name\":", c->id);
  strbuf_json(b, c->name);
  strbuf_lit(b, ",\"input\":{}}}\n\n");
  anthropic_indexed(o, b, "content_block_delta");
  strbuf_lit(b, ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":");
  strbuf_json(b, c->args);
  strbuf_lit(b, "}}\n\n");
  anthropic_indexed(o, b, "content_block_stop");
  strbuf_lit(b, "}\n\n");
  o->item_n++;
  o->calls++;
}

static void anthropic_stream_finish(struct out *o, enum finish why, struct strbuf *b)
{
  o->why = why;
  anthropic_wind_up(o, b);
  anthropic_shut(o, b);
}

static void anthropic_stream_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  anthropic_event(b, "message_delta");
  strbuf_lit(b, ",\"delta\":{");
  anthropic_stop(o, b);
  strbuf_lit(b, "},\"usage\":{\"input_tokens\":");
  strbuf_int(b, u->prompt);
  strbuf_lit(b, ",\"output_tokens\":");
  strbuf_int(b, u->completion);
  strbuf_lit(b, "}}\n\n");
  anthropic_event(b, "message_stop");
  strbuf_lit(b, "}\n\n");
}

static void anthropic_stream_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  (void)o;
  strbuf_lit(b, "event: error\ndata: ");
  anthropic_error(e, STR_NONE, b);
  strbuf_lit(b, "\n\n");
}

static void anthropic_heartbeat(struct out *o, struct strbuf *b)
{
  if(anthropic_open(o) == ANTHROPIC_NEW) strbuf_lit(b, ": keep-alive\n\n"); /* message_start is to be the first event */
  else anthropic_ping(b);
}

const struct out_ops anthropic_stream = {
  anthropic_stream_begin, anthropic_think, anthropic_text, anthropic_sources, anthropic_image, anthropic_stream_call,
  anthropic_stream_finish, anthropic_stream_end, anthropic_stream_error, anthropic_heartbeat,
};

/* ---- collected: blocks in out.items, the last text or thought still in its buffer ---- */

static void anthropic_comma(struct out *o)
{
  if(o->items.n) strbuf_addc(&o->items, ',');
}

/* What was collected becomes a block; the next pieces are of another kind. */
static void anthropic_whole_kind(struct out *o, enum anthropic_state kind)
{
  struct strbuf *to = &o->items;
  if(anthropic_open(o) == kind) return;
  if(o->think_buf.n) {
    anthropic_comma(o);
    strbuf_lit(to, "{\"type\":\"thinking\",\"thinking\":");
    strbuf_json(to, strbuf_str(&o->think_buf));
    strbuf_lit(to, ",\"signature\":\"");
    anthropic_signature(o, to);
    strbuf_lit(to, "\"}");
    o->item_n++;
  }
  if(o->text_buf.n) {
    anthropic_comma(o);
    strbuf_lit(to, "{\"type\":\"text\",\"text\":");
    strbuf_json(to, strbuf_str(&o->text_buf));
    strbuf_addc(to, '}');
    o->item_n++;
  }
  enum q_status st = o->text_buf.err ? o->text_buf.err : o->think_buf.err;
  if(st) to->err = st;
  strbuf_clear(&o->think_buf);
  strbuf_clear(&o->text_buf);
  o->sequence = (int)kind;
}

static void anthropic_whole_begin(struct out *o, struct strbuf *b)
{
  (void)b;
  o->sequence = ANTHROPIC_NONE;
  if(o->items.max == 0) o->items = o->text_buf = o->think_buf = STRBUF(ANTHROPIC_BODY_MAX);
}

static void anthropic_whole_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  (void)b;
  anthropic_whole_kind(o, ANTHROPIC_NONE);
  anthropic_comma(o);
  strbuf_fmt(&o->items, "{\"type\":\"tool_use\",\"id\":\"toolu_%s\",\"name\":", c->id);
  strbuf_json(&o->items, c->name);
  strbuf_lit(&o->items, ",\"input\":");
  strbuf_adds(&o->items, c->args.n ? c->args : S("{}"));
  strbuf_addc(&o->items, '}');
  o->item_n++;
  o->calls++;
}

static void anthropic_whole_finish(struct out *o, enum finish why, struct strbuf *b)
{
  o->why = why;
  anthropic_wind_up(o, b);
  anthropic_whole_kind(o, ANTHROPIC_NONE);
  if(!o->items.n) strbuf_lit(&o->items, "{\"type\":\"text\",\"text\":\"\"}");
}

static void anthropic_whole_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  anthropic_head(o, b);
  strbuf_adds(b, strbuf_str(&o->items));
  if(o->items.err) b->err = o->items.err;
  strbuf_lit(b, "],");
  anthropic_stop(o, b);
  strbuf_addc(b, ',');
  anthropic_usage(u->prompt, u->completion, b);
  strbuf_addc(b, '}');
}

static void anthropic_whole_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  anthropic_error(e, strbuf_str(&o->echo), b);
}

const struct out_ops anthropic_whole = {
  anthropic_whole_begin, anthropic_think, anthropic_text, anthropic_sources, anthropic_image, anthropic_whole_call,
  anthropic_whole_finish, anthropic_whole_end, anthropic_whole_error, NULL,
};
