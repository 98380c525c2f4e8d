/* Upstream bodies: valid JSON with the members the upstream insists on. */
#include "proto/qwen_req.h"

#include "proto/json.h"
#include "t.h"

static void t_completion(void)
{
  for(int k = 0; k < 8; k++) {
    struct qwen_turn t = { .chat_id = S("c\"1"), .model = S("m"), .prompt_json = S("\"hi\""), .fid = S("f"), .child = S("g"), .kind = k & 1 ? CHAT_SEARCH : CHAT_T2T, .stream = true,
                           .think = k & 2 ? QWEN_THINK_ON : QWEN_THINK_OFF, .think_budget = 500, .plain = k & 4, .wall_s = 1772616278 };
    struct strbuf b = STRBUF(10000);
    struct arena a = ARENA(1 << 20);
    double d = 0;
    qwen_req_completion(&t, &b);
    const struct json *r = json_parse(&a, strbuf_str(&b), 20, NULL), *m = json_path(r, "messages.0"), *f = json_get(m, "feature_config");
    CHECK(r && json_get(r, "messages")->count == 1);
    CHECK_STR(json_str(json_get(r, "chat_id")), S("c\"1"));
    CHECK_STR(json_str(json_get(m, "role")), S("user"));
    CHECK_STR(json_str(json_get(m, "content")), S("hi"));
    CHECK_STR(json_str(json_get(f, "output_schema")), S("phase"));
    CHECK(json_true(json_get(r, "stream")) && json_number(json_get(r, "timestamp"), &d) && d < 1e11);
    CHECK_STR(json_str(json_get(m, "chat_type")), k & 1 ? S("search") : S("t2t"));
    CHECK_INT(json_true(json_get(f, "auto_search")), k & 1);
    CHECK_INT(json_true(json_get(f, "thinking_enabled")), (k & 2) != 0);
    CHECK_INT(json_get(f, "thinking_mode") != NULL, !(k & 4)); /* the doubtful members */
    CHECK_INT(json_get(f, "thinking_budget") != NULL, (k & 2) && !(k & 4));
    strbuf_free(&b);
    arena_free(&a);
  }
}

/* Every combination is one JSON value with each member once; texts of any bytes stay inside their quotes. */
static void t_hostile_and_combined(void)
{
  for(int k = 0; k < 3 * 16; k++) {
    struct qwen_turn t = { .chat_id = S("c\"\\\n\xff"), .model = S("m\"}"), .prompt_json = S("\"x\\n\\\"\""), .fid = S("f"), .child = S("g"), .kind = k & 1 ? CHAT_SEARCH : CHAT_T2T, .stream = true, .summary = k & 2,
                           .plain = k & 4, .think_budget = k & 8 ? 1000 : 0, .think = (enum qwen_think)(k / 16), .wall_s = 1 };
    static const char *const modes[] = { "Fast", "Thinking", "Auto" };
    struct strbuf b = STRBUF(10000);
    struct arena a = ARENA(1 << 20);
    int64_t v = 0;
    qwen_req_completion(&t, &b);
    const struct json *r = json_parse(&a, strbuf_str(&b), 20, NULL), *m = json_path(r, "messages.0"), *f = json_get(m, "feature_config");
    CHECK_STR(json_str(json_get(r, "chat_id")), S("c\"\\\n\xef\xbf\xbd"));
    CHECK_STR(json_str(json_get(r, "model")), S("m\"}"));
    CHECK_STR(json_str(json_path(m, "models.0")), S("m\"}"));
    CHECK_STR(json_str(json_get(m, "content")), S("x\n\""));
    CHECK_STR(json_str(json_get(m, "fid")), S("f"));
    CHECK_STR(json_str(json_path(m, "childrenIds.0")), S("g"));
    CHECK_STR(json_str(json_path(m, "extra.meta.subChatType")), k & 1 ? S("search") : S("t2t"));
    CHECK_STR(json_str(json_get(f, "thinking_format")), k & 2 ? S("summary") : S("detail"));
    CHECK_INT(json_true(json_get(f, "auto_thinking")), k / 16 == 2);
    if(!(k & 4)) CHECK_STR(json_str(json_get(f, "thinking_mode")), str_z(modes[k / 16]));
    CHECK_INT(json_int(json_get(f, "thinking_budget"), &v), (k & 8) && !(k & 4) && k / 16);
    CHECK(json_true(json_get(r, "incremental_output")) && json_is(json_get(r, "parent_id"), JSON_NULL));
    const struct json *objects[] = { r, m, f };
    for(int i = 0; i < 3; i++)
      for json_each(x, objects[i])
        for(const struct json *y = x->next; y; y = y->next) CHECK(!str_eq(x->key, y->key));
    strbuf_free(&b);
    arena_free(&a);
  }
}

/* upstream 4.1 to 4.3: the types stand in all three places, the size at the top, a video is not streamed. */
static void t_pictures_and_videos(void)
{
  static const struct { enum chat_kind kind; const char *type; bool streamed; } kinds[] = {
    { CHAT_UNSET, "t2t", true }, { CHAT_T2T, "t2t", true }, { CHAT_SEARCH, "search", true },
    { CHAT_T2I, "t2i", true }, { CHAT_IMAGE_EDIT, "image_edit", true }, { CHAT_T2V, "t2v", false },
  };
  for(size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    for(int sized = 0; sized < 2; sized++) {
      struct qwen_turn t = { .chat_id = S("c"), .model = S("m"), .prompt_json = S("\"p\""), .fid = S("f"), .child = S("g"), .kind = kinds[i].kind, .stream = kinds[i].streamed,
                             .size = sized ? "9:16" : NULL, .files_json = sized ? S("[{\"id\":\"x\"}]") : STR_NONE, .wall_s = 1 };
      struct strbuf b = STRBUF(10000);
      struct arena a = ARENA(1 << 20);
      t_row = kinds[i].type;
      qwen_req_completion(&t, &b);
      const struct json *r = json_parse(&a, strbuf_str(&b), 20, NULL), *m = json_path(r, "messages.0");
      CHECK_STR(json_str(json_get(m, "chat_type")), str_z(kinds[i].type));
      CHECK_STR(json_str(json_get(m, "sub_chat_type")), str_z(kinds[i].type));
      CHECK_STR(json_str(json_path(m, "extra.meta.subChatType")), str_z(kinds[i].type));
      CHECK_INT(json_true(json_get(r, "stream")), kinds[i].streamed);
      CHECK_STR(json_str(json_get(r, "size")), sized ? S("9:16") : STR_NONE);
      CHECK_INT(json_get(m, "files")->count, sized);
      strbuf_free(&b);
      arena_free(&a);
    }
}

static void t_timezones(void)
{
  static const struct { int64_t at; int east; const char *text; } rows[] = {
    { 0, 0, "Thu Jan 01 1970 00:00:00 GMT+0000" }, { 0, -1, "Wed Dec 31 1969 23:59:00 GMT-0001" }, { 1709164800, 0, "Thu Feb 29 2024 00:00:00 GMT+0000" },
    { 1709251199, 60, "Fri Mar 01 2024 00:59:59 GMT+0100" }, { 1767225600, -210, "Wed Dec 31 2025 20:30:00 GMT-0330" }, { 4102444799, 345, "Fri Jan 01 2100 05:44:59 GMT+0545" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(100);
    t_row = rows[i].text;
    qwen_req_timezone(rows[i].at, rows[i].east, &b);
    CHECK_STR(strbuf_str(&b), str_z(rows[i].text));
    strbuf_free(&b);
  }
}

static void t_others(void)
{
  struct strbuf b = STRBUF(10000);
  qwen_req_new_chat(S("m"), "t2t", 1772616278123, &b);
  CHECK(str_find(strbuf_str(&b), S("\"models\":[\"m\"]")) > 0 && str_find(strbuf_str(&b), S("\"timestamp\":1772616278123")) > 0);
  strbuf_clear(&b);
  qwen_req_stop(S("c"), S(""), &b);
  CHECK_STR(strbuf_str(&b), S("{\"chat_id\":\"c\"}"));
  strbuf_clear(&b);
  qwen_req_stop(S("c\""), S("r"), &b);
  CHECK_STR(strbuf_str(&b), S("{\"chat_id\":\"c\\\"\",\"response_id\":\"r\"}"));
  strbuf_clear(&b);
  qwen_req_signin(S("a\"@b"), S("00"), true, &b);
  CHECK_STR(strbuf_str(&b), S("{\"email\":\"a\\\"@b\",\"password\":\"00\",\"login_type\":\"email\"}"));
  strbuf_clear(&b);
  qwen_req_signin(S("a@b"), S("00"), false, &b);
  CHECK_STR(strbuf_str(&b), S("{\"email\":\"a@b\",\"password\":\"00\"}"));
  strbuf_clear(&b);
  qwen_req_timezone(1772616278, 480, &b);
  CHECK_STR(strbuf_str(&b), S("Wed Mar 04 2026 17:24:38 GMT+0800"));
  strbuf_free(&b);
}

T_MAIN(T(t_pictures_and_videos), T(t_completion), T(t_hostile_and_combined), T(t_timezones), T(t_others))
