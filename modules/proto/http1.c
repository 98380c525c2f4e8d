#include "proto/http1.h"

enum {
  HTTP1_SIZE_LINE_MAX = 256,   /* chunk size with its extensions */
  HTTP1_TRAILERS_MAX = 16 * 1024
};

struct str http1_find(const struct http1_headers *h, struct str name)
{
  for(int i = 0; i < h->n; i++)
    if(str_ieq(h->v[i].name, name)) return h->v[i].value;
  return STR_NONE;
}

static bool http1_token_char(unsigned char c)
{
  if((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool http1_token(struct str s)
{
  for(size_t i = 0; i < s.n; i++)
    if(!http1_token_char((unsigned char)s.p[i])) return false;
  return s.n > 0;
}

static bool http1_visible(struct str s, bool blanks)
{
  for(size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if(c == 0x7f || c < 0x20) {
      if(!(blanks && c == '\t')) return false;
    } else if(c == ' ' && !blanks) {
      return false;
    }
  }
  return true;
}

/* The length of the head with its blank line, 0 if it is not complete. A bare LF, or a CR without its LF, is refused as
 * soon as it is seen. */
static enum q_status http1_head_end(struct str in, size_t *seen, size_t *head_n)
{
  size_t i = *seen;
  for(; i < in.n; i++) {
    if(in.p[i] == '\n') {
      if(i == 0 || in.p[i - 1] != '\r') return Q_BAD_REQUEST;
      if(i >= 3 && in.p[i - 2] == '\n') {
        *head_n = i + 1;
        return i + 1 > HTTP1_HEAD_MAX ? Q_HEADERS_BIG : Q_OK;
      }
    } else if((i > 0 && in.p[i - 1] == '\r') || in.p[i] == 0) {
      return Q_BAD_REQUEST;
    }
  }
  *seen = i;
  return in.n > HTTP1_HEAD_MAX ? Q_HEADERS_BIG : Q_AGAIN;
}

static struct str http1_line(struct str *in)
{
  struct str line = str_cut(in, '\n');
  return str_sub(line, 0, line.n ? line.n - 1 : 0); /* without the CR */
}

static struct str http1_ows(struct str s)
{
  while(s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = str_sub(s, 1, s.n);
  while(s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
  return s;
}

static enum q_status http1_read_headers(struct str rest, struct http1_headers *h)
{
  h->n = 0;
  for(;;) {
    struct str line = http1_line(&rest);
    if(line.n == 0) return Q_OK;
    ptrdiff_t colon = str_chr(line, ':');
    if(line.p[0] == ' ' || line.p[0] == '\t' || colon < 1) return Q_BAD_REQUEST;
    if(h->n == HTTP1_HEADERS_MAX) return Q_HEADERS_BIG;
    struct http1_header x = { str_sub(line, 0, (size_t)colon), http1_ows(str_sub(line, (size_t)colon + 1, line.n)) };
    if(!http1_token(x.name) || !http1_visible(x.value, true)) return Q_BAD_REQUEST;
    h->v[h->n++] = x;
  }
}

/* Digits only, no sign, no list, at most 18 digits. */
static bool http1_length(struct str s, uint64_t *out)
{
  int64_t v;
  if(s.n == 0 || s.n > 18 || s.p[0] == '+' || s.p[0] == '-' || !str_int(s, &v)) return false;
  *out = (uint64_t)v;
  return true;
}

static bool http1_lists(struct str value, struct str word)
{
  while(value.n)
    if(str_ieq(str_trim(str_cut(&value, ',')), word)) return true;
  return false;
}

struct http1_framing { int lengths, codings, hosts; bool chunked, close, keep, upgrade, expect, bad; uint64_t length; };

static void http1_frame(const struct http1_headers *h, struct http1_framing *f)
{
  *f = (struct http1_framing){ 0 };
  for(int i = 0; i < h->n; i++) {
    struct str name = h->v[i].name, value = h->v[i].value;
    if(str_ieq(name, S("content-length"))) {
      f->lengths++;
      if(!http1_length(value, &f->length)) f->bad = true;
    } else if(str_ieq(name, S("transfer-encoding"))) {
      f->codings++;
      f->chunked = str_ieq(value, S("chunked"));
      if(!f->chunked) f->bad = true;
    } else if(str_ieq(name, S("connection"))) {
      f->close |= http1_lists(value, S("close"));
      f->keep |= http1_lists(value, S("keep-alive"));
      f->upgrade |= http1_lists(value, S("upgrade"));
    } else if(str_ieq(name, S("host"))) {
      f->hosts++;
    } else if(str_ieq(name, S("expect"))) {
      f->expect |= str_ieq(value, S("100-continue"));
    }
  }
  if(f->lengths > 1 || f->codings > 1 || (f->lengths && f->codings)) f->bad = true;
}

/* "HTTP/1.0" or "HTTP/1.1" */
static bool http1_version(struct str s, int *minor)
{
  if(s.n != 8 || !str_starts(s, S("HTTP/1.")) || s.p[7] < '0' || s.p[7] > '1') return false;
  *minor = s.p[7] - '0';
  return true;
}

enum q_status http1_request(struct str in, size_t *seen, struct http1_request *r)
{
  size_t head_n = 0;
  struct http1_framing f;
  enum q_status st = http1_head_end(in, seen, &head_n);
  if(st == Q_AGAIN && in.n > HTTP1_URI_MAX + 32 && str_chr(str_sub(in, 0, HTTP1_URI_MAX + 32), '\n') < 0) return Q_URI_LONG;
  if(st) return st;
  *r = (struct http1_request){ .head_n = head_n };
  struct str rest = str_of(in.p, head_n), line = http1_line(&rest);
  r->method = str_cut(&line, ' ');
  r->target = str_cut(&line, ' ');
  if(!http1_token(r->method) || r->method.n > 16 || !http1_version(line, &r->minor)) return Q_BAD_REQUEST;
  if(r->target.n > HTTP1_URI_MAX) return Q_URI_LONG;
  if(r->target.n == 0 || !http1_visible(r->target, false)) return Q_BAD_REQUEST;
  if(r->target.p[0] != '/' && !str_eq(r->target, S("*")) && !str_istarts(r->target, S("http://"))) return Q_BAD_REQUEST;
  st = http1_read_headers(rest, &r->headers);
  if(st) return st;
  http1_frame(&r->headers, &f);
  if(f.bad || f.hosts > 1 || (f.hosts == 0 && r->minor == 1)) return Q_BAD_REQUEST;
  if(f.codings && r->minor == 0) return Q_BAD_REQUEST;
  r->chunked = f.chunked;
  r->has_length = f.lengths == 1;
  r->content_length = f.length;
  r->expect_continue = f.expect && r->minor == 1;
  r->upgrade = f.upgrade;
  r->keep_alive = !f.close && (r->minor == 1 || f.keep);
  return Q_OK;
}

enum q_status http1_response(struct str in, size_t *seen, bool to_head, struct http1_response *r)
{
  size_t head_n = 0;
  struct http1_framing f;
  enum q_status st = http1_head_end(in, seen, &head_n);
  if(st == Q_AGAIN) return st;
  if(st) return Q_UP_BODY;
  *r = (struct http1_response){ .head_n = head_n };
  struct str rest = str_of(in.p, head_n), line = http1_line(&rest);
  int64_t status;
  if(!http1_version(str_cut(&line, ' '), &r->minor)) return Q_UP_BODY;
  struct str code = str_cut(&line, ' ');
  if(code.n != 3 || !str_int(code, &status) || status < 100 || !http1_visible(line, true)) return Q_UP_BODY;
  r->status = (int)status;
  if(http1_read_headers(rest, &r->headers)) return Q_UP_BODY;
  http1_frame(&r->headers, &f);
  if(f.bad) return Q_UP_BODY;
  r->chunked = f.chunked;
  r->has_length = f.lengths == 1;
  r->content_length = f.length;
  r->no_body = to_head || status < 200 || status == 204 || status == 304;
  r->keep_alive = !f.close && (r->minor == 1 || f.keep) && (r->no_body || r->chunked || r->has_length);
  return Q_OK;
}

/* ---- chunked ---- */

enum { CHUNK_SIZE, CHUNK_EXT, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF, CHUNK_TRAILER, CHUNK_TRAILER_LINE,
       CHUNK_TRAILER_LF, CHUNK_LAST_LF, CHUNK_END };

static int http1_hex(char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool http1_plain(char c)
{
  return http1_visible(str_of(&c, 1), true);
}

/* One byte outside of chunk data; false: not allowed here. */
static bool http1_chunk_byte(struct http1_chunk *c, char ch)
{
  int digit = http1_hex(ch);
  if(++c->line > (c->state >= CHUNK_TRAILER ? HTTP1_TRAILERS_MAX : HTTP1_SIZE_LINE_MAX)) return false;
  switch(c->state) {
  case CHUNK_SIZE:
    if(digit >= 0) {
      if(c->left >> 56) return false;
      c->left = c->left << 4 | (unsigned)digit;
      return true;
    }
    if(c->line == 1) return false; /* no digit at all */
    if(ch == '\r') c->state = CHUNK_SIZE_LF;
    else if(ch == ';' || ch == ' ' || ch == '\t') c->state = CHUNK_EXT;
    else return false;
    return true;
  case CHUNK_EXT:
    if(ch == '\r') c->state = CHUNK_SIZE_LF;
    return ch == '\r' || http1_plain(ch);
  case CHUNK_SIZE_LF:
    c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
    c->line = 0;
    return ch == '\n';
  case CHUNK_DATA_CR:
    c->state = CHUNK_DATA_LF;
    return ch == '\r';
  case CHUNK_DATA_LF:
    c->state = CHUNK_SIZE;
    c->line = 0;
    return ch == '\n';
  case CHUNK_TRAILER:
    c->state = ch == '\r' ? CHUNK_LAST_LF : CHUNK_TRAILER_LINE;
    return ch == '\r' || http1_plain(ch);
  case CHUNK_TRAILER_LINE:
    if(ch == '\r') c->state = CHUNK_TRAILER_LF;
    return ch == '\r' || http1_plain(ch);
  case CHUNK_TRAILER_LF:
    c->state = CHUNK_TRAILER;
    return ch == '\n';
  case CHUNK_LAST_LF:
    c->state = CHUNK_END;
    return ch == '\n';
  default: return false;
  }
}

enum q_status http1_chunk_next(struct http1_chunk *c, struct str *in, struct str *out)
{
  while(in->n && c->state != CHUNK_END) {
    if(c->state == CHUNK_DATA) {
      size_t n = in->n < c->left ? in->n : (size_t)c->left;
      *out = str_of(in->p, n);
      *in = str_sub(*in, n, in->n);
      c->left -= n;
      if(c->left == 0) c->state = CHUNK_DATA_CR, c->line = 0;
      return Q_OK;
    }
    if(!http1_chunk_byte(c, in->p[0])) return Q_BAD_REQUEST;
    *in = str_sub(*in, 1, in->n);
  }
  return c->state == CHUNK_END ? Q_EOF : Q_AGAIN;
}
