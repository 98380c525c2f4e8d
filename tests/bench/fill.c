/* fill.c - fills a gateway's store as it may look after a year: ACCOUNTS accounts, signed in at the fake upstream, and KEYS keys with
 * limits. PLAIN is the fake's plain port; the fake must know user1 to user<ACCOUNTS>. Settings (DATA_DIR, SECRET_KEY ...) come from the
 * environment, as the gateway's. The key "sk-fill-0" is the last one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "domain/accounts.h"
#include "domain/app.h"
#include "domain/keys_admin.h"
#include "proto/json.h"
#include "proto/jwt.h"

extern char **environ;

static void fill_request(void *ctx, struct client *c)
{
  (void)ctx;
  (void)c;
}

static void fill_reject(void *ctx, const struct q_error *e, struct strbuf *out)
{
  (void)ctx;
  (void)e;
  (void)out;
}

static _Noreturn void fill_die(const char *what)
{
  fprintf(stderr, "fill: %s\n", what);
  exit(1);
}

/* The account with the token that the fake gives it. */
static struct account *fill_account(struct app *app, const char *plain, int i)
{
  char email[64], password[32], hex[65], json[256], url[100];
  unsigned char hash[32];
  int status;
  struct strbuf body = STRBUF(4096), out = STRBUF(64 * 1024);
  struct arena arena = ARENA(1 << 20);
  struct q_error e = Q_ERROR_NONE;
  snprintf(email, sizeof email, "user%d@example.org", i);
  snprintf(password, sizeof password, "pw-%d", i);
  crypt_sha256(str_z(password), hash);
  codec_hex(str_of((char *)hash, sizeof hash), hex);
  snprintf(json, sizeof json, "{\"email\":\"%s\",\"password\":\"%s\"}", email, hex);
  snprintf(url, sizeof url, "http://127.0.0.1:%s/api/v2/auths/signin", plain);
  strbuf_addz(&body, json);
  struct xchg_req r = { .url = str_z(url), .method = S("POST"), .headers = S("Content-Type: application/json\r\n"), .body = &body, .connect_ms = 5000 };
  if(httpc_call(app->net, &now_real, &r, 10000, &status, NULL, &out, &e)) fill_die(e.msg);
  struct str token = json_str(json_path(json_parse(&arena, strbuf_str(&out), 64, NULL), "data.token"));
  struct account *a = account_new(str_z(email), str_z(password), STR_NONE);
  struct secret *s = secret_new(token);
  if(!token.n || !a || !s) fill_die("no sign-in");
  account_set_token(a, s, jwt_expires_s(token, NULL) * 1000, NULL);
  account_plan_renewal(a, now_wall_ms(&now_real));
  secret_unref(s);
  arena_free(&arena);
  strbuf_free(&body);
  strbuf_free(&out);
  return a;
}

static void fill_key(struct app *app, int i)
{
  char json[300], made[KEYS_TEXT], id[KEYS_ID];
  struct arena arena = ARENA(1 << 20);
  struct q_error e = Q_ERROR_NONE;
  snprintf(json, sizeof json, "{\"apiKey\":\"sk-fill-%d\",\"name\":\"key %d\",\"rpm\":1000000,\"dailyTokens\":1000000000000,\"models\":[\"qwen*\"]}", i, i);
  if(keys_admin_add(app->keys, json_parse(&arena, str_z(json), 8, NULL), now_wall_ms(&now_real), made, id, &e)) fill_die(e.msg);
  arena_free(&arena);
}

int main(int argc, char **argv)
{
  struct strbuf errors = STRBUF(65536), warnings = STRBUF(65536);
  struct config_input in = { .envp = environ, .file = "/dev/null" };
  struct gate_config gate = { .now = &now_real, .body_max = 1 << 20, .bodies_sum_max = 1 << 20, .max_connections = 10,
                              .on_request = fill_request, .on_reject = fill_reject };
  struct app_parts parts = { .now = NULL };
  struct q_error e = Q_ERROR_NONE;
  struct app *app;
  int code = 1;
  if(argc != 4) return fputs("usage: fill PLAIN ACCOUNTS KEYS\n", stderr), 64;
  struct config *config = config_load(&in, &errors, &warnings);
  if(!config) return fprintf(stderr, "%.*s", STR_F(strbuf_str(&errors))), 78;
  if(app_new(&app, config, NULL, &parts, &gate, &e, &code)) return fprintf(stderr, "%s\n", e.msg), code;
  for(int i = 1, most = atoi(argv[2]); i <= most;) {
    struct account *v[100];
    int n = 0;
    while(n < 100 && i <= most) v[n++] = fill_account(app, argv[1], i++);
    if(accounts_insert(app, v, n, NULL)) fill_die("the store did not take the accounts");
  }
  for(int i = atoi(argv[3]) - 1; i >= 0; i--) fill_key(app, i);
  app_destroy(app);
  return 0;
}
