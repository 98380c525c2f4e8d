/* Forms from any bytes: the first line is the boundary. Parts lie within the body, in order, and do not overlap. */
#include "proto/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  static const char head[] = "multipart/form-data; boundary=";
  struct str body = str_of((const char *)p, n), boundary = str_cut(&body, '\n');
  char type[400];
  struct multipart *m = __builtin_malloc(sizeof *m);
  struct q_error e = Q_ERROR_NONE;
  struct arena a = ARENA(1 << 20);
  size_t type_n = sizeof head - 1;
  memcpy(type, head, type_n);
  boundary = str_sub(boundary, 0, sizeof type - type_n);
  if(boundary.n) memcpy(type + type_n, boundary.p, boundary.n);
  enum q_status st = multipart_read(str_of(type, type_n + boundary.n), body, m, &e);
  if(st && (!e.msg[0] || e.st != st)) __builtin_trap();
  const char *last = body.p;
  for(int i = 0; !st && i < m->n; i++) {
    const struct multipart_part *part = &m->v[i];
    if(!part->name.n || part->name.p < last || part->data.p < part->name.p || part->data.p + part->data.n > body.p + body.n) __builtin_trap();
    last = part->data.p + part->data.n;
  }
  if(!st) {
    const struct json *o = multipart_fields(m, &a);
    if(!o || o->count > m->n) __builtin_trap();
  }
  arena_free(&a);
  __builtin_free(m);
  return 0;
}
