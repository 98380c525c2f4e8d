#include "proto/relay_err.h"

#include "proto/openai.h"

/* Codes and types without case, '_' and '-'. */
static const struct { const char *code; enum q_status st; } relay_err_codes[] = {
  { "insufficientquota", Q_UP_QUOTA },       { "throttling.allocationquota", Q_UP_QUOTA }, { "quotaexceeded", Q_UP_QUOTA },
  { "limitrequests", Q_UP_BUSY },            { "throttling.ratequota", Q_UP_BUSY },        { "throttling", Q_UP_BUSY },
  { "ratelimitexceeded", Q_UP_BUSY },        { "throttling.burstrate", Q_UP_BUSY },        { "arrearage", Q_UP_BARRED },
  { "invalidapikey", Q_UP_AUTH },            { "accessdenied", Q_UP_AUTH },                { "accessdenied.unpurchased", Q_NO_MODEL },
  { "modelnotfound", Q_NO_MODEL },           { "modelnotsupported", Q_NO_MODEL },          { "datainspectionfailed", Q_FILTER },
  { "contentfilter", Q_FILTER },             { "requesttimeout", Q_UP_ERROR },             { "internalerror", Q_UP_ERROR },
  { "modelservingerror", Q_UP_ERROR },       { "contextlengthexceeded", Q_TOO_LONG },
};

static bool relay_err_by_code(struct str code, enum q_status *st)
{
  char folded[64];
  size_t n = 0;
  for(size_t i = 0; i < code.n && n < sizeof folded - 1; i++) {
    char c = code.p[i];
    if(c != '_' && c != '-' && c != ' ') folded[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
  }
  for(size_t i = 0; i < sizeof relay_err_codes / sizeof relay_err_codes[0]; i++)
    if(n && str_eq(str_of(folded, n), str_z(relay_err_codes[i].code))) {
      *st = relay_err_codes[i].st;
      return true;
    }
  return false;
}

static enum q_status relay_err_by_status(int status)
{
  if(status == 401 || status == 403) return Q_UP_AUTH;
  if(status == 404) return Q_NO_MODEL;
  if(status == 408 || status >= 500 || (status >= 300 && status < 400)) return Q_UP_ERROR;
  if(status == 413) return Q_TOO_LONG;
  if(status == 429) return Q_UP_BUSY;
  return status >= 400 ? Q_UP_BODY : Q_OK;
}

static void relay_err_members(struct relay_err *e, const struct json *root)
{
  const struct json *error = json_get(root, "error");
  if(!json_is(error, JSON_OBJECT)) error = root;
  str_copy(e->code, sizeof e->code, json_str(json_get(error, "code")));
  str_copy(e->type, sizeof e->type, json_str(json_get(error, "type")));
  str_copy(e->param, sizeof e->param, json_str(json_get(error, "param")));
}

/* What the words tell that the code does not. */
static void relay_err_refine(struct relay_err *e)
{
  struct str words = str_z(e->words);
  bool loose = e->st == Q_UP_BODY || e->st == Q_UP_ERROR;
  if(loose && (str_ifind(words, S("input length")) >= 0 || str_ifind(words, S("context length")) >= 0)) e->st = Q_TOO_LONG;
  if(str_ifind(words, S("allocated quota exceeded")) >= 0 || str_ifind(words, S("quota exceeded")) >= 0) e->st = Q_UP_QUOTA;
  if(loose && str_ifind(words, S("inappropriate content")) >= 0) e->st = Q_FILTER;
}

void relay_err_body(struct relay_err *e, int http_status, struct str retry_after, struct str body)
{
  struct trouble t;
  struct arena a = ARENA(4u * 1024 * 1024);
  int64_t wait;
  *e = (struct relay_err){ .st = Q_OK };
  trouble_body(&t, http_status, retry_after, body);
  const struct json *root = json_parse(&a, body, 64, NULL);
  str_copy(e->words, sizeof e->words, str_z(t.words));
  e->st = t.st == Q_UP_CHALLENGE ? t.st : relay_err_by_status(http_status);
  if(!e->st) e->st = t.st;
  if(json_is(root, JSON_OBJECT) && t.st) {
    enum q_status known;
    relay_err_members(e, root);
    if(relay_err_by_code(str_z(e->code), &known) || relay_err_by_code(str_z(e->type), &known)) e->st = known;
    if(http_status == 401) e->st = Q_UP_AUTH;
  }
  if(e->st && e->st != Q_UP_CHALLENGE) relay_err_refine(e);
  if((e->st == Q_UP_BODY || e->st == Q_UP_ERROR) && http_status >= 400) e->status = http_status;
  if(e->st == Q_UP_BUSY || e->st == Q_UP_QUOTA) {
    e->wait_s = t.wait_s;
    if(!e->wait_s && str_int(str_trim(retry_after), &wait) && wait > 0 && wait < 14 * 86400) e->wait_s = (int)wait;
  }
  arena_free(&a);
}

void relay_err_event(struct relay_err *e, const struct json *root)
{
  struct trouble t;
  enum q_status known;
  *e = (struct relay_err){ .st = Q_OK };
  trouble_json(&t, root);
  if(!t.st) return;
  e->st = t.st == Q_UP_MODEL_QUOTA ? Q_UP_QUOTA : t.st;
  str_copy(e->words, sizeof e->words, str_z(t.words));
  relay_err_members(e, root);
  if(relay_err_by_code(str_z(e->code), &known) || relay_err_by_code(str_z(e->type), &known)) e->st = known;
  relay_err_refine(e);
}

void relay_err_write(const struct relay_err *e, const struct q_error *q, struct strbuf *b)
{
  bool own = e->status && e->st == Q_UP_BODY; /* about the request: the upstream's own members */
  if(!own) {
    openai_error(q, b);
    return;
  }
  strbuf_lit(b, "{\"error\":{\"message\":");
  strbuf_json(b, str_z(q->msg));
  strbuf_lit(b, ",\"type\":");
  strbuf_json(b, str_z(e->type[0] ? e->type : "invalid_request_error"));
  strbuf_lit(b, ",\"param\":");
  if(e->param[0]) strbuf_json(b, str_z(e->param));
  else strbuf_lit(b, "null");
  strbuf_lit(b, ",\"code\":");
  strbuf_json(b, str_z(e->code[0] ? e->code : "invalid_request"));
  strbuf_lit(b, "}}");
}
