#include "main/moving.h"

#include <stdio.h>
#include <unistd.h>

#include "base/exit.h"
#include "domain/export.h"
#include "domain/import.h"

static const char *moving_route(const struct moving *m)
{
  return m->import ? "POST /api/import" : "GET /api/export";
}

static int moving_in(struct app *a, const struct moving *m)
{
  struct strbuf text = STRBUF(IMPORT_TEXT_MAX);
  struct import_want want = { .replace = m->replace, .dry = m->dry };
  struct import_done d = { .added = 0 };
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = import_read_file(m->path, &text, &e);
  bool there = !st;
  if(st == Q_NOT_FOUND) status_fail(&e, st, NULL, "there is no file %s.", m->path);
  if(!st) st = import_run(a, strbuf_str(&text), &want, &d, &e);
  if(text.p) crypt_wipe(text.p, text.n);
  strbuf_free(&text);
  for(int i = 0; i < d.bad_n; i++) fprintf(stderr, "qwen2api: line %d: left out: %s\n", d.bad[i].line, d.bad[i].reason);
  if(st) fprintf(stderr, "qwen2api: %s%s%s\n", there ? m->path : "", there ? ": " : "", e.msg);
  else printf("%s: %d accounts added, %d updated, %d skipped, %d invalid; %d keys, %d settings\n", m->dry ? "would be taken over" : "taken over",
              d.added, d.updated, d.skipped, d.bad_total, d.keys, d.settings);
  import_done_free(&d);
  return !st ? fflush(stdout) != 0 : there && st == Q_BAD_IMPORT ? EXIT_DATA : 1;
}

static int moving_out(struct app *a, const struct moving *m)
{
  struct q_error e = Q_ERROR_NONE;
  if(!export_file(a, m->path, m->secrets, &e)) return 0;
  fprintf(stderr, "qwen2api: %s\n", e.msg);
  return EXIT_CREATE;
}

static int moving_with(struct app *a, const struct moving *m)
{
  if(!a->store->ops->lasting) {
    fprintf(stderr, "qwen2api: DATA_DIR cannot be written\n");
    return EXIT_CREATE;
  }
  if(a->made_key[0]) fprintf(stderr, "\n  Admin key (shown once): %s\n\n", a->made_key);
  crypt_wipe(a->made_key, sizeof a->made_key);
  return m->import ? moving_in(a, m) : moving_out(a, m);
}

int moving_run(const struct moving *m, struct config *config)
{
  char path[1100];
  struct app *a = NULL;
  struct q_error e = Q_ERROR_NONE;
  struct gate_config gate = { .now = &now_real, .body_max = 1024, .bodies_sum_max = 4096, .max_connections = 16 };
  struct app_parts parts = { .input = m->input };
  struct log_config lc = { .now = &now_real, .level = LOG_LEVEL_WARN, .fd = 2 };
  int code = 0;
  snprintf(path, sizeof path, "%s/qwen2api.mdb", config->data_dir);
  bool shared = config->data_save_mode == SAVE_REDIS || config->data_save_mode == SAVE_NONE;
  if(shared || (!m->import && access(path, F_OK) != 0)) {
    if(shared) fprintf(stderr, "qwen2api: this command is for DATA_SAVE_MODE=file; here ask a running gateway: %s\n", moving_route(m));
    else fprintf(stderr, "qwen2api: there is no store in DATA_DIR=%s: nothing to export\n", config->data_dir);
    config_unref(config);
    return EXIT_TAKEN;
  }
  struct log *log = log_new(&lc);
  if(!log) {
    config_unref(config);
    return 1;
  }
  if(app_new(&a, config, log, &parts, &gate, &e, &code)) {
    fprintf(stderr, "qwen2api: %s\n", e.msg);
    if(code == EXIT_TAKEN) fprintf(stderr, "qwen2api: stop the gateway, or ask it: %s\n", moving_route(m));
  } else {
    code = moving_with(a, m);
    app_destroy(a);
  }
  log_destroy(log);
  return code;
}
