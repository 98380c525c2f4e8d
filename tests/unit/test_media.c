/* What attachments are by their bytes, their sizes, names and endings; the rows run at every cut, for no read may pass the end. */
#include "proto/media.h"
#include "t.h"

#define B(lit) { "" lit, sizeof(lit) - 1 }

static void t_detect(void)
{
  static const struct { struct str bytes; const char *mime; unsigned kinds; bool text; } rows[] = {
    { B("\x89PNG\r\n\x1a\n"), "image/png", 1, false }, { B("\xff\xd8\xff\xe0"), "image/jpeg", 1, false },
    { B("GIF89a\1\0\1\0"), "image/gif", 1, false }, { B("RIFF\4\0\0\0WEBPVP8 "), "image/webp", 1, false },
    { B("\0\0\0\x20" "ftypavif"), "image/avif", 1, false }, { B("\0\0\0\x20" "ftypheic"), "image/heic", 1, false },
    { B("BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1"), "image/bmp", 1, false }, { B("BMW drives"), "text/plain", 8, true },
    { B("\0\0\0\x20" "ftypisom"), "video/mp4", 6, false }, { B("\0\0\0\x14" "ftypqt  "), "video/quicktime", 2, false },
    { B("\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x84webm"), "video/webm", 6, false }, { B("RIFF\4\0\0\0AVI LIST"), "video/x-msvideo", 2, false },
    { B("RIFF\4\0\0\0WAVEfmt "), "audio/wav", 4, false }, { B("\0\0\0\x20" "ftypM4A "), "audio/mp4", 4, false },
    { B("ID3\4"), "audio/mpeg", 4, false }, { B("\xff\xfb\x90\x64"), "audio/mpeg", 4, false }, { B("\xff\xf1\x50\x80"), "audio/aac", 4, false },
    { B("\xff\xff\xff\xff"), NULL, 0, false }, { B("fLaC\0"), "audio/flac", 4, false }, { B("OggS\0"), "audio/ogg", 6, false },
    { B("%PDF-1.7"), "application/pdf", 8, false }, { B("PK\3\4\0\0[Content_Types].xml..word/document.xml"),
      "application/vnd.openxmlformats-officedocument.wordprocessingml.document", 8, false }, { B("PK\3\4\0\0zz"), "application/zip", 8, false },
    { B("plain \xe4\xb8\x96\n"), "text/plain", 8, true }, { B("  <!DOCTYPE html><p>"), "text/html", 8, true },
    { B("<?xml version=\"1.0\"?><svg xmlns=\"x\"/>"), "image/svg+xml", 9, true }, { B("<svg/>"), "image/svg+xml", 9, true },
    { B("\xc3("), NULL, 0, false }, { B("a\0b"), NULL, 0, false }, { B(""), NULL, 0, false },
    { B("RIFF\4\0\0\0JUNK"), NULL, 0, false }, { B("XXXX\4\0\0\0WEBPVP8 "), NULL, 0, false },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct media_found f = media_detect(rows[i].bytes);
    CHECK_Z(f.mime ? f.mime : "-", rows[i].mime ? rows[i].mime : "-");
    CHECK_INT(f.kinds, rows[i].kinds);
    CHECK_INT(f.text, rows[i].text);
    for(size_t n = 0; n < rows[i].bytes.n; n++) { /* on the heap, so that the sanitizer sees a read too far */
      int64_t w, h;
      char *cut = malloc(n ? n : 1);
      memcpy(cut, rows[i].bytes.p, n);
      (void)media_detect(str_of(cut, n));
      (void)media_size(str_of(cut, n), &w, &h);
      free(cut);
    }
  }
}

static void t_judge(void)
{
  static const struct { struct str bytes; enum media_kind want; const char *declared, *name; int kind; const char *mime; } rows[] = {
    { B("\x89PNG\r\n\x1a\n"), MEDIA_IMAGE, "image/jpeg", "", MEDIA_IMAGE, "image/png" }, /* api 3.4: magic bytes first */
    { B("\x89PNG\r\n\x1a\n"), MEDIA_DOCUMENT, "", "a.pdf", MEDIA_IMAGE, "image/png" },
    { B("%PDF-1.7"), MEDIA_IMAGE, "image/png", "", MEDIA_DOCUMENT, "application/pdf" },
    { B("PK\3\4\0\0zz"), MEDIA_IMAGE, "image/png", "", -1, NULL },
    { B("PK\3\4\0\0zz"), MEDIA_DOCUMENT, "application/vnd.ms-excel; x=y", "", MEDIA_DOCUMENT, "application/vnd.ms-excel" },
    { B("<html>"), MEDIA_IMAGE, "image/png", "", -1, NULL }, { B("not a picture"), MEDIA_IMAGE, "image/png", "", -1, NULL },
    { B("\0\0\0"), MEDIA_IMAGE, "image/png", "", -1, NULL }, { B(""), MEDIA_DOCUMENT, "text/plain", "", -1, NULL },
    { B("\0\0\0"), MEDIA_VIDEO, "video/mp4", "", MEDIA_VIDEO, "video/mp4" }, { B("\0\0\0"), MEDIA_VIDEO, "", "", -1, NULL },
    { B("\0\0\0"), MEDIA_AUDIO, "", "x.mp3", MEDIA_AUDIO, "audio/mpeg" }, { B("\0\0\0"), MEDIA_AUDIO, "video/mp4", "", -1, NULL },
    { B("\0\0\0\x20" "ftypisom"), MEDIA_AUDIO, "", "", MEDIA_AUDIO, "audio/mp4" }, { B("OggS\0"), MEDIA_VIDEO, "", "", MEDIA_VIDEO, "video/ogg" },
    { B("RIFF\4\0\0\0WAVEfmt "), MEDIA_DOCUMENT, "", "", MEDIA_AUDIO, "audio/wav" },
    { B("a,b\n"), MEDIA_DOCUMENT, "text/csv", "x.txt", MEDIA_DOCUMENT, "text/csv" }, { B("# a\n"), MEDIA_DOCUMENT, "", "x.MD", MEDIA_DOCUMENT, "text/markdown" },
    { B("{}"), MEDIA_DOCUMENT, "application/octet-stream", "x", MEDIA_DOCUMENT, "text/plain" }, { B("<html>"), MEDIA_DOCUMENT, "text/plain", "", MEDIA_DOCUMENT, "text/html" },
    { B("x"), MEDIA_DOCUMENT, "image/png", "", MEDIA_DOCUMENT, "text/plain" }, { B("\0\1"), MEDIA_DOCUMENT, "", "", MEDIA_DOCUMENT, "application/octet-stream" },
    { B("x"), MEDIA_DOCUMENT, "text/x\r\nEvil: 1", "", MEDIA_DOCUMENT, "text/plain" }, { B("<svg/>"), MEDIA_IMAGE, "", "", MEDIA_IMAGE, "image/svg+xml" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct media_what what;
    char words[80] = "";
    bool ok = media_judge(rows[i].bytes, rows[i].want, str_z(rows[i].declared), str_z(rows[i].name), &what, words);
    CHECK_INT(ok ? (int)what.kind : -1, rows[i].kind);
    if(ok) CHECK_Z(what.mime, rows[i].mime);
    else CHECK(words[0]);
  }
}

static void t_size(void)
{
  static const struct { struct str bytes; int64_t w, h; } rows[] = {
    { B("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\3\x20\0\0\2\x58"), 800, 600 },
    { B("GIF89a\x40\1\xf0\0"), 320, 240 },
    { B("\xff\xd8\xff\xe0\0\4zz\xff\xff\xc2\0\x11\x08\1\2\3\4\1"), 772, 258 },
    { B("\xff\xd8\xff\xda\0\4zz\xff\xc0\0\x11\x08\1\2\3\4\1"), 0, 0 }, /* pixels before a frame header */
    { B("\xff\xd8\xff\xe0\0\0zzzzzzzzzzzz"), 0, 0 },                   /* a length that leads nowhere */
    { B("RIFF\4\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\3\0\xff\1\0"), 1024, 512 },
    { B("RIFF\4\0\0\0WEBPVP8L\0\0\0\0\x2f\x09\xc0\x04\0"), 10, 20 },
    { B("RIFF\4\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\1\x2a\x40\1\xf0\0"), 320, 240 },
    { B("BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0\x10\0\0\0\xf8\xff\xff\xff\1"), 16, 8 }, /* rows from the top */
    { B("\x89PNG\r\n\x1a\n"), 0, 0 }, { B("text"), 0, 0 }, { B("GIF89a\0\0\1\0"), 0, 0 },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int64_t w, h;
    CHECK_INT(media_size(rows[i].bytes, &w, &h), rows[i].w > 0);
    CHECK_INT(w, rows[i].w);
    CHECK_INT(h, rows[i].h);
  }
  CHECK_INT(media_tokens(0, 0), 1024); /* api 3.15 */
  CHECK_INT(media_tokens(1, 1), 4);
  CHECK_INT(media_tokens(28, 29 * 28), 29);
  CHECK_INT(media_tokens(57, 56), 6);
  CHECK_INT(media_tokens(100000, 100000), 16384);
  CHECK_INT(media_tokens(INT64_MAX, INT64_MAX), 16384);
}

static void t_names(void)
{
  static const struct media_what png = { MEDIA_IMAGE, "image/png" }, txt = { MEDIA_DOCUMENT, "text/plain" }, raw = { MEDIA_DOCUMENT, "application/octet-stream" };
  static const struct { const char *raw; const struct media_what *what; const char *want; } rows[] = { /* upstream 5.1 */
    { "cat.png", &png, "cat.png" }, { "/etc/passwd", &txt, "passwd.txt" }, { "C:\\x\\y.md", &txt, "y.md" }, { "", &png, "image.png" },
    { "..", &txt, "document.txt" }, { "a/", &png, "image.png" }, { "a\r\nb\t.txt", &txt, "ab.txt" }, { "\xff\xfe.txt", &txt, "__.txt" },
    { "日本 1.png", &png, "日本 1.png" }, { ".hidden", &txt, "hidden.txt" }, { "x", &raw, "x" }, { "", &raw, "document" },
    { "a.verylongending", &png, "a.verylongending.png" },
    /* 34 characters of 3 bytes and ".png": the cut is at a character, the ending stays */
    { "日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日.png", &png,
      "日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日日.png" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char name[MEDIA_NAME_MAX + 1];
    media_name(str_z(rows[i].raw), rows[i].what, name);
    CHECK_Z(name, rows[i].want);
    CHECK(strlen(name) <= MEDIA_NAME_MAX);
  }
  CHECK_Z(media_ext(S("IMAGE/JPEG")), "jpg");
  CHECK_Z(media_ext(S("audio/mp3")), "mp3");
  CHECK_Z(media_ext(S("x/y")), "");
  CHECK(media_of_ext(S("a.PDF")) && media_of_ext(S(".pdf")) == NULL && media_of_ext(S("pdf")) == NULL && media_of_ext(S("a.")) == NULL);
}

T_MAIN(T(t_detect), T(t_judge), T(t_size), T(t_names))
