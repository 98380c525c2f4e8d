/* The scheduler over simulated weeks: random turns, faults, retries, restarts through records; a second, plain model of the rules
 * (domain/pool.h, D20) says after every step what may and what must have happened.
 *
 * 50,000 turns; a million with Q2A_TORTURE=1. The seed is printed; Q2A_SEED=n repeats a run. */
#include "domain/pool.h"

#include <sys/random.h>

#include "base/mem.h"
#include "domain/accounts.h"
#include "t.h"

enum {
  ACCOUNTS = 12, WAYS = 3, SLOTS = 48, CAP = 3, GAP = 40, QUEUE = 30, LINES = 3,
  SEC = 1000, MIN = 60 * SEC, HOUR = 60 * MIN
};
static const enum feature features[LINES] = { FEATURE_CHAT, FEATURE_IMAGE, FEATURE_VIDEO };

/* What the model knows of an account. */
struct known {
  int inflight, cap;
  int64_t started, used;                 /* last start; last start or end */
  int64_t rest[FEATURE_COUNT];           /* may serve again from then on */
  int step[FEATURE_COUNT];               /* how often "too fast" was said after a rest had ended */
  int transport, errors, auth, barred;   /* in a row */
  enum account_state whole;
  long served;
};

struct way { int challenged; int64_t challenged_ms, rest; }; /* challenged: account + 1 */

struct guest {
  struct pool_waiter w;
  enum { FREE, WAITING, RUNNING } state;
  int line;
  int64_t since, until;                  /* WAITING: patience; RUNNING: the end */
  long no;                               /* order of arrival */
};

static struct sim {
  uint64_t rnd;
  int64_t now;
  struct app app;
  struct now clock;
  struct config config;
  struct known m[ACCOUNTS];
  struct way ways[WAYS];
  struct guest turns[SLOTS];
  long arrivals, served, granted, refused, left, restarts, faults, longest_ms;
} sim;

static unsigned dice(unsigned sides)
{
  sim.rnd ^= sim.rnd << 13;
  sim.rnd ^= sim.rnd >> 7;
  sim.rnd ^= sim.rnd << 17;
  return (unsigned)((sim.rnd >> 20) % sides);
}

static int number_of(const struct account *a)
{
  return atoi(a->email + 1);
}

/* ---- the model's view ---- */

static bool may_serve(int i, const struct guest *t)
{
  const struct known *m = &sim.m[i];
  enum feature f = features[t->line];
  int cap = m->cap && m->cap < CAP ? m->cap : CAP;
  if(m->whole != ACCOUNT_ACTIVE || m->rest[f] > sim.now) return false;
  if(t->w.want.uploads && m->rest[FEATURE_UPLOAD] > sim.now) return false;
  if(sim.ways[i % WAYS].rest > sim.now) return false;
  if(m->started && sim.now - m->started < GAP) return false;
  return m->inflight < cap;
}

static bool avoids(const struct guest *t, int i)
{
  for(int k = 0; k < t->w.want.avoid_n; k++)
    if(number_of(t->w.want.avoid[k]) == i) return true;
  return false;
}

static bool could_be_served(const struct guest *t)
{
  for(int i = 0; i < ACCOUNTS; i++)
    if(may_serve(i, t) && !(t->w.want.avoid_hard && avoids(t, i))) return true;
  return false;
}

/* The pool has lent an account: was it allowed to, was it the right one, was it this one's turn? */
static void taken(struct guest *t)
{
  int i = number_of(t->w.lease.account);
  struct known *m = &sim.m[i];
  if(m->whole != ACCOUNT_ACTIVE) T_FAIL("account %d serves and is %s", i, account_state_name(m->whole));
  if(m->rest[features[t->line]] > sim.now) T_FAIL("account %d serves %lld ms before its rest ends", i, (long long)(m->rest[features[t->line]] - sim.now));
  if(m->started && sim.now - m->started < GAP) T_FAIL("account %d starts %lld ms after its last start", i, (long long)(sim.now - m->started));
  if(m->inflight >= CAP || (m->cap && m->inflight >= m->cap)) T_FAIL("account %d over its cap, %d turns", i, m->inflight);
  if(!may_serve(i, t)) T_FAIL("account %d may not serve this", i);
  for(int k = 0; k < ACCOUNTS; k++) { /* least loaded, then least recently used; one that was tried already only if there is no other */
    if(k == i || !may_serve(k, t) || (avoids(t, k) && !avoids(t, i))) continue;
    if(avoids(t, i) && !avoids(t, k)) T_FAIL("account %d was to be avoided, %d was there", i, k);
    else if(sim.m[k].inflight < m->inflight) T_FAIL("account %d with %d turns was lent, %d has %d", i, m->inflight, k, sim.m[k].inflight);
    else if(sim.m[k].inflight == m->inflight && sim.m[k].used < m->used) T_FAIL("account %d was used later than %d", i, k);
  }
  if(avoids(t, i) && t->w.want.avoid_hard) T_FAIL("account %d was never to be used", i);
  for(int k = 0; k < SLOTS; k++) {
    const struct guest *o = &sim.turns[k];
    if(o->state == WAITING && o->line == t->line && o->no < t->no && could_be_served(o)) T_FAIL("turn %ld overtakes %ld", t->no, o->no);
  }
  m->inflight++;
  m->started = m->used = sim.now;
  m->served++;
  sim.served++;
  t->state = RUNNING;
  t->until = sim.now + 200 + dice(8000);
}

static void on_grant(struct pool_waiter *w)
{
  struct guest *t = (struct guest *)((char *)w - offsetof(struct guest, w));
  if(t->state != WAITING) T_FAIL("a turn that does not wait was granted");
  if(sim.now - t->since > sim.longest_ms) sim.longest_ms = (long)(sim.now - t->since);
  sim.granted++;
  taken(t);
}

/* After the pool has looked: nobody waits whom somebody could serve. So a rest is not a moment longer than it must be, and no one
 * starves while there is room. */
static void nobody_waits_in_vain(const char *when)
{
  for(int k = 0; k < SLOTS; k++)
    if(sim.turns[k].state == WAITING && could_be_served(&sim.turns[k])) {
      T_FAIL("%s: turn %ld of line %d waits since %lld ms, and could be served", when, sim.turns[k].no, sim.turns[k].line, (long long)(sim.now - sim.turns[k].since));
      return;
    }
}

/* ---- how a turn ends ---- */

static void rest(struct known *m, int f, int64_t until)
{
  for(int k = 0; k < FEATURE_COUNT; k++)
    if((f == FEATURE_COUNT && k != FEATURE_CLI) || k == f)
      if(m->rest[k] < until) m->rest[k] = until;
}

/* 00:10 in UTC+8. */
static int64_t quota_returns(void)
{
  int64_t at = sim.now - sim.now % (24 * HOUR) + 16 * HOUR + 10 * MIN;
  while(at <= sim.now) at += 24 * HOUR;
  return at;
}

static void book(int i, enum feature f, enum q_status how, int wait_s)
{
  struct known *m = &sim.m[i];
  struct way *way = &sim.ways[i % WAYS];
  int64_t told = sim.now + (int64_t)wait_s * SEC;
  switch(how) {
  case Q_OK: m->transport = m->errors = m->auth = m->barred = m->step[f] = 0; break;
  case Q_UP_BUSY: /* counts what the upstream says of the account, once a rest, and not how often clients try (D20) */
    if(wait_s) rest(m, f, told);
    else if(m->rest[f] <= sim.now) {
      int64_t ms = MIN << (m->step[f] < 4 ? m->step[f] : 4);
      m->step[f]++;
      rest(m, f, sim.now + (ms < 15 * MIN ? ms : 15 * MIN));
    }
    break;
  case Q_UP_QUOTA: rest(m, f, wait_s ? told : quota_returns()); break;
  case Q_UP_PARALLEL: m->cap = 1, rest(m, f, sim.now + 2 * SEC); break;
  case Q_UP_AUTH:
    if(++m->auth >= 3) m->whole = ACCOUNT_INVALID;
    else rest(m, FEATURE_COUNT, sim.now + 15 * MIN);
    break;
  case Q_UP_BARRED:
    if(++m->barred >= 2) m->whole = ACCOUNT_INVALID;
    else rest(m, FEATURE_COUNT, sim.now + 15 * MIN);
    break;
  case Q_UP_CHALLENGE:
    rest(m, FEATURE_COUNT, sim.now + 15 * MIN);
    if(way->challenged && way->challenged != i + 1 && sim.now - way->challenged_ms <= MIN) way->rest = sim.now + 5 * MIN;
    way->challenged = i + 1;
    way->challenged_ms = sim.now;
    break;
  case Q_UP_UNREACHABLE:
    if(++m->transport >= 3) m->transport = 0, rest(m, FEATURE_COUNT, sim.now + 5 * MIN);
    break;
  case Q_UP_ERROR:
    if(++m->errors >= 3) m->errors = 0, rest(m, FEATURE_COUNT, sim.now + 15 * MIN);
    break;
  default: break;
  }
}

static void finish(struct guest *t, enum q_status how, int wait_s)
{
  int i = number_of(t->w.lease.account);
  sim.m[i].inflight--;
  sim.m[i].used = sim.now;
  book(i, features[t->line], how, wait_s);
  t->state = FREE;
  pool_release(sim.app.pool, &t->w.lease, sim.now, how, "words", wait_s, S("m"));
}

static enum q_status fate(int *wait_s)
{
  static const struct { enum q_status how; int wait_s; } rows[] = {
    { Q_UP_BUSY, 0 }, { Q_UP_BUSY, 0 }, { Q_UP_BUSY, 0 }, { Q_UP_BUSY, 7 }, { Q_UP_BUSY, 1800 }, { Q_UP_QUOTA, 0 }, { Q_UP_QUOTA, 5400 },
    { Q_UP_AUTH, 0 }, { Q_UP_BARRED, 0 }, { Q_UP_CHALLENGE, 0 }, { Q_UP_UNREACHABLE, 0 }, { Q_UP_UNREACHABLE, 0 }, { Q_UP_ERROR, 0 },
    { Q_UP_ERROR, 0 }, { Q_UP_PARALLEL, 0 }, { Q_CLIENT_GONE, 0 }, { Q_UP_CUT, 0 }, { Q_TOO_LONG, 0 },
  };
  unsigned bad = dice(sizeof rows / sizeof *rows * 20);
  *wait_s = 0;
  if(bad >= sizeof rows / sizeof *rows) return Q_OK;
  sim.faults++;
  *wait_s = rows[bad].wait_s;
  return rows[bad].how;
}

/* ---- steps ---- */

struct finding { int no; struct account *a; };

static void find_one(void *ctx, struct account *a)
{
  struct finding *f = ctx;
  if(number_of(a) == f->no) f->a = a;
}

static struct account *account_no(int no)
{
  struct finding f = { no, NULL };
  pool_each(sim.app.pool, find_one, &f);
  return f.a;
}

/* What pool_explain() says of every account at this moment, against the model; and whom it would choose. */
struct saying { const struct guest *t; struct pool_outlook seen; int n, fits; const struct account *chosen; };

static void said(void *ctx, const struct account *a, const struct pool_verdict *v)
{
  struct saying *s = ctx;
  int i = number_of(a);
  const struct known *m = &sim.m[i];
  bool can = may_serve(i, s->t);
  s->n++;
  s->fits += v->fit == POOL_FITS;
  if((v->fit == POOL_FITS) != can) T_FAIL("account %d is said to %s", i, can ? "be unable, and is able" : "be able, and is not");
  if((v->fit == POOL_OFF) != (m->whole == ACCOUNT_DISABLED)) T_FAIL("account %d is said to be switched %s", i, v->fit == POOL_OFF ? "off" : "on");
  if(v->until_ms && v->until_ms <= sim.now) T_FAIL("account %d is said to return in the past", i);
  if(v->fit == POOL_RESTS && m->whole == ACCOUNT_ACTIVE) {
    int64_t until = m->rest[features[s->t->line]];
    if(until <= sim.now && s->t->w.want.uploads) until = m->rest[FEATURE_UPLOAD];
    if(v->until_ms != until) T_FAIL("account %d rests until %lld, said is %lld", i, (long long)until, (long long)v->until_ms);
  }
  if(v->fit == POOL_FULL && m->inflight < v->most) T_FAIL("account %d is said to be full with %d of %d", i, m->inflight, v->most);
  if(a == s->seen.chosen) s->chosen = a;
}

static void arrive(void)
{
  struct guest *t = NULL;
  struct q_error e = Q_ERROR_NONE;
  int64_t return_ms, patience = dice(4) ? 30 * SEC : 0;
  for(int k = 0; k < SLOTS && !t; k++)
    if(sim.turns[k].state == FREE) t = &sim.turns[k];
  if(!t) return;
  *t = (struct guest){ .line = dice(10) < 7 ? 0 : 1 + (int)dice(2), .since = sim.now, .no = ++sim.arrivals };
  t->w.granted = on_grant;
  t->w.want = (struct pool_want){ .feature = features[t->line], .model = S("m"), .uploads = dice(8) == 0 };
  for(unsigned n = dice(6) ? 0 : 1 + dice(3); n; n--) t->w.want.avoid[t->w.want.avoid_n++] = account_no((int)dice(ACCOUNTS));
  t->w.want.avoid_hard = t->w.want.avoid_n && dice(2);
  bool line = false; /* somebody is before it */
  for(int k = 0; k < SLOTS; k++) line |= sim.turns[k].state == WAITING && sim.turns[k].line == t->line && could_be_served(&sim.turns[k]);
  bool can = could_be_served(t);
  struct saying s = { .t = t };
  pool_explain(sim.app.pool, &t->w.want, sim.now, &s.seen, said, &s);
  CHECK_INT(s.n, ACCOUNTS);
  if(s.seen.line != (line && s.seen.chosen != NULL)) T_FAIL("turn %ld: said that %s before it", t->no, line ? "nobody is" : "somebody is");
  if((s.fits > 0) < (s.seen.chosen != NULL)) T_FAIL("somebody is chosen who does not fit");
  enum q_status st = pool_acquire(sim.app.pool, &t->w, sim.now, patience, &return_ms, &e);
  bool lent = s.chosen && !s.seen.line;
  if(lent != (st == Q_OK) || (lent && t->w.lease.account != s.chosen)) T_FAIL("turn %ld: said that %s serves, and it is %s", t->no, s.chosen ? s.chosen->email : "nobody",
                                                                              st ? "nobody" : t->w.lease.account->email);
  if(st == Q_AGAIN && !s.chosen && return_ms && s.seen.return_ms != return_ms) T_FAIL("turn %ld: said to wait until %lld, waits until %lld", t->no,
                                                                                     (long long)s.seen.return_ms, (long long)return_ms);
  if(st == Q_OK) {
    if(line) T_FAIL("turn %ld was served before those who wait for the same", t->no);
    taken(t);
  } else if(st == Q_AGAIN) {
    t->until = sim.now + patience;
    if(t->state == FREE) t->state = WAITING;
    if(can && !line) T_FAIL("turn %ld waits, and could be served", t->no);
  } else {
    sim.refused++;
    if(can && !line) T_FAIL("turn %ld was refused, and could be served", t->no);
    if(!e.msg[0]) T_FAIL("refused without a word");
  }
}

static void pass_time(void)
{
  int64_t to = sim.now + (dice(400) ? 1 + dice(150) : dice(40) ? 1 + dice(20 * MIN) : 1 + dice(9 * HOUR));
  for(;;) { /* what ends on the way ends in order */
    struct guest *next = NULL;
    for(int k = 0; k < SLOTS; k++) {
      struct guest *t = &sim.turns[k];
      if(t->state != FREE && t->until <= to && (!next || t->until < next->until)) next = t;
    }
    if(!next) break;
    sim.now = next->until > sim.now ? next->until : sim.now;
    if(next->state == WAITING) {
      if(!pool_leave(sim.app.pool, &next->w)) T_FAIL("a turn that waits is not in line");
      next->state = FREE;
      sim.left++;
    } else {
      int wait_s;
      enum q_status how = fate(&wait_s);
      finish(next, how, wait_s);
      nobody_waits_in_vain("after a turn's end");
    }
  }
  sim.now = to;
  if(dice(8) == 0) return; /* somebody may come before the next look */
  pool_poll(sim.app.pool, sim.now);
  nobody_waits_in_vain("after a look");
}

static void switch_off(void *ctx, struct account *a)
{
  struct finding *f = ctx;
  if(number_of(a) == f->no) account_set_whole(a, ACCOUNT_DISABLED, Q_OK, "off");
}

static void switch_on(void *ctx, struct account *a)
{
  struct finding *f = ctx;
  if(number_of(a) == f->no) account_set_whole(a, ACCOUNT_ACTIVE, Q_OK, NULL);
}

/* A call on the side, an upload, ends in its own way. */
static void upload(int i)
{
  static const struct { enum q_status how; int wait_s; } rows[] = { { Q_OK, 0 }, { Q_OK, 0 }, { Q_UP_BUSY, 0 }, { Q_UP_QUOTA, 600 } };
  unsigned n = dice(4);
  book(i, FEATURE_UPLOAD, rows[n].how, rows[n].wait_s);
  pool_book(sim.app.pool, account_no(i), FEATURE_UPLOAD, sim.now, rows[n].how, "words", rows[n].wait_s);
}

/* The operator and the keeper: off and on again, a new sign-in. */
static void attend(int i)
{
  struct finding f = { i, account_no(i) };
  if(sim.m[i].whole == ACCOUNT_ACTIVE) {
    if(dice(20)) return;
    pool_each(sim.app.pool, switch_off, &f);
    sim.m[i].whole = ACCOUNT_DISABLED;
  } else if(sim.m[i].whole == ACCOUNT_DISABLED) {
    pool_each(sim.app.pool, switch_on, &f);
    sim.m[i].whole = ACCOUNT_ACTIVE;
    pool_poll(sim.app.pool, sim.now);
  } else {
    struct secret *token = secret_new(S("token"));
    sim.m[i].whole = ACCOUNT_ACTIVE;
    pool_set_token(sim.app.pool, f.a, token, 0, NULL, false, sim.now);
    secret_unref(token);
  }
}

static struct pool *new_pool(void)
{
  return pool_new(&(struct pool_config){ .max_inflight = CAP, .min_gap_ms = GAP, .queue_max = QUEUE, .stock = 1 });
}

/* The process ends and another begins on the same store: rests, how long the next will be and what is off live on; turns, rows of
 * failures and what is only known of the way out do not. */
static void restart(void)
{
  struct q_error e = Q_ERROR_NONE;
  for(int k = 0; k < SLOTS; k++) {
    struct guest *t = &sim.turns[k];
    if(t->state == WAITING) CHECK(pool_leave(sim.app.pool, &t->w));
    if(t->state == WAITING) t->state = FREE;
  }
  for(int k = 0; k < SLOTS; k++)
    if(sim.turns[k].state == RUNNING) finish(&sim.turns[k], Q_SHUTDOWN, 0);
  CHECK_INT(pool_count(sim.app.pool, FEATURE_CHAT, sim.now).leased, 0);
  CHECK_INT(accounts_save(&sim.app), Q_OK);
  pool_destroy(sim.app.pool);
  sim.app.pool = new_pool();
  CHECK_INT(accounts_load(&sim.app, &e), Q_OK);
  CHECK_INT(pool_count(sim.app.pool, FEATURE_CHAT, sim.now).total, ACCOUNTS);
  for(int i = 0; i < ACCOUNTS; i++) {
    struct known *m = &sim.m[i];
    m->transport = m->errors = m->auth = m->barred = m->cap = 0;
    m->started = m->used = 0;
  }
  memset(sim.ways, 0, sizeof sim.ways);
  sim.restarts++;
}

static int64_t wall(void *ctx)
{
  (void)ctx;
  return sim.now;
}

static int64_t mono(void *ctx)
{
  (void)ctx;
  return sim.now * 1000;
}

static void begin(void)
{
  struct q_error e = Q_ERROR_NONE;
  bool stale;
  int code;
  uint64_t seed = 0;
  memset(&sim, 0, sizeof sim);
  if(getenv("Q2A_SEED")) seed = strtoull(getenv("Q2A_SEED"), NULL, 10);
  while(!seed && getrandom(&seed, 4, 0) != 4) {}
  printf("Q2A_SEED=%llu\n", (unsigned long long)seed);
  sim.rnd = seed * 0x9e3779b97f4a7c15ull | 1;
  sim.now = 1764288000000 + dice(24 * HOUR);
  sim.clock = (struct now){ mono, wall, NULL };
  sim.app.now = &sim.clock;
  sim.app.config = &sim.config;
  sim.app.store = store_mem_new();
  sim.app.seal = seal_open(sim.app.store, &sim.config, &stale, &e, &code);
  sim.app.pool = new_pool();
  CHECK(sim.app.seal && sim.app.pool);
  for(int i = 0; i < ACCOUNTS; i++) {
    char name[40], proxy[40];
    snprintf(name, sizeof name, "u%02d@example.org", i);
    snprintf(proxy, sizeof proxy, "http://way%d.example:1", i % WAYS);
    struct account *a = account_new(str_z(name), S("pw"), str_z(proxy));
    a->dirty = true;
    CHECK_INT(pool_add(sim.app.pool, a), Q_OK);
  }
}

static void end(void)
{
  for(int k = 0; k < SLOTS; k++)
    if(sim.turns[k].state == WAITING) CHECK(pool_leave(sim.app.pool, &sim.turns[k].w)), sim.turns[k].state = FREE;
  for(int k = 0; k < SLOTS; k++)
    if(sim.turns[k].state == RUNNING) finish(&sim.turns[k], Q_OK, 0);
  pool_destroy(sim.app.pool);
  seal_destroy(sim.app.seal);
  store_close(sim.app.store);
}

/* All at once. A failed run prints its first few findings and stops. */
static void t_faults_and_restarts(void)
{
  long turns = t_torture() ? 1000000 : 50000;
  int before = atomic_load(&t_bad);
  begin();
  for(long round = 0; sim.served < turns && atomic_load(&t_bad) < before + 5; round++) {
    for(unsigned n = dice(4); n; n--) arrive();
    if(dice(50) == 0) attend((int)dice(ACCOUNTS));
    if(dice(100) == 0) upload((int)dice(ACCOUNTS));
    if(dice(4000) == 0) restart();
    pass_time();
    if(round > 400 * turns) {
      T_FAIL("%ld turns after %ld rounds", sim.served, round);
      break;
    }
  }
  printf("%ld turns served, %ld of them after a wait of at most %ld ms, %ld refused, %ld lost patience, %ld ended badly, %ld restarts\n",
         sim.served, sim.granted, sim.longest_ms, sim.refused, sim.left, sim.faults, sim.restarts);
  CHECK(sim.longest_ms <= 30 * SEC);
  CHECK(sim.granted > turns / 100 && sim.faults > turns / 100 && sim.restarts > 2 && sim.left > 0 && sim.refused > 0);
  end();
}

/* Equals get equal shares, whatever their turns last. */
static void t_fair_shares(void)
{
  long turns = t_torture() ? 200000 : 20000;
  begin();
  int before = atomic_load(&t_bad);
  while(sim.served < turns && atomic_load(&t_bad) < before + 5) {
    arrive();
    sim.now += 1 + dice(300);
    for(int k = 0; k < SLOTS; k++) {
      struct guest *t = &sim.turns[k];
      t->w.want.avoid_n = t->w.want.avoid_n && t->state == WAITING ? t->w.want.avoid_n : 0;
      if(t->state == RUNNING && t->until <= sim.now) finish(t, Q_OK, 0);
      if(t->state == WAITING && t->until <= sim.now) CHECK(pool_leave(sim.app.pool, &t->w)), t->state = FREE;
    }
    pool_poll(sim.app.pool, sim.now);
  }
  long least = turns, most = 0;
  for(int i = 0; i < ACCOUNTS; i++) {
    if(sim.m[i].served < least) least = sim.m[i].served;
    if(sim.m[i].served > most) most = sim.m[i].served;
  }
  printf("%ld to %ld turns an account\n", least, most);
  CHECK(most * 100 <= least * 110);
  end();
}

/* D20: clients that try again and again while accounts rest do not make the rest longer; only what the upstream says after it does. */
static void t_retries_do_not_lengthen_a_rest(void)
{
  begin();
  for(int storm = 0; storm < 6; storm++) {
    int64_t longest = MIN << (storm < 4 ? storm : 4), from = sim.now;
    if(longest > 15 * MIN) longest = 15 * MIN;
    struct guest t[ACCOUNTS] = { { .line = 0 } };
    struct q_error e = Q_ERROR_NONE;
    int64_t ret;
    for(int i = 0; i < ACCOUNTS; i++) {
      t[i].w.want = (struct pool_want){ .feature = FEATURE_CHAT, .model = S("m") };
      CHECK_INT(pool_acquire(sim.app.pool, &t[i].w, sim.now, 0, &ret, &e), Q_OK);
    }
    for(int i = 0; i < ACCOUNTS; i++) {
      struct account *a = t[i].w.lease.account;
      if(!a) continue;
      pool_release(sim.app.pool, &t[i].w.lease, sim.now, Q_UP_BUSY, "", 0, S("m"));
      for(int again = 0; again < 5; again++) /* what else was under way hears the same */
        pool_book(sim.app.pool, a, FEATURE_CHAT, sim.now + again * SEC, Q_UP_BUSY, "", 0);
    }
    for(; sim.now < from + longest; sim.now += 7 * SEC) { /* clients try */
      struct guest one = { .line = 0, .w.want = { .feature = FEATURE_CHAT, .model = S("m") } };
      enum q_status st = pool_acquire(sim.app.pool, &one.w, sim.now, 0, &ret, &e);
      CHECK_INT(st, Q_UP_BUSY);
      if(st == Q_OK) pool_release(sim.app.pool, &one.w.lease, sim.now, Q_UP_BUSY, "", 0, S("m"));
    }
    sim.now = from + longest;
  }
  end();
}

T_MAIN(T(t_faults_and_restarts), T(t_fair_shares), T(t_retries_do_not_lengthen_a_rest))
