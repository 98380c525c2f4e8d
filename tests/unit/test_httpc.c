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

static void serve_script(struct peer_conn *c)
{
  struct script *s = c->peer->ctx;
  for(;;) {
    struct str head = peer_head(c), length = peer_header(head, "Content-Length");
    int64_t n = 0;
    if(!head.n) return;
    str_copy(s->seen, sizeof s->seen, head);
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
    { "chunked", HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "hello world", 200,
      Q_EOF, false, true, "" },
    { "trailers", HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n", "abc", 200, Q_EOF, false, true,
      "" },
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
    { "both framings", HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", "", 0, Q_UP_BODY, false, false,
      "upstream.test:%d sent a head that is no acceptable HTTP/1.1." },
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

int main(int argc, char **argv)
{
  static const struct t_test tests[] = { T(t_framing) };
  peer_make_certs();
  int bad = t_main(tests, (int)(sizeof tests / sizeof tests[0]), argc, argv);
  peer_clean();
  return bad;
}
