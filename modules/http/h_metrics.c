#include "domain/metrics.h"
#include "http/handlers.h"

enum { H_METRICS_MAX = 16 * 1024 * 1024 };

void h_metrics(struct req *q)
{
  struct strbuf b = STRBUF(H_METRICS_MAX);
  if(metrics_write(q->app, &b)) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else req_answer(q, 200, S("text/plain; version=0.0.4; charset=utf-8"), STR_NONE, strbuf_str(&b));
  strbuf_free(&b);
}
