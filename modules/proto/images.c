#include "proto/images.h"

#include <stdio.h>

#include "base/codec.h"
#include "proto/in.h"
#include "proto/openai.h"

enum { IMAGES_ANSWER_MAX = 64 * 1024 * 1024 };

/* What an edit without words is told. */
#define IMAGES_EDIT_WORDS "Make a refined version of this image and keep its content."

static size_t images_characters(struct str s)
{
  size_t n = 0;
  for(size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
  return n;
}

enum q_status images_prompt(const struct json *body, struct str *out, struct q_error *e)
{
  *out = STR_NONE;
  enum q_status st = in_text(body, "prompt", out, e);
  if(st) return st;
  *out = str_trim(*out);
  if(!out->n) return status_fail(e, Q_MISSING, "prompt", "'prompt' is missing; say what is to be seen.");
  if(images_characters(*out) > IMAGES_PROMPT_MAX) return status_fail(e, Q_BAD_VALUE, "prompt", "'prompt' may have at most %d characters.", IMAGES_PROMPT_MAX);
  return Q_OK;
}

/* One picture: a text, {"image_url": text or {"url"}}, {"url"}, {"image"} or {"b64_json"}. */
static enum q_status images_one(struct in_parts *p, const struct json *n, const char *param, struct q_error *e)
{
  static const char *const members[] = { "image_url.url", "image_url", "url", "image", "b64_json" };
  struct str source = json_str(n);
  if(p->n > IMAGES_INPUTS_MAX) return status_fail(e, Q_BAD_VALUE, param, "At most %d images can be edited at once.", IMAGES_INPUTS_MAX);
  if(json_is(n, JSON_OBJECT) && !json_absent(json_get(n, "file_id")))
    return status_fail(e, Q_UNSUPPORTED, param, "'%s' names a stored file; qwen2api keeps none. Send the image or its URL.", param);
  for(size_t i = 0; i < sizeof members / sizeof members[0] && !source.n && json_is(n, JSON_OBJECT); i++) source = json_str(json_path(n, members[i]));
  if(!source.n) return in_type(e, param, "an image: a URL, a data: URI or base64");
  return in_add_media(p, MEDIA_IMAGE, source, STR_NONE, STR_NONE, param, e);
}

static enum q_status images_member(struct in_parts *p, const struct json *body, const char *name, struct q_error *e)
{
  const struct json *n = json_get(body, name);
  char param[64];
  int i = 0;
  enum q_status st = Q_OK;
  if(json_absent(n)) return Q_OK;
  if(!json_is(n, JSON_ARRAY)) return images_one(p, n, name, e);
  for json_each(one, n) {
    snprintf(param, sizeof param, "%s[%d]", name, i++);
    if(!st) st = images_one(p, one, param, e);
  }
  return st;
}

static bool images_field(struct str name)
{
  return str_eq(name, S("image")) || str_eq(name, S("image[]")) || str_eq(name, S("images")) || str_eq(name, S("images[]"));
}

/* The files of a form, and texts that stand for one. The upload needs base64 anyway: it is the key of the cache. */
static enum q_status images_form(struct in_parts *p, const struct multipart *form, struct arena *a, struct q_error *e)
{
  for(int i = 0; i < form->n; i++) {
    const struct multipart_part *part = &form->v[i];
    char param[64];
    if(!images_field(part->name)) continue;
    if(p->n > IMAGES_INPUTS_MAX) return status_fail(e, Q_BAD_VALUE, "image", "At most %d images can be edited at once.", IMAGES_INPUTS_MAX);
    str_copy(param, sizeof param, part->name);
    if(!part->data.n) return status_fail(e, Q_BAD_MEDIA, param, "'%s' is empty.", param);
    struct str source = part->data;
    if(part->file) {
      struct strbuf b = STRBUF((part->data.n + 2) / 3 * 4 + 1);
      codec_base64(part->data, &b);
      source = b.err ? STR_NONE : arena_str(a, strbuf_str(&b));
      strbuf_free(&b);
      if(!source.p) return in_no_memory(e);
    }
    enum q_status st = in_add_media(p, MEDIA_IMAGE, source, part->type, part->filename, param, e);
    if(st) return st;
  }
  return Q_OK;
}

static enum q_status images_format(const struct json *body, struct images_in *in, struct q_error *e)
{
  struct str format = STR_NONE;
  enum q_status st = in_text(body, "response_format", &format, e);
  if(st) return st;
  bool gpt = str_istarts(in->req.model, S("gpt-image-"));
  in->any_model = gpt || str_istarts(in->req.model, S("dall-e-")) || str_ieq(in->req.model, S("chatgpt-image-latest"));
  if(!format.n) in->inline_data = gpt;
  else if(str_eq(format, S("b64_json"))) in->inline_data = true;
  else if(!str_eq(format, S("url"))) return status_fail(e, Q_BAD_VALUE, "response_format", "'response_format' must be url or b64_json.");
  return Q_OK;
}

static enum q_status images_fields(struct arena *a, const struct json *body, bool edit, struct images_in *in, struct str *prompt, struct q_error *e)
{
  static const struct in_idle idle[] = {
    { "quality", true, IN_ANY }, { "style", true, IN_ANY }, { "background", true, IN_ANY }, { "moderation", true, IN_ANY }, { "output_format", true, IN_ANY },
    { "output_compression", true, IN_ANY }, { "input_fidelity", true, IN_ANY }, { "stream", true, IN_ANY }, { "partial_images", true, IN_ANY }, { "user", true, IN_ANY },
  };
  struct chat_req *r = &in->req;
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  enum q_status st = in_text(body, "model", &r->model, e);
  if(!st && edit && !json_absent(json_get(body, "mask")))
    st = status_fail(e, Q_UNSUPPORTED, "mask", "'mask' cannot be honoured: the upstream edits whole images only. Describe the place in the prompt.");
  if(!st) st = in_count(r, json_get(body, "n"), "n", IMAGES_N_MAX, e);
  if(!st) st = in_size(r, json_get(body, "size"), "size", e);
  if(!st) st = images_format(body, in, e);
  if(!st) st = in_ignored(a, body, idle, (int)(sizeof idle / sizeof idle[0]), r, e);
  if(!st) st = edit ? IN_REST(a, body, NULL, r, e, "model", "prompt", "n", "size", "response_format", "image", "image[]", "images", "images[]")
                    : IN_REST(a, body, NULL, r, e, "model", "prompt", "n", "size", "response_format");
  if(st) return st;
  st = images_prompt(body, prompt, e);
  if(st != Q_MISSING || !edit) return st;
  *e = Q_ERROR_NONE;
  *prompt = S(IMAGES_EDIT_WORDS);
  return Q_OK;
}

enum q_status images_in(struct arena *a, const struct json *body, const struct multipart *form, bool edit, struct images_in *in, struct q_error *e)
{
  struct in_parts parts = { .arena = a };
  struct str prompt;
  *in = (struct images_in){ .req = { .kind = edit ? CHAT_IMAGE_EDIT : CHAT_T2I, .n = 1 } };
  for(int i = 0; form && edit && i < form->n; i++)
    if(str_eq(form->v[i].name, S("mask")))
      return status_fail(e, Q_UNSUPPORTED, "mask", "'mask' cannot be honoured: the upstream edits whole images only. Describe the place in the prompt.");
  enum q_status st = images_fields(a, body, edit, in, &prompt, e);
  if(!st) st = in_add_text(&parts, prompt, e);
  if(!st && edit && form) st = images_form(&parts, form, a, e);
  if(!st && edit && !form) st = images_member(&parts, body, "image", e);
  if(!st && edit && !form) st = images_member(&parts, body, "images", e);
  if(!st && edit && parts.n == 1) st = status_fail(e, Q_MISSING, "image", "'image' is missing; send the image to edit.");
  if(st) return st;
  struct chat_msg *m = arena_alloc(a, sizeof *m);
  if(!m) return in_no_memory(e);
  *m = (struct chat_msg){ .role = ROLE_USER, .parts = parts.v, .part_n = parts.n };
  in->req.msgs = m;
  in->req.msg_n = 1;
  return Q_OK;
}

/* ---- the answer ---- */

static void images_begin(struct out *o, struct strbuf *b)
{
  (void)b;
  o->items.max = IMAGES_ANSWER_MAX;
}

/* What the model says beside its pictures has no place in this answer. */
static void images_text(struct out *o, struct str text, struct strbuf *b)
{
  (void)o, (void)text, (void)b;
}

static void images_sources(struct out *o, const struct source *s, int n, struct strbuf *b)
{
  (void)o, (void)s, (void)n, (void)b;
}

static void images_call(struct out *o, const struct out_call *c, struct strbuf *b)
{
  (void)o, (void)c, (void)b;
}

static void images_image(struct out *o, struct str url, struct str base64, struct strbuf *b)
{
  (void)b;
  if(o->item_n++) strbuf_addc(&o->items, ',');
  if(base64.n) {
    strbuf_lit(&o->items, "{\"b64_json\":\"");
    strbuf_adds(&o->items, base64);
    strbuf_lit(&o->items, "\"}");
  } else {
    strbuf_lit(&o->items, "{\"url\":");
    strbuf_json(&o->items, url);
    strbuf_addc(&o->items, '}');
  }
  o->any_text = true;
}

static void images_finish(struct out *o, enum finish why, struct strbuf *b)
{
  (void)b;
  o->why = why;
}

static void images_end(struct out *o, const struct usage *u, struct strbuf *b)
{
  bool first = true;
  strbuf_lit(b, "{\"created\":");
  strbuf_int(b, o->created_s);
  strbuf_lit(b, ",\"data\":[");
  for(const struct out *c = o; c; c = c->next) {
    if(c->items.err) b->err = c->items.err;
    if(!c->items.n) continue;
    if(!first) strbuf_addc(b, ',');
    first = false;
    strbuf_adds(b, strbuf_str(&c->items));
  }
  strbuf_lit(b, "],\"usage\":{\"input_tokens\":");
  strbuf_int(b, u->prompt);
  strbuf_lit(b, ",\"output_tokens\":");
  strbuf_int(b, u->completion);
  strbuf_lit(b, ",\"total_tokens\":");
  strbuf_int(b, u->prompt + u->completion);
  strbuf_lit(b, "}}");
}

static void images_error(struct out *o, const struct q_error *e, struct strbuf *b)
{
  (void)o;
  openai_error(e, b);
}

static void images_heartbeat(struct out *o, struct strbuf *b)
{
  (void)o, (void)b;
}

const struct out_ops images_whole = { images_begin, images_text, images_text, images_sources, images_image, images_call,
                                      images_finish, images_end, images_error, images_heartbeat };
