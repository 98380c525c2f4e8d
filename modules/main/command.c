#include "main/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/build.h"
#include "base/crypt.h"
#include "base/exit.h"
#include "base/mem.h"
#include "domain/app.h"
#include "domain/doctor.h"
#include "domain/keys.h"
#include "domain/store.h"
#include "http/handlers.h"
#include "http/routes.h"
#include "main/moving.h"
#include "main/serve.h"
#include "net/tcp.h"

enum { COMMAND_FLAGS = 16 };

struct command {
  const char *name;
  const char *file;                       /* --config */
  struct config_pair flags[COMMAND_FLAGS];
  int flags_n;
  const char *path;                       /* of export, import */
  bool secrets, replace, dry;             /* export --secrets, import --replace, --dry-run */
  bool ready;                             /* healthcheck --ready */
  const char *url;                        /* healthcheck --url */
  char **argv, **envp;
};

/* ---- printing ---- */

static int command_print(struct strbuf *b)
{
  bool ok = !b->err && (b->n == 0 || fwrite(b->p, 1, b->n, stdout) == b->n) && fflush(stdout) == 0;
  strbuf_free(b);
  return ok ? 0 : 1;
}

static int command_help(void)
{
  struct strbuf b = STRBUF(256 * 1024);
  strbuf_lit(&b, "qwen2api " Q2A_VERSION " - an OpenAI-compatible API in front of a pool of Qwen accounts\n\n"
    "usage: qwen2api [serve] [options]        start the gateway\n"
    "       qwen2api check                    validate the settings and print them\n"
    "       qwen2api doctor                   the same, then what is wrong and what to do\n"
    "       qwen2api print-env | print-data   a commented .env, an empty data.json\n"
    "       qwen2api healthcheck [--ready] [--url URL]\n"
    "       qwen2api routes | assets | licenses\n"
    "       qwen2api export FILE [--secrets]  write accounts, keys and settings as a data.json (gateway stopped)\n"
    "       qwen2api import FILE [--replace] [--dry-run]   take them over from one (gateway stopped)\n"
    "       qwen2api new-admin-key            replace the stored admin key (gateway stopped)\n\n"
    "options: --config FILE   --listen ADDRESS   --port N   --data-dir DIR   --log-level LEVEL   --check   --version   --help\n\n"
    "settings, from the command line, the environment, or .env:\n");
  config_help(&b);
  return command_print(&b);
}

static int command_usage(const char *why, const char *what)
{
  fprintf(stderr, "qwen2api: %s%s. See 'qwen2api --help'.\n", why, what);
  return EXIT_USAGE;
}

/* ---- arguments ---- */

static const struct { const char *flag, *key; } command_options[] = {
  { "--listen", "LISTEN_ADDRESS" }, { "--port", "SERVICE_PORT" }, { "--data-dir", "DATA_DIR" }, { "--log-level", "LOG_LEVEL" },
};
static const char *const command_names[] = { "serve", "check", "config", "print-env", "healthcheck", "routes", "assets", "licenses",
                                             "new-admin-key", "export", "import", "doctor", "print-data", "readme-table", "help", "version" };

/* The value of --flag=value or --flag value; NULL if arg is another flag. */
static const char *command_value(const char *flag, int argc, char **argv, int *i, bool *missing)
{
  size_t n = strlen(flag);
  if(strncmp(argv[*i], flag, n) != 0) return NULL;
  if(argv[*i][n] == '=') return argv[*i] + n + 1;
  if(argv[*i][n] != 0) return NULL;
  if(*i + 1 < argc) return argv[++*i];
  *missing = true;
  return "";
}

static int command_read(struct command *c, int argc, char **argv)
{
  for(int i = 1; i < argc; i++) {
    bool known = false, missing = false;
    const char *v;
    if(argv[i][0] != '-') {
      for(size_t k = 0; k < sizeof command_names / sizeof command_names[0]; k++)
        if(!c->name && strcmp(argv[i], command_names[k]) == 0) c->name = command_names[k], known = true;
      bool wants = c->name && !c->path && (strcmp(c->name, "export") == 0 || strcmp(c->name, "import") == 0);
      if(!known && wants) c->path = argv[i], known = true;
      if(!known) return command_usage("unknown command ", argv[i]);
      continue;
    }
    if(strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) c->name = "help", known = true;
    else if(strcmp(argv[i], "--version") == 0) c->name = "version", known = true;
    else if(strcmp(argv[i], "--check") == 0) c->name = "check", known = true;
    else if(strcmp(argv[i], "--ready") == 0) c->ready = known = true;
    else if(strcmp(argv[i], "--secrets") == 0) c->secrets = known = true;
    else if(strcmp(argv[i], "--replace") == 0) c->replace = known = true;
    else if(strcmp(argv[i], "--dry-run") == 0) c->dry = known = true;
    else if((v = command_value("--config", argc, argv, &i, &missing))) c->file = v, known = true;
    else if((v = command_value("--url", argc, argv, &i, &missing))) c->url = v, known = true;
    for(size_t k = 0; !known && k < sizeof command_options / sizeof command_options[0]; k++)
      if((v = command_value(command_options[k].flag, argc, argv, &i, &missing))) {
        if(c->flags_n == COMMAND_FLAGS) return command_usage("too many options", "");
        c->flags[c->flags_n++] = (struct config_pair){ command_options[k].key, v };
        known = true;
      }
    if(missing) return command_usage("a value is missing behind ", argv[i]);
    if(!known) return command_usage("unknown option ", argv[i]);
  }
  if(!c->name) c->name = "serve";
  return 0;
}

static struct config *command_config(const struct command *c, bool quiet)
{
  struct strbuf errors = STRBUF(1024 * 1024), warnings = STRBUF(1024 * 1024);
  struct config_input in = { .envp = c->envp, .file = c->file, .flags = c->flags, .flags_n = c->flags_n };
  struct config *config = config_load(&in, &errors, &warnings);
  if(!config && errors.n == 0) strbuf_lit(&errors, "qwen2api: out of memory\n");
  if(errors.n) fprintf(stderr, "%.*s", (int)errors.n, errors.p);
  struct str rest = strbuf_str(&warnings);
  while(!quiet && rest.n) {
    struct str line = str_cut(&rest, '\n');
    fprintf(stderr, "qwen2api: warning: %.*s\n", STR_F(line));
  }
  strbuf_free(&errors);
  strbuf_free(&warnings);
  return config;
}

/* ---- small commands ---- */

static int command_check(const struct command *c)
{
  struct config *config = command_config(c, false);
  struct strbuf b = STRBUF(1024 * 1024);
  if(!config) return EXIT_CONFIG;
  config_print(config, &b);
  int rc = 0;
  const struct { bool used; const char *key, *dir; } folders[] = {
    { config->data_save_mode == SAVE_FILE, "DATA_DIR", config->data_dir }, { config->cache_mode == CACHE_FILE, "CACHE_DIR", config->cache_dir },
    { config->enable_file_log, "LOG_DIR", config->log_dir },
  };
  for(size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    if(folders[i].used && !doctor_writable(folders[i].dir)) {
      fprintf(stderr, "qwen2api: %s=%s cannot be written\n", folders[i].key, folders[i].dir);
      rc = EXIT_CONFIG;
    }
  if(config->ssl_cert_file[0] && access(config->ssl_cert_file, R_OK) != 0) {
    fprintf(stderr, "qwen2api: SSL_CERT_FILE=%s cannot be read\n", config->ssl_cert_file);
    rc = EXIT_CONFIG;
  }
  config_unref(config);
  int printed = command_print(&b);
  return rc ? rc : printed;
}

static void command_tell(void *ctx, const struct doctor_finding *f)
{
  (void)ctx;
  printf("%-5s %s: %s\n", f->level, f->id, f->message);
  if(f->fix[0]) printf("      %s\n", f->fix);
}

/* The store of a gateway that does not run, if there is one: nothing is made. */
static struct store *command_store(const struct config *config, struct net *net, struct q_error *e, bool *used)
{
  char path[1100];
  int code = 0;
  struct store_redis_want w = { net, &now_real, NULL, str_z(config->redis_url), 0 };
  if(config->data_save_mode == SAVE_NONE) return NULL;
  if(config->data_save_mode == SAVE_REDIS) return store_redis_open(&w, e, &code);
  snprintf(path, sizeof path, "%s/qwen2api.mdb", config->data_dir);
  if(access(path, F_OK) != 0) return NULL;
  struct store *s = store_lmdb_open(config->data_dir, e, &code);
  *used = !s && code == EXIT_TAKEN;
  return s;
}

/* All of check, then the doctor's findings. */
static int command_doctor(const struct command *c)
{
  if(command_check(c)) return 1;
  struct config *config = command_config(c, true);
  struct q_error e = Q_ERROR_NONE;
  struct jobs *jobs = jobs_new(4);
  struct net *net = config && jobs ? app_net(config, jobs, NULL, &now_real, &e) : NULL;
  struct doctor d = { .config = config, .net = net, .now = &now_real, .tell = command_tell };
  struct q_error trouble = Q_ERROR_NONE;
  if(net) d.store = command_store(config, net, &trouble, &d.store_used);
  if(trouble.msg[0]) d.store_trouble = trouble.msg;
  printf("\n");
  bool good = net && doctor_look(&d);
  if(!net) fprintf(stderr, "qwen2api: %s\n", e.msg[0] ? e.msg : "out of memory");
  store_close(d.store);
  jobs_destroy(jobs);
  net_destroy(net);
  config_unref(config);
  return fflush(stdout) == 0 && good ? 0 : 1;
}

/* GET /healthz of the gateway on this machine, over TCP or its socket file. */
static int command_health(const struct command *c)
{
  struct config *config = command_config(c, true);
  char url[512];
  struct strbuf body = STRBUF(64 * 1024);
  struct q_error e = Q_ERROR_NONE;
  int status = 0;
  if(!config) return EXIT_CONFIG;
  const char *host = config->listen_address;
  bool file = strncmp(host, "unix:", 5) == 0 && !c->url;
  struct transport to_file = tcp_unix(host + (file ? 5 : 0));
  if(file || !host[0] || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "localhost") == 0) host = "127.0.0.1";
  bool six = strchr(host, ':') != NULL;
  snprintf(url, sizeof url, "http://%s%s%s:%lld/%s", six ? "[" : "", host, six ? "]" : "", (long long)config->service_port,
           c->ready ? "readyz" : "healthz");
  struct jobs *jobs = jobs_new(2);
  struct net_config nc = { .jobs = jobs, .now = &now_real, .transport = file ? &to_file : NULL };
  struct net *net = jobs ? net_new(&nc, &e) : NULL;
  struct xchg_req r = { .url = str_z(c->url ? c->url : url), .method = S("GET"), .connect_ms = 3000 };
  enum q_status st = net ? httpc_call(net, &now_real, &r, 5000, &status, NULL, &body, &e) : Q_NOMEM;
  if(st) fprintf(stderr, "qwen2api: %s\n", e.msg[0] ? e.msg : status_row(st)->text);
  else if(status != 200) fprintf(stderr, "qwen2api: HTTP %d: %.*s\n", status, (int)body.n, body.p ? body.p : "");
  jobs_destroy(jobs);
  net_destroy(net);
  strbuf_free(&body);
  config_unref(config);
  return st || status != 200;
}

static int command_new_key(const struct command *c)
{
  struct config *config = command_config(c, true);
  struct q_error e = Q_ERROR_NONE;
  char made[KEYS_TEXT];
  int code = 1;
  if(!config) return EXIT_CONFIG;
  bool redis = config->data_save_mode == SAVE_REDIS;
  struct jobs *jobs = redis ? jobs_new(2) : NULL;
  struct net *net = jobs ? app_net(config, jobs, NULL, &now_real, &e) : NULL;
  struct store_redis_want w = { net, &now_real, NULL, str_z(config->redis_url), 0 };
  struct store *s = NULL;
  if(config->data_save_mode == SAVE_NONE) code = EXIT_CONFIG;
  else if(!redis) s = store_lmdb_open(config->data_dir, &e, &code);
  else if(net) s = store_redis_open(&w, &e, &code);
  if(s && keys_new_admin(s, made) == Q_OK) {
    printf("%s\n", made);
    if(config->api_key.n) fprintf(stderr, "qwen2api: note: API_KEY is set, its first key is the admin key\n");
    code = fflush(stdout) == 0 ? 0 : 1;
  } else {
    if(s) code = 1;
    if(config->data_save_mode == SAVE_NONE) fprintf(stderr, "qwen2api: DATA_SAVE_MODE=none keeps no key: each start makes one, or set API_KEY\n");
    else fprintf(stderr, "qwen2api: %s\n", e.msg[0] ? e.msg : "the key could not be written");
    if(code == EXIT_TAKEN && !redis) fprintf(stderr, "qwen2api: or put API_KEY into its .env and POST /api/reload: that needs no stop\n");
  }
  crypt_wipe(made, sizeof made);
  store_close(s);
  jobs_destroy(jobs);
  net_destroy(net);
  config_unref(config);
  return code;
}

/* export, import */
static int command_moving(const struct command *c, bool import)
{
  if(!c->path) return command_usage("the file is missing behind ", c->name);
  struct config *config = command_config(c, true);
  struct config_input in = { .envp = c->envp, .file = c->file, .flags = c->flags, .flags_n = c->flags_n };
  struct moving m = { &in, c->path, import, c->secrets, c->replace, c->dry };
  return config ? moving_run(&m, config) : EXIT_CONFIG;
}

static int command_serve(const struct command *c)
{
  struct config *config = command_config(c, false);
  struct config_input in = { .envp = c->envp, .file = c->file, .flags = c->flags, .flags_n = c->flags_n };
  struct serve_start start = { c->argv, c->envp, &in };
  return config ? serve_run(&start, config) : EXIT_CONFIG;
}

int command_main(int argc, char **argv, char **envp)
{
  struct command c = { .argv = argv, .envp = envp };
  struct strbuf b = STRBUF(1024 * 1024);
  int rc = command_read(&c, argc, argv);
  if(rc) return rc;
  if(strcmp(c.name, "help") == 0) return command_help();
  if(strcmp(c.name, "version") == 0) {
    char build[BUILD_TEXT];
    build_text(build);
    printf("qwen2api " Q2A_VERSION " (%s)\n", build);
    return 0;
  }
  if(strcmp(c.name, "check") == 0 || strcmp(c.name, "config") == 0) return command_check(&c);
  if(strcmp(c.name, "doctor") == 0) return command_doctor(&c);
  if(strcmp(c.name, "print-data") == 0) strbuf_lit(&b, "{\n  \"defaultHeaders\": null,\n  \"defaultCookie\": null,\n  \"accounts\": []\n}\n");
  if(strcmp(c.name, "healthcheck") == 0) return command_health(&c);
  if(strcmp(c.name, "export") == 0 || strcmp(c.name, "import") == 0) return command_moving(&c, c.name[0] == 'i');
  if(strcmp(c.name, "new-admin-key") == 0) return command_new_key(&c);
  if(strcmp(c.name, "serve") == 0) return command_serve(&c);
  if(strcmp(c.name, "print-env") == 0) config_template(&b);
  if(strcmp(c.name, "readme-table") == 0) config_readme(&b);
  if(strcmp(c.name, "routes") == 0) routes_print(&b);
  if(strcmp(c.name, "assets") == 0) h_assets_print(&b);
  if(strcmp(c.name, "licenses") == 0) strbuf_addz(&b, h_asset_notices());
  return command_print(&b);
}
