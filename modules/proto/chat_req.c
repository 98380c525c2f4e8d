#include "proto/chat_req.h"

struct str chat_msg_text(const struct chat_msg *m, struct arena *a)
{
  size_t n = 0;
  int texts = 0;
  struct str only = S("");
  for(int i = 0; i < m->part_n; i++) {
    if(m->parts[i].media) continue;
    if(texts++ == 0 && m->parts[i].text.p) only = m->parts[i].text;
    n += m->parts[i].text.n + 1;
  }
  if(texts < 2) return only;
  char *all = arena_alloc(a, n), *at = all;
  if(!all) return STR_NONE;
  for(int i = 0; i < m->part_n; i++) {
    struct str text = m->parts[i].text;
    if(m->parts[i].media) continue;
    if(text.n) memcpy(at, text.p, text.n);
    at += text.n;
    *at++ = '\n';
  }
  return str_of(all, (size_t)(at - all) - 1);
}

enum q_status chat_msg_set_text(struct chat_msg *m, struct str text, struct arena *a)
{
  m->parts = arena_alloc(a, sizeof *m->parts);
  if(!m->parts) return Q_NOMEM;
  m->parts[0] = (struct chat_part){ text, NULL };
  m->part_n = 1;
  return Q_OK;
}
