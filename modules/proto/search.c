#include "proto/search.h"

#include "proto/url.h"

enum { SEARCH_URL_MAX = 4096, SEARCH_TITLE_MAX = 300 };

/* Scheme and authority must be good; what stands behind them is percent-encoded where it must be. */
static bool search_split(struct str url, struct url *u)
{
  size_t end = 0;
  int slashes = 0;
  if(url.n > SEARCH_URL_MAX || !(str_istarts(url, S("http://")) || str_istarts(url, S("https://")))) return false;
  while(end < url.n && slashes < 3 && url.p[end] != '?' && url.p[end] != '#') slashes += url.p[end++] == '/';
  return url_split(str_sub(url, 0, end), u);
}

bool search_linked(const struct source *s)
{
  struct url u;
  return search_split(str_trim(s->url), &u);
}

static struct str search_host(const struct source *s)
{
  struct url u;
  return search_split(str_trim(s->url), &u) ? u.host : str_trim(s->host);
}

/* markdown: a backslash is doubled, so that it cannot take away the meaning of the mark behind it. */
static void search_title(const struct source *s, bool markdown, struct strbuf *out)
{
  char text[SEARCH_TITLE_MAX + 1];
  struct str t = str_trim(s->title);
  if(!t.n) t = search_host(s);
  if(t.n > SEARCH_TITLE_MAX) {
    str_copy(text, sizeof text, t); /* ends on a character */
    t = str_of(text, strnlen(text, sizeof text));
  }
  for(size_t i = 0; i < t.n; i++) {
    char c = t.p[i];
    if(c == '\n' || c == '\r' || c == '\t') strbuf_addc(out, ' ');
    else if(c == '\\') strbuf_addz(out, markdown ? "\\\\" : "\\");
    else if(c == '|') strbuf_lit(out, "\\|");
    else if(c == '[') strbuf_addc(out, '(');
    else if(c == ']') strbuf_addc(out, ')');
    else if((unsigned char)c >= 0x20) strbuf_addc(out, c);
  }
}

static void search_url(struct str url, struct strbuf *out)
{
  static const char hex[] = "0123456789ABCDEF";
  for(size_t i = 0; i < url.n; i++) {
    unsigned char c = (unsigned char)url.p[i];
    if(c <= ' ' || c == 0x7f || memchr("()|<>\"\\`", c, 8))
      strbuf_add(out, (char[3]){ '%', hex[c >> 4], hex[c & 15] }, 3);
    else strbuf_addc(out, (char)c);
  }
}

void search_table_head(struct strbuf *out)
{
  strbuf_lit(out, "| # | Source | Site |\n|---:|:---|:---|\n");
}

void search_row(const struct source *s, int number, bool table, struct strbuf *out)
{
  strbuf_addz(out, table ? "| " : "[");
  strbuf_int(out, number);
  strbuf_addz(out, table ? " | " : "] ");
  if(search_linked(s)) {
    strbuf_addc(out, '[');
    search_title(s, true, out);
    strbuf_lit(out, "](");
    search_url(str_trim(s->url), out);
    strbuf_addc(out, ')');
  } else {
    search_title(s, true, out);
  }
  strbuf_addz(out, table ? " | " : " - ");
  struct source host = { search_host(s), STR_NONE, STR_NONE };
  search_title(&host, true, out);
  strbuf_addz(out, table ? " |\n" : "\n");
}

void search_annotation(const struct source *s, struct strbuf *json)
{
  struct strbuf text = STRBUF(16 * 1024);
  if(!search_linked(s)) return;
  strbuf_lit(json, "{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":0,\"end_index\":0,\"title\":");
  search_title(s, false, &text);
  strbuf_json(json, strbuf_str(&text));
  strbuf_lit(json, ",\"url\":");
  strbuf_clear(&text);
  search_url(str_trim(s->url), &text);
  strbuf_json(json, strbuf_str(&text));
  strbuf_lit(json, "}}");
  if(text.err) json->err = text.err;
  strbuf_free(&text);
}
