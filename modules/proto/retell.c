#include "proto/retell.h"

#include <stdio.h>

#include "base/mem.h"
#include "proto/json_fix.h"
#include "proto/limits.h"
#include "proto/toolset.h"

enum { RETELL_ARENA_MAX = 128 * 1024 * 1024, RETELL_DEPTH = 512, RETELL_ID_MAX = 64 };

struct retell_choice {
  struct out out;
  struct limits limits;
  bool begun;
  bool cut;          /* a stop string ended its text */
};

struct retell {
  struct openai_event event;
  const struct out_ops *whole_ops;
  struct toolset *tools; /* NULL: none */
  char *model;
  char id_prefix[16];
  bool stream, one_call;
  bool filtered;         /* moderation ended a running answer */
  int64_t prompt_tokens;
  struct usage usage;
  int n;
  struct retell_choice choices[];
};

/* ---- birth and death ---- */

static void retell_out_init(struct retell *t, const struct retell_set *s, int i)
{
  struct out *out = &t->choices[i].out;
  *out = (struct out){ .ops = t->stream ? s->stream : s->whole, .index = i, .model = str_z(t->model), .stream = t->stream,
                       .include_usage = s->r->include_usage, .think_out = s->think_out, .functions = s->r->functions,
                       .no_block = true, .prompt_tokens = s->prompt_tokens };
}

struct retell *retell_new(const struct retell_set *s)
{
  int n = s->r->n < 1 ? 1 : s->r->n > OPENAI_EVENT_CHOICES ? OPENAI_EVENT_CHOICES : s->r->n;
  struct retell *t = mem_zalloc(sizeof *t + (size_t)n * sizeof t->choices[0]);
  if(!t) return NULL;
  t->n = n;
  t->whole_ops = s->whole;
  t->stream = s->r->stream;
  t->one_call = s->r->one_call;
  t->prompt_tokens = s->prompt_tokens;
  str_copy(t->id_prefix, sizeof t->id_prefix, str_z(s->id_prefix));
  t->model = mem_strndup(s->model.p ? s->model.p : "", s->model.n);
  bool ok = t->model != NULL;
  if(ok && s->r->tool_n) ok = (t->tools = toolset_new(s->r)) != NULL;
  for(int i = 0; i < n && ok; i++) {
    retell_out_init(t, s, i);
    ok = limits_init(&t->choices[i].limits, s->r->stop, s->r->stop_n, 0) == Q_OK;
  }
  if(!ok) {
    retell_destroy(t);
    return NULL;
  }
  if(s->echo) {
    t->choices[0].out.echo = *s->echo;
    *s->echo = STRBUF(0);
  }
  return t;
}

void retell_destroy(struct retell *t)
{
  if(!t) return;
  for(int i = 0; i < t->n; i++) {
    limits_free(&t->choices[i].limits);
    out_free(&t->choices[i].out);
  }
  openai_event_free(&t->event);
  toolset_destroy(t->tools);
  mem_free(t->model);
  mem_free(t);
}

enum q_status retell_begin(struct retell *t, const char *id, int64_t created_s)
{
  openai_event_free(&t->event);
  t->filtered = false;
  t->usage = (struct usage){ .known = false };
  for(int i = 0; i < t->n; i++) {
    struct retell_choice *c = &t->choices[i];
    out_forget(&c->out);
    limits_reset(&c->limits);
    c->begun = c->cut = false;
    c->out.next = NULL;
    c->out.created_s = created_s;
    snprintf(c->out.id, sizeof c->out.id, "%s%s", t->id_prefix, id);
  }
  return openai_event_init(&t->event);
}

const struct usage *retell_usage(const struct retell *t)
{
  return &t->usage;
}

const struct out *retell_out(const struct retell *t)
{
  return &t->choices[0].out;
}

/* ---- telling ---- */

static void retell_open(struct retell_choice *c, struct strbuf *b)
{
  if(!c->begun) c->out.ops->begin(&c->out, b);
  c->begun = true;
}

static void retell_text(struct retell_choice *c, struct str text, struct strbuf *b)
{
  if(!text.n) return;
  retell_open(c, b);
  c->out.ops->text(&c->out, text, b);
}

static void retell_piece(struct retell *t, const struct openai_piece *p, struct strbuf *b)
{
  struct str visible;
  if(p->choice >= t->n) return;
  struct retell_choice *c = &t->choices[p->choice];
  if(c->cut) return;
  if(p->think.n && c->out.think_out != THINK_OUT_NONE) {
    retell_open(c, b);
    c->out.ops->think(&c->out, p->think, b);
  }
  if(!p->answer.n) return;
  enum limits_end end = limits_push(&c->limits, p->answer, &visible);
  c->cut = end != LIMITS_GO_ON;
  retell_text(c, visible, b);
  if(end == LIMITS_LENGTH) b->err = Q_NOMEM; /* there is no limit to meet */
}

static bool retell_all_cut(const struct retell *t)
{
  for(int i = 0; i < t->n; i++)
    if(!t->choices[i].cut) return false;
  return true;
}

/* Whether the client was shown an answer, or will be. */
static bool retell_shown(const struct retell *t)
{
  bool shown = t->event.call_n > 0;
  for(int i = 0; i < t->n; i++) {
    const struct retell_choice *c = &t->choices[i];
    shown |= c->cut || out_shown(&c->out) || c->limits.hold.n > c->limits.given;
  }
  return shown;
}

/* Moderation that stops a running answer is its end. */
static enum q_status retell_trouble(struct retell *t, enum q_status st)
{
  if(st != Q_FILTER || !retell_shown(t)) return st;
  t->filtered = true;
  return Q_EOF;
}

enum q_status retell_push(struct retell *t, struct str in, struct strbuf *b, struct relay_err *e)
{
  struct openai_piece p;
  enum q_status st;
  while((st = openai_event_push(&t->event, &in, &p, e)) == Q_OK) {
    retell_piece(t, &p, b);
    if(!retell_all_cut(t)) continue;
    st = Q_EOF;
    break;
  }
  if(b->err) return e->st = b->err;
  return retell_trouble(t, st);
}

enum q_status retell_whole(struct retell *t, struct str body, struct strbuf *b, struct relay_err *e)
{
  struct openai_piece p;
  enum q_status st = openai_event_whole(&t->event, body, e);
  if(st) return st;
  while((st = openai_event_finish(&t->event, &p, e)) == Q_OK) retell_piece(t, &p, b);
  if(b->err) st = e->st = b->err;
  return st;
}

/* ---- calls ---- */

static bool retell_id_fits(struct str id)
{
  for(size_t i = 0; i < id.n; i++) {
    char c = id.p[i];
    if(!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-')) return false;
  }
  return id.n > 0 && id.n < RETELL_ID_MAX;
}

static void retell_call_id(struct retell *t, int at)
{
  struct openai_call *c = &t->event.calls[at];
  struct str id = strbuf_str(&c->id);
  if(str_starts(id, S("call_"))) strbuf_drop(&c->id, 5);
  id = strbuf_str(&c->id);
  bool ok = retell_id_fits(id);
  for(int i = 0; i < at && ok; i++) ok = !str_eq(id, strbuf_str(&t->event.calls[i].id));
  if(ok) return;
  strbuf_clear(&c->id);
  strbuf_fmt(&c->id, "%.20s%04d", t->choices[0].out.id + strlen(t->id_prefix), at);
}

static bool retell_cut_off(const struct retell *t, int choice)
{
  return t->filtered || t->choices[choice].cut || t->event.ends[choice].why == FINISH_LENGTH || t->event.ends[choice].why == FINISH_FILTER;
}

/* The arguments as the writers want them: an object's text, or the raw input of a custom tool. Q_BAD_VALUE: nothing can be made of
 * them. */
static enum q_status retell_args(struct retell *t, struct openai_call *c)
{
  struct arena a = ARENA(RETELL_ARENA_MAX);
  struct strbuf out = STRBUF(OPENAI_EVENT_ARGS * 2u);
  struct q_error why = Q_ERROR_NONE;
  struct str text = str_trim(strbuf_str(&c->args));
  const struct json *args = NULL;
  int tool = t->tools ? toolset_find(t->tools, strbuf_str(&c->name)) : -1;
  enum q_status st = Q_OK;
  bool custom = tool >= 0 && t->tools->v[tool].custom;
  if(text.n) st = json_fix(&a, text, &args, NULL);
  if(st == Q_BAD_JSON) st = custom && !retell_cut_off(t, c->choice) ? Q_OK : Q_BAD_VALUE;
  if(!st && custom) {
    if(args) st = toolset_args(t->tools, tool, args, &a, &out, &why);
    else strbuf_adds(&out, text);
  } else if(!st && args && !json_is(args, JSON_OBJECT)) {
    st = Q_BAD_VALUE;
  } else if(!st) {
    if(args) json_write(args, &out);
    else strbuf_lit(&out, "{}");
  }
  if(!st) st = out.err;
  if(!st) {
    strbuf_free(&c->args);
    c->args = out;
  } else {
    strbuf_free(&out);
  }
  arena_free(&a);
  return st;
}

/* Makes every call ready; those that are not to be told lose their name. */
static enum q_status retell_settle_calls(struct retell *t, struct relay_err *e)
{
  bool told[OPENAI_EVENT_CHOICES] = { false };
  for(int i = 0; i < t->event.call_n; i++) {
    struct openai_call *c = &t->event.calls[i];
    bool wanted = c->choice < t->n && c->name.n && !t->choices[c->choice].cut && !(t->one_call && told[c->choice]);
    enum q_status st = wanted ? retell_args(t, c) : Q_OK;
    if(st == Q_BAD_VALUE && retell_cut_off(t, c->choice)) {
      st = Q_OK;
      wanted = false;
    }
    if(st == Q_BAD_VALUE) {
      st = Q_UP_BODY;
      str_copy(e->words, sizeof e->words, S("the arguments of a tool call are no JSON object"));
    }
    if(wanted && !st) retell_call_id(t, i);
    if(c->id.err) st = c->id.err;
    if(st) return e->st = st;
    if(wanted) told[c->choice] = true;
    else strbuf_clear(&c->name);
  }
  return Q_OK;
}

static void retell_calls(struct retell *t, int choice, struct strbuf *b)
{
  struct retell_choice *c = &t->choices[choice];
  for(int i = 0; i < t->event.call_n; i++) {
    struct openai_call *call = &t->event.calls[i];
    if(call->choice != choice || !call->name.n) continue;
    int tool = t->tools ? toolset_find(t->tools, strbuf_str(&call->name)) : -1;
    struct out_call o = { strbuf_z(&call->id), strbuf_str(&call->name), strbuf_str(&call->args), false };
    if(tool >= 0) {
      o.name = t->tools->v[tool].name;
      o.custom = t->tools->v[tool].custom;
    }
    c->out.ops->call(&c->out, &o, b);
    if(call->id.err) b->err = call->id.err;
  }
}

/* ---- the end ---- */

static void retell_finish(struct retell *t, int choice, struct strbuf *b)
{
  struct retell_choice *c = &t->choices[choice];
  const struct openai_end *end = &t->event.ends[choice];
  struct str rest;
  enum finish why = end->finished && end->why != FINISH_CALLS ? end->why : FINISH_STOP;
  retell_open(c, b);
  if(!c->cut) {
    if(limits_rest(&c->limits, &rest) == LIMITS_LENGTH) b->err = Q_NOMEM;
    retell_text(c, rest, b);
  }
  retell_calls(t, choice, b);
  if(t->filtered) why = FINISH_FILTER;
  else if(c->cut) why = FINISH_STOP;
  else if(c->out.calls && why == FINISH_STOP) why = FINISH_CALLS;
  c->out.stop_hit = limits_hit(&c->limits);
  c->out.ops->finish(&c->out, why, b);
}

static void retell_count(struct retell *t)
{
  t->usage = t->event.usage;
  if(t->usage.known) return;
  t->usage = (struct usage){ .prompt = t->prompt_tokens, .completion = tokens_total(&t->event.tokens) };
}

static enum q_status retell_judge(const struct retell *t)
{
  const struct openai_end *end = &t->event.ends[0];
  bool shown = retell_shown(t), finished = end->finished;
  for(int i = 1; i < t->n; i++) finished &= !t->event.ends[i].seen || t->event.ends[i].finished;
  bool ended = t->event.done || t->filtered || finished || retell_all_cut(t);
  if(!ended && (shown || t->event.any)) return Q_UP_CUT;
  /* A length or filter that left no room for a word is an answer; a plain stop without one is a glitch. */
  bool glitch = !end->finished || end->why == FINISH_STOP || end->why == FINISH_CALLS;
  return !shown && glitch ? Q_UP_EMPTY : Q_OK;
}

enum q_status retell_end(struct retell *t, int64_t ended_s, struct strbuf *b, struct relay_err *e)
{
  struct openai_piece p;
  enum q_status st = Q_EOF;
  struct out *last = &t->choices[0].out;
  *e = (struct relay_err){ .st = Q_OK };
  if(!t->filtered && !retell_all_cut(t)) {
    while((st = openai_event_finish(&t->event, &p, e)) == Q_OK) retell_piece(t, &p, b);
    st = retell_trouble(t, st);
  }
  if(st == Q_EOF) st = retell_judge(t);
  if(st) {
    e->st = st;
    return st;
  }
  st = retell_settle_calls(t, e);
  if(st) return st;
  for(int i = 0; i < t->n; i++) {
    struct retell_choice *c = &t->choices[i];
    if(i && !c->begun && !t->event.ends[i].seen) continue; /* the upstream gave fewer choices */
    if(i) last = last->next = &c->out;
    retell_finish(t, i, b);
  }
  retell_count(t);
  t->choices[0].out.ended_s = ended_s;
  t->choices[0].out.ops->end(&t->choices[0].out, &t->usage, b);
  return e->st = b->err;
}

void retell_error(struct retell *t, const struct q_error *e, bool event, struct strbuf *b)
{
  struct out *out = &t->choices[0].out;
  (event ? out->ops : t->whole_ops)->error(out, e, b);
}

void retell_beat(struct retell *t, struct strbuf *b)
{
  t->choices[0].out.ops->heartbeat(&t->choices[0].out, b);
}
