/* ---------- bytes ---------- */

struct span { const char *p; size_t n; };
struct buf { char *p; size_t n, cap; };

#define SPAN_NONE ((struct span){ NULL, 0 })

static void *must(void *p)
{
  if(!p) {
    fprintf(stderr, "fakeqwen: out of memory\n");
    exit(1);
  }
  return p;
}

static char *buf_room(struct buf *b, size_t n)
{
  if(b->cap - b->n < n) {
    b->cap = (b->n + n) * 2 + 256;
    b->p = must(realloc(b->p, b->cap));
  }
  return b->p + b->n;
}

static void buf_add(struct buf *b, const void *p, size_t n)
{
  if(n) memcpy(buf_room(b, n), p, n);
  b->n += n;
}

static void buf_text(struct buf *b, const char *z)
{
  buf_add(b, z, strlen(z));
}

static void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void buf_fmt(struct buf *b, const char *fmt, ...)
{
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  vsnprintf(buf_room(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
  va_end(again);
  b->n += (size_t)n;
}

static void buf_cut(struct buf *b, size_t n)
{
  memmove(b->p, b->p + n, b->n - n);
  b->n -= n;
}

/* Gives memory back that a large answer or body has taken. */
static void buf_shrink(struct buf *b)
{
  if(b->n || b->cap <= 32768) return;
  free(b->p);
  *b = (struct buf){ NULL, 0, 0 };
}

static bool span_is(struct span s, const char *z)
{
  size_t n = strlen(z);
  return s.n == n && memcmp(s.p, z, n) == 0;
}

static bool span_starts(struct span s, const char *z)
{
  size_t n = strlen(z);
  return s.n >= n && memcmp(s.p, z, n) == 0;
}

static int64_t now_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t wall_s(void)
{
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec;
}

static void quote(struct buf *out, const char *p, size_t n)
{
  char *o = buf_room(out, n * 6 + 2), *from = o;
  *o++ = '"';
  for(size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if(c >= 0x20 && c != '"' && c != '\\') *o++ = p[i];
    else if(c == '"' || c == '\\') *o++ = '\\', *o++ = p[i];
    else o += sprintf(o, "\\u%04x", c);
  }
  *o++ = '"';
  out->n += (size_t)(o - from);
}

/* ---------- JSON, strict: the whole text becomes a tape of values, children after their parent ---------- */

enum js_kind { JS_OBJECT, JS_ARRAY, JS_STRING, JS_NUMBER, JS_TRUE, JS_FALSE, JS_NULL };
struct js { const char *p; size_t n; unsigned next; enum js_kind kind; }; /* a string without its quotes */

enum { JS_NONE = -1, JS_DEPTH_MAX = 64 };
static struct js *tape;
static unsigned tape_n, tape_cap;

static const char *js_blank(const char *p, const char *e)
{
  while(p < e && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
  return p;
}

/* The length of the UTF-8 sequence at p; 0: it is none. */
static size_t utf8_at(const unsigned char *p, size_t n)
{
  if(p[0] < 0x80) return 1;
  size_t k = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
  if(k == 0 || k > n) return 0;
  for(size_t i = 1; i < k; i++)
    if((p[i] & 0xc0) != 0x80) return 0;
  if(p[0] == 0xe0 && p[1] < 0xa0) return 0;
  if(p[0] == 0xed && p[1] > 0x9f) return 0; /* surrogates */
  if(p[0] == 0xf0 && p[1] < 0x90) return 0;
  if(p[0] == 0xf4 && p[1] > 0x8f) return 0;
  return k;
}

static bool is_hex(char c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* After the closing quote of the string whose first byte is p; NULL: no string of JSON. */
static const char *js_string_end(const char *p, const char *e)
{
  while(p < e) {
    unsigned char c = (unsigned char)*p;
    if(c == '"') return p + 1;
    if(c < 0x20) return NULL;
    if(c == '\\') {
      if(e - p < 2) return NULL;
      if(p[1] == 'u') {
        if(e - p < 6 || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]) || !is_hex(p[5])) return NULL;
        p += 6;
      } else if(strchr("\"\\/bfnrt", p[1]) && p[1]) {
        p += 2;
      } else {
        return NULL;
      }
    } else if(c < 0x80) {
      p++;
    } else {
      size_t k = utf8_at((const unsigned char *)p, (size_t)(e - p));
      if(!k) return NULL;
      p += k;
    }
  }
  return NULL;
}

static const char *js_digits(const char *p, const char *e)
{
  const char *from = p;
  while(p < e && *p >= '0' && *p <= '9') p++;
  return p > from ? p : NULL;
}

static const char *js_number_end(const char *p, const char *e)
{
  if(p < e && *p == '-') p++;
  if(p >= e) return NULL;
  if(*p == '0') p++;
  else if(!(p = js_digits(p, e))) return NULL;
  if(p < e && *p == '.' && !(p = js_digits(p + 1, e))) return NULL;
  if(p < e && (*p == 'e' || *p == 'E')) {
    p++;
    if(p < e && (*p == '+' || *p == '-')) p++;
    p = js_digits(p, e);
  }
  return p;
}

static const char *js_value(const char *p, const char *e, int depth);

static const char *js_members(const char *p, const char *e, int depth, bool object)
{
  char close = object ? '}' : ']';
  p = js_blank(p, e);
  if(p < e && *p == close) return p + 1;
  for(;;) {
    if(object) {
      p = js_blank(p, e);
      if(p >= e || *p != '"' || !(p = js_value(p, e, depth))) return NULL;
      p = js_blank(p, e);
      if(p >= e || *p++ != ':') return NULL;
    }
    if(!(p = js_value(p, e, depth))) return NULL;
    p = js_blank(p, e);
    if(p >= e) return NULL;
    if(*p == close) return p + 1;
    if(*p++ != ',') return NULL;
  }
}

/* Puts the value at p on the tape. Returns its end, NULL if it is none. */
static const char *js_value(const char *p, const char *e, int depth)
{
  p = js_blank(p, e);
  if(p >= e || depth > JS_DEPTH_MAX) return NULL;
  if(tape_n == tape_cap) {
    tape_cap = tape_cap ? tape_cap * 2 : 1024;
    tape = must(realloc(tape, tape_cap * sizeof *tape));
  }
  unsigned me = tape_n++;
  struct js v = { p, 0, 0, JS_NULL };
  const char *end;
  if(*p == '"') {
    v.kind = JS_STRING;
    if(!(end = js_string_end(p + 1, e))) return NULL;
    v.p = p + 1;
    v.n = (size_t)(end - p) - 2;
  } else if(*p == '{' || *p == '[') {
    v.kind = *p == '{' ? JS_OBJECT : JS_ARRAY;
    if(!(end = js_members(p + 1, e, depth + 1, *p == '{'))) return NULL;
    v.n = (size_t)(end - p);
  } else {
    static const struct { const char *text; enum js_kind kind; } words[] = {
      { "true", JS_TRUE }, { "false", JS_FALSE }, { "null", JS_NULL } };
    end = NULL;
    for(size_t i = 0; i < NELEM(words); i++)
      if(span_starts((struct span){ p, (size_t)(e - p) }, words[i].text)) {
        v.kind = words[i].kind;
        end = p + strlen(words[i].text);
      }
    if(!end) {
      v.kind = JS_NUMBER;
      if(!(end = js_number_end(p, e))) return NULL;
    }
    v.n = (size_t)(end - p);
  }
  v.next = tape_n;
  tape[me] = v;
  return end;
}

/* Reads a whole text; the root is value 0. The tape borrows the text and lasts until the next call. */
static bool js_read(struct span text)
{
  tape_n = 0;
  const char *e = text.p + text.n, *end = text.n ? js_value(text.p, e, 0) : NULL;
  return end && js_blank(end, e) == e;
}

static int js_get(int object, const char *key)
{
  if(object == JS_NONE || tape[object].kind != JS_OBJECT) return JS_NONE;
  for(unsigned i = (unsigned)object + 1; i < tape[object].next; i = tape[i + 1].next)
    if(span_is((struct span){ tape[i].p, tape[i].n }, key)) return (int)i + 1;
  return JS_NONE;
}

static int js_item(int array, int at)
{
  if(array == JS_NONE || tape[array].kind != JS_ARRAY) return JS_NONE;
  for(unsigned i = (unsigned)array + 1; i < tape[array].next; i = tape[i].next)
    if(at-- == 0) return (int)i;
  return JS_NONE;
}

static bool js_kind_is(int v, enum js_kind kind)
{
  return v != JS_NONE && tape[v].kind == kind;
}

static struct span js_span(int v)
{
  return js_kind_is(v, JS_STRING) ? (struct span){ tape[v].p, tape[v].n } : SPAN_NONE;
}

static bool js_is(int v, const char *z)
{
  return js_kind_is(v, JS_STRING) && span_is(js_span(v), z);
}

static double js_number(int v)
{
  char c[40];
  if(!js_kind_is(v, JS_NUMBER) || tape[v].n >= sizeof c) return 0;
  memcpy(c, tape[v].p, tape[v].n);
  c[tape[v].n] = 0;
  return strtod(c, NULL);
}

static unsigned hex4(const char *p)
{
  return (unsigned)strtoul((char[5]){ p[0], p[1], p[2], p[3], 0 }, NULL, 16);
}

static void utf8_put(struct buf *out, unsigned c)
{
  char u[4];
  size_t n = 0;
  if(c < 0x80) {
    u[n++] = (char)c;
  } else {
    if(c >= 0x10000)
      u[n++] = (char)(0xf0 | c >> 18), u[n++] = (char)(0x80 | (c >> 12 & 63)), u[n++] = (char)(0x80 | (c >> 6 & 63));
    else if(c >= 0x800) u[n++] = (char)(0xe0 | c >> 12), u[n++] = (char)(0x80 | (c >> 6 & 63));
    else u[n++] = (char)(0xc0 | c >> 6);
    u[n++] = (char)(0x80 | (c & 63));
  }
  buf_add(out, u, n);
}

/* The decoded string, with a 0 after its end. Half a surrogate pair becomes U+FFFD. */
static void js_text(int v, struct buf *out)
{
  out->n = 0;
  struct span s = js_span(v);
  const char *p = s.p, *e = s.p + s.n;
  while(p < e) {
    const char *esc = memchr(p, '\\', (size_t)(e - p));
    buf_add(out, p, (size_t)((esc ? esc : e) - p));
    if(!esc) break;
    p = esc + 2;
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = strchr(from, esc[1]);
    if(at) {
      buf_add(out, &to[at - from], 1);
      continue;
    }
    unsigned c = hex4(p);
    p += 4;
    if(c >= 0xd800 && c < 0xdc00 && e - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex4(p + 2) >= 0xdc00 &&
       hex4(p + 2) < 0xe000) {
      c = 0x10000 + ((c - 0xd800) << 10) + (hex4(p + 2) - 0xdc00);
      p += 6;
    } else if(c >= 0xd800 && c < 0xe000) {
      c = 0xfffd;
    }
    utf8_put(out, c);
  }
  *buf_room(out, 1) = 0;
}
