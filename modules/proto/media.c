#include "proto/media.h"

#include <stdio.h>

#include "base/codec.h"

enum { MEDIA_LOOK = 64 * 1024, MEDIA_TEXT_LOOK = 512 * 1024 };
#define MEDIA_BIT(k) (1u << MEDIA_##k)
#define MEDIA_BOTH (MEDIA_BIT(VIDEO) | MEDIA_BIT(AUDIO))

const char *media_kind_name(enum media_kind k)
{
  static const char *const names[] = { "image", "video", "audio", "document" };
  return names[k];
}

/* ---- first bytes ---- */

static const struct media_magic { size_t at; struct str bytes; const char *mime; unsigned kinds; } media_magics[] = {
#define M(at, lit, mime, kinds) { at, { lit, sizeof(lit) - 1 }, mime, kinds },
  M(0, "\x89PNG\r\n\x1a\n", "image/png", MEDIA_BIT(IMAGE))
  M(0, "\xff\xd8\xff", "image/jpeg", MEDIA_BIT(IMAGE))
  M(0, "GIF87a", "image/gif", MEDIA_BIT(IMAGE))
  M(0, "GIF89a", "image/gif", MEDIA_BIT(IMAGE))
  M(8, "WEBPVP8", "image/webp", MEDIA_BIT(IMAGE))
  M(0, "II*\0", "image/tiff", MEDIA_BIT(IMAGE))
  M(0, "MM\0*", "image/tiff", MEDIA_BIT(IMAGE))
  M(0, "\0\0\1\0", "image/x-icon", MEDIA_BIT(IMAGE))
  M(0, "\0\0\0\x0cJXL ", "image/jxl", MEDIA_BIT(IMAGE))
  M(4, "ftypavif", "image/avif", MEDIA_BIT(IMAGE))
  M(4, "ftypavis", "image/avif", MEDIA_BIT(IMAGE))
  M(4, "ftyphei", "image/heic", MEDIA_BIT(IMAGE))
  M(4, "ftyphev", "image/heic", MEDIA_BIT(IMAGE))
  M(4, "ftypmif1", "image/heic", MEDIA_BIT(IMAGE))
  M(4, "ftypmsf1", "image/heic", MEDIA_BIT(IMAGE))
  M(4, "ftypM4A", "audio/mp4", MEDIA_BIT(AUDIO))
  M(4, "ftypM4B", "audio/mp4", MEDIA_BIT(AUDIO))
  M(4, "ftypqt", "video/quicktime", MEDIA_BIT(VIDEO))
  M(4, "ftyp3gp", "video/3gpp", MEDIA_BOTH)
  M(4, "ftyp", "video/mp4", MEDIA_BOTH)
  M(4, "moov", "video/quicktime", MEDIA_BIT(VIDEO))
  M(8, "AVI ", "video/x-msvideo", MEDIA_BIT(VIDEO))
  M(0, "FLV\1", "video/x-flv", MEDIA_BIT(VIDEO))
  M(0, "\0\0\1\xba", "video/mpeg", MEDIA_BIT(VIDEO))
  M(0, "\0\0\1\xb3", "video/mpeg", MEDIA_BIT(VIDEO))
  M(0, "0&\xb2u\x8e""f\xcf\x11", "video/x-ms-wmv", MEDIA_BOTH)
  M(8, "WAVE", "audio/wav", MEDIA_BIT(AUDIO))
  M(0, "OggS", "audio/ogg", MEDIA_BOTH)
  M(0, "fLaC", "audio/flac", MEDIA_BIT(AUDIO))
  M(0, "ID3", "audio/mpeg", MEDIA_BIT(AUDIO))
  M(0, "#!AMR", "audio/amr", MEDIA_BIT(AUDIO))
  M(0, "%PDF-", "application/pdf", MEDIA_BIT(DOCUMENT))
  M(0, "{\\rtf", "application/rtf", MEDIA_BIT(DOCUMENT))
  M(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", MEDIA_BIT(DOCUMENT))
  M(0, "\x1f\x8b", "application/gzip", MEDIA_BIT(DOCUMENT))
#undef M
};

static bool media_at(struct str s, size_t at, struct str what)
{
  return at + what.n <= s.n && memcmp(s.p + at, what.p, what.n) == 0;
}

static unsigned media_byte(struct str s, size_t at)
{
  return at < s.n ? (unsigned char)s.p[at] : 0;
}

/* Office files and books are zip archives that tell by the names within. */
static const char *media_zip(struct str s)
{
  struct str head = str_sub(s, 0, MEDIA_LOOK);
  if(str_find(head, S("mimetypeapplication/epub+zip")) >= 0) return "application/epub+zip";
  if(str_find(head, S("mimetypeapplication/vnd.oasis.opendocument.text")) >= 0) return "application/vnd.oasis.opendocument.text";
  if(str_find(head, S("word/")) >= 0) return "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
  if(str_find(head, S("xl/")) >= 0) return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
  if(str_find(head, S("ppt/")) >= 0) return "application/vnd.openxmlformats-officedocument.presentationml.presentation";
  return "application/zip";
}

/* "BM" alone starts many a text: the size of the second header has to be one of those there are. */
static bool media_is_bmp(struct str s)
{
  static const unsigned sizes[] = { 12, 40, 52, 56, 64, 108, 124 };
  unsigned size = media_byte(s, 14) | media_byte(s, 15) << 8 | media_byte(s, 16) << 16;
  if(!media_at(s, 0, S("BM")) || s.n <= 26) return false;
  for(size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    if(size == sizes[i]) return true;
  return false;
}

/* An MPEG frame: version and layer not reserved, a bit rate and a sample rate that exist. */
static bool media_is_mp3(struct str s)
{
  unsigned second = media_byte(s, 1), third = media_byte(s, 2);
  if((second & 0xe0) != 0xe0 || (second & 0x18) == 0x08 || (second & 6) == 0) return false;
  return (third & 0xf0) != 0xf0 && (third & 0x0c) != 0x0c;
}

/* Those that one comparison does not settle. */
static const char *media_special(struct str s, unsigned *kinds)
{
  *kinds = MEDIA_BIT(DOCUMENT);
  if(media_at(s, 0, S("PK\3\4")) || media_at(s, 0, S("PK\5\6"))) return media_zip(s);
  if(media_at(s, 0, S("\x1a\x45\xdf\xa3"))) {
    *kinds = MEDIA_BOTH;
    return str_find(str_sub(s, 0, 128), S("webm")) >= 0 ? "video/webm" : "video/x-matroska";
  }
  *kinds = MEDIA_BIT(IMAGE);
  if(media_is_bmp(s)) return "image/bmp";
  *kinds = MEDIA_BIT(AUDIO);
  if(s.n < 4 || media_byte(s, 0) != 0xff) return NULL;
  return (media_byte(s, 1) & 0xf6) == 0xf0 ? "audio/aac" : media_is_mp3(s) ? "audio/mpeg" : NULL;
}

/* ---- text ---- */

static bool media_is_text(struct str s)
{
  struct str head = str_sub(s, 0, MEDIA_TEXT_LOOK);
  if(head.n < s.n) /* a character may be cut at the end */
    for(int i = 0; i < 3 && head.n && ((unsigned char)head.p[head.n - 1] & 0x80); i++) head.n--;
  if(!head.n) return false;
  for(size_t i = 0; i < head.n; i++) {
    unsigned char c = (unsigned char)head.p[i];
    if(c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b) return false;
  }
  return codec_is_utf8(head);
}

static const char *media_text(struct str s)
{
  struct str head = str_sub(s, 0, 4096);
  if(str_starts(head, S("\xef\xbb\xbf"))) head = str_sub(head, 3, head.n);
  head = str_trim(head);
  ptrdiff_t svg = str_ifind(head, S("<svg"));
  static const char *const html[] = { "<!doctype html", "<html", "<head", "<body", "<script", "<title" };
  for(size_t i = 0; i < sizeof html / sizeof html[0]; i++)
    if(str_istarts(head, str_z(html[i]))) return "text/html";
  if(svg == 0 || (svg > 0 && (str_starts(head, S("<?xml")) || str_starts(head, S("<!"))))) return "image/svg+xml";
  if(str_starts(head, S("<?xml")) && str_ifind(head, S("<html")) >= 0) return "text/html";
  return "text/plain";
}

struct media_found media_detect(struct str s)
{
  struct media_found f = { .mime = NULL };
  for(size_t i = 0; i < sizeof media_magics / sizeof media_magics[0]; i++) {
    const struct media_magic *m = &media_magics[i];
    if(!media_at(s, m->at, m->bytes) || (m->at == 8 && !media_at(s, 0, S("RIFF")))) continue;
    return (struct media_found){ m->mime, m->kinds, false };
  }
  f.mime = media_special(s, &f.kinds);
  if(f.mime) return f;
  f.kinds = 0;
  f.text = media_is_text(s);
  if(!f.text) return f;
  f.mime = media_text(s);
  f.kinds = str_eq(str_z(f.mime), S("image/svg+xml")) ? MEDIA_BIT(IMAGE) | MEDIA_BIT(DOCUMENT) : MEDIA_BIT(DOCUMENT);
  return f;
}

/* ---- types and endings ---- */

static const struct { const char *ext, *mime; } media_exts[] = { /* the first of a type is its ending */
  { "png", "image/png" }, { "jpg", "image/jpeg" }, { "jpeg", "image/jpeg" }, { "gif", "image/gif" }, { "webp", "image/webp" },
  { "bmp", "image/bmp" }, { "tiff", "image/tiff" }, { "tif", "image/tiff" }, { "ico", "image/x-icon" }, { "jxl", "image/jxl" },
  { "avif", "image/avif" }, { "heic", "image/heic" }, { "svg", "image/svg+xml" },
  { "mp4", "video/mp4" }, { "mov", "video/quicktime" }, { "webm", "video/webm" }, { "mkv", "video/x-matroska" },
  { "avi", "video/x-msvideo" },
  { "3gp", "video/3gpp" }, { "flv", "video/x-flv" }, { "mpg", "video/mpeg" }, { "wmv", "video/x-ms-wmv" }, { "ogv", "video/ogg" },
  { "wav", "audio/wav" }, { "mp3", "audio/mpeg" }, { "m4a", "audio/mp4" }, { "flac", "audio/flac" }, { "ogg", "audio/ogg" },
  { "opus", "audio/opus" }, { "aac", "audio/aac" }, { "amr", "audio/amr" }, { "weba", "audio/webm" }, { "pcm", "audio/l16" },
  { "pdf", "application/pdf" }, { "txt", "text/plain" }, { "log", "text/plain" }, { "md", "text/markdown" },
  { "markdown", "text/markdown" },
  { "csv", "text/csv" }, { "tsv", "text/tab-separated-values" }, { "html", "text/html" }, { "htm", "text/html" },
  { "xml", "application/xml" },
  { "json", "application/json" }, { "jsonl", "application/jsonl" }, { "yaml", "application/yaml" }, { "yml", "application/yaml" },
  { "rtf", "application/rtf" }, { "epub", "application/epub+zip" }, { "zip", "application/zip" }, { "gz", "application/gzip" },
  { "odt", "application/vnd.oasis.opendocument.text" }, { "doc", "application/msword" }, { "xls", "application/vnd.ms-excel" },
  { "ppt", "application/vnd.ms-powerpoint" },
  { "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
  { "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
  { "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
  { "js", "text/javascript" }, { "css", "text/css" }, { "py", "text/x-python" }, { "c", "text/x-c" }, { "h", "text/x-c" },
};
enum { MEDIA_EXTS = sizeof media_exts / sizeof media_exts[0] };

const char *media_ext(struct str mime)
{
  static const struct { const char *mime, *ext; } others[] = { /* spellings met in requests */
    { "image/jpg", "jpg" }, { "audio/mp3", "mp3" }, { "audio/x-wav", "wav" }, { "audio/wave", "wav" }, { "audio/m4a", "m4a" },
    { "audio/x-m4a", "m4a" }, { "text/xml", "xml" }, { "text/json", "json" }, { "text/x-markdown", "md" }, { "video/x-m4v", "mp4" },
  };
  for(size_t i = 0; i < MEDIA_EXTS; i++)
    if(str_ieq(mime, str_z(media_exts[i].mime))) return media_exts[i].ext;
  for(size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if(str_ieq(mime, str_z(others[i].mime))) return others[i].ext;
  return "";
}

/* The ending of a name without its dot: one to eight letters or digits. */
static struct str media_ending(struct str name)
{
  size_t at = name.n;
  while(at && name.p[at - 1] != '.') at--;
  struct str ext = str_sub(name, at, name.n);
  if(at < 2 || ext.n == 0 || ext.n > 8) return STR_NONE;
  for(size_t i = 0; i < ext.n; i++) {
    char c = ext.p[i];
    if(!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) return STR_NONE;
  }
  return ext;
}

const char *media_of_ext(struct str name)
{
  struct str ext = media_ending(name);
  for(size_t i = 0; ext.n && i < MEDIA_EXTS; i++)
    if(str_ieq(ext, str_z(media_exts[i].ext))) return media_exts[i].mime;
  return NULL;
}

/* ---- bytes against claims ---- */

/* A declared type, lower case, without parameters; "" if it is none or says nothing. */
static void media_declared(struct str declared, char out[MEDIA_MIME_MAX])
{
  struct str s = str_trim(str_cut(&declared, ';'));
  size_t n = 0;
  int slashes = 0;
  out[0] = 0;
  if(s.n >= MEDIA_MIME_MAX) return;
  for(; n < s.n; n++) {
    char c = s.p[n];
    bool token = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("+-._/", c);
    if(!token || !c) break;
    slashes += c == '/';
    out[n] = c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
  }
  bool good = n == s.n && n > 2 && slashes == 1 && out[0] != '/' && out[n - 1] != '/';
  out[good ? n : 0] = 0;
  if(str_eq(str_z(out), S("application/octet-stream")) || str_eq(str_z(out), S("binary/octet-stream"))) out[0] = 0;
}

static bool media_of_kind(const char *mime, enum media_kind k)
{
  static const char *const leads[] = { "image/", "video/", "audio/" };
  if(k != MEDIA_DOCUMENT) return str_starts(str_z(mime), str_z(leads[k]));
  return mime[0] && !media_of_kind(mime, MEDIA_IMAGE) && !media_of_kind(mime, MEDIA_VIDEO) && !media_of_kind(mime, MEDIA_AUDIO);
}

/* A container as the kind it was sent as. */
static const char *media_as(const char *mime, enum media_kind k)
{
  static const struct { const char *video, *audio; } twins[] = {
    { "video/mp4", "audio/mp4" }, { "video/webm", "audio/webm" }, { "video/ogg", "audio/ogg" }, { "video/3gpp", "audio/3gpp" },
    { "video/x-matroska", "audio/x-matroska" }, { "video/x-ms-wmv", "audio/x-ms-wma" },
  };
  for(size_t i = 0; i < sizeof twins / sizeof twins[0]; i++) {
    if(k == MEDIA_AUDIO && str_eq(str_z(mime), str_z(twins[i].video))) return twins[i].audio;
    if(k == MEDIA_VIDEO && str_eq(str_z(mime), str_z(twins[i].audio))) return twins[i].video;
  }
  return mime;
}

static bool media_give(struct media_what *out, enum media_kind kind, const char *mime)
{
  out->kind = kind;
  str_copy(out->mime, sizeof out->mime, str_z(mime));
  return true;
}

static bool media_judge_known(const struct media_found *f, enum media_kind want, const char *told, struct media_what *out)
{
  bool vague = str_eq(str_z(f->mime), S("application/zip")) || str_eq(str_z(f->mime), S("application/x-ole-storage")) ||
               str_eq(str_z(f->mime), S("application/gzip"));
  if(f->kinds & 1u << want) {
    if(want == MEDIA_DOCUMENT && vague && media_of_kind(told, want)) return media_give(out, want, told);
    return media_give(out, want, media_as(f->mime, want));
  }
  if(f->kinds == MEDIA_BIT(DOCUMENT)) return !vague && media_give(out, MEDIA_DOCUMENT, f->mime);
  for(int k = 0; k < MEDIA_DOCUMENT; k++)
    if(f->kinds & 1u << k) return media_give(out, (enum media_kind)k, media_as(f->mime, (enum media_kind)k));
  return false;
}

bool media_judge(struct str bytes, enum media_kind want, struct str declared, struct str name, struct media_what *out, char words[80])
{
  char told[MEDIA_MIME_MAX];
  const char *by_name = media_of_ext(name);
  struct media_found f = media_detect(bytes);
  media_declared(declared, told);
  if(!told[0] && by_name) str_copy(told, sizeof told, str_z(by_name));
  snprintf(words, 80, "%s", !bytes.n ? "empty" : !f.mime ? "of a type that is not known" : f.mime);
  if(!bytes.n) return false;
  if(f.text) {
    bool html = str_eq(str_z(f.mime), S("text/html"));
    snprintf(words, 80, "%s", html ? "HTML text" : "plain text");
    if(want == MEDIA_IMAGE && f.kinds & MEDIA_BIT(IMAGE)) return media_give(out, want, f.mime);
    if(want != MEDIA_DOCUMENT) return false;
    if(media_of_kind(told, want) && !(html && str_eq(str_z(told), S("text/plain")))) return media_give(out, want, told);
    if(by_name && media_of_kind(by_name, want)) return media_give(out, want, by_name);
    return media_give(out, want, f.kinds & MEDIA_BIT(IMAGE) ? "text/plain" : f.mime);
  }
  if(f.mime) return media_judge_known(&f, want, told, out);
  if(want == MEDIA_DOCUMENT) return media_give(out, want, media_of_kind(told, want) ? told : "application/octet-stream");
  return want != MEDIA_IMAGE && media_of_kind(told, want) && media_give(out, want, told);
}

/* ---- sizes ---- */

static int64_t media_be(struct str s, size_t at, int n)
{
  int64_t v = 0;
  for(int i = 0; i < n; i++) v = v << 8 | media_byte(s, at + (size_t)i);
  return v;
}

static int64_t media_le(struct str s, size_t at, int n)
{
  int64_t v = 0;
  while(n--) v = v << 8 | media_byte(s, at + (size_t)n);
  return v;
}

/* Walks the markers to the frame header. */
static bool media_jpeg(struct str s, int64_t *w, int64_t *h)
{
  for(size_t at = 2; at + 9 < s.n;) {
    if(media_byte(s, at) != 0xff) return false;
    unsigned marker = media_byte(s, at + 1);
    if(marker == 0xff) {
      at++;
      continue;
    }
    if(marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      *h = media_be(s, at + 5, 2);
      *w = media_be(s, at + 7, 2);
      return true;
    }
    size_t n = (size_t)media_be(s, at + 2, 2);
    if(n < 2 || marker == 0xd9 || marker == 0xda) return false;
    at += 2 + n;
  }
  return false;
}

static bool media_webp(struct str s, int64_t *w, int64_t *h)
{
  if(media_at(s, 12, S("VP8X")) && s.n >= 30) {
    *w = media_le(s, 24, 3) + 1;
    *h = media_le(s, 27, 3) + 1;
  } else if(media_at(s, 12, S("VP8L")) && s.n >= 25) {
    int64_t bits = media_le(s, 21, 4);
    *w = (bits & 0x3fff) + 1;
    *h = (bits >> 14 & 0x3fff) + 1;
  } else if(media_at(s, 12, S("VP8 ")) && s.n >= 30) {
    *w = media_le(s, 26, 2) & 0x3fff;
    *h = media_le(s, 28, 2) & 0x3fff;
  } else {
    return false;
  }
  return true;
}

static bool media_bmp(struct str s, int64_t *w, int64_t *h)
{
  if(s.n < 26) return false;
  bool old = media_le(s, 14, 4) == 12;
  *w = old ? media_le(s, 18, 2) : media_le(s, 18, 4);
  *h = old ? media_le(s, 20, 2) : (int32_t)media_le(s, 22, 4);
  if(*h < 0) *h = -*h; /* rows from the top */
  return true;
}

bool media_size(struct str s, int64_t *w, int64_t *h)
{
  struct str mime = str_z(media_detect(s).mime);
  bool ok = false;
  *w = *h = 0;
  if(str_eq(mime, S("image/png")) && s.n >= 24 && media_at(s, 12, S("IHDR"))) {
    *w = media_be(s, 16, 4);
    *h = media_be(s, 20, 4);
    ok = true;
  } else if(str_eq(mime, S("image/gif")) && s.n >= 10) {
    *w = media_le(s, 6, 2);
    *h = media_le(s, 8, 2);
    ok = true;
  } else if(str_eq(mime, S("image/jpeg"))) {
    ok = media_jpeg(s, w, h);
  } else if(str_eq(mime, S("image/webp"))) {
    ok = media_webp(s, w, h);
  } else if(str_eq(mime, S("image/bmp"))) {
    ok = media_bmp(s, w, h);
  }
  if(ok && *w > 0 && *h > 0) return true;
  *w = *h = 0;
  return false;
}

int64_t media_tokens(int64_t w, int64_t h)
{
  if(w <= 0 || h <= 0) return 1024;
  int64_t wide = (w - 1) / 28 + 1, high = (h - 1) / 28 + 1;
  if(wide > 16384 || high > 16384) return 16384;
  return wide * high < 4 ? 4 : wide * high > 16384 ? 16384 : wide * high;
}

/* ---- names ---- */

void media_name(struct str raw, const struct media_what *what, char out[MEDIA_NAME_MAX + 1])
{
  char text[512];
  size_t n = 0, from = 0;
  for(size_t i = 0; i < raw.n; i++)
    if(raw.p[i] == '/' || raw.p[i] == '\\') from = i + 1;
  raw = str_sub(raw, from, raw.n);
  bool utf8 = codec_is_utf8(raw);
  for(size_t i = 0; i < raw.n && n < sizeof text - 1; i++) {
    unsigned char c = (unsigned char)raw.p[i];
    if(c < 0x20 || c == 0x7f) continue;
    text[n++] = c >= 0x80 && !utf8 ? '_' : (char)c;
  }
  struct str name = str_trim(str_of(text, n)), ext = media_ending(name);
  while(name.n && (name.p[0] == '.' || name.p[0] == ' ')) name = str_sub(name, 1, name.n);
  const char *own = media_ext(str_z(what->mime));
  char ending[16] = "";
  if(!ext.n || !name.n) snprintf(ending, sizeof ending, "%s%s", own[0] ? "." : "", own);
  else snprintf(ending, sizeof ending, ".%.*s", STR_F(ext));
  if(ext.n && name.n > ext.n) name.n -= ext.n + 1;
  if(!name.n) name = str_z(what->kind == MEDIA_DOCUMENT ? "document" : media_kind_name(what->kind));
  size_t room = MEDIA_NAME_MAX - strlen(ending);
  str_copy(out, room + 1, name);
  memcpy(out + strlen(out), ending, strlen(ending) + 1);
}
