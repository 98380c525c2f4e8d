/* Bodies of /v1/responses and /v1/completions: read or refused with a status and words; what is read can be folded, what is
 * repeated and kept is JSON, and what was kept can be read again as a conversation. */
#include "proto/completions.h"
#include "proto/fold.h"
#include "proto/responses.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct json *fuzz_responses_item(void *ctx, struct str id)
{
  return str_starts(id, S("msg_")) ? ctx : NULL;
}

static void fuzz_responses_fold(const struct chat_req *r)
{
  struct strbuf out = STRBUF(64 << 20), document = STRBUF(64 << 20), whole = STRBUF(64 << 20);
  struct toolset *tools = r->tool_n ? toolset_new(r) : NULL;
  struct fold f = { .req = r, .tools = tools, .history_files = 5, .inline_bytes = 100, .prompt = &out, .document = &document,
                    .whole = &whole };
  if(fold_run(&f) == Q_BAD_VALUE && f.file_n < FOLD_FILES_MAX) __builtin_trap();
  toolset_destroy(tools);
  strbuf_free(&whole);
  strbuf_free(&document);
  strbuf_free(&out);
}

static void fuzz_responses_kept(struct arena *a, struct strbuf *items, const struct json *body, const struct responses_want *w)
{
  struct strbuf text = STRBUF(64 << 20), shown = STRBUF(64 << 20);
  struct chat_req r;
  struct responses_want again;
  struct q_error e = Q_ERROR_NONE;
  int i = 0;
  const struct json *list = json_parse(a, strbuf_str(items), 200, NULL);
  if(!json_is(list, JSON_ARRAY)) __builtin_trap();
  strbuf_lit(&text, "{\"x\":1");
  responses_echo(body, w, &shown);
  strbuf_adds(&text, str_sub(strbuf_str(&shown), 1, shown.n));
  strbuf_addc(&text, '}');
  if(!json_parse(a, strbuf_str(&text), 200, NULL)) __builtin_trap();
  for json_each(item, list) {
    strbuf_clear(&shown);
    responses_show_item(item, S("resp_0123456789abcdefghijklmn"), i++, &shown);
    const struct json *o = json_parse(a, strbuf_str(&shown), 200, NULL);
    if(!json_str(json_get(o, "id")).n || !json_str(json_get(o, "type")).n) __builtin_trap();
  }
  const struct responses_look look = { &list, 1, NULL, NULL };
  const struct json *next = json_parse(a, S("{\"input\":\"go on\"}"), 10, NULL);
  if(next && responses_in(a, next, &look, &r, &again, NULL, &e)) __builtin_trap();
  strbuf_free(&shown);
  strbuf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct arena a = ARENA(64 << 20);
  struct chat_req r;
  struct responses_want w;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf items = STRBUF(64 << 20);
  const struct json *body = json_parse(&a, str_of((const char *)p, n), 100, NULL);
  struct json *known = (struct json *)json_parse(&a, S("{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"old\"}"), 10, NULL);
  const struct responses_look look = { NULL, 0, fuzz_responses_item, known };
  if(body && responses_in(&a, body, &look, &r, &w, &items, &e) == Q_OK) {
    fuzz_responses_fold(&r);
    fuzz_responses_kept(&a, &items, body, &w);
  } else if(body && (e.st == Q_OK || !e.msg[0])) {
    __builtin_trap();
  }
  e = Q_ERROR_NONE;
  if(body && completions_in(&a, body, 4, &r, &e) == Q_OK) fuzz_responses_fold(&r);
  else if(body && (e.st == Q_OK || !e.msg[0])) __builtin_trap();
  strbuf_free(&items);
  arena_free(&a);
  return 0;
}
