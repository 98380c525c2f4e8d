/* ---------- answers ---------- */

static z_stream packer; /* gzip; one user at a time */

static void pack_begin(void)
{
  packer = (z_stream){ .zalloc = NULL };
  if(deflateInit2(&packer, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) must(NULL);
}

static void pack(const char *p, size_t n, int how, struct buf *out)
{
  packer.next_in = (unsigned char *)(uintptr_t)p;
  packer.avail_in = (unsigned)n;
  do {
    packer.next_out = (unsigned char *)buf_room(out, 16384);
    packer.avail_out = 16384;
    deflate(&packer, how);
    out->n += 16384 - packer.avail_out;
  } while(packer.avail_out == 0);
}

static const char *reason(int status)
{
  switch(status) {
  case 200: return "OK";
  case 206: return "Partial Content";
  case 301: return "Moved Permanently";
  case 302: return "Found";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 429: return "Too Many Requests";
  default: return status < 500 ? "Refused" : "Server Error";
  }
}

static bool head_only; /* the request is a HEAD */

/* extra: more header lines, each with its CRLF. */
static void reply(int status, const char *type, const char *extra, const char *body, size_t n)
{
  static struct buf packed;
  if(set.gzip && strcmp(type, "application/json") == 0) {
    packed.n = 0;
    pack_begin();
    pack(body, n, Z_FINISH, &packed);
    deflateEnd(&packer);
    buf_fmt(&wire, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n%s\r\n",
            status, reason(status), type, packed.n, extra);
    buf_add(&wire, packed.p, packed.n);
    return;
  }
  buf_fmt(&wire, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, reason(status), type, n,
          extra);
  if(!head_only) buf_add(&wire, body, n);
}

static void reply_json(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void reply_json(int status, const char *fmt, ...)
{
  char body[4096];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(body, sizeof body, fmt, ap);
  va_end(ap);
  reply(status, "application/json", "", body, (size_t)n < sizeof body ? (size_t)n : sizeof body - 1);
}

static void reply_fail(int status, const char *code, const char *details)
{
  reply_json(status,
             "{\"success\":false,\"request_id\":\"2f6c0000-0000-4000-8000-%012ld\",\"data\":{\"code\":\"%s\","
             "\"details\":\"%s\"}}",
             stat_.requests, code, details);
}

static void reply_invalid(const char *field, const char *why)
{
  reply_json(200,
             "{\"success\":false,\"request_id\":\"2f6c0000-0000-4000-8000-%012ld\",\"data\":{\"code\":"
             "\"RequestValidationError\","
             "\"details\":[\"Field '%s': %s\"]}}",
             stat_.requests, field, why);
}

#define WAF "<!doctypehtml><meta charset=\"UTF-8\"><meta name=\"aliyun_waf_aa\" content=\"9f3a\"><title>check</title>" \
            "<script>var secret='upstream page';</script><p>please wait"
#define JSON "application/json"
#define OSS(code, why) "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>" code "</Code>\n  <Message>" why "</Message>\n</Error>\n"

/* Answers that are no stream; any endpoint can be scripted to give them. */
static const struct fixed {
  const char *name;
  int status;
  const char *type, *extra, *body;
} fixed[] = {
  { "401", 401, JSON, "",
    "{\"code\":\"Unauthorized\",\"details\":\"You have no permission to access this resource.\"}" },
  { "403", 403, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Forbidden\",\"details\":\"no rights\"}}" },
  { "403_banned", 403, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Forbidden\",\"details\":\"This account is banned.\"}}" },
  { "413", 413, JSON, "", "{\"detail\":\"too large\"}" },
  { "429", 429, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Too_Many_Requests\",\"details\":\"slow down\"}}" },
  { "429_retry_after", 429, JSON, "Retry-After: 77\r\n", "{}" },
  { "500", 500, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Internal_Server_Error\",\"details\":\"down\"}}" },
  { "502_html", 502, "text/html", "", "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>" },
  { "503", 503, JSON, "", "{\"success\":false,\"data\":{\"code\":\"Internal_Server_Error\",\"details\":\"down\"}}" },
  { "504_html", 504, "text/html", "",
    "<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>" },
  { "quota", 200, JSON, "",
    "{\"success\":false,\"request_id\":\"q\",\"data\":{\"code\":\"RateLimited\",\"details\":\"You've reached the upper "
    "limit for today's "
    "usage.\",\"template\":\"You have reached the daily usage limit. Please wait {{num}} hours before trying "
    "again.\",\"num\":4}}" },
  { "quota_flat", 200, JSON, "",
    "{\"code\":\"RateLimited\",\"detail\":\"You've reached the upper limit for today's usage.\",\"num\":4}" },
  { "quota_allocated", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"quotaLimited\",\"details\":\"Allocated quota exceeded\"}}" },
  { "rate_limited", 200, JSON, "",
    "{\"success\":false,\"request_id\":\"q\",\"data\":{\"code\":\"RateLimited\",\"details\":\"Too many requests, slow down.\"}}" },
  { "parallel", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"ParallelLimited\",\"details\":\"too many at once\"}}" },
  { "internal", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"Internal error...\"}}" },
  { "too_long", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"the input length exceeds max_context\"}}" },
  { "not_found", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"CHAT_NOT_FOUND\",\"details\":\"chat not found\"}}" },
  { "no_model", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"Bad_Request\",\"details\":\"Model not found\"}}" },
  { "validation", 200, JSON, "",
    "{\"success\":false,\"data\":{\"code\":\"RequestValidationError\",\"details\":[\"Field 'body -> messages': Field "
    "required\"]}}" },
  { "junk", 200, JSON, "", "{\"success\":true,\"data\":{}}" },
  { "no_token", 200, JSON, "", "{\"success\":true,\"data\":{\"id\":\"x\"}}" },
  { "html", 200, "text/html; charset=utf-8", "", WAF },
  { "html_200", 200, "text/html; charset=utf-8", "", WAF },
  { "html_405", 405, "text/html; charset=utf-8", "", WAF },
  { "html_as_sse", 200, "text/event-stream", "", WAF },
  { "punish", 200, JSON, "",
    "{\"ret\":[\"FAIL_SYS_USER_VALIDATE\",\"RGV587_ERROR::SM::busy\"],\"data\":{\"url\":\"https://chat.qwen.ai:443//"
    "api/v2/chat/"
    "completions/_____tmd_____/punish?x5secdata=abc&action=captcha\"}}" },
  { "oss_expired", 403, "application/xml", "", OSS("SecurityTokenExpired", "The security token you provided has expired.") },
  { "oss_key", 403, "application/xml", "", OSS("InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.") },
  { "oss_signature", 403, "application/xml", "", OSS("SignatureDoesNotMatch", "The request signature we calculated does not match.") },
  { "oss_503", 503, "application/xml", "", OSS("ServiceUnavailable", "Please reduce your request rate.") },
  { "json_answer", 200, JSON, "",
    "{\"success\":true,\"request_id\":\"j\",\"data\":{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
    "\"a whole answer\"}}]}}" },
};

static void step_add(struct conn *c, size_t end, int wait_ms, enum step_act act);
static void turn_play(struct conn *c);

static bool reply_fixed(struct conn *c, const char *name)
{
  if(c && (!strcmp(name, "stall") || !strcmp(name, "stall_head"))) { /* no answer, for ever */
    c->step_n = c->step_at = 0;
    c->body.n = c->body_at = 0;
    if(name[5]) buf_text(&c->body, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n");
    step_add(c, c->body.n, 0, STEP_HOLD);
    turn_play(c);
    return true;
  }
  if(!strcmp(name, "drop") || !strcmp(name, "drop_early")) {
    if(name[4]) conn_close(c);
    else conn_drop(c, true);
    return true;
  }
  for(size_t i = 0; i < NELEM(fixed); i++)
    if(strcmp(name, fixed[i].name) == 0) {
      reply(fixed[i].status, fixed[i].type, fixed[i].extra, fixed[i].body, strlen(fixed[i].body));
      return true;
    }
  return false;
}

/* ---------- turns: answers that take time ---------- */

static void conn_input(struct conn *c, struct buf *from);

static void step_add(struct conn *c, size_t end, int wait_ms, enum step_act act)
{
  if(c->step_n == c->step_cap) {
    c->step_cap = c->step_cap ? c->step_cap * 2 : 8;
    c->steps = must(realloc(c->steps, (size_t)c->step_cap * sizeof *c->steps));
  }
  c->steps[c->step_n++] = (struct step){ end, wait_ms, act };
}

static void turn_end(struct conn *c)
{
  chat_release(c, 0);
  c->turn = TURN_NONE;
  c->step_n = c->step_at = 0;
  c->body.n = c->body_at = 0;
  c->waited = false;
  buf_shrink(&c->body);
  undue(c);
}

/* Starts to play body and steps; what needs no time is written at once. */
static void turn_play(struct conn *c)
{
  if(c->step_n == 1 && c->steps[0].act == STEP_END && c->steps[0].wait_ms == 0) {
    buf_add(&wire, c->body.p, c->body.n);
    turn_end(c);
    return;
  }
  c->turn = TURN_STEPS;
  due(c, now_us());
}

static void turn_step(struct conn *c)
{
  struct step *s = &c->steps[c->step_at];
  if(c->body_at < s->end) {
    size_t at = c->body_at;
    c->body_at = s->end;
    conn_write(c, c->body.p + at, s->end - at);
    if(c->dead) return;
  }
  if(s->wait_ms && !c->waited) {
    c->waited = true;
    due(c, now_us() + (int64_t)s->wait_ms * 1000);
    return;
  }
  c->waited = false;
  c->step_at++;
  switch(s->act) {
  case STEP_GO: due(c, now_us()); break;
  case STEP_END: turn_end(c); break;
  case STEP_RESET: conn_drop(c, true); break;
  case STEP_FIN: conn_close(c); break;
  case STEP_HOLD: undue(c); break;
  }
}

/* Turns the answer in `wire` from `from` on into one that comes later. */
static void turn_later(struct conn *c, size_t from, int ms)
{
  if(c->dead || c->closing || c->turn != TURN_NONE || ms <= 0) return;
  c->body.n = c->body_at = 0;
  buf_add(&c->body, wire.p + from, wire.n - from);
  wire.n = from;
  c->step_n = c->step_at = 0;
  step_add(c, c->body.n, 0, STEP_END);
  c->turn = TURN_STEPS;
  due(c, now_us() + (int64_t)ms * 1000);
}

/* ---- events ---- */

static struct {
  struct buf b;             /* events not yet framed */
  struct conn *c;
  const char *lead, *eol;
  size_t chunk;             /* bytes of a chunk, 0: one for all */
  bool gzip;
  const char *name;         /* of the scenario */
  const char *tail;         /* more members of a delta's event */
  long left;                /* events until the fault, -1: none is asked for */
  enum step_act fault;
  bool mute, full;          /* the fault has come; the detail tells the rest of the answer */
  struct buf kept, plain;   /* the content_list; the text alone */
  char phase[40];           /* of its open entry */
  size_t entry_at;
  int hidden;
} play = { .left = -1, .tail = "" };
static const char blank_digits[] = "@@@@@@@@@@@@";
static const char sse_head[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char sse_head_gzip[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Encoding: gzip\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
static const char last_chunk[] = "0\r\n\r\n";

static void chunk_add(struct buf *to, const char *p, size_t n)
{
  if(!n) return;
  buf_fmt(to, "%zx\r\n", n);
  buf_add(to, p, n);
  buf_add(to, "\r\n", 2);
}

/* Frames the events so far into the body. */
static void play_frame(void)
{
  static struct buf packed;
  struct buf *b = &play.b;
  if(play.gzip && b->n) {
    packed.n = 0;
    pack(b->p, b->n, Z_SYNC_FLUSH, &packed);
    b = &packed;
  }
  size_t step = play.chunk ? play.chunk : b->n;
  for(size_t at = 0; at < b->n; at += step) {
    chunk_add(&play.c->body, b->p + at, b->n - at < step ? b->n - at : step);
    if(play.chunk == 1) step_add(play.c, play.c->body.n, 0, STEP_GO);
  }
  play.b.n = 0;
}

static void ev_raw(const char *z)
{
  if(!play.mute) buf_text(&play.b, z);
}

/* One event fewer until the fault asked for; true: it has come. */
static bool ev_fault(void)
{
  if(play.mute || play.left < 0 || play.left-- > 0) return play.mute;
  play_frame();
  step_add(play.c, play.c->body.n, play.fault == STEP_HOLD ? 0 : 100, STEP_GO); /* a reset would overtake the rest */
  step_add(play.c, play.c->body.n, 0, play.fault);
  play.mute = true;
  return true;
}

static void ev(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void ev(const char *fmt, ...)
{
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  if(ev_fault()) {
    va_end(ap);
    va_end(again);
    return;
  }
  size_t n = (size_t)vsnprintf(NULL, 0, fmt, ap) + 1;
  buf_text(&play.b, play.lead);
  vsnprintf(buf_room(&play.b, n), n, fmt, again);
  va_end(ap);
  va_end(again);
  play.b.n += n - 1;
  buf_text(&play.b, play.eol);
  buf_text(&play.b, play.eol);
  if(play.gzip) play_frame();
}

#define RID ",\"response_id\":\"%s%.12s\""
#define RIDS reply_prefix, play.c->digits

static void ev_created(void)
{
  ev("{\"response.created\":{\"chat_id\":\"%s%.12s\",\"parent_id\":\"u1\"" RID ",\"response_index\":\"0\"}}",
     chat_prefix, play.c->digits, RIDS);
}

static void ev_alive(void)
{
  ev("{\"response.info\":{\"action\":\"keep_alive\",\"chat_id\":\"%s%.12s\"" RID ",\"timestamp\":1772616290}}",
     chat_prefix, play.c->digits, RIDS);
}

static void kept_close(void)
{
  if(play.phase[0]) buf_text(&play.kept, "\",\"extra\":{}}");
  play.phase[0] = 0;
}

/* Notes a delta for the chat detail: texts of one phase flow together, snapshots replace each other. */
static void kept_add(const char *phase, const char *content, const char *more)
{
  const char *extra = strstr(more, "\"extra\":");
  bool text = content[0] == '"' && !extra && (!strcmp(phase, "answer") || !strcmp(phase, "think"));
  if(play.mute && !play.full) return;
  if(text && !content[2]) return;
  if(!extra && !text && !strcmp(content, "\"\"")) return;
  if(content[0] == '"' && (!strcmp(phase, "answer") || !strncmp(phase, "image", 5) || !strncmp(phase, "video", 5)))
    buf_add(&play.plain, content + 1, strlen(content) - 2);
  if(text && strcmp(play.phase, phase) == 0) {
    buf_add(&play.kept, content + 1, strlen(content) - 2);
    return;
  }
  kept_close();
  if(!strcmp(phase, "thinking_summary")) {
    static const char start[] = "{\"phase\":\"thinking_summary\"";
    if(play.kept.n > play.entry_at && memcmp(play.kept.p + play.entry_at, start, sizeof start - 1) == 0)
      play.kept.n = play.entry_at ? play.entry_at - 1 : 0;
  }
  if(play.kept.n) buf_text(&play.kept, ",");
  play.entry_at = play.kept.n;
  buf_fmt(&play.kept, "{\"phase\":\"%s\",\"content\":", phase);
  if(text) {
    buf_add(&play.kept, content, strlen(content) - 1);
    snprintf(play.phase, sizeof play.phase, "%s", phase);
  } else {
    buf_fmt(&play.kept, "%s,%s}", content, extra ? extra : "\"extra\":{}");
  }
}

/* A delta; more: further members of the delta, or "". Without output_schema the real one tells no phase. */
static void ev_delta(const char *role, const char *phase, const char *content, const char *status, const char *more)
{
  char which[64] = "";
  if(!play.c->no_phase) snprintf(which, sizeof which, ",\"phase\":\"%s\"", phase);
  ev("{\"choices\":[{\"delta\":{\"role\":\"%s\",\"content\":%s%s,\"status\":\"%s\"%s}}]" RID
     ",\"response_index\":\"0\"%s}",
     role, content, which, status, more, RIDS, play.tail);
  kept_add(phase, content, more);
}

static void ev_say(const char *phase, const char *quoted)
{
  ev_delta("assistant", phase, quoted, "typing", "");
}

static void ev_stop(const char *phase)
{
  ev_delta("assistant", phase, "\"\"", "finished", "");
}

#define USAGE                                                              \
  "\"usage\":{\"input_tokens\":31,\"output_tokens\":20,\"total_tokens\":51," \
  "\"output_tokens_details\":{\"reasoning_tokens\":12,\"text_tokens\":8}}"

static void ev_end(void)
{
  ev("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"%s,\"status\":\"finished\"}}]" RID
     ",\"response_index\":\"0\"," USAGE "}",
     play.c->no_phase ? "" : ",\"phase\":\"answer\"", RIDS);
}

static const char *const normal_parts[] = { "\"Hello, \"", "\"世界\"", "\"! This \"", "\"is the fake \"",
                                            "\"upstream.\"" };

static void ev_normal(size_t from, size_t to)
{
  for(size_t i = from; i < to; i++) ev_say("answer", normal_parts[i]);
}

static void wait_ms(int ms)
{
  if(play.mute) return;
  play_frame();
  step_add(play.c, play.c->body.n, ms, STEP_GO);
}

static void play_end(enum step_act act)
{
  if(play.mute) return;
  play_frame();
  if(play.gzip && act == STEP_END) {
    static struct buf rest;
    rest.n = 0;
    pack("", 0, Z_FINISH, &rest);
    chunk_add(&play.c->body, rest.p, rest.n);
  }
  if(act == STEP_END) buf_text(&play.c->body, last_chunk);
  step_add(play.c, play.c->body.n, 0, act);
}

/* The value of "key=" among a scenario's parameters. */
static struct span param_text(const char *args, const char *key)
{
  size_t n = strlen(key);
  for(const char *at = args; (at = strstr(at, key)) != NULL; at += n)
    if(at > args && at[-1] == ' ' && at[n] == '=') return (struct span){ at + n + 1, strcspn(at + n + 1, " ") };
  return SPAN_NONE;
}

static long param(const char *args, const char *key, long def)
{
  struct span v = param_text(args, key);
  return v.n ? strtol(v.p, NULL, 10) : def;
}

/* A parameter in base64, decoded; false: there is none. */
static bool param_b64(const char *args, const char *key, struct buf *out)
{
  struct span v = param_text(args, key);
  out->n = 0;
  if(!v.p) return false;
  b64_decode(v, out);
  return true;
}

/* A parameter as text of a scenario's own, def when there is none. */
static const char *param_word(const char *args, const char *key, const char *def, char *out, size_t cap)
{
  struct span v = param_text(args, key);
  copy_span(out, cap, v.n ? v : (struct span){ def, strlen(def) });
  return out;
}

/* ---- paced streams ---- */

static char *put_number(char *o, long v)
{
  char d[24];
  int n = 0;
  if(v < 0) *o++ = '-', v = -v;
  do d[n++] = (char)('0' + v % 10);
  while(v /= 10);
  while(n) *o++ = d[--n];
  return o;
}

static void stream_chunk(struct conn *c, const char *head, size_t head_n, const char *text, size_t text_n,
                         const char *tail, size_t tail_n)
{
  static const char rid[] = "\"response_id\":\"5e5d0000-0000-4000-8000-";
  size_t n = head_n + text_n + sizeof rid - 1 + CHAT_DIGITS + tail_n;
  char *o = buf_room(&wire, n + 24), *from = o;
  static const char hex[] = "0123456789abcdef";
  for(int shift = n > 0xfff ? 20 : 8; shift >= 0; shift -= 4) *o++ = hex[n >> shift & 15];
  *o++ = '\r', *o++ = '\n';
  memcpy(o, head, head_n), o += head_n;
  if(text_n) memcpy(o, text, text_n), o += text_n;
  memcpy(o, rid, sizeof rid - 1), o += sizeof rid - 1;
  memcpy(o, c->digits, CHAT_DIGITS), o += CHAT_DIGITS;
  memcpy(o, tail, tail_n), o += tail_n;
  *o++ = '\r', *o++ = '\n';
  wire.n += (size_t)(o - from);
}

#define STREAM_CHUNK(c, head, text, text_n, tail)                                                                      \
  stream_chunk(c, head, sizeof head - 1, text, text_n, tail, sizeof tail - 1)

static const char stream_tail[] =
    "\",\"response_index\":\"0\",\"usage\":{\"input_tokens\":31,\"output_tokens\":9,\"total_tokens\":40},"
    "\"timestamp\":1772616291}\n\n";
enum { DELTA_MAX = 60000 };

static void stream_delta(struct conn *c)
{
  static char text[DELTA_MAX + 64 + 64];
  static const char phase[] = "\",\"phase\":\"answer\",\"status\":\"typing\"}}],",
                    bare[] = "\",\"status\":\"typing\"}}],";
  static const char head[] = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"";
  char *o = text;
  if(c->stamp) {
    *o++ = 't', *o++ = '=';
    o = put_number(o, (long)now_us());
    *o++ = ' ';
  } else {
    o = put_number(o, c->seed);
    *o++ = '.';
    o = put_number(o, c->i);
    *o++ = ' ';
    if(o - text < c->size) {
      memset(o, 'a' + (char)((c->seed + c->i) % 26), (size_t)(c->size - (o - text)));
      o = text + c->size;
    }
  }
  if(c->no_phase) memcpy(o, bare, sizeof bare - 1), o += sizeof bare - 1;
  else memcpy(o, phase, sizeof phase - 1), o += sizeof phase - 1;
  STREAM_CHUNK(c, head, text, (size_t)(o - text), stream_tail);
  c->i++;
}

static void stream_end(struct conn *c)
{
  static const char end[] = "data: "
                            "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"phase\":\"answer\","
                            "\"status\":\"finished\"}}],";
  static const char bare[] =
      "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"status\":\"finished\"}}],";
  static const char tail[] = "\",\"response_index\":\"0\"," USAGE "}\n\n";
  if(c->no_phase) STREAM_CHUNK(c, bare, NULL, 0, tail);
  else STREAM_CHUNK(c, end, NULL, 0, tail);
  buf_add(&wire, last_chunk, sizeof last_chunk - 1);
  turn_end(c);
}

/* Writes the deltas whose time has come; arranges for the next ones. */
static void stream_go(struct conn *c)
{
  int64_t now = now_us();
  if(conn_pending(c) > OUT_ENOUGH) {
    c->throttled = true; /* a slow reader: go on when it has read */
    undue(c);
    return;
  }
  if(c->period_us == 0) {
    while(c->i < c->n && wire.n < OUT_ENOUGH) stream_delta(c);
    if(c->i >= c->n) stream_end(c);
    else due(c, now);
    return;
  }
  for(int k = 0; k < 64 && c->due_us <= now; k++) {
    if(c->i >= c->n) {
      stream_end(c);
      return;
    }
    stream_delta(c);
    c->due_us += c->period_us;
  }
  due(c, c->due_us);
}

static void stream_start(struct conn *c, const char *args, bool stamp)
{
  c->stamp = stamp;
  c->i = 0;
  c->n = param(args, "n", 100);
  c->period_us = param(args, "ms", rate_ms) * 1000;
  c->size = param(args, "size", 20);
  c->seed = param(args, "seed", 0);
  if(c->size > DELTA_MAX) c->size = DELTA_MAX;
  if(c->period_us < 0) c->period_us = 0;
  if(c->seed < 0) c->seed = 0;
  c->turn = TURN_STREAM;
  ev_created();
  buf_add(&wire, sse_head, sizeof sse_head - 1);
  chunk_add(&wire, play.b.p, play.b.n);
  if(c->period_us) due(c, now_us() + c->period_us);
  else stream_go(c);
}

/* ---- long bodies ---- */

enum { FILL_PIECE = 16384 };

/* Writes filler bytes while the peer takes them: byte i is 'a' + i % 26. c->size > 0: in chunks. */
static void fill_go(struct conn *c)
{
  static char piece[FILL_PIECE + 26];
  if(!piece[0])
    for(size_t i = 0; i < sizeof piece; i++) piece[i] = (char)('a' + i % 26);
  if(conn_pending(c) > OUT_ENOUGH) {
    c->throttled = true;
    undue(c);
    return;
  }
  while(c->i < c->n && wire.n < OUT_ENOUGH) {
    long k = c->n - c->i < FILL_PIECE ? c->n - c->i : FILL_PIECE;
    if(c->size) chunk_add(&wire, piece + c->i % 26, (size_t)k);
    else buf_add(&wire, piece + c->i % 26, (size_t)k);
    c->i += k;
  }
  if(c->i < c->n) {
    due(c, now_us());
    return;
  }
  if(c->size) buf_text(&wire, last_chunk);
  if(c->seed) c->close_after = true;
  turn_end(c);
}

/* n filler bytes after the head in `wire`. cut: that many are fewer than announced, and the connection ends. */
static void fill_start(struct conn *c, long n, bool chunked, bool cut)
{
  c->i = 0;
  c->n = n;
  c->size = chunked;
  c->seed = cut;
  c->turn = TURN_FILL;
  due(c, now_us());
}
