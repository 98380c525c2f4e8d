#include "proto/search.h"

#include "proto/url.h"

bool search_linked(const struct source *s)
{
  struct url u;
  return (str_istarts(s->url, S("http://")) || str_istarts(s->url, S("https://"))) && s->url.n < 4096 && url_split(s->url, &u);
}

static struct str search_host(const struct source *s)
{
  struct url u;
  if(search_linked(s) && url_split(s->url, &u)) return u.host;
  return s->host;
}

static void search_title(const struct source *s, struct strbuf *out)
{
  struct str t = str_trim(s->title);
  if(!t.n) t = search_host(s);
  for(size_t i = 0; i < t.n && i < 300; i++) {
    char c = t.p[i];
    if(c == '\n' || c == '\r' || c == '\t') strbuf_addc(out, ' ');
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
    if(c <= ' ' || c == ')' || c == '(' || c == '|' || c == '<' || c == '>' || c == '"')
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
    search_title(s, out);
    strbuf_lit(out, "](");
    search_url(s->url, out);
    strbuf_addc(out, ')');
  } else {
    search_title(s, out);
  }
  strbuf_addz(out, table ? " | " : " - ");
  struct source host = { search_host(s), STR_NONE, STR_NONE };
  search_title(&host, out);
  strbuf_addz(out, table ? " |\n" : "\n");
}

void search_annotation(const struct source *s, struct strbuf *json)
{
  struct strbuf text = STRBUF(16 * 1024);
  if(!search_linked(s)) return;
  strbuf_lit(json, "{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":0,\"end_index\":0,\"title\":");
  search_title(s, &text);
  strbuf_json(json, strbuf_str(&text));
  strbuf_lit(json, ",\"url\":");
  strbuf_clear(&text);
  search_url(s->url, &text);
  strbuf_json(json, strbuf_str(&text));
  strbuf_lit(json, "}}");
  if(text.err) json->err = text.err;
  strbuf_free(&text);
}
