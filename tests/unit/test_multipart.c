/* Forms: what clients send, what is refused, and every cut of a good one. */
#include "proto/multipart.h"

#include "t.h"

#define TYPE "multipart/form-data; boundary=XX"
#define CD "Content-Disposition: form-data; name="

static const struct { const char *name, *type, *body; enum q_status st; const char *parts; } rows[] = {
  { "a text", TYPE, "--XX\r\n" CD "\"prompt\"\r\n\r\na cat\r\n--XX--\r\n", Q_OK, "prompt=a cat;" },
  { "without the last line end", TYPE, "--XX\r\n" CD "\"prompt\"\r\n\r\na cat\r\n--XX--", Q_OK, "prompt=a cat;" },
  { "two, one a file", TYPE, "--XX\r\n" CD "\"n\"\r\n\r\n2\r\n--XX\r\n" CD "\"image[]\"; filename=\"a;b.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n\r\n--X\r\n--XX--\r\n", Q_OK,
    "n=2;image[]<a;b.png|image/png>=\x89PNG\r\n\r\n--X;" },
  { "an empty text, an empty file", TYPE, "--XX\r\n" CD "\"a\"\r\n\r\n\r\n--XX\r\n" CD "\"f\"; filename=\"\"\r\n\r\n\r\n--XX--", Q_OK, "a=;f<|>=;" },
  { "the boundary within a line of data", TYPE, "--XX\r\n" CD "\"a\"\r\n\r\nx--XX--y\r\n--XXY\r\n--XX \r\n" CD "\"b\"\r\n\r\nz\r\n--XX--", Q_OK, "a=x--XX--y\r\n--XXY;b=z;" },
  { "data that is the boundary's line end only", TYPE, "--XX\r\n" CD "\"a\"\r\n\r\n\r\n\r\n--XX--", Q_OK, "a=\r\n;" },
  { "unquoted, other case, more parameters", "Multipart/Form-Data; charset=utf-8; BOUNDARY=\"XX\"", "--XX\r\ncontent-disposition: FORM-DATA; name=a; filename*=UTF-8''x; size=3\r\nX-Other: 1\r\ncontent-transfer-encoding: binary\r\n\r\nv\r\n--XX--", Q_OK, "a=v;" },
  { "a line end in front", TYPE, "\r\n--XX\r\n" CD "\"a\"\r\n\r\nv\r\n--XX--\r\n\r\n", Q_OK, "a=v;" },
  { "no part at all", TYPE, "--XX--\r\n", Q_OK, "" },
  { "no boundary", "multipart/form-data", "--XX--", Q_BAD_VALUE, "boundary" },
  { "an empty boundary", "multipart/form-data; boundary=\"\"", "----", Q_BAD_VALUE, "boundary" },
  { "a boundary of odd bytes", "multipart/form-data; boundary=a\x01", "--a\x01--", Q_BAD_VALUE, "boundary" },
  { "a boundary too long", "multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890", "", Q_BAD_VALUE, "boundary" },
  { "an open quote", "multipart/form-data; boundary=\"XX", "--XX--", Q_BAD_VALUE, "boundary" },
  { "empty", TYPE, "", Q_BAD_VALUE, "does not begin" },
  { "text in front", TYPE, "hello\r\n--XX\r\n" CD "\"a\"\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "does not begin" },
  { "another boundary", TYPE, "--YY\r\n" CD "\"a\"\r\n\r\nv\r\n--YY--", Q_BAD_VALUE, "does not begin" },
  { "a boundary that goes on", TYPE, "--XXY\r\n" CD "\"a\"\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "not followed" },
  { "no last boundary", TYPE, "--XX\r\n" CD "\"a\"\r\n\r\nv\r\n--XX\r\n", Q_BAD_VALUE, "headers" },
  { "cut", TYPE, "--XX\r\n" CD "\"a\"\r\n\r\nv", Q_BAD_VALUE, "last boundary" },
  { "something behind the end", TYPE, "--XX\r\n" CD "\"a\"\r\n\r\nv\r\n--XX--\r\nmore", Q_BAD_VALUE, "last boundary" },
  { "bare line feeds", TYPE, "--XX\n" CD "\"a\"\n\nv\n--XX--", Q_BAD_VALUE, "not followed" },
  { "no name", TYPE, "--XX\r\nContent-Disposition: form-data\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "form-data" },
  { "an empty name", TYPE, "--XX\r\n" CD "\"\"\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "name" },
  { "no headers", TYPE, "--XX\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "name" },
  { "no form-data", TYPE, "--XX\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "form-data" },
  { "a quote inside a name", TYPE, "--XX\r\n" CD "\"a\\\"b\"\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "Disposition" },
  { "base64", TYPE, "--XX\r\n" CD "\"a\"\r\nContent-Transfer-Encoding: base64\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "binary" },
  { "a header without colon", TYPE, "--XX\r\n" CD "\"a\"\r\nwhat\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "colon" },
  { "a control character in a header", TYPE, "--XX\r\n" CD "\"a\x01\"\r\n\r\nv\r\n--XX--", Q_BAD_VALUE, "control" },
};

static void show(const struct multipart *m, struct strbuf *b)
{
  for(int i = 0; i < m->n; i++) {
    const struct multipart_part *p = &m->v[i];
    strbuf_adds(b, p->name);
    if(p->file) strbuf_fmt(b, "<%.*s|%.*s>", STR_F(p->filename), STR_F(p->type));
    strbuf_addc(b, '=');
    strbuf_adds(b, p->data);
    strbuf_addc(b, ';');
  }
}

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct multipart m;
    struct q_error e = Q_ERROR_NONE;
    struct strbuf b = STRBUF(10000);
    t_row = rows[i].name;
    CHECK_Z(status_row(multipart_read(str_z(rows[i].type), str_z(rows[i].body), &m, &e))->name, status_row(rows[i].st)->name);
    if(rows[i].st) {
      CHECK(strstr(e.msg, rows[i].parts) != NULL);
    } else {
      show(&m, &b);
      CHECK_STR(strbuf_str(&b), str_z(rows[i].parts));
    }
    strbuf_free(&b);
  }
}

/* No cut of a good form is a form, and none is read beyond its end (the sanitizer sees it). */
static void t_every_cut(void)
{
  struct str whole = str_z(rows[2].body);
  size_t end = whole.n - 2; /* the last line end may be missing */
  for(size_t n = 0; n < whole.n; n++) {
    struct multipart m;
    struct q_error e = Q_ERROR_NONE;
    char *exact = malloc(n ? n : 1);
    memcpy(exact, whole.p, n);
    CHECK_INT(multipart_read(S(TYPE), str_of(exact, n), &m, &e) == Q_OK, n >= end);
    free(exact);
  }
}

static void t_bounds(void)
{
  struct multipart m;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf b = STRBUF(MULTIPART_FILE_MAX + 1024);
  for(int n = MULTIPART_PARTS; n <= MULTIPART_PARTS + 1; n++) {
    strbuf_clear(&b);
    for(int i = 0; i < n; i++) strbuf_lit(&b, "--XX\r\n" CD "\"a\"\r\n\r\nv\r\n");
    strbuf_lit(&b, "--XX--");
    CHECK_INT(multipart_read(S(TYPE), strbuf_str(&b), &m, &e), n > MULTIPART_PARTS ? Q_BAD_VALUE : Q_OK);
  }
  strbuf_clear(&b);
  strbuf_lit(&b, "--XX\r\n" CD "\"a\"; filename=\"f\"\r\n\r\n");
  char *room = strbuf_room(&b, MULTIPART_FILE_MAX + 1);
  memset(room, 'x', MULTIPART_FILE_MAX + 1);
  b.n += MULTIPART_FILE_MAX + 1;
  strbuf_lit(&b, "\r\n--XX--");
  CHECK_INT(multipart_read(S(TYPE), strbuf_str(&b), &m, &e), Q_TOO_BIG); /* api 0.3 */
  strbuf_clear(&b);
  strbuf_lit(&b, "--XX\r\n" CD "\"a\"\r\nX: ");
  while(b.n < 9000) strbuf_addc(&b, 'x');
  strbuf_lit(&b, "\r\n\r\nv\r\n--XX--");
  CHECK_INT(multipart_read(S(TYPE), strbuf_str(&b), &m, &e), Q_BAD_VALUE);
  strbuf_free(&b);
}

static void t_fields(void)
{
  struct multipart m;
  struct q_error e = Q_ERROR_NONE;
  struct arena a = ARENA(1 << 20), none = ARENA(8);
  CHECK_INT(multipart_read(S(TYPE), str_z(rows[2].body), &m, &e), Q_OK);
  const struct json *o = multipart_fields(&m, &a);
  int64_t n = 0;
  CHECK(o && o->count == 1 && json_int(json_get(o, "n"), &n) && n == 2 && !json_get(o, "image[]"));
  CHECK(multipart_fields(&m, &none) == NULL);
  CHECK(multipart_is(S("multipart/form-data; boundary=x")) && multipart_is(S("MULTIPART/FORM-DATA")) && !multipart_is(S("multipart/mixed")) && !multipart_is(S("")));
  arena_free(&a);
}

T_MAIN(T(t_rows), T(t_every_cut), T(t_bounds), T(t_fields))
