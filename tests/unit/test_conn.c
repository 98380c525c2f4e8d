/* The connection machine: every layering, every way to fail, and that nothing is left behind. */
#include "../peer.h"

#include "base/mem.h"
#include "net/conn.h"

struct world {
  struct pump *pump;
  struct jobs *jobs;
  struct net *net;
  struct conn_env env;
  int events;
};

static struct net_resolve world_rows[8];

static void world_open(struct world *w, struct str ca, int rows)
{
  struct q_error err = Q_ERROR_NONE;
  memset(w, 0, sizeof *w);
  w->jobs = jobs_new(4);
  w->pump = pump_new(&now_real);
  struct net_config c = { .resolve = world_rows, .resolve_n = rows, .ca_pem = ca, .jobs = w->jobs, .now = &now_real };
  w->net = net_new(&c, &err);
  if(!w->net || !w->pump || !w->jobs) printf("world: %s\n", err.msg), exit(99);
  w->env = (struct conn_env){ .net = w->net, .pump = w->pump };
}

static void world_close(struct world *w)
{
  CHECK_INT(w->env.open, 0);
  tls_bufs_free(&w->env.bufs);
  jobs_destroy(w->jobs);
  pump_destroy(w->pump);
  net_destroy(w->net);
}

static void on_event(struct conn *c, void *owner)
{
  struct world *w = owner;
  (void)c;
  w->events++;
}

static struct conn *dial(struct world *w, const char *host, int port, bool tls, const char *proxy, int64_t ms)
{
  struct conn_want want = { .host = str_z(host), .port = port, .tls = tls, .proxy = str_z(proxy),
                            .deadline_ms = pump_now(w->pump) + ms };
  pump_turn(w->pump, 0);
  want.deadline_ms = pump_now(w->pump) + ms;
  struct conn *c = conn_open(&w->env, &want, on_event, w);
  for(int i = 0; c && conn_status(c) == Q_AGAIN && i < 2000; i++) pump_turn(w->pump, 20);
  return c;
}

/* Sends z and reads until n bytes came or it ends; the outcome in *st. */
static struct str talk(struct world *w, struct conn *c, const char *z, size_t n, enum q_status *st)
{
  static char got[1 << 20];
  size_t at = 0, len = strlen(z), have = 0;
  int64_t until = now_mono_ms(&now_real) + 5000;
  *st = Q_AGAIN;
  while(have < n && now_mono_ms(&now_real) < until) {
    size_t took;
    struct str in;
    if(at < len) {
      (void)!conn_write(c, z + at, len - at, &took);
      at += took;
    } else {
      (void)conn_flushed(c);
    }
    *st = conn_read(c, &in);
    if(*st == Q_OK) {
      size_t k = in.n < n - have ? in.n : n - have;
      memcpy(got + have, in.p, k);
      have += k;
      conn_took(c, k);
    } else if(*st != Q_AGAIN) {
      break;
    } else {
      pump_turn(w->pump, 20);
    }
  }
  return str_of(got, have);
}

static void serve_echo(struct peer_conn *c)
{
  char b[8192];
  size_t n;
  while((n = peer_read(c, b, sizeof b)) > 0)
    if(!peer_write(c, b, n)) break;
}

static void serve_nothing(struct peer_conn *c)
{
  char b[64];
  (void)peer_read(c, b, sizeof b);
}

static void echo_check(struct world *w, struct conn *c)
{
  enum q_status st;
  CHECK_INT(conn_status(c), Q_OK);
  if(conn_status(c)) {
    printf("  %s\n", conn_words(c));
    return;
  }
  CHECK_STR(talk(w, c, "hello there", 11, &st), S("hello there"));
  static char big[300001];
  for(size_t i = 0; i < sizeof big - 1; i++) big[i] = (char)('a' + i % 23 + i / 7919 % 3);
  CHECK_STR(talk(w, c, big, sizeof big - 1, &st), str_of(big, sizeof big - 1));
}

static void t_plain(void)
{
  struct world w;
  struct peer *p = peer_start(NULL, false, serve_echo, NULL);
  long live = mem_live();
  int fds = peer_fds();
  world_open(&w, peer_file("ca.pem"), 0);
  struct conn *c = dial(&w, "127.0.0.1", p->port, false, "", 3000);
  echo_check(&w, c);
  conn_close(c);
  world_close(&w);
  peer_stop(p);
  CHECK_INT(mem_live(), live);
  CHECK_INT(peer_fds(), fds - 1);
}

static void t_tls(void)
{
  struct world w;
  struct peer *p = peer_start(peer_cert("good"), true, serve_echo, NULL);
  world_rows[0] = (struct net_resolve){ "upstream.test", 443, "127.0.0.1", p->port };
  long live = mem_live();
  world_open(&w, peer_file("ca.pem"), 1);
  for(int i = 0; i < 3; i++) {
    struct conn *c = dial(&w, "upstream.test", 443, true, "", 3000);
    echo_check(&w, c);
    conn_close(c);
  }
  CHECK_INT(w.env.full_handshakes, 1);
  CHECK_INT(w.env.resumed_handshakes, 2);
  CHECK_INT(atomic_load(&p->resumed), 2);
  world_close(&w);
  peer_stop(p);
  CHECK_INT(mem_live(), live);
}

static void t_rest_is_small(void)
{
  struct world w;
  struct peer *p = peer_start(peer_cert("good"), true, serve_echo, NULL);
  world_rows[0] = (struct net_resolve){ "upstream.test", 443, "127.0.0.1", p->port };
  world_open(&w, peer_file("ca.pem"), 1);
  struct conn *c = dial(&w, "upstream.test", 443, true, "", 3000);
  echo_check(&w, c);
  /* every record buffer is back in the list: an open stream at rest holds none */
  long live = mem_live();
  int kept = w.env.bufs.free_n;
  CHECK(kept >= 2);
  tls_bufs_free(&w.env.bufs);
  CHECK_INT(mem_live(), live - kept);
  echo_check(&w, c);
  conn_close(c);
  world_close(&w);
  peer_stop(p);
}

int main(int argc, char **argv)
{
  static const struct t_test tests[] = { T(t_plain), T(t_tls), T(t_rest_is_small) };
  (void)serve_nothing;
  peer_make_certs();
  int bad = t_main(tests, (int)(sizeof tests / sizeof tests[0]), argc, argv);
  peer_clean();
  return bad;
}
