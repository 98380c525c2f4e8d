/* Names: table, literals, one job for many waiters, memory of answers, cancelling at any moment. */
#include <arpa/inet.h>
#include <pthread.h>
#include <unistd.h>

#include "../t.h"

#include "base/mem.h"
#include "net/resolve.h"

static int64_t fake_us;
static int64_t fake_mono(void *ctx)
{
  (void)ctx;
  return fake_us;
}
static const struct now fake_now = { fake_mono, fake_mono, NULL };

struct waiter {
  struct resolve_wait w;
  struct resolved got;
  int calls;
};

static void answered(struct resolve_wait *w)
{
  ((struct waiter *)w)->calls++;
}

static void waiter_init(struct waiter *w)
{
  *w = (struct waiter){ .w.fn = answered };
  w->w.out = &w->got;
}

static struct resolve *resolve_with(struct jobs *js, const struct net_resolve *rows, int n, const struct now *now)
{
  struct net_config c = { .resolve = rows, .resolve_n = n, .jobs = js, .now = now };
  struct resolve *r = resolve_new(&c, NULL);
  CHECK(r != NULL);
  return r;
}

static void addr_text(const struct net_addr *a, char *text)
{
  char ip[64];
  bool v4 = a->u.any.sa_family == AF_INET;
  if(v4) inet_ntop(AF_INET, &a->u.v4.sin_addr, ip, sizeof ip);
  else inet_ntop(AF_INET6, &a->u.v6.sin6_addr, ip, sizeof ip);
  snprintf(text, 80, "%s %d %u", ip, ntohs(v4 ? a->u.v4.sin_port : a->u.v6.sin6_port), a->len);
}

static void t_at_once(void)
{
  static const struct net_resolve table[] = {
    { "chat.test", 443, "127.0.0.1", 8443 }, { "chat.test", 80, "10.0.0.1", 0 }, { "any.test", 0, "[::1]", 9 },
  };
  static const struct { const char *host; int port; const char *want; } rows[] = {
    { "chat.test", 443, "127.0.0.1 8443 16" }, { "CHAT.test", 443, "127.0.0.1 8443 16" },
    { "chat.test", 80, "10.0.0.1 80 16" },     { "any.test", 1234, "::1 9 28" },
    { "192.0.2.7", 99, "192.0.2.7 99 16" },    { "2001:db8::1", 99, "2001:db8::1 99 28" },
    { "[2001:db8::1]", 99, "2001:db8::1 99 28" },
  };
  struct pump *p = pump_new(&now_real);
  struct resolve *r = resolve_with(NULL, table, 3, &now_real);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct waiter w;
    char text[80];
    t_row = rows[i].host;
    waiter_init(&w);
    CHECK_INT(resolve_start(r, p, str_z(rows[i].host), rows[i].port, &w.w), Q_OK);
    CHECK_INT(w.got.n, 1);
    addr_text(&w.got.addr[0], text);
    CHECK_Z(text, rows[i].want);
    CHECK_INT(w.calls, 0);
    resolve_cancel(r, &w.w); /* harmless */
    CHECK_INT(resolve_now(r, str_z(rows[i].host), rows[i].port, &w.got), Q_OK);
    addr_text(&w.got.addr[0], text);
    CHECK_Z(text, rows[i].want);
  }
  CHECK(resolve_mapped(r, S("chat.test"), 443) && !resolve_mapped(r, S("chat.test"), 81));
  CHECK(resolve_mapped(r, S("any.test"), 81) && !resolve_mapped(r, S("other.test"), 81));
  struct waiter w;
  waiter_init(&w);
  static char longer[300];
  memset(longer, 'a', sizeof longer);
  CHECK_INT(resolve_start(r, p, str_of(longer, 256), 1, &w.w), Q_OK);
  CHECK_INT(w.got.n, 0);
  CHECK_Z(w.got.words, "the name is empty or too long");
  CHECK_INT(resolve_start(r, p, STR_NONE, 1, &w.w), Q_OK);
  CHECK_INT(w.got.n, 0);
  /* without jobs nobody could ask */
  CHECK_INT(resolve_start(r, p, S("other.test"), 1, &w.w), Q_NOMEM);
  resolve_destroy(r);
  pump_destroy(p);
  struct q_error e = Q_ERROR_NONE;
  static const struct net_resolve bad[] = { { "a.test", 1, "not-an-address", 1 } };
  struct net_config c = { .resolve = bad, .resolve_n = 1, .now = &now_real };
  CHECK(resolve_new(&c, &e) == NULL);
  CHECK_INT(e.st, Q_BAD_VALUE);
  CHECK_Z(e.msg, "\"not-an-address\" is no IP address (UPSTREAM_RESOLVE).");
}

/* A pool of one thread that is held up, so that what waits can be seen. */
struct plug {
  struct job job;
  pthread_mutex_t lock;
  struct job count;
};
static void plug_fn(struct job *j)
{
  struct plug *p = (struct plug *)j;
  pthread_mutex_lock(&p->lock);
  pthread_mutex_unlock(&p->lock);
}

static void t_single_flight(void)
{
  enum { MANY = 20 };
  struct pump *p = pump_new(&now_real);
  struct jobs *js = jobs_new(1);
  fake_us = 1000000;
  struct resolve *r = resolve_with(js, NULL, 0, &fake_now);
  struct plug plug = { .job.fn = plug_fn };
  struct waiter w[MANY];
  pthread_mutex_init(&plug.lock, NULL);
  pthread_mutex_lock(&plug.lock);
  CHECK_INT(jobs_submit(js, &plug.job), Q_OK);
  for(int i = 0; i < MANY; i++) {
    waiter_init(&w[i]);
    CHECK_INT(resolve_start(r, p, S("localhost"), 100 + i, &w[i].w), Q_AGAIN);
  }
  CHECK_INT(jobs_running(js), 2); /* the plug and one look-up */
  resolve_cancel(r, &w[3].w);     /* before it was asked */
  pthread_mutex_unlock(&plug.lock);
  for(int i = 0; i < 100 && jobs_running(js); i++) usleep(10000);
  resolve_cancel(r, &w[4].w);     /* the answer is posted already */
  for(int i = 0; i < 10; i++) pump_turn(p, 10);
  for(int i = 0; i < MANY; i++) {
    CHECK_INT(w[i].calls, i != 3 && i != 4);
    if(!w[i].calls) continue;
    CHECK(w[i].got.n > 0);
    bool v4 = w[i].got.addr[0].u.any.sa_family == AF_INET;
    CHECK_INT(ntohs(v4 ? w[i].got.addr[0].u.v4.sin_port : w[i].got.addr[0].u.v6.sin6_port), 100 + i);
  }
  /* remembered: no job for 60 s, then the old answer once more while a job asks again */
  CHECK_INT(resolve_start(r, p, S("LOCALHOST"), 7, &w[0].w), Q_OK);
  CHECK(w[0].got.n > 0);
  CHECK_INT(jobs_running(js), 0);
  pthread_mutex_lock(&plug.lock);
  plug.job.fn = plug_fn;
  CHECK_INT(jobs_submit(js, &plug.job), Q_OK);
  fake_us += 61 * 1000000;
  CHECK_INT(resolve_start(r, p, S("localhost"), 7, &w[0].w), Q_OK);
  CHECK(w[0].got.n > 0);
  CHECK_INT(jobs_running(js), 2);
  CHECK_INT(resolve_start(r, p, S("localhost"), 7, &w[0].w), Q_OK);
  CHECK_INT(jobs_running(js), 2);
  pthread_mutex_unlock(&plug.lock);
  for(int i = 0; i < 100 && jobs_running(js); i++) usleep(10000);
  fake_us += 11ll * 60 * 1000000; /* too old even for that */
  CHECK_INT(resolve_start(r, p, S("localhost"), 7, &w[0].w), Q_AGAIN);
  jobs_destroy(js);
  pump_turn(p, 10);
  CHECK_INT(w[0].calls, 2);
  resolve_destroy(r);
  pump_destroy(p);
  pthread_mutex_destroy(&plug.lock);
}

static void t_failure_is_short(void)
{
  struct pump *p = pump_new(&now_real);
  struct jobs *js = jobs_new(2);
  fake_us = 1000000;
  struct resolve *r = resolve_with(js, NULL, 0, &fake_now);
  struct waiter w;
  waiter_init(&w);
  CHECK_INT(resolve_start(r, p, S("no..such.name"), 7, &w.w), Q_AGAIN);
  for(int i = 0; i < 1500 && !w.calls; i++) pump_turn(p, 10);
  CHECK_INT(w.calls, 1);
  CHECK_INT(w.got.n, 0);
  CHECK(w.got.words[0] != 0);
  fake_us += 4 * 1000000;
  CHECK_INT(resolve_start(r, p, S("no..such.name"), 7, &w.w), Q_OK);
  CHECK_INT(w.got.n, 0);
  fake_us += 2 * 1000000;
  CHECK_INT(resolve_start(r, p, S("no..such.name"), 7, &w.w), Q_AGAIN);
  resolve_cancel(r, &w.w);
  jobs_destroy(js);
  resolve_destroy(r);
  pump_destroy(p);
}

/* More names than are kept; nothing is lost or leaked, and a pump may die with an answer on its way. */
static void t_bounded(void)
{
  long live = mem_live();
  struct pump *p = pump_new(&now_real);
  struct jobs *js = jobs_new(2);
  struct resolve *r = resolve_with(js, NULL, 0, &now_real);
  struct resolved out;
  char name[64]; /* "127.5" is no literal for inet_pton(), and the system knows it without asking a server */
  for(int i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "127.%d", i);
    if(i % 50 == 0) CHECK_INT(resolve_now(r, S("localhost"), 5, &out), Q_OK);
    struct waiter w;
    waiter_init(&w);
    enum q_status st = resolve_start(r, p, str_z(name), 5, &w.w);
    CHECK(st == Q_AGAIN || st == Q_NOMEM); /* all 64 entries may be busy */
    resolve_cancel(r, &w.w);
  }
  struct waiter last;
  waiter_init(&last);
  for(int i = 0; i < 1000 && jobs_running(js); i++) usleep(10000);
  CHECK_INT(resolve_start(r, p, S("yet..another"), 5, &last.w), Q_AGAIN);
  jobs_destroy(js);
  resolve_cancel(r, &last.w); /* posted, and the pump will never run it */
  pump_destroy(p);
  resolve_destroy(r);
  CHECK_INT(mem_live(), live);
  CHECK_INT(last.calls, 0);
}

static void t_public(void)
{
  static const struct { const char *addr; bool open; } rows[] = {
    { "8.8.8.8", true }, { "1.1.1.1", true }, { "0.0.0.0", false }, { "10.255.0.1", false }, { "11.0.0.1", true },
    { "100.63.255.255", true }, { "100.64.0.0", false }, { "100.127.255.255", false }, { "100.128.0.0", true },
    { "127.0.0.1", false }, { "127.255.255.255", false }, { "169.254.169.254", false }, { "169.253.0.1", true },
    { "172.15.255.255", true }, { "172.16.0.0", false }, { "172.31.255.255", false }, { "172.32.0.0", true },
    { "192.0.0.8", false }, { "192.0.2.1", false }, { "192.168.1.1", false }, { "192.169.1.1", true },
    { "198.17.255.255", true }, { "198.18.0.1", false }, { "198.19.255.255", false }, { "198.20.0.0", true },
    { "198.51.100.7", false }, { "203.0.113.7", false }, { "223.255.255.255", true }, { "224.0.0.1", false },
    { "240.0.0.1", false }, { "255.255.255.255", false }, { "::", false }, { "::1", false }, { "fe80::1", false },
    { "fc00::1", false }, { "fd12::1", false }, { "ff02::1", false }, { "2001:db8::1", false }, { "2001::1", false },
    { "2606:4700::1111", true }, { "::ffff:127.0.0.1", false }, { "::ffff:8.8.8.8", true }, { "64:ff9b::a00:1", false },
    { "2002:7f00:1::", false }, { "2002:808:808::1", true }, { "::127.0.0.1", false },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct net_addr a;
    t_row = rows[i].addr;
    CHECK(resolve_literal(str_z(rows[i].addr), 1, &a));
    CHECK_INT(resolve_public(&a), rows[i].open);
  }
}

T_MAIN(T(t_public), T(t_at_once), T(t_single_flight), T(t_failure_is_short), T(t_bounded))
