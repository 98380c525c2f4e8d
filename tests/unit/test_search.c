/* Web sources: nothing in a title or URL can break out of the table, the list or a link. */
#include "proto/search.h"

#include "base/codec.h"
#include "proto/json.h"
#include "t.h"

static const struct { const char *name, *title, *url, *host, *row, *item, *note_title, *note_url; } rows[] = {
  { "plain", "Paris", "https://en.wikipedia.org/wiki/Paris", "", "| 1 | [Paris](https://en.wikipedia.org/wiki/Paris) | en.wikipedia.org |\n",
    "[1] [Paris](https://en.wikipedia.org/wiki/Paris) - en.wikipedia.org\n", "Paris", "https://en.wikipedia.org/wiki/Paris" },
  { "marks and breaks", "a|b [c]\nd", "https://x/a b)(c|d", "", "| 1 | [a\\|b (c) d](https://x/a%20b%29%28c%7Cd) | x |\n",
    "[1] [a\\|b (c) d](https://x/a%20b%29%28c%7Cd) - x\n", "a\\|b (c) d", "https://x/a%20b%29%28c%7Cd" },
  { "a backslash before a mark", "a\\|b\\", "https://x/\\`\n", "", "| 1 | [a\\\\\\|b\\\\](https://x/%5C%60) | x |\n", NULL, "a\\\\|b\\", "https://x/%5C%60" },
  { "a query alone", "t", "https://x?q=a b", "", "| 1 | [t](https://x?q=a%20b) | x |\n", NULL, "t", "https://x?q=a%20b" },
  { "a script", "no link", "javascript:alert(1)", "h", "| 1 | no link | h |\n", "[1] no link - h\n", NULL, NULL },
  { "data", "t", "data:text/html,x", "h", "| 1 | t | h |\n", NULL, NULL, NULL },
  { "no URL", "t", "", "h|h", "| 1 | t | h\\|h |\n", "[1] t - h\\|h\n", NULL, NULL },
  { "no title", "", "https://only.host/", "other", "| 1 | [only.host](https://only.host/) | only.host |\n", NULL, "only.host", "https://only.host/" },
  { "a blank title", " \n ", " https://only.host:8080/ ", "", "| 1 | [only.host](https://only.host:8080/) | only.host |\n", NULL, "only.host", "https://only.host:8080/" },
  { "a host that is none", "t", "https://a b/c", "h", "| 1 | t | h |\n", NULL, NULL, NULL },
  { "a break in the host", "t", "https://a\n| b |/c", "h", "| 1 | t | h |\n", NULL, NULL, NULL },
  { "nothing behind the scheme", "t", "https://", "h", "| 1 | t | h |\n", NULL, NULL, NULL },
  { "control characters", "a\x01\tb", "https://x/\x01", "", "| 1 | [a b](https://x/%01) | x |\n", NULL, "a b", "https://x/%01" },
  { "other scripts", "巴黎", "https://x/巴黎", "", "| 1 | [巴黎](https://x/巴黎) | x |\n", NULL, "巴黎", "https://x/巴黎" },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(10000);
    struct arena a = ARENA(100000);
    struct source s = { str_z(rows[i].title), str_z(rows[i].url), str_z(rows[i].host) };
    t_row = rows[i].name;
    CHECK_INT(search_linked(&s), rows[i].note_url != NULL);
    search_row(&s, 1, true, &b);
    CHECK_STR(strbuf_str(&b), str_z(rows[i].row));
    strbuf_clear(&b);
    search_row(&s, 1, false, &b);
    if(rows[i].item) CHECK_STR(strbuf_str(&b), str_z(rows[i].item));
    CHECK_INT(str_chr(strbuf_str(&b), '\n'), b.n - 1); /* one line whatever it holds */
    strbuf_clear(&b);
    search_annotation(&s, &b);
    if(rows[i].note_url) {
      const struct json *r = json_parse(&a, strbuf_str(&b), 10, NULL);
      CHECK_STR(json_str(json_get(r, "type")), S("url_citation"));
      CHECK_STR(json_str(json_path(r, "url_citation.title")), str_z(rows[i].note_title));
      CHECK_STR(json_str(json_path(r, "url_citation.url")), str_z(rows[i].note_url));
      CHECK(json_is(json_path(r, "url_citation.start_index"), JSON_NUMBER));
    } else {
      CHECK_INT(b.n, 0);
    }
    strbuf_free(&b);
    arena_free(&a);
  }
}

static void t_long_ones(void)
{
  struct strbuf title = STRBUF(100000), url = STRBUF(100000), b = STRBUF(100000);
  for(int i = 0; i < 400; i++) strbuf_lit(&title, "\xf0\x9f\x98\x80");
  strbuf_lit(&url, "https://x/");
  while(url.n < 4000) strbuf_addc(&url, ')');
  struct source s = { strbuf_str(&title), strbuf_str(&url), STR_NONE };
  search_row(&s, 1, true, &b);
  CHECK(codec_is_utf8(strbuf_str(&b)));
  CHECK(b.n > 12000 && b.n < 13000);
  strbuf_clear(&b);
  search_annotation(&s, &b);
  CHECK_INT(b.err, Q_OK);
  CHECK(b.n > 12000 && b.n < 13000);
  while(url.n < 5000) strbuf_addc(&url, 'a');
  s.url = strbuf_str(&url);
  CHECK(!search_linked(&s)); /* no link is cut: it is left out */
  strbuf_free(&title);
  strbuf_free(&url);
  strbuf_free(&b);
}

T_MAIN(T(t_rows), T(t_long_ones))
