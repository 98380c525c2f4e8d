#include "proto/out.h"

static struct strbuf *out_builders(struct out *o, int i)
{
  struct strbuf *all[] = { &o->block, &o->annotations, &o->think_buf, &o->text_buf, &o->call_buf, &o->items, &o->final, &o->prefix, &o->echo };
  return i < (int)(sizeof all / sizeof all[0]) ? all[i] : NULL;
}

void out_free(struct out *o)
{
  struct strbuf *b;
  for(int i = 0; (b = out_builders(o, i)); i++) strbuf_free(b);
}

void out_forget(struct out *o)
{
  for(int i = 0; i < 7; i++) strbuf_clear(out_builders(o, i)); /* the constant ones stay */
  o->source_n = o->calls = o->item_n = 0;
  o->think_open = o->think_closed = o->any_text = o->any_think = o->item_open = false;
}
