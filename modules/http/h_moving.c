/* GET /api/export and POST /api/import (api 9.1): all accounts, settings and keys out, and in again. Both run in jobs. */
#include <stdio.h>

#include "domain/export.h"
#include "domain/import.h"
#include "http/h_account.h"
#include "http/handlers.h"

enum { H_MOVING_MAX = 512 * 1024 * 1024 };

/* 0 or 1 (true, false); false: answered already. */
static bool h_moving_flag(struct req *q, const char *name, bool *out)
{
  struct str s = h_account_query(q, str_z(name));
  bool yes = str_eq(s, S("1")) || str_ieq(s, S("true")), no = !s.n || str_eq(s, S("0")) || str_ieq(s, S("false"));
  struct q_error e = Q_ERROR_NONE;
  *out = yes;
  if(yes || no) return true;
  status_fail(&e, Q_BAD_VALUE, name, "'%s' must be 1 or 0.", name);
  req_fail(q, &e);
  return false;
}

/* A word of a list; false: answered already. */
static bool h_moving_word(struct req *q, const char *name, const char *const *words, int n, int *out)
{
  struct str s = h_account_query(q, str_z(name));
  struct strbuf all = STRBUF(256);
  struct q_error e = Q_ERROR_NONE;
  for(*out = 0; s.n && *out < n && !str_eq(s, str_z(words[*out])); (*out)++) {}
  if(*out < n) return true;
  for(int i = 0; i < n; i++) strbuf_fmt(&all, "%s%s", i ? i + 1 == n ? " or " : ", " : "", words[i]);
  status_fail(&e, Q_BAD_VALUE, name, "'%s' must be %s.", name, strbuf_z(&all));
  strbuf_free(&all);
  req_fail(q, &e);
  return false;
}

/* ---- out ---- */

static bool h_moving_take(void *ctx, struct str piece)
{
  struct strbuf *b = ctx;
  strbuf_adds(b, piece);
  return !b->err;
}

void h_export(struct req *q)
{
  static const char *const formats[] = { "json", "txt", "csv" };
  static const char *const types[] = { "application/json", "text/plain; charset=utf-8", "text/csv; charset=utf-8" };
  struct strbuf b = STRBUF(H_MOVING_MAX);
  struct export_want want = { .take = h_moving_take, .ctx = &b };
  char extra[200];
  int format;
  if(!h_moving_word(q, "format", formats, 3, &format) || !h_moving_flag(q, "secrets", &want.secrets)) return;
  want.format = (enum export_format)format;
  if(want.secrets) LOG_WARN(q->app->log, "export", q->id, "accounts and keys were exported with their secrets by an administrator at %s", q->peer);
  enum q_status st = export_run(q->app, &want);
  snprintf(extra, sizeof extra, "Cache-Control: no-store\r\nContent-Disposition: attachment; filename=\"%s.%s\"\r\n", format ? "accounts" : "data", formats[format]);
  if(st == Q_NOMEM || st == Q_CLIENT_GONE) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else if(st) req_fail_st(q, st, NULL, "The store cannot be read.");
  else req_answer(q, 200, str_z(types[format]), str_z(extra), strbuf_str(&b));
  if(b.p) crypt_wipe(b.p, b.n);
  strbuf_free(&b);
}

/* ---- in ---- */

static void h_import_answer(struct req *q, const struct import_done *d, const struct import_want *want)
{
  struct strbuf b = STRBUF(4 * 1024 * 1024);
  strbuf_fmt(&b, "{\"added\":%d,\"updated\":%d,\"skipped\":%d,\"invalid\":[", d->added, d->updated, d->skipped);
  for(int i = 0; i < d->bad_n; i++) {
    strbuf_addz(&b, i ? ",{\"line\":" : "{\"line\":");
    if(d->bad[i].line) strbuf_int(&b, d->bad[i].line);
    else strbuf_lit(&b, "null");
    strbuf_lit(&b, ",\"reason\":");
    strbuf_json(&b, str_z(d->bad[i].reason));
    strbuf_addc(&b, '}');
  }
  strbuf_fmt(&b, "],\"invalidTotal\":%d,\"keys\":{\"added\":%d,\"skipped\":%d},\"settings\":%d,\"dryRun\":%s", d->bad_total, d->keys, d->keys_skipped,
             d->settings, want->dry ? "true" : "false");
  if(!want->dry) {
    h_account_wrote(q, 200, &b);
    return;
  }
  strbuf_lit(&b, ",\"persisted\":false}");
  h_account_send(q, 200, &b);
}

void h_import(struct req *q)
{
  static const char *const modes[] = { "merge", "replace" };
  struct import_want want = { .replace = false };
  struct import_done done = { .added = 0 };
  struct q_error e = Q_ERROR_NONE;
  int mode;
  if(!h_moving_word(q, "mode", modes, 2, &mode) || !h_moving_flag(q, "dryRun", &want.dry)) return;
  want.replace = mode == 1;
  if(!str_trim(q->body).n) {
    req_fail_st(q, Q_EMPTY_BODY, NULL, "The request body is empty; send a data.json.");
    return;
  }
  enum q_status st = import_run(q->app, q->body, &want, &done, &e);
  if(st) req_fail(q, &e);
  else h_import_answer(q, &done, &want);
  import_done_free(&done);
}
