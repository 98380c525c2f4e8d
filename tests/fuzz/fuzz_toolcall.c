/* A model's text, whole and cut anywhere: the same texts and calls; arguments are JSON; without a call no byte is lost but a
 * stray </q2a_call>. The first byte chooses answer or thought and the size of the pieces. */
#include "proto/toolcall.h"

#include <stdlib.h>

static struct toolset *fuzz_toolcall_tools(void)
{
  struct arena a = ARENA(1 << 20);
  const struct json *schema = json_parse(&a, S("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},\"l\":{\"type\":\"array\"}}}"), 20, NULL);
  struct chat_tool tools[] = { { S("f"), S(""), schema, false, false }, { S("get_w"), S(""), schema, true, false }, { S("raw"), S(""), NULL, false, true } };
  struct chat_req r = { .tools = tools, .tool_n = 3, .tool_choice = TOOL_AUTO };
  struct toolset *set = toolset_new(&r);
  arena_free(&a);
  return set;
}

/* Texts as they are; calls between \1 and \2. */
static void fuzz_toolcall_item(const struct toolcall_item *item, struct strbuf *out)
{
  struct arena a = ARENA(64 << 20);
  if(!item->is_call) {
    if(!item->text.n) __builtin_trap();
    strbuf_adds(out, item->text);
    return;
  }
  if(item->tool < 0 || item->tool > 2 || (item->tool < 2 && !json_is(json_parse(&a, item->args, 100, NULL), JSON_OBJECT))) __builtin_trap();
  strbuf_fmt(out, "\1%d %d ", item->tool, item->repaired);
  strbuf_adds(out, item->args);
  strbuf_addc(out, '\2');
  arena_free(&a);
}

static void fuzz_toolcall_run(const struct toolset *set, bool thought, struct str text, size_t step, struct strbuf *out, struct toolcall *t)
{
  struct toolcall_item item;
  if(toolcall_init(t, set, thought)) abort();
  for(size_t at = 0; at < text.n; at += step) {
    struct str piece = str_sub(text, at, step);
    while(piece.n) {
      size_t used = 0;
      enum q_status st = toolcall_push(t, piece.p, piece.n, &used, &item);
      if(used > piece.n || (st != Q_OK && st != Q_AGAIN) || (st == Q_AGAIN && used != piece.n)) __builtin_trap();
      if(st == Q_OK) fuzz_toolcall_item(&item, out);
      piece = str_sub(piece, used, piece.n);
    }
  }
  while(toolcall_finish(t, &item) == Q_OK) fuzz_toolcall_item(&item, out);
  if(toolcall_finish(t, &item) != Q_AGAIN) __builtin_trap();
  toolcall_free(t);
}

/* Whether out is text without some of its </q2a_call>: can[k] says that the first i bytes allow for k of them gone. */
static bool fuzz_toolcall_kept(struct str text, struct str out)
{
  struct str mark = S("</q2a_call>");
  if(out.n > text.n || (text.n - out.n) % mark.n || text.n > 4096) return text.n > 4096;
  size_t most = (text.n - out.n) / mark.n;
  static const size_t row = 4096 / 11 + 2;
  unsigned char *can = calloc(text.n + mark.n + 1, row);
  if(!can) abort();
  can[0] = 1;
  for(size_t i = 0; i < text.n; i++)
    for(size_t k = 0; k <= most; k++) {
      if(!can[i * row + k]) continue;
      size_t j = i - k * mark.n;
      if(j < out.n && out.p[j] == text.p[i]) can[(i + 1) * row + k] = 1;
      if(k < most && str_starts(str_sub(text, i, text.n), mark)) can[(i + mark.n) * row + k + 1] = 1;
    }
  bool kept = can[text.n * row + most];
  free(can);
  return kept;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct toolset *set = fuzz_toolcall_tools();
  struct strbuf whole = STRBUF(64 << 20), cut = STRBUF(64 << 20);
  struct toolcall one, two;
  if(n && set) {
    struct str text = str_of((const char *)p + 1, n - 1);
    fuzz_toolcall_run(set, p[0] & 1, text, n, &whole, &one);
    fuzz_toolcall_run(set, p[0] & 1, text, 1 + p[0] / 2 % 16, &cut, &two);
    if(!str_eq(strbuf_str(&whole), strbuf_str(&cut)) || one.calls != two.calls || one.broken != two.broken || one.denied != two.denied) __builtin_trap();
    if(whole.n > 16 * n + 1000) __builtin_trap();
    if(!one.calls && !one.broken && !one.denied && !fuzz_toolcall_kept(text, strbuf_str(&whole))) __builtin_trap();
  }
  strbuf_free(&whole);
  strbuf_free(&cut);
  toolset_destroy(set);
  return 0;
}
