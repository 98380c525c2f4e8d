#include "domain/share.h"

#include <stdio.h>
#include <time.h>

#include "domain/accounts.h"
#include "domain/keys_admin.h"
#include "domain/settings.h"

enum {
  SHARE_LOCK_MS = 120 * 1000, /* longer than a sign-in with all its repetitions */
  SHARE_LOOK_MS = 200
};

static void share_changed(void *ctx, struct str key)
{
  struct app *a = ctx;
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = Q_OK;
  if(str_starts(key, S("acct/"))) st = accounts_reload_one(a, key);
  else if(str_starts(key, S("set/"))) st = settings_load(a, &e);
  else if(str_starts(key, S("key/"))) st = keys_admin_changed(a->keys, key, now_wall_ms(a->now));
  if(st) LOG_WARN(a->log, "redis", "", "a change of another gateway could not be taken over: %s", e.msg[0] ? e.msg : status_row(st)->text);
}

static void share_lost(void *ctx)
{
  struct app *a = ctx;
  accounts_touch(a); /* the keeper writes them */
  if(keys_admin_restore(a->keys)) LOG_WARN(a->log, "redis", "", "the keys could not be written again");
}

enum q_status share_start(struct app *a, struct q_error *e)
{
  struct store_watch w = { share_changed, share_lost, a };
  if(!store_shared(a->store)) return Q_OK;
  return a->store->ops->watch(a->store, &w) ? status_fail(e, Q_NOMEM, NULL, "Out of memory.") : Q_OK;
}

/* ---- renewals ---- */

/* Whether what was to be replaced is replaced already. */
static bool share_renewed(struct app *a, struct account *account, bool grant, unsigned no)
{
  struct pool_login who = { .password = NULL };
  bool there = pool_login_get(a->pool, account, &who);
  bool renewed = there && (grant ? who.grant_no : who.token_no) != no;
  if(there) pool_login_free(&who);
  return renewed;
}

/* The record may be news that was not told yet. */
static void share_look(struct app *a, const struct account *account)
{
  struct strbuf key = STRBUF(1024);
  strbuf_lit(&key, "acct/");
  strbuf_addz(&key, account->email);
  if(!key.err) (void)accounts_reload_one(a, strbuf_str(&key));
  strbuf_free(&key);
}

bool share_renewal_begin(struct app *a, struct account *account, bool grant, unsigned no, struct share_lock *l)
{
  int64_t end = now_mono_ms(a->now) + SHARE_LOCK_MS;
  *l = (struct share_lock){ .held = false };
  if(!store_shared(a->store) || account->unstored || account->removed) return true;
  snprintf(l->name, sizeof l->name, "%s%s", grant ? "grant/" : "", account->id);
  for(;;) {
    enum q_status st = a->store->ops->lock(a->store, str_z(l->name), SHARE_LOCK_MS, l->token);
    if(st == Q_OK) {
      l->held = true;
      share_look(a, account);
      if(!share_renewed(a, account, grant, no)) return true;
      share_renewal_end(a, l);
      return false;
    }
    if(share_renewed(a, account, grant, no)) return false;
    if(st != Q_EXISTS || now_mono_ms(a->now) >= end || atomic_load(&a->draining)) return true;
    nanosleep(&(struct timespec){ 0, SHARE_LOOK_MS * 1000000 }, NULL);
  }
}

void share_renewal_end(struct app *a, struct share_lock *l)
{
  if(!l->held) return;
  l->held = false;
  if(accounts_save(a)) LOG_WARN(a->log, "store", "", "a renewed token could not be stored yet");
  a->store->ops->unlock(a->store, str_z(l->name), l->token);
}
