#include "proto/jwt.h"

#include "base/codec.h"
#include "proto/json.h"

enum { JWT_MAX = 16 * 1024 };

/* The claims, on the arena; NULL if the token cannot be read. */
static const struct json *jwt_claims(struct str token, struct arena *a, struct strbuf *text)
{
  (void)str_cut(&token, '.');
  struct str middle = str_cut(&token, '.');
  if(!middle.n || !token.n || middle.n >= JWT_MAX || !codec_unbase64(middle, text)) return NULL;
  return json_parse(a, strbuf_str(text), 16, NULL);
}

int64_t jwt_expires_s(struct str token, bool *access)
{
  struct strbuf text = STRBUF(JWT_MAX);
  struct arena a = ARENA(8 * JWT_MAX);
  int64_t exp = 0;
  double d = 0;
  const struct json *claims = jwt_claims(token, &a, &text);
  if(json_number(json_get(claims, "exp"), &d) && d > 0 && d < 1e12) exp = (int64_t)d;
  if(access) *access = str_eq(json_str(json_get(claims, "type")), S("access_token"));
  arena_free(&a);
  strbuf_free(&text);
  return exp;
}

void jwt_user(struct str token, char *out, size_t cap)
{
  struct strbuf text = STRBUF(JWT_MAX);
  struct arena a = ARENA(8 * JWT_MAX);
  str_copy(out, cap, json_str(json_get(jwt_claims(token, &a, &text), "id")));
  arena_free(&a);
  strbuf_free(&text);
}
