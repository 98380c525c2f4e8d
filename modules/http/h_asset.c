#include <stdlib.h>

#include "http/asset_file.h"
#include "http/handlers.h"

#include "assets.inc"
#include "notices.inc"

enum { H_ASSETS = sizeof assets_files / sizeof assets_files[0] };

static int h_asset_compare(const void *key, const void *row)
{
  return strcmp(key, ((const struct asset_file *)row)->path);
}

/* The pages of the dashboard: each address is answered with the index, its script does the rest (api 10). */
static bool h_asset_page(struct str path)
{
  static const char *const pages[] = { "/", "/auth", "/accounts", "/statistics", "/keys", "/settings", "/chat", "/logs", "/about", "/catalog" };
  for(size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
    if(str_eq(path, str_z(pages[i]))) return true;
  return false;
}

static const struct asset_file *h_asset_find(struct str path)
{
  char name[200];
  if(path.n >= sizeof name) return NULL;
  str_copy(name, sizeof name, h_asset_page(path) ? S("/index.html") : path);
  return bsearch(name, assets_files, H_ASSETS, sizeof assets_files[0], h_asset_compare);
}

void h_asset(struct req *q)
{
  const struct asset_file *f = h_asset_find(q->path);
  struct strbuf extra = STRBUF(2048);
  struct q_error e = Q_ERROR_NONE;
  if(!f) {
    bool html = str_find(http1_find(&q->head->headers, S("accept")), S("text/html")) >= 0;
    if(html) {
      req_answer(q, 404, S("text/html; charset=utf-8"), STR_NONE,
                 S("<!doctype html><title>Not found</title><p>There is no such page. <a href=\"/\">Start page</a></p>"));
    } else {
      status_fail(&e, Q_UNKNOWN_URL, NULL, "Unknown URL: %.*s.", STR_F(str_sub(q->path, 0, 200)));
      req_fail(q, &e);
    }
    return;
  }
  strbuf_fmt(&extra, "ETag: \"%s\"\r\nCache-Control: %s\r\nX-Content-Type-Options: nosniff\r\n", f->etag,
             f->hashed ? "public, max-age=31536000, immutable" : "no-cache");
  if(strstr(f->type, "html"))
    strbuf_fmt(&extra, "Content-Security-Policy: default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
                       "base-uri 'none'; form-action 'self'; frame-ancestors %s\r\n", q->config->frame_ancestors);
  struct str seen = http1_find(&q->head->headers, S("if-none-match"));
  if(seen.n && str_find(seen, str_z(f->etag)) >= 0) {
    req_answer(q, 304, STR_NONE, strbuf_str(&extra), STR_NONE);
  } else {
    strbuf_lit(&extra, "Content-Encoding: gzip\r\n");
    req_answer_static(q, 200, str_z(f->type), strbuf_str(&extra), str_of((const char *)f->gz, f->gz_n));
  }
  strbuf_free(&extra);
}

const char *h_asset_notices(void)
{
  return notices_text;
}

void h_licenses(struct req *q)
{
  req_answer(q, 200, S("text/plain; charset=utf-8"), STR_NONE, str_z(notices_text));
}

void h_not_offered(struct req *q)
{
  req_fail_st(q, Q_NO_ENDPOINT, NULL, "qwen2api does not offer this.");
}

void h_assets_print(struct strbuf *out)
{
  for(int i = 0; i < H_ASSETS; i++)
    strbuf_fmt(out, "%-32s %8u bytes packed  %s\n", assets_files[i].path, assets_files[i].gz_n, assets_files[i].type);
}
