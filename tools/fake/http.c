/* ---------- HTTP/1.1 requests, strict ---------- */

struct req {
  struct span method, path, query, host, type, auth, cookie, origin, body;
  struct span head; /* all of it, the blank line included */
  int64_t length;   /* -1: none given */
  bool chunked, close, expect;
};

enum { HEAD_MAX = 65536, BODY_MAX = 128 << 20 };

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

/* A header by name; names of the request are compared without regard to case. */
static struct span header(const struct req *r, const char *name)
{
  const char *e = r->head.p + r->head.n - 2, *p = memchr(r->head.p, '\n', r->head.n);
  for(p++; p < e;) {
    const char *eol = memchr(p, '\n', (size_t)(e - p)), *colon = memchr(p, ':', (size_t)(eol - p));
    if(same_word((struct span){ p, (size_t)(colon - p) }, name)) {
      const char *v = colon + 1, *end = eol - 1;
      while(v < end && (*v == ' ' || *v == '\t')) v++;
      while(end > v && (end[-1] == ' ' || end[-1] == '\t')) end--;
      return (struct span){ v, (size_t)(end - v) };
    }
    p = eol + 1;
  }
  return SPAN_NONE;
}

static int hex_value(char c)
{
  return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

/* Percent-decoding; plus: a '+' is a blank, as in forms. With a 0 after its end. false: a broken escape. */
static bool percent_decode(struct span s, bool plus, struct buf *out)
{
  bool good = true;
  out->n = 0;
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if(c == '%' && i + 2 < s.n && is_hex(s.p[i + 1]) && is_hex(s.p[i + 2])) {
      c = (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2]));
      i += 2;
    } else if(c == '%') {
      good = false;
    } else if(c == '+' && plus) {
      c = ' ';
    }
    buf_add(out, &c, 1);
  }
  *buf_room(out, 1) = 0;
  return good;
}

static void percent_encode(struct span s, bool keep_slash, struct buf *out)
{
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.~", c)) ||
       (c == '/' && keep_slash)) buf_add(out, &c, 1);
    else buf_fmt(out, "%%%02X", (unsigned char)c);
  }
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
