#include "net/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/crypt.h"
#include "base/codec.h"
#include "proto/url.h"

enum { PROXY_TALK_MAX = 8 * 1024 };

/* Steps of the talk: CONNECT has one, SOCKS5 three. */
enum { PROXY_IDLE, PROXY_HEAD, PROXY_GREETED, PROXY_AUTHED, PROXY_ASKED };

/* Percent-decodes user info into a field; false if it is too long, malformed or holds a NUL. */
static bool proxy_decode(char *field, size_t cap, struct str s)
{
  struct strbuf b = STRBUF(cap - 1);
  bool ok = s.n == 0 || (codec_unpercent(s, false, &b) && !b.err && !memchr(b.p, 0, b.n));
  if(ok) str_copy(field, cap, strbuf_str(&b));
  if(b.p) crypt_wipe(b.p, b.cap);
  strbuf_free(&b);
  return ok;
}

static enum q_status proxy_bad(struct q_error *err, const char *why)
{
  return status_fail(err, Q_BAD_VALUE, NULL, "The proxy URL %s.", why);
}

enum q_status proxy_parse(struct proxy *p, struct str text, struct q_error *err)
{
  static const struct { struct str scheme; enum proxy_kind kind; } schemes[] = {
    { { "http", 4 }, PROXY_HTTP },     { { "https", 5 }, PROXY_HTTPS },
    { { "socks5", 6 }, PROXY_SOCKS5 }, { { "socks5h", 7 }, PROXY_SOCKS5 },
  };
  struct url u;
  memset(p, 0, sizeof *p);
  p->out.max = p->in.max = p->target.max = PROXY_TALK_MAX;
  bool good = url_split(str_trim(text), &u);
  for(size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
    if(str_ieq(u.scheme, schemes[i].scheme)) p->kind = schemes[i].kind;
  if(!p->kind) return proxy_bad(err, "must begin with http://, https://, socks5:// or socks5h://");
  if(!good || u.host.n >= sizeof p->host) return proxy_bad(err, "has no valid host or port");
  if(!proxy_decode(p->user, sizeof p->user, u.user) || !proxy_decode(p->pass, sizeof p->pass, u.pass))
    return proxy_bad(err, "has user info that is too long or wrongly percent-encoded");
  str_copy(p->host, sizeof p->host, u.host);
  p->port = u.port;
  return Q_OK;
}

void proxy_free(struct proxy *p)
{
  if(p->out.p) crypt_wipe(p->out.p, p->out.cap);
  strbuf_free(&p->out);
  strbuf_free(&p->in);
  strbuf_free(&p->target);
  crypt_wipe(p->user, sizeof p->user);
  crypt_wipe(p->pass, sizeof p->pass);
  p->kind = PROXY_NONE;
}

void proxy_auth_line(const struct proxy *p, struct strbuf *out)
{
  struct strbuf pair = STRBUF(sizeof p->user + sizeof p->pass);
  if(!p->user[0] && !p->pass[0]) return;
  strbuf_addz(&pair, p->user);
  strbuf_addc(&pair, ':');
  strbuf_addz(&pair, p->pass);
  strbuf_lit(out, "Proxy-Authorization: Basic ");
  codec_base64(strbuf_str(&pair), out);
  strbuf_lit(out, "\r\n");
  if(pair.err) out->err = pair.err;
  if(pair.p) crypt_wipe(pair.p, pair.cap);
  strbuf_free(&pair);
}

/* The name goes to the proxy as it is; an address as an address. */
static void proxy_socks_ask(struct proxy *p)
{
  const char *host = strbuf_z(&p->target);
  struct in6_addr v6;
  struct in_addr v4;
  char port[2] = { (char)(p->target_port >> 8), (char)p->target_port };
  strbuf_add(&p->out, "\5\1\0", 3);
  if(inet_pton(AF_INET, host, &v4) == 1) {
    strbuf_addc(&p->out, 1);
    strbuf_add(&p->out, (const char *)&v4, sizeof v4);
  } else if(inet_pton(AF_INET6, host, &v6) == 1) {
    strbuf_addc(&p->out, 4);
    strbuf_add(&p->out, (const char *)&v6, sizeof v6);
  } else {
    strbuf_addc(&p->out, 3);
    strbuf_addc(&p->out, (char)p->target.n);
    strbuf_adds(&p->out, strbuf_str(&p->target));
  }
  strbuf_add(&p->out, port, sizeof port);
  p->step = PROXY_ASKED;
}

static void proxy_socks_auth(struct proxy *p)
{
  struct str user = str_z(p->user), pass = str_z(p->pass);
  strbuf_addc(&p->out, 1);
  strbuf_addc(&p->out, (char)user.n);
  strbuf_adds(&p->out, user);
  strbuf_addc(&p->out, (char)pass.n);
  strbuf_adds(&p->out, pass);
  p->step = PROXY_AUTHED;
}

enum q_status proxy_begin(struct proxy *p, struct str host, int port)
{
  const char *form = str_chr(host, ':') >= 0 ? "[%.*s]:%d" : "%.*s:%d";
  strbuf_clear(&p->out);
  strbuf_clear(&p->in);
  strbuf_clear(&p->target);
  strbuf_adds(&p->target, str_sub(host, 0, 255));
  p->target_port = port;
  if(p->kind == PROXY_SOCKS5) {
    bool auth = p->user[0] || p->pass[0];
    strbuf_add(&p->out, auth ? "\5\2\0\2" : "\5\1\0", auth ? 4 : 3);
    p->step = PROXY_GREETED;
  } else {
    strbuf_lit(&p->out, "CONNECT ");
    strbuf_fmt(&p->out, form, STR_F(host), port);
    strbuf_lit(&p->out, " HTTP/1.1\r\nHost: ");
    strbuf_fmt(&p->out, form, STR_F(host), port);
    strbuf_lit(&p->out, "\r\n");
    proxy_auth_line(p, &p->out);
    strbuf_lit(&p->out, "\r\n");
    p->step = PROXY_HEAD;
  }
  return p->out.err || p->target.err ? Q_NOMEM : Q_OK;
}

static enum q_status proxy_refused(const struct proxy *p, struct q_error *err, const char *why)
{
  return status_fail(err, Q_PROXY, NULL, "The proxy %s:%d %s.", p->host, p->port, why);
}

/* The answer to CONNECT: a head whose status decides. */
static enum q_status proxy_push_head(struct proxy *p, struct str in, size_t *used, struct q_error *err)
{
  struct str head;
  int64_t code;
  char why[80];
  while(*used < in.n) {
    strbuf_addc(&p->in, in.p[(*used)++]);
    if(p->in.err == Q_NOMEM) return Q_NOMEM;
    if(p->in.err) return proxy_refused(p, err, "sent an answer that is too long");
    head = strbuf_str(&p->in);
    if(head.n == 5 && !str_eq(head, S("HTTP/"))) return proxy_refused(p, err, "does not speak HTTP");
    if(!str_ends(head, S("\r\n\r\n"))) continue;
    if(head.n < 12 || !str_starts(head, S("HTTP/1.")) || head.p[8] != ' ' || !str_int(str_sub(head, 9, 3), &code))
      return proxy_refused(p, err, "does not speak HTTP");
    if(code >= 100 && code < 200) {
      strbuf_clear(&p->in);
      continue;
    }
    if(code >= 200 && code < 300) return Q_OK;
    if(code == 407)
      return proxy_refused(p, err, p->user[0] ? "does not accept the user and password given (HTTP 407)"
                                              : "asks for a user and password (HTTP 407)");
    snprintf(why, sizeof why, "would not connect to the upstream (HTTP %d)", (int)code);
    return proxy_refused(p, err, why);
  }
  return Q_AGAIN;
}

static const char *proxy_socks_words(unsigned char code)
{
  switch(code) {
    case 2: return "does not allow the connection (SOCKS 2)";
    case 3: return "cannot reach the upstream's network (SOCKS 3)";
    case 4: return "cannot reach the upstream's host (SOCKS 4)";
    case 5: return "was refused by the upstream (SOCKS 5)";
    case 6: return "got no answer from the upstream in time (SOCKS 6)";
    default: return "would not connect to the upstream (SOCKS error)";
  }
}

/* How long the answer being read is, judged by what is there; at least one more than that if it cannot be told. */
static size_t proxy_socks_need(const struct proxy *p)
{
  const unsigned char *b = (const unsigned char *)p->in.p;
  if(p->step != PROXY_ASKED) return 2;
  if(p->in.n < 5) return 5;
  return b[3] == 1 ? 10 : b[3] == 4 ? 22 : 7 + (size_t)b[4];
}

static enum q_status proxy_push_socks(struct proxy *p, struct str in, size_t *used, struct q_error *err)
{
  while(*used < in.n) {
    /* A refusal may come without the rest of its answer. */
    strbuf_addc(&p->in, in.p[(*used)++]);
    if(p->in.err) return Q_NOMEM;
    const unsigned char *b = (const unsigned char *)p->in.p;
    if(b[0] != (p->step == PROXY_AUTHED ? 1 : 5)) return proxy_refused(p, err, "does not speak SOCKS5");
    if(p->step == PROXY_ASKED && p->in.n >= 2 && b[1] != 0) return proxy_refused(p, err, proxy_socks_words(b[1]));
    if(p->in.n < proxy_socks_need(p)) continue;
    bool auth = p->user[0] || p->pass[0];
    if(p->step == PROXY_ASKED) {
      if(b[3] != 1 && b[3] != 3 && b[3] != 4) return proxy_refused(p, err, "does not speak SOCKS5");
      return Q_OK;
    }
    if(p->step == PROXY_AUTHED) {
      if(b[1] != 0) return proxy_refused(p, err, "does not accept the user and password given");
      proxy_socks_ask(p);
    } else if(b[1] == 0) {
      proxy_socks_ask(p);
    } else if(b[1] == 2 && auth) {
      proxy_socks_auth(p);
    } else {
      return proxy_refused(p, err, auth ? "accepts no user and password" : "asks for a user and password");
    }
    strbuf_clear(&p->in);
    if(p->out.err) return Q_NOMEM;
  }
  return Q_AGAIN;
}

enum q_status proxy_push(struct proxy *p, struct str in, size_t *used, struct q_error *err)
{
  *used = 0;
  return p->kind == PROXY_SOCKS5 ? proxy_push_socks(p, in, used, err) : proxy_push_head(p, in, used, err);
}
