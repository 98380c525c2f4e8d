#include "proto/callbody.h"

#include "proto/json_fix.h"

enum { CALLBODY_ARENA_MAX = 160 * 1024 * 1024, CALLBODY_PARAMS_MAX = 8 * 1024 * 1024 };

static const char *const callbody_names[] = { "name", "tool", "tool_name", "function" };
static const char *const callbody_args[] = { "arguments", "parameters", "args", "input" };
enum { CALLBODY_WORDS = 4 };

static const struct json *callbody_first(const struct json *v, const char *const *keys)
{
  const struct json *found = NULL;
  for(int i = 0; i < CALLBODY_WORDS && !found; i++) found = json_get(v, keys[i]);
  return found;
}

/* Whether a text that is no JSON names a listed tool: "name" : "X", with any quotes or none. */
static bool callbody_names_one(const struct toolset *set, struct str body)
{
  for(int i = 0; i < CALLBODY_WORDS; i++) {
    struct str key = str_z(callbody_names[i]), rest = body;
    for(int tries = 0; tries < 8; tries++) {
      ptrdiff_t at = str_find(rest, key);
      if(at < 0) break;
      rest = str_sub(rest, (size_t)at + key.n, rest.n);
      size_t k = 0, from;
      while(k < rest.n && k < 16 && strchr("\"' \t\n\r:=\xe2\x80\x9c\x9d\xef\xbc\x9a\x82", rest.p[k])) k++;
      for(from = k; k < rest.n && k - from < 200 && !strchr("\"' \t\n\r,{}<>\xe2\xef", rest.p[k]);) k++;
      if(k > from && toolset_find(set, str_sub(rest, from, k - from)) >= 0) return true;
    }
  }
  return false;
}

/* Arguments written beside the name instead of within an object of their own. */
static const struct json *callbody_flat(const struct json *call, struct arena *a)
{
  static const char *const own[] = { "name", "tool", "tool_name", "function", "id", "call_id", "type" };
  struct json *args = arena_alloc(a, sizeof *args), **end = args ? &args->child : NULL;
  if(!args) return NULL;
  args->type = JSON_OBJECT;
  for json_each(m, call) {
    bool skip = false;
    for(size_t i = 0; i < sizeof own / sizeof own[0]; i++) skip |= str_eq(m->key, str_z(own[i]));
    if(skip) continue;
    struct json *copy = *end = arena_alloc(a, sizeof *copy);
    if(!copy) return NULL;
    *copy = *m;
    copy->next = NULL;
    end = &copy->next;
    args->count++;
  }
  return args;
}

static enum q_status callbody_take(struct callbody *c, const struct json *args, struct arena *a, struct strbuf *out)
{
  enum q_status st = toolset_args(c->set, c->tool, args, a, out, NULL);
  return st && st != Q_NOMEM ? Q_BAD_VALUE : st;
}

/* {"name":…,"arguments":…}, also within "function" as the API writes it. */
static enum q_status callbody_object(struct callbody *c, const struct json *v, struct arena *a, struct strbuf *out)
{
  if(json_is(json_get(v, "function"), JSON_OBJECT) && !json_get(v, "name")) v = json_get(v, "function");
  const struct json *name = callbody_first(v, callbody_names), *args = callbody_first(v, callbody_args);
  int tool = toolset_find(c->set, json_str(name));
  if(c->form == TAG_BODY_ARGS) { /* the name is known; the object may tell it again */
    bool again = tool == c->tool && args;
    return callbody_take(c, again ? args : v, a, out);
  }
  if(tool < 0 || (c->loose && !args)) return Q_BAD_JSON;
  c->tool = tool;
  if(!args && !(args = callbody_flat(v, a))) return Q_NOMEM;
  return callbody_take(c, args, a, out);
}

static enum q_status callbody_json(struct callbody *c, struct str body, struct arena *a, struct strbuf *out)
{
  const struct json *v;
  enum q_status st = json_fix(a, body, &v, &c->repaired);
  if(!st && json_is(v, JSON_STRING)) { /* the whole call as one JSON text */
    c->repaired = true;
    st = json_fix(a, v->text, &v, NULL);
  }
  if(!st && !json_is(v, JSON_OBJECT)) st = Q_BAD_JSON;
  if(!st) return callbody_object(c, v, a, out);
  if(st == Q_NOMEM) return st;
  return c->form == TAG_BODY_ARGS || callbody_names_one(c->set, body) ? Q_BAD_VALUE : Q_BAD_JSON;
}

/* ---- parameters ---- */

size_t callbody_value(struct str s)
{
  for(size_t at = 0;;) {
    size_t n;
    struct str name;
    ptrdiff_t end = str_find(str_sub(s, at, s.n), S("</parameter>"));
    if(end < 0) return s.n;
    at += (size_t)end;
    struct str next = str_sub(s, at + 12, s.n);
    while(next.n && strchr(" \t\r\n", next.p[0])) next = str_sub(next, 1, next.n);
    if(!next.n || tag_param(next, &n, &name) == TAG_YES || tag_close(next, false, &n) == TAG_YES) return at;
    at += 12; /* the value itself speaks of it */
  }
}

static enum q_status callbody_params(struct callbody *c, struct str body, struct arena *a, struct strbuf *out)
{
  struct strbuf args = STRBUF(CALLBODY_PARAMS_MAX);
  struct str name;
  size_t n;
  strbuf_addc(&args, '{');
  while(body.n && !c->cut) {
    ptrdiff_t lt = str_chr(body, '<');
    if(lt < 0) break;
    body = str_sub(body, (size_t)lt, body.n);
    if(tag_param(body, &n, &name) != TAG_YES) {
      body = str_sub(body, 1, body.n);
      continue;
    }
    body = str_sub(body, n, body.n);
    struct str value = str_sub(body, 0, callbody_value(body));
    body = str_sub(body, value.n + 12, body.n);
    if(args.n > 1) strbuf_addc(&args, ',');
    strbuf_json(&args, str_trim(name));
    strbuf_addc(&args, ':');
    toolset_raw_value(c->set, c->tool, str_trim(name), value, &args);
  }
  strbuf_addc(&args, '}');
  struct json_error e = { .expected = "" };
  const struct json *v = args.err || c->cut ? NULL : json_parse(a, strbuf_str(&args), JSON_FIX_DEPTH + 2, &e);
  enum q_status st = v ? callbody_take(c, v, a, out) : args.err == Q_NOMEM || !e.expected ? Q_NOMEM : Q_BAD_VALUE;
  strbuf_free(&args);
  return st;
}

enum q_status callbody_read(struct callbody *c, struct str body, struct strbuf *args)
{
  struct arena a = ARENA(CALLBODY_ARENA_MAX);
  c->repaired = false;
  enum q_status st = c->form == TAG_BODY_PARAMS ? callbody_params(c, body, &a, args) : callbody_json(c, body, &a, args);
  arena_free(&a);
  return st;
}
