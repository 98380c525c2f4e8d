#include <stdio.h>

#include "proto/openai.h"
#include "proto/responses.h"
#include "proto/search.h"

/* One machine for both ways: an item is opened, grows, is closed and then stands in o->items; a stream tells each step. */

enum {
  RESPONSES_OUT_MAX = 64 * 1024 * 1024,
  RESPONSES_SOURCES_MAX = 1024 * 1024, /* all of a turn, at their longest */
  RESPONSES_WAIT_S = 30                /* as in Retry-After, when nobody told a time */
};
#define RESPONSES_SECRET "cTJhLXJlYXNvbmluZw==" /* stands for encrypted reasoning; ignored when it comes back */

static void responses_ready(struct out *o)
{
  if(o->text_buf.max) return;
  o->text_buf = o->think_buf = o->items = STRBUF(RESPONSES_OUT_MAX);
  o->final = STRBUF(RESPONSES_OUT_MAX * 2u);
  o->prefix = STRBUF(4096);
}

/* ---- pieces of JSON ---- */

static void responses_event(struct out *o, const char *type, struct strbuf *b)
{
  strbuf_lit(b, "event: ");
  strbuf_addz(b, type);
  strbuf_lit(b, "\ndata: {\"type\":\"");
  strbuf_addz(b, type);
  strbuf_lit(b, "\",\"sequence_number\":");
  strbuf_int(b, o->sequence++);
}

static void responses_event_end(struct strbuf *b)
{
  strbuf_lit(b, "}\n\n");
}

/* The id of the item that is open, or comes next. */
static void responses_id(const struct out *o, const char *kind, struct strbuf *b)
{
  char id[RESPONSES_ID_MAX];
  responses_item_id(kind, str_z(o->id), o->item_n, id);
  strbuf_addc(b, '"');
  strbuf_addz(b, id);
  strbuf_addc(b, '"');
}

static void responses_place(const struct out *o, const char *kind, struct strbuf *b)
{
  strbuf_lit(b, ",\"item_id\":");
  responses_id(o, kind, b);
  strbuf_lit(b, ",\"output_index\":");
  strbuf_int(b, o->item_n);
}

static void responses_usage(const struct usage *u, struct strbuf *b)
{
  strbuf_lit(b, "{\"input_tokens\":");
  strbuf_int(b, u->prompt);
  strbuf_lit(b, ",\"input_tokens_details\":{\"cached_tokens\":");
  strbuf_int(b, u->cached);
  strbuf_lit(b, "},\"output_tokens\":");
  strbuf_int(b, u->completion);
  strbuf_lit(b, ",\"output_tokens_details\":{\"reasoning_tokens\":");
  strbuf_int(b, u->reasoning);
  strbuf_lit(b, "},\"total_tokens\":");
  strbuf_int(b, u->prompt + u->completion);
  strbuf_addc(b, '}');
}

static const char *responses_code(enum q_status st)
{
  switch(st) {
  case Q_TOO_LONG: return "context_length_exceeded";
  case Q_UP_QUOTA:
  case Q_UP_MODEL_QUOTA: return "insufficient_quota";
  default: return status_row(st)->http == 429 ? "rate_limit_exceeded" : "server_error";
  }
}

/* Clients read the time to wait out of the message. */
static struct q_error responses_words(const struct q_error *e)
{
  struct q_error own = *e;
  char words[400];
  if(strcmp(responses_code(e->st), "rate_limit_exceeded") || str_ifind(str_z(e->msg), S("try again in ")) >= 0) return own;
  str_copy(words, sizeof words, str_z(e->msg));
  status_fail(&own, e->st, e->param, "%s Please try again in %ds.", words, e->retry_after_s > 0 ? e->retry_after_s : RESPONSES_WAIT_S);
  return own;
}

static void responses_object(const struct out *o, const char *status, const struct q_error *e, const struct usage *u, struct strbuf *b)
{
  bool over = strcmp(status, "completed") == 0;
  strbuf_lit(b, "{\"id\":");
  strbuf_json(b, str_z(o->id));
  strbuf_lit(b, ",\"object\":\"response\",\"created_at\":");
  strbuf_int(b, o->created_s);
  strbuf_lit(b, ",\"completed_at\":");
  if(over) strbuf_int(b, o->ended_s ? o->ended_s : o->created_s);
  else strbuf_lit(b, "null");
  strbuf_lit(b, ",\"status\":\"");
  strbuf_addz(b, status);
  strbuf_lit(b, "\",\"background\":false,\"model\":");
  strbuf_json(b, o->model);
  strbuf_lit(b, ",\"error\":");
  if(e) {
    strbuf_fmt(b, "{\"code\":\"%s\",\"message\":", responses_code(e->st));
    strbuf_json(b, str_z(e->msg));
    strbuf_addc(b, '}');
  } else {
    strbuf_lit(b, "null");
  }
  strbuf_lit(b, ",\"incomplete_details\":");
  if(strcmp(status, "incomplete")) strbuf_lit(b, "null");
  else strbuf_fmt(b, "{\"reason\":\"%s\"}", o->why == FINISH_LENGTH ? "max_output_tokens" : "content_filter");
  strbuf_lit(b, ",\"output\":[");
  strbuf_adds(b, strbuf_str(&o->items));
  strbuf_lit(b, "],\"usage\":");
  if(u) responses_usage(u, b);
  else strbuf_lit(b, "null");
  strbuf_adds(b, str_sub(strbuf_str(&o->echo), 1, o->echo.n)); /* its first character is for us */
  strbuf_addc(b, '}');
  if(o->items.err) b->err = o->items.err;
}

/* ---- items: reasoning and message ---- */

static void responses_secret(const struct out *o, struct strbuf *b)
{
  if(o->echo.n && o->echo.p[0] == '+') strbuf_lit(b, ",\"encrypted_content\":\"" RESPONSES_SECRET "\"");
}

static void responses_part(const struct out *o, struct strbuf *b)
{
  if(o->think_open) {
    strbuf_lit(b, "{\"type\":\"summary_text\",\"text\":");
    strbuf_json(b, strbuf_str(&o->think_buf));
    strbuf_addc(b, '}');
    return;
  }
  strbuf_lit(b, "{\"type\":\"output_text\",\"text\":");
  strbuf_json(b, strbuf_str(&o->text_buf));
  strbuf_lit(b, ",\"annotations\":[");
  for(struct str rest = strbuf_str(&o->annotations), one; rest.n;) {
    one = str_cut(&rest, '\n');
    strbuf_adds(b, one);
    if(rest.n) strbuf_addc(b, ',');
  }
  strbuf_lit(b, "],\"logprobs\":[]}");
}

/* The open item; part: with its text. */
static void responses_write_item(const struct out *o, const char *status, bool part, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  responses_id(o, o->think_open ? "rs_" : "msg_", b);
  if(o->think_open) {
    strbuf_lit(b, ",\"type\":\"reasoning\"");
    responses_secret(o, b);
    strbuf_lit(b, ",\"summary\":[");
  } else {
    strbuf_lit(b, ",\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
  }
  if(part) responses_part(o, b);
  strbuf_lit(b, "],\"status\":\"");
  strbuf_addz(b, status);
  strbuf_lit(b, "\"}");
}

/* Everything of a delta's event but its number and text is the same from delta to delta. */
static void responses_prefix(struct out *o)
{
  struct strbuf *p = &o->prefix;
  strbuf_clear(p);
  if(o->think_open) {
    strbuf_lit(p, "event: response.reasoning_summary_text.delta\ndata: {\"type\":\"response.reasoning_summary_text.delta\"");
    responses_place(o, "rs_", p);
    strbuf_lit(p, ",\"summary_index\":0");
  } else {
    strbuf_lit(p, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\"");
    responses_place(o, "msg_", p);
    strbuf_lit(p, ",\"content_index\":0,\"logprobs\":[]");
  }
  strbuf_lit(p, ",\"sequence_number\":");
}

static void responses_place_in(const struct out *o, struct strbuf *b)
{
  responses_place(o, o->think_open ? "rs_" : "msg_", b);
  if(o->think_open) strbuf_lit(b, ",\"summary_index\":0");
  else strbuf_lit(b, ",\"content_index\":0");
}

static void responses_close(struct out *o, const char *status, struct strbuf *b);

static void responses_open(struct out *o, bool think, struct strbuf *b)
{
  if(o->item_open && o->think_open == think) return;
  responses_close(o, "completed", b);
  o->item_open = true;
  o->think_open = think;
  if(!o->stream) return;
  responses_event(o, "response.output_item.added", b);
  strbuf_lit(b, ",\"output_index\":");
  strbuf_int(b, o->item_n);
  strbuf_lit(b, ",\"item\":");
  responses_write_item(o, "in_progress", false, b);
  responses_event_end(b);
  responses_event(o, think ? "response.reasoning_summary_part.added" : "response.content_part.added", b);
  responses_place_in(o, b);
  strbuf_addz(b, think ? ",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}" : ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}");
  responses_event_end(b);
  responses_prefix(o);
}

static void responses_tell_annotations(struct out *o, struct strbuf *b)
{
  int i = 0;
  for(struct str rest = strbuf_str(&o->annotations); rest.n; i++) {
    struct str one = str_cut(&rest, '\n');
    responses_event(o, "response.output_text.annotation.added", b);
    responses_place_in(o, b);
    strbuf_fmt(b, ",\"annotation_index\":%d,\"annotation\":", i);
    strbuf_adds(b, one);
    responses_event_end(b);
  }
}

static void responses_tell_done(struct out *o, const char *status, struct strbuf *b)
{
  bool think = o->think_open;
  if(!think) responses_tell_annotations(o, b);
  responses_event(o, think ? "response.reasoning_summary_text.done" : "response.output_text.done", b);
  responses_place_in(o, b);
  strbuf_lit(b, ",\"text\":");
  strbuf_json(b, strbuf_str(think ? &o->think_buf : &o->text_buf));
  if(!think) strbuf_lit(b, ",\"logprobs\":[]");
  responses_event_end(b);
  responses_event(o, think ? "response.reasoning_summary_part.done" : "response.content_part.done", b);
  responses_place_in(o, b);
  strbuf_lit(b, ",\"part\":");
  responses_part(o, b);
  responses_event_end(b);
  responses_event(o, "response.output_item.done", b);
  strbuf_lit(b, ",\"output_index\":");
  strbuf_int(b, o->item_n);
  strbuf_lit(b, ",\"item\":");
  responses_write_item(o, status, true, b);
  responses_event_end(b);
}

static void responses_close(struct out *o, const char *status, struct strbuf *b)
{
  struct strbuf *text = o->think_open ? &o->think_buf : &o->text_buf;
  if(!o->item_open) return;
  if(text->err) b->err = text->err;
  if(o->stream) responses_tell_done(o, status, b);
  if(o->item_n) strbuf_addc(&o->items, ',');
  responses_write_item(o, status, true, &o->items);
  if(!o->think_open) strbuf_clear(&o->annotations);
  strbuf_clear(text);
  o->item_n++;
  o->item_open = o->think_open = false;
}

static void responses_grow(struct out *o, bool think, struct str text, struct strbuf *b)
{
  responses_open(o, think, b);
  strbuf_adds(think ? &o->think_buf : &o->text_buf, text);
  if(think) o->any_think = true;
  else o->any_text = true;
  if(!o->stream) return;
  strbuf_adds(b, strbuf_str(&o->prefix));
  if(o->prefix.err) b->err = o->prefix.err;
  strbuf_int(b, o->sequence++);
  strbuf_lit(b, ",\"delta\":");
  strbuf_json(b, text);
  responses_event_end(b);
}

/* ---- sources ---- */

/* The rows collected so far, into the reasoning or behind the text. */
static void responses_block(struct out *o, bool think, struct strbuf *b)
{
  struct strbuf piece = STRBUF(RESPONSES_SOURCES_MAX);
  if(!o->block.n || o->no_block) return;
  if(!think) strbuf_lit(&piece, "\n\n---\n\n");
  else if(o->any_think) strbuf_lit(&piece, "\n\n");
  if(!o->search_text) search_table_head(&piece);
  strbuf_add(&piece, o->block.p, think ? o->block.n : o->block.n - 1); /* behind the text without the last line end */
  if(think) strbuf_addc(&piece, '\n');
  strbuf_clear(&o->block);
  responses_grow(o, think, strbuf_str(&piece), b);
  strbuf_free(&piece);
}

static void responses_annotation(const struct source *s, struct strbuf *b)
{
  struct strbuf nested = STRBUF(64 * 1024);
  struct str mark = S("\"url_citation\":{");
  search_annotation(s, &nested); /* {"type":"url_citation","url_citation":{…}}: here it is flat */
  ptrdiff_t at = str_find(strbuf_str(&nested), mark);
  if(at < 0 || nested.err) {
    b->err = Q_TOO_BIG;
  } else {
    struct str inner = str_sub(strbuf_str(&nested), (size_t)at + mark.n, nested.n);
    strbuf_lit(b, "{\"type\":\"url_citation\",");
    strbuf_add(b, inner.p, inner.n - 1);
  }
  strbuf_free(&nested);
}

/* ---- the table's functions ---- */

static void responses_begin(struct out *o, struct strbuf *b)
{
  static const char *const types[] = { "response.created", "response.in_progress" };
  responses_ready(o);
  for(int i = 0; i < 2 && o->stream; i++) {
    responses_event(o, types[i], b);
    strbuf_lit(b, ",\"response\":");
    responses_object(o, "in_progress", NULL, NULL, b);
    responses_event_end(b);
  }
}

static void responses_think(struct out *o, struct str text, struct strbuf *b)
{
  if(o->think_out == THINK_OUT_NONE || text.n == 0) return;
  if(!o->any_text) responses_block(o, true, b);
  responses_grow(o, true, text, b);
}

static void responses_say(struct out *o, struct str text, struct strbuf *b)
{
  if(text.n == 0) return;
  if(o->any_think && !o->any_text) responses_block(o, true, b);
  responses_grow(o, false, text, b);
}

static void responses_sources(struct out *o, const struct source *s, int n, struct strbuf *b)
{
  (void)b;
  if(o->block.max == 0) o->block = o->annotations = STRBUF(RESPONSES_SOURCES_MAX);
  for(int i = 0; i < n; i++) {
    size_t rows = o->block.n, notes = o->annotations.n;
    search_row(&s[i], ++o->source_n, !o->search_text, &o->block);
    if(o->block.err) o->block.n = rows, o->block.err = Q_OK; /* half a row would spoil the others */
    if(!search_linked(&s[i])) continue;
    if(notes) strbuf_addc(&o->annotations, '\n');
    responses_annotation(&s[i], &o->annotations);
    if(o->annotations.err) o->annotations.n = notes, o->annotations.err = Q_OK;
  }
}

static void responses_image(struct out *o, struct str url, struct str base64, struct strbuf *b)
{
  struct strbuf text = STRBUF(64 * 1024);
  (void)base64; /* nobody asks for the bytes here */
  if(o->item_open && !o->think_open && o->text_buf.n) strbuf_lit(&text, "\n\n");
  strbuf_lit(&text, "![image](");
  strbuf_adds(&text, url);
  strbuf_addc(&text, ')');
  if(text.err) b->err = text.err;
  responses_say(o, strbuf_str(&text), b);
  strbuf_free(&text);
}

/* A tool of a group was told to the model without it; the client knows it by both. */
struct responses_name { struct str group, name; };

static struct responses_name responses_group(const struct json *tools, struct str name)
{
  for json_each(t, tools)
    if(str_eq(json_str(json_get(t, "name")), name) && !str_eq(json_str(json_get(t, "type")), S("namespace"))) return (struct responses_name){ STR_NONE, name };
  for json_each(t, tools) {
    struct str group = json_str(json_get(t, "name"));
    if(!str_eq(json_str(json_get(t, "type")), S("namespace"))) continue;
    for json_each(inner, json_get(t, "tools")) {
      struct str own = json_str(json_get(inner, "name"));
      bool marked = name.n == group.n + 2 + own.n && str_starts(name, group) && str_ends(name, own) && str_eq(str_sub(name, group.n, 2), S("__"));
      if(own.n && (marked || str_eq(own, name))) return (struct responses_name){ group, own };
    }
  }
  return (struct responses_name){ STR_NONE, name };
}

/* The tools stand in what the answer repeats; they are read again only for requests with groups. */
static void responses_call_name(const struct out *o, struct str name, bool group, struct strbuf *b)
{
  struct arena a = ARENA(RESPONSES_OUT_MAX);
  struct strbuf text = STRBUF(RESPONSES_OUT_MAX * 2u);
  struct responses_name n = { STR_NONE, name };
  if(str_find(strbuf_str(&o->echo), S("\"namespace\"")) >= 0) {
    strbuf_lit(&text, "{\"x\":0");
    strbuf_adds(&text, str_sub(strbuf_str(&o->echo), 1, o->echo.n));
    strbuf_addc(&text, '}');
    const struct json *all = text.err ? NULL : json_parse(&a, strbuf_str(&text), 512, NULL);
    n = responses_group(json_get(all, "tools"), name);
  }
  strbuf_json(b, n.name);
  if(group && n.group.n) {
    strbuf_lit(b, ",\"namespace\":");
    strbuf_json(b, n.group);
  }
  strbuf_free(&text);
  arena_free(&a);
}

static void responses_call_item(const struct out *o, const struct out_call *c, const char *status, bool args, struct strbuf *b)
{
  strbuf_lit(b, "{\"id\":");
  responses_id(o, c->custom ? "ctc_" : "fc_", b);
  strbuf_fmt(b, ",\"type\":\"%s\",\"call_id\":\"call_%s\",\"name\":", c->custom ? "custom_tool_call" : "function_call", c->id);
  responses_call_name(o, c->name, true, b);
  strbuf_addz(b, c->custom ? ",\"input\":" : ",\"arguments\":");
  strbuf_json(b, args ? c->args : S(""));
  strbuf_fmt(b, ",\"status\":\"%s\"}", status);
}

static void responses_call_step(struct out *o, const struct out_call *c, bool done, struct strbuf *b)
{
  if(c->custom) responses_event(o, done ? "response.custom_tool_call_input.done" : "response.custom_tool_call_input.delta", b);
  else responses_event(o, done ? "response.function_call_arguments.done" : "response.function_call_arguments.delta", b);
  responses_place(o, c->custom ? "ctc_" : "fc_", b);
  if(done && !c->custom) {
    strbuf_lit(b, ",\"name\":");
    responses_call_name(o, c->name, false, b);
  }
  strbuf_addz(b, !done ? ",\"delta\":" : c->custom ? ",\"input\":" : ",\"arguments\":");
  strbuf_json(b, c->args);
  responses_event_end(b);
}

static void responses_call_edge(struct out *o, const struct out_call *c, bool done, struct strbuf *b)
{
  responses_event(o, done ? "response.output_item.done" : "response.output_item.added", b);
  strbuf_lit(b, ",\"output_index\":");
  strbuf_int(b, o->item_n);
  strbuf_lit(b, ",\"item\":");
  responses_call_item(o, c, done ? "completed" : "in_progress", done, b);
  responses_event_end(b);
}

static void responses_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  if(o->any_think && !o->any_text) responses_block(o, true, b);
  responses_close(o, "completed", b);
  if(o->stream) {
    responses_call_edge(o, c, false, b);
    if(c->args.n) responses_call_step(o, c, false, b);
    responses_call_step(o, c, true, b);
    responses_call_edge(o, c, true, b);
  }
  if(o->item_n) strbuf_addc(&o->items, ',');
  responses_call_item(o, c, "completed", true, &o->items);
  o->item_n++;
  o->calls++;
}

static bool responses_cut(const struct out *o)
{
  return o->why == FINISH_LENGTH || o->why == FINISH_FILTER;
}

static void responses_finish(struct out *o, enum finish why, struct strbuf *b)
{
  o->why = why;
  if(o->any_think && !o->any_text && !o->calls) responses_block(o, true, b);
  if(!o->calls) responses_block(o, false, b);
  responses_close(o, responses_cut(o) ? "incomplete" : "completed", b);
}

static void responses_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  const char *status = responses_cut(o) ? "incomplete" : "completed";
  strbuf_clear(&o->final);
  responses_object(o, status, NULL, u, &o->final);
  if(o->stream) {
    responses_event(o, responses_cut(o) ? "response.incomplete" : "response.completed", b);
    strbuf_lit(b, ",\"response\":");
  }
  strbuf_adds(b, strbuf_str(&o->final));
  if(o->stream) responses_event_end(b);
  if(o->final.err) b->err = o->final.err;
}

/* What was said stays in the object; what was open is closed as incomplete. A stream that said nothing yet begins first. */
static void responses_stream_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  struct q_error own = responses_words(e);
  if(o->sequence == 0) responses_begin(o, b);
  responses_close(o, "incomplete", b);
  responses_event(o, "response.failed", b);
  strbuf_lit(b, ",\"response\":");
  responses_object(o, "failed", &own, NULL, b);
  responses_event_end(b);
}

static void responses_whole_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  struct q_error own = responses_words(e);
  (void)o;
  openai_error(&own, b);
}

static void responses_heartbeat(struct out *o, struct strbuf *b)
{
  (void)o;
  strbuf_lit(b, ": keep-alive\n\n");
}

const struct out_ops responses_stream = {
  responses_begin, responses_think, responses_say, responses_sources, responses_image, responses_call, responses_finish, responses_end,
  responses_stream_error, responses_heartbeat,
};
const struct out_ops responses_whole = {
  responses_begin, responses_think, responses_say, responses_sources, responses_image, responses_call, responses_finish, responses_end,
  responses_whole_error, NULL,
};
