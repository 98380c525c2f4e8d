#include "proto/result_url.h"

#include "proto/url.h"

bool result_url_host(const char *const *hosts, int n, struct str host)
{
  for(int i = 0; i < n; i++) {
    struct str h = str_z(hosts[i]);
    if(str_starts(h, S("*."))) {
      struct str tail = str_sub(h, 1, h.n); /* with its dot */
      if(host.n > tail.n && str_ieq(str_sub(host, host.n - tail.n, tail.n), tail)) return true;
    } else if(str_ieq(host, h)) {
      return true;
    }
  }
  return false;
}

static bool result_url_challenge(struct str url)
{
  static const char *const marks[] = { "_____tmd_____", "x5secdata", "punish", "captcha" };
  for(size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
    if(str_ifind(url, str_z(marks[i])) >= 0) return true;
  return false;
}

/* It goes into markdown, HTML and header lines: nothing there may end a link or a line. */
static bool result_url_plain(struct str url)
{
  for(size_t i = 0; i < url.n; i++)
    if(url.p[i] <= ' ' || url.p[i] >= 0x7f || strchr("\"'<>()[]\\`{}|^", url.p[i])) return false;
  return url.n > 0 && url.n <= RESULT_URL_MAX;
}

enum q_status result_url_check(struct str url, const char *const *hosts, int n, struct q_error *e)
{
  struct url u;
  if(result_url_challenge(url))
    return status_fail(e, Q_UP_CHALLENGE, NULL, "The upstream answered with a captcha page instead of a result; the operator must solve it in a "
                                                "browser, or use another account or proxy.");
  if(!result_url_plain(url) || !url_split(url, &u) || !str_ieq(u.scheme, S("https")) || u.has_user || u.port != 443)
    return status_fail(e, Q_MEDIA_FAILED, NULL, "The upstream gave a result that is no acceptable https address.");
  if(!result_url_host(hosts, n, u.host))
    return status_fail(e, Q_MEDIA_FAILED, NULL, "The upstream's result lies on %.*s, which is not listed in MEDIA_HOSTS.", STR_F(str_sub(u.host, 0, 200)));
  return Q_OK;
}
