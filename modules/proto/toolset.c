#include "proto/toolset.h"

#include "base/mem.h"

enum { TOOLSET_ARENA_MAX = 64 * 1024 * 1024 };

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

void toolset_call_text(const struct chat_call *c, struct strbuf *out)
{
  struct arena a = ARENA(TOOLSET_ARENA_MAX);
  const struct json *args = c->args.n ? json_parse(&a, c->args, 512, NULL) : NULL;
  strbuf_lit(out, "<q2a_call>\n{\"id\":");
  strbuf_json(out, c->id);
  strbuf_lit(out, ",\"name\":");
  strbuf_json(out, c->name);
  strbuf_lit(out, ",\"arguments\":");
  if(json_is(args, JSON_OBJECT)) toolset_neutral(str_trim(c->args), out);
  else if(c->args.n == 0) strbuf_lit(out, "{}");
  else strbuf_json(out, c->args);
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

void toolset_contract(const struct toolset *s, bool aliased, struct strbuf *out)
{
  strbuf_lit(out, "Tools:\n");
  for(int i = 0; i < s->n; i++) {
    strbuf_addz(out, aliased ? "- t_" : "- ");
    strbuf_adds(out, s->v[i].name);
    strbuf_lit(out, ": ");
    strbuf_adds(out, s->v[i].description);
    if(s->v[i].schema) {
      strbuf_lit(out, " Arguments: ");
      json_write(s->v[i].schema, out);
    }
    strbuf_addc(out, '\n');
  }
  strbuf_lit(out, "To call a tool, write exactly:\n<q2a_call>\n{\"name\":\"NAME\",\"arguments\":{}}\n</q2a_call>\n");
}

void toolset_reminder(const struct toolset *s, bool aliased, struct strbuf *out)
{
  (void)aliased;
  strbuf_addz(out, s->choice == TOOL_AUTO ? "Tools can be called as described above." : "A tool must be called now, as described above.");
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

int toolset_find(const struct toolset *s, struct str name)
{
  int found = -1, alike = 0;
  for(int i = 0; i < s->n; i++)
    if(str_eq(s->v[i].name, name)) return i;
  for(int i = 0; i < s->n; i++)
    if(str_ieq(s->v[i].name, name)) return i;
  for(int i = 0; i < s->n; i++)
    if(toolset_alike(s->v[i].name, name)) found = i, alike++;
  if(alike == 1) return found;
  return str_istarts(name, S("t_")) ? toolset_find(s, str_sub(name, 2, name.n)) : -1;
}
