#include "proto/json_answer.h"

#include "proto/json_fix.h"

enum { JSON_ANSWER_TRIES = 8 };

struct json_answer_best {
  const struct json *value;
  struct str text;   /* as it was written */
  bool repaired;
  int rank;          /* 0 none, then repaired scalar or array, clean one, repaired object, clean object */
  struct schema_fault fault;
};

static bool json_answer_fits(enum chat_format format, const struct json *schema, const struct json *v, struct schema_fault *fault)
{
  *fault = (struct schema_fault){ "", "" };
  if(format == FORMAT_SCHEMA) return schema_check(schema, v, fault);
  if(v->type == JSON_OBJECT) return true;
  str_copy(fault->words, sizeof fault->words, S("must be an object"));
  return false;
}

/* Looks at one value; true: it fits, and *best is it. */
static bool json_answer_look(enum chat_format format, const struct json *schema, struct json_answer_best *best, struct json_answer_best *c)
{
  bool fits = json_answer_fits(format, schema, c->value, &c->fault);
  c->rank = 1 + !c->repaired + 2 * (c->value->type == JSON_OBJECT);
  if(fits || c->rank > best->rank) *best = *c;
  return fits;
}

/* Whether a bracket that no value could be made of was meant as JSON: then what stands within is no answer of its own. */
static bool json_answer_meant(struct str s)
{
  struct str within = str_trim(str_sub(s, 1, s.n));
  return within.n && strchr(s.p[0] == '{' ? "\"'\xe2" : "\"{[", within.p[0]);
}

/* Looks at the values that stand in text one after the other. */
static enum q_status json_answer_search(struct arena *a, struct str text, enum chat_format format, const struct json *schema, bool repair,
                                        struct json_answer_best *best)
{
  struct str rest = text;
  for(int i = 0; i < JSON_ANSWER_TRIES && rest.n; i++) {
    struct json_answer_best c = { .text = json_fix_find(rest) };
    if(!c.text.n) break;
    bool bracket = c.text.p[0] == '{' || c.text.p[0] == '[';
    if(!bracket && i) break;
    rest = str_of(c.text.p, (size_t)(text.p + text.n - c.text.p));
    enum q_status st = json_fix(a, c.text, &c.value, &c.repaired);
    if(st == Q_BAD_JSON && bracket && rest.n > c.text.n) st = json_fix(a, rest, &c.value, &c.repaired); /* an unescaped quote hid the end */
    if(st == Q_NOMEM) return st;
    if(!st && c.repaired <= repair && json_answer_look(format, schema, best, &c)) return Q_OK;
    rest = str_sub(rest, st && !json_answer_meant(c.text) ? 1 : c.text.n, rest.n);
  }
  return best->value ? Q_BAD_VALUE : Q_BAD_JSON;
}

enum q_status json_answer(struct arena *a, struct str text, enum chat_format format, const struct json *schema, struct strbuf *out,
                          struct schema_fault *fault)
{
  struct json_answer_best best = { 0 };
  struct json_error e = { 0 };
  text = str_trim(text);
  best.value = json_parse(a, text, JSON_FIX_DEPTH, &e);
  if(best.value) best.text = text;
  if(!best.value && !e.expected) return Q_NOMEM;
  enum q_status st = Q_BAD_JSON;
  if(best.value) st = json_answer_fits(format, schema, best.value, &best.fault) ? Q_OK : Q_BAD_VALUE;
  else st = json_answer_search(a, text, format, schema, false, &best);
  if(st != Q_OK && best.text.n != text.n) st = st == Q_NOMEM ? st : json_answer_search(a, text, format, schema, true, &best);
  if(fault) *fault = best.fault;
  if(st != Q_OK && st != Q_BAD_VALUE) return st;
  if(best.repaired) json_write(best.value, out);
  else strbuf_adds(out, best.text);
  return out->err ? out->err : st;
}
