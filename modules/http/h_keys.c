/* Keys (api 9.3): list, add, change, delete. */
#include "base/crypt.h"
#include "domain/keys_admin.h"
#include "http/handlers.h"
#include "http/routes.h"
#include "proto/json.h"

enum { H_KEYS_MAX = 64 * 1024 * 1024 };

static void h_keys_answer(struct req *q, struct strbuf *b)
{
  if(b->err) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else req_answer(q, 200, S("application/json"), S("Cache-Control: no-store\r\n"), strbuf_str(b));
}

static const char *h_keys_lasting(const struct req *q)
{
  return q->app->store->ops->lasting ? "true" : "false";
}

void h_keys(struct req *q)
{
  struct strbuf b = STRBUF(H_KEYS_MAX);
  strbuf_lit(&b, "{\"data\":");
  keys_admin_list(q->app->keys, now_wall_ms(q->app->now), &b);
  strbuf_addc(&b, '}');
  h_keys_answer(q, &b);
  strbuf_free(&b);
}

/* The key as it is now, behind a word of what was done. */
static void h_keys_shown(struct req *q, const char *message, struct str id, const char *made)
{
  struct strbuf b = STRBUF(H_KEYS_MAX);
  strbuf_fmt(&b, "{\"status\":true,\"message\":\"%s\",\"persisted\":%s", message, h_keys_lasting(q));
  if(made[0]) strbuf_fmt(&b, ",\"apiKey\":\"%s\"", made);
  size_t n = b.n;
  strbuf_addc(&b, ',');
  if(keys_admin_show(q->app->keys, id, now_wall_ms(q->app->now), &b)) b.n = n; /* deleted by another one meanwhile */
  strbuf_addc(&b, '}');
  h_keys_answer(q, &b);
  if(b.p) crypt_wipe(b.p, b.n);
  strbuf_free(&b);
}

void h_keys_add(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  char made[KEYS_TEXT], id[KEYS_ID];
  const struct json *body = req_json(q);
  if(!body) return;
  if(keys_admin_add(q->app->keys, body, now_wall_ms(q->app->now), made, id, &e)) {
    req_fail(q, &e);
  } else {
    LOG_INFO(q->app->log, "keys", q->id, "the key %s was added", id);
    h_keys_shown(q, "The key was added.", str_z(id), made);
  }
  crypt_wipe(made, sizeof made);
}

void h_keys_patch(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = req_json(q);
  if(!body) return;
  if(keys_admin_patch(q->app->keys, q->rest, body, &e)) {
    req_fail(q, &e);
  } else {
    LOG_INFO(q->app->log, "keys", q->id, "the key %.*s was changed", STR_F(q->rest));
    h_keys_shown(q, "The key was changed.", q->rest, "");
  }
}

void h_keys_delete(struct req *q)
{
  struct q_error e = Q_ERROR_NONE;
  struct strbuf b = STRBUF(1024);
  char which[KEYS_ID];
  const struct json *body = req_json(q);
  if(!body) return;
  struct str text = str_trim(json_str(json_get(body, "apiKey"))), id = str_trim(json_str(json_get(body, "id")));
  if(!text.n && !id.n) {
    req_fail_st(q, Q_MISSING, "id", "'id' or 'apiKey' must name the key to delete.");
  } else if(keys_admin_delete(q->app->keys, text, id, which, &e)) {
    req_fail(q, &e);
  } else {
    LOG_INFO(q->app->log, "keys", q->id, "the key %s was deleted", which);
    strbuf_fmt(&b, "{\"status\":true,\"message\":\"The key was deleted.\",\"deleted\":1,\"id\":\"%s\",\"persisted\":%s}", which, h_keys_lasting(q));
    h_keys_answer(q, &b);
  }
  strbuf_free(&b);
}
