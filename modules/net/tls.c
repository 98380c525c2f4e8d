#include "net/tls.h"

#include <pthread.h>
#include <stdio.h>

#include "base/crypt.h"
#include "base/mem.h"

enum { TLS_BUFS_KEPT = 8, TLS_KEY_MAX = 300, TLS_HANDSHAKE = 22 /* type of record */ };

/* ---- record buffers ---- */

unsigned char *tls_bufs_get(struct tls_bufs *b)
{
  void *p = b->free;
  if(!p) return mem_alloc(TLS_BUF);
  memcpy(&b->free, p, sizeof b->free); /* the first bytes of a free one point to the next */
  b->free_n--;
  return p;
}

void tls_bufs_put(struct tls_bufs *b, unsigned char *p)
{
  if(!p) return;
  if(b->free_n >= TLS_BUFS_KEPT) {
    mem_free(p);
    return;
  }
  memcpy(p, &b->free, sizeof b->free);
  b->free = p;
  b->free_n++;
}

void tls_bufs_free(struct tls_bufs *b)
{
  while(b->free_n) mem_free(tls_bufs_get(b));
}

/* ---- sessions ---- */

struct tls_session_slot {
  char key[TLS_KEY_MAX]; /* "" = free */
  uint64_t used;         /* counts up; the smallest is the oldest */
  br_ssl_session_parameters p;
};

struct tls_sessions {
  pthread_mutex_t lock;
  uint64_t clock;
  struct tls_session_slot slots[TLS_SESSIONS_MAX];
};

struct tls_sessions *tls_sessions_new(void)
{
  struct tls_sessions *s = mem_zalloc(sizeof *s);
  if(s) pthread_mutex_init(&s->lock, NULL);
  return s;
}

void tls_sessions_destroy(struct tls_sessions *s)
{
  if(!s) return;
  pthread_mutex_destroy(&s->lock);
  crypt_wipe(s, sizeof *s); /* master secrets */
  mem_free(s);
}

/* The slot of that key, or with make the one to use for it. */
static struct tls_session_slot *tls_sessions_slot(struct tls_sessions *s, struct str key, bool make)
{
  struct tls_session_slot *old = &s->slots[0];
  if(!key.n || key.n >= TLS_KEY_MAX) return NULL;
  for(int i = 0; i < TLS_SESSIONS_MAX; i++) {
    struct tls_session_slot *slot = &s->slots[i];
    if(str_eq(str_z(slot->key), key)) return slot;
    if(slot->used < old->used) old = slot;
  }
  if(!make) return NULL;
  str_copy(old->key, sizeof old->key, key);
  return old;
}

bool tls_sessions_get(struct tls_sessions *s, struct str key, br_ssl_session_parameters *out)
{
  pthread_mutex_lock(&s->lock);
  struct tls_session_slot *slot = tls_sessions_slot(s, key, false);
  if(slot) {
    *out = slot->p;
    slot->used = ++s->clock;
  }
  pthread_mutex_unlock(&s->lock);
  return slot != NULL;
}

void tls_sessions_put(struct tls_sessions *s, struct str key, const br_ssl_session_parameters *p)
{
  pthread_mutex_lock(&s->lock);
  struct tls_session_slot *slot = tls_sessions_slot(s, key, true);
  if(slot) {
    slot->p = *p;
    slot->used = ++s->clock;
  }
  pthread_mutex_unlock(&s->lock);
}

void tls_sessions_drop(struct tls_sessions *s, struct str key)
{
  pthread_mutex_lock(&s->lock);
  struct tls_session_slot *slot = tls_sessions_slot(s, key, false);
  if(slot) crypt_wipe(slot, sizeof *slot);
  pthread_mutex_unlock(&s->lock);
}

/* ---- one session ---- */

struct tls {
  br_ssl_client_context cc;
  br_x509_minimal_context *x509; /* during the handshake */
  struct tls_bufs *bufs;
  unsigned char *ibuf, *obuf;    /* lent to the engine */
  size_t records;                /* begun by the peer, during the handshake */
  unsigned char offered[32];
  unsigned char offered_n;
  bool was_open, resumed, heavy, heavy_record;
};

static const uint16_t tls_suites_gcm_first[] = {
  BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
  BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
};
static const uint16_t tls_suites_chacha_first[] = {
  BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
  BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
};
static const char *tls_alpn[] = { "http/1.1" }; /* lint: ok  BearSSL wants it writable and does not write */

static void tls_profile(struct tls *t, const struct tls_config *c)
{
  static const struct { int id; const br_hash_class *hash; } hashes[] = {
    { br_sha224_ID, &br_sha224_vtable }, { br_sha256_ID, &br_sha256_vtable },
    { br_sha384_ID, &br_sha384_vtable }, { br_sha512_ID, &br_sha512_vtable },
  };
  br_ssl_engine_context *eng = &t->cc.eng;
  bool aesni = br_aes_x86ni_ctr_get_vtable() && br_ghash_pclmul_get();

  br_ssl_client_zero(&t->cc);
  br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
  br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
  br_ssl_engine_set_suites(eng, aesni ? tls_suites_gcm_first : tls_suites_chacha_first,
                           sizeof tls_suites_gcm_first / sizeof tls_suites_gcm_first[0]);
  br_x509_minimal_init(t->x509, &br_sha256_vtable, c->roots->anchors, c->roots->count);
  br_ssl_engine_set_default_rsavrfy(eng);
  br_ssl_engine_set_default_ecdsa(eng);
  br_x509_minimal_set_rsa(t->x509, br_ssl_engine_get_rsavrfy(eng));
  br_x509_minimal_set_ecdsa(t->x509, br_ssl_engine_get_ec(eng), br_ssl_engine_get_ecdsa(eng));
  for(size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
    br_ssl_engine_set_hash(eng, hashes[i].id, hashes[i].hash);
    br_x509_minimal_set_hash(t->x509, hashes[i].id, hashes[i].hash);
  }
  /* 719528 days from the year 0 to 1970, which is how BearSSL counts. */
  br_x509_minimal_set_time(t->x509, (uint32_t)(c->wall_s / 86400 + 719528), (uint32_t)(c->wall_s % 86400));
  br_ssl_engine_set_x509(eng, &t->x509->vtable);
  br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
  br_ssl_engine_set_prf_sha384(eng, &br_tls12_sha384_prf);
  br_ssl_engine_set_default_aes_gcm(eng);
  br_ssl_engine_set_default_chapol(eng);
  br_ssl_engine_set_protocol_names(eng, tls_alpn, 1);
}

/* Lends the engine a buffer for each direction. Its indices are offsets, so at rest any buffer is as good as another.
 * The two are never the same, or the engine would think that it works half duplex. */
static bool tls_attach(struct tls *t)
{
  if(!t->ibuf) t->ibuf = tls_bufs_get(t->bufs);
  if(!t->obuf) t->obuf = tls_bufs_get(t->bufs);
  t->cc.eng.ibuf = t->ibuf;
  t->cc.eng.obuf = t->obuf;
  return t->ibuf && t->obuf;
}

/* Takes back a buffer that holds nothing: no byte of a record begun, no plain text, nothing to send. */
static void tls_detach(struct tls *t)
{
  const br_ssl_engine_context *eng = &t->cc.eng;
  bool over = br_ssl_engine_current_state(eng) == BR_SSL_CLOSED;
  if(over || (eng->ixa == 0 && eng->ixb == 0 && eng->ixc == 5)) {
    tls_bufs_put(t->bufs, t->ibuf);
    t->ibuf = NULL;
  }
  if(over || (eng->oxa < eng->oxb && eng->oxa == eng->oxc)) {
    tls_bufs_put(t->bufs, t->obuf);
    t->obuf = NULL;
  }
}

/* Looks whether the handshake ended, and lets go of what only it needed. */
static void tls_settle(struct tls *t)
{
  br_ssl_engine_context *eng = &t->cc.eng;
  if(!t->was_open && eng->application_data == 1) {
    t->was_open = true;
    t->resumed = t->offered_n && eng->session.session_id_len == t->offered_n &&
                 memcmp(eng->session.session_id, t->offered, t->offered_n) == 0;
    br_ssl_engine_set_x509(eng, NULL);
    mem_free(t->x509);
    t->x509 = NULL;
  }
  tls_detach(t);
}

struct tls *tls_new(const struct tls_config *c)
{
  struct tls *t = mem_zalloc(sizeof *t);
  unsigned char seed[32];
  if(!t) return NULL;
  t->bufs = c->bufs;
  t->x509 = mem_alloc(sizeof *t->x509);
  t->ibuf = tls_bufs_get(c->bufs);
  t->obuf = tls_bufs_get(c->bufs);
  if(!t->x509 || !t->ibuf || !t->obuf) goto fail;
  crypt_random(seed, sizeof seed);
  tls_profile(t, c);
  br_ssl_engine_set_buffers_bidi(&t->cc.eng, t->ibuf, TLS_BUF, t->obuf, BR_SSL_BUFSIZE_OUTPUT);
  br_ssl_engine_inject_entropy(&t->cc.eng, seed, sizeof seed);
  if(c->resume && c->resume->session_id_len) {
    br_ssl_engine_set_session_parameters(&t->cc.eng, c->resume);
    t->offered_n = c->resume->session_id_len;
    memcpy(t->offered, c->resume->session_id, sizeof t->offered);
  }
  if(!br_ssl_client_reset(&t->cc, c->host, t->offered_n > 0)) goto fail;
  crypt_wipe(seed, sizeof seed);
  tls_detach(t);
  return t;

fail:
  tls_destroy(t);
  return NULL;
}

void tls_destroy(struct tls *t)
{
  if(!t) return;
  tls_bufs_put(t->bufs, t->ibuf);
  tls_bufs_put(t->bufs, t->obuf);
  mem_free(t->x509);
  crypt_wipe(t, sizeof *t); /* keys */
  mem_free(t);
}

/* At the border of a record of the handshake: does what follows cost milliseconds? A server hello of its own (it holds
 * little more than a session id) does not, nor do alerts, nor anything after its change of cipher. */
static bool tls_costs(const struct tls *t, const unsigned char *p, size_t n)
{
  if(t->was_open || t->cc.eng.incrypt || p[0] != TLS_HANDSHAKE) return false;
  return !(t->records == 0 && n >= 5 && p[3] == 0 && p[4] <= 160);
}

enum q_status tls_feed(struct tls *t, const unsigned char *p, size_t n, bool heavy_ok, size_t *used)
{
  br_ssl_engine_context *eng = &t->cc.eng;
  size_t left = n, room;

  *used = 0;
  t->heavy = false;
  if(!tls_attach(t)) {
    tls_detach(t);
    return Q_NOMEM;
  }
  while(left) {
    unsigned char *to = br_ssl_engine_recvrec_buf(eng, &room);
    if(!to) break;
    if(!t->was_open && eng->ixa == 0) {
      t->heavy_record = tls_costs(t, p, left);
      if(t->heavy_record && !heavy_ok) {
        t->heavy = true;
        break;
      }
      t->records++;
    }
    if(room > left) room = left;
    memcpy(to, p, room);
    br_ssl_engine_recvrec_ack(eng, room);
    p += room;
    left -= room;
    if(!t->was_open && eng->application_data == 1) tls_settle(t);
    if(!tls_attach(t)) {
      *used = n - left;
      tls_detach(t);
      return Q_NOMEM;
    }
  }
  *used = n - left;
  tls_settle(t);
  return Q_OK;
}

bool tls_heavy(const struct tls *t)
{
  return t->heavy;
}

struct str tls_plain(const struct tls *t)
{
  size_t n = 0;
  if(!t->ibuf) return STR_NONE;
  const unsigned char *p = br_ssl_engine_recvapp_buf(&t->cc.eng, &n);
  return p ? str_of((const char *)p, n) : STR_NONE;
}

void tls_plain_took(struct tls *t, size_t n)
{
  if(!n) return;
  br_ssl_engine_recvapp_ack(&t->cc.eng, n);
  tls_detach(t);
}

enum q_status tls_write(struct tls *t, const char *p, size_t n, size_t *took)
{
  size_t room;
  *took = 0;
  if(!tls_open(t)) return Q_OK;
  if(!tls_attach(t)) {
    tls_detach(t);
    return Q_NOMEM;
  }
  unsigned char *to = br_ssl_engine_sendapp_buf(&t->cc.eng, &room);
  if(to && n) {
    if(room > n) room = n;
    memcpy(to, p, room);
    br_ssl_engine_sendapp_ack(&t->cc.eng, room);
    br_ssl_engine_flush(&t->cc.eng, 0);
    *took = room;
  }
  tls_detach(t);
  return Q_OK;
}

struct str tls_out(const struct tls *t)
{
  size_t n = 0;
  if(!t->obuf) return STR_NONE;
  const unsigned char *p = br_ssl_engine_sendrec_buf(&t->cc.eng, &n);
  return p ? str_of((const char *)p, n) : STR_NONE;
}

void tls_out_took(struct tls *t, size_t n)
{
  if(!n) return;
  br_ssl_engine_sendrec_ack(&t->cc.eng, n);
  tls_settle(t);
}

bool tls_open(const struct tls *t)
{
  return t->was_open && t->cc.eng.application_data == 1 && br_ssl_engine_current_state(&t->cc.eng) != BR_SSL_CLOSED;
}

bool tls_over(const struct tls *t)
{
  return br_ssl_engine_current_state(&t->cc.eng) == BR_SSL_CLOSED || t->cc.eng.shutdown_recv;
}

bool tls_clean(const struct tls *t)
{
  return tls_over(t) && br_ssl_engine_last_error(&t->cc.eng) == BR_ERR_OK;
}

bool tls_resumed(const struct tls *t)
{
  return t->resumed;
}

void tls_session(const struct tls *t, br_ssl_session_parameters *p)
{
  br_ssl_engine_get_session_parameters(&t->cc.eng, p);
}

void tls_goodbye(struct tls *t)
{
  if(!tls_open(t) || tls_out(t).n || !tls_attach(t)) return;
  br_ssl_engine_close(&t->cc.eng);
}

int tls_error(const struct tls *t)
{
  return br_ssl_engine_last_error(&t->cc.eng);
}

bool tls_error_before_open(const struct tls *t)
{
  return !t->was_open;
}

void tls_words(int error, const char *host, char *text, size_t cap)
{
  static const struct { int error; const char *words; } rows[] = {
    { BR_ERR_X509_BAD_SERVER_NAME, "The certificate of %s is not for this host name." },
    { BR_ERR_X509_EXPIRED, "The certificate of %s has expired or is not valid yet (check this machine's clock)." },
    { BR_ERR_X509_NOT_TRUSTED,
      "The certificate of %s is not signed by a trusted authority (SSL_CERT_FILE names another CA file)." },
    { BR_ERR_X509_NOT_CA, "The certificate of %s is signed by a certificate that may not sign others." },
    { BR_ERR_X509_BAD_SIGNATURE, "The certificate of %s carries a wrong signature." },
    { BR_ERR_X509_WEAK_PUBLIC_KEY, "The certificate of %s has a key that is too short." },
    { BR_ERR_X509_DN_MISMATCH, "The certificates of %s do not form a chain." },
    { BR_ERR_X509_EMPTY_CHAIN, "%s sent no certificate." },
    { BR_ERR_RECV_FATAL_ALERT + 70, "%s speaks only TLS 1.3, which this gateway does not: put a reverse proxy with "
                                    "TLS 1.2 in front and name it as the base URL (QWEN_CHAT_PROXY_URL)." },
    { BR_ERR_RECV_FATAL_ALERT + 40,
      "%s refused the TLS handshake: it shares no TLS 1.2 cipher suite with this gateway, or speaks only TLS 1.3." },
    { BR_ERR_RECV_FATAL_ALERT + 112, "%s does not know this host name (TLS alert 112)." },
    { BR_ERR_RECV_FATAL_ALERT + 120, "%s does not speak HTTP/1.1 over TLS (TLS alert 120)." },
    { BR_ERR_RECV_FATAL_ALERT + 116, "%s asks for a client certificate, which this gateway does not have." },
    { BR_ERR_NO_CLIENT_AUTH, "%s asks for a client certificate, which this gateway does not have." },
    { BR_ERR_UNSUPPORTED_VERSION,
      "%s does not answer in TLS 1.2: the port may speak plain HTTP or another TLS version." },
    { BR_ERR_BAD_VERSION,
      "%s does not answer in TLS 1.2: the port may speak plain HTTP or another TLS version." },
    { BR_ERR_UNKNOWN_TYPE, "%s does not answer in TLS: the port may speak plain HTTP." },
    { BR_ERR_BAD_LENGTH, "%s sent a TLS record of a wrong length." },
    { BR_ERR_BAD_MAC, "A TLS record of %s was damaged on its way." },
    { BR_ERR_NO_RANDOM, "No random bytes for the TLS connection to %s." },
  };
  char words[16];
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if(rows[i].error != error) continue;
    const char *gap = strstr(rows[i].words, "%s");
    snprintf(text, cap, "%.*s%s%s", (int)(gap - rows[i].words), rows[i].words, host, gap + 2);
    return;
  }
  snprintf(words, sizeof words, "%d", error);
  if(error > BR_ERR_RECV_FATAL_ALERT && error < BR_ERR_SEND_FATAL_ALERT)
    snprintf(text, cap, "%s ended the TLS connection with alert %d.", host, error - BR_ERR_RECV_FATAL_ALERT);
  else if(error > 32 && error < 64)
    snprintf(text, cap, "The certificate of %s is not acceptable (code %s).", host, words);
  else snprintf(text, cap, "TLS with %s failed (code %s).", host, words);
}
