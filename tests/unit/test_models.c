/* The model list: any shape of the upstream's, its variants, and the way from a name to a model. */
#include "proto/models.h"

#include "base/mem.h"
#include "proto/json.h"
#include "t.h"

static const char list[] =
  "{\"data\":[{\"id\":\"qwen3.7-plus\",\"name\":\"Qwen3.7-Plus\",\"info\":{\"created_at\":1755000000,\"meta\":{\"max_context_length\":\"1000\",\"abilities\":{\"thinking\":1,\"vision\":0},"
  "\"capabilities\":{\"vision\":true},\"chat_type\":[\"t2t\",\"search\",\"t2i\"]}}},"
  "{\"id\":\"qwen3-max\",\"info\":{\"created_at\":5,\"meta\":{\"capabilities\":{\"thinking\":true},\"chat_type\":null}}},"
  "{\"id\":\"qwen4-max\",\"info\":{\"name\":\"Model Four\",\"created_at\":9,\"meta\":{\"abilities\":{\"thinking\":true},\"think_skip\":{\"enable\":false}}}},"
  "{\"id\":\"plain\",\"name\":\"The plain one\",\"info\":{\"meta\":{\"chat_type\":[\"image_edit\",\"t2v\"]}}},{\"id\":\"old-thinking\",\"info\":{\"meta\":{}}},{\"id\":\"off\",\"info\":{\"is_active\":false}},{\"id\":\"off2\",\"info\":{\"is_active\":0}},"
  "{\"name\":\"no id\"},{\"id\":\"bad id\"},{\"id\":7},null]}";

static const struct { const char *name; enum q_status st; const char *id; unsigned variant; } picks[] = {
  { "qwen3.7-plus", Q_OK, "qwen3.7-plus", 0 },
  { "QWEN3.7-PLUS", Q_OK, "qwen3.7-plus", 0 },
  { "Qwen3.7-Plus-thinking", Q_OK, "qwen3.7-plus", MODEL_THINKING },
  { "qwen3.7-plus-search", Q_OK, "qwen3.7-plus", MODEL_SEARCH },
  { "qwen3.7-plus-thinking-search", Q_OK, "qwen3.7-plus", MODEL_THINKING | MODEL_SEARCH },
  { "qwen3.7-plus-search-thinking", Q_OK, "qwen3.7-plus", MODEL_THINKING | MODEL_SEARCH },
  { "qwen/qwen3.7-plus", Q_OK, "qwen3.7-plus", 0 },
  { "models/openai/qwen3-max-thinking", Q_OK, "qwen3-max", MODEL_THINKING },
  { "old-thinking", Q_OK, "old-thinking", 0 }, /* a real id that ends in a suffix */
  { "qwen4-max-thinking", Q_OK, "qwen4-max", MODEL_THINKING },
  { "qwen-max-latest", Q_OK, "qwen4-max", 0 }, /* the newest of the family */
  { "qwen-max-latest-thinking", Q_OK, "qwen4-max", MODEL_THINKING },
  { "qwen-turbo-latest", Q_OK, "qwen3.7-plus", 0 }, /* no such family: the flagship */
  { "gpt-4o", Q_OK, "qwen3-max", 0 },
  { "gpt-4o-thinking", Q_OK, "qwen3-max", MODEL_THINKING },
  { "claude-anything-5", Q_OK, "qwen3.7-plus", MODEL_THINKING }, /* alias with a suffix */
  { "Qwen3.7-Plus Display", Q_NO_MODEL, "", 0 },
  { "the plain one", Q_OK, "plain", 0 }, /* by its display name */
  { "Model Four-thinking", Q_OK, "qwen4-max", MODEL_THINKING }, /* the name stands in info */
  { "  qwen3-max  ", Q_OK, "qwen3-max", 0 },
  { "QWEN/QWEN3-MAX-THINKING", Q_OK, "qwen3-max", MODEL_THINKING },
  { "openai/gpt-4o", Q_OK, "qwen3-max", 0 }, /* the vendor goes, then the alias */
  { "x/special", Q_OK, "plain", 0 }, /* an alias that names its vendor */
  { "special", Q_NO_MODEL, "", 0 },
  { "vendored", Q_OK, "qwen4-max", MODEL_THINKING }, /* an alias to a name with a vendor and a suffix */
  { "hop1", Q_OK, "plain", 0 },
  { "loop1", Q_NO_MODEL, "", 0 }, /* an alias that goes round */
  { "mid-xyz-end", Q_OK, "plain", 0 },
  { "mid-end", Q_NO_MODEL, "", 0 }, /* the two parts of a pattern do not overlap */
  { "GPT-4O", Q_OK, "qwen3-max", 0 },
  { "qwen-plus-latest-search", Q_OK, "qwen3.7-plus", MODEL_SEARCH },
  { "QWEN-PLUS-LATEST", Q_OK, "qwen3.7-plus", 0 },
  { "qwen3.7-plus-deep-research", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plus-image-edit", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plus-thinking-thinking", Q_NO_MODEL, "", 0 }, /* one suffix only */
  { "old-thinking-thinking", Q_BAD_VARIANT, "", 0 },
  { "qwen/", Q_NO_MODEL, "", 0 }, { "/", Q_NO_MODEL, "", 0 }, { "-search", Q_NO_MODEL, "", 0 },
  { "", Q_OK, "qwen3-max", 0 }, /* DEFAULT_MODEL */
  { "qwen3-max-search", Q_BAD_VARIANT, "", 0 },
  { "plain-thinking", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plus-image", Q_OK, "qwen3.7-plus", MODEL_IMAGE },
  { "QWEN3.7-PLUS-Image", Q_OK, "qwen3.7-plus", MODEL_IMAGE },
  { "plain-image-edit", Q_OK, "plain", MODEL_IMAGE_EDIT },
  { "plain-video", Q_OK, "plain", MODEL_VIDEO },
  { "plain-image", Q_BAD_VARIANT, "", 0 },
  { "qwen3-max-image", Q_BAD_VARIANT, "", 0 },
  { "openai/gpt-4o-image", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plus-thinking-image", Q_NO_MODEL, "", 0 }, /* no such pair */
  { "qwen3.7-plus-video", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plux", Q_NO_MODEL, "", 0 },
  { "off", Q_NO_MODEL, "", 0 },
  { "-thinking", Q_NO_MODEL, "", 0 },
};

static void t_picks(void)
{
  static const char *const from[] = { "gpt-4o", "claude-*", "x/special", "vendored", "hop1", "hop2", "loop1", "loop2", "mid-*-end", "plain" },
                    *const to[] = { "qwen3-max", "qwen3.7-plus-thinking", "plain", "qwen/qwen4-max-thinking", "hop2", "plain", "loop2", "loop1", "plain", "qwen3-max" };
  struct models *m = models_read(str_z(list));
  CHECK(m && models_count(m) == 5);
  for(size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
    struct models_want w = { str_z(picks[i].name), S("qwen3-max"), from, to, 10, true };
    struct models_pick p;
    struct q_error e = Q_ERROR_NONE;
    t_row = picks[i].name;
    CHECK_Z(status_row(models_pick(m, &w, &p, &e))->name, status_row(picks[i].st)->name);
    if(picks[i].st) {
      CHECK_Z(e.param, "model");
      continue;
    }
    CHECK_Z(p.id, picks[i].id);
    CHECK_INT(p.variant, picks[i].variant);
  }
  struct models_want unknown = { S("brand-new"), STR_NONE, NULL, NULL, 0, false }, evil = { S("a\r\nX: y"), STR_NONE, NULL, NULL, 0, false };
  struct models_pick p;
  struct q_error e = Q_ERROR_NONE;
  CHECK_INT(models_pick(m, &unknown, &p, &e), Q_OK); /* no list was ever obtained: passed on */
  CHECK_Z(p.id, "brand-new");
  CHECK_INT(models_pick(m, &evil, &p, &e), Q_NO_MODEL); /* it would become a header line */
  struct models_want near = { S("qwen3.7-plux"), STR_NONE, NULL, NULL, 0, true };
  CHECK_INT(models_pick(m, &near, &p, &e), Q_NO_MODEL);
  CHECK(strstr(e.msg, "qwen3.7-plus") != NULL);
  struct models_want first = { STR_NONE, STR_NONE, NULL, NULL, 0, true };
  CHECK_INT(models_pick(m, &first, &p, &e), Q_OK); /* no model, no default: the first of the list */
  CHECK_Z(p.id, "qwen3.7-plus");
  struct models_want lacks = { S("qwen3-max-search"), STR_NONE, NULL, NULL, 0, true };
  CHECK_INT(models_pick(m, &lacks, &p, &e), Q_BAD_VARIANT);
  CHECK(strstr(e.msg, "It has: -thinking.") != NULL); /* names those that exist */
  static const char *const star[] = { "*" }, *const one[] = { "plain" };
  struct models_want all = { S("anything/else"), STR_NONE, star, one, 1, true }, real = { S("qwen/qwen3-max"), STR_NONE, star, one, 1, true };
  CHECK_INT(models_pick(m, &all, &p, &e), Q_OK);
  CHECK_Z(p.id, "plain");
  CHECK_INT(models_pick(m, &real, &p, &e), Q_OK); /* an id comes before an alias */
  CHECK_Z(p.id, "qwen3-max");
  char big[5000];
  memset(big, '/', sizeof big);
  memset(big + 2000, 'a', 3000);
  struct models_want endless = { str_of(big, sizeof big), STR_NONE, NULL, NULL, 0, true };
  CHECK_INT(models_pick(m, &endless, &p, &e), Q_NO_MODEL);
  endless.list_known = false;
  CHECK_INT(models_pick(m, &endless, &p, &e), Q_NO_MODEL); /* too long to pass on */
  models_unref(m);
}

/* api 6.7: claude-* names that nothing matches mean the fallback; other unknown names stay unknown. */
static void t_api_6_7_claude(void)
{
  static const char *const from[] = { "claude-opus-*" }, *const to[] = { "qwen3-max" };
  static const struct { const char *name, *fallback; bool known; enum q_status st; const char *id; unsigned variant; } rows[] = {
    { "claude-sonnet-4-5-20250929", "qwen3-max", true, Q_OK, "qwen3-max", 0 },
    { "anthropic/Claude-haiku-4", "qwen3-max", true, Q_OK, "qwen3-max", 0 },
    { "claude-x", "", true, Q_OK, "qwen3.7-plus", 0 }, /* no fallback: the first listed */
    { "claude-opus-4-1", "qwen3.7-plus", true, Q_OK, "qwen3-max", 0 }, /* an alias comes first */
    { "claude-x-thinking", "qwen3.7-plus", true, Q_OK, "qwen3.7-plus", MODEL_THINKING },
    { "claude-x", "qwen3.7-plus-search", true, Q_OK, "qwen3.7-plus", MODEL_SEARCH },
    { "claude-x-search", "qwen3-max", true, Q_BAD_VARIANT, "", 0 },
    { "claude-x", "gone", true, Q_NO_MODEL, "", 0 },
    { "claude-x", "qwen3-max", false, Q_OK, "qwen3-max", 0 }, /* not passed on, though the list is not known */
    { "brand-new", "qwen3-max", false, Q_OK, "brand-new", 0 },
    { "claude", "qwen3-max", true, Q_NO_MODEL, "", 0 },
    { "my-claude-x", "qwen3-max", true, Q_NO_MODEL, "", 0 },
    { "gpt-5", "qwen3-max", true, Q_NO_MODEL, "", 0 },
    { "qwen3-max", "plain", true, Q_OK, "qwen3-max", 0 },
    { "", "qwen3-max", true, Q_OK, "qwen3-max", 0 },
  };
  struct models *m = models_read(str_z(list));
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct models_want w = { str_z(rows[i].name), str_z(rows[i].fallback), from, to, 1, rows[i].known };
    struct models_pick p;
    struct q_error e = Q_ERROR_NONE;
    t_row = rows[i].name;
    CHECK_Z(status_row(models_pick_claude(m, &w, &p, &e))->name, status_row(rows[i].st)->name);
    if(rows[i].st) continue;
    CHECK_Z(p.id, rows[i].id);
    CHECK_INT(p.variant, rows[i].variant);
  }
  models_unref(m);
}

static void t_written_one(void)
{
  struct models *m = models_read(str_z(list));
  static const struct { const char *name, *id, *shown, *created; } rows[] = {
    { "qwen3.7-plus", "qwen3.7-plus", "Qwen3.7-Plus", "2025-08-12T12:00:00Z" },
    { "QWEN3.7-PLUS-search-thinking", "qwen3.7-plus-thinking-search", "Qwen3.7-Plus-thinking-search", "2025-08-12T12:00:00Z" },
    { "qwen3.7-plus-thinking", "qwen3.7-plus-thinking", "Qwen3.7-Plus-thinking", "2025-08-12T12:00:00Z" },
    { "qwen3.7-plus-image", "qwen3.7-plus-image", "Qwen3.7-Plus-image", "2025-08-12T12:00:00Z" },
    { "brand/new", "new", "new", "2023-02-28T18:56:42Z" }, /* not in the list, passed on */
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct models_want w = { str_z(rows[i].name), STR_NONE, NULL, NULL, 0, false };
    struct models_pick p;
    struct q_error e = Q_ERROR_NONE;
    struct arena a = ARENA(1 << 20);
    struct strbuf b = STRBUF(10000);
    t_row = rows[i].name;
    CHECK_INT(models_pick(m, &w, &p, &e), Q_OK);
    models_write_one(m, &p, &b);
    const struct json *r = json_parse(&a, strbuf_str(&b), 10, NULL);
    CHECK_STR(json_str(json_get(r, "id")), str_z(rows[i].id));
    CHECK_STR(json_str(json_get(r, "name")), str_z(rows[i].shown));
    CHECK_STR(json_str(json_get(r, "object")), S("model"));
    CHECK_STR(json_str(json_get(r, "owned_by")), S("qwen"));
    strbuf_clear(&b);
    models_write_anthropic_one(m, &p, &b);
    r = json_parse(&a, strbuf_str(&b), 10, NULL);
    CHECK_STR(json_str(json_get(r, "id")), str_z(rows[i].id));
    CHECK_STR(json_str(json_get(r, "display_name")), str_z(rows[i].shown));
    CHECK_STR(json_str(json_get(r, "type")), S("model"));
    CHECK_STR(json_str(json_get(r, "created_at")), str_z(rows[i].created));
    strbuf_free(&b);
    arena_free(&a);
  }
  models_unref(m);
}

/* Out of memory gives no list, never half of one. */
static void t_out_of_memory(void)
{
  for(long n = 0;; n++) {
    fault_arm(n, true);
    struct models *m = models_read(str_z(list));
    bool hit = fault_disarm();
    CHECK(m ? models_count(m) == 5 : hit);
    models_unref(m);
    CHECK_INT(mem_live(), 0);
    if(!hit) break;
  }
}

static void t_written(void)
{
  struct models *m = models_read(str_z(list));
  struct strbuf b = STRBUF(1 << 20);
  struct arena a = ARENA(1 << 20);
  models_write(m, false, &b);
  const struct json *r = json_parse(&a, strbuf_str(&b), 10, NULL), *data = json_get(r, "data");
  static const char *const ids[] = { "qwen3.7-plus", "qwen3.7-plus-thinking", "qwen3.7-plus-search", "qwen3.7-plus-thinking-search", "qwen3.7-plus-image", "qwen3-max", "qwen3-max-thinking",
                                     "qwen4-max", "qwen4-max-thinking", "plain", "plain-image-edit", "plain-video", "old-thinking" };
  CHECK_INT(data->count, 13);
  for(int i = 0; i < 13; i++) CHECK_STR(json_str(json_get(json_at(data, i), "id")), str_z(ids[i]));
  int64_t v = 0;
  CHECK(json_int(json_path(r, "data.0.context_length"), &v) && v == 1000);
  CHECK(json_true(json_path(r, "data.0.capabilities.vision")));
  CHECK(json_int(json_path(r, "data.9.created"), &v) && v == 1677610602);
  strbuf_clear(&b);
  models_write(m, true, &b);
  CHECK_INT(json_get(json_parse(&a, strbuf_str(&b), 10, NULL), "data")->count, 5);
  strbuf_clear(&b);
  models_write_anthropic(m, false, &b);
  r = json_parse(&a, strbuf_str(&b), 10, NULL);
  CHECK_STR(json_str(json_get(r, "first_id")), S("qwen3.7-plus"));
  CHECK_STR(json_str(json_get(r, "last_id")), S("old-thinking"));
  CHECK_STR(json_str(json_path(r, "data.0.created_at")), S("2025-08-12T12:00:00Z"));
  strbuf_free(&b);
  arena_free(&a);
  models_unref(m);
}

static void t_shapes(void)
{
  static const char *const good[] = { "{\"data\":[{\"id\":\"a\"}]}", "{\"success\":true,\"data\":{\"data\":[{\"id\":\"a\"}]}}", "{\"models\":[{\"id\":\"a\"}]}" };
  static const char *const bad[] = { "", "{}", "{\"data\":[]}", "{\"data\":[{}]}", "[]", "<html>", "{\"data\":{\"data\":5}}" };
  for(int i = 0; i < 3; i++) {
    struct models *m = models_read(str_z(good[i]));
    CHECK(m && models_count(m) == 1);
    models_unref(m);
  }
  for(int i = 0; i < 7; i++) CHECK(models_read(str_z(bad[i])) == NULL); /* an empty list is never shown */
  struct models *b = models_builtin();
  CHECK(models_count(b) > 0);
  models_unref(b);
}

/* api 5.1, 5.4: who draws when no model is named; api 2.4 for chat_type and endpoints as for suffixes. */
static void t_media_abilities(void)
{
  struct models *m = models_read(str_z(list));
  struct models_pick p = { .model = models_first(m, MODEL_IMAGE) }, unlisted = { .model = NULL };
  struct q_error e = Q_ERROR_NONE;
  CHECK(p.model && str_eq(p.model->id, S("qwen3.7-plus")));
  CHECK_STR(models_first(m, MODEL_VIDEO)->id, S("plain"));
  CHECK(models_first(m, MODEL_VIDEO | MODEL_THINKING) == NULL);
  CHECK_INT(models_need(&p, MODEL_IMAGE, &e), Q_OK);
  CHECK_INT(models_need(&p, 0, &e), Q_OK);
  CHECK_INT(models_need(&unlisted, MODEL_VIDEO, &e), Q_OK);
  CHECK_INT(models_need(&p, MODEL_VIDEO, &e), Q_BAD_VARIANT);
  CHECK_Z(e.msg, "The model 'qwen3.7-plus' has no variant '-video'. It has: -thinking, -search, -thinking-search, -image.");
  CHECK_Z(e.param, "model");
  models_unref(m);
}

T_MAIN(T(t_media_abilities), T(t_picks), T(t_api_6_7_claude), T(t_written_one), T(t_out_of_memory), T(t_written), T(t_shapes))
