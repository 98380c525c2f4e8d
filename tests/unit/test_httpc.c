/* Whole exchanges against loopback servers: framing, reuse, cuts, packed bodies, faults. */
#include <zlib.h>

#include "../peer.h"

#include "base/mem.h"
#include "net/httpc.h"
#include "net/net.h"

struct world {
  struct pump *pump;
  struct jobs *jobs;
  struct net *net;
  struct httpc *h;
  struct peer *peer;
};

static struct net_resolve world_rows[4];

static void world_open(struct world *w, struct peer *peer, const struct transport *transport)
{
  struct q_error err = Q_ERROR_NONE;
  memset(w, 0, sizeof *w);
  world_rows[0] = (struct net_resolve){ "upstream.test", 0, "127.0.0.1", peer->port };
  struct net_config c = { .resolve = world_rows, .resolve_n = 1, .ca_pem = peer_file("ca.pem"), .now = &now_real,
                          .transport = transport };
  w->peer = peer;
  w->jobs = c.jobs = jobs_new(2);
  w->net = net_new(&c, &err);
  w->pump = pump_new(&now_real);
  w->h = httpc_new(w->pump, w->net);
  if(!w->h || !w->net) printf("world: %s\n", err.msg), exit(99);
}

static void world_close(struct world *w)
{
  CHECK_INT(httpc_counts(w->h).open, httpc_counts(w->h).idle);
  httpc_destroy(w->h);
  pump_destroy(w->pump);
  jobs_destroy(w->jobs);
  net_destroy(w->net);
}

struct get {
  struct xchg x;
  enum q_status st;
  int status;
  struct strbuf body;
  char words[512];
  int pieces, calls;
};

static void get_step(struct get *g)
{
  struct xchg_head head;
  struct str piece;
  g->calls++;
  g->st = xchg_head(&g->x, &head);
  if(g->st) return;
  g->status = head.status;
  while((g->st = xchg_read(&g->x, &piece)) == Q_OK) {
    g->pieces++;
    strbuf_adds(&g->body, piece);
  }
}

static void get_ready(struct xchg *x)
{
  get_step((struct get *)x);
}

/* Begins an exchange; get_end() must follow. */
static enum q_status get_begin(struct world *w, struct get *g, bool tls, const char *method, const char *path,
                               struct strbuf *body)
{
  char url[256];
  *g = (struct get){ .x.on_ready = get_ready, .st = Q_AGAIN, .body = STRBUF(64 << 20) };
  snprintf(url, sizeof url, "%s://upstream.test%s", tls ? "https" : "http", path);
  struct xchg_req req = { .url = str_z(url), .method = str_z(method), .headers = S("X-Test: 1\r\nAccept: */*\r\n"),
                          .body = body, .connect_ms = 3000 };
  pump_turn(w->pump, 0);
  return xchg_start(&g->x, w->h, &req);
}

static void get_wait(struct world *w, struct get *g)
{
  int64_t until = now_mono_ms(&now_real) + 6000;
  while(g->st == Q_AGAIN && now_mono_ms(&now_real) < until) pump_turn(w->pump, 20);
  snprintf(g->words, sizeof g->words, "%s", xchg_error(&g->x));
}

static void get_end(struct get *g)
{
  xchg_close(&g->x);
  strbuf_free(&g->body);
}

static void get(struct world *w, struct get *g, bool tls, const char *path)
{
  CHECK_INT(get_begin(w, g, tls, "GET", path, NULL), Q_OK);
  get_wait(w, g);
}

/* ---- a server whose answer is the context: raw bytes, optionally cut into pieces ---- */

struct script {
  struct str bytes;
  size_t piece;      /* 0: whole */
  size_t split;      /* one extra cut at this offset, 0: none */
  bool close_after;
  char seen[4096];   /* the last head */
};

static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static void serve_script(struct peer_conn *c)
{
  struct script *s = c->peer->ctx;
  for(;;) {
    struct str head = peer_head(c), length = peer_header(head, "Content-Length");
    int64_t n = 0;
    if(!head.n) return;
    pthread_mutex_lock(&seen_lock);
    str_copy(s->seen, sizeof s->seen, head);
    pthread_mutex_unlock(&seen_lock);
    if(length.n) (void)!str_int(length, &n);
    (void)peer_body(c, head.n, (size_t)n);
    struct str left = s->bytes;
    while(left.n) {
      size_t k = s->piece && s->piece < left.n ? s->piece : left.n;
      if(s->split && left.n == s->bytes.n) k = s->split;
      if(!peer_write(c, left.p, k)) return;
      left = str_sub(left, k, left.n);
      if(left.n && s->split) usleep(300);
    }
    if(s->close_after) return;
  }
}

#define HEAD "HTTP/1.1 200 OK\r\n"

static void t_framing(void)
{
  struct world w;
  struct script s = { 0 };
  static const struct {
    const char *name, *bytes, *body;
    int status;
    enum q_status st;
    bool close, idle;
    const char *words;
  } rows[] = {
    { "length", HEAD "Content-Length: 5\r\n\r\nhello", "hello", 200, Q_EOF, false, true, "" },
    { "empty", HEAD "Content-Length: 0\r\n\r\n", "", 200, Q_EOF, false, true, "" },
    { "204", "HTTP/1.1 204 No Content\r\n\r\n", "", 204, Q_EOF, false, true, "" },
    { "chunked", HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "hello world",
      200, Q_EOF, false, true, "" },
    { "trailers", HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n", "abc", 200, Q_EOF, false,
      true, "" },
    { "interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" HEAD
      "Content-Length: 2\r\n\r\nok", "ok", 200, Q_EOF, false, true, "" },
    { "connection close", HEAD "Content-Length: 2\r\nConnection: close\r\n\r\nok", "ok", 200, Q_EOF, false, false, "" },
    { "to the end", HEAD "\r\nuntil the end", "until the end", 200, Q_EOF, true, false, "" },
    { "more than said", HEAD "Content-Length: 2\r\n\r\nokHTTP/1.1", "ok", 200, Q_EOF, false, false, "" },
    { "error status", "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad", "bad", 503, Q_EOF, false, true, "" },
    { "short length", HEAD "Content-Length: 9\r\n\r\nhello", "hello", 200, Q_UP_CUT, true, false,
      "upstream.test:%d closed the connection in the middle of its answer." },
    { "short chunk", HEAD "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", "hello", 200, Q_UP_CUT, true, false,
      "upstream.test:%d closed the connection in the middle of its answer." },
    { "no last chunk", HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello", 200, Q_UP_CUT, true, false,
      "upstream.test:%d closed the connection in the middle of its answer." },
    { "bad chunk", HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", "", 200, Q_UP_BODY, false, false,
      "upstream.test:%d broke the chunked coding of its answer." },
    { "both framings", HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", "", 0, Q_UP_BODY, false,
      false, "upstream.test:%d sent a head that is no acceptable HTTP/1.1." },
    { "two lengths", HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "", 0, Q_UP_BODY, false, false,
      "upstream.test:%d sent a head that is no acceptable HTTP/1.1." },
    { "no http", "SSH-2.0-OpenSSH\r\n\r\n", "", 0, Q_UP_BODY, false, false,
      "upstream.test:%d sent a head that is no acceptable HTTP/1.1." },
    { "upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "", 0, Q_UP_BODY, false, false,
      "upstream.test:%d sent interim answers only." },
    { "nothing", "", "", 0, Q_UP_CUT, true, false, "upstream.test:%d closed the connection without an answer." },
    { "half a head", "HTTP/1.1 200 OK\r\nContent-", "", 0, Q_UP_CUT, true, false,
      "upstream.test:%d closed the connection inside the head of its answer." },
    { "brotli", HEAD "Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", "", 0, Q_UP_BODY, false, false,
      "upstream.test:%d answered with the content encoding \"br\", which this gateway does not read." },
  };
  for(int tls = 0; tls < 2; tls++) {
    struct peer *p = peer_start(tls ? peer_cert("good") : NULL, true, serve_script, &s);
    world_open(&w, p, NULL);
    for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
      char row[64], words[200];
      /* whole, byte by byte, and cut at every place */
      size_t n = strlen(rows[i].bytes), cuts = tls ? 2 : n + 1;
      bool stray = strcmp(rows[i].name, "more than said") == 0; /* whole only: bytes after the end have no time */
      if(stray) cuts = 1;
      for(size_t cut = 0; cut < cuts; cut++) {
        struct get g;
        if(!n && cut) break;
        snprintf(row, sizeof row, "%s%s, cut %zu", rows[i].name, tls ? " tls" : "", cut);
        t_row = row;
        snprintf(words, sizeof words, rows[i].words, tls ? 443 : 80);
        s = (struct script){ .bytes = str_of(rows[i].bytes, n), .close_after = rows[i].close, .piece = cut == 1,
                             .split = cut > 1 ? cut - 1 : 0 };
        get(&w, &g, tls, "/a?b=c");
        CHECK_INT(g.st, rows[i].st);
        CHECK_INT(g.status, rows[i].status);
        CHECK_STR(strbuf_str(&g.body), str_z(rows[i].body));
        CHECK_Z(g.words, words);
        CHECK(str_starts(str_z(s.seen), S("GET /a?b=c HTTP/1.1\r\nHost: upstream.test\r\n")));
        get_end(&g);
        CHECK_INT(httpc_counts(w.h).idle, rows[i].idle);
        CHECK_INT(httpc_counts(w.h).open, httpc_counts(w.h).idle);
        if(rows[i].idle && httpc_counts(w.h).idle == 0) break;
      }
      /* the next row begins without a kept connection, so that no retry hides a cut */
      httpc_destroy(w.h);
      w.h = httpc_new(w.pump, w.net);
    }
    world_close(&w);
    peer_stop(p);
  }
}

/* ---- kept connections ---- */

static void t_keep_alive(void)
{
  struct world w;
  struct script s = { .bytes = S(HEAD "Content-Length: 2\r\n\r\nok") };
  for(int tls = 0; tls < 2; tls++) {
    struct peer *p = peer_start(tls ? peer_cert("good") : NULL, true, serve_script, &s);
    world_open(&w, p, NULL);
    for(int i = 0; i < 5; i++) {
      struct get g;
      get(&w, &g, tls, "/");
      CHECK_INT(g.st, Q_EOF);
      CHECK_STR(strbuf_str(&g.body), S("ok"));
      get_end(&g);
      CHECK_INT(httpc_counts(w.h).idle, 1);
    }
    CHECK_INT(atomic_load(&p->accepted), 1);
    CHECK_INT(atomic_load(&p->requests), 5);
    CHECK_INT(httpc_counts(w.h).connects, 1);
    CHECK_INT(httpc_counts(w.h).full_handshakes, tls);
    /* five at once need five connections, and all but the first resume */
    struct get many[5];
    for(int i = 0; i < 5; i++) CHECK_INT(get_begin(&w, &many[i], tls, "GET", "/", NULL), Q_OK);
    for(int i = 0; i < 5; i++) get_wait(&w, &many[i]);
    for(int i = 0; i < 5; i++) CHECK_INT(many[i].st, Q_EOF);
    for(int i = 0; i < 5; i++) get_end(&many[i]);
    CHECK_INT(httpc_counts(w.h).idle, 5);
    CHECK_INT(httpc_counts(w.h).connects, 5);
    CHECK_INT(httpc_counts(w.h).full_handshakes, tls);
    CHECK_INT(httpc_counts(w.h).resumed_handshakes, tls ? 4 : 0);
    world_close(&w);
    CHECK_INT(peer_live(p), 0);
    peer_stop(p);
  }
}

/* Answers one request a connection, promising more, and closes at once or when the next request has come. */
static void serve_once(struct peer_conn *c)
{
  bool late = *(bool *)c->peer->ctx;
  struct str head = peer_head(c), length = peer_header(head, "Content-Length");
  int64_t n = 0;
  if(!head.n) return;
  if(length.n) (void)!str_int(length, &n);
  (void)peer_body(c, head.n, (size_t)n);
  (void)peer_say(c, HEAD "Content-Length: 3\r\n\r\none");
  if(late) {
    char b[4096];
    (void)peer_read(c, b, sizeof b);
  }
}

static void t_stale(void)
{
  struct world w;
  for(int tls = 0; tls < 2; tls++) {
    for(int late = 0; late < 2; late++) {
      bool is_late = late;
      struct peer *p = peer_start(tls ? peer_cert("good") : NULL, true, serve_once, &is_late);
      world_open(&w, p, NULL);
      for(int i = 0; i < 3; i++) {
        struct get g;
        struct strbuf body = STRBUF(100);
        strbuf_addz(&body, "question");
        if(!late && i) { /* the peer's end removes the idle connection at once */
          for(int turn = 0; turn < 100 && httpc_counts(w.h).idle; turn++) pump_turn(w.pump, 20);
          CHECK_INT(httpc_counts(w.h).open, 0);
        }
        CHECK_INT(get_begin(&w, &g, tls, "POST", "/x", &body), Q_OK);
        CHECK(body.p == NULL);
        get_wait(&w, &g);
        CHECK_INT(g.st, Q_EOF);
        CHECK_STR(strbuf_str(&g.body), S("one"));
        get_end(&g);
      }
      CHECK_INT(httpc_counts(w.h).connects, 3);
      world_close(&w);
      peer_stop(p);
    }
  }
}

/* A connection that never served is not tried twice. */
static void serve_slam(struct peer_conn *c)
{
  (void)peer_head(c);
}

static void t_no_retry(void)
{
  struct world w;
  struct get g;
  struct peer *p = peer_start(NULL, true, serve_slam, NULL);
  world_open(&w, p, NULL);
  get(&w, &g, false, "/");
  CHECK_INT(g.st, Q_UP_CUT);
  CHECK_INT(atomic_load(&p->accepted), 1);
  get_end(&g);
  CHECK_INT(httpc_counts(w.h).open, 0);
  world_close(&w);
  peer_stop(p);
}

static int64_t t_skip_us;
static int64_t skipped_us(void *ctx)
{
  (void)ctx;
  return now_mono_us(&now_real) + t_skip_us;
}
static int64_t skipped_wall(void *ctx)
{
  (void)ctx;
  return now_wall_ms(&now_real);
}

static void t_idle_bounds(void)
{
  struct world w;
  struct script s = { .bytes = S(HEAD "Content-Length: 2\r\n\r\nok") };
  static const struct now skipping = { skipped_us, skipped_wall, NULL };
  struct peer *p = peer_start(NULL, true, serve_script, &s);
  enum { MANY = 140 };
  static struct get g[MANY];
  world_open(&w, p, NULL);
  httpc_destroy(w.h);
  pump_destroy(w.pump);
  w.pump = pump_new(&skipping);
  w.h = httpc_new(w.pump, w.net);
  for(int i = 0; i < MANY; i++) CHECK_INT(get_begin(&w, &g[i], false, "GET", "/", NULL), Q_OK);
  for(int i = 0; i < MANY; i++) get_wait(&w, &g[i]);
  for(int i = 0; i < MANY; i++) CHECK_INT(g[i].st, Q_EOF);
  for(int i = 0; i < MANY; i++) get_end(&g[i]);
  CHECK_INT(httpc_counts(w.h).idle, 128);
  CHECK_INT(httpc_counts(w.h).open, 128);
  t_skip_us += 54000000;
  pump_turn(w.pump, 0);
  CHECK_INT(httpc_counts(w.h).idle, 128);
  get(&w, &g[0], false, "/"); /* the one used last is taken, and stays */
  get_end(&g[0]);
  t_skip_us += 2000000;
  pump_turn(w.pump, 0);
  pump_turn(w.pump, 0);
  CHECK_INT(httpc_counts(w.h).idle, 1);
  t_skip_us += 56000000;
  pump_turn(w.pump, 0);
  pump_turn(w.pump, 0);
  CHECK_INT(httpc_counts(w.h).open, 0);
  world_close(&w);
  peer_stop(p);
}

/* ---- large bodies both ways, back-pressure ---- */

static void serve_sum(struct peer_conn *c)
{
  for(;;) {
    struct str head = peer_head(c), length = peer_header(head, "Content-Length");
    int64_t n = 0;
    char b[128];
    if(!head.n || !str_int(length, &n)) return;
    uint32_t sum = peer_body(c, head.n, (size_t)n);
    snprintf(b, sizeof b, HEAD "Transfer-Encoding: chunked\r\n\r\n8\r\n%08x\r\n0\r\n\r\n", sum);
    if(!peer_say(c, b)) return;
  }
}

static void t_upload(void)
{
  struct world w;
  static const size_t sizes[] = { 0, 1, 15000, 16384, 16385, 100000, 3000000 };
  for(int tls = 0; tls < 2; tls++) {
    struct peer *p = peer_start(tls ? peer_cert("good") : NULL, true, serve_sum, NULL);
    world_open(&w, p, NULL);
    for(size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      struct get g;
      struct strbuf body = STRBUF(8 << 20);
      uint32_t sum = 0;
      char want[16];
      for(size_t k = 0; k < sizes[i]; k++) {
        char b = (char)(k * 7 + k / 251);
        sum = sum * 31 + (unsigned char)b;
        strbuf_addc(&body, b);
      }
      snprintf(want, sizeof want, "%08x", sum);
      CHECK_INT(get_begin(&w, &g, tls, "PUT", "/up", &body), Q_OK);
      get_wait(&w, &g);
      CHECK_INT(g.st, Q_EOF);
      CHECK_STR(strbuf_str(&g.body), str_z(want));
      CHECK(xchg_sent_all(&g.x));
      get_end(&g);
      CHECK_INT(httpc_counts(w.h).idle, 1);
    }
    world_close(&w);
    peer_stop(p);
  }
}

/* Refuses a large upload after its head and does not read on: the answer must get through all the same. */
static void serve_refuse(struct peer_conn *c)
{
  (void)peer_head(c);
  (void)peer_say(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  usleep(100000);
}

static void t_early_answer(void)
{
  struct world w;
  for(int tls = 0; tls < 2; tls++) {
    struct peer *p = peer_start(tls ? peer_cert("good") : NULL, true, serve_refuse, NULL);
    struct get g;
    struct strbuf body = STRBUF(64 << 20);
    world_open(&w, p, NULL);
    memset(strbuf_room(&body, 32 << 20), 'x', 32 << 20);
    body.n = 32 << 20;
    CHECK_INT(get_begin(&w, &g, tls, "POST", "/up", &body), Q_OK);
    get_wait(&w, &g);
    CHECK_INT(g.st, Q_EOF);
    CHECK_INT(g.status, 413);
    CHECK(!xchg_sent_all(&g.x));
    get_end(&g);
    CHECK_INT(httpc_counts(w.h).open, 0);
    world_close(&w);
    peer_stop(p);
  }
}

enum { FLOOD = 24 << 20 };
static atomic_size_t flood_sent;
static void serve_flood(struct peer_conn *c)
{
  static char b[65536];
  char head[128];
  (void)peer_head(c);
  snprintf(head, sizeof head, HEAD "Content-Length: %d\r\n\r\n", FLOOD);
  (void)peer_say(c, head);
  for(size_t n = 0; n < FLOOD; n += sizeof b) {
    if(!peer_write(c, b, sizeof b)) return;
    atomic_fetch_add(&flood_sent, sizeof b);
  }
}

static void flood_ready(struct xchg *x)
{
  ((struct get *)x)->calls++;
}

static void t_back_pressure(void)
{
  struct world w;
  for(int tls = 0; tls < 2; tls++) {
    struct peer *p = peer_start(tls ? peer_cert("good") : NULL, true, serve_flood, NULL);
    struct get g;
    struct str piece;
    size_t got = 0;
    atomic_store(&flood_sent, 0);
    world_open(&w, p, NULL);
    CHECK_INT(get_begin(&w, &g, tls, "GET", "/", NULL), Q_OK);
    g.x.on_ready = flood_ready;
    /* reads a single piece, then nothing: the server must stall, and we keep no more than two record buffers */
    for(int i = 0; i < 200 && !got; i++) {
      pump_turn(w.pump, 10);
      if(xchg_read(&g.x, &piece) == Q_OK) got = piece.n;
    }
    CHECK(got > 0);
    long live = mem_live();
    size_t last = 1, now = 0;
    for(int i = 0; i < 300 && now != last; i++) {
      last = atomic_load(&flood_sent);
      for(int k = 0; k < 10; k++) pump_turn(w.pump, 10);
      now = atomic_load(&flood_sent);
    }
    CHECK(now < FLOOD);
    CHECK(mem_live() <= live + 2);
    /* it goes on where it stopped, without any further event */
    enum q_status st = Q_AGAIN;
    for(int i = 0; i < 20000 && st != Q_EOF && st != Q_UP_CUT; i++) {
      size_t turn = 0;
      while((st = xchg_read(&g.x, &piece)) == Q_OK) turn += piece.n;
      CHECK(turn < 400000); /* a fast peer has its share of a turn, not all of it */
      got += turn;
      if(st == Q_AGAIN) pump_turn(w.pump, 20);
    }
    CHECK_INT(st, Q_EOF);
    CHECK_INT(got, FLOOD);
    get_end(&g);
    world_close(&w);
    peer_stop(p);
  }
}

/* ---- packed bodies ---- */

static struct str gzipped(const char *text, size_t n, bool sync)
{
  static unsigned char out[1 << 18];
  z_stream z = { 0 };
  deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  z.next_out = out;
  z.avail_out = sizeof out;
  size_t half = n / 2;
  z.next_in = (unsigned char *)(uintptr_t)text;
  z.avail_in = (unsigned)half;
  deflate(&z, sync ? Z_SYNC_FLUSH : Z_NO_FLUSH);
  z.avail_in += (unsigned)(n - half);
  deflate(&z, Z_FINISH);
  size_t made = z.total_out;
  deflateEnd(&z);
  return str_of((char *)out, made);
}

static void t_gzip(void)
{
  struct world w;
  struct script s = { 0 };
  static char text[300000], wire[400000];
  struct peer *p = peer_start(NULL, true, serve_script, &s);
  world_open(&w, p, NULL);
  for(size_t i = 0; i < sizeof text; i++) text[i] = (char)("event data 0123456789\n"[(i * i + i / 99) % 22]);
  static const struct { const char *name; size_t n, cut; enum q_status st; bool damage, chunked; } rows[] = {
    { "small", 40, 0, Q_EOF, false, true }, { "large", sizeof text, 0, Q_EOF, false, true },
    { "length", 5000, 0, Q_EOF, false, false }, { "short", 5000, 6, Q_UP_CUT, false, true },
    { "damaged", 5000, 0, Q_UP_BODY, true, true }, { "none", 0, 0, Q_EOF, false, true },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    for(size_t piece = 0; piece < 3; piece++) {
      char row[64];
      struct get g;
      snprintf(row, sizeof row, "gzip %s, piece %zu", rows[i].name, piece);
      t_row = row;
      struct str z = gzipped(text, rows[i].n, true);
      z.n -= rows[i].cut;
      int n = snprintf(wire, 200, HEAD "Content-Encoding: gzip\r\n");
      if(rows[i].chunked) n += snprintf(wire + n, 200, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", z.n);
      else n += snprintf(wire + n, 200, "Content-Length: %zu\r\n\r\n", z.n);
      memcpy(wire + n, z.p, z.n);
      if(rows[i].damage) wire[n + (int)z.n / 2] ^= 0x55;
      n += (int)z.n;
      if(rows[i].chunked) n += snprintf(wire + n, 200, "\r\n0\r\n\r\n");
      s = (struct script){ .bytes = str_of(wire, (size_t)n), .piece = piece == 1 ? 1 : piece == 2 ? 1000 : 0 };
      if(piece == 1 && n > 60000) continue;
      get(&w, &g, false, "/");
      CHECK_INT(g.st, rows[i].st);
      if(rows[i].st == Q_EOF) CHECK(str_eq(strbuf_str(&g.body), str_of(text, rows[i].n)));
      get_end(&g);
      CHECK_INT(httpc_counts(w.h).idle, rows[i].st == Q_EOF);
    }
  }
  world_close(&w);
  peer_stop(p);
}

/* ---- TLS that ends without a goodbye ---- */

static void serve_rude(struct peer_conn *c)
{
  (void)peer_head(c);
  (void)peer_say(c, HEAD "\r\nno end");
  close(c->fd);
  c->fd = -1;
}

static void t_tls_end(void)
{
  struct world w;
  struct get g;
  struct peer *p = peer_start(peer_cert("good"), true, serve_rude, NULL);
  world_open(&w, p, NULL);
  get(&w, &g, true, "/");
  CHECK_INT(g.st, Q_UP_CUT);
  CHECK_STR(strbuf_str(&g.body), S("no end"));
  CHECK_Z(g.words, "upstream.test:443 closed the connection without saying goodbye.");
  get_end(&g);
  world_close(&w);
  peer_stop(p);
}

/* ---- closing at any moment ---- */

static void close_in_ready(struct xchg *x)
{
  struct get *g = (struct get *)x;
  g->st = Q_OK;
  xchg_close(x);
}

static void t_close_anywhere(void)
{
  struct world w;
  struct script s = { .bytes = S(HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), .piece = 1 };
  for(int tls = 0; tls < 2; tls++) {
    struct peer *p = peer_start(tls ? peer_cert("good") : NULL, true, serve_script, &s);
    world_open(&w, p, NULL);
    for(int turns = 0; turns < 60; turns++) {
      struct get g;
      CHECK_INT(get_begin(&w, &g, tls, "GET", "/", NULL), Q_OK);
      for(int i = 0; i < turns && g.st == Q_AGAIN; i++) pump_turn(w.pump, 2);
      get_end(&g);
      CHECK_INT(httpc_counts(w.h).open, httpc_counts(w.h).idle);
    }
    for(int i = 0; i < 5; i++) {
      struct get g;
      CHECK_INT(get_begin(&w, &g, tls, "GET", "/", NULL), Q_OK);
      g.x.on_ready = close_in_ready;
      get_wait(&w, &g);
      CHECK_INT(g.st, Q_OK);
      strbuf_free(&g.body);
      CHECK_INT(httpc_counts(w.h).open, httpc_counts(w.h).idle);
    }
    httpc_destroy(w.h);
    w.h = httpc_new(w.pump, w.net);
    CHECK_INT(peer_live(p), 0);
    world_close(&w);
    peer_stop(p);
  }
}

/* ---- what goes out, and URLs ---- */

static void t_request_bytes(void)
{
  struct world w;
  struct script s = { .bytes = S(HEAD "Content-Length: 0\r\n\r\n") };
  struct peer *p = peer_start(NULL, true, serve_script, &s);
  char want[600], proxy[128];
  world_open(&w, p, NULL);
  static const struct { const char *url, *method, *body, *proxy, *want; } rows[] = {
    { "http://upstream.test", "GET", NULL, "", "GET / HTTP/1.1\r\nHost: upstream.test\r\nX-Test: 1\r\n\r\n" },
    { "http://upstream.test?q=1", "GET", NULL, "", "GET /?q=1 HTTP/1.1\r\nHost: upstream.test\r\nX-Test: 1\r\n\r\n" },
    { "HTTP://upstream.test:8080/a#frag", "DELETE", NULL, "",
      "DELETE /a HTTP/1.1\r\nHost: upstream.test:8080\r\nX-Test: 1\r\n\r\n" },
    { "http://upstream.test/", "POST", NULL, "",
      "POST / HTTP/1.1\r\nHost: upstream.test\r\nX-Test: 1\r\nContent-Length: 0\r\n\r\n" },
    { "http://upstream.test/", "POST", "hello", "",
      "POST / HTTP/1.1\r\nHost: upstream.test\r\nX-Test: 1\r\nContent-Length: 5\r\n\r\n" },
    { "http://elsewhere.test:81/a?b", "GET", NULL, "http://u:p@127.0.0.1:%d",
      "GET http://elsewhere.test:81/a?b HTTP/1.1\r\nHost: elsewhere.test:81\r\nProxy-Authorization: Basic dTpw\r\n"
      "X-Test: 1\r\n\r\n" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    t_row = rows[i].url;
    struct get g = { .x.on_ready = get_ready, .st = Q_AGAIN, .body = STRBUF(1000) };
    struct strbuf body = STRBUF(100);
    if(rows[i].body) strbuf_addz(&body, rows[i].body);
    proxy[0] = 0;
    if(rows[i].proxy[0]) snprintf(proxy, sizeof proxy, "http://u:p@127.0.0.1:%d", p->port);
    snprintf(want, sizeof want, "%s", rows[i].want);
    struct xchg_req req = { .url = str_z(rows[i].url), .method = str_z(rows[i].method), .headers = S("X-Test: 1\r\n"),
                            .proxy = str_z(proxy), .body = rows[i].body ? &body : NULL, .connect_ms = 2000 };
    CHECK_INT(xchg_start(&g.x, w.h, &req), Q_OK);
    get_wait(&w, &g);
    CHECK_INT(g.st, Q_EOF);
    CHECK_Z(s.seen, want);
    get_end(&g);
  }
  static const char *bad[] = { "", "upstream.test", "ftp://upstream.test/", "http://", "http://a b/",
                               "http://x/\r\nA: b", "http://upstream.test:0/", "http://upstream.test:70000/",
                               "socks5://upstream.test/" };
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    t_row = bad[i];
    struct get g = { .x.on_ready = get_ready };
    struct xchg_req req = { .url = str_z(bad[i]), .method = S("GET"), .connect_ms = 2000 };
    CHECK_INT(xchg_start(&g.x, w.h, &req), Q_BAD_VALUE);
    CHECK_Z(xchg_error(&g.x), "The URL is not acceptable.");
    xchg_close(&g.x);
  }
  world_close(&w);
  peer_stop(p);
}

static void t_head_limit(void)
{
  struct world w;
  static char big[80000];
  struct script s = { 0 };
  struct peer *p = peer_start(NULL, true, serve_script, &s);
  world_open(&w, p, NULL);
  for(int over = 0; over < 2; over++) {
    int n = snprintf(big, sizeof big, HEAD "Content-Length: 0\r\nX-Fill: ");
    size_t fill = (over ? 66000 : 60000) - (size_t)n;
    memset(big + n, 'x', fill);
    snprintf(big + n + fill, 8, "\r\n\r\n");
    s = (struct script){ .bytes = str_z(big), .close_after = true };
    struct get g;
    get(&w, &g, false, "/");
    CHECK_INT(g.st, over ? Q_UP_BODY : Q_EOF);
    get_end(&g);
  }
  world_close(&w);
  peer_stop(p);
}

/* ---- jobs ---- */

static void serve_wait(struct peer_conn *c)
{
  struct pollfd pf = { .fd = c->fd, .events = POLLRDHUP };
  (void)peer_head(c);
  (void)poll(&pf, 1, 3000);
}

static void t_call(void)
{
  struct world w;
  struct script s = { .bytes = S(HEAD "X-A: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") };
  struct peer *p = peer_start(peer_cert("good"), true, serve_script, &s);
  struct peer *mute = peer_start(NULL, false, serve_wait, NULL);
  long live = mem_live();
  int fds = peer_fds();
  world_open(&w, p, NULL);
  struct strbuf headers = STRBUF(1000), body = STRBUF(1000), small = STRBUF(3);
  struct q_error err = Q_ERROR_NONE;
  char url[64];
  int status;
  struct xchg_req req = { .url = S("https://upstream.test/"), .method = S("GET"), .connect_ms = 2000 };
  for(int i = 0; i < 2; i++) {
    strbuf_clear(&headers);
    strbuf_clear(&body);
    CHECK_INT(httpc_call(w.net, &now_real, &req, 3000, &status, &headers, &body, &err), Q_OK);
    CHECK_INT(status, 200);
    CHECK_STR(strbuf_str(&body), S("hello"));
    CHECK_STR(strbuf_str(&headers), S("X-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"));
  }
  CHECK_INT(atomic_load(&p->resumed), 1);
  CHECK_INT(httpc_call(w.net, &now_real, &req, 3000, &status, NULL, &small, &err), Q_TOO_BIG);
  CHECK_Z(err.msg, "The upstream's answer is too large.");
  snprintf(url, sizeof url, "http://127.0.0.1:%d/", mute->port);
  req.url = str_z(url);
  int64_t t = now_mono_ms(&now_real);
  CHECK_INT(httpc_call(w.net, &now_real, &req, 200, &status, NULL, &body, &err), Q_UP_FIRST_TIME);
  t = now_mono_ms(&now_real) - t;
  CHECK(t >= 190 && t < 1500);
  req.url = S("nonsense");
  CHECK_INT(httpc_call(w.net, &now_real, &req, 200, &status, NULL, &body, &err), Q_BAD_VALUE);
  req.url = S("https://unknown..host/");
  CHECK(httpc_call(w.net, &now_real, &req, 3000, &status, NULL, &body, &err) != Q_OK);
  CHECK(strstr(err.msg, "unknown..host") != NULL);
  strbuf_free(&headers);
  strbuf_free(&body);
  strbuf_free(&small);
  world_close(&w);
  CHECK_INT(mem_live(), live);
  CHECK(peer_fds_back(fds));
  peer_stop(mute);
  peer_stop(p);
}

/* ---- several pumps and jobs share one net; a name is resolved and its addresses are tried in turn ---- */

struct runner {
  struct world *w;
  int port, good;
};

static void *run_pump(void *arg)
{
  struct runner *r = arg;
  struct pump *p = pump_new(&now_real);
  struct httpc *h = httpc_new(p, r->w->net);
  char url[64];
  snprintf(url, sizeof url, "https://localhost:%d/", r->port);
  for(int i = 0; i < 20; i++) {
    struct get g = { .x.on_ready = get_ready, .st = Q_AGAIN, .body = STRBUF(1000) };
    struct xchg_req req = { .url = str_z(url), .method = S("GET"), .connect_ms = 5000 };
    if(xchg_start(&g.x, h, &req)) continue;
    for(int turn = 0; turn < 500 && g.st == Q_AGAIN; turn++) pump_turn(p, 20);
    if(g.st == Q_EOF && str_eq(strbuf_str(&g.body), S("ok"))) r->good++;
    else printf("%s\n", xchg_error(&g.x));
    get_end(&g);
    if(i % 4 == 3) { /* begin anew, so that sessions are shared */
      httpc_destroy(h);
      h = httpc_new(p, r->w->net);
    }
  }
  httpc_destroy(h);
  pump_destroy(p);
  return NULL;
}

static void *run_calls(void *arg)
{
  struct runner *r = arg;
  char url[64];
  snprintf(url, sizeof url, "https://localhost:%d/", r->port);
  for(int i = 0; i < 20; i++) {
    struct strbuf body = STRBUF(100);
    int status;
    struct xchg_req req = { .url = str_z(url), .method = S("GET"), .connect_ms = 5000 };
    if(httpc_call(r->w->net, &now_real, &req, 5000, &status, NULL, &body, NULL) == Q_OK && status == 200) r->good++;
    strbuf_free(&body);
  }
  return NULL;
}

static void t_shared_net(void)
{
  enum { RUNNERS = 4 };
  struct world w;
  struct script s = { .bytes = S(HEAD "Content-Length: 2\r\n\r\nok") };
  struct peer *p = peer_start(peer_cert("good"), true, serve_script, &s);
  struct runner r[RUNNERS];
  pthread_t t[RUNNERS];
  world_open(&w, p, NULL);
  for(int i = 0; i < RUNNERS; i++) {
    r[i] = (struct runner){ &w, p->port, 0 };
    CHECK_INT(pthread_create(&t[i], NULL, i % 2 ? run_calls : run_pump, &r[i]), 0);
  }
  for(int i = 0; i < RUNNERS; i++) {
    pthread_join(t[i], NULL);
    CHECK_INT(r[i].good, 20);
  }
  CHECK(atomic_load(&p->resumed) > 30);
  world_close(&w);
  peer_stop(p);
}

/* ---- every fallible call fails once, and then all after it ---- */

static void t_faults(void)
{
  struct world w;
  static struct script s = { .bytes = S(HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") };
  struct peer *p = peer_start(peer_cert("good"), true, serve_script, &s);
  world_open(&w, p, NULL);
  struct get g;
  get(&w, &g, true, "/");
  get_end(&g);
  for(int mode = 0; mode < 4; mode++) {
    bool lasting = mode & 1, kept = mode & 2; /* on a fresh connection, or on one that served before */
    long n = 0;
    for(; n < 500; n++) {
      char row[64];
      snprintf(row, sizeof row, "faults mode %d, n %ld", mode, n);
      t_row = row;
      httpc_destroy(w.h);
      w.h = httpc_new(w.pump, w.net);
      if(kept) {
        get(&w, &g, true, "/");
        get_end(&g);
        CHECK_INT(httpc_counts(w.h).idle, 1);
      }
      int fds = peer_fds();
      fault_arm(n, lasting);
      bool started = get_begin(&w, &g, true, "GET", "/", NULL) == Q_OK;
      if(started) get_wait(&w, &g);
      CHECK(!started || g.st != Q_AGAIN);
      CHECK(!started || g.st == Q_EOF || g.words[0]);
      if(started && g.st == Q_EOF && !g.body.err) CHECK_STR(strbuf_str(&g.body), S("hello"));
      bool good = started && g.st == Q_EOF;
      get_end(&g);
      bool hit = fault_disarm();
      CHECK_INT(httpc_counts(w.h).open, httpc_counts(w.h).idle);
      CHECK(kept || peer_fds_back(fds + 2 * httpc_counts(w.h).open));
      if(!hit) {
        CHECK(good);
        break;
      }
    }
    CHECK(n > 5 && n < 500);
  }
  world_close(&w);
  CHECK_INT(peer_live(p), 0);
  peer_stop(p);
}

/* The whole life of a net, from nothing to nothing, under faults: mem_live() returns to where it was. */
static void t_faults_life(void)
{
  static struct script s = { .bytes = S(HEAD "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
                                        "\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0"
                                        "\x86\xa6\x10\x36\x05\0\0\0") };
  struct peer *p = peer_start(peer_cert("good"), true, serve_script, &s);
  struct str ca = peer_file("ca.pem");
  long n = 0;
  struct net_resolve row = { "upstream.test", 0, "127.0.0.1", p->port };
  struct net_config c = { .resolve = &row, .resolve_n = 1, .ca_pem = ca, .now = &now_real };
  struct xchg_req req = { .url = S("https://upstream.test/"), .method = S("GET"), .connect_ms = 2000 };
  for(; n < 1000; n++) {
    struct strbuf body = STRBUF(100);
    struct q_error err = Q_ERROR_NONE;
    int status = 0, fds = peer_fds();
    long live = mem_live();
    fault_arm(n, false);
    struct net *net = net_new(&c, &err);
    enum q_status st = net ? httpc_call(net, &now_real, &req, 3000, &status, NULL, &body, &err) : err.st;
    if(st == Q_OK) CHECK_STR(strbuf_str(&body), S("hello"));
    else CHECK(err.msg[0]);
    strbuf_free(&body);
    net_destroy(net);
    bool hit = fault_disarm();
    CHECK_INT(mem_live(), live);
    CHECK(peer_fds_back(fds));
    if(!hit) {
      CHECK_INT(st, Q_OK);
      break;
    }
  }
  CHECK(n > 20 && n < 1000);
  peer_stop(p);
}

int main(int argc, char **argv)
{
  static const struct t_test tests[] = {
    T(t_framing), T(t_keep_alive), T(t_stale), T(t_no_retry), T(t_idle_bounds), T(t_upload), T(t_early_answer),
    T(t_back_pressure), T(t_gzip), T(t_tls_end), T(t_close_anywhere), T(t_request_bytes), T(t_head_limit), T(t_call),
    T(t_shared_net), T(t_faults), T(t_faults_life),
  };
  peer_make_certs();
  int bad = t_main(tests, (int)(sizeof tests / sizeof tests[0]), argc, argv);
  peer_clean();
  return bad;
}
