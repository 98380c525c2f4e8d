/* Fetching what strangers name: only what may be fetched, only so much, only so long (api 3.4), against the fake's sites. */
#include "domain/fetch.h"

#include <netdb.h>

#include "fakeup.h"
#include "net/resolve.h"
#include "peer.h"

static enum q_status get(struct app *a, struct fetch_want w, struct strbuf *body, char type[80], struct q_error *e)
{
  struct config *c = app_config(a);
  *body = STRBUF(1);
  if(!w.max) w.max = 1 << 20;
  if(!w.deadline_ms) w.deadline_ms = 20000;
  enum q_status st = fetch_get(a, c, &w, body, type, e);
  config_unref(c);
  return st;
}

static enum q_status get_url(struct app *a, const char *url, struct q_error *e)
{
  struct strbuf body;
  char type[80];
  enum q_status st = get(a, (struct fetch_want){ .url = str_z(url) }, &body, type, e);
  strbuf_free(&body);
  return st;
}

static void t_good(void)
{
  static const struct { const char *url, *type; size_t n; } rows[] = {
    { "https://img.example.test/cat.png", "image/png", 0 }, { "https://IMG.example.test/note.txt", "text/plain", 0 },
    { "https://img.example.test/octet", "application/octet-stream", 0 }, { "https://img.example.test/mislabel", "image/png", 0 }, { "https://img.example.test/nolength", NULL, 0 },
    { "https://img.example.test/big?n=300000", NULL, 300000 }, { "https://img.example.test/big?n=300000&chunked=1", NULL, 300000 },
    { "https://img.example.test/redirect?to=/cat.png", "image/png", 0 }, { "https://img.example.test/redirect?to=https%3A%2F%2Fevil.example.test%2Fcat.png", "image/png", 0 },
    { "  https://img.example.test/my cat.png#part ", "image/png", 0 }, { "https://img.example.test/gzip", NULL, 0 },
  };
  struct app *a = fakeup_app(NULL);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct q_error e;
    struct strbuf body;
    char type[80];
    t_row = rows[i].url;
    CHECK_INT(get(a, (struct fetch_want){ .url = str_z(rows[i].url) }, &body, type, &e), Q_OK);
    CHECK_Z(e.msg, "");
    CHECK(body.n > 0);
    if(rows[i].type) CHECK_Z(type, rows[i].type);
    if(rows[i].n) CHECK_INT(body.n, rows[i].n);
    strbuf_free(&body);
  }
  CHECK_INT(fakeup_stat(a, "leaks"), 0);
  fakeup_app_end(a);
}

static void t_not_there(void)
{
  static const struct { const char *url; enum q_status want; const char *says; } rows[] = {
    { "https://img.example.test/notfound", Q_BAD_MEDIA, "404" }, { "https://img.example.test/403", Q_BAD_MEDIA, "403" }, { "https://img.example.test/500", Q_BAD_MEDIA, "500" },
    { "https://img.example.test/empty", Q_BAD_MEDIA, "nothing" }, { "https://img.example.test/big?n=2000000", Q_BAD_MEDIA, "larger than 1 MiB" },
    { "https://img.example.test/big?n=2000000&chunked=1", Q_BAD_MEDIA, "larger" }, { "https://img.example.test/short?n=1000", Q_BAD_MEDIA, "img.example.test" },
    { "https://img.example.test/drop", Q_BAD_MEDIA, "img.example.test" }, { "https://img.example.test/loop", Q_BAD_MEDIA, "redirects" },
    { "https://img.example.test/redirect?to=ftp%3A%2F%2Fx%2Fy", Q_BAD_MEDIA, "" }, { "https://img.example.test/redirect?to=javascript%3A1", Q_BAD_MEDIA, "" },
    { "ftp://img.example.test/x", Q_BAD_MEDIA, "" }, { "file:///etc/passwd", Q_BAD_MEDIA, "" }, { "redis://127.0.0.1/", Q_MEDIA_REFUSED, "http" },
    { "https://", Q_BAD_MEDIA, "" }, { "", Q_BAD_MEDIA, "empty" }, { "//x", Q_BAD_MEDIA, "" },
  };
  struct app *a = fakeup_app(NULL);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct q_error e;
    t_row = rows[i].url;
    CHECK_INT(get_url(a, rows[i].url, &e), rows[i].want);
    if(!strstr(e.msg, rows[i].says) || !e.msg[0]) T_FAIL("%s", e.msg);
  }
  char *long_url = malloc(20001);
  struct q_error e;
  memset(long_url, 'a', 20000);
  long_url[20000] = 0;
  memcpy(long_url, "https://img.example.test/", 25);
  CHECK_INT(get_url(a, long_url, &e), Q_BAD_MEDIA);
  free(long_url);
  fakeup_app_end(a);
}

/* The deadline covers everything; bytes that drip do not lengthen it. */
static void t_slow(void)
{
  static const char *const urls[] = { "https://img.example.test/hang", "https://img.example.test/hang_body", "https://img.example.test/drip?ms=20",
                                      "https://img.example.test/redirect?to=/hang" };
  struct app *a = fakeup_app(NULL);
  for(size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    struct strbuf body;
    struct q_error e;
    char type[80];
    int64_t t0 = now_mono_ms(&now_real);
    CHECK_INT(get(a, (struct fetch_want){ .url = str_z(urls[i]), .deadline_ms = 700 }, &body, type, &e), Q_BAD_MEDIA);
    int64_t took = now_mono_ms(&now_real) - t0;
    CHECK(took >= 600 && took < 5000);
    CHECK(strstr(e.msg, "within 1 s"));
    strbuf_free(&body);
  }
  fakeup_app_end(a);
}

static void serve_png(struct peer_conn *c)
{
  while(peer_head(c).n) peer_say(c, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 8\r\n\r\n\x89PNG\r\n\x1a\n");
}

/* What is not public is refused, in every spelling, and nothing is sent there. */
static void t_refused(void)
{
  static const char *const hosts[] = {
    "127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "localhost.", "x.localhost", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3", "192.0.2.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "255.255.255.255",
    "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]",
    "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::1]", "[2001:db8::1]", "[::127.0.0.1]",
    "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "1", "metadata.google.internal", "router.local", "nas.lan", "x.home.arpa",
  };
  struct peer *p = peer_start(NULL, false, serve_png, NULL);
  char url[300], to[400], proxy[60];
  struct app *a = fakeup_app(NULL);
  struct q_error e;
  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", p->port);
  for(size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
    struct strbuf body;
    char type[80];
    t_row = hosts[i];
    snprintf(url, sizeof url, "http://%s:%d/cat.png", hosts[i], p->port);
    CHECK_INT(get_url(a, url, &e), Q_MEDIA_REFUSED);
    /* a proxy would find them on its own side */
    CHECK_INT(get(a, (struct fetch_want){ .url = str_z(url), .proxy = str_z(proxy) }, &body, type, &e), Q_MEDIA_REFUSED);
    strbuf_free(&body);
    snprintf(to, sizeof to, "https://img.example.test/redirect?to=http%%3A%%2F%%2F%s%%3A%d%%2Fcat.png", hosts[i], p->port);
    CHECK_INT(get_url(a, to, &e), Q_MEDIA_REFUSED);
  }
  t_row = "t_refused";
  CHECK_INT(atomic_load(&p->accepted), 0);
  fakeup_app_end(a);
  a = fakeup_app((char *[]){ "ALLOW_PRIVATE_MEDIA=true", NULL });
  snprintf(url, sizeof url, "http://127.0.0.1:%d/cat.png", p->port);
  CHECK_INT(get_url(a, url, &e), Q_OK);
  CHECK_INT(atomic_load(&p->accepted), 1);
  fakeup_app_end(a);
  peer_stop(p);
}

/* A name is judged by the very address that is connected to: this machine's own name leads to a private one. */
static void t_rebinding(void)
{
  char host[256] = "", url[400];
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *list = NULL;
  struct q_error e;
  if(gethostname(host, sizeof host - 1) != 0 || getaddrinfo(host, NULL, &hints, &list) != 0 || !list) return;
  struct net_addr addr = { .len = list->ai_addrlen };
  memcpy(&addr.u, list->ai_addr, list->ai_addrlen);
  bool public = resolve_public(&addr);
  freeaddrinfo(list);
  if(public || strchr(host, '_')) return;
  struct peer *p = peer_start(NULL, false, serve_png, NULL);
  struct app *a = fakeup_app(NULL);
  snprintf(url, sizeof url, "http://%s:%d/cat.png", host, p->port);
  CHECK_INT(get_url(a, url, &e), Q_MEDIA_REFUSED);
  CHECK(strstr(e.msg, "public"));
  CHECK_INT(atomic_load(&p->accepted), 0);
  fakeup_app_end(a);
  peer_stop(p);
}

/* Results are fetched from listed hosts only, redirects too. */
static void t_results(void)
{
  static const struct { const char *url; enum q_status want; } rows[] = {
    { "https://cdn.qwenlm.ai/output/u/x.png?key=k", Q_OK }, { "https://img.example.test/cat.png", Q_MEDIA_REFUSED },
    { "https://cdn.qwenlm.ai/output/evil/x.png?key=k", Q_MEDIA_REFUSED }, { "http://127.0.0.1:1/", Q_MEDIA_REFUSED },
    { "https://cdn.qwenlm.ai.evil.example/output/u/x.png", Q_MEDIA_REFUSED },
  };
  struct app *a = fakeup_app(NULL);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf body;
    struct q_error e;
    char type[80];
    t_row = rows[i].url;
    CHECK_INT(get(a, (struct fetch_want){ .url = str_z(rows[i].url), .result_host = true }, &body, type, &e), rows[i].want);
    strbuf_free(&body);
  }
  fakeup_app_end(a);
  a = fakeup_app((char *[]){ "MEDIA_HOSTS=one.example,*.two.example", NULL });
  struct config *c = app_config(a);
  CHECK(fetch_result_host(c, S("ONE.example")) && fetch_result_host(c, S("one.example.")) && fetch_result_host(c, S("a.b.two.example")));
  CHECK(!fetch_result_host(c, S("two.example")) && !fetch_result_host(c, S("xtwo.example")) && !fetch_result_host(c, S("a.one.example")) && !fetch_result_host(c, STR_NONE));
  config_unref(c);
  fakeup_app_end(a);
}

/* The proxy's failure is ours, not the client's; nothing of an account goes to strangers. */
static void t_way(void)
{
  struct app *a = fakeup_app(NULL);
  struct strbuf body;
  struct q_error e;
  char type[80];
  fakeup_tell(a, "/__reset", "{}");
  CHECK_INT(get(a, (struct fetch_want){ .url = S("https://img.example.test/cat.png"), .proxy = S("http://user:secret@127.0.0.1:1") }, &body, type, &e), Q_PROXY);
  CHECK(!strstr(e.msg, "secret"));
  strbuf_free(&body);
  CHECK_INT(get(a, (struct fetch_want){ .url = S("https://name:pass@img.example.test/cat.png") }, &body, type, &e), Q_OK);
  strbuf_free(&body);
  struct strbuf log = fakeup_ask(a, "/__log?heads=1", NULL);
  ptrdiff_t at = str_find(strbuf_str(&log), S("\"host\":\"img.example.test\""));
  CHECK(at >= 0);
  struct str one = str_sub(strbuf_str(&log), at > 0 ? (size_t)at : 0, 4000);
  ptrdiff_t next = str_find(one, S("\"t_ms\"")); /* the gateway's own calls stand in the log, too */
  if(next > 0) one = str_sub(one, 0, (size_t)next);
  CHECK(str_ifind(one, S("user-agent: qwen2api/")) > 0);
  CHECK(str_ifind(one, S("cookie:")) < 0 && str_ifind(one, S("authorization:")) < 0 && str_ifind(one, S("referer:")) < 0);
  strbuf_free(&log);
  fakeup_app_end(a);
}

/* Given up when its owner wants so, and when the app drains. */
static bool no(void *ctx, const struct strbuf *body)
{
  (void)body;
  return now_mono_ms(&now_real) < *(int64_t *)ctx;
}

static void *drain(void *arg)
{
  fakeup_nap(300);
  atomic_store(&((struct app *)arg)->ending, true);
  return NULL;
}

static void t_given_up(void)
{
  struct app *a = fakeup_app(NULL);
  struct config *c = app_config(a);
  struct strbuf body = STRBUF(1);
  struct q_error e;
  char type[80];
  pthread_t t;
  struct fetch_want w = { .url = S("https://img.example.test/hang"), .max = 1000, .deadline_ms = 20000 };
  int64_t t0 = now_mono_ms(&now_real), until = t0 + 300;
  CHECK_INT(fetch_get_watched(a, c, &w, no, &until, &body, type, &e), Q_CLIENT_GONE);
  CHECK(now_mono_ms(&now_real) - t0 < 3000);
  t0 = now_mono_ms(&now_real);
  CHECK(pthread_create(&t, NULL, drain, a) == 0);
  CHECK_INT(fetch_get(a, c, &w, &body, type, &e), Q_SHUTDOWN);
  CHECK(now_mono_ms(&now_real) - t0 < 3000);
  pthread_join(t, NULL);
  strbuf_free(&body);
  config_unref(c);
  fakeup_app_end(a);
}

T_MAIN(T(t_good), T(t_not_there), T(t_slow), T(t_refused), T(t_rebinding), T(t_results), T(t_way), T(t_given_up))
