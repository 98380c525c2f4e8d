#include "http/h_start.h"

#include "http/h_answer.h"
#include "http/h_cli.h"

/* What is asked for: chat_type wins over the suffix of the model's name. */
static enum chat_kind h_start_kind(const struct chat_req *r, unsigned variant)
{
  if(r->kind != CHAT_UNSET && r->kind != CHAT_T2T) return r->kind;
  if(variant & MODEL_VIDEO) return CHAT_T2V;
  if(variant & MODEL_IMAGE_EDIT) return CHAT_IMAGE_EDIT;
  if(variant & MODEL_IMAGE) return CHAT_T2I;
  return r->search || (variant & MODEL_SEARCH) ? CHAT_SEARCH : CHAT_T2T;
}

static unsigned h_start_need(enum chat_kind kind)
{
  return kind == CHAT_T2V ? MODEL_VIDEO : kind == CHAT_IMAGE_EDIT ? MODEL_IMAGE_EDIT : kind == CHAT_T2I ? MODEL_IMAGE : 0;
}

/* A family's name, or none at all, leaves the choice to us: a model that can do what is asked for. */
static enum q_status h_start_able(const struct models *m, const struct chat_req *r, enum chat_kind kind, struct models_pick *pick, struct q_error *e)
{
  unsigned need = h_start_need(kind);
  if(!need || !pick->model || models_can(pick->model, need)) return Q_OK;
  const struct model *able = models_first(m, need);
  bool named = r->model.n && !str_ends(r->model, S("-latest"));
  if(named || !able) return models_need(pick, need, e);
  pick->model = able;
  str_copy(pick->id, sizeof pick->id, able->id);
  return Q_OK;
}

static enum q_status h_start_admit(struct req *q, const struct chat_req *r, const struct h_way *way, enum chat_kind kind, const struct models_pick *pick,
                                   struct key_pass *pass, struct q_error *e)
{
  struct str asked = way->asked.n ? way->asked : way->shown_model.n ? way->shown_model : r->model;
  int media = !h_start_need(kind) ? 0 : kind == CHAT_T2V || r->n < 1 ? 1 : r->n;
  return h_answer_admit(q, asked, str_z(pick->id), media, pass, e);
}

void h_start(struct req *q, const struct chat_req *r, const struct h_way *way)
{
  struct models_pick pick;
  struct q_error e = Q_ERROR_NONE;
  struct chat *chat = NULL;
  struct key_pass pass = { .held = false };
  const char *source;
  enum chat_kind kind = CHAT_T2T;
  if(h_cli_serves(q, r, way)) return;
  struct models *m = app_models(q->app, &source);
  struct models_want w = { r->model, way->fallback.n ? way->fallback : str_z(q->config->default_model), q->config->alias_from,
                           q->config->alias_to, q->config->alias_n, strcmp(source, "builtin") != 0 };
  enum q_status st = way->anthropic ? models_pick_claude(m, &w, &pick, &e) : models_pick(m, &w, &pick, &e);
  if(!st) {
    kind = h_start_kind(r, pick.variant);
    st = h_start_able(m, r, kind, &pick, &e);
  }
  if(!st) st = h_start_admit(q, r, way, kind, &pick, &pass, &e);
  if(!st) {
    struct chat_order o = { .req = r, .pick = &pick, .kind = kind, .inline_images = way->inline_images, .stream = way->stream,
                            .whole = way->whole, .out_id_prefix = way->id_prefix, .echo = way->echo, .kept = way->kept,
                            .kept_ctx = way->kept_ctx,
                            .shown_model = way->shown_model.n ? way->shown_model : r->model.n ? r->model : str_z(pick.id), .route = way->route,
                            .to = h_answer_to(q, way->anthropic) };
    st = chat_new(&chat, &o, &e);
  }
  models_unref(m);
  if(st) {
    keys_done(q->app->keys, &pass, 0, 0, 0, now_wall_ms(q->app->now));
    if(way->kept) way->kept(way->kept_ctx, NULL);
    if(way->echo) strbuf_free(way->echo);
    req_fail(q, &e);
  } else {
    answer_admitted(chat_taker(chat), &pass);
    client_adopt(q->client, chat_taker(chat));
  }
}
