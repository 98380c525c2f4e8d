/* Upstream bodies: valid JSON with the members the upstream insists on. */
#include "proto/qwen_req.h"

#include "proto/json.h"
#include "t.h"

static void t_completion(void)
{
  for(int k = 0; k < 8; k++) {
    struct qwen_turn t = { .chat_id = S("c\"1"), .model = S("m"), .prompt_json = S("\"hi\""), .fid = S("f"), .child = S("g"), .search = k & 1,
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

static void t_others(void)
{
  struct strbuf b = STRBUF(10000);
  qwen_req_new_chat(S("m"), "t2t", 1772616278123, &b);
  CHECK(str_find(strbuf_str(&b), S("\"models\":[\"m\"]")) > 0 && str_find(strbuf_str(&b), S("\"timestamp\":1772616278123")) > 0);
  strbuf_clear(&b);
  qwen_req_stop(S("c"), S(""), &b);
  CHECK_STR(strbuf_str(&b), S("{\"chat_id\":\"c\"}"));
  strbuf_clear(&b);
  qwen_req_signin(S("a@b"), S("00"), false, &b);
  CHECK_STR(strbuf_str(&b), S("{\"email\":\"a@b\",\"password\":\"00\"}"));
  strbuf_clear(&b);
  qwen_req_timezone(1772616278, 480, &b);
  CHECK_STR(strbuf_str(&b), S("Wed Mar 04 2026 17:24:38 GMT+0800"));
  strbuf_free(&b);
}

T_MAIN(T(t_completion), T(t_others))
