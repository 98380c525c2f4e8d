#include "domain/pictures.h"

#include "base/codec.h"
#include "base/mem.h"
#include "domain/fetch.h"

enum { PICTURES_ONE_MAX = 32 * 1024 * 1024, PICTURES_ALL_MAX = 64 * 1024 * 1024, PICTURES_MS = 60 * 1000 };

struct pictures {
  struct job job;
  struct pump_task task;
  void (*done)(void *ctx, const struct q_error *e, struct str base64); /* (pump) NULL: nobody waits any more */
  void *ctx;
  struct app *app;
  struct config *config;
  struct pump *pump;
  struct strbuf urls, base64; /* one a line */
  struct q_error err;
};

static void pictures_free(struct pictures *p)
{
  config_unref(p->config);
  strbuf_free(&p->urls);
  strbuf_free(&p->base64);
  mem_free(p);
}

static void pictures_came(struct pump_task *t)
{
  struct pictures *p = (struct pictures *)((char *)t - offsetof(struct pictures, task));
  if(p->done) p->done(p->ctx, p->err.st ? &p->err : NULL, strbuf_str(&p->base64));
  pictures_free(p);
}

static enum q_status pictures_one(struct pictures *p, struct str url, struct strbuf *bytes)
{
  char type[80];
  struct fetch_want w = { .url = url, .proxy = str_z(p->config->proxy_url), .max = PICTURES_ONE_MAX, .deadline_ms = PICTURES_MS, .result_host = true };
  strbuf_clear(bytes);
  enum q_status st = fetch_get(p->app, p->config, &w, bytes, type, &p->err);
  if(st == Q_NOMEM) return st;
  if(st) return p->err.st = Q_MEDIA_FAILED; /* the words stay: they say why */
  if(!str_istarts(str_z(type), S("image/"))) return status_fail(&p->err, Q_MEDIA_FAILED, NULL, "The upstream's result is no picture.");
  codec_base64(strbuf_str(bytes), &p->base64);
  strbuf_addc(&p->base64, '\n');
  return p->base64.err;
}

static void pictures_run(struct job *j)
{
  struct pictures *p = (struct pictures *)j;
  struct strbuf bytes = STRBUF(PICTURES_ONE_MAX);
  struct str urls = strbuf_str(&p->urls);
  enum q_status st = Q_OK;
  while(urls.n && !st) st = pictures_one(p, str_cut(&urls, '\n'), &bytes);
  if(st && !p->err.st) status_fail(&p->err, st, NULL, st == Q_TOO_BIG ? "The pictures are too large for one answer; ask for URLs." : "Out of memory.");
  strbuf_free(&bytes);
  pump_post(p->pump, &p->task);
}

struct pictures *pictures_fetch(struct app *a, struct config *config, struct pump *pump, struct str urls,
                                void (*done)(void *ctx, const struct q_error *e, struct str base64), void *ctx)
{
  struct pictures *p = mem_zalloc(sizeof *p);
  if(!p) return NULL;
  *p = (struct pictures){ .job.fn = pictures_run, .task.fn = pictures_came, .done = done, .ctx = ctx, .app = a, .config = config_ref(config),
                          .pump = pump, .urls = STRBUF(urls.n), .base64 = STRBUF(PICTURES_ALL_MAX) };
  strbuf_adds(&p->urls, urls);
  if(!p->urls.err && jobs_submit(a->fetch_jobs, &p->job) == Q_OK) return p;
  pictures_free(p);
  return NULL;
}

void pictures_leave(struct pictures *p)
{
  if(p) p->done = NULL;
}
