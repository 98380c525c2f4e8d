/* seed.c - puts an official key into a gateway's store, as the route that edits accounts would: NAME KEY BASE MODELS SERVES.
 * Settings (DATA_DIR, SECRET_KEY ...) come from the environment, as the gateway's; MODELS are separated by commas, SERVES is the
 * sum of the flags in domain/account.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/accounts.h"
#include "domain/app.h"

extern char **environ;

static void seed_request(void *ctx, struct client *c)
{
  (void)ctx;
  (void)c;
}

static void seed_reject(void *ctx, const struct q_error *e, struct strbuf *out)
{
  (void)ctx;
  (void)e;
  (void)out;
}

int main(int argc, char **argv)
{
  struct strbuf errors = STRBUF(65536), warnings = STRBUF(65536);
  struct config_input in = { .envp = environ, .file = "/dev/null" };
  struct gate_config gate = { .now = &now_real, .body_max = 1 << 20, .bodies_sum_max = 1 << 20, .max_connections = 10,
                              .on_request = seed_request, .on_reject = seed_reject };
  struct app_parts parts = { .now = NULL };
  struct q_error e = Q_ERROR_NONE;
  struct app *app;
  int code = 1;
  if(argc != 6) return fputs("usage: seed NAME KEY BASE MODELS SERVES\n", stderr), 64;
  struct config *config = config_load(&in, &errors, &warnings);
  if(!config) return fprintf(stderr, "%.*s", STR_F(strbuf_str(&errors))), 78;
  if(app_new(&app, config, NULL, &parts, &gate, &e, &code)) return fprintf(stderr, "%s\n", e.msg), code;
  for(char *p = argv[4]; *p; p++) *p = *p == ',' ? '\n' : *p;
  struct account *a = account_new_api(str_z(argv[1]), str_z(argv[2]), str_z(argv[3]), str_z(argv[4]), (unsigned)atoi(argv[5]));
  if(a) a->dirty = true;
  enum q_status st = a ? pool_add(app->pool, a) : Q_NOMEM;
  if(!st) st = accounts_save(app);
  app_destroy(app);
  if(st) fprintf(stderr, "%s\n", status_row(st)->text);
  return st != Q_OK;
}
