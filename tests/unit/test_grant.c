/* CLI grants: the PKCE vector, base addresses, when one is due. The flow itself is in tests/e2e/cli.mjs. */
#include "domain/grant.h"

#include "t.h"

static void t_rfc7636(void)
{
  struct strbuf b = STRBUF(100);
  grant_challenge(S("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), &b);
  CHECK_STR(strbuf_str(&b), S("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
  strbuf_free(&b);
}

static void t_base(void)
{
  static const struct { const char *resource, *fallback, *want; } rows[] = {
    { "portal.qwen.ai", "https://other", "https://portal.qwen.ai/v1" }, { "https://portal.qwen.ai/v1", "", "https://portal.qwen.ai/v1" },
    { "https://portal.qwen.ai/v1/", "", "https://portal.qwen.ai/v1" },  { "portal.qwen.ai/", "", "https://portal.qwen.ai/v1" },
    { "", "https://portal.qwen.ai", "https://portal.qwen.ai/v1" },      { "", "http://127.0.0.1:9/x", "http://127.0.0.1:9/x/v1" },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct strbuf b = STRBUF(1000);
    t_row = rows[i].resource;
    grant_base(str_z(rows[i].resource), str_z(rows[i].fallback), &b);
    CHECK_STR(strbuf_str(&b), str_z(rows[i].want));
    strbuf_free(&b);
  }
}

static void t_due(void)
{
  struct secret *s = secret_new(S("x"));
  struct lease l = { .token = NULL };
  CHECK(grant_due(&l, 1000));
  l.token = s;
  CHECK(!grant_due(&l, 1000)); /* no end known */
  l.expires_ms = 1000 + 5 * 60 * 1000;
  CHECK(!grant_due(&l, 1000));
  CHECK(grant_due(&l, 1001)); /* upstream 6.1: under 5 minutes */
  secret_unref(s);
}

T_MAIN(T(t_rfc7636), T(t_base), T(t_due))
