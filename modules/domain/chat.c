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
  CHAT_PENDING_MAX = 64 * 1024,      /* bytes a client may lag behind before its upstream is not read */
  CHAT_PROMPT_MAX = 256 * 1024 * 1024,
  CHAT_WHOLE_MAX = 64 * 1024 * 1024, /* a collected answer */
  CHAT_QUEUE_COMMIT_MS = 60 * 1000,
  CHAT_JSON_COMMIT_MS = 30 * 1000,
  CHAT_AT_ONCE = 2,                  /* turns of one request */
  CHAT_CHUNK_HEAD = 10               /* 8 hex digits and CRLF in front of a chunk */
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

struct chat_piece {
  struct strbuf *b;
  size_t head_end; /* where the payload's chunk head begins */
  size_t from;     /* where the payload begins */
};

struct chat {
  struct client_taker taker;
  struct client *client;           /* NULL: gone or done */
  struct app *app;
  struct app_pump *ap;
  struct config *config;
  struct chat *next, **at;         /* all chats of the pump */
  bool ended;                      /* nothing is left but to be buried */
  int pending;                     /* callbacks that are still to come */

  /* the order */
  char request_id[132];
  char model_id[200];
  char shown_model[256];
  char ignored[CHAT_IGNORED_MAX + 8];
  struct chat_face face;
  const struct out_ops *whole_ops;
  void (*kept)(void *ctx, const struct out *o);
  void *kept_ctx;
  const char *route;
  bool stream, keep, chunked, inline_images;
  struct arena arena;              /* the schema */
  struct toolset *tools;
  struct choice_rules rules;
  struct turn_want want;
  struct strbuf prompt, prompt_inline; /* JSON strings; of a video plain text */
  struct upload_set *files;
  int64_t prompt_tokens;           /* estimate */
  int64_t estimate;                /* the same before the model's ratio */

  /* the answer */
  struct usage usage;              /* of the turns that are over */
  bool committed;                  /* the HTTP head is out */
  bool leased;                     /* an account was found, at least once */
  struct chat_piece piece;         /* the write under way, between open and close of a turn */
  int attempts_before;             /* made elsewhere */
  int64_t begun_ms, commit_ms, beat_ms; /* in pump ms; 0 = off */
  struct pump_timer timer;
  struct pump_task bury;
  struct chat_video *video;        /* CHAT_T2V, else NULL */
  struct pictures *pictures;       /* results on their way into the answer */
  int leg_n;
  struct chat_leg legs[];
};

static void chat_arm(struct chat *c);
static void chat_start_legs(struct chat *c);

static int64_t chat_now(const struct chat *c)
{
  return pump_now(c->ap->pump);
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
  toolset_destroy(c->tools);
  arena_free(&c->arena);
  strbuf_free(&c->prompt);
  strbuf_free(&c->prompt_inline);
  config_unref(c->config);
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
  struct fold f = { .req = r, .tools = c->tools, .history_files = (int)c->config->max_history_files,
                    .inline_bytes = (size_t)c->config->inline_prompt_kb * 1024, .last_only = !text_turn,
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
    c->files = upload_set_new(c->app, f.files, f.file_n, strbuf_str(&document), e);
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
  out->search_text = c->config->search_info_text;
  out->no_block = c->tools || r->format != FORMAT_TEXT;
  out->functions = r->functions;
  out->prompt_tokens = c->prompt_tokens;
  out->think_out = r->think_out;
  if(r->think_out == THINK_OUT_DEFAULT) out->think_out = c->config->legacy_reasoning_in_content ? THINK_OUT_TAGS : THINK_OUT_FIELD;
  if(!c->config->output_think || r->hide_reasoning) out->think_out = THINK_OUT_NONE;
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
  c->rules = (struct choice_rules){ .config = c->config, .tools = c->tools, .format = text ? r->format : FORMAT_TEXT,
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
  c->prompt_tokens = gauge_tokens(c->app->gauge, str_z(c->model_id), c->estimate);
  c->want.model = str_z(c->model_id);
  c->want.think = chat_think(o, c->config);
  c->want.think_budget = r->think_budget;
  c->want.prompt = strbuf_str(&c->prompt);
  c->want.prompt_inline = strbuf_str(&c->prompt_inline);
  c->want.files = c->files;
  c->want.request_id = c->request_id;
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

enum q_status chat_new(struct chat **out, struct app *a, const struct chat_order *o, struct q_error *e)
{
  int legs = o->req->n < 1 || o->kind == CHAT_T2V ? 1 : o->req->n;
  struct chat *c = mem_zalloc(sizeof *c + (size_t)legs * sizeof c->legs[0]);
  if(!c) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  c->app = a;
  c->config = app_config(a);
  c->leg_n = legs;
  c->face = o->face;
  c->whole_ops = o->whole;
  c->keep = o->keep;
  c->chunked = o->chunked;
  c->stream = o->req->stream;
  c->route = o->route;
  c->committed = o->committed;
  c->attempts_before = o->attempts;
  c->inline_images = o->inline_images;
  c->prompt = c->prompt_inline = STRBUF(CHAT_PROMPT_MAX);
  str_copy(c->request_id, sizeof c->request_id, str_z(o->request_id));
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
  *c->at = c->next;
  if(c->next) c->next->at = c->at;
  atomic_fetch_sub(&c->app->chats_open, 1);
  for(int i = 0; i < c->leg_n; i++) turn_free(&c->legs[i].turn);
  chat_free(c);
}

static void chat_came(struct chat *c)
{
  if(--c->pending == 0 && c->ended) pump_defer(c->ap->pump, &c->bury);
}

/* Ends the chat's work; it is buried now, or when what is on its way to it has arrived. */
static void chat_over(struct chat *c)
{
  if(c->ended) return;
  c->ended = true;
  c->pending++; /* nothing is buried before all was taken back */
  for(int i = 0; i < c->leg_n; i++)
    if(c->legs[i].started && !c->legs[i].over && !turn_close(&c->legs[i].turn, Q_CLIENT_GONE)) c->pending++;
  if(c->video && c->video->id[0] && !video_leave(c->app, c->video->id, &c->video->waiter, true)) c->pending++;
  pictures_leave(c->pictures);
  c->pictures = NULL;
  pump_timer_off(c->ap->pump, &c->timer);
  chat_came(c);
}

/* ---- writing to the client ---- */

static struct chat_info chat_info_of(const struct chat *c)
{
  int attempts = 0;
  bool failed = false;
  for(int i = 0; i < c->leg_n; i++) {
    if(c->legs[i].turn.attempts > attempts) attempts = c->legs[i].turn.attempts;
    failed |= c->legs[i].turn.document_failed;
  }
  const char *folded = c->prompt_inline.n && !failed ? "document" : NULL;
  attempts += c->attempts_before;
  return (struct chat_info){ c->request_id, c->model_id, str_z(c->ignored), folded, c->route, attempts > 0 ? attempts : 1,
                             c->keep && client_keep_alive(c->client), c->chunked, c->stream };
}

/* Opens the pump's scratch for one write: HTTP head if it is not out yet, room for the chunk's head, then payload. */
static struct chat_piece chat_open(struct chat *c)
{
  struct chat_piece p = { &c->ap->scratch, 0, 0 };
  strbuf_clear(p.b);
  if(!c->committed) {
    struct chat_info info = chat_info_of(c);
    c->keep = info.keep;
    c->face.stream_head(c->face.ctx, &info, p.b);
  }
  p.head_end = p.b->n;
  if(c->chunked) strbuf_add(p.b, "00000000\r\n", CHAT_CHUNK_HEAD);
  p.from = p.b->n;
  return p;
}

/* Frames and writes what stands in the scratch; last ends the body. Trouble here is the client's end or no memory. */
static enum q_status chat_write(struct chat *c, struct chat_piece p, bool last)
{
  struct strbuf *b = p.b;
  size_t from = 0, body = p.head_end + (c->chunked ? CHAT_CHUNK_HEAD : 0);
  if(b->err) return Q_NOMEM;
  if(b->n == p.from && !last) return Q_OK; /* nothing to say: the head can wait */
  size_t n = b->n - body;
  if(c->chunked && n == 0) {
    b->n = p.head_end;
  } else if(c->chunked) {
    static const char hex[] = "0123456789abcdef";
    size_t at = p.head_end + 8;
    for(size_t v = n; v; v >>= 4) b->p[--at] = hex[v & 15];
    from = at - p.head_end; /* unused digits: the head moves up against the number */
    memmove(b->p + from, b->p, p.head_end);
    strbuf_lit(b, "\r\n");
  }
  if(last && c->chunked) strbuf_lit(b, "0\r\n\r\n");
  if(b->err) return Q_NOMEM;
  if(b->n == from) return Q_OK;
  c->committed = true;
  c->beat_ms = chat_now(c) + c->config->sse_heartbeat_ms;
  enum q_status st = client_write(c->client, b->p + from, b->n - from);
  if(b->cap > 256 * 1024) strbuf_free(b); /* one large event must not be kept for ever */
  return st;
}

/* The client goes back to its gate, the chat ends. */
static void chat_done(struct chat *c)
{
  struct client *client = c->client;
  c->client = NULL;
  bool keep = c->keep && c->chunked;
  chat_over(c);
  client_done(client, keep);
}

/* ---- trouble that reaches the client ---- */

static void chat_fail(struct chat *c, const struct q_error *e)
{
  struct out *out = &c->legs[0].out;
  if(c->ended) return;
  LOG_WARN(c->app->log, "chat", c->request_id, "failed: %s (%s): %s", status_row(e->st)->code, status_row(e->st)->name, e->msg);
  atomic_fetch_add(&c->app->counts.chats_failed, 1);
  if(!c->client) {
    chat_over(c);
    return;
  }
  enum q_status st;
  if(c->committed) { /* of a stream an event; behind JSON_HEARTBEAT the status is spent, the body tells */
    struct chat_piece p = chat_open(c);
    (c->stream ? out->ops : c->whole_ops)->error(out, e, p.b);
    st = chat_write(c, p, true);
  } else {
    struct strbuf body = STRBUF(64 * 1024), *b = &c->ap->scratch;
    struct chat_info info = chat_info_of(c);
    c->keep = info.keep;
    c->whole_ops->error(out, e, &body);
    strbuf_clear(b);
    c->face.error(c->face.ctx, &info, e, strbuf_str(&body), b);
    st = body.err ? body.err : b->err;
    strbuf_free(&body);
    if(!st) st = client_write(c->client, b->p, b->n);
    c->chunked = true; /* a framed answer: the connection may go on */
  }
  if(st) c->keep = false;
  chat_done(c);
}

static void chat_fail_st(struct chat *c, enum q_status st, const char *msg)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, st, NULL, "%s", msg);
  chat_fail(c, &e);
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
  if(!c->files && u->prompt) gauge_learn(c->app->gauge, str_z(c->model_id), c->estimate, u->prompt);
  c->usage.completion += u->completion;
  c->usage.reasoning += u->reasoning;
}

/* Everything was said: b holds the last choice's end (of a stream), the protocol's end follows. */
static void chat_end(struct chat *c, struct chat_piece p)
{
  struct out *out = &c->legs[0].out;
  struct usage u;
  enum q_status st;
  chat_usage(c, &u);
  out->ended_s = now_wall_s(c->app->now);
  if(c->stream) {
    out->ops->end(out, &u, p.b);
    st = chat_write(c, p, true);
  } else {
    struct strbuf body = STRBUF(CHAT_WHOLE_MAX), *b = &c->ap->scratch;
    out->ops->end(out, &u, &body);
    if(body.err) {
      strbuf_free(&body);
      chat_fail_st(c, Q_NOMEM, "Out of memory.");
      return;
    }
    if(c->committed) {
      p = chat_open(c);
      strbuf_adds(p.b, strbuf_str(&body));
      st = chat_write(c, p, true);
    } else {
      struct chat_info info = chat_info_of(c);
      c->keep = info.keep;
      strbuf_clear(b);
      c->face.whole(c->face.ctx, &info, strbuf_str(&body), b);
      if(b->err) {
        strbuf_free(&body);
        chat_fail_st(c, Q_NOMEM, "Out of memory.");
        return;
      }
      st = client_write(c->client, b->p, b->n);
      c->chunked = true; /* a framed answer: the connection may go on */
      if(b->cap > 256 * 1024) strbuf_free(b);
    }
    strbuf_free(&body);
  }
  if(st) c->keep = false;
  chat_tell(c, out);
  LOG_DEBUG(c->app->log, "chat", c->request_id, "done: %lld in, %lld out", (long long)u.prompt, (long long)u.completion);
  chat_done(c);
}

/* Of a stream: opens the scratch. Of a collected answer nothing is written before the end. */
static struct chat_piece chat_begin_write(struct chat *c)
{
  if(c->stream) return chat_open(c);
  strbuf_clear(&c->ap->scratch);
  return (struct chat_piece){ &c->ap->scratch, 0, 0 };
}

/* ---- pictures ---- */

/* All pictures of all turns into the one writer, then its end. */
static void chat_show_pictures(struct chat *c, struct str base64)
{
  struct chat_piece p = chat_begin_write(c);
  struct chat_leg *first = &c->legs[0];
  int n = 0;
  for(int i = 0; i < c->leg_n; i++) {
    struct str urls = strbuf_str(&c->legs[i].choice.pictures);
    while(urls.n) choice_picture(&first->choice, &first->out, str_cut(&urls, '\n'), str_cut(&base64, '\n'), n++, p.b);
  }
  choice_finish(&first->choice, p.b);
  chat_end(c, p);
}

static void chat_pictures_came(void *ctx, const struct q_error *e, struct str base64)
{
  struct chat *c = ctx;
  c->pictures = NULL;
  if(e) chat_fail(c, e);
  else chat_show_pictures(c, base64);
}

static void chat_fetch_pictures(struct chat *c)
{
  struct strbuf urls = STRBUF(1024 * 1024);
  for(int i = 0; i < c->leg_n; i++) strbuf_adds(&urls, strbuf_str(&c->legs[i].choice.pictures));
  if(!urls.err) c->pictures = pictures_fetch(c->app, c->config, c->ap->pump, strbuf_str(&urls), chat_pictures_came, c);
  strbuf_free(&urls);
  if(!c->pictures) chat_fail_st(c, Q_NOMEM, "Out of memory.");
}

/* ---- what the turns tell ---- */

static struct chat_leg *chat_leg_of(struct turn *t)
{
  return (struct chat_leg *)((char *)t - offsetof(struct chat_leg, turn));
}

static void chat_leased(struct turn *t)
{
  struct chat *c = chat_leg_of(t)->chat;
  if(c->stream && !c->leased) c->commit_ms = chat_now(c) + c->config->sse_early_headers_ms;
  c->leased = true;
  chat_arm(c);
}

static void chat_leg_open(struct turn *t)
{
  struct chat *c = chat_leg_of(t)->chat;
  c->piece = chat_begin_write(c);
}

static bool chat_leg_delta(struct turn *t, const struct delta *d)
{
  struct chat_leg *leg = chat_leg_of(t);
  if(d->image_n) {
    int n = snprintf(leg->url, sizeof leg->url, "%s/api/v2/chat/%s/", leg->chat->config->qwen_chat_proxy_url, turn_chat_id(t));
    leg->choice.chat_url = n > 0 && n < (int)sizeof leg->url ? str_z(leg->url) : STR_NONE;
  }
  bool more = choice_delta(&leg->choice, d, &leg->chat->ap->scratch);
  if(leg->chat->stream && out_shown(&leg->out)) t->sent = true; /* it is written with this read's last event, whatever that is */
  return more;
}

static enum q_status chat_leg_close(struct turn *t)
{
  struct chat_leg *leg = chat_leg_of(t);
  struct chat *c = leg->chat;
  if(leg->choice.lost) return Q_NOMEM;
  if(!c->stream) return c->ap->scratch.err ? Q_NOMEM : Q_OK;
  enum q_status st = chat_write(c, c->piece, false);
  if(out_shown(&leg->out)) t->sent = true;
  if(c->committed) chat_arm(c);
  return st;
}

static bool chat_leg_full(struct turn *t)
{
  struct chat *c = chat_leg_of(t)->chat;
  return c->stream && c->client && client_pending(c->client) > CHAT_PENDING_MAX;
}

static enum q_status chat_leg_judge(struct turn *t)
{
  struct chat_leg *leg = chat_leg_of(t);
  if(t->filtered) return Q_OK;
  chat_leg_open(t);
  choice_flush(&leg->choice, &leg->chat->ap->scratch);
  enum q_status st = chat_leg_close(t);
  if(st == Q_NOMEM) return st;
  return choice_empty(&leg->choice) ? Q_UP_EMPTY : Q_OK;
}

static void chat_leg_forget(struct turn *t)
{
  struct chat_leg *leg = chat_leg_of(t);
  if(choice_forget(&leg->choice)) LOG_ERROR(leg->chat->app->log, "chat", leg->chat->request_id, "no memory for another attempt");
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
  if(prompt.err) chat_fail_st(c, Q_NOMEM, "Out of memory.");
  else turn_again(&leg->turn, strbuf_str(&leg->prompt));
}

static void chat_leg_done(struct chat_leg *leg, struct chat_piece p)
{
  struct chat *c = leg->chat;
  bool all = true;
  leg->over = true;
  for(int i = 0; i < c->leg_n; i++) all &= c->legs[i].over;
  if(!c->rules.pictures) choice_finish(&leg->choice, p.b);
  if(all && !c->rules.pictures) {
    chat_end(c, p);
    return;
  }
  if(c->stream && chat_write(c, p, false) == Q_NOMEM) {
    chat_fail_st(c, Q_NOMEM, "Out of memory.");
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
    chat_fail(c, e);
    return;
  }
  chat_count(c, t);
  struct chat_piece p = chat_begin_write(c);
  enum choice_next next = CHOICE_DONE;
  if(t->filtered) leg->choice.why = FINISH_FILTER;
  else next = choice_settle(&leg->choice, &hint, p.b, &own);
  if(next == CHOICE_AGAIN) {
    enum q_status st = c->stream ? chat_write(c, p, false) : Q_OK;
    if(st == Q_NOMEM) chat_fail_st(c, st, "Out of memory.");
    else chat_leg_again(leg, &hint);
  } else {
    if(!turn_close(t, own.st == Q_UP_CHALLENGE ? own.st : Q_OK)) c->pending++;
    if(next == CHOICE_FAILED) chat_fail(c, &own);
    else chat_leg_done(leg, p);
  }
  strbuf_free(&hint);
}

static void chat_leg_closed(struct turn *t)
{
  chat_came(chat_leg_of(t)->chat);
}

static const struct turn_ops chat_turn_ops = {
  chat_leased, chat_leg_open, chat_leg_delta, chat_leg_close, chat_leg_full, chat_leg_judge, chat_leg_forget, chat_leg_over, chat_leg_closed,
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
    leg->turn.ap = c->ap;
    leg->turn.config = c->config;
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
    chat_fail(c, &w->err);
    return;
  }
  struct strbuf text = STRBUF(16 * 1024);
  strbuf_fmt(&text, "<video controls=\"controls\">\n%s\n</video>\n\n[Download Video](%s)", w->url, w->url);
  struct chat_piece p = chat_begin_write(c);
  struct chat_leg *leg = &c->legs[0];
  struct delta d = { .answer = strbuf_str(&text) };
  leg->over = true;
  (void)choice_delta(&leg->choice, &d, p.b);
  choice_finish(&leg->choice, p.b);
  leg->choice.tokens = (struct tokens){ 0 }; /* a link is no answer of a model */
  strbuf_free(&text);
  chat_end(c, p);
}

static void chat_start_video(struct chat *c)
{
  struct q_error e = Q_ERROR_NONE;
  struct video_order o = { .model_id = str_z(c->model_id), .shown_model = str_z(c->shown_model), .prompt = strbuf_str(&c->prompt),
                           .size = c->want.size, .key_id = STR_NONE, .request_id = c->request_id };
  c->video->waiter = (struct video_waiter){ .done = chat_video_done, .pump = c->ap->pump };
  if(c->stream) c->commit_ms = chat_now(c) + c->config->sse_early_headers_ms;
  if(video_start(c->app, &o, &c->video->waiter, c->video->id, &e)) {
    c->video->id[0] = 0;
    chat_fail(c, &e);
  } else {
    chat_arm(c);
  }
}

/* ---- time ---- */

static void chat_arm(struct chat *c)
{
  int64_t at = c->committed ? c->beat_ms : c->commit_ms;
  if(!at || c->ended || (c->timer.slot && c->timer.at_ms <= at)) return;
  if(pump_timer_set(c->ap->pump, &c->timer, at)) LOG_ERROR(c->app->log, "chat", c->request_id, "no memory for a timer");
}

/* Commits the head, or says that we are still here. */
static void chat_time(struct pump_timer *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, timer));
  int64_t now = chat_now(c);
  if(now >= (c->committed ? c->beat_ms : c->commit_ms)) {
    c->beat_ms = now + c->config->sse_heartbeat_ms;
    if(!c->committed || !client_pending(c->client)) { /* else it has enough to read */
      struct chat_piece p = chat_open(c);
      if(c->stream) c->legs[0].out.ops->heartbeat(&c->legs[0].out, p.b);
      else strbuf_addc(p.b, ' ');
      if(chat_write(c, p, false)) LOG_DEBUG(c->app->log, "chat", c->request_id, "a heartbeat was not taken");
    }
  }
  chat_arm(c);
}

/* ---- the client ---- */

static void chat_start(struct client_taker *t, struct client *client)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, taker));
  char id[25];
  c->client = client;
  c->ap = app_pump_of(c->app, client_pump(client));
  c->next = c->ap->chats;
  c->at = &c->ap->chats;
  if(c->next) c->next->at = &c->next;
  c->ap->chats = c;
  atomic_fetch_add(&c->app->chats_open, 1);
  atomic_fetch_add(&c->app->counts.chats, 1);
  c->timer.fn = chat_time;
  c->bury.fn = chat_bury;
  c->begun_ms = chat_now(c);
  crypt_id(&c->ap->rng, id, 24);
  for(int i = 0; i < c->leg_n; i++) {
    struct out *out = &c->legs[i].out;
    memcpy(out->id + strlen(out->id), id, sizeof id);
    out->created_s = now_wall_s(c->app->now);
    c->legs[i].choice.rng = &c->ap->rng;
  }
  if(!c->stream && c->config->json_heartbeat) c->commit_ms = c->begun_ms + CHAT_JSON_COMMIT_MS;
  if(c->stream) c->commit_ms = c->begun_ms + CHAT_QUEUE_COMMIT_MS; /* until an account is found */
  if(c->committed) c->beat_ms = c->begun_ms + c->config->sse_heartbeat_ms;
  client_release_request(client);
  if(c->want.kind == CHAT_T2V) {
    chat_start_video(c);
  } else {
    chat_start_legs(c);
    chat_arm(c);
  }
}

static void chat_drained(struct client_taker *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, taker));
  for(int i = 0; i < c->leg_n && !c->ended; i++)
    if(c->legs[i].started && !c->legs[i].over) turn_pull(&c->legs[i].turn);
}

static void chat_gone(struct client_taker *t)
{
  struct chat *c = (struct chat *)((char *)t - offsetof(struct chat, taker));
  LOG_INFO(c->app->log, "chat", c->request_id, "client closed (499)");
  atomic_fetch_add(&c->app->counts.chats_gone, 1);
  c->client = NULL;
  chat_over(c);
}

struct client_taker *chat_taker(struct chat *c)
{
  c->taker.start = chat_start;
  c->taker.on_drain = chat_drained;
  c->taker.on_gone = chat_gone;
  return &c->taker;
}

void chat_end_all(struct app_pump *p)
{
  struct q_error e = Q_ERROR_NONE;
  status_fail(&e, Q_SHUTDOWN, NULL, "The gateway is shutting down; send the request again.");
  for(struct chat *c = p->chats, *next; c; c = next) {
    next = c->next;
    if(!c->ended) chat_fail(c, &e);
  }
}
