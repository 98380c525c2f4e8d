#include "base/mem.h"
#include "domain/video.h"
#include "http/h_answer.h"
#include "http/h_form.h"
#include "http/h_media.h"
#include "http/handlers.h"
#include "proto/fold.h"
#include "proto/images.h"
#include "proto/in.h"
#include "proto/url.h"

enum { H_VIDEOS_WAIT_MAX_S = 900, H_VIDEOS_ANSWER_MAX = 16 * 1024 * 1024 };

/* The admin sees every job. */
static struct str h_videos_key(const struct req *q)
{
  return q->key == KEY_ADMIN ? STR_NONE : str_z(q->key_id);
}

/* ---- waiting for a job, on the client's pump ---- */

struct h_videos_wait {
  struct client_taker taker;
  struct client *client;      /* NULL: gone or answered */
  struct app *app;
  struct pump *pump;
  struct video_waiter waiter;
  bool joined, over;
  struct pump_timer timer;
  struct pump_task bury;
  int64_t wait_ms;
  char id[VIDEO_ID], request_id[132], ignored[CHAT_IGNORED_MAX + 1];
};

static void h_videos_bury(struct pump_task *t)
{
  mem_free((char *)t - offsetof(struct h_videos_wait, bury));
}

/* Frees it now, or when the word of its job that is on its way has come. */
static void h_videos_over(struct h_videos_wait *w)
{
  w->over = true;
  w->client = NULL;
  pump_timer_off(w->pump, &w->timer);
  if(w->joined && !video_leave(w->app, w->id, &w->waiter, false)) return;
  w->bury.fn = h_videos_bury;
  pump_defer(w->pump, &w->bury);
}

static void h_videos_answer(struct h_videos_wait *w, const struct q_error *e)
{
  struct client *client = w->client;
  struct config *config = app_config(w->app);
  struct strbuf b = STRBUF(H_VIDEOS_ANSWER_MAX), body = STRBUF(H_VIDEOS_ANSWER_MAX / 2), extra = STRBUF(1024);
  struct q_error gone = Q_ERROR_NONE;
  bool keep = client_keep_alive(client);
  if(w->ignored[0]) strbuf_fmt(&extra, "x-qwen2api-ignored: %s\r\n", w->ignored);
  struct reply r = { .status = 200, .config = config, .id = w->request_id, .type = S("application/json"), .keep = keep, .extra = strbuf_str(&extra),
                     .wall_s = now_wall_s(w->app->now) };
  if(!e && video_show(w->app, str_z(w->id), STR_NONE, &body)) {
    status_fail(&gone, Q_NOT_FOUND, NULL, "The video was deleted.");
    e = &gone;
  }
  if(e) {
    reply_error(&r, e, STR_NONE, false, &b);
  } else {
    r.length = (int64_t)body.n;
    reply_head(&r, &b);
    strbuf_adds(&b, strbuf_str(&body));
  }
  if(b.err || body.err || client_write(client, b.p, b.n)) keep = false;
  strbuf_free(&b);
  strbuf_free(&body);
  strbuf_free(&extra);
  config_unref(config);
  h_videos_over(w);
  client_done(client, keep);
}

static void h_videos_done(struct video_waiter *waiter)
{
  struct h_videos_wait *w = (struct h_videos_wait *)((char *)waiter - offsetof(struct h_videos_wait, waiter));
  w->joined = false;
  if(w->over) {
    w->bury.fn = h_videos_bury;
    pump_defer(w->pump, &w->bury);
  } else if(waiter->st && waiter->st != Q_AGAIN && !waiter->taken) { /* it never began: that is this request's error, and no job */
    if(video_delete(w->app, str_z(w->id), STR_NONE) == Q_OK) LOG_DEBUG(w->app->log, "video", w->request_id, "%s never began", w->id);
    h_videos_answer(w, &waiter->err);
  } else {
    h_videos_answer(w, NULL);
  }
}

static void h_videos_time(struct pump_timer *t)
{
  h_videos_answer((struct h_videos_wait *)((char *)t - offsetof(struct h_videos_wait, timer)), NULL);
}

static void h_videos_start(struct client_taker *t, struct client *client)
{
  struct h_videos_wait *w = (struct h_videos_wait *)((char *)t - offsetof(struct h_videos_wait, taker));
  w->client = client;
  w->pump = client_pump(client);
  w->timer.fn = h_videos_time;
  w->waiter = (struct video_waiter){ .done = h_videos_done, .pump = w->pump, .until_drain = true };
  client_release_request(client);
  w->joined = w->wait_ms && video_join(w->app, str_z(w->id), &w->waiter) == Q_OK;
  if(!w->joined || pump_timer_set(w->pump, &w->timer, pump_now(w->pump) + w->wait_ms)) h_videos_answer(w, NULL);
}

static void h_videos_drained(struct client_taker *t)
{
  (void)t;
}

static void h_videos_gone(struct client_taker *t)
{
  h_videos_over((struct h_videos_wait *)((char *)t - offsetof(struct h_videos_wait, taker)));
}

/* ---- POST /v1/videos ---- */

struct h_videos_wish { struct str model, prompt; enum chat_size size; int64_t wait_s; int seconds; struct chat_req scratch; };

static enum q_status h_videos_size(struct req *q, const struct json *body, struct h_videos_wish *v, struct q_error *e)
{
  size_t at, len;
  enum q_status st = in_size(&v->scratch, json_get(body, "size"), "size", e);
  if(!st) st = in_size(&v->scratch, json_get(body, "aspect_ratio"), "aspect_ratio", e);
  if(st) return st;
  enum chat_size word = fold_size_word(v->prompt, &at, &len);
  v->size = v->scratch.size ? v->scratch.size : word ? word : SIZE_16_9;
  if(!len) return Q_OK;
  struct strbuf cut = STRBUF(v->prompt.n + 1); /* a token written with '@' is not for the picture */
  strbuf_add(&cut, v->prompt.p, at);
  strbuf_adds(&cut, str_sub(v->prompt, at + len, v->prompt.n));
  struct str kept = cut.err ? STR_NONE : arena_str(q->arena, str_trim(strbuf_str(&cut)));
  strbuf_free(&cut);
  if(!kept.p) return in_no_memory(e);
  if(kept.n) v->prompt = kept;
  return Q_OK;
}

static enum q_status h_videos_read(struct req *q, const struct json *body, const struct multipart *form, struct h_videos_wish *v, struct q_error *e)
{
  static const struct in_idle idle[] = { { "seconds", true, IN_ANY }, { "quality", true, IN_ANY }, { "style", true, IN_ANY }, { "user", true, IN_ANY },
                                         { "n", true, IN_ANY }, { "response_format", true, IN_ANY }, { "stream", true, IN_ANY } };
  const struct json *wait = json_get(body, "wait");
  int64_t seconds = 0;
  bool reference = !json_absent(json_get(body, "input_reference"));
  if(!json_is(body, JSON_OBJECT)) return status_fail(e, Q_BAD_TYPE, NULL, "The request body must be a JSON object.");
  for(int i = 0; form && i < form->n; i++) reference |= str_eq(form->v[i].name, S("input_reference"));
  if(reference)
    return status_fail(e, Q_UNSUPPORTED, "input_reference", "'input_reference' cannot be honoured: the upstream makes videos from words only.");
  enum q_status st = images_prompt(body, &v->prompt, e);
  if(!st) st = in_text(body, "model", &v->model, e);
  if(!st) st = h_videos_size(q, body, v, e);
  if(!st) st = in_ignored(q->arena, body, idle, (int)(sizeof idle / sizeof idle[0]), &v->scratch, e);
  if(!st) st = IN_REST(q->arena, body, NULL, &v->scratch, e, "model", "prompt", "size", "aspect_ratio", "wait", "input_reference");
  v->wait_s = q->config->video_wait_ms / 1000;
  if(!st && !json_absent(wait) && !json_int(wait, &v->wait_s)) st = in_type(e, "wait", "a whole number of seconds");
  if(!st && (v->wait_s < 0 || v->wait_s > H_VIDEOS_WAIT_MAX_S)) st = status_fail(e, Q_BAD_VALUE, "wait", "'wait' must be from 0 to %d seconds.", H_VIDEOS_WAIT_MAX_S);
  if(json_int(json_get(body, "seconds"), &seconds) && seconds > 0 && seconds <= 60) v->seconds = (int)seconds;
  return st;
}

void h_videos_new(struct req *q)
{
  const struct multipart *form;
  const struct json *body = h_form_read(q, &form);
  struct h_videos_wish v = { .wait_s = 0 };
  struct models_pick pick;
  struct q_error e = Q_ERROR_NONE;
  if(!body) return;
  enum q_status st = h_videos_read(q, body, form, &v, &e);
  if(!st) st = h_form_model(q, v.model, str_istarts(v.model, S("sora-")), MODEL_VIDEO, &pick, &e);
  struct key_pass pass = { .held = false };
  if(!st) st = h_answer_admit(q, v.model, str_z(pick.id), 1, &pass, &e);
  struct h_videos_wait *w = st ? NULL : mem_zalloc(sizeof *w);
  if(!st && !w) st = in_no_memory(&e);
  if(!st) {
    struct video_order o = { .model_id = str_z(pick.id), .shown_model = v.model.n ? v.model : str_z(pick.id), .prompt = v.prompt, .size = fold_size_name(v.size),
                             .key_id = str_z(q->key_id), .request_id = q->id, .seconds = v.seconds, .pass = &pass };
    st = video_start(q->app, &o, NULL, w->id, &e);
  }
  if(st) {
    keys_done(q->app->keys, &pass, 0, 0, 0, now_wall_ms(q->app->now));
    mem_free(w);
    req_fail(q, &e);
    return;
  }
  w->app = q->app;
  w->wait_ms = v.wait_s * 1000;
  str_copy(w->request_id, sizeof w->request_id, str_z(q->id));
  str_copy(w->ignored, sizeof w->ignored, v.scratch.ignored);
  w->taker.start = h_videos_start;
  w->taker.on_drain = h_videos_drained;
  w->taker.on_gone = h_videos_gone;
  client_adopt(q->client, &w->taker);
}

/* ---- looking ---- */

static void h_videos_none(struct req *q)
{
  req_fail_st(q, Q_NOT_FOUND, NULL, "There is no such video; jobs are kept for 24 hours.");
}

void h_videos_list(struct req *q)
{
  struct strbuf body = STRBUF(H_VIDEOS_ANSWER_MAX), value = STRBUF(256), after = STRBUF(256);
  struct video_list l = { .key_id = h_videos_key(q) };
  int64_t limit = 20;
  if(url_query(q->query, S("limit"), &value) && (!str_int(strbuf_str(&value), &limit) || limit < 1 || limit > 100)) {
    req_fail_st(q, Q_BAD_VALUE, "limit", "'limit' must be from 1 to 100.");
  } else {
    strbuf_clear(&value);
    if(url_query(q->query, S("order"), &value)) l.oldest_first = str_eq(strbuf_str(&value), S("asc"));
    if(url_query(q->query, S("after"), &after)) l.after = strbuf_str(&after);
    l.limit = (int)limit;
    if(video_list(q->app, &l, &body)) req_fail_st(q, Q_NOT_FOUND, "after", "There is no such video to go on behind.");
    else if(body.err) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
    else req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&body));
  }
  strbuf_free(&body);
  strbuf_free(&value);
  strbuf_free(&after);
}

static void h_videos_content(struct req *q, struct str id)
{
  struct strbuf url = STRBUF(4096), variant = STRBUF(64);
  struct secret *proxy = NULL;
  struct q_error e = Q_ERROR_NONE;
  if(url_query(q->query, S("variant"), &variant) && !str_eq(strbuf_str(&variant), S("video"))) {
    req_fail_st(q, Q_UNSUPPORTED, "variant", "'variant' can only be video: the upstream makes nothing else.");
  } else if(video_result(q->app, id, h_videos_key(q), &url, &proxy, &e)) {
    if(!e.st) status_fail(&e, Q_NOMEM, NULL, "Out of memory.");
    req_fail(q, &e);
  } else {
    h_media_send(q, strbuf_str(&url), secret_str(proxy));
  }
  secret_unref(proxy);
  strbuf_free(&variant);
  strbuf_free(&url);
}

void h_videos_one(struct req *q)
{
  struct str rest = q->rest, id = str_cut(&rest, '/');
  if(str_eq(rest, S("content"))) {
    h_videos_content(q, id);
    return;
  }
  struct strbuf body = STRBUF(H_VIDEOS_ANSWER_MAX);
  if(rest.n || video_show(q->app, id, h_videos_key(q), &body)) h_videos_none(q);
  else if(body.err) req_fail_st(q, Q_NOMEM, NULL, "Out of memory.");
  else req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&body));
  strbuf_free(&body);
}

void h_videos_delete(struct req *q)
{
  struct strbuf body = STRBUF(512);
  if(video_delete(q->app, q->rest, h_videos_key(q))) {
    h_videos_none(q);
  } else {
    strbuf_lit(&body, "{\"id\":");
    strbuf_json(&body, q->rest);
    strbuf_lit(&body, ",\"object\":\"video.deleted\",\"deleted\":true}");
    req_answer(q, 200, S("application/json"), STR_NONE, strbuf_str(&body));
  }
  strbuf_free(&body);
}
