#include "http/h_count.h"

#include "base/codec.h"
#include "domain/gauge.h"
#include "proto/fold.h"
#include "proto/media.h"
#include "proto/tokens.h"

enum {
  H_COUNT_PROMPT_MAX = 256 * 1024 * 1024,
  H_COUNT_LOOK = 4 * 1024 * 1024 /* bytes of a file that are looked at */
};

/* The beginning of a file; empty for one that is not here. */
static void h_count_bytes(const struct chat_media *m, struct strbuf *out)
{
  size_t most = m->plain ? H_COUNT_LOOK : H_COUNT_LOOK / 3 * 4, n = m->data.n < most ? m->data.n : most;
  bool good = m->plain;
  if(m->plain) strbuf_add(out, m->data.p, n);
  for(size_t k = 0; !good && k < 4 && k <= n; k++) { /* cut within a group of four */
    strbuf_clear(out);
    good = codec_unbase64(str_sub(m->data, 0, n - k), out);
  }
  if(!good) strbuf_clear(out);
}

/* A picture by its size, a document of readable text by its words. */
static int64_t h_count_file(const struct chat_media *m)
{
  struct strbuf bytes = STRBUF(H_COUNT_LOOK + 16);
  int64_t w = 0, h = 0, n = 0;
  h_count_bytes(m, &bytes);
  struct str head = strbuf_str(&bytes);
  if(media_size(head, &w, &h) || m->kind == MEDIA_IMAGE) n = media_tokens(w, h);
  else if(m->kind == MEDIA_DOCUMENT && media_detect(head).text) {
    double whole = m->plain ? (double)m->data.n : (double)m->data.n * 3 / 4;
    n = tokens_count(head);
    if(head.n >= H_COUNT_LOOK) n = (int64_t)((double)n * (whole / (double)head.n));
  }
  strbuf_free(&bytes);
  return n;
}

enum q_status h_count_tokens_of(struct req *q, const struct chat_req *r, struct str model, const char *param, int64_t *tokens, struct q_error *e)
{
  struct strbuf prompt = STRBUF(H_COUNT_PROMPT_MAX), document = prompt, whole = prompt;
  struct toolset *tools = r->tool_n ? toolset_new(r) : NULL;
  struct fold f = { .req = r, .tools = tools, .history_files = (int)q->config->max_history_files, .prompt = &prompt,
                    .document = &document, .whole = &whole };
  enum q_status st = r->tool_n && !tools ? Q_NOMEM : fold_run(&f);
  int64_t n = tokens_count(strbuf_str(&prompt)) + 4 * r->msg_n + 2;
  for(int i = 0; i < f.file_n; i++) n += h_count_file(f.files[i]);
  *tokens = gauge_tokens(q->app->gauge, model, n);
  toolset_destroy(tools);
  strbuf_free(&whole);
  strbuf_free(&document);
  strbuf_free(&prompt);
  if(st) status_fail(e, st, param, st == Q_NOMEM ? "Out of memory." : "The conversation is too long.");
  return st;
}
