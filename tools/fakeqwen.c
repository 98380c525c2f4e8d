/* fakeqwen.c - a strict, fast stand-in for the upstream: sign-in, tokens, models, chats and completions, over TLS and
 * plain HTTP. It serves the tests, the demo and the benchmark, and shares no parser with the gateway: a mistake made
 * twice would cancel out. One thread, one epoll, loopback only; SIGTERM ends it at once.
 *
 *   fakeqwen [--port P] [--plain] [--plain-port Q] [--cert PEM --key PEM] [--accounts N] [--port-file FILE]
 *            [--cpu N] [--rate EVENTS_PER_S] [--pace-ms N]
 *
 * --port speaks TLS, with --plain HTTP; --plain-port speaks HTTP beside it. Port 0 picks one; the port file gets
 * "<port> <plain port>", -1 for none. --rate is the pace of streams that name none, --pace-ms the step of the timed
 * scenarios (200). The certificate is one for all names; the key is EC or RSA.
 *
 * Accounts: ok@example.org, second@example.org, limited@example.org (media quota used up), all "correct horse";
 *   colon@example.org "pa:ss@word#1"; bad@example.org (always 401); challenge@example.org (HTML); with --accounts N
 *   also user<i>@example.org, password pw-<i>, i from 0 to N. Tokens are JWT, HS256 with the key "fake". Two are
 *   fixed and belong to ok@: one good until 2100, one that ended in 2001.
 *
 * A scenario is taken from the script queue first, then from the model's "#name", then from the last
 *   "[[scenario:name key=value ...]]" in the prompt; else it is "normal", which answers "Hello, 世界! This is the
 *   fake upstream." in five deltas. The table `scenarios` lists all. Answers that are no stream (table `fixed`: 401,
 *   quota, html_200, ...) and "slow ms=" can be scripted for every endpoint.
 * Streams for the load generator: "stream n= ms= size= seed=" sends n deltas, one each ms (0: as fast as it is read).
 *   Delta i is "<seed>.<i> ", padded with the letter 'a' + (seed + i) % 26 to size bytes. "stamp n= ms=" sends
 *   "t=<microseconds of CLOCK_MONOTONIC when sent> ".
 *
 * Control, on every port:
 *   GET  /__stats    counters; "accounts" holds the parallel turns of those that had any
 *   GET  /__log      [?n=&heads=1&bodies=1] the last requests: t_ms, host, method, path, email, chat_id, scenario
 *   POST /__reset    counters, log, scripts, switches and chats as at the start; tokens stay good
 *   POST /__script   {"completions":["429","slow ms=500"],"signin":[..]}: one per request; keys as in /__stats
 *   POST /__switch   signin_v1, signin_v2 (200, 404), auth_status (200, 401), new_ms, signin_ms (delays), exchange
 *                    (true: only access tokens of 900 s are good), gzip (true: JSON comes packed)
 *   POST /__revoke   all tokens die; {"kind":"access"}: access tokens only */
#include <arpa/inet.h>
#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define NELEM(a) (sizeof(a) / sizeof *(a))

/* ---------- bytes ---------- */

struct span { const char *p; size_t n; };
struct buf { char *p; size_t n, cap; };

#define SPAN_NONE ((struct span){ NULL, 0 })

static void *must(void *p)
{
  if(!p) {
    fprintf(stderr, "fakeqwen: out of memory\n");
    exit(1);
  }
  return p;
}

static char *buf_room(struct buf *b, size_t n)
{
  if(b->cap - b->n < n) {
    b->cap = (b->n + n) * 2 + 256;
    b->p = must(realloc(b->p, b->cap));
  }
  return b->p + b->n;
}

static void buf_add(struct buf *b, const void *p, size_t n)
{
  if(n) memcpy(buf_room(b, n), p, n);
  b->n += n;
}

static void buf_text(struct buf *b, const char *z)
{
  buf_add(b, z, strlen(z));
}

static void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void buf_fmt(struct buf *b, const char *fmt, ...)
{
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  vsnprintf(buf_room(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
  va_end(again);
  b->n += (size_t)n;
}

static void buf_cut(struct buf *b, size_t n)
{
  memmove(b->p, b->p + n, b->n - n);
  b->n -= n;
}

/* Gives memory back that a large answer or body has taken. */
static void buf_shrink(struct buf *b)
{
  if(b->n || b->cap <= 32768) return;
  free(b->p);
  *b = (struct buf){ NULL, 0, 0 };
}

static bool span_is(struct span s, const char *z)
{
  size_t n = strlen(z);
  return s.n == n && memcmp(s.p, z, n) == 0;
}

static bool span_starts(struct span s, const char *z)
{
  size_t n = strlen(z);
  return s.n >= n && memcmp(s.p, z, n) == 0;
}

static int64_t now_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t wall_s(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec;
}

static void quote(struct buf *out, const char *p, size_t n)
{
  char *o = buf_room(out, n * 6 + 2), *from = o;
  *o++ = '"';
  for(size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if(c >= 0x20 && c != '"' && c != '\\') *o++ = p[i];
    else if(c == '"' || c == '\\') *o++ = '\\', *o++ = p[i];
    else o += sprintf(o, "\\u%04x", c);
  }
  *o++ = '"';
  out->n += (size_t)(o - from);
}

/* ---------- JSON, strict: the whole text becomes a tape of values, children after their parent ---------- */

enum js_kind { JS_OBJECT, JS_ARRAY, JS_STRING, JS_NUMBER, JS_TRUE, JS_FALSE, JS_NULL };
struct js { const char *p; size_t n; unsigned next; enum js_kind kind; }; /* a string without its quotes */

enum { JS_NONE = -1, JS_DEPTH_MAX = 64 };
static struct js *tape;
static unsigned tape_n, tape_cap;

static const char *js_blank(const char *p, const char *e)
{
  while(p < e && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
  return p;
}

/* The length of the UTF-8 sequence at p; 0: it is none. */
static size_t utf8_at(const unsigned char *p, size_t n)
{
  if(p[0] < 0x80) return 1;
  size_t k = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
  if(k == 0 || k > n) return 0;
  for(size_t i = 1; i < k; i++)
    if((p[i] & 0xc0) != 0x80) return 0;
  if(p[0] == 0xe0 && p[1] < 0xa0) return 0;
  if(p[0] == 0xed && p[1] > 0x9f) return 0; /* surrogates */
  if(p[0] == 0xf0 && p[1] < 0x90) return 0;
  if(p[0] == 0xf4 && p[1] > 0x8f) return 0;
  return k;
}

static bool is_hex(char c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* After the closing quote of the string whose first byte is p; NULL: no string of JSON. */
static const char *js_string_end(const char *p, const char *e)
{
  while(p < e) {
    unsigned char c = (unsigned char)*p;
    if(c == '"') return p + 1;
    if(c < 0x20) return NULL;
    if(c == '\\') {
      if(e - p < 2) return NULL;
      if(p[1] == 'u') {
        if(e - p < 6 || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]) || !is_hex(p[5])) return NULL;
        p += 6;
      } else if(strchr("\"\\/bfnrt", p[1]) && p[1]) {
        p += 2;
      } else {
        return NULL;
      }
    } else if(c < 0x80) {
      p++;
    } else {
      size_t k = utf8_at((const unsigned char *)p, (size_t)(e - p));
      if(!k) return NULL;
      p += k;
    }
  }
  return NULL;
}

static const char *js_digits(const char *p, const char *e)
{
  const char *from = p;
  while(p < e && *p >= '0' && *p <= '9') p++;
  return p > from ? p : NULL;
}

static const char *js_number_end(const char *p, const char *e)
{
  if(p < e && *p == '-') p++;
  if(p >= e) return NULL;
  if(*p == '0') p++;
  else if(!(p = js_digits(p, e))) return NULL;
  if(p < e && *p == '.' && !(p = js_digits(p + 1, e))) return NULL;
  if(p < e && (*p == 'e' || *p == 'E')) {
    p++;
    if(p < e && (*p == '+' || *p == '-')) p++;
    p = js_digits(p, e);
  }
  return p;
}

static const char *js_value(const char *p, const char *e, int depth);

static const char *js_members(const char *p, const char *e, int depth, bool object)
{
  char close = object ? '}' : ']';
  p = js_blank(p, e);
  if(p < e && *p == close) return p + 1;
  for(;;) {
    if(object) {
      p = js_blank(p, e);
      if(p >= e || *p != '"' || !(p = js_value(p, e, depth))) return NULL;
      p = js_blank(p, e);
      if(p >= e || *p++ != ':') return NULL;
    }
    if(!(p = js_value(p, e, depth))) return NULL;
    p = js_blank(p, e);
    if(p >= e) return NULL;
    if(*p == close) return p + 1;
    if(*p++ != ',') return NULL;
  }
}

/* Puts the value at p on the tape. Returns its end, NULL if it is none. */
static const char *js_value(const char *p, const char *e, int depth)
{
  p = js_blank(p, e);
  if(p >= e || depth > JS_DEPTH_MAX) return NULL;
  if(tape_n == tape_cap) {
    tape_cap = tape_cap ? tape_cap * 2 : 1024;
    tape = must(realloc(tape, tape_cap * sizeof *tape));
  }
  unsigned me = tape_n++;
  struct js v = { p, 0, 0, JS_NULL };
  const char *end;
  if(*p == '"') {
    v.kind = JS_STRING;
    if(!(end = js_string_end(p + 1, e))) return NULL;
    v.p = p + 1;
    v.n = (size_t)(end - p) - 2;
  } else if(*p == '{' || *p == '[') {
    v.kind = *p == '{' ? JS_OBJECT : JS_ARRAY;
    if(!(end = js_members(p + 1, e, depth + 1, *p == '{'))) return NULL;
    v.n = (size_t)(end - p);
  } else {
    static const struct { const char *text; enum js_kind kind; } words[] = {
      { "true", JS_TRUE }, { "false", JS_FALSE }, { "null", JS_NULL } };
    end = NULL;
    for(size_t i = 0; i < NELEM(words); i++)
      if(span_starts((struct span){ p, (size_t)(e - p) }, words[i].text)) {
        v.kind = words[i].kind;
        end = p + strlen(words[i].text);
      }
    if(!end) {
      v.kind = JS_NUMBER;
      if(!(end = js_number_end(p, e))) return NULL;
    }
    v.n = (size_t)(end - p);
  }
  v.next = tape_n;
  tape[me] = v;
  return end;
}

/* Reads a whole text; the root is value 0. The tape borrows the text and lasts until the next call. */
static bool js_read(struct span text)
{
  tape_n = 0;
  const char *e = text.p + text.n, *end = text.n ? js_value(text.p, e, 0) : NULL;
  return end && js_blank(end, e) == e;
}

static int js_get(int object, const char *key)
{
  if(object == JS_NONE || tape[object].kind != JS_OBJECT) return JS_NONE;
  for(unsigned i = (unsigned)object + 1; i < tape[object].next; i = tape[i + 1].next)
    if(span_is((struct span){ tape[i].p, tape[i].n }, key)) return (int)i + 1;
  return JS_NONE;
}

static int js_item(int array, int at)
{
  if(array == JS_NONE || tape[array].kind != JS_ARRAY) return JS_NONE;
  for(unsigned i = (unsigned)array + 1; i < tape[array].next; i = tape[i].next)
    if(at-- == 0) return (int)i;
  return JS_NONE;
}

static bool js_kind_is(int v, enum js_kind kind)
{
  return v != JS_NONE && tape[v].kind == kind;
}

static struct span js_span(int v)
{
  return js_kind_is(v, JS_STRING) ? (struct span){ tape[v].p, tape[v].n } : SPAN_NONE;
}

static bool js_is(int v, const char *z)
{
  return js_kind_is(v, JS_STRING) && span_is(js_span(v), z);
}

static double js_number(int v)
{
  char c[40];
  if(!js_kind_is(v, JS_NUMBER) || tape[v].n >= sizeof c) return 0;
  memcpy(c, tape[v].p, tape[v].n);
  c[tape[v].n] = 0;
  return strtod(c, NULL);
}

static unsigned hex4(const char *p)
{
  return (unsigned)strtoul((char[5]){ p[0], p[1], p[2], p[3], 0 }, NULL, 16);
}

static void utf8_put(struct buf *out, unsigned c)
{
  char u[4];
  size_t n = 0;
  if(c < 0x80) {
    u[n++] = (char)c;
  } else {
    if(c >= 0x10000)
      u[n++] = (char)(0xf0 | c >> 18), u[n++] = (char)(0x80 | (c >> 12 & 63)), u[n++] = (char)(0x80 | (c >> 6 & 63));
    else if(c >= 0x800) u[n++] = (char)(0xe0 | c >> 12), u[n++] = (char)(0x80 | (c >> 6 & 63));
    else u[n++] = (char)(0xc0 | c >> 6);
    u[n++] = (char)(0x80 | (c & 63));
  }
  buf_add(out, u, n);
}

/* The decoded string, with a 0 after its end. Half a surrogate pair becomes U+FFFD. */
static void js_text(int v, struct buf *out)
{
  out->n = 0;
  struct span s = js_span(v);
  const char *p = s.p, *e = s.p + s.n;
  while(p < e) {
    const char *esc = memchr(p, '\\', (size_t)(e - p));
    buf_add(out, p, (size_t)((esc ? esc : e) - p));
    if(!esc) break;
    p = esc + 2;
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = strchr(from, esc[1]);
    if(at) {
      buf_add(out, &to[at - from], 1);
      continue;
    }
    unsigned c = hex4(p);
    p += 4;
    if(c >= 0xd800 && c < 0xdc00 && e - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex4(p + 2) >= 0xdc00 &&
       hex4(p + 2) < 0xe000) {
      c = 0x10000 + ((c - 0xd800) << 10) + (hex4(p + 2) - 0xdc00);
      p += 6;
    } else if(c >= 0xd800 && c < 0xe000) {
      c = 0xfffd;
    }
    utf8_put(out, c);
  }
  *buf_room(out, 1) = 0;
}

/* ---------- HTTP/1.1 requests, strict ---------- */

struct req {
  struct span method, path, query, host, type, auth, cookie, origin, body;
  struct span head; /* all of it, the blank line included */
  int64_t length;   /* -1: none given */
  bool chunked, close, expect;
};

enum { HEAD_MAX = 65536, BODY_MAX = 64 << 20 };

static struct { const char *name; size_t at; } const head_fields[] = {
  { "host", offsetof(struct req, host) },
  { "content-type", offsetof(struct req, type) },
  { "authorization", offsetof(struct req, auth) },
  { "cookie", offsetof(struct req, cookie) },
  { "origin", offsetof(struct req, origin) },
};

static bool is_token(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool same_word(struct span a, const char *z)
{
  return a.n == strlen(z) && strncasecmp(a.p, z, a.n) == 0;
}

static const char *head_field(struct req *r, struct span name, struct span v)
{
  for(size_t i = 0; i < NELEM(head_fields); i++)
    if(same_word(name, head_fields[i].name)) {
      struct span *to = (struct span *)((char *)r + head_fields[i].at);
      if(to->p) return "a header twice";
      *to = v;
      return NULL;
    }
  if(same_word(name, "content-length")) {
    if(r->length >= 0 || v.n == 0 || v.n > 12) return "bad Content-Length";
    r->length = 0;
    for(size_t i = 0; i < v.n; i++) {
      if(v.p[i] < '0' || v.p[i] > '9') return "bad Content-Length";
      r->length = r->length * 10 + (v.p[i] - '0');
    }
  } else if(same_word(name, "transfer-encoding")) {
    if(r->chunked || !same_word(v, "chunked")) return "bad Transfer-Encoding";
    r->chunked = true;
  } else if(same_word(name, "connection")) {
    if(same_word(v, "close")) r->close = true;
  } else if(same_word(name, "expect")) {
    if(!same_word(v, "100-continue")) return "bad Expect";
    r->expect = true;
  }
  return NULL;
}

/* NULL: the head in r->head is good and taken apart. Else what is wrong with it. */
static const char *head_read(struct req *r)
{
  const char *p = r->head.p, *e = r->head.p + r->head.n - 2, *eol = memchr(p, '\n', r->head.n);
  if(eol[-1] != '\r') return "a bare line feed";
  const char *a = memchr(p, ' ', (size_t)(eol - p)), *b = a ? memchr(a + 1, ' ', (size_t)(eol - a - 1)) : NULL;
  if(!b || a == p || a[1] != '/') return "bad request line";
  struct span version = { b + 1, (size_t)(eol - 1 - b - 1) };
  if(!span_is(version, "HTTP/1.1")) return "not HTTP/1.1";
  const char *q = memchr(a + 1, '?', (size_t)(b - a - 1));
  r->method = (struct span){ p, (size_t)(a - p) };
  r->path = (struct span){ a + 1, (size_t)((q ? q : b) - a - 1) };
  if(q) r->query = (struct span){ q + 1, (size_t)(b - q - 1) };
  for(const char *c = p; c < b; c++)
    if((unsigned char)*c <= 0x20 && c != a) return "a control character in the request line";
  for(p = eol + 1; p < e; p = eol + 1) {
    eol = memchr(p, '\n', (size_t)(e - p));
    if(!eol || eol[-1] != '\r') return "a bare line feed";
    const char *colon = memchr(p, ':', (size_t)(eol - p)), *v = colon + 1, *end = eol - 1;
    if(!colon || colon == p) return "a header without a name";
    for(const char *c = p; c < colon; c++)
      if(!is_token(*c)) return "bad header name";
    while(v < end && (*v == ' ' || *v == '\t')) v++;
    while(end > v && (end[-1] == ' ' || end[-1] == '\t')) end--;
    for(const char *c = v; c < end; c++)
      if(((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f) return "a control character in a header";
    const char *why = head_field(r, (struct span){ p, (size_t)(colon - p) }, (struct span){ v, (size_t)(end - v) });
    if(why) return why;
  }
  if(!r->host.n) return "no Host";
  if(r->chunked && r->length >= 0) return "Content-Length and Transfer-Encoding";
  return NULL;
}

/* Takes a chunked body apart into out. Returns the bytes used, 0: not all there yet, -1: malformed. */
static int64_t chunks_read(const char *from, const char *e, struct buf *out)
{
  const char *p = from;
  out->n = 0;
  for(;;) {
    const char *eol = memchr(p, '\n', (size_t)(e - p));
    if(!eol) return e - p > 20 ? -1 : 0;
    size_t n = 0;
    const char *d = p;
    while(d < eol && is_hex(*d) && d - p < 8) n = n * 16 + (size_t)(*d <= '9' ? *d - '0' : (*d | 32) - 'a' + 10), d++;
    if(d == p || d != eol - 1 || *d != '\r') return -1;
    p = eol + 1;
    if(out->n + n > BODY_MAX) return -1;
    if((size_t)(e - p) < n + 2) return 0;
    if(p[n] != '\r' || p[n + 1] != '\n') return -1;
    if(n == 0) return p + 2 - from;
    buf_add(out, p, n);
    p += n + 2;
  }
}

static struct span query_value(struct span q, const char *key)
{
  size_t n = strlen(key);
  for(const char *p = q.p, *e = q.p + q.n; p && p < e;) {
    const char *end = memchr(p, '&', (size_t)(e - p));
    if(!end) end = e;
    if((size_t)(end - p) > n && memcmp(p, key, n) == 0 && p[n] == '=')
      return (struct span){ p + n + 1, (size_t)(end - p) - n - 1 };
    p = end + 1;
  }
  return SPAN_NONE;
}

static struct span cookie_value(struct span cookie, const char *name)
{
  size_t n = strlen(name);
  for(const char *p = cookie.p, *e = cookie.p + cookie.n; p && p < e;) {
    const char *end = memchr(p, ';', (size_t)(e - p));
    if(!end) end = e;
    if((size_t)(end - p) > n && memcmp(p, name, n) == 0 && p[n] == '=')
      return (struct span){ p + n + 1, (size_t)(end - p) - n - 1 };
    p = end;
    while(p < e && (*p == ';' || *p == ' ')) p++;
  }
  return SPAN_NONE;
}

/* ---------- accounts, tokens, chats ---------- */

enum { ACCOUNT_OK = 0, NOBODY = -1 };
enum token_kind { TOKEN_SESSION, TOKEN_REFRESH, TOKEN_ACCESS };
enum { CHAT_DIGITS = 12, CHAT_ID_N = 36 };

struct account {
  char email[64], password[64];
  int running, max_running;
  long signins;
  bool refuses, challenged, no_media; /* what its name promises */
  bool expired;                       /* has played "expired" */
};
struct token { const char *text; size_t n; int account; enum token_kind kind; bool dead; int64_t expires_s; };
struct chat {
  int account;
  uint32_t created_s;
  struct conn *conn;
  int64_t free_us;
  uint8_t type, scenario;
  bool alive, whole;
};

static struct account *accounts;
static int account_n;
static struct token *tokens;
static size_t token_n, token_cap;
static uint32_t *token_table; /* open addressing: number + 1 */
static size_t token_slots;
static struct chat *chats;
static size_t chat_n, chat_cap;
static const char chat_prefix[] = "6a1d9a5e-0000-4000-8000-", reply_prefix[] = "5e5d0000-0000-4000-8000-";
static const char *const chat_types[] = {
  "t2t", "search", "t2i", "image_edit", "t2v", "deep_research", "artifacts", "web_dev", "learn", "slides", "travel"
};

static void account_add(const char *email, const char *password)
{
  accounts = must(realloc(accounts, (size_t)(account_n + 1) * sizeof *accounts));
  struct account *a = &accounts[account_n++];
  *a = (struct account){ .refuses = strncmp(email, "bad@", 4) == 0, .challenged = strncmp(email, "challenge@", 10) == 0,
                         .no_media = strncmp(email, "limited@", 8) == 0 };
  snprintf(a->email, sizeof a->email, "%s", email);
  snprintf(a->password, sizeof a->password, "%s", password);
}

/* The signature at a token's end is as good as random. */
static size_t token_hash(const char *p, size_t n)
{
  uint64_t h = n;
  for(size_t i = n > 16 ? n - 16 : 0; i < n; i++) h = (h ^ (unsigned char)p[i]) * 1099511628211u;
  return (size_t)(h ^ h >> 29);
}

static struct token *token_find(struct span t)
{
  if(!token_slots || !t.n) return NULL;
  for(size_t at = token_hash(t.p, t.n) % token_slots; token_table[at]; at = (at + 1) % token_slots) {
    struct token *k = &tokens[token_table[at] - 1];
    if(k->n == t.n && memcmp(k->text, t.p, t.n) == 0) return k;
  }
  return NULL;
}

static void token_place(size_t i)
{
  size_t at = token_hash(tokens[i].text, tokens[i].n) % token_slots;
  while(token_table[at]) at = (at + 1) % token_slots;
  token_table[at] = (uint32_t)i + 1;
}

static const char *token_add(const char *text, int account, enum token_kind kind, int64_t expires_s)
{
  if(token_n == token_cap) {
    token_cap = token_cap ? token_cap * 2 : 512;
    tokens = must(realloc(tokens, token_cap * sizeof *tokens));
    token_slots = token_cap * 2;
    free(token_table);
    token_table = must(calloc(token_slots, sizeof *token_table));
    for(size_t i = 0; i < token_n; i++) token_place(i);
  }
  tokens[token_n] = (struct token){ .text = must(strdup(text)), .n = strlen(text), .account = account, .kind = kind,
                                    .expires_s = expires_s };
  token_place(token_n);
  return tokens[token_n++].text;
}

static void b64url(const void *from, size_t n, struct buf *out)
{
  static const char d[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const unsigned char *p = from;
  for(size_t i = 0; i < n; i += 3) {
    unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);
    buf_add(out, (char[4]){ d[v >> 18], d[v >> 12 & 63], d[v >> 6 & 63], d[v & 63] }, i + 2 < n ? 4 : n - i + 1);
  }
}

/* A JWT, HS256 with the key "fake", claims as the real one's. */
static const char *token_make(int account, enum token_kind kind, int64_t life_s)
{
  static struct buf t;
  char claims[256];
  unsigned char mac[32];
  br_hmac_key_context k;
  br_hmac_context h;
  int64_t exp = wall_s() + life_s;
  static const char *const types[] = { "", "\"type\":\"refresh_token\",", "\"type\":\"access_token\"," };
  int n = snprintf(
      claims, sizeof claims,
      "{\"id\":\"00000000-0000-4000-8000-%012d\",\"last_password_change\":1760000000,\"n\":%zu,%s\"exp\":%lld}",
      account + 1, token_n, types[kind], (long long)exp);
  t.n = 0;
  b64url("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", 27, &t);
  buf_text(&t, ".");
  b64url(claims, (size_t)n, &t);
  br_hmac_key_init(&k, &br_sha256_vtable, "fake", 4);
  br_hmac_init(&h, &k, 0);
  br_hmac_update(&h, t.p, t.n);
  br_hmac_out(&h, mac);
  buf_text(&t, ".");
  b64url(mac, 32, &t);
  *buf_room(&t, 1) = 0;
  return token_add(t.p, account, kind, exp);
}

static void digits12(char *out, size_t v)
{
  for(int i = CHAT_DIGITS - 1; i >= 0; i--, v /= 10) out[i] = (char)('0' + v % 10);
}

static struct chat *chat_by_id(struct span id, int who)
{
  if(id.n != CHAT_ID_N || memcmp(id.p, chat_prefix, sizeof chat_prefix - 1) != 0) return NULL;
  size_t n = 0;
  for(const char *d = id.p + sizeof chat_prefix - 1; d < id.p + id.n; d++) {
    if(*d < '0' || *d > '9') return NULL;
    n = n * 10 + (size_t)(*d - '0');
  }
  return n < chat_n && chats[n].alive && chats[n].account == who ? &chats[n] : NULL;
}

/* ---------- counters, switches, scripts, log ---------- */

enum endpoint {
  EP_SIGNIN,
  EP_EXCHANGE,
  EP_AUTHS,
  EP_MODELS,
  EP_NEW,
  EP_LIST,
  EP_DETAIL,
  EP_DELETE,
  EP_COMPLETIONS,
  EP_STOP,
  EP_OTHER,
  EP_N
};
static const char *const endpoint_names[EP_N] = { "signin",      "exchange",   "auths",       "models",
                                                  "chats_new",   "chats_list", "chat_detail", "deletes",
                                                  "completions", "stops",      "other" };

static struct { char (*entry)[64]; size_t at, n; } scripts[EP_N];
static struct { int signin_v1, signin_v2, auth_status, new_ms, signin_ms; bool exchange, gzip; } set;
static struct {
  long requests, by[EP_N], signins, refused, bad, deleted_all, in_progress, tls_full, tls_resumed;
} stat_;
static long open_n, running_n; /* these live on over a reset */
static int pace_ms = 200, rate_ms = 100;

enum { LOG_MAX = 8192, RAW_MAX = 16 << 20, RAW_BODY_MAX = 65536 };
struct entry {
  int64_t us;
  char method[8], path[200], host[64], scenario[48], chat[CHAT_ID_N + 1];
  int account;
  uint64_t raw_at; /* in the ring of heads and bodies, counted from the start of time */
  size_t head_n, body_n;
};
static struct entry *entries;
static size_t entry_n; /* of all time */
static char *raw;
static uint64_t raw_n;
static int64_t started_us;

static void raw_add(struct span s)
{
  size_t at = (size_t)(raw_n % RAW_MAX), first = s.n < RAW_MAX - at ? s.n : RAW_MAX - at;
  if(first) memcpy(raw + at, s.p, first);
  if(s.n > first) memcpy(raw, s.p + first, s.n - first);
  raw_n += s.n;
}

static void copy_span(char *out, size_t cap, struct span s)
{
  size_t n = s.n < cap - 1 ? s.n : cap - 1;
  if(n) memcpy(out, s.p, n);
  out[n] = 0;
}

static struct entry *log_request(const struct req *r)
{
  struct entry *e = &entries[entry_n++ % LOG_MAX];
  struct span target = { r->path.p, r->path.n + (r->query.p ? r->query.n + 1 : 0) };
  struct span body = { r->body.p, r->body.n < RAW_BODY_MAX ? r->body.n : RAW_BODY_MAX };
  e->us = now_us();
  copy_span(e->method, sizeof e->method, r->method);
  copy_span(e->path, sizeof e->path, target);
  copy_span(e->host, sizeof e->host, r->host);
  e->scenario[0] = e->chat[0] = 0;
  e->account = NOBODY;
  e->raw_at = raw_n;
  e->head_n = r->head.n;
  e->body_n = body.n;
  raw_add(r->head);
  raw_add(body);
  return e;
}

/* The next scripted name of an endpoint, split into name and parameters. */
static bool script_next(enum endpoint ep, char *name, size_t name_cap, char *args, size_t args_cap)
{
  if(scripts[ep].at >= scripts[ep].n) return false;
  const char *z = scripts[ep].entry[scripts[ep].at++], *blank = strchr(z, ' ');
  copy_span(name, name_cap, (struct span){ z, blank ? (size_t)(blank - z) : strlen(z) });
  snprintf(args, args_cap, "%s", blank ? blank : "");
  return true;
}

/* ---------- connections ---------- */

enum turn_kind { TURN_NONE, TURN_STEPS, TURN_STREAM };
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
  bool stamp, no_phase, packed;
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

/* ---------- answers ---------- */

static z_stream packer; /* gzip; one user at a time */

static void pack_begin(void)
{
  packer = (z_stream){ .zalloc = NULL };
  if(deflateInit2(&packer, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) must(NULL);
}

static void pack(const char *p, size_t n, int how, struct buf *out)
{
  packer.next_in = (unsigned char *)(uintptr_t)p;
  packer.avail_in = (unsigned)n;
  do {
    packer.next_out = (unsigned char *)buf_room(out, 16384);
    packer.avail_out = 16384;
    deflate(&packer, how);
    out->n += 16384 - packer.avail_out;
  } while(packer.avail_out == 0);
}

static const char *reason(int status)
{
  switch(status) {
  case 200: return "OK";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 429: return "Too Many Requests";
  default: return status < 500 ? "Refused" : "Server Error";
  }
}

/* extra: more header lines, each with its CRLF. */
static void reply(int status, const char *type, const char *extra, const char *body, size_t n)
{
  static struct buf packed;
  if(set.gzip && strcmp(type, "application/json") == 0) {
    packed.n = 0;
    pack_begin();
    pack(body, n, Z_FINISH, &packed);
    deflateEnd(&packer);
    buf_fmt(&wire, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n%s\r\n",
            status, reason(status), type, packed.n, extra);
    buf_add(&wire, packed.p, packed.n);
    return;
  }
  buf_fmt(&wire, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, reason(status), type, n,
          extra);
  buf_add(&wire, body, n);
}

static void reply_json(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void reply_json(int status, const char *fmt, ...)
{
  char body[4096];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(body, sizeof body, fmt, ap);
  va_end(ap);
  reply(status, "application/json", "", body, (size_t)n < sizeof body ? (size_t)n : sizeof body - 1);
}

static void reply_fail(int status, const char *code, const char *details)
{
  reply_json(status,
             "{\"success\":false,\"request_id\":\"2f6c0000-0000-4000-8000-%012ld\",\"data\":{\"code\":\"%s\","
             "\"details\":\"%s\"}}",
             stat_.requests, code, details);
}

static void reply_invalid(const char *field, const char *why)
{
  reply_json(200,
             "{\"success\":false,\"request_id\":\"2f6c0000-0000-4000-8000-%012ld\",\"data\":{\"code\":"
             "\"RequestValidationError\","
             "\"details\":[\"Field '%s': %s\"]}}",
             stat_.requests, field, why);
}

#define WAF "<!doctypehtml><meta charset=\"UTF-8\"><meta name=\"aliyun_waf_aa\" content=\"9f3a\"><title>check</title>" \
            "<script>var secret='upstream page';</script><p>please wait"
#define JSON "application/json"

/* Answers that are no stream; any endpoint can be scripted to give them. */
static const struct fixed {
  const char *name;
  int status;
  const char *type, *extra, *body;
} fixed[] = {
  { "401", 401, JSON, "",
    "{\"code\":\"Unauthorized\",\"details\":\"You have no permission to access this resource.\"}" },
  { "403", 403, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Forbidden\",\"details\":\"no rights\"}}" },
  { "403_banned", 403, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Forbidden\",\"details\":\"This account is banned.\"}}" },
  { "413", 413, JSON, "", "{\"detail\":\"too large\"}" },
  { "429", 429, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Too_Many_Requests\",\"details\":\"slow down\"}}" },
  { "429_retry_after", 429, JSON, "Retry-After: 77\r\n", "{}" },
  { "500", 500, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Internal_Server_Error\",\"details\":\"down\"}}" },
  { "502_html", 502, "text/html", "", "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>" },
  { "503", 503, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Internal_Server_Error\",\"details\":\"down\"}}" },
  { "504_html", 504, "text/html", "",
    "<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>" },
  { "quota", 200, JSON, "",
    "{\"success\":false,\"request_id\":\"q\",\"data\":{\"code\":\"RateLimited\",\"details\":\"You've reached the upper "
    "limit for today's "
    "usage.\",\"template\":\"You have reached the daily usage limit. Please wait {{num}} hours before trying "
    "again.\",\"num\":4}}" },
  { "quota_flat", 200, JSON, "",
    "{\"code\":\"RateLimited\",\"detail\":\"You've reached the upper limit for today's usage.\",\"num\":4}" },
  { "quota_allocated", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"quotaLimited\",\"details\":\"Allocated quota exceeded\"}}" },
  { "parallel", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"ParallelLimited\",\"details\":\"too many at once\"}}" },
  { "internal", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"Internal error...\"}}" },
  { "too_long", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"the input length exceeds max_context\"}}" },
  { "not_found", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"CHAT_NOT_FOUND\",\"details\":\"chat not found\"}}" },
  { "no_model", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"Model not found\"}}" },
  { "validation", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"RequestValidationError\",\"details\":[\"Field 'body -> messages': Field "
    "required\"]}}" },
  { "junk", 200, JSON, "", "{\"success\":true,\"data\":{}}" },
  { "no_token", 200, JSON, "", "{\"success\":true,\"data\":{\"id\":\"x\"}}" },
  { "html", 200, "text/html; charset=utf-8", "", WAF },
  { "html_200", 200, "text/html; charset=utf-8", "", WAF },
  { "html_405", 405, "text/html; charset=utf-8", "", WAF },
  { "html_as_sse", 200, "text/event-stream", "", WAF },
  { "punish", 200, JSON, "",
    "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\",\"RGV587_ERROR::SM::busy\"],\"data\":{\"url\":\"https://chat.qwen.ai:443//"
    "api/v2/chat/"
    "completions/_____tmd_____/punish?x5secdata=abc&action=captcha\"}}" },
  { "json_answer", 200, JSON, "",
    "{\"success\":true,\"request_id\":\"j\",\"data\":{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
    "\"a whole answer\"}}]}}" },
};

static bool reply_fixed(struct conn *c, const char *name)
{
  if(!strcmp(name, "drop") || !strcmp(name, "drop_early")) {
    if(name[4]) conn_close(c);
    else conn_drop(c, true);
    return true;
  }
  for(size_t i = 0; i < NELEM(fixed); i++)
    if(strcmp(name, fixed[i].name) == 0) {
      reply(fixed[i].status, fixed[i].type, fixed[i].extra, fixed[i].body, strlen(fixed[i].body));
      return true;
    }
  return false;
}

/* ---------- turns: answers that take time ---------- */

static void conn_input(struct conn *c, struct buf *from);

static void step_add(struct conn *c, size_t end, int wait_ms, enum step_act act)
{
  if(c->step_n == c->step_cap) {
    c->step_cap = c->step_cap ? c->step_cap * 2 : 8;
    c->steps = must(realloc(c->steps, (size_t)c->step_cap * sizeof *c->steps));
  }
  c->steps[c->step_n++] = (struct step){ end, wait_ms, act };
}

static void turn_end(struct conn *c)
{
  chat_release(c, 0);
  c->turn = TURN_NONE;
  c->step_n = c->step_at = 0;
  c->body.n = c->body_at = 0;
  buf_shrink(&c->body);
  undue(c);
}

/* Starts to play body and steps; what needs no time is written at once. */
static void turn_play(struct conn *c)
{
  if(c->step_n == 1 && c->steps[0].act == STEP_END && c->steps[0].wait_ms == 0) {
    buf_add(&wire, c->body.p, c->body.n);
    turn_end(c);
    return;
  }
  c->turn = TURN_STEPS;
  due(c, now_us());
}

static void turn_step(struct conn *c)
{
  struct step *s = &c->steps[c->step_at];
  if(c->body_at < s->end) {
    size_t at = c->body_at;
    c->body_at = s->end;
    conn_write(c, c->body.p + at, s->end - at);
    if(c->dead) return;
    if(s->wait_ms) {
      due(c, now_us() + (int64_t)s->wait_ms * 1000);
      return;
    }
  }
  c->step_at++;
  switch(s->act) {
  case STEP_GO: due(c, now_us()); break;
  case STEP_END: turn_end(c); break;
  case STEP_RESET: conn_drop(c, true); break;
  case STEP_FIN: conn_close(c); break;
  case STEP_HOLD: undue(c); break;
  }
}

/* Turns the answer in `wire` from `from` on into one that comes later. */
static void turn_later(struct conn *c, size_t from, int ms)
{
  if(c->dead || c->closing || c->turn != TURN_NONE || ms <= 0) return;
  c->body.n = c->body_at = 0;
  buf_add(&c->body, wire.p + from, wire.n - from);
  wire.n = from;
  c->step_n = c->step_at = 0;
  step_add(c, c->body.n, 0, STEP_END);
  c->turn = TURN_STEPS;
  due(c, now_us() + (int64_t)ms * 1000);
}

/* ---- events ---- */

static struct {
  struct buf b;             /* events not yet framed */
  struct conn *c;
  const char *lead, *eol;
  size_t chunk;             /* bytes of a chunk, 0: one for all */
  bool gzip;
} play;
static const char blank_digits[] = "@@@@@@@@@@@@";
static const char sse_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char sse_head_gzip[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Encoding: gzip\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char last_chunk[] = "0\r\n\r\n";

static void chunk_add(struct buf *to, const char *p, size_t n)
{
  if(!n) return;
  buf_fmt(to, "%zx\r\n", n);
  buf_add(to, p, n);
  buf_add(to, "\r\n", 2);
}

/* Frames the events so far into the body. */
static void play_frame(void)
{
  static struct buf packed;
  struct buf *b = &play.b;
  if(play.gzip && b->n) {
    packed.n = 0;
    pack(b->p, b->n, Z_SYNC_FLUSH, &packed);
    b = &packed;
  }
  size_t step = play.chunk ? play.chunk : b->n;
  for(size_t at = 0; at < b->n; at += step) {
    chunk_add(&play.c->body, b->p + at, b->n - at < step ? b->n - at : step);
    if(play.chunk == 1) step_add(play.c, play.c->body.n, 0, STEP_GO);
  }
  play.b.n = 0;
}

static void ev_raw(const char *z)
{
  buf_text(&play.b, z);
}

static void ev(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void ev(const char *fmt, ...)
{
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  size_t n = (size_t)vsnprintf(NULL, 0, fmt, ap) + 1;
  buf_text(&play.b, play.lead);
  vsnprintf(buf_room(&play.b, n), n, fmt, again);
  va_end(ap);
  va_end(again);
  play.b.n += n - 1;
  buf_text(&play.b, play.eol);
  buf_text(&play.b, play.eol);
  if(play.gzip) play_frame();
}

#define RID ",\"response_id\":\"%s%.12s\""
#define RIDS reply_prefix, play.c->digits

static void ev_created(void)
{
  ev("{\"response.created\":{\"chat_id\":\"%s%.12s\",\"parent_id\":\"u1\"" RID ",\"response_index\":\"0\"}}",
     chat_prefix, play.c->digits, RIDS);
}

static void ev_alive(void)
{
  ev("{\"response.info\":{\"action\":\"keep_alive\",\"chat_id\":\"%s%.12s\"" RID ",\"timestamp\":1772616290}}",
     chat_prefix, play.c->digits, RIDS);
}

/* A delta; more: further members of the delta, or "". Without output_schema the real one tells no phase. */
static void ev_delta(const char *role, const char *phase, const char *content, const char *status, const char *more)
{
  char which[64] = "";
  if(!play.c->no_phase) snprintf(which, sizeof which, ",\"phase\":\"%s\"", phase);
  ev("{\"choices\":[{\"delta\":{\"role\":\"%s\",\"content\":%s%s,\"status\":\"%s\"%s}}]" RID
     ",\"response_index\":\"0\"}",
     role, content, which, status, more, RIDS);
}

static void ev_say(const char *phase, const char *quoted)
{
  ev_delta("assistant", phase, quoted, "typing", "");
}

static void ev_stop(const char *phase)
{
  ev_delta("assistant", phase, "\"\"", "finished", "");
}

#define USAGE                                                              \
  "\"usage\":{\"input_tokens\":31,\"output_tokens\":20,\"total_tokens\":51," \
  "\"output_tokens_details\":{\"reasoning_tokens\":12,\"text_tokens\":8}}"

static void ev_end(void)
{
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"%s,\"status\":\"finished\"}}]" RID
     ",\"response_index\":\"0\"," USAGE "}",
     play.c->no_phase ? "" : ",\"phase\":\"answer\"", RIDS);
}

static const char *const normal_parts[] = { "\"Hello, \"", "\"世界\"", "\"! This \"", "\"is the fake \"",
                                            "\"upstream.\"" };

static void ev_normal(size_t from, size_t to)
{
  for(size_t i = from; i < to; i++) ev_say("answer", normal_parts[i]);
}

static void wait_ms(int ms)
{
  play_frame();
  step_add(play.c, play.c->body.n, ms, STEP_GO);
}

static void play_end(enum step_act act)
{
  play_frame();
  if(play.gzip && act == STEP_END) {
    static struct buf rest;
    rest.n = 0;
    pack("", 0, Z_FINISH, &rest);
    chunk_add(&play.c->body, rest.p, rest.n);
  }
  if(act == STEP_END) buf_text(&play.c->body, last_chunk);
  step_add(play.c, play.c->body.n, 0, act);
}

/* The value of "key=" among a scenario's parameters. */
static struct span param_text(const char *args, const char *key)
{
  size_t n = strlen(key);
  for(const char *at = args; (at = strstr(at, key)) != NULL; at += n)
    if(at > args && at[-1] == ' ' && at[n] == '=') return (struct span){ at + n + 1, strcspn(at + n + 1, " ") };
  return SPAN_NONE;
}

static long param(const char *args, const char *key, long def)
{
  struct span v = param_text(args, key);
  return v.n ? strtol(v.p, NULL, 10) : def;
}

/* ---- paced streams ---- */

static char *put_number(char *o, long v)
{
  char d[24];
  int n = 0;
  if(v < 0) *o++ = '-', v = -v;
  do d[n++] = (char)('0' + v % 10);
  while(v /= 10);
  while(n) *o++ = d[--n];
  return o;
}

static void stream_chunk(struct conn *c, const char *head, size_t head_n, const char *text, size_t text_n,
                         const char *tail, size_t tail_n)
{
  static const char rid[] = "\"response_id\":\"5e5d0000-0000-4000-8000-";
  size_t n = head_n + text_n + sizeof rid - 1 + CHAT_DIGITS + tail_n;
  char *o = buf_room(&wire, n + 24), *from = o;
  static const char hex[] = "0123456789abcdef";
  for(int shift = n > 0xfff ? 20 : 8; shift >= 0; shift -= 4) *o++ = hex[n >> shift & 15];
  *o++ = '\r', *o++ = '\n';
  memcpy(o, head, head_n), o += head_n;
  if(text_n) memcpy(o, text, text_n), o += text_n;
  memcpy(o, rid, sizeof rid - 1), o += sizeof rid - 1;
  memcpy(o, c->digits, CHAT_DIGITS), o += CHAT_DIGITS;
  memcpy(o, tail, tail_n), o += tail_n;
  *o++ = '\r', *o++ = '\n';
  wire.n += (size_t)(o - from);
}

#define STREAM_CHUNK(c, head, text, text_n, tail)                                                                      \
  stream_chunk(c, head, sizeof head - 1, text, text_n, tail, sizeof tail - 1)

static const char stream_tail[] =
    "\",\"response_index\":\"0\",\"usage\":{\"input_tokens\":31,\"output_tokens\":9,\"total_tokens\":40},"
    "\"timestamp\":1772616291}\n\n";
enum { DELTA_MAX = 60000 };

static void stream_delta(struct conn *c)
{
  static char text[DELTA_MAX + 64 + 64];
  static const char phase[] = "\",\"phase\":\"answer\",\"status\":\"typing\"}}],",
                    bare[] = "\",\"status\":\"typing\"}}],";
  static const char head[] = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"";
  char *o = text;
  if(c->stamp) {
    *o++ = 't', *o++ = '=';
    o = put_number(o, (long)now_us());
    *o++ = ' ';
  } else {
    o = put_number(o, c->seed);
    *o++ = '.';
    o = put_number(o, c->i);
    *o++ = ' ';
    if(o - text < c->size) {
      memset(o, 'a' + (char)((c->seed + c->i) % 26), (size_t)(c->size - (o - text)));
      o = text + c->size;
    }
  }
  if(c->no_phase) memcpy(o, bare, sizeof bare - 1), o += sizeof bare - 1;
  else memcpy(o, phase, sizeof phase - 1), o += sizeof phase - 1;
  STREAM_CHUNK(c, head, text, (size_t)(o - text), stream_tail);
  c->i++;
}

static void stream_end(struct conn *c)
{
  static const char end[] = "data: "
                            "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"answer\","
                            "\"status\":\"finished\"}}],";
  static const char bare[] =
      "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"status\":\"finished\"}}],";
  static const char tail[] = "\",\"response_index\":\"0\"," USAGE "}\n\n";
  if(c->no_phase) STREAM_CHUNK(c, bare, NULL, 0, tail);
  else STREAM_CHUNK(c, end, NULL, 0, tail);
  buf_add(&wire, last_chunk, sizeof last_chunk - 1);
  turn_end(c);
}

/* Writes the deltas whose time has come; arranges for the next ones. */
static void stream_go(struct conn *c)
{
  int64_t now = now_us();
  if(conn_pending(c) > OUT_ENOUGH) {
    c->throttled = true; /* a slow reader: go on when it has read */
    undue(c);
    return;
  }
  if(c->period_us == 0) {
    while(c->i < c->n && wire.n < OUT_ENOUGH) stream_delta(c);
    if(c->i >= c->n) stream_end(c);
    else due(c, now);
    return;
  }
  for(int k = 0; k < 64 && c->due_us <= now; k++) {
    if(c->i >= c->n) {
      stream_end(c);
      return;
    }
    stream_delta(c);
    c->due_us += c->period_us;
  }
  due(c, c->due_us);
}

static void stream_start(struct conn *c, const char *args, bool stamp)
{
  c->stamp = stamp;
  c->i = 0;
  c->n = param(args, "n", 100);
  c->period_us = param(args, "ms", rate_ms) * 1000;
  c->size = param(args, "size", 20);
  c->seed = param(args, "seed", 0);
  if(c->size > DELTA_MAX) c->size = DELTA_MAX;
  if(c->period_us < 0) c->period_us = 0;
  if(c->seed < 0) c->seed = 0;
  c->turn = TURN_STREAM;
  ev_created();
  buf_add(&wire, sse_head, sizeof sse_head - 1);
  chunk_add(&wire, play.b.p, play.b.n);
  if(c->period_us) due(c, now_us() + c->period_us);
  else stream_go(c);
}

/* ---------- the scenarios of completions ---------- */

static void sc_normal(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_echo(const char *args, const struct buf *prompt)
{
  static struct buf q;
  enum { PIECE = 64 << 10 };
  (void)args;
  ev_created();
  for(size_t at = 0, n; at < prompt->n; at += n) {
    n = prompt->n - at < PIECE ? prompt->n - at : PIECE;
    while(at + n < prompt->n && ((unsigned char)prompt->p[at + n] & 0xc0) == 0x80) n--; /* between characters */
    q.n = 0;
    quote(&q, prompt->p + at, n);
    *buf_room(&q, 1) = 0;
    ev_say("answer", q.p);
  }
  ev_end();
  play_end(STEP_END);
}

#define SUM_ANSWER() (ev_say("answer", "\"2 + 2\""), ev_say("answer", "\" = 4\""), ev_end())

static void sc_thinking(const char *args, const struct buf *prompt)
{
  static const struct { int times; const char *titles, *thoughts; } steps[] = {
    { 1, "[\"Reading the task\"]", "[\"The user wants \"]" },
    { 3, "[\"Reading the task\"]", "[\"The user wants a sum.\"]" },
    { 3, "[\"Reading the task\",\"Adding\"]", "[\"The user wants a sum.\",\"It is four.\"]" } };
  (void)args, (void)prompt;
  ev_created();
  for(size_t i = 0; i < NELEM(steps); i++)
    for(int k = 0; k < steps[i].times; k++) {
      char more[256];
      snprintf(more, sizeof more,
               ",\"extra\":{\"summary_title\":{\"content\":%s},\"summary_thought\":{\"content\":%s}}", steps[i].titles,
               steps[i].thoughts);
      ev_delta("assistant", "thinking_summary", "\"\"", "typing", more);
    }
  ev_stop("thinking_summary");
  SUM_ANSWER();
  play_end(STEP_END);
}

static void think(void)
{
  ev_created();
  ev_say("think", "\"Let me \"");
  ev_say("think", "\"count: 2 + 2\"");
  ev_stop("think");
}

static void sc_thinking_detail(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  think();
  SUM_ANSWER();
  play_end(STEP_END);
}

static void sc_think_only(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  think();
  ev_end();
  play_end(STEP_END);
}

static void search_answer(void)
{
  static const char *const parts[] = { "\"It rains \"", "\"[\"", "\"[1\"", "\"]]\"", "\".\"" };
  for(size_t i = 0; i < NELEM(parts); i++) ev_say("answer", parts[i]);
  ev_end();
  play_end(STEP_END);
}

static void sc_search(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_delta("assistant", "web_search", "\"\"", "typing",
           ",\"function_id\":\"round_0_1\",\"function_call\":{\"name\":\"web_search\",\"arguments\":\"{\\\"queries\\\":"
           "[\\\"weather\\\"]}\"}"
           ",\"extra\":{\"display_position\":\"answer\"}");
  ev_delta("function", "web_search", "\"tool text that is not the answer\"", "finished",
           ",\"name\":\"web_search\",\"function_id\":\"round_0_1\",\"extra\":{\"tool_result\":{\"docs\":["
           "{\"url\":\"https://example.org/a\",\"title\":\"A|B [x]\",\"snippet\":\"s\",\"date\":\"2026-03-01\"},"
           "{\"url\":\"https://example.org/b (1)\",\"title\":\"B\"},{\"url\":\"https://example.org/a\",\"title\":\"A "
           "again\"}],\"used_id\":3}}");
  search_answer();
}

static void sc_search_old(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_delta("assistant", "web_search", "\"\"", "typing",
           ",\"extra\":{\"web_search_info\":[{\"url\":\"https://example.org/"
           "a\",\"title\":\"A\",\"snippet\":\"s\",\"hostname\":\"example.org\","
           "\"hostlogo\":null,\"date\":\"\"}]}");
  search_answer();
}

static void sc_slow(const char *args, const struct buf *prompt)
{
  (void)prompt;
  int total = (int)param(args, "s", 0) * 1000, step = pace_ms;
  total = (int)param(args, "ms", total ? total : 5 * pace_ms);
  bool quiet = param(args, "quiet", 0) != 0;
  wait_ms(total < step ? total : step);
  for(int t = step; t < total; t += step) {
    if(!quiet) ev_alive();
    wait_ms(total - t < step ? total - t : step);
  }
  sc_normal(args, prompt);
}

static void sc_stall(const char *args, const struct buf *prompt)
{
  (void)prompt;
  if(param(args, "created", 0)) ev_created();
  play_end(STEP_HOLD);
}

static void sc_stall_midway(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 3);
  play_end(STEP_HOLD);
}

static void three_deltas(enum step_act act)
{
  ev_created();
  ev_normal(0, 3);
  wait_ms(100); /* a reset would overtake what is still under way */
  play_end(act);
}

static void sc_drop(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  three_deltas(STEP_RESET);
}

static void sc_drop_clean(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  three_deltas(STEP_FIN);
}

static void sc_empty(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  play_end(STEP_END);
}

static void sc_created_only(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  play_end(STEP_END);
}

#define EV_INTERNAL() ev("{\"error\":{\"code\":\"internal_error\",\"details\":\"Internal error...\"}}")

static void sc_err_in_stream(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  EV_INTERNAL();
  play_end(STEP_END);
}

static void sc_err_midway(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 3);
  EV_INTERNAL();
  play_end(STEP_END);
}

static void sc_fail_in_sse(const char *args, const struct buf *prompt)
{
  (void)prompt;
  ev_created();
  ev_normal(0, (size_t)param(args, "after", 1) % 6);
  ev("{\"success\":false,\"request_id\":\"f\",\"data\":{\"code\":\"RateLimited\",\"details\":\"Allocated quota "
     "exceeded\"}}");
  play_end(STEP_END);
}

static void sc_moderation(const char *args, const struct buf *prompt)
{
  (void)prompt;
  ev_created();
  ev_normal(0, (size_t)param(args, "after", 0) % 6);
  ev("{\"error\":{\"code\":\"data_inspection_failed\",\"details\":\"Content security warning: inappropriate "
     "content\"}}");
  play_end(STEP_END);
}

static void sc_malformed(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_raw("event: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"bro\n\n: a comment\n\n:\n\ndata:\n\nid: "
         "7\nretry: 10\n\n");
  ev_normal(0, 2);
  ev_raw("data: not json at all\n\n\n\n");
  play.eol = "   \n";
  ev_normal(2, 3);
  play.eol = "\n";
  ev_normal(3, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_with_done(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_end();
  ev("[DONE]");
  play_end(STEP_END);
}

static void sc_no_final_blank(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_end();
  play.b.n -= 2;
  play_end(STEP_END);
}

static void sc_multi_line(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  for(size_t i = 0; i < 5; i++) {
    ev_raw("data: {\"choices\":[{\"delta\":\ndata: {\"role\":\"assistant\",\ndata:\"content\":");
    ev_raw(normal_parts[i]);
    ev_raw(",\"phase\":\"answer\",\"status\":\"typing\"}}]}\n\n");
  }
  ev_end();
  play_end(STEP_END);
}

static void sc_split(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_say("answer", "\" pair \\ud83d\\ude00 raw \xf0\x9f\x98\x80\xf0\x9f\x8f\xb3 \\\"q\\\" \\n\\t\\\\ \\u00e9.\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_split_char_delta(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_say("answer", "\"smile \\ud83d\"");
  ev_say("answer", "\"\\ude00 done\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_cumulative(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_say("answer", "\"The first twenty bytes\"");
  ev_say("answer", "\"The first twenty bytes and more\"");
  ev_say("answer", "\"The first twenty bytes and more and the end\"");
  ev_say("answer", "\"The first twenty bytes and more and the end.\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_repeat(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  for(int i = 0; i < 4; i++) ev_say("answer", i < 3 ? "\"ha \"" : "\"ha\"");
  ev_end();
  play_end(STEP_END);
}

static void sc_two_ids(const char *args, const struct buf *prompt)
{
  static const char other[] = "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"INTRUDER\",\"phase\":"
                              "\"answer\",\"status\":\"%s\"}}],"
                              "\"response_id\":\"another-reply\"}";
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 2);
  ev(other, "typing");
  ev_normal(2, 4);
  ev(other, "finished");
  ev_normal(4, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_unknown_phase(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null,\"phase\":\"foo\",\"status\":\"typing\"}}]" RID
     "}",
     RIDS);
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"held \"}}]" RID "}", RIDS);
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":[{\"text\":\"back\"},\" "
     "here\"],\"phase\":\"foo\"}}]" RID ",\"usage\":"
     "{\"input_tokens\":\"31\",\"output_tokens\":\"20\",\"total_tokens\":\"51\"}}",
     RIDS);
  play_end(STEP_END);
}

static void sc_finish_then_more(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_say("answer", "\"first \"");
  ev_stop("answer");
  ev_say("web_search", "\"\"");
  ev_stop("web_search");
  ev_say("answer", "\"second\"");
  ev_end();
  play_end(STEP_END);
}

static void big_event(size_t n)
{
  ev_created();
  ev_raw("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"");
  memset(buf_room(&play.b, n), 'x', n);
  play.b.n += n;
  ev_raw("\",\"phase\":\"answer\",\"status\":\"typing\"}}]}\n\n");
  ev_normal(0, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_huge(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  big_event(3u << 20);
}

static void sc_too_huge(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  big_event(20u << 20);
}

static void sc_deep(const char *args, const struct buf *prompt)
{
  (void)prompt;
  long depth = param(args, "n", 10000);
  if(depth < 1 || depth > 1000000) depth = 10000;
  ev_created();
  ev_raw("data: ");
  memset(buf_room(&play.b, (size_t)depth * 2), '[', (size_t)depth);
  memset(play.b.p + play.b.n + depth, ']', (size_t)depth);
  play.b.n += (size_t)depth * 2;
  ev_raw("\n\n");
  ev_normal(0, 5);
  ev_end();
  play_end(STEP_END);
}

static void sc_late_usage(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_stop("answer");
  wait_ms(pace_ms * 5 / 2);
  ev("{\"choices\":[]" RID "," USAGE "}", RIDS);
  play_end(STEP_END);
}

static void sc_no_usage(const char *args, const struct buf *prompt)
{
  (void)args, (void)prompt;
  ev_created();
  ev_normal(0, 5);
  ev_stop("answer");
  play_end(STEP_END);
}

/* A call of a client's tool as text, cut into three bytes a delta; tag= chooses the envelope. */
static void say_cut(const char *phase, const char *text)
{
  static struct buf q;
  for(size_t n = strlen(text), at = 0; at < n; at += 3) {
    q.n = 0;
    quote(&q, text + at, n - at < 3 ? n - at : 3);
    *buf_room(&q, 1) = 0;
    ev_say(phase, q.p);
  }
}

enum tool_kind { TOOL_PLAIN, TOOL_FENCED, TOOL_TWO, TOOL_BROKEN, TOOL_THINK };

static void tool_text(const char *args, enum tool_kind kind)
{
  char tag[32], name[64], call[512], text[1400];
  struct span t = param_text(args, "tag"), f = param_text(args, "name");
  copy_span(tag, sizeof tag, t.n ? t : (struct span){ "tool_call", 9 });
  copy_span(name, sizeof name, f.n ? f : (struct span){ "get_weather", 11 });
  if(kind == TOOL_BROKEN)
    snprintf(call, sizeof call, "<%s>\n{'name': '%s', 'arguments': {'city': 'Paris',}}\n</%s>", tag, name, tag);
  else snprintf(call, sizeof call, "<%s>\n{\"name\":\"%s\",\"arguments\":{\"city\":\"Paris\"}}\n</%s>", tag, name, tag);
  ev_created();
  if(kind == TOOL_THINK) {
    say_cut("think", call);
    ev_stop("think");
  }
  if(kind == TOOL_FENCED) snprintf(text, sizeof text, "Let me look.\n```json\n%s\n```\nDone.", call);
  else if(kind == TOOL_TWO) snprintf(text, sizeof text, "Let me look.\n%s\n%s\nDone.", call, call);
  else if(kind == TOOL_THINK) snprintf(text, sizeof text, "It is sunny.");
  else snprintf(text, sizeof text, "Let me look.\n%s\nDone.", call);
  say_cut("answer", text);
  ev_end();
  play_end(STEP_END);
}

#define TOOL_SCENARIO(fn, kind)                          \
  static void fn(const char *args, const struct buf *prompt) \
  {                                                      \
    (void)prompt;                                        \
    tool_text(args, kind);                               \
  }
TOOL_SCENARIO(sc_tool_text, TOOL_PLAIN)
TOOL_SCENARIO(sc_tool_fenced, TOOL_FENCED)
TOOL_SCENARIO(sc_tool_two, TOOL_TWO)
TOOL_SCENARIO(sc_tool_broken, TOOL_BROKEN)
TOOL_SCENARIO(sc_tool_think, TOOL_THINK)

static void sc_native_call(const char *args, const struct buf *prompt)
{
  static const char *const snapshots[] = { "{\\\"ci", "{\\\"city\\\":\\\"Pa", "{\\\"city\\\":\\\"Paris\\\"}" };
  char name[64], more[256];
  struct span f = param_text(args, "name");
  (void)prompt;
  copy_span(name, sizeof name, f.n ? f : (struct span){ "get_weather", 11 });
  ev_created();
  for(size_t i = 0; i < NELEM(snapshots); i++) {
    snprintf(more, sizeof more,
             ",\"function_id\":\"round_0_1\",\"function_call\":{\"name\":\"%s\",\"arguments\":\"%s\"}", name,
             snapshots[i]);
    ev_delta("assistant", "tool_call", "\"\"", i < 2 ? "typing" : "finished", more);
  }
  char refusal[128];
  snprintf(refusal, sizeof refusal, "\"Tool %s does not exists.\"", name);
  snprintf(more, sizeof more, ",\"name\":\"%s\",\"function_id\":\"round_0_1\"", name);
  ev_delta("function", "tool_call", refusal, "finished", more);
  ev_say("answer", "\"I have no such tool.\"");
  ev_end();
  play_end(STEP_END);
}

/* Further kinds (pictures, videos, research) are one function and one row each. */
static const struct scenario {
  const char *name;
  void (*run)(const char *args, const struct buf *prompt);
  const char *lead, *eol;
  size_t chunk, cut; /* bytes of a chunk; bytes of a write, cutting chunk sizes too */
  bool gzip, bad_end;
} scenarios[] = {
  { .name = "normal", .run = sc_normal },
  { .name = "echo", .run = sc_echo },
  { .name = "thinking", .run = sc_thinking },
  { .name = "thinking_detail", .run = sc_thinking_detail },
  { .name = "think_only", .run = sc_think_only },
  { .name = "search", .run = sc_search },
  { .name = "search_old", .run = sc_search_old },
  { .name = "slow", .run = sc_slow },
  { .name = "stall", .run = sc_stall },
  { .name = "stall_midway", .run = sc_stall_midway },
  { .name = "drop", .run = sc_drop },
  { .name = "drop_clean", .run = sc_drop_clean },
  { .name = "empty", .run = sc_empty },
  { .name = "created_only", .run = sc_created_only },
  { .name = "err_in_stream", .run = sc_err_in_stream },
  { .name = "err_midway", .run = sc_err_midway },
  { .name = "fail_in_sse", .run = sc_fail_in_sse },
  { .name = "moderation", .run = sc_moderation },
  { .name = "malformed", .run = sc_malformed },
  { .name = "crlf", .run = sc_normal, .eol = "\r\n" },
  { .name = "no_space", .run = sc_normal, .lead = "data:" },
  { .name = "no_final_blank", .run = sc_no_final_blank },
  { .name = "with_done", .run = sc_with_done },
  { .name = "multi_line", .run = sc_multi_line },
  { .name = "gzip", .run = sc_normal, .gzip = true },
  { .name = "gzip_bad", .run = sc_normal, .gzip = true, .bad_end = true },
  { .name = "split1", .run = sc_split, .chunk = 1 },
  { .name = "split7", .run = sc_split, .chunk = 50, .cut = 7 },
  { .name = "split_crlf", .run = sc_split, .eol = "\r\n", .chunk = 1 },
  { .name = "split_char_delta", .run = sc_split_char_delta },
  { .name = "cumulative", .run = sc_cumulative },
  { .name = "repeat", .run = sc_repeat },
  { .name = "two_ids", .run = sc_two_ids },
  { .name = "unknown_phase", .run = sc_unknown_phase },
  { .name = "finish_then_more", .run = sc_finish_then_more },
  { .name = "huge", .run = sc_huge },
  { .name = "too_huge", .run = sc_too_huge },
  { .name = "deep", .run = sc_deep },
  { .name = "late_usage", .run = sc_late_usage },
  { .name = "no_usage", .run = sc_no_usage },
  { .name = "tool_text", .run = sc_tool_text },
  { .name = "tool_text_fenced", .run = sc_tool_fenced },
  { .name = "tool_text_two", .run = sc_tool_two },
  { .name = "tool_text_broken", .run = sc_tool_broken },
  { .name = "tool_text_think", .run = sc_tool_think },
  { .name = "native_call", .run = sc_native_call },
};

static void scenario_play(struct conn *c, const struct scenario *s, const char *args, const struct buf *prompt)
{
  play.c = c;
  play.b.n = 0;
  play.lead = s->lead ? s->lead : "data: ";
  play.eol = s->eol ? s->eol : "\n";
  play.chunk = s->chunk;
  play.gzip = s->gzip;
  c->packed = s->gzip;
  c->body.n = c->body_at = 0;
  c->step_n = c->step_at = 0;
  buf_text(&c->body, s->gzip ? sse_head_gzip : sse_head);
  if(s->gzip) pack_begin();
  s->run(args, prompt);
  if(s->gzip) deflateEnd(&packer);
  if(s->bad_end) c->body.p[c->body.n - sizeof last_chunk + 1 - 2 - 8] ^= 0x55; /* the checksum, before its CRLF */
  if(s->cut) {
    c->step_n = 0;
    for(size_t at = s->cut; at < c->body.n; at += s->cut) step_add(c, at, 0, STEP_GO);
    step_add(c, c->body.n, 0, STEP_END);
  }
  play.gzip = false;
  play.chunk = 0;
  buf_shrink(&play.b);
}

/* "normal" is made once, with and without phases; per answer only the ids are written in. */
static struct { struct buf b; size_t at[32], n; } ready[2];

static void normal_make(void)
{
  for(int k = 0; k < 2; k++) {
    struct conn c = { .no_phase = k, .chat = NOBODY };
    memcpy(c.digits, blank_digits, CHAT_DIGITS);
    scenario_play(&c, &scenarios[0], "", NULL);
    ready[k].b = c.body;
    free(c.steps);
    for(char *p = c.body.p; (p = memmem(p, (size_t)(c.body.p + c.body.n - p), blank_digits, CHAT_DIGITS)) != NULL;
        p += CHAT_DIGITS)
      ready[k].at[ready[k].n++] = (size_t)(p - c.body.p);
  }
}

static void scenario_start(struct conn *c, const char *name, const char *args, const struct buf *prompt)
{
  if(strcmp(name, "normal") == 0) {
    char *o = buf_room(&wire, ready[c->no_phase].b.n);
    memcpy(o, ready[c->no_phase].b.p, ready[c->no_phase].b.n);
    for(size_t i = 0; i < ready[c->no_phase].n; i++) memcpy(o + ready[c->no_phase].at[i], c->digits, CHAT_DIGITS);
    wire.n += ready[c->no_phase].b.n;
    chat_release(c, 0);
    return;
  }
  if(strcmp(name, "stream") == 0 || strcmp(name, "stamp") == 0) {
    play.c = c;
    play.b.n = 0;
    play.lead = "data: ";
    play.eol = "\n";
    c->packed = false;
    stream_start(c, args, name[2] == 'a');
    return;
  }
  for(size_t i = 0; i < NELEM(scenarios); i++)
    if(strcmp(name, scenarios[i].name) == 0) {
      chats[c->chat].scenario = (uint8_t)(i + 1);
      chats[c->chat].whole = param(args, "full", 0) != 0;
      scenario_play(c, &scenarios[i], args, prompt);
      turn_play(c);
      return;
    }
  if(strcmp(name, "drop_early") == 0) chat_release(c, 1000000); /* the turn may go on: nobody was told */
  if(!reply_fixed(c, name)) {
    stat_.bad++;
    reply_json(500, "{\"detail\":\"this upstream knows no scenario of that name\"}");
  }
  if(!c->dead) chat_release(c, 0);
}

/* ---------- endpoints ---------- */

static struct token *caller; /* of the request being served */

static int authorized(const struct req *r)
{
  struct span t = r->auth;
  if(t.n > 7 && strncasecmp(t.p, "bearer ", 7) == 0) t = (struct span){ t.p + 7, t.n - 7 };
  else t = cookie_value(r->cookie, "token");
  caller = token_find(t);
  if(!caller || caller->dead || caller->expires_s <= wall_s() || caller->kind == TOKEN_REFRESH) return NOBODY;
  if(set.exchange && caller->kind != TOKEN_ACCESS) return NOBODY;
  return caller->account;
}

static void reply_unauthorized(void)
{
  stat_.refused++;
  if(set.auth_status == 401) reply_fixed(NULL, "401");
  else reply_fail(200, "unauthorized", "Token has expired, please log in again.");
}

static void signin(bool v2, struct entry *log)
{
  static struct buf email;
  if((v2 ? set.signin_v2 : set.signin_v1) != 200) {
    reply_json(404, "{\"detail\":\"Not Found\"}");
    return;
  }
  struct span hash = js_span(js_get(0, "password"));
  bool hex = hash.n == 64;
  for(size_t i = 0; hex && i < 64; i++) hex = is_hex(hash.p[i]) && (hash.p[i] < 'A' || hash.p[i] > 'F');
  js_text(js_get(0, "email"), &email);
  if(!hex || !email.n) {
    stat_.bad++;
    reply_invalid(hex ? "body -> email" : "body -> password", "64 lowercase hex digits and an address");
    return;
  }
  int who = NOBODY;
  for(int i = 0; i < account_n && who == NOBODY; i++)
    if(strcmp(accounts[i].email, email.p) == 0) who = i;
  log->account = who;
  char want[65];
  if(who != NOBODY) {
    unsigned char h[32];
    br_sha256_context s;
    br_sha256_init(&s);
    br_sha256_update(&s, accounts[who].password, strlen(accounts[who].password));
    br_sha256_out(&s, h);
    for(int i = 0; i < 32; i++) snprintf(want + i * 2, 3, "%02x", h[i]);
  }
  if(who != NOBODY && accounts[who].challenged) {
    reply_fixed(NULL, "html");
  } else if(who == NOBODY || accounts[who].refuses || memcmp(hash.p, want, 64) != 0) {
    int status = who != NOBODY && accounts[who].refuses ? 401 : 400;
    if(v2)
      reply_fail(status, status == 401 ? "Unauthorized" : "Bad_Request",
                 "The email or password provided is incorrect.");
    else reply_json(status, "{\"detail\":\"The email or password provided is incorrect.\"}");
  } else {
    enum { LIFE_S = 30 * 86400 };
    stat_.signins++;
    accounts[who].signins++;
    const char *session = token_make(who, TOKEN_SESSION, LIFE_S),
               *refresh = v2 ? token_make(who, TOKEN_REFRESH, LIFE_S) : "";
    long long expires = (long long)wall_s() + LIFE_S;
    char body[2048], cookies[2048];
    int n =
        v2 ? snprintf(body, sizeof body,
                      "{\"success\":true,\"request_id\":\"s\",\"data\":{\"id\":\"00000000-0000-4000-8000-%012d\","
                      "\"email\":\"%s\","
                      "\"role\":\"user\",\"token\":\"%s\",\"refresh_token\":\"%s\",\"expires_at\":%lld}}",
                      who + 1, accounts[who].email, session, refresh, expires)
           : snprintf(
                 body, sizeof body,
                 "{\"id\":\"00000000-0000-4000-8000-%012d\",\"email\":\"%s\",\"name\":\"user\",\"role\":\"user\","
                 "\"profile_image_url\":\"/user.png\",\"token_type\":\"Bearer\",\"token\":\"%s\",\"expires_at\":%lld}",
                 who + 1, accounts[who].email, session, expires);
    cookies[0] = 0;
    if(v2)
      snprintf(cookies, sizeof cookies,
               "Set-Cookie: token=%s; Path=/; HttpOnly; Secure\r\nSet-Cookie: refresh_token=%s; Path=/; HttpOnly; "
               "Secure\r\n",
               session, refresh);
    reply(200, JSON, cookies, body, (size_t)n);
  }
}

static void h_signin_v1(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)who;
  signin(false, log);
}

static void h_signin_v2(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)who;
  signin(true, log);
}

/* The session or the refresh token for an access token of 900 s. A refresh token is good once. */
static void h_exchange(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)who;
  if(!r->origin.n) {
    reply_fail(200, "Bad_Request", "Missing origin");
    return;
  }
  struct token *k = token_find(cookie_value(r->cookie, "refresh_token"));
  if(!k) k = token_find(cookie_value(r->cookie, "token"));
  if(!k || k->dead || k->kind == TOKEN_ACCESS || k->expires_s <= wall_s()) {
    stat_.refused++;
    reply_fail(401, "Unauthorized", "401 Unauthorized");
    return;
  }
  int account = k->account;
  if(k->kind == TOKEN_REFRESH) k->dead = true;
  log->account = account;
  const char *access = token_make(account, TOKEN_ACCESS, 900),
             *refresh = token_make(account, TOKEN_REFRESH, 30 * 86400);
  reply_json(200, "{\"success\":true,\"request_id\":\"x\",\"data\":{\"access_token\":\"%s\",\"refresh_token\":\"%s\"}}",
             access, refresh);
}

static void h_user_v1(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  reply_json(200, "{\"id\":\"00000000-0000-4000-8000-%012d\",\"email\":\"%s\",\"role\":\"user\"}", who + 1,
             accounts[who].email);
}

static void h_user_v2(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  reply_json(
      200, "{\"success\":true,\"data\":{\"id\":\"00000000-0000-4000-8000-%012d\",\"email\":\"%s\",\"role\":\"user\"}}",
      who + 1, accounts[who].email);
}

static const struct { const char *id, *json;
} models[] = {
  { "qwen3.7-plus", /* hybrid, with search, pictures and videos */
    "{\"id\":\"qwen3.7-plus\",\"name\":\"Qwen3.7-Plus\",\"object\":\"model\",\"owned_by\":\"qwen\",\"preset\":true,"
    "\"action_ids\":[],"
    "\"info\":{\"id\":\"qwen3.7-plus\",\"base_model_id\":null,\"name\":\"Qwen3.7-Plus\",\"is_active\":true,\"is_"
    "visitor_active\":true,"
    "\"created_at\":1755000000,\"meta\":{\"description\":\"d\",\"max_context_length\":1000000,\"max_generation_"
    "length\":65536,"
    "\"max_thinking_generation_length\":81920,\"capabilities\":{\"vision\":true,\"document\":true,\"video\":true,"
    "\"audio\":false,"
    "\"thinking\":true,\"search\":true},\"abilities\":{\"vision\":1,\"thinking\":1,\"parse_url\":2},\"auto_thinking\":"
    "true,"
    "\"think_skip\":{\"enable\":true},\"chat_type\":[\"t2t\",\"search\",\"t2i\",\"image_edit\",\"t2v\"],"
    "\"modality\":[\"text\",\"image\",\"video\"]}}}" },
  { "qwen3-max", "{\"id\":\"qwen3-max\",\"name\":\"Qwen3-Max\",\"info\":{\"created_at\":1757376000,\"meta\":{"
                 "\"abilities\":{\"thinking\":4},"
                 "\"chat_type\":[\"t2t\",\"search\"]}}}" },
  { "qwen3.7-max", /* text only, no thinking */
    "{\"id\":\"qwen3.7-max\",\"name\":\"Qwen3.7-Max\",\"info\":{\"created_at\":1767376000,\"is_active\":1,\"meta\":{"
    "\"capabilities\":"
    "{\"thinking\":false},\"chat_type\":[\"t2t\"]}}}" },
  { "qwen3-vl-plus", "{\"id\":\"qwen3-vl-plus\",\"name\":\"Qwen3-VL\",\"info\":{\"meta\":{\"capabilities\":{\"vision\":"
                     "true,\"thinking\":null},"
                     "\"chat_type\":[\"t2t\"]}}}" },
  { "bare-model", "{\"id\":\"bare-model\"}" },
  { "gone-model", "{\"id\":\"gone-model\",\"name\":\"Gone\",\"info\":{\"is_active\":false}}" },
  { "qwen-max-latest", NULL }, /* an old name that is still served, though not listed */
};

static bool model_known(struct span id)
{
  const char *hash = memchr(id.p ? id.p : "", '#', id.n);
  if(hash) id.n = (size_t)(hash - id.p);
  for(size_t i = 0; i < NELEM(models); i++)
    if(span_is(id, models[i].id)) return true;
  return false;
}

static void models_reply(const char *before, const char *after, int who)
{
  static struct buf b;
  enum { GUEST_MODELS = 3 };
  b.n = 0;
  buf_text(&b, before);
  for(size_t i = 0; i < (who == NOBODY ? GUEST_MODELS : NELEM(models)) && models[i].json; i++) {
    if(i) buf_text(&b, ",");
    buf_text(&b, models[i].json);
  }
  buf_text(&b, after);
  reply(200, JSON, "", b.p, b.n);
}

static void h_models_v1(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  models_reply("{\"data\":[", "]}", who);
}

static void h_models_v2(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  models_reply("{\"success\":true,\"request_id\":\"m\",\"data\":{\"data\":[", "]}}", who);
}

static void h_new(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)r;
  size_t from = wire.n, type = 0;
  struct span wanted = js_span(js_get(0, "chat_type"));
  while(type < NELEM(chat_types) && !span_is(wanted, chat_types[type])) type++;
  double ms = js_number(js_get(0, "timestamp"));
  const char *field = !js_span(js_item(js_get(0, "models"), 0)).n ? "body -> models"
                      : ms <= 1e12 || ms > 1e14                   ? "body -> timestamp"
                      : type == NELEM(chat_types)                 ? "body -> chat_type"
                      : !js_is(js_get(0, "chat_mode"), "normal")  ? "body -> chat_mode"
                                                                  : NULL;
  if(field) {
    stat_.bad++;
    reply_invalid(field, "missing or bad");
    return;
  }
  if(chat_n == chat_cap) {
    chat_cap = chat_cap ? chat_cap * 2 : 4096;
    chats = must(realloc(chats, chat_cap * sizeof *chats));
  }
  chats[chat_n] =
      (struct chat){ .account = who, .type = (uint8_t)type, .alive = true, .created_s = (uint32_t)wall_s() };
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 121\r\n\r\n"
                             "{\"success\":true,\"request_id\":\"2f6c0000-0000-4000-8000-000000000000\",\"data\":{"
                             "\"id\":\"6a1d9a5e-0000-4000-8000-";
  char digits[CHAT_DIGITS];
  digits12(digits, chat_n);
  memcpy(log->chat, chat_prefix, sizeof chat_prefix - 1);
  memcpy(log->chat + sizeof chat_prefix - 1, digits, CHAT_DIGITS);
  log->chat[CHAT_ID_N] = 0;
  if(set.gzip) {
    reply_json(200, "{\"success\":true,\"data\":{\"id\":\"%s\"}}", log->chat);
  } else {
    buf_add(&wire, head, sizeof head - 1);
    buf_add(&wire, digits, CHAT_DIGITS);
    buf_add(&wire, "\"}}", 3);
  }
  chat_n++;
  turn_later(c, from, set.new_ms);
}

static void h_list(struct conn *c, const struct req *r, int who, struct entry *log)
{
  enum { PAGE = 50 };
  static struct buf b;
  (void)c, (void)log;
  struct span page = query_value(r->query, "page");
  long skip = page.n ? (strtol(page.p, NULL, 10) - 1) * PAGE : 0;
  int shown = 0;
  b.n = 0;
  buf_text(&b, "{\"success\":true,\"request_id\":\"l\",\"data\":[");
  for(size_t i = chat_n; i-- > 0 && shown < PAGE;)
    if(chats[i].alive && chats[i].account == who && skip-- <= 0)
      buf_fmt(&b,
              "%s{\"id\":\"%s%012zu\",\"title\":\"New Chat\",\"created_at\":%u,\"updated_at\":%u,\"chat_type\":\"%s\"}",
              shown++ ? "," : "", chat_prefix, i, chats[i].created_s, chats[i].created_s, chat_types[chats[i].type]);
  buf_text(&b, "]}");
  reply(200, JSON, "", b.p, b.n);
}

static struct span path_id(const struct req *r)
{
  size_t n = strlen("/api/v2/chats/");
  return (struct span){ r->path.p + n, r->path.n - n };
}

static void h_detail(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c;
  copy_span(log->chat, sizeof log->chat, path_id(r));
  struct chat *ch = chat_by_id(path_id(r), who);
  if(!ch) {
    reply_fail(200, "CHAT_NOT_FOUND", "chat not found");
    return;
  }
  char rid[CHAT_ID_N + 1], answer[400] = "";
  snprintf(rid, sizeof rid, "%s%012zu", reply_prefix, (size_t)(ch - chats));
  const char *name = ch->scenario ? scenarios[ch->scenario - 1].name : "normal";
  bool part = (strncmp(name, "drop", 4) == 0 || strncmp(name, "stall", 5) == 0) && !ch->whole;
  if(ch->created_s)
    snprintf(answer, sizeof answer,
             "{\"phase\":\"think\",\"content\":\"\"},{\"phase\":\"answer\",\"content\":\"%s\",\"extra\":{}}",
             part ? "Hello, 世界! This " : "Hello, 世界! This is the fake upstream.");
  reply_json(
      200,
      "{\"success\":true,\"data\":{\"id\":\"%s\",\"title\":\"New "
      "Chat\",\"chat\":{\"history\":{\"currentId\":\"%s\",\"messages\":{"
      "\"u1\":{\"id\":\"u1\",\"role\":\"user\",\"content\":\"(not kept)\",\"parentId\":null,\"childrenIds\":[\"%s\"]},"
      "\"%s\":{\"id\":\"%s\",\"role\":\"assistant\",\"content\":\"\",\"parentId\":\"u1\",\"childrenIds\":[],\"content_"
      "list\":[%s]}}},"
      "\"messages\":[]}}}",
      log->chat, rid, rid, rid, rid, answer);
}

static void h_delete(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c;
  struct span id = path_id(r);
  copy_span(log->chat, sizeof log->chat, id);
  if(!id.n) { /* what the real one does; no test may ever see it */
    stat_.deleted_all++;
    for(size_t i = 0; i < chat_n; i++)
      if(chats[i].account == who) chats[i].alive = false;
  } else {
    struct chat *ch = chat_by_id(id, who);
    if(!ch) {
      reply_fail(404, "Not_Found", "no such chat");
      return;
    }
    ch->alive = false;
  }
  reply_json(200, "{\"success\":true,\"data\":{\"status\":true}}");
}

/* The last scenario named in the prompt. */
static bool prompt_scenario(const struct buf *prompt, char *name, size_t name_cap, char *args, size_t args_cap)
{
  static const char mark[] = "[[scenario:";
  const char *at = NULL, *e = prompt->p + prompt->n;
  for(const char *p = prompt->p; p && (p = memmem(p, (size_t)(e - p), mark, sizeof mark - 1)) != NULL;
      p += sizeof mark - 1)
    at = p;
  if(!at) return false;
  at += sizeof mark - 1;
  const char *close = memmem(at, (size_t)(e - at), "]]", 2),
             *blank = close ? memchr(at, ' ', (size_t)(close - at)) : NULL;
  if(!close) return false;
  copy_span(name, name_cap, (struct span){ at, (size_t)((blank ? blank : close) - at) });
  copy_span(args, args_cap, blank ? (struct span){ blank, (size_t)(close - blank) } : SPAN_NONE);
  return true;
}

static const char *completion_fault(int message)
{
  double s = js_number(js_get(0, "timestamp")), ms = js_number(js_get(message, "timestamp"));
  int parent = js_get(0, "parent_id"), content = js_get(message, "content");
  if(!js_is(js_get(message, "role"), "user")) return "body -> messages -> 0 -> role";
  if(!js_kind_is(js_get(0, "stream"), JS_TRUE)) return "body -> stream";
  if(s < 1e9 || s > 1e11) return "body -> timestamp";
  if(js_get(message, "timestamp") != JS_NONE && (ms < 1e9 || ms > 1e11)) return "body -> messages -> 0 -> timestamp";
  if(!js_kind_is(content, JS_STRING) && !js_kind_is(content, JS_ARRAY)) return "body -> messages -> 0 -> content";
  if(!js_kind_is(js_get(message, "feature_config"), JS_OBJECT)) return "body -> messages -> 0 -> feature_config";
  if(parent != JS_NONE && !js_kind_is(parent, JS_NULL) && !js_kind_is(parent, JS_STRING)) return "body -> parent_id";
  return NULL;
}

static void h_completions(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf prompt, part;
  char name[48] = "normal", args[256] = "";
  struct span id = query_value(r->query, "chat_id");
  copy_span(log->chat, sizeof log->chat, id);
  if(!id.n) {
    stat_.bad++;
    reply_invalid("query -> chat_id", "Field required");
    return;
  }
  struct chat *ch = chat_by_id(id, who);
  int messages = js_get(0, "messages"), m = js_item(messages, 0), body_id = js_get(0, "chat_id");
  if(!ch) {
    reply_fail(200, "CHAT_NOT_FOUND", "chat not found");
    return;
  }
  const char *field = !js_kind_is(messages, JS_ARRAY) || m == JS_NONE ? "body -> messages" : NULL;
  if(!field && js_item(messages, 1) != JS_NONE) {
    stat_.bad++;
    reply_fail(200, "Bad_Request", "Invalid input too many messages.");
    return;
  }
  if(!field) field = completion_fault(m);
  if(!field && body_id != JS_NONE && (js_span(body_id).n != id.n || memcmp(js_span(body_id).p, id.p, id.n) != 0))
    field = "body -> chat_id";
  if(field) {
    stat_.bad++;
    reply_invalid(field, "missing or bad");
    return;
  }
  struct span model = js_span(js_get(0, "model"));
  if(!model_known(model)) {
    reply_fail(200, "Bad_Request", "Model not found");
    return;
  }
  if(ch->conn || now_us() < ch->free_us) {
    reply_fail(200, "Bad_Request", "The chat is in progress!");
    return;
  }
  if(accounts[who].no_media && ch->type >= 2 && ch->type <= 4) {
    reply_fixed(c, "quota");
    return;
  }
  int content = js_get(m, "content");
  js_text(content, &prompt);
  for(int i = 0, item; js_kind_is(content, JS_ARRAY) && (item = js_item(content, i)) != JS_NONE;
      i++) { /* the older form */
    js_text(js_get(item, "text"), &part);
    buf_add(&prompt, part.p, part.n);
  }
  const char *hash = memchr(model.p, '#', model.n);
  bool scripted = script_next(EP_COMPLETIONS, name, sizeof name, args, sizeof args);
  if(!scripted && hash) copy_span(name, sizeof name, (struct span){ hash + 1, model.n - (size_t)(hash + 1 - model.p) });
  else if(!scripted) prompt_scenario(&prompt, name, sizeof name, args, sizeof args);
  memcpy(log->scenario, name, sizeof log->scenario);
  struct account *a = &accounts[who];
  if(strcmp(name, "expired") == 0) { /* once: whoever comes again has a new token */
    if(scripted || !a->expired) {
      a->expired = true;
      caller->dead = true;
      reply_fail(200, "unauthorized", "Token has expired, please log in again.");
      return;
    }
    memcpy(name, "normal", 7);
  } else if(strcmp(name, "in_progress") == 0) { /* the first two times */
    if(scripted || stat_.in_progress++ < 2) {
      reply_fail(200, "Bad_Request", "The chat is in progress!");
      return;
    }
    memcpy(name, "normal", 7);
  }
  ch->conn = c;
  c->chat = (int)(ch - chats);
  c->no_phase = !js_is(js_get(js_get(m, "feature_config"), "output_schema"), "phase");
  digits12(c->digits, (size_t)c->chat);
  running_n++;
  if(++a->running > a->max_running) a->max_running = a->running;
  scenario_start(c, name, args, &prompt);
}

/* Someone pressed stop: the running answer says so and ends. */
static void turn_stop(struct conn *c)
{
  static struct buf kept;
  if(c->turn == TURN_NONE || c->packed) {
    conn_drop(c, false);
    return;
  }
  kept.n = 0; /* the answer to the stop request itself is under way in `wire` */
  buf_add(&kept, wire.p, wire.n);
  wire.n = 0;
  if(c->turn == TURN_STEPS && c->body_at == 0) buf_add(&wire, sse_head, sizeof sse_head - 1);
  play.c = c;
  play.b.n = 0;
  play.lead = "data: ";
  play.eol = "\n";
  ev("{\"response.stopped\":{\"chat_id\":\"%s%.12s\"" RID "}}", chat_prefix, c->digits, RIDS);
  if(c->turn == TURN_STEPS && c->step_at < c->step_n && c->step_n > 64) { /* cut anywhere: no event could follow */
    conn_drop(c, false);
  } else {
    chunk_add(&wire, play.b.p, play.b.n);
    buf_text(&wire, last_chunk);
    conn_write(c, wire.p, wire.n);
    turn_end(c);
    if(c->close_after) conn_close(c);
    else if(!c->dead) due(c, now_us()); /* requests may wait behind it */
  }
  wire.n = 0;
  buf_add(&wire, kept.p, kept.n);
}

static void h_stop(struct conn *c, const struct req *r, int who, struct entry *log)
{
  struct span id = query_value(r->query, "chat_id"), body_id = js_span(js_get(0, "chat_id"));
  (void)c;
  copy_span(log->chat, sizeof log->chat, id);
  struct chat *ch = chat_by_id(id, who);
  if(!id.n || body_id.n != id.n || memcmp(id.p, body_id.p, id.n) != 0) {
    stat_.bad++;
    reply_invalid("query -> chat_id", "missing, or not that of the body");
    return;
  }
  if(!ch) {
    reply_fail(200, "CHAT_NOT_FOUND", "chat not found");
    return;
  }
  if(ch->conn) turn_stop(ch->conn);
  ch->free_us = 0;
  reply_json(200, "{\"success\":true,\"request_id\":\"p\",\"data\":{\"status\":true}}");
}

/* ---------- control ---------- */

static void c_stats(struct buf *b)
{
  long alive = 0;
  int most = 0;
  for(size_t i = 0; i < chat_n; i++) alive += chats[i].alive;
  for(int i = 0; i < account_n; i++)
    if(accounts[i].max_running > most) most = accounts[i].max_running;
  buf_fmt(b, "{\"requests\":%ld", stat_.requests);
  for(int i = 0; i < EP_N; i++) buf_fmt(b, ",\"%s\":%ld", endpoint_names[i], stat_.by[i]);
  buf_fmt(b,
          ",\"signins\":%ld,\"open\":%ld,\"running\":%ld,\"max_parallel\":%d,\"tls_full\":%ld,\"tls_resumed\":%ld,"
          "\"chats_alive\":%ld,"
          "\"refused\":%ld,\"bad\":%ld,\"deleted_all\":%s,\"accounts\":{",
          stat_.signins, open_n, running_n, most, stat_.tls_full, stat_.tls_resumed, alive, stat_.refused, stat_.bad,
          stat_.deleted_all ? "true" : "false");
  for(int i = 0, shown = 0; i < account_n && shown < 200; i++)
    if(accounts[i].max_running || accounts[i].signins)
      buf_fmt(b, "%s\"%s\":{\"running\":%d,\"max_parallel\":%d,\"signins\":%ld}", shown++ ? "," : "", accounts[i].email,
              accounts[i].running, accounts[i].max_running, accounts[i].signins);
  buf_text(b, "}}");
}

static void raw_get(uint64_t at, size_t n, struct buf *out)
{
  out->n = 0;
  for(size_t i = 0; i < n; i++) *buf_room(out, 1) = raw[(at + i) % RAW_MAX], out->n++;
}

static void c_log(struct buf *b, const struct req *r)
{
  static struct buf part;
  size_t have = entry_n < LOG_MAX ? entry_n : LOG_MAX, want = have;
  struct span n = query_value(r->query, "n");
  if(n.n && (size_t)strtoul(n.p, NULL, 10) < have) want = (size_t)strtoul(n.p, NULL, 10);
  bool heads = query_value(r->query, "heads").n, bodies = query_value(r->query, "bodies").n;
  buf_text(b, "[");
  for(size_t i = entry_n - want; i < entry_n; i++) {
    struct entry *e = &entries[i % LOG_MAX];
    buf_fmt(b, "%s{\"t_ms\":%lld,\"host\":", b->n > 1 ? "," : "", (long long)(e->us - started_us) / 1000);
    quote(b, e->host, strlen(e->host));
    buf_text(b, ",\"method\":");
    quote(b, e->method, strlen(e->method));
    buf_text(b, ",\"path\":");
    quote(b, e->path, strlen(e->path));
    buf_text(b, ",\"chat_id\":");
    quote(b, e->chat, strlen(e->chat));
    buf_text(b, ",\"scenario\":");
    quote(b, e->scenario, strlen(e->scenario));
    buf_fmt(b, ",\"email\":\"%s\"", e->account == NOBODY ? "" : accounts[e->account].email);
    bool there = raw_n - e->raw_at <= RAW_MAX;
    if(heads && there) {
      raw_get(e->raw_at, e->head_n, &part);
      buf_text(b, ",\"head\":");
      quote(b, part.p, part.n);
    }
    if(bodies && there) {
      raw_get(e->raw_at + e->head_n, e->body_n, &part);
      buf_text(b, ",\"body\":");
      quote(b, part.n ? part.p : "", part.n);
    }
    buf_text(b, "}");
  }
  buf_text(b, "]");
}

static void script_clear(int ep)
{
  free(scripts[ep].entry);
  scripts[ep].entry = NULL;
  scripts[ep].at = scripts[ep].n = 0;
}

static void c_reset(void)
{
  memset(&stat_, 0, sizeof stat_);
  entry_n = 0;
  set.signin_v1 = set.signin_v2 = set.auth_status = 200;
  set.new_ms = set.signin_ms = 0;
  set.exchange = set.gzip = false;
  for(int i = 0; i < EP_N; i++) script_clear(i);
  for(size_t i = 0; i < chat_n; i++) {
    chats[i].free_us = 0;
    if(!chats[i].conn) chats[i].alive = false;
  }
  for(int i = 0; i < account_n; i++) {
    accounts[i].max_running = accounts[i].running;
    accounts[i].signins = 0;
    accounts[i].expired = false;
  }
}

static const char *c_script(void)
{
  static struct buf t;
  enum { SCRIPT_MAX = 10000 };
  for(int ep = 0; ep < EP_N; ep++) {
    int list = js_get(0, endpoint_names[ep]), n = 0;
    if(list == JS_NONE) continue;
    script_clear(ep);
    while(n < SCRIPT_MAX && js_item(list, n) != JS_NONE) n++;
    scripts[ep].entry = must(calloc((size_t)n + 1, sizeof *scripts[ep].entry));
    for(int i = 0; i < n; i++) {
      js_text(js_item(list, i), &t);
      copy_span(scripts[ep].entry[i], sizeof scripts[ep].entry[i], (struct span){ t.p, t.n });
    }
    scripts[ep].n = (size_t)n;
  }
  return NULL;
}

static void c_switch(void)
{
  const struct {
    const char *name;
    int *to;
  } numbers[] = { { "signin_v1", &set.signin_v1 },
                  { "signin_v2", &set.signin_v2 },
                  { "auth_status", &set.auth_status },
                  { "new_ms", &set.new_ms },
                  { "signin_ms", &set.signin_ms } };
  for(size_t i = 0; i < NELEM(numbers); i++)
    if(js_get(0, numbers[i].name) != JS_NONE) *numbers[i].to = (int)js_number(js_get(0, numbers[i].name));
  if(js_get(0, "exchange") != JS_NONE) set.exchange = js_kind_is(js_get(0, "exchange"), JS_TRUE);
  if(js_get(0, "gzip") != JS_NONE) set.gzip = js_kind_is(js_get(0, "gzip"), JS_TRUE);
}

static void control(const struct req *r)
{
  static struct buf b;
  bool post = span_is(r->method, "POST"), json = r->body.n && js_read(r->body);
  b.n = 0;
  if(span_is(r->path, "/__stats")) c_stats(&b);
  else if(span_is(r->path, "/__log")) c_log(&b, r);
  else if(post && span_is(r->path, "/__reset")) c_reset();
  else if(post && json && span_is(r->path, "/__script")) c_script();
  else if(post && json && span_is(r->path, "/__switch")) c_switch();
  else if(post && span_is(r->path, "/__revoke")) {
    bool access_only = json && js_is(js_get(0, "kind"), "access");
    for(size_t i = 0; i < token_n; i++)
      if(!access_only || tokens[i].kind == TOKEN_ACCESS) tokens[i].dead = true;
  } else {
    reply(404, JSON, "", "{\"detail\":\"no such control\"}", 28);
    return;
  }
  if(!b.n) buf_text(&b, "{}");
  bool packed = set.gzip;
  set.gzip = false;
  reply(200, JSON, "", b.p, b.n);
  set.gzip = packed;
  buf_shrink(&b);
}

/* ---------- requests ---------- */

enum { HOST_CHAT = 1, HOST_AUTH = 2, HOST_OTHER = 4 };
enum { FREE, GUEST, KEPT }; /* who may call: anyone, anyone without a bad token, accounts */

static const struct route {
  const char *method, *path;
  bool below; /* a prefix */
  enum endpoint ep;
  int hosts, who;
  void (*serve)(struct conn *c, const struct req *r, int who, struct entry *log);
} routes[] = {
  { "POST", "/api/v2/chat/completions", false, EP_COMPLETIONS, HOST_CHAT, KEPT, h_completions },
  { "POST", "/api/v2/chats/new", false, EP_NEW, HOST_CHAT, KEPT, h_new },
  { "POST", "/api/v2/chat/completions/stop", false, EP_STOP, HOST_CHAT, KEPT, h_stop },
  { "DELETE", "/api/v2/chats/", true, EP_DELETE, HOST_CHAT, KEPT, h_delete },
  { "POST", "/api/v1/auths/signin", false, EP_SIGNIN, HOST_CHAT, FREE, h_signin_v1 },
  { "POST", "/api/v2/auths/signin", false, EP_SIGNIN, HOST_CHAT, FREE, h_signin_v2 },
  { "GET", "/api/v2/auths/refresh", false, EP_EXCHANGE, HOST_AUTH, FREE, h_exchange },
  { "GET", "/api/v1/auths/", false, EP_AUTHS, HOST_CHAT, KEPT, h_user_v1 },
  { "GET", "/api/v2/auths/", false, EP_AUTHS, HOST_AUTH, KEPT, h_user_v2 },
  { "GET", "/api/v2/user/info", false, EP_AUTHS, HOST_CHAT, KEPT, h_user_v2 },
  { "GET", "/api/models", false, EP_MODELS, HOST_CHAT, GUEST, h_models_v1 },
  { "GET", "/api/v2/models/", false, EP_MODELS, HOST_CHAT, GUEST, h_models_v2 },
  { "GET", "/api/v2/models", false, EP_MODELS, HOST_CHAT, GUEST, h_models_v2 },
  { "GET", "/api/v2/chats/", false, EP_LIST, HOST_CHAT, KEPT, h_list },
  { "GET", "/api/v2/chats/", true, EP_DETAIL, HOST_CHAT, KEPT, h_detail },
};

/* Which of the upstream's hosts a name is; one that is none of them (localhost, an address) may be all. */
static int host_kind(struct span h)
{
  static const struct {
    const char *name;
    int kind;
  } names[] = { { "chat.qwen.ai", HOST_CHAT },
                { "auth.qwen.ai", HOST_AUTH },
                { "cdn.qwenlm.ai", HOST_OTHER },
                { "portal.qwen.ai", HOST_OTHER },
                { "dashscope.aliyuncs.com", HOST_OTHER } };
  const char *colon = memchr(h.p, ':', h.n);
  if(colon) h.n = (size_t)(colon - h.p);
  for(size_t i = 0; i < NELEM(names); i++)
    if(same_word(h, names[i].name)) return names[i].kind;
  return HOST_CHAT | HOST_AUTH | HOST_OTHER;
}

static void serve(struct conn *c, const struct req *r)
{
  if(span_starts(r->path, "/__")) {
    control(r);
    return;
  }
  stat_.requests++;
  struct entry *log = log_request(r);
  bool post = span_is(r->method, "POST");
  struct span media = r->type;
  const char *semi = media.n ? memchr(media.p, ';', media.n) : NULL;
  if(semi) media.n = (size_t)(semi - media.p);
  const char *why = post && !same_word(media, JSON)     ? "the content type of a POST is application/json"
                    : post && !js_read(r->body)         ? "the body is no JSON in UTF-8"
                    : post && !js_kind_is(0, JS_OBJECT) ? "the body is no object"
                                                        : NULL;
  if(why) {
    stat_.bad++;
    reply_json(422, "{\"detail\":\"%s\"}", why);
    return;
  }
  const struct route *to = NULL;
  int host = host_kind(r->host);
  for(size_t i = 0; i < NELEM(routes) && !to; i++)
    if((routes[i].hosts & host) && span_is(r->method, routes[i].method) &&
       (routes[i].below ? span_starts(r->path, routes[i].path) : span_is(r->path, routes[i].path))) to = &routes[i];
  stat_.by[to ? to->ep : EP_OTHER]++;
  if(!to) {
    reply_json(404, "{\"detail\":\"Not Found\"}");
    return;
  }
  int who = to->who == FREE ? NOBODY : authorized(r);
  if(who == NOBODY && (to->who == KEPT || (to->who == GUEST && (r->auth.n || cookie_value(r->cookie, "token").n)))) {
    reply_unauthorized();
    return;
  }
  log->account = who;
  char name[48] = "", args[64];
  size_t from = wire.n;
  int later = 0;
  if(to->ep != EP_COMPLETIONS && script_next(to->ep, name, sizeof name, args, sizeof args)) {
    memcpy(log->scenario, name, sizeof log->scenario);
    if(strcmp(name, "expired") == 0 && caller) {
      caller->dead = true;
      reply_unauthorized();
      return;
    }
    if(strcmp(name, "slow") == 0) later = (int)param(args, "ms", 5 * pace_ms);
    else if(reply_fixed(c, name)) return;
  }
  if(to->ep == EP_SIGNIN && set.signin_ms > later) later = set.signin_ms;
  to->serve(c, r, who, log);
  turn_later(c, from, later);
}

/* Serves one request if all of it is there. Returns the bytes used, 0: more is needed. */
static size_t serve_one(struct conn *c, const char *p, size_t n)
{
  static struct buf body;
  const char *end = memmem(p, n < HEAD_MAX ? n : HEAD_MAX, "\r\n\r\n", 4), *why = NULL;
  struct req r = { .length = -1 };
  size_t used = 0;
  if(!end && n < HEAD_MAX) return 0;
  if(end) {
    r.head = (struct span){ p, (size_t)(end + 4 - p) };
    why = head_read(&r);
    if(!why && r.length > BODY_MAX) why = "the body is too long";
  } else {
    why = "the head is too long";
  }
  if(!why && r.chunked) {
    int64_t k = chunks_read(end + 4, p + n, &body);
    if(k < 0) why = "bad chunks";
    if(k > 0) used = r.head.n + (size_t)k;
    r.body = (struct span){ body.p, body.n };
  } else if(!why) {
    size_t whole = r.head.n + (size_t)(r.length > 0 ? r.length : 0);
    if(n < whole) c->need = whole;
    else used = whole;
    r.body = (struct span){ end + 4, whole - r.head.n };
  }
  if(why) {
    stat_.bad++;
    reply_json(400, "{\"detail\":\"%s\"}", why);
    c->close_after = true;
    return n;
  }
  if(!used) {
    if(r.expect && n == r.head.n) buf_text(&wire, "HTTP/1.1 100 Continue\r\n\r\n");
    return 0;
  }
  c->need = 0;
  if(r.close) c->close_after = true;
  caller = NULL;
  serve(c, &r);
  buf_shrink(&body);
  return used;
}

/* Serves what can be served of `from`, keeps the rest. A request waits while an answer is under way. */
static void conn_input(struct conn *c, struct buf *from)
{
  size_t used = 0;
  while(!c->dead && !c->closing && !c->close_after && c->turn == TURN_NONE && used < from->n &&
        from->n - used >= c->need) {
    size_t k = serve_one(c, from->p + used, from->n - used);
    if(!k) break;
    used += k;
  }
  conn_write(c, wire.p, wire.n);
  wire.n = 0;
  buf_shrink(&wire);
  if(!c->dead && c->close_after && c->turn == TURN_NONE) conn_close(c);
  if(c->dead || c->closing) {
    from->n = 0;
  } else if(from == &c->in) {
    buf_cut(from, used);
    buf_shrink(from);
  } else {
    buf_add(&c->in, from->p + used, from->n - used);
    from->n = 0;
  }
  if(!c->dead && c->turn != TURN_NONE && c->in.n > IN_BEHIND_MAX) conn_drop(c, false);
}

/* Reads until the socket has no more; `all`: also what a short read leaves, for a peer that has closed. */
static void conn_read(struct conn *c, bool all)
{
  static char cipher[65536];
  for(;;) {
    struct buf *to = c->in.n ? &c->in : &rx;
    size_t want = c->tls ? sizeof cipher : to == &rx ? RX_SIZE : 65536;
    char *at = c->tls ? cipher : buf_room(to, want);
    ssize_t n = recv(c->fd, at, want, 0);
    if(n < 0 && errno == EINTR) continue;
    if(n < 0 && errno == EAGAIN) return;
    if(n <= 0) {
      conn_drop(c, false);
      return;
    }
    if(c->tls) {
      struct buf *source = NULL;
      if(c->cipher.n) {
        buf_add(&c->cipher, cipher, (size_t)n);
        source = &c->cipher;
      }
      size_t used = tls_feed(c, source ? source->p : cipher, source ? source->n : (size_t)n, to);
      if(c->dead) {
        rx.n = 0;
        return;
      }
      tls_count(c->tls);
      if(source) buf_cut(source, used);
      else if(used < (size_t)n) buf_add(&c->cipher, cipher + used, (size_t)n - used);
    } else {
      to->n += (size_t)n;
    }
    if(c->closing) to->n = 0;
    else if(to->n) conn_input(c, to);
    if(c->dead) return;
    if(c->tls && br_ssl_engine_current_state(&c->tls->sc.eng) == BR_SSL_CLOSED) {
      conn_drop(c, false);
      return;
    }
    if((size_t)n < want && !all) return;
  }
}

static void conn_timer(struct conn *c)
{
  if(c->closing) {
    conn_drop(c, false);
    return;
  }
  undue(c);
  if(c->turn == TURN_STREAM) {
    stream_go(c);
    conn_write(c, wire.p, wire.n);
    wire.n = 0;
  } else if(c->turn == TURN_STEPS) {
    turn_step(c);
  }
  if(c->dead || c->closing || c->turn != TURN_NONE) return;
  if(c->close_after) conn_close(c);
  else if(c->in.n) conn_input(c, &c->in);
}

static void conn_new(int listener, bool tls)
{
  for(int i = 0; i < 64; i++) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if(fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    struct conn *c = spare;
    if(c) spare = c->next;
    else c = must(calloc(1, sizeof *c));
    c->fd = fd;
    c->chat = NOBODY;
    c->next = NULL;
    c->tls = tls ? tls_new() : NULL;
    open_n++;
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = c };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
  }
}

/* ---------- start ---------- */

static int listen_on(int *port)
{
  struct sockaddr_in a = { .sin_family = AF_INET,
                           .sin_port = htons((uint16_t)*port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if(fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
     bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 8192) || getsockname(fd, (struct sockaddr *)&a, &n)) {
    fprintf(stderr, "fakeqwen: cannot listen on port %d: %s\n", *port, strerror(errno));
    exit(69);
  }
  *port = ntohs(a.sin_port);
  return fd;
}

static void pem_take(void *ctx, const void *p, size_t n)
{
  buf_add(ctx, p, n);
}

static void pem_read(const char *path, bool key)
{
  br_pem_decoder_context pem;
  char text[4096];
  struct buf der = { NULL, 0, 0 };
  size_t n;
  bool wanted = false;
  FILE *f = fopen(path, "rb");
  if(!f) {
    fprintf(stderr, "fakeqwen: cannot read %s\n", path);
    exit(1);
  }
  br_pem_decoder_init(&pem);
  while((n = fread(text, 1, sizeof text, f)) > 0)
    for(size_t at = 0; at < n;) {
      at += br_pem_decoder_push(&pem, text + at, n - at);
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
  if(key ? br_skey_decoder_last_error(&skey) != 0 : chain_n == 0) {
    fprintf(stderr, "fakeqwen: nothing of use in %s\n", path);
    exit(1);
  }
}

struct options {
  int port, plain_port, accounts, cpu, rate, pace;
  bool plain;
  const char *cert, *key, *port_file;
};

static void options_read(struct options *o, int argc, char **argv)
{
  const struct { const char *name; int *number; const char **text; } known[] = {
    { "--port", &o->port, NULL }, { "--plain-port", &o->plain_port, NULL }, { "--accounts", &o->accounts, NULL },
    { "--cpu", &o->cpu, NULL }, { "--rate", &o->rate, NULL }, { "--pace-ms", &o->pace, NULL },
    { "--cert", NULL, &o->cert }, { "--key", NULL, &o->key }, { "--port-file", NULL, &o->port_file } };
  for(int i = 1; i < argc; i++) {
    size_t k = 0;
    if(strcmp(argv[i], "--plain") == 0) {
      o->plain = true;
      continue;
    }
    while(k < NELEM(known) && strcmp(argv[i], known[k].name) != 0) k++;
    if(k == NELEM(known) || i + 1 == argc) {
      fprintf(stderr, "fakeqwen: %s: unknown, or without a value; see the head of fakeqwen.c\n", argv[i]);
      exit(2);
    }
    i++;
    if(known[k].text) *known[k].text = argv[i];
    else *known[k].number = (int)strtol(argv[i], NULL, 10);
  }
}

static void world_make(int more)
{
  char email[64], password[64];
  account_add("ok@example.org", "correct horse"); /* ACCOUNT_OK, owner of the fixed tokens */
  account_add("second@example.org", "correct horse");
  account_add("bad@example.org", "correct horse");
  account_add("challenge@example.org", "correct horse");
  account_add("limited@example.org", "correct horse");
  account_add("colon@example.org", "pa:ss@word#1");
  for(int i = 0; more > 0 && i <= more; i++) {
    snprintf(email, sizeof email, "user%d@example.org", i);
    snprintf(password, sizeof password, "pw-%d", i);
    account_add(email, password);
  }
  static const char head[] =
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6IjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImxhc3RfcGFzc3"
      "dvcmRfY2hhbmdlIjoxNzYwMDAwMDAwLCJleHAi";
  char text[400];
  snprintf(text, sizeof text, "%s%s", head, "OjQxMDI0NDQ4MDB9.W9t7CCW2z8DA2DR972SccfQ2mAT283Id1XCrmRoT36A");
  token_add(text, ACCOUNT_OK, TOKEN_SESSION, 4102444800);
  snprintf(text, sizeof text, "%s%s", head, "OjEwMDAwMDAwMDB9.F8eCgGTZRTYX-to7zWO-jPhNIyclVhmgsUaQeqaYick");
  token_add(text, ACCOUNT_OK, TOKEN_SESSION, 1000000000);
}

static struct listener { int fd, port; bool tls; } listeners[2];

static void loop(void) __attribute__((noreturn));
static void loop(void)
{
  static struct epoll_event batch[512];
  for(;;) {
    int64_t now = now_us(), left = heap_n ? heap[1].at - now : 0;
    if(left < 0) left = 0;
    struct timespec wait = { (time_t)(left / 1000000), (long)(left % 1000000) * 1000 };
    int n = epoll_pwait2(epoll_fd, batch, NELEM(batch), heap_n ? &wait : NULL, NULL);
    if(n < 0 && errno == ENOSYS)
      n = epoll_wait(epoll_fd, batch, NELEM(batch), heap_n ? (int)((left + 999) / 1000) : -1);
    for(int i = 0; i < n; i++) {
      struct conn *c = batch[i].data.ptr;
      struct listener *l = batch[i].data.ptr;
      unsigned what = batch[i].events;
      if(l == &listeners[0] || l == &listeners[1]) {
        conn_new(l->fd, l->tls);
      } else {
        if(!c->dead && (what & EPOLLERR)) conn_drop(c, false);
        if(!c->dead && (what & EPOLLOUT)) conn_writable(c);
        if(!c->dead && (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))) conn_read(c, what & (EPOLLRDHUP | EPOLLHUP));
      }
    }
    now = now_us();
    for(int i = 0; i < 4096 && heap_n && heap[1].at <= now; i++) conn_timer(heap[1].c);
    bury();
  }
}

int main(int argc, char **argv)
{
  struct options o = { .port = -1, .plain_port = -1, .cpu = -1 };
  struct rlimit files;
  options_read(&o, argc, argv);
  if(o.port < 0 && o.plain_port < 0) {
    fprintf(stderr, "fakeqwen: --port or --plain-port is needed; see the head of fakeqwen.c\n");
    return 2;
  }
  if(o.rate > 0) rate_ms = o.rate < 1000 ? 1000 / o.rate : 1;
  if(o.pace > 0) pace_ms = o.pace;
  if(o.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)o.cpu, &cpus);
    if(sched_setaffinity(0, sizeof cpus, &cpus)) fprintf(stderr, "fakeqwen: no CPU %d here, going on\n", o.cpu);
  }
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  started_us = now_us();
  entries = must(calloc(LOG_MAX, sizeof *entries));
  raw = must(malloc(RAW_MAX));
  buf_room(&rx, RX_SIZE);
  world_make(o.accounts);
  c_reset();
  normal_make();
  if(o.port >= 0 && !o.plain) {
    if(!o.cert || !o.key) {
      fprintf(stderr, "fakeqwen: --port needs --cert and --key, or --plain\n");
      return 2;
    }
    pem_read(o.cert, false);
    pem_read(o.key, true);
    br_ssl_session_cache_lru_init(&sessions, session_store, sizeof session_store);
  }
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  for(int i = 0; i < 2; i++) {
    struct listener *l = &listeners[i];
    *l = (struct listener){ .fd = -1, .port = i ? o.plain_port : o.port, .tls = !i && !o.plain };
    if(l->port < 0) continue;
    l->fd = listen_on(&l->port);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = l };
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, l->fd, &e);
  }
  if(o.port_file) {
    FILE *f = fopen(o.port_file, "w");
    if(!f || fprintf(f, "%d %d\n", listeners[0].port, listeners[1].port) < 0 || fclose(f)) {
      fprintf(stderr, "fakeqwen: cannot write %s\n", o.port_file);
      return 1;
    }
  }
  loop();
}
