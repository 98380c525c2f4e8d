/* fakeqwen.c - a strict, fast stand-in for the upstream: sign-in, models, chats, completions, over TLS and plain HTTP.
 *
 * One thread, one epoll. It shares no parser with the gateway: a mistake made twice would cancel out. Loopback only.
 *   fakeqwen --port P [--plain-port Q] [--cert PEM --key PEM] [--accounts N] [--port-file FILE]
 * Accounts: ok@example.org, second@example.org (password "correct horse"), bad@ (always refused), challenge@ (HTML), and
 *   with --accounts N user<i>@example.org, password pw-<i>.
 * Scenarios of completions: taken from POST /__script {"completions":["429",...]} first, then from the model's "#name", then
 *   from "[[scenario:name key=value ...]]" in the prompt, else "normal".
 * Streams for the load generator: "stream n= ms= size= seed=" sends n deltas, one each ms. Delta i is "<seed>.<i> ", padded
 *   with the letter 'a' + (seed + i) % 26 to size bytes. "stamp n= ms=" sends "t=<microseconds of the monotonic clock> ".
 * "normal" answers "Hello, 世界! This is the fake upstream." in five deltas.
 * Control (both ports): GET /__stats /__log, POST /__reset /__script /__switch /__revoke.
 *   /__switch: signin_v1, signin_v2 (200 or 404), auth_status (200 or 401), exchange (true: only 900 s tokens are good). */
#include <arpa/inet.h>
#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

/* ---------- text ---------- */

struct text { char *p; size_t n, cap; };

static void *must(void *p)
{
  if(!p) {
    fprintf(stderr, "fakeqwen: out of memory\n");
    exit(1);
  }
  return p;
}

static char *room(struct text *t, size_t n)
{
  if(t->n + n > t->cap) {
    t->cap = (t->cap + n) * 2;
    t->p = must(realloc(t->p, t->cap));
  }
  return t->p + t->n;
}

static void put(struct text *t, const char *p, size_t n)
{
  memcpy(room(t, n), p, n);
  t->n += n;
}

static void puts_(struct text *t, const char *z)
{
  put(t, z, strlen(z));
}

static void putf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void putf(struct text *t, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(room(t, 2048), 2048, fmt, ap);
  va_end(ap);
  t->n += n < 2048 ? (size_t)n : 2047;
}

static void drop(struct text *t, size_t n)
{
  memmove(t->p, t->p + n, t->n - n);
  t->n -= n;
}

static int64_t now_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---------- a small JSON reader: values are spans of the text ---------- */

struct span { const char *p; size_t n; };

static const char *js_blank(const char *p, const char *e)
{
  while(p < e && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
  return p;
}

/* The end of the value at p, NULL if there is none. */
static const char *js_skip(const char *p, const char *e, int depth)
{
  p = js_blank(p, e);
  if(p >= e || depth > 200) return NULL;
  if(*p == '"') {
    for(p++; p < e && *p != '"'; p++)
      if(*p == '\\') p++;
    return p < e ? p + 1 : NULL;
  }
  if(*p == '{' || *p == '[') {
    char close = *p == '{' ? '}' : ']';
    bool object = *p == '{';
    p = js_blank(p + 1, e);
    if(p < e && *p == close) return p + 1;
    for(;;) {
      if(object) {
        p = js_blank(p, e);
        if(p >= e || *p != '"' || !(p = js_skip(p, e, depth + 1))) return NULL;
        p = js_blank(p, e);
        if(p >= e || *p++ != ':') return NULL;
      }
      if(!(p = js_skip(p, e, depth + 1))) return NULL;
      p = js_blank(p, e);
      if(p < e && *p == ',') p++;
      else return p < e && *p == close ? p + 1 : NULL;
    }
  }
  const char *from = p;
  while(p < e && (strchr("+-.eE", *p) || (*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z'))) p++;
  return p > from ? p : NULL;
}

static struct span js_get(struct span o, const char *key)
{
  const char *p = js_blank(o.p, o.p + o.n), *e = o.p + o.n;
  size_t kn = strlen(key);
  if(o.n == 0 || p >= e || *p++ != '{') return (struct span){ NULL, 0 };
  for(;;) {
    p = js_blank(p, e);
    if(p >= e || *p != '"') return (struct span){ NULL, 0 };
    const char *k = p + 1;
    if(!(p = js_skip(p, e, 0))) return (struct span){ NULL, 0 };
    bool hit = (size_t)(p - 1 - k) == kn && memcmp(k, key, kn) == 0;
    p = js_blank(p, e) + 1;
    p = js_blank(p, e);
    const char *v = p;
    if(!(p = js_skip(p, e, 0))) return (struct span){ NULL, 0 };
    if(hit) return (struct span){ v, (size_t)(p - v) };
    p = js_blank(p, e);
    if(p >= e || *p++ != ',') return (struct span){ NULL, 0 };
  }
}

static struct span js_item(struct span a, int index)
{
  const char *p = js_blank(a.p, a.p + a.n), *e = a.p + a.n;
  if(a.n == 0 || p >= e || *p++ != '[') return (struct span){ NULL, 0 };
  for(;; index--) {
    p = js_blank(p, e);
    const char *v = p;
    if(p >= e || *p == ']' || !(p = js_skip(p, e, 0))) return (struct span){ NULL, 0 };
    if(index == 0) return (struct span){ v, (size_t)(p - v) };
    p = js_blank(p, e);
    if(p >= e || *p++ != ',') return (struct span){ NULL, 0 };
  }
}

static bool js_is(struct span v, const char *z)
{
  return v.n == strlen(z) && memcmp(v.p, z, v.n) == 0;
}

static double js_number(struct span v)
{
  char c[40];
  if(v.n == 0 || v.n >= sizeof c) return 0;
  memcpy(c, v.p, v.n);
  c[v.n] = 0;
  return strtod(c, NULL);
}

/* Decodes a string value (escapes to UTF-8); for prompts and small names. */
static void js_text(struct span v, struct text *out)
{
  out->n = 0;
  if(v.n < 2 || v.p[0] != '"') {
    put(out, "", 1);
    out->n = 0;
    return;
  }
  for(const char *p = v.p + 1, *e = v.p + v.n - 1; p < e; p++) {
    if(*p != '\\') {
      put(out, p, 1);
      continue;
    }
    p++;
    unsigned cp;
    switch(*p) {
    case 'n': put(out, "\n", 1); break;
    case 't': put(out, "\t", 1); break;
    case 'r': put(out, "\r", 1); break;
    case 'u':
      cp = (unsigned)strtoul((char[5]){ p[1], p[2], p[3], p[4], 0 }, NULL, 16);
      p += 4;
      if(cp < 0x80) put(out, (char[1]){ (char)cp }, 1);
      else if(cp < 0x800) put(out, (char[2]){ (char)(0xc0 | cp >> 6), (char)(0x80 | (cp & 63)) }, 2);
      else put(out, (char[3]){ (char)(0xe0 | cp >> 12), (char)(0x80 | (cp >> 6 & 63)), (char)(0x80 | (cp & 63)) }, 3);
      break;
    default: put(out, p, 1);
    }
  }
  put(out, "", 1);
  out->n--;
}

static void js_quote(struct text *out, const char *p, size_t n)
{
  put(out, "\"", 1);
  for(size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if(c == '"' || c == '\\') putf(out, "\\%c", c);
    else if(c < 0x20) putf(out, "\\u%04x", c);
    else put(out, p + i, 1);
  }
  put(out, "\"", 1);
}

static bool utf8_ok(const unsigned char *p, size_t n)
{
  for(size_t i = 0; i < n;) {
    int k = p[i] < 0x80 ? 0 : p[i] >= 0xc2 && p[i] < 0xe0 ? 1 : (p[i] & 0xf0) == 0xe0 ? 2 : p[i] >= 0xf0 && p[i] < 0xf5 ? 3 : -1;
    if(k < 0 || i + (size_t)k >= n + (k == 0)) return false;
    for(int j = 1; j <= k; j++)
      if((p[i + (size_t)j] & 0xc0) != 0x80) return false;
    i += (size_t)k + 1;
  }
  return true;
}

/* ---------- the world ---------- */

struct account { char email[64], password[64]; int running, max_running; };
struct token { char text[400]; int account; int epoch; int64_t expires_s; bool access, refresh, used; };
struct chat { int account; bool search, alive, busy; struct conn *conn; int64_t left_ms; };

enum { SCRIPT_MAX = 256 };
struct script { char name[SCRIPT_MAX][48]; int at, n; };

static struct account *accounts;
static int account_n;
static struct token *tokens;
static size_t token_n, token_cap;
static int *token_table;   /* open addressing: number + 1 */
static size_t token_slots;
static struct chat *chats;
static size_t chat_n, chat_cap;
static struct script script_completions, script_signin, script_new;
static int signin_v1 = 200, signin_v2 = 200, auth_status = 200, epoch;
static bool exchange_mode, deleted_all;
static long stat_requests, stat_signin, stat_exchange, stat_new, stat_completions, stat_stops, stat_deletes, stat_models, stat_open,
  stat_running, stat_full, stat_resumed, stat_refused;

static int64_t wall_s(void)
{
  return (int64_t)time(NULL);
}

static size_t hash_of(const char *p, size_t n)
{
  uint64_t h = 1469598103934665603u;
  for(size_t i = 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 1099511628211u;
  return (size_t)h;
}

static void token_index(size_t i)
{
  if(token_n * 2 >= token_slots) {
    token_slots = token_slots ? token_slots * 2 : 1024;
    free(token_table);
    token_table = must(calloc(token_slots, sizeof *token_table));
    for(size_t k = 0; k < token_n; k++)
      if(k != i) token_index(k);
  }
  size_t at = hash_of(tokens[i].text, strlen(tokens[i].text)) % token_slots;
  while(token_table[at]) at = (at + 1) % token_slots;
  token_table[at] = (int)i + 1;
}

static struct token *token_find(const char *p, size_t n)
{
  if(!token_slots) return NULL;
  for(size_t at = hash_of(p, n) % token_slots; token_table[at]; at = (at + 1) % token_slots) {
    struct token *t = &tokens[token_table[at] - 1];
    if(strlen(t->text) == n && memcmp(t->text, p, n) == 0) return t;
  }
  return NULL;
}

static void b64url(const unsigned char *p, size_t n, struct text *out)
{
  static const char d[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for(size_t i = 0; i < n; i += 3) {
    unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);
    put(out, (char[4]){ d[v >> 18], d[v >> 12 & 63], d[v >> 6 & 63], d[v & 63] }, i + 2 < n ? 4 : n - i + 1);
  }
}

static struct token *token_add(const char *text, int account, int64_t expires_s)
{
  if(token_n == token_cap) {
    token_cap = token_cap ? token_cap * 2 : 256;
    tokens = must(realloc(tokens, token_cap * sizeof *tokens));
  }
  struct token *t = &tokens[token_n++];
  *t = (struct token){ .account = account, .epoch = epoch, .expires_s = expires_s };
  snprintf(t->text, sizeof t->text, "%s", text);
  token_index(token_n - 1);
  return &tokens[token_n - 1];
}

/* A JWT, HS256 with the key "fake". */
static struct token *token_make(int account, int64_t life_s, bool access)
{
  static long number;
  struct text t = { NULL, 0, 0 };
  char claims[256];
  unsigned char mac[32];
  br_hmac_key_context k;
  br_hmac_context h;
  int64_t exp = wall_s() + life_s;
  int n = snprintf(claims, sizeof claims, "{\"id\":\"00000000-0000-4000-8000-%012d\",\"n\":%ld,%s\"exp\":%lld}", account + 1, ++number,
                   access ? "\"type\":\"access_token\"," : "", (long long)exp);
  b64url((const unsigned char *)"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", 27, &t);
  put(&t, ".", 1);
  b64url((unsigned char *)claims, (size_t)n, &t);
  br_hmac_key_init(&k, &br_sha256_vtable, "fake", 4);
  br_hmac_init(&h, &k, 0);
  br_hmac_update(&h, t.p, t.n);
  br_hmac_out(&h, mac);
  put(&t, ".", 1);
  b64url(mac, 32, &t);
  put(&t, "", 1);
  struct token *made = token_add(t.p, account, exp);
  made->access = access;
  free(t.p);
  return made;
}

/* ---------- log ---------- */

enum { LOG_MAX = 8192 };
struct entry { int64_t us; char method[8], path[160], host[64], email[64], scenario[32]; };
static struct entry *entries;
static size_t entry_n; /* of all time; the ring holds the last LOG_MAX */

/* ---------- connections ---------- */

enum seg_act { SEG_SEND, SEG_RESET, SEG_CLOSE, SEG_HOLD };
struct seg { size_t from, n; int wait_ms; enum seg_act act; };

struct tls { br_ssl_server_context sc; unsigned char buf[BR_SSL_BUFSIZE_MONO]; };

struct conn {
  int fd;
  struct tls *tls;
  bool was_counted, closing, dead;
  struct text in, out;
  size_t out_at;
  /* a reply under way */
  struct text body;
  struct seg *segs;
  int seg_n, seg_at, seg_cap;
  int64_t due_us;
  unsigned heap; /* 1-based */
  long stream_i, stream_n, stream_ms, stream_size, stream_seed;
  bool streaming, stamp;
  int chat; /* running completion, -1 none */
};

static int epoll_fd;
static struct conn **heap;
static unsigned heap_n, heap_cap;
static br_x509_certificate *chain;
static size_t chain_n;
static br_skey_decoder_context skey;
static br_ssl_session_cache_lru cache;
static unsigned char cache_store[8192 * 100];

static void heap_set(unsigned i, struct conn *c)
{
  heap[i] = c;
  c->heap = i;
}

static void heap_fix(unsigned i)
{
  struct conn *c = heap[i];
  while(i > 1 && heap[i / 2]->due_us > c->due_us) heap_set(i, heap[i / 2]), i /= 2;
  for(unsigned k; (k = i * 2) <= heap_n; i = k) {
    if(k < heap_n && heap[k + 1]->due_us < heap[k]->due_us) k++;
    if(heap[k]->due_us >= c->due_us) break;
    heap_set(i, heap[k]);
  }
  heap_set(i, c);
}

static void due(struct conn *c, int64_t at)
{
  c->due_us = at;
  if(!c->heap) {
    if(heap_n + 2 > heap_cap) {
      heap_cap = heap_cap ? heap_cap * 2 : 1024;
      heap = must(realloc(heap, heap_cap * sizeof *heap));
    }
    heap_set(++heap_n, c);
  }
  heap_fix(c->heap);
}

static void undue(struct conn *c)
{
  if(!c->heap) return;
  unsigned i = c->heap;
  c->heap = 0;
  struct conn *last = heap[heap_n--];
  if(last == c) return;
  heap_set(i, last);
  heap_fix(i);
}

static void chat_free_later(struct conn *c)
{
  if(c->chat < 0) return;
  struct chat *ch = &chats[c->chat];
  if(ch->busy && ch->conn == c) {
    ch->conn = NULL;
    ch->left_ms = now_us() / 1000 + 1000; /* the upstream notices a gone client a second later */
    accounts[ch->account].running--;
    stat_running--;
  }
  c->chat = -1;
}

static void chat_done(struct conn *c)
{
  if(c->chat < 0) return;
  struct chat *ch = &chats[c->chat];
  if(ch->busy && ch->conn == c) {
    ch->busy = false;
    ch->conn = NULL;
    accounts[ch->account].running--;
    stat_running--;
  }
  c->chat = -1;
}

static void conn_end(struct conn *c, bool reset)
{
  if(c->dead) return;
  if(reset) {
    struct linger l = { 1, 0 };
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  }
  chat_free_later(c);
  undue(c);
  close(c->fd);
  stat_open--;
  c->dead = true;
}

static struct conn *graveyard[4096];
static int grave_n;

static void bury(void)
{
  for(int i = 0; i < grave_n; i++) {
    struct conn *c = graveyard[i];
    free(c->in.p);
    free(c->out.p);
    free(c->body.p);
    free(c->segs);
    free(c->tls);
    free(c);
  }
  grave_n = 0;
}

static void conn_dead(struct conn *c, bool reset)
{
  if(c->dead) return;
  conn_end(c, reset);
  if(grave_n < 4096) graveyard[grave_n++] = c;
}

/* Moves `out` towards the socket, through TLS if there is one. */
static void conn_flush(struct conn *c)
{
  if(!c->tls) {
    while(c->out_at < c->out.n) {
      ssize_t n = send(c->fd, c->out.p + c->out_at, c->out.n - c->out_at, MSG_NOSIGNAL);
      if(n < 0 && errno == EINTR) continue;
      if(n < 0 && errno == EAGAIN) return;
      if(n < 0) {
        conn_dead(c, false);
        return;
      }
      c->out_at += (size_t)n;
    }
  } else {
    br_ssl_engine_context *e = &c->tls->sc.eng;
    for(;;) {
      unsigned st = br_ssl_engine_current_state(e);
      if(st == BR_SSL_CLOSED) {
        conn_dead(c, false);
        return;
      }
      if(st & BR_SSL_SENDREC) {
        size_t n;
        unsigned char *p = br_ssl_engine_sendrec_buf(e, &n);
        ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
        if(k < 0 && errno == EINTR) continue;
        if(k < 0 && errno == EAGAIN) return;
        if(k < 0) {
          conn_dead(c, false);
          return;
        }
        br_ssl_engine_sendrec_ack(e, (size_t)k);
        continue;
      }
      if((st & BR_SSL_SENDAPP) && c->out_at < c->out.n) {
        size_t n;
        unsigned char *p = br_ssl_engine_sendapp_buf(e, &n);
        if(n > c->out.n - c->out_at) n = c->out.n - c->out_at;
        memcpy(p, c->out.p + c->out_at, n);
        c->out_at += n;
        br_ssl_engine_sendapp_ack(e, n);
        br_ssl_engine_flush(e, 0);
        continue;
      }
      break;
    }
  }
  if(c->out_at == c->out.n) {
    c->out.n = c->out_at = 0;
    if(c->closing) {
      if(c->tls && !(br_ssl_engine_current_state(&c->tls->sc.eng) & BR_SSL_CLOSED)) {
        br_ssl_engine_close(&c->tls->sc.eng);
        c->closing = false;
        conn_flush(c);
        if(!c->dead) conn_dead(c, false);
        return;
      }
      conn_dead(c, false);
    }
  }
}

/* ---------- replies ---------- */

static void reply(struct conn *c, int status, const char *type, const char *extra, const char *body, size_t n)
{
  putf(&c->out, "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, type, n, extra);
  put(&c->out, body, n);
}

static void reply_json(struct conn *c, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void reply_json(struct conn *c, int status, const char *fmt, ...)
{
  char body[4096];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(body, sizeof body, fmt, ap);
  va_end(ap);
  reply(c, status, "application/json", "", body, (size_t)n);
}

static void reply_fail(struct conn *c, const char *code, const char *details)
{
  reply_json(c, 200, "{\"success\":false,\"request_id\":\"r\",\"data\":{\"code\":\"%s\",\"details\":\"%s\"}}", code, details);
}

static const char waf[] = "<!doctypehtml><meta charset=\"UTF-8\"><meta name=\"aliyun_waf_aa\" content=\"x\"><title>check</title><p>secret page";
static const char punish[] = "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\",\"RGV587_ERROR::SM::busy\"],\"data\":{\"url\":\"https://chat.qwen.ai:443//api/v2/chat/"
                             "completions/_____tmd_____/punish?x5secdata=abc&action=captcha\"}}";

/* ---- scripted streams ---- */

static struct text play;            /* the body under construction, before framing */
static const char *play_eol, *play_prefix;
static int play_split;
static z_stream *play_gz;

static void seg_cut(struct conn *c, int wait_ms, enum seg_act act)
{
  size_t from = c->seg_n ? c->segs[c->seg_n - 1].from + c->segs[c->seg_n - 1].n : 0;
  if(c->seg_n == c->seg_cap) {
    c->seg_cap = c->seg_cap ? c->seg_cap * 2 : 4;
    c->segs = must(realloc(c->segs, (size_t)c->seg_cap * sizeof *c->segs));
  }
  c->segs[c->seg_n++] = (struct seg){ from, c->body.n - from, wait_ms, act };
}

/* Frames what was played so far as chunks and appends it to the body. */
static void play_flush(struct conn *c)
{
  size_t step = play_split ? (size_t)play_split : play.n;
  if(play_gz && play.n) {
    unsigned char out[64 * 1024];
    struct text packed = { NULL, 0, 0 };
    play_gz->next_in = (unsigned char *)play.p;
    play_gz->avail_in = (unsigned)play.n;
    do {
      play_gz->next_out = out;
      play_gz->avail_out = sizeof out;
      deflate(play_gz, Z_SYNC_FLUSH);
      put(&packed, (char *)out, sizeof out - play_gz->avail_out);
    } while(play_gz->avail_out == 0);
    play.n = 0;
    put(&play, packed.p, packed.n);
    free(packed.p);
    step = play.n;
  }
  for(size_t at = 0; at < play.n; at += step) {
    size_t n = play.n - at < step ? play.n - at : step;
    putf(&c->body, "%zx\r\n", n);
    put(&c->body, play.p + at, n);
    puts_(&c->body, "\r\n");
    if(play_split) seg_cut(c, 0, SEG_SEND);
  }
  play.n = 0;
}

static void ev(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void ev(const char *fmt, ...)
{
  char line[8192];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  puts_(&play, play_prefix);
  puts_(&play, line);
  puts_(&play, play_eol);
  puts_(&play, play_eol);
}

static void ev_created(void)
{
  ev("{\"response.created\":{\"chat_id\":\"c\",\"parent_id\":\"u1\",\"response_id\":\"r1\",\"response_index\":\"0\"}}");
}

static void ev_delta(const char *phase, const char *quoted, const char *status)
{
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":%s,\"phase\":\"%s\",\"status\":\"%s\"}}],\"response_id\":\"r1\"}", quoted, phase, status);
}

static void ev_end(void)
{
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"answer\",\"status\":\"finished\"}}],\"response_id\":\"r1\","
     "\"usage\":{\"input_tokens\":31,\"output_tokens\":20,\"total_tokens\":51,\"output_tokens_details\":{\"reasoning_tokens\":12,\"text_tokens\":8}}}");
}

static const char *const normal_parts[] = { "\"Hello, \"", "\"世界\"", "\"! This \"", "\"is the fake \"", "\"upstream.\"" };

static void ev_normal(int from, int to)
{
  for(int i = from; i < to; i++) ev_delta("answer", normal_parts[i], "typing");
}

static const char sse_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";

static void finish(struct conn *c)
{
  play_flush(c);
  puts_(&c->body, "0\r\n\r\n");
  seg_cut(c, 0, SEG_SEND);
}

static struct text normal_ready; /* the whole answer of "normal" */

/* key=value of a scenario's parameters */
static long param(const char *args, const char *key, long def)
{
  char name[32];
  snprintf(name, sizeof name, "%s=", key);
  const char *at = strstr(args, name);
  return at ? strtol(at + strlen(name), NULL, 10) : def;
}

static void scenario_simple(struct conn *c, const char *name)
{
  ev_created();
  if(!strcmp(name, "thinking")) {
    const char *const one = "[\"The user wants \"]", *const two = "[\"The user wants a sum.\"]", *const three = "[\"The user wants a sum.\",\"It is four.\"]";
    const char *const all[] = { one, two, two, two, three, three };
    for(int i = 0; i < 6; i++)
      ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"thinking_summary\",\"extra\":{\"summary_title\":{\"content\":"
         "[\"Reading the task\"]},\"summary_thought\":{\"content\":%s}},\"status\":\"typing\"}}],\"response_id\":\"r1\",\"usage\":{\"input_tokens\":31,"
         "\"output_tokens\":9,\"total_tokens\":40}}", all[i]);
    ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"thinking_summary\",\"status\":\"finished\"}}],\"response_id\":\"r1\"}");
    ev_delta("answer", "\"2 + 2\"", "typing");
    ev_delta("answer", "\" = 4\"", "typing");
    ev_end();
  } else if(!strcmp(name, "thinking_detail") || !strcmp(name, "think_only")) {
    ev_delta("think", "\"Let me \"", "typing");
    ev_delta("think", "\"count: 2 + 2\"", "typing");
    ev_delta("think", "\"\"", "finished");
    if(!strcmp(name, "think_only")) {
      ev_end();
    } else {
      ev_delta("answer", "\"2 + 2\"", "typing");
      ev_delta("answer", "\" = 4\"", "typing");
      ev_end();
    }
  } else if(!strcmp(name, "search") || !strcmp(name, "search_old")) {
    if(!strcmp(name, "search")) {
      ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"web_search\",\"status\":\"typing\",\"function_id\":\"round_0_1\","
         "\"function_call\":{\"name\":\"web_search\",\"arguments\":\"{\\\"queries\\\":[\\\"x\\\"]}\"}}}],\"response_id\":\"r1\"}");
      ev("{\"choices\":[{\"delta\":{\"role\":\"function\",\"name\":\"web_search\",\"content\":\"tool text that is not the answer\",\"phase\":\"web_search\","
         "\"status\":\"finished\",\"function_id\":\"round_0_1\",\"extra\":{\"tool_result\":{\"docs\":[{\"url\":\"https://example.org/a\",\"title\":\"A|B [x]\","
         "\"snippet\":\"s\"},{\"url\":\"https://example.org/b (1)\",\"title\":\"B\"},{\"url\":\"https://example.org/a\",\"title\":\"A again\"}],\"used_id\":3}}}}],"
         "\"response_id\":\"r1\"}");
    } else {
      ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"web_search\",\"status\":\"typing\",\"extra\":{\"web_search_info\":"
         "[{\"url\":\"https://example.org/a\",\"title\":\"A\",\"hostname\":\"example.org\"}]}}}],\"response_id\":\"r1\"}");
    }
    ev_delta("answer", "\"It rains \"", "typing");
    ev_delta("answer", "\"[\"", "typing");
    ev_delta("answer", "\"[1\"", "typing");
    ev_delta("answer", "\"]].\"", "typing");
    ev_end();
  } else if(!strcmp(name, "malformed")) {
    puts_(&play, "event: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"bro\n\n: a comment\n\ndata:\n\nid: 7\nretry: 10\n\n");
    ev_normal(0, 2);
    puts_(&play, "data: not json at all\n\n");
    for(int i = 2; i < 5; i++) {
      puts_(&play, "data: ");
      putf(&play, "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":%s,\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}   \n\n", normal_parts[i]);
    }
    ev_end();
  } else if(!strcmp(name, "split_char_delta")) {
    ev_delta("answer", "\"smile \\ud83d\"", "typing");
    ev_delta("answer", "\"\\ude00 done\"", "typing");
    ev_end();
  } else if(!strcmp(name, "cumulative")) {
    ev_delta("answer", "\"The first twenty bytes\"", "typing");
    ev_delta("answer", "\"The first twenty bytes and more\"", "typing");
    ev_delta("answer", "\"The first twenty bytes and more and the end\"", "typing");
    ev_delta("answer", "\"The first twenty bytes and more and the end.\"", "typing");
    ev_end();
  } else if(!strcmp(name, "repeat")) {
    for(int i = 0; i < 4; i++) ev_delta("answer", "\"ha \"", "typing");
    ev_end();
  } else if(!strcmp(name, "two_ids")) {
    ev_normal(0, 2);
    ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"INTRUDER\",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r2\"}");
    ev_normal(2, 5);
    ev_end();
  } else if(!strcmp(name, "unknown_phase")) {
    ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null,\"phase\":\"foo\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}");
    ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"held \"}}],\"response_id\":\"r1\"}");
    ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":[{\"text\":\"back\"},\" here\"],\"phase\":\"foo\"}}],\"response_id\":\"r1\","
       "\"usage\":{\"input_tokens\":\"31\",\"output_tokens\":\"20\"}}");
  } else if(!strcmp(name, "finish_then_more")) {
    ev_delta("answer", "\"first \"", "typing");
    ev_delta("answer", "\"\"", "finished");
    ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"web_search\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}");
    ev_delta("answer", "\"second\"", "typing");
    ev_end();
  } else if(!strcmp(name, "huge") || !strcmp(name, "too_huge")) {
    size_t n = !strcmp(name, "huge") ? 3u << 20 : 20u << 20;
    puts_(&play, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"");
    memset(room(&play, n), 'x', n);
    play.n += n;
    puts_(&play, "\",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}\n\n");
    ev_normal(0, 5);
    ev_end();
  } else if(!strcmp(name, "deep")) {
    puts_(&play, "data: ");
    for(int i = 0; i < 10000; i++) puts_(&play, "[");
    for(int i = 0; i < 10000; i++) puts_(&play, "]");
    puts_(&play, "\n\n");
    ev_normal(0, 5);
    ev_end();
  } else if(!strcmp(name, "err_in_stream")) {
    ev("{\"error\":{\"code\":\"internal_error\",\"details\":\"Internal error...\"}}");
  } else if(!strcmp(name, "err_midway")) {
    ev_normal(0, 3);
    ev("{\"error\":{\"code\":\"internal_error\",\"details\":\"Internal error...\"}}");
  } else if(!strcmp(name, "fail_in_sse")) {
    ev_normal(0, 1);
    ev("{\"success\":false,\"request_id\":\"r\",\"data\":{\"code\":\"RateLimited\",\"details\":\"Allocated quota exceeded\"}}");
  } else if(!strcmp(name, "moderation")) {
    ev("{\"error\":{\"code\":\"data_inspection_failed\",\"details\":\"Content security warning: inappropriate content\"}}");
  } else if(!strcmp(name, "created_only")) {
    play_flush(c);
  } else if(!strcmp(name, "no_usage")) {
    ev_normal(0, 5);
    ev_delta("answer", "\"\"", "finished");
  } else { /* normal and its framings */
    ev_normal(0, 5);
    ev_end();
    if(!strcmp(name, "with_done")) ev("[DONE]");
    if(!strcmp(name, "no_final_blank")) play.n -= 1;
  }
}

static void start_stream(struct conn *c, const char *args, bool stamp)
{
  c->streaming = true;
  c->stamp = stamp;
  c->stream_i = 0;
  c->stream_n = param(args, "n", 100);
  c->stream_ms = param(args, "ms", 100);
  c->stream_size = param(args, "size", 20);
  c->stream_seed = param(args, "seed", 0);
  if(c->stream_size > 60000) c->stream_size = 60000;
  puts_(&c->out, sse_head);
  due(c, now_us() + c->stream_ms * 1000);
}

/* The next delta of a paced stream, framed. false: it has ended. */
static bool stream_next(struct conn *c)
{
  char delta[61000], number[64];
  int n;
  if(c->stream_i >= c->stream_n) {
    play.n = 0;
    ev_end();
    putf(&c->out, "%zx\r\n", play.n);
    put(&c->out, play.p, play.n);
    puts_(&c->out, "\r\n0\r\n\r\n");
    play.n = 0;
    c->streaming = false;
    chat_done(c);
    return false;
  }
  if(c->stamp) {
    n = snprintf(delta, sizeof delta, "t=%lld ", (long long)now_us());
  } else {
    n = snprintf(number, sizeof number, "%ld.%ld ", c->stream_seed, c->stream_i);
    memcpy(delta, number, (size_t)n);
    if(n < c->stream_size) {
      memset(delta + n, 'a' + (char)((c->stream_seed + c->stream_i) % 26), (size_t)(c->stream_size - n));
      n = (int)c->stream_size;
    }
  }
  static const char head[] = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"";
  static const char tail[] = "\",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\",\"response_index\":\"0\",\"usage\":{\"input_tokens\":31,\"output_tokens\":9,"
                             "\"total_tokens\":40},\"timestamp\":1772616291}\n\n";
  putf(&c->out, "%zx\r\n", sizeof head - 1 + (size_t)n + sizeof tail - 1);
  put(&c->out, head, sizeof head - 1);
  put(&c->out, delta, (size_t)n);
  put(&c->out, tail, sizeof tail - 1);
  puts_(&c->out, "\r\n");
  c->stream_i++;
  return true;
}

/* Plays a scenario; true: the chat goes on running on this connection. */
static bool scenario(struct conn *c, const char *name, const char *args, struct text *prompt)
{
  play.n = 0;
  play_eol = "\n";
  play_prefix = "data: ";
  play_split = 0;
  c->body.n = 0;
  c->seg_n = c->seg_at = 0;
  if(!strcmp(name, "normal")) {
    put(&c->out, normal_ready.p, normal_ready.n);
    return false;
  }
  if(!strcmp(name, "stream") || !strcmp(name, "stamp")) {
    start_stream(c, args, !strcmp(name, "stamp"));
    return true;
  }
  /* answers that are no stream */
  if(!strcmp(name, "expired")) return reply_fail(c, "unauthorized", "Token has expired, please log in again."), false;
  if(!strcmp(name, "401")) return reply_json(c, 401, "{\"code\":\"Unauthorized\",\"details\":\"no permission to access this resource\"}"), false;
  if(!strcmp(name, "403")) return reply_json(c, 403, "{\"success\":false,\"data\":{\"code\":\"Forbidden\",\"details\":\"no\"}}"), false;
  if(!strcmp(name, "429")) return reply_json(c, 429, "{\"success\":false,\"data\":{\"code\":\"Too_Many_Requests\",\"details\":\"slow down\"}}"), false;
  if(!strcmp(name, "429_retry_after")) return reply(c, 429, "application/json", "Retry-After: 77\r\n", "{}", 2), false;
  if(!strcmp(name, "503")) return reply_json(c, 503, "{\"success\":false,\"data\":{\"code\":\"Internal_Server_Error\",\"details\":\"down\"}}"), false;
  if(!strcmp(name, "quota"))
    return reply_json(c, 200, "{\"success\":false,\"request_id\":\"r\",\"data\":{\"code\":\"RateLimited\",\"details\":\"You've reached the upper limit for today's "
                      "usage.\",\"template\":\"You have reached the daily usage limit. Please wait {{num}} hours before trying again.\",\"num\":4}}"), false;
  if(!strcmp(name, "quota_flat")) return reply_json(c, 200, "{\"code\":\"RateLimited\",\"detail\":\"daily usage limit\",\"num\":4}"), false;
  if(!strcmp(name, "parallel")) return reply_fail(c, "ParallelLimited", "too many at once"), false;
  if(!strcmp(name, "in_progress")) return reply_fail(c, "Bad_Request", "The chat is in progress!"), false;
  if(!strcmp(name, "internal")) return reply_fail(c, "Bad_Request", "Internal error..."), false;
  if(!strcmp(name, "too_long")) return reply_fail(c, "Bad_Request", "the input length exceeds max_context"), false;
  if(!strcmp(name, "html_200")) return reply(c, 200, "text/html", "", waf, sizeof waf - 1), false;
  if(!strcmp(name, "html_405")) return reply(c, 405, "text/html", "", waf, sizeof waf - 1), false;
  if(!strcmp(name, "html_as_sse")) return reply(c, 200, "text/event-stream", "", waf, sizeof waf - 1), false;
  if(!strcmp(name, "punish")) return reply(c, 200, "application/json", "", punish, sizeof punish - 1), false;
  if(!strcmp(name, "empty")) return reply(c, 200, "text/event-stream", "", "", 0), false;
  if(!strcmp(name, "drop_early")) return conn_dead(c, true), false;
  if(!strcmp(name, "json_answer"))
    return reply_json(c, 200, "{\"success\":true,\"data\":{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"a whole answer\"}}]}}"), false;
  /* event streams */
  bool gz = !strcmp(name, "gzip") || !strcmp(name, "gzip_bad");
  z_stream z = { .zalloc = NULL };
  if(!strcmp(name, "crlf")) play_eol = "\r\n";
  if(!strcmp(name, "no_space")) play_prefix = "data:";
  if(!strcmp(name, "split1")) play_split = 1;
  if(!strcmp(name, "split7")) play_split = 7;
  if(gz) {
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    play_gz = &z;
    puts_(&c->out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n");
  } else {
    puts_(&c->out, sse_head);
  }
  if(!strcmp(name, "echo")) {
    struct text q = { NULL, 0, 0 };
    js_quote(&q, prompt->p, prompt->n);
    ev_created();
    puts_(&play, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":");
    put(&play, q.p, q.n);
    puts_(&play, ",\"phase\":\"answer\",\"status\":\"typing\"}}],\"response_id\":\"r1\"}\n\n");
    ev_end();
    free(q.p);
    finish(c);
  } else if(!strcmp(name, "slow")) {
    long ms = param(args, "ms", 1000);
    for(long t = 0; t < ms; t += 200) {
      if(param(args, "quiet", 0) == 0 && t) ev("{\"response.info\":{\"action\":\"keep_alive\",\"chat_id\":\"c\",\"response_id\":\"r1\"}}");
      play_flush(c);
      seg_cut(c, 200, SEG_SEND);
    }
    ev_created();
    ev_normal(0, 5);
    ev_end();
    finish(c);
  } else if(!strcmp(name, "stall")) {
    seg_cut(c, 0, SEG_HOLD);
  } else if(!strcmp(name, "stall_midway")) {
    ev_created();
    ev_normal(0, 3);
    play_flush(c);
    seg_cut(c, 0, SEG_SEND);
    seg_cut(c, 0, SEG_HOLD);
  } else if(!strcmp(name, "drop") || !strcmp(name, "drop_clean")) {
    ev_created();
    ev_normal(0, 3);
    play_flush(c);
    seg_cut(c, 100, SEG_SEND);
    seg_cut(c, 0, !strcmp(name, "drop") ? SEG_RESET : SEG_CLOSE);
  } else if(!strcmp(name, "late_usage")) {
    ev_created();
    ev_normal(0, 5);
    ev_delta("answer", "\"\"", "finished");
    play_flush(c);
    seg_cut(c, 500, SEG_SEND);
    ev("{\"choices\":[],\"response_id\":\"r1\",\"usage\":{\"input_tokens\":31,\"output_tokens\":20,\"total_tokens\":51}}");
    finish(c);
  } else {
    scenario_simple(c, name);
    play_flush(c);
    if(gz) {
      unsigned char tail[64];
      z.next_out = tail;
      z.avail_out = sizeof tail;
      z.avail_in = 0;
      deflate(&z, Z_FINISH);
      size_t n = sizeof tail - z.avail_out;
      if(!strcmp(name, "gzip_bad")) tail[n - 6] ^= 0x55;
      putf(&c->body, "%zx\r\n", n);
      put(&c->body, (char *)tail, n);
      puts_(&c->body, "\r\n");
    }
    play_gz = NULL;
    finish(c);
  }
  if(gz) deflateEnd(&z);
  play_gz = NULL;
  due(c, now_us());
  return true;
}

/* The next piece of a reply whose time has come. */
static void play_due(struct conn *c)
{
  int64_t now = now_us();
  if(c->streaming) {
    for(int i = 0; i < 200 && c->streaming && c->out.n < 256 * 1024; i++) {
      bool more = stream_next(c);
      if(!more || c->stream_ms) break;
    }
    if(c->streaming) due(c, c->stream_ms ? c->due_us + c->stream_ms * 1000 : now + 1000);
    else undue(c);
    conn_flush(c);
    return;
  }
  if(c->seg_at >= c->seg_n) {
    undue(c);
    chat_done(c);
    return;
  }
  struct seg s = c->segs[c->seg_at++];
  put(&c->out, c->body.p ? c->body.p + s.from : "", s.n);
  if(c->seg_at == c->seg_n && s.act == SEG_SEND) chat_done(c);
  conn_flush(c);
  if(c->dead) return;
  if(s.act == SEG_RESET) conn_dead(c, true);
  else if(s.act == SEG_CLOSE) {
    shutdown(c->fd, SHUT_RDWR);
    conn_dead(c, false);
  } else if(s.act == SEG_HOLD) undue(c);
  else if(c->seg_at < c->seg_n) due(c, now + s.wait_ms * 1000);
  else undue(c);
}

/* ---------- requests ---------- */

struct request { struct span method, path, query, host, type, auth, cookie, body; };

static struct span header_value(struct span head, const char *name)
{
  size_t n = strlen(name);
  for(const char *p = head.p, *e = head.p + head.n; p < e;) {
    const char *eol = memchr(p, '\n', (size_t)(e - p));
    if(!eol) break;
    if((size_t)(eol - p) > n && strncasecmp(p, name, n) == 0 && p[n] == ':') {
      const char *v = p + n + 1, *end = eol[-1] == '\r' ? eol - 1 : eol;
      while(v < end && *v == ' ') v++;
      return (struct span){ v, (size_t)(end - v) };
    }
    p = eol + 1;
  }
  return (struct span){ NULL, 0 };
}

static struct span cookie_value(struct span cookie, const char *name)
{
  size_t n = strlen(name);
  for(const char *p = cookie.p, *e = cookie.p + cookie.n; p && p < e;) {
    const char *end = memchr(p, ';', (size_t)(e - p));
    if(!end) end = e;
    if((size_t)(end - p) > n && memcmp(p, name, n) == 0 && p[n] == '=') return (struct span){ p + n + 1, (size_t)(end - p) - n - 1 };
    p = end;
    while(p < e && (*p == ';' || *p == ' ')) p++;
  }
  return (struct span){ NULL, 0 };
}

/* The token's account, -1 if it is not good. */
static int authorized(const struct request *r)
{
  struct span t = r->auth;
  if(t.n > 7 && strncasecmp(t.p, "bearer ", 7) == 0) t = (struct span){ t.p + 7, t.n - 7 };
  else t = cookie_value(r->cookie, "token");
  struct token *k = t.n ? token_find(t.p, t.n) : NULL;
  if(!k || k->epoch != epoch || k->expires_s < wall_s() || k->refresh) return -1;
  if(exchange_mode && !k->access) return -1;
  return k->account;
}

static void unauthorized(struct conn *c)
{
  stat_refused++;
  if(auth_status == 401) reply_json(c, 401, "{\"code\":\"Unauthorized\",\"details\":\"no permission to access this resource\"}");
  else reply_fail(c, "unauthorized", "Token has expired, please log in again.");
}

static bool next_of(struct script *s, char *out, size_t cap)
{
  if(s->at >= s->n) return false;
  snprintf(out, cap, "%s", s->name[s->at++]);
  return true;
}

static void signin(struct conn *c, const struct request *r, bool v2)
{
  struct text email = { NULL, 0, 0 }, pw = { NULL, 0, 0 };
  char name[48], hex[65];
  stat_signin++;
  if((v2 ? signin_v2 : signin_v1) != 200) {
    reply_json(c, 404, "{\"detail\":\"Not Found\"}");
    return;
  }
  if(next_of(&script_signin, name, sizeof name)) {
    if(!strcmp(name, "429")) return reply_json(c, 429, "{\"success\":false,\"data\":{\"code\":\"RateLimited\",\"details\":\"too many sign-ins\"}}");
    if(!strcmp(name, "503")) return reply_json(c, 503, "{\"detail\":\"down\"}");
    if(!strcmp(name, "html")) return reply(c, 200, "text/html", "", waf, sizeof waf - 1);
    if(!strcmp(name, "no_token")) return reply_json(c, 200, "{\"success\":true,\"data\":{\"id\":\"x\"}}");
  }
  js_text(js_get(r->body, "email"), &email);
  js_text(js_get(r->body, "password"), &pw);
  int who = -1;
  for(int i = 0; i < account_n; i++)
    if(strcmp(accounts[i].email, email.p) == 0) who = i;
  bool good = false;
  if(who >= 0) {
    unsigned char h[32];
    br_sha256_context s;
    br_sha256_init(&s);
    br_sha256_update(&s, accounts[who].password, strlen(accounts[who].password));
    br_sha256_out(&s, h);
    for(int i = 0; i < 32; i++) snprintf(hex + i * 2, 3, "%02x", h[i]);
    good = strcmp(hex, pw.p) == 0;
  }
  if(strncmp(email.p, "challenge@", 10) == 0) reply(c, 200, "text/html", "", waf, sizeof waf - 1);
  else if(!good && v2) reply_json(c, 400, "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"The email or password provided is incorrect.\"}}");
  else if(!good) reply_json(c, 400, "{\"detail\":\"The email or password provided is incorrect.\"}");
  else {
    char session[400], refresh[400];
    struct token *f = token_make(who, 30 * 86400, false);
    f->refresh = true;
    snprintf(refresh, sizeof refresh, "%s", f->text);
    struct token *t = token_make(who, 30 * 86400, false);
    snprintf(session, sizeof session, "%s", t->text);
    if(v2) reply_json(c, 200, "{\"success\":true,\"request_id\":\"r\",\"data\":{\"id\":\"1\",\"email\":\"%s\",\"role\":\"user\",\"token\":\"%s\",\"refresh_token\":\"%s\","
                      "\"expires_at\":%lld}}", email.p, session, refresh, (long long)t->expires_s);
    else reply_json(c, 200, "{\"id\":\"1\",\"email\":\"%s\",\"token_type\":\"Bearer\",\"token\":\"%s\",\"expires_at\":%lld}", email.p, session, (long long)t->expires_s);
  }
  free(email.p);
  free(pw.p);
}

static void exchange(struct conn *c, const struct request *r, struct span origin)
{
  struct span session = cookie_value(r->cookie, "token"), refresh = cookie_value(r->cookie, "refresh_token");
  struct token *k = refresh.n ? token_find(refresh.p, refresh.n) : NULL;
  stat_exchange++;
  if(!origin.n) return reply_fail(c, "Bad_Request", "Missing origin");
  if(!k) k = session.n ? token_find(session.p, session.n) : NULL;
  if(!k || k->epoch != epoch || (k->refresh && k->used)) return reply_json(c, 401, "{\"success\":false,\"data\":{\"code\":\"Unauthorized\",\"details\":\"401 Unauthorized\"}}");
  int who = k->account;
  if(k->refresh) k->used = true; /* it rotates: an old one is worth nothing */
  char access[400];
  snprintf(access, sizeof access, "%s", token_make(who, 900, true)->text);
  struct token *f = token_make(who, 30 * 86400, false);
  f->refresh = true;
  reply_json(c, 200, "{\"success\":true,\"request_id\":\"r\",\"data\":{\"access_token\":\"%s\",\"refresh_token\":\"%s\"}}", access, f->text);
}

static const char models_text[] =
  "[{\"id\":\"qwen3.7-plus\",\"name\":\"Qwen3.7-Plus\",\"object\":\"model\",\"owned_by\":\"qwen\",\"info\":{\"id\":\"qwen3.7-plus\",\"is_active\":true,\"created_at\":1755000000,"
  "\"meta\":{\"max_context_length\":1000000,\"max_generation_length\":65536,\"capabilities\":{\"vision\":true,\"document\":true,\"thinking\":true,\"search\":true},"
  "\"abilities\":{\"vision\":1,\"thinking\":1},\"think_skip\":{\"enable\":true},\"chat_type\":[\"t2t\",\"search\",\"t2i\",\"image_edit\",\"t2v\"]}}},"
  "{\"id\":\"qwen3-max\",\"name\":\"Qwen3-Max\",\"info\":{\"created_at\":1757376000,\"meta\":{\"abilities\":{\"thinking\":4},\"chat_type\":[\"t2t\",\"search\"]}}},"
  "{\"id\":\"qwen3.7-max\",\"name\":\"Qwen3.7-Max\",\"info\":{\"created_at\":1767376000,\"is_active\":1,\"meta\":{\"capabilities\":{\"thinking\":false},\"chat_type\":[\"t2t\"]}}},"
  "{\"id\":\"qwen3-vl-plus\",\"name\":\"Qwen3-VL\",\"info\":{\"meta\":{\"capabilities\":{\"vision\":true,\"thinking\":null},\"chat_type\":[\"t2t\"]}}},"
  "{\"id\":\"bare-model\"},{\"id\":\"gone-model\",\"name\":\"Gone\",\"info\":{\"is_active\":false}}]";

static void new_chat(struct conn *c, const struct request *r, int who)
{
  char name[48];
  stat_new++;
  if(next_of(&script_new, name, sizeof name)) {
    if(!strcmp(name, "429")) return reply_json(c, 429, "{\"success\":false,\"data\":{\"code\":\"Too_Many_Requests\",\"details\":\"slow\"}}");
    if(!strcmp(name, "503")) return reply_json(c, 503, "{\"detail\":\"down\"}");
    if(!strcmp(name, "html")) return reply(c, 200, "text/html", "", waf, sizeof waf - 1);
    if(!strcmp(name, "drop")) return conn_dead(c, true);
    if(!strcmp(name, "junk")) return reply_json(c, 200, "{\"success\":true,\"data\":{}}");
  }
  struct span models = js_get(r->body, "models"), mode = js_get(r->body, "chat_mode");
  if(!js_item(models, 0).n || js_number(js_get(r->body, "timestamp")) < 1e12 || !js_is(mode, "\"normal\""))
    return reply_json(c, 200, "{\"success\":false,\"data\":{\"code\":\"RequestValidationError\",\"details\":[\"Field 'models': bad\",\"Field 'timestamp': bad\"]}}");
  if(chat_n == chat_cap) {
    chat_cap = chat_cap ? chat_cap * 2 : 4096;
    chats = must(realloc(chats, chat_cap * sizeof *chats));
  }
  chats[chat_n] = (struct chat){ .account = who, .search = js_is(js_get(r->body, "chat_type"), "\"search\""), .alive = true };
  reply_json(c, 200, "{\"success\":true,\"request_id\":\"r\",\"data\":{\"id\":\"6a1d0000-0000-4000-8000-%012zu\"}}", chat_n);
  chat_n++;
}

static struct chat *chat_by_id(struct span id, int who)
{
  if(id.n != 36 || memcmp(id.p, "6a1d0000-0000-4000-8000-", 24) != 0) return NULL;
  char digits[13];
  memcpy(digits, id.p + 24, 12);
  digits[12] = 0;
  unsigned long n = strtoul(digits, NULL, 10);
  return n < chat_n && chats[n].alive && chats[n].account == who ? &chats[n] : NULL;
}

static struct span query_value(struct span q, const char *key)
{
  size_t n = strlen(key);
  for(const char *p = q.p, *e = q.p + q.n; p && p < e;) {
    const char *end = memchr(p, '&', (size_t)(e - p));
    if(!end) end = e;
    if((size_t)(end - p) > n && memcmp(p, key, n) == 0 && p[n] == '=') return (struct span){ p + n + 1, (size_t)(end - p) - n - 1 };
    p = end + 1;
  }
  return (struct span){ NULL, 0 };
}

static void completions(struct conn *c, const struct request *r, int who, struct entry *log)
{
  static struct text prompt, model;
  char name[48] = "normal", args[256] = "";
  stat_completions++;
  struct span id = query_value(r->query, "chat_id"), messages = js_get(r->body, "messages"), m = js_item(messages, 0);
  struct span features = js_get(m, "feature_config");
  double stamp = js_number(js_get(r->body, "timestamp"));
  if(!id.n)
    return reply_json(c, 200, "{\"success\":false,\"data\":{\"code\":\"RequestValidationError\",\"details\":[\"Field 'query -> chat_id': Field required\"]}}");
  struct chat *ch = chat_by_id(id, who);
  if(!ch) return reply_fail(c, "CHAT_NOT_FOUND", "chat not found");
  if(!m.n || js_item(messages, 1).n) return reply_fail(c, "Bad_Request", "Invalid input too many messages.");
  if(!js_is(js_get(m, "role"), "\"user\"") || !js_is(js_get(r->body, "stream"), "true") || stamp < 1e9 || stamp > 1e11 ||
     !js_is(js_get(features, "output_schema"), "\"phase\"") || !js_get(m, "content").n || !js_get(r->body, "model").n)
    return reply_json(c, 200, "{\"success\":false,\"data\":{\"code\":\"RequestValidationError\",\"details\":[\"body: bad\"]}}");
  if(ch->busy && (ch->conn || now_us() / 1000 < ch->left_ms)) return reply_fail(c, "Bad_Request", "The chat is in progress!");
  js_text(js_get(m, "content"), &prompt);
  js_text(js_get(r->body, "model"), &model);
  char listed[128];
  snprintf(listed, sizeof listed, "{\"id\":\"%.*s\"", (int)strcspn(model.p, "#"), model.p);
  if(!strstr(models_text, listed) && strcmp(model.p, "qwen-max-latest") != 0) return reply_fail(c, "Bad_Request", "Model not found");
  char *hash = strchr(model.p, '#'), *mark = prompt.n ? strstr(prompt.p, "[[scenario:") : NULL;
  if(!next_of(&script_completions, name, sizeof name)) {
    if(hash) snprintf(name, sizeof name, "%s", hash + 1);
    else if(mark) {
      char *close = strstr(mark, "]]");
      if(close) {
        snprintf(args, sizeof args, "%.*s", (int)(close - mark - 11), mark + 11);
        char *blank = strchr(args, ' ');
        snprintf(name, sizeof name, "%.*s", blank ? (int)(blank - args) : 47, args);
      }
    }
  }
  snprintf(log->scenario, sizeof log->scenario, "%.31s", name);
  ch->busy = true;
  ch->conn = c;
  c->chat = (int)(ch - chats);
  stat_running++;
  struct account *a = &accounts[who];
  if(++a->running > a->max_running) a->max_running = a->running;
  if(!scenario(c, name, args, &prompt) && !c->dead) chat_done(c);
}

/* ---------- control ---------- */

static void script_read(struct script *s, struct span list)
{
  struct text t = { NULL, 0, 0 };
  s->at = s->n = 0;
  for(int i = 0; i < SCRIPT_MAX; i++) {
    struct span v = js_item(list, i);
    if(!v.n) break;
    js_text(v, &t);
    snprintf(s->name[s->n++], 48, "%s", t.p);
  }
  free(t.p);
}

static void control(struct conn *c, const struct request *r)
{
  struct text b = { NULL, 0, 0 };
  if(js_is(r->path, "/__stats")) {
    long alive = 0;
    int most = 0;
    for(size_t i = 0; i < chat_n; i++) alive += chats[i].alive;
    for(int i = 0; i < account_n; i++)
      if(accounts[i].max_running > most) most = accounts[i].max_running;
    putf(&b, "{\"requests\":%ld,\"signin\":%ld,\"exchange\":%ld,\"models\":%ld,\"chats_new\":%ld,\"completions\":%ld,\"stops\":%ld,\"deletes\":%ld,\"open\":%ld,"
         "\"running\":%ld,\"max_parallel\":%d,\"tls_full\":%ld,\"tls_resumed\":%ld,\"chats_alive\":%ld,\"refused\":%ld,\"deleted_all\":%s}",
         stat_requests, stat_signin, stat_exchange, stat_models, stat_new, stat_completions, stat_stops, stat_deletes, stat_open, stat_running, most, stat_full,
         stat_resumed, alive, stat_refused, deleted_all ? "true" : "false");
  } else if(js_is(r->path, "/__log")) {
    puts_(&b, "[");
    for(size_t i = entry_n > LOG_MAX ? entry_n - LOG_MAX : 0; i < entry_n; i++) {
      struct entry *e = &entries[i % LOG_MAX];
      putf(&b, "%s{\"us\":%lld,\"method\":\"%s\",\"host\":\"%s\",\"email\":\"%s\",\"scenario\":\"%s\",\"path\":", b.n > 1 ? "," : "", (long long)e->us, e->method, e->host,
           e->email, e->scenario);
      js_quote(&b, e->path, strlen(e->path));
      puts_(&b, "}");
    }
    puts_(&b, "]");
  } else if(js_is(r->path, "/__reset")) {
    script_completions.n = script_signin.n = script_new.n = script_completions.at = script_signin.at = script_new.at = 0;
    signin_v1 = signin_v2 = auth_status = 200;
    exchange_mode = deleted_all = false;
    entry_n = 0;
    stat_requests = stat_signin = stat_exchange = stat_new = stat_completions = stat_stops = stat_deletes = stat_models = stat_full = stat_resumed = stat_refused = 0;
    for(size_t i = 0; i < chat_n; i++)
      if(!chats[i].conn) chats[i].alive = chats[i].busy = false;
    for(int i = 0; i < account_n; i++) accounts[i].max_running = accounts[i].running;
    puts_(&b, "{}");
  } else if(js_is(r->path, "/__script")) {
    script_read(&script_completions, js_get(r->body, "completions"));
    script_read(&script_signin, js_get(r->body, "signin"));
    script_read(&script_new, js_get(r->body, "chats_new"));
    puts_(&b, "{}");
  } else if(js_is(r->path, "/__switch")) {
    struct span v;
    if((v = js_get(r->body, "signin_v1")).n) signin_v1 = (int)js_number(v);
    if((v = js_get(r->body, "signin_v2")).n) signin_v2 = (int)js_number(v);
    if((v = js_get(r->body, "auth_status")).n) auth_status = (int)js_number(v);
    if((v = js_get(r->body, "exchange")).n) exchange_mode = js_is(v, "true");
    puts_(&b, "{}");
  } else {
    epoch++;
    puts_(&b, "{}");
  }
  reply(c, 200, "application/json", "", b.p, b.n);
  free(b.p);
}

static bool starts(struct span s, const char *z)
{
  return s.n >= strlen(z) && memcmp(s.p, z, strlen(z)) == 0;
}

static void serve(struct conn *c, const struct request *r, struct span head)
{
  if(starts(r->path, "/__")) {
    control(c, r);
    return;
  }
  stat_requests++;
  struct entry *log = &entries[entry_n++ % LOG_MAX];
  *log = (struct entry){ .us = now_us() };
  snprintf(log->method, sizeof log->method, "%.*s", (int)r->method.n, r->method.p);
  snprintf(log->path, sizeof log->path, "%.*s%s%.*s", (int)r->path.n, r->path.p, r->query.n ? "?" : "", (int)r->query.n, r->query.p ? r->query.p : "");
  snprintf(log->host, sizeof log->host, "%.*s", (int)r->host.n, r->host.p ? r->host.p : "");
  bool post = js_is(r->method, "POST"), get = js_is(r->method, "GET");
  if(post && !starts(r->type, "application/json")) return reply_json(c, 415, "{\"detail\":\"application/json\"}");
  if(post && r->body.n && (!utf8_ok((const unsigned char *)r->body.p, r->body.n) || js_skip(r->body.p, r->body.p + r->body.n, 0) == NULL))
    return reply_json(c, 422, "{\"detail\":\"bad body\"}");
  if(post && js_is(r->path, "/api/v1/auths/signin")) return signin(c, r, false);
  if(post && js_is(r->path, "/api/v2/auths/signin")) return signin(c, r, true);
  if(get && js_is(r->path, "/api/v2/auths/refresh")) return exchange(c, r, header_value(head, "Origin"));
  int who = authorized(r);
  if(who < 0) return unauthorized(c);
  snprintf(log->email, sizeof log->email, "%s", accounts[who].email);
  if(get && (js_is(r->path, "/api/models") || starts(r->path, "/api/v2/models"))) {
    struct text b = { NULL, 0, 0 };
    stat_models++;
    bool v1 = js_is(r->path, "/api/models");
    puts_(&b, v1 ? "{\"data\":" : "{\"success\":true,\"data\":{\"data\":");
    puts_(&b, models_text);
    puts_(&b, v1 ? "}" : "}}");
    reply(c, 200, "application/json", "", b.p, b.n);
    free(b.p);
  } else if(get && starts(r->path, "/api/v1/auths")) {
    reply_json(c, 200, "{\"id\":\"1\",\"email\":\"%s\",\"role\":\"user\"}", accounts[who].email);
  } else if(post && js_is(r->path, "/api/v2/chats/new")) {
    new_chat(c, r, who);
  } else if(post && js_is(r->path, "/api/v2/chat/completions")) {
    completions(c, r, who, log);
  } else if(post && js_is(r->path, "/api/v2/chat/completions/stop")) {
    struct chat *ch = chat_by_id(query_value(r->query, "chat_id"), who);
    stat_stops++;
    if(ch && ch->busy && !ch->conn) ch->busy = false;
    reply_json(c, 200, "{\"success\":true,\"data\":{}}");
  } else if(js_is(r->method, "DELETE") && starts(r->path, "/api/v2/chats/")) {
    struct span id = { r->path.p + 14, r->path.n - 14 };
    struct chat *ch = chat_by_id(id, who);
    stat_deletes++;
    if(!id.n) deleted_all = true;
    if(ch) ch->alive = false;
    if(ch || !id.n) reply_json(c, 200, "{\"success\":true,\"data\":{\"status\":true}}");
    else reply_json(c, 404, "{\"success\":false,\"data\":{\"code\":\"Not_Found\",\"details\":\"no such chat\"}}");
  } else if(get && starts(r->path, "/api/v2/chats/")) {
    reply_json(c, 200, "{\"success\":true,\"data\":[]}");
  } else {
    reply_json(c, 404, "{\"detail\":\"Not Found\"}");
  }
}

/* Serves what is complete in `in`; a request waits while an answer is being played. */
static void conn_requests(struct conn *c)
{
  while(!c->dead && !c->streaming && c->seg_at >= c->seg_n && c->in.n && c->chat < 0) {
    char *end = memmem(c->in.p, c->in.n, "\r\n\r\n", 4);
    if(!end) {
      if(c->in.n > 256 * 1024) conn_dead(c, false);
      return;
    }
    size_t head_n = (size_t)(end + 4 - c->in.p), body_n = 0;
    struct span head = { c->in.p, head_n }, length = header_value(head, "Content-Length");
    if(length.n) body_n = (size_t)strtoul(length.p, NULL, 10);
    if(c->in.n < head_n + body_n) return;
    struct request r = { .type = header_value(head, "Content-Type"), .auth = header_value(head, "Authorization"),
                         .cookie = header_value(head, "Cookie"), .host = header_value(head, "Host"), .body = { c->in.p + head_n, body_n } };
    char *eol = memchr(c->in.p, '\r', head_n), *a = memchr(c->in.p, ' ', (size_t)(eol - c->in.p));
    char *b = a ? memchr(a + 1, ' ', (size_t)(eol - a - 1)) : NULL;
    if(!b) {
      conn_dead(c, false);
      return;
    }
    r.method = (struct span){ c->in.p, (size_t)(a - c->in.p) };
    char *q = memchr(a + 1, '?', (size_t)(b - a - 1));
    r.path = (struct span){ a + 1, (size_t)((q ? q : b) - a - 1) };
    if(q) r.query = (struct span){ q + 1, (size_t)(b - q - 1) };
    serve(c, &r, head);
    if(c->dead) return;
    drop(&c->in, head_n + body_n);
    conn_flush(c);
  }
}

static void conn_read(struct conn *c)
{
  if(!c->tls) {
    for(;;) {
      ssize_t n = recv(c->fd, room(&c->in, 16384), 16384, 0);
      if(n < 0 && errno == EINTR) continue;
      if(n < 0 && errno == EAGAIN) break;
      if(n <= 0) {
        conn_dead(c, false);
        return;
      }
      c->in.n += (size_t)n;
      if(n < 16384) break;
    }
    conn_requests(c);
    return;
  }
  br_ssl_engine_context *e = &c->tls->sc.eng;
  for(;;) {
    unsigned st = br_ssl_engine_current_state(e);
    size_t n;
    if(st == BR_SSL_CLOSED) {
      conn_dead(c, false);
      return;
    }
    if(st & BR_SSL_RECVAPP) {
      unsigned char *p = br_ssl_engine_recvapp_buf(e, &n);
      put(&c->in, (char *)p, n);
      br_ssl_engine_recvapp_ack(e, n);
      continue;
    }
    if(st & BR_SSL_SENDREC) {
      conn_flush(c);
      if(c->dead || (br_ssl_engine_current_state(e) & BR_SSL_SENDREC)) return;
      continue;
    }
    if(!c->was_counted && (st & BR_SSL_SENDAPP)) {
      c->was_counted = true;
      if(c->tls->sc.eng.session.session_id_len && c->tls->sc.eng.shutdown_recv == 0 && (c->tls->sc.client_suites_num == 0)) stat_resumed++;
      else stat_full++;
    }
    if(st & BR_SSL_RECVREC) {
      unsigned char *p = br_ssl_engine_recvrec_buf(e, &n);
      ssize_t k = recv(c->fd, p, n, 0);
      if(k < 0 && errno == EINTR) continue;
      if(k < 0 && errno == EAGAIN) break;
      if(k <= 0) {
        conn_dead(c, false);
        return;
      }
      br_ssl_engine_recvrec_ack(e, (size_t)k);
      continue;
    }
    break;
  }
  conn_requests(c);
}

static void conn_new(int listener, bool tls)
{
  for(int i = 0; i < 64; i++) {
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if(fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct conn *c = must(calloc(1, sizeof *c));
    c->fd = fd;
    c->chat = -1;
    stat_open++;
    if(tls) {
      c->tls = must(calloc(1, sizeof *c->tls));
      br_ssl_server_init_full_ec(&c->tls->sc, chain, chain_n, BR_KEYTYPE_EC, br_skey_decoder_get_ec(&skey));
      br_ssl_server_set_cache(&c->tls->sc, &cache.vtable);
      br_ssl_engine_set_buffer(&c->tls->sc.eng, c->tls->buf, sizeof c->tls->buf, 0);
      br_ssl_server_reset(&c->tls->sc);
    }
    struct epoll_event ev_ = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev_);
  }
}

/* ---------- start ---------- */

static int listen_on(int port, int *chosen)
{
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t n = sizeof a;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if(fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 8192)) {
    fprintf(stderr, "fakeqwen: cannot listen on port %d: %s\n", port, strerror(errno));
    exit(69);
  }
  getsockname(fd, (struct sockaddr *)&a, &n);
  *chosen = ntohs(a.sin_port);
  return fd;
}

static void pem_take(void *ctx, const void *p, size_t n)
{
  put(ctx, p, n);
}

static void pem_read(const char *path, bool key)
{
  br_pem_decoder_context pem;
  char buf[4096];
  struct text der = { NULL, 0, 0 };
  size_t n;
  bool wanted = false;
  FILE *f = fopen(path, "rb");
  if(!f) {
    fprintf(stderr, "fakeqwen: cannot read %s\n", path);
    exit(1);
  }
  br_pem_decoder_init(&pem);
  while((n = fread(buf, 1, sizeof buf, f)) > 0)
    for(size_t at = 0; at < n;) {
      at += br_pem_decoder_push(&pem, buf + at, n - at);
      int e = br_pem_decoder_event(&pem);
      if(e == BR_PEM_BEGIN_OBJ) {
        const char *name = br_pem_decoder_name(&pem);
        wanted = key ? strstr(name, "PRIVATE KEY") != NULL : strcmp(name, "CERTIFICATE") == 0;
        der.n = 0;
        br_pem_decoder_setdest(&pem, pem_take, &der);
      } else if(e == BR_PEM_END_OBJ && wanted && key) {
        br_skey_decoder_init(&skey);
        br_skey_decoder_push(&skey, der.p, der.n);
      } else if(e == BR_PEM_END_OBJ && wanted) {
        chain = must(realloc(chain, (chain_n + 1) * sizeof *chain));
        unsigned char *copy = must(malloc(der.n));
        memcpy(copy, der.p, der.n);
        chain[chain_n++] = (br_x509_certificate){ copy, der.n };
      }
    }
  fclose(f);
  free(der.p);
}

static void account_add(const char *email, const char *password)
{
  accounts = must(realloc(accounts, (size_t)(account_n + 1) * sizeof *accounts));
  struct account *a = &accounts[account_n++];
  *a = (struct account){ .running = 0 };
  snprintf(a->email, sizeof a->email, "%s", email);
  snprintf(a->password, sizeof a->password, "%s", password);
}

static void normal_make(void)
{
  struct conn c = { .chat = -1 };
  play_eol = "\n";
  play_prefix = "data: ";
  ev_created();
  ev_normal(0, 5);
  ev_end();
  puts_(&normal_ready, sse_head);
  play_flush(&c);
  put(&normal_ready, c.body.p, c.body.n);
  puts_(&normal_ready, "0\r\n\r\n");
}

int main(int argc, char **argv)
{
  int port = -1, plain = -1, more = 0, tls_fd = -1, plain_fd = -1;
  const char *cert = NULL, *key = NULL, *port_file = NULL;
  for(int i = 1; i + 1 < argc; i += 2) {
    if(!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
    else if(!strcmp(argv[i], "--plain-port")) plain = atoi(argv[i + 1]);
    else if(!strcmp(argv[i], "--cert")) cert = argv[i + 1];
    else if(!strcmp(argv[i], "--key")) key = argv[i + 1];
    else if(!strcmp(argv[i], "--accounts")) more = atoi(argv[i + 1]);
    else if(!strcmp(argv[i], "--port-file")) port_file = argv[i + 1];
    else {
      fprintf(stderr, "fakeqwen: unknown option %s\n", argv[i]);
      return 2;
    }
  }
  struct rlimit r;
  getrlimit(RLIMIT_NOFILE, &r);
  r.rlim_cur = r.rlim_max;
  setrlimit(RLIMIT_NOFILE, &r);
  signal(SIGPIPE, SIG_IGN);
  account_add("ok@example.org", "correct horse");
  account_add("second@example.org", "correct horse");
  account_add("bad@example.org", "nobody knows");
  account_add("limited@example.org", "correct horse");
  account_add("colon@example.org", "pa:ss@word#1");
  for(int i = 0; i <= more; i++) {
    char email[64], password[64];
    snprintf(email, sizeof email, "user%d@example.org", i);
    snprintf(password, sizeof password, "pw-%d", i);
    account_add(email, password);
  }
  token_add("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImxhc3RfcGFzc3dvcmRfY2hhbmdlIjoxNzYwMDAwMDAwLCJleHAi"
            "OjQxMDI0NDQ4MDB9.W9t7CCW2z8DA2DR972SccfQ2mAT283Id1XCrmRoT36A", 0, 4102444800);
  entries = must(calloc(LOG_MAX, sizeof *entries));
  normal_make();
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e = { .events = EPOLLIN };
  if(port >= 0) {
    if(!cert || !key) {
      fprintf(stderr, "fakeqwen: --port needs --cert and --key\n");
      return 2;
    }
    pem_read(cert, false);
    pem_read(key, true);
    br_ssl_session_cache_lru_init(&cache, cache_store, sizeof cache_store);
    tls_fd = listen_on(port, &port);
    e.data.ptr = &tls_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, tls_fd, &e);
  }
  if(plain >= 0) {
    plain_fd = listen_on(plain, &plain);
    e.data.ptr = &plain_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, plain_fd, &e);
  }
  if(port_file) {
    FILE *f = fopen(port_file, "w");
    if(f) fprintf(f, "%d %d\n", port, plain), fclose(f);
  }
  for(;;) {
    static struct epoll_event batch[512];
    int64_t now = now_us();
    int wait = heap_n ? heap[1]->due_us <= now ? 0 : (int)((heap[1]->due_us - now + 999) / 1000) : -1;
    int n = epoll_wait(epoll_fd, batch, 512, wait);
    for(int i = 0; i < n; i++) {
      if(batch[i].data.ptr == &tls_fd) conn_new(tls_fd, true);
      else if(batch[i].data.ptr == &plain_fd) conn_new(plain_fd, false);
      else {
        struct conn *c = batch[i].data.ptr;
        if(!c->dead && (batch[i].events & (EPOLLHUP | EPOLLERR))) conn_dead(c, false);
        if(!c->dead && (batch[i].events & EPOLLOUT) && (c->out.n || c->tls)) conn_flush(c);
        if(!c->dead && (batch[i].events & (EPOLLIN | EPOLLRDHUP))) conn_read(c);
      }
    }
    now = now_us();
    for(int i = 0; i < 4000 && heap_n && heap[1]->due_us <= now; i++) {
      struct conn *c = heap[1];
      play_due(c);
      if(!c->dead && !c->streaming && c->seg_at >= c->seg_n) conn_requests(c);
    }
    bury();
  }
}
