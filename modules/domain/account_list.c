#include "domain/account_list.h"

#include <stdlib.h>

#include "base/mem.h"

void account_list_free(struct account_list *l)
{
  for(int i = 0; i < l->n; i++) account_fields_free(&l->v[i].f);
  mem_free(l->v);
  mem_free(l->bad);
  *l = (struct account_list){ .v = NULL };
}

static enum q_status list_bad(struct account_list *l, int at, struct str reason)
{
  l->bad_total++;
  if(l->bad_n == ACCOUNT_LIST_BAD) return Q_OK;
  if(l->bad_n % 64 == 0) {
    void *more = mem_realloc(l->bad, (size_t)(l->bad_n + 64) * sizeof l->bad[0]);
    if(!more) return Q_NOMEM;
    l->bad = more;
  }
  l->bad[l->bad_n].at = at;
  str_copy(l->bad[l->bad_n++].reason, sizeof l->bad[0].reason, reason);
  return Q_OK;
}

/* Takes the fields over. */
static enum q_status list_add(struct account_list *l, const struct account_item *item)
{
  if(l->n == l->cap || l->n == ACCOUNT_LIST_MAX) {
    int cap = l->cap ? l->cap * 2 : 64;
    struct account_item *more = l->n < ACCOUNT_LIST_MAX ? mem_realloc(l->v, (size_t)cap * sizeof *more) : NULL;
    if(!more) {
      struct account_fields f = item->f;
      account_fields_free(&f);
      return l->n < ACCOUNT_LIST_MAX ? Q_NOMEM : Q_TOO_BIG;
    }
    l->v = more;
    l->cap = cap;
  }
  l->v[l->n++] = *item;
  return Q_OK;
}

static enum q_status list_line(struct account_list *l, struct str line, int at)
{
  struct account_item item = { .at = at };
  struct q_error e = Q_ERROR_NONE;
  line = str_trim(line);
  if(!line.n || line.p[0] == '#') return Q_OK;
  bool colon = str_chr(line, ':') >= 0;
  struct str proxy = line, who = str_cut(&proxy, '|'), email = str_cut(&who, ':');
  if(!colon || str_chr(str_sub(line, 0, email.n + 1), ':') < 0) return list_bad(l, at, S("there is no ':' between the address and the password"));
  enum q_status st = account_fields_line(&item.f, str_trim(email), str_trim(who), str_trim(proxy), &e);
  if(!st) return list_add(l, &item);
  account_fields_free(&item.f);
  return st == Q_NOMEM ? st : list_bad(l, at, str_z(e.msg));
}

/* ---- of one name the last ---- */

struct list_order { const char *name; int at; };

static int list_compare(const void *x, const void *y)
{
  const struct list_order *a = x, *b = y;
  int c = strcmp(a->name, b->name);
  return c ? c : a->at - b->at;
}

static enum q_status list_settle(struct account_list *l)
{
  struct list_order *o = mem_alloc((size_t)(l->n + 1) * sizeof *o);
  int kept = 0;
  if(!o) return Q_NOMEM;
  for(int i = 0; i < l->n; i++) o[i] = (struct list_order){ l->v[i].f.name, i };
  qsort(o, (size_t)l->n, sizeof *o, list_compare);
  for(int i = 0; i + 1 < l->n; i++)
    if(o[i].name[0] && strcmp(o[i].name, o[i + 1].name) == 0) l->v[o[i].at].at = 0; /* a later one has the name */
  mem_free(o);
  for(int i = 0; i < l->n; i++) {
    if(l->v[i].at) {
      if(kept != i) l->v[kept] = l->v[i];
      kept++;
      continue;
    }
    account_fields_free(&l->v[i].f);
    l->repeated++;
  }
  l->n = kept;
  return Q_OK;
}

enum q_status account_list_lines(struct account_list *l, struct str text)
{
  enum q_status st = Q_OK;
  if(str_starts(text, S("\xef\xbb\xbf"))) text = str_sub(text, 3, text.n);
  for(int at = 1; text.n && !st; at++) st = list_line(l, str_cut(&text, '\n'), at);
  return st ? st : list_settle(l);
}

static enum q_status list_object(struct account_list *l, const struct json *m, int at)
{
  struct account_item item = { .at = at };
  struct account *made = NULL;
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = account_fields_read(m, &item.f, &e);
  bool bare = item.f.kind == ACCOUNT_WEB && item.f.token && !item.f.name[0];
  if(!st && !bare) st = account_fields_make(&item.f, 0, &made, &e); /* whether they make an account */
  account_free(made);
  if(!st) return list_add(l, &item);
  account_fields_free(&item.f);
  return st == Q_NOMEM ? st : list_bad(l, at, str_z(e.msg));
}

enum q_status account_list_array(struct account_list *l, const struct json *array)
{
  enum q_status st = Q_OK;
  int at = 1;
  for json_each(m, array) {
    if(!st) st = json_is(m, JSON_STRING) ? list_line(l, m->text, at) : list_object(l, m, at);
    at++;
  }
  return st ? st : list_settle(l);
}
