/* ---------- OAuth: device flow with PKCE ---------- */

static const char cli_client[] = "f0304373b74a44d2b584a3fb70ca9e56";
enum grant_state { GRANT_WAITS, GRANT_APPROVED, GRANT_DENIED, GRANT_USED };
struct grant {
  char device[48], user[12], challenge[48];
  enum grant_state state;
  int account, pending;
  bool slowed;
  int64_t expires_s, polled_us;
};
static struct grant *grants;
static size_t grant_n;

static void form_value(const struct req *r, const char *key, struct buf *out)
{
  percent_decode(query_value(r->body, key), true, out);
}

static void oauth_fail(int status, const char *error, const char *why)
{
  reply_json(status, "{\"error\":\"%s\",\"error_description\":\"%s\"}", error, why);
}

static bool form_is(const struct req *r, const char *key, const char *z)
{
  static struct buf v;
  form_value(r, key, &v);
  return strcmp(v.p, z) == 0;
}

static void h_device(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf scope, challenge;
  (void)c, (void)who, (void)log;
  if(set.withdrawn) {
    reply_fixed(NULL, "504_html");
    return;
  }
  form_value(r, "scope", &scope);
  form_value(r, "code_challenge", &challenge);
  bool good = challenge.n == 43;
  for(size_t i = 0; i < challenge.n; i++) good = good && challenge.p[i] != '+' && challenge.p[i] != '/' && challenge.p[i] != '=';
  if(!form_is(r, "client_id", cli_client) || !strstr(scope.p, "openid") || !strstr(scope.p, "model.completion") || !good ||
     !form_is(r, "code_challenge_method", "S256")) {
    stat_.bad++;
    oauth_fail(400, "invalid_request", "client_id, scope, code_challenge or its method");
    return;
  }
  grants = must(realloc(grants, (grant_n + 1) * sizeof *grants));
  struct grant *g = &grants[grant_n];
  *g = (struct grant){ .account = NOBODY, .pending = set.oauth_pending, .expires_s = wall_s() + set.oauth_life_s };
  snprintf(g->device, sizeof g->device, "devicecode%030zu", grant_n);
  snprintf(g->user, sizeof g->user, "FAKE-%04zu", grant_n++ % 10000);
  snprintf(g->challenge, sizeof g->challenge, "%s", challenge.p);
  char interval[32] = "";
  if(set.oauth_interval) snprintf(interval, sizeof interval, ",\"interval\":%d", set.oauth_interval);
  reply_json(200,
             "{\"device_code\":\"%s\",\"user_code\":\"%s\",\"verification_uri\":\"https://chat.qwen.ai/authorize\","
             "\"verification_uri_complete\":\"https://chat.qwen.ai/authorize?user_code=%s&client=qwen-code\",\"expires_in\":%d%s}",
             g->device, g->user, g->user, set.oauth_life_s, interval);
}

static void h_authorize(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  struct span code = js_span(js_get(0, "user_code"));
  int approved = js_get(0, "approved");
  if(!js_kind_is(approved, JS_TRUE) && !js_kind_is(approved, JS_FALSE)) {
    stat_.bad++;
    reply_invalid("body -> approved", "Field required");
    return;
  }
  for(size_t i = grant_n; i-- > 0;)
    if(span_is(code, grants[i].user) && grants[i].state == GRANT_WAITS && grants[i].expires_s > wall_s()) {
      grants[i].state = js_kind_is(approved, JS_TRUE) ? GRANT_APPROVED : GRANT_DENIED;
      grants[i].account = who;
      reply_json(200, "{\"success\":true,\"request_id\":\"a\",\"data\":{}}");
      return;
    }
  reply_fail(400, "Bad_Request", "no such user code");
}

static void tokens_reply(int account, bool refresh_too)
{
  char access[64], refresh[64], more[400] = "";
  snprintf(access, sizeof access, "cliaccess%030zu", token_n);
  token_add(access, account, TOKEN_CLI, wall_s() + set.oauth_expires_s);
  if(refresh_too) {
    snprintf(refresh, sizeof refresh, "clirefresh%030zu", token_n);
    token_add(refresh, account, TOKEN_CLI_REFRESH, wall_s() + 30 * 86400);
    snprintf(more, sizeof more, ",\"refresh_token\":\"%s\"", refresh);
  }
  if(set.resource_url[0]) snprintf(more + strlen(more), sizeof more - strlen(more), ",\"resource_url\":\"%s\"", set.resource_url);
  reply_json(200, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d%s}", access, set.oauth_expires_s, more);
}

static bool verifier_fits(const struct req *r, const struct grant *g)
{
  static struct buf verifier, made;
  unsigned char h[32];
  form_value(r, "code_verifier", &verifier);
  if(verifier.n < 43 || verifier.n > 128) return false;
  sha256(verifier.p, verifier.n, h);
  made.n = 0;
  b64url(h, 32, &made);
  return made.n == strlen(g->challenge) && memcmp(made.p, g->challenge, made.n) == 0;
}

static void token_by_device(const struct req *r, struct entry *log)
{
  static struct buf device;
  struct grant *g = NULL;
  form_value(r, "device_code", &device);
  for(size_t i = 0; i < grant_n; i++)
    if(strcmp(grants[i].device, device.p) == 0) g = &grants[i];
  if(!g || g->state == GRANT_USED) {
    oauth_fail(401, "invalid_grant", "the device code is unknown or used");
    return;
  }
  int64_t now = now_us(), step = (int64_t)set.oauth_interval * 900000;
  if(g->polled_us && now - g->polled_us < step) stat_.polls_early++;
  g->polled_us = now;
  if(!verifier_fits(r, g)) {
    stat_.bad++;
    oauth_fail(400, "invalid_grant", "code_verifier does not match the challenge");
  } else if(g->expires_s <= wall_s()) {
    oauth_fail(400, "expired_token", "the device code has expired");
  } else if(g->state == GRANT_DENIED) {
    oauth_fail(400, "access_denied", "the user said no");
  } else if(set.oauth_slow && !g->slowed) {
    g->slowed = true;
    oauth_fail(429, "slow_down", "polled too often");
  } else if(g->state == GRANT_WAITS || g->pending-- > 0) {
    oauth_fail(400, "authorization_pending", "not approved yet");
  } else {
    g->state = GRANT_USED;
    log->account = g->account;
    tokens_reply(g->account, true);
  }
}

static void h_token(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf refresh;
  (void)c, (void)who;
  if(!form_is(r, "client_id", cli_client)) {
    stat_.bad++;
    oauth_fail(400, "invalid_client", "client_id");
  } else if(form_is(r, "grant_type", "urn:ietf:params:oauth:grant-type:device_code")) {
    token_by_device(r, log);
  } else if(form_is(r, "grant_type", "refresh_token")) {
    form_value(r, "refresh_token", &refresh);
    struct token *k = token_find((struct span){ refresh.p, refresh.n });
    if(!k || k->dead || k->kind != TOKEN_CLI_REFRESH || k->expires_s <= wall_s()) {
      oauth_fail(400, "invalid_grant", "the refresh token is dead");
      return;
    }
    int account = log->account = k->account;
    if(!set.oauth_keep) k->dead = true;
    tokens_reply(account, !set.oauth_keep);
  } else {
    stat_.bad++;
    oauth_fail(400, "unsupported_grant_type", "grant_type");
  }
}
