/* Work on many accounts (api 9.1): added or renewed by tasks, which are looked at, followed and cancelled. All run in jobs. */
#include "base/mem.h"
#include "domain/tasks.h"
#include "http/h_account.h"
#include "http/handlers.h"
#include "http/live.h"

enum {
  H_TASKS_WAIT_MS = 120 * 1000,  /* how long an answer waits for a task's end */
  H_TASKS_NAMES = 5000,          /* failed names in an answer */
  H_TASKS_EVENT_NAMES = 200,
  H_TASKS_FEW = 5                /* renewals that are waited for */
};

static void h_tasks_answer(struct req *q, int status, struct str id, bool wrote)
{
  struct strbuf b = STRBUF(H_ACCOUNT_PAGE_MAX);
  unsigned version;
  bool over;
  if(tasks_write(q->app->tasks, id, H_TASKS_NAMES, &b, &version, &over)) {
    req_fail_st(q, Q_NOT_FOUND, NULL, "There is no such task, or it ended more than 30 minutes ago.");
    strbuf_free(&b);
  } else if(wrote && !b.err) {
    b.n--;
    h_account_wrote(q, status, &b);
  } else {
    h_account_send(q, status, &b);
  }
}

static void h_tasks_failed(struct req *q, enum q_status st, const char *what)
{
  struct q_error e = Q_ERROR_NONE;
  switch(st) {
  case Q_TOO_BIG: status_fail(&e, Q_BAD_VALUE, what, "'%s' has more than %d entries.", what, ACCOUNT_LIST_MAX); break;
  case Q_OVERLOADED: status_fail(&e, st, NULL, "Too many tasks wait already."); break;
  case Q_SHUTDOWN: status_fail(&e, st, NULL, "The gateway is shutting down; send the request again."); break;
  default: status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  }
  req_fail(q, &e);
}

/* The accounts of a body: {"accounts": lines or array}, an array, or a data.json (whose accounts are such an array). */
static enum q_status h_tasks_list(const struct json *body, struct account_list *list)
{
  const struct json *accounts = json_is(body, JSON_ARRAY) ? body : json_get(body, "accounts");
  if(json_is(accounts, JSON_STRING)) return account_list_lines(list, accounts->text);
  if(json_is(accounts, JSON_ARRAY)) return account_list_array(list, accounts);
  return Q_MISSING;
}

void h_tasks_new(struct req *q)
{
  struct account_list list = { .v = NULL };
  char id[TASKS_ID];
  bool async = true;
  const struct json *body = req_json(q);
  if(!body) return;
  (void)json_bool(json_get(body, "async"), &async);
  enum q_status st = h_tasks_list(body, &list);
  if(st == Q_MISSING) {
    req_fail_st(q, Q_MISSING, "accounts", "'accounts' is missing: lines of email:password[|proxy], or an array of accounts.");
    return;
  }
  if(!st && !list.n && !list.bad_total) {
    account_list_free(&list);
    req_fail_st(q, Q_BAD_VALUE, "accounts", "'accounts' has no entry.");
    return;
  }
  if(st) account_list_free(&list);
  else st = tasks_add(q->app->tasks, &list, id);
  if(st) {
    h_tasks_failed(q, st, "accounts");
    return;
  }
  if(!async) tasks_wait(q->app->tasks, str_z(id), H_TASKS_WAIT_MS);
  struct tasks_sums sums = { .over = false };
  (void)tasks_sums(q->app->tasks, str_z(id), &sums);
  h_tasks_answer(q, async || !sums.over ? 202 : 200, str_z(id), true);
}

void h_tasks(struct req *q)
{
  struct strbuf b = STRBUF(H_ACCOUNT_PAGE_MAX);
  tasks_write_all(q->app->tasks, &b);
  h_account_send(q, 200, &b);
}

/* ---- one: looked at, or followed ---- */

struct h_tasks_live { struct tasks *tasks; char id[TASKS_ID]; unsigned told; };

static bool h_tasks_more(void *ctx, struct strbuf *b)
{
  struct h_tasks_live *l = ctx;
  bool over = true;
  unsigned version = tasks_version(l->tasks, str_z(l->id));
  if(version == l->told) return version != 0;
  strbuf_lit(b, "data: ");
  size_t from = b->n;
  if(tasks_write(l->tasks, str_z(l->id), H_TASKS_EVENT_NAMES, b, &version, &over)) {
    b->n = from - 6;
    return false;
  }
  strbuf_lit(b, "\n\n");
  l->told = version;
  return !over;
}

static void h_tasks_live_free(void *ctx)
{
  mem_free(ctx);
}

static void h_tasks_follow(struct req *q, struct str id)
{
  static const struct live_ops ops = { h_tasks_more, h_tasks_live_free };
  struct h_tasks_live *l = mem_zalloc(sizeof *l);
  if(!l) {
    req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
    return;
  }
  l->tasks = q->app->tasks;
  str_copy(l->id, sizeof l->id, id);
  if(tasks_version(l->tasks, str_z(l->id))) {
    live_start(q, &ops, l);
    return;
  }
  mem_free(l);
  req_fail_st(q, Q_NOT_FOUND, NULL, "There is no such task, or it ended more than 30 minutes ago.");
}

void h_tasks_one(struct req *q)
{
  struct str id = q->rest;
  if(str_ends(id, S("/events"))) h_tasks_follow(q, str_sub(id, 0, id.n - 7));
  else h_tasks_answer(q, 200, id, false);
}

void h_tasks_cancel(struct req *q)
{
  if(tasks_cancel(q->app->tasks, q->rest)) {
    req_fail_st(q, Q_NOT_FOUND, NULL, "There is no such task, or it ended more than 30 minutes ago.");
    return;
  }
  tasks_wait(q->app->tasks, q->rest, 500); /* mostly its end is in the answer */
  h_tasks_answer(q, 200, q->rest, false);
}

/* ---- renewing many ---- */

static int h_tasks_count(struct str names)
{
  int n = 0;
  for(size_t i = 0; i < names.n; i++) n += names.p[i] == '\n';
  return n;
}

/* The task's end is waited for, unless it takes too long: then it is told of as a task. */
static void h_tasks_renewed(struct req *q, struct str id, int total, bool forced)
{
  struct tasks_sums sums = { .over = false };
  struct strbuf b = STRBUF(H_ACCOUNT_PAGE_MAX);
  tasks_wait(q->app->tasks, id, H_TASKS_WAIT_MS);
  if(!tasks_sums(q->app->tasks, id, &sums) || !sums.over) {
    h_tasks_answer(q, 202, id, true);
    return;
  }
  strbuf_fmt(&b, "{\"refreshedCount\":%d", sums.success);
  if(forced) strbuf_fmt(&b, ",\"totalAccounts\":%d", total);
  strbuf_lit(&b, ",\"failed\":");
  tasks_write_failed(q->app->tasks, id, &b);
  h_account_wrote(q, 200, &b);
}

static void h_tasks_renew(struct req *q, int64_t before_ms, bool forced)
{
  struct strbuf names = STRBUF(32 * 1024 * 1024);
  char id[TASKS_ID];
  roster_renewable(q->app, before_ms, &names);
  int total = h_tasks_count(strbuf_str(&names));
  enum q_status st = names.err ? names.err : tasks_refresh(q->app->tasks, strbuf_str(&names), id);
  strbuf_free(&names);
  if(st) h_tasks_failed(q, st, "accounts");
  else if(forced && total > H_TASKS_FEW) h_tasks_answer(q, 202, str_z(id), true);
  else h_tasks_renewed(q, str_z(id), total, forced);
}

void h_tasks_refresh(struct req *q)
{
  double hours = 24;
  const struct json *body = str_trim(q->body).n ? req_json(q) : NULL, *said = json_get(body, "thresholdHours");
  if(!body && str_trim(q->body).n) return;
  if(!json_absent(said) && (!json_number(said, &hours) || hours < 0 || hours > 24 * 366)) {
    req_fail_st(q, Q_BAD_VALUE, "thresholdHours", "'thresholdHours' must be a number of hours from 0 to 8784.");
    return;
  }
  h_tasks_renew(q, now_wall_ms(q->app->now) + (int64_t)(hours * 3600 * 1000) + 1, false);
}

void h_tasks_refresh_all(struct req *q)
{
  h_tasks_renew(q, 0, true);
}
