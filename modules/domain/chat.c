#include "domain/chat.h"

#include <stdio.h>

#include "base/mem.h"
#include "domain/choice.h"
#include "domain/cure.h"
#include "domain/pictures.h"
#include "domain/turn.h"
#include "domain/video.h"
#include "proto/fold.h"

enum {
  CHAT_PROMPT_MAX = 256 * 1024 * 1024,
  CHAT_LOG_MAX = 1800,               /* bytes of a text in the log (LOG_BODIES) */
  CHAT_AT_ONCE = 2                   /* turns of one request */
};

/* One upstream turn with what it becomes. A request has as many as choices, or as pictures. */
struct chat_leg {
  struct chat *chat;
  struct turn turn;
  struct choice choice;
  struct out out;
  struct strbuf prompt;            /* of a second turn */
  char url[512];                   /* where files of the upstream chat lie */
  bool started, over;
};

/* A video is no turn of this chat: it has a life of its own, which is waited for. */
struct chat_video {
  struct video_waiter waiter;
  struct chat *chat;
  char id[VIDEO_ID];               /* "": not begun, or over */
};

struct chat {
  struct answer answer;
  bool ended;                      /* nothing is left but to be buried */
  int pending;                     /* callbacks that are still to come */

  /* the order */
  char model_id[200];
  char shown_model[256];
  char ignored[CHAT_IGNORED_MAX + 8];
  const struct out_ops *whole_ops;
  void (*kept)(void *ctx, const struct out *o);
  void *kept_ctx;
  const char *route;
  bool inline_images;
  struct arena arena;              /* the schema */
  struct toolset *tools;
  struct choice_rules rules;
  struct turn_want want;
  struct strbuf prompt, prompt_inline; /* JSON strings; of a video plain text */
  struct upload_set *files;
  struct account *only;
  int64_t prompt_tokens;           /* estimate */
  int64_t estimate;                /* the same before the model's ratio */

  struct usage usage;              /* of the turns that are over */
  struct pump_task bury;
  struct chat_video *video;        /* CHAT_T2V, else NULL */
  struct pictures *pictures;       /* results on their way into the answer */
  int leg_n;
  struct chat_leg legs[];
};

static const struct answer_ops chat_answer_ops;
static void chat_start_legs(struct chat *c);

static struct chat *chat_of(const struct answer *a)
{
  return (struct chat *)((char *)a - offsetof(struct chat, answer));
}

/* ---- birth ---- */

static void chat_free(struct chat *c)
{
  for(int i = 0; i < c->leg_n; i++) {
    choice_free(&c->legs[i].choice);
    out_free(&c->legs[i].out);
    strbuf_free(&c->legs[i].prompt);
  }
  mem_free(c->video);
  upload_set_unref(c->files);
  if(c->only) pool_unkeep(c->answer.app->pool, c->only);
  toolset_destroy(c->tools);
  arena_free(&c->arena);
  strbuf_free(&c->prompt);
  strbuf_free(&c->prompt_inline);
  answer_free(&c->answer);
  mem_free(c);
}

static enum q_status chat_copy_schema(struct chat *c, const struct chat_req *r)
{
  struct strbuf text = STRBUF(CHAT_PROMPT_MAX);
  if(!r->schema) return Q_OK;
  c->arena = ARENA(64u * 1024 * 1024);
  json_write(r->schema, &text);
  struct str own = arena_str(&c->arena, strbuf_str(&text));
  c->rules.schema = own.p && !text.err ? json_parse(&c->arena, own, 512, NULL) : NULL;
  strbuf_free(&text);
  return c->rules.schema ? Q_OK : Q_NOMEM;
}

static bool chat_is_text(enum chat_kind kind)
{
  return kind == CHAT_T2T || kind == CHAT_SEARCH;
}

static enum qwen_think chat_think(const struct chat_order *o, const struct config *config)
{
  const struct model *m = o->pick->model;
  if(!chat_is_text(o->kind)) return QWEN_THINK_OFF;
  if((o->pick->variant & MODEL_THINKING) || o->req->think == THINK_ON || (m && m->always_thinks)) return QWEN_THINK_ON;
  return o->req->think == THINK_UNSET && config->thinking_default_auto ? QWEN_THINK_AUTO : QWEN_THINK_OFF;
}

/* The size of a picture or video: asked for, or a word in the prompt, which is cut out if it was marked. */
static const char *chat_size(enum chat_kind kind, enum chat_size size, struct strbuf *text)
{
  size_t at, len;
  enum chat_size word = fold_size_word(strbuf_str(text), &at, &len);
  if(chat_is_text(kind)) return NULL;
  if(word != SIZE_NONE && len) {
    memmove(text->p + at, text->p + at + len, text->n - at - len);
    text->n -= len;
  }
  if(size == SIZE_NONE) size = word;
  if(size == SIZE_NONE && kind != CHAT_IMAGE_EDIT) size = kind == CHAT_T2V ? SIZE_16_9 : SIZE_1_1;
  return fold_size_name(size);
}

/* The picture that an assistant showed last: ![image](URL). Empty: none. */
static struct str chat_last_picture(const struct chat_req *r)
{
  struct str found = STR_NONE;
  for(int i = 0; i < r->msg_n; i++)
    for(int k = 0; r->msgs[i].role == ROLE_ASSISTANT && k < r->msgs[i].part_n; k++) {
      struct str text = r->msgs[i].parts[k].text;
      for(ptrdiff_t at; (at = str_find(text, S("![image]("))) >= 0;) {
        text = str_sub(text, (size_t)at + 9, text.n);
        ptrdiff_t end = str_chr(text, ')');
        if(end < 0) break; /* no other one ends either: to look on would cost the square of the text */
        if(end > 0) found = str_sub(text, 0, (size_t)end);
      }
    }
  return found;
}

static enum q_status chat_fold(struct chat *c, const struct chat_order *o, struct q_error *e)
{
  const struct chat_req *r = o->req;
  struct chat_media last = { .kind = MEDIA_IMAGE, .param = "messages" };
  bool text_turn = chat_is_text(o->kind);
  struct strbuf text = STRBUF(CHAT_PROMPT_MAX), document = STRBUF(CHAT_PROMPT_MAX), whole = STRBUF(CHAT_PROMPT_MAX);
  struct fold f = { .req = r, .tools = c->tools, .history_files = (int)c->answer.config->max_history_files,
                    .inline_bytes = (size_t)c->answer.config->inline_prompt_kb * 1024, .last_only = !text_turn,
                    .prompt = &text, .document = &document, .whole = &whole };
  enum q_status st = fold_run(&f);
  if(st) status_fail(e, st == Q_TOO_BIG ? Q_TOO_LONG : st, "messages", st == Q_NOMEM ? "Out of memory." : st == Q_BAD_VALUE
                     ? "More attachments than can go along." : "The conversation is too long.");
  c->want.kind = o->kind;
  if(!st && o->kind == CHAT_IMAGE_EDIT && f.file_n == 0) { /* of the last picture, or there is nothing to edit */
    last.url = chat_last_picture(r);
    if(last.url.n) f.files[f.file_n++] = &last;
    else c->want.kind = CHAT_T2I;
  }
  if(!st && o->kind == CHAT_T2V && f.file_n)
    st = status_fail(e, Q_UNSUPPORTED, f.files[0]->param, "The upstream makes videos from text only, not from attachments.");
  if(!st) {
    c->want.size = chat_size(c->want.kind, r->size, &text);
    c->estimate = tokens_count(document.n ? strbuf_str(&whole) : strbuf_str(&text)) + 4 * r->msg_n + 2;
    if(o->kind == CHAT_T2V) strbuf_adds(&c->prompt, strbuf_str(&text));
    else strbuf_json(&c->prompt, strbuf_str(&text));
    if(document.n) strbuf_json(&c->prompt_inline, strbuf_str(&whole));
    st = c->prompt.err ? c->prompt.err : c->prompt_inline.err;
    if(st) status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  }
  if(!st && (f.file_n || document.n)) {
    c->files = upload_set_new(c->answer.app, f.files, f.file_n, strbuf_str(&document), e);
    if(!c->files) st = e->st;
    else c->estimate += upload_set_tokens(c->files);
  }
  strbuf_free(&whole);
  strbuf_free(&document);
  strbuf_free(&text);
  return st;
}

static void chat_out(struct chat *c, const struct chat_order *o, struct out *out)
{
  const struct chat_req *r = o->req;
  out->ops = r->stream ? o->stream : o->whole;
  out->model = str_z(c->shown_model);
  out->stream = r->stream;
  out->include_usage = r->include_usage;
  out->search_text = c->answer.config->search_info_text;
  out->no_block = c->tools || r->format != FORMAT_TEXT;
  out->functions = r->functions;
  out->prompt_tokens = c->prompt_tokens;
  out->think_out = r->think_out;
  if(r->think_out == THINK_OUT_DEFAULT) out->think_out = c->answer.config->legacy_reasoning_in_content ? THINK_OUT_TAGS : THINK_OUT_FIELD;
  if(!c->answer.config->output_think || r->hide_reasoning) out->think_out = THINK_OUT_NONE;
  str_copy(out->id, sizeof out->id, str_z(o->out_id_prefix));
}

static enum q_status chat_fill(struct chat *c, const struct chat_order *o, struct q_error *e)
{
  const struct chat_req *r = o->req;
  bool pictures = o->kind == CHAT_T2I || o->kind == CHAT_IMAGE_EDIT, text = chat_is_text(o->kind);
  enum q_status st = Q_OK;
  if(text && r->tool_n) {
    c->tools = toolset_new(r);
    if(!c->tools) st = Q_NOMEM;
  }
  c->rules = (struct choice_rules){ .config = c->answer.config, .tools = c->tools, .format = text ? r->format : FORMAT_TEXT,
                                    .schema_strict = r->schema_strict || r->format == FORMAT_JSON, .pictures = pictures };
  if(!st) st = chat_copy_schema(c, r);
  if(!st && o->kind == CHAT_T2V) {
    c->video = mem_zalloc(sizeof *c->video);
    if(c->video) c->video->chat = c;
    else st = Q_NOMEM;
  }
  if(st) return status_fail(e, st, NULL, "Out of memory.");
  st = chat_fold(c, o, e);
  if(st) return st;
  c->prompt_tokens = gauge_tokens(c->answer.app->gauge, str_z(c->model_id), c->estimate);
  c->want.model = str_z(c->model_id);
  c->want.think = chat_think(o, c->answer.config);
  c->want.think_budget = r->think_budget;
  c->want.prompt = strbuf_str(&c->prompt);
  c->want.prompt_inline = strbuf_str(&c->prompt_inline);
  c->want.files = c->files;
  c->want.request_id = c->answer.request_id;
  for(int i = 0; i < c->leg_n && !st; i++) {
    struct chat_leg *leg = &c->legs[i];
    leg->chat = c;
    chat_out(c, o, &leg->out);
    leg->out.index = i;
    if(i && !pictures) c->legs[i - 1].out.next = &leg->out;
    st = choice_init(&leg->choice, &c->rules, &leg->out, NULL, r);
  }
  if(!st && o->echo) {
    c->legs[0].out.echo = *o->echo;
    *o->echo = STRBUF(0);
  }
  return st ? status_fail(e, st, NULL, "Out of memory.") : Q_OK;
}

enum q_status chat_new(struct chat **out, const struct chat_order *o, struct q_error *e)
{
  int legs = o->req->n < 1 || o->kind == CHAT_T2V ? 1 : o->req->n;
  struct chat *c = mem_zalloc(sizeof *c + (size_t)legs * sizeof c->legs[0]);
  if(!c) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  answer_init(&c->answer, &chat_answer_ops, &o->to, o->req->stream);
  c->leg_n = legs;
  c->whole_ops = o->whole;
  c->route = o->route;
  c->inline_images = o->inline_images;
  c->want.only = c->only = o->only;
  if(c->only) pool_keep(c->answer.app->pool, c->only);
  c->prompt = c->prompt_inline = STRBUF(CHAT_PROMPT_MAX);
  str_copy(c->model_id, sizeof c->model_id, str_z(o->pick->id));
  str_copy(c->shown_model, sizeof c->shown_model, o->shown_model);
  str_copy(c->ignored, sizeof c->ignored, o->req->ignored);
  enum q_status st = chat_fill(c, o, e);
  if(st) {
    chat_free(c);
    return st;
  }
  c->kept = o->kept;
  c->kept_ctx = o->kept_ctx;
  *out = c;
  return Q_OK;
}

/* ---- death: everything that may still call back is taken back first; memory goes in the next turn of the pump, so that no
 * caller up the stack is left with nothing ---- */

/* Tells once how it ended; o: NULL unless the answer is complete. */
static void chat_tell(struct chat *c, const struct out *o)
{
  if(c->kept) c->kept(c->kept_ctx, o);
  c->kept = NULL;
}

static void chat_bury(struct pump_task *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, bury));
  chat_tell(c, NULL);
  for(int i = 0; i < c->leg_n; i++) turn_free(&c->legs[i].turn);
  chat_free(c);
}

static void chat_came(struct chat *c)
{
  if(--c->pending == 0 && c->ended) pump_defer(c->answer.ap->pump, &c->bury);
}

/* Ends the chat's work; it is buried now, or when what is on its way to it has arrived. */
static void chat_over(struct answer *a)
{
  struct chat *c = chat_of(a);
  if(c->ended) return;
  c->ended = true;
  c->pending++; /* nothing is buried before all was taken back */
  for(int i = 0; i < c->leg_n; i++)
    if(c->legs[i].started && !c->legs[i].over && !turn_close(&c->legs[i].turn, Q_CLIENT_GONE)) c->pending++;
  if(c->video && c->video->id[0] && !video_leave(c->answer.app, c->video->id, &c->video->waiter, true)) c->pending++;
  pictures_leave(c->pictures);
  c->pictures = NULL;
  chat_came(c);
}

/* ---- what the answer asks ---- */

static void chat_info(const struct answer *a, struct answer_info *i)
{
  const struct chat *c = chat_of(a);
  bool failed = false;
  for(int k = 0; k < c->leg_n; k++) {
    if(c->legs[k].turn.attempts > i->attempts) i->attempts = c->legs[k].turn.attempts;
    failed |= c->legs[k].turn.document_failed;
  }
  i->model_id = c->model_id;
  i->ignored = str_z(c->ignored);
  i->folded = c->prompt_inline.n && !failed ? "document" : NULL;
  i->route = c->route;
}

static void chat_beat(struct answer *a, struct strbuf *b)
{
  struct out *out = &chat_of(a)->legs[0].out;
  out->ops->heartbeat(out, b);
}

static int chat_error(struct answer *a, const struct q_error *e, struct strbuf *b)
{
  struct chat *c = chat_of(a);
  struct out *out = &c->legs[0].out;
  (a->stream && a->committed ? out->ops : c->whole_ops)->error(out, e, b);
  return 0;
}

static void chat_fail(struct answer *a, const struct q_error *e)
{
  if(!chat_of(a)->ended) answer_fail(a, e);
}

/* ---- the end of all turns ---- */

static void chat_usage(const struct chat *c, struct usage *u)
{
  *u = c->usage;
  if(u->known) return;
  *u = (struct usage){ .prompt = c->prompt_tokens };
  for(int i = 0; i < c->leg_n; i++) u->completion += tokens_total(&c->legs[i].choice.tokens);
}

/* The tokens of a turn that is over: prompts of one question count once. */
static void chat_count(struct chat *c, const struct turn *t)
{
  const struct usage *u = &t->events.usage;
  if(!u->known) return;
  if(!c->usage.known) c->usage = (struct usage){ .known = true, .prompt = u->prompt, .cached = u->cached };
  if(!c->files && u->prompt) gauge_learn(c->answer.app->gauge, str_z(c->model_id), c->estimate, u->prompt);
  c->usage.completion += u->completion;
  c->usage.reasoning += u->reasoning;
}

/* Everything was said: the scratch holds the last choice's end (of a stream), the protocol's end follows. */
static void chat_end(struct chat *c)
{
  struct out *out = &c->legs[0].out;
  struct strbuf body = STRBUF(ANSWER_WHOLE_MAX);
  struct usage u;
  bool said = true;
  chat_usage(c, &u);
  out->ended_s = now_wall_s(c->answer.app->now);
  out->ops->end(out, &u, c->answer.stream ? &c->answer.ap->scratch : &body);
  if(c->answer.stream) (void)answer_write(&c->answer, true);
  else said = !body.err && answer_whole(&c->answer, strbuf_str(&body)) == Q_OK;
  strbuf_free(&body);
  if(!said) {
    answer_no_memory(&c->answer);
    return;
  }
  chat_tell(c, out);
  LOG_DEBUG(c->answer.app->log, "chat", c->answer.request_id, "done: %lld in, %lld out", (long long)u.prompt, (long long)u.completion);
  answer_done(&c->answer);
}

/* ---- pictures ---- */

/* All pictures of all turns into the one writer, then its end. */
static void chat_show_pictures(struct chat *c, struct str base64)
{
  struct strbuf *b = answer_begin(&c->answer);
  struct chat_leg *first = &c->legs[0];
  int n = 0;
  for(int i = 0; i < c->leg_n; i++) {
    struct str urls = strbuf_str(&c->legs[i].choice.pictures);
    while(urls.n) choice_picture(&first->choice, &first->out, str_cut(&urls, '\n'), str_cut(&base64, '\n'), n++, b);
  }
  choice_finish(&first->choice, b);
  chat_end(c);
}

static void chat_pictures_came(void *ctx, const struct q_error *e, struct str base64)
{
  struct chat *c = ctx;
  c->pictures = NULL;
  if(e) chat_fail(&c->answer, e);
  else chat_show_pictures(c, base64);
}

static void chat_fetch_pictures(struct chat *c)
{
  struct strbuf urls = STRBUF(1024 * 1024);
  for(int i = 0; i < c->leg_n; i++) strbuf_adds(&urls, strbuf_str(&c->legs[i].choice.pictures));
  if(!urls.err)
    c->pictures = pictures_fetch(c->answer.app, c->answer.config, c->answer.ap->pump, strbuf_str(&urls), chat_pictures_came, c);
  strbuf_free(&urls);
  if(!c->pictures) answer_no_memory(&c->answer);
}

/* ---- what the turns tell ---- */

static struct chat_leg *chat_leg_of(struct turn *t)
{
  return (struct chat_leg *)((char *)t - offsetof(struct chat_leg, turn));
}

static void chat_leased(struct turn *t)
{
  answer_served(&chat_leg_of(t)->chat->answer, turn_account(t));
  answer_leased(&chat_leg_of(t)->chat->answer);
}

static void chat_leg_open(struct turn *t)
{
  (void)answer_begin(&chat_leg_of(t)->chat->answer);
}

static bool chat_leg_delta(struct turn *t, const struct delta *d)
{
  struct chat_leg *leg = chat_leg_of(t);
  answer_told(&leg->chat->answer);
  if(leg->chat->answer.config->log_bodies && d->answer.n)
    LOG_INFO(leg->chat->answer.app->log, "body", leg->chat->answer.request_id, "answer: %.*s", (int)(d->answer.n < CHAT_LOG_MAX ? d->answer.n : CHAT_LOG_MAX), d->answer.p);
  if(d->image_n) {
    int n = snprintf(leg->url, sizeof leg->url, "%s/api/v2/chat/%s/", leg->chat->answer.config->qwen_chat_proxy_url, turn_chat_id(t));
    leg->choice.chat_url = n > 0 && n < (int)sizeof leg->url ? str_z(leg->url) : STR_NONE;
  }
  bool more = choice_delta(&leg->choice, d, &leg->chat->answer.ap->scratch);
  if(leg->chat->answer.stream && out_shown(&leg->out)) t->sent = true; /* it is written with this read's last event, whatever that is */
  return more;
}

static enum q_status chat_leg_close(struct turn *t)
{
  struct chat_leg *leg = chat_leg_of(t);
  struct chat *c = leg->chat;
  if(leg->choice.lost) return Q_NOMEM;
  if(!c->answer.stream) return c->answer.ap->scratch.err ? Q_NOMEM : Q_OK;
  enum q_status st = answer_write(&c->answer, false);
  if(out_shown(&leg->out)) t->sent = true;
  return st;
}

static bool chat_leg_full(struct turn *t)
{
  return answer_lags(&chat_leg_of(t)->chat->answer);
}

static enum q_status chat_leg_judge(struct turn *t)
{
  struct chat_leg *leg = chat_leg_of(t);
  if(t->filtered) return Q_OK;
  chat_leg_open(t);
  choice_flush(&leg->choice, &leg->chat->answer.ap->scratch);
  enum q_status st = chat_leg_close(t);
  if(st == Q_NOMEM) return st;
  return choice_empty(&leg->choice) ? Q_UP_EMPTY : Q_OK;
}

static void chat_leg_forget(struct turn *t)
{
  struct chat_leg *leg = chat_leg_of(t);
  const struct answer *a = &leg->chat->answer;
  if(choice_forget(&leg->choice)) LOG_ERROR(a->app->log, "chat", a->request_id, "no memory for another attempt");
}

/* A second turn: the same question with a word about what was wrong. */
static void chat_leg_again(struct chat_leg *leg, const struct strbuf *hint)
{
  struct chat *c = leg->chat;
  struct str asked = leg->turn.document_failed ? c->want.prompt_inline : c->want.prompt;
  struct strbuf prompt = STRBUF(CHAT_PROMPT_MAX);
  strbuf_add(&prompt, asked.p, asked.n - 1); /* without its closing quote */
  strbuf_lit(&prompt, "\\n\\n");
  strbuf_json_body(&prompt, strbuf_str(hint));
  strbuf_addc(&prompt, '"');
  strbuf_free(&leg->prompt);
  leg->prompt = prompt;
  if(prompt.err) answer_no_memory(&c->answer);
  else turn_again(&leg->turn, strbuf_str(&leg->prompt));
}

static void chat_leg_done(struct chat_leg *leg, struct strbuf *b)
{
  struct chat *c = leg->chat;
  bool all = true;
  leg->over = true;
  for(int i = 0; i < c->leg_n; i++) all &= c->legs[i].over;
  if(!c->rules.pictures) choice_finish(&leg->choice, b);
  if(all && !c->rules.pictures) {
    chat_end(c);
    return;
  }
  if(c->answer.stream && answer_write(&c->answer, false) == Q_NOMEM) {
    answer_no_memory(&c->answer);
    return;
  }
  if(!all) chat_start_legs(c);
  else if(c->inline_images) chat_fetch_pictures(c);
  else chat_show_pictures(c, STR_NONE);
}

static void chat_leg_over(struct turn *t, const struct q_error *e)
{
  struct chat_leg *leg = chat_leg_of(t);
  struct chat *c = leg->chat;
  struct strbuf hint = STRBUF(256 * 1024);
  struct q_error own = Q_ERROR_NONE;
  if(c->ended) return;
  if(e) {
    chat_fail(&c->answer, e);
    return;
  }
  chat_count(c, t);
  struct strbuf *b = answer_begin(&c->answer);
  enum choice_next next = CHOICE_DONE;
  if(t->filtered) leg->choice.why = FINISH_FILTER;
  else next = choice_settle(&leg->choice, &hint, b, &own);
  if(next == CHOICE_AGAIN) {
    enum q_status st = c->answer.stream ? answer_write(&c->answer, false) : Q_OK;
    if(st == Q_NOMEM) answer_no_memory(&c->answer);
    else chat_leg_again(leg, &hint);
  } else {
    if(!turn_close(t, own.st == Q_UP_CHALLENGE ? own.st : Q_OK)) c->pending++;
    if(next == CHOICE_FAILED) chat_fail(&c->answer, &own);
    else chat_leg_done(leg, b);
  }
  strbuf_free(&hint);
}

static void chat_leg_closed(struct turn *t)
{
  chat_came(chat_leg_of(t)->chat);
}

static const struct turn_ops chat_turn_ops = {
  .leased = chat_leased, .open = chat_leg_open, .delta = chat_leg_delta, .close = chat_leg_close, .full = chat_leg_full,
  .judge = chat_leg_judge, .forget = chat_leg_forget, .over = chat_leg_over, .closed = chat_leg_closed, .whole = NULL, .again = NULL,
};

/* Two turns of a request at once, on different accounts where there are any. */
static void chat_start_legs(struct chat *c)
{
  int running = 0;
  for(int i = 0; i < c->leg_n; i++) running += c->legs[i].started && !c->legs[i].over;
  for(int i = 0; i < c->leg_n && running < CHAT_AT_ONCE && !c->ended; i++) {
    struct chat_leg *leg = &c->legs[i];
    if(leg->started) continue;
    leg->started = true;
    running++;
    leg->turn.ops = &chat_turn_ops;
    leg->turn.want = c->want;
    leg->turn.ap = c->answer.ap;
    leg->turn.config = c->answer.config;
    for(int k = 0; k < i; k++)
      if(!c->legs[k].over) turn_avoid_account(&leg->turn, &c->legs[k].turn);
    turn_start(&leg->turn);
  }
}

/* ---- videos ---- */

static void chat_video_done(struct video_waiter *w)
{
  struct chat_video *v = (struct chat_video *)((char *)w - offsetof(struct chat_video, waiter));
  struct chat *c = v->chat;
  v->id[0] = 0;
  if(c->ended) {
    chat_came(c);
    return;
  }
  c->legs[0].turn.attempts = w->attempts;
  if(w->st) {
    chat_fail(&c->answer, &w->err);
    return;
  }
  struct strbuf text = STRBUF(16 * 1024);
  strbuf_fmt(&text, "<video controls=\"controls\">\n%s\n</video>\n\n[Download Video](%s)", w->url, w->url);
  struct strbuf *b = answer_begin(&c->answer);
  struct chat_leg *leg = &c->legs[0];
  struct delta d = { .answer = strbuf_str(&text) };
  leg->over = true;
  (void)choice_delta(&leg->choice, &d, b);
  choice_finish(&leg->choice, b);
  leg->choice.tokens = (struct tokens){ 0 }; /* a link is no answer of a model */
  strbuf_free(&text);
  chat_end(c);
}

static void chat_start_video(struct chat *c)
{
  struct q_error e = Q_ERROR_NONE;
  struct video_order o = { .model_id = str_z(c->model_id), .shown_model = str_z(c->shown_model), .prompt = strbuf_str(&c->prompt),
                           .size = c->want.size, .key_id = STR_NONE, .request_id = c->answer.request_id };
  c->video->waiter = (struct video_waiter){ .done = chat_video_done, .pump = c->answer.ap->pump };
  answer_leased(&c->answer); /* its line is its own */
  if(video_start(c->answer.app, &o, &c->video->waiter, c->video->id, &e)) {
    c->video->id[0] = 0;
    chat_fail(&c->answer, &e);
  }
}

/* ---- the client ---- */

static void chat_start(struct answer *a)
{
  struct chat *c = chat_of(a);
  if(a->config->log_bodies) LOG_INFO(a->app->log, "body", a->request_id, "prompt: %.*s", (int)(c->prompt.n < CHAT_LOG_MAX ? c->prompt.n : CHAT_LOG_MAX), c->prompt.p);
  char id[25];
  c->bury.fn = chat_bury;
  crypt_id(&a->ap->rng, id, 24);
  for(int i = 0; i < c->leg_n; i++) {
    struct out *out = &c->legs[i].out;
    memcpy(out->id + strlen(out->id), id, sizeof id);
    out->created_s = now_wall_s(a->app->now);
    c->legs[i].choice.rng = &a->ap->rng;
  }
  client_release_request(a->client);
  if(c->want.kind == CHAT_T2V) chat_start_video(c);
  else chat_start_legs(c);
}

static void chat_drained(struct answer *a)
{
  struct chat *c = chat_of(a);
  for(int i = 0; i < c->leg_n && !c->ended; i++)
    if(c->legs[i].started && !c->legs[i].over) turn_pull(&c->legs[i].turn);
}

/* What is counted of it. */
static void chat_counted(const struct answer *a, struct stats_turn *t)
{
  const struct chat *c = chat_of(a);
  struct usage u;
  bool calls = false, again = false, repaired = false;
  chat_usage(c, &u);
  t->in = u.prompt;
  t->out = u.completion;
  for(int i = 0; i < c->leg_n; i++) {
    const struct choice *k = &c->legs[i].choice;
    t->media += k->picture_n;
    calls |= k->out && k->out->calls;
    again |= k->extra > 0;
    repaired |= k->repaired;
  }
  if(c->want.kind == CHAT_T2V && t->status == 200) t->media = t->videos = 1;
  if(c->tools && (calls || again)) t->tool = !calls ? STATS_TOOL_FAILED : again ? STATS_TOOL_RETRIED : repaired ? STATS_TOOL_REPAIRED : STATS_TOOL_OK;
}

static const struct answer_ops chat_answer_ops = {
  "chat", chat_start, chat_drained, chat_info, chat_beat, chat_error, chat_fail, chat_over, chat_counted,
};

struct client_taker *chat_taker(struct chat *c)
{
  return answer_taker(&c->answer);
}
