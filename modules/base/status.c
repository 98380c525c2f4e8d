#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct status_row status_rows[] = {
#define X(name, http, type, code, again, text) { #name, http, type, code, again, text },
  STATUS_LIST(X)
#undef X
};

const struct status_row *status_row(enum q_status st)
{
  return &status_rows[(unsigned)st < Q_STATUS_COUNT ? st : Q_INTERNAL];
}

static void status_cut_utf8(char *s, size_t cap, int wanted)
{
  if(wanted < 0 || (size_t)wanted < cap) return;
  size_t n = strlen(s), start = n;
  while(start > 0 && n - start < 4 && ((unsigned char)s[start - 1] & 0xc0) == 0x80) start--;
  if(start == 0 || !((unsigned char)s[start - 1] & 0x80)) return;
  unsigned char lead = (unsigned char)s[start - 1];
  size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if(n - (start - 1) < need) s[start - 1] = 0;
}

enum q_status status_fail(struct q_error *e, enum q_status st, const char *param, const char *fmt, ...)
{
  if(!e) return st;
  va_list ap;
  e->st = st;
  int wanted = snprintf(e->param, sizeof e->param, "%s", param ? param : "");
  status_cut_utf8(e->param, sizeof e->param, wanted);
  va_start(ap, fmt);
  wanted = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
  va_end(ap);
  status_cut_utf8(e->msg, sizeof e->msg, wanted);
  return st;
}
