/* models.h - the upstream's model list, its variants, and the way from a requested name to a model.
 *
 * Threads: an immutable list once read: share it by reference count (models_ref / models_unref, atomic).
 * Memory:  owns everything it returns; slices live as long as the reference. */
#ifndef Q2A_PROTO_MODELS_H
#define Q2A_PROTO_MODELS_H

#include "base/str.h"

struct model {
  struct str id, name;       /* canonical upstream id, display name */
  int64_t created_s;         /* 1677610602 if unknown */
  int64_t context, max_output; /* tokens, 0: unknown */
  bool thinking, search, vision, document, video_in, audio, image, image_edit, video, deep_research;
  bool always_thinks;        /* thinking cannot be switched off */
};

enum { MODEL_THINKING = 1, MODEL_SEARCH = 2, MODEL_IMAGE = 4, MODEL_IMAGE_EDIT = 8, MODEL_VIDEO = 16 }; /* variant bits; the last three alone */

struct models;
/* From the body of GET /api/models (array at data, data.data or models). NULL: none could be read. */
struct models *models_read(struct str body) Q_MUST_USE;
struct models *models_builtin(void) Q_MUST_USE;
struct models *models_ref(struct models *m);
void models_unref(struct models *m);
int models_count(const struct models *m);
const struct model *models_at(const struct models *m, int i);

struct models_want {
  struct str name;                 /* what the client sent */
  struct str fallback;             /* DEFAULT_MODEL or empty */
  const char *const *alias_from;   /* MODEL_ALIASES, may hold '*' */
  const char *const *alias_to;
  int alias_n;
  bool list_known;                 /* false: unknown names are passed on unchanged */
};
struct models_pick {
  const struct model *model;       /* NULL: passed on under `id` */
  char id[200];
  unsigned variant;                /* MODEL_* bits asked for by the suffix */
};
/* Q_OK, Q_NO_MODEL (up to 3 near names in the words) or Q_BAD_VARIANT (names the variants that exist). */
enum q_status models_pick(const struct models *m, const struct models_want *w, struct models_pick *p,
                          struct q_error *e) Q_MUST_USE;
/* Whether the model has all of these abilities. */
bool models_can(const struct model *x, unsigned variant);
/* The same for what was picked, by chat_type or an endpoint instead of a suffix: Q_BAD_VARIANT as a suffix would give. A model
 * that is not in the list is believed. */
enum q_status models_need(const struct models_pick *p, unsigned variant, struct q_error *e) Q_MUST_USE;
/* The first listed model that has the abilities: the default for pictures and videos. NULL: none has. */
const struct model *models_first(const struct models *m, unsigned variant);
/* The same for clients of Anthropic's protocol: a claude-* name that nothing else matches means the fallback, with the
 * variant it ends in. */
enum q_status models_pick_claude(const struct models *m, const struct models_want *w, struct models_pick *p,
                                 struct q_error *e) Q_MUST_USE;
/* The body of GET /v1/models; simple hides the variants. */
void models_write(const struct models *m, bool simple, struct strbuf *b);
/* One entry of it, for GET /v1/models/{id}. */
void models_write_one(const struct models *m, const struct models_pick *p, struct strbuf *b);
/* Anthropic's shape of both. */
void models_write_anthropic(const struct models *m, bool simple, struct strbuf *b);
void models_write_anthropic_one(const struct models *m, const struct models_pick *p, struct strbuf *b);

#endif
