/* Bodies of Anthropic clients: read or refused with a status and words; what is read can be folded. */
#include "proto/anthropic.h"
#include "proto/fold.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20);
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf out = STRBUF(64 << 20), document = out, whole = out;
  const struct json *body = json_parse(&a, str_of((const char *)p, n), 100, NULL);
  if(body && anthropic_in(&a, body, &r, &e) == Q_OK) {
    struct toolset *tools = r.tool_n ? toolset_new(&r) : NULL;
    struct fold f = { .req = &r, .tools = tools, .history_files = 5, .inline_bytes = 100, .prompt = &out, .document = &document,
                      .whole = &whole };
    if(fold_run(&f) == Q_BAD_VALUE && f.file_n < FOLD_FILES_MAX) __builtin_trap();
    toolset_destroy(tools);
    for(size_t i = 0; i < r.ignored.n; i++)
      if(r.ignored.p[i] <= ' ' || r.ignored.p[i] > '~') __builtin_trap(); /* it becomes a header */
  }
  else if(body && (e.st == Q_OK || !e.msg[0])) __builtin_trap();
  strbuf_free(&whole);
  strbuf_free(&document);
  strbuf_free(&out);
  arena_free(&a);
  return 0;
}
