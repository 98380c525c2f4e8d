#include "http/h_form.h"

const struct json *h_form_read(struct req *q, const struct multipart **form)
{
  struct q_error e = Q_ERROR_NONE;
  struct str type = http1_find(&q->head->headers, S("content-type"));
  *form = NULL;
  if(!multipart_is(type)) return req_json(q);
  struct multipart *m = arena_alloc(q->arena, sizeof *m);
  enum q_status st = m ? multipart_read(type, q->body, m, &e) : status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  const struct json *fields = st ? NULL : multipart_fields(m, q->arena);
  if(!st && !fields) st = status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  *form = m;
  if(st) req_fail(q, &e);
  return fields;
}

enum q_status h_form_model(struct req *q, struct str name, bool any, unsigned ability, struct models_pick *pick, struct q_error *e)
{
  const char *source;
  struct models *m = app_models(q->app, &source);
  struct models_want w = { name, str_z(q->config->default_model), q->config->alias_from, q->config->alias_to, q->config->alias_n,
                           any || strcmp(source, "builtin") != 0 }; /* another vendor's name is never passed on */
  enum q_status st = name.n ? models_pick(m, &w, pick, e) : Q_NO_MODEL;
  if(!st && pick->model) st = models_need(pick, ability, e);
  if(st == Q_NO_MODEL && (any || !name.n)) {
    const struct model *first = models_first(m, ability);
    if(first) {
      *pick = (struct models_pick){ .model = first, .variant = ability };
      str_copy(pick->id, sizeof pick->id, first->id);
      st = Q_OK;
    } else {
      st = status_fail(e, Q_NO_MODEL, "model", "No listed model can do this; see GET /v1/models.");
    }
  }
  pick->model = NULL; /* it lives as long as the list */
  models_unref(m);
  if(!st) *e = Q_ERROR_NONE;
  return st;
}
