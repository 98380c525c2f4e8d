/* Run-time settings (api 9.2): read, changed by any subset, by the old single routes, dropped; .env again. */
#include "domain/keys_admin.h"
#include "domain/settings.h"
#include "http/handlers.h"
#include "http/routes.h"
#include "proto/json.h"

enum { H_SETTINGS_MAX = 4 * 1024 * 1024, H_SETTINGS_ROWS = 128 };

static void h_settings_answer(struct req *q, struct strbuf *b)
{
  if(b->err) req_fail_st(q, b->err, NULL, "Out of memory.");
  else req_answer(q, 200, S("application/json"), S("Cache-Control: no-store\r\n"), strbuf_str(b));
}

static void h_settings_key(struct req *q, struct strbuf *b)
{
  char masked[64];
  keys_mask(q->config->api_key.n ? str_z(q->config->api_key.v[0]) : STR_NONE, masked, sizeof masked);
  strbuf_lit(b, "\"adminKey\":");
  strbuf_json(b, str_z(masked));
  strbuf_lit(b, ",\"regularKeys\":");
  keys_admin_regular(q->app->keys, now_wall_ms(q->app->now), b);
}

static void h_settings_values(const struct config *c, const bool *wanted, struct strbuf *b)
{
  char name[CONFIG_NAME];
  for(int i = 0; i < config_rows(); i++) {
    if(!config_offered(i) || (wanted && !wanted[i])) continue;
    config_name(i, name);
    strbuf_fmt(b, ",\"%s\":", name);
    config_json(c, i, b);
  }
  bool first = true;
  strbuf_lit(b, ",\"source\":{");
  for(int i = 0; i < config_rows(); i++) {
    if(!config_offered(i) || (wanted && !wanted[i])) continue;
    config_name(i, name);
    strbuf_fmt(b, "%s\"%s\":\"%s\"", first ? "" : ",", name, config_source_name(c, i));
    first = false;
  }
  strbuf_addc(b, '}');
}

void h_settings(struct req *q)
{
  struct strbuf b = STRBUF(H_SETTINGS_MAX);
  strbuf_addc(&b, '{');
  h_settings_key(q, &b);
  h_settings_values(q->config, NULL, &b);
  strbuf_fmt(&b, ",\"persisted\":%s}", q->app->store->ops->lasting ? "true" : "false");
  h_settings_answer(q, &b);
  strbuf_free(&b);
}

void h_settings_schema(struct req *q)
{
  struct strbuf b = STRBUF(H_SETTINGS_MAX);
  bool first = true;
  strbuf_addc(&b, '[');
  for(int i = 0; i < config_rows(); i++) {
    if(!config_offered(i)) continue;
    if(!first) strbuf_addc(&b, ',');
    first = false;
    config_schema(i, &b);
  }
  strbuf_addc(&b, ']');
  h_settings_answer(q, &b);
  strbuf_free(&b);
}

/* ---- changes ---- */

struct h_settings_changes {
  struct settings_change v[H_SETTINGS_ROWS];
  struct strbuf texts[H_SETTINGS_ROWS]; /* of v[].value */
  bool touched[H_SETTINGS_ROWS];
  int n;
};

static void h_settings_free(struct h_settings_changes *x)
{
  for(int i = 0; i < x->n; i++) {
    if(x->texts[i].p) crypt_wipe(x->texts[i].p, x->texts[i].n);
    strbuf_free(&x->texts[i]);
  }
}

/* A page that sends a secret back as it was shown means no change. */
static bool h_settings_shown(int row, const struct json *v)
{
  if(!config_secret(row)) return false;
  if(json_is(v, JSON_ARRAY)) {
    for json_each(m, v)
      if(!str_eq(json_str(m), S(CONFIG_MASK))) return false;
    return v->count > 0;
  }
  return str_eq(json_str(v), S(CONFIG_MASK));
}

static enum q_status h_settings_add(struct h_settings_changes *x, int row, const struct json *v, struct q_error *e)
{
  char name[CONFIG_NAME];
  if(h_settings_shown(row, v)) return Q_OK;
  for(int i = 0; i < x->n; i++) /* of a name given twice the last counts */
    if(x->v[i].row == row) {
      config_name(row, name);
      return status_fail(e, Q_BAD_VALUE, name, "'%s' is given twice.", name);
    }
  if(x->n == H_SETTINGS_ROWS) return status_fail(e, Q_TOO_BIG, NULL, "Too many settings.");
  struct strbuf *text = &x->texts[x->n];
  struct settings_change *c = &x->v[x->n++];
  *text = STRBUF(512 * 1024);
  *c = (struct settings_change){ .row = row, .drop = json_is(v, JSON_NULL) };
  x->touched[row] = true;
  enum q_status st = c->drop ? Q_OK : config_from_json(row, v, text, e);
  c->value = text->n ? strbuf_str(text) : S("");
  return st;
}

/* Only the first `names_n` of names may be given; names NULL: every live one. */
static enum q_status h_settings_read(const struct json *body, const char *const *names, struct h_settings_changes *x, struct q_error *e)
{
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object of settings.");
  for json_each(m, body) {
    char param[64];
    str_copy(param, sizeof param, m->key);
    int row = config_find_name(m->key);
    bool known = row >= 0;
    if(names) {
      known = false;
      for(const char *const *n = names; *n; n++) known |= str_eq(m->key, str_z(*n));
    }
    if(!known) return status_fail(e, Q_UNSUPPORTED, param, "'%s' is no setting%s.", param, names ? " of this route" : "; GET /api/settings/schema lists them");
    enum q_status st = h_settings_add(x, row, m, e);
    if(st) return st;
  }
  return x->n || body->count ? Q_OK : status_fail(e, Q_MISSING, names ? names[0] : NULL, "No setting is given.");
}

static void h_settings_changed(struct req *q, const bool *touched, const char *message)
{
  struct config *c = app_config(q->app);
  struct strbuf b = STRBUF(H_SETTINGS_MAX);
  bool lasting = q->app->store->ops->lasting;
  strbuf_fmt(&b, "{\"status\":true,\"message\":\"%s\",\"persisted\":%s", message, lasting ? "true" : "false");
  h_settings_values(c, touched, &b);
  strbuf_addc(&b, '}');
  h_settings_answer(q, &b);
  strbuf_free(&b);
  config_unref(c);
}

static void h_settings_change(struct req *q, const char *const *names)
{
  const struct json *body = req_json(q);
  struct q_error e = Q_ERROR_NONE;
  if(!body) return;
  struct h_settings_changes x = { .n = 0 };
  enum q_status st = h_settings_read(body, names, &x, &e);
  if(!st) st = settings_write(q->app, x.v, x.n, &e);
  if(st) {
    req_fail(q, &e);
  } else {
    for(int i = 0; i < x.n; i++) LOG_INFO(q->app->log, "settings", q->id, "%s was %s", config_key(x.v[i].row), x.v[i].drop ? "dropped" : "set");
    h_settings_changed(q, x.touched, "The settings were saved.");
  }
  h_settings_free(&x);
}

void h_settings_patch(struct req *q)
{
  h_settings_change(q, NULL);
}

void h_settings_one(struct req *q)
{
  static const struct { struct str path; const char *names[3]; } old[] = {
    { { "/api/setAutoRefresh", 19 }, { "autoRefresh", "autoRefreshInterval" } },
    { { "/api/setBatchLoginConcurrency", 29 }, { "batchLoginConcurrency" } },
    { { "/api/setOutThink", 16 }, { "outThink" } },
    { { "/api/setLegacyReasoning", 23 }, { "legacyReasoningInContent" } },
    { { "/api/search-info-mode", 21 }, { "searchInfoMode" } },
    { { "/api/simple-model-map", 21 }, { "simpleModelMap" } },
    { { "/api/setRetryConfig", 19 }, { "chatRetryCount", "chatRetryBackoffMs" } },
  };
  for(size_t i = 0; i < sizeof old / sizeof old[0]; i++)
    if(str_eq(q->path, old[i].path)) {
      h_settings_change(q, old[i].names);
      return;
    }
  req_fail_st(q, Q_UNKNOWN_URL, NULL, "Unknown URL.");
}

void h_settings_reset(struct req *q)
{
  struct h_settings_changes x = { .n = 0 };
  struct q_error e = Q_ERROR_NONE;
  const struct json *body = str_trim(q->body).n ? req_json(q) : NULL;
  if(!body && str_trim(q->body).n) return;
  const struct json *names = json_get(body, "names");
  enum q_status st = Q_OK;
  if(!json_absent(names)) {
    if(!json_is(names, JSON_ARRAY)) st = status_fail(&e, Q_BAD_TYPE, "names", "'names' must be an array of names of settings.");
    for json_each(m, json_is(names, JSON_ARRAY) ? names : NULL) {
      int row = config_find_name(json_str(m));
      if(st) break;
      if(row < 0 || x.n == H_SETTINGS_ROWS) st = status_fail(&e, Q_BAD_VALUE, "names", "'names': %.60s is no setting.", json_str(m).n ? "one of them" : "an empty text");
      else if(!x.touched[row]) {
        x.v[x.n++] = (struct settings_change){ row, STR_NONE, true };
        x.touched[row] = true;
      }
    }
    if(!st) st = settings_write(q->app, x.v, x.n, &e);
  } else {
    st = settings_drop_all(q->app, &e);
    for(int i = 0; i < config_rows(); i++) x.touched[i] = config_live(i);
  }
  if(st) req_fail(q, &e);
  else h_settings_changed(q, x.touched, "The settings were reset.");
}

/* ---- .env again ---- */

void h_reload(struct req *q)
{
  struct strbuf restart = STRBUF(16 * 1024), b = STRBUF(64 * 1024);
  struct q_error e = Q_ERROR_NONE;
  if(settings_reload(q->app, &restart, &e)) {
    req_fail(q, &e);
  } else {
    struct str rest = strbuf_str(&restart);
    strbuf_lit(&b, "{\"status\":true,\"message\":\"The settings were read again.\",\"restart\":[");
    for(bool first = true; rest.n; first = false) {
      if(!first) strbuf_addc(&b, ',');
      strbuf_json(&b, str_cut(&rest, '\n'));
    }
    strbuf_fmt(&b, "],\"persisted\":%s}", q->app->store->ops->lasting ? "true" : "false");
    h_settings_answer(q, &b);
  }
  strbuf_free(&restart);
  strbuf_free(&b);
}

void h_restart(struct req *q)
{
  struct app *a = q->app;
  if(!a->restart) {
    req_fail_st(q, Q_UNSUPPORTED, NULL, "This process cannot restart itself.");
    return;
  }
  LOG_INFO(a->log, "main", q->id, "a restart was asked for");
  req_answer(q, 200, S("application/json"), S("Cache-Control: no-store\r\n"), S("{\"status\":true,\"message\":\"The gateway restarts when the running answers are done.\"}"));
  a->restart(a->restart_ctx);
}
