#include "proto/openai_event.h"

#include "base/mem.h"

enum { OPENAI_EVENT_MAX = 4 * 1024 * 1024, OPENAI_EVENT_ARENA = 128 * 1024 * 1024, OPENAI_EVENT_DEPTH = 64 };

enum q_status openai_event_init(struct openai_event *o)
{
  *o = (struct openai_event){ .arena = ARENA(OPENAI_EVENT_ARENA), .args = STRBUF(OPENAI_EVENT_ARGS) };
  return sse_init(&o->sse, OPENAI_EVENT_MAX);
}

void openai_event_free(struct openai_event *o)
{
  for(int i = 0; i < o->call_n; i++) {
    strbuf_free(&o->calls[i].id);
    strbuf_free(&o->calls[i].name);
    strbuf_free(&o->calls[i].args);
  }
  mem_free(o->calls);
  strbuf_free(&o->args);
  sse_free(&o->sse);
  arena_free(&o->arena);
  *o = (struct openai_event){ .call_n = 0 };
}

/* ---- calls ---- */

static struct openai_call *openai_event_new_call(struct openai_event *o, int choice, int64_t index)
{
  if(o->call_n == OPENAI_EVENT_CALLS) return NULL;
  if(!o->calls && !(o->calls = mem_zalloc(OPENAI_EVENT_CALLS * sizeof *o->calls))) return NULL;
  struct openai_call *c = &o->calls[o->call_n++];
  *c = (struct openai_call){ choice, index, STRBUF(4096), STRBUF(4096), STRBUF(OPENAI_EVENT_ARGS) };
  return c;
}

/* The call that a piece goes on with, NULL: it begins one. */
static struct openai_call *openai_event_old_call(struct openai_event *o, int choice, int64_t index, struct str id, struct str name)
{
  struct openai_call *same = NULL;
  for(int i = 0; i < o->call_n; i++) {
    struct openai_call *c = &o->calls[i];
    if(c->choice != choice) continue;
    if(index >= 0 ? c->index == index : !id.n || str_eq(id, strbuf_str(&c->id))) same = c;
  }
  if(!same) return NULL;
  if(index >= 0) return id.n && name.n && same->id.n && !str_eq(id, strbuf_str(&same->id)) ? NULL : same;
  return !id.n && name.n ? NULL : same;
}

static enum q_status openai_event_call(struct openai_event *o, int choice, const struct json *call)
{
  int64_t index = -1;
  struct str id = json_str(json_get(call, "id")), name = json_str(json_path(call, "function.name"));
  const struct json *args = json_path(call, "function.arguments");
  struct str text = json_str(args);
  if(!json_is(call, JSON_OBJECT)) return Q_OK;
  if(!json_int(json_get(call, "index"), &index) || index < 0) index = -1;
  struct openai_call *c = openai_event_old_call(o, choice, index, id, name);
  if(!c) c = openai_event_new_call(o, choice, index);
  if(!c) return o->calls ? Q_UP_BODY : Q_NOMEM;
  if(!c->id.n) strbuf_adds(&c->id, id);
  if(!c->name.n) strbuf_adds(&c->name, name);
  if(json_is(args, JSON_OBJECT)) {
    strbuf_clear(&o->args);
    json_write(args, &o->args);
    text = strbuf_str(&o->args);
  }
  strbuf_adds(&c->args, text);
  tokens_push(&o->tokens, text);
  enum q_status st = c->id.err ? c->id.err : c->name.err ? c->name.err : c->args.err ? c->args.err : o->args.err;
  return st == Q_TOO_BIG ? Q_UP_BODY : st;
}

/* ---- events ---- */

static void openai_event_why(struct openai_end *end, struct str why)
{
  if(!why.n || end->finished) return;
  end->finished = true;
  end->why = str_eq(why, S("length")) || str_eq(why, S("max_tokens")) ? FINISH_LENGTH : str_eq(why, S("content_filter")) ? FINISH_FILTER
           : str_eq(why, S("tool_calls")) || str_eq(why, S("function_call")) ? FINISH_CALLS : FINISH_STOP;
}

/* A text, or the text of a list's only part. */
static struct str openai_event_text(const struct json *n)
{
  return json_is(n, JSON_ARRAY) ? json_str(json_path(n, "0.text")) : json_str(n);
}

static enum q_status openai_event_choice(struct openai_event *o, const struct json *choice, struct openai_piece *p)
{
  const struct json *delta = json_get(choice, "delta");
  int64_t index = 0;
  enum q_status st = Q_OK;
  *p = (struct openai_piece){ .choice = 0 };
  if(!json_int(json_get(choice, "index"), &index)) index = 0;
  if(index < 0 || index >= OPENAI_EVENT_CHOICES) return Q_OK;
  if(json_absent(delta)) delta = json_get(choice, "message");
  p->choice = (int)index;
  p->think = openai_event_text(json_get(delta, "reasoning_content"));
  if(!p->think.n) p->think = openai_event_text(json_get(delta, "reasoning"));
  p->answer = openai_event_text(json_get(delta, "content"));
  if(!p->answer.n) p->answer = json_str(json_get(delta, "refusal"));
  tokens_push(&o->tokens, p->think);
  tokens_push(&o->tokens, p->answer);
  if(json_is(json_get(delta, "tool_calls"), JSON_ARRAY))
    for json_each(call, json_get(delta, "tool_calls"))
      if(!st) st = openai_event_call(o, p->choice, call);
  struct openai_end *end = &o->ends[index];
  end->seen |= p->think.n || p->answer.n || (json_is(json_get(delta, "tool_calls"), JSON_ARRAY) && json_get(delta, "tool_calls")->count);
  openai_event_why(end, json_str(json_get(choice, "finish_reason")));
  return st;
}

static void openai_event_number(const struct json *usage, const char *name, const char *other, int64_t *out)
{
  int64_t v;
  if((json_int(json_path(usage, name), &v) || json_int(json_path(usage, other), &v)) && v >= 0) *out = v;
}

static void openai_event_usage(struct openai_event *o, const struct json *usage)
{
  struct usage *u = &o->usage;
  if(!json_is(usage, JSON_OBJECT)) return;
  u->known = true;
  openai_event_number(usage, "prompt_tokens", "input_tokens", &u->prompt);
  openai_event_number(usage, "completion_tokens", "output_tokens", &u->completion);
  openai_event_number(usage, "completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens", &u->reasoning);
  openai_event_number(usage, "prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens", &u->cached);
}

static enum q_status openai_event_root(struct openai_event *o, const struct json *root, struct relay_err *e)
{
  const struct json *choices = json_get(root, "choices");
  if(!json_is(root, JSON_OBJECT)) return Q_OK; /* one bad event ends nothing */
  if(!json_is(choices, JSON_ARRAY) || (!choices->count && json_is(json_get(root, "error"), JSON_OBJECT))) {
    relay_err_event(e, root);
    if(e->st) return e->st;
  }
  o->any = true;
  openai_event_usage(o, json_get(root, "usage"));
  o->next = json_is(choices, JSON_ARRAY) ? choices->child : NULL;
  return Q_OK;
}

/* The data of one event. Text that is no JSON ends nothing, but want of memory must not pass for it. */
static enum q_status openai_event_read(struct openai_event *o, struct str data, struct relay_err *e)
{
  struct json_error where = { .expected = NULL };
  arena_reset(&o->arena);
  o->next = NULL;
  if(!data.n) return Q_OK;
  const struct json *root = json_parse(&o->arena, data, OPENAI_EVENT_DEPTH, &where);
  return !root && !where.expected ? Q_NOMEM : openai_event_root(o, root, e);
}

/* Q_OK: the next piece of the event under way. Q_AGAIN: it has no more. */
static enum q_status openai_event_next(struct openai_event *o, struct openai_piece *p)
{
  while(o->next) {
    const struct json *choice = o->next;
    o->next = choice->next;
    enum q_status st = openai_event_choice(o, choice, p);
    if(st) return st;
    if(p->think.n || p->answer.n) return Q_OK;
  }
  return Q_AGAIN;
}

static enum q_status openai_event_fail(struct openai_event *o, enum q_status st, struct relay_err *e)
{
  o->next = NULL;
  e->st = st;
  return st;
}

enum q_status openai_event_push(struct openai_event *o, struct str *in, struct openai_piece *p, struct relay_err *e)
{
  *e = (struct relay_err){ .st = Q_OK };
  *p = (struct openai_piece){ .choice = 0 };
  for(;;) {
    struct str data;
    size_t used = 0;
    enum q_status st = openai_event_next(o, p);
    if(!st) return Q_OK;
    if(st != Q_AGAIN) return openai_event_fail(o, st, e);
    if(o->done) return Q_EOF;
    if(!in->n) return Q_AGAIN;
    st = sse_push(&o->sse, in->p, in->n, &used, &data);
    *in = str_sub(*in, used, in->n);
    if(st == Q_AGAIN || st == Q_TOO_BIG) continue; /* one event too large is dropped, the stream goes on */
    o->done = !st && str_eq(str_trim(data), S("[DONE]"));
    if(!st && !o->done) st = openai_event_read(o, data, e);
    if(st) return openai_event_fail(o, st, e);
  }
}

enum q_status openai_event_finish(struct openai_event *o, struct openai_piece *p, struct relay_err *e)
{
  struct str data;
  *e = (struct relay_err){ .st = Q_OK };
  *p = (struct openai_piece){ .choice = 0 };
  for(;;) {
    enum q_status st = openai_event_next(o, p);
    if(!st) return Q_OK;
    if(st != Q_AGAIN) return openai_event_fail(o, st, e);
    if(o->done || sse_finish(&o->sse, &data)) return Q_EOF;
    o->done = str_eq(str_trim(data), S("[DONE]"));
    if(!o->done) st = openai_event_read(o, data, e);
    if(!o->done && st) return openai_event_fail(o, st, e);
  }
}

enum q_status openai_event_whole(struct openai_event *o, struct str body, struct relay_err *e)
{
  struct json_error where = { .expected = NULL };
  *e = (struct relay_err){ .st = Q_OK };
  arena_reset(&o->arena);
  o->next = NULL;
  const struct json *root = json_parse(&o->arena, body, OPENAI_EVENT_DEPTH, &where);
  if(!root) return openai_event_fail(o, where.expected ? Q_UP_BODY : Q_NOMEM, e);
  enum q_status st = openai_event_root(o, root, e);
  if(!st && !json_is(json_get(root, "choices"), JSON_ARRAY)) st = Q_UP_BODY;
  if(st) return openai_event_fail(o, st, e);
  o->done = true;
  return Q_OK;
}
