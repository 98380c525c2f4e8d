/* Web sources: nothing in a title or URL can break out of the table, the list or a link. */
#include "proto/search.h"

#include "t.h"

static const struct { struct source s; const char *row, *item, *note; } rows[] = {
  { { { "Paris", 5 }, { "https://en.wikipedia.org/wiki/Paris", 35 }, { NULL, 0 } }, "| 1 | [Paris](https://en.wikipedia.org/wiki/Paris) | en.wikipedia.org |\n",
    "[1] [Paris](https://en.wikipedia.org/wiki/Paris) - en.wikipedia.org\n", "\"title\":\"Paris\",\"url\":\"https://en.wikipedia.org/wiki/Paris\"" },
  { { { "a|b [c]\nd", 9 }, { "https://x/a b)", 14 }, { NULL, 0 } }, "| 1 | [a\\|b (c) d](https://x/a%20b%29) | x |\n", NULL, NULL },
  { { { "no link", 7 }, { "javascript:alert(1)", 19 }, { "h", 1 } }, "| 1 | no link | h |\n", "[1] no link - h\n", NULL },
  { { { "", 0 }, { "https://only.host/", 18 }, { NULL, 0 } }, "| 1 | [only.host](https://only.host/) | only.host |\n", NULL, NULL },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(10000);
    struct source s = rows[i].s;
    if(i == 2) s.url = str_sub(s.url, 0, s.url.n);
    search_row(&s, 1, true, &b);
    if(i != 1) CHECK_STR(strbuf_str(&b), str_z(rows[i].row));
    else CHECK(str_find(strbuf_str(&b), S("a\\|b (c) d")) >= 0 && str_chr(str_sub(strbuf_str(&b), 0, b.n - 1), '\n') < 0);
    strbuf_clear(&b);
    search_row(&s, 1, false, &b);
    if(rows[i].item) CHECK_STR(strbuf_str(&b), str_z(rows[i].item));
    strbuf_clear(&b);
    search_annotation(&s, &b);
    if(rows[i].note) CHECK(str_find(strbuf_str(&b), str_z(rows[i].note)) >= 0);
    if(i == 2) CHECK_INT(b.n, 0); /* only http(s) */
    strbuf_free(&b);
  }
}

T_MAIN(T(t_rows))
