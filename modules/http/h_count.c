#include "http/h_count.h"

#include "proto/fold.h"
#include "proto/tokens.h"

enum { H_COUNT_PROMPT_MAX = 256 * 1024 * 1024, H_COUNT_PICTURE = 1024 /* tokens of a picture whose size is not known */ };

enum q_status h_count_tokens_of(struct req *q, const struct chat_req *r, const char *param, int64_t *tokens, struct q_error *e)
{
  struct strbuf prompt = STRBUF(H_COUNT_PROMPT_MAX), document = STRBUF(H_COUNT_PROMPT_MAX), whole = STRBUF(H_COUNT_PROMPT_MAX);
  struct toolset *tools = r->tool_n ? toolset_new(r) : NULL;
  struct fold f = { .req = r, .tools = tools, .history_files = (int)q->config->max_history_files, .prompt = &prompt,
                    .document = &document, .whole = &whole };
  enum q_status st = r->tool_n && !tools ? Q_NOMEM : fold_run(&f);
  *tokens = tokens_count(strbuf_str(&prompt)) + 4 * r->msg_n + 2;
  for(int i = 0; i < f.file_n; i++) {
    const struct chat_media *m = f.files[i];
    if(m->kind == MEDIA_IMAGE) *tokens += H_COUNT_PICTURE;
    else if(m->kind == MEDIA_DOCUMENT && m->plain) *tokens += tokens_count(m->data);
  }
  toolset_destroy(tools);
  strbuf_free(&whole);
  strbuf_free(&document);
  strbuf_free(&prompt);
  if(st) status_fail(e, st, param, st == Q_NOMEM ? "Out of memory." : "The conversation is too long.");
  return st;
}
