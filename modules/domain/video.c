#include "domain/video.h"

#include <stdio.h>

#include "base/mem.h"
#include "domain/video_run.h"

enum {
  VIDEO_KEEP_MS = 24 * 60 * 60 * 1000,
  VIDEO_TICK_MS = 5000,
  VIDEO_BATCH = 16,                 /* records of one commit */
  VIDEO_RECORD_MAX = 256 * 1024,
  VIDEO_LIST_MAX = 100
};

struct videos {
  struct app *app;
  pthread_mutex_t lock;             /* guards all below and every record */
  struct video *first;              /* newest first; the deleted ones too, until they are out of the store */
  int n;
  bool draining, closed;            /* closed: no job may be submitted any more */
  int64_t poll_ms;
  struct crypt_rng rng;
  struct job save_job;
  bool saving;
  struct pump_timer tick;
  struct app_pump *ticking;
};

static void video_give_back(struct video *v, int media)
{
  struct app *a = v->all->app;
  if(v->pass.held) keys_done(a->keys, &v->pass, 0, 0, media, now_wall_ms(a->now));
  else if(media && v->key_id[0]) keys_late(a->keys, v->key_id, media, now_wall_ms(a->now)); /* begun before a restart */
}

static void video_drop(struct videos *all, struct video *v)
{
  video_give_back(v, 0);
  struct video **at = &all->first;
  while(*at != v) at = &(*at)->next;
  *at = v->next;
  all->n--;
  strbuf_free(&v->prompt);
  mem_free(v->url);
  mem_free(v);
}

/* ---- records: the byte 2 and JSON, sealed, because prompts are in it; with the lock held ---- */

static const char *const video_words[] = { "queued", "in_progress", "completed", "failed" };

static void video_member(struct strbuf *b, const char *name, struct str value)
{
  strbuf_fmt(b, ",\"%s\":", name);
  strbuf_json(b, value);
}

static void video_record(const struct video *v, struct strbuf *b)
{
  strbuf_fmt(b, "{\"status\":\"%s\",\"seconds\":%d,\"attempts\":%d,\"created\":%lld,\"taken\":%lld,\"ended\":%lld", video_words[v->status], v->seconds, v->attempts,
             (long long)v->created_ms, (long long)v->taken_ms, (long long)v->ended_ms);
  video_member(b, "key", str_z(v->key_id));
  video_member(b, "size", str_z(v->size));
  video_member(b, "model", str_z(v->model_id));
  video_member(b, "shown", str_z(v->shown_model));
  video_member(b, "account", str_z(v->account));
  video_member(b, "task", str_z(v->task_id));
  video_member(b, "chat", str_z(v->chat_id));
  video_member(b, "prompt", str_sub(strbuf_str(&v->prompt), 0, VIDEO_PROMPT_KEPT));
  video_member(b, "url", str_z(v->url));
  video_member(b, "error", str_z(v->err.st ? status_row(v->err.st)->name : ""));
  video_member(b, "message", str_z(v->err.msg));
  strbuf_addc(b, '}');
}

static enum q_status video_status_named(struct str name)
{
  for(int st = 0; st < Q_STATUS_COUNT; st++)
    if(str_eq(name, str_z(status_row((enum q_status)st)->name))) return (enum q_status)st;
  return Q_MEDIA_FAILED;
}

static bool video_read(struct video *v, const struct json *r)
{
  struct { char *field; size_t cap; const char *name; } texts[] = {
    { v->key_id, sizeof v->key_id, "key" }, { v->size, sizeof v->size, "size" }, { v->model_id, sizeof v->model_id, "model" },
    { v->shown_model, sizeof v->shown_model, "shown" }, { v->account, sizeof v->account, "account" }, { v->task_id, sizeof v->task_id, "task" },
    { v->chat_id, sizeof v->chat_id, "chat" }, { v->err.msg, sizeof v->err.msg, "message" } };
  struct str status = json_str(json_get(r, "status")), url = json_str(json_get(r, "url")), error = json_str(json_get(r, "error"));
  int64_t seconds = 5, attempts = 0;
  size_t k = 0;
  while(k < 4 && !str_eq(status, str_z(video_words[k]))) k++;
  if(k == 4) return false;
  v->status = (enum video_status)k;
  for(size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) str_copy(texts[i].field, texts[i].cap, json_str(json_get(r, texts[i].name)));
  (void)json_int(json_get(r, "seconds"), &seconds);
  (void)json_int(json_get(r, "attempts"), &attempts);
  (void)json_int(json_get(r, "created"), &v->created_ms);
  (void)json_int(json_get(r, "taken"), &v->taken_ms);
  (void)json_int(json_get(r, "ended"), &v->ended_ms);
  v->seconds = (int)seconds;
  v->attempts = (int)attempts;
  if(error.n) v->err.st = video_status_named(error);
  strbuf_adds(&v->prompt, json_str(json_get(r, "prompt")));
  if(url.n) v->url = mem_strndup(url.p, url.n);
  if(v->status == VIDEO_RUNNING && v->task_id[0]) return true;
  if(v->status < VIDEO_COMPLETED) { /* nobody knows what became of it */
    v->status = VIDEO_FAILED;
    v->ended_ms = v->created_ms;
    v->changes++;
    status_fail(&v->err, Q_MEDIA_FAILED, NULL, "The gateway was restarted before the upstream had named the task; send the request again.");
  }
  return v->status != VIDEO_COMPLETED || v->url;
}

static struct video *video_find(struct videos *all, struct str id, struct str key_id)
{
  for(struct video *v = all->first; v; v = v->next)
    if(!v->deleted && str_eq(str_z(v->id), id)) return key_id.n == 0 || str_eq(str_z(v->key_id), key_id) ? v : NULL;
  return NULL;
}

/* ---- writing: one job at a time, in batches ---- */

struct video_batch { struct store_op ops[VIDEO_BATCH]; struct strbuf keys[VIDEO_BATCH], values[VIDEO_BATCH]; struct video *v[VIDEO_BATCH]; unsigned changes[VIDEO_BATCH]; int n; };

/* With the lock held. */
static void video_gather(struct videos *all, struct video_batch *batch)
{
  batch->n = 0;
  for(struct video *v = all->first; v && batch->n < VIDEO_BATCH; v = v->next) {
    if(v->changes == v->saved || (v->deleted && v->run)) continue;
    int i = batch->n++;
    batch->keys[i] = STRBUF(64);
    batch->values[i] = STRBUF(VIDEO_RECORD_MAX);
    strbuf_fmt(&batch->keys[i], "video/%s", v->id);
    if(!v->deleted) video_record(v, &batch->values[i]);
    batch->ops[i] = (struct store_op){ strbuf_str(&batch->keys[i]), strbuf_str(&batch->values[i]), v->deleted };
    batch->v[i] = v;
    batch->changes[i] = v->changes;
    if(batch->keys[i].err || batch->values[i].err) { /* out of memory: the next tick tries again */
      strbuf_free(&batch->keys[i]);
      strbuf_free(&batch->values[i]);
      batch->n--;
      return;
    }
  }
}

/* Without the lock. */
static enum q_status video_seal_batch(struct videos *all, struct video_batch *batch)
{
  enum q_status st = Q_OK;
  for(int i = 0; i < batch->n && !st; i++) {
    struct strbuf sealed = STRBUF(2 * VIDEO_RECORD_MAX);
    if(batch->ops[i].del) continue;
    strbuf_addc(&sealed, 2);
    st = seal_text(all->app->seal, batch->ops[i].key, batch->ops[i].value, &sealed);
    strbuf_free(&batch->values[i]);
    batch->values[i] = sealed;
    batch->ops[i].value = strbuf_str(&batch->values[i]);
  }
  return st;
}

/* false: nothing was to be written, or the store did not take it. */
static bool video_save_batch(struct videos *all)
{
  struct video_batch batch;
  pthread_mutex_lock(&all->lock);
  video_gather(all, &batch);
  pthread_mutex_unlock(&all->lock);
  struct store *s = all->app->store;
  bool ok = batch.n > 0 && (!s->ops->lasting || (!video_seal_batch(all, &batch) && s->ops->commit(s, batch.ops, batch.n) == Q_OK));
  if(batch.n && !ok) LOG_ERROR(all->app->log, "store", "", "the video jobs could not be written; tried again in a few seconds");
  pthread_mutex_lock(&all->lock);
  for(int i = 0; i < batch.n; i++) {
    if(ok) batch.v[i]->saved = batch.changes[i];
    if(ok && batch.v[i]->deleted && batch.v[i]->saved == batch.v[i]->changes && !batch.v[i]->run) video_drop(all, batch.v[i]);
    strbuf_free(&batch.keys[i]);
    strbuf_free(&batch.values[i]);
  }
  pthread_mutex_unlock(&all->lock);
  return ok;
}

static void video_save_job(struct job *j)
{
  struct videos *all = (struct videos *)((char *)j - offsetof(struct videos, save_job));
  while(video_save_batch(all)) {}
  pthread_mutex_lock(&all->lock);
  all->saving = false;
  pthread_mutex_unlock(&all->lock);
}

/* With the lock held. */
static void video_changed(struct video *v)
{
  struct videos *all = v->all;
  v->changes++;
  if(all->saving || all->closed) return;
  all->saving = jobs_submit(all->app->jobs, &all->save_job) == Q_OK;
}

/* ---- waiters: with the lock held ---- */

static void video_done(struct pump_task *t)
{
  struct video_waiter *w = (struct video_waiter *)((char *)t - offsetof(struct video_waiter, task));
  w->done(w);
}

static void video_answer(const struct video *v, struct video_waiter *w)
{
  w->listed = false;
  w->st = v->status == VIDEO_COMPLETED ? Q_OK : v->status == VIDEO_FAILED ? v->err.st : Q_AGAIN;
  w->err = v->err;
  w->attempts = v->attempts;
  w->taken = v->taken_ms != 0;
  str_copy(w->url, sizeof w->url, str_z(v->url));
  pump_post(w->pump, &w->task);
}

static void video_answer_all(struct video *v, bool drain_only)
{
  for(struct video_waiter **at = &v->waiters, *w; (w = *at);) {
    if(drain_only && !w->until_drain) {
      at = &w->next;
      continue;
    }
    *at = w->next;
    video_answer(v, w);
  }
}

static void video_listen(struct video *v, struct video_waiter *w)
{
  w->task.fn = video_done;
  w->next = NULL;
  w->listed = true;
  if(v->status >= VIDEO_COMPLETED || (v->all->draining && w->until_drain)) {
    video_answer(v, w);
  } else {
    w->next = v->waiters;
    v->waiters = w;
  }
}

/* ---- what a run tells ---- */

struct app *video_app(const struct video *v) { return v->all->app; }
struct app_pump *video_home(const struct video *v) { return &v->all->app->pumps[0]; }

int64_t video_poll_ms(const struct video *v)
{
  pthread_mutex_lock(&v->all->lock);
  int64_t ms = v->all->poll_ms;
  pthread_mutex_unlock(&v->all->lock);
  return ms;
}

bool video_wanted(struct video *v)
{
  pthread_mutex_lock(&v->all->lock);
  bool wanted = !v->deleted && !(v->abandoned && !v->taken_ms);
  pthread_mutex_unlock(&v->all->lock);
  return wanted;
}

void video_note_attempts(struct video *v, int n)
{
  pthread_mutex_lock(&v->all->lock);
  v->attempts = n;
  pthread_mutex_unlock(&v->all->lock);
}

/* The rest of a long prompt is of no use any more. */
static void video_cut_prompt(struct video *v)
{
  struct strbuf kept = STRBUF(VIDEO_PROMPT_KEPT);
  if(v->prompt.n <= VIDEO_PROMPT_KEPT) return;
  size_t n = VIDEO_PROMPT_KEPT;
  while(n && ((unsigned char)v->prompt.p[n] & 0xc0) == 0x80) n--;
  strbuf_add(&kept, v->prompt.p, n);
  if(kept.err) return;
  strbuf_free(&v->prompt);
  v->prompt = kept;
}

void video_note_taken(struct video *v, struct str task_id, struct str chat_id, const char account[17])
{
  pthread_mutex_lock(&v->all->lock);
  v->status = VIDEO_RUNNING;
  v->taken_ms = now_wall_ms(v->all->app->now);
  str_copy(v->task_id, sizeof v->task_id, task_id);
  str_copy(v->chat_id, sizeof v->chat_id, chat_id);
  str_copy(v->account, sizeof v->account, str_z(account));
  video_cut_prompt(v);
  video_changed(v);
  pthread_mutex_unlock(&v->all->lock);
}

/* A job of a client's own, once. One that a chat waits for is counted with the chat. */
static void video_count(struct video *v, int status, const char *code)
{
  struct app *a = v->all->app;
  int64_t now = now_wall_ms(a->now);
  struct stats_turn t = { .request_id = v->request_id, .endpoint = "/v1/videos", .code = code, .model = str_z(v->model_id), .status = status,
                          .attempts = v->attempts, .media = status == 200, .videos = status == 200, .total_ms = now > v->created_ms ? now - v->created_ms : 0 };
  if(!v->key_id[0] || v->ended_ms) return;
  memcpy(t.account, v->account, sizeof t.account);
  memcpy(t.key, v->key_id, sizeof t.key);
  stats_note(a->stats, &t, now);
}

static void video_ended(struct video *v)
{
  const struct status_row *bad = v->status == VIDEO_FAILED ? status_row(v->err.st) : NULL;
  video_give_back(v, v->status == VIDEO_COMPLETED && !v->ended_ms);
  video_count(v, !bad ? 200 : bad->http ? bad->http : 500, bad ? bad->code : "");
  v->ended_ms = now_wall_ms(v->all->app->now);
  video_cut_prompt(v);
  video_changed(v);
  video_answer_all(v, false);
}

void video_note_done(struct video *v, struct str url)
{
  pthread_mutex_lock(&v->all->lock);
  v->url = mem_strndup(url.p, url.n);
  v->status = v->url ? VIDEO_COMPLETED : VIDEO_FAILED;
  if(!v->url) status_fail(&v->err, Q_NOMEM, NULL, "Out of memory.");
  video_ended(v);
  pthread_mutex_unlock(&v->all->lock);
}

void video_note_failed(struct video *v, const struct q_error *e)
{
  pthread_mutex_lock(&v->all->lock);
  v->status = VIDEO_FAILED;
  v->err = *e;
  video_ended(v);
  pthread_mutex_unlock(&v->all->lock);
}

void video_note_left(struct video *v)
{
  struct q_error e = Q_ERROR_NONE;
  pthread_mutex_lock(&v->all->lock);
  v->run = NULL;
  video_give_back(v, 0);
  if(v->abandoned && !v->taken_ms) v->deleted = true;
  if(v->deleted) video_count(v, 499, "client_closed");
  if(v->waiters) { /* deleted under their hands, or the end of the gateway */
    status_fail(&e, v->deleted ? Q_NOT_FOUND : Q_SHUTDOWN, NULL, "%s",
                v->deleted ? "The video was deleted." : "The gateway is shutting down; send the request again.");
    struct q_error kept = v->err;
    enum video_status status = v->status;
    v->err = e;
    v->status = VIDEO_FAILED;
    video_answer_all(v, false);
    v->err = kept;
    v->status = status;
  }
  if(v->deleted) video_changed(v);
  pthread_mutex_unlock(&v->all->lock);
}

/* ---- for everybody ---- */

/* Room for one more: the oldest ended one goes. With the lock held. */
static bool video_make_room(struct videos *all)
{
  struct video *oldest = NULL;
  if(all->n < VIDEO_MAX) return true;
  for(struct video *v = all->first; v; v = v->next)
    if(v->status >= VIDEO_COMPLETED && !v->run && !v->deleted) oldest = v;
  if(!oldest) return false;
  oldest->deleted = true;
  video_changed(oldest);
  return all->n < VIDEO_MAX + VIDEO_BATCH; /* it leaves the list when it has left the store */
}

static struct video *video_new(struct videos *all, const struct video_order *o)
{
  struct video *v = mem_zalloc(sizeof *v);
  if(!v) return NULL;
  v->all = all;
  v->prompt = STRBUF(256 * 1024);
  strbuf_adds(&v->prompt, o->prompt);
  str_copy(v->key_id, sizeof v->key_id, o->key_id);
  str_copy(v->size, sizeof v->size, str_z(o->size ? o->size : "16:9"));
  str_copy(v->request_id, sizeof v->request_id, str_z(o->request_id));
  str_copy(v->model_id, sizeof v->model_id, o->model_id);
  str_copy(v->shown_model, sizeof v->shown_model, o->shown_model);
  v->seconds = o->seconds ? o->seconds : 5;
  v->created_ms = now_wall_ms(all->app->now);
  v->run = v->prompt.err ? NULL : video_run_new(v);
  if(v->run) return v;
  strbuf_free(&v->prompt);
  mem_free(v);
  return NULL;
}

enum q_status video_start(struct app *a, const struct video_order *o, struct video_waiter *w, char id[VIDEO_ID], struct q_error *e)
{
  struct videos *all = a->videos;
  enum q_status st = Q_OK;
  pthread_mutex_lock(&all->lock);
  if(all->draining || all->closed) st = status_fail(e, Q_SHUTDOWN, NULL, "The gateway is shutting down; send the request again.");
  else if(!video_make_room(all)) st = status_fail(e, Q_OVERLOADED, NULL, "%d videos are being made already; try again later.", all->n);
  pthread_mutex_unlock(&all->lock);
  struct video *v = st ? NULL : video_new(all, o);
  if(st) return st;
  if(!v) return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
  pthread_mutex_lock(&all->lock);
  memcpy(v->id, "video_", 6);
  crypt_id(&all->rng, v->id + 6, 24);
  memcpy(id, v->id, VIDEO_ID);
  v->next = all->first;
  all->first = v;
  all->n++;
  if(o->pass) {
    v->pass = *o->pass;
    o->pass->held = false;
  }
  if(w) video_listen(v, w);
  video_changed(v);
  video_run_start(v->run); /* under the lock: it cannot have left before */
  pthread_mutex_unlock(&all->lock);
  return Q_OK;
}

bool video_leave(struct app *a, const char *id, struct video_waiter *w, bool abandon)
{
  bool was = false;
  pthread_mutex_lock(&a->videos->lock);
  struct video *v = a->videos->first;
  while(v && strcmp(v->id, id) != 0) v = v->next;
  if(v && w->listed)
    for(struct video_waiter **at = &v->waiters; *at && !was; at = &(*at)->next)
      if(*at == w) {
        *at = w->next;
        w->listed = false;
        was = true;
        break;
      }
  if(v && abandon && !v->waiters) v->abandoned = true;
  pthread_mutex_unlock(&a->videos->lock);
  return was;
}

enum q_status video_join(struct app *a, struct str id, struct video_waiter *w)
{
  pthread_mutex_lock(&a->videos->lock);
  struct video *v = video_find(a->videos, id, STR_NONE);
  if(v) video_listen(v, w);
  pthread_mutex_unlock(&a->videos->lock);
  return v ? Q_OK : Q_NOT_FOUND;
}

static void video_write(const struct video *v, struct strbuf *json)
{
  struct video_object o = { .id = v->id, .model = str_z(v->shown_model), .prompt = strbuf_str(&v->prompt), .size = str_z(v->size), .url = str_z(v->url),
                            .status = v->status, .created_s = v->created_ms / 1000, .completed_s = v->status == VIDEO_COMPLETED ? v->ended_ms / 1000 : 0,
                            .seconds = v->seconds, .error = &v->err };
  video_object_write(&o, json);
}

enum q_status video_show(struct app *a, struct str id, struct str key_id, struct strbuf *json)
{
  pthread_mutex_lock(&a->videos->lock);
  struct video *v = video_find(a->videos, id, key_id);
  if(v) video_write(v, json);
  pthread_mutex_unlock(&a->videos->lock);
  return v ? Q_OK : Q_NOT_FOUND;
}

/* All that a key may see, in the order asked for, into v: how many. With the lock held. */
static int video_select(struct videos *all, const struct video_list *l, struct video **out)
{
  int n = 0;
  for(struct video *v = all->first; v && n < VIDEO_MAX + VIDEO_BATCH; v = v->next)
    if(!v->deleted && (l->key_id.n == 0 || str_eq(str_z(v->key_id), l->key_id))) out[n++] = v;
  for(int i = 0; l->oldest_first && i < n / 2; i++) {
    struct video *swap = out[i];
    out[i] = out[n - 1 - i];
    out[n - 1 - i] = swap;
  }
  return n;
}

enum q_status video_list(struct app *a, const struct video_list *l, struct strbuf *json)
{
  struct video *all[VIDEO_MAX + VIDEO_BATCH];
  int from = 0, limit = l->limit < 1 ? 20 : l->limit > VIDEO_LIST_MAX ? VIDEO_LIST_MAX : l->limit;
  pthread_mutex_lock(&a->videos->lock);
  int n = video_select(a->videos, l, all);
  if(l->after.n) {
    while(from < n && !str_eq(str_z(all[from]->id), l->after)) from++;
    if(from == n) {
      pthread_mutex_unlock(&a->videos->lock);
      return Q_NOT_FOUND;
    }
    from++;
  }
  int to = from + limit < n ? from + limit : n;
  strbuf_lit(json, "{\"object\":\"list\",\"data\":[");
  for(int i = from; i < to; i++) {
    if(i > from) strbuf_addc(json, ',');
    video_write(all[i], json);
  }
  strbuf_fmt(json, "],\"has_more\":%s,\"first_id\":", to < n ? "true" : "false");
  if(to > from) strbuf_fmt(json, "\"%s\",\"last_id\":\"%s\"}", all[from]->id, all[to - 1]->id);
  else strbuf_lit(json, "null,\"last_id\":null}");
  pthread_mutex_unlock(&a->videos->lock);
  return Q_OK;
}

enum q_status video_delete(struct app *a, struct str id, struct str key_id)
{
  pthread_mutex_lock(&a->videos->lock);
  struct video *v = video_find(a->videos, id, key_id);
  if(v) {
    v->deleted = true; /* a run sees it at its next step */
    video_changed(v);
  }
  pthread_mutex_unlock(&a->videos->lock);
  return v ? Q_OK : Q_NOT_FOUND;
}

enum q_status video_result(struct app *a, struct str id, struct str key_id, struct strbuf *url, struct secret **proxy, struct q_error *e)
{
  char account[17] = "";
  enum q_status st = Q_OK;
  *proxy = NULL;
  pthread_mutex_lock(&a->videos->lock);
  struct video *v = video_find(a->videos, id, key_id);
  if(!v) st = status_fail(e, Q_NOT_FOUND, NULL, "There is no such video.");
  else if(v->status == VIDEO_FAILED) st = (*e = v->err).st;
  else if(v->status != VIDEO_COMPLETED) st = status_fail(e, Q_NOT_READY, NULL, "The video is still being made; ask again later.");
  if(!st) {
    strbuf_addz(url, v->url);
    memcpy(account, v->account, sizeof account);
  }
  pthread_mutex_unlock(&a->videos->lock);
  struct account *who = st ? NULL : pool_keep_named(a->pool, account);
  struct pool_login login;
  if(who && pool_login_get(a->pool, who, &login)) {
    *proxy = secret_ref(login.proxy);
    pool_login_free(&login);
  }
  if(who) pool_unkeep(a->pool, who);
  return st ? st : url->err;
}

/* ---- all of them ---- */

struct videos *videos_new(struct app *a)
{
  struct videos *v = mem_zalloc(sizeof *v);
  if(!v) return NULL;
  v->app = a;
  v->save_job.fn = video_save_job;
  pthread_mutex_init(&v->lock, NULL);
  return v;
}

struct videos_load { struct videos *all; int bad; bool no_memory; };

static bool videos_load_one(void *ctx, struct str key, struct str value)
{
  struct videos_load *l = ctx;
  struct arena a = ARENA(4 * VIDEO_RECORD_MAX);
  struct video *v = mem_zalloc(sizeof *v), **at = &l->all->first;
  struct str id = str_sub(key, 6, key.n);
  struct strbuf plain = STRBUF(VIDEO_RECORD_MAX);
  struct str text = str_sub(value, 1, value.n);
  bool sealed = value.n && value.p[0] == 2;
  if(sealed) text = seal_plain(l->all->app->seal, key, text, &plain) ? STR_NONE : strbuf_str(&plain);
  const struct json *r = sealed || (value.n && value.p[0] == 1) ? json_parse(&a, text, 8, NULL) : NULL;
  bool ok = v && id.n == VIDEO_ID - 1;
  if(v) {
    v->all = l->all;
    v->prompt = STRBUF(256 * 1024);
    str_copy(v->id, sizeof v->id, id);
    ok = ok && video_read(v, r);
    if(!sealed) v->changes++; /* an early version left it open */
  }
  arena_free(&a);
  strbuf_free(&plain);
  if(ok) {
    while(*at && (*at)->created_ms > v->created_ms) at = &(*at)->next;
    v->next = *at;
    *at = v;
    l->all->n++;
    return true;
  }
  l->no_memory |= !v;
  l->bad++;
  if(v) strbuf_free(&v->prompt), mem_free(v->url), mem_free(v);
  return !l->no_memory;
}

enum q_status videos_load(struct videos *v, struct q_error *e)
{
  struct videos_load l = { .all = v };
  struct store *s = v->app->store;
  enum q_status st = s->ops->scan(s, S("video/"), videos_load_one, &l);
  if(l.bad) LOG_WARN(v->app->log, "store", "", "%d video jobs of the store could not be read and are left there", l.bad);
  if(st || l.no_memory) return status_fail(e, st ? st : Q_NOMEM, NULL, "The video jobs cannot be read from the store.");
  return Q_OK;
}

enum q_status videos_reseal(struct videos *all)
{
  bool left = false;
  for(struct video *v = all->first; v; v = v->next) v->changes++;
  while(video_save_batch(all)) {}
  for(struct video *v = all->first; v; v = v->next) left |= v->changes != v->saved;
  return left ? Q_STORE : Q_OK;
}

static void videos_tick(struct pump_timer *t)
{
  struct videos *all = (struct videos *)((char *)t - offsetof(struct videos, tick));
  int64_t now = now_wall_ms(all->app->now);
  bool dirty = false;
  pthread_mutex_lock(&all->lock);
  for(struct video *v = all->first; v; v = v->next) {
    if(!v->run && !v->deleted && v->created_ms + VIDEO_KEEP_MS <= now) {
      v->deleted = true;
      v->changes++;
    }
    dirty |= v->changes != v->saved && !(v->deleted && v->run);
  }
  if(dirty && !all->saving && !all->closed) all->saving = jobs_submit(all->app->jobs, &all->save_job) == Q_OK;
  pthread_mutex_unlock(&all->lock);
  if(pump_timer_set(all->ticking->pump, &all->tick, pump_now(all->ticking->pump) + VIDEO_TICK_MS)) LOG_ERROR(all->app->log, "video", "", "no memory for a timer");
}

void videos_begin(struct videos *all, struct app_pump *home)
{
  all->ticking = home;
  all->tick.fn = videos_tick;
  pthread_mutex_lock(&all->lock);
  for(struct video *v = all->first; v; v = v->next) {
    if(v->run || v->status != VIDEO_RUNNING || v->deleted) continue;
    v->run = video_run_new(v);
    if(v->run) video_run_start(v->run);
  }
  pthread_mutex_unlock(&all->lock);
  videos_tick(&all->tick);
}

void videos_set_poll_ms(struct videos *v, int64_t ms)
{
  pthread_mutex_lock(&v->lock);
  v->poll_ms = ms;
  pthread_mutex_unlock(&v->lock);
}

void videos_drain(struct videos *all)
{
  pthread_mutex_lock(&all->lock);
  all->draining = true;
  for(struct video *v = all->first; v; v = v->next) video_answer_all(v, true);
  pthread_mutex_unlock(&all->lock);
}

void videos_end(struct videos *all)
{
  struct video_run *runs[VIDEO_MAX + VIDEO_BATCH];
  int n = 0;
  if(all->ticking) pump_timer_off(all->ticking->pump, &all->tick);
  pthread_mutex_lock(&all->lock);
  all->draining = all->closed = true;
  for(struct video *v = all->first; v; v = v->next)
    if(v->run && n < VIDEO_MAX + VIDEO_BATCH) runs[n++] = v->run;
  pthread_mutex_unlock(&all->lock);
  for(int i = 0; i < n; i++) video_run_end(runs[i]); /* buried in the pump's next turn at the earliest: none is gone yet */
}

void videos_destroy(struct videos *all)
{
  if(!all) return;
  if(all->app->store && all->app->store->ops->lasting)
    while(video_save_batch(all)) {}
  while(all->first) video_drop(all, all->first);
  pthread_mutex_destroy(&all->lock);
  mem_free(all);
}
