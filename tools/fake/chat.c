/* ---------- endpoints ---------- */

static struct token *caller; /* of the request being served */

static int authorized(const struct req *r)
{
  struct span t = r->auth;
  if(t.n > 7 && strncasecmp(t.p, "bearer ", 7) == 0) t = (struct span){ t.p + 7, t.n - 7 };
  else t = cookie_value(r->cookie, "token");
  caller = token_find(t);
  if(!caller || caller->dead || caller->expires_s <= wall_s() || (caller->kind != TOKEN_SESSION && caller->kind != TOKEN_ACCESS)) return NOBODY;
  if(set.exchange && caller->kind != TOKEN_ACCESS) return NOBODY;
  return caller->account;
}

static void reply_unauthorized(void)
{
  stat_.refused++;
  if(set.auth_status == 401) reply_fixed(NULL, "401");
  else reply_fail(200, "unauthorized", "Token has expired, please log in again.");
}

static void signin(bool v2, struct entry *log)
{
  static struct buf email;
  if((v2 ? set.signin_v2 : set.signin_v1) != 200) {
    reply_json(404, "{\"detail\":\"Not Found\"}");
    return;
  }
  struct span hash = js_span(js_get(0, "password"));
  bool hex = hash.n == 64;
  for(size_t i = 0; hex && i < 64; i++) hex = is_hex(hash.p[i]) && (hash.p[i] < 'A' || hash.p[i] > 'F');
  js_text(js_get(0, "email"), &email);
  if(!hex || !email.n) {
    stat_.bad++;
    reply_invalid(hex ? "body -> email" : "body -> password", "64 lowercase hex digits and an address");
    return;
  }
  int who = NOBODY;
  for(int i = 0; i < account_n && who == NOBODY; i++)
    if(strcmp(accounts[i].email, email.p) == 0) who = i;
  log->account = who;
  char want[65];
  if(who != NOBODY) {
    unsigned char h[32];
    br_sha256_context s;
    br_sha256_init(&s);
    br_sha256_update(&s, accounts[who].password, strlen(accounts[who].password));
    br_sha256_out(&s, h);
    for(int i = 0; i < 32; i++) snprintf(want + i * 2, 3, "%02x", h[i]);
  }
  if(who != NOBODY && accounts[who].challenged) {
    reply_fixed(NULL, "html");
  } else if(who == NOBODY || accounts[who].refuses || memcmp(hash.p, want, 64) != 0) {
    int status = who != NOBODY && accounts[who].refuses ? 401 : 400;
    if(v2)
      reply_fail(status, status == 401 ? "Unauthorized" : "Bad_Request",
                 "The email or password provided is incorrect.");
    else reply_json(status, "{\"detail\":\"The email or password provided is incorrect.\"}");
  } else {
    enum { LIFE_S = 30 * 86400 };
    stat_.signins++;
    accounts[who].signins++;
    const char *session = token_make(who, TOKEN_SESSION, LIFE_S),
               *refresh = v2 ? token_make(who, TOKEN_REFRESH, LIFE_S) : "";
    long long expires = (long long)wall_s() + LIFE_S;
    char body[2048], cookies[2048];
    int n =
        v2 ? snprintf(body, sizeof body,
                      "{\"success\":true,\"request_id\":\"s\",\"data\":{\"id\":\"00000000-0000-4000-8000-%012d\","
                      "\"email\":\"%s\","
                      "\"role\":\"user\",\"token\":\"%s\",\"refresh_token\":\"%s\",\"expires_at\":%lld}}",
                      who + 1, accounts[who].email, session, refresh, expires)
           : snprintf(
                 body, sizeof body,
                 "{\"id\":\"00000000-0000-4000-8000-%012d\",\"email\":\"%s\",\"name\":\"user\",\"role\":\"user\","
                 "\"profile_image_url\":\"/user.png\",\"token_type\":\"Bearer\",\"token\":\"%s\",\"expires_at\":%lld}",
                 who + 1, accounts[who].email, session, expires);
    cookies[0] = 0;
    if(v2)
      snprintf(cookies, sizeof cookies,
               "Set-Cookie: token=%s; Path=/; HttpOnly; Secure\r\nSet-Cookie: refresh_token=%s; Path=/; HttpOnly; "
               "Secure\r\n",
               session, refresh);
    reply(200, JSON, cookies, body, (size_t)n);
  }
}

static void h_signin_v1(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)who;
  signin(false, log);
}

static void h_signin_v2(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)who;
  signin(true, log);
}

/* The session or the refresh token for an access token of 900 s. A refresh token is good once. */
static void h_exchange(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)who;
  if(!r->origin.n) {
    reply_fail(200, "Bad_Request", "Missing origin");
    return;
  }
  struct token *k = token_find(cookie_value(r->cookie, "refresh_token"));
  if(!k) k = token_find(cookie_value(r->cookie, "token"));
  if(!k || k->dead || (k->kind != TOKEN_SESSION && k->kind != TOKEN_REFRESH) || k->expires_s <= wall_s()) {
    stat_.refused++;
    reply_fail(401, "Unauthorized", "401 Unauthorized");
    return;
  }
  int account = k->account;
  if(k->kind == TOKEN_REFRESH) k->dead = true;
  log->account = account;
  const char *access = token_make(account, TOKEN_ACCESS, 900),
             *refresh = token_make(account, TOKEN_REFRESH, 30 * 86400);
  reply_json(200, "{\"success\":true,\"request_id\":\"x\",\"data\":{\"access_token\":\"%s\",\"refresh_token\":\"%s\"}}",
             access, refresh);
}

static void h_user_v1(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  reply_json(200, "{\"id\":\"00000000-0000-4000-8000-%012d\",\"email\":\"%s\",\"role\":\"user\"}", who + 1,
             accounts[who].email);
}

static void h_user_v2(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  reply_json(
      200, "{\"success\":true,\"data\":{\"id\":\"00000000-0000-4000-8000-%012d\",\"email\":\"%s\",\"role\":\"user\"}}",
      who + 1, accounts[who].email);
}

static const struct { const char *id, *json;
} models[] = {
  { "qwen3.7-plus", /* hybrid, with search, pictures and videos */
    "{\"id\":\"qwen3.7-plus\",\"name\":\"Qwen3.7-Plus\",\"object\":\"model\",\"owned_by\":\"qwen\",\"preset\":true,"
    "\"action_ids\":[],"
    "\"info\":{\"id\":\"qwen3.7-plus\",\"base_model_id\":null,\"name\":\"Qwen3.7-Plus\",\"is_active\":true,\"is_"
    "visitor_active\":true,"
    "\"created_at\":1755000000,\"meta\":{\"description\":\"d\",\"max_context_length\":1000000,\"max_generation_"
    "length\":65536,"
    "\"max_thinking_generation_length\":81920,\"capabilities\":{\"vision\":true,\"document\":true,\"video\":true,"
    "\"audio\":false,"
    "\"thinking\":true,\"search\":true},\"abilities\":{\"vision\":1,\"thinking\":1,\"parse_url\":2},\"auto_thinking\":"
    "true,"
    "\"think_skip\":{\"enable\":true},\"chat_type\":[\"t2t\",\"search\",\"t2i\",\"image_edit\",\"t2v\"],"
    "\"modality\":[\"text\",\"image\",\"video\"]}}}" },
  { "qwen3-max", "{\"id\":\"qwen3-max\",\"name\":\"Qwen3-Max\",\"info\":{\"created_at\":1757376000,\"meta\":{"
                 "\"abilities\":{\"thinking\":4},"
                 "\"chat_type\":[\"t2t\",\"search\"]}}}" },
  { "qwen3.7-max", /* text only, no thinking */
    "{\"id\":\"qwen3.7-max\",\"name\":\"Qwen3.7-Max\",\"info\":{\"created_at\":1767376000,\"is_active\":1,\"meta\":{"
    "\"capabilities\":"
    "{\"thinking\":false},\"chat_type\":[\"t2t\"]}}}" },
  { "qwen3-vl-plus", "{\"id\":\"qwen3-vl-plus\",\"name\":\"Qwen3-VL\",\"info\":{\"meta\":{\"capabilities\":{\"vision\":"
                     "true,\"thinking\":null},"
                     "\"chat_type\":[\"t2t\"]}}}" },
  { "qwen3-coder-plus", "{\"id\":\"qwen3-coder-plus\",\"name\":\"Qwen3-Coder\",\"info\":{\"is_active\":true,\"meta\":{\"capabilities\":{\"vision\":"
                        "false,\"thinking\":false,\"search\":true},\"abilities\":{\"thinking\":0},\"max_context_length\":1048576,"
                        "\"chat_type\":[\"t2t\",\"search\",\"artifacts\",\"web_dev\"],\"modality\":[\"text\"]}}}" },
  { "bare-model", "{\"id\":\"bare-model\"}" },
  { "gone-model", "{\"id\":\"gone-model\",\"name\":\"Gone\",\"info\":{\"is_active\":false}}" },
  { "qwen-max-latest", NULL }, /* an old name that is still served, though not listed */
};

static bool model_known(struct span id)
{
  const char *hash = memchr(id.p ? id.p : "", '#', id.n);
  if(hash) id.n = (size_t)(hash - id.p);
  for(size_t i = 0; i < NELEM(models); i++)
    if(span_is(id, models[i].id)) return true;
  return false;
}

static void models_reply(const char *before, const char *after, int who)
{
  static struct buf b;
  enum { GUEST_MODELS = 3 };
  b.n = 0;
  buf_text(&b, before);
  for(size_t i = 0; i < (who == NOBODY ? GUEST_MODELS : NELEM(models)) && models[i].json; i++) {
    if(i) buf_text(&b, ",");
    buf_text(&b, models[i].json);
  }
  buf_text(&b, after);
  reply(200, JSON, "", b.p, b.n);
}

static void h_models_v1(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  models_reply("{\"data\":[", "]}", who);
}

static void h_models_v2(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c, (void)r, (void)log;
  models_reply("{\"success\":true,\"request_id\":\"m\",\"data\":{\"data\":[", "]}}", who);
}

static void h_new(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)r;
  size_t from = wire.n, type = 0;
  struct span wanted = js_span(js_get(0, "chat_type"));
  while(type < NELEM(chat_types) && !span_is(wanted, chat_types[type])) type++;
  double ms = js_number(js_get(0, "timestamp"));
  const char *field = !js_span(js_item(js_get(0, "models"), 0)).n ? "body -> models"
                      : ms <= 1e12 || ms > 1e14                   ? "body -> timestamp"
                      : type == NELEM(chat_types)                 ? "body -> chat_type"
                      : !js_is(js_get(0, "chat_mode"), "normal")  ? "body -> chat_mode"
                                                                  : NULL;
  if(field) {
    stat_.bad++;
    reply_invalid(field, "missing or bad");
    return;
  }
  if(chat_n == chat_cap) {
    chat_cap = chat_cap ? chat_cap * 2 : 4096;
    chats = must(realloc(chats, chat_cap * sizeof *chats));
  }
  chats[chat_n] =
      (struct chat){ .account = who, .type = (uint8_t)type, .alive = true, .created_s = (uint32_t)wall_s() };
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 121\r\n\r\n"
                             "{\"success\":true,\"request_id\":\"2f6c0000-0000-4000-8000-000000000000\",\"data\":{"
                             "\"id\":\"6a1d9a5e-0000-4000-8000-";
  char digits[CHAT_DIGITS];
  digits12(digits, chat_n);
  memcpy(log->chat, chat_prefix, sizeof chat_prefix - 1);
  memcpy(log->chat + sizeof chat_prefix - 1, digits, CHAT_DIGITS);
  log->chat[CHAT_ID_N] = 0;
  if(set.gzip) {
    reply_json(200, "{\"success\":true,\"data\":{\"id\":\"%s\"}}", log->chat);
  } else {
    buf_add(&wire, head, sizeof head - 1);
    buf_add(&wire, digits, CHAT_DIGITS);
    buf_add(&wire, "\"}}", 3);
  }
  chat_n++;
  turn_later(c, from, set.new_ms);
}

static void h_list(struct conn *c, const struct req *r, int who, struct entry *log)
{
  enum { PAGE = 50 };
  static struct buf b;
  (void)c, (void)log;
  struct span page = query_value(r->query, "page");
  long skip = page.n ? (strtol(page.p, NULL, 10) - 1) * PAGE : 0;
  int shown = 0;
  b.n = 0;
  buf_text(&b, "{\"success\":true,\"request_id\":\"l\",\"data\":[");
  for(size_t i = chat_n; i-- > 0 && shown < PAGE;)
    if(chats[i].alive && chats[i].account == who && skip-- <= 0)
      buf_fmt(&b,
              "%s{\"id\":\"%s%012zu\",\"title\":\"New Chat\",\"created_at\":%u,\"updated_at\":%u,\"chat_type\":\"%s\"}",
              shown++ ? "," : "", chat_prefix, i, chats[i].created_s, chats[i].created_s, chat_types[chats[i].type]);
  buf_text(&b, "]}");
  reply(200, JSON, "", b.p, b.n);
}

static struct span path_id(const struct req *r)
{
  size_t n = strlen("/api/v2/chats/");
  return (struct span){ r->path.p + n, r->path.n - n };
}

static void h_detail(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c;
  copy_span(log->chat, sizeof log->chat, path_id(r));
  struct chat *ch = chat_by_id(path_id(r), who);
  if(!ch) {
    reply_fail(200, "CHAT_NOT_FOUND", "chat not found");
    return;
  }
  static struct buf b;
  static const char usual[] = "{\"phase\":\"think\",\"content\":\"\"},{\"phase\":\"answer\",\"content\":\"Hello, 世界! This is "
                              "the fake upstream.\",\"extra\":{}}";
  char rid[CHAT_ID_N + 1];
  snprintf(rid, sizeof rid, "%s%012zu", reply_prefix, (size_t)(ch - chats));
  b.n = 0;
  buf_fmt(&b,
      "{\"success\":true,\"data\":{\"id\":\"%s\",\"title\":\"New "
      "Chat\",\"chat\":{\"history\":{\"currentId\":\"%s\",\"messages\":{"
      "\"u1\":{\"id\":\"u1\",\"role\":\"user\",\"content\":\"(not kept)\",\"parentId\":null,\"childrenIds\":[\"%s\"]},"
      "\"%s\":{\"id\":\"%s\",\"role\":\"assistant\",\"parentId\":\"u1\",\"childrenIds\":[],\"content\":\"",
      log->chat, rid, rid, rid, rid);
  bool shown = !ch->kept || ch->kept->hidden-- <= 0;
  if(set.detail_plain && !ch->kept) buf_text(&b, ch->answered ? "Hello, 世界! This is the fake upstream." : "");
  else if(set.detail_plain && shown) buf_add(&b, ch->kept->plain, ch->kept->plain_n);
  buf_text(&b, set.detail_plain ? "\"" : "\",\"content_list\":[");
  if(!set.detail_plain && !ch->kept) buf_text(&b, ch->answered ? usual : "");
  else if(!set.detail_plain && shown) buf_add(&b, ch->kept->list, ch->kept->n);
  buf_text(&b, set.detail_plain ? "}}},\"messages\":[]}}}" : "]}}},\"messages\":[]}}}");
  reply(200, JSON, "", b.p, b.n);
  buf_shrink(&b);
}

static void h_delete(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)c;
  struct span id = path_id(r);
  copy_span(log->chat, sizeof log->chat, id);
  if(!id.n) { /* what the real one does; no test may ever see it */
    stat_.deleted_all++;
    for(size_t i = 0; i < chat_n; i++)
      if(chats[i].account == who) chats[i].alive = false;
  } else {
    struct chat *ch = chat_by_id(id, who);
    if(!ch) {
      reply_fail(404, "Not_Found", "no such chat");
      return;
    }
    ch->alive = false;
    chat_forget(ch);
  }
  reply_json(200, "{\"success\":true,\"data\":{\"status\":true}}");
}

/* The last scenario named in the prompt; args last until the next call. */
static bool prompt_scenario(const struct buf *prompt, char *name, size_t name_cap, const char **args)
{
  static struct buf kept;
  static const char mark[] = "[[scenario:";
  const char *at = NULL, *e = prompt->p + prompt->n;
  for(const char *p = prompt->p; p && (p = memmem(p, (size_t)(e - p), mark, sizeof mark - 1)) != NULL;
      p += sizeof mark - 1)
    at = p;
  if(!at) return false;
  at += sizeof mark - 1;
  const char *close = memmem(at, (size_t)(e - at), "]]", 2),
             *blank = close ? memchr(at, ' ', (size_t)(close - at)) : NULL;
  if(!close) return false;
  copy_span(name, name_cap, (struct span){ at, (size_t)((blank ? blank : close) - at) });
  kept.n = 0;
  if(blank) buf_add(&kept, blank, (size_t)(close - blank));
  *buf_room(&kept, 1) = 0;
  *args = kept.p;
  return true;
}

static bool type_is_media(struct span t)
{
  return span_is(t, chat_types[CHAT_T2I]) || span_is(t, chat_types[CHAT_EDIT]) || span_is(t, chat_types[CHAT_T2V]);
}

/* The kind of a turn stands in up to five places, all the same; that of pictures and videos is bound to the chat's. */
static const char *type_fault(int m, int type)
{
  struct span t = js_span(js_get(m, "chat_type")), sub = js_span(js_get(m, "sub_chat_type")),
              meta = js_span(js_get(js_get(js_get(m, "extra"), "meta"), "subChatType"));
  bool media = type >= CHAT_T2I && type <= CHAT_T2V;
  int size = js_get(0, "size"), top = js_get(0, "chat_type"), top_sub = js_get(0, "sub_chat_type");
  if(js_kind_is(size, JS_STRING)) {
    ratio_now = 0;
    while(ratio_now < NELEM(ratios) && !js_is(size, ratios[ratio_now].ratio)) ratio_now++;
    if(ratio_now == NELEM(ratios)) return "body -> size";
  } else if(size != JS_NONE) {
    return "body -> size";
  } else {
    ratio_now = 0;
  }
  if(media) {
    const char *z = chat_types[type];
    if(!span_is(t, z)) return "body -> messages -> 0 -> chat_type";
    if(!span_is(sub, z)) return "body -> messages -> 0 -> sub_chat_type";
    if(!span_is(meta, z)) return "body -> messages -> 0 -> extra -> meta -> subChatType";
    if((top != JS_NONE && !js_is(top, z)) || (top_sub != JS_NONE && !js_is(top_sub, z))) return "body -> chat_type";
    if(js_kind_is(js_get(js_get(m, "feature_config"), "thinking_enabled"), JS_TRUE)) return "body -> messages -> 0 -> feature_config";
  } else if(type_is_media(t) || type_is_media(sub) || type_is_media(meta)) {
    return "body -> messages -> 0 -> chat_type";
  } else if(type != CHAT_RESEARCH && sub.n && (sub.n != t.n || memcmp(sub.p, t.p, t.n) != 0)) {
    return "body -> messages -> 0 -> sub_chat_type";
  } else if(type != CHAT_RESEARCH && meta.n && t.n && (meta.n != t.n || memcmp(meta.p, t.p, t.n) != 0)) {
    return "body -> messages -> 0 -> extra -> meta -> subChatType";
  }
  return NULL;
}

static const char *completion_fault(int message, int type)
{
  double s = js_number(js_get(0, "timestamp")), ms = js_number(js_get(message, "timestamp"));
  int parent = js_get(0, "parent_id"), content = js_get(message, "content");
  if(!js_is(js_get(message, "role"), "user")) return "body -> messages -> 0 -> role";
  if(!js_kind_is(js_get(0, "stream"), JS_TRUE) && (type != CHAT_T2V || !js_kind_is(js_get(0, "stream"), JS_FALSE))) return "body -> stream";
  if(s < 1e9 || s > 1e11) return "body -> timestamp";
  if(js_get(message, "timestamp") != JS_NONE && (ms < 1e9 || ms > 1e11)) return "body -> messages -> 0 -> timestamp";
  if(!js_kind_is(content, JS_STRING) && !js_kind_is(content, JS_ARRAY)) return "body -> messages -> 0 -> content";
  if(!js_kind_is(js_get(message, "feature_config"), JS_OBJECT)) return "body -> messages -> 0 -> feature_config";
  if(parent != JS_NONE && !js_kind_is(parent, JS_NULL) && !js_kind_is(parent, JS_STRING)) return "body -> parent_id";
  return type_fault(message, type);
}

static void h_completions(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static struct buf prompt, part;
  char name[48] = "normal";
  const char *args = "";
  int images;
  struct span id = query_value(r->query, "chat_id");
  copy_span(log->chat, sizeof log->chat, id);
  if(!id.n) {
    stat_.bad++;
    reply_invalid("query -> chat_id", "Field required");
    return;
  }
  struct chat *ch = chat_by_id(id, who);
  int messages = js_get(0, "messages"), m = js_item(messages, 0), body_id = js_get(0, "chat_id");
  if(!ch) {
    reply_fail(200, "CHAT_NOT_FOUND", "chat not found");
    return;
  }
  const char *field = !js_kind_is(messages, JS_ARRAY) || m == JS_NONE ? "body -> messages" : NULL;
  if(!field && js_item(messages, 1) != JS_NONE) {
    stat_.bad++;
    reply_fail(200, "Bad_Request", "Invalid input too many messages.");
    return;
  }
  if(!field) field = completion_fault(m, ch->type);
  if(!field && body_id != JS_NONE && (js_span(body_id).n != id.n || memcmp(js_span(body_id).p, id.p, id.n) != 0))
    field = "body -> chat_id";
  if(field) {
    stat_.bad++;
    reply_invalid(field, "missing or bad");
    return;
  }
  struct span model = js_span(js_get(0, "model"));
  if(!model_known(model)) {
    reply_fail(200, "Bad_Request", "Model not found");
    return;
  }
  if(!files_check(m, who, log, &images)) return;
  if(ch->conn || now_us() < ch->free_us) {
    reply_fail(200, "Bad_Request", "The chat is in progress!");
    return;
  }
  if(ch->type == CHAT_EDIT && !images) {
    stat_.bad++;
    reply_fail(200, "Bad_Request", "image_edit needs a picture");
    return;
  }
  if(accounts[who].no_media && ch->type >= CHAT_T2I && ch->type <= CHAT_T2V) {
    reply_fixed(c, "quota");
    return;
  }
  int content = js_get(m, "content");
  js_text(content, &prompt);
  for(int i = 0, item; js_kind_is(content, JS_ARRAY) && (item = js_item(content, i)) != JS_NONE;
      i++) { /* the older form */
    js_text(js_get(item, "text"), &part);
    buf_add(&prompt, part.p, part.n);
  }
  const char *hash = memchr(model.p, '#', model.n);
  bool scripted = script_next(EP_COMPLETIONS, name, sizeof name, &args);
  if(!scripted && hash) copy_span(name, sizeof name, (struct span){ hash + 1, model.n - (size_t)(hash + 1 - model.p) });
  else if(!scripted) prompt_scenario(&prompt, name, sizeof name, &args);
  memcpy(log->scenario, name, sizeof log->scenario);
  struct account *a = &accounts[who];
  if(strcmp(name, "expired") == 0) { /* once: whoever comes again has a new token */
    if(scripted || !a->expired) {
      a->expired = true;
      caller->dead = true;
      reply_fail(200, "unauthorized", "Token has expired, please log in again.");
      return;
    }
    memcpy(name, "normal", 7);
  } else if(strcmp(name, "in_progress") == 0) { /* the first two times */
    if(scripted || stat_.in_progress++ < 2) {
      reply_fail(200, "Bad_Request", "The chat is in progress!");
      return;
    }
    memcpy(name, "normal", 7);
  }
  ch->conn = c;
  c->chat = (int)(ch - chats);
  c->no_phase = !js_is(js_get(js_get(m, "feature_config"), "output_schema"), "phase");
  digits12(c->digits, (size_t)c->chat);
  running_n++;
  if(++a->running > a->max_running) a->max_running = a->running;
  if(strcmp(name, "normal") == 0 && ch->type >= CHAT_T2I && ch->type <= CHAT_T2V) {
    static const char *const usual[] = { "image", "image_edit", "video" };
    bool sse = ch->type == CHAT_T2V && js_kind_is(js_get(0, "stream"), JS_TRUE);
    snprintf(name, sizeof name, "%s", sse ? "video_sse" : usual[ch->type - CHAT_T2I]);
  }
  if(!strcmp(name, "video") || !strcmp(name, "video_fail")) {
    video_start(c, args, name[5]);
    chat_release(c, 0);
    return;
  }
  scenario_start(c, name, args, &prompt);
}

/* Someone pressed stop: the running answer says so and ends. */
static void turn_stop(struct conn *c)
{
  static struct buf kept;
  if(c->turn == TURN_NONE || c->packed) {
    conn_drop(c, false);
    return;
  }
  kept.n = 0; /* the answer to the stop request itself is under way in `wire` */
  buf_add(&kept, wire.p, wire.n);
  wire.n = 0;
  if(c->turn == TURN_STEPS && c->body_at == 0) buf_add(&wire, sse_head, sizeof sse_head - 1);
  play.c = c;
  play.b.n = 0;
  play.lead = "data: ";
  play.eol = "\n";
  ev("{\"response.stopped\":{\"chat_id\":\"%s%.12s\"" RID "}}", chat_prefix, c->digits, RIDS);
  if(c->turn == TURN_STEPS && c->step_at < c->step_n && c->step_n > 64) { /* cut anywhere: no event could follow */
    conn_drop(c, false);
  } else {
    chunk_add(&wire, play.b.p, play.b.n);
    buf_text(&wire, last_chunk);
    conn_write(c, wire.p, wire.n);
    turn_end(c);
    if(c->close_after) conn_close(c);
    else if(!c->dead) due(c, now_us()); /* requests may wait behind it */
  }
  wire.n = 0;
  buf_add(&wire, kept.p, kept.n);
}

static void h_stop(struct conn *c, const struct req *r, int who, struct entry *log)
{
  struct span id = query_value(r->query, "chat_id"), body_id = js_span(js_get(0, "chat_id"));
  (void)c;
  copy_span(log->chat, sizeof log->chat, id);
  struct chat *ch = chat_by_id(id, who);
  if(!id.n || body_id.n != id.n || memcmp(id.p, body_id.p, id.n) != 0) {
    stat_.bad++;
    reply_invalid("query -> chat_id", "missing, or not that of the body");
    return;
  }
  if(!ch) {
    reply_fail(200, "CHAT_NOT_FOUND", "chat not found");
    return;
  }
  if(ch->conn) turn_stop(ch->conn);
  ch->free_us = 0;
  reply_json(200, "{\"success\":true,\"request_id\":\"p\",\"data\":{\"status\":true}}");
}
