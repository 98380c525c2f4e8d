/* The connection machine: every layering, every way to fail, and that nothing is left behind. */
#include <sys/wait.h>

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
  bool broken = false;
  *st = Q_AGAIN;
  while(have < n && now_mono_ms(&now_real) < until) {
    size_t took;
    struct str in;
    if(at < len) {
      broken = conn_write(c, z + at, len - at, &took) != Q_OK;
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
    } else if(broken) {
      *st = Q_UP_CUT;
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

static void serve_late(struct peer_conn *c)
{
  char b[65536];
  usleep(300000);
  while(peer_read(c, b, sizeof b) > 0) {}
}

/* Who writes only when told that it may, and never reads meanwhile, is told until all has left: a record in the way of a peer
 * that did not read for a while must not be the last that anyone hears of. */
static void t_large_writes_by_events_alone(void)
{
  static char big[8 << 20];
  struct world w;
  struct peer *p = peer_start(peer_cert("good"), true, serve_late, NULL);
  world_rows[0] = (struct net_resolve){ "upstream.test", 443, "127.0.0.1", p->port };
  world_open(&w, peer_file("ca.pem"), 1);
  struct conn *c = dial(&w, "upstream.test", 443, true, "", 3000);
  CHECK_INT(conn_status(c), Q_OK);
  size_t at = 0, took = 1;
  int64_t until = now_mono_ms(&now_real) + 10000;
  while(at < sizeof big && now_mono_ms(&now_real) < until) {
    int before = w.events;
    do {
      CHECK_INT(conn_write(c, big + at, sizeof big - at, &took), Q_OK);
      at += took;
    } while(took && at < sizeof big);
    while(at < sizeof big && w.events == before && now_mono_ms(&now_real) < until) pump_turn(w.pump, 20);
  }
  CHECK_INT(at, sizeof big);
  conn_close(c);
  world_close(&w);
  peer_stop(p);
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

/* ---- failures and their words ---- */

static void fails(struct world *w, const char *name, const char *host, int port, bool tls, const char *proxy,
                  enum q_status st, const char *words)
{
  char row[64];
  snprintf(row, sizeof row, "fails: %s", name);
  t_row = row;
  struct conn *c = dial(w, host, port, tls, proxy, 1500);
  CHECK(c != NULL);
  CHECK_INT(conn_status(c), st);
  CHECK_Z(conn_words(c), words);
  conn_close(c);
  CHECK_INT(w->env.open, 0);
}

static void serve_plain_http(struct peer_conn *c)
{
  char b[512];
  (void)peer_read(c, b, sizeof b);
  (void)peer_say(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void serve_close(struct peer_conn *c)
{
  (void)c;
}

static void serve_silence(struct peer_conn *c)
{
  struct pollfd pf = { .fd = c->fd, .events = POLLRDHUP };
  (void)poll(&pf, 1, 5000);
}

/* openssl s_server with the given options on a fresh port; its pid. */
static pid_t s_server(const char *options, int *port)
{
  char cmd[512];
  int fd = peer_listen(port);
  close(fd);
  snprintf(cmd, sizeof cmd, "cd %s && exec openssl s_server -accept 127.0.0.1:%d -cert good.pem -key good.key "
           "-quiet %s >/dev/null 2>&1 </dev/null", peer_dir, *port, options);
  pid_t pid = fork();
  if(pid == 0) {
    execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
    _exit(99);
  }
  for(int i = 0; i < 200; i++) {
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = connect(s, (struct sockaddr *)&a, sizeof a) == 0;
    close(s);
    if(up) break;
    usleep(20000);
  }
  return pid;
}

static void s_server_end(pid_t pid)
{
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}

static void t_tls_trouble(void)
{
  struct world w;
  struct peer *wrong = peer_start(peer_cert("wronghost"), false, serve_echo, NULL);
  struct peer *old = peer_start(peer_cert("expired"), false, serve_echo, NULL);
  struct peer *alien = peer_start(peer_cert("stranger"), false, serve_echo, NULL);
  struct peer *http = peer_start(NULL, false, serve_plain_http, NULL);
  struct peer *shut = peer_start(NULL, false, serve_close, NULL);
  struct peer *mute = peer_start(NULL, false, serve_silence, NULL);
  int port13, port_old;
  pid_t tls13 = s_server("-tls1_3", &port13), cbc = s_server("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", &port_old);
  struct { int port; enum q_status st; const char *name, *words; } rows[] = {
    { wrong->port, Q_UP_TLS, "wrong host", "The certificate of upstream.test is not for this host name." },
    { old->port, Q_UP_TLS, "expired",
      "The certificate of upstream.test has expired or is not valid yet (check this machine's clock)." },
    { alien->port, Q_UP_TLS, "unknown issuer", "The certificate of upstream.test is not signed by a trusted authority "
      "(SSL_CERT_FILE names another CA file)." },
    { port13, Q_UP_TLS, "TLS 1.3 only", "upstream.test speaks only TLS 1.3, which this gateway does not: put a reverse "
      "proxy with TLS 1.2 in front and name it as the base URL (QWEN_CHAT_PROXY_URL)." },
    { port_old, Q_UP_TLS, "no suite", "upstream.test refused the TLS handshake: it shares no TLS 1.2 cipher suite with "
      "this gateway, or speaks only TLS 1.3." },
    { http->port, Q_UP_TLS, "plain http", "upstream.test does not answer in TLS 1.2: the port may speak plain HTTP or "
      "another TLS version." },
    { shut->port, Q_UP_UNREACHABLE, "closes", NULL },
    { mute->port, Q_UP_CONNECT_TIME, "silent", "upstream.test:443 did not answer in time." },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    world_rows[0] = (struct net_resolve){ "upstream.test", 443, "127.0.0.1", rows[i].port };
    long live = mem_live();
    int fds = peer_fds();
    world_open(&w, peer_file("ca.pem"), 1);
    if(rows[i].words) {
      fails(&w, rows[i].name, "upstream.test", 443, true, "", rows[i].st, rows[i].words);
    } else {
      struct conn *c = dial(&w, "upstream.test", 443, true, "", 1500);
      CHECK_INT(conn_status(c), rows[i].st);
      CHECK(strstr(conn_words(c), "upstream.test:443 ") && strstr(conn_words(c), " during the TLS handshake."));
      conn_close(c);
    }
    CHECK_INT(w.env.full_handshakes, 0);
    world_close(&w);
    CHECK_INT(mem_live(), live);
    CHECK(peer_fds_back(fds));
  }
  s_server_end(tls13);
  s_server_end(cbc);
  struct peer *all[] = { wrong, old, alien, http, shut, mute };
  for(size_t i = 0; i < sizeof all / sizeof all[0]; i++) peer_stop(all[i]);
}

/* The embedded roots do not trust our CA: the wording names the way out. */
static void t_unreachable(void)
{
  struct world w;
  int port, fd = peer_listen(&port);
  char words[128];
  close(fd);
  world_rows[0] = (struct net_resolve){ "upstream.test", 0, "127.0.0.1", port };
  world_rows[1] = (struct net_resolve){ "proxy.test", 0, "127.0.0.1", port };
  world_open(&w, peer_file("ca.pem"), 2);
  fails(&w, "refused", "upstream.test", 443, true, "", Q_UP_UNREACHABLE, "upstream.test:443 refused the connection.");
  fails(&w, "proxy refused", "upstream.test", 443, true, "http://user:secret@proxy.test:3128", Q_PROXY,
        "The proxy proxy.test:3128 refused the connection.");
  fails(&w, "bad proxy", "upstream.test", 443, true, "ftp://x", Q_PROXY,
        "The proxy URL must begin with http://, https://, socks5:// or socks5h://.");
  /* no server is asked for a name that cannot be one */
  struct conn *c = dial(&w, "no..such.name", 443, true, "", 8000);
  CHECK(conn_status(c) == Q_UP_UNREACHABLE || conn_status(c) == Q_UP_CONNECT_TIME);
  CHECK(strstr(conn_words(c), "no..such.name") != NULL);
  conn_close(c);
  snprintf(words, sizeof words, "127.0.0.1:%d refused the connection.", port);
  fails(&w, "literal", "127.0.0.1", port, false, "", Q_UP_UNREACHABLE, words);
  world_close(&w);
}

/* ---- proxies ---- */

struct relay { int target_port; const char *want_auth; char seen[256]; int reply; };

/* Copies both ways until either side ends. */
static void relay_run(struct peer_conn *c, int port)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int up = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char b[16384];
  if(connect(up, (struct sockaddr *)&a, sizeof a) == 0) {
    for(;;) {
      struct pollfd pf[2] = { { .fd = c->fd, .events = POLLIN }, { .fd = up, .events = POLLIN } };
      size_t have = 0;
      if(c->tls) (void)br_ssl_engine_recvapp_buf(&c->sc.eng, &have);
      if(!have && poll(pf, 2, 5000) <= 0) break;
      if(have || (pf[0].revents & (POLLIN | POLLHUP))) {
        size_t n = peer_read(c, b, sizeof b);
        if(!n || send(up, b, n, MSG_NOSIGNAL) != (ssize_t)n) break;
      }
      if(pf[1].revents & (POLLIN | POLLHUP)) {
        ssize_t n = recv(up, b, sizeof b, 0);
        if(n <= 0 || !peer_write(c, b, (size_t)n)) break;
      }
    }
  }
  close(up);
}

static void serve_connect(struct peer_conn *c)
{
  struct relay *r = c->peer->ctx;
  struct str head = peer_head(c), auth = peer_header(head, "Proxy-Authorization");
  str_copy(r->seen, sizeof r->seen, str_sub(head, 0, head.n ? (size_t)str_chr(head, '\r') : 0));
  if(r->reply) {
    char b[128];
    snprintf(b, sizeof b, "HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n", r->reply);
    (void)peer_say(c, b);
    return;
  }
  if(r->want_auth && !str_eq(auth, str_z(r->want_auth))) {
    (void)peer_say(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n");
    return;
  }
  (void)peer_say(c, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
  relay_run(c, r->target_port);
}

static bool socks_take(struct peer_conn *c, void *p, size_t n)
{
  char *at = p;
  while(n) {
    size_t k = peer_read(c, at, n);
    if(!k) return false;
    at += k;
    n -= k;
  }
  return true;
}

static void serve_socks(struct peer_conn *c)
{
  struct relay *r = c->peer->ctx;
  unsigned char b[600];
  if(!socks_take(c, b, 2) || b[0] != 5 || !socks_take(c, b + 2, b[1])) return;
  bool offers = memchr(b + 2, 2, b[1]) != NULL;
  if(r->want_auth && !offers) {
    (void)peer_write(c, "\5\377", 2);
    return;
  }
  (void)peer_write(c, r->want_auth ? "\5\2" : "\5\0", 2);
  if(r->want_auth) {
    char pair[256] = "";
    if(!socks_take(c, b, 2) || !socks_take(c, pair, b[1])) return;
    strcat(pair, ":");
    if(!socks_take(c, b, 1) || !socks_take(c, pair + strlen(pair), b[0])) return;
    bool good = strcmp(pair, r->want_auth) == 0;
    (void)peer_write(c, good ? "\1\0" : "\1\1", 2);
    if(!good) return;
  }
  if(!socks_take(c, b, 4)) return;
  if(b[3] == 3) {
    if(!socks_take(c, b + 4, 1) || !socks_take(c, b + 5, b[4] + 2u)) return;
    snprintf(r->seen, sizeof r->seen, "name %.*s:%d", b[4], (char *)b + 5, b[5 + b[4]] * 256 + b[6 + b[4]]);
  } else if(b[3] == 1) {
    if(!socks_take(c, b + 4, 6)) return;
    snprintf(r->seen, sizeof r->seen, "v4 %d.%d.%d.%d:%d", b[4], b[5], b[6], b[7], b[8] * 256 + b[9]);
  }
  char reply[] = "\5\0\0\1\177\0\0\1\0\1";
  reply[1] = (char)r->reply;
  /* in two pieces, so that the reader has to wait in the middle */
  (void)peer_write(c, reply, 4);
  usleep(2000);
  (void)peer_write(c, reply + 4, 6);
  if(!r->reply) relay_run(c, r->target_port);
}

static void t_proxies(void)
{
  struct world w;
  struct relay r = { 0 };
  struct peer *origin = peer_start(peer_cert("good"), true, serve_echo, NULL);
  struct peer *plain = peer_start(NULL, false, serve_echo, NULL);
  struct peer *http = peer_start(NULL, false, serve_connect, &r);
  struct peer *https = peer_start(peer_cert("good"), true, serve_connect, &r);
  struct peer *bad = peer_start(peer_cert("stranger"), true, serve_connect, &r);
  struct peer *socks = peer_start(NULL, false, serve_socks, &r);
  struct peer *web = peer_start(NULL, false, serve_plain_http, NULL);
  char url[128];
  static const char basic[] = "Basic dXNlcjpwQHNzOnc="; /* user:p@ss:w */
  world_rows[0] = (struct net_resolve){ "proxy.test", 1, "127.0.0.1", http->port };
  world_rows[1] = (struct net_resolve){ "proxy.test", 2, "127.0.0.1", https->port };
  world_rows[2] = (struct net_resolve){ "proxy.test", 3, "127.0.0.1", socks->port };
  world_rows[3] = (struct net_resolve){ "proxy.test", 4, "127.0.0.1", bad->port };
  world_rows[4] = (struct net_resolve){ "proxy.test", 5, "127.0.0.1", web->port };
  world_rows[5] = (struct net_resolve){ "proxy.test", 6, "127.0.0.1", plain->port };
  static const struct { const char *url, *auth, *seen, *fails; int reply; bool plain; } rows[] = {
    { "http://proxy.test:1", NULL, "CONNECT upstream.test:443 HTTP/1.1", NULL, 0, false },
    { "http://user:p%40ss%3Aw@proxy.test:1/", basic, "CONNECT upstream.test:443 HTTP/1.1", NULL, 0, false },
    { "http://user:p@ss:w@proxy.test:1/", basic, "CONNECT upstream.test:443 HTTP/1.1", NULL, 0, false },
    { "https://proxy.test:2", NULL, "CONNECT upstream.test:443 HTTP/1.1", NULL, 0, false },
    { "https://user:p%40ss%3aw@proxy.test:2", basic, "CONNECT upstream.test:443 HTTP/1.1", NULL, 0, false },
    { "socks5://proxy.test:3", NULL, "name upstream.test:443", NULL, 0, false },
    { "socks5h://proxy.test:3", NULL, "name upstream.test:443", NULL, 0, false },
    { "SOCKS5://user:p%40ss@proxy.test:3", "user:p@ss", "name upstream.test:443", NULL, 0, false },
    { "socks5://proxy.test:3", NULL, "name upstream.test:443", NULL, 0, true },
    { "http://proxy.test:1", basic, NULL, "The proxy proxy.test:1 asks for a user and password (HTTP 407).", 0, false },
    { "http://user:x@proxy.test:1", basic, NULL,
      "The proxy proxy.test:1 does not accept the user and password given (HTTP 407).", 0, false },
    { "http://proxy.test:1", NULL, NULL, "The proxy proxy.test:1 would not connect to the upstream (HTTP 503).", 503,
      false },
    { "https://user:x@proxy.test:2", basic, NULL,
      "The proxy proxy.test:2 does not accept the user and password given (HTTP 407).", 0, false },
    { "https://proxy.test:4", NULL, NULL, "Proxy: The certificate of proxy.test is not signed by a trusted authority "
      "(SSL_CERT_FILE names another CA file).", 0, false },
    { "socks5://proxy.test:3", "user:p", NULL, "The proxy proxy.test:3 asks for a user and password.", 0, false },
    { "socks5://user:q@proxy.test:3", "user:p", NULL,
      "The proxy proxy.test:3 does not accept the user and password given.", 0, false },
    { "socks5://proxy.test:3", NULL, NULL, "The proxy proxy.test:3 cannot reach the upstream's host (SOCKS 4).", 4,
      false },
    { "socks5://proxy.test:5", NULL, NULL, "The proxy proxy.test:5 does not speak SOCKS5.", 0, false },
    { "http://proxy.test:3", NULL, NULL, NULL, 0, false },
    { "http://proxy.test:6", NULL, NULL, "The proxy proxy.test:6 does not speak HTTP.", 0, false },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].url;
    long live = mem_live();
    r = (struct relay){ .target_port = rows[i].plain ? plain->port : origin->port, .want_auth = rows[i].auth,
                        .reply = rows[i].reply };
    world_open(&w, peer_file("ca.pem"), 6);
    snprintf(url, sizeof url, "%s", rows[i].url);
    struct conn *c = dial(&w, "upstream.test", 443, !rows[i].plain, url, 3000);
    if(rows[i].seen) {
      echo_check(&w, c);
      CHECK_Z(r.seen, rows[i].seen);
    } else {
      CHECK_INT(conn_status(c), Q_PROXY);
      if(rows[i].fails) CHECK_Z(conn_words(c), rows[i].fails);
      CHECK(strstr(conn_words(c), "user:") == NULL);
    }
    conn_close(c);
    world_close(&w);
    CHECK_INT(mem_live(), live);
  }
  struct peer *all[] = { http, https, bad, socks, web, origin, plain };
  for(size_t i = 0; i < sizeof all / sizeof all[0]; i++) peer_stop(all[i]);
}

/* Two layers of TLS resume both sessions. */
static void t_double_resume(void)
{
  struct world w;
  struct relay r = { 0 };
  struct peer *origin = peer_start(peer_cert("good"), true, serve_echo, NULL);
  struct peer *https = peer_start(peer_cert("good"), true, serve_connect, &r);
  r.target_port = origin->port;
  world_rows[0] = (struct net_resolve){ "proxy.test", 0, "127.0.0.1", https->port };
  world_open(&w, peer_file("ca.pem"), 1);
  for(int i = 0; i < 2; i++) {
    struct conn *c = dial(&w, "upstream.test", 443, true, "https://proxy.test:8443", 3000);
    echo_check(&w, c);
    conn_close(c);
  }
  CHECK_INT(w.env.full_handshakes, 2);
  CHECK_INT(w.env.resumed_handshakes, 2);
  world_close(&w);
  peer_stop(https);
  peer_stop(origin);
}

/* ---- a transport that gives one byte at a time, and one that fails ---- */

static long bytewise_read(void *ctx, int fd, void *p, size_t n)
{
  (void)ctx;
  return transport_real.read(NULL, fd, p, n ? 1 : 0);
}

static long bytewise_write(void *ctx, int fd, const void *p, size_t n)
{
  (void)ctx;
  return transport_real.write(NULL, fd, p, n ? 1 : 0);
}

static int bytewise_open(void *ctx, const void *sa, unsigned n)
{
  (void)ctx;
  return transport_real.open(NULL, sa, n);
}

static void t_bytewise(void)
{
  struct world w = { 0 };
  struct peer *p = peer_start(peer_cert("good"), true, serve_echo, NULL);
  static const struct transport bytewise = { bytewise_open, bytewise_read, bytewise_write, NULL };
  world_rows[0] = (struct net_resolve){ "upstream.test", 443, "127.0.0.1", p->port };
  struct net_config nc = { .resolve = world_rows, .resolve_n = 1, .ca_pem = peer_file("ca.pem"), .now = &now_real,
                           .transport = &bytewise };
  w.pump = pump_new(&now_real);
  w.jobs = jobs_new(1);
  w.net = net_new(&nc, NULL);
  w.env = (struct conn_env){ .net = w.net, .pump = w.pump };
  for(int tls = 0; tls < 2; tls++) {
    enum q_status st;
    struct conn *c = dial(&w, tls ? "upstream.test" : "127.0.0.1", tls ? 443 : p->port, tls, "", 10000);
    CHECK_INT(conn_status(c), Q_OK);
    if(tls) CHECK_STR(talk(&w, c, "hello there", 11, &st), S("hello there"));
    conn_close(c);
  }
  world_close(&w);
  peer_stop(p);
}

/* Every fallible call fails once, then all after it: never a crash, never something left behind. */
static void sweep(const char *name, struct world *w, const char *proxy, bool lasting)
{
  t_row = name;
  long n = 0;
  conn_close(dial(w, "upstream.test", 443, true, proxy, 2000)); /* what the pump keeps for good is there now */
  tls_bufs_free(&w->env.bufs);
  for(;; n++) {
    long live = mem_live();
    int fds = peer_fds();
    fault_arm(n, lasting);
    struct conn *c = dial(w, "upstream.test", 443, true, proxy, 2000);
    enum q_status st = c ? conn_status(c) : Q_NOMEM;
    struct str got = STR_NONE;
    if(!st) got = talk(w, c, "ping", 4, &st);
    if(c) CHECK(st == Q_OK || conn_status(c) == Q_OK || conn_words(c)[0]);
    conn_close(c);
    bool hit = fault_disarm();
    tls_bufs_free(&w->env.bufs);
    CHECK_INT(w->env.open, 0);
    CHECK_INT(mem_live() - live, 0);
    CHECK(peer_fds_back(fds));
    if(!hit) {
      CHECK_STR(got, S("ping"));
      break;
    }
    if(n > 2000) break;
  }
  CHECK(n > 8 && n < 2000);
}

static void t_faults(void)
{
  struct world w;
  struct relay r = { 0 };
  struct peer *origin = peer_start(peer_cert("good"), true, serve_echo, NULL);
  struct peer *https = peer_start(peer_cert("good"), true, serve_connect, &r);
  struct peer *socks = peer_start(NULL, false, serve_socks, &r);
  r.target_port = origin->port;
  world_rows[0] = (struct net_resolve){ "proxy.test", 2, "127.0.0.1", https->port };
  world_rows[1] = (struct net_resolve){ "proxy.test", 3, "127.0.0.1", socks->port };
  world_rows[2] = (struct net_resolve){ "upstream.test", 443, "127.0.0.1", origin->port };
  world_open(&w, peer_file("ca.pem"), 3);
  for(int lasting = 0; lasting < 2; lasting++) {
    sweep("direct", &w, "", lasting);
    sweep("https proxy", &w, "https://proxy.test:2", lasting);
    sweep("socks", &w, "socks5://proxy.test:3", lasting);
  }
  world_close(&w);
  peer_stop(https);
  peer_stop(socks);
  peer_stop(origin);
}

/* One expensive step a turn: while many handshakes arrive at once, no turn takes two. */
static void t_many_at_once(void)
{
  struct world w;
  enum { MANY = 40 };
  struct conn *c[MANY];
  struct peer *p = peer_start(peer_cert("good"), false, serve_echo, NULL);
  world_rows[0] = (struct net_resolve){ "upstream.test", 443, "127.0.0.1", p->port };
  world_open(&w, peer_file("ca.pem"), 1);
  pump_turn(w.pump, 0);
  struct conn_want want = { .host = S("upstream.test"), .port = 443, .tls = true,
                            .deadline_ms = pump_now(w.pump) + 10000 };
  for(int i = 0; i < MANY; i++) c[i] = conn_open(&w.env, &want, on_event, &w);
  int open = 0;
  long last = 0, most = 0;
  for(int turn = 0; turn < 5000 && open < MANY; turn++) {
    pump_turn(w.pump, 20);
    open = 0;
    for(int i = 0; i < MANY; i++) open += conn_status(c[i]) == Q_OK;
    if(w.env.full_handshakes - last > most) most = w.env.full_handshakes - last;
    last = w.env.full_handshakes;
  }
  CHECK_INT(open, MANY);
  CHECK_INT(w.env.full_handshakes, MANY);
  CHECK(w.env.bufs.free_n <= 8);
  for(int i = 0; i < MANY; i++) {
    if(i % 7 == 0) echo_check(&w, c[i]);
    conn_close(c[i]);
  }
  CHECK_INT(peer_live(p), 0);
  world_close(&w);
  peer_stop(p);
}

/* Many that begin together: one makes the session, the others wait for it and resume. A leader that hangs, fails or
 * brings no session does not hold them for long. */
static atomic_int herd_count;
static void serve_first_hangs(struct peer_conn *c)
{
  struct pollfd pf = { .fd = c->fd, .events = POLLRDHUP };
  struct peer_cache cache;
  if(atomic_fetch_add(&herd_count, 1) == 0) {
    (void)poll(&pf, 1, 8000);
    return;
  }
  peer_start_tls(c, c->peer->ctx, &cache);
  serve_echo(c);
}

static void t_herd(void)
{
  enum { MANY = 60 };
  static const struct peer_cert *good;
  good = peer_cert("good");
  static const struct { const char *name; bool cache, hang; const char *host; int full, resumed, failed; } rows[] = {
    { "session", true, false, "upstream.test", 1, MANY - 1, 0 },
    { "no session", false, false, "upstream.test", MANY, 0, 0 },
    { "hanging leader", true, true, "upstream.test", -1, -1, 1 },
    { "wrong name", true, false, "evil.test", 0, 0, MANY },
  };
  for(size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
    struct world w;
    struct conn *c[MANY];
    t_row = rows[k].name;
    atomic_store(&herd_count, 0);
    struct peer *p = peer_start(rows[k].hang ? NULL : good, rows[k].cache,
                                rows[k].hang ? serve_first_hangs : serve_echo, (void *)(uintptr_t)good);
    world_rows[0] = (struct net_resolve){ rows[k].host, 443, "127.0.0.1", p->port };
    world_open(&w, peer_file("ca.pem"), 1);
    pump_turn(w.pump, 0);
    struct conn_want want = { .host = str_z(rows[k].host), .port = 443, .tls = true,
                              .deadline_ms = pump_now(w.pump) + 3000 };
    for(int i = 0; i < MANY; i++) c[i] = conn_open(&w.env, &want, on_event, &w);
    if(k == 0) { /* those that go while they wait, and the leader itself, leave the line in order */
      conn_close(c[MANY - 1]);
      pump_turn(w.pump, 1);
      conn_close(c[MANY - 2]);
      for(int i = MANY - 2; i < MANY; i++) c[i] = conn_open(&w.env, &want, on_event, &w);
    }
    int open = 0, failed = 0;
    int64_t from = now_mono_ms(&now_real), rest_ms = 0;
    for(int turn = 0; turn < 5000 && open + failed < MANY; turn++) {
      pump_turn(w.pump, 20);
      open = failed = 0;
      for(int i = 0; i < MANY; i++) {
        open += conn_status(c[i]) == Q_OK;
        failed += conn_status(c[i]) != Q_OK && conn_status(c[i]) != Q_AGAIN;
      }
      if(!rest_ms && open == MANY - 1) rest_ms = now_mono_ms(&now_real) - from;
    }
    CHECK_INT(failed, rows[k].failed);
    CHECK_INT(open, MANY - rows[k].failed);
    if(rows[k].full >= 0) {
      CHECK_INT(w.env.full_handshakes, rows[k].full);
      CHECK_INT(w.env.resumed_handshakes, rows[k].resumed);
    } else {
      CHECK(rest_ms > 0 && rest_ms < 2500);
    }
    CHECK(w.env.leader == NULL && w.env.waiting == NULL);
    for(int i = 0; i < MANY; i++) conn_close(c[i]);
    world_close(&w);
    peer_stop(p);
  }
}

static void t_public_only(void)
{
  struct world w;
  struct peer *p = peer_start(NULL, false, serve_echo, NULL);
  static const struct { const char *host, *proxy; enum q_status st; const char *words; } rows[] = {
    { "127.0.0.1", "", Q_BAD_VALUE, "127.0.0.1 is no public address." },
    { "::1", "", Q_BAD_VALUE, "::1 is no public address." },
    { "::ffff:10.1.2.3", "", Q_BAD_VALUE, "::ffff:10.1.2.3 is no public address." },
    { "localhost", "", Q_BAD_VALUE, "localhost is no public address." },
    { "127.1", "", Q_BAD_VALUE, "127.1 is no public address." },
    { "169.254.169.254", "http://proxy.test", Q_BAD_VALUE, "169.254.169.254 is no public address." },
    { "LocalHost", "http://proxy.test", Q_BAD_VALUE, "LocalHost is no public address." },
    { "mapped.test", "", Q_OK, "" },
  };
  world_rows[0] = (struct net_resolve){ "mapped.test", 0, "127.0.0.1", p->port };
  world_rows[1] = (struct net_resolve){ "proxy.test", 0, "127.0.0.1", p->port };
  world_open(&w, peer_file("ca.pem"), 2);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].host;
    pump_turn(w.pump, 0);
    struct conn_want want = { .host = str_z(rows[i].host), .port = 80, .proxy = str_z(rows[i].proxy),
                              .public_only = true, .deadline_ms = pump_now(w.pump) + 3000 };
    struct conn *c = conn_open(&w.env, &want, on_event, &w);
    for(int k = 0; conn_status(c) == Q_AGAIN && k < 200; k++) pump_turn(w.pump, 20);
    CHECK_INT(conn_status(c), rows[i].st);
    CHECK_Z(conn_words(c), rows[i].words);
    conn_close(c);
  }
  CHECK_INT(w.env.connects, 1);
  world_close(&w);
  peer_stop(p);
}

int main(int argc, char **argv)
{
  static const struct t_test tests[] = {
    T(t_plain), T(t_tls), T(t_large_writes_by_events_alone), T(t_rest_is_small), T(t_tls_trouble), T(t_unreachable), T(t_proxies), T(t_double_resume),
    T(t_bytewise), T(t_faults), T(t_many_at_once),
    T(t_herd), T(t_public_only),
  };
  peer_make_certs();
  int bad = t_main(tests, (int)(sizeof tests / sizeof tests[0]), argc, argv);
  peer_clean();
  return bad;
}
