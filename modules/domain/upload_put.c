#include "domain/upload_put.h"

#include <stdio.h>
#include <time.h>

#include "domain/fetch.h"
#include "domain/qwen.h"
#include "proto/files.h"
#include "proto/oss_sign.h"

enum {
  PUT_TRIES = 4,                  /* 1, 2 and 4 s apart */
  PUT_CALL_MS = 20 * 1000,
  PUT_BYTES_MS = 60 * 1000,       /* and a second more per 100 KB */
  PUT_PARSE_MS = 60 * 1000,
  PUT_POLL_MS = 700,
  PUT_UNTOLD = 3,                 /* polls without a status: it counts as ready */
  PUT_ANSWER_MAX = 1024 * 1024,
  PUT_PIECE = 100 * 1024
};

/* An answer and what is wrong with it. */
struct upload_put_answer { int status; struct strbuf body; struct trouble t; };

static bool upload_put_alive(const struct upload_put *p)
{
  return !atomic_load(&p->app->ending) && p->go_on(p->ctx);
}

static bool upload_put_watch(void *ctx, const struct strbuf *body)
{
  (void)body;
  return upload_put_alive(ctx);
}

static enum q_status upload_put_left(const struct upload_put *p)
{
  return atomic_load(&p->app->ending) ? Q_SHUTDOWN : Q_CLIENT_GONE;
}

/* False: given up meanwhile. */
static bool upload_put_sleep(const struct upload_put *p, int64_t ms)
{
  int64_t until_ms = now_mono_ms(p->app->now) + ms;
  while(upload_put_alive(p)) {
    struct timespec pause = { 0, 20 * 1000 * 1000 };
    if(now_mono_ms(p->app->now) >= until_ms) return true;
    nanosleep(&pause, NULL);
  }
  return false;
}

static void upload_put_say(struct upload_put_result *out, const char *words)
{
  if(words[0]) str_copy(out->words, sizeof out->words, str_z(words));
}

void upload_put_free(struct upload_put_result *r)
{
  strbuf_free(&r->url);
}

/* Whether the same call may be made once more. */
static bool upload_put_again(enum q_status st, int status)
{
  if(!st) return status >= 500;
  return st == Q_UP_CUT || st == Q_UP_UNREACHABLE || st == Q_UP_CONNECT_TIME || st == Q_UP_FIRST_TIME || st == Q_UP_IDLE_TIME;
}

/* ---- calls to the web chat's own host ---- */

/* POST, repeated on 5xx and transport trouble. Q_OK: there is an answer, good or bad. */
static enum q_status upload_put_post(const struct upload_put *p, const char *path, const struct strbuf *json,
                                     struct upload_put_answer *a, struct upload_put_result *out)
{
  struct crypt_rng rng = { .left = 0 };
  struct strbuf url = STRBUF(16 * 1024), headers = STRBUF(64 * 1024);
  struct qwen_call q = { p->config, &rng, p->token, STR_NONE, false, now_wall_s(p->app->now), p->headers, p->cookie };
  struct httpc_watch watch = { upload_put_watch, (void *)p, false };
  struct q_error e = Q_ERROR_NONE;
  enum q_status st = Q_OK;
  qwen_headers(&q, &headers);
  qwen_url(p->config, path, STR_NONE, &url);
  for(int n = 0; n < PUT_TRIES; n++) {
    struct strbuf body = { json->p, json->n, 0, json->n, Q_OK }; /* borrowed */
    struct xchg_req r = { .url = strbuf_str(&url), .proxy = p->proxy.n ? p->proxy : str_z(p->config->proxy_url), .method = S("POST"),
                          .headers = strbuf_str(&headers), .body = &body, .connect_ms = p->config->upstream_connect_timeout_ms };
    if(n && !upload_put_sleep(p, (int64_t)1000 << (n - 1))) {
      st = Q_CLIENT_GONE;
      break;
    }
    strbuf_free(&a->body);
    a->body = STRBUF(PUT_ANSWER_MAX);
    st = url.err ? url.err : headers.err ? headers.err : json->err;
    if(!st) st = httpc_call_watched(p->app->net, p->app->now, &r, &watch, PUT_CALL_MS, &a->status, NULL, &a->body, &e);
    if(!upload_put_again(st, a->status)) break;
  }
  crypt_wipe(&rng, sizeof rng);
  if(headers.p) crypt_wipe(headers.p, headers.n);
  strbuf_free(&headers);
  strbuf_free(&url);
  if(st == Q_CLIENT_GONE) return upload_put_left(p);
  if(st) {
    upload_put_say(out, e.msg);
    return st == Q_BAD_VALUE || st == Q_TOO_BIG ? Q_UP_BODY : st;
  }
  trouble_body(&a->t, a->status, STR_NONE, strbuf_str(&a->body));
  return Q_OK;
}

static void upload_put_answer_free(struct upload_put_answer *a)
{
  if(a->body.p) crypt_wipe(a->body.p, a->body.n); /* keys of the store */
  strbuf_free(&a->body);
}

/* What a bad answer means to the run: what is the account's stays what it is, the rest is a failed upload. */
static enum q_status upload_put_trouble(const struct trouble *t, struct upload_put_result *out)
{
  upload_put_say(out, t->words[0] ? t->words : status_row(t->st)->text);
  out->wait_s = t->wait_s;
  switch(t->st) {
  case Q_UP_AUTH: case Q_UP_BARRED: case Q_UP_CHALLENGE: case Q_UP_BUSY: case Q_UP_QUOTA: case Q_NOMEM: return t->st;
  case Q_UP_PARALLEL: return Q_UP_BUSY;
  case Q_FILTER: return Q_BAD_MEDIA;
  default: return Q_UPLOAD_FAILED;
  }
}

/* ---- the upload token ---- */

static bool upload_put_mentions(const struct upload_put_answer *a, struct str word)
{
  return str_ifind(strbuf_str(&a->body), word) >= 0;
}

static bool upload_put_invalid(const struct upload_put_answer *a)
{
  return a->status == 422 || a->t.st == Q_UP_BODY;
}

static enum q_status upload_put_ask(const struct upload_put *p, bool v1, bool text_size, bool document, struct upload_put_answer *a,
                                    struct upload_put_result *out)
{
  struct strbuf json = STRBUF(4096);
  files_ask_token(p->name, (int64_t)p->bytes.n, p->kind, text_size, document, &json);
  enum q_status st = upload_put_post(p, v1 ? "/api/v1/files/getstsToken" : "/api/v2/files/getstsToken", &json, a, out);
  strbuf_free(&json);
  return st;
}

/* Each way of asking is changed at most once: the version on 404, the kind of filesize, the word for documents. */
static enum q_status upload_put_token(const struct upload_put *p, struct upload_put_answer *a, struct upload_put_result *out)
{
  struct upload_ways *w = p->ways;
  bool v1 = atomic_load(&w->sts_v1), text = atomic_load(&w->text_size), document = atomic_load(&w->document);
  bool other_version = false, other_size = false, other_word = p->kind != MEDIA_DOCUMENT;
  for(;;) {
    enum q_status st = upload_put_ask(p, v1, text, document, a, out);
    if(st) return st;
    if((a->status == 404 || a->status == 405) && !other_version) {
      v1 = !v1;
      other_version = true;
      continue;
    }
    if(!a->t.st) break;
    if(a->status == 404 || a->status == 405) return upload_put_trouble(&a->t, out);
    bool word = upload_put_mentions(a, S("filetype"));
    if(!upload_put_invalid(a) || (other_size && other_word)) return upload_put_trouble(&a->t, out);
    if(other_size || (word && !other_word)) {
      document = !document;
      other_word = true;
    } else {
      text = !text;
      other_size = true;
    }
  }
  atomic_store(&w->sts_v1, v1);
  atomic_store(&w->text_size, text);
  if(p->kind == MEDIA_DOCUMENT) atomic_store(&w->document, document);
  return Q_OK;
}

/* ---- the store ---- */

bool upload_put_host(const struct config *c, struct str bucket, struct str host, bool *named)
{
  *named = fetch_result_host(c, host);
  if(*named) return true;
  for(int i = 0; i < c->upstream_resolve_n; i++) {
    const struct config_map *m = &c->upstream_resolve[i];
    if((!m->port || m->port == 443) && str_ieq(str_z(m->host), host)) return *named = true;
  }
  struct str rest = str_sub(host, bucket.n, host.n);
  if(!str_starts(host, bucket) || !str_starts(rest, S(".oss-")) || !str_ends(rest, S(".aliyuncs.com"))) return false;
  struct str word = str_sub(rest, 5, rest.n - 5 - 13);
  for(size_t i = 0; i < word.n; i++)
    if(!((word.p[i] >= 'a' && word.p[i] <= 'z') || (word.p[i] >= '0' && word.p[i] <= '9') || word.p[i] == '-')) return false;
  return word.n > 0;
}

static enum q_status upload_put_send(const struct upload_put *p, const struct files_token *t, bool v1, bool named, int *status,
                                     char code[64], struct upload_put_result *out)
{
  struct strbuf url = STRBUF(8 * 1024), headers = STRBUF(32 * 1024), body = { (char *)p->bytes.p, p->bytes.n, 0, p->bytes.n, Q_OK };
  struct strbuf answer = STRBUF(PUT_ANSWER_MAX);
  struct oss_put sign = { t->key_id, t->secret, t->token, t->bucket, t->region, t->path, p->mime, now_wall_s(p->app->now) };
  struct httpc_watch watch = { upload_put_watch, (void *)p, !named };
  struct q_error e = Q_ERROR_NONE;
  strbuf_fmt(&url, "https://%s/", t->host);
  oss_path(t->path, &url);
  if(v1) oss_sign_v1(&sign, &headers);
  else oss_sign_v4(&sign, &headers, NULL);
  strbuf_lit(&headers, "User-Agent: ");
  strbuf_addz(&headers, p->config->upstream_user_agent);
  strbuf_lit(&headers, "\r\n");
  struct xchg_req r = { .url = strbuf_str(&url), .proxy = p->proxy.n ? p->proxy : str_z(p->config->proxy_url), .method = S("PUT"),
                        .headers = strbuf_str(&headers), .body = &body, .connect_ms = p->config->upstream_connect_timeout_ms };
  enum q_status st = url.err ? url.err : headers.err;
  *status = 0;
  int64_t ms = PUT_BYTES_MS + (int64_t)(p->bytes.n / PUT_PIECE) * 1000;
  if(!st) st = httpc_call_watched(p->app->net, p->app->now, &r, &watch, ms, status, NULL, &answer, &e);
  files_store_code(strbuf_str(&answer), code);
  upload_put_say(out, e.msg);
  if(headers.p) crypt_wipe(headers.p, headers.n);
  strbuf_free(&headers);
  strbuf_free(&answer);
  strbuf_free(&url);
  return st;
}

/* The upload token is not good, or not any more. */
static bool upload_put_over(struct str code)
{
  return str_eq(code, S("InvalidAccessKeyId")) || str_eq(code, S("SecurityTokenExpired")) || str_eq(code, S("InvalidSecurityToken"));
}

enum upload_put_next { PUT_DONE, PUT_NEW_TOKEN, PUT_FAILED };

/* The PUT with its second signature and its repetitions. PUT_NEW_TOKEN: the store says that this one is over. */
static enum upload_put_next upload_put_store(const struct upload_put *p, const struct files_token *t, struct upload_put_result *out)
{
  char code[64];
  int status, tries = 0;
  bool named, v1 = atomic_load(&p->ways->sign_v1), other = false;
  out->st = Q_UPLOAD_FAILED;
  if(!upload_put_host(p->config, t->bucket, str_z(t->host), &named)) {
    snprintf(out->words, sizeof out->words, "the upstream names a store that is not trusted (%.200s); MEDIA_HOSTS may name it", t->host);
    return PUT_FAILED;
  }
  for(;;) {
    enum q_status st = upload_put_send(p, t, v1, named, &status, code, out);
    if(st == Q_CLIENT_GONE) out->st = upload_put_left(p);
    if(st == Q_NOMEM || st == Q_PROXY) out->st = st;
    if(!st && status >= 200 && status < 300) {
      atomic_store(&p->ways->sign_v1, v1);
      return PUT_DONE;
    }
    if(!st) snprintf(out->words, sizeof out->words, "the store of files answered %d%s%s", status, code[0] ? " " : "", code);
    if(upload_put_again(st, status) && tries < PUT_TRIES - 1) {
      if(upload_put_sleep(p, (int64_t)1000 << tries++)) continue;
      out->st = upload_put_left(p);
      return PUT_FAILED;
    }
    if(st || status >= 500) return PUT_FAILED;
    if(upload_put_over(str_z(code))) return PUT_NEW_TOKEN;
    if(other || (status != 403 && status != 400)) return PUT_FAILED;
    v1 = !v1;
    other = true;
  }
}

/* ---- documents ---- */

static enum q_status upload_put_poll(const struct upload_put *p, struct str id, const struct strbuf *ask, struct upload_put_result *out)
{
  int64_t until_ms = now_mono_ms(p->app->now) + PUT_PARSE_MS;
  enum q_status st = Q_AGAIN;
  for(int untold = 0; st == Q_AGAIN;) {
    struct upload_put_answer a = { .status = 0 };
    if(!upload_put_sleep(p, PUT_POLL_MS)) return upload_put_left(p);
    st = upload_put_post(p, "/api/v2/files/parse/status", ask, &a, out);
    if(!st && a.status != 404) {
      enum files_parse now = a.t.st ? FILES_BROKEN : files_parse_state(strbuf_str(&a.body), id);
      out->parsed = now == FILES_READY || (now == FILES_UNTOLD && ++untold >= PUT_UNTOLD);
      if(a.t.st) st = upload_put_trouble(&a.t, out);
      else if(now == FILES_BROKEN) st = Q_BAD_MEDIA, upload_put_say(out, "the upstream could not read this document");
      else if(!out->parsed) st = Q_AGAIN;
    }
    upload_put_answer_free(&a);
    if(st == Q_AGAIN && now_mono_ms(p->app->now) > until_ms) {
      upload_put_say(out, "the upstream did not read the document within a minute");
      st = Q_UPLOAD_FAILED;
    }
  }
  return st;
}

static enum q_status upload_put_parse(const struct upload_put *p, struct str id, struct upload_put_result *out)
{
  struct strbuf one = STRBUF(1024), list = STRBUF(1024);
  struct upload_put_answer a = { .status = 0 };
  strbuf_lit(&one, "{\"file_id\":");
  strbuf_json(&one, id);
  strbuf_lit(&one, "}");
  strbuf_lit(&list, "{\"file_id_list\":[");
  strbuf_json(&list, id);
  strbuf_lit(&list, "]}");
  enum q_status st = upload_put_post(p, "/api/v2/files/parse", &one, &a, out);
  bool none = !st && (a.status == 404 || a.status == 405); /* no such endpoint: the upstream reads it by itself */
  if(!st && !none && a.t.st) st = upload_put_trouble(&a.t, out);
  else if(!st && !none) st = upload_put_poll(p, id, &list, out);
  upload_put_answer_free(&a);
  strbuf_free(&one);
  strbuf_free(&list);
  return st;
}

/* ---- all of it ---- */

static void upload_put_name(const struct files_token *t, struct upload_put_result *out)
{
  str_copy(out->id, sizeof out->id, t->id);
  strbuf_clear(&out->url);
  if(t->url.n) {
    strbuf_adds(&out->url, t->url);
  } else {
    strbuf_fmt(&out->url, "https://%s/", t->host);
    oss_path(t->path, &out->url);
  }
}

void upload_put(const struct upload_put *p, struct upload_put_result *out)
{
  *out = (struct upload_put_result){ .url = STRBUF(16 * 1024) };
  enum upload_put_next next = PUT_NEW_TOKEN;
  for(int n = 0; n < 2 && next == PUT_NEW_TOKEN; n++) {
    struct arena arena = ARENA(4 * PUT_ANSWER_MAX);
    struct upload_put_answer a = { .status = 0 };
    struct files_token t;
    next = PUT_FAILED;
    out->st = upload_put_token(p, &a, out);
    if(!out->st) {
      out->st = files_read_token(&arena, strbuf_str(&a.body), &t);
      if(out->st == Q_UP_BODY) upload_put_say(out, "the answer to getstsToken is not as it was known");
      if(out->st == Q_UP_BODY) out->st = Q_UPLOAD_FAILED;
      if(!out->st) next = upload_put_store(p, &t, out);
      if(next == PUT_DONE) upload_put_name(&t, out);
    }
    upload_put_answer_free(&a);
    arena_free(&arena);
  }
  if(next != PUT_DONE) return;
  out->st = out->url.err;
  if(!out->st && p->kind == MEDIA_DOCUMENT) out->st = upload_put_parse(p, str_z(out->id), out);
  if(!out->st) out->words[0] = 0;
}
