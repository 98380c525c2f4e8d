#include "proto/out.h"

void out_free(struct out *o)
{
  strbuf_free(&o->block);
  strbuf_free(&o->annotations);
  strbuf_free(&o->prefix);
  strbuf_free(&o->think_buf);
  strbuf_free(&o->text_buf);
}

void out_forget(struct out *o)
{
  strbuf_clear(&o->block);
  strbuf_clear(&o->annotations);
  strbuf_clear(&o->think_buf);
  strbuf_clear(&o->text_buf);
  o->source_n = 0;
  o->block_head = o->think_open = o->think_closed = o->any_text = o->any_think = false;
}
