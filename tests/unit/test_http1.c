/* Heads and chunked bodies: a table of what is good and what is refused, at every split. */
#include "proto/http1.h"

#include "t.h"

#define H "Host: x\r\n"
static const struct { const char *name, *in; enum q_status st; const char *method; int64_t length; bool chunked, keep; } requests[] = {
  { "plain", "GET / HTTP/1.1\r\n" H "\r\n", Q_OK, "GET", -1, false, true },
  { "close", "GET / HTTP/1.1\r\n" H "Connection: foo, CLOSE\r\n\r\n", Q_OK, "GET", -1, false, false },
  { "1.0", "GET / HTTP/1.0\r\n\r\n", Q_OK, "GET", -1, false, false },
  { "1.0 kept", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Q_OK, "GET", -1, false, true },
  { "length", "POST /a HTTP/1.1\r\n" H "content-LENGTH:  12 \r\n\r\n", Q_OK, "POST", 12, false, true },
  { "chunked", "POST /a HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", Q_OK, "POST", -1, true, true },
  { "absolute form", "GET http://x/a HTTP/1.1\r\n" H "\r\n", Q_OK, "GET", -1, false, true },
  { "both lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "length twice", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "length as a list", "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "negative length", "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "endless length", "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "another coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "bare LF", "GET / HTTP/1.1\n" H "\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "bare CR", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "folded", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "no host", "GET / HTTP/1.1\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "two hosts", "GET / HTTP/1.1\r\n" H H "\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "blank before the colon", "GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "no colon", "GET / HTTP/1.1\r\n" H "A\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "control character in a value", "GET / HTTP/1.1\r\n" H "A: \x01\r\n\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "version 2", "GET / HTTP/2.0\r\n" H "\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "lower version", "GET / http/1.1\r\n" H "\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "two blanks", "GET  / HTTP/1.1\r\n" H "\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "no path", "GET HTTP/1.1\r\n" H "\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "relative path", "GET a HTTP/1.1\r\n" H "\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
  { "strange method", "G(T / HTTP/1.1\r\n" H "\r\n", Q_BAD_REQUEST, 0, 0, 0, 0 },
};

static void t_requests(void)
{
  for(size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    size_t n = strlen(requests[i].in);
    t_row = requests[i].name;
    for(size_t step = 1; step <= n; step += step == 1 ? n - 1 : 1) { /* byte by byte, and whole */
      struct http1_request r;
      size_t seen = 0;
      enum q_status st = Q_AGAIN;
      for(size_t at = step; st == Q_AGAIN && at <= n; at += step) {
        char *exact = malloc(at);
        memcpy(exact, requests[i].in, at);
        st = http1_request(str_of(exact, at), &seen, &r);
        if(!st && requests[i].st == Q_OK) {
          CHECK_STR(r.method, str_z(requests[i].method));
          CHECK_INT(r.head_n, n);
          CHECK_INT(r.has_length ? (int64_t)r.content_length : -1, requests[i].length);
          CHECK_INT(r.chunked, requests[i].chunked);
          CHECK_INT(r.keep_alive, requests[i].keep);
        }
        free(exact);
      }
      CHECK_INT(st, requests[i].st);
    }
  }
}

/* Every cut: what is asked for is never refused too early or taken too early, and `seen` loses nothing. */
static void t_every_cut(void)
{
  for(size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    size_t n = strlen(requests[i].in);
    t_row = requests[i].name;
    for(size_t k = 0; k <= n; k++) {
      struct http1_request r;
      size_t seen = 0;
      char *exact = malloc(k ? k : 1);
      memcpy(exact, requests[i].in, k);
      enum q_status st = http1_request(str_of(exact, k), &seen, &r);
      if(requests[i].st == Q_OK && k < n) CHECK_INT(st, Q_AGAIN);
      CHECK(seen <= k);
      if(st == Q_AGAIN) st = http1_request(str_z(requests[i].in), &seen, &r);
      CHECK_INT(st, requests[i].st);
      free(exact);
    }
  }
  static const char two[] = "GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n"; /* pipelined: only the first */
  struct http1_request r;
  size_t seen = 0;
  CHECK_INT(http1_request(str_z(two), &seen, &r), Q_OK);
  CHECK_STR(r.target, S("/1"));
  CHECK_INT(r.head_n, strlen(two) / 2);
}

static void t_fields(void)
{
  struct http1_request r;
  size_t seen = 0;
  CHECK_INT(http1_request(S("POST /a?b=c HTTP/1.1\r\n" H "Expect: 100-Continue\r\nConnection: keep-alive, Upgrade\r\nX-Empty:\r\nx-a:\t 1 \r\nX-A: 2\r\nX-High: \xe4\xb8\x96\r\nContent-Length: 0\r\n\r\n"), &seen, &r), Q_OK);
  CHECK(r.expect_continue && r.upgrade && r.keep_alive && r.has_length && r.content_length == 0 && !r.chunked);
  CHECK_INT(r.headers.n, 8);
  CHECK_STR(http1_find(&r.headers, S("X-a")), S("1")); /* the first of two */
  CHECK_STR(http1_find(&r.headers, S("x-EMPTY")), S(""));
  CHECK_STR(http1_find(&r.headers, S("x-high")), S("\xe4\xb8\x96"));
  CHECK(http1_find(&r.headers, S("x-none")).p == NULL);
  CHECK_STR(r.target, S("/a?b=c"));
  seen = 0;
  CHECK_INT(http1_request(S("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), &seen, &r), Q_OK);
  CHECK(!r.expect_continue); /* 1.0 knows no interim answers */
}

static void t_limits(void)
{
  struct http1_request r;
  struct strbuf b = STRBUF(1 << 20);
  size_t seen = 0;
  strbuf_lit(&b, "GET /");
  while(b.n < HTTP1_URI_MAX + 100) strbuf_addc(&b, 'a');
  CHECK_INT(http1_request(strbuf_str(&b), &seen, &r), Q_URI_LONG);
  strbuf_clear(&b);
  seen = 0;
  strbuf_lit(&b, "GET / HTTP/1.1\r\n" H "A: ");
  while(b.n < HTTP1_HEAD_MAX + 10) strbuf_addc(&b, 'a');
  CHECK_INT(http1_request(strbuf_str(&b), &seen, &r), Q_HEADERS_BIG);
  strbuf_clear(&b);
  seen = 0;
  strbuf_lit(&b, "GET / HTTP/1.1\r\n" H);
  for(int i = 0; i < HTTP1_HEADERS_MAX; i++) strbuf_lit(&b, "A: b\r\n");
  strbuf_lit(&b, "\r\n");
  CHECK_INT(http1_request(strbuf_str(&b), &seen, &r), Q_HEADERS_BIG);
  strbuf_free(&b);
}

static const struct { const char *name, *in; enum q_status st; int status; int64_t length; bool chunked, no_body, keep, head; } responses[] = {
  { "length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, false, true, false },
  { "no reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, false, true, false },
  { "until close", "HTTP/1.1 200 OK\r\n\r\n", Q_OK, 200, -1, false, false, false, false },
  { "chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Q_OK, 200, -1, true, false, true, false },
  { "204", "HTTP/1.1 204 No Content\r\n\r\n", Q_OK, 204, -1, false, true, true, false },
  { "to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, true, true, true },
  { "1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, false, false, false },
  { "both", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "two digits", "HTTP/1.1 20 OK\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "no HTTP", "220 smtp ready\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "no reason, no blank", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, false, true, false },
  { "304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Q_OK, 304, 5, false, true, true, false },
  { "100", "HTTP/1.1 100 Continue\r\n\r\n", Q_OK, 100, -1, false, true, true, false },
  { "close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, false, false, false },
  { "1.0 kept", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, false, true, false },
  { "other words", "HTTP/1.1 200 \xe5\xa5\xbd\r\nContent-Length: 5\r\n\r\n", Q_OK, 200, 5, false, false, true, false },
  { "length twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "below 100", "HTTP/1.1 099 OK\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "a sign", "HTTP/1.1 +20 OK\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "four digits", "HTTP/1.1 2000 OK\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "version 2", "HTTP/2 200\r\n\r\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
  { "bare LF", "HTTP/1.1 200 OK\nA: b\n\n", Q_UP_BODY, 0, 0, 0, 0, 0, false },
};

static void t_responses(void)
{
  for(size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
    struct http1_response r;
    size_t seen = 0;
    t_row = responses[i].name;
    enum q_status st = Q_AGAIN;
    for(size_t k = 0; st == Q_AGAIN && k <= strlen(responses[i].in); k++) { /* byte by byte */
      char *exact = malloc(k ? k : 1);
      memcpy(exact, responses[i].in, k);
      st = http1_response(str_of(exact, k), &seen, responses[i].head, &r);
      if(!st) CHECK_INT(k, strlen(responses[i].in));
      free(exact);
    }
    CHECK_INT(st, responses[i].st);
    seen = 0;
    CHECK_INT(http1_response(str_z(responses[i].in), &seen, responses[i].head, &r), responses[i].st);
    if(responses[i].st) continue;
    CHECK_INT(r.status, responses[i].status);
    CHECK_INT(r.has_length ? (int64_t)r.content_length : -1, responses[i].length);
    CHECK_INT(r.chunked, responses[i].chunked);
    CHECK_INT(r.no_body, responses[i].no_body);
    CHECK_INT(r.keep_alive, responses[i].keep);
  }
}

static const struct { const char *name, *in, *out; enum q_status st; const char *rest; } chunks[] = {
  { "plain", "5\r\nhello\r\n0\r\n\r\nNEXT", "hello", Q_EOF, "NEXT" },
  { "two, extensions, trailers", "1;a=b\r\nx\r\nA \r\n0123456789\r\n0\r\nT: v\r\n\r\n", "x0123456789", Q_EOF, "" },
  { "open", "5\r\nhel", "hel", Q_AGAIN, "" },
  { "no size", "\r\nx\r\n", "", Q_BAD_REQUEST, NULL },
  { "minus", "-1\r\nx\r\n", "", Q_BAD_REQUEST, NULL },
  { "too large a size", "fffffffffffffffff\r\n", "", Q_BAD_REQUEST, NULL },
  { "bare LF", "1\nx\n0\n\n", "", Q_BAD_REQUEST, NULL },
  { "a control character in an extension", "1;\x01\r\nx\r\n", "", Q_BAD_REQUEST, NULL },
  { "a control character in a trailer", "0\r\nA: \x7f\r\n\r\n", "", Q_BAD_REQUEST, NULL },
  { "a tab in an extension", "1 ;\ta\r\nx\r\n0\r\nA:\tb\r\n\r\n", "x", Q_EOF, "" },
  { "a bare CR in the size", "1\rx\r\n", "", Q_BAD_REQUEST, NULL },
  { "a bare LF in a trailer", "0\r\nA: b\n\r\n", "", Q_BAD_REQUEST, NULL },
  { "letters", "xyz\r\n", "", Q_BAD_REQUEST, NULL },
  { "0x", "0x1\r\nx\r\n", "", Q_BAD_REQUEST, NULL },
  { "leading zeros", "0001\r\nx\r\n00\r\n\r\n", "x", Q_EOF, "" },
  { "the largest that fits", "0fffffffffffffff\r\nx", "x", Q_AGAIN, NULL },
  { "trailers with a bare CR", "0\r\nA: \rb\r\n\r\n", "", Q_BAD_REQUEST, NULL },
  { "too short a chunk", "2\r\nxyz\r\n", "xy", Q_BAD_REQUEST, NULL },
};

static void t_chunks(void)
{
  for(size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
    size_t n = strlen(chunks[i].in);
    for(size_t split = 0; split <= n; split++) {
      struct http1_chunk c = { 0 };
      struct strbuf out = STRBUF(1000);
      struct str parts[2] = { str_of(chunks[i].in, split), str_of(chunks[i].in + split, n - split) }, piece;
      enum q_status st = Q_AGAIN;
      t_row = chunks[i].name;
      for(int k = 0; k < 2 && st == Q_AGAIN; k++) {
        while((st = http1_chunk_next(&c, &parts[k], &piece)) == Q_OK) strbuf_adds(&out, piece);
        if(st == Q_EOF && k == 0) { /* the rest begins in the first part */
          CHECK(str_ends(str_z(chunks[i].in), parts[0]) || parts[0].n == 0 || parts[1].n);
        } else if(st == Q_EOF) {
          CHECK_STR(parts[1], str_z(chunks[i].rest));
        }
      }
      CHECK_INT(st, chunks[i].st);
      CHECK_STR(strbuf_str(&out), str_z(chunks[i].out));
      strbuf_free(&out);
    }
  }
}

static void t_chunk_limits(void)
{
  for(int trailers = 0; trailers < 2; trailers++) {
    struct http1_chunk c = { 0 };
    struct strbuf b = STRBUF(100000);
    struct str in, piece;
    strbuf_addz(&b, trailers ? "0\r\n" : "1;");
    while(b.n < (trailers ? 20000 : 400)) strbuf_addz(&b, trailers ? "A: b\r\n" : "e");
    in = strbuf_str(&b);
    CHECK_INT(http1_chunk_next(&c, &in, &piece), Q_BAD_REQUEST); /* endless lines are no body */
    strbuf_free(&b);
  }
}

T_MAIN(T(t_requests), T(t_every_cut), T(t_fields), T(t_limits), T(t_responses), T(t_chunks), T(t_chunk_limits))
