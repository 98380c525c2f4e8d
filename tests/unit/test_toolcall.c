/* Tool calls in streamed text (api 3.10): every row whole, byte by byte, at every split, short ones at every two splits. */
#include "proto/toolcall.h"

#include <time.h>

#include "base/mem.h"
#include "t.h"

static struct toolset *make_tools(bool one_call)
{
  static const char *const schemas[] = {
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}",
    "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"},\"tags\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"string\"}}},\"required\":[\"city\"]}",
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}",
    NULL, NULL,
  };
  static const char *const names[] = { "f", "get_weather", "strict_one", "patch", "list" };
  struct arena a = ARENA(1 << 20);
  struct chat_tool tools[5];
  for(int i = 0; i < 5; i++)
    tools[i] = (struct chat_tool){ str_z(names[i]), S("d"), schemas[i] ? json_parse(&a, str_z(schemas[i]), 20, NULL) : NULL, i == 2, i == 3 };
  struct chat_req r = { .tools = tools, .tool_n = 5, .tool_choice = TOOL_AUTO, .one_call = one_call };
  struct toolset *set = toolset_new(&r);
  arena_free(&a);
  return set;
}

struct row { const char *name, *in, *want; }; /* want: texts as they are, calls as [name args], then what was set */

#define F1 "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</q2a_call>"
#define F1_OUT "[f {\"a\":\"1\"}]"

static const struct row rows[] = {
  /* the table of api 3.10 */
  { "3.10 vector 1: text, then a call", "Hi " F1, "Hi" F1_OUT },
  { "3.10 vector 2: a lone <", "if a < b then", "if a < b then" },
  { "3.10 vector 3: arguments as a JSON text", "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"x\\\"}\"}</tool_call>", "[f {\"a\":\"x\"}]" },
  { "3.10 vector 4: coder form, text stays text", "<function=f><parameter=a>\n{\"k\":1}\n</parameter></function></tool_call>", "[f {\"a\":\"{\\\"k\\\":1}\"}]" },
  { "3.10 vector 5: a closer in a string", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"</q2a_call>\"}}</q2a_call>", "[f {\"a\":\"</q2a_call>\"}]" },
  { "3.10 vector 6: single quotes, a raw newline, a comma too many, no closer", "<q2a_call>{'name':'f','arguments':{'a':'l1\nl2',}}", "[f {\"a\":\"l1\\nl2\"}*]" },
  { "3.10 vector 7: prose about tags", "Write <tool_call> in XML.", "Write <tool_call> in XML." },
  { "3.10 vector 8: two calls, text behind them", F1 "\n\n" F1 " done", F1_OUT F1_OUT },
  { "3.10 vector 9: denied", "Tool f does not exist.", "!denied" },
  /* openers */
  { "3.10 opener q2a_call with newlines", "<q2a_call>\n{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}\n</q2a_call>", F1_OUT },
  { "3.10 opener function_call", "<function_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</function_call>", F1_OUT },
  { "3.10 opener tool_use", "<tool_use>{\"name\":\"f\",\"input\":{\"a\":\"1\"}}</tool_use>", F1_OUT },
  { "3.10 opener tool_use with a name", "<tool_use name=\"f\">{\"a\":\"1\"}</tool_use>", F1_OUT },
  { "3.10 opener with an id", "<tool_call id='c1'>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</tool_call>", F1_OUT },
  { "3.10 opener without its >", "<q2a_call{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</q2a_call>", F1_OUT },
  { "3.10 opener tool_calls around tool_call", "<tool_calls>\n<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</tool_call>\n</tool_calls>", F1_OUT },
  { "3.10 opener tool_call around function=", "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>", F1_OUT },
  { "3.10 opener invoke", "<invoke name=\"f\"><parameter name=\"a\">1</parameter></invoke>", F1_OUT },
  { "3.10 opener invoke within function_calls", "<function_calls>\n<invoke name=\"f\">\n<parameter name=\"a\">1</parameter>\n</invoke>\n</function_calls>", F1_OUT },
  { "3.10 opener ```json {\"name\"", "Sure:\n```json\n{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}\n```", "Sure:" F1_OUT },
  { "3.10 opener ```json, spread", "```json\n{\n  \"name\": \"f\",\n  \"arguments\": {\"a\": \"1\"}\n}\n```\n", F1_OUT },
  { "3.10 opener ```tool_call", "```tool_call\n{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}\n```", F1_OUT },
  { "3.10 a call in a code fence: the fence goes too", "Look:\n```xml\n" F1 "\n```\n", "Look:" F1_OUT },
  { "3.10 a fence within the envelope", "<q2a_call>\n```json\n{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}\n```\n</q2a_call>", "[f {\"a\":\"1\"}*]" },
  { "3.10 the whole call as a JSON text", "<q2a_call>\"{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{\\\"a\\\":\\\"1\\\"}}\"</q2a_call>", "[f {\"a\":\"1\"}*]" },
  { "3.10 coder form with an object", "<function=f>{\"a\":\"1\"}</function>", F1_OUT },
  { "3.10 coder form without parameters", "<function=list></function>", "[list {}]" },
  { "3.10 coder form in quotes", "<function=\"f\"><parameter=\"a\">1</parameter></function>", F1_OUT },
  { "3.10 coder form: numbers and lists by the schema", "<function=get_weather><parameter=city>007</parameter><parameter=days>3</parameter><parameter=tags>[\"x\"]</parameter></function>",
    "[get_weather {\"city\":\"007\",\"days\":3,\"tags\":[\"x\"]}]" },
  { "3.10 coder form: outer newlines only", "<function=f><parameter=a>\n\n x \n\n</parameter></function>", "[f {\"a\":\"\\n x \\n\"}]" },
  { "3.10 coder form: a value that speaks of tags", "<function=f><parameter=a>use </function> and </parameter> here <b></parameter></function>",
    "[f {\"a\":\"use </function> and </parameter> here <b>\"}]" },
  { "3.10 coder form: a value with both closers", "<function=f><parameter=a>a </parameter> b </function> c</parameter></function>", "[f {\"a\":\"a </parameter> b </function> c\"}]" },
  { "3.10 coder form without its closer", "<function=f><parameter=a>1</parameter>", F1_OUT },
  { "3.10 coder form ended by the next opener", "<function=f><parameter=a>1</parameter>\n<function=f><parameter=a>2</parameter></function>", F1_OUT "[f {\"a\":\"2\"}]" },
  { "3.10 coder form: value not closed, function closed", "<function=f><parameter=a>1</function>", F1_OUT },
  { "3.10 coder form cut within a value", "<function=f><parameter=a>half", "!broken" },
  { "3.10 coder form of a tool nobody offers", "a <function=g><parameter=a>1</parameter></function> b", "a <function=g><parameter=a>1</parameter></function> b" },
  /* hold */
  { "3.10 hold: half an opener at the end", "see <q2a_ca", "see <q2a_ca" },
  { "3.10 hold: white space at the end", "done \n\n", "done \n\n" },
  { "3.10 hold: white space goes if an opener follows", "Hi \n\t\r\n" F1, "Hi" F1_OUT },
  { "3.10 hold: white space alone in front", " \n" F1, F1_OUT },
  { "3.10 hold: white space stays in front of prose", "Hi \n <tool_box>", "Hi \n <tool_box>" },
  { "3.10 hold: openers within openers", "<<tool_<tool_call <q2a_call>?" F1, "<<tool_<tool_call <q2a_call>?" F1_OUT },
  { "3.10 hold: many ticks", "``` `a` ``b`` ````\n```json\n{\"nam\":1}\n```", "``` `a` ``b`` ````\n```json\n{\"nam\":1}\n```" },
  { "3.10 hold: code", "```python\nif a<b: print(`x`)\n```\n", "```python\nif a<b: print(`x`)\n```\n" },
  { "3.10 hold: a block of code, then a call", "```c\nx<y\n```\n" F1, "```c\nx<y\n```" F1_OUT },
  { "3.10 hold: a block of code, then a fenced call", "```\nx<y\n```\n```xml\n" F1, "```\nx<y\n```" F1_OUT },
  { "3.10 hold: HTML in a fence", "```html\n<b>x</b>\n```", "```html\n<b>x</b>\n```" },
  { "3.10 hold: an opener alone at the end", "write <tool_call>", "write <tool_call>" },
  { "3.10 hold: an empty call is prose", "<tool_call></tool_call>", "<tool_call></tool_call>" },
  { "3.10 hold: in inline code", "Write `<tool_call>` or `<function=f>` now", "Write `<tool_call>` or `<function=f>` now" },
  { "3.10 prose: a body that begins as none", "<q2a_call> hello", "<q2a_call> hello" },
  { "3.10 prose: another tag", "<tool_caller>{\"name\":\"f\"}</tool_caller>", "<tool_caller>{\"name\":\"f\"}</tool_caller>" },
  { "3.10 prose: JSON with a name of nobody", "```json\n{\"name\":\"Bob\",\"age\":3}\n```\nok", "```json\n{\"name\":\"Bob\",\"age\":3}\n```\nok" },
  { "3.10 prose: JSON with a tool's name but no arguments", "```json\n{\"name\":\"f\"}\n```", "```json\n{\"name\":\"f\"}\n```" },
  { "3.10 prose: a call of nobody", "x <tool_call>{\"name\":\"zz\",\"arguments\":{}}</tool_call> y", "x <tool_call>{\"name\":\"zz\",\"arguments\":{}}</tool_call> y" },
  { "3.10 prose: an object that is no call", "x <tool_call>{\"k\":1}</tool_call> y", "x <tool_call>{\"k\":1}</tool_call> y" },
  { "3.10 prose: not even JSON", "x <tool_call>{...}</tool_call> y " F1, "x <tool_call>{...}</tool_call> y" F1_OUT },
  { "3.10 prose: no end", "x <tool_call>{...", "x <tool_call>{..." },
  { "3.10 prose of three bytes a character", "世界 <q2a_call>世 ", "世界 <q2a_call>世 " },
  /* bodies */
  { "3.10 body: closed by another closer", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</tool_call>", F1_OUT },
  { "3.10 body: to the next opener", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}\n" F1, "[f {\"a\":\"1\"}]" F1_OUT },
  { "3.10 body: to the end", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}", F1_OUT },
  { "3.10 body: openers in a string", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"<q2a_call>{ ``` <function=f><\"}}</q2a_call>", "[f {\"a\":\"<q2a_call>{ ``` <function=f><\"}]" },
  { "3.10 body: escapes", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"\\\"</q2a_call>\\\\\"}}</q2a_call>", "[f {\"a\":\"\\\"</q2a_call>\\\\\"}]" },
  { "3.10 body: a quote before < ends no string", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"p \"<, </q2a_call>\" z\"}}</q2a_call>", "[f {\"a\":\"p \\\"<, </q2a_call>\\\" z\"}*]" },
  { "3.10 body: brackets missing", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"</q2a_call>", "[f {\"a\":\"1\"}*]" },
  { "3.10 body: one bracket too many", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}}</q2a_call>", "[f {\"a\":\"1\"}*]" },
  { "3.10 body: quotes in a text, an odd number", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"a 5\" disk\"}}</q2a_call> x " F1, "[f {\"a\":\"a 5\\\" disk\"}*]" F1_OUT },
  { "3.10 body: an apostrophe that opens no string", "<q2a_call>{name: f, arguments: {a: it's}}</q2a_call> x " F1, "!broken" F1_OUT },
  { "3.10 body: a string without end hides the closer", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"1}}</q2a_call> x " F1, "!broken" F1_OUT },
  { "3.10 body: cut within a text is no call", "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"half a file", "!broken" },
  { "3.10 body: no object for arguments", "<q2a_call>{\"name\":\"f\",\"arguments\":[1]}</q2a_call>", "!broken" },
  { "3.10 body: synonyms of name", "<q2a_call>{\"tool\":\"f\",\"args\":{\"a\":\"1\"}}</q2a_call><q2a_call>{\"tool_name\":\"f\",\"parameters\":{\"a\":\"1\"}}</q2a_call>"
    "<q2a_call>{\"function\":\"f\",\"input\":{\"a\":\"1\"}}</q2a_call>", F1_OUT F1_OUT F1_OUT },
  { "3.10 body: as the API writes calls", "<q2a_call>{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"1\\\"}\"}}</q2a_call>", F1_OUT },
  { "3.10 body: no arguments", "<q2a_call>{\"name\":\"list\"}</q2a_call><q2a_call>{\"name\":\"list\",\"arguments\":null}</q2a_call><q2a_call>{\"name\":\"list\",\"arguments\":\"\"}</q2a_call>",
    "[list {}][list {}][list {}]" },
  { "3.10 body: arguments beside the name", "<q2a_call>{\"name\":\"f\",\"a\":\"1\"}</q2a_call>", F1_OUT },
  { "3.10 body: with the id of the history", "<q2a_call>{\"id\":\"call_9\",\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</q2a_call>", F1_OUT },
  { "3.10 body: name told twice", "<tool_use name=\"f\">{\"name\":\"f\",\"arguments\":{\"a\":\"1\"}}</tool_use>", F1_OUT },
  { "3.10 names without case, then without - _ .", "<q2a_call>{\"name\":\"F\",\"arguments\":{\"a\":\"1\"}}</q2a_call><q2a_call>{\"name\":\"Get.Weather\",\"arguments\":{\"city\":\"P\"}}</q2a_call>",
    F1_OUT "[get_weather {\"city\":\"P\"}]" },
  { "3.10 aliased names", "<q2a_call>{\"name\":\"t_f\",\"arguments\":{\"a\":\"1\"}}</q2a_call><function=t_f><parameter=a>1</parameter></function>", F1_OUT F1_OUT },
  { "3.10 coercion", "<q2a_call>{\"name\":\"get_weather\",\"arguments\":{\"City\":\"P\",\"days\":\"3\",\"tags\":\"x\"}}</q2a_call>", "[get_weather {\"city\":\"P\",\"days\":3,\"tags\":[\"x\"]}]" },
  { "3.10 strict: fits", "<q2a_call>{\"name\":\"strict_one\",\"arguments\":{\"n\":\"4\"}}</q2a_call>", "[strict_one {\"n\":4}]" },
  { "3.10 strict: breaks the schema", "a <q2a_call>{\"name\":\"strict_one\",\"arguments\":{}}</q2a_call>", "a!broken" },
  { "7.2 a custom tool: raw input", "<q2a_call>{\"name\":\"patch\",\"arguments\":{\"input\":\"*** {\\\"x\\\"}\\n\"}}</q2a_call>", "[patch *** {\"x\"}\n]" },
  { "7.2 a custom tool in coder form", "<function=patch><parameter=input>\n{ not json\n</parameter></function>", "[patch { not json]" },
  { "7.2 a custom tool with a text for arguments", "<q2a_call>{\"name\":\"patch\",\"arguments\":\"raw\"}</q2a_call>", "[patch raw]" },
  /* orphan closers */
  { "3.10 orphan closers behind a call", F1 "\n</function>\n</tool_call></q2a_call> ", F1_OUT },
  { "3.10 an orphan </q2a_call> elsewhere", "a </q2a_call> b</q2a_call>", "a  b" },
  { "3.10 native orphans elsewhere are text", "a </tool_call> b </function> c", "a </tool_call> b </function> c" },
  { "3.10 half a closer", "a </q2a_cal", "a </q2a_cal" },
  /* denied */
  { "3.10 denied: exists", "Tool get_weather does not exists.", "!denied" },
  { "3.10 denied: without a stop", "\nTool x does not exist", "!denied" },
  { "3.10 denied: text behind it is dropped, a call is not", "Tool `f` does not exist. Sorry!\n" F1, "!denied" F1_OUT },
  { "3.10 denied: only at the head", "So: Tool f does not exist.", "So: Tool f does not exist." },
  { "3.10 denied: a sentence about it", "Tool f does not exist in this list.", "Tool f does not exist in this list." },
  { "3.10 denied: another sentence", "Tool use is fine", "Tool use is fine" },
  { "3.10 denied: not finished", "Tool f does not", "Tool f does not" },
  { "3.10 denied: the beginning of many an answer", "To be or not", "To be or not" },
  { "nothing", "", "" },
};

static const struct row thoughts[] = {
  { "3.7 text behind a call stays in a thought", "I call " F1 " and go on " F1 "!", "I call" F1_OUT " and go on" F1_OUT "!" },
  { "3.10 orphan closers go from a thought too", "a " F1 "\n</tool_call>\n</function> b </tool_call>", "a" F1_OUT " b </tool_call>" },
  { "3.10 a fence goes with its call", "a\n```\n" F1 "\n```\nb ```x```", "a" F1_OUT "\nb ```x```" },
  { "3.10 a thought is never denied", "Tool f does not exist.", "Tool f does not exist." },
};

struct feed { const char *p; size_t n, cut1, cut2, step; };

static void collect(struct toolcall *t, const struct toolset *set, struct toolcall_item *item, struct strbuf *out)
{
  (void)t;
  if(!item->is_call) {
    CHECK(item->text.n > 0);
    strbuf_adds(out, item->text);
    return;
  }
  strbuf_addc(out, '[');
  strbuf_adds(out, set->v[item->tool].name);
  strbuf_addc(out, ' ');
  strbuf_adds(out, item->args);
  if(item->repaired) strbuf_addc(out, '*');
  strbuf_addc(out, ']');
}

/* One run; the input lies at the end of a block of its own, piece by piece, so that a read too far is seen. */
static void run(const struct toolset *set, bool reasoning, struct feed f, struct strbuf *out)
{
  struct toolcall t;
  struct toolcall_item item;
  bool broken = false, denied = false;
  CHECK_INT(toolcall_init(&t, set, reasoning), Q_OK);
  for(size_t at = 0; at < f.n;) {
    size_t end = f.step ? at + f.step : at < f.cut1 ? f.cut1 : at < f.cut2 ? f.cut2 : f.n;
    if(end > f.n) end = f.n;
    char *piece = malloc(end - at);
    memcpy(piece, f.p + at, end - at);
    for(size_t done = 0;;) {
      size_t used;
      enum q_status st = toolcall_push(&t, piece + done, end - at - done, &used, &item);
      done += used;
      if(st == Q_AGAIN) {
        CHECK_INT(done, end - at);
        break;
      }
      CHECK_INT(st, Q_OK);
      if(st) break;
      if(t.broken && !broken) broken = true, strbuf_lit(out, "!broken");
      collect(&t, set, &item, out);
    }
    free(piece);
    at = end;
    if(t.broken && !broken) broken = true, strbuf_lit(out, "!broken");
    if(t.denied && !denied) denied = true, strbuf_lit(out, "!denied");
  }
  enum q_status st;
  while((st = toolcall_finish(&t, &item)) == Q_OK) {
    if(t.broken && !broken) broken = true, strbuf_lit(out, "!broken");
    if(t.denied && !denied) denied = true, strbuf_lit(out, "!denied");
    collect(&t, set, &item, out);
  }
  CHECK_INT(st, Q_AGAIN);
  if(t.broken && !broken) strbuf_lit(out, "!broken");
  if(t.denied && !denied) strbuf_lit(out, "!denied");
  toolcall_free(&t);
}

/* Where "!broken" and "!denied" stand depends on the cuts; they are moved to the end for comparing. */
static void sort_flags(struct strbuf *b)
{
  static const char *const flags[] = { "!broken", "!denied" };
  for(int i = 0; i < 2; i++) {
    ptrdiff_t at = str_find(strbuf_str(b), str_z(flags[i]));
    if(at < 0) continue;
    memmove(b->p + at, b->p + at + 7, b->n - (size_t)at - 7);
    memcpy(b->p + b->n - 7, flags[i], 7);
  }
}

static void check(const struct toolset *set, bool reasoning, const struct row *r, struct feed f)
{
  struct strbuf got = STRBUF(1 << 20), want = STRBUF(1 << 20);
  f.p = r->in;
  f.n = strlen(r->in);
  run(set, reasoning, f, &got);
  strbuf_addz(&want, r->want);
  sort_flags(&got);
  sort_flags(&want);
  static const struct row *told;
  if(!str_eq(strbuf_str(&got), strbuf_str(&want)) && told != r) {
    told = r; /* one failure a row is enough to read */
    printf("cuts %zu %zu step %zu\n", f.cut1, f.cut2, f.step);
    CHECK_STR(strbuf_str(&got), strbuf_str(&want));
  }
  strbuf_free(&got);
  strbuf_free(&want);
}

static void every_split(const struct toolset *set, bool reasoning, const struct row *r)
{
  size_t n = strlen(r->in);
  t_row = r->name;
  check(set, reasoning, r, (struct feed){ .cut1 = n });
  check(set, reasoning, r, (struct feed){ .step = 1 });
  check(set, reasoning, r, (struct feed){ .step = 3 });
  for(size_t i = 1; i < n; i++) check(set, reasoning, r, (struct feed){ .cut1 = i });
  for(size_t i = 1; n < 80 && i < n; i++)
    for(size_t k = i + 1; k < n; k++) check(set, reasoning, r, (struct feed){ .cut1 = i, .cut2 = k });
}

static void t_rows(void)
{
  struct toolset *set = make_tools(false);
  long before = mem_live();
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) every_split(set, false, &rows[i]);
  for(size_t i = 0; i < sizeof thoughts / sizeof thoughts[0]; i++) every_split(set, true, &thoughts[i]);
  CHECK_INT(mem_live(), before);
  toolset_destroy(set);
}

/* Of calls in every form among prose about tags: no byte of a call's markup goes out, and no byte of prose is lost. */
static void t_no_markup_out_no_prose_lost(void)
{
  static const char *const prose[] = {
    "Hello", "a < b", "use <tool_call> tags", "an `<invoke name=\"f\">`", "```c\nx<y\n```", "</b> </tool_cal", "<function", "half <q2a", "Tool", "\xe4\xb8\x96\xe7\x95\x8c",
    "{\"name\":\"f\"}", "<function=nobody>", "``", "```json\n{\"nam", "<tool_call a=", "<parameter=a>x</parameter>", "<tool_use", "1 <<< 2",
  };
  static const char *const calls[] = {
    F1, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"<q2a_call>\"}}\n</tool_call>", "<function=f>\n<parameter=a>\n</function>\n</parameter>\n</function>",
    "<invoke name=\"f\"><parameter name=\"a\">x</parameter></invoke>", "<function_calls>\n<invoke name=\"f\">\n</invoke>\n</function_calls>",
    "<tool_use name='f'>{\"a\":\"</tool_use>\"}</tool_use>", "<function_call>{'name':'f','arguments':{'a':'1',}}</function_call>", F1 "</tool_call>\n</function>",
  };
  enum { PROSE = sizeof prose / sizeof prose[0], CALLS = sizeof calls / sizeof calls[0] };
  struct toolset *set = make_tools(false);
  struct strbuf in = STRBUF(1 << 20), want = STRBUF(1 << 20), got = STRBUF(1 << 20);
  uint32_t seed = 20260101;
  for(int round = 0; round < 3000; round++) {
    strbuf_clear(&in), strbuf_clear(&want), strbuf_clear(&got);
    int calls_in = 0;
    for(int k = 0; k < 4; k++) {
      seed = seed * 1664525u + 1013904223u;
      const char *text = prose[(seed >> 8) % PROSE], *call = calls[(seed >> 16) % CALLS];
      strbuf_addz(&in, text);
      strbuf_addz(&want, text);
      strbuf_addz(&in, seed >> 31 ? "\n\n" : " ");
      strbuf_addz(&in, call);
      strbuf_addc(&want, '#');
      calls_in++;
    }
    struct toolcall t;
    struct toolcall_item item;
    CHECK_INT(toolcall_init(&t, set, true), Q_OK);
    size_t at = 0, used, step = 1 + seed % 9;
    while(at < in.n) {
      size_t n = step < in.n - at ? step : in.n - at, done = 0;
      while(toolcall_push(&t, in.p + at + done, n - done, &used, &item) == Q_OK) {
        done += used;
        if(item.is_call) strbuf_addc(&got, '#');
        else strbuf_adds(&got, item.text);
      }
      at += n;
    }
    while(toolcall_finish(&t, &item) == Q_OK) {
      if(item.is_call) strbuf_addc(&got, '#');
      else strbuf_adds(&got, item.text);
    }
    CHECK_INT(t.calls, calls_in);
    CHECK(!t.broken);
    toolcall_free(&t);
    if(str_eq(strbuf_str(&got), strbuf_str(&want))) continue;
    T_FAIL("round %d of\n%.*s", round, (int)in.n, in.p);
    CHECK_STR(strbuf_str(&got), strbuf_str(&want));
    break;
  }
  strbuf_free(&in), strbuf_free(&want), strbuf_free(&got);
  toolset_destroy(set);
}

/* Text without marks goes out of the caller's own bytes: nothing is copied. */
static void t_plain_text_is_not_copied(void)
{
  struct toolset *set = make_tools(false);
  struct toolcall t;
  struct toolcall_item item;
  static const char text[] = "The answer is a long line of plain text";
  size_t used;
  CHECK_INT(toolcall_init(&t, set, false), Q_OK);
  long before = mem_live();
  for(int i = 0; i < 3; i++) {
    CHECK_INT(toolcall_push(&t, text, strlen(text), &used, &item), Q_OK);
    CHECK(item.text.p == text && item.text.n == strlen(text) && used == strlen(text));
    CHECK_INT(toolcall_push(&t, text + used, 0, &used, &item), Q_AGAIN);
  }
  CHECK_INT(mem_live(), before);
  toolcall_free(&t);
  toolset_destroy(set);
}

/* What is held while blanks wait goes out as one piece with the text behind them. */
static void t_one_piece_a_delta(void)
{
  struct toolset *set = make_tools(false);
  struct toolcall t;
  struct toolcall_item item;
  size_t used;
  CHECK_INT(toolcall_init(&t, set, false), Q_OK);
  CHECK_INT(toolcall_push(&t, "Hi\n\n", 4, &used, &item), Q_OK);
  CHECK_STR(item.text, S("Hi"));
  CHECK_INT(toolcall_push(&t, "\n\n", 2, &used, &item), Q_AGAIN);
  CHECK_INT(toolcall_push(&t, "there, you", 10, &used, &item), Q_OK);
  CHECK_STR(item.text, S("\n\nthere, you"));
  CHECK_INT(used, 10);
  CHECK_INT(toolcall_push(&t, "", 0, &used, &item), Q_AGAIN);
  toolcall_free(&t);
  toolset_destroy(set);
}

/* However many marks a delta has, it goes out as one text; around a call as one before it. */
static void t_one_text_a_delta(void)
{
  static const char text[] = "Use `x` where a < b and `y`, <b>not</b> <tool_call> there";
  struct toolset *set = make_tools(false);
  struct toolcall t;
  struct toolcall_item item;
  size_t used;
  CHECK_INT(toolcall_init(&t, set, false), Q_OK);
  CHECK_INT(toolcall_push(&t, text, strlen(text), &used, &item), Q_OK);
  CHECK_STR(item.text, str_z(text));
  CHECK_INT(used, strlen(text));
  CHECK_INT(toolcall_push(&t, "", 0, &used, &item), Q_AGAIN);
  static const char call[] = "now `a` `b` " F1;
  CHECK_INT(toolcall_push(&t, call, strlen(call), &used, &item), Q_OK);
  CHECK(!item.is_call);
  CHECK_STR(item.text, S("now `a` `b`"));
  CHECK_INT(toolcall_push(&t, call + used, strlen(call) - used, &used, &item), Q_OK);
  CHECK(item.is_call);
  CHECK_STR(item.args, S("{\"a\":\"1\"}"));
  CHECK_INT(toolcall_finish(&t, &item), Q_AGAIN);
  toolcall_free(&t);
  toolset_destroy(set);
}

static void t_one_call(void)
{
  struct toolset *set = make_tools(true);
  static const struct row only = { "3.10 parallel_tool_calls false: the first call alone", "a " F1 F1 "b" F1, "a" F1_OUT };
  every_split(set, false, &only);
  toolset_destroy(set);
}

static double seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each of these, byte by byte and at once, costs a few times what plain text would: bounded by the clock of this process alone,
 * and widely. What is quadratic here takes minutes. A mebibyte of those that reach the limit of a body, and of all under torture. */
static void t_hostile_texts_take_linear_time(void)
{
  static const char *const hostile[][2] = {
    { "", "<q2a_call>{\"name\":\"f\",\"x</q2a_call>" }, { "<q2a_call>{\"", "a" }, { "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":\"", "</q2a_call>" }, { "<function=f><parameter=a>", "</parameter>x" },
    { "", "a" }, { "", "<" }, { "", "`" }, { "", " " }, { "", "``` " }, { "<tool_call>", " " }, { "", "<tool_call " }, { "", "<tool_call a=\"" }, { "", "</" },
    { "", "<q2a_call>{\"x</q2a_call>" }, { "", F1 }, { "<q2a_call>", "[" }, { "<q2a_call>{", "{\"a\":" }, { "<q2a_call>{", "\"" },
    { "<q2a_call>{\"a\":\"", "\" " }, { "<q2a_call>{", "<" }, { "<q2a_call>{\"name\":\"f\",", "'" }, { "", "<function=f><parameter=a>" },
    { "<function=f>", "<parameter=a></parameter>" }, { "", "<tool_call><function=f>" },
    { "<q2a_call>{\"name\":\"f\",\"arguments\":{", "a:1," }, { "<q2a_call>{\"name\":\"f\",\"arguments\":{\"a\":[", "1," }, { "```json\n{\"name\":", "`" },
    { "", "Tool " }, { "<q2a_call>{\"name\":\"f\"", "\xe2\x80\x9c" },
  };
  enum { SIZE = 1024 * 1024 + 4096, LIMIT = 4 };
  struct toolset *set = make_tools(false);
  char *text = malloc(SIZE);
  for(size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
    struct toolcall t;
    struct toolcall_item item;
    size_t n = strlen(hostile[i][0]), unit = strlen(hostile[i][1]), used, out = 0;
    bool whole = t_torture() || i < LIMIT;
    size_t size = whole ? SIZE : SIZE / 5;
    memcpy(text, hostile[i][0], n);
    for(; n < size; n++) text[n] = hostile[i][1][(n - strlen(hostile[i][0])) % unit];
    for(int mode = 0; mode < 2; mode++) { /* an answer byte by byte, a thought at once */
      double before = seconds();
      CHECK_INT(toolcall_init(&t, set, mode == 1), Q_OK);
      for(size_t at = 0; at < size;) {
        size_t piece = mode ? size - at : 1;
        enum q_status st = toolcall_push(&t, text + at, piece, &used, &item);
        if(st != Q_OK && st != Q_AGAIN) {
          CHECK_INT(st, Q_OK);
          break;
        }
        out += st == Q_OK;
        at += used;
      }
      while(toolcall_finish(&t, &item) == Q_OK) out++;
      toolcall_free(&t);
      double took = seconds() - before;
      if(getenv("VERBOSE")) printf("%.2f s %zu items: %s%s...\n", took, out, hostile[i][0], hostile[i][1]);
      if(took > (whole ? 30 : 10)) T_FAIL("%.1f s for %s%s...", took, hostile[i][0], hostile[i][1]);
    }
  }
  free(text);
  toolset_destroy(set);
}

/* Each allocation fails once: an honest Q_NOMEM, or the same result where it did not matter; nothing leaks, no markup goes out. */
static void t_out_of_memory(void)
{
  static const char text[] = "Hi " F1 " <tool_call>{'name':'get_weather','arguments':{'city':'P'}}</tool_call><function=f><parameter=a>1</parameter></function>";
  struct toolset *set = make_tools(false);
  for(long n = 0; n < 200; n++) {
    struct toolcall t;
    struct toolcall_item item;
    long before = mem_live();
    size_t at = 0, used;
    fault_arm(n, false);
    enum q_status st = toolcall_init(&t, set, false);
    while(!st && at < sizeof text - 1) {
      st = toolcall_push(&t, text + at, 1, &used, &item);
      at += used;
      if(!st && !item.is_call) CHECK(str_chr(item.text, '<') < 0);
      if(st == Q_AGAIN) st = Q_OK;
    }
    while(!st && (st = toolcall_finish(&t, &item)) == Q_OK)
      if(!item.is_call) CHECK(str_chr(item.text, '<') < 0);
    bool failed = fault_disarm();
    CHECK_INT(st, failed ? Q_NOMEM : Q_AGAIN);
    if(!failed) CHECK_INT(t.calls, 3);
    toolcall_free(&t);
    CHECK_INT(mem_live(), before);
    if(!failed) break;
    CHECK(n < 199);
  }
  toolset_destroy(set);
}

T_MAIN(T(t_rows), T(t_no_markup_out_no_prose_lost), T(t_plain_text_is_not_copied), T(t_one_piece_a_delta), T(t_one_text_a_delta), T(t_one_call),
       T(t_hostile_texts_take_linear_time), T(t_out_of_memory))
