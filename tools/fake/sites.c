/* ---------- the cdn with the results, and the sites of the world ---------- */

static struct buf png, gif, mp4, wav, pdf;

static void sites_make(void)
{
  static const char png_64[] = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  static const char gif_64[] = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
  static const char ftyp[] = "\0\0\0\x18" "ftypmp42\0\0\0\0mp42isom" "\0\0\0\x08" "free" "\0\0\0\x10" "mdatfakefake";
  static const char riff[] = "RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0" "data\x08\0\0\0\x80\x80\x80\x80\x80\x80\x80\x80";
  b64_decode((struct span){ png_64, sizeof png_64 - 1 }, &png);
  b64_decode((struct span){ gif_64, sizeof gif_64 - 1 }, &gif);
  buf_add(&mp4, ftyp, sizeof ftyp - 1);
  buf_add(&wav, riff, sizeof riff - 1);
  buf_text(&pdf, "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
                 "trailer<</Root 1 0 R>>\n%%EOF\n");
}

/* "bytes=a-b", "bytes=a-" and "bytes=-n". 0: there is none, 1: *from and *to hold it, -1: it cannot be met. */
static int range_read(struct span v, long n, long *from, long *to)
{
  char text[64], *end;
  if(!v.n) return 0;
  copy_span(text, sizeof text, v);
  if(strncmp(text, "bytes=", 6) || strchr(text, ',')) return 0;
  if(text[6] == '-') {
    long last = strtol(text + 7, &end, 10);
    if(*end || last <= 0) return -1;
    *from = last < n ? n - last : 0;
    *to = n - 1;
    return 1;
  }
  *from = strtol(text + 6, &end, 10);
  if(*end != '-') return 0;
  *to = end[1] ? strtol(end + 1, &end, 10) : n - 1;
  if(*to >= n) *to = n - 1;
  return *from > *to || *from >= n ? -1 : 1;
}

static void thing(const struct req *r, const char *type, const char *p, size_t n)
{
  char extra[160], head[96];
  long from = 0, to = 0;
  int ranged = range_read(header(r, "range"), (long)n, &from, &to);
  if(ranged < 0) {
    snprintf(extra, sizeof extra, "Content-Range: bytes */%zu\r\n", n);
    reply(416, type, extra, "", 0);
  } else if(ranged) {
    snprintf(extra, sizeof extra, "Accept-Ranges: bytes\r\nContent-Range: bytes %ld-%ld/%zu\r\n", from, to, n);
    reply(206, type, extra, p + from, (size_t)(to - from + 1));
  } else {
    snprintf(head, sizeof head, "Accept-Ranges: bytes\r\nCache-Control: max-age=60\r\n");
    reply(200, type, head, p, n);
  }
}

/* The thing of a file name; false: there is none of that ending. */
static bool thing_by_name(const struct req *r, struct span path)
{
  static const struct { const char *end, *type; const struct buf *b; } things[] = {
    { ".png", "image/png", &png }, { ".gif", "image/gif", &gif }, { ".mp4", "video/mp4", &mp4 }, { ".wav", "audio/wav", &wav },
    { ".pdf", "application/pdf", &pdf } };
  static const char note[] = "a note of plain text, 世界\n";
  for(size_t i = 0; i < NELEM(things); i++) {
    size_t n = strlen(things[i].end);
    if(path.n > n && memcmp(path.p + path.n - n, things[i].end, n) == 0) {
      thing(r, things[i].type, things[i].b->p, things[i].b->n);
      return true;
    }
  }
  if(path.n < 4 || memcmp(path.p + path.n - 4, ".txt", 4)) return false;
  thing(r, "text/plain; charset=utf-8", note, sizeof note - 1);
  return true;
}

static long query_number(const struct req *r, const char *key, long def)
{
  struct span v = query_value(r->query, key);
  return v.n ? strtol(v.p, NULL, 10) : def;
}

static void go_elsewhere(int status, const char *to)
{
  char extra[2200];
  snprintf(extra, sizeof extra, "Location: %s\r\n", to);
  reply(status, "text/html", extra, "moved", 5);
}

static void site_html(struct conn *c, const struct req *r)
{
  (void)c, (void)r;
  static const char page[] = "<!doctype html><title>a page</title><p>no picture";
  reply(200, "text/html; charset=utf-8", "", page, sizeof page - 1);
}

static void site_mislabel(struct conn *c, const struct req *r)
{
  (void)c, (void)r;
  static const char page[] = "<!doctype html><title>a page</title><p>it says it is a picture";
  reply(200, "image/png", "", page, sizeof page - 1);
}

static void site_octet(struct conn *c, const struct req *r)
{
  (void)c;
  thing(r, "application/octet-stream", png.p, png.n);
}

static void site_empty(struct conn *c, const struct req *r)
{
  (void)c, (void)r;
  reply(200, "image/png", "", "", 0);
}

static void site_notfound(struct conn *c, const struct req *r)
{
  (void)c, (void)r;
  reply(404, "text/html", "", "<p>not here", 11);
}

static void site_403(struct conn *c, const struct req *r)
{
  (void)c, (void)r;
  reply(403, "application/xml", "", "<Error><Code>AccessDenied</Code></Error>", 40);
}

static void site_500(struct conn *c, const struct req *r)
{
  (void)c, (void)r;
  reply(500, "text/html", "", "<p>broken", 9);
}

/* n= bytes; chunked=1: of unknown length; type= */
static void site_big(struct conn *c, const struct req *r)
{
  char type[64];
  long n = query_number(r, "n", 64 << 20);
  bool chunked = query_number(r, "chunked", 0) != 0;
  struct span t = query_value(r->query, "type");
  copy_span(type, sizeof type, t.n ? t : (struct span){ "image/png", 9 });
  if(chunked) buf_fmt(&wire, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", type);
  else buf_fmt(&wire, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %ld\r\n\r\n", type, n);
  if(!head_only) fill_start(c, n, chunked, false);
}

/* Fewer bytes than it says. */
static void site_short(struct conn *c, const struct req *r)
{
  long n = query_number(r, "n", 1000);
  buf_fmt(&wire, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %ld\r\n\r\n", n * 2);
  fill_start(c, n, false, true);
}

/* Half of it, then a reset, or silence, or all of it bit by bit. */
static void site_half(struct conn *c, enum step_act act)
{
  c->step_n = c->step_at = 0;
  c->body.n = c->body_at = 0;
  buf_fmt(&c->body, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %zu\r\n\r\n", png.n);
  buf_add(&c->body, png.p, png.n / 2);
  step_add(c, c->body.n, act == STEP_RESET ? 100 : 0, STEP_GO);
  step_add(c, c->body.n, 0, act);
  turn_play(c);
}

static void site_drop(struct conn *c, const struct req *r)
{
  (void)r;
  site_half(c, STEP_RESET);
}

static void site_hang_body(struct conn *c, const struct req *r)
{
  (void)r;
  site_half(c, STEP_HOLD);
}

static void site_drip(struct conn *c, const struct req *r)
{
  int ms = (int)query_number(r, "ms", 50);
  c->step_n = c->step_at = 0;
  c->body.n = c->body_at = 0;
  buf_fmt(&c->body, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %zu\r\n\r\n", png.n);
  for(size_t i = 0; i < png.n; i++) {
    buf_add(&c->body, png.p + i, 1);
    step_add(c, c->body.n, ms, i + 1 < png.n ? STEP_GO : STEP_END);
  }
  turn_play(c);
}

static void site_hang(struct conn *c, const struct req *r)
{
  (void)r;
  reply_fixed(c, "stall");
}

static void site_slow(struct conn *c, const struct req *r)
{
  size_t from = wire.n;
  thing(r, "image/png", png.p, png.n);
  turn_later(c, from, (int)query_number(r, "ms", 1000));
}

static void site_redirect(struct conn *c, const struct req *r)
{
  static struct buf to;
  (void)c;
  struct span v = query_value(r->query, "to");
  if(v.n) percent_decode(v, false, &to);
  go_elsewhere((int)query_number(r, "status", 302), v.n ? to.p : "https://img.example.test/cat.png");
}

static void site_evil(struct conn *c, const struct req *r)
{
  (void)c, (void)r;
  go_elsewhere(302, "https://evil.example.test/cat.png");
}

static void site_loop(struct conn *c, const struct req *r)
{
  char to[80];
  bool result = r->path.n > 8 && memcmp(r->path.p, "/output/", 8) == 0; /* the cdn's folder of that name */
  (void)c;
  snprintf(to, sizeof to, "%s%ld", result ? "/output/loop/t2i/p.png?key=k&n=" : "/loop?n=", query_number(r, "n", 0) + 1);
  go_elsewhere(302, to);
}

/* The end of the connection is the end of the body. */
static void site_nolength(struct conn *c, const struct req *r)
{
  (void)r;
  buf_text(&wire, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n");
  buf_add(&wire, png.p, png.n);
  c->close_after = true;
}

static void site_gzip(struct conn *c, const struct req *r)
{
  static struct buf packed;
  (void)c, (void)r;
  packed.n = 0;
  pack_begin();
  pack(png.p, png.n, Z_FINISH, &packed);
  deflateEnd(&packer);
  reply(200, "image/png", "Content-Encoding: gzip\r\n", packed.p, packed.n);
}

/* By these names the sites' paths and the cdn's folders behave in their own way. */
static const struct { const char *name; void (*serve)(struct conn *c, const struct req *r); } sites[] = {
  { "html", site_html }, { "mislabel", site_mislabel }, { "octet", site_octet }, { "empty", site_empty }, { "notfound", site_notfound },
  { "403", site_403 }, { "500", site_500 }, { "big", site_big }, { "big.bin", site_big }, { "short", site_short }, { "drop", site_drop },
  { "hang", site_hang }, { "hang_body", site_hang_body }, { "drip", site_drip }, { "slow", site_slow }, { "redirect", site_redirect },
  { "evil", site_evil }, { "loop", site_loop }, { "nolength", site_nolength }, { "gzip", site_gzip } };

static bool site_by_name(struct conn *c, const struct req *r, struct span name)
{
  for(size_t i = 0; i < NELEM(sites); i++)
    if(span_is(name, sites[i].name)) {
      sites[i].serve(c, r);
      return true;
    }
  return false;
}

/* /output/<folder>/...: the key in the query is all the right one needs. */
static void h_cdn(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)who, (void)log;
  const char *from = r->path.p + strlen("/output/"), *e = r->path.p + r->path.n, *slash = memchr(from, '/', (size_t)(e - from));
  if(!query_value(r->query, "key").n) site_403(c, r);
  else if(slash && site_by_name(c, r, (struct span){ from, (size_t)(slash - from) })) return;
  else if(!thing_by_name(r, r->path)) site_notfound(c, r);
}

static bool media_known(struct span path)
{
  static const char *const names[] = { "/cat.png", "/cat.gif", "/clip.mp4", "/sound.wav", "/doc.pdf", "/note.txt" };
  for(size_t i = 0; i < NELEM(names); i++)
    if(span_is(path, names[i])) return true;
  for(size_t i = 0; i < NELEM(sites); i++)
    if(span_is((struct span){ path.p + 1, path.n - 1 }, sites[i].name)) return true;
  return false;
}

static void h_media(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)who, (void)log;
  if(site_by_name(c, r, (struct span){ r->path.p + 1, r->path.n - 1 })) return;
  if(!thing_by_name(r, r->path)) site_notfound(c, r);
}

/* /api/v2/chat/<id>/...: what an image_list names by file_path. */
static void h_chat_file(struct conn *c, const struct req *r, int who, struct entry *log)
{
  const size_t skip = strlen("/api/v2/chat/");
  struct span id = { r->path.p + skip, r->path.n - skip < CHAT_ID_N ? r->path.n - skip : CHAT_ID_N };
  copy_span(log->chat, sizeof log->chat, id);
  if(!chat_by_id(id, who) || !thing_by_name(r, r->path)) site_notfound(c, r);
}
