/* Proxy URLs, and both talks fed whole, byte by byte and at every split. */
#include "../t.h"

#include "base/mem.h"
#include "net/proxy.h"

static void t_urls(void)
{
  static const struct { const char *url, *host, *user, *pass; enum proxy_kind kind; int port; } rows[] = {
    { "http://p.test", "p.test", "", "", PROXY_HTTP, 80 },
    { "http://p.test:3128/", "p.test", "", "", PROXY_HTTP, 3128 },
    { " HTTPS://p.test ", "p.test", "", "", PROXY_HTTPS, 443 },
    { "socks5://p.test", "p.test", "", "", PROXY_SOCKS5, 1080 },
    { "socks5h://u@p.test:9", "p.test", "u", "", PROXY_SOCKS5, 9 },
    { "socks5://[::1]:9", "::1", "", "", PROXY_SOCKS5, 9 },
    { "http://user:pa:ss@p.test", "p.test", "user", "pa:ss", PROXY_HTTP, 80 },
    { "http://user:p%40ss@p.test", "p.test", "user", "p@ss", PROXY_HTTP, 80 },
    { "http://user:p@ss@p.test", "p.test", "user", "p@ss", PROXY_HTTP, 80 },
    { "http://:only@p.test", "p.test", "", "only", PROXY_HTTP, 80 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct proxy p;
    t_row = rows[i].url;
    CHECK_INT(proxy_parse(&p, str_z(rows[i].url), NULL), Q_OK);
    CHECK_INT(p.kind, rows[i].kind);
    CHECK_Z(p.host, rows[i].host);
    CHECK_INT(p.port, rows[i].port);
    CHECK_Z(p.user, rows[i].user);
    CHECK_Z(p.pass, rows[i].pass);
    proxy_free(&p);
    CHECK_Z(p.pass, "");
  }
  static const char *bad[] = { "", "p.test:80", "ftp://p.test", "redis://p.test", "http://", "http://p.test:0",
                               "http://p.test:99999", "http://p.test:x", "http://u:%zz@p.test", "http://u:%00@p.test",
                               "http://a b@p.test", "http://[::1", "socks4://p.test" };
  for(size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct proxy p;
    struct q_error e = Q_ERROR_NONE;
    t_row = bad[i];
    CHECK_INT(proxy_parse(&p, str_z(bad[i]), &e), Q_BAD_VALUE);
    CHECK(str_starts(str_z(e.msg), S("The proxy URL ")));
    proxy_free(&p);
  }
}

struct talk {
  const char *name, *url, *host;
  int port;
  struct str sent[3];  /* what we say, step by step */
  struct str heard[3]; /* what the proxy says to it */
  struct str behind;   /* bytes after its last answer: must stay untouched */
  enum q_status st;
  const char *words;
};

#define B(lit) { "" lit, sizeof(lit) - 1 }
static const struct talk talks[] = {
  { "connect", "http://p.test:1", "up.test", 443, { B("CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\n\r\n") },
    { B("HTTP/1.1 200 OK\r\nA: b\r\n\r\n") }, B("\x16\3\3"), Q_OK, NULL },
  { "connect, v6", "http://p.test:1", "::1", 443, { B("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n") },
    { B("HTTP/1.0 200 fine\r\n\r\n") }, B(""), Q_OK, NULL },
  { "connect, auth", "http://u:p@p.test:1", "up.test", 443,
    { B("CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n") },
    { B("HTTP/1.1 204 No Content\r\n\r\n") }, B(""), Q_OK, NULL },
  { "connect, interim", "http://p.test:1", "up.test", 443,
    { B("CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\n\r\n") },
    { B("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") }, B("x"), Q_OK, NULL },
  { "407", "http://p.test:1", "up.test", 443, { B("CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\n\r\n") },
    { B("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\n") }, B("no"), Q_PROXY,
    "The proxy p.test:1 asks for a user and password (HTTP 407)." },
  { "403", "http://p.test:1", "up.test", 443, { B("CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\n\r\n") },
    { B("HTTP/1.1 403 No\r\n\r\n") }, B(""), Q_PROXY,
    "The proxy p.test:1 would not connect to the upstream (HTTP 403)." },
  { "no http", "http://p.test:1", "up.test", 443, { B("CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\n\r\n") },
    { B("SSH-2") }, B(".0"), Q_PROXY, "The proxy p.test:1 does not speak HTTP." },
  { "bad status", "http://p.test:1", "up.test", 443, { B("CONNECT up.test:443 HTTP/1.1\r\nHost: up.test:443\r\n\r\n") },
    { B("HTTP/1.1 x00\r\n\r\n") }, B(""), Q_PROXY, "The proxy p.test:1 does not speak HTTP." },
  { "socks", "socks5://p.test:1", "up.test", 443, { B("\5\1\0"), B("\5\1\0\3\7up.test\1\273") },
    { B("\5\0"), B("\5\0\0\1\1\2\3\4\0\1") }, B("x"), Q_OK, NULL },
  { "socks, v4 target", "socks5h://p.test:1", "10.1.2.3", 80, { B("\5\1\0"), B("\5\1\0\1\12\1\2\3\0\120") },
    { B("\5\0"), B("\5\0\0\4""1234567890123456\0\1") }, B("x"), Q_OK, NULL },
  { "socks, v6 target", "socks5h://p.test:1", "::1", 80,
    { B("\5\1\0"), B("\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\120") },
    { B("\5\0"), B("\5\0\0\3\3abc\0\1") }, B(""), Q_OK, NULL },
  { "socks, auth", "socks5://u:pw@p.test:1", "up.test", 443,
    { B("\5\2\0\2"), B("\1\1u\2pw"), B("\5\1\0\3\7up.test\1\273") },
    { B("\5\2"), B("\1\0"), B("\5\0\0\1\1\2\3\4\0\1") }, B(""), Q_OK, NULL },
  { "socks, auth not wanted", "socks5://u:pw@p.test:1", "up.test", 443, { B("\5\2\0\2"), B("\5\1\0\3\7up.test\1\273") },
    { B("\5\0"), B("\5\0\0\1\1\2\3\4\0\1") }, B(""), Q_OK, NULL },
  { "socks, wrong password", "socks5://u:pw@p.test:1", "up.test", 443, { B("\5\2\0\2"), B("\1\1u\2pw") },
    { B("\5\2"), B("\1\1") }, B(""), Q_PROXY, "The proxy p.test:1 does not accept the user and password given." },
  { "socks, auth asked", "socks5://p.test:1", "up.test", 443, { B("\5\1\0") }, { B("\5\377") }, B(""), Q_PROXY,
    "The proxy p.test:1 asks for a user and password." },
  { "socks, refused", "socks5://p.test:1", "up.test", 443, { B("\5\1\0"), B("\5\1\0\3\7up.test\1\273") },
    { B("\5\0"), B("\5\5") }, B("\0\1\1\2\3\4\0\1"), Q_PROXY,
    "The proxy p.test:1 was refused by the upstream (SOCKS 5)." },
  { "socks, odd address", "socks5://p.test:1", "up.test", 443, { B("\5\1\0"), B("\5\1\0\3\7up.test\1\273") },
    { B("\5\0"), B("\5\0\0\7\0\0\0") }, B(""), Q_PROXY, "The proxy p.test:1 does not speak SOCKS5." },
  { "no socks", "socks5://p.test:1", "up.test", 443, { B("\5\1\0") }, { B("H") }, B("TTP"), Q_PROXY,
    "The proxy p.test:1 does not speak SOCKS5." },
};

/* piece 0: whole; else cut in pieces of that size. split: one cut there in every answer. */
static void talk_run(const struct talk *t, size_t piece, size_t split)
{
  struct proxy p;
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = Q_AGAIN;
  CHECK_INT(proxy_parse(&p, str_z(t->url), NULL), Q_OK);
  CHECK_INT(proxy_begin(&p, str_z(t->host), t->port), Q_OK);
  for(int i = 0; i < 3 && t->sent[i].n && st == Q_AGAIN; i++) {
    char in[200];
    CHECK_STR(strbuf_str(&p.out), t->sent[i]);
    strbuf_drop(&p.out, p.out.n);
    bool last = i == 2 || !t->sent[i + 1].n;
    size_t n = t->heard[i].n;
    memcpy(in, t->heard[i].p, n);
    if(last) memcpy(in + n, t->behind.p, t->behind.n), n += t->behind.n;
    size_t at = 0, used;
    while(at < n && st == Q_AGAIN) {
      size_t k = piece ? piece : split && at < split ? split - at : n - at;
      if(k > n - at) k = n - at;
      st = proxy_push(&p, str_of(in + at, k), &used, &e);
      CHECK(used == k || st != Q_AGAIN);
      at += used;
    }
    if(last) CHECK_INT(at, t->heard[i].n);
  }
  CHECK_INT(st, t->st);
  if(t->words) CHECK_Z(e.msg, t->words);
  CHECK(strstr(e.msg, "pw") == NULL);
  proxy_free(&p);
}

static void t_talks(void)
{
  long live = mem_live();
  for(size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
    t_row = talks[i].name;
    talk_run(&talks[i], 0, 0);
    talk_run(&talks[i], 1, 0);
    for(size_t split = 1; split < 60; split++) talk_run(&talks[i], 0, split);
  }
  CHECK_INT(mem_live(), live);
}

static void t_endless_head(void)
{
  struct proxy p;
  struct q_error e = Q_ERROR_NONE;
  size_t used, fed = 0;
  enum q_status st;
  CHECK_INT(proxy_parse(&p, S("http://p.test:1"), NULL), Q_OK);
  CHECK_INT(proxy_begin(&p, S("up.test"), 443), Q_OK);
  st = proxy_push(&p, S("HTTP/1.1 200 OK\r\n"), &used, &e);
  while(st == Q_AGAIN && fed++ < 10000) st = proxy_push(&p, S("A: b\r\n"), &used, &e);
  CHECK_INT(st, Q_PROXY);
  CHECK_Z(e.msg, "The proxy p.test:1 sent an answer that is too long.");
  proxy_free(&p);
}

static void t_faults(void)
{
  for(size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
    for(long n = 0; n < 50; n++) {
      struct proxy p;
      struct q_error e = Q_ERROR_NONE;
      long live = mem_live();
      size_t used;
      fault_arm(n, false);
      enum q_status st = proxy_parse(&p, str_z(talks[i].url), NULL);
      if(!st) st = proxy_begin(&p, str_z(talks[i].host), talks[i].port);
      for(int k = 0; !st && k < 3 && talks[i].heard[k].n; k++) {
        st = proxy_push(&p, talks[i].heard[k], &used, &e);
        if(st == Q_AGAIN) st = Q_OK;
      }
      proxy_free(&p);
      bool hit = fault_disarm();
      CHECK_INT(mem_live(), live);
      if(!hit) {
        CHECK_INT(st, talks[i].st);
        break;
      }
    }
  }
}

T_MAIN(T(t_urls), T(t_talks), T(t_endless_head), T(t_faults))
