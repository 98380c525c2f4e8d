#include "proto/trouble.h"

enum { TROUBLE_BODY_MAX = 8 * 1024, TROUBLE_WAIT_MAX_S = 14 * 86400 };

/* Codes without case, '_' and '-'. Order does not matter: the first equal one counts. */
static const struct { const char *code; enum q_status st; } trouble_codes[] = {
  { "unauthorized", Q_UP_AUTH },          { "sessionexpired", Q_UP_AUTH },      { "sessioninvalid", Q_UP_AUTH },
  { "needlogin", Q_UP_AUTH },             { "tokenexpired", Q_UP_AUTH },        { "forbidden", Q_UP_BARRED },
  { "ratelimited", Q_UP_BUSY },           { "toomanyrequests", Q_UP_BUSY },     { "parallellimited", Q_UP_PARALLEL },
  { "quotalimited", Q_UP_MODEL_QUOTA },   { "exceedlimit", Q_UP_MODEL_QUOTA },  { "quotaexhausted", Q_UP_MODEL_QUOTA },
  { "insufficientquota", Q_UP_MODEL_QUOTA }, { "chatnotfound", Q_UP_CHAT_GONE }, { "parentnotfound", Q_UP_CHAT_GONE },
  { "requestvalidationerror", Q_UP_BODY }, { "modelnotfound", Q_NO_MODEL },     { "contentfilter", Q_FILTER },
  { "datainspectionfailed", Q_FILTER },   { "internalerror", Q_UP_ERROR },      { "internalservererror", Q_UP_ERROR },
  { "contextlengthexceeded", Q_TOO_LONG }, { "inputtoolong", Q_TOO_LONG },
};

/* Lowercase words of the details. `only` limits a row to one status found by code (Q_OK: any). */
static const struct { const char *words; enum q_status only, st; } trouble_words[] = {
  { "daily usage limit", Q_OK, Q_UP_QUOTA },
  { "upper limit for today", Q_OK, Q_UP_QUOTA },
  { "content security warning", Q_OK, Q_FILTER },
  { "inappropriate content", Q_OK, Q_FILTER },
  { "data_inspection_failed", Q_OK, Q_FILTER },
  { "the chat is in progress", Q_OK, Q_UP_IN_PROGRESS },
  { "too many messages", Q_OK, Q_UP_BODY },
  { "field required", Q_OK, Q_UP_BODY },
  { "model not found", Q_OK, Q_NO_MODEL },
  { "chat not found", Q_OK, Q_UP_CHAT_GONE },
  { "is not exist", Q_OK, Q_UP_CHAT_GONE },
  { "allocated quota exceeded", Q_OK, Q_UP_MODEL_QUOTA },
  { "token has expired", Q_OK, Q_UP_AUTH },
  { "please log in again", Q_OK, Q_UP_AUTH },
  { "password provided is incorrect", Q_OK, Q_UP_AUTH },
  { "input length", Q_UP_ERROR, Q_TOO_LONG },
  { "max_context", Q_UP_ERROR, Q_TOO_LONG },
  { "context length", Q_UP_ERROR, Q_TOO_LONG },
};

static const char *const trouble_marks[] = { /* of a bot check */
  "aliyun_waf", "_____tmd_____", "x5secdata", "RGV587", "FAIL_SYS_USER_VALIDATE", "punish?", "captcha", "baxia",
};

static bool trouble_challenge(struct str body)
{
  body = str_sub(body, 0, TROUBLE_BODY_MAX);
  for(size_t i = 0; i < sizeof trouble_marks / sizeof trouble_marks[0]; i++)
    if(str_ifind(body, str_z(trouble_marks[i])) >= 0) return true;
  return false;
}

/* The upstream's words for people: no tags, no control characters, one line. */
static void trouble_say(struct trouble *t, struct str s)
{
  char text[304];
  size_t n = 0;
  bool tag = false;
  for(size_t i = 0; i < s.n && n < sizeof text - 1; i++) {
    unsigned char c = (unsigned char)s.p[i];
    if(c == '<') tag = true;
    if(!tag && (n || c > ' ')) text[n++] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    if(c == '>') tag = false;
  }
  struct str clean = str_trim(str_of(text, n));
  str_copy(t->words, 301, clean);
}

static enum q_status trouble_by_code(struct str code)
{
  char folded[64];
  size_t n = 0;
  for(size_t i = 0; i < code.n && n < sizeof folded - 1; i++) {
    char c = code.p[i];
    if(c == '_' || c == '-' || c == ' ') continue;
    folded[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  folded[n] = 0;
  for(size_t i = 0; i < sizeof trouble_codes / sizeof trouble_codes[0]; i++)
    if(strcmp(folded, trouble_codes[i].code) == 0) return trouble_codes[i].st;
  if(strcmp(folded, "notfound") == 0) return Q_UP_CHAT_GONE;
  return Q_UP_ERROR;
}

static void trouble_by_words(struct trouble *t, struct str words)
{
  for(size_t i = 0; i < sizeof trouble_words / sizeof trouble_words[0]; i++) {
    if(trouble_words[i].only && trouble_words[i].only != t->st) continue;
    if(str_ifind(words, str_z(trouble_words[i].words)) < 0) continue;
    t->st = trouble_words[i].st;
    return;
  }
}

/* details may be a text, an array of texts, or an object. */
static void trouble_details(const struct json *d, struct strbuf *out)
{
  if(json_is(d, JSON_STRING)) {
    strbuf_adds(out, d->text);
  } else if(json_is(d, JSON_ARRAY)) {
    for json_each(m, d) {
      if(out->n) strbuf_lit(out, "; ");
      trouble_details(m, out);
    }
  } else if(json_is(d, JSON_OBJECT)) {
    for json_each(m, d) {
      if(out->n) strbuf_lit(out, "; ");
      trouble_details(m, out);
    }
  }
}

static const struct json *trouble_member(const struct json *a, const struct json *b, const char *key)
{
  const struct json *m = json_get(a, key);
  return json_absent(m) ? json_get(b, key) : m;
}

/* One failure object, with a second level (data, error) searched first. */
static void trouble_object(struct trouble *t, const struct json *inner, const struct json *outer)
{
  static const char *const names[] = { "details", "detail", "message", "msg", "template" };
  struct strbuf words = STRBUF(4096);
  int64_t hours = 0;
  struct str code = json_str(trouble_member(inner, outer, "code"));
  str_copy(t->code, sizeof t->code, code);
  for(size_t i = 0; i < sizeof names / sizeof names[0] && words.n == 0; i++)
    trouble_details(trouble_member(inner, outer, names[i]), &words);
  t->st = trouble_by_code(code);
  trouble_by_words(t, strbuf_str(&words));
  if(json_int(trouble_member(inner, outer, "num"), &hours) && hours > 0 && t->st == Q_UP_BUSY) t->st = Q_UP_QUOTA;
  if(t->st == Q_UP_QUOTA && hours > 0) t->wait_s = hours > TROUBLE_WAIT_MAX_S / 3600 ? TROUBLE_WAIT_MAX_S : (int)hours * 3600;
  trouble_say(t, strbuf_str(&words));
  strbuf_free(&words);
}

void trouble_json(struct trouble *t, const struct json *root)
{
  bool success = false;
  *t = (struct trouble){ .st = Q_OK };
  if(!json_is(root, JSON_OBJECT)) return;
  const struct json *ret = json_get(root, "ret"), *error = json_get(root, "error"), *data = json_get(root, "data");
  if(json_is(ret, JSON_ARRAY)) {
    t->st = Q_UP_CHALLENGE;
    str_copy(t->code, sizeof t->code, json_str(json_at(ret, 0)));
    return;
  }
  bool told = json_bool(json_get(root, "success"), &success);
  if(told && success) return;
  if(json_is(error, JSON_OBJECT)) {
    trouble_object(t, error, root);
  } else if(json_is(error, JSON_STRING) && !told) {
    trouble_object(t, NULL, root);
    trouble_by_words(t, error->text);
    trouble_say(t, error->text);
  } else if(told) {
    trouble_object(t, data, root);
  } else if(json_is(json_get(root, "code"), JSON_STRING) && !json_get(root, "choices") && !json_is(data, JSON_ARRAY)) {
    trouble_object(t, NULL, root);
  } else if(!json_absent(json_get(root, "detail")) && !json_get(root, "choices")) {
    trouble_object(t, NULL, root);
  }
}

static enum q_status trouble_by_http(int status)
{
  switch(status) {
  case 401: return Q_UP_AUTH;
  case 403: return Q_UP_BARRED;
  case 413: return Q_TOO_LONG;
  case 429: return Q_UP_BUSY;
  default: return status >= 500 ? Q_UP_ERROR : status >= 400 ? Q_UP_BODY : status >= 300 ? Q_UP_ERROR : Q_OK;
  }
}

/* A plain HTTP status and the code inside the body: the code knows more, unless it says only "something is wrong". */
static void trouble_join(struct trouble *t, int http_status)
{
  enum q_status by_http = trouble_by_http(http_status);
  if(!by_http) return;
  if(!t->st || (t->st == Q_UP_ERROR && http_status < 500)) t->st = by_http;
}

void trouble_body(struct trouble *t, int http_status, struct str retry_after, struct str body)
{
  struct arena a = ARENA(64u * 1024 * 1024);
  struct str text = str_trim(body);
  int64_t wait;
  *t = (struct trouble){ .st = Q_OK };
  if(str_starts(text, S("\xef\xbb\xbf"))) text = str_trim(str_sub(text, 3, text.n));
  if(text.n && (text.p[0] == '{' || text.p[0] == '[')) {
    const struct json *root = json_parse(&a, text, 64, NULL);
    trouble_json(t, root);
    if(!root && !t->st) t->st = trouble_challenge(text) ? Q_UP_CHALLENGE : http_status >= 400 ? Q_OK : Q_UP_BODY;
    trouble_join(t, http_status);
  } else if(text.n && text.p[0] == '<') {
    t->st = trouble_challenge(text) ? Q_UP_CHALLENGE : Q_UP_ERROR;
  } else if(text.n && trouble_challenge(text) && http_status != 200) {
    t->st = Q_UP_CHALLENGE;
  } else {
    t->st = trouble_by_http(http_status);
    if(!t->st) t->st = text.n ? Q_UP_BODY : Q_UP_EMPTY;
    if(text.n) trouble_say(t, text);
  }
  arena_free(&a);
  if(!t->wait_s && (t->st == Q_UP_BUSY || t->st == Q_UP_QUOTA) && str_int(str_trim(retry_after), &wait) && wait > 0)
    t->wait_s = wait > TROUBLE_WAIT_MAX_S ? TROUBLE_WAIT_MAX_S : (int)wait;
}
