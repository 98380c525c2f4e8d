#include "proto/url.h"

#include "base/codec.h"

static const struct { struct str scheme; int port; } url_schemes[] = {
  { { "http", 4 }, 80 },      { { "https", 5 }, 443 },  { { "socks5", 6 }, 1080 },
  { { "socks5h", 7 }, 1080 }, { { "redis", 5 }, 6379 }, { { "rediss", 6 }, 6379 },
};

static bool url_host_ok(struct str h, bool v6)
{
  if(h.n == 0 || h.n > 253) return false;
  for(size_t i = 0; i < h.n; i++) {
    char c = h.p[i];
    bool name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    bool address = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' || c == '.' || c == '%';
    if(v6 ? !address : !name) return false;
  }
  return true;
}

static bool url_authority(struct str a, struct url *u)
{
  int64_t port = u->port;
  ptrdiff_t at = -1;
  for(size_t i = 0; i < a.n; i++)
    if(a.p[i] == '@') at = (ptrdiff_t)i; /* the last: a password may hold one */
  if(at >= 0) {
    struct str user = str_sub(a, 0, (size_t)at);
    a = str_sub(a, (size_t)at + 1, a.n);
    u->user = str_cut(&user, ':');
    u->pass = user;
    u->has_user = true;
  }
  bool v6 = a.n && a.p[0] == '[';
  struct str rest;
  if(v6) {
    ptrdiff_t close = str_chr(a, ']');
    if(close < 0) return false;
    u->host = str_sub(a, 1, (size_t)close - 1);
    rest = str_sub(a, (size_t)close + 1, a.n);
    if(rest.n && rest.p[0] != ':') return false;
  } else {
    ptrdiff_t colon = str_chr(a, ':');
    u->host = colon < 0 ? a : str_sub(a, 0, (size_t)colon);
    rest = colon < 0 ? STR_NONE : str_sub(a, (size_t)colon, a.n);
  }
  if(rest.n > 1 && (rest.n > 6 || rest.p[1] == '+' || !str_int(str_sub(rest, 1, rest.n), &port))) return false;
  u->port = port > 0 && port < 65536 ? (int)port : 0;
  return port > 0 && port < 65536 && url_host_ok(u->host, v6);
}

bool url_split(struct str text, struct url *u)
{
  *u = (struct url){ .port = 0 };
  ptrdiff_t sep = str_find(text, S("://"));
  if(sep < 0) return false;
  u->scheme = str_sub(text, 0, (size_t)sep);
  for(size_t i = 0; i < sizeof url_schemes / sizeof url_schemes[0]; i++)
    if(str_ieq(u->scheme, url_schemes[i].scheme)) u->port = url_schemes[i].port;
  if(!u->port) return false;
  struct str rest = str_sub(text, (size_t)sep + 3, text.n);
  for(size_t i = 0; i < rest.n; i++)
    if((unsigned char)rest.p[i] <= ' ' || rest.p[i] == 0x7f || rest.p[i] == '\\') return false;
  size_t end = 0;
  while(end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#') end++;
  u->path = str_sub(rest, end, rest.n);
  ptrdiff_t fragment = str_chr(u->path, '#');
  if(fragment >= 0) u->path = str_sub(u->path, 0, (size_t)fragment);
  return url_authority(str_sub(rest, 0, end), u);
}

/* A scheme of its own: letters, digits, "+-." and a colon before any '/', '?' or '#'. */
static bool url_absolute(struct str s)
{
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if(c == ':') return i > 0;
    if(!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))) return false;
  }
  return false;
}

static void url_escaped(struct str s, struct strbuf *out)
{
  for(size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if(c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>') strbuf_fmt(out, "%%%02X", c);
    else strbuf_addc(out, (char)c);
  }
}

bool url_join(struct str base, struct str ref, struct strbuf *out)
{
  struct url u;
  ref = str_trim(ref);
  ptrdiff_t fragment = str_chr(ref, '#');
  if(fragment >= 0) ref = str_sub(ref, 0, (size_t)fragment);
  if(!ref.n) return false;
  if(!url_absolute(ref)) {
    if(!url_split(base, &u)) return false;
    size_t at = (size_t)(u.host.p - base.p) + u.host.n; /* behind the host: port, then path */
    while(at < base.n && base.p[at] != '/' && base.p[at] != '?' && base.p[at] != '#') at++;
    struct str path = str_sub(u.path, 0, u.path.n);
    ptrdiff_t query = str_chr(path, '?');
    if(query >= 0) path = str_sub(path, 0, (size_t)query);
    if(str_starts(ref, S("//"))) {
      strbuf_adds(out, u.scheme);
      strbuf_addc(out, ':');
    } else {
      strbuf_add(out, base.p, at);
      if(ref.p[0] == '?') {
        strbuf_adds(out, path.n ? path : S("/"));
      } else if(ref.p[0] != '/') {
        while(path.n && path.p[path.n - 1] != '/') path.n--;
        strbuf_adds(out, path.n ? path : S("/"));
      }
    }
  }
  url_escaped(ref, out);
  return !out->err;
}

bool url_query(struct str query, struct str name, struct strbuf *out)
{
  while(query.n) {
    struct str value = str_cut(&query, '&'), key = str_cut(&value, '=');
    if(str_eq(key, name)) return codec_unpercent(value, true, out);
  }
  return false;
}

static void url_drop_front(struct strbuf *path, const char *prefix, const char *instead)
{
  size_t n = strlen(prefix), m = strlen(instead);
  if(path->n < n || memcmp(path->p, prefix, n) != 0) return;
  if(path->n > n && path->p[n] != '/') return;
  memcpy(path->p + n - m, instead, m);
  strbuf_drop(path, n - m);
}

enum q_status url_path(struct str target, struct strbuf *path, struct str *query, bool *anthropic)
{
  struct strbuf decoded = STRBUF(target.n + 1);
  *anthropic = false;
  if(str_istarts(target, S("http://"))) { /* absolute form: the host was judged with the Host header */
    struct str rest = str_sub(target, 7, target.n);
    ptrdiff_t slash = str_chr(rest, '/');
    target = slash < 0 ? S("/") : str_sub(rest, (size_t)slash, rest.n);
  }
  struct str raw = str_cut(&target, '?');
  *query = target;
  bool ok = codec_unpercent(raw, false, &decoded);
  if(ok) ok = decoded.n == 0 || memchr(decoded.p, 0, decoded.n) == NULL;
  for(size_t i = 0; ok && i < decoded.n; i++)
    if(decoded.p[i] != '/' || path->n == 0 || path->p[path->n - 1] != '/') strbuf_addc(path, decoded.p[i]);
  enum q_status st = !ok ? Q_BAD_REQUEST : decoded.err ? decoded.err : path->err;
  strbuf_free(&decoded);
  if(st) return st;
  while(path->n > 1 && path->p[path->n - 1] == '/') path->n--;
  url_drop_front(path, "/openai/v1", "/v1");
  url_drop_front(path, "/api/v1", "/v1");
  if(path->n >= 10 && memcmp(path->p, "/anthropic", 10) == 0 && (path->n == 10 || path->p[10] == '/')) {
    *anthropic = true;
    url_drop_front(path, "/anthropic/v1", "/v1");
  }
  url_drop_front(path, "/v1/v1", "/v1");
  if(path->n >= 12 && memcmp(path->p, "/v1/messages", 12) == 0 && (path->n == 12 || path->p[12] == '/')) *anthropic = true;
  return Q_OK;
}
