/* The record of a chat: which message, what of its pieces is the answer, which addresses are pictures. */
#include "proto/qwen_detail.h"

#include "t.h"

#define RECORD(message) "{\"success\":true,\"data\":{\"id\":\"c1\",\"chat\":{\"history\":{\"currentId\":\"r2\",\"messages\":{" \
  "\"u1\":{\"id\":\"u1\",\"role\":\"user\",\"content\":\"question\"}," message "}}}}}"
#define ANSWER(id, rest) "\"" id "\":{\"id\":\"" id "\",\"role\":\"assistant\"," rest "}"

struct row { const char *name, *body, *id; bool found; const char *answer, *images; };
static const struct row rows[] = {
  { "pieces of the answer phase, joined", RECORD(ANSWER("r1", "\"content\":\"\",\"content_list\":[{\"phase\":\"think\",\"content\":\"hm\"},"
    "{\"phase\":\"answer\",\"content\":\"2 + \"},{\"phase\":\"web_search\",\"content\":\"x\"},{\"phase\":\"answer\",\"content\":\"2\"}]")), "r1", true, "2 + 2", "" },
  { "no list: the content", RECORD(ANSWER("r1", "\"content\":\"plain\"")), "r1", true, "plain", "" },
  { "without an id the current message", RECORD(ANSWER("r1", "\"content\":\"old\"") "," ANSWER("r2", "\"content\":\"new\"")), "", true, "new", "" },
  { "another id", RECORD(ANSWER("r1", "\"content\":\"old\"")), "r9", false, "", "" },
  { "the question is no answer", RECORD(ANSWER("r1", "\"content\":\"a\"")), "u1", false, "", "" },
  { "a failure", "{\"success\":false,\"data\":{\"code\":\"CHAT_NOT_FOUND\"}}", "r1", false, "", "" },
  { "no JSON", "<html>", "r1", false, "", "" },
  { "a picture as a phase's text", RECORD(ANSWER("r1", "\"content_list\":[{\"phase\":\"image_gen\",\"content\":\"https://cdn.qwenlm.ai/a.png?key=k\"}]")), "r1", true, "",
    "https://cdn.qwenlm.ai/a.png?key=k;" },
  { "a list of pictures, each once", RECORD(ANSWER("r1", "\"content_list\":[{\"phase\":\"image_gen\",\"content\":[{\"image\":\"https://c/a.png\"},"
    "{\"image\":\"https://c/b.png\"},{\"image\":\"https://c/a.png\"}]}]")), "r1", true, "", "https://c/a.png;https://c/b.png;" },
  { "a tool's pictures: the shown list, not the results", RECORD(ANSWER("r1", "\"content_list\":[{\"phase\":\"image_gen_tool\",\"content\":\"\",\"extra\":{"
    "\"image_list\":[{\"image\":\"https://c/a.png\"}],\"tool_result\":[{\"image\":\"https://c/z.png\"}]}}]")), "r1", true, "", "https://c/a.png;" },
  { "a picture's address as the whole content", RECORD(ANSWER("r1", "\"content\":\" https://c/a.png \"")), "r1", true, "", "https://c/a.png;" },
  { "an address of another kind is no picture", RECORD(ANSWER("r1", "\"content_list\":[{\"phase\":\"image_gen\",\"content\":\"javascript:x\"}]")), "r1", true, "", "" },
};

static void t_rows(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct arena a = ARENA(1 << 20);
    struct qwen_detail d;
    struct strbuf urls = STRBUF(1000);
    t_row = rows[i].name;
    CHECK_INT(qwen_detail_read(&a, str_z(rows[i].body), str_z(rows[i].id), &d), rows[i].found);
    if(rows[i].found) {
      CHECK_STR(d.answer, str_z(rows[i].answer));
      for(int k = 0; k < d.image_n; k++) strbuf_adds(&urls, d.images[k]), strbuf_addc(&urls, ';');
      CHECK_STR(strbuf_str(&urls), str_z(rows[i].images));
    }
    strbuf_free(&urls);
    arena_free(&a);
  }
}

/* A body that ends anywhere is no record; nothing is read past its end. */
static void t_cut(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t n = strlen(rows[i].body);
    for(size_t k = 0; k < n; k++) {
      struct arena a = ARENA(1 << 20);
      struct qwen_detail d;
      char *own = malloc(k ? k : 1);
      memcpy(own, rows[i].body, k);
      CHECK(!qwen_detail_read(&a, str_of(own, k), str_z(rows[i].id), &d));
      free(own);
      arena_free(&a);
    }
  }
}

T_MAIN(T(t_rows), T(t_cut))
