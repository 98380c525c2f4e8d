/* URLs, queries and the one spelling of a path. */
#include "proto/url.h"

#include "t.h"

static const struct { const char *in; bool ok; const char *host, *user, *pass, *path; int port; } urls[] = {
  { "https://chat.qwen.ai", true, "chat.qwen.ai", "", "", "", 443 },
  { "HTTP://h:81/a?b#c", true, "h", "", "", "/a?b", 81 },
  { "socks5h://us%40er:p%3Aa:s@127.0.0.1", true, "127.0.0.1", "us%40er", "p%3Aa:s", "", 1080 },
  { "http://a@b@c:1", true, "c", "a@b", "", "", 1 },
  { "https://[::1]:8443/x", true, "::1", "", "", "/x", 8443 },
  { "rediss://h", true, "h", "", "", "", 6379 },
  { "https://h:", true, "h", "", "", "", 443 }, { "https://h/", true, "h", "", "", "/", 443 }, { "https://h?q=a/b@c:d", true, "h", "", "", "?q=a/b@c:d", 443 },
  { "https://h:65535/a/b?c", true, "h", "", "", "/a/b?c", 65535 }, { "redis://:pw@h:6380/0", true, "h", "", "pw", "/0", 6380 }, { "http://u:@h", true, "h", "u", "", "", 80 },
  { "SOCKS5://[2001:db8::1]:9", true, "2001:db8::1", "", "", "", 9 }, { "https://a_b.c-d", true, "a_b.c-d", "", "", "", 443 },
  { "https://h:65536", false, 0, 0, 0, 0, 0 }, { "https://h:+80", false, 0, 0, 0, 0, 0 }, { "https://h:-1", false, 0, 0, 0, 0, 0 }, { "https://h:8 0", false, 0, 0, 0, 0, 0 },
  { "https://h:000080", false, 0, 0, 0, 0, 0 }, { "https://[]", false, 0, 0, 0, 0, 0 }, { "https://[::1]x", false, 0, 0, 0, 0, 0 }, { "https://[::g]", false, 0, 0, 0, 0, 0 },
  { "https://u@", false, 0, 0, 0, 0, 0 }, { "://h", false, 0, 0, 0, 0, 0 }, { "", false, 0, 0, 0, 0, 0 }, { "https:/h", false, 0, 0, 0, 0, 0 }, { " https://h", false, 0, 0, 0, 0, 0 },
  { "https://h\x7f", false, 0, 0, 0, 0, 0 }, { "https://::1", false, 0, 0, 0, 0, 0 }, { "https://\xc3\xa4.de", false, 0, 0, 0, 0, 0 }, { "https:///path", false, 0, 0, 0, 0, 0 },
  { "ftp://h", false, 0, 0, 0, 0, 0 }, { "https://", false, 0, 0, 0, 0, 0 }, { "https://h:0", false, 0, 0, 0, 0, 0 }, { "https://h:99999", false, 0, 0, 0, 0, 0 },
  { "https://h:8x", false, 0, 0, 0, 0, 0 }, { "https://a b", false, 0, 0, 0, 0, 0 }, { "https://a\\b", false, 0, 0, 0, 0, 0 }, { "https://[::1", false, 0, 0, 0, 0, 0 },
  { "https://a\r\nb", false, 0, 0, 0, 0, 0 }, { "no scheme", false, 0, 0, 0, 0, 0 }, { "https://a\"b", false, 0, 0, 0, 0, 0 },
};

static void t_urls(void)
{
  for(size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
    struct url u;
    t_row = urls[i].in;
    CHECK_INT(url_split(str_z(urls[i].in), &u), urls[i].ok);
    if(!urls[i].ok) continue;
    CHECK_STR(u.host, str_z(urls[i].host));
    CHECK_STR(u.user, str_z(urls[i].user));
    CHECK_STR(u.pass, str_z(urls[i].pass));
    CHECK_STR(u.path, str_z(urls[i].path));
    CHECK_INT(u.port, urls[i].port);
  }
}

static const struct { const char *in, *path, *query; bool anthropic; enum q_status st; } paths[] = {
  { "/", "/", "", false, Q_OK }, { "//", "/", "", false, Q_OK }, { "/v1/models/", "/v1/models", "", false, Q_OK }, { "//v1///models?a=b?c", "/v1/models", "a=b?c", false, Q_OK },
  { "/v1/v1/models", "/v1/models", "", false, Q_OK }, { "/openai/v1/models", "/v1/models", "", false, Q_OK }, { "/api/v1/models", "/v1/models", "", false, Q_OK },
  { "/api/settings", "/api/settings", "", false, Q_OK }, { "/anthropic/v1/messages", "/v1/messages", "", true, Q_OK }, { "/v12/x", "/v12/x", "", false, Q_OK },
  { "/v1/%6dodels", "/v1/models", "", false, Q_OK }, { "/v1/a%2Fb", "/v1/a/b", "", false, Q_OK }, { "http://h/v1/x", "/v1/x", "", false, Q_OK }, { "/a%zz", "", "", false, Q_BAD_REQUEST },
  { "/anthropic", "/anthropic", "", true, Q_OK }, { "/anthropics/v1/x", "/anthropics/v1/x", "", false, Q_OK }, { "/anthropic/v1", "/v1", "", true, Q_OK }, { "/anthropic//v1/v1/x/", "/v1/x", "", true, Q_OK },
  { "/openai/v1", "/v1", "", false, Q_OK }, { "/openai/v12/x", "/openai/v12/x", "", false, Q_OK }, { "/%2f%2Fv1%2fmodels", "/v1/models", "", false, Q_OK }, { "/a+b", "/a+b", "", false, Q_OK },
  { "http://h", "/", "", false, Q_OK }, { "HTTP://h//v1/v1/x?q", "/v1/x", "q", false, Q_OK }, { "/a?%zz", "/a", "%zz", false, Q_OK }, { "/a?", "/a", "", false, Q_OK }, { "", "", "", false, Q_OK },
  { "/v1/messages", "/v1/messages", "", true, Q_OK }, { "/v1/messages/count_tokens?beta=true", "/v1/messages/count_tokens", "beta=true", true, Q_OK },
  { "/v1/messages_x", "/v1/messages_x", "", false, Q_OK }, { "/v1/v1/messages/", "/v1/messages", "", true, Q_OK },
  { "/a%0", "", "", false, Q_BAD_REQUEST }, { "/a%00b", "", "", false, Q_BAD_REQUEST }, { "/../etc", "/../etc", "", false, Q_OK },
};

static void t_paths(void)
{
  for(size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    struct strbuf b = STRBUF(1000);
    struct str query;
    bool anthropic;
    t_row = paths[i].in;
    CHECK_INT(url_path(str_z(paths[i].in), &b, &query, &anthropic), paths[i].st);
    if(paths[i].st == Q_OK) {
      CHECK_STR(strbuf_str(&b), str_z(paths[i].path));
      CHECK_STR(query, str_z(paths[i].query));
      CHECK_INT(anthropic, paths[i].anthropic);
    }
    strbuf_free(&b);
  }
}

static void t_query(void)
{
  struct strbuf b = STRBUF(100);
  CHECK(url_query(S("a=1&b=x%20y+z&c"), S("b"), &b));
  CHECK_STR(strbuf_str(&b), S("x y z"));
  CHECK(!url_query(S("a=1"), S("b"), &b));
  strbuf_clear(&b);
  CHECK(url_query(S("ab=1&a=2&a=3"), S("a"), &b)); /* the first of its name */
  CHECK_STR(strbuf_str(&b), S("2"));
  strbuf_clear(&b);
  CHECK(url_query(S("a&b"), S("a"), &b) && b.n == 0);
  CHECK(url_query(S("a=b=c&&"), S("a"), &b));
  CHECK_STR(strbuf_str(&b), S("b=c"));
  CHECK(!url_query(S("a=%4"), S("a"), &b) && !url_query(S(""), S("a"), &b) && !url_query(STR_NONE, S(""), &b));
  struct url u;
  CHECK(url_split(S("RedisS://h"), &u) && url_tls(&u) && url_split(S("http://h"), &u) && !url_tls(&u) && !u.has_user && url_split(S("http://@h"), &u) && u.has_user);
  strbuf_free(&b);
}

static void t_join(void)
{
  static const struct { const char *base, *ref, *want; } rows[] = {
    { "https://a.example/x/y?q#f", "z", "https://a.example/x/z" },
    { "https://a.example/x/y?q=1/2", "../z", "https://a.example/x/../z" },
    { "https://u:p@a.example:8443/x/y", "/z?k=v#frag", "https://u:p@a.example:8443/z?k=v" },
    { "https://a.example", "z", "https://a.example/z" },
    { "https://a.example?q", "z", "https://a.example/z" },
    { "https://a.example/x/y?q", "?r", "https://a.example/x/y?r" },
    { "http://[2001:db8::1]:81/x", "y", "http://[2001:db8::1]:81/y" },
    { "https://a.example/x", "//b.example/y", "https://b.example/y" },
    { "https://a.example/x", "http://b.example", "http://b.example" },
    { "https://a.example/x", "javascript:alert(1)", "javascript:alert(1)" }, /* which url_split() refuses */
    { "", "https://a.example/\xc3\xa4 b\r\nX: y", "https://a.example/%C3%A4%20b%0D%0AX:%20y" },
    { "https://a.example/x", "  y\n", "https://a.example/y" },
    { "https://a.example/x", "", NULL }, { "https://a.example/x", "#f", NULL }, { "", "y", NULL }, { "nonsense", "y", NULL },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(200);
    bool ok = url_join(str_z(rows[i].base), str_z(rows[i].ref), &b);
    CHECK_INT(ok, rows[i].want != NULL);
    if(ok && rows[i].want) CHECK_STR(strbuf_str(&b), str_z(rows[i].want));
    strbuf_free(&b);
  }
}

T_MAIN(T(t_urls), T(t_join), T(t_paths), T(t_query))
