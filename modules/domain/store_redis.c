/* Records as keys of a Redis server that several gateways share.
 *
 *   q2a:<key>      the record; counters are decimal numbers
 *   q2a:index      sorted set of all keys: an ordered scan without looking through what is not ours
 *   q2a:version    counts commits of common records (acct/ key/ set/)
 *   q2a:seq        sorted set: common key -> version of its last change, also of those that are gone
 *   q2a:changes    channel: "<writer> <version>\n<key>\n<key>..."
 *   q2a:batch:<id> a batch of counter deltas that was counted
 *   q2a:lock:<..>  locks, with expiry
 *
 * A commit watches the version, and is one MULTI..EXEC with its increase and the message. That orders the commits of all
 * gateways and makes the one that came late (its connection was lost, its bytes were not) fail. A gateway that misses a message
 * sees a gap in the versions, or another version at its look twice a second, and asks q2a:seq what it missed.
 * A batch of deltas has an id that is watched and set with it: a repetition after an unknown outcome finds it, or makes the
 * late first attempt fail. No scripts: some servers forbid them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/log.h"
#include "base/exit.h"
#include "base/mem.h"
#include "domain/store.h"
#include "net/redis.h"

enum {
  STORE_REDIS_FORMAT = 1,
  STORE_REDIS_CONNECT_MS = 3000,
  STORE_REDIS_CALL_MS = 5000,
  STORE_REDIS_AGAIN_MS = 300,      /* between tries to reach the server */
  STORE_REDIS_LOOK_MS = 500,       /* between looks at the version when no message comes */
  STORE_REDIS_APPLY_MS = 1000,     /* how long a commit waits for a change to be told */
  STORE_REDIS_IDLE = 4,            /* connections kept */
  STORE_REDIS_PAGE = 64,           /* records of a scan at once */
  STORE_REDIS_REPLY_MAX = 80 * 1024 * 1024,
  STORE_REDIS_OUT_MAX = 80 * 1024 * 1024,
  STORE_REDIS_TRIES = 100,         /* of a commit that others overtake */
  STORE_REDIS_HELD_MAX = 20000,    /* counters held while the server is away */
  STORE_REDIS_BATCH_S = 24 * 3600, /* how long a counted batch is remembered */
  STORE_REDIS_OWN = 32,
  STORE_REDIS_META = 8
};

struct store_redis_delta { char *key; int64_t by; };
struct store_redis_batch { struct store_redis_delta *v; int n, cap; char id[33]; };

struct store_redis {
  struct store store;
  struct store_redis_want want;
  char *url;
  char writer[17];
  pthread_mutex_t lock;            /* guards what follows, but is never held across the network */
  pthread_cond_t moved;            /* applied, ending */
  struct redis *idle[STORE_REDIS_IDLE];
  int idle_n;
  int64_t applied;                 /* common changes up to this version have been told */
  int64_t own[STORE_REDIS_OWN];    /* versions that this gateway made */
  unsigned own_at;
  struct { char key[24]; char value[600]; size_t n; } meta[STORE_REDIS_META]; /* what must survive a server that forgets */
  int meta_n;
  struct redis *sub;
  bool ending, watching;
  atomic_bool is_up;
  struct store_watch watch;
  pthread_t thread;
  pthread_mutex_t counting;        /* one batch at a time; held across the network */
  struct store_redis_batch sending, held; /* of unknown outcome; not tried yet */
};

/* ---- connections ---- */

static struct redis *store_redis_dial(struct store_redis *m, struct q_error *e)
{
  struct redis_want w = { m->want.net, m->want.now, str_z(m->url), STORE_REDIS_CONNECT_MS, STORE_REDIS_REPLY_MAX };
  return redis_open(&w, e);
}

/* An idle connection, or (none, or fresh) a new one. NULL: the server is away. */
static struct redis *store_redis_take(struct store_redis *m, bool fresh)
{
  struct redis *r = NULL, *old[STORE_REDIS_IDLE];
  int old_n = 0;
  struct q_error e = Q_ERROR_NONE;
  if(!atomic_load(&m->is_up)) return NULL;
  pthread_mutex_lock(&m->lock);
  while(fresh && m->idle_n) old[old_n++] = m->idle[--m->idle_n];
  if(m->idle_n) r = m->idle[--m->idle_n];
  pthread_mutex_unlock(&m->lock);
  while(old_n) redis_close(old[--old_n]);
  return r ? r : store_redis_dial(m, &e);
}

static void store_redis_give(struct store_redis *m, struct redis *r, bool good)
{
  pthread_mutex_lock(&m->lock);
  bool keep = good && m->idle_n < STORE_REDIS_IDLE && !m->ending;
  if(keep) m->idle[m->idle_n++] = r;
  pthread_mutex_unlock(&m->lock);
  if(!keep) redis_close(r);
}

/* From now on calls fail at once; the watching thread finds out when it is back. */
static void store_redis_down(struct store_redis *m)
{
  pthread_mutex_lock(&m->lock);
  bool was = m->watching && atomic_exchange(&m->is_up, false);
  if(was && m->sub) redis_wake(m->sub);
  pthread_mutex_unlock(&m->lock);
  if(was) LOG_WARN(m->want.log, "redis", "", "the server is away: accounts serve from memory, nothing can be changed");
}

/* Runs a talk that may be repeated: on a kept connection first, then, if that is dead, on a fresh one. */
static enum q_status store_redis_talk(struct store_redis *m, enum q_status (*talk)(struct store_redis *m, struct redis *r, void *ctx), void *ctx)
{
  enum q_status st = Q_STORE;
  if(fault_hit()) return Q_STORE;
  for(int fresh = 0; fresh < 2 && st == Q_STORE; fresh++) {
    struct redis *r = store_redis_take(m, fresh == 1);
    if(!r) break;
    st = talk(m, r, ctx);
    /* After anything unexpected there may be replies on their way that nobody waits for. */
    store_redis_give(m, r, st == Q_OK || st == Q_NOT_FOUND || st == Q_AGAIN || st == Q_EXISTS);
  }
  if(st == Q_STORE) store_redis_down(m);
  return st == Q_UP_BODY ? Q_STORE : st == Q_STORE ? Q_STORE_AWAY : st; /* Q_UP_BODY: the server said no; it is there */
}

static enum q_status store_redis_no(struct store_redis *m, const struct resp *reply)
{
  char kind[24];
  struct str rest = reply->kind == RESP_ERROR ? reply->text : S("?");
  str_copy(kind, sizeof kind, str_cut(&rest, ' '));
  LOG_ERROR(m->want.log, "redis", "", "the server refused a command (%s)", kind);
  return Q_UP_BODY;
}

static void store_redis_name(struct strbuf *b, struct str key)
{
  strbuf_clear(b);
  strbuf_lit(b, "q2a:");
  strbuf_adds(b, key);
}

static enum q_status store_redis_replies(struct redis *r, int n, const struct resp **last)
{
  enum q_status st = Q_OK;
  for(int i = 0; i < n && !st; i++) {
    st = redis_reply(r, STORE_REDIS_CALL_MS, last, NULL);
    if(st == Q_AGAIN) st = Q_STORE;
  }
  return st;
}

static bool store_redis_common(struct str key)
{
  return str_starts(key, S("acct/")) || str_starts(key, S("key/")) || str_starts(key, S("set/"));
}

/* ---- read ---- */

struct store_redis_get { struct str key; struct strbuf *value; };

static enum q_status store_redis_get_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_get *g = ctx;
  const struct resp *reply;
  struct strbuf name = STRBUF(2048);
  store_redis_name(&name, g->key);
  enum q_status st = name.err ? Q_UP_BODY : REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("GET"), strbuf_str(&name));
  strbuf_free(&name);
  if(st) return st;
  if(reply->kind == RESP_NIL) return Q_NOT_FOUND;
  if(reply->kind != RESP_TEXT) return store_redis_no(m, reply);
  strbuf_adds(g->value, reply->text);
  return g->value->err;
}

static enum q_status store_redis_get(struct store *s, struct str key, struct strbuf *value)
{
  return store_redis_talk((struct store_redis *)s, store_redis_get_talk, &(struct store_redis_get){ key, value });
}

struct store_redis_scan {
  struct str prefix;
  bool (*fn)(void *ctx, struct str key, struct str value);
  void *ctx;
  struct strbuf last; /* the key that was given last */
  struct strbuf keys; /* of a page, each ended by a line end */
  bool more;
};

/* The names of a page, then their records: copied in between, since a reply lives until the next. */
static enum q_status store_redis_names(struct store_redis *m, struct redis *r, struct store_redis_scan *s, int *n)
{
  const struct resp *reply;
  struct strbuf from = STRBUF(4096), to = STRBUF(4096);
  strbuf_addc(&from, s->last.n ? '(' : '[');
  strbuf_adds(&from, s->last.n ? strbuf_str(&s->last) : s->prefix);
  strbuf_addc(&to, '[');
  strbuf_adds(&to, s->prefix);
  strbuf_addc(&to, (char)0xff);
  enum q_status st = from.err || to.err ? Q_UP_BODY : REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("ZRANGEBYLEX"), S("q2a:index"), strbuf_str(&from), strbuf_str(&to), S("LIMIT"), S("0"), S("64"));
  strbuf_free(&from);
  strbuf_free(&to);
  if(st) return st;
  if(reply->kind != RESP_LIST) return store_redis_no(m, reply);
  strbuf_clear(&s->keys);
  for(size_t i = 0; i < reply->n && i < STORE_REDIS_PAGE; i++) {
    strbuf_adds(&s->keys, reply->items[i].text);
    strbuf_addc(&s->keys, '\n');
  }
  *n = (int)(reply->n < STORE_REDIS_PAGE ? reply->n : STORE_REDIS_PAGE);
  return s->keys.err;
}

static enum q_status store_redis_scan_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_scan *s = ctx;
  struct strbuf out = STRBUF(STORE_REDIS_OUT_MAX), name = STRBUF(4096);
  const struct resp *reply;
  int n = 0;
  enum q_status st = store_redis_names(m, r, s, &n);
  s->more = n == STORE_REDIS_PAGE;
  if(!st && n) {
    struct str keys = strbuf_str(&s->keys);
    strbuf_fmt(&out, "*%d\r\n$4\r\nMGET\r\n", n + 1);
    while(keys.n) {
      store_redis_name(&name, str_cut(&keys, '\n'));
      strbuf_fmt(&out, "$%zu\r\n", name.n);
      strbuf_adds(&out, strbuf_str(&name));
      strbuf_lit(&out, "\r\n");
    }
    st = out.err || name.err ? Q_UP_BODY : redis_send(r, strbuf_str(&out), STORE_REDIS_CALL_MS, NULL);
    if(!st) st = store_redis_replies(r, 1, &reply);
    if(!st && (reply->kind != RESP_LIST || reply->n != (size_t)n)) st = store_redis_no(m, reply);
  }
  struct str keys = strbuf_str(&s->keys);
  for(int i = 0; !st && i < n; i++) {
    struct str key = str_cut(&keys, '\n');
    const struct resp *v = resp_at(reply, (size_t)i);
    strbuf_clear(&s->last);
    strbuf_adds(&s->last, key);
    if(v->kind == RESP_TEXT && !s->fn(s->ctx, key, v->text)) { /* nil: deleted meanwhile */
      s->more = false;
      break;
    }
  }
  strbuf_free(&out);
  strbuf_free(&name);
  return st ? st : s->last.err;
}

static enum q_status store_redis_scan(struct store *store, struct str prefix, bool (*fn)(void *, struct str, struct str), void *ctx)
{
  struct store_redis_scan s = { .prefix = prefix, .fn = fn, .ctx = ctx, .last = STRBUF(4096), .keys = STRBUF(1 << 20), .more = true };
  enum q_status st = Q_OK;
  while(s.more && !st) st = store_redis_talk((struct store_redis *)store, store_redis_scan_talk, &s);
  strbuf_free(&s.last);
  strbuf_free(&s.keys);
  return st;
}

/* ---- commit ---- */

struct store_redis_commit {
  const struct store_op *ops;
  int n;
  bool common, claim; /* claim: only what is not there yet */
  int64_t version; /* before */
  int64_t ahead;   /* Q_AGAIN: a record was changed by this version */
};

static bool store_redis_own(struct store_redis *m, int64_t version)
{
  for(int i = 0; i < STORE_REDIS_OWN; i++)
    if(m->own[i] == version) return true;
  return false;
}

/* Watches the version, and looks whether a record of an account was changed by somebody and not told yet. */
static enum q_status store_redis_look(struct store_redis *m, struct redis *r, struct store_redis_commit *c)
{
  struct strbuf out = STRBUF(1 << 20);
  const struct resp *reply;
  int scores = 0;
  RESP(&out, S("WATCH"), S("q2a:version"));
  RESP(&out, S("GET"), S("q2a:version"));
  for(int i = 0; i < c->n; i++)
    if(!c->ops[i].del && str_starts(c->ops[i].key, S("acct/"))) {
      RESP(&out, S("ZSCORE"), S("q2a:seq"), c->ops[i].key);
      scores++;
    }
  enum q_status st = out.err ? Q_UP_BODY : redis_send(r, strbuf_str(&out), STORE_REDIS_CALL_MS, NULL);
  strbuf_free(&out);
  if(!st) st = store_redis_replies(r, 2, &reply);
  c->version = c->ahead = 0;
  if(!st && reply->kind != RESP_NIL && (reply->kind != RESP_TEXT || !str_int(reply->text, &c->version))) st = store_redis_no(m, reply);
  for(int i = 0; i < scores && !st; i++) {
    int64_t score = 0;
    st = store_redis_replies(r, 1, &reply);
    if(st || reply->kind != RESP_TEXT || !str_int(reply->text, &score)) continue;
    pthread_mutex_lock(&m->lock);
    bool ahead = m->watching && score > m->applied && !store_redis_own(m, score);
    pthread_mutex_unlock(&m->lock);
    if(ahead && score > c->ahead) c->ahead = score;
  }
  return st;
}

static int store_redis_op(struct strbuf *out, struct strbuf *name, const struct store_op *op, bool claim)
{
  store_redis_name(name, op->key);
  if(op->del) {
    RESP(out, S("DEL"), strbuf_str(name));
    RESP(out, S("ZREM"), S("q2a:index"), op->key);
  } else {
    if(claim) RESP(out, S("SET"), strbuf_str(name), op->value, S("NX"));
    else RESP(out, S("SET"), strbuf_str(name), op->value);
    RESP(out, S("ZADD"), S("q2a:index"), S("0"), op->key);
  }
  if(name->err) out->err = name->err;
  return 2;
}

/* The transaction's text; the number of its commands. */
static int store_redis_build(const struct store_redis *m, const struct store_redis_commit *c, struct strbuf *out)
{
  struct strbuf name = STRBUF(2048), note = STRBUF(1 << 20);
  char version[24];
  int n = 2;
  snprintf(version, sizeof version, "%lld", (long long)c->version + 1);
  RESP(out, S("MULTI"));
  strbuf_fmt(&note, "%s %s", m->writer, version);
  for(int i = 0; i < c->n; i++) {
    n += store_redis_op(out, &name, &c->ops[i], c->claim);
    if(!store_redis_common(c->ops[i].key)) continue;
    RESP(out, S("ZADD"), S("q2a:seq"), str_z(version), c->ops[i].key);
    strbuf_addc(&note, '\n');
    strbuf_adds(&note, c->ops[i].key);
    n++;
  }
  if(c->common) {
    RESP(out, S("SET"), S("q2a:version"), str_z(version));
    RESP(out, S("PUBLISH"), S("q2a:changes"), strbuf_str(&note));
    n += 2;
  }
  RESP(out, S("EXEC"));
  if(note.err) out->err = note.err;
  strbuf_free(&name);
  strbuf_free(&note);
  return n;
}

/* Q_NOT_FOUND: somebody was faster. */
static enum q_status store_redis_exec(struct store_redis *m, struct redis *r, const struct strbuf *out, int n, const struct resp **reply)
{
  enum q_status st = out->err ? Q_UP_BODY : redis_send(r, strbuf_str(out), STORE_REDIS_CALL_MS, NULL);
  if(!st) st = store_redis_replies(r, n, reply);
  if(st) return st;
  if((*reply)->kind == RESP_NIL) return Q_NOT_FOUND;
  if((*reply)->kind != RESP_LIST) return store_redis_no(m, *reply);
  for(size_t i = 0; i < (*reply)->n; i++)
    if((*reply)->items[i].kind == RESP_ERROR) return store_redis_no(m, &(*reply)->items[i]);
  return Q_OK;
}

static enum q_status store_redis_commit_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_commit *c = ctx;
  struct strbuf out = STRBUF(STORE_REDIS_OUT_MAX);
  const struct resp *reply;
  enum q_status st = c->common ? store_redis_look(m, r, c) : Q_OK;
  if(!st && c->ahead) {
    st = REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("UNWATCH"));
    if(!st) st = Q_AGAIN;
  }
  if(!st) {
    int n = store_redis_build(m, c, &out);
    st = store_redis_exec(m, r, &out, n, &reply);
  }
  if(!st && c->common) {
    pthread_mutex_lock(&m->lock);
    m->own[m->own_at++ % STORE_REDIS_OWN] = c->version + 1;
    pthread_mutex_unlock(&m->lock);
  }
  strbuf_free(&out);
  return st;
}

static void store_redis_until(const struct store_redis *m, int64_t ms, struct timespec *t)
{
  (void)m;
  clock_gettime(CLOCK_MONOTONIC, t);
  t->tv_sec += ms / 1000;
  t->tv_nsec += (long)(ms % 1000) * 1000000;
  if(t->tv_nsec >= 1000000000) t->tv_sec++, t->tv_nsec -= 1000000000;
}

static void store_redis_await(struct store_redis *m, int64_t version)
{
  struct timespec t;
  store_redis_until(m, STORE_REDIS_APPLY_MS, &t);
  pthread_mutex_lock(&m->lock);
  while(m->applied < version && !m->ending && pthread_cond_timedwait(&m->moved, &m->lock, &t) == 0) {}
  pthread_mutex_unlock(&m->lock);
}

/* The salts and the seal's check value: a server that lost everything gets them again. */
static void store_redis_remember(struct store_redis *m, struct str key, struct str value)
{
  int i = 0;
  if(!str_starts(key, S("meta/")) || key.n >= sizeof m->meta[0].key || value.n > sizeof m->meta[0].value) return;
  pthread_mutex_lock(&m->lock);
  while(i < m->meta_n && !str_eq(str_z(m->meta[i].key), key)) i++;
  if(i < STORE_REDIS_META) {
    str_copy(m->meta[i].key, sizeof m->meta[i].key, key);
    memcpy(m->meta[i].value, value.p, value.n);
    m->meta[i].n = value.n;
    if(i == m->meta_n) m->meta_n++;
  }
  pthread_mutex_unlock(&m->lock);
}

static enum q_status store_redis_get_meta(struct store *s, struct str key, struct strbuf *value)
{
  size_t before = value->n;
  enum q_status st = store_redis_get(s, key, value);
  if(!st) store_redis_remember((struct store_redis *)s, key, str_sub(strbuf_str(value), before, value->n));
  return st;
}

static enum q_status store_redis_write(struct store_redis *m, const struct store_op *ops, int n, bool claim)
{
  struct store_redis_commit c = { .ops = ops, .n = n, .claim = claim };
  enum q_status st = Q_NOT_FOUND;
  if(n == 0) return Q_OK;
  for(int i = 0; i < n; i++) c.common |= store_redis_common(ops[i].key);
  for(int i = 0; i < STORE_REDIS_TRIES && st == Q_NOT_FOUND; i++) {
    if(i) nanosleep(&(struct timespec){ 0, (long)(1 + (unsigned)(i * 7) % 13) * 1000000 }, NULL);
    st = store_redis_talk(m, store_redis_commit_talk, &c);
  }
  if(st == Q_AGAIN) store_redis_await(m, c.ahead);
  for(int i = 0; i < n && !st; i++)
    if(!ops[i].del && !claim) store_redis_remember(m, ops[i].key, ops[i].value);
  return st == Q_NOT_FOUND ? Q_STORE : st;
}

static enum q_status store_redis_commit(struct store *s, const struct store_op *ops, int n)
{
  return store_redis_write((struct store_redis *)s, ops, n, false);
}

static enum q_status store_redis_claim(struct store *s, struct str key, struct str value)
{
  return store_redis_write((struct store_redis *)s, &(struct store_op){ .key = key, .value = value }, 1, true);
}

/* ---- locks ---- */

struct store_redis_lock { struct str name; int64_t ms; const char *token; };

static enum q_status store_redis_lock_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_lock *l = ctx;
  const struct resp *reply;
  struct strbuf name = STRBUF(2048);
  char ms[24];
  snprintf(ms, sizeof ms, "%lld", (long long)l->ms);
  store_redis_name(&name, S("lock:"));
  strbuf_adds(&name, l->name);
  enum q_status st = name.err ? Q_UP_BODY : REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("SET"), strbuf_str(&name), str_z(l->token), S("NX"), S("PX"), str_z(ms));
  if(!st && reply->kind == RESP_NIL) { /* perhaps ours: the first reply was lost */
    st = REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("GET"), strbuf_str(&name));
    if(!st && !(reply->kind == RESP_TEXT && str_eq(reply->text, str_z(l->token)))) st = Q_EXISTS;
  } else if(!st && !resp_is(reply, S("OK"))) {
    st = store_redis_no(m, reply);
  }
  strbuf_free(&name);
  return st;
}

static enum q_status store_redis_lock(struct store *s, struct str name, int64_t ms, char token[33])
{
  unsigned char raw[16];
  crypt_random(raw, sizeof raw);
  codec_hex(str_of((char *)raw, sizeof raw), token);
  return store_redis_talk((struct store_redis *)s, store_redis_lock_talk, &(struct store_redis_lock){ name, ms, token });
}

static enum q_status store_redis_unlock_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_lock *l = ctx;
  const struct resp *reply;
  struct strbuf name = STRBUF(2048), out = STRBUF(8192);
  store_redis_name(&name, S("lock:"));
  strbuf_adds(&name, l->name);
  RESP(&out, S("WATCH"), strbuf_str(&name));
  RESP(&out, S("GET"), strbuf_str(&name));
  enum q_status st = name.err || out.err ? Q_UP_BODY : redis_send(r, strbuf_str(&out), STORE_REDIS_CALL_MS, NULL);
  if(!st) st = store_redis_replies(r, 2, &reply);
  if(!st && reply->kind == RESP_TEXT && str_eq(reply->text, str_z(l->token))) {
    strbuf_clear(&out);
    RESP(&out, S("MULTI"));
    RESP(&out, S("DEL"), strbuf_str(&name));
    RESP(&out, S("EXEC"));
    st = store_redis_exec(m, r, &out, 3, &reply);
  } else if(!st) {
    st = REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("UNWATCH"));
  }
  strbuf_free(&name);
  strbuf_free(&out);
  return st;
}

static void store_redis_unlock(struct store *s, struct str name, const char token[33])
{
  (void)store_redis_talk((struct store_redis *)s, store_redis_unlock_talk, &(struct store_redis_lock){ name, 0, token });
}

/* ---- counters ---- */

static void store_redis_empty(struct store_redis_batch *b)
{
  for(int i = 0; i < b->n; i++) mem_free(b->v[i].key);
  mem_free(b->v);
  *b = (struct store_redis_batch){ .n = 0 };
}

/* Sorted by key, one delta a counter: hours without the server cost no more than the number of counters. */
static enum q_status store_redis_add(struct store_redis_batch *b, struct str key, int64_t by)
{
  int lo = 0, hi = b->n;
  while(lo < hi) {
    int mid = (lo + hi) / 2, c = strncmp(b->v[mid].key, key.p, key.n);
    if(c < 0) lo = mid + 1;
    else hi = mid;
  }
  if(lo < b->n && str_eq(str_z(b->v[lo].key), key)) {
    b->v[lo].by += by;
    return Q_OK;
  }
  if(b->n == b->cap) {
    int cap = b->cap ? b->cap * 2 : 16;
    struct store_redis_delta *grown = cap > 2 * STORE_REDIS_HELD_MAX ? NULL : mem_realloc(b->v, (size_t)cap * sizeof *grown);
    if(!grown) return Q_STORE;
    b->v = grown;
    b->cap = cap;
  }
  char *copy = b->n < STORE_REDIS_HELD_MAX ? mem_strndup(key.p, key.n) : NULL;
  if(!copy) return Q_STORE;
  memmove(&b->v[lo + 1], &b->v[lo], (size_t)(b->n - lo) * sizeof b->v[0]);
  b->v[lo] = (struct store_redis_delta){ copy, by };
  b->n++;
  return Q_OK;
}

/* All of v into the batch, or nothing. The caller holds counting. */
static enum q_status store_redis_hold(struct store_redis_batch *b, const struct store_delta *v, int n)
{
  enum q_status st = Q_OK;
  int i = 0;
  while(i < n && !st) {
    st = store_redis_add(b, v[i].key, v[i].by);
    i += !st;
  }
  while(st && i > 0) i--, (void)store_redis_add(b, v[i].key, -v[i].by); /* it is there: cannot fail */
  return st;
}

static enum q_status store_redis_batch_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_batch *b = ctx;
  struct strbuf out = STRBUF(16 << 20), name = STRBUF(2048), mark = STRBUF(64);
  const struct resp *reply = NULL;
  char number[24];
  store_redis_name(&mark, S("batch:"));
  strbuf_addz(&mark, b->id);
  RESP(&out, S("WATCH"), strbuf_str(&mark));
  RESP(&out, S("EXISTS"), strbuf_str(&mark));
  enum q_status st = out.err ? Q_UP_BODY : redis_send(r, strbuf_str(&out), STORE_REDIS_CALL_MS, NULL);
  if(!st) st = store_redis_replies(r, 2, &reply);
  if(!st && reply->number) { /* an earlier attempt was done */
    st = REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("UNWATCH"));
  } else if(!st) {
    int n = 3;
    strbuf_clear(&out);
    RESP(&out, S("MULTI"));
    snprintf(number, sizeof number, "%d", STORE_REDIS_BATCH_S);
    RESP(&out, S("SET"), strbuf_str(&mark), S("1"), S("EX"), str_z(number));
    for(int i = 0; i < b->n; i++, n += 2) {
      snprintf(number, sizeof number, "%lld", (long long)b->v[i].by);
      store_redis_name(&name, str_z(b->v[i].key));
      RESP(&out, S("INCRBY"), strbuf_str(&name), str_z(number));
      RESP(&out, S("ZADD"), S("q2a:index"), S("0"), str_z(b->v[i].key));
    }
    RESP(&out, S("EXEC"));
    st = store_redis_exec(m, r, &out, n, &reply);
    if(st == Q_UP_BODY && reply && reply->kind == RESP_LIST) st = Q_OK; /* one is no number: the others were counted */
    if(st == Q_NOT_FOUND) st = Q_OK; /* the earlier attempt, late, was faster */
  }
  strbuf_free(&out);
  strbuf_free(&name);
  strbuf_free(&mark);
  return st;
}

/* Sends what is held. The caller holds counting. */
static enum q_status store_redis_flush(struct store_redis *m)
{
  enum q_status st = Q_OK;
  while(!st && (m->sending.n || m->held.n)) {
    if(!m->sending.n) {
      unsigned char raw[16];
      m->sending = m->held;
      m->held = (struct store_redis_batch){ .n = 0 };
      crypt_random(raw, sizeof raw);
      codec_hex(str_of((char *)raw, sizeof raw), m->sending.id);
    }
    st = store_redis_talk(m, store_redis_batch_talk, &m->sending);
    if(!st) store_redis_empty(&m->sending);
  }
  return st;
}

static enum q_status store_redis_totals(struct store_redis *m, struct store_delta *v, int n)
{
  struct strbuf text = STRBUF(64);
  enum q_status st = Q_OK;
  for(int i = 0; i < n && !st; i++) {
    strbuf_clear(&text);
    v[i].total = 0;
    st = store_redis_get(&m->store, v[i].key, &text);
    if(!st) (void)str_int(strbuf_str(&text), &v[i].total);
  }
  strbuf_free(&text);
  return st;
}

static enum q_status store_redis_incr(struct store *s, struct store_delta *v, int n)
{
  struct store_redis *m = (struct store_redis *)s;
  pthread_mutex_lock(&m->counting);
  enum q_status st = store_redis_hold(&m->held, v, n);
  enum q_status sent = st ? st : store_redis_flush(m);
  pthread_mutex_unlock(&m->counting);
  if(st) return st;
  if(!sent) sent = store_redis_totals(m, v, n);
  return sent ? Q_AGAIN : Q_OK;
}

/* ---- what others changed ---- */

static void store_redis_apply(struct store_redis *m, int64_t version)
{
  pthread_mutex_lock(&m->lock);
  m->applied = version;
  pthread_cond_broadcast(&m->moved);
  pthread_mutex_unlock(&m->lock);
}

static enum q_status store_redis_version(struct store_redis *m, int64_t *version)
{
  struct strbuf text = STRBUF(64);
  *version = 0;
  enum q_status st = store_redis_get(&m->store, S("version"), &text);
  if(st == Q_NOT_FOUND) st = Q_OK;
  else if(!st && !str_int(strbuf_str(&text), version)) st = Q_STORE;
  strbuf_free(&text);
  return st;
}

static enum q_status store_redis_since_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  const struct resp *reply;
  char from[32];
  snprintf(from, sizeof from, "(%lld", (long long)m->applied); /* only this thread moves it */
  enum q_status st = REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("ZRANGEBYSCORE"), S("q2a:seq"), str_z(from), S("+inf"));
  if(st) return st;
  if(reply->kind != RESP_LIST) return store_redis_no(m, reply);
  struct strbuf *keys = ctx;
  for(size_t i = 0; i < reply->n; i++) {
    strbuf_adds(keys, reply->items[i].text);
    strbuf_addc(keys, '\n');
  }
  return keys->err ? Q_UP_BODY : Q_OK;
}

static void store_redis_tell(struct store_redis *m, struct str keys)
{
  while(keys.n) {
    struct str key = str_cut(&keys, '\n');
    if(key.n) m->watch.changed(m->watch.ctx, key);
  }
}

/* The server is there again, but with older records or none. */
static void store_redis_restore(struct store_redis *m)
{
  struct store_op ops[STORE_REDIS_META];
  LOG_ERROR(m->want.log, "redis", "", "the server came back without the latest records; what is known here is written again");
  for(int i = 0; i < m->meta_n; i++)
    ops[i] = (struct store_op){ .key = str_z(m->meta[i].key), .value = str_of(m->meta[i].value, m->meta[i].n) };
  if(store_redis_write(m, ops, m->meta_n, true) == Q_OK && m->watch.lost) m->watch.lost(m->watch.ctx);
}

/* Compares the version, and asks for what was missed. */
static enum q_status store_redis_catch_up(struct store_redis *m)
{
  struct strbuf keys = STRBUF(8 << 20);
  int64_t version = 0;
  enum q_status st = store_redis_version(m, &version);
  if(!st && version < m->applied) {
    store_redis_apply(m, version);
    store_redis_restore(m);
  } else if(!st && version > m->applied) {
    st = store_redis_talk(m, store_redis_since_talk, &keys);
    if(!st) store_redis_tell(m, strbuf_str(&keys));
    if(!st) store_redis_apply(m, version);
  }
  strbuf_free(&keys);
  return st;
}

static enum q_status store_redis_message(struct store_redis *m, const struct resp *reply)
{
  int64_t version = 0;
  struct str text = resp_at(reply, 2)->text, writer;
  if(!str_eq(resp_at(reply, 0)->text, S("message"))) return Q_OK;
  struct strbuf copy = STRBUF(2 << 20); /* telling makes calls, but on other connections; copied all the same: a reply is short-lived */
  strbuf_adds(&copy, text);
  text = strbuf_str(&copy);
  struct str head = str_cut(&text, '\n');
  writer = str_cut(&head, ' ');
  enum q_status st = copy.err;
  if(!st && str_int(head, &version)) {
    if(version == m->applied + 1) {
      if(!str_eq(writer, str_z(m->writer))) store_redis_tell(m, text);
      store_redis_apply(m, version);
    } else if(version > m->applied) {
      st = store_redis_catch_up(m);
    }
  }
  strbuf_free(&copy);
  return st;
}

static bool store_redis_ending(struct store_redis *m, int64_t pause_ms)
{
  struct timespec t;
  int rc = 0;
  store_redis_until(m, pause_ms, &t);
  pthread_mutex_lock(&m->lock);
  while(pause_ms && !m->ending && rc == 0) rc = pthread_cond_timedwait(&m->moved, &m->lock, &t);
  bool ending = m->ending;
  pthread_mutex_unlock(&m->lock);
  return ending;
}

static void store_redis_set_sub(struct store_redis *m, struct redis *r)
{
  pthread_mutex_lock(&m->lock);
  m->sub = r;
  pthread_mutex_unlock(&m->lock);
}

static enum q_status store_redis_listen(struct store_redis *m, struct redis *sub)
{
  const struct resp *reply;
  enum q_status st = REDIS_CALL(sub, STORE_REDIS_CALL_MS, &reply, NULL, S("SUBSCRIBE"), S("q2a:changes"));
  if(st || reply->kind != RESP_LIST) return Q_STORE;
  bool was = atomic_exchange(&m->is_up, true);
  st = store_redis_catch_up(m);
  if(!st && !was) LOG_INFO(m->want.log, "redis", "", "the server is back");
  while(!st && !store_redis_ending(m, 0) && atomic_load(&m->is_up)) {
    st = redis_reply(sub, STORE_REDIS_LOOK_MS, &reply, NULL);
    if(!st) st = store_redis_message(m, reply);
    else if(st == Q_AGAIN && atomic_load(&m->is_up)) st = store_redis_catch_up(m);
    else if(st == Q_AGAIN) st = Q_STORE;
    if(!st && pthread_mutex_trylock(&m->counting) == 0) {
      if(m->sending.n || m->held.n) (void)store_redis_flush(m);
      pthread_mutex_unlock(&m->counting);
    }
  }
  return st;
}

static void *store_redis_main(void *arg)
{
  struct store_redis *m = arg;
  struct q_error e = Q_ERROR_NONE;
  while(!store_redis_ending(m, 0)) {
    struct redis *sub = store_redis_dial(m, &e);
    store_redis_set_sub(m, sub);
    if(sub) (void)store_redis_listen(m, sub); /* this connection may end alone: the server is away if no new one can be had */
    store_redis_set_sub(m, NULL);
    redis_close(sub);
    if(!sub && !store_redis_ending(m, 0)) store_redis_down(m);
    store_redis_ending(m, STORE_REDIS_AGAIN_MS);
  }
  return NULL;
}

static enum q_status store_redis_watch(struct store *s, const struct store_watch *w)
{
  struct store_redis *m = (struct store_redis *)s;
  pthread_attr_t attr;
  m->watch = *w;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 256 * 1024);
  m->watching = true;
  bool ok = pthread_create(&m->thread, &attr, store_redis_main, m) == 0;
  pthread_attr_destroy(&attr);
  m->watching = ok;
  return ok ? Q_OK : Q_NOMEM;
}

static bool store_redis_up(struct store *s)
{
  return atomic_load(&((struct store_redis *)s)->is_up);
}

/* ---- what is not ours ---- */

enum { STORE_REDIS_FIELDS = 64 };
struct store_redis_hash {
  struct str pattern;
  bool (*fn)(void *ctx, struct str key, struct store_redis_field *f, int n);
  void *ctx;
  char cursor[24];
  struct strbuf keys;
  bool more;
};

static enum q_status store_redis_scan_keys(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_hash *h = ctx;
  const struct resp *reply;
  enum q_status st = REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("SCAN"), str_z(h->cursor), S("MATCH"), h->pattern, S("COUNT"), S("500"));
  if(st) return st;
  if(reply->kind != RESP_LIST || resp_at(reply, 0)->text.n >= sizeof h->cursor) return store_redis_no(m, reply);
  str_copy(h->cursor, sizeof h->cursor, resp_at(reply, 0)->text);
  strbuf_clear(&h->keys);
  const struct resp *keys = resp_at(reply, 1);
  for(size_t i = 0; i < keys->n; i++) {
    if(str_chr(keys->items[i].text, '\n') >= 0) continue;
    strbuf_adds(&h->keys, keys->items[i].text);
    strbuf_addc(&h->keys, '\n');
  }
  return h->keys.err ? Q_UP_BODY : Q_OK;
}

struct store_redis_one { struct store_redis_hash *h; struct str key; };

static enum q_status store_redis_hash_talk(struct store_redis *m, struct redis *r, void *ctx)
{
  struct store_redis_one *o = ctx;
  struct store_redis_field f[STORE_REDIS_FIELDS];
  const struct resp *reply;
  int n = 0;
  enum q_status st = REDIS_CALL(r, STORE_REDIS_CALL_MS, &reply, NULL, S("HGETALL"), o->key);
  if(st) return st;
  if(reply->kind == RESP_ERROR && str_starts(reply->text, S("WRONGTYPE"))) return Q_OK;
  if(reply->kind != RESP_LIST) return store_redis_no(m, reply);
  for(size_t i = 0; i + 1 < reply->n && n < STORE_REDIS_FIELDS; i += 2)
    f[n++] = (struct store_redis_field){ reply->items[i].text, reply->items[i + 1].text };
  if(n) o->h->more &= o->h->fn(o->h->ctx, o->key, f, n);
  return Q_OK;
}

enum q_status store_redis_hashes(struct store *s, struct str pattern, bool (*fn)(void *ctx, struct str key, struct store_redis_field *f, int n),
                                 void *ctx)
{
  struct store_redis *m = (struct store_redis *)s;
  struct store_redis_hash h = { .pattern = pattern, .fn = fn, .ctx = ctx, .cursor = "0", .keys = STRBUF(8 << 20), .more = true };
  enum q_status st = Q_OK;
  do {
    st = store_redis_talk(m, store_redis_scan_keys, &h);
    struct str keys = strbuf_str(&h.keys);
    while(keys.n && h.more && !st) st = store_redis_talk(m, store_redis_hash_talk, &(struct store_redis_one){ &h, str_cut(&keys, '\n') });
  } while(!st && h.more && strcmp(h.cursor, "0") != 0);
  strbuf_free(&h.keys);
  return st;
}

/* ---- birth and end ---- */

static void store_redis_close(struct store *s)
{
  struct store_redis *m = (struct store_redis *)s;
  pthread_mutex_lock(&m->lock);
  m->ending = true;
  pthread_cond_broadcast(&m->moved);
  if(m->sub) redis_wake(m->sub);
  pthread_mutex_unlock(&m->lock);
  if(m->watching) pthread_join(m->thread, NULL);
  pthread_mutex_lock(&m->counting);
  if((m->sending.n || m->held.n) && store_redis_flush(m)) LOG_ERROR(m->want.log, "redis", "", "the last counters could not be written");
  store_redis_empty(&m->sending);
  store_redis_empty(&m->held);
  pthread_mutex_unlock(&m->counting);
  while(m->idle_n) redis_close(m->idle[--m->idle_n]);
  pthread_mutex_destroy(&m->counting);
  pthread_cond_destroy(&m->moved);
  pthread_mutex_destroy(&m->lock);
  if(m->url) crypt_wipe(m->url, strlen(m->url));
  mem_free(m->url);
  mem_free(m);
}

static enum q_status store_redis_format(struct store_redis *m, struct q_error *e, int *exit_code)
{
  struct strbuf v = STRBUF(64);
  int64_t format = 0;
  enum q_status st = store_redis_claim(&m->store, S("meta/format"), S("1"));
  if(!st) st = store_redis_get_meta(&m->store, S("meta/format"), &v);
  if(st) {
    *exit_code = EXIT_TAKEN;
    st = status_fail(e, Q_STORE, "REDIS_URL", "The Redis server cannot be written.");
  } else if(!str_int(strbuf_str(&v), &format) || format > STORE_REDIS_FORMAT) {
    *exit_code = EXIT_DATA;
    st = status_fail(e, Q_STORE, "REDIS_URL", "The records in Redis were written by a newer version of qwen2api, or are damaged. Use that version, or another database number.");
  }
  strbuf_free(&v);
  return st;
}

static enum q_status store_redis_reach(struct store_redis *m, struct q_error *e, int *exit_code)
{
  int64_t end = now_mono_ms(m->want.now) + m->want.patience_ms;
  struct redis *r;
  for(bool told = false; !(r = store_redis_dial(m, e)); told = true) {
    if(now_mono_ms(m->want.now) >= end) {
      *exit_code = EXIT_TAKEN;
      return Q_STORE;
    }
    if(!told) LOG_WARN(m->want.log, "redis", "", "%s Tried again for %d seconds.", e->msg, (int)(m->want.patience_ms / 1000));
    nanosleep(&(struct timespec){ 0, STORE_REDIS_AGAIN_MS * 1000000 }, NULL);
  }
  *e = Q_ERROR_NONE;
  store_redis_give(m, r, true);
  return Q_OK;
}

struct store *store_redis_open(const struct store_redis_want *w, struct q_error *e, int *exit_code)
{
  static const struct store_ops ops = { "redis", true, store_redis_get_meta, store_redis_scan, store_redis_commit, store_redis_close,
                                        store_redis_incr, store_redis_claim, store_redis_lock, store_redis_unlock, store_redis_watch, store_redis_up, NULL };
  unsigned char raw[8];
  pthread_condattr_t attr;
  struct store_redis *m = mem_zalloc(sizeof *m);
  char *url = m ? mem_strndup(w->url.p, w->url.n) : NULL;
  if(!url) {
    *exit_code = EXIT_FATAL;
    status_fail(e, Q_NOMEM, NULL, "Out of memory.");
    mem_free(m);
    return NULL;
  }
  m->store.ops = &ops;
  m->want = *w;
  m->url = url;
  atomic_init(&m->is_up, true);
  crypt_random(raw, sizeof raw);
  codec_hex(str_of((char *)raw, sizeof raw), m->writer);
  pthread_mutex_init(&m->lock, NULL);
  pthread_mutex_init(&m->counting, NULL);
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&m->moved, &attr);
  pthread_condattr_destroy(&attr);
  enum q_status st = store_redis_reach(m, e, exit_code);
  if(!st) st = store_redis_format(m, e, exit_code);
  if(!st && store_redis_version(m, &m->applied)) {
    *exit_code = EXIT_TAKEN;
    st = status_fail(e, Q_STORE, "REDIS_URL", "The Redis server cannot be read.");
  }
  if(!st) return &m->store;
  store_redis_close(&m->store);
  return NULL;
}
