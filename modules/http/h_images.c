#include "http/h_form.h"
#include "http/h_start.h"
#include "http/handlers.h"
#include "proto/images.h"

static void h_images(struct req *q, bool edit)
{
  struct h_way way = { .stream = &images_whole, .whole = &images_whole, .id_prefix = "img_" };
  const struct multipart *form;
  const struct json *body = h_form_read(q, &form);
  struct models_pick pick;
  struct images_in in;
  struct q_error e = Q_ERROR_NONE;
  if(!body) return;
  enum q_status st = images_in(q->arena, body, form, edit, &in, &e);
  if(!st) st = h_form_model(q, in.req.model, in.any_model, edit ? MODEL_IMAGE_EDIT : MODEL_IMAGE, &pick, &e);
  way.asked = in.req.model;
  if(!st) in.req.model = arena_str(q->arena, str_z(pick.id)); /* the answer names no model */
  if(!st && !in.req.model.p) st = status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
  way.inline_images = in.inline_data;
  if(st) req_fail(q, &e);
  else h_start(q, &in.req, &way);
}

void h_images_new(struct req *q)
{
  h_images(q, false);
}

void h_images_edit(struct req *q)
{
  h_images(q, true);
}
