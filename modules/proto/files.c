#include "proto/files.h"

#include <stdio.h>

enum { FILES_ANSWER_MAX = 4 * 1024 * 1024, FILES_FIELD_MAX = 8 * 1024 };

static struct str files_text(const struct json *root, const char *const *names, int n)
{
  char path[64];
  struct str found = STR_NONE;
  for(int i = 0; i < 2 * n && !found.n; i++) {
    snprintf(path, sizeof path, "%s%s", i < n ? "data." : "", names[i % n]);
    found = json_str(json_path(root, path));
  }
  return found;
}
#define FILES_TEXT(root, ...) \
  files_text((root), (const char *const[]){ __VA_ARGS__ }, (int)(sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)))

/* These go into header lines and URLs: visible ASCII only. */
static bool files_visible(struct str s)
{
  for(size_t i = 0; i < s.n; i++)
    if(s.p[i] <= ' ' || s.p[i] >= 0x7f) return false;
  return s.n > 0 && s.n < FILES_FIELD_MAX;
}

static bool files_plain_path(struct str s)
{
  for(size_t i = 0; i < s.n; i++)
    if((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) return false;
  return s.n > 0 && s.n < 1024 && s.p[0] != '/';
}

/* Lower case letters, digits, hyphens (and dots where they may be). */
static bool files_label(struct str s, bool dots)
{
  for(size_t i = 0; i < s.n; i++) {
    char c = s.p[i];
    if(!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i) || (dots && c == '.' && i))) return false;
  }
  return s.n > 0 && s.n < 128;
}

/* The endpoint may carry a scheme, the bucket, a slash, or be missing. */
static bool files_host(struct files_token *t, struct str endpoint, struct str region)
{
  char own[192];
  ptrdiff_t scheme = str_find(endpoint, S("://"));
  if(scheme >= 0) endpoint = str_sub(endpoint, (size_t)scheme + 3, endpoint.n);
  while(endpoint.n && endpoint.p[endpoint.n - 1] == '/') endpoint.n--;
  if(endpoint.n > t->bucket.n && str_istarts(endpoint, t->bucket) && endpoint.p[t->bucket.n] == '.')
    endpoint = str_sub(endpoint, t->bucket.n + 1, endpoint.n);
  if(!endpoint.n) {
    snprintf(own, sizeof own, "%.*s.aliyuncs.com", STR_F(region));
    endpoint = str_z(own);
  }
  for(size_t i = 0; i < endpoint.n; i++) {
    char c = endpoint.p[i];
    bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    if(!fits) return false; /* a port, a path, user info: nothing of this belongs there */
  }
  int n = snprintf(t->host, sizeof t->host, "%.*s.%.*s", STR_F(t->bucket), STR_F(endpoint));
  return n > 0 && (size_t)n < sizeof t->host;
}

enum q_status files_read_token(struct arena *a, struct str body, struct files_token *out)
{
  struct json_error err = { .expected = "" };
  const struct json *root = json_parse(a, body, 64, &err);
  *out = (struct files_token){ .host = "" };
  if(!root) return err.expected ? Q_UP_BODY : Q_NOMEM;
  out->key_id = FILES_TEXT(root, "access_key_id", "accessKeyId", "AccessKeyId");
  out->secret = FILES_TEXT(root, "access_key_secret", "accessKeySecret", "AccessKeySecret");
  out->token = FILES_TEXT(root, "security_token", "securityToken", "SecurityToken");
  out->id = FILES_TEXT(root, "file_id", "fileId", "id");
  out->path = FILES_TEXT(root, "file_path", "filePath", "key");
  out->url = FILES_TEXT(root, "file_url", "fileUrl", "url");
  out->bucket = FILES_TEXT(root, "bucketname", "bucket_name", "bucketName", "bucket");
  struct str region = FILES_TEXT(root, "region"), endpoint = FILES_TEXT(root, "endpoint");
  if(!region.n) return Q_UP_BODY;
  out->region = str_starts(region, S("oss-")) ? str_sub(region, 4, region.n) : region;
  if(!files_visible(out->key_id) || !files_visible(out->secret) || !files_visible(out->token)) return Q_UP_BODY;
  if(!files_visible(out->id) || out->id.n > 128 || !files_plain_path(out->path)) return Q_UP_BODY;
  if(!files_label(out->bucket, false) || !files_label(out->region, false)) return Q_UP_BODY;
  char full[160];
  snprintf(full, sizeof full, "oss-%.*s", STR_F(out->region));
  if(!files_host(out, endpoint, str_z(full))) return Q_UP_BODY;
  if(out->url.n && (!files_visible(out->url) || !str_istarts(out->url, S("https://")))) out->url = STR_NONE;
  return Q_OK;
}

static const struct { const char *type, *show, *class, *ask; } files_kinds[] = {
  [MEDIA_IMAGE] = { "image", "image", "vision", "image" },
  [MEDIA_VIDEO] = { "video", "video", "video", "video" },
  [MEDIA_AUDIO] = { "audio", "audio", "audio", "audio" },
  [MEDIA_DOCUMENT] = { "file", "file", "document", "file" },
};

void files_ask_token(struct str name, int64_t size, enum media_kind kind, bool text_size, bool document, struct strbuf *out)
{
  strbuf_lit(out, "{\"filename\":");
  strbuf_json(out, name);
  strbuf_fmt(out, text_size ? ",\"filesize\":\"%lld\"" : ",\"filesize\":%lld", (long long)size);
  strbuf_fmt(out, ",\"filetype\":\"%s\"}", kind == MEDIA_DOCUMENT && document ? "document" : files_kinds[kind].ask);
}

static void files_member(struct strbuf *out, const char *lead, struct str value)
{
  strbuf_addz(out, lead);
  strbuf_json(out, value);
}

void files_write(const struct files_entry *f, struct strbuf *out)
{
  strbuf_fmt(out, "{\"type\":\"%s\"", files_kinds[f->kind].type);
  files_member(out, ",\"id\":", f->id);
  files_member(out, ",\"url\":", f->url);
  files_member(out, ",\"name\":", f->name);
  strbuf_lit(out, ",\"collection_name\":\"\",\"progress\":0,\"status\":\"uploaded\",\"is_uploading\":false,\"error\":\"\"");
  strbuf_fmt(out, ",\"showType\":\"%s\",\"file_class\":\"%s\",\"greenNet\":\"success\",\"size\":%lld", files_kinds[f->kind].show,
             files_kinds[f->kind].class, (long long)f->size);
  files_member(out, ",\"file_type\":", f->mime);
  strbuf_fmt(out, ",\"itemId\":\"%s\",\"uploadTaskId\":\"%s\"", f->item, f->task);
  strbuf_fmt(out, ",\"file\":{\"created_at\":%lld,\"update_at\":%lld,\"data\":{}", (long long)f->now_ms, (long long)f->now_ms);
  files_member(out, ",\"filename\":", f->name);
  files_member(out, ",\"hash\":null,\"id\":", f->id);
  files_member(out, ",\"user_id\":", f->user);
  files_member(out, ",\"meta\":{\"name\":", f->name);
  strbuf_fmt(out, ",\"size\":%lld", (long long)f->size);
  files_member(out, ",\"content_type\":", f->mime);
  if(f->kind == MEDIA_DOCUMENT && f->parsed) strbuf_lit(out, ",\"parse_meta\":{\"parse_status\":\"success\"}");
  strbuf_lit(out, "}}}");
}

/* ---- parsing ---- */

static enum files_parse files_word(struct str word)
{
  static const struct { const char *word; enum files_parse state; } words[] = {
    { "pending", FILES_WAITING }, { "running", FILES_WAITING }, { "processing", FILES_WAITING }, { "parsing", FILES_WAITING },
    { "success", FILES_READY }, { "parsed", FILES_READY }, { "done", FILES_READY }, { "finished", FILES_READY },
    { "completed", FILES_READY },
    { "failed", FILES_BROKEN }, { "error", FILES_BROKEN }, { "fail", FILES_BROKEN },
  };
  for(size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if(str_ieq(word, str_z(words[i].word))) return words[i].state;
  return word.n ? FILES_WAITING : FILES_UNTOLD;
}

static struct str files_status(const struct json *n)
{
  struct str s = json_str(json_get(n, "status"));
  return s.n ? s : json_str(json_get(n, "parse_status"));
}

enum files_parse files_parse_state(struct str body, struct str id)
{
  struct arena a = ARENA(FILES_ANSWER_MAX);
  const struct json *root = json_parse(&a, body, 64, NULL), *data = json_get(root, "data");
  struct str word = STR_NONE;
  if(json_is(data, JSON_ARRAY)) {
    for json_each(it, data) {
      struct str its = json_str(json_get(it, "file_id"));
      if(str_eq(its, id) || (!its.n && data->count == 1)) word = files_status(it);
    }
  } else if(json_is(data, JSON_OBJECT)) {
    for json_each(it, data)
      if(str_eq(it->key, id)) word = json_is(it, JSON_STRING) ? it->text : files_status(it);
    if(!word.n) word = files_status(data);
  } else {
    word = files_status(root);
  }
  enum files_parse state = files_word(word);
  arena_free(&a);
  return state;
}

/* ---- the store ---- */

void files_store_code(struct str body, char code[64])
{
  size_t n = 0;
  code[0] = 0;
  ptrdiff_t at = str_find(body, S("<Code>"));
  if(at < 0) return;
  for(struct str rest = str_sub(body, (size_t)at + 6, 63); n < rest.n; n++) {
    char c = rest.p[n];
    if(!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) break;
    code[n] = c;
  }
  code[n] = 0;
}

struct str files_id_of_url(struct str url)
{
  struct str path = str_cut(&url, '?');
  size_t at = path.n;
  while(at && path.p[at - 1] != '/') at--;
  struct str last = str_sub(path, at, path.n), id = str_sub(last, 0, 36);
  if(last.n < 37 || last.p[36] != '_') return STR_NONE;
  for(size_t i = 0; i < 36; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    char c = id.p[i];
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if(dash ? c != '-' : !hex) return STR_NONE;
  }
  return id;
}
