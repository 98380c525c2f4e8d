#include "proto/in.h"

#include <stdio.h>

#include "base/codec.h"
#include "proto/fold.h"

enum q_status in_no_memory(struct q_error *e)
{
  return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
}

enum q_status in_type(struct q_error *e, const char *param, const char *want)
{
  return status_fail(e, Q_BAD_TYPE, param, "'%s' must be %s.", param, want);
}

enum q_status in_bool(const struct json *body, const char *name, bool *found, bool *value, struct q_error *e)
{
  const struct json *n = json_path(body, name);
  *found = !json_absent(n);
  if(*found && !json_bool(n, value)) return in_type(e, name, "true or false");
  return Q_OK;
}

enum q_status in_text(const struct json *body, const char *name, struct str *out, struct q_error *e)
{
  const struct json *n = json_path(body, name);
  if(json_absent(n)) return Q_OK;
  if(!json_is(n, JSON_STRING)) return in_type(e, name, "a string");
  *out = n->text;
  return Q_OK;
}

/* ---- thinking ---- */

void in_budget(struct chat_req *r, int64_t tokens)
{
  r->think_budget = tokens < 1 ? 1 : tokens > IN_BUDGET_MAX ? IN_BUDGET_MAX : (int)tokens;
}

enum q_status in_effort(struct chat_req *r, const struct json *n, const char *param, struct q_error *e)
{
  static const struct { const char *word; int tokens; } efforts[] = {
    { "none", 0 }, { "minimal", 1024 }, { "low", 4096 }, { "medium", 16384 }, { "high", 38912 }, { "xhigh", 81920 }, { "max", 81920 },
  };
  if(json_absent(n)) return Q_OK;
  for(size_t i = 0; i < sizeof efforts / sizeof efforts[0]; i++) {
    if(!str_eq(json_str(n), str_z(efforts[i].word))) continue;
    r->think = efforts[i].tokens ? THINK_ON : THINK_OFF;
    if(efforts[i].tokens) r->think_budget = efforts[i].tokens;
    return Q_OK;
  }
  return status_fail(e, Q_BAD_VALUE, param, "'%s' must be none, minimal, low, medium, high, xhigh or max.", param);
}

enum q_status in_thinking(struct chat_req *r, const struct json *n, const char *param, struct q_error *e)
{
  int64_t budget;
  if(json_absent(n)) return Q_OK;
  if(!json_is(n, JSON_OBJECT)) return in_type(e, param, "an object");
  struct str type = json_str(json_get(n, "type"));
  if(str_eq(type, S("enabled")) || str_eq(type, S("adaptive"))) r->think = THINK_ON;
  else if(str_eq(type, S("disabled"))) r->think = THINK_OFF;
  else {
    char path[96];
    snprintf(path, sizeof path, "%s.type", param);
    return status_fail(e, Q_BAD_VALUE, path, "'%s' must be enabled, adaptive or disabled.", path);
  }
  if(json_int(json_get(n, "budget_tokens"), &budget)) in_budget(r, budget);
  return Q_OK;
}

/* ---- limits ---- */

enum q_status in_stop(struct chat_req *r, const struct json *n, const char *param, struct q_error *e)
{
  if(json_absent(n)) return Q_OK;
  if(json_is(n, JSON_STRING)) {
    if(n->text.n) r->stop[r->stop_n++] = n->text;
    return Q_OK;
  }
  if(!json_is(n, JSON_ARRAY)) return in_type(e, param, "a string or an array of strings");
  if(n->count > CHAT_STOP_MAX) return status_fail(e, Q_BAD_VALUE, param, "'%s' holds at most %d strings.", param, CHAT_STOP_MAX);
  for json_each(s, n) {
    if(!json_is(s, JSON_STRING)) return in_type(e, param, "a string or an array of strings");
    if(s->text.n) r->stop[r->stop_n++] = s->text;
  }
  return Q_OK;
}

enum q_status in_max_tokens(struct chat_req *r, const struct json *n, const char *param, struct q_error *e)
{
  int64_t v;
  if(json_absent(n)) return Q_OK;
  if(!json_int(n, &v)) return in_type(e, param, "a whole number");
  if(v < 1) return status_fail(e, Q_BAD_VALUE, param, "'%s' must be at least 1.", param);
  if(v < IN_NO_LIMIT && (!r->max_tokens || v < r->max_tokens)) r->max_tokens = v; /* the model's own bound is lower: no limit */
  return Q_OK;
}

enum q_status in_count(struct chat_req *r, const struct json *n, const char *param, int max, struct q_error *e)
{
  int64_t v = 1;
  if(!json_absent(n) && !json_int(n, &v)) return in_type(e, param, "a whole number");
  if(v < 1 || v > max) return status_fail(e, Q_BAD_VALUE, param, "'%s' must be from 1 to %d.", param, max);
  r->n = (int)v;
  return Q_OK;
}

enum q_status in_size(struct chat_req *r, const struct json *n, const char *param, struct q_error *e)
{
  if(json_absent(n) || r->size != SIZE_NONE) return Q_OK;
  if(!json_is(n, JSON_STRING)) return in_type(e, param, "a string");
  if(fold_size_read(n->text, &r->size)) return Q_OK;
  return status_fail(e, Q_BAD_SIZE, param, "'%s' must be 1:1, 4:3, 3:4, 16:9 or 9:16, or WIDTHxHEIGHT.", param);
}

/* ---- what has no effect ---- */

enum q_status in_ignore(struct arena *a, struct chat_req *r, const char *name, struct q_error *e)
{
  size_t len = strlen(name);
  if(!r->ignored.p) {
    char *room = arena_alloc(a, CHAT_IGNORED_MAX + 1);
    if(!room) return in_no_memory(e);
    r->ignored = str_of(room, 0);
  }
  if(r->ignored.n + len + 1 > CHAT_IGNORED_MAX) return Q_OK;
  char *at = (char *)r->ignored.p + r->ignored.n;
  if(r->ignored.n) *at++ = ',';
  memcpy(at, name, len);
  r->ignored.n = (size_t)(at - r->ignored.p) + len;
  return Q_OK;
}

static bool in_named(struct str list, struct str name)
{
  while(list.n)
    if(str_eq(str_cut(&list, ','), name)) return true;
  return false;
}

enum q_status in_ignore_member(struct arena *a, struct chat_req *r, const char *group, struct str name, struct q_error *e)
{
  char full[96];
  if(name.n == 0 || name.n > 60) return Q_OK;
  for(size_t i = 0; i < name.n; i++) {
    char c = name.p[i];
    if(!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.')) return Q_OK;
  }
  snprintf(full, sizeof full, "%s%s%.*s", group ? group : "", group ? "." : "", STR_F(name));
  return in_named(r->ignored, str_z(full)) ? Q_OK : in_ignore(a, r, full, e);
}

enum q_status in_rest(struct arena *a, const struct json *object, const char *group, const char *const *known, int n, struct chat_req *r,
                      struct q_error *e)
{
  enum q_status st = Q_OK;
  for json_each(m, object) {
    bool read = json_absent(m);
    for(int i = 0; i < n && !read; i++) read = str_eq(m->key, str_z(known[i]));
    if(!st && !read) st = in_ignore_member(a, r, group, m->key, e);
  }
  return st;
}

enum q_status in_ignored(struct arena *a, const struct json *body, const struct in_idle *v, int n, struct chat_req *r, struct q_error *e)
{
  enum q_status st = Q_OK;
  r->given = body;
  for(int i = 0; i < n && !st; i++) {
    const struct json *field = json_get(body, v[i].name);
    double d;
    if(json_absent(field)) continue;
    if(v[i].type == IN_NUMBER && !json_number(field, &d)) st = in_type(e, v[i].name, "a number");
    else if(v[i].type == IN_OBJECT && !json_is(field, JSON_OBJECT)) st = in_type(e, v[i].name, "an object");
    else if(v[i].named) st = in_ignore(a, r, v[i].name, e);
  }
  return st;
}

/* ---- parts ---- */

static enum q_status in_add(struct in_parts *p, struct chat_part part, struct q_error *e)
{
  if(p->n == p->cap) {
    int cap = p->cap ? p->cap * 2 : 4;
    struct chat_part *v = arena_alloc(p->arena, (size_t)cap * sizeof *v);
    if(!v) return in_no_memory(e);
    if(p->n) memcpy(v, p->v, (size_t)p->n * sizeof *v);
    p->v = v;
    p->cap = cap;
  }
  p->v[p->n++] = part;
  return Q_OK;
}

enum q_status in_add_text(struct in_parts *p, struct str text, struct q_error *e)
{
  return in_add(p, (struct chat_part){ text, NULL }, e);
}

static enum q_status in_media(struct in_parts *p, const struct chat_media *m, struct q_error *e)
{
  struct chat_media *own = arena_alloc(p->arena, sizeof *own);
  if(!own) return in_no_memory(e);
  *own = *m;
  return in_add(p, (struct chat_part){ STR_NONE, own }, e);
}

static bool in_unpercent(struct str *s, struct arena *a)
{
  struct strbuf b = STRBUF(s->n + 1);
  bool ok = codec_unpercent(*s, false, &b) && !b.err;
  if(ok) *s = arena_str(a, strbuf_str(&b));
  strbuf_free(&b);
  return ok && s->p;
}

/* data:<mime>[;param...][;base64],<content> */
static bool in_data_uri(struct str s, struct arena *a, struct chat_media *m)
{
  struct str rest = str_sub(s, 5, s.n), head;
  ptrdiff_t comma = str_chr(rest, ',');
  if(comma < 0) return false;
  head = str_sub(rest, 0, (size_t)comma);
  m->data = str_sub(rest, (size_t)comma + 1, rest.n);
  struct str mime = str_trim(str_cut(&head, ';'));
  if(mime.n) m->mime = mime;
  m->plain = true;
  while(head.n) {
    struct str param = str_trim(str_cut(&head, ';'));
    if(str_ieq(param, S("base64"))) m->plain = false;
  }
  return str_chr(m->data, '%') < 0 || in_unpercent(&m->data, a);
}

static bool in_base64(struct str s)
{
  size_t n = s.n < 4096 ? s.n : 4096; /* the decoder looks at the rest */
  for(size_t i = 0; i < n; i++) {
    char c = s.p[i];
    bool fits = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("+/-_= \r\n\t", c);
    if(!fits || !c) return false;
  }
  return s.n >= 8;
}

enum q_status in_add_media(struct in_parts *p, enum media_kind kind, struct str source, struct str mime, struct str name,
                           const char *param, struct q_error *e)
{
  struct chat_media m = { .kind = kind, .mime = mime, .name = name };
  struct str s = str_trim(source);
  str_copy(m.param, sizeof m.param, str_z(param));
  if(str_istarts(s, S("http://")) || str_istarts(s, S("https://"))) m.url = s;
  else if(str_istarts(s, S("data:"))) {
    if(!in_data_uri(s, p->arena, &m)) return status_fail(e, Q_BAD_MEDIA, param, "'%s' is not a complete data: URI.", param);
  } else if(in_base64(s)) m.data = s;
  else return status_fail(e, Q_BAD_MEDIA, param, "'%s' must be an http(s) URL, a data: URI or base64.", param);
  return in_media(p, &m, e);
}

enum q_status in_add_document(struct in_parts *p, struct str text, struct str mime, struct str name, const char *param, struct q_error *e)
{
  struct chat_media m = { .kind = MEDIA_DOCUMENT, .data = text, .plain = true, .mime = mime, .name = name };
  str_copy(m.param, sizeof m.param, str_z(param));
  return in_media(p, &m, e);
}

/* ---- tools ---- */

static bool in_tool_name(struct str name)
{
  if(name.n == 0 || name.n > 128) return false;
  for(size_t i = 0; i < name.n; i++)
    if((unsigned char)name.p[i] <= 0x20 || strchr("<>\"'\\", name.p[i]) || (unsigned char)name.p[i] == 0x7f) return false;
  return true;
}

enum q_status in_add_tool(struct arena *a, struct chat_req *r, const struct chat_tool *t, const char *param, struct q_error *e)
{
  if(!in_tool_name(t->name)) return status_fail(e, Q_BAD_VALUE, param, "'%s' needs a name of at most 128 letters without blanks.", param);
  if(!json_absent(t->schema) && !json_is(t->schema, JSON_OBJECT)) return in_type(e, param, "a tool whose parameters are an object");
  if(r->tool_n == CHAT_TOOLS_MAX) return status_fail(e, Q_BAD_VALUE, param, "At most %d tools can be given.", CHAT_TOOLS_MAX);
  for(int i = 0; i < r->tool_n; i++)
    if(str_eq(r->tools[i].name, t->name)) return status_fail(e, Q_BAD_VALUE, param, "The tool '%.*s' is given twice.", STR_F(t->name));
  if(!r->tools) r->tools = arena_alloc(a, CHAT_TOOLS_MAX * sizeof *r->tools);
  if(!r->tools) return in_no_memory(e);
  r->tools[r->tool_n] = *t;
  if(json_absent(t->schema)) r->tools[r->tool_n].schema = NULL;
  r->tool_n++;
  return Q_OK;
}

enum q_status in_only_tools(struct chat_req *r, const struct str *names, int n, const char *param, struct q_error *e)
{
  int kept = 0;
  for(int k = 0; k < n; k++) {
    int i = 0;
    while(i < r->tool_n && !str_eq(r->tools[i].name, names[k])) i++;
    if(i == r->tool_n)
      return status_fail(e, Q_BAD_VALUE, param, "'%s' names the tool '%.*s', which is not in 'tools'.", param, STR_F(str_sub(names[k], 0, 80)));
  }
  for(int i = 0; i < r->tool_n; i++)
    for(int k = 0; k < n; k++)
      if(str_eq(r->tools[i].name, names[k])) {
        r->tools[kept++] = r->tools[i];
        break;
      }
  r->tool_n = kept;
  return Q_OK;
}

/* ---- messages ---- */

struct str in_without_think(struct str s)
{
  struct str t = str_trim(s);
  if(!str_starts(t, S("<think>"))) return s;
  ptrdiff_t end = str_find(t, S("</think>"));
  return end < 0 ? s : str_trim(str_sub(t, (size_t)end + 8, t.n));
}

static bool in_says(const struct chat_msg *m)
{
  if(m->call_n || m->role == ROLE_TOOL) return true;
  for(int i = 0; i < m->part_n; i++)
    if(m->parts[i].media || m->parts[i].text.n) return true;
  return false;
}

enum q_status in_check(struct chat_req *r, const char *messages, struct q_error *e)
{
  bool any = false;
  for(int i = 0; i < r->msg_n; i++) any |= in_says(&r->msgs[i]);
  if(!any) return status_fail(e, Q_BAD_VALUE, messages, "All messages are empty: there is nothing to answer.");
  if(r->n < 1) r->n = 1;
  if(r->tool_choice == TOOL_OFF) r->tool_n = 0;
  if((r->tool_choice == TOOL_REQUIRED || r->tool_choice == TOOL_NAMED) && r->tool_n == 0)
    return status_fail(e, Q_BAD_VALUE, "tool_choice", "'tool_choice' asks for a tool, but 'tools' has none.");
  if(r->tool_n == 0) r->tool_choice = TOOL_OFF;
  return Q_OK;
}
