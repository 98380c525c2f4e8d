#include "domain/choice.h"

#include <stdio.h>

#include "domain/cure.h"
#include "proto/json_answer.h"
#include "proto/result_url.h"

enum { CHOICE_HELD_MAX = 16 * 1024 * 1024, CHOICE_ARENA_MAX = 64 * 1024 * 1024, CHOICE_SPARE_BYTES = 4 * 1024 * 1024 };

static bool choice_must_call(const struct choice *c)
{
  return c->rules->tools && (c->rules->tools->choice == TOOL_REQUIRED || c->rules->tools->choice == TOOL_NAMED);
}

/* Text that cannot be shown before the turn has ended. */
static bool choice_holds(const struct choice *c)
{
  return c->rules->pictures || c->rules->format != FORMAT_TEXT || c->extra || choice_must_call(c);
}

static enum q_status choice_tools_init(struct choice *c)
{
  toolcall_free(&c->answer);
  toolcall_free(&c->thought);
  if(!c->rules->tools) return Q_OK;
  enum q_status st = toolcall_init(&c->answer, c->rules->tools, false);
  return st ? st : toolcall_init(&c->thought, c->rules->tools, true);
}

enum q_status choice_init(struct choice *c, const struct choice_rules *r, struct out *out, struct crypt_rng *rng, const struct chat_req *req)
{
  *c = (struct choice){ .rules = r, .out = out, .rng = rng };
  c->held = STRBUF(CHOICE_HELD_MAX);
  c->spare = STRBUF(CHOICE_SPARE_BYTES);
  c->pictures = STRBUF(64 * 1024);
  enum q_status st = limits_init(&c->limits, req->stop, req->stop_n, req->max_tokens);
  return st ? st : choice_tools_init(c);
}

void choice_free(struct choice *c)
{
  limits_free(&c->limits);
  toolcall_free(&c->answer);
  toolcall_free(&c->thought);
  strbuf_free(&c->held);
  strbuf_free(&c->spare);
  strbuf_free(&c->pictures);
}

/* What a turn has left behind that the next one must not find. */
static enum q_status choice_new_turn(struct choice *c)
{
  strbuf_free(&c->held);
  strbuf_free(&c->spare);
  c->spare_n = 0;
  c->broken = false;
  return choice_tools_init(c);
}

enum q_status choice_forget(struct choice *c)
{
  if(!(c->out->stream && c->begun)) { /* else only the role chunk and comments are out: they stay true */
    out_forget(c->out);
    c->begun = false;
  }
  c->cut = false;
  c->bad = Q_ERROR_NONE;
  c->picture_n = 0;
  strbuf_clear(&c->pictures);
  if(!c->extra) limits_reset(&c->limits);
  enum q_status st = choice_new_turn(c);
  c->lost = st != Q_OK;
  return st;
}

/* ---- to the writer ---- */

static void choice_begin(struct choice *c, struct strbuf *b)
{
  if(c->begun) return;
  c->begun = true;
  c->out->ops->begin(c->out, b);
}

static void choice_write(struct choice *c, struct str text, struct strbuf *b)
{
  if(!text.n) return;
  choice_begin(c, b);
  c->out->ops->text(c->out, text, b);
}

static void choice_show(struct choice *c, struct str text, struct strbuf *b)
{
  struct str visible;
  if(!text.n || c->cut) return;
  enum limits_end end = limits_push(&c->limits, text, &visible);
  choice_write(c, visible, b);
  if(end == LIMITS_GO_ON) return;
  c->cut = true;
  c->why = end == LIMITS_LENGTH ? FINISH_LENGTH : FINISH_STOP;
}

static void choice_text(struct choice *c, struct str text, struct strbuf *b)
{
  if(!choice_holds(c)) {
    choice_show(c, text, b);
    return;
  }
  strbuf_adds(&c->held, text);
  c->lost |= c->held.err != Q_OK;
}

/* What limits still hold back belongs in front of calls and of the end. */
static void choice_rest(struct choice *c, struct strbuf *b)
{
  struct str rest;
  if(c->cut || c->out->calls) return;
  if(limits_rest(&c->limits, &rest) == LIMITS_LENGTH) {
    c->cut = true;
    c->why = FINISH_LENGTH;
  }
  choice_write(c, rest, b);
}

static void choice_call(struct choice *c, int tool, struct str args, struct strbuf *b)
{
  const struct toolset *set = c->rules->tools;
  char id[25];
  if(set->one_call && c->out->calls) return;
  if(!c->out->calls) {
    if(c->rules->format == FORMAT_TEXT && !c->out->any_text) choice_show(c, strbuf_str(&c->held), b); /* prose in front of it */
    strbuf_free(&c->held);
    choice_rest(c, b);
  }
  crypt_id(c->rng, id, 24);
  struct out_call call = { id, set->v[tool].name, args, set->v[tool].custom };
  choice_begin(c, b);
  c->out->ops->call(c->out, &call, b);
}

/* ---- from the upstream ---- */

static void choice_answer_item(struct choice *c, const struct toolcall_item *item, struct strbuf *b)
{
  c->repaired |= item->is_call && item->repaired;
  if(item->is_call) choice_call(c, item->tool, item->args, b);
  else choice_text(c, item->text, b);
}

static void choice_answer(struct choice *c, struct str text, struct strbuf *b)
{
  struct toolcall_item item;
  size_t used = 0;
  enum q_status st;
  if(!text.n) return;
  tokens_push(&c->tokens, text);
  if(!c->rules->tools) {
    choice_text(c, text, b);
    return;
  }
  while((st = toolcall_push(&c->answer, text.p, text.n, &used, &item)) == Q_OK) {
    text = str_sub(text, used, text.n);
    choice_answer_item(c, &item, b);
  }
  c->lost |= st != Q_AGAIN;
}

static void choice_reason(struct choice *c, struct str text, struct strbuf *b)
{
  if(!text.n || c->out->think_out == THINK_OUT_NONE) return;
  choice_begin(c, b);
  c->out->ops->think(c->out, text, b);
}

static void choice_thought_item(struct choice *c, const struct toolcall_item *item, struct strbuf *b)
{
  if(!item->is_call) {
    choice_reason(c, item->text, b);
  } else if(c->spare_n < CHOICE_SPARE_MAX) {
    c->spares[c->spare_n].tool = item->tool;
    c->spares[c->spare_n].at = c->spare.n;
    c->spares[c->spare_n++].n = item->args.n;
    strbuf_adds(&c->spare, item->args);
    c->lost |= c->spare.err == Q_NOMEM;
    if(c->spare.err) c->spare_n--;
  }
}

static void choice_think(struct choice *c, struct str text, struct strbuf *b)
{
  struct toolcall_item item;
  size_t used = 0;
  if(!text.n) return;
  tokens_push(&c->tokens, text);
  if(c->rules->config->max_tokens_count_reasoning && c->limits.max_tokens) tokens_push(&c->limits.tokens, text);
  if(c->rules->tools) {
    struct str rest = text;
    enum q_status st;
    while((st = toolcall_push(&c->thought, rest.p, rest.n, &used, &item)) == Q_OK) {
      rest = str_sub(rest, used, rest.n);
      choice_thought_item(c, &item, b);
    }
    c->lost |= st != Q_AGAIN;
  } else {
    choice_reason(c, text, b);
  }
  if(!c->rules->config->max_tokens_count_reasoning || !c->limits.max_tokens) return;
  if(tokens_total(&c->limits.tokens) < c->limits.max_tokens) return;
  c->cut = true;
  c->why = FINISH_LENGTH;
}

/* The model used the upstream's own way to call one of the client's tools. */
static void choice_native(struct choice *c, const struct delta *d, struct strbuf *b)
{
  int tool = c->rules->tools && d->call_name.n ? toolset_find(c->rules->tools, d->call_name) : -1;
  if(tool < 0) return;
  struct arena a = ARENA(CHOICE_ARENA_MAX);
  struct strbuf args = STRBUF(CHOICE_SPARE_BYTES);
  struct q_error why = Q_ERROR_NONE;
  const struct json *given = d->call_args.n ? json_parse(&a, d->call_args, 512, NULL) : NULL;
  if(given && toolset_args(c->rules->tools, tool, given, &a, &args, &why) == Q_OK && !args.err) choice_call(c, tool, strbuf_str(&args), b);
  else c->broken = true;
  strbuf_free(&args);
  arena_free(&a);
}

/* A picture's address goes to the client only if it lies where results lie. */
static void choice_believe(struct choice *c, struct str url, struct strbuf *b)
{
  const struct config_list *hosts = &c->rules->config->media_hosts;
  struct strbuf own = STRBUF(4096);
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = Q_OK;
  if(str_find(url, S("://")) < 0) { /* a path below the chat's own address, which is believed */
    strbuf_adds(&own, c->chat_url);
    strbuf_adds(&own, url);
    url = strbuf_str(&own);
    if(own.err || !c->chat_url.n) st = Q_MEDIA_FAILED;
  } else {
    st = result_url_check(url, hosts->v, hosts->n, &e);
  }
  if(!st && c->rules->pictures) {
    strbuf_adds(&c->pictures, url);
    strbuf_addc(&c->pictures, '\n');
    if(!c->pictures.err) c->picture_n++;
  } else if(!st) {
    choice_picture(c, c->out, url, STR_NONE, 0, b); /* a text model drew it on its own */
  } else if(c->rules->pictures && !c->bad.st) {
    c->bad = e;
    c->bad.st = st;
  }
  strbuf_free(&own);
}

bool choice_delta(struct choice *c, const struct delta *d, struct strbuf *b)
{
  if(d->source_n) c->out->ops->sources(c->out, d->sources, d->source_n, b);
  choice_think(c, d->think, b);
  for(int i = 0; i < d->image_n; i++) choice_believe(c, d->images[i], b);
  choice_answer(c, d->answer, b);
  if(d->call_name.n) choice_native(c, d, b);
  return !c->cut && !(c->rules->tools && c->rules->tools->one_call && c->out->calls);
}

void choice_flush(struct choice *c, struct strbuf *b)
{
  struct toolcall_item item;
  enum q_status st;
  if(!c->rules->tools || c->cut) return;
  while((st = toolcall_finish(&c->thought, &item)) == Q_OK) choice_thought_item(c, &item, b);
  c->lost |= st != Q_AGAIN;
  while((st = toolcall_finish(&c->answer, &item)) == Q_OK) choice_answer_item(c, &item, b);
  c->lost |= st != Q_AGAIN;
}

static bool choice_blank(struct str text)
{
  return str_trim(text).n == 0;
}

bool choice_empty(const struct choice *c)
{
  if(c->rules->pictures) return false; /* choice_settle() knows better words */
  bool thought = c->out->any_think && c->rules->format == FORMAT_TEXT && !choice_must_call(c);
  bool mendable = c->answer.denied || c->answer.broken || c->broken || c->spare_n || choice_must_call(c);
  return !c->out->any_text && !c->out->calls && choice_blank(strbuf_str(&c->held)) && c->limits.hold.n <= c->limits.given && !c->cut && !thought && !mendable;
}

/* ---- the end of a turn ---- */

static void choice_use_spares(struct choice *c, struct strbuf *b)
{
  if(c->out->calls) return;
  for(int i = 0; i < c->spare_n; i++) choice_call(c, c->spares[i].tool, str_sub(strbuf_str(&c->spare), c->spares[i].at, c->spares[i].n), b);
}

static enum choice_next choice_again(struct choice *c, struct strbuf *hint, struct q_error *e)
{
  c->extra++;
  c->cut = false;
  if(choice_new_turn(c) || hint->err) {
    status_fail(e, Q_NOMEM, NULL, "Out of memory.");
    return CHOICE_FAILED;
  }
  return CHOICE_AGAIN;
}

static enum choice_next choice_fail(struct q_error *e, enum q_status st, const char *words)
{
  cure_describe(e, st, words, 0, false);
  return CHOICE_FAILED;
}

static enum choice_next choice_settle_tools(struct choice *c, struct strbuf *hint, struct strbuf *b, struct q_error *e)
{
  const struct toolset *set = c->rules->tools;
  choice_use_spares(c, b);
  if(c->out->calls || c->cut) return CHOICE_DONE;
  bool denied = c->answer.denied, broken = c->answer.broken || c->broken, must = choice_must_call(c);
  if(!denied && !broken && !must) return CHOICE_DONE;
  if(c->extra < c->rules->config->tool_retry_count) {
    if(denied) { /* the upstream took the names for its own */
      strbuf_lit(hint, "The tools are offered under new names now; use these instead of the former list.\n");
      toolset_contract(set, true, hint);
    } else if(broken) {
      strbuf_lit(hint, "Your last tool call could not be read. Write it again: exactly one <q2a_call> block with valid JSON and all "
                       "required arguments, and nothing behind it.");
    } else {
      strbuf_lit(hint, "You must call at least one of the tools now: answer with a <q2a_call> block only.");
    }
    return choice_again(c, hint, e);
  }
  if(must) return choice_fail(e, Q_NO_CALL, "");
  if(!c->out->any_text && choice_blank(strbuf_str(&c->held)))
    return choice_fail(e, Q_NO_CALL, denied ? "the upstream does not pass the tools' names on" : "the call could not be read");
  return CHOICE_DONE;
}

static bool choice_too_long(const struct choice *c)
{
  struct tokens t = { 0 };
  if(!c->limits.max_tokens) return false;
  tokens_push(&t, strbuf_str(&c->held));
  return tokens_total(&t) + tokens_total(&c->limits.tokens) > c->limits.max_tokens;
}

static enum choice_next choice_settle_json(struct choice *c, struct strbuf *hint, struct strbuf *b, struct q_error *e)
{
  struct arena a = ARENA(CHOICE_ARENA_MAX);
  struct strbuf json = STRBUF(CHOICE_HELD_MAX);
  struct schema_fault fault = { "", "" };
  enum choice_next next = CHOICE_DONE;
  if(choice_too_long(c)) { /* cut as any text: finish_reason length says that it is not whole */
    choice_show(c, strbuf_str(&c->held), b);
    return CHOICE_DONE;
  }
  enum q_status st = json_answer(&a, strbuf_str(&c->held), c->rules->format, c->rules->schema, &json, &fault);
  if(!st || (st == Q_BAD_VALUE && c->extra && !c->rules->schema_strict)) {
    choice_show(c, strbuf_str(&json), b);
  } else if(st == Q_NOMEM) {
    status_fail(e, st, NULL, "Out of memory.");
    next = CHOICE_FAILED;
  } else if(c->extra) {
    char words[400];
    snprintf(words, sizeof words, "%s%s%s", fault.pointer, fault.pointer[0] ? " " : "", st == Q_BAD_JSON ? "no JSON value" : fault.words);
    next = choice_fail(e, Q_BAD_OUTPUT, words);
  } else {
    if(st == Q_BAD_JSON) strbuf_lit(hint, "Your last answer held no valid JSON value. Answer again with one JSON value only, no prose, no code fence.");
    else strbuf_fmt(hint, "Your last answer does not fit the JSON Schema: the value at '%s' %s. Answer again with one JSON value only that fits.",
                    fault.pointer, fault.words);
    next = choice_again(c, hint, e);
  }
  strbuf_free(&json);
  arena_free(&a);
  return next;
}

/* Some models name the picture in their words only: ![...](URL). */
static void choice_markdown(struct choice *c, struct strbuf *b)
{
  struct str text = strbuf_str(&c->held);
  for(ptrdiff_t at; (at = str_find(text, S("!["))) >= 0;) {
    text = str_sub(text, (size_t)at + 2, text.n);
    ptrdiff_t open = str_find(text, S("]("));
    if(open < 0) return;
    struct str url = str_sub(text, (size_t)open + 2, text.n);
    ptrdiff_t end = str_chr(url, ')');
    if(end < 0) return; /* nor does any other one end */
    if(end > 0) choice_believe(c, str_sub(url, 0, (size_t)end), b);
  }
}

static enum choice_next choice_settle_pictures(struct choice *c, struct strbuf *b, struct q_error *e)
{
  static const char *const refusals[] = { "inappropriate", "policy", "violat", "sensitive", "content security", "not allowed" };
  if(!c->picture_n) choice_markdown(c, b);
  if(c->picture_n) return CHOICE_DONE;
  if(c->bad.st) {
    *e = c->bad;
    return CHOICE_FAILED;
  }
  struct str text = str_trim(strbuf_str(&c->held));
  char words[304];
  str_copy(words, sizeof words, text);
  for(size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
    if(str_ifind(text, str_z(refusals[i])) >= 0) return choice_fail(e, Q_FILTER, words);
  return choice_fail(e, Q_MEDIA_FAILED, words);
}

enum choice_next choice_settle(struct choice *c, struct strbuf *hint, struct strbuf *b, struct q_error *e)
{
  enum choice_next next = CHOICE_DONE;
  if(c->rules->pictures) return choice_settle_pictures(c, b, e);
  if(c->rules->tools) next = choice_settle_tools(c, hint, b, e);
  if(next != CHOICE_DONE || c->out->calls || c->cut) return next;
  if(c->rules->format != FORMAT_TEXT) return choice_settle_json(c, hint, b, e);
  if(c->held.n && c->out->any_text) choice_show(c, S("\n\n"), b); /* a second turn's words behind those of the first */
  choice_show(c, strbuf_str(&c->held), b);
  return CHOICE_DONE;
}

void choice_finish(struct choice *c, struct strbuf *b)
{
  choice_begin(c, b);
  choice_rest(c, b);
  if(c->out->calls && c->why != FINISH_FILTER) c->why = FINISH_CALLS;
  c->out->stop_hit = limits_hit(&c->limits);
  c->out->ops->finish(c->out, c->why, b);
}

void choice_picture(struct choice *c, struct out *out, struct str url, struct str base64, int index, struct strbuf *b)
{
  struct strbuf text = STRBUF(8192);
  choice_begin(c, b);
  if(out->ops->image) {
    out->ops->image(out, url, base64, b);
    return;
  }
  if(c->rules->pictures && index) strbuf_lit(&text, "\n\n");
  strbuf_lit(&text, "![image](");
  strbuf_adds(&text, url);
  strbuf_addc(&text, ')');
  if(!c->rules->pictures) strbuf_lit(&text, "\n\n");
  if(!text.err) out->ops->text(out, strbuf_str(&text), b);
  strbuf_free(&text);
}
