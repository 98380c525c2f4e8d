/* ---------- the OpenAI-compatible APIs: portal and DashScope ---------- */

#define OA_ERROR(type, code, text) "{\"error\":{\"message\":\"" text "\",\"type\":\"" type "\",\"param\":null,\"code\":\"" code "\"},\"request_id\":\"o\"}"

static const struct fixed oa_fixed[] = {
  { "401", 401, JSON, "", OA_ERROR("invalid_request_error", "invalid_api_key", "invalid access token or token expired") },
  { "insufficient_quota", 429, JSON, "", OA_ERROR("insufficient_quota", "insufficient_quota", "Free allocated quota exceeded.") },
  { "insufficient_quota_403", 403, JSON, "", OA_ERROR("insufficient_quota", "insufficient_quota", "Free allocated quota exceeded.") },
  { "rate", 429, JSON, "", OA_ERROR("limit_requests", "limit_requests", "You exceeded your current request limit.") },
  { "throttling", 429, JSON, "", OA_ERROR("Throttling", "Throttling.RateQuota", "Requests rate limit exceeded.") },
  { "429_empty", 429, JSON, "", "" },
  { "429_retry_after", 429, JSON, "Retry-After: 7\r\n", OA_ERROR("limit_requests", "limit_requests", "slow down") },
  { "invalid", 400, JSON, "", OA_ERROR("invalid_request_error", "invalid_parameter_error", "temperature is out of range") },
  { "inspection", 400, JSON, "", OA_ERROR("data_inspection_failed", "data_inspection_failed", "Input data may contain inappropriate content.") },
  { "arrearage", 400, JSON, "", OA_ERROR("Arrearage", "Arrearage", "Access denied, please make sure your account is in good standing.") },
  { "too_long", 400, JSON, "", OA_ERROR("invalid_request_error", "invalid_parameter_error", "Range of input length should be [1, 129024]") },
  { "denied", 403, JSON, "", OA_ERROR("access_denied", "access_denied", "Access denied.") },
  { "unpurchased", 403, JSON, "", OA_ERROR("AccessDenied.Unpurchased", "AccessDenied.Unpurchased", "Access to model denied.") },
  { "no_model", 404, JSON, "", OA_ERROR("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it.") },
  { "timeout", 408, JSON, "", OA_ERROR("RequestTimeOut", "RequestTimeOut", "Request timed out, please try again later.") },
  { "413", 413, JSON, "", OA_ERROR("invalid_request_error", "request_too_large", "too large") },
  { "500", 500, JSON, "", OA_ERROR("InternalError", "InternalError", "An internal error has occured.") },
  { "503", 503, JSON, "", OA_ERROR("ModelServingError", "ModelServingError", "Too many requests. Your requests are being throttled.") },
};

static bool oa_reply_fixed(struct conn *c, const char *name)
{
  for(size_t i = 0; i < NELEM(oa_fixed); i++)
    if(strcmp(name, oa_fixed[i].name) == 0) {
      reply(oa_fixed[i].status, oa_fixed[i].type, oa_fixed[i].extra, oa_fixed[i].body, strlen(oa_fixed[i].body));
      return true;
    }
  return reply_fixed(c, name);
}

static void oa_fail(int status, const char *code, const char *why)
{
  if(status == 400) stat_.bad++;
  reply_json(status, "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"%s\"},\"request_id\":\"o\"}", why, code);
}

/* An answer, however it will be written. */
static struct {
  struct buf think, text, args;
  char id[32], model[80], name[80];
  const char *finish;
  size_t step;
  int calls, wait_ms;
  bool usage, no_role;
} oa;

/* ---- what is checked ---- */

static bool oa_content_good(int content, bool parts_only)
{
  if(js_kind_is(content, JS_STRING)) return !parts_only;
  if(!js_kind_is(content, JS_ARRAY) || js_item(content, 0) == JS_NONE) return false;
  for(int i = 0, part; (part = js_item(content, i)) != JS_NONE; i++) {
    static const struct { const char *type, *member; } kinds[] = {
      { "text", "text" }, { "image_url", "image_url" }, { "video_url", "video_url" }, { "video", "video" }, { "input_audio", "input_audio" } };
    size_t k = 0;
    while(k < NELEM(kinds) && !js_is(js_get(part, "type"), kinds[k].type)) k++;
    if(k == NELEM(kinds) || js_get(part, kinds[k].member) == JS_NONE) return false;
    if(k == 0 && !js_kind_is(js_get(part, "text"), JS_STRING)) return false;
  }
  return true;
}

/* A result must answer a call made before it. */
static bool oa_called(int messages, int until, int id)
{
  struct span want = js_span(id);
  for(int i = 0; want.n && i < until; i++) {
    int calls = js_get(js_item(messages, i), "tool_calls");
    for(int k = 0, call; js_kind_is(calls, JS_ARRAY) && (call = js_item(calls, k)) != JS_NONE; k++) {
      struct span have = js_span(js_get(call, "id"));
      if(have.n == want.n && memcmp(have.p, want.p, want.n) == 0) return true;
    }
  }
  return false;
}

static const char *oa_message_fault(int messages, int at, bool portal)
{
  int m = js_item(messages, at), role = js_get(m, "role"), content = js_get(m, "content"), calls = js_get(m, "tool_calls");
  if(js_is(role, "system")) {
    if(portal && at > 0) return "only the first message may be a system message";
    return oa_content_good(content, portal) ? NULL : portal ? "the system message is no array of parts" : "bad content of a system message";
  }
  if(portal && at == 0) return "the first message is no system message";
  if(js_is(role, "user")) return oa_content_good(content, false) ? NULL : "bad content of a user message";
  if(js_is(role, "tool")) {
    if(!oa_called(messages, at, js_get(m, "tool_call_id"))) return "a tool message must answer a tool_call_id of an assistant message before it";
    return oa_content_good(content, false) ? NULL : "bad content of a tool message";
  }
  if(!js_is(role, "assistant")) return "unknown role";
  for(int k = 0, call; js_kind_is(calls, JS_ARRAY) && (call = js_item(calls, k)) != JS_NONE; k++)
    if(!js_span(js_get(call, "id")).n || !js_is(js_get(call, "type"), "function") || !js_span(js_get(js_get(call, "function"), "name")).n ||
       !js_kind_is(js_get(js_get(call, "function"), "arguments"), JS_STRING)) return "bad tool_calls";
  return oa_content_good(content, false) || js_item(calls, 0) != JS_NONE ? NULL : "an assistant message without content and calls";
}

static const char *oa_fault(bool portal)
{
  static const struct { const char *name; double least, most; } numbers[] = {
    { "temperature", 0, 1.9999 }, { "top_p", 0, 1 }, { "max_tokens", 1, 1e6 }, { "presence_penalty", -2, 2 }, { "thinking_budget", 0, 1e6 } };
  int messages = js_get(0, "messages"), tools = js_get(0, "tools"), stream = js_get(0, "stream");
  if(!js_kind_is(messages, JS_ARRAY) || js_item(messages, 0) == JS_NONE) return "messages is missing or empty";
  for(int i = 0; js_item(messages, i) != JS_NONE; i++) {
    const char *why = oa_message_fault(messages, i, portal);
    if(why) return why;
  }
  if(stream != JS_NONE && !js_kind_is(stream, JS_TRUE) && !js_kind_is(stream, JS_FALSE)) return "stream is no bool";
  if(js_get(0, "stream_options") != JS_NONE && !js_kind_is(stream, JS_TRUE)) return "stream_options is only for streams";
  for(size_t i = 0; i < NELEM(numbers); i++) {
    int v = js_get(0, numbers[i].name);
    if(v == JS_NONE || js_kind_is(v, JS_NULL)) continue;
    if(!js_kind_is(v, JS_NUMBER) || js_number(v) < numbers[i].least || js_number(v) > numbers[i].most) return numbers[i].name;
  }
  if(tools != JS_NONE && (!js_kind_is(tools, JS_ARRAY) || js_item(tools, 0) == JS_NONE)) return "tools is empty";
  for(int i = 0, tool; tools != JS_NONE && (tool = js_item(tools, i)) != JS_NONE; i++)
    if(!js_is(js_get(tool, "type"), "function") || !js_span(js_get(js_get(tool, "function"), "name")).n) return "bad tools";
  if(js_get(0, "tool_choice") != JS_NONE && tools == JS_NONE) return "tool_choice without tools";
  return NULL;
}

/* ---- writing ---- */

#define OA_USAGE "{\"prompt_tokens\":12,\"completion_tokens\":9,\"total_tokens\":21,\"completion_tokens_details\":{\"reasoning_tokens\":%d}," \
                 "\"prompt_tokens_details\":{\"cached_tokens\":0}}"
static const char oa_call_id[] = "call_fake";

static void oa_chunk(const char *delta, const char *finish)
{
  char why[40] = "null";
  if(finish) snprintf(why, sizeof why, "\"%s\"", finish);
  ev("{\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":1772616278,\"model\":\"%s\",\"choices\":[{\"index\":0,\"delta\":%s,"
     "\"finish_reason\":%s}],\"usage\":null}", oa.id, oa.model, delta, why);
}

/* A text in pieces, never within a character. */
static void oa_pieces(const char *before, const struct buf *text, const char *after)
{
  static struct buf d;
  for(size_t at = 0, k; at < text->n; at += k) {
    k = text->n - at < oa.step ? text->n - at : oa.step;
    while(at + k < text->n && ((unsigned char)text->p[at + k] & 0xc0) == 0x80) k++;
    d.n = 0;
    buf_text(&d, before);
    quote(&d, text->p + at, k);
    buf_text(&d, after);
    *buf_room(&d, 1) = 0;
    oa_chunk(d.p, NULL);
    if(oa.wait_ms) wait_ms(oa.wait_ms);
  }
}

static void oa_stream(struct conn *c, const char *name, const char *args)
{
  char d[400];
  play.c = c;
  play.b.n = 0;
  play.name = name;
  play.lead = "data: ";
  play.eol = "\n";
  play.chunk = 0;
  play.gzip = play.mute = play.full = false;
  c->body.n = c->body_at = 0;
  c->step_n = c->step_at = 0;
  c->packed = false;
  play_fault(args);
  if(!strcmp(name, "drop") || !strcmp(name, "drop_clean") || !strcmp(name, "stall_midway")) {
    play.left = 3;
    play.fault = name[0] == 's' ? STEP_HOLD : name[4] ? STEP_FIN : STEP_RESET;
  }
  buf_text(&c->body, sse_head);
  if(!strcmp(name, "slow")) {
    int total = (int)param(args, "ms", 5 * pace_ms);
    for(int t = 0; t < total; t += pace_ms) {
      if(!param(args, "quiet", 0)) ev_raw(": keep-alive\n\n");
      wait_ms(total - t < pace_ms ? total - t : pace_ms);
    }
  }
  if(!strcmp(name, "stall")) play_end(STEP_HOLD), play.mute = true;
  if(!oa.no_role) oa_chunk(oa.calls || oa.think.n ? "{\"role\":\"assistant\",\"content\":null}" : "{\"role\":\"assistant\",\"content\":\"\"}", NULL);
  oa_pieces("{\"content\":null,\"reasoning_content\":", &oa.think, "}");
  oa_pieces("{\"content\":", &oa.text, "}");
  if(!strcmp(name, "err_midway")) ev("%s", OA_ERROR("InternalError", "InternalError", "An internal error has occured."));
  for(int i = 0; i < oa.calls; i++) {
    snprintf(d, sizeof d, "{\"content\":null,\"tool_calls\":[{\"index\":%d,\"id\":\"%s%d\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":\"\"}}]}",
             i, oa_call_id, i + 1, oa.name);
    oa_chunk(d, NULL);
    snprintf(d, sizeof d, "{\"tool_calls\":[{\"index\":%d,\"id\":\"\",\"type\":\"function\",\"function\":{\"arguments\":", i);
    oa_pieces(d, &oa.args, "}}]}");
  }
  if(strcmp(name, "err_midway") && strcmp(name, "no_finish")) oa_chunk("{\"content\":\"\"}", oa.finish);
  if(oa.usage && strcmp(name, "no_usage"))
    ev("{\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":1772616278,\"model\":\"%s\",\"choices\":[],\"usage\":" OA_USAGE "}",
       oa.id, oa.model, oa.think.n ? 4 : 0);
  if(strcmp(name, "no_done") && strcmp(name, "err_midway")) ev("[DONE]");
  play_end(STEP_END);
  play.mute = false;
  play.left = -1;
  buf_shrink(&play.b);
  turn_play(c);
}

static void oa_whole(void)
{
  static struct buf b;
  b.n = 0;
  buf_fmt(&b, "{\"id\":\"%s\",\"object\":\"chat.completion\",\"created\":1772616278,\"model\":\"%s\",\"choices\":[{\"index\":0,\"message\":"
          "{\"role\":\"assistant\",\"content\":", oa.id, oa.model);
  if(oa.calls && !oa.text.n) buf_text(&b, "null");
  else quote(&b, oa.text.p, oa.text.n);
  if(oa.think.n) {
    buf_text(&b, ",\"reasoning_content\":");
    quote(&b, oa.think.p, oa.think.n);
  }
  for(int i = 0; i < oa.calls; i++) {
    buf_fmt(&b, "%s{\"index\":%d,\"id\":\"%s%d\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":", i ? "," : ",\"tool_calls\":[", i,
            oa_call_id, i + 1, oa.name);
    quote(&b, oa.args.p, oa.args.n);
    buf_text(&b, i + 1 < oa.calls ? "}}" : "}}]");
  }
  buf_fmt(&b, "},\"finish_reason\":\"%s\",\"logprobs\":null}],\"usage\":" OA_USAGE "}", oa.finish, oa.think.n ? 4 : 0);
  reply(200, JSON, "", b.p, b.n);
  buf_shrink(&b);
}

/* ---- one chat ---- */

/* The text of the last message, and of all of them in *all. */
static void oa_prompt(struct buf *last, struct buf *all)
{
  static struct buf part;
  int messages = js_get(0, "messages");
  all->n = last->n = 0;
  for(int i = 0, m; (m = js_item(messages, i)) != JS_NONE; i++) {
    int content = js_get(m, "content");
    last->n = 0;
    if(js_kind_is(content, JS_STRING)) js_text(content, last);
    for(int k = 0, p; js_kind_is(content, JS_ARRAY) && (p = js_item(content, k)) != JS_NONE; k++) {
      js_text(js_get(p, "text"), &part);
      buf_add(last, part.p, part.n);
    }
    buf_add(all, last->p, last->n);
    buf_text(all, "\n");
  }
  *buf_room(all, 1) = 0;
}

static bool oa_fill(const char *name, const char *args, const struct buf *last, const struct buf *all)
{
  static const char *const plain[] = { "normal", "no_done", "no_role", "no_usage", "no_finish", "usage_always", "slow", "stall", "stall_midway",
                                       "drop", "drop_clean", "err_midway", "length", "tool_call", "thinking", "say", "echo", "empty" };
  static struct buf when;
  size_t k = 0;
  while(k < NELEM(plain) && strcmp(name, plain[k])) k++;
  if(k == NELEM(plain)) return false;
  oa.think.n = oa.text.n = oa.args.n = 0;
  oa.calls = 0;
  long step = param(args, "step", strcmp(name, "tool_call") ? 8 : 3);
  oa.step = step > 0 ? (size_t)step : 1;
  oa.wait_ms = strcmp(name, "slow") ? (int)param(args, "ms", 0) : 0;
  oa.finish = strcmp(name, "length") ? "stop" : "length";
  oa.no_role = !strcmp(name, "no_role");
  if(!strcmp(name, "usage_always")) oa.usage = true;
  if(!strcmp(name, "echo")) {
    buf_add(&oa.text, last->p, last->n);
  } else if(!strcmp(name, "say")) {
    param_b64(args, "b64", &oa.text);
    if(param_b64(args, "when", &when) && when.n && memmem(all->p, all->n, when.p, when.n)) param_b64(args, "then", &oa.text);
    param_b64(args, "think_b64", &oa.think);
  } else if(!strcmp(name, "thinking")) {
    buf_text(&oa.think, "Let me count: 2 + 2");
    buf_text(&oa.text, "2 + 2 = 4");
  } else if(!strcmp(name, "tool_call")) {
    char with[2048];
    oa.calls = (int)param(args, "n", 1);
    oa.finish = "tool_calls";
    param_word(args, "name", "get_weather", oa.name, sizeof oa.name);
    buf_text(&oa.args, param_word(args, "args", "{\"city\":\"Paris\"}", with, sizeof with));
    param_b64(args, "b64", &oa.text);
  } else if(strcmp(name, "empty")) {
    buf_text(&oa.text, "Hello, 世界! This is the fake upstream.");
  }
  return true;
}

static bool oa_model_known(struct span id, bool portal)
{
  static const char *const of_portal[] = { "coder-model", "vision-model", "qwen3-coder-plus", "qwen3-coder-flash", "qwen3-vl-plus" },
    *const of_dashscope[] = { "qwen-plus", "qwen-max", "qwen-turbo", "qwen3-max", "qwen3.7-plus", "qwen3-coder-plus", "qwen3-32b", "qwen-vl-plus" };
  const char *const *list = portal ? of_portal : of_dashscope;
  for(size_t i = 0; i < (portal ? NELEM(of_portal) : NELEM(of_dashscope)); i++)
    if(span_is(id, list[i])) return true;
  return false;
}

static void oa_chat(struct conn *c, bool portal, struct entry *log)
{
  static struct buf last, all;
  char name[48] = "normal";
  const char *args = "", *why;
  static size_t made;
  struct span model = js_span(js_get(0, "model"));
  const char *hash = model.n ? memchr(model.p, '#', model.n) : NULL;
  struct span suffix = SPAN_NONE;
  bool stream = js_kind_is(js_get(0, "stream"), JS_TRUE);
  int think = js_get(0, "enable_thinking");
  if(hash) suffix = (struct span){ hash + 1, model.n - (size_t)(hash + 1 - model.p) };
  if(hash) model.n = (size_t)(hash - model.p);
  if(!oa_model_known(model, portal)) {
    oa_reply_fixed(c, "no_model");
    return;
  }
  if((why = oa_fault(portal)) != NULL) {
    oa_fail(400, "invalid_parameter_error", why);
    return;
  }
  if(span_is(model, "qwen3-32b") && !stream && !js_kind_is(think, JS_FALSE)) {
    oa_fail(400, "invalid_parameter_error", "parameter.enable_thinking must be set to false for non-streaming calls");
    return;
  }
  oa_prompt(&last, &all);
  if(!script_next(portal ? EP_PORTAL : EP_DASHSCOPE, name, sizeof name, &args)) {
    if(suffix.n) copy_span(name, sizeof name, suffix);
    else if(!prompt_scenario(&all, name, sizeof name, &args) && js_kind_is(think, JS_TRUE)) memcpy(name, "thinking", 9);
  }
  copy_span(log->scenario, sizeof log->scenario, (struct span){ name, strlen(name) });
  snprintf(oa.id, sizeof oa.id, "chatcmpl-%zu", ++made);
  copy_span(oa.model, sizeof oa.model, model);
  oa.usage = js_kind_is(js_get(js_get(0, "stream_options"), "include_usage"), JS_TRUE);
  if(!oa_fill(name, args, &last, &all)) {
    if(oa_reply_fixed(c, name)) return;
    stat_.bad++;
    oa_fail(500, "no_such_scenario", "this upstream knows no scenario of that name");
  } else if(stream) {
    oa_stream(c, name, args);
  } else if(!strcmp(name, "stall") || !strcmp(name, "drop") || !strcmp(name, "stall_midway")) {
    reply_fixed(c, name[0] == 's' ? "stall" : "drop");
  } else {
    size_t from = wire.n;
    if(!strcmp(name, "err_midway")) oa_reply_fixed(c, "500");
    else oa_whole();
    if(!strcmp(name, "slow")) turn_later(c, from, (int)param(args, "ms", 5 * pace_ms));
  }
  buf_shrink(&all);
  buf_shrink(&last);
}

static struct span bearer_of(const struct req *r)
{
  return r->auth.n > 7 && strncasecmp(r->auth.p, "bearer ", 7) == 0 ? (struct span){ r->auth.p + 7, r->auth.n - 7 } : SPAN_NONE;
}

static void h_portal(struct conn *c, const struct req *r, int who, struct entry *log)
{
  struct token *k = token_find(bearer_of(r));
  (void)who;
  if(k) log->account = k->account;
  if(set.withdrawn || !k || k->kind != TOKEN_CLI || k->dead || k->expires_s <= wall_s()) {
    stat_.refused++;
    oa_reply_fixed(NULL, "401");
    return;
  }
  oa_chat(c, true, log);
}

/* ---- DashScope ---- */

static bool key_good(struct conn *c, const struct req *r)
{
  struct span key = bearer_of(r);
  if(span_is(key, "sk-fake-dashscope") || span_is(key, "sk-fake-second")) return true;
  if(span_is(key, "sk-fake-unpaid")) {
    oa_reply_fixed(c, "arrearage");
    return false;
  }
  stat_.refused++;
  oa_fail(401, "invalid_api_key", "Incorrect API key provided.");
  return false;
}

static void h_dashscope(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)who;
  if(key_good(c, r)) oa_chat(c, false, log);
}

static void h_api_models(struct conn *c, const struct req *r, int who, struct entry *log)
{
  (void)who, (void)log;
  if(!key_good(c, r)) return;
  reply_json(200, "{\"object\":\"list\",\"data\":[{\"id\":\"qwen-plus\",\"object\":\"model\",\"created\":1755000000,\"owned_by\":\"system\"},"
             "{\"id\":\"qwen3-coder-plus\",\"object\":\"model\",\"created\":1755000001,\"owned_by\":\"system\"},"
             "{\"id\":\"text-embedding-v4\",\"object\":\"model\",\"created\":1755000002,\"owned_by\":\"system\"}]}");
}

/* Element i of a text of n bytes is ((n * 31 + i * 7) % 2000 - 1000) / 1000. */
static void h_embeddings(struct conn *c, const struct req *r, int who, struct entry *log)
{
  static const int sizes[] = { 2048, 1536, 1024, 768, 512, 256, 128, 64 };
  enum { BATCH_MAX = 10 };
  static struct buf text, b;
  (void)who, (void)log;
  if(!key_good(c, r)) return;
  int input = js_get(0, "input"), wanted = js_get(0, "dimensions"), n = js_kind_is(input, JS_STRING), tokens_used = 0;
  int size = wanted == JS_NONE ? 1024 : (int)js_number(wanted);
  size_t k = 0;
  struct span model = js_span(js_get(0, "model"));
  while(js_kind_is(input, JS_ARRAY) && js_item(input, n) != JS_NONE) n++;
  while(k < NELEM(sizes) && size != sizes[k]) k++;
  int format = js_get(0, "encoding_format");
  const char *why = n == 0                                      ? "input is missing or empty"
                    : n > BATCH_MAX                             ? "batch size is invalid, it should not be larger than 10."
                    : k == NELEM(sizes)                         ? "dimensions is not one of those known"
                    : format != JS_NONE && !js_is(format, "float") ? "encoding_format must be float"
                                                                : NULL;
  if(!span_is(model, "text-embedding-v4") && !span_is(model, "text-embedding-v3")) {
    oa_reply_fixed(c, "no_model");
    return;
  }
  b.n = 0;
  buf_text(&b, "{\"data\":[");
  for(int i = 0; i < n && !why; i++) {
    int item = js_kind_is(input, JS_STRING) ? input : js_item(input, i);
    js_text(item, &text);
    if(!js_kind_is(item, JS_STRING) || !text.n) why = "input must be texts that are not empty";
    buf_fmt(&b, "%s{\"embedding\":[", i ? "," : "");
    for(int e = 0; e < size; e++) buf_fmt(&b, "%s%.3f", e ? "," : "", (double)((long)(text.n * 31 + (size_t)e * 7) % 2000 - 1000) / 1000);
    buf_fmt(&b, "],\"index\":%d,\"object\":\"embedding\"}", i);
    tokens_used += (int)(text.n / 4) + 1;
  }
  if(why) {
    oa_fail(400, "invalid_parameter_error", why);
    return;
  }
  buf_fmt(&b, "],\"model\":\"%.*s\",\"object\":\"list\",\"usage\":{\"prompt_tokens\":%d,\"total_tokens\":%d},\"id\":\"e\"}", (int)model.n, model.p,
          tokens_used, tokens_used);
  reply(200, JSON, "", b.p, b.n);
  buf_shrink(&b);
}
