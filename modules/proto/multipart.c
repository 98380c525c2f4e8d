#include "proto/multipart.h"

enum { MULTIPART_HEAD_MAX = 8 * 1024, MULTIPART_BOUNDARY_MAX = 70 };

static enum q_status multipart_bad(struct q_error *e, const char *what)
{
  return status_fail(e, Q_BAD_VALUE, NULL, "The multipart body is malformed: %s.", what);
}

/* Takes the next `;name=value` off *s. false: none, or none that can be read (then *s is not empty). The value of a quoted one
 * ends at the next quote: clients write a quote inside as %22. */
static bool multipart_param(struct str *s, struct str *name, struct str *value)
{
  struct str t = str_trim(*s);
  *s = t;
  if(!t.n || t.p[0] != ';') return false;
  t = str_trim(str_sub(t, 1, t.n));
  ptrdiff_t eq = str_chr(t, '=');
  if(eq <= 0) return false;
  *name = str_trim(str_sub(t, 0, (size_t)eq));
  t = str_trim(str_sub(t, (size_t)eq + 1, t.n));
  ptrdiff_t end;
  if(t.n && t.p[0] == '"') {
    t = str_sub(t, 1, t.n);
    end = str_chr(t, '"');
    if(end < 0) return false;
    *value = str_sub(t, 0, (size_t)end++);
  } else {
    end = str_chr(t, ';');
    if(end < 0) end = (ptrdiff_t)t.n;
    *value = str_trim(str_sub(t, 0, (size_t)end));
  }
  *s = str_trim(str_sub(t, (size_t)end, t.n));
  return true;
}

bool multipart_is(struct str content_type)
{
  return str_ieq(str_trim(str_cut(&content_type, ';')), S("multipart/form-data"));
}

static bool multipart_boundary(struct str type, struct str *out)
{
  struct str name, value, rest = type;
  (void)str_cut(&rest, ';');
  rest = str_sub(type, type.n - rest.n - 1, type.n);
  *out = STR_NONE;
  while(multipart_param(&rest, &name, &value))
    if(str_ieq(name, S("boundary"))) *out = value;
  for(size_t i = 0; i < out->n; i++) {
    char c = out->p[i];
    bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("'()+_,-./:=? ", c));
    if(!ok) return false;
  }
  return rest.n == 0 && out->n > 0 && out->n <= MULTIPART_BOUNDARY_MAX && out->p[out->n - 1] != ' ';
}

static enum q_status multipart_header(struct str line, struct multipart_part *p, struct q_error *e)
{
  struct str rest = line, name, value, key = str_cut(&rest, ':');
  if(key.n == line.n) return multipart_bad(e, "a header line without a colon");
  rest = str_trim(rest);
  if(str_ieq(key, S("content-type"))) {
    p->type = rest;
  } else if(str_ieq(key, S("content-transfer-encoding"))) {
    if(!str_ieq(rest, S("binary")) && !str_ieq(rest, S("8bit")) && !str_ieq(rest, S("7bit"))) return multipart_bad(e, "a transfer encoding that is not binary");
  } else if(str_ieq(key, S("content-disposition"))) {
    ptrdiff_t semi = str_chr(rest, ';');
    if(semi < 0 || !str_ieq(str_trim(str_sub(rest, 0, (size_t)semi)), S("form-data"))) return multipart_bad(e, "a part that is no form-data");
    rest = str_sub(rest, (size_t)semi, rest.n);
    while(multipart_param(&rest, &name, &value)) {
      if(str_ieq(name, S("name"))) p->name = value;
      if(!str_ieq(name, S("filename"))) continue;
      p->filename = value;
      p->file = true;
    }
    if(rest.n) return multipart_bad(e, "a Content-Disposition that cannot be read");
  }
  return Q_OK;
}

/* The headers of a part; *body moves behind their blank line. */
static enum q_status multipart_head(struct str *body, struct multipart_part *p, struct q_error *e)
{
  size_t used = 0;
  for(;;) {
    ptrdiff_t end = str_find(str_sub(*body, 0, MULTIPART_HEAD_MAX - used), S("\r\n"));
    if(end < 0) return multipart_bad(e, "headers of a part that do not end");
    struct str line = str_sub(*body, 0, (size_t)end);
    *body = str_sub(*body, (size_t)end + 2, body->n);
    used += (size_t)end + 2;
    if(line.n == 0) break;
    for(size_t i = 0; i < line.n; i++)
      if((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') return multipart_bad(e, "a control character in a header");
    enum q_status st = multipart_header(line, p, e);
    if(st) return st;
  }
  return p->name.n ? Q_OK : multipart_bad(e, "a part without a name");
}

/* Behind a boundary: 1 = a part follows (*s moves to it), 0 = it was the last, -1 = it was none. */
static int multipart_after(struct str *s)
{
  bool last = str_starts(*s, S("--"));
  struct str t = last ? str_sub(*s, 2, s->n) : *s;
  while(t.n && (t.p[0] == ' ' || t.p[0] == '\t')) t = str_sub(t, 1, t.n);
  if(last) {
    if(str_trim(t).n) return -1;
    *s = STR_NONE;
    return 0;
  }
  if(!str_starts(t, S("\r\n"))) return -1;
  *s = str_sub(t, 2, t.n);
  return 1;
}

enum q_status multipart_read(struct str content_type, struct str body, struct multipart *m, struct q_error *e)
{
  struct str boundary;
  char mark[MULTIPART_BOUNDARY_MAX + 8] = "\r\n--";
  m->n = 0;
  if(!multipart_boundary(content_type, &boundary)) return status_fail(e, Q_BAD_VALUE, NULL, "The Content-Type has no usable boundary.");
  memcpy(mark + 4, boundary.p, boundary.n);
  struct str full = str_of(mark, boundary.n + 4), first = str_sub(full, 2, full.n), rest = body;
  if(str_starts(rest, S("\r\n"))) rest = str_sub(rest, 2, rest.n);
  if(!str_starts(rest, first)) return multipart_bad(e, "it does not begin with its boundary");
  rest = str_sub(rest, first.n, rest.n);
  int more = multipart_after(&rest);
  while(more == 1) {
    if(m->n == MULTIPART_PARTS) return multipart_bad(e, "too many parts");
    struct multipart_part *p = &m->v[m->n];
    *p = (struct multipart_part){ .file = false };
    enum q_status st = multipart_head(&rest, p, e);
    if(st) return st;
    /* The body of a part may hold the boundary's text as long as no line end and no "--" follow it. An empty one ends at once: the
     * line end of its headers is that of its boundary. */
    const char *data = rest.p;
    more = -1;
    if(str_starts(rest, first)) {
      struct str behind = str_sub(rest, first.n, rest.n);
      if((more = multipart_after(&behind)) >= 0) {
        p->data = str_of(data, 0);
        rest = behind;
      }
    }
    for(size_t at = 0; more < 0;) {
      ptrdiff_t hit = str_find(str_sub(rest, at, rest.n), full);
      if(hit < 0) return multipart_bad(e, "the last boundary is missing");
      struct str behind = str_sub(rest, at + (size_t)hit + full.n, rest.n);
      p->data = str_of(data, at + (size_t)hit);
      at += (size_t)hit + 1;
      if((more = multipart_after(&behind)) >= 0) rest = behind;
    }
    if(p->data.n > MULTIPART_FILE_MAX) return status_fail(e, Q_TOO_BIG, NULL, "A file of the form is larger than %d bytes.", MULTIPART_FILE_MAX);
    m->n++;
  }
  return more == 0 ? Q_OK : multipart_bad(e, "its boundary is not followed by a line end");
}

const struct json *multipart_fields(const struct multipart *m, struct arena *a)
{
  struct json *o = arena_alloc(a, sizeof *o), **end;
  if(!o) return NULL;
  o->type = JSON_OBJECT;
  end = &o->child;
  for(int i = 0; i < m->n; i++) {
    if(m->v[i].file) continue;
    struct json *n = arena_alloc(a, sizeof *n);
    if(!n) return NULL;
    *n = (struct json){ .type = JSON_STRING, .key = m->v[i].name, .text = m->v[i].data };
    *end = n;
    end = &n->next;
    o->count++;
  }
  return o;
}
