/* What a data.json may be: walked in parts, its members, its accounts, its days; hostile ones are refused where they go wrong. */
#include "domain/import_read.h"

#include "base/now.h"
#include "domain/export.h"
#include "t.h"

static const char whole[] = "{\"accounts\": [ {\"email\":\"a@b.c\",\"x\":[1,{\"y\":\"}]\\\"\"}]}, 3 ,null ],\r\n\t\"settings\":{\"a\":{}}, \"other\" : [[],[]]}";

/* "" of a good text, else what is expected and where. */
static const char *walk(struct str text, char *out, size_t cap)
{
  struct json_parts p = json_parts_of(text, 0, text.n);
  struct json_part one;
  struct json_error e;
  struct q_error words = Q_ERROR_NONE;
  bool bad = false;
  while(!bad && json_parts_next(&p, &one, &e)) {
    struct arena a = ARENA(1 << 20);
    struct json_part key = { .text = one.key, .at = one.key.n ? (size_t)(one.key.p - text.p) : 0 };
    bad = (key.text.n && !import_part(&a, text, &key, &words)) || !import_part(&a, text, &one, &words);
    arena_free(&a);
  }
  if(!bad && e.expected) import_not_json(&e, &words);
  str_copy(out, cap, str_z(words.st ? words.msg : ""));
  return out;
}

static void t_walk(void)
{
  static const struct { const char *text, *says; } rows[] = {
    { "[]", "" }, { " \n{ } ", "" }, { "\xef\xbb\xbf[1]", "" }, { whole, "" }, { "[[[[\"]\"]]]]", "" }, { "{\"a\":\"\\\\\"}", "" },
    { "", "'{' or '[' at line 1, column 1" }, { "7", "'{' or '['" }, { "\"a\"", "'{' or '['" }, { "[", "line 1, column 2" }, { "[1", "',' or ']' at line 1, column 3" },
    { "[1,", "line 1, column 4" }, { "[1,]", "a value at line 1, column 4" }, { "[,1]", "a value at line 1, column 2" }, { "[1 2]", "line 1, column 4" },
    { "{\n\"a\"}", "':' at line 2, column 4" }, { "{a:1}", "a name in quotes at line 1, column 2" }, { "{\"a\":1,}", "a name in quotes at line 1, column 8" },
    { "{\"a\":}", "a value at line 1, column 6" }, { "{\"a\":1}\n}", "the end of the text at line 2, column 1" }, { "[1]x", "the end of the text at line 1, column 4" },
    { "[{]}", "line 1, column 3" }, { "[[1}, 2]", "line 1, column 4" }, { "[\"a]", "line 1, column 5" }, { "[\xef\xbb\xbf" "1]", "a value at line 1, column 2" },
    { "[01]", "line 1, column 3" }, { "[\"\x01\"]", "line 1, column 3" }, { "[\n\n  {\"a\":tru}]", "line 3, column 8" }, { "{\"\\x\":1}", "line 1, column 4" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char got[512];
    t_row = rows[i].text;
    walk(str_z(rows[i].text), got, sizeof got);
    CHECK(rows[i].says[0] ? strstr(got, rows[i].says) != NULL : !got[0]);
    if(rows[i].says[0] && !strstr(got, rows[i].says)) printf("  %s\n", got);
  }
}

/* Cut anywhere, and with any one byte changed, the walk says what a reader of the whole says. */
static void t_walk_cut(void)
{
  static const char bytes[] = "{}[]\",:\\ 0a\n\x80";
  size_t n = sizeof whole - 1;
  for(size_t cut = 0; cut <= n; cut++)
    for(size_t b = 0; b < sizeof bytes; b++) {
      char copy[sizeof whole], got[512];
      struct arena a = ARENA(1 << 20);
      memcpy(copy, whole, sizeof whole);
      if(b && cut < n) copy[cut] = bytes[b - 1];
      struct str text = str_of(copy, b ? n : cut);
      const struct json *tree = json_parse(&a, text, 30, NULL);
      walk(text, got, sizeof got);
      t_row = copy;
      CHECK(!got[0] == (tree && tree->type >= JSON_ARRAY));
      arena_free(&a);
    }
}

static enum q_status file_of(struct str text, struct import_file *f, struct q_error *e)
{
  *e = Q_ERROR_NONE;
  enum q_status st = import_file_read(f, text, e);
  strbuf_free(&f->other);
  return st;
}

static void t_file(void)
{
  struct import_file f;
  struct q_error e = Q_ERROR_NONE;
  struct str text = S("{\"accounts\":[1],\"a\\u0063counts\":[2],\"defaultHeaders\":{\"a\":\"b\"},\"defaultCookie\":\"c\",\"version\" : [1, 2],\"x\":\"\\u00e9\"}");
  CHECK_INT(import_file_read(&f, text, &e), Q_OK);
  CHECK_STR(f.accounts.text, S("[2]")); /* of equal names the last, however they are written */
  CHECK_STR(f.headers.text, S("{\"a\":\"b\"}"));
  CHECK_STR(f.cookie.text, S("\"c\""));
  CHECK_STR(strbuf_str(&f.other), S("\"version\":[1,2],\"x\":\"\xc3\xa9\""));
  strbuf_free(&f.other);
  CHECK_INT(file_of(S("[{}]"), &f, &e), Q_OK);
  CHECK_STR(f.accounts.text, S("[{}]"));
  CHECK_INT(file_of(S("{\"accounts\":null}"), &f, &e), Q_OK);
  CHECK_INT(file_of(S("{\"accounts\":\"x\"}"), &f, &e), Q_BAD_IMPORT);
  CHECK(strstr(e.msg, "line 1, column 13") != NULL);
  CHECK_INT(file_of(S("{\"settings\":[]}"), &f, &e), Q_BAD_IMPORT);
  CHECK_INT(file_of(S("{\"other\":01}"), &f, &e), Q_BAD_IMPORT);
  CHECK_INT(file_of(S("\"text\""), &f, &e), Q_BAD_IMPORT);
  struct strbuf deep = STRBUF(4 << 20), wide = STRBUF(8 << 20);
  strbuf_lit(&deep, "{\"x\":");
  for(int i = 0; i < 1000000; i++) strbuf_addc(&deep, '[');
  CHECK_INT(file_of(strbuf_str(&deep), &f, &e), Q_BAD_IMPORT);
  strbuf_lit(&wide, "{\"x\":[");
  for(int i = 0; i < 1000000; i++) strbuf_lit(&wide, "1,");
  strbuf_lit(&wide, "1]}");
  CHECK_INT(file_of(strbuf_str(&wide), &f, &e), Q_BAD_IMPORT); /* more than is kept, and told as that */
  CHECK(strstr(e.msg, "than can be kept") || strstr(e.msg, "too many values"));
  strbuf_free(&deep);
  strbuf_free(&wide);
}

static void t_accounts(void)
{
  static const struct { const char *json; enum q_status st; } rows[] = {
    { "{\"email\":\"a@b.c\",\"password\":\"p\"}", Q_OK }, { "{\"email\":\"a@b.c\",\"token\":\"t\",\"password\":\"\",\"proxy\":null,\"stats\":7,\"statsHistory\":[]}", Q_OK },
    { "{\"email\":\"a@b.c\",\"password\":\"p\",\"expires\":\"never\"}", Q_OK }, { "{\"email\":\"a@b.c\",\"password\":\"p\",\"expires\":1e300,\"createdAt\":-1}", Q_OK },
    { "{\"kind\":\"api\",\"name\":\"n\",\"apiKey\":\"k\",\"baseUrl\":\"https://h/\"}", Q_OK }, { "{\"email\":\"a@b.c\",\"password\":\"p\",\"email\":\"d@e.f\"}", Q_OK },
    { "{}", Q_MISSING }, { "[]", Q_BAD_TYPE }, { "7", Q_BAD_TYPE }, { "null", Q_BAD_TYPE }, { "{\"email\":\"a@b.c\"}", Q_MISSING }, { "{\"password\":\"p\"}", Q_MISSING },
    { "{\"email\":5,\"password\":\"p\"}", Q_BAD_TYPE }, { "{\"email\":\"a@b.c\",\"password\":{}}", Q_BAD_TYPE }, { "{\"email\":\"none\",\"password\":\"p\"}", Q_BAD_VALUE },
    { "{\"email\":\"a@b.c\\n\",\"password\":\"p\",\"proxy\":\"ftp://x\"}", Q_BAD_VALUE }, { "{\"email\":\"a@b.c\",\"token\":\"t\\r\\nX: y\"}", Q_BAD_VALUE },
    { "{\"email\":\"a@b.c\",\"password\":\"p\",\"kind\":\"root\"}", Q_BAD_VALUE }, { "{\"email\":\"a@b.c\",\"password\":\"p\",\"headers\":{\"Host\":\"x\"}}", Q_BAD_VALUE },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct import_item item = { .line = 1 };
    struct q_error e = Q_ERROR_NONE;
    t_row = rows[i].json;
    CHECK_INT(import_item_read(&item, json_parse(&a, str_z(rows[i].json), 20, NULL), 1000, &e), rows[i].st);
    import_item_free(&item);
    arena_free(&a);
  }
}

static void t_account_members(void)
{
  struct arena a = ARENA(1 << 20);
  struct import_item item = { .line = 1 };
  struct q_error e = Q_ERROR_NONE;
  const struct json *n = json_parse(&a, S("{\"email\":\"a@b.c\",\"password\":\"p:w\",\"token\":\"t\",\"expired\":4102444800,\"createdAt\":1700000000,\"refreshToken\":\"r\","
    "\"exchange\":true,\"enabled\":false,\"nick\":[1,\"\\u0000\"],\"x\":null}"), 20, NULL);
  CHECK_INT(import_item_read(&item, n, 5, &e), Q_OK);
  CHECK_INT(item.account->expires_ms, 4102444800000);
  CHECK_INT(item.account->created_ms, 1700000000000);
  CHECK_STR(secret_str(item.account->password), S("p:w"));
  CHECK_STR(secret_str(item.account->refresh), S("r"));
  CHECK(item.account->exchange && item.account->whole == ACCOUNT_DISABLED);
  CHECK_STR(secret_str(item.other), S("\"nick\":[1,\"\\u0000\"],\"x\":null"));
  import_item_free(&item);
  arena_free(&a);
}

static void t_days(void)
{
  struct arena a = ARENA(1 << 20);
  struct stats_past v[STATS_DAYS];
  const struct json *n = json_parse(&a, S("{\"2025-11-24\":{\"chat\":{\"input\":3,\"output\":\"4\"},\"cli\":{\"calls\":5}},\"2025-11-25\":{\"chat\":{\"input\":1}},"
    "\"2025-08-27\":{\"chat\":{\"input\":6}},\"2025-08-26\":{\"chat\":{\"input\":7}},\"2025-11-24x\":{},\"2025-13-01\":{},\"2025-11-23\":7,"
    "\"2025-11-22\":{\"chat\":{\"input\":-1,\"output\":1e99}},\"2025-11-24\":{\"chat\":{\"input\":8}}}"), 20, NULL);
  const struct json *stats = json_parse(&a, S("{\"date\":\"2025-11-24\",\"chat\":{\"input\":99}}"), 20, NULL);
  int count = import_days(v, "0123456789abcdef", stats, n, 20251124);
  CHECK_INT(count, 4); /* 24, 08-27 (the 90th), 23 and 22 without numbers */
  CHECK_INT(v[0].day, 20251124);
  CHECK_INT(v[0].chat_in, 8);
  CHECK_INT(v[0].cli_calls, 0);
  CHECK_INT(v[1].day, 20250827);
  CHECK_INT(v[1].chat_in, 6);
  CHECK_INT(v[3].chat_in + v[3].chat_out, 0);
  CHECK_INT(import_days(v, "0123456789abcdef", NULL, json_parse(&a, S("[1]"), 20, NULL), 20251124), 0);
  CHECK_INT(import_day(S("2025-1-24")), 0);
  CHECK_INT(import_day(S("+025-11-24")), 0);
  arena_free(&a);
}

/* An import that is repeated adds nothing twice, and what was counted here meanwhile stays. */
static void t_history_once(void)
{
  struct store *store = store_mem_new();
  struct stats *s = stats_new();
  int64_t now = now_wall_ms(&now_real);
  int today = now_local_day(now);
  struct stats_turn turn = { .endpoint = "/v1/chat/completions", .code = "", .request_id = "r", .status = 200, .in = 10, .out = 20, .account = "0123456789abcdef" };
  for(int round = 0; round < 3; round++) {
    struct stats_past v[3] = { { .day = today, .account = "0123456789abcdef", .chat_in = 100, .chat_out = 50, .cli_calls = 2, .cli_in = 7 },
                               { .day = today, .account = "0123456789abcdef", .chat_in = 40, .cli_in = 3 }, /* the file names the account twice */
                               { .day = stats_day_before(today, 3), .account = "0123456789abcdef", .chat_in = 1000 } };
    CHECK_INT(stats_past_add(s, store, v, 3, now), Q_OK);
    if(!round) stats_note(s, &turn, now);
  }
  struct stats_past known[2] = { { .day = today, .account = "0123456789abcdef", .chat_in = 1000, .chat_out = 1000, .chat_calls = 1000, .cli_calls = 1000, .cli_in = 1000 },
                                 { .day = stats_day_before(today, 3), .account = "0123456789abcdef", .chat_in = 1001 } };
  CHECK_INT(stats_past_add(s, store, known, 2, now), Q_OK); /* what is left is what was not known: 1000 less the sums */
  CHECK_INT(known[0].chat_in, 1);
  CHECK_INT(known[1].chat_in, 1000 - 110);
  CHECK_INT(known[1].chat_out, 1000 - 70);
  CHECK_INT(known[1].chat_calls, 1000 - 1);
  CHECK_INT(known[1].cli_calls, 1000 - 2);
  CHECK_INT(known[1].cli_in, 1000 - 7);
  stats_destroy(s);
  store_close(store);
}

static void t_cells(void)
{
  static const struct { const char *text, *cell; } rows[] = {
    { "", "\"\"" }, { "plain", "\"plain\"" }, { "a\"b,c\nd", "\"a\"\"b,c\nd\"" }, { "=1+1", "\"'=1+1\"" }, { "+1", "\"'+1\"" }, { "-1", "\"'-1\"" }, { "@SUM(1)", "\"'@SUM(1)\"" },
    { "\t=1", "\"'\t=1\"" }, { "\r=1", "\"'\r=1\"" }, { " =1", "\"' =1\"" }, { "\xef\xbc\x9d" "1", "\"'\xef\xbc\x9d" "1\"" }, { "a=1", "\"a=1\"" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(1000);
    t_row = rows[i].text;
    export_cell(str_z(rows[i].text), &b);
    CHECK_STR(strbuf_str(&b), str_z(rows[i].cell));
    strbuf_free(&b);
  }
}

T_MAIN(T(t_walk), T(t_walk_cut), T(t_file), T(t_accounts), T(t_account_members), T(t_days), T(t_history_once), T(t_cells))
