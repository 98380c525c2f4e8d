#include "domain/upload_set.h"

#include "base/codec.h"
#include "base/mem.h"
#include "domain/fetch.h"
#include "proto/tokens.h"
#include "proto/url.h"

enum { UPLOAD_COUNTED = 4 * 1024 * 1024, UPLOAD_HOLDERS = 32 };

/* ---- contents ---- */

bool upload_book(struct uploads *u, size_t n)
{
  pthread_mutex_lock(&u->lock);
  bool fits = n <= UPLOAD_SUM_MAX && u->sum <= UPLOAD_SUM_MAX - n;
  if(fits) u->sum += n;
  pthread_mutex_unlock(&u->lock);
  return fits;
}

void upload_unbook(struct uploads *u, size_t n)
{
  pthread_mutex_lock(&u->lock);
  u->sum -= n;
  pthread_mutex_unlock(&u->lock);
}

struct upload_blob *upload_blob_new(struct uploads *u, struct strbuf *bytes, size_t booked)
{
  struct upload_blob *b = mem_zalloc(sizeof *b);
  if(!b) return NULL;
  atomic_init(&b->refs, 1);
  b->owner = u;
  b->bytes = *bytes;
  b->booked = booked;
  *bytes = STRBUF(bytes->max);
  return b;
}

struct upload_blob *upload_blob_ref(struct upload_blob *b)
{
  atomic_fetch_add(&b->refs, 1);
  return b;
}

/* Not with the lock held: the sum is behind it. */
void upload_blob_unref(struct upload_blob *b)
{
  if(!b || atomic_fetch_sub(&b->refs, 1) != 1) return;
  strbuf_free(&b->bytes);
  upload_unbook(b->owner, b->booked);
  mem_free(b);
}

static int64_t upload_item_tokens(const struct upload_item *i, struct str bytes)
{
  int64_t w, h;
  if(i->document) return 0; /* its text is counted where it is folded */
  if(i->what.kind == MEDIA_IMAGE) return media_size(bytes, &w, &h) ? media_tokens(w, h) : media_tokens(0, 0);
  if(i->what.kind != MEDIA_DOCUMENT || !media_detect(bytes).text) return 0;
  struct str head = str_sub(bytes, 0, UPLOAD_COUNTED);
  int64_t n = tokens_count(head);
  return bytes.n > head.n ? (int64_t)((double)n * ((double)bytes.n / (double)head.n)) : n;
}

enum q_status upload_item_take(struct upload_item *i, struct str bytes, struct str declared, struct str name, struct q_error *e)
{
  char words[80];
  enum media_kind want = i->what.kind;
  if(!media_judge(bytes, want, declared, name, &i->what, words))
    return status_fail(e, Q_BAD_MEDIA, i->param, "'%s' is no %s that can be read: the content is %s.", i->param,
                       media_kind_name(want), words);
  media_name(name, &i->what, i->name);
  i->tokens = upload_item_tokens(i, bytes);
  upload_cache_sign(bytes, i->sig);
  return Q_OK;
}

/* ---- making a set ---- */

static enum q_status upload_set_nomem(struct q_error *e)
{
  return status_fail(e, Q_NOMEM, NULL, "Out of memory.");
}

static enum q_status upload_set_full(const struct upload_item *i, struct q_error *e)
{
  enum q_status st = status_fail(e, Q_OVERLOADED, i->param, "The gateway holds too many files at once: repeat the request in a moment.");
  if(e) e->retry_after_s = 5;
  return st;
}

static enum q_status upload_set_large(const struct upload_item *i, struct q_error *e)
{
  return status_fail(e, Q_TOO_BIG, i->param, "'%s' is larger than %d MiB.", i->param, UPLOAD_FILE_MAX >> 20);
}

static enum q_status upload_set_content(struct upload_set *s, struct upload_item *i, const struct chat_media *m, struct q_error *e)
{
  struct strbuf bytes = STRBUF(UPLOAD_FILE_MAX);
  size_t n = m->plain ? m->data.n : m->data.n / 4 * 3 + 3;
  if(m->plain && n > UPLOAD_FILE_MAX) return upload_set_large(i, e);
  if(n > UPLOAD_FILE_MAX) n = UPLOAD_FILE_MAX;
  if(!upload_book(s->owner, n)) return upload_set_full(i, e);
  bool good = true;
  enum q_status st = Q_OK;
  if(!strbuf_room(&bytes, n) && n) st = upload_set_nomem(e);
  else if(m->plain) strbuf_adds(&bytes, m->data);
  else good = codec_unbase64(m->data, &bytes);
  if(!st && bytes.err == Q_TOO_BIG) st = upload_set_large(i, e);
  else if(!st && bytes.err) st = upload_set_nomem(e);
  else if(!st && !good) st = status_fail(e, Q_BAD_MEDIA, i->param, "'%s' is not valid base64.", i->param);
  if(!st) st = upload_item_take(i, strbuf_str(&bytes), m->mime, m->name, e);
  if(!st) {
    i->blob = upload_blob_new(s->owner, &bytes, n);
    if(!i->blob) st = upload_set_nomem(e);
  }
  if(st) {
    strbuf_free(&bytes);
    upload_unbook(s->owner, n);
    return st;
  }
  i->state = UPLOAD_READY;
  upload_cache_load(s->owner->cache, i->sig, now_wall_ms(s->app->now));
  return Q_OK;
}

/* The last piece of a URL's path, decoded; empty if there is none. */
static void upload_set_url_name(const struct url *u, struct strbuf *out)
{
  struct str path = u->path;
  path = str_cut(&path, '?');
  size_t at = path.n;
  while(at && path.p[at - 1] != '/') at--;
  if(!codec_unpercent(str_sub(path, at, path.n), false, out)) strbuf_clear(out);
}

static enum q_status upload_set_url(struct upload_item *i, const struct config *c, const struct chat_media *m, struct q_error *e)
{
  struct strbuf at = STRBUF(16 * 1024), name = STRBUF(16 * 1024);
  struct url u;
  enum q_status st = Q_OK;
  if(!url_join(STR_NONE, m->url, &at) || !url_split(strbuf_str(&at), &u))
    st = at.err == Q_NOMEM ? upload_set_nomem(e) : status_fail(e, Q_BAD_MEDIA, i->param, "'%s' is no URL that can be fetched.", i->param);
  if(!st) {
    if(m->name.n) strbuf_adds(&name, m->name);
    else upload_set_url_name(&u, &name);
    const char *mime = media_of_ext(strbuf_str(&name));
    str_copy(i->what.mime, sizeof i->what.mime, m->mime.n ? m->mime : str_z(mime));
    i->state = fetch_result_host(c, u.host) ? UPLOAD_REFERENCE : UPLOAD_REMOTE;
    i->tokens = i->what.kind == MEDIA_IMAGE ? media_tokens(0, 0) : 0;
    media_name(strbuf_str(&name), &i->what, i->name);
    i->url = mem_strndup(at.p, at.n);
    i->raw_name = mem_strndup(name.p ? name.p : "", name.n);
    if(!i->url || !i->raw_name) st = upload_set_nomem(e);
  }
  strbuf_free(&at);
  strbuf_free(&name);
  return st;
}

static enum q_status upload_set_item(struct upload_set *s, struct upload_item *i, const struct config *c, const struct chat_media *m,
                                     struct q_error *e)
{
  *i = (struct upload_item){ .set = s, .what.kind = m->kind, .err = Q_ERROR_NONE };
  str_copy(i->param, sizeof i->param, str_z(m->param));
  return m->url.n ? upload_set_url(i, c, m, e) : upload_set_content(s, i, m, e);
}

struct upload_set *upload_set_new(struct app *a, const struct chat_media *const *v, int n, struct str document, struct q_error *e)
{
  int all = n + (document.n > 0);
  if(all > UPLOAD_FILES_MAX) {
    (void)status_fail(e, Q_TOO_BIG, NULL, "A request may carry at most %d files.", UPLOAD_FILES_MAX);
    return NULL;
  }
  struct upload_set *s = mem_zalloc(sizeof *s + (size_t)all * sizeof s->items[0]);
  if(!s) {
    (void)upload_set_nomem(e);
    return NULL;
  }
  struct config *c = app_config(a);
  enum q_status st = Q_OK;
  atomic_init(&s->refs, 1);
  s->app = a;
  s->owner = a->uploads;
  if(document.n) {
    struct chat_media text = { .kind = MEDIA_DOCUMENT, .data = document, .plain = true, .mime = S("text/plain"),
                               .name = S("conversation.txt") };
    st = upload_set_item(s, &s->items[s->n++], c, &text, e);
    s->items[0].document = true;
    s->items[0].tokens = 0;
  }
  for(int k = 0; k < n && !st; k++) st = upload_set_item(s, &s->items[s->n++], c, v[k], e);
  config_unref(c);
  if(!st) return s;
  upload_set_unref(s);
  return NULL;
}

struct upload_set *upload_set_ref(struct upload_set *s)
{
  atomic_fetch_add(&s->refs, 1);
  return s;
}

void upload_set_unref(struct upload_set *s)
{
  if(!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
  for(int k = 0; k < s->n; k++) {
    upload_blob_unref(s->items[k].blob);
    secret_unref(s->items[k].proxy);
    mem_free(s->items[k].url);
    mem_free(s->items[k].raw_name);
  }
  mem_free(s);
}

int64_t upload_set_tokens(const struct upload_set *s)
{
  int64_t sum = 0;
  pthread_mutex_lock(&s->owner->lock);
  for(int k = 0; k < s->n; k++) sum += s->items[k].tokens;
  pthread_mutex_unlock(&s->owner->lock);
  return sum;
}

void upload_prefers(const struct upload_set *s, char account[17])
{
  struct { char name[17]; int n; } tally[UPLOAD_HOLDERS] = { { .n = 0 } };
  char holders[UPLOAD_HOLDERS][17];
  int known = 0, best = -1;
  account[0] = 0;
  for(int k = 0; k < s->n; k++) {
    pthread_mutex_lock(&s->owner->lock);
    bool ready = s->items[k].state == UPLOAD_READY;
    pthread_mutex_unlock(&s->owner->lock);
    int n = ready ? upload_cache_holders(s->owner->cache, s->items[k].sig, holders, UPLOAD_HOLDERS) : 0;
    for(int h = 0; h < n; h++) {
      int t = 0;
      while(t < known && strcmp(tally[t].name, holders[h]) != 0) t++;
      if(t == UPLOAD_HOLDERS) continue;
      if(t == known) memcpy(tally[known++].name, holders[h], 17);
      tally[t].n++;
    }
  }
  for(int t = 0; t < known; t++)
    if(best < 0 || tally[t].n > tally[best].n) best = t;
  if(best >= 0) memcpy(account, tally[best].name, 17);
}

/* ---- fetching ---- */

struct upload_fetch_state { struct upload_item *item; size_t booked; bool full; };

/* Somebody still waits for it, and what has come fits into the sum. */
static bool upload_fetch_go_on(void *ctx, const struct strbuf *body)
{
  struct upload_fetch_state *f = ctx;
  struct upload_set *s = f->item->set;
  int k = (int)(f->item - s->items);
  bool wanted = false;
  if(body->cap > f->booked) {
    f->full = !upload_book(s->owner, body->cap - f->booked);
    if(f->full) return false;
    f->booked = body->cap;
  }
  pthread_mutex_lock(&s->owner->lock);
  for(struct upload_run *r = s->runs; r && !wanted; r = r->next) wanted = r->slots[k].wait == SLOT_FETCH && !r->posted;
  pthread_mutex_unlock(&s->owner->lock);
  return wanted;
}

/* Fetches, judges and signs: outside the lock, on a copy of what the item will become. */
static enum q_status upload_fetch_now(struct upload_item *i, struct upload_item *got, struct q_error *e)
{
  struct uploads *u = i->set->owner;
  struct app *a = u->app;
  struct config *c = app_config(a);
  struct strbuf body = STRBUF(UPLOAD_FILE_MAX);
  struct str proxy = secret_str(i->proxy);
  struct fetch_want w = { .url = str_z(i->url), .proxy = proxy.n ? proxy : str_z(c->proxy_url), .max = UPLOAD_FILE_MAX,
                          .deadline_ms = UPLOAD_FETCH_MS };
  struct upload_fetch_state f = { .item = i };
  char type[80];
  enum q_status st = fetch_get_watched(a, c, &w, upload_fetch_go_on, &f, &body, type, e);
  if(!st && body.cap > f.booked) {
    f.full = !upload_book(u, body.cap - f.booked);
    if(!f.full) f.booked = body.cap;
    else st = Q_CLIENT_GONE;
  }
  if(f.full) st = upload_set_full(i, e);
  str_copy(e->param, sizeof e->param, str_z(i->param));
  if(!st) st = upload_item_take(got, strbuf_str(&body), type[0] ? str_z(type) : str_z(i->what.mime), str_z(i->raw_name), e);
  if(!st) {
    got->blob = upload_blob_new(u, &body, f.booked);
    if(!got->blob) st = upload_set_nomem(e);
    else f.booked = 0;
  }
  if(!st) upload_cache_load(u->cache, got->sig, now_wall_ms(a->now));
  strbuf_free(&body);
  if(f.booked) upload_unbook(u, f.booked);
  config_unref(c);
  return st;
}

static void upload_fetch_job(struct job *j)
{
  struct upload_item *i = (struct upload_item *)((char *)j - offsetof(struct upload_item, job));
  struct upload_set *s = i->set;
  struct upload_item got = { .set = s, .what = i->what };
  struct q_error e = Q_ERROR_NONE;
  int k = (int)(i - s->items);
  str_copy(got.param, sizeof got.param, str_z(i->param));
  enum q_status st = upload_fetch_now(i, &got, &e);
  pthread_mutex_lock(&s->owner->lock);
  struct secret *proxy = i->proxy;
  i->proxy = NULL;
  if(!st) {
    i->what = got.what;
    i->tokens = got.tokens;
    i->blob = got.blob;
    memcpy(i->name, got.name, sizeof i->name);
    memcpy(i->sig, got.sig, sizeof i->sig);
    i->state = UPLOAD_READY;
  } else {
    bool lasting = st == Q_BAD_MEDIA || st == Q_MEDIA_REFUSED || st == Q_TOO_BIG;
    e.st = st;
    i->err = e;
    i->state = st != Q_CLIENT_GONE ? UPLOAD_FAILED : UPLOAD_REMOTE; /* left, and wanted again meanwhile: once more */
    for(struct upload_run *r = s->runs; r; r = r->next)
      if(r->slots[k].wait == SLOT_FETCH && !r->posted) upload_go(r, k);
    if(i->state == UPLOAD_FAILED && !lasting) i->state = UPLOAD_REMOTE; /* the next run may have more luck */
  }
  for(struct upload_run *r = s->runs; r && !st; r = r->next)
    if(r->slots[k].wait == SLOT_FETCH && !r->posted) upload_go(r, k);
  pthread_mutex_unlock(&s->owner->lock);
  secret_unref(proxy);
  upload_set_unref(s);
}

enum q_status upload_fetch(struct upload_set *s, int k, const struct upload_run *r)
{
  struct upload_item *i = &s->items[k];
  i->job.fn = upload_fetch_job;
  i->proxy = secret_ref(r->proxy);
  i->state = UPLOAD_FETCHING;
  (void)upload_set_ref(s);
  enum q_status st = jobs_submit(s->app->fetch_jobs, &i->job);
  if(!st) return Q_OK;
  i->state = UPLOAD_REMOTE;
  secret_unref(i->proxy);
  i->proxy = NULL;
  atomic_fetch_sub(&s->refs, 1); /* the run has one, too */
  return st;
}
