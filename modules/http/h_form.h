/* h_form.h - what requests for pictures and videos share: fields out of JSON or a form, and a model that can do it.
 *
 * Threads: desk or job, as req.h. Memory: the request's arena. */
#ifndef Q2A_HTTP_H_FORM_H
#define Q2A_HTTP_H_FORM_H

#include "http/req.h"
#include "proto/multipart.h"

/* *form stays NULL for JSON. NULL: answered already. */
const struct json *h_form_read(struct req *q, const struct multipart **form);
/* The model for an ability (MODEL_IMAGE ...): by its name, or the first that has it when none is named, or when the list does not
 * know the name and any is true. Q_NO_MODEL, Q_BAD_VARIANT. */
enum q_status h_form_model(struct req *q, struct str name, bool any, unsigned ability, struct models_pick *pick, struct q_error *e) Q_MUST_USE;

#endif
