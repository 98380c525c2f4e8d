/* ---------- control ---------- */

static void c_stats(struct buf *b)
{
  long alive = 0;
  int most = 0;
  for(size_t i = 0; i < chat_n; i++) alive += chats[i].alive;
  for(int i = 0; i < account_n; i++)
    if(accounts[i].max_running > most) most = accounts[i].max_running;
  buf_fmt(b, "{\"requests\":%ld", stat_.requests);
  for(int i = 0; i < EP_N; i++) buf_fmt(b, ",\"%s\":%ld", endpoint_names[i], stat_.by[i]);
  buf_fmt(b,
          ",\"signins\":%ld,\"open\":%ld,\"running\":%ld,\"max_parallel\":%d,\"tls_full\":%ld,\"tls_resumed\":%ld,"
          "\"chats_alive\":%ld,"
          "\"refused\":%ld,\"bad\":%ld,\"leaks\":%ld,\"polls_early\":%ld,\"deleted_all\":%s,\"accounts\":{",
          stat_.signins, open_n, running_n, most, stat_.tls_full, stat_.tls_resumed, alive, stat_.refused, stat_.bad,
          stat_.leaks, stat_.polls_early,
          stat_.deleted_all ? "true" : "false");
  for(int i = 0, shown = 0; i < account_n && shown < 200; i++)
    if(accounts[i].max_running || accounts[i].signins)
      buf_fmt(b, "%s\"%s\":{\"running\":%d,\"max_parallel\":%d,\"signins\":%ld}", shown++ ? "," : "", accounts[i].email,
              accounts[i].running, accounts[i].max_running, accounts[i].signins);
  buf_text(b, "}}");
}

static void raw_get(uint64_t at, size_t n, struct buf *out)
{
  out->n = 0;
  for(size_t i = 0; i < n; i++) *buf_room(out, 1) = raw[(at + i) % RAW_MAX], out->n++;
}

static void c_log(struct buf *b, const struct req *r)
{
  static struct buf part;
  size_t have = entry_n < LOG_MAX ? entry_n : LOG_MAX, want = have;
  struct span n = query_value(r->query, "n");
  if(n.n && (size_t)strtoul(n.p, NULL, 10) < have) want = (size_t)strtoul(n.p, NULL, 10);
  bool heads = query_value(r->query, "heads").n, bodies = query_value(r->query, "bodies").n;
  buf_text(b, "[");
  for(size_t i = entry_n - want; i < entry_n; i++) {
    struct entry *e = &entries[i % LOG_MAX];
    buf_fmt(b, "%s{\"t_ms\":%lld,\"host\":", b->n > 1 ? "," : "", (long long)(e->us - started_us) / 1000);
    quote(b, e->host, strlen(e->host));
    buf_text(b, ",\"method\":");
    quote(b, e->method, strlen(e->method));
    buf_text(b, ",\"path\":");
    quote(b, e->path, strlen(e->path));
    buf_text(b, ",\"chat_id\":");
    quote(b, e->chat, strlen(e->chat));
    buf_text(b, ",\"scenario\":");
    quote(b, e->scenario, strlen(e->scenario));
    buf_fmt(b, ",\"email\":\"%s\"", e->account == NOBODY ? "" : accounts[e->account].email);
    if(e->files) buf_fmt(b, ",\"files\":%s", e->files);
    bool there = raw_n - e->raw_at <= RAW_MAX;
    if(heads && there) {
      raw_get(e->raw_at, e->head_n, &part);
      buf_text(b, ",\"head\":");
      quote(b, part.p, part.n);
    }
    if(bodies && there) {
      raw_get(e->raw_at + e->head_n, e->body_n, &part);
      buf_text(b, ",\"body\":");
      quote(b, part.n ? part.p : "", part.n);
    }
    buf_text(b, "}");
  }
  buf_text(b, "]");
}

static void script_clear(int ep)
{
  for(size_t i = 0; i < scripts[ep].n; i++) free(scripts[ep].entry[i]);
  free(scripts[ep].entry);
  scripts[ep].entry = NULL;
  scripts[ep].at = scripts[ep].n = 0;
}

static void c_reset(void)
{
  memset(&stat_, 0, sizeof stat_);
  entry_n = 0;
  set.signin_v1 = set.signin_v2 = set.auth_status = 200;
  set.new_ms = set.signin_ms = 0;
  set.exchange = set.gzip = set.parse_by_id = set.detail_plain = set.oauth_slow = set.oauth_keep = set.withdrawn = false;
  set.sts_v1 = set.sts_v2 = set.parse = 200;
  set.sts_life_s = 3600;
  set.parse_polls = 2;
  set.oauth_interval = 1;
  set.oauth_pending = 0;
  set.oauth_life_s = 900;
  set.oauth_expires_s = 21600;
  memcpy(set.resource_url, "portal.qwen.ai", 15);
  memcpy(set.filesize, "any", 4);
  memcpy(set.filetype, "file", 5);
  memcpy(set.endpoint, "plain", 6);
  memcpy(set.parse_word, "success", 8);
  files_clear();
  for(int i = 0; i < EP_N; i++) script_clear(i);
  for(size_t i = 0; i < chat_n; i++) {
    chats[i].free_us = 0;
    if(!chats[i].conn) chats[i].alive = false;
    if(!chats[i].conn) chat_forget(&chats[i]);
  }
  for(int i = 0; i < account_n; i++) {
    accounts[i].max_running = accounts[i].running;
    accounts[i].signins = 0;
    accounts[i].expired = false;
  }
}

static const char *c_script(void)
{
  static struct buf t;
  enum { SCRIPT_MAX = 10000 };
  for(int ep = 0; ep < EP_N; ep++) {
    int list = js_get(0, endpoint_names[ep]), n = 0;
    if(list == JS_NONE) continue;
    script_clear(ep);
    while(n < SCRIPT_MAX && js_item(list, n) != JS_NONE) n++;
    scripts[ep].entry = must(calloc((size_t)n + 1, sizeof *scripts[ep].entry));
    for(int i = 0; i < n; i++) {
      js_text(js_item(list, i), &t);
      scripts[ep].entry[i] = must(strndup(t.p, t.n));
    }
    scripts[ep].n = (size_t)n;
  }
  return NULL;
}

static void c_switch(void)
{
  const struct {
    const char *name;
    int *to;
  } numbers[] = { { "signin_v1", &set.signin_v1 },
                  { "signin_v2", &set.signin_v2 },
                  { "auth_status", &set.auth_status },
                  { "new_ms", &set.new_ms },
                  { "signin_ms", &set.signin_ms },
                  { "sts_v1", &set.sts_v1 },
                  { "sts_v2", &set.sts_v2 },
                  { "sts_life_s", &set.sts_life_s },
                  { "parse", &set.parse },
                  { "parse_polls", &set.parse_polls },
                  { "oauth_interval", &set.oauth_interval },
                  { "oauth_pending", &set.oauth_pending },
                  { "oauth_life_s", &set.oauth_life_s },
                  { "oauth_expires_s", &set.oauth_expires_s } };
  const struct { const char *name; bool *to; } flags[] = { { "exchange", &set.exchange }, { "gzip", &set.gzip },
    { "parse_by_id", &set.parse_by_id }, { "detail_plain", &set.detail_plain }, { "oauth_slow", &set.oauth_slow },
    { "oauth_keep", &set.oauth_keep }, { "withdrawn", &set.withdrawn } };
  const struct { const char *name; char *to; size_t cap; } words[] = { { "filesize", set.filesize, sizeof set.filesize },
    { "filetype", set.filetype, sizeof set.filetype }, { "endpoint", set.endpoint, sizeof set.endpoint },
    { "parse_word", set.parse_word, sizeof set.parse_word }, { "resource_url", set.resource_url, sizeof set.resource_url } };
  for(size_t i = 0; i < NELEM(numbers); i++)
    if(js_get(0, numbers[i].name) != JS_NONE) *numbers[i].to = (int)js_number(js_get(0, numbers[i].name));
  for(size_t i = 0; i < NELEM(flags); i++)
    if(js_get(0, flags[i].name) != JS_NONE) *flags[i].to = js_kind_is(js_get(0, flags[i].name), JS_TRUE);
  for(size_t i = 0; i < NELEM(words); i++)
    if(js_get(0, words[i].name) != JS_NONE) copy_span(words[i].to, words[i].cap, js_span(js_get(0, words[i].name)));
}

static void control(const struct req *r)
{
  static struct buf b;
  bool post = span_is(r->method, "POST"), json = r->body.n && js_read(r->body);
  b.n = 0;
  if(span_is(r->path, "/__stats")) c_stats(&b);
  else if(span_is(r->path, "/__log")) c_log(&b, r);
  else if(span_is(r->path, "/__files")) c_files(&b, r);
  else if(span_is(r->path, "/__body")) buf_add(&b, last_body.p, last_body.n);
  else if(post && json && span_is(r->path, "/__sign")) c_sign(&b);
  else if(post && span_is(r->path, "/__reset")) c_reset();
  else if(post && json && span_is(r->path, "/__script")) c_script();
  else if(post && json && span_is(r->path, "/__switch")) c_switch();
  else if(post && span_is(r->path, "/__revoke")) {
    static const struct { const char *name; enum token_kind least, most; } kinds[] = {
      { "access", TOKEN_ACCESS, TOKEN_ACCESS }, { "cli", TOKEN_CLI, TOKEN_CLI }, { "cli_all", TOKEN_CLI, TOKEN_CLI_REFRESH },
      { "web", TOKEN_SESSION, TOKEN_ACCESS } };
    size_t k = 0;
    while(k < NELEM(kinds) - 1 && !(json && js_is(js_get(0, "kind"), kinds[k].name))) k++;
    for(size_t i = 0; i < token_n; i++)
      if(tokens[i].kind >= kinds[k].least && tokens[i].kind <= kinds[k].most) tokens[i].dead = true;
  } else {
    reply(404, JSON, "", "{\"detail\":\"no such control\"}", 28);
    return;
  }
  if(!b.n) buf_text(&b, "{}");
  bool packed = set.gzip;
  set.gzip = false;
  reply(200, JSON, "", b.p, b.n);
  set.gzip = packed;
  buf_shrink(&b);
}
