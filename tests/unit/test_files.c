/* The upstream's words about uploads: tokens in all spellings (upstream 5.1), file objects (5.5), states of parsing (5.6). */
#include "proto/files.h"
#include "t.h"

#define TOKEN "\"access_key_id\":\"STS.X\",\"access_key_secret\":\"s\",\"security_token\":\"CAIS+/==\",\"file_id\":\"f-1\",\"file_path\":\"u/f-1_\xe6\x97\xa5.png\"," \
  "\"file_url\":\"https://b.oss-accelerate.aliyuncs.com/u/f-1.png?x=1\",\"bucketname\":\"b\""

static void t_token(void)
{
  static const struct { const char *body; const char *host; } rows[] = {
    { "{\"success\":true,\"data\":{" TOKEN ",\"region\":\"oss-ap-southeast-1\",\"endpoint\":\"oss-accelerate.aliyuncs.com\"}}", "b.oss-accelerate.aliyuncs.com" },
    { "{" TOKEN ",\"region\":\"oss-ap-southeast-1\",\"endpoint\":\"https://oss-accelerate.aliyuncs.com/\"}", "b.oss-accelerate.aliyuncs.com" },
    { "{" TOKEN ",\"region\":\"ap-southeast-1\",\"endpoint\":\"b.oss-accelerate.aliyuncs.com\"}", "b.oss-accelerate.aliyuncs.com" },
    { "{" TOKEN ",\"region\":\"oss-ap-southeast-1\"}", "b.oss-ap-southeast-1.aliyuncs.com" },
    { "{" TOKEN ",\"region\":\"oss-ap-southeast-1\",\"endpoint\":\"\"}", "b.oss-ap-southeast-1.aliyuncs.com" },
    { "{" TOKEN ",\"region\":\"ap-southeast-1\",\"endpoint\":\"oss-x.aliyuncs.com:8443\"}", NULL },
    { "{" TOKEN ",\"region\":\"ap-southeast-1\",\"endpoint\":\"oss-x.aliyuncs.com/evil\"}", NULL },
    { "{" TOKEN ",\"region\":\"ap-southeast-1\",\"endpoint\":\"u@evil.example\"}", NULL },
    { "{" TOKEN ",\"region\":\"a/b\"}", NULL }, { "{" TOKEN "}", NULL }, { "[]", NULL }, { "nonsense", NULL }, { "{}", NULL },
    { "{" TOKEN ",\"region\":\"r\",\"security_token\":\"a\\r\\nX: y\"}", NULL }, { "{" TOKEN ",\"region\":\"r\",\"bucketname\":\"b/c\"}", NULL },
    { "{" TOKEN ",\"region\":\"r\",\"file_path\":\"a\\nb\"}", NULL }, { "{" TOKEN ",\"region\":\"r\",\"file_path\":\"/a\"}", NULL },
    { "{" TOKEN ",\"region\":\"r\",\"access_key_secret\":7}", NULL }, { "{" TOKEN ",\"region\":\"r\",\"file_id\":\"\"}", NULL },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct files_token t;
    CHECK_INT(files_read_token(&a, str_z(rows[i].body), &t), rows[i].host ? Q_OK : Q_UP_BODY);
    if(rows[i].host) {
      CHECK_Z(t.host, rows[i].host);
      CHECK_STR(t.region, S("ap-southeast-1"));
      CHECK_STR(t.path, S("u/f-1_\xe6\x97\xa5.png"));
      CHECK_STR(t.url, S("https://b.oss-accelerate.aliyuncs.com/u/f-1.png?x=1"));
    }
    arena_free(&a);
  }
}

static void t_ask(void)
{
  struct strbuf b = STRBUF(1000);
  files_ask_token(S("a\"b.png"), 48213, MEDIA_IMAGE, false, true, &b);
  CHECK_STR(strbuf_str(&b), S("{\"filename\":\"a\\\"b.png\",\"filesize\":48213,\"filetype\":\"image\"}"));
  strbuf_clear(&b);
  files_ask_token(S("a.pdf"), 7, MEDIA_DOCUMENT, true, true, &b);
  CHECK_STR(strbuf_str(&b), S("{\"filename\":\"a.pdf\",\"filesize\":\"7\",\"filetype\":\"document\"}"));
  strbuf_free(&b);
}

static void t_write(void)
{
  struct strbuf b = STRBUF(4000);
  struct files_entry f = { .kind = MEDIA_IMAGE, .id = S("i"), .url = S("https://x/y?z"), .name = S("cat.png"), .mime = S("image/png"), .user = S("u"),
                           .size = 48213, .now_ms = 1772616278123, .parsed = true, .item = "I", .task = "T" };
  files_write(&f, &b);
  CHECK_STR(strbuf_str(&b), S("{\"type\":\"image\",\"id\":\"i\",\"url\":\"https://x/y?z\",\"name\":\"cat.png\",\"collection_name\":\"\",\"progress\":0,"
    "\"status\":\"uploaded\",\"is_uploading\":false,\"error\":\"\",\"showType\":\"image\",\"file_class\":\"vision\",\"greenNet\":\"success\",\"size\":48213,"
    "\"file_type\":\"image/png\",\"itemId\":\"I\",\"uploadTaskId\":\"T\",\"file\":{\"created_at\":1772616278123,\"update_at\":1772616278123,\"data\":{},"
    "\"filename\":\"cat.png\",\"hash\":null,\"id\":\"i\",\"user_id\":\"u\",\"meta\":{\"name\":\"cat.png\",\"size\":48213,\"content_type\":\"image/png\"}}}"));
  strbuf_clear(&b);
  f.kind = MEDIA_DOCUMENT;
  files_write(&f, &b);
  CHECK(str_find(strbuf_str(&b), S("{\"type\":\"file\",")) == 0 && str_find(strbuf_str(&b), S("\"showType\":\"file\",\"file_class\":\"document\"")) > 0);
  CHECK(str_find(strbuf_str(&b), S(",\"parse_meta\":{\"parse_status\":\"success\"}}}}")) > 0);
  f.parsed = false;
  strbuf_clear(&b);
  files_write(&f, &b);
  CHECK(str_find(strbuf_str(&b), S("parse_meta")) < 0);
  strbuf_free(&b);
}

static void t_parse_state(void)
{
  static const struct { const char *body; enum files_parse want; } rows[] = {
    { "{\"success\":true,\"data\":[{\"file_id\":\"f\",\"status\":\"running\"}]}", FILES_WAITING },
    { "{\"data\":[{\"file_id\":\"g\",\"status\":\"failed\"},{\"file_id\":\"f\",\"status\":\"PARSED\"}]}", FILES_READY },
    { "{\"data\":[{\"file_id\":\"g\",\"status\":\"failed\"}]}", FILES_UNTOLD }, { "{\"data\":[{\"status\":\"failed\"}]}", FILES_BROKEN },
    { "{\"data\":{\"f\":{\"status\":\"success\"}}}", FILES_READY }, { "{\"data\":{\"f\":\"error\"}}", FILES_BROKEN },
    { "{\"data\":{\"file_id\":\"f\",\"status\":\"done\"}}", FILES_READY }, { "{\"status\":\"finished\"}", FILES_READY },
    { "{\"data\":[{\"file_id\":\"f\"}]}", FILES_UNTOLD }, { "{\"data\":[{\"file_id\":\"f\",\"status\":\"queued for later\"}]}", FILES_WAITING },
    { "{\"data\":[{\"file_id\":\"f\",\"parse_status\":\"completed\"}]}", FILES_READY }, { "", FILES_UNTOLD }, { "[1]", FILES_UNTOLD },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) CHECK_INT(files_parse_state(str_z(rows[i].body), S("f")), rows[i].want);
}

static void t_store(void)
{
  char code[64];
  files_store_code(S("<?xml?><Error>\n <Code>SignatureDoesNotMatch</Code>"), code);
  CHECK_Z(code, "SignatureDoesNotMatch");
  files_store_code(S("<Code>a<b"), code);
  CHECK_Z(code, "a");
  files_store_code(S("<Code>"), code);
  CHECK_Z(code, "");
  files_store_code(S("<html>"), code);
  CHECK_Z(code, "");
  CHECK_STR(files_id_of_url(S("https://h/u/9ab1b6fa-bfbd-4208-ba09-de73b82a408a_cat.png?x=/y")), S("9ab1b6fa-bfbd-4208-ba09-de73b82a408a"));
  CHECK_INT(files_id_of_url(S("https://h/u/9ab1b6fa-bfbd-4208-ba09-de73b82a408acat.png")).n, 0);
  CHECK_INT(files_id_of_url(S("https://h/u/zab1b6fa-bfbd-4208-ba09-de73b82a408a_cat.png")).n, 0);
  CHECK_INT(files_id_of_url(S("")).n, 0);
}

T_MAIN(T(t_token), T(t_ask), T(t_write), T(t_parse_state), T(t_store))
