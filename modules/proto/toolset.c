#include "proto/toolset.h"

#include "base/mem.h"
#include "proto/fit.h"
#include "proto/json_fix.h"
#include "proto/schema.h"
#include "proto/signature.h"

enum { TOOLSET_ARENA_MAX = 64 * 1024 * 1024, TOOLSET_LIST_MAX = 24000, TOOLSET_NAME_MAX = 256, TOOLSET_EXAMPLE_LOOKS = 64 };

/* ---- copies ---- */

static const struct json *toolset_copy_json(struct arena *a, const struct json *n, bool *ok)
{
  struct strbuf text = STRBUF(TOOLSET_ARENA_MAX);
  if(!n) return NULL;
  json_write(n, &text);
  struct str own = arena_str(a, strbuf_str(&text));
  const struct json *copy = !text.err && own.p ? json_parse(a, own, 512, NULL) : NULL;
  strbuf_free(&text);
  *ok &= copy != NULL;
  return copy;
}

static struct str toolset_copy(struct arena *a, struct str s, bool *ok)
{
  struct str own = arena_str(a, s);
  *ok &= own.p != NULL;
  return own;
}

struct toolset *toolset_new(const struct chat_req *r)
{
  struct toolset *s = mem_zalloc(sizeof *s);
  bool ok = true;
  if(!s) return NULL;
  s->arena = ARENA(TOOLSET_ARENA_MAX);
  s->choice = r->tool_choice;
  s->one_call = r->one_call;
  s->v = arena_alloc(&s->arena, (size_t)r->tool_n * sizeof *s->v);
  for(int i = 0; s->v && ok && i < r->tool_n; i++) {
    const struct chat_tool *t = &r->tools[i];
    s->v[s->n++] = (struct chat_tool){ toolset_copy(&s->arena, t->name, &ok), toolset_copy(&s->arena, t->description, &ok),
                                       toolset_copy_json(&s->arena, t->schema, &ok), t->strict, t->custom };
  }
  if(s->v && ok) return s;
  toolset_destroy(s);
  return NULL;
}

void toolset_destroy(struct toolset *s)
{
  if(!s) return;
  arena_free(&s->arena);
  mem_free(s);
}

/* ---- markup in the conversation ---- */

void toolset_neutral(struct str text, struct strbuf *out)
{
  static const struct str marks[] = { { "<q2a_call", 9 }, { "</q2a_call", 10 }, { "<q2a_result", 11 }, { "</q2a_result", 12 } };
  while(text.n) {
    ptrdiff_t lt = str_chr(text, '<');
    if(lt < 0) break;
    strbuf_add(out, text.p, (size_t)lt);
    text = str_sub(text, (size_t)lt, text.n);
    bool mark = false;
    for(size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) mark |= str_istarts(text, marks[i]);
    if(mark) strbuf_lit(out, "\xe2\x80\xb9");
    else strbuf_addc(out, '<');
    text = str_sub(text, 1, text.n);
  }
  strbuf_adds(out, text);
}

/* An attribute's value cannot end its quotes or its tag. */
static void toolset_attribute(struct str s, struct strbuf *out)
{
  for(size_t i = 0; i < s.n && i < 200; i++) {
    char c = s.p[i];
    strbuf_addc(out, (unsigned char)c < 0x20 || c == '"' || c == '<' || c == '>' ? '_' : c);
  }
}

static void toolset_neutral_json(struct str text, struct strbuf *out)
{
  struct strbuf quoted = STRBUF(TOOLSET_ARENA_MAX);
  strbuf_json(&quoted, text);
  if(quoted.err && !out->err) out->err = quoted.err;
  toolset_neutral(strbuf_str(&quoted), out);
  strbuf_free(&quoted);
}

void toolset_call_text(const struct chat_call *c, struct strbuf *out)
{
  struct arena a = ARENA(TOOLSET_ARENA_MAX);
  const struct json *args = c->args.n ? json_parse(&a, c->args, 512, NULL) : NULL;
  strbuf_lit(out, "<q2a_call>\n{\"id\":");
  toolset_neutral_json(c->id, out);
  strbuf_lit(out, ",\"name\":");
  toolset_neutral_json(c->name, out);
  strbuf_lit(out, ",\"arguments\":");
  if(json_is(args, JSON_OBJECT)) toolset_neutral(str_trim(c->args), out);
  else if(c->args.n == 0) strbuf_lit(out, "{}");
  else toolset_neutral_json(c->args, out);
  strbuf_lit(out, "}\n</q2a_call>");
  arena_free(&a);
}

void toolset_result_text(struct str id, struct str name, bool failed, struct str text, struct strbuf *out)
{
  strbuf_lit(out, "<q2a_result id=\"");
  toolset_attribute(id, out);
  strbuf_lit(out, "\" name=\"");
  toolset_attribute(name.n ? name : S("tool"), out);
  strbuf_lit(out, "\"");
  if(failed) strbuf_lit(out, " error=\"true\"");
  strbuf_lit(out, ">\n");
  toolset_neutral(text, out);
  strbuf_lit(out, "\n</q2a_result>");
}

/* ---- what the model is told ---- */

/* From full to bare: descriptions go first, then depth and what is optional; names and required parameters stay in each. */
static const struct toolset_detail { size_t words; struct signature how; } toolset_details[] = {
  { 1024, { 6, 300, false } }, { 1024, { 6, 100, false } }, { 400, { 6, 60, false } }, { 160, { 6, 30, false } }, { 60, { 6, 0, false } },
  { 0, { 6, 0, false } },      { 0, { 3, 0, false } },      { 0, { 1, 0, false } },    { 0, { 1, 0, true } },
};
enum { TOOLSET_DETAILS = sizeof toolset_details / sizeof toolset_details[0] };

static size_t toolset_chars(struct str s)
{
  size_t n = 0;
  for(size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
  return n;
}

/* The first max characters of a description, with a mark where it was cut. */
static void toolset_words(struct str s, size_t max, struct strbuf *out)
{
  size_t i = 0, chars = 0;
  s = str_trim(s);
  for(; i < s.n; i++)
    if(((unsigned char)s.p[i] & 0xc0) != 0x80 && chars++ == max) break;
  strbuf_add(out, s.p, i);
  if(i < s.n) strbuf_lit(out, "...");
}

static void toolset_list(const struct toolset *s, bool aliased, const struct toolset_detail *d, struct strbuf *out)
{
  for(int i = 0; i < s->n && !out->err; i++) {
    const struct chat_tool *t = &s->v[i];
    strbuf_addz(out, aliased ? "\n## t_" : "\n## ");
    strbuf_adds(out, t->name);
    strbuf_addc(out, '\n');
    if(d->words && str_trim(t->description).n) {
      toolset_words(t->description, d->words, out);
      strbuf_addc(out, '\n');
    }
    strbuf_lit(out, "arguments: ");
    if(t->custom) strbuf_lit(out, "{\n  input: string, // the whole input as raw text\n}");
    else signature_write(&d->how, t->schema, out);
    strbuf_addc(out, '\n');
  }
}

/* The most detailed list within the limit; the barest one, if none is. */
static void toolset_fitting_list(const struct toolset *s, bool aliased, struct strbuf *list)
{
  for(int i = 0; i < TOOLSET_DETAILS; i++) {
    list->max = i + 1 < TOOLSET_DETAILS ? 4 * TOOLSET_LIST_MAX : TOOLSET_ARENA_MAX;
    strbuf_clear(list);
    toolset_list(s, aliased, &toolset_details[i], list);
    if(list->err == Q_NOMEM || (!list->err && toolset_chars(strbuf_str(list)) <= TOOLSET_LIST_MAX)) return;
  }
}

static void toolset_name(const struct toolset *s, int i, bool aliased, struct strbuf *out)
{
  if(aliased) strbuf_lit(out, "t_");
  toolset_neutral(s->v[i].name, out);
}

/* A call of the first tool with its first required arguments, as an example of the form. */
static void toolset_example(const struct toolset *s, bool aliased, struct strbuf *out)
{
  const struct json *root = s->v[0].schema, *known = json_get(schema_deref(root, root), "properties");
  struct strbuf name = STRBUF(TOOLSET_ARENA_MAX);
  int n = 0, looked = 0;
  toolset_name(s, 0, aliased, &name);
  strbuf_lit(out, "<q2a_call>\n{\"name\":");
  strbuf_json(out, strbuf_str(&name));
  strbuf_lit(out, ",\"arguments\":{");
  if(s->v[0].custom) strbuf_lit(out, "\"input\":\"...\"");
  for json_each(need, json_get(schema_deref(root, root), "required")) {
    if(n == 3 || looked++ == TOOLSET_EXAMPLE_LOOKS) break;
    const struct json *p = schema_member(known, json_str(need));
    unsigned types = schema_types(root, p);
    if(!p) continue;
    if(n++) strbuf_addc(out, ',');
    toolset_neutral_json(p->key, out);
    strbuf_addz(out, types & SCHEMA_STRING || !types ? ":\"...\"" : types & SCHEMA_NUMBER ? ":1" : types & SCHEMA_ARRAY ? ":[]" :
                     types & SCHEMA_OBJECT ? ":{}" : ":true");
  }
  strbuf_lit(out, "}}\n</q2a_call>\n");
  strbuf_free(&name);
}

/* What the choice demands, as a sentence; nothing where the model is free. */
static void toolset_demand(const struct toolset *s, bool aliased, struct strbuf *out)
{
  if(s->choice == TOOL_REQUIRED) strbuf_lit(out, "You must call at least one tool now.");
  if(s->choice != TOOL_NAMED) return;
  strbuf_lit(out, "You must call exactly `");
  toolset_name(s, 0, aliased, out);
  strbuf_lit(out, "` now, nothing else.");
}

void toolset_contract(const struct toolset *s, bool aliased, struct strbuf *out)
{
  struct strbuf list = STRBUF(0);
  toolset_fitting_list(s, aliased, &list);
  if(list.err && !out->err) out->err = list.err;
  strbuf_lit(out, "# Tools\nYou can call the tools listed here. A parameter marked with '?' is optional, '=' gives its default.\n");
  toolset_neutral(strbuf_str(&list), out);
  strbuf_free(&list);
  strbuf_lit(out, "\nTo call a tool, write exactly:\n");
  if(s->n) toolset_example(s, aliased, out);
  strbuf_lit(out, "Rules for calls:\n- Write nothing after the last block.\n");
  strbuf_addz(out, s->one_call ? "- Write exactly one block.\n" : "- Write several blocks, one after the other, for several independent calls.\n");
  strbuf_lit(out, "- Between the tags stands one valid JSON object; newlines inside strings are written as \\n, quotes as \\\".\n"
                  "- Use only the names listed above, exactly as they are written there.\n"
                  "- If a required value is unknown, ask the user instead of guessing it.\n"
                  "- The tools are executed by the client after your answer, and each result comes back as <q2a_result>; "
                  "never say that a tool is unavailable and never write a result yourself.\n"
                  "- Put no code fence around a call.\n");
  if(s->choice == TOOL_AUTO) return;
  strbuf_lit(out, "- ");
  toolset_demand(s, aliased, out);
  strbuf_addc(out, '\n');
}

void toolset_reminder(const struct toolset *s, struct strbuf *out)
{
  strbuf_lit(out, "(To call a tool, write <q2a_call>{\"name\":\"");
  if(s->n == 1) toolset_name(s, 0, false, out);
  else strbuf_lit(out, "...");
  strbuf_lit(out, "\",\"arguments\":{...}}</q2a_call> as described above.");
  if(s->choice != TOOL_AUTO) strbuf_addc(out, ' ');
  toolset_demand(s, false, out);
  strbuf_addc(out, ')');
}

/* ---- what the model meant ---- */

static bool toolset_plain(char c)
{
  return c != '-' && c != '_' && c != '.';
}

static bool toolset_alike(struct str a, struct str b)
{
  size_t i = 0, k = 0;
  for(;;) {
    while(i < a.n && !toolset_plain(a.p[i])) i++;
    while(k < b.n && !toolset_plain(b.p[k])) k++;
    if(i == a.n || k == b.n) return i == a.n && k == b.n;
    if(!str_ieq(str_of(a.p + i++, 1), str_of(b.p + k++, 1))) return false;
  }
}

static int toolset_lookup(const struct toolset *s, struct str name)
{
  int found = -1, alike = 0;
  for(int i = 0; i < s->n; i++)
    if(str_eq(s->v[i].name, name)) return i;
  for(int i = 0; i < s->n; i++)
    if(str_ieq(s->v[i].name, name)) return i;
  for(int i = 0; i < s->n; i++)
    if(toolset_alike(s->v[i].name, name)) found = i, alike++;
  return alike == 1 ? found : -1;
}

int toolset_find(const struct toolset *s, struct str name)
{
  name = str_trim(name);
  if(!name.n || name.n > TOOLSET_NAME_MAX) return -1;
  int found = toolset_lookup(s, name);
  return found < 0 && str_istarts(name, S("t_")) ? toolset_lookup(s, str_sub(name, 2, name.n)) : found;
}

/* The raw text of a custom tool: its argument `input`, or what stands in its place. A text is taken for an object only if it is
 * cleanly one with an `input`: raw text may well look like JSON. */
static enum q_status toolset_input(const struct json *args, struct arena *a, struct strbuf *out)
{
  struct json_error e = { .expected = "" };
  const struct json *inner = json_is(args, JSON_STRING) ? json_parse(a, args->text, JSON_FIX_DEPTH, &e) : NULL;
  if(!e.expected) return Q_NOMEM;
  if(json_get(inner, "input")) args = inner;
  const struct json *input = json_get(args, "input");
  if(!input && json_is(args, JSON_OBJECT) && args->count == 1) input = args->child;
  if(!input) input = args;
  if(json_is(input, JSON_STRING)) strbuf_adds(out, input->text);
  else if(!json_absent(input) && !(json_is(input, JSON_OBJECT) && !input->count)) json_write(input, out);
  return out->err;
}

/* The object that args is or holds as a text. */
static enum q_status toolset_object(const struct json *args, struct arena *a, const struct json **object)
{
  static const struct json none = { .type = JSON_OBJECT };
  *object = args;
  if(json_absent(args) || (json_is(args, JSON_STRING) && !str_trim(args->text).n)) *object = &none;
  else if(json_is(args, JSON_STRING)) {
    enum q_status st = json_fix(a, args->text, object, NULL);
    if(st) return st == Q_NOMEM ? st : Q_BAD_VALUE;
  }
  return json_is(*object, JSON_OBJECT) ? Q_OK : Q_BAD_VALUE;
}

static enum q_status toolset_strict(const struct chat_tool *t, struct str args, struct arena *a, struct q_error *why)
{
  struct schema_fault fault;
  const struct json *v = json_parse(a, args, JSON_FIX_DEPTH + 2, NULL);
  if(!v) return Q_NOMEM;
  if(schema_check(t->schema, v, &fault)) return Q_OK;
  return status_fail(why, Q_BAD_VALUE, NULL, "The arguments of '%.*s' break its schema: %s %s.", STR_F(str_sub(t->name, 0, 100)),
                     fault.pointer[0] ? fault.pointer : "the object", fault.words);
}

enum q_status toolset_args(const struct toolset *s, int tool, const struct json *args, struct arena *a, struct strbuf *out,
                           struct q_error *why)
{
  const struct chat_tool *t = &s->v[tool];
  const struct json *object = args;
  size_t from = out->n;
  if(t->custom) return toolset_input(args, a, out);
  enum q_status st = toolset_object(args, a, &object);
  if(st == Q_BAD_VALUE)
    return status_fail(why, st, NULL, "The arguments of '%.*s' are no JSON object.", STR_F(str_sub(t->name, 0, 100)));
  if(!st) fit_value(t->schema, object, a, out);
  if(!st) st = out->err;
  if(st || !t->strict) return st;
  struct str own = arena_str(a, str_sub(strbuf_str(out), from, out->n));
  return own.p ? toolset_strict(t, own, a, why) : Q_NOMEM;
}

void toolset_raw_value(const struct toolset *s, int tool, struct str param, struct str raw, struct strbuf *out)
{
  if(str_starts(raw, S("\r\n"))) raw = str_sub(raw, 2, raw.n);
  else if(str_starts(raw, S("\n"))) raw = str_sub(raw, 1, raw.n);
  if(str_ends(raw, S("\n"))) raw.n -= str_ends(raw, S("\r\n")) ? 2 : 1;
  if(s->v[tool].custom) strbuf_json(out, raw);
  else fit_raw(s->v[tool].schema, param, raw, out);
}
