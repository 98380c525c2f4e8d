#include "domain/keys_limits.h"

#include "base/mem.h"

static const char *const keys_limits_names[KEYS_LIMITS] = {
  "rpm", "tpm", "maxInflight", "dailyRequests", "dailyTokens", "monthlyTokens", "totalTokens", "dailyMedia"
};
static const int64_t keys_limits_most = 1000000000000000, keys_limits_seconds = 100000000000; /* above: milliseconds, surely */

void keys_limits_none(struct keys_limits *l)
{
  *l = (struct keys_limits){ .models = NULL };
  for(int i = 0; i < KEYS_LIMITS; i++) l->v[i] = KEYS_NO_LIMIT;
}

void keys_limits_free(struct keys_limits *l)
{
  mem_free(l->models);
  l->models = NULL;
}

enum q_status keys_limits_copy(struct keys_limits *to, const struct keys_limits *from)
{
  *to = *from;
  if(from->models) to->models = mem_strndup(from->models, strlen(from->models));
  return from->models && !to->models ? Q_NOMEM : Q_OK;
}

static int keys_limits_find(struct str name)
{
  for(int i = 0; i < KEYS_LIMITS; i++)
    if(str_eq(name, str_z(keys_limits_names[i]))) return i;
  return -1;
}

bool keys_limits_has(struct str name)
{
  return str_eq(name, S("expiresAt")) || str_eq(name, S("models")) || keys_limits_find(name) >= 0;
}

static bool keys_limits_pattern(struct str s)
{
  if(!s.n || s.n > KEYS_MODEL_NAME) return false;
  for(size_t i = 0; i < s.n; i++)
    if((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f) return false;
  return true;
}

static enum q_status keys_limits_models(struct keys_limits *l, const struct json *v, struct q_error *e)
{
  struct strbuf all = STRBUF(KEYS_MODELS_MAX * (KEYS_MODEL_NAME + 1) + 1);
  enum q_status st = Q_OK;
  if(!json_absent(v) && !json_is(v, JSON_ARRAY)) return status_fail(e, Q_BAD_TYPE, "models", "'models' must be an array of names, or null.");
  if(json_is(v, JSON_ARRAY) && v->count > KEYS_MODELS_MAX)
    return status_fail(e, Q_BAD_VALUE, "models", "'models' holds at most %d names.", KEYS_MODELS_MAX);
  for json_each(m, v) {
    struct str s = str_trim(json_str(m));
    if(!json_is(m, JSON_STRING)) st = status_fail(e, Q_BAD_TYPE, "models", "'models' must hold names of models.");
    else if(!keys_limits_pattern(s))
      st = status_fail(e, Q_BAD_VALUE, "models", "Each of 'models' is a name of 1 to %d characters without blanks; '*' stands for any text.", KEYS_MODEL_NAME);
    if(st) break;
    strbuf_adds(&all, s);
    strbuf_addc(&all, '\n');
  }
  char *models = !st && all.n ? mem_strndup(all.p, all.n) : NULL;
  if(!st && (all.err || (all.n && !models))) st = status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  strbuf_free(&all);
  if(st) return st;
  mem_free(l->models);
  l->models = models;
  return Q_OK;
}

enum q_status keys_limits_read(struct keys_limits *l, const struct json *member, struct q_error *e)
{
  char name[32];
  int64_t n = 0;
  str_copy(name, sizeof name, member->key);
  if(str_eq(member->key, S("models"))) return keys_limits_models(l, member, e);
  bool end = str_eq(member->key, S("expiresAt"));
  int i = keys_limits_find(member->key);
  bool none = json_absent(member);
  if(!end && i < 0) return status_fail(e, Q_UNSUPPORTED, name, "'%s' is no limit of a key.", name);
  if(!none && !json_int(member, &n)) return status_fail(e, Q_BAD_TYPE, name, "'%s' must be a whole number%s, or null.", name, end ? " of Unix seconds" : "");
  if(end && !none && (n <= 0 || n >= keys_limits_seconds))
    return status_fail(e, Q_BAD_VALUE, name, "'expiresAt' must be a time in Unix seconds, or null for never.");
  if(!end && (n < 0 || n > keys_limits_most)) return status_fail(e, Q_BAD_VALUE, name, "'%s' must be 0 or more, or null for no limit.", name);
  if(end) l->expires_s = none ? 0 : n;
  else l->v[i] = none ? KEYS_NO_LIMIT : n;
  return Q_OK;
}

static void keys_limits_number(struct strbuf *b, int64_t n, bool there)
{
  if(there) strbuf_int(b, n);
  else strbuf_lit(b, "null");
}

void keys_limits_write(const struct keys_limits *l, struct strbuf *b)
{
  struct str rest = str_z(l->models);
  strbuf_lit(b, "{\"expiresAt\":");
  keys_limits_number(b, l->expires_s, l->expires_s != 0);
  strbuf_addz(b, rest.n ? ",\"models\":[" : ",\"models\":null");
  for(bool first = true; rest.n; first = false) {
    if(!first) strbuf_addc(b, ',');
    strbuf_json(b, str_cut(&rest, '\n'));
    if(!rest.n) strbuf_addc(b, ']');
  }
  for(int i = 0; i < KEYS_LIMITS; i++) {
    strbuf_fmt(b, ",\"%s\":", keys_limits_names[i]);
    keys_limits_number(b, l->v[i], l->v[i] != KEYS_NO_LIMIT);
  }
  strbuf_addc(b, '}');
}

static char keys_limits_fold(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Goes back to the last '*' only: that is enough, and takes no more than the product of both lengths. */
static bool keys_limits_like(struct str pattern, struct str name)
{
  size_t p = 0, i = 0, star = SIZE_MAX, from = 0;
  while(i < name.n) {
    if(p < pattern.n && pattern.p[p] == '*') {
      star = p++;
      from = i;
    } else if(p < pattern.n && keys_limits_fold(pattern.p[p]) == keys_limits_fold(name.p[i])) {
      p++;
      i++;
    } else if(star != SIZE_MAX) {
      p = star + 1;
      i = ++from;
    } else {
      return false;
    }
  }
  while(p < pattern.n && pattern.p[p] == '*') p++;
  return p == pattern.n;
}

bool keys_limits_allow(const struct keys_limits *l, struct str asked, struct str resolved)
{
  struct str rest = str_z(l->models);
  if(!l->models) return true;
  if(asked.n > KEYS_MODEL_NAME) asked = STR_NONE; /* as long as a client likes: it would cost as much */
  while(rest.n) {
    struct str pattern = str_cut(&rest, '\n');
    if((asked.n && keys_limits_like(pattern, asked)) || (resolved.n && keys_limits_like(pattern, resolved))) return true;
  }
  return false;
}
