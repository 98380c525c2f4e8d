/* URLs, paths and .env-like escapes from any bytes. */
#include "base/codec.h"
#include "proto/jwt.h"
#include "proto/models.h"
#include "proto/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
  struct url u;
  struct str in = str_of((const char *)p, n), query;
  struct strbuf b = STRBUF(1 << 20);
  bool anthropic;
  if(url_split(in, &u) && (u.port < 1 || u.port > 65535 || !u.host.n)) __builtin_trap();
  if(url_path(in, &b, &query, &anthropic) == Q_OK && b.n && memmem(b.p, b.n, "//", 2)) __builtin_trap();
  strbuf_free(&b);
  (void)jwt_expires_s(in, NULL);
  struct models *m = models_read(in);
  if(m && models_count(m) == 0) __builtin_trap();
  models_unref(m);
  return 0;
}
