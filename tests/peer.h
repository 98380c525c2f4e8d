/* peer.h - small loopback servers for the tests of net: a thread a connection, plain or TLS, and certificates made on
 * the spot by the openssl command.
 *
 * Threads: a peer's serve function runs on the connection's own thread. */
#ifndef Q2A_TESTS_PEER_H
#define Q2A_TESTS_PEER_H

#include <arpa/inet.h>
#include <bearssl.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <dirent.h>

#include "t.h"

struct peer_cert {
  br_x509_certificate chain[3];
  int chain_n;
  br_skey_decoder_context key;
};

struct peer;
struct peer_conn {
  struct peer *peer;
  int fd;
  bool tls;
  br_ssl_server_context sc;
  unsigned char buf[BR_SSL_BUFSIZE_BIDI];
  br_sslio_context io;
  char in[65536 + 1]; /* what peer_head() read */
  size_t in_n;
};

struct peer {
  int fd, port;
  const struct peer_cert *cert; /* NULL: plain */
  br_ssl_session_cache_lru *cache; /* NULL: no resumption */
  void (*serve)(struct peer_conn *c);
  void *ctx;
  pthread_t thread;
  atomic_int accepted, live, requests, resumed;
  atomic_bool stop;
  pthread_mutex_t cache_lock;
  unsigned char cache_mem[8192];
  br_ssl_session_cache_lru cache_store;
};

/* ---- files and certificates ---- */

static char peer_dir[64];
static void *peer_kept[512]; /* what lives as long as the test, so that leak checks pass over it */
static int peer_kept_n;

static inline void *peer_keep(void *p)
{
  if(peer_kept_n < 512) peer_kept[peer_kept_n++] = p;
  return p;
}

static inline void peer_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void peer_sh(const char *fmt, ...)
{
  char cmd[2048];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(cmd, sizeof cmd, fmt, ap);
  va_end(ap);
  if(system(cmd) != 0) printf("failed: %s\n", cmd), exit(99);
}

/* <dir>/ca.pem, and name.pem + name.key for: good (upstream.test), host (other.test), expired, stranger (another CA) */
static inline void peer_make_certs(void)
{
  static const char *made[] = { "good", "wronghost", "expired" };
  if(peer_dir[0]) return;
  strcpy(peer_dir, "/tmp/q2a-peer-XXXXXX");
  if(!mkdtemp(peer_dir)) exit(99);
  for(int ca = 0; ca < 2; ca++) {
    const char *name = ca ? "strangerca" : "ca";
    peer_sh("cd %s && openssl ecparam -name prime256v1 -genkey -noout -out %s.key 2>/dev/null && openssl req -x509 "
            "-new -key %s.key -subj '/CN=Test %s' -days 30 -out %s.pem -addext basicConstraints=critical,CA:TRUE "
            "2>/dev/null", peer_dir, name, name, name, name);
  }
  for(int i = 0; i < 4; i++) {
    const char *name = i < 3 ? made[i] : "stranger";
    const char *ca = i < 3 ? "ca" : "strangerca";
    peer_sh("cd %s && openssl ecparam -name prime256v1 -genkey -noout -out %s.key 2>/dev/null && openssl req -new -key "
            "%s.key -subj '/CN=%s' -out %s.csr 2>/dev/null && printf "
            "'subjectAltName=DNS:%s,DNS:proxy.test,DNS:localhost\\n' > %s.ext",
            peer_dir, name, name, name, name, i == 1 ? "other.test" : "upstream.test", name);
    if(i != 2)
      peer_sh("cd %s && openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -days 30 -extfile %s.ext -out %s.pem 2>/dev/null",
              peer_dir, name, ca, ca, name, name);
    else /* only `openssl ca` of every version takes an end in the past */
      peer_sh("cd %s && mkdir db && : > db/index && echo 1000 > db/serial && printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=db/index\\nserial=db/serial\\n"
              "new_certs_dir=db\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > cnf && openssl ca -batch -config cnf -cert %s.pem -keyfile "
              "%s.key -in %s.csr -extfile %s.ext -startdate 20200101000000Z -enddate 20210101000000Z -notext -out %s.pem 2>/dev/null",
              peer_dir, ca, ca, name, name, name);
  }
}

static inline void peer_clean(void)
{
  if(peer_dir[0]) peer_sh("rm -r %s", peer_dir);
  peer_dir[0] = 0;
}

/* The text of a file; freed never (a test ends soon). */
static inline struct str peer_file(const char *name)
{
  char path[128];
  struct stat s;
  snprintf(path, sizeof path, "%s/%s", peer_dir, name);
  FILE *f = fopen(path, "rb");
  if(!f || fstat(fileno(f), &s) != 0) printf("no %s\n", path), exit(99);
  char *p = peer_keep(malloc((size_t)s.st_size + 1));
  size_t n = fread(p, 1, (size_t)s.st_size, f);
  fclose(f);
  p[n] = 0;
  return str_of(p, n);
}

struct peer_der { unsigned char p[4096]; size_t n; };
static inline void peer_der_add(void *ctx, const void *p, size_t n)
{
  struct peer_der *d = ctx;
  if(d->n + n <= sizeof d->p) memcpy(d->p + d->n, p, n), d->n += n;
}

static inline struct peer_der *peer_pem(struct str text, const char *want)
{
  br_pem_decoder_context pc;
  struct peer_der *d = peer_keep(calloc(1, sizeof *d));
  bool on = false;
  br_pem_decoder_init(&pc);
  while(text.n) {
    size_t k = br_pem_decoder_push(&pc, text.p, text.n);
    text = str_sub(text, k, text.n);
    int ev = br_pem_decoder_event(&pc);
    if(ev == BR_PEM_BEGIN_OBJ) {
      on = strstr(br_pem_decoder_name(&pc), want) != NULL;
      br_pem_decoder_setdest(&pc, on ? peer_der_add : NULL, d);
    } else if(ev == BR_PEM_END_OBJ && on) {
      return d;
    }
  }
  printf("no %s\n", want);
  exit(99);
}

static inline const struct peer_cert *peer_cert(const char *name)
{
  char file[64];
  struct peer_cert *c = peer_keep(calloc(1, sizeof *c));
  snprintf(file, sizeof file, "%s.pem", name);
  struct peer_der *der = peer_pem(peer_file(file), "CERTIFICATE");
  c->chain[0].data = der->p;
  c->chain[0].data_len = der->n;
  c->chain_n = 1;
  snprintf(file, sizeof file, "%s.key", name);
  der = peer_pem(peer_file(file), "PRIVATE KEY");
  br_skey_decoder_init(&c->key);
  br_skey_decoder_push(&c->key, der->p, der->n);
  if(br_skey_decoder_last_error(&c->key)) printf("bad key %s\n", name), exit(99);
  return c;
}

/* ---- a connection, as its serve function sees it ---- */

static int peer_sock_read(void *ctx, unsigned char *p, size_t n)
{
  ssize_t k;
  do k = recv(*(int *)ctx, p, n, 0);
  while(k < 0 && errno == EINTR);
  return k <= 0 ? -1 : (int)k;
}

static int peer_sock_write(void *ctx, const unsigned char *p, size_t n)
{
  ssize_t k;
  do k = send(*(int *)ctx, p, n, MSG_NOSIGNAL);
  while(k < 0 && errno == EINTR);
  return k <= 0 ? -1 : (int)k;
}

/* Bytes read, 0 at the end or on failure. */
static inline size_t peer_read(struct peer_conn *c, void *p, size_t n)
{
  int k = c->tls ? br_sslio_read(&c->io, p, n) : peer_sock_read(&c->fd, p, n);
  return k > 0 ? (size_t)k : 0;
}

static inline bool peer_write(struct peer_conn *c, const void *p, size_t n)
{
  const char *at = p;
  if(c->tls) return br_sslio_write_all(&c->io, p, n) == 0 && br_sslio_flush(&c->io) == 0;
  while(n) {
    int k = peer_sock_write(&c->fd, (const unsigned char *)at, n);
    if(k <= 0) return false;
    at += k;
    n -= (size_t)k;
  }
  return true;
}

static inline bool peer_say(struct peer_conn *c, const char *z)
{
  return peer_write(c, z, strlen(z));
}

/* Reads one request head (into c->in); bytes of a body stay readable through peer_body(). Empty at the end. */
static inline struct str peer_head(struct peer_conn *c)
{
  for(;;) {
    ptrdiff_t at = str_find(str_of(c->in, c->in_n), S("\r\n\r\n"));
    if(at >= 0) {
      atomic_fetch_add(&c->peer->requests, 1);
      return str_of(c->in, (size_t)at + 4);
    }
    size_t k = peer_read(c, c->in + c->in_n, sizeof c->in - 1 - c->in_n);
    if(!k) return STR_NONE;
    c->in_n += k;
  }
}

static inline void peer_skip(struct peer_conn *c, size_t n)
{
  memmove(c->in, c->in + n, c->in_n - n);
  c->in_n -= n;
}

/* Reads and drops n bytes behind a head of head_n; returns their sum of bytes modulo 2^32, for comparison. */
static inline uint32_t peer_body(struct peer_conn *c, size_t head_n, size_t n)
{
  uint32_t sum = 0;
  char tmp[4096];
  peer_skip(c, head_n);
  size_t have = c->in_n < n ? c->in_n : n;
  for(size_t i = 0; i < have; i++) sum = sum * 31 + (unsigned char)c->in[i];
  peer_skip(c, have);
  for(n -= have; n;) {
    size_t k = peer_read(c, tmp, n < sizeof tmp ? n : sizeof tmp);
    if(!k) break;
    for(size_t i = 0; i < k; i++) sum = sum * 31 + (unsigned char)tmp[i];
    n -= k;
  }
  return sum;
}

/* The value of a header in a head, or empty. */
static inline struct str peer_header(struct str head, const char *name)
{
  char want[64];
  snprintf(want, sizeof want, "\r\n%s:", name);
  ptrdiff_t at = str_ifind(head, str_z(want));
  if(at < 0) return STR_NONE;
  struct str rest = str_sub(head, (size_t)at + strlen(want), head.n);
  ptrdiff_t end = str_find(rest, S("\r\n"));
  return str_trim(str_sub(rest, 0, (size_t)end));
}

/* The cache is shared by the threads of a peer. */
struct peer_cache { const br_ssl_session_cache_class *vtable; struct peer *peer; };

static void peer_cache_save(const br_ssl_session_cache_class **ctx, br_ssl_server_context *sc,
                            const br_ssl_session_parameters *p)
{
  struct peer *peer = ((struct peer_cache *)(void *)ctx)->peer;
  pthread_mutex_lock(&peer->cache_lock);
  peer->cache_store.vtable->save(&peer->cache_store.vtable, sc, p);
  pthread_mutex_unlock(&peer->cache_lock);
}

static int peer_cache_load(const br_ssl_session_cache_class **ctx, br_ssl_server_context *sc,
                           br_ssl_session_parameters *p)
{
  struct peer *peer = ((struct peer_cache *)(void *)ctx)->peer;
  pthread_mutex_lock(&peer->cache_lock);
  int got = peer->cache_store.vtable->load(&peer->cache_store.vtable, sc, p);
  if(got) atomic_fetch_add(&peer->resumed, 1);
  pthread_mutex_unlock(&peer->cache_lock);
  return got;
}

static const br_ssl_session_cache_class peer_cache_class = { sizeof(struct peer_cache), peer_cache_save,
                                                             peer_cache_load };

static void peer_start_tls(struct peer_conn *c, const struct peer_cert *cert, struct peer_cache *cache)
{
  br_ssl_server_init_full_ec(&c->sc, cert->chain, (size_t)cert->chain_n, BR_KEYTYPE_EC, &cert->key.key.ec);
  br_ssl_engine_set_buffer(&c->sc.eng, c->buf, sizeof c->buf, 1);
  if(c->peer->cache) {
    cache->vtable = &peer_cache_class;
    cache->peer = c->peer;
    br_ssl_server_set_cache(&c->sc, &cache->vtable);
  }
  static const char *alpn[] = { "h2", "http/1.1" };
  br_ssl_engine_set_protocol_names(&c->sc.eng, alpn, 2);
  br_ssl_server_reset(&c->sc);
  br_sslio_init(&c->io, &c->sc.eng, peer_sock_read, &c->fd, peer_sock_write, &c->fd);
  c->tls = true;
}

/* Says goodbye without waiting for the answer: br_sslio_close() spins for ever once the socket is broken. */
static void peer_goodbye(struct peer_conn *c)
{
  size_t n;
  unsigned char *p;
  br_ssl_engine_close(&c->sc.eng);
  while((p = br_ssl_engine_sendrec_buf(&c->sc.eng, &n)) != NULL && n) {
    int k = peer_sock_write(&c->fd, p, n);
    if(k <= 0) return;
    br_ssl_engine_sendrec_ack(&c->sc.eng, (size_t)k);
  }
}

static void *peer_conn_thread(void *arg)
{
  struct peer_conn *c = arg;
  struct peer *p = c->peer;
  struct peer_cache cache;
  if(p->cert) peer_start_tls(c, p->cert, &cache);
  p->serve(c);
  if(c->tls && c->fd >= 0) peer_goodbye(c);
  if(c->fd >= 0) close(c->fd);
  free(c);
  atomic_fetch_sub(&p->live, 1);
  return NULL;
}

static void *peer_thread(void *arg)
{
  struct peer *p = arg;
  while(!atomic_load(&p->stop)) {
    struct pollfd pf = { .fd = p->fd, .events = POLLIN };
    if(poll(&pf, 1, 20) <= 0) continue;
    int fd = accept(p->fd, NULL, NULL), one = 1;
    if(fd < 0) continue;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval tv = { .tv_sec = 20 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    struct peer_conn *c = calloc(1, sizeof *c);
    pthread_t t;
    pthread_attr_t attr;
    c->peer = p;
    c->fd = fd;
    atomic_fetch_add(&p->accepted, 1);
    atomic_fetch_add(&p->live, 1);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if(pthread_create(&t, &attr, peer_conn_thread, c) != 0) exit(99);
    pthread_attr_destroy(&attr);
  }
  return NULL;
}

static inline int peer_listen(int *port)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t n = sizeof a;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if(fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 512) ||
     getsockname(fd, (struct sockaddr *)&a, &n)) perror("listen"), exit(99);
  *port = ntohs(a.sin_port);
  return fd;
}

static inline struct peer *peer_start(const struct peer_cert *cert, bool cache, void (*serve)(struct peer_conn *c),
                                      void *ctx)
{
  struct peer *p = calloc(1, sizeof *p);
  signal(SIGPIPE, SIG_IGN);
  p->fd = peer_listen(&p->port);
  p->cert = cert;
  p->serve = serve;
  p->ctx = ctx;
  pthread_mutex_init(&p->cache_lock, NULL);
  if(cache) {
    br_ssl_session_cache_lru_init(&p->cache_store, p->cache_mem, sizeof p->cache_mem);
    p->cache = &p->cache_store;
  }
  if(pthread_create(&p->thread, NULL, peer_thread, p) != 0) exit(99);
  return p;
}

/* Waits up to 3 s until no connection is left. */
static inline int peer_live(struct peer *p)
{
  for(int i = 0; i < 300 && atomic_load(&p->live); i++) usleep(10000);
  return atomic_load(&p->live);
}

static inline void peer_stop(struct peer *p)
{
  atomic_store(&p->stop, true);
  pthread_join(p->thread, NULL);
  close(p->fd);
  if(peer_live(p) == 0) {
    pthread_mutex_destroy(&p->cache_lock);
    free(p);
  }
}

static inline int peer_fds(void)
{
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  while(d && readdir(d)) n++;
  if(d) closedir(d);
  return n;
}

/* Waits up to 3 s until no more descriptors are open than before: the servers' side closes a moment later. */
static inline bool peer_fds_back(int before)
{
  int i = 0;
  for(; i < 3000 && peer_fds() > before; i++) usleep(1000);
  return i < 3000;
}

#endif
