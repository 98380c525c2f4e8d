#include "http/h_start.h"
#include "http/handlers.h"
#include "http/h_cli.h"
#include "proto/openai.h"

void h_chat(struct req *q)
{
  static const struct h_way way = { .stream = &openai_stream, .whole = &openai_whole, .id_prefix = "chatcmpl-" };
  const struct json *body = req_json(q);
  struct chat_req r;
  struct q_error e = Q_ERROR_NONE;
  if(!body || h_cli_takes(q, body)) return;
  if(openai_in(q->arena, body, (int)q->config->n_max, &r, &e)) req_fail(q, &e);
  else h_start(q, &r, &way);
}
