/* Which addresses of results are believed: api 3.9, upstream 3.9 TRAP, D19. */
#include "proto/result_url.h"

#include "t.h"

static const char *const hosts[] = { "cdn.qwenlm.ai", "*.media.example", "Bucket.oss-accelerate.aliyuncs.com" };

static const struct { const char *url; enum q_status st; const char *words; } rows[] = {
  { "https://cdn.qwenlm.ai/output/u/t2i/r1/p1.png?key=eyJ.x-_~%2F&a=b", Q_OK, "" },
  { "https://CDN.QWENLM.AI/a.png", Q_OK, "" }, { "HTTPS://cdn.qwenlm.ai/a.png", Q_OK, "" }, { "https://cdn.qwenlm.ai:443/a.png", Q_OK, "" },
  { "https://a.media.example/x", Q_OK, "" }, { "https://a.b.media.example/x", Q_OK, "" }, { "https://bucket.oss-accelerate.aliyuncs.com/x", Q_OK, "" },
  { "https://media.example/x", Q_MEDIA_FAILED, "media.example" }, { "https://xmedia.example/x", Q_MEDIA_FAILED, "MEDIA_HOSTS" },
  { "https://other.oss-accelerate.aliyuncs.com/x", Q_MEDIA_FAILED, "other.oss-accelerate.aliyuncs.com, which is not listed in MEDIA_HOSTS" },
  { "https://cdn.qwenlm.ai.evil.example/x", Q_MEDIA_FAILED, "cdn.qwenlm.ai.evil.example" },
  { "https://evil.example/cdn.qwenlm.ai/x", Q_MEDIA_FAILED, "evil.example" },
  { "https://cdn.qwenlm.ai@evil.example/x", Q_MEDIA_FAILED, "no acceptable" }, { "https://user@cdn.qwenlm.ai/x", Q_MEDIA_FAILED, "no acceptable" },
  { "http://cdn.qwenlm.ai/a.png", Q_MEDIA_FAILED, "no acceptable" }, { "https://cdn.qwenlm.ai:8443/a.png", Q_MEDIA_FAILED, "no acceptable" },
  { "ftp://cdn.qwenlm.ai/a.png", Q_MEDIA_FAILED, "" }, { "//cdn.qwenlm.ai/a.png", Q_MEDIA_FAILED, "" }, { "", Q_MEDIA_FAILED, "" }, { "https://", Q_MEDIA_FAILED, "" },
  { "javascript:alert(1)//https://cdn.qwenlm.ai/", Q_MEDIA_FAILED, "" },
  { "https://cdn.qwenlm.ai/a.png) [x](https://evil.example", Q_MEDIA_FAILED, "" }, { "https://cdn.qwenlm.ai/a\r\nX: y", Q_MEDIA_FAILED, "" },
  { "https://cdn.qwenlm.ai/a\"b", Q_MEDIA_FAILED, "" }, { "https://cdn.qwenlm.ai/\xc3\xa4", Q_MEDIA_FAILED, "" },
  { "https://cdn.qwenlm.ai/a.png\nhttps://cdn.qwenlm.ai/b.png", Q_MEDIA_FAILED, "" },
  /* the upstream's captcha, on its own host, on a listed one, in any spelling */
  { "https://chat.qwen.ai:443//api/v2/chat/completions/_____tmd_____/punish?x5secdata=abc&action=captcha", Q_UP_CHALLENGE, "captcha" },
  { "https://cdn.qwenlm.ai/_____tmd_____/x.png", Q_UP_CHALLENGE, "" }, { "https://cdn.qwenlm.ai/a?x5secdata=1", Q_UP_CHALLENGE, "" },
  { "https://cdn.qwenlm.ai/PUNISH?a", Q_UP_CHALLENGE, "" }, { "https://cdn.qwenlm.ai/x?action=Captcha", Q_UP_CHALLENGE, "" },
  { "http://evil.example/punish", Q_UP_CHALLENGE, "" },
};

static void t_d19_results_are_believed_only_from_listed_hosts(void)
{
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct q_error e = Q_ERROR_NONE;
    t_row = rows[i].url;
    CHECK_Z(status_row(result_url_check(str_z(rows[i].url), hosts, 3, &e))->name, status_row(rows[i].st)->name);
    CHECK_INT(e.st, rows[i].st);
    CHECK(strstr(e.msg, rows[i].words) != NULL);
    CHECK(!strstr(e.msg, "x5secdata") && !strstr(e.msg, "://"));
    CHECK_INT(result_url_check(str_z(rows[i].url), NULL, 0, &e) == Q_OK, false);
  }
}

static void t_long(void)
{
  char url[3000];
  struct q_error e = Q_ERROR_NONE;
  int n = snprintf(url, sizeof url, "https://cdn.qwenlm.ai/");
  memset(url + n, 'a', sizeof url - (size_t)n);
  CHECK_INT(result_url_check(str_of(url, RESULT_URL_MAX), hosts, 3, &e), Q_OK);
  CHECK_INT(result_url_check(str_of(url, RESULT_URL_MAX + 1), hosts, 3, &e), Q_MEDIA_FAILED);
}

T_MAIN(T(t_d19_results_are_believed_only_from_listed_hosts), T(t_long))
