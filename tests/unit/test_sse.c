/* Event streams, whole, byte by byte and at every split: the same events. */
#include "proto/sse.h"

#include "t.h"

static const struct { const char *name, *in, *out; } rows[] = {
  { "one", "data: a\n\n", "a|" },
  { "without the blank", "data:a\n\ndata:  b\n\n", "a| b|" },
  { "CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", "a|b|" },
  { "CR", "data: a\r\rdata: b\r\r", "a|b|" },
  { "several lines", "data: a\ndata: b\ndata:\ndata: c\n\n", "a\nb\n\nc|" },
  { "several lines with CRLF", "data: a\r\ndata: b\r\n\r\n", "a\nb|" },
  { "several lines with CR", "data: a\rdata: b\r\r", "a\nb|" },
  { "comments and other fields", ": hi\nevent: x\nid: 1\nretry: 5\ndata: a\n: in between\n\n: end\n\n", "a|" },
  { "empty data", "data\n\ndata:\n\n", "||" },
  { "blank lines alone", "\n\n\r\n\n", "" },
  { "a name that begins alike", "database: x\n\ndata: y\n\n", "y|" },
  { "the last without its blank line", "data: a\n\ndata: b\n", "a|b|" },
  { "the last without any end", "data: a\n\ndata: b", "a|b|" },
  { "trailing blanks stay", "data: a  \n\n", "a  |" },
  { "characters of four bytes", "data: \xf0\x9f\x98\x80\n\n", "\xf0\x9f\x98\x80|" },
  { "CR LF mixed", "data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", "a|b|c|" },
  { "LF CR", "data: a\n\r\n\rdata: b\r\n\r\n", "a|b|" },
  { "a colon in the data", "data: a: b\n\ndata::\n\n", "a: b|:|" },
  { "upper case is another field", "Data: a\n\nDATA: b\n\ndata: c\n\n", "c|" },
  { "a blank in front is another field", " data: a\n\n data\n\n", "" },
  { "a comment only", ": keepalive\n\n: again\n\n", "" },
  { "fields without data", "event: x\nid: 2\n\ndata: y\n\n", "y|" },
  { "exactly the limit", "data: 01234567890123456789012345678901\n\n", "01234567890123456789012345678901|" },
  { "one above the limit", "data: 012345678901234567890123456789012\n\n", "!" },
  { "the limit over lines", "data: 0123456789012345\ndata: 012345678901234\n\ndata: 0123456789012345\ndata: 0123456789012345\n\n", "0123456789012345\n012345678901234|!" },
  { "two too large ones", "data: 0123456789012345678901234567890123456789\n\ndata: 0123456789012345678901234567890123456789\n\ndata: ok\n\n", "!!ok|" },
  { "a comment of any length", ": 012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\ndata: ok\n\n", "ok|" },
  { "a field of any length between data", "data: a\nevent: 012345678901234567890123456789012345678901234567890123456789012345678901234567890\ndata: b\n\n", "a\nb|" },
  { "too large at the end of all", "data: a\ndata: 0123456789012345678901234567890123456789012345678901234567890123456789", "!" },
  { "too large, then a good one", "data: 0123456789012345678901234567890123456789\n\ndata: ok\n\n", "!ok|" },
  { "too large over lines", "data: 01234567890123456789\ndata: 01234567890123456789\n\ndata: ok\n\n", "!ok|" },
};

static void feed(struct sse *s, const char *p, size_t n, struct strbuf *out)
{
  char *exact = malloc(n ? n : 1), *at = exact; /* the end is guarded by the sanitizer */
  memcpy(exact, p, n);
  for(;;) {
    size_t used = 0;
    struct str data = STR_NONE;
    enum q_status st = sse_push(s, at, n, &used, &data);
    CHECK(used <= n);
    at += used;
    n -= used;
    if(st == Q_AGAIN) break;
    if(st == Q_TOO_BIG) strbuf_addc(out, '!');
    else strbuf_adds(out, data), strbuf_addc(out, '|');
  }
  CHECK_INT(n, 0);
  free(exact);
}

static void end(struct sse *s, struct strbuf *out)
{
  struct str data = STR_NONE;
  enum q_status st = sse_finish(s, &data);
  if(st == Q_OK) strbuf_adds(out, data);
  if(st != Q_AGAIN) strbuf_addc(out, st == Q_OK ? '|' : '!');
  CHECK_INT(sse_finish(s, &data), Q_AGAIN);
}

static void run(const char *in, const char *want, size_t step, size_t first)
{
  struct sse s;
  struct strbuf out = STRBUF(1 << 20);
  size_t n = strlen(in), at = 0;
  CHECK_INT(sse_init(&s, 32), Q_OK);
  while(at < n) {
    size_t piece = at == 0 && first ? first : step;
    if(piece > n - at) piece = n - at;
    feed(&s, in + at, piece, &out);
    at += piece;
  }
  end(&s, &out);
  CHECK_STR(strbuf_str(&out), str_z(want));
  strbuf_free(&out);
  sse_free(&s);
}

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = strlen(rows[i].in);
    t_row = rows[i].name;
    run(rows[i].in, rows[i].out, n, 0);
    run(rows[i].in, rows[i].out, 1, 0);
    for(size_t k = 1; k < n; k++) run(rows[i].in, rows[i].out, n, k);
  }
}

static void t_no_copy_of_a_whole_event(void)
{
  struct sse s;
  const char *in = "data: whole\n\n";
  size_t used;
  struct str data;
  CHECK_INT(sse_init(&s, 1000), Q_OK);
  CHECK_INT(sse_push(&s, in, strlen(in), &used, &data), Q_OK);
  CHECK(data.p == in + 6 && s.line.p == NULL && s.data.p == NULL);
  sse_free(&s);
}

T_MAIN(T(t_rows), T(t_no_copy_of_a_whole_event))
