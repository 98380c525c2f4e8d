/* Uploads end to end, against the fake upstream over TLS: what api 3.4, upstream 5 and the defects D13 and D14 ask for. */
#include "domain/upload.h"

#include "base/codec.h"
#include "base/crypt.h"
#include "domain/fetch.h"
#include "domain/upload_put.h"
#include "fakeup.h"
#include "peer.h"

static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\3\x20\0\0\2\x58\x08\2\0\0\0"; /* 800 x 600 */
static const char pdf[] = "%PDF-1.7\n1 0 obj\nendobj\n";

/* ---- media as a request has them ---- */

struct media { struct chat_media m; struct strbuf text; };

static void media_bytes(struct media *m, enum media_kind kind, struct str bytes, const char *mime, const char *name, const char *param)
{
  *m = (struct media){ .text = STRBUF(200 << 20) };
  codec_base64(bytes, &m->text);
  m->m = (struct chat_media){ .kind = kind, .data = strbuf_str(&m->text), .mime = str_z(mime), .name = str_z(name) };
  str_copy(m->m.param, sizeof m->m.param, str_z(param));
}

static struct chat_media media_url(enum media_kind kind, const char *url, const char *param)
{
  struct chat_media m = { .kind = kind, .url = str_z(url) };
  str_copy(m.param, sizeof m.param, str_z(param));
  return m;
}

static struct upload_set *set_of(struct app *a, const struct chat_media *m, int n)
{
  const struct chat_media *v[64];
  struct q_error e = Q_ERROR_NONE;
  for(int i = 0; i < n; i++) v[i] = &m[i];
  struct upload_set *s = upload_set_new(a, v, n, STR_NONE, &e);
  if(!s) T_FAIL("no set: %s", e.msg);
  return s;
}

/* A picture that no other test has: its last bytes say so. */
static struct upload_set *picture(struct app *a, const char *mark)
{
  char bytes[200];
  struct media m;
  memcpy(bytes, png, sizeof png);
  size_t n = sizeof png + (size_t)snprintf(bytes + sizeof png, 100, "%s", mark);
  media_bytes(&m, MEDIA_IMAGE, str_of(bytes, n), "image/png", "", "messages[0].content[1]");
  struct upload_set *s = set_of(a, &m.m, 1);
  strbuf_free(&m.text);
  return s;
}

static struct upload_set *document(struct app *a, const char *mark, const char *name)
{
  char bytes[200];
  struct media m;
  size_t n = (size_t)snprintf(bytes, sizeof bytes, "%s%s", pdf, mark);
  media_bytes(&m, MEDIA_DOCUMENT, str_of(bytes, n), "", name, "messages[0].content[0]");
  struct upload_set *s = set_of(a, &m.m, 1);
  strbuf_free(&m.text);
  return s;
}

/* ---- accounts ---- */

struct find { const char *email; struct account *a; const char *token; struct lease lease; };
static void find_account(void *ctx, struct account *a)
{
  struct find *f = ctx;
  if(strcmp(a->email, f->email) != 0) return;
  f->a = a;
  f->lease = (struct lease){ .account = a, .feature = FEATURE_CHAT, .token_no = a->token_no };
  if(!f->token) {
    f->lease.token = secret_ref(a->token); /* the keeper may renew it */
    f->lease.proxy = secret_ref(a->proxy);
    return;
  }
  struct secret *s = secret_new(str_z(f->token));
  account_set_token(a, s, 0, NULL);
  secret_unref(s);
}

static void sign_in(struct app *a)
{
  static const char *const emails[] = { "ok@example.org", "second@example.org" };
  for(int i = 0; i < 2; i++) {
    char body[200], token[2048];
    snprintf(body, sizeof body, "{\"email\":\"%s\",\"password\":\"4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631\"}", emails[i]);
    struct strbuf b = fakeup_ask(a, "/api/v2/auths/signin", body);
    struct arena arena = ARENA(1 << 20);
    str_copy(token, sizeof token, json_str(json_path(json_parse(&arena, strbuf_str(&b), 64, NULL), "data.token")));
    struct find f = { .email = emails[i], .token = token };
    pool_each(a->pool, find_account, &f);
    CHECK(token[0] && f.a);
    arena_free(&arena);
    strbuf_free(&b);
  }
}

/* What a chat would hold. */
static struct lease lease_of(struct app *a, const char *email)
{
  struct find f = { .email = email };
  pool_each(a->pool, find_account, &f);
  return f.lease;
}

static enum account_state upload_state(struct app *a, const char *email, int64_t *left_ms)
{
  struct lease l = lease_of(a, email);
  secret_unref(l.token);
  secret_unref(l.proxy);
  *left_ms = l.account->features[FEATURE_UPLOAD].until_ms - now_wall_ms(a->now);
  return l.account->features[FEATURE_UPLOAD].state;
}

static void all_well(void *ctx, struct account *a)
{
  (void)ctx;
  for(int f = 0; f < FEATURE_COUNT; f++) a->features[f] = (struct feature_state){ .state = ACCOUNT_ACTIVE };
}

/* ---- runs ---- */

struct run {
  struct upload u;
  struct pump_task start, leave;
  struct app *a;
  struct upload_set *set;
  struct lease who;
  enum q_status started;
  atomic_int done;
  atomic_int left; /* 0: not asked, 1: true, 2: false */
};

static void run_done(struct upload *u)
{
  atomic_fetch_add(&((struct run *)u)->done, 1);
}

static void run_start(struct pump_task *t)
{
  struct run *r = (struct run *)((char *)t - offsetof(struct run, start));
  if(upload_start(&r->u, r->a, r->a->pumps[0].pump, r->set, &r->who)) {
    r->u.st = Q_NOMEM;
    atomic_fetch_add(&r->done, 1);
  }
}

static void run_leave(struct pump_task *t)
{
  struct run *r = (struct run *)((char *)t - offsetof(struct run, leave));
  atomic_store(&r->left, upload_leave(&r->u) ? 1 : 2);
}

static void run_begin(struct run *r, struct app *a, struct upload_set *set, const char *email)
{
  *r = (struct run){ .u.done = run_done, .start.fn = run_start, .leave.fn = run_leave, .a = a, .set = set, .who = lease_of(a, email) };
  pump_post(a->pumps[0].pump, &r->start);
}

static bool run_wait(struct run *r, int ms)
{
  for(int i = 0; i < ms / 5 && !atomic_load(&r->done); i++) fakeup_nap(5);
  return atomic_load(&r->done) != 0;
}

/* One run to its end. files: json text, the caller's to free. */
static enum q_status run_all(struct run *r, struct app *a, struct upload_set *set, const char *email)
{
  run_begin(r, a, set, email);
  if(!run_wait(r, 60000)) {
    T_FAIL("done() does not come");
    exit(1);
  }
  return r->u.st;
}

static void run_end(struct run *r)
{
  secret_unref(r->who.token);
  secret_unref(r->who.proxy);
  strbuf_free(&r->u.files);
  upload_set_unref(r->set);
}

/* The number of a text in another. */
static int count(struct str hay, const char *needle)
{
  int n = 0;
  for(ptrdiff_t at; (at = str_find(hay, str_z(needle))) >= 0; n++) hay = str_sub(hay, (size_t)at + strlen(needle), hay.n);
  return n;
}

static int uploads(struct app *a)
{
  struct strbuf b = fakeup_ask(a, "/__files", NULL);
  int n = count(strbuf_str(&b), "\"put\":true");
  strbuf_free(&b);
  return n;
}

static bool fake_files_have(struct app *a, const char *text)
{
  struct strbuf b = fakeup_ask(a, "/__files", NULL);
  bool has = str_find(strbuf_str(&b), str_z(text)) >= 0;
  if(!has) printf("%.*s\n", STR_F(strbuf_str(&b)));
  strbuf_free(&b);
  return has;
}

static struct app *begin(char **more)
{
  atomic_store(&fakeup_speed, 8); /* its pauses are seconds */
  struct app *a = fakeup_app(more);
  fakeup_tell(a, "/__reset", "{}");
  sign_in(a);
  return a;
}

/* ---- tests ---- */

/* upstream 5.1-5.5: the file's object; D14: one upload per picture and account. */
static void t_picture(void)
{
  struct app *a = begin(NULL);
  struct upload_set *s = picture(a, "one");
  struct run r;
  struct arena arena = ARENA(1 << 20);
  char account[17];
  CHECK_INT(upload_set_tokens(s), 29 * 22);
  upload_prefers(s, account);
  CHECK_Z(account, "");
  CHECK_INT(run_all(&r, a, s, "ok@example.org"), Q_OK);
  if(r.u.st) printf("%s %s\n", r.u.err.msg, r.u.words);
  const struct json *f = json_parse(&arena, strbuf_str(&r.u.files), 64, NULL);
  CHECK_INT(f ? f->count : -1, 1);
  CHECK_STR(json_str(json_path(f, "0.type")), S("image"));
  CHECK_STR(json_str(json_path(f, "0.name")), S("image.png"));
  CHECK_STR(json_str(json_path(f, "0.file_type")), S("image/png"));
  CHECK_STR(json_str(json_path(f, "0.file.user_id")), S("00000000-0000-4000-8000-000000000001"));
  CHECK(str_find(json_str(json_path(f, "0.url")), S("?x-oss-")) > 0); /* a fresh one keeps its query */
  CHECK_INT(json_str(json_path(f, "0.id")).n, 36);
  CHECK_INT(json_str(json_path(f, "0.itemId")).n, 36);
  CHECK(!str_eq(json_str(json_path(f, "0.itemId")), json_str(json_path(f, "0.uploadTaskId"))));
  CHECK(fake_files_have(a, "\"signature\":\"V4\"") && fake_files_have(a, "\"content_type\":\"image/png\""));
  upload_prefers(s, account);
  CHECK_Z(account, r.who.account->id);
  run_end(&r);
  arena_free(&arena);

  CHECK_INT(run_all(&r, a, picture(a, "one"), "ok@example.org"), Q_OK);
  CHECK(str_find(strbuf_str(&r.u.files), S("?")) < 0); /* a remembered one has none */
  run_end(&r);
  CHECK_INT(uploads(a), 1);
  CHECK_INT(run_all(&r, a, picture(a, "one"), "second@example.org"), Q_OK);
  run_end(&r);
  CHECK_INT(uploads(a), 2);
  for(int i = 0; i < 2; i++) { /* both stay remembered */
    CHECK_INT(run_all(&r, a, picture(a, "one"), i ? "second@example.org" : "ok@example.org"), Q_OK);
    run_end(&r);
  }
  CHECK_INT(uploads(a), 2);
  CHECK_INT(fakeup_stat(a, "leaks"), 0);
  CHECK_INT(fakeup_stat(a, "bad"), 0);
  fakeup_app_end(a);
}

/* Many at once want the same: one flight. */
static void t_together(void)
{
  struct app *a = begin(NULL);
  static struct run r[12];
  for(int i = 0; i < 12; i++) run_begin(&r[i], a, picture(a, "together"), i < 6 ? "ok@example.org" : "second@example.org");
  for(int i = 0; i < 12; i++) {
    CHECK(run_wait(&r[i], 30000));
    CHECK_INT(r[i].u.st, Q_OK);
    CHECK(r[i].u.files.n > 100);
    run_end(&r[i]);
  }
  CHECK_INT(uploads(a), 2);
  CHECK_INT(fakeup_stat(a, "sts"), 2);
  fakeup_app_end(a);
}

/* D13: all pictures, all kinds, in their order, names as they are. */
static void t_kinds(void)
{
  struct app *a = begin(NULL);
  struct media m[5];
  struct run r;
  struct arena arena = ARENA(1 << 20);
  static const char *const types[] = { "image", "video", "audio", "file", "image" };
  static const char *const names[] = { "日本 1.png", "clip.mp4", "audio.wav", "notes #1?.md", "image.gif" };
  media_bytes(&m[0], MEDIA_IMAGE, str_of(png, sizeof png), "", "/home/x/日本 1.png", "p0");
  media_bytes(&m[1], MEDIA_VIDEO, S("\0\0\0\x20" "ftypisom...."), "video/mp4", "clip.mp4", "p1");
  media_bytes(&m[2], MEDIA_AUDIO, S("RIFF\4\0\0\0WAVEfmt "), "audio/wav", "", "p2");
  media_bytes(&m[3], MEDIA_DOCUMENT, S("# Notes\n\nthree words here"), "", "notes #1?.md", "p3");
  media_bytes(&m[4], MEDIA_IMAGE, S("GIF89a\1\0\1\0\0\0\0;"), "image/png", "", "p4");
  struct chat_media all[5];
  for(int i = 0; i < 5; i++) all[i] = m[i].m;
  struct upload_set *s = set_of(a, all, 5);
  CHECK_INT(upload_set_tokens(s), 29 * 22 + 4 + 6);
  CHECK_INT(run_all(&r, a, s, "ok@example.org"), Q_OK);
  const struct json *f = json_parse(&arena, strbuf_str(&r.u.files), 64, NULL);
  for(int i = 0; i < 5; i++) {
    CHECK_STR(json_str(json_get(json_at(f, i), "type")), str_z(types[i]));
    CHECK_STR(json_str(json_get(json_at(f, i), "name")), str_z(names[i]));
    strbuf_free(&m[i].text);
  }
  CHECK_STR(json_str(json_path(f, "3.file.meta.parse_meta.parse_status")), S("success"));
  CHECK_STR(json_str(json_path(f, "4.file_type")), S("image/gif"));
  CHECK_INT(fakeup_stat(a, "bad"), 0);
  CHECK_INT(uploads(a), 5);
  run_end(&r);
  arena_free(&arena);
  fakeup_app_end(a);
}

/* upstream 5.6: parsing, in all its shapes. */
static void t_document(void)
{
  static const struct { const char *set; enum q_status want; bool parse_meta; int polls; } rows[] = {
    { "{\"parse_polls\":2}", Q_OK, true, 3 }, { "{\"parse_by_id\":true,\"parse_word\":\"parsed\"}", Q_OK, true, 3 },
    { "{\"parse_word\":\"\",\"parse_polls\":0}", Q_OK, true, 3 }, { "{\"parse\":404}", Q_OK, false, 0 },
    { "{\"parse_word\":\"failed\"}", Q_BAD_MEDIA, false, 3 }, { "{\"parse_word\":\"error\",\"parse_polls\":0}", Q_BAD_MEDIA, false, 1 },
    { "{\"parse_polls\":1000}", Q_UPLOAD_FAILED, false, -1 },
  };
  struct app *a = begin(NULL);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct run r;
    char mark[20];
    snprintf(mark, sizeof mark, "row %zu", i);
    fakeup_tell(a, "/__reset", "{}");
    fakeup_tell(a, "/__switch", rows[i].set);
    atomic_store(&fakeup_speed, rows[i].polls < 0 ? 20 : 10);
    CHECK_INT(run_all(&r, a, document(a, mark, "report.pdf"), "ok@example.org"), rows[i].want);
    atomic_store(&fakeup_speed, 8);
    if(rows[i].want == Q_OK) CHECK_INT(str_find(strbuf_str(&r.u.files), S("parse_meta")) > 0, rows[i].parse_meta);
    else CHECK_Z(r.u.err.param, "messages[0].content[0]");
    if(rows[i].polls >= 0) CHECK_INT(fakeup_stat(a, "parse_status"), rows[i].polls);
    CHECK_INT(fakeup_stat(a, "bad"), 0);
    run_end(&r);
  }
  /* a document that was read is not read again */
  struct run r;
  fakeup_tell(a, "/__reset", "{}");
  for(int i = 0; i < 2; i++) {
    CHECK_INT(run_all(&r, a, document(a, "again", "a.pdf"), "ok@example.org"), Q_OK);
    CHECK_INT(fakeup_stat(a, "parse"), 1);
    run_end(&r);
  }
  fakeup_app_end(a);
}

/* api 3.3: conversation.txt goes first; its failure is told apart, an account's trouble is not. */
static void t_conversation(void)
{
  struct app *a = begin(NULL);
  struct run r;
  struct media m;
  const struct chat_media *v[1] = { &m.m };
  struct q_error e = Q_ERROR_NONE;
  media_bytes(&m, MEDIA_IMAGE, str_of(png, sizeof png), "", "", "p");
  struct upload_set *s = upload_set_new(a, v, 1, S("User: hello\nAssistant: hi"), &e);
  CHECK_INT(upload_set_tokens(s), 29 * 22); /* its words are counted where they are folded */
  CHECK_INT(run_all(&r, a, upload_set_ref(s), "ok@example.org"), Q_OK);
  CHECK(!r.u.document_failed);
  CHECK(str_find(strbuf_str(&r.u.files), S("[{\"type\":\"file\"")) == 0 && str_find(strbuf_str(&r.u.files), S("\"name\":\"conversation.txt\"")) > 0);
  run_end(&r);
  fakeup_tell(a, "/__switch", "{\"parse_word\":\"failed\"}");
  CHECK_INT(run_all(&r, a, upload_set_ref(s), "second@example.org"), Q_OK);
  CHECK(r.u.document_failed);
  CHECK(str_find(strbuf_str(&r.u.files), S("[{\"type\":\"image\"")) == 0 && str_find(strbuf_str(&r.u.files), S("conversation.txt")) < 0);
  run_end(&r);
  upload_set_unref(s);
  fakeup_tell(a, "/__script", "{\"sts\":[\"401\"]}");
  s = upload_set_new(a, NULL, 0, S("User: other"), &e);
  CHECK_INT(run_all(&r, a, s, "ok@example.org"), Q_UP_AUTH);
  run_end(&r);
  CHECK_INT(run_all(&r, a, upload_set_new(a, NULL, 0, STR_NONE, &e), "ok@example.org"), Q_OK); /* n may be 0 */
  CHECK_STR(strbuf_str(&r.u.files), S("[]"));
  run_end(&r);
  strbuf_free(&m.text);
  fakeup_app_end(a);
}

/* upstream 5.1, 9: older and other ways to be asked, each found out once. */
static void t_ways(void)
{
  static const struct { const char *set; int calls, again; bool doc; } rows[] = {
    { "{\"sts_v2\":404}", 2, 1, false }, { "{\"filesize\":\"string\"}", 2, 1, false }, { "{\"filesize\":\"number\"}", 1, 1, false },
    { "{\"filetype\":\"document\"}", 2, 1, true }, { "{\"filetype\":\"document\",\"filesize\":\"string\"}", 3, 1, true },
    { "{\"sts_v2\":404,\"filetype\":\"document\",\"filesize\":\"string\"}", 4, 1, true },
    { "{\"endpoint\":\"https\"}", 1, 1, false }, { "{\"endpoint\":\"bucket\"}", 1, 1, false }, { "{\"endpoint\":\"missing\"}", 1, 1, false },
  };
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct app *a = begin(NULL);
    for(int n = 0; n < 2; n++) {
      struct run r;
      char mark[20];
      long before = fakeup_stat(a, "sts");
      snprintf(mark, sizeof mark, "way %zu %d", i, n);
      fakeup_tell(a, "/__switch", rows[i].set);
      CHECK_INT(run_all(&r, a, rows[i].doc ? document(a, mark, "a.pdf") : picture(a, mark), "ok@example.org"), Q_OK);
      CHECK_INT(fakeup_stat(a, "sts") - before, n ? rows[i].again : rows[i].calls);
      run_end(&r);
    }
    fakeup_app_end(a);
  }
}

/* Every way a step can fail: how the run ends, how often the upstream was asked, and what is booked. */
static void t_failures(void)
{
  static const struct { const char *script; bool doc; enum q_status want; int sts, put; enum account_state state; } rows[] = {
    { "{\"sts\":[\"401\"]}", false, Q_UP_AUTH, 1, 0, ACCOUNT_ACTIVE }, { "{\"sts\":[\"expired\"]}", false, Q_UP_AUTH, 1, 0, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"403\"]}", false, Q_UP_BARRED, 1, 0, ACCOUNT_ACTIVE }, { "{\"sts\":[\"403_banned\"]}", false, Q_UP_BARRED, 1, 0, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"429\"]}", false, Q_UP_BUSY, 1, 0, ACCOUNT_COOLING }, { "{\"sts\":[\"rate_limited\"]}", false, Q_UP_BUSY, 1, 0, ACCOUNT_COOLING },
    { "{\"sts\":[\"quota\"]}", false, Q_UP_QUOTA, 1, 0, ACCOUNT_LIMITED }, { "{\"sts\":[\"quota_flat\"]}", false, Q_UP_QUOTA, 1, 0, ACCOUNT_LIMITED },
    { "{\"sts\":[\"html\"]}", false, Q_UP_CHALLENGE, 1, 0, ACCOUNT_ACTIVE }, { "{\"sts\":[\"html_200\"]}", false, Q_UP_CHALLENGE, 1, 0, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"punish\"]}", false, Q_UP_CHALLENGE, 1, 0, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"500\",\"502_html\",\"503\"]}", false, Q_OK, 4, 1, ACCOUNT_ACTIVE }, { "{\"sts\":[\"drop\",\"drop_early\"]}", false, Q_OK, 3, 1, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"500\",\"500\",\"500\",\"500\"]}", false, Q_UPLOAD_FAILED, 4, 0, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"stall\"]}", false, Q_OK, 2, 1, ACCOUNT_ACTIVE }, { "{\"sts\":[\"stall_head\"]}", false, Q_OK, 2, 1, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"junk\"]}", false, Q_UPLOAD_FAILED, -1, 0, ACCOUNT_ACTIVE }, { "{\"sts\":[\"internal\"]}", false, Q_UPLOAD_FAILED, 1, 0, ACCOUNT_ACTIVE },
    { "{\"sts\":[\"validation\",\"validation\",\"validation\"]}", false, Q_UPLOAD_FAILED, 2, 0, ACCOUNT_ACTIVE },
    { "{\"put\":[\"oss_signature\"]}", false, Q_OK, 1, 2, ACCOUNT_ACTIVE }, { "{\"put\":[\"oss_key\"]}", false, Q_OK, 2, 2, ACCOUNT_ACTIVE },
    { "{\"put\":[\"oss_expired\"]}", false, Q_OK, 2, 2, ACCOUNT_ACTIVE }, { "{\"put\":[\"oss_expired\",\"oss_key\"]}", false, Q_UPLOAD_FAILED, 2, 2, ACCOUNT_ACTIVE },
    { "{\"put\":[\"oss_signature\",\"oss_signature\"]}", false, Q_UPLOAD_FAILED, 1, 2, ACCOUNT_ACTIVE },
    { "{\"put\":[\"oss_503\",\"oss_503\",\"oss_503\"]}", false, Q_OK, 1, 4, ACCOUNT_ACTIVE },
    { "{\"put\":[\"oss_503\",\"500\",\"502_html\",\"503\"]}", false, Q_UPLOAD_FAILED, 1, 4, ACCOUNT_ACTIVE },
    { "{\"put\":[\"drop\",\"drop_early\",\"stall\"]}", false, Q_OK, 1, 4, ACCOUNT_ACTIVE }, { "{\"put\":[\"413\"]}", false, Q_UPLOAD_FAILED, 1, 1, ACCOUNT_ACTIVE },
    { "{\"put\":[\"drop\",\"drop\",\"drop\",\"drop\"]}", false, Q_UPLOAD_FAILED, 1, 4, ACCOUNT_ACTIVE },
    { "{\"parse\":[\"500\",\"503\"]}", true, Q_OK, 1, 1, ACCOUNT_ACTIVE }, { "{\"parse\":[\"401\"]}", true, Q_UP_AUTH, 1, 1, ACCOUNT_ACTIVE },
    { "{\"parse\":[\"rate_limited\"]}", true, Q_UP_BUSY, 1, 1, ACCOUNT_COOLING }, { "{\"parse\":[\"internal\"]}", true, Q_UPLOAD_FAILED, 1, 1, ACCOUNT_ACTIVE },
    { "{\"parse_status\":[\"500\",\"drop\"]}", true, Q_OK, 1, 1, ACCOUNT_ACTIVE }, { "{\"parse_status\":[\"html\"]}", true, Q_UP_CHALLENGE, 1, 1, ACCOUNT_ACTIVE },
    { "{\"parse_status\":[\"500\",\"500\",\"500\",\"500\"]}", true, Q_UPLOAD_FAILED, 1, 1, ACCOUNT_ACTIVE },
  };
  struct app *a = begin(NULL);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct run r;
    char mark[20];
    int64_t left_ms;
    t_row = rows[i].script;
    fakeup_app_end(a); /* what was learnt from one is not to help the next */
    a = begin(NULL);
    pool_each(a->pool, all_well, NULL);
    fakeup_tell(a, "/__script", rows[i].script);
    snprintf(mark, sizeof mark, "fail %zu", i);
    atomic_store(&fakeup_speed, 25);
    CHECK_INT(run_all(&r, a, rows[i].doc ? document(a, mark, "a.pdf") : picture(a, mark), "ok@example.org"), rows[i].want);
    atomic_store(&fakeup_speed, 8);
    if(rows[i].sts >= 0) CHECK_INT(fakeup_stat(a, "sts"), rows[i].sts);
    CHECK_INT(fakeup_stat(a, "put"), rows[i].put);
    CHECK_INT(upload_state(a, "ok@example.org", &left_ms), rows[i].state);
    if(rows[i].want) {
      CHECK(r.u.err.msg[0] && !strchr(r.u.err.msg, '<'));
      CHECK(!strstr(r.u.err.msg, "STS.") && !strstr(r.u.err.msg, "CAIS") && !strstr(r.u.err.msg, "ok@"));
    }
    if(rows[i].want == Q_UP_QUOTA) CHECK(left_ms > 3 * 3600 * 1000LL);
    run_end(&r);
  }
  fakeup_app_end(a);
}

/* An entry that the upstream refused is uploaded again, in memory and on disk; one-line entries serve any account. */
static void t_forget(void)
{
  char dir[100], env[140], path[200], hex[65];
  unsigned char sig[32];
  fakeup_begin();
  snprintf(dir, sizeof dir, "%s/caches", fakeup_dir);
  snprintf(env, sizeof env, "CACHE_DIR=%s", dir);
  for(int disk = 0; disk < 2; disk++) {
    struct app *a = begin(disk ? (char *[]){ "CACHE_MODE=file", env, NULL } : NULL);
    struct run r;
    for(int i = 0; i < 2; i++) {
      struct upload_set *s = picture(a, "forget");
      CHECK_INT(run_all(&r, a, upload_set_ref(s), "ok@example.org"), Q_OK);
      CHECK_INT(uploads(a), i + 1);
      upload_forget(a, &r.who, s);
      upload_set_unref(s);
      run_end(&r);
      for(int n = 0; n < 400 && jobs_running(a->upload_jobs); n++) fakeup_nap(5);
    }
    if(disk) {
      DIR *d = opendir(dir);
      int n = 0;
      for(struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
      if(d) closedir(d);
      CHECK_INT(n, 0);
    }
    fakeup_app_end(a);
  }
  /* what one process put there, the next finds; and the original's form */
  struct app *a = begin((char *[]){ "CACHE_MODE=file", env, NULL });
  struct run r;
  CHECK_INT(run_all(&r, a, picture(a, "kept"), "ok@example.org"), Q_OK);
  run_end(&r);
  struct strbuf b = fakeup_ask(a, "/__files", NULL);
  fakeup_app_end(a);
  atomic_store(&fakeup_speed, 8);
  a = fakeup_app((char *[]){ "CACHE_MODE=file", env, NULL });
  sign_in(a);
  CHECK_INT(run_all(&r, a, picture(a, "kept"), "ok@example.org"), Q_OK);
  CHECK_INT(uploads(a), 1);
  run_end(&r);
  CHECK_INT(run_all(&r, a, picture(a, "kept"), "second@example.org"), Q_OK);
  CHECK_INT(uploads(a), 2);
  run_end(&r);
  struct media m;
  media_bytes(&m, MEDIA_IMAGE, str_of(png, sizeof png), "", "", "p");
  crypt_sha256(strbuf_str(&m.text), sig);
  codec_hex(str_of((char *)sig, 32), hex);
  snprintf(path, sizeof path, "%s/%s.txt", dir, hex);
  FILE *f = fopen(path, "w");
  fputs("https://qwen-webui-prod.oss-accelerate.aliyuncs.com/u/9ab1b6fa-bfbd-4208-ba09-de73b82a408a_old.png", f);
  fclose(f);
  for(int i = 0; i < 2; i++) {
    CHECK_INT(run_all(&r, a, set_of(a, &m.m, 1), i ? "ok@example.org" : "second@example.org"), Q_OK);
    CHECK(str_find(strbuf_str(&r.u.files), S("\"id\":\"9ab1b6fa-bfbd-4208-ba09-de73b82a408a\"")) > 0 && str_find(strbuf_str(&r.u.files), S("_old.png\"")) > 0);
    run_end(&r);
  }
  CHECK_INT(uploads(a), 2);
  strbuf_free(&m.text);
  strbuf_free(&b);
  fakeup_app_end(a);
}

/* api 3.4: other hosts' files are downloaded once and uploaded; the upstream's own are passed by reference. */
static void t_urls(void)
{
  struct app *a = begin(NULL);
  struct run r;
  struct chat_media m[] = { media_url(MEDIA_IMAGE, "https://img.example.test/a/cat.png?x=1", "p0"),
                            media_url(MEDIA_IMAGE, "https://cdn.qwenlm.ai/output/u/t2i/x.png?key=k", "p1"),
                            media_url(MEDIA_DOCUMENT, "https://img.example.test/my%20note.txt", "p2") };
  struct upload_set *s = set_of(a, m, 3);
  struct arena arena = ARENA(1 << 20);
  CHECK_INT(upload_set_tokens(s), 2048);
  CHECK_INT(run_all(&r, a, upload_set_ref(s), "ok@example.org"), Q_OK);
  const struct json *f = json_parse(&arena, strbuf_str(&r.u.files), 64, NULL);
  CHECK_STR(json_str(json_path(f, "0.name")), S("cat.png"));
  CHECK(str_find(json_str(json_path(f, "0.url")), S("qwen-webui-prod")) > 0);
  CHECK_STR(json_str(json_path(f, "1.url")), S("https://cdn.qwenlm.ai/output/u/t2i/x.png?key=k"));
  CHECK_STR(json_str(json_path(f, "1.type")), S("image"));
  CHECK_STR(json_str(json_path(f, "2.name")), S("my note.txt"));
  CHECK(upload_set_tokens(s) < 1100 && upload_set_tokens(s) > 1024); /* measured now: 1 x 1, and words */
  run_end(&r);
  CHECK_INT(uploads(a), 2);
  CHECK_INT(run_all(&r, a, s, "second@example.org"), Q_OK);
  run_end(&r);
  CHECK_INT(uploads(a), 4);
  struct strbuf log = fakeup_ask(a, "/__log?heads=1", NULL);
  CHECK_INT(count(strbuf_str(&log), "\"host\":\"img.example.test\""), 2); /* once per set */
  CHECK_INT(count(strbuf_str(&log), "\"host\":\"cdn.qwenlm.ai\""), 0);
  strbuf_free(&log);
  CHECK_INT(fakeup_stat(a, "leaks"), 0); /* no token, no cookie goes to strangers or to the store */
  arena_free(&arena);
  fakeup_app_end(a);
}

static void t_bad_urls(void)
{
  static const struct { const char *url; enum media_kind kind; enum q_status want; const char *says; } rows[] = {
    { "https://img.example.test/html", MEDIA_IMAGE, Q_BAD_MEDIA, "HTML" }, { "https://img.example.test/mislabel", MEDIA_IMAGE, Q_BAD_MEDIA, "HTML" },
    { "https://img.example.test/notfound", MEDIA_IMAGE, Q_BAD_MEDIA, "404" }, { "https://img.example.test/empty", MEDIA_IMAGE, Q_BAD_MEDIA, "nothing" },
    { "https://img.example.test/note.txt", MEDIA_IMAGE, Q_BAD_MEDIA, "plain text" }, { "http://127.0.0.1:1/x", MEDIA_IMAGE, Q_MEDIA_REFUSED, "127.0.0.1" },
    { "https://img.example.test/redirect?to=http%3A%2F%2F127.0.0.1%3A1%2Fx", MEDIA_IMAGE, Q_MEDIA_REFUSED, "127.0.0.1" },
  };
  struct app *a = begin(NULL);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct chat_media m[] = { media_url(MEDIA_IMAGE, "https://img.example.test/cat.png", "messages[0].content[0]"), media_url(rows[i].kind, rows[i].url, "messages[0].content[1]") };
    struct upload_set *s = set_of(a, m, 2);
    struct run r;
    for(int n = 0; n < 2; n++) { /* the second run is told from memory */
      CHECK_INT(run_all(&r, a, upload_set_ref(s), "ok@example.org"), rows[i].want);
      CHECK_Z(r.u.err.param, "messages[0].content[1]");
      if(!strstr(r.u.err.msg, rows[i].says)) T_FAIL("%s", r.u.err.msg);
      CHECK_INT(r.u.files.n, 0);
      run_end(&r);
    }
    upload_set_unref(s);
  }
  fakeup_app_end(a);
}

/* api 3.4: what counts as base64, and what happens to what is none. */
static void t_base64(void)
{
  static const struct { const char *data; bool plain; enum media_kind kind; const char *mime; enum q_status want; } rows[] = {
    { "iVBORw0KGgoAAAANSUhEUg==", false, MEDIA_IMAGE, "image/png", Q_OK }, { "iVBO\r\n Rw0K\tGgoA AAANSUhEUg", false, MEDIA_IMAGE, "", Q_OK },
    { "iVBORw0KGgoAAAD_-_8=", false, MEDIA_IMAGE, "", Q_OK }, { "iVBORw0KGgoAAAD/+/8", false, MEDIA_IMAGE, "", Q_OK },
    { "iVBORw0KGgo*", false, MEDIA_IMAGE, "image/png", Q_BAD_MEDIA }, { "iVBORw0KGgoAA===", false, MEDIA_IMAGE, "image/png", Q_BAD_MEDIA },
    { "iVBORw0KGgoAA", false, MEDIA_IMAGE, "image/png", Q_BAD_MEDIA }, { "", false, MEDIA_IMAGE, "image/png", Q_BAD_MEDIA },
    { "AAAA", false, MEDIA_IMAGE, "image/png", Q_BAD_MEDIA }, { "hello there", true, MEDIA_IMAGE, "image/png", Q_BAD_MEDIA },
    { "hello there", true, MEDIA_DOCUMENT, "", Q_OK }, { "", true, MEDIA_DOCUMENT, "", Q_BAD_MEDIA },
  };
  struct app *a = begin(NULL);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct chat_media m = { .kind = rows[i].kind, .data = str_z(rows[i].data), .plain = rows[i].plain, .mime = str_z(rows[i].mime), .param = "messages[3].content[2]" };
    const struct chat_media *v[1] = { &m };
    struct q_error e = Q_ERROR_NONE;
    struct upload_set *s = upload_set_new(a, v, 1, STR_NONE, &e);
    CHECK_INT(s ? Q_OK : e.st, rows[i].want);
    if(!s) CHECK_Z(e.param, "messages[3].content[2]");
    upload_set_unref(s);
  }
  fakeup_app_end(a);
}

/* The same bytes in any spelling are one content. */
static void t_spelling(void)
{
  static const char *const spellings[] = { "iVBORw0KGgoAAAD/+/8=", "iVBORw0KGgoAAAD_-_8", "iVBO Rw0K\nGgoAAAD/+/8=" };
  struct app *a = begin(NULL);
  for(int i = 0; i < 3; i++) {
    struct chat_media m = { .kind = MEDIA_IMAGE, .data = str_z(spellings[i]), .param = "p" };
    struct run r;
    CHECK_INT(run_all(&r, a, set_of(a, &m, 1), "ok@example.org"), Q_OK);
    run_end(&r);
  }
  CHECK_INT(uploads(a), 1);
  fakeup_app_end(a);
}

/* ---- hosts that never answer ---- */

static void hang(struct peer_conn *c)
{
  char b[100];
  while(!atomic_load(&c->peer->stop) && peer_read(c, b, sizeof b)) fakeup_nap(5);
}

struct ping { struct job job; atomic_bool done; };
static void ping_job(struct job *j)
{
  atomic_store(&((struct ping *)j)->done, true);
}

/* A hundred pictures whose hosts never answer delay nothing: not the jobs of sign-ins and names, not another's upload. Who
 * leaves is let go at once, and so is the app that ends. */
static void t_hanging(void)
{
  char url[100];
  struct peer *p = peer_start(NULL, false, hang, NULL);
  struct app *a = begin((char *[]){ "ALLOW_PRIVATE_MEDIA=true", NULL });
  struct chat_media m[50];
  static struct run r[2];
  struct ping ping = { .job.fn = ping_job };
  for(int k = 0; k < 2; k++) {
    for(int i = 0; i < 50; i++) {
      snprintf(url, sizeof url, "http://127.0.0.1:%d/%d", p->port, k * 50 + i);
      m[i] = media_url(MEDIA_IMAGE, strdup(url), "p");
    }
    run_begin(&r[k], a, set_of(a, m, 50), "ok@example.org");
    for(int i = 0; i < 50; i++) free((char *)m[i].url.p);
  }
  for(int i = 0; i < 1000 && atomic_load(&p->accepted) < 40; i++) fakeup_nap(10);
  CHECK(atomic_load(&p->accepted) >= 40);
  int64_t t0 = now_mono_ms(&now_real);
  CHECK_INT(jobs_submit(a->jobs, &ping.job), Q_OK);
  for(int i = 0; i < 2000 && !atomic_load(&ping.done); i++) fakeup_nap(1);
  CHECK(now_mono_ms(&now_real) - t0 < 500);
  struct run other;
  CHECK_INT(run_all(&other, a, picture(a, "beside"), "ok@example.org"), Q_OK);
  run_end(&other);
  CHECK(now_mono_ms(&now_real) - t0 < 5000);
  CHECK(!atomic_load(&r[0].done) && !atomic_load(&r[1].done));

  pump_post(a->pumps[0].pump, &r[0].leave);
  for(int i = 0; i < 1000 && !atomic_load(&r[0].left); i++) fakeup_nap(1);
  CHECK_INT(atomic_load(&r[0].left), 1);
  run_end(&r[0]);
  t0 = now_mono_ms(&now_real);
  fakeup_app_end(a); /* the other run is told */
  CHECK(now_mono_ms(&now_real) - t0 < 5000);
  CHECK_INT(atomic_load(&r[0].done), 0);
  CHECK_INT(atomic_load(&r[1].done), 1);
  CHECK_INT(r[1].u.st, Q_SHUTDOWN);
  secret_unref(r[1].who.token);
  strbuf_free(&r[1].u.files);
  peer_stop(p);
}

/* A flight that everybody left gives up and is not joined again. */
static void t_leave(void)
{
  struct app *a = begin(NULL);
  static struct run r, again;
  fakeup_tell(a, "/__script", "{\"sts\":[\"stall\"]}");
  run_begin(&r, a, picture(a, "leave"), "ok@example.org");
  for(int i = 0; i < 2000 && fakeup_stat(a, "sts") < 1; i++) fakeup_nap(5);
  pump_post(a->pumps[0].pump, &r.leave);
  for(int i = 0; i < 1000 && !atomic_load(&r.left); i++) fakeup_nap(1);
  CHECK_INT(atomic_load(&r.left), 1);
  int64_t t0 = now_mono_ms(&now_real);
  while(jobs_running(a->upload_jobs) && now_mono_ms(&now_real) - t0 < 10000) fakeup_nap(5);
  CHECK(now_mono_ms(&now_real) - t0 < 1500);
  CHECK_INT(run_all(&again, a, picture(a, "leave"), "ok@example.org"), Q_OK);
  run_end(&again);
  CHECK_INT(atomic_load(&r.done), 0);
  run_end(&r);
  fakeup_app_end(a);
}

/* ---- a store that is none ---- */

static const char *evil_endpoint;
static void evil(struct peer_conn *c)
{
  char body[1000], answer[1400];
  while(peer_head(c).n) {
    int n = snprintf(body, sizeof body, "{\"success\":true,\"data\":{\"access_key_id\":\"k\",\"access_key_secret\":\"s\",\"security_token\":\"t\",\"file_id\":\"f\","
                     "\"file_path\":\"u/f_a.png\",\"file_url\":\"https://x/y\",\"bucketname\":\"bucket\",\"region\":\"oss-r\",\"endpoint\":\"%s\"}}", evil_endpoint);
    snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, body);
    peer_say(c, answer);
    return;
  }
}

static void t_evil(void)
{
  static const char *const rows[] = { "evil.example.net", "oss-x.aliyuncs.com.evil.net", "aliyuncs.com", "oss-.aliyuncs.com", "x.oss-y.aliyuncs.com",
                                      "oss-a.b.aliyuncs.com", "oss-x.aliyuncs.com:8443", "127.0.0.1", "user@oss-x.aliyuncs.com", "oss-x.aliyuncs.com/a?b" };
  char base[100];
  struct peer *p = peer_start(NULL, false, evil, NULL);
  snprintf(base, sizeof base, "QWEN_CHAT_PROXY_URL=http://127.0.0.1:%d", p->port);
  struct app *a = begin((char *[]){ base, NULL });
  atomic_store(&fakeup_speed, 10);
  for(size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct run r;
    evil_endpoint = rows[i];
    CHECK_INT(run_all(&r, a, picture(a, rows[i]), "ok@example.org"), Q_UPLOAD_FAILED);
    CHECK(strstr(r.u.words, "trusted") || strstr(r.u.words, "known")); /* refused before a connection was made */
    run_end(&r);
  }
  CHECK_INT(fakeup_stat(a, "put"), 0);
  bool named;
  struct config *c = app_config(a);
  CHECK(upload_put_host(c, S("b"), S("b.oss-cn-x.aliyuncs.com"), &named) && !named);
  CHECK(upload_put_host(c, S("qwen-webui-prod"), S("qwen-webui-prod.oss-accelerate.aliyuncs.com"), &named) && named);
  CHECK(upload_put_host(c, S("img"), S("img.example.test"), &named) && named); /* UPSTREAM_RESOLVE names it */
  CHECK(!upload_put_host(c, S("b"), S("c.oss-x.aliyuncs.com"), &named) && !upload_put_host(c, S("b"), S("boss-x.aliyuncs.com"), &named));
  config_unref(c);
  fakeup_app_end(a);
  peer_stop(p);
}

/* The sum of what is held is bounded, and comes back. */
static void t_sum(void)
{
  if(!t_torture()) return; /* half a gigabyte */
  struct app *a = begin(NULL);
  size_t n = 90u << 20;
  char *big = calloc(1, n);
  memcpy(big, png, sizeof png);
  struct chat_media m = { .kind = MEDIA_IMAGE, .data = str_of(big, n), .plain = true, .param = "p" };
  const struct chat_media *v[1] = { &m };
  struct upload_set *s[6];
  struct q_error e = Q_ERROR_NONE;
  for(int i = 0; i < 5; i++) CHECK((s[i] = upload_set_new(a, v, 1, STR_NONE, &e)) != NULL);
  CHECK(upload_set_new(a, v, 1, STR_NONE, &e) == NULL);
  CHECK_INT(e.st, Q_OVERLOADED);
  CHECK(e.retry_after_s > 0);
  upload_set_unref(s[0]);
  CHECK((s[0] = upload_set_new(a, v, 1, STR_NONE, &e)) != NULL);
  for(int i = 0; i < 5; i++) upload_set_unref(s[i]);
  m.data.n = UPLOAD_FILE_MAX + 1;
  CHECK(upload_set_new(a, v, 1, STR_NONE, &e) == NULL);
  CHECK_INT(e.st, Q_TOO_BIG);
  free(big);
  fakeup_app_end(a);
}

/* A large content goes whole, also when the first tries are cut: it is lent to each, not copied. */
static void t_large(void)
{
  struct app *a = begin(NULL);
  size_t n = 3u << 20;
  char *big = malloc(n), hex[65], want[100];
  unsigned char sha[32];
  struct run r;
  memcpy(big, png, sizeof png);
  for(size_t i = sizeof png; i < n; i++) big[i] = (char)(i * 2654435761u >> 13);
  crypt_sha256(str_of(big, n), sha);
  codec_hex(str_of((char *)sha, 32), hex);
  struct chat_media m = { .kind = MEDIA_IMAGE, .data = str_of(big, n), .plain = true, .param = "p" };
  struct upload_set *s = set_of(a, &m, 1);
  fakeup_tell(a, "/__script", "{\"put\":[\"drop_early\",\"oss_503\",\"oss_signature\"]}");
  CHECK_INT(run_all(&r, a, s, "ok@example.org"), Q_OK);
  snprintf(want, sizeof want, "\"sha256\":\"%s\"", hex);
  CHECK(fake_files_have(a, want) && fake_files_have(a, "\"size\":3145728"));
  CHECK_INT(fakeup_stat(a, "put"), 4);
  CHECK(fake_files_have(a, "\"signature\":\"V1\"")); /* upstream 5.4: the other signature, once the first was refused */
  run_end(&r);
  free(big);
  fakeup_app_end(a);
}

/* The account's own proxy is the way for all of it; its failure is told as such. */
static void t_proxy(void)
{
  struct app *a = begin(NULL);
  struct run r;
  run_begin(&r, a, picture(a, "proxy"), "second@example.org");
  CHECK(run_wait(&r, 30000));
  CHECK_INT(r.u.st, Q_OK);
  run_end(&r);
  for(int i = 0; i < 2; i++) {
    struct chat_media m = media_url(MEDIA_IMAGE, "https://img.example.test/cat.png", "p");
    r = (struct run){ .u.done = run_done, .start.fn = run_start, .a = a, .set = i ? set_of(a, &m, 1) : picture(a, "proxied"), .who = lease_of(a, "ok@example.org") };
    r.who.proxy = secret_new(S("http://u:hidden@127.0.0.1:1"));
    pump_post(a->pumps[0].pump, &r.start);
    CHECK(run_wait(&r, 30000));
    CHECK_INT(r.u.st, Q_PROXY);
    CHECK(!strstr(r.u.err.msg, "hidden") && !strstr(r.u.words, "hidden"));
    run_end(&r);
  }
  fakeup_app_end(a);
}

/* Out of memory anywhere: an error, nothing lost. */
static void t_no_memory(void)
{
  struct app *a = begin(NULL);
  struct media m;
  media_bytes(&m, MEDIA_IMAGE, str_of(png, sizeof png), "", "", "p");
  struct chat_media url = media_url(MEDIA_IMAGE, "https://img.example.test/cat.png", "q");
  const struct chat_media *v[2] = { &m.m, &url };
  for(long n = 0;; n++) {
    struct q_error e = Q_ERROR_NONE;
    long base = mem_live();
    fault_arm(n, false);
    struct upload_set *s = upload_set_new(a, v, 2, S("text"), &e);
    bool hit = fault_disarm();
    CHECK(s || e.st == Q_NOMEM);
    upload_set_unref(s);
    CHECK_INT(mem_live(), base);
    if(!hit) break;
  }
  strbuf_free(&m.text);
  fakeup_app_end(a);
}

/* Nothing is left when all is over. */
static void t_nothing_left(void)
{
  long base = mem_live();
  struct app *a = begin(NULL);
  struct run r;
  CHECK_INT(run_all(&r, a, picture(a, "end"), "ok@example.org"), Q_OK);
  run_end(&r);
  fakeup_app_end(a);
  CHECK_INT(mem_live(), base);
}

T_MAIN(T(t_picture), T(t_together), T(t_kinds), T(t_document), T(t_conversation), T(t_ways), T(t_failures), T(t_forget), T(t_urls), T(t_bad_urls),
       T(t_base64), T(t_spelling), T(t_hanging), T(t_leave), T(t_evil), T(t_sum), T(t_large), T(t_proxy), T(t_no_memory), T(t_nothing_left))
