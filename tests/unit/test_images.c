/* Requests and answers of the Images API: api 5.1, 5.2. */
#include "proto/images.h"

#include "t.h"
#include "walk.h"

struct row { const char *name, *body; bool edit; enum q_status st; const char *param; };
static const struct row rows[] = {
  { "5.1 the least", "{\"prompt\":\"a cat\"}", false, Q_OK, NULL },
  { "5.1 no prompt", "{}", false, Q_MISSING, "prompt" }, { "5.1 null is none", "{\"prompt\":null}", false, Q_MISSING, "prompt" }, { "5.1 blanks are none", "{\"prompt\":\"  \"}", false, Q_MISSING, "prompt" },
  { "5.1 prompt of another type", "{\"prompt\":[\"a\"]}", false, Q_BAD_TYPE, "prompt" },
  { "5.1 n 4", "{\"prompt\":\"a\",\"n\":\"4\"}", false, Q_OK, NULL }, { "5.1 n 5", "{\"prompt\":\"a\",\"n\":5}", false, Q_BAD_VALUE, "n" }, { "5.1 n 0", "{\"prompt\":\"a\",\"n\":0}", false, Q_BAD_VALUE, "n" },
  { "3.9 size", "{\"prompt\":\"a\",\"size\":\"1792x1024\"}", false, Q_OK, NULL }, { "3.9 bad size", "{\"prompt\":\"a\",\"size\":\"huge\"}", false, Q_BAD_SIZE, "size" },
  { "5.1 response_format", "{\"prompt\":\"a\",\"response_format\":\"png\"}", false, Q_BAD_VALUE, "response_format" },
  { "5.1 a mask of a generation is nothing", "{\"prompt\":\"a\",\"mask\":\"x\"}", false, Q_OK, NULL },
  { "not an object", "[]", false, Q_BAD_TYPE, "" },
  { "5.2 an edit", "{\"prompt\":\"blue\",\"image\":\"https://h/a.png\"}", true, Q_OK, NULL },
  { "5.2 no image", "{\"prompt\":\"blue\"}", true, Q_MISSING, "image" }, { "5.2 an empty list", "{\"prompt\":\"blue\",\"images\":[]}", true, Q_MISSING, "image" },
  { "5.2 a mask", "{\"image\":\"https://h/a.png\",\"mask\":\"https://h/b.png\"}", true, Q_UNSUPPORTED, "mask" },
  { "5.2 a stored file", "{\"image\":{\"file_id\":\"f\"}}", true, Q_UNSUPPORTED, "image" },
  { "5.2 no image at all", "{\"images\":[5]}", true, Q_BAD_TYPE, "images[0]" }, { "5.2 no address", "{\"image\":\"ftp://x/y z\"}", true, Q_BAD_MEDIA, "image" },
};

static void t_requests(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct images_in in;
    struct q_error e = Q_ERROR_NONE;
    t_row = rows[i].name;
    CHECK_Z(status_row(images_in(&a, json_parse(&a, str_z(rows[i].body), 64, NULL), NULL, rows[i].edit, &in, &e))->name, status_row(rows[i].st)->name);
    if(rows[i].st) CHECK_Z(e.param, rows[i].param);
    else CHECK_INT(in.req.kind, rows[i].edit ? CHAT_IMAGE_EDIT : CHAT_T2I);
    if(!rows[i].st) CHECK(in.req.msg_n == 1 && in.req.msgs[0].role == ROLE_USER && in.req.n >= 1 && e.st == Q_OK);
    arena_free(&a);
  }
}

static const char png[] = "\x89PNG\r\n\x1a\n rest";

static void t_5_2_all_shapes_of_images(void)
{
  static const struct { const char *body; int n; const char *urls[3]; } shapes[] = {
    { "{\"image\":\"https://h/1\"}", 1, { "https://h/1" } }, { "{\"image\":[\"https://h/1\",{\"image_url\":\"https://h/2\"}]}", 2, { "https://h/1", "https://h/2" } },
    { "{\"images\":[{\"image_url\":{\"url\":\"https://h/1\"}},{\"url\":\"https://h/2\"},{\"image\":\"https://h/3\"}]}", 3, { "https://h/1", "https://h/2", "https://h/3" } },
    { "{\"image\":\"https://h/1\",\"images\":[\"https://h/2\"]}", 2, { "https://h/1", "https://h/2" } },
  };
  for(size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct images_in in;
    struct q_error e = Q_ERROR_NONE;
    t_row = shapes[i].body;
    CHECK_INT(images_in(&a, json_parse(&a, str_z(shapes[i].body), 64, NULL), NULL, true, &in, &e), Q_OK);
    CHECK_INT(in.req.msgs[0].part_n, shapes[i].n + 1);
    CHECK_STR(in.req.msgs[0].parts[0].text, S("Make a refined version of this image and keep its content.")); /* no prompt */
    for(int k = 0; k < shapes[i].n; k++) {
      CHECK(in.req.msgs[0].parts[k + 1].media && in.req.msgs[0].parts[k + 1].media->kind == MEDIA_IMAGE);
      CHECK_STR(in.req.msgs[0].parts[k + 1].media->url, str_z(shapes[i].urls[k]));
    }
    arena_free(&a);
  }
  struct arena a = ARENA(1 << 20);
  struct images_in in;
  struct q_error e = Q_ERROR_NONE;
  struct strbuf b = STRBUF(100000);
  strbuf_lit(&b, "{\"image\":[\"https://h/1\"");
  for(int i = 1; i < IMAGES_INPUTS_MAX; i++) strbuf_lit(&b, ",\"https://h/1\"");
  strbuf_lit(&b, "]}");
  CHECK_INT(images_in(&a, json_parse(&a, strbuf_str(&b), 64, NULL), NULL, true, &in, &e), Q_OK);
  b.n -= 2;
  strbuf_lit(&b, ",\"https://h/1\"]}");
  CHECK_INT(images_in(&a, json_parse(&a, strbuf_str(&b), 64, NULL), NULL, true, &in, &e), Q_BAD_VALUE);
  strbuf_free(&b);
  arena_free(&a);
}

static struct multipart_part text_part(const char *name, const char *value)
{
  return (struct multipart_part){ .name = str_z(name), .data = str_z(value) };
}

static void t_5_2_forms(void)
{
  struct arena a = ARENA(1 << 20);
  struct images_in in;
  struct q_error e = Q_ERROR_NONE;
  struct multipart m = { .n = 5 };
  m.v[0] = text_part("prompt", "make it blue");
  m.v[1] = (struct multipart_part){ .name = S("image[]"), .filename = S("a.png"), .type = S("image/png"), .data = str_of(png, sizeof png - 1), .file = true };
  m.v[2] = text_part("image[]", "https://h/2.png");
  m.v[3] = text_part("n", "2");
  m.v[4] = text_part("response_format", "b64_json");
  CHECK_INT(images_in(&a, multipart_fields(&m, &a), &m, true, &in, &e), Q_OK);
  CHECK_INT(in.req.msgs[0].part_n, 3);
  const struct chat_media *file = in.req.msgs[0].parts[1].media;
  CHECK_STR(file->data, S("iVBORw0KGgogcmVzdA=="));
  CHECK(!file->plain && str_eq(file->mime, S("image/png")) && str_eq(file->name, S("a.png")));
  CHECK_Z(file->param, "image[]");
  CHECK_STR(in.req.msgs[0].parts[2].media->url, S("https://h/2.png"));
  CHECK(in.req.n == 2 && in.inline_data);
  m.v[3] = (struct multipart_part){ .name = S("mask"), .data = S("x"), .file = true };
  CHECK_INT(images_in(&a, multipart_fields(&m, &a), &m, true, &in, &e), Q_UNSUPPORTED);
  CHECK_Z(e.param, "mask");
  m.v[3] = (struct multipart_part){ .name = S("image"), .file = true };
  CHECK_INT(images_in(&a, multipart_fields(&m, &a), &m, true, &in, &e), Q_BAD_MEDIA);
  m.n = 1;
  CHECK_INT(images_in(&a, multipart_fields(&m, &a), &m, true, &in, &e), Q_MISSING);
  CHECK_INT(images_in(&a, multipart_fields(&m, &a), &m, false, &in, &e), Q_OK); /* 5.1: a form is fine for generations too */
  CHECK_STR(in.req.msgs[0].parts[0].text, S("make it blue"));
  arena_free(&a);
}

static void t_5_1_models_and_formats(void)
{
  static const struct { const char *body; bool any, data; } cases[] = {
    { "{\"prompt\":\"a\"}", false, false }, { "{\"prompt\":\"a\",\"model\":\"dall-e-3\"}", true, false }, { "{\"prompt\":\"a\",\"model\":\"gpt-image-1\"}", true, true },
    { "{\"prompt\":\"a\",\"model\":\"gpt-image-1\",\"response_format\":\"url\"}", true, false }, { "{\"prompt\":\"a\",\"model\":\"qwen3-max\",\"response_format\":\"b64_json\"}", false, true },
    { "{\"prompt\":\"a\",\"model\":\"qwen3-max-image\",\"response_format\":null}", false, false },
  };
  for(size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct images_in in;
    struct q_error e = Q_ERROR_NONE;
    t_row = cases[i].body;
    CHECK_INT(images_in(&a, json_parse(&a, str_z(cases[i].body), 64, NULL), NULL, false, &in, &e), Q_OK);
    CHECK_INT(in.any_model, cases[i].any);
    CHECK_INT(in.inline_data, cases[i].data);
    arena_free(&a);
  }
}

static void t_5_1_ignored_fields_are_named(void)
{
  struct arena a = ARENA(1 << 20);
  struct images_in in;
  struct q_error e = Q_ERROR_NONE;
  CHECK_INT(images_in(&a, json_parse(&a, S("{\"prompt\":\"a\",\"quality\":\"hd\",\"style\":\"vivid\",\"background\":\"auto\",\"moderation\":\"low\",\"output_format\":\"png\",\"output_compression\":5,\"stream\":true,\"partial_images\":2,\"user\":\"u\"}"), 64, NULL), NULL, false, &in, &e), Q_OK);
  CHECK_STR(in.req.ignored, S("quality,style,background,moderation,output_format,output_compression,stream,partial_images,user"));
  CHECK(!in.req.stream);
  arena_free(&a);
}

static void t_5_1_long_prompts(void)
{
  for(int n = IMAGES_PROMPT_MAX; n <= IMAGES_PROMPT_MAX + 1; n++) {
    struct arena a = ARENA(1 << 20);
    struct images_in in;
    struct q_error e = Q_ERROR_NONE;
    struct strbuf b = STRBUF(200000);
    strbuf_lit(&b, "{\"prompt\":\"");
    for(int i = 0; i < n; i++) strbuf_lit(&b, "\xe7\x8c\xab"); /* characters, not bytes */
    strbuf_lit(&b, "\"}");
    CHECK_INT(images_in(&a, json_parse(&a, strbuf_str(&b), 64, NULL), NULL, false, &in, &e), n > IMAGES_PROMPT_MAX ? Q_BAD_VALUE : Q_OK);
    strbuf_free(&b);
    arena_free(&a);
  }
}

static void t_5_1_answers(void)
{
  struct out second = { .ops = &images_whole, .index = 1 }, o = { .ops = &images_whole, .next = &second, .created_s = 1764000000 };
  struct usage u = { .prompt = 12 };
  struct q_error e = Q_ERROR_NONE;
  struct strbuf b = STRBUF(10000);
  for(struct out *c = &o; c; c = c->next) {
    c->ops->begin(c, &b);
    c->ops->think(c, S("hm"), &b);
    c->ops->text(c, S("here"), &b);
    CHECK(!out_shown(c)); /* words alone are no answer */
    if(c == &o) c->ops->image(c, S("https://h/a.png?k=\"1"), STR_NONE, &b);
    c->ops->image(c, S("https://h/b.png"), c == &o ? S("QUJD") : STR_NONE, &b);
    CHECK(out_shown(c));
    c->ops->finish(c, FINISH_STOP, &b);
  }
  CHECK_INT(b.n, 0);
  o.ops->end(&o, &u, &b);
  CHECK_STR(strbuf_str(&b), S("{\"created\":1764000000,\"data\":[{\"url\":\"https://h/a.png?k=\\\"1\"},{\"b64_json\":\"QUJD\"},{\"url\":\"https://h/b.png\"}],"
                              "\"usage\":{\"input_tokens\":12,\"output_tokens\":0,\"total_tokens\":12}}"));
  strbuf_clear(&b);
  status_fail(&e, Q_MEDIA_QUOTA, NULL, "No more today.");
  o.ops->error(&o, &e, &b);
  CHECK_STR(strbuf_str(&b), S("{\"error\":{\"message\":\"No more today.\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"media_quota_exceeded\"}}"));
  out_forget(&o);
  CHECK(!out_shown(&o) && o.items.n == 0);
  out_free(&o);
  out_free(&second);
  strbuf_free(&b);
}

/* ---- api 5.1 and 5.2, field by field ---- */

static const char *const fields_5_1[] = {
  "prompt", "model", "n", "size", "response_format", "quality", "style", "background", "moderation", "output_format", "output_compression", "user",
  "stream", "partial_images", "anything", NULL,
};
#define NEW(got) "kind=t2i" got
static const struct walk_row rows_5_1[] = {
  { "prompt", "\"\"", "!missing_required_parameter prompt" },
  { "prompt", "7", "!invalid_type prompt" },
  { "model", "\"qwen3-max-image\"", "model=qwen3-max-image kind=t2i" },
  { "model", "\"dall-e-3\"", "model=dall-e-3 kind=t2i any-model" },
  { "model", "\"gpt-image-1\"", "model=gpt-image-1 kind=t2i inline any-model" },
  { "model", "[]", "!invalid_type model" },
  { "n", "1", NEW("") },
  { "n", "4", "kind=t2i n=4" },
  { "n", "\"2\"", "kind=t2i n=2" },
  { "n", "5", "!invalid_value n" },
  { "size", "\"1792x1024\"", NEW(" size=16:9") },
  { "size", "\"auto\"", NEW("") },
  { "size", "\"big\"", "!invalid_size size" },
  { "response_format", "\"url\"", NEW("") },
  { "response_format", "\"b64_json\"", NEW(" inline") },
  { "response_format", "\"png\"", "!invalid_value response_format" },
  { "quality", "\"hd\"", NEW(" ignored=quality") },
  { "style", "\"vivid\"", NEW(" ignored=style") },
  { "background", "\"auto\"", NEW(" ignored=background") },
  { "moderation", "\"low\"", NEW(" ignored=moderation") },
  { "output_format", "\"png\"", NEW(" ignored=output_format") },
  { "output_compression", "5", NEW(" ignored=output_compression") },
  { "user", "\"u\"", NEW(" ignored=user") },
  { "stream", "true", NEW(" ignored=stream") },
  { "partial_images", "2", NEW(" ignored=partial_images") },
  { "anything", "[]", NEW(" ignored=anything") },
};
static const char *const fields_5_2[] = { "image", "images", "prompt", "mask", "model", "size", "n", "response_format", "input_fidelity", "anything", NULL };
#define EDIT(got) "kind=edit" got
static const struct walk_row rows_5_2[] = {
  { "image", "[\"https://h/1.png\",\"https://h/2.png\"]", EDIT(" pictures=2") },
  { "image", "{\"file_id\":\"f\"}", "!unsupported_parameter image" },
  { "images", "[{\"image_url\":\"https://h/2.png\"}]", EDIT(" pictures=2") }, /* with the one of the least request */
  { "images", "[5]", "!invalid_type images[0]" },
  { "prompt", "\"blue\"", EDIT(" pictures=1 prompt=blue") },
  { "prompt", "7", "!invalid_type prompt" },
  { "mask", "\"https://h/m.png\"", "!unsupported_parameter mask" },
  { "model", "\"qwen3-max\"", "model=qwen3-max kind=edit pictures=1" },
  { "size", "\"9:16\"", EDIT(" size=9:16 pictures=1") },
  { "n", "2", EDIT(" n=2 pictures=1") },
  { "n", "0", "!invalid_value n" },
  { "response_format", "\"b64_json\"", EDIT(" inline pictures=1") },
  { "input_fidelity", "\"high\"", EDIT(" ignored=input_fidelity pictures=1") },
  { "anything", "1", EDIT(" ignored=anything pictures=1") },
};

static enum q_status walk_images(struct arena *a, const struct json *body, bool edit, struct strbuf *shown, struct q_error *e)
{
  struct images_in in;
  enum q_status st = images_in(a, body, NULL, edit, &in, e);
  if(st) return st;
  walk_show(&in.req, shown);
  if(in.inline_data) strbuf_lit(shown, " inline");
  if(in.any_model) strbuf_lit(shown, " any-model");
  if(edit) strbuf_fmt(shown, " pictures=%d", in.req.msgs[0].part_n - 1);
  struct str prompt = in.req.msgs[0].parts[0].text;
  if(edit && !str_starts(prompt, S("Make a refined"))) strbuf_fmt(shown, " prompt=%.*s", STR_F(prompt));
  return Q_OK;
}

static enum q_status walk_new(struct arena *a, const struct json *body, struct strbuf *shown, struct q_error *e)
{
  return walk_images(a, body, false, shown, e);
}

static enum q_status walk_edit(struct arena *a, const struct json *body, struct strbuf *shown, struct q_error *e)
{
  return walk_images(a, body, true, shown, e);
}

static void t_5_1_every_field(void)
{
  WALK("\"prompt\":\"a cat\"", fields_5_1, rows_5_1, walk_new, NEW(""));
}

static void t_5_2_every_field(void)
{
  WALK("\"image\":\"https://h/1.png\"", fields_5_2, rows_5_2, walk_edit, EDIT(" pictures=1"));
}

T_MAIN(T(t_5_1_every_field), T(t_5_2_every_field), T(t_requests), T(t_5_2_all_shapes_of_images), T(t_5_2_forms), T(t_5_1_models_and_formats), T(t_5_1_ignored_fields_are_named), T(t_5_1_long_prompts), T(t_5_1_answers))
