/* ---------- files: upload tokens, the bucket, parsing ---------- */

struct file {
  int account;
  char id[CHAT_ID_N + 1], kind[12], key[32], secret[48], token[64], signature[4];
  char *name, *path, *type, *bytes; /* type: of the PUT; bytes: not kept of large ones */
  int64_t declared, size, expires_s;
  unsigned char sha[32], md5[16];
  int puts, parses, polls;
  bool put, parsed;
};
static struct file **files;
static size_t file_n;
static const char file_prefix[] = "9ab1b6fa-bfbd-4208-ba09-", bucket[] = "qwen-webui-prod";
enum { KEEP_MAX = 32 << 20, NAME_BYTES_MAX = 100, SKEW_S = 900, URL_LIFE_S = 300 };

static struct file *file_by_id(struct span id, int who)
{
  for(size_t i = 0; i < file_n; i++)
    if(span_is(id, files[i]->id) && files[i]->account == who) return files[i];
  return NULL;
}

static void files_clear(void)
{
  for(size_t i = 0; i < file_n; i++) {
    char *own[] = { files[i]->name, files[i]->path, files[i]->type, files[i]->bytes };
    for(size_t k = 0; k < NELEM(own); k++) free(own[k]);
    free(files[i]);
  }
  file_n = 0;
}

/* ---- signatures ---- */

struct signing {
  struct span key, secret, bucket_name, region, path, type, date, md5, token; /* path: raw bytes */
  char headers[2048];                                                        /* x-oss-*, one a line, sorted */
};

/* The headers that are signed whenever they are sent, sorted by name; `all`: content-type and content-md5 too. */
static void signed_headers(const struct req *r, bool all, char *out, size_t cap)
{
  struct line { char name[64]; struct span v; } lines[24], swap;
  size_t n = 0, at = 0;
  const char *e = r->head.p + r->head.n - 2, *p = memchr(r->head.p, '\n', r->head.n);
  for(p++; p < e && n < NELEM(lines);) {
    const char *eol = memchr(p, '\n', (size_t)(e - p)), *colon = memchr(p, ':', (size_t)(eol - p));
    copy_span(lines[n].name, sizeof lines[n].name, (struct span){ p, (size_t)(colon - p) });
    for(char *c = lines[n].name; *c; c++)
      if(*c >= 'A' && *c <= 'Z') *c = (char)(*c | 32);
    lines[n].v = header(r, lines[n].name);
    if(!strncmp(lines[n].name, "x-oss-", 6) || (all && (!strcmp(lines[n].name, "content-type") || !strcmp(lines[n].name, "content-md5")))) n++;
    p = eol + 1;
  }
  for(size_t i = 1; i < n; i++)
    for(size_t k = i; k > 0 && strcmp(lines[k - 1].name, lines[k].name) > 0; k--)
      swap = lines[k], lines[k] = lines[k - 1], lines[k - 1] = swap;
  out[0] = 0;
  for(size_t i = 0; i < n && at + 1 < cap; i++)
    at += (size_t)snprintf(out + at, cap - at, "%s:%.*s\n", lines[i].name, (int)lines[i].v.n, lines[i].v.p);
}

/* Signature V4: the canonical request and the string to sign are left in the buffers. */
static void sign_v4(const struct signing *s, struct buf *canonical, struct buf *text, struct buf *signature)
{
  static struct buf first;
  unsigned char h[32], k[32];
  canonical->n = text->n = signature->n = first.n = 0;
  buf_text(canonical, "PUT\n/");
  buf_add(canonical, s->bucket_name.p, s->bucket_name.n);
  buf_text(canonical, "/");
  percent_encode(s->path, true, canonical);
  buf_fmt(canonical, "\n\n%s\n\nUNSIGNED-PAYLOAD", s->headers);
  sha256(canonical->p, canonical->n, h);
  buf_fmt(text, "OSS4-HMAC-SHA256\n%.*s\n%.8s/%.*s/oss/aliyun_v4_request\n", (int)s->date.n, s->date.p, s->date.n >= 8 ? s->date.p : "",
          (int)s->region.n, s->region.p);
  hex_put(h, 32, false, text);
  buf_text(&first, "aliyun_v4");
  buf_add(&first, s->secret.p, s->secret.n);
  hmac(&br_sha256_vtable, first.p, first.n, s->date.p, s->date.n < 8 ? s->date.n : 8, k);
  hmac(&br_sha256_vtable, k, 32, s->region.p, s->region.n, k);
  hmac(&br_sha256_vtable, k, 32, "oss", 3, k);
  hmac(&br_sha256_vtable, k, 32, "aliyun_v4_request", 17, k);
  hmac(&br_sha256_vtable, k, 32, text->p, text->n, k);
  hex_put(k, 32, false, signature);
}

static void sign_v1(const struct signing *s, struct buf *text, struct buf *signature)
{
  unsigned char mac[20];
  text->n = signature->n = 0;
  buf_fmt(text, "PUT\n%.*s\n%.*s\n%.*s\n%s/", (int)s->md5.n, s->md5.p ? s->md5.p : "", (int)s->type.n, s->type.p ? s->type.p : "",
          (int)s->date.n, s->date.p ? s->date.p : "", s->headers);
  buf_add(text, s->bucket_name.p, s->bucket_name.n);
  buf_text(text, "/");
  buf_add(text, s->path.p, s->path.n);
  hmac(&br_sha1_vtable, s->secret.p, s->secret.n, text->p, text->n, mac);
  b64(mac, 20, signature);
}

/* POST /__sign: what the signature of given values is, so that it can be held against the published vectors. */
static void c_sign(struct buf *b)
{
  static struct buf at[8], canonical, text, signature;
  static const char *const names[8] = { "secret", "bucket", "region", "path", "type", "date", "md5", "token" };
  struct signing s = { .key = SPAN_NONE };
  struct span *to[8] = { &s.secret, &s.bucket_name, &s.region, &s.path, &s.type, &s.date, &s.md5, &s.token };
  bool v4 = !js_is(js_get(0, "version"), "V1");
  for(size_t i = 0; i < NELEM(names); i++) {
    js_text(js_get(0, names[i]), &at[i]);
    *to[i] = (struct span){ at[i].p, at[i].n };
  }
  if(v4)
    snprintf(s.headers, sizeof s.headers, "content-type:%s\nx-oss-content-sha256:UNSIGNED-PAYLOAD\nx-oss-date:%s\nx-oss-security-token:%s\n",
             at[4].p, at[5].p, at[7].p);
  else snprintf(s.headers, sizeof s.headers, "x-oss-security-token:%s\n", at[7].p);
  canonical.n = 0;
  if(v4) sign_v4(&s, &canonical, &text, &signature);
  else sign_v1(&s, &text, &signature);
  buf_text(b, "{\"canonical\":");
  quote(b, canonical.n ? canonical.p : "", canonical.n);
  buf_text(b, ",\"string_to_sign\":");
  quote(b, text.p, text.n);
  buf_text(b, ",\"signature\":");
  quote(b, signature.p, signature.n);
  buf_text(b, "}");
}

/* ---- upload tokens ---- */

static void sts_fail(bool v2, const char *field, const char *why)
{
  stat_.bad++;
  if(v2) reply_invalid(field, why);
  else reply_json(422, "{\"detail\":\"Field '%s': %s\"}", field, why);
}

static const char *sts_fault(struct span name, int size, struct span kind, int64_t *bytes)
{
  static const char *const kinds[] = { "image", "video", "audio", "file", "document" };
  size_t k = 0;
  bool text = js_kind_is(size, JS_STRING), number = js_kind_is(size, JS_NUMBER);
  if(!name.n || name.n > NAME_BYTES_MAX || memchr(name.p, '/', name.n) || memchr(name.p, '\\', name.n)) return "body -> filename";
  for(size_t i = 0; i < name.n; i++)
    if((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f) return "body -> filename";
  if((!text && !number) || (!strcmp(set.filesize, "string") && !text) || (!strcmp(set.filesize, "number") && !number)) return "body -> filesize";
  struct span d = { tape[size].p, tape[size].n };
  *bytes = 0;
  for(size_t i = 0; i < d.n; i++) {
    if(d.p[i] < '0' || d.p[i] > '9' || i > 12) return "body -> filesize";
    *bytes = *bytes * 10 + (d.p[i] - '0');
  }
  if(!d.n || *bytes <= 0 || (d.n > 1 && d.p[0] == '0')) return "body -> filesize";
  while(k < NELEM(kinds) && !span_is(kind, kinds[k])) k++;
  if(k == NELEM(kinds) || (k == 4 && strcmp(set.filetype, "document")) || (k == 3 && !strcmp(set.filetype, "document"))) return "body -> filetype";
  return NULL;
}

static struct file *file_add(int who, struct span name, struct span kind, int64_t bytes)
{
  static struct buf path;
  struct file *f = must(calloc(1, sizeof *f));
  files = must(realloc(files, (file_n + 1) * sizeof *files));
  snprintf(f->id, sizeof f->id, "%s%012zu", file_prefix, file_n);
  snprintf(f->key, sizeof f->key, "STS.FAKE%08zu", file_n);
  snprintf(f->secret, sizeof f->secret, "fakeSecret%034zu", file_n);
  snprintf(f->token, sizeof f->token, "CAISfake+/%020zu==", file_n);
  copy_span(f->kind, sizeof f->kind, kind);
  f->name = must(strndup(name.p, name.n));
  path.n = 0;
  buf_fmt(&path, "00000000-0000-4000-8000-%012d/%s_%s", who + 1, f->id, f->name);
  f->path = must(strndup(path.p, path.n));
  f->account = who;
  f->declared = bytes;
  f->expires_s = wall_s() + set.sts_life_s;
  return files[file_n++] = f;
}

static void utc(int64_t s, const char *fmt, char *out, size_t cap)
{
  time_t t = (time_t)s;
  struct tm tm;
  gmtime_r(&t, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  strftime(out, cap, fmt, &tm);
#pragma GCC diagnostic pop
}

static void sts(bool v2, int who)
{
  static struct buf name, b, path;
  int64_t bytes = 0;
  if((v2 ? set.sts_v2 : set.sts_v1) != 200) {
    reply_json(404, "{\"detail\":\"Not Found\"}");
    return;
  }
  struct span kind = js_span(js_get(0, "filetype"));
  js_text(js_get(0, "filename"), &name);
  const char *field = sts_fault((struct span){ name.p, name.n }, js_get(0, "filesize"), kind, &bytes);
  if(field) {
    sts_fail(v2, field, "missing or bad");
    return;
  }
  struct file *f = file_add(who, (struct span){ name.p, name.n }, kind, bytes);
  char date[20];
  utc(wall_s(), "%Y%m%dT%H%M%SZ", date, sizeof date);
  b.n = path.n = 0;
  percent_encode((struct span){ f->path, strlen(f->path) }, true, &path);
  if(v2) buf_text(&b, "{\"success\":true,\"request_id\":\"u\",\"data\":");
  buf_fmt(&b, "{\"access_key_id\":\"%s\",\"access_key_secret\":\"%s\",\"security_token\":\"%s\",\"file_id\":\"%s\",\"file_path\":", f->key,
          f->secret, f->token, f->id);
  quote(&b, f->path, strlen(f->path));
  buf_fmt(&b, ",\"file_url\":\"https://%s.oss-accelerate.aliyuncs.com/%.*s?x-oss-security-token=", bucket, (int)path.n, path.p);
  percent_encode((struct span){ f->token, strlen(f->token) }, false, &b);
  buf_fmt(&b, "&x-oss-date=%s&x-oss-expires=%d&x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=%s%%2F%.8s%%2Fap-southeast-1%%2Foss"
          "%%2Faliyun_v4_request&x-oss-signature=%064zu\"", date, URL_LIFE_S, f->key, date, file_n);
  buf_fmt(&b, ",\"bucketname\":\"%s\",\"region\":\"oss-ap-southeast-1\"", bucket);
  if(!strcmp(set.endpoint, "https")) buf_text(&b, ",\"endpoint\":\"https://oss-accelerate.aliyuncs.com\"");
  else if(!strcmp(set.endpoint, "bucket")) buf_fmt(&b, ",\"endpoint\":\"%s.oss-accelerate.aliyuncs.com\"", bucket);
  else if(strcmp(set.endpoint, "missing")) buf_text(&b, ",\"endpoint\":\"oss-accelerate.aliyuncs.com\"");
  buf_text(&b, v2 ? "}}" : "}");
  reply(200, JSON, "", b.p, b.n);
}

static void h_sts_v1(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  sts(false, who);
}

static void h_sts_v2(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  sts(true, who);
}

/* ---- the bucket ---- */

static void xml_text(struct buf *b, const char *p, size_t n)
{
  for(size_t i = 0; i < n; i++) {
    if(p[i] == '<') buf_text(b, "&lt;");
    else if(p[i] == '>') buf_text(b, "&gt;");
    else if(p[i] == '&') buf_text(b, "&amp;");
    else buf_add(b, p + i, 1);
  }
}

static void put_refuse(int status, const char *code, const char *message)
{
  char body[700];
  int n = snprintf(body, sizeof body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>%s</Code>\n  <Message>%s</Message>\n"
                   "  <RequestId>%024lX</RequestId>\n  <HostId>%s.oss-accelerate.aliyuncs.com</HostId>\n</Error>\n", code, message,
                   (unsigned long)stat_.requests, bucket);
  reply(status, "application/xml", "", body, (size_t)n);
}

static void put_mismatch(const struct file *f, struct span provided, const struct buf *canonical, const struct buf *text)
{
  static struct buf b;
  b.n = 0;
  buf_fmt(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>SignatureDoesNotMatch</Code>\n  <Message>The request signature we "
          "calculated does not match the signature you provided. Check your key and signing method.</Message>\n  <OSSAccessKeyId>%s"
          "</OSSAccessKeyId>\n  <SignatureProvided>", f->key);
  xml_text(&b, provided.p, provided.n);
  buf_text(&b, "</SignatureProvided>\n  <StringToSign>");
  xml_text(&b, text->p, text->n);
  if(canonical->n) buf_text(&b, "</StringToSign>\n  <CanonicalRequest>");
  xml_text(&b, canonical->p, canonical->n);
  buf_text(&b, canonical->n ? "</CanonicalRequest>\n</Error>\n" : "</StringToSign>\n</Error>\n");
  stat_.bad++;
  reply(403, "application/xml", "", b.p, b.n);
}

/* The seconds of a date of either signature; -1: it is none. */
static int64_t put_date(struct span d, bool v4)
{
  char text[40];
  struct tm tm = { 0 };
  copy_span(text, sizeof text, d);
  const char *end = strptime(text, v4 ? "%Y%m%dT%H%M%SZ" : "%a, %d %b %Y %H:%M:%S GMT", &tm);
  return end && !*end ? (int64_t)timegm(&tm) : -1;
}

/* "OSS4-HMAC-SHA256 Credential=<key>/<date>/<region>/oss/aliyun_v4_request,Signature=<hex>" or "OSS <key>:<base64>". */
static bool put_authorization(struct span a, bool v4, struct span *key, struct span *scope, struct span *signature)
{
  static const char lead[] = "OSS4-HMAC-SHA256 Credential=", mid[] = ",Signature=";
  const char *e = a.p + a.n;
  if(v4) {
    if(!span_starts(a, lead)) return false;
    const char *p = a.p + sizeof lead - 1, *slash = memchr(p, '/', (size_t)(e - p)), *comma = memmem(p, (size_t)(e - p), mid, sizeof mid - 1);
    if(!slash || !comma || slash > comma) return false;
    *key = (struct span){ p, (size_t)(slash - p) };
    *scope = (struct span){ slash + 1, (size_t)(comma - slash - 1) };
    *signature = (struct span){ comma + sizeof mid - 1, (size_t)(e - comma) - sizeof mid + 1 };
    return signature->n == 64 && !memchr(scope->p, ',', scope->n);
  }
  const char *colon = span_starts(a, "OSS ") ? memchr(a.p, ':', a.n) : NULL;
  if(!colon) return false;
  *key = (struct span){ a.p + 4, (size_t)(colon - a.p) - 4 };
  *signature = (struct span){ colon + 1, (size_t)(e - colon) - 1 };
  return true;
}

/* Checks a PUT as the store does. NULL: refused, the answer is written. */
static struct file *put_check(const struct req *r, struct span path)
{
  static struct buf canonical, text, want, scope_want;
  static struct signing s;
  struct span key, scope = SPAN_NONE, given, token = header(r, "x-oss-security-token");
  bool v4 = span_starts(r->auth, "OSS4");
  struct file *f = NULL;
  if(!put_authorization(r->auth, v4, &key, &scope, &given)) {
    put_refuse(403, "AccessDenied", "Anonymous access is forbidden, or the Authorization is malformed.");
    return NULL;
  }
  for(size_t i = 0; i < file_n; i++)
    if(span_is(key, files[i]->key)) f = files[i];
  if(!f) {
    put_refuse(403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.");
    return NULL;
  }
  if(!span_is(token, f->token)) {
    put_refuse(403, "InvalidSecurityToken", "The security token you provided is invalid.");
    return NULL;
  }
  if(f->expires_s <= wall_s()) {
    put_refuse(403, "SecurityTokenExpired", "The security token you provided has expired.");
    return NULL;
  }
  struct span date = v4 ? header(r, "x-oss-date") : header(r, "date");
  int64_t then = put_date(date, v4);
  if(then < 0) {
    put_refuse(400, "InvalidArgument", "The date is missing or malformed.");
    return NULL;
  }
  if(then < wall_s() - SKEW_S || then > wall_s() + SKEW_S) {
    put_refuse(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.");
    return NULL;
  }
  if(v4 && !span_is(header(r, "x-oss-content-sha256"), "UNSIGNED-PAYLOAD")) {
    put_refuse(400, "InvalidArgument", "x-oss-content-sha256 must be UNSIGNED-PAYLOAD.");
    return NULL;
  }
  s = (struct signing){ .key = key, .secret = { f->secret, strlen(f->secret) }, .bucket_name = { bucket, sizeof bucket - 1 },
                        .region = { "ap-southeast-1", 14 }, .path = path, .type = r->type, .date = date, .md5 = header(r, "content-md5"),
                        .token = token };
  signed_headers(r, v4, s.headers, sizeof s.headers);
  canonical.n = scope_want.n = 0;
  buf_fmt(&scope_want, "%.8s/ap-southeast-1/oss/aliyun_v4_request", date.p);
  if(v4) sign_v4(&s, &canonical, &text, &want);
  else sign_v1(&s, &text, &want);
  bool scoped = !v4 || (scope.n == scope_want.n && memcmp(scope.p, scope_want.p, scope.n) == 0);
  if(!scoped || given.n != want.n || memcmp(given.p, want.p, want.n) != 0) {
    put_mismatch(f, given, &canonical, &text);
    return NULL;
  }
  if(path.n != strlen(f->path) || memcmp(path.p, f->path, path.n) != 0) {
    put_refuse(403, "AccessDenied", "This token is for another object.");
    return NULL;
  }
  memcpy(f->signature, v4 ? "V4" : "V1", 3);
  return f;
}

static void h_put(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf path;
  char extra[160];
  (void)c, (void)who;
  if(r->length < 0) {
    put_refuse(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
    return;
  }
  if(!percent_decode((struct span){ r->path.p + 1, r->path.n - 1 }, false, &path)) {
    put_refuse(400, "InvalidObjectName", "The path is not percent-encoded as it must be.");
    return;
  }
  struct file *f = put_check(r, (struct span){ path.p, path.n });
  if(!f) return;
  log->account = f->account;
  br_md5_context m;
  br_md5_init(&m);
  br_md5_update(&m, r->body.p, r->body.n);
  br_md5_out(&m, f->md5);
  sha256(r->body.p, r->body.n, f->sha);
  free(f->bytes);
  free(f->type);
  f->type = must(strndup(r->type.p ? r->type.p : "", r->type.n));
  f->bytes = r->body.n <= KEEP_MAX ? must(malloc(r->body.n + 1)) : NULL;
  if(f->bytes && r->body.n) memcpy(f->bytes, r->body.p, r->body.n);
  f->size = (int64_t)r->body.n;
  f->put = true;
  f->puts++;
  if(f->size != f->declared) stat_.bad++;
  struct buf md5 = { NULL, 0, 0 };
  hex_put(f->md5, 16, true, &md5);
  snprintf(extra, sizeof extra, "ETag: \"%.32s\"\r\nx-oss-request-id: %024lX\r\n", md5.p, (unsigned long)stat_.requests);
  free(md5.p);
  reply(200, "text/plain", extra, "", 0);
}

/* Whoever knows a file's URL may read it; the query is not looked at. */
static void h_file(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf path;
  (void)c, (void)who, (void)log;
  percent_decode((struct span){ r->path.p + 1, r->path.n - 1 }, false, &path);
  for(size_t i = 0; i < file_n; i++)
    if(files[i]->put && strcmp(files[i]->path, path.p) == 0) {
      reply(200, files[i]->type, "", files[i]->bytes ? files[i]->bytes : "", files[i]->bytes ? (size_t)files[i]->size : 0);
      return;
    }
  put_refuse(404, "NoSuchKey", "The specified key does not exist.");
}

/* ---- parsing ---- */

static void h_parse(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  struct file *f = file_by_id(js_span(js_get(0, "file_id")), who);
  if(set.parse != 200) {
    reply_json(404, "{\"detail\":\"Not Found\"}");
    return;
  }
  if(!f || !f->put) {
    stat_.bad++;
    reply_fail(200, f ? "Bad_Request" : "Not_Found", f ? "the file has not been uploaded" : "no such file");
    return;
  }
  f->parses++;
  f->polls = 0;
  reply_json(200, "{\"success\":true,\"request_id\":\"p\",\"data\":{\"file_id\":\"%s\",\"status\":\"pending\"}}", f->id);
}

static bool parse_is_good(void)
{
  static const char *const words[] = { "success", "parsed", "done", "finished", "completed" };
  for(size_t i = 0; i < NELEM(words); i++)
    if(strcmp(set.parse_word, words[i]) == 0) return true;
  return false;
}

static void h_parse_status(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf b;
  int list = js_get(0, "file_id_list");
  (void)c, (void)r, (void)log;
  if(set.parse != 200) {
    reply_json(404, "{\"detail\":\"Not Found\"}");
    return;
  }
  if(!js_kind_is(list, JS_ARRAY) || js_item(list, 0) == JS_NONE) {
    stat_.bad++;
    reply_invalid("body -> file_id_list", "Field required");
    return;
  }
  b.n = 0;
  buf_fmt(&b, "{\"success\":true,\"request_id\":\"p\",\"data\":%s", set.parse_by_id ? "{" : "[");
  for(int i = 0, item; (item = js_item(list, i)) != JS_NONE; i++) {
    struct file *f = file_by_id(js_span(item), who);
    if(!f || !f->parses) {
      stat_.bad++;
      reply_fail(200, "Not_Found", "no such file is being parsed");
      return;
    }
    const char *word = f->polls < set.parse_polls ? "running" : set.parse_word;
    if(f->polls++ >= set.parse_polls) f->parsed = parse_is_good();
    if(i) buf_text(&b, ",");
    if(set.parse_by_id) buf_fmt(&b, "\"%s\":{\"status\":\"%s\"}", f->id, word);
    else if(word[0]) buf_fmt(&b, "{\"file_id\":\"%s\",\"status\":\"%s\"}", f->id, word);
    else buf_fmt(&b, "{\"file_id\":\"%s\"}", f->id); /* a status that is missing counts as ready after a while */
  }
  if(!set.parse_word[0])
    for(int i = 0; js_item(list, i) != JS_NONE; i++) file_by_id(js_span(js_item(list, i)), who)->parsed = true;
  buf_text(&b, set.parse_by_id ? "}}" : "]}");
  reply(200, JSON, "", b.p, b.n);
}

/* ---- the files of a completion ---- */

/* The file a URL names: one of the bucket. *foreign: it is a result on the cdn host, which needs no upload. */
static struct file *file_by_url(struct span url, bool *foreign)
{
  static struct buf path;
  static const char cdn[] = "https://cdn.qwenlm.ai/output/";
  static const char *const hosts[] = { "https://qwen-webui-prod.oss-accelerate.aliyuncs.com/",
                                       "https://qwen-webui-prod.oss-ap-southeast-1.aliyuncs.com/" };
  const char *q = url.n ? memchr(url.p, '?', url.n) : NULL;
  *foreign = span_starts(url, cdn);
  if(q) url.n = (size_t)(q - url.p);
  for(size_t h = 0; h < NELEM(hosts); h++)
    if(span_starts(url, hosts[h])) {
      size_t skip = strlen(hosts[h]);
      percent_decode((struct span){ url.p + skip, url.n - skip }, false, &path);
      for(size_t i = 0; i < file_n; i++)
        if(strcmp(files[i]->path, path.p) == 0) return files[i];
    }
  return NULL;
}

static bool maybe_is(int v, const char *z)
{
  return v == JS_NONE || js_is(v, z);
}

/* The members beside the URL, each only where it is given. */
static const char *file_members(int o, const struct file *f, const char *kind)
{
  static const struct { const char *kind, *show, *classes[3]; } rows[] = {
    { "image", "image", { "vision" } }, { "video", "video", { "video" } }, { "audio", "audio", { "audio" } },
    { "file", "file", { "document", "file", "default" } } };
  int type = js_get(o, "type"), class = js_get(o, "file_class"), inner = js_get(o, "file"), meta = js_get(inner, "meta");
  size_t k = 0;
  bool known = false;
  while(k < NELEM(rows) - 1 && strcmp(rows[k].kind, kind)) k++;
  if(!js_is(type, rows[k].kind)) return "type";
  if(!maybe_is(js_get(o, "showType"), rows[k].show)) return "showType";
  for(size_t i = 0; i < 3 && rows[k].classes[i]; i++) known = known || maybe_is(class, rows[k].classes[i]);
  if(!known) return "file_class";
  if(!maybe_is(js_get(o, "status"), "uploaded")) return "status";
  if(!f) return NULL;
  const struct { int v; const char *name; } sizes[] = { { js_get(o, "size"), "size" }, { js_get(meta, "size"), "file -> meta -> size" } };
  for(size_t i = 0; i < 2; i++)
    if(sizes[i].v != JS_NONE && (int64_t)js_number(sizes[i].v) != f->size) return sizes[i].name;
  if(!maybe_is(js_get(o, "id"), f->id)) return "id";
  if(!maybe_is(js_get(inner, "id"), f->id)) return "file -> id";
  if(k == 3 && inner != JS_NONE && set.parse == 200 && !js_is(js_get(js_get(meta, "parse_meta"), "parse_status"), "success"))
    return "file -> meta -> parse_meta -> parse_status";
  return NULL;
}

static void files_note(struct buf *b, int o, struct span url, bool part, const struct file *f)
{
  static const char *const texts[] = { "name", "type", "showType", "file_class", "file_type", "id", "status" };
  buf_fmt(b, "%s{\"url\":\"%.*s\"", b->n > 1 ? "," : "", (int)url.n, url.p ? url.p : "");
  for(size_t i = 0; i < NELEM(texts); i++) {
    struct span v = js_span(js_get(o, texts[i]));
    if(v.p) buf_fmt(b, ",\"%s\":\"%.*s\"", texts[i], (int)v.n, v.p);
  }
  if(part) buf_text(b, ",\"part\":true");
  if(f) buf_fmt(b, ",\"file_id\":\"%s\",\"bytes\":%lld", f->id, (long long)f->size);
  buf_text(b, "}");
}

/* Looks at one file of a completion: uploaded, by this account, parsed if it is a document. NULL: all is well. */
static const char *file_fault(int o, struct span url, const char *kind, bool part, int who, struct buf *note)
{
  bool result;
  struct file *f = file_by_url(url, &result);
  files_note(note, o, url, part, f);
  if(!f && !result) return "url";
  if(f && (f->account != who || !f->put)) return "url";
  if(f && !strcmp(kind, "file") && !f->parsed && set.parse == 200) return "parse_status";
  if(part) return NULL;
  if(f && strcmp(f->kind, "document") && strcmp(f->kind, kind)) return "type";
  if(f && !strcmp(f->kind, "document") && strcmp(kind, "file")) return "type";
  return file_members(o, f, kind);
}

/* Checks the files of a message and notes them for the log. *images: pictures among them. */
static bool files_check(int message, int who, struct entry *log, int *images)
{
  static struct buf note, kind, field;
  int list = js_get(message, "files"), content = js_get(message, "content"), o;
  const char *fault = NULL;
  note.n = field.n = 0;
  *images = 0;
  buf_text(&note, "[");
  if(list != JS_NONE && !js_kind_is(list, JS_ARRAY)) fault = "no array";
  for(int i = 0; !fault && list != JS_NONE && (o = js_item(list, i)) != JS_NONE; i++) {
    js_text(js_get(o, "type"), &kind);
    *images += !strcmp(kind.p, "image");
    fault = file_fault(o, js_span(js_get(o, "url")), kind.p, false, who, &note);
    buf_fmt(&field, "%d", i);
    if(!fault) field.n = 0;
  }
  for(int i = 0; !fault && js_kind_is(content, JS_ARRAY) && (o = js_item(content, i)) != JS_NONE; i++) { /* the older form */
    js_text(js_get(o, "type"), &kind);
    if(!strcmp(kind.p, "text")) continue;
    *images += !strcmp(kind.p, "image");
    fault = file_fault(o, js_span(js_get(o, kind.p)), kind.p, true, who, &note);
  }
  buf_text(&note, "]");
  log->files = must(strndup(note.p, note.n));
  if(!fault) return true;
  *buf_room(&field, 1) = 0;
  char where[120];
  snprintf(where, sizeof where, "body -> messages -> 0 -> files -> %s -> %s", field.n ? field.p : "?", fault);
  stat_.bad++;
  reply_invalid(where, "not a file of this account that is ready");
  return false;
}

static void c_files(struct buf *b, const struct req *r)
{
  buf_text(b, "[");
  for(size_t i = 0; i < file_n; i++) {
    struct file *f = files[i];
    buf_fmt(b, "%s{\"id\":\"%s\",\"email\":\"%s\",\"kind\":\"%s\",\"name\":", i ? "," : "", f->id, accounts[f->account].email, f->kind);
    quote(b, f->name, strlen(f->name));
    buf_text(b, ",\"path\":");
    quote(b, f->path, strlen(f->path));
    buf_text(b, ",\"content_type\":");
    quote(b, f->type ? f->type : "", f->type ? strlen(f->type) : 0);
    buf_fmt(b, ",\"declared\":%lld,\"size\":%lld,\"put\":%s,\"puts\":%d,\"signature\":\"%s\",\"parses\":%d,\"polls\":%d,\"parsed\":%s,\"sha256\":\"",
            (long long)f->declared, (long long)f->size, f->put ? "true" : "false", f->puts, f->signature, f->parses, f->polls,
            f->parsed ? "true" : "false");
    if(f->put) hex_put(f->sha, 32, false, b);
    buf_text(b, "\"}");
  }
  buf_text(b, "]");
  (void)r;
}
