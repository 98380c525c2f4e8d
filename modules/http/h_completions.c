#include "http/h_start.h"
#include "http/handlers.h"
#include "proto/completions.h"

void h_completions(struct req *q)
{
  static const struct h_way way = { .stream = &completions_stream, .whole = &completions_whole, .id_prefix = "cmpl-" };
  const struct json *body = req_json(q);
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  if(!body) return;
  if(completions_in(q->arena, body, (int)q->config->n_max, &r, &e)) req_fail(q, &e);
  else h_start(q, &r, &way);
}
