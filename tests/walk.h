/* walk.h - walks every field of a kind of request: each value is honoured, refused with the field's path, or named as ignored.
 *
 * Threads: pure.
 * A row says what the request is once it was read (walk_show: all that is not as at birth), or "!code param" for a refusal. A field
 * of the list without a row that shows, refuses or names something is a failure: what says nothing at all was dropped in silence.
 * born: what the least request shows. */
#ifndef Q2A_TESTS_WALK_H
#define Q2A_TESTS_WALK_H

#include "proto/chat_req.h"
#include "t.h"

struct walk_row { const char *field, *value, *got; }; /* field: dotted for a member of an object */
typedef enum q_status walk_read(struct arena *a, const struct json *body, struct strbuf *shown, struct q_error *e);

static inline void walk_show(const struct chat_req *r, struct strbuf *b)
{
  static const char *const kinds[] = { "", "t2t", "search", "t2i", "edit", "t2v" }, *const sizes[] = { "", "1:1", "4:3", "3:4", "16:9", "9:16" };
  static const char *const choices[] = { "auto", "off", "required", "named" }, *const outs[] = { "", "field", "tags", "none" };
  if(r->model.n) strbuf_fmt(b, " model=%.*s", STR_F(r->model));
  if(r->msg_n != 1) strbuf_fmt(b, " turns=%d", r->msg_n);
  if(r->stream) strbuf_lit(b, " stream");
  if(r->include_usage != USAGE_UNSET) strbuf_fmt(b, " usage=%s", r->include_usage == USAGE_YES ? "yes" : "no");
  if(r->think != THINK_UNSET) strbuf_fmt(b, " think=%s", r->think == THINK_ON ? "on" : "off");
  if(r->think_budget) strbuf_fmt(b, " budget=%d", r->think_budget);
  if(r->hide_reasoning) strbuf_lit(b, " hidden");
  if(r->think_out != THINK_OUT_DEFAULT) strbuf_fmt(b, " as=%s", outs[r->think_out]);
  if(r->search) strbuf_lit(b, " search");
  if(r->kind != CHAT_UNSET) strbuf_fmt(b, " kind=%s", kinds[r->kind]);
  for(int i = 0; i < r->tool_n; i++) strbuf_fmt(b, "%s%.*s%s", i ? "," : " tools=", STR_F(r->tools[i].name), r->tools[i].strict ? "!" : "");
  if(r->tool_n || r->tool_choice != TOOL_OFF) if(r->tool_choice != TOOL_AUTO) strbuf_fmt(b, " choice=%s", choices[r->tool_choice]);
  if(r->one_call) strbuf_lit(b, " one");
  if(r->functions) strbuf_lit(b, " functions");
  if(r->format != FORMAT_TEXT) strbuf_fmt(b, " format=%s%s", r->format == FORMAT_JSON ? "json" : "schema", r->schema_strict ? "!" : "");
  if(r->n != 1) strbuf_fmt(b, " n=%d", r->n);
  if(r->size != SIZE_NONE) strbuf_fmt(b, " size=%s", sizes[r->size]);
  for(int i = 0; i < r->stop_n; i++) strbuf_fmt(b, " stop=%.*s", STR_F(r->stop[i]));
  if(r->max_tokens) strbuf_fmt(b, " max=%lld", (long long)r->max_tokens);
  if(r->ignored.n) strbuf_fmt(b, " ignored=%.*s", STR_F(r->ignored));
}

/* base: the members of the least request. The value of a row may bring other members along. */
static inline void walk_one(const char *base, const struct walk_row *row, walk_read *read)
{
  struct arena a = ARENA(4 << 20);
  struct strbuf body = STRBUF(1 << 20), shown = STRBUF(1 << 16);
  struct q_error e = Q_ERROR_NONE;
  const char *dot = strchr(row->field, '.');
  if(dot) strbuf_fmt(&body, "{%s,\"%.*s\":{\"%s\":%s}}", base, (int)(dot - row->field), row->field, dot + 1, row->value);
  else strbuf_fmt(&body, "{%s,\"%s\":%s}", base, row->field, row->value);
  const struct json *json = json_parse(&a, strbuf_str(&body), 50, NULL);
  CHECK(json != NULL);
  enum q_status st = read(&a, json, &shown, &e);
  CHECK_INT(st, e.st);
  if(st) {
    CHECK_INT(status_row(st)->http, 400);
    CHECK(e.msg[0]);
    strbuf_clear(&shown);
    strbuf_fmt(&shown, " !%s %s", status_row(st)->code, e.param);
  }
  struct str got = strbuf_str(&shown);
  CHECK_STR(got.n ? str_sub(got, 1, got.n) : got, str_z(row->got));
  strbuf_free(&body);
  strbuf_free(&shown);
  arena_free(&a);
}

static inline void walk(const char *base, const char *const *fields, const struct walk_row *rows, int n, walk_read *read, const char *born)
{
  static char name[160];
  for(int i = 0; i < n; i++) {
    snprintf(name, sizeof name, "%s: %.100s", rows[i].field, rows[i].value);
    t_row = name;
    walk_one(base, &rows[i], read);
  }
  for(int k = 0; fields[k]; k++) {
    struct walk_row null = { fields[k], "null", born };
    bool told = false;
    t_row = fields[k];
    for(int i = 0; i < n; i++) told |= strcmp(rows[i].field, fields[k]) == 0 && strcmp(rows[i].got, born) != 0;
    CHECK(told);
    if(!strstr(base, fields[k])) walk_one(base, &null, read); /* null is the same as absent */
  }
}
#define WALK(base, fields, rows, read, born) walk(base, fields, rows, (int)(sizeof rows / sizeof rows[0]), read, born)

#endif
