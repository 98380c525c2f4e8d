#include "net/redis.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/mem.h"
#include "net/conn.h"
#include "proto/url.h"

enum { REDIS_COMMAND_MAX = 64 * 1024 * 1024, REDIS_LOGIN_MAX = 4096 };

struct redis {
  const struct now *now;
  struct conn_env env;
  struct conn *conn;
  struct resp_reader *reader;
  struct pump_task wake;
  atomic_bool woken;
  bool broken;
  char where[300]; /* host:port */
};

static void redis_on_event(struct conn *c, void *owner)
{
  (void)c;
  (void)owner; /* it ends the turn; whoever waits looks again */
}

static void redis_on_wake(struct pump_task *t)
{
  (void)t;
}

static enum q_status redis_fail(struct redis *r, struct q_error *e, const char *words)
{
  r->broken = true;
  return status_fail(e, Q_STORE, NULL, "Redis at %s: %s", r->where, words);
}

/* One turn of the loop; false: the time is over. */
static bool redis_turn(struct redis *r, int64_t until_ms)
{
  int64_t left = until_ms - now_mono_ms(r->now);
  if(left <= 0) return false;
  pump_turn(r->env.pump, left > 1000 ? 1000 : (int)left);
  return true;
}

/* The words of a connection that failed. */
static enum q_status redis_lost(struct redis *r, struct q_error *e)
{
  const char *words = conn_words(r->conn);
  return redis_fail(r, e, words[0] ? words : "the connection was lost.");
}

enum q_status redis_send(struct redis *r, struct str out, int64_t wait_ms, struct q_error *e)
{
  int64_t until = now_mono_ms(r->now) + wait_ms;
  if(r->broken) return redis_fail(r, e, "the connection was lost.");
  while(out.n || !conn_flushed(r->conn)) {
    size_t took = 0;
    if(out.n && conn_write(r->conn, out.p, out.n, &took)) return redis_lost(r, e);
    out = str_sub(out, took, out.n);
    if(!took && (out.n || !conn_flushed(r->conn)) && !redis_turn(r, until)) return redis_fail(r, e, "it took nothing in time.");
  }
  return Q_OK;
}

/* Moves what arrived to the reader. Q_AGAIN: nothing was there. */
static enum q_status redis_take(struct redis *r, struct q_error *e)
{
  struct str in;
  enum q_status st = conn_read(r->conn, &in);
  if(st == Q_AGAIN) return st;
  if(st == Q_EOF) return redis_fail(r, e, "it closed the connection.");
  if(st) return redis_lost(r, e);
  st = resp_feed(r->reader, in.p, in.n);
  conn_took(r->conn, in.n);
  return st ? redis_fail(r, e, "its answer is larger than it may be.") : Q_OK;
}

enum q_status redis_reply(struct redis *r, int64_t wait_ms, const struct resp **out, struct q_error *e)
{
  int64_t until = now_mono_ms(r->now) + wait_ms;
  if(r->broken) return redis_fail(r, e, "the connection was lost.");
  for(;;) {
    enum q_status st = resp_next(r->reader, out);
    if(!st) return Q_OK;
    if(st != Q_AGAIN) return redis_fail(r, e, st == Q_TOO_BIG ? "its answer is larger than it may be." : "this is not a Redis server's answer.");
    st = redis_take(r, e);
    if(st == Q_STORE) return st;
    if(st == Q_AGAIN && (atomic_exchange(&r->woken, false) || !redis_turn(r, until))) return Q_AGAIN;
  }
}

enum q_status redis_call(struct redis *r, int n, const struct str *args, int64_t wait_ms, const struct resp **out, struct q_error *e)
{
  struct strbuf b = STRBUF(REDIS_COMMAND_MAX);
  resp_command(&b, n, args);
  enum q_status st = b.err ? status_fail(e, Q_STORE, NULL, "Out of memory.") : redis_send(r, strbuf_str(&b), wait_ms, e);
  if(!st) st = redis_reply(r, wait_ms, out, e);
  if(b.p) crypt_wipe(b.p, b.n);
  strbuf_free(&b);
  return st == Q_AGAIN ? redis_fail(r, e, "it did not answer in time.") : st;
}

void redis_wake(struct redis *r)
{
  if(!atomic_exchange(&r->woken, true)) pump_post(r->env.pump, &r->wake);
}

/* ---- birth ---- */

/* The server's words on a refused sign-in hold no secret, but a proxy's or an impostor's might: only their first word is told. */
static enum q_status redis_refused(struct redis *r, const char *what, const struct resp *reply, struct q_error *e)
{
  char words[120], kind[24];
  struct str rest = reply->text;
  str_copy(kind, sizeof kind, str_cut(&rest, ' '));
  for(char *p = kind; *p; p++)
    if(*p < 'A' || *p > 'Z') *p = '?';
  snprintf(words, sizeof words, "it refused %s (%s).", what, kind);
  return redis_fail(r, e, words);
}

static enum q_status redis_sign_in(struct redis *r, const struct url *u, int64_t wait_ms, struct q_error *e)
{
  struct strbuf user = STRBUF(REDIS_LOGIN_MAX), pass = STRBUF(REDIS_LOGIN_MAX);
  const struct resp *reply;
  enum q_status st = Q_OK;
  int64_t db = 0;
  if(!codec_unpercent(u->user, false, &user) || !codec_unpercent(u->pass, false, &pass)) st = redis_fail(r, e, "user or password of REDIS_URL cannot be read.");
  if(!st && pass.n) {
    struct str args[] = { S("AUTH"), strbuf_str(&user), strbuf_str(&pass) };
    if(!user.n) args[1] = args[2];
    st = redis_call(r, user.n ? 3 : 2, args, wait_ms, &reply, e);
    if(!st && reply->kind == RESP_ERROR) st = redis_refused(r, "the user or password", reply, e);
  }
  struct str path = u->path.n ? str_sub(u->path, 1, u->path.n) : STR_NONE;
  struct str name = str_cut(&path, '?');
  if(!st && name.n) {
    if(!str_int(name, &db) || db < 0) st = redis_fail(r, e, "the database of REDIS_URL is no number.");
    if(!st) st = REDIS_CALL(r, wait_ms, &reply, e, S("SELECT"), name);
    if(!st && reply->kind == RESP_ERROR) st = redis_refused(r, "the database", reply, e);
  }
  if(!st) st = REDIS_CALL(r, wait_ms, &reply, e, S("PING"));
  if(!st && !resp_is(reply, S("PONG"))) st = reply->kind == RESP_ERROR ? redis_refused(r, "to serve", reply, e) : redis_fail(r, e, "this is not a Redis server's answer.");
  if(pass.p) crypt_wipe(pass.p, pass.n);
  strbuf_free(&pass);
  strbuf_free(&user);
  return st;
}

struct redis *redis_open(const struct redis_want *w, struct q_error *e)
{
  struct url u;
  struct redis *r = mem_zalloc(sizeof *r);
  if(!r || !url_split(w->url, &u)) {
    status_fail(e, r ? Q_BAD_VALUE : Q_NOMEM, "REDIS_URL", r ? "REDIS_URL cannot be read." : "Out of memory.");
    mem_free(r);
    return NULL;
  }
  snprintf(r->where, sizeof r->where, "%.*s:%d", STR_F(u.host), u.port);
  r->now = w->now;
  r->wake.fn = redis_on_wake;
  r->reader = resp_reader_new(w->reply_max);
  r->env.net = w->net;
  r->env.pump = r->reader ? pump_new(w->now) : NULL;
  r->env.may_block = true;
  int64_t until = now_mono_ms(w->now) + w->connect_ms;
  struct conn_want cw = { .host = u.host, .port = u.port, .tls = url_tls(&u), .deadline_ms = until };
  if(r->env.pump) r->conn = conn_open(&r->env, &cw, redis_on_event, r);
  enum q_status st = r->conn ? Q_OK : redis_fail(r, e, "out of memory.");
  while(!st && conn_status(r->conn) == Q_AGAIN)
    if(!redis_turn(r, until + 100)) st = redis_fail(r, e, "no connection in time.");
  if(!st && conn_status(r->conn)) st = redis_lost(r, e);
  if(!st) st = redis_sign_in(r, &u, w->connect_ms, e);
  if(!st) return r;
  redis_close(r);
  return NULL;
}

void redis_close(struct redis *r)
{
  if(!r) return;
  conn_close(r->conn);
  if(r->env.pump) pump_turn(r->env.pump, 0); /* what waits to be buried */
  tls_bufs_free(&r->env.bufs);
  pump_destroy(r->env.pump);
  resp_reader_destroy(r->reader);
  mem_free(r);
}
