#include "net/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

enum {
  RESOLVE_NAMES = 64, RESOLVE_FRESH_MS = 60 * 1000, RESOLVE_STALE_MS = 10 * 60 * 1000, RESOLVE_FAILED_MS = 5 * 1000
};

/* One owner's wait. Apart from it because the job's post may be on its way when the owner is gone. */
struct resolve_ticket {
  struct pump_task task;
  struct resolve *r;
  struct pump *pump;
  struct resolve_wait *wait;         /* NULL: cancelled. Touched on the pump's thread only */
  struct resolve_ticket *next, **at; /* in name->waits until posted, then in r->posted; under the lock */
  bool posted;
  int port;
  struct resolved answer;
};

struct resolve_name {
  struct resolve_name *next;
  struct resolve *r;
  char host[RESOLVE_HOST_MAX + 1];
  struct resolved answer;
  int64_t got_ms;                    /* when answer came; 0: never */
  int64_t used_ms;
  bool busy;                         /* a job looks it up; then it is not removed */
  struct job job;
  struct resolve_ticket *waits;
};

struct resolve_row {
  char host[RESOLVE_HOST_MAX + 1];
  int port;
  struct net_addr addr;
};

struct resolve {
  pthread_mutex_t lock;
  struct resolve_row *rows;          /* constant */
  int row_n;
  struct jobs *jobs;
  const struct now *now;
  struct resolve_name *names;
  int name_n;
  struct resolve_ticket *posted;     /* so that those of a pump that never ran again are freed too */
};

static void resolve_set_port(struct net_addr *a, int port)
{
  if(a->u.any.sa_family == AF_INET) a->u.v4.sin_port = htons((uint16_t)port);
  else a->u.v6.sin6_port = htons((uint16_t)port);
}

bool resolve_literal(struct str host, int port, struct net_addr *a)
{
  char z[64];
  memset(a, 0, sizeof *a);
  if(host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') host = str_sub(host, 1, host.n - 2);
  if(!host.n || host.n >= sizeof z) return false;
  str_copy(z, sizeof z, host);
  if(inet_pton(AF_INET, z, &a->u.v4.sin_addr) == 1) {
    a->u.v4.sin_family = AF_INET;
    a->len = sizeof a->u.v4;
  } else if(inet_pton(AF_INET6, z, &a->u.v6.sin6_addr) == 1) {
    a->u.v6.sin6_family = AF_INET6;
    a->len = sizeof a->u.v6;
  } else {
    return false;
  }
  resolve_set_port(a, port);
  return true;
}

struct resolve *resolve_new(const struct net_config *c, struct q_error *err)
{
  struct resolve *r = mem_zalloc(sizeof *r);
  if(!r) goto nomem;
  pthread_mutex_init(&r->lock, NULL);
  r->jobs = c->jobs;
  r->now = c->now;
  r->rows = c->resolve_n ? mem_zalloc((size_t)c->resolve_n * sizeof *r->rows) : NULL;
  if(c->resolve_n && !r->rows) goto nomem;
  for(; r->row_n < c->resolve_n; r->row_n++) {
    const struct net_resolve *from = &c->resolve[r->row_n];
    struct resolve_row *row = &r->rows[r->row_n];
    str_copy(row->host, sizeof row->host, str_z(from->host));
    row->port = from->port;
    if(!resolve_literal(str_z(from->addr), from->addr_port, &row->addr)) {
      (void)status_fail(err, Q_BAD_VALUE, NULL, "\"%.80s\" is no IP address (UPSTREAM_RESOLVE).", from->addr);
      resolve_destroy(r);
      return NULL;
    }
  }
  return r;

nomem:
  resolve_destroy(r);
  (void)status_fail(err, Q_NOMEM, NULL, "Out of memory.");
  return NULL;
}

static void resolve_link(struct resolve_ticket **list, struct resolve_ticket *t)
{
  t->next = *list;
  t->at = list;
  if(t->next) t->next->at = &t->next;
  *list = t;
}

static void resolve_unlink(struct resolve_ticket *t)
{
  *t->at = t->next;
  if(t->next) t->next->at = t->at;
}

void resolve_destroy(struct resolve *r)
{
  if(!r) return;
  for(struct resolve_name *n = r->names; n;) {
    struct resolve_name *next = n->next;
    mem_free(n);
    n = next;
  }
  for(struct resolve_ticket *t = r->posted; t;) {
    struct resolve_ticket *next = t->next;
    mem_free(t);
    t = next;
  }
  pthread_mutex_destroy(&r->lock);
  mem_free(r->rows);
  mem_free(r);
}

static const struct resolve_row *resolve_row(const struct resolve *r, struct str host, int port)
{
  for(int i = 0; i < r->row_n; i++)
    if((!r->rows[i].port || r->rows[i].port == port) && str_ieq(str_z(r->rows[i].host), host)) return &r->rows[i];
  return NULL;
}

bool resolve_mapped(const struct resolve *r, struct str host, int port)
{
  return resolve_row(r, host, port) != NULL;
}

static bool resolve_public_v4(uint32_t a)
{
  static const struct { uint32_t net; int bits; } closed[] = {
    { 0x00000000, 8 },  { 0x0a000000, 8 },  { 0x64400000, 10 }, { 0x7f000000, 8 },  { 0xa9fe0000, 16 },
    { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0000200, 24 }, { 0xc0586300, 24 }, { 0xc0a80000, 16 },
    { 0xc6120000, 15 }, { 0xc6336400, 24 }, { 0xcb007100, 24 }, { 0xe0000000, 3 },
  };
  for(size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
    if((a ^ closed[i].net) >> (32 - closed[i].bits) == 0) return false;
  return true;
}

static uint32_t resolve_be32(const unsigned char *p)
{
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool resolve_public(const struct net_addr *a)
{
  static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
  if(a->u.any.sa_family == AF_INET) return resolve_public_v4(ntohl(a->u.v4.sin_addr.s_addr));
  const unsigned char *p = a->u.v6.sin6_addr.s6_addr;
  uint32_t top = resolve_be32(p);
  if(memcmp(p, mapped, sizeof mapped) == 0) return resolve_public_v4(resolve_be32(p + 12));
  if(top >> 16 == 0x2002) return resolve_public_v4(resolve_be32(p + 2));  /* 6to4 carries an IPv4 address */
  return top >> 29 == 1 && top != 0x20010db8 && top != 0x20010000;        /* 2000::/3 but examples and Teredo */
}

/* Without asking anyone. */
static bool resolve_at_once(const struct resolve *r, struct str host, int port, struct resolved *out)
{
  const struct resolve_row *row = resolve_row(r, host, port);
  out->words[0] = 0;
  out->n = 1;
  if(row) {
    out->addr[0] = row->addr;
    if(row->addr.u.any.sa_family == AF_INET ? !row->addr.u.v4.sin_port : !row->addr.u.v6.sin6_port)
      resolve_set_port(&out->addr[0], port);
    return true;
  }
  if(resolve_literal(host, port, &out->addr[0])) return true;
  out->n = 0;
  if(host.n && host.n <= RESOLVE_HOST_MAX && !memchr(host.p, 0, host.n)) return false;
  snprintf(out->words, sizeof out->words, "the name is empty or too long");
  return true;
}

/* Asks the system; blocks. */
static void resolve_ask(const char *host, struct resolved *out)
{
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *list = NULL;
  int code = fault_hit() ? EAI_MEMORY : getaddrinfo(host, NULL, &hints, &list);
  out->n = 0;
  out->words[0] = 0;
  for(const struct addrinfo *ai = list; !code && ai && out->n < RESOLVE_ADDRS; ai = ai->ai_next) {
    struct net_addr *a = &out->addr[out->n];
    if((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) || ai->ai_addrlen > sizeof a->u) continue;
    memset(a, 0, sizeof *a);
    memcpy(&a->u, ai->ai_addr, ai->ai_addrlen);
    a->len = ai->ai_addrlen;
    out->n++;
  }
  if(list) freeaddrinfo(list);
  if(out->n) return;
  const char *why = code == EAI_MEMORY ? "out of memory"
                    : code == EAI_AGAIN || code == EAI_SYSTEM ? "the name server does not answer" : "no such name";
  bool no_conf = access("/etc/resolv.conf", R_OK) != 0;
  if(no_conf && code != EAI_MEMORY) why = "this system has no /etc/resolv.conf (name addresses in UPSTREAM_RESOLVE)";
  snprintf(out->words, sizeof out->words, "%s", why);
}

static void resolve_give(struct resolved *out, const struct resolved *answer, int port)
{
  *out = *answer;
  for(int i = 0; i < out->n; i++) resolve_set_port(&out->addr[i], port);
}

static void resolve_deliver(struct pump_task *task)
{
  struct resolve_ticket *t = (struct resolve_ticket *)task;
  struct resolve_wait *w = t->wait;
  pthread_mutex_lock(&t->r->lock);
  resolve_unlink(t);
  pthread_mutex_unlock(&t->r->lock);
  if(w) {
    w->ticket = NULL;
    resolve_give(w->out, &t->answer, t->port);
  }
  mem_free(t);
  if(w) w->fn(w);
}

static void resolve_job(struct job *j)
{
  struct resolve_name *n = (struct resolve_name *)((char *)j - offsetof(struct resolve_name, job));
  struct resolve *r = n->r;
  struct resolved got;
  resolve_ask(n->host, &got);
  pthread_mutex_lock(&r->lock);
  /* A failed refresh keeps the old addresses: the name server may be down for longer than the upstream. */
  if(got.n || !n->answer.n || now_mono_ms(r->now) - n->got_ms > RESOLVE_STALE_MS) n->answer = got;
  n->got_ms = now_mono_ms(r->now);
  n->busy = false;
  while(n->waits) {
    struct resolve_ticket *t = n->waits;
    resolve_unlink(t);
    resolve_link(&r->posted, t);
    t->answer = n->answer;
    t->posted = true;
    pump_post(t->pump, &t->task); /* under the lock: after a cancel it is either taken back or in the queue */
  }
  pthread_mutex_unlock(&r->lock);
}

/* Finds or makes the entry; the one used longest ago gives way. */
static struct resolve_name *resolve_name(struct resolve *r, struct str host)
{
  struct resolve_name **old = NULL;
  for(struct resolve_name **at = &r->names; *at; at = &(*at)->next) {
    if(str_ieq(str_z((*at)->host), host)) return *at;
    if(!(*at)->busy && (!old || (*at)->used_ms < (*old)->used_ms)) old = at;
  }
  if(r->name_n >= RESOLVE_NAMES && old) {
    struct resolve_name *gone = *old;
    *old = gone->next;
    mem_free(gone);
    r->name_n--;
  }
  struct resolve_name *n = r->name_n < RESOLVE_NAMES ? mem_zalloc(sizeof *n) : NULL;
  if(!n) return NULL;
  n->r = r;
  n->job.fn = resolve_job;
  str_copy(n->host, sizeof n->host, host);
  n->next = r->names;
  r->names = n;
  r->name_n++;
  return n;
}

/* 2: serves. 1: serves, but should be asked again. 0: must be asked. */
static int resolve_age(const struct resolve_name *n, int64_t now_ms)
{
  int64_t age = now_ms - n->got_ms;
  if(!n->got_ms) return 0;
  if(!n->answer.n) return age < RESOLVE_FAILED_MS ? 2 : 0;
  return age < RESOLVE_FRESH_MS ? 2 : age < RESOLVE_STALE_MS ? 1 : 0;
}

static bool resolve_submit(struct resolve *r, struct resolve_name *n)
{
  if(n->busy) return true;
  n->busy = r->jobs && jobs_submit(r->jobs, &n->job) == Q_OK;
  return n->busy;
}

enum q_status resolve_start(struct resolve *r, struct pump *p, struct str host, int port, struct resolve_wait *w)
{
  enum q_status st = Q_NOMEM;
  w->ticket = NULL;
  if(resolve_at_once(r, host, port, w->out)) return Q_OK;
  pthread_mutex_lock(&r->lock);
  int64_t now_ms = now_mono_ms(r->now);
  struct resolve_name *n = resolve_name(r, host);
  if(!n) goto done;
  n->used_ms = now_ms;
  int age = resolve_age(n, now_ms);
  if(age) {
    if(age == 1) (void)resolve_submit(r, n);
    resolve_give(w->out, &n->answer, port);
    st = Q_OK;
    goto done;
  }
  struct resolve_ticket *t = mem_zalloc(sizeof *t);
  if(!t) goto done;
  if(!resolve_submit(r, n)) {
    mem_free(t);
    goto done;
  }
  t->task.fn = resolve_deliver;
  t->r = r;
  t->pump = p;
  t->wait = w;
  t->port = port;
  resolve_link(&n->waits, t);
  w->ticket = t;
  st = Q_AGAIN;

done:
  pthread_mutex_unlock(&r->lock);
  return st;
}

void resolve_cancel(struct resolve *r, struct resolve_wait *w)
{
  struct resolve_ticket *t = w->ticket;
  if(!t) return;
  w->ticket = NULL;
  pthread_mutex_lock(&r->lock);
  t->wait = NULL;
  bool posted = t->posted;
  if(!posted) resolve_unlink(t);
  pthread_mutex_unlock(&r->lock);
  if(!posted) mem_free(t);
}

enum q_status resolve_now(struct resolve *r, struct str host, int port, struct resolved *out)
{
  char name[RESOLVE_HOST_MAX + 1];
  if(resolve_at_once(r, host, port, out)) return Q_OK;
  pthread_mutex_lock(&r->lock);
  int64_t now_ms = now_mono_ms(r->now);
  struct resolve_name *n = resolve_name(r, host);
  bool known = n && resolve_age(n, now_ms);
  if(known) resolve_give(out, &n->answer, port);
  pthread_mutex_unlock(&r->lock);
  if(known) return Q_OK;
  str_copy(name, sizeof name, host);
  resolve_ask(name, out);
  pthread_mutex_lock(&r->lock);
  n = resolve_name(r, host); /* it may have given way meanwhile */
  if(n && !n->busy) {
    n->answer = *out;
    n->got_ms = n->used_ms = now_mono_ms(r->now);
  }
  pthread_mutex_unlock(&r->lock);
  for(int i = 0; i < out->n; i++) resolve_set_port(&out->addr[i], port);
  return Q_OK;
}
