#include "proto/qwen_detail.h"

static void qwen_detail_image(struct qwen_detail *d, struct str url)
{
  if(!str_istarts(url, S("https://")) || d->image_n == DELTA_IMAGES_MAX) return;
  for(int i = 0; i < d->image_n; i++)
    if(str_eq(d->images[i], url)) return;
  d->images[d->image_n++] = url;
}

/* content of a picture phase: a URL, or a list of {image}. */
static void qwen_detail_images(struct qwen_detail *d, const struct json *content)
{
  if(json_is(content, JSON_ARRAY))
    for json_each(item, content) qwen_detail_image(d, json_str(json_get(item, "image")));
  else qwen_detail_image(d, str_trim(json_str(content)));
}

static bool qwen_detail_picture(struct str phase)
{
  return str_starts(phase, S("image_gen")) || str_starts(phase, S("image_edit")) || str_eq(phase, S("generate_image"));
}

/* Answers come in pieces, one per stretch of the phase. */
static void qwen_detail_list(struct arena *a, struct qwen_detail *d, const struct json *list)
{
  size_t n = 0;
  for json_each(piece, list) {
    struct str phase = json_str(json_get(piece, "phase"));
    const struct json *content = json_get(piece, "content");
    if(str_eq(phase, S("answer"))) n += json_str(content).n;
    if(!qwen_detail_picture(phase)) continue;
    qwen_detail_images(d, content);
    const struct json *shown = json_path(piece, "extra.image_list");
    qwen_detail_images(d, shown ? shown : json_path(piece, "extra.tool_result"));
  }
  char *all = n ? arena_alloc(a, n) : NULL;
  if(!all) return;
  d->answer = str_of(all, 0);
  for json_each(piece, list) {
    struct str text = json_str(json_get(piece, "content"));
    if(!str_eq(json_str(json_get(piece, "phase")), S("answer")) || !text.n) continue;
    memcpy(all + d->answer.n, text.p, text.n);
    d->answer.n += text.n;
  }
}

static const struct json *qwen_detail_message(const struct json *history, struct str id)
{
  const struct json *messages = json_get(history, "messages"), *found = NULL;
  if(!id.n) id = json_str(json_get(history, "currentId"));
  for json_each(m, messages)
    if(str_eq(m->key, id) || str_eq(json_str(json_get(m, "id")), id)) found = m;
  return found;
}

bool qwen_detail_read(struct arena *a, struct str body, struct str response_id, struct qwen_detail *out)
{
  const struct json *root = json_parse(a, str_trim(body), 64, NULL), *message;
  *out = (struct qwen_detail){ .image_n = 0 };
  message = qwen_detail_message(json_path(root, "data.chat.history"), response_id);
  if(!message || !str_eq(json_str(json_get(message, "role")), S("assistant"))) return false;
  qwen_detail_list(a, out, json_get(message, "content_list"));
  if(!out->answer.n && !out->image_n) {
    out->answer = json_str(json_get(message, "content"));
    qwen_detail_image(out, str_trim(out->answer));
    if(out->image_n) out->answer = STR_NONE;
  }
  return true;
}
