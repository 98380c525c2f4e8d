/* The model list: any shape of the upstream's, its variants, and the way from a name to a model. */
#include "proto/models.h"

#include "proto/json.h"
#include "t.h"

static const char list[] =
  "{\"data\":[{\"id\":\"qwen3.7-plus\",\"name\":\"Qwen3.7-Plus\",\"info\":{\"created_at\":1755000000,\"meta\":{\"max_context_length\":\"1000\",\"abilities\":{\"thinking\":1,\"vision\":0},"
  "\"capabilities\":{\"vision\":true},\"chat_type\":[\"t2t\",\"search\",\"t2i\"]}}},"
  "{\"id\":\"qwen3-max\",\"info\":{\"created_at\":5,\"meta\":{\"capabilities\":{\"thinking\":true},\"chat_type\":null}}},"
  "{\"id\":\"qwen4-max\",\"info\":{\"created_at\":9,\"meta\":{\"abilities\":{\"thinking\":true},\"think_skip\":{\"enable\":false}}}},"
  "{\"id\":\"plain\"},{\"id\":\"old-thinking\",\"info\":{\"meta\":{}}},{\"id\":\"off\",\"info\":{\"is_active\":false}},{\"id\":\"off2\",\"info\":{\"is_active\":0}},"
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
  { "", Q_OK, "qwen3-max", 0 }, /* DEFAULT_MODEL */
  { "qwen3-max-search", Q_BAD_VARIANT, "", 0 },
  { "plain-thinking", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plus-image", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plus-video", Q_BAD_VARIANT, "", 0 },
  { "qwen3.7-plux", Q_NO_MODEL, "", 0 },
  { "off", Q_NO_MODEL, "", 0 },
  { "-thinking", Q_NO_MODEL, "", 0 },
};

static void t_picks(void)
{
  static const char *const from[] = { "gpt-4o", "claude-*" }, *const to[] = { "qwen3-max", "qwen3.7-plus-thinking" };
  struct models *m = models_read(str_z(list));
  CHECK(m && models_count(m) == 5);
  for(size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
    struct models_want w = { str_z(picks[i].name), S("qwen3-max"), from, to, 2, true };
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
  models_unref(m);
}

static void t_written(void)
{
  struct models *m = models_read(str_z(list));
  struct strbuf b = STRBUF(1 << 20);
  struct arena a = ARENA(1 << 20);
  models_write(m, false, &b);
  const struct json *r = json_parse(&a, strbuf_str(&b), 10, NULL), *data = json_get(r, "data");
  static const char *const ids[] = { "qwen3.7-plus", "qwen3.7-plus-thinking", "qwen3.7-plus-search", "qwen3.7-plus-thinking-search", "qwen3-max", "qwen3-max-thinking",
                                     "qwen4-max", "qwen4-max-thinking", "plain", "old-thinking" };
  CHECK_INT(data->count, 10);
  for(int i = 0; i < 10; i++) CHECK_STR(json_str(json_get(json_at(data, i), "id")), str_z(ids[i]));
  int64_t v = 0;
  CHECK(json_int(json_path(r, "data.0.context_length"), &v) && v == 1000);
  CHECK(json_true(json_path(r, "data.0.capabilities.vision")));
  CHECK(json_int(json_path(r, "data.8.created"), &v) && v == 1677610602);
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

T_MAIN(T(t_picks), T(t_written), T(t_shapes))
