#include "http/h_start.h"
#include "base/codec.h"
#include "http/handlers.h"
#include "proto/anthropic.h"
#include "proto/fold.h"
#include "proto/media.h"
#include "proto/tokens.h"

enum {
  H_MESSAGES_PROMPT_MAX = 256 * 1024 * 1024,
  H_MESSAGES_LOOK = 4 * 1024 * 1024 /* bytes of a file that are looked at */
};

void h_messages(struct req *q)
{
  const struct json *body = req_json(q);
  struct strbuf id = STRBUF(160);
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  if(!body) return;
  if(anthropic_in(q->arena, body, &r, &e)) {
    req_fail(q, &e);
    return;
  }
  strbuf_addz(&id, q->id);
  struct h_way way = { .stream = &anthropic_stream, .whole = &anthropic_whole, .id_prefix = "msg_", .anthropic = true, .echo = &id,
                       .fallback = str_z(q->config->anthropic_default_model) };
  h_start(q, &r, &way);
}

/* ---- count_tokens: what the same request would cost, without the upstream ---- */

/* The beginning of a file; empty for one that is not here. */
static void h_messages_bytes(const struct chat_media *m, struct strbuf *out)
{
  size_t most = m->plain ? H_MESSAGES_LOOK : H_MESSAGES_LOOK / 3 * 4, n = m->data.n < most ? m->data.n : most;
  bool good = m->plain;
  if(m->plain) strbuf_add(out, m->data.p, n);
  for(size_t k = 0; !good && k < 4 && k <= n; k++) { /* cut within a group of four */
    strbuf_clear(out);
    good = codec_unbase64(str_sub(m->data, 0, n - k), out);
  }
  if(!good) strbuf_clear(out);
}

/* A picture by its size, a document of readable text by its words. */
static int64_t h_messages_file(const struct chat_media *m)
{
  struct strbuf bytes = STRBUF(H_MESSAGES_LOOK + 16);
  int64_t w = 0, h = 0, n = 0;
  h_messages_bytes(m, &bytes);
  struct str head = strbuf_str(&bytes);
  if(media_size(head, &w, &h) || m->kind == MEDIA_IMAGE) n = media_tokens(w, h);
  else if(m->kind == MEDIA_DOCUMENT && media_detect(head).text) {
    double whole = m->plain ? (double)m->data.n : (double)m->data.n * 3 / 4;
    n = tokens_count(head);
    if(head.n >= H_MESSAGES_LOOK) n = (int64_t)((double)n * (whole / (double)head.n));
  }
  strbuf_free(&bytes);
  return n;
}

static enum q_status h_messages_pick(struct req *q, const struct chat_req *r, struct models_pick *pick, struct q_error *e)
{
  const char *source;
  struct models *m = app_models(q->app, &source);
  const char *own = q->config->anthropic_default_model;
  struct models_want w = { r->model, str_z(own[0] ? own : q->config->default_model), q->config->alias_from, q->config->alias_to,
                           q->config->alias_n, strcmp(source, "builtin") != 0 };
  enum q_status st = models_pick_claude(m, &w, pick, e);
  models_unref(m);
  return st;
}

static enum q_status h_messages_count(struct req *q, const struct chat_req *r, int64_t *tokens)
{
  struct strbuf prompt = STRBUF(H_MESSAGES_PROMPT_MAX), document = prompt, whole = prompt;
  struct toolset *tools = r->tool_n ? toolset_new(r) : NULL;
  struct fold f = { .req = r, .tools = tools, .history_files = (int)q->config->max_history_files, .prompt = &prompt, .document = &document, .whole = &whole };
  enum q_status st = r->tool_n && !tools ? Q_NOMEM : fold_run(&f);
  *tokens = tokens_count(strbuf_str(&prompt)) + 4 * r->msg_n + 2;
  for(int i = 0; i < f.file_n; i++) *tokens += h_messages_file(f.files[i]);
  toolset_destroy(tools);
  strbuf_free(&whole);
  strbuf_free(&document);
  strbuf_free(&prompt);
  return st;
}

void h_count_tokens(struct req *q)
{
  const struct json *body = req_json(q);
  struct strbuf answer = STRBUF(128);
  struct strbuf extra = STRBUF(CHAT_IGNORED_MAX + 300);
  struct models_pick pick;
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  int64_t tokens = 0;
  if(!body) return;
  enum q_status st = anthropic_in(q->arena, body, &r, &e);
  if(!st) st = h_messages_pick(q, &r, &pick, &e);
  if(!st) {
    st = h_messages_count(q, &r, &tokens);
    if(st) status_fail(&e, st, "messages", st == Q_NOMEM ? "Out of memory." : "The conversation is too long.");
  }
  if(st) {
    req_fail(q, &e);
  } else {
    strbuf_fmt(&answer, "{\"input_tokens\":%lld}", (long long)gauge_tokens(q->app->gauge, str_z(pick.id), tokens));
    strbuf_fmt(&extra, "x-qwen2api-model: %s\r\n", pick.id);
    if(r.ignored.n) strbuf_fmt(&extra, "x-qwen2api-ignored: %.*s\r\n", STR_F(r.ignored));
    req_answer(q, 200, S("application/json"), strbuf_str(&extra), strbuf_str(&answer));
  }
  strbuf_free(&extra);
  strbuf_free(&answer);
}
