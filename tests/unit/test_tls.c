/* The TLS machine against a server engine in memory, at every split; trust, sessions, words; a real OpenSSL peer. */
#include <sys/wait.h>

#include "../peer.h"

#include "base/mem.h"
#include "net/conn.h"

struct pair {
  struct tls_bufs bufs;
  struct roots roots;
  struct tls *t;
  br_ssl_server_context sc;
  unsigned char sbuf[BR_SSL_BUFSIZE_BIDI];
};

static void pair_open(struct pair *p, const char *cert, const char *host, int64_t shift_s,
                      const br_ssl_session_parameters *resume, const br_ssl_session_cache_class **cache)
{
  const struct peer_cert *pc = peer_cert(cert);
  memset(p, 0, sizeof *p);
  CHECK_INT(roots_read(&p->roots, peer_file("ca.pem"), NULL), Q_OK);
  br_ssl_server_init_full_ec(&p->sc, pc->chain, (size_t)pc->chain_n, BR_KEYTYPE_EC, &pc->key.key.ec);
  br_ssl_engine_set_buffer(&p->sc.eng, p->sbuf, sizeof p->sbuf, 1);
  if(cache) br_ssl_server_set_cache(&p->sc, cache);
  br_ssl_server_reset(&p->sc);
  struct tls_config c = { .roots = &p->roots, .bufs = &p->bufs, .host = host, .resume = resume,
                          .wall_s = now_wall_s(&now_real) + shift_s };
  p->t = tls_new(&c);
  CHECK(p->t != NULL);
}

static void pair_close(struct pair *p)
{
  tls_destroy(p->t);
  tls_bufs_free(&p->bufs);
  roots_free(&p->roots);
}

/* Moves bytes both ways, at most `piece` at a time, until nothing moves. Counts the steps called expensive. */
static int pair_run(struct pair *p, size_t piece)
{
  int heavy = 0;
  for(bool moved = true; moved;) {
    size_t n, used;
    unsigned char *b;
    moved = false;
    struct str out = tls_out(p->t);
    if(out.n && (b = br_ssl_engine_recvrec_buf(&p->sc.eng, &n)) != NULL) {
      if(n > out.n) n = out.n;
      if(n > piece) n = piece;
      memcpy(b, out.p, n);
      tls_out_took(p->t, n);
      br_ssl_engine_recvrec_ack(&p->sc.eng, n);
      moved = true;
    }
    b = br_ssl_engine_sendrec_buf(&p->sc.eng, &n);
    if(b && n && !tls_plain(p->t).n) {
      if(n > piece) n = piece;
      CHECK_INT(tls_feed(p->t, b, n, false, &used), Q_OK);
      if(tls_heavy(p->t)) {
        size_t rest;
        heavy++;
        CHECK_INT(tls_feed(p->t, b + used, n - used, true, &rest), Q_OK);
        CHECK(!tls_heavy(p->t));
        used += rest;
      }
      if(used) {
        br_ssl_engine_sendrec_ack(&p->sc.eng, used);
        moved = true;
      }
    }
  }
  return heavy;
}

static void pair_say(struct pair *p, const char *z)
{
  size_t n;
  unsigned char *b = br_ssl_engine_sendapp_buf(&p->sc.eng, &n);
  CHECK(b && n >= strlen(z));
  if(!b) return;
  memcpy(b, z, strlen(z));
  br_ssl_engine_sendapp_ack(&p->sc.eng, strlen(z));
  br_ssl_engine_flush(&p->sc.eng, 0);
}

static void t_exchange(void)
{
  static const size_t pieces[] = { 1, 2, 3, 5, 7, 100, 1460, 100000 };
  for(size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    struct pair p;
    size_t took, n;
    long live = mem_live();
    pair_open(&p, "good", "upstream.test", 0, NULL, NULL);
    CHECK(!tls_open(p.t));
    int heavy = pair_run(&p, pieces[i]);
    CHECK(heavy >= 1); /* a full handshake asks before its arithmetic */
    CHECK(tls_open(p.t) && !tls_over(p.t) && !tls_resumed(p.t));
    CHECK_INT(tls_error(p.t), 0);
    CHECK_INT(p.bufs.free_n, 2); /* at rest both record buffers are back */
    CHECK_INT(tls_write(p.t, "ping", 4, &took), Q_OK);
    CHECK_INT(took, 4);
    CHECK_INT(p.bufs.free_n, 1);
    CHECK_INT(pair_run(&p, pieces[i]), 0);
    unsigned char *b = br_ssl_engine_recvapp_buf(&p.sc.eng, &n);
    CHECK_STR(str_of((char *)b, n), S("ping"));
    br_ssl_engine_recvapp_ack(&p.sc.eng, n);
    pair_say(&p, "pong");
    CHECK_INT(pair_run(&p, pieces[i]), 0);
    CHECK_STR(tls_plain(p.t), S("pong"));
    tls_plain_took(p.t, 1);
    CHECK_STR(tls_plain(p.t), S("ong"));
    tls_plain_took(p.t, 3);
    CHECK_INT(tls_plain(p.t).n, 0);
    CHECK_INT(p.bufs.free_n, 2);
    /* the peer says goodbye */
    br_ssl_engine_close(&p.sc.eng);
    pair_run(&p, pieces[i]);
    CHECK(tls_over(p.t) && tls_clean(p.t) && !tls_open(p.t));
    pair_close(&p);
    CHECK_INT(mem_live(), live);
  }
}

static void t_goodbye(void)
{
  struct pair p;
  pair_open(&p, "good", "upstream.test", 0, NULL, NULL);
  tls_goodbye(p.t); /* too early: nothing */
  pair_run(&p, 100000);
  tls_goodbye(p.t);
  CHECK(tls_out(p.t).n > 0);
  pair_run(&p, 100000);
  CHECK_INT(br_ssl_engine_current_state(&p.sc.eng), BR_SSL_CLOSED);
  CHECK_INT(br_ssl_engine_last_error(&p.sc.eng), 0);
  pair_close(&p);
}

static void t_resume(void)
{
  static unsigned char store[4096];
  br_ssl_session_cache_lru lru;
  br_ssl_session_parameters session = { 0 };
  br_ssl_session_cache_lru_init(&lru, store, sizeof store);
  for(int i = 0; i < 3; i++) {
    struct pair p;
    if(i == 2) br_ssl_session_cache_lru_init(&lru, store, sizeof store); /* the peer forgot */
    pair_open(&p, "good", "upstream.test", 0, i ? &session : NULL, &lru.vtable);
    int heavy = pair_run(&p, 100000);
    CHECK(tls_open(p.t));
    CHECK_INT(tls_resumed(p.t), i == 1);
    CHECK_INT(heavy > 0, i != 1); /* a resumed handshake never asks */
    tls_session(p.t, &session);
    CHECK_INT(session.session_id_len, 32);
    pair_close(&p);
  }
}

static void t_trust(void)
{
  static const struct { const char *cert, *host; int64_t shift_s; int error; } rows[] = {
    { "good", "upstream.test", 0, 0 },
    { "good", "UPSTREAM.test", 0, 0 },
    { "good", "proxy.test", 0, 0 },
    { "good", "evil.test", 0, BR_ERR_X509_BAD_SERVER_NAME },
    { "good", "upstream.test.evil.test", 0, BR_ERR_X509_BAD_SERVER_NAME },
    { "good", "127.0.0.1", 0, BR_ERR_X509_BAD_SERVER_NAME },
    { "wronghost", "upstream.test", 0, BR_ERR_X509_BAD_SERVER_NAME },
    { "expired", "upstream.test", 0, BR_ERR_X509_EXPIRED },
    { "good", "upstream.test", 86400 * 60, BR_ERR_X509_EXPIRED },
    { "good", "upstream.test", -86400 * 60, BR_ERR_X509_EXPIRED },
    { "stranger", "upstream.test", 0, BR_ERR_X509_NOT_TRUSTED },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct pair p;
    t_row = rows[i].host;
    pair_open(&p, rows[i].cert, rows[i].host, rows[i].shift_s, NULL, NULL);
    pair_run(&p, 100000);
    CHECK_INT(tls_open(p.t), rows[i].error == 0);
    CHECK_INT(tls_over(p.t), rows[i].error != 0);
    CHECK_INT(tls_error(p.t), rows[i].error);
    pair_close(&p);
  }
}

/* issue 2, 6: the first suite of our ClientHello is AES-GCM where the processor has AES-NI, else ChaCha20. */
static void t_suites(void)
{
  struct pair p;
  pair_open(&p, "good", "upstream.test", 0, NULL, NULL);
  struct str hello = tls_out(p.t);
  CHECK(hello.n > 5 + 4 + 2 + 32 + 1 && hello.p[5] == 1);
  size_t at = 5 + 4 + 2 + 32; /* record, message, version, random */
  at += 1u + (unsigned char)hello.p[at] + 2u;
  int suite[3] = { 0 };
  for(int i = 0, k = 0; i < 3; k++) { /* 0x5600 marks a fallback or a renegotiation, it is no suite */
    int s = (unsigned char)hello.p[at + 2u * (size_t)k] << 8 | (unsigned char)hello.p[at + 2u * (size_t)k + 1];
    if(s != 0x00ff && s != 0x5600) suite[i++] = s;
  }
  bool aesni = br_aes_x86ni_ctr_get_vtable() && br_ghash_pclmul_get();
  CHECK_INT(suite[0], aesni ? BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 : BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
  pair_close(&p);
}

/* issue 2, 6: the roots in the program are those of this machine's bundle, each with its name and key. */
static void t_embedded_roots(void)
{
  struct roots ours = roots_embedded(), theirs;
  FILE *f = fopen("/etc/ssl/certs/ca-certificates.crt", "rb");
  CHECK(f != NULL);
  if(!f) return;
  struct strbuf b = STRBUF(16 << 20);
  char piece[4096];
  for(size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) strbuf_add(&b, piece, n);
  fclose(f);
  CHECK_INT(roots_read(&theirs, strbuf_str(&b), NULL), Q_OK);
  CHECK(ours.count > 50);
  CHECK(ours.count <= theirs.count); /* the same root twice is kept once */
  int missing = 0;
  for(size_t i = 0; i < theirs.count; i++) {
    bool found = false;
    for(size_t k = 0; k < ours.count && !found; k++)
      found = ours.anchors[k].dn.len == theirs.anchors[i].dn.len && memcmp(ours.anchors[k].dn.data, theirs.anchors[i].dn.data, ours.anchors[k].dn.len) == 0 &&
              ours.anchors[k].pkey.key_type == theirs.anchors[i].pkey.key_type;
    missing += !found;
  }
  CHECK_INT(missing, 0);
  roots_free(&theirs);
  strbuf_free(&b);
}

static void t_damaged_record(void)
{
  struct pair p;
  size_t n, used;
  pair_open(&p, "good", "upstream.test", 0, NULL, NULL);
  pair_run(&p, 100000);
  pair_say(&p, "pong");
  unsigned char *b = br_ssl_engine_sendrec_buf(&p.sc.eng, &n);
  b[n - 1] ^= 1;
  CHECK_INT(tls_feed(p.t, b, n, false, &used), Q_OK);
  CHECK(tls_over(p.t) && !tls_clean(p.t));
  CHECK_INT(tls_error(p.t), BR_ERR_BAD_MAC);
  CHECK_INT(tls_plain(p.t).n, 0);
  pair_close(&p);
}

static void t_pem(void)
{
  struct roots r;
  struct q_error err = Q_ERROR_NONE;
  struct strbuf two = STRBUF(100000);
  struct str ca = peer_file("ca.pem");
  CHECK_INT(roots_read(&r, ca, NULL), Q_OK);
  CHECK_INT(r.count, 1);
  CHECK_INT(r.anchors[0].flags, BR_X509_TA_CA);
  CHECK_INT(r.anchors[0].pkey.key_type, BR_KEYTYPE_EC);
  roots_free(&r);
  /* text around, a key, a broken one, another, no line end at the file's end */
  strbuf_lit(&two, "# comment\n");
  strbuf_adds(&two, ca);
  strbuf_adds(&two, peer_file("ca.key"));
  strbuf_lit(&two, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  strbuf_adds(&two, str_trim(peer_file("strangerca.pem")));
  CHECK_INT(roots_read(&r, strbuf_str(&two), NULL), Q_OK);
  CHECK_INT(r.count, 2);
  roots_free(&r);
  static const char *bad[] = { "", "nothing here", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
                               "-----BEGIN CERTIFICATE-----\nAAAA" };
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK_INT(roots_read(&r, str_z(bad[i]), &err), Q_BAD_VALUE);
    CHECK_Z(err.msg, "No CA certificate in PEM form was found.");
    CHECK(r.count == 0 && r.own == NULL);
  }
  CHECK(roots_embedded().count > 0);
  long n = 0, live = mem_live();
  for(; n < 100; n++) {
    fault_arm(n, false);
    enum q_status st = roots_read(&r, strbuf_str(&two), NULL);
    bool hit = fault_disarm();
    CHECK_INT(st, hit ? Q_NOMEM : Q_OK);
    roots_free(&r);
    CHECK_INT(mem_live(), live);
    if(!hit) break;
  }
  CHECK(n > 3 && n < 100);
  strbuf_free(&two);
}

static void t_session_store(void)
{
  struct tls_sessions *s = tls_sessions_new();
  br_ssl_session_parameters p = { .session_id_len = 32 }, q;
  char key[32];
  CHECK(!tls_sessions_get(s, S("a:1"), &q));
  for(int i = 0; i < TLS_SESSIONS_MAX; i++) {
    snprintf(key, sizeof key, "host%d:443", i);
    p.session_id[0] = (unsigned char)i;
    tls_sessions_put(s, str_z(key), &p);
  }
  CHECK(tls_sessions_get(s, S("host0:443"), &q));
  CHECK_INT(q.session_id[0], 0);
  p.session_id[0] = 200;
  tls_sessions_put(s, S("new:443"), &p); /* host1 was used longest ago */
  CHECK(!tls_sessions_get(s, S("host1:443"), &q));
  CHECK(tls_sessions_get(s, S("host0:443"), &q));
  CHECK(tls_sessions_get(s, S("host2:443"), &q));
  CHECK(tls_sessions_get(s, S("new:443"), &q));
  CHECK_INT(q.session_id[0], 200);
  p.session_id[0] = 201;
  tls_sessions_put(s, S("new:443"), &p);
  CHECK(tls_sessions_get(s, S("new:443"), &q));
  CHECK_INT(q.session_id[0], 201);
  tls_sessions_drop(s, S("new:443"));
  CHECK(!tls_sessions_get(s, S("new:443"), &q));
  p.session_id_len = 0;
  tls_sessions_put(s, S("none:443"), &p);
  CHECK(tls_sessions_get(s, S("none:443"), &q)); /* known to keep none */
  CHECK_INT(q.session_id_len, 0);
  tls_sessions_destroy(s);
}

static void t_words(void)
{
  static const struct { int error; const char *words; } rows[] = {
    { BR_ERR_X509_BAD_SERVER_NAME, "The certificate of h is not for this host name." },
    { 326, "h speaks only TLS 1.3, which this gateway does not: put a reverse proxy with TLS 1.2 in front and name it "
           "as the base URL (QWEN_CHAT_PROXY_URL)." },
    { 256 + 80, "h ended the TLS connection with alert 80." },
    { BR_ERR_X509_UNSUPPORTED, "The certificate of h is not acceptable (code 49)." },
    { BR_ERR_BAD_HANDSHAKE, "TLS with h failed (code 14)." },
  };
  char text[300], tiny[10];
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    tls_words(rows[i].error, "h", text, sizeof text);
    CHECK_Z(text, rows[i].words);
    tls_words(rows[i].error, "h", tiny, sizeof tiny);
    CHECK_INT(strlen(tiny), sizeof tiny - 1);
  }
}

/* A real OpenSSL server with an RSA chain of two: handshake, data, a session that resumes because we said goodbye. */
static void ignore_event(struct conn *c, void *owner)
{
  (void)c;
  (void)owner;
}

static void t_openssl(void)
{
  int port, fd = peer_listen(&port);
  char cmd[600];
  close(fd);
  peer_sh("cd %s && openssl genrsa -out mid.key 2048 2>/dev/null && openssl req -new -key mid.key -subj /CN=Mid -out "
          "mid.csr 2>/dev/null && printf 'basicConstraints=critical,CA:TRUE\\n' > mid.ext && openssl x509 -req "
          "-in mid.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile mid.ext -out mid.pem 2>/dev/null && "
          "openssl genrsa -out rsa.key 2048 2>/dev/null && openssl req -new -key rsa.key -subj /CN=x -out rsa.csr "
          "2>/dev/null && printf "
          "'subjectAltName=DNS:*.test\\n' > rsa.ext && openssl x509 -req -in rsa.csr -CA mid.pem -CAkey mid.key "
          "-CAcreateserial -days 9 -extfile rsa.ext -out rsa.pem 2>/dev/null", peer_dir);
  snprintf(cmd, sizeof cmd, "cd %s && exec openssl s_server -accept 127.0.0.1:%d -cert rsa.pem -key rsa.key "
           "-cert_chain mid.pem -www >/dev/null 2>&1 </dev/null", peer_dir, port);
  pid_t pid = fork();
  if(pid == 0) {
    execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
    _exit(99);
  }
  struct pump *pump = pump_new(&now_real);
  struct net_resolve row = { "upstream.test", 0, "127.0.0.1", port };
  struct net_config nc = { .resolve = &row, .resolve_n = 1, .ca_pem = peer_file("ca.pem"), .now = &now_real };
  struct conn_env env = { .net = net_new(&nc, NULL), .pump = pump };
  for(int i = 0, tries = 0; i < 3 && tries < 100; tries++) {
    pump_turn(pump, 0);
    struct conn_want want = { .host = S("upstream.test"), .port = 443, .tls = true,
                              .deadline_ms = pump_now(pump) + 3000 };
    struct conn *c = conn_open(&env, &want, ignore_event, NULL);
    while(conn_status(c) == Q_AGAIN) pump_turn(pump, 50);
    if(i == 0 && conn_status(c) == Q_UP_UNREACHABLE) { /* it is still starting */
      conn_close(c);
      usleep(30000);
      continue;
    }
    CHECK_INT(conn_status(c), Q_OK);
    if(conn_status(c)) printf("  %s\n", conn_words(c));
    size_t took, got = 0;
    struct str in;
    CHECK_INT(conn_write(c, "GET / HTTP/1.0\r\n\r\n", 18, &took), Q_OK);
    for(int turn = 0; turn < 200; turn++) {
      enum q_status st = conn_read(c, &in);
      if(st == Q_OK) {
        if(!got) CHECK(str_starts(in, S("HTTP/1.0 200 ok")));
        got += in.n;
        conn_took(c, in.n);
      } else if(st == Q_AGAIN) {
        pump_turn(pump, 20);
      } else {
        break;
      }
    }
    CHECK(got > 100);
    conn_close(c);
    i++;
  }
  CHECK_INT(env.full_handshakes, 1);
  CHECK_INT(env.resumed_handshakes, 2);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  tls_bufs_free(&env.bufs);
  pump_destroy(pump);
  net_destroy(env.net);
}

int main(int argc, char **argv)
{
  static const struct t_test tests[] = {
    T(t_exchange), T(t_goodbye), T(t_resume), T(t_trust), T(t_suites), T(t_embedded_roots), T(t_damaged_record), T(t_pem), T(t_session_store), T(t_words),
    T(t_openssl),
  };
  peer_make_certs();
  int bad = t_main(tests, (int)(sizeof tests / sizeof tests[0]), argc, argv);
  peer_clean();
  return bad;
}
