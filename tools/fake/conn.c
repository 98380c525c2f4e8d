/* ---------- connections ---------- */

enum turn_kind { TURN_NONE, TURN_STEPS, TURN_STREAM, TURN_FILL };
enum step_act { STEP_GO, STEP_END, STEP_RESET, STEP_FIN, STEP_HOLD };
struct step { size_t end; int wait_ms; enum step_act act; }; /* send the body up to `end`, wait, then act */

struct tls {
  br_ssl_server_context sc; /* first: the session cache finds the rest from it */
  bool saved, counted;
  unsigned char in[BR_SSL_BUFSIZE_INPUT], out[4096 + 85];
};

struct conn {
  int fd;
  struct tls *tls;
  struct conn *next;  /* in the list of the free, or of those to be freed */
  bool dead, closing, close_after, throttled;
  struct buf in;      /* what cannot be served yet */
  size_t need;        /* bytes of `in` worth another look */
  struct buf cipher;  /* TLS bytes the engine could not take yet */
  struct buf out;     /* what the socket did not take */
  size_t out_at;
  unsigned heap;      /* 1-based place among the timers, 0 = none */
  /* the answer under way */
  enum turn_kind turn;
  int chat;           /* its chat, NOBODY: an answer of another endpoint */
  char digits[CHAT_DIGITS];
  struct buf body;
  size_t body_at;
  struct step *steps;
  int step_n, step_at, step_cap;
  int64_t due_us, period_us;
  long i, n, size, seed;
  bool stamp, no_phase, packed, waited;
};

static int epoll_fd;
static struct conn *buried, *spare;
static struct tls *spare_tls[256];
static int spare_tls_n;
static struct { int64_t at; struct conn *c; } *heap;
static unsigned heap_n, heap_cap;
static struct buf wire; /* the answer being written, of the connection being served */
static struct buf rx;   /* the plain bytes just read */
enum { RX_SIZE = 256 << 10, OUT_ENOUGH = 128 << 10, IN_BEHIND_MAX = 1 << 20 };

static void heap_put(unsigned i, int64_t at, struct conn *c)
{
  heap[i].at = at;
  heap[i].c = c;
  c->heap = i;
}

static void heap_fix(unsigned i)
{
  struct conn *c = heap[i].c;
  int64_t at = heap[i].at;
  for(; i > 1 && heap[i / 2].at > at; i /= 2) heap_put(i, heap[i / 2].at, heap[i / 2].c);
  for(unsigned k; (k = i * 2) <= heap_n; i = k) {
    if(k < heap_n && heap[k + 1].at < heap[k].at) k++;
    if(heap[k].at >= at) break;
    heap_put(i, heap[k].at, heap[k].c);
  }
  heap_put(i, at, c);
}

static void due(struct conn *c, int64_t at)
{
  c->due_us = at;
  if(!c->heap) {
    if(heap_n + 2 > heap_cap) {
      heap_cap = heap_cap ? heap_cap * 2 : 1024;
      heap = must(realloc(heap, heap_cap * sizeof *heap));
    }
    heap_put(++heap_n, at, c);
  }
  heap[c->heap].at = at;
  heap_fix(c->heap);
}

static void undue(struct conn *c)
{
  unsigned i = c->heap;
  if(!i) return;
  c->heap = 0;
  if(i != heap_n) {
    heap_put(i, heap[heap_n].at, heap[heap_n].c);
    heap_n--;
    heap_fix(i);
  } else {
    heap_n--;
  }
}

/* The chat of the turn is free again: at once, or after the second it takes to notice that a client has gone. */
static void chat_release(struct conn *c, int64_t busy_us)
{
  if(c->chat == NOBODY) return;
  struct chat *ch = &chats[c->chat];
  c->chat = NOBODY;
  ch->conn = NULL;
  ch->free_us = busy_us ? now_us() + busy_us : 0;
  accounts[ch->account].running--;
  running_n--;
}

static void conn_drop(struct conn *c, bool reset)
{
  if(c->dead) return;
  if(reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
  chat_release(c, c->turn == TURN_NONE ? 0 : 1000000);
  undue(c);
  close(c->fd);
  open_n--;
  c->dead = true;
  c->next = buried;
  buried = c;
}

/* Frees the dead once no event of this round can name them any more. */
static void bury(void)
{
  while(buried) {
    struct conn *c = buried, kept = { .fd = -1, .chat = NOBODY };
    buried = c->next;
    if(c->tls && spare_tls_n < (int)NELEM(spare_tls)) spare_tls[spare_tls_n++] = c->tls;
    else free(c->tls);
    struct buf *bufs[] = { &c->in, &c->out, &c->body, &c->cipher };
    for(size_t i = 0; i < NELEM(bufs); i++) {
      bufs[i]->n = 0;
      buf_shrink(bufs[i]);
    }
    kept.in = c->in;
    kept.out = c->out;
    kept.body = c->body;
    kept.cipher = c->cipher;
    kept.steps = c->steps;
    kept.step_cap = c->step_cap;
    kept.next = spare;
    *c = kept;
    spare = c;
  }
}

/* ---- TLS ---- */

static br_x509_certificate *chain;
static size_t chain_n;
static br_skey_decoder_context skey;
static br_ssl_session_cache_lru sessions;
static unsigned char session_store[16384 * 100];

/* The sessions, watched: a handshake that saves one was a full one. */
static void sessions_save(const br_ssl_session_cache_class **ctx, br_ssl_server_context *sc,
                          const br_ssl_session_parameters *p)
{
  (void)ctx;
  ((struct tls *)sc)->saved = true;
  sessions.vtable->save(&sessions.vtable, sc, p);
}

static int sessions_load(const br_ssl_session_cache_class **ctx, br_ssl_server_context *sc,
                         br_ssl_session_parameters *p)
{
  (void)ctx;
  return sessions.vtable->load(&sessions.vtable, sc, p);
}

static const br_ssl_session_cache_class sessions_class = { sizeof(const br_ssl_session_cache_class *), sessions_save,
                                                           sessions_load };
static const br_ssl_session_cache_class *sessions_watched = &sessions_class;

static struct tls *tls_new(void)
{
  struct tls *t = spare_tls_n ? spare_tls[--spare_tls_n] : must(malloc(sizeof *t));
  t->saved = t->counted = false;
  if(br_skey_decoder_key_type(&skey) == BR_KEYTYPE_EC)
    br_ssl_server_init_full_ec(&t->sc, chain, chain_n, BR_KEYTYPE_EC, br_skey_decoder_get_ec(&skey));
  else
    br_ssl_server_init_full_rsa(&t->sc, chain, chain_n, br_skey_decoder_get_rsa(&skey));
  br_ssl_server_set_cache(&t->sc, &sessions_watched);
  br_ssl_engine_set_buffers_bidi(&t->sc.eng, t->in, sizeof t->in, t->out, sizeof t->out);
  br_ssl_server_reset(&t->sc);
  return t;
}

/* Hands finished records to the socket. false: it takes no more, or the connection is dead. */
static bool tls_flush(struct conn *c)
{
  br_ssl_engine_context *e = &c->tls->sc.eng;
  unsigned char *p;
  size_t n;
  while((p = br_ssl_engine_sendrec_buf(e, &n)) != NULL) {
    ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
    if(k < 0 && errno == EINTR) continue;
    if(k < 0) {
      if(errno != EAGAIN) conn_drop(c, false);
      return false;
    }
    br_ssl_engine_sendrec_ack(e, (size_t)k);
  }
  return true;
}

static size_t tls_push(struct conn *c, const char *p, size_t n)
{
  br_ssl_engine_context *e = &c->tls->sc.eng;
  for(size_t done = 0, k;;) {
    if(!tls_flush(c) || done == n) return done;
    unsigned char *b = br_ssl_engine_sendapp_buf(e, &k);
    if(!b) return done;
    if(k > n - done) k = n - done;
    memcpy(b, p + done, k);
    done += k;
    br_ssl_engine_sendapp_ack(e, k);
    br_ssl_engine_flush(e, 0);
  }
}

/* Feeds cipher bytes, collects plain ones. Returns how many the engine took. */
static size_t tls_feed(struct conn *c, const char *p, size_t n, struct buf *to)
{
  br_ssl_engine_context *e = &c->tls->sc.eng;
  for(size_t used = 0, k;;) {
    unsigned char *b = br_ssl_engine_recvapp_buf(e, &k);
    if(b) {
      buf_add(to, b, k);
      br_ssl_engine_recvapp_ack(e, k);
      continue;
    }
    tls_flush(c);
    if(c->dead || used == n || !(b = br_ssl_engine_recvrec_buf(e, &k))) return used;
    if(k > n - used) k = n - used;
    memcpy(b, p + used, k);
    br_ssl_engine_recvrec_ack(e, k);
    used += k;
  }
}

static void tls_count(struct tls *t)
{
  if(t->counted || !(br_ssl_engine_current_state(&t->sc.eng) & BR_SSL_SENDAPP)) return;
  t->counted = true;
  if(t->saved) stat_.tls_full++;
  else stat_.tls_resumed++;
}

/* ---- writing ---- */

static size_t conn_push(struct conn *c, const char *p, size_t n)
{
  if(c->tls) return tls_push(c, p, n);
  size_t done = 0;
  while(done < n) {
    ssize_t k = send(c->fd, p + done, n - done, MSG_NOSIGNAL);
    if(k < 0 && errno == EINTR) continue;
    if(k < 0) {
      if(errno != EAGAIN) conn_drop(c, false);
      break;
    }
    done += (size_t)k;
  }
  return done;
}

static size_t conn_pending(const struct conn *c)
{
  return c->out.n - c->out_at;
}

static void conn_write(struct conn *c, const char *p, size_t n)
{
  if(c->dead) return;
  size_t done = conn_pending(c) ? 0 : conn_push(c, p, n);
  if(!c->dead && done < n) buf_add(&c->out, p + done, n - done);
}

/* Ends a connection in order: what is pending, close_notify, FIN, then the peer has a second. */
static void conn_shut(struct conn *c)
{
  if(c->dead || conn_pending(c)) return;
  if(c->tls) {
    br_ssl_engine_close(&c->tls->sc.eng);
    tls_flush(c);
    if(c->dead) return;
  }
  shutdown(c->fd, SHUT_WR);
  due(c, now_us() + 1000000);
}

static void conn_close(struct conn *c)
{
  if(c->dead || c->closing) return;
  chat_release(c, 0);
  c->turn = TURN_NONE;
  c->closing = true;
  undue(c);
  conn_shut(c);
}

static void conn_writable(struct conn *c)
{
  if(conn_pending(c)) {
    c->out_at += conn_push(c, c->out.p + c->out_at, conn_pending(c));
    if(c->dead || conn_pending(c)) return;
    c->out.n = c->out_at = 0;
    buf_shrink(&c->out);
  } else if(c->tls) {
    tls_flush(c);
  }
  if(c->dead) return;
  if(c->closing) conn_shut(c);
  else if(c->throttled) due(c, now_us());
  c->throttled = false;
}
